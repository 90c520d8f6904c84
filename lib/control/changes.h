/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef CHANGES_H
#define CHANGES_H

/** @file What differs between the configuration that runs and another. */

#include <jansson.h>

#include "sl_config.h"

/* Changes that are listed; all are counted. */
#define CHANGES_LISTED 10000

struct changes {
	json_t *list;
	uint32_t nb_changes;
	bool is_log_changed;	 /* Keys of "log". */
	bool is_events_changed;	 /* Keys of "events". */
	char first_restart[256]; /* The first key that needs a restart; "": none does. */
};

/* Returns 0 or -ENOMEM. On success `list` is the caller's. */
int changes_find(
	struct changes *changes, const struct sl_config *before, const struct sl_config *after);

#endif /* CHANGES_H */
