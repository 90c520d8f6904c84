/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "json_message.h"
#include "test_rand.h"

#define S(text) text, sizeof(text) - 1

static const char example[] =
	"{\"messageId\": \"m-1\", \"sourceServerId\": \"server1\", \"destinationId\": \"table1\", "
	"\"messageType\": \"breakfast\", \"priority\": 2, \"timestamp\": 1763725200123, "
	"\"payload\": {\"order\": 17, \"dish\": \"eggs \\u00e9\"}}";

static struct json_line line;

static void
assert_text(const struct gw_text *text, const char *wanted)
{
	assert_non_null(text->at);
	assert_int_equal(text->len, strlen(wanted));
	assert_memory_equal(text->at, wanted, text->len);
}

static void
test_reads_a_message(void **state)
{
	(void)state;
	assert_true(json_line_read(S(example), &line));
	assert_true(line.is_message);
	assert_text(&line.id, "m-1");
	assert_text(&line.raw_id, "m-1");
	assert_text(&line.source, "server1");
	assert_text(&line.destination, "table1");
	assert_text(&line.type, "breakfast");
	assert_int_equal(line.priority, 2);
	assert_int_equal(line.timestamp_ns, UINT64_C(1763725200123000000));
	assert_text(&line.payload, "{\"order\": 17, \"dish\": \"eggs \\u00e9\"}");
}

static void
test_members_in_any_order_escaped_and_with_others(void **state)
{
	(void)state;
	assert_true(json_line_read(
		S(" {\"payload\":{},\"extra\":[1,{\"messageId\":2}],\"timestamp\":1,\"priority\":3,"
		  "\"messageType\":\"\\u0061\\n\",\"destinationId\":\"t\\\"1\","
		  "\"source\\u0053erverId\":\"\\ud83d\\ude00\",\"subscribe\":\"no command here\","
		  "\"messageId\":\"\\u006d\\/1\",\"priority\":1}\r"),
		&line));
	assert_true(line.is_message);
	assert_text(&line.id, "m/1");
	assert_text(&line.raw_id, "\\u006d\\/1");
	assert_text(&line.type, "a\n");
	assert_text(&line.destination, "t\"1");
	assert_text(&line.source, "\xf0\x9f\x98\x80");
	assert_text(&line.payload, "{}");
	assert_null(line.subscribe.at);
	/* Of two, the last. */
	assert_int_equal(line.priority, 1);
}

/* The example with `from` replaced. */
static const char *
with(const char *from, const char *to)
{
	static char text[4096];
	const char *at = strstr(example, from);

	assert_non_null(at);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - example), example, to,
		at + strlen(from));
	return text;
}

