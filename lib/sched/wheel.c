/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "wheel.h"

void
wheel_init(struct wheel *wheel, uint64_t ticks_per_s, uint64_t now)
{
	wheel->shift = 63 - (unsigned int)__builtin_clzll(ticks_per_s >> 18);
	wheel->current = now >> wheel->shift;
	wheel->nb_parked = 0;
	for (uint32_t i = 0; i < WHEEL_SLOTS; i++)
		wheel->slots[i] = WHEEL_NIL;
}

uint32_t
wheel_park(struct wheel *wheel, uint32_t entry, uint64_t at)
{
	uint64_t slot = at >> wheel->shift;
	uint32_t next;

	/* Not before its time: up, in a way that does not overflow. */
	slot += slot << wheel->shift != at;
	/* Never the current slot, which has been emptied, and never once around. */
	if (slot <= wheel->current)
		slot = wheel->current + 1;
	else if (slot > wheel->current + WHEEL_SLOTS - 1)
		slot = wheel->current + WHEEL_SLOTS - 1;
	next = wheel->slots[slot % WHEEL_SLOTS];
	wheel->slots[slot % WHEEL_SLOTS] = entry;
	wheel->nb_parked++;
	return next;
}

uint32_t
wheel_pop_due(struct wheel *wheel, uint64_t now)
{
	uint64_t target = now >> wheel->shift;
	uint32_t entry;

	if (wheel->nb_parked == 0 || target > wheel->current + WHEEL_SLOTS) {
		/* Nobody waits, or all do: there is nothing to find in going around twice. */
		if (wheel->nb_parked == 0) {
			if (target > wheel->current)
				wheel->current = target;
			return WHEEL_NIL;
		}
		wheel->current = target - WHEEL_SLOTS;
	}
	while (wheel->current < target) {
		wheel->current++;
		entry = wheel->slots[wheel->current % WHEEL_SLOTS];
		if (entry != WHEEL_NIL) {
			wheel->slots[wheel->current % WHEEL_SLOTS] = WHEEL_NIL;
			return entry;
		}
	}
	return WHEEL_NIL;
}
