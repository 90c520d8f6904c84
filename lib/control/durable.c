/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include <rte_common.h>

#include "control_internal.h"
#include "durable_internal.h"

#define RATE_SECONDS 10

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	durable_tick(arg, control_now_ms());
}

static int
start_timer(struct durable *d, struct event_base *base)
{
	const struct timeval interval = {.tv_sec = 1};

	d->timer = event_new(base, -1, EV_PERSIST, on_tick, d);
	return d->timer == NULL || event_add(d->timer, &interval) != 0 ? -ENOMEM : 0;
}

struct durable *
durable_create(struct event_base *base, const struct durable_params *params,
	const struct sl_config *config)
{
	struct durable *d = calloc(1, sizeof(*d));
	struct durable_backends *backends;

	if (d == NULL)
		return NULL;
	d->params = *params;
	backends = durable_follow(d, config);
	/* Counters begin at 0 with the process; those of a backend that comes later may not. */
	for (uint32_t i = 0; backends != NULL && i < backends->nb; i++)
		backends->list[i].is_known = true;
	if (backends != NULL)
		durable_replace(d, config, backends);
	if (backends == NULL ||
		(base != NULL && durable_is_there(d) && start_timer(d, base) != 0)) {
		durable_destroy(d);
		return NULL;
	}
	return d;
}

void
durable_destroy(struct durable *d)
{
	if (d == NULL)
		return;
	if (d->timer != NULL)
		event_free(d->timer);
	free(d->backends);
	free(d);
}

bool
durable_is_there(const struct durable *d)
{
	return d->params.of != NULL;
}

void
durable_retention(const struct durable *d, const struct sl_config_journal *journal)
{
	if (durable_is_there(d) && d->params.of->journal_retention != NULL)
		d->params.of->journal_retention(
			d->params.of->journal, journal->retention_bytes, journal->retention_ms);
}

/* Some second's, or those of a part of it: the maximum is whose turn it was asked in. */
static void
read_status(struct durable *d, struct sl_journal_status *status)
{
	memset(status, 0, sizeof(*status));
	d->params.of->journal_status(d->params.of->journal, status);
	d->sync_ns_max = RTE_MAX(d->sync_ns_max, status->sync_ns_max);
}

static void
note_second(struct durable *d, const struct sl_journal_status *status, uint64_t now_ms)
{
	struct durable_second *second;

	/* Counters begin at 0 with the process. */
	if (d->nb_ticks == 0)
		d->seconds[d->nb_ticks++].at_ms = now_ms - 1000;
	second = &d->seconds[d->nb_ticks % DURABLE_WINDOW];
	*second = (struct durable_second){
		.at_ms = now_ms,
		.records = status->records,
		.bytes = status->bytes,
		.syncs = status->syncs,
		.sync_ns_sum = status->sync_ns.sum,
		.sync_ns_max = d->sync_ns_max,
	};
	d->sync_ns_max = 0;
}

void
durable_tick(struct durable *d, uint64_t now_ms)
{
	struct sl_journal_status status;
	struct sl_sink_status sink;

	read_status(d, &status);
	for (uint32_t i = 0; i < durable_nb_sinks(d); i++) {
		durable_sink(d, i, &sink);
		d->sinks[i].write_ns_max[d->nb_ticks % DURABLE_WINDOW] = d->sinks[i].pending_max;
		d->sinks[i].pending_max = 0;
	}
	note_second(d, &status, now_ms);
	if (d->nb_ticks % DURABLE_MARK_EVERY == 0)
		d->marks[(d->nb_ticks / DURABLE_MARK_EVERY) % DURABLE_MARKS] = status.sync_ns;
	durable_tell(d, &status, now_ms);
	d->nb_ticks++;
}

/* The second that lies `back` before the latest, as far as there are so many; NULL: there is none.
 */
static const struct durable_second *
second_before(const struct durable *d, uint64_t back)
{
	uint64_t nb = RTE_MIN(d->nb_ticks, (uint64_t)DURABLE_WINDOW);

	if (nb == 0)
		return NULL;
	return &d->seconds[(d->nb_ticks - 1 - RTE_MIN(back, nb - 1)) % DURABLE_WINDOW];
}

