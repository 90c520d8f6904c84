/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "test_health.h"
#include "test_rand.h"

#define T0 5000000

/* A check that is out, and what its server is going to do. */
struct flight {
	uint64_t token;
	uint64_t started;
	uint64_t answer_at; /* UINT64_MAX: never */
	bool is_ok;
	bool is_expired; /* The machine let go of it; its answer is going to be late. */
};

#define FLIGHTS_MAX 4096

/* All that a backend's checks have said since it was last NEW: the naive model replays it. */
struct model {
	struct sl_health_params params;
	enum sl_health_admin admin;
	bool log[SL_HEALTH_CHECKS_MAX][20000];
	uint32_t nb_log[SL_HEALTH_CHECKS_MAX];
	struct flight flights[SL_HEALTH_CHECKS_MAX][FLIGHTS_MAX];
	uint32_t nb_flights[SL_HEALTH_CHECKS_MAX];
	uint64_t started, ok, failed, timeouts, cancelled, late;
	uint64_t healthy_since; /* 0: is not */
};

/* -1: down, 0: no result, 1: up; *is_suspect: up, and the last has failed */
static int
replay(const struct model *model, uint32_t check, bool *is_suspect)
{
	uint32_t ok = 0, failed = 0;
	int verdict = 0;

	for (uint32_t i = 0; i < model->nb_log[check]; i++) {
		ok = model->log[check][i] ? ok + 1 : 0;
		failed = model->log[check][i] ? 0 : failed + 1;
		if (verdict == 0)
			verdict = ok > 0 ? 1 : -1;
		else if (verdict == 1 && failed >= model->params.fall)
			verdict = -1;
		else if (verdict == -1 && ok >= model->params.rise)
			verdict = 1;
	}
	*is_suspect = verdict == 1 && failed > 0;
	return verdict;
}

static enum sl_health_state
model_state(struct model *model, uint64_t now)
{
	bool is_suspect = false, is_new = false, is_down = false, suspect;

	for (uint32_t i = 0; i < model->params.nb_checks; i++) {
		int verdict = replay(model, i, &suspect);

		is_suspect |= suspect;
		is_new |= verdict == 0;
		is_down |= verdict < 0;
	}
	if (is_new || is_down)
		model->healthy_since = 0;
	else if (model->healthy_since == 0)
		model->healthy_since = now;
	if (model->admin == SL_HEALTH_ADMIN_MAINTENANCE)
		return SL_HEALTH_MAINTENANCE;
	if (model->admin == SL_HEALTH_ADMIN_DRAIN)
		return SL_HEALTH_DRAINING;
	if (is_down)
		return SL_HEALTH_DOWN;
	if (is_new)
		return SL_HEALTH_NEW;
	if (is_suspect)
		return SL_HEALTH_SUSPECT;
	return now < model->healthy_since + model->params.slow_start_ms ? SL_HEALTH_WARMING
									: SL_HEALTH_UP;
}

static struct flight *
find_flight(struct model *model, uint32_t check, uint64_t token)
{
	for (uint32_t i = 0; i < model->nb_flights[check]; i++) {
		if (model->flights[check][i].token == token)
			return &model->flights[check][i];
	}
	return NULL;
}

static void
log_result(struct model *model, uint32_t check, bool is_ok)
{
	assert_true(model->nb_log[check] < 20000);
	model->log[check][model->nb_log[check]++] = is_ok;
	model->ok += is_ok;
	model->failed += !is_ok;
}

static void
take_off(struct model *model, struct test_rand *rand, const struct sl_health_action *action,
	uint32_t badness, uint64_t now)
{
	struct flight *flight = &model->flights[action->check][model->nb_flights[action->check]++];
	uint64_t fate = test_rand_below(rand, 100);

	assert_true(model->nb_flights[action->check] < FLIGHTS_MAX);
	*flight = (struct flight){.token = action->token, .started = now};
	flight->is_ok = test_rand_below(rand, 100) >= badness;
	flight->answer_at = fate < 60 ? now + test_rand_below(rand, 5)
		: fate < 80	      ? now + test_rand_below(rand, 2 * model->params.timeout_ms)
		: fate < 90	      ? now
				      : UINT64_MAX;
	model->started++;
}

