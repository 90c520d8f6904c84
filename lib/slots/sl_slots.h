/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_SLOTS_H
#define SL_SLOTS_H

/**
 * @file
 * Numbers 0 .. n-1 that are handed out, kept for as long as their user lives, and handed out again:
 * places in tables that others index without a lock.
 *
 * A number that was given back is taken again as late as possible. Threads: one owner.
 */

#include <stddef.h>
#include <stdint.h>

/** No such run of numbers is free. */
#define SL_SLOTS_NONE UINT32_MAX

struct sl_slots {
	uint32_t nb_slots;
	uint32_t nb_free;
	uint32_t next;	/**< Where the next search begins. */
	uint64_t *used; /**< Bits. */
};

/** Make all numbers below @p nb_slots free. @return 0 or -ENOMEM */
int sl_slots_init(struct sl_slots *slots, uint32_t nb_slots);

void sl_slots_free(struct sl_slots *slots);

/**
 * Take @p n numbers in a row, n >= 1.
 * @return the first of them, or SL_SLOTS_NONE; nothing is taken then
 */
uint32_t sl_slots_take(struct sl_slots *slots, uint32_t n);

/**
 * The same, where the first one leaves @p remainder when it is divided by @p modulus.
 * @param modulus  at least 1
 */
uint32_t sl_slots_take_at(struct sl_slots *slots, uint32_t n, uint32_t modulus, uint32_t remainder);

/** Give back @p n numbers that are taken, from @p first on. */
void sl_slots_give(struct sl_slots *slots, uint32_t first, uint32_t n);

#endif /* SL_SLOTS_H */
