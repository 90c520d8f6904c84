/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include "con_core.h"
#include "con_session.h"
#include "message.h"
#include "window.h"

#define MS UINT64_C(1000000)

#define ARENA (1u << 20)

/* Stands in a session's ring for a message that was handed over before those in front of it. */
static struct sl_con_message handed_over;

/* A gap in a session that is silent for so long is not filled any more: its sender is gone. */
#define GAP_NS (3000 * MS)
/* How often silence is looked for. */
#define TICK_NS (500 * MS)

struct sl_con_core {
	struct sl_con_params params;
	struct sl_con_table table;
	struct sl_con_sessions due;
	struct sl_window *known;
	uint64_t tick_at;
	uint32_t highest_epoch;
	uint64_t epoch_at; /* When it was seen last. */
	uint64_t queued;   /* At-most-once, handed over and not done. */
	struct sluice_consumer_stats stats;
	struct sl_wire_datagram datagram;
	uint8_t *arena;	  /* Of the slow parser, */
	uint8_t *rewrite; /* and where it writes. */
};

struct sl_con_core *
sl_con_new(const struct sl_con_params *params)
{
	struct sl_con_core *core = calloc(1, sizeof(*core));

	if (core == NULL)
		return NULL;
	core->params = *params;
	TAILQ_INIT(&core->due);
	TAILQ_INIT(&core->table.lru);
	core->known = sl_window_new(params->dedup_messages, params->seed);
	core->arena = malloc(ARENA);
	core->rewrite = malloc(UINT16_MAX);
	if (core->known == NULL || core->arena == NULL || core->rewrite == NULL ||
		!sl_con_table_init(
			&core->table, params->sessions_max, params->window, params->seed)) {
		sl_con_free(core);
		return NULL;
	}
	return core;
}

/* Acknowledgements. */

static struct sl_con_message **
place_of(const struct sl_con_core *core, struct sl_con_session *s, uint64_t sequence)
{
	return &s->ring[sequence & (core->params.window - 1)];
}

static void
want_ack(struct sl_con_core *core, struct sl_con_session *s)
{
	if (s->is_due || s->is_gone)
		return;
	s->is_due = true;
	/* The first after a pause is answered at once, a stream once per delay. */
	s->due_at = s->acked_at + core->params.ack_delay_ns;
	TAILQ_INSERT_TAIL(&core->due, s, due);
}

static void
stop_ack(struct sl_con_core *core, struct sl_con_session *s)
{
	if (!s->is_due)
		return;
	s->is_due = false;
	s->is_urgent = false;
	s->unacked = 0;
	s->freed = 0;
	TAILQ_REMOVE(&core->due, s, due);
}

/*
 * What waits for one that has not come is not done, and cannot be acknowledged; but that one can be
 * said to be missing, so that it is sent again after a round trip and not after a timeout:
 * `highest` is the first behind the gap, and the bits end before it.
 */
static void
tell_gap(const struct sl_con_core *core, struct sl_con_session *s, struct sl_wire_ack *ack,
	uint64_t *came_at)
{
	uint64_t gap = 1;

	if (core->params.is_early || s->waiting == 0 || ack->cumulative + 1 != s->next ||
		ack->highest != ack->cumulative)
		return;
	while (*place_of(core, s, s->next + gap) == NULL) {
		if (++gap > 8 * SL_WIRE_SELECTIVE_MAX)
			return;
	}
	ack->highest = s->came_highest;
	ack->selective_len = (uint32_t)(gap - 1) / 8;
	memset(ack->selective, 0, ack->selective_len);
	*came_at = s->came_highest_at;
}

