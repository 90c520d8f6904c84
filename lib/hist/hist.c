/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <math.h>

#include "sl_hist.h"

uint64_t
sl_hist_bound(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < (2u << SL_HIST_SUB_BITS))
		return bucket;
	shift = (bucket >> SL_HIST_SUB_BITS) - 1;
	return ((uint64_t)(bucket - (shift << SL_HIST_SUB_BITS) + 1) << shift) - 1;
}

void
sl_hist_merge(struct sl_hist *hist, const struct sl_hist *other)
{
	hist->count += other->count;
	hist->sum += other->sum;
	if (other->max > hist->max)
		hist->max = other->max;
	for (unsigned int i = 0; i < SL_HIST_BUCKETS; i++)
		hist->buckets[i] += other->buckets[i];
}

uint64_t
sl_hist_quantile(const struct sl_hist *hist, double quantile)
{
	uint64_t seen = 0, total = 0, rank, bound;

	/* The writer may be ahead of its own count: trust the buckets. */
	for (unsigned int i = 0; i < SL_HIST_BUCKETS; i++)
		total += hist->buckets[i];
	if (total == 0)
		return 0;
	rank = (uint64_t)ceil(quantile * (double)total);
	for (unsigned int i = 0; i < SL_HIST_BUCKETS; i++) {
		seen += hist->buckets[i];
		if (seen >= rank && seen > 0) {
			bound = sl_hist_bound(i);
			return bound < hist->max ? bound : hist->max;
		}
	}
	return hist->max;
}

double
sl_hist_mean(const struct sl_hist *hist)
{
	return hist->count == 0 ? 0 : (double)hist->sum / (double)hist->count;
}
