/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/buffer.h>

#include "line_protocol.h"
#include "lines.h"
#include "name.h"
#include "test_rand.h"

#define TOPIC_MAX 63

static void
assert_span(const char *at, size_t len, const char *wanted)
{
	assert_int_equal(len, strlen(wanted));
	assert_memory_equal(at, wanted, len);
}

static void
assert_says(const char *line, enum line_verb verb, const char *topic, const char *payload)
{
	struct line_command command;

	assert_int_equal(line_parse(line, strlen(line), TOPIC_MAX, &command), LINE_FINE);
	assert_int_equal(command.verb, verb);
	assert_span(command.topic, command.topic_len, topic);
	assert_span(command.payload, command.payload_len, payload);
}

static void
assert_fault(const char *line, enum line_fault fault)
{
	struct line_command command;

	assert_int_equal(line_parse(line, strlen(line), TOPIC_MAX, &command), fault);
}

static void
test_commands(void **state)
{
	assert_says("PUBLISH|news|hello", LINE_PUBLISH, "news", "hello");
	assert_says("PUBLISH|news|", LINE_PUBLISH, "news", "");
	assert_says("PUBLISH|news|a|b||c|", LINE_PUBLISH, "news", "a|b||c|");
	assert_says("PUBLISH|news|  two  ", LINE_PUBLISH, "news", "  two  ");
	assert_says("  PUBLISH | my news |x", LINE_PUBLISH, "my news", "x");
	assert_says("SUBSCRIBE|caf\xc3\xa9", LINE_SUBSCRIBE, "caf\xc3\xa9", "");
	assert_says("SUBSCRIBE|news|", LINE_SUBSCRIBE, "news", "");
	assert_says("UNSUBSCRIBE|news", LINE_UNSUBSCRIBE, "news", "");
	assert_says("REPLICATE|news|1|2", LINE_REPLICATE, "news", "1|2");
	assert_says("CLEAR|news|1|2", LINE_CLEAR, "news", "1|2");
	assert_says("PING", LINE_PING, "", "");
	assert_says("PING|", LINE_PING, "", "");
	assert_says("PING||", LINE_PING, "", "");
	assert_says("PING|a|b", LINE_PING, "", "");
	assert_says("", LINE_NOTHING, "", "");
	assert_says(" \t", LINE_NOTHING, "", "");
}

static void
test_line_ends(void **state)
{
	assert_says("PUBLISH|news|hello\r", LINE_PUBLISH, "news", "hello");
	assert_says("PUBLISH|news|a\rb\r\r", LINE_PUBLISH, "news", "a\rb\r");
	assert_says("SUBSCRIBE|news\r", LINE_SUBSCRIBE, "news", "");
	assert_says("PING||\r", LINE_PING, "", "");
	assert_says("PING\r", LINE_PING, "", "");
	assert_says("\r", LINE_NOTHING, "", "");
}

static void
test_faults(void **state)
{
	char longest[TOPIC_MAX + 32], text[TOPIC_MAX + 2];

	assert_fault("HELLO", LINE_BAD_COMMAND);
	assert_fault("|", LINE_BAD_COMMAND);
	assert_fault("publish|news|x", LINE_BAD_COMMAND);
	assert_fault("PUBLISHED|news|x", LINE_BAD_COMMAND);
	assert_fault("PUB", LINE_BAD_COMMAND);
	assert_fault("PUBLISH", LINE_NO_TOPIC);
	assert_fault("PUBLISH|", LINE_NO_TOPIC);
	assert_fault("PUBLISH||x", LINE_NO_TOPIC);
	assert_fault("PUBLISH|  |x", LINE_NO_TOPIC);
	assert_fault("SUBSCRIBE|", LINE_NO_TOPIC);
	assert_fault("PUBLISH|news", LINE_NO_PAYLOAD);
	assert_fault("CLEAR|news", LINE_NO_PAYLOAD);
	assert_fault("SUBSCRIBE|a|b", LINE_TWO_TOPICS);
	assert_fault("SUBSCRIBE|a\tb", LINE_BAD_TOPIC);
	assert_fault("PUBLISH|\xff|x", LINE_BAD_TOPIC);

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	snprintf(longest, sizeof(longest), "PUBLISH|%s|x", text);
	assert_fault(longest, LINE_LONG_TOPIC);
	snprintf(longest, sizeof(longest), "PUBLISH|%s|x", text + 1);
	assert_says(longest, LINE_PUBLISH, text + 1, "x");

	for (int fault = 0; fault < LINE_FAULTS; fault++)
		assert_true(strlen(line_fault_text(fault)) > 0);
}

