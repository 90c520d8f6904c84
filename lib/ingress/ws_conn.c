/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>

#include "sl_json.h"
#include "ws_conn.h"

/* wslay is given so much before what it has to say is sent: what a flood of pings can make it hold
 * is bounded by this. */
#define READ_MAX 16384

/* The buffer a message is put together in is kept, unless it was a long one. */
#define KEPT_MAX 4096

#define HEADER_MAX 14

/* wslay counts what is in control frames, too. */
#define CONTROL_MAX 125

/* A text that was not taken. */
struct held {
	STAILQ_ENTRY(held) next;
	size_t len;
	char text[];
};

struct ws_conn {
	wslay_event_context_ptr wslay;
	const struct ws_conn_ops *ops;
	void *arg;
	size_t message_max;
	struct evbuffer *input;	 /* While it reads. */
	struct evbuffer *output; /* Frames of one call. */
	STAILQ_HEAD(, held) held;
	uint64_t frame_left; /* Of a frame that wslay has begun. */
	size_t budget;	     /* Bytes wslay may have now. */
	bool is_control;     /* The frame that comes. */
	bool is_in_message;  /* More of its fragments come. */
	bool is_closing;
	bool is_failed;
	/* The message that comes. wslay would keep each fragment in a block of its own. */
	char *text;
	size_t text_len, text_size;
};

static void
fail(struct ws_conn *conn, uint16_t code)
{
	const uint8_t frame[] = {
		0x80 | WSLAY_CONNECTION_CLOSE, 2, (uint8_t)(code >> 8), (uint8_t)code};

	if (!conn->is_failed && !wslay_event_get_close_sent(conn->wslay))
		conn->ops->send(conn->arg, frame, sizeof(frame));
	conn->is_closing = true;
	conn->is_failed = true;
	wslay_event_shutdown_read(conn->wslay);
	wslay_event_shutdown_write(conn->wslay);
}

static ssize_t
on_recv(wslay_event_context_ptr wslay, uint8_t *buf, size_t len, int flags, void *arg)
{
	struct ws_conn *conn = arg;
	int n;

	(void)flags;
	if (len > conn->budget)
		len = conn->budget;
	if (!STAILQ_EMPTY(&conn->held))
		len = 0;
	n = len == 0 ? 0 : evbuffer_remove(conn->input, buf, len);
	if (n > 0) {
		conn->budget -= (size_t)n;
		conn->frame_left -= (uint64_t)n;
		return n;
	}
	wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
	return -1;
}

