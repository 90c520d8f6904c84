/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sluice.h"

/* The library as its users see it: real sockets on the loopback interface, real threads. */

#define LONG_MS 20000 /* Nothing here takes so long. */

static _Atomic uint32_t nb_delivered;
static _Atomic uint32_t nb_done;
static _Atomic int last_result;

static void
count_delivery(void *arg, const struct sluice_delivery *d)
{
	nb_delivered++;
}

static void
count_done(void *arg, const struct sluice_id *id, int result)
{
	nb_done++;
	last_result = result;
}

static struct sluice_consumer *
open_consumer(const char *address, uint32_t flags, sluice_message_fn message)
{
	struct sluice_consumer_options options = {
		.listen = address, .flags = flags, .message = message};
	struct sluice_error error;
	struct sluice_consumer *con = sluice_consumer_open(&options, &error);

	if (con == NULL)
		fail_msg("%s", error.text);
	nb_delivered = 0;
	nb_done = 0;
	return con;
}

static struct sluice_publisher *
open_publisher(const char *appliances, uint32_t flags, uint32_t queue)
{
	struct sluice_publisher_options options = {.appliances = appliances,
		.source = "test",
		.flags = flags,
		.queue_messages = queue};
	struct sluice_error error;
	struct sluice_publisher *pub = sluice_publisher_open(&options, &error);

	if (pub == NULL)
		fail_msg("%s", error.text);
	return pub;
}

/* Bound, and silent. */
static int
open_silent(char address[SLUICE_ADDRESS_TEXT])
{
	struct sockaddr_in name = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = sizeof(name);

	assert_int_equal(bind(sock, (struct sockaddr *)&name, len), 0);
	assert_int_equal(getsockname(sock, (struct sockaddr *)&name, &len), 0);
	snprintf(address, SLUICE_ADDRESS_TEXT, "127.0.0.1:%u", ntohs(name.sin_port));
	return sock;
}

static const struct sluice_message hello = {.destination = "table1",
	.type = "breakfast",
	.payload = "eggs",
	.payload_len = 4};

static void
test_publish_and_receive(void **state)
{
	const char *addresses[] = {"127.0.0.1:0", "[::1]:0", "[::]:0"};

	for (uint32_t i = 0; i < 3; i++) {
		struct sluice_consumer *con = open_consumer(addresses[i], 0, NULL);
		const char *port = strrchr(sluice_consumer_address(con), ':');
		const struct sluice_delivery *d;
		struct sluice_publisher *pub;
		char to[SLUICE_ADDRESS_TEXT];

		/* To the one for any address, in the other family. */
		snprintf(to, sizeof(to), "127.0.0.1%s", port);
		pub = open_publisher(i == 2 ? to : sluice_consumer_address(con), 0, 0);
		assert_int_equal(sluice_publish_async(pub, &hello, 0, NULL, NULL), 0);
		assert_int_equal(sluice_consumer_receive(con, &d, LONG_MS), 0);
		assert_true(d->destination == sluice_name_key("table1"));
		assert_true(d->source == sluice_name_key("test"));
		assert_true(d->type == sluice_name_key("breakfast"));
		assert_true(d->payload_len == 4 && memcmp(d->payload, "eggs", 4) == 0);
		assert_true(d->session != 0 && d->sequence == 1);
		/* Not done: not durable. */
		assert_int_equal(sluice_publisher_flush(pub, 50), SLUICE_TIMEOUT);
		assert_int_equal(sluice_consumer_done(con, d), 0);
		assert_int_equal(sluice_publisher_flush(pub, LONG_MS), 0);
		assert_int_equal(sluice_consumer_receive(con, &d, 0), SLUICE_WOULD_BLOCK);
		assert_int_equal(sluice_consumer_receive(con, &d, 1), SLUICE_TIMEOUT);
		assert_int_equal(sluice_publisher_close(pub, 0), 0);
		assert_int_equal(sluice_consumer_close(con), 0);
	}
}

