/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_GCRA_H
#define SL_GCRA_H

/**
 * @file
 * A token bucket for messages, as the generic cell rate algorithm in its virtual scheduling form
 * (ITU-T I.371, annex A): one time to keep instead of a level and a time, and no division per
 * message. Times are the caller's ticks (TSC cycles); inside, sixteenths of a tick, so that rates
 * of millions a second are exact to a few parts in 10^5.
 *
 * Threads: one owner.
 */

#include <stdbool.h>
#include <stdint.h>

#define SL_GCRA_SHIFT 4

struct sl_gcra {
	uint64_t next;	    /**< Theoretical arrival time of the next message. */
	uint64_t increment; /**< Between two messages at the configured rate; 0: no limit. */
	uint64_t tolerance; /**< How much earlier one may come: the depth of the bucket. */
};

/** @param rate messages a second, 0 = no limit. @param burst depth of the bucket, >= 1 */
static inline void
sl_gcra_init(struct sl_gcra *gcra, uint64_t rate, uint32_t burst, uint64_t ticks_per_s)
{
	gcra->next = 0;
	gcra->increment = rate == 0 ? 0 : (ticks_per_s << SL_GCRA_SHIFT) / rate;
	gcra->tolerance = gcra->increment * (burst - 1);
}

/**
 * Go on with another rate or depth: as many messages as @p old was short of, @p gcra is short of
 * now, but no more than fit into it.
 * @param gcra  fresh from sl_gcra_init()
 */
static inline void
sl_gcra_carry(struct sl_gcra *gcra, const struct sl_gcra *old, uint64_t now)
{
	uint64_t depth = gcra->tolerance + gcra->increment;
	double missing;

	now <<= SL_GCRA_SHIFT;
	if (old->increment == 0 || gcra->increment == 0 || old->next <= now)
		return;
	missing = (double)(old->next - now) / (double)old->increment * (double)gcra->increment;
	gcra->next = now + (missing < (double)depth ? (uint64_t)missing : depth);
}

/** May a message pass at @p now? Changes nothing. */
static inline bool
sl_gcra_conforms(const struct sl_gcra *gcra, uint64_t now)
{
	return gcra->increment == 0 || gcra->next <= (now << SL_GCRA_SHIFT) + gcra->tolerance;
}

/** A message passes at @p now. */
static inline void
sl_gcra_take(struct sl_gcra *gcra, uint64_t now)
{
	now <<= SL_GCRA_SHIFT;
	gcra->next = (gcra->next > now ? gcra->next : now) + gcra->increment;
}

/** When the next message may pass; a time in the past means now. */
static inline uint64_t
sl_gcra_due(const struct sl_gcra *gcra)
{
	if (gcra->next <= gcra->tolerance)
		return 0;
	return (gcra->next - gcra->tolerance + (1 << SL_GCRA_SHIFT) - 1) >> SL_GCRA_SHIFT;
}

#endif /* SL_GCRA_H */
