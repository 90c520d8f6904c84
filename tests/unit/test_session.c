/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <rte_common.h>

#include "sl_session.h"

#define MS	UINT64_C(1000000)
#define SESSION UINT64_C(0x5e5510)
#define WINDOW	4096

/* A sender whose messages are the numbers 1, 2, ... and what it gave back. */
struct rig {
	struct sl_session_tx *tx;
	uint64_t now;
	uint32_t nb_sent;
	uint32_t nb_acked;
	uint32_t acked[WINDOW]; /* In their order. */
	uint32_t attempts[WINDOW];
	uint64_t sequences[WINDOW];
	struct sl_session_resend resends[WINDOW];
};

static const struct sl_session_tx_params usual = {
	.session = SESSION,
	.window = WINDOW,
	.initial_credit = 64,
	.rtt_initial_ns = 10 * MS,
	.rto_min_ns = 5 * MS,
	.rto_max_ns = 1000 * MS,
	.ack_delay_max_ns = 2 * MS,
};

static struct rig *
rig_new(const struct sl_session_tx_params *params)
{
	struct rig *g = calloc(1, sizeof(*g));
	size_t size = RTE_ALIGN_CEIL(sl_session_tx_memory_size(params), (size_t)64);
	void *mem = aligned_alloc(64, size);

	memset(mem, 0, size);
	g->now = 1000 * MS;
	g->tx = sl_session_tx_init(mem, params, g->now);
	return g;
}

static void
rig_free(struct rig *g)
{
	free(g->tx);
	free(g);
}

static void
send(struct rig *g, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		assert_true(sl_session_tx_room(g->tx) > 0);
		sl_session_tx_send(g->tx, (void *)(uintptr_t)++g->nb_sent, g->now);
	}
}

static void
on_acked(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	struct rig *g = arg;

	g->attempts[g->nb_acked] = attempts;
	g->acked[g->nb_acked] = (uint32_t)(uintptr_t)msg;
	g->sequences[g->nb_acked++] = sequence;
}

/* An ack of all up to `cumulative` and of what stands in `more`, ended by 0. */
static struct sl_wire_ack
make_ack(uint64_t cumulative, const uint32_t *more, uint64_t credit_limit)
{
	struct sl_wire_ack ack = {
		.session = SESSION,
		.cumulative = cumulative,
		.highest = cumulative,
		.credit_limit = credit_limit,
	};
	uint64_t bit;

	for (; *more != 0; more++) {
		bit = *more - cumulative - 2;
		ack.selective[bit / 8] |= (uint8_t)(1u << bit % 8);
		ack.selective_len = (uint32_t)bit / 8 + 1;
		ack.highest = *more;
	}
	return ack;
}

#define ACK(cumulative, ...) make_ack(cumulative, (const uint32_t[]){__VA_ARGS__, 0}, 4000)

static enum sl_session_ack
take(struct rig *g, struct sl_wire_ack ack)
{
	return sl_session_tx_ack(g->tx, &ack, g->now, on_acked, g);
}

static uint32_t
resend(struct rig *g)
{
	return sl_session_tx_resend(g->tx, g->now, g->resends, WINDOW);
}

static struct sl_session_tx_stats
stats(const struct rig *g)
{
	struct sl_session_tx_stats s;

	sl_session_tx_get_stats(g->tx, &s);
	return s;
}

