/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include "dp.h"

/*
 * Follows messages from node to node. While no trace is on nothing is looked at: an lcore that sees
 * one begin puts record_process() in the place of every node's function, and takes it away when it
 * sees the end.
 *
 * A message is known from route on; the nodes before it are told from when they ran in that turn,
 * which is the same for all frames of a burst. From there its mark goes with it, over rings and
 * through queues.
 */

/* An lcore's events until the control thread takes them: more than SL_TRACE_MESSAGES_MAX make. */
#define EVENTS_MAX 4096

/* Nodes in front of route, in their order. */
static const char *const early_nodes[] = {
	"port_rx", "eth_input", "ip_input", "udp_input", "datagram_parse"};

/* An event as the lcores write it. */
struct record {
	uint64_t tsc;
	uint16_t message;
	rte_node_t node;
};

struct dp_trace_lcore {
	rte_node_process_t process[SL_NODES_MAX]; /* The nodes' own functions, by node id. */
	uint64_t entered[SL_NODES_MAX];		  /* When a node last ran. */
	rte_node_t early[RTE_DIM(early_nodes)];
	rte_node_t route, dispatch, deliver;
	bool is_on;
	_Atomic uint32_t nb_records;
	struct record records[EVENTS_MAX];
};

/* What is known of a message when it is first seen. Written by the lcore that took its number. */
struct traced {
	unsigned int lcore;
	uint64_t source, destination, type, id_high, id_low;
	uint32_t priority;
};

struct dp_trace {
	struct sl_trace_filter filter;
	_Atomic uint32_t nb_taken; /* Numbers given out; may run past filter.count. */
	_Atomic uint32_t nb_ended;
	struct traced messages[SL_TRACE_MESSAGES_MAX];
};

/* A mark: which trace it belongs to, and the number of the message in it, from 1. */
static inline uint16_t
mark_of(const struct dp_lcore *lcore, uint32_t number)
{
	return (uint16_t)(lcore->trace_generation << 8 | (number + 1));
}

static inline bool
is_marked(const struct dp_lcore *lcore, const struct rte_mbuf *m)
{
	uint16_t mark = dp_msg_const(m)->trace;

	return (mark & 0xff) != 0 && mark >> 8 == (lcore->trace_generation & 0xff);
}

static void
record(struct dp_trace_lcore *t, uint16_t message, rte_node_t node, uint64_t tsc)
{
	uint32_t n = atomic_load_explicit(&t->nb_records, memory_order_relaxed);

	if (n == EVENTS_MAX)
		return;
	t->records[n] = (struct record){.tsc = tsc, .message = message, .node = node};
	atomic_store_explicit(&t->nb_records, n + 1, memory_order_release);
}

static bool
matches(const struct sl_trace_filter *filter, const uint8_t *message)
{
	switch (filter->by) {
	case SL_TRACE_SOURCE:
		return sl_wire_get64(message + SL_WIRE_OFF_SOURCE) == filter->key;
	case SL_TRACE_DESTINATION:
		return sl_wire_get64(message + SL_WIRE_OFF_DEST) == filter->key;
	case SL_TRACE_ID:
		return sl_wire_get64(message + SL_WIRE_OFF_ID_HIGH) == filter->key &&
			sl_wire_get64(message + SL_WIRE_OFF_ID_LOW) == filter->id_low;
	}
	return false;
}

/* At route: is it one of those asked for? Then it gets a number, and its way so far is told. */
static void
take_matching(struct dp_lcore *lcore, struct rte_mbuf *m)
{
	const uint8_t *message = rte_pktmbuf_mtod_offset(
		m, const uint8_t *, dp_msg(m)->message_offset);
	struct dp_trace *trace = lcore->dp->trace;
	struct dp_trace_lcore *t = lcore->trace;
	uint32_t number;

	if (!matches(&trace->filter, message) ||
		atomic_load_explicit(&trace->nb_taken, memory_order_relaxed) >= trace->filter.count)
		return;
	number = atomic_fetch_add_explicit(&trace->nb_taken, 1, memory_order_relaxed);
	if (number >= trace->filter.count)
		return;
	trace->messages[number] = (struct traced){
		.lcore = lcore->id,
		.source = sl_wire_get64(message + SL_WIRE_OFF_SOURCE),
		.destination = sl_wire_get64(message + SL_WIRE_OFF_DEST),
		.type = sl_wire_get64(message + SL_WIRE_OFF_TYPE),
		.id_high = sl_wire_get64(message + SL_WIRE_OFF_ID_HIGH),
		.id_low = sl_wire_get64(message + SL_WIRE_OFF_ID_LOW),
		.priority = sl_wire_get32(message + SL_WIRE_OFF_PRIORITY),
	};
	dp_msg(m)->trace = mark_of(lcore, number);
	for (unsigned int i = 0; i < RTE_DIM(t->early); i++)
		record(t, (uint16_t)number, t->early[i], t->entered[t->early[i]]);
}

