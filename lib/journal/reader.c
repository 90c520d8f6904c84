/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "walk.h"

/* Of sl_journal_reader_get(): so many places are read on from, each with a file of its own. */
#define NB_SPOTS   16
#define SPOT_BYTES (1u << 20)
/* What is read at a place that nobody has read up to: enough for most records. */
#define SPOT_FIRST (16u << 10)

struct spot {
	struct window window;
	uint64_t end;	/* Position behind the last record got here. */
	uint64_t ahead; /* How far to read on: more, the longer it goes in order. */
	uint64_t used;	/* When; counts. */
	uint32_t stream;
};

struct stream_reader {
	struct walk walk;
	uint64_t at;
	bool is_sought; /* Since then nothing was read: what is deleted is jumped over. */
	bool is_begun;
};

struct sl_journal_reader {
	struct segments set;
	struct sl_journal *journal;
	uint32_t incarnation; /* Of the journal; 0: there is none. */
	uint32_t layout;      /* Of the journal, when the directory was looked at last. */
	struct stream_reader *streams[SL_STREAMS_MAX];
	struct spot spots[NB_SPOTS];
	uint64_t nb_gets;
	struct sl_journal_segment *found;
	char error[WALK_LINE_MAX];
};

static int
look_again(struct sl_journal_reader *reader, bool with_marks)
{
	int rc;

	/* Asked first: what changes meanwhile is looked at next time. */
	if (reader->journal != NULL)
		reader->layout = journal_layout(reader->journal);
	rc = segments_scan(&reader->set, with_marks);
	if (rc != 0)
		snprintf(reader->error, sizeof(reader->error), "%s: cannot be read: %s",
			reader->set.path, strerror(-rc));
	for (uint32_t i = 0; i < SL_STREAMS_MAX && rc == 0; i++) {
		if (reader->streams[i] != NULL)
			reader->streams[i]->is_begun = false;
	}
	return rc;
}

int
sl_journal_reader_open(const char *directory, struct sl_journal *journal,
	struct sl_journal_reader **reader, char *error, size_t error_len)
{
	struct sl_journal_reader *r = calloc(1, sizeof(*r));
	int rc;

	*reader = NULL;
	if (r == NULL) {
		snprintf(error, error_len, "%s: memory is short", directory);
		return -ENOMEM;
	}
	r->journal = journal;
	r->incarnation = journal == NULL ? 0 : journal_incarnation(journal);
	for (unsigned int i = 0; i < NB_SPOTS; i++)
		r->spots[i].window.fd = -1;
	rc = segments_open(&r->set, directory);
	if (rc != 0) {
		snprintf(error, error_len, "%s: cannot be opened: %s", directory, strerror(-rc));
		free(r);
		return rc;
	}
	rc = look_again(r, true);
	if (rc != 0) {
		snprintf(error, error_len, "%s", r->error);
		sl_journal_reader_close(r);
		return rc;
	}
	*reader = r;
	return 0;
}

void
sl_journal_reader_close(struct sl_journal_reader *reader)
{
	if (reader == NULL)
		return;
	for (uint32_t i = 0; i < SL_STREAMS_MAX; i++) {
		if (reader->streams[i] != NULL)
			walk_free(&reader->streams[i]->walk);
		free(reader->streams[i]);
	}
	for (unsigned int i = 0; i < NB_SPOTS; i++)
		window_free(&reader->spots[i].window);
	segments_close(&reader->set);
	free(reader->found);
	free(reader);
}

static int
by_base(const void *left, const void *right)
{
	const struct sl_journal_segment *a = left, *b = right;

	if (a->header.incarnation != b->header.incarnation)
		return a->header.incarnation < b->header.incarnation ? -1 : 1;
	if (a->header.stream != b->header.stream)
		return a->header.stream < b->header.stream ? -1 : 1;
	if (a->header.base != b->header.base)
		return a->header.base < b->header.base ? -1 : 1;
	return a->header.number < b->header.number ? -1 : a->header.number > b->header.number;
}

int
sl_journal_reader_segments(
	struct sl_journal_reader *reader, const struct sl_journal_segment **segments)
{
	struct sl_journal_segment *found;
	int rc;

	rc = look_again(reader, true);
	if (rc != 0)
		return rc;
	found = calloc((size_t)reader->set.nb_whole + 1, sizeof(*found));
	if (found == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < reader->set.nb_whole; i++)
		found[i] = reader->set.all[i].found;
	if (reader->set.nb_whole > 0)
		qsort(found, reader->set.nb_whole, sizeof(*found), by_base);
	free(reader->found);
	reader->found = found;
	*segments = found;
	return (int)reader->set.nb_whole;
}

