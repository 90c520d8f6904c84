/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Clients of gateways: who comes in, who has to go, and servers connected to. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "ingress_path.h"

#define LINE ", protocol: line"

/* What comes in. */

static void
test_a_line_in_pieces_is_one(void **state)
{
	int fd;

	start("listeners", LINE);
	fd = dial();
	tell(fd, "P lo");
	settle_for(5);
	tell(fd, "ose he");
	settle_for(5);
	tell(fd, "llo\nP loose agai");
	HEAR(fd, "ok");
	tell(fd, "n\n");
	HEAR(fd, "ok");
	WAIT_FOR(path.nb_messages == 2);
	assert_string_equal(path.messages[0].payload, "hello");
	assert_string_equal(path.messages[1].payload, "again");
	close(fd);
}

static void
test_garbage_costs_only_itself(void **state)
{
	int fd;

	start("listeners", LINE);
	fd = dial();
	tell(fd, "\x01\xff garbage\nP loose a\nP nodest\n");
	HEAR(fd, "bad");
	HEAR(fd, "ok");
	HEAR(fd, "bad");
	assert_int_equal(reasons("bad_input"), 2);
	tell(fd, "P nowhere a\n");
	HEAR(fd, "refused no_destination");
	assert_int_equal(reasons("no_destination"), 1);
	close(fd);
}

static void
test_input_that_never_ends_is_bounded(void **state)
{
	static char lots[65536];
	uint64_t sent = 0;
	int fd, other;

	start("listeners", LINE ", input_max: 4096");
	fd = dial();
	other = dial();
	fcntl(fd, F_SETFL, O_NONBLOCK);
	memset(lots, 'x', sizeof(lots));
	while (reasons("too_long") == 0) {
		ssize_t n = send(fd, lots, sizeof(lots), MSG_NOSIGNAL);

		sent += n > 0 ? (uint64_t)n : 0;
		pump();
		assert_true(sent < (64u << 20));
	}
	WAIT_FOR(nb_closed == 1);
	assert_in_range(max_input, 4096, 4096 + 2 * GW_READ_MAX);
	tell(other, "P loose a\n");
	HEAR(other, "ok");
	WAIT_FOR(of_thread("buffered_bytes") == 0);
	close(fd);
	close(other);
}

/* What goes out. */

static void
test_who_does_not_read_loses_what_does_not_fit(void **state)
{
	static char big[1200];
	uint32_t n = 0;
	int slow, quick;

	start("listeners", LINE ", output_max: 65536");
	slow = dial();
	quick = dial();
	tell(slow, "S news\n");
	HEAR(slow, "subscribed");
	tell(quick, "S news\n");
	HEAR(quick, "subscribed");
	memset(big, 'z', sizeof(big));
	while (reasons("output_full") < 10) {
		path_deliver_bytes("news", 0, 0, big, sizeof(big), false);
		assert_int_equal(strlen(hear_line(quick)), 5 + sizeof(big));
		assert_true(++n < 20000);
	}
	/* What the quick one has read is not waiting: it is counted a moment later. */
	turn_over();
	assert_in_range(of_thread("buffered_bytes"), 1, 65536);
	close(slow);
	close(quick);
	WAIT_FOR(of_thread("buffered_bytes") == 0);
}

static void
test_a_large_chunk_is_shared(void **state)
{
	static char big[1400];
	char line[16];
	int fds[3];

	start("listeners", LINE);
	for (int i = 0; i < 3; i++) {
		fds[i] = dial();
		tell(fds[i], "S news\n");
		HEAR(fds[i], "subscribed");
	}
	memset(big, 'z', sizeof(big));
	is_padded = true;
	path_deliver_bytes("news", 0, 0, big, sizeof(big), false);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(strlen(hear_line(fds[i])), 5 + sizeof(big));
		for (uint32_t left = GW_CHUNK_SHARED; left > 0;) {
			ssize_t n = recv(fds[i], line, RTE_MIN(left, sizeof(line)), 0);

			assert_true(n > 0);
			left -= (uint32_t)n;
		}
	}
	is_padded = false;
	close(fds[0]);
	close(fds[1]);
	close(fds[2]);
}

