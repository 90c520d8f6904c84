/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Requests of HTTP: what is read, what is refused with which status, and bodies in pieces. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http_request.h"

#define HOST "Host: x\r\n"

static struct http_request request;

static ssize_t
parse_len(const char *text, size_t len)
{
	/* A copy of its own, so that reading behind it is seen. */
	static char *copy;

	free(copy);
	copy = malloc(len + 1);
	memcpy(copy, text, len);
	copy = realloc(copy, len == 0 ? 1 : len);
	return http_request_parse(copy, len, &request);
}

static ssize_t
parse(const char *text)
{
	return parse_len(text, strlen(text));
}

#define IS(text, expected)                                                                         \
	do {                                                                                       \
		assert_int_equal((text).len, strlen(expected));                                    \
		assert_memory_equal((text).at, expected, strlen(expected));                        \
	} while (0)

static void
test_a_request_is_read(void **state)
{
	const char text[] = "POST /v1/destinations/a%20b/messages?x=1&access_token=t HTTP/1.1\r\n"
			    "host:x:8082\r\nCONTENT-LENGTH:\t12 \r\nSluice-Priority: 1\r\n"
			    "Sluice-Id: a, b\r\nX-Other: \xff\r\nExpect: 100-Continue\r\n\r\nbody";
	char token[HTTP_TOKEN_MAX];

	assert_int_equal(parse(text), strlen(text) - 4);
	assert_int_equal(request.method, HTTP_POST);
	IS(request.path, "/v1/destinations/a%20b/messages");
	IS(request.query, "x=1&access_token=t");
	IS(request.fields[HTTP_PRIORITY], "1");
	IS(request.fields[HTTP_ID], "a, b");
	IS(http_request_token(&request, token), "t");
	assert_true(request.is_kept && request.expects_continue && request.has_length);
	assert_int_equal(request.length, 12);
	assert_true(parse("GET http://x/health HTTP/1.1\r\n" HOST "\r\n") > 0);
	IS(request.path, "/health");
	assert_true(parse("\r\nOPTIONS * HTTP/1.1\r\n" HOST "\r\n") > 0);
	IS(request.path, "*");
	assert_true(parse("GET / HTTP/1.1\r\n" HOST "Authorization: bearer  s3 \r\n\r\n") > 0);
	IS(http_request_token(&request, token), "s3");
}

static void
test_a_token_of_a_query_is_decoded(void **state)
{
	static const struct {
		const char *query, *token;
	} cases[] = {
		{"access_token=a%2Bb%2fc%3D%3d", "a+b/c=="},
		{"x=%26access_token=no&access_token=a=b", "a=b"},
		{"access_token=%2541", "%41"},
		{"access_token=a+b%20c", "a b c"},
		{"access_token=50%&x", "50%"},
		{"access_token=%4", "%4"},
		{"access_token=%zz%-1", "%zz%-1"},
		{"access_token=%C3%BC", "\xc3\xbc"},
		{"access_token=", ""},
		{"access%5Ftoken=a", ""},
	};
	char token[HTTP_TOKEN_MAX], text[HTTP_TOKEN_MAX + 100];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "GET /?%s HTTP/1.1\r\n" HOST "\r\n", cases[i].query);
		assert_true(parse(text) > 0);
		IS(http_request_token(&request, token), cases[i].token);
	}
	for (size_t len = HTTP_TOKEN_MAX; len <= HTTP_TOKEN_MAX + 1; len++) {
		char *p = text + sprintf(text, "GET /?access_token=");

		memset(p, 'a', len);
		sprintf(p + len, " HTTP/1.1\r\n" HOST "\r\n");
		assert_true(parse(text) > 0);
		assert_int_equal(
			http_request_token(&request, token).len, len == HTTP_TOKEN_MAX ? len : 0);
	}
}

