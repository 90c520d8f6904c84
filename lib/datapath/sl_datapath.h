/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_DATAPATH_H
#define SL_DATAPATH_H

/**
 * @file
 * The packet path: ports, lcores, the graph they run, and its counters.
 *
 * One datapath a process (the nodes of rte_graph are global). The control thread creates it,
 * starts it, talks to it through the functions here, and stops it; the lcores belong to it in
 * between. No function but sl_datapath_create() and sl_datapath_stop() takes longer than reading
 * the counters of all lcores.
 *
 * Threads: all functions are for the control thread alone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "sl_config.h"
#include "sl_drop.h"
#include "sl_hist.h"

struct sl_datapath;

/**
 * Set up ports, memory, tables and one graph an lcore, as configured. EAL is initialized.
 *
 * @param config     kept by the caller until sl_datapath_destroy()
 * @param[out] error on failure one line: what is wrong and what would mend it
 * @return 0 or -errno; on failure everything is undone.
 */
int sl_datapath_create(const struct sl_config *config, struct sl_datapath **datapath, char *error,
	size_t error_len);

/** Start the ports and the lcores. @return 0 or -errno, with one line in @p error */
int sl_datapath_start(struct sl_datapath *datapath, char *error, size_t error_len);

/** Take no more frames in; what is in goes on. */
void sl_datapath_drain(struct sl_datapath *datapath);

/** Messages that are in and neither delivered nor dropped; UINT64_MAX when that cannot be told. */
uint64_t sl_datapath_in_flight(struct sl_datapath *datapath);

/** Stop the lcores and the ports; what still waits is dropped, counted as `shutdown`. */
void sl_datapath_stop(struct sl_datapath *datapath);

void sl_datapath_destroy(struct sl_datapath *datapath);

/** Lines for the log about what was chosen or clamped at creation; NULL behind the last. */
const char *sl_datapath_notice(const struct sl_datapath *datapath, unsigned int index);

/** @name Neighbours: resolved by the control thread, used by the workers. @{ */

/** A next hop some backend is reached through. */
struct sl_datapath_next_hop {
	uint32_t port_index; /**< Into the configured ports. */
	rte_be32_t ip;
};

/** @return their number; *next_hops is valid as long as the datapath */
uint32_t sl_datapath_next_hops(
	const struct sl_datapath *datapath, const struct sl_datapath_next_hop **next_hops);

/**
 * Publish where a next hop is, or with NULL that it cannot be reached: then its backends are not
 * chosen, and messages wait for those that can.
 */
void sl_datapath_set_next_hop(
	struct sl_datapath *datapath, uint32_t index, const struct rte_ether_addr *mac);

/** The link-layer address of a port. */
const struct rte_ether_addr *
sl_datapath_port_mac(const struct sl_datapath *datapath, uint32_t port_index);
/** @} */

/** @name Frames that are not messages. @{ */

/** A frame the path has handed to the control thread. */
struct sl_datapath_punt {
	struct rte_mbuf *mbuf; /**< Whole, from its Ethernet header; owned by the receiver. */
	uint32_t port_index;
	uint16_t eth_len; /**< Of the Ethernet header with its tag. */
	uint16_t type;	  /**< RTE_ETHER_TYPE_ARP or RTE_ETHER_TYPE_IPV4 (then ICMP). */
};

/** @return how many of at most @p max frames were taken */
uint32_t
sl_datapath_receive(struct sl_datapath *datapath, struct sl_datapath_punt *punts, uint32_t max);

/** A buffer for a frame to send; NULL when there is none. */
struct rte_mbuf *sl_datapath_alloc(struct sl_datapath *datapath);

/** Send a frame as it stands. Takes @p mbuf in any case. @return false when it was dropped */
bool sl_datapath_send(struct sl_datapath *datapath, uint32_t port_index, struct rte_mbuf *mbuf);

/** Count and free a frame that was of no use. */
void
sl_datapath_drop(struct sl_datapath *datapath, struct rte_mbuf *mbuf, enum sl_frame_drop reason);
/** @} */

/** @name Statistics. @{ */

struct sl_class_stats {
	uint64_t delivered;
	uint64_t dropped;
	uint64_t queued;
	struct sl_hist latency; /**< From reception to hand-over to the port, in ns. */
};

struct sl_destination_stats {
	uint64_t delivered;
	uint64_t duplicates;
	uint64_t queued;
	uint64_t dropped;
};

struct sl_node_stats {
	char name[64];
	uint64_t calls;
	uint64_t objects;
	uint64_t cycles;
};

#define SL_NODES_MAX 96

/**
 * A consistent picture: received = delivered + duplicates + queued + the sum of dropped, where
 * queued is counted where messages wait, not computed from the others.
 */
struct sl_datapath_stats {
	uint64_t frames_received;
	uint64_t frames_dropped[SL_FRAME_DROPS];
	uint64_t received;
	uint64_t delivered;
	uint64_t duplicates;
	uint64_t queued;
	uint64_t dropped[SL_MESSAGE_DROPS];
	uint64_t parse_slow;
	uint64_t dedup_entries;
	uint64_t dedup_evicted_early;
	uint64_t busy_cycles; /**< Of loop turns that moved something, over all lcores. */
	uint64_t idle_cycles;
	uint64_t tsc_hz;
	struct sl_class_stats classes[SL_CONFIG_CLASSES_MAX];
	uint32_t nb_nodes;
	struct sl_node_stats nodes[SL_NODES_MAX];
};

/** Read all counters. @return 0, or -ETIMEDOUT when an lcore has not answered for a second */
int sl_datapath_get_stats(struct sl_datapath *datapath, struct sl_datapath_stats *stats);

/** Read the counters of configured destination @p index; live, each correct by itself. */
void sl_datapath_get_destination_stats(
	struct sl_datapath *datapath, uint32_t index, struct sl_destination_stats *stats);

/** Bytes taken by tables: windows, queues, routes, backends. */
struct sl_datapath_memory {
	uint64_t dedup;
	uint64_t sched;
	uint64_t route;
	uint64_t backends;
	uint64_t mbufs;
	uint32_t nb_mbufs;
	uint32_t mbuf_bytes; /**< Of one, with its buffer. */
};

void sl_datapath_get_memory(const struct sl_datapath *datapath, struct sl_datapath_memory *memory);
/** @} */

#endif /* SL_DATAPATH_H */
