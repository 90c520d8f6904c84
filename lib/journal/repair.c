/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Mending a journal. What is damaged becomes pads, in a copy of its file: so every position stays
 * what it was, whatever refers to one, and none is used again. A header is made anew from the name
 * of the file and its neighbours; a missing segment is left out by what the next one says of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"
#include "sl_wire.h"

#define PAD_MAX	  SL_RECORD_LEN_MAX
#define COPY_SIZE (1u << 20)

#define ROUNDS_MAX 8u

struct repair {
	const struct sl_journal_repair *what;
	struct sl_journal_report *report; /* Of how it was found. */
	struct segments *set;
	FILE *out;
	uint32_t nb_mended;
	uint64_t nb_lost; /* Messages. */
	char *error;
	size_t error_len;
};

static int
fail(struct repair *r, const char *name, const char *what, int rc)
{
	snprintf(r->error, r->error_len, "%s/%s: %s: %s", r->set->path, name, what, strerror(-rc));
	return rc;
}

static int
copy_file(int from, int to)
{
	uint8_t *buf = malloc(COPY_SIZE);
	ssize_t n = -1;
	int rc = 0;

	if (buf == NULL)
		return -ENOMEM;
	while (rc == 0 && n != 0) {
		n = read(from, buf, COPY_SIZE);
		if (n < 0 || (n > 0 && write(to, buf, (size_t)n) != n))
			rc = errno == 0 ? -ENOSPC : -errno;
	}
	free(buf);
	return rc;
}

static int
write_at(int fd, const void *data, size_t len, uint64_t offset)
{
	ssize_t n = pwrite(fd, data, len, (off_t)offset);

	if (n == (ssize_t)len)
		return 0;
	return n < 0 ? -errno : -ENOSPC;
}

/* Pads from one position to another. */
static int
fill(int fd, const struct segment *segment, uint64_t from, uint64_t to)
{
	struct sl_record *pad = aligned_alloc(SL_RECORD_ALIGN, PAD_MAX);
	uint64_t left;
	int rc = 0;

	if (pad == NULL)
		return -ENOMEM;
	/* Less than a header is left as it is at the end of a segment, and nowhere else. */
	while (rc == 0 && (left = to - from) >= sizeof(*pad)) {
		uint64_t len = left < PAD_MAX ? left : PAD_MAX;

		if (left > len && left - len < sizeof(*pad))
			len -= sizeof(*pad);
		memset(pad, 0, PAD_MAX);
		pad->len = (uint32_t)len;
		pad->position = from;
		pad->incarnation = segment->found.header.incarnation;
		pad->type = SL_RECORD_PAD;
		/* It does not know how far anything was synced. */
		sl_record_seal(pad, 0);
		rc = write_at(fd, pad, len, segment_offset(segment, from));
		from += len;
	}
	free(pad);
	return rc;
}

static int
write_header(int fd, const struct sl_segment_header *header, uint64_t synced)
{
	uint8_t block[SL_SEGMENT_HEADER] __attribute__((aligned(16))) = {0};

	memcpy(block, header, sizeof(*header));
	journal_header_seal(block);
	if (synced != 0)
		journal_mark_seal(block, header->stream, synced);
	return write_at(fd, block, sizeof(block), 0);
}

/* The damaged file keeps its bytes under another name. */
static int
keep_as_it_was(struct repair *r, const char *name)
{
	int directory = r->set->directory;
	char kept[160];

	snprintf(kept, sizeof(kept), "%s.damaged", name);
	for (unsigned int i = 1; linkat(directory, name, directory, kept, 0) != 0; i++) {
		if (errno != EEXIST || i == 1000)
			return -errno;
		snprintf(kept, sizeof(kept), "%s.damaged.%u", name, i);
	}
	fprintf(r->out, "  the file as it was is kept as %s\n", kept);
	return 0;
}

/* A copy takes its place. */
static int
put_in_place(struct repair *r, const char *name, const char *copy)
{
	int directory = r->set->directory, rc = keep_as_it_was(r, name);

	if (rc == 0 && (renameat(directory, copy, directory, name) != 0 || fsync(directory) != 0))
		rc = -errno;
	return rc;
}

/* Copy a segment's file with a new header, and pads from one position to another when they
 * differ. */
