/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_internal.h"
#include "sl_notify.h"

/* Views of the control side itself. */

json_t *
view_config(struct sl_control *c, struct view_call *call)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	json_t *config = NULL;
	int rc;

	if (out == NULL)
		return NULL;
	rc = sl_config_write(c->file, out);
	if (fclose(out) != 0 && rc == 0)
		rc = -ENOMEM;
	if (rc != 0)
		call->rc = control_fail(rc, call->error, call->error_len,
			"the configuration cannot be written: %s", strerror(-rc));
	else
		config = json_pack("{s:s, s:s}", "path", c->file->path, "yaml", text);
	free(text);
	return config;
}

json_t *
view_events(struct sl_control *c, struct view_call *call)
{
	unsigned long long after = 0;
	char *end;

	if (call->nb_arguments > 0) {
		errno = 0;
		after = strtoull(call->arguments[0], &end, 10);
		if (call->arguments[0][0] < '0' || call->arguments[0][0] > '9' || *end != '\0' ||
			errno != 0) {
			call->rc = control_fail(-EINVAL, call->error, call->error_len,
				"events: %.32s: give the id of an event", call->arguments[0]);
			return NULL;
		}
	}
	return c->params.notify == NULL ? json_array() : sl_notify_recent(c->params.notify, after);
}
