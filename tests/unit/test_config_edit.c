/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Changes of a running configuration. */

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_common.h>

#include <sl_wire.h>

#include <sl_config.h>

#include "test_config.h"

#define MANY 8

static const char base_text[] =
	"ports: [{name: net0, device: d0, address: 10.77.0.1/24, address6: 'fd00:77::1/64'}]\n"
	"destinations:\n"
	"  - {name: t1, backends: [{name: b1, address: 10.77.0.11, port: 1}]}\n"
	"  - {name: t2, rate_msgs_per_s: 10000, health: {rise: 7}, backends: [\n"
	"     {name: b1, address: 10.77.0.11, port: 1, weight: 5},\n"
	"     {name: b2, address: 10.77.0.12, port: 2}]}\n"
	"rules: [{source: s1, class: high}, {type: lunch, destination: t1, class: low}]\n";

/* "key value key value": what the tests write for settings. */
static uint32_t
split(char *text, struct sl_config_setting *settings)
{
	uint32_t n = 0;
	char *save, *key;

	for (key = strtok_r(text, " ", &save); key != NULL; key = strtok_r(NULL, " ", &save))
		settings[n++] = (struct sl_config_setting){key, strtok_r(NULL, " ", &save)};
	return n;
}

static int
try_edit(const struct sl_config *base, struct sl_config_edit edit, const char *settings,
	struct sl_config **config, char *error)
{
	struct sl_config_setting list[MANY];
	char *copy = strdup(settings);
	int ret;

	edit.nb_settings = split(copy, list);
	edit.settings = list;
	ret = sl_config_edit(base, &edit, 1, config, error, ERROR_LEN);
	free(copy);
	return ret;
}

/* An edit that has to be taken; the base is freed. */
static struct sl_config *
apply(struct sl_config *base, struct sl_config_edit edit, const char *settings)
{
	struct sl_config *config;
	char error[ERROR_LEN];

	if (try_edit(base, edit, settings, &config, error) != 0)
		fail_msg("%s", error);
	assert_string_equal(error, "");
	check_round_trip(config);
	sl_config_free(base);
	return config;
}

static struct sl_config_edit
of_destination(enum sl_config_op op, const char *name)
{
	return (struct sl_config_edit){op, SL_CONFIG_DESTINATION, .destination = name};
}

static struct sl_config_edit
of_backend(enum sl_config_op op, const char *destination, const char *name)
{
	return (struct sl_config_edit){op, SL_CONFIG_BACKEND, destination, name};
}

static struct sl_config_edit
of_number(enum sl_config_op op, enum sl_config_object object, uint32_t number)
{
	return (struct sl_config_edit){op, object, .number = number};
}

static void
test_no_edit_gives_the_same(void **state)
{
	struct sl_config *config = parse_text(EVERYTHING), *same;
	char error[ERROR_LEN];

	assert_int_equal(sl_config_edit(config, NULL, 0, &same, error, sizeof(error)), 0);
	assert_int_equal(sl_config_diff(config, same, NULL, NULL), 0);
	sl_config_free(config);
	assert_string_equal(same->path, "f.yaml");
	assert_string_equal(same->destinations[0].name, "t1");
	sl_config_free(same);
}

static void
test_destination_is_added_with_defaults(void **state)
{
	struct sl_config *config = apply(parse_text(base_text), of_destination(SL_CONFIG_ADD, "t3"),
		"policy weighted-round-robin partitions 2");
	const struct sl_config_destination *added = &config->destinations[2];

	assert_int_equal(config->nb_destinations, 3);
	assert_string_equal(added->name, "t3");
	assert_int_equal(added->key, sl_wire_name_key("t3"));
	assert_int_equal(added->policy, SL_CONFIG_WEIGHTED_ROUND_ROBIN);
	assert_int_equal(added->partitions, 2);
	assert_int_equal(added->queue_capacity, 65536);
	assert_int_equal(added->default_class, 2);
	assert_int_equal(added->nb_backends, 0);
	assert_string_equal(sl_config_name_of(config, added->key), "t3");
	sl_config_free(config);
}

static void
test_destination_is_deleted(void **state)
{
	struct sl_config *config = apply(
		parse_text(base_text), of_destination(SL_CONFIG_DEL, "t2"), "");

	assert_int_equal(config->nb_destinations, 1);
	assert_string_equal(config->destinations[0].name, "t1");
	assert_null(sl_config_name_of(config, sl_wire_name_key("t2")));
	sl_config_free(config);
}

