/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "chunk.h"
#include "ingress.h"
#include "tls.h"

/*
 * Between a client's socket and its protocol.
 *
 * Reading: all clients of a thread share one buffer; a client keeps what is left of a unit only.
 * Writing: at the end of a turn, what was put into `output` in it with one writev(); the socket is
 * asked for room only when it had none. An idle client has no buffer at all.
 */

#define FLUSHES 4u

/* Memory that waits. */

static void
account(struct gw_client *client)
{
	struct gw_thread *thread = client->listener->thread;
	uint32_t in = (uint32_t)evbuffer_get_length(client->input);
	uint32_t out = (uint32_t)evbuffer_get_length(client->output);

	thread->memory += (uint64_t)in + out;
	thread->memory -= (uint64_t)client->input_len + client->output_len;
	client->input_len = in;
	client->output_len = out;
}

/* Above the thread's bound each has its share of it. */
static uint64_t
share_of(const struct gw_client *client, uint64_t max)
{
	const struct gw_thread *thread = client->listener->thread;
	uint64_t share;

	if (likely(thread->memory < GW_MEMORY_MAX))
		return max;
	share = GW_MEMORY_MAX / RTE_MAX(thread->nb_clients, 1u);
	share = RTE_MAX(share, (uint64_t)GW_SHARE_MIN);
	return RTE_MIN(max, share);
}

uint64_t
gw_client_output_max(const struct gw_client *client)
{
	return share_of(client, client->listener->config.output_max);
}

bool
gw_client_hold(struct gw_client *client, size_t len)
{
	client->listener->thread->memory += len - client->kept_len;
	client->kept_len = len;
	client->is_kept_whole = false;
	return len <= share_of(client, UINT64_MAX);
}

void
gw_client_hold_whole(struct gw_client *client)
{
	client->is_kept_whole = true;
}

void
gw_client_stop_reading(struct gw_client *client)
{
	if (client->is_reading)
		event_del(&client->read_event);
	client->is_reading = false;
}

void
gw_client_stop_writing(struct gw_client *client)
{
	if (client->is_writing)
		event_del(&client->write_event);
	client->is_writing = false;
}

/* Reading. */

static bool
may_read(const struct gw_client *client)
{
	if (client->is_lingering)
		return true;
	return !client->is_own && client->pauses == 0 && !client->is_waiting &&
		!client->is_closing && !client->is_eof && !client->is_doomed &&
		!client->listener->thread->has_drained;
}

static void
start_reading(struct gw_client *client)
{
	if (!client->is_reading && !client->is_doomed && may_read(client))
		client->is_reading = event_add(&client->read_event, NULL) == 0;
}

static void
moved(struct gw_client *client)
{
	struct gw_listener *listener = client->listener;

	client->moved_ms = listener->thread->now_ms;
	if (TAILQ_NEXT(client, lru) == NULL)
		return;
	TAILQ_REMOVE(&listener->clients, client, lru);
	TAILQ_INSERT_TAIL(&listener->clients, client, lru);
}

static void
run_input(struct gw_client *client)
{
	client->is_in_input = true;
	client->listener->protocol->input(client, client->input);
	client->is_in_input = false;
}

/* What the protocol has left: it may have to be kept, and has to be within bounds. */
static void
after_input(struct gw_client *client)
{
	uint64_t left = evbuffer_get_length(client->input);
	uint64_t max = (uint64_t)client->listener->config.input_max + GW_READ_MAX;

	if (client->is_closing || client->is_doomed) {
		evbuffer_drain(client->input, left);
	} else if (left > share_of(client, max) && !gw_client_is_held_back(client)) {
		gw_client_refuse(client, GW_TOO_LONG, "more input than is taken at once", NULL, 0);
		gw_client_doom(client);
	}
	account(client);
}

