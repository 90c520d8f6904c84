/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "con_core.h"
#include "pub_core.h"
#include "test_client.h"
#include "test_rand.h"

/*
 * A publisher and consumers over a simulated network: datagrams are lost, doubled and overtaken, a
 * consumer crashes and comes back without its memory, time is a number. What the publisher was told
 * to be durable must have been worked on; each once, but for crashes; in order, where that is kept.
 */

#define MS	  UINT64_C(1000000)
#define CONSUMERS 2
#define PACKETS	  8192
#define NB_MAX	  3000
#define STEPS_MAX 2000000

struct packet {
	uint64_t at;
	uint32_t to; /* CONSUMERS: the publisher. */
	uint32_t len;
	uint8_t *data;
};

struct world {
	struct test_rand rand;
	uint64_t now;
	uint32_t loss;	    /* Of 1000, */
	uint32_t doubling;  /* as this is. */
	uint64_t jitter_ns; /* More than the gap between datagrams: they overtake each other. */
	uint32_t nb_packets;
	struct packet packets[PACKETS];

	struct sl_pub_core *pub;
	uint32_t appliance;
	struct sl_pack pack;
	uint32_t nb_settled;
	uint32_t nb_failed;
	int32_t results[NB_MAX]; /* 1: not known yet */

	struct sl_con_params params;
	struct sl_con_core *cons[CONSUMERS];
	struct sl_con_list in_work[CONSUMERS];
	uint32_t nb_in_work[CONSUMERS];
	bool is_down[CONSUMERS];
	uint64_t held; /* Messages of consumers not given back. */
	uint64_t work_ns;
	uint32_t nb_worked;
	uint32_t worked[NB_MAX];
	uint32_t order[NB_MAX]; /* Of the first time each was handed over. */
	uint32_t nb_order;
	uint32_t delivered[NB_MAX];
};

struct end {
	struct world *world;
	uint32_t number;
};

static struct end ends[CONSUMERS];

static void
put_packet(struct world *w, uint32_t to, const uint8_t *data, uint32_t len)
{
	uint32_t copies = test_rand_below(&w->rand, 1000) < w->doubling ? 2 : 1;

	for (; copies != 0; copies--) {
		struct packet *p = &w->packets[w->nb_packets];

		if (test_rand_below(&w->rand, 1000) < w->loss || w->nb_packets == PACKETS)
			continue;
		p->at = w->now + MS / 10 + test_rand_below(&w->rand, w->jitter_ns + 1);
		p->to = to;
		p->len = len;
		p->data = malloc(len);
		memcpy(p->data, data, len);
		w->nb_packets++;
	}
}

/* The publisher's hooks. */

static void
on_settled(void *arg, struct sl_pub_message *m, int result)
{
	struct world *w = arg;

	assert_int_equal(w->results[m->id.low], 1);
	w->results[m->id.low] = result;
	w->nb_settled++;
	w->nb_failed += result != 0;
}

static void
on_pub_release(void *arg, struct sl_pub_message *m)
{
	free(m);
}

static bool
on_connect(void *arg, uint32_t appliance)
{
	((struct world *)arg)->appliance = appliance;
	return true;
}

static uint64_t
on_random(void *arg)
{
	return test_rand_u64(&((struct world *)arg)->rand);
}

static void
on_pub_event(void *arg, enum sluice_level level, uint32_t appliance, const char *what)
{
}

/* The consumers' hooks. */

static struct sl_con_message *
on_get(void *arg, uint32_t len)
{
	struct end *end = arg;
	struct sl_con_message *m = malloc(sizeof(*m) + len);

	m->capacity = len;
	end->world->held++;
	return m;
}

static void
on_con_release(void *arg, struct sl_con_message *m)
{
	struct end *end = arg;

	end->world->held--;
	free(m);
}

static void
on_deliver(void *arg, struct sl_con_message *m)
{
	struct end *end = arg;
	struct world *w = end->world;
	uint64_t n = m->delivery.id.low;

	TAILQ_INSERT_TAIL(&w->in_work[end->number], m, next);
	w->nb_in_work[end->number]++;
	if (w->delivered[n]++ == 0)
		w->order[w->nb_order++] = (uint32_t)n;
}

static void
on_send(void *arg, const struct sl_udp_peer *peer, const uint8_t *data, size_t len)
{
	struct end *end = arg;

	put_packet(end->world, CONSUMERS, data, (uint32_t)len);
}

static void
on_con_event(void *arg, enum sluice_level level, const struct sl_udp_peer *peer, const char *what)
{
}

