/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* What is written, and what differs. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_common.h>

#include "config_internal.h"
#include "test_config.h"

#define TOLD_LEN 8192

/* Each change a line: "path: before -> after", with a "!" when it needs a restart. */
static void
write_down(void *arg, const struct sl_config_change *change)
{
	char *told = arg;
	size_t len = strlen(told);

	snprintf(told + len, TOLD_LEN - len, "%s: %s -> %s%s\n", change->path,
		change->before != NULL ? change->before : "none",
		change->after != NULL ? change->after : "none", change->needs_restart ? "!" : "");
}

static void
check_diff(const char *before_text, const char *after_text, const char *expected)
{
	struct sl_config *before = parse_text(before_text), *after = parse_text(after_text);
	char told[TOLD_LEN] = "";
	const char *line;
	int n = 0;

	for (line = expected; *line != '\0'; line++)
		n += *line == '\n';
	assert_int_equal(sl_config_diff(before, after, write_down, told), n);
	assert_string_equal(told, expected);
	sl_config_free(before);
	sl_config_free(after);
}

static void
test_everything_round_trips(void **state)
{
	struct sl_config *config = parse_text(EVERYTHING);

	check_round_trip(config);
	sl_config_free(config);
	config = parse_text(PORTS DESTS);
	check_round_trip(config);
	sl_config_free(config);
}

/* What equals its default is left out, and texts are quoted where they could be misread. */
static void
test_file_is_written_to_be_read(void **state)
{
	static const char text[] =
		"node: 'yes'\n"
		"ports: [{name: 'a: b', device: d0, address: 10.77.0.1/24, mtu: 1500}]\n"
		"destinations:\n"
		"  - {name: '12', backends: [{name: b1, address: 10.77.0.11, port: 1}]}\n"
		"  - {name: t2, health: {checks: []}}\n"
		"health: {rise: 3, checks: [{kind: udp, send: \"a\\r\\n\"}]}\n"
		"lcores: [{lcore: 1, roles: [worker, rx]}]\n";
	static const char expected[] = "node: \"yes\"\n"
				       "ports:\n"
				       "- {name: \"a: b\", device: d0, address: 10.77.0.1/24}\n"
				       "lcores:\n"
				       "- {lcore: 1, roles: [rx, worker]}\n"
				       "classes:\n"
				       "- {level: 1, name: high}\n"
				       "- {level: 2, name: medium}\n"
				       "- {level: 3, name: low}\n"
				       "destinations:\n"
				       "- name: \"12\"\n"
				       "  backends:\n"
				       "  - {name: b1, address: 10.77.0.11, port: 1}\n"
				       "- name: t2\n"
				       "  health:\n"
				       "    checks: []\n"
				       "health:\n"
				       "  rise: 3\n"
				       "  checks:\n"
				       "  - {kind: udp, send: \"a\\r\\n\"}\n";
	struct sl_config *config = parse_text(text);
	char *written = write_text(config);

	assert_string_equal(written, expected);
	check_round_trip(config);
	free(written);
	sl_config_free(config);
}

static void
test_full_disk_is_an_error(void **state)
{
	struct sl_config *config = parse_text(EVERYTHING);
	FILE *full = fopen("/dev/full", "w");

	assert_non_null(full);
	assert_int_equal(sl_config_write(config, full), -EIO);
	fclose(full);
	sl_config_free(config);
}

static void
test_equal_files_do_not_differ(void **state)
{
	check_diff(PORTS DESTS, PORTS DESTS, "");
	check_diff(EVERYTHING, EVERYTHING, "");
	/* The same said otherwise. */
	check_diff(PORTS DESTS, DESTS PORTS "udp_port: 7500\nhealth: {rise: 2}\nlog: {}\n", "");
}

static void
test_values_are_told_with_their_path(void **state)
{
	check_diff(PORTS DESTS, PORTS DESTS "node: other\ndrain_timeout_ms: 5\n",
		"node: sluice -> other!\n"
		"drain_timeout_ms: 2000 -> 5\n");
	check_diff(DEST("class_boost: 1, policy: round-robin"),
		DEST("rate_msgs_per_s: 5, policy: weighted-round-robin, default_class: low"),
		"destinations.t1.class_boost: 1 -> 0\n"
		"destinations.t1.default_class: medium -> low\n"
		"destinations.t1.rate_msgs_per_s: 0 -> 5\n"
		"destinations.t1.policy: round-robin -> weighted-round-robin\n");
	check_diff(PORTS DESTS, DEST("burst_msgs: 32"),
		"destinations.t1.burst_msgs: none -> 32\n"
		"destinations.t1.backends.b1.port: 9001 -> 1\n");
}

