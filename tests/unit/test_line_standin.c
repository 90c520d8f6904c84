/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "line_standin.h"
#include "line_store.h"
#include "test_rand.h"

static int
add(struct line_store *store, const char *topic, const char *payload)
{
	return line_store_add(store, topic, strlen(topic), payload, strlen(payload));
}

static bool
clear(struct line_store *store, const char *topic, const char *payload)
{
	return line_store_clear(store, topic, strlen(topic), payload, strlen(payload));
}

static void
assert_first(struct line_store *store, uint64_t number, const char *topic, const char *payload)
{
	struct line_stored m;

	assert_true(line_store_first(store, &m));
	assert_int_equal(m.number, number);
	assert_int_equal(m.topic_len, strlen(topic));
	assert_memory_equal(m.topic, topic, m.topic_len);
	assert_int_equal(m.payload_len, strlen(payload));
	assert_memory_equal(m.payload, payload, m.payload_len);
}

static void
test_what_was_cleared_is_gone_and_order_stays(void **state)
{
	struct line_store *store = line_store_create(10, 1000, 1);
	struct line_stored m;

	assert_false(line_store_first(store, &m));
	assert_int_equal(add(store, "t", "one"), 0);
	assert_int_equal(add(store, "t", "two"), 0);
	assert_int_equal(add(store, "u", "one"), 0);
	assert_true(clear(store, "t", "one"));
	assert_false(clear(store, "t", "one"));
	assert_first(store, 2, "t", "two");
	line_store_drop_first(store);
	assert_first(store, 3, "u", "one");
	line_store_drop_first(store);
	assert_false(line_store_first(store, &m));
	assert_int_equal(line_store_bytes(store), 0);
	assert_int_equal(line_store_number(store), 3);
	line_store_destroy(store);
}

static void
test_of_equal_messages_the_oldest_is_cleared(void **state)
{
	struct line_store *store = line_store_create(10, 1000, 1);

	add(store, "t", "same");
	add(store, "t", "other");
	add(store, "t", "same");
	assert_true(clear(store, "t", "same"));
	assert_first(store, 2, "t", "other");
	line_store_drop_first(store);
	assert_first(store, 3, "t", "same");
	line_store_destroy(store);
}

static void
test_the_store_is_bounded(void **state)
{
	struct line_store *store = line_store_create(3, 10, 1);

	assert_int_equal(add(store, "t", "123456789"), 0);
	assert_int_equal(add(store, "t", ""), -ENOSPC);
	assert_true(clear(store, "t", "123456789"));
	for (int i = 0; i < 3; i++)
		assert_int_equal(add(store, "t", ""), 0);
	assert_int_equal(add(store, "t", ""), -ENOSPC);
	assert_int_equal(line_store_count(store), 3);
	assert_int_equal(line_store_bytes(store), 3);
	line_store_destroy(store);
}

/* Against an array that is searched from its head. */
static void
test_store_at_random(void **state)
{
	struct line_store *store = line_store_create(64, 1 << 20, 7);
	char model[64][8], text[8];
	struct test_rand r;
	uint32_t n = 0, i;

	test_rand_init(&r, "test_store_at_random");
	for (int step = 0; step < 100000; step++) {
		snprintf(text, sizeof(text), "%d", (int)test_rand_below(&r, 60));
		switch (test_rand_below(&r, 5)) {
		case 0:
		case 1:
			assert_int_equal(add(store, "t", text), n == 64 ? -ENOSPC : 0);
			if (n < 64)
				memcpy(model[n++], text, sizeof(text));
			break;
		case 2:
			line_store_drop_first(store);
			if (n > 0)
				memmove(model[0], model[1], sizeof(model[0]) * --n);
			break;
		default:
			for (i = 0; i < n && strcmp(model[i], text) != 0; i++)
				;
			assert_int_equal(clear(store, "t", text), i < n);
			if (i < n)
				memmove(model[i], model[i + 1], sizeof(model[0]) * (--n - i));
		}
		assert_int_equal(line_store_count(store), n);
		if (n > 0) {
			struct line_stored m;

			assert_true(line_store_first(store, &m));
			assert_int_equal(m.payload_len, strlen(model[0]));
			assert_memory_equal(m.payload, model[0], m.payload_len);
		}
	}
	line_store_destroy(store);
}

/* A machine, and what is around it. */
struct world {
	struct line_standin standin;
	uint64_t now;
	uint64_t stored; /* Number of the last message that was kept, */
	uint64_t oldest; /* and of the first that still is; 0: none. */
};

static void
world_init(struct world *w)
{
	*w = (struct world){.now = 5000};
	line_standin_init(&w->standin, w->now);
}

