/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef ARENA_H
#define ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

/* A bump allocator: protobuf-c asks, nobody gives back, the next call begins anew. */
struct arena {
	uint8_t *base;
	size_t len;
	size_t used;
	bool is_exhausted;
	ProtobufCAllocator allocator;
};

void arena_init(struct arena *arena, void *base, size_t len);

#endif /* ARENA_H */
