/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The second pass of a report: messages a line each, records in full. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "sl_wire.h"

void
report_message(const struct sl_record_message *record, struct report_message *message)
{
	uint32_t len;
	const uint8_t *bytes = sl_record_message_of(record, &len);

	memset(message, 0, sizeof(*message));
	message->source = sl_wire_get64(bytes + SL_WIRE_OFF_SOURCE);
	message->destination = sl_wire_get64(bytes + SL_WIRE_OFF_DEST);
	message->type = sl_wire_get64(bytes + SL_WIRE_OFF_TYPE);
	message->sequence = sl_wire_get64(bytes + SL_WIRE_OFF_SEQUENCE);
	message->timestamp_ns = sl_wire_get64(bytes + SL_WIRE_OFF_TIMESTAMP);
	message->priority = sl_wire_get32(bytes + SL_WIRE_OFF_PRIORITY);
	message->flags = sl_wire_get32(bytes + SL_WIRE_OFF_FLAGS);
	snprintf(message->id, sizeof(message->id), "%016" PRIx64 "%016" PRIx64,
		sl_wire_get64(bytes + SL_WIRE_OFF_ID_HIGH),
		sl_wire_get64(bytes + SL_WIRE_OFF_ID_LOW));
	message->payload = sl_wire_message_payload(bytes, len, &message->payload_len);
	if (message->payload == NULL)
		message->payload_len = 0;
	message->id_text = (const char *)sl_wire_message_id_text(bytes, len, &message->id_text_len);
}

struct pass {
	struct sl_journal_report *report;
	const struct sl_journal_filter *filter;
	FILE *out;
	bool is_json;
	bool is_dump;
	uint64_t nb;
	uint64_t source;
	uint64_t destination;
};

static bool
wants(const struct pass *pass, const struct sl_record *record)
{
	const struct sl_journal_filter *filter = pass->filter;
	uint32_t segment = pass->report->walk.segment;
	struct report_message message;
	bool of_messages = filter->destination != NULL || filter->source != NULL ||
		filter->is_undelivered || filter->payload == SL_JOURNAL_PAYLOAD_RAW;

	if (record->time_ns < filter->since_ns)
		return false;
	if (filter->has_stream && record->position < filter->position)
		return false;
	if (record->type != SL_RECORD_MESSAGE)
		return pass->is_dump && !of_messages;
	if (!of_messages)
		return true;
	report_message((const struct sl_record_message *)record, &message);
	return (filter->destination == NULL || message.destination == pass->destination) &&
		(filter->source == NULL || message.source == pass->source) &&
		(!filter->is_undelivered ||
			strcmp(report_state(pass->report, segment,
				       (const struct sl_record_message *)record),
				"undelivered") == 0);
}

static void
add_text(json_t *json, const char *key, const char *text, size_t len)
{
	json_t *value = json_stringn(text, len);

	/* What a source calls its message need not be UTF-8. */
	json_object_set_new(json, key, value == NULL ? json_null() : value);
}

static void
add_hex(json_t *json, const char *key, const uint8_t *bytes, size_t len)
{
	char *hex = malloc(2 * len + 1);

	for (size_t i = 0; hex != NULL && i < len; i++)
		snprintf(&hex[2 * i], 3, "%02x", bytes[i]);
	if (hex != NULL)
		json_object_set_new(json, key, json_stringn(hex, 2 * len));
	free(hex);
}

static json_t *
hex64(uint64_t value)
{
	return json_sprintf("%016" PRIx64, value);
}

/* Of a topic's message: who is to get it, and whether he has. */
static void
add_subscribers(struct pass *pass, json_t *json, const struct sl_record_message *record)
{
	const struct sl_record_subscriber *all = sl_record_subscribers_of(record);
	struct sl_journal_report *report = pass->report;
	json_t *subscribers = json_array();
	char backend[REPORT_NAME_SIZE];

	for (uint32_t i = 0; i < record->nb_subscribers; i++) {
		uint64_t position = record->record.position + all[i].back;

		json_array_append_new(subscribers,
			json_pack("{s:s s:I s:s}", "backend",
				report_name(report, all[i].backend, backend), "position",
				(json_int_t)position, "state",
				report_state_at(report, report->walk.segment, position)));
	}
	json_object_set_new(json, "subscribers", subscribers);
}

