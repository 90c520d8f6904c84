/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef GW_LINES_H
#define GW_LINES_H

/**
 * @file
 * Lines in what a client sends, for protocols that have them: found where they lie, each byte
 * looked at once however it comes in, and those that are too long skipped without being kept. No
 *IO.
 *
 *	struct gw_lines_turn turn;
 *
 *	gw_lines_begin(&turn, &state->lines, input, config->input_max);
 *	while ((found = gw_lines_next(&turn, &line, &len)) != GW_LINES_END)
 *		if (found == GW_LINES_LINE && !take(line, len)) {
 *			gw_lines_unget(&turn);
 *			break;
 *		}
 *	gw_lines_end(&turn);
 */

#include <stdbool.h>
#include <stddef.h>

struct evbuffer;

/* A client's; zeroed at first. */
struct gw_lines {
	size_t scanned;	  /* Bytes of its input in which there is no newline. */
	bool is_skipping; /* The rest of a line that was too long is to be thrown away. */
};

struct gw_lines_turn {
	struct gw_lines *lines;
	struct evbuffer *input;
	size_t line_max;
	const char *data; /* In one piece: */
	size_t len;
	size_t at;   /* up to here taken, */
	size_t last; /* and up to here before the last line. */
};

enum gw_lines_found {
	GW_LINES_END,  /* No further whole line. */
	GW_LINES_LINE, /* Without its LF. */
	GW_LINES_LONG, /* More than line_max bytes: its first, at most line_max of them. */
};

void gw_lines_begin(struct gw_lines_turn *turn, struct gw_lines *lines, struct evbuffer *input,
	size_t line_max);

/** What it points to lasts until the next call for @p turn. */
enum gw_lines_found gw_lines_next(struct gw_lines_turn *turn, const char **line, size_t *len);

/** Not now: the line stays in the input, and the turn is to end. */
void gw_lines_unget(struct gw_lines_turn *turn);

/** Take out of the input what was taken. */
void gw_lines_end(struct gw_lines_turn *turn);

#endif /* GW_LINES_H */