static void
send_ack(struct sl_con_core *core, struct sl_con_session *s, uint64_t now)
{
	uint8_t buf[SL_WIRE_ACK_MAX];
	struct sl_wire_ack ack;
	uint64_t came_at = s->echo_at, delay;
	uint32_t credit = core->params.window;

	/* What counts as received on its coming is limited by what the application has to do still.
	 */
	if (core->params.is_early)
		credit -= s->backlog < credit ? s->backlog : credit - 1;
	sl_session_rx_ack(s->rx, credit, &ack);
	if (ack.credit_limit > s->limit)
		s->limit = ack.credit_limit;
	tell_gap(core, s, &ack, &came_at);
	delay = now - came_at;
	ack.echo_timestamp_ns = s->echo_timestamp_ns;
	ack.ack_delay_ns = delay < UINT32_MAX ? (uint32_t)delay : UINT32_MAX;
	core->params.hooks.send(
		core->params.hooks.arg, &s->peer, buf, sl_wire_put_ack(buf, 0, &ack));
	core->stats.acks++;
	s->acked_at = now;
	stop_ack(core, s);
}

void
sl_con_flush(struct sl_con_core *core, uint64_t now, bool is_end)
{
	struct sl_con_session *s, *next;

	for (s = TAILQ_FIRST(&core->due); s != NULL; s = next) {
		next = TAILQ_NEXT(s, due);
		if (is_end || s->is_urgent || s->unacked >= core->params.ack_every ||
			s->freed >= core->params.ack_every || now >= s->due_at)
			send_ack(core, s, now);
	}
}

static void
refuse(struct sl_con_core *core, const struct sl_udp_peer *peer, uint64_t number)
{
	uint8_t buf[SL_WIRE_ACK_MAX];
	struct sl_wire_ack ack;

	core->stats.refused++;
	sl_session_refuse(number, &ack);
	core->params.hooks.send(core->params.hooks.arg, peer, buf, sl_wire_put_ack(buf, 0, &ack));
}

/* The session has it now, for good. The sender measures the way by the highest. */
static void
receive_for_good(struct sl_con_core *core, struct sl_con_session *s, const struct sl_con_message *m)
{
	if (s->is_gone)
		return;
	if (m->delivery.sequence > s->echo_sequence) {
		s->echo_sequence = m->delivery.sequence;
		s->echo_timestamp_ns = m->delivery.timestamp_ns;
		s->echo_at = m->came_at;
	}
	sl_session_rx_receive(s->rx, m->delivery.sequence);
	s->unacked++;
	want_ack(core, s);
}

/* Messages. */

static void
release(struct sl_con_core *core, struct sl_con_message *m)
{
	core->stats.held--;
	core->stats.held_bytes -= sizeof(*m) + m->capacity;
	core->params.hooks.release(core->params.hooks.arg, m);
}

static struct sl_wire_key
key_of(const struct sl_con_message *m)
{
	return (struct sl_wire_key){.destination = m->delivery.destination,
		.source = m->delivery.source,
		.id_high = m->delivery.id.high,
		.id_low = m->delivery.id.low};
}

/* One that came in a session: its own, and those of the same identity behind it. */
static void
finish(struct sl_con_core *core, struct sl_con_message *m)
{
	struct sl_con_message *next;

	for (; m != NULL; m = next) {
		next = m->also;
		m->session->backlog--;
		if (core->params.is_early) {
			m->session->freed++; /* There is more credit. */
			want_ack(core, m->session);
		} else {
			receive_for_good(core, m->session, m);
		}
		sl_con_session_unref(m->session);
		release(core, m);
	}
}

void
sl_con_done(struct sl_con_core *core, struct sl_con_message *m, uint64_t now)
{
	uint64_t took = now - m->came_at;
	struct sl_wire_key key;

	core->stats.latency_ns += took / 8 - core->stats.latency_ns / 8;
	if (m->session == NULL) {
		core->queued--;
		release(core, m);
		return;
	}
	if (!core->params.is_early) {
		key = key_of(m);
		sl_window_finish(core->known, &key);
	}
	finish(core, m);
}

void
sl_con_drop(struct sl_con_core *core, struct sl_con_message *m)
{
	struct sl_con_message *next;

	for (; m != NULL; m = next) {
		next = m->also;
		if (m->session != NULL)
			sl_con_session_unref(m->session);
		release(core, m);
	}
}

