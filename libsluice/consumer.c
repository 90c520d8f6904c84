/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "con_core.h"
#include "error.h"
#include "loop.h"
#include "message.h"

/*
 * Two sides. The owner (the thread, or who processes) has the socket and the core, and the messages
 * but for those that the application has. Under the lock, once a turn, it lays out what came in
 * `ready` and takes what is done. Callbacks are called without the lock.
 */

#define MS	      UINT64_C(1000000)
#define ACCEPT_MAX    64
#define KEPT_CAPACITY 512 /* Memory of messages up to this size is used again. */
#define KEPT_MAX      16384
#define TURNS_MAX     64	/* Without a thread: in one call. */
#define CALLBACKS_NS  (10 * MS) /* Of a turn; then the socket is looked at. */
#define ACKS_NS	      MS	/* So often between callbacks acks that are due are sent. */

#define WINDOW	       1024
#define WINDOW_MAX     65536
#define SESSIONS       256
#define SESSIONS_MAX   65536
#define IDLE_MS	       60000
#define DEDUP_MESSAGES 65536
#define QUEUE_MESSAGES 65536
#define MEMORY_BYTES   (256u << 20)
#define ACK_DELAY_US   5000
#define ACK_EVERY      16 /* No sender waits for one: its congestion window is never smaller. */
#define SOCKET_BUFFER  (4u << 20)
#define DEDUP_MAX      (1u << 26)

struct sluice_consumer {
	struct sl_loop loop;
	struct sluice_consumer_options options; /* Its strings are not kept. */
	int family;
	uint32_t nb_accepted;
	struct sl_udp_peer accepted[ACCEPT_MAX];
	char address[SLUICE_ADDRESS_TEXT];

	/* The application's, under the lock. */
	struct sl_con_list ready;
	struct sl_con_list in_work;
	struct sl_con_list done;
	uint32_t nb_done;
	uint32_t nb_receivers; /* Waiting in sluice_consumer_receive(). */
	bool has_ack_timer;
	struct sluice_consumer_stats stats;

	/* The owner's. */
	struct sl_con_core *core;
	struct sl_udp_rx *rx;
	struct sl_con_list fresh; /* Handed over by the core in this turn. */
	struct sl_con_list kept;  /* Memory to be used again. */
	uint32_t nb_kept;
	uint64_t now;
	uint64_t not_accepted;
	bool is_busy; /* Inside a turn. */
};

/* What the core asks for. */

static struct sl_con_message *
con_get(void *arg, uint32_t len)
{
	struct sluice_consumer *con = arg;
	uint32_t capacity = len <= KEPT_CAPACITY ? KEPT_CAPACITY : len;
	struct sl_con_message *m = NULL;

	if (capacity == KEPT_CAPACITY)
		m = TAILQ_FIRST(&con->kept);
	if (m != NULL) {
		TAILQ_REMOVE(&con->kept, m, next);
		con->nb_kept--;
		return m;
	}
	m = malloc(sizeof(*m) + capacity);
	if (m != NULL)
		m->capacity = capacity;
	return m;
}

static void
con_release(void *arg, struct sl_con_message *m)
{
	struct sluice_consumer *con = arg;

	if (m->capacity != KEPT_CAPACITY || con->nb_kept == KEPT_MAX) {
		free(m);
		return;
	}
	/* The last one is the one the cache knows. */
	TAILQ_INSERT_HEAD(&con->kept, m, next);
	con->nb_kept++;
}

static void
con_deliver(void *arg, struct sl_con_message *m)
{
	struct sluice_consumer *con = arg;

	TAILQ_INSERT_TAIL(&con->fresh, m, next);
}

/* One that is lost is made up for by the next. */
static void
con_send(void *arg, const struct sl_udp_peer *peer, const uint8_t *data, size_t len)
{
	struct sluice_consumer *con = arg;

	sl_udp_send_to(con->loop.sock, con->family, peer, data, len);
}

static void
con_event(void *arg, enum sluice_level level, const struct sl_udp_peer *peer, const char *what)
{
	struct sluice_consumer *con = arg;
	char address[SL_UDP_TEXT], text[256];

	if (con->options.event == NULL)
		return;
	snprintf(text, sizeof(text), "%s %s", sl_udp_text(peer, address), what);
	con->options.event(con->options.event_arg, level, text);
}

/* The owner's side. */

static bool
is_accepted(const struct sluice_consumer *con, const struct sl_udp_peer *peer)
{
	for (uint32_t i = 0; i < con->nb_accepted; i++) {
		if (memcmp(&con->accepted[i].ip, &peer->ip, sizeof(peer->ip)) == 0)
			return true;
	}
	return con->nb_accepted == 0;
}

