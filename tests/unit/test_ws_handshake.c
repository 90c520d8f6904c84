/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ws_handshake.h"

/* The request of RFC 6455, section 1.2, in parts that cases replace. */
#define LINE	   "GET /chat HTTP/1.1\r\n"
#define HOST	   "Host: server.example.com\r\n"
#define UPGRADE	   "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define KEY	   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION	   "Sec-WebSocket-Version: 13\r\n"
#define END	   "\r\n"
#define WHOLE	   LINE HOST UPGRADE CONNECTION KEY VERSION END

static bool
text_is(struct gw_text text, const char *expected)
{
	return text.len == strlen(expected) && memcmp(text.at, expected, text.len) == 0;
}

static void
test_the_request_of_the_rfc_gets_the_answer_of_the_rfc(void **state)
{
	struct http_request request;
	char answer[WS_ANSWER_MAX];
	size_t len;

	(void)state;
	assert_int_equal(ws_request_parse(WHOLE, strlen(WHOLE), &request), strlen(WHOLE));
	assert_true(text_is(request.path, "/chat"));
	assert_null(request.fields[HTTP_ORIGIN].at);
	len = ws_answer_accept(&request, answer);
	assert_int_equal(len,
		strlen("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		       "Connection: Upgrade\r\n"
		       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
	assert_non_null(strstr(answer, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
}

static void
test_a_request_may_come_in_any_pieces_and_frames_behind_it(void **state)
{
	static const char more[] = WHOLE "\x81\x85";
	struct http_request request;

	(void)state;
	for (size_t len = 0; len < strlen(WHOLE); len++) {
		/* A copy, so that reading behind it is seen. */
		char *copy = malloc(len + 1);

		assert_non_null(copy);
		memcpy(copy, WHOLE, len);
		assert_int_equal(ws_request_parse(copy, len, &request), 0);
		free(copy);
	}
	assert_int_equal(ws_request_parse(more, sizeof(more) - 1, &request), strlen(WHOLE));
}

static void
test_what_browsers_and_proxies_write_is_understood(void **state)
{
	static const char text[] =
		"GET http://[::1]:8081/chat/7?a=1&access_token=t%20k&b HTTP/1.1\r\n"
		"host:x\r\nCONNECTION: keep-alive , uPGRADE\r\nupgrade: h2c, WebSocket/13, "
		"websocket\r\nOrigin: \t https://chat.example \r\n"
		"Authorization: bearer  abc \r\nX-Empty:\r\n"
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" KEY
			VERSION END;
	struct http_request request;
	char buf[HTTP_TOKEN_MAX];

	(void)state;
	assert_int_equal(ws_request_parse(text, sizeof(text) - 1, &request), sizeof(text) - 1);
	assert_true(text_is(request.path, "/chat/7"));
	assert_true(text_is(request.fields[HTTP_ORIGIN], "https://chat.example"));
	assert_true(text_is(http_request_token(&request, buf), "abc"));
}

static void
test_each_fault_gets_its_status(void **state)
{
	static const struct {
		const char *text;
		unsigned int status;
	} cases[] = {
		{"hello\r\n\r\n", 400},
		{"GET /chat\r\n\r\n", 400},
		{"GET  /chat HTTP/1.1\r\n\r\n", 400},
		{"GET chat HTTP/1.1\r\n\r\n", 400},
		{"GET /chat\x7f HTTP/1.1\r\n\r\n", 400},
		{"GET /chat#1 HTTP/1.1\r\n\r\n", 400},
		{"G(T /chat HTTP/1.1\r\n\r\n", 400},
		{"GET /chat HTTP/1.1\n\n", 400},
		{"GET http://x HTTP/1.1\r\n", 400},
		{"GET /chat HTTP/1.0\r\n\r\n", 505},
		{"GET /chat HTTP/2.0\r\n\r\n", 505},
		{"POST /chat HTTP/1.1\r\n" HOST END, 405},
		{"get /chat HTTP/1.1\r\n" HOST END, 405},
		{LINE HOST UPGRADE CONNECTION KEY VERSION "no colon\r\n\r\n", 400},
		{LINE HOST UPGRADE CONNECTION KEY VERSION " folded: x\r\n\r\n", 400},
		{LINE HOST UPGRADE CONNECTION KEY VERSION "space : x\r\n\r\n", 400},
		{LINE HOST UPGRADE CONNECTION KEY VERSION "x: \x01\r\n\r\n", 400},
		{LINE UPGRADE CONNECTION KEY VERSION END, 400},
		{LINE HOST HOST UPGRADE CONNECTION KEY VERSION END, 400},
		{LINE HOST CONNECTION KEY VERSION END, 426},
		{LINE HOST "Upgrade: websocketx\r\n" CONNECTION KEY VERSION END, 426},
		{LINE HOST UPGRADE KEY VERSION END, 400},
		{LINE HOST UPGRADE "Connection: close\r\n" KEY VERSION END, 400},
		{LINE HOST UPGRADE CONNECTION KEY END, 426},
		{LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 8\r\n" END, 426},
		{LINE HOST UPGRADE CONNECTION VERSION END, 400},
		{LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: \r\n" END, 400},
		{LINE HOST UPGRADE CONNECTION VERSION
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n" END,
			400},
		{LINE HOST UPGRADE CONNECTION VERSION
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n" END,
			400},
		{LINE HOST UPGRADE CONNECTION KEY KEY VERSION END, 400},
		{LINE HOST UPGRADE CONNECTION KEY VERSION "Content-Length: 5\r\n" END, 400},
		{LINE HOST UPGRADE CONNECTION KEY VERSION "Transfer-Encoding: chunked\r\n" END,
			400},
	};
	struct http_request request;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (ws_request_parse(cases[i].text, strlen(cases[i].text), &request) != -1 ||
			request.status != cases[i].status)
			fail_msg("case %zu: %u, not %u", i, request.status, cases[i].status);
		assert_non_null(request.why);
	}
}

static void
test_a_request_without_end_is_refused_at_the_bound(void **state)
{
	static char text[2 * HTTP_HEAD_MAX];
	struct http_request request;
	size_t len = (size_t)sprintf(text, LINE HOST);

	(void)state;
	memset(text + len, 'a', sizeof(text) - len);
	assert_int_equal(ws_request_parse(text, HTTP_HEAD_MAX - 1, &request), 0);
	assert_int_equal(ws_request_parse(text, HTTP_HEAD_MAX, &request), -1);
	assert_int_equal(request.status, 431);

	for (unsigned int i = 0; i < HTTP_FIELDS_MAX; i++)
		len += (size_t)sprintf(text + len, "a: %u\r\n", i);
	strcpy(text + len, END);
	assert_int_equal(ws_request_parse(text, len + 2, &request), -1);
	assert_int_equal(request.status, 431);
}

static void
test_an_error_is_a_whole_http_answer(void **state)
{
	char answer[WS_ANSWER_MAX + 1];
	size_t len = ws_answer_refuse(426, "why", answer);

	(void)state;
	answer[len] = '\0';
	assert_string_equal(answer,
		"HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/plain; charset=utf-8\r\n"
		"Content-Length: 4\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
		"Sec-WebSocket-Version: 13\r\n\r\nwhy\n");
	len = ws_answer_refuse(405, "why", answer);
	answer[len] = '\0';
	assert_non_null(strstr(answer, "\r\nAllow: GET\r\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_request_of_the_rfc_gets_the_answer_of_the_rfc),
		cmocka_unit_test(test_a_request_may_come_in_any_pieces_and_frames_behind_it),
		cmocka_unit_test(test_what_browsers_and_proxies_write_is_understood),
		cmocka_unit_test(test_each_fault_gets_its_status),
		cmocka_unit_test(test_a_request_without_end_is_refused_at_the_bound),
		cmocka_unit_test(test_an_error_is_a_whole_http_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
