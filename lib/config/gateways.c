/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The raw file to the configuration: gateways, what stands for their threads in the path, and
 * subscriptions. */

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "config_internal.h"

#define HOST_LEN_MAX   253
#define ORIGIN_LEN_MAX 255
#define PREFIX_LEN_MAX 32

/* 192.0.0.0/24 is for protocols, not for stations of a network (RFC 6890): thread i has the four
 * addresses from 192.0.0.(4i) on. */
#define GATEWAY_NET	    UINT32_C(0xc0000000)
#define GATEWAY_PREFIX_LEN  30
#define GATEWAY_NET_LEN	    27
#define GATEWAY_DESCRIPTORS 1024
/* Not of a wire: what the longest of all ports may have. */
#define GATEWAY_MTU 9000

#define PROTOCOL(protocol) (1u << (protocol))
#define TOPICS		   (PROTOCOL(SL_GATEWAY_LINE) | PROTOCOL(SL_GATEWAY_ROOMS))
#define WEB		   (PROTOCOL(SL_GATEWAY_ROOMS) | PROTOCOL(SL_GATEWAY_HTTP))

static const struct {
	const char *name;
	uint16_t port;
} protocols[] = {
	[SL_GATEWAY_JSON] = {"json", 9000},
	[SL_GATEWAY_LINE] = {"line", 8080},
	[SL_GATEWAY_ROOMS] = {"rooms", 8081},
	[SL_GATEWAY_HTTP] = {"http", 8082},
};

/* Keys that not all protocols have; where their pointers stand in struct raw_gateway. */
static const struct {
	const char *key;
	size_t offset;
	uint32_t protocols;
} own_keys[] = {
	{"tokens", offsetof(struct raw_gateway, tokens), WEB},
	{"keep_open", offsetof(struct raw_gateway, keep_open), PROTOCOL(SL_GATEWAY_LINE)},
	{"prefix", offsetof(struct raw_gateway, prefix), TOPICS},
	{"topics_max", offsetof(struct raw_gateway, topics_max), TOPICS},
	{"guarantee", offsetof(struct raw_gateway, guarantee), TOPICS},
	{"rooms", offsetof(struct raw_gateway, rooms), PROTOCOL(SL_GATEWAY_ROOMS)},
	{"origins", offsetof(struct raw_gateway, origins), WEB},
	{"replay", offsetof(struct raw_gateway, replay), PROTOCOL(SL_GATEWAY_HTTP)},
	{"replay_ms", offsetof(struct raw_gateway, replay_ms), PROTOCOL(SL_GATEWAY_HTTP)},
	{"primary", offsetof(struct raw_gateway, primary), PROTOCOL(SL_GATEWAY_LINE)},
};

uint16_t
sl_config_gateway_port(enum sl_config_protocol protocol)
{
	return protocols[protocol].port;
}

static int
check_own_keys(struct sl_config_reader *reader, const struct sl_config_at *at,
	const struct raw_gateway *raw)
{
	const void *value;
	size_t i;

	for (i = 0; i < RTE_DIM(own_keys); i++) {
		memcpy(&value, (const char *)raw + own_keys[i].offset, sizeof(value));
		if (value != NULL && (own_keys[i].protocols & PROTOCOL(*raw->protocol)) == 0)
			return sl_config_fail(reader, at, own_keys[i].key,
				"is not a key of %s listeners; leave it out, or change the "
				"protocol",
				protocols[*raw->protocol].name);
	}
	if ((raw->tls_certificate == NULL) != (raw->tls_key == NULL))
		return sl_config_fail(reader, at,
			raw->tls_key == NULL ? "tls_key" : "tls_certificate",
			"is missing; TLS needs both, the certificate and its key");
	return 0;
}

/* "HOST:PORT"; an IPv6 address in brackets. */
static int
take_peer(struct sl_config_reader *reader, const struct sl_config_at *at, const char *key,
	const char *raw, char **peer)
{
	const char *colon;
	long port;
	size_t len;

	if (raw == NULL)
		return 0;
	colon = strrchr(raw, ':');
	len = colon != NULL ? (size_t)(colon - raw) : 0;
	port = colon != NULL && sl_config_is_whole_number(colon + 1) ? atol(colon + 1) : 0;
	if (len == 0 || len > HOST_LEN_MAX || port < 1 || port > UINT16_MAX ||
		strpbrk(raw, " \t/@") != NULL || !sl_config_is_printable(raw) ||
		(raw[0] == '[') != (raw[len - 1] == ']') ||
		(raw[0] != '[' && memchr(raw, ':', len) != NULL))
		return sl_config_fail(reader, at, key,
			"'%.80s' is not a host and a port; write it like 10.77.0.5:8001 or "
			"[fd00:77::5]:8001",
			raw);
	return sl_config_copy(reader, raw, peer);
}