/* Also with a socket of the other family. */
static void
test_it_sends_from_where_it_is_bound(void **state)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct sluice_consumer *con = open_consumer("127.0.0.1:0", 0, NULL);
		struct sluice_publisher_options options = {.source = "test", .bind = "127.0.0.2"};
		char to[2 * SLUICE_ADDRESS_TEXT], text[SLUICE_ADDRESS_TEXT];
		const struct sluice_delivery *d;
		struct sluice_publisher *pub;

		snprintf(to, sizeof(to), "%s%s", sluice_consumer_address(con),
			i == 0 ? "" : ",[::1]:9");
		options.appliances = to;
		pub = sluice_publisher_open(&options, NULL);
		assert_non_null(pub);
		assert_int_equal(sluice_publish_async(pub, &hello, 0, NULL, NULL), 0);
		assert_int_equal(sluice_consumer_receive(con, &d, LONG_MS), 0);
		assert_non_null(strstr(sluice_address_text(&d->peer, text), "127.0.0.2:"));
		assert_int_equal(sluice_consumer_done(con, d), 0);
		assert_int_equal(sluice_publisher_close(pub, LONG_MS), 0);
		assert_int_equal(sluice_consumer_close(con), 0);
	}
}

#define THREADS		4
#define PER_THREAD_SYNC 20
#define PER_THREAD	2000

static void *
publish_some(void *arg)
{
	struct sluice_publisher *pub = arg;
	struct sluice_publisher_stats stats;

	for (uint32_t i = 0; i < PER_THREAD; i++) {
		if (sluice_publish_async(pub, &hello, SLUICE_FOREVER, count_done, NULL) != 0)
			return pub;
	}
	for (uint32_t i = 0; i < PER_THREAD_SYNC; i++) {
		if (sluice_publish(pub, &hello, LONG_MS) != 0)
			return pub;
		sluice_publisher_get_stats(pub, &stats);
	}
	return NULL;
}

static void
test_many_threads_publish(void **state)
{
	const uint32_t nb = THREADS * (PER_THREAD + PER_THREAD_SYNC);
	struct sluice_consumer *con = open_consumer("127.0.0.1:0", 0, count_delivery);
	struct sluice_publisher *pub = open_publisher(sluice_consumer_address(con), 0, 100);
	struct sluice_publisher_stats stats;
	pthread_t threads[THREADS];
	void *failed;

	for (uint32_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, publish_some, pub), 0);
	for (uint32_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(sluice_publisher_flush(pub, LONG_MS), 0);
	assert_int_equal(nb_done, THREADS * PER_THREAD);
	sluice_publisher_get_stats(pub, &stats);
	assert_int_equal(stats.durable, nb);
	assert_int_equal(stats.outstanding, 0);
	assert_int_equal(sluice_publisher_close(pub, 0), 0);
	assert_int_equal(nb_delivered, nb);
	assert_int_equal(sluice_consumer_close(con), 0);
}

struct receivers {
	struct sluice_consumer *con;
	_Atomic uint32_t left;
};

static void *
receive_some(void *arg)
{
	struct receivers *r = arg;
	const struct sluice_delivery *d;

	while (r->left != 0) {
		if (sluice_consumer_receive(r->con, &d, 10) != 0)
			continue;
		r->left--;
		sluice_consumer_done(r->con, d);
	}
	return NULL;
}

static void
test_many_threads_receive(void **state)
{
	struct receivers r = {open_consumer("127.0.0.1:0", 0, NULL), THREADS * PER_THREAD};
	struct sluice_publisher *pub = open_publisher(sluice_consumer_address(r.con), 0, 0);
	pthread_t threads[THREADS];

	for (uint32_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, receive_some, &r), 0);
	for (uint32_t i = 0; i < THREADS * PER_THREAD; i++)
		assert_int_equal(sluice_publish_async(pub, &hello, LONG_MS, NULL, NULL), 0);
	assert_int_equal(sluice_publisher_flush(pub, LONG_MS), 0);
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(sluice_publisher_close(pub, 0), 0);
	assert_int_equal(sluice_consumer_close(r.con), 0);
}

