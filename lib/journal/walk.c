/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "walk.h"

static const char missing[] = "the segment that begins there is missing";

int
walk_init(struct walk *walk, struct segments *set, size_t window)
{
	uint64_t largest = 0;

	memset(walk, 0, sizeof(*walk));
	walk->set = set;
	walk->limit = UINT64_MAX;
	for (uint32_t i = 0; i < set->nb && largest < window; i++) {
		if (set->all[i].found.size > largest)
			largest = set->all[i].found.size;
	}
	return window_init(&walk->window, largest < window ? WALK_WINDOW_MIN : window);
}

void
walk_free(struct walk *walk)
{
	window_free(&walk->window);
}

/* Does the last run end at this position, in this segment, as far as is known? */
static bool
is_torn_at(const struct walk *walk, const struct segment *segment, uint64_t position)
{
	const struct sl_segment_header *header = &segment->found.header;

	return walk->is_torn && walk->at == position && walk->window.fd >= 0 &&
		walk->window.inode == segment->inode &&
		walk->torn_incarnation == header->incarnation &&
		walk->torn_number == header->number;
}

void
walk_begin(struct walk *walk, uint32_t first, uint32_t nb, uint64_t position)
{
	if (nb == 1 && is_torn_at(walk, &walk->set->all[first], position)) {
		/* What is behind is not searched through again until something has changed. */
		walk->segment = first;
		walk->end = first + 1;
		return;
	}
	walk->segment = first;
	walk->end = first + nb;
	walk->at = position;
	walk->is_torn = false;
	window_forget(&walk->window);
	if (nb > 0 && position < walk->set->all[first].found.header.first)
		walk->at = walk->set->all[first].found.header.first;
}

void
walk_describe(const struct segments *set, const struct walk_place *place, char *text, size_t len)
{
	snprintf(text, len,
		"%s/%s: offset %" PRIu64 ": %s (stream %" PRIu32 ", position %" PRIu64 ")",
		set->path, place->name, place->offset, place->what, place->stream, place->position);
}

static void
set_place(struct walk *walk, const struct segment *segment, const char *what)
{
	struct walk_place *place = &walk->place;

	memcpy(place->name, segment->found.name, sizeof(place->name));
	place->offset = segment_offset(segment, walk->at);
	place->position = walk->at;
	place->stream = segment->found.header.stream;
	place->what = what;
	place->durable = 0;
}

/* Behind a place where no record is: the next one in a run, and what else is there. */
struct search {
	uint32_t segment;
	uint64_t at;
	/* In front of `at`: up to the last place of each segment where something says that it
	 * stands there. Anything else may be left over, from what the ring held before or from the
	 * file's earlier use. */
	uint64_t bytes;
	const struct sl_record *record;
};

/* Look for a record at every place where one could stand. Returns 1, 0 or -errno. */
static int
search_segment(struct walk *walk, struct search *search)
{
	const struct segment *segment = &walk->set->all[search->segment];
	uint64_t from = search->at, used = from;
	enum sl_record_error why;
	const uint8_t *bytes;
	uint64_t words[2];
	ssize_t n;
	int rc;

	for (;;) {
		n = search->at >= segment->to
			? 0
			: window_peek(&walk->window, walk->set, segment, search->at, &bytes);
		if (n < (ssize_t)sizeof(words)) {
			search->bytes += used - from;
			return n < 0 ? (int)n : 0;
		}
		for (; n >= (ssize_t)sizeof(words); n -= (ssize_t)sizeof(words)) {
			memcpy(words, bytes, sizeof(words));
			if (words[1] == search->at && words[0] >> 32 <= SL_RECORD_LEN_MAX)
				break;
			bytes += sizeof(words);
			search->at += sizeof(words);
			if (words[1] == search->at - sizeof(words))
				used = search->at;
		}
		if (n < (ssize_t)sizeof(words))
			continue;
		rc = window_record(&walk->window, walk->set, segment, search->at, UINT64_MAX,
			&search->record, &why);
		if (rc == 0) {
			search->bytes += search->at - from;
			return 1;
		}
		if (rc != -EBADMSG)
			return rc;
		search->at += sizeof(words);
		used = search->at;
	}
}

