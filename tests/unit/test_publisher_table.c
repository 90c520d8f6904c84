/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_ring_elem.h>

/* From inside: it is private to the path. */
#include "publisher_table.c"
#include "test_rand.h"

#define SLOTS	     16
#define PER_ADDRESS  4
#define FIRST	     32
#define BEGIN_CREDIT 1024
#define IDLE_MS	     1000
#define TICKS_PER_S  1000000

struct rig {
	struct dp_publisher slots[SLOTS];
	struct dp_publisher_table table;
	uint64_t now_ms;
};

static struct rig *
make_limited_rig(uint64_t rate, uint32_t address_window)
{
	const struct dp_publisher_params params = {
		.first = FIRST,
		.nb_slots = SLOTS,
		.per_address_max = PER_ADDRESS,
		.begin_credit = BEGIN_CREDIT,
		.address_window = address_window,
		.idle_ms = IDLE_MS,
		.rate_msgs_per_s = rate,
		.burst_msgs = 10,
		.ticks_per_s = TICKS_PER_S,
		.seeds = {3, 4},
	};
	struct rig *rig = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*rig));

	assert_non_null(rig);
	memset(rig, 0, sizeof(*rig));
	assert_int_equal(dp_publisher_table_init(&rig->table, &params, rig->slots), 0);
	rig->now_ms = 5000;
	return rig;
}

static struct rig *
make_rig(uint64_t rate)
{
	return make_limited_rig(rate, 0);
}

static void
free_rig(struct rig *rig)
{
	dp_publisher_table_free(&rig->table);
	free(rig);
}

static struct dp_publisher_from
host(uint8_t number)
{
	return (struct dp_publisher_from){
		.address = sl_ip_from_v4(RTE_BE32(0x0a4d0000 | number)),
		.udp_port = 4000,
		.mac = {{2, 0, 0, 0, 0, number}},
	};
}

static bool
is_from(const struct dp_publisher_seen *seen, uint8_t number)
{
	const struct dp_publisher_from from = host(number);

	return memcmp(&seen->from, &from, sizeof(from)) == 0;
}

static struct dp_publisher *
find(struct rig *rig, uint64_t session, uint64_t sequence, uint8_t from,
	enum dp_publisher_verdict *verdict)
{
	const struct dp_publisher_from address = host(from);

	return dp_publisher_find(&rig->table, session, sequence, 77, &address, rig->now_ms,
		rig->now_ms * (TICKS_PER_S / 1000), verdict);
}

/* What becomes of one message. */
static enum dp_publisher_verdict
come(struct rig *rig, uint64_t session, uint64_t sequence, uint8_t from)
{
	enum dp_publisher_verdict verdict;
	struct dp_publisher *slot = find(rig, session, sequence, from, &verdict);

	if (slot == NULL)
		return verdict;
	return dp_publisher_take(&rig->table, slot, sequence, rig->now_ms * (TICKS_PER_S / 1000));
}

static uint32_t
slot_of(struct rig *rig, uint64_t session)
{
	const uint32_t *at = sl_session_index_find(&rig->table.by_session, session);

	assert_non_null(at);
	return *at;
}

static bool
next_stranger(struct rig *rig, struct sl_datapath_stranger *stranger)
{
	return rte_ring_sc_dequeue_elem(rig->table.strangers, stranger, sizeof(*stranger)) == 0;
}

static void
pass(struct rig *rig, uint64_t ms)
{
	while (ms-- > 0)
		dp_publisher_poll(&rig->table, ++rig->now_ms);
}

static void
a_session_begins_near_one(void **state)
{
	struct rig *rig = make_rig(0);
	struct dp_publisher_seen seen;
	struct dp_publisher *slot;
	enum dp_publisher_verdict verdict;

	(void)state;
	assert_int_equal(come(rig, 100, SL_SESSION_BEGIN_MAX, 1), DP_PUBLISHER_TAKE);
	assert_int_equal(come(rig, 101, SL_SESSION_BEGIN_MAX + 1, 1), DP_PUBLISHER_UNKNOWN_SESSION);
	slot = find(rig, 100, 1, 1, &verdict);
	assert_int_equal(dp_publisher_number(&rig->table, slot), FIRST + slot_of(rig, 100));
	assert_true(dp_publisher_read(slot, &seen));
	assert_int_equal(seen.session, 100);
	assert_int_equal(seen.source, 77);
	assert_true(is_from(&seen, 1));
	free_rig(rig);
}