/* What the callback keeps is not done when it returns. */
static const struct sluice_delivery *_Atomic kept;

static void
keep(void *arg, const struct sluice_delivery *d)
{
	kept = d;
}

static void
test_a_callback_may_keep_a_message(void **state)
{
	struct sluice_consumer *con = open_consumer("127.0.0.1:0", SLUICE_MANUAL_ACK, keep);
	struct sluice_publisher *pub = open_publisher(sluice_consumer_address(con), 0, 0);
	const struct sluice_delivery *first;

	assert_int_equal(sluice_publish(pub, &hello, 100), SLUICE_TIMEOUT);
	/* The consumer's thread may be behind. */
	while (kept == NULL)
		usleep(1000);
	first = kept;
	kept = NULL;
	assert_int_equal(sluice_publish_async(pub, &hello, 0, count_done, NULL), 0);
	assert_int_equal(sluice_consumer_done(con, first), 0);
	while (kept == NULL)
		usleep(1000);
	assert_int_equal(sluice_consumer_done(con, kept), 0);
	assert_int_equal(sluice_publisher_close(pub, LONG_MS), 0);
	assert_int_equal(nb_done, 1);
	assert_int_equal(sluice_consumer_close(con), 0);
}

#define NB_SLOW 20
#define SLOW_US 10000 /* As long as callbacks may take until the socket is looked at. */

static int probe_sock;
static const char *_Atomic complaint; /* Not asserted by another thread. */

static void
work_slowly(void *arg, const struct sluice_delivery *d)
{
	static const uint8_t probe[] = {
		0x0d, 'S', 'L', 'C', '1', 0x32, 11, 0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x10, 0};
	struct pollfd answer = {.fd = probe_sock, .events = POLLIN};
	uint32_t before = nb_delivered;

	usleep(SLOW_US);
	for (uint32_t i = 0; before < NB_SLOW && nb_done < before && i < LONG_MS; i++)
		usleep(1000);
	if (before < NB_SLOW && nb_done < before)
		complaint = "what was done was not acknowledged";
	if (before == 3 && send(probe_sock, probe, sizeof(probe), 0) != sizeof(probe))
		complaint = "send";
	if (before == 4 && poll(&answer, 1, LONG_MS) != 1)
		complaint = "a probe was not answered";
	if (d->sequence != before + 1)
		complaint = "not in order";
	nb_delivered++;
}

static void
connect_probe(const struct sluice_consumer *con)
{
	const char *port = strrchr(sluice_consumer_address(con), ':') + 1;
	struct sockaddr_in name = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)atoi(port))};

	probe_sock = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(connect(probe_sock, (struct sockaddr *)&name, sizeof(name)), 0);
}

static void
test_slow_callbacks_hold_up_neither_acks_nor_probes(void **state)
{
	for (uint32_t flags = 0; flags <= SLUICE_NO_THREAD; flags++) {
		struct sluice_consumer *con = open_consumer("127.0.0.1:0", flags, work_slowly);
		struct sluice_publisher *pub = open_publisher(sluice_consumer_address(con), 0, 0);
		struct pollfd fd = {.fd = sluice_consumer_fd(con), .events = POLLIN};

		connect_probe(con);
		for (uint32_t i = 0; i < NB_SLOW; i++)
			assert_int_equal(sluice_publish_async(pub, &hello, 0, count_done, NULL), 0);
		while (flags != 0 && nb_delivered < NB_SLOW) {
			uint32_t before = nb_delivered;

			assert_int_equal(poll(&fd, 1, LONG_MS), 1);
			assert_int_equal(sluice_consumer_process(con), 0);
			/* Nor the caller's loop. */
			assert_in_range(nb_delivered, before, before + 1);
		}
		assert_int_equal(sluice_publisher_flush(pub, LONG_MS), 0);
		if (complaint != NULL)
			fail_msg("%s", complaint);
		/* What is left at the end is not acknowledged. */
		for (uint32_t i = 0; i < NB_SLOW; i++)
			assert_int_equal(sluice_publish_async(pub, &hello, 0, NULL, NULL), 0);
		while (flags == 0 && nb_delivered == NB_SLOW)
			usleep(1000);
		assert_int_equal(sluice_consumer_close(con), 0);
		sluice_publisher_close(pub, 0);
		close(probe_sock);
	}
}

