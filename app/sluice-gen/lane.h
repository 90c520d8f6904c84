/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef LANE_H
#define LANE_H

/**
 * @file
 * The loop of an lcore: the sending side, the receiving side, or both in turn.
 */

#include <stdint.h>

#include "options.h"
#include "port.h"
#include "progress.h"
#include "sink.h"
#include "tx.h"

struct lane {
	const struct options *options;
	struct tx *tx;		 /**< Run here; NULL: elsewhere or nowhere. */
	struct sink *sink;	 /**< The same. */
	const struct tx *sender; /**< Whose end the sink waits for; NULL: in another process. */
	struct port *listen;	 /**< Port to answer ARP on besides the sink's; NULL: none. */
	struct rte_mempool *pool;
	struct progress *progress;	/**< To be shown from here; NULL: not. */
	const volatile int *nb_signals; /**< 1: end, 2: end at once. */

	uint64_t start_ns;
	uint64_t stopping_ns;	 /**< When the end began; 0: it has not. */
	uint64_t nb_quiet_turns; /**< In a row that received nothing. */
	uint64_t elapsed_cycles;
};

/** Run to the end. For rte_eal_remote_launch(). @param arg  a struct lane @return 0 */
int lane_run(void *arg);

#endif /* LANE_H */
