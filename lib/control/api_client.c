/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "api_internal.h"
#include "control_internal.h"

/* Bytes written to one client in one turn. */
#define WRITE_MAX (256u << 10)

static size_t
unread(const struct api_client *client)
{
	return evbuffer_get_length(bufferevent_get_output(client->bev));
}

static void
on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
	struct api_client *client = arg;

	RTE_SET_USED(output);
	client->server->unread += info->n_added;
	client->server->unread -= info->n_deleted;
	if (info->n_deleted > 0 || info->orig_size == 0)
		client->unread_since_ms = control_now_ms();
}

void
api_client_free(struct api_client *client)
{
	struct sl_api_server *server = client->server;
	struct api_pending *pending;

	while ((pending = TAILQ_FIRST(&client->pending)) != NULL) {
		TAILQ_REMOVE(&client->pending, pending, next);
		if (pending->request != NULL)
			request_cancel(pending->request);
		free(pending);
	}
	server->unread -= unread(client);
	evbuffer_remove_cb(bufferevent_get_output(client->bev), on_output, client);
	TAILQ_REMOVE(&server->clients, client, next);
	server->nb_clients--;
	event_free(client->more);
	bufferevent_free(client->bev);
	free(client);
}

static void
free_frame(const void *data, size_t len, void *arg)
{
	RTE_SET_USED(len);
	RTE_SET_USED(arg);
	free((void *)(uintptr_t)data);
}

static void
send_frame(struct api_client *client, uint8_t *frame, size_t len)
{
	struct evbuffer *output = bufferevent_get_output(client->bev);

	if (frame == NULL || evbuffer_add_reference(output, frame, len, free_frame, NULL) != 0) {
		free(frame);
		client->is_doomed = true;
		event_active(client->more, EV_READ, 0);
		return;
	}
	api_relieve(client->server);
}

/* An answer that belongs to no request, and the end. */
static void
send_off(struct api_client *client, int status, const char *error)
{
	size_t len = 0;
	uint8_t *frame = response_make(0, status, error, NULL, &len);

	api_complain(client->server, &client->peer, error);
	client->is_closing = true;
	bufferevent_disable(client->bev, EV_READ);
	send_frame(client, frame, len);
}

static void
on_response(void *arg, uint8_t *frame, size_t len)
{
	struct api_pending *pending = arg;
	struct api_client *client = pending->client;

	TAILQ_REMOVE(&client->pending, pending, next);
	client->nb_pending--;
	free(pending);
	send_frame(client, frame, len);
	/* It may have been at its bound, or waited for this with its end. */
	event_active(client->more, EV_READ, 0);
}

static void
handle(struct api_client *client, const uint8_t *data, size_t len)
{
	struct api_pending *pending = calloc(1, sizeof(*pending));
	struct sl_request *later = NULL;
	int rc;

	if (pending == NULL) {
		send_off(client, ENOMEM, "no memory for the request");
		return;
	}
	pending->client = client;
	TAILQ_INSERT_TAIL(&client->pending, pending, next);
	client->nb_pending++;
	client->server->nb_requests++;
	rc = request_handle(
		client->server->control, &client->peer, data, len, on_response, pending, &later);
	if (rc != 0) {
		TAILQ_REMOVE(&client->pending, pending, next);
		client->nb_pending--;
		free(pending);
		send_off(client, -rc,
			"that is no request of the control API (control.proto): closing the "
			"connection");
	} else if (later != NULL) {
		pending->request = later;
	}
}

enum taken { TOOK_ONE, TOOK_NONE, TOOK_NONE_YET };

/* Take one request out of the input, when there is a whole one and room for its answer. */
static enum taken
take(struct api_client *client)
{
	struct evbuffer *input = bufferevent_get_input(client->bev);
	size_t have = evbuffer_get_length(input), len;
	uint8_t header[REQUEST_HEADER], *frame;

	if (client->nb_pending >= API_PENDING_MAX || unread(client) > API_UNREAD_MAX)
		return TOOK_NONE_YET;
	if (have < sizeof(header))
		return TOOK_NONE;
	evbuffer_copyout(input, header, sizeof(header));
	len = request_length(header);
	if (len > REQUEST_MAX) {
		send_off(client, EMSGSIZE,
			"a request has at most 1 MiB (is this a client of the control API?): "
			"closing the connection");
		return TOOK_NONE_YET;
	}
	if (have < sizeof(header) + len)
		return TOOK_NONE;
	frame = evbuffer_pullup(input, (ev_ssize_t)(sizeof(header) + len));
	if (frame == NULL) {
		client->is_doomed = true;
		return TOOK_NONE_YET;
	}
	handle(client, frame + sizeof(header), len);
	evbuffer_drain(input, sizeof(header) + len);
	return TOOK_ONE;
}

