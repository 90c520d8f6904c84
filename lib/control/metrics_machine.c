/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stddef.h>
#include <stdio.h>

#include <rte_common.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mempool.h>

#include "metrics.h"

#define FIELD(name, type, text, structure, member)                                                 \
	{                                                                                          \
		name, type, text, offsetof(struct structure, member)                               \
	}

/* A number of 64 bits in a structure. */
struct field {
	const char *name;
	enum metrics_type type;
	const char *help;
	size_t offset;
};

static void
put_field(struct metrics_text *text, const struct metrics_labels *labels, const struct field *field,
	const void *structure)
{
	metrics_u64(text, labels, *(const uint64_t *)((const char *)structure + field->offset));
}

static void
of_nodes(struct metrics_text *text, const struct sl_datapath_stats *stats)
{
	static const struct field fields[] = {
		FIELD("sluice_node_calls", METRICS_COUNTER,
			"Calls of a node of the graph; sources are called in every turn.",
			sl_node_stats, calls),
		FIELD("sluice_node_objects", METRICS_COUNTER,
			"Frames or messages that a node has handled.", sl_node_stats, objects),
		FIELD("sluice_node_cycles", METRICS_COUNTER, "TSC cycles that a node has taken.",
			sl_node_stats, cycles),
	};

	for (unsigned int f = 0; f < RTE_DIM(fields); f++) {
		metrics_family(text, fields[f].name, fields[f].type, fields[f].help);
		for (uint32_t i = 0; i < stats->nb_nodes; i++) {
			struct metrics_labels labels = {.len = 0};

			metrics_label(&labels, "node", stats->nodes[i].name);
			put_field(text, &labels, &fields[f], &stats->nodes[i]);
		}
	}
}

static void
of_lcores(struct metrics_text *text, const struct metrics_source *source)
{
	static const struct field fields[] = {
		FIELD("sluice_lcore_busy_cycles", METRICS_COUNTER,
			"TSC cycles of turns that moved something.", sl_lcore_stats, busy_cycles),
		FIELD("sluice_lcore_idle_cycles", METRICS_COUNTER,
			"TSC cycles of turns that moved nothing, naps not counted.", sl_lcore_stats,
			idle_cycles),
		FIELD("sluice_lcore_frames_received", METRICS_COUNTER,
			"Frames an lcore has taken from ports.", sl_lcore_stats, frames),
		FIELD("sluice_lcore_messages_delivered", METRICS_COUNTER,
			"Messages an lcore has handed to ports.", sl_lcore_stats, messages),
		FIELD("sluice_lcore_messages_queued", METRICS_GAUGE, "Messages that wait on it.",
			sl_lcore_stats, queued),
	};
	struct sl_lcore_stats lcores[RTE_MAX_LCORE];
	uint32_t n = sl_datapath_get_lcores(source->datapath, lcores, RTE_DIM(lcores));
	char number[16];

	for (unsigned int f = 0; f < RTE_DIM(fields); f++) {
		metrics_family(text, fields[f].name, fields[f].type, fields[f].help);
		for (uint32_t i = 0; i < n; i++) {
			struct metrics_labels labels = {.len = 0};

			snprintf(number, sizeof(number), "%u", lcores[i].lcore);
			metrics_label(&labels, "lcore", number);
			put_field(text, &labels, &fields[f], &lcores[i]);
		}
	}
}

static void
of_port_counters(struct metrics_text *text, const struct metrics_labels *labels,
	const struct rte_eth_stats *stats, uint32_t n)
{
	static const struct field fields[] = {
		FIELD("sluice_port_receive_frames", METRICS_COUNTER, "Frames received.",
			rte_eth_stats, ipackets),
		FIELD("sluice_port_transmit_frames", METRICS_COUNTER, "Frames sent.", rte_eth_stats,
			opackets),
		FIELD("sluice_port_receive_bytes", METRICS_COUNTER, "Bytes received.",
			rte_eth_stats, ibytes),
		FIELD("sluice_port_transmit_bytes", METRICS_COUNTER, "Bytes sent.", rte_eth_stats,
			obytes),
		FIELD("sluice_port_receive_missed", METRICS_COUNTER,
			"Frames lost because no lcore had taken those before.", rte_eth_stats,
			imissed),
		FIELD("sluice_port_receive_errors", METRICS_COUNTER, "Frames received in error.",
			rte_eth_stats, ierrors),
		FIELD("sluice_port_transmit_errors", METRICS_COUNTER, "Frames not sent.",
			rte_eth_stats, oerrors),
		FIELD("sluice_port_receive_no_buffer", METRICS_COUNTER,
			"Receptions without a buffer.", rte_eth_stats, rx_nombuf),
	};

	for (unsigned int f = 0; f < RTE_DIM(fields); f++) {
		metrics_family(text, fields[f].name, fields[f].type, fields[f].help);
		for (uint32_t i = 0; i < n; i++)
			put_field(text, &labels[i], &fields[f], &stats[i]);
	}
}

