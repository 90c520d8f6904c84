/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef LINE_STANDIN_H
#define LINE_STANDIN_H

/**
 * @file
 * Standing in for a primary: whether it lives, and when what may go out. A function of events and
 * time (milliseconds, monotonic), without IO.
 *
 *   follows ──refused, or no PONG LINE_TRIES times──▶ leads ──PONG──▶ follows
 *
 * While it *follows*, what the primary replicates is kept, and dropped when the primary clears it.
 * When the primary is found dead, what is kept becomes *due*: it goes out, in order, before
 * anything new. Whoever publishes to the one that follows may be there because the primary has just
 * died and the next ping has not found out yet. So nothing new is published before a ping that
 * began after it came has been answered, or the primary is known to be dead and nothing is due any
 * more; and the ping is not waited for, it is made at once.
 *
 * What is replicated while it leads (the primary is back, and no ping has been answered yet)
 * becomes due with the next ping that fails.
 *
 * Messages that are due go out even when the primary is back before they have: it may have lost
 * them, and twice is better than not at all.
 */

#include <stdbool.h>
#include <stdint.h>

#define LINE_PING_MS	1000 /* From one ping to the next. */
#define LINE_PONG_MS	500  /* So long a ping has to connect and be answered. */
#define LINE_TRIES	3    /* So many in a row not answered: dead. */
#define LINE_ASK_GAP_MS 20   /* Between the ends of pings made for publishers and the next. */

enum line_change {
	LINE_SAME,
	LINE_DIED,     /* It leads now. */
	LINE_RETURNED, /* It follows again. */
};

enum line_action {
	LINE_WAIT,
	LINE_PING_NOW, /* Connect and say PING||; line_standin_ponged() or _failed() follows. */
	LINE_GIVE_UP,  /* The ping takes too long: end it; it counts as failed already. */
};

struct line_standin {
	bool leads;
	bool is_pinging;
	uint32_t nb_failed; /* In a row. */
	uint64_t ping;	    /* Number of the last that began; the first is 1. */
	uint64_t answered;  /* Number of the last that was answered. */
	uint64_t wanted;    /* Somebody waits for this one, or a later one, to be answered. */
	uint64_t began_ms;  /* The last ping. */
	uint64_t ended_ms;
	uint64_t due; /* Up to this number (struct line_stored) messages are to go out. */
};

void line_standin_init(struct line_standin *standin, uint64_t now_ms);

/**
 * What is to be done now; to be called again until it is LINE_WAIT.
 * @param stored        number of the last message that was kept
 * @param[out] change   LINE_DIED, when the ping that is given up was one too many
 */
enum line_action line_standin_step(
	struct line_standin *standin, uint64_t now_ms, uint64_t stored, enum line_change *change);

/** When line_standin_step() is to be called again at the latest. */
uint64_t line_standin_next_ms(const struct line_standin *standin);

/** The ping was answered. */
enum line_change line_standin_ponged(struct line_standin *standin, uint64_t now_ms);

/** It was not. @param is_refused  nobody listens there: no need to try again */
enum line_change line_standin_failed(
	struct line_standin *standin, uint64_t now_ms, bool is_refused, uint64_t stored);

/** Look now: somebody waits, or the primary has closed a connection. */
void line_standin_hurry(struct line_standin *standin);

/**
 * Something new is to be published. @return a ticket; not before line_standin_may_publish() says so
 * of it. 0: at once
 */
uint64_t line_standin_ask(struct line_standin *standin, uint64_t oldest);

/** @param oldest  number of the oldest message that is kept; 0: none */
bool line_standin_may_publish(const struct line_standin *standin, uint64_t ticket, uint64_t oldest);

/** Is the oldest message that is kept to go out? @param oldest  its number; 0: none is */
static inline bool
line_standin_is_due(const struct line_standin *standin, uint64_t oldest)
{
	return oldest != 0 && oldest <= standin->due;
}

#endif /* LINE_STANDIN_H */
