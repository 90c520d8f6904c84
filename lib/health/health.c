/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <string.h>

#include "sl_health.h"

/* The first checks come within this time, however long the interval is. */
#define FIRST_WITHIN_MS 1000

/* A growing share is told in so many steps, but not more often than that. */
#define WARM_STEPS	 64
#define WARM_STEP_MIN_MS 50

#define NEVER UINT64_MAX

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

enum verdict { VERDICT_NONE, VERDICT_UP, VERDICT_DOWN };

/* A check that was started and has not ended. */
struct pending {
	uint64_t token;
	uint64_t started_ms;
};

struct check {
	enum verdict verdict;
	bool has_started;
	bool has_result;
	uint32_t ok_row;
	uint32_t failed_row;
	uint64_t phase;	     /* Where its steady checks lie, modulo their interval. */
	uint64_t due_ms;     /* Of the next start. */
	uint64_t started_ms; /* When the last start was due. */
	uint64_t next_token;
	uint32_t nb_pending;
	struct pending *pending; /* The oldest first: it is the first to time out. */
	struct sl_health_result last;
};

struct sl_health {
	struct sl_health_params params;
	uint64_t hash;
	enum sl_health_admin admin;
	enum sl_health_state state; /* As told. */
	uint64_t since_ms;
	bool is_healthy;
	bool is_warm;
	bool is_failing; /* NOTIFY_FAILING was raised. */
	uint64_t warm_from_ms;
	uint64_t due_ms;
	struct sl_health_counts counts;
	uint32_t nb_history;
	uint32_t history_next;
	uint32_t pending_max; /* Of one check. */
	struct check *checks;
	struct sl_health_result *history;
};

static const char *const state_names[] = {
	[SL_HEALTH_NEW] = "NEW",
	[SL_HEALTH_WARMING] = "WARMING",
	[SL_HEALTH_UP] = "UP",
	[SL_HEALTH_SUSPECT] = "SUSPECT",
	[SL_HEALTH_DOWN] = "DOWN",
	[SL_HEALTH_DRAINING] = "DRAINING",
	[SL_HEALTH_MAINTENANCE] = "MAINTENANCE",
};

static const char *const reason_names[] = {
	[SL_HEALTH_PASSED] = "passed",
	[SL_HEALTH_TIMEOUT] = "timeout",
	[SL_HEALTH_REFUSED] = "refused",
	[SL_HEALTH_UNREACHABLE] = "unreachable",
	[SL_HEALTH_CLOSED] = "closed",
	[SL_HEALTH_ERROR] = "error",
	[SL_HEALTH_ANSWER] = "answer",
	[SL_HEALTH_MALFORMED] = "malformed",
	[SL_HEALTH_STATUS] = "status",
	[SL_HEALTH_BODY] = "body",
	[SL_HEALTH_EXIT] = "exit",
	[SL_HEALTH_SIGNAL] = "signal",
};

const char *
sl_health_state_name(enum sl_health_state state)
{
	return state < SL_HEALTH_STATES ? state_names[state] : "unknown";
}

const char *
sl_health_reason_name(enum sl_health_reason reason)
{
	return reason < SL_HEALTH_REASONS ? reason_names[reason] : "unknown";
}

/*
 * Checks that overlap while none is answered: one each fast interval, until the first has timed
 * out. As many as bring a verdict are enough: with more, a hanging server would only hold more.
 */
static uint32_t
pending_max(const struct sl_health_params *params)
{
	uint64_t overlap = ((uint64_t)params->timeout_ms + params->fast_interval_ms - 1) /
			params->fast_interval_ms +
		1;
	uint64_t verdict = MAX(params->rise, params->fall);

	return (uint32_t)MIN(overlap, verdict);
}

static size_t
aligned(size_t size)
{
	return (size + 15) & ~(size_t)15;
}

size_t
sl_health_memory_size(const struct sl_health_params *params)
{
	size_t size = aligned(sizeof(struct sl_health));

	if (params->nb_checks > SL_HEALTH_CHECKS_MAX || params->interval_ms == 0 ||
		params->fast_interval_ms == 0 || params->down_interval_ms == 0 ||
		params->timeout_ms == 0 || params->rise == 0 || params->fall == 0)
		return 0;
	if (params->nb_checks == 0)
		return size;
	size += aligned(params->nb_checks * sizeof(struct check));
	size += aligned((size_t)params->nb_checks * pending_max(params) * sizeof(struct pending));
	return size + SL_HEALTH_HISTORY * sizeof(struct sl_health_result);
}

