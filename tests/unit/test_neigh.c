/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sl_neigh.h"
#include "test_rand.h"

#define NOW 1000

static const struct rte_ether_addr mac_a = {{0x02, 0, 0, 0, 0, 0x0a}};
static const struct rte_ether_addr mac_b = {{0x02, 0, 0, 0, 0, 0x0b}};

static const struct sl_neigh_params params = {
	.reachable_ms = 30000,
	.retry_ms = 500,
	.retry_max_ms = 4000,
	.max_tries = 3,
};

/* One tick when it is due: what it asks for, and how long it waits then. */
static void
expect_tick(struct sl_neigh *n, enum sl_neigh_action action, enum sl_neigh_state state,
	uint64_t wait_ms)
{
	uint64_t now = n->due_ms;

	if (now > NOW)
		assert_int_equal(sl_neigh_tick(n, &params, now - 1), SL_NEIGH_NOTHING);
	assert_int_equal(sl_neigh_tick(n, &params, now), action);
	assert_int_equal(n->state, state);
	assert_int_equal(n->due_ms, now + wait_ms);
	assert_int_equal(sl_neigh_tick(n, &params, now), SL_NEIGH_NOTHING);
}

static void
test_asks_at_once_then_retries_then_fails_with_backoff(void **state)
{
	struct sl_neigh n;

	(void)state;
	sl_neigh_init(&n, NOW);
	assert_int_equal(n.state, SL_NEIGH_INCOMPLETE);
	assert_int_equal(n.due_ms, NOW);
	assert_false(sl_neigh_is_usable(&n));
	for (unsigned int i = 0; i < params.max_tries; i++)
		expect_tick(&n, SL_NEIGH_ASK_BROADCAST, SL_NEIGH_INCOMPLETE, 500);
	/* Nobody there: asked again, ever more rarely, for ever. */
	expect_tick(&n, SL_NEIGH_ASK_BROADCAST, SL_NEIGH_FAILED, 1000);
	expect_tick(&n, SL_NEIGH_ASK_BROADCAST, SL_NEIGH_FAILED, 2000);
	for (unsigned int i = 0; i < 1000; i++)
		expect_tick(&n, SL_NEIGH_ASK_BROADCAST, SL_NEIGH_FAILED, 4000);
	assert_false(sl_neigh_is_usable(&n));
}

static void
test_backoff_does_not_overflow(void **state)
{
	struct sl_neigh_params huge = params;
	struct sl_neigh n;
	uint64_t before;

	(void)state;
	huge.retry_ms = UINT32_MAX;
	huge.retry_max_ms = UINT32_MAX;
	sl_neigh_init(&n, NOW);
	n.tries = UINT32_MAX - 1;
	for (unsigned int i = 0; i < 4; i++) {
		before = n.due_ms;
		assert_int_equal(sl_neigh_tick(&n, &huge, n.due_ms), SL_NEIGH_ASK_BROADCAST);
		assert_int_equal(n.due_ms - before, UINT32_MAX);
		assert_int_equal(n.state, SL_NEIGH_FAILED);
	}
	assert_int_equal(n.tries, UINT32_MAX);
}

static void
test_an_answer_makes_it_reachable(void **state)
{
	struct sl_neigh n;

	(void)state;
	sl_neigh_init(&n, NOW);
	expect_tick(&n, SL_NEIGH_ASK_BROADCAST, SL_NEIGH_INCOMPLETE, 500);
	assert_true(sl_neigh_confirm(&n, &params, &mac_a, NOW + 3));
	assert_int_equal(n.state, SL_NEIGH_REACHABLE);
	assert_true(sl_neigh_is_usable(&n));
	assert_memory_equal(&n.mac, &mac_a, sizeof(mac_a));
	assert_int_equal(n.due_ms, NOW + 3 + params.reachable_ms);
	/* The same again is no news, but is believed for longer; another address is news. */
	assert_false(sl_neigh_confirm(&n, &params, &mac_a, NOW + 100));
	assert_int_equal(n.due_ms, NOW + 100 + params.reachable_ms);
	assert_true(sl_neigh_confirm(&n, &params, &mac_b, NOW + 200));
	assert_memory_equal(&n.mac, &mac_b, sizeof(mac_b));
}

static void
test_ages_is_probed_by_unicast_and_stays_usable(void **state)
{
	struct sl_neigh n;

	(void)state;
	sl_neigh_init(&n, NOW);
	sl_neigh_confirm(&n, &params, &mac_a, NOW);
	for (unsigned int i = 0; i < params.max_tries; i++) {
		expect_tick(&n, SL_NEIGH_ASK_UNICAST, SL_NEIGH_PROBE, 500);
		assert_true(sl_neigh_is_usable(&n));
		assert_memory_equal(&n.mac, &mac_a, sizeof(mac_a));
	}
	/* Still there after all: no news, nothing to publish. */
	assert_false(sl_neigh_confirm(&n, &params, &mac_a, n.due_ms));
	assert_int_equal(n.state, SL_NEIGH_REACHABLE);
	assert_int_equal(n.tries, 0);
}

