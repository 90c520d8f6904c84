/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"

/* Checks that are out: their begin and end, whatever their kind. */

/* A nonce has room for so many slots. */
#define SLOTS_MAX (1u << 20)

const struct kind *
kind_of(enum sl_config_check_kind kind)
{
	static const struct kind *const kinds[] = {
		[SL_CHECK_PROBE] = &kind_probe,
		[SL_CHECK_ICMP] = &kind_icmp,
		[SL_CHECK_UDP] = &kind_udp,
		[SL_CHECK_TCP] = &kind_tcp,
		[SL_CHECK_HTTP] = &kind_http,
		[SL_CHECK_EXEC] = &kind_exec,
	};

	return kinds[kind];
}

const char *
sl_checks_kind_name(enum sl_config_check_kind kind)
{
	return kind_of(kind)->name;
}

const struct sl_config_check *
run_config(const struct run *run)
{
	return &run->backend->dest->health.checks[run->check];
}

uint32_t
run_timeout_ms(const struct run *run)
{
	return run->backend->dest->health.timeout_ms;
}

/* Slot 0 is never given out, so that 0 can say "none". */
static int
grow_slots(struct sl_checks *checks)
{
	uint32_t nb_slots = checks->nb_slots == 0 ? 64 : checks->nb_slots * 2;
	struct slot *slots;

	if (nb_slots > SLOTS_MAX)
		return -ENOSPC;
	slots = realloc(checks->slots, nb_slots * sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	for (uint32_t i = nb_slots - 1; i >= checks->nb_slots && i > 0; i--) {
		slots[i] = (struct slot){.next_free = checks->free_slot};
		checks->free_slot = i;
	}
	if (checks->nb_slots == 0)
		slots[0] = (struct slot){0};
	checks->slots = slots;
	checks->nb_slots = nb_slots;
	return 0;
}

int
run_take_slot(struct run *run)
{
	struct sl_checks *checks = run->backend->checks;
	int rc = checks->free_slot != 0 ? 0 : grow_slots(checks);

	if (rc != 0)
		return rc;
	run->slot = checks->free_slot;
	checks->free_slot = checks->slots[run->slot].next_free;
	checks->slots[run->slot].run = run;
	checks->slots[run->slot].generation++;
	return 0;
}

struct run *
run_in_slot(struct sl_checks *checks, uint32_t slot)
{
	return slot < checks->nb_slots ? checks->slots[slot].run : NULL;
}

static void
free_slot(struct sl_checks *checks, struct run *run)
{
	struct slot *slot = &checks->slots[run->slot];

	slot->run = NULL;
	slot->next_free = checks->free_slot;
	checks->free_slot = run->slot;
	run->slot = 0;
}

void
run_free_slots(struct sl_checks *checks)
{
	free(checks->slots);
	checks->slots = NULL;
	checks->nb_slots = 0;
	checks->free_slot = 0;
}

static struct run_queue *
queue_of(struct sl_checks *checks, const struct kind *kind)
{
	return kind->needs_command ? &checks->waiting_commands : &checks->waiting_sockets;
}

static bool
has_room(const struct sl_checks *checks, const struct kind *kind)
{
	if (kind->needs_command)
		return checks->stats.commands < checks->commands_max;
	return !kind->needs_socket || checks->stats.sockets < checks->sockets_max;
}

static void
begin(struct run *run)
{
	struct sl_checks *checks = run->backend->checks;

	checks->stats.sockets += run->kind->needs_socket;
	checks->stats.commands += run->kind->needs_command;
	run->started_ns = check_now_ns();
	run->kind->start(run);
}

static void
leave_queue(struct run *run)
{
	struct sl_checks *checks = run->backend->checks;

	TAILQ_REMOVE(queue_of(checks, run->kind), run, queued);
	checks->stats.waiting--;
	run->is_waiting = false;
	if (run->event != NULL)
		event_free(run->event);
	run->event = NULL;
}

/* What begins later has too little left of its time-out. */
static uint32_t
wait_max_ms(const struct run *run)
{
	return (run_timeout_ms(run) + 1) / 2;
}

/* A loop that stood still may come to a run, or its machine, before it comes to the run's timer. */
static bool
has_waited_too_long(const struct run *run)
{
	return run->is_waiting &&
		check_now_ns() - run->started_ns > wait_max_ms(run) * UINT64_C(1000000);
}

void
run_begin_waiting(struct sl_checks *checks)
{
	const struct kind *const kinds[] = {&kind_tcp, &kind_exec};

	/* What begins may end at once, and come here again. */
	if (checks->is_held || checks->is_frozen)
		return;
	checks->is_held = true;
	for (unsigned int i = 0; i < 2; i++) {
		struct run_queue *queue = queue_of(checks, kinds[i]);

		while (!TAILQ_EMPTY(queue) && has_room(checks, kinds[i])) {
			struct run *run = TAILQ_FIRST(queue);

			if (has_waited_too_long(run)) {
				run_void(run);
				continue;
			}
			leave_queue(run);
			begin(run);
		}
	}
	checks->is_held = false;
}

/* Let go of everything but the run itself. */
static void
release(struct run *run)
{
	struct sl_checks *checks = run->backend->checks;

	if (run->is_waiting) {
		leave_queue(run);
		return;
	}
	run->kind->stop(run);
	checks->stats.sockets -= run->kind->needs_socket;
	checks->stats.commands -= run->kind->needs_command;
	if (run->event != NULL)
		event_free(run->event);
	run->event = NULL;
}

void
run_free(struct run *run)
{
	struct sl_checks *checks = run->backend->checks;
	const struct kind *kind = run->kind;

	release(run);
	checks->stats.outstanding -= !run->is_expired;
	if (run->slot != 0)
		free_slot(checks, run);
	LIST_REMOVE(run, link);
	free(run->state);
	free(run->out);
	free(run);
	if (kind->needs_socket || kind->needs_command)
		run_begin_waiting(checks);
}

/* What came too late for its run is counted as such, for one more time-out. */
static void
on_forget(evutil_socket_t fd, short what, void *arg)
{
	struct run *run = arg;

	(void)fd;
	(void)what;
	run_free(run);
}

static void
keep_expired(struct run *run)
{
	const uint32_t timeout_ms = run_timeout_ms(run);
	const struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};

	release(run);
	run->is_expired = true;
	run->backend->checks->stats.outstanding--;
	run->event = evtimer_new(run->backend->checks->base, on_forget, run);
	if (run->event == NULL || evtimer_add(run->event, &tv) != 0)
		run_free(run);
}

