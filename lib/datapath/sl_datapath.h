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
 * Threads: all functions are for the control thread alone, but for those of publishers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "sl_config.h"
#include "sl_drop.h"
#include "sl_hist.h"
#include "sl_record_ring.h"
#include "sl_wire.h"

struct sl_datapath;

/**
 * Set up ports, memory, tables and one graph an lcore, as configured. EAL is initialized.
 *
 * @param config     what the path needs of it is copied
 * @param[out] error on failure one line: what is wrong and what would mend it
 * @return 0 or -errno; on failure everything is undone.
 */
int sl_datapath_create(const struct sl_config *config, struct sl_datapath **datapath, char *error,
	size_t error_len);

/**
 * Start the ports and the lcores; also again, after sl_datapath_stop().
 * @return 0 or -errno, with one line in @p error
 */
int sl_datapath_start(struct sl_datapath *datapath, char *error, size_t error_len);

/** Take no more frames in; what is in goes on. */
void sl_datapath_drain(struct sl_datapath *datapath);

/**
 * Messages that are in and neither delivered nor dropped, but for durable ones, which the journal
 * has; UINT64_MAX when that cannot be told.
 */
uint64_t sl_datapath_in_flight(struct sl_datapath *datapath);

/** Stop the lcores and the ports; what still waits is dropped, counted as `shutdown`. */
void sl_datapath_stop(struct sl_datapath *datapath);

void sl_datapath_destroy(struct sl_datapath *datapath);

/** Have all lcores taken over what sl_datapath_apply() was given last? */
bool sl_datapath_is_settled(const struct sl_datapath *datapath);

/**
 * Take over another configuration, whole or not at all, while messages go on: destinations,
 * backends, rules, and the shares and waits of classes. Destinations and backends that keep their
 * names keep their queues, counters and shares. A destination that is gone takes no new messages
 * and delivers what it has, for up to drain_timeout_ms, to the backends it had; what is left is
 * dropped as `destination_removed`.
 *
 * The change reaches the lcores as one immutable snapshot (rte_rcu_qsbr): workers first, then those
 * that receive. They are waited for, but for a second only: what takes longer goes on in
 * sl_datapath_poll(), and sl_datapath_is_settled() tells when it is through. Indexes of
 * destinations and backends, here and in every function below, are those of the configuration
 * applied last. New backends have share 0 until sl_datapath_set_share().
 *
 * @param config  differs from the running one only in what sl_config_diff() does not mark as
 *                needing a restart
 * @return 0; -ENOSPC when it needs more room than `limits` keeps, -ENOMEM: nothing has changed;
 *         -EBUSY: an lcore has not taken over the last change yet, nothing has changed
 */
int sl_datapath_apply(struct sl_datapath *datapath, const struct sl_config *config, char *error,
	size_t error_len);

/** The link of a port has gone or come. */
typedef void (*sl_datapath_link_t)(void *arg, uint32_t port_index, bool is_up);

/**
 * Follow the links: tells when one has gone a tenth of a second after it at the latest, and when
 * it is back after 5 ms, when called every millisecond. Backends on a port that is down are not
 * chosen. How a link is when the path starts is no change: sl_datapath_is_port_up().
 */
void sl_datapath_poll_links(
	struct sl_datapath *datapath, uint64_t now_ms, sl_datapath_link_t callback, void *arg);

/** Was the link there when it was looked at last? */
bool sl_datapath_is_port_up(const struct sl_datapath *datapath, uint32_t port_index);

/** Housekeeping: frees what lcores have let go of. Call every 10 ms or so. */
void sl_datapath_poll(struct sl_datapath *datapath, uint64_t now_ms);

/** A full share: a backend takes all its weight is for. */
#define SL_DATAPATH_SHARE_ONE 256

/**
 * How much of its weight a backend may take now: 0 (none: it is not chosen) to
 * SL_DATAPATH_SHARE_ONE. Takes effect at once.
 */