static void
a_stranger_is_asked_about_once_in_a_while(void **state)
{
	struct sl_datapath_stranger stranger;
	struct rig *rig = make_rig(0);

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		come(rig, 200, 5000 + i, 1);
	assert_true(next_stranger(rig, &stranger));
	assert_int_equal(stranger.session, 200);
	assert_int_equal(stranger.table, FIRST);
	assert_false(stranger.has_slot);
	assert_false(next_stranger(rig, &stranger));
	pass(rig, ASK_AGAIN_MS);
	come(rig, 200, 5000, 1);
	assert_true(next_stranger(rig, &stranger));
	/* A flood of them is bounded, and takes no slot. */
	for (uint64_t session = 1000; session < 20000; session++)
		come(rig, session, 5000, 1);
	for (uint32_t i = 0; i < STRANGERS_RING - 1; i++)
		assert_true(next_stranger(rig, &stranger));
	assert_false(next_stranger(rig, &stranger));
	assert_int_equal(rig->table.nb_free, SLOTS);
	free_rig(rig);
}

static void
one_that_is_admitted_goes_on(void **state)
{
	struct sl_datapath_stranger stranger;
	struct rig *rig = make_rig(0);

	(void)state;
	assert_int_equal(come(rig, 200, 5000, 1), DP_PUBLISHER_UNKNOWN_SESSION);
	assert_true(next_stranger(rig, &stranger));
	stranger.credit_limit = 5001;
	rte_ring_sp_enqueue_elem(rig->table.admitted, &stranger, sizeof(stranger));
	pass(rig, 1);
	assert_int_equal(come(rig, 200, 5000, 1), DP_PUBLISHER_TAKE);
	assert_int_equal(come(rig, 200, 5001, 1), DP_PUBLISHER_TAKE);
	/* Its credit was raised elsewhere: it is asked about again. */
	pass(rig, ASK_AGAIN_MS);
	assert_int_equal(come(rig, 200, 5002, 1), DP_PUBLISHER_OVER_CREDIT);
	assert_true(next_stranger(rig, &stranger));
	assert_true(stranger.has_slot);
	stranger.credit_limit = 6000;
	rte_ring_sp_enqueue_elem(rig->table.admitted, &stranger, sizeof(stranger));
	pass(rig, 1);
	assert_int_equal(come(rig, 200, 5002, 1), DP_PUBLISHER_TAKE);
	free_rig(rig);
}

static void
credit_is_kept_to(void **state)
{
	struct rig *rig = make_rig(0);
	struct dp_publisher_seen seen;
	struct dp_publisher *slot;

	(void)state;
	assert_int_equal(come(rig, 100, 1, 1), DP_PUBLISHER_TAKE);
	assert_int_equal(come(rig, 100, BEGIN_CREDIT, 1), DP_PUBLISHER_TAKE);
	assert_int_equal(come(rig, 100, BEGIN_CREDIT + 1, 1), DP_PUBLISHER_OVER_CREDIT);
	assert_int_equal(come(rig, 100, UINT64_MAX, 1), DP_PUBLISHER_OVER_CREDIT);
	slot = &rig->slots[slot_of(rig, 100)];
	assert_true(dp_publisher_read(slot, &seen));
	/* The first ack may lower what it began with, and no other. */
	dp_publisher_raise_credit(slot, &seen, 65);
	assert_int_equal(come(rig, 100, 65, 1), DP_PUBLISHER_TAKE);
	assert_int_equal(come(rig, 100, 66, 1), DP_PUBLISHER_OVER_CREDIT);
	dp_publisher_raise_credit(slot, &seen, 64);
	assert_int_equal(come(rig, 100, 65, 1), DP_PUBLISHER_TAKE);
	dp_publisher_raise_credit(slot, &seen, 3000);

	dp_publisher_raise_credit(slot, &seen, 2000);
	assert_int_equal(come(rig, 100, 3000, 1), DP_PUBLISHER_TAKE);
	assert_int_equal(come(rig, 100, 3001, 1), DP_PUBLISHER_OVER_CREDIT);
	dp_publisher_raise_credit(slot, &seen, UINT64_MAX);
	assert_int_equal(come(rig, 100, DP_CREDIT_MAX, 1), DP_PUBLISHER_TAKE);
	assert_int_equal(come(rig, 100, DP_CREDIT_MAX + 1, 1), DP_PUBLISHER_OVER_CREDIT);
	assert_int_equal(atomic_load(&slot->messages), 6);
	assert_int_equal(atomic_load(&slot->over_limit), 5);
	free_rig(rig);
}