/* Bytes that lie in the thread's buffer, behind what was left before. */
static void
take_input(struct gw_client *client, size_t joined, size_t len)
{
	struct gw_thread *thread = client->listener->thread;
	size_t left;

	if (joined == 0 && evbuffer_get_length(client->input) > 0) {
		evbuffer_add(client->input, thread->read_buffer, len);
		run_input(client);
		after_input(client);
		return;
	}
	if (evbuffer_add_reference(client->input, thread->read_buffer, joined + len, NULL, NULL) !=
		0) {
		gw_client_doom(client);
		return;
	}
	run_input(client);
	/* The buffer is the next one's: what is left is moved out of it. */
	left = evbuffer_get_length(client->input);
	if (left > 0 && !client->is_doomed) {
		const uint8_t *rest = thread->read_buffer + joined + len - left;

		evbuffer_drain(client->input, left);
		evbuffer_add(client->input, rest, left);
	} else {
		evbuffer_drain(client->input, left);
	}
	after_input(client);
}

static ssize_t
read_some(struct gw_client *client, uint8_t *to, size_t len)
{
	return client->ssl != NULL ? gw_tls_read(client, to, len) : read(client->fd, to, len);
}

static void
on_reset(struct gw_client *client)
{
	if (client->connection != NULL)
		gw_connection_says(client->connection, strerror(errno));
	gw_client_count(client, GW_RESET);
	gw_client_doom(client);
}

void
gw_client_check_end(struct gw_client *client)
{
	bool is_kept = client->listener->protocol->keeps_half_open &&
		gw_client_is_subscribed(client);

	if (!client->is_eof || client->is_closing || client->is_doomed)
		return;
	if (client->nb_pending == 0 && !gw_client_is_held_back(client) && !is_kept)
		gw_client_close(client);
}

/* It has said its last word, perhaps in the middle of one. */
static void
on_eof(struct gw_client *client)
{
	bool is_in_middle = evbuffer_get_length(client->input) > 0 ||
		(client->kept_len > 0 && !client->is_kept_whole);

	client->is_eof = true;
	gw_client_stop_reading(client);
	if (client->is_lingering || (client->is_closing && client->output_len == 0)) {
		gw_client_doom(client);
		return;
	}
	if (is_in_middle && !gw_client_is_held_back(client))
		gw_client_count(client, GW_RESET);
	gw_durables_eof(client);
	gw_client_check_end(client);
}

/* After its end it is given time to read what it was sent; what it says is not heard. */
static void
read_lingering(struct gw_client *client)
{
	ssize_t n = read(client->fd, client->listener->thread->read_buffer, GW_READ_MAX);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		gw_client_doom(client);
}

static void flush(struct gw_client *client);

/* What it says is no sign that it reads, and puts off when the housekeeping looks at it. */
static void
look_for_stall(struct gw_client *client)
{
	/* It may have read a moment ago, and nobody has seen it yet. */
	if (unlikely(gw_client_is_stalled(client))) {
		flush(client);
		gw_client_check_stall(client);
	}
}

static void
read_client(struct gw_client *client)
{
	struct gw_thread *thread = client->listener->thread;
	size_t joined = evbuffer_get_length(client->input);
	ssize_t n;

	if (joined > GW_JOIN_MAX)
		joined = 0;
	n = read_some(client, thread->read_buffer + joined, GW_READ_MAX);
	if (n > 0) {
		if (joined > 0)
			evbuffer_remove(client->input, thread->read_buffer, joined);
		moved(client);
		GW_ADD(client->listener->stats.bytes_in, (uint64_t)n);
		if (client->connection != NULL)
			GW_ADD(client->connection->server->bytes_in, (uint64_t)n);
		look_for_stall(client);
		if (likely(!client->is_doomed))
			take_input(client, joined, (size_t)n);
		gw_thread_served(thread, (uint32_t)n);
	} else if (n == 0) {
		on_eof(client);
	} else if (errno != EAGAIN && errno != EINTR) {
		on_reset(client);
	}
}

