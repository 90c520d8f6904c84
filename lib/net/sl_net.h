/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_NET_H
#define SL_NET_H

/**
 * @file
 * Ethernet, 802.1Q, IPv4, IPv6 and UDP headers: checked on the way in, written on the way out.
 * Echo is in sl_icmp.h, ARP in sl_arp.h, neighbour discovery in sl_nd.h, the state of a neighbour
 * in sl_neigh.h.
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
#include <rte_ip.h>
#include <rte_udp.h>

#include "sl_ip.h"

/** The longest headers written: Ethernet, one 802.1Q tag, IPv6, UDP. */
#define SL_NET_HEADERS_MAX                                                                         \
	(RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN + sizeof(struct rte_ipv6_hdr) +                         \
		sizeof(struct rte_udp_hdr))

/** Why a frame was refused, in the order of the layers. */
enum sl_net_error {
	SL_NET_OK = 0,
	SL_NET_ETH_TRUNCATED,
	SL_NET_ETH_NOT_FOR_US,	 /**< Another station's address. */
	SL_NET_ETH_WRONG_VLAN,	 /**< Tagged with another VLAN, tagged twice, or not tagged. */
	SL_NET_ETH_UNKNOWN_TYPE, /**< Neither IPv4, ARP nor IPv6, or not what this station speaks.
				  */
	SL_NET_IP_TRUNCATED,
	SL_NET_IP_BAD_HEADER, /**< Version, header length, total length; a mapped IPv6 source. */
	SL_NET_IP_BAD_CHECKSUM,
	SL_NET_IP_FRAGMENT,
	SL_NET_IP_NOT_FOR_US,
	SL_NET_IP_UNKNOWN_PROTO, /**< Neither UDP nor ICMP; an IPv6 extension header. */
	SL_NET_UDP_TRUNCATED,
	SL_NET_UDP_BAD_LENGTH,
	SL_NET_UDP_BAD_CHECKSUM,
	SL_NET_UDP_UNKNOWN_PORT,
};

/** The first error, by its words as they stand in statistics: "ip_fragment", ... */
const char *sl_net_strerror(enum sl_net_error error);

/** A port as a station of its network: to whom a frame has to be addressed. */
struct sl_net_station {
	struct rte_ether_addr mac;
	uint16_t vlan;	       /**< The VLAN it is in, 0: untagged; a priority tag is accepted. */
	rte_be32_t address;    /**< 0: it does not speak IPv4. */
	struct sl_ip address6; /**< Unset: it does not speak IPv6. */
};

/**
 * May it be the address of one station (RFC 1122, 3.2.1.3; RFC 4291, 2.5)? Not one of a group, of
 * the station itself, or of none.
 */
bool sl_net_is_unicast(const struct sl_ip *ip);

/** The group of the stations whose IPv6 addresses end like @p ip (RFC 4291, 2.7.1). */
static inline struct sl_ip
sl_net_solicited_node(const struct sl_ip *ip)
{
	return (struct sl_ip){.bytes = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, ip->bytes[13],
				      ip->bytes[14], ip->bytes[15]}};
}

/** All IPv6 stations of a link: ff02::1. */
static inline struct sl_ip
sl_net_all_nodes(void)
{
	return (struct sl_ip){.bytes = {0xff, 2, [15] = 1}};
}

/** The link-layer address of an IPv6 group (RFC 2464, section 7). */
static inline struct rte_ether_addr
sl_net_group_mac(const struct sl_ip *group)
{
	const uint8_t *b = group->bytes;

	return (struct rte_ether_addr){{0x33, 0x33, b[12], b[13], b[14], b[15]}};
}

/** Is it a group every station with this IPv6 address is in? */
static inline bool
sl_net_is_own_group(const struct sl_net_station *station, const struct sl_ip *group)
{
	struct sl_ip solicited = sl_net_solicited_node(&station->address6);
	struct sl_ip all = sl_net_all_nodes();

	return sl_ip_equal(group, &solicited) || sl_ip_equal(group, &all);
}

