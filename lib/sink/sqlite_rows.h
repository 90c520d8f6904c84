/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SQLITE_ROWS_H
#define SQLITE_ROWS_H

/**
 * @file
 * A batch as a table that SQLite reads: one INSERT ... SELECT takes all of its rows. A statement
 * for each row would open and close the table and its indexes each time, which is a third of what
 * a row costs.
 */

#include <sqlite3.h>

#include "sink_internal.h"

/** Its name in statements, and its columns: those of sluice_messages, ref first. */
#define SQLITE_ROWS_TABLE "sluice_batch"
#define SQLITE_ROW_COLUMNS                                                                         \
	"ref, received, delivered, source_time, created_at, attempts, priority, status, "          \
	"destination, source, type, id, id_text, payload"

/** What the table shows; the engine's, who sets it while the statement runs. */
struct sqlite_rows {
	const struct tenure *tenure;
	const struct row *rows;
	uint32_t nb_rows;
	int64_t created_ns;
};

/** Make the table known to a connection. @return SQLite's result code */
int sqlite_rows_register(sqlite3 *db, struct sqlite_rows *rows);

/**
 * The key of a message, or of its outcome: from the highest bit on 0, the journal (5 bits), the low
 * 4 of the stream, the position. Positions are multiples of 16: the stream's other bits are where
 * theirs are 0. Streams below 16 have a ref with the journal in front.
 */
#define SQLITE_JOURNALS_MAX 32
#define SQLITE_STREAMS_MAX  256u
#define SQLITE_JOURNAL_BIT  58

/** Is it a message's place, in a stream that can be told from the others? */
static inline bool
sqlite_has_key(sl_record_ref ref)
{
	return ref % SL_RECORD_ALIGN == 0 && sl_record_ref_stream(ref) < SQLITE_STREAMS_MAX;
}

/** @param ref  sqlite_has_key() */
static inline int64_t
sqlite_key_of(int32_t journal, sl_record_ref ref)
{
	uint32_t stream = sl_record_ref_stream(ref);

	return (int64_t)((uint64_t)journal << SQLITE_JOURNAL_BIT |
		sl_record_ref_of(stream % 16, sl_record_ref_position(ref)) | stream / 16);
}

static inline sl_record_ref
sqlite_ref_of(int64_t key)
{
	uint64_t number = (uint64_t)key, low = number % SL_RECORD_ALIGN;
	uint32_t stream = sl_record_ref_stream(number) % 16 + (uint32_t)low * 16;

	return sl_record_ref_of(stream, sl_record_ref_position(number - low));
}

/** NULL for a time that nobody has told, or that SQLite has no number for. */
static inline bool
sqlite_is_time(uint64_t ns)
{
	return ns != 0 && ns <= INT64_MAX;
}

#endif /* SQLITE_ROWS_H */