static uint32_t nb_counted;

static void
count_slowly(void *arg, const struct sluice_delivery *d)
{
	(void)arg;
	(void)d;
	usleep(2000);
	nb_counted++;
}

static void
test_what_was_acknowledged_early_is_called_back_before_the_end(void **state)
{
	for (uint32_t flags = 0; flags <= SLUICE_NO_THREAD; flags++) {
		struct sluice_consumer *con = open_consumer(
			"127.0.0.1:0", flags | SLUICE_EARLY_ACK, count_slowly);
		struct sluice_publisher *pub = open_publisher(sluice_consumer_address(con), 0, 0);
		struct pollfd fd = {.fd = sluice_consumer_fd(con), .events = POLLIN};

		nb_counted = 0;
		for (uint32_t i = 0; i < NB_SLOW; i++)
			assert_int_equal(sluice_publish_async(pub, &hello, 0, NULL, NULL), 0);
		while (sluice_publisher_flush(pub, flags == 0 ? LONG_MS : 0) != 0) {
			assert_int_not_equal(flags, 0);
			assert_int_equal(poll(&fd, 1, LONG_MS), 1);
			assert_int_equal(sluice_consumer_process(con), 0);
		}
		assert_int_equal(sluice_consumer_close(con), 0);
		assert_int_equal(nb_counted, NB_SLOW);
		sluice_publisher_close(pub, 0);
	}
}

static void
test_a_full_queue_says_so(void **state)
{
	char address[SLUICE_ADDRESS_TEXT];
	int sock = open_silent(address);
	struct sluice_publisher *pub = open_publisher(address, 0, 10);

	nb_done = 0;
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(sluice_publish_async(pub, &hello, 0, count_done, NULL), 0);
	assert_int_equal(
		sluice_publish_async(pub, &hello, 0, count_done, NULL), SLUICE_WOULD_BLOCK);
	assert_int_equal(
		sluice_publish_async(pub, &hello, 20, count_done, NULL), SLUICE_WOULD_BLOCK);
	assert_int_equal(sluice_publish(pub, &hello, 20), SLUICE_TIMEOUT);
	assert_int_equal(nb_done, 0);
	/* Each gets its answer in the end, and only once. */
	assert_int_equal(sluice_publisher_close(pub, 20), SLUICE_TIMEOUT);
	assert_int_equal(nb_done, 10);
	assert_int_equal(last_result, SLUICE_CLOSED);
	close(sock);
}

/* One whose sender waited in vain makes room again. */
static void
test_a_publish_that_timed_out_is_not_sent_again(void **state)
{
	char address[SLUICE_ADDRESS_TEXT];
	int sock = open_silent(address);
	struct sluice_publisher *pub = open_publisher(address, 0, 1);
	struct sluice_publisher_stats stats;

	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(sluice_publish(pub, &hello, 30), SLUICE_TIMEOUT);
	assert_int_equal(sluice_publisher_flush(pub, LONG_MS), 0);
	sluice_publisher_get_stats(pub, &stats);
	assert_int_equal(stats.failed, 3);
	assert_int_equal(stats.outstanding, 0);
	assert_int_equal(sluice_publisher_close(pub, 0), 0);
	close(sock);
}

static int from_callback[3];

