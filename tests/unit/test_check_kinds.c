/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "test_check.h"

/* Each kind of check against servers that do it right, and wrong in every way. */

#define CONFIG(text) ((char *)(uintptr_t)(text))

static void
assert_reason(const struct world *world, uint32_t backend, const char *words)
{
	struct sl_check_status status;

	assert_true(sl_checks_get(world->checks, 0, backend, &status));
	if (strstr(status.reason, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", status.reason, words);
}

/* Until it says @p words of its failure. */
static void
assert_comes_to_say(struct world *world, uint32_t backend, const char *words)
{
	struct sl_check_status status = {.reason = ""};

	for (unsigned int i = 0; i < 1000 && strstr(status.reason, words) == NULL; i++) {
		world_run(world, 5);
		assert_true(sl_checks_get(world->checks, 0, backend, &status));
	}
	assert_reason(world, backend, words);
}

static void
assert_becomes(struct world *world, enum sl_health_state state)
{
	struct sl_check_status status;

	if (world_wait(world, 0, state) != UINT64_MAX)
		return;
	assert_true(sl_checks_get(world->checks, 0, 0, &status));
	fail_msg("%s, not %s: %s", status.state_name, sl_health_state_name(state), status.reason);
}

/* A world with one server, which says @p says. */
static void
open_stream(struct world *world, struct server *server, enum sl_config_check_kind kind,
	const char *says)
{
	memset(server, 0, sizeof(*server));
	world_init(world, kind, 1);
	server->says = says;
	server_open(server, world->base, kind == SL_CHECK_UDP ? SOCK_DGRAM : SOCK_STREAM, 0);
	world->backends[0].port = server->port;
}

/* Who answers is not said to be late because this machine stood still. */
static void
be_patient(struct world *world, const char *reason)
{
	if (reason == NULL || strstr(reason, "timeout") == NULL)
		world->destination.health.timeout_ms = 10000;
}

static void
test_tcp_connects_and_is_refused(void **state)
{
	struct server server;
	struct world world;
	uint16_t port;

	(void)state;
	open_stream(&world, &server, SL_CHECK_TCP, NULL);
	world_start(&world);
	assert_becomes(&world, SL_HEALTH_UP);
	assert_int_equal(world.shares[0], SL_HEALTH_SHARE_ONE);
	port = server.port;
	server_close(&server);
	assert_becomes(&world, SL_HEALTH_DOWN);
	assert_int_equal(world.shares[0], 0);
	assert_reason(&world, 0, "connection refused");
	world_run(&world, 300);
	assert_int_equal(world_count(&world, "backend_failing"), 1);
	memset(&server, 0, sizeof(server));
	server_open(&server, world.base, SOCK_STREAM, port);
	assert_becomes(&world, SL_HEALTH_UP);
	assert_int_equal(world_count(&world, "backend_recovered"), 1);
	server_close(&server);
	world_end(&world);
}

/* What a TCP server does, and what is said of it. */
static const struct {
	const char *says;
	const char *expect;
	uint32_t after_ms;
	bool resets;
	const char *reason; /* NULL: it is healthy. */
} tcp_cases[] = {
	{"+PONG\r\n", "+PONG", 0, false, NULL},
	{"-ERR\r\n", "+PONG", 0, false, "does not begin with what is expected"},
	{"+PO", "+PONG", 0, false, "connection closed after 3 of 5 expected bytes"},
	{NULL, "+PONG", 0, false, "timeout after 150 ms waiting for the expected answer"},
	{"+PONG\r\n", "+PONG", 400, false, "timeout after 150 ms"},
	{NULL, "+PONG", 0, true, "connection reset"},
};

static void
test_tcp_expects_an_answer(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sizeof(tcp_cases) / sizeof(tcp_cases[0]); i++) {
		struct server server;
		struct world world;

		open_stream(&world, &server, SL_CHECK_TCP, tcp_cases[i].says);
		server.after_ms = tcp_cases[i].after_ms;
		server.resets = tcp_cases[i].resets;
		world.check.send = CONFIG("PING\r\n");
		world.check.expect = CONFIG(tcp_cases[i].expect);
		be_patient(&world, tcp_cases[i].reason);
		world_start(&world);
		if (tcp_cases[i].reason == NULL) {
			assert_becomes(&world, SL_HEALTH_UP);
			assert_string_equal(server.request, "PING\r\n");
		} else {
			assert_becomes(&world, SL_HEALTH_DOWN);
			assert_reason(&world, 0, tcp_cases[i].reason);
			world_run(&world, 200);
			assert_int_equal(world_state(&world, 0), SL_HEALTH_DOWN);
		}
		server_close(&server);
		world_end(&world);
	}
}

static void
test_udp_asks_and_hears(void **state)
{
	static const struct {
		const char *says;
		const char *reason;
	} cases[] = {
		{"pong 1", NULL},
		{"gnop", "does not begin with what is expected"},
		{"p", "does not begin with what is expected"},
		{NULL, "timeout after 150 ms without an answer"},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct server server;
		struct world world;

		open_stream(&world, &server, SL_CHECK_UDP, cases[i].says);
		world.check.send = CONFIG("ping");
		world.check.expect = CONFIG("pong");
		world_start(&world);
		assert_becomes(&world, cases[i].reason == NULL ? SL_HEALTH_UP : SL_HEALTH_DOWN);
		assert_string_equal(server.request, "ping");
		if (cases[i].reason != NULL)
			assert_reason(&world, 0, cases[i].reason);
		server_close(&server);
		if (cases[i].reason == NULL) {
			assert_becomes(&world, SL_HEALTH_DOWN);
			assert_reason(&world, 0, "connection refused");
		}
		world_end(&world);
	}
}

#define OK_HEADER "HTTP/1.1 200 OK\r\nServer: x\r\n"

static const struct {
	const char *says;
	const char *body; /* What it has to contain. */
	uint32_t piece;
	bool for_ever;
	const char *reason; /* NULL: it is healthy. */
} http_cases[] = {
	{OK_HEADER "\r\n", NULL, 0, false, NULL},
	{OK_HEADER "\r\n", NULL, 7, false, NULL},
	{"HTTP/1.0 302 Found\r\n\r\n", NULL, 0, false, NULL},
	{"HTTP/1.1 100 Continue\r\n\r\n" OK_HEADER "\r\n", NULL, 0, false, NULL},
	{"HTTP/1.1 503 Busy\r\n\r\n", NULL, 0, false, "status 503, wanted 200-399"},
	{"HTTP/1.1 2x0 OK\r\n\r\n", NULL, 0, false, "no HTTP answer"},
	{"SSH-2.0-OpenSSH_9.2\r\n", NULL, 0, false, "no HTTP answer"},
	{"x", NULL, 0, true, "no HTTP answer"},
	{OK_HEADER, NULL, 0, true, "its header does not end within 16384 bytes"},
	{OK_HEADER, NULL, 0, false, "connection closed before the end of the header"},
	{NULL, NULL, 0, false, "timeout after 150 ms waiting for the end of the header"},
	{OK_HEADER "\r\nall is well", "is well", 0, false, NULL},
	{OK_HEADER "\r\nall is well", "is well", 3, false, NULL},
	{OK_HEADER "Content-Length: 11\r\n\r\nall is well", "is well", 0, false, NULL},
	{OK_HEADER "Content-Length: 5\r\n\r\nall is well", "is well", 0, false,
		"body (5 bytes looked at) does not contain"},
	{OK_HEADER "\r\nall is lost", "is well", 0, false,
		"status 200, but the body (11 bytes looked at) does not contain \"is well\""},
	{OK_HEADER "Transfer-Encoding: chunked\r\n\r\n6\r\nall is\r\n5;a=b\r\n well\r\n0\r\n\r\n",
		"is well", 0, false, NULL},
	{OK_HEADER "Transfer-Encoding: chunked\r\n\r\n6\r\nall is\r\n5\r\n well\r\n0\r\n\r\n",
		"is well", 2, false, NULL},
	{OK_HEADER "Transfer-Encoding: chunked\r\n\r\n6\r\nall is\r\n0\r\n\r\n", "is well", 0,
		false, "does not contain"},
	{OK_HEADER "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "is well", 0, false,
		"a chunk has no size"},
	{OK_HEADER "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n", "is well", 0,
		false, "a chunk has no size"},
};

static void
test_http_judges_status_and_body(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sizeof(http_cases) / sizeof(http_cases[0]); i++) {
		struct server server;
		struct world world;

		open_stream(&world, &server, SL_CHECK_HTTP, http_cases[i].says);
		server.piece = http_cases[i].piece;
		server.for_ever = http_cases[i].for_ever;
		be_patient(&world, http_cases[i].reason);
		world.check.body = CONFIG(http_cases[i].body);
		world_start(&world);
		if (http_cases[i].reason == NULL) {
			assert_becomes(&world, SL_HEALTH_UP);
		} else {
			assert_becomes(&world, SL_HEALTH_DOWN);
			assert_reason(&world, 0, http_cases[i].reason);
		}
		server_close(&server);
		world_end(&world);
	}
}

