/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control_internal.h"
#include "sl_wire.h"

/* What would happen to a message, and why: a sentence for each step, and the facts beside it. */

static void say(json_t *steps, const char *step, const char *format, ...) __rte_format_printf(3, 4);

static void
say(json_t *steps, const char *step, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(steps, json_pack("{s:s, s:s}", "step", step, "text", text));
}

static const struct {
	uint32_t bit;
	const char *name;
	const char *text;
} reasons[] = {
	{SL_BACKEND_PORT_DOWN, "port_down", "its port has no link"},
	{SL_BACKEND_PORT_FULL, "port_full", "its port does not take frames fast enough"},
	{SL_BACKEND_NO_NEIGHBOUR, "no_neighbour", "its next hop does not answer"},
	{SL_BACKEND_NO_SHARE, "no_share", "it is down, draining or in maintenance"},
	{SL_BACKEND_RATE, "rate", "it has had what its rate limit allows"},
};

static json_t *
explain_backend(json_t *steps, const char *name, uint32_t why_not)
{
	json_t *list = json_array();
	char text[256] = "";
	size_t len;

	for (unsigned int i = 0; i < RTE_DIM(reasons); i++) {
		if (!(why_not & reasons[i].bit))
			continue;
		json_array_append_new(list, json_string(reasons[i].name));
		len = strlen(text);
		snprintf(text + len, sizeof(text) - len, "%s%s", len > 0 ? "; " : "",
			reasons[i].text);
	}
	if (why_not == 0)
		say(steps, "backend", "%s may take it", name);
	else
		say(steps, "backend", "%s may not take it: %s", name, text);
	return json_pack(
		"{s:s, s:b, s:o}", "name", name, "may_take", why_not == 0, "why_not", list);
}

static void
explain_rule(const struct sl_config *config, const struct sl_explanation *e,
	const struct explain_query *query, json_t *steps, json_t *json)
{
	const struct sl_config_class *class = &config->classes[e->class_index];
	const struct sl_config_destination *d = &config->destinations[e->destination];

	if (e->rule >= 0)
		say(steps, "rule", "rule %d matches and asks for class %u", e->rule + 1,
			config->rules[e->rule].level);
	else if (query->priority == 0)
		say(steps, "rule",
			"no rule matches; without a priority it asks for class %u, the "
			"destination's default",
			d->default_class);
	else
		say(steps, "rule", "no rule matches; it asks for class %u itself", query->priority);
	say(steps, "class", "with the destination's boost of %u it gets class %u (%s)",
		d->class_boost, class->level, class->name);
	json_object_set_new(json, "rule", e->rule >= 0 ? json_integer(e->rule + 1) : json_null());
	json_object_set_new(json, "class",
		json_pack("{s:i, s:s}", "level", (int)class->level, "name", class->name));
}

static void
explain_queue(const struct sl_explanation *e, json_t *steps, json_t *json)
{
	say(steps, "shard", "partition %u belongs to worker %u on lcore %u", e->partition,
		e->worker, e->lcore);
	say(steps, "queue", "%u of %u messages wait in its queue%s", e->queued, e->capacity,
		e->queued >= e->capacity ? ": the lowest class makes room, or it is dropped" : "");
	if (e->is_rate_limited)
		say(steps, "rate", "the destination's rate limit lets nothing go at this moment");
	json_object_set_new(json, "partition", integer(e->partition));
	json_object_set_new(json, "worker", integer(e->worker));
	json_object_set_new(json, "lcore", integer(e->lcore));
	json_object_set_new(json, "queued", integer(e->queued));
	json_object_set_new(json, "capacity", integer(e->capacity));
	json_object_set_new(json, "is_rate_limited", json_boolean(e->is_rate_limited));
}

static const char *
explain_backends(const struct sl_config_destination *d, const struct sl_explanation *e,
	json_t *steps, json_t *json)
{
	json_t *backends = json_array();
	bool may_any = false;

	for (uint32_t i = 0; i < e->nb_backends && i < d->nb_backends; i++) {
		json_array_append_new(
			backends, explain_backend(steps, d->backends[i].name, e->why_not[i]));
		may_any |= e->why_not[i] == 0;
	}
	json_object_set_new(json, "backends", backends);
	if (e->nb_backends == 0)
		say(steps, "backend", "the destination has no backends");
	return may_any && !e->is_rate_limited ? "delivered" : "waits";
}

static uint64_t
key_of(const char *name)
{
	return name[0] == '\0' ? 0 : sl_wire_name_key(name);
}

json_t *
explain(struct sl_control *c, const struct explain_query *query, struct view_call *call)
{
	const char *outcome = "dropped";
	json_t *json, *steps;
	struct sl_explanation e;
	int rc;

	if (query->destination[0] == '\0' || query->priority > SL_CONFIG_CLASSES_MAX) {
		call->rc = control_fail(-EINVAL, call->error, call->error_len,
			"explain: give a destination, and a priority from 0 to %d",
			SL_CONFIG_CLASSES_MAX);
		return NULL;
	}
	rc = sl_datapath_explain(c->params.datapath, key_of(query->source),
		key_of(query->destination), key_of(query->type), query->priority, &e);
	if (rc != 0) {
		call->rc = control_fail(rc, call->error, call->error_len,
			"explain: an lcore has not taken over the last change yet: try again");
		return NULL;
	}
	steps = json_array();
	json = json_pack("{s:s, s:s, s:s, s:i, s:b}", "source", query->source, "destination",
		query->destination, "type", query->type, "priority", (int)query->priority,
		"is_known", e.is_known);
	if (!e.is_known) {
		say(steps, "route",
			"there is no destination %.64s: it is dropped as "
			"`no_destination`",
			query->destination);
	} else {
		say(steps, "route", "destination %.64s is configured", query->destination);
		explain_rule(c->config, &e, query, steps, json);
		explain_queue(&e, steps, json);
		outcome = explain_backends(
			&c->config->destinations[e.destination], &e, steps, json);
	}
	if (!sl_control_is_running(c)) {
		say(steps, "path", "the path is stopped: nothing is received");
		outcome = "not received";
	}
	json_object_set_new(json, "outcome", json_string(outcome));
	json_object_set_new(json, "steps", steps);
	return json;
}
