/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "control_internal.h"
#include "sl_checks.h"
#include "sl_neighbours.h"

/* Views of destinations and their backends. */

static const char *const policies[] = {
	[SL_CONFIG_ROUND_ROBIN] = "round-robin",
	[SL_CONFIG_WEIGHTED_ROUND_ROBIN] = "weighted-round-robin",
};

static const char *const guarantees[] = {
	[SL_CONFIG_AT_MOST_ONCE] = "at-most-once",
	[SL_CONFIG_AT_LEAST_ONCE] = "at-least-once",
};

static const char *const admin_states[] = {
	[SL_CONFIG_READY] = "ready",
	[SL_CONFIG_DRAIN] = "drain",
	[SL_CONFIG_MAINTENANCE] = "maintenance",
};

static void
put(json_t *json, const char *key, uint64_t value)
{
	json_object_set_new(json, key, integer(value));
}

static void
add_neighbour(struct sl_control *c, const struct sl_config_backend *b, json_t *json)
{
	struct sl_neighbour_info info;
	bool is_known = c->params.neighbours != NULL &&
		sl_neighbours_find(c->params.neighbours, &b->next_hop, b->port_index, &info);

	json_object_set_new(
		json, "neighbour_state", is_known ? json_string(info.state) : json_null());
	json_object_set_new(json, "mac", is_known ? neighbour_mac(&info) : json_null());
}

static json_t *
backend_of(struct sl_control *c, uint32_t destination, uint32_t index)
{
	const struct sl_config_destination *d = &c->config->destinations[destination];
	const struct sl_config_backend *b = &d->backends[index];
	char address[SL_IP_STRLEN], next_hop[SL_IP_STRLEN];
	struct sl_check_status status;
	struct sl_backend_stats stats;
	json_t *json;

	sl_datapath_get_backend_stats(c->params.datapath, destination, index, &stats);
	json = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:f, s:I, s:s, s:s}", "destination",
		d->name, "name", b->name, "address", sl_ip_format(&b->address, address), "port",
		(json_int_t)b->port, "weight", (json_int_t)b->weight, "rate_msgs_per_s",
		(json_int_t)b->rate_msgs_per_s, "admin_state", admin_states[b->state],
		"share_percent", 100.0 * stats.share / SL_DATAPATH_SHARE_ONE, "delivered",
		(json_int_t)marks_subtract_backend(c->marks, destination, index, stats.delivered),
		"port_name", c->config->ports[b->port_index].name, "next_hop",
		sl_ip_format(&b->next_hop, next_hop));
	if (d->kind == SL_CONFIG_TOPIC) {
		json_object_set_new(json, "queued", integer(stats.queued));
		json_object_set_new(json, "dropped", integer(stats.dropped));
	}
	add_neighbour(c, b, json);
	if (c->params.checks == NULL ||
		!sl_checks_get(c->params.checks, destination, index, &status))
		return json;
	json_object_set_new(json, "state", json_string(status.state_name));
	json_object_set_new(json, "since_s", integer(status.age_ms / 1000));
	json_object_set_new(json, "check_failures_in_row", integer(status.failures_in_row));
	json_object_set_new(json, "check_latency_us",
		status.has_latency ? json_real((double)status.last_latency_ns / 1e3) : json_null());
	json_object_set_new(json, "reason", json_string(status.reason));
	return json;
}

static json_t *
destination_of(struct sl_control *c, uint32_t index)
{
	const struct sl_config_destination *d = &c->config->destinations[index];
	struct sl_checks_destination checked = {.nb_up = d->nb_backends};
	struct sl_destination_stats stats;
	struct sl_queue_stats queue;
	char key[17];
	json_t *json;

	sl_datapath_get_destination_stats(c->params.datapath, index, &stats);
	marks_subtract_destination(c->marks, index, &stats);
	if (c->params.checks != NULL)
		sl_checks_get_destination(c->params.checks, index, &checked);
	snprintf(key, sizeof(key), "%016" PRIx64, d->key);
	json = json_pack(
		"{s:s, s:s, s:s}", "name", d->name, "key", key, "policy", policies[d->policy]);
	json_object_set_new(
		json, "kind", json_string(d->kind == SL_CONFIG_TOPIC ? "topic" : "queue"));
	put(json, "rate_msgs_per_s", d->rate_msgs_per_s);
	put(json, "class_boost", d->class_boost);
	put(json, "default_class", d->default_class);
	put(json, "partitions", d->partitions);
	put(json, "backends", d->nb_backends);
	put(json, "backends_up", checked.nb_up);
	json_object_set_new(json, "is_panic", json_boolean(checked.is_panic));
	json_object_set_new(json, "guarantee", json_string(guarantees[d->guarantee]));
	put(json, "delivered", stats.delivered);
	put(json, "duplicates", stats.duplicates);
	put(json, "dropped", stats.dropped);
	put(json, "queued", stats.queued);
	put(json, "queue_capacity", d->queue_capacity);
	sl_datapath_get_queue(c->params.datapath, index, &queue);
	put(json, "parked", queue.parked_total);
	put(json, "in_flight", queue.in_flight);
	return json;
}

