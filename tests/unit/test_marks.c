/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* What counters show after they were cleared, and after the configuration has changed since. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "marks.h"

static struct sl_config_backend backends_ab[] = {{.name = (char *)"a"}, {.name = (char *)"b"}};
static struct sl_config_backend backends_ba[] = {
	{.name = (char *)"b"}, {.name = (char *)"c"}, {.name = (char *)"a"}};

static struct sl_config_destination before_destinations[] = {
	{.name = (char *)"one", .key = 11},
	{.name = (char *)"two", .key = 5, .nb_backends = 2, .backends = backends_ab},
	{.name = (char *)"gone", .key = 7},
};
static struct sl_config_destination after_destinations[] = {
	{.name = (char *)"two", .key = 5, .nb_backends = 3, .backends = backends_ba},
	{.name = (char *)"new", .key = 9},
	{.name = (char *)"one", .key = 11},
};
static const struct sl_config before = {.nb_destinations = 3, .destinations = before_destinations};
static const struct sl_config after = {.nb_destinations = 3, .destinations = after_destinations};

static void
test_nothing_is_taken_off_before_a_clear(void **state)
{
	struct sl_destination_stats stats = {.delivered = 3, .queued = 2, .dropped = 1};
	struct sl_datapath_stats *total = calloc(1, sizeof(*total));
	struct marks *marks = marks_create(&before);

	(void)state;
	total->received = 10;
	marks_subtract_stats(marks, total);
	assert_int_equal(total->received, 10);
	marks_subtract_destination(marks, 2, &stats);
	assert_int_equal(stats.delivered, 3);
	assert_int_equal(marks_subtract_backend(marks, 1, 1, 7), 7);
	marks_free(marks);
	free(total);
}

/* received = delivered + duplicates + queued + dropped, with what was queued at the clear. */
static void
test_counters_add_up_after_a_clear(void **state)
{
	struct sl_datapath_stats *s = calloc(1, sizeof(*s));
	struct marks *marks = marks_create(&before);

	(void)state;
	s->received = 100;
	s->delivered = 60;
	s->duplicates = 10;
	s->queued = 25;
	s->dropped[SL_MESSAGE_DROP_max_wait] = 5;
	marks_set_stats(marks, s);
	s->received = 130;
	s->delivered = 80;
	s->duplicates = 11;
	s->queued = 33;
	s->dropped[SL_MESSAGE_DROP_max_wait] = 6;
	marks_subtract_stats(marks, s);
	assert_int_equal(s->received, 55);
	assert_int_equal(s->received,
		s->delivered + s->duplicates + s->queued + s->dropped[SL_MESSAGE_DROP_max_wait]);
	marks_free(marks);
	free(s);
}

static void
test_latency_is_that_since_the_clear(void **state)
{
	struct sl_datapath_stats *s = calloc(1, sizeof(*s));
	struct marks *marks = marks_create(&before);
	struct sl_hist *hist = &s->classes[1].latency;

	(void)state;
	sl_hist_add(hist, 1000000);
	marks_set_stats(marks, s);
	marks_subtract_stats(marks, s);
	assert_int_equal(hist->count, 0);
	assert_int_equal(hist->max, 0);

	memset(s, 0, sizeof(*s));
	sl_hist_add(hist, 1000000);
	for (unsigned int i = 0; i < 100; i++)
		sl_hist_add(hist, 100);
	marks_subtract_stats(marks, s);
	assert_int_equal(hist->count, 100);
	assert_in_range(hist->max, 100, 103);
	assert_in_range(sl_hist_quantile(hist, 0.999), 100, 103);
	assert_true(sl_hist_mean(hist) == 100);
	marks_free(marks);
	free(s);
}

static void
test_nodes_are_told_apart_by_name(void **state)
{
	struct sl_datapath_stats *s = calloc(1, sizeof(*s));
	struct marks *marks = marks_create(&before);

	(void)state;
	s->nb_nodes = 1;
	strcpy(s->nodes[0].name, "dedup");
	s->nodes[0].objects = 40;
	marks_set_stats(marks, s);
	s->nb_nodes = 2;
	strcpy(s->nodes[0].name, "new");
	strcpy(s->nodes[1].name, "dedup");
	s->nodes[1].objects = 42;
	marks_subtract_stats(marks, s);
	assert_int_equal(s->nodes[0].objects, 40);
	assert_int_equal(s->nodes[1].objects, 2);
	marks_free(marks);
	free(s);
}

static void
test_marks_follow_names(void **state)
{
	const struct sl_destination_stats set = {.delivered = 5, .duplicates = 2, .dropped = 1};
	struct sl_destination_stats stats;
	struct marks *marks = marks_create(&before);
	struct rte_eth_stats port = {.ipackets = 9};
	uint64_t *values = calloc(2, sizeof(*values));

	(void)state;
	values[1] = 4;
	for (uint32_t i = 0; i < 3; i++)
		marks_set_destination(marks, i, &set);
	marks_set_backend(marks, 1, 0, 30);
	marks_set_backend(marks, 1, 1, 40);
	marks_set_port(marks, 3, &port);
	marks_set_xstats(marks, 3, values, 2);
	marks_replace(&marks, marks_follow(marks, &before, &after));

	for (uint32_t i = 0; i < 3; i++) {
		stats = (struct sl_destination_stats){.delivered = 8, .duplicates = 2};
		marks_subtract_destination(marks, i, &stats);
		assert_int_equal(stats.delivered, i == 1 ? 8 : 3);
		/* Less than its mark: it began anew. */
		assert_int_equal(stats.dropped, 0);
	}
	assert_int_equal(marks_subtract_backend(marks, 0, 0, 100), 60);
	assert_int_equal(marks_subtract_backend(marks, 0, 1, 100), 100);
	assert_int_equal(marks_subtract_backend(marks, 0, 2, 100), 70);
	marks_subtract_port(marks, 3, &port);
	assert_int_equal(port.ipackets, 0);
	assert_int_equal(marks_subtract_xstat(marks, 3, 1, 10), 6);
	assert_int_equal(marks_subtract_xstat(marks, 3, 2, 10), 10);
	marks_free(marks);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_taken_off_before_a_clear),
		cmocka_unit_test(test_counters_add_up_after_a_clear),
		cmocka_unit_test(test_latency_is_that_since_the_clear),
		cmocka_unit_test(test_nodes_are_told_apart_by_name),
		cmocka_unit_test(test_marks_follow_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
