/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>

#include "metrics.h"

/* A destination, or in the last place all those without series of their own. */
struct row {
	struct metrics_labels labels;
	struct sl_destination_stats stats;
	uint64_t capacity;
	uint64_t nb_up;
	uint64_t nb_panics;
	uint64_t parked, in_flight;
};

/* Backends that may be chosen; without checks, all that the operator wants to be. */
static struct sl_checks_destination
checked(const struct metrics_source *source, uint32_t index)
{
	const struct sl_config_destination *destination = &source->config->destinations[index];
	struct sl_checks_destination status = {.nb_up = 0};

	if (source->checks != NULL && sl_checks_get_destination(source->checks, index, &status))
		return status;
	for (uint32_t i = 0; i < destination->nb_backends; i++)
		status.nb_up += destination->backends[i].state == SL_CONFIG_READY;
	return status;
}

static void
read_rows(const struct metrics_source *source, struct row *rows, uint32_t nb_rows)
{
	const struct sl_config *config = source->config;
	struct sl_checks_destination status;
	struct sl_destination_stats stats;
	struct sl_queue_stats queue;

	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		struct row *row = &rows[i < nb_rows ? i : nb_rows];

		sl_datapath_get_destination_stats(source->datapath, i, &stats);
		row->stats.delivered += stats.delivered;
		row->stats.duplicates += stats.duplicates;
		row->stats.dropped += stats.dropped;
		row->stats.queued += stats.queued;
		if (config->destinations[i].guarantee == SL_CONFIG_AT_LEAST_ONCE) {
			sl_datapath_get_queue(source->datapath, i, &queue);
			row->parked += queue.parked_total;
			row->in_flight += queue.in_flight;
		}
		status = checked(source, i);
		row->nb_up += status.nb_up;
		row->nb_panics += status.is_panic;
		row->capacity += config->destinations[i].queue_capacity;
		if (row->labels.len == 0)
			metrics_label(&row->labels, "destination",
				i < nb_rows ? config->destinations[i].name : "");
	}
}

#define COLUMN(member, name, type, help)                                                           \
	do {                                                                                       \
		metrics_family(text, name, type, help);                                            \
		for (uint32_t i = 0; i < n; i++)                                                   \
			metrics_u64(text, &rows[i].labels, rows[i].member);                        \
	} while (0)

static void
put_rows(struct metrics_text *text, const struct row *rows, uint32_t n)
{
	COLUMN(stats.delivered, "sluice_destination_messages_delivered", METRICS_COUNTER,
		"Messages a port has taken for a destination.");
	COLUMN(stats.duplicates, "sluice_destination_messages_duplicates", METRICS_COUNTER,
		"Messages to it filtered because they were seen before.");
	COLUMN(stats.dropped, "sluice_destination_messages_dropped", METRICS_COUNTER,
		"Messages to it that were dropped.");
	COLUMN(stats.queued, "sluice_destination_messages_queued", METRICS_GAUGE,
		"Messages that wait in its queue.");
	COLUMN(parked, "sluice_destination_messages_parked", METRICS_GAUGE,
		"Messages that wait for it on disk only.");
	COLUMN(in_flight, "sluice_destination_messages_in_flight", METRICS_GAUGE,
		"Messages sent to its backends that they have not acknowledged.");
	COLUMN(capacity, "sluice_destination_queue_capacity", METRICS_GAUGE,
		"Messages its queue has room for.");
	COLUMN(nb_up, "sluice_destination_backends_up", METRICS_GAUGE,
		"Its backends that may be chosen.");
	COLUMN(nb_panics, "sluice_destination_panic", METRICS_GAUGE,
		"1 while so few are up that all of them are used.");
}

int
metrics_destinations(struct metrics_text *text, const struct metrics_source *source)
{
	const struct sl_config *config = source->config;
	uint32_t n = metrics_nb_destinations(config);
	struct row *rows;

	rows = calloc((size_t)n + 1, sizeof(*rows));
	if (rows == NULL)
		return -ENOMEM;
	read_rows(source, rows, n);
	metrics_family(text, "sluice_destinations", METRICS_GAUGE, "Destinations configured.");
	metrics_u64(text, NULL, config->nb_destinations);
	put_rows(text, rows, n + (n < config->nb_destinations));
	free(rows);
	return 0;
}
