/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <rte_common.h>

#include "checks.h"
#include "sl_log.h"

static void
set_share(void *arg, uint32_t destination, uint32_t backend, uint32_t share)
{
	RTE_BUILD_BUG_ON(SL_HEALTH_SHARE_ONE != SL_DATAPATH_SHARE_ONE);
	sl_datapath_set_share(arg, destination, backend, share);
}

static void
log_event(void *arg, enum sl_config_level level, const char *kind, json_t *fields, const char *text)
{
	RTE_SET_USED(arg);
	RTE_SET_USED(kind);
	sl_log(SL_LOG_health, level, "%s", text);
	json_decref(fields);
}

int
checks_start(struct event_base *base, const struct sl_config *config, struct sl_datapath *datapath,
	struct sl_checks **checks)
{
	const struct sl_checks_params params = {
		.base = base,
		.hooks = {.arg = datapath, .set_share = set_share, .event = log_event},
		.node = config->node,
	};

	return sl_checks_create(&params, config, checks);
}