static enum line_action
step(struct world *w, enum line_change *change)
{
	return line_standin_step(&w->standin, w->now, w->stored, change);
}

/* The next ping begins, as early as it may. */
static void
begin_ping(struct world *w)
{
	enum line_change change;

	if (line_standin_next_ms(&w->standin) > w->now)
		w->now = line_standin_next_ms(&w->standin);
	assert_int_equal(step(w, &change), LINE_PING_NOW);
	assert_int_equal(change, LINE_SAME);
	assert_int_equal(step(w, &change), LINE_WAIT);
}

static void
test_it_pings_every_second(void **state)
{
	enum line_change change;
	struct world w;

	world_init(&w);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(w.now, 5000 + i * LINE_PING_MS);
		assert_int_equal(step(&w, &change), LINE_PING_NOW);
		w.now += 3;
		assert_int_equal(line_standin_ponged(&w.standin, w.now), LINE_SAME);
		assert_false(w.standin.leads);
		assert_int_equal(step(&w, &change), LINE_WAIT);
		w.now = line_standin_next_ms(&w.standin);
	}
}

static void
test_refused_is_dead_at_once(void **state)
{
	struct world w;

	world_init(&w);
	w.stored = 3;
	w.oldest = 2;
	begin_ping(&w);
	assert_false(line_standin_is_due(&w.standin, w.oldest));
	assert_int_equal(line_standin_failed(&w.standin, w.now, true, w.stored), LINE_DIED);
	assert_true(line_standin_is_due(&w.standin, 2));
	assert_true(line_standin_is_due(&w.standin, 3));
	assert_false(line_standin_is_due(&w.standin, 4));
	assert_false(line_standin_is_due(&w.standin, 0));
}

static void
test_silence_is_death_after_some_tries(void **state)
{
	enum line_change change;
	struct world w;

	world_init(&w);
	for (int i = 1; i <= LINE_TRIES; i++) {
		begin_ping(&w);
		w.now += LINE_PONG_MS;
		assert_int_equal(step(&w, &change), LINE_GIVE_UP);
		assert_int_equal(change, i == LINE_TRIES ? LINE_DIED : LINE_SAME);
	}
	assert_true(w.standin.leads);

	/* An answer in between begins the count again. */
	world_init(&w);
	for (int i = 0; i < 3 * LINE_TRIES; i++) {
		begin_ping(&w);
		if (i % LINE_TRIES == 0)
			line_standin_ponged(&w.standin, w.now);
		else
			line_standin_failed(&w.standin, w.now, false, 0);
		assert_false(w.standin.leads);
	}
}

static void
test_it_returns_and_dies_again(void **state)
{
	struct world w;

	world_init(&w);
	begin_ping(&w);
	assert_int_equal(line_standin_failed(&w.standin, w.now, true, 0), LINE_DIED);
	begin_ping(&w);
	assert_int_equal(line_standin_failed(&w.standin, w.now, true, 0), LINE_SAME);
	begin_ping(&w);
	assert_int_equal(line_standin_ponged(&w.standin, w.now), LINE_RETURNED);
	begin_ping(&w);
	assert_int_equal(line_standin_failed(&w.standin, w.now, true, 0), LINE_DIED);
}

static void
test_new_messages_wait_for_a_ping_of_their_own(void **state)
{
	struct world w;
	uint64_t early, late;

	world_init(&w);
	begin_ping(&w);
	line_standin_ponged(&w.standin, w.now);
	early = line_standin_ask(&w.standin, 0);
	assert_int_not_equal(early, 0);
	assert_false(line_standin_may_publish(&w.standin, early, 0));
	/* It is not waited for as long as for a regular one. */
	assert_true(line_standin_next_ms(&w.standin) <= w.now + LINE_ASK_GAP_MS);
	begin_ping(&w);
	/* The answer to this one may have been sent before it came. */
	late = line_standin_ask(&w.standin, 0);
	line_standin_ponged(&w.standin, w.now);
	assert_true(line_standin_may_publish(&w.standin, early, 0));
	assert_false(line_standin_may_publish(&w.standin, late, 0));
	begin_ping(&w);
	line_standin_ponged(&w.standin, w.now);
	assert_true(line_standin_may_publish(&w.standin, late, 0));
	/* Nobody waits any more. */
	assert_int_equal(line_standin_next_ms(&w.standin), w.standin.began_ms + LINE_PING_MS);
}

