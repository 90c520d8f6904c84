/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef WHEEL_H
#define WHEEL_H

/**
 * @file
 * A timing wheel for destinations that may not send yet. An entry further away than the wheel's
 * horizon becomes due at the horizon, and its owner parks it again.
 */

#include <stdint.h>

#define WHEEL_SLOTS 65536
#define WHEEL_NIL   UINT32_MAX

struct wheel {
	unsigned int shift; /* A slot is 2^shift ticks. */
	uint64_t current;   /* Slot number that was emptied last. */
	uint32_t nb_parked;
	uint32_t slots[WHEEL_SLOTS]; /* First entry, linked through the caller's `next`. */
};

/*
 * Slots of 2 to 4 microseconds: a horizon of 125 to 250 milliseconds. Short, because a message of
 * the best class waits a slot for the next token of a destination that is at its limit.
 */
void wheel_init(struct wheel *wheel, uint64_t ticks_per_s, uint64_t now);

/* Park an entry until `at`; returns what its `next` has to be. */
uint32_t wheel_park(struct wheel *wheel, uint32_t entry, uint64_t at);

/*
 * The first entry of the next slot that is due, its list now the caller's, who takes each entry off
 * `nb_parked`; WHEEL_NIL when none is due any more. Call until it says so.
 */
uint32_t wheel_pop_due(struct wheel *wheel, uint64_t now);

#endif /* WHEEL_H */
