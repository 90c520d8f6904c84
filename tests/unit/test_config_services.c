/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Addresses of IPv6, and log, events, control, http and limits. */

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

#include <sl_config.h>

#include "test_config.h"

static void
assert_address(const struct sl_ip *address, const char *expected)
{
	char text[SL_IP_STRLEN];

	assert_string_equal(sl_ip_format(address, text), expected);
}

static void
test_smallest_file_has_every_default(void **state)
{
	struct sl_config *config = parse_text(PORTS DESTS);

	assert_int_equal(config->log.target, SL_LOG_STDERR);
	assert_null(config->log.file);
	assert_false(config->log.is_json);
	assert_int_equal(config->log.level, SL_LEVEL_INFO);
	assert_int_equal(config->log.lines_per_s, 200);
	assert_int_equal(config->log.nb_levels, 0);
	assert_int_equal(config->events.nb_exec, 0);
	assert_int_equal(config->events.nb_webhooks, 0);
	assert_int_equal(config->events.queue, 1024);
	assert_string_equal(config->control.socket, "/run/sluice/control.sock");
	assert_null(config->control.group);
	assert_int_equal(config->control.clients_max, 1024);
	assert_true(config->http.is_enabled);
	assert_address(&config->http.address, "127.0.0.1");
	assert_int_equal(config->http.port, 8090);
	assert_int_equal(config->http.clients_max, 256);
	assert_int_equal(config->http.timeout_ms, 10000);
	assert_int_equal(config->http.metrics_destinations, 1000);
	assert_int_equal(config->limits.shards, 0);
	assert_int_equal(config->limits.backends, 0);
	sl_config_free(config);
}

static void
test_hooks_have_defaults(void **state)
{
	struct sl_config *config = parse_text(
		PORTS DESTS "events: {exec: [{argv: [/a]}], webhooks: [{url: 'http://h'}]}\n");

	assert_int_equal(config->events.exec[0].timeout_ms, 10000);
	assert_int_equal(config->events.exec[0].level, SL_LEVEL_NOTIFY);
	assert_int_equal(config->events.webhooks[0].timeout_ms, 5000);
	assert_int_equal(config->events.webhooks[0].tries, 5);
	assert_int_equal(config->events.webhooks[0].level, SL_LEVEL_NOTIFY);
	sl_config_free(config);
}

static void
test_every_setting_is_read(void **state)
{
	struct sl_config *config = parse_text(EVERYTHING);

	assert_int_equal(config->log.target, SL_LOG_FILE);
	assert_string_equal(config->log.file, "/var/log/s.log");
	assert_true(config->log.is_json);
	assert_int_equal(config->log.level, SL_LEVEL_ERROR);
	assert_int_equal(config->log.lines_per_s, 1);
	assert_int_equal(config->log.nb_levels, 1);
	assert_string_equal(config->log.levels[0].module, "main");
	assert_int_equal(config->log.levels[0].level, SL_LEVEL_DEBUG);
	assert_int_equal(config->events.nb_exec, 1);
	assert_int_equal(config->events.exec[0].nb_argv, 2);
	assert_string_equal(config->events.exec[0].argv[1], "ops");
	assert_null(config->events.exec[0].argv[2]);
	assert_int_equal(config->events.exec[0].timeout_ms, 100);
	assert_int_equal(config->events.exec[0].level, SL_LEVEL_WARN);
	assert_string_equal(config->events.webhooks[0].url, "https://a.example/x?y=1");
	assert_int_equal(config->events.webhooks[0].tries, 1);
	assert_int_equal(config->events.queue, 16);
	assert_string_equal(config->control.socket, "/tmp/s.sock");
	assert_string_equal(config->control.group, "ops");
	assert_int_equal(config->control.clients_max, 1);
	assert_false(config->http.is_enabled);
	assert_address(&config->http.address, "::");
	assert_int_equal(config->http.port, 1);
	assert_int_equal(config->http.metrics_destinations, 0);
	assert_int_equal(config->limits.shards, 100);
	assert_int_equal(config->limits.backends, 3);
	sl_config_free(config);
}

