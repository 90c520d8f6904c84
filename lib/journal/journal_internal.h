/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef JOURNAL_INTERNAL_H
#define JOURNAL_INTERNAL_H

/* What the writing and the reading side of the journal share. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sl_journal.h"

#define JOURNAL_BLOCK	  4096u
#define JOURNAL_NAME_SIZE 40u
#define JOURNAL_LOCK_NAME "lock"

/*
 * A segment's file: "STREAM-BASE-TAKE.seg", in hex of 4, 12 and 4 digits; of a base from 2^48 on of
 * 13 or 14. The take counts files of one stream and base: a file that a write or sync failed on is
 * not used again, and may hold what is durable up to the middle of its first block. Which one
 * counts is in the headers.
 */
struct journal_name {
	uint32_t stream;
	uint32_t take;
	uint64_t base;
};

void journal_name_format(char text[JOURNAL_NAME_SIZE], const struct journal_name *name);
/* False for anything journal_name_format() does not write. */
bool journal_name_parse(const char *text, struct journal_name *name);

/* A header block is the first SL_SEGMENT_HEADER bytes of a file. Filled in but for magic and crc;
 * sealing zeroes what is behind the struct, the mark included. */
void journal_header_seal(uint8_t block[SL_SEGMENT_HEADER]);

enum journal_header_state {
	JOURNAL_HEADER_OK,
	JOURNAL_HEADER_EMPTY, /* All 0: made ahead, holds nothing. */
	JOURNAL_HEADER_BAD,   /* Damaged: magic, checksum, or numbers that cannot be. */
};

enum journal_header_state journal_header_check(const uint8_t block[SL_SEGMENT_HEADER]);

void journal_mark_seal(uint8_t block[SL_SEGMENT_HEADER], uint32_t stream, uint64_t synced);
/* Returns 0 when there is no mark, or none that is whole: it is only a hint. */
uint64_t journal_mark_read(const uint8_t block[SL_SEGMENT_HEADER]);

/* Was `a` begun before `b`? */
static inline bool
journal_is_before(const struct sl_segment_header *a, const struct sl_segment_header *b)
{
	if (a->incarnation != b->incarnation)
		return a->incarnation < b->incarnation;
	return a->number < b->number;
}

/*
 * Take the lock of a journal's directory, whose file is made when it is not there. Returns a file
 * descriptor to close, which gives it back; or -EBUSY, -errno, with one line in `error`.
 */
int journal_lock(const char *directory, char *error, size_t error_len);

/* Of this run. */
uint32_t journal_incarnation(const struct sl_journal *journal);
/* How far a stream is durable; any thread. */
uint64_t journal_durable(struct sl_journal *journal, uint32_t stream);
/*
 * Changes whenever a segment was begun, before anything in it counts as durable, and when one was
 * deleted: time to look at the directory again. Any thread.
 */
uint32_t journal_layout(struct sl_journal *journal);

#endif /* JOURNAL_INTERNAL_H */