static void
on_waited_too_long(evutil_socket_t fd, short what, void *arg)
{
	struct run *run = arg;

	(void)fd;
	(void)what;
	run_void(run);
}

static void
enqueue(struct run *run)
{
	struct sl_checks *checks = run->backend->checks;
	const uint32_t wait_ms = wait_max_ms(run);
	const struct timeval tv = {wait_ms / 1000, wait_ms % 1000 * 1000};

	run->is_waiting = true;
	TAILQ_INSERT_TAIL(queue_of(checks, run->kind), run, queued);
	checks->stats.waiting++;
	checks->stats.waited++;
	run->event = evtimer_new(checks->base, on_waited_too_long, run);
	if (run->event == NULL || evtimer_add(run->event, &tv) != 0)
		run_void(run);
}

void
run_start(struct backend *backend, uint32_t check, uint64_t token)
{
	struct sl_checks *checks = backend->checks;
	struct run *run = calloc(1, sizeof(*run));

	checks->stats.started++;
	if (run == NULL) {
		checks->stats.not_made++;
		sl_health_void(backend->health, check, token, check_now_ms());
		return;
	}
	run->backend = backend;
	run->kind = kind_of(backend->dest->health.checks[check].kind);
	run->check = check;
	run->token = token;
	run->fd = -1;
	run->phase = "without an answer";
	run->started_ns = check_now_ns();
	LIST_INSERT_HEAD(&backend->runs, run, link);
	checks->stats.outstanding++;
	if (has_room(checks, run->kind) && TAILQ_EMPTY(queue_of(checks, run->kind)))
		begin(run);
	else
		enqueue(run);
}