/* Nobody is left at the other end (an end of sending alone is no reason to close). */
static bool
has_hung_up(const struct api_client *client)
{
	struct pollfd pollfd = {.fd = bufferevent_getfd(client->bev)};

	return poll(&pollfd, 1, 0) == 1 && (pollfd.revents & (POLLHUP | POLLERR)) != 0;
}

/* One request a turn: then others have theirs. May free the client. */
static void
work(struct api_client *client)
{
	enum taken taken = TOOK_NONE_YET;

	if (!client->is_closing && !client->is_doomed)
		taken = take(client);
	if (client->is_doomed) {
		api_client_free(client);
		return;
	}
	if (taken == TOOK_ONE) {
		client->half_since_ms = 0;
		event_active(client->more, EV_READ, 0);
		return;
	}
	if (taken == TOOK_NONE) {
		if (evbuffer_get_length(bufferevent_get_input(client->bev)) == 0)
			client->half_since_ms = 0;
		else if (client->half_since_ms == 0)
			client->half_since_ms = control_now_ms();
		if (client->is_eof)
			client->is_closing = true;
	}
	/* What is asked for and takes its time (a trace) ends with who asked. */
	if (client->is_closing &&
		((unread(client) == 0 && client->nb_pending == 0) || has_hung_up(client)))
		api_client_free(client);
}

static void
on_more(evutil_socket_t fd, short what, void *arg)
{
	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	work(arg);
}

static void
on_data(struct bufferevent *bev, void *arg)
{
	RTE_SET_USED(bev);
	work(arg);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct api_client *client = arg;

	RTE_SET_USED(bev);
	if (!(what & BEV_EVENT_EOF)) {
		api_client_free(client);
		return;
	}
	client->is_eof = true;
	work(client);
}

void
api_client_sweep(struct api_client *client, uint64_t now_ms)
{
	if (client->is_eof && has_hung_up(client)) {
		api_client_free(client);
	} else if (unread(client) > 0 && now_ms - client->unread_since_ms > API_PATIENCE_MS) {
		api_complain(client->server, &client->peer,
			"the answers are not read: closing the connection");
		api_client_free(client);
	} else if (client->half_since_ms != 0 && !client->is_closing &&
		now_ms - client->half_since_ms > API_PATIENCE_MS) {
		send_off(client, ETIMEDOUT,
			"half a request, and no more of it for 10 s: closing the connection");
	}
}

int
api_client_create(struct sl_api_server *server, int fd, const struct request_peer *peer)
{
	struct api_client *client = calloc(1, sizeof(*client));

	if (client == NULL)
		return -ENOMEM;
	client->server = server;
	client->peer = *peer;
	TAILQ_INIT(&client->pending);
	client->more = event_new(server->base, -1, 0, on_more, client);
	client->bev = bufferevent_socket_new(server->base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (client->more == NULL || client->bev == NULL ||
		evbuffer_add_cb(bufferevent_get_output(client->bev), on_output, client) == NULL) {
		if (client->more != NULL)
			event_free(client->more);
		if (client->bev != NULL)
			bufferevent_free(client->bev);
		free(client);
		return -ENOMEM;
	}
	event_priority_set(client->more, server->priority);
	bufferevent_priority_set(client->bev, server->priority);
	bufferevent_setwatermark(client->bev, EV_READ, 0, REQUEST_HEADER + REQUEST_MAX);
	bufferevent_setwatermark(client->bev, EV_WRITE, API_UNREAD_MAX / 2, 0);
	bufferevent_set_max_single_write(client->bev, WRITE_MAX);
	bufferevent_setcb(client->bev, on_data, on_data, on_event, client);
	bufferevent_setfd(client->bev, fd);
	bufferevent_enable(client->bev, EV_READ | EV_WRITE);
	TAILQ_INSERT_TAIL(&server->clients, client, next);
	server->nb_clients++;
	return 0;
}