static void
call_from_callback(void *arg, const struct sluice_id *id, int result)
{
	struct sluice_publisher *pub = arg;

	from_callback[0] = sluice_publish(pub, &hello, LONG_MS);
	from_callback[1] = sluice_publisher_flush(pub, LONG_MS);
	from_callback[2] = sluice_publisher_close(pub, LONG_MS);
	sluice_publish_async(pub, &hello, 0, count_done, NULL);
}

static void
test_a_callback_may_publish_and_not_wait(void **state)
{
	for (uint32_t flags = 0; flags <= SLUICE_NO_THREAD; flags++) {
		struct sluice_consumer *con = open_consumer("127.0.0.1:0", 0, count_delivery);
		struct sluice_publisher *pub = open_publisher(
			sluice_consumer_address(con), flags, 0);

		assert_int_equal(sluice_publish_async(pub, &hello, 0, call_from_callback, pub), 0);
		assert_int_equal(sluice_publisher_close(pub, LONG_MS), 0);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(from_callback[i], SLUICE_WRONG_THREAD);
		assert_int_equal(nb_done, 1);
		assert_int_equal(last_result, 0);
		assert_int_equal(sluice_consumer_close(con), 0);
	}
}

/* Everything in this thread, by poll(). */
static void
test_without_threads(void **state)
{
	struct sluice_consumer *con = open_consumer(
		"127.0.0.1:0", SLUICE_NO_THREAD, count_delivery);
	struct sluice_publisher *pub = open_publisher(
		sluice_consumer_address(con), SLUICE_NO_THREAD, 0);
	struct pollfd fds[2] = {{.fd = sluice_publisher_fd(pub), .events = POLLIN},
		{.fd = sluice_consumer_fd(con), .events = POLLIN}};

	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(sluice_publish_async(pub, &hello, 0, count_done, NULL), 0);
	while (nb_done < 5000) {
		assert_in_range(poll(fds, 2, LONG_MS), 1, 2);
		if (fds[0].revents != 0)
			assert_int_equal(sluice_publisher_process(pub), 0);
		if (fds[1].revents != 0)
			assert_int_equal(sluice_consumer_process(con), 0);
	}
	assert_int_equal(nb_delivered, 5000);
	assert_int_equal(sluice_publisher_close(pub, 0), 0);
	assert_int_equal(sluice_consumer_close(con), 0);
}

/* Waiting without a thread does the work meanwhile. */
static void
test_without_a_thread_one_may_wait(void **state)
{
	struct sluice_consumer *con = open_consumer("127.0.0.1:0", 0, count_delivery);
	struct sluice_publisher *pub = open_publisher(
		sluice_consumer_address(con), SLUICE_NO_THREAD, 10);
	const struct sluice_delivery *d;

	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(sluice_publish_async(pub, &hello, LONG_MS, count_done, NULL), 0);
	assert_int_equal(sluice_publish(pub, &hello, LONG_MS), 0);
	assert_int_equal(sluice_publisher_close(pub, LONG_MS), 0);
	assert_int_equal(sluice_consumer_close(con), 0);
	con = open_consumer("127.0.0.1:0", SLUICE_NO_THREAD, NULL);
	pub = open_publisher(sluice_consumer_address(con), 0, 0);
	assert_int_equal(sluice_publish_async(pub, &hello, 0, NULL, NULL), 0);
	assert_int_equal(sluice_consumer_receive(con, &d, LONG_MS), 0);
	assert_int_equal(sluice_consumer_done(con, d), 0);
	/* Whoever closes in order has acknowledged. */
	assert_int_equal(sluice_consumer_close(con), 0);
	assert_int_equal(sluice_publisher_close(pub, LONG_MS), 0);
}

