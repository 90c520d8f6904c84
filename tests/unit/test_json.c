/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json_oracle.h"
#include "sl_json.h"
#include "test_rand.h"

#define S(text) text, sizeof(text) - 1

/* Checked in memory that ends where the text ends, so that a sanitizer sees what is read behind. */
static enum sl_json_error
check(const char *text, size_t len, struct sl_json_value *value, size_t *at)
{
	static struct sl_json_value own;
	char *copy = malloc(len == 0 ? 1 : len);
	enum sl_json_error error;

	memcpy(copy, text, len);
	error = sl_json_check(copy, len, value == NULL ? &own : value, at);
	free(copy);
	return error;
}

static void
test_takes_what_is_json(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		{S("null")},
		{S("true")},
		{S("false")},
		{S(" \t\r\n0 \t\r\n")},
		{S("-0")},
		{S("-0.0")},
		{S("10")},
		{S("-9223372036854775809")},
		{S("123456789012345678901234567890")},
		{S("1.5e3")},
		{S("1E+2")},
		{S("0e-17")},
		{S("1e400")},
		{S("\"\"")},
		{S("\"a\\\"b\\\\c\\/d\\b\\f\\n\\r\\t\"")},
		{S("\"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00\\u0000\"")},
		{S("\"\x7f\"")},
		{S("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf"
		   "\xbf\"")},
		{S("\"\xef\xbf\xbe\xe2\x80\xa8\"")}, /* A noncharacter, a line separator. */
		{S("[]")},
		{S("[ ]")},
		{S("{}")},
		{S("{ }")},
		{S("[1, \"a\" ,null,[ ],{}]")},
		{S("{\"\":0}")},
		{S("{\"a\":1,\"a\":2}")},
		{S("{ \"a\" : { \"b\" : [ 1 , [ { } ] ] } , \"c\" : \"}]\" }")},
		{S("\"a string of more than eight bytes, with its end in the middle of them\"")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum sl_json_error error = check(cases[i].text, cases[i].len, NULL, NULL);

		if (error != SL_JSON_OK)
			fail_msg("%s: %s", cases[i].text, sl_json_strerror(error));
		if (!oracle_agrees(cases[i].text, cases[i].len))
			fail_msg("%s: jansson says something else", cases[i].text);
	}
}

