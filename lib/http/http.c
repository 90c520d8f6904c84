/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>

#include "http_internal.h"

/* Those that wait for a place; the kernel may hold fewer (net.core.somaxconn). */
#define BACKLOG 4096

/* A client is not taken its place as long as it may be about to ask. */
#define IDLE_MIN_MS 500

uint64_t
http_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t
now_ms(void)
{
	return http_now_us() / 1000;
}

void
http_run(struct sl_http *http)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;
	struct timeval wait;

	MHD_run(http->daemon);
	if (MHD_get_timeout(http->daemon, &wait_ms) != MHD_YES) {
		event_del(http->timer);
		return;
	}
	/* With 0 the loop turns once in between, so that the others on it have their turn. */
	wait.tv_sec = (time_t)(wait_ms / 1000);
	wait.tv_usec = (suseconds_t)(wait_ms % 1000 * 1000);
	event_add(http->timer, &wait);
}

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	http_run(arg);
}

/* libmicrohttpd sees the end of the connection and closes it. */
static void
hang_up(struct client *client)
{
	client->is_closing = true;
	shutdown(client->fd, SHUT_RDWR);
}

/*
 * When all places are taken, others may wait for one before the door: those that have been idle for
 * a moment give theirs up, at most half of them at once.
 */
static void
make_room(struct sl_http *http)
{
	uint32_t left = http->params.clients_max / 2 + 1;
	uint64_t now = now_ms();
	struct client *client;

	TAILQ_FOREACH (client, &http->clients, next) {
		if (now - client->since_ms < IDLE_MIN_MS || left == 0)
			return;
		left--;
		if (client->is_closing)
			continue;
		hang_up(client);
		http->evicted++;
	}
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct sl_http *http = arg;
	uint64_t now = now_ms();
	struct client *client;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	TAILQ_FOREACH (client, &http->clients, next) {
		if (now - client->since_ms < http->params.timeout_ms)
			break;
		if (client->is_closing)
			continue;
		hang_up(client);
		http->timeouts++;
	}
	if (http->nb_clients >= http->params.clients_max)
		make_room(http);
	http_kept_sweep(http, http_now_us());
	http_run(http);
}

static void
on_connection(void *arg, struct MHD_Connection *connection, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct sl_http *http = arg;
	struct client *client = *context;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (client == NULL)
			return;
		TAILQ_REMOVE(&http->clients, client, next);
		free(client);
		*context = NULL;
		http->nb_clients--;
		return;
	}
	client = calloc(1, sizeof(*client));
	if (client == NULL) {
		shutdown(info->connect_fd, SHUT_RDWR);
		return;
	}
	client->fd = info->connect_fd;
	client->since_ms = now_ms();
	TAILQ_INSERT_TAIL(&http->clients, client, next);
	*context = client;
	http->nb_clients++;
}

static void
on_completed(void *arg, struct MHD_Connection *connection, void **context,
	enum MHD_RequestTerminationCode code)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct client *client = info == NULL ? NULL : info->socket_context;
	struct sl_http *http = arg;

	RTE_SET_USED(context);
	if (client == NULL || client->is_closing || code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
		return;
	client->since_ms = now_ms();
	TAILQ_REMOVE(&http->clients, client, next);
	TAILQ_INSERT_TAIL(&http->clients, client, next);
}

enum MHD_Result
http_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *upload, size_t *upload_len, void **context)
{
	static int is_begun;
	struct sl_http *http = arg;

	RTE_SET_USED(version);
	RTE_SET_USED(upload);
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		/* Said before a body is read; the connection does not outlive it. */
		if (*upload_len != 0) {
			*upload_len = 0;
			return MHD_YES;
		}
		http->requests++;
		return http_error(http, connection, url, MHD_HTTP_METHOD_NOT_ALLOWED,
			"this listener only tells: use GET or HEAD");
	}
	/* The first call comes with the headers; a body, of no use here, is read and forgotten. */
	if (*context == NULL) {
		*context = &is_begun;
		return MHD_YES;
	}
	if (*upload_len != 0) {
		*upload_len = 0;
		return MHD_YES;
	}
	http->requests++;
	return http_route(http, connection, url);
}

/* Decoded later, segment by segment: an encoded "/" is part of a name. */
size_t
http_keep_encoded(void *arg, struct MHD_Connection *connection, char *text)
{
	RTE_SET_USED(arg);
	RTE_SET_USED(connection);
	return strlen(text);
}

