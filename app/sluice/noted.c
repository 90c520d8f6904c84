/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "noted.h"
#include "sl_journal_names.h"
#include "sl_log.h"
#include "sl_wire.h"

/* Names of gateways take this part of the journal at most, each time they are put in. */
#define BYTES_PART 64

/* How far the stream has come is looked at every so many polls. */
#define LOOK_POLLS 10

/* The longest name: a gateway's client's, or a backend's with its destination. */
#define NAME_LEN_MAX 255

/* Names are put in by the first worker. */
#define STREAM 0

struct noted {
	struct sl_datapath *datapath;
	struct sl_journal *journal;
	struct sl_journal_names *names;
	struct sl_journal_status *status;
	struct event *event;
	int fd; /* Names have become durable. */
	bool has_durable;
	bool is_full_told;
	uint32_t reader;
	uint32_t polls;

	/* How much of the configuration that runs has been noted. */
	uint32_t version;
	bool is_config_due;
	bool is_added;

	noted_tell_t tell;
	void *tell_arg;
	uint64_t told;
};

static void
on_names_durable(evutil_socket_t fd, short what, void *arg)
{
	struct noted *n = arg;
	uint64_t count, known;
	ssize_t got = read((int)fd, &count, sizeof(count));

	RTE_SET_USED(got);
	RTE_SET_USED(what);
	known = sl_journal_names_known(n->names);
	if (known == n->told)
		return;
	n->told = known;
	if (n->tell != NULL)
		n->tell(n->tell_arg, known);
}

int
noted_create(struct event_base *base, const struct sl_config *config, struct sl_datapath *datapath,
	struct noted **noted)
{
	struct noted *n = calloc(1, sizeof(*n));

	*noted = n;
	if (n == NULL)
		return -ENOMEM;
	n->datapath = datapath;
	n->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (n->fd < 0)
		return -errno;
	n->status = malloc(sizeof(*n->status));
	n->event = event_new(base, n->fd, EV_READ | EV_PERSIST, on_names_durable, n);
	if (n->status == NULL || n->event == NULL || event_add(n->event, NULL) != 0)
		return -ENOMEM;
	return sl_journal_names_create(
		config->journal.max_bytes / BYTES_PART, config->journal.segment_bytes, &n->names);
}

void
noted_destroy(struct noted *n)
{
	if (n == NULL)
		return;
	if (n->event != NULL)
		event_free(n->event);
	if (n->fd >= 0)
		close(n->fd);
	sl_journal_names_destroy(n->names);
	free(n->status);
	free(n);
}

/* What a recovery finds. */

void
noted_recover_name(struct noted *n, const struct sl_record_name *record)
{
	const struct sl_journal_name name = {
		.key = record->key,
		.text = record->name,
		.len = record->record.len - (uint32_t)sizeof(*record),
	};

	if (name.len <= NAME_LEN_MAX && sl_wire_name_key_len(name.text, name.len) == name.key)
		sl_journal_names_add(n->names, &name, false);
}

void
noted_recover_undelivered(struct noted *n, const struct sl_record_message *record)
{
	uint32_t len;
	const uint8_t *message = sl_record_message_of(record, &len);

	sl_journal_names_need(n->names, sl_wire_get64(message + SL_WIRE_OFF_SOURCE));
	sl_journal_names_need(n->names, sl_wire_get64(message + SL_WIRE_OFF_TYPE));
	sl_journal_names_need(n->names, sl_wire_get64(message + SL_WIRE_OFF_DEST));
}

int
noted_open(struct noted *n, struct sl_journal *journal)
{
	int rc = sl_journal_add_reader(journal, "names", &n->reader);

	if (rc != 0)
		return rc;
	n->journal = journal;
	for (uint32_t s = 0; s < SL_STREAMS_MAX; s++) {
		if (s != STREAM)
			sl_journal_set_needed(journal, n->reader, s, UINT64_MAX);
	}
	/* The others come again with who uses them. */
	sl_journal_names_prune(n->names);
	return 0;
}

/* Putting in. */

/* @return false: later */
static bool
put_names(struct noted *n)
{
	uint8_t bytes[sizeof(uint64_t) + NAME_LEN_MAX];
	struct sl_journal_name name;

	while (sl_journal_names_next(n->names, &name)) {
		memcpy(bytes, &name.key, sizeof(name.key));
		memcpy(bytes + sizeof(name.key), name.text, name.len);
		if (sl_datapath_note(n->datapath, SL_RECORD_NAME, bytes,
			    (uint32_t)sizeof(name.key) + name.len) != 0)
			return !sl_journal_names_has_new(n->names);
		sl_journal_names_noted(n->names);
	}
	return true;
}

