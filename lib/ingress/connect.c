/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/dns.h>
#include <event2/util.h>

#include "ingress.h"
#include "sl_log.h"
#include "sl_notify.h"

/*
 * Connectors: servers that are connected to, for ever. Pauses between tries double, with jitter, so
 * that many do not come back to a server at once. Servers are shared out among the threads.
 */

#define BACKOFF_MS     500u
#define BACKOFF_MAX_MS 5000u
#define CONNECT_S      5
#define ADDRESSES_MAX  16u /* Of a name, that are tried in turn. */

static void try_now(struct gw_connection *c);

static void
set_state(struct gw_connection *c, enum gw_server_state state)
{
	__atomic_store_n(&c->server->state, (uint32_t)state, __ATOMIC_RELAXED);
	__atomic_store_n(&c->server->since_ms, c->listener->thread->now_ms, __ATOMIC_RELAXED);
}

/* From three quarters to five quarters of it. */
static uint32_t
jitter(struct gw_thread *thread, uint32_t ms)
{
	return ms - ms / 4 + (uint32_t)(gw_thread_random(thread) % (ms / 2 + 1));
}

static void
tell(const struct gw_connection *c, bool is_up, const char *why)
{
	const struct gw_listener *listener = c->listener;
	struct sl_notify *notify = listener->thread->shared->notify;
	const char *name = listener->config.name, *server = c->server->address;

	if (notify == NULL)
		sl_log(SL_LOG_ingress, is_up ? SL_LEVEL_NOTIFY : SL_LEVEL_WARN,
			"connector %s: %s is %s%s%s", name, server,
			is_up ? "connected" : "not connected", is_up ? "" : ": ", why);
	else
		sl_notify(notify, is_up ? SL_LEVEL_NOTIFY : SL_LEVEL_WARN,
			is_up ? "connector_up" : "connector_down",
			json_pack("{s:s, s:s, s:s}", "connector", name, "server", server, "error",
				why),
			"connector %s: %s is %s%s%s", name, server,
			is_up ? "connected" : "not connected; it is tried again and again",
			is_up ? "" : ": ", why);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	try_now(arg);
}

/* It did not work, or works no more: again, after a pause. */
static void
fail(struct gw_connection *c, const char *why)
{
	struct gw_thread *thread = c->listener->thread;
	uint32_t ms = BACKOFF_MS;
	struct timeval tv;

	pthread_mutex_lock(&c->server->lock);
	snprintf(c->server->error, sizeof(c->server->error), "%s", why);
	pthread_mutex_unlock(&c->server->lock);
	for (uint32_t i = 0; i < c->failures && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	ms = jitter(thread, RTE_MIN(ms, BACKOFF_MAX_MS));
	ms = RTE_MIN(ms, BACKOFF_MAX_MS);
	ms = RTE_MAX(ms, BACKOFF_MS);
	c->failures++;
	set_state(c, GW_SERVER_BACKOFF);
	if (!c->is_down_told)
		tell(c, false, why);
	c->is_down_told = true;
	tv = (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
	evtimer_add(c->timer, &tv);
}

static void
drop_socket(struct gw_connection *c)
{
	if (c->event != NULL)
		event_free(c->event);
	c->event = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void
connected(struct gw_connection *c)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} peer = {0};
	socklen_t len = sizeof(peer);
	struct sl_ip ip = {0};
	uint16_t port = 0;
	int fd = c->fd;

	event_free(c->event);
	c->event = NULL;
	c->fd = -1;
	if (getpeername(fd, &peer.any, &len) == 0) {
		bool is_v4 = peer.any.sa_family == AF_INET;

		ip = is_v4 ? sl_ip_from_v4(peer.v4.sin_addr.s_addr)
			   : sl_ip_from_v6(peer.v6.sin6_addr.s6_addr);
		port = ntohs(is_v4 ? peer.v4.sin_port : peer.v6.sin6_port);
	}
	c->why[0] = '\0';
	c->client = gw_client_create(c->listener, fd, &ip, port, c);
	if (c->client == NULL)
		fail(c, "no memory");
}

void
gw_connection_up(struct gw_connection *c)
{
	c->is_up = true;
	GW_ADD(c->server->connections, 1);
	set_state(c, GW_SERVER_CONNECTED);
	if (c->is_down_told)
		tell(c, true, "");
	c->is_down_told = false;
}

static void
on_connect(evutil_socket_t fd, short what, void *arg)
{
	struct gw_connection *c = arg;
	socklen_t len = sizeof(int);
	int error = 0;

	if ((what & EV_TIMEOUT) != 0)
		error = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error == 0) {
		connected(c);
		return;
	}
	drop_socket(c);
	fail(c, strerror(error));
}