static int
fail(int rc, const struct sl_http_params *params, char *error, size_t error_len, const char *hint)
{
	char address[SL_IP_STRLEN];

	snprintf(error, error_len, "http: cannot listen on %s port %u: %s; %s",
		sl_ip_format(&params->address, address), params->port, strerror(-rc), hint);
	return rc;
}

static socklen_t
to_sockaddr(const struct sl_http_params *params, struct sockaddr_storage *storage)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)storage;
	struct sockaddr_in *v4 = (struct sockaddr_in *)storage;

	memset(storage, 0, sizeof(*storage));
	if (sl_ip_is_v4(&params->address)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(params->port);
		v4->sin_addr.s_addr = sl_ip_v4(&params->address);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(params->port);
	memcpy(&v6->sin6_addr, params->address.bytes, sizeof(v6->sin6_addr));
	return sizeof(*v6);
}

/* A socket of our own instead of libmicrohttpd's, to know what was wrong with it. */
static int
listen_on(const struct sl_http_params *params, uint16_t *port)
{
	struct sockaddr_storage address;
	socklen_t len = to_sockaddr(params, &address);
	int fd, rc, on = 1;

	fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Each address stands for itself, as the configuration has it. */
	if (address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, BACKLOG) != 0 ||
		getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	*port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
						    : ((struct sockaddr_in *)&address)->sin_port);
	return fd;
}

static int
start_daemon(struct sl_http *http, int fd)
{
	unsigned int timeout_s = http->params.timeout_ms / 1000 + 1;

	http->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, http_request, http,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)http->params.clients_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, timeout_s,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, http_keep_encoded,
		NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_END);
	return http->daemon == NULL ? -ENOMEM : 0;
}

static int
add_events(struct sl_http *http)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(
		http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	/* Fine enough for the shortest time there is, and no load. */
	const struct timeval interval = {.tv_usec = 50000};
	struct event_base *base = http->params.base;

	if (info == NULL)
		return -ENOTSUP;
	http->io = event_new(base, info->epoll_fd, EV_READ | EV_PERSIST, on_io, http);
	http->timer = evtimer_new(base, on_io, http);
	http->sweep = event_new(base, -1, EV_PERSIST, on_sweep, http);
	if (http->io == NULL || http->timer == NULL || http->sweep == NULL ||
		event_add(http->io, NULL) != 0 || event_add(http->sweep, &interval) != 0)
		return -ENOMEM;
	return 0;
}

int
sl_http_create(
	const struct sl_http_params *params, struct sl_http **out, char *error, size_t error_len)
{
	struct sl_http *http = calloc(1, sizeof(*http));
	int fd, rc;

	if (http == NULL)
		return fail(-ENOMEM, params, error, error_len, "free some");
	http->params = *params;
	TAILQ_INIT(&http->clients);
	fd = listen_on(params, &http->port);
	if (fd < 0) {
		free(http);
		return fail(fd, params, error, error_len,
			"see what listens there (ss -ltnp), or set http.address and http.port");
	}
	rc = http_page_init(http);
	if (rc == 0)
		rc = start_daemon(http, fd);
	if (rc != 0)
		close(fd);
	else
		rc = add_events(http);
	if (rc != 0) {
		sl_http_destroy(http);
		return fail(rc, params, error, error_len, "free some memory or descriptors");
	}
	*out = http;
	return 0;
}

void
sl_http_destroy(struct sl_http *http)
{
	if (http == NULL)
		return;
	if (http->io != NULL)
		event_free(http->io);
	if (http->timer != NULL)
		event_free(http->timer);
	if (http->sweep != NULL)
		event_free(http->sweep);
	http_kept_sweep(http, UINT64_MAX);
	if (http->daemon != NULL)
		MHD_stop_daemon(http->daemon);
	http_page_free(http);
	free(http);
}

uint16_t
sl_http_port(const struct sl_http *http)
{
	return http->port;
}

void
sl_http_get_stats(const struct sl_http *http, struct sl_http_stats *stats)
{
	stats->clients = http->nb_clients;
	stats->requests = http->requests;
	stats->timeouts = http->timeouts;
	stats->evicted = http->evicted;
	stats->bytes = http->bytes;
}
