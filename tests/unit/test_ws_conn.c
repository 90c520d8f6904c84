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
#include <cmocka.h>

#include <event2/buffer.h>

#include "ws_conn.h"

#define MESSAGE_MAX 1000

struct peer {
	struct ws_conn *conn;
	struct evbuffer *to;	/* What we send. */
	struct evbuffer *from;	/* What came back. */
	struct evbuffer *texts; /* Taken, each with a NUL behind it. */
	unsigned int refuse;	/* So many texts are not taken. */
};

static bool
on_text(void *arg, const char *text, size_t len)
{
	struct peer *peer = arg;

	if (peer->refuse > 0) {
		peer->refuse--;
		return false;
	}
	evbuffer_add(peer->texts, text, len);
	evbuffer_add(peer->texts, "", 1);
	return true;
}

static void
on_send(void *arg, const void *frames, size_t len)
{
	evbuffer_add(((struct peer *)arg)->from, frames, len);
}

static int
set_up(void **state)
{
	static const struct ws_conn_ops ops = {on_text, on_send};
	struct peer *peer = calloc(1, sizeof(*peer));

	peer->to = evbuffer_new();
	peer->from = evbuffer_new();
	peer->texts = evbuffer_new();
	peer->conn = ws_conn_new(&ops, peer, MESSAGE_MAX);
	*state = peer;
	return 0;
}

static int
tear_down(void **state)
{
	struct peer *peer = *state;

	ws_conn_free(peer->conn);
	evbuffer_free(peer->to);
	evbuffer_free(peer->from);
	evbuffer_free(peer->texts);
	free(peer);
	return 0;
}

/* A masked frame; at most 65535 bytes. */
static void
put(struct peer *peer, uint8_t first, const void *data, size_t len)
{
	static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
	uint8_t header[4] = {first, 0x80 | (len < 126 ? len : 126), len >> 8, len & 0xff};

	evbuffer_add(peer->to, header, len < 126 ? 2 : 4);
	evbuffer_add(peer->to, mask, 4);
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = ((const uint8_t *)data)[i] ^ mask[i % 4];

		evbuffer_add(peer->to, &byte, 1);
	}
}

static void
read_all(struct peer *peer)
{
	ws_conn_read(peer->conn, peer->to);
}

static void
assert_back(struct peer *peer, const void *frames, size_t len)
{
	assert_int_equal(evbuffer_get_length(peer->from), len);
	assert_memory_equal(evbuffer_pullup(peer->from, -1), frames, len);
	evbuffer_drain(peer->from, len);
}

static void
assert_texts(struct peer *peer, const void *texts, size_t len)
{
	assert_int_equal(evbuffer_get_length(peer->texts), len);
	assert_memory_equal(evbuffer_pullup(peer->texts, -1), texts, len);
	evbuffer_drain(peer->texts, len);
}

#define ASSERT_TEXTS(peer, literal) assert_texts(peer, literal, sizeof(literal))

static void
test_texts_come_whole_in_any_pieces(void **state)
{
	struct peer *peer = *state;
	uint8_t frames[64];
	ssize_t len;

	put(peer, 0x01, "He", 2);
	put(peer, 0x89, "?", 1); /* Pings may stand between fragments. */
	put(peer, 0x00, "", 0);
	put(peer, 0x80, "llo", 3);
	put(peer, 0x81, "", 0);
	len = evbuffer_remove(peer->to, frames, sizeof(frames));
	for (ssize_t i = 0; i < len; i++) {
		evbuffer_add(peer->to, frames + i, 1);
		read_all(peer);
	}
	ASSERT_TEXTS(peer, "Hello\0");
	assert_back(peer, "\x8a\x01?", 3);
	assert_int_equal(ws_conn_state(peer->conn), WS_OPEN);
}

