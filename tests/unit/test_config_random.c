/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Random edits of a configuration, right ones and wrong ones: what is made of it can be written and
 * read again and is the same, the base stays as it was, and a wrong edit leaves nothing.
 */

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

#define NB_STEPS     1500
#define EDITS_MAX    4
#define SETTINGS_MAX 3

static uint32_t seed;

/* Numerical Recipes' generator: the same steps in every run. */
static uint32_t
below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static const char *
one_of(const char *const *words, uint32_t n)
{
	return words[below(n)];
}

/* Names that need quotes, that look like something else, and that no name may be. */
static const char *const names[] = {"t1", "t2", "t3", "küche", "yes", "12", "a: b", "#x", "- y",
	"'", "\"q\"", "\\", "{", "~", "10.77.0.11", "bad\nname", "bad\xff", "", " edge ", "!t", "*",
	"0x1f", "<<", "=", "%d", "null", "\u00e9\u4e2d\U0001f600", "\u2028"};
static const char *const destination_keys[] = {"policy", "rate_msgs_per_s", "burst_msgs",
	"class_boost", "default_class", "queue_capacity", "partitions", "guarantee", "in_flight",
	"max_attempts", "requeue_after_ms", "dead_letter", "colour"};
static const char *const backend_keys[] = {
	"address", "port", "weight", "rate_msgs_per_s", "state", "backends"};
static const char *const class_keys[] = {"min_share_percent", "max_wait_ms", "name"};
static const char *const rule_keys[] = {"source", "destination", "type", "priority", "class"};
static const char *const values[] = {"0", "1", "7", "60", "5000", "64", "-1", "x", "one", "eight",
	"round-robin", "weighted-round-robin", "drain", "ready", "10.1.0.77", "fd00:1::77",
	"fd02::1", "t1", "t2", "t3", "12", "99999999999999999999", "at-least-once", "at-most-once",
	"none"};

/* Mostly one of the first few, so that what was added is met again. */
static const char *
random_name(void)
{
	return one_of(names, below(3) > 0 ? 5 : RTE_DIM(names));
}

static struct sl_config_setting
random_setting(enum sl_config_object object)
{
	struct sl_config_setting setting = {.value = one_of(values, RTE_DIM(values))};

	switch (object) {
	case SL_CONFIG_DESTINATION:
		setting.key = one_of(destination_keys, RTE_DIM(destination_keys));
		break;
	case SL_CONFIG_BACKEND:
		setting.key = one_of(backend_keys, RTE_DIM(backend_keys));
		break;
	case SL_CONFIG_CLASS:
		setting.key = one_of(class_keys, RTE_DIM(class_keys));
		break;
	default:
		setting.key = one_of(rule_keys, RTE_DIM(rule_keys));
		break;
	}
	return setting;
}

/* New backends and rules get what they need at least, or nearly none would be right. */
static struct sl_config_edit
random_edit(struct sl_config_setting *settings)
{
	struct sl_config_edit edit = {
		.op = (enum sl_config_op)below(3),
		.object = (enum sl_config_object)below(4),
		.destination = random_name(),
		.backend = random_name(),
		.number = below(9),
		.settings = settings,
	};
	uint32_t n = 0, nb_random = below(SETTINGS_MAX);

	if (edit.op == SL_CONFIG_ADD && edit.object == SL_CONFIG_BACKEND) {
		settings[n++] = (struct sl_config_setting){"address", "10.1.3.4"};
		settings[n++] = (struct sl_config_setting){"port", "9"};
	} else if (edit.op == SL_CONFIG_ADD && edit.object == SL_CONFIG_RULE) {
		settings[n++] = (struct sl_config_setting){"class", "one"};
		settings[n++] = (struct sl_config_setting){"type", one_of(names, RTE_DIM(names))};
		nb_random = 0;
	} else if (edit.op != SL_CONFIG_DEL) {
		for (; n < nb_random; n++)
			settings[n] = random_setting(edit.object);
	}
	edit.nb_settings = n;
	return edit;
}

static void
test_random_edits_round_trip(void **state)
{
	struct sl_config *config = parse_text(EVERYTHING), *next;
	struct sl_config_setting settings[EDITS_MAX][SETTINGS_MAX];
	struct sl_config_edit edits[EDITS_MAX];
	uint32_t i, j, n, nb_made = 0;
	char error[ERROR_LEN];
	char *before, *after;
	int ret;

	seed = 1;
	before = write_text(config);
	for (i = 0; i < NB_STEPS; i++) {
		n = 1 + (below(4) == 0 ? below(EDITS_MAX) : 0);
		for (j = 0; j < n; j++)
			edits[j] = random_edit(settings[j]);
		ret = sl_config_edit(config, edits, n, &next, error, sizeof(error));
		after = write_text(config);
		assert_string_equal(before, after);
		free(after);
		if (ret < 0) {
			assert_null(next);
			assert_non_null(strchr(error, ';'));
			assert_null(strchr(error, '\n'));
			continue;
		}
		nb_made++;
		assert_string_equal(error, "");
		sl_config_free(config);
		config = next;
		check_round_trip(config);
		free(before);
		before = write_text(config);
	}
	/* Enough of either. */
	assert_in_range(nb_made, NB_STEPS / 10, NB_STEPS * 9 / 10);
	free(before);
	sl_config_free(config);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_edits_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
