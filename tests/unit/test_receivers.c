/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "receivers.h"
#include "sl_gcra.h"
#include "sl_wire.h"
#include "test_rand.h"

#define MS	 UINT64_C(1000000)
#define SECOND	 (1000 * MS)
#define SESSION	 UINT64_C(0x5e55)
#define WINDOW	 4096
#define SESSIONS 8

/* Sessions below 100 are one address's, those above another's. */
static uint64_t
address_of(void *arg, uint32_t publisher, uint64_t session)
{
	(void)arg;
	assert_int_equal(publisher, session);
	return session < 100 ? 1 : 2;
}

static void
setup_limited(struct receivers *receivers, uint64_t rate, uint32_t address_window)
{
	const struct receivers_params params = {
		.nb_max = SESSIONS,
		.window = WINDOW,
		.address_window = address_window,
		.rate_msgs_per_s = rate,
		.seeds = {1, 2},
		.address_of = address_of,
	};

	assert_int_equal(receivers_init(receivers, &params), 0);
}

static void
setup(struct receivers *receivers, uint64_t rate)
{
	setup_limited(receivers, rate, 0);
}

/* A message as a worker records it. */
static void
put_message(struct receivers *receivers, uint64_t session, uint64_t sequence, uint8_t flags,
	uint64_t now_ns)
{
	struct {
		struct sl_record_message head;
		uint8_t message[SL_WIRE_MESSAGE_MIN];
	} record = {
		.head = {.record = {.type = SL_RECORD_MESSAGE,
				 .flags = flags,
				 .len = sizeof(record.head) + sizeof(record.message),
				 .time_ns = now_ns},
			.session = session,
			.publisher = (uint32_t)session},
	};

	sl_wire_put64(record.message + SL_WIRE_OFF_SEQUENCE, sequence);
	sl_wire_put64(record.message + SL_WIRE_OFF_TIMESTAMP, 7000 + sequence);
	receivers_take(receivers, &record.head.record, now_ns);
}

static void
put(struct receivers *receivers, uint64_t session, uint64_t sequence)
{
	put_message(receivers, session, sequence, SL_RECORD_WANTS_ACK, SECOND);
}

static void
put_duplicate(struct receivers *receivers, uint64_t session, uint64_t sequence)
{
	const struct sl_record_duplicate record = {
		.record = {.type = SL_RECORD_DUPLICATE, .len = sizeof(record), .time_ns = SECOND},
		.session = session,
		.sequence = sequence,
	};

	receivers_take(receivers, &record.record, SECOND);
}

/* Take the next ack, as a batch does. */
static struct sl_wire_ack
next_ack(struct receivers *receivers, uint64_t now_ns)
{
	struct receiver *receiver = receivers_next(receivers);
	struct sl_wire_ack ack;

	assert_non_null(receiver);
	receivers_ack(receivers, receiver, now_ns, &ack);
	receivers_told(receivers, receiver);
	return ack;
}

static void
one_ack_tells_of_all_gaps(void **state)
{
	static const uint64_t durable[] = {1, 2, 9, 4, 6, 7};
	struct receivers receivers;
	struct sl_wire_ack ack;

	(void)state;
	setup(&receivers, 0);
	for (unsigned int i = 0; i < RTE_DIM(durable); i++)
		put(&receivers, SESSION, durable[i]);
	ack = next_ack(&receivers, SECOND + 3 * MS);
	assert_int_equal(ack.session, SESSION);
	assert_int_equal(ack.cumulative, 2);
	assert_int_equal(ack.highest, 9);
	assert_int_equal(ack.credit_limit, 2 + WINDOW);
	assert_int_equal(ack.selective_len, 1);
	/* From 4 on: 4, 6, 7, 9. */
	assert_int_equal(ack.selective[0], 0x2d);
	assert_int_equal(ack.echo_timestamp_ns, 7007);
	assert_int_equal(ack.ack_delay_ns, 3 * MS);
	assert_null(receivers_next(&receivers));
	receivers_free(&receivers);
}

