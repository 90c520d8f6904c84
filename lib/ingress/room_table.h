/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef ROOM_TABLE_H
#define ROOM_TABLE_H

/**
 * @file
 * The rooms of one listener on one thread, who is present in them, and what they have said.
 *
 * The gateway thread changes it; who shows it reads it on another. For who comes and goes a lock is
 * taken by both; for a message none is, its counters are read as they are.
 */

#include <pthread.h>
#include <stdint.h>
#include <sys/queue.h>

#include <jansson.h>

#include "room_message.h"
#include "sl_config.h"

/* How many, in all and a second: of the last whole seconds. */
#define ROOM_METER_SLOTS 8u /* A power of two, */
#define ROOM_METER_S	 5u /* and those of them that are looked at. */

struct room_meter {
	uint64_t total;
	uint64_t second; /* The last one with something in it. */
	uint32_t counts[ROOM_METER_SLOTS];
};

/** @param now_ms  monotonic */
void room_meter_add(struct room_meter *meter, uint64_t now_ms);
/** @return of ROOM_METER_S seconds together; any thread's */
uint64_t room_meter_recent(const struct room_meter *meter, uint64_t now_ms);

/* Who is present; lies in the state of its client. */
struct room_member {
	LIST_ENTRY(room_member) next;
	uint32_t user;
	char username[ROOM_USERNAME_MAX + 1];
};

struct room {
	char topic[SL_CONFIG_NAME_MAX + 1];
	uint32_t topic_len;
	const char *id; /* The end of the topic's name. */
	uint32_t nb_clients;
	uint32_t nb_members;
	bool was_joined; /* It is kept, for its counters. */
	LIST_HEAD(, room_member) members;
	struct room_meter texts; /* Said here. */
	struct room_meter sent;	 /* Of all kinds, to members here; */
	uint64_t nb_dropped;	 /* and not sent, because one does not read. */
};

/* Rooms that were joined, and are empty: so many keep their counters. */
#define ROOMS_KEPT 4096u

struct room_table {
	pthread_mutex_t lock;
	void *tree; /* Of struct room, for tsearch(3). */
	uint32_t nb_kept;
	uint64_t *texts_of;		      /* By user, */
	char (*names)[ROOM_USERNAME_MAX + 1]; /* and what it called itself last. */
};

/* 0 or -errno */
int room_table_init(struct room_table *table);
/* All clients have gone. */
void room_table_fini(struct room_table *table);

/* A client comes to the room of a topic; @p prefix_len bytes of its name are no part of the room's.
 * @return NULL: no memory */
struct room *
room_enter(struct room_table *table, const char *topic, size_t topic_len, size_t prefix_len);
/* It goes: with the last of them a room that nobody ever joined, or when enough are kept. */
void room_exit(struct room_table *table, struct room *room);

void room_join(struct room_table *table, struct room *room, struct room_member *member,
	const struct room_message *message);
void room_leave(struct room_table *table, struct room *room, struct room_member *member);

/* Count a TEXT that was taken. */
void room_said(struct room_table *table, struct room *room, uint32_t user, uint64_t now_ms);

/* What is asked of rooms, of several tables as of one; any thread's. "room_clients", "members",
 * "rooms": ROOMS_SHOWN of them, those with the most texts, with USERS_SHOWN of their members; and
 * "top_users": those with the most texts. What there is no memory for is left out. */
#define ROOMS_SHOWN	256
#define USERS_SHOWN	32
#define TOP_USERS_SHOWN 10
void room_tables_show(const struct room_table *const *tables, uint32_t nb, json_t *object);

#endif /* ROOM_TABLE_H */
