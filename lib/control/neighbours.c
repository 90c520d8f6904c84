/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_arp.h"
#include "sl_neigh.h"
#include "sl_neighbours.h"
#include "sl_net.h"

/* Frames handled in one poll: the rest waits a millisecond, in a bounded ring. */
#define PUNT_BURST 64

/* Next hops whose time is looked at in one poll, so that a large table does not stop the thread. */
#define TICK_BURST 256

/* How often an address conflict is worth a line. */
#define CONFLICT_EVERY_MS 10000

struct sl_neighbours {
	const struct sl_config *config;
	struct sl_datapath *datapath;
	struct sl_neigh_params params;
	sl_neighbours_notify_t notify;
	void *notify_arg;
	uint32_t nb_hops;		   /* Numbers in use and not. */
	uint32_t nb_used;		   /* In use. */
	uint32_t next_tick;		   /* Into by_ip. */
	struct sl_datapath_next_hop *hops; /* A copy: the datapath's own change. */
	struct sl_neigh *neighs;	   /* One a next hop. */
	uint32_t *by_ip;		   /* Numbers in use, sorted by address and port. */
	uint64_t conflict_ms;		   /* When a conflict was reported last. */
};

static int
compare_hops(const void *a, const void *b, void *hops)
{
	const struct sl_datapath_next_hop *x = (const struct sl_datapath_next_hop *)hops +
		*(const uint32_t *)a;
	const struct sl_datapath_next_hop *y = (const struct sl_datapath_next_hop *)hops +
		*(const uint32_t *)b;

	int order = sl_ip_compare(&x->ip, &y->ip);

	if (order != 0)
		return order;
	return (x->port_index > y->port_index) - (x->port_index < y->port_index);
}