static uint64_t
durable_of(const struct sl_journal_reader *reader, uint32_t stream)
{
	return reader->journal == NULL ? UINT64_MAX : journal_durable(reader->journal, stream);
}

static int
use_stream(struct sl_journal_reader *reader, uint32_t stream, struct stream_reader **s)
{
	int rc;

	if (stream >= SL_STREAMS_MAX)
		return -EINVAL;
	*s = reader->streams[stream];
	if (*s != NULL)
		return 0;
	*s = calloc(1, sizeof(**s));
	if (*s == NULL)
		return -ENOMEM;
	rc = walk_init(&(*s)->walk, &reader->set, WALK_WINDOW_SMALL);
	if (rc != 0) {
		free(*s);
		return rc;
	}
	(*s)->walk.live_incarnation = reader->incarnation;
	(*s)->is_sought = true;
	reader->streams[stream] = *s;
	return 0;
}

int
sl_journal_reader_seek(struct sl_journal_reader *reader, uint32_t stream, uint64_t position)
{
	struct stream_reader *s;
	int rc = use_stream(reader, stream, &s);

	if (rc != 0)
		return rc;
	s->at = position;
	s->is_sought = true;
	s->is_begun = false;
	return 0;
}

uint64_t
sl_journal_reader_position(const struct sl_journal_reader *reader, uint32_t stream)
{
	if (stream >= SL_STREAMS_MAX || reader->streams[stream] == NULL)
		return 0;
	return reader->streams[stream]->at;
}

/* Point the walk at where the stream is to be read. Returns 1, 0: nothing is there yet; -ENOENT. */
static int
begin(struct sl_journal_reader *reader, uint32_t stream, struct stream_reader *s)
{
	const struct segments *set = &reader->set;
	uint32_t at = segments_find(set, stream, s->at), end = set->stream_first[stream + 1];
	const struct sl_segment_header *header;

	/* Behind everything: what has been read last tells whether that is whole. */
	if (at == SEGMENT_NONE && end > set->stream_first[stream])
		at = end - 1;
	if (at == SEGMENT_NONE)
		return 0;
	header = &set->all[at].found.header;
	if (s->at < header->first && !s->is_sought && at == set->stream_first[stream] &&
		s->at != header->previous_end) {
		snprintf(reader->error, sizeof(reader->error),
			"%s: what stood at position %" PRIu64 " of stream %" PRIu32
			" has been deleted; the oldest there is stands at %" PRIu64,
			set->path, s->at, stream, header->first);
		return -ENOENT;
	}
	/* The one before tells whether nothing is missing in between. */
	if (s->at < header->first && at > set->stream_first[stream])
		at--;
	walk_begin(&s->walk, at, end - at, s->at);
	s->is_begun = true;
	return 1;
}

static int
next_known(struct sl_journal_reader *reader, uint32_t stream, struct stream_reader *s,
	const struct sl_record **record)
{
	int rc = 1;

	if (!s->is_begun)
		rc = begin(reader, stream, s);
	if (rc <= 0)
		return rc;
	s->walk.limit = durable_of(reader, stream);
	rc = walk_next(&s->walk, record);
	s->at = s->walk.at;
	if (rc == 1)
		s->is_sought = false;
	return rc;
}

/* Can looking at the directory again change what was found? */
static bool
may_have_changed(const struct sl_journal_reader *reader, uint32_t stream,
	const struct stream_reader *s, int rc)
{
	if (rc == 1 || (rc != 0 && rc != -ENOENT && rc != -EBADMSG))
		return false;
	if (reader->journal == NULL)
		return true;
	return s->at < durable_of(reader, stream) &&
		(rc == -ENOENT || journal_layout(reader->journal) != reader->layout);
}

int
sl_journal_reader_next(
	struct sl_journal_reader *reader, uint32_t stream, const struct sl_record **record)
{
	struct stream_reader *s;
	int rc = use_stream(reader, stream, &s);

	if (rc != 0)
		return rc;
	rc = next_known(reader, stream, s, record);
	if (may_have_changed(reader, stream, s, rc)) {
		/* A file may have been used again: then its header is another. */
		rc = look_again(reader, rc == -EBADMSG);
		if (rc == 0)
			rc = next_known(reader, stream, s, record);
	}
	if (rc == -EBADMSG)
		walk_describe(&reader->set, &s->walk.place, reader->error, sizeof(reader->error));
	else if (rc < 0 && rc != -ENOENT)
		snprintf(reader->error, sizeof(reader->error), "%s: stream %" PRIu32 ": %s",
			reader->set.path, stream, strerror(-rc));
	return rc;
}

