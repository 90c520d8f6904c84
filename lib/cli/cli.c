/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli_internal.h"

#define TIMEOUT_MS 10000

int
sl_cli_create(const struct sl_cli_params *params, struct sl_cli **out)
{
	struct sl_cli *cli = calloc(1, sizeof(*cli));
	char error[256];
	int rc;

	if (cli == NULL)
		return -ENOMEM;
	cli->params = *params;
	if (cli->params.timeout_ms == 0)
		cli->params.timeout_ms = TIMEOUT_MS;
	cli->client.path = params->socket == NULL ? SL_CLI_SOCKET : params->socket;
	cli->client.fd = -1;
	cli->client.interrupt_fd = -1;
	cli->client.stop_fd = -1;
	rc = sl_cli_grammar_create(sl_cli_commands, &cli->grammar, error, sizeof(error));
	if (rc != 0) {
		free(cli);
		return rc;
	}
	*out = cli;
	return 0;
}

void
sl_cli_destroy(struct sl_cli *cli)
{
	if (cli == NULL)
		return;
	sl_cli_client_close(&cli->client);
	sl_cli_cache_free(cli->cache);
	sl_cli_grammar_destroy(cli->grammar);
	free(cli);
}

enum sl_cli_result
sl_cli_run_file(struct sl_cli *cli, FILE *in, const char *name, bool stop_at_error)
{
	enum sl_cli_result first = SL_CLI_OK, result;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	cli->file = name;
	cli->line = 0;
	while (!cli->is_leaving && (len = getline(&line, &size, in)) >= 0) {
		cli->line++;
		if (strlen(line) != (size_t)len)
			result = sl_cli_fail(cli, SL_CLI_USAGE, EINVAL,
				"the line has a NUL byte: this is no file of commands", NULL);
		else
			result = sl_cli_run_line(cli, line);
		if (first == SL_CLI_OK)
			first = result;
		if (result == SL_CLI_NO_CONNECTION || (result != SL_CLI_OK && stop_at_error))
			break;
	}
	free(line);
	if (ferror(in)) {
		result = sl_cli_fail(cli, SL_CLI_FAILED, EIO, "cannot be read", NULL);
		first = first == SL_CLI_OK ? result : first;
	}
	cli->file = NULL;
	return first;
}

void
sl_cli_print_completions(struct sl_cli *cli, const char *line)
{
	struct sl_cli_choices choices;

	sl_cli_grammar_complete(cli->grammar, line, sl_cli_names, cli, &choices);
	for (size_t i = 0; i < choices.nb_words; i++)
		fprintf(cli->params.out, "%s\n", choices.words[i]);
	sl_cli_choices_free(&choices);
}