static int
take_texts(struct sl_config_reader *reader, const struct sl_config_at *at, const char *key,
	char *const *raw, uint32_t count,
	int (*take)(struct sl_config_reader *reader, const struct sl_config_at *at, const char *key,
		const char *raw, char **text),
	char ***texts, uint32_t *nb_texts)
{
	uint32_t i;
	int ret = 0;

	if (count == 0)
		return 0;
	*texts = sl_config_alloc(reader, count * sizeof(**texts));
	if (*texts == NULL)
		return sl_config_no_memory(reader);
	for (i = 0; i < count && ret == 0; i++)
		ret = take(reader, at, key, raw[i], &(*texts)[i]);
	*nb_texts = count;
	return ret;
}

static int
take_origin(struct sl_config_reader *reader, const struct sl_config_at *at, const char *key,
	const char *raw, char **text)
{
	return sl_config_take_line(reader, at, key, raw, ORIGIN_LEN_MAX, text);
}

/* What a name begins with may not leave room for the rest of it. */
static int
take_prefix(struct sl_config_reader *reader, const struct sl_config_at *at, const char *raw,
	char **prefix)
{
	if (raw == NULL || raw[0] == '\0')
		return sl_config_copy(reader, "", prefix);
	return sl_config_take_line(reader, at, "prefix", raw, PREFIX_LEN_MAX, prefix);
}

static int
take_guarantee(struct sl_config_reader *reader, const struct sl_config_at *at,
	const struct raw_gateway *raw, struct sl_config_gateway *to)
{
	to->guarantee = (enum sl_config_guarantee)sl_config_choice(
		raw->guarantee, SL_CONFIG_AT_MOST_ONCE);
	if (to->guarantee == SL_CONFIG_AT_MOST_ONCE || reader->config->journal.directory != NULL)
		return 0;
	return sl_config_fail(reader, at, "guarantee",
		"at-least-once needs a journal, and there is none; give journal: {directory: ...}, "
		"or at-most-once");
}

static bool
may_clash(const struct sl_ip *a, uint16_t a_port, const struct sl_ip *b, uint16_t b_port)
{
	return a_port == b_port &&
		(sl_ip_is_unset(a) || sl_ip_is_unset(b) || sl_ip_equal(a, b) ||
			(sl_ip_is_v4(a) && sl_ip_v4(a) == 0) ||
			(sl_ip_is_v4(b) && sl_ip_v4(b) == 0));
}

/* Against those before it, and the appliance's own page. */
static int
check_port_is_free(struct sl_config_reader *reader, const struct sl_config_at *at)
{
	const struct sl_config_gateway *gateways = reader->config->gateways.gateways;
	const struct sl_config_http *http = &reader->config->http;
	const struct sl_config_gateway *own = &gateways[at->i];
	uint32_t i;

	for (i = 0; i < at->i; i++) {
		if (may_clash(&gateways[i].address, gateways[i].port, &own->address, own->port))
			return sl_config_fail(reader, at, "port",
				"%" PRIu16 " is %s[%" PRIu32 "]'s, too; give each listener its own",
				own->port, at->list, i);
	}
	if (http->is_enabled && may_clash(&http->address, http->port, &own->address, own->port))
		return sl_config_fail(reader, at, "port",
			"%" PRIu16 " is http.port's, too; give the listener another", own->port);
	return 0;
}

static int
take_listener(struct sl_config_reader *reader, const struct sl_config_at *at,
	struct sl_config_gateway *to)
{
	const struct raw_gateway *raw = &reader->raw->gateways.listeners[at->i];
	int ret;

