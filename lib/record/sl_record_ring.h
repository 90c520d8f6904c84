/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_RECORD_RING_H
#define SL_RECORD_RING_H

/**
 * @file
 * A ring of records between a worker and the journal's thread: one producer, one consumer, no lock.
 *
 * The memory is mapped twice in a row, so that what is in it is always in one piece. Positions are
 * those of the stream; the byte at position p is at p modulo the size. A worker makes records with
 * sl_record_ring_put() and publishes all of a turn with sl_record_ring_publish(); the journal's
 * thread takes what is published and, once it is durable, says so with
 * sl_record_ring_set_durable(), which also gives the room back.
 */

#include <stdatomic.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "sl_record.h"

/**
 * What is kept of what is durable already: the file is written in blocks of this size, so that the
 * block `durable` lies in is written once more, with what comes behind it.
 */
#define SL_RECORD_RING_SLACK 4096u

/** Outcomes that a worker puts into one record at most. */
#define SL_RECORD_OUTCOMES_MAX 256u

/** Room that outcomes of so many messages may take, a segment's end among them. */
static inline uint64_t
sl_record_ring_room_for_outcomes(uint32_t nb_outcomes)
{
	const uint64_t records = nb_outcomes / SL_RECORD_OUTCOMES_MAX + 2;

	return SL_RECORD_LEN_MAX + nb_outcomes * sizeof(struct sl_record_outcome_of) +
		records * sizeof(struct sl_record_done);
}

/** What the consumer says of itself. */
enum sl_record_ring_state {
	SL_RECORD_RING_OK,
	SL_RECORD_RING_STUCK, /**< What is published does not become durable now, or soon. */
	SL_RECORD_RING_FULL,  /**< Nor will it before something else is released. */
};

struct sl_record_ring {
	/* Constant. */
	uint8_t *bytes;
	uint64_t mask;
	uint64_t segment_bytes; /**< A power of 2; segments end at its multiples. */
	uint32_t stream;
	uint32_t incarnation;

	/* The producer's. */
	uint64_t put __rte_cache_aligned; /**< Where the next record goes. */
	uint64_t durable_seen;		  /**< The last it looked at `durable`, */
	uint32_t state_seen;		  /**< and at `state`. */

	_Atomic uint64_t published __rte_cache_aligned; /**< By the producer. */
	/** By the consumer: everything before is durable, and its room is free but for the slack.
	 */
	_Atomic uint64_t durable __rte_cache_aligned;
	_Atomic uint32_t state; /**< By the consumer: of enum sl_record_ring_state. */
};

/**
 * Make a ring whose first record stands at @p position.
 * @param size           bytes, a power of 2, at least 1 MiB and a multiple of the page size
 * @param segment_bytes  a power of 2, at least 1 MiB
 * @return 0 or -errno; free with sl_record_ring_free()
 */
int sl_record_ring_init(struct sl_record_ring *ring, uint32_t stream, uint32_t incarnation,
	uint64_t position, uint64_t size, uint64_t segment_bytes);

void sl_record_ring_free(struct sl_record_ring *ring);

/** Bytes that may be put now; the producer's. A record takes its stride, and perhaps a pad. */
static inline uint64_t
sl_record_ring_room(struct sl_record_ring *ring)
{
	return ring->mask + 1 - SL_RECORD_RING_SLACK - (ring->put - ring->durable_seen);
}

/** Look again how far the consumer has come; the producer's, once a turn. */
static inline void
sl_record_ring_refresh(struct sl_record_ring *ring)
{
	ring->durable_seen = atomic_load_explicit(&ring->durable, memory_order_acquire);
	ring->state_seen = atomic_load_explicit(&ring->state, memory_order_relaxed);
}

/** Fill what is left of a segment that a record does not fit into. */
void sl_record_ring_pad(struct sl_record_ring *ring, uint64_t left, uint64_t time_ns);

/**
 * Make room for a record and fill in its header, all but what the journal's thread does. The
 * caller writes the rest before it publishes.
 * @param len  of the whole record, at most SL_RECORD_LEN_MAX
 * @return the record, or NULL when there is no room for it
 */
static inline void *
sl_record_ring_put(
	struct sl_record_ring *ring, enum sl_record_type type, uint32_t len, uint64_t time_ns)
{
	uint64_t left = ring->segment_bytes - (ring->put & (ring->segment_bytes - 1));
	uint32_t stride = sl_record_stride(len);
	struct sl_record *record;

	if (unlikely(stride > left)) {
		if (sl_record_ring_room(ring) < left + stride)
			return NULL;
		sl_record_ring_pad(ring, left, time_ns);
	} else if (unlikely(sl_record_ring_room(ring) < stride)) {
		return NULL;
	}
	record = (struct sl_record *)(ring->bytes + (ring->put & ring->mask));
	record->len = len;
	record->position = ring->put;
	record->time_ns = time_ns;
	record->incarnation = ring->incarnation;
	record->type = (uint8_t)type;
	record->flags = 0;
	ring->put += stride;
	return record;
}

/** Hand over everything put so far. */
static inline void
sl_record_ring_publish(struct sl_record_ring *ring)
{
	atomic_store_explicit(&ring->published, ring->put, memory_order_release);
}

/** The consumer's: what is published, from @p from on, in one piece. @return bytes */
static inline uint64_t
sl_record_ring_peek(const struct sl_record_ring *ring, uint64_t from, uint8_t **bytes)
{
	*bytes = ring->bytes + (from & ring->mask);
	return atomic_load_explicit(&ring->published, memory_order_acquire) - from;
}

/** The consumer's: everything before @p position is durable. */
static inline void
sl_record_ring_set_durable(struct sl_record_ring *ring, uint64_t position)
{
	atomic_store_explicit(&ring->durable, position, memory_order_release);
}

/** The consumer's: what hinders it, if anything. */
static inline void
sl_record_ring_set_state(struct sl_record_ring *ring, enum sl_record_ring_state state)
{
	atomic_store_explicit(&ring->state, state, memory_order_relaxed);
}

/**
 * What was put at a position, pads too; the producer's, as long as nothing was put over it: of what
 * is not durable, or was not before the last sl_record_ring_refresh().
 * @param[in,out] position  moves behind it
 * @return the record; NULL: what is left of the segment there is too little for one
 */
static inline const struct sl_record *
sl_record_ring_next(const struct sl_record_ring *ring, uint64_t *position)
{
	uint64_t left = ring->segment_bytes - (*position & (ring->segment_bytes - 1));
	const struct sl_record *record;

	if (unlikely(left < sizeof(*record))) {
		*position += left;
		return NULL;
	}
	record = (const struct sl_record *)(ring->bytes + (*position & ring->mask));
	*position += sl_record_stride(record->len);
	return record;
}

#endif /* SL_RECORD_RING_H */
