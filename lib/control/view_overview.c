/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mempool.h>

#include "control_internal.h"
#include "durable.h"
#include "overview.h"

/*
 * What an operator of rooms asks for, in one reading. Rates are of the time since the reading
 * before, when that was a second ago or more; nothing is counted while nobody asks.
 */

#define SAMPLE_MS   1000u
#define ROOMS_SHOWN 256u
#define TOP_SHOWN   10u

struct sample {
	uint64_t at_ms;
	uint64_t received, delivered;
	uint64_t rows[SL_CONFIG_SINKS_MAX];
};

struct overview {
	struct sample before, latest;
};

struct overview *
overview_create(uint64_t now_ms)
{
	struct overview *o = calloc(1, sizeof(*o));

	if (o != NULL)
		o->before.at_ms = o->latest.at_ms = now_ms;
	return o;
}

void
overview_destroy(struct overview *o)
{
	free(o);
}

static void
take_sample(struct sl_control *c, const struct sl_datapath_stats *stats, struct sample *s)
{
	struct sl_sink_status sink;

	*s = (struct sample){.at_ms = control_now_ms(),
		.received = stats->received,
		.delivered = stats->delivered};
	for (uint32_t i = 0; i < durable_nb_sinks(c->durable) && i < SL_CONFIG_SINKS_MAX; i++) {
		durable_sink(c->durable, i, &sink);
		s->rows[i] = sink.rows;
	}
}

static double
rate(uint64_t now, uint64_t before, double seconds)
{
	return seconds > 0 && now > before ? (double)(now - before) / seconds : 0;
}

static void
put(json_t *json, const char *key, uint64_t value)
{
	json_object_set_new(json, key, integer(value));
}

static void
put_rate(json_t *json, const char *key, double value)
{
	json_object_set_new(json, key, json_real(value));
}

/* Lists of what gateways of rooms show. */

static json_int_t
texts_of(const json_t *object)
{
	return json_integer_value(json_object_get(object, "texts"));
}

static int
compare_texts(const void *a, const void *b)
{
	json_int_t one = texts_of(*(json_t *const *)a), other = texts_of(*(json_t *const *)b);

	return one == other ? 0 : one < other ? 1 : -1;
}

/* Those with most texts first. @param nb  no more than that; @return a list, or NULL */
static json_t *
sort_by_texts(const json_t *list, size_t nb)
{
	size_t size = json_array_size(list);
	json_t **items = calloc(size + 1, sizeof(*items)), *sorted = json_array();

	if (items == NULL)
		return sorted;
	for (size_t i = 0; i < size; i++)
		items[i] = json_array_get(list, i);
	qsort(items, size, sizeof(*items), compare_texts);
	for (size_t i = 0; i < size && i < nb; i++)
		json_array_append(sorted, items[i]);
	free(items);
	return sorted;
}

/* Of all gateways, each with its name; who is in a room is another view's. */
static json_t *
rooms_of(const json_t *ingress)
{
	json_t *list = json_array(), *sorted, *gateway, *room, *copy;
	size_t i, k;

	json_array_foreach(json_object_get(ingress, "gateways"), i, gateway)
	{
		json_array_foreach(json_object_get(gateway, "rooms"), k, room)
		{
			copy = json_copy(room);
			json_object_del(copy, "users");
			json_object_set(copy, "gateway", json_object_get(gateway, "name"));
			json_array_append_new(list, copy);
		}
	}
	sorted = sort_by_texts(list, ROOMS_SHOWN);
	json_decref(list);
	return sorted;
}

/* Of all gateways; who is in several has the texts of all. */
static json_t *
top_users_of(const json_t *ingress)
{
	json_t *users = json_object(), *list = json_array(), *sorted, *gateway, *user, *known;
	const char *id;
	size_t i, k;

	json_array_foreach(json_object_get(ingress, "gateways"), i, gateway)
	{
		json_array_foreach(json_object_get(gateway, "top_users"), k, user)
		{
			id = json_string_value(json_object_get(user, "userId"));
			if (id == NULL)
				continue;
			known = json_object_get(users, id);
			if (known == NULL)
				json_object_set_new(users, id, json_copy(user));
			else
				json_object_set_new(known, "texts",
					json_integer(texts_of(known) + texts_of(user)));
		}
	}
	json_object_foreach(users, id, user) json_array_append(list, user);
	sorted = sort_by_texts(list, TOP_SHOWN);
	json_decref(list);
	json_decref(users);
	return sorted;
}

