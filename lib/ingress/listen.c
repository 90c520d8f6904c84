/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ingress.h"
#include "sl_log.h"

/* Listening sockets, and who may come in. */

#define BACKLOG	    4096
#define ACCEPTS	    64 /* Of one turn. */
#define NO_FILES_MS 100
#define LOG_PER_S   10u
/* Of the process, for all that is no client: sluicectl comes in, segments are opened. */
#define FILES_SPARE 64

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t
fill_address(const struct sl_config_gateway *config, bool has_v6, union address *address)
{
	memset(address, 0, sizeof(*address));
	if (sl_ip_is_v4(&config->address) || !has_v6) {
		address->v4.sin_family = AF_INET;
		if (sl_ip_is_v4(&config->address))
			address->v4.sin_addr.s_addr = sl_ip_v4(&config->address);
		address->v4.sin_port = htons(config->port);
		return sizeof(address->v4);
	}
	address->v6.sin6_family = AF_INET6;
	memcpy(&address->v6.sin6_addr, config->address.bytes, sizeof(config->address.bytes));
	address->v6.sin6_port = htons(config->port);
	return sizeof(address->v6);
}

/* @return the socket or -errno */
static int
open_socket(const struct sl_config_gateway *config, bool is_shared)
{
	const int on = 1, off = 0;
	union address address;
	socklen_t len = fill_address(config, true, &address);
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	/* "Any address" of a machine without IPv6. */
	if (fd < 0 && errno == EAFNOSUPPORT && sl_ip_is_unset(&config->address)) {
		len = fill_address(config, false, &address);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	}
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address.any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (is_shared)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(fd, &address.any, len) != 0 || listen(fd, BACKLOG) != 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

int
gw_gateway_listen(struct gw_gateway *gateway, uint32_t nb_threads, char *error, size_t error_len)
{
	const struct sl_config_gateway *config = &gateway->config;
	char text[SL_IP_STRLEN];
	/* What a primary has replicated is one thread's. */
	uint32_t nb_sharing = config->primary != NULL ? 1 : nb_threads;
	/* A port that threads share could be shared with a stranger, too: first one without. */
	int rc = open_socket(config, false);

	if (rc >= 0 && nb_sharing > 1) {
		close(rc);
		rc = 0;
	} else if (rc >= 0) {
		gateway->fds[0] = rc;
	}
	for (uint32_t i = 0; rc >= 0 && nb_sharing > 1 && i < nb_sharing; i++) {
		rc = open_socket(config, true);
		if (rc >= 0)
			gateway->fds[i] = rc;
	}
	if (rc >= 0)
		return 0;
	sl_ip_format(&config->address, text);
	snprintf(error, error_len, "gateway %s: it cannot listen on %s port %u: %s%s", config->name,
		text, config->port, strerror(-rc),
		rc == -EADDRINUSE ? "; another program does (ss -ltnp), or choose another \"port\""
				  : "");
	return rc;
}

static struct sl_ip
peer_of(const union address *address, uint16_t *port)
{
	if (address->any.sa_family == AF_INET) {
		*port = ntohs(address->v4.sin_port);
		return sl_ip_from_v4(address->v4.sin_addr.s_addr);
	}
	*port = ntohs(address->v6.sin6_port);
	return sl_ip_from_v6(address->v6.sin6_addr.s6_addr);
}

static void
take_in(struct gw_listener *listener, int fd, const union address *address)
{
	struct gw_gateway *gateway = listener->gateway;
	uint16_t port;
	struct sl_ip ip = peer_of(address, &port);

	if (__atomic_add_fetch(&gateway->clients, 1, __ATOMIC_RELAXED) >
			listener->config.clients_max ||
		!gw_addresses_take(
			gateway->addresses, &ip, listener->config.clients_per_address_max)) {
		__atomic_sub_fetch(&gateway->clients, 1, __ATOMIC_RELAXED);
		GW_ADD(listener->stats.reasons[GW_TOO_MANY_CLIENTS], 1);
		close(fd);
		return;
	}
	gw_socket_set(fd);
	if (gw_client_create(listener, fd, &ip, port, NULL) == NULL) {
		__atomic_sub_fetch(&gateway->clients, 1, __ATOMIC_RELAXED);
		gw_addresses_give(gateway->addresses, &ip);
		GW_ADD(listener->stats.reasons[GW_TOO_MANY_CLIENTS], 1);
	}
}

/* There are no more files, or no memory: those who wait are asked in again a little later. */
static void
pause_accepting(struct gw_listener *listener, int error)
{
	const struct timeval tv = {.tv_usec = NO_FILES_MS * 1000};

	GW_ADD(listener->stats.reasons[GW_TOO_MANY_CLIENTS], 1);
	event_del(listener->accept_event);
	evtimer_add(listener->accept_timer, &tv);
	if (!sl_gcra_conforms(&listener->log_rate, listener->thread->now_ms))
		return;
	sl_gcra_take(&listener->log_rate, listener->thread->now_ms);
	sl_log(SL_LOG_ingress, SL_LEVEL_ERROR,
		"gateway %s: connections wait: %s; allow more files (LimitNOFILE=, ulimit -n), or "
		"set \"clients_max\" lower",
		listener->config.name, strerror(error));
}

/* It may be changed at any time (prlimit). */
static int
files_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT_MAX)
		return INT_MAX;
	return (int)limit.rlim_cur - FILES_SPARE;
}

