/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <rte_common.h>

#include "durable.h"
#include "metrics.h"

/* A number of a structure, and what it is multiplied with. */
struct field {
	const char *name;
	enum metrics_type type;
	const char *help;
	size_t offset;
	size_t size; /* 4 or 8 */
	double unit; /* 0: it stays a whole number. */
};

#define FIELD(name, type, help, structure, member, unit)                                           \
	{                                                                                          \
		name, type, help, offsetof(struct structure, member),                              \
			sizeof(((struct structure *)0)->member), unit                              \
	}

#define NS 1e-9

static void
put_field(struct metrics_text *text, const struct metrics_labels *labels, const struct field *field,
	const void *structure)
{
	const char *at = (const char *)structure + field->offset;
	uint64_t value = field->size == sizeof(uint32_t) ? *(const uint32_t *)at
							 : *(const uint64_t *)at;

	if (field->unit == 0)
		metrics_u64(text, labels, value);
	else
		metrics_double(text, labels, (double)value * field->unit);
}

static void
put_fields(struct metrics_text *text, const struct field *fields, unsigned int n,
	const void *structure)
{
	for (unsigned int i = 0; i < n; i++) {
		metrics_family(text, fields[i].name, fields[i].type, fields[i].help);
		if (structure != NULL)
			put_field(text, NULL, &fields[i], structure);
	}
}

static void
put_states(struct metrics_text *text, const struct sl_journal_status *status)
{
	metrics_family(text, "sluice_journal_state", METRICS_GAUGE,
		"1 for the state that the journal is in: OK, FULL or FAILED.");
	for (unsigned int s = SL_JOURNAL_OK; status != NULL && s <= SL_JOURNAL_FAILED; s++) {
		struct metrics_labels labels = {.len = 0};

		metrics_label(&labels, "state", durable_state_name(s));
		metrics_u64(text, &labels, status->state == s);
	}
}

static void
put_gauges(struct metrics_text *text, const struct metrics_source *source,
	const struct sl_journal_status *status, const struct durable_rates *rates)
{
	uint64_t free_bytes, size_bytes;
	bool has_disk = status != NULL && durable_disk(source->config, &free_bytes, &size_bytes);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	metrics_family(text, "sluice_journal_sync_duration_seconds", METRICS_HISTOGRAM,
		"How long each of these syncs has taken.");
	if (status != NULL)
		metrics_hist(text, NULL, &status->sync_ns);
	metrics_family(text, "sluice_journal_sync_max_seconds", METRICS_GAUGE,
		"The longest sync of the last minute.");
	if (status != NULL)
		metrics_double(text, NULL, (double)rates->sync_ns_max * NS);
	metrics_family(text, "sluice_journal_max_bytes", METRICS_GAUGE,
		"Size that all files of the journal may have together.");
	if (status != NULL)
		metrics_u64(text, NULL, source->config->journal.max_bytes);
	metrics_family(text, "sluice_journal_oldest_seconds", METRICS_GAUGE,
		"Age of the journal's oldest file; no sample without one.");
	if (status != NULL && status->oldest_ns > 0)
		metrics_double(text, NULL,
			(double)now.tv_sec + (double)now.tv_nsec * NS -
				(double)status->oldest_ns * NS);
	metrics_family(text, "sluice_journal_disk_free_bytes", METRICS_GAUGE,
		"Room in the file system that the journal is in.");
	if (has_disk)
		metrics_u64(text, NULL, free_bytes);
	metrics_family(text, "sluice_journal_disk_size_bytes", METRICS_GAUGE,
		"Size of the file system that the journal is in.");
	if (has_disk)
		metrics_u64(text, NULL, size_bytes);
}

static void
of_journal(struct metrics_text *text, const struct metrics_source *source,
	const struct sl_journal_status *status, const struct durable_rates *rates)
{
	static const struct field fields[] = {
		FIELD("sluice_journal_failures", METRICS_COUNTER,
			"Writes and syncs of the journal that failed.", sl_journal_status, failures,
			0),
		FIELD("sluice_journal_records", METRICS_COUNTER,
			"Records made durable: messages, and what became of them.",
			sl_journal_status, records, 0),
		FIELD("sluice_journal_bytes", METRICS_COUNTER, "Bytes made durable.",
			sl_journal_status, bytes, 0),
		FIELD("sluice_journal_batches", METRICS_COUNTER,
			"Batches that the journal has written.", sl_journal_status, batches, 0),
		FIELD("sluice_journal_syncs", METRICS_COUNTER,
			"Times that the journal has synced a file.", sl_journal_status, syncs, 0),
		FIELD("sluice_journal_sync_seconds", METRICS_COUNTER,
			"Time that these syncs have taken, added up.", sl_journal_status,
			sync_ns.sum, NS),
		FIELD("sluice_journal_segments", METRICS_GAUGE, "Files of the journal.",
			sl_journal_status, nb_segments, 0),
		FIELD("sluice_journal_segments_bytes", METRICS_GAUGE,
			"Size of all files of the journal.", sl_journal_status, segments_bytes, 0),
		FIELD("sluice_journal_pending_bytes", METRICS_GAUGE,
			"Bytes that wait to become durable.", sl_journal_status, pending_bytes, 0),
		FIELD("sluice_journal_undelivered", METRICS_GAUGE,
			"Messages in the journal that no backend has acknowledged.",
			sl_journal_status, undelivered, 0),
	};

	put_states(text, status);
	put_fields(text, fields, RTE_DIM(fields), status);
	put_gauges(text, source, status, rates);
}