/* The finalizer of splitmix64: names that differ little lie far apart. */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

/* The first time after @p time_ms that is the check's own, modulo the interval. */
static uint64_t
grid_after(const struct check *check, uint64_t time_ms, uint32_t interval_ms)
{
	uint64_t into = (time_ms + interval_ms - check->phase % interval_ms) % interval_ms;

	return time_ms - into + interval_ms;
}

static bool
is_counting(const struct check *check)
{
	return check->verdict == VERDICT_DOWN ? check->ok_row > 0 : check->failed_row > 0;
}

/*
 * Steady checks come at the check's own times, so that those of many backends stay apart whatever
 * has happened to all of them at once. Only while counting is it the last start that counts.
 */
static void
reschedule(struct sl_health *health, struct check *check)
{
	const struct sl_health_params *params = &health->params;
	bool is_down = check->verdict == VERDICT_DOWN;
	const struct pending *last;

	if (!check->has_started)
		return;
	if (check->nb_pending == health->pending_max) {
		check->due_ms = NEVER;
		return;
	}
	if (is_counting(check)) {
		check->due_ms = check->started_ms + params->fast_interval_ms;
		return;
	}
	check->due_ms = grid_after(
		check, check->started_ms, is_down ? params->down_interval_ms : params->interval_ms);
	/* No answer yet to the last: the next does not wait for it. */
	last = check->nb_pending > 0 ? &check->pending[check->nb_pending - 1] : NULL;
	if (!is_down && last != NULL && last->token == check->next_token - 1)
		check->due_ms = MIN(check->due_ms, last->started_ms + params->fast_interval_ms);
}

static void
schedule_first(struct sl_health *health, struct check *check, uint64_t now_ms)
{
	check->has_started = false;
	check->due_ms = now_ms +
		(check->phase >> 32) % MIN(health->params.interval_ms, FIRST_WITHIN_MS);
}

static bool
is_any_counting_down(const struct sl_health *health)
{
	for (uint32_t i = 0; i < health->params.nb_checks; i++) {
		if (health->checks[i].failed_row > 0)
			return true;
	}
	return false;
}

static bool
is_any(const struct sl_health *health, enum verdict verdict)
{
	for (uint32_t i = 0; i < health->params.nb_checks; i++) {
		if (health->checks[i].verdict == verdict)
			return true;
	}
	return false;
}

static enum sl_health_state
state_now(const struct sl_health *health)
{
	if (health->admin == SL_HEALTH_ADMIN_MAINTENANCE)
		return SL_HEALTH_MAINTENANCE;
	if (health->admin == SL_HEALTH_ADMIN_DRAIN)
		return SL_HEALTH_DRAINING;
	if (!health->is_healthy)
		return is_any(health, VERDICT_DOWN) ? SL_HEALTH_DOWN : SL_HEALTH_NEW;
	if (is_any_counting_down(health))
		return SL_HEALTH_SUSPECT;
	return health->is_warm ? SL_HEALTH_UP : SL_HEALTH_WARMING;
}

static uint64_t
warm_step_ms(const struct sl_health *health)
{
	return MAX(health->params.slow_start_ms / WARM_STEPS, WARM_STEP_MIN_MS);
}

/* What the verdicts say together, and when there is something to do next. */
static void
update(struct sl_health *health, uint64_t now_ms)
{
	bool was_healthy = health->is_healthy;
	uint64_t due_ms = NEVER, end_ms;

	health->is_healthy = !is_any(health, VERDICT_NONE) && !is_any(health, VERDICT_DOWN);
	if (health->is_healthy && !was_healthy) {
		health->warm_from_ms = now_ms;
		health->is_warm = health->params.slow_start_ms == 0;
	}
	if (health->is_healthy && !health->is_warm) {
		end_ms = health->warm_from_ms + health->params.slow_start_ms;
		if (now_ms >= end_ms)
			health->is_warm = true;
		else
			due_ms = MIN(end_ms, now_ms + warm_step_ms(health));
	}
	for (uint32_t i = 0;
		i < health->params.nb_checks && health->admin != SL_HEALTH_ADMIN_MAINTENANCE; i++) {
		const struct check *check = &health->checks[i];

		due_ms = MIN(due_ms, check->due_ms);
		if (check->nb_pending > 0)
			due_ms = MIN(
				due_ms, check->pending[0].started_ms + health->params.timeout_ms);
	}
	health->due_ms = due_ms;
}

