/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The raw file to the configuration: destinations, their backends, and rules. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config_internal.h"

/*
 * The port a backend is reached through: the one whose subnet holds it, the longest prefix first;
 * else the first that has a gateway.
 */
const char *
sl_config_route(const struct sl_config *config, struct sl_config_backend *backend)
{
	const struct sl_config_port *port, *near = NULL, *far = NULL;
	uint32_t i;
	enum sl_family family = sl_ip_is_v4(&backend->address) ? SL_IPV4 : SL_IPV6;

	if (!sl_config_is_station(&backend->address))
		return "not a station's address; give the backend's";
	for (i = 0; i < config->nb_ports; i++) {
		port = &config->ports[i];
		if (sl_ip_equal(&port->subnets[family].address, &backend->address))
			return "a port's own address; give the backend's";
		if (sl_config_is_on_subnet(port, &backend->address) &&
			(near == NULL ||
				port->subnets[family].prefix_len >
					near->subnets[family].prefix_len))
			near = port;
		if (far == NULL && !sl_ip_is_unset(&port->subnets[family].gateway))
			far = port;
	}
	if (near == NULL && far == NULL)
		return family == SL_IPV4
			? "on no port's subnet and no port has a gateway; correct it, or give a "
			  "port one"
			: "on no port's subnet and no port has a gateway6; correct it, or give a "
			  "port one";
	if (near != NULL && sl_config_is_subnet_edge(near, &backend->address))
		return "the own or the broadcast address of a port's subnet; give a backend's";
	backend->port_index = (uint32_t)((near != NULL ? near : far) - config->ports);
	backend->next_hop = near != NULL ? backend->address : far->subnets[family].gateway;
	return NULL;
}

static int
take_route(struct sl_config_reader *reader, const struct sl_config_at *at,
	struct sl_config_backend *backend)
{
	const char *wrong = sl_config_route(reader->config, backend);
	char address[SL_IP_STRLEN];

	if (wrong != NULL)
		return sl_config_fail(reader, at, "address", "%s is %s",
			sl_ip_format(&backend->address, address), wrong);
	if (reader->config->ports[backend->port_index].is_gateway)
		return sl_config_fail(reader, at, "address",
			"%s is a gateway's, whose clients subscribe by themselves; give a "
			"backend's",
			sl_ip_format(&backend->address, address));
	return 0;
}

/* What is said of those among which one is chosen means nothing where all are served. */
static int
check_kind(struct sl_config_reader *reader, const struct sl_config_at *at, enum sl_config_kind kind)
{
	const struct raw_destination *raw = &reader->raw->destinations[at->i];
	struct sl_config_at backend = {at->list, at->i, "backends", SL_CONFIG_BACKENDS_MAX};

	if (kind == SL_CONFIG_QUEUE && raw->backends_count > SL_CONFIG_BACKENDS_MAX)
		return sl_config_fail(reader, &backend, "name",
			"too many entries; give a queue at most %d", SL_CONFIG_BACKENDS_MAX);
	if (kind == SL_CONFIG_QUEUE)
		return 0;
	if (raw->policy != NULL)
		return sl_config_fail(reader, at, "policy",
			"is not a key of topics, each of whose messages goes to every backend; "
			"leave it out, or give kind: queue");
	for (backend.j = 0; backend.j < raw->backends_count; backend.j++) {
		if (raw->backends[backend.j].weight != NULL)
			return sl_config_fail(reader, &backend, "weight",
				"is not a key of a topic's backends, which get every message; "
				"leave it out, or give kind: queue");
	}
	return 0;
}

static int
resolve_backends(struct sl_config_reader *reader, uint32_t index, struct sl_config_backend *to)
{
	const struct raw_destination *from = &reader->raw->destinations[index];
	struct sl_config_at at = {.list = "destinations", .i = index, .sublist = "backends"};
	const struct raw_backend *raw;
	int ret;

	for (at.j = 0; at.j < from->backends_count; at.j++, to++) {
		raw = &from->backends[at.j];
		ret = sl_config_take_name(reader, &at, "name", raw->name, &to->name);
		if (ret == 0)
			ret = sl_config_take_address(
				reader, &at, "address", raw->address, &to->address);
		if (ret == 0)
			ret = take_route(reader, &at, to);
		if (ret == 0)
			ret = sl_config_numbers(
				reader, &at, "", sl_config_backend_numbers, raw, to);
		if (ret < 0)
			return ret;
		to->state = (enum sl_config_admin_state)sl_config_choice(
			raw->state, SL_CONFIG_READY);
	}
	return 0;
}

/* Room for a hundredth of a second at the highest rate that the bucket's depth is used for. */
static uint32_t
choose_burst(const struct sl_config_destination *destination)
{
	uint64_t rate = destination->rate_msgs_per_s;
	uint32_t i;

	for (i = 0; i < destination->nb_backends; i++) {
		if (destination->backends[i].rate_msgs_per_s > rate)
			rate = destination->backends[i].rate_msgs_per_s;
	}
	return rate / 100 > SL_CONFIG_BURST_MIN ? (uint32_t)(rate / 100) : SL_CONFIG_BURST_MIN;
}

