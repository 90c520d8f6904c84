/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * What becomes durable for the sessions of publishers, in any order: sequences near and far,
 * repeats, sessions that are new, forgotten or from before a restart, more of them than there is
 * room for, slots that change hands, any clock. Held against a plain set of what was received:
 *
 *   - An ack tells of every message that was received within the window, and of no other.
 *   - Its credit limit and cumulative never go back; the credit is 1 .. window beyond the complete.
 *   - A session is acknowledged only after something came for it, and is told once.
 *   - Who is not known and not at its begin is refused, and nobody else is; a refusal changes
 *     nothing.
 *   - Sessions in use never exceed the room, and those of publishers that are alive stay.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "receivers.h"
#include "sl_wire.h"

#define SESSIONS 12 /* That send. */
#define ROOM	 8
#define WINDOW	 1024 /* What a receiver remembers at least, so it is the window in any case. */
#define REACH	 8192 /* Sequences that the model remembers. */

struct input {
	const uint8_t *data;
	size_t size;
};

struct model {
	bool is_known;
	bool is_touched;
	bool is_alive;
	uint64_t limit; /* Told. */
	uint64_t cumulative;
	uint64_t highest;
	uint64_t heard_ns;
	uint8_t has[REACH + 2];
};

struct state {
	struct receivers receivers;
	struct model models[SESSIONS];
	uint64_t now_ns;
	uint32_t nb_known;
};

static struct state s;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_receivers: %s\n", what);
	abort();
}

static uint8_t
next_byte(struct input *in)
{
	if (in->size == 0)
		return 0;
	in->size--;
	return *in->data++;
}

/* Mostly small. */
static uint64_t
next_number(struct input *in)
{
	uint64_t v = 0;

	for (uint32_t n = next_byte(in) % 9; n > 0; n--)
		v = v << 8 | next_byte(in);
	return v;
}

/* 0 is nobody's: such a record wants no ack. */
static uint64_t
session_of(uint32_t i)
{
	return i == 0 ? UINT64_MAX : i * UINT64_C(0x9e3779b97f4a7c15);
}

static void
forget(struct model *m)
{
	bool is_alive = m->is_alive;

	memset(m, 0, sizeof(*m));
	m->is_alive = is_alive;
	s.nb_known--;
}

/* What the receiver ought to do with a sequence. @return false: the model ends here */
static bool
expect(struct model *m, uint64_t sequence)
{
	if (m->cumulative + WINDOW >= REACH)
		return false;
	if (!m->is_known) {
		if (sequence == 0 || sequence > SL_SESSION_BEGIN_MAX || s.nb_known == ROOM)
			return true;
		m->is_known = true;
		s.nb_known++;
	}
	m->is_touched = true;
	m->heard_ns = s.now_ns;
	if (sequence == 0 || sequence > m->cumulative + WINDOW)
		return true;
	m->has[sequence] = 1;
	m->highest = RTE_MAX(m->highest, sequence);
	while (m->has[m->cumulative + 1])
		m->cumulative++;
	return true;
}

static void
put_record(struct input *in, uint64_t session, uint64_t sequence, bool is_duplicate)
{
	struct {
		struct sl_record_message head;
		uint8_t message[SL_WIRE_MESSAGE_MIN];
	} message = {
		.head = {.record = {.type = SL_RECORD_MESSAGE,
				 .flags = SL_RECORD_WANTS_ACK,
				 .len = sizeof(message.head) + sizeof(message.message),
				 .time_ns = s.now_ns - next_byte(in)},
			.session = session,
			.publisher = next_byte(in)},
	};
	const struct sl_record_duplicate duplicate = {
		.record = {.type = SL_RECORD_DUPLICATE, .len = sizeof(duplicate)},
		.session = session,
		.sequence = sequence,
		.publisher = next_byte(in),
	};

	sl_wire_put64(message.message + SL_WIRE_OFF_SEQUENCE, sequence);
	receivers_take(
		&s.receivers, is_duplicate ? &duplicate.record : &message.head.record, s.now_ns);
}

/* Near its begin, anywhere, or about the end of its window. */
static void
do_take(struct input *in)
{
	uint32_t i = next_byte(in) % SESSIONS, nb_refusals = s.receivers.nb_refusals;
	struct model *m = &s.models[i];
	uint8_t kind = next_byte(in);
	uint64_t sequence = 1 + next_byte(in);
	bool was_known = m->is_known, may_begin;

	if (kind & 1)
		sequence = next_number(in);
	else if (kind & 2)
		sequence += m->cumulative + WINDOW - 128;
	may_begin = sl_session_rx_may_begin(sequence);
	if (!expect(m, sequence))
		return;
	put_record(in, session_of(i), sequence, kind & 4);
	require((receivers_find(&s.receivers, session_of(i)) != NULL) == m->is_known,
		"a session begun, or not, against the rule");
	require(s.receivers.nb_refusals == nb_refusals || (!was_known && !may_begin),
		"refused, and it is known or begins");
	require(was_known || may_begin || s.receivers.nb_refusals > 0, "not refused");
	require(s.receivers.nb_refusals <= REFUSALS_MAX, "refusals without a bound");
}

