/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "test_health.h"

#define T0   1000000
#define HASH 0x1234567812345678

static const struct sl_health_params one_check = {
	.interval_ms = 2000,
	.fast_interval_ms = 200,
	.down_interval_ms = 1000,
	.timeout_ms = 500,
	.rise = 2,
	.fall = 3,
	.notify_after = 5,
	.nb_checks = 1,
};

/* Time goes on until a check starts. Returns its token; *now is when. */
static uint64_t
next_start(struct rig *rig, uint64_t *now)
{
	const struct sl_health_action *start;

	for (unsigned int i = 0; i < 100; i++) {
		*now = sl_health_due_ms(rig->health);
		assert_int_not_equal(*now, UINT64_MAX);
		rig_run(rig, *now);
		start = rig_find(rig, SL_HEALTH_START);
		if (start != NULL)
			return start->token;
	}
	fail_msg("no check starts");
	return 0;
}

static void
answer(struct rig *rig, uint64_t token, bool is_ok, uint64_t now)
{
	assert_int_equal(sl_health_result(rig->health, 0, token, is_ok,
				 is_ok ? SL_HEALTH_PASSED : SL_HEALTH_REFUSED, 0, 1000, now),
		0);
	rig_run(rig, now);
}

/* The next check is answered at once. Returns when. */
static uint64_t
step(struct rig *rig, bool is_ok)
{
	uint64_t now, token = next_start(rig, &now);

	answer(rig, token, is_ok, now);
	return now;
}

#define assert_state(rig, state) assert_int_equal(sl_health_get_state((rig)->health), state)

static void
test_new_is_not_chosen_until_its_first_result(void **state)
{
	struct rig rig;
	uint64_t now;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	rig_run(&rig, T0);
	assert_state(&rig, SL_HEALTH_NEW);
	assert_int_equal(sl_health_share(rig.health, T0), 0);
	assert_in_range(sl_health_due_ms(rig.health), T0, T0 + 999);
	now = step(&rig, true);
	assert_state(&rig, SL_HEALTH_UP);
	assert_int_equal(rig_find(&rig, SL_HEALTH_CHANGE)->from, SL_HEALTH_NEW);
	assert_int_equal(sl_health_since_ms(rig.health), now);
	assert_int_equal(sl_health_share(rig.health, now), SL_HEALTH_SHARE_ONE);
	rig_free(&rig);
}

static void
test_one_failure_of_a_new_one_is_down(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	step(&rig, false);
	assert_state(&rig, SL_HEALTH_DOWN);
	assert_int_equal(sl_health_share(rig.health, T0 + 5000), 0);
	rig_free(&rig);
}

static void
test_fall_failures_in_a_row_bring_it_down_at_the_fast_interval(void **state)
{
	struct rig rig;
	uint64_t first, now;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	step(&rig, true);
	first = step(&rig, false);
	assert_state(&rig, SL_HEALTH_SUSPECT);
	assert_int_equal(sl_health_share(rig.health, first), SL_HEALTH_SHARE_ONE);
	now = step(&rig, false);
	assert_int_equal(now, first + 200);
	assert_state(&rig, SL_HEALTH_SUSPECT);
	now = step(&rig, false);
	assert_int_equal(now, first + 400);
	assert_state(&rig, SL_HEALTH_DOWN);
	assert_int_equal(sl_health_share(rig.health, now), 0);
	rig_free(&rig);
}

static void
test_one_success_clears_a_suspect(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	step(&rig, true);
	for (unsigned int i = 0; i < 20; i++) {
		step(&rig, false);
		step(&rig, false);
		assert_state(&rig, SL_HEALTH_SUSPECT);
		step(&rig, true);
		assert_state(&rig, SL_HEALTH_UP);
	}
	rig_free(&rig);
}

static void
test_rise_successes_in_a_row_bring_it_up_again(void **state)
{
	struct rig rig;
	uint64_t first;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	step(&rig, false);
	step(&rig, true);
	assert_state(&rig, SL_HEALTH_DOWN);
	step(&rig, false);
	first = step(&rig, true);
	assert_state(&rig, SL_HEALTH_DOWN);
	assert_int_equal(step(&rig, true), first + 200);
	assert_state(&rig, SL_HEALTH_UP);
	rig_free(&rig);
}

static void
test_a_down_one_is_checked_at_the_down_interval(void **state)
{
	struct rig rig;
	uint64_t before;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	step(&rig, false);
	before = step(&rig, false);
	for (unsigned int i = 0; i < 10; i++) {
		assert_int_equal(step(&rig, false), before + 1000);
		before += 1000;
	}
	rig_free(&rig);
}

