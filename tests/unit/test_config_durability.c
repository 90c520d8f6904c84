/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* What destinations, journal, publishers and sinks have of durability, and sizes and times. */

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

#define MIB UINT64_C(1048576)
#define GIB UINT64_C(1073741824)
/* One line each. */
#define JOURNAL "journal: {directory: /j}\n"
#define DURABLE "guarantee: at-least-once"
/* A journal, the destination t1 in lines 4 and 5, and t2, which is durable. */
#define TWO(keys)                                                                                  \
	JOURNAL PORTS "destinations:\n  - {name: t1, " keys                                        \
		      "}\n  - {name: t2, guarantee: at-least-once}\n"

static void
test_defaults_are_those_of_no_journal(void **state)
{
	struct sl_config *config = parse_text(PORTS DESTS);

	assert_null(config->journal.directory);
	assert_int_equal(config->nb_sinks, 0);
	assert_int_equal(config->publishers.sessions_max, 4096);
	assert_int_equal(config->publishers.sessions_per_address_max, 256);
	assert_int_equal(config->publishers.window, 4096);
	assert_int_equal(config->publishers.window_per_address, 65536);
	assert_int_equal(config->publishers.rate_msgs_per_s, 0);
	assert_int_equal(config->publishers.idle_ms, 60000);
	assert_int_equal(config->destinations[0].guarantee, SL_CONFIG_AT_MOST_ONCE);
	assert_int_equal(config->destinations[0].in_flight, 1024);
	assert_int_equal(config->destinations[0].max_attempts, 0);
	assert_int_equal(config->destinations[0].requeue_after_ms, 5000);
	assert_null(config->destinations[0].dead_letter);
	assert_int_equal(config->destinations[0].dead_letter_index, UINT32_MAX);
	sl_config_free(config);
}

static void
test_a_directory_is_enough_of_a_journal(void **state)
{
	struct sl_config *config = parse_text(PORTS DESTS JOURNAL);
	const struct sl_config_journal *journal = &config->journal;

	assert_string_equal(journal->directory, "/j");
	assert_int_equal(journal->segment_bytes, 64 * MIB);
	assert_int_equal(journal->ring_bytes, 32 * MIB);
	assert_int_equal(journal->max_bytes, 16 * GIB);
	assert_int_equal(journal->retention_bytes, 8 * GIB);
	assert_int_equal(journal->retention_ms, 86400000);
	assert_int_equal(journal->commit_interval_us, 0);
	assert_true(journal->is_direct);
	assert_int_equal(journal->parked_capacity, 16777216);
	assert_int_equal(journal->cpu, -1);
	check_round_trip(config);
	sl_config_free(config);
}

static void
test_every_setting_is_read(void **state)
{
	struct sl_config *config = parse_text(EVERYTHING);
	const struct sl_config_destination *destination = &config->destinations[0];
	const struct sl_config_journal *journal = &config->journal;
	const struct sl_config_sink *sink = config->sinks;

	assert_int_equal(destination->guarantee, SL_CONFIG_AT_LEAST_ONCE);
	assert_int_equal(destination->in_flight, 65536);
	assert_int_equal(destination->max_attempts, 65535);
	assert_int_equal(destination->requeue_after_ms, 100);
	assert_string_equal(destination->dead_letter, "t3");
	assert_int_equal(destination->dead_letter_index, 2);
	assert_int_equal(journal->segment_bytes, MIB);
	assert_int_equal(journal->ring_bytes, 4 * GIB);
	assert_int_equal(journal->max_bytes, 8 * MIB);
	assert_int_equal(journal->retention_bytes, 1025);
	assert_int_equal(journal->retention_ms, 90 * 60000);
	assert_int_equal(journal->commit_interval_us, 1000000);
	assert_false(journal->is_direct);
	assert_int_equal(journal->parked_capacity, 1024);
	assert_int_equal(journal->cpu, 1023);
	assert_int_equal(config->publishers.sessions_max, 1);
	assert_int_equal(config->publishers.window, 64);
	assert_int_equal(config->publishers.window_per_address, 0);
	assert_int_equal(config->nb_sinks, 2);
	assert_int_equal(sink[0].kind, SL_SINK_SQLITE);
	assert_string_equal(sink[0].path, "/s.db");
	assert_null(sink[0].conninfo);
	assert_int_equal(sink[0].batch_ms, 1);
	assert_int_equal(sink[1].kind, SL_SINK_POSTGRESQL);
	assert_string_equal(sink[1].conninfo, "dbname=x");
	assert_int_equal(sink[1].writers, 64);
	assert_int_equal(sink[1].keep_days, 36500);
	sl_config_free(config);
}

