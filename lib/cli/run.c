/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* One command, from its line to what it shows. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_internal.h"
#include "render.h"

#define RATE_SECONDS 1.0

enum sl_cli_result
sl_cli_fail(
	struct sl_cli *cli, enum sl_cli_result result, int status, const char *error, json_t *more)
{
	FILE *err = cli->params.err;

	if (cli->params.is_json) {
		json_t *json = json_pack("{s:s, s:i}", "error", error, "status", status);

		if (json == NULL)
			json = json_pack("{s:s, s:i}", "error", strerror(status), "status", status);
		if (cli->file != NULL)
			json_object_set_new(json, "line", json_integer(cli->line));
		json_object_update_missing(json, more);
		json_dumpf(json, cli->params.out, JSON_COMPACT);
		fputc('\n', cli->params.out);
		fflush(cli->params.out);
		json_decref(json);
		return result;
	}
	fflush(cli->params.out);
	if (cli->file != NULL)
		fprintf(err, "%s:%u: ", cli->file, cli->line);
	else if (cli->params.name != NULL)
		fprintf(err, "%s: ", cli->params.name);
	fprintf(err, "%s\n", error);
	fflush(err);
	return result;
}

enum sl_cli_result
sl_cli_ask(struct sl_cli *cli, struct sl_cli_request *request, json_t **json, int *status,
	char *error, size_t error_len)
{
	Sluice__Control__V1__Response *response;
	json_error_t what;
	int rc;

	*json = NULL;
	rc = sl_cli_client_request(&cli->client, &request->request,
		cli->params.timeout_ms + request->extra_ms, &response, error, error_len);
	*status = -rc;
	if (rc != 0)
		return rc == -ENOTCONN || rc == -ECONNRESET ? SL_CLI_NO_CONNECTION : SL_CLI_FAILED;
	*status = response->status;
	if (response->json[0] != '\0')
		*json = json_loads(response->json, JSON_DECODE_ANY | JSON_ALLOW_NUL, &what);
	if (response->status != 0) {
		snprintf(error, error_len, "%s",
			response->error[0] != '\0' ? response->error : strerror(response->status));
	} else if (response->json[0] != '\0' && *json == NULL) {
		*status = EPROTO;
		snprintf(error, error_len, "the answer is no JSON: %s", what.text);
	}
	sluice__control__v1__response__free_unpacked(response, NULL);
	return *status == 0 ? SL_CLI_OK : SL_CLI_FAILED;
}

static void
show_json(struct sl_cli *cli, const json_t *json)
{
	if (json == NULL)
		fputs("{}", cli->params.out);
	else
		json_dumpf(json, cli->params.out, JSON_COMPACT | JSON_ENCODE_ANY);
	fputc('\n', cli->params.out);
}

static bool
says(const struct sl_cli_match *match, const char *word)
{
	for (unsigned int i = 0; i < match->nb_values; i++) {
		const struct sl_cli_arg *arg = match->values[i].arg;

		if (arg->type == SL_CLI_WORD && strcmp(arg->text, word) == 0)
			return true;
	}
	return false;
}

static void
show_view(struct sl_cli *cli, const struct sl_cli_match *match, const json_t *json)
{
	const char *dot = json_string_value(json_object_get(json, "dot"));
	char view[64];

	sl_cli_view_name(match->command->view, view, sizeof(view));
	if (dot != NULL && !says(match, "dot"))
		sl_cli_render_graph(cli->params.out, dot);
	else
		sl_cli_render(cli->params.out, view, json, 0);
}

static void
show_answer(struct sl_cli *cli, const struct sl_cli_match *match, const json_t *json)
{
	FILE *out = cli->params.out;

	if (cli->params.is_json) {
		show_json(cli, json);
		return;
	}
	if (json == NULL)
		return;
	switch (match->command->action) {
	case SL_CLI_SHOW:
		show_view(cli, match, json);
		break;
	case SL_CLI_CHANGE:
	case SL_CLI_LOAD:
	case SL_CLI_CHECK:
		sl_cli_render_changes(out, json, match->command->action == SL_CLI_CHECK);
		break;
	case SL_CLI_EXPLAIN:
		sl_cli_render_explanation(out, json);
		break;
	case SL_CLI_TRACE:
		sl_cli_render_trace(out, json);
		break;
	default:
		sl_cli_render(out, NULL, json, 0);
		break;
	}
}

/* A reload that is refused still tells what would have changed. */
static enum sl_cli_result
run_once(struct sl_cli *cli, const struct sl_cli_match *match)
{
	struct sl_cli_request request;
	char error[1024] = "";
	enum sl_cli_result result;
	json_t *json;
	int status;

	sl_cli_request_make(match, &request);
	result = sl_cli_ask(cli, &request, &json, &status, error, sizeof(error));
	sl_cli_request_free(&request);
	if (result == SL_CLI_OK)
		show_answer(cli, match, json);
	else if (!cli->params.is_json && json_array_size(json_object_get(json, "changes")) > 0)
		sl_cli_render_changes(cli->params.out, json, false);
	if (result != SL_CLI_OK)
		sl_cli_fail(cli, result, status, error, json);
	json_decref(json);
	return result;
}

