/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sl_slots.h"

int
sl_slots_init(struct sl_slots *slots, uint32_t nb_slots)
{
	memset(slots, 0, sizeof(*slots));
	slots->used = calloc((size_t)nb_slots / 64 + 1, sizeof(*slots->used));
	if (slots->used == NULL)
		return -ENOMEM;
	slots->nb_slots = nb_slots;
	slots->nb_free = nb_slots;
	return 0;
}

void
sl_slots_free(struct sl_slots *slots)
{
	free(slots->used);
	memset(slots, 0, sizeof(*slots));
}

static inline bool
is_used(const struct sl_slots *slots, uint32_t slot)
{
	return slots->used[slot / 64] >> (slot % 64) & 1;
}

/* What a run has to be. */
struct wanted {
	uint32_t n;
	uint32_t modulus;
	uint32_t remainder;
};

/* The next place from `at` on where such a run may begin. */
static inline uint32_t
round_up(const struct wanted *w, uint32_t at)
{
	return at + (w->remainder + w->modulus - at % w->modulus) % w->modulus;
}

/* The first run that is free and begins in [from, to); SL_SLOTS_NONE when there is none. */
static uint32_t
find(const struct sl_slots *slots, uint32_t from, uint32_t to, const struct wanted *w)
{
	uint32_t first = round_up(w, from), at = first;

	while (first < to && first <= slots->nb_slots && w->n <= slots->nb_slots - first) {
		if (at % 64 == 0 && slots->used[at / 64] == UINT64_MAX) {
			first = at = round_up(w, at + 64);
			continue;
		}
		if (is_used(slots, at)) {
			first = at = round_up(w, at + 1);
			continue;
		}
		if (++at - first == w->n)
			return first;
	}
	return SL_SLOTS_NONE;
}

uint32_t
sl_slots_take(struct sl_slots *slots, uint32_t n)
{
	return sl_slots_take_at(slots, n, 1, 0);
}

uint32_t
sl_slots_take_at(struct sl_slots *slots, uint32_t n, uint32_t modulus, uint32_t remainder)
{
	const struct wanted wanted = {.n = n, .modulus = modulus, .remainder = remainder};
	uint32_t first;

	if (n > slots->nb_free)
		return SL_SLOTS_NONE;
	first = find(slots, slots->next, slots->nb_slots, &wanted);
	if (first == SL_SLOTS_NONE)
		first = find(slots, 0, slots->next, &wanted);
	if (first == SL_SLOTS_NONE)
		return SL_SLOTS_NONE;
	for (uint32_t slot = first; slot < first + n; slot++)
		slots->used[slot / 64] |= UINT64_C(1) << (slot % 64);
	slots->nb_free -= n;
	slots->next = first + n;
	return first;
}

void
sl_slots_give(struct sl_slots *slots, uint32_t first, uint32_t n)
{
	for (uint32_t slot = first; slot < first + n; slot++)
		slots->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
	slots->nb_free += n;
}
