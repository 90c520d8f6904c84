/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "sl_journal_report.h"

enum command {
	COMMAND_NONE,
	COMMAND_INFO,
	COMMAND_LIST,
	COMMAND_DUMP,
	COMMAND_VERIFY,
	COMMAND_REPAIR,
};

struct options {
	enum command command;
	const char *directory;
	struct sl_journal_filter filter;
	bool is_json;
	bool is_skip; /* Of repair. */
	bool is_cut;
	bool is_yes;
	bool version;
	bool help;
};

void options_print_help(FILE *out);

/* Returns 0, or -1 with the reason on standard error. */
int options_parse(int argc, char **argv, struct options *options);

#endif /* OPTIONS_H */
