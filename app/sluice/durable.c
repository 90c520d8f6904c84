/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "durable.h"
#include "noted.h"
#include "readback.h"
#include "sl_journal.h"
#include "sl_log.h"
#include "sl_publishers.h"
#include "sl_sink.h"
#include "supervisor.h"

#define PROGRESS_S 1
/* A disk that gives nothing for so long has the start end, when somebody supervises it. */
#define SILENCE_S 60

struct durable {
	const struct sl_config *config; /* While it is opened. */
	struct sl_datapath *datapath;
	struct sl_notify *notify;
	struct sl_journal *journal;
	struct sl_publishers *publishers;
	struct noted *noted;
	struct readback *readback;
	struct sl_durable control;
	struct sl_datapath_journal path;
	struct sl_record_ring *rings[SL_STREAMS_MAX];
	char *directory;
	int cpu;
	bool is_started;

	/* The recovery. */
	uint64_t now_ns;
	uint64_t progress_ns;
	uint64_t nb_refs;
	uint64_t refs_size;
	sl_record_ref *refs; /* What was not delivered. */
	uint64_t nb_strange; /* Of those, for destinations there are not. */
	uint64_t strange;    /* One of them. */
	uint64_t nb_orphans; /* For subscribers there are not. */
	int restore_error;
};

static uint64_t
unix_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Recovery. */

static int
remember(struct durable *d, sl_record_ref ref)
{
	if (d->nb_refs == d->refs_size) {
		uint64_t size = d->refs_size == 0 ? 4096 : 2 * d->refs_size;
		sl_record_ref *refs = realloc(d->refs, size * sizeof(*refs));

		if (refs == NULL)
			return -ENOMEM;
		d->refs = refs;
		d->refs_size = size;
	}
	d->refs[d->nb_refs++] = ref;
	return 0;
}

static int
on_undelivered(void *arg, const struct sl_record *record, sl_record_ref ref)
{
	const struct sl_record_message *message = (const struct sl_record_message *)record;
	struct durable *d = arg;
	uint32_t len;
	int rc = sl_datapath_restore(d->datapath, message, ref);

	if (rc == -ENOENT) {
		d->nb_strange++;
		d->strange = sl_wire_get64(sl_record_message_of(message, &len) + SL_WIRE_OFF_DEST);
		rc = 0;
	}
	if (rc == 1 || rc == -ESTALE)
		d->nb_orphans++;
	if (rc >= 0)
		rc = remember(d, ref);
	if (rc == -ESTALE)
		rc = 0;
	d->restore_error = rc;
	noted_recover_undelivered(d->noted, message);
	return rc;
}

static int
on_name(void *arg, const struct sl_record *record, sl_record_ref ref)
{
	struct durable *d = arg;

	RTE_SET_USED(ref);
	noted_recover_name(d->noted, (const struct sl_record_name *)record);
	return 0;
}

static int
on_recent(void *arg, const struct sl_record *record, sl_record_ref ref)
{
	struct durable *d = arg;

	RTE_SET_USED(ref);
	if (record->type == SL_RECORD_MESSAGE)
		sl_datapath_restore_seen(
			d->datapath, (const struct sl_record_message *)record, d->now_ns);
	return 0;
}

static void
on_progress(void *arg, uint64_t done, uint64_t all)
{
	struct durable *d = arg;
	uint64_t now = unix_ns();
	char text[PATH_MAX + 64];

	snprintf(text, sizeof(text), "reading %s: %" PRIu64 " of %" PRIu64 " MB", d->directory,
		done / 1000000, all / 1000000);
	supervisor_starting(SILENCE_S, text);
	if (now - d->progress_ns < PROGRESS_S * UINT64_C(1000000000))
		return;
	d->progress_ns = now;
	sl_log(SL_LOG_journal, SL_LEVEL_NOTIFY, "%s", text);
}

static void
tell_recovery(const struct durable *d, const struct sl_journal_recovery *r)
{
	sl_log(SL_LOG_journal, SL_LEVEL_NOTIFY,
		"%s: run %u; %" PRIu64 " messages in %u segments, %" PRIu64
		" of them not delivered yet; read in %.1f s",
		d->directory, r->incarnation, r->nb_messages, r->nb_segments, r->nb_undelivered,
		(double)(unix_ns() - d->now_ns) / 1e9);
	if (d->nb_strange > 0)
		sl_log(SL_LOG_journal, SL_LEVEL_WARN,
			"%" PRIu64 " messages in the journal are for destinations that are not "
			"configured as at-least-once, the last with key %016" PRIx64
			": they are kept until there is such a destination after a restart",
			d->nb_strange, d->strange);
	if (d->nb_orphans > 0)
		sl_notify(d->notify, SL_LEVEL_WARN, "subscribers_gone",
			json_pack("{s:I}", "messages", (json_int_t)d->nb_orphans),
			"%" PRIu64
			" deliveries in the journal are for subscribers of topics that are "
			"not there any more: they are given up",
			d->nb_orphans);
}