static void
test_http_reads_at_most_64_kib_of_a_body(void **state)
{
	static char answer[200000];
	struct server server;
	struct world world;

	(void)state;
	memset(answer, 'y', sizeof(answer));
	memcpy(answer, OK_HEADER "\r\n", strlen(OK_HEADER "\r\n"));
	memcpy(answer + 150000, "is well", 7);
	open_stream(&world, &server, SL_CHECK_HTTP, answer);
	server.says_len = sizeof(answer);
	world.check.body = CONFIG("is well");
	be_patient(&world, NULL);
	world_start(&world);
	assert_becomes(&world, SL_HEALTH_DOWN);
	assert_reason(&world, 0, "65536 bytes looked at");
	server_close(&server);
	world_end(&world);
}

static void
test_http_asks_as_configured(void **state)
{
	struct server server;
	struct world world;
	char host[64];

	(void)state;
	open_stream(&world, &server, SL_CHECK_HTTP, OK_HEADER "\r\n");
	world.check.path = CONFIG("/healthz?full=1");
	world.check.host = CONFIG("kitchen.example");
	/* The check's own address and port, not the backend's. */
	world.check.address = world.backends[0].address;
	world.check.port = server.port;
	world.backends[0].port = 9;
	world.backends[0].address = sl_ip_from_v4(htonl(0xc0000201));
	world_start(&world);
	assert_becomes(&world, SL_HEALTH_UP);
	assert_non_null(strstr(server.request, "GET /healthz?full=1 HTTP/1.1\r\n"));
	assert_non_null(strstr(server.request, "\r\nHost: kitchen.example\r\n"));
	assert_non_null(strstr(server.request, "\r\nConnection: close\r\n\r\n"));
	world.check.host = NULL;
	assert_int_equal(sl_checks_configure(world.checks, &world.config), 0);
	snprintf(host, sizeof(host), "\r\nHost: 127.0.0.1:%u\r\n", server.port);
	for (unsigned int i = 0; strstr(server.request, host) == NULL; i++) {
		assert_true(i < 1000);
		world_run(&world, 10);
	}
	server_close(&server);
	world_end(&world);
}

