/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "room_table.h"

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct room *)a)->topic, ((const struct room *)b)->topic);
}

#define SET(counter, value) __atomic_store_n(&(counter), (value), __ATOMIC_RELAXED)
#define GET(counter)	    __atomic_load_n(&(counter), __ATOMIC_RELAXED)

void
room_meter_add(struct room_meter *meter, uint64_t now_ms)
{
	uint64_t second = now_ms / 1000, gap = second - meter->second;
	uint32_t *count = &meter->counts[second % ROOM_METER_SLOTS];

	if (gap != 0) {
		for (uint64_t i = 0; i < gap && i < ROOM_METER_SLOTS; i++)
			SET(meter->counts[(second - i) % ROOM_METER_SLOTS], 0);
		SET(meter->second, second);
	}
	SET(*count, *count + 1);
	SET(meter->total, meter->total + 1);
}

uint64_t
room_meter_recent(const struct room_meter *meter, uint64_t now_ms)
{
	uint64_t now = now_ms / 1000, last = GET(meter->second), sum = 0;

	for (uint64_t second = now - ROOM_METER_S; second < now; second++) {
		if (second <= last && last - second < ROOM_METER_SLOTS)
			sum += GET(meter->counts[second % ROOM_METER_SLOTS]);
	}
	return sum;
}

int
room_table_init(struct room_table *table)
{
	int rc = -pthread_mutex_init(&table->lock, NULL);

	if (rc != 0)
		return rc;
	table->tree = NULL;
	table->nb_kept = 0;
	/* Memory is the kernel's until a user says something. */
	table->texts_of = calloc(ROOM_USER_MAX + 1, sizeof(*table->texts_of));
	table->names = calloc(ROOM_USER_MAX + 1, sizeof(*table->names));
	if (table->texts_of != NULL && table->names != NULL)
		return 0;
	room_table_fini(table);
	return -ENOMEM;
}

void
room_table_fini(struct room_table *table)
{
	tdestroy(table->tree, free);
	free(table->texts_of);
	free(table->names);
	pthread_mutex_destroy(&table->lock);
}

struct room *
room_enter(struct room_table *table, const char *topic, size_t topic_len, size_t prefix_len)
{
	struct room *room = calloc(1, sizeof(*room));
	struct room **found;

	if (room == NULL)
		return NULL;
	memcpy(room->topic, topic, topic_len);
	room->topic_len = (uint32_t)topic_len;
	room->id = room->topic + prefix_len;
	LIST_INIT(&room->members);
	pthread_mutex_lock(&table->lock);
	found = tsearch(room, &table->tree, compare);
	if (found != NULL && (*found)->nb_clients++ == 0 && (*found)->was_joined)
		table->nb_kept--;
	pthread_mutex_unlock(&table->lock);
	if (found == NULL || *found != room)
		free(room);
	return found == NULL ? NULL : *found;
}

void
room_exit(struct room_table *table, struct room *room)
{
	bool is_empty = false;

	pthread_mutex_lock(&table->lock);
	if (--room->nb_clients == 0) {
		is_empty = !room->was_joined || table->nb_kept == ROOMS_KEPT;
		table->nb_kept += !is_empty;
	}
	if (is_empty)
		tdelete(room, &table->tree, compare);
	pthread_mutex_unlock(&table->lock);
	if (is_empty)
		free(room);
}

void
room_join(struct room_table *table, struct room *room, struct room_member *member,
	const struct room_message *message)
{
	pthread_mutex_lock(&table->lock);
	member->user = message->user;
	memcpy(member->username, message->username, message->username_len);
	member->username[message->username_len] = '\0';
	memcpy(table->names[message->user], member->username, sizeof(member->username));
	LIST_INSERT_HEAD(&room->members, member, next);
	room->nb_members++;
	room->was_joined = true;
	pthread_mutex_unlock(&table->lock);
}

void
room_leave(struct room_table *table, struct room *room, struct room_member *member)
{
	pthread_mutex_lock(&table->lock);
	LIST_REMOVE(member, next);
	room->nb_members--;
	pthread_mutex_unlock(&table->lock);
}

void
room_said(struct room_table *table, struct room *room, uint32_t user, uint64_t now_ms)
{
	room_meter_add(&room->texts, now_ms);
	SET(table->texts_of[user], table->texts_of[user] + 1);
}
