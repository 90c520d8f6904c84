/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "dp.h"

/*
 * Finds the messages in a datagram. From here on an object is one message, alone in a datagram of
 * the template layout that begins where its mbuf's data does.
 *
 * A datagram with one message is used as it stands. From others each message is copied into a
 * buffer of its own. That is cheaper here than sharing the frame: a shared message needs a second
 * mbuf for its headers, because there is no room for them in front of it, two descriptors on the
 * way out, and keeps the whole frame in memory for as long as it waits.
 */

enum { ROUTE = 0, ACK_INPUT, PROBE_INPUT, NO_SESSION, FIRST_ERROR, NB_EDGES = FIRST_ERROR + 7 };

/*
 * Messages of split datagrams in one turn: with those that need no splitting and those of other
 * lcores, a node's stream holds them without growing.
 */
#define MESSAGES_MAX (DP_STREAM - 2 * RTE_GRAPH_BURST_SIZE)

/* Copy message `span` of the datagram at `data` into an empty mbuf. */
static void
fill(struct rte_mbuf *m, const uint8_t *data, struct sl_wire_span span)
{
	uint8_t *begin = rte_pktmbuf_mtod(m, uint8_t *), *p;
	struct dp_msg *msg = dp_msg(m);

	p = sl_wire_put_header(begin, 0, 0);
	p = sl_wire_put_envelope(p, span.len);
	memcpy(p, data + span.offset, span.len);
	m->data_len = (uint16_t)(p + span.len - begin);
	m->pkt_len = m->data_len;
	msg->message_offset = (uint8_t)(p - begin);
	msg->is_sum_known = false;
	msg->trace = 0;
}

/* Give each message of a datagram a buffer of its own. The datagram stays the caller's. */
static void
split(struct rte_graph *graph, struct rte_node *node, const uint8_t *data,
	const struct sl_wire_datagram *d)
{
	struct rte_mbuf *copies[SL_WIRE_MESSAGES_MAX];
	struct dp_lcore *lcore = dp_lcore(node);
	struct rte_mempool *pool = lcore->dp->pool;

	lcore->rx.received += d->nb_messages;
	/* All or none: a datagram is not delivered in part because there is no room. */
	if (unlikely(lcore->messages_in + d->nb_messages > MESSAGES_MAX ||
		    rte_pktmbuf_alloc_bulk(pool, copies, d->nb_messages) != 0)) {
		lcore->rx.dropped[SL_MESSAGE_DROP_no_mbuf] += d->nb_messages;
		return;
	}
	lcore->messages_in += d->nb_messages;
	for (uint16_t i = 0; i < d->nb_messages; i++) {
		fill(copies[i], data, d->messages[i]);
		dp_msg(copies[i])->sched.time = lcore->now;
	}
	rte_node_enqueue(graph, node, ROUTE, (void **)copies, d->nb_messages);
}

/* The edge for a datagram that was refused. */
static inline rte_edge_t
error_edge(enum sl_wire_error error)
{
	return (rte_edge_t)(FIRST_ERROR + error - SL_WIRE_BAD_MAGIC);
}

/* The edge for a datagram without messages. */
static inline rte_edge_t
extras_edge(const struct sl_wire_datagram *d)
{
	if (d->extras & SL_WIRE_HAS_ACK)
		return ACK_INPUT;
	return d->extras & SL_WIRE_HAS_PROBE ? PROBE_INPUT : NO_SESSION;
}

/* Looks like an ack and nothing else? Then it need not be parsed twice. */
static inline bool
is_ack(const uint8_t *data, uint16_t len)
{
	return len > SL_WIRE_HEADER_LEN && data[SL_WIRE_HEADER_LEN] == SL_WIRE_TAG_ACK;
}

static void
parse_slow(struct rte_graph *graph, struct rte_node *node, struct rte_mbuf *m)
{
	struct dp_lcore *lcore = dp_lcore(node);
	struct sl_wire_datagram d;
	enum sl_wire_error rc;
	size_t written;

	lcore->rx.parse_slow++;
	/* No larger than what came fits a buffer: rewriting adds a few bytes a message at most. */
	rc = sl_wire_parse_slow(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, lcore->arena,
		DP_ARENA_BYTES, lcore->rewrite_buf, UINT16_MAX, &d, &written);
	if (rc == SL_WIRE_OK) {
		for (uint16_t i = 0; i < d.nb_messages; i++) {
			if (d.messages[i].len + SL_WIRE_ENVELOPE_MAX >
				rte_pktmbuf_tailroom(m) + m->data_len)
				rc = SL_WIRE_NO_MEMORY;
		}
	}
	if (rc != SL_WIRE_OK) {
		rte_node_enqueue_x1(graph, node, error_edge(rc), m);
		return;
	}
	if (d.nb_messages == 0) {
		rte_node_enqueue_x1(graph, node, extras_edge(&d), m);
		return;
	}
	split(graph, node, lcore->rewrite_buf, &d);
	rte_pktmbuf_free(m);
}

static uint16_t
datagram_parse_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	struct dp_lcore *lcore = dp_lcore(node);
	struct sl_wire_datagram d;
	struct sl_wire_ack ack;
	uint16_t n = 0;

	for (uint16_t i = 0; i < nb_objs; i++) {
		struct rte_mbuf *m = objs[i];
		const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
		enum sl_wire_error rc;

		rc = sl_wire_parse(data, m->data_len, &d);
		if (likely(rc == SL_WIRE_OK && d.is_single)) {
			dp_msg(m)->message_offset = (uint8_t)d.messages[0].offset;
			objs[n++] = m;
		} else if (rc == SL_WIRE_OK) {
			split(graph, node, data, &d);
			rte_pktmbuf_free(m);
		} else if (rc == SL_WIRE_SLOW && is_ack(data, m->data_len) &&
			sl_wire_parse_ack_fast(data, m->data_len, &ack)) {
			rte_node_enqueue_x1(graph, node, ACK_INPUT, m);
		} else if (rc == SL_WIRE_SLOW) {
			parse_slow(graph, node, m);
		} else {
			rte_node_enqueue_x1(graph, node, error_edge(rc), m);
		}
	}
	lcore->rx.received += n;
	lcore->messages_in += n;
	return dp_forward(graph, node, ROUTE, objs, n, nb_objs);
}

static struct rte_node_register datagram_parse_node = {
	.name = "datagram_parse",
	.init = dp_node_init,
	.process = datagram_parse_process,
	.nb_edges = NB_EDGES,
	.next_nodes =
		{
			[ROUTE] = "route",
			[ACK_INPUT] = "ack_input",
			[PROBE_INPUT] = "probe_input",
			[NO_SESSION] = DP_DROP(no_session),
			/* In the order of enum sl_wire_error. */
			[FIRST_ERROR] = DP_DROP(bad_magic),
			DP_DROP(malformed),
			DP_DROP(missing_field),
			DP_DROP(bad_priority),
			DP_DROP(too_many_messages),
			DP_DROP(too_complex),
			DP_DROP(empty),
		},
};

RTE_NODE_REGISTER(datagram_parse_node);
