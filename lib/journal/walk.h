/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef WALK_H
#define WALK_H

/* Going through a stream, record by record, and judging what is no record. */
#include "segments.h"

#define WALK_LINE_MAX 4608

#define WALK_WINDOW_MAX	  (4u << 20)
#define WALK_WINDOW_SMALL (1u << 20)
#define WALK_WINDOW_MIN	  (2 * SL_RECORD_LEN_MAX)

/* A piece of a segment's file in memory. */
struct window {
	int fd; /* -1: none. */
	ino_t inode;
	uint8_t *bytes;
	size_t size;
	uint64_t from; /* Offset in the file of the first byte. */
	size_t len;
};

/* The size is a multiple of 4096, and SL_RECORD_LEN_MAX and as much again at least. */
int window_init(struct window *window, size_t size);
void window_free(struct window *window);
void window_forget(struct window *window);

/*
 * Read the record at a position of a segment. Nothing is read from the file at or behind position
 * `limit`, but what is in the window already.
 * Returns 0; -EBADMSG with *why: the bytes there are no record; -ENOENT: the file is gone; -errno.
 */
int window_record(struct window *window, const struct segments *set, const struct segment *segment,
	uint64_t position, uint64_t limit, const struct sl_record **record,
	enum sl_record_error *why);

/*
 * Read the message whose outcome names a position: its record stands there, or, of a topic's, that
 * of one of its subscribers. Returns as window_record().
 */
int window_message(struct window *window, const struct segments *set, const struct segment *segment,
	uint64_t position, uint64_t limit, const struct sl_record_message **message);

/* What the window holds from a position on; it is filled when that is nothing. Returns bytes, up to
 * the end of what counts; or -errno. */
ssize_t window_peek(struct window *window, const struct segments *set,
	const struct segment *segment, uint64_t position, const uint8_t **bytes);

/* A place in a file, and what is wrong there. */
struct walk_place {
	char name[64];
	uint64_t offset;
	uint64_t position;
	uint32_t stream;
	const char *what;
	uint64_t durable; /* At least everything before this was. */
};

/* What was not durable when its run ended. */
struct walk_torn {
	struct walk_place place;
	uint64_t bytes; /* From there on, up to the last that is not 0. */
	uint32_t nb;	/* Times it was met; `place` and `bytes` are of the last. */
};

struct walk {
	struct segments *set;
	uint32_t segment; /* That `at` is in. */
	uint32_t end;	  /* The first one that is not walked through any more. */
	uint64_t at;	  /* Position of the next record. */
	uint64_t limit;	  /* Nothing is read from there on; UINT64_MAX: there is no limit. */
	uint32_t
		live_incarnation; /* Of the run whose records are durable up to `limit`; 0: none. */
	bool is_torn;		  /* The last run ends here, and what is behind is no record. */
	uint32_t torn_incarnation; /* Of the segment it ends in. */
	uint32_t torn_number;
	uint8_t torn_head[sizeof(struct sl_record)]; /* What was there. */
	struct window window;
	struct walk_place place; /* Of the damage. */
	struct walk_torn torn;
};

/* The window is not larger than it needs to be for the largest file there is. */
int walk_init(struct walk *walk, struct segments *set, size_t window);
void walk_free(struct walk *walk);

/* Go through `nb` segments from `first` on, all of one stream; from a position on, which is the
 * begin of a record or before the first. From where the walk had ended costs nothing. */
void walk_begin(struct walk *walk, uint32_t first, uint32_t nb, uint64_t position);

/*
 * The next record, pads left out; valid until the next call.
 * Returns 1; 0: there is none; -EBADMSG: damage, `place` says where; -ENOENT: a file is gone;
 * -errno.
 */
int walk_next(struct walk *walk, const struct sl_record **record);

/*
 * Behind damage: go on at the next record of the segment that is whole, or in the next segment.
 * Returns the bytes left out, or -errno.
 */
int64_t walk_skip(struct walk *walk);

/* Go on in the next segment, whatever is left of this. */
void walk_skip_segment(struct walk *walk);

/* One line: file, offset, what is wrong. */
void
walk_describe(const struct segments *set, const struct walk_place *place, char *text, size_t len);

#endif /* WALK_H */
