/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <jansson.h>

#include "members_internal.h"
#include "sl_log.h"
#include "sl_notify.h"

/*
 * Durable members, in a file beside the journal, which has what waits for them. It is replaced as a
 * whole, and is on the disk before the path knows of a change: so who is named in the journal is in
 * the file.
 */

#define FILE_NAME     "subscribers.json"
#define FILE_NAME_NEW "subscribers.json.new"
#define FILE_MODE     0640

static json_t *
member_to_json(const struct member *member)
{
	const struct group *group = member->group;
	char address[SL_IP_STRLEN];

	return json_pack("{s:s, s:s, s:s, s:i, s:I, s:b, s:b, s:b, s:b}", "destination",
		group->destination, "backend", member->name, "address",
		sl_ip_format(&member->address, address), "port", (int)member->port, "ttl_ms",
		(json_int_t)member->ttl_ms, "is_away", member->is_away, "is_datagram",
		member->is_datagram, "is_client", member->is_client, "is_on_demand",
		group->is_topic);
}

/* Returns NULL when there are none, or no memory: then *is_short. To be freed. */
static char *
to_text(const struct members *m, bool *is_short)
{
	json_t *list = json_array(), *json;
	const struct group *group;
	const struct member *member;
	char *text = NULL;

	TAILQ_FOREACH (group, &m->groups, next) {
		TAILQ_FOREACH (member, &group->members, next) {
			if (member->is_durable && member->drop == NULL &&
				json_array_append_new(list, member_to_json(member)) != 0)
				*is_short = true;
		}
	}
	if (json_array_size(list) > 0) {
		json = json_pack("{s:i, s:O}", "version", 1, "subscribers", list);
		text = json_dumps(json, JSON_INDENT(1));
		json_decref(json);
		*is_short |= text == NULL;
	}
	json_decref(list);
	return text;
}

static int
write_file(int directory, const char *text)
{
	size_t len = strlen(text), done = 0;
	int fd, rc = 0;

	fd = openat(directory, FILE_NAME_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
	if (fd < 0)
		return -errno;
	while (done < len && rc == 0) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0)
			rc = errno == EINTR ? 0 : -errno;
		else
			done += (size_t)n;
	}
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	close(fd);
	if (rc == 0 && renameat(directory, FILE_NAME_NEW, directory, FILE_NAME) != 0)
		rc = -errno;
	if (rc != 0)
		unlinkat(directory, FILE_NAME_NEW, 0);
	return rc;
}

static int
replace(const char *path, const char *text)
{
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (directory < 0)
		return -errno;
	if (text != NULL)
		rc = write_file(directory, text);
	else
		rc = unlinkat(directory, FILE_NAME, 0) != 0 && errno != ENOENT ? -errno : 0;
	if (rc == 0 && fsync(directory) != 0)
		rc = -errno;
	close(directory);
	return rc;
}

void
members_store(struct members *m, const char *directory)
{
	bool is_short = false;
	char *text = to_text(m, &is_short);
	int rc = is_short ? -ENOMEM : 0;

	if (rc == 0 && (text == NULL) == (m->stored == NULL) &&
		(text == NULL || strcmp(text, m->stored) == 0)) {
		free(text);
		return;
	}
	if (rc == 0)
		rc = replace(directory, text);
	if (rc == 0) {
		free(m->stored);
		m->stored = text;
		m->has_store_failed = false;
		return;
	}
	free(text);
	if (!m->has_store_failed && m->params.notify != NULL)
		sl_notify(m->params.notify, SL_LEVEL_ERROR, "subscribers_not_stored", NULL,
			"%s/" FILE_NAME ": cannot be written: %s; a restart would not know the "
			"durable subscribers that came or went since",
			directory, strerror(-rc));
	m->has_store_failed = true;
}

/* Back again. */

static int
restore_one(struct members *m, const struct sl_config *file, json_t *json, char *error,
	size_t error_len)
{
	const char *destination, *backend, *address;
	int port, is_away, is_datagram, is_on_demand, is_client = 0;
	struct sl_member from;
	json_int_t ttl_ms;

	if (json_unpack(json, "{s:s, s:s, s:s, s:i, s:I, s:b, s:b, s:b, s?b}", "destination",
		    &destination, "backend", &backend, "address", &address, "port", &port, "ttl_ms",
		    &ttl_ms, "is_away", &is_away, "is_datagram", &is_datagram, "is_on_demand",
		    &is_on_demand, "is_client", &is_client) != 0 ||
		port <= 0 || port > UINT16_MAX || ttl_ms < 0 || ttl_ms > UINT32_MAX) {
		snprintf(error, error_len, "it is no subscriber");
		return -EINVAL;
	}
	from = (struct sl_member){
		.destination = destination,
		.name = backend,
		.udp_port = (uint16_t)port,
		.ttl_ms = (uint32_t)ttl_ms,
		.is_durable = true,
		.is_datagram = is_datagram,
		.is_client = is_client,
	};
	if (!sl_ip_parse(address, &from.address)) {
		snprintf(error, error_len, "'%.64s' is no address", address);
		return -EINVAL;
	}
	/* Its client is not there yet: any thread's will do, and those there were may be gone. */
	if (is_client)
		from.address = sl_config_gateway_address(0);
	if (is_on_demand)
		members_open_topic(m, file, destination, SL_CONFIG_AT_LEAST_ONCE, false);
	if (members_join(m, file, &from, error, error_len) != 0)
		return -ENOENT;
	/* A client's place has gone with its connection. */
	if (is_away || is_client)
		members_part(m, members_member(m, members_group(m, destination), backend));
	return 0;
}

/* What is there is what the path has, or begins with. */
static void
settle(struct members *m)
{
	bool is_short = false;

	m->stats.joined = 0;
	members_commit(m);
	event_del(m->batch);
	m->is_waiting = false;
	m->stored = to_text(m, &is_short);
}

static int
restore_all(struct members *m, const struct sl_config *file, json_t *root)
{
	json_t *list = json_object_get(root, "subscribers"), *json;
	char error[256];
	size_t i;

	if (json_integer_value(json_object_get(root, "version")) != 1 || !json_is_array(list))
		return -EINVAL;
	json_array_foreach(list, i, json)
	{
		int rc = restore_one(m, file, json, error, sizeof(error));

		if (rc == -EINVAL)
			return rc;
		if (rc != 0 && m->params.apply == NULL)
			sl_log(SL_LOG_control, SL_LEVEL_WARN,
				"durable subscriber %s of %s is forgotten: %s",
				json_string_value(json_object_get(json, "backend")),
				json_string_value(json_object_get(json, "destination")), error);
	}
	settle(m);
	return 0;
}

int
members_restore(struct members *m, const struct sl_config *file, char *error, size_t error_len)
{
	const char *directory = m->params.directory;
	char path[4096];
	json_error_t why;
	json_t *root;
	int rc;

	if (directory == NULL)
		return 0;
	snprintf(path, sizeof(path), "%s/" FILE_NAME, directory);
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return 0;
	root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	rc = root != NULL ? restore_all(m, file, root) : -EINVAL;
	json_decref(root);
	if (rc != 0)
		snprintf(error, error_len,
			"%s: line %d: %s: restore it from a copy, or remove it: then durable "
			"subscribers are forgotten, and what was kept for them",
			path, root == NULL ? why.line : 1,
			root == NULL ? why.text : "not written by this release");
	return rc;
}