static void
test_numbers_with_units(void **state)
{
	static const struct {
		const char *text;
		enum sl_config_unit unit;
		int64_t value; /* -1: it is none. */
		const char *shortest;
	} cases[] = {
		{"0", SL_CONFIG_BYTES, 0, "0"},
		{"1", SL_CONFIG_BYTES, 1, "1"},
		{"1024", SL_CONFIG_BYTES, 1024, "1K"},
		{"1025", SL_CONFIG_BYTES, 1025, "1025"},
		{"1K", SL_CONFIG_BYTES, 1024, "1K"},
		{"1024K", SL_CONFIG_BYTES, 1048576, "1M"},
		{"3G", SL_CONFIG_BYTES, INT64_C(3221225472), "3G"},
		{"8388607T", SL_CONFIG_BYTES, INT64_C(9223370937343148032), "8388607T"},
		{"8388608T", SL_CONFIG_BYTES, -1, NULL},
		{"9223372036854775807", SL_CONFIG_BYTES, INT64_MAX, "9223372036854775807"},
		{"9223372036854775808", SL_CONFIG_BYTES, -1, NULL},
		{"99999999999999999999999999", SL_CONFIG_BYTES, -1, NULL},
		{"", SL_CONFIG_BYTES, -1, NULL},
		{"M", SL_CONFIG_BYTES, -1, NULL},
		{"64m", SL_CONFIG_BYTES, -1, NULL},
		{"64MB", SL_CONFIG_BYTES, -1, NULL},
		{"064M", SL_CONFIG_BYTES, -1, NULL},
		{"-1", SL_CONFIG_BYTES, -1, NULL},
		{" 1", SL_CONFIG_BYTES, -1, NULL},
		{"1 K", SL_CONFIG_BYTES, -1, NULL},
		{"1.5G", SL_CONFIG_BYTES, -1, NULL},
		{"0", SL_CONFIG_TIME_MS, 0, "0"},
		{"0d", SL_CONFIG_TIME_MS, 0, "0"},
		{"5", SL_CONFIG_TIME_MS, -1, NULL},
		{"5ms", SL_CONFIG_TIME_MS, 5, "5ms"},
		{"1000ms", SL_CONFIG_TIME_MS, 1000, "1s"},
		{"90s", SL_CONFIG_TIME_MS, 90000, "90s"},
		{"120s", SL_CONFIG_TIME_MS, 120000, "2m"},
		{"24h", SL_CONFIG_TIME_MS, 86400000, "1d"},
		{"36h", SL_CONFIG_TIME_MS, 129600000, "36h"},
		{"1w", SL_CONFIG_TIME_MS, -1, NULL},
		{"1M", SL_CONFIG_TIME_MS, -1, NULL},
	};
	char text[SL_CONFIG_NUMBER_LEN];
	int64_t value;
	unsigned int i;

	for (i = 0; i < RTE_DIM(cases); i++) {
		if (sl_config_parse_number(cases[i].text, cases[i].unit, &value) !=
			(cases[i].value >= 0))
			fail_msg("'%s' is taken or refused wrongly", cases[i].text);
		if (cases[i].value < 0)
			continue;
		assert_int_equal(value, cases[i].value);
		assert_string_equal(
			sl_config_format_number(value, cases[i].unit, text), cases[i].shortest);
	}
}