/* A run of sequences from where the session is, as an honest sender's, or from a bit ahead. */
static void
do_run(struct input *in)
{
	uint32_t i = next_byte(in) % SESSIONS;
	struct model *m = &s.models[i];
	uint64_t from = m->cumulative + 1 + next_byte(in) % 64;

	for (uint32_t n = next_byte(in); n > 0 && expect(m, from); n--, from++) {
		put_record(in, session_of(i), from, false);
	}
}

static bool
tells(const struct sl_wire_ack *ack, uint64_t sequence)
{
	uint64_t bit = sequence - ack->cumulative - 2;

	if (sequence <= ack->cumulative || sequence == ack->highest)
		return true;
	return sequence > ack->cumulative + 1 && bit / 8 < ack->selective_len &&
		(ack->selective[bit / 8] >> bit % 8 & 1) != 0;
}

static void
check_ack(struct model *m, const struct sl_wire_ack *ack)
{
	uint64_t reach = ack->cumulative + 1 + 8 * SL_WIRE_SELECTIVE_MAX;

	require(ack->cumulative == m->cumulative, "another cumulative");
	require(ack->highest == RTE_MAX(m->highest, m->cumulative), "another highest");
	require(ack->selective_len <= SL_WIRE_SELECTIVE_MAX, "too many selective bits");
	require(ack->credit_limit >= m->limit, "the credit limit went back");
	require(ack->credit_limit > ack->cumulative, "no credit at all");
	require(ack->credit_limit <= RTE_MAX(m->limit, ack->cumulative + WINDOW),
		"more credit than the window");
	m->limit = ack->credit_limit;
	for (uint64_t q = ack->cumulative + 1; q <= RTE_MIN(reach, (uint64_t)REACH); q++)
		require(tells(ack, q) == (m->has[q] != 0), "an ack says another thing than was");
}

/* As a batch of the journal does, for some: with no buffer for more, the rest waits. */
static void
do_acks(uint32_t max)
{
	struct receiver *receiver;
	struct sl_wire_ack ack;
	uint32_t i;

	while (max-- > 0 && (receiver = receivers_next(&s.receivers)) != NULL) {
		for (i = 0; i < SESSIONS && session_of(i) != receiver->session; i++)
			;
		require(i < SESSIONS, "an ack for a session that nobody has");
		require(s.models[i].is_touched, "an ack for one that sent nothing");
		receivers_ack(&s.receivers, receiver, s.now_ns, &ack);
		require(ack.session == session_of(i), "the ack of another session");
		check_ack(&s.models[i], &ack);
		/* Or no buffer could be had: it stays. */
		if (max % 16 == 15)
			return;
		receivers_told(&s.receivers, receiver);
		s.models[i].is_touched = false;
	}
}

static bool
is_alive(void *arg, const struct receiver *receiver)
{
	(void)arg;
	for (uint32_t i = 0; i < SESSIONS; i++) {
		if (session_of(i) == receiver->session)
			return s.models[i].is_alive;
	}
	require(false, "asked for a session that nobody has");
	return false;
}

static void
do_sweep(struct input *in)
{
	uint32_t nb = next_byte(in) % 32;
	uint64_t idle_ns = next_number(in);

	receivers_sweep(&s.receivers, nb, s.now_ns, idle_ns, is_alive, NULL);
	for (uint32_t i = 0; i < SESSIONS; i++) {
		struct model *m = &s.models[i];
		bool is_there = receivers_find(&s.receivers, session_of(i)) != NULL;
		bool is_idle = s.now_ns > m->heard_ns + idle_ns && !m->is_alive;

		require(m->is_known || !is_there, "one that came from nowhere");
		require(is_there || !m->is_known || is_idle, "forgotten, and it is in use");
		require(!is_there || nb < ROOM || !is_idle, "not forgotten");
		if (m->is_known && !is_there)
			forget(m);
	}
}

/* Few addresses for all slots, and some that are left. */
static uint64_t
address_of(void *arg, uint32_t publisher, uint64_t session)
{
	(void)arg;
	(void)session;
	return publisher % 4;
}

static void
begin(struct input *in)
{
	struct receivers_params params = {
		.nb_max = ROOM,
		.window = WINDOW,
		.address_window = next_byte(in),
		.rate_msgs_per_s = next_number(in),
		.seeds = {next_byte(in), next_byte(in)},
		.address_of = address_of,
	};

	memset(&s, 0, sizeof(s));
	s.now_ns = next_number(in) >> 8;
	require(receivers_init(&s.receivers, &params) == 0, "no memory");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	begin(&in);
	while (in.size > 0) {
		switch (next_byte(&in) % 6) {
		case 0:
			do_take(&in);
			break;
		case 1:
			do_run(&in);
			break;
		case 2:
			do_acks(next_byte(&in));
			break;
		case 3:
			s.now_ns += next_number(&in) >> 24;
			break;
		case 4:
			do_sweep(&in);
			break;
		case 5:
			s.models[next_byte(&in) % SESSIONS].is_alive ^= true;
			/* They have been told. */
			s.receivers.nb_refusals = 0;
			break;
		}
	}
	receivers_free(&s.receivers);
	return 0;
}
