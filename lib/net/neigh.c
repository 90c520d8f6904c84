/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <string.h>

#include <rte_common.h>

#include "sl_neigh.h"

void
sl_neigh_init(struct sl_neigh *neigh, uint64_t now_ms)
{
	memset(neigh, 0, sizeof(*neigh));
	neigh->state = SL_NEIGH_INCOMPLETE;
	neigh->due_ms = now_ms;
}

void
sl_neigh_init_static(struct sl_neigh *neigh, const struct rte_ether_addr *mac)
{
	memset(neigh, 0, sizeof(*neigh));
	neigh->state = SL_NEIGH_STATIC;
	neigh->mac = *mac;
	neigh->due_ms = UINT64_MAX;
}

static uint64_t
backoff_ms(const struct sl_neigh *neigh, const struct sl_neigh_params *params)
{
	uint32_t doublings = neigh->tries < params->max_tries
		? 0
		: RTE_MIN(neigh->tries - params->max_tries + 1, 16u);

	return RTE_MIN((uint64_t)params->retry_ms << doublings, (uint64_t)params->retry_max_ms);
}

enum sl_neigh_action
sl_neigh_tick(struct sl_neigh *neigh, const struct sl_neigh_params *params, uint64_t now_ms)
{
	enum sl_neigh_action action = SL_NEIGH_ASK_BROADCAST;

	if (now_ms < neigh->due_ms || neigh->state == SL_NEIGH_STATIC)
		return SL_NEIGH_NOTHING;
	if (neigh->state == SL_NEIGH_REACHABLE) {
		neigh->state = SL_NEIGH_PROBE;
		neigh->tries = 0;
	}
	if (neigh->tries >= params->max_tries)
		neigh->state = SL_NEIGH_FAILED;
	if (neigh->state == SL_NEIGH_PROBE)
		action = SL_NEIGH_ASK_UNICAST;
	neigh->due_ms = now_ms + backoff_ms(neigh, params);
	if (neigh->tries < UINT32_MAX)
		neigh->tries++;
	return action;
}

bool
sl_neigh_confirm(struct sl_neigh *neigh, const struct sl_neigh_params *params,
	const struct rte_ether_addr *mac, uint64_t now_ms)
{
	bool is_news = !sl_neigh_is_usable(neigh) || !rte_is_same_ether_addr(&neigh->mac, mac);

	if (neigh->state == SL_NEIGH_STATIC)
		return false;
	neigh->state = SL_NEIGH_REACHABLE;
	neigh->mac = *mac;
	neigh->tries = 0;
	neigh->due_ms = now_ms + params->reachable_ms;
	neigh->seen_ms = now_ms;
	return is_news;
}

void
sl_neigh_recheck(struct sl_neigh *neigh, uint64_t now_ms)
{
	if (neigh->state == SL_NEIGH_STATIC)
		return;
	if (neigh->state == SL_NEIGH_FAILED)
		neigh->state = SL_NEIGH_INCOMPLETE;
	neigh->tries = 0;
	neigh->due_ms = now_ms;
}

const char *
sl_neigh_state_name(enum sl_neigh_state state)
{
	switch (state) {
	case SL_NEIGH_INCOMPLETE:
		return "incomplete";
	case SL_NEIGH_REACHABLE:
		return "reachable";
	case SL_NEIGH_PROBE:
		return "probe";
	case SL_NEIGH_FAILED:
		return "failed";
	case SL_NEIGH_STATIC:
		return "static";
	}
	return "unknown";
}