static void
test_names(void **state)
{
	static const char *const good[] = {"a", "a b", "~", "\xc2\xa0", "\xf0\x9f\x8d\xb2",
		"\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\x01", "a\x7f", "\xc2\x80", "\xc2", "\xc0\xaf", "\x80",
		"\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xe2\x80\xa8", "\xe2\x80\xa9", "a\xe2\x80"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(gw_name_is_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(gw_name_is_valid(bad[i], strlen(bad[i])));
	assert_false(gw_name_is_valid("a\0b", 3));
}

/* All lines there are now, each followed by '.', and '!' for one that is too long. */
static void
read_lines(struct gw_lines *lines, struct evbuffer *input, size_t max, struct evbuffer *said)
{
	struct gw_lines_turn turn;
	enum gw_lines_found found;
	const char *line;
	size_t len;

	gw_lines_begin(&turn, lines, input, max);
	while ((found = gw_lines_next(&turn, &line, &len)) != GW_LINES_END) {
		if (found == GW_LINES_LINE)
			evbuffer_add(said, line, len);
		evbuffer_add(said, found == GW_LINES_LINE ? "." : "!", 1);
	}
	gw_lines_end(&turn);
}

static void
assert_lines(const char *input, size_t max, const char *wanted, size_t piece)
{
	struct evbuffer *in = evbuffer_new(), *said = evbuffer_new();
	struct gw_lines lines = {0};
	size_t len = strlen(input), n;

	for (size_t at = 0; at < len; at += n) {
		n = len - at < piece ? len - at : piece;
		/* A piece of memory of its own, so that lines lie across them. */
		evbuffer_add_reference(in, input + at, n, NULL, NULL);
		read_lines(&lines, in, max, said);
		assert_true(evbuffer_get_length(in) <= max + piece);
	}
	assert_int_equal(evbuffer_get_length(said), strlen(wanted));
	if (wanted[0] != '\0')
		assert_memory_equal(evbuffer_pullup(said, -1), wanted, strlen(wanted));
	evbuffer_free(in);
	evbuffer_free(said);
}

static void
test_lines_in_pieces(void **state)
{
	for (size_t piece = 1; piece < 20; piece++) {
		assert_lines("one\ntwo\n\nthree", 10, "one.two..", piece);
		assert_lines("0123456789\n", 10, "0123456789.", piece);
		assert_lines("01234567890\nnext\n", 10, "!next.", piece);
		assert_lines(
			"a\n0123456789012345678901234567890123456789\nb\nc", 10, "a.!b.", piece);
		assert_lines("0123456789012", 10, "!", 13);
	}
}

static void
test_a_line_that_is_put_back_comes_again(void **state)
{
	struct evbuffer *in = evbuffer_new();
	struct gw_lines lines = {0};
	struct gw_lines_turn turn;
	const char *line;
	size_t len;

	evbuffer_add_printf(in, "one\ntwo\nthr");
	for (int i = 0; i < 3; i++) {
		gw_lines_begin(&turn, &lines, in, 10);
		if (i == 0)
			assert_int_equal(gw_lines_next(&turn, &line, &len), GW_LINES_LINE);
		assert_int_equal(gw_lines_next(&turn, &line, &len), GW_LINES_LINE);
		assert_span(line, len, "two");
		gw_lines_unget(&turn);
		gw_lines_end(&turn);
	}
	assert_int_equal(evbuffer_get_length(in), strlen("two\nthr"));
	evbuffer_add_printf(in, "ee\n");
	gw_lines_begin(&turn, &lines, in, 10);
	assert_int_equal(gw_lines_next(&turn, &line, &len), GW_LINES_LINE);
	assert_int_equal(gw_lines_next(&turn, &line, &len), GW_LINES_LINE);
	assert_span(line, len, "three");
	assert_int_equal(gw_lines_next(&turn, &line, &len), GW_LINES_END);
	gw_lines_end(&turn);
	assert_int_equal(evbuffer_get_length(in), 0);
	evbuffer_free(in);
}

/* Against the obvious: split the whole. */
static void
test_lines_at_random(void **state)
{
	struct test_rand r;
	char text[400], wanted[800];

	test_rand_init(&r, "test_lines_at_random");
	for (int run = 0; run < 2000; run++) {
		size_t len = test_rand_below(&r, sizeof(text) - 1),
		       max = 1 + test_rand_below(&r, 40);
		size_t begin = 0, to = 0;

		for (size_t i = 0; i < len; i++)
			text[i] = test_rand_below(&r, 1 + max) == 0 ? '\n' : 'a';
		text[len] = '\0';
		for (size_t i = 0; i <= len; i++) {
			if (i - begin == max + 1 && text[i - 1] != '\n')
				wanted[to++] = '!';
			if (text[i] != '\n')
				continue;
			if (i - begin <= max) {
				memcpy(wanted + to, text + begin, i - begin);
				to += i - begin;
				wanted[to++] = '.';
			}
			begin = i + 1;
		}
		wanted[to] = '\0';
		assert_lines(text, max, wanted, 1 + test_rand_below(&r, 60));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_lines_in_pieces),
		cmocka_unit_test(test_a_line_that_is_put_back_comes_again),
		cmocka_unit_test(test_lines_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
