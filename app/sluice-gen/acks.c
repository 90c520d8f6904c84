/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <rte_ethdev.h>

#include <sl_net.h>
#include <sl_wire.h>

#include "acks.h"
#include "arp.h"

#define BURST 32

/* The UDP payload of a frame to the generator; NULL: it is something else. */
static const uint8_t *
payload_of(const struct port *port, const struct tx *tx, const uint8_t *data, uint32_t len,
	uint16_t *payload_len)
{
	const struct sl_net_station station = port_station(port);
	const struct rte_ipv4_hdr *ip;
	struct sl_net_eth eth;
	struct sl_net_ip ip4;
	struct sl_net_udp udp;

	if (sl_net_check_eth(data, len, &station, &eth) != SL_NET_OK ||
		eth.type != RTE_ETHER_TYPE_IPV4)
		return NULL;
	data += eth.len;
	len -= eth.len;
	ip = (const struct rte_ipv4_hdr *)data;
	if (sl_net_check_ip4(data, len, port->address, 0, &ip4) != SL_NET_OK ||
		ip4.proto != IPPROTO_UDP)
		return NULL;
	data += ip4.header_len;
	if (sl_net_check_udp(data, ip4.payload_len, ip,
		    rte_cpu_to_be_16(tx->packer.params.src_port), 0, &udp) != SL_NET_OK)
		return NULL;
	*payload_len = udp.payload_len;
	return data + sizeof(struct rte_udp_hdr);
}

unsigned int
acks_poll(struct port *port, struct rte_mempool *pool, struct tx *tx, uint64_t now_ns)
{
	struct rte_mbuf *mbufs[BURST];
	struct sl_wire_ack ack;
	const uint8_t *data;
	uint16_t nb, len;

	nb = rte_eth_rx_burst(port->id, 0, mbufs, BURST);
	for (uint16_t i = 0; i < nb; i++) {
		data = rte_pktmbuf_mtod(mbufs[i], const uint8_t *);
		if (arp_input(port, pool, data, mbufs[i]->data_len))
			continue;
		data = payload_of(port, tx, data, mbufs[i]->data_len, &len);
		if (data != NULL && sl_wire_parse_ack_fast(data, len, &ack))
			tx_acked(tx, &ack, now_ns);
	}
	if (nb > 0)
		rte_pktmbuf_free_bulk(mbufs, nb);
	return nb;
}