static void
test_a_child_is_told(void **state)
{
	struct sluice_consumer *con = open_consumer("127.0.0.1:0", 0, NULL);
	struct sluice_publisher *pub = open_publisher(sluice_consumer_address(con), 0, 0);
	const struct sluice_delivery *d;
	int status;
	pid_t child;

	child = fork();
	if (child == 0) {
		bool is_good = sluice_publish(pub, &hello, LONG_MS) == SLUICE_FORKED &&
			sluice_publish_async(pub, &hello, 0, NULL, NULL) == SLUICE_FORKED &&
			sluice_publisher_flush(pub, LONG_MS) == SLUICE_FORKED &&
			sluice_consumer_receive(con, &d, LONG_MS) == SLUICE_FORKED &&
			sluice_publisher_close(pub, LONG_MS) == SLUICE_FORKED &&
			sluice_consumer_close(con) == SLUICE_FORKED;

		_exit(is_good ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* The parent's go on. */
	assert_int_equal(sluice_publish_async(pub, &hello, 0, NULL, NULL), 0);
	assert_int_equal(sluice_consumer_receive(con, &d, LONG_MS), 0);
	assert_int_equal(sluice_consumer_done(con, d), 0);
	assert_int_equal(sluice_publisher_close(pub, LONG_MS), 0);
	assert_int_equal(sluice_consumer_close(con), 0);
}

static void
test_options_that_cannot_be(void **state)
{
	const struct {
		struct sluice_publisher_options options;
		int code;
		const char *says;
	} cases[] = {
		{{.source = "s"}, SLUICE_INVALID, "appliances"},
		{{.appliances = "127.0.0.1"}, SLUICE_INVALID, "source"},
		{{.appliances = "127.0.0.1", .source = "s", .window = 3}, SLUICE_INVALID, "window"},
		{{.appliances = "127.0.0.1", .source = "s", .datagram_bytes = 9}, SLUICE_INVALID,
			"datagram_bytes"},
		{{.appliances = "127.0.0.1", .source = "s", .reserved = {1}}, SLUICE_INVALID,
			"reserved"},
		{{.appliances = "127.0.0.1:99999", .source = "s"}, SLUICE_ADDRESS, "99999"},
		{{.appliances = "127.0.0.1,", .source = "s"}, SLUICE_ADDRESS, "no address"},
		{{.appliances = "[::1", .source = "s"}, SLUICE_ADDRESS, "[::1"},
		{{.appliances = "256.1.1.1.invalid", .source = "s"}, SLUICE_ADDRESS, "256.1.1.1"},
		{{.appliances = "127.0.0.1", .source = "s", .bind = "192.0.2.1"}, SLUICE_SYSTEM,
			"192.0.2.1"},
	};
	struct sluice_consumer_options options = {.listen = "192.0.2.1:1"};
	struct sluice_error error;

	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_null(sluice_publisher_open(&cases[i].options, &error));
		assert_int_equal(error.code, cases[i].code);
		assert_non_null(strstr(error.text, cases[i].says));
		assert_null(sluice_publisher_open(&cases[i].options, NULL));
	}
	assert_null(sluice_consumer_open(&options, &error));
	assert_int_equal(error.code, SLUICE_SYSTEM);
	for (int code = SLUICE_WRONG_THREAD - 1; code <= 0; code++)
		assert_true(strlen(sluice_strerror(code)) > 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_publish_and_receive),
		cmocka_unit_test(test_it_sends_from_where_it_is_bound),
		cmocka_unit_test(test_many_threads_publish),
		cmocka_unit_test(test_many_threads_receive),
		cmocka_unit_test(test_a_callback_may_keep_a_message),
		cmocka_unit_test(test_slow_callbacks_hold_up_neither_acks_nor_probes),
		cmocka_unit_test(test_what_was_acknowledged_early_is_called_back_before_the_end),
		cmocka_unit_test(test_a_full_queue_says_so),
		cmocka_unit_test(test_a_publish_that_timed_out_is_not_sent_again),
		cmocka_unit_test(test_a_callback_may_publish_and_not_wait),
		cmocka_unit_test(test_without_threads),
		cmocka_unit_test(test_without_a_thread_one_may_wait),
		cmocka_unit_test(test_a_child_is_told),
		cmocka_unit_test(test_options_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
