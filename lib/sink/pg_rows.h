/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef PG_ROWS_H
#define PG_ROWS_H

/**
 * @file
 * Rows in PostgreSQL's binary formats: of COPY, and of arrays.
 */

#include "pg_link.h"
#include "sink_internal.h"

/** What is copied, in this order; the others have their defaults. */
#define PG_ROW_COLUMNS                                                                             \
	"received, delivered, source_time, position, attempts, journal, stream, priority, id, "    \
	"status, destination, source, type, id_text, payload"

/** Days since 1970 of a time, in UTC: what partitions go by. */
static inline uint32_t
pg_day_of(uint64_t ns)
{
	return (uint32_t)(ns / (86400 * SINK_NS_PER_S));
}

struct pg_buffer {
	uint8_t *bytes;
	size_t len;
	size_t size;
};

void pg_buffer_free(struct pg_buffer *buffer);

/** Append what a COPY begins with, a row, what it ends with. @return 0 or -ENOMEM */
int pg_put_header(struct pg_buffer *buffer);
int pg_put_row(struct pg_buffer *buffer, const struct row *row, int32_t journal);
int pg_put_trailer(struct pg_buffer *buffer);

/** The columns of outcomes, each as an array of its own: parameters of one statement. */
enum { PG_RECEIVED, PG_STREAM, PG_POSITION, PG_DELIVERED, PG_ATTEMPTS, PG_STATUS, PG_ARRAYS };

/**
 * Make arrays of those outcomes whose time of receipt is known, or of the others.
 * @param[out] params  into @p buffer; PG_ARRAYS of them
 * @return how many outcomes there are, or -ENOMEM
 */
int pg_put_outcomes(struct pg_buffer *buffer, const struct outcome *outcomes, uint32_t nb_outcomes,
	bool is_known, struct pg_param params[PG_ARRAYS]);

#endif /* PG_ROWS_H */
