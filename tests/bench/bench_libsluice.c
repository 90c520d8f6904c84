/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
/*
 * libsluice over the loopback interface, from one process to another, beside the kernel's sockets
 * used plainly in the same run: the same bytes, a message a datagram, by send() and recv(), with an
 * answer for every 64, and no promise kept. A line of JSON each; ratio is to that.
 *
 *   bench_libsluice [MESSAGES [PAYLOAD_BYTES]]
 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sluice.h"

#define DATAGRAM_EXTRA 96 /* Header and fixed fields of a message with a small payload. */
#define PAYLOAD_MAX    1200
#define PLAIN_BATCH    64
#define PLAIN_WINDOW   1024

static uint8_t payload[PAYLOAD_MAX + DATAGRAM_EXTRA];
static uint64_t nb_messages = 1000000;
static uint32_t payload_len = 64;

static double
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double
cpu_s(int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int
die(const char *what)
{
	fprintf(stderr, "bench_libsluice: %s\n", what);
	exit(1);
}

static int
plain_socket(struct sockaddr_in *name)
{
	int sock = socket(AF_INET, SOCK_DGRAM, 0), bytes = 4 << 20;
	socklen_t len = sizeof(*name);

	*name = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (bind(sock, (struct sockaddr *)name, len) != 0 ||
		getsockname(sock, (struct sockaddr *)name, &len) != 0)
		die("socket");
	return sock;
}

static void
plain_receiver(int sock)
{
	uint8_t buf[2048];
	uint64_t n = 0;

	while (n < nb_messages) {
		if (recv(sock, buf, sizeof(buf), 0) < 0)
			die("recv");
		if (++n % PLAIN_BATCH == 0 && send(sock, &n, sizeof(n), 0) < 0)
			die("send");
	}
	send(sock, &n, sizeof(n), 0);
	_exit(0);
}

static void
plain_sender(int sock)
{
	uint64_t sent = 0, answered = 0;

	while (answered < nb_messages) {
		for (; sent < nb_messages && sent - answered < PLAIN_WINDOW; sent++) {
			if (send(sock, payload, payload_len + DATAGRAM_EXTRA, 0) < 0)
				die("send");
		}
		if (recv(sock, &answered, sizeof(answered), 0) < 0)
			die("recv");
	}
}

static double
report(const char *what, double begin, double cpu, int child, double yardstick)
{
	double seconds = now_s() - begin, rate = (double)nb_messages / seconds;

	if (child > 0)
		waitpid(child, NULL, 0);
	cpu = cpu_s(RUSAGE_SELF) + cpu_s(RUSAGE_CHILDREN) - cpu;
	printf("{\"what\": \"%s\", \"messages\": %llu, \"payload\": %u, \"msgs_per_s\": %.0f, "
	       "\"cpu_us_per_msg\": %.3f, \"ratio\": %.2f}\n",
		what, (unsigned long long)nb_messages, payload_len, rate,
		cpu * 1e6 / (double)nb_messages, yardstick > 0 ? rate / yardstick : 1.0);
	fflush(stdout);
	return rate;
}

static double
run_plain(void)
{
	struct sockaddr_in names[2];
	int sender = plain_socket(&names[0]), receiver = plain_socket(&names[1]), child;
	double begin, cpu = cpu_s(RUSAGE_SELF) + cpu_s(RUSAGE_CHILDREN);

	if (connect(sender, (struct sockaddr *)&names[1], sizeof(names[1])) != 0 ||
		connect(receiver, (struct sockaddr *)&names[0], sizeof(names[0])) != 0)
		die("connect");
	begin = now_s();
	child = fork();
	if (child == 0)
		plain_receiver(receiver);
	plain_sender(sender);
	close(sender);
	close(receiver);
	return report("plain", begin, cpu, child, 0);
}

static void
ignore(void *arg, const struct sluice_delivery *d)
{
}

/* A process of its own, which says where it listens. */
static int
start_consumer(uint32_t flags, char address[SLUICE_ADDRESS_TEXT])
{
	struct sluice_consumer_options options = {
		.listen = "127.0.0.1:0", .flags = flags, .message = ignore};
	struct sluice_consumer *con;
	int fds[2], child;

	if (pipe(fds) != 0 || (child = fork()) < 0)
		die("pipe and fork");
	if (child == 0) {
		con = sluice_consumer_open(&options, NULL);
		if (con == NULL ||
			write(fds[1], sluice_consumer_address(con), SLUICE_ADDRESS_TEXT) !=
				SLUICE_ADDRESS_TEXT)
			die("consumer");
		pause();
		_exit(0);
	}
	if (read(fds[0], address, SLUICE_ADDRESS_TEXT) != SLUICE_ADDRESS_TEXT)
		die("consumer");
	close(fds[0]);
	close(fds[1]);
	return child;
}

static void
run_library(const char *what, uint32_t consumer_flags, double yardstick)
{
	double cpu = cpu_s(RUSAGE_SELF) + cpu_s(RUSAGE_CHILDREN), begin;
	struct sluice_message message = {
		.destination = "d", .payload = payload, .payload_len = payload_len};
	struct sluice_publisher_options options = {.source = "bench"};
	char address[SLUICE_ADDRESS_TEXT];
	int child = start_consumer(consumer_flags, address);
	struct sluice_publisher *pub;

	options.appliances = address;
	pub = sluice_publisher_open(&options, NULL);
	if (pub == NULL)
		die("publisher");
	begin = now_s();
	for (uint64_t i = 0; i < nb_messages; i++) {
		if (sluice_publish_async(pub, &message, SLUICE_FOREVER, NULL, NULL) != 0)
			die("publish");
	}
	if (sluice_publisher_flush(pub, SLUICE_FOREVER) != 0)
		die("flush");
	kill(child, SIGTERM);
	report(what, begin, cpu, child, yardstick);
	sluice_publisher_close(pub, 0);
}

/* One at a time: how long until it is known to be there. */
static void
run_round_trips(uint32_t nb)
{
	struct sluice_message message = {
		.destination = "d", .payload = payload, .payload_len = payload_len};
	struct sluice_publisher_options options = {.source = "bench"};
	char address[SLUICE_ADDRESS_TEXT];
	int child = start_consumer(0, address);
	struct sluice_publisher *pub;
	double begin;

	options.appliances = address;
	pub = sluice_publisher_open(&options, NULL);
	if (pub == NULL)
		die("publisher");
	begin = now_s();
	for (uint32_t i = 0; i < nb; i++) {
		if (sluice_publish(pub, &message, 10000) != 0)
			die("publish");
	}
	printf("{\"what\": \"one at a time\", \"us_per_publish\": %.1f}\n",
		(now_s() - begin) * 1e6 / nb);
	sluice_publisher_close(pub, 0);
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
}

int
main(int argc, char **argv)
{
	double plain;

	if (argc > 1)
		nb_messages = strtoull(argv[1], NULL, 10);
	if (argc > 2)
		payload_len = (uint32_t)strtoul(argv[2], NULL, 10);
	if (nb_messages == 0 || payload_len > PAYLOAD_MAX)
		die("usage: bench_libsluice [MESSAGES [PAYLOAD_BYTES]], at most 1200 bytes");
	plain = run_plain();
	run_library("in order", 0, plain);
	run_library("early ack", SLUICE_EARLY_ACK, plain);
	run_library("unordered", SLUICE_UNORDERED, plain);
	run_round_trips(1000);
	return 0;
}
