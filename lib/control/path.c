/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>

#include "control_internal.h"
#include "request.h"
#include "sl_neighbours.h"

/* How often a draining path is asked whether it is empty. */
#define DRAIN_POLL_US 5000

static void
end_drain(struct sl_control *c)
{
	struct sl_request *request;

	event_del(c->drain_timer);
	sl_datapath_stop(c->params.datapath);
	c->is_draining = false;
	while ((request = TAILQ_FIRST(&c->stopping)) != NULL)
		request_done(request, 0, NULL, json_pack("{s:b}", "running", 0));
	if (c->is_quitting)
		c->params.quit(c->params.quit_arg);
}

static void
on_drain(evutil_socket_t fd, short what, void *arg)
{
	struct sl_control *c = arg;
	uint64_t left = sl_datapath_in_flight(c->params.datapath);

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	if (left != 0 && control_now_ms() < c->drain_until_ms)
		return;
	if (left != 0)
		c->params.log(c->params.log_arg, SL_LEVEL_WARN,
			"%" PRIu64
			" messages could not be delivered within drain_timeout_ms (%u): dropped "
			"as `shutdown`",
			left, c->config->drain_timeout_ms);
	end_drain(c);
}