static void
start_consumer(struct world *w, uint32_t i)
{
	w->params.hooks = (struct sl_con_hooks){
		&ends[i], on_get, on_con_release, on_deliver, on_send, on_con_event};
	w->params.seed = test_rand_u64(&w->rand);
	TAILQ_INIT(&w->in_work[i]);
	w->nb_in_work[i] = 0;
	w->cons[i] = sl_con_new(&w->params);
	w->is_down[i] = false;
	assert_non_null(w->cons[i]);
}

/* With all it has in work, without a word. */
static void
stop_consumer(struct world *w, uint32_t i)
{
	struct sl_con_message *m;

	while ((m = TAILQ_FIRST(&w->in_work[i])) != NULL) {
		TAILQ_REMOVE(&w->in_work[i], m, next);
		sl_con_drop(w->cons[i], m);
	}
	sl_con_free(w->cons[i]);
	w->cons[i] = NULL;
	w->is_down[i] = true;
}

static void
begin(struct world *w, const char *test)
{
	struct sl_pub_params pub = {.window = 1024,
		.nb_appliances = CONSUMERS,
		.silence_ns = 3000 * MS,
		.hooks = {w, on_settled, on_pub_release, on_connect, on_random, on_pub_event}};

	memset(w, 0, sizeof(*w));
	test_rand_init(&w->rand, test);
	w->now = 1000 * MS;
	w->jitter_ns = MS;
	w->pub = sl_pub_new(&pub, w->now);
	assert_non_null(w->pub);
	w->pack.datagram_bytes = 600;
	w->pack.buf = malloc((size_t)SL_PACK_DATAGRAMS * w->pack.datagram_bytes);
	w->params = (struct sl_con_params){.window = 256,
		.sessions_max = 16,
		.dedup_messages = 4 * NB_MAX,
		.queue_messages = 1000,
		.memory_bytes = 1 << 20,
		.idle_ns = 60000 * MS,
		.ack_delay_ns = MS / 10,
		.ack_every = 64};
	for (uint32_t i = 0; i < NB_MAX; i++)
		w->results[i] = 1;
	for (uint32_t i = 0; i < CONSUMERS; i++)
		ends[i] = (struct end){w, i};
}

static void
start_consumers(struct world *w)
{
	for (uint32_t i = 0; i < CONSUMERS; i++)
		start_consumer(w, i);
}

static void
end(struct world *w)
{
	sl_pub_free(w->pub);
	for (uint32_t i = 0; i < CONSUMERS; i++) {
		if (!w->is_down[i])
			stop_consumer(w, i);
	}
	assert_int_equal(w->held, 0);
	for (uint32_t i = 0; i < w->nb_packets; i++)
		free(w->packets[i].data);
	free(w->pack.buf);
}

static void
publish(struct world *w, uint32_t n, uint64_t deadline, uint32_t flags)
{
	sl_pub_submit(w->pub, make_message(n, flags, deadline, w->pack.datagram_bytes));
}

static void
work_on(struct world *w, uint32_t i)
{
	uint32_t skip = (uint32_t)test_rand_below(&w->rand, w->nb_in_work[i]);
	struct sl_con_message *m = TAILQ_FIRST(&w->in_work[i]);

	/* Not always the first. */
	for (skip = skip < 5 ? skip : 0; skip != 0; skip--)
		m = TAILQ_NEXT(m, next);
	TAILQ_REMOVE(&w->in_work[i], m, next);
	w->nb_in_work[i]--;
	w->worked[m->delivery.id.low]++;
	w->nb_worked++;
	sl_con_done(w->cons[i], m, w->now);
}

static void
deliver_packet(struct world *w, uint32_t place)
{
	static const struct sl_udp_peer peer = {.port = 5000};
	struct packet p = w->packets[place];

	w->packets[place] = w->packets[--w->nb_packets];
	if (p.to == CONSUMERS)
		sl_pub_input(w->pub, p.data, p.len, w->now);
	else if (!w->is_down[p.to])
		sl_con_input(w->cons[p.to], &peer, p.data, p.len, w->now);
	free(p.data);
}

static void
turn_publisher(struct world *w)
{
	sl_pub_tick(w->pub, w->now);
	for (;;) {
		sl_pack_reset(&w->pack);
		sl_pub_output(w->pub, &w->pack, w->now);
		if (w->pack.nb == 0)
			return;
		for (uint32_t i = 0; i < w->pack.nb; i++)
			put_packet(w, w->appliance, w->pack.buf + w->pack.offsets[i],
				w->pack.offsets[i + 1] - w->pack.offsets[i]);
	}
}

