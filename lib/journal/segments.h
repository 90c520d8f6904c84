/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SEGMENTS_H
#define SEGMENTS_H

/* What segment files a journal's directory holds, and which part of each counts. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "journal_internal.h"

struct segment {
	struct sl_journal_segment found;
	struct journal_name name;
	enum journal_header_state state;
	/* There is a mark, and it is damaged: how far the stream was synced is not known. */
	bool is_mark_bad;
	ino_t inode;
	uint64_t to; /* From header.first up to here, it counts: less than its end when cut off. */
};

/* The segments of one stream that one run has begun. */
struct run {
	uint32_t incarnation;
	uint32_t stream;
	uint32_t first; /* Into segments.all. */
	uint32_t nb;
};

/*
 * Those that count stand in front, ordered by stream and then as they were begun, which orders
 * their positions too: none overlaps another. Behind them: those that are cut off wholly, then
 * those without a header, then those whose header is damaged.
 */
struct segments {
	int directory; /* File descriptor. */
	char *path;
	struct segment *all;
	uint32_t nb; /* That count. */
	uint32_t nb_whole;
	uint32_t nb_all;
	struct run *runs; /* Ordered by incarnation, then stream. */
	uint32_t nb_runs;
	uint32_t stream_first[SL_STREAMS_MAX + 1]; /* Into `all`; the next one's ends it. */
};

int segments_open(struct segments *set, const char *path);
void segments_close(struct segments *set);

/* Look at the directory again. What was known of files that are still there is not read again, but
 * for the marks when `with_marks`. Returns 0 or -errno; then nothing has changed. */
int segments_scan(struct segments *set, bool with_marks);

/* Read a segment's mark again. */
void segments_read_mark(const struct segments *set, struct segment *segment);

/* Was its file deleted, or used again for another, since it was looked at? */
bool segments_is_gone(const struct segments *set, const struct segment *segment);

#define SEGMENT_NONE UINT32_MAX

/* The segment that holds a position, or else the one behind it; SEGMENT_NONE: there is none. */
uint32_t segments_find(const struct segments *set, uint32_t stream, uint64_t position);

/* The first one behind `at` that counts, is of the same stream and was begun by a later run. */
uint32_t segments_next_run(const struct segments *set, uint32_t at);

/* Where a position is in its file. */
static inline uint64_t
segment_offset(const struct segment *segment, uint64_t position)
{
	return SL_SEGMENT_HEADER + position - segment->found.header.base;
}

#endif /* SEGMENTS_H */
