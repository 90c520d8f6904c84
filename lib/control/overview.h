/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef OVERVIEW_H
#define OVERVIEW_H

/**
 * @file
 * What the view "overview" remembers of the reading before. The control thread's.
 */

#include <stdint.h>

struct overview;

/* NULL: no memory */
struct overview *overview_create(uint64_t now_ms);
void overview_destroy(struct overview *overview); /* NULL is fine. */

#endif /* OVERVIEW_H */