static void
add_message(struct pass *pass, json_t *json, const struct sl_record_message *record)
{
	struct sl_journal_report *report = pass->report;
	char source[REPORT_NAME_SIZE], destination[REPORT_NAME_SIZE], type[REPORT_NAME_SIZE];
	struct report_message message;
	json_t *fields;

	report_message(record, &message);
	fields = json_pack("{s:s s:s s:s s:s s:i s:i s:I s:I s:o s:I s:s}", "source",
		report_name(report, message.source, source), "destination",
		report_name(report, message.destination, destination), "type",
		report_name(report, message.type, type), "id", message.id, "class",
		(int)sl_record_level(record), "priority", (int)message.priority, "timestamp_ns",
		(json_int_t)message.timestamp_ns, "sequence", (json_int_t)message.sequence,
		"session", hex64(record->session), "payload_bytes", (json_int_t)message.payload_len,
		"state", report_state(report, report->walk.segment, record));
	if (fields == NULL)
		return;
	json_object_update(json, fields);
	json_decref(fields);
	if (message.id_text != NULL)
		add_text(json, "id_text", message.id_text, message.id_text_len);
	if (record->nb_subscribers > 0)
		add_subscribers(pass, json, record);
	if (pass->is_dump && pass->filter->payload == SL_JOURNAL_PAYLOAD_HEX)
		add_hex(json, "payload", message.payload, message.payload_len);
}

static void
add_done(json_t *json, const struct sl_journal_report *report, const struct sl_record_done *done)
{
	char backend[REPORT_NAME_SIZE];
	json_t *outcomes = json_array();

	for (uint32_t i = 0; i < done->nb_outcomes; i++) {
		const struct sl_record_outcome_of *of = &done->outcomes[i];

		json_array_append_new(outcomes,
			json_pack("{s:I s:I s:s s:i s:I}", "stream",
				(json_int_t)sl_record_ref_stream(of->message), "position",
				(json_int_t)sl_record_ref_position(of->message), "outcome",
				of->outcome == SL_OUTCOME_DEAD ? "dead" : "delivered", "attempts",
				(int)of->attempts, "before_us", (json_int_t)of->before_us));
	}
	json_object_set_new(
		json, "backend", json_string(report_name(report, done->backend, backend)));
	json_object_set_new(json, "outcomes", outcomes);
}

static void
add_record(struct pass *pass, json_t *json, const struct sl_record *record)
{
	switch (record->type) {
	case SL_RECORD_MESSAGE:
		add_message(pass, json, (const struct sl_record_message *)record);
		break;
	case SL_RECORD_DUPLICATE: {
		const struct sl_record_duplicate *duplicate = (const struct sl_record_duplicate *)
			record;

		json_object_set_new(json, "session", hex64(duplicate->session));
		json_object_set_new(
			json, "sequence", json_integer((json_int_t)duplicate->sequence));
		break;
	}
	case SL_RECORD_DONE:
		add_done(json, pass->report, (const struct sl_record_done *)record);
		break;
	case SL_RECORD_NAME: {
		const struct sl_record_name *name = (const struct sl_record_name *)record;

		json_object_set_new(json, "key", hex64(name->key));
		add_text(json, "name", name->name, record->len - sizeof(*name));
		break;
	}
	case SL_RECORD_CONFIG: {
		const struct sl_record_config *config = (const struct sl_record_config *)record;

		json_object_set_new(json, "epoch", json_integer(config->epoch));
		json_object_set_new(json, "version", json_integer(config->version));
		break;
	}
	default:
		break;
	}
}

static json_t *
record_json(struct pass *pass, const struct sl_record *record)
{
	const struct segment *segment = &pass->report->set.all[pass->report->walk.segment];
	char time[REPORT_TIME_SIZE];
	json_t *json;

	json = json_pack("{s:s s:I s:I s:I}", "time", report_time(record->time_ns, time), "time_ns",
		(json_int_t)record->time_ns, "stream", (json_int_t)segment->found.header.stream,
		"position", (json_int_t)record->position);
	if (json == NULL)
		return NULL;
	if (pass->is_dump) {
		json_object_set_new(json, "record", json_string(report_type(record->type)));
		json_object_set_new(json, "run", json_integer(record->incarnation));
		json_object_set_new(json, "file", json_string(segment->found.name));
		json_object_set_new(json, "offset",
			json_integer((json_int_t)segment_offset(segment, record->position)));
		json_object_set_new(json, "bytes", json_integer(record->len));
		json_object_set_new(json, "synced_before",
			json_integer((json_int_t)sl_record_synced_before(record)));
	}
	add_record(pass, json, record);
	return json;
}

static void
print_hex(FILE *out, const uint8_t *bytes, size_t len)
{
	for (size_t at = 0; at < len; at += 16) {
		size_t n = len - at < 16 ? len - at : 16;

		fprintf(out, "    %06zx ", at);
		for (size_t i = 0; i < 16; i++) {
			if (i < n)
				fprintf(out, " %02x", bytes[at + i]);
			else
				fputs("   ", out);
		}
		fputs("  ", out);
		for (size_t i = 0; i < n; i++)
			fputc(bytes[at + i] >= ' ' && bytes[at + i] < 0x7f ? bytes[at + i] : '.',
				out);
		fputc('\n', out);
	}
}

