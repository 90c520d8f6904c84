/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H

/**
 * @file
 * Heads of HTTP's answers, and the ids of events. Pure.
 */

#include "http_request.h"

/* Bytes of a head; an origin has 255 at most. */
#define HTTP_ANSWER_MAX 1280

struct http_answer {
	unsigned int status;
	const char *type; /* NULL: it has no body. */
	size_t body_len;
	bool is_stream;	   /* Its body ends with the connection. */
	bool is_closed;	   /* The connection ends behind it. */
	const char *allow; /* Methods; of 405 and of OPTIONS. */
	uint32_t retry_after_s;
	struct gw_text origin; /* Whose pages may read it; NULL: it is not said. */
	bool is_preflight;
};

#define HTTP_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

/** What stands behind a status on its line. */
const char *http_status_text(unsigned int status);

/** @return bytes of the head, its empty line included; no terminator */
size_t http_answer_write(const struct http_answer *answer, char head[HTTP_ANSWER_MAX]);

/* What tells an event from all others: of which source, and its message's id. */
struct http_event_id {
	uint64_t source, id_high, id_low;
};

/* 32 hexadecimal digits of the id, "-", and 16 of the source. */
#define HTTP_EVENT_ID_LEN 49

void http_event_id_write(const struct http_event_id *id, char text[HTTP_EVENT_ID_LEN]);
bool http_event_id_read(struct gw_text text, struct http_event_id *id);

#endif /* HTTP_ANSWER_H */