/* Its turn has come: to the application, unless it was there before. */
static void
hand_over(struct sl_con_core *core, struct sl_con_session *s, struct sl_con_message *m)
{
	struct sl_wire_key key = key_of(m);
	void *known;

	m->session = s;
	s->refs++;
	s->backlog++;
	if (sl_window_check(core->known, &key, core->params.is_early ? NULL : m, &known)) {
		struct sl_con_message *first = known;

		core->stats.redeliveries++;
		if (first == NULL) {
			finish(core, m);
			return;
		}
		m->also = first->also;
		first->also = m;
		return;
	}
	core->stats.delivered++;
	core->params.hooks.deliver(core->params.hooks.arg, m);
}

/* Hand over what is next. */
static void
advance(struct sl_con_core *core, struct sl_con_session *s)
{
	struct sl_con_message **place, *m;

	while ((m = *(place = place_of(core, s, s->next))) != NULL) {
		*place = NULL;
		s->next++;
		s->waiting--;
		if (m != &handed_over)
			hand_over(core, s, m);
	}
}

/* Copy a message. @return NULL: there is no room for it */
static struct sl_con_message *
take_message(struct sl_con_core *core, const struct sl_udp_peer *peer, const uint8_t *bytes,
	uint32_t len, uint64_t limit, uint64_t now)
{
	struct sl_con_message *m = NULL;

	if (core->stats.held_bytes + sizeof(*m) + len <= limit)
		m = core->params.hooks.get(core->params.hooks.arg, len);
	if (m == NULL)
		return NULL;
	memcpy(m->bytes, bytes, len);
	sl_message_read(m->bytes, len, &m->delivery);
	memcpy(m->delivery.peer.ip, &peer->ip, sizeof(m->delivery.peer.ip));
	m->delivery.peer.scope = peer->scope;
	m->delivery.peer.port = peer->port;
	m->delivery.session = core->datagram.session;
	m->delivery.epoch = core->datagram.epoch;
	m->session = NULL;
	m->also = NULL;
	m->came_at = now;
	core->stats.held++;
	core->stats.held_bytes += sizeof(*m) + m->capacity;
	return m;
}

static void
take_loose(struct sl_con_core *core, const struct sl_udp_peer *peer, const uint8_t *bytes,
	uint32_t len, uint64_t now)
{
	struct sl_con_message *m = NULL;

	if (core->queued < core->params.queue_messages)
		m = take_message(core, peer, bytes, len, core->params.memory_bytes, now);
	if (m == NULL) {
		core->stats.dropped++;
		return;
	}
	core->queued++;
	core->stats.at_most_once++;
	core->stats.delivered++;
	core->params.hooks.deliver(core->params.hooks.arg, m);
}

/* A message of a session. */
static void
take(struct sl_con_core *core, struct sl_con_session *s, const uint8_t *bytes, uint32_t len,
	uint64_t now)
{
	uint64_t sequence = sl_wire_get64(bytes + SL_WIRE_OFF_SEQUENCE);
	uint64_t memory = core->params.memory_bytes;
	struct sl_con_message **place, *m;
	bool is_next;

	if (sequence > s->limit) {
		core->stats.beyond++;
		s->is_urgent = true;
		want_ack(core, s);
		return;
	}
	place = place_of(core, s, sequence);
	if (sequence < s->next || *place != NULL) {
		core->stats.duplicates++;
		s->is_urgent = true;
		want_ack(core, s);
		return;
	}
	is_next = sequence == s->next;
	/* What waits for one before it does not take the memory which that needs. */
	m = take_message(core, &s->peer, bytes, len, is_next ? memory : memory / 2, now);
	if (m == NULL) {
		core->stats.no_memory++;
		return;
	}
	if (core->params.is_early) {
		/* A gap that begins, lasts or ends is told of at once. */
		s->is_urgent |= !is_next || s->waiting != 0;
		receive_for_good(core, s, m);
	} else if (!is_next && sl_session_rx_cumulative(s->rx) + 1 == s->next) {
		s->is_urgent = true;
		want_ack(core, s);
	}
	if (sequence > s->came_highest) {
		s->came_highest = sequence;
		s->came_highest_at = now;
	}
	s->waiting++;
	*place = m;
	if (core->params.is_unordered) {
		*place = &handed_over;
		hand_over(core, s, m);
	}
	advance(core, s);
}

