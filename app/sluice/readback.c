/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>

#include "readback.h"
#include "sl_log.h"

/* How often it looks for work: soon after it had some, seldom when there is none. */
#define LOOK_MIN_US 50u
#define LOOK_MAX_US 1000u

/* When what cannot be read is tried again: for want of a buffer, or as the disk does not read. */
#define AGAIN_MS 1u
#define DISK_MS	 100u

/* It is told so often, as long as it goes on. */
#define TELL_S 60

struct readback {
	struct sl_datapath *datapath;
	struct sl_journal_reader *reader;
	uint8_t *buf;
	pthread_t thread;
	_Atomic bool must_stop;
	time_t told_s; /* When it last said that reading fails; 0: never. */
};

static void
tell_failure(struct readback *rb)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (rb->told_s != 0 && now.tv_sec - rb->told_s < TELL_S)
		return;
	rb->told_s = now.tv_sec;
	sl_log(SL_LOG_journal, SL_LEVEL_ERROR, "reading back fails, tried again: %s",
		sl_journal_reader_error(rb->reader));
}

/* It waits for nothing: others, whose messages can be read, would wait as well.
 * @return 0: it is filled in; else it may be tried again after so many milliseconds */
static uint32_t
read_one(struct readback *rb, struct dp_fetch *fetch, uint32_t index)
{
	const struct sl_record *record = (const struct sl_record *)rb->buf;
	int rc = sl_journal_reader_get(rb->reader, sl_fetch_ref(fetch, index), rb->buf);

	if (rc == -EAGAIN)
		return AGAIN_MS;
	if (rc == 0 && record->type == SL_RECORD_MESSAGE)
		return sl_fetch_fill(fetch, index, (const struct sl_record_message *)record)
			? 0
			: AGAIN_MS;
	/* Whatever else it is, it may pass. */
	if (rc != 0 && rc != -ENOENT && rc != -EBADMSG && rc != -EINVAL) {
		tell_failure(rb);
		return DISK_MS;
	}
	sl_log(SL_LOG_journal, SL_LEVEL_ERROR, "a message is lost, it cannot be read back: %s",
		rc == 0 ? "there is another record" : sl_journal_reader_error(rb->reader));
	sl_fetch_fill(fetch, index, NULL);
	return 0;
}

static void
read_all(struct readback *rb, uint32_t worker, struct dp_fetch *fetch)
{
	uint32_t n = sl_fetch_count(fetch), wait_ms = 0;

	for (uint32_t i = 0; i < n && wait_ms == 0; i++) {
		wait_ms = read_one(rb, fetch, i);
		if (wait_ms > 0)
			sl_fetch_put_off(fetch, i, wait_ms);
	}
	sl_datapath_return_fetch(rb->datapath, worker, fetch);
}

static void *
run(void *arg)
{
	struct readback *rb = arg;
	uint32_t nb_workers = sl_datapath_nb_workers(rb->datapath);
	unsigned int wait_us = LOOK_MAX_US;

	pthread_setname_np(pthread_self(), "sl-readback");
	while (!atomic_load(&rb->must_stop)) {
		bool has_worked = false;

		for (uint32_t w = 0; w < nb_workers; w++) {
			struct dp_fetch *fetch = sl_datapath_next_fetch(rb->datapath, w);

			if (fetch == NULL)
				continue;
			has_worked = true;
			read_all(rb, w, fetch);
		}
		wait_us = has_worked ? LOOK_MIN_US : RTE_MIN(2 * wait_us, LOOK_MAX_US);
		if (!has_worked)
			usleep(wait_us);
	}
	return NULL;
}

int
readback_start(struct sl_datapath *datapath, const char *directory, struct sl_journal *journal,
	struct readback **readback, char *error, size_t error_len)
{
	struct readback *rb = calloc(1, sizeof(*rb));
	int rc;

	if (rb == NULL)
		return -ENOMEM;
	rb->datapath = datapath;
	if (posix_memalign((void **)&rb->buf, SL_SEGMENT_HEADER, SL_RECORD_LEN_MAX) != 0)
		rc = -ENOMEM;
	else
		rc = sl_journal_reader_open(directory, journal, &rb->reader, error, error_len);
	if (rc == 0)
		rc = -pthread_create(&rb->thread, NULL, run, rb);
	if (rc != 0) {
		sl_journal_reader_close(rb->reader);
		free(rb->buf);
		free(rb);
		return rc;
	}
	*readback = rb;
	return 0;
}

void
readback_stop(struct readback *rb)
{
	if (rb == NULL)
		return;
	atomic_store(&rb->must_stop, true);
	pthread_join(rb->thread, NULL);
	sl_journal_reader_close(rb->reader);
	free(rb->buf);
	free(rb);
}
