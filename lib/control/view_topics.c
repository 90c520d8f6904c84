/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <string.h>

#include "control_internal.h"
#include "members.h"
#include "sl_checks.h"

/* Views of topics, of subscribers, and of the gateways. */

enum subscriber_kind { KIND_STATIC, KIND_DYNAMIC, KIND_GATEWAY, KINDS };

static const char *const kinds[KINDS] = {
	[KIND_STATIC] = "static",
	[KIND_DYNAMIC] = "dynamic",
	[KIND_GATEWAY] = "gateway",
};

static enum subscriber_kind
kind_of(const struct sl_config *config, const struct sl_config_backend *backend)
{
	if (!backend->is_member)
		return KIND_STATIC;
	return config->ports[backend->port_index].is_gateway ? KIND_GATEWAY : KIND_DYNAMIC;
}

static json_t *
topic_of(struct sl_control *c, uint32_t index)
{
	const struct sl_config_destination *d = &c->config->destinations[index];
	struct sl_destination_stats stats;
	struct sl_backend_stats backend;
	uint32_t nb[KINDS] = {0};
	uint64_t queued = 0, dropped = 0;

	sl_datapath_get_destination_stats(c->params.datapath, index, &stats);
	marks_subtract_destination(c->marks, index, &stats);
	for (uint32_t i = 0; i < d->nb_backends; i++) {
		sl_datapath_get_backend_stats(c->params.datapath, index, i, &backend);
		nb[kind_of(c->config, &d->backends[i])]++;
		queued += backend.queued;
		dropped += backend.dropped;
	}
	return json_pack("{s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name", d->name,
		"guarantee",
		d->guarantee == SL_CONFIG_AT_LEAST_ONCE ? "at-least-once" : "at-most-once",
		"is_on_demand", index >= c->file->nb_destinations, "subscribers",
		(json_int_t)d->nb_backends, "static", (json_int_t)nb[KIND_STATIC], "dynamic",
		(json_int_t)nb[KIND_DYNAMIC], "gateway", (json_int_t)nb[KIND_GATEWAY], "delivered",
		(json_int_t)stats.delivered, "duplicates", (json_int_t)stats.duplicates,
		"subscribers_dropped", (json_int_t)dropped, "queued", (json_int_t)queued);
}

json_t *
view_topics(struct sl_control *c, struct view_call *call)
{
	json_t *list = json_array();

	RTE_SET_USED(call);
	for (uint32_t i = 0; i < c->config->nb_destinations; i++) {
		if (c->config->destinations[i].kind == SL_CONFIG_TOPIC)
			json_array_append_new(list, topic_of(c, i));
	}
	return list;
}

static json_t *
subscriber_of(struct sl_control *c, uint32_t destination, uint32_t index)
{
	const struct sl_config_destination *d = &c->config->destinations[destination];
	const struct sl_config_backend *b = &d->backends[index];
	struct member_info info = {.ttl_left_ms = UINT64_MAX};
	struct sl_check_status status;
	struct sl_backend_stats stats;
	char address[SL_IP_STRLEN];
	json_t *json;

	if (b->is_member)
		members_find(c->members, d->name, b->name, &info);
	sl_datapath_get_backend_stats(c->params.datapath, destination, index, &stats);
	json = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:b, s:b}", "destination", d->name, "name",
		b->name, "kind", kinds[kind_of(c->config, b)], "address",
		sl_ip_format(&b->address, address), "port", (json_int_t)b->port, "delivered",
		(json_int_t)marks_subtract_backend(c->marks, destination, index, stats.delivered),
		"is_durable",
		d->guarantee == SL_CONFIG_AT_LEAST_ONCE && (!b->is_member || info.is_durable),
		"is_away", info.is_away);
	if (d->kind == SL_CONFIG_TOPIC) {
		json_object_set_new(json, "queued", integer(stats.queued));
		json_object_set_new(json, "capacity", integer(d->queue_capacity));
		json_object_set_new(json, "dropped", integer(stats.dropped));
	}
	json_object_set_new(json, "ttl_left_s",
		info.ttl_left_ms == UINT64_MAX ? json_null()
					       : json_real((double)info.ttl_left_ms / 1e3));
	if (c->params.checks != NULL &&
		sl_checks_get(c->params.checks, destination, index, &status))
		json_object_set_new(json, "state", json_string(status.state_name));
	return json;
}

/* A topic's are all of its backends; a queue's those that have joined. */
static void
append_subscribers(struct sl_control *c, uint32_t destination, json_t *list)
{
	const struct sl_config_destination *d = &c->config->destinations[destination];

	for (uint32_t i = 0; i < d->nb_backends; i++) {
		if (d->kind == SL_CONFIG_TOPIC || d->backends[i].is_member)
			json_array_append_new(list, subscriber_of(c, destination, i));
	}
}

json_t *
view_subscribers(struct sl_control *c, struct view_call *call)
{
	return view_each_destination(c, call, append_subscribers);
}

static json_t *
find_gateway(const json_t *all, const char *name)
{
	static const char *const lists[] = {"gateways", "connectors"};
	json_t *gateway;
	size_t at;

	for (size_t i = 0; i < RTE_DIM(lists); i++) {
		json_array_foreach(json_object_get(all, lists[i]), at, gateway)
		{
			const char *own = json_string_value(json_object_get(gateway, "name"));

			if (own != NULL && strcmp(own, name) == 0)
				return gateway;
		}
	}
	return NULL;
}

json_t *
ingress_show(struct sl_control *c)
{
	return c->params.ingress != NULL
		? c->params.ingress(c->params.arg)
		: json_pack("{s:[], s:[], s:[], s:{s:i, s:i, s:i}}", "gateways", "connectors",
			  "threads", "names", "remembered", 0, "max", 0, "refused", 0);
}

static json_t *
view_clients(struct sl_control *c, struct view_call *call)
{
	json_t *list = NULL;

	if (strcmp(call->arguments[1], "clients") != 0)
		call->rc = control_fail(
			-EINVAL, call->error, call->error_len, "ingress takes [GATEWAY [clients]]");
	else if (c->params.ingress_clients != NULL)
		list = c->params.ingress_clients(c->params.arg, call->arguments[0]);
	if (list == NULL && call->rc == 0)
		call->rc = control_fail(-ENOENT, call->error, call->error_len,
			"there is no gateway %.64s: see ingress", call->arguments[0]);
	return list;
}

json_t *
view_ingress(struct sl_control *c, struct view_call *call)
{
	json_t *all, *one;

	if (call->nb_arguments == 2)
		return view_clients(c, call);
	all = ingress_show(c);
	if (call->nb_arguments == 0 || all == NULL)
		return all;
	one = json_incref(find_gateway(all, call->arguments[0]));
	json_decref(all);
	if (one == NULL)
		call->rc = control_fail(-ENOENT, call->error, call->error_len,
			"there is no gateway %.64s: see ingress", call->arguments[0]);
	return one;
}
