/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef LINE_PING_H
#define LINE_PING_H

/**
 * @file
 * One look whether a broker of the line protocol answers: a connection of its own, PING||, PONG.
 * Of an event loop's thread.
 */

#include <stdbool.h>

struct evdns_base;
struct event_base;
struct line_ping;

enum line_pinged {
	LINE_ANSWERED,
	LINE_REFUSED,	   /* Nobody listens, at none of the addresses. */
	LINE_NOTHING_CAME, /* Closed without an answer, another answer, no way there. */
};

/**
 * @param address  "HOST:PORT"
 * @param done     called once, not from within this; the ping is gone then. @p error is in words
 * @return NULL: no memory
 */
struct line_ping *
line_ping_begin(struct event_base *base, struct evdns_base *dns, const char *address,
	void (*done)(void *arg, enum line_pinged result, const char *error), void *arg);

/** End it without an answer; done() is not called. */
void line_ping_cancel(struct line_ping *ping);

#endif /* LINE_PING_H */