void sl_datapath_set_share(
	struct sl_datapath *datapath, uint32_t destination, uint32_t backend, uint32_t share);

/** Lines for the log about what was chosen or clamped at creation; NULL behind the last. */
const char *sl_datapath_notice(const struct sl_datapath *datapath, unsigned int index);

/** @name Neighbours: resolved by the control thread, used by the workers. @{ */

/** A next hop some backend is reached through. */
struct sl_datapath_next_hop {
	uint32_t port_index; /**< Into the configured ports. */
	struct sl_ip ip;
};

/**
 * Next hops keep their index for as long as a backend is reached through them; one without a
 * backend has port_index UINT32_MAX.
 * @return their number, with unused ones; *next_hops is valid until sl_datapath_apply()
 */
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
	uint16_t type;	  /**< RTE_ETHER_TYPE_ARP, _IPV4 (then ICMP) or _IPV6 (then ICMPv6). */
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

/** @name Probes: datagrams with a Probe and no message. @{ */

struct sl_datapath_probe {
	uint32_t port_index;
	struct sl_ip from;
	uint16_t from_port; /**< Host order. */
	struct rte_ether_addr from_mac;
	uint64_t nonce;
	bool is_reply;
	uint32_t in_flight;
	uint64_t latency_ns;
	uint64_t received_ns; /**< CLOCK_MONOTONIC, when a worker took it from the port. */
};

/** @return how many of at most @p max probes were taken; the ring holds 1024, more are dropped */
uint32_t sl_datapath_receive_probes(
	struct sl_datapath *datapath, struct sl_datapath_probe *probes, uint32_t max);

/** Send a probe to a backend, as its messages go. @return false when it cannot be sent now */
bool sl_datapath_send_probe(
	struct sl_datapath *datapath, uint32_t destination, uint32_t backend, uint64_t nonce);

/** Answer a probe that is no reply; none from a broadcast or multicast address is answered. */
void sl_datapath_answer_probe(struct sl_datapath *datapath, const struct sl_datapath_probe *probe,
	uint32_t in_flight, uint64_t latency_ns);

/** Send an ICMP or ICMPv6 echo request to a backend. @return false when it cannot be sent now */
bool sl_datapath_send_echo(struct sl_datapath *datapath, uint32_t destination, uint32_t backend,
	uint16_t id, uint16_t sequence);
/** @} */

/** @name Durability: how the path and the journal meet. @{ */

/** The journal, as the workers see it. */
struct sl_datapath_journal {
	struct sl_record_ring *const *rings; /**< One a worker. */
	/** Keep the segment of a message until it is released; called by that worker, when the
	 * outcome is durable: see sl_journal_hold(). */
	void (*hold)(void *arg, uint32_t worker, sl_record_ref ref);
	void (*release)(void *arg, uint32_t worker, sl_record_ref ref);
	void *arg;
};

uint32_t sl_datapath_nb_workers(const struct sl_datapath *datapath);

/**
 * Give the path its journal, before it starts; required when the configuration has one.
 * @param journal  lives as long as the path
 */
void
sl_datapath_set_journal(struct sl_datapath *datapath, const struct sl_datapath_journal *journal);

/**
 * Queue a message that was found in the journal, on disk only; before the path starts, in the order
 * they came; of a topic's, what one of its subscribers is to get. Its segment is held already.
 * @return 0; 1: that subscriber is not there any more, it will be given up; -ESTALE: nor is the
 *         topic, and nobody will ask for it again; -ENOENT: its destination is not configured, or
 * is at-most-once now, or of another kind; -ENOSPC: journal.parked_capacity is too low
 */
int sl_datapath_restore(
	struct sl_datapath *datapath, const struct sl_record_message *record, sl_record_ref ref);

/** Let the dedup window know a message from before; before the path starts, oldest first. */
void sl_datapath_restore_seen(
	struct sl_datapath *datapath, const struct sl_record_message *record, uint64_t now_unix_ns);

