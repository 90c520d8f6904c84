/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "sl_health.h"

uint32_t
sl_health_group_up(const struct sl_health_group *group)
{
	return group->nb_states[SL_HEALTH_WARMING] + group->nb_states[SL_HEALTH_UP] +
		group->nb_states[SL_HEALTH_SUSPECT];
}

enum sl_health_panic
sl_health_group_update(struct sl_health_group *group)
{
	uint64_t usable = sl_health_group_up(group) + (uint64_t)group->nb_states[SL_HEALTH_NEW];
	uint64_t total = usable + group->nb_states[SL_HEALTH_DOWN];
	bool is_panic = usable * 100 < group->threshold_percent * total;

	if (is_panic == group->is_panic)
		return SL_HEALTH_PANIC_SAME;
	group->is_panic = is_panic;
	return is_panic ? SL_HEALTH_PANIC_BEGINS : SL_HEALTH_PANIC_ENDS;
}

uint32_t
sl_health_group_share(
	const struct sl_health_group *group, const struct sl_health *health, uint64_t now_ms)
{
	enum sl_health_state state = sl_health_get_state(health);

	if (group->is_panic && state != SL_HEALTH_DRAINING && state != SL_HEALTH_MAINTENANCE)
		return SL_HEALTH_SHARE_ONE;
	return sl_health_share(health, now_ms);
}