/** To whom a frame may be addressed beside the station's own address. */
static inline bool
sl_net_is_own_group_mac(const struct sl_net_station *station, const struct rte_ether_addr *mac)
{
	static const uint8_t all_nodes[RTE_ETHER_ADDR_LEN] = {0x33, 0x33, 0, 0, 0, 1};
	static const uint8_t solicited[3] = {0x33, 0x33, 0xff};

	if (rte_is_broadcast_ether_addr(mac))
		return true;
	if (sl_ip_is_unset(&station->address6))
		return false;
	if (memcmp(mac->addr_bytes, all_nodes, sizeof(all_nodes)) == 0)
		return true;
	return memcmp(mac->addr_bytes, solicited, sizeof(solicited)) == 0 &&
		memcmp(&mac->addr_bytes[3], &station->address6.bytes[13], 3) == 0;
}

/** What a checked Ethernet header says. */
struct sl_net_eth {
	uint16_t type; /**< RTE_ETHER_TYPE_IPV4, _ARP or _IPV6, host order. */
	uint16_t len;  /**< Of the header with its tag: 14 or 18. */
};

/** Does a station speak a protocol that @p type carries? */
static inline bool
sl_net_speaks(const struct sl_net_station *station, uint16_t type)
{
	if (likely(type == RTE_ETHER_TYPE_IPV4))
		return likely(station->address != 0);
	if (type == RTE_ETHER_TYPE_IPV6)
		return !sl_ip_is_unset(&station->address6);
	return type == RTE_ETHER_TYPE_ARP && station->address != 0;
}

/**
 * Check an Ethernet header. Beside the station's own address broadcast is accepted and, when it
 * speaks IPv6, the groups of all nodes and of its solicited node; other multicast is not.
 */
static inline enum sl_net_error
sl_net_check_eth(const uint8_t *data, size_t len, const struct sl_net_station *station,
	struct sl_net_eth *out)
{
	const struct rte_ether_hdr *eth = (const struct rte_ether_hdr *)data;
	const struct rte_vlan_hdr *tag;
	rte_be16_t type;
	uint16_t tagged = 0;

	if (unlikely(len < RTE_ETHER_HDR_LEN))
		return SL_NET_ETH_TRUNCATED;
	if (unlikely(!rte_is_same_ether_addr(&eth->dst_addr, &station->mac) &&
		    !sl_net_is_own_group_mac(station, &eth->dst_addr)))
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
	if (unlikely(tagged != station->vlan))
		return SL_NET_ETH_WRONG_VLAN;
	out->type = rte_be_to_cpu_16(type);
	if (unlikely(!sl_net_speaks(station, out->type)))
		return SL_NET_ETH_UNKNOWN_TYPE;
	return SL_NET_OK;
}

/** What a checked IPv4 or IPv6 header says. */
struct sl_net_ip {
	uint16_t header_len;  /**< With options. */
	uint16_t payload_len; /**< By the header; the frame may be longer (padding). */
	uint8_t proto;	      /**< IPPROTO_UDP, IPPROTO_ICMP or IPPROTO_ICMPV6. */
};

/** Checksums the port has already checked; bits for sl_net_check_*(). */
#define SL_NET_IP_SUM_KNOWN_GOOD  0x1
#define SL_NET_UDP_SUM_KNOWN_GOOD 0x2