static int
search_run(struct walk *walk, struct search *search)
{
	const struct segment *all = walk->set->all;
	uint32_t incarnation = all[search->segment].found.header.incarnation;
	int rc;

	for (;;) {
		rc = search_segment(walk, search);
		if (rc != 0)
			return rc;
		if (++search->segment >= walk->end ||
			all[search->segment].found.header.incarnation != incarnation)
			return 0;
		search->at = all[search->segment].found.header.first;
	}
}

/* What headers and marks say of how far the stream was durable. */
static uint64_t
known_durable(struct walk *walk, bool *is_mark_bad)
{
	struct segments *set = walk->set;
	struct segment *segment = &set->all[walk->segment];
	uint32_t last = set->stream_first[segment->found.header.stream + 1] - 1;
	uint64_t durable;

	/* The header of a segment is written when everything before it is durable. */
	if (walk->segment < last)
		return set->all[walk->segment + 1].found.header.previous_end;
	segments_read_mark(set, segment);
	*is_mark_bad = segment->is_mark_bad;
	durable = segment->found.synced;
	if (segment->found.header.incarnation == walk->live_incarnation && walk->limit > durable)
		durable = walk->limit;
	return durable;
}

static uint64_t
shown_durable(const struct sl_record *record)
{
	return record->type == SL_RECORD_CLOSE ? record->position : sl_record_synced_before(record);
}

/* There is no record at `at`. Was there one that was durable? Returns 0: no, the run ends here;
 * -EBADMSG; -errno. */
static int
judge(struct walk *walk, const char *what)
{
	struct search search = {.segment = walk->segment, .at = walk->at};
	const struct segment *segment = &walk->set->all[walk->segment];
	bool is_mark_bad = false;
	uint64_t durable, shown;
	int rc;

	set_place(walk, segment, what);
	durable = known_durable(walk, &is_mark_bad);
	while (durable <= walk->at) {
		rc = search_run(walk, &search);
		if (rc < 0)
			return rc;
		if (rc == 0)
			break;
		shown = shown_durable(search.record);
		if (shown > durable)
			durable = shown;
		search.at += sl_record_stride(search.record->len);
		search.bytes += sl_record_stride(search.record->len);
	}
	walk->place.durable = durable;
	if (durable > walk->at)
		return -EBADMSG;
	if (is_mark_bad && search.bytes > 0) {
		walk->place.what = "no record, and the mark that says how far the stream was "
				   "synced is damaged";
		return -EBADMSG;
	}
	if (search.bytes > 0) {
		walk->torn.place = walk->place;
		walk->torn.bytes = search.bytes;
		walk->torn.nb++;
	}
	return 0;
}

/* Go to the next run, or stay where the last one ends. Returns whether there is one. */
static bool
end_run(struct walk *walk)
{
	const struct segment *segment = &walk->set->all[walk->segment];
	uint32_t next = segments_next_run(walk->set, walk->segment);
	const uint8_t *bytes;
	ssize_t n;

	if (next < walk->end) {
		walk->segment = next;
		walk->at = walk->set->all[next].found.header.first;
		return true;
	}
	n = walk->at < segment->to
		? window_peek(&walk->window, walk->set, segment, walk->at, &bytes)
		: 0;
	memset(walk->torn_head, 0, sizeof(walk->torn_head));
	if (n > 0)
		memcpy(walk->torn_head, bytes,
			(size_t)n < sizeof(walk->torn_head) ? (size_t)n : sizeof(walk->torn_head));
	walk->torn_incarnation = segment->found.header.incarnation;
	walk->torn_number = segment->found.header.number;
	walk->is_torn = true;
	return false;
}

/* Has all of a record come whose first bytes had been there alone? A write of another process comes
 * in by pieces. */
static bool
is_whole_now(struct walk *walk, const struct segment *segment)
{
	struct sl_record head;
	const struct sl_record *record;
	enum sl_record_error why;

	memcpy(&head, walk->torn_head, sizeof(head));
	if (head.position != walk->at || head.len > SL_RECORD_LEN_MAX)
		return false;
	return window_record(&walk->window, walk->set, segment, walk->at, walk->at + head.len,
		       &record, &why) == 0;
}

/* Has nothing been written where the stream ended when it was last looked at, and does nothing say
 * now that what stood there was durable? */
