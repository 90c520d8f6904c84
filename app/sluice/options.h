/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef OPTIONS_H
#define OPTIONS_H

/**
 * @file
 * The application's own arguments: what stands behind "--", EAL's being in front of it.
 */

#include <stdbool.h>

struct options {
	const char *config;
	const char *stats_file; /* NULL: none. */
	double stats_interval_s;
	bool check_config;
	bool config_reference;
	bool version;
	bool help;
	int nb_eal_args; /* argv[0 .. nb_eal_args) are EAL's, the program's name included. */
};

/* Returns 0, or -1 when a line on stderr has said what is wrong. */
int options_parse(int argc, char **argv, struct options *options);

void options_usage(void);

#endif /* OPTIONS_H */
