/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "sl_net.h"

static const char *const error_names[] = {
	[SL_NET_OK] = "ok",
	[SL_NET_ETH_TRUNCATED] = "eth_truncated",
	[SL_NET_ETH_NOT_FOR_US] = "eth_not_for_us",
	[SL_NET_ETH_WRONG_VLAN] = "eth_wrong_vlan",
	[SL_NET_ETH_UNKNOWN_TYPE] = "eth_unknown_type",
	[SL_NET_IP_TRUNCATED] = "ip_truncated",
	[SL_NET_IP_BAD_HEADER] = "ip_bad_header",
	[SL_NET_IP_BAD_CHECKSUM] = "ip_bad_checksum",
	[SL_NET_IP_FRAGMENT] = "ip_fragment",
	[SL_NET_IP_NOT_FOR_US] = "ip_not_for_us",
	[SL_NET_IP_UNKNOWN_PROTO] = "ip_unknown_proto",
	[SL_NET_UDP_TRUNCATED] = "udp_truncated",
	[SL_NET_UDP_BAD_LENGTH] = "udp_bad_length",
	[SL_NET_UDP_BAD_CHECKSUM] = "udp_bad_checksum",
	[SL_NET_UDP_UNKNOWN_PORT] = "udp_unknown_port",
};

const char *
sl_net_strerror(enum sl_net_error error)
{
	return error < RTE_DIM(error_names) ? error_names[error] : "unknown";
}

void
sl_net_flow_init(struct sl_net_flow *flow, rte_be32_t src, rte_be32_t dst, rte_be16_t sport,
	rte_be16_t dport, uint8_t ttl)
{
	memset(flow, 0, sizeof(*flow));
	flow->src = src;
	flow->dst = dst;
	flow->ip.version_ihl = RTE_IPV4_VHL_DEF;
	flow->ip.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	flow->ip.time_to_live = ttl;
	flow->ip.next_proto_id = IPPROTO_UDP;
	flow->ip.src_addr = src;
	flow->ip.dst_addr = dst;
	flow->udp.src_port = sport;
	flow->udp.dst_port = dport;
	flow->ip_sum = sl_net_sum(&flow->ip, sizeof(flow->ip));
	flow->pseudo_sum = sl_net_sum_add(
		sl_net_pseudo_sum(src, dst, 0), sl_net_sum(&flow->udp, sizeof(flow->udp)));
}

/* An address one station can have (RFC 1122, 3.2.1.3): not 0.x, not multicast, not reserved. */
static bool
is_unicast(rte_be32_t ip)
{
	uint32_t first = rte_be_to_cpu_32(ip) >> 24;

	return first != 0 && first != 127 && first < 224;
}

bool
sl_net_icmp_reply(uint8_t *frame, size_t len, size_t eth_len, const struct rte_ether_addr *mac)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)frame;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(frame + eth_len);
	struct rte_icmp_hdr *icmp;
	size_t header_len, icmp_len;
	rte_be32_t src;

	header_len = (size_t)(ip->version_ihl & 0xf) * 4;
	icmp_len = rte_be_to_cpu_16(ip->total_length) - header_len;
	/* One frame from a station that is many must not become an answer to all of them. */
	if (!rte_is_valid_assigned_ether_addr(&eth->src_addr) || !is_unicast(ip->src_addr) ||
		ip->src_addr == ip->dst_addr)
		return false;
	if (ip->next_proto_id != IPPROTO_ICMP || icmp_len < sizeof(*icmp) ||
		eth_len + header_len + icmp_len > len)
		return false;
	icmp = (struct rte_icmp_hdr *)((uint8_t *)ip + header_len);
	if (icmp->icmp_type != RTE_IP_ICMP_ECHO_REQUEST || icmp->icmp_code != 0 ||
		sl_net_sum(icmp, icmp_len) != 0xffff)
		return false;

	/* Summed anew: mending (RFC 1624) goes wrong when the reply is zero from end to end. */
	icmp->icmp_type = RTE_IP_ICMP_ECHO_REPLY;
	icmp->icmp_cksum = 0;
	icmp->icmp_cksum = (rte_be16_t)~sl_net_sum(icmp, icmp_len);
	/* Swapping the addresses leaves the IPv4 checksum as it is; a fresh TTL does not. */
	src = ip->src_addr;
	ip->src_addr = ip->dst_addr;
	ip->dst_addr = src;
	ip->time_to_live = 64;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = (rte_be16_t)~sl_net_sum(ip, header_len);
	rte_ether_addr_copy(&eth->src_addr, &eth->dst_addr);
	rte_ether_addr_copy(mac, &eth->src_addr);
	return true;
}