static void
test_a_port_may_speak_ipv6_alone(void **state)
{
	struct sl_config *config = parse_text(
		"ports: [{name: p, device: d, address6: 'fd00:77::1/64', mtu: 1280}]\n"
		"destinations: [{name: t, backends: [{name: b, address: 'fd00:77::2', port: 1}]}]\n");

	assert_true(sl_ip_is_unset(&config->ports[0].subnets[SL_IPV4].address));
	assert_address(&config->ports[0].subnets[SL_IPV6].address, "fd00:77::1");
	assert_int_equal(config->ports[0].subnets[SL_IPV6].prefix_len, 64);
	assert_true(sl_ip_is_unset(&config->ports[0].subnets[SL_IPV6].gateway));
	sl_config_free(config);
}

/* Its port is the zone. */
static void
test_a_gateway_may_be_link_local(void **state)
{
	struct sl_config *config = parse_text(
		"ports: [{name: p, device: d, address6: 'fd00:77::1/64', gateway6: 'fe80::1'}]\n"
		"destinations: [{name: t, backends: [{name: b, address: '2001:db8::2', port: 1}]}]\n"
		"neighbours: [{address: 'fe80::1', mac: 02:00:00:00:00:01}]\n");

	assert_address(&config->destinations[0].backends[0].next_hop, "fe80::1");
	check_round_trip(config);
	sl_config_free(config);
}

/* Subnet, longest prefix and gateway are those of the backend's family. */
static void
test_backend_finds_the_port_of_its_family(void **state)
{
	struct sl_config *config = parse_text(
		"ports:\n"
		"  - {name: p0, device: d0, address: 10.0.0.1/8, gateway: 10.0.0.254}\n"
		"  - {name: p1, device: d1, address6: 'fd00:1::1/32', gateway6: 'fd00:1::fe'}\n"
		"  - {name: p2, device: d2, address: 10.2.0.1/16, address6: 'fd00:1:2::1/48'}\n"
		"destinations:\n"
		"  - name: t\n"
		"    backends:\n"
		"      - {name: b0, address: 'fd00:1:2::9', port: 1}\n"
		"      - {name: b1, address: 'fd00:1:3::9', port: 1}\n"
		"      - {name: b2, address: '2001:db8::9', port: 1}\n"
		"      - {name: b3, address: 192.0.2.9, port: 1}\n"
		"      - {name: b4, address: 10.2.0.9, port: 1}\n");
	const struct sl_config_backend *backends = config->destinations[0].backends;

	assert_int_equal(backends[0].port_index, 2);
	assert_address(&backends[0].next_hop, "fd00:1:2::9");
	assert_int_equal(backends[1].port_index, 1);
	assert_address(&backends[1].next_hop, "fd00:1:3::9");
	assert_int_equal(backends[2].port_index, 1);
	assert_address(&backends[2].next_hop, "fd00:1::fe");
	assert_int_equal(backends[3].port_index, 0);
	assert_address(&backends[3].next_hop, "10.0.0.254");
	assert_int_equal(backends[4].port_index, 2);
	sl_config_free(config);
}

#define PORT(keys) DESTS "ports:\n  - {name: p, device: d, " keys "}\n"
#define BACKEND(text)                                                                              \
	DUAL "destinations:\n  - {name: t, backends: [{name: b, port: 1, " text "}]}\n"
#define DUAL "ports:\n  - {name: p, device: d, address: 10.77.0.1/24, address6: 'fd00:77::1/64'}\n"

