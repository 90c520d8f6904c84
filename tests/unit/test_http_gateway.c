/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The HTTP gateway between clients on loopback and a path of the test's own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingress_path.h"
#include "http.h"

#define HTTP   ", protocol: http"
#define AT(d)  "/v1/destinations/" d "/messages"
#define NDJSON "Content-Type: application/x-ndjson\r\n"
#define STREAM "GET /v1/topics/news/stream HTTP/1.1\r\nHost: x\r\n"
#define ACKED  16

/* An answer. */
static struct {
	unsigned int status;
	char head[2048], body[8192];
} got;

/* What is there until `end`, which is left out. */
static void
hear_until(int fd, const char *end, char *text, size_t size)
{
	uint64_t until = now_ms() + PATIENCE_MS;
	size_t len = 0, end_len = strlen(end);

	while (len < end_len || memcmp(text + len - end_len, end, end_len) != 0) {
		ssize_t n = recv(fd, text + len, 1, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			pump();
		else if (n <= 0)
			fail_msg("it closed behind: %.*s", (int)len, text);
		len += n > 0 ? 1 : 0;
		assert_true(len < size);
		if (now_ms() > until)
			fail_msg("nothing more came behind: %.*s", (int)len, text);
	}
	text[len - end_len] = '\0';
}

static unsigned int
hear(int fd)
{
	const char *length;
	size_t left = 0;

	hear_until(fd, "\r\n\r\n", got.head, sizeof(got.head));
	assert_int_equal(sscanf(got.head, "HTTP/1.1 %u ", &got.status), 1);
	length = strstr(got.head, "Content-Length: ");
	if (length != NULL)
		left = strtoul(length + 16, NULL, 10);
	assert_true(left < sizeof(got.body));
	for (size_t len = 0; len < left;) {
		ssize_t n = recv(fd, got.body + len, left - len, MSG_DONTWAIT);

		if (n > 0)
			len += (size_t)n;
		else
			pump();
	}
	got.body[left] = '\0';
	return got.status;
}

static void
post(int fd, const char *target, const char *fields, const char *body)
{
	static char text[16384];

	snprintf(text, sizeof(text),
		"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n%s", target, fields,
		strlen(body), body);
	tell(fd, text);
}

static bool
has_ended(int fd)
{
	uint64_t until = now_ms() + PATIENCE_MS;
	char byte;

	while (now_ms() < until) {
		ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return true;
		pump();
	}
	return false;
}

/* Posting. */

static void
test_a_message_is_accepted_with_its_fields(void **state)
{
	struct path_message *m = &path.messages[0];
	int fd;

	start("listeners", HTTP);
	fd = dial();
	post(fd, AT("loose"),
		"Sluice-Id: order-7\r\nSluice-Priority: 3\r\nSluice-Type: meal\r\n"
		"Sluice-Source: till\r\n",
		"hello");
	assert_int_equal(hear(fd), 202);
	assert_string_equal(got.body, "{\"id\":\"order-7\"}\n");
	WAIT_FOR(path.nb_messages == 1);
	assert_string_equal(m->payload, "hello");
	assert_string_equal(m->id_text, "order-7");
	assert_int_equal(m->priority, 3);
	assert_int_equal(m->type, sl_wire_name_key("meal"));
	assert_int_equal(m->source, sl_wire_name_key("till"));
	/* Without any of them, on the same connection. */
	post(fd, AT("loose"), "", "");
	assert_int_equal(hear(fd), 202);
	WAIT_FOR(path.nb_messages == 2);
	assert_int_equal(path.messages[1].payload_len, 0);
	assert_int_equal(path.messages[1].source, sl_wire_name_key("http"));
	close(fd);
}

static void
test_the_answer_comes_when_it_is_durable(void **state)
{
	int fd;

	start("listeners", HTTP);
	fd = dial();
	post(fd, AT("sure"), "", "one");
	post(fd, AT("sure"), "Sluice-Id: two\r\n", "two");
	WAIT_FOR(path.nb_messages == 1);
	hear_nothing(fd);
	path_ack(path.messages[0].session, 1, ACKED);
	assert_int_equal(hear(fd), 202);
	WAIT_FOR(path.nb_messages == 2);
	hear_nothing(fd);
	path_ack(path.messages[0].session, 2, ACKED);
	assert_int_equal(hear(fd), 202);
	assert_string_equal(got.body, "{\"id\":\"two\"}\n");
	close(fd);
}

static void
test_each_line_has_an_outcome(void **state)
{
	int fd;

	start("listeners", HTTP);
	fd = dial();
	post(fd, AT("sure"), NDJSON,
		"{\"messageId\":\"a\\\"\",\"payload\":{}}\r\n\n{\"payload\":7}\n"
		"{\"messageId\":\"b\",\"destinationId\":\"loose\",\"payload\":{}}\n"
		"{\"messageId\":\"c\",\"payload\":{},\"priority\":1}");
	WAIT_FOR(path.nb_messages == 2);
	hear_nothing(fd);
	path_ack(path.messages[0].session, 2, ACKED);
	assert_int_equal(hear(fd), 202);
	assert_string_equal(got.body,
		"{\"accepted\":2,\"refused\":2,\"results\":[{\"id\":\"a\\\"\"},"
		"{\"status\":400,\"error\":\"payload is a number, not an object\"},"
		"{\"status\":400,\"error\":\"destinationId is not the target's\"},"
		"{\"id\":\"c\"}]}\n");
	assert_int_equal(path.messages[1].priority, 1);
	assert_int_equal(reasons("bad_input"), 2);
	post(fd, AT("loose"), NDJSON, "no\n");
	assert_int_equal(hear(fd), 400);
	post(fd, AT("loose"), NDJSON, "\n\r\n");
	assert_int_equal(hear(fd), 400);
	post(fd, AT("loose"), NDJSON "Sluice-Id: a\r\n", "{\"payload\":{}}");
	assert_int_equal(hear(fd), 400);
	close(fd);
}

static void
test_more_lines_than_an_answer_holds_are_skipped_and_said(void **state)
{
	char text[4096];
	size_t len = 0;
	int fd;

	start("listeners", HTTP ", output_max: 4096");
	fd = dial();
	for (int i = 0; i < 100; i++)
		len += (size_t)sprintf(text + len, "{\"payload\":{\"n\":%d}}\n", i);
	post(fd, AT("loose"), NDJSON, text);
	assert_int_equal(hear(fd), 202);
	assert_non_null(strstr(got.body, "\"skipped\":"));
	close(fd);
}

static void
test_a_chunked_body_a_byte_at_a_time(void **state)
{
	static const char text[] = "POST " AT(
		"loose") " HTTP/1.1\r\nHost: x\r\n" NDJSON
			 "Transfer-Encoding: chunked\r\n\r\n8\r\n{\"payloa\r\n8\r\nd\":{}}\n{\r\n"
			 "D\r\n\"payload\":{}}\r\n0\r\n\r\n";
	int fd;

	start("listeners", HTTP);
	fd = dial();
	for (const char *p = text; *p != '\0'; p++) {
		assert_int_equal(send(fd, p, 1, MSG_NOSIGNAL), 1);
		if ((p - text) % 16 == 0)
			pump();
	}
	assert_int_equal(hear(fd), 202);
	assert_non_null(strstr(got.body, "\"accepted\":2"));
	assert_int_equal(shown("requests"), 1);
	close(fd);
}

static void
test_a_path_that_takes_no_more_is_429(void **state)
{
	static char lines[4096];
	size_t len = 0;
	int fds[2];

	start("listeners", HTTP);
	fds[0] = dial();
	fds[1] = dial();
	/* Beyond the credit nothing is taken before something is durable. */
	for (int i = 0; i < 70; i++)
		len += (size_t)sprintf(lines + len, "{\"messageId\":\"m%d\",\"payload\":{}}\n", i);
	post(fds[0], AT("sure"), NDJSON, lines);
	WAIT_FOR(path.nb_messages >= 64);
	post(fds[1], AT("sure"), "", "more");
	assert_int_equal(hear(fds[1]), 429);
	assert_non_null(strstr(got.head, "Retry-After: 1"));
	assert_non_null(strstr(got.body, "takes no more"));
	settle_for(300);
	path_ack(path.messages[0].session, 64, 200);
	assert_int_equal(hear(fds[0]), 202);
	assert_non_null(strstr(got.body, "\"accepted\":64,\"refused\":6"));
	assert_non_null(strstr(got.head, "Retry-After: 1"));
	/* It goes on when the path does. */
	post(fds[1], AT("loose"), "", "again");
	assert_int_equal(hear(fds[1]), 202);
	close(fds[0]);
	close(fds[1]);
}

#define ONE "POST " AT("loose") " HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n."

static void
test_a_client_over_its_rate_is_429(void **state)
{
	int fd;

	start("listeners", HTTP ", rate_msgs_per_s: 1");
	fd = dial();
	/* Of one turn: no time goes by between them. */
	tell(fd, ONE ONE ONE ONE);
	assert_int_equal(hear(fd), 202);
	for (int i = 0; i < 3; i++)
		assert_int_equal(hear(fd), 429);
	assert_int_equal(reasons("over_rate"), 3);
	close(fd);
}

/* What is refused. */

static void
test_what_is_refused_leaves_the_connection(void **state)
{
	static char long_body[9200];
	static const struct {
		unsigned int status;
		const char *text;
	} cases[] = {
		{404, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
		{404, "GET /v1/destinations//messages HTTP/1.1\r\nHost: x\r\n\r\n"},
		{404, "GET /v1/destinations/a/b/messages HTTP/1.1\r\nHost: x\r\n\r\n"},
		{404, "POST " AT("nowhere") " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nno"},
		{404, "POST " AT("%00") " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nno"},
		{404, "GET /v1/topics/loose/stream HTTP/1.1\r\nHost: x\r\n\r\n"},
		{404, "GET /v1/topics/nowhere/stream HTTP/1.1\r\nHost: x\r\n\r\n"},
		{405, "GET " AT("loose") " HTTP/1.1\r\nHost: x\r\n\r\n"},
		{405, "DELETE /health HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nno"},
		{405,
			"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
			"2\r\nno\r\n0\r\n\r\n"},
		{411, "POST " AT("loose") " HTTP/1.1\r\nHost: x\r\n\r\n"},
		{415,
			"POST " AT("loose") " HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
					    "Content-Length: 2\r\n\r\nno"},
		{415,
			"POST " AT(
				"loose") " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
					 "Content-Type: multipart/form-data; boundary=a\r\n\r\nno"},
		{400,
			"POST " AT("loose") " HTTP/1.1\r\nHost: x\r\nSluice-Priority: 9\r\n"
					    "Content-Length: 2\r\n\r\nno"},
		{400,
			"POST " AT("loose") " HTTP/1.1\r\nHost: x\r\nSluice-Id: \xff\r\n"
					    "Content-Length: 2\r\n\r\nno"},
		{204, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"},
	};
	int fd;

	start("listeners", HTTP ", input_max: 9500");
	fd = dial();
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		tell(fd, cases[i].text);
		if (hear(fd) != cases[i].status)
			fail_msg("%u: %s", got.status, cases[i].text);
		if (got.status == 405)
			assert_non_null(strstr(got.head, "\r\nAllow: "));
		if (got.status >= 400)
			assert_non_null(strstr(got.body, "{\"error\":\""));
	}
	memset(long_body, 'x', 9100);
	post(fd, AT("loose"), "", long_body);
	assert_int_equal(hear(fd), 413);
	post(fd, AT("loose"), "", "taken");
	assert_int_equal(hear(fd), 202);
	WAIT_FOR(path.nb_messages == 1);
	close(fd);
}

static void
test_what_cannot_be_read_ends_the_connection(void **state)
{
	static const struct {
		unsigned int status;
		const char *text;
	} cases[] = {
		{400, "garbage\r\n\r\n"},
		{400, "GET / HTTP/1.1\nHost: x\n\n"},
		{505, "GET / HTTP/3.0\r\n\r\n"},
		{400,
			"POST " AT("loose") " HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
					    "Transfer-Encoding: chunked\r\n\r\n"},
		{400,
			"POST " AT("loose") " HTTP/1.1\r\nHost: x\r\n"
					    "Transfer-Encoding: chunked\r\n\r\nzz\r\n"},
		{413, "POST " AT("loose") " HTTP/1.1\r\nHost: x\r\nContent-Length: 65\r\n\r\n"},
		{413,
			"POST " AT("loose") " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
					    "Content-Length: 65\r\n\r\n"},
		{404,
			"POST " AT("no") " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
					 "Content-Length: 2\r\n\r\n"},
		{413,
			"POST " AT(
				"loose") " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
					 "\r\n41\r\n0123456789012345678901234567890123456789012345678901234567890123"
					 "4\r\n"},
	};
	int fd, other;

	start("listeners", HTTP ", input_max: 64");
	other = dial();
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		fd = dial();
		tell(fd, cases[i].text);
		if (hear(fd) != cases[i].status)
			fail_msg("%u: %s", got.status, cases[i].text);
		assert_non_null(strstr(got.head, "Connection: close"));
		assert_true(has_ended(fd));
		close(fd);
	}
	post(other, AT("loose"), "", "taken");
	assert_int_equal(hear(other), 202);
	WAIT_FOR(path.nb_messages == 1);
	close(other);
}

static void
test_expect_100_continue(void **state)
{
	int fd;

	start("listeners", HTTP);
	fd = dial();
	tell(fd,
		"POST " AT("loose") " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
				    "Content-Length: 5\r\n\r\n");
	assert_int_equal(hear(fd), 100);
	tell(fd, "hello");
	assert_int_equal(hear(fd), 202);
	close(fd);
}

static void
test_pipelined_requests_are_answered_in_order(void **state)
{
	char text[8192], id[32];
	size_t len = 0;
	int fd;

	start("listeners", HTTP);
	fd = dial();
	for (int i = 0; i < 50; i++)
		len += (size_t)sprintf(text + len,
			"POST " AT("%s") " HTTP/1.1\r\nHost: x\r\nSluice-Id: n%d\r\n"
					 "Content-Length: 1\r\n\r\n.",
			i % 10 == 0 ? "sure" : "loose", i);
	sprintf(text + len, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	tell(fd, text);
	for (uint32_t i = 0; i < 50; i++) {
		if (i % 10 == 0) {
			WAIT_FOR(path.nb_messages == i + 1);
			path_ack(path.messages[i].session, i / 10 + 1, ACKED);
		}
		assert_int_equal(hear(fd), 202);
		sprintf(id, "{\"id\":\"n%u\"}\n", i);
		assert_string_equal(got.body, id);
	}
	assert_int_equal(hear(fd), 404);
	assert_true(has_ended(fd));
	close(fd);
}

/* Streams. */

static char event[2048];

static void
hear_event(int fd)
{
	hear_until(fd, "\n\n", event, sizeof(event));
}

static void
deliver(const char *destination, uint64_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "{\"n\":%u}", (unsigned int)n);
	path_deliver(destination, 0, n, text);
}

static void
expect_event(int fd, uint64_t n)
{
	char text[64];

	hear_event(fd);
	snprintf(text, sizeof(text), "id: 0000000000000001%016" PRIx64 "-0000000000000007", n);
	assert_memory_equal(event, text, strlen(text));
	snprintf(text, sizeof(text), "\"payload\":{\"n\":%u}}", (unsigned int)n);
	assert_non_null(strstr(event, text));
}

/* The gateway thread becomes a backend of the topic. */
static void
join_news(void)
{
	struct sl_config *joined;

	WAIT_FOR(hooks.joins > 0);
	joined = make_config("listeners", ", protocol: http, port: 1",
		"  - {name: loose, backends: [{name: b, address: 10.77.0.11, port: 1}]}\n"
		"  - {name: news, kind: topic, backends: [{name: gateway-0, address: 10.77.0.12,"
		" port: 1}]}\n");
	sl_ingress_apply(ingress, joined);
	sl_config_free(joined);
}

static int
open_stream(const char *fields)
{
	char text[512];
	int fd = dial();

	snprintf(text, sizeof(text), STREAM "%s\r\n", fields);
	tell(fd, text);
	return fd;
}

static void
expect_stream(int fd)
{
	assert_int_equal(hear(fd), 200);
	assert_non_null(strstr(got.head, "Content-Type: text/event-stream"));
	hear_event(fd);
	assert_string_equal(event, "retry: 1000");
}

static void
test_a_stream_is_resumed_behind_its_last_event(void **state)
{
	int fd, other;

	start("listeners", HTTP ", replay: 3");
	fd = open_stream("");
	hear_nothing(fd);
	join_news();
	expect_stream(fd);
	for (uint64_t n = 1; n <= 4; n++)
		deliver("news", n);
	for (uint64_t n = 1; n <= 4; n++)
		expect_event(fd, n);
	close(fd);
	WAIT_FOR(shown("clients") == 0);
	/* Nobody listens, and it is held. */
	deliver("news", 5);
	WAIT_FOR(shown("events") == 5);
	fd = open_stream("Last-Event-ID: 00000000000000010000000000000003-0000000000000007\r\n");
	expect_stream(fd);
	expect_event(fd, 4);
	expect_event(fd, 5);
	other = open_stream("Last-Event-ID: 00000000000000010000000000000002-0000000000000007\r\n");
	expect_stream(other);
	hear_event(other);
	assert_memory_equal(event, "event: gap\n", 11);
	close(other);
	other = open_stream("Last-Event-ID: 41\r\n");
	expect_stream(other);
	hear_event(other);
	assert_memory_equal(event, "event: gap\n", 11);
	deliver("news", 6);
	expect_event(fd, 6);
	expect_event(other, 6);
	assert_int_equal(shown("resumed"), 1);
	assert_int_equal(shown("gaps"), 2);
	close(fd);
	close(other);
}

static void
test_what_is_held_for_nobody_is_let_go(void **state)
{
	int fd;

	start("listeners", HTTP ", replay_ms: 0");
	fd = open_stream("");
	join_news();
	expect_stream(fd);
	assert_int_equal(shown("subscriptions"), 2);
	close(fd);
	WAIT_FOR(shown("subscriptions") == 0);
	WAIT_FOR(hooks.leaves == 1);
}

/* @return it has come among what there is to read */
static bool
reads_gap(int fd)
{
	static char text[1 << 16];
	static size_t len;
	ssize_t n;

	/* It may lie across two readings. */
	memmove(text, text + len - RTE_MIN(len, (size_t)16), RTE_MIN(len, (size_t)16));
	len = RTE_MIN(len, (size_t)16);
	n = recv(fd, text + len, sizeof(text) - len, MSG_DONTWAIT);
	len += n > 0 ? (size_t)n : 0;
	return memmem(text, len, "event: gap\n", 11) != NULL;
}

static void
test_who_does_not_read_is_told_of_the_gap(void **state)
{
	static char big[1300];
	uint64_t n = 0;
	int slow;

	start("listeners", HTTP ", output_max: 4096, replay: 0");
	slow = open_stream("");
	join_news();
	expect_stream(slow);
	memset(big, '"', sizeof(big));
	while (reasons("output_full") < 5) {
		for (int i = 0; i < 20; i++)
			path_deliver_bytes("news", 0, ++n, big, sizeof(big), false);
		pump();
		assert_true(n < 20000);
	}
	while (!reads_gap(slow)) {
		path_deliver_bytes("news", 0, ++n, ".", 1, false);
		pump();
		assert_true(n < 40000);
	}
	close(slow);
}

/* Who may. */

static int
report(void *arg, bool *is_ready, char **health, char **metrics)
{
	*is_ready = hooks.opens > 0;
	*health = strdup(*is_ready ? "{\"status\":\"ok\"}" : "{\"status\":\"not ready\"}");
	*metrics = strdup("{}");
	return 0;
}

static void
test_tokens_and_origins(void **state)
{
	char path_name[] = "/tmp/test-http-tokens-XXXXXX", keys[256];
	int fd, file = mkstemp(path_name);

	assert_int_equal(write(file, "s3cret ann\n", 11), 11);
	close(file);
	snprintf(
		keys, sizeof(keys), HTTP ", tokens: %s, origins: ['https://a.example']", path_name);
	start("listeners", keys);
	fd = dial();
	post(fd, AT("loose"), "", "no");
	assert_int_equal(hear(fd), 401);
	assert_non_null(strstr(got.head, "WWW-Authenticate: Bearer"));
	post(fd, AT("loose"), "Authorization: Bearer s3cre\r\n", "no");
	assert_int_equal(hear(fd), 401);
	post(fd, AT("loose"), "Authorization: Bearer s3cret\r\n", "yes");
	assert_int_equal(hear(fd), 202);
	assert_null(strstr(got.head, "Access-Control"));
	WAIT_FOR(path.nb_messages == 1);
	assert_int_equal(path.messages[0].source, sl_wire_name_key("ann"));
	post(fd, AT("loose") "?access_token=s3cret", "Origin: https://a.example\r\n", "yes");
	assert_int_equal(hear(fd), 202);
	assert_non_null(strstr(got.head, "Access-Control-Allow-Origin: https://a.example\r\n"));
	post(fd, AT("loose") "?access_token=s3cret", "Origin: https://b.example\r\n", "no");
	assert_int_equal(hear(fd), 403);
	tell(fd,
		"OPTIONS " AT("loose") " HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n"
				       "Access-Control-Request-Method: POST\r\n\r\n");
	assert_int_equal(hear(fd), 204);
	assert_non_null(strstr(got.head, "Access-Control-Allow-Headers: Authorization"));
	WAIT_FOR(path.nb_messages == 2);
	close(fd);
	unlink(path_name);
}

static void
test_health_and_metrics(void **state)
{
	int fd;

	test_report = report;
	start("listeners", HTTP);
	fd = dial();
	tell(fd,
		"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
		"GET /api/metrics HTTP/1.1\r\nHost: x\r\n\r\n"
		"HEAD /health HTTP/1.0\r\n\r\n");
	assert_int_equal(hear(fd), 503);
	assert_string_equal(got.body, "{\"status\":\"not ready\"}");
	assert_int_equal(hear(fd), 200);
	assert_string_equal(got.body, "{}");
	hear_until(fd, "\r\n\r\n", got.head, sizeof(got.head));
	assert_non_null(strstr(got.head, "Content-Length: 22\r\n"));
	assert_true(has_ended(fd));
	close(fd);
	test_report = NULL;
}

static void
test_half_a_request_does_not_stay(void **state)
{
	int fd;

	start("listeners", HTTP);
	fd = dial();
	tell(fd, "POST " AT("loose") " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhal");
	settle_for(20);
	shutdown(fd, SHUT_WR);
	assert_true(has_ended(fd));
	assert_int_equal(path.nb_messages, 0);
	close(fd);
	WAIT_FOR(shown("clients") == 0);
	assert_int_equal(reasons("reset"), 1);
}

static void
test_the_end_behind_a_whole_request_is_no_reset(void **state)
{
	int fd;

	start("listeners", HTTP);
	for (uint32_t i = 0; i < 2; i++) {
		fd = dial();
		post(fd, AT("sure"), i == 0 ? "" : NDJSON,
			i == 0 ? "one" : "{\"payload\":{}}\n{\"payload\":{}}");
		shutdown(fd, SHUT_WR);
		WAIT_FOR(path.nb_messages == 1 + 2 * i);
		settle_for(20);
		path_ack(path.messages[0].session, 1 + 2 * i, 64);
		assert_int_equal(hear(fd), 202);
		close(fd);
	}
	WAIT_FOR(shown("clients") == 0);
	assert_int_equal(reasons("reset"), 0);
}

static int
create(void **state)
{
	test_protocol = &gw_http;
	return path_create(state);
}

#define TEST(name) cmocka_unit_test_teardown(name, stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_message_is_accepted_with_its_fields),
		TEST(test_the_answer_comes_when_it_is_durable),
		TEST(test_each_line_has_an_outcome),
		TEST(test_more_lines_than_an_answer_holds_are_skipped_and_said),
		TEST(test_a_chunked_body_a_byte_at_a_time),
		TEST(test_a_path_that_takes_no_more_is_429),
		TEST(test_a_client_over_its_rate_is_429),
		TEST(test_what_is_refused_leaves_the_connection),
		TEST(test_what_cannot_be_read_ends_the_connection),
		TEST(test_expect_100_continue),
		TEST(test_pipelined_requests_are_answered_in_order),
		TEST(test_a_stream_is_resumed_behind_its_last_event),
		TEST(test_what_is_held_for_nobody_is_let_go),
		TEST(test_who_does_not_read_is_told_of_the_gap),
		TEST(test_tokens_and_origins),
		TEST(test_health_and_metrics),
		TEST(test_half_a_request_does_not_stay),
		TEST(test_the_end_behind_a_whole_request_is_no_reset),
	};

	return cmocka_run_group_tests(tests, create, NULL);
}