static ssize_t
on_send(wslay_event_context_ptr wslay, const uint8_t *data, size_t len, int flags, void *arg)
{
	struct ws_conn *conn = arg;

	(void)flags;
	if (evbuffer_add(conn->output, data, len) == 0)
		return (ssize_t)len;
	wslay_event_set_error(wslay, WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

/* What wslay has to say leaves as one piece, so that no half of a frame is ever refused. */
static void
flush(struct ws_conn *conn)
{
	size_t len;

	if (wslay_event_want_write(conn->wslay) && wslay_event_send(conn->wslay) != 0) {
		fail(conn, WSLAY_CODE_INTERNAL_SERVER_ERROR);
		return;
	}
	len = evbuffer_get_length(conn->output);
	if (len == 0)
		return;
	conn->ops->send(conn->arg, evbuffer_pullup(conn->output, -1), len);
	evbuffer_drain(conn->output, len);
}

static void
begin_close(struct ws_conn *conn, uint16_t code, const char *why)
{
	if (conn->is_closing)
		return;
	conn->is_closing = true;
	if (wslay_event_queue_close(conn->wslay, code, (const uint8_t *)why, strlen(why)) != 0)
		fail(conn, WSLAY_CODE_INTERNAL_SERVER_ERROR);
}

static void
on_frame(wslay_event_context_ptr wslay, const struct wslay_event_on_frame_recv_start_arg *frame,
	void *arg)
{
	struct ws_conn *conn = arg;

	(void)wslay;
	conn->is_control = wslay_is_ctrl_frame(frame->opcode);
	if (!conn->is_control)
		conn->is_in_message = !frame->fin;
}

static bool
grow(struct ws_conn *conn, size_t len)
{
	size_t size = conn->text_size == 0 ? 512 : conn->text_size;
	char *text;

	while (size < len)
		size *= 2;
	text = size == conn->text_size ? conn->text : realloc(conn->text, size);
	if (text == NULL)
		return false;
	conn->text = text;
	conn->text_size = size;
	return true;
}

static void
on_piece(wslay_event_context_ptr wslay, const struct wslay_event_on_frame_recv_chunk_arg *piece,
	void *arg)
{
	struct ws_conn *conn = arg;

	(void)wslay;
	if (conn->is_control || conn->is_closing || piece->data_length == 0)
		return;
	if (piece->data_length > conn->message_max - conn->text_len) {
		begin_close(conn, WSLAY_CODE_MESSAGE_TOO_BIG, "the message is too long");
	} else if (!grow(conn, conn->text_len + piece->data_length)) {
		begin_close(conn, WSLAY_CODE_INTERNAL_SERVER_ERROR, "out of memory");
	} else {
		memcpy(conn->text + conn->text_len, piece->data, piece->data_length);
		conn->text_len += piece->data_length;
	}
}

static void
end_text(struct ws_conn *conn)
{
	conn->text_len = 0;
	if (conn->text_size > KEPT_MAX) {
		free(conn->text);
		conn->text = NULL;
		conn->text_size = 0;
	}
}

static void
give_text(struct ws_conn *conn)
{
	const char *text = conn->text_len == 0 ? "" : conn->text;
	struct held *held;

	if (STAILQ_EMPTY(&conn->held) && conn->ops->text(conn->arg, text, conn->text_len))
		return;
	held = malloc(sizeof(*held) + conn->text_len);
	if (held == NULL) {
		begin_close(conn, WSLAY_CODE_INTERNAL_SERVER_ERROR, "out of memory");
		return;
	}
	held->len = conn->text_len;
	memcpy(held->text, text, conn->text_len);
	STAILQ_INSERT_TAIL(&conn->held, held, next);
}

static void
on_message(
	wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *message, void *arg)
{
	struct ws_conn *conn = arg;

	(void)wslay;
	if (message->opcode == WSLAY_CONNECTION_CLOSE) {
		/* Half of a code; wslay has queued a friendly answer. */
		if (message->msg_length == 1)
			fail(conn, WSLAY_CODE_PROTOCOL_ERROR);
		conn->is_closing = true;
		return;
	}
	if (message->opcode == WSLAY_TEXT_FRAME && !conn->is_closing)
		give_text(conn);
	else if (message->opcode == WSLAY_BINARY_FRAME)
		begin_close(conn, WSLAY_CODE_UNSUPPORTED_DATA, "rooms take text only");
	if (!wslay_is_ctrl_frame(message->opcode))
		end_text(conn);
}

struct ws_conn *
ws_conn_new(const struct ws_conn_ops *ops, void *arg, size_t message_max)
{
	static const struct wslay_event_callbacks callbacks = {.recv_callback = on_recv,
		.send_callback = on_send,
		.on_frame_recv_start_callback = on_frame,
		.on_frame_recv_chunk_callback = on_piece,
		.on_msg_recv_callback = on_message};
	struct ws_conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		return NULL;
	conn->ops = ops;
	conn->arg = arg;
	conn->message_max = message_max;
	STAILQ_INIT(&conn->held);
	conn->output = evbuffer_new();
	if (conn->output == NULL ||
		wslay_event_context_server_init(&conn->wslay, &callbacks, conn) != 0) {
		ws_conn_free(conn);
		return NULL;
	}
	wslay_event_config_set_no_buffering(conn->wslay, 1);
	wslay_event_config_set_max_recv_msg_length(
		conn->wslay, message_max < CONTROL_MAX ? CONTROL_MAX : message_max);
	return conn;
}

void
ws_conn_free(struct ws_conn *conn)
{
	struct held *held;

	if (conn == NULL)
		return;
	while ((held = STAILQ_FIRST(&conn->held)) != NULL) {
		STAILQ_REMOVE_HEAD(&conn->held, next);
		free(held);
	}
	if (conn->wslay != NULL)
		wslay_event_context_free(conn->wslay);
	if (conn->output != NULL)
		evbuffer_free(conn->output);
	free(conn->text);
	free(conn);
}

/* @return false: the first of them was not taken again */
static bool
give_held(struct ws_conn *conn)
{
	struct held *held;

	while ((held = STAILQ_FIRST(&conn->held)) != NULL) {
		if (!conn->is_closing && !conn->ops->text(conn->arg, held->text, held->len))
			return false;
		STAILQ_REMOVE_HEAD(&conn->held, next);
		free(held);
	}
	return true;
}

struct head {
	size_t len; /* Of the header. */
	uint64_t payload_len;
};

/* @return false: it is not whole */
static bool
read_head(const uint8_t *p, size_t len, struct head *head)
{
	size_t bytes;

	if (len < 2)
		return false;
	bytes = (p[1] & 0x7f) < 126 ? 0 : (p[1] & 0x7f) == 126 ? 2 : 8;
	head->len = 2 + bytes + ((p[1] & 0x80) != 0 ? 4 : 0);
	if (len < head->len)
		return false;
	head->payload_len = bytes == 0 ? p[1] & 0x7f : 0;
	for (size_t i = 0; i < bytes; i++)
		head->payload_len = head->payload_len << 8 | p[2 + i];
	return true;
}

/* @return all of it is ASCII */
static bool
unmask(char *to, const uint8_t *from, size_t len, const uint8_t *mask)
{
	uint64_t wide, word, any = 0;
	uint32_t four;
	size_t i = 0;

	memcpy(&four, mask, sizeof(four));
	wide = (uint64_t)four << 32 | four;
	for (; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, from + i, sizeof(word));
		word ^= wide;
		any |= word;
		memcpy(to + i, &word, sizeof(word));
	}
	for (; i < len; i++) {
		to[i] = (char)(from[i] ^ mask[i % sizeof(four)]);
		any |= (uint8_t)to[i];
	}
	return (any & UINT64_C(0x8080808080808080)) == 0;
}

/* @return the bytes of a text that is whole, of one fragment, and good; 0: it is none of these */
static size_t
read_text(struct ws_conn *conn, const uint8_t *p, size_t len)
{
	struct head head;
	size_t n;

	if (!read_head(p, len, &head) || p[0] != (0x80 | WSLAY_TEXT_FRAME) || (p[1] & 0x80) == 0 ||
		head.payload_len > conn->message_max || head.payload_len > len - head.len)
		return 0;
	n = (size_t)head.payload_len;
	/* The length in the shortest way. */
	if (head.len != ws_frame_header_len(n) + 4 || !grow(conn, n))
		return 0;
	if (!unmask(conn->text, p + head.len, n, p + head.len - 4) &&
		!sl_json_is_utf8(conn->text, n))
		return 0;
	conn->text_len = n;
	give_text(conn);
	end_text(conn);
	return head.len + n;
}

/*
 * Texts that lie here whole are nearly all there is: one look at each byte takes the mask off and
 * finds out about UTF-8. Everything else, and what is wrong, is left to wslay, frame by frame, so
 * that it never has anything of the next one. @return false: there are none
 */
static bool
read_texts(struct ws_conn *conn, struct evbuffer *input)
{
	size_t len = evbuffer_get_contiguous_space(input), at = 0, n = 0;
	const uint8_t *data = evbuffer_pullup(input, (ssize_t)len);

	if (conn->is_in_message || data == NULL)
		return false;
	do {
		at += n;
		if (conn->is_closing || !STAILQ_EMPTY(&conn->held))
			break;
		n = read_text(conn, data + at, len - at);
	} while (n > 0);
	evbuffer_drain(input, at);
	return at > 0;
}

/* @return false: its header is not whole; nor, if it is a control frame, is the rest: of a close in
 * pieces wslay would not look at all of the reason */
static bool
begin_frame(struct ws_conn *conn, struct evbuffer *input)
{
	size_t len = evbuffer_get_length(input);
	struct head head;
	const uint8_t *p;
	uint8_t opcode;

	if (len > HEADER_MAX)
		len = HEADER_MAX;
	p = evbuffer_pullup(input, (ssize_t)len);
	if (p == NULL || !read_head(p, len, &head))
		return false;
	opcode = p[0] & 0x0f;
	if (wslay_is_ctrl_frame(opcode) && head.payload_len <= CONTROL_MAX &&
		evbuffer_get_length(input) < head.len + head.payload_len)
		return false;
	/* A length of more than 63 bits is wslay's to refuse. */
	conn->frame_left = head.len + (head.payload_len & INT64_MAX);
	return true;
}

void
ws_conn_read(struct ws_conn *conn, struct evbuffer *input)
{
	int error;

	if (!give_held(conn))
		return;
	conn->input = input;
	while (evbuffer_get_length(input) > 0 && STAILQ_EMPTY(&conn->held) &&
		wslay_event_want_read(conn->wslay)) {
		if (conn->frame_left == 0 && read_texts(conn, input)) {
			flush(conn);
			continue;
		}
		if (conn->frame_left == 0 && !begin_frame(conn, input))
			break;
		conn->budget = conn->frame_left < READ_MAX ? (size_t)conn->frame_left : READ_MAX;
		error = wslay_event_recv(conn->wslay);
		/* What is wrong in a frame's header it reports, and tells the peer no code. */
		if (error != 0)
			fail(conn,
				error == WSLAY_ERR_NOMEM ? WSLAY_CODE_INTERNAL_SERVER_ERROR
							 : WSLAY_CODE_PROTOCOL_ERROR);
		flush(conn);
	}
	conn->input = NULL;
	if (wslay_event_want_read(conn->wslay))
		return;
	/* What else is wrong it has told the peer by itself. */
	if (!wslay_event_get_close_received(conn->wslay))
		conn->is_failed = true;
	conn->is_closing = true;
	evbuffer_drain(input, evbuffer_get_length(input));
}

size_t
ws_conn_held(const struct ws_conn *conn)
{
	return conn->text_size;
}

enum ws_state
ws_conn_state(const struct ws_conn *conn)
{
	if (conn->is_failed)
		return WS_FAILED;
	if (!conn->is_closing)
		return WS_OPEN;
	return wslay_event_get_close_received(conn->wslay) &&
			wslay_event_get_close_sent(conn->wslay)
		? WS_DONE
		: WS_CLOSING;
}

uint8_t *
ws_frame_begin(uint8_t *frame, size_t len)
{
	size_t header_len = ws_frame_header_len(len);

	frame[0] = 0x80 | WSLAY_TEXT_FRAME;
	if (header_len == 2) {
		frame[1] = (uint8_t)len;
		return frame + 2;
	}
	frame[1] = header_len == 4 ? 126 : 127;
	for (size_t i = header_len; i > 2; i--, len >>= 8)
		frame[i - 1] = (uint8_t)len;
	return frame + header_len;
}

void
ws_conn_send_text(struct ws_conn *conn, const char *text, size_t len)
{
	uint8_t frame[WS_SHORT_MAX + 4];

	if (conn->is_closing || len > WS_SHORT_MAX)
		return;
	memcpy(ws_frame_begin(frame, len), text, len);
	conn->ops->send(conn->arg, frame, ws_frame_header_len(len) + len);
}

void
ws_conn_ping(struct ws_conn *conn)
{
	struct wslay_event_msg message = {.opcode = WSLAY_PING};

	if (conn->is_closing)
		return;
	if (wslay_event_queue_msg(conn->wslay, &message) != 0)
		fail(conn, WSLAY_CODE_INTERNAL_SERVER_ERROR);
	flush(conn);
}

void
ws_conn_close(struct ws_conn *conn, uint16_t code, const char *why)
{
	begin_close(conn, code, why);
	/* While it reads, that is done when it has. */
	if (conn->input == NULL)
		flush(conn);
}
