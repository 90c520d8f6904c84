/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The first pass of a report, and what it has counted. */
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report.h"

#define PROGRESS_NS UINT64_C(250000000)

struct name {
	uint64_t key;
	char text[];
};

static int
by_key(const void *left, const void *right)
{
	const struct name *a = left, *b = right;

	return a->key < b->key ? -1 : a->key > b->key;
}

static int
add_name(struct sl_journal_report *report, const struct sl_record_name *record)
{
	size_t len = record->record.len - sizeof(*record);
	struct name *name = malloc(sizeof(*name) + len + 1);
	struct name **found;

	if (name == NULL)
		return -ENOMEM;
	name->key = record->key;
	memcpy(name->text, record->name, len);
	name->text[len] = '\0';
	found = tsearch(name, &report->names, by_key);
	if (found == NULL || *found != name)
		free(name);
	else
		report->nb_names++;
	return found == NULL ? -ENOMEM : 0;
}

void
report_begin_run(struct sl_journal_report *report, const struct run *run)
{
	struct walk *walk = &report->walk;
	struct sl_journal *journal = report->params.journal;

	walk->limit = UINT64_MAX;
	walk->live_incarnation = 0;
	if (journal != NULL && run->incarnation == journal_incarnation(journal)) {
		walk->limit = journal_durable(journal, run->stream);
		walk->live_incarnation = run->incarnation;
	}
	walk_begin(walk, run->first, run->nb, 0);
}

static void
tell_progress(struct sl_journal_report *report, uint64_t bytes)
{
	struct timespec now;
	uint64_t ns;

	report->done_bytes += bytes;
	if (report->params.progress == NULL)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
	if (ns - report->told_ns < PROGRESS_NS)
		return;
	report->told_ns = ns;
	report->params.progress(report->params.arg, report->done_bytes, report->all_bytes);
}

static void
tell_damage(struct sl_journal_report *report, const char *file, const struct walk_place *place,
	uint64_t left_out)
{
	struct sl_journal_damage damage = {.file = file,
		.offset = place->offset,
		.stream = place->stream,
		.position = place->position,
		.what = place->what,
		.left_out = left_out};

	report->nb_damaged++;
	if (report->params.damage != NULL)
		report->params.damage(report->params.arg, &damage);
}

static void
look_at_headers(struct sl_journal_report *report)
{
	struct walk_place place = {0};

	for (uint32_t i = 0; i < report->set.nb_all; i++) {
		const struct segment *segment = &report->set.all[i];

		place.stream = segment->name.stream;
		place.position = segment->name.base;
		if (segment->found.size > SL_SEGMENT_HEADER)
			report->all_bytes += segment->found.size - SL_SEGMENT_HEADER;
		if (segment->state == JOURNAL_HEADER_BAD) {
			place.offset = 0;
			place.what = "the header is damaged";
			tell_damage(report, segment->found.name, &place, 0);
		} else if (segment->is_mark_bad) {
			place.offset = SL_SEGMENT_MARK_OFFSET;
			place.what = "the mark that says how far it was synced is damaged";
			tell_damage(report, segment->found.name, &place, 0);
		}
	}
}

static int
take_record(
	struct sl_journal_report *report, struct report_run *run, const struct sl_record *record)
{
	run->nb_records++;
	run->is_closed = record->type == SL_RECORD_CLOSE;
	if (run->first_ns == 0)
		run->first_ns = record->time_ns;
	run->last_ns = record->time_ns;
	switch (record->type) {
	case SL_RECORD_MESSAGE:
		run->nb_messages++;
		return outcomes_message(
			&report->outcomes, (const struct sl_record_message *)record);
	case SL_RECORD_DUPLICATE:
		run->nb_duplicates++;
		return 0;
	case SL_RECORD_DONE:
		return outcomes_done(&report->outcomes, (const struct sl_record_done *)record);
	case SL_RECORD_NAME:
		return add_name(report, (const struct sl_record_name *)record);
	default:
		return 0;
	}
}

/* Tell it and go on behind it. */
static int
step_over(struct sl_journal_report *report, struct report_run *run)
{
	struct walk *walk = &report->walk;
	struct walk_place place = walk->place;
	int64_t left_out;

	/* Whoever writes it has used the file again meanwhile. */
	if (segments_is_gone(&report->set, &report->set.all[walk->segment])) {
		walk_skip_segment(walk);
		return 0;
	}
	left_out = walk_skip(walk);
	if (left_out < 0)
		return (int)left_out;
	run->nb_damaged++;
	tell_damage(report, place.name, &place, (uint64_t)left_out);
	return 0;
}

