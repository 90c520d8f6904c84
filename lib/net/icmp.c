/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <rte_icmp.h>

#include "sl_icmp.h"
#include "sl_net.h"

#define ICMP6_ECHO_REQUEST 128
#define ICMP6_ECHO_REPLY   129
#define TTL		   64

/* An ICMP or ICMPv6 packet; the echo header is the same. */
struct icmp {
	bool is_ip4;
	struct sl_ip src;
	struct sl_ip dst;
	size_t ip_len;
	size_t len; /* With its header. */
	struct rte_icmp_hdr *hdr;
};

/* The sum that a right checksum makes 0xffff; ICMPv6 covers the pseudo header, too. */
static uint16_t
sum_of(const void *ip, const struct icmp *icmp)
{
	uint16_t sum = sl_net_sum(icmp->hdr, icmp->len);

	if (icmp->is_ip4)
		return sum;
	return sl_net_sum_fold(sum + sl_net_pseudo_sum(ip, IPPROTO_ICMPV6, (uint16_t)icmp->len));
}

static void
set_checksum(const void *ip, const struct icmp *icmp)
{
	/* Summed anew: mending (RFC 1624) goes wrong when a reply is zero from end to end. */
	icmp->hdr->icmp_cksum = 0;
	icmp->hdr->icmp_cksum = (rte_be16_t)~sum_of(ip, icmp);
}

/* Take a checked IP header apart; false when no echo header is behind it. */
static bool
open_icmp(uint8_t *ip, struct icmp *icmp)
{
	const struct rte_ipv4_hdr *ip4 = (const struct rte_ipv4_hdr *)ip;
	const struct rte_ipv6_hdr *ip6 = (const struct rte_ipv6_hdr *)ip;
	bool is_icmp;

	icmp->is_ip4 = sl_net_is_ip4(ip);
	if (icmp->is_ip4) {
		icmp->src = sl_ip_from_v4(ip4->src_addr);
		icmp->dst = sl_ip_from_v4(ip4->dst_addr);
		icmp->ip_len = (size_t)(ip4->version_ihl & 0xf) * 4;
		icmp->len = rte_be_to_cpu_16(ip4->total_length) - icmp->ip_len;
		is_icmp = ip4->next_proto_id == IPPROTO_ICMP;
	} else {
		icmp->src = sl_ip_from_v6(ip6->src_addr);
		icmp->dst = sl_ip_from_v6(ip6->dst_addr);
		icmp->ip_len = sizeof(*ip6);
		icmp->len = rte_be_to_cpu_16(ip6->payload_len);
		is_icmp = ip6->proto == IPPROTO_ICMPV6;
	}
	icmp->hdr = (struct rte_icmp_hdr *)(ip + icmp->ip_len);
	return is_icmp && icmp->len >= sizeof(*icmp->hdr);
}

static bool
is_type(const struct icmp *icmp, uint8_t type4, uint8_t type6)
{
	return icmp->hdr->icmp_type == (icmp->is_ip4 ? type4 : type6) && icmp->hdr->icmp_code == 0;
}

/* Swap the addresses and give it a time to live of its own, whatever the request had left. */
static void
turn_ip(uint8_t *ip, const struct icmp *icmp)
{
	struct rte_ipv4_hdr *ip4 = (struct rte_ipv4_hdr *)ip;
	struct rte_ipv6_hdr *ip6 = (struct rte_ipv6_hdr *)ip;

	if (icmp->is_ip4) {
		ip4->src_addr = sl_ip_v4(&icmp->dst);
		ip4->dst_addr = sl_ip_v4(&icmp->src);
		ip4->time_to_live = TTL;
		ip4->hdr_checksum = 0;
		ip4->hdr_checksum = (rte_be16_t)~sl_net_sum(ip4, icmp->ip_len);
	} else {
		memcpy(ip6->src_addr, icmp->dst.bytes, sizeof(ip6->src_addr));
		memcpy(ip6->dst_addr, icmp->src.bytes, sizeof(ip6->dst_addr));
		ip6->hop_limits = TTL;
	}
}