/** Fold a sum of 16-bit words, in any width below 2^48, to 16 bits. */
static inline uint16_t
sl_net_sum_fold(uint64_t sum)
{
	sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/** Add two ones' complement sums. */
static inline uint16_t
sl_net_sum_add(uint16_t a, uint16_t b)
{
	uint32_t sum = (uint32_t)a + b;

	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/** The sum of up to 7 bytes, not folded. */
static inline uint64_t
sl_net_sum_tail(const uint8_t *p, size_t len)
{
	uint8_t last[2] = {0, 0};
	uint64_t sum = 0;
	uint32_t word;
	uint16_t half;

	if (len & 4) {
		memcpy(&word, p, 4);
		sum += word;
		p += 4;
	}
	if (len & 2) {
		memcpy(&half, p, 2);
		sum += half;
		p += 2;
	}
	if (len & 1) {
		last[0] = *p;
		memcpy(&half, last, 2);
		sum += half;
	}
	return sum;
}

/** Add eight bytes to a sum, and to its carries if there is one. */
static inline void
sl_net_sum_word(uint64_t *sum, uint64_t *carries, const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	*sum += word;
	*carries += *sum < word;
}

/**
 * Ones' complement sum of @p len bytes, as if they began at an even offset (RFC 1071); in memory
 * order, like rte_raw_cksum(). Words of eight bytes are added, and their carries, which count as
 * ones: two instructions a word.
 */
static inline uint16_t
sl_net_sum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t sum = 0, carries = 0;

	for (; len >= 32; len -= 32, p += 32) {
		sl_net_sum_word(&sum, &carries, p);
		sl_net_sum_word(&sum, &carries, p + 8);
		sl_net_sum_word(&sum, &carries, p + 16);
		sl_net_sum_word(&sum, &carries, p + 24);
	}
	for (; len >= 8; len -= 8, p += 8)
		sl_net_sum_word(&sum, &carries, p);
	return sl_net_sum_fold((uint32_t)sum + (sum >> 32) + carries + sl_net_sum_tail(p, len));
}

/** Check an IPv4 header, its checksum included. @param address  the port's own address */
static inline enum sl_net_error
sl_net_check_ip4(const uint8_t *data, size_t len, rte_be32_t address, unsigned int known_good,
	struct sl_net_ip *out)
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
	/* Of one known length nearly always: the compiler makes a few additions of it. */
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
	out->header_len = header_len;
	out->payload_len = total_len - header_len;
	out->proto = ip->next_proto_id;
	return SL_NET_OK;
}

/**
 * Check an IPv6 header. Only ICMPv6 may be addressed to a group of the station's. Packets with
 * extension headers are refused: nothing here has a use for them.
 */
static inline enum sl_net_error
sl_net_check_ip6(const uint8_t *data, size_t len, const struct sl_net_station *station,
	struct sl_net_ip *out)
{
	const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)data;
	uint16_t payload_len;
	struct sl_ip src, dst;

	if (unlikely(len < sizeof(*ip)))
		return SL_NET_IP_TRUNCATED;
	/* An IPv4-mapped address has no place on the wire, and here it would pass for IPv4. */
	src = sl_ip_from_v6(ip->src_addr);
	if (unlikely(data[0] >> 4 != 6 || sl_ip_is_v4(&src)))
		return SL_NET_IP_BAD_HEADER;
	payload_len = rte_be_to_cpu_16(ip->payload_len);
	if (unlikely(payload_len > len - sizeof(*ip)))
		return SL_NET_IP_TRUNCATED;
	dst = sl_ip_from_v6(ip->dst_addr);
	if (unlikely(!sl_ip_equal(&dst, &station->address6) &&
		    (ip->proto != IPPROTO_ICMPV6 || !sl_net_is_own_group(station, &dst))))
		return SL_NET_IP_NOT_FOR_US;
	if (unlikely(ip->proto == IPPROTO_FRAGMENT))
		return SL_NET_IP_FRAGMENT;
	if (unlikely(ip->proto != IPPROTO_UDP && ip->proto != IPPROTO_ICMPV6))
		return SL_NET_IP_UNKNOWN_PROTO;
	out->header_len = sizeof(*ip);
	out->payload_len = payload_len;
	out->proto = ip->proto;
	return SL_NET_OK;
}

/** Check the IP header behind a checked Ethernet header of that type. */
static inline enum sl_net_error
sl_net_check_ip(const uint8_t *data, size_t len, uint16_t type,
	const struct sl_net_station *station, unsigned int known_good, struct sl_net_ip *out)
{
	if (likely(type == RTE_ETHER_TYPE_IPV4))
		return sl_net_check_ip4(data, len, station->address, known_good, out);
	return sl_net_check_ip6(data, len, station, out);
}