static void
receive_datagram(void *arg, const struct sl_udp_peer *peer, const uint8_t *data, size_t len)
{
	struct sluice_consumer *con = arg;

	if (is_accepted(con, peer))
		sl_con_input(con->core, peer, data, len, con->now);
	else
		con->not_accepted++;
}

/* Under the lock: is a message done when the callback returns? */
static bool
is_done_by_itself(const struct sluice_consumer *con)
{
	return con->options.message != NULL && (con->options.flags & SLUICE_MANUAL_ACK) == 0;
}

/* Who works slowly leaves the rest to the next turn, so that acks and probes do not wait for it. */
static void
call_back(struct sluice_consumer *con)
{
	uint64_t end = con->now + CALLBACKS_NS, acks_at = con->now + ACKS_NS;
	struct sl_con_message *m;

	while (con->now < end && (m = TAILQ_FIRST(&con->fresh)) != NULL) {
		TAILQ_REMOVE(&con->fresh, m, next);
		if (is_done_by_itself(con)) {
			con->options.message(con->options.message_arg, &m->delivery);
			con->now = sl_loop_now();
			sl_con_done(con->core, m, con->now);
		} else {
			pthread_mutex_lock(&con->loop.lock);
			TAILQ_INSERT_TAIL(&con->in_work, m, next);
			pthread_mutex_unlock(&con->loop.lock);
			con->options.message(con->options.message_arg, &m->delivery);
			con->now = sl_loop_now();
		}
		if (con->now >= acks_at) {
			sl_con_flush(con->core, con->now, false);
			acks_at = con->now + ACKS_NS;
		}
	}
}

/* Is there something for the callback still? */
static bool
has_fresh(const struct sluice_consumer *con)
{
	return con->options.message != NULL && !TAILQ_EMPTY(&con->fresh);
}

/* At the end: what was acknowledged when it came does not come again. */
static void
call_back_the_rest(struct sluice_consumer *con)
{
	while ((con->options.flags & SLUICE_EARLY_ACK) != 0 && has_fresh(con)) {
		con->now = sl_loop_now();
		call_back(con);
	}
}

/* What passes between the two sides, once a turn; under the lock. */
static void
exchange(struct sluice_consumer *con, struct sl_con_list *done)
{
	TAILQ_CONCAT(done, &con->done, next);
	con->nb_done = 0;
	if (con->options.message == NULL && !TAILQ_EMPTY(&con->fresh)) {
		TAILQ_CONCAT(&con->ready, &con->fresh, next);
		if (con->nb_receivers != 0)
			pthread_cond_broadcast(&con->loop.changed);
	}
	sl_con_get_stats(con->core, &con->stats);
	con->stats.not_accepted = con->not_accepted;
}

/* @return whether there may be more to do at once */
static bool
work(struct sluice_consumer *con, struct sl_con_list *done)
{
	struct sl_con_message *m;
	bool has_come;

	con->now = sl_loop_now();
	while ((m = TAILQ_FIRST(done)) != NULL) {
		TAILQ_REMOVE(done, m, next);
		sl_con_done(con->core, m, con->now);
	}
	has_come = sl_udp_receive(con->rx, con->loop.sock, receive_datagram, con) > 0;
	sl_con_tick(con->core, con->now);
	if (con->options.message != NULL)
		call_back(con);
	sl_con_flush(con->core, con->now, false);
	return has_come || has_fresh(con);
}

static void *
run(void *arg)
{
	struct sluice_consumer *con = arg;
	struct sl_con_list done = TAILQ_HEAD_INITIALIZER(done);
	bool is_more = true, is_stopping;

	do {
		pthread_mutex_lock(&con->loop.lock);
		exchange(con, &done);
		is_stopping = con->loop.is_stopping;
		is_more |= !TAILQ_EMPTY(&done) || is_stopping;
		con->loop.is_asleep = !is_more;
		con->has_ack_timer = sl_con_has_timer(con->core);
		pthread_mutex_unlock(&con->loop.lock);
		if (!is_more) {
			sl_loop_wait(&con->loop, sl_con_deadline(con->core));
			pthread_mutex_lock(&con->loop.lock);
			con->loop.is_asleep = false;
			exchange(con, &done);
			pthread_mutex_unlock(&con->loop.lock);
		}
		is_more = work(con, &done);
	} while (!is_stopping);
	call_back_the_rest(con);
	return NULL;
}

