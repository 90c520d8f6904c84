/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef DURABLE_INTERNAL_H
#define DURABLE_INTERNAL_H

#include "durable.h"

#define DURABLE_WINDOW 61 /* Seconds that are remembered: a minute has two ends. */

/* The times of syncs, to be subtracted from later ones, are kept more rarely: they are large. */
#define DURABLE_MARK_EVERY 10 /* seconds */
#define DURABLE_MARKS	   7

/* The journal's counters at a second's end. */
struct durable_second {
	uint64_t at_ms;
	uint64_t records, bytes, syncs, sync_ns_sum;
	uint64_t sync_ns_max; /* Of the second itself. */
};

struct durable_sink_window {
	uint64_t write_ns_max[DURABLE_WINDOW];
	uint64_t pending_max; /* Of this second so far. */
};

/* What was told of a backend. */
struct durable_backend {
	uint64_t id;		       /* Of both names. */
	uint32_t destination, backend; /* Indexes. */
	bool is_known;		       /* It has been looked at. */
	bool is_stalled;
	uint64_t requeued;
	uint64_t told_ms; /* That messages are requeued. */
};

/* Of at-least-once destinations, by id. */
struct durable_backends {
	uint32_t nb;
	struct durable_backend list[];
};

/* What is told once in a while: its counter then, and when. */
struct durable_told {
	uint64_t count;
	uint64_t at_ms;
	bool is_known;
};

struct durable {
	struct durable_params params;
	struct event *timer;

	uint64_t nb_ticks;
	struct durable_second seconds[DURABLE_WINDOW];
	uint64_t sync_ns_max; /* Since the last tick. */
	struct sl_hist marks[DURABLE_MARKS];
	struct durable_sink_window sinks[SL_CONFIG_SINKS_MAX];

	/* For events. */
	const struct sl_config *config; /* The one that runs. */
	enum sl_journal_state state;
	uint64_t trouble_since_ms;
	struct durable_told refused, over_limit;
	struct durable_backends *backends;
	uint32_t next_backend; /* To be looked at. */
};

/* Tell what has changed since the last tick. */
void durable_tell(struct durable *durable, const struct sl_journal_status *status, uint64_t now_ms);

#endif /* DURABLE_INTERNAL_H */