static void
test_what_was_said_is_sent_before_the_end(void **state)
{
	char bytes[4096];
	uint64_t got = 0;
	ssize_t n;
	int fd;

	start("listeners", LINE);
	fd = dial();
	tell(fd, "B 500000\nQ\nP loose not-heard\n");
	for (;;) {
		pump();
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n == 0)
			break;
		assert_true(n > 0 || errno == EAGAIN);
		got += n > 0 ? (uint64_t)n : 0;
	}
	assert_int_equal(got, 500000 + 4);
	close(fd);
	WAIT_FOR(nb_closed == 1);
	assert_int_equal(path.nb_messages, 0);
}

/* Over a link that takes longer for it than who does not read is given. */
static void
test_what_flows_when_it_ends_is_sent_whole(void **state)
{
	static char bytes[65536];
	const uint64_t all = 24000000;
	const int small = 65536;
	uint64_t got = 0;
	ssize_t n;
	int fd;

	start("listeners", LINE ", output_max: 64M");
	fd = dial();
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	tell(fd, "B 24000000\nQ\n");
	do {
		settle_for(10);
		n = recv(fd, bytes, sizeof(bytes), 0);
		assert_true(n >= 0);
		got += (uint64_t)n;
	} while (n > 0);
	assert_int_equal(got, all + 4);
	close(fd);
	WAIT_FOR(nb_closed == 1);
}

static void *
stop_ingress(void *arg)
{
	sl_ingress_stop(ingress);
	return arg;
}

/* What a client says meanwhile is not heard, and costs it nothing of what was said to it. */
static void
test_all_are_sent_what_waits_before_the_appliance_ends(void **state)
{
	char bytes[65536];
	uint64_t got = 0;
	pthread_t thread;
	int fd, idle;
	ssize_t n;

	start("listeners", LINE);
	idle = dial();
	fd = dial();
	tell(fd, "B 3000000\n");
	WAIT_FOR(shown("bytes_in") == 10);
	sl_ingress_drain(ingress);
	turn_over();
	tell(fd, "P loose not-heard\n");
	assert_int_equal(pthread_create(&thread, NULL, stop_ingress, NULL), 0);
	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		got += (uint64_t)n;
	assert_int_equal(n, 0);
	assert_int_equal(got, 3000000);
	assert_int_equal(recv(idle, bytes, sizeof(bytes), 0), 0);
	pthread_join(thread, NULL);
	pump();
	assert_int_equal(path.nb_messages, 0);
	close(fd);
	close(idle);
}

static void
test_one_that_does_not_read_its_end_is_closed_all_the_same(void **state)
{
	int fd;

	start("listeners", LINE);
	fd = dial();
	tell(fd, "B 4000000\nQ\n");
	WAIT_FOR(nb_closed == 1);
	close(fd);
}

/* Ends. */

static void
test_a_last_word_is_answered(void **state)
{
	int fd;

	start("listeners", LINE);
	fd = dial();
	tell(fd, "P sure a\n");
	shutdown(fd, SHUT_WR);
	HEAR(fd, "pending");
	WAIT_FOR(path.nb_messages == 1);
	settle_for(20);
	path_ack(path.messages[0].session, 1, 64);
	HEAR(fd, "durable 0");
	HEAR(fd, "(end)");
	WAIT_FOR(nb_closed == 1);
	assert_int_equal(reasons("reset"), 0);
	close(fd);
}

static void
test_half_open_subscribers_are_kept_where_they_are_to_be(void **state)
{
	int fd;

	words.keeps_half_open = true;
	start("listeners", LINE);
	fd = dial();
	tell(fd, "S news\n");
	HEAR(fd, "subscribed");
	shutdown(fd, SHUT_WR);
	settle_for(20);
	path_deliver("news", 0, 0, "one");
	HEAR(fd, "news one");
	close(fd);
	/* It is seen to have gone when it is spoken to. */
	WAIT_FOR((path_deliver("news", 0, 0, "two"), nb_closed == 1));
	words.keeps_half_open = false;
	sl_ingress_destroy(ingress);
	ingress = NULL;
}