static int
recover(struct durable *d, struct sl_journal_recovery *r, char *error, size_t error_len)
{
	struct sl_journal_visitor visitor = {
		.undelivered = on_undelivered,
		.recent = on_recent,
		.name = on_name,
		.progress = on_progress,
		.arg = d,
	};
	char notice[512] = "";
	int rc;

	d->now_ns = d->progress_ns = unix_ns();
	visitor.since_ns = d->now_ns - d->config->dedup_window_ms * UINT64_C(1000000);
	rc = sl_journal_recover(
		d->directory, &visitor, r, notice, sizeof(notice), error, error_len);
	if (d->restore_error == -ENOSPC)
		snprintf(error, error_len,
			"journal.parked_capacity: more than %u messages wait in %s; raise it",
			d->config->journal.parked_capacity, d->directory);
	if (rc != 0)
		return rc;
	if (notice[0] != '\0')
		sl_notify(d->notify, SL_LEVEL_NOTIFY, "journal_cut", NULL, "%s", notice);
	tell_recovery(d, r);
	return 0;
}

/* Opening. */

static void
hold(void *journal, uint32_t worker, sl_record_ref ref)
{
	sl_journal_hold(journal, worker, ref);
}

static void
release(void *journal, uint32_t worker, sl_record_ref ref)
{
	sl_journal_release(journal, worker, ref);
}

static void
on_durable(void *arg, const struct sl_record *record, uint64_t now_ns)
{
	struct durable *d = arg;

	if (unlikely(record->type == SL_RECORD_NAME))
		noted_durable(d->noted, record);
	else
		sl_publishers_durable(d->publishers, record, now_ns);
}

static void
on_batch(void *arg, uint64_t now_ns)
{
	struct durable *d = arg;

	noted_batch(d->noted);
	sl_publishers_batch(d->publishers, now_ns);
}

/* What the operator should know of the disk. */
static void
tell_notice(const struct durable *d)
{
	struct sl_journal_status *status = malloc(sizeof(*status));

	if (status == NULL)
		return;
	sl_journal_get_status(d->journal, status);
	if (status->notice[0] != '\0')
		sl_log(SL_LOG_journal, SL_LEVEL_WARN, "%s", status->notice);
	free(status);
}

static int
open_journal(struct durable *d, char *error, size_t error_len)
{
	const struct sl_config_journal *config = &d->config->journal;
	const struct sl_journal_params params = {
		.directory = d->directory,
		.segment_bytes = config->segment_bytes,
		.ring_bytes = config->ring_bytes,
		.max_bytes = config->max_bytes,
		.retention_bytes = config->retention_bytes,
		.retention_ms = config->retention_ms,
		.commit_interval_us = config->commit_interval_us,
		.is_direct = config->is_direct,
		.nb_streams = sl_datapath_nb_workers(d->datapath),
		.node = d->config->node,
		.durable = on_durable,
		.batch = on_batch,
		.arg = d,
	};
	struct sl_journal_recovery *recovery = malloc(sizeof(*recovery));
	int rc;

	if (recovery == NULL)
		return -ENOMEM;
	rc = recover(d, recovery, error, error_len);
	if (rc == 0)
		rc = sl_journal_open(&params, recovery, &d->journal, error, error_len);
	free(recovery);
	if (rc == 0)
		rc = noted_open(d->noted, d->journal);
	if (rc != 0)
		return rc;
	tell_notice(d);
	for (uint64_t i = 0; i < d->nb_refs; i++)
		sl_journal_hold(d->journal, 0, d->refs[i]);
	free(d->refs);
	d->refs = NULL;
	for (uint32_t w = 0; w < params.nb_streams; w++)
		d->rings[w] = sl_journal_ring(d->journal, w);
	d->path = (struct sl_datapath_journal){
		.rings = d->rings, .hold = hold, .release = release, .arg = d->journal};
	sl_datapath_set_journal(d->datapath, &d->path);
	return 0;
}