/* Sessions. */

/*
 * Forget a session. Those that wait for one that has not come: what was acknowledged goes to the
 * application all the same; what was not comes again, in another session.
 */
static void
forget(struct sl_con_core *core, struct sl_con_session *s)
{
	struct sl_con_message **place, *m;

	for (; s->waiting != 0; s->next++) {
		place = place_of(core, s, s->next);
		m = *place;
		*place = NULL;
		if (m == NULL) {
			core->stats.gaps++;
			continue;
		}
		s->waiting--;
		if (m == &handed_over)
			continue;
		if (core->params.is_early)
			hand_over(core, s, m);
		else
			release(core, m);
	}
	stop_ack(core, s);
	sl_con_table_remove(&core->table, s);
}

/*
 * For one more session. One address has a quarter of them at most, so that whoever begins many
 * takes them from nobody else.
 */
static void
make_room(struct sl_con_core *core, const struct sl_udp_peer *peer)
{
	uint32_t share = core->params.sessions_max / 4, nb = 0;
	struct sl_con_session *s, *oldest = NULL;

	TAILQ_FOREACH (s, &core->table.lru, lru) {
		if (memcmp(&s->peer.ip, &peer->ip, sizeof(peer->ip)) == 0 && nb++ == 0)
			oldest = s;
	}
	if (nb == 0 || nb < share)
		oldest = core->table.nb < core->params.sessions_max ? NULL
								    : TAILQ_FIRST(&core->table.lru);
	if (oldest == NULL)
		return;
	core->stats.sessions_evicted++;
	forget(core, oldest);
}

static struct sl_con_session *
find_session(struct sl_con_core *core, const struct sl_udp_peer *peer, const uint8_t *first,
	uint64_t now)
{
	uint64_t number = core->datagram.session;
	struct sl_con_session *s = sl_con_table_find(&core->table, peer, number);

	if (s != NULL) {
		sl_con_table_touch(&core->table, s, now);
		s->peer.local = peer->local;
		return s;
	}
	if (!sl_session_rx_may_begin(sl_wire_get64(first + SL_WIRE_OFF_SEQUENCE))) {
		refuse(core, peer, number);
		return NULL;
	}
	make_room(core, peer);
	s = sl_con_table_add(&core->table, peer, number, now);
	if (s == NULL) {
		core->stats.no_memory++;
		return NULL;
	}
	s->echo_at = now;
	core->stats.sessions_opened++;
	core->params.hooks.event(
		core->params.hooks.arg, SLUICE_LEVEL_INFO, peer, "has begun a session");
	return s;
}

/*
 * Is it of an appliance that another has taken over from? Anybody can claim a high epoch, so it is
 * believed only where it is known who may send, and forgotten when nobody claims it any more.
 */
static bool
is_deposed(struct sl_con_core *core, uint64_t now)
{
	uint32_t epoch = core->datagram.epoch;
	bool is_over = now - core->epoch_at >= core->params.idle_ns;

	if (epoch >= core->highest_epoch || (is_over && core->params.trusts_epochs)) {
		core->highest_epoch = epoch;
		core->epoch_at = now;
		return false;
	}
	core->stats.old_epochs++;
	return core->params.trusts_epochs;
}

static void
answer_probe(
	struct sl_con_core *core, const struct sl_udp_peer *peer, const uint8_t *data, size_t len)
{
	uint8_t buf[SL_WIRE_PROBE_MAX];
	struct sl_wire_probe probe;