/** Free what has been put; from time to time, or nothing is put any more. Control thread. */
void sl_datapath_free_notes(struct sl_datapath *datapath);
/**
 * Have a record put into the journal; while the path runs, by its first worker.
 * @param type   SL_RECORD_NAME or SL_RECORD_CONFIG
 * @param bytes  what follows struct sl_record in it; copied
 * @return 0; -EAGAIN: so many wait already, try again later; -ENOMEM
 */
int sl_datapath_note(
	struct sl_datapath *datapath, enum sl_record_type type, const void *bytes, uint32_t len);

/** Messages that are to be read back from the journal. */
struct dp_fetch;

/** The next of a worker's; for the one thread that reads them back. NULL: there is none. */
struct dp_fetch *sl_datapath_next_fetch(struct sl_datapath *datapath, uint32_t worker);
uint32_t sl_fetch_count(const struct dp_fetch *fetch);
sl_record_ref sl_fetch_ref(const struct dp_fetch *fetch, uint32_t index);
/**
 * @param record  NULL: it cannot be read; then the message is dropped as `unreadable`
 * @return false: there is no buffer for it now; it is to be put off
 */
bool sl_fetch_fill(struct dp_fetch *fetch, uint32_t index, const struct sl_record_message *record);
/**
 * This message and those behind it cannot be read now: they are asked for again, in another fetch.
 * @param wait_ms  not before
 */
void sl_fetch_put_off(struct dp_fetch *fetch, uint32_t index, uint32_t wait_ms);
/** All of them are filled, or put off. */
void
sl_datapath_return_fetch(struct sl_datapath *datapath, uint32_t worker, struct dp_fetch *fetch);
/** @} */

/**
 * @name Publishers: whose messages come in sessions, and who is told what is durable.
 *
 * A publisher is a slot of a table, named by its number; a message that came in its session carries
 * it. An rx lcore gives a session a slot when it first sees it, and takes it away when the session
 * has been silent for publishers.idle_ms. A session that comes by several rx lcores has a slot on
 * each. Slots are used again: who names one says which session is meant, too.
 *
 * There are none without a journal. Threads: the journal's, where nothing else is said; it waits
 * for nobody, and no lcore waits for it.
 * @{
 */

/** A slot in use. */
struct sl_datapath_publisher {
	uint64_t session;
	uint64_t source;      /**< Key of the source of its first message. */
	struct sl_ip address; /**< It was heard from last. */
	uint16_t udp_port;
	uint32_t port_index;
	uint64_t credit_limit;
	uint64_t messages;   /**< Taken in. */
	uint64_t over_limit; /**< Not taken in, because they were over its credit or rate. */
	uint64_t idle_ms;    /**< Since it was heard. */
};

/** Slots there are; 0: there is no journal. Any thread. */
uint32_t sl_datapath_nb_publishers(const struct sl_datapath *datapath);

/** Any thread. @return false: the slot is not in use */
bool sl_datapath_get_publisher(const struct sl_datapath *datapath, uint32_t number,
	struct sl_datapath_publisher *publisher);

struct sl_datapath_publishers {
	uint32_t sessions; /**< Slots in use. */
	uint32_t sessions_max;
	uint64_t expired;
	uint64_t turned_away; /**< Sessions there was no room for; again each second they come. */
	uint64_t over_limit;  /**< Messages; also of sessions that are gone. */
	uint64_t no_buffer;   /**< Acks that were put off because there was no buffer. */
};

/** All of them together; any thread. */
void sl_datapath_get_publishers(
	const struct sl_datapath *datapath, struct sl_datapath_publishers *publishers);

/**
 * Acknowledge: first its session may send up to the ack's credit_limit, then it is told. The credit
 * of a session never shrinks, but for what it may send before its first ack.
 * @return false: there is no buffer now, it has not been told. (True also when the slot is another
 *         session's by now: then there is nobody to tell.)
 */
bool sl_datapath_ack_publisher(
	struct sl_datapath *datapath, uint32_t number, const struct sl_wire_ack *ack);

