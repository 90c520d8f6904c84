/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TEST_CHECK_H
#define TEST_CHECK_H

/* Destinations whose backends are real servers on loopback, in the test's own event loop. */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "sl_checks.h"

#define BACKENDS_MAX 64
#define EVENTS_MAX   256
#define SENT_MAX     4096

/* What happened, as the hooks heard it. */
struct heard {
	enum sl_config_level level;
	char kind[32];
	char text[256];
};

struct world {
	struct event_base *base;
	struct sl_checks *checks;
	struct sl_config config;
	struct sl_config_destination destination;
	struct sl_config_check check;
	struct sl_config_backend backends[BACKENDS_MAX];
	char names[BACKENDS_MAX][16];
	uint32_t shares[BACKENDS_MAX];
	uint32_t nb_shares_told;
	struct heard heard[EVENTS_MAX];
	uint32_t nb_heard;
	bool can_send;
	struct {
		uint32_t backend;
		uint64_t nonce;
	} sent[SENT_MAX];
	uint32_t nb_sent;
};

static inline uint64_t
world_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void
world_set_share(void *arg, uint32_t destination, uint32_t backend, uint32_t share)
{
	struct world *world = arg;

	assert(destination == 0 && backend < BACKENDS_MAX);
	world->shares[backend] = share;
	world->nb_shares_told++;
}

static inline void
world_event(
	void *arg, enum sl_config_level level, const char *kind, json_t *fields, const char *text)
{
	struct world *world = arg;
	struct heard *heard = &world->heard[world->nb_heard % EVENTS_MAX];

	assert(fields != NULL);
	json_decref(fields);
	heard->level = level;
	snprintf(heard->kind, sizeof(heard->kind), "%s", kind);
	snprintf(heard->text, sizeof(heard->text), "%s", text);
	world->nb_heard++;
}

static inline bool
world_send(struct world *world, uint32_t backend, uint64_t nonce)
{
	if (!world->can_send)
		return false;
	assert(world->nb_sent < SENT_MAX);
	world->sent[world->nb_sent].backend = backend;
	world->sent[world->nb_sent++].nonce = nonce;
	return true;
}

static inline bool
world_send_probe(void *arg, uint32_t destination, uint32_t backend, uint64_t nonce)
{
	assert(destination == 0);
	return world_send(arg, backend, nonce);
}

static inline bool
world_send_echo(void *arg, uint32_t destination, uint32_t backend, uint16_t id, uint16_t sequence)
{
	assert(destination == 0);
	return world_send(arg, backend, (uint64_t)id << 16 | sequence);
}

/* One destination, "table1", whose one check is to be filled in; backends b0, b1, ... */
static inline void
world_init(struct world *world, enum sl_config_check_kind kind, uint32_t nb_backends)
{
	memset(world, 0, sizeof(*world));
	world->base = event_base_new();
	assert(world->base != NULL);
	world->can_send = true;
	world->check = (struct sl_config_check){.kind = kind, .status_min = 200, .status_max = 399};
	for (uint32_t i = 0; i < nb_backends; i++) {
		snprintf(world->names[i], sizeof(world->names[i]), "b%u", i);
		world->backends[i] = (struct sl_config_backend){
			.name = world->names[i],
			.address = sl_ip_from_v4(htonl(INADDR_LOOPBACK)),
			.port = 9,
			.weight = 1,
		};
	}
	world->destination = (struct sl_config_destination){
		.name = (char *)(uintptr_t) "table1",
		.key = 0xe265c9dbf29f8fca,
		.nb_backends = nb_backends,
		.backends = world->backends,
		.health = {.interval_ms = 100,
			.fast_interval_ms = 30,
			.down_interval_ms = 60,
			.timeout_ms = 150,
			.rise = 2,
			.fall = 3,
			.notify_after = 5,
			.nb_checks = 1,
			.checks = &world->check},
	};
	world->config = (struct sl_config){
		.nb_destinations = 1, .destinations = &world->destination};
}

static inline void
world_start_with(struct world *world, uint32_t sockets_max)
{
	const struct sl_checks_params params = {
		.base = world->base,
		.hooks = {.arg = world,
			.set_share = world_set_share,
			.event = world_event,
			.send_probe = world_send_probe,
			.send_echo = world_send_echo},
		.node = "test",
		.sockets_max = sockets_max,
	};
	int rc = sl_checks_create(&params, &world->config, &world->checks);

	assert(rc == 0);
	(void)rc;
}

static inline void
world_start(struct world *world)
{
	world_start_with(world, 0);
}

static inline void
world_end(struct world *world)
{
	sl_checks_destroy(world->checks);
	/* No timer and no socket is left behind. */
	assert(event_base_get_num_events(world->base, EVENT_BASE_COUNT_ADDED) == 0);
	event_base_free(world->base);
}

static inline enum sl_health_state
world_state(const struct world *world, uint32_t backend)
{
	struct sl_check_status status;

	if (!sl_checks_get(world->checks, 0, backend, &status))
		return SL_HEALTH_STATES;
	return status.state;
}

/* Run the loop for a while. */
static inline void
world_run(struct world *world, uint32_t ms)
{
	/* In steps: one in which the machine stands still is no more than the others. */
	for (uint32_t step; ms > 0; ms -= step) {
		step = ms < 20 ? ms : 20;
		event_base_loopexit(world->base, &(struct timeval){.tv_usec = step * 1000});
		event_base_dispatch(world->base);
	}
}