static void
test_gone_after_unanswered_probes_and_news_when_back(void **state)
{
	struct sl_neigh n;

	(void)state;
	sl_neigh_init(&n, NOW);
	sl_neigh_confirm(&n, &params, &mac_a, NOW);
	for (unsigned int i = 0; i < params.max_tries; i++)
		expect_tick(&n, SL_NEIGH_ASK_UNICAST, SL_NEIGH_PROBE, 500);
	expect_tick(&n, SL_NEIGH_ASK_BROADCAST, SL_NEIGH_FAILED, 1000);
	assert_false(sl_neigh_is_usable(&n));
	/* Back with the address it had: it was withdrawn, so it must be published again. */
	assert_true(sl_neigh_confirm(&n, &params, &mac_a, n.due_ms));
	assert_true(sl_neigh_is_usable(&n));
}

static void
test_static_never_changes(void **state)
{
	struct sl_neigh n, before;

	(void)state;
	sl_neigh_init_static(&n, &mac_a);
	before = n;
	assert_true(sl_neigh_is_usable(&n));
	assert_int_equal(sl_neigh_tick(&n, &params, 0), SL_NEIGH_NOTHING);
	assert_int_equal(sl_neigh_tick(&n, &params, UINT64_MAX), SL_NEIGH_NOTHING);
	assert_false(sl_neigh_confirm(&n, &params, &mac_b, NOW));
	assert_memory_equal(&n, &before, sizeof(n));
}

/* Whatever happens, in whatever order: the walls of the state machine hold. */
/* Behind a link that is back: asked at once, and used as before until it turns out to be wrong. */
static void
test_is_asked_again_when_its_link_is_back(void **state)
{
	struct sl_neigh n;

	(void)state;
	sl_neigh_init(&n, NOW);
	sl_neigh_confirm(&n, &params, &mac_a, NOW);
	assert_int_equal(n.seen_ms, NOW);
	sl_neigh_recheck(&n, NOW + 1);
	assert_true(sl_neigh_is_usable(&n));
	assert_int_equal(sl_neigh_tick(&n, &params, NOW + 1), SL_NEIGH_ASK_UNICAST);
	while (n.state != SL_NEIGH_FAILED)
		sl_neigh_tick(&n, &params, n.due_ms);
	sl_neigh_recheck(&n, NOW + 100000);
	assert_int_equal(n.state, SL_NEIGH_INCOMPLETE);
	assert_int_equal(sl_neigh_tick(&n, &params, NOW + 100000), SL_NEIGH_ASK_BROADCAST);
	sl_neigh_init_static(&n, &mac_a);
	sl_neigh_recheck(&n, NOW);
	assert_int_equal(sl_neigh_tick(&n, &params, NOW), SL_NEIGH_NOTHING);
}

static void
test_random_walk(void **state)
{
	struct test_rand r;
	struct sl_neigh n, before;
	enum sl_neigh_action action;
	uint64_t now = NOW, last_confirm = 0;

	(void)state;
	test_rand_init(&r, "neigh walk");
	sl_neigh_init(&n, now);
	for (unsigned int i = 0; i < 200000; i++) {
		now += test_rand_below(&r, 2000);
		before = n;
		if (test_rand_below(&r, 12) == 0) {
			sl_neigh_confirm(&n, &params, &mac_a, now);
			last_confirm = now;
			assert_int_equal(n.state, SL_NEIGH_REACHABLE);
			continue;
		}
		action = sl_neigh_tick(&n, &params, now);
		if (now < before.due_ms) {
			assert_int_equal(action, SL_NEIGH_NOTHING);
			assert_memory_equal(&n, &before, sizeof(n));
			continue;
		}
		assert_int_not_equal(action, SL_NEIGH_NOTHING);
		assert_in_range(n.due_ms, now + params.retry_ms, now + params.retry_max_ms);
		assert_int_equal(action == SL_NEIGH_ASK_UNICAST, n.state == SL_NEIGH_PROBE);
		assert_int_not_equal(n.state, SL_NEIGH_REACHABLE);
		if (sl_neigh_is_usable(&n))
			assert_true(last_confirm != 0);
		if (n.state == SL_NEIGH_FAILED)
			assert_true(before.tries >= params.max_tries);
	}
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(sl_neigh_state_name(SL_NEIGH_INCOMPLETE), "incomplete");
	assert_string_equal(sl_neigh_state_name(SL_NEIGH_REACHABLE), "reachable");
	assert_string_equal(sl_neigh_state_name(SL_NEIGH_PROBE), "probe");
	assert_string_equal(sl_neigh_state_name(SL_NEIGH_FAILED), "failed");
	assert_string_equal(sl_neigh_state_name(SL_NEIGH_STATIC), "static");
	assert_string_equal(sl_neigh_state_name((enum sl_neigh_state)99), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asks_at_once_then_retries_then_fails_with_backoff),
		cmocka_unit_test(test_backoff_does_not_overflow),
		cmocka_unit_test(test_an_answer_makes_it_reachable),
		cmocka_unit_test(test_ages_is_probed_by_unicast_and_stays_usable),
		cmocka_unit_test(test_gone_after_unanswered_probes_and_news_when_back),
		cmocka_unit_test(test_static_never_changes),
		cmocka_unit_test(test_is_asked_again_when_its_link_is_back),
		cmocka_unit_test(test_random_walk),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("neigh", tests, NULL, NULL);
}