/* Place in `by_ip` of the first next hop of this address; nb_used when there is none. */
static uint32_t
find_ip(const struct sl_neighbours *n, const struct sl_ip *ip)
{
	uint32_t low = 0, high = n->nb_used, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (sl_ip_compare(&n->hops[n->by_ip[middle]].ip, ip) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n->nb_used && sl_ip_equal(&n->hops[n->by_ip[low]].ip, ip) ? low : n->nb_used;
}

static void
set_static(struct sl_neighbours *n, const struct sl_config_neighbour *fixed)
{
	for (uint32_t at = find_ip(n, &fixed->address);
		at < n->nb_used && sl_ip_equal(&n->hops[n->by_ip[at]].ip, &fixed->address); at++) {
		sl_neigh_init_static(&n->neighs[n->by_ip[at]], &fixed->mac);
		sl_datapath_set_next_hop(n->datapath, n->by_ip[at], &fixed->mac);
	}
}

/* What is known of a next hop that was there before, at the same number. */
static bool
is_known(const struct sl_neighbours *n, const struct sl_datapath_next_hop *hops, uint32_t index)
{
	return index < n->nb_hops && n->hops[index].port_index == hops[index].port_index &&
		sl_ip_equal(&n->hops[index].ip, &hops[index].ip);
}

int
sl_neighbours_update(struct sl_neighbours *n, const struct sl_config *config, uint64_t now_ms)
{
	const struct sl_datapath_next_hop *now_there;
	uint32_t nb = sl_datapath_next_hops(n->datapath, &now_there), nb_used = 0;
	struct sl_datapath_next_hop *hops = calloc(nb + 1, sizeof(*hops));
	struct sl_neigh *neighs = calloc(nb + 1, sizeof(*neighs));
	uint32_t *by_ip = calloc(nb + 1, sizeof(*by_ip));

	if (hops == NULL || neighs == NULL || by_ip == NULL) {
		free(hops);
		free(neighs);
		free(by_ip);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < nb; i++) {
		hops[i] = now_there[i];
		if (hops[i].port_index == UINT32_MAX)
			continue;
		by_ip[nb_used++] = i;
		if (is_known(n, hops, i))
			neighs[i] = n->neighs[i];
		else
			sl_neigh_init(&neighs[i], now_ms);
	}
	qsort_r(by_ip, nb_used, sizeof(*by_ip), compare_hops, hops);
	free(n->hops);
	free(n->neighs);
	free(n->by_ip);
	n->hops = hops;
	n->neighs = neighs;
	n->by_ip = by_ip;
	n->nb_hops = nb;
	n->nb_used = nb_used;
	n->config = config;
	for (uint32_t i = 0; i < config->nb_neighbours; i++)
		set_static(n, &config->neighbours[i]);
	return 0;
}

struct sl_neighbours *
sl_neighbours_create(const struct sl_config *config, struct sl_datapath *datapath,
	sl_neighbours_notify_t notify, void *notify_arg, uint64_t now_ms)
{
	struct sl_neighbours *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->datapath = datapath;
	n->notify = notify;
	n->notify_arg = notify_arg;
	n->params.reachable_ms = config->arp_reachable_ms;
	n->params.retry_ms = config->arp_retry_ms;
	n->params.retry_max_ms = config->arp_retry_max_ms;
	n->params.max_tries = config->arp_max_tries;
	if (sl_neighbours_update(n, config, now_ms) == 0)
		return n;
	sl_neighbours_destroy(n);
	return NULL;
}

void
sl_neighbours_destroy(struct sl_neighbours *n)
{
	if (n == NULL)
		return;
	free(n->hops);
	free(n->neighs);
	free(n->by_ip);
	free(n);
}

static rte_be32_t
own_v4(const struct sl_neighbours *n, uint32_t port_index)
{
	return sl_ip_v4(&n->config->ports[port_index].subnets[SL_IPV4].address);
}

static void
send_arp(struct sl_neighbours *n, uint32_t port_index, const struct rte_ether_addr *dst,
	const struct sl_arp *arp)
{
	struct rte_mbuf *m = sl_datapath_alloc(n->datapath);
	size_t len;

	/* Without a buffer the request is simply lost, and repeated when its time comes. */
	if (m == NULL)
		return;
	len = sl_arp_build(
		rte_pktmbuf_mtod(m, uint8_t *), dst, n->config->ports[port_index].vlan, arp);
	m->data_len = (uint16_t)len;
	m->pkt_len = (uint32_t)len;
	sl_datapath_send(n->datapath, port_index, m);
}

static const struct rte_ether_addr broadcast = {
	.addr_bytes = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
};

static void
ask(struct sl_neighbours *n, uint32_t index, bool is_unicast)
{
	uint32_t port = n->hops[index].port_index;
	struct sl_arp arp = {
		.is_request = true,
		.sender_mac = *sl_datapath_port_mac(n->datapath, port),
		.sender_ip = own_v4(n, port),
		.target_ip = sl_ip_v4(&n->hops[index].ip),
	};

	send_arp(n, port, is_unicast ? &n->neighs[index].mac : &broadcast, &arp);
}

void
sl_neighbours_announce(struct sl_neighbours *n)
{
	for (uint32_t port = 0; port < n->config->nb_ports; port++) {
		struct sl_arp arp = {
			.is_request = true,
			.sender_mac = *sl_datapath_port_mac(n->datapath, port),
			.sender_ip = own_v4(n, port),
			.target_ip = own_v4(n, port),
		};

		send_arp(n, port, &broadcast, &arp);
	}
}

static void
report(const struct sl_neighbours *n, uint32_t index, const char *what)
{
	char ip[SL_IP_STRLEN], line[160];

	sl_ip_format(&n->hops[index].ip, ip);
	snprintf(line, sizeof(line), "neighbour %s on port %s %s", ip,
		n->config->ports[n->hops[index].port_index].name, what);
	n->notify(n->notify_arg, line);
}

static void
tick(struct sl_neighbours *n, uint32_t index, uint64_t now_ms)
{
	struct sl_neigh *neigh = &n->neighs[index];
	enum sl_neigh_state before = neigh->state;
	enum sl_neigh_action action = sl_neigh_tick(neigh, &n->params, now_ms);

	if (action == SL_NEIGH_NOTHING)
		return;
	if (neigh->state == SL_NEIGH_FAILED && before != SL_NEIGH_FAILED) {
		sl_datapath_set_next_hop(n->datapath, index, NULL);
		report(n, index, "does not answer ARP: its backends are not chosen until it does");
	}
	ask(n, index, action == SL_NEIGH_ASK_UNICAST);
}

/* Somebody told where he is: believed only of those we want to reach. */
static void
learn(struct sl_neighbours *n, uint32_t port_index, const struct sl_arp *arp, uint64_t now_ms)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE], what[64];
	struct sl_ip ip = sl_ip_from_v4(arp->sender_ip);
	uint32_t at = find_ip(n, &ip), hop;

	while (at < n->nb_used && sl_ip_equal(&n->hops[n->by_ip[at]].ip, &ip) &&
		n->hops[n->by_ip[at]].port_index != port_index)
		at++;
	if (at == n->nb_used || !sl_ip_equal(&n->hops[n->by_ip[at]].ip, &ip))
		return;
	hop = n->by_ip[at];
	if (!sl_neigh_confirm(&n->neighs[hop], &n->params, &arp->sender_mac, now_ms))
		return;
	sl_datapath_set_next_hop(n->datapath, hop, &arp->sender_mac);
	rte_ether_format_addr(mac, sizeof(mac), &arp->sender_mac);
	snprintf(what, sizeof(what), "is at %s", mac);
	report(n, hop, what);
}