	if (!sl_wire_parse_probe(data, len, core->arena, ARENA, &probe) || probe.is_reply)
		return;
	core->stats.probes++;
	probe.is_reply = true;
	probe.in_flight = (uint32_t)core->stats.held;
	probe.latency_ns = core->stats.latency_ns;
	core->params.hooks.send(
		core->params.hooks.arg, peer, buf, sl_wire_put_probe(buf, 0, &probe));
}

void
sl_con_input(struct sl_con_core *core, const struct sl_udp_peer *peer, const uint8_t *data,
	size_t len, uint64_t now)
{
	struct sl_wire_datagram *d = &core->datagram;
	struct sl_con_session *s = NULL;
	enum sl_wire_error rc;
	size_t written;

	core->stats.datagrams++;
	d->extras = 0;
	rc = sl_wire_parse(data, len, d);
	if (rc == SL_WIRE_SLOW) {
		rc = sl_wire_parse_slow(
			data, len, core->arena, ARENA, core->rewrite, UINT16_MAX, d, &written);
		if (rc == SL_WIRE_OK && d->nb_messages == 0 && (d->extras & SL_WIRE_HAS_PROBE) != 0)
			answer_probe(core, peer, data, len);
		data = core->rewrite;
	}
	if (rc != SL_WIRE_OK) {
		core->stats.bad_datagrams++;
		return;
	}
	if (d->nb_messages == 0)
		return;
	core->stats.messages += d->nb_messages;
	if (is_deposed(core, now))
		return;
	if (d->session != 0) {
		s = find_session(core, peer, data + d->messages[0].offset, now);
		if (s == NULL)
			return;
	}
	for (uint32_t i = 0; i < d->nb_messages; i++) {
		const uint8_t *bytes = data + d->messages[i].offset;

		if (s == NULL || sl_wire_get64(bytes + SL_WIRE_OFF_SEQUENCE) == 0)
			take_loose(core, peer, bytes, d->messages[i].len, now);
		else
			take(core, s, bytes, d->messages[i].len, now);
	}
}

void
sl_con_tick(struct sl_con_core *core, uint64_t now)
{
	struct sl_con_session *s, *next;

	if (now < core->tick_at)
		return;
	core->tick_at = now + TICK_NS;
	for (s = TAILQ_FIRST(&core->table.lru); s != NULL && now - s->heard_at >= GAP_NS;
		s = next) {
		next = TAILQ_NEXT(s, lru);
		if (now - s->heard_at < core->params.idle_ns &&
			(!core->params.is_early || s->waiting == 0))
			continue;
		core->stats.sessions_expired++;
		forget(core, s);
	}
}

uint64_t
sl_con_deadline(const struct sl_con_core *core)
{
	uint64_t deadline = core->table.nb == 0 ? UINT64_MAX : core->tick_at;
	const struct sl_con_session *s;

	TAILQ_FOREACH (s, &core->due, due) {
		if (s->due_at < deadline)
			deadline = s->due_at;
	}
	return deadline;
}

bool
sl_con_has_timer(const struct sl_con_core *core)
{
	return !TAILQ_EMPTY(&core->due);
}

void
sl_con_get_stats(const struct sl_con_core *core, struct sluice_consumer_stats *stats)
{
	uint64_t not_accepted = stats->not_accepted;

	*stats = core->stats;
	stats->not_accepted = not_accepted;
	stats->sessions = core->table.nb;
}

void
sl_con_free(struct sl_con_core *core)
{
	struct sl_con_session *s;

	core->params.is_early = false; /* Nothing goes to the application any more. */
	while ((s = TAILQ_FIRST(&core->table.lru)) != NULL)
		forget(core, s);
	sl_con_table_fini(&core->table);
	sl_window_free(core->known);
	free(core->arena);
	free(core->rewrite);
	free(core);
}