static void
test_a_reset_in_the_middle_is_counted(void **state)
{
	const struct linger at_once = {.l_onoff = 1};
	int fd;

	start("listeners", LINE);
	fd = dial();
	tell(fd, "P loose hal");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	settle_for(5);
	close(fd);
	WAIT_FOR(nb_closed == 1);
	assert_int_equal(reasons("reset"), 1);
	/* It is told first. */
	turn_over();
	assert_int_equal(of_thread("buffered_bytes"), 0);
	assert_int_equal(shown("clients"), 0);
}

static void
test_the_silent_are_closed_and_subscribers_are_not(void **state)
{
	struct sl_config *other;
	int silent, subscriber;

	/* Who is to subscribe has time to. */
	start("listeners", LINE ", idle_ms: 0");
	subscriber = dial();
	tell(subscriber, "S news\n");
	HEAR(subscriber, "subscribed");
	silent = dial();
	other = make_config(
		"listeners", ", address: 127.0.0.1, protocol: line, idle_ms: 1000", DESTINATIONS);
	sl_ingress_apply(ingress, other);
	sl_config_free(other);
	/* It came last: the other one has been silent for longer. */
	WAIT_FOR(reasons("idle") == 1);
	HEAR(silent, "(end)");
	path_deliver("news", 0, 0, "one");
	HEAR(subscriber, "news one");
	assert_int_equal(reasons("idle"), 1);
	close(silent);
	close(subscriber);
}

/* Who comes in. */

static void
test_no_more_clients_than_are_allowed(void **state)
{
	int a, b, c;

	start("listeners", LINE ", clients_max: 2");
	a = dial();
	b = dial();
	tell(a, "P loose a\n");
	HEAR(a, "ok");
	tell(b, "P loose a\n");
	HEAR(b, "ok");
	c = dial();
	HEAR(c, "(end)");
	assert_int_equal(reasons("too_many_clients"), 1);
	close(a);
	WAIT_FOR(nb_closed == 1);
	close(c);
	c = dial();
	tell(c, "P loose a\n");
	HEAR(c, "ok");
	close(b);
	close(c);
}

static void
test_no_more_clients_of_an_address_than_are_allowed(void **state)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 8)};
	int a, b, c;

	start("listeners", LINE ", clients_per_address_max: 1");
	a = dial();
	tell(a, "P loose a\n");
	HEAR(a, "ok");
	b = dial();
	HEAR(b, "(end)");
	/* From another one. */
	c = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(c, (struct sockaddr *)&at, sizeof(at)), 0);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	at.sin_port = htons(test_port);
	assert_int_equal(connect(c, (struct sockaddr *)&at, sizeof(at)), 0);
	tell(c, "P loose a\n");
	HEAR(c, "ok");
	close(a);
	close(b);
	close(c);
}

static void
test_more_than_a_rate_is_refused_or_waits(void **state)
{
	char lines[20 * 10 + 1] = "";
	uint32_t refused = 0;
	uint64_t began;
	int fd;

	start("listeners", LINE ", rate_msgs_per_s: 50");
	fd = dial();
	for (int i = 0; i < 20; i++)
		strcat(lines, "P loose a\n");
	/* Of one turn: no time goes by between them. */
	tell(fd, lines);
	for (int i = 0; i < 20; i++)
		refused += strcmp(hear_line(fd), "refused over_rate") == 0;
	assert_int_equal(refused, 15);
	assert_int_equal(reasons("over_rate"), refused);
	words.is_rate_paced = true;
	began = now_ms();
	tell(fd, lines);
	for (int i = 0; i < 20; i++)
		HEAR(fd, "ok");
	words.is_rate_paced = false;
	/* Five at once, the others at their time. */
	assert_true(now_ms() - began >= 280);
	close(fd);
}