/* The rest. */

static json_t *
database_of(struct sl_control *c, const struct sample *before, const struct sample *now)
{
	double seconds = (double)(now->at_ms - before->at_ms) / 1e3;
	json_t *list = json_array(), *one;
	struct sl_sink_status s;

	for (uint32_t i = 0; i < durable_nb_sinks(c->durable) && i < SL_CONFIG_SINKS_MAX; i++) {
		durable_sink(c->durable, i, &s);
		one = json_pack("{s:s, s:s, s:f}", "name", s.name, "state",
			durable_sink_state_name(s.state), "lag_s", (double)s.lag_ns / 1e9);
		put(one, "lag_bytes", s.lag_bytes);
		put(one, "rows", s.rows);
		put_rate(one, "rows_per_s", rate(now->rows[i], before->rows[i], seconds));
		put(one, "failures", s.failures);
		json_array_append_new(list, one);
	}
	return list;
}

static void
add_pool(struct rte_mempool *pool, void *arg)
{
	json_array_append_new(arg,
		json_pack("{s:s, s:I, s:I}", "name", pool->name, "size", (json_int_t)pool->size,
			"free", (json_int_t)rte_mempool_avail_count(pool)));
}

static json_t *
gateways_of(const json_t *ingress)
{
	static const char *const keys[] = {
		"clients", "connections", "subscriptions", "accepted", "delivered"};
	json_t *list = json_array(), *gateway, *one;
	size_t at;

	json_array_foreach(json_object_get(ingress, "gateways"), at, gateway)
	{
		one = json_object();
		json_object_set(one, "name", json_object_get(gateway, "name"));
		json_object_set(one, "protocol", json_object_get(gateway, "protocol"));
		for (size_t i = 0; i < RTE_DIM(keys); i++)
			json_object_set(one, keys[i], json_object_get(gateway, keys[i]));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *
queue_of(struct sl_control *c, const struct sl_datapath_stats *stats)
{
	uint64_t parked = 0, in_flight = 0;
	struct sl_queue_stats queue;

	for (uint32_t i = 0; i < c->config->nb_destinations; i++) {
		sl_datapath_get_queue(c->params.datapath, i, &queue);
		parked += queue.parked_total;
		in_flight += queue.in_flight;
	}
	return json_pack("{s:I, s:I, s:I}", "queued", (json_int_t)stats->queued, "parked",
		(json_int_t)parked, "in_flight", (json_int_t)in_flight);
}

static json_t *
overview_of(struct sl_control *c, const struct sl_datapath_stats *stats,
	const struct sample *before, const struct sample *now)
{
	double seconds = (double)(now->at_ms - before->at_ms) / 1e3;
	json_t *json = json_object(), *ingress = ingress_show(c), *pools = json_array();
	json_t *messages = json_object();

	put(json, "uptime_s", (control_now_ms() - c->started_ms) / 1000);
	put_rate(json, "rates_over_s", seconds);
	put(messages, "received", now->received);
	put(messages, "delivered", now->delivered);
	put_rate(messages, "received_per_s", rate(now->received, before->received, seconds));
	put_rate(messages, "delivered_per_s", rate(now->delivered, before->delivered, seconds));
	json_object_set_new(json, "messages", messages);
	json_object_set_new(json, "queue", queue_of(c, stats));
	json_object_set_new(json, "database", database_of(c, before, now));
	rte_mempool_walk(add_pool, pools);
	json_object_set_new(json, "pools", pools);
	json_object_set_new(json, "gateways", gateways_of(ingress));
	json_object_set_new(json, "rooms", rooms_of(ingress));
	json_object_set_new(json, "top_users", top_users_of(ingress));
	json_decref(ingress);
	return json;
}

json_t *
view_overview(struct sl_control *c, struct view_call *call)
{
	struct sl_datapath_stats *stats = view_get_stats(c, call);
	struct overview *o = c->overview;
	struct sample now;
	json_t *json;

	if (stats == NULL)
		return NULL;
	take_sample(c, stats, &now);
	if (now.at_ms - o->latest.at_ms >= SAMPLE_MS) {
		o->before = o->latest;
		o->latest = now;
	}
	json = overview_of(c, stats, &o->before, &now);
	free(stats);
	return json;
}