/* Take every action, one by one, and hold it against the model. */
static void
act(struct rig *rig, struct model *model, struct test_rand *rand, uint32_t badness, uint64_t now)
{
	struct sl_health_action action;
	struct flight *flight;
	unsigned int n = 0;

	while (sl_health_next(rig->health, now, &action)) {
		assert_true(n++ < 1000);
		flight = find_flight(model, action.check, action.token);
		switch (action.type) {
		case SL_HEALTH_START:
			assert_int_not_equal(model->admin, SL_HEALTH_ADMIN_MAINTENANCE);
			assert_null(flight);
			take_off(model, rand, &action, badness, now);
			break;
		case SL_HEALTH_EXPIRE:
			assert_non_null(flight);
			assert_false(flight->is_expired);
			assert_true(now >= flight->started + model->params.timeout_ms);
			flight->is_expired = true;
			model->timeouts++;
			log_result(model, action.check, false);
			break;
		case SL_HEALTH_CANCEL:
			assert_non_null(flight);
			flight->is_expired = true;
			model->cancelled++;
			break;
		case SL_HEALTH_CHANGE:
			assert_int_equal(action.to, model_state(model, now));
			assert_int_not_equal(action.from, action.to);
			break;
		default:
			break;
		}
		model_state(model, now);
	}
}

/* The servers answer what is due. */
static void
land(struct rig *rig, struct model *model, struct test_rand *rand, uint32_t badness, uint64_t now)
{
	for (uint32_t i = 0; i < model->params.nb_checks; i++) {
		for (uint32_t j = 0; j < model->nb_flights[i]; j++) {
			struct flight flight = model->flights[i][j];
			int rc;

			if (flight.answer_at > now)
				continue;
			model->flights[i][j--] = model->flights[i][--model->nb_flights[i]];
			rc = sl_health_result(rig->health, i, flight.token, flight.is_ok,
				flight.is_ok ? SL_HEALTH_PASSED : SL_HEALTH_REFUSED, 0, 1, now);
			assert_int_equal(rc, flight.is_expired ? -ESTALE : 0);
			model->late += flight.is_expired;
			if (!flight.is_expired)
				log_result(model, i, flight.is_ok);
			act(rig, model, rand, badness, now);
		}
	}
}

static uint32_t
model_outstanding(const struct model *model)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < model->params.nb_checks; i++) {
		for (uint32_t j = 0; j < model->nb_flights[i]; j++)
			n += !model->flights[i][j].is_expired;
	}
	return n;
}

static void
compare(const struct rig *rig, struct model *model, uint64_t now)
{
	enum sl_health_state state = model_state(model, now);
	uint32_t share = sl_health_share(rig->health, now);
	struct sl_health_counts counts;

	sl_health_get_counts(rig->health, &counts);
	assert_int_equal(sl_health_get_state(rig->health), state);
	assert_int_equal(counts.started, model->started);
	assert_int_equal(counts.successes, model->ok);
	assert_int_equal(counts.failures, model->failed);
	assert_int_equal(counts.timeouts, model->timeouts);
	assert_int_equal(counts.cancelled, model->cancelled);
	assert_int_equal(counts.late, model->late);
	assert_int_equal(counts.outstanding, model_outstanding(model));
	assert_int_equal(counts.started,
		counts.successes + counts.failures + counts.cancelled + counts.outstanding);
	/* Not chosen in four states, chosen in the others; the timer is in the future. */
	assert_int_equal(share > 0,
		state == SL_HEALTH_UP || state == SL_HEALTH_SUSPECT || state == SL_HEALTH_WARMING);
	assert_true(share <= SL_HEALTH_SHARE_ONE);
	assert_true(state != SL_HEALTH_UP || share == SL_HEALTH_SHARE_ONE);
	assert_true(sl_health_due_ms(rig->health) > now);
	if (state == SL_HEALTH_MAINTENANCE) {
		assert_int_equal(counts.outstanding, 0);
		assert_true(
			model->healthy_since != 0 || sl_health_due_ms(rig->health) == UINT64_MAX);
	} else if (model->params.nb_checks > 0) {
		assert_true(sl_health_due_ms(rig->health) <= now + model->params.interval_ms +
				model->params.down_interval_ms + model->params.timeout_ms);
	}
}

static void
random_params(struct test_rand *rand, struct sl_health_params *params)
{
	*params = (struct sl_health_params){
		.interval_ms = 10 + (uint32_t)test_rand_below(rand, 3000),
		.down_interval_ms = 10 + (uint32_t)test_rand_below(rand, 5000),
		.timeout_ms = 10 + (uint32_t)test_rand_below(rand, 3000),
		.rise = 1 + (uint32_t)test_rand_below(rand, 4),
		.fall = 1 + (uint32_t)test_rand_below(rand, 5),
		.notify_after = (uint32_t)test_rand_below(rand, 8),
		.slow_start_ms = (uint32_t)test_rand_below(rand, 2) *
			(uint32_t)test_rand_below(rand, 20000),
		.nb_checks = (uint32_t)test_rand_below(rand, 4),
	};
	params->fast_interval_ms = 10 + (uint32_t)test_rand_below(rand, params->interval_ms - 9);
}

