/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"

/* The machines on the event loop: actions taken, timers set, shares and events told. */

uint64_t
check_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t
check_now_ms(void)
{
	return check_now_ns() / 1000000;
}

json_t *
backend_fields(const struct backend *backend)
{
	char address[SL_IP_STRLEN];

	return json_pack("{s:s, s:s, s:s, s:i}", "destination", backend->dest->name, "backend",
		backend->name, "address", sl_ip_format(&backend->address, address), "port",
		(int)backend->port);
}

void
check_event(const struct backend *backend, enum sl_config_level level, const char *kind,
	json_t *fields, const char *format, ...)
{
	const struct sl_checks_hooks *hooks = &backend->checks->hooks;
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	hooks->event(hooks->arg, level, kind, fields, text);
}

void
backend_tell_share(struct backend *backend)
{
	struct sl_checks *checks = backend->checks;
	uint32_t share = sl_health_group_share(
		&backend->dest->group, backend->health, check_now_ms());

	if (share == backend->share)
		return;
	backend->share = share;
	checks->hooks.set_share(checks->hooks.arg, backend->dest->index, backend->index, share);
}

static void
tell_panic(const struct dest *dest, const struct sl_checks *checks)
{
	const struct sl_health_group *group = &dest->group;
	uint32_t down = group->nb_states[SL_HEALTH_DOWN];
	uint32_t total = down + sl_health_group_up(group) + group->nb_states[SL_HEALTH_NEW];
	json_t *fields = json_pack("{s:s, s:i, s:i, s:i}", "destination", dest->name, "down",
		(int)down, "backends", (int)total, "threshold_percent",
		(int)group->threshold_percent);
	char text[256];

	if (group->is_panic)
		snprintf(text, sizeof(text),
			"destination %s: PANIC: %u of %u backends are down, fewer than %u %% are "
			"left: all are used, whatever their checks say",
			dest->name, down, total, group->threshold_percent);
	else
		snprintf(text, sizeof(text),
			"destination %s: panic is over: %u of %u backends are down", dest->name,
			down, total);
	checks->hooks.event(checks->hooks.arg, group->is_panic ? SL_LEVEL_WARN : SL_LEVEL_NOTIFY,
		group->is_panic ? "panic_begin" : "panic_end", fields, text);
}

void
dest_update_panic(struct dest *dest, struct sl_checks *checks)
{
	switch (sl_health_group_update(&dest->group)) {
	case SL_HEALTH_PANIC_SAME:
		return;
	case SL_HEALTH_PANIC_BEGINS:
		checks->stats.nb_panics++;
		break;
	case SL_HEALTH_PANIC_ENDS:
		checks->stats.nb_panics--;
		break;
	}
	tell_panic(dest, checks);
	for (uint32_t i = 0; i < dest->nb_backends; i++)
		backend_tell_share(dest->backends[i]);
}

static bool
is_chosen(enum sl_health_state state)
{
	return state == SL_HEALTH_WARMING || state == SL_HEALTH_UP || state == SL_HEALTH_SUSPECT;
}

/* What the check that has failed most often in a row said last. */
static const char *
worst_text(const struct backend *backend)
{
	struct sl_health_check_info info;
	const char *text = "";
	uint32_t most = 0;

	for (uint32_t i = 0; i < backend->nb_checks; i++) {
		sl_health_get_check(backend->health, i, &info);
		if (info.failures_in_row <= most)
			continue;
		most = info.failures_in_row;
		text = backend->texts[i];
	}
	return text;
}

static void
on_change(struct backend *backend, const struct sl_health_action *action)
{
	bool is_minor = is_chosen(action->from) && is_chosen(action->to);
	struct sl_health_group *group = &backend->dest->group;
	json_t *fields = backend_fields(backend);
	const char *text = worst_text(backend);
	const char *from = sl_health_state_name(action->from);
	const char *to = sl_health_state_name(action->to);

	group->nb_states[action->from]--;
	group->nb_states[action->to]++;
	if (fields != NULL) {
		json_object_set_new(fields, "from", json_string(from));
		json_object_set_new(fields, "to", json_string(to));
		json_object_set_new(fields, "reason", json_string(text));
	}
	check_event(backend, is_minor ? SL_LEVEL_DEBUG : SL_LEVEL_INFO, "backend_state", fields,
		"backend %s of %s: %s -> %s%s%s", backend->name, backend->dest->name, from, to,
		text[0] != '\0' ? ": " : "", text);
	/* Its own share first, so that an end of panic finds it as it is. */
	backend_tell_share(backend);
	dest_update_panic(backend->dest, backend->checks);
}

