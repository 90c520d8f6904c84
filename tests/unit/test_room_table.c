/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "room_table.h"

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct room_message
joining(uint32_t user, const char *name)
{
	struct room_message message = {.type = ROOM_JOIN, .user = user};

	message.username_len = (uint32_t)strlen(name);
	memcpy(message.username, name, message.username_len);
	return message;
}

static void
a_meter_counts_the_last_whole_seconds(void **state)
{
	struct room_meter meter = {0};

	(void)state;
	for (uint64_t ms = 100000; ms < 110000; ms += 10)
		room_meter_add(&meter, ms);
	assert_int_equal(meter.total, 1000);
	/* The second that is not over does not count, */
	assert_int_equal(room_meter_recent(&meter, 109999), 500);
	assert_int_equal(room_meter_recent(&meter, 110000), 500);
	assert_int_equal(room_meter_recent(&meter, 112000), 300);
	/* and after five there is nothing left, whatever lies in the slots. */
	assert_int_equal(room_meter_recent(&meter, 115000), 0);
	assert_int_equal(room_meter_recent(&meter, 1000000), 0);
	room_meter_add(&meter, 113000);
	assert_int_equal(room_meter_recent(&meter, 114000), 101);
	room_meter_add(&meter, 500000);
	assert_int_equal(room_meter_recent(&meter, 501000), 1);
}

static void
a_room_is_kept_when_somebody_has_joined_it(void **state)
{
	struct room_message message = joining(7, "Ann");
	struct room_member member = {0};
	struct room_table table;
	struct room *room;

	(void)state;
	assert_int_equal(room_table_init(&table), 0);
	room = room_enter(&table, "room-1", 6, 5);
	assert_string_equal(room->id, "1");
	assert_ptr_equal(room_enter(&table, "room-1", 6, 5), room);
	room_exit(&table, room);
	room_exit(&table, room);
	assert_null(table.tree);
	room = room_enter(&table, "room-1", 6, 5);
	room_join(&table, room, &member, &message);
	room_leave(&table, room, &member);
	room_exit(&table, room);
	assert_ptr_equal(room_enter(&table, "room-1", 6, 5), room);
	room_table_fini(&table);
}

static const char *
text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static json_int_t
number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static void
tables_of_all_threads_are_shown_as_one(void **state)
{
	struct room_message ann = joining(7, "Ann"), bob = joining(100000, "Bob");
	struct room_member members[3] = {0};
	struct room_table tables[2];
	const struct room_table *shown[] = {&tables[0], &tables[1]};
	json_t *object = json_object(), *room, *users;
	struct room *rooms[3];

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(room_table_init(&tables[i]), 0);
		rooms[i] = room_enter(&tables[i], "room-1", 6, 5);
		room_join(&tables[i], rooms[i], &members[i], i == 0 ? &ann : &bob);
	}
	rooms[2] = room_enter(&tables[1], "room-2", 6, 5);
	room_join(&tables[1], rooms[2], &members[2], &bob);
	for (int i = 0; i < 30; i++) {
		room_said(&tables[0], rooms[0], 7, now_ms());
		room_said(&tables[1], rooms[i % 3 == 0 ? 1 : 2], 100000, now_ms());
		room_said(&tables[1], rooms[2], 100000, now_ms());
	}
	room_tables_show(shown, 2, object);
	assert_int_equal(number_of(object, "members"), 3);
	assert_int_equal(number_of(object, "room_clients"), 3);
	assert_int_equal(json_array_size(json_object_get(object, "rooms")), 2);
	room = json_array_get(json_object_get(object, "rooms"), 0);
	assert_string_equal(text_of(room, "room"), "2");
	assert_int_equal(number_of(room, "texts"), 50);
	room = json_array_get(json_object_get(object, "rooms"), 1);
	assert_int_equal(number_of(room, "texts"), 40);
	assert_int_equal(json_array_size(json_object_get(room, "users")), 2);
	users = json_object_get(object, "top_users");
	assert_int_equal(json_array_size(users), 2);
	assert_string_equal(text_of(json_array_get(users, 0), "userId"), "100000");
	assert_string_equal(text_of(json_array_get(users, 0), "username"), "Bob");
	assert_int_equal(number_of(json_array_get(users, 1), "texts"), 30);
	json_decref(object);
	for (int i = 0; i < 2; i++)
		room_table_fini(&tables[i]);
}

static void
the_top_are_those_with_the_most_texts(void **state)
{
	struct room_table table;
	const struct room_table *shown = &table;
	json_t *object = json_object(), *users;
	struct room *room;
	char user[16];

	(void)state;
	assert_int_equal(room_table_init(&table), 0);
	room = room_enter(&table, "room-1", 6, 5);
	for (uint32_t i = 1; i <= 50; i++) {
		/* 1 to 50 in an order that is not theirs. */
		for (uint32_t n = 0; n < i * 17 % 53; n++)
			room_said(&table, room, i, now_ms());
	}
	room_tables_show(&shown, 1, object);
	users = json_object_get(object, "top_users");
	assert_int_equal(json_array_size(users), TOP_USERS_SHOWN);
	for (uint32_t rank = 0, texts = 52; rank < TOP_USERS_SHOWN; texts--) {
		uint32_t i = 1;

		while (i * 17 % 53 != texts)
			i++;
		if (i > 50)
			continue;
		snprintf(user, sizeof(user), "%u", i);
		assert_string_equal(text_of(json_array_get(users, rank), "userId"), user);
		assert_int_equal(number_of(json_array_get(users, rank++), "texts"), texts);
	}
	json_decref(object);
	room_exit(&table, room);
	room_table_fini(&table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_meter_counts_the_last_whole_seconds),
		cmocka_unit_test(a_room_is_kept_when_somebody_has_joined_it),
		cmocka_unit_test(tables_of_all_threads_are_shown_as_one),
		cmocka_unit_test(the_top_are_those_with_the_most_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
