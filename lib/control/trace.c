/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "control_internal.h"
#include "request.h"

#define POLL_US 10000

/* Events of one trace that are told: some 64 for each message it may follow. */
#define EVENTS_MAX 4096

static json_t *
hex(uint64_t high, uint64_t low, bool is_long)
{
	char text[33];

	if (is_long)
		snprintf(text, sizeof(text), "%016" PRIx64 "%016" PRIx64, high, low);
	else
		snprintf(text, sizeof(text), "%016" PRIx64, low);
	return json_string(text);
}

json_t *
name_or_key(const struct sl_control *c, uint64_t key)
{
	const char *name = sl_config_name_of(c->config, key);

	return name != NULL ? json_string(name) : hex(0, key, false);
}

static json_t *
message_of(const struct sl_control *c, const struct sl_trace_event *e)
{
	json_t *message = json_object();

	json_object_set_new(message, "source", name_or_key(c, e->source));
	json_object_set_new(message, "destination", name_or_key(c, e->destination));
	json_object_set_new(message, "type", name_or_key(c, e->type));
	json_object_set_new(message, "id", hex(e->id_high, e->id_low, true));
	json_object_set_new(message, "priority", integer(e->priority));
	json_object_set_new(message, "steps", json_array());
	return message;
}

static json_t *
to_json(const struct sl_control *c, const struct sl_trace_event *events, uint32_t nb_events)
{
	json_t *messages = json_array(), *steps = NULL, *message;
	uint64_t began = 0;

	/* By message, then by time. */
	for (uint32_t i = 0; i < nb_events; i++) {
		const struct sl_trace_event *e = &events[i];

		if (e->is_first) {
			message = message_of(c, e);
			steps = json_object_get(message, "steps");
			json_array_append_new(messages, message);
			began = e->tsc;
		}
		if (steps == NULL)
			continue;
		json_array_append_new(steps,
			json_pack("{s:s, s:i, s:f}", "node", e->node, "lcore", (int)e->lcore, "us",
				(double)(int64_t)(e->tsc - began) * 1e6 /
					(double)rte_get_tsc_hz()));
	}
	return messages;
}

static void
finish(struct sl_control *c)
{
	struct sl_trace_event *events = calloc(EVENTS_MAX, sizeof(*events));
	struct sl_request *request = TAILQ_FIRST(&c->tracing);
	bool is_done = false;
	uint32_t n;

	if (request != NULL && events != NULL) {
		n = sl_datapath_trace_read(c->params.datapath, events, EVENTS_MAX, &is_done);
		request_done(request, 0, NULL,
			json_pack("{s:b, s:o}", "is_complete", is_done, "messages",
				to_json(c, events, n)));
	} else if (request != NULL) {
		request_done(request, ENOMEM, "no memory for the trace", NULL);
	}
	free(events);
	sl_datapath_trace_stop(c->params.datapath);
	event_del(c->trace_timer);
	c->is_tracing = false;
}

static void
on_trace(evutil_socket_t fd, short what, void *arg)
{
	struct sl_control *c = arg;
	bool is_done = false;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	sl_datapath_trace_read(c->params.datapath, NULL, 0, &is_done);
	if (is_done || control_now_ms() >= c->trace_until_ms || TAILQ_EMPTY(&c->tracing) ||
		!sl_datapath_is_running(c->params.datapath))
		finish(c);
}

int
trace_create(struct sl_control *c)
{
	TAILQ_INIT(&c->tracing);
	c->trace_timer = event_new(c->params.base, -1, EV_PERSIST, on_trace, c);
	return c->trace_timer == NULL ? -ENOMEM : 0;
}

void
trace_destroy(struct sl_control *c)
{
	if (c->trace_timer != NULL)
		event_free(c->trace_timer);
}

int
trace_begin(struct sl_control *c, const struct sl_trace_filter *filter, uint32_t timeout_ms,
	char *error, size_t error_len)
{
	const struct timeval interval = {.tv_usec = POLL_US};
	int rc;

	if (!sl_datapath_is_running(c->params.datapath))
		return control_fail(-ENETDOWN, error, error_len, "the path is stopped: start it");
	if (c->is_tracing)
		return control_fail(
			-EBUSY, error, error_len, "another trace is on: wait for its end");
	rc = sl_datapath_trace(c->params.datapath, filter);
	if (rc != 0)
		return control_fail(rc, error, error_len, "trace: %s", strerror(-rc));
	c->is_tracing = true;
	c->trace_until_ms = control_now_ms() + timeout_ms;
	event_add(c->trace_timer, &interval);
	return 0;
}
