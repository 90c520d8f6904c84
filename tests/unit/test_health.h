/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TEST_HEALTH_H
#define TEST_HEALTH_H

/* A machine, and what it asked for, for both suites of lib/health. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sl_health.h"

#define ACTIONS_MAX 64

struct rig {
	struct sl_health *health;
	struct sl_health_action actions[ACTIONS_MAX];
	uint32_t nb_actions;
};

/* Take all actions there are at @p now. */
static inline void
rig_run(struct rig *rig, uint64_t now)
{
	rig->nb_actions = 0;
	while (sl_health_next(rig->health, now, &rig->actions[rig->nb_actions])) {
		rig->nb_actions++;
		assert(rig->nb_actions < ACTIONS_MAX);
	}
}

static inline void
rig_init(struct rig *rig, const struct sl_health_params *params, uint64_t hash, uint64_t now)
{
	void *memory = malloc(sl_health_memory_size(params));

	assert(memory != NULL);
	rig->health = sl_health_init(memory, params, hash, SL_HEALTH_ADMIN_READY, now);
	rig->nb_actions = 0;
}

static inline void
rig_free(struct rig *rig)
{
	free(rig->health);
}

static inline const struct sl_health_action *
rig_find(const struct rig *rig, enum sl_health_action_type type)
{
	for (uint32_t i = 0; i < rig->nb_actions; i++) {
		if (rig->actions[i].type == type)
			return &rig->actions[i];
	}
	return NULL;
}

#endif /* TEST_HEALTH_H */
