/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

/* Kernel sockets, never waited for, and the kinds that are little more: udp and tcp. */

static socklen_t
make_address(const struct run *run, struct sockaddr_storage *to)
{
	const struct sl_config_check *config = run_config(run);
	const struct sl_ip *ip = sl_ip_is_unset(&config->address) ? &run->backend->address
								  : &config->address;
	uint16_t port = config->port != 0 ? config->port : run->backend->port;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;

	memset(to, 0, sizeof(*to));
	if (sl_ip_is_v4(ip)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		v4->sin_addr.s_addr = sl_ip_v4(ip);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, ip->bytes, sizeof(v6->sin6_addr));
	return sizeof(*v6);
}

/* It says nothing of the backend when we lack something. */
static bool
is_our_own(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EAGAIN:
	case EADDRNOTAVAIL:
		return true;
	default:
		return false;
	}
}

void
socket_failed(struct run *run, int error)
{
	const char *said = run->phase;

	if (is_our_own(error)) {
		run_void(run);
		return;
	}
	switch (error) {
	case ECONNREFUSED:
		run_finish(run, false, SL_HEALTH_REFUSED, error, "connection refused");
		break;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EACCES:
	case EPERM:
	case ETIMEDOUT:
		run_finish(run, false, SL_HEALTH_UNREACHABLE, error,
			"not reachable by the kernel's routes: %s", strerror(error));
		break;
	case ECONNRESET:
	case EPIPE:
		run_finish(run, false, SL_HEALTH_CLOSED, error, "connection reset %s", said);
		break;
	default:
		run_finish(run, false, SL_HEALTH_ERROR, error, "%s", strerror(error));
	}
}

void
socket_watch(struct run *run, short what, event_callback_fn on_event)
{
	if (run->event != NULL)
		event_free(run->event);
	run->event = event_new(
		run->backend->checks->base, run->fd, (short)(what | EV_PERSIST), on_event, run);
	if (run->event == NULL || event_add(run->event, NULL) != 0)
		run_void(run);
}

void
socket_open(struct run *run, int type, event_callback_fn on_event)
{
	struct sockaddr_storage address;
	socklen_t len = make_address(run, &address);

	run->phase = "while connecting";
	run->fd = socket(address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (run->fd < 0 ||
		(connect(run->fd, (struct sockaddr *)&address, len) != 0 && errno != EINPROGRESS)) {
		socket_failed(run, errno);
		return;
	}
	socket_watch(run, EV_WRITE, on_event);
}

int
socket_send(struct run *run)
{
	while (run->out_sent < run->out_len) {
		ssize_t n = send(run->fd, run->out + run->out_sent, run->out_len - run->out_sent,
			MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0) {
			socket_failed(run, errno);
			return -1;
		}
		run->out_sent += (size_t)n;
	}
	return 1;
}

void
socket_stop(struct run *run)
{
	if (run->event != NULL)
		event_free(run->event);
	run->event = NULL;
	if (run->fd >= 0)
		close(run->fd);
	run->fd = -1;
}

/* @return false when the run has ended */
static bool
copy_out(struct run *run, const char *text)
{
	if (text == NULL)
		return true;
	run->out_len = strlen(text);
	run->out = strdup(text);
	if (run->out == NULL)
		run_void(run);
	return run->out != NULL;
}

static void
on_udp_answer(evutil_socket_t fd, short what, void *arg)
{
	const struct sl_config_check *config;
	struct run *run = arg;
	char buf[2048];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);
	size_t expected;

	(void)what;
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			socket_failed(run, errno);
		return;
	}
	config = run_config(run);
	expected = config->expect == NULL ? 0 : strlen(config->expect);
	if (expected > (size_t)n || (expected > 0 && memcmp(buf, config->expect, expected) != 0))
		run_finish(run, false, SL_HEALTH_ANSWER, 0,
			"the answer (%zd bytes) does not begin with what is expected", n);
	else
		run_finish(run, true, SL_HEALTH_PASSED, 0, "answered");
}

static void
on_udp_open(evutil_socket_t fd, short what, void *arg)
{
	struct run *run = arg;

	(void)what;
	/* Also an empty datagram is a question. */
	if (send(fd, run->out_len > 0 ? run->out : "", run->out_len, MSG_NOSIGNAL) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			socket_failed(run, errno);
		return;
	}
	run->phase = "without an answer";
	socket_watch(run, EV_READ, on_udp_answer);
}

static void
udp_start(struct run *run)
{
	if (copy_out(run, run_config(run)->send))
		socket_open(run, SOCK_DGRAM, on_udp_open);
}

/* What has come of a TCP answer, until it is as long as what is expected. */
struct tcp_state {
	size_t len;
	char buf[];
};

static void
on_tcp_answer(evutil_socket_t fd, short what, void *arg)
{
	struct run *run = arg;
	struct tcp_state *state = run->state;
	const char *expect = run_config(run)->expect;
	size_t expected = strlen(expect);
	ssize_t n = recv(fd, state->buf + state->len, expected - state->len, 0);

	(void)what;
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			socket_failed(run, errno);
		return;
	}
	if (n == 0) {
		run_finish(run, false, SL_HEALTH_CLOSED, 0,
			"connection closed after %zu of %zu expected bytes", state->len, expected);
		return;
	}
	state->len += (size_t)n;
	if (memcmp(state->buf, expect, state->len) != 0)
		run_finish(run, false, SL_HEALTH_ANSWER, 0,
			"the answer does not begin with what is expected");
	else if (state->len == expected)
		run_finish(run, true, SL_HEALTH_PASSED, 0, "answered");
}

bool
socket_is_connected(struct run *run)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(run->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error != 0)
		socket_failed(run, error);
	return error == 0;
}

static void
on_tcp_open(evutil_socket_t fd, short what, void *arg)
{
	struct run *run = arg;
	const char *expect = run_config(run)->expect;

	(void)fd;
	(void)what;
	if (!socket_is_connected(run))
		return;
	run->phase = "while sending";
	if (socket_send(run) <= 0)
		return;
	if (expect == NULL || expect[0] == '\0') {
		run_finish(run, true, SL_HEALTH_PASSED, 0, "connected");
		return;
	}
	run->phase = "waiting for the expected answer";
	run->state = calloc(1, sizeof(struct tcp_state) + strlen(expect));
	if (run->state == NULL)
		run_void(run);
	else
		socket_watch(run, EV_READ, on_tcp_answer);
}

static void
tcp_start(struct run *run)
{
	if (copy_out(run, run_config(run)->send))
		socket_open(run, SOCK_STREAM, on_tcp_open);
}

const struct kind kind_udp = {.name = "udp",
	.start = udp_start,
	.stop = socket_stop,
	.needs_socket = true};
const struct kind kind_tcp = {.name = "tcp",
	.start = tcp_start,
	.stop = socket_stop,
	.needs_socket = true};