static void
test_steady_checks_come_back_to_their_phase(void **state)
{
	struct rig rig;
	uint64_t phase, token, now;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	step(&rig, true);
	phase = step(&rig, true) % 2000;
	step(&rig, false);
	step(&rig, true);
	assert_int_equal(step(&rig, true) % 2000, phase);
	/* Served late, and later than a whole interval. */
	token = 0;
	now = sl_health_due_ms(rig.health) + 7;
	for (unsigned int i = 0; i < 2; i++) {
		rig_run(&rig, now);
		token = rig_find(&rig, SL_HEALTH_START)->token;
		answer(&rig, token, true, now);
		assert_int_equal(sl_health_due_ms(rig.health) % 2000, phase);
		assert_in_range(sl_health_due_ms(rig.health), now + 1, now + 2000);
		now = sl_health_due_ms(rig.health) + 12345;
	}
	rig_free(&rig);
}

static void
test_an_unanswered_check_does_not_hold_up_the_next(void **state)
{
	struct sl_health_params params = one_check;
	struct rig rig;
	uint64_t first, now;

	(void)state;
	params.timeout_ms = 3000;
	rig_init(&rig, &params, HASH, T0);
	step(&rig, true);
	next_start(&rig, &first);
	next_start(&rig, &now);
	assert_int_equal(now, first + 200);
	next_start(&rig, &now);
	assert_int_equal(now, first + 400);
	/* As many as bring a verdict are out: no more until one times out. */
	assert_state(&rig, SL_HEALTH_UP);
	assert_int_equal(sl_health_due_ms(rig.health), first + 3000);
	rig_run(&rig, first + 3000);
	assert_state(&rig, SL_HEALTH_SUSPECT);
	rig_run(&rig, first + 3200);
	rig_run(&rig, first + 3400);
	assert_state(&rig, SL_HEALTH_DOWN);
	rig_free(&rig);
}

static void
test_a_late_result_is_counted_and_ignored(void **state)
{
	struct sl_health_counts counts;
	struct rig rig;
	uint64_t now, token;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	step(&rig, true);
	token = next_start(&rig, &now);
	rig_run(&rig, now + 500);
	assert_int_equal(rig_find(&rig, SL_HEALTH_EXPIRE)->token, token);
	assert_state(&rig, SL_HEALTH_SUSPECT);
	assert_int_equal(
		sl_health_result(rig.health, 0, token, true, SL_HEALTH_PASSED, 0, 1, now + 501),
		-ESTALE);
	rig_run(&rig, now + 501);
	assert_state(&rig, SL_HEALTH_SUSPECT);
	sl_health_get_counts(rig.health, &counts);
	assert_int_equal(counts.late, 1);
	assert_int_equal(counts.timeouts, 1);
	assert_int_equal(counts.failures, 1);
	assert_int_equal(counts.successes, 1);
	assert_int_equal(
		sl_health_result(rig.health, 0, 999, true, SL_HEALTH_PASSED, 0, 1, now), -EINVAL);
	assert_int_equal(
		sl_health_result(rig.health, 1, 0, true, SL_HEALTH_PASSED, 0, 1, now), -EINVAL);
	rig_free(&rig);
}

static void
test_a_void_check_says_nothing(void **state)
{
	struct sl_health_counts counts;
	struct rig rig;
	uint64_t now, token;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	step(&rig, true);
	token = next_start(&rig, &now);
	assert_int_equal(sl_health_void(rig.health, 0, token, now), 0);
	rig_run(&rig, now);
	assert_state(&rig, SL_HEALTH_UP);
	sl_health_get_counts(rig.health, &counts);
	assert_int_equal(counts.cancelled, 1);
	assert_int_equal(counts.outstanding, 0);
	rig_free(&rig);
}

