/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef DURABLE_H
#define DURABLE_H

/**
 * @file
 * What is durable, as the control side sees it: looked at each second, so that views can tell of
 * the last minute, and that an operator hears of what changes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "sl_datapath.h"
#include "sl_durable.h"
#include "sl_journal.h"
#include "sl_notify.h"
#include "sl_publishers.h"
#include "sl_sink.h"

struct durable;
struct durable_backends;

/** Sessions of one backend: one for each worker at most. */
#define DURABLE_SESSIONS_MAX 128

struct durable_params {
	const struct sl_durable *of; /**< NULL: there is no journal. */
	struct sl_datapath *datapath;
	struct sl_notify *notify; /**< NULL: nobody is told of events. */
};

/** Begin to look each second, when there is a journal. @return NULL when memory is short */
struct durable *durable_create(struct event_base *base, const struct durable_params *params,
	const struct sl_config *config);
void durable_destroy(struct durable *durable);

/** Another configuration is to run: what is known of its backends. @return NULL: no memory */
struct durable_backends *
durable_follow(const struct durable *durable, const struct sl_config *config);

/** It runs; takes @p backends, which are not used if it does not: free() them then. */
void durable_replace(
	struct durable *durable, const struct sl_config *config, struct durable_backends *backends);

/** Other retention_bytes and retention_ms, of a configuration that is taken over. */
void durable_retention(const struct durable *durable, const struct sl_config_journal *journal);

/** What the timer does. */
void durable_tick(struct durable *durable, uint64_t now_ms);

/** Is there a journal? Else nothing below has anything to tell. */
bool durable_is_there(const struct durable *durable);

/** What the journal did in the last minute, or since there is something to tell of. */
struct durable_rates {
	double records_per_s; /**< Of the last ten seconds. */
	double bytes_per_s;
	double sync_ns_mean;  /**< Of the last minute; 0: no sync. */
	uint64_t sync_ns_p50; /**< Of the last minute, or up to ten seconds more; 0: no sync. */
	uint64_t sync_ns_p99;
	uint64_t sync_ns_max; /**< Of the last minute. */
};

/** Read the journal's status; the longest sync it tells of is not lost for others. */
void durable_journal(
	struct durable *durable, struct sl_journal_status *status, struct durable_rates *rates);

/** Room in the file system of the journal's directory. @return false: it cannot be told */
bool durable_disk(const struct sl_config *config, uint64_t *free_bytes, uint64_t *size_bytes);

void durable_publishers_stats(const struct durable *durable, struct sl_publishers_stats *stats);

/** All sessions of publishers, on the heap, to free(). @return NULL: memory is short */
struct sl_publisher_stats *durable_publishers(const struct durable *durable, uint32_t *nb);

/** Sessions with a backend. @return their number */
uint32_t durable_sessions(const struct durable *durable, uint32_t destination, uint32_t backend,
	struct sl_session_stats stats[DURABLE_SESSIONS_MAX]);

uint32_t durable_nb_sinks(const struct durable *durable);
/** write_ns_max is that of the last minute. */
void durable_sink(struct durable *durable, uint32_t sink, struct sl_sink_status *status);

/** "OK", "FULL", "FAILED" */
const char *durable_state_name(enum sl_journal_state state);
/** As sl_sink_state_name(). */
const char *durable_sink_state_name(enum sl_sink_state state);

#endif /* DURABLE_H */