/* The place that has been read on from up to shortly before a position, or the oldest. */
static struct spot *
find_spot(struct sl_journal_reader *reader, uint32_t stream, uint64_t position)
{
	struct spot *oldest = &reader->spots[0];

	for (unsigned int i = 0; i < NB_SPOTS; i++) {
		struct spot *spot = &reader->spots[i];

		if (spot->window.bytes != NULL && spot->stream == stream && position >= spot->end &&
			position - spot->end < SPOT_BYTES) {
			spot->ahead = RTE_MIN(spot->ahead * 2, (uint64_t)SPOT_BYTES);
			return spot;
		}
		if (spot->used < oldest->used)
			oldest = spot;
	}
	oldest->stream = stream;
	oldest->ahead = SPOT_FIRST;
	return oldest;
}

/* What a ref names, as window_record(). */
static int
read_at(const struct sl_journal_reader *reader, struct spot *spot, const struct segment *segment,
	sl_record_ref ref, uint64_t limit, const struct sl_record **record,
	enum sl_record_error *why)
{
	uint64_t position = sl_record_ref_position(ref);
	const struct sl_record_message *message = NULL;
	int rc;

	if (!sl_record_ref_is_copy(ref))
		return window_record(
			&spot->window, &reader->set, segment, position, limit, record, why);
	rc = window_message(&spot->window, &reader->set, segment, position, limit, &message);
	*record = message != NULL ? &message->record : NULL;
	*why = SL_RECORD_BAD_CONTENT;
	return rc;
}

static int
get_known(struct sl_journal_reader *reader, sl_record_ref ref, void *buf)
{
	uint64_t position = sl_record_ref_position(ref);
	uint32_t stream = sl_record_ref_stream(ref);
	uint32_t at = segments_find(&reader->set, stream, position);
	const struct segment *segment;
	const struct sl_record *record;
	enum sl_record_error why;
	struct spot *spot;
	int rc = 0;

	if (at == SEGMENT_NONE || position < reader->set.all[at].found.header.first)
		return -ENOENT;
	segment = &reader->set.all[at];
	spot = find_spot(reader, stream, position);
	spot->used = ++reader->nb_gets;
	if (spot->window.bytes == NULL)
		rc = window_init(&spot->window, SPOT_BYTES);
	if (rc != 0)
		return rc;
	rc = read_at(reader, spot, segment, ref,
		RTE_MIN(durable_of(reader, stream), position + spot->ahead), &record, &why);
	if (rc == -EBADMSG) {
		/* Longer than was read, or read before it was written. */
		spot->window.len = 0;
		rc = read_at(reader, spot, segment, ref, durable_of(reader, stream), &record, &why);
	}
	if (rc == 0) {
		memcpy(buf, record, record->len);
		spot->end = record->position + sl_record_stride(record->len);
	} else if (rc == -EBADMSG) {
		snprintf(reader->error, sizeof(reader->error),
			"%s/%s: offset %" PRIu64 ": %s (stream %" PRIu32 ", position %" PRIu64 ")",
			reader->set.path, segment->found.name, segment_offset(segment, position),
			sl_record_strerror(why), stream, position);
	}
	return rc;
}

int
sl_journal_reader_get(struct sl_journal_reader *reader, sl_record_ref ref, void *buf)
{
	uint32_t stream = sl_record_ref_stream(ref);
	uint64_t position = sl_record_ref_position(ref);
	int rc;

	if (stream >= SL_STREAMS_MAX || position % SL_RECORD_ALIGN != 0)
		return -EINVAL;
	if (position >= durable_of(reader, stream))
		return -EAGAIN;
	rc = get_known(reader, ref, buf);
	if (rc == -ENOENT || rc == -EBADMSG) {
		rc = look_again(reader, rc == -EBADMSG);
		if (rc == 0)
			rc = get_known(reader, ref, buf);
	}
	if (rc == -ENOENT)
		snprintf(reader->error, sizeof(reader->error),
			"%s: what stood at position %" PRIu64 " of stream %" PRIu32
			" has been deleted",
			reader->set.path, position, stream);
	else if (rc < 0 && rc != -EBADMSG)
		snprintf(reader->error, sizeof(reader->error), "%s: stream %" PRIu32 ": %s",
			reader->set.path, stream, strerror(-rc));
	return rc;
}

const char *
sl_journal_reader_error(const struct sl_journal_reader *reader)
{
	return reader->error;
}
