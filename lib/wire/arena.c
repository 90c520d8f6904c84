/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <rte_common.h>

#include "arena.h"

static void *
arena_alloc(void *data, size_t size)
{
	struct arena *arena = data;
	uintptr_t base = (uintptr_t)arena->base;
	size_t at = RTE_ALIGN_CEIL(base + arena->used, (uintptr_t)16) - base;

	if (size > arena->len || at > arena->len - size) {
		arena->is_exhausted = true;
		return NULL;
	}
	arena->used = at + size;
	return arena->base + at;
}

static void
arena_free(void *data, void *p)
{
	(void)data;
	(void)p;
}

void
arena_init(struct arena *arena, void *base, size_t len)
{
	*arena = (struct arena){
		.base = base,
		.len = len,
		.allocator = {.alloc = arena_alloc, .free = arena_free, .allocator_data = arena},
	};
}