static const struct {
	const char *text;
	const char *error; /* How it begins. */
} bad[] = {
	{PORT("mtu: 1500"), "f.yaml:4: ports[0].address: is missing, and so is address6; a port "},
	{PORT("address6: 'fd00::1'"),
		"f.yaml:4: ports[0].address6: 'fd00::1' is not an address with its prefix length; "
		"write it like fd00:77::1/64"},
	{PORT("address6: 'fd00::1/129'"), "f.yaml:4: ports[0].address6: fd00::1/129 has a prefix "},
	{PORT("address6: 10.77.0.1/24"),
		"f.yaml:4: ports[0].address6: 10.77.0.1 is an IPv4 address; give it as address"},
	{PORT("address: 'fd00::1/64'"),
		"f.yaml:4: ports[0].address: fd00::1 is an IPv6 address; give it as address6"},
	{PORT("address6: 'fe80::1/64'"),
		"f.yaml:4: ports[0].address6: fe80::1 is link-local, it would need a zone; give a "
		"global or a unique local address"},
	{PORT("address6: 'ff02::1/64'"), "f.yaml:4: ports[0].address6: ff02::1 is not the address"},
	{PORT("address6: '::1/64'"), "f.yaml:4: ports[0].address6: ::1 is not the address of one"},
	{PORT("address6: '::/64'"), "f.yaml:4: ports[0].address6: :: is not the address of one"},
	{PORT("address6: '::ffff:10.77.0.1/96'"),
		"f.yaml:4: ports[0].address6: '::ffff:10.77.0.1' is not an IP address;"},
	{PORT("address6: 'fd00::/64'"), "f.yaml:4: ports[0].address6: fd00::/64 is the subnet's "},
	{PORT("address6: 'fd00::1/64', mtu: 1279"),
		"f.yaml:4: ports[0].mtu: 1279 is too small for IPv6; give at least 1280"},
	{PORT("address: 10.77.0.1/24, gateway6: 'fd00::1'"),
		"f.yaml:4: ports[0].gateway6: there is no subnet that it could be on; give "
		"address6, too"},
	{PORT("address6: 'fd00::1/64', gateway: 10.77.0.1"),
		"f.yaml:4: ports[0].gateway: there is no subnet"},
	{PORT("address6: 'fd00::1/64', gateway6: 'fd01::1'"),
		"f.yaml:4: ports[0].gateway6: fd01::1 is no station's address on the port's"},
	{PORT("address6: 'fd00::1/64', gateway6: 'fd00::1'"),
		"f.yaml:4: ports[0].gateway6: fd00::1 is the port's own address;"},
	{PORT("address6: 'fd00::1/64'}\n  - {name: q, device: e, address6: 'fd00::2/64'"),
		"f.yaml:5: ports[1].address6: lies on the same subnet as ports[0];"},
	{PORT("address6: 'fd00::1/64'}\n  - {name: q, device: e, address6: 'fd00::1/48'"),
		"f.yaml:5: ports[1].address6: is ports[0]'s, too;"},
	{BACKEND("address: 'fd00:77::1'"),
		"f.yaml:4: destinations[0].backends[0].address: fd00:77::1 is a port's own"},
	{BACKEND("address: 'fd00:77::'"),
		"f.yaml:4: destinations[0].backends[0].address: fd00:77:: is the own or the"},
	{BACKEND("address: 'fd01::2'"),
		"f.yaml:4: destinations[0].backends[0].address: fd01::2 is on no port's subnet and "
		"no port has a gateway6;"},
	{BACKEND("address: 'fe80::2%eth0'"),
		"f.yaml:4: destinations[0].backends[0].address: 'fe80::2%eth0' is not an IP"},
	{PORTS DESTS "neighbours: [{address: 'fe80::2', mac: 02:00:00:00:00:01}]\n",
		"f.yaml:5: neighbours[0].address: is on no port's subnet;"},
	{PORTS DESTS "neighbours: [{address: 'fd00:77::2', mac: 02:00:00:00:00:01}]\n",
		"f.yaml:5: neighbours[0].address: is on no port's subnet;"},
	{PORTS DESTS "log: {target: file}\n", "f.yaml:5: log.file: is missing; target file needs"},
	{PORTS DESTS "log: {file: /a}\n", "f.yaml:5: log.file: is not written to; give target"},
	{PORTS DESTS "log: {target: file, file: a}\n",
		"f.yaml:5: log.file: 'a' is not an absolute"},
	{PORTS DESTS "log: {level: loud}\n",
		"f.yaml:5: log.level: unknown value 'loud'; give one of: error, warn, notify, info, "
		"debug"},
	{PORTS DESTS "log: {lines_per_s: 0}\n", "f.yaml:5: log.lines_per_s: 0 is out of bounds;"},
	{PORTS DESTS "log:\n  levels:\n    - {module: main, level: warn}\n"
		     "    - {module: main, level: info}\n",
		"f.yaml:8: log.levels[1].module: 'main' is log.levels[0]'s, too;"},
	{PORTS DESTS "log: {levels: [{module: weather, level: warn}]}\n",
		"f.yaml:5: log.levels[0].module: there is no module 'weather'; give one of: main, "
		"config,"},
	{PORTS DESTS "log: {levels: [{module: main}]}\n",
		"f.yaml:5: log.levels[0].level: is missing;"},
	{PORTS DESTS "events: {exec: [{timeout_ms: 100}]}\n", "f.yaml:5: events.exec[0].argv: is "},
	{PORTS DESTS "events: {exec: [{argv: [mail]}]}\n",
		"f.yaml:5: events.exec[0].argv: 'mail' is not an absolute path;"},
	{PORTS DESTS "events: {exec: [{argv: [/a], timeout_ms: 99}]}\n",
		"f.yaml:5: events.exec[0].timeout_ms: 99 is out of bounds;"},
	{PORTS DESTS "events: {webhooks: [{url: 'ftp://a'}]}\n",
		"f.yaml:5: events.webhooks[0].url: 'ftp://a' is not a URL of HTTP;"},
	{PORTS DESTS "events: {webhooks: [{url: 'http:///x'}]}\n",
		"f.yaml:5: events.webhooks[0].url: 'http:///x' is not a URL of HTTP;"},
	{PORTS DESTS "events: {webhooks: [{url: 'http://'}]}\n",
		"f.yaml:5: events.webhooks[0].url: 'http://' is not a URL of HTTP;"},
	{PORTS DESTS "events: {queue: 15}\n", "f.yaml:5: events.queue: 15 is out of bounds;"},
	{PORTS DESTS "control: {socket: here}\n",
		"f.yaml:5: control.socket: 'here' is not an absolute path; begin it with a /, or "
		"give none"},
	{PORTS DESTS "control: {clients_max: 0}\n", "f.yaml:5: control.clients_max: 0 is out"},
	{PORTS DESTS "http: {enabled: 1}\n", "f.yaml:5: http.enabled: '1' is neither true nor"},
	{PORTS DESTS "http: {address: 224.0.0.1}\n", "f.yaml:5: http.address: 224.0.0.1 is not"},
	{PORTS DESTS "http: {port: 0}\n", "f.yaml:5: http.port: 0 is out of bounds;"},
	{PORTS "destinations:\n  - {name: t, partitions: 4}\nlimits: {shards: 3}\n",
		"f.yaml:5: limits.shards: 3 are fewer than all partitions together, 4; give at "
		"least that"},
	{PORTS "destinations:\n  - {name: t, backends: [{name: b, address: 10.77.0.2, port: 1},\n"
	       "     {name: c, address: 10.77.0.3, port: 1}]}\nlimits: {backends: 1}\n",
		"f.yaml:6: limits.backends: 1 are fewer than all backends together, 2;"},
};

