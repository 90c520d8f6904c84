/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <string.h>

#include <event2/buffer.h>

#include "lines.h"

/* Of a line that is too long, so much is shown to the caller at most. */
#define SHOWN_MAX 256

void
gw_lines_begin(
	struct gw_lines_turn *turn, struct gw_lines *lines, struct evbuffer *input, size_t line_max)
{
	*turn = (struct gw_lines_turn){.lines = lines, .input = input, .line_max = line_max};
}

static void
drain(struct gw_lines_turn *turn)
{
	if (turn->at > 0)
		evbuffer_drain(turn->input, turn->at);
	turn->data = NULL;
	turn->len = turn->at = turn->last = 0;
}

/* Where the next newline is, or -1; nothing is looked at twice. */
static ssize_t
find_newline(struct gw_lines_turn *turn)
{
	struct evbuffer_ptr from, found;

	if (evbuffer_ptr_set(turn->input, &from, turn->lines->scanned, EVBUFFER_PTR_SET) != 0)
		return -1;
	found = evbuffer_search(turn->input, "\n", 1, &from);
	return found.pos;
}

/* What is there of a line whose end is not. */
static enum gw_lines_found
take_unfinished(struct gw_lines_turn *turn, const char **line, size_t *len)
{
	struct gw_lines *lines = turn->lines;
	size_t total = evbuffer_get_length(turn->input), shown;

	if (lines->is_skipping) {
		evbuffer_drain(turn->input, total);
		lines->scanned = 0;
		return GW_LINES_END;
	}
	lines->scanned = total;
	if (total <= turn->line_max)
		return GW_LINES_END;
	lines->is_skipping = true;
	shown = turn->line_max < SHOWN_MAX ? turn->line_max : SHOWN_MAX;
	*line = (const char *)evbuffer_pullup(turn->input, (ev_ssize_t)shown);
	*len = *line == NULL ? 0 : shown;
	/* It is shown, and goes when the caller comes again. */
	return GW_LINES_LONG;
}

/* The next line in one piece, and with it what happens to lie in that piece. */
static bool
refill(struct gw_lines_turn *turn)
{
	ssize_t newline = find_newline(turn);
	size_t piece;

	if (newline < 0)
		return false;
	piece = evbuffer_get_contiguous_space(turn->input);
	if (piece <= (size_t)newline)
		piece = (size_t)newline + 1;
	turn->data = (const char *)evbuffer_pullup(turn->input, (ev_ssize_t)piece);
	turn->len = turn->data == NULL ? 0 : piece;
	turn->lines->scanned = 0;
	return turn->data != NULL;
}

enum gw_lines_found
gw_lines_next(struct gw_lines_turn *turn, const char **line, size_t *len)
{
	const char *end;

	for (;;) {
		end = turn->at == turn->len
			? NULL
			: memchr(turn->data + turn->at, '\n', turn->len - turn->at);
		if (end == NULL) {
			drain(turn);
			if (!refill(turn))
				return take_unfinished(turn, line, len);
			continue;
		}
		*line = turn->data + turn->at;
		*len = (size_t)(end - *line);
		turn->last = turn->at;
		turn->at += *len + 1;
		if (turn->lines->is_skipping) {
			turn->lines->is_skipping = false;
			continue;
		}
		if (*len <= turn->line_max)
			return GW_LINES_LINE;
		*len = turn->line_max < SHOWN_MAX ? turn->line_max : SHOWN_MAX;
		return GW_LINES_LONG;
	}
}

void
gw_lines_unget(struct gw_lines_turn *turn)
{
	turn->at = turn->last;
}

void
gw_lines_end(struct gw_lines_turn *turn)
{
	drain(turn);
}