/* Nodes that a message does not come out of again. */
static bool
is_end(const struct rte_node *node)
{
	return node->nb_edges == 0;
}

static uint16_t
record_process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	struct dp_trace_lcore *t = lcore->trace;
	uint64_t now = rte_rdtsc();
	bool is_early = false;

	t->entered[node->id] = now;
	for (unsigned int i = 0; i < RTE_DIM(t->early); i++)
		is_early = is_early || node->id == t->early[i];
	/* What early nodes hold are frames, whose marks are not set yet. */
	for (uint16_t i = 0; i < nb_objs && !is_early; i++) {
		uint16_t number;

		if (node->id == t->route)
			take_matching(lcore, objs[i]);
		if (!is_marked(lcore, objs[i]))
			continue;
		number = (uint16_t)((dp_msg(objs[i])->trace & 0xff) - 1);
		if (node->id == t->deliver)
			record(t, number, t->dispatch, t->entered[t->dispatch]);
		record(t, number, node->id, now);
		if (is_end(node))
			atomic_fetch_add_explicit(
				&lcore->dp->trace->nb_ended, 1, memory_order_release);
	}
	return t->process[node->id](graph, node, objs, nb_objs);
}

void
dp_trace_dropped(struct dp_lcore *lcore, const struct rte_mbuf *m, enum sl_message_drop reason)
{
	char name[RTE_NODE_NAMESIZE];
	rte_node_t node;

	if (lcore->trace == NULL || !lcore->trace->is_on || !is_marked(lcore, m))
		return;
	snprintf(name, sizeof(name), "drop_%s", sl_message_drop_name(reason));
	node = rte_node_from_name(name);
	record(lcore->trace, (uint16_t)((dp_msg_const(m)->trace & 0xff) - 1), node, rte_rdtsc());
	atomic_fetch_add_explicit(&lcore->dp->trace->nb_ended, 1, memory_order_release);
}

/* On its lcore, between two turns. */
void
dp_trace_switch(struct dp_lcore *lcore, uint32_t generation)
{
	struct dp_trace_lcore *t = lcore->trace;
	bool is_on = (generation & 1) != 0;
	rte_graph_off_t off;
	rte_node_t count;
	struct rte_node *node;

	rte_graph_foreach_node(count, off, lcore->graph, node)
	{
		if (is_on && !t->is_on) {
			t->process[node->id] = node->process;
			node->process = record_process;
		} else if (!is_on && t->is_on) {
			node->process = t->process[node->id];
		}
	}
	t->is_on = is_on;
	lcore->trace_generation = generation;
}

static struct dp_trace_lcore *
create_lcore_trace(void)
{
	struct dp_trace_lcore *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	for (unsigned int i = 0; i < RTE_DIM(early_nodes); i++)
		t->early[i] = rte_node_from_name(early_nodes[i]);
	t->route = rte_node_from_name("route");
	t->dispatch = rte_node_from_name("dispatch");
	t->deliver = rte_node_from_name("deliver");
	return t;
}

int
dp_trace_create(struct sl_datapath *dp, char *error, size_t error_len)
{
	bool is_short;

	if (rte_node_max_count() > SL_NODES_MAX) {
		snprintf(error, error_len, "the graph has more than %u nodes", SL_NODES_MAX);
		return -E2BIG;
	}
	dp->trace = calloc(1, sizeof(*dp->trace));
	is_short = dp->trace == NULL;
	for (uint32_t i = 0; i < dp->nb_lcores; i++) {
		dp->lcores[i]->trace = create_lcore_trace();
		is_short = is_short || dp->lcores[i]->trace == NULL;
	}
	if (!is_short)
		return 0;
	snprintf(error, error_len, "no memory for tracing");
	return -ENOMEM;
}