/* Up and down in turn, but never often enough in a row. */
static void
test_flapping_is_suspect_and_never_down(void **state)
{
	struct server server;
	struct world world;
	unsigned int begin;

	(void)state;
	open_stream(&world, &server, SL_CHECK_HTTP, OK_HEADER "\r\n");
	be_patient(&world, NULL);
	world_start(&world);
	assert_becomes(&world, SL_HEALTH_UP);
	world.nb_heard = 0;
	server.says_mostly = "HTTP/1.1 500 x\r\n\r\n";
	for (begin = server.nb_clients; server.nb_clients < begin + 20; world_run(&world, 1)) {
		assert_int_not_equal(world_state(&world, 0), SL_HEALTH_DOWN);
		assert_int_equal(world.shares[0], SL_HEALTH_SHARE_ONE);
	}
	assert_true(world_count(&world, "backend_state") > 2);
	assert_int_equal(world_count(&world, "backend_failing"), 0);
	server_close(&server);
	world_end(&world);
}

static void
test_exec_tells_how_the_command_ended(void **state)
{
	static const struct {
		const char *script;
		const char *reason;
	} cases[] = {
		{"[ $SLUICE_DESTINATION/$SLUICE_BACKEND = table1/b0 ] && [ $SLUICE_NODE = test ] &&"
		 " [ $SLUICE_ADDRESS:$SLUICE_PORT = 127.0.0.1:9 ]",
			NULL},
		{"echo no kitchen; echo at all; exit 3", "exit code 3: no kitchen"},
		{"printf 'a\\033[31mb'; exit 1", "exit code 1: a?[31mb"},
		{"kill -9 $$", "killed by signal 9"},
		{"sleep 20", "timeout after 700 ms for the command to end"},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *argv[] = {CONFIG("/bin/sh"), CONFIG("-c"), CONFIG(cases[i].script), NULL};
		struct world world;

		world_init(&world, SL_CHECK_EXEC, 1);
		world.check.argv = argv;
		world.check.nb_argv = 3;
		world.destination.health.timeout_ms = 700;
		be_patient(&world, cases[i].reason);
		world_start(&world);
		assert_becomes(&world, cases[i].reason == NULL ? SL_HEALTH_UP : SL_HEALTH_DOWN);
		if (cases[i].reason != NULL)
			assert_reason(&world, 0, cases[i].reason);
		sl_checks_destroy(world.checks);
		event_base_free(world.base);
	}
}