int
sluice_consumer_process(struct sluice_consumer *con)
{
	struct sl_con_list done = TAILQ_HEAD_INITIALIZER(done);
	bool is_more = true;
	uint64_t end;

	if (sl_loop_is_forked(&con->loop))
		return SLUICE_FORKED;
	if (con->loop.has_thread)
		return SLUICE_INVALID;
	if (con->is_busy)
		return SLUICE_WRONG_THREAD;
	con->is_busy = true;
	sl_loop_clear(&con->loop);
	end = sl_loop_now() + CALLBACKS_NS;
	for (uint32_t i = 0; is_more && i < TURNS_MAX; i++) {
		exchange(con, &done);
		is_more = work(con, &done);
		/* The caller, too, has others to look at. */
		if (has_fresh(con) || con->now >= end)
			break;
	}
	exchange(con, &done);
	if (!TAILQ_EMPTY(&done)) {
		/* Callbacks said so; the next call takes them. */
		TAILQ_CONCAT(&con->done, &done, next);
		is_more = true;
	}
	sl_loop_arm(&con->loop, is_more ? con->now : sl_con_deadline(con->core));
	con->has_ack_timer = sl_con_has_timer(con->core);
	con->loop.is_asleep = true;
	con->is_busy = false;
	return 0;
}

int
sluice_consumer_fd(const struct sluice_consumer *con)
{
	return con->loop.epoll_fd;
}

/* The application's side. */

static void
process(void *con)
{
	sluice_consumer_process(con);
}

/* Wait for something to have changed; under the lock. @return false: the time is over */
static bool
wait_changed(struct sluice_consumer *con, uint64_t deadline)
{
	return sl_loop_wait_changed(&con->loop, &con->nb_receivers, process, con, deadline);
}

static int
wait_for_message(struct sluice_consumer *con, int timeout_ms)
{
	uint64_t deadline;

	if (!TAILQ_EMPTY(&con->ready))
		return 0;
	if (con->is_busy || sl_loop_is_inside(&con->loop))
		return SLUICE_WRONG_THREAD;
	if (timeout_ms == 0)
		return SLUICE_WOULD_BLOCK;
	deadline = sl_loop_after(sl_loop_now(), timeout_ms);
	while (TAILQ_EMPTY(&con->ready)) {
		if (con->loop.is_stopping)
			return SLUICE_CLOSED;
		if (!wait_changed(con, deadline) && TAILQ_EMPTY(&con->ready))
			return SLUICE_TIMEOUT;
	}
	return 0;
}

int
sluice_consumer_receive(
	struct sluice_consumer *con, const struct sluice_delivery **delivery, int timeout_ms)
{
	struct sl_con_message *m;
	int rc;

	if (sl_loop_is_forked(&con->loop))
		return SLUICE_FORKED;
	if (con->options.message != NULL)
		return SLUICE_INVALID;
	pthread_mutex_lock(&con->loop.lock);
	rc = wait_for_message(con, timeout_ms);
	if (rc == 0) {
		m = TAILQ_FIRST(&con->ready);
		TAILQ_REMOVE(&con->ready, m, next);
		TAILQ_INSERT_TAIL(&con->in_work, m, next);
		*delivery = &m->delivery;
	}
	pthread_mutex_unlock(&con->loop.lock);
	return rc;
}

int
sluice_consumer_done(struct sluice_consumer *con, const struct sluice_delivery *delivery)
{
	/* The delivery is the first in it. */
	struct sl_con_message *m = (struct sl_con_message *)(uintptr_t)delivery;

	if (sl_loop_is_forked(&con->loop))
		return SLUICE_FORKED;
	if (is_done_by_itself(con))
		return SLUICE_INVALID;
	pthread_mutex_lock(&con->loop.lock);
	TAILQ_REMOVE(&con->in_work, m, next);
	TAILQ_INSERT_TAIL(&con->done, m, next);
	con->nb_done++;
	/* When an acknowledgement waits for more, this is more. */
	if (!con->has_ack_timer || con->nb_done >= con->options.ack_every)
		sl_loop_wake(&con->loop);
	pthread_mutex_unlock(&con->loop.lock);
	return 0;
}

const char *
sluice_consumer_address(const struct sluice_consumer *con)
{
	return con->address;
}

void
sluice_consumer_get_stats(struct sluice_consumer *con, struct sluice_consumer_stats *stats)
{
	if (sl_loop_is_forked(&con->loop)) {
		memset(stats, 0, sizeof(*stats));
		return;
	}
	pthread_mutex_lock(&con->loop.lock);
	*stats = con->stats;
	pthread_mutex_unlock(&con->loop.lock);
}

