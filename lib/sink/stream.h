/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef STREAM_H
#define STREAM_H

/**
 * @file
 * How far a stream of the journal is in the database. Batches are committed in any order, each with
 * a range of it; what is there without a gap is its base, which a cursor in the database follows.
 */

#include "sink_internal.h"

struct stream {
	uint32_t number;
	uint64_t cut;	    /**< Handed to lanes up to here. */
	uint64_t base;	    /**< In the database up to here. */
	uint64_t noted;	    /**< ... and it knows. */
	uint64_t early;	    /**< The first outcome in it that no base since has made old. */
	struct range *done; /**< In it beyond the base, sorted by `first`. */
	uint32_t nb_done, done_max;
	const struct sl_record *peeked; /**< Of its reader. */
};

/**
 * As the database had it.
 * @return 0 or -ENOMEM; to be freed with stream_free() in either case
 */
int
stream_begin(struct stream *stream, uint32_t number, uint64_t base, const struct resume *resume);
void stream_free(struct stream *stream);

/** A range of it is in the database. @return 0 or -ENOMEM */
int stream_add_done(struct stream *stream, const struct range *range);

/** Is what stands there in the database, beyond the base? */
bool stream_is_done(const struct stream *stream, uint64_t position);

/**
 * An outcome that was read before its message is in the database. With several lanes that may be
 * after the message itself, and after the base that would have made it old: it needs one more.
 */
void stream_note_early(struct stream *stream, uint64_t position);

/** Is a base one that the database does not know, or that makes outcomes old which came behind it?
 */
bool stream_needs_base(const struct stream *stream, uint64_t base);

/** Such a base is on its way to the database. */
void stream_send_base(struct stream *stream, uint64_t base);

#endif /* STREAM_H */
