/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <event2/buffer.h>

#include "ingress.h"
#include "tls.h"
#include "sl_log.h"

/* A client: its beginning and its end, what time does to it, and what is said of it. */

#define CLOSE_MS       1000u
#define QUEUE_STALL_MS 5000u
#define EOF_WAIT_MS    30000u
#define LOG_SHOWN      200u

struct gw_timer {
	LIST_ENTRY(gw_timer) next;
	struct event *event;
	struct gw_client *client;
	void (*call)(struct gw_client *client);
};

/* Begin and end. */

static void
set_peer(struct gw_client *client, const struct sl_ip *ip, uint16_t port)
{
	char text[SL_IP_STRLEN];

	sl_ip_format(ip, text);
	snprintf(client->peer, sizeof(client->peer), sl_ip_is_v4(ip) ? "%s:%u" : "[%s]:%u", text,
		port);
}

void
gw_client_begin(struct gw_client *client)
{
	client->is_connected = true;
	if (client->connection != NULL)
		gw_connection_up(client->connection);
	if (client->listener->protocol->connected != NULL)
		client->listener->protocol->connected(client);
}

struct gw_client *
gw_client_create(struct gw_listener *listener, int fd, const struct sl_ip *ip, uint16_t port,
	struct gw_connection *connection)
{
	struct gw_client *client = calloc(1, sizeof(*client) + listener->protocol->client_size);

	if (client != NULL) {
		client->input = evbuffer_new();
		client->output = evbuffer_new();
	}
	if (client == NULL || client->input == NULL || client->output == NULL) {
		if (client != NULL && client->input != NULL)
			evbuffer_free(client->input);
		free(client);
		close(fd);
		return NULL;
	}
	client->listener = listener;
	client->connection = connection;
	client->fd = fd;
	client->refs = 1;
	client->ip = *ip;
	client->moved_ms = client->output_ms = listener->thread->now_ms;
	TAILQ_INIT(&client->held);
	set_peer(client, ip, port);
	event_assign(&client->read_event, listener->thread->base, fd, EV_READ | EV_PERSIST,
		gw_client_on_readable, client);
	event_assign(&client->write_event, listener->thread->base, fd, EV_WRITE | EV_PERSIST,
		gw_client_on_writable, client);
	TAILQ_INSERT_TAIL(&listener->clients, client, lru);
	gw_client_shown(client);
	listener->thread->nb_clients++;
	GW_ADD(listener->stats.clients, 1);
	GW_ADD(listener->stats.connections, 1);
	client->is_reading = event_add(&client->read_event, NULL) == 0;
	if (!client->is_reading)
		gw_client_doom(client);
	else if (listener->thread->snapshot->tls[listener->gateway->index] == NULL)
		gw_client_begin(client);
	else if (!gw_tls_begin(client))
		gw_client_doom(client);
	else if (connection != NULL)
		event_active(&client->read_event, EV_READ, 1); /* It speaks first. */
	return client;
}

void
gw_client_doom(struct gw_client *client)
{
	if (client->is_doomed)
		return;
	client->is_doomed = true;
	gw_client_stop_reading(client);
	gw_client_stop_writing(client);
	TAILQ_INSERT_TAIL(&client->listener->thread->doomed, client, doomed);
	client->listener->thread->is_busy = true;
}

void
gw_client_unref(struct gw_client *client)
{
	if (--client->refs == 0)
		free(client);
}

static void
free_timer(struct gw_timer *timer)
{
	LIST_REMOVE(timer, next);
	event_free(timer->event);
	free(timer);
}

void
gw_client_end(struct gw_client *client)
{
	struct gw_listener *listener = client->listener;
	struct gw_thread *thread = listener->thread;
	struct gw_timer *timer;

	if (client->is_connected && listener->protocol->closed != NULL)
		listener->protocol->closed(client);
	gw_publisher_forget(client);
	gw_subscriber_forget(client);
	while ((timer = LIST_FIRST(&client->timers)) != NULL)
		free_timer(timer);
	client->is_gone = true;
	if (client->is_dirty)
		TAILQ_REMOVE(&thread->dirty, client, dirty);
	client->is_dirty = false;
	thread->memory -= client->input_len + client->output_len + client->kept_len;
	evbuffer_free(client->input);
	evbuffer_free(client->output);
	SSL_free(client->ssl);
	if (client->fd >= 0)
		close(client->fd);
	gw_tokens_unref(client->tokens);
	TAILQ_REMOVE(&listener->clients, client, lru);
	if (!client->is_own) {
		gw_client_unshown(client);
		thread->nb_clients--;
		GW_ADD(listener->stats.clients, -1);
	}
	if (client->connection != NULL) {
		gw_connection_lost(client->connection);
	} else if (!client->is_own) {
		__atomic_sub_fetch(&listener->gateway->clients, 1, __ATOMIC_RELAXED);
		gw_addresses_give(listener->gateway->addresses, &client->ip);
	}
	gw_client_unref(client);
}