/* Lay the parts out in the caller's block. */
static struct sl_health *
lay_out(void *memory, const struct sl_health_params *params)
{
	struct sl_health *health = memory;
	char *at = (char *)memory + aligned(sizeof(*health));
	struct pending *pending;

	memset(memory, 0, sl_health_memory_size(params));
	health->params = *params;
	if (params->nb_checks == 0)
		return health;
	health->pending_max = pending_max(params);
	health->checks = (struct check *)at;
	at += aligned(params->nb_checks * sizeof(struct check));
	pending = (struct pending *)at;
	at += aligned((size_t)params->nb_checks * health->pending_max * sizeof(struct pending));
	health->history = (struct sl_health_result *)at;
	for (uint32_t i = 0; i < params->nb_checks; i++)
		health->checks[i].pending = &pending[(size_t)i * health->pending_max];
	return health;
}

struct sl_health *
sl_health_init(void *memory, const struct sl_health_params *params, uint64_t hash,
	enum sl_health_admin admin, uint64_t now_ms)
{
	struct sl_health *health = lay_out(memory, params);

	health->hash = hash;
	health->admin = admin;
	for (uint32_t i = 0; i < params->nb_checks; i++) {
		health->checks[i].phase = mix(hash + (i + 1) * 0x9e3779b97f4a7c15);
		schedule_first(health, &health->checks[i], now_ms);
	}
	/* Nobody says that one without checks has just come up: no slow start. */
	health->is_healthy = params->nb_checks == 0;
	health->is_warm = health->is_healthy;
	health->state = state_now(health);
	health->since_ms = now_ms;
	update(health, now_ms);
	return health;
}

static void
copy_history(struct sl_health *health, const struct sl_health *old, const int *same)
{
	for (uint32_t age = old->nb_history; age-- > 0 && health->history != NULL;) {
		struct sl_health_result result = *sl_health_get_history(old, age);
		bool is_known = false;

		for (uint32_t i = 0; i < health->params.nb_checks && !is_known; i++) {
			is_known = same[i] == result.check;
			if (is_known)
				result.check = (uint8_t)i;
		}
		if (!is_known)
			continue;
		health->history[health->history_next++ % SL_HEALTH_HISTORY] = result;
		health->nb_history++;
	}
	health->history_next %= SL_HEALTH_HISTORY;
}

struct sl_health *
sl_health_init_from(void *memory, const struct sl_health_params *params,
	const struct sl_health *old, const int *same, uint64_t now_ms)
{
	struct sl_health *health = sl_health_init(memory, params, old->hash, old->admin, now_ms);

	health->state = old->state;
	health->since_ms = old->since_ms;
	health->counts = old->counts;
	health->counts.cancelled += old->counts.outstanding;
	health->counts.outstanding = 0;
	health->is_failing = old->is_failing;
	health->is_healthy = old->is_healthy;
	health->is_warm = old->is_warm || params->slow_start_ms == 0;
	health->warm_from_ms = old->warm_from_ms;
	for (uint32_t i = 0; i < params->nb_checks; i++) {
		struct check *check = &health->checks[i];
		const struct check *before = same[i] < 0 ? NULL : &old->checks[same[i]];

		/* Tokens go on: what still comes for the old one is late, not taken for new. */
		for (uint32_t j = 0; j < old->params.nb_checks; j++)
			check->next_token = MAX(check->next_token, old->checks[j].next_token);
		check->verdict = VERDICT_UP;
		if (before != NULL) {
			check->verdict = before->verdict;
			check->has_result = before->has_result;
			check->last = before->last;
			check->last.check = (uint8_t)i;
		} else if (!old->is_healthy && !is_any(old, VERDICT_DOWN)) {
			check->verdict = VERDICT_NONE;
		}
	}
	copy_history(health, old, same);
	update(health, now_ms);
	return health;
}

void
sl_health_set_admin(struct sl_health *health, enum sl_health_admin admin, uint64_t now_ms)
{
	bool was_away = health->admin == SL_HEALTH_ADMIN_MAINTENANCE;

	health->admin = admin;
	if (was_away && admin != SL_HEALTH_ADMIN_MAINTENANCE) {
		health->is_healthy = false;
		for (uint32_t i = 0; i < health->params.nb_checks; i++) {
			struct check *check = &health->checks[i];

			check->verdict = VERDICT_NONE;
			check->ok_row = 0;
			check->failed_row = 0;
			schedule_first(health, check, now_ms);
		}
	}
	update(health, now_ms);
}

