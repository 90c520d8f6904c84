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
 * with weights, and asks the caller what share of its weight one may take now. A new policy adds a
 * file and a line in policy.c.
 *
 * Threads: the state of a destination belongs to one thread. No call allocates or blocks.
 */

#include <stdint.h>

/** A full share. */
#define SL_POLICY_SHARE_ONE 256

/** What a policy remembers of one backend. */
struct sl_policy_backend {
	/**
	 * Weighted round robin: virtual time of its next turn. Round robin: what it has of a turn,
	 * in parts of SL_POLICY_SHARE_ONE.
	 */
	uint64_t pass;
	uint64_t stride; /**< Virtual time between two turns with a full share. */
};

/** What a policy remembers of one destination. */
struct sl_policy {
	const struct sl_policy_ops *ops;
	struct sl_policy_backend *backends; /**< @p nb_backends, the caller's memory. */
	uint32_t nb_backends;
	uint32_t cursor; /**< Round robin: whose turn it is. */
	uint64_t now;	 /**< Weighted round robin: the virtual clock, which may wrap. */
};

/** The @p from of a backend that is new. */
#define SL_POLICY_NEW UINT32_MAX

/**
 * How much of its weight backend @p index may take now: 0 (it cannot take a message) to
 * SL_POLICY_SHARE_ONE. A backend that is alone in having a share gets every message.
 */
typedef uint32_t (*sl_policy_share_t)(void *arg, uint32_t index);

/** One policy. */
struct sl_policy_ops {
	const char *name; /**< As in the configuration file. */
	/** Set up the state of one destination; weights are >= 1. */
	void (*init)(struct sl_policy *policy, const uint32_t *weights);
	/** As sl_policy_carry(), of a policy of the same kind. */
	void (*carry)(struct sl_policy *policy, const struct sl_policy *old, const uint32_t *from);
	/**
	 * Choose a backend that has a share and give it its turn.
	 * @return its number, or -1 when none has a share
	 */
	int (*choose)(struct sl_policy *policy, sl_policy_share_t share_of, void *arg);
};

/**
 * Each backend in turn; one without a share loses its turn, one with a part of a share that part of
 * its turns. Cost: one question when the next has a full share, at most 3 n.
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

/**
 * Go on with other backends or weights where @p old was: who stays keeps its place, what it is owed
 * follows its weight. Nothing is taken over from a policy of another kind.
 * @param policy  fresh from sl_policy_init(), in memory other than @p old's
 * @param from    for each of its backends the number it has in @p old, or SL_POLICY_NEW
 */
void sl_policy_carry(struct sl_policy *policy, const struct sl_policy *old, const uint32_t *from);

static inline int
sl_policy_choose(struct sl_policy *policy, sl_policy_share_t share_of, void *arg)
{
	/* Who is alone gets every message it can take, whatever the policy. */
	if (policy->nb_backends == 1)
		return share_of(arg, 0) > 0 ? 0 : -1;
	return policy->ops->choose(policy, share_of, arg);
}

#endif /* SL_POLICY_H */
