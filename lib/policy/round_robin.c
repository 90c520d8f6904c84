/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "sl_policy.h"

static void
round_robin_init(struct sl_policy *policy, const uint32_t *weights)
{
	(void)weights;
	policy->cursor = 0;
}

static int
round_robin_choose(struct sl_policy *policy, sl_policy_eligible_t is_eligible, void *arg)
{
	uint32_t at = policy->cursor;

	for (uint32_t i = 0; i < policy->nb_backends; i++) {
		uint32_t index = at;

		at = at + 1 < policy->nb_backends ? at + 1 : 0;
		if (is_eligible(arg, index)) {
			policy->cursor = at;
			return (int)index;
		}
	}
	return -1;
}

const struct sl_policy_ops sl_policy_round_robin = {
	.name = "round-robin",
	.init = round_robin_init,
	.choose = round_robin_choose,
};