static void
remember(struct sl_health *health, struct check *check, const struct sl_health_result *result)
{
	check->has_result = true;
	check->last = *result;
	health->history[health->history_next] = *result;
	health->history_next = (health->history_next + 1) % SL_HEALTH_HISTORY;
	if (health->nb_history < SL_HEALTH_HISTORY)
		health->nb_history++;
}

static void
count(struct sl_health *health, struct check *check, const struct sl_health_result *result)
{
	remember(health, check, result);
	if (result->is_ok) {
		health->counts.successes++;
		check->failed_row = 0;
		if (check->ok_row < UINT32_MAX)
			check->ok_row++;
		if (check->verdict == VERDICT_NONE || check->ok_row >= health->params.rise)
			check->verdict = VERDICT_UP;
	} else {
		health->counts.failures++;
		check->ok_row = 0;
		if (check->failed_row < UINT32_MAX)
			check->failed_row++;
		if (check->verdict == VERDICT_NONE || check->failed_row >= health->params.fall)
			check->verdict = VERDICT_DOWN;
	}
}

static void
remove_pending(struct sl_health *health, struct check *check, uint32_t index)
{
	check->nb_pending--;
	health->counts.outstanding--;
	memmove(&check->pending[index], &check->pending[index + 1],
		(check->nb_pending - index) * sizeof(check->pending[0]));
}

/* Take a token back. */
static int
end_check(struct sl_health *health, uint32_t index, uint64_t token)
{
	struct check *check;

	if (index >= health->params.nb_checks)
		return -EINVAL;
	check = &health->checks[index];
	for (uint32_t i = 0; i < check->nb_pending; i++) {
		if (check->pending[i].token == token) {
			remove_pending(health, check, i);
			return 0;
		}
	}
	if (token >= check->next_token)
		return -EINVAL;
	health->counts.late++;
	return -ESTALE;
}

int
sl_health_result(struct sl_health *health, uint32_t check, uint64_t token, bool is_ok,
	enum sl_health_reason reason, int32_t code, uint64_t latency_ns, uint64_t now_ms)
{
	const struct sl_health_result result = {
		.time_ms = now_ms,
		.latency_ns = latency_ns,
		.code = code,
		.reason = (uint8_t)reason,
		.check = (uint8_t)check,
		.is_ok = is_ok,
	};
	int rc = end_check(health, check, token);

	if (rc != 0)
		return rc;
	/* In maintenance nothing is to be learnt of it. */
	if (health->admin == SL_HEALTH_ADMIN_MAINTENANCE) {
		health->counts.cancelled++;
		return 0;
	}
	count(health, &health->checks[check], &result);
	reschedule(health, &health->checks[check]);
	update(health, now_ms);
	return 0;
}

int
sl_health_void(struct sl_health *health, uint32_t check, uint64_t token, uint64_t now_ms)
{
	int rc = end_check(health, check, token);

	if (rc != 0)
		return rc;
	health->counts.cancelled++;
	reschedule(health, &health->checks[check]);
	update(health, now_ms);
	return 0;
}

/* @return false when no check has timed out */
static bool
expire(struct sl_health *health, uint64_t now_ms, struct sl_health_action *action)
{
	for (uint32_t i = 0; i < health->params.nb_checks; i++) {
		struct check *check = &health->checks[i];
		struct sl_health_result result = {
			.time_ms = now_ms,
			.reason = SL_HEALTH_TIMEOUT,
			.check = (uint8_t)i,
		};

		if (check->nb_pending == 0 ||
			now_ms < check->pending[0].started_ms + health->params.timeout_ms)
			continue;
		action->type = SL_HEALTH_EXPIRE;
		action->check = i;
		action->token = check->pending[0].token;
		result.latency_ns = (now_ms - check->pending[0].started_ms) * 1000000;
		remove_pending(health, check, 0);
		health->counts.timeouts++;
		count(health, check, &result);
		reschedule(health, check);
		return true;
	}
	return false;
}

static bool
cancel(struct sl_health *health, struct sl_health_action *action)
{
	for (uint32_t i = 0; i < health->params.nb_checks; i++) {
		struct check *check = &health->checks[i];

		if (check->nb_pending == 0)
			continue;
		action->type = SL_HEALTH_CANCEL;
		action->check = i;
		action->token = check->pending[0].token;
		remove_pending(health, check, 0);
		health->counts.cancelled++;
		return true;
	}
	return false;
}

