/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "sl_nd.h"
#include "sl_net.h"

#define TYPE_SOLICITATION  135
#define TYPE_ADVERTISEMENT 136
#define TYPE_REPORT	   143

#define FLAG_ROUTER    0x80
#define FLAG_SOLICITED 0x40
#define FLAG_OVERRIDE  0x20

/* Only who is on the link can send this: a router would have taken one off. */
#define HOP_LIMIT 255

#define OPTION_SOURCE_MAC 1
#define OPTION_TARGET_MAC 2
#define OPTION_UNIT	  8u /* Option lengths count these. */

/* A solicitation or advertisement, from its ICMPv6 header to its options. */
struct nd_hdr {
	uint8_t type;
	uint8_t code;
	rte_be16_t checksum;
	uint8_t flags;
	uint8_t reserved[3];
	uint8_t target[16];
} __rte_packed;

struct mac_option {
	uint8_t type;
	uint8_t len;
	struct rte_ether_addr mac;
};

/* A version 2 report with one record without sources, behind its hop-by-hop options. */
struct report {
	uint8_t next_header;
	uint8_t options_len;
	uint8_t options[6];
	uint8_t type;
	uint8_t reserved;
	rte_be16_t checksum;
	rte_be16_t reserved2;
	rte_be16_t nb_records;
	uint8_t record_type;
	uint8_t aux_len;
	rte_be16_t nb_sources;
	uint8_t group[16];
} __rte_packed;

bool
sl_nd_is_nd(const uint8_t *ip)
{
	const struct rte_ipv6_hdr *hdr = (const struct rte_ipv6_hdr *)ip;
	uint8_t type;

	/* Without a payload there may be nothing behind the header. */
	if (hdr->proto != IPPROTO_ICMPV6 || hdr->payload_len == 0)
		return false;
	type = ip[sizeof(*hdr)];
	return type == TYPE_SOLICITATION || type == TYPE_ADVERTISEMENT;
}

static uint16_t
sum_of(const struct rte_ipv6_hdr *ip, const void *icmp, size_t len)
{
	return sl_net_sum_fold(
		sl_net_sum(icmp, len) + sl_net_pseudo_sum(ip, IPPROTO_ICMPV6, (uint16_t)len));
}

/* Find the link-layer address among the options; false when they are malformed. */
static bool
parse_options(const uint8_t *p, size_t len, struct sl_nd *out)
{
	uint8_t wanted = out->is_solicitation ? OPTION_SOURCE_MAC : OPTION_TARGET_MAC;
	size_t option_len;

	for (; len > 0; p += option_len, len -= option_len) {
		if (len < OPTION_UNIT || p[1] == 0)
			return false;
		option_len = p[1] * OPTION_UNIT;
		if (option_len > len)
			return false;
		/* Other options, or of another length than Ethernet's, are passed over. */
		if (p[0] != wanted || option_len != sizeof(struct mac_option))
			continue;
		memcpy(&out->mac, p + 2, sizeof(out->mac));
		if (!rte_is_valid_assigned_ether_addr(&out->mac))
			return false;
		out->has_mac = true;
	}
	return true;
}

/* Who asks without an address asks the group of the address, and cannot be answered directly. */
static bool
is_valid_dad(const struct sl_nd *nd)
{
	struct sl_ip group = sl_net_solicited_node(&nd->target);

	return sl_ip_equal(&nd->dst, &group) && !nd->has_mac;
}