static void
compute_rates(const struct durable *d, struct durable_rates *rates)
{
	const struct durable_second *latest = second_before(d, 0), *before;
	uint64_t nb = RTE_MIN(d->nb_ticks, (uint64_t)DURABLE_WINDOW);
	double seconds;

	memset(rates, 0, sizeof(*rates));
	rates->sync_ns_max = d->sync_ns_max;
	if (latest == NULL)
		return;
	before = second_before(d, RATE_SECONDS);
	seconds = (double)(latest->at_ms - before->at_ms) / 1e3;
	if (seconds > 0) {
		rates->records_per_s = (double)(latest->records - before->records) / seconds;
		rates->bytes_per_s = (double)(latest->bytes - before->bytes) / seconds;
	}
	before = second_before(d, DURABLE_WINDOW);
	if (latest->syncs > before->syncs)
		rates->sync_ns_mean = (double)(latest->sync_ns_sum - before->sync_ns_sum) /
			(double)(latest->syncs - before->syncs);
	for (uint64_t i = 0; i < nb; i++)
		rates->sync_ns_max = RTE_MAX(rates->sync_ns_max, d->seconds[i].sync_ns_max);
}

static void
compute_quantiles(
	const struct durable *d, const struct sl_hist *sync_ns, struct durable_rates *rates)
{
	uint64_t nb_marks = (d->nb_ticks + DURABLE_MARK_EVERY - 1) / DURABLE_MARK_EVERY;
	const struct sl_hist *mark = &d->marks[nb_marks % DURABLE_MARKS];
	struct sl_hist last = *sync_ns;

	/* The oldest of them. Before there are as many it is empty: all since the start. */
	for (unsigned int i = 0; i < SL_HIST_BUCKETS; i++)
		last.buckets[i] -= mark->buckets[i];
	rates->sync_ns_p50 = sl_hist_quantile(&last, 0.5);
	rates->sync_ns_p99 = sl_hist_quantile(&last, 0.99);
}

void
durable_journal(struct durable *d, struct sl_journal_status *status, struct durable_rates *rates)
{
	read_status(d, status);
	compute_rates(d, rates);
	compute_quantiles(d, &status->sync_ns, rates);
}

bool
durable_disk(const struct sl_config *config, uint64_t *free_bytes, uint64_t *size_bytes)
{
	struct statvfs fs;

	if (config->journal.directory == NULL || statvfs(config->journal.directory, &fs) != 0)
		return false;
	*free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	*size_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
	return true;
}

void
durable_publishers_stats(const struct durable *d, struct sl_publishers_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	if (durable_is_there(d) && d->params.of->publishers != NULL)
		d->params.of->publishers_stats(d->params.of->publishers, stats);
}

struct sl_publisher_stats *
durable_publishers(const struct durable *d, uint32_t *nb)
{
	struct sl_publishers_stats total;
	struct sl_publisher_stats *list;

	durable_publishers_stats(d, &total);
	*nb = 0;
	list = calloc((size_t)total.sessions + 1, sizeof(*list));
	if (list != NULL && total.sessions > 0)
		*nb = d->params.of->publishers_list(d->params.of->publishers, list, total.sessions);
	return list;
}

uint32_t
durable_sessions(const struct durable *d, uint32_t destination, uint32_t backend,
	struct sl_session_stats stats[DURABLE_SESSIONS_MAX])
{
	if (!durable_is_there(d) || d->params.of->sessions == NULL)
		return 0;
	return d->params.of->sessions(
		d->params.datapath, destination, backend, stats, DURABLE_SESSIONS_MAX);
}

uint32_t
durable_nb_sinks(const struct durable *d)
{
	return durable_is_there(d) ? d->params.of->nb_sinks : 0;
}

void
durable_sink(struct durable *d, uint32_t index, struct sl_sink_status *status)
{
	struct durable_sink_window *window = &d->sinks[index];

	memset(status, 0, sizeof(*status));
	d->params.of->sink_status(d->params.of->sinks[index], status);
	window->pending_max = RTE_MAX(window->pending_max, status->write_ns_max);
	status->write_ns_max = window->pending_max;
	for (unsigned int i = 0; i < DURABLE_WINDOW; i++)
		status->write_ns_max = RTE_MAX(status->write_ns_max, window->write_ns_max[i]);
}

const char *
durable_state_name(enum sl_journal_state state)
{
	static const char *const names[] = {
		[SL_JOURNAL_OK] = "OK", [SL_JOURNAL_FULL] = "FULL", [SL_JOURNAL_FAILED] = "FAILED"};

	return names[state];
}

const char *
durable_sink_state_name(enum sl_sink_state state)
{
	static const char *const names[] = {
		[SL_SINK_STOPPED] = "stopped",
		[SL_SINK_CONNECTING] = "connecting",
		[SL_SINK_RUNNING] = "running",
		[SL_SINK_RETRYING] = "retrying",
		[SL_SINK_BROKEN] = "broken",
		[SL_SINK_REFUSED] = "refused",
	};

	return names[state];
}
