/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_WINDOW_H
#define SL_WINDOW_H

/**
 * @file
 * The last N identities, exactly: the oldest makes room for the newest. Each has a value, the
 * message that is in work, or NULL when it is done. Pure. One owner.
 */

#include <stdbool.h>

#include "sl_wire.h"

struct sl_window;

/** @param seed  of the hash, so that nobody can choose identities that collide */
struct sl_window *sl_window_new(uint32_t size, uint64_t seed);
void sl_window_free(struct sl_window *window);

/**
 * Find an identity, or enter it.
 * @param value       what to enter it with
 * @param[out] known  what it was entered with, when it is known
 * @return true when it was known
 */
bool
sl_window_check(struct sl_window *window, const struct sl_wire_key *key, void *value, void **known);

/** It is done: its value becomes NULL, if it is known still. */
void sl_window_finish(struct sl_window *window, const struct sl_wire_key *key);

#endif /* SL_WINDOW_H */
