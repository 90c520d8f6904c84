/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef REPORT_H
#define REPORT_H

/**
 * @file
 * The report at the end: what was sent, what was delivered, and the verdict.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_ethdev.h>

#include "options.h"
#include "sink.h"
#include "tx.h"

struct report {
	const struct options *options;
	const struct traffic *traffic;
	const struct tx *tx;	 /**< NULL: sink only. */
	const struct sink *sink; /**< NULL: generator only. */
	struct rte_eth_stats tx_stats;
	struct rte_eth_stats rx_stats;
	uint64_t nb_arp_answered;
	uint64_t tx_elapsed_cycles; /**< Of the lcore's whole run. */
	uint64_t rx_elapsed_cycles;

	/* Filled in by report_conclude(). */
	uint64_t nb_sent;      /**< Different messages. */
	uint64_t nb_not_acked; /**< With a session. */
	uint64_t nb_given_up;
	uint64_t nb_lost;
	bool has_ledger;
	bool is_clean;
};

/** Draw the conclusions. */
void report_conclude(struct report *report);

void report_print_text(const struct report *report, FILE *out);
void report_print_json(const struct report *report, FILE *out);

#endif /* REPORT_H */