static int
survey_run(struct sl_journal_report *report, uint32_t at)
{
	const struct run *in = &report->set.runs[at];
	struct report_run *run = &report->runs[at];
	struct walk *walk = &report->walk;
	const struct sl_record *record;
	uint64_t told;
	int rc;

	report_begin_run(report, in);
	walk->torn.nb = 0;
	run->begin = told = walk->at;
	while ((rc = walk_next(walk, &record)) != 0) {
		if (rc == -EBADMSG) {
			rc = step_over(report, run);
			told = walk->at;
		} else if (rc == -ENOENT) {
			/* Whoever writes it has deleted it meanwhile. */
			walk_skip_segment(walk);
			rc = 0;
		} else if (rc > 0) {
			outcomes_enter(&report->outcomes, walk->segment);
			rc = take_record(report, run, record);
			run->end = walk->at;
		}
		if (rc < 0)
			return rc;
		if (walk->at - told >= WALK_WINDOW_SMALL) {
			tell_progress(report, walk->at - told);
			told = walk->at;
		}
	}
	outcomes_leave(&report->outcomes);
	run->torn_bytes = walk->torn.nb > 0 ? walk->torn.bytes : 0;
	for (uint32_t i = in->first; i < in->first + in->nb; i++)
		run->file_bytes += report->set.all[i].found.size;
	return 0;
}

static int
survey(struct sl_journal_report *report)
{
	int rc = 0;

	look_at_headers(report);
	for (uint32_t i = 0; i < report->set.nb_runs && rc == 0; i++)
		rc = survey_run(report, i);
	/* An outcome may come in another stream of its run, or in a later run. */
	for (uint32_t i = 0; i < report->set.nb_runs; i++) {
		const struct run *run = &report->set.runs[i];

		for (uint32_t j = run->first; j < run->first + run->nb; j++)
			report->runs[i].nb_undelivered += report->outcomes.bits[j].nb_undelivered;
	}
	return rc;
}

int
sl_journal_report_open(const struct sl_journal_report_params *params,
	struct sl_journal_report **out, char *error, size_t error_len)
{
	struct sl_journal_report *report = calloc(1, sizeof(*report));
	int rc = report == NULL ? -ENOMEM : 0;

	*out = NULL;
	if (rc == 0) {
		report->params = *params;
		rc = segments_open(&report->set, params->directory);
	}
	if (rc == 0)
		rc = segments_scan(&report->set, true);
	if (rc == 0)
		rc = outcomes_init(&report->outcomes, &report->set, true);
	if (rc == 0)
		rc = walk_init(&report->walk, &report->set, WALK_WINDOW_MAX);
	if (rc == 0) {
		report->runs = calloc((size_t)report->set.nb_runs + 1, sizeof(report->runs[0]));
		rc = report->runs == NULL ? -ENOMEM : survey(report);
	}
	if (rc != 0) {
		snprintf(error, error_len, "%s: cannot be read: %s", params->directory,
			strerror(-rc));
		sl_journal_report_close(report);
		return rc;
	}
	*out = report;
	return 0;
}

void
sl_journal_report_close(struct sl_journal_report *report)
{
	if (report == NULL)
		return;
	tdestroy(report->names, free);
	walk_free(&report->walk);
	outcomes_free(&report->outcomes);
	segments_close(&report->set);
	free(report->runs);
	free(report);
}

uint32_t
sl_journal_report_nb_damaged(const struct sl_journal_report *report)
{
	return report->nb_damaged;
}

const char *
report_name(const struct sl_journal_report *report, uint64_t key, char buf[REPORT_NAME_SIZE])
{
	const struct name wanted = {.key = key};
	struct name **found = tfind(&wanted, &report->names, by_key);

	if (found != NULL)
		return (*found)->text;
	snprintf(buf, REPORT_NAME_SIZE, "%016" PRIx64, key);
	return buf;
}

