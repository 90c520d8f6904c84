/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef API_INTERNAL_H
#define API_INTERNAL_H

/** @file What the listener and the connections of the control API share. */

#include <sys/queue.h>
#include <sys/stat.h>

#include <event2/bufferevent.h>
#include <event2/event.h>

#include "request.h"
#include "sl_api_server.h"

/* Requests of one client that may wait for their answers. */
#define API_PENDING_MAX 8

/* A client with more than this unread is not listened to until it has read. */
#define API_UNREAD_MAX (1u << 20)

/* Unread answers of all clients together; above, the one with most is closed. */
#define API_UNREAD_TOTAL (256u << 20)

/* How long half a request, or an answer nobody reads, is waited for. */
#define API_PATIENCE_MS 10000

struct api_client;

/* A request that is answered later. */
struct api_pending {
	TAILQ_ENTRY(api_pending) next;
	struct api_client *client;
	struct sl_request *request;
};

struct api_client {
	TAILQ_ENTRY(api_client) next;
	struct sl_api_server *server;
	struct bufferevent *bev;
	struct event *more; /* There may be another request in the input. */
	struct request_peer peer;
	TAILQ_HEAD(, api_pending) pending;
	uint32_t nb_pending;
	uint64_t half_since_ms;	  /* When the input began to hold half a request; 0: it does not. */
	uint64_t unread_since_ms; /* When something unread was last read. */
	bool is_eof;		  /* It sends no more. */
	bool is_closing;	  /* It is closed when it has read what there is for it. */
	bool is_doomed;		  /* It is closed in its next event. */
};

TAILQ_HEAD(api_client_list, api_client);

struct sl_api_server {
	struct sl_control *control;
	struct event_base *base;
	char *path;
	struct stat identity; /* Of the socket: whether the file is still ours. */
	int fd;
	int priority;
	struct event *accept;
	struct event *sweep;
	uint32_t nb_clients;
	uint64_t nb_requests;
	uint64_t nb_turned_away;
	struct api_client_list clients;
	size_t unread;
	uint64_t complained_ms;
	uint32_t nb_complaints; /* Not told. */
};

/* Serve a connection. Returns 0, or -ENOMEM: the caller's still. */
int api_client_create(struct sl_api_server *server, int fd, const struct request_peer *peer);

void api_client_free(struct api_client *client);

/* Look at the time; may free the client. */
void api_client_sweep(struct api_client *client, uint64_t now_ms);

/* A client misbehaves: a line in the log, at most one a second. */
void api_complain(struct sl_api_server *server, const struct request_peer *peer, const char *what);

/* Too much is unread: the client with most goes. */
void api_relieve(struct sl_api_server *server);

#endif /* API_INTERNAL_H */