static void
test_texts_not_taken_come_again_in_order_and_stop_the_reading(void **state)
{
	struct peer *peer = *state;
	char number[8];

	peer->refuse = 3;
	for (int i = 0; i < 2000; i++) {
		int len = snprintf(number, sizeof(number), "%d", i);

		put(peer, 0x81, number, (size_t)len);
	}
	read_all(peer);
	/* wslay reads ahead a bit; not all of it. */
	assert_in_range(evbuffer_get_length(peer->to), 10000, 20000);
	read_all(peer);
	read_all(peer);
	assert_int_equal(evbuffer_get_length(peer->texts), 0);
	read_all(peer);
	for (int i = 0; i < 2000; i++) {
		snprintf(number, sizeof(number), "%d", i);
		assert_memory_equal(evbuffer_pullup(peer->texts, -1), number, strlen(number) + 1);
		evbuffer_drain(peer->texts, strlen(number) + 1);
	}
	assert_int_equal(evbuffer_get_length(peer->texts), 0);
}

static void
test_a_message_is_bounded_whole_and_in_fragments(void **state)
{
	struct peer *peer = *state;
	static char text[MESSAGE_MAX + 2];

	memset(text, 'x', sizeof(text) - 1);
	put(peer, 0x81, text, MESSAGE_MAX);
	read_all(peer);
	assert_int_equal(evbuffer_get_length(peer->texts), MESSAGE_MAX + 1);
	put(peer, 0x01, text, MESSAGE_MAX);
	put(peer, 0x80, text, 1);
	read_all(peer);
	assert_int_equal(evbuffer_get_length(peer->texts), MESSAGE_MAX + 1);
	assert_memory_equal(evbuffer_pullup(peer->from, 4) + 2, "\x03\xf1", 2);
	assert_int_equal(ws_conn_state(peer->conn), WS_CLOSING);
	tear_down(state);
	set_up(state);
	peer = *state;
	put(peer, 0x81, text, MESSAGE_MAX + 1);
	read_all(peer);
	assert_memory_equal(evbuffer_pullup(peer->from, 4), "\x88\x02\x03\xf1", 4);
}

static void
test_fragments_cost_no_memory_but_their_bytes(void **state)
{
	struct peer *peer = *state;

	put(peer, 0x01, "a", 1);
	for (int i = 0; i < 100000; i++) {
		put(peer, 0x00, "", 0);
		if (i % 1000 == 0)
			read_all(peer);
	}
	put(peer, 0x80, "b", 1);
	read_all(peer);
	ASSERT_TEXTS(peer, "ab");
}

static void
test_who_breaks_the_protocol_is_told_the_code(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		uint16_t code;
	} cases[] = {
#define CASE(bytes, code) {bytes, sizeof(bytes) - 1, code}
		CASE("\x81\x01x", 1002),	/* Not masked. */
		CASE("\xc1\x80\0\0\0\0", 1002), /* Reserved bits */
		CASE("\x83\x80\0\0\0\0", 1002), /* and opcodes. */
		CASE("\x8b\x80\0\0\0\0", 1002),
		CASE("\x80\x80\0\0\0\0", 1002),			/* Continues nothing. */
		CASE("\x01\x80\0\0\0\0\x81\x80\0\0\0\0", 1002), /* Begins within another. */
		CASE("\x09\x80\0\0\0\0", 1002),			/* A ping in fragments, */
		CASE("\x89\xfe\0\x7e\0\0\0\0", 1002),		/* and a long one. */
		CASE("\x81\xfe\0\x01\0\0\0\0x", 1002),		/* Not the shortest length. */
		CASE("\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 1002),
		CASE("\x88\x81\0\0\0\0\x03", 1002),	    /* Half of a code, */
		CASE("\x88\x82\0\0\0\0\x03\xed", 1002),	    /* one that is never sent. */
		CASE("\x88\x83\0\0\0\0\x03\xe8\xff", 1007), /* A reason that is not UTF-8. */
		CASE("\x81\x81\0\0\0\0\xff", 1007),
		CASE("\x81\x82\0\0\0\0\xe2\x82", 1007), /* Ends within a character. */
		CASE("\x82\x81\0\0\0\0x", 1003),
		CASE("\x81\xff\0\0\0\0\0\x10\0\0\0\0\0\0x", 1009),
#undef CASE
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct peer *peer = *state;
		const uint8_t *back;

		evbuffer_add(peer->to, cases[i].bytes, cases[i].len);
		put(peer, 0x81, "not seen", 8);
		read_all(peer);
		back = evbuffer_pullup(peer->from, -1);
		if (back == NULL || back[0] != 0x88 || back[1] < 2 ||
			(back[2] << 8 | back[3]) != cases[i].code)
			fail_msg("case %zu", i);
		/* One frame, and nothing behind it. */
		assert_int_equal(evbuffer_get_length(peer->from), 2 + back[1]);
		assert_int_not_equal(ws_conn_state(peer->conn), WS_OPEN);
		assert_int_equal(evbuffer_get_length(peer->texts), 0);
		ws_conn_send_text(peer->conn, "x", 1);
		ws_conn_ping(peer->conn);
		ws_conn_close(peer->conn, 1000, "");
		assert_int_equal(evbuffer_get_length(peer->from), 2 + back[1]);
		tear_down(state);
		set_up(state);
	}
}

