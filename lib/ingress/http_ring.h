/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef HTTP_RING_H
#define HTTP_RING_H

/**
 * @file
 * The latest events of a topic, for those who come back. Pure; one thread's.
 */

#include "http_answer.h"

struct gw_chunk;

struct http_kept {
	struct http_event_id id;
	struct gw_chunk *event;
};

/* What all rings of a listener hold together is bounded, too. */
struct http_ring_bound {
	size_t bytes, max;
};

struct http_ring {
	struct http_ring_bound *bound;
	uint32_t size; /* Events at most. */
	uint32_t first;
	uint32_t count;
	size_t bytes, bytes_max;
	struct http_kept *kept;
};

/* @return 0 or -ENOMEM; with size 0 it holds nothing */
int http_ring_init(
	struct http_ring *ring, uint32_t size, size_t bytes_max, struct http_ring_bound *bound);
void http_ring_fini(struct http_ring *ring);

/** Keep an event, and let go of the oldest that it takes the place of. Takes a reference. */
void http_ring_add(struct http_ring *ring, const struct http_event_id *id, struct gw_chunk *event);

/** The event after the @p n th, the oldest first. */
struct gw_chunk *http_ring_at(const struct http_ring *ring, uint32_t n);

/** @return how many events are at or before this one; -1: it is not held */
int64_t http_ring_find(const struct http_ring *ring, const struct http_event_id *id);

#endif /* HTTP_RING_H */
