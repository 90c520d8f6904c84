/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>

#include "gateway.h"
#include "http_ring.h"

int
http_ring_init(
	struct http_ring *ring, uint32_t size, size_t bytes_max, struct http_ring_bound *bound)
{
	*ring = (struct http_ring){.bound = bound, .size = size, .bytes_max = bytes_max};
	if (size == 0)
		return 0;
	ring->kept = calloc(size, sizeof(*ring->kept));
	return ring->kept == NULL ? -ENOMEM : 0;
}

static void
drop_first(struct http_ring *ring)
{
	struct gw_chunk *event = ring->kept[ring->first].event;

	ring->bytes -= gw_chunk_len(event);
	ring->bound->bytes -= gw_chunk_len(event);
	gw_chunk_free(event);
	ring->first = (ring->first + 1) % ring->size;
	ring->count--;
}

void
http_ring_fini(struct http_ring *ring)
{
	while (ring->count > 0)
		drop_first(ring);
	free(ring->kept);
}

void
http_ring_add(struct http_ring *ring, const struct http_event_id *id, struct gw_chunk *event)
{
	size_t len = gw_chunk_len(event);
	struct http_kept *kept;

	if (ring->size == 0)
		return;
	while (ring->count > 0 &&
		(ring->count == ring->size || ring->bytes + len > ring->bytes_max ||
			ring->bound->bytes + len > ring->bound->max))
		drop_first(ring);
	if (len > ring->bytes_max || ring->bound->bytes + len > ring->bound->max)
		return;
	kept = &ring->kept[(ring->first + ring->count++) % ring->size];
	kept->id = *id;
	kept->event = gw_chunk_ref(event);
	ring->bytes += len;
	ring->bound->bytes += len;
}

struct gw_chunk *
http_ring_at(const struct http_ring *ring, uint32_t n)
{
	return ring->kept[(ring->first + n) % ring->size].event;
}

int64_t
http_ring_find(const struct http_ring *ring, const struct http_event_id *id)
{
	for (uint32_t n = ring->count; n > 0; n--) {
		const struct http_event_id *own = &ring->kept[(ring->first + n - 1) % ring->size]
							   .id;

		if (own->id_low == id->id_low && own->id_high == id->id_high &&
			own->source == id->source)
			return n;
	}
	return -1;
}