/* Whoever goes by no ack gets no farther by many sessions. */
static void
new_sessions_of_an_address_share_its_window(void **state)
{
	enum { ALL = 2 * BEGIN_CREDIT };
	struct rig *rig = make_limited_rig(0, ALL);

	(void)state;
	for (uint64_t n = 1; n <= PER_ADDRESS; n++) {
		uint64_t part = RTE_MIN(ALL / n, (uint64_t)BEGIN_CREDIT);

		assert_int_equal(come(rig, 100 + n, part, 1), DP_PUBLISHER_TAKE);
		assert_int_equal(come(rig, 100 + n, part + 1, 1), DP_PUBLISHER_OVER_CREDIT);
	}
	assert_int_equal(come(rig, 99, BEGIN_CREDIT, 2), DP_PUBLISHER_TAKE);
	free_rig(rig);
}

/* An ack on its way to a session that is gone is not the credit of the one that has its slot. */
static void
credit_is_of_the_session_it_was_meant_for(void **state)
{
	struct rig *rig = make_rig(0);
	struct dp_publisher_seen seen;
	struct dp_publisher *slot;

	(void)state;
	come(rig, 100, 1, 1);
	slot = &rig->slots[slot_of(rig, 100)];
	assert_true(dp_publisher_read(slot, &seen));
	pass(rig, 3 * IDLE_MS);
	come(rig, 101, 1, 1);
	assert_ptr_equal(slot, &rig->slots[slot_of(rig, 101)]);
	dp_publisher_raise_credit(slot, &seen, 100000);
	assert_int_equal(come(rig, 101, BEGIN_CREDIT + 1, 1), DP_PUBLISHER_OVER_CREDIT);
	free_rig(rig);
}

static void
the_rate_is_kept_to(void **state)
{
	struct rig *rig = make_rig(100);
	uint32_t taken = 0;

	(void)state;
	for (uint64_t sequence = 1; sequence <= 20; sequence++)
		taken += come(rig, 100, sequence, 1) == DP_PUBLISHER_TAKE;
	assert_int_equal(taken, 10);
	/* Of each address by itself: others have one of their own. */
	assert_int_equal(come(rig, 200, 1, 2), DP_PUBLISHER_TAKE);
	pass(rig, 50);
	for (uint64_t sequence = 21; sequence <= 40; sequence++)
		taken += come(rig, 100, sequence, 1) == DP_PUBLISHER_TAKE;
	assert_int_equal(taken, 15);
	assert_int_equal(come(rig, 100, 41, 1), DP_PUBLISHER_OVER_RATE);
	free_rig(rig);
}

/* However many sessions it has, that come and go and move: what an address sends is at its rate. */
static void
sessions_of_an_address_share_its_rate(void **state)
{
	enum { HOSTS = 3, RATE = 100, BURST = 10, SECONDS = 60 };
	struct rig *rig = make_rig(RATE);
	uint32_t taken[HOSTS + 1] = {0}, refused = 0;
	struct test_rand rand;

	(void)state;
	test_rand_init(&rand, __func__);
	/* The last of them is polite: five a second, from one session. */
	for (uint32_t ms = 1; ms <= SECONDS * 1000; ms++) {
		pass(rig, 1);
		if (ms % 200 == 0)
			taken[HOSTS] += come(rig, 1000, 1, HOSTS) == DP_PUBLISHER_TAKE;
		for (uint32_t i = test_rand_below(&rand, 3); i > 0; i--) {
			uint64_t session = 1 + test_rand_below(&rand, PER_ADDRESS);
			uint8_t from = (uint8_t)(1 + test_rand_below(&rand, HOSTS - 1));
			enum dp_publisher_verdict verdict = come(rig, session, 1, from);

			taken[from] += verdict == DP_PUBLISHER_TAKE;
			refused += verdict == DP_PUBLISHER_OVER_RATE;
		}
	}
	for (uint32_t h = 1; h < HOSTS; h++)
		assert_in_range(taken[h], 1, SECONDS * RATE + BURST);
	assert_int_equal(taken[HOSTS], SECONDS * 5);
	assert_true(refused > SECONDS * RATE);
	/* What nobody has any more is for others. */
	for (uint8_t i = 0; i < 3 * SLOTS; i++) {
		if (i % SLOTS == 0)
			pass(rig, 3 * IDLE_MS);
		assert_int_equal(come(rig, 100 + i, 1, 100 + i), DP_PUBLISHER_TAKE);
	}
	free_rig(rig);
}

