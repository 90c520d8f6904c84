/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_NET_H
#define SL_NET_H

/**
 * @file
 * Ethernet, 802.1Q, IPv4, ICMP echo and UDP headers: checked on the way in, written on the way
 * out. ARP and the neighbour table are in sl_arp.h and sl_neigh.h.
 *
 * Pure functions on bytes: no EAL, no mbuf, no clock. Addresses and ports are kept in network
 * order (rte_be32_t, rte_be16_t), lengths in host order. Nothing here reads past the length it is
 * given. May be called from any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_branch_prediction.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_udp.h>

/** Ethernet, one 802.1Q tag, IPv4 without options, UDP. */
#define SL_NET_HEADERS_MAX                                                                         \
	(RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN + sizeof(struct rte_ipv4_hdr) +                         \
		sizeof(struct rte_udp_hdr))

/** Why a frame was refused, in the order of the layers. */
enum sl_net_error {
	SL_NET_OK = 0,
	SL_NET_ETH_TRUNCATED,
	SL_NET_ETH_NOT_FOR_US,	 /**< Another station's address. */
	SL_NET_ETH_WRONG_VLAN,	 /**< Tagged with another VLAN, tagged twice, or not tagged. */
	SL_NET_ETH_UNKNOWN_TYPE, /**< Neither IPv4 nor ARP. */
	SL_NET_IP_TRUNCATED,
	SL_NET_IP_BAD_HEADER, /**< Version, header length or total length is wrong. */
	SL_NET_IP_BAD_CHECKSUM,
	SL_NET_IP_FRAGMENT,
	SL_NET_IP_NOT_FOR_US,
	SL_NET_IP_UNKNOWN_PROTO, /**< Neither UDP nor ICMP. */
	SL_NET_UDP_TRUNCATED,
	SL_NET_UDP_BAD_LENGTH,
	SL_NET_UDP_BAD_CHECKSUM,
	SL_NET_UDP_UNKNOWN_PORT,
};

/** The first error, by its words as they stand in statistics: "ip_fragment", ... */
const char *sl_net_strerror(enum sl_net_error error);

/** What a checked Ethernet header says. */
struct sl_net_eth {
	uint16_t type; /**< RTE_ETHER_TYPE_IPV4 or _ARP, host order. */
	uint16_t len;  /**< Of the header with its tag: 14 or 18. */
};

/**
 * Check an Ethernet header.
 * @param mac   the station's own address; broadcast is accepted, other multicast is not
 * @param vlan  the VLAN this port is in, 0 for untagged (a priority tag, VLAN 0, is accepted)
 */
static inline enum sl_net_error
sl_net_check_eth(const uint8_t *data, size_t len, const struct rte_ether_addr *mac, uint16_t vlan,
	struct sl_net_eth *out)
{
	const struct rte_ether_hdr *eth = (const struct rte_ether_hdr *)data;
	const struct rte_vlan_hdr *tag;
	rte_be16_t type;
	uint16_t tagged = 0;

	if (unlikely(len < RTE_ETHER_HDR_LEN))
		return SL_NET_ETH_TRUNCATED;
	if (unlikely(!rte_is_same_ether_addr(&eth->dst_addr, mac) &&
		    !rte_is_broadcast_ether_addr(&eth->dst_addr)))
		return SL_NET_ETH_NOT_FOR_US;
	type = eth->ether_type;
	out->len = RTE_ETHER_HDR_LEN;
	if (type == RTE_BE16(RTE_ETHER_TYPE_VLAN)) {
		if (unlikely(len < RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN))
			return SL_NET_ETH_TRUNCATED;
		tag = (const struct rte_vlan_hdr *)(eth + 1);
		tagged = rte_be_to_cpu_16(tag->vlan_tci) & 0xfff;
		type = tag->eth_proto;
		out->len += RTE_VLAN_HLEN;
		if (unlikely(type == RTE_BE16(RTE_ETHER_TYPE_VLAN)))
			return SL_NET_ETH_WRONG_VLAN;
	}
	if (unlikely(tagged != vlan))
		return SL_NET_ETH_WRONG_VLAN;
	out->type = rte_be_to_cpu_16(type);
	if (unlikely(out->type != RTE_ETHER_TYPE_IPV4 && out->type != RTE_ETHER_TYPE_ARP))
		return SL_NET_ETH_UNKNOWN_TYPE;
	return SL_NET_OK;
}

/** What a checked IPv4 header says. */
struct sl_net_ip4 {
	rte_be32_t src;
	rte_be32_t dst;
	uint16_t header_len;  /**< With options. */
	uint16_t payload_len; /**< By the header; the frame may be longer (padding). */
	uint8_t proto;	      /**< IPPROTO_UDP or IPPROTO_ICMP. */
};

