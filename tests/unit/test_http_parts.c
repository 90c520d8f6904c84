/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* What the HTTP gateway is made of beside requests: lines, heads of answers, and what is kept for
 * those that come back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway.h"
#include "http_answer.h"
#include "http_line.h"
#include "http_ring.h"

#include "../../lib/ingress/chunk.c"

static struct http_line line;

static bool
read_line(const char *text)
{
	return http_line_read(text, strlen(text), &line);
}

static void
test_a_line_needs_its_payload_only(void **state)
{
	assert_true(read_line("{\"payload\": {\"a\": [1]}}"));
	assert_memory_equal(line.payload.at, "{\"a\": [1]}", line.payload.len);
	assert_null(line.id.at);
	assert_int_equal(line.priority, 0);
	assert_true(
		read_line("{\"messageId\":\"a\\u00e9\",\"sourceServerId\":\"s\",\"destinationId\":"
			  "\"d\",\"messageType\":\"t\",\"priority\":8,\"timestamp\":2,\"payload\":"
			  "{},\"other\":null}"));
	assert_int_equal(line.id.len, 3);
	assert_memory_equal(line.id.at, "a\xc3\xa9", 3);
	assert_memory_equal(line.source.at, "s", line.source.len);
	assert_memory_equal(line.type.at, "t", line.type.len);
	assert_memory_equal(line.destination.at, "d", line.destination.len);
	assert_int_equal(line.priority, 8);
	assert_int_equal(line.timestamp_ns, 2000000);
}

static void
test_a_line_is_refused_with_its_member(void **state)
{
	static const struct {
		const char *text, *begin;
	} cases[] = {
		{"", "not a JSON object"},
		{"[]", "not a JSON object"},
		{"{\"payload\":{}", "not a JSON object"},
		{"{}", "payload is missing"},
		{"{\"payload\":1}", "payload is a number"},
		{"{\"payload\":{},\"priority\":0}", "priority is not from 1 to 8"},
		{"{\"payload\":{},\"priority\":9}", "priority is not from 1 to 8"},
		{"{\"payload\":{},\"priority\":\"1\"}", "priority is a string"},
		{"{\"payload\":{},\"timestamp\":1.5}", "timestamp is not an integer"},
		{"{\"payload\":{},\"messageId\":\"\"}", "messageId is empty"},
		{"{\"payload\":{},\"messageId\":\"\\u0000\"}", "messageId has a NUL"},
		{"{\"payload\":{},\"messageType\":[]}", "messageType is an array"},
	};
	char text[600];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_false(read_line(cases[i].text));
		if (strncmp(line.reason, cases[i].begin, strlen(cases[i].begin)) != 0)
			fail_msg("%s: %s", cases[i].text, line.reason);
	}
	snprintf(text, sizeof(text), "{\"payload\":{},\"messageId\":\"%0256d\"}", 0);
	assert_false(read_line(text));
	snprintf(text, sizeof(text), "{\"payload\":{},\"messageId\":\"%0255d\"}", 0);
	assert_true(read_line(text));
}

static void
test_heads_of_answers(void **state)
{
	char head[HTTP_ANSWER_MAX + 1], origin[256];
	struct http_answer answer = {
		.status = 429, .type = "a/b", .body_len = 7, .retry_after_s = 1};
	size_t len = http_answer_write(&answer, head);

	head[len] = '\0';
	assert_string_equal(head,
		"HTTP/1.1 429 Too Many Requests\r\nContent-Type: a/b\r\nContent-Length: 7\r\n"
		"Retry-After: 1\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
		"Connection: keep-alive\r\n\r\n");
	/* The longest there is fits. */
	memset(origin, 'o', sizeof(origin));
	answer = (struct http_answer){.status = 401,
		.type = "text/event-stream",
		.is_stream = true,
		.allow = "GET, HEAD, POST, OPTIONS",
		.retry_after_s = UINT32_MAX,
		.origin = {origin, 255},
		.is_preflight = true};
	len = http_answer_write(&answer, head);
	assert_in_range(len, 700, HTTP_ANSWER_MAX);
	head[len] = '\0';
	assert_non_null(strstr(head, "Connection: close\r\n\r\n"));
	assert_null(strstr(head, "Content-Length"));
}