/** Is it an IPv4 header? The other is IPv6: it has been checked. */
static inline bool
sl_net_is_ip4(const void *ip)
{
	return *(const uint8_t *)ip >> 4 == 4;
}

/** What a checked UDP header says. */
struct sl_net_udp {
	uint16_t payload_len;
	/** The payload's own ones' complement sum (RFC 1071), for incremental updates. */
	uint16_t payload_sum;
	bool is_sum_known; /**< payload_sum was computed. */
};

/**
 * Sum of the pseudo header (RFC 768; RFC 8200, 8.1): addresses, protocol and length; not folded.
 * @param ip     a checked header of either family
 * @param proto  IPPROTO_UDP, IPPROTO_ICMPV6
 * @param len    of what follows: UDP or ICMPv6 with its header
 */
static inline uint64_t
sl_net_pseudo_sum(const void *ip, uint8_t proto, uint16_t len)
{
	uint64_t sum = (uint64_t)rte_cpu_to_be_16(proto) + rte_cpu_to_be_16(len);
	const struct rte_ipv4_hdr *ip4 = ip;
	const struct rte_ipv6_hdr *ip6 = ip;

	if (likely(sl_net_is_ip4(ip)))
		return sum + ip4->src_addr + ip4->dst_addr;
	return sum + sl_net_sum(ip6->src_addr, sizeof(ip6->src_addr) + sizeof(ip6->dst_addr));
}

/**
 * Check a UDP header and the checksum over the payload, unless it is known to be good or, which
 * only IPv4 allows, absent.
 * @param data, len  the IP payload, @p len by the IP header
 * @param ip         the checked IP header, of either family
 */
static inline enum sl_net_error
sl_net_check_udp(const uint8_t *data, size_t len, const void *ip, rte_be16_t port,
	unsigned int known_good, struct sl_net_udp *out)
{
	const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)data;
	uint32_t words[2];
	uint16_t udp_len;

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
	if (udp->dgram_cksum == 0)
		return sl_net_is_ip4(ip) ? SL_NET_OK : SL_NET_UDP_BAD_CHECKSUM;
	if (known_good & SL_NET_UDP_SUM_KNOWN_GOOD)
		return SL_NET_OK;
	out->payload_sum = sl_net_sum(udp + 1, out->payload_len);
	out->is_sum_known = true;
	memcpy(words, udp, sizeof(*udp));
	if (unlikely(sl_net_sum_fold(sl_net_pseudo_sum(ip, IPPROTO_UDP, udp_len) + words[0] +
			     words[1] + out->payload_sum) != 0xffff))
		return SL_NET_UDP_BAD_CHECKSUM;
	return SL_NET_OK;
}

/**
 * What changes in a ones' complement sum when the @p len bytes at @p offset change from @p before
 * to @p after (RFC 1624, equation 3): the complement of what goes is added, and what comes.
 * @param len at most 8
 */
static inline uint16_t
sl_net_sum_update(uint16_t sum, size_t offset, const void *before, const void *after, size_t len)
{
	uint64_t gone = 0, came = 0, change;
	uint16_t half;

	memcpy(&gone, before, len);
	memcpy(&came, after, len);
	/* Bytes that are in neither become ones, which is another zero. */
	gone = ~gone;
	change = (uint64_t)(uint32_t)gone + (gone >> 32) + (uint32_t)came + (came >> 32);
	if ((offset & 1) == 0)
		return sl_net_sum_fold(sum + change);
	half = sl_net_sum_fold(change);
	return sl_net_sum_add(sum, (uint16_t)(half << 8 | half >> 8));
}

/** The UDP checksum field for a complete sum: its complement, and never 0, which means "none". */
static inline rte_be16_t
sl_net_udp_cksum(uint16_t sum)
{
	return sum == 0xffff ? 0xffff : (rte_be16_t)~sum;
}

