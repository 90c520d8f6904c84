/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef METRICS_H
#define METRICS_H

/**
 * @file
 * The appliance's state as metrics. docs/monitoring.md lists them.
 */

#include "metrics_text.h"
#include "sl_config.h"
#include "sl_datapath.h"

/* What is told of. */
struct metrics_source {
	const struct sl_config *config; /* As the path has it. */
	struct sl_datapath *datapath;
	const char *version;
	uint64_t uptime_ms;
};

/* The parts of sl_control_metrics(), in their files. */
void metrics_path(struct metrics_text *text, const struct metrics_source *source,
	const struct sl_datapath_stats *stats);
void metrics_machine(struct metrics_text *text, const struct metrics_source *source,
	const struct sl_datapath_stats *stats);
/* 0 or -ENOMEM */
int metrics_destinations(struct metrics_text *text, const struct metrics_source *source);

#endif /* METRICS_H */
