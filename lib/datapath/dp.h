/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef DP_H
#define DP_H

/**
 * @file
 * What the nodes share: the data of a message on its way, of an lcore, and of the whole path.
 * Private to lib/datapath.
 *
 * Ownership. A frame or message belongs to the node it was handed to, then to the ring, queue or
 * port it is put in. A struct dp_lcore is touched by its lcore alone while the path runs; what
 * other threads may read of it says so.
 */

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_graph.h>
#include <rte_graph_worker.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#include "sl_datapath.h"
#include "sl_dedup.h"
#include "rx_turn.h"
#include "sl_gcra.h"
#include "sl_hist.h"
#include "sl_net.h"
#include "sl_policy.h"
#include "sl_record.h"
#include "sl_route.h"
#include "sl_sched.h"
#include "sl_wire.h"

#define DP_LCORES_MAX	  64
#define DP_RX_BURST	  64
#define DP_DISPATCH_MAX	  512u	/* Messages dispatch pulls in a turn. */
#define DP_FANOUT_MAX	  1024u /* Copies for subscribers in a turn; one message's more. */
#define DP_TX_PENDING	  512	/* Frames a worker holds for a port that is not taking them. */
#define DP_RX_MESSAGES	  256u	/* Messages a turn is meant to take in. */
#define DP_STREAM	  4096u /* Objects a node has room for, from the start. */
#define DP_PUNT_RING	  1024
#define DP_PROBE_RING	  1024
#define DP_SUBSCRIBE_RING 1024
#define DP_CONTROL_RING	  256
#define DP_CONTROL_HELD	  32
#define DP_ACKS_EMPTY	  1024 /* Buffers for acks to publishers; and finished ones. */
#define DP_ACKS_HELD	  64
#define DP_MBUF_CACHE	  512
#define DP_ARENA_BYTES	  (512 * 1024)
#define DP_GATEWAY_RING	  2048 /* Frames between a gateway and an lcore. */
#define DP_TURN_US	  250  /* That a full turn may take. */
#define DP_CLASS_UNKNOWN  UINT8_MAX

/* What travels with a message, in the private area of its mbuf. */
struct dp_msg {
	struct sl_sched_msg sched; /* time, destination shard, class, backend */
	/* From the datagram's first byte, which is the mbuf's, to the message's. */
	uint8_t message_offset;
	bool is_sum_known; /* payload_sum is the ones' complement sum of the datagram. */
	uint16_t payload_sum;
	uint16_t eth_len;   /* Of frames: length of the Ethernet header that was taken off. */
	uint16_t trace;	    /* Whether it is followed (trace.c). */
	uint32_t publisher; /* Whose session it came in (publisher.c); DP_PUBLISHER_NONE. */
	/* Set by its worker. */
	uint16_t attempts; /* How often it was sent in sessions before this one. */
	uint16_t data_off; /* Of the datagram, while headers are in front of it. */
	uint16_t data_len;
	uint8_t copy;	   /* Of a topic's, with a ref: as in its outcome. */
	sl_record_ref ref; /* In the journal; SL_RECORD_REF_NONE: it is not durable. */
};

#define DP_PUBLISHER_NONE UINT32_MAX

