/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stddef.h>
#include <string.h>

#include "sl_policy.h"

const struct sl_policy_ops *const sl_policies[] = {
	&sl_policy_round_robin,
	&sl_policy_weighted_round_robin,
	NULL,
};

const struct sl_policy_ops *
sl_policy_find(const char *name)
{
	for (const struct sl_policy_ops *const *ops = sl_policies; *ops != NULL; ops++) {
		if (strcmp((*ops)->name, name) == 0)
			return *ops;
	}
	return NULL;
}

void
sl_policy_init(struct sl_policy *policy, const struct sl_policy_ops *ops,
	struct sl_policy_backend *backends, uint32_t nb_backends, const uint32_t *weights)
{
	memset(policy, 0, sizeof(*policy));
	policy->ops = ops;
	policy->backends = backends;
	policy->nb_backends = nb_backends;
	ops->init(policy, weights);
}

void
sl_policy_carry(struct sl_policy *policy, const struct sl_policy *old, const uint32_t *from)
{
	if (old->ops == policy->ops)
		policy->ops->carry(policy, old, from);
}