const char *
report_time(uint64_t ns, char buf[REPORT_TIME_SIZE])
{
	time_t seconds = (time_t)(ns / UINT64_C(1000000000));
	struct tm tm;
	size_t len;

	if (ns == 0 || gmtime_r(&seconds, &tm) == NULL)
		return "-";
	len = strftime(buf, REPORT_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + len, REPORT_TIME_SIZE - len, ".%06" PRIu64 "Z",
		ns / 1000 % UINT64_C(1000000));
	return buf;
}

const char *
report_state_at(const struct sl_journal_report *report, uint32_t segment, uint64_t position)
{
	if (outcomes_is_undelivered(&report->outcomes, segment, position))
		return "undelivered";
	return outcomes_is_dead(&report->outcomes, segment, position) ? "dead" : "delivered";
}

const char *
report_state(const struct sl_journal_report *report, uint32_t segment,
	const struct sl_record_message *message)
{
	const struct sl_record_subscriber *all = sl_record_subscribers_of(message);
	uint64_t position = message->record.position;
	const char *state, *sum = NULL;

	if (message->nb_subscribers == 0)
		return report_state_at(report, segment, position);
	for (uint32_t i = 0; i < message->nb_subscribers; i++) {
		state = report_state_at(report, segment, position + all[i].back);
		if (strcmp(state, "undelivered") == 0)
			return state;
		if (sum == NULL || strcmp(state, "delivered") == 0)
			sum = state;
	}
	return sum;
}

const char *
report_type(uint8_t type)
{
	static const char *const names[] = {
		[SL_RECORD_PAD] = "pad",
		[SL_RECORD_MESSAGE] = "message",
		[SL_RECORD_DUPLICATE] = "duplicate",
		[SL_RECORD_DONE] = "done",
		[SL_RECORD_NAME] = "name",
		[SL_RECORD_CONFIG] = "config",
		[SL_RECORD_CLOSE] = "close",
	};

	return type < sizeof(names) / sizeof(names[0]) && names[type] != NULL ? names[type]
									      : "unknown";
}

/* What all runs and streams come to. */
static void
sum_up(const struct sl_journal_report *report, struct report_run *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (uint32_t i = 0; i < report->set.nb_runs; i++) {
		const struct report_run *run = &report->runs[i];

		sum->nb_records += run->nb_records;
		sum->nb_messages += run->nb_messages;
		sum->nb_duplicates += run->nb_duplicates;
		sum->nb_undelivered += run->nb_undelivered;
		if (run->first_ns != 0 && (sum->first_ns == 0 || run->first_ns < sum->first_ns))
			sum->first_ns = run->first_ns;
		if (run->last_ns > sum->last_ns)
			sum->last_ns = run->last_ns;
	}
	for (uint32_t i = 0; i < report->set.nb_all; i++)
		sum->file_bytes += report->set.all[i].found.size;
}

static const char *
how_ended(const struct report_run *run)
{
	if (run->nb_damaged > 0)
		return "damaged";
	if (run->is_closed)
		return "closed";
	return run->torn_bytes > 0 ? "torn" : "open";
}

static json_t *
run_json(const struct sl_journal_report *report, uint32_t at)
{
	const struct run *in = &report->set.runs[at];
	const struct report_run *run = &report->runs[at];
	char first[REPORT_TIME_SIZE], last[REPORT_TIME_SIZE];

	return json_pack("{s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I s:s s:s s:s s:I s:I}", "run",
		(json_int_t)in->incarnation, "stream", (json_int_t)in->stream, "segments",
		(json_int_t)in->nb, "file_bytes", (json_int_t)run->file_bytes, "begin",
		(json_int_t)run->begin, "end", (json_int_t)run->end, "records",
		(json_int_t)run->nb_records, "messages", (json_int_t)run->nb_messages, "duplicates",
		(json_int_t)run->nb_duplicates, "undelivered", (json_int_t)run->nb_undelivered,
		"first", report_time(run->first_ns, first), "last", report_time(run->last_ns, last),
		"state", how_ended(run), "torn_bytes", (json_int_t)run->torn_bytes, "damaged",
		(json_int_t)run->nb_damaged);
}

