/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef PROGRESS_H
#define PROGRESS_H

/**
 * @file
 * The line that says how it goes, on standard error, every so often.
 */

#include <stdint.h>

#include "sink.h"
#include "tx.h"

struct progress {
	const struct tx *tx;	 /**< NULL: none. Read while its lcore writes. */
	const struct sink *sink; /**< The same. */
	uint64_t every_ns;	 /**< 0: never. */
	uint64_t start_ns;
	uint64_t last_ns;
	uint64_t last_sent;
	uint64_t last_delivered;
};

/** Print the line if it is due. @param now_ns  Unix time */
void progress_tick(struct progress *progress, uint64_t now_ns);

#endif /* PROGRESS_H */