static void
test_without_files_clients_wait(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct rlimit before, none;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	uint64_t began, tries;

	start("listeners", LINE);
	at.sin_port = htons(test_port);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3;
	began = now_ms();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	tell(fd, "P loose a\n");
	WAIT_FOR(reasons("too_many_clients") > 0);
	settle_for(50);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	/* It is tried ten times a second. */
	tries = reasons("too_many_clients");
	assert_in_range(tries, 1, 2 + (now_ms() - began) / 100);
	HEAR(fd, "ok");
	close(fd);
}

static void
test_a_limit_changes_while_it_runs(void **state)
{
	struct sl_config *other;
	int fd;

	start("listeners", LINE);
	other = make_config(
		"listeners", ", address: 127.0.0.1, protocol: line, clients_max: 1", DESTINATIONS);
	fd = dial();
	tell(fd, "P loose a\n");
	HEAR(fd, "ok");
	sl_ingress_apply(ingress, other);
	turn_over();
	HEAR(dial(), "(end)");
	tell(fd, "P loose a\n");
	HEAR(fd, "ok");
	sl_config_free(other);
	close(fd);
}

static void
test_a_port_that_is_taken_is_said(void **state)
{
	struct sl_ingress *second = NULL;
	struct sl_ingress_params params = {0};
	char error[512];

	start("listeners", LINE);
	params.base = base;
	params.config = config;
	assert_int_equal(sl_ingress_create(&params, &second, error, sizeof(error)), -EADDRINUSE);
	assert_non_null(strstr(error, "another program"));
}

/* Connectors. */

static int
listen_at(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static const char *
server_state(const char *key)
{
	static char text[128];
	json_t *all = sl_ingress_show(ingress);
	json_t *connector = json_array_get(json_object_get(all, "connectors"), 0);
	json_t *server = json_array_get(json_object_get(connector, "servers"), 0);

	snprintf(text, sizeof(text), "%s", json_string_value(json_object_get(server, key)));
	json_decref(all);
	return text;
}

static int
accept_one(int server)
{
	int fd = -1;

	WAIT_FOR((fd = accept(server, NULL, NULL)) >= 0);
	return fd;
}

static void
test_a_connector_comes_back(void **state)
{
	uint16_t port = free_port();
	char keys[128];
	int server, fd;

	snprintf(keys, sizeof(keys), ", servers: ['127.0.0.1:%u', 'localhost:%u']", port, port);
	start("connectors", keys);
	WAIT_FOR(strcmp(server_state("state"), "backoff") == 0);
	assert_string_equal(server_state("last_error"), "Connection refused");
	server = listen_at(port);
	fd = accept_one(server);
	HEAR(fd, "hello");
	tell(fd, "P loose a\n");
	HEAR(fd, "ok");
	close(accept_one(server));
	close(fd);
	/* Half a second later, both. */
	fd = accept_one(server);
	HEAR(fd, "hello");
	close(accept_one(server));
	close(fd);
	close(server);
}

#define TEST(name) cmocka_unit_test_teardown(name, stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_line_in_pieces_is_one),
		TEST(test_garbage_costs_only_itself),
		TEST(test_input_that_never_ends_is_bounded),
		TEST(test_who_does_not_read_loses_what_does_not_fit),
		TEST(test_a_large_chunk_is_shared),
		TEST(test_what_was_said_is_sent_before_the_end),
		TEST(test_what_flows_when_it_ends_is_sent_whole),
		TEST(test_all_are_sent_what_waits_before_the_appliance_ends),
		TEST(test_one_that_does_not_read_its_end_is_closed_all_the_same),
		TEST(test_a_last_word_is_answered),
		TEST(test_half_open_subscribers_are_kept_where_they_are_to_be),
		TEST(test_a_reset_in_the_middle_is_counted),
		TEST(test_the_silent_are_closed_and_subscribers_are_not),
		TEST(test_no_more_clients_than_are_allowed),
		TEST(test_no_more_clients_of_an_address_than_are_allowed),
		TEST(test_more_than_a_rate_is_refused_or_waits),
		TEST(test_without_files_clients_wait),
		TEST(test_a_limit_changes_while_it_runs),
		TEST(test_a_port_that_is_taken_is_said),
		TEST(test_a_connector_comes_back),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, path_create, NULL);
}
