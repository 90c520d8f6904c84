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
#include "members.h"
#include "overview.h"

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
	return sl_config_find_destination(config, name);
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

/* Of one that is away: has everything that was sent to it come back? */
static bool
is_idle(void *arg, const char *destination, const char *name)
{
	const struct sl_control *c = arg;
	uint32_t d = find_destination(c->config, destination), b, n;
	struct sl_session_stats sessions[RTE_MAX_LCORE];

	if (d == UINT32_MAX)
		return true;
	b = find_backend(&c->config->destinations[d], name);
	if (b == UINT32_MAX)
		return true;
	if (c->config->destinations[d].backends[b].state == SL_CONFIG_READY)
		return false;
	n = sl_datapath_get_sessions(c->params.datapath, d, b, sessions, RTE_DIM(sessions));
	for (uint32_t i = 0; i < n; i++) {
		if (sessions[i].in_flight > 0)
			return false;
	}
	return true;
}

static void
topic_use(void *arg, const char *topic, uint64_t *came, uint64_t *waiting)
{
	const struct sl_control *c = arg;
	uint32_t d = find_destination(c->config, topic);
	struct sl_destination_stats stats;

	if (d == UINT32_MAX)
		return;
	sl_datapath_get_destination_stats(c->params.datapath, d, &stats);
	*came = stats.delivered + stats.duplicates + stats.dropped;
	*waiting = stats.queued;
}

static uint32_t
topic_idle_ms(void *arg)
{
	return ((const struct sl_control *)arg)->file->gateways.topic_idle_ms;
}

int
sl_control_create(const struct sl_control_params *params, struct sl_control **control, char *error,
	size_t error_len)
{
	struct sl_config *running = params->running != NULL ? params->running : params->config;
	struct sl_control *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return control_fail(-ENOMEM, error, error_len, "no memory for the control API");
	c->params = *params;
	c->started_ms = control_now_ms();
	c->overview = overview_create(c->started_ms);
	c->marks = marks_create(running);
	c->durable = durable_create(params->base,
		&(struct durable_params){
			.of = params->durable,
			.datapath = params->datapath,
			.notify = params->notify,
		},
		running);
	c->members = members_create(&(struct members_params){
		.base = params->base,
		.notify = params->notify,
		.directory = params->config->journal.directory,
		.apply = control_take_members,
		.is_idle = is_idle,
		.topic_use = topic_use,
		.topic_idle_ms = topic_idle_ms,
		.arg = c,
	});
	if (c->overview == NULL || c->marks == NULL || c->durable == NULL || c->members == NULL ||
		path_create(c) != 0 || trace_create(c) != 0) {
		sl_control_destroy(c);
		return control_fail(-ENOMEM, error, error_len, "no memory for the control API");
	}
	c->file = params->config;
	c->config = running;
	rc = members_restore(c->members, c->file, error, error_len);
	if (rc != 0) {
		/* It stays the caller's. */
		c->file = c->config = NULL;
		sl_control_destroy(c);
		return rc;
	}
	*control = c;
	return 0;
}

int
sl_control_recall(struct event_base *base, const struct sl_config *file, struct sl_config **running,
	char *error, size_t error_len)
{
	struct members *members;
	int rc;

	*running = NULL;
	if (file->journal.directory == NULL)
		return 0;
	members = members_create(
		&(struct members_params){.base = base, .directory = file->journal.directory});
	if (members == NULL)
		return -ENOMEM;
	rc = members_restore(members, file, error, error_len);
	if (rc == 0)
		rc = members_overlay(members, file, false, running);
	if (*running == file)
		*running = NULL;
	members_destroy(members);
	return rc;
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
	overview_destroy(c->overview);
	members_destroy(c->members);
	if (c->config != c->file)
		sl_config_free(c->config);
	sl_config_free(c->file);
	free(c);
}

const struct sl_config *
sl_control_config(const struct sl_control *c)
{
	return c->config;
}

int
sl_control_join(struct sl_control *c, const struct sl_member *member, char *error, size_t error_len)
{
	return members_join(c->members, c->file, member, error, error_len);
}

void
sl_control_apply_soon(struct sl_control *c)
{
	members_schedule(c->members);
}

void
sl_control_subscribe(struct sl_control *c, const struct sl_datapath_subscribe *subscribe)
{
	members_subscribe(c->members, c->file, subscribe);
}

int
sl_control_client_join(struct sl_control *c, const struct sl_member *member,
	struct sl_member_place *displaced, char *error, size_t error_len)
{
	return members_client_join(c->members, c->file, member, displaced, error, error_len);
}

void
sl_control_client_leave(struct sl_control *c, const struct sl_member *member)
{
	members_client_leave(c->members, member);
}

int
sl_control_client_forget(
	struct sl_control *c, const struct sl_member *member, char *error, size_t error_len)
{
	return members_client_forget(c->members, member, error, error_len);
}

int
sl_control_leave(struct sl_control *c, const char *destination, const char *name)
{
	return members_leave(c->members, destination, name);
}

int
sl_control_open_topic(
	struct sl_control *c, const char *name, enum sl_config_guarantee guarantee, bool stays)
{
	return members_open_topic(c->members, c->file, name, guarantee, stays);
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
		/* Those of the gateways are always up. */
		if (c->config->ports[i].is_gateway)
			continue;
		sl_datapath_get_port(c->params.datapath, i, &info);
		if (info.is_up)
			return true;
	}
	snprintf(reason, reason_len, "no port has a link");
	return false;
}
