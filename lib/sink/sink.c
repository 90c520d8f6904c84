/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "pg_link.h"
#include "sink.h"

/* What stopping takes in all is less than a second. */
#define STOP_MS 700

void
sink_error_set(struct sink_error *error, bool is_refused, const char *format, ...)
{
	va_list args;

	*error = (struct sink_error){.is_refused = is_refused};
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
}

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * SINK_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t
sink_now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

uint64_t
sink_now_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

const char *
sl_sink_state_name(enum sl_sink_state state)
{
	static const char *const names[] = {
		"stopped", "connecting", "running", "retrying", "broken", "refused"};

	return (unsigned int)state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

int
resume_add_base(struct resume *resume, uint32_t stream, uint64_t position)
{
	if (array_reserve(&resume->bases, resume->nb_bases, &resume->bases_max,
		    sizeof(resume->bases[0])) < 0)
		return -ENOMEM;
	resume->bases[resume->nb_bases++] = (struct range){.stream = stream, .last = position};
	return 0;
}

int
resume_add_range(struct resume *resume, uint32_t stream, uint64_t first, uint64_t last)
{
	if (array_reserve(&resume->ranges, resume->nb_ranges, &resume->ranges_max,
		    sizeof(resume->ranges[0])) < 0)
		return -ENOMEM;
	resume->ranges[resume->nb_ranges++] = (struct range){stream, first, last};
	return 0;
}

int
resume_add_early(struct resume *resume, const struct outcome *outcome)
{
	if (array_reserve(&resume->earlies, resume->nb_earlies, &resume->earlies_max,
		    sizeof(resume->earlies[0])) < 0)
		return -ENOMEM;
	resume->earlies[resume->nb_earlies++] = *outcome;
	return 0;
}

void
resume_free(struct resume *resume)
{
	free(resume->bases);
	free(resume->ranges);
	free(resume->earlies);
	*resume = (struct resume){0};
}

void
sink_event(struct sl_sink *sink, enum sl_config_level level, const char *kind, const char *sqlstate,
	const char *format, ...)
{
	char server[sizeof(sink->status.server)], what[400], text[640];
	struct sl_sink_event event = {level, kind, sink->config.name, server, sqlstate, text};
	va_list args;

	if (sink->event == NULL)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	pthread_mutex_lock(&sink->lock);
	memcpy(server, sink->status.server, sizeof(server));
	pthread_mutex_unlock(&sink->lock);
	snprintf(text, sizeof(text), "sink %s (%s): %s", sink->config.name, server, what);
	sink->event(sink->arg, &event);
}

void
sink_set_state(struct sl_sink *sink, enum sl_sink_state state)
{
	pthread_mutex_lock(&sink->lock);
	sink->status.state = state;
	pthread_mutex_unlock(&sink->lock);
}

void
sink_is_up(struct sl_sink *sink)
{
	uint32_t failures = sink->backoff.failures;

	backoff_success(&sink->backoff);
	sink_set_state(sink, SL_SINK_RUNNING);
	if (!sink->is_down)
		return;
	sink->is_down = false;
	sink_event(sink, SL_LEVEL_NOTIFY, "sink_up", "",
		"works again after %u failure%s in %llu s; nothing was lost", failures,
		failures == 1 ? "" : "s",
		(unsigned long long)((sink_now_ms() - sink->down_since_ms) / 1000));
}

static void
note_failure(struct sl_sink *sink, const struct sink_error *error)
{
	struct sl_sink_status *status = &sink->status;
	bool is_news;

	backoff_failure(&sink->backoff, error->is_refused, sink_now_ms());
	pthread_mutex_lock(&sink->lock);
	status->failures++;
	status->error_ns = sink_now_ns();
	memcpy(status->sqlstate, error->sqlstate, sizeof(status->sqlstate));
	snprintf(status->error, sizeof(status->error), "%s", error->text);
	status->state = error->is_refused	  ? SL_SINK_REFUSED
		: backoff_is_open(&sink->backoff) ? SL_SINK_BROKEN
						  : SL_SINK_RETRYING;
	sink->retry_at_ms = sink->backoff.until_ms;
	pthread_mutex_unlock(&sink->lock);
	/* A server that goes and comes shows several faces of one outage. */
	is_news = !sink->is_down || sink->told_refused != error->is_refused ||
		(strcmp(sink->told_sqlstate, error->sqlstate) != 0 &&
			strncmp(error->sqlstate, "08", 2) != 0 &&
			strncmp(error->sqlstate, "57", 2) != 0);
	if (!sink->is_down)
		sink->down_since_ms = sink_now_ms();
	sink->is_down = true;
	if (!is_news)
		return;
	sink->told_refused = error->is_refused;
	memcpy(sink->told_sqlstate, error->sqlstate, sizeof(sink->told_sqlstate));
	if (error->is_refused)
		sink_event(
			sink, SL_LEVEL_ERROR, "sink_refused", error->sqlstate, "%s", error->text);
	else
		sink_event(sink, SL_LEVEL_WARN, "sink_down", error->sqlstate, "%s", error->text);
}

void
sink_wait(struct sl_sink *sink, uint64_t ms)
{
	struct pollfd fd = {.fd = sink->wake_fd, .events = POLLIN};
	eventfd_t value;

	if (poll(&fd, 1, ms > 60000 ? 60000 : (int)ms) > 0)
		eventfd_read(sink->wake_fd, &value);
}

static void *
run(void *arg)
{
	struct sl_sink *sink = arg;

	while (!sink->is_stopping) {
		struct sink_error error = {0};
		uint64_t wait_ms = backoff_wait_ms(&sink->backoff, sink_now_ms());

		if (wait_ms > 0) {
			sink_wait(sink, wait_ms);
			continue;
		}
		if (session_run(sink, &error) < 0 && !sink->is_aborting)
			note_failure(sink, &error);
	}
	pthread_mutex_lock(&sink->lock);
	sink->has_ended = true;
	pthread_cond_signal(&sink->ended_cond);
	pthread_mutex_unlock(&sink->lock);
	return NULL;
}

static int
copy_params(struct sl_sink *sink, const struct sl_sink_params *params)
{
	const struct sl_config_sink *config = params->config;

	sink->config = *config;
	sink->config.name = strdup(config->name);
	sink->config.path = config->path == NULL ? NULL : strdup(config->path);
	sink->config.conninfo = config->conninfo == NULL ? NULL : strdup(config->conninfo);
	sink->node = strdup(params->node);
	sink->directory = strdup(params->directory);
	if (sink->config.name == NULL || sink->node == NULL || sink->directory == NULL ||
		(config->path != NULL && sink->config.path == NULL) ||
		(config->conninfo != NULL && sink->config.conninfo == NULL))
		return -ENOMEM;
	sink->journal = params->journal;
	sink->event = params->event;
	sink->arg = params->arg;
	memcpy(sink->levels, params->levels, sizeof(sink->levels));
	sink->ops = config->kind == SL_SINK_SQLITE ? &sqlite_engine : &postgresql_engine;
	if (config->kind == SL_SINK_SQLITE)
		sink->config.writers = 1;
	return 0;
}

static int
prepare(struct sl_sink *sink, char *error, size_t error_len)
{
	struct sl_sink_status *status = &sink->status;
	struct sink_error why;
	char name[80];
	int rc;

	if (sink->config.kind == SL_SINK_POSTGRESQL) {
		rc = pg_check_conninfo(sink->config.conninfo, &why);
		if (rc < 0) {
			snprintf(error, error_len, "sink %s: %s", sink->config.name, why.text);
			return rc;
		}
	}
	sink->batch_now = sink->config.batch_messages;
	backoff_init(&sink->backoff, clock_ns(CLOCK_MONOTONIC) ^ (uintptr_t)sink);
	snprintf(status->name, sizeof(status->name), "%s", sink->config.name);
	snprintf(status->server, sizeof(status->server), "%s",
		sink->config.kind == SL_SINK_SQLITE ? sink->config.path : "postgresql");
	status->kind = sink->config.kind;
	status->writers = sink->config.writers;
	if (sink->journal == NULL) {
		sink->rest_fd = sl_journal_rest(sink->directory, error, error_len);
		return sink->rest_fd < 0 ? sink->rest_fd : 0;
	}
	snprintf(name, sizeof(name), "sink %s", sink->config.name);
	rc = sl_journal_add_reader(sink->journal, name, &sink->journal_reader);
	if (rc < 0)
		snprintf(error, error_len, "sink %s: the journal has %d readers already: %s",
			sink->config.name, SL_JOURNAL_READERS_MAX, strerror(-rc));
	return rc;
}

int
sl_sink_create(const struct sl_sink_params *params, struct sl_sink **created, char *error,
	size_t error_len)
{
	struct sl_sink *sink = calloc(1, sizeof(*sink));
	int rc;

	if (sink == NULL) {
		snprintf(error, error_len, "sink %s: %s", params->config->name, strerror(ENOMEM));
		return -ENOMEM;
	}
	pthread_mutex_init(&sink->lock, NULL);
	pthread_cond_init(&sink->ended_cond, NULL);
	sink->abort_fd = sink->rest_fd = -1;
	sink->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = sink->wake_fd < 0 ? -errno : copy_params(sink, params);
	if (rc < 0)
		snprintf(error, error_len, "sink %s: %s", params->config->name, strerror(-rc));
	else
		rc = prepare(sink, error, error_len);
	if (rc < 0) {
		sl_sink_destroy(sink);
		return rc;
	}
	*created = sink;
	return 0;
}

int
sl_sink_start(struct sl_sink *sink)
{
	sigset_t all, before;
	char name[16];
	int rc;

	sink->is_stopping = sink->is_aborting = sink->has_ended = false;
	/* Signals are for the control thread's loop. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = -pthread_create(&sink->thread, NULL, run, sink);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc < 0)
		return rc;
	sink->is_started = true;
	snprintf(name, sizeof(name), "sl-sink-%s", sink->config.name);
	pthread_setname_np(sink->thread, name);
	return 0;
}

void
sl_sink_begin_stop(struct sl_sink *sink)
{
	if (!sink->is_started || sink->is_stopping)
		return;
	sink->stop_ms = sink_now_ms() + STOP_MS;
	sink->is_stopping = true;
	eventfd_write(sink->wake_fd, 1);
}

void
sl_sink_stop(struct sl_sink *sink)
{
	struct timespec until;

	if (!sink->is_started)
		return;
	sl_sink_begin_stop(sink);
	until.tv_sec = (time_t)(sink->stop_ms / 1000);
	until.tv_nsec = (long)(sink->stop_ms % 1000) * 1000000L;
	pthread_mutex_lock(&sink->lock);
	while (!sink->has_ended &&
		pthread_cond_clockwait(&sink->ended_cond, &sink->lock, CLOCK_MONOTONIC, &until) ==
			0)
		;
	sink->is_aborting = true;
	if (sink->abort_fd >= 0)
		eventfd_write(sink->abort_fd, 1);
	pthread_mutex_unlock(&sink->lock);
	eventfd_write(sink->wake_fd, 1);
	pthread_join(sink->thread, NULL);
	sink->is_started = false;
	sink_set_state(sink, SL_SINK_STOPPED);
}

void
sl_sink_destroy(struct sl_sink *sink)
{
	if (sink == NULL)
		return;
	if (sink->wake_fd >= 0)
		close(sink->wake_fd);
	if (sink->rest_fd >= 0)
		close(sink->rest_fd);
	pthread_cond_destroy(&sink->ended_cond);
	pthread_mutex_destroy(&sink->lock);
	free(sink->config.name);
	free(sink->config.path);
	free(sink->config.conninfo);
	free(sink->node);
	free(sink->directory);
	free(sink);
}

static uint64_t
lag_of(struct sl_sink *sink, const struct sl_journal_status *journal)
{
	uint64_t lag = 0;

	for (uint32_t i = 0; i < SL_STREAMS_MAX; i++) {
		if (journal->durable[i] > sink->bases[i])
			lag += journal->durable[i] - sink->bases[i];
	}
	return lag;
}

void
sl_sink_get_status(struct sl_sink *sink, struct sl_sink_status *status)
{
	struct sl_journal_status *journal = NULL;
	uint64_t now_ms = sink_now_ms();

	if (sink->journal != NULL)
		journal = malloc(sizeof(*journal));
	if (journal != NULL)
		sl_journal_get_status(sink->journal, journal);
	pthread_mutex_lock(&sink->lock);
	*status = sink->status;
	sink->status.write_ns_max = 0;
	if (status->state >= SL_SINK_RETRYING && sink->retry_at_ms > now_ms)
		status->retry_in_ms = sink->retry_at_ms - now_ms;
	if (journal != NULL)
		status->lag_bytes = lag_of(sink, journal);
	pthread_mutex_unlock(&sink->lock);
	free(journal);
}