/* Bytes that it has not, here and in the kernel. */
static uint64_t
bytes_left(const struct gw_client *client)
{
	int queued = 0;

	if (ioctl(client->fd, SIOCOUTQ, &queued) != 0 || queued < 0)
		queued = 0;
	return client->output_len + (uint64_t)queued;
}

/* What flows is not cut, however long it takes; who reads none of it is not waited for. */
static void
on_close_time(struct gw_client *client)
{
	uint64_t left = bytes_left(client), now = client->listener->thread->now_ms;

	if (left > 0 && left < client->closing_left) {
		client->closing_left = left;
		client->flowed_ms = now;
	}
	if (left == 0 || client->flowed_ms == 0 || now - client->flowed_ms >= QUEUE_STALL_MS)
		gw_client_doom(client);
	else
		gw_client_after(client, CLOSE_MS, on_close_time);
}

void
gw_client_close(struct gw_client *client)
{
	if (client->is_closing || client->is_doomed)
		return;
	client->is_closing = true;
	client->closing_left = bytes_left(client);
	gw_client_after(client, CLOSE_MS, on_close_time);
	/* The end of the turn finds it, with or without output. */
	gw_client_flush_later(client);
}

/* Time. */

/* Who is held back is not read, so that nobody hears of its end. */
static void
check_end(struct gw_client *client)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (getsockopt(client->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
		info.tcpi_state != TCP_CLOSE)
		return;
	gw_client_count(client, GW_RESET);
	gw_client_doom(client);
}

static void
check_silence(struct gw_client *client, uint64_t now)
{
	const struct gw_listener *listener = client->listener;
	uint32_t idle_ms = listener->config.idle_ms;

	/* The latter has a time of its own. */
	if (client->is_kept || client->is_closing)
		return;
	/* What it has sent would be lost with it. */
	if (gw_client_is_held_back(client)) {
		check_end(client);
		return;
	}
	if (idle_ms != 0 && now - client->moved_ms >= idle_ms && !gw_client_is_subscribed(client) &&
		client->nb_pending == 0) {
		gw_client_count(client, GW_IDLE);
		gw_client_doom(client);
	} else if (client->is_eof && now - client->moved_ms >= EOF_WAIT_MS &&
		!gw_client_is_subscribed(client)) {
		gw_client_doom(client);
	}
}

bool
gw_client_is_stalled(const struct gw_client *client)
{
	return !client->is_doomed && client->nb_held > 0 && client->output_len > 0 &&
		client->listener->thread->now_ms - client->output_ms >= QUEUE_STALL_MS;
}

void
gw_client_check_stall(struct gw_client *client)
{
	if (!gw_client_is_stalled(client))
		return;
	gw_client_refuse(client, GW_OUTPUT_FULL,
		"it does not read what it was given of a queue; it is closed", NULL, 0);
	gw_client_doom(client);
}