static void
of_links(struct metrics_text *text, const struct metrics_labels *labels,
	const struct sl_port_info *info, uint32_t n)
{
	uint32_t i;

	metrics_family(text, "sluice_port_up", METRICS_GAUGE, "1 while the link is up.");
	for (i = 0; i < n; i++)
		metrics_u64(text, &labels[i], info[i].is_up);
	metrics_family(text, "sluice_port_link_changes", METRICS_COUNTER,
		"How often the link has gone up or down.");
	for (i = 0; i < n; i++)
		metrics_u64(text, &labels[i], info[i].link_changes);
	metrics_family(text, "sluice_port_speed_bytes", METRICS_GAUGE,
		"Bytes a second that the link can carry; no sample when it is not known.");
	for (i = 0; i < n; i++) {
		if (info[i].speed_mbps != UINT32_MAX && info[i].speed_mbps != 0)
			metrics_u64(text, &labels[i], info[i].speed_mbps * UINT64_C(125000));
	}
}

static void
of_ports(struct metrics_text *text, const struct metrics_source *source)
{
	struct metrics_labels labels[SL_CONFIG_PORTS_MAX] = {0};
	struct sl_port_info info[SL_CONFIG_PORTS_MAX] = {0};
	struct rte_eth_stats stats[SL_CONFIG_PORTS_MAX] = {0};
	uint32_t n = source->config->nb_ports;

	for (uint32_t i = 0; i < n; i++) {
		metrics_label(&labels[i], "port", source->config->ports[i].name);
		sl_datapath_get_port(source->datapath, i, &info[i]);
		/* A driver without statistics leaves zeros. */
		(void)rte_eth_stats_get(info[i].port_id, &stats[i]);
	}
	of_port_counters(text, labels, stats, n);
	of_links(text, labels, info, n);
}

static void
of_memory(struct metrics_text *text, const struct metrics_source *source)
{
	static const char *const parts[] = {"dedup", "queues", "routes", "backends", "mbufs"};
	struct sl_datapath_memory m;

	sl_datapath_get_memory(source->datapath, &m);
	const uint64_t bytes[RTE_DIM(parts)] = {m.dedup, m.sched, m.route, m.backends, m.mbufs};

	metrics_family(text, "sluice_memory_bytes", METRICS_GAUGE, "Memory taken, by part.");
	for (unsigned int i = 0; i < RTE_DIM(parts); i++) {
		struct metrics_labels labels = {.len = 0};

		metrics_label(&labels, "part", parts[i]);
		metrics_u64(text, &labels, bytes[i]);
	}
}

/* A sample of each pool of buffers or objects that the process has. */
struct pools {
	struct metrics_text *text;
	bool is_size;
};

static void
add_pool(struct rte_mempool *pool, void *arg)
{
	struct metrics_labels labels = {.len = 0};
	struct pools *pools = arg;

	metrics_label(&labels, "pool", pool->name);
	metrics_u64(
		pools->text, &labels, pools->is_size ? pool->size : rte_mempool_avail_count(pool));
}

static void
of_pools(struct metrics_text *text)
{
	struct pools pools = {.text = text, .is_size = true};

	metrics_family(text, "sluice_mempool_size", METRICS_GAUGE,
		"Buffers (or other objects) that a pool has.");
	rte_mempool_walk(add_pool, &pools);
	pools.is_size = false;
	metrics_family(text, "sluice_mempool_available", METRICS_GAUGE,
		"Buffers (or other objects) of it that are free.");
	rte_mempool_walk(add_pool, &pools);
}

void
metrics_machine(struct metrics_text *text, const struct metrics_source *source,
	const struct sl_datapath_stats *stats)
{
	of_ports(text, source);
	of_nodes(text, stats);
	of_lcores(text, source);
	metrics_family(text, "sluice_tsc_hertz", METRICS_GAUGE, "TSC cycles in a second.");
	metrics_u64(text, NULL, stats->tsc_hz);
	of_memory(text, source);
	of_pools(text);
}