/* Of clients' making, whose number has no bound. @return its number, SL_JOURNAL_NAME_NONE */
static uint64_t
add_bounded(struct noted *n, const struct sl_journal_name *name)
{
	uint64_t number = sl_journal_names_add(n->names, name, true);

	if (number == SL_JOURNAL_NAME_NONE && !n->is_full_told) {
		n->is_full_told = true;
		sl_log(SL_LOG_journal, SL_LEVEL_WARN,
			"the names that clients use take more than 1/%u of journal.max_bytes: "
			"from here on new ones are not kept, and sinks show keys; find who sends "
			"so many, or raise journal.max_bytes, and restart",
			BYTES_PART);
	}
	return number;
}

/* @return false: there is no memory for it now */
static bool
add_name(struct noted *n, uint64_t key, const char *text, bool is_bounded)
{
	const struct sl_journal_name name = {
		.key = key, .text = text, .len = (uint32_t)strlen(text)};

	if (is_bounded) {
		add_bounded(n, &name);
		return true;
	}
	return sl_journal_names_add(n->names, &name, false) != SL_JOURNAL_NAME_NONE;
}

static bool
add_backends(struct noted *n, const struct sl_config_destination *dest)
{
	const struct sl_config_backend *backend;
	char text[2 * SL_CONFIG_NAME_MAX + 2];

	RTE_BUILD_BUG_ON(sizeof(text) > NAME_LEN_MAX + 1);
	for (uint32_t i = 0; i < dest->nb_backends; i++) {
		backend = &dest->backends[i];
		snprintf(text, sizeof(text), "%s/%s", dest->name, backend->name);
		if (!add_name(n, sl_wire_name_key(text), text,
			    dest->is_on_demand || backend->is_member))
			return false;
	}
	return true;
}

static bool
add_config(struct noted *n, const struct sl_config *config)
{
	const struct sl_config_name *names;
	uint32_t nb = sl_config_names(config, &names);

	for (uint32_t i = 0; i < nb; i++) {
		if (!add_name(n, names[i].key, names[i].name, names[i].is_added))
			return false;
	}
	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		if (!add_backends(n, &config->destinations[i]))
			return false;
	}
	return true;
}

void
noted_applied(struct noted *n, const struct sl_config *config)
{
	n->version++;
	n->is_config_due = true;
	n->is_added = false;
	noted_poll(n, config);
}

/* What stands in segments that are to go is put in again before. */
static void
look_at_journal(struct noted *n)
{
	uint64_t needed;

	if (n->polls++ % LOOK_POLLS != 0)
		return;
	sl_journal_get_status(n->journal, n->status);
	needed = sl_journal_names_needed(
		n->names, n->status->durable[STREAM], n->status->state == SL_JOURNAL_FULL);
	sl_journal_set_needed(n->journal, n->reader, STREAM, needed);
}

void
noted_poll(struct noted *n, const struct sl_config *config)
{
	uint32_t version[] = {config->epoch, n->version};

	sl_datapath_free_notes(n->datapath);
	if (n->is_config_due && !n->is_added)
		n->is_added = add_config(n, config);
	look_at_journal(n);
	if (!put_names(n) || !n->is_config_due || !n->is_added)
		return;
	n->is_config_due = sl_datapath_note(
				   n->datapath, SL_RECORD_CONFIG, version, sizeof(version)) != 0;
}

/* Gateways. */

uint64_t
noted_add(struct noted *n, uint64_t key, const char *text, uint32_t len)
{
	const struct sl_journal_name name = {.key = key, .text = text, .len = len};
	uint64_t number = len <= NAME_LEN_MAX ? add_bounded(n, &name) : SL_JOURNAL_NAME_NONE;

	put_names(n);
	return number;
}

void
noted_tell(struct noted *n, noted_tell_t tell, void *arg)
{
	n->tell = tell;
	n->tell_arg = arg;
	n->told = sl_journal_names_known(n->names);
	tell(arg, n->told);
}

void
noted_names(
	const struct noted *n, void (*call)(void *arg, const char *text, uint32_t len), void *arg)
{
	for (uint64_t i = 1; i <= sl_journal_names_count(n->names); i++) {
		struct sl_journal_name name = sl_journal_names_at(n->names, i);

		call(arg, name.text, name.len);
	}
}

/* The journal's thread. */

void
noted_durable(struct noted *n, const struct sl_record *record)
{
	sl_journal_names_durable(n->names, record);
	n->has_durable = true;
}

void
noted_batch(struct noted *n)
{
	const uint64_t one = 1;
	ssize_t put;

	if (likely(!n->has_durable))
		return;
	n->has_durable = false;
	put = write(n->fd, &one, sizeof(one));
	RTE_SET_USED(put);
}