static void
test_slow_start_grows_from_a_sixteenth(void **state)
{
	struct sl_health_params params = one_check;
	struct rig rig;
	uint64_t up, due;

	(void)state;
	params.slow_start_ms = 10000;
	params.interval_ms = 60000;
	rig_init(&rig, &params, HASH, T0);
	up = step(&rig, true);
	assert_state(&rig, SL_HEALTH_WARMING);
	assert_int_equal(sl_health_share(rig.health, up), 16);
	assert_int_equal(sl_health_share(rig.health, up + 5000), 136);
	assert_int_equal(sl_health_share(rig.health, up + 9999), 255);
	/* It asks to be looked at while the share grows, but not for every bit of it. */
	due = sl_health_due_ms(rig.health);
	assert_in_range(due, up + 50, up + 500);
	rig_run(&rig, up + 9999);
	assert_state(&rig, SL_HEALTH_WARMING);
	assert_int_equal(sl_health_due_ms(rig.health), up + 10000);
	rig_run(&rig, up + 10000);
	assert_state(&rig, SL_HEALTH_UP);
	assert_int_equal(sl_health_share(rig.health, up + 10000), SL_HEALTH_SHARE_ONE);
	rig_free(&rig);
}

static void
test_all_checks_have_to_succeed(void **state)
{
	struct sl_health_params params = one_check;
	uint64_t tokens[3] = {0}, now = T0;
	uint32_t started = 0;
	struct rig rig;

	(void)state;
	params.nb_checks = 3;
	params.timeout_ms = 60000;
	params.interval_ms = 50000;
	params.fast_interval_ms = 50000;
	rig_init(&rig, &params, HASH, T0);
	while (started != 7) {
		now = sl_health_due_ms(rig.health);
		rig_run(&rig, now);
		for (uint32_t i = 0; i < rig.nb_actions; i++) {
			assert_int_equal(rig.actions[i].type, SL_HEALTH_START);
			tokens[rig.actions[i].check] = rig.actions[i].token;
			started |= 1u << rig.actions[i].check;
		}
	}
	for (uint32_t i = 0; i < 3; i++) {
		assert_state(&rig, SL_HEALTH_NEW);
		sl_health_result(rig.health, i, tokens[i], true, SL_HEALTH_PASSED, 0, 1, now);
		rig_run(&rig, now);
	}
	assert_state(&rig, SL_HEALTH_UP);
	rig_free(&rig);
}

static void
test_without_checks_it_is_up_and_costs_no_time(void **state)
{
	const struct sl_health_params params = {.interval_ms = 1,
		.fast_interval_ms = 1,
		.down_interval_ms = 1,
		.timeout_ms = 1,
		.rise = 1,
		.fall = 1};
	struct rig rig;

	(void)state;
	rig_init(&rig, &params, HASH, T0);
	assert_state(&rig, SL_HEALTH_UP);
	assert_int_equal(sl_health_due_ms(rig.health), UINT64_MAX);
	rig_run(&rig, T0 + 1000000);
	assert_int_equal(rig.nb_actions, 0);
	assert_int_equal(sl_health_share(rig.health, T0), SL_HEALTH_SHARE_ONE);
	rig_free(&rig);
}

static void
test_drain_keeps_the_state_underneath(void **state)
{
	struct rig rig;
	uint64_t now;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	now = step(&rig, true);
	sl_health_set_admin(rig.health, SL_HEALTH_ADMIN_DRAIN, now);
	rig_run(&rig, now);
	assert_state(&rig, SL_HEALTH_DRAINING);
	assert_int_equal(sl_health_share(rig.health, now), 0);
	now = step(&rig, true);
	sl_health_set_admin(rig.health, SL_HEALTH_ADMIN_READY, now);
	rig_run(&rig, now);
	assert_state(&rig, SL_HEALTH_UP);
	sl_health_set_admin(rig.health, SL_HEALTH_ADMIN_DRAIN, now);
	for (unsigned int i = 0; i < 3; i++)
		now = step(&rig, false);
	assert_state(&rig, SL_HEALTH_DRAINING);
	sl_health_set_admin(rig.health, SL_HEALTH_ADMIN_READY, now);
	rig_run(&rig, now);
	assert_state(&rig, SL_HEALTH_DOWN);
	rig_free(&rig);
}

static void
test_maintenance_ends_the_checks_and_begins_anew(void **state)
{
	struct sl_health_counts counts;
	struct rig rig;
	uint64_t now, token;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	step(&rig, true);
	token = next_start(&rig, &now);
	sl_health_set_admin(rig.health, SL_HEALTH_ADMIN_MAINTENANCE, now);
	rig_run(&rig, now);
	assert_state(&rig, SL_HEALTH_MAINTENANCE);
	assert_int_equal(rig_find(&rig, SL_HEALTH_CANCEL)->token, token);
	assert_int_equal(sl_health_due_ms(rig.health), UINT64_MAX);
	rig_run(&rig, now + 100000);
	assert_int_equal(rig.nb_actions, 0);
	sl_health_get_counts(rig.health, &counts);
	assert_int_equal(counts.started, counts.successes + counts.cancelled);
	sl_health_set_admin(rig.health, SL_HEALTH_ADMIN_READY, now + 100000);
	rig_run(&rig, now + 100000);
	assert_state(&rig, SL_HEALTH_NEW);
	step(&rig, true);
	assert_state(&rig, SL_HEALTH_UP);
	rig_free(&rig);
}

