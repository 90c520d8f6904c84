/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "changes.h"

static bool
is_below(const char *path, const char *section)
{
	size_t len = strlen(section);

	return strncmp(path, section, len) == 0 && (path[len] == '.' || path[len] == '\0');
}

static void
on_change(void *arg, const struct sl_config_change *change)
{
	struct changes *changes = arg;

	changes->nb_changes++;
	if (is_below(change->path, "log"))
		changes->is_log_changed = true;
	if (is_below(change->path, "events"))
		changes->is_events_changed = true;
	if (change->needs_restart && changes->first_restart[0] == '\0')
		snprintf(
			changes->first_restart, sizeof(changes->first_restart), "%s", change->path);
	if (changes->nb_changes > CHANGES_LISTED)
		return;
	json_array_append_new(changes->list,
		json_pack("{s:s, s:s?, s:s?, s:b}", "path", change->path, "before", change->before,
			"after", change->after, "needs_restart", change->needs_restart));
}

int
changes_find(struct changes *changes, const struct sl_config *before, const struct sl_config *after)
{
	int rc;

	memset(changes, 0, sizeof(*changes));
	changes->list = json_array();
	if (changes->list == NULL)
		return -ENOMEM;
	rc = sl_config_diff(before, after, on_change, changes);
	if (rc >= 0)
		return 0;
	json_decref(changes->list);
	changes->list = NULL;
	return rc;
}
