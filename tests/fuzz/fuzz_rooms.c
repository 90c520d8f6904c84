/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
/*
 * Whatever a client of the rooms sends, in whatever pieces: it is answered in whole frames, a text
 * it is taken for is UTF-8, and what members would be told of it is JSON, by another library's
 * word; and that all is the same whatever the pieces. The first byte chooses their size and how
 * often a text is not taken at first.
 * When the rest does not begin with "G" it is frames, else an HTTP request and frames.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <jansson.h>

#include "room_message.h"
#include "sl_json.h"
#include "ws_conn.h"
#include "ws_handshake.h"

#define MESSAGE_MAX 2000

static unsigned int countdown, patience;
static bool is_closed;	/* The last frame that went out closes. */
static uint64_t digest; /* Of what was taken, and of what went out. */

static void
add_to_digest(uint8_t kind, const void *data, size_t len)
{
	const uint8_t *p = data;

	digest = (digest ^ kind) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < len; i++)
		digest = (digest ^ p[i]) * UINT64_C(0x100000001b3);
}

static void
check_message(const char *text, size_t len)
{
	static const struct room_broadcast broadcast = {
		.room = "1", .room_len = 1, .timestamp_ns = UINT64_C(1795262400123456789)};
	char payload[ROOM_PAYLOAD_MAX], *told;
	struct room_message message;
	size_t payload_len = len, told_len;
	const char *why = room_message_parse(text, len, &message);
	json_t *json;

	/* What is no message may be a payload that another gateway published. */
	if (why == NULL) {
		payload_len = room_message_write(&message, payload);
		text = payload;
	}
	told = malloc(payload_len + broadcast.room_len + ROOM_BROADCAST_MORE);
	if (told == NULL)
		abort();
	told_len = room_broadcast_write(&broadcast, text, payload_len, told);
	if (why == NULL && told_len == 0)
		abort();
	if (why == NULL) {
		json = json_loadb(told, told_len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
		if (json == NULL || json_object_size(json) != 9)
			abort();
		json_decref(json);
	}
	free(told);
}

static bool
on_text(void *arg, const char *text, size_t len)
{
	(void)arg;
	if (is_closed || len > MESSAGE_MAX || !sl_json_is_utf8(text, len))
		abort();
	if (countdown > 0 && --countdown == 0) {
		countdown = patience;
		return false;
	}
	add_to_digest(0, text, len);
	check_message(text, len);
	return true;
}

/* Whole frames: short, final, not masked; and nothing behind a close. */
static void
on_send(void *arg, const void *frames, size_t len)
{
	const uint8_t *at = frames, *end = at + len;

	(void)arg;
	while (at < end) {
		if (is_closed || end - at < 2 || at[1] > 125 || end - at - 2 < at[1] ||
			(at[0] != 0x81 && at[0] != 0x88 && at[0] != 0x8a))
			abort();
		is_closed = at[0] == 0x88;
		add_to_digest(1, at, 2u + at[1]);
		at += 2 + at[1];
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint64_t
feed(const uint8_t *data, size_t len, size_t piece)
{
	static const struct ws_conn_ops ops = {on_text, on_send};
	struct ws_conn *conn = ws_conn_new(&ops, NULL, MESSAGE_MAX);
	struct evbuffer *input = evbuffer_new();

	if (conn == NULL || input == NULL)
		abort();
	is_closed = false;
	digest = 0;
	countdown = patience;
	for (size_t at = 0; at < len; at += piece) {
		evbuffer_add(input, data + at, len - at < piece ? len - at : piece);
		ws_conn_read(conn, input);
	}
	for (int i = 0; i < 1000 && evbuffer_get_length(input) > 0; i++)
		ws_conn_read(conn, input);
	if (ws_conn_state(conn) == WS_OPEN)
		ws_conn_send_text(conn, "x", 1);
	ws_conn_close(conn, 1001, "");
	if (!is_closed)
		abort();
	evbuffer_free(input);
	ws_conn_free(conn);
	return digest;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char answer[WS_ANSWER_MAX];
	struct http_request request;
	ssize_t used = 0;
	size_t piece;
	char *copy;

	if (len < 2)
		return 0;
	piece = data[0] % 32 == 0 ? 65536 : data[0] % 32;
	patience = data[0] >> 5;
	data++;
	len--;
	if (data[0] == 'G') {
		/* A copy of its own, so that reading behind it is seen. */
		copy = malloc(len);
		if (copy == NULL)
			abort();
		memcpy(copy, data, len);
		used = ws_request_parse(copy, len, &request);
		if (used > (ssize_t)len || (used < 0) != (request.status != 0))
			abort();
		if (used > 0 && ws_answer_accept(&request, answer) > sizeof(answer))
			abort();
		if (used < 0 &&
			ws_answer_refuse(request.status, request.why, answer) > sizeof(answer))
			abort();
		free(copy);
		if (used <= 0)
			return 0;
	}
	/* Whole texts take a way of their own: in pieces of a byte there are none. */
	if (feed(data + used, len - (size_t)used, piece) !=
		feed(data + used, len - (size_t)used, 1))
		abort();
	return 0;
}
