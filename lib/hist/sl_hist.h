/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_HIST_H
#define SL_HIST_H

/**
 * @file
 * A log-linear histogram of latencies, in the manner of HdrHistogram (G. Tene): every power of two
 * is cut into 32 equal steps, so a quantile read from it is at most 1/32 (3.1 %) above the true
 * one. Values of any unit from 0 to 2^40; larger ones count in the last step.
 *
 * Threads: one writer; a reader on another thread may see a histogram that is a few values behind.
 */

#include <stdint.h>

#define SL_HIST_SUB_BITS 5
#define SL_HIST_MAX_BITS 40
#define SL_HIST_BUCKETS	 ((SL_HIST_MAX_BITS - SL_HIST_SUB_BITS + 1) << SL_HIST_SUB_BITS)

struct sl_hist {
	uint64_t count;
	uint64_t sum;
	uint64_t max;
	uint64_t buckets[SL_HIST_BUCKETS];
};

static inline unsigned int
sl_hist_bucket(uint64_t value)
{
	unsigned int shift;

	if (value < (UINT64_C(1) << SL_HIST_SUB_BITS))
		return (unsigned int)value;
	if (value >= (UINT64_C(1) << SL_HIST_MAX_BITS))
		return SL_HIST_BUCKETS - 1;
	shift = 63 - (unsigned int)__builtin_clzll(value) - SL_HIST_SUB_BITS;
	return (shift << SL_HIST_SUB_BITS) + (unsigned int)(value >> shift);
}

/** The largest value that counts in a step. */
uint64_t sl_hist_bound(unsigned int bucket);

/** Count @p value. */
static inline void
sl_hist_add(struct sl_hist *hist, uint64_t value)
{
	hist->count++;
	hist->sum += value;
	if (value > hist->max)
		hist->max = value;
	hist->buckets[sl_hist_bucket(value)]++;
}

/** Add the counts of @p other to @p hist. */
void sl_hist_merge(struct sl_hist *hist, const struct sl_hist *other);

/**
 * The value that a share @p quantile (0..1) of the values does not exceed: the upper bound of its
 * step, but never more than the maximum. 0 when the histogram is empty.
 */
uint64_t sl_hist_quantile(const struct sl_hist *hist, double quantile);

/** The mean; 0 when the histogram is empty. */
double sl_hist_mean(const struct sl_hist *hist);

#endif /* SL_HIST_H */