/* To the next thing that happens. @return false: nothing will */
static bool
step(struct world *w)
{
	uint64_t next = sl_pub_deadline(w->pub);
	uint32_t first = 0;

	for (uint32_t i = 0; i < w->nb_packets; i++)
		first = w->packets[i].at < w->packets[first].at ? i : first;
	if (w->nb_packets != 0 && w->packets[first].at < next)
		next = w->packets[first].at;
	for (uint32_t i = 0; i < CONSUMERS; i++) {
		uint64_t at;

		if (w->is_down[i])
			continue;
		at = sl_con_deadline(w->cons[i]);
		if (w->nb_in_work[i] != 0)
			at = at < w->now + w->work_ns ? at : w->now + w->work_ns;
		next = at < next ? at : next;
	}
	if (next == UINT64_MAX)
		return false;
	w->now = next > w->now ? next : w->now;
	if (w->nb_packets != 0 && w->packets[first].at <= w->now)
		deliver_packet(w, first);
	turn_publisher(w);
	for (uint32_t i = 0; i < CONSUMERS; i++) {
		if (w->is_down[i])
			continue;
		if (w->nb_in_work[i] != 0 && test_rand_below(&w->rand, 3) != 0)
			work_on(w, i);
		sl_con_tick(w->cons[i], w->now);
		sl_con_flush(w->cons[i], w->now, false);
	}
	return true;
}

static void
run_until_settled(struct world *w, uint32_t nb)
{
	turn_publisher(w);
	for (uint32_t i = 0; w->nb_settled < nb; i++) {
		if (i == STEPS_MAX)
			fail_msg("%u of %u settled at %u ms", w->nb_settled, nb,
				(uint32_t)(w->now / MS));
		assert_true(step(w));
	}
}

static void
finish_work(struct world *w)
{
	for (uint32_t i = 0; i < CONSUMERS; i++) {
		while (!w->is_down[i] && w->nb_in_work[i] != 0)
			work_on(w, i);
	}
}

static void
check_each_once(const struct world *w, uint32_t nb)
{
	for (uint32_t n = 0; n < nb; n++) {
		assert_int_equal(w->results[n], 0);
		assert_int_equal(w->worked[n], 1);
		assert_int_equal(w->delivered[n], 1);
	}
}

static struct world world;

static void
test_each_once_and_in_order_over_a_bad_way(void **state)
{
	for (uint32_t round = 0; round < 12; round++) {
		struct world *w = &world;
		uint32_t nb = 200 + 200 * (round % 4);

		begin(w, __func__);
		w->loss = (round % 3) * 50;
		w->doubling = (round % 4) * 50;
		w->jitter_ns = round % 2 == 0 ? 0 : 3 * MS;
		w->work_ns = round % 5 == 0 ? MS / 5 : 0;
		w->params.is_early = round % 2 == 1;
		start_consumers(w);
		for (uint32_t n = 0; n < nb; n++)
			publish(w, n, UINT64_MAX, 0);
		run_until_settled(w, nb);
		finish_work(w);
		check_each_once(w, nb);
		for (uint32_t i = 0; i < nb; i++)
			assert_int_equal(w->order[i], i);
		end(w);
	}
}

static void
test_unordered_each_once(void **state)
{
	struct world *w = &world;

	begin(w, __func__);
	w->loss = 100;
	w->doubling = 100;
	w->jitter_ns = 3 * MS;
	w->params.is_unordered = true;
	start_consumers(w);
	for (uint32_t n = 0; n < 1000; n++)
		publish(w, n, UINT64_MAX, 0);
	run_until_settled(w, 1000);
	finish_work(w);
	check_each_once(w, 1000);
	end(w);
}

/* The consumer loses its sessions, its dedup window and what it had in work. */
static void
test_what_was_acknowledged_was_worked_on_before_a_crash(void **state)
{
	for (uint32_t round = 0; round < 10; round++) {
		struct world *w = &world;
		uint32_t nb = 1000;

		begin(w, __func__);
		w->loss = 20;
		w->work_ns = MS / 10;
		start_consumers(w);
		for (uint32_t n = 0; n < nb; n++)
			publish(w, n, UINT64_MAX, 0);
		for (uint32_t crash = 1; crash <= 4; crash++) {
			run_until_settled(w, crash * nb / 5);
			stop_consumer(w, w->appliance);
			start_consumer(w, w->appliance);
			for (uint32_t n = 0; n < nb; n++)
				assert_true(w->results[n] == 1 || w->worked[n] >= 1);
		}
		run_until_settled(w, nb);
		for (uint32_t n = 0; n < nb; n++) {
			assert_int_equal(w->results[n], 0);
			/* Once more for each crash at most. */
			assert_in_range(w->worked[n], 1, 5);
		}
		end(w);
	}
}

