/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <rte_errno.h>
#include <rte_lcore.h>

#include "apply.h"

/* What there is to see of ports, lcores and the graph; for the control thread. */

static void
get_queues(const struct dp_port *port, struct sl_port_info *info)
{
	struct rte_eth_rxq_info rxq;
	struct rte_eth_txq_info txq;
	struct rte_eth_conf conf;

	info->nb_rxqs = port->nb_rxqs;
	info->nb_txqs = port->nb_txqs;
	/* Not every driver tells; then the figures stay 0. */
	if (rte_eth_rx_queue_info_get(port->port_id, 0, &rxq) == 0)
		info->nb_rx_descriptors = rxq.nb_desc;
	if (rte_eth_tx_queue_info_get(port->port_id, 0, &txq) == 0)
		info->nb_tx_descriptors = txq.nb_desc;
	if (rte_eth_dev_conf_get(port->port_id, &conf) == 0) {
		info->rx_offloads = conf.rxmode.offloads;
		info->tx_offloads = conf.txmode.offloads;
	}
}

void
sl_datapath_get_port(struct sl_datapath *dp, uint32_t port_index, struct sl_port_info *info)
{
	const struct dp_port *port = &dp->ports[port_index];
	struct rte_eth_dev_info dev;
	struct rte_eth_link link;

	memset(info, 0, sizeof(*info));
	info->port_id = port->port_id;
	info->mac = port->station.mac;
	info->mtu = port->mtu;
	info->socket_id = rte_eth_dev_socket_id(port->port_id);
	if (rte_eth_dev_info_get(port->port_id, &dev) == 0)
		snprintf(info->driver, sizeof(info->driver), "%s", dev.driver_name);
	memset(&link, 0, sizeof(link));
	if (rte_eth_link_get_nowait(port->port_id, &link) == 0) {
		info->is_up = link.link_status == RTE_ETH_LINK_UP;
		info->speed_mbps = link.link_speed;
		info->is_full_duplex = link.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
	}
	info->link_changes = port->link_changes;
	get_queues(port, info);
}

/* The partitions of destinations, each with the worker that owns it. */
static void
count_shards(const struct sl_datapath *dp, struct sl_lcore_stats *stats, uint32_t max)
{
	for (uint32_t i = 0; i < dp->control->nb_destinations; i++) {
		const struct dp_destination *d = dp_destination_at(dp, i);

		for (uint32_t p = 0; p < d->partitions; p++) {
			uint32_t owner = dp_owner(dp, d->first_shard + p)->index;

			if (owner < max)
				stats[owner].nb_shards++;
		}
	}
}

static void
get_lcore(const struct dp_lcore *lcore, struct sl_lcore_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->lcore = lcore->id;
	stats->cpu = (uint32_t)rte_lcore_to_cpu_id((int)lcore->id);
	stats->roles = lcore->roles;
	stats->nb_rxqs = (uint32_t)lcore->rx_sides[RX_WIRE].nb_rxqs +
		lcore->rx_sides[RX_GATEWAYS].nb_rxqs;
	stats->busy_cycles = atomic_load_explicit(&lcore->busy_cycles, memory_order_relaxed);
	stats->idle_cycles = atomic_load_explicit(&lcore->idle_cycles, memory_order_relaxed);
	stats->frames = __atomic_load_n(&lcore->rx.frames, __ATOMIC_RELAXED);
	stats->messages = __atomic_load_n(&lcore->worker.delivered, __ATOMIC_RELAXED);
	if (lcore->sched != NULL)
		stats->queued = sl_sched_count(lcore->sched);
}

uint32_t
sl_datapath_get_lcores(struct sl_datapath *dp, struct sl_lcore_stats *stats, uint32_t max)
{
	uint32_t n = RTE_MIN(max, dp->nb_lcores);

	for (uint32_t i = 0; i < n; i++)
		get_lcore(dp->lcores[i], &stats[i]);
	count_shards(dp, stats, n);
	return n;
}

void
sl_datapath_get_load(struct sl_datapath *dp, struct sl_datapath_load *load)
{
	double ns_per_cycle = 1e9 / (double)dp->tsc_hz;
	uint64_t cycles = 0;

	memset(load, 0, sizeof(*load));
	for (uint32_t w = 0; w < dp->nb_workers; w++) {
		const struct dp_lcore *lcore = dp->workers[w];

		load->queued += sl_sched_count(lcore->sched);
		for (uint32_t c = 0; c < dp->config->nb_classes; c++) {
			load->delivered += lcore->latency[c].count;
			cycles += lcore->latency[c].sum;
		}
	}
	load->latency_sum_ns = (uint64_t)((double)cycles * ns_per_cycle);
}

int
sl_datapath_write_graph(struct sl_datapath *dp, FILE *out)
{
	/* All lcores of one role have the same. */
	return rte_graph_export(dp->lcores[0]->graph->name, out) == 0 ? 0 : -rte_errno;
}

bool
sl_datapath_is_running(const struct sl_datapath *dp)
{
	return dp->is_running;
}