	to->protocol = (enum sl_config_protocol) * raw->protocol;
	ret = check_own_keys(reader, at, raw);
	if (ret == 0)
		ret = sl_config_take_listener(reader, at, "address",
			raw->address != NULL ? raw->address : "::", &to->address);
	if (ret == 0)
		ret = sl_config_numbers(reader, at, "", sl_config_listener_numbers, raw, to);
	if (ret == 0)
		ret = sl_config_take_path(reader, at, "tls_certificate", raw->tls_certificate,
			PATH_MAX - 1, &to->tls_certificate);
	if (ret == 0)
		ret = sl_config_take_path(
			reader, at, "tls_key", raw->tls_key, PATH_MAX - 1, &to->tls_key);
	if (ret == 0)
		ret = sl_config_take_path(
			reader, at, "tokens", raw->tokens, PATH_MAX - 1, &to->tokens);
	if (ret == 0)
		ret = take_prefix(reader, at, raw->prefix, &to->prefix);
	if (ret == 0)
		ret = take_guarantee(reader, at, raw, to);
	if (ret == 0)
		ret = take_peer(reader, at, "primary", raw->primary, &to->primary);
	if (ret == 0)
		ret = take_texts(reader, at, "origins", raw->origins, raw->origins_count,
			take_origin, &to->origins, &to->nb_origins);
	if (ret < 0)
		return ret;
	to->is_kept_open = raw->keep_open != NULL && *raw->keep_open;
	if (to->port == 0)
		to->port = sl_config_gateway_port(to->protocol);
	if (to->clients_per_address_max == 0)
		to->clients_per_address_max = to->clients_max;
	if (to->protocol != SL_GATEWAY_ROOMS)
		to->nb_rooms = 0;
	if ((PROTOCOL(to->protocol) & TOPICS) == 0)
		to->topics_max = 0;
	if (to->protocol != SL_GATEWAY_HTTP)
		to->replay = to->replay_ms = 0;
	return check_port_is_free(reader, at);
}

static int
take_connector_tls(struct sl_config_reader *reader, const struct sl_config_at *at,
	const struct raw_gateway *raw, struct sl_config_gateway *to)
{
	int ret = 0;

	to->is_tls = raw->tls != NULL && *raw->tls;
	if (!to->is_tls && (raw->tls_ca != NULL || raw->tls_name != NULL))
		return sl_config_fail(reader, at, raw->tls_ca != NULL ? "tls_ca" : "tls_name",
			"is of no use without TLS; give tls: true, or leave it out");
	ret = sl_config_take_path(reader, at, "tls_ca", raw->tls_ca, PATH_MAX - 1, &to->tls_ca);
	if (ret == 0 && raw->tls_name != NULL)
		ret = sl_config_take_line(
			reader, at, "tls_name", raw->tls_name, HOST_LEN_MAX, &to->tls_name);
	return ret;
}

/* Each has its connection, and its counters. */
static int
check_servers(struct sl_config_reader *reader, const struct sl_config_at *at,
	const struct sl_config_gateway *to)
{
	for (uint32_t i = 0; i < to->nb_servers; i++) {
		for (uint32_t j = 0; j < i; j++) {
			if (strcmp(to->servers[i], to->servers[j]) == 0)
				return sl_config_fail(reader, at, "servers",
					"'%s' is named twice; name it once", to->servers[i]);
		}
	}
	return 0;
}

static int
take_connector(struct sl_config_reader *reader, const struct sl_config_at *at,
	struct sl_config_gateway *to)
{
	const struct raw_gateway *raw = &reader->raw->gateways.connectors[at->i];
	int ret;

	to->protocol = SL_GATEWAY_JSON;
	to->is_connector = true;
	ret = sl_config_copy(reader, "", &to->prefix);
	if (ret == 0)
		ret = sl_config_numbers(reader, at, "", sl_config_connector_numbers, raw, to);
	if (ret == 0)
		ret = take_texts(reader, at, "servers", raw->servers, raw->servers_count, take_peer,
			&to->servers, &to->nb_servers);
	if (ret == 0)
		ret = check_servers(reader, at, to);
	if (ret == 0)
		ret = take_connector_tls(reader, at, raw, to);
	return ret;
}

/* Its name, against those before it. */
static int
take_gateway_name(struct sl_config_reader *reader, const struct sl_config_at *at, const char *raw,
	struct sl_config_gateway *to)
{
	const struct sl_config_gateway *other = reader->config->gateways.gateways;
	int ret = sl_config_take_name(reader, at, "name", raw, &to->name);

	for (; other < to && ret == 0; other++) {
		if (strcmp(other->name, to->name) == 0)
			ret = sl_config_fail(reader, at, "name",
				"'%s' is the name of another listener or connector; rename one of "
				"them",
				to->name);
	}
	return ret;
}

static int
take_gateways(struct sl_config_reader *reader)
{
	const struct raw_gateways *raw = &reader->raw->gateways;
	struct sl_config_gateways *gateways = &reader->config->gateways;
	struct sl_config_at at = {.list = "gateways.listeners"};
	struct sl_config_gateway *to = gateways->gateways;
	int ret = 0;

	for (at.i = 0; at.i < raw->listeners_count && ret == 0; at.i++, to++) {
		ret = take_gateway_name(reader, &at, raw->listeners[at.i].name, to);
		if (ret == 0)
			ret = take_listener(reader, &at, to);
	}
	at.list = "gateways.connectors";
	for (at.i = 0; at.i < raw->connectors_count && ret == 0; at.i++, to++) {
		ret = take_gateway_name(reader, &at, raw->connectors[at.i].name, to);
		if (ret == 0)
			ret = take_connector(reader, &at, to);
	}
	return ret;
}

