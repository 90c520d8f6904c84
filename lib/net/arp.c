/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "sl_arp.h"
#include "sl_net.h"

bool
sl_arp_parse(const uint8_t *data, size_t len, struct sl_arp *out)
{
	const struct rte_arp_hdr *arp = (const struct rte_arp_hdr *)data;

	if (len < sizeof(*arp) || arp->arp_hardware != RTE_BE16(RTE_ARP_HRD_ETHER) ||
		arp->arp_protocol != RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
		arp->arp_hlen != RTE_ETHER_ADDR_LEN || arp->arp_plen != sizeof(rte_be32_t))
		return false;
	if (arp->arp_opcode != RTE_BE16(RTE_ARP_OP_REQUEST) &&
		arp->arp_opcode != RTE_BE16(RTE_ARP_OP_REPLY))
		return false;
	if (!rte_is_valid_assigned_ether_addr(&arp->arp_data.arp_sha))
		return false;
	out->is_request = arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST);
	out->sender_mac = arp->arp_data.arp_sha;
	out->sender_ip = arp->arp_data.arp_sip;
	out->target_mac = arp->arp_data.arp_tha;
	out->target_ip = arp->arp_data.arp_tip;
	return true;
}

size_t
sl_arp_build(
	uint8_t *frame, const struct rte_ether_addr *dst, uint16_t vlan, const struct sl_arp *arp)
{
	struct rte_arp_hdr *hdr;
	size_t len, min;

	len = sl_net_put_eth(frame, dst, &arp->sender_mac, vlan, RTE_ETHER_TYPE_ARP);
	min = len - RTE_ETHER_HDR_LEN + RTE_ETHER_MIN_LEN - RTE_ETHER_CRC_LEN;
	hdr = (struct rte_arp_hdr *)(frame + len);
	hdr->arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER);
	hdr->arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	hdr->arp_hlen = RTE_ETHER_ADDR_LEN;
	hdr->arp_plen = sizeof(rte_be32_t);
	hdr->arp_opcode = rte_cpu_to_be_16(arp->is_request ? RTE_ARP_OP_REQUEST : RTE_ARP_OP_REPLY);
	hdr->arp_data.arp_sha = arp->sender_mac;
	hdr->arp_data.arp_sip = arp->sender_ip;
	hdr->arp_data.arp_tha = arp->target_mac;
	hdr->arp_data.arp_tip = arp->target_ip;
	len += sizeof(*hdr);
	if (len < min) {
		memset(frame + len, 0, min - len);
		len = min;
	}
	return len;
}
