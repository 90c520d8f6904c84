/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metrics_text.h"
#include "sl_hist.h"

static void
assert_text(struct metrics_text *text, const char *wanted)
{
	size_t len;
	char *got;

	assert_int_equal(metrics_finish(text, &got, &len), 0);
	assert_int_equal(len, strlen(got));
	assert_string_equal(got, wanted);
	free(got);
}

static void
test_names_of_counters(void **state)
{
	struct metrics_text text;

	metrics_begin(&text, false);
	metrics_family(&text, "a_b", METRICS_COUNTER, "Help.");
	metrics_u64(&text, NULL, UINT64_MAX);
	assert_text(&text,
		"# HELP a_b_total Help.\n# TYPE a_b_total counter\n"
		"a_b_total 18446744073709551615\n");

	metrics_begin(&text, true);
	metrics_family(&text, "a_b", METRICS_COUNTER, "Help.");
	metrics_u64(&text, NULL, 0);
	metrics_family(&text, "c", METRICS_GAUGE, "Gauge.");
	metrics_double(&text, NULL, 0.25);
	assert_text(&text,
		"# HELP a_b Help.\n# TYPE a_b counter\na_b_total 0\n"
		"# HELP c Gauge.\n# TYPE c gauge\nc 0.25\n# EOF\n");
}

static void
test_label_values_are_escaped(void **state)
{
	struct metrics_labels labels = {.len = 0};
	struct metrics_text text;

	metrics_label(&labels, "x", "a\"b\\c\nd");
	metrics_label(&labels, "y", "");
	metrics_begin(&text, false);
	metrics_family(&text, "g", METRICS_GAUGE, "G.");
	metrics_u64(&text, &labels, 1);
	assert_text(&text, "# HELP g G.\n# TYPE g gauge\ng{x=\"a\\\"b\\\\c\\nd\",y=\"\"} 1\n");
}

static void
test_labels_stay_within_their_room(void **state)
{
	struct metrics_labels labels = {.len = 0};
	char value[2 * sizeof(labels.text)];

	for (size_t len = 0; len < sizeof(value) - 1; len++) {
		memset(value, '"', sizeof(value));
		value[len] = '\0';
		labels.len = 0;
		metrics_label(&labels, "a", "b");
		metrics_label(&labels, "x", value);
		assert_in_range(labels.len, 1, sizeof(labels.text));
		metrics_label(&labels, "y", value);
		assert_in_range(labels.len, 1, sizeof(labels.text));
		assert_int_equal(labels.text[labels.len - 1], '"');
	}
}

/* The longest names there can be, each byte escaped: nothing is cut. */
static void
test_the_longest_names_fit(void **state)
{
	struct metrics_labels labels = {.len = 0};
	char name[64];

	memset(name, '\\', 63);
	name[63] = '\0';
	metrics_label(&labels, "destination", name);
	metrics_label(&labels, "backend", name);
	metrics_label(&labels, "state", "MAINTENANCE");
	assert_int_equal(
		labels.len, strlen("destination=\"\",backend=\"\",state=\"MAINTENANCE\"") + 4 * 63);
}

static uint64_t
bucket_of(const char *text, const char *le)
{
	char wanted[64];
	const char *at;

	snprintf(wanted, sizeof(wanted), "le=\"%s\"} ", le);
	at = strstr(text, wanted);
	assert_non_null(at);
	return strtoull(at + strlen(wanted), NULL, 10);
}

static void
test_a_histogram_counts_exactly(void **state)
{
	struct sl_hist *hist = calloc(1, sizeof(*hist));
	struct metrics_labels labels = {.len = 0};
	struct metrics_text text;
	size_t len;
	char *got;

	assert_non_null(hist);
	sl_hist_add(hist, 0);
	sl_hist_add(hist, 1023); /* The last in its bucket, */
	sl_hist_add(hist, 1024); /* and the first of the next. */
	sl_hist_add(hist, 2047);
	sl_hist_add(hist, 2048);
	sl_hist_add(hist, UINT64_C(1) << 39);
	hist->sum = 1500000000;
	metrics_label(&labels, "class", "1");
	metrics_begin(&text, false);
	metrics_family(&text, "h_seconds", METRICS_HISTOGRAM, "H.");
	metrics_hist(&text, &labels, hist);
	assert_int_equal(metrics_finish(&text, &got, &len), 0);
	assert_int_equal(bucket_of(got, "1.023e-06"), 2);
	assert_int_equal(bucket_of(got, "2.047e-06"), 4);
	assert_int_equal(bucket_of(got, "4.095e-06"), 5);
	assert_int_equal(bucket_of(got, "17.179869183"), 5);
	assert_int_equal(bucket_of(got, "+Inf"), 6);
	assert_non_null(strstr(got, "\nh_seconds_sum{class=\"1\"} 1.5\n"));
	assert_non_null(strstr(got, "\nh_seconds_count{class=\"1\"} 6\n"));
	free(got);
	free(hist);
}

static void
test_much_text_grows_the_buffer(void **state)
{
	struct metrics_labels labels = {.len = 0};
	struct metrics_text text;
	size_t len;
	char *got;

	metrics_label(&labels, "n", "0123456789");
	metrics_begin(&text, false);
	metrics_family(&text, "g", METRICS_GAUGE, "G.");
	for (unsigned int i = 0; i < 100000; i++)
		metrics_u64(&text, &labels, 7);
	assert_int_equal(metrics_finish(&text, &got, &len), 0);
	assert_int_equal(len,
		strlen("# HELP g G.\n# TYPE g gauge\n") +
			100000 * strlen("g{n=\"0123456789\"} 7\n"));
	free(got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_counters),
		cmocka_unit_test(test_label_values_are_escaped),
		cmocka_unit_test(test_labels_stay_within_their_room),
		cmocka_unit_test(test_the_longest_names_fit),
		cmocka_unit_test(test_a_histogram_counts_exactly),
		cmocka_unit_test(test_much_text_grows_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