static void
a_duplicate_is_acknowledged_again(void **state)
{
	struct receivers receivers;

	(void)state;
	setup(&receivers, 0);
	put(&receivers, SESSION, 1);
	assert_int_equal(next_ack(&receivers, SECOND).cumulative, 1);
	put_duplicate(&receivers, SESSION, 1);
	assert_int_equal(next_ack(&receivers, SECOND).cumulative, 1);
	/* One that was accepted in another session is new in this one. */
	put_duplicate(&receivers, SESSION, 2);
	assert_int_equal(next_ack(&receivers, SECOND).cumulative, 2);
	assert_int_equal(receivers_find(&receivers, SESSION)->duplicates, 1);
	receivers_free(&receivers);
}

static void
what_asks_for_no_ack_gets_none(void **state)
{
	const struct sl_record_done done = {
		.record = {.type = SL_RECORD_DONE, .len = sizeof(done)}};
	struct receivers receivers;

	(void)state;
	setup(&receivers, 0);
	put_message(&receivers, SESSION, 1, 0, SECOND);
	put_message(&receivers, 0, 1, SL_RECORD_WANTS_ACK, SECOND);
	receivers_take(&receivers, &done.record, SECOND);
	assert_null(receivers_next(&receivers));
	assert_int_equal(receivers.nb_refusals, 0);
	receivers_free(&receivers);
}

static void
a_session_from_before_is_refused_once(void **state)
{
	struct receivers receivers;

	(void)state;
	setup(&receivers, 0);
	for (uint64_t i = 1; i <= 10; i++)
		put(&receivers, SESSION, SL_SESSION_BEGIN_MAX + i);
	assert_null(receivers_next(&receivers));
	assert_int_equal(receivers.nb_refusals, 1);
	assert_int_equal(receivers.refusals[0].session, SESSION);
	for (uint64_t i = 0; i < 2 * REFUSALS_MAX; i++)
		put(&receivers, SESSION + i, SL_SESSION_BEGIN_MAX + 1);
	assert_int_equal(receivers.nb_refusals, REFUSALS_MAX);
	receivers_free(&receivers);
}

static void
an_ack_that_found_no_buffer_is_made_anew(void **state)
{
	struct receivers receivers;
	struct sl_wire_ack ack;

	(void)state;
	setup(&receivers, 0);
	put(&receivers, SESSION, 1);
	receivers_ack(&receivers, receivers_next(&receivers), SECOND, &ack);
	assert_int_equal(ack.cumulative, 1);
	/* Not told: what comes meanwhile is told with it. */
	put(&receivers, SESSION, 2);
	assert_int_equal(next_ack(&receivers, SECOND).cumulative, 2);
	assert_null(receivers_next(&receivers));
	receivers_free(&receivers);
}

/* A sender that always sends all it may keeps to its rate, and never meets the path's limit. */
static void
credit_keeps_a_session_at_its_rate(void **state)
{
	static const uint64_t rates[] = {2000, 20000, 1000000};
	uint64_t sent, now, rate;
	struct receivers receivers;
	struct sl_wire_ack ack;
	struct sl_gcra limit;

	(void)state;
	for (unsigned int r = 0; r < RTE_DIM(rates); r++) {
		rate = rates[r];
		setup(&receivers, rate);
		/* As lib/datapath/publisher.c limits it, in ns. */
		sl_gcra_init(&limit, rate, (uint32_t)(rate / 5 + SL_SESSION_BEGIN_MAX), SECOND);
		sent = 0;
		ack.credit_limit = SL_SESSION_BEGIN_MAX;
		for (now = SECOND; now < 11 * SECOND; now += MS) {
			while (sent < ack.credit_limit) {
				assert_true(sl_gcra_conforms(&limit, now));
				sl_gcra_take(&limit, now);
				put_message(&receivers, SESSION, ++sent, SL_RECORD_WANTS_ACK, now);
			}
			ack = next_ack(&receivers, now);
		}
		assert_in_range(sent, 10 * rate - rate / 100,
			10 * rate + rate / 10 + SL_SESSION_BEGIN_MAX + 1);
		receivers_free(&receivers);
	}
}