static void
test_a_close_is_answered_with_its_code(void **state)
{
	struct peer *peer = *state;

	put(peer, 0x81, "bye", 3);
	put(peer, 0x88, "\x0f\xa0why", 5);
	put(peer, 0x81, "not seen", 8);
	read_all(peer);
	ASSERT_TEXTS(peer, "bye");
	assert_back(peer, "\x88\x05\x0f\xa0why", 7);
	assert_int_equal(ws_conn_state(peer->conn), WS_DONE);
}

static void
test_our_close_waits_for_theirs(void **state)
{
	struct peer *peer = *state;

	ws_conn_close(peer->conn, 1001, "bye");
	assert_back(peer,
		"\x88\x05\x03\xe9"
		"bye",
		7);
	assert_int_equal(ws_conn_state(peer->conn), WS_CLOSING);
	put(peer, 0x81, "too late", 8);
	read_all(peer);
	assert_int_equal(ws_conn_state(peer->conn), WS_CLOSING);
	put(peer, 0x88, "\x03\xe9", 2);
	read_all(peer);
	assert_int_equal(ws_conn_state(peer->conn), WS_DONE);
	assert_int_equal(evbuffer_get_length(peer->from), 0);
	assert_int_equal(evbuffer_get_length(peer->texts), 0);
}

static void
test_pings_are_answered_and_pongs_are_not(void **state)
{
	struct peer *peer = *state;
	static uint8_t data[125];

	put(peer, 0x89, data, sizeof(data));
	put(peer, 0x8a, "unasked", 7);
	read_all(peer);
	assert_int_equal(evbuffer_get_length(peer->from), 2 + sizeof(data));
	evbuffer_drain(peer->from, 2 + sizeof(data));
	ws_conn_ping(peer->conn);
	assert_back(peer, "\x89\0", 2);
}

static void
test_a_frame_begins_with_the_shortest_length(void **state)
{
	static const size_t lens[] = {0, 125, 126, 65535, 65536};
	static const size_t headers[] = {2, 2, 4, 4, 10};
	uint8_t frame[10];

	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(ws_frame_header_len(lens[i]), headers[i]);
		assert_int_equal(ws_frame_begin(frame, lens[i]) - frame, headers[i]);
		assert_int_equal(frame[0], 0x81);
	}
	assert_memory_equal(frame, "\x81\x7f\0\0\0\0\0\x01\0\0", 10);
	ws_frame_begin(frame, 65535);
	assert_memory_equal(frame, "\x81\x7e\xff\xff", 4);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_texts_come_whole_in_any_pieces),
		TEST(test_texts_not_taken_come_again_in_order_and_stop_the_reading),
		TEST(test_a_message_is_bounded_whole_and_in_fragments),
		TEST(test_fragments_cost_no_memory_but_their_bytes),
		TEST(test_who_breaks_the_protocol_is_told_the_code),
		TEST(test_a_close_is_answered_with_its_code),
		TEST(test_our_close_waits_for_theirs),
		TEST(test_pings_are_answered_and_pongs_are_not),
		cmocka_unit_test(test_a_frame_begins_with_the_shortest_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