static struct sl_ip
gateway_ip(uint32_t thread, uint32_t host)
{
	return sl_ip_from_v4(rte_cpu_to_be_32(GATEWAY_NET + 4 * thread + host));
}

struct sl_ip
sl_config_gateway_address(uint32_t thread)
{
	return gateway_ip(thread, 2);
}

/* The file's ports leave the threads' names and addresses alone. */
static int
check_ports_are_apart(struct sl_config_reader *reader)
{
	const struct sl_config *config = reader->config;
	struct sl_config_at at = {.list = "ports"};
	struct sl_ip net = gateway_ip(0, 0);
	const struct sl_config_subnet *subnet;
	const char *name, *digits;

	for (at.i = 0; at.i < config->nb_ports; at.i++) {
		name = config->ports[at.i].name;
		digits = strncmp(name, "gateway", 7) == 0 ? name + 7 : "";
		if (digits[0] != '\0' && digits[strspn(digits, "0123456789")] == '\0')
			return sl_config_fail(reader, &at, "name",
				"'%s' is the name of a gateway's thread; rename the port", name);
		subnet = &config->ports[at.i].subnets[SL_IPV4];
		if (!sl_ip_is_unset(&subnet->address) && subnet->prefix_len > 0 &&
			sl_ip_share_prefix(&subnet->address, &net,
				RTE_MIN(subnet->prefix_len, GATEWAY_NET_LEN)))
			return sl_config_fail(reader, &at, "address",
				"is in 192.0.0.0/%d, which the gateways have to themselves; give "
				"the port another subnet",
				GATEWAY_NET_LEN);
	}
	return 0;
}

/* What stands for the threads in the path: a port each, with the one neighbour there is. */
static int
add_ports(struct sl_config_reader *reader)
{
	struct sl_config *config = reader->config;
	struct sl_config_neighbour *neighbour;
	struct sl_config_port *port;
	char name[24];
	uint32_t i;
	int ret = 0;

	for (i = 0; i < config->gateways.threads && ret == 0; i++) {
		snprintf(name, sizeof(name), "gateway%" PRIu32, i);
		port = &config->ports[config->nb_ports++];
		*port = (struct sl_config_port){
			.is_gateway = true,
			.mtu = GATEWAY_MTU,
			.rx_descriptors = GATEWAY_DESCRIPTORS,
			.tx_descriptors = GATEWAY_DESCRIPTORS,
			.subnets[SL_IPV4] = {.address = gateway_ip(i, 1),
				.prefix_len = GATEWAY_PREFIX_LEN},
		};
		ret = sl_config_copy(reader, name, &port->name);
		port->device = port->name;
		neighbour = &config->neighbours[config->nb_neighbours++];
		neighbour->address = sl_config_gateway_address(i);
		/* Locally administered, "SLG", which thread, and which end of its link. */
		neighbour->mac = (struct rte_ether_addr){{0x02, 0x53, 0x4c, 0x47, (uint8_t)i, 2}};
	}
	return ret;
}

int
sl_config_resolve_gateways(struct sl_config_reader *reader)
{
	const struct raw_config *raw = reader->raw;
	struct sl_config *config = reader->config;
	struct sl_config_gateways *to = &config->gateways;
	int ret;

	config->subscriptions.is_open = raw->subscriptions.accept != NULL &&
		*raw->subscriptions.accept;
	ret = sl_config_numbers(reader, NULL, "subscriptions.", sl_config_subscription_numbers,
		&raw->subscriptions, &config->subscriptions);
	if (ret == 0)
		ret = sl_config_numbers(
			reader, NULL, "gateways.", sl_config_gateways_numbers, &raw->gateways, to);
	if (ret < 0)
		return ret;
	to->nb_gateways = raw->gateways.listeners_count + raw->gateways.connectors_count;
	if (to->nb_gateways == 0) {
		to->threads = 0;
		return 0;
	}
	if (config->nb_ports + to->threads > SL_CONFIG_PORTS_MAX)
		return sl_config_fail(reader, NULL, "gateways.threads",
			"%" PRIu32 " stand for as many ports, and with the file's there are more "
			"than %d; give fewer",
			to->threads, SL_CONFIG_PORTS_MAX);
	to->gateways = sl_config_alloc(reader, to->nb_gateways * sizeof(*to->gateways));
	if (to->gateways == NULL)
		return sl_config_no_memory(reader);
	ret = take_gateways(reader);
	if (ret == 0)
		ret = check_ports_are_apart(reader);
	return ret == 0 ? add_ports(reader) : ret;
}
