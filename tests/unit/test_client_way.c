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

#include "test_client.h"

/* How a publisher finds a way to an appliance when the system knows of none. Time is a number. */

#define MS	UINT64_C(1000000)
#define SILENCE (1000 * MS)

struct world {
	uint64_t now;
	uint32_t ways; /* To which appliances there is one: bits. */
	uint32_t nb_connects;
	uint32_t nb_lookups;
	uint32_t appliance;
	uint32_t nb_sent;
	uint32_t nb_timeouts;
	struct sl_pub_core *pub;
	struct sl_pack pack;
};

static void
on_settled(void *arg, struct sl_pub_message *m, int result)
{
	struct world *w = arg;

	w->nb_sent += result == SLUICE_OK;
	w->nb_timeouts += result == SLUICE_TIMEOUT;
}

static void
on_release(void *arg, struct sl_pub_message *m)
{
	free(m);
}

static bool
on_connect(void *arg, uint32_t appliance)
{
	struct world *w = arg;

	w->nb_connects++;
	w->appliance = appliance;
	return (w->ways >> appliance & 1) != 0;
}

static uint64_t
on_random(void *arg)
{
	return 7;
}

static void
on_event(void *arg, enum sluice_level level, uint32_t appliance, const char *what)
{
}

static uint32_t
on_look_up(void *arg)
{
	((struct world *)arg)->nb_lookups++;
	return 2;
}

static void
begin(struct world *w, uint32_t ways)
{
	const struct sl_pub_params params = {.window = 16,
		.nb_appliances = 2,
		.silence_ns = SILENCE,
		.hooks = {w, on_settled, on_release, on_connect, on_random, on_event, on_look_up}};

	*w = (struct world){.now = SILENCE, .ways = ways};
	w->pub = sl_pub_new(&params, w->now);
	assert_non_null(w->pub);
	w->pack.datagram_bytes = 600;
	w->pack.buf = malloc((size_t)SL_PACK_DATAGRAMS * w->pack.datagram_bytes);
}

static void
end(struct world *w)
{
	sl_pub_free(w->pub);
	free(w->pack.buf);
}

static struct sl_pub_message *
publish(struct world *w, uint32_t flags, uint64_t deadline)
{
	struct sl_pub_message *m = make_message(1, flags, deadline, w->pack.datagram_bytes);

	sl_pub_submit(w->pub, m);
	return m;
}

/* What the shell does. @return how many datagrams it would send */
static uint32_t
turn(struct world *w)
{
	sl_pub_tick(w->pub, w->now);
	sl_pack_reset(&w->pack);
	sl_pub_output(w->pub, &w->pack, w->now);
	return w->pack.nb;
}

static void
test_all_messages_wait_for_a_way(void **state)
{
	struct world w;

	begin(&w, 0);
	assert_int_equal(w.nb_connects, 2);
	/* Who has nothing to send does not look for it. */
	assert_true(sl_pub_deadline(w.pub) == UINT64_MAX);
	publish(&w, SLUICE_AT_MOST_ONCE, UINT64_MAX);
	publish(&w, 0, UINT64_MAX);
	for (uint32_t i = 1; i <= 3; i++) {
		assert_int_equal(turn(&w), 0);
		assert_true(sl_pub_deadline(w.pub) == w.now + SILENCE);
		w.now += SILENCE - 1;
		turn(&w);
		assert_int_equal(w.nb_lookups, i - 1);
		w.now++;
		turn(&w);
		assert_int_equal(w.nb_lookups, i);
	}
	assert_int_equal(w.nb_sent, 0);
	/* To both; the first is taken. */
	w.ways = 3;
	w.now += SILENCE;
	assert_int_equal(turn(&w), 2);
	assert_int_equal(w.appliance, 0);
	assert_int_equal(w.nb_sent, 1);
	end(&w);
}

static void
test_the_first_with_a_way_is_taken_at_once(void **state)
{
	struct sluice_publisher_stats stats = {0};
	struct world w;

	begin(&w, 2);
	publish(&w, SLUICE_AT_MOST_ONCE, UINT64_MAX);
	assert_int_equal(turn(&w), 1);
	assert_int_equal(w.appliance, 1);
	sl_pub_get_stats(w.pub, &stats);
	assert_int_equal(stats.appliance, 1);
	assert_int_equal(stats.failovers, 1);
	end(&w);
}

static void
test_at_most_once_does_not_wait_for_ever(void **state)
{
	struct world w;

	begin(&w, 0);
	publish(&w, SLUICE_AT_MOST_ONCE, w.now + 10 * MS);
	turn(&w);
	assert_true(sl_pub_deadline(w.pub) == w.now + 10 * MS);
	w.now += 10 * MS;
	turn(&w);
	assert_int_equal(w.nb_timeouts, 1);
	/* Nor for longer than who called does. */
	publish(&w, SLUICE_AT_MOST_ONCE, UINT64_MAX)->is_abandoned = true;
	sl_pub_give_up_abandoned(w.pub);
	assert_int_equal(w.nb_timeouts, 2);
	end(&w);
}

static void
test_what_is_not_sent_has_the_way_looked_for(void **state)
{
	struct world w;

	begin(&w, 3);
	w.now += 5 * SILENCE;
	for (uint32_t i = 0; i < 3; i++) {
		publish(&w, SLUICE_AT_MOST_ONCE, UINT64_MAX);
		assert_int_equal(turn(&w), 1);
		sl_pub_not_sent(w.pub, w.now);
		/* Again at once, once in a silence, and then the other. */
		assert_int_equal(w.nb_connects, i == 0 ? 1 : 2);
		assert_int_equal(w.appliance, 0);
		w.now += i == 0 ? 0 : SILENCE / 2 - 1;
	}
	w.now += 2;
	assert_true(sl_pub_deadline(w.pub) == UINT64_MAX);
	publish(&w, SLUICE_AT_MOST_ONCE, UINT64_MAX);
	assert_int_equal(turn(&w), 1);
	assert_int_equal(w.nb_connects, 3);
	assert_int_equal(w.appliance, 1);
	end(&w);
}

/* Silence tells of what is in flight. */
static void
test_what_is_in_flight_stays_where_it_is(void **state)
{
	struct world w;

	begin(&w, 3);
	publish(&w, 0, UINT64_MAX);
	assert_int_equal(turn(&w), 1);
	for (uint32_t i = 0; i < 7; i++) {
		sl_pub_not_sent(w.pub, w.now);
		w.now += SILENCE / 10;
		turn(&w);
	}
	assert_int_equal(w.nb_connects, 1);
	w.now += SILENCE;
	turn(&w);
	assert_int_equal(w.nb_connects, 2);
	assert_int_equal(w.appliance, 1);
	end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_messages_wait_for_a_way),
		cmocka_unit_test(test_the_first_with_a_way_is_taken_at_once),
		cmocka_unit_test(test_at_most_once_does_not_wait_for_ever),
		cmocka_unit_test(test_what_is_not_sent_has_the_way_looked_for),
		cmocka_unit_test(test_what_is_in_flight_stays_where_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
