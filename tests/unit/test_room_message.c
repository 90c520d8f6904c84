/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include <jansson.h>

#include "room_message.h"

#define USER "\"userId\":\"42\""
#define NAME "\"username\":\"Ann42\""
#define TEXT "\"message\":\"Hi\""
#define TIME "\"timestamp\":\"2026-11-21T12:00:00.123Z\""
#define TYPE "\"messageType\":\"TEXT\""
#define GOOD "{" USER "," NAME "," TEXT "," TIME "," TYPE "}"

static struct room_message message;

/* In a copy, so that reading behind it is seen. */
static const char *
parse(const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(len == 0 ? 1 : len);
	const char *why;

	assert_non_null(copy);
	memcpy(copy, text, len);
	why = room_message_parse(copy, len, &message);
	free(copy);
	return why;
}

static void
assert_good(const char *text)
{
	const char *why = parse(text);

	if (why != NULL)
		fail_msg("%s: %s", text, why);
}

static void
assert_bad(const char *text, const char *field)
{
	const char *why = parse(text);

	if (why == NULL || strncmp(why, field, strlen(field)) != 0)
		fail_msg("%s: %s", text, why == NULL ? "taken" : why);
}

static void
test_a_message_is_read_and_written_again(void **state)
{
	char payload[ROOM_PAYLOAD_MAX];
	size_t len;

	(void)state;
	assert_good(GOOD);
	assert_int_equal(message.user, 42);
	assert_int_equal(message.type, ROOM_TEXT);
	len = room_message_write(&message, payload);
	assert_int_equal(len, strlen(GOOD));
	assert_memory_equal(payload, GOOD, len);
	/* In any order, with white space, escapes, and what we do not know left out. */
	assert_good(" {\n\"status\" : \"ERROR\", \"x\" : [{}]," TYPE "," TIME
		    ",\"\\u0075serId\":\"\\u00342\"," TEXT " ,\"username\":\"Ann\\u00342\"}\t");
	assert_int_equal(room_message_write(&message, payload), len);
	assert_memory_equal(payload, GOOD, len);
}

static void
test_a_reason_names_the_field(void **state)
{
	(void)state;
	assert_bad("", "a message is a JSON object");
	assert_bad("[]", "a message is a JSON object");
	assert_bad("{", "a message is a JSON object");
	assert_bad(GOOD "x", "a message is a JSON object");
	assert_bad("{\"userId\":\"\xff\"}", "a message is a JSON object");
	assert_bad("{" NAME "," TEXT "," TIME "," TYPE "}", "userId: is missing");
	assert_bad("{" USER "," TEXT "," TIME "," TYPE "}", "username: is missing");
	assert_bad("{" USER "," NAME "," TIME "," TYPE "}", "message: is missing");
	assert_bad("{" USER "," NAME "," TEXT "," TYPE "}", "timestamp: is missing");
	assert_bad("{" USER "," NAME "," TEXT "," TIME "}", "messageType: is missing");
	assert_bad("{" USER "," USER "," NAME "," TEXT "," TIME "," TYPE "}", "userId: is given");
	assert_bad("{\"userId\":42," NAME "," TEXT "," TIME "," TYPE "}", "userId: is not a str");
	assert_bad("{" USER "," NAME "," TEXT "," TIME ",\"messageType\":\"text\"}", "messageType");
}

/* One field with a value in its place, by the other ones' good values. */
static const char *
with(const char *field, const char *value)
{
	static const char *const names[] = {
		"userId", "username", "message", "timestamp", "messageType"};
	static const char *const values[] = {"42", "Ann42", "Hi", "2026-11-21T12:00:00Z", "TEXT"};
	static char text[40000];
	size_t len = 0;

	for (unsigned int i = 0; i < 5; i++)
		len += (size_t)sprintf(text + len, "%c\"%s\":\"%s\"", i == 0 ? '{' : ',', names[i],
			strcmp(names[i], field) == 0 ? value : values[i]);
	strcpy(text + len, "}");
	return text;
}

static void
test_values_have_bounds(void **state)
{
	static const char *const good[][2] = {{"userId", "1"}, {"userId", "100000"},
		{"username", "abc"}, {"username", "abcdefghijABCDEFGHIJ"}, {"message", "x"},
		{"message", " "}, {"message", "\xf0\x9f\x8e\x89"},
		{"message", "\\ud83c\\udf89\\\"\\n"}, {"messageType", "JOIN"},
		{"messageType", "LEAVE"}};
	static const char *const bad[][2] = {{"userId", "0"}, {"userId", "100001"}, {"userId", ""},
		{"userId", "007"}, {"userId", "-1"}, {"userId", "1.5"}, {"userId", " 1"},
		{"userId", "1\\u0000"}, {"userId", "99999999999999999999"}, {"username", "ab"},
		{"username", "abcdefghijABCDEFGHIJk"}, {"username", "a b"}, {"username", "ann_1"},
		{"username", "\xc3\xa4\xc3\xb6\xc3\xbc"}, {"message", ""}, {"message", "\\u0000"},
		{"messageType", "PING"}, {"messageType", ""}};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_good(with(good[i][0], good[i][1]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_bad(with(bad[i][0], bad[i][1]), bad[i][0]);
}

static void
test_a_message_is_counted_in_characters(void **state)
{
	static const struct {
		const char *character; /* As it stands in the text. */
		size_t written;	       /* Bytes it becomes. */
	} cases[] = {{"x", 1}, {"\xc3\xa9", 2}, {"\xe2\x82\xac", 3}, {"\xf0\x9f\x98\x80", 4},
		{"\\u20ac", 3}, {"\\ud83d\\ude00", 4}, {"\\u0001", 6}, {"\\n", 2}};
	char text[501 * 12 + 1], payload[ROOM_PAYLOAD_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].character);

		for (size_t n = 0; n < 501; n++)
			memcpy(text + n * len, cases[i].character, len);
		text[500 * len] = '\0';
		assert_good(with("message", text));
		assert_int_equal(message.text_len, 500 * cases[i].written);
		assert_true(room_message_write(&message, payload) <= sizeof(payload));
		memcpy(text + 500 * len, cases[i].character, len);
		text[501 * len] = '\0';
		assert_bad(with("message", text), "message");
	}
}

