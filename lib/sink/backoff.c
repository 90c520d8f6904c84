/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Pauses double from one failure to the next, each with a random part, so that many sinks do not
 * come back to a server at once (M. Brooker, "Exponential Backoff And Jitter"). After some failures
 * in a row the circuit is open: one try every so often, which closes it or not.
 */

#include "sink_internal.h"

#define PAUSE_MS     100u
#define PAUSE_MAX_MS 2000u
#define OPEN_MS	     5000u
#define OPEN_MAX_MS  30000u
#define REFUSED_MS   15000u

static uint64_t
next_random(struct backoff *backoff)
{
	uint64_t z = (backoff->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void
backoff_init(struct backoff *backoff, uint64_t seed)
{
	*backoff = (struct backoff){.random = seed};
}

void
backoff_success(struct backoff *backoff)
{
	backoff->failures = 0;
	backoff->until_ms = 0;
}

static uint32_t
doubled(uint32_t first, uint32_t max, uint32_t times)
{
	return times >= 16 || first << times > max ? max : first << times;
}

bool
backoff_is_open(const struct backoff *backoff)
{
	return backoff->failures >= BACKOFF_TRIP;
}

void
backoff_failure(struct backoff *backoff, bool is_refused, uint64_t now_ms)
{
	uint32_t pause;

	if (backoff->failures < UINT32_MAX)
		backoff->failures++;
	if (is_refused)
		pause = REFUSED_MS;
	else if (backoff_is_open(backoff))
		pause = doubled(OPEN_MS, OPEN_MAX_MS, backoff->failures - BACKOFF_TRIP);
	else
		pause = doubled(PAUSE_MS, PAUSE_MAX_MS, backoff->failures - 1);
	/* Half of the pause at least, all of it at most. */
	backoff->until_ms = now_ms + pause / 2 + next_random(backoff) % (pause / 2 + 1);
}

uint64_t
backoff_wait_ms(const struct backoff *backoff, uint64_t now_ms)
{
	return now_ms >= backoff->until_ms ? 0 : backoff->until_ms - now_ms;
}
