/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "sl_cli.h"

#define OPTIONS_MAX   32
#define TIMEOUT_MAX_S 86400.0

struct options {
	const char *socket;
	const char *file;
	const char *complete;
	double timeout_s;
	bool is_json;
	bool stop_at_error;
};

static void
usage(void)
{
	printf("Usage: sluicectl [OPTION...] [COMMAND]\n\n"
	       "Runs a command of a Sluice appliance, or without one reads commands: with a prompt\n"
	       "from a terminal, else from standard input. sluicectl help lists the commands.\n\n");
	for (const struct sl_cli_option *o = sl_cli_options; o->name != NULL; o++) {
		char name[32];

		if (o->is_hidden)
			continue;
		snprintf(name, sizeof(name), "--%s%s%s", o->name, o->value == NULL ? "" : " ",
			o->value == NULL ? "" : o->value);
		printf("  -%c, %-18s  %s\n", o->letter, name, o->help);
	}
}

static void
write_examples(void)
{
	for (const struct sl_cli_command *c = sl_cli_commands; c->syntax != NULL; c++)
		printf("%s\n", c->example);
}

static int
parse_timeout(const char *text, struct options *options)
{
	char *end;

	options->timeout_s = strtod(text, &end);
	if (end != text && *end == '\0' && options->timeout_s >= 0.001 &&
		options->timeout_s <= TIMEOUT_MAX_S)
		return 0;
	fprintf(stderr, "sluicectl: --timeout %s: give seconds from 0.001 to %.0f, for example 5\n",
		text, TIMEOUT_MAX_S);
	return -1;
}

/* What ends the program at once. Returns whether it was that. */
static bool
run_option(const char *name)
{
	if (strcmp(name, "help") == 0)
		usage();
	else if (strcmp(name, "version") == 0)
		printf("sluicectl %s\n", SLUICE_VERSION);
	else if (strcmp(name, "man") == 0)
		sl_cli_write_man(stdout, SLUICE_VERSION);
	else if (strcmp(name, "markdown") == 0)
		sl_cli_write_markdown(stdout);
	else if (strcmp(name, "bash-completion") == 0)
		sl_cli_write_bash_completion(stdout);
	else if (strcmp(name, "examples") == 0)
		write_examples();
	else
		return false;
	return true;
}

static int
take_option(const char *name, char *value, struct options *options)
{
	if (run_option(name))
		exit(fflush(stdout) == 0 ? SL_CLI_OK : SL_CLI_FAILED);
	if (strcmp(name, "socket") == 0)
		options->socket = value;
	else if (strcmp(name, "json") == 0)
		options->is_json = true;
	else if (strcmp(name, "file") == 0)
		options->file = value;
	else if (strcmp(name, "stop-at-error") == 0)
		options->stop_at_error = true;
	else if (strcmp(name, "complete") == 0)
		options->complete = value;
	else if (strcmp(name, "timeout") == 0)
		return parse_timeout(value, options);
	return 0;
}

/* The table of options as getopt wants it; what follows the first word belongs to the command. */
static int
parse_options(int argc, char **argv, struct options *options)
{
	struct option longs[OPTIONS_MAX] = {0};
	char letters[2 * OPTIONS_MAX + 2] = "+";
	size_t nb = 0, n = 1;
	int opt, index;

	for (const struct sl_cli_option *o = sl_cli_options; o->name != NULL; o++, nb++) {
		longs[nb] = (struct option){
			o->name, o->value == NULL ? no_argument : required_argument, NULL, 256};
		if (o->letter == 0)
			continue;
		letters[n++] = o->letter;
		if (o->value != NULL)
			letters[n++] = ':';
	}
	opterr = 0;
	while ((opt = getopt_long(argc, argv, letters, longs, &index)) != -1) {
		const char *name = opt == 256 ? longs[index].name : NULL;

		for (size_t i = 0; i < nb && name == NULL; i++) {
			if (sl_cli_options[i].letter == opt)
				name = sl_cli_options[i].name;
		}
		if (opt == '?') {
			fprintf(stderr,
				"sluicectl: %s: not an option, or without its value; see sluicectl "
				"--help\n",
				argv[optind - 1]);
			return -1;
		}
		if (take_option(name, optarg, options) != 0)
			return -1;
	}
	return 0;
}