static void
test_destinations_and_backends_are_matched_by_name(void **state)
{
	static const char before[] = PORTS
		"destinations:\n"
		"  - {name: a, backends: [{name: x, address: 10.77.0.2, port: 1}]}\n"
		"  - {name: b, backends: [{name: x, address: 10.77.0.2, port: 1},\n"
		"     {name: y, address: 10.77.0.3, port: 1}]}\n"
		"  - {name: c}\n";
	static const char after[] = PORTS
		"destinations:\n"
		"  - {name: b, backends: [{name: z, address: 10.77.0.4, port: 1},\n"
		"     {name: y, address: 10.77.0.3, port: 1, weight: 9}]}\n"
		"  - {name: d}\n"
		"  - {name: c}\n";

	check_diff(before, after,
		"destinations.b.backends.z: none -> \n"
		"destinations.b.backends.y.weight: 1 -> 9\n"
		"destinations.b.backends.x:  -> none\n"
		"destinations.d: none -> \n"
		"destinations.a:  -> none\n");
}

static void
test_rules_are_matched_by_place(void **state)
{
	check_diff(PORTS DESTS "rules: [{type: a, class: high}, {type: b, class: low}]\n",
		PORTS DESTS "rules: [{type: b, class: low}]\n",
		"rules.1.type: a -> b\n"
		"rules.1.class: high -> low\n"
		"rules.2:  -> none\n");
}

/* A destination's health is told where it is written. */
static void
test_inherited_health_is_told_once(void **state)
{
	static const char dests[] = "destinations:\n"
				    "  - {name: t1}\n"
				    "  - {name: t2, health: {interval_ms: 7000, rise: 9}}\n";
	char before[512], after[512];

	snprintf(before, sizeof(before), PORTS "%s", dests);
	snprintf(after, sizeof(after),
		PORTS "%shealth: {interval_ms: 1000, checks: [{kind: icmp}]}\n", dests);
	check_diff(before, after,
		"health.interval_ms: 2000 -> 1000\n"
		"health.checks.1: none -> \n");
	check_diff(PORTS "destinations: [{name: t1}]\nhealth: {checks: [{kind: icmp}]}\n",
		PORTS "destinations: [{name: t1, health: {fall: 8, checks: [{kind: tcp}]}}]\n"
		      "health: {checks: [{kind: icmp}]}\n",
		"destinations.t1.health.fall: 3 -> 8\n"
		"destinations.t1.health.checks.1.kind: icmp -> tcp\n");
	check_diff(PORTS "destinations: [{name: t1}]\nhealth: {checks: [{kind: icmp}]}\n",
		PORTS "destinations: [{name: t1, health: {checks: []}}]\n"
		      "health: {checks: [{kind: icmp}]}\n",
		"destinations.t1.health.checks.1:  -> none\n");
}

static void
test_commands_are_told_whole(void **state)
{
	check_diff(PORTS DESTS "events: {exec: [{argv: [/bin/a]}], queue: 16}\n",
		PORTS DESTS "events: {exec: [{argv: [/bin/a, '', b]}], queue: 16}\n",
		"events.exec.1.argv: [/bin/a] -> [/bin/a, , b]\n");
}

