/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The raw file to the configuration: "health", of the file and of destinations, and its checks. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "config_internal.h"

#define PATH_LEN_MAX 1024
#define HOST_LEN_MAX 255
#define TEXT_LEN_MAX 1024 /* What is sent or looked for; fits into one datagram. */

#define KIND(kind) (1u << (kind))
#define SOCKETS	   (KIND(SL_CHECK_UDP) | KIND(SL_CHECK_TCP) | KIND(SL_CHECK_HTTP))

/* Which kinds have a key; where its pointer stands in struct raw_check. */
static const struct {
	const char *key;
	size_t offset;
	uint32_t kinds;
} check_keys[] = {
	{"address", offsetof(struct raw_check, address), SOCKETS},
	{"port", offsetof(struct raw_check, port), SOCKETS},
	{"path", offsetof(struct raw_check, path), KIND(SL_CHECK_HTTP)},
	{"host", offsetof(struct raw_check, host), KIND(SL_CHECK_HTTP)},
	{"status", offsetof(struct raw_check, status), KIND(SL_CHECK_HTTP)},
	{"body", offsetof(struct raw_check, body), KIND(SL_CHECK_HTTP)},
	{"send", offsetof(struct raw_check, send), KIND(SL_CHECK_UDP) | KIND(SL_CHECK_TCP)},
	{"expect", offsetof(struct raw_check, expect), KIND(SL_CHECK_UDP) | KIND(SL_CHECK_TCP)},
	{"argv", offsetof(struct raw_check, argv), KIND(SL_CHECK_EXEC)},
};

static const char *const kind_names[] = {
	[SL_CHECK_PROBE] = "probe",
	[SL_CHECK_ICMP] = "icmp",
	[SL_CHECK_UDP] = "udp",
	[SL_CHECK_TCP] = "tcp",
	[SL_CHECK_HTTP] = "http",
	[SL_CHECK_EXEC] = "exec",
};

/* A key that its kind does not have would be a check that the operator believes in and nobody does.
 */
static int
check_keys_fit(
	struct sl_config_reader *reader, const struct sl_config_at *at, const struct raw_check *raw)
{
	const char *wrong = NULL;
	char known[128] = "";
	const void *value;
	size_t len = 0, i;

	for (i = 0; i < RTE_DIM(check_keys); i++) {
		memcpy(&value, (const char *)raw + check_keys[i].offset, sizeof(value));
		if (check_keys[i].kinds & KIND(*raw->kind))
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s",
				len > 0 ? ", " : "", check_keys[i].key);
		else if (value != NULL && wrong == NULL)
			wrong = check_keys[i].key;
	}
	if (wrong == NULL)
		return 0;
	return sl_config_fail(reader, at, wrong, "is not a key of %s checks; they have %s%s",
		kind_names[*raw->kind], len > 0 ? "kind, " : "kind only", known);
}

/* "200" or "200-299" */
static int
take_status(struct sl_config_reader *reader, const struct sl_config_at *at, const char *raw,
	struct sl_config_check *to)
{
	static const char digits[] = "0123456789";

	to->status_min = 200;
	to->status_max = 399;
	if (raw == NULL)
		return 0;
	if (strspn(raw, digits) == 3 &&
		(raw[3] == '\0' ||
			(raw[3] == '-' && strspn(raw + 4, digits) == 3 && raw[7] == '\0'))) {
		to->status_min = (uint16_t)atoi(raw);
		to->status_max = raw[3] == '-' ? (uint16_t)atoi(raw + 4) : to->status_min;
		if (to->status_min >= 100 && to->status_max <= 599 &&
			to->status_min <= to->status_max)
			return 0;
	}
	return sl_config_fail(reader, at, "status",
		"'%.80s' is no HTTP status from 100 to 599 and no range of them; write it like 200 "
		"or 200-299",
		raw);
}

static int
take_http(struct sl_config_reader *reader, const struct sl_config_at *at,
	const struct raw_check *raw, struct sl_config_check *to)
{
	const char *path = raw->path != NULL ? raw->path : "/";
	int ret;

	if (path[0] != '/' || strchr(path, ' ') != NULL)
		return sl_config_fail(reader, at, "path",
			"'%.80s' is not the path of a URL; begin it with a / and write a space as "
			"%%20",
			path);
	ret = sl_config_take_line(reader, at, "path", path, PATH_LEN_MAX, &to->path);
	if (ret == 0)
		ret = sl_config_take_line(reader, at, "host", raw->host, HOST_LEN_MAX, &to->host);
	if (ret == 0)
		ret = take_status(reader, at, raw->status, to);
	if (ret == 0)
		ret = sl_config_take_text(reader, at, "body", raw->body, TEXT_LEN_MAX, &to->body);
	return ret;
}

