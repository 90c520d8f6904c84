/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Recovery: one pass over everything, that tells names and what is recent and learns outcomes; then
 * one over the segments that hold messages without an outcome.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "outcomes.h"
#include "walk.h"

#define PROGRESS_NS UINT64_C(250000000)

struct recover {
	struct segments set;
	struct walk walk;
	struct outcomes outcomes;
	const struct sl_journal_visitor *visitor;
	struct sl_journal_recovery *recovery;
	uint64_t *run_ends; /* Of each run: behind its last record. */
	uint64_t done_bytes;
	uint64_t all_bytes;
	uint64_t told_ns;
	char *error;
	size_t error_len;
};

static void
say_damage(const struct recover *r, const char *text)
{
	snprintf(r->error, r->error_len,
		"%s; \"sluice-journal verify %s\" lists all damage, \"sluice-journal repair\" makes "
		"it start without what is damaged; or restore the directory from a copy",
		text, r->set.path);
}

static int
say_failed(const struct recover *r, const char *name, const char *what, int rc)
{
	snprintf(r->error, r->error_len, "%s%s%s: %s: %s", r->set.path, name[0] == '\0' ? "" : "/",
		name, what, strerror(-rc));
	return rc;
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void
tell_progress(struct recover *r, uint64_t bytes)
{
	uint64_t now;

	r->done_bytes += bytes;
	if (r->visitor->progress == NULL)
		return;
	now = now_ns();
	if (now - r->told_ns < PROGRESS_NS && r->done_bytes < r->all_bytes)
		return;
	r->told_ns = now;
	r->visitor->progress(r->visitor->arg, r->done_bytes, r->all_bytes);
}

static uint64_t
nb_bytes(const struct segment *segment)
{
	return segment->found.size > SL_SEGMENT_HEADER ? segment->found.size - SL_SEGMENT_HEADER
						       : 0;
}

/*
 * What the process before wrote and did not sync may be in the page cache alone, also when a sync
 * failed since. What is recovered is acknowledged later without being written again: so it is made
 * durable first, and then read from the disk.
 */
static int
settle(struct recover *r)
{
	for (uint32_t i = 0; i < r->set.nb; i++) {
		const struct segment *segment = &r->set.all[i];
		int fd, rc = 0;

		/* The header of the next one says that this was synced. */
		if (i + 1 < r->set.stream_first[segment->found.header.stream + 1])
			continue;
		fd = openat(r->set.directory, segment->found.name, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fdatasync(fd) != 0)
			rc = -errno;
		else
			posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		if (fd >= 0)
			close(fd);
		if (rc != 0)
			return say_failed(r, segment->found.name, "cannot be synced", rc);
	}
	return 0;
}

static int
check_headers(struct recover *r)
{
	struct walk_place place = {.what = "the header is damaged"};
	char text[WALK_LINE_MAX];

	for (uint32_t i = 0; i < r->set.nb_all; i++) {
		const struct segment *segment = &r->set.all[i];
		uint32_t incarnation = segment->found.header.incarnation;

		r->all_bytes += nb_bytes(segment);
		if (incarnation >= r->recovery->incarnation)
			r->recovery->incarnation = incarnation + 1;
		if (segment->state != JOURNAL_HEADER_BAD)
			continue;
		memcpy(place.name, segment->found.name, sizeof(place.name));
		place.stream = segment->name.stream;
		place.position = segment->name.base;
		walk_describe(&r->set, &place, text, sizeof(text));
		say_damage(r, text);
		return -EBADMSG;
	}
	r->recovery->nb_segments = r->set.nb_whole;
	return 0;
}

static int
visit(struct recover *r, sl_journal_visit_t call, const struct sl_record *record)
{
	uint32_t stream = r->set.all[r->walk.segment].found.header.stream;

	if (call == NULL)
		return 0;
	return call(r->visitor->arg, record, sl_record_ref_of(stream, record->position));
}

static int
take_record(struct recover *r, const struct sl_record *record)
{
	const struct sl_journal_visitor *visitor = r->visitor;
	bool is_recent = record->time_ns >= visitor->since_ns;
	int rc;

	r->recovery->nb_records++;
	r->recovery->bytes += sl_record_stride(record->len);
	switch (record->type) {
	case SL_RECORD_MESSAGE:
		r->recovery->nb_messages++;
		rc = outcomes_message(&r->outcomes, (const struct sl_record_message *)record);
		return rc == 0 && is_recent ? visit(r, visitor->recent, record) : rc;
	case SL_RECORD_DUPLICATE:
		return is_recent ? visit(r, visitor->recent, record) : 0;
	case SL_RECORD_DONE:
		return outcomes_done(&r->outcomes, (const struct sl_record_done *)record);
	case SL_RECORD_NAME:
		return visit(r, visitor->name, record);
	default:
		return 0;
	}
}

static int
fail_walk(struct recover *r, int rc)
{
	char text[WALK_LINE_MAX];

	if (rc != -EBADMSG)
		return say_failed(r, r->set.all[r->walk.segment].found.name, "cannot be read", rc);
	walk_describe(&r->set, &r->walk.place, text, sizeof(text));
	say_damage(r, text);
	return rc;
}

static int
read_run(struct recover *r, const struct run *run)
{
	const struct sl_record *record;
	struct walk *walk = &r->walk;
	uint32_t segment = run->first;
	uint64_t begin, told;
	int rc;

	walk_begin(walk, run->first, run->nb, 0);
	begin = told = walk->at;
	outcomes_enter(&r->outcomes, segment);
	while ((rc = walk_next(walk, &record)) > 0) {
		if (walk->segment != segment) {
			segment = walk->segment;
			outcomes_enter(&r->outcomes, segment);
		}
		rc = take_record(r, record);
		if (rc != 0)
			return rc;
		if (walk->at - told >= WALK_WINDOW_SMALL) {
			tell_progress(r, walk->at - told);
			told = walk->at;
		}
	}
	outcomes_leave(&r->outcomes);
	if (rc < 0)
		return fail_walk(r, rc);
	tell_progress(r, walk->at - told);
	r->run_ends[run - r->set.runs] = walk->at;
	/* A run that crashed before its first record was durable has left the end where it was. */
	r->recovery->end[run->stream] = walk->at > begin
		? walk->at
		: r->set.all[run->first].found.header.previous_end;
	return 0;
}

/* Tell of a message, or of what is missing of a topic's; @position is behind it then. */
static int
tell_undelivered(
	struct recover *r, uint32_t at, const struct sl_record_message *message, uint64_t *position)
{
	uint32_t stream = r->set.all[at].found.header.stream, index;
	int rc = 0;

	if (message->nb_subscribers == 0) {
		rc = r->visitor->undelivered(
			r->visitor->arg, &message->record, sl_record_ref_of(stream, *position));
		*position += SL_RECORD_ALIGN;
		return rc;
	}
	for (index = sl_record_subscriber_at(message, *position);
		index < message->nb_subscribers && rc == 0; index++) {
		if (outcomes_is_undelivered(&r->outcomes, at, *position))
			rc = r->visitor->undelivered(r->visitor->arg, &message->record,
				sl_record_copy_ref(stream, message, index));
		*position += SL_RECORD_ALIGN;
	}
	return rc;
}

static int
read_undelivered(struct recover *r, uint32_t at, uint64_t end)
{
	const struct segment *segment = &r->set.all[at];
	const struct sl_record_message *message;
	uint64_t position = 0;
	int rc;

	for (;;) {
		position = outcomes_next(&r->outcomes, at, position);
		if (position >= end)
			return 0;
		rc = window_message(&r->walk.window, &r->set, segment, position, end, &message);
		/* An outcome may name what a crash tore off. */
		if (rc == -EBADMSG)
			position += SL_RECORD_ALIGN;
		else if (rc != 0)
			return say_failed(r, segment->found.name, "cannot be read", rc);
		else if ((rc = tell_undelivered(r, at, message, &position)) != 0)
			return rc;
	}
}

static int
read_all(struct recover *r)
{
	int rc = 0;

	for (uint32_t i = 0; i < r->set.nb_runs && rc == 0; i++)
		rc = read_run(r, &r->set.runs[i]);
	if (rc == 0)
		r->recovery->nb_undelivered = r->outcomes.nb_undelivered;
	if (rc != 0 || r->visitor->undelivered == NULL)
		return rc;
	window_forget(&r->walk.window);
	for (uint32_t i = 0; i < r->set.nb_runs; i++) {
		const struct run *run = &r->set.runs[i];

		for (uint32_t j = run->first; j < run->first + run->nb && rc == 0; j++) {
			if (r->outcomes.bits[j].nb_undelivered > 0)
				rc = read_undelivered(r, j, r->run_ends[i]);
		}
	}
	return rc;
}

static void
say_notice(const struct recover *r, char *notice, size_t len)
{
	const struct walk_torn *torn = &r->walk.torn;
	char others[64] = "";

	notice[0] = '\0';
	for (uint32_t i = 0; i < r->set.nb; i++) {
		if (r->set.all[i].is_mark_bad)
			snprintf(notice, len,
				"%s/%s: offset %u: the mark that says how far it was synced is "
				"damaged; everything before it is whole, so it is not needed",
				r->set.path, r->set.all[i].found.name, SL_SEGMENT_MARK_OFFSET);
	}
	if (torn->nb == 0)
		return;
	if (torn->nb > 1)
		snprintf(others, sizeof(others), "; so ended %u others", torn->nb - 1);
	snprintf(notice, len,
		"%s/%s: offset %" PRIu64 ": %s; the %" PRIu64
		" bytes from there on had not been synced when the appliance ended, and are cut "
		"off%s",
		r->set.path, torn->place.name, torn->place.offset, torn->place.what, torn->bytes,
		others);
}

static int
recover(struct recover *r, char *notice, size_t notice_len)
{
	int rc;

	rc = segments_scan(&r->set, true);
	if (rc != 0)
		return say_failed(r, "", "cannot be read", rc);
	rc = check_headers(r);
	if (rc == 0)
		rc = settle(r);
	if (rc != 0)
		return rc;
	r->run_ends = calloc((size_t)r->set.nb_runs + 1, sizeof(r->run_ends[0]));
	rc = r->run_ends == NULL ? -ENOMEM : outcomes_init(&r->outcomes, &r->set, false);
	if (rc == 0)
		rc = walk_init(&r->walk, &r->set, WALK_WINDOW_MAX);
	if (rc == 0)
		rc = read_all(r);
	if (rc == -ENOMEM)
		say_failed(r, "", "memory is short", rc);
	r->recovery->nb_cut = r->walk.torn.nb;
	if (rc == 0)
		say_notice(r, notice, notice_len);
	walk_free(&r->walk);
	outcomes_free(&r->outcomes);
	free(r->run_ends);
	return rc;
}

int
sl_journal_recover(const char *directory, const struct sl_journal_visitor *visitor,
	struct sl_journal_recovery *recovery, char *notice, size_t notice_len, char *error,
	size_t error_len)
{
	struct recover r = {
		.visitor = visitor, .recovery = recovery, .error = error, .error_len = error_len};
	int lock, rc;

	memset(recovery, 0, sizeof(*recovery));
	recovery->incarnation = 1;
	notice[0] = '\0';
	error[0] = '\0';
	rc = segments_open(&r.set, directory);
	/* It is made when it is written. */
	if (rc == -ENOENT)
		return 0;
	if (rc != 0) {
		snprintf(error, error_len, "%s: cannot be opened: %s", directory, strerror(-rc));
		return rc;
	}
	lock = journal_lock(directory, error, error_len);
	if (lock < 0) {
		segments_close(&r.set);
		return lock;
	}
	rc = recover(&r, notice, notice_len);
	close(lock);
	segments_close(&r.set);
	return rc;
}