void
dp_trace_destroy(struct sl_datapath *dp)
{
	for (uint32_t i = 0; i < dp->nb_lcores; i++)
		free(dp->lcores[i]->trace);
	free(dp->trace);
}

/* Tell the lcores, and wait until each has seen it: an odd generation is a trace that is on. */
static bool
publish(struct sl_datapath *dp, uint32_t generation)
{
	uint64_t deadline = rte_rdtsc() + dp->tsc_hz;

	atomic_store_explicit(&dp->trace_generation, generation, memory_order_release);
	for (uint32_t i = 0; i < dp->nb_lcores; i++) {
		struct dp_lcore *lcore = dp->lcores[i];

		if (!dp->is_running) {
			dp_trace_switch(lcore, generation);
			atomic_store(&lcore->trace_seen, generation);
		}
		while (atomic_load_explicit(&lcore->trace_seen, memory_order_acquire) !=
				generation &&
			rte_rdtsc() < deadline)
			rte_delay_us_sleep(5);
		if (atomic_load_explicit(&lcore->trace_seen, memory_order_acquire) != generation)
			return false;
	}
	return true;
}

/* @return whether every lcore has seen the end: what is recorded is ours then */
static bool
end_trace(struct sl_datapath *dp)
{
	uint32_t generation = atomic_load(&dp->trace_generation);

	return publish(dp, generation + (generation & 1));
}

int
sl_datapath_trace(struct sl_datapath *dp, const struct sl_trace_filter *filter)
{
	if (filter->count == 0 || filter->count > SL_TRACE_MESSAGES_MAX)
		return -EINVAL;
	if (!end_trace(dp))
		return -ETIMEDOUT;
	dp->trace->filter = *filter;
	atomic_store(&dp->trace->nb_taken, 0);
	atomic_store(&dp->trace->nb_ended, 0);
	for (uint32_t i = 0; i < dp->nb_lcores; i++)
		atomic_store(&dp->lcores[i]->trace->nb_records, 0);
	if (publish(dp, atomic_load(&dp->trace_generation) + 1))
		return 0;
	end_trace(dp);
	return -ETIMEDOUT;
}

void
sl_datapath_trace_stop(struct sl_datapath *dp)
{
	end_trace(dp);
}

static int
compare_events(const void *a, const void *b)
{
	const struct sl_trace_event *x = a, *y = b;

	if (x->message != y->message)
		return x->message < y->message ? -1 : 1;
	return (x->tsc > y->tsc) - (x->tsc < y->tsc);
}

/* The first event of each message tells what it is. */
static void
describe(const struct dp_trace *trace, struct sl_trace_event *events, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct traced *m = &trace->messages[events[i].message];

		events[i].is_first = i == 0 || events[i - 1].message != events[i].message;
		if (!events[i].is_first)
			continue;
		events[i].source = m->source;
		events[i].destination = m->destination;
		events[i].type = m->type;
		events[i].id_high = m->id_high;
		events[i].id_low = m->id_low;
		events[i].priority = m->priority;
	}
}

uint32_t
sl_datapath_trace_read(
	struct sl_datapath *dp, struct sl_trace_event *events, uint32_t max, bool *is_done)
{
	uint32_t n = 0, nb_ended = atomic_load_explicit(&dp->trace->nb_ended, memory_order_acquire);

	*is_done = nb_ended >= dp->trace->filter.count;
	for (uint32_t i = 0; i < dp->nb_lcores; i++) {
		const struct dp_trace_lcore *t = dp->lcores[i]->trace;
		uint32_t nb_records = atomic_load_explicit(&t->nb_records, memory_order_acquire);

		for (uint32_t r = 0; r < nb_records && n < max; r++) {
			struct sl_trace_event *e = &events[n++];

			memset(e, 0, sizeof(*e));
			e->message = t->records[r].message;
			e->lcore = dp->lcores[i]->id;
			e->tsc = t->records[r].tsc;
			snprintf(e->node, sizeof(e->node), "%s",
				rte_node_id_to_name(t->records[r].node));
		}
	}
	if (n == 0)
		return 0;
	qsort(events, n, sizeof(*events), compare_events);
	describe(dp->trace, events, n);
	return n;
}
