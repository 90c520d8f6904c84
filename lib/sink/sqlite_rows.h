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

/** The key of a message, or of its outcome: journal, stream and position. */
static inline int64_t
sqlite_ref_of(const struct tenure *tenure, sl_record_ref ref)
{
	return (int64_t)((uint64_t)tenure->journal << 58 | ref);
}

/** NULL for a time that nobody has told, or that SQLite has no number for. */
static inline bool
sqlite_is_time(uint64_t ns)
{
	return ns != 0 && ns <= INT64_MAX;
}

#endif /* SQLITE_ROWS_H */