static void
test_what_needs_a_restart_is_marked(void **state)
{
	check_diff(PORTS DESTS,
		PORTS DESTS "udp_port: 1\nepoch: 2\ndedup: {window_ms: 5}\nmbufs: 1000\n"
			    "idle: {nap_us: 5}\nrings: {size: 64}\narp: {max_tries: 5}\n"
			    "lcores: [{lcore: 0, roles: [rx, worker]}]\n"
			    "control: {socket: none, group: g, clients_max: 5}\n"
			    "http: {enabled: false, address: 0.0.0.0, port: 1, clients_max: 5,\n"
			    "       timeout_ms: 500, metrics_destinations: 5}\n"
			    "limits: {shards: 5, backends: 5}\n",
		"udp_port: 7500 -> 1!\n"
		"epoch: 1 -> 2!\n"
		"lcores.0: none -> !\n"
		"dedup.window_ms: 60000 -> 5!\n"
		"mbufs: 0 -> 1000!\n"
		"idle.nap_us: 50 -> 5!\n"
		"rings.size: 4096 -> 64!\n"
		"arp.max_tries: 3 -> 5!\n"
		"control.socket: /run/sluice/control.sock -> none!\n"
		"control.group: none -> g!\n"
		"control.clients_max: 1024 -> 5\n"
		"http.enabled: true -> false!\n"
		"http.address: 127.0.0.1 -> 0.0.0.0!\n"
		"http.port: 8090 -> 1!\n"
		"http.clients_max: 256 -> 5\n"
		"http.timeout_ms: 10000 -> 500\n"
		"http.metrics_destinations: 1000 -> 5\n"
		"limits.shards: 0 -> 5!\n"
		"limits.backends: 0 -> 5!\n");
	check_diff(PORTS DESTS,
		PORTS DESTS "classes: [{level: 1, name: best, min_share_percent: 5},\n"
			    "          {level: 3, name: low, max_wait_ms: 9}]\n",
		"classes.1.name: high -> best!\n"
		"classes.1.min_share_percent: 0 -> 5\n"
		"classes.3.max_wait_ms: 0 -> 9\n"
		"classes.2:  -> none!\n"
		"destinations.t1.default_class: medium -> best\n");
	check_diff(PORTS DESTS, DEST("partitions: 2"),
		"destinations.t1.partitions: 1 -> 2!\n"
		"destinations.t1.backends.b1.port: 9001 -> 1\n");
}

/* Backends know their port by its place. */
static void
test_ports_that_move_need_a_restart(void **state)
{
	check_diff("ports: [{name: a, device: d, address: 10.77.0.1/24},\n"
		   "        {name: b, device: e, address: 10.78.0.1/24}]\n" DESTS,
		"ports: [{name: b, device: e, address: 10.78.0.1/24, mtu: 600},\n"
		"        {name: a, device: d, address: 10.77.0.1/24}]\n" DESTS,
		"ports.b: place 2 -> place 1!\n"
		"ports.b.mtu: 1500 -> 600!\n"
		"ports.a: place 1 -> place 2!\n");
}

/* Matching is not quadratic: this would take minutes. */
static void
test_many_destinations_in_another_order(void **state)
{
	enum { N = 50000 };
	struct sl_config *before, *after;
	char *text;

	text = repeat(PORTS "destinations:\n  - {name: first}\n", "  - {name: d%u}\n", N, "");
	before = parse_text(text);
	free(text);
	text = repeat(PORTS "destinations:\n", "  - {name: d%u}\n", N,
		"  - {name: first, class_boost: 1}\n");
	after = parse_text(text);
	free(text);
	assert_int_equal(sl_config_diff(before, after, NULL, NULL), 1);
	sl_config_free(before);
	sl_config_free(after);
}

/* The words are in the order of the schema, one for each key; reference and diff go by that. */
static void
test_every_key_has_its_words(void **state)
{
	const struct sl_config_key *key = sl_config_keys;
	const struct sl_config_section *section;
	const cyaml_schema_field_t *field;
	char path[128];

	for (section = sl_config_sections; section->path != NULL; section++) {
		for (field = section->fields; field->key != NULL; field++, key++) {
			snprintf(path, sizeof(path), "%s%s%s", section->path,
				section->path[0] != '\0' ? "." : "", field->key);
			if (key->path == NULL || strcmp(key->path, path) != 0)
				fail_msg("%s is at the place of %s in keys.c",
					key->path != NULL ? key->path : "nothing", path);
			assert_non_null(key->about);
			assert_true(strlen(key->about) > 5);
			assert_ptr_equal(sl_config_find_key(path), key);
		}
	}
	assert_null(key->path);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_round_trips),
		cmocka_unit_test(test_file_is_written_to_be_read),
		cmocka_unit_test(test_full_disk_is_an_error),
		cmocka_unit_test(test_equal_files_do_not_differ),
		cmocka_unit_test(test_values_are_told_with_their_path),
		cmocka_unit_test(test_destinations_and_backends_are_matched_by_name),
		cmocka_unit_test(test_rules_are_matched_by_place),
		cmocka_unit_test(test_inherited_health_is_told_once),
		cmocka_unit_test(test_commands_are_told_whole),
		cmocka_unit_test(test_what_needs_a_restart_is_marked),
		cmocka_unit_test(test_ports_that_move_need_a_restart),
		cmocka_unit_test(test_many_destinations_in_another_order),
		cmocka_unit_test(test_every_key_has_its_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