static void
test_the_next_appliance_takes_over_from_a_silent_one(void **state)
{
	struct world *w = &world;
	uint32_t first;

	begin(w, __func__);
	start_consumers(w);
	for (uint32_t n = 0; n < 500; n++)
		publish(w, n, UINT64_MAX, 0);
	run_until_settled(w, 100);
	first = w->appliance;
	stop_consumer(w, first);
	run_until_settled(w, 500);
	assert_int_not_equal(w->appliance, first);
	for (uint32_t n = 0; n < 500; n++)
		assert_true(w->worked[n] >= 1);
	end(w);
}

/* And tells so once, even if it is acknowledged later. */
static void
test_a_message_that_takes_too_long_is_given_up(void **state)
{
	struct sluice_publisher_stats stats = {0};
	struct world *w = &world;

	begin(w, __func__);
	start_consumers(w);
	stop_consumer(w, 0);
	stop_consumer(w, 1);
	for (uint32_t n = 0; n < 200; n++)
		publish(w, n, w->now + 1000 * MS, 0);
	run_until_settled(w, 200);
	assert_int_equal(w->nb_failed, 200);
	assert_in_range(w->now, 2000 * MS, 2001 * MS);
	/* Then there is nothing left to do. */
	while (sl_pub_deadline(w->pub) != UINT64_MAX)
		assert_true(step(w) && w->now < 20000 * MS);
	start_consumer(w, 0);
	start_consumer(w, 1);
	for (uint32_t n = 200; n < 400; n++)
		publish(w, n, UINT64_MAX, 0);
	run_until_settled(w, 400);
	assert_int_equal(w->nb_failed, 200);
	sl_pub_get_stats(w->pub, &stats);
	assert_int_equal(stats.durable, 200);
	assert_int_equal(stats.failed, 200);
	end(w);
}

static void
test_at_most_once_goes_past_a_session_that_waits(void **state)
{
	struct world *w = &world;

	begin(w, __func__);
	start_consumers(w);
	stop_consumer(w, 0);
	stop_consumer(w, 1);
	for (uint32_t n = 0; n < 500; n++)
		publish(w, n, UINT64_MAX, 0);
	for (uint32_t n = 500; n < 510; n++)
		publish(w, n, UINT64_MAX, SLUICE_AT_MOST_ONCE);
	turn_publisher(w);
	assert_int_equal(w->nb_settled, 10);
	for (uint32_t n = 500; n < 510; n++)
		assert_int_equal(w->results[n], 0);
	end(w);
}

/* What waits behind a gap is not acknowledged; what is missing is told, and nothing else. */
static void
test_a_gap_is_told_without_acknowledging_what_is_behind(void **state)
{
	static const struct sl_udp_peer peer = {.port = 5000};
	static const uint64_t came[] = {1, 2, 15, 17};
	struct sl_wire_message m = {.key = {1, 2, 3, 4}};
	struct world *w = &world;
	struct sl_wire_ack ack;
	uint8_t buf[200], *p;

	begin(w, __func__);
	w->jitter_ns = 0;
	start_consumers(w);
	for (uint32_t i = 0; i < 4; i++) {
		m.key.id_low = m.sequence = came[i];
		p = sl_wire_put_message(sl_wire_put_header(buf, 1, 7), &m);
		sl_con_input(w->cons[0], &peer, buf, (size_t)(p - buf), w->now);
	}
	/* Those before the gap are in work: nothing is missing that the sender would ask of. */
	sl_con_flush(w->cons[0], w->now, true);
	assert_int_equal(w->nb_packets, 0);
	finish_work(w);
	sl_con_flush(w->cons[0], w->now, true);
	assert_int_equal(w->nb_packets, 1);
	assert_true(sl_wire_parse_ack_fast(w->packets[0].data, w->packets[0].len, &ack));
	assert_int_equal(ack.cumulative, 2);
	assert_int_equal(ack.highest, 17);
	/* 4 to 11 are missing as well; of 12 and on it says nothing. */
	assert_int_equal(ack.selective_len, 1);
	assert_int_equal(ack.selective[0], 0);
	end(w);
}

