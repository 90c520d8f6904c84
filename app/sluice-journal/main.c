/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "options.h"

#define EXIT_WHOLE   0
#define EXIT_DAMAGED 1
#define EXIT_FAILED  2

/* Longer than any path. */
#define LINE_MAX_BYTES 8192

struct run {
	const struct options *options;
	bool has_progress; /* The line on the terminal is to be taken away. */
};

static void
clear_progress(struct run *run)
{
	if (run->has_progress)
		fputs("\r\033[K", stderr);
	run->has_progress = false;
}

static void
show_progress(void *arg, uint64_t done_bytes, uint64_t all_bytes)
{
	struct run *run = arg;

	fprintf(stderr, "\r\033[K%" PRIu64 " of %" PRIu64 " MiB", done_bytes >> 20,
		all_bytes >> 20);
	run->has_progress = true;
}

static void
show_damage(void *arg, const struct sl_journal_damage *damage)
{
	struct run *run = arg;
	/* What verify finds is its result. */
	FILE *out = run->options->command == COMMAND_VERIFY && !run->options->is_json ? stdout
										      : stderr;

	clear_progress(run);
	fprintf(out, "%s/%s: offset %" PRIu64 ": %s (stream %" PRIu32 ", position %" PRIu64 ")",
		run->options->directory, damage->file, damage->offset, damage->what, damage->stream,
		damage->position);
	if (damage->left_out > 0)
		fprintf(out, "; what can be read goes on %" PRIu64 " bytes behind",
			damage->left_out);
	fputc('\n', out);
}

static int
repair(const struct options *options)
{
	struct sl_journal_repair what = {.is_cut = options->is_cut,
		.stream = options->filter.stream,
		.is_dry = !options->is_yes};
	char error[LINE_MAX_BYTES];
	int rc;

	rc = sl_journal_repair(options->directory, &what, stdout, error, sizeof(error));
	if (rc < 0) {
		fprintf(stderr, "sluice-journal: %s\n", error);
		return rc == -EBADMSG ? EXIT_DAMAGED : EXIT_FAILED;
	}
	if (rc == 0) {
		if (options->is_cut)
			printf("stream %" PRIu32 " is not damaged; nothing was changed\n",
				what.stream);
		else
			printf("it is whole; nothing was changed\n");
		return EXIT_WHOLE;
	}
	if (!options->is_yes) {
		printf("nothing was changed; to do it, run it again with --yes\n");
		return EXIT_DAMAGED;
	}
	return EXIT_WHOLE;
}

static int
show(const struct options *options, struct sl_journal_report *report)
{
	bool is_damaged = sl_journal_report_nb_damaged(report) > 0;
	char error[LINE_MAX_BYTES];
	int rc = 0;

	switch (options->command) {
	case COMMAND_LIST:
		rc = sl_journal_report_list(
			report, &options->filter, stdout, options->is_json, error, sizeof(error));
		break;
	case COMMAND_DUMP:
		rc = sl_journal_report_dump(
			report, &options->filter, stdout, options->is_json, error, sizeof(error));
		break;
	case COMMAND_VERIFY:
		sl_journal_report_verdict(report, stdout, options->is_json);
		break;
	default:
		sl_journal_report_info(report, stdout, options->is_json);
		break;
	}
	if (rc < 0) {
		fprintf(stderr, "sluice-journal: %s\n", error);
		return EXIT_FAILED;
	}
	if (fflush(stdout) != 0) {
		perror("sluice-journal: standard output");
		return EXIT_FAILED;
	}
	return is_damaged ? EXIT_DAMAGED : EXIT_WHOLE;
}

int
main(int argc, char **argv)
{
	struct sl_journal_report *report;
	struct options options;
	struct run run = {.options = &options};
	struct sl_journal_report_params params = {.damage = show_damage, .arg = &run};
	char error[LINE_MAX_BYTES];
	int rc;

	if (options_parse(argc, argv, &options) != 0)
		return EXIT_FAILED;
	if (options.help) {
		options_print_help(stdout);
		return EXIT_WHOLE;
	}
	if (options.version) {
		printf("sluice-journal %s\n", SLUICE_VERSION);
		return EXIT_WHOLE;
	}
	if (options.command == COMMAND_REPAIR)
		return repair(&options);
	params.directory = options.directory;
	if (isatty(STDERR_FILENO))
		params.progress = show_progress;
	rc = sl_journal_report_open(&params, &report, error, sizeof(error));
	clear_progress(&run);
	if (rc < 0) {
		fprintf(stderr, "sluice-journal: %s\n", error);
		return EXIT_FAILED;
	}
	rc = show(&options, report);
	sl_journal_report_close(report);
	return rc;
}
