/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Opening and closing a journal, and the thread that turns its core. */
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <rte_common.h>
#include <rte_pause.h>

#include "writer.h"

/*
 * Nobody wakes the thread, so that publishing costs no system call. It looks again at once a few
 * times, then sleeps: briefly after there was something, longer the longer there was nothing.
 */
/* The hook of batches is called so often while there are none. */
#define BATCH_IDLE_NS UINT64_C(500000)

#define SPINS		 32
#define SLEEP_MIN_NS	 20000
#define SLEEP_MAX_NS	 1000000
#define STOP_PATIENCE_NS (5 * SECOND_NS)

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static uint64_t
unix_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

static int
check_params(const struct sl_journal_params *params, char *error, size_t error_len)
{
	uint64_t segment = params->segment_bytes, ring = params->ring_bytes;

	if ((segment & (segment - 1)) != 0 || segment < 1 << 20 || segment > 1 << 30) {
		snprintf(error, error_len,
			"journal.segment_bytes has to be a power of 2 from 1 MiB to 1 GiB");
		return -EINVAL;
	}
	if ((ring & (ring - 1)) != 0 || ring < 1 << 20) {
		snprintf(error, error_len,
			"journal.ring_bytes has to be a power of 2 of at least 1 MiB");
		return -EINVAL;
	}
	if (params->nb_streams == 0 || params->nb_streams > SL_STREAMS_MAX) {
		snprintf(error, error_len, "a journal has 1 to %u workers", SL_STREAMS_MAX);
		return -EINVAL;
	}
	if (params->max_bytes < 2 * params->nb_streams * (segment + SL_SEGMENT_HEADER)) {
		snprintf(error, error_len,
			"journal.max_bytes has to hold more than two segments of %u workers",
			params->nb_streams);
		return -EINVAL;
	}
	return 0;
}

static int
check_found(const struct sl_journal_recovery *recovery, const struct sl_journal_segment *found,
	uint32_t nb_found, char *error, size_t error_len)
{
	for (uint32_t i = 0; i < nb_found; i++) {
		if (found[i].header.incarnation >= recovery->incarnation ||
			found[i].synced > recovery->end[found[i].header.stream]) {
			snprintf(error, error_len, "%s: not what was recovered; recover again",
				found[i].name);
			return -EINVAL;
		}
	}
	return 0;
}

static int
init_streams(struct sl_journal *j, const struct sl_journal_recovery *recovery,
	const struct sl_journal_segment *found, uint32_t nb_found)
{
	const struct sl_journal_params *params = &j->params;
	int rc;

	for (uint32_t i = 0; i < j->nb_known; i++) {
		TAILQ_INIT(&j->streams[i].segments);
		TAILQ_INIT(&j->streams[i].prepared);
		j->streams[i].number = i;
	}
	rc = keep_init(j, recovery, found, nb_found);
	for (uint32_t i = 0; rc == 0 && i < j->nb_streams; i++) {
		struct stream *s = &j->streams[i];

		s->sealed = s->start;
		s->written = s->start;
		s->synced = s->start;
		s->durable = s->start;
		rc = sl_record_ring_init(&s->ring, i, j->incarnation, s->start, params->ring_bytes,
			params->segment_bytes);
	}
	return rc;
}

static uint32_t
count_streams(uint32_t nb_streams, const struct sl_journal_recovery *recovery,
	const struct sl_journal_segment *found, uint32_t nb_found)
{
	struct journal_name name;

	for (uint32_t i = nb_streams; i < SL_STREAMS_MAX; i++)
		if (recovery->end[i] != 0)
			nb_streams = i + 1;
	for (uint32_t i = 0; i < nb_found; i++)
		if (journal_name_parse(found[i].name, &name))
			nb_streams = RTE_MAX(nb_streams, name.stream + 1);
	return nb_streams;
}