static int
mend_file(struct repair *r, const struct segment *segment, const struct sl_segment_header *header,
	uint64_t from, uint64_t to)
{
	const char *name = segment->found.name;
	int directory = r->set->directory, in, out = -1, rc = 0;
	char copy[128];

	if (r->what->is_dry)
		return 0;
	snprintf(copy, sizeof(copy), "%s.copy", name);
	in = openat(directory, name, O_RDONLY | O_CLOEXEC);
	if (in >= 0)
		out = openat(directory, copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (in < 0 || out < 0)
		rc = -errno;
	if (rc == 0)
		rc = copy_file(in, out);
	/* A file that was cut short has its size again. */
	if (rc == 0 && segment->found.size < SL_SEGMENT_HEADER + header->end - header->base &&
		ftruncate(out, (off_t)(SL_SEGMENT_HEADER + header->end - header->base)) != 0)
		rc = -errno;
	if (rc == 0)
		rc = write_header(out, header, segment->found.synced);
	if (rc == 0)
		rc = fill(out, segment, from, to);
	if (rc == 0 && fsync(out) != 0)
		rc = -errno;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	if (rc == 0)
		rc = put_in_place(r, name, copy);
	if (rc != 0)
		unlinkat(directory, copy, 0);
	return rc == 0 ? 0 : fail(r, name, "cannot be mended", rc);
}

static void
say_message(struct repair *r, const struct sl_record *record, const char *state)
{
	char source[REPORT_NAME_SIZE], destination[REPORT_NAME_SIZE], time[REPORT_TIME_SIZE];
	struct report_message message;

	report_message((const struct sl_record_message *)record, &message);
	fprintf(r->out, "  lost: message %s from %s to %s, received %s, %s\n", message.id,
		report_name(r->report, message.source, source),
		report_name(r->report, message.destination, destination),
		report_time(record->time_ns, time), state);
	r->nb_lost++;
}

/* Is it the begin of a message's record, as far as that can be told without its checksum? */
static bool
looks_like_message(const struct sl_record *record, uint64_t position, size_t have)
{
	const struct sl_record_message *message = (const struct sl_record_message *)record;
	const uint8_t *bytes;
	uint32_t len;

	if (have < sizeof(*message) || record->position != position ||
		record->type != SL_RECORD_MESSAGE || record->len > have ||
		record->len < sizeof(*message) + SL_WIRE_MESSAGE_MIN +
				message->nb_subscribers * sizeof(struct sl_record_subscriber))
		return false;
	bytes = sl_record_message_of(message, &len);
	/* The tags of the first two fields. */
	return bytes[0] == 0x09 && bytes[9] == 0x11;
}

/* Tell what messages stand between two positions: whole ones for certain, others perhaps. */
static int
say_lost(struct repair *r, const struct segment *segment, uint64_t from, uint64_t to)
{
	struct window *window = &r->report->walk.window;
	const struct sl_record *record;
	enum sl_record_error why;
	const uint8_t *bytes;
	uint64_t at = from;
	uint32_t index = (uint32_t)(segment - r->set->all);
	ssize_t n;
	int rc;

	fprintf(r->out,
		"%s: offset %" PRIu64 ": %" PRIu64 " bytes of stream %" PRIu32 " are given up\n",
		segment->found.name, segment_offset(segment, from), to - from,
		segment->found.header.stream);
	window_forget(window);
	while (at < to) {
		rc = window_record(window, r->set, segment, at, UINT64_MAX, &record, &why);
		if (rc != 0 && rc != -EBADMSG)
			return fail(r, segment->found.name, "cannot be read", rc);
		if (rc == 0) {
			if (record->type == SL_RECORD_MESSAGE)
				say_message(r, record,
					report_state(r->report, index,
						(const struct sl_record_message *)record));
			at += sl_record_stride(record->len);
			continue;
		}
		n = window_peek(window, r->set, segment, at, &bytes);
		if (n <= 0)
			return n < 0 ? fail(r, segment->found.name, "cannot be read", (int)n) : 0;
		record = (const struct sl_record *)bytes;
		if (looks_like_message(record, at, (size_t)n) && at + record->len <= to) {
			say_message(r, record, "as far as its bytes can be believed");
			at += sl_record_stride(record->len);
		} else {
			at += SL_RECORD_ALIGN;
		}
	}
	return 0;
}

/* What stands at `at` follows nothing any more from `end` on. */
static int
bridge(struct repair *r, uint32_t at, uint64_t end)
{
	struct segment *segment = &r->set->all[at];
	struct sl_segment_header *header = &segment->found.header;
	int rc;

	fprintf(r->out,
		"%s: what stood before it, %" PRIu64 " bytes of stream %" PRIu32
		", is missing and given up; which messages those were is not known\n",
		segment->found.name, header->previous_end - end, header->stream);
	header->previous_end = end;
	rc = mend_file(r, segment, header, 0, 0);
	if (rc == 0)
		r->nb_mended++;
	return rc;
}

static int
give_up(struct repair *r, uint32_t at, uint64_t from, uint64_t to)
{
	const struct segment *segment = &r->set->all[at];
	int rc;

	/* A pad needs room for its header: it takes some of what follows, or that follows sooner.
	 */
	if (to - from < sizeof(struct sl_record) && to < segment->to)
		to += SL_RECORD_ALIGN;
	if (to - from < sizeof(struct sl_record) && to < segment->found.header.end)
		return bridge(r, at + 1, from);
	rc = say_lost(r, segment, from, to);
	if (rc == 0)
		rc = mend_file(r, segment, &segment->found.header, from, to);
	if (rc == 0)
		r->nb_mended++;
	return rc;
}

/* From the first damage of a stream on, everything. */
static int
cut(struct repair *r, uint32_t at, uint64_t from)
{
	uint32_t stream = r->set->all[at].found.header.stream;
	uint32_t end = r->set->stream_first[stream + 1];
	int rc = 0;

	if (from < r->set->all[at].to)
		rc = give_up(r, at, from, r->set->all[at].to);
	else if (at + 1 < end)
		rc = bridge(r, at + 1, from);
	for (uint32_t i = at + 1; i < end && rc == 0; i++)
		rc = give_up(r, i, r->set->all[i].found.header.first, r->set->all[i].to);
	return rc;
}

/* One damaged place. */
static int
mend_place(struct repair *r, struct walk *walk)
{
	uint32_t at = walk->segment;
	uint64_t from = walk->at;
	const struct segment *segment = &r->set->all[at];
	int64_t left_out;

	if (r->what->is_cut && segment->found.header.stream == r->what->stream) {
		walk->segment = walk->end;
		return cut(r, at, from);
	}
	left_out = walk_skip(walk);
	if (left_out < 0)
		return fail(r, segment->found.name, "cannot be read", (int)left_out);
	if (r->what->is_cut)
		return 0;
	if (from >= segment->to)
		return bridge(r, at + 1, from);
	return give_up(r, at, from, walk->segment == at ? walk->at : segment->to);
}

static int
mend_run(struct repair *r, const struct run *run)
{
	struct walk *walk = &r->report->walk;
	const struct sl_record *record;
	int rc;

	report_begin_run(r->report, run);
	while ((rc = walk_next(walk, &record)) != 0) {
		if (rc < 0 && rc != -EBADMSG)
			return fail(r, r->set->all[walk->segment].found.name, "cannot be read", rc);
		if (rc > 0)
			continue;
		rc = mend_place(r, walk);
		if (rc != 0)
			return rc;
		window_forget(&walk->window);
	}
	return 0;
}

/* The first record that is whole, of those a file of that name could hold; NULL: none. */
static const struct sl_record *
find_first(struct repair *r, struct segment *segment)
{
	struct walk *walk = &r->report->walk;
	const uint8_t *bytes;
	ssize_t n;

	window_forget(&walk->window);
	for (uint64_t at = segment->name.base; at < segment->to; at += SL_RECORD_ALIGN) {
		n = window_peek(&walk->window, r->set, segment, at, &bytes);
		if (n < (ssize_t)sizeof(struct sl_record))
			return NULL;
		if (((const struct sl_record *)bytes)->position != at)
			continue;
		if (n < (ssize_t)SL_RECORD_LEN_MAX) {
			walk->window.len = 0;
			n = window_peek(&walk->window, r->set, segment, at, &bytes);
		}
		if (n > 0 && sl_record_check(bytes, (size_t)n, at) == SL_RECORD_OK)
			return (const struct sl_record *)bytes;
	}
	return NULL;
}

/* Where what counts in front of a position ends, when that is in the same block. */
static void
set_neighbours(const struct repair *r, struct sl_segment_header *header)
{
	header->number = 0;
	for (uint32_t i = r->set->stream_first[header->stream];
		i < r->set->stream_first[header->stream + 1]; i++) {
		const struct sl_segment_header *other = &r->set->all[i].found.header;

		/* One that goes on in the middle of another was begun behind it. */
		if (other->first >= header->first)
			break;
		if (other->incarnation == header->incarnation)
			header->number = other->number;
		if (other->end > header->first)
			header->previous_end = header->first;
	}
}

static int
mend_header(struct repair *r, struct segment *segment)
{
	const char *name = segment->found.name;
	struct sl_segment_header header = {
		.stream = segment->name.stream, .base = segment->name.base};
	const struct sl_record *record;
	int rc;

	fprintf(r->out, "%s: offset 0: the header is made anew\n", name);
	segment->to = segment->name.base;
	if (segment->found.size > SL_SEGMENT_HEADER)
		segment->to += (segment->found.size - SL_SEGMENT_HEADER) & ~(uint64_t)4095;
	record = find_first(r, segment);
	r->nb_mended++;
	if (record == NULL) {
		fprintf(r->out, "  it holds no whole record, and is given up\n");
		if (r->what->is_dry)
			return 0;
		rc = keep_as_it_was(r, name);
		if (rc == 0 && unlinkat(r->set->directory, name, 0) != 0)
			rc = -errno;
		return rc == 0 ? 0 : fail(r, name, "cannot be renamed", rc);
	}
	header.end = segment->to;
	header.created_ns = record->time_ns;
	header.incarnation = record->incarnation;
	header.first = record->position - header.base < JOURNAL_BLOCK ? record->position
								      : header.base;
	header.previous_end = header.first;
	set_neighbours(r, &header);
	segment->found.header = header;
	segment->found.synced = 0;
	return mend_file(r, segment, &header, 0, 0);
}

/* Headers and marks; the number of those mended, or -errno. */
static int
mend_headers(struct repair *r)
{
	uint32_t before = r->nb_mended;
	int rc = 0;

	for (uint32_t i = 0; i < r->set->nb_all && rc == 0; i++) {
		struct segment *segment = &r->set->all[i];

		if (r->what->is_cut && segment->name.stream != r->what->stream)
			continue;
		if (segment->state == JOURNAL_HEADER_BAD) {
			rc = mend_header(r, segment);
		} else if (segment->is_mark_bad) {
			fprintf(r->out, "%s: offset %u: the mark is taken away\n",
				segment->found.name, SL_SEGMENT_MARK_OFFSET);
			rc = mend_file(r, segment, &segment->found.header, 0, 0);
			r->nb_mended++;
		}
	}
	return rc < 0 ? rc : (int)(r->nb_mended - before);
}

/* Go through everything once. Returns how much was mended, or -errno. */
static int
mend(struct repair *r, const char *directory)
{
	const struct sl_journal_report_params params = {.directory = directory};
	uint32_t before = r->nb_mended;
	int rc;

	rc = sl_journal_report_open(&params, &r->report, r->error, r->error_len);
	if (rc != 0)
		return rc;
	r->set = &r->report->set;
	/* What the headers say decides which records count: those first, and then look again. */
	rc = mend_headers(r);
	if (rc == 0 || (rc > 0 && r->what->is_dry)) {
		rc = 0;
		for (uint32_t i = 0; i < r->set->nb_runs && rc == 0; i++)
			rc = mend_run(r, &r->set->runs[i]);
	}
	sl_journal_report_close(r->report);
	return rc < 0 ? rc : (int)(r->nb_mended - before);
}

int
sl_journal_repair(const char *directory, const struct sl_journal_repair *repair, FILE *out,
	char *error, size_t error_len)
{
	struct repair r = {.what = repair, .out = out, .error = error, .error_len = error_len};
	int lock, rc = 1;

	error[0] = '\0';
	lock = journal_lock(directory, error, error_len);
	if (lock < 0)
		return lock;
	/* Mending a place shows what stands behind it: headers, then records, then it is whole. */
	for (unsigned int round = 0; rc > 0 && round < ROUNDS_MAX; round++) {
		rc = mend(&r, directory);
		if (repair->is_dry)
			break;
	}
	close(lock);
	if (rc > 0 && !repair->is_dry) {
		snprintf(error, error_len,
			"%s: still damaged after %u rounds; restore it from a "
			"copy",
			directory, ROUNDS_MAX);
		return -EBADMSG;
	}
	if (rc < 0)
		return rc;
	if (r.nb_mended > 0)
		fprintf(out,
			"damaged places: %" PRIu32 "; messages known to be lost: %" PRIu64
			"; a message whose outcome is lost is delivered again\n",
			r.nb_mended, r.nb_lost);
	return (int)r.nb_mended;
}
