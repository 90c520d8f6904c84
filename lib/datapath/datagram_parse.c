/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "publisher.h"

/*
 * Finds the messages in a datagram. From here on an object is one message, alone in a datagram of
 * the template layout that begins where its mbuf's data does.
 *
 * A datagram with one message is used as it stands. From others each message is copied into a
 * buffer of its own. That is cheaper here than sharing the frame: a shared message needs a second
 * mbuf for its headers, because there is no room for them in front of it, two descriptors on the
 * way out, and keeps the whole frame in memory for as long as it waits.
 */

enum {
	ROUTE = 0,
	ACK_INPUT,
	PROBE_INPUT,
	SUBSCRIBE_INPUT,
	NO_SESSION,
	FIRST_ERROR,
	FIRST_REFUSAL = FIRST_ERROR + 7,
	NB_EDGES = FIRST_REFUSAL + DP_PUBLISHER_VERDICTS - 1
};

/*
 * Messages of split datagrams in one turn: with those that need no splitting and those of other
 * lcores, a node's stream holds them without growing.
 */
#define MESSAGES_MAX (DP_STREAM - 2 * RTE_GRAPH_BURST_SIZE)

/* The session of a datagram, when its messages are to be acknowledged. */
struct in_session {
	struct dp_publisher *publisher;	   /* NULL: none, because of: */
	enum dp_publisher_verdict verdict; /* DP_PUBLISHER_TAKE: nobody asked for it. */
};

static inline bool
wants_ack(const uint8_t *message)
{
	return (sl_wire_get32(message + SL_WIRE_OFF_FLAGS) & SL_WIRE_FLAG_ACK) != 0 &&
		sl_wire_get64(message + SL_WIRE_OFF_SEQUENCE) != 0;
}

/* Find the publisher of a datagram, by its first message that wants an ack. */
static void
find_publisher(struct dp_lcore *lcore, const struct rte_mbuf *m, const uint8_t *data,
	const struct sl_wire_datagram *d, struct in_session *in)
{
	struct dp_publisher_from from;
	const uint8_t *message;
	uint16_t i = 0;

	in->publisher = NULL;
	in->verdict = DP_PUBLISHER_TAKE;
	while (i < d->nb_messages && !wants_ack(data + d->messages[i].offset))
		i++;
	if (i == d->nb_messages)
		return;
	message = data + d->messages[i].offset;
	dp_publisher_read_from(lcore->dp, m, &from);
	if (dp_publisher_can_be_told(&from))
		in->publisher = dp_publisher_find(lcore->publishers, d->session,
			sl_wire_get64(message + SL_WIRE_OFF_SEQUENCE),
			sl_wire_get64(message + SL_WIRE_OFF_SOURCE), &from, lcore->now_ms,
			lcore->now, &in->verdict);
}

/* May this message go on? Says whose it is. */
static inline enum dp_publisher_verdict
admit(struct dp_lcore *lcore, const struct in_session *in, const uint8_t *message,
	uint32_t *publisher)
{
	*publisher = DP_PUBLISHER_NONE;
	if (!wants_ack(message))
		return DP_PUBLISHER_TAKE;
	if (unlikely(in->publisher == NULL))
		return in->verdict;
	*publisher = dp_publisher_number(lcore->publishers, in->publisher);
	return dp_publisher_take(lcore->publishers, in->publisher,
		sl_wire_get64(message + SL_WIRE_OFF_SEQUENCE), lcore->now);
}

static inline bool
has_session(const struct dp_lcore *lcore, const struct sl_wire_datagram *d)
{
	return unlikely(lcore->publishers != NULL) && d->session != 0;
}

/* A datagram with one message, of a session. @return false: it has gone another way */
static bool
admit_single(struct rte_graph *graph, struct rte_node *node, struct rte_mbuf *m,
	const uint8_t *data, const struct sl_wire_datagram *d)
{
	struct dp_lcore *lcore = dp_lcore(node);
	enum dp_publisher_verdict verdict;
	struct dp_msg *msg = dp_msg(m);
	struct in_session in;

	find_publisher(lcore, m, data, d, &in);
	verdict = admit(lcore, &in, data + d->messages[0].offset, &msg->publisher);
	if (likely(verdict == DP_PUBLISHER_TAKE))
		return true;
	lcore->rx.received++;
	lcore->messages_in++;
	msg->sched.class_index = DP_CLASS_UNKNOWN;
	rte_node_enqueue_x1(graph, node, (rte_edge_t)(FIRST_REFUSAL + verdict - 1), m);
	return false;
}

/*
 * Which messages of a datagram may go on: their spans are moved to the front, whose each is stands
 * in `publishers`. The others are counted, and have come no further.
 */
static uint16_t
admit_some(struct dp_lcore *lcore, const struct rte_mbuf *m, const uint8_t *data,
	struct sl_wire_datagram *d, uint32_t *publishers)
{
	static const enum sl_message_drop reasons[DP_PUBLISHER_VERDICTS] = {
		[DP_PUBLISHER_OVER_CREDIT] = SL_MESSAGE_DROP_over_credit,
		[DP_PUBLISHER_OVER_RATE] = SL_MESSAGE_DROP_over_rate,
		[DP_PUBLISHER_TOO_MANY_SESSIONS] = SL_MESSAGE_DROP_too_many_sessions,
		[DP_PUBLISHER_UNKNOWN_SESSION] = SL_MESSAGE_DROP_unknown_session,
	};
	enum dp_publisher_verdict verdict;
	struct in_session in;
	uint16_t n = 0;