static void
test_failing_and_recovered_are_told_once(void **state)
{
	unsigned int failing = 0, recovered = 0;
	struct rig rig;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	step(&rig, true);
	for (unsigned int i = 1; i <= 20; i++) {
		step(&rig, false);
		failing += rig_find(&rig, SL_HEALTH_NOTIFY_FAILING) != NULL;
		assert_int_equal(failing, i >= 5);
	}
	for (unsigned int i = 1; i <= 5; i++) {
		step(&rig, true);
		recovered += rig_find(&rig, SL_HEALTH_NOTIFY_RECOVERED) != NULL;
		assert_int_equal(recovered, i >= 2);
	}
	rig_free(&rig);
}

static void
test_history_is_the_last_fifty(void **state)
{
	struct rig rig;
	uint64_t now = 0;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	assert_null(sl_health_get_history(rig.health, 0));
	for (unsigned int i = 0; i < 70; i++)
		now = step(&rig, i % 7 != 0);
	assert_int_equal(sl_health_get_history(rig.health, 0)->time_ms, now);
	for (uint32_t age = 0; age < SL_HEALTH_HISTORY; age++) {
		const struct sl_health_result *result = sl_health_get_history(rig.health, age);

		assert_int_equal(result->is_ok, (69 - age) % 7 != 0);
		assert_int_equal(
			result->reason, result->is_ok ? SL_HEALTH_PASSED : SL_HEALTH_REFUSED);
	}
	assert_null(sl_health_get_history(rig.health, SL_HEALTH_HISTORY));
	rig_free(&rig);
}

/* Replace the rig's machine by one with @p params that continues it. */
static void
reconfigure(struct rig *rig, const struct sl_health_params *params, const int *same, uint64_t now)
{
	void *memory = malloc(sl_health_memory_size(params));
	struct sl_health *old = rig->health;

	assert_non_null(memory);
	rig->health = sl_health_init_from(memory, params, old, same, now);
	free(old);
	rig_run(rig, now);
}

static void
test_other_parameters_restart_the_count_and_keep_the_rest(void **state)
{
	struct sl_health_params params = one_check;
	struct sl_health_counts before, after;
	struct rig rig;
	uint64_t now, token;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	step(&rig, true);
	step(&rig, false);
	step(&rig, false);
	token = next_start(&rig, &now);
	sl_health_get_counts(rig.health, &before);
	params.fall = 2;
	params.nb_checks = 2;
	reconfigure(&rig, &params, (int[]){-1, 0}, now);
	assert_state(&rig, SL_HEALTH_UP);
	sl_health_get_counts(rig.health, &after);
	assert_int_equal(after.failures, before.failures);
	assert_int_equal(after.cancelled, 1);
	assert_int_equal(sl_health_get_history(rig.health, 2)->check, 1);
	assert_true(sl_health_get_history(rig.health, 2)->is_ok);
	assert_int_equal(sl_health_result(rig.health, 1, token, false, SL_HEALTH_CLOSED, 0, 1, now),
		-ESTALE);
	assert_state(&rig, SL_HEALTH_UP);
	rig_free(&rig);
}

static void
test_checks_taken_away_bring_a_down_one_up(void **state)
{
	struct sl_health_params params = one_check;
	struct rig rig;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	step(&rig, false);
	assert_state(&rig, SL_HEALTH_DOWN);
	params.nb_checks = 0;
	reconfigure(&rig, &params, NULL, T0 + 2000);
	assert_state(&rig, SL_HEALTH_UP);
	params.nb_checks = 1;
	reconfigure(&rig, &params, (int[]){-1}, T0 + 3000);
	assert_state(&rig, SL_HEALTH_UP);
	for (unsigned int i = 0; i < 3; i++)
		step(&rig, false);
	assert_state(&rig, SL_HEALTH_DOWN);
	rig_free(&rig);
}