/** Somebody an rx lcore does not know, or whose credit there it does not know. */
struct sl_datapath_stranger {
	uint64_t session;
	uint64_t source;
	uint64_t credit_limit; /**< To be filled in for sl_datapath_admit_stranger(). */
	struct sl_ip address;
	uint32_t table; /**< Which lcore asks. */
	uint16_t udp_port;
	uint16_t port_index;
	struct rte_ether_addr mac;
	bool has_slot; /**< It is known there, and sends beyond its credit. */
	uint8_t reserved;
};

/** Take the next question; there are at most 20,000 a second from an lcore. @return false: none */
bool sl_datapath_next_stranger(struct sl_datapath *datapath, struct sl_datapath_stranger *stranger);

/** The session is not known: tell so. @return false: there is no buffer now */
bool sl_datapath_refuse_stranger(
	struct sl_datapath *datapath, const struct sl_datapath_stranger *stranger);

/** The session is known: from now on that lcore takes its messages up to the credit limit. */
void sl_datapath_admit_stranger(
	struct sl_datapath *datapath, const struct sl_datapath_stranger *stranger);
/** @} */

/**
 * @name Gateways: threads that are no lcores, and are a source and a backend like any other.
 *
 * Each has a port of the path whose device is a pair of rings. What it puts into one is received
 * there, what is sent by that port comes out of the others: whole frames, Ethernet header and all.
 * Threads: the gateway's own, but for sl_datapath_get_gateway().
 * @{
 */

struct sl_datapath_gateway {
	/** For frames to the path; only this thread takes from it. The headroom is that of mbufs.
	 */
	struct rte_mempool *pool;
	struct rte_ring *to_path;    /**< One producer: the gateway. */
	uint32_t nb_from_path;	     /**< One a worker. */
	struct rte_ring **from_path; /**< One consumer: the gateway. Any mbuf of them, also one in
					several segments, is freed with rte_pktmbuf_free(). */
	uint16_t data_max;	     /**< Bytes of a datagram that one frame holds, */
	uint16_t data_small;	     /**< and one from `pool`. */
	struct rte_mempool *large;   /**< For longer ones; NULL: there are none. The path needs a
					part of them itself: to be left alone when less than a
					quarter is there. */
	uint16_t port_id;	     /**< Of ethdev; what it puts into to_path has it. */
	uint32_t port_index;	     /**< Into the configured ports. */
	struct sl_ip address;	     /**< Its own; its messages come from here, */
	struct rte_ether_addr mac;
	struct sl_ip path_address; /**< and go to the path's port. */
	struct rte_ether_addr path_mac;
};

/** @return false: there is no such gateway. Before the threads start; the control thread. */
bool sl_datapath_get_gateway(
	struct sl_datapath *datapath, uint32_t index, struct sl_datapath_gateway *gateway);
/** @} */

/** @name Subscriptions asked for by datagram. @{ */

struct sl_datapath_subscribe {
	struct sl_ip from;
	uint16_t from_port; /**< Host order. */
	uint32_t port_index;
	bool is_leave;
	bool is_durable;
	uint32_t credit;
	uint32_t ttl_ms;
	char destination[SL_CONFIG_NAME_MAX + 1];
	char backend[SL_CONFIG_NAME_MAX + 1];
};

/** @return how many of at most @p max were taken; the ring holds 1024, more are dropped */
uint32_t sl_datapath_receive_subscribes(
	struct sl_datapath *datapath, struct sl_datapath_subscribe *subscribes, uint32_t max);
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
 * A consistent picture: received + recovered + copied = delivered + duplicates + queued + the sum
 * of dropped, where queued is counted where messages wait, not computed from the others. A durable
 * message is queued until its backend has acknowledged it, in memory or on disk.
 */