/* One message, worked on at once. @return how many acks have been sent by then */
static uint64_t
take_one(struct world *w, uint64_t sequence)
{
	static const struct sl_udp_peer peer = {.port = 5000};
	const struct sl_wire_message m = {.key = {1, 2, 3, sequence}, .sequence = sequence};
	struct sluice_consumer_stats stats = {0};
	uint8_t buf[200], *p = sl_wire_put_message(sl_wire_put_header(buf, 1, 7), &m);

	sl_con_input(w->cons[0], &peer, buf, (size_t)(p - buf), w->now);
	finish_work(w);
	sl_con_flush(w->cons[0], w->now, false);
	sl_con_get_stats(w->cons[0], &stats);
	return stats.acks;
}

static void
test_acks_wait_for_more_but_not_for_long(void **state)
{
	struct world *w = &world;
	uint64_t sequence = 1;

	begin(w, __func__);
	w->params.ack_delay_ns = MS;
	w->params.ack_every = 16;
	start_consumers(w);
	/* The first at once, then those of a delay together. */
	assert_int_equal(take_one(w, sequence++), 1);
	for (w->now += MS / 4; sequence <= 4; w->now += MS / 4)
		assert_int_equal(take_one(w, sequence++), 1);
	assert_int_equal(take_one(w, sequence++), 2);
	/* Sixteen do not wait for it. */
	while (sequence <= 5 + 15)
		assert_int_equal(take_one(w, sequence++), 2);
	assert_int_equal(take_one(w, sequence++), 3);
	/* Nor does one that came before: its ack was lost. */
	assert_int_equal(take_one(w, 3), 4);
	/* Nor the first after a pause. */
	w->now += 2 * MS;
	assert_int_equal(take_one(w, sequence++), 5);
	end(w);
}

/* What is acknowledged on its coming costs credit until it is done: that is told as soon. */
static void
test_new_credit_does_not_wait_for_long(void **state)
{
	static const struct sl_udp_peer peer = {.port = 5000};
	struct sl_wire_message m = {.key = {1, 2, 3, 4}};
	struct sluice_consumer_stats stats = {0};
	struct world *w = &world;
	uint8_t buf[200], *p;

	begin(w, __func__);
	w->params.is_early = true;
	w->params.ack_delay_ns = MS;
	w->params.ack_every = 16;
	start_consumers(w);
	while (m.sequence < 1 + 16 + 16) {
		m.key.id_low = ++m.sequence;
		p = sl_wire_put_message(sl_wire_put_header(buf, 1, 7), &m);
		sl_con_input(w->cons[0], &peer, buf, (size_t)(p - buf), w->now);
		sl_con_flush(w->cons[0], w->now, false);
	}
	for (uint32_t i = 0; i <= 16; i++) {
		sl_con_get_stats(w->cons[0], &stats);
		assert_int_equal(stats.acks, i < 16 ? 3 : 4);
		work_on(w, 0);
		sl_con_flush(w->cons[0], w->now, false);
	}
	finish_work(w);
	end(w);
}

/* The same message in two sessions while the first copy is in work: neither is acknowledged. */
static void
test_a_redelivery_shares_the_fate_of_the_first(void **state)
{
	static const struct sl_udp_peer peer = {.port = 5000};
	struct sl_wire_message m = {.key = {1, 2, 3, 4}, .sequence = 1};
	struct sluice_consumer_stats stats = {0};
	struct world *w = &world;
	uint8_t buf[200];

	begin(w, __func__);
	start_consumers(w);
	for (uint64_t session = 1; session <= 3; session++) {
		uint8_t *p = sl_wire_put_message(sl_wire_put_header(buf, 1, session), &m);

		sl_con_input(w->cons[0], &peer, buf, (size_t)(p - buf), w->now);
	}
	sl_con_flush(w->cons[0], w->now, false);
	assert_int_equal(w->nb_packets, 0);
	assert_int_equal(w->nb_in_work[0], 1);
	work_on(w, 0);
	sl_con_flush(w->cons[0], w->now, false);
	assert_int_equal(w->nb_packets, 3);
	for (uint32_t i = 0; i < 3; i++) {
		struct sl_wire_ack ack;

		assert_true(sl_wire_parse_ack_fast(w->packets[i].data, w->packets[i].len, &ack));
		assert_int_equal(ack.cumulative, 1);
	}
	sl_con_get_stats(w->cons[0], &stats);
	assert_int_equal(stats.redeliveries, 2);
	assert_int_equal(w->held, 0);
	end(w);
}