/** Checksums the port has already checked; bits for sl_net_check_*(). */
#define SL_NET_IP_SUM_KNOWN_GOOD  0x1
#define SL_NET_UDP_SUM_KNOWN_GOOD 0x2

/**
 * Ones' complement sum of @p len bytes, as if they began at an even offset (RFC 1071), eight bytes
 * a step; in memory order, like rte_raw_cksum().
 */
static inline uint16_t
sl_net_sum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t low = 0, high = 0, word, sum;

	/* Two sums of 32-bit halves: no carry to wait for, and no overflow below 2^32 words. */
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		low += (uint32_t)word;
		high += word >> 32;
	}
	if (len > 0) {
		word = 0;
		memcpy(&word, p, len);
		low += (uint32_t)word;
		high += word >> 32;
	}
	sum = low + high;
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/** Check an IPv4 header, its checksum included. @param address  the port's own address */
static inline enum sl_net_error
sl_net_check_ip4(const uint8_t *data, size_t len, rte_be32_t address, unsigned int known_good,
	struct sl_net_ip4 *out)
{
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)data;
	uint16_t header_len, total_len;

	if (unlikely(len < sizeof(*ip)))
		return SL_NET_IP_TRUNCATED;
	header_len = (uint16_t)((ip->version_ihl & 0xf) * 4);
	total_len = rte_be_to_cpu_16(ip->total_length);
	if (unlikely((ip->version_ihl >> 4) != 4 || header_len < sizeof(*ip) ||
		    total_len < header_len))
		return SL_NET_IP_BAD_HEADER;
	if (unlikely(total_len > len))
		return SL_NET_IP_TRUNCATED;
	/* Of one known length nearly always: the compiler makes five additions of it. */
	if (!(known_good & SL_NET_IP_SUM_KNOWN_GOOD) &&
		unlikely(
			(likely(header_len == sizeof(*ip)) ? sl_net_sum(ip, sizeof(*ip))
							   : sl_net_sum(ip, header_len)) != 0xffff))
		return SL_NET_IP_BAD_CHECKSUM;
	if (unlikely(ip->dst_addr != address))
		return SL_NET_IP_NOT_FOR_US;
	/* Any fragment, the first included: nothing here waits to put one together. */
	if (unlikely((ip->fragment_offset & RTE_BE16(0x3fff)) != 0))
		return SL_NET_IP_FRAGMENT;
	if (unlikely(ip->next_proto_id != IPPROTO_UDP && ip->next_proto_id != IPPROTO_ICMP))
		return SL_NET_IP_UNKNOWN_PROTO;
	out->src = ip->src_addr;
	out->dst = ip->dst_addr;
	out->header_len = header_len;
	out->payload_len = total_len - header_len;
	out->proto = ip->next_proto_id;
	return SL_NET_OK;
}

/** What a checked UDP header says. */
struct sl_net_udp {
	uint16_t payload_len;
	/** The payload's own ones' complement sum (RFC 1071), for incremental updates. */
	uint16_t payload_sum;
	bool is_sum_known; /**< payload_sum was computed. */
};

