/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control_internal.h"
#include "durable.h"
#include "sl_wire.h"

uint64_t
control_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int
control_fail(int rc, char *error, size_t error_len, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, error_len, format, args);
	va_end(args);
	return rc;
}

uint32_t
find_destination(const struct sl_config *config, const char *name)
{
	uint64_t key = sl_wire_name_key(name);

	/* No two names have one key: the configuration has seen to it. */
	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		if (config->destinations[i].key == key &&
			strcmp(config->destinations[i].name, name) == 0)
			return i;
	}
	return UINT32_MAX;
}

uint32_t
find_backend(const struct sl_config_destination *destination, const char *name)
{
	for (uint32_t i = 0; i < destination->nb_backends; i++) {
		if (strcmp(destination->backends[i].name, name) == 0)
			return i;
	}
	return UINT32_MAX;
}

uint32_t
find_port(const struct sl_config *config, const char *name)
{
	for (uint32_t i = 0; i < config->nb_ports; i++) {
		if (strcmp(config->ports[i].name, name) == 0)
			return i;
	}
	return UINT32_MAX;
}

int
sl_control_create(const struct sl_control_params *params, struct sl_control **control, char *error,
	size_t error_len)
{
	struct sl_control *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return control_fail(-ENOMEM, error, error_len, "no memory for the control API");
	c->params = *params;
	c->started_ms = control_now_ms();
	c->marks = marks_create(params->config);
	c->durable = durable_create(params->base,
		&(struct durable_params){
			.of = params->durable,
			.datapath = params->datapath,
			.notify = params->notify,
		},
		params->config);
	if (c->marks == NULL || c->durable == NULL || path_create(c) != 0 || trace_create(c) != 0) {
		sl_control_destroy(c);
		return control_fail(-ENOMEM, error, error_len, "no memory for the control API");
	}
	c->config = params->config;
	*control = c;
	return 0;
}

void
sl_control_destroy(struct sl_control *c)
{
	if (c == NULL)
		return;
	trace_destroy(c);
	path_destroy(c);
	durable_destroy(c->durable);
	marks_free(c->marks);
	sl_config_free(c->config);
	free(c);
}

const struct sl_config *
sl_control_config(const struct sl_control *c)
{
	return c->config;
}

bool
sl_control_is_ready(struct sl_control *c, char *reason, size_t reason_len)
{
	struct sl_port_info info;

	if (!sl_control_is_running(c)) {
		snprintf(reason, reason_len,
			c->is_draining ? "the path is stopping" : "the path is stopped");
		return false;
	}
	for (uint32_t i = 0; i < c->config->nb_ports; i++) {
		sl_datapath_get_port(c->params.datapath, i, &info);
		if (info.is_up)
			return true;
	}
	snprintf(reason, reason_len, "no port has a link");
	return false;
}
