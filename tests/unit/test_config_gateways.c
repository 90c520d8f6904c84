/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Topics, gateways and what stands for them in the path, and subscriptions. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_common.h>

#include "config_internal.h"
#include "test_config.h"

#define LISTENERS(list) "gateways: {listeners: [" list "]}\n"
#define CONNECTOR(keys) "gateways: {connectors: [{name: out, servers: ['a:1'], " keys "}]}\n"
#define JSON		"{name: in, protocol: json}"

/* Of one file: a gateway's keys are in line 5. */
struct bad {
	const char *text;
	const char *where;
	const char *what;
};

static void
check_bad(const struct bad *bad)
{
	struct sl_config *config;
	char error[ERROR_LEN];

	assert_int_equal(sl_config_parse("f.yaml", bad->text, strlen(bad->text), &config, error,
				 sizeof(error)),
		-EINVAL);
	if (strstr(error, bad->where) == NULL || strstr(error, bad->what) == NULL)
		fail_msg("%s: not of %s, %s", error, bad->where, bad->what);
}

static void
test_without_gateways_there_is_nothing_of_them(void **state)
{
	struct sl_config *config = parse_text(PORTS DESTS "gateways: {threads: 3}\n");

	assert_int_equal(config->gateways.threads, 0);
	assert_int_equal(config->nb_ports, 1);
	assert_int_equal(config->nb_neighbours, 0);
	assert_false(config->subscriptions.is_open);
	assert_int_equal(config->subscriptions.subscribers_max, 4096);
	assert_int_equal(config->subscriptions.ttl_max_ms, 3600000);
	assert_int_equal(config->limits.copies, 0);
	sl_config_free(config);
}

static void
test_gateways_have_their_defaults(void **state)
{
	struct sl_config *config = parse_text(PORTS DESTS LISTENERS(JSON
		", {name: l, protocol: line}, {name: r, protocol: rooms}, {name: h, protocol: http}"));
	static const uint16_t ports[] = {9000, 8080, 8081, 8082};
	const struct sl_config_gateway *gateway = config->gateways.gateways;

	assert_int_equal(config->gateways.threads, 1);
	assert_int_equal(config->gateways.topic_idle_ms, 60000);
	assert_int_equal(config->gateways.nb_gateways, 4);
	for (uint32_t i = 0; i < 4; i++, gateway++) {
		assert_int_equal(gateway->protocol, i);
		assert_true(sl_ip_is_unset(&gateway->address));
		assert_int_equal(gateway->port, ports[i]);
		assert_int_equal(gateway->clients_max, 16384);
		assert_int_equal(gateway->clients_per_address_max, 16384);
		assert_int_equal(gateway->idle_ms, 300000);
		assert_int_equal(gateway->input_max, 1 << 20);
		assert_int_equal(gateway->output_max, 4 << 20);
		assert_int_equal(gateway->nb_rooms, i == SL_GATEWAY_ROOMS ? 20 : 0);
		assert_int_equal(gateway->topics_max, i == 1 || i == 2 ? 1024 : 0);
		assert_string_equal(gateway->prefix, "");
		assert_null(gateway->tokens);
		assert_null(gateway->primary);
	}
	check_round_trip(config);
	sl_config_free(config);
}

static void
test_every_key_is_read(void **state)
{
	static const char text[] = EVERYTHING;
	struct sl_config *config = parse_text(text);
	const struct sl_config_gateway *line = config->gateways.gateways;

	assert_int_equal(config->gateways.threads, 8);
	assert_int_equal(config->gateways.topic_idle_ms, 90000);
	assert_int_equal(config->gateways.nb_gateways, 4);
	assert_int_equal(line->port, 1);
	assert_string_equal(line->tls_certificate, "/c");
	assert_string_equal(line->tls_key, "/k");
	assert_int_equal(line->clients_max, 7);
	assert_int_equal(line->clients_per_address_max, 6);
	assert_int_equal(line->idle_ms, 0);
	assert_int_equal(line->input_max, 64);
	assert_int_equal(line->output_max, 1 << 30);
	assert_int_equal(line->rate_msgs_per_s, 5);
	assert_true(line->is_kept_open);
	assert_string_equal(line->prefix, "l-");
	assert_int_equal(line->topics_max, 9);
	assert_int_equal(line->guarantee, SL_CONFIG_AT_LEAST_ONCE);
	assert_string_equal(line->primary, "[::1]:9");
	assert_int_equal(line[1].nb_rooms, 3);
	assert_int_equal(line[1].nb_origins, 2);
	assert_string_equal(line[1].origins[1], "null");
	assert_string_equal(line[1].tokens, "/t");
	assert_int_equal(line[2].replay, 65536);
	assert_int_equal(line[2].replay_ms, 0);
	assert_int_equal(line[1].replay, 0);
	assert_true(line[3].is_connector);
	assert_int_equal(line[3].nb_servers, 2);
	assert_string_equal(line[3].servers[1], "10.0.0.1:65535");
	assert_int_equal(line[3].input_max, 16 << 20);
	assert_true(line[3].is_tls);
	assert_string_equal(line[3].tls_ca, "/ca");
	assert_string_equal(line[3].tls_name, "k.example");
	assert_true(config->subscriptions.is_open);
	assert_int_equal(config->subscriptions.subscribers_max, 0);
	assert_int_equal(config->subscriptions.ttl_max_ms, 1000);
	sl_config_free(config);
}

