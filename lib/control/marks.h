/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef MARKS_H
#define MARKS_H

/**
 * @file
 * What counters stood at when they were cleared. The counters themselves go on: other readers
 * (metrics, the statistics file) see them whole.
 */

#include <rte_ethdev.h>

#include "sl_config.h"
#include "sl_datapath.h"

struct marks;

/* NULL when memory is short. */
struct marks *marks_create(const struct sl_config *config);
void marks_free(struct marks *marks);

/*
 * Marks for another configuration: what keeps its name keeps its mark. Ports come along with
 * marks_replace(). NULL when memory is short.
 */
struct marks *marks_follow(
	const struct marks *marks, const struct sl_config *before, const struct sl_config *after);

/* Put `followed` in the place of what it follows. */
void marks_replace(struct marks **marks, struct marks *followed);

/* Counters stand at these values now. */
void marks_set_stats(struct marks *marks, const struct sl_datapath_stats *stats);
void marks_set_destination(
	struct marks *marks, uint32_t destination, const struct sl_destination_stats *stats);
void
marks_set_backend(struct marks *marks, uint32_t destination, uint32_t backend, uint64_t delivered);
void marks_set_port(struct marks *marks, uint32_t port, const struct rte_eth_stats *stats);

/* Takes `values`, from malloc(). */
void marks_set_xstats(struct marks *marks, uint32_t port, uint64_t *values, uint32_t nb_values);

/*
 * Counters less their marks. What was queued when they were cleared counts as received afterwards,
 * so that they still add up.
 */
void marks_subtract_stats(const struct marks *marks, struct sl_datapath_stats *stats);
void marks_subtract_destination(
	const struct marks *marks, uint32_t destination, struct sl_destination_stats *stats);
uint64_t marks_subtract_backend(
	const struct marks *marks, uint32_t destination, uint32_t backend, uint64_t delivered);
void marks_subtract_port(const struct marks *marks, uint32_t port, struct rte_eth_stats *stats);
uint64_t
marks_subtract_xstat(const struct marks *marks, uint32_t port, uint32_t index, uint64_t value);

#endif /* MARKS_H */
