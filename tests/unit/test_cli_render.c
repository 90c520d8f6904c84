/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* JSON as people see it, and readings as rates. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "render.h"

static json_t *
load(const char *text)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(json);
	return json;
}

static void
assert_shown(const char *view, const char *text, const char *expected)
{
	json_t *json = load(text);
	char *shown = NULL;
	size_t len;
	FILE *out = open_memstream(&shown, &len);

	sl_cli_render(out, view, json, 0);
	fclose(out);
	assert_string_equal(shown, expected);
	free(shown);
	json_decref(json);
}

static void
test_tables(void **state)
{
	(void)state;
	assert_shown(NULL,
		"[{\"name\": \"a\", \"n\": 5}, {\"name\": \"b\u00e9c\", \"n\": 1234, \"x\": []}]",
		"name     n  x\n"
		"a        5  -\n"
		"b\xc3\xa9"
		"c   1234  -\n");
	assert_shown("classes", "[{\"new\": true, \"latency_us\": {\"p99\": 12.25}, \"level\": 1}]",
		"level  p99_us  new\n"
		"    1    12.2  yes\n");
	assert_shown("destinations",
		"[{\"key\": \"x\", \"name\": \"a\", \"roles\": [\"rx\", \"tx\"]}]",
		"name  roles\n"
		"a     rx,tx\n");
	assert_shown("drops",
		"[{\"reason\": \"r\", \"count\": 0}, {\"reason\": \"s\", \"count\": 2}]",
		"reason  count\n"
		"s           2\n"
		"(1 rows are left out: their count is 0)\n");
	assert_shown(NULL, "[]", "none\n");
}

static void
test_objects(void **state)
{
	(void)state;
	assert_shown(NULL, "{\"a\": 1, \"long\": null, \"in\": {\"b\": \"x\"}}",
		"a:    1\nlong: -\nin:\n  b: x\n");
	assert_shown(NULL, "{\"by_class\": {\"1\": {\"n\": 3}, \"2\": {\"n\": 44}}}",
		"by_class:\n  class   n\n  1       3\n  2      44\n");
	assert_shown(NULL,
		"{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":7}",
		"i: 7\n(8 others are 0)\n");
	assert_shown(NULL, "{\"yaml\": \"node: x\\n\"}", "node: x\n");
	assert_shown(NULL, "\"text\"", "text\n");
}

static void
test_graph_as_words(void **state)
{
	char *shown = NULL;
	size_t len;
	FILE *out = open_memstream(&shown, &len);

	(void)state;
	sl_cli_render_graph(
		out, "Digraph g {\n\t\"a\"->\"b\" [color=blue]\n\t\"a\"->\"c\"\n\tb -> d;\n}\n");
	fclose(out);
	assert_string_equal(shown, "a -> b, c\nb -> d\n");
	free(shown);
}

static void
test_rates(void **state)
{
	json_t *before = load(
		"{\"received\": 10, \"queued\": 3, \"rows\": ["
		"{\"name\": \"a\", \"delivered\": 5}, {\"name\": \"b\", \"delivered\": 9}],"
		"\"dropped\": {\"x\": 1}}");
	json_t *after = load(
		"{\"received\": 30, \"queued\": 7, \"rows\": ["
		"{\"name\": \"b\", \"delivered\": 10}, {\"name\": \"new\", \"delivered\": 1},"
		"{\"name\": \"a\", \"delivered\": 0}], \"dropped\": {\"x\": 2}}");
	json_t *expected = load(
		"{\"received\": 10.0, \"queued\": 7, \"rows\": ["
		"{\"name\": \"b\", \"delivered\": 0.5},"
		"{\"name\": \"new\", \"delivered\": null},"
		"{\"name\": \"a\", \"delivered\": null}], \"dropped\": {\"x\": 0.5}}");
	json_t *rates = sl_cli_rates(before, after, 2.0);

	(void)state;
	assert_true(json_equal(rates, expected));
	json_decref(rates);
	json_decref(expected);
	json_decref(after);
	json_decref(before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_graph_as_words),
		cmocka_unit_test(test_rates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