/* A port and a neighbour for each thread, behind the file's; the file does not get them. */
static void
test_threads_stand_in_the_path(void **state)
{
	struct sl_config *config = parse_text(
		PORTS DESTS "gateways: {threads: 2, listeners: [" JSON "]}\n");
	const struct sl_config_port *port = &config->ports[2];
	const struct sl_config_neighbour *neighbour = &config->neighbours[1];
	char text[SL_IP_STRLEN], *written = write_text(config);

	assert_int_equal(config->nb_ports, 3);
	assert_false(config->ports[0].is_gateway);
	assert_true(port->is_gateway);
	assert_string_equal(port->name, "gateway1");
	assert_string_equal(sl_ip_format(&port->subnets[SL_IPV4].address, text), "192.0.0.5");
	assert_int_equal(port->subnets[SL_IPV4].prefix_len, 30);
	assert_int_equal(port->mtu, 9000);
	assert_int_equal(config->nb_neighbours, 2);
	assert_string_equal(sl_ip_format(&neighbour->address, text), "192.0.0.6");
	assert_null(strstr(written, "192.0.0."));
	assert_null(strstr(written, "gateway1"));
	free(written);
	sl_config_free(config);
}

static void
count_changes(void *arg, const struct sl_config_change *change)
{
	char *told = arg;

	strcat(told, change->path);
	strcat(told, change->needs_restart ? "! " : " ");
}

static void
test_limits_change_while_it_runs(void **state)
{
	struct sl_config *before = parse_text(PORTS DESTS LISTENERS(JSON)), *after;
	char told[256] = "";

	after = parse_text(PORTS DESTS LISTENERS("{name: in, protocol: json, idle_ms: 5}"));
	sl_config_diff(before, after, count_changes, told);
	assert_string_equal(told, "gateways.listeners.in.idle_ms ");
	sl_config_free(after);
	told[0] = '\0';
	after = parse_text(PORTS DESTS LISTENERS("{name: in, protocol: json, port: 5}"));
	sl_config_diff(before, after, count_changes, told);
	assert_string_equal(told, "gateways.listeners.in.port! ");
	sl_config_free(after);
	told[0] = '\0';
	after = parse_text(PORTS DESTS "gateways: {threads: 2, listeners: [" JSON "]}\n");
	sl_config_diff(before, after, count_changes, told);
	assert_string_equal(told, "gateways.threads! ");
	sl_config_free(after);
	sl_config_free(before);
}