/*
 * The words of the shell as a line. A shell's word may have blanks in it, which a name has too; but
 * a single one is a line as it stands: sluicectl 'show stats'.
 */
static char *
join(int argc, char **argv)
{
	char *line = NULL;
	size_t len;
	FILE *out;

	if (argc == 1)
		return strdup(argv[0]);
	out = open_memstream(&line, &len);
	if (out == NULL)
		return NULL;
	for (int i = 0; i < argc; i++) {
		if (i > 0)
			fputc(' ', out);
		for (const char *c = argv[i]; *c != '\0'; c++) {
			if (strchr(" \t\r\n#", *c) != NULL)
				fprintf(out, "%%%02x", (unsigned char)*c);
			else
				fputc(*c, out);
		}
	}
	fclose(out);
	return line;
}

/* Beside the state of other programs where there is such a place. Static: it lives as long. */
static const char *
history_file(void)
{
	static char path[4096];
	const char *home = getenv("HOME"), *state = getenv("XDG_STATE_HOME");
	struct stat info;

	if (state != NULL && state[0] == '/')
		snprintf(path, sizeof(path), "%s", state);
	else if (home != NULL && home[0] == '/')
		snprintf(path, sizeof(path), "%s/.local/state", home);
	else
		return NULL;
	if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
		strncat(path, "/sluicectl_history", sizeof(path) - strlen(path) - 1);
	else if (home != NULL && home[0] == '/')
		snprintf(path, sizeof(path), "%s/.sluicectl_history", home);
	else
		return NULL;
	return path;
}

static enum sl_cli_result
run_file(struct sl_cli *cli, const struct options *options)
{
	bool is_stdin = options->file == NULL || strcmp(options->file, "-") == 0;
	const char *name = is_stdin ? "stdin" : options->file;
	FILE *in = is_stdin ? stdin : fopen(options->file, "re");
	enum sl_cli_result result;

	if (in == NULL) {
		fprintf(stderr, "sluicectl: %s: cannot be read: %m\n", options->file);
		return SL_CLI_USAGE;
	}
	result = sl_cli_run_file(cli, in, name, options->stop_at_error);
	if (!is_stdin)
		fclose(in);
	return result;
}

static enum sl_cli_result
run(struct sl_cli *cli, const struct options *options, int argc, char **argv)
{
	enum sl_cli_result result = SL_CLI_FAILED;
	char *line;

	if (options->complete != NULL) {
		sl_cli_print_completions(cli, options->complete);
		return SL_CLI_OK;
	}
	if (argc == 0 && options->file == NULL && isatty(STDIN_FILENO))
		return sl_cli_run_interactive(cli, STDIN_FILENO, -1);
	if (argc == 0)
		return run_file(cli, options);
	line = join(argc, argv);
	if (line != NULL)
		result = sl_cli_run_line(cli, line);
	free(line);
	return result;
}

int
main(int argc, char **argv)
{
	struct options options = {.socket = getenv("SLUICE_SOCKET"), .timeout_s = 10};
	struct sl_cli_params params = {.out = stdout, .err = stderr, .name = "sluicectl"};
	enum sl_cli_result result;
	struct sl_cli *cli;

	signal(SIGPIPE, SIG_IGN);
	if (parse_options(argc, argv, &options) != 0)
		return SL_CLI_USAGE;
	if (options.file != NULL && optind < argc) {
		fprintf(stderr, "sluicectl: give a command or --file, not both\n");
		return SL_CLI_USAGE;
	}
	if (options.socket != NULL && options.socket[0] != '\0')
		params.socket = options.socket;
	params.is_json = options.is_json;
	params.timeout_ms = (uint32_t)(options.timeout_s * 1000);
	params.history = history_file();
	if (sl_cli_create(&params, &cli) != 0) {
		fprintf(stderr, "sluicectl: no memory\n");
		return SL_CLI_FAILED;
	}
	result = run(cli, &options, argc - optind, argv + optind);
	sl_cli_destroy(cli);
	return fflush(stdout) == 0 || result != SL_CLI_OK ? (int)result : SL_CLI_FAILED;
}