static void
sessions_are_limited_and_expire(void **state)
{
	struct rig *rig = make_rig(0);
	uint64_t session = 100;

	(void)state;
	for (uint8_t from = 1; from <= SLOTS / PER_ADDRESS; from++) {
		for (uint32_t i = 0; i < PER_ADDRESS; i++)
			assert_int_equal(come(rig, session++, 1, from), DP_PUBLISHER_TAKE);
		if (from == 1)
			assert_int_equal(come(rig, 999, 1, from), DP_PUBLISHER_TOO_MANY_SESSIONS);
	}
	assert_int_equal(come(rig, 999, 1, 200), DP_PUBLISHER_TOO_MANY_SESSIONS);
	assert_int_equal(atomic_load(&rig->table.nb_sessions), SLOTS);
	assert_int_equal(atomic_load(&rig->table.turned_away), 1);
	/* One that is heard stays, the others go. */
	for (uint32_t i = 0; i < 3 * IDLE_MS; i += 100) {
		pass(rig, 100);
		assert_int_equal(come(rig, 100, 1, 1), DP_PUBLISHER_TAKE);
	}
	assert_int_equal(atomic_load(&rig->table.nb_sessions), 1);
	assert_int_equal(atomic_load(&rig->table.expired), SLOTS - 1);
	for (uint32_t i = 0; i < PER_ADDRESS - 1; i++)
		assert_int_equal(come(rig, 300 + i, 1, 1), DP_PUBLISHER_TAKE);
	assert_int_equal(come(rig, 999, 1, 1), DP_PUBLISHER_TOO_MANY_SESSIONS);
	free_rig(rig);
}

static void
a_session_may_move(void **state)
{
	struct rig *rig = make_rig(0);
	struct dp_publisher_seen seen;

	(void)state;
	come(rig, 100, 1, 1);
	assert_int_equal(come(rig, 100, 2, 2), DP_PUBLISHER_TAKE);
	assert_true(dp_publisher_read(&rig->slots[slot_of(rig, 100)], &seen));
	assert_true(is_from(&seen, 2));
	/* It is no more the old address's, and counts at the new one. */
	for (uint64_t i = 0; i < PER_ADDRESS; i++)
		assert_int_equal(come(rig, 200 + i, 1, 1), DP_PUBLISHER_TAKE);
	for (uint64_t i = 1; i < PER_ADDRESS; i++)
		assert_int_equal(come(rig, 300 + i, 1, 2), DP_PUBLISHER_TAKE);
	assert_int_equal(come(rig, 399, 1, 2), DP_PUBLISHER_TOO_MANY_SESSIONS);
	assert_int_equal(come(rig, 200, 2, 2), DP_PUBLISHER_TOO_MANY_SESSIONS);
	free_rig(rig);
}

enum { SESSIONS = 48, HOSTS = 8 };

/* What a table with no cleverness would know of a session. */
struct known {
	bool is_in;
	uint8_t host;
	uint64_t seen_ms;
	uint64_t limit;
	bool is_begin;
};

static uint32_t
count_known(const struct known *known, uint8_t host)
{
	uint32_t n = 0;

	for (uint32_t s = 1; s <= SESSIONS; s++)
		n += known[s].is_in && (host == 0 || known[s].host == host);
	return n;
}