static int
take_check(struct sl_config_reader *reader, const struct sl_config_at *at,
	const struct raw_check *raw, struct sl_config_check *to)
{
	int ret;

	to->kind = (enum sl_config_check_kind) * raw->kind;
	ret = check_keys_fit(reader, at, raw);
	if (ret == 0 && raw->address != NULL)
		ret = sl_config_take_host(reader, at, "address", raw->address, &to->address);
	if (ret == 0)
		ret = sl_config_numbers(reader, at, "", sl_config_check_numbers, raw, to);
	if (ret == 0 && to->kind == SL_CHECK_HTTP)
		ret = take_http(reader, at, raw, to);
	if (ret == 0)
		ret = sl_config_take_text(reader, at, "send", raw->send, TEXT_LEN_MAX, &to->send);
	if (ret == 0)
		ret = sl_config_take_text(
			reader, at, "expect", raw->expect, TEXT_LEN_MAX, &to->expect);
	if (ret == 0 && to->kind == SL_CHECK_EXEC && raw->argv_count == 0)
		ret = sl_config_fail(reader, at, "argv",
			"is missing; give the command that is run, like [/usr/local/bin/check]");
	if (ret == 0)
		ret = sl_config_take_argv(
			reader, at, raw->argv, raw->argv_count, &to->argv, &to->nb_argv);
	return ret;
}

static int
take_checks(struct sl_config_reader *reader, const struct sl_config_at *place,
	const struct raw_health *raw, struct sl_config_health *to)
{
	struct sl_config_at at = {.list = "health.checks"};
	uint32_t i, *index = &at.i;
	int ret;

	if (place != NULL) {
		at = *place;
		at.sublist = "health.checks";
		index = &at.j;
	}
	to->checks = sl_config_alloc(reader, raw->checks_count * sizeof(*to->checks));
	if (to->checks == NULL)
		return sl_config_no_memory(reader);
	to->nb_checks = raw->checks_count;
	for (i = 0; i < raw->checks_count; i++) {
		*index = i;
		ret = take_check(reader, &at, &raw->checks[i], &to->checks[i]);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* The destination's numbers, and the file's where it has none. */
static void
inherit_numbers(const struct raw_health *file, const struct raw_health *own, struct raw_health *to)
{
	const struct sl_config_number *number;
	int64_t *value;

	memset(to, 0, sizeof(*to));
	for (number = sl_config_health_numbers; number->key != NULL; number++) {
		memcpy(&value, (const char *)own + number->from, sizeof(value));
		if (value == NULL)
			memcpy(&value, (const char *)file + number->from, sizeof(value));
		memcpy((char *)to + number->from, &value, sizeof(value));
	}
}

static int
take_health(struct sl_config_reader *reader, const struct sl_config_at *at,
	const struct raw_health *own, const struct raw_health *numbers, struct sl_config_health *to)
{
	int ret;

	ret = sl_config_numbers(reader, at, "health.", sl_config_health_numbers, numbers, to);
	if (ret < 0)
		return ret;
	if (to->fast_interval_ms == 0)
		to->fast_interval_ms = to->interval_ms;
	if (to->down_interval_ms == 0)
		to->down_interval_ms = to->interval_ms;
	if (at == NULL || own->checks_count > 0 || own->has_no_checks)
		return take_checks(reader, at, own, to);
	to->nb_checks = reader->config->health.nb_checks;
	to->checks = reader->config->health.checks;
	return 0;
}

int
sl_config_resolve_health(
	struct sl_config_reader *reader, int64_t index, struct sl_config_health *to)
{
	const struct raw_health *file = &reader->raw->health, *own;
	struct sl_config_at at = {.list = "destinations"};
	struct raw_health numbers;

	if (index < 0)
		return take_health(reader, NULL, file, file, to);
	own = reader->raw->destinations[index].health;
	if (own == NULL) {
		*to = reader->config->health;
		return 0;
	}
	at.i = (uint32_t)index;
	inherit_numbers(file, own, &numbers);
	return take_health(reader, &at, own, &numbers, to);
}