static void
set_admin(struct rig *rig, struct model *model, struct test_rand *rand, uint64_t now)
{
	enum sl_health_admin admin = (enum sl_health_admin)test_rand_below(rand, 3);

	if (model->admin == SL_HEALTH_ADMIN_MAINTENANCE && admin != model->admin) {
		memset(model->nb_log, 0, sizeof(model->nb_log));
		model->healthy_since = 0;
	}
	model->admin = admin;
	sl_health_set_admin(rig->health, admin, now);
}

static void
test_random_events_against_a_naive_model(void **state)
{
	struct model *model = calloc(1, sizeof(*model));
	struct test_rand rand;

	(void)state;
	assert_non_null(model);
	test_rand_init(&rand, "test_random_events_against_a_naive_model");
	for (unsigned int round = 0; round < 150; round++) {
		uint64_t now = T0 + test_rand_below(&rand, 100000);
		uint32_t badness = 10;
		struct rig rig;

		memset(model, 0, sizeof(*model));
		random_params(&rand, &model->params);
		/* With no checks the share is full from the first moment. */
		if (model->params.nb_checks == 0)
			model->healthy_since = 1;
		rig_init(&rig, &model->params, test_rand_u64(&rand), now);
		for (unsigned int i = 0; i < 400; i++) {
			uint64_t due = sl_health_due_ms(rig.health);

			/* On time, early, or (now and then) late. */
			if (due != UINT64_MAX && test_rand_below(&rand, 10) < 5)
				now = due +
					(test_rand_below(&rand, 8) == 0
							? test_rand_below(&rand, 3000)
							: 0);
			else
				now += test_rand_below(&rand, 50);
			if (test_rand_below(&rand, 60) == 0)
				badness = (uint32_t)test_rand_below(&rand, 101);
			act(&rig, model, &rand, badness, now);
			if (test_rand_below(&rand, 80) == 0) {
				set_admin(&rig, model, &rand, now);
				act(&rig, model, &rand, badness, now);
			}
			land(&rig, model, &rand, badness, now);
			compare(&rig, model, now);
		}
		rig_free(&rig);
	}
	free(model);
}

enum death { DIES_REFUSING, DIES_HANGING, DIES_WRONG_LATE, DEATHS };

/* What a server does with a check that is started at @p now. */
static void
meet(struct model *model, const struct sl_health_action *action, enum death death, bool is_dead,
	uint64_t late_ms, uint64_t now)
{
	struct flight *flight = &model->flights[0][model->nb_flights[0]++];

	assert_true(model->nb_flights[0] < FLIGHTS_MAX);
	*flight = (struct flight){action->token, now, now, !is_dead, false};
	if (is_dead && death == DIES_HANGING)
		flight->answer_at = UINT64_MAX;
	else if (is_dead && death == DIES_WRONG_LATE)
		flight->answer_at = now + late_ms;
}

/* One answer that is due. @return false when there is none */
static bool
answer_one(struct rig *rig, struct model *model, uint64_t now)
{
	for (uint32_t i = 0; i < model->nb_flights[0]; i++) {
		struct flight *flight = &model->flights[0][i];

		if (flight->answer_at > now)
			continue;
		flight->answer_at = UINT64_MAX;
		assert_int_equal(sl_health_result(rig->health, 0, flight->token, flight->is_ok,
					 SL_HEALTH_PASSED, 0, 1, now),
			0);
		return true;
	}
	return false;
}

/* A healthy backend dies at a random moment. Returns how long it took to be DOWN. */
static uint64_t
time_to_down(struct test_rand *rand, const struct sl_health_params *params, enum death death)
{
	struct model *model = calloc(1, sizeof(*model));
	uint64_t now = T0, dies_at, late_ms = test_rand_below(rand, params->timeout_ms);
	struct sl_health_action action;
	struct rig rig;

	assert_non_null(model);
	rig_init(&rig, params, test_rand_u64(rand), now);
	dies_at = T0 + 3 * params->interval_ms + test_rand_below(rand, 2 * params->interval_ms);
	for (; sl_health_get_state(rig.health) != SL_HEALTH_DOWN; now++) {
		do {
			while (sl_health_next(rig.health, now, &action)) {
				if (action.type == SL_HEALTH_START)
					meet(model, &action, death, now >= dies_at, late_ms, now);
				else if (action.type == SL_HEALTH_EXPIRE)
					find_flight(model, 0, action.token)->answer_at = UINT64_MAX;
			}
		} while (answer_one(&rig, model, now));
		assert_true(now < dies_at + 10000000);
	}
	rig_free(&rig);
	free(model);
	return now - 1 - dies_at;
}

static void
test_a_dead_backend_is_down_within_the_bound(void **state)
{
	struct test_rand rand;

	(void)state;
	test_rand_init(&rand, "test_a_dead_backend_is_down_within_the_bound");
	for (unsigned int i = 0; i < 90; i++) {
		struct sl_health_params params;
		uint64_t took, bound;

		random_params(&rand, &params);
		params.nb_checks = 1;
		params.slow_start_ms = 0;
		took = time_to_down(&rand, &params, i % DEATHS);
		bound = params.interval_ms + (uint64_t)(params.fall - 1) * params.fast_interval_ms +
			params.timeout_ms;
		assert_in_range(took, 0, bound);
	}
}

