/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_STATS_H
#define SL_STATS_H

/**
 * @file
 * Statistics for people and for machines. docs/statistics.md says what each figure means.
 *
 * Threads: the control thread.
 */

#include <stdio.h>

#include "sl_config.h"
#include "sl_datapath.h"

/**
 * Write the statistics as JSON, whole or not at all: into a file beside @p path, then renamed.
 * @return 0; -EAGAIN when an lcore has not answered for a second, the file is left; or -errno
 */
int
sl_stats_write_json(const char *path, const struct sl_config *config, struct sl_datapath *datapath);

/** Print the statistics as a table. */
void sl_stats_print(FILE *out, const struct sl_config *config, struct sl_datapath *datapath);

#endif /* SL_STATS_H */