static void
connect_to(struct gw_connection *c, const struct sockaddr *address, socklen_t len)
{
	const struct timeval patience = {.tv_sec = CONNECT_S};

	c->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		fail(c, strerror(errno));
		return;
	}
	gw_socket_set(c->fd);
	if (connect(c->fd, address, len) != 0 && errno != EINPROGRESS) {
		int error = errno;

		drop_socket(c);
		fail(c, strerror(error));
		return;
	}
	c->event = event_new(c->listener->thread->base, c->fd, EV_WRITE, on_connect, c);
	if (c->event == NULL || event_add(c->event, &patience) != 0) {
		drop_socket(c);
		fail(c, "no memory");
	}
}

static void
on_resolved(int result, struct evutil_addrinfo *list, void *arg)
{
	struct gw_connection *c = arg;

	if (result == EVUTIL_EAI_CANCEL) {
		if (list != NULL)
			evutil_freeaddrinfo(list);
		return;
	}
	c->query = NULL;
	if (result != 0 || list == NULL) {
		fail(c, evutil_gai_strerror(result));
	} else {
		const struct evutil_addrinfo *at = list;

		/* A name may have several addresses: each try takes the next one. */
		for (uint32_t i = c->failures % ADDRESSES_MAX; i > 0; i--)
			at = at->ai_next != NULL ? at->ai_next : list;
		connect_to(c, at->ai_addr, at->ai_addrlen);
	}
	if (list != NULL)
		evutil_freeaddrinfo(list);
}

/* A name: asked for without waiting. The configuration has made sure of "HOST:PORT". */
static void
resolve(struct gw_connection *c)
{
	struct gw_thread *thread = c->listener->thread;
	const struct evutil_addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	struct evdns_getaddrinfo_request *query;
	const char *colon = strrchr(c->server->address, ':');
	char host[256];

	if (colon == NULL || (size_t)(colon - c->server->address) >= sizeof(host)) {
		fail(c, "it is no HOST:PORT");
		return;
	}
	memcpy(host, c->server->address, (size_t)(colon - c->server->address));
	host[colon - c->server->address] = '\0';
	if (gw_thread_dns(thread) == NULL) {
		fail(c, "there is no name service");
		return;
	}
	/* It may call back at once, and returns NULL then. */
	query = evdns_getaddrinfo(thread->dns, host, colon + 1, &hints, on_resolved, c);
	if (query != NULL)
		c->query = query;
}

static void
try_now(struct gw_connection *c)
{
	struct sockaddr_storage address;
	int len = sizeof(address);

	GW_ADD(c->server->attempts, 1);
	set_state(c, GW_SERVER_CONNECTING);
	memset(&address, 0, sizeof(address));
	if (evutil_parse_sockaddr_port(c->server->address, (struct sockaddr *)&address, &len) == 0)
		connect_to(c, (struct sockaddr *)&address, (socklen_t)len);
	else
		resolve(c);
}

void
gw_connection_says(struct gw_connection *c, const char *why)
{
	/* The first is the reason of the others. */
	if (c->why[0] == '\0')
		snprintf(c->why, sizeof(c->why), "%s", why);
}

void
gw_connection_lost(struct gw_connection *c)
{
	struct gw_thread *thread = c->listener->thread;

	/* One that has lasted is tried again soon. */
	if (c->is_up && thread->now_ms - GW_GET(c->server->since_ms) >= BACKOFF_MAX_MS)
		c->failures = 0;
	c->client = NULL;
	c->is_up = false;
	if (c->timer == NULL)
		return;
	fail(c, c->why[0] != '\0' ? c->why : "the connection has ended");
}

int
gw_connections_open(struct gw_listener *listener)
{
	struct gw_gateway *gateway = listener->gateway;
	struct gw_thread *thread = listener->thread;

	listener->connections = calloc(gateway->nb_servers + 1, sizeof(*listener->connections));
	if (listener->connections == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < gateway->nb_servers; i++) {
		struct gw_connection *c = &listener->connections[listener->nb_connections];

		if (i % thread->nb_threads != thread->index)
			continue;
		listener->nb_connections++;
		c->listener = listener;
		c->server = &gateway->servers[i];
		c->fd = -1;
		c->timer = evtimer_new(thread->base, on_timer, c);
		if (c->timer == NULL)
			return -ENOMEM;
		event_active(c->timer, EV_TIMEOUT, 0);
	}
	return 0;
}

void
gw_connections_close(struct gw_listener *listener)
{
	for (uint32_t i = 0; i < listener->nb_connections; i++) {
		struct gw_connection *c = &listener->connections[i];

		if (c->query != NULL)
			evdns_getaddrinfo_cancel(c->query);
		c->query = NULL;
		drop_socket(c);
		if (c->timer != NULL)
			event_free(c->timer);
		c->timer = NULL;
		set_state(c, GW_SERVER_IDLE);
	}
}