static void
test_bad_values_are_refused(void **state)
{
	struct sl_config *config;
	char error[ERROR_LEN];
	unsigned int i;
	int ret;

	for (i = 0; i < RTE_DIM(bad); i++) {
		ret = sl_config_parse(
			"f.yaml", bad[i].text, strlen(bad[i].text), &config, error, sizeof(error));
		if (ret != -EINVAL || strncmp(error, bad[i].error, strlen(bad[i].error)) != 0)
			fail_msg("said: %s\nnot: %s\nfor:\n%s", error, bad[i].error, bad[i].text);
		assert_non_null(strchr(error, ';'));
	}
}

/* What a Unix socket's name has room for, and no more. */
static void
test_socket_paths_are_bounded(void **state)
{
	struct sl_config *config;
	char error[ERROR_LEN], text[512], path[109];

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	snprintf(text, sizeof(text), PORTS DESTS "control: {socket: %s}\n", path);
	assert_int_equal(
		sl_config_parse("f.yaml", text, strlen(text), &config, error, sizeof(error)),
		-EINVAL);
	assert_string_equal(error, "f.yaml:5: control.socket: has 108 bytes; give 1 to 107");
	path[107] = '\0';
	snprintf(text, sizeof(text), PORTS DESTS "control: {socket: %s}\n", path);
	config = parse_text(text);
	assert_string_equal(config->control.socket, path);
	sl_config_free(config);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smallest_file_has_every_default),
		cmocka_unit_test(test_hooks_have_defaults),
		cmocka_unit_test(test_every_setting_is_read),
		cmocka_unit_test(test_a_port_may_speak_ipv6_alone),
		cmocka_unit_test(test_a_gateway_may_be_link_local),
		cmocka_unit_test(test_backend_finds_the_port_of_its_family),
		cmocka_unit_test(test_bad_values_are_refused),
		cmocka_unit_test(test_socket_paths_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
