/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "sl_policy.h"

static void
round_robin_init(struct sl_policy *policy, const uint32_t *weights)
{
	(void)weights;
	policy->cursor = 0;
	for (uint32_t i = 0; i < policy->nb_backends; i++)
		policy->backends[i].pass = 0;
}

/* Whose turn it would have been has it, or who came after, of those that are still there. */
static void
round_robin_carry(struct sl_policy *policy, const struct sl_policy *old, const uint32_t *from)
{
	uint32_t best = UINT32_MAX, ahead;

	for (uint32_t i = 0; i < policy->nb_backends; i++) {
		if (from[i] == SL_POLICY_NEW)
			continue;
		policy->backends[i].pass = old->backends[from[i]].pass;
		ahead = (from[i] + old->nb_backends - old->cursor) % old->nb_backends;
		if (ahead < best) {
			best = ahead;
			policy->cursor = i;
		}
	}
}

static inline uint32_t
after(const struct sl_policy *policy, uint32_t at)
{
	return at + 1 < policy->nb_backends ? at + 1 : 0;
}

/*
 * Once around, everyone gets its share of a turn and the first that has a whole one takes it.
 * Otherwise -1, and in `rounds` how many times around are left until somebody has one.
 */
static int
go_around(struct sl_policy *policy, sl_policy_share_t share_of, void *arg, uint32_t *rounds)
{
	uint32_t at = policy->cursor, share, missing;

	*rounds = UINT32_MAX;
	for (uint32_t i = 0; i < policy->nb_backends; i++) {
		uint32_t index = at;
		struct sl_policy_backend *b = &policy->backends[index];

		at = after(policy, at);
		share = share_of(arg, index);
		if (share == 0)
			continue;
		if (share < SL_POLICY_SHARE_ONE) {
			b->pass += share;
			if (b->pass < SL_POLICY_SHARE_ONE) {
				missing = SL_POLICY_SHARE_ONE - (uint32_t)b->pass;
				missing = (missing + share - 1) / share;
				*rounds = missing < *rounds ? missing : *rounds;
				continue;
			}
			b->pass -= SL_POLICY_SHARE_ONE;
		}
		policy->cursor = at;
		return (int)index;
	}
	return -1;
}

static int
round_robin_choose(struct sl_policy *policy, sl_policy_share_t share_of, void *arg)
{
	uint32_t rounds, share;
	int index = go_around(policy, share_of, arg, &rounds);

	if (index >= 0 || rounds == UINT32_MAX)
		return index;
	/* None with a full share: around again, all but the last time in one go. */
	for (uint32_t i = 0; rounds > 1 && i < policy->nb_backends; i++) {
		share = share_of(arg, i);
		if (share < SL_POLICY_SHARE_ONE)
			policy->backends[i].pass += (uint64_t)(rounds - 1) * share;
	}
	return go_around(policy, share_of, arg, &rounds);
}

const struct sl_policy_ops sl_policy_round_robin = {
	.name = "round-robin",
	.init = round_robin_init,
	.carry = round_robin_carry,
	.choose = round_robin_choose,
};