static void
show_rates(struct sl_cli *cli, const struct sl_cli_match *match, json_t *before, json_t *after,
	double seconds)
{
	json_t *rates = sl_cli_rates(before, after, seconds);

	if (cli->params.is_json) {
		json_t *json = json_pack("{s:f, s:o}", "interval_s", seconds, "rates", rates);

		show_json(cli, json);
		json_decref(json);
	} else {
		fprintf(cli->params.out, "a second, over %.2f s:\n", seconds);
		show_view(cli, match, rates);
		json_decref(rates);
	}
	/* Who reads along has it now. */
	fflush(cli->params.out);
}

/* Two readings make one set of rates, and the second is the first of the next. */
static enum sl_cli_result
run_rates(struct sl_cli *cli, const struct sl_cli_match *match)
{
	const struct sl_cli_value *seconds = sl_cli_match_find(match, "SECONDS"),
				  *count = sl_cli_match_find(match, "COUNT");
	double interval = seconds == NULL ? RATE_SECONDS : strtod(seconds->text, NULL);
	unsigned long left = count == NULL ? 1 : strtoul(count->text, NULL, 10);
	uint64_t last_ms = 0;
	struct sl_cli_request request;
	json_t *before = NULL, *after;
	enum sl_cli_result result;
	char error[1024] = "";
	int status;

	sl_cli_request_make(match, &request);
	for (bool is_first = true;; is_first = false) {
		uint64_t now_ms;

		result = sl_cli_ask(cli, &request, &after, &status, error, sizeof(error));
		if (result != SL_CLI_OK)
			break;
		now_ms = sl_cli_now_ms();
		if (!is_first) {
			show_rates(cli, match, before, after, (double)(now_ms - last_ms) / 1e3);
			left--;
		}
		json_decref(before);
		before = after;
		last_ms = now_ms;
		/* From this reading on: who was held up has no interval that is next to nothing. */
		if (left == 0 ||
			!sl_cli_client_sleep(&cli->client, now_ms + (uint64_t)(interval * 1e3)))
			break;
	}
	json_decref(before);
	sl_cli_request_free(&request);
	return result == SL_CLI_OK ? result : sl_cli_fail(cli, result, status, error, NULL);
}

static enum sl_cli_result
run_quit(struct sl_cli *cli, const struct sl_cli_match *match)
{
	enum sl_cli_result result;

	if (cli->shell != NULL && !cli->params.is_prompt &&
		!sl_cli_shell_confirm(cli->shell,
			"This ends the appliance; exit leaves sluicectl alone. Quit? (y/n) "))
		return SL_CLI_OK;
	result = run_once(cli, match);
	if (result == SL_CLI_OK && cli->params.is_prompt)
		cli->is_leaving = true;
	return result;
}

enum sl_cli_result
sl_cli_run_match(struct sl_cli *cli, const struct sl_cli_match *match)
{
	switch (match->command->action) {
	case SL_CLI_SHOW_HELP:
		return sl_cli_help(cli, match);
	case SL_CLI_EXIT:
		cli->is_leaving = true;
		return SL_CLI_OK;
	case SL_CLI_CAPTURE:
		return sl_cli_capture(cli, match);
	case SL_CLI_JOURNAL_INFO:
	case SL_CLI_JOURNAL_LIST:
	case SL_CLI_JOURNAL_DUMP:
	case SL_CLI_JOURNAL_VERIFY:
		return sl_cli_journal(cli, match);
	case SL_CLI_QUIT:
		return run_quit(cli, match);
	default:
		return says(match, "rate") && match->command->has_rates ? run_rates(cli, match)
									: run_once(cli, match);
	}
}

enum sl_cli_result
sl_cli_run_line(struct sl_cli *cli, const char *line)
{
	struct sl_cli_match match;
	char error[2048] = "";
	enum sl_cli_result result;
	int rc;

	rc = sl_cli_grammar_parse(cli->grammar, line, &match, error, sizeof(error));
	if (rc == -ENODATA)
		return SL_CLI_OK;
	if (rc != 0)
		return sl_cli_fail(cli, SL_CLI_USAGE, -rc, error, NULL);
	result = sl_cli_run_match(cli, &match);
	/* Nobody reads on, or the disk is full: what was shown was not seen. */
	if (fflush(cli->params.out) != 0 && result == SL_CLI_OK)
		result = SL_CLI_FAILED;
	return result;
}
