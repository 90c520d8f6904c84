/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>

#include "metrics.h"

/* A backend with series of its own. */
struct row {
	uint32_t destination, backend; /* Indexes. */
	enum sl_health_state state;
	bool has_latency;
	double share;
	double latency_s;
	uint64_t delivered;
	uint64_t successes;
	uint64_t failures;
};

struct table {
	const struct sl_config *config;
	struct row *rows;
	uint64_t nb_rows;
	uint64_t rest_delivered; /* Of all others together. */
	bool has_rest;
	uint64_t nb_states[SL_HEALTH_STATES]; /* Of all. */
};

static enum sl_health_state
wanted_state(enum sl_config_admin_state state)
{
	static const enum sl_health_state states[] = {
		[SL_CONFIG_READY] = SL_HEALTH_UP,
		[SL_CONFIG_DRAIN] = SL_HEALTH_DRAINING,
		[SL_CONFIG_MAINTENANCE] = SL_HEALTH_MAINTENANCE,
	};

	return states[state];
}

static struct row
read_row(const struct metrics_source *source, uint32_t destination, uint32_t backend)
{
	struct row row = {.destination = destination, .backend = backend};
	struct sl_check_status status;
	struct sl_backend_stats stats;

	sl_datapath_get_backend_stats(source->datapath, destination, backend, &stats);
	row.delivered = stats.delivered;
	row.share = (double)stats.share / SL_DATAPATH_SHARE_ONE;
	row.state = wanted_state(source->config->destinations[destination].backends[backend].state);
	if (source->checks == NULL || !sl_checks_get(source->checks, destination, backend, &status))
		return row;
	row.state = status.state;
	row.has_latency = status.has_latency;
	row.latency_s = (double)status.last_latency_ns / 1e9;
	row.successes = status.successes;
	row.failures = status.failures;
	return row;
}

static int
read_table(const struct metrics_source *source, struct table *table)
{
	const struct sl_config *config = source->config;
	uint32_t n = metrics_nb_destinations(config);
	uint64_t room = 1;
	struct row row;

	for (uint32_t i = 0; i < n; i++)
		room += config->destinations[i].nb_backends;
	table->config = config;
	table->has_rest = n < config->nb_destinations;
	/* Members choose their names themselves, and come and go: they are added up, too. */
	table->rows = malloc(room * sizeof(*table->rows));
	if (table->rows == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		for (uint32_t j = 0; j < config->destinations[i].nb_backends; j++) {
			row = read_row(source, i, j);
			table->nb_states[row.state]++;
			if (i < n && !config->destinations[i].backends[j].is_member) {
				table->rows[table->nb_rows++] = row;
			} else {
				table->rest_delivered += row.delivered;
				table->has_rest = true;
			}
		}
	}
	return 0;
}

/* Made anew for each sample: kept, those of many backends would be most of the memory. */
static struct metrics_labels
labels_of(const struct table *table, const struct row *row)
{
	const struct sl_config_destination *destination = &table->config
								   ->destinations[row->destination];
	struct metrics_labels labels;

	labels.len = 0;
	metrics_label(&labels, "destination", destination->name);
	metrics_label(&labels, "backend", destination->backends[row->backend].name);
	return labels;
}

static void
put_states(struct metrics_text *text, const struct table *table)
{
	struct metrics_labels labels;

	metrics_family(text, "sluice_backends", METRICS_GAUGE, "Backends, by state.");
	for (unsigned int s = 0; s < SL_HEALTH_STATES; s++) {
		labels.len = 0;
		metrics_label(&labels, "state", sl_health_state_name(s));
		metrics_u64(text, &labels, table->nb_states[s]);
	}
	metrics_family(text, "sluice_backend_state", METRICS_GAUGE,
		"Always 1; the label says the state that the backend is in.");
	for (uint64_t i = 0; i < table->nb_rows; i++) {
		labels = labels_of(table, &table->rows[i]);
		metrics_label(&labels, "state", sl_health_state_name(table->rows[i].state));
		metrics_u64(text, &labels, 1);
	}
}

static void
put_delivered(struct metrics_text *text, const struct table *table)
{
	struct metrics_labels labels;

	metrics_family(text, "sluice_backend_messages_delivered", METRICS_COUNTER,
		"Messages a port has taken for a backend.");
	for (uint64_t i = 0; i < table->nb_rows; i++) {
		labels = labels_of(table, &table->rows[i]);
		metrics_u64(text, &labels, table->rows[i].delivered);
	}
	if (!table->has_rest)
		return;
	labels.len = 0;
	metrics_label(&labels, "destination", "");
	metrics_label(&labels, "backend", "");
	metrics_u64(text, &labels, table->rest_delivered);
}

static void
put_checks(struct metrics_text *text, const struct table *table)
{
	struct metrics_labels labels, result;

	metrics_family(text, "sluice_backend_checks", METRICS_COUNTER,
		"Health checks that have ended, by result.");
	for (uint64_t i = 0; i < table->nb_rows; i++) {
		labels = labels_of(table, &table->rows[i]);
		result = labels;
		metrics_label(&result, "result", "ok");
		metrics_u64(text, &result, table->rows[i].successes);
		result = labels;
		metrics_label(&result, "result", "failed");
		metrics_u64(text, &result, table->rows[i].failures);
	}
	metrics_family(text, "sluice_backend_check_latency_seconds", METRICS_GAUGE,
		"How long the last check that succeeded has taken; no sample before.");
	for (uint64_t i = 0; i < table->nb_rows; i++) {
		if (!table->rows[i].has_latency)
			continue;
		labels = labels_of(table, &table->rows[i]);
		metrics_double(text, &labels, table->rows[i].latency_s);
	}
}

static void
put_shares(struct metrics_text *text, const struct table *table)
{
	struct metrics_labels labels;

	metrics_family(text, "sluice_backend_share_ratio", METRICS_GAUGE,
		"How much of its weight a backend may take now.");
	for (uint64_t i = 0; i < table->nb_rows; i++) {
		labels = labels_of(table, &table->rows[i]);
		metrics_double(text, &labels, table->rows[i].share);
	}
}

int
metrics_backends(struct metrics_text *text, const struct metrics_source *source)
{
	struct table table = {0};

	if (read_table(source, &table) != 0)
		return -ENOMEM;
	put_states(text, &table);
	put_delivered(text, &table);
	put_shares(text, &table);
	put_checks(text, &table);
	free(table.rows);
	return 0;
}