static void
test_chosen_burst_follows_the_rate(void **state)
{
	struct sl_config *config = parse_text(base_text);

	assert_int_equal(config->destinations[1].burst_msgs, 100);
	config = apply(config, of_destination(SL_CONFIG_SET, "t2"), "rate_msgs_per_s 50000");
	assert_int_equal(config->destinations[1].burst_msgs, 500);
	config = apply(config, of_backend(SL_CONFIG_SET, "t2", "b2"), "rate_msgs_per_s 90000");
	assert_int_equal(config->destinations[1].burst_msgs, 900);
	config = apply(config, of_destination(SL_CONFIG_SET, "t2"), "burst_msgs 10");
	config = apply(config, of_destination(SL_CONFIG_SET, "t2"), "rate_msgs_per_s 100000");
	assert_int_equal(config->destinations[1].burst_msgs, 10);
	sl_config_free(config);
}

static void
test_backend_is_added_set_and_deleted(void **state)
{
	struct sl_config *config = apply(parse_text(base_text),
		of_backend(SL_CONFIG_ADD, "t1", "b2"), "address fd00:77::9 port 9000 weight 3");
	const struct sl_config_backend *backend = &config->destinations[0].backends[1];

	assert_int_equal(config->destinations[0].nb_backends, 2);
	assert_false(sl_ip_is_v4(&backend->address));
	assert_int_equal(backend->port, 9000);
	assert_int_equal(backend->weight, 3);
	assert_int_equal(backend->state, SL_CONFIG_READY);

	config = apply(config, of_backend(SL_CONFIG_SET, "t1", "b2"), "state drain weight 4");
	backend = &config->destinations[0].backends[1];
	assert_int_equal(backend->state, SL_CONFIG_DRAIN);
	assert_int_equal(backend->weight, 4);
	assert_int_equal(backend->port, 9000);

	config = apply(config, of_backend(SL_CONFIG_DEL, "t1", "b1"), "");
	config = apply(config, of_backend(SL_CONFIG_DEL, "t1", "b2"), "");
	assert_int_equal(config->destinations[0].nb_backends, 0);
	assert_int_equal(config->destinations[1].nb_backends, 2);
	assert_int_equal(config->destinations[1].health.rise, 7);
	sl_config_free(config);
}

static void
test_class_is_set_by_its_level(void **state)
{
	struct sl_config *config = apply(parse_text(base_text),
		of_number(SL_CONFIG_SET, SL_CONFIG_CLASS, 2), "min_share_percent 20 max_wait_ms 5");

	assert_int_equal(config->classes[1].min_share_percent, 20);
	assert_int_equal(config->classes[1].max_wait_ms, 5);
	assert_string_equal(config->classes[1].name, "medium");
	sl_config_free(config);
}

static void
test_rules_are_placed_and_keep_their_names(void **state)
{
	struct sl_config *config = apply(parse_text(base_text),
		of_number(SL_CONFIG_ADD, SL_CONFIG_RULE, 1), "type tea priority 3 class medium");

	config = apply(config, of_number(SL_CONFIG_ADD, SL_CONFIG_RULE, 0), "class 3");
	assert_int_equal(config->nb_rules, 4);
	assert_int_equal(config->rules[0].type, sl_wire_name_key("tea"));
	assert_int_equal(config->rules[0].priority, 3);
	assert_int_equal(config->rules[0].level, 2);
	assert_int_equal(config->rules[1].source, sl_wire_name_key("s1"));
	assert_int_equal(config->rules[3].match, 0);
	assert_string_equal(sl_config_name_of(config, config->rules[2].type), "lunch");

	config = apply(config, of_number(SL_CONFIG_DEL, SL_CONFIG_RULE, 2), "");
	assert_int_equal(config->nb_rules, 3);
	assert_null(sl_config_name_of(config, sl_wire_name_key("s1")));
	assert_int_equal(config->rules[1].type, sl_wire_name_key("lunch"));
	sl_config_free(config);
}

/* In turn: a destination may be deleted and added anew, and filled in the same breath. */
static void
test_edits_are_made_in_turn(void **state)
{
	static const struct sl_config_setting backend[] = {
		{"address", "10.77.0.99"}, {"port", "7"}};
	const struct sl_config_edit edits[] = {
		of_destination(SL_CONFIG_ADD, "t3"),
		{SL_CONFIG_ADD, SL_CONFIG_BACKEND, "t3", "b", 0, 2, backend},
		of_destination(SL_CONFIG_DEL, "t2"),
		of_destination(SL_CONFIG_ADD, "t2"),
		{SL_CONFIG_ADD, SL_CONFIG_BACKEND, "t2", "b", 0, 2, backend},
	};
	struct sl_config *base = parse_text(base_text), *config;
	char error[ERROR_LEN];

	assert_int_equal(
		sl_config_edit(base, edits, RTE_DIM(edits), &config, error, sizeof(error)), 0);
	assert_int_equal(config->nb_destinations, 3);
	assert_string_equal(config->destinations[1].name, "t3");
	assert_string_equal(config->destinations[2].name, "t2");
	assert_int_equal(config->destinations[2].nb_backends, 1);
	assert_int_equal(config->destinations[2].health.rise, 2);
	check_round_trip(config);
	sl_config_free(config);
	sl_config_free(base);
}