static void
on_notify(struct backend *backend, bool is_failing)
{
	const struct sl_config_health *health = &backend->dest->health;
	json_t *fields = backend_fields(backend);
	const char *text = worst_text(backend);

	if (!is_failing) {
		check_event(backend, SL_LEVEL_NOTIFY, "backend_recovered", fields,
			"backend %s of %s has recovered", backend->name, backend->dest->name);
		return;
	}
	if (fields != NULL) {
		json_object_set_new(fields, "failures", json_integer(health->notify_after));
		json_object_set_new(fields, "reason", json_string(text));
	}
	check_event(backend, SL_LEVEL_NOTIFY, "backend_failing", fields,
		"backend %s of %s: %u failures in a row: %s", backend->name, backend->dest->name,
		health->notify_after, text);
}

static void
act(struct backend *backend, const struct sl_health_action *action)
{
	switch (action->type) {
	case SL_HEALTH_START:
		run_start(backend, action->check, action->token);
		break;
	case SL_HEALTH_EXPIRE:
	case SL_HEALTH_CANCEL:
		run_end(backend, action->check, action->token, action->type == SL_HEALTH_EXPIRE);
		break;
	case SL_HEALTH_CHANGE:
		on_change(backend, action);
		break;
	case SL_HEALTH_NOTIFY_FAILING:
	case SL_HEALTH_NOTIFY_RECOVERED:
		on_notify(backend, action->type == SL_HEALTH_NOTIFY_FAILING);
		break;
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct backend *backend = arg;

	(void)fd;
	(void)what;
	backend->armed_ms = UINT64_MAX;
	backend_pump(backend);
}

/* Most backends, most of the time, have nothing new to wait for. */
static void
arm(struct backend *backend)
{
	uint64_t due_ms = sl_health_due_ms(backend->health), now_ms = check_now_ms(), wait_ms;
	struct timeval tv;

	if (due_ms == backend->armed_ms)
		return;
	backend->armed_ms = due_ms;
	if (due_ms == UINT64_MAX) {
		evtimer_del(backend->timer);
		return;
	}
	wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
	tv.tv_sec = (time_t)(wait_ms / 1000);
	tv.tv_usec = (suseconds_t)(wait_ms % 1000 * 1000);
	evtimer_add(backend->timer, &tv);
}

void
backend_pump(struct backend *backend)
{
	struct sl_health_action action;

	if (backend->is_pumping || backend->checks->is_frozen)
		return;
	backend->is_pumping = true;
	run_void_late(backend);
	while (sl_health_next(backend->health, check_now_ms(), &action))
		act(backend, &action);
	backend->is_pumping = false;
	backend_tell_share(backend);
	if (backend->timer == NULL && sl_health_due_ms(backend->health) != UINT64_MAX) {
		backend->timer = evtimer_new(backend->checks->base, on_timer, backend);
		backend->armed_ms = UINT64_MAX;
	}
	if (backend->timer != NULL)
		arm(backend);
}

void
backend_free(struct backend *backend)
{
	if (backend == NULL)
		return;
	run_cancel_all(backend);
	if (backend->timer != NULL)
		event_free(backend->timer);
	free(backend->texts);
	free(backend->health);
	free(backend->name);
	free(backend);
}

void
sl_checks_freeze(struct sl_checks *checks)
{
	checks->is_frozen = true;
	for (uint32_t i = 0; i < checks->nb_dests; i++) {
		for (uint32_t j = 0; j < checks->dests[i].nb_backends; j++) {
			struct backend *backend = checks->dests[i].backends[j];

			run_void_all(backend);
			if (backend->timer != NULL)
				evtimer_del(backend->timer);
			backend->armed_ms = UINT64_MAX;
		}
	}
}

void
sl_checks_get_stats(const struct sl_checks *checks, struct sl_checks_stats *stats)
{
	*stats = checks->stats;
}