static void
test_what_makes_no_sense_is_refused(void **state)
{
#define FIRST "f.yaml:5: gateways.listeners[0]."
	static const struct bad bads[] = {
		{PORTS DESTS LISTENERS("{name: in, protocol: json, rooms: 3}"), FIRST "rooms",
			"is not a key of json listeners"},
		{PORTS DESTS LISTENERS("{name: in, protocol: http, prefix: a}"), FIRST "prefix",
			"is not a key of http listeners"},
		{PORTS DESTS LISTENERS("{name: in, protocol: rooms, primary: 'a:1'}"),
			FIRST "primary", "is not a key of rooms listeners"},
		{PORTS DESTS LISTENERS("{name: in, protocol: line, tokens: /t}"), FIRST "tokens",
			"is not a key of line listeners"},
		{PORTS DESTS LISTENERS("{name: in, protocol: rooms, keep_open: true}"),
			FIRST "keep_open", "is not a key of rooms listeners"},
		{PORTS DESTS LISTENERS("{name: in, protocol: line, guarantee: at-least-once}"),
			FIRST "guarantee", "needs a journal"},
		{PORTS DESTS LISTENERS("{name: in, protocol: json, tls_key: /k}"),
			FIRST "tls_certificate", "TLS needs both"},
		{PORTS DESTS LISTENERS("{name: in, protocol: json, tls_certificate: /c}"),
			FIRST "tls_key", "TLS needs both"},
		{PORTS DESTS LISTENERS(
			 "{name: in, protocol: json, tls_certificate: c, tls_key: /k}"),
			FIRST "tls_certificate", "is not an absolute path"},
		{PORTS DESTS LISTENERS("{name: in, protocol: json, port: 8090}"), FIRST "port",
			"is http.port's, too"},
		{PORTS DESTS LISTENERS("{name: in, protocol: tcp}"), FIRST "protocol",
			"give one of: json, line, rooms, http"},
		{PORTS DESTS LISTENERS("{name: in, protocol: line, primary: '10.0.0.1'}"),
			FIRST "primary", "write it like 10.77.0.5:8001"},
		{PORTS DESTS LISTENERS(JSON ", {name: in, protocol: line}"), "listeners[1].name",
			"is the name of another listener or connector"},
		{PORTS DESTS LISTENERS(JSON ", {name: b, protocol: line, port: 9000}"),
			"listeners[1].port", "9000 is gateways.listeners[0]'s, too"},
		{PORTS DESTS "gateways: {listeners: [" JSON
			     "], connectors: [{name: in, servers: ['a:1']}]}\n",
			"connectors[0].name", "is the name of another listener or connector"},
		{PORTS DESTS "gateways: {connectors: [{name: out, servers: ['a:1', 'a:0']}]}\n",
			"connectors[0].servers", "'a:0' is not a host and a port"},
		{PORTS DESTS "gateways: {connectors: [{name: out, servers: ['a:1', 'b:1', "
			     "'a:1']}]}\n",
			"connectors[0].servers", "'a:1' is named twice"},
		{PORTS DESTS CONNECTOR("tls_ca: /ca"), "connectors[0].tls_ca", "give tls: true"},
		{PORTS DESTS CONNECTOR("tls: false, tls_name: b"), "connectors[0].tls_name",
			"give tls: true"},
		{PORTS DESTS CONNECTOR("tls: true, tls_ca: ca"), "connectors[0].tls_ca",
			"is not an absolute path"},
		{PORTS DESTS "gateways: {threads: 9}\n", "gateways.threads", "give 1 to 8"},
		{"ports: [{name: gateway0, device: d, address: 10.77.0.1/24}]\n" DESTS LISTENERS(
			 JSON),
			"ports[0].name", "is the name of a gateway's thread"},
		{"ports: [{name: p, device: d, address: 10.77.0.1/24},\n"
		 "  {name: q, device: e, address: 192.0.0.40/16}]\n" DESTS LISTENERS(JSON),
			"ports[1].address", "is in 192.0.0.0/27"},
		{"ports: [{name: p, device: d, address: 10.77.0.1/24, gateway: 10.77.0.2}]\n"
		 "destinations:\n"
		 "  - {name: t1, backends: [{name: b1, address: 192.0.0.2, port: 1}]}\n" LISTENERS(
			 JSON),
			"backends[0].address", "whose clients subscribe by themselves"},
		{PORTS "destinations:\n  - {name: t, guarantee: at-least-once, max_attempts: 1,"
		       " dead_letter: d}\n  - {name: d, kind: topic, guarantee: at-least-once}\n"
		       "journal: {directory: /j}\n",
			"destinations[0].dead_letter", "'d' is a topic"},
	};

	for (size_t i = 0; i < RTE_DIM(bads); i++)
		check_bad(&bads[i]);
}

static void
test_threads_need_room_among_the_ports(void **state)
{
	char *text = repeat(DESTS LISTENERS(JSON) "ports:\n  - {name: n, device: e, "
						  "address: 10.77.0.1/24}\n",
		"  - {name: p%u, device: d%u, address: 10.0.%u.1/24}\n", SL_CONFIG_PORTS_MAX - 1,
		"");
	struct bad bad = {text, "gateways.threads", "more than 32; give fewer"};

	check_bad(&bad);
	free(text);
}

/* More subscribers than a queue may have backends; edits know it, too. */
static void
test_topics_have_many_subscribers(void **state)
{
	struct sl_config_setting settings[] = {{"address", "10.77.0.3"}, {"port", "1"}};
	struct sl_config_edit edit = {
		SL_CONFIG_ADD, SL_CONFIG_BACKEND, "t", "more", 0, RTE_DIM(settings), settings};
	char *text = repeat(PORTS "destinations:\n  - name: t\n    kind: topic\n    backends:\n",
		"      - {name: b%u, address: 10.77.0.2, port: 1}\n", SL_CONFIG_SUBSCRIBERS_MAX - 1,
		"");
	struct sl_config *config = parse_text(text), *edited, *full;
	char error[ERROR_LEN];

	assert_int_equal(config->destinations[0].kind, SL_CONFIG_TOPIC);
	assert_int_equal(config->destinations[0].nb_backends, SL_CONFIG_SUBSCRIBERS_MAX - 1);
	check_round_trip(config);
	assert_int_equal(sl_config_edit(config, &edit, 1, &edited, error, sizeof(error)), 0);
	edit.backend = "another";
	assert_int_equal(sl_config_edit(edited, &edit, 1, &full, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "has 4096 backends already"));
	sl_config_free(edited);
	sl_config_free(config);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_gateways_there_is_nothing_of_them),
		cmocka_unit_test(test_gateways_have_their_defaults),
		cmocka_unit_test(test_every_key_is_read),
		cmocka_unit_test(test_threads_stand_in_the_path),
		cmocka_unit_test(test_limits_change_while_it_runs),
		cmocka_unit_test(test_what_makes_no_sense_is_refused),
		cmocka_unit_test(test_threads_need_room_among_the_ports),
		cmocka_unit_test(test_topics_have_many_subscribers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
