/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * What is in the journal. The appliance tells where it is, and it is read here: its files do not
 * change behind what is durable, and the appliance's loop is not held up.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli_internal.h"
#include "sl_journal_report.h"

#define LIMIT 100 /* Records, unless more are asked for. */

struct journal_run {
	struct sl_cli *cli;
	const char *directory;
	FILE *damage; /* Where places that are damaged are told. */
};

static void
show_damage(void *arg, const struct sl_journal_damage *damage)
{
	const struct journal_run *run = arg;

	fprintf(run->damage,
		"%s/%s: offset %" PRIu64 ": %s (stream %" PRIu32 ", position %" PRIu64 ")\n",
		run->directory, damage->file, damage->offset, damage->what, damage->stream,
		damage->position);
}

static uint64_t
find_number(const struct sl_cli_match *match, const char *name, uint64_t otherwise)
{
	const struct sl_cli_value *value = sl_cli_match_find(match, name);

	return value == NULL ? otherwise : strtoull(value->text, NULL, 10);
}

static bool
is_said(const struct sl_cli_match *match, const char *name, const char *word)
{
	const struct sl_cli_value *value = sl_cli_match_find(match, name);

	return value != NULL && strlen(word) == value->len &&
		strncmp(value->text, word, value->len) == 0;
}

/* NULL when it is not there. */
static const char *
find_name(const struct sl_cli_match *match, const char *name, char *buf, size_t buf_len)
{
	const struct sl_cli_value *value = sl_cli_match_find(match, name);

	if (value == NULL || sl_cli_decode(value->text, value->len, buf, buf_len) < 0)
		return NULL;
	return buf;
}

static uint64_t
since(const struct sl_cli_match *match)
{
	uint64_t seconds = find_number(match, "SECONDS", 0);
	struct timespec now;

	if (seconds == 0)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	return seconds >= (uint64_t)now.tv_sec
		? 0
		: ((uint64_t)now.tv_sec - seconds) * 1000000000 + (uint64_t)now.tv_nsec;
}

static int
show(const struct sl_cli_match *match, struct sl_journal_report *report, FILE *out, bool is_json,
	char *error, size_t error_len)
{
	char destination[256], source[256];
	const struct sl_journal_filter filter = {
		.destination = find_name(match, "DESTINATION", destination, sizeof(destination)),
		.source = find_name(match, "SOURCE", source, sizeof(source)),
		.is_undelivered = is_said(match, "WHICH", "undelivered"),
		.since_ns = since(match),
		.limit = find_number(match, "COUNT", LIMIT),
		.has_stream = sl_cli_match_find(match, "STREAM") != NULL,
		.stream = (uint32_t)find_number(match, "STREAM", 0),
		.payload = is_said(match, "PAYLOAD", "none") ? SL_JOURNAL_PAYLOAD_NONE
							     : SL_JOURNAL_PAYLOAD_HEX,
	};

	switch (match->command->action) {
	case SL_CLI_JOURNAL_LIST:
		return sl_journal_report_list(report, &filter, out, is_json, error, error_len);
	case SL_CLI_JOURNAL_DUMP:
		return sl_journal_report_dump(report, &filter, out, is_json, error, error_len);
	case SL_CLI_JOURNAL_VERIFY:
		sl_journal_report_verdict(report, out, is_json);
		return 0;
	default:
		sl_journal_report_info(report, out, is_json);
		return 0;
	}
}

/* Lines of JSON as the one document that a command answers with: an array when there may be many.
 */
static void
put_document(FILE *out, const char *text, bool is_list)
{
	size_t flags = JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL;
	json_t *list = json_array(), *one;
	json_error_t error;

	while ((one = json_loads(text, flags, &error)) != NULL) {
		json_array_append_new(list, one);
		text += error.position;
	}
	json_dumpf(is_list ? list : json_array_get(list, 0), out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(list);
}

static int
show_json(struct sl_cli *cli, const struct sl_cli_match *match, struct sl_journal_report *report,
	char *error, size_t error_len)
{
	bool is_list = match->command->action == SL_CLI_JOURNAL_LIST ||
		match->command->action == SL_CLI_JOURNAL_DUMP;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int rc;

	if (out == NULL)
		return -ENOMEM;
	rc = show(match, report, out, true, error, error_len);
	fclose(out);
	if (rc >= 0)
		put_document(cli->params.out, text, is_list);
	free(text);
	return rc;
}

static enum sl_cli_result
fail(struct sl_cli *cli, int rc, const char *text)
{
	char error[8448];

	snprintf(error, sizeof(error), "journal: %s%s", text,
		rc == -EACCES || rc == -EPERM
			? "; run sluicectl as root, or as the appliance's user"
			: "");
	return sl_cli_fail(cli, SL_CLI_FAILED, -rc, error, NULL);
}

static enum sl_cli_result
read_journal(struct sl_cli *cli, const struct sl_cli_match *match, const char *directory)
{
	bool is_verify = match->command->action == SL_CLI_JOURNAL_VERIFY;
	struct journal_run run = {
		.cli = cli,
		.directory = directory,
		.damage = is_verify && !cli->params.is_json ? cli->params.out : cli->params.err,
	};
	const struct sl_journal_report_params params = {
		.directory = directory, .damage = show_damage, .arg = &run};
	struct sl_journal_report *report;
	char error[8192] = "";
	bool is_damaged;
	int rc;

	rc = sl_journal_report_open(&params, &report, error, sizeof(error));
	if (rc < 0)
		return fail(cli, rc, error[0] != '\0' ? error : strerror(-rc));
	rc = cli->params.is_json
		? show_json(cli, match, report, error, sizeof(error))
		: show(match, report, cli->params.out, false, error, sizeof(error));
	is_damaged = sl_journal_report_nb_damaged(report) > 0;
	sl_journal_report_close(report);
	if (rc < 0)
		return fail(cli, rc, error);
	return is_damaged ? SL_CLI_FAILED : SL_CLI_OK;
}

enum sl_cli_result
sl_cli_journal(struct sl_cli *cli, const struct sl_cli_match *match)
{
	const char *directory;
	enum sl_cli_result result;
	json_t *journal = NULL;

	result = sl_cli_ask_view(cli, "journal", &journal);
	if (result != SL_CLI_OK)
		return result;
	directory = json_string_value(json_object_get(journal, "directory"));
	if (directory == NULL)
		result = fail(cli, -ENOENT,
			"there is none: the configuration has no journal: {directory: ...}");
	else
		result = read_journal(cli, match, directory);
	json_decref(journal);
	return result;
}
