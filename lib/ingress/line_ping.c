/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>

#include "line_ping.h"

#define ANSWER_MAX 64 /* Bytes; one that says more is no broker. */

struct line_ping {
	struct event_base *base;
	int fd;
	struct event *event; /* Of the socket. */
	struct event *over;  /* To tell from the loop what failed at once. */
	struct evdns_getaddrinfo_request *query;
	struct evutil_addrinfo *list;	  /* Of the name, */
	const struct evutil_addrinfo *at; /* and the one that is tried next. */
	bool is_refused;		  /* By all that were tried. */
	size_t len;
	char answer[ANSWER_MAX];
	char error[128];
	void (*done)(void *arg, enum line_pinged result, const char *error);
	void *arg;
};

static void try_next(struct line_ping *ping);

static void
drop_socket(struct line_ping *ping)
{
	if (ping->event != NULL)
		event_free(ping->event);
	ping->event = NULL;
	if (ping->fd >= 0)
		close(ping->fd);
	ping->fd = -1;
}

void
line_ping_cancel(struct line_ping *ping)
{
	if (ping == NULL)
		return;
	if (ping->query != NULL)
		evdns_getaddrinfo_cancel(ping->query);
	drop_socket(ping);
	if (ping->list != NULL)
		evutil_freeaddrinfo(ping->list);
	event_free(ping->over);
	free(ping);
}

static void
finish(struct line_ping *ping, enum line_pinged result)
{
	void (*done)(void *arg, enum line_pinged result, const char *error) = ping->done;
	void *arg = ping->arg;
	char error[sizeof(ping->error)];

	memcpy(error, ping->error, sizeof(error));
	line_ping_cancel(ping);
	done(arg, result, error);
}

static void
on_over(evutil_socket_t fd, short what, void *arg)
{
	struct line_ping *ping = arg;

	(void)fd;
	(void)what;
	finish(ping, ping->is_refused ? LINE_REFUSED : LINE_NOTHING_CAME);
}

static void
fail(struct line_ping *ping, const char *error)
{
	ping->is_refused = false;
	snprintf(ping->error, sizeof(ping->error), "%s", error);
	event_active(ping->over, EV_TIMEOUT, 0);
}

/* This address is none; perhaps there is another. */
static void
fail_address(struct line_ping *ping, int error)
{
	drop_socket(ping);
	ping->is_refused &= error == ECONNREFUSED;
	snprintf(ping->error, sizeof(ping->error), "%s", strerror(error));
	try_next(ping);
}

static void
watch(struct line_ping *ping, short what, event_callback_fn call)
{
	if (ping->event != NULL)
		event_free(ping->event);
	ping->event = event_new(ping->base, ping->fd, what | EV_PERSIST, call, ping);
	if (ping->event == NULL || event_add(ping->event, NULL) != 0)
		fail(ping, "no memory");
}

static bool
is_pong(const char *answer, size_t len)
{
	if (len > 0 && answer[len - 1] == '\r')
		len--;
	return len == 4 && memcmp(answer, "PONG", 4) == 0;
}

static void
on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct line_ping *ping = arg;
	ssize_t n = read(fd, ping->answer + ping->len, sizeof(ping->answer) - ping->len);
	const char *end;

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop_socket(ping);
		fail(ping, n < 0 ? strerror(errno) : "it closes without an answer");
		return;
	}
	ping->len += (size_t)n;
	end = memchr(ping->answer, '\n', ping->len);
	if (end != NULL && is_pong(ping->answer, (size_t)(end - ping->answer))) {
		finish(ping, LINE_ANSWERED);
	} else if (end != NULL || ping->len == sizeof(ping->answer)) {
		drop_socket(ping);
		fail(ping, "it answers something else than PONG");
	}
}

static void
on_connect(evutil_socket_t fd, short what, void *arg)
{
	static const char question[] = "PING||\n";
	struct line_ping *ping = arg;
	socklen_t len = sizeof(int);
	int error = 0;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	/* So little goes out at once. */
	if (error == 0 &&
		send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL) != sizeof(question) - 1)
		error = errno;
	if (error != 0)
		fail_address(ping, error);
	else
		watch(ping, EV_READ, on_answer);
}

static void
try_address(struct line_ping *ping, const struct sockaddr *address, socklen_t len)
{
	ping->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (ping->fd < 0 || (connect(ping->fd, address, len) != 0 && errno != EINPROGRESS))
		fail_address(ping, errno);
	else
		watch(ping, EV_WRITE, on_connect);
}

/* A name may have several addresses; who answers at one of them lives. */
static void
try_next(struct line_ping *ping)
{
	const struct evutil_addrinfo *at = ping->at;

	if (at == NULL) {
		event_active(ping->over, EV_TIMEOUT, 0);
		return;
	}
	ping->at = at->ai_next;
	try_address(ping, at->ai_addr, at->ai_addrlen);
}

static void
on_resolved(int result, struct evutil_addrinfo *list, void *arg)
{
	struct line_ping *ping = arg;

	if (result == EVUTIL_EAI_CANCEL) {
		if (list != NULL)
			evutil_freeaddrinfo(list);
		return;
	}
	ping->query = NULL;
	ping->list = list;
	ping->at = list;
	if (result != 0 || list == NULL) {
		fail(ping, evutil_gai_strerror(result));
		return;
	}
	try_next(ping);
}

static void
resolve(struct line_ping *ping, struct evdns_base *dns, const char *address)
{
	const struct evutil_addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	const char *colon = strrchr(address, ':');
	struct evdns_getaddrinfo_request *query;
	char host[256];

	if (dns == NULL || colon == NULL || (size_t)(colon - address) >= sizeof(host)) {
		fail(ping, dns == NULL ? "there is no name service" : "it is no HOST:PORT");
		return;
	}
	memcpy(host, address, (size_t)(colon - address));
	host[colon - address] = '\0';
	/* It may call back at once, and returns NULL then. */
	query = evdns_getaddrinfo(dns, host, colon + 1, &hints, on_resolved, ping);
	if (query != NULL)
		ping->query = query;
}

struct line_ping *
line_ping_begin(struct event_base *base, struct evdns_base *dns, const char *address,
	void (*done)(void *arg, enum line_pinged result, const char *error), void *arg)
{
	struct line_ping *ping = calloc(1, sizeof(*ping));
	struct sockaddr_storage to;
	int len = sizeof(to);

	if (ping == NULL)
		return NULL;
	ping->over = evtimer_new(base, on_over, ping);
	if (ping->over == NULL) {
		free(ping);
		return NULL;
	}
	ping->base = base;
	ping->fd = -1;
	ping->done = done;
	ping->arg = arg;
	ping->is_refused = true;
	memset(&to, 0, sizeof(to));
	if (evutil_parse_sockaddr_port(address, (struct sockaddr *)&to, &len) == 0)
		try_address(ping, (struct sockaddr *)&to, (socklen_t)len);
	else
		resolve(ping, dns, address);
	return ping;
}
