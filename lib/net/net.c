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

bool
sl_net_is_unicast(const struct sl_ip *ip)
{
	static const struct sl_ip loopback = {.bytes = {[15] = 1}};

	if (sl_ip_is_v4(ip))
		return ip->bytes[12] != 0 && ip->bytes[12] != 127 && ip->bytes[12] < 224;
	return !sl_ip_is_unset(ip) && !sl_ip_is_multicast(ip) && !sl_ip_equal(ip, &loopback);
}

void
sl_net_flow_init(struct sl_net_flow *flow, const struct sl_ip *src, const struct sl_ip *dst,
	rte_be16_t sport, rte_be16_t dport, uint8_t ttl)
{
	memset(flow, 0, sizeof(*flow));
	flow->udp.src_port = sport;
	flow->udp.dst_port = dport;
	if (sl_ip_is_v4(dst)) {
		flow->ip4.version_ihl = RTE_IPV4_VHL_DEF;
		flow->ip4.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
		flow->ip4.time_to_live = ttl;
		flow->ip4.next_proto_id = IPPROTO_UDP;
		flow->ip4.src_addr = sl_ip_v4(src);
		flow->ip4.dst_addr = sl_ip_v4(dst);
		flow->ip_sum = sl_net_sum(&flow->ip4, sizeof(flow->ip4));
		flow->headers_len = sizeof(flow->ip4) + sizeof(flow->udp);
	} else {
		sl_net_put_ip6(&flow->ip6, src, dst, IPPROTO_UDP, 0, ttl);
		flow->headers_len = sizeof(flow->ip6) + sizeof(flow->udp);
	}
	flow->pseudo_sum = sl_net_sum_fold(sl_net_pseudo_sum(&flow->ip4, IPPROTO_UDP, 0) +
		sl_net_sum(&flow->udp, sizeof(flow->udp)));
}
