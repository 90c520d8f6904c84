/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "line_standin.h"

void
line_standin_init(struct line_standin *standin, uint64_t now_ms)
{
	*standin = (struct line_standin){.began_ms = now_ms, .ended_ms = now_ms};
}

uint64_t
line_standin_next_ms(const struct line_standin *standin)
{
	uint64_t regular = standin->began_ms + LINE_PING_MS;
	uint64_t hurried = standin->ended_ms + LINE_ASK_GAP_MS;

	if (standin->is_pinging)
		return standin->began_ms + LINE_PONG_MS;
	if (standin->ping == 0)
		return standin->began_ms;
	if (!standin->leads && standin->wanted > standin->answered && hurried < regular)
		return hurried;
	return regular;
}

enum line_action
line_standin_step(
	struct line_standin *standin, uint64_t now_ms, uint64_t stored, enum line_change *change)
{
	*change = LINE_SAME;
	if (now_ms < line_standin_next_ms(standin))
		return LINE_WAIT;
	if (standin->is_pinging) {
		*change = line_standin_failed(standin, now_ms, false, stored);
		return LINE_GIVE_UP;
	}
	standin->is_pinging = true;
	standin->ping++;
	standin->began_ms = now_ms;
	return LINE_PING_NOW;
}

enum line_change
line_standin_ponged(struct line_standin *standin, uint64_t now_ms)
{
	bool led = standin->leads;

	standin->is_pinging = false;
	standin->ended_ms = now_ms;
	standin->nb_failed = 0;
	standin->answered = standin->ping;
	standin->leads = false;
	return led ? LINE_RETURNED : LINE_SAME;
}

enum line_change
line_standin_failed(struct line_standin *standin, uint64_t now_ms, bool is_refused, uint64_t stored)
{
	bool led = standin->leads;

	standin->is_pinging = false;
	standin->ended_ms = now_ms;
	standin->nb_failed++;
	if (is_refused || standin->nb_failed >= LINE_TRIES)
		standin->leads = true;
	if (!standin->leads)
		return LINE_SAME;
	standin->due = stored;
	return led ? LINE_SAME : LINE_DIED;
}

void
line_standin_hurry(struct line_standin *standin)
{
	standin->wanted = standin->ping + 1;
}

uint64_t
line_standin_ask(struct line_standin *standin, uint64_t oldest)
{
	/* One that is under way may have been answered before the primary died. */
	uint64_t ticket = standin->ping + 1;

	if (standin->leads && !line_standin_is_due(standin, oldest))
		return 0;
	standin->wanted = ticket;
	return ticket;
}

bool
line_standin_may_publish(const struct line_standin *standin, uint64_t ticket, uint64_t oldest)
{
	if (line_standin_is_due(standin, oldest))
		return false;
	return standin->leads || standin->answered >= ticket;
}
