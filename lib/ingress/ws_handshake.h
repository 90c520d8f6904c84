/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef WS_HANDSHAKE_H
#define WS_HANDSHAKE_H

/**
 * @file
 * How a connection becomes a WebSocket: the server's side of RFC 6455, section 4.2. Pure.
 */

#include "http_request.h"

/* Enough for any answer: 101, or an error with its reason. */
#define WS_ANSWER_MAX 1024

/**
 * Read a request that wants to become a WebSocket.
 * @return its bytes; 0: it is not whole yet; -1: refused, with status and why
 */
ssize_t ws_request_parse(const char *data, size_t len, struct http_request *request);

/** @return bytes of the answer 101 to a request that was read; no terminator */
size_t ws_answer_accept(const struct http_request *request, char answer[WS_ANSWER_MAX]);

/** @return bytes of an answer that refuses; the connection is closed behind it */
size_t ws_answer_refuse(unsigned int status, const char *why, char answer[WS_ANSWER_MAX]);

#endif /* WS_HANDSHAKE_H */