static void
test_acks_give_messages_back(void **state)
{
	struct rig *g = rig_new(&usual);

	(void)state;
	assert_int_equal(sl_session_tx_room(g->tx), 64);
	assert_true(sl_session_tx_deadline(g->tx) == UINT64_MAX);
	send(g, 10);
	assert_int_equal(stats(g).in_flight, 10);
	g->now += MS;
	assert_int_equal(take(g, ACK(3, 6, 7)), SL_SESSION_ACK_OK);
	assert_int_equal(g->nb_acked, 5);
	assert_memory_equal(g->acked, ((uint32_t[]){1, 2, 3, 6, 7}), 5 * sizeof(uint32_t));
	assert_memory_equal(g->sequences, ((uint64_t[]){1, 2, 3, 6, 7}), 5 * sizeof(uint64_t));
	/* The same again, and less: nothing is given back twice. */
	assert_int_equal(take(g, ACK(3, 6, 7)), SL_SESSION_ACK_OK);
	assert_int_equal(take(g, ACK(3, 6)), SL_SESSION_ACK_OLD);
	assert_int_equal(take(g, ACK(1, 3)), SL_SESSION_ACK_OLD);
	assert_int_equal(g->nb_acked, 5);
	assert_int_equal(take(g, ACK(10, 0)), SL_SESSION_ACK_OK);
	assert_int_equal(g->nb_acked, 10);
	assert_int_equal(stats(g).acked, 10);
	assert_int_equal(stats(g).srtt_ns, MS);
	assert_true(sl_session_tx_deadline(g->tx) == UINT64_MAX);
	assert_int_equal(resend(g), 0);
	rig_free(g);
}

/* What is fetched ahead of an ack is what it gives back, as far as it goes. */
static void
test_what_an_ack_will_give_back_is_seen_before(void **state)
{
	struct sl_wire_ack ack = ACK(3, 0), too_far = ACK(100, 0), long_one = ACK(40, 0);
	struct rig *g = rig_new(&usual);
	void *msgs[SL_SESSION_PEEK_MAX];

	(void)state;
	assert_int_equal(sl_session_tx_peek(g->tx, &ack, msgs), 0);
	send(g, 10);
	assert_int_equal(sl_session_tx_peek(g->tx, &ack, msgs), 3);
	assert_memory_equal(
		msgs, ((void *[]){(void *)1, (void *)2, (void *)3}), 3 * sizeof(msgs[0]));
	assert_int_equal(sl_session_tx_peek(g->tx, &too_far, msgs), 10);
	assert_int_equal(take(g, ack), SL_SESSION_ACK_OK);
	assert_int_equal(sl_session_tx_peek(g->tx, &ack, msgs), 0);
	send(g, 40);
	assert_int_equal(sl_session_tx_peek(g->tx, &long_one, msgs), SL_SESSION_PEEK_MAX);
	assert_ptr_equal(msgs[0], (void *)4);
	rig_free(g);
}

static void
test_what_three_overtook_is_sent_again(void **state)
{
	struct rig *g = rig_new(&usual);

	(void)state;
	send(g, 10);
	g->now += MS;
	take(g, ACK(1, 3, 4));
	assert_int_equal(resend(g), 0);
	/* Now three that were sent later than 2 are there; only 5 and 6 later than 5. */
	take(g, ACK(1, 3, 4, 6, 7));
	assert_int_equal(resend(g), 1);
	assert_int_equal(g->resends[0].sequence, 2);
	assert_ptr_equal(g->resends[0].msg, (void *)2);
	assert_int_equal(g->resends[0].attempts, 2);
	assert_int_equal(resend(g), 0);
	/* 5 is when 9/8 of a round trip have passed. */
	assert_true(sl_session_tx_deadline(g->tx) == 1000 * MS + MS + MS / 8);
	g->now += MS / 8;
	assert_int_equal(resend(g), 1);
	assert_int_equal(g->resends[0].sequence, 5);
	assert_int_equal(stats(g).retransmitted, 2);
	rig_free(g);
}

