/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <rte_common.h>

#include "checks.h"

static void
set_share(void *arg, uint32_t destination, uint32_t backend, uint32_t share)
{
	struct checks_context *context = arg;

	RTE_BUILD_BUG_ON(SL_HEALTH_SHARE_ONE != SL_DATAPATH_SHARE_ONE);
	/* A path that drains or stands hears no answers; all are told again when it has started. */
	if (context->control != NULL && !sl_control_is_running(context->control))
		return;
	sl_datapath_set_share(context->datapath, destination, backend, share);
}

static void
on_event(void *arg, enum sl_config_level level, const char *kind, json_t *fields, const char *text)
{
	struct checks_context *context = arg;

	sl_notify(context->notify, level, kind, fields, "%s", text);
}

int
checks_start(struct event_base *base, const struct sl_config *config,
	struct checks_context *context, struct sl_checks **checks)
{
	const struct sl_checks_params params = {
		.base = base,
		.hooks = {.arg = context, .set_share = set_share, .event = on_event},
		.node = config->node,
	};

	return sl_checks_create(&params, config, checks);
}