static void
test_says_what_is_wrong(void **state)
{
	static const struct {
		const char *from, *to, *reason;
	} cases[] = {
		{"\"messageId\"", "\"messageID\"", "messageId is missing"},
		{"\"sourceServerId\"", "\"x\"", "sourceServerId is missing"},
		{"\"destinationId\"", "\"x\"", "destinationId is missing"},
		{"\"messageType\"", "\"x\"", "messageType is missing"},
		{"\"priority\"", "\"x\"", "priority is missing"},
		{"\"timestamp\"", "\"x\"", "timestamp is missing"},
		{"\"payload\"", "\"x\"", "payload is missing"},
		{"\"m-1\"", "1", "messageId is a number, not a string"},
		{"\"m-1\"", "\"\"", "messageId is empty"},
		{"\"m-1\"", "\"a\\u0000b\"", "messageId has a NUL in it"},
		{"\"server1\"", "null", "sourceServerId is null, not a string"},
		{"\"table1\"", "[\"table1\"]", "destinationId is an array, not a string"},
		{"\"breakfast\"", "true", "messageType is true, not a string"},
		{": 2,", ": 0,", "priority is not from 1 to 3"},
		{": 2,", ": 4,", "priority is not from 1 to 3"},
		{": 2,", ": -1,", "priority is not from 1 to 3"},
		{": 2,", ": 99999999999999999999,", "priority is not from 1 to 3"},
		{": 2,", ": 1.0,", "priority is not an integer"},
		{": 2,", ": \"2\",", "priority is a string, not a number"},
		{"1763725200123", "0", "timestamp is not from 1 to 18446744073709"},
		{"1763725200123", "18446744073710", "timestamp is not from 1 to 18446744073709"},
		{"1763725200123", "1763725200.123", "timestamp is not an integer"},
		{"1763725200123", "false", "timestamp is false, not a number"},
		{"{\"order\": 17, \"dish\": \"eggs \\u00e9\"}", "\"order\"",
			"payload is a string, not an object"},
		{"{\"order\": 17, \"dish\": \"eggs \\u00e9\"}", "[]",
			"payload is an array, not an object"},
		{"}}", "}", "not a JSON object: ends too soon at byte 196"},
		{": 17,", ": 017,", "not a JSON object: not a number of JSON at byte 173"},
		{"}}", "}}x", "not a JSON object: something stands behind the end at byte 197"},
		{"\\u00e9", "\xe9", "not a JSON object: not UTF-8 at byte 188"},
		{"\"messageId\"", "'messageId'",
			"not a JSON object: something else is expected at byte 2"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = with(cases[i].from, cases[i].to);

		assert_false(json_line_read(text, strlen(text), &line));
		assert_string_equal(line.reason, cases[i].reason);
	}
	assert_false(json_line_read(S("[]"), &line));
	assert_string_equal(line.reason, "not a JSON object");
	assert_false(json_line_read(S(""), &line));
	assert_false(json_line_read(S("{}"), &line));
	assert_string_equal(line.reason, "messageId is missing");
	assert_false(json_line_read(S("{\"a\":\0}"), &line));
	assert_string_equal(line.reason, "a NUL byte at byte 6");
}

static void
test_texts_are_bounded(void **state)
{
	char quoted[JSON_TEXT_MAX + 16], id[JSON_TEXT_MAX + 8];
	const char *text;

	(void)state;
	for (int escaped = 0; escaped < 2; escaped++) {
		for (int n = JSON_TEXT_MAX; n <= JSON_TEXT_MAX + 1; n++) {
			memset(id, 'i', sizeof(id));
			id[n - escaped] = '\0';
			snprintf(quoted, sizeof(quoted), "\"%s%s\"", escaped ? "\\n" : "", id);
			text = with("\"m-1\"", quoted);
			assert_int_equal(
				json_line_read(text, strlen(text), &line), n == JSON_TEXT_MAX);
			if (n == JSON_TEXT_MAX)
				assert_int_equal(line.id.len, JSON_TEXT_MAX);
			else
				assert_string_equal(
					line.reason, "messageId is longer than 255 bytes");
		}
	}
}

static void
test_reads_commands(void **state)
{
	(void)state;
	assert_true(json_line_read(S("{\"subscribe\":\"table1\"}"), &line));
	assert_false(line.is_message);
	assert_text(&line.subscribe, "table1");
	assert_null(line.unsubscribe.at);
	assert_false(line.has_acks);
	assert_true(json_line_read(
		S("{\"unsubscribe\":\"t\\u0061\",\"acks\":true,\"subscribe\":\"t\\u0062\"}"),
		&line));
	assert_text(&line.unsubscribe, "ta");
	assert_text(&line.subscribe, "tb");
	assert_true(line.has_acks && line.acks);
	assert_true(json_line_read(S("{\"acks\":false,\"more\":0}"), &line));
	assert_true(line.has_acks && !line.acks);
	assert_false(json_line_read(S("{\"acks\":1}"), &line));
	assert_string_equal(line.reason, "acks is a number, not true or false");
	assert_false(json_line_read(S("{\"subscribe\":[\"a\"]}"), &line));
	assert_string_equal(line.reason, "subscribe is an array, not a string");
	assert_false(json_line_read(S("{\"unsubscribe\":\"\"}"), &line));
	assert_string_equal(line.reason, "unsubscribe is empty");
	/* A message that lacks something is no command. */
	assert_false(json_line_read(S("{\"subscribe\":\"a\",\"payload\":{}}"), &line));
	assert_string_equal(line.reason, "messageId is missing");
}

static char *
written(const struct gw_delivery *d, const struct json_names *names)
{
	enum json_form form = json_payload_form(d->payload, d->payload_len);
	size_t max = json_line_max(d, names, form), len;
	char *buf = malloc(max);

	len = json_line_write(buf, d, names, form, 2);
	assert_true(len > 0 && len <= max);
	assert_int_equal(buf[len - 1], '\n');
	/* One line. */
	assert_ptr_equal(memchr(buf, '\n', len), buf + len - 1);
	assert_null(memchr(buf, '\r', len));
	buf = realloc(buf, len);
	buf[len - 1] = '\0';
	return buf;
}

static const struct gw_delivery delivery = {
	.destination = UINT64_C(0xe265c9dbf29f8fca),
	.source = 1,
	.type = UINT64_MAX,
	.timestamp_ns = UINT64_C(1763725200123999999),
	.id_high = 0xabc,
	.id_low = 17,
};

static void
assert_written(const struct gw_delivery *d, const struct json_names *names, const char *wanted)
{
	char *buf = written(d, names);

	assert_string_equal(buf, wanted);
	free(buf);
}

static void
test_writes_deliveries(void **state)
{
	struct json_names names = {
		.source = "server1", .destination = "table1", .type = "break\"fast"};
	struct gw_delivery d = delivery;

	(void)state;
	assert_written(&d, &(struct json_names){NULL},
		"{\"messageId\":\"0000000000000abc0000000000000011\",\"sourceServerId\":"
		"\"0000000000000001\",\"destinationId\":\"e265c9dbf29f8fca\",\"messageType\":"
		"\"ffffffffffffffff\",\"priority\":2,\"timestamp\":1763725200123,\"payload\":{}}");
	d.id_text = "m\n1";
	d.id_text_len = 3;
	d.priority = 3;
	d.payload = (const uint8_t *)"{\"a\":\n[1,\n2]}\n";
	d.payload_len = strlen((const char *)d.payload);
	assert_written(&d, &names,
		"{\"messageId\":\"m\\n1\",\"sourceServerId\":\"server1\",\"destinationId\":"
		"\"table1\",\"messageType\":\"break\\\"fast\",\"priority\":3,\"timestamp\":"
		"1763725200123,\"payload\":{\"a\": [1, 2]} }");
}

static void
test_any_payload_becomes_an_object(void **state)
{
	static const struct {
		const char *payload;
		size_t len;
		const char *wanted;
	} cases[] = {
		{S(""), "\"payload\":{}}"},
		{S(" {\"a\":1} "), "\"payload\": {\"a\":1} }"},
		{S("\r{\"a\":\r\n\"\\r\",\r\r\"b\":\n\r1}\r"),
			"\"payload\": {\"a\":  \"\\r\",  \"b\":  1} }"},
		{S("two\r\nlines"), "\"payload\":{\"text\":\"two\\r\\nlines\"}}"},
		{S("{\"a\":1"), "\"payload\":{\"text\":\"{\\\"a\\\":1\"}}"},
		{S("17"), "\"payload\":{\"text\":\"17\"}}"},
		{S("two\nlines"), "\"payload\":{\"text\":\"two\\nlines\"}}"},
		{S("a\0b"), "\"payload\":{\"text\":\"a\\u0000b\"}}"},
		{S("\xff"), "\"payload\":{\"base64\":\"/w==\"}}"},
		{S("\xff\xfe"), "\"payload\":{\"base64\":\"//4=\"}}"},
		{S("\xff\xfe\xfd"), "\"payload\":{\"base64\":\"//79\"}}"},
		{S("\xff"
		   "abcd"),
			"\"payload\":{\"base64\":\"/2FiY2Q=\"}}"},
	};
	struct gw_delivery d = delivery;
	char *buf;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		d.payload = (const uint8_t *)cases[i].payload;
		d.payload_len = cases[i].len;
		buf = written(&d, &(struct json_names){NULL});
		assert_string_equal(strstr(buf, "\"payload\""), cases[i].wanted);
		free(buf);
	}
}

