/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Health: what is inherited, and what each kind of check takes. */

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
test_defaults_check_nothing(void **state)
{
	struct sl_config *config = parse_text(PORTS DESTS);
	const struct sl_config_health *health = &config->destinations[0].health;

	assert_int_equal(health->interval_ms, 2000);
	assert_int_equal(health->fast_interval_ms, 2000);
	assert_int_equal(health->down_interval_ms, 2000);
	assert_int_equal(health->timeout_ms, 3000);
	assert_int_equal(health->rise, 2);
	assert_int_equal(health->fall, 3);
	assert_int_equal(health->notify_after, 5);
	assert_int_equal(health->slow_start_ms, 0);
	assert_int_equal(health->panic_threshold_percent, 0);
	assert_int_equal(health->nb_checks, 0);
	assert_int_equal(config->destinations[0].backends[0].state, SL_CONFIG_READY);
	sl_config_free(config);
}

/* The destination's over the file's over the defaults, key by key. */
static void
test_destination_inherits_key_by_key(void **state)
{
	struct sl_config *config = parse_text(
		PORTS "destinations:\n"
		      "  - {name: t1, health: {interval_ms: 500, rise: 9}}\n"
		      "  - {name: t2}\n"
		      "health: {fall: 7, down_interval_ms: 8000}\n");
	const struct sl_config_health *own = &config->destinations[0].health;
	const struct sl_config_health *inherited = &config->destinations[1].health;

	assert_int_equal(own->interval_ms, 500);
	assert_int_equal(own->fast_interval_ms, 500);
	assert_int_equal(own->down_interval_ms, 8000);
	assert_int_equal(own->rise, 9);
	assert_int_equal(own->fall, 7);
	assert_int_equal(own->timeout_ms, 3000);
	assert_int_equal(inherited->interval_ms, 2000);
	assert_int_equal(inherited->fast_interval_ms, 2000);
	assert_int_equal(inherited->down_interval_ms, 8000);
	assert_int_equal(inherited->rise, 2);
	assert_int_equal(inherited->fall, 7);
	check_round_trip(config);
	sl_config_free(config);
}

static void
test_own_checks_replace_the_files(void **state)
{
	struct sl_config *config = parse_text(
		PORTS "destinations:\n"
		      "  - {name: t1}\n"
		      "  - {name: t2, health: {rise: 1}}\n"
		      "  - {name: t3, health: {checks: []}}\n"
		      "  - {name: t4, health: {checks: [{kind: tcp}]}}\n"
		      "health: {checks: [{kind: probe}, {kind: icmp}]}\n");
	const struct sl_config_destination *destinations = config->destinations;

	assert_int_equal(config->health.nb_checks, 2);
	assert_int_equal(destinations[0].health.nb_checks, 2);
	assert_int_equal(destinations[1].health.nb_checks, 2);
	assert_int_equal(destinations[1].health.checks[1].kind, SL_CHECK_ICMP);
	assert_int_equal(destinations[2].health.nb_checks, 0);
	assert_int_equal(destinations[3].health.nb_checks, 1);
	assert_int_equal(destinations[3].health.checks[0].kind, SL_CHECK_TCP);
	check_round_trip(config);
	sl_config_free(config);
}

/* An interval that equals the file's interval_ms by choice stays what it is when written. */
static void
test_chosen_intervals_round_trip(void **state)
{
	struct sl_config *config = parse_text(
		PORTS "destinations:\n"
		      "  - {name: t1, health: {interval_ms: 5000, fast_interval_ms: 2000}}\n"
		      "  - {name: t2, health: {interval_ms: 5000, down_interval_ms: 5000}}\n"
		      "  - {name: t3, health: {interval_ms: 5000}}\n"
		      "health: {fast_interval_ms: 2000, down_interval_ms: 100}\n");

	assert_int_equal(config->destinations[0].health.fast_interval_ms, 2000);
	assert_int_equal(config->destinations[1].health.down_interval_ms, 5000);
	assert_int_equal(config->destinations[2].health.fast_interval_ms, 2000);
	assert_int_equal(config->destinations[2].health.down_interval_ms, 100);
	check_round_trip(config);
	sl_config_free(config);
}