static bool
is_still_torn(struct walk *walk)
{
	uint8_t head[sizeof(walk->torn_head)] = {0};
	const struct segment *segment = &walk->set->all[walk->segment];
	bool is_mark_bad;
	ssize_t n;

	if (walk->window.fd < 0 || known_durable(walk, &is_mark_bad) > walk->at)
		return false;
	walk->window.len = 0;
	n = pread(walk->window.fd, head, sizeof(head), (off_t)segment_offset(segment, walk->at));
	walk->is_torn = n >= 0 && memcmp(head, walk->torn_head, sizeof(head)) == 0 &&
		!is_whole_now(walk, segment);
	walk->window.len = 0;
	return walk->is_torn;
}

/* Behind the last record of a segment. Returns 1: there is another; 0; -EBADMSG. */
static int
leave_segment(struct walk *walk)
{
	const struct segments *set = walk->set;
	const struct segment *segment = &set->all[walk->segment];
	const struct sl_segment_header *next;

	if (walk->at < segment->to)
		walk->at = segment->to;
	if (walk->segment + 1 >= set->stream_first[segment->found.header.stream + 1])
		return 0;
	next = &set->all[walk->segment + 1].found.header;
	if (next->previous_end <= walk->at) {
		if (walk->segment + 1 >= walk->end)
			return 0;
		walk->segment++;
		walk->at = next->first;
		return 1;
	}
	set_place(walk, segment, missing);
	walk->place.durable = next->previous_end;
	return -EBADMSG;
}

static const char *
words_of(const struct sl_record *record, enum sl_record_error why)
{
	static const struct sl_record zeroes;

	if (why != SL_RECORD_SHORT && memcmp(record, &zeroes, sizeof(zeroes)) == 0)
		return "zeroes where a record has to be";
	return sl_record_strerror(why);
}

/* Returns 1: a record; 0: the run ends here; -EBADMSG: damage; -errno. */
static int
read_next(struct walk *walk, const struct sl_record **record)
{
	const struct segment *segment = &walk->set->all[walk->segment];
	enum sl_record_error why;
	int rc;

	rc = window_record(&walk->window, walk->set, segment, walk->at, walk->limit, record, &why);
	if (rc != -EBADMSG)
		return rc == 0 ? 1 : rc;
	/* Read it afresh: a writer may have come further, and once more when that shows only in
	 * what stands behind. */
	for (unsigned int i = 0; i < 2; i++) {
		walk->window.len = 0;
		rc = window_record(
			&walk->window, walk->set, segment, walk->at, walk->limit, record, &why);
		if (rc != -EBADMSG)
			return rc == 0 ? 1 : rc;
		if (i == 0) {
			rc = judge(walk, words_of(*record, why));
			if (rc != -EBADMSG)
				return rc;
		}
	}
	return -EBADMSG;
}

int
walk_next(struct walk *walk, const struct sl_record **record)
{
	const struct segment *segment;
	int rc;

	if (walk->segment >= walk->end || (walk->is_torn && is_still_torn(walk)))
		return 0;
	while (walk->at < walk->limit) {
		segment = &walk->set->all[walk->segment];
		/* What has no room for a record is left as it is. */
		if (walk->at >= segment->to ||
			(segment->to == segment->found.header.end &&
				segment->to - walk->at < sizeof(**record))) {
			rc = leave_segment(walk);
			if (rc <= 0)
				return rc;
			continue;
		}
		rc = read_next(walk, record);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			if (!end_run(walk))
				return 0;
			continue;
		}
		walk->at += sl_record_stride((*record)->len);
		if ((*record)->type != SL_RECORD_PAD)
			return 1;
	}
	return 0;
}

int64_t
walk_skip(struct walk *walk)
{
	const struct segment *all = walk->set->all, *segment = &all[walk->segment];
	struct search search = {.segment = walk->segment, .at = walk->at + SL_RECORD_ALIGN};
	uint64_t left_out;
	int rc = 0;

	walk->window.len = 0;
	if (walk->at < segment->to)
		rc = search_segment(walk, &search);
	if (rc < 0)
		return rc;
	if (rc > 0) {
		left_out = search.at - walk->at;
		walk->at = search.at;
		return (int64_t)left_out;
	}
	left_out = walk->at < segment->to
		? search.bytes + SL_RECORD_ALIGN
		: all[walk->segment + 1].found.header.previous_end - walk->at;
	walk_skip_segment(walk);
	return (int64_t)left_out;
}

void
walk_skip_segment(struct walk *walk)
{
	walk->window.len = 0;
	walk->segment++;
	if (walk->segment < walk->end)
		walk->at = walk->set->all[walk->segment].found.header.first;
}