bool
sl_icmp_reply(uint8_t *frame, size_t len, size_t eth_len, const struct rte_ether_addr *mac)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)frame;
	uint8_t *ip = frame + eth_len;
	struct icmp icmp;

	if (!open_icmp(ip, &icmp) || eth_len + icmp.ip_len + icmp.len > len)
		return false;
	/* One frame from a station that is many must not become an answer to all of them. */
	if (!rte_is_valid_assigned_ether_addr(&eth->src_addr) || !sl_net_is_unicast(&icmp.src) ||
		sl_ip_is_multicast(&icmp.dst) || sl_ip_equal(&icmp.src, &icmp.dst))
		return false;
	if (!is_type(&icmp, RTE_IP_ICMP_ECHO_REQUEST, ICMP6_ECHO_REQUEST) ||
		sum_of(ip, &icmp) != 0xffff)
		return false;
	turn_ip(ip, &icmp);
	icmp.hdr->icmp_type = icmp.is_ip4 ? RTE_IP_ICMP_ECHO_REPLY : ICMP6_ECHO_REPLY;
	set_checksum(ip, &icmp);
	rte_ether_addr_copy(&eth->src_addr, &eth->dst_addr);
	rte_ether_addr_copy(mac, &eth->src_addr);
	return true;
}

bool
sl_icmp_parse_reply(const uint8_t *ip, struct sl_icmp_echo *echo)
{
	struct icmp icmp;

	if (!open_icmp((uint8_t *)(uintptr_t)ip, &icmp) ||
		!is_type(&icmp, RTE_IP_ICMP_ECHO_REPLY, ICMP6_ECHO_REPLY) ||
		sum_of(ip, &icmp) != 0xffff)
		return false;
	echo->src = icmp.src;
	echo->dst = icmp.dst;
	echo->id = rte_be_to_cpu_16(icmp.hdr->icmp_ident);
	echo->sequence = rte_be_to_cpu_16(icmp.hdr->icmp_seq_nb);
	echo->data = (const uint8_t *)(icmp.hdr + 1);
	echo->data_len = (uint16_t)(icmp.len - sizeof(*icmp.hdr));
	return true;
}

/* Write the IP header in front of an echo of that length. Returns its length. */
static size_t
put_ip(uint8_t *p, const struct sl_icmp_echo *echo, size_t icmp_len)
{
	struct rte_ipv4_hdr *ip4 = (struct rte_ipv4_hdr *)p;

	if (!sl_ip_is_v4(&echo->dst)) {
		sl_net_put_ip6((struct rte_ipv6_hdr *)p, &echo->src, &echo->dst, IPPROTO_ICMPV6,
			(uint16_t)icmp_len, TTL);
		return sizeof(struct rte_ipv6_hdr);
	}
	memset(ip4, 0, sizeof(*ip4));
	ip4->version_ihl = RTE_IPV4_VHL_DEF;
	ip4->total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*ip4) + icmp_len));
	ip4->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	ip4->time_to_live = TTL;
	ip4->next_proto_id = IPPROTO_ICMP;
	ip4->src_addr = sl_ip_v4(&echo->src);
	ip4->dst_addr = sl_ip_v4(&echo->dst);
	ip4->hdr_checksum = (rte_be16_t)~sl_net_sum(ip4, sizeof(*ip4));
	return sizeof(*ip4);
}

size_t
sl_icmp_build_request(uint8_t *frame, const struct rte_ether_addr *dst,
	const struct rte_ether_addr *src, uint16_t vlan, const struct sl_icmp_echo *echo)
{
	struct icmp icmp = {
		.is_ip4 = sl_ip_is_v4(&echo->dst),
		.len = sizeof(*icmp.hdr) + echo->data_len,
	};
	uint8_t *ip;

	ip = frame +
		sl_net_put_eth(frame, dst, src, vlan,
			icmp.is_ip4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
	icmp.hdr = (struct rte_icmp_hdr *)(ip + put_ip(ip, echo, icmp.len));
	icmp.hdr->icmp_type = icmp.is_ip4 ? RTE_IP_ICMP_ECHO_REQUEST : ICMP6_ECHO_REQUEST;
	icmp.hdr->icmp_code = 0;
	icmp.hdr->icmp_ident = rte_cpu_to_be_16(echo->id);
	icmp.hdr->icmp_seq_nb = rte_cpu_to_be_16(echo->sequence);
	if (echo->data_len > 0)
		memcpy(icmp.hdr + 1, echo->data, echo->data_len);
	set_checksum(ip, &icmp);
	return (size_t)((uint8_t *)icmp.hdr + icmp.len - frame);
}