static uint32_t
interval_ms(const struct sl_health *health, const struct check *check)
{
	if (is_counting(check))
		return health->params.fast_interval_ms;
	return check->verdict == VERDICT_DOWN ? health->params.down_interval_ms
					      : health->params.interval_ms;
}

static bool
start(struct sl_health *health, uint64_t now_ms, struct sl_health_action *action)
{
	for (uint32_t i = 0; i < health->params.nb_checks; i++) {
		struct check *check = &health->checks[i];

		if (now_ms < check->due_ms || check->nb_pending == health->pending_max)
			continue;
		/* One that comes late keeps its phase; what was missed is not made up for. */
		check->started_ms = now_ms - (now_ms - check->due_ms) % interval_ms(health, check);
		check->has_started = true;
		action->type = SL_HEALTH_START;
		action->check = i;
		action->token = check->next_token++;
		check->pending[check->nb_pending++] = (struct pending){action->token, now_ms};
		health->counts.started++;
		health->counts.outstanding++;
		reschedule(health, check);
		return true;
	}
	return false;
}

static bool
change(struct sl_health *health, uint64_t now_ms, struct sl_health_action *action)
{
	enum sl_health_state state = state_now(health);

	if (state == health->state)
		return false;
	action->type = SL_HEALTH_CHANGE;
	action->from = health->state;
	action->to = state;
	health->state = state;
	health->since_ms = now_ms;
	health->counts.transitions++;
	return true;
}

static bool
notify(struct sl_health *health, struct sl_health_action *action)
{
	uint32_t after = health->params.notify_after;

	if (health->is_failing) {
		if (!health->is_healthy || is_any_counting_down(health))
			return false;
		health->is_failing = false;
		action->type = SL_HEALTH_NOTIFY_RECOVERED;
		return true;
	}
	for (uint32_t i = 0; i < health->params.nb_checks && after > 0; i++) {
		if (health->checks[i].failed_row < after)
			continue;
		health->is_failing = true;
		action->type = SL_HEALTH_NOTIFY_FAILING;
		action->check = i;
		return true;
	}
	return false;
}

bool
sl_health_next(struct sl_health *health, uint64_t now_ms, struct sl_health_action *action)
{
	bool found;

	memset(action, 0, sizeof(*action));
	/* Slow start may have come to its end. */
	if (now_ms >= health->due_ms)
		update(health, now_ms);
	found = change(health, now_ms, action) || notify(health, action);
	if (!found && health->admin == SL_HEALTH_ADMIN_MAINTENANCE)
		found = cancel(health, action);
	else if (!found)
		found = expire(health, now_ms, action) || start(health, now_ms, action);
	if (found)
		update(health, now_ms);
	return found;
}

uint64_t
sl_health_due_ms(const struct sl_health *health)
{
	return health->due_ms;
}

enum sl_health_state
sl_health_get_state(const struct sl_health *health)
{
	return health->state;
}

uint64_t
sl_health_since_ms(const struct sl_health *health)
{
	return health->since_ms;
}

uint32_t
sl_health_share(const struct sl_health *health, uint64_t now_ms)
{
	uint64_t warm_ms = now_ms - health->warm_from_ms;

	if (health->admin != SL_HEALTH_ADMIN_READY || !health->is_healthy)
		return 0;
	if (health->is_warm || warm_ms >= health->params.slow_start_ms)
		return SL_HEALTH_SHARE_ONE;
	return SL_HEALTH_SHARE_MIN +
		(uint32_t)((SL_HEALTH_SHARE_ONE - SL_HEALTH_SHARE_MIN) * warm_ms /
			health->params.slow_start_ms);
}

void
sl_health_get_counts(const struct sl_health *health, struct sl_health_counts *counts)
{
	*counts = health->counts;
}

void
sl_health_get_check(
	const struct sl_health *health, uint32_t index, struct sl_health_check_info *info)
{
	const struct check *check = &health->checks[index];

	*info = (struct sl_health_check_info){
		.has_result = check->has_result,
		.last = check->last,
		.is_up = check->verdict == VERDICT_UP,
		.successes_in_row = check->ok_row,
		.failures_in_row = check->failed_row,
		.outstanding = check->nb_pending,
	};
}

const struct sl_health_result *
sl_health_get_history(const struct sl_health *health, uint32_t age)
{
	if (age >= health->nb_history)
		return NULL;
	return &health->history[(health->history_next + SL_HEALTH_HISTORY - 1 - age) %
		SL_HEALTH_HISTORY];
}