static void
test_refuses_what_is_not(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		enum sl_json_error error;
		size_t at;
	} cases[] = {
		{S(""), SL_JSON_CUT_SHORT, 0},
		{S("  "), SL_JSON_CUT_SHORT, 2},
		{S("\xef\xbb\xbf{}"), SL_JSON_UNEXPECTED, 0}, /* byte order mark */
		{S("\0"), SL_JSON_UNEXPECTED, 0},
		{S("{}\0"), SL_JSON_TRAILING, 2},
		{S("\x0b"
		   "1"),
			SL_JSON_UNEXPECTED, 0}, /* a vertical tab is no white space */
		{S("\xc2\xa0"
		   "1"),
			SL_JSON_UNEXPECTED, 0},
		{S("nul"), SL_JSON_CUT_SHORT, 0},
		{S("nulL"), SL_JSON_UNEXPECTED, 0},
		{S("True"), SL_JSON_UNEXPECTED, 0},
		{S("nullx"), SL_JSON_TRAILING, 4},
		{S("truefalse"), SL_JSON_TRAILING, 4},
		{S("NaN"), SL_JSON_UNEXPECTED, 0},
		{S("Infinity"), SL_JSON_UNEXPECTED, 0},
		{S("-Infinity"), SL_JSON_BAD_NUMBER, 1},
		{S("-"), SL_JSON_CUT_SHORT, 1},
		{S("+1"), SL_JSON_UNEXPECTED, 0},
		{S("01"), SL_JSON_BAD_NUMBER, 2},
		{S("-01"), SL_JSON_BAD_NUMBER, 3},
		{S("1."), SL_JSON_CUT_SHORT, 2},
		{S("[1.]"), SL_JSON_BAD_NUMBER, 3},
		{S(".5"), SL_JSON_UNEXPECTED, 0},
		{S("[1e]"), SL_JSON_BAD_NUMBER, 3},
		{S("1e+"), SL_JSON_CUT_SHORT, 3},
		{S("1.e1"), SL_JSON_BAD_NUMBER, 2},
		{S("1e1.5"), SL_JSON_TRAILING, 3},
		{S("0x10"), SL_JSON_TRAILING, 1},
		{S("1 2"), SL_JSON_TRAILING, 2},
		{S("1_000"), SL_JSON_TRAILING, 1},
		{S("\""), SL_JSON_CUT_SHORT, 1},
		{S("\"abc"), SL_JSON_CUT_SHORT, 4},
		{S("\"abc\\"), SL_JSON_CUT_SHORT, 4},
		{S("\"abc\\\""), SL_JSON_CUT_SHORT, 6},
		{S("'a'"), SL_JSON_UNEXPECTED, 0},
		{S("\"\\a\""), SL_JSON_BAD_ESCAPE, 1},
		{S("\"\\x41\""), SL_JSON_BAD_ESCAPE, 1},
		{S("\"\\U0041\""), SL_JSON_BAD_ESCAPE, 1},
		{S("\"\\u00g0\""), SL_JSON_BAD_ESCAPE, 1},
		{S("\"\\u 041\""), SL_JSON_BAD_ESCAPE, 1},
		{S("\"\\u004"), SL_JSON_CUT_SHORT, 1},
		{S("\"\\ud800\""), SL_JSON_CUT_SHORT, 1},
		{S("\"\\ud800 and more\""), SL_JSON_BAD_ESCAPE, 1},
		{S("\"\\ud800\\u0041\""), SL_JSON_BAD_ESCAPE, 1},
		{S("\"\\ud800\\ud800\""), SL_JSON_BAD_ESCAPE, 1},
		{S("\"\\ud800\\udc0\""), SL_JSON_BAD_ESCAPE, 1},
		{S("\"\\ud800\\uzzzz\""), SL_JSON_BAD_ESCAPE, 1},
		{S("\"\\udc00\""), SL_JSON_BAD_ESCAPE, 1},
		{S("\"a\nb\""), SL_JSON_CONTROL, 2},
		{S("\"a\tb\""), SL_JSON_CONTROL, 2},
		{S("\"a\0b\""), SL_JSON_CONTROL, 2},
		{S("\"\x1f\""), SL_JSON_CONTROL, 1},
		{S("\"\x80\""), SL_JSON_BAD_UTF8, 1},
		{S("\"\xc0\x80\""), SL_JSON_BAD_UTF8, 1},
		{S("\"\xc1\xbf\""), SL_JSON_BAD_UTF8, 1},
		{S("\"\xc3\""), SL_JSON_BAD_UTF8, 1},
		{S("\"\xe0\x80\x80\""), SL_JSON_BAD_UTF8, 1},
		{S("\"\xe0\x9f\xbf\""), SL_JSON_BAD_UTF8, 1},
		{S("\"\xed\xa0\x80\""), SL_JSON_BAD_UTF8, 1}, /* a surrogate */
		{S("\"\xf0\x8f\xbf\xbf\""), SL_JSON_BAD_UTF8, 1},
		{S("\"\xf4\x90\x80\x80\""), SL_JSON_BAD_UTF8, 1},
		{S("\"\xf5\x80\x80\x80\""), SL_JSON_BAD_UTF8, 1},
		{S("\"\xff\""), SL_JSON_BAD_UTF8, 1},
		{S("\"eight by\xe2\x82\""), SL_JSON_BAD_UTF8, 9},
		{S("["), SL_JSON_CUT_SHORT, 1},
		{S("[1"), SL_JSON_CUT_SHORT, 2},
		{S("[1,"), SL_JSON_CUT_SHORT, 3},
		{S("[1,]"), SL_JSON_UNEXPECTED, 3},
		{S("[,1]"), SL_JSON_UNEXPECTED, 1},
		{S("[1,,2]"), SL_JSON_UNEXPECTED, 3},
		{S("[1 2]"), SL_JSON_UNEXPECTED, 3},
		{S("[1}"), SL_JSON_UNEXPECTED, 2},
		{S("]"), SL_JSON_UNEXPECTED, 0},
		{S("[]]"), SL_JSON_TRAILING, 2},
		{S("[] // none"), SL_JSON_TRAILING, 3},
		{S("[/**/]"), SL_JSON_UNEXPECTED, 1},
		{S("{"), SL_JSON_CUT_SHORT, 1},
		{S("{\"a\""), SL_JSON_CUT_SHORT, 4},
		{S("{\"a\":"), SL_JSON_CUT_SHORT, 5},
		{S("{\"a\":1"), SL_JSON_CUT_SHORT, 6},
		{S("{\"a\":1,"), SL_JSON_CUT_SHORT, 7},
		{S("{\"a\":1,}"), SL_JSON_UNEXPECTED, 7},
		{S("{\"a\" 1}"), SL_JSON_UNEXPECTED, 5},
		{S("{\"a\",1}"), SL_JSON_UNEXPECTED, 4},
		{S("{\"a\":}"), SL_JSON_UNEXPECTED, 5},
		{S("{a:1}"), SL_JSON_UNEXPECTED, 1},
		{S("{1:1}"), SL_JSON_UNEXPECTED, 1},
		{S("{null:1}"), SL_JSON_UNEXPECTED, 1},
		{S("{\"a\":1]"), SL_JSON_UNEXPECTED, 6},
		{S("{\"a\":1}}"), SL_JSON_TRAILING, 7},
		{S("{\"a\":1 \"b\":2}"), SL_JSON_UNEXPECTED, 7},
	};
	enum sl_json_error error;
	size_t at;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		error = check(cases[i].text, cases[i].len, NULL, &at);
		if (error != cases[i].error || at != cases[i].at)
			fail_msg("%s: %s at %zu", cases[i].text, sl_json_strerror(error), at);
		if (!oracle_agrees(cases[i].text, cases[i].len))
			fail_msg("%s: jansson takes it", cases[i].text);
	}
}

