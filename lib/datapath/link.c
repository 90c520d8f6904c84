/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/*
 * Follows the links of the ports; for the control thread. A port that is down has no room for
 * dispatch: its backends are not chosen, and messages wait for those that can be reached.
 */

#define POLL_UP_MS 100

/* While it is down messages wait that could go at once when it is back. */
#define POLL_DOWN_MS 5

static bool
has_link(const struct dp_port *port)
{
	struct rte_eth_link link = {0};

	/* A port that cannot tell counts as up: what it does not take stays pending. */
	if (rte_eth_link_get_nowait(port->port_id, &link) != 0)
		return true;
	return link.link_status == RTE_ETH_LINK_UP;
}

void
dp_links_begin(struct sl_datapath *dp)
{
	for (uint32_t i = 0; i < dp->config->nb_ports; i++) {
		atomic_store_explicit(
			&dp->ports[i].is_up, has_link(&dp->ports[i]), memory_order_relaxed);
		dp->ports[i].link_due_ms = 0;
	}
}

bool
sl_datapath_is_port_up(const struct sl_datapath *dp, uint32_t port_index)
{
	return atomic_load_explicit(&dp->ports[port_index].is_up, memory_order_relaxed);
}

void
sl_datapath_poll_links(
	struct sl_datapath *dp, uint64_t now_ms, sl_datapath_link_t callback, void *arg)
{
	struct dp_port *port;
	bool is_up;

	if (!dp->is_running)
		return;
	for (uint32_t i = 0; i < dp->config->nb_ports; i++) {
		port = &dp->ports[i];
		if (now_ms < port->link_due_ms)
			continue;
		is_up = has_link(port);
		port->link_due_ms = now_ms + (is_up ? POLL_UP_MS : POLL_DOWN_MS);
		if (is_up == atomic_load_explicit(&port->is_up, memory_order_relaxed))
			continue;
		atomic_store_explicit(&port->is_up, is_up, memory_order_relaxed);
		port->link_changes++;
		callback(arg, i, is_up);
	}
}