void
gw_clients_housekeeping(struct gw_listener *listener)
{
	uint64_t now = listener->thread->now_ms;
	struct gw_client *client;

	/* In the order of their last move: the first that has not been silent for long ends it. */
	TAILQ_FOREACH (client, &listener->clients, lru) {
		if (now - client->moved_ms < RTE_MIN(QUEUE_STALL_MS,
						     listener->config.idle_ms != 0
							     ? listener->config.idle_ms
							     : UINT32_MAX))
			break;
		if (client->is_doomed)
			continue;
		check_silence(client, now);
		gw_client_check_stall(client);
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct gw_timer *timer = arg;
	struct gw_client *client = timer->client;
	void (*call)(struct gw_client * client) = timer->call;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	free_timer(timer);
	client->listener->thread->is_busy = true;
	if (!client->is_doomed)
		call(client);
}

void
gw_client_after(struct gw_client *client, uint32_t ms, void (*call)(struct gw_client *client))
{
	const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
	struct gw_timer *timer = calloc(1, sizeof(*timer));

	if (timer == NULL || client->is_gone)
		goto fail;
	timer->client = client;
	timer->call = call;
	timer->event = evtimer_new(client->listener->thread->base, on_timer, timer);
	if (timer->event == NULL || evtimer_add(timer->event, &tv) != 0)
		goto fail;
	LIST_INSERT_HEAD(&client->timers, timer, next);
	return;
fail:
	/* Without memory for a timer it cannot be served. */
	if (timer != NULL && timer->event != NULL)
		event_free(timer->event);
	free(timer);
	if (!client->is_gone)
		gw_client_doom(client);
}

/* Reasons. */

void
gw_client_count(struct gw_client *client, enum gw_reason reason)
{
	GW_ADD(client->listener->stats.reasons[reason], 1);
	if (client->connection != NULL)
		GW_ADD(client->connection->server->refused, 1);
}

/* The first bytes of what came, readable. */
static void
escape(const uint8_t *in, size_t len, char *out)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < len && i < LOG_SHOWN; i++) {
		if (in[i] >= ' ' && in[i] < 0x7f && in[i] != '\\') {
			*out++ = (char)in[i];
			continue;
		}
		*out++ = '\\';
		*out++ = 'x';
		*out++ = hex[in[i] >> 4];
		*out++ = hex[in[i] & 15];
	}
	*out = '\0';
}

bool
gw_listener_may_log(struct gw_listener *listener, char more[48])
{
	if (!sl_gcra_conforms(&listener->log_rate, listener->thread->now_ms)) {
		listener->log_suppressed++;
		return false;
	}
	sl_gcra_take(&listener->log_rate, listener->thread->now_ms);
	more[0] = '\0';
	if (listener->log_suppressed > 0)
		snprintf(more, 48, " (and %" PRIu64 " more before)", listener->log_suppressed);
	listener->log_suppressed = 0;
	return true;
}

void
gw_client_refuse(struct gw_client *client, enum gw_reason reason, const char *what,
	const void *input, size_t input_len)
{
	struct gw_listener *listener = client->listener;
	char shown[4 * LOG_SHOWN + 1] = "", more[48] = "";

	gw_client_count(client, reason);
	if (!gw_listener_may_log(listener, more))
		return;
	if (input != NULL)
		escape(input, input_len, shown);
	sl_log(SL_LOG_ingress, SL_LEVEL_WARN, "gateway %s: %s: %s: %s%s%s%s%s",
		listener->config.name, client->peer, gw_reason_name(reason), what,
		input != NULL ? ": \"" : "", shown, input != NULL ? "\"" : "", more);
}

bool
gw_client_authorize(struct gw_client *client, const char *token, size_t token_len)
{
	const struct gw_thread *thread = client->listener->thread;
	struct gw_tokens *tokens = thread->snapshot->tokens[client->listener->gateway->index];

	if (tokens == NULL)
		return true;
	gw_tokens_unref(client->tokens);
	client->tokens = NULL;
	client->name = gw_tokens_find(tokens, token, token_len);
	if (client->name == NULL) {
		gw_client_count(client, GW_NOT_ALLOWED);
		return false;
	}
	client->tokens = gw_tokens_ref(tokens);
	return true;
}

/* Plain answers. */

void *
gw_client_state(struct gw_client *client)
{
	return client->state;
}

struct gw_listener *
gw_client_listener(struct gw_client *client)
{
	return client->listener;
}

struct gw_thread *
gw_client_thread(struct gw_client *client)
{
	return client->listener->thread;
}

const struct sl_config_gateway *
gw_client_config(const struct gw_client *client)
{
	return &client->listener->config;
}

const char *
gw_client_peer(const struct gw_client *client)
{
	return client->peer;
}

const char *
gw_client_name(const struct gw_client *client)
{
	return client->name;
}

void
gw_client_keep(struct gw_client *client)
{
	client->is_kept = true;
}

bool
gw_client_is_connector(const struct gw_client *client)
{
	return client->connection != NULL;
}