static enum dp_publisher_verdict
come_known(struct known *known, uint64_t session, uint64_t sequence, uint8_t host, uint64_t now_ms)
{
	struct known *k = &known[session];

	if (!k->is_in) {
		if (sequence > SL_SESSION_BEGIN_MAX)
			return DP_PUBLISHER_UNKNOWN_SESSION;
		if (count_known(known, 0) == SLOTS || count_known(known, host) >= PER_ADDRESS)
			return DP_PUBLISHER_TOO_MANY_SESSIONS;
		*k = (struct known){
			.is_in = true, .host = host, .limit = BEGIN_CREDIT, .is_begin = true};
	} else if (k->host != host) {
		if (count_known(known, host) >= PER_ADDRESS)
			return DP_PUBLISHER_TOO_MANY_SESSIONS;
		k->host = host;
	}
	k->seen_ms = now_ms;
	return sequence > k->limit ? DP_PUBLISHER_OVER_CREDIT : DP_PUBLISHER_TAKE;
}

/* Sessions come, move, are granted credit, and fall silent, at random. */
static void
says_what_a_plain_table_says(void **state)
{
	struct known known[SESSIONS + 1] = {0};
	struct rig *rig = make_rig(0);
	struct dp_publisher_seen seen;
	struct test_rand rand;

	(void)state;
	test_rand_init(&rand, __func__);
	for (uint32_t step = 0; step < 50000; step++) {
		uint64_t session = 1 + test_rand_below(&rand, SESSIONS);
		uint64_t sequence = 1 + test_rand_below(&rand, 3 * BEGIN_CREDIT);
		uint8_t host_number = (uint8_t)(1 + test_rand_below(&rand, HOSTS));
		struct known *k = &known[session];

		/* Each slot is looked at in half the idle time: so much longer, and it is gone. */
		if (test_rand_below(&rand, 200) == 0) {
			uint64_t ms = 3 * IDLE_MS * test_rand_below(&rand, 2);

			for (uint32_t s = 1; s <= SESSIONS; s++)
				known[s].is_in = known[s].is_in && ms == 0;
			pass(rig, ms);
		}
		if (k->is_in && test_rand_below(&rand, 3) == 0) {
			struct dp_publisher *slot = &rig->slots[slot_of(rig, session)];

			assert_true(dp_publisher_read(slot, &seen));
			dp_publisher_raise_credit(slot, &seen, sequence);
			k->limit = k->is_begin ? sequence : RTE_MAX(k->limit, sequence);
			k->is_begin = false;
			continue;
		}
		assert_int_equal(come(rig, session, sequence, host_number),
			come_known(known, session, sequence, host_number, rig->now_ms));
		assert_int_equal(atomic_load(&rig->table.nb_sessions), count_known(known, 0));
	}
	free_rig(rig);
}

static void *
read_all_the_time(void *arg)
{
	const struct rig *rig = arg;
	struct dp_publisher_seen seen;
	uint64_t torn = 0, session;

	do {
		if (!dp_publisher_read(&rig->slots[0], &seen))
			continue;
		/* A session's address ends like its number. */
		torn += seen.session != 0 &&
			(seen.session & 1) != (seen.from.address.bytes[15] & 1);
		session = seen.session;
	} while (session != UINT64_MAX);
	return (void *)(uintptr_t)torn;
}

static void
a_slot_is_read_whole_while_it_changes(void **state)
{
	const struct dp_publisher_from from[2] = {host(2), host(1)};
	struct rig *rig = make_rig(0);
	pthread_t thread;
	void *torn;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, read_all_the_time, rig), 0);
	for (uint64_t session = 1; session < 200000; session++)
		end(&rig->table,
			begin(&rig->table, session, 77, &from[session & 1], 1, rig->now_ms));
	begin(&rig->table, UINT64_MAX, 77, &from[1], 1, rig->now_ms);
	assert_int_equal(pthread_join(thread, &torn), 0);
	assert_null(torn);
	free_rig(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_begins_near_one),
		cmocka_unit_test(a_stranger_is_asked_about_once_in_a_while),
		cmocka_unit_test(one_that_is_admitted_goes_on),
		cmocka_unit_test(credit_is_kept_to),
		cmocka_unit_test(new_sessions_of_an_address_share_its_window),
		cmocka_unit_test(credit_is_of_the_session_it_was_meant_for),
		cmocka_unit_test(the_rate_is_kept_to),
		cmocka_unit_test(sessions_of_an_address_share_its_rate),
		cmocka_unit_test(sessions_are_limited_and_expire),
		cmocka_unit_test(a_session_may_move),
		cmocka_unit_test(says_what_a_plain_table_says),
		cmocka_unit_test(a_slot_is_read_whole_while_it_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