#define D(op, name)                                                                                \
	{                                                                                          \
		SL_CONFIG_##op, SL_CONFIG_DESTINATION, .destination = name                         \
	}
#define B(op, name, backend)                                                                       \
	{                                                                                          \
		SL_CONFIG_##op, SL_CONFIG_BACKEND, name, backend                                   \
	}
#define C(op, level)                                                                               \
	{                                                                                          \
		SL_CONFIG_##op, SL_CONFIG_CLASS, .number = level                                   \
	}
#define R(op, place)                                                                               \
	{                                                                                          \
		SL_CONFIG_##op, SL_CONFIG_RULE, .number = place                                    \
	}

static const struct bad {
	struct sl_config_edit edit;
	const char *settings;
	int ret;
	const char *error; /* How it begins. */
} bad[] = {
	{D(ADD, "t1"), "", -EEXIST, "destinations[t1]: this destination is there already;"},
	{D(SET, "t9"), "", -ENOENT, "destinations[t9]: there is no such destination;"},
	{D(DEL, "t9"), "", -ENOENT, "destinations[t9]: there is no such destination;"},
	{D(DEL, "t1"), "", -EINVAL, "rules[2].destination: there is no destination 't1';"},
	{D(ADD, ""), "", -EINVAL, "destinations[].name: is empty;"},
	{D(ADD, "a\xc0\xaf"), "", -EINVAL, "destinations[a\xc0\xaf].name: is not UTF-8;"},
	{D(ADD, "a\x01"), "", -EINVAL, "destinations[a?].name: 'a?' has control characters in it;"},
	{D(SET, "t1"), "colour red", -EINVAL,
		"destinations[t1].colour: unknown key; the keys here are kind, class_boost, "
		"default_class, queue_capacity, rate_msgs_per_s, burst_msgs, policy, partitions"},
	{D(SET, "t1"), "name t9", -EINVAL, "destinations[t1].name: unknown key;"},
	{D(SET, "t1"), "backends x", -EINVAL, "destinations[t1].backends: unknown key;"},
	{D(SET, "t1"), "partitions 0", -EINVAL,
		"destinations[t1].partitions: 0 is out of bounds; give 1 to 64"},
	{D(SET, "t1"), "partitions 1 partitions 2", -EINVAL,
		"destinations[t1].partitions: is there twice;"},
	{D(SET, "t1"), "rate_msgs_per_s 5k", -EINVAL,
		"destinations[t1].rate_msgs_per_s: '5k' is not a whole number;"},
	{D(SET, "t1"), "policy best", -EINVAL,
		"destinations[t1].policy: unknown value 'best'; give one of: round-robin, "
		"weighted-round-robin"},
	{D(SET, "t1"), "default_class vip", -EINVAL,
		"destinations[t1].default_class: there is no class 'vip'; give one of: high (1)"},
	{B(SET, "t2", "b1"), "weight 70000", -EINVAL,
		"destinations[t2].backends[b1].weight: 70000 is out of bounds; give 1 to 65535"},
	{B(SET, "t2", "b9"), "weight 1", -ENOENT,
		"destinations[t2].backends[b9]: there is no such backend;"},
	{B(SET, "t9", "b1"), "weight 1", -ENOENT,
		"destinations[t9].backends[b1]: there is no such destination;"},
	{B(ADD, "t2", "b1"), "", -EEXIST,
		"destinations[t2].backends[b1]: this backend is there already;"},
	{B(ADD, "t2", "b3"), "port 1", -EINVAL,
		"destinations[t2].backends[b3].address: is missing; it has no default"},
	{B(ADD, "t2", "b3"), "address 10.77.0.3", -EINVAL,
		"destinations[t2].backends[b3].port: is missing;"},
	{B(ADD, "t2", "b3"), "address 10.78.0.3 port 1", -EINVAL,
		"destinations[t2].backends[b3].address: 10.78.0.3 is on no port's subnet"},
	{B(SET, "t2", "b1"), "state off", -EINVAL,
		"destinations[t2].backends[b1].state: unknown value 'off'; give one of: ready, "
		"drain, maintenance"},
	{C(ADD, 4), "", -EINVAL, "classes[4]: classes are neither added nor deleted"},
	{C(SET, 4), "", -ENOENT, "classes[4]: there is no such class;"},
	{C(SET, 1), "min_share_percent 101", -EINVAL,
		"classes[1].min_share_percent: 101 is out of bounds;"},
	{C(SET, 1), "name best", -EINVAL,
		"classes[1].name: unknown key; the keys here are min_share_percent, max_wait_ms"},
	{R(SET, 1), "class low", -EINVAL, "rules[1]: rules are not set;"},
	{R(DEL, 3), "", -ENOENT, "rules[3]: there is no such rule; there are 2"},
	{R(DEL, 0), "", -ENOENT, "rules[0]: there is no such rule;"},
	{R(ADD, 4), "class low", -EINVAL, "rules[4]: there is no such place; give 1 to 3,"},
	{R(ADD, 3), "type x", -EINVAL, "rules[3].class: is missing;"},
	{R(ADD, 3), "class x", -EINVAL, "rules[3].class: there is no class 'x';"},
	{R(ADD, 1), "destination t9 class 1", -EINVAL,
		"rules[1].destination: there is no destination 't9';"},
};

