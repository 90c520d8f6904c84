/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>

#include "control_internal.h"
#include "request.h"
#include "sl_checks.h"
#include "sl_log.h"
#include "sl_neighbours.h"

/* How often a draining path is asked whether it is empty. */
#define DRAIN_POLL_US 5000

/* What those who take messages in are given to come to an end. */
#define QUIET_MS 1000

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
		c->params.quit(c->params.arg);
}

/* Nothing comes in any more, or not for long: the path ends. */
static void
end_quiet(struct sl_control *c)
{
	c->is_quieting = false;
	if (!c->is_draining)
		event_del(c->drain_timer);
	path_stop(c);
	if (!c->is_draining)
		c->params.quit(c->params.arg);
}

static void
on_drain(evutil_socket_t fd, short what, void *arg)
{
	struct sl_control *c = arg;
	uint64_t left;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	if (c->is_quieting) {
		if (c->params.quiet(c->params.arg) || control_now_ms() >= c->quiet_until_ms)
			end_quiet(c);
		return;
	}
	left = sl_datapath_in_flight(c->params.datapath);
	if (left != 0 && control_now_ms() < c->drain_until_ms)
		return;
	if (left != 0)
		sl_log(SL_LOG_main, SL_LEVEL_WARN,
			"%" PRIu64
			" messages could not be delivered within drain_timeout_ms (%u): dropped "
			"as `shutdown`",
			left, c->config->drain_timeout_ms);
	end_drain(c);
}

int
path_create(struct sl_control *c)
{
	TAILQ_INIT(&c->stopping);
	c->drain_timer = event_new(c->params.base, -1, EV_PERSIST, on_drain, c);
	return c->drain_timer == NULL ? -ENOMEM : 0;
}

void
path_destroy(struct sl_control *c)
{
	if (c->drain_timer != NULL)
		event_free(c->drain_timer);
}

void
path_stop(struct sl_control *c)
{
	const struct timeval interval = {.tv_usec = DRAIN_POLL_US};

	if (c->is_draining || !sl_datapath_is_running(c->params.datapath))
		return;
	sl_log(SL_LOG_main, SL_LEVEL_NOTIFY, "delivering what is queued, for up to %u ms",
		c->config->drain_timeout_ms);
	/* A path that drains hears no answers: who is well now is to take what waits. */
	if (c->params.checks != NULL)
		sl_checks_freeze(c->params.checks);
	c->is_draining = true;
	c->drain_until_ms = control_now_ms() + c->config->drain_timeout_ms;
	sl_datapath_drain(c->params.datapath);
	event_add(c->drain_timer, &interval);
}

bool
sl_control_quit(struct sl_control *c)
{
	const struct timeval interval = {.tv_usec = DRAIN_POLL_US};

	if (c->is_quitting)
		return false;
	c->is_quitting = true;
	if (c->params.quiet == NULL || !sl_control_is_running(c) ||
		c->params.quiet(c->params.arg)) {
		end_quiet(c);
		return true;
	}
	c->is_quieting = true;
	c->quiet_until_ms = control_now_ms() + QUIET_MS;
	event_add(c->drain_timer, &interval);
	return true;
}

int
sl_control_start(struct sl_control *c, char *error, size_t error_len)
{
	int rc;

	if (c->is_draining || c->is_quitting)
		return control_fail(-EBUSY, error, error_len,
			"the path is stopping: start it when it has stopped");
	if (sl_datapath_is_running(c->params.datapath))
		return 0;
	rc = sl_datapath_start(c->params.datapath, error, error_len);
	if (rc != 0)
		return rc;
	if (c->params.neighbours != NULL)
		sl_neighbours_announce(c->params.neighbours);
	if (c->params.checks != NULL)
		sl_checks_thaw(c->params.checks);
	return 0;
}

bool
sl_control_is_running(const struct sl_control *c)
{
	return !c->is_draining && sl_datapath_is_running(c->params.datapath);
}