/** IP and UDP headers towards one backend, written once and copied in front of each datagram. */
struct sl_net_flow {
	union {
		struct rte_ipv4_hdr ip4; /**< total_length 0, hdr_checksum 0. */
		struct rte_ipv6_hdr ip6; /**< payload_len 0. */
	};
	struct rte_udp_hdr udp; /**< dgram_len 0, dgram_cksum 0. */
	uint16_t ip_sum;	/**< Of ip4, with total_length 0. */
	uint16_t pseudo_sum;	/**< Of the pseudo header with length 0 and of udp. */
	uint8_t headers_len;	/**< 28 or 48: of IP and UDP together. */
};

/**
 * Prepare the headers of a flow.
 * @param src, dst  of one family
 * @param ttl       time to live; in IPv4 the DF bit is set (RFC 6864: id 0)
 */
void sl_net_flow_init(struct sl_net_flow *flow, const struct sl_ip *src, const struct sl_ip *dst,
	rte_be16_t sport, rte_be16_t dport, uint8_t ttl);

static inline bool
sl_net_flow_is_ip4(const struct sl_net_flow *flow)
{
	return flow->headers_len == sizeof(flow->ip4) + sizeof(flow->udp);
}

/** RTE_ETHER_TYPE_IPV4 or _IPV6 */
static inline uint16_t
sl_net_flow_type(const struct sl_net_flow *flow)
{
	return likely(sl_net_flow_is_ip4(flow)) ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6;
}

/**
 * Write a flow's IP and UDP headers (headers_len bytes) at @p p.
 * @param payload_len  UDP payload in bytes; with the headers at most 65535
 * @param payload_sum  its sum, or NULL to send no UDP checksum (0), which only IPv4 allows
 */
static inline void
sl_net_flow_write(const struct sl_net_flow *flow, uint8_t *p, uint16_t payload_len,
	const uint16_t *payload_sum)
{
	struct rte_ipv4_hdr *ip4 = (struct rte_ipv4_hdr *)p;
	struct rte_ipv6_hdr *ip6 = (struct rte_ipv6_hdr *)p;
	struct rte_udp_hdr *udp;
	rte_be16_t udp_len = rte_cpu_to_be_16((uint16_t)(payload_len + sizeof(*udp)));
	uint16_t sum;

	if (likely(sl_net_flow_is_ip4(flow))) {
		*ip4 = flow->ip4;
		ip4->total_length = rte_cpu_to_be_16((uint16_t)(payload_len + flow->headers_len));
		ip4->hdr_checksum = (rte_be16_t)~sl_net_sum_add(flow->ip_sum, ip4->total_length);
		udp = (struct rte_udp_hdr *)(ip4 + 1);
	} else {
		*ip6 = flow->ip6;
		ip6->payload_len = udp_len;
		udp = (struct rte_udp_hdr *)(ip6 + 1);
	}
	*udp = flow->udp;
	udp->dgram_len = udp_len;
	if (payload_sum != NULL) {
		/* The length counts twice: in the pseudo header and in the header. */
		sum = sl_net_sum_add(flow->pseudo_sum, sl_net_sum_add(udp_len, udp_len));
		udp->dgram_cksum = sl_net_udp_cksum(sl_net_sum_add(sum, *payload_sum));
	}
}

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

/** Write an IPv6 header: no traffic class, no flow label. */
static inline void
sl_net_put_ip6(struct rte_ipv6_hdr *ip, const struct sl_ip *src, const struct sl_ip *dst,
	uint8_t proto, uint16_t payload_len, uint8_t hop_limit)
{
	ip->vtc_flow = RTE_BE32(6u << 28);
	ip->payload_len = rte_cpu_to_be_16(payload_len);
	ip->proto = proto;
	ip->hop_limits = hop_limit;
	memcpy(ip->src_addr, src->bytes, sizeof(ip->src_addr));
	memcpy(ip->dst_addr, dst->bytes, sizeof(ip->dst_addr));
}

#endif /* SL_NET_H */