static void
test_what_was_lost_twice_is_sent_a_third_time(void **state)
{
	struct rig *g = rig_new(&usual);

	(void)state;
	send(g, 10);
	g->now += MS;
	take(g, ACK(0, 2, 3, 4, 5, 6, 7, 8, 9, 10));
	assert_int_equal(resend(g), 1);
	send(g, 1);
	g->now += MS;
	send(g, 1);
	g->now += MS / 16;
	/* 11 was sent with it, and proves nothing; 12 was sent later. */
	take(g, ACK(0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
	assert_int_equal(resend(g), 0);
	g->now += MS;
	take(g, ACK(0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
	assert_int_equal(resend(g), 1);
	assert_int_equal(g->resends[0].sequence, 1);
	assert_int_equal(g->resends[0].attempts, 3);
	take(g, ACK(12, 0));
	assert_int_equal(g->nb_acked, 12);
	rig_free(g);
}

static void
test_silence_is_asked_into_ever_more_slowly(void **state)
{
	struct rig *g = rig_new(&usual);
	uint64_t at, last = 0, begun = g->now;

	(void)state;
	send(g, 64);
	/* 3 times the initial round trip, and what the receiver may take. */
	assert_int_equal(sl_session_tx_deadline(g->tx), begun + 30 * MS + 2 * MS);
	for (uint32_t i = 0; i < 12; i++) {
		at = sl_session_tx_deadline(g->tx);
		g->now = at - 1;
		assert_int_equal(resend(g), 0);
		g->now = at;
		assert_int_equal(resend(g), 1);
		assert_int_equal(g->resends[0].sequence, 1);
		assert_int_equal(g->resends[0].attempts, i + 2);
		assert_true(sl_session_tx_deadline(g->tx) - at >= last);
		last = sl_session_tx_deadline(g->tx) - at;
	}
	assert_int_equal(last, 1000 * MS);
	assert_int_equal(stats(g).timeouts_in_a_row, 12);
	assert_int_equal(stats(g).congestion_window, 16);
	/* The answer: only that one came. All sent before it are lost, and go as the window lets.
	 */
	g->now += 20 * MS;
	take(g, ACK(1, 0));
	assert_int_equal(stats(g).timeouts_in_a_row, 0);
	assert_int_equal(resend(g), stats(g).congestion_window);
	assert_int_equal(g->resends[0].sequence, 2);
	rig_free(g);
}

static void
test_an_outage_is_not_taken_for_loss(void **state)
{
	struct rig *g = rig_new(&usual);

	(void)state;
	send(g, 10);
	g->now += MS;
	take(g, ACK(10, 0));
	send(g, 60);
	/* The receiver's disk hangs for 200 ms; then it tells of one batch after the other. */
	for (uint32_t i = 0; i < 4; i++) {
		g->now = sl_session_tx_deadline(g->tx);
		assert_int_equal(resend(g), 1);
	}
	g->now = 1201 * MS;
	take(g, ACK(40, 0));
	assert_int_equal(resend(g), 0);
	g->now += MS;
	take(g, ACK(70, 0));
	assert_int_equal(stats(g).retransmitted, 4);
	rig_free(g);
}

static void
test_what_an_ack_cannot_tell_is_not_lost(void **state)
{
	struct sl_session_tx_params params = usual;
	struct sl_wire_ack ack = {.session = SESSION, .credit_limit = 4000, .selective_len = 128};
	struct rig *g;

	(void)state;
	params.initial_credit = 1024;
	g = rig_new(&params);
	/* Grow the window first. */
	while (stats(g).congestion_window < 2048) {
		send(g, sl_session_tx_room(g->tx));
		g->now += MS;
		ack.cumulative = ack.highest = g->nb_sent;
		ack.selective_len = 0;
		ack.credit_limit = g->nb_sent + WINDOW;
		assert_int_equal(take(g, ack), SL_SESSION_ACK_OK);
	}
	g->nb_acked = 0;
	send(g, 2000);
	g->now += MS;
	/* All but the first came; there is room to tell of 1,024. */
	memset(ack.selective, 0xff, sizeof(ack.selective));
	ack.selective_len = 128;
	ack.highest = g->nb_sent;
	assert_int_equal(take(g, ack), SL_SESSION_ACK_OK);
	assert_int_equal(g->nb_acked, 1024);
	assert_int_equal(resend(g), 1);
	g->now += 2 * MS;
	assert_int_equal(resend(g), 0);
	ack.cumulative = g->nb_sent;
	ack.selective_len = 0;
	assert_int_equal(take(g, ack), SL_SESSION_ACK_OK);
	assert_int_equal(stats(g).in_flight, 0);
	assert_int_equal(stats(g).retransmitted, 1);
	rig_free(g);
}

static void
test_the_way_is_measured_by_what_was_sent_once(void **state)
{
	struct rig *g = rig_new(&usual);
	struct sl_wire_ack ack;

	(void)state;
	send(g, 1);
	g->now = sl_session_tx_deadline(g->tx);
	assert_int_equal(resend(g), 1);
	g->now += MS;
	take(g, ACK(1, 0));
	assert_int_equal(stats(g).srtt_ns, 0);
	send(g, 1);
	g->now += MS;
	take(g, ACK(2, 0));
	assert_int_equal(stats(g).srtt_ns, MS);
	/* The receiver says that it took its time: that is not the way's. */
	for (uint32_t i = 3; i < 40; i++) {
		send(g, 1);
		g->now += 3 * MS;
		ack = ACK(i, 0);
		ack.ack_delay_ns = 2 * MS;
		take(g, ack);
	}
	assert_int_equal(stats(g).srtt_ns, MS);
	/* But it may not talk the way away. */
	for (uint32_t i = 40; i < 200; i++) {
		send(g, 1);
		g->now += 10 * MS;
		ack = ACK(i, 0);
		ack.ack_delay_ns = UINT32_MAX;
		ack.echo_timestamp_ns = UINT64_MAX;
		take(g, ack);
	}
	assert_in_range(stats(g).srtt_ns, 7 * MS, 8 * MS);
	rig_free(g);
}

static void
test_spurious_ones_are_counted_and_learnt_from(void **state)
{
	struct rig *g = rig_new(&usual);

	(void)state;
	send(g, 10);
	g->now += MS;
	take(g, ACK(10, 0));
	send(g, 20);
	g->now += MS;
	take(g, ACK(10, 14, 15, 16));
	assert_int_equal(resend(g), 3);
	/* Too soon for the copies to have been there. */
	g->now += MS / 10;
	take(g, ACK(16, 0));
	assert_int_equal(stats(g).spurious, 3);
	/* From now on it takes six. */
	take(g, ACK(16, 22));
	assert_int_equal(resend(g), 0);
	take(g, ACK(16, 22, 23));
	assert_int_equal(resend(g), 1);
	rig_free(g);
}

static void
test_credit_and_window_bound_what_is_sent(void **state)
{
	struct sl_session_tx_params params = usual;
	struct rig *g;

	(void)state;
	params.window = 16;
	params.initial_credit = 4;
	g = rig_new(&params);
	assert_int_equal(sl_session_tx_room(g->tx), 4);
	send(g, 4);
	assert_int_equal(sl_session_tx_room(g->tx), 0);
	g->now += MS;
	take(g, make_ack(4, (const uint32_t[]){0}, 10));
	assert_int_equal(sl_session_tx_room(g->tx), 6);
	/* Credit never shrinks, and is never less than one message. */
	take(g, make_ack(4, (const uint32_t[]){0}, 5));
	assert_int_equal(sl_session_tx_room(g->tx), 6);
	send(g, 6);
	take(g, make_ack(10, (const uint32_t[]){0}, 1));
	assert_int_equal(sl_session_tx_room(g->tx), 1);
	/* Giant credit: the window still holds. */
	take(g, make_ack(10, (const uint32_t[]){0}, UINT64_MAX));
	assert_int_equal(sl_session_tx_room(g->tx), 16);
	send(g, 16);
	assert_int_equal(sl_session_tx_room(g->tx), 0);
	/* A gap at the begin holds it back, too. */
	take(g, make_ack(10, (const uint32_t[]){12, 13, 14, 15, 16, 17, 0}, UINT64_MAX));
	assert_int_equal(sl_session_tx_room(g->tx), 0);
	rig_free(g);
}

static void
test_a_loss_halves_the_congestion_window_once(void **state)
{
	struct rig *g = rig_new(&usual);
	struct sl_wire_ack ack = {.session = SESSION, .credit_limit = UINT64_MAX};
	uint32_t before;

	(void)state;
	assert_int_equal(stats(g).congestion_window, 64);
	for (uint32_t i = 0; i < 4; i++) {
		before = stats(g).congestion_window;
		send(g, sl_session_tx_room(g->tx));
		g->now += MS;
		ack.cumulative = ack.highest = g->nb_sent;
		take(g, ack);
		assert_int_equal(stats(g).congestion_window, 2 * before);
	}
	send(g, 512);
	g->now += MS;
	ack = ACK(g->nb_sent - 512, g->nb_sent - 500);
	take(g, ack);
	assert_int_equal(stats(g).congestion_window, 512);
	ack = ACK(g->nb_sent - 512, g->nb_sent - 500, g->nb_sent - 400);
	take(g, ack);
	assert_int_equal(stats(g).congestion_window, 512);
	rig_free(g);
}

static void
test_an_idle_sender_does_not_grow_its_window(void **state)
{
	struct rig *g = rig_new(&usual);
	struct sl_wire_ack ack = {.session = SESSION, .credit_limit = UINT64_MAX};

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		send(g, 8);
		g->now += MS;
		ack.cumulative = ack.highest = g->nb_sent;
		take(g, ack);
	}
	assert_int_equal(stats(g).congestion_window, 64);
	rig_free(g);
}

static void
expect_bad(struct rig *g, struct sl_wire_ack ack)
{
	struct sl_session_tx_stats before = stats(g), after;

	assert_int_equal(take(g, ack), SL_SESSION_ACK_BAD);
	after = stats(g);
	assert_int_equal(after.bad_acks, before.bad_acks + 1);
	assert_int_equal(after.acked, before.acked);
	assert_int_equal(after.in_flight, before.in_flight);
	assert_int_equal(after.credit_limit, before.credit_limit);
	assert_int_equal(after.srtt_ns, before.srtt_ns);
	assert_int_equal(resend(g), 0);
}

static void
test_bad_acks_change_nothing(void **state)
{
	struct rig *g = rig_new(&usual);
	struct sl_wire_ack ack;

	(void)state;
	send(g, 10);
	g->now += MS;
	take(g, ACK(2, 5));
	expect_bad(g, ACK(11, 0)); /* Never sent. */
	expect_bad(g, ACK(UINT64_MAX, 0));
	expect_bad(g, ACK(2, 5, 11));
	ack = ACK(5, 0); /* Highest below cumulative. */
	ack.highest = 4;
	expect_bad(g, ack);
	ack.highest = 6; /* The next one, but not cumulative. */
	expect_bad(g, ack);
	ack = ACK(5, 8); /* Behind the highest, in the same byte and in another. */
	ack.highest = 7;
	expect_bad(g, ack);
	ack = ACK(2, 5);
	ack.selective[1] = 1;
	ack.selective_len = 2;
	expect_bad(g, ack);
	ack = ACK(2, 5); /* The highest, but not its bit. */
	ack.highest = 8;
	expect_bad(g, ack);
	ack = ACK(2, 5);
	ack.selective_len = SL_WIRE_SELECTIVE_MAX + 1;
	expect_bad(g, ack);
	ack = ACK(10, 0); /* Not ours. */
	ack.session++;
	assert_int_equal(take(g, ack), SL_SESSION_ACK_OLD);
	assert_int_equal(g->nb_acked, 3);
	take(g, ACK(10, 0));
	assert_int_equal(g->nb_acked, 10);
	rig_free(g);
}

static void
test_a_refused_session_goes_on_in_another(void **state)
{
	struct rig *g = rig_new(&usual);
	struct sl_wire_ack refusal, ack;

	(void)state;
	send(g, 10);
	g->now += MS;
	take(g, ACK(2, 5));
	g->nb_acked = 0;
	sl_session_refuse(SESSION, &refusal);
	assert_int_equal(take(g, refusal), SL_SESSION_ACK_REFUSED);
	sl_session_tx_restart(g->tx, SESSION + 1, g->now, on_acked, g);
	assert_int_equal(g->nb_acked, 7);
	assert_memory_equal(g->acked, ((uint32_t[]){3, 4, 6, 7, 8, 9, 10}), 7 * sizeof(uint32_t));
	/* What was for the old one is nothing to the new one. */
	assert_int_equal(take(g, refusal), SL_SESSION_ACK_OLD);
	assert_int_equal(stats(g).next_sequence, 1);
	assert_int_equal(stats(g).in_flight, 0);
	assert_int_equal(stats(g).srtt_ns, MS);
	assert_int_equal(sl_session_tx_room(g->tx), 64);
	assert_int_equal(sl_session_tx_send(g->tx, (void *)3, g->now), 1);
	/* Its first ack stands for the initial credit, too. */
	ack = make_ack(1, (const uint32_t[]){0}, 5);
	ack.session = SESSION + 1;
	assert_int_equal(take(g, ack), SL_SESSION_ACK_OK);
	assert_int_equal(sl_session_tx_room(g->tx), 4);
	rig_free(g);
}

static void
test_what_is_not_sent_again_after_all_does_not_count(void **state)
{
	struct rig *g = rig_new(&usual);

	(void)state;
	send(g, 6);
	g->now += MS;
	take(g, ACK(0, 6));
	assert_int_equal(resend(g), 3);
	sl_session_tx_unsend(g->tx, g->resends, 2);
	assert_int_equal(stats(g).retransmitted, 1);
	g->nb_acked = 0;
	sl_session_tx_restart(g->tx, SESSION + 1, g->now, on_acked, g);
	assert_int_equal(g->nb_acked, 5);
	assert_memory_equal(g->acked, ((uint32_t[]){1, 2, 3, 4, 5}), 5 * sizeof(uint32_t));
	assert_memory_equal(g->attempts, ((uint32_t[]){1, 1, 2, 1, 1}), 5 * sizeof(uint32_t));
	rig_free(g);
}

static void
test_a_receiver_that_forgot_shows_by_what_it_lacks(void **state)
{
	struct rig *g = rig_new(&usual);

	(void)state;
	send(g, 10);
	g->now += MS;
	take(g, ACK(8, 0));
	/* It had 8, and now has 10 but not 8. */
	assert_int_equal(take(g, ACK(0, 10)), SL_SESSION_ACK_REFUSED);
	/* It was only sent what it was sent before: that takes some timeouts. */
	take(g, ACK(8, 10));
	for (uint32_t i = 0; i < 4; i++) {
		g->now = sl_session_tx_deadline(g->tx);
		assert_int_equal(resend(g), 1);
		assert_int_equal(
			take(g, ACK(0, 9)), i < 3 ? SL_SESSION_ACK_OLD : SL_SESSION_ACK_REFUSED);
	}
	rig_free(g);
}

/* The receiver. */

static struct sl_session_rx *
rx_new(uint32_t window)
{
	const struct sl_session_rx_params params = {.session = SESSION, .window = window};
	size_t size = RTE_ALIGN_CEIL(sl_session_rx_memory_size(&params), (size_t)64);
	void *mem = aligned_alloc(64, size);

	memset(mem, 0, size);
	return sl_session_rx_init(mem, &params);
}

static void
test_receiver_tells_of_every_gap(void **state)
{
	struct sl_session_rx *rx = rx_new(64);
	struct sl_wire_ack ack;

	(void)state;
	sl_session_rx_ack(rx, 10, &ack);
	assert_int_equal(ack.cumulative, 0);
	assert_int_equal(ack.credit_limit, 10);
	assert_int_equal(ack.selective_len, 0);
	for (uint64_t s = 1; s <= 20; s++) {
		if (s != 3 && s != 7 && s != 8)
			assert_int_equal(sl_session_rx_receive(rx, s), SL_SESSION_NEW);
	}
	assert_int_equal(sl_session_rx_receive(rx, 2), SL_SESSION_DUPLICATE);
	assert_int_equal(sl_session_rx_receive(rx, 4), SL_SESSION_DUPLICATE);
	assert_int_equal(sl_session_rx_receive(rx, 2 + 64), SL_SESSION_NEW);
	assert_int_equal(sl_session_rx_receive(rx, 3 + 64), SL_SESSION_BEYOND);
	assert_int_equal(sl_session_rx_receive(rx, UINT64_MAX), SL_SESSION_BEYOND);
	assert_int_equal(sl_session_rx_receive(rx, 0), SL_SESSION_BEYOND);
	sl_session_rx_ack(rx, 1000, &ack);
	assert_int_equal(ack.cumulative, 2);
	assert_int_equal(ack.highest, 66);
	assert_int_equal(ack.credit_limit, 66);
	assert_int_equal(ack.selective_len, 8);
	assert_int_equal(sl_wire_get64(ack.selective), 0x400000000001ffe7);
	sl_session_rx_receive(rx, 3);
	assert_int_equal(sl_session_rx_cumulative(rx), 6);
	sl_session_rx_receive(rx, 8);
	sl_session_rx_receive(rx, 7);
	assert_int_equal(sl_session_rx_cumulative(rx), 20);
	assert_true(sl_session_rx_has(rx, 66));
	assert_false(sl_session_rx_has(rx, 21));
	/* What was told is not taken back. */
	sl_session_rx_ack(rx, 1, &ack);
	assert_int_equal(ack.credit_limit, 66);
	free(rx);
}

static void
test_credit_is_never_none(void **state)
{
	struct sl_session_rx *rx = rx_new(1);
	struct sl_wire_ack ack;

	(void)state;
	sl_session_rx_ack(rx, 0, &ack);
	assert_int_equal(ack.credit_limit, 1);
	sl_session_rx_receive(rx, 1);
	sl_session_rx_ack(rx, 0, &ack);
	assert_int_equal(ack.credit_limit, 2);
	free(rx);
}

static void
test_only_a_begin_begins_a_session(void **state)
{
	(void)state;
	assert_false(sl_session_rx_may_begin(0));
	assert_true(sl_session_rx_may_begin(1));
	assert_true(sl_session_rx_may_begin(SL_SESSION_BEGIN_MAX));
	assert_false(sl_session_rx_may_begin(SL_SESSION_BEGIN_MAX + 1));
	assert_false(sl_session_rx_may_begin(UINT64_MAX));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_acks_give_messages_back),
		cmocka_unit_test(test_what_an_ack_will_give_back_is_seen_before),
		cmocka_unit_test(test_what_three_overtook_is_sent_again),
		cmocka_unit_test(test_what_was_lost_twice_is_sent_a_third_time),
		cmocka_unit_test(test_silence_is_asked_into_ever_more_slowly),
		cmocka_unit_test(test_an_outage_is_not_taken_for_loss),
		cmocka_unit_test(test_what_an_ack_cannot_tell_is_not_lost),
		cmocka_unit_test(test_the_way_is_measured_by_what_was_sent_once),
		cmocka_unit_test(test_spurious_ones_are_counted_and_learnt_from),
		cmocka_unit_test(test_credit_and_window_bound_what_is_sent),
		cmocka_unit_test(test_a_loss_halves_the_congestion_window_once),
		cmocka_unit_test(test_an_idle_sender_does_not_grow_its_window),
		cmocka_unit_test(test_bad_acks_change_nothing),
		cmocka_unit_test(test_a_refused_session_goes_on_in_another),
		cmocka_unit_test(test_what_is_not_sent_again_after_all_does_not_count),
		cmocka_unit_test(test_a_receiver_that_forgot_shows_by_what_it_lacks),
		cmocka_unit_test(test_receiver_tells_of_every_gap),
		cmocka_unit_test(test_credit_is_never_none),
		cmocka_unit_test(test_only_a_begin_begins_a_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
