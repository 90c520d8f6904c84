/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_JOURNAL_REPORT_H
#define SL_JOURNAL_REPORT_H

/**
 * @file
 * What is in a journal, for people and for programs: its files read and told, nothing changed but
 * by sl_journal_repair(). Works on a journal that nobody uses, and beside the one who writes it.
 *
 * Threads: one at a time for each report. Memory: 4 MiB, the names, and for what was not delivered
 * 1/128 of the segments that hold it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sl_journal.h"

struct sl_journal_report;

/** A place where a journal is damaged. */
struct sl_journal_damage {
	const char *file;
	uint64_t offset;
	uint32_t stream;
	uint64_t position;
	const char *what;
	uint64_t left_out; /**< Bytes that are skipped; 0: none, or nobody knows. */
};

struct sl_journal_report_params {
	const char *directory;
	struct sl_journal *journal; /**< That writes it, in this process; NULL: none. */
	/** Of each place that is damaged, in the order they are come to; may be NULL. */
	void (*damage)(void *arg, const struct sl_journal_damage *damage);
	sl_journal_progress_t progress; /**< May be NULL. */
	void *arg;
};

/**
 * Read the whole journal once: names, outcomes, counts, damage.
 * @return 0, damaged or not; or -errno with one line in @p error
 */
int sl_journal_report_open(const struct sl_journal_report_params *params,
	struct sl_journal_report **report, char *error, size_t error_len);
void sl_journal_report_close(struct sl_journal_report *report);

/** Places that are damaged. */
uint32_t sl_journal_report_nb_damaged(const struct sl_journal_report *report);

/** What there is: runs and streams with their counts, sizes and times. */
void sl_journal_report_info(const struct sl_journal_report *report, FILE *out, bool is_json);

/** The summary of a verification; the damage has been told by the callback. */
void sl_journal_report_verdict(const struct sl_journal_report *report, FILE *out, bool is_json);

enum sl_journal_payload {
	SL_JOURNAL_PAYLOAD_HEX,
	SL_JOURNAL_PAYLOAD_RAW, /**< The payloads' bytes and nothing else. */
	SL_JOURNAL_PAYLOAD_NONE,
};

/** Which records. What is 0, NULL or false chooses all. */
struct sl_journal_filter {
	const char *destination;
	const char *source;
	bool is_undelivered;
	uint64_t since_ns; /**< Received at this Unix time or later. */
	uint64_t limit;	   /**< So many at most. */
	bool has_stream;
	uint32_t stream;
	uint64_t position; /**< With a stream: from there on. */
	enum sl_journal_payload payload;
};

/**
 * A line for each message.
 * @return 0 or -errno with one line in @p error; what is damaged is left out
 */
int sl_journal_report_list(struct sl_journal_report *report, const struct sl_journal_filter *filter,
	FILE *out, bool is_json, char *error, size_t error_len);

/** Records in full: all kinds, unless the filter asks for what only messages have. */
int sl_journal_report_dump(struct sl_journal_report *report, const struct sl_journal_filter *filter,
	FILE *out, bool is_json, char *error, size_t error_len);

struct sl_journal_repair {
	bool is_cut;	 /**< Give up all of a stream from its first damage on; else: skip. */
	uint32_t stream; /**< That is cut. */
	bool is_dry;	 /**< Only say what would be done. */
};

/**
 * Make a damaged journal one that recovers. What is damaged is replaced by nothing in a copy of the
 * file; the file itself is kept as NAME.damaged. Positions stay what they were.
 * @param out  what is done, and which messages are lost, as far as that can be known
 * @return places mended; 0: it is whole; -EBUSY: in use; -errno with one line in @p error
 */
int sl_journal_repair(const char *directory, const struct sl_journal_repair *repair, FILE *out,
	char *error, size_t error_len);

#endif /* SL_JOURNAL_REPORT_H */
