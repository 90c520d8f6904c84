/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "sl_config.h"

struct options {
	const char *config; /**< The appliance's file; then also: */
	const char *sink;   /**< Which of its sinks. */

	const char *journal; /**< Directory; instead of a file of the appliance, as the rest. */
	struct sl_config_sink own;
	const char *node;

	bool is_following; /**< Go on when everything is written. */
	uint32_t retry_s;  /**< How long failures are borne with. */
	bool is_json;

	bool is_schema; /**< Print the schema of `own.kind`, and that is all. */
	uint32_t schema_version;
	bool is_help;
	bool is_version;
};

/**
 * Read the arguments; what they lack has its default.
 * @return 0, or -EINVAL after a line on standard error
 */
int options_parse(struct options *options, int argc, char **argv);

void options_print_help(void);

#endif /* OPTIONS_H */
