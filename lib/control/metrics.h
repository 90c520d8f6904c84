/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef METRICS_H
#define METRICS_H

/**
 * @file
 * The appliance's state as metrics. docs/monitoring.md lists them.
 */

#include <jansson.h>

#include "members.h"
#include "metrics_text.h"
#include "sl_checks.h"
#include "sl_config.h"
#include "sl_datapath.h"

struct durable;

/* What is told of. */
struct metrics_source {
	const struct sl_config *config; /* As the path has it. */
	struct sl_datapath *datapath;
	const struct sl_checks
		*checks; /* NULL: what the operator wants of a backend is its state. */
	struct durable *durable;
	const char *version;
	uint64_t uptime_ms;
};

/* The parts of sl_control_metrics(), in their files. */
void metrics_path(struct metrics_text *text, const struct metrics_source *source,
	const struct sl_datapath_stats *stats);
void metrics_machine(struct metrics_text *text, const struct metrics_source *source,
	const struct sl_datapath_stats *stats);
/* These return 0 or -ENOMEM. */
int metrics_destinations(struct metrics_text *text, const struct metrics_source *source);
int metrics_backends(struct metrics_text *text, const struct metrics_source *source);
int metrics_durable(struct metrics_text *text, const struct metrics_source *source);
int metrics_topics(struct metrics_text *text, const struct metrics_source *source);
void metrics_members(struct metrics_text *text, const struct members_stats *stats);
/* What ingress_show() shows. */
void metrics_gateways(struct metrics_text *text, const json_t *ingress);

/* Destinations that have series of their own. */
static inline uint32_t
metrics_nb_destinations(const struct sl_config *config)
{
	return RTE_MIN(config->nb_destinations, config->http.metrics_destinations);
}

#endif /* METRICS_H */
