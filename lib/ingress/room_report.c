/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "room_table.h"

/* What is shown of rooms, on the thread of who asks. */

#define GET(counter) __atomic_load_n(&(counter), __ATOMIC_RELAXED)

struct row {
	char topic[SL_CONFIG_NAME_MAX + 1];
	size_t id_at; /* In it. */
	uint32_t nb_clients;
	uint32_t nb_members;
	uint64_t nb_texts, nb_sent, nb_dropped;
	uint64_t texts_recent, sent_recent; /* In ROOM_METER_S seconds. */
	json_t *users;			    /* Some of who is present. */
};

struct report {
	uint64_t now_ms;
	struct row *rows;
	size_t nb_rows;
	uint64_t nb_clients, nb_members;
};

/* Reading changes nothing but the lock. */
static pthread_mutex_t *
lock_of(const struct room_table *table)
{
	return (pthread_mutex_t *)(uintptr_t)&table->lock;
}

static json_t *
show_user(uint32_t user, const char *name)
{
	char id[16];

	snprintf(id, sizeof(id), "%u", user);
	return json_pack("{s:s, s:s}", "userId", id, "username", name);
}

static int
by_topic(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->topic, ((const struct row *)b)->topic);
}

/* Those of the tables before are in order. */
static struct row *
get_row(struct report *report, size_t nb_before, const struct room *room)
{
	struct row key, *rows;

	memcpy(key.topic, room->topic, sizeof(key.topic));
	rows = nb_before == 0 ? NULL
			      : bsearch(&key, report->rows, nb_before, sizeof(key), by_topic);
	if (rows != NULL)
		return rows;
	/* Whenever there are 2^n of them. */
	if ((report->nb_rows & (report->nb_rows - 1)) == 0) {
		rows = realloc(report->rows, (2 * report->nb_rows + 1) * sizeof(*rows));
		if (rows == NULL)
			return NULL;
		report->rows = rows;
	}
	rows = &report->rows[report->nb_rows++];
	*rows = (struct row){.users = json_array()};
	memcpy(rows->topic, key.topic, sizeof(key.topic));
	rows->id_at = (size_t)(room->id - room->topic);
	return rows;
}

struct adding {
	struct report *report;
	size_t nb_before;
};

static void
add_room(const void *node, VISIT visit, void *arg)
{
	const struct room *room = *(const struct room *const *)node;
	struct adding *adding = arg;
	const struct room_member *member;
	struct row *row;

	if (visit != postorder && visit != leaf)
		return;
	adding->report->nb_clients += room->nb_clients;
	adding->report->nb_members += room->nb_members;
	row = get_row(adding->report, adding->nb_before, room);
	if (row == NULL)
		return;
	row->nb_clients += room->nb_clients;
	row->nb_members += room->nb_members;
	row->nb_texts += GET(room->texts.total);
	row->nb_sent += GET(room->sent.total);
	row->nb_dropped += GET(room->nb_dropped);
	row->texts_recent += room_meter_recent(&room->texts, adding->report->now_ms);
	row->sent_recent += room_meter_recent(&room->sent, adding->report->now_ms);
	LIST_FOREACH(member, &room->members, next)
	{
		if (json_array_size(row->users) >= USERS_SHOWN)
			break;
		json_array_append_new(row->users, show_user(member->user, member->username));
	}
}

static void
add_table(struct report *report, const struct room_table *table)
{
	struct adding adding = {.report = report, .nb_before = report->nb_rows};

	pthread_mutex_lock(lock_of(table));
	twalk_r(table->tree, add_room, &adding);
	pthread_mutex_unlock(lock_of(table));
	if (report->nb_rows > 0)
		qsort(report->rows, report->nb_rows, sizeof(report->rows[0]), by_topic);
}

static int
by_texts(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->nb_texts != y->nb_texts)
		return x->nb_texts > y->nb_texts ? -1 : 1;
	return strcmp(x->topic, y->topic);
}

static json_t *
number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *
show_room(const struct row *row)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:f, s:f, s:O}", "room",
		row->topic + row->id_at, "topic", row->topic, "clients", number(row->nb_clients),
		"members", number(row->nb_members), "texts", number(row->nb_texts), "sent",
		number(row->nb_sent), "dropped", number(row->nb_dropped), "texts_per_s",
		(double)row->texts_recent / ROOM_METER_S, "sent_per_s",
		(double)row->sent_recent / ROOM_METER_S, "users", row->users);
}

static uint64_t
texts_of(const struct room_table *const *tables, uint32_t nb, uint32_t user)
{
	uint64_t texts = 0;

	for (uint32_t i = 0; i < nb; i++)
		texts += GET(tables[i]->texts_of[user]);
	return texts;
}

static json_t *
show_top_user(const struct room_table *const *tables, uint32_t nb, uint32_t user, uint64_t texts)
{
	char name[ROOM_USERNAME_MAX + 1] = "";
	json_t *object;

	for (uint32_t i = 0; i < nb && name[0] == '\0'; i++) {
		pthread_mutex_lock(lock_of(tables[i]));
		memcpy(name, tables[i]->names[user], sizeof(name));
		pthread_mutex_unlock(lock_of(tables[i]));
	}
	object = show_user(user, name);
	json_object_set_new(object, "texts", number(texts));
	return object;
}

static json_t *
show_top_users(const struct room_table *const *tables, uint32_t nb)
{
	struct {
		uint32_t user;
		uint64_t texts;
	} top[TOP_USERS_SHOWN];
	json_t *users = json_array();
	uint32_t n = 0, at;
	uint64_t texts;

	for (uint32_t user = 1; user <= ROOM_USER_MAX; user++) {
		texts = texts_of(tables, nb, user);
		if (texts == 0 || (n == TOP_USERS_SHOWN && texts <= top[n - 1].texts))
			continue;
		at = n < TOP_USERS_SHOWN ? n++ : n - 1;
		for (; at > 0 && texts > top[at - 1].texts; at--)
			top[at] = top[at - 1];
		top[at].user = user;
		top[at].texts = texts;
	}
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(users, show_top_user(tables, nb, top[i].user, top[i].texts));
	return users;
}

void
room_tables_show(const struct room_table *const *tables, uint32_t nb, json_t *object)
{
	struct report report = {.now_ms = gw_now_ms()};
	json_t *rooms = json_array();

	for (uint32_t i = 0; i < nb; i++)
		add_table(&report, tables[i]);
	if (report.nb_rows > 0)
		qsort(report.rows, report.nb_rows, sizeof(report.rows[0]), by_texts);
	for (size_t i = 0; i < report.nb_rows; i++) {
		if (i < ROOMS_SHOWN)
			json_array_append_new(rooms, show_room(&report.rows[i]));
		json_decref(report.rows[i].users);
	}
	free(report.rows);
	json_object_set_new(object, "room_clients", number(report.nb_clients));
	json_object_set_new(object, "members", number(report.nb_members));
	json_object_set_new(object, "rooms", rooms);
	json_object_set_new(object, "top_users", show_top_users(tables, nb));
}
