/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The configuration back to the raw file. */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <rte_common.h>

#include "config_internal.h"

/* Want of memory is noted, and what is made then is worth nothing; so callers need not look. */
static void *
make(struct sl_config_maker *maker, size_t size)
{
	void *p = sl_config_arena_alloc(maker->arena, size);

	maker->is_out_of_memory = maker->is_out_of_memory || p == NULL;
	return p;
}

static uint64_t
load(const void *from, uint8_t size)
{
	uint64_t v64 = 0;

	/* Little endian or not, each size is its own type. */
	switch (size) {
	case 1:
		return *(const uint8_t *)from;
	case 2:
		return *(const uint16_t *)from;
	case 4:
		return *(const uint32_t *)from;
	default:
		memcpy(&v64, from, sizeof(v64));
		return v64;
	}
}

static int64_t *
make_number(struct sl_config_maker *maker, uint64_t value)
{
	int64_t *number = make(maker, sizeof(*number));

	if (number != NULL)
		*number = (int64_t)value;
	return number;
}

static char *make_text(struct sl_config_maker *maker, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static char *
make_text(struct sl_config_maker *maker, const char *format, ...)
{
	char text[128], *copy;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	copy = make(maker, (size_t)len + 1);
	if (copy != NULL)
		memcpy(copy, text, (size_t)len + 1);
	return copy;
}

/* The default as load() would give it. */
static uint64_t
default_of(const struct sl_config_number *number)
{
	return (uint64_t)number->def & (UINT64_MAX >> (64 - 8 * number->to_size));
}

/* @p base: what has the defaults, where they are not the table's. */
static void
make_numbers(struct sl_config_maker *maker, const struct sl_config_number *numbers,
	const void *from, const void *base, void *to)
{
	const struct sl_config_number *number;
	char text[SL_CONFIG_NUMBER_LEN];
	uint64_t value, def;
	void *raw;

	for (number = numbers; number->key != NULL; number++) {
		value = load((const char *)from + number->to, number->to_size);
		def = base != NULL ? load((const char *)base + number->to, number->to_size)
				   : default_of(number);
		if (value == def && (!maker->is_full || number->def < number->min))
			continue;
		if (number->unit == SL_CONFIG_PLAIN)
			raw = make_number(maker, value);
		else
			raw = make_text(maker, "%s",
				sl_config_format_number((int64_t)value, number->unit, text));
		memcpy((char *)to + number->from, &raw, sizeof(raw));
	}
}

static int *
make_choice(struct sl_config_maker *maker, int value, int def)
{
	int *choice;

	if (value == def && !maker->is_full)
		return NULL;
	choice = make(maker, sizeof(*choice));
	if (choice != NULL)
		*choice = value;
	return choice;
}

static bool *
make_switch(struct sl_config_maker *maker, bool value, bool def)
{
	bool *raw;

	if (value == def && !maker->is_full)
		return NULL;
	raw = make(maker, sizeof(*raw));
	if (raw != NULL)
		*raw = value;
	return raw;
}

/* The configuration's own text, unless it is the default. */
static char *
keep_text(const struct sl_config_maker *maker, char *text, const char *def)
{
	return text != NULL && !maker->is_full && strcmp(text, def) == 0 ? NULL : text;
}

/* NULL for no address. */
static char *
make_address(struct sl_config_maker *maker, const struct sl_ip *address)
{
	char text[SL_IP_STRLEN];

	if (sl_ip_is_unset(address))
		return NULL;
	return make_text(maker, "%s", sl_ip_format(address, text));
}

/* An array of @p count; NULL for none. Its count is stored only when it is there. */
static void *
make_list(struct sl_config_maker *maker, uint32_t count, size_t size, uint32_t *to_count)
{
	void *list = count > 0 ? make(maker, count * size) : NULL;

	*to_count = list != NULL ? count : 0;
	return list;
}

static void
make_subnet(struct sl_config_maker *maker, const struct sl_config_subnet *from, char **address,
	char **gateway)
{
	char text[SL_IP_STRLEN];

	if (sl_ip_is_unset(&from->address))
		return;
	*address = make_text(
		maker, "%s/%" PRIu8, sl_ip_format(&from->address, text), from->prefix_len);
	*gateway = make_address(maker, &from->gateway);
}

static void
make_ports(struct sl_config_maker *maker, struct raw_config *raw)
{
	const struct sl_config *config = maker->config;
	const struct sl_config_port *from;
	struct raw_port *to;
	uint32_t i;

	/* Those of the gateways are not in the file; nor are their neighbours. */
	raw->ports = make_list(
		maker, config->nb_ports - config->gateways.threads, sizeof(*to), &raw->ports_count);
	for (i = 0; i < raw->ports_count; i++) {
		from = &config->ports[i];
		to = &raw->ports[i];
		to->name = from->name;
		to->device = from->device;
		make_subnet(maker, &from->subnets[SL_IPV4], &to->address, &to->gateway);
		make_subnet(maker, &from->subnets[SL_IPV6], &to->address6, &to->gateway6);
		make_numbers(maker, sl_config_port_numbers, from, NULL, to);
		to->check_udp_checksum = make_switch(maker, from->is_udp_checksum_checked, true);
		to->send_udp_checksum = make_switch(maker, from->is_udp_checksum_sent, true);
	}
}

static void
make_lcores(struct sl_config_maker *maker, struct raw_config *raw)
{
	const struct sl_config *config = maker->config;
	uint32_t i;

	raw->lcores = make_list(maker, config->nb_lcores, sizeof(*raw->lcores), &raw->lcores_count);
	for (i = 0; i < raw->lcores_count; i++) {
		make_numbers(
			maker, sl_config_lcore_numbers, &config->lcores[i], NULL, &raw->lcores[i]);
		raw->lcores[i].roles = config->lcores[i].roles;
	}
}

static void
make_classes(struct sl_config_maker *maker, struct raw_config *raw)
{
	const struct sl_config *config = maker->config;
	uint32_t i;

	raw->classes = make_list(
		maker, config->nb_classes, sizeof(*raw->classes), &raw->classes_count);
	for (i = 0; i < raw->classes_count; i++) {
		make_numbers(maker, sl_config_class_numbers, &config->classes[i], NULL,
			&raw->classes[i]);
		raw->classes[i].name = config->classes[i].name;
	}
}

static char *
name_class(const struct sl_config *config, uint32_t level)
{
	uint32_t i = 0;

	while (config->classes[i].level != level)
		i++;
	return config->classes[i].name;
}

static void
make_check(struct sl_config_maker *maker, const struct sl_config_check *from, struct raw_check *to)
{
	bool is_http = from->kind == SL_CHECK_HTTP;

	to->kind = make_choice(maker, (int)from->kind, -1);
	to->address = make_address(maker, &from->address);
	make_numbers(maker, sl_config_check_numbers, from, NULL, to);
	to->path = keep_text(maker, from->path, "/");
	to->host = from->host;
	if (is_http && from->status_min == from->status_max)
		to->status = make_text(maker, "%" PRIu16, from->status_min);
	else if (is_http && (from->status_min != 200 || from->status_max != 399 || maker->is_full))
		to->status = make_text(
			maker, "%" PRIu16 "-%" PRIu16, from->status_min, from->status_max);
	to->body = from->body;
	to->send = from->send;
	to->expect = from->expect;
	to->argv = from->argv;
	to->argv_count = from->nb_argv;
}

static void
make_checks(
	struct sl_config_maker *maker, const struct sl_config_health *from, struct raw_health *to)
{
	uint32_t i;

	to->checks = make_list(maker, from->nb_checks, sizeof(*to->checks), &to->checks_count);
	for (i = 0; i < to->checks_count; i++)
		make_check(maker, &from->checks[i], &to->checks[i]);
}

/* An interval that is interval_ms unless it is given, or the file's is. */
static int64_t *
make_interval(struct sl_config_maker *maker, const struct sl_config_health *own, uint32_t value,
	uint32_t file_value)
{
	const struct sl_config_health *file = &maker->config->health;
	uint32_t def = own->interval_ms;

	if (own != file && file_value != file->interval_ms && !maker->is_full)
		def = file_value;
	return value == def ? NULL : make_number(maker, value);
}

/* All but the checks. */
static void
make_health(
	struct sl_config_maker *maker, const struct sl_config_health *from, struct raw_health *to)
{
	const struct sl_config_health *file = &maker->config->health;

	make_numbers(maker, sl_config_health_numbers, from, from != file ? file : NULL, to);
	to->fast_interval_ms = make_interval(
		maker, from, from->fast_interval_ms, file->fast_interval_ms);
	to->down_interval_ms = make_interval(
		maker, from, from->down_interval_ms, file->down_interval_ms);
}

bool
sl_config_has_own_checks(
	const struct sl_config *config, const struct sl_config_destination *destination)
{
	const struct sl_config_health *own = &destination->health, *file = &config->health;

	return own->nb_checks != file->nb_checks ||
		(own->nb_checks > 0 && own->checks != file->checks);
}

static struct raw_health *
make_destination_health(struct sl_config_maker *maker, const struct sl_config_destination *from)
{
	static const struct raw_health empty;
	struct raw_health made = {0}, *to;

	make_health(maker, &from->health, &made);
	if (maker->is_full || sl_config_has_own_checks(maker->config, from)) {
		make_checks(maker, &from->health, &made);
		made.has_no_checks = from->health.nb_checks == 0;
		/* For the writer: a list that is there and has nothing in it. */
		if (made.has_no_checks)
			made.checks = make(maker, sizeof(*made.checks));
	}
	if (memcmp(&made, &empty, sizeof(empty)) == 0)
		return NULL;
	to = make(maker, sizeof(*to));
	if (to != NULL)
		*to = made;
	return to;
}

static void
make_backends(struct sl_config_maker *maker, const struct sl_config_destination *from,
	struct raw_destination *to)
{
	const struct sl_config_backend *backend;
	struct raw_backend *raw;
	uint32_t i;

	to->backends = make_list(maker, from->nb_backends, sizeof(*raw), &to->backends_count);
	for (i = 0; i < to->backends_count; i++) {
		backend = &from->backends[i];
		raw = &to->backends[i];
		raw->name = backend->name;
		raw->address = make_address(maker, &backend->address);
		make_numbers(maker, sl_config_backend_numbers, backend, NULL, raw);
		raw->state = make_choice(maker, (int)backend->state, SL_CONFIG_READY);
	}
}

int
sl_config_make_raw_destination(struct sl_config_maker *maker,
	const struct sl_config_destination *from, struct raw_destination *to)
{
	const struct sl_config *config = maker->config;

	to->name = from->name;
	to->kind = make_choice(maker, (int)from->kind, SL_CONFIG_QUEUE);
	make_numbers(maker, sl_config_destination_numbers, from, NULL, to);
	if (from->is_burst_chosen)
		to->burst_msgs = NULL;
	if (maker->is_full ||
		from->default_class != config->classes[(config->nb_classes - 1) / 2].level)
		to->default_class = name_class(config, from->default_class);
	if (from->kind == SL_CONFIG_QUEUE)
		to->policy = make_choice(maker, (int)from->policy, SL_CONFIG_ROUND_ROBIN);
	make_backends(maker, from, to);
	to->guarantee = make_choice(maker, (int)from->guarantee, SL_CONFIG_AT_MOST_ONCE);
	to->dead_letter = from->dead_letter;
	to->health = make_destination_health(maker, from);
	return maker->is_out_of_memory ? -ENOMEM : 0;
}

static char *
name_key(const struct sl_config_maker *maker, const struct sl_config_rule *rule, uint32_t match,
	uint64_t key)
{
	/* Raw strings are not written to; libcyaml's type has no const. */
	return rule->match & match ? (char *)(uintptr_t)sl_config_name_of(maker->config, key)
				   : NULL;
}

static void
make_rules(struct sl_config_maker *maker, struct raw_config *raw)
{
	const struct sl_config *config = maker->config;
	const struct sl_config_rule *from;
	struct raw_rule *to;
	uint32_t i;

	raw->rules = make_list(maker, config->nb_rules, sizeof(*to), &raw->rules_count);
	for (i = 0; i < raw->rules_count; i++) {
		from = &config->rules[i];
		to = &raw->rules[i];
		to->source = name_key(maker, from, SL_RULE_SOURCE, from->source);
		to->destination = name_key(maker, from, SL_RULE_DESTINATION, from->destination);
		to->type = name_key(maker, from, SL_RULE_TYPE, from->type);
		make_numbers(maker, sl_config_rule_numbers, from, NULL, to);
		to->class_ref = name_class(config, from->level);
	}
}

static void
make_neighbours(struct sl_config_maker *maker, struct raw_config *raw)
{
	const struct sl_config *config = maker->config;
	const uint8_t *mac;
	uint32_t i;

	raw->neighbours = make_list(maker, config->nb_neighbours - config->gateways.threads,
		sizeof(*raw->neighbours), &raw->neighbours_count);
	for (i = 0; i < raw->neighbours_count; i++) {
		mac = config->neighbours[i].mac.addr_bytes;
		raw->neighbours[i].address = make_address(maker, &config->neighbours[i].address);
		raw->neighbours[i].mac = make_text(maker, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
			mac[1], mac[2], mac[3], mac[4], mac[5]);
	}
}

static void
make_log(struct sl_config_maker *maker, struct raw_log *to)
{
	const struct sl_config_log *from = &maker->config->log;
	uint32_t i;

	to->target = make_choice(maker, (int)from->target, SL_LOG_STDERR);
	to->file = from->file;
	to->format = make_choice(
		maker, from->is_json ? RAW_FORMAT_JSON : RAW_FORMAT_TEXT, RAW_FORMAT_TEXT);
	to->level = make_choice(maker, (int)from->level, SL_LEVEL_INFO);
	make_numbers(maker, sl_config_log_numbers, from, NULL, to);
	to->levels = make_list(maker, from->nb_levels, sizeof(*to->levels), &to->levels_count);
	for (i = 0; i < to->levels_count; i++) {
		to->levels[i].module = from->levels[i].module;
		to->levels[i].level = make_choice(maker, (int)from->levels[i].level, -1);
	}
}

static void
make_events(struct sl_config_maker *maker, struct raw_events *to)
{
	const struct sl_config_events *from = &maker->config->events;
	uint32_t i;

	make_numbers(maker, sl_config_event_numbers, from, NULL, to);
	to->exec = make_list(maker, from->nb_exec, sizeof(*to->exec), &to->exec_count);
	for (i = 0; i < to->exec_count; i++) {
		to->exec[i].argv = from->exec[i].argv;
		to->exec[i].argv_count = from->exec[i].nb_argv;
		make_numbers(maker, sl_config_exec_numbers, &from->exec[i], NULL, &to->exec[i]);
		to->exec[i].level = make_choice(maker, (int)from->exec[i].level, SL_LEVEL_NOTIFY);
	}
	to->webhooks = make_list(
		maker, from->nb_webhooks, sizeof(*to->webhooks), &to->webhooks_count);
	for (i = 0; i < to->webhooks_count; i++) {
		to->webhooks[i].url = from->webhooks[i].url;
		make_numbers(maker, sl_config_webhook_numbers, &from->webhooks[i], NULL,
			&to->webhooks[i]);
		to->webhooks[i].level = make_choice(
			maker, (int)from->webhooks[i].level, SL_LEVEL_NOTIFY);
	}
}

/* Where to listen; the zero address is one, too. */
static char *
make_listening(struct sl_config_maker *maker, const struct sl_ip *address)
{
	char text[SL_IP_STRLEN];

	return make_text(maker, "%s", sl_ip_format(address, text));
}

static void
make_http(struct sl_config_maker *maker, struct raw_http *to)
{
	const struct sl_config_http *from = &maker->config->http;
	char text[SL_IP_STRLEN];

	to->enabled = make_switch(maker, from->is_enabled, true);
	sl_ip_format(&from->address, text);
	if (maker->is_full || strcmp(text, "127.0.0.1") != 0)
		to->address = make_text(maker, "%s", text);
	make_numbers(maker, sl_config_http_numbers, from, NULL, to);
}

static void
make_journal(struct sl_config_maker *maker, struct raw_journal *to)
{
	const struct sl_config_journal *from = &maker->config->journal;

	if (from->directory == NULL)
		return;
	to->directory = from->directory;
	make_numbers(maker, sl_config_journal_numbers, from, NULL, to);
	if (from->retention_bytes == from->max_bytes / 2 && !maker->is_full)
		to->retention_bytes = NULL;
	to->direct = make_switch(maker, from->is_direct, true);
}

static void
make_sinks(struct sl_config_maker *maker, struct raw_config *raw)
{
	const struct sl_config_sink *from = maker->config->sinks;
	struct raw_sink *to;
	uint32_t i;

	raw->sinks = make_list(
		maker, maker->config->nb_sinks, sizeof(*raw->sinks), &raw->sinks_count);
	for (i = 0; i < raw->sinks_count; i++, from++) {
		to = &raw->sinks[i];
		to->name = from->name;
		to->kind = make_choice(maker, (int)from->kind, -1);
		to->path = from->path;
		to->conninfo = from->conninfo;
		make_numbers(maker, sl_config_sink_numbers, from, NULL, to);
		if (from->kind == SL_SINK_SQLITE) {
			to->writers = NULL;
			to->keep_days = NULL;
		}
	}
}

static void
make_listener(
	struct sl_config_maker *maker, const struct sl_config_gateway *from, struct raw_gateway *to)
{
	bool has_topics = from->protocol == SL_GATEWAY_LINE || from->protocol == SL_GATEWAY_ROOMS;

	to->protocol = make_choice(maker, (int)from->protocol, -1);
	if (maker->is_full || !sl_ip_is_unset(&from->address))
		to->address = make_listening(maker, &from->address);
	make_numbers(maker, sl_config_listener_numbers, from, NULL, to);
	if (from->port == sl_config_gateway_port(from->protocol) && !maker->is_full)
		to->port = NULL;
	if (from->clients_per_address_max == from->clients_max && !maker->is_full)
		to->clients_per_address_max = NULL;
	to->tls_certificate = from->tls_certificate;
	to->tls_key = from->tls_key;
	to->tokens = from->tokens;
	to->primary = from->primary;
	to->prefix = keep_text(maker, from->prefix, "");
	to->origins = from->origins;
	to->origins_count = from->nb_origins;
	if (from->protocol == SL_GATEWAY_LINE)
		to->keep_open = make_switch(maker, from->is_kept_open, false);
	if (from->protocol != SL_GATEWAY_ROOMS)
		to->rooms = NULL;
	if (from->protocol != SL_GATEWAY_HTTP)
		to->replay = to->replay_ms = NULL;
	if (has_topics)
		to->guarantee = make_choice(maker, (int)from->guarantee, SL_CONFIG_AT_MOST_ONCE);
	else
		to->topics_max = NULL;
}

/* Listeners come before connectors. */
static void
make_gateways(struct sl_config_maker *maker, struct raw_gateways *to)
{
	const struct sl_config_gateways *from = &maker->config->gateways;
	uint32_t nb_connectors = 0, nb_listeners, i;

	for (i = 0; i < from->nb_gateways; i++)
		nb_connectors += from->gateways[i].is_connector;
	nb_listeners = from->nb_gateways - nb_connectors;
	if (from->nb_gateways > 0)
		make_numbers(maker, sl_config_gateways_numbers, from, NULL, to);
	to->listeners = make_list(
		maker, nb_listeners, sizeof(*to->listeners), &to->listeners_count);
	to->connectors = make_list(
		maker, nb_connectors, sizeof(*to->connectors), &to->connectors_count);
	for (i = 0; i < to->listeners_count; i++) {
		to->listeners[i].name = from->gateways[i].name;
		make_listener(maker, &from->gateways[i], &to->listeners[i]);
	}
	for (i = 0; i < to->connectors_count; i++) {
		const struct sl_config_gateway *gateway = &from->gateways[nb_listeners + i];

		to->connectors[i].name = gateway->name;
		to->connectors[i].servers = gateway->servers;
		to->connectors[i].servers_count = gateway->nb_servers;
		to->connectors[i].tls = make_switch(maker, gateway->is_tls, false);
		to->connectors[i].tls_ca = gateway->tls_ca;
		to->connectors[i].tls_name = gateway->tls_name;
		make_numbers(maker, sl_config_connector_numbers, gateway, NULL, &to->connectors[i]);
	}
}

int
sl_config_make_raw_top(struct sl_config_maker *maker, struct raw_config *raw)
{
	const struct sl_config *config = maker->config;

	memset(raw, 0, sizeof(*raw));
	raw->node = keep_text(maker, config->node, "sluice");
	make_numbers(maker, sl_config_top_numbers, config, NULL, raw);
	make_numbers(maker, sl_config_dedup_numbers, config, NULL, &raw->dedup);
	make_numbers(maker, sl_config_idle_numbers, config, NULL, &raw->idle);
	make_numbers(maker, sl_config_ring_numbers, config, NULL, &raw->rings);
	make_numbers(maker, sl_config_arp_numbers, config, NULL, &raw->arp);
	make_numbers(maker, sl_config_limit_numbers, &config->limits, NULL, &raw->limits);
	raw->idle.nap = make_choice(maker, (int)config->nap, SL_CONFIG_AUTO);
	make_ports(maker, raw);
	make_lcores(maker, raw);
	make_classes(maker, raw);
	make_rules(maker, raw);
	make_neighbours(maker, raw);
	make_health(maker, &config->health, &raw->health);
	make_checks(maker, &config->health, &raw->health);
	make_journal(maker, &raw->journal);
	make_numbers(
		maker, sl_config_publisher_numbers, &config->publishers, NULL, &raw->publishers);
	make_sinks(maker, raw);
	make_gateways(maker, &raw->gateways);
	make_numbers(maker, sl_config_subscription_numbers, &config->subscriptions, NULL,
		&raw->subscriptions);
	raw->subscriptions.accept = make_switch(maker, config->subscriptions.is_open, false);
	make_log(maker, &raw->log);
	make_events(maker, &raw->events);
	raw->control.socket = keep_text(maker, config->control.socket, "/run/sluice/control.sock");
	raw->control.group = config->control.group;
	make_numbers(maker, sl_config_control_numbers, &config->control, NULL, &raw->control);
	make_http(maker, &raw->http);
	return maker->is_out_of_memory ? -ENOMEM : 0;
}

int
sl_config_make_raw(struct sl_config_maker *maker, struct raw_config *raw)
{
	const struct sl_config *config = maker->config;
	int ret = sl_config_make_raw_top(maker, raw);
	uint32_t i;

	raw->destinations = make_list(maker, config->nb_destinations, sizeof(*raw->destinations),
		&raw->destinations_count);
	for (i = 0; i < raw->destinations_count && ret == 0; i++)
		ret = sl_config_make_raw_destination(
			maker, &config->destinations[i], &raw->destinations[i]);
	return maker->is_out_of_memory ? -ENOMEM : ret;
}
