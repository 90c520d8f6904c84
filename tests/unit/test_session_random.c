/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Sender and receiver over a link that loses, duplicates, delays and reorders, against a naive
 * model: arrays of what was sent, had and acknowledged. The receiver forgets now and then.
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
#include "test_rand.h"

#define MS	    UINT64_C(1000000)
#define MESSAGES    4000
#define IN_DATAGRAM 8
#define PACKETS	    (1u << 17)
#define NB_RUNS	    120

struct packet {
	uint64_t at;
	uint64_t order; /* Of two at one time. */
	uint64_t session;
	uint32_t nb; /* Messages; 0: an ack. */
	uint64_t sequences[IN_DATAGRAM];
	uint32_t msgs[IN_DATAGRAM];
	struct sl_wire_ack ack;
};

struct link {
	uint32_t loss_per_mille;
	uint32_t duplicate_per_mille;
	uint64_t delay_ns;
	uint64_t jitter_ns;
};

struct run {
	struct test_rand r;
	uint64_t now;
	uint64_t order;
	struct packet *heap; /* The earliest first. */
	uint32_t nb_packets;
	struct link there, back;
	uint64_t pace_ns; /* Between two turns of the sender. */
	uint32_t ack_every;
	uint64_t ack_delay_ns;
	uint32_t credit;
	uint32_t forget_per_mille;

	struct sl_session_tx_params tx_params;
	struct sl_session_rx_params rx_params;
	struct sl_session_tx *tx;
	struct sl_session_rx *rx;
	void *tx_mem, *rx_mem;
	uint64_t ack_at; /* UINT64_MAX: nothing to say. */
	uint32_t nb_unsaid;

	/* The model. */
	uint64_t session;	       /* The sender's; they are counted. */
	uint64_t rx_session;	       /* 0: none. */
	bool has[MESSAGES + 2];	       /* By sequence: the receiver, in its session. */
	uint64_t credit_told;	       /* The most that reached the sender. */
	uint32_t msg_of[MESSAGES + 2]; /* By sequence. */
	bool had[MESSAGES];	       /* By message: ever. */
	bool acked[MESSAGES];
	uint32_t queue[MESSAGES]; /* To be sent, those taken back first. */
	uint32_t queue_first, queue_last;
	uint32_t nb_acked;
	uint64_t nb_datagrams_lost;
	uint64_t nb_msgs_lost;
	uint64_t nb_restarts;
};