static void
test_exec_of_what_is_not_there_says_so(void **state)
{
	char *argv[] = {CONFIG("/nonexistent/check"), NULL};
	struct world world;

	(void)state;
	world_init(&world, SL_CHECK_EXEC, 1);
	world.check.argv = argv;
	world.check.nb_argv = 1;
	world_start(&world);
	assert_becomes(&world, SL_HEALTH_DOWN);
	assert_reason(&world, 0, "/nonexistent/check");
	sl_checks_destroy(world.checks);
	event_base_free(world.base);
}

/* Let the probe that went out last be answered. */
static bool
reply(struct world *world, uint64_t nonce)
{
	return sl_checks_probe_reply(
		world->checks, nonce, 7, 1234, world_now_ms() * 1000000 + 999999);
}

static void
run_until_sent(struct world *world, uint32_t count)
{
	for (unsigned int i = 0; i < 5000 && world->nb_sent < count; i++)
		world_run(world, 1);
	assert_true(world->nb_sent >= count);
}

static void
test_probe_brings_back_the_load(void **state)
{
	struct sl_check_status status;
	struct world world;

	(void)state;
	world_init(&world, SL_CHECK_PROBE, 1);
	world_start(&world);
	run_until_sent(&world, 1);
	assert_false(reply(&world, world.sent[0].nonce ^ 1u << 30));
	assert_false(reply(&world, 1));
	assert_false(reply(&world, UINT64_MAX));
	assert_true(reply(&world, world.sent[0].nonce));
	assert_int_equal(world_state(&world, 0), SL_HEALTH_UP);
	assert_false(reply(&world, world.sent[0].nonce));
	assert_true(sl_checks_get(world.checks, 0, 0, &status));
	assert_true(status.has_load);
	assert_int_equal(status.load_in_flight, 7);
	assert_int_equal(status.load_latency_ns, 1234);
	/* Nobody answers any more. */
	assert_becomes(&world, SL_HEALTH_DOWN);
	assert_reason(&world, 0, "timeout after 150 ms without an answer");
	world_end(&world);
}