static void
test_timestamps_are_iso_8601(void **state)
{
	static const char *const good[] = {"2026-11-21T12:00Z", "2026-11-21T12:00:00",
		"2026-11-21T12:00:00Z", "2026-11-21T12:00:00.1Z", "2026-11-21T12:00:00,123456789Z",
		"2026-11-21T12:00:00+01:00", "2026-11-21T12:00:00-0330", "2026-11-21T12:00:00+14",
		"2024-02-29T23:59:60Z", "2000-02-29T00:00:00Z", "0000-01-01T00:00:00Z"};
	static const char *const bad[] = {"", "2026-11-21", "12:00:00", "2026-11-21 12:00:00",
		"2026-11-21t12:00:00z", "2026-13-01T12:00:00Z", "2026-00-01T12:00:00Z",
		"2026-11-31T12:00:00Z", "2026-02-29T12:00:00Z", "1900-02-29T12:00:00Z",
		"2026-11-21T24:00:00Z", "2026-11-21T12:60:00Z", "2026-11-21T12:00:61Z",
		"2026-11-21T12:00:00.Z", "2026-11-21T12:00:00ZZ", "2026-11-21T12:00:00+25:00",
		"2026-11-21T12:00:00+1", "2026-11-21T12:00:00Z ", "1763726400",
		"2026-11-21T12:00:00.12345678901234567890123Z"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_good(with("timestamp", good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_bad(with("timestamp", bad[i]), "timestamp");
}

static void
test_members_see_the_fields_and_ours(void **state)
{
	const struct room_broadcast broadcast = {.room = "lobby",
		.room_len = 5,
		.id_high = 0x0123456789abcdef,
		.id_low = 0x1f,
		.timestamp_ns = UINT64_C(1795262400123456789)};
	char text[1024];
	size_t len = room_broadcast_write(&broadcast, GOOD, strlen(GOOD), text);
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	(void)state;
	assert_non_null(json);
	assert_int_equal(json_object_size(json), 9);
	assert_string_equal(json_string_value(json_object_get(json, "message")), "Hi");
	assert_string_equal(json_string_value(json_object_get(json, "roomId")), "lobby");
	assert_string_equal(json_string_value(json_object_get(json, "messageId")),
		"0123456789abcdef000000000000001f");
	assert_string_equal(json_string_value(json_object_get(json, "serverTimestamp")),
		"2026-11-21T12:00:00.123Z");
	assert_string_equal(json_string_value(json_object_get(json, "status")), "OK");
	json_decref(json);

	/* What others publish to the topic: objects are completed, the rest is not sent. */
	len = room_broadcast_write(&broadcast, " {} ", 4, text);
	json = json_loadb(text, len, 0, NULL);
	assert_int_equal(json_object_size(json), 4);
	json_decref(json);
	assert_int_equal(room_broadcast_write(&broadcast, "[]", 2, text), 0);
	assert_int_equal(room_broadcast_write(&broadcast, "{\"a\":\"\xff\"}", 9, text), 0);
	assert_int_equal(room_broadcast_write(&broadcast, "", 0, text), 0);
}

static void
test_any_day_is_written_as_the_library_writes_it(void **state)
{
	struct room_broadcast broadcast = {.room = "1", .room_len = 1};
	char text[256], expected[64];
	struct tm tm;

	(void)state;
	/* Every tenth day, at another time of it, to 2150. */
	for (time_t at = 0; at < INT64_C(5680281600); at += 10 * 86400 + 7919) {
		broadcast.timestamp_ns = (uint64_t)at * 1000000000 + 999999999;
		text[room_broadcast_write(&broadcast, "{}", 2, text)] = '\0';
		strftime(expected, sizeof(expected), "\"%Y-%m-%dT%H:%M:%S.999Z\"",
			gmtime_r(&at, &tm));
		assert_non_null(strstr(text, expected));
	}
}

static void
test_the_longest_broadcast_has_room(void **state)
{
	struct room_broadcast broadcast = {.room = "1",
		.room_len = 1,
		.id_high = UINT64_MAX,
		.id_low = UINT64_MAX,
		.timestamp_ns = UINT64_C(1795262400123456789)};
	char text[2 + 1 + ROOM_BROADCAST_MORE];

	(void)state;
	assert_in_range(room_broadcast_write(&broadcast, "{}", 2, text), 1, sizeof(text));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_is_read_and_written_again),
		cmocka_unit_test(test_a_reason_names_the_field),
		cmocka_unit_test(test_values_have_bounds),
		cmocka_unit_test(test_a_message_is_counted_in_characters),
		cmocka_unit_test(test_timestamps_are_iso_8601),
		cmocka_unit_test(test_members_see_the_fields_and_ours),
		cmocka_unit_test(test_any_day_is_written_as_the_library_writes_it),
		cmocka_unit_test(test_the_longest_broadcast_has_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
