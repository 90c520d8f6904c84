/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef WS_CONN_H
#define WS_CONN_H

/**
 * @file
 * The server's end of a WebSocket behind its handshake: RFC 6455 by wslay, without IO.
 *
 * wslay reads frames, checks them, and answers pings and closes. Texts are written around it: what
 * goes to many is a whole frame that is made once (ws_frame_begin()), and it may stand between any
 * two frames of wslay's, as those are control frames, which are never fragmented.
 *
 * Pure: bytes come in a buffer, and leave by a function.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wslay/wslay.h>

struct evbuffer;
struct ws_conn;

#define WS_CLOSE_TRY_LATER 1013

struct ws_conn_ops {
	/* A whole text; valid UTF-8. @return false: not now; ws_conn_read() gives it again */
	bool (*text)(void *arg, const char *text, size_t len);
	/* Whole frames for the peer. */
	void (*send)(void *arg, const void *frames, size_t len);
};

enum ws_state {
	WS_OPEN,
	WS_CLOSING, /* A close frame is on its way to the peer, whose own is awaited. */
	WS_FAILED,  /* The peer broke the protocol and was told so; what it sends is thrown away. */
	WS_DONE,    /* Both have closed. */
};

/** @return NULL: no memory */
struct ws_conn *ws_conn_new(const struct ws_conn_ops *ops, void *arg, size_t message_max);
void ws_conn_free(struct ws_conn *conn);

/**
 * Take what has come. Texts that were not taken come first; while there are such, nothing is read.
 * What comes behind a close frame, or behind an error, is thrown away.
 */
void ws_conn_read(struct ws_conn *conn, struct evbuffer *input);

/** Bytes of memory that texts take which are not whole. */
size_t ws_conn_held(const struct ws_conn *conn);

enum ws_state ws_conn_state(const struct ws_conn *conn);

/** Send a short text. */
#define WS_SHORT_MAX 1024
void ws_conn_send_text(struct ws_conn *conn, const char *text, size_t len);
void ws_conn_ping(struct ws_conn *conn);

/** Begin to close: from now on no text is given or sent. */
void ws_conn_close(struct ws_conn *conn, uint16_t code, const char *why);

/** Bytes of the header of a text frame of so many bytes. */
static inline size_t
ws_frame_header_len(size_t len)
{
	return len < 126 ? 2 : len < 65536 ? 4 : 10;
}

/** Write it: final, not masked. @return what follows it */
uint8_t *ws_frame_begin(uint8_t *frame, size_t len);

#endif /* WS_CONN_H */