static void
test_a_late_probe_reply_is_counted(void **state)
{
	struct sl_checks_stats stats;
	struct sl_check_status status;
	struct world world;

	(void)state;
	world_init(&world, SL_CHECK_PROBE, 1);
	world_start(&world);
	run_until_sent(&world, 1);
	assert_becomes(&world, SL_HEALTH_DOWN);
	assert_true(reply(&world, world.sent[0].nonce));
	assert_true(sl_checks_get(world.checks, 0, 0, &status));
	assert_int_equal(status.late, 1);
	assert_int_equal(status.successes, 0);
	assert_int_equal(status.state, SL_HEALTH_DOWN);
	/* After one more time-out nobody remembers it. */
	run_until_sent(&world, 2);
	world_run(&world, 500);
	assert_false(reply(&world, world.sent[1].nonce));
	sl_checks_get_stats(world.checks, &stats);
	assert_int_equal(stats.unmatched, 1);
	world_end(&world);
}

static void
test_a_probe_that_cannot_be_sent_is_tried_until_it_times_out(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, SL_CHECK_PROBE, 1);
	world.destination.health.timeout_ms = 3000;
	world.can_send = false;
	world_start(&world);
	world_run(&world, 300);
	assert_int_equal(world_state(&world, 0), SL_HEALTH_NEW);
	world.can_send = true;
	run_until_sent(&world, 1);
	assert_true(reply(&world, world.sent[0].nonce));
	assert_int_equal(world_state(&world, 0), SL_HEALTH_UP);
	world.can_send = false;
	assert_becomes(&world, SL_HEALTH_DOWN);
	assert_comes_to_say(&world, 0, "its port is down, or its neighbour does not answer");
	world_end(&world);
}

static void
test_icmp_wants_the_answer_of_the_backend_itself(void **state)
{
	const struct sl_ip other = sl_ip_from_v4(htonl(0x7f000002));
	struct world world;
	uint64_t word;

	(void)state;
	world_init(&world, SL_CHECK_ICMP, 1);
	world_start(&world);
	run_until_sent(&world, 1);
	word = world.sent[0].nonce;
	assert_false(
		sl_checks_echo_reply(world.checks, &other, (uint16_t)(word >> 16), (uint16_t)word));
	assert_false(sl_checks_echo_reply(world.checks, &world.backends[0].address,
		(uint16_t)(word >> 16) ^ 0x4000, (uint16_t)word));
	assert_true(sl_checks_echo_reply(
		world.checks, &world.backends[0].address, (uint16_t)(word >> 16), (uint16_t)word));
	assert_int_equal(world_state(&world, 0), SL_HEALTH_UP);
	assert_becomes(&world, SL_HEALTH_DOWN);
	world_end(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp_connects_and_is_refused),
		cmocka_unit_test(test_tcp_expects_an_answer),
		cmocka_unit_test(test_udp_asks_and_hears),
		cmocka_unit_test(test_http_judges_status_and_body),
		cmocka_unit_test(test_http_reads_at_most_64_kib_of_a_body),
		cmocka_unit_test(test_http_asks_as_configured),
		cmocka_unit_test(test_flapping_is_suspect_and_never_down),
		cmocka_unit_test(test_exec_tells_how_the_command_ended),
		cmocka_unit_test(test_exec_of_what_is_not_there_says_so),
		cmocka_unit_test(test_probe_brings_back_the_load),
		cmocka_unit_test(test_a_late_probe_reply_is_counted),
		cmocka_unit_test(test_a_probe_that_cannot_be_sent_is_tried_until_it_times_out),
		cmocka_unit_test(test_icmp_wants_the_answer_of_the_backend_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