static void
of_publishers(struct metrics_text *text, const struct metrics_source *source)
{
	static const struct field fields[] = {
		FIELD("sluice_publisher_sessions", METRICS_GAUGE, "Sessions of those who send.",
			sl_publishers_stats, sessions, 0),
		FIELD("sluice_publisher_sessions_max", METRICS_GAUGE,
			"Sessions that there is room for.", sl_publishers_stats, sessions_max, 0),
		FIELD("sluice_publisher_acks", METRICS_COUNTER, "Acks sent to publishers.",
			sl_publishers_stats, acks_sent, 0),
		FIELD("sluice_publisher_refused", METRICS_COUNTER,
			"Sessions refused: not known, or one too many.", sl_publishers_stats,
			refused, 0),
		FIELD("sluice_publisher_over_limit", METRICS_COUNTER,
			"Messages not taken: beyond their session's credit or rate.",
			sl_publishers_stats, over_limit, 0),
		FIELD("sluice_publisher_expired", METRICS_COUNTER,
			"Sessions forgotten because they were silent.", sl_publishers_stats,
			expired, 0),
	};
	struct sl_publishers_stats stats;

	durable_publishers_stats(source->durable, &stats);
	put_fields(
		text, fields, RTE_DIM(fields), durable_is_there(source->durable) ? &stats : NULL);
}

/* The sessions with a backend, together; or in the last place those of all others. */
struct row {
	uint32_t destination, backend; /* Indexes. */
	uint64_t nb_sessions;
	uint64_t in_flight;
	uint64_t retransmitted, requeued, dead, bad_acks;
	uint64_t nb_stalled;
	uint64_t srtt_ns; /* The longest. */
};

static void
add_sessions(const struct metrics_source *source, struct row *row, uint32_t destination,
	uint32_t backend)
{
	struct sl_session_stats stats[DURABLE_SESSIONS_MAX];
	uint32_t n = durable_sessions(source->durable, destination, backend, stats);

	row->nb_sessions += n;
	for (uint32_t i = 0; i < n; i++) {
		row->in_flight += stats[i].in_flight;
		row->retransmitted += stats[i].retransmitted;
		row->requeued += stats[i].requeued;
		row->dead += stats[i].dead;
		row->bad_acks += stats[i].bad_acks;
		row->nb_stalled += stats[i].is_stalled;
		row->srtt_ns = RTE_MAX(row->srtt_ns, stats[i].srtt_ns);
	}
}

static struct metrics_labels
labels_of(const struct sl_config *config, const struct row *row)
{
	struct metrics_labels labels = {.len = 0};
	bool is_rest = row->destination == UINT32_MAX;

	metrics_label(
		&labels, "destination", is_rest ? "" : config->destinations[row->destination].name);
	metrics_label(&labels, "backend",
		is_rest ? "" : config->destinations[row->destination].backends[row->backend].name);
	return labels;
}

static void
put_rows(struct metrics_text *text, const struct sl_config *config, const struct row *rows,
	uint64_t nb_rows)
{
	static const struct field fields[] = {
		FIELD("sluice_session_in_flight", METRICS_GAUGE,
			"Messages sent to a backend that it has not acknowledged.", row, in_flight,
			0),
		FIELD("sluice_session_retransmitted", METRICS_COUNTER,
			"Messages sent to a backend again.", row, retransmitted, 0),
		FIELD("sluice_session_requeued", METRICS_COUNTER,
			"Messages taken back from a backend for another.", row, requeued, 0),
		FIELD("sluice_session_dead", METRICS_COUNTER,
			"Messages given up, having been sent to a backend max_attempts times.", row,
			dead, 0),
		FIELD("sluice_session_bad_acks", METRICS_COUNTER,
			"Acks of a backend for what it was never sent.", row, bad_acks, 0),
		FIELD("sluice_session_stalled", METRICS_GAUGE,
			"Workers to which a backend has acknowledged nothing for "
			"requeue_after_ms.",
			row, nb_stalled, 0),
		FIELD("sluice_session_rtt_seconds", METRICS_GAUGE,
			"From a message to a backend to its ack, smoothed; the longest of all "
			"workers.",
			row, srtt_ns, NS),
	};
	struct metrics_labels labels;

	for (unsigned int f = 0; f < RTE_DIM(fields); f++) {
		metrics_family(text, fields[f].name, fields[f].type, fields[f].help);
		for (uint64_t i = 0; i < nb_rows; i++) {
			labels = labels_of(config, &rows[i]);
			put_field(text, &labels, &fields[f], &rows[i]);
		}
	}
}