static void
test_every_kind_of_check_is_read(void **state)
{
	struct sl_config *config = parse_text(EVERYTHING);
	const struct sl_config_check *file = config->health.checks;
	const struct sl_config_check *own = config->destinations[0].health.checks;
	char text[SL_IP_STRLEN];

	assert_int_equal(config->health.nb_checks, 4);
	assert_int_equal(file[0].kind, SL_CHECK_ICMP);
	assert_int_equal(file[1].kind, SL_CHECK_HTTP);
	assert_string_equal(sl_ip_format(&file[1].address, text), "10.1.0.9");
	assert_int_equal(file[1].port, 80);
	assert_string_equal(file[1].path, "/live");
	assert_string_equal(file[1].host, "h.example");
	assert_int_equal(file[1].status_min, 204);
	assert_int_equal(file[1].status_max, 204);
	assert_string_equal(file[1].body, "ok");
	assert_true(sl_ip_is_unset(&file[2].address));
	assert_int_equal(file[2].port, 0);
	assert_string_equal(file[2].path, "/");
	assert_int_equal(file[2].status_min, 200);
	assert_int_equal(file[2].status_max, 299);
	assert_int_equal(file[3].nb_argv, 3);
	assert_string_equal(file[3].argv[0], "/bin/check");
	assert_string_equal(file[3].argv[1], "");
	assert_string_equal(file[3].argv[2], "two words");
	assert_null(file[3].argv[3]);
	assert_int_equal(own[0].kind, SL_CHECK_TCP);
	assert_string_equal(own[0].send, "a\r\n");
	assert_string_equal(own[0].expect, " ");
	assert_int_equal(own[1].kind, SL_CHECK_UDP);
	assert_int_equal(own[2].kind, SL_CHECK_PROBE);
	assert_int_equal(config->destinations[0].backends[0].state, SL_CONFIG_MAINTENANCE);
	assert_int_equal(config->destinations[0].backends[1].state, SL_CONFIG_DRAIN);
	sl_config_free(config);
}

static void
test_http_expects_200_to_399(void **state)
{
	struct sl_config *config = parse_text(PORTS DESTS "health: {checks: [{kind: http}]}\n");

	assert_int_equal(config->health.checks[0].status_min, 200);
	assert_int_equal(config->health.checks[0].status_max, 399);
	sl_config_free(config);
}

/* Five lines of a whole file, then the check. */
#define CHECK(check)	   PORTS DESTS "health:\n  checks:\n    - {" check "}\n"
#define OWN_HEALTH(health) PORTS "destinations:\n  - {name: t1, health: {" health "}}\n"