static void
handshake(struct gw_client *client)
{
	int rc = gw_tls_handshake(client);

	if (rc == 0) {
		client->is_handshaking = false;
		gw_client_stop_writing(client);
		moved(client);
		gw_client_begin(client);
	} else if (rc < 0) {
		/* With time to read why. */
		client->is_handshaking = false;
		gw_client_close(client);
	}
}

/* What an event of its socket begins with. @return bytes may be read and written */
static bool
is_open(struct gw_client *client)
{
	gw_thread_served(client->listener->thread, 0);
	if (client->is_doomed)
		return false;
	if (!client->is_handshaking)
		return true;
	handshake(client);
	return false;
}

void
gw_client_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct gw_client *client = arg;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	if (!is_open(client))
		return;
	if (client->wants_read_for_write) {
		client->wants_read_for_write = false;
		gw_client_flush_later(client);
	}
	if (!may_read(client))
		gw_client_stop_reading(client);
	else if (client->is_lingering)
		read_lingering(client);
	else
		read_client(client);
	/* What TLS has decrypted already wakes nobody. */
	while (may_read(client) && !client->is_lingering && gw_tls_has_more(client))
		read_client(client);
}

/* Again, with what was left. */
void
gw_client_go_on(struct gw_client *client)
{
	if (client->is_doomed || client->is_in_input || client->is_waiting || client->pauses > 0 ||
		client->listener->thread->has_drained)
		return;
	client->listener->thread->is_busy = true;
	/* It was not for it to say anything. */
	moved(client);
	look_for_stall(client);
	if (unlikely(client->is_doomed))
		return;
	/* Also without anything left: a protocol may hold what it has taken off. */
	if ((client->is_connected || client->is_own) && !client->is_closing) {
		run_input(client);
		after_input(client);
	}
	while (may_read(client) && !client->is_lingering && gw_tls_has_more(client))
		read_client(client);
	start_reading(client);
	gw_client_check_end(client);
}

void
gw_client_wait(struct gw_client *client, struct gw_clients *list)
{
	if (client->is_waiting)
		return;
	client->is_waiting = true;
	client->wait_ms = client->listener->thread->now_ms;
	client->wait_list = list;
	if (list != NULL)
		TAILQ_INSERT_TAIL(list, client, waiting);
	GW_ADD(client->listener->stats.waits, 1);
}

bool
gw_client_is_held_back(const struct gw_client *client)
{
	return client->is_waiting || client->pauses > 0;
}

void
gw_client_pause(struct gw_client *client)
{
	client->pauses++;
}

static void
on_resumed(struct gw_client *client)
{
	gw_client_go_on(client);
}

void
gw_client_resume(struct gw_client *client)
{
	if (client->pauses > 0 && --client->pauses > 0)
		return;
	if (client->is_doomed)
		return;
	/* Not from here: it may be called in the middle of what the protocol does. */
	gw_client_after(client, 0, on_resumed);
}

/* Writing. */

void
gw_client_flush_later(struct gw_client *client)
{
	if (client->is_dirty || client->is_doomed)
		return;
	client->is_dirty = true;
	TAILQ_INSERT_TAIL(&client->listener->thread->dirty, client, dirty);
}

static bool
may_write(struct gw_client *client, size_t len)
{
	if (unlikely(client->is_doomed || client->is_lingering || client->is_gone))
		return false;
	/* What came in one turn may be more than is allowed to wait, and need not wait. */
	if (unlikely(client->output_len + len > gw_client_output_max(client)) &&
		!client->is_writing)
		flush(client);
	if (unlikely(client->is_doomed))
		return false;
	if (unlikely(client->output_len + len > gw_client_output_max(client))) {
		gw_client_loses(client);
		return false;
	}
	if (client->output_len == 0)
		client->output_ms = client->listener->thread->now_ms;
	return true;
}

static void
wrote(struct gw_client *client, size_t len)
{
	client->written += len;
	client->output_len += (uint32_t)len;
	client->listener->thread->memory += len;
	gw_client_flush_later(client);
}