/*
 * Starts of the checks of 10,000 backends, in windows of 10 ms. After the first second, in which
 * the first checks come on top of the second ones, every window has the mean within six sigma:
 * also when all of them went down and came up again at once.
 */
#define CROWD  10000
#define WINDOW 10

static void
count_starts(struct rig *crowd, uint64_t from, uint64_t until, bool is_ok, uint32_t *windows)
{
	struct sl_health_action action;

	for (uint64_t now = from; now < until; now++) {
		for (unsigned int i = 0; i < CROWD; i++) {
			struct sl_health *health = crowd[i].health;

			if (sl_health_due_ms(health) > now)
				continue;
			while (sl_health_next(health, now, &action)) {
				if (action.type != SL_HEALTH_START)
					continue;
				windows[(now - from) / WINDOW]++;
				sl_health_result(health, action.check, action.token, is_ok,
					SL_HEALTH_PASSED, 0, 1, now);
			}
		}
	}
}

static void
assert_even(const uint32_t *windows, unsigned int from, unsigned int until, double mean)
{
	for (unsigned int i = from; i < until; i++)
		assert_true(windows[i] <= mean + 6 * sqrt(mean) &&
			(i < 100 || windows[i] + 6 * sqrt(mean) >= mean));
}

static void
test_checks_of_many_backends_never_come_in_bursts(void **state)
{
	const struct sl_health_params params = {.interval_ms = 2000,
		.fast_interval_ms = 100,
		.down_interval_ms = 2000,
		.timeout_ms = 3000,
		.rise = 2,
		.fall = 3,
		.nb_checks = 1};
	const double mean = (double)CROWD * WINDOW / 2000;
	struct rig *crowd = calloc(CROWD, sizeof(*crowd));
	uint32_t windows[1000];
	struct test_rand rand;
	uint64_t now = T0;

	(void)state;
	test_rand_init(&rand, "test_checks_of_many_backends_never_come_in_bursts");
	assert_non_null(crowd);
	for (unsigned int i = 0; i < CROWD; i++)
		rig_init(&crowd[i], &params, test_rand_u64(&rand), now);
	memset(windows, 0, sizeof(windows));
	count_starts(crowd, now, now + 6000, true, windows);
	assert_even(windows, 0, 100, mean + (double)CROWD * WINDOW / 1000);
	assert_even(windows, 100, 600, mean);
	/* All die, all live again: nothing of that is seen in the steady checks. */
	memset(windows, 0, sizeof(windows));
	count_starts(crowd, now + 6000, now + 16000, false, windows);
	assert_even(windows, 300, 1000, mean);
	memset(windows, 0, sizeof(windows));
	count_starts(crowd, now + 16000, now + 22000, true, windows);
	assert_even(windows, 300, 600, mean);
	for (unsigned int i = 0; i < CROWD; i++)
		rig_free(&crowd[i]);
	free(crowd);
}

/* A destination's backends die and live: with panic or without, who is chosen is who should be. */
static void
test_a_down_backend_is_chosen_in_panic_alone(void **state)
{
	struct test_rand rand;

	(void)state;
	test_rand_init(&rand, "test_a_down_backend_is_chosen_in_panic_alone");
	for (unsigned int round = 0; round < 2000; round++) {
		struct sl_health_group group = {
			.threshold_percent = (uint32_t)test_rand_below(&rand, 101)};
		int told = 0;

		for (unsigned int i = 0; i < 30; i++) {
			uint32_t usable, total;
			bool expected;

			for (unsigned int j = 0; j < SL_HEALTH_STATES; j++)
				group.nb_states[j] = (uint32_t)test_rand_below(&rand, 5);
			switch (sl_health_group_update(&group)) {
			case SL_HEALTH_PANIC_BEGINS:
				told++;
				break;
			case SL_HEALTH_PANIC_ENDS:
				told--;
				break;
			default:
				break;
			}
			usable = sl_health_group_up(&group) + group.nb_states[SL_HEALTH_NEW];
			total = usable + group.nb_states[SL_HEALTH_DOWN];
			expected = total > 0 && group.threshold_percent > 0 &&
				100.0 * usable / total < group.threshold_percent;
			assert_int_equal(group.is_panic, expected);
			assert_int_equal(told, expected);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_events_against_a_naive_model),
		cmocka_unit_test(test_a_dead_backend_is_down_within_the_bound),
		cmocka_unit_test(test_checks_of_many_backends_never_come_in_bursts),
		cmocka_unit_test(test_a_down_backend_is_chosen_in_panic_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
