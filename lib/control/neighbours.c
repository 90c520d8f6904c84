/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "neighbours_internal.h"

/* Frames handled in one poll: the rest waits a millisecond, in a bounded ring. */
#define PUNT_BURST 64

/* Next hops whose time is looked at in one poll, so that a large table does not stop the thread. */
#define TICK_BURST 256

/* A switch forgets a group after 260 seconds (RFC 3810, 9.4), also where nobody asks for it. */
#define REPORT_EVERY_MS 100000

/* A next hop that no backend is reached through. */
#define NO_PORT UINT32_MAX

static int
compare_hops(const struct sl_datapath_next_hop *x, const struct sl_datapath_next_hop *y)
{
	int order = sl_ip_compare(&x->ip, &y->ip);

	return order != 0 ? order
			  : (x->port_index > y->port_index) - (x->port_index < y->port_index);
}

static int
compare_numbers(const void *a, const void *b, void *hops)
{
	const struct sl_datapath_next_hop *h = hops;

	return compare_hops(&h[*(const uint32_t *)a], &h[*(const uint32_t *)b]);
}

/* Place in `sorted` of the first next hop that is not below this one; nb_sorted: behind all. */
static uint32_t
find_place(const struct sl_neighbours *n, const struct sl_datapath_next_hop *hop)
{
	uint32_t low = 0, high = n->nb_sorted, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (compare_hops(&n->hops[n->sorted[middle]], hop) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
set_static(struct sl_neighbours *n, const struct sl_config_neighbour *fixed)
{
	const struct sl_datapath_next_hop first = {.ip = fixed->address};
	uint32_t hop;

	for (uint32_t at = find_place(n, &first);
		at < n->nb_sorted && sl_ip_equal(&n->hops[n->sorted[at]].ip, &fixed->address);
		at++) {
		hop = n->sorted[at];
		sl_neigh_init_static(&n->neighs[hop], &fixed->mac);
		sl_datapath_set_next_hop(n->datapath, hop, &fixed->mac);
	}
}

static bool
is_configured(const struct sl_config *config, const struct sl_ip *ip)
{
	for (uint32_t i = 0; i < config->nb_neighbours; i++) {
		if (sl_ip_equal(&config->neighbours[i].address, ip))
			return true;
	}
	return false;
}

/* Of a next hop that was there before, what is known is kept. */
static void
adopt_hop(struct sl_neighbours *n, const struct sl_neighbours *old, uint32_t hop, uint64_t now_ms)
{
	if (n->hops[hop].port_index == NO_PORT)
		return;
	n->sorted[n->nb_sorted++] = hop;
	if (hop < old->nb_hops && compare_hops(&n->hops[hop], &old->hops[hop]) == 0 &&
		(old->neighs[hop].state != SL_NEIGH_STATIC ||
			is_configured(n->config, &n->hops[hop].ip))) {
		n->neighs[hop] = old->neighs[hop];
		return;
	}
	sl_neigh_init(&n->neighs[hop], now_ms);
	sl_datapath_set_next_hop(n->datapath, hop, NULL);
}

static void
free_tables(struct sl_neighbours *n)
{
	free(n->hops);
	free(n->neighs);
	free(n->sorted);
}

int
sl_neighbours_apply(struct sl_neighbours *n, const struct sl_config *config, uint64_t now_ms)
{
	const struct sl_datapath_next_hop *hops;
	struct sl_neighbours old = *n;

	n->config = config;
	n->params.reachable_ms = config->arp_reachable_ms;
	n->params.retry_ms = config->arp_retry_ms;
	n->params.retry_max_ms = config->arp_retry_max_ms;
	n->params.max_tries = config->arp_max_tries;
	n->nb_sorted = 0;
	n->nb_hops = sl_datapath_next_hops(n->datapath, &hops);
	n->hops = calloc(n->nb_hops + 1, sizeof(*n->hops));
	n->neighs = calloc(n->nb_hops + 1, sizeof(*n->neighs));
	n->sorted = calloc(n->nb_hops + 1, sizeof(*n->sorted));
	if (n->hops == NULL || n->neighs == NULL || n->sorted == NULL) {
		free_tables(n);
		*n = old;
		n->config = config;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n->nb_hops; i++) {
		n->hops[i] = hops[i];
		adopt_hop(n, &old, i, now_ms);
	}
	qsort_r(n->sorted, n->nb_sorted, sizeof(*n->sorted), compare_numbers, n->hops);
	for (uint32_t i = 0; i < config->nb_neighbours; i++)
		set_static(n, &config->neighbours[i]);
	free_tables(&old);
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
	n->now_ms = now_ms;
	n->report_due_ms = now_ms + REPORT_EVERY_MS;
	if (sl_neighbours_apply(n, config, now_ms) != 0) {
		sl_neighbours_destroy(n);
		return NULL;
	}
	return n;
}

void
sl_neighbours_destroy(struct sl_neighbours *n)
{
	if (n == NULL)
		return;
	free_tables(n);
	free(n);
}

void
sl_neighbours_set_echo(struct sl_neighbours *n, sl_neighbours_echo_t callback, void *arg)
{
	n->echo = callback;
	n->echo_arg = arg;
}

void
sl_neighbours_announce(struct sl_neighbours *n)
{
	for (uint32_t port = 0; port < n->config->nb_ports; port++)
		neighbours_announce_port(n, port);
}

void
sl_neighbours_link(struct sl_neighbours *n, uint32_t port_index, bool is_up, uint64_t now_ms)
{
	if (!is_up)
		return;
	neighbours_announce_port(n, port_index);
	for (uint32_t i = 0; i < n->nb_hops; i++) {
		if (n->hops[i].port_index == port_index)
			sl_neigh_recheck(&n->neighs[i], now_ms);
	}
}

static void
report(const struct sl_neighbours *n, uint32_t hop, const char *what)
{
	char ip[SL_IP_STRLEN], line[160];

	sl_ip_format(&n->hops[hop].ip, ip);
	snprintf(line, sizeof(line), "neighbour %s on port %s %s", ip,
		n->config->ports[n->hops[hop].port_index].name, what);
	n->notify(n->notify_arg, line);
}

static void
tick(struct sl_neighbours *n, uint32_t hop, uint64_t now_ms)
{
	struct sl_neigh *neigh = &n->neighs[hop];
	enum sl_neigh_state before = neigh->state;
	enum sl_neigh_action action;

	if (!sl_datapath_is_port_up(n->datapath, n->hops[hop].port_index))
		return;
	action = sl_neigh_tick(neigh, &n->params, now_ms);
	if (action == SL_NEIGH_NOTHING)
		return;
	if (neigh->state == SL_NEIGH_FAILED && before != SL_NEIGH_FAILED) {
		sl_datapath_set_next_hop(n->datapath, hop, NULL);
		report(n, hop,
			sl_ip_is_v4(&n->hops[hop].ip)
				? "does not answer ARP: its backends are not chosen until it does"
				: "does not answer neighbour solicitations: its backends are not chosen until it does");
	}
	neighbours_ask(n, hop, action == SL_NEIGH_ASK_UNICAST);
}

/* Is a claim to be followed? `mac` is what it says, or what is known already. */
static bool
is_believed(const struct sl_neigh *neigh, const struct neighbour_claim *claim,
	struct rte_ether_addr *mac)
{
	bool is_known = sl_neigh_is_usable(neigh);

	if (!claim->has_mac && !is_known)
		return false;
	*mac = claim->has_mac ? claim->mac : neigh->mac;
	if (!is_known)
		return true;
	/* RFC 4861, 7.2.5: no answer confirms nothing, and only an override changes it. */
	if (rte_is_same_ether_addr(mac, &neigh->mac))
		return claim->is_answer;
	return claim->is_override;
}

void
neighbours_learn(struct sl_neighbours *n, uint32_t port_index, const struct neighbour_claim *claim)
{
	const struct sl_datapath_next_hop wanted = {.port_index = port_index, .ip = claim->ip};
	char text[RTE_ETHER_ADDR_FMT_SIZE], what[64];
	uint32_t at = find_place(n, &wanted), hop;
	struct rte_ether_addr mac;

	if (at == n->nb_sorted || compare_hops(&n->hops[n->sorted[at]], &wanted) != 0)
		return;
	hop = n->sorted[at];
	if (!is_believed(&n->neighs[hop], claim, &mac) ||
		!sl_neigh_confirm(&n->neighs[hop], &n->params, &mac, n->now_ms))
		return;
	sl_datapath_set_next_hop(n->datapath, hop, &mac);
	rte_ether_format_addr(text, sizeof(text), &mac);
	snprintf(what, sizeof(what), "is at %s", text);
	report(n, hop, what);
}

void
sl_neighbours_poll(struct sl_neighbours *n, uint64_t now_ms)
{
	struct sl_datapath_punt punts[PUNT_BURST];
	uint32_t nb;

	n->now_ms = now_ms;
	nb = sl_datapath_receive(n->datapath, punts, PUNT_BURST);
	for (uint32_t i = 0; i < nb; i++)
		neighbours_handle(n, &punts[i]);
	for (uint32_t i = 0; i < TICK_BURST && i < n->nb_sorted; i++) {
		if (n->next_tick >= n->nb_sorted)
			n->next_tick = 0;
		tick(n, n->sorted[n->next_tick++], now_ms);
	}
	if (now_ms < n->report_due_ms)
		return;
	n->report_due_ms = now_ms + REPORT_EVERY_MS;
	for (uint32_t port = 0; port < n->config->nb_ports; port++)
		neighbours_report_groups(n, port);
}

bool
sl_neighbours_get(const struct sl_neighbours *n, uint32_t index, struct sl_neighbour_info *info)
{
	const struct sl_neigh *neigh;
	uint32_t hop;

	if (index >= n->nb_sorted)
		return false;
	hop = n->sorted[index];
	neigh = &n->neighs[hop];
	memset(info, 0, sizeof(*info));
	info->ip = n->hops[hop].ip;
	info->port_index = n->hops[hop].port_index;
	info->state = sl_neigh_state_name(neigh->state);
	info->has_mac = sl_neigh_is_usable(neigh);
	if (info->has_mac)
		info->mac = neigh->mac;
	info->age_ms = neigh->seen_ms != 0 ? n->now_ms - neigh->seen_ms : UINT64_MAX;
	info->tries = neigh->tries;
	return true;
}

bool
sl_neighbours_find(const struct sl_neighbours *n, const struct sl_ip *ip, uint32_t port_index,
	struct sl_neighbour_info *info)
{
	const struct sl_datapath_next_hop hop = {.port_index = port_index, .ip = *ip};

	return sl_neighbours_get(n, find_place(n, &hop), info) && info->port_index == port_index &&
		sl_ip_equal(&info->ip, ip);
}