static void *
aligned_zalloc(size_t align, size_t size)
{
	void *p = aligned_alloc(align, RTE_ALIGN_CEIL(size, align));

	if (p != NULL)
		memset(p, 0, size);
	return p;
}

int
sl_journal_core_open(const struct sl_journal_params *params,
	const struct sl_journal_recovery *recovery, const struct sl_journal_disk *disk,
	const struct sl_journal_segment *found, uint32_t nb_found, struct sl_journal **journal,
	char *error, size_t error_len)
{
	struct sl_journal *j;
	int rc = check_params(params, error, error_len);

	if (rc == 0)
		rc = check_found(recovery, found, nb_found, error, error_len);
	if (rc < 0)
		return rc;
	j = calloc(1, sizeof(*j));
	if (j == NULL)
		return -ENOMEM;
	j->params = *params;
	j->disk = *disk;
	j->incarnation = recovery->incarnation;
	j->nb_streams = params->nb_streams;
	j->nb_known = count_streams(params->nb_streams, recovery, found, nb_found);
	sl_journal_set_retention(j, params->retention_bytes, params->retention_ms);
	TAILQ_INIT(&j->trash);
	pthread_mutex_init(&j->lock, NULL);
	j->directory = strdup(params->directory);
	j->params.directory = j->directory;
	j->block = aligned_zalloc(JOURNAL_BLOCK, SL_SEGMENT_HEADER);
	j->workers = aligned_zalloc(RTE_CACHE_LINE_SIZE, j->nb_streams * sizeof(*j->workers));
	j->streams = aligned_zalloc(RTE_CACHE_LINE_SIZE, j->nb_known * sizeof(*j->streams));
	rc = -ENOMEM;
	if (j->directory != NULL && j->block != NULL && j->workers != NULL && j->streams != NULL)
		rc = init_streams(j, recovery, found, nb_found);
	if (rc < 0) {
		snprintf(error, error_len,
			"%s: no memory for %u rings of %" PRIu64
			" bytes: %s; see journal.ring_bytes",
			params->directory, params->nb_streams, params->ring_bytes, strerror(-rc));
		sl_journal_close(j);
		return rc;
	}
	*journal = j;
	return 0;
}

int
sl_journal_open(const struct sl_journal_params *params, const struct sl_journal_recovery *recovery,
	struct sl_journal **journal, char *error, size_t error_len)
{
	struct sl_journal_segment *found = NULL;
	struct sl_journal_disk ops;
	struct posix_disk *disk;
	char notice[160] = "";
	uint32_t nb_found = 0;
	int rc;

	rc = posix_open(params->directory, params->is_direct, &disk, &ops, notice, sizeof(notice),
		error, error_len);
	if (rc < 0)
		return rc;
	rc = posix_find(disk, &found, &nb_found, error, error_len);
	if (rc == 0)
		rc = sl_journal_core_open(
			params, recovery, &ops, found, nb_found, journal, error, error_len);
	free(found);
	if (rc < 0) {
		posix_close(disk);
		return rc;
	}
	(*journal)->posix = disk;
	memcpy((*journal)->status.notice, notice, sizeof(notice));
	return 0;
}

static void
nap(uint32_t *nb_idle)
{
	struct timespec sleep = {.tv_nsec = SLEEP_MIN_NS};

	if ((*nb_idle)++ < SPINS) {
		rte_pause();
		return;
	}
	sleep.tv_nsec = RTE_MIN(
		SLEEP_MIN_NS + (long)(*nb_idle - SPINS) * SLEEP_MIN_NS / 64, (long)SLEEP_MAX_NS);
	nanosleep(&sleep, NULL);
}

/* Turn until all is durable, or the disk fails for too long. */
static void
drain(struct sl_journal *j)
{
	uint64_t since_ns = clock_ns(CLOCK_MONOTONIC);
	uint32_t nb_idle = 0;

	while (sl_journal_core_is_pending(j)) {
		if (sl_journal_core_write(j, unix_ns())) {
			sl_journal_core_commit(j, unix_ns());
			since_ns = clock_ns(CLOCK_MONOTONIC);
		} else if (clock_ns(CLOCK_MONOTONIC) - since_ns > STOP_PATIENCE_NS) {
			return;
		} else {
			nap(&nb_idle);
		}
	}
}

