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
#include <stdint.h>

#include "sl_ip.h"

struct options {
	const char *config;
	const char *stats_file; /* NULL: none. */
	double stats_interval_s;
	const char *control_socket; /* Instead of control.socket; NULL: as configured. */
	bool has_http;		    /* The next ones count instead of "http". */
	bool is_http_off;
	struct sl_ip http_address;
	uint16_t http_port;
	bool is_interactive; /* A prompt on standard input. */
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