static inline struct dp_msg *
dp_msg(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

static inline const struct dp_msg *
dp_msg_const(const struct rte_mbuf *m)
{
	return RTE_PTR_ADD(m, sizeof(*m));
}

static inline struct rte_mbuf *
dp_mbuf(struct sl_sched_msg *msg)
{
	return RTE_PTR_SUB(container_of(msg, struct dp_msg, sched), sizeof(struct rte_mbuf));
}

/* How a port gets the frames to the groups that neighbour discovery uses. */
enum dp_multicast {
	DP_MULTICAST_UNFILTERED, /* All frames come in anyway, or none is needed. */
	DP_MULTICAST_LIST,
	DP_MULTICAST_ALL,
	DP_MULTICAST_PROMISCUOUS,
};

/* A port; but for its link immutable while the path runs. Indexed by ethdev port id. */
struct dp_port {
	uint16_t port_id;
	uint32_t index; /* Into the configuration. */
	struct sl_net_station station;
	uint16_t mtu;
	uint16_t nb_rxqs;
	uint16_t nb_txqs;
	bool is_udp_sum_sent;
	bool is_physical;
	bool has_sessions; /* There is a journal. */
	bool takes_segments;
	enum dp_multicast multicast;
	_Atomic bool is_up;   /* Written by the control thread (link.c). */
	uint64_t link_due_ms; /* When it is asked again. */
	uint32_t link_changes;
	unsigned int
		known_good; /* SL_NET_*_KNOWN_GOOD that need no check, whatever the mbuf says. */
};

/* A backend, at its slot; but for the share immutable from before a worker knows the slot. */
struct dp_backend {
	struct sl_net_flow flow;
	uint16_t port_id; /* Here, all of it fits a cache line. */
	uint32_t next_hop;
	_Atomic uint32_t share; /* Written by the control thread at any time. */
} __rte_cache_aligned;

static_assert(sizeof(struct dp_backend) == RTE_CACHE_LINE_SIZE, "a backend is one cache line");

/* Does a datagram of this length fit the way to a backend? */
static inline bool
dp_fits(const struct dp_backend *b, const struct dp_port *port, uint16_t len)
{
	return len + b->flow.headers_len <= port->mtu;
}

/* What a worker counts of a backend; read by the control thread at any time. */
struct dp_backend_counters {
	uint64_t delivered;
	uint64_t pending; /* Frames that wait for the port. */
	uint64_t too_big;
};

/* The address of a port that a peer of this family talks to. */
static inline struct sl_ip
dp_port_address(const struct dp_port *port, const struct sl_ip *peer)
{
	return sl_ip_is_v4(peer) ? sl_ip_from_v4(port->station.address) : port->station.address6;
}

/*
 * Where a next hop is: its MAC address in the low 48 bits and this bit when it may be used. One
 * writer (the control thread), any number of readers.
 */
#define DP_NEXT_HOP_USABLE (UINT64_C(1) << 63)

/* A shard (a destination, or a partition of one), at its slot, as its worker sees it. */
struct dp_shard {
	struct sl_policy policy;
	struct sl_gcra *rates; /* Of its backends; NULL when none has a limit. */
	const uint32_t *slots; /* Of its backends; NULL when they are in a row. */
	uint32_t first_backend;
	bool is_topic;		     /* See fanout.c. */
	struct dp_durable *durable;  /* NULL: at most once. See durable.h. */
	const uint32_t *subscribers; /* Of a topic: the shards its messages are copied to, */
	const struct sl_record_subscriber
		*records; /* and of a durable one what is noted of them. */
	uint32_t nb_subscribers;
	/* Read by the control thread at any time. */
	uint64_t delivered;
	uint64_t duplicates;
	uint64_t dropped;
} __rte_cache_aligned;

/* The slot of a shard's backend. */
static inline uint32_t
dp_backend_slot(const struct dp_shard *shard, uint32_t index)
{
	return likely(shard->slots == NULL) ? shard->first_backend + index : shard->slots[index];
}

/* What dispatch binds the messages of topics to, instead of a backend. */
#define DP_SLOT_TOPIC INT32_MAX

/* Counters of the rx role. */
struct dp_rx_counters {
	uint64_t frames;
	uint64_t frames_dropped[SL_FRAME_DROPS];
	uint64_t received;
	uint64_t parse_slow;
	uint64_t dropped[SL_MESSAGE_DROPS];
	uint64_t class_dropped[SL_CONFIG_CLASSES_MAX];
	uint64_t handed; /* Messages given to workers. */
};

/* Counters of the worker role. */
struct dp_worker_counters {
	uint64_t taken; /* Messages come from rx lcores. */
	uint64_t duplicates;
	uint64_t delivered;
	uint64_t dropped[SL_MESSAGE_DROPS];
	uint64_t class_delivered[SL_CONFIG_CLASSES_MAX];
	uint64_t class_dropped[SL_CONFIG_CLASSES_MAX];
	uint64_t recovered; /* Found in the journal when the path was made. */
	uint64_t copied;    /* Copies made for subscribers, beyond the first. */
	uint64_t queued; /* Filled in when read: waiting messages and frames pending for a port. */
	uint64_t kept;	 /* Of those, durable ones. */
	uint64_t class_queued[SL_CONFIG_CLASSES_MAX];
};

/*
 * How the control thread reads counters that agree with each other. It asks for one part, the lcore
 * copies that part between two turns. All worker parts are read before any rx part: then what was
 * handed out is never less than what was taken, and the difference is what is in the rings.
 */
enum dp_part { DP_PART_WORKER, DP_PART_RX, DP_PARTS };

struct dp_snapshot {
	_Atomic uint32_t asked[DP_PARTS];
	_Atomic uint32_t answered[DP_PARTS];
	struct dp_rx_counters rx;
	struct dp_worker_counters worker;
};

struct dp_rxq {
	uint16_t port_id;
	uint16_t queue;
	uint16_t most; /* Frames that it ever brought at once. */
	uint64_t due;  /* It had no more: it may wait until then while others have plenty. */
};

/* Receive queues of ports of one kind, asked in turn. */
struct dp_rx_side {
	struct dp_rxq *rxqs;
	uint16_t nb_rxqs;
	uint16_t first;
	bool is_flooded; /* The last turn left something behind in a queue. */
	uint32_t frames; /* Of the last turn that had any, and messages found in them. */
	uint32_t messages;
};

/* A worker's transmit queue on one port, and what the port would not take yet. */
struct dp_txq {
	const struct dp_port *port;
	uint16_t port_id;
	uint16_t queue;
	uint16_t nb_pending;
	uint16_t room;	     /* Frames that dispatch may still choose for this port in this turn. */
	uint64_t expired_ms; /* When what is pending was last looked through for its age. */
	struct rte_mbuf *pending[DP_TX_PENDING];
};

struct dp_lcore {
	unsigned int id;
	uint32_t index; /* Into the lcores of the path. */
	uint32_t roles;
	struct sl_datapath *dp;
	struct rte_graph *graph;

	/* The turn. */
	uint64_t now;	 /* TSC at its begin. */
	uint64_t now_ms; /* On the path's clock, which begins before everything it has to tell. */
	uint64_t moved;	 /* Objects that came in or went out in it. */
	uint32_t messages_in; /* By the rx role: messages found. */

	/* Role rx. */
	struct rx_turn rx_turn;
	uint64_t rx_at; /* When the last turn that had frames began, if it was the one before; 0. */
	struct dp_rx_side rx_sides[RX_SIDES];
	struct rte_ring *to_worker[DP_LCORES_MAX]; /* NULL: the worker is this lcore. */
	struct rte_ring *acks_to_worker[DP_LCORES_MAX];
	uint64_t *shard_dropped;	     /* Read by the control thread at any time. */
	const struct sl_route_table *routes; /* Of this turn. */
	uint8_t *arena;
	uint8_t *rewrite_buf;
	struct dp_publisher_table *publishers; /* NULL: there is no journal. */
	struct dp_rx_counters rx __rte_cache_aligned;

	/* Role worker. */
	uint32_t worker_index;
	bool sends_control; /* It sends the control thread's frames, */
	uint16_t nb_held;   /* and holds those a port has not taken yet. */
	struct rte_mbuf *held[DP_CONTROL_HELD];
	uint16_t nb_inputs;
	uint16_t nb_txqs;
	struct rte_ring *inputs[DP_LCORES_MAX];
	struct sl_dedup *dedup;
	struct sl_sched *sched;
	bool is_pool_short; /* In this turn. */
	struct dp_shard *shards;
	struct dp_backend_counters *backend_counters; /* By slot. */
	struct dp_keeper *keeper;		  /* NULL: there is no journal. See durable.h. */
	uint64_t max_wait[SL_CONFIG_CLASSES_MAX]; /* In cycles; 0: no maximum. */
	uint32_t version;			  /* Of the changes it has taken over. */
	uint32_t next_change;			  /* Of those it is taking over. */
	size_t dedup_size;
	size_t sched_size;
	size_t shards_size;
	size_t counters_size;
	struct dp_txq *txqs; /* One a configured port. */
	struct dp_txq *txq_of_port[RTE_MAX_ETHPORTS];
	struct dp_worker_counters worker __rte_cache_aligned;
	struct sl_hist latency[SL_CONFIG_CLASSES_MAX]; /* In cycles; read at any time. */

	struct dp_trace_lcore *trace;
	uint32_t trace_generation;
	_Atomic uint32_t trace_seen;

	struct dp_snapshot snapshot __rte_cache_aligned;
	_Atomic uint32_t adopted; /* As `version`, for the control thread. */
	_Atomic uint64_t busy_cycles;
	_Atomic uint64_t idle_cycles;
} __rte_cache_aligned;

struct sl_datapath {
	struct sl_config *config; /* A copy of its own, without destinations, rules and texts. */
	struct dp_port *ports;	  /* Configured ports, in their order. */
	struct dp_port *port_of_id[RTE_MAX_ETHPORTS];
	uint32_t nb_gateways;
	struct dp_gateway *gateways[SL_CONFIG_GATEWAY_THREADS]; /* See gateway.c. */
	uint32_t nb_lcores;
	uint32_t nb_workers;
	struct dp_lcore *lcores[DP_LCORES_MAX];
	struct dp_lcore *workers[DP_LCORES_MAX];
	/* How a change reaches the lcores: see apply.h. */
	_Atomic uint32_t version;
	const struct dp_changes *changes; /* Of that version. */
	_Atomic(struct sl_route_table *) routes;
	struct rte_rcu_qsbr *rcu; /* An lcore reports by its place in `lcores`. */
	struct dp_control *control;
	struct dp_backend *backends; /* By slot. */
	uint32_t nb_backends;	     /* Slots. */
	uint8_t slot_bits;	     /* Of the number of a session: see durable.h. */
	uint8_t worker_bits;
	uint32_t nb_shards; /* Slots. */
	uint32_t nb_next_hops;
	struct sl_datapath_next_hop *next_hops;
	_Atomic uint64_t *next_hop_words;
	struct rte_mempool *pool;
	uint16_t room;		    /* Bytes of data its buffers have, behind the headroom. */
	struct rte_mempool *large;  /* For longer ones, of gateways. NULL: there are none. */
	struct rte_mempool *copies; /* NULL: there are no topics. See copy.c. */
	uint32_t nb_copies;
	struct rte_ring *punt_ring;
	struct rte_ring *probe_ring;
	struct rte_ring *subscribe_ring;
	atomic_bool accepts_subscriptions;
	struct rte_ring *control_ring;
	const struct sl_datapath_journal *journal; /* NULL: there is none. */
	struct rte_ring *notes;			   /* For it, from the control thread, */
	struct rte_ring *notes_done;		   /* and back, to be freed. */
	_Atomic int64_t unix_offset_ns; /* Unix time less the path's, kept by the control thread. */
	struct dp_publishers *publishers; /* NULL: there is no journal. */
	struct rte_graph_cluster_stats *cluster;
	uint64_t frames_dropped[SL_FRAME_DROPS]; /* By the control thread. */
	struct dp_trace *trace;
	_Atomic uint32_t trace_generation;
	uint64_t tsc_start;
	uint64_t tsc_hz;
	uint64_t ns_per_cycle_q32;
	uint32_t queue_capacity; /* Messages that may wait, a worker. */
	struct sl_datapath_memory memory;
	bool is_running;
	bool may_nap;
	_Atomic bool is_draining;
	_Atomic bool must_stop;
	unsigned int nb_notices;
	char notices[64][160];
};

/* Nanoseconds on the path's clock. */
static inline uint64_t
dp_path_ns(const struct sl_datapath *dp, uint64_t tsc)
{
	return (uint64_t)(((unsigned __int128)(tsc - dp->tsc_start) * dp->ns_per_cycle_q32) >> 32);
}

/* Leave `len` bytes of a frame of one segment, from `offset` on: there are as many. */
static inline void
dp_cut(struct rte_mbuf *m, uint16_t offset, uint16_t len)
{
	m->data_off += offset;
	m->data_len = len;
	m->pkt_len = len;
}

/* The lcore a node runs on; set when its graph is created. */
struct dp_node_ctx {
	struct dp_lcore *lcore;
};

static inline struct dp_lcore *
dp_lcore(const struct rte_node *node)
{
	return ((const struct dp_node_ctx *)node->ctx)->lcore;
}

/* The init function of every node. */
int dp_node_init(const struct rte_graph *graph, struct rte_node *node);

/*
 * The end of a node whose objects mostly go one way: objs[0..n) go to edge `next`. When that is all
 * of them the stream is handed on as it is.
 */
static inline uint16_t
dp_forward(struct rte_graph *graph, struct rte_node *node, rte_edge_t next, void **objs, uint16_t n,
	uint16_t nb_objs)
{
	if (likely(n == nb_objs))
		rte_node_next_stream_move(graph, node, next);
	else if (n > 0)
		rte_node_enqueue(graph, node, next, objs, n);
	return nb_objs;
}

/* Node names of the drops, for next_nodes. */
#define DP_DROP(reason) "drop_" #reason

/* How the scheduler's drops become objects of a node: an edge for each reason it may have. */
struct dp_drop_arg {
	struct rte_graph *graph;
	struct rte_node *node;
	const rte_edge_t *edges;
};

/* The sl_sched_drop_t of the nodes; `arg` is a struct dp_drop_arg. */
static inline void
dp_sched_drop(void *arg, struct sl_sched_msg *msg, enum sl_sched_drop reason)
{
	const struct dp_drop_arg *d = arg;

	rte_node_enqueue_x1(d->graph, d->node, d->edges[reason], dp_mbuf(msg));
}

/* Count a message that goes, on this lcore's worker side; and free it. */
void dp_count_drop(struct dp_lcore *lcore, struct rte_mbuf *m, enum sl_message_drop reason);
void dp_drop_message(struct dp_lcore *lcore, struct rte_mbuf *m, enum sl_message_drop reason);

/* Take the frames pending for a port that belong to one shard, and drop them. */
void dp_tx_remove(struct dp_lcore *lcore, struct dp_txq *txq, uint32_t shard);
void dp_tx_drop_all(struct dp_lcore *lcore, struct dp_txq *txq, enum sl_message_drop reason);

/*
 * A message for one more subscriber: the bytes that differ are copied, a long payload is shared.
 * The mark of a trace stays with the original. NULL: there is no buffer.
 */
struct rte_mbuf *dp_copy(struct dp_lcore *lcore, struct rte_mbuf *m);

/* A buffer for so many bytes; NULL: there is none. */
static inline struct rte_mbuf *
dp_alloc(const struct sl_datapath *dp, uint32_t len)
{
	return rte_pktmbuf_alloc(
		unlikely(len > dp->room) && dp->large != NULL ? dp->large : dp->pool);
}

/* All of a message's bytes in one buffer from the path's own pools; NULL: there is none. */
struct rte_mbuf *dp_flatten(struct dp_lcore *lcore, const struct rte_mbuf *m);

/* Bytes behind the first segment of what dp_copy() made. */
static inline uint16_t
dp_tail_len(const struct rte_mbuf *m)
{
	return likely(m->next == NULL) ? 0 : m->next->data_len;
}

/* Try to send what is pending for a port. */
void dp_tx_flush(struct dp_lcore *lcore, struct dp_txq *txq);

/* An rx lcore, between two turns: let go of publishers that are silent. */
void dp_publishers_poll(struct dp_lcore *lcore);

/* One lcore's loop; runs until must_stop. */
int dp_main_loop(void *lcore);

/* Take over, between two turns, some of what the control thread has published. */
void dp_adopt(struct dp_lcore *lcore, uint32_t version);

/* Answer a request of the control thread for counters, between two turns. */
void dp_answer(struct dp_lcore *lcore);
void dp_copy_part(struct dp_lcore *lcore, enum dp_part part);

/* Tracing: on an lcore, between two turns; and of a message that is dropped outside of a node. */
void dp_trace_switch(struct dp_lcore *lcore, uint32_t generation);
void
dp_trace_dropped(struct dp_lcore *lcore, const struct rte_mbuf *m, enum sl_message_drop reason);

static inline void
dp_trace_poll(struct dp_lcore *lcore)
{
	uint32_t generation = atomic_load_explicit(
		&lcore->dp->trace_generation, memory_order_acquire);

	if (likely(generation == lcore->trace_generation))
		return;
	dp_trace_switch(lcore, generation);
	atomic_store_explicit(&lcore->trace_seen, generation, memory_order_release);
}

/* The device of a gateway's port, and what the path's end of it is called. */
int dp_gateway_create(
	struct sl_datapath *dp, const struct sl_config_port *config, char *error, size_t error_len);
const char *dp_gateway_device(const struct sl_datapath *dp, uint32_t index);
struct rte_ether_addr dp_gateway_path_mac(uint32_t index);
void dp_gateways_destroy(struct sl_datapath *dp);

/* Parts of sl_datapath_create(); each returns 0 or -errno with one line in `error`. */
int dp_ports_create(struct sl_datapath *dp, char *error, size_t error_len);
int dp_ports_start(struct sl_datapath *dp, char *error, size_t error_len);
void dp_ports_stop(struct sl_datapath *dp);
void dp_links_begin(struct sl_datapath *dp);
int dp_pool_create(struct sl_datapath *dp, char *error, size_t error_len);
/* How many copies there may be at a time; 0: there are no topics. */
uint32_t dp_copies_needed(const struct sl_config *config);
int dp_copies_create(struct sl_datapath *dp, char *error, size_t error_len);
int dp_lcores_create(struct sl_datapath *dp, char *error, size_t error_len);
int dp_tables_create(
	struct sl_datapath *dp, const struct sl_config *config, char *error, size_t error_len);
int dp_publishers_create(
	struct sl_datapath *dp, const struct sl_config *config, char *error, size_t error_len);
void dp_publishers_destroy(struct sl_datapath *dp);
int dp_control_create(
	struct sl_datapath *dp, const struct sl_config *config, char *error, size_t error_len);
int dp_graphs_create(struct sl_datapath *dp, char *error, size_t error_len);
int dp_cluster_create(struct sl_datapath *dp, char *error, size_t error_len);
int dp_trace_create(struct sl_datapath *dp, char *error, size_t error_len);
void dp_trace_destroy(struct sl_datapath *dp);
void dp_lcores_destroy(struct sl_datapath *dp);
int dp_workers_create(struct sl_datapath *dp, char *error, size_t error_len);
void dp_tables_destroy(struct sl_datapath *dp);
void dp_workers_destroy(struct sl_datapath *dp);
void dp_control_destroy(struct sl_datapath *dp);

/* Note what the path's clock is in Unix time. */
void dp_follow_clock(struct sl_datapath *dp);

/* What of a configuration the path goes on needing; NULL when there is no memory. */
struct sl_config *dp_config_copy(const struct sl_config *config);
void dp_config_free(struct sl_config *copy);

/*
 * Zeroed memory for a large table, in huge pages where there are any. NULL when there is not
 * enough; `what` it was for goes into `error`.
 */
void *dp_table_alloc(size_t size, const char *what, char *error, size_t error_len);
void dp_table_free(void *table, size_t size);

void dp_notice(struct sl_datapath *dp, const char *format, ...) __rte_format_printf(2, 3);

#endif /* DP_H */
