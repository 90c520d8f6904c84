/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include "room_load.h"

/* 0: all that was said was heard, once, in order, as it was said; 1: not so; 2: it could not run.
 */
int
main(int argc, char **argv)
{
	struct options options;
	struct result *result = calloc(1, sizeof(*result));
	int status = 2;

	if (result == NULL || !options_parse(argc, argv, &options, &status) ||
		load_run(&options, result) != 0)
		goto done;
	report_table(&options, result);
	if (report_files(&options, result) == 0)
		status = report_is_good(result) ? 0 : 1;
done:
	if (result != NULL) {
		free(result->rooms);
		free(result->intervals);
	}
	free(result);
	return status;
}
