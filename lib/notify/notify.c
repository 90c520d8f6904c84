/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "notify_internal.h"
#include "sl_log.h"

static void
free_notify(struct sl_notify *notify)
{
	hooks_free(&notify->hooks);
	for (unsigned int i = 0; i < SL_NOTIFY_RECENT; i++)
		json_decref(notify->recent[i]);
	pthread_mutex_destroy(&notify->lock);
	free(notify->node);
	free(notify);
	curl_global_cleanup();
}

int
sl_notify_create(const char *node, const struct sl_config_events *events, struct sl_notify **out,
	char *error, size_t error_len)
{
	struct sl_notify *notify;
	int rc = -ENOMEM;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		snprintf(error, error_len, "events: libcurl cannot be set up");
		return -EIO;
	}
	notify = calloc(1, sizeof(*notify));
	if (notify == NULL) {
		curl_global_cleanup();
		snprintf(error, error_len, "events: no memory");
		return -ENOMEM;
	}
	pthread_mutex_init(&notify->lock, NULL);
	TAILQ_INIT(&notify->hooks);
	TAILQ_INIT(&notify->retired);
	notify->queue_max = events->queue;
	notify->node = strdup(node);
	if (notify->node != NULL)
		rc = hooks_create(notify, events, &notify->hooks);
	if (rc == 0)
		rc = thread_start(notify, error, error_len);
	else
		snprintf(error, error_len, "events: no memory");
	if (rc != 0) {
		free_notify(notify);
		return rc;
	}
	*out = notify;
	return 0;
}

int
sl_notify_configure(struct sl_notify *notify, const struct sl_config_events *events)
{
	struct hook_list hooks;
	int rc = hooks_create(notify, events, &hooks);

	if (rc != 0)
		return rc;
	pthread_mutex_lock(&notify->lock);
	notify->queue_max = events->queue;
	hooks_replace(notify, &hooks);
	pthread_mutex_unlock(&notify->lock);
	thread_wake(notify);
	return 0;
}

static uint32_t
count_queued(struct sl_notify *notify)
{
	struct hook *hook;
	uint32_t nb = 0;

	TAILQ_FOREACH (hook, &notify->hooks, next)
		nb += hook->nb_queued;
	return nb;
}

void
sl_notify_destroy(struct sl_notify *notify, uint32_t timeout_ms)
{
	uint32_t left;

	if (notify == NULL)
		return;
	pthread_mutex_lock(&notify->lock);
	notify->is_stopping = true;
	notify->stop_ms = timeout_ms;
	pthread_mutex_unlock(&notify->lock);
	thread_stop(notify);
	left = count_queued(notify);
	if (left > 0)
		sl_log(SL_LOG_event, SL_LEVEL_WARN,
			"%u deliveries to hooks given up: not done within %u ms of the end", left,
			timeout_ms);
	free_notify(notify);
}

static void
format_time(char *text, size_t text_len)
{
	struct timespec now;
	char date[32];
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, text_len, "%s.%03ldZ", date, now.tv_nsec / 1000000);
}

/* JSON is UTF-8: of a text that is not, what is not ASCII is replaced. */
static json_t *
make_string(char *text)
{
	json_t *string = json_string(text);

	if (string != NULL)
		return string;
	for (char *c = text; *c != '\0'; c++) {
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	}
	return json_string(text);
}

static json_t *
make_event(const char *node, uint64_t id, enum sl_config_level level, const char *kind, char *text,
	json_t *fields)
{
	char when[64];

	format_time(when, sizeof(when));
	return json_pack("{s:I, s:s, s:s, s:s, s:o, s:s, s:O}", "id", (json_int_t)id, "time", when,
		"level", sl_log_level_name(level), "kind", kind, "text", make_string(text), "node",
		node, "fields", fields);
}

/* With the lock held: the numbers, the ring and the queues have one order. */
static void
take_event(struct sl_notify *notify, enum sl_config_level level, const char *kind, char *text,
	json_t *fields)
{
	uint64_t id = ++notify->stats.events;
	json_t *event = make_event(notify->node, id, level, kind, text, fields);
	json_t **place = &notify->recent[id % SL_NOTIFY_RECENT];
	struct note *note = NULL;
	struct hook *hook;

	json_decref(*place);
	*place = event;
	if (TAILQ_EMPTY(&notify->hooks))
		return;
	if (event != NULL && !notify->is_stopping)
		note = note_create(id, level, kind, text, event);
	if (note == NULL) {
		notify->stats.hooks_dropped++;
		return;
	}
	TAILQ_FOREACH (hook, &notify->hooks, next)
		hook_queue(hook, note);
	note_drop(note);
}

void
sl_notify(struct sl_notify *notify, enum sl_config_level level, const char *kind, json_t *fields,
	const char *format, ...)
{
	char text[NOTIFY_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (fields == NULL)
		fields = json_object();
	sl_log(SL_LOG_event, level, "%s: %s", kind, text);
	pthread_mutex_lock(&notify->lock);
	take_event(notify, level, kind, text, fields);
	pthread_mutex_unlock(&notify->lock);
	json_decref(fields);
	thread_wake(notify);
}

json_t *
sl_notify_recent(struct sl_notify *notify, uint64_t after)
{
	json_t *list = json_array();
	uint64_t first, last;

	pthread_mutex_lock(&notify->lock);
	last = notify->stats.events;
	first = last > SL_NOTIFY_RECENT ? last - SL_NOTIFY_RECENT + 1 : 1;
	if (after >= first)
		first = after < last ? after + 1 : last + 1;
	/* Copies: the caller shares nothing with the thread. One that had no memory is left out. */
	for (uint64_t id = first; id <= last; id++)
		json_array_append_new(list, json_deep_copy(notify->recent[id % SL_NOTIFY_RECENT]));
	pthread_mutex_unlock(&notify->lock);
	return list;
}

void
sl_notify_get_stats(struct sl_notify *notify, struct sl_notify_stats *stats)
{
	pthread_mutex_lock(&notify->lock);
	*stats = notify->stats;
	stats->queued = count_queued(notify);
	pthread_mutex_unlock(&notify->lock);
}
