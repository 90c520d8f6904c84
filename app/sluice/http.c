/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http.h"
#include "sl_log.h"

/* The HTTP listener's questions, as the control answers them. */

/* What runs may hold secrets (URLs of webhooks, commands), and whoever reaches the port may read.
 */
static bool
is_private(const char *view)
{
	return strcmp(view, "config") == 0;
}

static json_t *
views(void *arg)
{
	const struct sl_view_info *view;
	json_t *list = json_array();

	RTE_SET_USED(arg);
	for (uint32_t i = 0; (view = sl_control_view(i)) != NULL; i++) {
		if (!is_private(view->name))
			json_array_append_new(list,
				json_pack("{s:s, s:s, s:s}", "name", view->name, "arguments",
					view->arguments, "help", view->help));
	}
	return list;
}

static int
show(void *arg, const char *name, const char *const *arguments, uint32_t nb_arguments,
	json_t **json, char *error, size_t error_len)
{
	if (is_private(name)) {
		snprintf(error, error_len,
			"the configuration is not told over HTTP: it may hold secrets; ask sluicectl show %s",
			name);
		return -ENOENT;
	}
	return sl_control_show(arg, name, arguments, nb_arguments, json, error, error_len);
}

static int
metrics(void *arg, bool is_openmetrics, char **text, size_t *text_len)
{
	return sl_control_metrics(arg, is_openmetrics, text, text_len);
}

static bool
is_ready(void *arg, char *reason, size_t reason_len)
{
	return sl_control_is_ready(arg, reason, reason_len);
}

int
http_listen(struct sl_control *control, struct event_base *base,
	const struct sl_config_http *config, struct sl_http **http, char *error, size_t error_len)
{
	static const struct sl_http_ops ops = {
		.views = views,
		.show = show,
		.metrics = metrics,
		.is_ready = is_ready,
	};
	const struct sl_http_params params = {
		.base = base,
		.address = config->address,
		.port = config->port,
		.clients_max = config->clients_max,
		.timeout_ms = config->timeout_ms,
		.ops = &ops,
		.arg = control,
	};
	char address[SL_IP_STRLEN];
	bool is_v4;
	int rc;

	*http = NULL;
	if (!config->is_enabled)
		return 0;
	rc = sl_http_create(&params, http, error, error_len);
	if (rc != 0)
		return rc;
	is_v4 = sl_ip_is_v4(&config->address);
	sl_log(SL_LOG_http, SL_LEVEL_NOTIFY, "listening on http://%s%s%s:%u/", is_v4 ? "" : "[",
		sl_ip_format(&config->address, address), is_v4 ? "" : "]", sl_http_port(*http));
	return 0;
}