const char *
sluice_address_text(const struct sluice_address *address, char text[SLUICE_ADDRESS_TEXT])
{
	struct sl_udp_peer peer = {.scope = address->scope, .port = address->port};
	char buf[SL_UDP_TEXT];

	memcpy(&peer.ip, address->ip, sizeof(peer.ip));
	snprintf(text, SLUICE_ADDRESS_TEXT, "%s", sl_udp_text(&peer, buf));
	return text;
}

/* Begin and end. */

static void
drop_list(struct sluice_consumer *con, struct sl_con_list *list)
{
	struct sl_con_message *m;

	while ((m = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, m, next);
		sl_con_drop(con->core, m);
	}
}

/* Nobody else uses it any more. */
static void
destroy(struct sluice_consumer *con)
{
	struct sl_con_message *m;

	if (con->core != NULL) {
		drop_list(con, &con->ready);
		drop_list(con, &con->fresh);
		drop_list(con, &con->in_work);
		sl_con_free(con->core);
	}
	while ((m = TAILQ_FIRST(&con->kept)) != NULL) {
		TAILQ_REMOVE(&con->kept, m, next);
		free(m);
	}
	sl_loop_fini(&con->loop);
	sl_udp_rx_free(con->rx);
	free(con);
}

int
sluice_consumer_close(struct sluice_consumer *con)
{
	struct sl_con_message *m;

	if (con == NULL)
		return 0;
	if (sl_loop_is_forked(&con->loop)) {
		/* The parent's thread may have been anywhere: lists and core are left alone. */
		sl_loop_fini(&con->loop);
		sl_udp_rx_free(con->rx);
		free(con);
		return SLUICE_FORKED;
	}
	if (con->is_busy || sl_loop_is_inside(&con->loop))
		return SLUICE_WRONG_THREAD;
	pthread_mutex_lock(&con->loop.lock);
	con->loop.is_stopping = true;
	sl_loop_wake(&con->loop);
	pthread_mutex_unlock(&con->loop.lock);
	if (con->loop.has_thread)
		pthread_join(con->loop.thread, NULL);
	con->is_busy = true;
	call_back_the_rest(con);
	con->now = sl_loop_now();
	while ((m = TAILQ_FIRST(&con->done)) != NULL) {
		TAILQ_REMOVE(&con->done, m, next);
		sl_con_done(con->core, m, con->now);
	}
	sl_con_flush(con->core, con->now, true);
	destroy(con);
	return 0;
}

static uint32_t
or_default(uint32_t value, uint32_t otherwise)
{
	return value != 0 ? value : otherwise;
}

static int
check_options(struct sluice_consumer_options *o, struct sluice_error *error)
{
	const uint32_t flags = SLUICE_NO_THREAD | SLUICE_MANUAL_ACK | SLUICE_EARLY_ACK |
		SLUICE_UNORDERED;

	o->window = or_default(o->window, WINDOW);
	o->sessions_max = or_default(o->sessions_max, SESSIONS);
	o->session_idle_ms = or_default(o->session_idle_ms, IDLE_MS);
	o->dedup_messages = or_default(o->dedup_messages, DEDUP_MESSAGES);
	o->queue_messages = or_default(o->queue_messages, QUEUE_MESSAGES);
	o->memory_bytes = or_default(o->memory_bytes, MEMORY_BYTES);
	o->ack_delay_us = or_default(o->ack_delay_us, ACK_DELAY_US);
	o->ack_every = or_default(o->ack_every, ACK_EVERY);
	/* Nor does a sender that has little credit wait for them. */
	if (o->ack_every > o->window / 2)
		o->ack_every = o->window > 1 ? o->window / 2 : 1;
	o->socket_buffer_bytes = or_default(o->socket_buffer_bytes, SOCKET_BUFFER);
	if (o->listen == NULL)
		return sl_error_set(error, SLUICE_INVALID, "listen: no address is named");
	if ((o->flags & ~flags) != 0)
		return sl_error_set(
			error, SLUICE_INVALID, "flags: 0x%x is not known", o->flags & ~flags);
	if (o->window > WINDOW_MAX || (o->window & (o->window - 1)) != 0)
		return sl_error_set(error, SLUICE_INVALID, "window: %u is no power of 2 up to %u",
			o->window, WINDOW_MAX);
	if (o->sessions_max > SESSIONS_MAX)
		return sl_error_set(error, SLUICE_INVALID, "sessions_max: %u is above %u",
			o->sessions_max, SESSIONS_MAX);
	if (o->dedup_messages > DEDUP_MAX)
		return sl_error_set(error, SLUICE_INVALID, "dedup_messages: %u is above %u",
			o->dedup_messages, DEDUP_MAX);
	if (o->socket_buffer_bytes > INT32_MAX)
		return sl_error_set(error, SLUICE_INVALID, "socket_buffer_bytes: %u is too large",
			o->socket_buffer_bytes);
	for (size_t i = 0; i < sizeof(o->reserved) / sizeof(o->reserved[0]); i++) {
		if (o->reserved[i] != 0)
			return sl_error_set(error, SLUICE_INVALID,
				"reserved: not 0; initialise the options with {0}");
	}
	return 0;
}

