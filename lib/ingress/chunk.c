/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include "chunk.h"

struct gw_chunk *
gw_chunk_alloc(size_t len)
{
	struct gw_chunk *chunk = malloc(sizeof(*chunk) + len);

	if (chunk == NULL)
		return NULL;
	chunk->refs = 1;
	chunk->len = len;
	return chunk;
}

uint8_t *
gw_chunk_data(struct gw_chunk *chunk)
{
	return chunk->bytes;
}

size_t
gw_chunk_len(const struct gw_chunk *chunk)
{
	return chunk->len;
}

struct gw_chunk *
gw_chunk_ref(struct gw_chunk *chunk)
{
	chunk->refs++;
	return chunk;
}

void
gw_chunk_truncate(struct gw_chunk *chunk, size_t len)
{
	if (len < chunk->len)
		chunk->len = len;
}

void
gw_chunk_free(struct gw_chunk *chunk)
{
	if (chunk != NULL && --chunk->refs == 0)
		free(chunk);
}