/* A flood of sessions takes a bounded number, and none of anybody else. */
static void
test_sessions_are_bounded(void **state)
{
	struct sl_udp_peer peer = {.port = 5000};
	struct sl_wire_message m = {.key = {1, 2, 3, 4}, .sequence = 1};
	struct sluice_consumer_stats stats = {0};
	struct world *w = &world;
	uint8_t buf[200], *p;

	begin(w, __func__);
	start_consumers(w);
	for (uint64_t session = 0; session <= 1000; session++) {
		/* The first is of another. */
		peer.ip.s6_addr[15] = session == 0;
		m.key.id_low = session;
		m.sequence = session % 2 == 0 ? 1 : 100000;
		p = sl_wire_put_message(sl_wire_put_header(buf, 1, 1 + session), &m);
		sl_con_input(w->cons[0], &peer, buf, (size_t)(p - buf), w->now);
	}
	peer.ip.s6_addr[15] = 1;
	m.sequence = 2;
	m.key.id_low = 2000;
	p = sl_wire_put_message(sl_wire_put_header(buf, 1, 1), &m);
	sl_con_input(w->cons[0], &peer, buf, (size_t)(p - buf), w->now);
	sl_con_get_stats(w->cons[0], &stats);
	assert_int_equal(stats.refused, 500);
	assert_int_equal(stats.sessions, 1 + 4);
	assert_int_equal(stats.sessions_opened, 501);
	assert_int_equal(stats.sessions_evicted, 496);
	/* And of many addresses: as many as there are places. */
	m.sequence = 1;
	for (uint32_t i = 0; i < 100; i++) {
		peer.ip.s6_addr[14] = (uint8_t)(1 + i);
		p = sl_wire_put_message(sl_wire_put_header(buf, 1, 1), &m);
		sl_con_input(w->cons[0], &peer, buf, (size_t)(p - buf), w->now);
	}
	sl_con_get_stats(w->cons[0], &stats);
	assert_int_equal(stats.sessions, 16);
	end(w);
}

/* Changed bytes in either direction: no crash, and nothing is told to be durable that is not. */
static void
test_garbage_costs_only_itself(void **state)
{
	static const struct sl_udp_peer peer = {.port = 5000};
	struct world *w = &world;
	uint8_t buf[1500];

	begin(w, __func__);
	start_consumers(w);
	for (uint32_t n = 0; n < 300; n++)
		publish(w, n, UINT64_MAX, 0);
	turn_publisher(w);
	for (uint32_t i = 0; i < 20000 && w->nb_settled < 300; i++) {
		uint32_t len = (uint32_t)test_rand_below(&w->rand, sizeof(buf));

		if (w->nb_packets != 0 && i % 2 == 0) {
			struct packet *p = &w->packets[test_rand_below(&w->rand, w->nb_packets)];

			len = p->len;
			memcpy(buf, p->data, len);
			/* Not the ids: that would be another message, and a good one. */
			buf[test_rand_below(&w->rand, 20)] ^= 1u << test_rand_below(&w->rand, 8);
			len -= (uint32_t)test_rand_below(&w->rand, 3);
		} else {
			test_rand_fill(&w->rand, buf, len);
		}
		sl_con_input(w->cons[w->appliance], &peer, buf, len, w->now);
		sl_pub_input(w->pub, buf, len, w->now);
		step(w);
	}
	run_until_settled(w, 300);
	finish_work(w);
	for (uint32_t n = 0; n < 300; n++)
		assert_true(w->results[n] == 0 && w->worked[n] >= 1);
	end(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_once_and_in_order_over_a_bad_way),
		cmocka_unit_test(test_unordered_each_once),
		cmocka_unit_test(test_what_was_acknowledged_was_worked_on_before_a_crash),
		cmocka_unit_test(test_the_next_appliance_takes_over_from_a_silent_one),
		cmocka_unit_test(test_a_message_that_takes_too_long_is_given_up),
		cmocka_unit_test(test_at_most_once_goes_past_a_session_that_waits),
		cmocka_unit_test(test_a_gap_is_told_without_acknowledging_what_is_behind),
		cmocka_unit_test(test_acks_wait_for_more_but_not_for_long),
		cmocka_unit_test(test_new_credit_does_not_wait_for_long),
		cmocka_unit_test(test_a_redelivery_shares_the_fate_of_the_first),
		cmocka_unit_test(test_sessions_are_bounded),
		cmocka_unit_test(test_garbage_costs_only_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
