/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_DURABLE_H
#define SL_DURABLE_H

/**
 * @file
 * Whom the control side asks about what is durable. The appliance fills in its journal, publishers
 * and sinks with the functions that read them (sl_journal_get_status(), ...); a test puts others in
 * their place.
 */

#include <stdint.h>

#include "sl_config.h"

struct sl_datapath;
struct sl_journal;
struct sl_journal_status;
struct sl_publisher_stats;
struct sl_publishers;
struct sl_publishers_stats;
struct sl_session_stats;
struct sl_sink;
struct sl_sink_status;

/** All of it outlives the control. Called by the control thread. */
struct sl_durable {
	struct sl_journal *journal;
	void (*journal_status)(struct sl_journal *journal, struct sl_journal_status *status);
	/** Other journal.retention_bytes and .retention; NULL: they stay as they are. */
	void (*journal_retention)(struct sl_journal *journal, uint64_t bytes, uint64_t ms);

	struct sl_publishers *publishers; /**< NULL: there are none. */
	uint32_t (*publishers_list)(
		struct sl_publishers *publishers, struct sl_publisher_stats *stats, uint32_t max);
	void (*publishers_stats)(
		struct sl_publishers *publishers, struct sl_publishers_stats *stats);

	/** Sessions with a backend of the datapath; NULL: there are none. */
	uint32_t (*sessions)(struct sl_datapath *datapath, uint32_t destination, uint32_t backend,
		struct sl_session_stats *stats, uint32_t max);

	uint32_t nb_sinks;
	struct sl_sink *sinks[SL_CONFIG_SINKS_MAX];
	void (*sink_status)(struct sl_sink *sink, struct sl_sink_status *status);
};

#endif /* SL_DURABLE_H */