static void
test_depth_is_bounded(void **state)
{
	static char text[3 * 100000];
	struct sl_json_value key, value;
	struct sl_json_walk walk;
	size_t at;

	(void)state;
	for (unsigned int depth = SL_JSON_DEPTH_MAX; depth <= SL_JSON_DEPTH_MAX + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		assert_int_equal(check(text, 2 * (size_t)depth, NULL, &at),
			depth == SL_JSON_DEPTH_MAX ? SL_JSON_OK : SL_JSON_TOO_DEEP);
	}
	assert_int_equal(at, SL_JSON_DEPTH_MAX);
	/* The walk's own object counts. */
	for (unsigned int depth = SL_JSON_DEPTH_MAX - 1; depth <= SL_JSON_DEPTH_MAX; depth++) {
		memcpy(text, "{\"a\":", 5);
		memset(text + 5, '[', depth);
		memset(text + 5 + depth, ']', depth);
		text[5 + 2 * depth] = '}';
		sl_json_walk_object(&walk, text, 6 + 2 * (size_t)depth);
		assert_int_equal(
			sl_json_next_member(&walk, &key, &value), depth == SL_JSON_DEPTH_MAX - 1);
	}
	assert_int_equal(walk.error, SL_JSON_TOO_DEEP);
	assert_false(sl_json_next_member(&walk, &key, &value));
	assert_int_equal(walk.error, SL_JSON_TOO_DEEP);
	/* Objects and arrays in turn, closed in the wrong order at the innermost. */
	strcpy(text, "[{\"a\":[{\"b\":[{\"c\":[1}]}]}]}]");
	assert_int_equal(check(text, strlen(text), NULL, &at), SL_JSON_UNEXPECTED);
	assert_int_equal(at, strcspn(text, "1") + 1);
	memset(text, '[', sizeof(text));
	assert_int_equal(check(text, sizeof(text), NULL, NULL), SL_JSON_TOO_DEEP);
}

static void
test_members_come_in_order(void **state)
{
	static const char text[] =
		" { \"name\" : \"t\\u0061ble\", \"n\":-17,\"deep\" : {\"x\": [1, "
		"2]} ,\"name\":true, \"\\u006e\":null } ";
	static const struct {
		const char *key, *text;
		enum sl_json_type type;
	} wanted[] = {
		{"name", "t\\u0061ble", SL_JSON_STRING},
		{"n", "-17", SL_JSON_NUMBER},
		{"deep", "{\"x\": [1, 2]}", SL_JSON_OBJECT},
		{"name", "true", SL_JSON_TRUE},
		{"n", "null", SL_JSON_NULL},
	};
	struct sl_json_value key, value;
	struct sl_json_walk walk;
	size_t i = 0;

	(void)state;
	sl_json_walk_object(&walk, text, strlen(text));
	while (sl_json_next_member(&walk, &key, &value)) {
		assert_true(i < 5);
		assert_true(sl_json_string_is(&key, wanted[i].key, strlen(wanted[i].key)));
		assert_int_equal(value.type, wanted[i].type);
		assert_int_equal(value.len, strlen(wanted[i].text));
		assert_memory_equal(value.text, wanted[i].text, value.len);
		assert_int_equal(value.has_escapes, i == 0);
		i++;
	}
	assert_int_equal(walk.error, SL_JSON_OK);
	assert_int_equal(i, 5);
	/* What comes before an error comes. */
	sl_json_walk_object(&walk, S("{\"a\":1,\"b\":x}"));
	assert_true(sl_json_next_member(&walk, &key, &value));
	assert_false(sl_json_next_member(&walk, &key, &value));
	assert_int_equal(walk.error, SL_JSON_UNEXPECTED);
	sl_json_walk_object(&walk, S("[1]"));
	assert_false(sl_json_next_member(&walk, &key, &value));
	assert_int_equal(walk.error, SL_JSON_NOT_AN_OBJECT);
	sl_json_walk_array(&walk, S("{}"));
	assert_false(sl_json_next_element(&walk, &value));
	assert_int_equal(walk.error, SL_JSON_NOT_AN_ARRAY);
}