static void
test_what_becomes_of_the_connection(void **state)
{
	static const struct {
		const char *text;
		bool is_kept;
	} cases[] = {
		{"GET / HTTP/1.1\r\n" HOST "\r\n", true},
		{"GET / HTTP/1.1\r\n" HOST "Connection: a, Close\r\n\r\n", false},
		{"GET / HTTP/1.0\r\n\r\n", false},
		{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
		{"GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(parse(cases[i].text) > 0);
		assert_int_equal(request.is_kept, cases[i].is_kept);
	}
}

static void
test_what_can_be_understood_in_two_ways_is_refused(void **state)
{
	static const struct {
		unsigned int status;
		const char *text;
	} cases[] = {
		{400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
		{400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n"},
		{400, "POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n"},
		{400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\n"},
		{400, "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n"},
		{400, "POST / HTTP/1.1\r\n" HOST "Content-Length : 1\r\n\r\n"},
		{413, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9999999999999999999\r\n\r\n"},
		{400,
			"POST / HTTP/1.1\r\n" HOST
			"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{400,
			"POST / HTTP/1.1\r\n" HOST
			"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{501, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"},
		{501, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n"},
		{400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"},
		{400, "GET / HTTP/1.1\nHost: x\n\n"},
		{400, "GET / HTTP/1.1\r\nHost: x\n\r\n"},
		{400, "GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\n" HOST " A: b\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n"},
		{400, "GET  / HTTP/1.1\r\n" HOST "\r\n"},
		{400, "GET / HTTP/1.1 \r\n" HOST "\r\n"},
		{400, "GET /a b HTTP/1.1\r\n" HOST "\r\n"},
		{400, "GET /\x80 HTTP/1.1\r\n" HOST "\r\n"},
		{400, "GET /#a HTTP/1.1\r\n" HOST "\r\n"},
		{400, "GET x HTTP/1.1\r\n" HOST "\r\n"},
		{400, "GET * HTTP/1.1\r\n" HOST "\r\n"},
		{400, "GET http:///a HTTP/1.1\r\n" HOST "\r\n"},
		{400, "CONNECT x:1 HTTP/1.1\r\n" HOST "\r\n"},
		{400, "GET /\r\n"},
		{400, "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"},
		{400, "\x16\x03\x01\r\n"},
		{505, "GET / HTTP/2.0\r\n" HOST "\r\n"},
		{417, "POST / HTTP/1.1\r\n" HOST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(cases[i].text), -1);
		if (request.status != cases[i].status)
			fail_msg("%u, not %u: %s", request.status, cases[i].status, cases[i].text);
		assert_non_null(request.why);
	}
	assert_int_equal(parse_len("GET / HTTP/1.1\r\n" HOST "A: \0\r\n\r\n", 32), -1);
}

static void
test_a_head_has_bounds(void **state)
{
	static char text[HTTP_HEAD_MAX + 1000];
	int len;

	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /", 5);
	/* With its CR; the LF may be the next. */
	assert_int_equal(parse_len(text, HTTP_LINE_MAX + 1), 0);
	assert_int_equal(parse_len(text, HTTP_LINE_MAX + 2), -1);
	assert_int_equal(request.status, 414);
	len = sprintf(text, "GET / HTTP/1.1\r\n" HOST "A: ");
	memset(text + len, 'a', sizeof(text) - (size_t)len);
	assert_int_equal(parse_len(text, HTTP_HEAD_MAX - 1), 0);
	assert_int_equal(parse_len(text, sizeof(text)), -1);
	assert_int_equal(request.status, 431);
	len = sprintf(text, "GET / HTTP/1.1\r\n" HOST);
	for (int i = 0; i < HTTP_FIELDS_MAX; i++)
		len += sprintf(text + len, "A: b\r\n");
	sprintf(text + len, "\r\n");
	assert_int_equal(parse(text), -1);
	assert_int_equal(request.status, 431);
}

static void
test_a_part_of_a_request_is_none_yet(void **state)
{
	static const char text[] = "\r\nPOST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n";

	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		assert_int_equal(parse_len(text, len), 0);
		assert_int_equal(request.status, 0);
	}
	assert_int_equal(parse_len(text, sizeof(text) - 1), sizeof(text) - 1);
}

/* Bodies. */

/* @return bytes that were used; -1: refused */
static ssize_t
read_body(const char *head, const char *data, size_t piece, char *content)
{
	size_t len = strlen(data), at = 0, n;
	struct gw_text part;
	struct http_body body;
	ssize_t used;

	assert_true(parse(head) > 0);
	http_body_begin(&body, &request);
	*content = '\0';
	while (!http_body_is_done(&body) && at < len) {
		n = len - at < piece ? len - at : piece;
		used = http_body_read(&body, data + at, n, &part);
		if (used < 0) {
			assert_non_null(body.why);
			return -1;
		}
		assert_true(used > 0 && (size_t)used <= n);
		assert_true(part.at >= data + at && part.at + part.len <= data + at + n);
		strncat(content, part.at, part.len);
		at += (size_t)used;
	}
	return http_body_is_done(&body) ? (ssize_t)at : -2;
}

#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"

static void
test_bodies_come_in_any_pieces(void **state)
{
	static const char chunks[] =
		"5\r\nhello\r\n00a;x=\"y\"\r\n, world!!!\r\n0\r\nA: b\r\n\r\nGET";
	char content[256];

	for (size_t piece = 1; piece < sizeof(chunks); piece++) {
		assert_int_equal(
			read_body(CHUNKED, chunks, piece, content), sizeof(chunks) - 1 - 3);
		assert_string_equal(content, "hello, world!!!");
		assert_int_equal(read_body("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n",
					 "helloGET", piece, content),
			5);
		assert_string_equal(content, "hello");
	}
	assert_int_equal(read_body("POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", "GET", 3,
				 content),
		0);
}

static void
test_bad_chunks_are_refused(void **state)
{
	static const char *const cases[] = {
		"\r\n",
		"x\r\n",
		"-1\r\n",
		"0x5\r\nhello",
		"5\nhello",
		"5\rhello",
		"5\r\nhelloX",
		"5\r\nhello\n",
		"5\r\nhello\rX",
		"123456789\r\n",
		" 5\r\nhello\r\n",
		"5;a\nb\r\nhello\r\n",
		"0\r\n folded\r\n\r\n",
		"0\r\nA: b\n\r\n",
		"0\r\n\rX",
	};
	char content[256], text[512], *p;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (read_body(CHUNKED, cases[i], 100, content) != -1)
			fail_msg("taken: %s", cases[i]);
		assert_int_equal(read_body(CHUNKED, cases[i], 1, content), -1);
	}
	p = text + sprintf(text, "5;");
	memset(p, 'a', 300);
	sprintf(p + 300, "\r\nhello\r\n0\r\n\r\n");
	assert_int_equal(read_body(CHUNKED, text, 100, content), -1);
}

static void
test_names_are_decoded_once(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: refused */
	} cases[] = {
		{"table1", "table1"},
		{"a%20b", "a b"},
		{"%C3%bc", "\xc3\xbc"},
		{"%2541", "%41"},
		{"%", NULL},
		{"%4", NULL},
		{"%4g", NULL},
		{"a%2fb", "a/b"},
		{"a/b", NULL},
		{"a%00", NULL},
		{"%0a", NULL},
		{"123456789", NULL},
	};
	char buf[8];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gw_text in = {cases[i].in, strlen(cases[i].in)};
		ssize_t len = http_unescape(in, buf, sizeof(buf));

		assert_int_equal(len, cases[i].out == NULL ? -1 : (ssize_t)strlen(cases[i].out));
		if (len > 0)
			assert_memory_equal(buf, cases[i].out, (size_t)len);
	}
}

static void
test_origins_are_compared_whole(void **state)
{
	char *const origins[] = {(char *)(uintptr_t) "https://chat.example",
		(char *)(uintptr_t) "http://localhost:3000"};
	static const char *const others[] = {
		"https://chat.example.org", "https://chat.exampl", "null"};

	(void)state;
	assert_true(
		http_origin_is_one_of((struct gw_text){"HTTPS://chat.Example", 20}, origins, 2));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(http_origin_is_one_of(
			(struct gw_text){others[i], strlen(others[i])}, origins, 2));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request_is_read),
		cmocka_unit_test(test_a_token_of_a_query_is_decoded),
		cmocka_unit_test(test_what_becomes_of_the_connection),
		cmocka_unit_test(test_what_can_be_understood_in_two_ways_is_refused),
		cmocka_unit_test(test_a_head_has_bounds),
		cmocka_unit_test(test_a_part_of_a_request_is_none_yet),
		cmocka_unit_test(test_bodies_come_in_any_pieces),
		cmocka_unit_test(test_bad_chunks_are_refused),
		cmocka_unit_test(test_names_are_decoded_once),
		cmocka_unit_test(test_origins_are_compared_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
