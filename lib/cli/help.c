/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Commands that need no request: help, and how to capture. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_internal.h"

#define SYNTAX_WIDTH 44

static void
print_value(void *arg, const struct sl_cli_arg *value)
{
	char text[256];

	if (value->type == SL_CLI_CHOICE && strlen(value->text) < SL_CLI_CHOICE_SHORT)
		return;
	sl_cli_value_expected(value, text, sizeof(text));
	fprintf(arg, "    %-12s %s\n", value->name, text);
}

static void
print_syntax(FILE *out, const struct sl_cli_command *command, const char *before)
{
	char *syntax = sl_cli_syntax_text(command->syntax);

	fprintf(out, "%s%s%s", before, syntax == NULL ? command->syntax : syntax,
		command->has_rates ? " [rate [SECONDS] [count COUNT]]" : "");
	free(syntax);
}

static void
print_detail(struct sl_cli *cli, const struct sl_cli_command *command)
{
	FILE *out = cli->params.out;

	print_syntax(out, command, "");
	fprintf(out, "\n    %s.\n", command->help);
	if (command->details != NULL)
		fprintf(out, "    %s\n", command->details);
	sl_cli_grammar_each_arg(cli->grammar, command, print_value, out);
	fprintf(out, "    example: %s\n", command->example);
}

/* The command's first words alone, or the list would be as wide as its longest syntax. */
static void
print_overview(FILE *out)
{
	const char *group = "";

	for (const struct sl_cli_command *c = sl_cli_commands; c->syntax != NULL; c++) {
		char *syntax = sl_cli_syntax_text(c->syntax);

		if (strcmp(group, c->group) != 0)
			fprintf(out, "%s%s\n", group[0] == '\0' ? "" : "\n", c->group);
		group = c->group;
		if (syntax != NULL && strlen(syntax) > SYNTAX_WIDTH) {
			size_t len = SYNTAX_WIDTH - 4;

			while (len > 0 && syntax[len] != ' ')
				len--;
			strcpy(syntax + len, " ...");
		}
		fprintf(out, "  %-*s  %s\n", SYNTAX_WIDTH, syntax == NULL ? c->syntax : syntax,
			c->help);
		free(syntax);
	}
	fprintf(out,
		"\nhelp COMMAND tells more. Names with blanks are written with %%20. What shows counters\n"
		"takes rate [SECONDS] [count COUNT] at its end and tells changes a second.\n");
}

/* Do the words given stand, in their order, among those of the command? */
static bool
has_words(const struct sl_cli_command *command, const struct sl_cli_match *match)
{
	const char *at = command->syntax;

	for (unsigned int i = 1; i < match->nb_values; i++) {
		const struct sl_cli_value *word = &match->values[i].value;
		bool is_found = false;

		while (*at != '\0' && !is_found) {
			size_t len = strcspn(at, " ()[]{}|,");

			is_found = len == word->len && strncmp(at, word->text, len) == 0;
			/* The first word given is the first of the command. */
			if (i == 1 && !is_found)
				return false;
			at += len;
			at += strspn(at, " ()[]{}|,");
		}
		if (!is_found)
			return false;
	}
	return true;
}

enum sl_cli_result
sl_cli_help(struct sl_cli *cli, const struct sl_cli_match *match)
{
	char error[256];
	bool is_found = false;

	if (match->nb_values == 1) {
		print_overview(cli->params.out);
		return SL_CLI_OK;
	}
	for (const struct sl_cli_command *c = sl_cli_commands; c->syntax != NULL; c++) {
		if (!has_words(c, match))
			continue;
		if (is_found)
			fputc('\n', cli->params.out);
		print_detail(cli, c);
		is_found = true;
	}
	if (is_found)
		return SL_CLI_OK;
	snprintf(error, sizeof(error), "help: there is no such command; help alone lists them all");
	return sl_cli_fail(cli, SL_CLI_USAGE, ENOENT, error, NULL);
}

/* dpdk-dumpcap attaches to the primary process by its file prefix and names ports as ethdev does.
 */
static void
print_capture(struct sl_cli *cli, json_t *ports, const char *name, const char *prefix)
{
	FILE *out = cli->params.out;
	json_t *port;
	size_t i;

	json_array_foreach(ports, i, port)
	{
		const char *port_name = json_string_value(json_object_get(port, "name"));
		const char *device = json_string_value(json_object_get(port, "device"));

		if (port_name == NULL || device == NULL ||
			(name[0] != '\0' && strcmp(name, port_name) != 0))
			continue;
		fprintf(out, "%s:\n  dpdk-dumpcap%s%s -i %s -c 1000 -w /tmp/%s.pcapng\n", port_name,
			prefix == NULL ? "" : " --file-prefix=", prefix == NULL ? "" : prefix,
			device, device);
	}
	fprintf(out,
		"It needs an appliance that runs with huge pages, without --no-huge and "
		"--in-memory.\n");
}

enum sl_cli_result
sl_cli_ask_view(struct sl_cli *cli, const char *view, json_t **json)
{
	Sluice__Control__V1__Show show = SLUICE__CONTROL__V1__SHOW__INIT;
	struct sl_cli_request request = {0};
	enum sl_cli_result result;
	char error[1024] = "";
	int status;

	sluice__control__v1__request__init(&request.request);
	show.view = (char *)(uintptr_t)view;
	request.request.command_case = SLUICE__CONTROL__V1__REQUEST__COMMAND_SHOW;
	request.request.show = &show;
	result = sl_cli_ask(cli, &request, json, &status, error, sizeof(error));
	if (result != SL_CLI_OK)
		sl_cli_fail(cli, result, status, error, NULL);
	return result;
}

static bool
has_port(json_t *ports, const char *name)
{
	json_t *port;
	size_t i;

	json_array_foreach(ports, i, port)
	{
		if (strcmp(name, json_string_value(json_object_get(port, "name"))) == 0)
			return true;
	}
	return false;
}

enum sl_cli_result
sl_cli_capture(struct sl_cli *cli, const struct sl_cli_match *match)
{
	const struct sl_cli_value *value = sl_cli_match_find(match, "PORT");
	json_t *ports = NULL, *version = NULL;
	char name[256] = "", error[512];
	enum sl_cli_result result;

	if (value != NULL)
		sl_cli_decode(value->text, value->len, name, sizeof(name));
	result = sl_cli_ask_view(cli, "ports", &ports);
	if (result == SL_CLI_OK)
		result = sl_cli_ask_view(cli, "version", &version);
	if (result == SL_CLI_OK && name[0] != '\0' && !has_port(ports, name)) {
		snprintf(error, sizeof(error),
			"capture: there is no port %s; show port info all tells them", name);
		result = sl_cli_fail(cli, SL_CLI_FAILED, ENOENT, error, NULL);
	} else if (result == SL_CLI_OK) {
		print_capture(cli, ports, name,
			json_string_value(json_object_get(version, "file_prefix")));
	}
	json_decref(ports);
	json_decref(version);
	return result;
}
