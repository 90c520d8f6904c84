/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_POLICY_H
#define SL_POLICY_H

/**
 * @file
 * Which backend of a destination takes the next message.
 *
 * A policy is one file with one struct sl_policy_ops; it knows backends only as numbers 0..n-1
 * with weights, and asks the caller whether one may take a message now. A new policy adds a file
 * and a line in policy.c.
 *
 * Threads: the state of a destination belongs to one thread. No call allocates or blocks.
 */

#include <stdbool.h>
#include <stdint.h>

/** What a policy remembers of one backend. */
struct sl_policy_backend {
	uint64_t pass;	 /**< Weighted round robin: virtual time of its next turn. */
	uint64_t stride; /**< Virtual time between two turns. */
};

/** What a policy remembers of one destination. */
struct sl_policy {
	const struct sl_policy_ops *ops;
	struct sl_policy_backend *backends; /**< @p nb_backends, the caller's memory. */
	uint32_t nb_backends;
	uint32_t cursor; /**< Round robin: whose turn it is. */
	uint64_t now;	 /**< Weighted round robin: the virtual clock, which may wrap. */
};

/** May backend @p index take a message now? */
typedef bool (*sl_policy_eligible_t)(void *arg, uint32_t index);

/** One policy. */
struct sl_policy_ops {
	const char *name; /**< As in the configuration file. */
	/** Set up the state of one destination; weights are >= 1. */
	void (*init)(struct sl_policy *policy, const uint32_t *weights);
	/**
	 * Choose an eligible backend and give it its turn.
	 * @return its number, or -1 when none is eligible
	 */
	int (*choose)(struct sl_policy *policy, sl_policy_eligible_t is_eligible, void *arg);
};

/**
 * Each backend in turn; one that is not eligible loses its turn. Cost: one question when the next
 * is eligible, at most n.
 */
extern const struct sl_policy_ops sl_policy_round_robin;

/**
 * Turns in proportion to the weights, spread evenly: stride scheduling (C. Waldspurger, W. Weihl,
 * MIT/LCS/TM-528, 1995). A backend that comes back gets its share from then on, not what it
 * missed. Cost grows with the number of backends.
 */
extern const struct sl_policy_ops sl_policy_weighted_round_robin;

/** All policies, ended by NULL. */
extern const struct sl_policy_ops *const sl_policies[];

/** The policy of this name, NULL when there is none. */
const struct sl_policy_ops *sl_policy_find(const char *name);

/**
 * Begin with a destination's backends.
 * @param backends  memory for nb_backends, kept by the caller as long as the policy
 */
void sl_policy_init(struct sl_policy *policy, const struct sl_policy_ops *ops,
	struct sl_policy_backend *backends, uint32_t nb_backends, const uint32_t *weights);

static inline int
sl_policy_choose(struct sl_policy *policy, sl_policy_eligible_t is_eligible, void *arg)
{
	return policy->ops->choose(policy, is_eligible, arg);
}

#endif /* SL_POLICY_H */