/* As text, what JSON has: a line for the place, and one for each field. */
static void
print_record(struct pass *pass, const struct sl_record *record)
{
	json_t *json = record_json(pass, record), *value;
	struct report_message message;
	const char *key;

	fprintf(pass->out, "%s\n", report_type(record->type));
	json_object_foreach(json, key, value)
	{
		char *text;

		if (strcmp(key, "record") == 0 || strcmp(key, "payload") == 0)
			continue;
		text = json_is_string(value) ? strdup(json_string_value(value))
					     : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		fprintf(pass->out, "  %-14s %s\n", key, text == NULL ? "?" : text);
		free(text);
	}
	json_decref(json);
	if (record->type == SL_RECORD_MESSAGE && pass->filter->payload == SL_JOURNAL_PAYLOAD_HEX) {
		report_message((const struct sl_record_message *)record, &message);
		print_hex(pass->out, message.payload, message.payload_len);
	}
}

static void
print_line(struct pass *pass, const struct sl_record_message *record)
{
	struct sl_journal_report *report = pass->report;
	char source[REPORT_NAME_SIZE], destination[REPORT_NAME_SIZE], type[REPORT_NAME_SIZE];
	char time[REPORT_TIME_SIZE];
	struct report_message message;

	if (pass->nb == 0)
		fprintf(pass->out, "%-27s %6s %14s %-16s %-16s %-16s %-32s %5s %7s %s\n", "time",
			"stream", "position", "source", "destination", "type", "id", "class",
			"bytes", "state");
	report_message(record, &message);
	fprintf(pass->out,
		"%-27s %6" PRIu32 " %14" PRIu64 " %-16s %-16s %-16s %-32s %5u %7" PRIu32 " %s\n",
		report_time(record->record.time_ns, time),
		report->set.all[report->walk.segment].found.header.stream, record->record.position,
		report_name(report, message.source, source),
		report_name(report, message.destination, destination),
		report_name(report, message.type, type), message.id, sl_record_level(record),
		message.payload_len, report_state(report, report->walk.segment, record));
}

static void
print(struct pass *pass, const struct sl_record *record)
{
	struct report_message message;
	json_t *json;

	if (pass->is_dump && pass->filter->payload == SL_JOURNAL_PAYLOAD_RAW) {
		report_message((const struct sl_record_message *)record, &message);
		fwrite(message.payload, 1, message.payload_len, pass->out);
	} else if (pass->is_json) {
		json = record_json(pass, record);
		json_dumpf(json, pass->out, JSON_COMPACT);
		fputc('\n', pass->out);
		json_decref(json);
	} else if (pass->is_dump) {
		print_record(pass, record);
	} else {
		print_line(pass, (const struct sl_record_message *)record);
	}
	pass->nb++;
}

static int
go_through(struct pass *pass, const struct run *run)
{
	struct walk *walk = &pass->report->walk;
	const struct sl_record *record;
	int64_t left_out;
	int rc;

	report_begin_run(pass->report, run);
	while ((rc = walk_next(walk, &record)) != 0) {
		if (rc == -EBADMSG) {
			left_out = walk_skip(walk);
			rc = left_out < 0 ? (int)left_out : 0;
		} else if (rc == -ENOENT) {
			walk_skip_segment(walk);
			rc = 0;
		} else if (rc > 0 && wants(pass, record)) {
			print(pass, record);
			if (pass->nb == pass->filter->limit || ferror(pass->out))
				return 0;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
run_pass(struct pass *pass, char *error, size_t error_len)
{
	struct sl_journal_report *report = pass->report;
	const struct sl_journal_filter *filter = pass->filter;
	int rc = 0;

	if (filter->source != NULL)
		pass->source = sl_wire_name_key(filter->source);
	if (filter->destination != NULL)
		pass->destination = sl_wire_name_key(filter->destination);
	for (uint32_t i = 0; i < report->set.nb_runs && rc == 0; i++) {
		const struct run *run = &report->set.runs[i];

		if (filter->has_stream &&
			(run->stream != filter->stream || report->runs[i].end <= filter->position))
			continue;
		rc = go_through(pass, run);
		if ((filter->limit != 0 && pass->nb == filter->limit) || ferror(pass->out))
			break;
	}
	if (rc != 0)
		snprintf(error, error_len, "%s: cannot be read: %s", report->set.path,
			strerror(-rc));
	return rc;
}

int
sl_journal_report_list(struct sl_journal_report *report, const struct sl_journal_filter *filter,
	FILE *out, bool is_json, char *error, size_t error_len)
{
	struct pass pass = {.report = report, .filter = filter, .out = out, .is_json = is_json};

	return run_pass(&pass, error, error_len);
}

int
sl_journal_report_dump(struct sl_journal_report *report, const struct sl_journal_filter *filter,
	FILE *out, bool is_json, char *error, size_t error_len)
{
	struct pass pass = {.report = report,
		.filter = filter,
		.out = out,
		.is_json = is_json,
		.is_dump = true};

	return run_pass(&pass, error, error_len);
}