static void
on_sink_event(void *arg, const struct sl_sink_event *event)
{
	struct durable *d = arg;

	sl_notify(d->notify, event->level, event->kind,
		json_pack("{s:s, s:s, s:s}", "sink", event->sink, "server", event->server,
			"sqlstate", event->sqlstate),
		"%s", event->text);
}

static int
create_sinks(struct durable *d, char *error, size_t error_len)
{
	struct sl_sink_params params = {
		.node = d->config->node,
		.directory = d->directory,
		.journal = d->journal,
		.event = on_sink_event,
		.arg = d,
	};
	int rc = 0;

	for (uint32_t c = 0; c < d->config->nb_classes && c < RTE_DIM(params.levels); c++)
		params.levels[c] = (uint8_t)d->config->classes[c].level;
	for (uint32_t i = 0; rc == 0 && i < d->config->nb_sinks; i++) {
		params.config = &d->config->sinks[i];
		rc = sl_sink_create(&params, &d->control.sinks[i], error, error_len);
		d->control.nb_sinks += rc == 0;
	}
	return rc;
}

static void
fill_control(struct durable *d)
{
	d->control.journal = d->journal;
	d->control.journal_status = sl_journal_get_status;
	d->control.journal_retention = sl_journal_set_retention;
	d->control.publishers = d->publishers;
	d->control.publishers_list = sl_publishers_list;
	d->control.publishers_stats = sl_publishers_get_stats;
	d->control.sessions = sl_datapath_get_sessions;
	d->control.sink_status = sl_sink_get_status;
}

int
durable_open(struct event_base *base, const struct sl_config *config, struct sl_datapath *datapath,
	struct sl_notify *notify, struct durable **durable, char *error, size_t error_len)
{
	struct durable *d;
	int rc;

	*durable = NULL;
	if (config->journal.directory == NULL)
		return 0;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	*durable = d;
	d->config = config;
	d->datapath = datapath;
	d->notify = notify;
	d->cpu = config->journal.cpu;
	d->directory = strdup(config->journal.directory);
	if (d->directory == NULL)
		return -ENOMEM;
	rc = noted_create(base, config, datapath, &d->noted);
	if (rc == 0)
		rc = sl_publishers_create(config, datapath, &d->publishers, error, error_len);
	if (rc == 0)
		rc = open_journal(d, error, error_len);
	if (rc == 0)
		rc = create_sinks(d, error, error_len);
	if (rc == 0)
		fill_control(d);
	return rc;
}

const struct sl_durable *
durable_of(const struct durable *d)
{
	return d != NULL ? &d->control : NULL;
}

void
durable_applied(struct durable *d, const struct sl_config *config)
{
	if (d != NULL)
		noted_applied(d->noted, config);
}

void
durable_poll(struct durable *d, const struct sl_config *config)
{
	if (d != NULL)
		noted_poll(d->noted, config);
}

struct noted *
durable_noted(const struct durable *d)
{
	return d != NULL ? d->noted : NULL;
}

int
durable_start(struct durable *d, char *error, size_t error_len)
{
	int rc;

	if (d == NULL)
		return 0;
	rc = sl_journal_start(d->journal, d->cpu);
	if (rc != 0) {
		snprintf(
			error, error_len, "the journal's thread does not start: %s", strerror(-rc));
		return rc;
	}
	d->is_started = true;
	durable_applied(d, d->config);
	d->config = NULL;
	rc = readback_start(d->datapath, d->directory, d->journal, &d->readback, error, error_len);
	for (uint32_t i = 0; rc == 0 && i < d->control.nb_sinks; i++)
		rc = sl_sink_start(d->control.sinks[i]);
	return rc;
}

void
durable_stop(struct durable *d)
{
	if (d == NULL || !d->is_started)
		return;
	readback_stop(d->readback);
	sl_journal_stop(d->journal);
	for (uint32_t i = 0; i < d->control.nb_sinks; i++)
		sl_sink_begin_stop(d->control.sinks[i]);
	for (uint32_t i = 0; i < d->control.nb_sinks; i++)
		sl_sink_stop(d->control.sinks[i]);
}

void
durable_close(struct durable *d)
{
	if (d == NULL)
		return;
	for (uint32_t i = 0; i < d->control.nb_sinks; i++)
		sl_sink_destroy(d->control.sinks[i]);
	sl_journal_close(d->journal);
	sl_publishers_destroy(d->publishers);
	noted_destroy(d->noted);
	free(d->refs);
	free(d->directory);
	free(d);
}
