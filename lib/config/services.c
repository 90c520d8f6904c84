/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The raw file to the configuration: log, events, control, http and limits. */

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "config_internal.h"

#define URL_LEN_MAX 2048

static int
check_log_module(struct sl_config_reader *reader, const struct sl_config_at *at, const char *module)
{
	static const char *const known[] = {
#define X(name) #name,
		SL_LOG_MODULE_LIST(X)
#undef X
	};
	char list[256];
	size_t len = 0, i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(module, known[i]) == 0)
			return 0;
		len += (size_t)snprintf(
			list + len, sizeof(list) - len, "%s%s", i > 0 ? ", " : "", known[i]);
	}
	return sl_config_fail(
		reader, at, "module", "there is no module '%.80s'; give one of: %s", module, list);
}

static int
take_log_levels(struct sl_config_reader *reader)
{
	const struct raw_log *raw = &reader->raw->log;
	struct sl_config_log *to = &reader->config->log;
	struct sl_config_at at = {.list = "log.levels"};
	uint32_t i;
	int ret;

	to->levels = sl_config_alloc(reader, raw->levels_count * sizeof(*to->levels));
	if (to->levels == NULL)
		return sl_config_no_memory(reader);
	to->nb_levels = raw->levels_count;
	for (at.i = 0; at.i < raw->levels_count; at.i++) {
		ret = sl_config_take_name(
			reader, &at, "module", raw->levels[at.i].module, &to->levels[at.i].module);
		if (ret == 0)
			ret = check_log_module(reader, &at, to->levels[at.i].module);
		if (ret < 0)
			return ret;
		to->levels[at.i].level = (enum sl_config_level) * raw->levels[at.i].level;
		for (i = 0; i < at.i; i++) {
			if (strcmp(to->levels[i].module, to->levels[at.i].module) == 0)
				return sl_config_fail(reader, &at, "module",
					"'%s' is log.levels[%" PRIu32
					"]'s, too; keep one of the two",
					to->levels[i].module, i);
		}
	}
	return 0;
}

static int
resolve_log(struct sl_config_reader *reader)
{
	const struct raw_log *raw = &reader->raw->log;
	struct sl_config_log *to = &reader->config->log;
	int ret;

	to->target = (enum sl_config_log_target)sl_config_choice(raw->target, SL_LOG_STDERR);
	to->is_json = sl_config_choice(raw->format, RAW_FORMAT_TEXT) == RAW_FORMAT_JSON;
	to->level = (enum sl_config_level)sl_config_choice(raw->level, SL_LEVEL_INFO);
	if (to->target == SL_LOG_FILE && raw->file == NULL)
		return sl_config_fail(
			reader, NULL, "log.file", "is missing; target file needs the file's path");
	if (to->target != SL_LOG_FILE && raw->file != NULL)
		return sl_config_fail(reader, NULL, "log.file",
			"is not written to; give target: file, or leave it out");
	if (raw->file != NULL && raw->file[0] != '/')
		return sl_config_fail(reader, NULL, "log.file",
			"'%.80s' is not an absolute path; begin it with a /", raw->file);
	ret = sl_config_take_line(reader, NULL, "log.file", raw->file, PATH_MAX - 1, &to->file);
	if (ret == 0)
		ret = sl_config_numbers(reader, NULL, "log.", sl_config_log_numbers, raw, to);
	if (ret == 0)
		ret = take_log_levels(reader);
	return ret;
}

static int
take_exec_hooks(struct sl_config_reader *reader)
{
	const struct raw_events *raw = &reader->raw->events;
	struct sl_config_events *to = &reader->config->events;
	struct sl_config_at at = {.list = "events.exec"};
	const struct raw_exec_hook *from;
	struct sl_config_exec_hook *hook;
	int ret;

	to->exec = sl_config_alloc(reader, raw->exec_count * sizeof(*to->exec));
	if (to->exec == NULL)
		return sl_config_no_memory(reader);
	to->nb_exec = raw->exec_count;
	for (at.i = 0; at.i < raw->exec_count; at.i++) {
		from = &raw->exec[at.i];
		hook = &to->exec[at.i];
		ret = sl_config_take_argv(
			reader, &at, from->argv, from->argv_count, &hook->argv, &hook->nb_argv);
		if (ret == 0)
			ret = sl_config_numbers(
				reader, &at, "", sl_config_exec_numbers, from, hook);
		if (ret < 0)
			return ret;
		hook->level = (enum sl_config_level)sl_config_choice(from->level, SL_LEVEL_NOTIFY);
	}
	return 0;
}

/* What follows the scheme: at least a host. */
static bool
is_url(const char *text)
{
	static const char *const schemes[] = {"http://", "https://"};
	size_t i, len;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		len = strlen(schemes[i]);
		if (strncmp(text, schemes[i], len) == 0)
			return strchr(text, ' ') == NULL && strchr("/?#:", text[len]) == NULL;
	}
	return false;
}