static void
test_bad_edits_name_object_and_remedy(void **state)
{
	struct sl_config *base = parse_text(base_text), *config;
	char *before = write_text(base), *after;
	char error[ERROR_LEN];
	unsigned int i;
	int ret;

	for (i = 0; i < RTE_DIM(bad); i++) {
		ret = try_edit(base, bad[i].edit, bad[i].settings, &config, error);
		if (ret != bad[i].ret || strncmp(error, bad[i].error, strlen(bad[i].error)) != 0)
			fail_msg("case %u returned %d: %s", i, ret, error);
		assert_null(config);
		assert_null(strchr(error, '\n'));
		assert_non_null(strchr(error, ';'));
	}
	after = write_text(base);
	assert_string_equal(before, after);
	free(before);
	free(after);
	sl_config_free(base);
}

static void
test_one_bad_edit_of_several_leaves_nothing(void **state)
{
	const struct sl_config_edit edits[] = {
		of_destination(SL_CONFIG_ADD, "t3"),
		of_destination(SL_CONFIG_DEL, "nobody"),
	};
	struct sl_config *base = parse_text(base_text), *config;
	char error[ERROR_LEN];

	assert_int_equal(sl_config_edit(base, edits, 2, &config, error, sizeof(error)), -ENOENT);
	assert_null(config);
	assert_int_equal(base->nb_destinations, 2);
	sl_config_free(base);
}

static void
test_last_destination_stays(void **state)
{
	struct sl_config *base = parse_text(PORTS DESTS), *config;
	char error[ERROR_LEN];

	assert_int_equal(
		try_edit(base, of_destination(SL_CONFIG_DEL, "t1"), "", &config, error), -EINVAL);
	assert_string_equal(error,
		"destinations: the last one would be gone; keep at least one, or add another "
		"first");
	sl_config_free(base);
}

static void
test_lists_stay_bounded(void **state)
{
	struct sl_config *base, *config;
	char error[ERROR_LEN], *text;

	text = repeat(PORTS "destinations:\n  - name: t\n    backends:\n",
		"      - {name: b%u, address: 10.77.0.2, port: 1}\n", SL_CONFIG_BACKENDS_MAX, "");
	base = parse_text(text);
	assert_int_equal(try_edit(base, of_backend(SL_CONFIG_ADD, "t", "x"),
				 "address 10.77.0.3 port 1", &config, error),
		-EINVAL);
	assert_non_null(strstr(error, "has 256 backends already"));
	sl_config_free(base);
	free(text);

	text = repeat(
		PORTS DESTS "rules:\n", "  - {type: t%u, class: 1}\n", SL_CONFIG_RULES_MAX, "");
	base = parse_text(text);
	assert_int_equal(try_edit(base, of_number(SL_CONFIG_ADD, SL_CONFIG_RULE, 0), "class 1",
				 &config, error),
		-EINVAL);
	assert_non_null(strstr(error, "there are 256 rules already"));
	sl_config_free(base);
	free(text);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_edit_gives_the_same),
		cmocka_unit_test(test_destination_is_added_with_defaults),
		cmocka_unit_test(test_destination_is_deleted),
		cmocka_unit_test(test_chosen_burst_follows_the_rate),
		cmocka_unit_test(test_backend_is_added_set_and_deleted),
		cmocka_unit_test(test_class_is_set_by_its_level),
		cmocka_unit_test(test_rules_are_placed_and_keep_their_names),
		cmocka_unit_test(test_edits_are_made_in_turn),
		cmocka_unit_test(test_bad_edits_name_object_and_remedy),
		cmocka_unit_test(test_one_bad_edit_of_several_leaves_nothing),
		cmocka_unit_test(test_last_destination_stays),
		cmocka_unit_test(test_lists_stay_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