static int
resolve_destination(struct sl_config_reader *reader, const struct sl_config_at *at,
	struct sl_config_backend *backends)
{
	const struct raw_destination *from = &reader->raw->destinations[at->i];
	struct sl_config_destination *to = &reader->config->destinations[at->i];
	const struct sl_config *config = reader->config;
	int ret;

	ret = sl_config_take_name(reader, at, "name", from->name, &to->name);
	if (ret < 0)
		return ret;
	to->key = reader->hash(to->name);
	to->kind = (enum sl_config_kind)sl_config_choice(from->kind, SL_CONFIG_QUEUE);
	ret = check_kind(reader, at, to->kind);
	if (ret < 0)
		return ret;
	ret = sl_config_numbers(reader, at, "", sl_config_destination_numbers, from, to);
	if (ret < 0)
		return ret;
	to->default_class = config->classes[(config->nb_classes - 1) / 2].level;
	if (from->default_class != NULL)
		ret = sl_config_take_class(
			reader, at, "default_class", from->default_class, &to->default_class);
	if (ret < 0)
		return ret;
	to->policy = (enum sl_config_policy)sl_config_choice(from->policy, SL_CONFIG_ROUND_ROBIN);
	ret = sl_config_resolve_guarantee(reader, at, to);
	if (ret < 0)
		return ret;
	to->nb_backends = from->backends_count;
	to->backends = backends;
	ret = resolve_backends(reader, at->i, backends);
	if (ret == 0)
		ret = sl_config_resolve_health(reader, at->i, &to->health);
	to->is_burst_chosen = to->burst_msgs == 0;
	if (to->is_burst_chosen)
		to->burst_msgs = choose_burst(to);
	return ret;
}

int
sl_config_resolve_destinations(struct sl_config_reader *reader)
{
	const struct raw_config *raw = reader->raw;
	struct sl_config *config = reader->config;
	struct sl_config_at at = {.list = "destinations"};
	struct sl_config_backend *backends;
	size_t nb_backends = 0;
	uint32_t i;
	int ret;

	for (i = 0; i < raw->destinations_count; i++)
		nb_backends += raw->destinations[i].backends_count;
	config->destinations = sl_config_alloc(
		reader, raw->destinations_count * sizeof(*config->destinations));
	backends = sl_config_alloc(reader, nb_backends * sizeof(*backends));
	if (config->destinations == NULL || backends == NULL)
		return sl_config_no_memory(reader);
	config->nb_destinations = raw->destinations_count;
	for (at.i = 0; at.i < raw->destinations_count; at.i++) {
		ret = resolve_destination(reader, &at, backends);
		if (ret < 0)
			return ret;
		backends += raw->destinations[at.i].backends_count;
	}
	return 0;
}

/* The key of a name in a rule; the name itself is kept by names.c. */
static int
take_key(struct sl_config_reader *reader, const struct sl_config_at *at, const char *key,
	const char *raw, uint64_t *value)
{
	int ret;

	if (raw == NULL)
		return 0;
	ret = sl_config_check_name(reader, at, key, raw);
	if (ret == 0)
		*value = reader->hash(raw);
	return ret;
}

static uint32_t
match_of(const struct raw_rule *rule)
{
	return (rule->source != NULL ? SL_RULE_SOURCE : 0) |
		(rule->destination != NULL ? SL_RULE_DESTINATION : 0) |
		(rule->type != NULL ? SL_RULE_TYPE : 0) |
		(rule->priority != NULL ? SL_RULE_PRIORITY : 0);
}

int
sl_config_resolve_rules(struct sl_config_reader *reader)
{
	const struct raw_config *raw = reader->raw;
	struct sl_config *config = reader->config;
	struct sl_config_at at = {.list = "rules"};
	const struct raw_rule *from;
	struct sl_config_rule *to;
	int ret;

	config->rules = sl_config_alloc(reader, raw->rules_count * sizeof(*to));
	if (config->rules == NULL)
		return sl_config_no_memory(reader);
	config->nb_rules = raw->rules_count;
	for (at.i = 0; at.i < raw->rules_count; at.i++) {
		from = &raw->rules[at.i];
		to = &config->rules[at.i];
		to->match = match_of(from);
		ret = take_key(reader, &at, "source", from->source, &to->source);
		if (ret == 0)
			ret = take_key(
				reader, &at, "destination", from->destination, &to->destination);
		if (ret == 0)
			ret = take_key(reader, &at, "type", from->type, &to->type);
		if (ret == 0)
			ret = sl_config_numbers(reader, &at, "", sl_config_rule_numbers, from, to);
		if (ret == 0)
			ret = sl_config_take_class(
				reader, &at, "class", from->class_ref, &to->level);
		if (ret < 0)
			return ret;
	}
	return 0;
}