static int
of_sessions(struct metrics_text *text, const struct metrics_source *source)
{
	const struct sl_config *config = source->config;
	uint32_t shown = metrics_nb_destinations(config);
	struct row *rows, rest = {.destination = UINT32_MAX};
	const struct sl_config_destination *destination;
	uint64_t nb_rows = 0, room = 1;
	bool is_shown;

	for (uint32_t i = 0; i < shown; i++)
		room += config->destinations[i].nb_backends;
	rows = calloc(room, sizeof(*rows));
	if (rows == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		destination = &config->destinations[i];
		if (destination->guarantee != SL_CONFIG_AT_LEAST_ONCE)
			continue;
		for (uint32_t b = 0; b < destination->nb_backends; b++) {
			/* Members choose their names themselves: they are added up. */
			is_shown = i < shown && !destination->backends[b].is_member;
			if (is_shown)
				rows[nb_rows] = (struct row){.destination = i, .backend = b};
			add_sessions(source, is_shown ? &rows[nb_rows] : &rest, i, b);
			nb_rows += is_shown;
		}
	}
	if (rest.nb_sessions > 0)
		rows[nb_rows++] = rest;
	put_rows(text, config, rows, nb_rows);
	free(rows);
	return 0;
}

static void
of_sinks(struct metrics_text *text, const struct metrics_source *source)
{
	static const struct field fields[] = {
		FIELD("sluice_sink_rows", METRICS_COUNTER, "Rows that a sink has inserted.",
			sl_sink_status, rows, 0),
		FIELD("sluice_sink_updates", METRICS_COUNTER,
			"Rows that a sink has updated with a later outcome.", sl_sink_status,
			updates, 0),
		FIELD("sluice_sink_batches", METRICS_COUNTER, "Transactions committed.",
			sl_sink_status, batches, 0),
		FIELD("sluice_sink_write_seconds", METRICS_COUNTER,
			"Time that these transactions have taken, added up.", sl_sink_status,
			write_ns, NS),
		FIELD("sluice_sink_failures", METRICS_COUNTER,
			"Transactions and connections that failed.", sl_sink_status, failures, 0),
		FIELD("sluice_sink_gaps", METRICS_COUNTER,
			"Times that the journal had not any more what a sink needed.",
			sl_sink_status, gaps, 0),
		FIELD("sluice_sink_lag_bytes", METRICS_GAUGE,
			"Bytes durable in the journal and not in the database.", sl_sink_status,
			lag_bytes, 0),
		FIELD("sluice_sink_lag_seconds", METRICS_GAUGE,
			"Age of the oldest record that is not in the database; 0: none waits.",
			sl_sink_status, lag_ns, NS),
	};
	struct sl_sink_status status[SL_CONFIG_SINKS_MAX];
	struct metrics_labels labels[SL_CONFIG_SINKS_MAX] = {0}, state;
	uint32_t n = durable_nb_sinks(source->durable);

	metrics_family(text, "sluice_sink_state", METRICS_GAUGE,
		"Always 1; the label says the state that the sink is in.");
	for (uint32_t i = 0; i < n; i++) {
		durable_sink(source->durable, i, &status[i]);
		metrics_label(&labels[i], "sink", status[i].name);
		state = labels[i];
		metrics_label(&state, "state", durable_sink_state_name(status[i].state));
		metrics_u64(text, &state, 1);
	}
	for (unsigned int f = 0; f < RTE_DIM(fields); f++) {
		metrics_family(text, fields[f].name, fields[f].type, fields[f].help);
		for (uint32_t i = 0; i < n; i++)
			put_field(text, &labels[i], &fields[f], &status[i]);
	}
}

int
metrics_durable(struct metrics_text *text, const struct metrics_source *source)
{
	struct sl_journal_status *status = NULL;
	struct durable_rates rates;

	if (durable_is_there(source->durable)) {
		status = malloc(sizeof(*status));
		if (status == NULL)
			return -ENOMEM;
		durable_journal(source->durable, status, &rates);
	}
	of_journal(text, source, status, &rates);
	free(status);
	of_publishers(text, source);
	of_sinks(text, source);
	return of_sessions(text, source);
}