static bool
is_earlier(const struct packet *a, const struct packet *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void
heap_push(struct run *u, const struct packet *p)
{
	uint32_t i = u->nb_packets++;

	assert_true(u->nb_packets < PACKETS);
	for (; i > 0 && is_earlier(p, &u->heap[(i - 1) / 2]); i = (i - 1) / 2)
		u->heap[i] = u->heap[(i - 1) / 2];
	u->heap[i] = *p;
}

static void
heap_pop(struct run *u, struct packet *out)
{
	const struct packet last = u->heap[--u->nb_packets];
	uint32_t i = 0, child;

	*out = u->heap[0];
	while ((child = 2 * i + 1) < u->nb_packets) {
		if (child + 1 < u->nb_packets && is_earlier(&u->heap[child + 1], &u->heap[child]))
			child++;
		if (!is_earlier(&u->heap[child], &last))
			break;
		u->heap[i] = u->heap[child];
		i = child;
	}
	u->heap[i] = last;
}

static void
transmit(struct run *u, const struct link *link, struct packet *p)
{
	uint32_t copies = 1 + (test_rand_below(&u->r, 1000) < link->duplicate_per_mille);

	if (test_rand_below(&u->r, 1000) < link->loss_per_mille) {
		u->nb_datagrams_lost++;
		u->nb_msgs_lost += p->nb;
		return;
	}
	while (copies-- > 0) {
		p->at = u->now + link->delay_ns + test_rand_below(&u->r, link->jitter_ns + 1);
		p->order = u->order++;
		heap_push(u, p);
	}
}

/* The sender. */

static void
check_acked(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	struct run *u = arg;
	uint32_t m = (uint32_t)(uintptr_t)msg - 1;

	assert_in_range(m, 0, MESSAGES - 1);
	assert_int_equal(u->msg_of[sequence], m);
	assert_true(u->had[m]);
	assert_false(u->acked[m]);
	assert_true(attempts >= 1);
	u->acked[m] = true;
	u->nb_acked++;
}

static void
check_taken(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	struct run *u = arg;
	uint32_t m = (uint32_t)(uintptr_t)msg - 1;

	assert_int_equal(u->msg_of[sequence], m);
	assert_false(u->acked[m]);
	assert_true(attempts >= 1);
	u->queue[u->queue_last++] = m;
}

static void
restart(struct run *u)
{
	static uint32_t rest[MESSAGES];
	uint32_t nb_rest = u->queue_last - u->queue_first;

	memcpy(rest, u->queue + u->queue_first, nb_rest * sizeof(rest[0]));
	u->queue_first = u->queue_last = 0;
	sl_session_tx_restart(u->tx, ++u->session, u->now, check_taken, u);
	/* All that was sent and not acknowledged, in its order. */
	for (uint32_t i = 1; i < u->queue_last; i++)
		assert_true(u->queue[i - 1] < u->queue[i]);
	memcpy(u->queue + u->queue_last, rest, nb_rest * sizeof(rest[0]));
	u->queue_last += nb_rest;
	assert_int_equal(u->queue_last + u->nb_acked, MESSAGES);
	u->credit_told = u->tx_params.initial_credit;
	u->nb_restarts++;
}

static void
check_sender(struct run *u)
{
	struct sl_session_tx_stats stats;

	sl_session_tx_get_stats(u->tx, &stats);
	assert_true(stats.next_sequence - 1 - stats.acked <= u->tx_params.window);
	assert_true(stats.next_sequence - 1 <= RTE_MAX(u->credit_told, stats.acked + 1));
	assert_int_equal(
		stats.in_flight, MESSAGES - u->nb_acked - (u->queue_last - u->queue_first));
	assert_true(stats.congestion_window <= u->tx_params.window);
	assert_int_equal(stats.bad_acks, 0);
}

static void
put(struct run *u, struct packet *p, uint64_t sequence, uint32_t msg)
{
	p->sequences[p->nb] = sequence;
	p->msgs[p->nb++] = msg;
	if (p->nb == IN_DATAGRAM || test_rand_below(&u->r, 4) == 0) {
		transmit(u, &u->there, p);
		p->nb = 0;
	}
}

static void
sender_turn(struct run *u)
{
	struct packet p = {.session = u->session};
	struct sl_session_resend resends[32];
	uint32_t n = 1 + (uint32_t)test_rand_below(&u->r, RTE_DIM(resends)), room, m;
	uint64_t sequence;

	n = sl_session_tx_resend(u->tx, u->now, resends, n);
	for (uint32_t i = 0; i < n; i++) {
		m = (uint32_t)(uintptr_t)resends[i].msg - 1;
		assert_int_equal(u->msg_of[resends[i].sequence], m);
		assert_false(u->acked[m]);
		assert_true(resends[i].attempts >= 2);
		put(u, &p, resends[i].sequence, m);
	}
	room = sl_session_tx_room(u->tx);
	room = RTE_MIN(room, (uint32_t)test_rand_below(&u->r, 64));
	for (; room > 0 && u->queue_first < u->queue_last; room--) {
		m = u->queue[u->queue_first++];
		sequence = sl_session_tx_send(u->tx, (void *)(uintptr_t)(m + 1), u->now);
		u->msg_of[sequence] = m;
		put(u, &p, sequence, m);
	}
	if (p.nb != 0)
		transmit(u, &u->there, &p);
	check_sender(u);
}

static void
sender_input(struct run *u, const struct sl_wire_ack *ack)
{
	enum sl_session_ack rc = sl_session_tx_ack(u->tx, ack, u->now, check_acked, u);

	assert_int_not_equal(rc, SL_SESSION_ACK_BAD);
	if (rc == SL_SESSION_ACK_OK)
		u->credit_told = RTE_MAX(u->credit_told, ack->credit_limit);
	if (rc == SL_SESSION_ACK_REFUSED) {
		/* Only where acks are overtaken by seconds may one look as if all was forgotten. */
		assert_true(u->forget_per_mille != 0 || u->back.jitter_ns != 0);
		restart(u);
	}
	check_sender(u);
}

/* The receiver. */

static uint64_t
naive_cumulative(const struct run *u)
{
	uint64_t s = 0;

	while (u->has[s + 1])
		s++;
	return s;
}

static void
check_ack(const struct run *u, const struct sl_wire_ack *ack)
{
	uint64_t cumulative = naive_cumulative(u), highest = cumulative, s;

	for (s = cumulative + 1; s <= MESSAGES; s++)
		highest = u->has[s] ? s : highest;
	assert_int_equal(ack->session, u->rx_session);
	assert_int_equal(ack->cumulative, cumulative);
	assert_int_equal(ack->highest, highest);
	assert_true(ack->credit_limit > cumulative);
	assert_true(ack->selective_len <= SL_WIRE_SELECTIVE_MAX);
	if (highest > cumulative)
		assert_true(ack->selective_len == SL_WIRE_SELECTIVE_MAX ||
			cumulative + 1 + 8 * ack->selective_len >= highest);
	for (uint32_t i = 0; i < 8 * ack->selective_len; i++) {
		s = cumulative + 2 + i;
		assert_int_equal(ack->selective[i / 8] >> i % 8 & 1, s <= MESSAGES && u->has[s]);
	}
}

static void
say(struct run *u)
{
	struct packet p = {.session = u->rx_session};

	sl_session_rx_ack(u->rx, u->credit, &p.ack);
	check_ack(u, &p.ack);
	transmit(u, &u->back, &p);
	u->ack_at = UINT64_MAX;
	u->nb_unsaid = 0;
}

static void
forget(struct run *u)
{
	u->rx_session = 0;
	u->ack_at = UINT64_MAX;
	u->nb_unsaid = 0;
}

static bool
know_session(struct run *u, const struct packet *in)
{
	struct packet p = {.session = in->session};

	if (in->session < u->rx_session) /* Late; its sender has gone on. */
		return false;
	if (in->session == u->rx_session)
		return true;
	if (!sl_session_rx_may_begin(in->sequences[0])) {
		sl_session_refuse(in->session, &p.ack);
		transmit(u, &u->back, &p);
		return false;
	}
	u->rx_params.session = u->rx_session = in->session;
	memset(u->rx_mem, 0, sl_session_rx_memory_size(&u->rx_params));
	u->rx = sl_session_rx_init(u->rx_mem, &u->rx_params);
	memset(u->has, 0, sizeof(u->has));
	return true;
}

static void
receiver_input(struct run *u, const struct packet *in)
{
	enum sl_session_receive expected, rc;
	uint64_t s;

	if (!know_session(u, in))
		return;
	for (uint32_t i = 0; i < in->nb; i++) {
		s = in->sequences[i];
		expected = u->has[s]					? SL_SESSION_DUPLICATE
			: s > naive_cumulative(u) + u->rx_params.window ? SL_SESSION_BEYOND
									: SL_SESSION_NEW;
		assert_int_equal(sl_session_rx_has(u->rx, s), u->has[s]);
		rc = sl_session_rx_receive(u->rx, s);
		assert_int_equal(rc, expected);
		if (rc == SL_SESSION_NEW) {
			u->has[s] = true;
			u->had[in->msgs[i]] = true;
		}
		assert_int_equal(sl_session_rx_cumulative(u->rx), naive_cumulative(u));
	}
	u->nb_unsaid += in->nb;
	if (u->ack_at == UINT64_MAX)
		u->ack_at = u->now + u->ack_delay_ns;
	if (u->nb_unsaid >= u->ack_every)
		say(u);
}

/* A run. */

static void
run_begin(struct run *u)
{
	u->tx_mem = aligned_alloc(64, RTE_ALIGN_CEIL(sl_session_tx_memory_size(&u->tx_params), 64));
	u->rx_mem = aligned_alloc(64, RTE_ALIGN_CEIL(sl_session_rx_memory_size(&u->rx_params), 64));
	memset(u->tx_mem, 0, sl_session_tx_memory_size(&u->tx_params));
	u->session = u->tx_params.session;
	u->tx = sl_session_tx_init(u->tx_mem, &u->tx_params, u->now);
	u->heap = malloc(PACKETS * sizeof(u->heap[0]));
	u->rx_session = 0;
	u->ack_at = UINT64_MAX;
	u->credit_told = u->tx_params.initial_credit;
	for (uint32_t i = 0; i < MESSAGES; i++)
		u->queue[i] = i;
	u->queue_last = MESSAGES;
}

static void
run_end(struct run *u)
{
	free(u->heap);
	free(u->tx_mem);
	free(u->rx_mem);
	free(u);
}

/* Until all is acknowledged. Returns the time it took. */
static uint64_t
run_all(struct run *u, uint64_t limit_ns)
{
	uint64_t begun = u->now, turn = u->now, next;
	static struct packet p;

	while (u->nb_acked < MESSAGES) {
		next = RTE_MIN(u->ack_at, sl_session_tx_deadline(u->tx));
		if (u->queue_first < u->queue_last && sl_session_tx_room(u->tx) > 0)
			next = RTE_MIN(next, turn);
		if (u->nb_packets > 0)
			next = RTE_MIN(next, u->heap[0].at);
		/* Something is always due: no session sleeps for ever. */
		assert_int_not_equal(next, UINT64_MAX);
		u->now = RTE_MAX(u->now, next);
		if (u->now - begun > limit_ns)
			fail_msg("%u of %u acknowledged after %llu ms", u->nb_acked, MESSAGES,
				(unsigned long long)(limit_ns / MS));
		if (u->now >= u->ack_at)
			say(u);
		while (u->nb_packets > 0 && u->heap[0].at <= u->now) {
			heap_pop(u, &p);
			if (p.nb != 0)
				receiver_input(u, &p);
			else
				sender_input(u, &p.ack);
		}
		if (test_rand_below(&u->r, 1000000) < u->forget_per_mille)
			forget(u);
		if (u->now >= turn || sl_session_tx_deadline(u->tx) <= u->now) {
			sender_turn(u);
			turn = u->now + u->pace_ns;
		}
	}
	return u->now - begun;
}

static void
random_link(struct test_rand *r, struct link *link)
{
	static const uint32_t losses[] = {0, 1, 10, 100, 300, 500};

	link->loss_per_mille = losses[test_rand_below(r, RTE_DIM(losses))];
	link->duplicate_per_mille = losses[test_rand_below(r, RTE_DIM(losses))];
	link->delay_ns = test_rand_below(r, 1u << (10 + test_rand_below(r, 15)));
	link->jitter_ns = test_rand_below(r, 2) == 0 ? 0
						     : test_rand_below(r, 4 * link->delay_ns + 1);
}

static struct run *
random_run(struct test_rand *r)
{
	struct run *u = calloc(1, sizeof(*u));

	u->r.state = test_rand_u64(r);
	u->now = test_rand_below(r, 2) * test_rand_below(r, UINT64_C(1) << 60);
	random_link(r, &u->there);
	random_link(r, &u->back);
	u->pace_ns = test_rand_below(r, 1u << (1 + test_rand_below(r, 20)));
	u->ack_every = 1 + (uint32_t)test_rand_below(r, 64);
	u->ack_delay_ns = test_rand_below(r, 2 * MS);
	u->forget_per_mille = test_rand_below(r, 3) == 0 ? 1000 : 0;
	u->tx_params = (struct sl_session_tx_params){
		.session = 1 + test_rand_below(r, UINT64_C(1) << 62),
		.window = 1u << test_rand_below(r, 13),
		.initial_credit = 1 + (uint32_t)test_rand_below(r, SL_SESSION_BEGIN_MAX),
		.rtt_initial_ns = MS << test_rand_below(r, 7),
		.rto_min_ns = MS * (1 + test_rand_below(r, 20)),
		.rto_max_ns = 200 * MS,
		.ack_delay_max_ns = 2 * MS,
	};
	u->tx_params.initial_credit = RTE_MIN(u->tx_params.initial_credit, u->tx_params.window);
	u->rx_params.window = 1u << test_rand_below(r, 13);
	u->credit = 1 + (uint32_t)test_rand_below(r, u->rx_params.window);
	run_begin(u);
	return u;
}

static void
test_anything_arrives_once(void **state)
{
	struct test_rand r;
	uint64_t restarts = 0;
	struct run *u;

	(void)state;
	test_rand_init(&r, "anything_arrives_once");
	for (unsigned int i = 0; i < NB_RUNS; i++) {
		u = random_run(&r);
		/* Half of all lost in both directions: ten timeouts a message at the worst. */
		run_all(u, MESSAGES * 2000 * MS);
		restarts += u->nb_restarts;
		run_end(u);
	}
	assert_true(restarts > 0);
}

/* A usual way: 1 ms there and back, acks of 64 messages or after 200 us. */
static struct run *
usual_run(struct test_rand *r, uint32_t window)
{
	struct run *u = calloc(1, sizeof(*u));

	u->r.state = test_rand_u64(r);
	u->there.delay_ns = u->back.delay_ns = MS / 2;
	u->pace_ns = 20000;
	u->ack_every = 64;
	u->ack_delay_ns = MS / 5;
	u->tx_params = (struct sl_session_tx_params){
		.session = 1,
		.window = window,
		.initial_credit = RTE_MIN(window, 256u),
		.rtt_initial_ns = 10 * MS,
		.rto_min_ns = 5 * MS,
		.rto_max_ns = 1000 * MS,
		.ack_delay_max_ns = MS,
	};
	u->rx_params.window = window;
	u->credit = window;
	return u;
}

static void
test_little_more_is_resent_than_was_lost(void **state)
{
	struct sl_session_tx_stats stats;
	uint64_t lost = 0, resent = 0;
	struct test_rand r;
	struct run *u;

	(void)state;
	test_rand_init(&r, "little_more_is_resent_than_was_lost");
	for (unsigned int i = 0; i < 10; i++) {
		u = usual_run(&r, 4096);
		u->there.loss_per_mille = 10;
		run_begin(u);
		run_all(u, 20000 * MS);
		sl_session_tx_get_stats(u->tx, &stats);
		lost += u->nb_msgs_lost;
		resent += stats.retransmitted;
		run_end(u);
	}
	printf("# %llu lost, %llu sent again\n", (unsigned long long)lost,
		(unsigned long long)resent);
	assert_in_range(resent, lost, lost + lost / 2);
}

static void
test_nothing_is_resent_when_nothing_is_lost(void **state)
{
	struct sl_session_tx_stats stats;
	struct test_rand r;
	struct run *u;

	(void)state;
	test_rand_init(&r, "nothing_is_resent_when_nothing_is_lost");
	for (uint32_t window = 64; window <= 4096; window *= 4) {
		u = usual_run(&r, window);
		run_begin(u);
		run_all(u, 20000 * MS);
		sl_session_tx_get_stats(u->tx, &stats);
		assert_int_equal(stats.retransmitted, 0);
		assert_in_range(stats.srtt_ns, MS, 2 * MS);
		run_end(u);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_anything_arrives_once),
		cmocka_unit_test(test_little_more_is_resent_than_was_lost),
		cmocka_unit_test(test_nothing_is_resent_when_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