static void
test_strings(void **state)
{
	struct sl_json_value value;
	char buf[64];

	(void)state;
	assert_int_equal(
		sl_json_check(S("\"\\ud83d\\ude00\\u20ac\\u00e9A\\n\""), &value, NULL), SL_JSON_OK);
	assert_int_equal(sl_json_decode(&value, buf, sizeof(buf), false), 11);
	assert_memory_equal(buf,
		"\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa9"
		"A\n",
		11);
	assert_int_equal(sl_json_decode(&value, buf, 10, false), -ENOBUFS);
	assert_true(sl_json_string_is(&value, buf, 11));
	assert_false(sl_json_string_is(&value, buf, 10));
	assert_int_equal(sl_json_check(S("\"a\\u0000b\""), &value, NULL), SL_JSON_OK);
	assert_int_equal(sl_json_decode(&value, buf, sizeof(buf), false), -EINVAL);
	assert_int_equal(sl_json_decode(&value, buf, sizeof(buf), true), 3);
	assert_memory_equal(buf, "a\0b", 3);
	assert_int_equal(sl_json_check(S("\"plain\""), &value, NULL), SL_JSON_OK);
	assert_false(value.has_escapes);
	assert_int_equal(sl_json_decode(&value, buf, 4, false), -ENOBUFS);
	assert_int_equal(sl_json_decode(&value, buf, 5, false), 5);
}

static void
test_integers(void **state)
{
	static const struct {
		const char *text;
		int rc;
		int64_t value;
	} cases[] = {
		{"0", 0, 0},
		{"-0", 0, 0},
		{"17", 0, 17},
		{"9223372036854775807", 0, INT64_MAX},
		{"-9223372036854775808", 0, INT64_MIN},
		{"9223372036854775808", -ERANGE, 0},
		{"-9223372036854775809", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"100000000000000000000000", -ERANGE, 0},
		{"1.0", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
		{"99999999999999999999.5", -EINVAL, 0},
		{"\"1\"", -EINVAL, 0},
		{"null", -EINVAL, 0},
	};
	struct sl_json_value value;
	int64_t integer;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sl_json_check(cases[i].text, strlen(cases[i].text), &value, NULL);
		assert_int_equal(sl_json_integer(&value, &integer), cases[i].rc);
		if (cases[i].rc == 0)
			assert_int_equal(integer, cases[i].value);
	}
}

static void
test_writes_strings(void **state)
{
	static const char all[] = "\b\f\n\r\t\v\x01\x1f\x7f\"\\/\xc3\xa9\xff\xe2\x82";
	static const char wanted[] = "\"\\b\\f\\n\\r\\t\\u000b\\u0001\\u001f\x7f\\\"\\\\/\xc3\xa9"
				     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"";
	char buf[SL_JSON_STRING_MAX(sizeof(all))];
	char *end = sl_json_put_string(buf, all, sizeof(all) - 1);

	(void)state;
	assert_int_equal(end - buf, strlen(wanted));
	assert_memory_equal(buf, wanted, strlen(wanted));
	end = sl_json_put_string(buf, "\0\0", 2);
	assert_int_equal(end - buf, SL_JSON_STRING_MAX(2));
	assert_memory_equal(buf, "\"\\u0000\\u0000\"", 14);
	assert_true(sl_json_is_utf8("a\0\xc3\xa9", 4));
	assert_false(sl_json_is_utf8("a\xc3", 2));
	assert_true(sl_json_is_utf8("", 0));
}