static void *
run(void *arg)
{
	struct sl_journal *j = arg;
	uint64_t told_ns = 0, now_ns;
	uint32_t nb_idle = 0;

	/* Else the kernel adds 50 us to each nap. */
	prctl(PR_SET_TIMERSLACK, 1000);
	while (!atomic_load_explicit(&j->is_stopping, memory_order_acquire)) {
		if (sl_journal_core_write(j, unix_ns())) {
			sl_journal_core_commit(j, unix_ns());
			nb_idle = 0;
			continue;
		}
		/* Who acknowledges has work without a batch, too. */
		now_ns = unix_ns();
		if (j->params.batch != NULL && now_ns - told_ns > BATCH_IDLE_NS) {
			j->params.batch(j->params.arg, now_ns);
			told_ns = now_ns;
		}
		nap(&nb_idle);
	}
	/* Batches are not kept apart any more. */
	j->params.commit_interval_us = 0;
	drain(j);
	if (!sl_journal_core_is_pending(j)) {
		sl_journal_core_put_close(j, unix_ns());
		drain(j);
	}
	return NULL;
}

int
sl_journal_start(struct sl_journal *j, int cpu)
{
	pthread_attr_t attr;
	sigset_t all, before;
	cpu_set_t cpus;
	int rc;

	rc = -pthread_attr_init(&attr);
	if (rc < 0)
		return rc;
	if (cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET((unsigned int)cpu, &cpus);
		rc = -pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	}
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	if (rc == 0)
		rc = -pthread_create(&j->thread, &attr, run, j);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (rc < 0)
		return rc;
	pthread_setname_np(j->thread, "sl-journal");
	j->is_started = true;
	return 0;
}

void
sl_journal_stop(struct sl_journal *j)
{
	if (!j->is_started)
		return;
	atomic_store_explicit(&j->is_stopping, true, memory_order_release);
	pthread_join(j->thread, NULL);
	j->is_started = false;
}

void
sl_journal_close(struct sl_journal *j)
{
	if (j == NULL)
		return;
	sl_journal_stop(j);
	for (uint32_t i = 0; j->streams != NULL && i < j->nb_streams; i++)
		sl_record_ring_free(&j->streams[i].ring);
	if (j->streams != NULL)
		keep_free(j);
	if (j->posix != NULL)
		posix_close(j->posix);
	pthread_mutex_destroy(&j->lock);
	free(j->directory);
	free(j->block);
	free(j->workers);
	free(j->streams);
	free(j);
}

void
sl_journal_get_status(struct sl_journal *j, struct sl_journal_status *status)
{
	uint64_t held = 0, released = 0;

	pthread_mutex_lock(&j->lock);
	*status = j->status;
	pthread_mutex_unlock(&j->lock);
	if (j->posix != NULL)
		posix_sync_times(j->posix, &status->sync_ns, &status->sync_ns_max);
	/* Releases first: none of them is without its hold then. */
	for (uint32_t i = 0; i < j->nb_streams; i++)
		released += atomic_load_explicit(&j->workers[i].released, memory_order_acquire);
	for (uint32_t i = 0; i < j->nb_streams; i++)
		held += atomic_load_explicit(&j->workers[i].held, memory_order_relaxed);
	status->undelivered = held - released;
	status->incarnation = j->incarnation;
	for (uint32_t i = 0; i < j->nb_known; i++) {
		uint8_t *bytes;

		status->durable[i] = journal_durable(j, i);
		if (i < j->nb_streams)
			status->pending_bytes += sl_record_ring_peek(
				&j->streams[i].ring, status->durable[i], &bytes);
	}
}