/** Add two ones' complement sums. */
static inline uint16_t
sl_net_sum_add(uint16_t a, uint16_t b)
{
	uint32_t sum = (uint32_t)a + b;

	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/**
 * Sum of the pseudo header (RFC 768): addresses, protocol and UDP length. @param udp_len with the
 * UDP header
 */
static inline uint16_t
sl_net_pseudo_sum(rte_be32_t src, rte_be32_t dst, uint16_t udp_len)
{
	uint64_t sum = (uint64_t)src + dst + RTE_BE16(IPPROTO_UDP) + rte_cpu_to_be_16(udp_len);

	sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/**
 * Check a UDP header and, unless it is absent or known to be good, the checksum over the payload.
 * @param data, len  the IP payload, @p len by the IP header
 */
static inline enum sl_net_error
sl_net_check_udp(const uint8_t *data, size_t len, const struct sl_net_ip4 *ip, rte_be16_t port,
	unsigned int known_good, struct sl_net_udp *out)
{
	const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)data;
	uint16_t udp_len, sum;

	if (unlikely(len < sizeof(*udp)))
		return SL_NET_UDP_TRUNCATED;
	udp_len = rte_be_to_cpu_16(udp->dgram_len);
	if (unlikely(udp_len < sizeof(*udp) || udp_len > len))
		return SL_NET_UDP_BAD_LENGTH;
	if (unlikely(udp->dst_port != port))
		return SL_NET_UDP_UNKNOWN_PORT;
	out->payload_len = udp_len - (uint16_t)sizeof(*udp);
	out->is_sum_known = false;
	out->payload_sum = 0;
	if (udp->dgram_cksum == 0 || (known_good & SL_NET_UDP_SUM_KNOWN_GOOD))
		return SL_NET_OK;
	out->payload_sum = sl_net_sum(udp + 1, out->payload_len);
	out->is_sum_known = true;
	sum = sl_net_sum_add(
		sl_net_sum(udp, sizeof(*udp)), sl_net_pseudo_sum(ip->src, ip->dst, udp_len));
	if (unlikely(sl_net_sum_add(sum, out->payload_sum) != 0xffff))
		return SL_NET_UDP_BAD_CHECKSUM;
	return SL_NET_OK;
}

/**
 * What changes in a ones' complement sum when the @p len bytes at @p offset change from @p before
 * to @p after (RFC 1624, equation 3). @param len at most 8
 */
static inline uint16_t
sl_net_sum_update(uint16_t sum, size_t offset, const void *before, const void *after, size_t len)
{
	uint16_t gone = sl_net_sum(before, len), came = sl_net_sum(after, len);

	if (offset & 1) {
		gone = (uint16_t)(gone << 8 | gone >> 8);
		came = (uint16_t)(came << 8 | came >> 8);
	}
	return sl_net_sum_add(sl_net_sum_add(sum, (uint16_t)~gone), came);
}

/** The UDP checksum field for a complete sum: its complement, and never 0, which means "none". */
static inline rte_be16_t
sl_net_udp_cksum(uint16_t sum)
{
	return sum == 0xffff ? 0xffff : (rte_be16_t)~sum;
}

/** IPv4 and UDP headers towards one backend, written once and copied in front of each datagram. */
struct sl_net_flow {
	rte_be32_t src;
	rte_be32_t dst;
	struct rte_ipv4_hdr ip; /**< total_length 0, hdr_checksum 0. */
	struct rte_udp_hdr udp; /**< dgram_len 0, dgram_cksum 0. */
	uint16_t ip_sum;	/**< Of ip, with total_length 0. */
	uint16_t pseudo_sum;	/**< Of the pseudo header with length 0 and of udp. */
};

/** Prepare the headers of a flow. @param ttl  time to live; the DF bit is set (RFC 6864: id 0) */
void sl_net_flow_init(struct sl_net_flow *flow, rte_be32_t src, rte_be32_t dst, rte_be16_t sport,
	rte_be16_t dport, uint8_t ttl);

/**
 * Write a flow's IPv4 and UDP headers (28 bytes) at @p p.
 * @param payload_len  UDP payload in bytes, at most 65507
 * @param payload_sum  its sum, or NULL to send no UDP checksum (0)
 */
static inline void
sl_net_flow_write(const struct sl_net_flow *flow, uint8_t *p, uint16_t payload_len,
	const uint16_t *payload_sum)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)p;
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	rte_be16_t udp_len = rte_cpu_to_be_16((uint16_t)(payload_len + sizeof(*udp)));
	uint16_t sum;

	*ip = flow->ip;
	ip->total_length = rte_cpu_to_be_16((uint16_t)(payload_len + sizeof(*udp) + sizeof(*ip)));
	ip->hdr_checksum = (rte_be16_t)~sl_net_sum_add(flow->ip_sum, ip->total_length);
	*udp = flow->udp;
	udp->dgram_len = udp_len;
	if (payload_sum != NULL) {
		/* The length counts twice: in the pseudo header and in the header. */
		sum = sl_net_sum_add(flow->pseudo_sum, sl_net_sum_add(udp_len, udp_len));
		udp->dgram_cksum = sl_net_udp_cksum(sl_net_sum_add(sum, *payload_sum));
	}
}

/**
 * Turn an ICMP echo request into its reply, in place: swaps the addresses of the Ethernet and IPv4
 * headers, sets the type and the checksums.
 *
 * @param frame, len  the frame from its Ethernet header; already passed sl_net_check_eth() and
 *                    sl_net_check_ip4()
 * @param eth_len     length of the Ethernet header
 * @return true when @p frame now holds a reply; false when it was no valid echo request or came
 * from an address no station can have, and is as it was
 */
bool
sl_net_icmp_reply(uint8_t *frame, size_t len, size_t eth_len, const struct rte_ether_addr *mac);

/** Write an Ethernet header, tagged unless @p vlan is 0. @return its length, 14 or 18 */
static inline uint16_t
sl_net_put_eth(uint8_t *p, const struct rte_ether_addr *dst, const struct rte_ether_addr *src,
	uint16_t vlan, uint16_t type)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)p;
	struct rte_vlan_hdr *tag;

	rte_ether_addr_copy(dst, &eth->dst_addr);
	rte_ether_addr_copy(src, &eth->src_addr);
	if (vlan == 0) {
		eth->ether_type = rte_cpu_to_be_16(type);
		return RTE_ETHER_HDR_LEN;
	}
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_VLAN);
	tag = (struct rte_vlan_hdr *)(eth + 1);
	tag->vlan_tci = rte_cpu_to_be_16(vlan);
	tag->eth_proto = rte_cpu_to_be_16(type);
	return RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
}

#endif /* SL_NET_H */