/* Run the loop until a backend is in a state. @return how many ms that took; UINT64_MAX: never */
static inline uint64_t
world_wait(struct world *world, uint32_t backend, enum sl_health_state state)
{
	uint64_t from = world_now_ms();

	while (world_state(world, backend) != state) {
		if (world_now_ms() > from + 10000)
			return UINT64_MAX;
		world_run(world, 5);
	}
	return world_now_ms() - from;
}

static inline uint32_t
world_count(const struct world *world, const char *kind)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < world->nb_heard && i < EVENTS_MAX; i++)
		n += strcmp(world->heard[i].kind, kind) == 0;
	return n;
}

/** @name A server: what it says, when, and how it leaves. @{ */

struct server {
	struct event_base *base;
	int fd;
	uint16_t port;
	struct event *event;
	const char *says;	 /* NULL: nothing, for ever. */
	size_t says_len;	 /* 0: strlen(says) */
	const char *says_mostly; /* To two of three clients, instead; NULL: to none. */
	uint32_t after_ms;
	uint32_t piece; /* Bytes a piece of it; 0: all at once. */
	bool for_ever;	/* Says it again and again. */
	bool resets;	/* Hangs up with RST, at once. */
	bool is_first;	/* Speaks without being asked. */
	uint32_t nb_clients;
	char request[4096]; /* The last. */
	struct client *clients;
};

struct client {
	struct server *server;
	struct client *next;
	uint32_t number;
	int fd;
	struct event *reads;
	struct event *writes;
	size_t said;
};

static inline void
client_end(struct client *client)
{
	struct client **at = &client->server->clients;

	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	event_free(client->reads);
	event_free(client->writes);
	close(client->fd);
	free(client);
}

static inline const char *
client_text(const struct client *client)
{
	const struct server *server = client->server;

	return server->says_mostly != NULL && client->number % 3 != 0 ? server->says_mostly
								      : server->says;
}

static inline size_t
client_text_len(const struct client *client)
{
	return client->server->says_len != 0 ? client->server->says_len
					     : strlen(client_text(client));
}

/* @return false when it has to wait, or is done */
static inline bool
client_says(struct client *client)
{
	const struct server *server = client->server;
	size_t len = client_text_len(client);
	size_t n = len - client->said;
	ssize_t sent;

	if (server->piece != 0 && server->piece < n)
		n = server->piece;
	sent = send(client->fd, client_text(client) + client->said, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	client->said += sent > 0 ? (size_t)sent : 0;
	if (client->said == len && server->for_ever)
		client->said = 0;
	return sent > 0 && client->said < len;
}

static inline void
client_writes(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;
	const struct server *server = client->server;
	const struct timeval soon = {0, 1000};
	size_t len = client_text_len(client);

	(void)fd;
	(void)what;
	/* Garbage comes fast, pieces come one by one. */
	for (unsigned int i = 0; client_says(client) && server->for_ever && i < 1000; i++)
		;
	if (client->said < len)
		event_add(client->writes, &soon);
	else
		client_end(client);
}

static inline void
client_speaks(struct client *client)
{
	const struct timeval after = {0, (suseconds_t)(client->server->after_ms + 1) * 1000};

	event_add(client->writes, &after);
}

static inline void
client_reads(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;
	struct server *server = client->server;
	ssize_t n = recv(fd, server->request, sizeof(server->request) - 1, 0);

	(void)what;
	if (n <= 0) {
		client_end(client);
		return;
	}
	server->request[n] = '\0';
	if (server->says != NULL && !server->is_first)
		client_speaks(client);
}

static inline void
server_accepts(evutil_socket_t fd, short what, void *arg)
{
	const struct linger now = {1, 0};
	struct server *server = arg;
	struct client *client;
	int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (peer < 0)
		return;
	server->nb_clients++;
	if (server->resets) {
		setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		close(peer);
		return;
	}
	client = calloc(1, sizeof(*client));
	assert(client != NULL);
	client->server = server;
	client->number = server->nb_clients;
	client->fd = peer;
	client->next = server->clients;
	server->clients = client;
	client->reads = event_new(server->base, peer, EV_READ | EV_PERSIST, client_reads, client);
	client->writes = event_new(server->base, peer, EV_TIMEOUT, client_writes, client);
	event_add(client->reads, NULL);
	if (server->says != NULL && server->is_first)
		client_speaks(client);
}

static inline void
server_answers(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, server->request, sizeof(server->request) - 1, 0,
		(struct sockaddr *)&from, &len);

	(void)what;
	if (n < 0)
		return;
	server->request[n] = '\0';
	server->nb_clients++;
	if (server->says != NULL)
		sendto(fd, server->says, strlen(server->says), 0, (struct sockaddr *)&from, len);
}

/* @param port  0: any */
static inline void
server_open(struct server *server, struct event_base *base, int type, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};
	socklen_t len = sizeof(address);
	const int on = 1;
	int rc;

	server->base = base;
	server->fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	rc = bind(server->fd, (struct sockaddr *)&address, sizeof(address));
	assert(rc == 0);
	if (type == SOCK_STREAM)
		rc = listen(server->fd, 1024);
	assert(rc == 0);
	(void)rc;
	getsockname(server->fd, (struct sockaddr *)&address, &len);
	server->port = ntohs(address.sin_port);
	server->event = event_new(base, server->fd, EV_READ | EV_PERSIST,
		type == SOCK_STREAM ? server_accepts : server_answers, server);
	event_add(server->event, NULL);
}

static inline void
server_close(struct server *server)
{
	while (server->clients != NULL)
		client_end(server->clients);
	event_free(server->event);
	close(server->fd);
}
/** @} */

#endif /* TEST_CHECK_H */