/* Sessions of one address share its rate, and the slow one does not starve; others have their own.
 */
static void
credit_keeps_an_address_at_its_rate(void **state)
{
	enum { GREEDY = 7, RATE = 2000, SECONDS = 10 };
	/* Six that always send all they may, one that is slow, and one of another address. */
	uint64_t sent[GREEDY + 1] = {0}, limit[GREEDY + 1], greedy = 0, waited = 0;
	const uint64_t session[GREEDY + 1] = {1, 2, 3, 4, 5, 6, 7, 100};
	struct receivers receivers;

	(void)state;
	setup(&receivers, RATE);
	for (uint32_t i = 0; i <= GREEDY; i++)
		limit[i] = 1;
	for (uint64_t now = SECOND; now < (SECONDS + 1) * SECOND; now += 20 * MS) {
		for (uint32_t i = 0; i <= GREEDY; i++) {
			uint64_t most = i < GREEDY - 1 ? UINT64_MAX
						       : (now - SECOND) / (10 * MS) + 1;

			while (sent[i] < RTE_MIN(limit[i], most))
				put_message(&receivers, session[i], ++sent[i], SL_RECORD_WANTS_ACK,
					now);
			waited += i >= GREEDY - 1 && sent[i] < most;
		}
		while (receivers_next(&receivers) != NULL) {
			struct sl_wire_ack ack = next_ack(&receivers, now);

			for (uint32_t i = 0; i <= GREEDY; i++)
				limit[i] = ack.session == session[i] ? ack.credit_limit : limit[i];
		}
	}
	for (uint32_t i = 0; i < GREEDY; i++)
		greedy += sent[i];
	/* An ack grants a message in any case. */
	assert_in_range(greedy, RATE * SECONDS, RATE * SECONDS + RATE / 10 + GREEDY * SECONDS);
	assert_int_equal(waited, 0);
	receivers_free(&receivers);
}

/* Messages that a session may have on its way, behind another one. */
static uint64_t
window_after(struct receivers *receivers, uint64_t session, uint64_t sequence)
{
	struct sl_wire_ack ack;

	put(receivers, session, sequence);
	ack = next_ack(receivers, SECOND);
	assert_int_equal(ack.session, session);
	assert_int_equal(ack.cumulative, sequence);
	return ack.credit_limit - ack.cumulative;
}

static bool
is_other(void *arg, const struct receiver *receiver)
{
	(void)arg;
	return receiver->session != 1;
}

static void
sessions_of_an_address_share_its_window(void **state)
{
	struct receivers receivers;
	uint64_t all;

	(void)state;
	setup_limited(&receivers, 0, 1000);
	assert_int_equal(window_after(&receivers, 1, 1), 1000);
	/* Who was told more keeps it until it has sent it. */
	assert_int_equal(window_after(&receivers, 2, 1), 500);
	assert_int_equal(window_after(&receivers, 1, 2), 999);
	for (uint64_t sequence = 3; sequence < 600; sequence++)
		all = window_after(&receivers, 1, sequence);
	assert_int_equal(all, 500);
	/* Another address has its own. */
	assert_int_equal(window_after(&receivers, 100, 1), 1000);
	for (uint64_t session = 3; session <= 7; session++)
		window_after(&receivers, session, 1);
	for (uint64_t sequence = 2; sequence < 600; sequence++)
		for (uint64_t session = 2; session <= 7; session++)
			window_after(&receivers, session, sequence);
	all = window_after(&receivers, 2, 600);
	assert_int_equal(all, 1000 / 7);
	/* What one leaves is the others'. */
	receivers_sweep(&receivers, SESSIONS, 3 * SECOND, SECOND, is_other, NULL);
	assert_int_equal(window_after(&receivers, 2, 601), 1000 / 6);
	receivers_free(&receivers);
}

