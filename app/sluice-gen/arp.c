/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include <sl_arp.h>
#include <sl_net.h>

#include "arp.h"

#define POLL_BURST 32
#define ASK_MS	   200

static const struct rte_ether_addr broadcast = {
	.addr_bytes = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
};

static bool
is_own(const struct port *port, rte_be32_t ip)
{
	if (ip == 0 || ip == port->not_own)
		return false;
	return ip == port->address || (port->has_net && (ip & port->mask) == port->net);
}

static void
send_arp(const struct port *port, struct rte_mempool *pool, const struct rte_ether_addr *dst,
	const struct sl_arp *arp)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	if (m == NULL)
		return;
	m->data_len = (uint16_t)sl_arp_build(rte_pktmbuf_mtod(m, uint8_t *), dst, 0, arp);
	m->pkt_len = m->data_len;
	/* Lost in a full ring it is asked for again. */
	if (rte_eth_tx_burst(port->id, 0, &m, 1) == 0)
		rte_pktmbuf_free(m);
}

static bool
parse(const struct port *port, const uint8_t *data, uint32_t len, struct sl_arp *arp, bool *is_arp)
{
	const struct sl_net_station station = port_station(port);
	struct sl_net_eth eth;

	*is_arp = sl_net_check_eth(data, len, &station, &eth) == SL_NET_OK &&
		eth.type == RTE_ETHER_TYPE_ARP;
	return *is_arp && sl_arp_parse(data + eth.len, len - eth.len, arp);
}

static void
answer(struct port *port, struct rte_mempool *pool, const struct sl_arp *question)
{
	struct sl_arp arp = {
		.is_request = false,
		.sender_mac = port->mac,
		.sender_ip = question->target_ip,
		.target_mac = question->sender_mac,
		.target_ip = question->sender_ip,
	};

	/* Who asks for its own address announces itself or looks for a conflict. */
	if (!question->is_request || question->target_ip == question->sender_ip ||
		!is_own(port, question->target_ip))
		return;
	send_arp(port, pool, &question->sender_mac, &arp);
	port->nb_arp_answered++;
}

bool
arp_input(struct port *port, struct rte_mempool *pool, const uint8_t *data, uint32_t len)
{
	struct sl_arp arp;
	bool is_arp;

	if (parse(port, data, len, &arp, &is_arp))
		answer(port, pool, &arp);
	return is_arp;
}

/* Poll once; true when `ip` said where it is. */
static bool
poll_for(struct port *port, struct rte_mempool *pool, rte_be32_t ip, struct rte_ether_addr *mac)
{
	struct rte_mbuf *mbufs[POLL_BURST];
	struct sl_arp arp;
	bool is_arp, is_found = false;
	uint16_t nb;

	nb = rte_eth_rx_burst(port->id, 0, mbufs, POLL_BURST);
	for (uint16_t i = 0; i < nb; i++) {
		if (parse(port, rte_pktmbuf_mtod(mbufs[i], uint8_t *), mbufs[i]->data_len, &arp,
			    &is_arp)) {
			answer(port, pool, &arp);
			if (ip != 0 && arp.sender_ip == ip) {
				*mac = arp.sender_mac;
				is_found = true;
			}
		}
	}
	rte_pktmbuf_free_bulk(mbufs, nb);
	return is_found;
}

void
arp_poll(struct port *port, struct rte_mempool *pool)
{
	poll_for(port, pool, 0, NULL);
}

int
arp_resolve(struct port *port, struct port *others, unsigned int nb_others,
	struct rte_mempool *pool, rte_be32_t ip, uint32_t wait_ms, const volatile int *nb_signals,
	struct rte_ether_addr *mac)
{
	uint64_t now = rte_rdtsc(), ms = rte_get_tsc_hz() / 1000, end = now + ms * wait_ms;
	struct sl_arp question = {
		.is_request = true,
		.sender_mac = port->mac,
		.sender_ip = port->address,
		.target_ip = ip,
	};
	char text[INET_ADDRSTRLEN];
	uint64_t ask = now;

	for (; now < end; now = rte_rdtsc()) {
		if (*nb_signals != 0)
			return -EINTR;
		if (now >= ask) {
			send_arp(port, pool, &broadcast, &question);
			ask = now + ms * ASK_MS;
		}
		for (unsigned int i = 0; i < nb_others; i++) {
			if (poll_for(&others[i], pool, &others[i] == port ? ip : 0, mac))
				return 0;
		}
		rte_delay_us_sleep(100);
	}
	fprintf(stderr,
		"sluice-gen: port %s: %s does not answer ARP; check --dst-ip and --src-ip (both on "
		"the appliance's subnet), or give --dst-mac\n",
		port->name, inet_ntop(AF_INET, &ip, text, sizeof(text)));
	return -EHOSTUNREACH;
}