/* Another station uses a port's address (RFC 5227, 2.4): no reply helps, but somebody should know.
 */
static void
report_conflict(
	struct sl_neighbours *n, uint32_t port_index, const struct sl_arp *arp, uint64_t now_ms)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE], ip[INET_ADDRSTRLEN], line[200];

	if (n->conflict_ms != 0 && now_ms - n->conflict_ms < CONFLICT_EVERY_MS)
		return;
	n->conflict_ms = now_ms;
	rte_ether_format_addr(mac, sizeof(mac), &arp->sender_mac);
	inet_ntop(AF_INET, &arp->sender_ip, ip, sizeof(ip));
	snprintf(line, sizeof(line),
		"%s uses the address %s of port %s, too: give one of the two another", mac, ip,
		n->config->ports[port_index].name);
	n->notify(n->notify_arg, line);
}

static void
handle_arp(struct sl_neighbours *n, const struct sl_datapath_punt *punt, uint64_t now_ms)
{
	rte_be32_t own = own_v4(n, punt->port_index);
	const uint8_t *frame = rte_pktmbuf_mtod(punt->mbuf, const uint8_t *);
	struct sl_arp arp, answer;

	if (!sl_arp_parse(frame + punt->eth_len, punt->mbuf->data_len - punt->eth_len, &arp)) {
		sl_datapath_drop(n->datapath, punt->mbuf, SL_FRAME_DROP_arp_malformed);
		return;
	}
	if (arp.sender_ip == own &&
		!rte_is_same_ether_addr(
			&arp.sender_mac, sl_datapath_port_mac(n->datapath, punt->port_index)))
		report_conflict(n, punt->port_index, &arp, now_ms);
	learn(n, punt->port_index, &arp, now_ms);
	if (arp.target_ip != own) {
		sl_datapath_drop(n->datapath, punt->mbuf, SL_FRAME_DROP_arp_not_for_us);
		return;
	}
	rte_pktmbuf_free(punt->mbuf);
	if (!arp.is_request || arp.sender_ip == own)
		return;
	answer.is_request = false;
	answer.sender_mac = *sl_datapath_port_mac(n->datapath, punt->port_index);
	answer.sender_ip = own;
	answer.target_mac = arp.sender_mac;
	answer.target_ip = arp.sender_ip;
	send_arp(n, punt->port_index, &arp.sender_mac, &answer);
}

static void
handle_icmp(struct sl_neighbours *n, const struct sl_datapath_punt *punt)
{
	struct rte_mbuf *m = punt->mbuf;

	if (!sl_net_icmp_reply(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, punt->eth_len,
		    sl_datapath_port_mac(n->datapath, punt->port_index))) {
		sl_datapath_drop(n->datapath, m, SL_FRAME_DROP_icmp_not_echo);
		return;
	}
	m->ol_flags = 0;
	sl_datapath_send(n->datapath, punt->port_index, m);
}

void
sl_neighbours_poll(struct sl_neighbours *n, uint64_t now_ms)
{
	struct sl_datapath_punt punts[PUNT_BURST];
	uint32_t nb = sl_datapath_receive(n->datapath, punts, PUNT_BURST);

	for (uint32_t i = 0; i < nb; i++) {
		if (punts[i].type == RTE_ETHER_TYPE_ARP)
			handle_arp(n, &punts[i], now_ms);
		else
			handle_icmp(n, &punts[i]);
	}
	for (uint32_t i = 0; i < TICK_BURST && i < n->nb_used; i++) {
		if (n->next_tick >= n->nb_used)
			n->next_tick = 0;
		tick(n, n->by_ip[n->next_tick++], now_ms);
	}
}