static void
test_ids_of_events(void **state)
{
	const struct http_event_id id = {UINT64_C(0x0123456789abcdef), 1, UINT64_MAX};
	struct http_event_id read;
	char text[HTTP_EVENT_ID_LEN + 1] = "";

	http_event_id_write(&id, text);
	assert_string_equal(text, "0000000000000001ffffffffffffffff-0123456789abcdef");
	assert_true(http_event_id_read((struct gw_text){text, HTTP_EVENT_ID_LEN}, &read));
	assert_memory_equal(&id, &read, sizeof(id));
	assert_false(http_event_id_read((struct gw_text){text, HTTP_EVENT_ID_LEN - 1}, &read));
	text[0] = 'A';
	assert_false(http_event_id_read((struct gw_text){text, HTTP_EVENT_ID_LEN}, &read));
}

/* Rings. */

static void
keep(struct http_ring *ring, uint64_t n, size_t len)
{
	const struct http_event_id id = {7, 0, n};
	struct gw_chunk *chunk = gw_chunk_alloc(len);

	http_ring_add(ring, &id, chunk);
	gw_chunk_free(chunk);
}

static int64_t
find(const struct http_ring *ring, uint64_t n)
{
	return http_ring_find(ring, &(struct http_event_id){7, 0, n});
}

static void
test_a_ring_keeps_the_latest(void **state)
{
	struct http_ring_bound bound = {.max = 1000};
	struct http_ring ring;

	assert_int_equal(http_ring_init(&ring, 4, 100, &bound), 0);
	assert_int_equal(find(&ring, 1), -1);
	for (uint64_t n = 1; n <= 6; n++)
		keep(&ring, n, 10 + n);
	assert_int_equal(find(&ring, 2), -1);
	assert_int_equal(find(&ring, 3), 1);
	assert_int_equal(find(&ring, 6), 4);
	assert_int_equal(gw_chunk_len(http_ring_at(&ring, 0)), 13);
	assert_int_equal(gw_chunk_len(http_ring_at(&ring, 3)), 16);
	assert_int_equal(bound.bytes, 13 + 14 + 15 + 16);
	/* Bytes are bounded, too. */
	keep(&ring, 7, 80);
	assert_int_equal(find(&ring, 5), -1);
	assert_int_equal(find(&ring, 6), 1);
	http_ring_fini(&ring);
	assert_int_equal(bound.bytes, 0);
}

static void
test_a_ring_has_no_holes(void **state)
{
	struct http_ring_bound bound = {.bytes = 900, .max = 1000};
	struct http_ring ring, none;

	assert_int_equal(http_ring_init(&ring, 4, 500, &bound), 0);
	keep(&ring, 1, 50);
	/* What cannot be kept takes what was before it along. */
	keep(&ring, 2, 501);
	assert_int_equal(find(&ring, 1), -1);
	assert_int_equal(ring.count, 0);
	keep(&ring, 3, 60);
	keep(&ring, 4, 60);
	assert_int_equal(find(&ring, 3), -1);
	assert_int_equal(find(&ring, 4), 1);
	http_ring_fini(&ring);
	assert_int_equal(bound.bytes, 900);
	assert_int_equal(http_ring_init(&none, 0, 500, &bound), 0);
	keep(&none, 1, 1);
	assert_int_equal(find(&none, 1), -1);
	http_ring_fini(&none);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_needs_its_payload_only),
		cmocka_unit_test(test_a_line_is_refused_with_its_member),
		cmocka_unit_test(test_heads_of_answers),
		cmocka_unit_test(test_ids_of_events),
		cmocka_unit_test(test_a_ring_keeps_the_latest),
		cmocka_unit_test(test_a_ring_has_no_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
