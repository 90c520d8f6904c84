/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef REPORT_H
#define REPORT_H

/* The inside of a report: what the first pass has learnt, and the words for it. */
#include <jansson.h>

#include "outcomes.h"
#include "sl_journal_report.h"
#include "walk.h"

#define REPORT_TIME_SIZE 32
#define REPORT_NAME_SIZE 24
#define REPORT_ID_SIZE	 36

/* What a run has written to a stream. */
struct report_run {
	uint64_t begin; /* Positions. */
	uint64_t end;
	uint64_t file_bytes;
	uint64_t nb_records;
	uint64_t nb_messages;
	uint64_t nb_duplicates;
	uint64_t nb_undelivered;
	uint64_t first_ns;
	uint64_t last_ns;
	uint64_t torn_bytes;
	uint32_t nb_damaged;
	bool is_closed;
};

struct sl_journal_report {
	struct sl_journal_report_params params;
	struct segments set;
	struct walk walk;
	struct outcomes outcomes;
	struct report_run *runs; /* Of each of set.runs. */
	void *names;		 /* A tree, by key. */
	uint32_t nb_names;
	uint32_t nb_damaged;
	uint64_t done_bytes;
	uint64_t all_bytes;
	uint64_t told_ns;
};

/* The name of a key, or the key in hex, written to `buf`. */
const char *
report_name(const struct sl_journal_report *report, uint64_t key, char buf[REPORT_NAME_SIZE]);
/* Unix time as 2026-01-31T12:00:00.123456Z */
const char *report_time(uint64_t ns, char buf[REPORT_TIME_SIZE]);
/* Of a topic's message: undelivered to any, or dead for all of its subscribers; or delivered. */
const char *report_state(const struct sl_journal_report *report, uint32_t segment,
	const struct sl_record_message *message);
/* Of what is to be done at a position: the message of a queue, or a topic's for a subscriber. */
const char *
report_state_at(const struct sl_journal_report *report, uint32_t segment, uint64_t position);
const char *report_type(uint8_t type);

/* The fields of a message's record. */
struct report_message {
	uint64_t source;
	uint64_t destination;
	uint64_t type;
	uint64_t sequence;
	uint64_t timestamp_ns;
	uint32_t priority;
	uint32_t flags;
	char id[REPORT_ID_SIZE];
	const uint8_t *payload;
	uint32_t payload_len;
	const char *id_text; /* Not ended by '\0'; NULL: none. */
	uint32_t id_text_len;
};

void report_message(const struct sl_record_message *record, struct report_message *message);

/* Point the walk at a run, with the limit of who writes it. */
void report_begin_run(struct sl_journal_report *report, const struct run *run);

#endif /* REPORT_H */
