/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef UNKNOWN_H
#define UNKNOWN_H

/**
 * @file
 * Names of destinations that are not configured, and which of them have been told lately: each once
 * a minute, all of them five a second. Bounded; any thread's.
 */

#include <stdbool.h>
#include <stdint.h>

struct gw_unknown;

/** @return NULL: no memory */
struct gw_unknown *gw_unknown_create(void);
/** NULL is fine. */
void gw_unknown_destroy(struct gw_unknown *unknown);

/** Is the name to be told now? It counts as told then.
 *  @param now_ms  monotonic; threads' may be a little apart */
bool gw_unknown_is_due(struct gw_unknown *unknown, uint64_t key, uint64_t now_ms);

#endif /* UNKNOWN_H */
