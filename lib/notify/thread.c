/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "notify_internal.h"
#include "sl_log.h"

/* Of what a command says, for the line about its failure. */
#define OUTPUT_MAX 512

/* The first pause between two tries of a webhook, doubled each time up to the longest. */
#define PAUSE_MS     250
#define PAUSE_MAX_MS 60000

static void
set_timer(struct event *timer, uint32_t ms)
{
	const struct timeval after = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	event_add(timer, &after);
}

/* Splitmix64: half of the pause at least, all of it at most. */
static uint32_t
jitter(struct hook *hook, uint32_t pause_ms)
{
	uint64_t z = (hook->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return pause_ms / 2 + (uint32_t)(z % (pause_ms / 2 + 1));
}

static bool
is_done(struct sl_notify *notify)
{
	struct hook *hook;
	bool is_idle = true;

	pthread_mutex_lock(&notify->lock);
	TAILQ_FOREACH (hook, &notify->hooks, next)
		is_idle = is_idle && hook->nb_queued == 0;
	is_idle = is_idle && notify->is_stopping;
	pthread_mutex_unlock(&notify->lock);
	return is_idle;
}

static void
finish(struct hook *hook, bool is_ok)
{
	struct sl_notify *notify = hook->notify;
	struct waiting *head;

	pthread_mutex_lock(&notify->lock);
	if (is_ok)
		notify->stats.hooks_ok++;
	else
		notify->stats.hooks_failed++;
	/* It is not there any more when the hook was replaced meanwhile. */
	head = STAILQ_FIRST(&hook->queue);
	if (head != NULL && head->note == hook->current)
		hook_unqueue(hook);
	pthread_mutex_unlock(&notify->lock);
	note_drop(hook->current);
	hook->current = NULL;
	/* By way of the loop: a hook that fails at once does not keep it from the others. */
	set_timer(hook->timer, 0);
	if (is_done(notify))
		event_base_loopbreak(notify->base);
}

void
hook_delivered(struct hook *hook)
{
	sl_log(SL_LOG_event, SL_LEVEL_DEBUG, "%s: event %" PRIu64 " delivered", hook->name,
		hook->current->id);
	finish(hook, true);
}

void
hook_failed(struct hook *hook, const char *why)
{
	sl_log(SL_LOG_event, SL_LEVEL_WARN,
		"%s: event %" PRIu64 " given up after %u of %u tries: %s", hook->name,
		hook->current->id, hook->nb_tries, hook->nb_tries + hook->tries_left, why);
	finish(hook, false);
}

void
hook_retry(struct hook *hook, const char *why, uint32_t after_ms)
{
	uint32_t pause_ms = PAUSE_MAX_MS;

	if (hook->tries_left == 0) {
		hook_failed(hook, why);
		return;
	}
	if (hook->nb_tries < 8)
		pause_ms = PAUSE_MS << (hook->nb_tries - 1);
	pause_ms = jitter(hook, pause_ms);
	if (after_ms > pause_ms)
		pause_ms = after_ms < PAUSE_MAX_MS ? after_ms : PAUSE_MAX_MS;
	sl_log(SL_LOG_event, SL_LEVEL_INFO, "%s: event %" PRIu64 ": %s; again in %u ms", hook->name,
		hook->current->id, why, pause_ms);
	set_timer(hook->timer, pause_ms);
}

static void
on_command_done(void *arg, const struct sl_child_result *result)
{
	struct hook *hook = arg;
	char how[64], why[64 + OUTPUT_MAX];
	int len = (int)result->output_len;

	hook->child = NULL;
	if (result->end == SL_CHILD_EXITED && result->status == 0) {
		hook_delivered(hook);
		return;
	}
	while (len > 0 && result->output[len - 1] == '\n')
		len--;
	sl_child_describe(result, how, sizeof(how));
	snprintf(why, sizeof(why), "%s%s%.*s", how, len > 0 ? ": " : "", len, result->output);
	hook_failed(hook, why);
}

/* For commands that have no use for JSON. */
static int
run_command(struct hook *hook, char *error, size_t error_len)
{
	const struct note *note = hook->current;
	char id[64], level[64], kind[256], text[NOTIFY_TEXT_MAX + 32];
	const char *const env[] = {id, level, kind, text, NULL};
	const struct sl_child_command command = {
		.argv = (const char *const *)hook->argv,
		.env = env,
		.input = note->body,
		.input_len = note->body_len,
		.timeout_ms = hook->try_ms,
		.output_max = OUTPUT_MAX,
	};

	snprintf(id, sizeof(id), "SLUICE_EVENT_ID=%" PRIu64, note->id);
	snprintf(level, sizeof(level), "SLUICE_EVENT_LEVEL=%s", sl_log_level_name(note->level));
	snprintf(kind, sizeof(kind), "SLUICE_EVENT_KIND=%s", note->kind);
	snprintf(text, sizeof(text), "SLUICE_EVENT_TEXT=%s", note->text);
	return sl_child_run(hook->notify->base, &command, on_command_done, hook, &hook->child,
		error, error_len);
}

static void
try_once(struct hook *hook)
{
	char error[256] = "no memory";
	int rc;

	hook->tries_left--;
	hook->nb_tries++;
	if (hook->url != NULL)
		rc = webhook_post(hook);
	else
		rc = run_command(hook, error, sizeof(error));
	if (rc != 0)
		hook_failed(hook, error);
}

/* Take the next event, if there is one and none is being delivered. */
static void
begin(struct hook *hook)
{
	struct sl_notify *notify = hook->notify;
	struct waiting *head;

	pthread_mutex_lock(&notify->lock);
	head = STAILQ_FIRST(&hook->queue);
	if (head != NULL) {
		hook->current = head->note;
		note_hold(hook->current);
		hook->try_ms = hook->timeout_ms;
		hook->tries_left = hook->tries_max;
		hook->nb_tries = 0;
	}
	pthread_mutex_unlock(&notify->lock);
	if (hook->current != NULL)
		try_once(hook);
}

static void
on_hook_timer(evutil_socket_t fd, short what, void *arg)
{
	struct hook *hook = arg;

	(void)fd;
	(void)what;
	if (hook->current != NULL)
		try_once(hook);
	else
		begin(hook);
}

/* End what a hook is doing, wherever it is. */
static void
abort_hook(struct hook *hook)
{
	if (hook->child != NULL)
		sl_child_kill(hook->child);
	hook->child = NULL;
	webhook_abort(hook);
	if (hook->timer != NULL)
		event_free(hook->timer);
	hook->timer = NULL;
	if (hook->current != NULL)
		note_drop(hook->current);
	hook->current = NULL;
}

static void
free_retired(struct sl_notify *notify)
{
	struct hook_list retired = TAILQ_HEAD_INITIALIZER(retired);
	struct hook *hook;

	pthread_mutex_lock(&notify->lock);
	TAILQ_CONCAT(&retired, &notify->retired, next);
	pthread_mutex_unlock(&notify->lock);
	TAILQ_FOREACH (hook, &retired, next)
		abort_hook(hook);
	hooks_free(&retired);
}

/* With the lock held. A hook without a timer is tried again with the next event. */
static void
wake_hook(struct hook *hook)
{
	if (hook->timer == NULL)
		hook->timer = evtimer_new(hook->notify->base, on_hook_timer, hook);
	if (hook->timer != NULL && hook->current == NULL && hook->nb_queued > 0)
		set_timer(hook->timer, 0);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct sl_notify *notify = arg;
	struct hook *hook;
	bool is_stopping;
	eventfd_t count;

	(void)what;
	eventfd_read(fd, &count);
	free_retired(notify);
	pthread_mutex_lock(&notify->lock);
	TAILQ_FOREACH (hook, &notify->hooks, next)
		wake_hook(hook);
	is_stopping = notify->is_stopping;
	pthread_mutex_unlock(&notify->lock);
	if (!is_stopping)
		return;
	set_timer(notify->deadline, notify->stop_ms);
	if (is_done(notify))
		event_base_loopbreak(notify->base);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

static void *
run(void *arg)
{
	struct sl_notify *notify = arg;
	struct hook *hook;

	event_base_dispatch(notify->base);
	free_retired(notify);
	TAILQ_FOREACH (hook, &notify->hooks, next)
		abort_hook(hook);
	return NULL;
}

/* Not by the thread itself: somebody may be about to wake it. */
static void
free_loop(struct sl_notify *notify)
{
	struct event *events[] = {notify->wake, notify->deadline};

	webhooks_fini(notify);
	for (unsigned int i = 0; i < 2; i++) {
		if (events[i] != NULL)
			event_free(events[i]);
	}
	if (notify->base != NULL)
		event_base_free(notify->base);
	if (notify->wake_fd >= 0)
		close(notify->wake_fd);
}

static int
make_loop(struct sl_notify *notify)
{
	notify->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (notify->wake_fd < 0)
		return -errno;
	notify->base = event_base_new();
	if (notify->base == NULL)
		return -ENOMEM;
	notify->wake = event_new(
		notify->base, notify->wake_fd, EV_READ | EV_PERSIST, on_wake, notify);
	notify->deadline = evtimer_new(notify->base, on_deadline, notify->base);
	if (notify->wake == NULL || notify->deadline == NULL || event_add(notify->wake, NULL) != 0)
		return -ENOMEM;
	return webhooks_init(notify);
}

int
thread_start(struct sl_notify *notify, char *error, size_t error_len)
{
	sigset_t all, before;
	int rc = make_loop(notify);

	if (rc == 0) {
		/* Signals are for the control thread's loop. */
		sigfillset(&all);
		pthread_sigmask(SIG_BLOCK, &all, &before);
		rc = -pthread_create(&notify->thread, NULL, run, notify);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (rc != 0) {
		free_loop(notify);
		snprintf(error, error_len, "events: no thread to serve hooks: %s", strerror(-rc));
		return rc;
	}
	pthread_setname_np(notify->thread, "sl-notify");
	return 0;
}

void
thread_wake(struct sl_notify *notify)
{
	eventfd_write(notify->wake_fd, 1);
}

void
thread_stop(struct sl_notify *notify)
{
	thread_wake(notify);
	pthread_join(notify->thread, NULL);
	free_loop(notify);
}