bool
sl_nd_parse(const uint8_t *packet, struct sl_nd *out)
{
	const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)packet;
	const struct nd_hdr *nd = (const struct nd_hdr *)(ip + 1);
	size_t len = rte_be_to_cpu_16(ip->payload_len);

	if (len < sizeof(*nd) || ip->hop_limits != HOP_LIMIT || nd->code != 0 ||
		sum_of(ip, nd, len) != 0xffff)
		return false;
	memset(out, 0, sizeof(*out));
	out->is_solicitation = nd->type == TYPE_SOLICITATION;
	out->src = sl_ip_from_v6(ip->src_addr);
	out->dst = sl_ip_from_v6(ip->dst_addr);
	out->target = sl_ip_from_v6(nd->target);
	if (sl_ip_is_multicast(&out->target) || sl_ip_is_v4(&out->target) ||
		!parse_options((const uint8_t *)(nd + 1), len - sizeof(*nd), out))
		return false;
	if (out->is_solicitation && sl_ip_is_unset(&out->src))
		return is_valid_dad(out);
	if (!sl_net_is_unicast(&out->src))
		return false;
	if (out->is_solicitation)
		return true;
	out->is_from_router = (nd->flags & FLAG_ROUTER) != 0;
	out->is_solicited = (nd->flags & FLAG_SOLICITED) != 0;
	out->is_override = (nd->flags & FLAG_OVERRIDE) != 0;
	return !out->is_solicited || !sl_ip_is_multicast(&out->dst);
}

size_t
sl_nd_build(uint8_t *frame, const struct rte_ether_addr *dst, const struct rte_ether_addr *src,
	uint16_t vlan, const struct sl_nd *in)
{
	struct rte_ipv6_hdr *ip;
	struct nd_hdr *nd;
	struct mac_option *option;
	size_t len = sizeof(*nd) + (in->has_mac ? sizeof(*option) : 0);

	ip = (struct rte_ipv6_hdr *)(frame +
		sl_net_put_eth(frame, dst, src, vlan, RTE_ETHER_TYPE_IPV6));
	sl_net_put_ip6(ip, &in->src, &in->dst, IPPROTO_ICMPV6, (uint16_t)len, HOP_LIMIT);
	nd = (struct nd_hdr *)(ip + 1);
	memset(nd, 0, sizeof(*nd));
	nd->type = in->is_solicitation ? TYPE_SOLICITATION : TYPE_ADVERTISEMENT;
	if (!in->is_solicitation)
		nd->flags = (uint8_t)((in->is_from_router ? FLAG_ROUTER : 0) |
			(in->is_solicited ? FLAG_SOLICITED : 0) |
			(in->is_override ? FLAG_OVERRIDE : 0));
	memcpy(nd->target, in->target.bytes, sizeof(nd->target));
	if (in->has_mac) {
		option = (struct mac_option *)(nd + 1);
		option->type = in->is_solicitation ? OPTION_SOURCE_MAC : OPTION_TARGET_MAC;
		option->len = 1;
		option->mac = in->mac;
	}
	nd->checksum = (rte_be16_t)~sum_of(ip, nd, len);
	return (size_t)((uint8_t *)nd + len - frame);
}

size_t
sl_nd_build_report(
	uint8_t *frame, const struct rte_ether_addr *src, uint16_t vlan, const struct sl_ip *group)
{
	/* Router alert (RFC 2711) for MLD, padded. */
	static const uint8_t options[6] = {5, 2, 0, 0, 1, 0};
	const struct sl_ip routers = {.bytes = {0xff, 2, [15] = 0x16}}, none = {.halves = {0, 0}};
	struct rte_ether_addr dst = sl_net_group_mac(&routers);
	struct rte_ipv6_hdr *ip;
	struct report *report;
	size_t icmp_len = sizeof(*report) - offsetof(struct report, type);

	ip = (struct rte_ipv6_hdr *)(frame +
		sl_net_put_eth(frame, &dst, src, vlan, RTE_ETHER_TYPE_IPV6));
	/* Without a link-local address the source is none (RFC 3810, 5.2.13). */
	sl_net_put_ip6(ip, &none, &routers, IPPROTO_HOPOPTS, sizeof(*report), 1);
	report = (struct report *)(ip + 1);
	memset(report, 0, sizeof(*report));
	report->next_header = IPPROTO_ICMPV6;
	memcpy(report->options, options, sizeof(options));
	report->type = TYPE_REPORT;
	report->nb_records = RTE_BE16(1);
	report->record_type = 4; /* Now from everybody. */
	memcpy(report->group, group->bytes, sizeof(report->group));
	report->checksum = (rte_be16_t)~sum_of(ip, &report->type, icmp_len);
	return (size_t)((uint8_t *)(report + 1) - frame);
}