static void
one_message_may_always_come(void **state)
{
	struct receivers receivers;

	(void)state;
	setup_limited(&receivers, 0, 3);
	for (uint64_t session = 1; session <= SESSIONS; session++)
		window_after(&receivers, session, 1);
	for (uint64_t sequence = 2; sequence < 10; sequence++)
		for (uint64_t session = 1; session <= SESSIONS; session++)
			assert_in_range(window_after(&receivers, session, sequence), 1, 2);
	assert_int_equal(window_after(&receivers, SESSIONS, 10), 1);
	receivers_free(&receivers);
}

static bool
is_alive(void *arg, const struct receiver *receiver)
{
	return receiver->session == *(const uint64_t *)arg;
}

static void
silent_sessions_are_freed_when_their_slots_are(void **state)
{
	struct receivers receivers;
	uint64_t alive = 3;

	(void)state;
	setup(&receivers, 0);
	for (uint64_t s = 1; s <= SESSIONS; s++)
		put(&receivers, s, 1);
	/* Full: one more is not told, and has to send again. */
	put(&receivers, 99, 1);
	assert_null(receivers_find(&receivers, 99));
	receivers_sweep(&receivers, SESSIONS, 2 * SECOND, SECOND, is_alive, &alive);
	assert_non_null(receivers_find(&receivers, 1));
	receivers_sweep(&receivers, SESSIONS, 2 * SECOND + 1, SECOND, is_alive, &alive);
	for (uint64_t s = 1; s <= SESSIONS; s++)
		assert_int_equal(receivers_find(&receivers, s) != NULL, s == alive);
	assert_int_equal(next_ack(&receivers, SECOND).session, alive);
	assert_null(receivers_next(&receivers));
	/* What is used again has forgotten. */
	for (uint64_t s = 101; s < 101 + SESSIONS - 1; s++) {
		put(&receivers, s, 2);
		assert_int_equal(next_ack(&receivers, SECOND).cumulative, 0);
	}
	receivers_free(&receivers);
}

/* Sessions whose messages become durable in any order, some twice: acks say what an array says. */
static void
says_what_an_array_says(void **state)
{
	enum { MESSAGES = 2000 };
	static bool has[SESSIONS + 1][MESSAGES + 16];
	uint64_t complete[SESSIONS + 1] = {0};
	struct receivers receivers;
	struct test_rand rand;

	(void)state;
	test_rand_init(&rand, __func__);
	setup(&receivers, 0);
	for (uint32_t step = 0; step < 100000; step++) {
		uint64_t s = 1 + test_rand_below(&rand, SESSIONS);
		uint64_t sequence = complete[s] + 1 + test_rand_below(&rand, 40);

		if (sequence > MESSAGES)
			sequence = 1 + test_rand_below(&rand, MESSAGES);
		if (test_rand_below(&rand, 8) == 0)
			put_duplicate(&receivers, s, sequence);
		else
			put(&receivers, s, sequence);
		has[s][sequence] = true;
		while (has[s][complete[s] + 1])
			complete[s]++;
		while (step % 64 == 0 && receivers_next(&receivers) != NULL) {
			struct sl_wire_ack ack = next_ack(&receivers, SECOND);

			assert_int_equal(ack.cumulative, complete[ack.session]);
			for (uint32_t i = 0; i < 8 * ack.selective_len; i++)
				assert_int_equal(ack.selective[i / 8] >> i % 8 & 1,
					has[ack.session][ack.cumulative + 2 + i]);
		}
	}
	receivers_free(&receivers);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_ack_tells_of_all_gaps),
		cmocka_unit_test(a_duplicate_is_acknowledged_again),
		cmocka_unit_test(what_asks_for_no_ack_gets_none),
		cmocka_unit_test(a_session_from_before_is_refused_once),
		cmocka_unit_test(an_ack_that_found_no_buffer_is_made_anew),
		cmocka_unit_test(credit_keeps_a_session_at_its_rate),
		cmocka_unit_test(credit_keeps_an_address_at_its_rate),
		cmocka_unit_test(sessions_of_an_address_share_its_window),
		cmocka_unit_test(one_message_may_always_come),
		cmocka_unit_test(silent_sessions_are_freed_when_their_slots_are),
		cmocka_unit_test(says_what_an_array_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
