/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "sl_policy.h"

/*
 * Virtual time of a turn at weight 1. Weights go to 65535: strides are exact to 2^-24, and stay far
 * below 2^63, up to which times are compared although the clock wraps.
 */
#define STRIDE_1 (UINT64_C(1) << 40)

static void
weighted_init(struct sl_policy *policy, const uint32_t *weights)
{
	policy->now = 0;
	for (uint32_t i = 0; i < policy->nb_backends; i++) {
		policy->backends[i].stride = STRIDE_1 / weights[i];
		policy->backends[i].pass = policy->backends[i].stride;
	}
}

static int
weighted_choose(struct sl_policy *policy, sl_policy_eligible_t is_eligible, void *arg)
{
	struct sl_policy_backend *b = policy->backends;
	uint64_t wait, best_wait = UINT64_MAX;
	int best = -1;

	for (uint32_t i = 0; i < policy->nb_backends; i++) {
		/* Who was away goes on from now: no burst to catch up. */
		if ((int64_t)(b[i].pass - policy->now) < 0)
			b[i].pass = policy->now;
		wait = b[i].pass - policy->now;
		if (wait < best_wait && is_eligible(arg, i)) {
			best_wait = wait;
			best = (int)i;
		}
	}
	if (best >= 0) {
		policy->now += best_wait;
		b[best].pass += b[best].stride;
	}
	return best;
}

const struct sl_policy_ops sl_policy_weighted_round_robin = {
	.name = "weighted-round-robin",
	.init = weighted_init,
	.choose = weighted_choose,
};