static int
take_webhooks(struct sl_config_reader *reader)
{
	const struct raw_events *raw = &reader->raw->events;
	struct sl_config_events *to = &reader->config->events;
	struct sl_config_at at = {.list = "events.webhooks"};
	const struct raw_webhook *from;
	struct sl_config_webhook *hook;
	int ret;

	to->webhooks = sl_config_alloc(reader, raw->webhooks_count * sizeof(*to->webhooks));
	if (to->webhooks == NULL)
		return sl_config_no_memory(reader);
	to->nb_webhooks = raw->webhooks_count;
	for (at.i = 0; at.i < raw->webhooks_count; at.i++) {
		from = &raw->webhooks[at.i];
		hook = &to->webhooks[at.i];
		if (!is_url(from->url))
			return sl_config_fail(reader, &at, "url",
				"'%.80s' is not a URL of HTTP; write it like "
				"https://alarm.example/sluice",
				from->url);
		ret = sl_config_take_line(reader, &at, "url", from->url, URL_LEN_MAX, &hook->url);
		if (ret == 0)
			ret = sl_config_numbers(
				reader, &at, "", sl_config_webhook_numbers, from, hook);
		if (ret < 0)
			return ret;
		hook->level = (enum sl_config_level)sl_config_choice(from->level, SL_LEVEL_NOTIFY);
	}
	return 0;
}

static int
resolve_control(struct sl_config_reader *reader)
{
	const struct raw_control *raw = &reader->raw->control;
	struct sl_config_control *to = &reader->config->control;
	const char *socket = raw->socket != NULL ? raw->socket : "/run/sluice/control.sock";
	int ret;

	if (socket[0] != '/' && strcmp(socket, "none") != 0)
		return sl_config_fail(reader, NULL, "control.socket",
			"'%.80s' is not an absolute path; begin it with a /, or give none", socket);
	ret = sl_config_take_line(reader, NULL, "control.socket", socket,
		sizeof(((struct sockaddr_un *)0)->sun_path) - 1, &to->socket);
	if (ret == 0 && raw->group != NULL)
		ret = sl_config_take_name(reader, NULL, "control.group", raw->group, &to->group);
	if (ret == 0)
		ret = sl_config_numbers(
			reader, NULL, "control.", sl_config_control_numbers, raw, to);
	return ret;
}

static int
resolve_http(struct sl_config_reader *reader)
{
	const struct raw_http *raw = &reader->raw->http;
	struct sl_config_http *to = &reader->config->http;
	int ret;

	to->is_enabled = raw->enabled == NULL || *raw->enabled;
	ret = sl_config_take_listener(reader, NULL, "http.address",
		raw->address != NULL ? raw->address : "127.0.0.1", &to->address);
	if (ret == 0)
		ret = sl_config_numbers(reader, NULL, "http.", sl_config_http_numbers, raw, to);
	return ret;
}

int
sl_config_resolve_services(struct sl_config_reader *reader)
{
	const struct raw_config *raw = reader->raw;
	struct sl_config *config = reader->config;
	int ret;

	ret = resolve_log(reader);
	if (ret == 0)
		ret = take_exec_hooks(reader);
	if (ret == 0)
		ret = take_webhooks(reader);
	if (ret == 0)
		ret = sl_config_numbers(reader, NULL, "events.", sl_config_event_numbers,
			&raw->events, &config->events);
	if (ret == 0)
		ret = resolve_control(reader);
	if (ret == 0)
		ret = resolve_http(reader);
	if (ret == 0)
		ret = sl_config_numbers(reader, NULL, "limits.", sl_config_limit_numbers,
			&raw->limits, &config->limits);
	return ret;
}

int
sl_config_check_limits(struct sl_config_reader *reader)
{
	const struct sl_config *config = reader->config;
	uint64_t nb_shards = 0, nb_backends = 0;
	uint32_t i;

	for (i = 0; i < config->nb_destinations; i++) {
		nb_shards += config->destinations[i].partitions;
		nb_backends += config->destinations[i].nb_backends;
	}
	if (config->limits.shards > 0 && config->limits.shards < nb_shards)
		return sl_config_fail(reader, NULL, "limits.shards",
			"%" PRIu32 " are fewer than all partitions together, %" PRIu64
			"; give at least that, or 0 to have it chosen",
			config->limits.shards, nb_shards);
	if (config->limits.backends > 0 && config->limits.backends < nb_backends)
		return sl_config_fail(reader, NULL, "limits.backends",
			"%" PRIu32 " are fewer than all backends together, %" PRIu64
			"; give at least that, or 0 to have it chosen",
			config->limits.backends, nb_backends);
	return 0;
}