	if (likely(!has_session(lcore, d))) {
		for (uint16_t i = 0; i < d->nb_messages; i++)
			publishers[i] = DP_PUBLISHER_NONE;
		return d->nb_messages;
	}
	find_publisher(lcore, m, data, d, &in);
	for (uint16_t i = 0; i < d->nb_messages; i++) {
		verdict = admit(lcore, &in, data + d->messages[i].offset, &publishers[n]);
		if (likely(verdict == DP_PUBLISHER_TAKE))
			d->messages[n++] = d->messages[i];
		else
			lcore->rx.dropped[reasons[verdict]]++;
	}
	return n;
}

/* Copy message `span` of the datagram at `data` into an empty mbuf, with its session. */
static void
fill(struct rte_mbuf *m, const uint8_t *data, const struct sl_wire_datagram *d,
	struct sl_wire_span span)
{
	uint8_t *begin = rte_pktmbuf_mtod(m, uint8_t *), *p;
	struct dp_msg *msg = dp_msg(m);

	p = sl_wire_put_header(begin, d->epoch, d->session);
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
split(struct rte_graph *graph, struct rte_node *node, const struct rte_mbuf *m, const uint8_t *data,
	struct sl_wire_datagram *d)
{
	struct rte_mbuf *copies[SL_WIRE_MESSAGES_MAX];
	uint32_t publishers[SL_WIRE_MESSAGES_MAX];
	struct dp_lcore *lcore = dp_lcore(node);
	uint16_t n;

	lcore->rx.received += d->nb_messages;
	n = admit_some(lcore, m, data, d, publishers);
	if (unlikely(n == 0))
		return;
	/* All or none: a datagram is not delivered in part because there is no room. */
	if (unlikely(lcore->messages_in + n > MESSAGES_MAX ||
		    rte_pktmbuf_alloc_bulk(lcore->dp->pool, copies, n) != 0)) {
		lcore->rx.dropped[SL_MESSAGE_DROP_no_mbuf] += n;
		return;
	}
	lcore->messages_in += n;
	for (uint16_t i = 0; i < n; i++) {
		fill(copies[i], data, d, d->messages[i]);
		dp_msg(copies[i])->sched.time = lcore->now;
		dp_msg(copies[i])->publisher = publishers[i];
	}
	rte_node_enqueue(graph, node, ROUTE, (void **)copies, n);
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
	if (d->extras & SL_WIRE_HAS_PROBE)
		return PROBE_INPUT;
	return d->extras & SL_WIRE_HAS_SUBSCRIBE ? SUBSCRIBE_INPUT : NO_SESSION;
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
			if (d.messages[i].len + SL_WIRE_ENVELOPE_MAX > lcore->dp->room)
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
	split(graph, node, m, lcore->rewrite_buf, &d);
	rte_pktmbuf_free(m);
}

/* Messages that need no splitting go on together; but none overtakes one that came before it. */
static uint16_t
forward_singles(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	struct dp_lcore *lcore = dp_lcore(node);

	lcore->rx.received += n;
	lcore->messages_in += n;
	if (n > 0)
		rte_node_enqueue(graph, node, ROUTE, objs, n);
	return 0;
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

		if (is_ack(data, m->data_len) && sl_wire_parse_ack_fast(data, m->data_len, &ack)) {
			rte_node_enqueue_x1(graph, node, ACK_INPUT, m);
			continue;
		}
		rc = sl_wire_parse(data, m->data_len, &d);
		if (likely(rc == SL_WIRE_OK && d.is_single)) {
			dp_msg(m)->message_offset = (uint8_t)d.messages[0].offset;
			dp_msg(m)->publisher = DP_PUBLISHER_NONE;
			if (has_session(lcore, &d) && !admit_single(graph, node, m, data, &d))
				continue;
			objs[n++] = m;
		} else if (rc == SL_WIRE_OK) {
			n = forward_singles(graph, node, objs, n);
			split(graph, node, m, data, &d);
			rte_pktmbuf_free(m);
		} else if (rc == SL_WIRE_SLOW) {
			n = forward_singles(graph, node, objs, n);
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
			[SUBSCRIBE_INPUT] = "subscribe_input",
			[NO_SESSION] = DP_DROP(no_session),
			/* In the order of enum sl_wire_error. */
			[FIRST_ERROR] = DP_DROP(bad_magic),
			DP_DROP(malformed),
			DP_DROP(missing_field),
			DP_DROP(bad_priority),
			DP_DROP(too_many_messages),
			DP_DROP(too_complex),
			DP_DROP(empty),
			/* In the order of enum dp_publisher_verdict. */
			[FIRST_REFUSAL] = DP_DROP(over_credit),
			DP_DROP(over_rate),
			DP_DROP(too_many_sessions),
			DP_DROP(unknown_session),
		},
};

RTE_NODE_REGISTER(datagram_parse_node);