static void
test_words_for_all(void **state)
{
	(void)state;
	for (int i = 0; i <= SL_JSON_NOT_AN_ARRAY; i++)
		assert_string_not_equal(sl_json_strerror((enum sl_json_error)i), "unknown");
	assert_string_equal(sl_json_strerror((enum sl_json_error)99), "unknown");
	for (int i = 0; i <= SL_JSON_OBJECT; i++)
		assert_string_not_equal(sl_json_type_name((enum sl_json_type)i), "unknown");
	assert_string_equal(sl_json_type_name((enum sl_json_type)99), "unknown");
}

/* A random text: mostly JSON, some of it bent. */
struct maker {
	struct test_rand rand;
	size_t len;
	char text[4096];
};

static void
put(struct maker *m, const char *text)
{
	size_t n = strlen(text);

	if (m->len + n < sizeof(m->text)) {
		memcpy(m->text + m->len, text, n);
		m->len += n;
	}
}

static const char *
pick(struct maker *m, const char *const *from, size_t nb)
{
	return from[test_rand_below(&m->rand, nb)];
}

static void
make_string(struct maker *m)
{
	static const char *const parts[] = {"a", "plain text ", "\\n", "\\\"", "\\\\", "\\u0041",
		"\\ud83d\\ude00", "\\u0000", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "/",
		"\x7f", "\\u00fF", "\\ud800", "key"};

	put(m, "\"");
	for (uint64_t n = test_rand_below(&m->rand, 5); n > 0; n--)
		put(m, pick(m, parts, test_rand_below(&m->rand, 20) == 0 ? 16 : 14));
	put(m, "\"");
}

static void
make_value(struct maker *m, unsigned int depth)
{
	static const char *const scalars[] = {"null", "true", "false", "0", "-1", "17", "1.5",
		"-0.0e+1", "9223372036854775807", "9223372036854775808", "1e999", "1e-999"};
	static const char *const spaces[] = {"", "", "", " ", "\n", "\t \r"};
	uint64_t kind = test_rand_below(&m->rand, depth == 0 ? 2 : 4);

	put(m, pick(m, spaces, 6));
	if (kind == 0) {
		put(m, pick(m, scalars, 12));
	} else if (kind == 1) {
		make_string(m);
	} else {
		put(m, kind == 2 ? "[" : "{");
		for (uint64_t n = test_rand_below(&m->rand, 5), i = 0; i < n; i++) {
			put(m, i == 0 ? "" : ",");
			put(m, pick(m, spaces, 6));
			if (kind == 3) {
				make_string(m);
				put(m, pick(m, spaces, 6));
				put(m, ":");
			}
			make_value(m, depth - 1);
		}
		put(m, pick(m, spaces, 6));
		put(m, kind == 2 ? "]" : "}");
	}
	put(m, pick(m, spaces, 6));
}

static void
bend(struct maker *m)
{
	static const char bytes[] = "{}[]\",:\\ue+-.0 9a\x1f\x80\xe2\xff";
	size_t at = test_rand_below(&m->rand, m->len);

	switch (test_rand_below(&m->rand, 4)) {
	case 0:
		m->text[at] = bytes[test_rand_below(&m->rand, sizeof(bytes))];
		break;
	case 1:
		m->len = at;
		break;
	case 2:
		memmove(m->text + at, m->text + at + 1, m->len - at - 1);
		m->len--;
		break;
	default:
		m->text[at] = (char)test_rand_u64(&m->rand);
	}
}

static void
test_agrees_with_jansson(void **state)
{
	struct maker *m = calloc(1, sizeof(*m));
	unsigned int nb_valid = 0;

	(void)state;
	test_rand_init(&m->rand, "test_agrees_with_jansson");
	for (unsigned int i = 0; i < 30000; i++) {
		char *copy;

		m->len = 0;
		make_value(m, 5);
		for (uint64_t n = test_rand_below(&m->rand, 3); n > 0 && m->len > 0; n--)
			bend(m);
		copy = malloc(m->len + 1);
		memcpy(copy, m->text, m->len);
		copy = realloc(copy, m->len == 0 ? 1 : m->len);
		if (!oracle_agrees(copy, m->len))
			fail_msg("they differ on %.*s", (int)m->len, m->text);
		nb_valid += sl_json_check(copy, m->len, NULL, NULL) == SL_JSON_OK;
		free(copy);
	}
	free(m);
	/* Neither side of the question was left out. */
	assert_in_range(nb_valid, 5000, 25000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_what_is_json),
		cmocka_unit_test(test_refuses_what_is_not),
		cmocka_unit_test(test_depth_is_bounded),
		cmocka_unit_test(test_members_come_in_order),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_writes_strings),
		cmocka_unit_test(test_words_for_all),
		cmocka_unit_test(test_agrees_with_jansson),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