json_t *
view_destinations(struct sl_control *c, struct view_call *call)
{
	json_t *list = json_array();

	RTE_SET_USED(call);
	for (uint32_t i = 0; i < c->config->nb_destinations; i++)
		json_array_append_new(list, destination_of(c, i));
	return list;
}

uint32_t
named_destination(struct sl_control *c, struct view_call *call)
{
	uint32_t index = find_destination(c->config, call->arguments[0]);

	if (index == UINT32_MAX)
		call->rc = control_fail(-ENOENT, call->error, call->error_len,
			"there is no destination %.64s: see destinations", call->arguments[0]);
	return index;
}

static void
append_backends(struct sl_control *c, uint32_t destination, json_t *list)
{
	for (uint32_t i = 0; i < c->config->destinations[destination].nb_backends; i++)
		json_array_append_new(list, backend_of(c, destination, i));
}

json_t *
view_destination(struct sl_control *c, struct view_call *call)
{
	uint32_t index = named_destination(c, call);
	json_t *destination, *backends;

	if (index == UINT32_MAX)
		return NULL;
	destination = destination_of(c, index);
	backends = json_array();
	append_backends(c, index, backends);
	json_object_set_new(destination, "backends", backends);
	return destination;
}

json_t *
view_each_destination(struct sl_control *c, struct view_call *call,
	void (*append)(struct sl_control *c, uint32_t destination, json_t *list))
{
	json_t *list;
	uint32_t first = 0, end = c->config->nb_destinations;

	if (call->nb_arguments > 0) {
		first = named_destination(c, call);
		if (first == UINT32_MAX)
			return NULL;
		end = first + 1;
	}
	list = json_array();
	for (uint32_t i = first; i < end; i++)
		append(c, i, list);
	return list;
}

json_t *
view_backends(struct sl_control *c, struct view_call *call)
{
	return view_each_destination(c, call, append_backends);
}

json_t *
view_queues(struct sl_control *c, struct view_call *call)
{
	json_t *list = json_array(), *by_class, *parked_by_class;
	struct sl_queue_stats stats;
	char level[16];

	RTE_SET_USED(call);
	for (uint32_t i = 0; i < c->config->nb_destinations; i++) {
		sl_datapath_get_queue(c->params.datapath, i, &stats);
		by_class = json_object();
		parked_by_class = json_object();
		for (uint32_t k = 0; k < c->config->nb_classes; k++) {
			snprintf(level, sizeof(level), "%u", c->config->classes[k].level);
			json_object_set_new(by_class, level, integer(stats.queued[k]));
			json_object_set_new(parked_by_class, level, integer(stats.parked[k]));
		}
		json_array_append_new(list,
			json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:o}", "destination",
				c->config->destinations[i].name, "queued", (json_int_t)stats.total,
				"capacity", (json_int_t)stats.capacity, "parked",
				(json_int_t)stats.parked_total, "in_flight",
				(json_int_t)stats.in_flight, "by_class", by_class,
				"parked_by_class", parked_by_class));
	}
	return list;
}

json_t *
view_health(struct sl_control *c, struct view_call *call)
{
	uint32_t destination = named_destination(c, call), backend;

	if (destination == UINT32_MAX)
		return NULL;
	backend = find_backend(&c->config->destinations[destination], call->arguments[1]);
	if (backend == UINT32_MAX) {
		call->rc = control_fail(-ENOENT, call->error, call->error_len,
			"%.64s has no backend %.64s: see backends", call->arguments[0],
			call->arguments[1]);
		return NULL;
	}
	if (c->params.checks == NULL) {
		call->rc = control_fail(
			-ENOENT, call->error, call->error_len, "nothing is checked here");
		return NULL;
	}
	return sl_checks_history(c->params.checks, destination, backend);
}
