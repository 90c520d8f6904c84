/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdio.h>
#include <time.h>

#include "check.h"

/* What an operator is shown. */

static const struct backend *
find(const struct sl_checks *checks, uint32_t destination, uint32_t backend)
{
	if (destination >= checks->nb_dests || backend >= checks->dests[destination].nb_backends)
		return NULL;
	return checks->dests[destination].backends[backend];
}

static void
count_rows(const struct backend *backend, struct sl_check_status *status)
{
	struct sl_health_check_info info;

	status->reason = "";
	for (uint32_t i = 0; i < status->nb_checks; i++) {
		sl_health_get_check(backend->health, i, &info);
		if (i == 0 || info.successes_in_row < status->successes_in_row)
			status->successes_in_row = info.successes_in_row;
		if (info.failures_in_row <= status->failures_in_row)
			continue;
		status->failures_in_row = info.failures_in_row;
		status->reason = backend->texts[i];
	}
}

bool
sl_checks_get(const struct sl_checks *checks, uint32_t destination, uint32_t index,
	struct sl_check_status *status)
{
	const struct backend *backend = find(checks, destination, index);
	struct sl_health_counts counts;

	if (backend == NULL)
		return false;
	sl_health_get_counts(backend->health, &counts);
	*status = (struct sl_check_status){
		.state = sl_health_get_state(backend->health),
		.since_ms = sl_health_since_ms(backend->health),
		.share = backend->share,
		.nb_checks = backend->nb_checks,
		.has_latency = backend->has_latency,
		.last_latency_ns = backend->last_latency_ns,
		.has_load = backend->has_load,
		.load_in_flight = backend->load_in_flight,
		.load_latency_ns = backend->load_latency_ns,
		.successes = counts.successes,
		.failures = counts.failures,
		.late = counts.late,
		.transitions = counts.transitions,
	};
	status->state_name = sl_health_state_name(status->state);
	status->age_ms = check_now_ms() - status->since_ms;
	count_rows(backend, status);
	return true;
}

bool
sl_checks_get_destination(
	const struct sl_checks *checks, uint32_t destination, struct sl_checks_destination *status)
{
	const struct dest *dest;

	if (destination >= checks->nb_dests)
		return false;
	dest = &checks->dests[destination];
	*status = (struct sl_checks_destination){
		.nb_backends = dest->nb_backends,
		.nb_up = sl_health_group_up(&dest->group),
		.is_panic = dest->group.is_panic,
	};
	for (unsigned int i = 0; i < SL_HEALTH_STATES; i++)
		status->nb_states[i] = dest->group.nb_states[i];
	return true;
}

/* A time of the machines' clock as RFC 3339. */
static json_t *
wall_time(uint64_t time_ms)
{
	uint64_t ago_ms = check_now_ms() - time_ms;
	struct timespec now;
	uint64_t unix_ms;
	time_t seconds;
	struct tm tm;
	char text[40], with_ms[48];

	clock_gettime(CLOCK_REALTIME, &now);
	unix_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 - ago_ms;
	seconds = (time_t)(unix_ms / 1000);
	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(with_ms, sizeof(with_ms), "%s.%03uZ", text, (unsigned int)(unix_ms % 1000));
	return json_string(with_ms);
}

static json_t *
result_json(const struct backend *backend, const struct sl_health_result *result)
{
	return json_pack("{s:o, s:i, s:s, s:b, s:s, s:i, s:I}", "time", wall_time(result->time_ms),
		"check", (int)result->check, "kind",
		sl_checks_kind_name(backend->dest->health.checks[result->check].kind), "ok",
		(int)result->is_ok, "reason",
		sl_health_reason_name((enum sl_health_reason)result->reason), "code",
		(int)result->code, "latency_ns", (json_int_t)result->latency_ns);
}

static json_t *
check_json(const struct backend *backend, uint32_t index)
{
	struct sl_health_check_info info;
	json_t *last;

	sl_health_get_check(backend->health, index, &info);
	last = info.has_result ? result_json(backend, &info.last) : json_null();
	if (info.has_result && last != NULL)
		json_object_set_new(last, "text", json_string(backend->texts[index]));
	return json_pack("{s:s, s:b, s:i, s:i, s:i, s:o}", "kind",
		sl_checks_kind_name(backend->dest->health.checks[index].kind), "up",
		(int)info.is_up, "outstanding", (int)info.outstanding, "successes_in_row",
		(int)info.successes_in_row, "failures_in_row", (int)info.failures_in_row, "last",
		last);
}

static json_t *
load_json(const struct backend *backend)
{
	if (!backend->has_load)
		return json_null();
	return json_pack("{s:I, s:I}", "in_flight", (json_int_t)backend->load_in_flight,
		"latency_ns", (json_int_t)backend->load_latency_ns);
}

json_t *
sl_checks_history(const struct sl_checks *checks, uint32_t destination, uint32_t index)
{
	const struct backend *backend = find(checks, destination, index);
	json_t *list = json_array(), *history = json_array();
	struct sl_health_counts counts;

	if (backend == NULL || list == NULL || history == NULL) {
		json_decref(list);
		json_decref(history);
		return NULL;
	}
	for (uint32_t i = 0; i < backend->nb_checks; i++)
		json_array_append_new(list, check_json(backend, i));
	for (uint32_t age = SL_HEALTH_HISTORY; age-- > 0;) {
		const struct sl_health_result *result = sl_health_get_history(backend->health, age);

		if (result != NULL)
			json_array_append_new(history, result_json(backend, result));
	}
	sl_health_get_counts(backend->health, &counts);
	return json_pack("{s:s, s:o, s:i, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "state",
		sl_health_state_name(sl_health_get_state(backend->health)), "since",
		wall_time(sl_health_since_ms(backend->health)), "share", (int)backend->share,
		"checks", list, "history", history, "successes", (json_int_t)counts.successes,
		"failures", (json_int_t)counts.failures, "timeouts", (json_int_t)counts.timeouts,
		"late", (json_int_t)counts.late, "cancelled", (json_int_t)counts.cancelled,
		"transitions", (json_int_t)counts.transitions, "load", load_json(backend));
}