static void
test_wrong_parameters_are_refused(void **state)
{
	struct sl_health_params params = one_check;

	(void)state;
	assert_int_not_equal(sl_health_memory_size(&params), 0);
	params.nb_checks = SL_HEALTH_CHECKS_MAX + 1;
	assert_int_equal(sl_health_memory_size(&params), 0);
	params = one_check;
	params.fall = 0;
	assert_int_equal(sl_health_memory_size(&params), 0);
}

static void
test_panic_begins_and_ends_once(void **state)
{
	struct sl_health_group group = {.threshold_percent = 50};

	(void)state;
	/* Nobody is known to be down at the start. */
	group.nb_states[SL_HEALTH_NEW] = 10;
	assert_int_equal(sl_health_group_update(&group), SL_HEALTH_PANIC_SAME);
	group.nb_states[SL_HEALTH_NEW] = 0;
	group.nb_states[SL_HEALTH_UP] = 5;
	group.nb_states[SL_HEALTH_DOWN] = 5;
	assert_int_equal(sl_health_group_update(&group), SL_HEALTH_PANIC_SAME);
	group.nb_states[SL_HEALTH_UP] = 4;
	group.nb_states[SL_HEALTH_DOWN] = 6;
	assert_int_equal(sl_health_group_update(&group), SL_HEALTH_PANIC_BEGINS);
	assert_int_equal(sl_health_group_update(&group), SL_HEALTH_PANIC_SAME);
	/* Those the operator took out are out of account. */
	group.nb_states[SL_HEALTH_MAINTENANCE] = 3;
	group.nb_states[SL_HEALTH_DOWN] = 3;
	assert_int_equal(sl_health_group_update(&group), SL_HEALTH_PANIC_ENDS);
	assert_int_equal(sl_health_group_up(&group), 4);
	group.threshold_percent = 0;
	group.nb_states[SL_HEALTH_UP] = 0;
	assert_int_equal(sl_health_group_update(&group), SL_HEALTH_PANIC_SAME);
}

static void
test_panic_gives_a_full_share_but_to_those_taken_out(void **state)
{
	struct sl_health_group group = {.threshold_percent = 50, .is_panic = true};
	struct rig rig;

	(void)state;
	rig_init(&rig, &one_check, HASH, T0);
	step(&rig, false);
	assert_int_equal(sl_health_group_share(&group, rig.health, T0 + 2000), SL_HEALTH_SHARE_ONE);
	sl_health_set_admin(rig.health, SL_HEALTH_ADMIN_DRAIN, T0 + 2000);
	rig_run(&rig, T0 + 2000);
	assert_int_equal(sl_health_group_share(&group, rig.health, T0 + 2000), 0);
	group.is_panic = false;
	sl_health_set_admin(rig.health, SL_HEALTH_ADMIN_READY, T0 + 2000);
	rig_run(&rig, T0 + 2000);
	assert_int_equal(sl_health_group_share(&group, rig.health, T0 + 2000), 0);
	rig_free(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_is_not_chosen_until_its_first_result),
		cmocka_unit_test(test_one_failure_of_a_new_one_is_down),
		cmocka_unit_test(test_fall_failures_in_a_row_bring_it_down_at_the_fast_interval),
		cmocka_unit_test(test_one_success_clears_a_suspect),
		cmocka_unit_test(test_rise_successes_in_a_row_bring_it_up_again),
		cmocka_unit_test(test_a_down_one_is_checked_at_the_down_interval),
		cmocka_unit_test(test_steady_checks_come_back_to_their_phase),
		cmocka_unit_test(test_an_unanswered_check_does_not_hold_up_the_next),
		cmocka_unit_test(test_a_late_result_is_counted_and_ignored),
		cmocka_unit_test(test_a_void_check_says_nothing),
		cmocka_unit_test(test_slow_start_grows_from_a_sixteenth),
		cmocka_unit_test(test_all_checks_have_to_succeed),
		cmocka_unit_test(test_without_checks_it_is_up_and_costs_no_time),
		cmocka_unit_test(test_drain_keeps_the_state_underneath),
		cmocka_unit_test(test_maintenance_ends_the_checks_and_begins_anew),
		cmocka_unit_test(test_failing_and_recovered_are_told_once),
		cmocka_unit_test(test_history_is_the_last_fifty),
		cmocka_unit_test(test_other_parameters_restart_the_count_and_keep_the_rest),
		cmocka_unit_test(test_checks_taken_away_bring_a_down_one_up),
		cmocka_unit_test(test_wrong_parameters_are_refused),
		cmocka_unit_test(test_panic_begins_and_ends_once),
		cmocka_unit_test(test_panic_gives_a_full_share_but_to_those_taken_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