/* Who is accepted cannot be sent back to wait, so this is asked before. The lowest number that is
 * free is the next one's. Threads that ask at once may each take it, and one of the spare ones. */
static bool
is_file_left(int fd)
{
	int next = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (next < 0)
		return false;
	close(next);
	errno = EMFILE;
	return next < files_max();
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct gw_listener *listener = arg;
	union address address;

	RTE_SET_USED(what);
	for (uint32_t i = 0; i < ACCEPTS; i++) {
		socklen_t len = sizeof(address);
		int client = -1;

		if (is_file_left((int)fd))
			client = accept4((int)fd, &address.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		else if (i > 0)
			break; /* Whether others wait is the next turn's to find. */
		if (client >= 0) {
			take_in(listener, client, &address);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_accepting(listener, errno);
		if (errno != ECONNABORTED && errno != EINTR)
			break;
	}
	gw_thread_served(listener->thread, 0);
}

static void
on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct gw_listener *listener = arg;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	if (listener->accept_event != NULL)
		event_add(listener->accept_event, NULL);
}

struct gw_listener *
gw_listener_create(struct gw_thread *thread, struct gw_gateway *gateway)
{
	struct gw_listener *listener = calloc(
		1, sizeof(*listener) + gateway->protocol->listener_size);

	if (listener == NULL)
		return NULL;
	listener->thread = thread;
	listener->gateway = gateway;
	listener->protocol = gateway->protocol;
	listener->config = gateway->config;
	TAILQ_INIT(&listener->clients);
	LIST_INIT(&listener->shown);
	pthread_mutex_init(&listener->shown_lock, NULL);
	sl_gcra_init(&listener->log_rate, LOG_PER_S, LOG_PER_S, 1000);
	return listener;
}

int
gw_listener_open(struct gw_listener *listener)
{
	struct event_base *base = listener->thread->base;
	int fd = listener->gateway->fds[listener->thread->index];
	int rc = 0;

	if (listener->protocol->open != NULL)
		rc = listener->protocol->open(listener);
	if (rc != 0)
		return rc;
	listener->is_open = true;
	if (listener->config.is_connector)
		return gw_connections_open(listener);
	if (fd < 0)
		return 0;
	listener->accept_event = event_new(base, fd, EV_READ | EV_PERSIST, on_accept, listener);
	listener->accept_timer = evtimer_new(base, on_accept_again, listener);
	if (listener->accept_event == NULL || listener->accept_timer == NULL ||
		event_add(listener->accept_event, NULL) != 0)
		return -ENOMEM;
	return 0;
}

void
gw_listener_stop_accepting(struct gw_listener *listener)
{
	int *fd = &listener->gateway->fds[listener->thread->index];

	if (listener->accept_event != NULL)
		event_free(listener->accept_event);
	if (listener->accept_timer != NULL)
		event_free(listener->accept_timer);
	listener->accept_event = listener->accept_timer = NULL;
	if (!listener->config.is_connector && *fd >= 0) {
		close(*fd);
		*fd = -1;
	}
}

void
gw_listener_close(struct gw_listener *listener)
{
	struct gw_client *client;

	gw_listener_stop_accepting(listener);
	gw_connections_close(listener);
	TAILQ_FOREACH (client, &listener->clients, lru)
		gw_client_doom(client);
	gw_clients_turn(listener->thread);
	if (listener->is_open && listener->protocol->close != NULL)
		listener->protocol->close(listener);
	listener->is_open = false;
}

void
gw_listener_free(struct gw_listener *listener)
{
	if (listener == NULL)
		return;
	pthread_mutex_destroy(&listener->shown_lock);
	free(listener->connections);
	free(listener);
}

void
gw_listener_apply(struct gw_listener *listener, const struct gw_limits *limits)
{
	struct sl_config_gateway *config = &listener->config;

	config->clients_max = limits->clients_max;
	config->clients_per_address_max = limits->clients_per_address_max;
	config->idle_ms = limits->idle_ms;
	config->input_max = limits->input_max;
	config->output_max = limits->output_max;
	config->topics_max = limits->topics_max;
	config->rate_msgs_per_s = limits->rate_msgs_per_s;
}

void *
gw_listener_state(struct gw_listener *listener)
{
	return listener->state;
}

const struct sl_config_gateway *
gw_listener_config(const struct gw_listener *listener)
{
	return &listener->config;
}

struct gw_thread *
gw_listener_thread(struct gw_listener *listener)
{
	return listener->thread;
}
