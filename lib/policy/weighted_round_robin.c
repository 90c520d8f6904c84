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

/* What is left until the next turn shrinks or grows as the stride does. */
static void
weighted_carry(struct sl_policy *policy, const struct sl_policy *old, const uint32_t *from)
{
	const struct sl_policy_backend *was;
	struct sl_policy_backend *b;
	uint64_t wait;

	policy->now = old->now;
	for (uint32_t i = 0; i < policy->nb_backends; i++) {
		b = &policy->backends[i];
		wait = b->stride;
		if (from[i] != SL_POLICY_NEW) {
			was = &old->backends[from[i]];
			wait = (int64_t)(was->pass - old->now) < 0 ? 0 : was->pass - old->now;
			if (was->stride != b->stride)
				wait = (uint64_t)((double)wait * (double)b->stride /
					(double)was->stride);
		}
		b->pass = policy->now + wait;
	}
}

static inline uint64_t
stride_at(const struct sl_policy_backend *b, uint32_t share)
{
	if (share == SL_POLICY_SHARE_ONE)
		return b->stride;
	return b->stride * SL_POLICY_SHARE_ONE / share;
}

static int
weighted_choose(struct sl_policy *policy, sl_policy_share_t share_of, void *arg)
{
	struct sl_policy_backend *b = policy->backends;
	uint64_t wait, best_wait = UINT64_MAX;
	uint32_t share, best_share = 0;
	int best = -1;

	for (uint32_t i = 0; i < policy->nb_backends; i++) {
		/* Who was away goes on from now: no burst to catch up. */
		if ((int64_t)(b[i].pass - policy->now) < 0)
			b[i].pass = policy->now;
		wait = b[i].pass - policy->now;
		if (wait >= best_wait && wait <= b[i].stride)
			continue;
		share = share_of(arg, i);
		if (share == 0)
			continue;
		/* Its share has grown since its last turn: it does not wait as it had to before. */
		if (wait > b[i].stride && wait > stride_at(&b[i], share)) {
			wait = stride_at(&b[i], share);
			b[i].pass = policy->now + wait;
		}
		if (wait < best_wait) {
			best_wait = wait;
			best_share = share;
			best = (int)i;
		}
	}
	if (best >= 0) {
		policy->now += best_wait;
		b[best].pass += stride_at(&b[best], best_share);
	}
	return best;
}

const struct sl_policy_ops sl_policy_weighted_round_robin = {
	.name = "weighted-round-robin",
	.init = weighted_init,
	.carry = weighted_carry,
	.choose = weighted_choose,
};