/* Any delivery is written as JSON that says the same, by jansson's reading, and is read again. */
static void
test_what_is_written_is_read(void **state)
{
	struct test_rand rand;
	uint8_t payload[64], text[3][16];

	(void)state;
	test_rand_init(&rand, "test_what_is_written_is_read");
	for (int i = 0; i < 3000; i++) {
		struct json_names names = {(char *)text[0], (char *)text[1], NULL};
		struct gw_delivery d = delivery;
		json_t *root, *json_payload;
		char *buf;

		for (int t = 0; t < 3; t++) {
			for (int c = 0; c < 15; c++)
				text[t][c] = (uint8_t)(1 + test_rand_below(&rand, 127));
			text[t][1 + test_rand_below(&rand, 14)] = '\0';
		}
		test_rand_fill(&rand, payload, sizeof(payload));
		if (i % 2 == 0)
			for (size_t c = 0; c < sizeof(payload); c++)
				payload[c] &= 0x7f;
		d.payload = payload;
		d.payload_len = test_rand_below(&rand, sizeof(payload));
		d.id_text = (char *)text[2];
		d.id_text_len = 15;
		d.priority = 1 + (uint32_t)test_rand_below(&rand, 3);
		buf = written(&d, &names);
		root = json_loads(buf, JSON_ALLOW_NUL, NULL);
		assert_non_null(root);
		assert_int_equal(json_object_size(root), 7);
		assert_string_equal(
			json_string_value(json_object_get(root, "sourceServerId")), names.source);
		json_payload = json_object_get(json_object_get(root, "payload"), "text");
		if (json_payload != NULL) {
			assert_int_equal(json_string_length(json_payload), d.payload_len);
			assert_memory_equal(
				json_string_value(json_payload), payload, d.payload_len);
		}
		if (memchr(text[2], '\0', 15) == NULL) {
			assert_true(json_line_read(buf, strlen(buf), &line));
			assert_text(&line.source, names.source);
			assert_text(&line.destination, names.destination);
			assert_text(&line.type, "ffffffffffffffff");
			assert_int_equal(line.priority, d.priority);
			assert_int_equal(line.timestamp_ns / 1000000, d.timestamp_ns / 1000000);
		}
		json_decref(root);
		free(buf);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_a_message),
		cmocka_unit_test(test_members_in_any_order_escaped_and_with_others),
		cmocka_unit_test(test_says_what_is_wrong),
		cmocka_unit_test(test_texts_are_bounded),
		cmocka_unit_test(test_reads_commands),
		cmocka_unit_test(test_writes_deliveries),
		cmocka_unit_test(test_any_payload_becomes_an_object),
		cmocka_unit_test(test_what_is_written_is_read),
	};

	return cmocka_run_group_tests_name("json_message", tests, NULL, NULL);
}