/* Tell the machine, and go on. */
static void
conclude(struct run *run, bool is_ok, enum sl_health_reason reason, int32_t code, uint64_t end_ns)
{
	struct backend *backend = run->backend;
	uint64_t latency_ns = end_ns > run->started_ns ? end_ns - run->started_ns : 0;
	uint32_t check = run->check;
	uint64_t token = run->token;

	if (is_ok) {
		backend->has_latency = true;
		backend->last_latency_ns = latency_ns;
	}
	run_free(run);
	sl_health_result(
		backend->health, check, token, is_ok, reason, code, latency_ns, check_now_ms());
	backend_pump(backend);
}

/* Whatever a server or command says, a text can stand in a log line and in JSON. */
static void
make_plain(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

void
run_finish(struct run *run, bool is_ok, enum sl_health_reason reason, int32_t code,
	const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(run->backend->texts[run->check], TEXT_MAX, format, args);
	va_end(args);
	make_plain(run->backend->texts[run->check]);
	conclude(run, is_ok, reason, code, check_now_ns());
}

void
run_answered(struct run *run, uint64_t received_ns)
{
	snprintf(run->backend->texts[run->check], TEXT_MAX, "answered");
	conclude(run, true, SL_HEALTH_PASSED, 0, received_ns);
}

static void
tell_held_up(const struct backend *backend)
{
	struct sl_checks *checks = backend->checks;
	uint64_t now_ms = check_now_ms();

	if (checks->told_ms != 0 && now_ms < checks->told_ms + TELL_AGAIN_MS)
		return;
	checks->told_ms = now_ms;
	check_event(backend, SL_LEVEL_WARN, "checks_held_up",
		json_pack("{s:I, s:i, s:i}", "not_made", (json_int_t)checks->stats.not_made,
			"sockets", (int)checks->stats.sockets, "commands",
			(int)checks->stats.commands),
		"health checks could not be made for lack of sockets or processes (%u sockets and "
		"%u commands in use): raise the limit of open files, or check less often",
		checks->stats.sockets, checks->stats.commands);
}

void
run_void(struct run *run)
{
	struct backend *backend = run->backend;
	uint32_t check = run->check;
	uint64_t token = run->token;

	backend->checks->stats.not_made++;
	tell_held_up(backend);
	run_free(run);
	sl_health_void(backend->health, check, token, check_now_ms());
	backend_pump(backend);
}

static struct run *
find_late(const struct backend *backend)
{
	struct run *run;

	LIST_FOREACH(run, &backend->runs, link)
	{
		if (has_waited_too_long(run))
			break;
	}
	return run;
}

void
run_void_late(struct backend *backend)
{
	struct run *run;

	while ((run = find_late(backend)) != NULL)
		run_void(run);
}

void
run_end(struct backend *backend, uint32_t check, uint64_t token, bool is_expired)
{
	struct run *run;

	LIST_FOREACH(run, &backend->runs, link)
	{
		if (run->check == check && run->token == token && !run->is_expired)
			break;
	}
	if (run == NULL)
		return;
	if (is_expired)
		snprintf(backend->texts[check], TEXT_MAX, "timeout after %u ms %s",
			run_timeout_ms(run), run->phase);
	if (is_expired && run->slot != 0)
		keep_expired(run);
	else
		run_free(run);
}

void
run_cancel_all(struct backend *backend)
{
	while (!LIST_EMPTY(&backend->runs))
		run_free(LIST_FIRST(&backend->runs));
}

void
run_void_all(struct backend *backend)
{
	while (!LIST_EMPTY(&backend->runs)) {
		const struct run *run = LIST_FIRST(&backend->runs);
		bool is_expired = run->is_expired;
		uint32_t check = run->check;
		uint64_t token = run->token;

		run_free(LIST_FIRST(&backend->runs));
		if (!is_expired)
			sl_health_void(backend->health, check, token, check_now_ms());
	}
}