static const struct {
	const char *text;
	const char *error; /* How it begins. */
} bad[] = {
	{PORTS DESTS "health: {rise: 0}\n",
		"f.yaml:5: health.rise: 0 is out of bounds; give 1 to "},
	{PORTS DESTS "health: {interval_ms: 9}\n", "f.yaml:5: health.interval_ms: 9 is out of"},
	{PORTS DESTS "health: {fast_interval_ms: 0}\n",
		"f.yaml:5: health.fast_interval_ms: 0 is out of"},
	{PORTS DESTS "health: {timeout_ms: 600001}\n", "f.yaml:5: health.timeout_ms: 600001 is"},
	{PORTS DESTS "health: {panic_threshold_percent: 101}\n",
		"f.yaml:5: health.panic_threshold_percent: 101 is"},
	{OWN_HEALTH("fall: 101"), "f.yaml:4: destinations[0].health.fall: 101 is out of bounds;"},
	{OWN_HEALTH("colour: 1"),
		"f.yaml:4: destinations[0].health.colour: unknown key; the keys here are "
		"interval_ms,"},
	{OWN_HEALTH("checks: [{kind: probe}, {kind: tcp, path: /}]"),
		"f.yaml:4: destinations[0].health.checks[1].path: is not a key of tcp checks; "
		"they have kind, address, port, send, expect"},
	{CHECK("port: 1"), "f.yaml:7: health.checks[0].kind: is missing;"},
	{CHECK("kind: ping"),
		"f.yaml:7: health.checks[0].kind: unknown value 'ping'; give one of: probe, icmp, "
		"udp, tcp, http, exec"},
	{CHECK("kind: probe, port: 1"),
		"f.yaml:7: health.checks[0].port: is not a key of probe checks; they have kind "
		"only"},
	{CHECK("kind: icmp, address: 10.77.0.1"),
		"f.yaml:7: health.checks[0].address: is not a key of icmp checks;"},
	{CHECK("kind: http, send: x"),
		"f.yaml:7: health.checks[0].send: is not a key of http checks;"},
	{CHECK("kind: exec, argv: [/a], expect: x"),
		"f.yaml:7: health.checks[0].expect: is not a key of exec checks; they have kind, "
		"argv"},
	{CHECK("kind: exec"), "f.yaml:7: health.checks[0].argv: is missing; give the command"},
	{CHECK("kind: exec, argv: []"), "f.yaml:7: health.checks[0].argv: is an empty list;"},
	{CHECK("kind: exec, argv: [check]"),
		"f.yaml:7: health.checks[0].argv: 'check' is not an absolute path;"},
	{CHECK("kind: tcp, address: fe80::1"),
		"f.yaml:7: health.checks[0].address: fe80::1 is link-local, it would need a zone;"},
	{CHECK("kind: tcp, address: 224.0.0.1"),
		"f.yaml:7: health.checks[0].address: 224.0.0.1 is not the address of one station;"},
	{CHECK("kind: tcp, address: kitchen"),
		"f.yaml:7: health.checks[0].address: 'kitchen' is not an IP address;"},
	{CHECK("kind: tcp, port: 0"), "f.yaml:7: health.checks[0].port: 0 is out of bounds;"},
	{CHECK("kind: tcp, send: ''"), "f.yaml:7: health.checks[0].send: is empty;"},
	{CHECK("kind: http, path: live"), "f.yaml:7: health.checks[0].path: 'live' is not the"},
	{CHECK("kind: http, path: /a b"), "f.yaml:7: health.checks[0].path: '/a b' is not the"},
	{CHECK("kind: http, path: \"/a\\r\\nb\""),
		"f.yaml:7: health.checks[0].path: '/a??b' has control characters in it;"},
	{CHECK("kind: http, host: \"a\\r\\nb\""),
		"f.yaml:7: health.checks[0].host: 'a??b' has control characters in it;"},
	{CHECK("kind: http, status: 99"), "f.yaml:7: health.checks[0].status: '99' is no HTTP"},
	{CHECK("kind: http, status: 600"), "f.yaml:7: health.checks[0].status: '600' is no HTTP"},
	{CHECK("kind: http, status: 299-200"), "f.yaml:7: health.checks[0].status: '299-200' is"},
	{CHECK("kind: http, status: 200-"), "f.yaml:7: health.checks[0].status: '200-' is"},
	{CHECK("kind: http, status: 200-2999"), "f.yaml:7: health.checks[0].status: '200-2999' "},
	{PORTS "destinations:\n  - {name: t1, backends: [\n"
	       "     {name: b, address: 10.77.0.2, port: 1, state: off}]}\n",
		"f.yaml:5: destinations[0].backends[0].state: unknown value 'off'; give one of: "
		"ready, drain, maintenance"},
};

static void
test_bad_health_is_refused(void **state)
{
	struct sl_config *config;
	char error[ERROR_LEN];
	unsigned int i;

	for (i = 0; i < RTE_DIM(bad); i++) {
		assert_int_equal(sl_config_parse("f.yaml", bad[i].text, strlen(bad[i].text),
					 &config, error, sizeof(error)),
			-EINVAL);
		if (strncmp(error, bad[i].error, strlen(bad[i].error)) != 0)
			fail_msg("said: %s\nnot: %s", error, bad[i].error);
		assert_non_null(strchr(error, ';'));
	}
}

static void
test_texts_are_bounded(void **state)
{
	struct sl_config *config;
	char error[ERROR_LEN], text[2048];
	char *word = malloc(1026);

	assert_non_null(word);
	memset(word, 'x', 1025);
	word[1025] = '\0';
	snprintf(text, sizeof(text), CHECK("kind: tcp, send: %s"), word);
	assert_int_equal(
		sl_config_parse("f.yaml", text, strlen(text), &config, error, sizeof(error)),
		-EINVAL);
	assert_string_equal(
		error, "f.yaml:7: health.checks[0].send: has 1025 bytes; give 1 to 1024");
	word[1024] = '\0';
	snprintf(text, sizeof(text), CHECK("kind: tcp, send: %s"), word);
	config = parse_text(text);
	check_round_trip(config);
	sl_config_free(config);
	free(word);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_check_nothing),
		cmocka_unit_test(test_destination_inherits_key_by_key),
		cmocka_unit_test(test_own_checks_replace_the_files),
		cmocka_unit_test(test_chosen_intervals_round_trip),
		cmocka_unit_test(test_every_kind_of_check_is_read),
		cmocka_unit_test(test_http_expects_200_to_399),
		cmocka_unit_test(test_bad_health_is_refused),
		cmocka_unit_test(test_texts_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