bool
gw_client_write(struct gw_client *client, const void *data, size_t len)
{
	if (!may_write(client, len))
		return false;
	if (evbuffer_add(client->output, data, len) != 0) {
		gw_client_loses(client);
		return false;
	}
	wrote(client, len);
	return true;
}

static void
release_chunk(const void *data, size_t len, void *arg)
{
	RTE_SET_USED(data);
	RTE_SET_USED(len);
	gw_chunk_free(arg);
}

bool
gw_client_write_chunk(struct gw_client *client, struct gw_chunk *chunk)
{
	if (chunk->len < GW_CHUNK_SHARED)
		return gw_client_write(client, chunk->bytes, chunk->len);
	if (!may_write(client, chunk->len))
		return false;
	chunk->refs++;
	if (evbuffer_add_reference(
		    client->output, chunk->bytes, chunk->len, release_chunk, chunk) != 0) {
		chunk->refs--;
		gw_client_loses(client);
		return false;
	}
	wrote(client, chunk->len);
	return true;
}

/* All is sent: say so, and wait for the peer to have read it. */
static void
linger(struct gw_client *client)
{
	if (client->is_lingering)
		return;
	client->is_lingering = true;
	if (client->ssl != NULL)
		SSL_shutdown(client->ssl);
	if (client->is_eof || shutdown(client->fd, SHUT_WR) != 0)
		gw_client_doom(client);
	else
		start_reading(client);
}

/* @return bytes that have gone; -1: none can go now or ever: errno */
static ssize_t
flush_some(struct gw_client *client)
{
	return client->ssl != NULL ? gw_tls_flush(client)
				   : evbuffer_write(client->output, client->fd);
}

static void
flush(struct gw_client *client)
{
	struct gw_listener *listener = client->listener;
	uint64_t before = client->gone;
	bool is_blocked = false;
	ssize_t n;

	if (client->is_doomed || client->is_handshaking)
		return;
	for (uint32_t i = 0; i < FLUSHES && evbuffer_get_length(client->output) > 0; i++) {
		n = flush_some(client);
		if (n < 0 && errno == EAGAIN) {
			is_blocked = true;
			break;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			on_reset(client);
			return;
		}
		client->gone += (uint64_t)n;
	}
	account(client);
	if (client->gone != before) {
		GW_ADD(listener->stats.bytes_out, client->gone - before);
		client->output_ms = listener->thread->now_ms;
		moved(client);
		gw_subscriber_progress(client);
	}
	if (client->output_len == 0) {
		gw_client_stop_writing(client);
		if (unlikely(client->losing_ms != 0))
			gw_client_has_read(client);
		if (client->is_closing)
			linger(client);
	} else if (!is_blocked) {
		gw_client_flush_later(client);
		listener->thread->is_busy = true;
	} else if (!client->is_writing && !client->wants_read_for_write) {
		client->is_writing = event_add(&client->write_event, NULL) == 0;
	}
}

void
gw_client_on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct gw_client *client = arg;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	if (!is_open(client))
		return;
	if (client->wants_write_for_read) {
		client->wants_write_for_read = false;
		gw_client_stop_writing(client);
		if (may_read(client))
			read_client(client);
	}
	flush(client);
}

void
gw_clients_turn(struct gw_thread *thread)
{
	struct gw_clients dirty;
	struct gw_client *client;

	TAILQ_INIT(&dirty);
	TAILQ_CONCAT(&dirty, &thread->dirty, dirty);
	while ((client = TAILQ_FIRST(&dirty)) != NULL) {
		TAILQ_REMOVE(&dirty, client, dirty);
		client->is_dirty = false;
		flush(client);
	}
	while ((client = TAILQ_FIRST(&thread->doomed)) != NULL) {
		TAILQ_REMOVE(&thread->doomed, client, doomed);
		gw_client_end(client);
	}
}