struct sl_datapath_stats {
	uint64_t frames_received;
	uint64_t frames_dropped[SL_FRAME_DROPS];
	uint64_t received;
	uint64_t recovered; /**< Found in the journal at the start. */
	uint64_t copied;    /**< Made for subscribers of topics, beyond each message's first. */
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

struct sl_backend_stats {
	uint64_t delivered; /**< Frames a port has taken for it. */
	uint64_t too_big; /**< Messages for its present address that did not fit its port's MTU. */
	uint32_t share;	  /**< As set. */
	uint64_t queued;  /**< This and the next: of a topic's subscriber, in a queue of its own. */
	uint64_t dropped;
};

/** Read the counters of a backend; live. */
void sl_datapath_get_backend_stats(struct sl_datapath *datapath, uint32_t destination,
	uint32_t backend, struct sl_backend_stats *stats);

/** A port as it is, not as it was configured. */
struct sl_port_info {
	uint16_t port_id; /**< Of ethdev. */
	char driver[32];
	struct rte_ether_addr mac;
	bool is_up;
	uint32_t speed_mbps; /**< UINT32_MAX: unknown */
	bool is_full_duplex;
	uint16_t mtu;
	uint16_t nb_rxqs;
	uint16_t nb_txqs;
	uint16_t nb_rx_descriptors;
	uint16_t nb_tx_descriptors;
	uint64_t rx_offloads; /**< RTE_ETH_RX_OFFLOAD_* in use. */
	uint64_t tx_offloads;
	int socket_id;
	uint32_t link_changes; /**< Since the path was created. */
};

void
sl_datapath_get_port(struct sl_datapath *datapath, uint32_t port_index, struct sl_port_info *info);

/** What an lcore does. */
struct sl_lcore_stats {
	unsigned int lcore;
	uint32_t cpu;	    /**< Where it runs. */
	uint32_t roles;	    /**< SL_ROLE_* */
	uint32_t nb_rxqs;   /**< Receive queues it polls. */
	uint32_t nb_shards; /**< Partitions of destinations it owns. */
	uint64_t busy_cycles;
	uint64_t idle_cycles;
	uint64_t frames;   /**< Received by it. */
	uint64_t messages; /**< Delivered by it. */
	uint64_t queued;
};

/** How busy the path is; cheap, and each figure correct by itself. */
struct sl_datapath_load {
	uint64_t queued;
	uint64_t delivered;	 /**< Since the path was created. */
	uint64_t latency_sum_ns; /**< Of those delivered. */
};

void sl_datapath_get_load(struct sl_datapath *datapath, struct sl_datapath_load *load);

/** @return their number, at most @p max; of lcores that do not answer only what is live */
uint32_t
sl_datapath_get_lcores(struct sl_datapath *datapath, struct sl_lcore_stats *stats, uint32_t max);

/** The queues of one destination, all partitions together; by class index. Live. */
struct sl_queue_stats {
	uint32_t queued[SL_CONFIG_CLASSES_MAX]; /**< In memory. */
	uint32_t total;
	uint32_t capacity;
	uint64_t parked[SL_CONFIG_CLASSES_MAX]; /**< On disk only. */
	uint64_t parked_total;
	uint64_t in_flight; /**< Sent to backends, and not acknowledged. */
};

void sl_datapath_get_queue(
	struct sl_datapath *datapath, uint32_t destination, struct sl_queue_stats *stats);

/** The session of a worker with a backend of an at-least-once destination. */
struct sl_session_stats {
	uint32_t worker;
	uint64_t session;
	uint32_t in_flight; /**< Messages sent, and not acknowledged. */
	uint64_t credit_limit;
	uint64_t next_sequence;
	uint64_t acked;		    /**< All up to this sequence. */
	uint32_t congestion_window; /**< Messages. */
	uint64_t srtt_ns;	    /**< 0: none measured yet. */
	uint64_t retransmitted;	    /**< This one and those behind it: since the start. */
	uint64_t requeued;	    /**< Messages taken back for another backend. */
	uint64_t dead;		    /**< Messages given up. */
	uint64_t bad_acks;
	bool is_stalled; /**< It had messages, and acknowledged nothing for requeue_after_ms. */
	bool is_avoided; /**< Stalled, and they went to others; it is tried with one at a time. */
};

/** The sessions with a backend; live. @return their number, at most @p max; 0: there are none */
uint32_t sl_datapath_get_sessions(struct sl_datapath *datapath, uint32_t destination,
	uint32_t backend, struct sl_session_stats *stats, uint32_t max);

/** Write the graph of an lcore in Graphviz's language. @return 0 or -errno */
int sl_datapath_write_graph(struct sl_datapath *datapath, FILE *out);

/** Is the path running (started, and not stopped since)? */
bool sl_datapath_is_running(const struct sl_datapath *datapath);

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

/** @name What would happen to a message, and what happens to some. @{ */

/** Why a backend may not take a message now; bits. */
#define SL_BACKEND_PORT_DOWN	0x1
#define SL_BACKEND_PORT_FULL	0x2
#define SL_BACKEND_NO_NEIGHBOUR 0x4 /**< Its next hop's link-layer address is not known. */
#define SL_BACKEND_NO_SHARE	0x8 /**< sl_datapath_set_share() has it at 0. */
#define SL_BACKEND_RATE		0x10
#define SL_BACKEND_SESSION_FULL 0x20 /**< It has not acknowledged enough, or is stalled. */

struct sl_explanation {
	bool is_known;	      /**< There is such a destination; without it nothing else is set. */
	uint32_t destination; /**< Index. */
	int32_t rule;	      /**< Index of the rule that matched, -1: none. */
	uint32_t class_index; /**< After the rule and the boost. */
	uint32_t partition;
	uint32_t worker;
	unsigned int lcore; /**< Of that worker. */
	uint32_t queued;    /**< In its partition. */
	uint32_t capacity;
	bool is_rate_limited; /**< The destination's own rate lets nothing go at this moment. */
	uint32_t nb_backends; /**< Of a topic with more subscribers: the first ones. */
	uint32_t why_not[SL_CONFIG_BACKENDS_MAX]; /**< SL_BACKEND_*; 0: may take it. */
};

/**
 * What would happen to such a message now. Reads live state, changes none.
 * @return 0; -EBUSY: an lcore has not taken over the last change yet
 */
int sl_datapath_explain(struct sl_datapath *datapath, uint64_t source, uint64_t destination,
	uint64_t type, uint32_t priority, struct sl_explanation *explanation);

enum sl_trace_by { SL_TRACE_SOURCE, SL_TRACE_DESTINATION, SL_TRACE_ID };

struct sl_trace_filter {
	enum sl_trace_by by;
	uint64_t key; /**< Of the source or destination; of an id the high half. */
	uint64_t id_low;
	uint32_t count; /**< Messages, 1 .. SL_TRACE_MESSAGES_MAX. */
};

#define SL_TRACE_MESSAGES_MAX 64

/** A traced message came to a node. */
struct sl_trace_event {
	uint32_t message; /**< 0 for the first that was traced, ... */
	unsigned int lcore;
	char node[32]; /**< Dropped: the name says why. */
	uint64_t tsc;
	/* Of the message; only in its first event. */
	bool is_first;
	uint64_t source, destination, type, id_high, id_low;
	uint32_t priority;
};

/**
 * Follow the next messages that match, until they are sent or dropped. Costs nothing while no trace
 * is on. One at a time: a new one ends the last.
 * @return 0; -EINVAL; -ETIMEDOUT: an lcore has not answered for a second, and there is no trace
 */
int sl_datapath_trace(struct sl_datapath *datapath, const struct sl_trace_filter *filter);

/**
 * Take events, by message in the order of time.
 * @param[out] is_done  every message asked for has come to its end
 * @return their number, at most @p max
 */
uint32_t sl_datapath_trace_read(
	struct sl_datapath *datapath, struct sl_trace_event *events, uint32_t max, bool *is_done);

void sl_datapath_trace_stop(struct sl_datapath *datapath);
/** @} */

#endif /* SL_DATAPATH_H */