/* A size is the same however it is written, and is written shortly. */
static void
test_sizes_are_written_with_their_unit(void **state)
{
	struct sl_config *config = parse_text(
		PORTS DESTS "journal: {directory: /j, ring_bytes: 1048576, retention: 7200s,\n"
			    "          retention_bytes: \"100\"}\n");
	char *text = write_text(config);

	assert_non_null(strstr(text, "ring_bytes: 1M\n"));
	assert_non_null(strstr(text, "retention: 2h\n"));
	assert_non_null(strstr(text, "retention_bytes: \"100\"\n"));
	check_round_trip(config);
	free(text);
	sl_config_free(config);
}

static const struct {
	const char *text;
	const char *error; /* What it begins with. */
} bad[] = {
	{DEST(DURABLE),
		"f.yaml:4: destinations[0].guarantee: at-least-once needs a journal, and there is "
		"none;"},
	{DEST("guarantee: twice"),
		"f.yaml:4: destinations[0].guarantee: unknown value 'twice'; give one of: "
		"at-most-once, at-least-once"},
	{TWO("in_flight: 64"), "f.yaml:5: destinations[0].in_flight: is not a key of at-most-once"},
	{TWO("dead_letter: t2"), "f.yaml:5: destinations[0].dead_letter: is not a key of"},
	{TWO(DURABLE ", in_flight: 100"),
		"f.yaml:5: destinations[0].in_flight: 100 is not a power of 2; give one, like 128"},
	{TWO(DURABLE ", in_flight: 8"), "f.yaml:5: destinations[0].in_flight: 8 is out of bounds;"},
	{"journal: {directory: /j, ring_bytes: 1M}\n" PORTS
	 "destinations: [{name: t1, guarantee: at-least-once, in_flight: 65536}]\n",
		"f.yaml:4: destinations[0].in_flight: the outcomes of 65536 messages do not fit "
		"into journal.ring_bytes, 1M; give at most 32768, or a ring of 2M"},
	{TWO(DURABLE ", requeue_after_ms: 99"),
		"f.yaml:5: destinations[0].requeue_after_ms: 99 is out of bounds;"},
	{TWO(DURABLE ", dead_letter: t2"),
		"f.yaml:5: destinations[0].dead_letter: gets nothing while max_attempts is 0"},
	{TWO(DURABLE ", max_attempts: 3, dead_letter: t1"),
		"f.yaml:5: destinations[0].dead_letter: 't1' is the destination itself;"},
	{TWO(DURABLE ", max_attempts: 3, dead_letter: t9"),
		"f.yaml:5: destinations[0].dead_letter: there is no destination 't9';"},
	{TWO("max_attempts: 1}\n  - {name: t3"),
		"f.yaml:5: destinations[0].max_attempts: is not a key of at-most-once"},
	{TWO(DURABLE ", max_attempts: 3, dead_letter: t3}\n  - {name: t3"),
		"f.yaml:5: destinations[0].dead_letter: 't3' is at-most-once,"},
	{TWO(DURABLE ", max_attempts: 3, dead_letter: t3}\n"
		     "  - {name: t3, guarantee: at-least-once, max_attempts: 3, dead_letter: t2"),
		"f.yaml:5: destinations[0].dead_letter: 't3' has a dead_letter itself;"},
	{PORTS DESTS "journal: {segment_bytes: 1M}\n", "f.yaml:5: journal.directory: is missing;"},
	{PORTS DESTS "journal: {directory: here}\n",
		"f.yaml:5: journal.directory: 'here' is not an absolute path; begin it with a /"},
	{PORTS DESTS "journal: {directory: /j, segment_bytes: 3M}\n",
		"f.yaml:5: journal.segment_bytes: 3M is not a power of 2; give one, like 4M"},
	{PORTS DESTS "journal: {directory: /j, segment_bytes: 512K}\n",
		"f.yaml:5: journal.segment_bytes: 512K is out of bounds; give 1M to 1G"},
	{PORTS DESTS "journal: {directory: /j, segment_bytes: 64MB}\n",
		"f.yaml:5: journal.segment_bytes: '64MB' is not a size; write bytes as a whole"},
	{PORTS DESTS "journal: {directory: /j, ring_bytes: 33M}\n",
		"f.yaml:5: journal.ring_bytes: 33M is not a power of 2; give one, like 64M"},
	{PORTS DESTS "journal: {directory: /j, max_bytes: 255M}\n",
		"f.yaml:5: journal.max_bytes: 255M is less than 4 segments for each worker (of 1), "
		"256M; give"},
	{PORTS DESTS "lcores: [{lcore: 0, roles: [rx, worker]}, {lcore: 1, roles: [worker]}]\n"
		     "journal: {directory: /j, max_bytes: 256M}\n",
		"f.yaml:6: journal.max_bytes: 256M is less than 4 segments for each worker (of 2), "
		"512M;"},
	{PORTS DESTS "journal: {directory: /j, retention_bytes: 17G}\n",
		"f.yaml:5: journal.retention_bytes: 17G is more than max_bytes, 16G;"},
	{PORTS DESTS "journal: {directory: /j, retention: 5}\n",
		"f.yaml:5: journal.retention: '5' is not a time; write a whole number with its "
		"unit,"},
	{PORTS DESTS "journal: {directory: /j, retention: 3651d}\n",
		"f.yaml:5: journal.retention: 3651d is out of bounds; give 0 to 3650d"},
	{PORTS DESTS "journal: {directory: /j, cpu: -1}\n", "f.yaml:5: journal.cpu: -1 is out of"},
	{PORTS DESTS "publishers: {window: 100}\n",
		"f.yaml:5: publishers.window: 100 is not a power of 2; give one, like 128"},
	{PORTS DESTS "publishers: {sessions_max: 0}\n", "f.yaml:5: publishers.sessions_max: 0 is"},
	{PORTS DESTS "sinks: [{name: s, kind: sqlite, path: /s}]\n",
		"f.yaml:5: sinks: trail the journal, and there is none;"},
	{PORTS DESTS JOURNAL "sinks: [{name: s, kind: mysql}]\n",
		"f.yaml:6: sinks[0].kind: unknown value 'mysql'; give one of: sqlite, postgresql"},
	{PORTS DESTS JOURNAL "sinks: [{name: s, kind: sqlite}]\n",
		"f.yaml:6: sinks[0].path: is missing; a sqlite sink needs it"},
	{PORTS DESTS JOURNAL "sinks: [{name: s, kind: sqlite, path: s.db}]\n",
		"f.yaml:6: sinks[0].path: 's.db' is not an absolute path;"},
	{PORTS DESTS JOURNAL "sinks: [{name: s, kind: sqlite, path: /s, writers: 2}]\n",
		"f.yaml:6: sinks[0].writers: is not a key of sqlite sinks;"},
	{PORTS DESTS JOURNAL "sinks: [{name: s, kind: postgresql, path: /s, conninfo: x}]\n",
		"f.yaml:6: sinks[0].path: is not a key of postgresql sinks;"},
	{PORTS DESTS JOURNAL "sinks: [{name: s, kind: postgresql}]\n",
		"f.yaml:6: sinks[0].conninfo: is missing; a postgresql sink needs it"},
	{PORTS DESTS JOURNAL "sinks:\n  - {name: s, kind: sqlite, path: /s}\n"
			     "  - {name: s, kind: sqlite, path: /t}\n",
		"f.yaml:8: sinks[1].name: 's' is the name of sinks[0], too;"},
	{PORTS DESTS JOURNAL "sinks:\n  - {name: s, kind: sqlite, path: /s}\n"
			     "  - {name: t, kind: sqlite, path: /s}\n",
		"f.yaml:8: sinks[1].path: /s is sinks[0]'s, too; give each sink its own file"},
	{PORTS DESTS JOURNAL "sinks:\n  - {name: s, kind: postgresql, conninfo: 'dbname=x'}\n"
			     "  - {name: t, kind: postgresql, conninfo: 'dbname=x'}\n",
		"f.yaml:8: sinks[1].conninfo: is sinks[0]'s, too; give each sink its own database"},
	{PORTS DESTS JOURNAL
		"sinks: [{name: s, kind: postgresql, conninfo: 'dbname=x password  = y'}]\n",
		"f.yaml:6: sinks[0].conninfo: has a password in it,"},
	{PORTS DESTS JOURNAL
		"sinks: [{name: s, kind: postgresql, conninfo: 'dbname=x password=y'}]\n",
		"f.yaml:6: sinks[0].conninfo: has a password in it,"},
	{PORTS DESTS JOURNAL
		"sinks: [{name: s, kind: postgresql, conninfo: 'postgresql://me:pw@db/x'}]\n",
		"f.yaml:6: sinks[0].conninfo: has a password in it,"},
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

static void
test_harmless_connection_strings_are_taken(void **state)
{
	static const char *const texts[] = {"postgresql://me@db:5432/x", "host=/run/postgresql",
		"postgresql://db/x?passfile=/p", "passfile=/etc/pgpass"};
	char text[256];
	unsigned int i;

	for (i = 0; i < RTE_DIM(texts); i++) {
		snprintf(text, sizeof(text),
			PORTS DESTS JOURNAL
			"sinks: [{name: s, kind: postgresql, conninfo: '%s'}]\n",
			texts[i]);
		sl_config_free(parse_text(text));
	}
}

/* One destination may get what several give up; "none" is none. */
static void
test_dead_letters_are_found_anywhere(void **state)
{
	struct sl_config *config = parse_text(
		TWO(DURABLE ", max_attempts: 1, dead_letter: last}\n"
			    "  - {name: a, " DURABLE ", max_attempts: 1, dead_letter: last}\n"
			    "  - {name: b, " DURABLE ", dead_letter: none}\n"
			    "  - {name: last, " DURABLE));

	assert_int_equal(config->destinations[0].dead_letter_index, 3);
	assert_int_equal(config->destinations[1].dead_letter_index, 3);
	assert_null(config->destinations[2].dead_letter);
	assert_int_equal(config->destinations[2].dead_letter_index, UINT32_MAX);
	check_round_trip(config);
	sl_config_free(config);
}

static void
note(void *arg, const struct sl_config_change *change)
{
	char *told = arg;
	size_t len = strlen(told);

	snprintf(told + len, 2048 - len, "%s: %s -> %s%s\n", change->path,
		change->before != NULL ? change->before : "none",
		change->after != NULL ? change->after : "none", change->needs_restart ? "!" : "");
}

static void
check_changes(const struct sl_config *before, const struct sl_config *after, const char *expected)
{
	char told[2048] = "";

	assert_true(sl_config_diff(before, after, note, told) >= 0);
	assert_string_equal(told, expected);
}

static void
test_what_needs_a_restart_is_marked(void **state)
{
	struct sl_config *before = parse_text(TWO(DURABLE));
	struct sl_config *after = parse_text(
		"journal: {directory: /k, retention: 2d, retention_bytes: 4G, cpu: 1}\n"
		"publishers: {idle_ms: 1000}\n"
		"sinks: [{name: s, kind: sqlite, path: /s}]\n" PORTS "destinations:\n"
		"  - {name: t1, guarantee: at-least-once, in_flight: 64, max_attempts: 5,\n"
		"     requeue_after_ms: 100, dead_letter: t3}\n"
		"  - {name: t2}\n"
		"  - {name: t3, guarantee: at-least-once}\n");

	check_changes(before, after,
		"destinations.t1.in_flight: 1024 -> 64!\n"
		"destinations.t1.max_attempts: 0 -> 5\n"
		"destinations.t1.requeue_after_ms: 5000 -> 100\n"
		"destinations.t1.dead_letter: none -> t3\n"
		"destinations.t2.guarantee: at-least-once -> at-most-once!\n"
		"destinations.t3: none -> \n"
		"journal.directory: /j -> /k!\n"
		"journal.retention_bytes: 8G -> 4G\n"
		"journal.retention: 1d -> 2d\n"
		"journal.cpu: none -> 1!\n"
		"publishers.idle_ms: 60000 -> 1000!\n"
		"sinks.s: none -> !\n");
	sl_config_free(before);
	sl_config_free(after);
}

static struct sl_config *
edit_one(const struct sl_config *base, enum sl_config_op op, const char *destination,
	const struct sl_config_setting *settings, uint32_t nb_settings, const char *expected_error)
{
	const struct sl_config_edit edit = {
		.op = op,
		.object = SL_CONFIG_DESTINATION,
		.destination = destination,
		.nb_settings = nb_settings,
		.settings = settings,
	};
	struct sl_config *made;
	char error[ERROR_LEN];

	sl_config_edit(base, &edit, 1, &made, error, sizeof(error));
	assert_string_equal(error, expected_error);
	return made;
}

static void
test_a_dead_letter_is_set_and_taken_away(void **state)
{
	const struct sl_config_setting set[] = {{"max_attempts", "5"}, {"dead_letter", "t2"}};
	const struct sl_config_setting unset[] = {{"dead_letter", "none"}};
	struct sl_config *base = parse_text(TWO(DURABLE)), *with, *without;

	edit_one(base, SL_CONFIG_SET, "t1", &set[1], 1,
		"destinations[t1].dead_letter: gets nothing while max_attempts is 0, for nothing is "
		"given up; give max_attempts, too");
	with = edit_one(base, SL_CONFIG_SET, "t1", set, RTE_DIM(set), "");
	assert_string_equal(with->destinations[0].dead_letter, "t2");
	edit_one(with, SL_CONFIG_DEL, "t2", NULL, 0,
		"destinations[t1].dead_letter: there is no destination 't2'; name a configured "
		"one, or none");
	without = edit_one(with, SL_CONFIG_SET, "t1", unset, 1, "");
	assert_null(without->destinations[0].dead_letter);
	check_changes(with, without, "destinations.t1.dead_letter: t2 -> none\n");
	sl_config_free(base);
	sl_config_free(with);
	sl_config_free(without);
}

static void
test_a_durable_destination_is_added(void **state)
{
	const struct sl_config_setting settings[] = {
		{"guarantee", "at-least-once"}, {"in_flight", "64"}};
	struct sl_config *base = parse_text(TWO(DURABLE)), *made;
	struct sl_config *plain = parse_text(PORTS DESTS);

	made = edit_one(base, SL_CONFIG_ADD, "t9", settings, RTE_DIM(settings), "");
	assert_int_equal(made->destinations[2].guarantee, SL_CONFIG_AT_LEAST_ONCE);
	assert_int_equal(made->destinations[2].in_flight, 64);
	edit_one(plain, SL_CONFIG_ADD, "t9", settings, RTE_DIM(settings),
		"destinations[t9].guarantee: at-least-once needs a journal, and there is none; give "
		"journal: {directory: ...}, or at-most-once");
	sl_config_free(base);
	sl_config_free(plain);
	sl_config_free(made);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_are_those_of_no_journal),
		cmocka_unit_test(test_a_directory_is_enough_of_a_journal),
		cmocka_unit_test(test_every_setting_is_read),
		cmocka_unit_test(test_numbers_with_units),
		cmocka_unit_test(test_sizes_are_written_with_their_unit),
		cmocka_unit_test(test_bad_values_are_refused),
		cmocka_unit_test(test_harmless_connection_strings_are_taken),
		cmocka_unit_test(test_dead_letters_are_found_anywhere),
		cmocka_unit_test(test_what_needs_a_restart_is_marked),
		cmocka_unit_test(test_a_dead_letter_is_set_and_taken_away),
		cmocka_unit_test(test_a_durable_destination_is_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