static void
test_new_messages_come_behind_those_of_the_dead(void **state)
{
	struct world w;
	uint64_t ticket;

	world_init(&w);
	begin_ping(&w);
	line_standin_ponged(&w.standin, w.now);
	w.stored = 2;
	w.oldest = 1;
	ticket = line_standin_ask(&w.standin, w.oldest);
	begin_ping(&w);
	assert_int_equal(line_standin_failed(&w.standin, w.now, true, w.stored), LINE_DIED);
	assert_false(line_standin_may_publish(&w.standin, ticket, 1));
	assert_int_not_equal(line_standin_ask(&w.standin, 1), 0);
	assert_false(line_standin_may_publish(&w.standin, ticket, 2));
	assert_true(line_standin_may_publish(&w.standin, ticket, 0));
	assert_int_equal(line_standin_ask(&w.standin, 0), 0);
	/* What came from a primary that seems to be back waits for the next ping, and stops nobody.
	 */
	w.stored = w.oldest = 3;
	assert_int_equal(line_standin_ask(&w.standin, 3), 0);
	begin_ping(&w);
	assert_int_equal(line_standin_failed(&w.standin, w.now, true, w.stored), LINE_SAME);
	assert_true(line_standin_is_due(&w.standin, 3));
}

static void
test_what_was_due_stays_due_when_the_primary_returns(void **state)
{
	struct world w;
	uint64_t ticket;

	world_init(&w);
	w.stored = 2;
	w.oldest = 1;
	begin_ping(&w);
	line_standin_failed(&w.standin, w.now, true, w.stored);
	begin_ping(&w);
	assert_int_equal(line_standin_ponged(&w.standin, w.now), LINE_RETURNED);
	assert_true(line_standin_is_due(&w.standin, 1));
	ticket = line_standin_ask(&w.standin, 1);
	begin_ping(&w);
	line_standin_ponged(&w.standin, w.now);
	assert_false(line_standin_may_publish(&w.standin, ticket, 2));
	assert_true(line_standin_may_publish(&w.standin, ticket, 0));
	assert_true(line_standin_may_publish(&w.standin, ticket, 3));
}

/*
 * A primary that lives, dies, hangs and returns at random: whoever was let through while it
 * followed, was so by an answer to a ping that began after they asked; time goes on; pings are
 * neither more than the gap allows nor fewer than one a second.
 */
static void
test_standin_at_random(void **state)
{
	uint64_t ticket = 0, asked_ms = 0, ping_began = 0, answered_began = 0, last_ping = 0;
	enum line_change change;
	struct test_rand r;
	struct world w;
	bool dead = false;

	test_rand_init(&r, "test_standin_at_random");
	world_init(&w);
	for (int i = 0; i < 200000; i++) {
		w.now += test_rand_below(&r, 200);
		if (test_rand_below(&r, 100) == 0)
			dead = !dead;
		switch (step(&w, &change)) {
		case LINE_PING_NOW:
			assert_true(last_ping == 0 || w.now >= last_ping + LINE_ASK_GAP_MS);
			assert_true(last_ping == 0 || w.now <= last_ping + LINE_PING_MS + 200);
			last_ping = ping_began = w.now;
			break;
		case LINE_GIVE_UP:
			assert_true(w.now >= ping_began + LINE_PONG_MS);
			break;
		case LINE_WAIT:
			assert_true(line_standin_next_ms(&w.standin) > w.now);
		}
		if (w.standin.is_pinging && test_rand_below(&r, 2) == 0) {
			if (dead) {
				line_standin_failed(
					&w.standin, w.now, test_rand_below(&r, 2) == 0, w.stored);
			} else {
				line_standin_ponged(&w.standin, w.now);
				answered_began = ping_began;
			}
		}
		if (ticket == 0) {
			ticket = line_standin_ask(&w.standin, 0);
			asked_ms = w.now;
			assert_true(ticket != 0 || w.standin.leads);
		} else if (line_standin_may_publish(&w.standin, ticket, 0)) {
			assert_true(w.standin.leads || answered_began >= asked_ms);
			ticket = 0;
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_cleared_is_gone_and_order_stays),
		cmocka_unit_test(test_of_equal_messages_the_oldest_is_cleared),
		cmocka_unit_test(test_the_store_is_bounded),
		cmocka_unit_test(test_store_at_random),
		cmocka_unit_test(test_it_pings_every_second),
		cmocka_unit_test(test_refused_is_dead_at_once),
		cmocka_unit_test(test_silence_is_death_after_some_tries),
		cmocka_unit_test(test_it_returns_and_dies_again),
		cmocka_unit_test(test_new_messages_wait_for_a_ping_of_their_own),
		cmocka_unit_test(test_new_messages_come_behind_those_of_the_dead),
		cmocka_unit_test(test_what_was_due_stays_due_when_the_primary_returns),
		cmocka_unit_test(test_standin_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