static int
open_socket(struct sluice_consumer *con, struct sluice_error *error)
{
	struct sl_udp_peer local;
	char text[SL_UDP_TEXT];
	int nb, sock;

	nb = sl_udp_parse(con->options.listen, SLUICE_PORT, true, &local, 1, error);
	if (nb < 0)
		return nb;
	if (con->options.accept_from != NULL) {
		nb = sl_udp_parse(
			con->options.accept_from, 0, false, con->accepted, ACCEPT_MAX, error);
		if (nb < 0)
			return nb;
		con->nb_accepted = (uint32_t)nb;
	}
	con->family = sl_udp_family(&local, 1);
	sock = sl_udp_open(con->family, &local, con->options.socket_buffer_bytes, error);
	if (sock < 0)
		return sock;
	sl_udp_local(sock, &local);
	snprintf(con->address, sizeof(con->address), "%s", sl_udp_text(&local, text));
	return sl_loop_init(&con->loop, sock, (con->options.flags & SLUICE_NO_THREAD) == 0, error);
}

/* Bursts may be lost on the last meter. */
static void
tell_small_buffer(const struct sluice_consumer *con)
{
	const struct sluice_consumer_options *o = &con->options;
	uint32_t bytes = sl_udp_buffer(con->loop.sock);
	char text[256];

	if (o->event == NULL || bytes >= o->socket_buffer_bytes)
		return;
	snprintf(text, sizeof(text),
		"%s has a socket buffer of %u bytes instead of %u: raise net.core.rmem_max",
		con->address, bytes, o->socket_buffer_bytes);
	o->event(o->event_arg, SLUICE_LEVEL_INFO, text);
}

static bool
allocate(struct sluice_consumer *con)
{
	const struct sluice_consumer_options *o = &con->options;
	struct sl_con_params params = {
		.window = o->window,
		.sessions_max = o->sessions_max,
		.dedup_messages = o->dedup_messages,
		.queue_messages = o->queue_messages,
		.memory_bytes = o->memory_bytes,
		.idle_ns = o->session_idle_ms * MS,
		.ack_delay_ns = o->ack_delay_us * (MS / 1000),
		.ack_every = o->ack_every,
		.is_early = (o->flags & SLUICE_EARLY_ACK) != 0,
		.is_unordered = (o->flags & SLUICE_UNORDERED) != 0,
		.trusts_epochs = con->nb_accepted != 0,
		.hooks = {.arg = con,
			.get = con_get,
			.release = con_release,
			.deliver = con_deliver,
			.send = con_send,
			.event = con_event},
	};

	if (getrandom(&params.seed, sizeof(params.seed), 0) != (ssize_t)sizeof(params.seed))
		params.seed = sl_loop_now();
	con->rx = sl_udp_rx_new(UINT16_MAX);
	if (con->rx != NULL)
		con->core = sl_con_new(&params);
	return con->core != NULL;
}

struct sluice_consumer *
sluice_consumer_open(const struct sluice_consumer_options *options, struct sluice_error *error)
{
	struct sluice_consumer *con = calloc(1, sizeof(*con));
	int rc;

	if (error != NULL)
		*error = (struct sluice_error){0};
	if (con == NULL) {
		sl_error_set(error, SLUICE_NO_MEMORY, "out of memory");
		return NULL;
	}
	con->options = *options;
	TAILQ_INIT(&con->ready);
	TAILQ_INIT(&con->in_work);
	TAILQ_INIT(&con->done);
	TAILQ_INIT(&con->fresh);
	TAILQ_INIT(&con->kept);
	rc = check_options(&con->options, error);
	if (rc == 0)
		rc = open_socket(con, error);
	if (rc != 0) {
		free(con);
		return NULL;
	}
	con->options.listen = con->options.accept_from = NULL;
	tell_small_buffer(con);
	if (!allocate(con))
		rc = sl_error_set(error, SLUICE_NO_MEMORY, "out of memory");
	if (rc == 0 && con->loop.has_thread)
		rc = sl_loop_start(&con->loop, run, con, "sluice-sub", error);
	if (rc == 0) {
		if (!con->loop.has_thread)
			sluice_consumer_process(con);
		return con;
	}
	destroy(con);
	return NULL;
}