static void
print_json(json_t *json, FILE *out)
{
	json_dumpf(json, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(json);
}

static void
info_json(const struct sl_journal_report *report, FILE *out)
{
	char first[REPORT_TIME_SIZE], last[REPORT_TIME_SIZE];
	json_t *runs = json_array();
	struct report_run sum;

	for (uint32_t i = 0; i < report->set.nb_runs; i++)
		json_array_append_new(runs, run_json(report, i));
	sum_up(report, &sum);
	print_json(json_pack("{s:s s:I s:I s:I s:I s:I s:I s:I s:I s:s s:s s:I s:o}", "directory",
			   report->set.path, "segments", (json_int_t)report->set.nb_whole, "files",
			   (json_int_t)report->set.nb_all, "file_bytes", (json_int_t)sum.file_bytes,
			   "records", (json_int_t)sum.nb_records, "messages",
			   (json_int_t)sum.nb_messages, "duplicates", (json_int_t)sum.nb_duplicates,
			   "undelivered", (json_int_t)sum.nb_undelivered, "names",
			   (json_int_t)report->nb_names, "first", report_time(sum.first_ns, first),
			   "last", report_time(sum.last_ns, last), "damaged",
			   (json_int_t)report->nb_damaged, "runs", runs),
		out);
}

static void
print_size(FILE *out, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double size = (double)bytes;
	unsigned int unit = 0;

	while (size >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		size /= 1024;
		unit++;
	}
	fprintf(out, "%.*f %s", unit == 0 ? 0 : 1, size, units[unit]);
}

void
sl_journal_report_info(const struct sl_journal_report *report, FILE *out, bool is_json)
{
	char first[REPORT_TIME_SIZE], last[REPORT_TIME_SIZE];
	struct report_run sum;

	if (is_json) {
		info_json(report, out);
		return;
	}
	sum_up(report, &sum);
	fprintf(out, "%s: %" PRIu32 " segments in %" PRIu32 " files, ", report->set.path,
		report->set.nb_whole, report->set.nb_all);
	print_size(out, sum.file_bytes);
	fprintf(out,
		"\nfrom %s to %s\n%" PRIu64 " messages, %" PRIu64 " of them undelivered; %" PRIu64
		" duplicates; %" PRIu64 " records; %" PRIu32 " names\n",
		report_time(sum.first_ns, first), report_time(sum.last_ns, last), sum.nb_messages,
		sum.nb_undelivered, sum.nb_duplicates, sum.nb_records, report->nb_names);
	if (report->nb_damaged > 0)
		fprintf(out, "DAMAGED, places: %" PRIu32 "; see sluice-journal verify\n",
			report->nb_damaged);
	fprintf(out, "\n%5s  %6s  %8s  %16s  %12s  %11s  %-27s  %s\n", "run", "stream", "segments",
		"end", "messages", "undelivered", "last", "state");
	for (uint32_t i = 0; i < report->set.nb_runs; i++) {
		const struct run *in = &report->set.runs[i];
		const struct report_run *run = &report->runs[i];

		fprintf(out,
			"%5" PRIu32 "  %6" PRIu32 "  %8" PRIu32 "  %16" PRIu64 "  %12" PRIu64
			"  %11" PRIu64 "  %-27s  %s\n",
			in->incarnation, in->stream, in->nb, run->end, run->nb_messages,
			run->nb_undelivered, report_time(run->last_ns, last), how_ended(run));
	}
}

void
sl_journal_report_verdict(const struct sl_journal_report *report, FILE *out, bool is_json)
{
	struct report_run sum;
	uint64_t torn = 0;

	sum_up(report, &sum);
	for (uint32_t i = 0; i < report->set.nb_runs; i++)
		torn += report->runs[i].torn_bytes;
	if (is_json) {
		print_json(json_pack("{s:s s:b s:I s:I s:I s:I s:I}", "directory", report->set.path,
				   "whole", report->nb_damaged == 0, "damaged",
				   (json_int_t)report->nb_damaged, "segments",
				   (json_int_t)report->set.nb_whole, "records",
				   (json_int_t)sum.nb_records, "file_bytes",
				   (json_int_t)sum.file_bytes, "torn_bytes", (json_int_t)torn),
			out);
		return;
	}
	fprintf(out, "%s: %" PRIu32 " segments, %" PRIu64 " records, ", report->set.path,
		report->set.nb_whole, sum.nb_records);
	print_size(out, sum.file_bytes);
	if (report->nb_damaged == 0)
		fprintf(out, ": whole\n");
	else
		fprintf(out, ": DAMAGED, places: %" PRIu32 "\n", report->nb_damaged);
	if (torn > 0)
		fprintf(out,
			"%" PRIu64 " bytes at the end were never synced, and are no part of it\n",
			torn);
}
