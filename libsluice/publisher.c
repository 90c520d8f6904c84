/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "error.h"
#include "loop.h"
#include "message.h"
#include "pub_core.h"
#include "udp.h"

/*
 * Two sides. Callers, under the lock, fill `submitted`. The owner (the thread, or who processes)
 * has the socket and the core; once a turn, under the lock, it takes what was submitted and gives
 * back what is done with. Callbacks are called without the lock.
 */

#define MS	       UINT64_C(1000000)
#define APPLIANCES_MAX 64
#define KEPT_CAPACITY  512 /* Memory of messages up to this size is used again. */
#define SEND_TRIES     3   /* An error may be of an earlier datagram. */
#define TURNS_MAX      64  /* Without a thread: in one call. */

#define QUEUE_MESSAGES 16384
#define QUEUE_BYTES    (64u << 20)
#define WINDOW	       4096
#define WINDOW_MAX     65536
#define DATAGRAM_BYTES 1400
#define DATAGRAM_MIN   128
#define SILENCE_MS     1000
#define SILENCE_MIN_MS 100
#define SOCKET_BUFFER  (4u << 20)

/* Who waits in sluice_publish(). */
struct sl_pub_waiter {
	bool is_settled;
	int result;
};

struct sluice_publisher {
	struct sl_loop loop;
	struct sluice_publisher_options options; /* Its strings are not kept. */
	uint64_t source;
	uint64_t id_high;
	int family;
	char *appliances; /* To be looked up again, by the thread; without one: NULL. */
	uint32_t nb_peers;
	struct sl_udp_peer peers[APPLIANCES_MAX];

	/* The callers', under the lock. */
	struct sl_pub_list submitted;
	struct sl_pub_list kept; /* Memory to be used again. */
	uint64_t held_bytes;
	uint64_t unsettled;
	uint32_t nb_blocked; /* Waiting for room or the end. */
	bool has_abandoned;
	uint64_t id_low;
	struct sluice_publisher_stats stats;

	/* The owner's. */
	struct sl_pub_core *core;
	struct sl_udp_rx *rx;
	struct sl_pack pack;
	uint32_t pack_sent;
	bool can_segment;
	bool is_busy; /* Inside a turn. */
	struct sl_pub_list released;
	uint64_t released_bytes;
	uint64_t nb_settled;
	uint64_t now;
	uint64_t datagrams_sent;
	uint64_t bytes_sent;
	uint64_t send_errors;
};

/* What the core asks for. */

static uint64_t
pub_random(void *arg)
{
	uint64_t value = 0;

	if (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
		value = sl_loop_now();
	return value;
}

static void
pub_settled(void *arg, struct sl_pub_message *m, int result)
{
	struct sluice_publisher *pub = arg;

	pub->nb_settled++;
	if (m->done != NULL) {
		m->done(m->arg, &m->id, result);
		return;
	}
	if (!m->is_waited_for)
		return;
	pthread_mutex_lock(&pub->loop.lock);
	if (m->waiter != NULL) {
		m->waiter->is_settled = true;
		m->waiter->result = result;
		m->waiter = NULL;
	}
	pthread_cond_broadcast(&pub->loop.changed);
	pthread_mutex_unlock(&pub->loop.lock);
}

static void
pub_release(void *arg, struct sl_pub_message *m)
{
	struct sluice_publisher *pub = arg;

	pub->released_bytes += sizeof(*m) + m->capacity;
	if (m->capacity == KEPT_CAPACITY)
		TAILQ_INSERT_TAIL(&pub->released, m, next);
	else
		free(m);
}

static bool
pub_connect(void *arg, uint32_t appliance)
{
	struct sluice_publisher *pub = arg;

	return sl_udp_connect(pub->loop.sock, pub->family, &pub->peers[appliance]) == 0;
}

/* The socket stays, and with it the family. A name that is not found now may be found later. */
static uint32_t
pub_look_up(void *arg)
{
	struct sl_udp_peer found[APPLIANCES_MAX];
	struct sluice_publisher *pub = arg;
	uint32_t kept = 0;
	int nb;

	if (pub->appliances == NULL)
		return pub->nb_peers;
	nb = sl_udp_parse(pub->appliances, SLUICE_PORT, false, found, APPLIANCES_MAX, NULL);
	for (int i = 0; i < nb; i++) {
		if (pub->family == AF_INET6 || sl_udp_family(&found[i], 1) == AF_INET)
			found[kept++] = found[i];
	}
	if (kept > 0) {
		memcpy(pub->peers, found, kept * sizeof(found[0]));
		pub->nb_peers = kept;
	}
	return pub->nb_peers;
}

static void
pub_event(void *arg, enum sluice_level level, uint32_t appliance, const char *what)
{
	struct sluice_publisher *pub = arg;
	char address[SL_UDP_TEXT], text[256];

	if (pub->options.event == NULL)
		return;
	snprintf(text, sizeof(text), "%s %s", sl_udp_text(&pub->peers[appliance], address), what);
	pub->options.event(pub->options.event_arg, level, text);
}

/* The owner's side. */

static void
receive_datagram(void *arg, const struct sl_udp_peer *peer, const uint8_t *data, size_t len)
{
	struct sluice_publisher *pub = arg;

	sl_pub_input(pub->core, data, len, pub->now);
}

/* @return whether anything came */
static bool
receive(struct sluice_publisher *pub)
{
	int n = sl_udp_receive(pub->rx, pub->loop.sock, receive_datagram, pub);

	if (n == -ECONNREFUSED || n == -EHOSTUNREACH || n == -ENETUNREACH)
		sl_pub_unreachable(pub->core, pub->now);
	return n > 0;
}

/* Send what is left of the batch. @return false: the socket is full */
static bool
send_batch(struct sluice_publisher *pub)
{
	const struct sl_pack *pack = &pub->pack;
	uint32_t tries = 0;
	int n;

	while (pub->pack_sent < pack->nb) {
		n = sl_udp_send(pub->loop.sock, pack, pub->pack_sent, &pub->can_segment);
		if (n == -EAGAIN || n == -ENOBUFS) {
			pub->loop.wants_write = true;
			return false;
		}
		if (n < 0) {
			if (n == -ECONNREFUSED || n == -EHOSTUNREACH || n == -ENETUNREACH)
				sl_pub_unreachable(pub->core, pub->now);
			if (++tries < SEND_TRIES)
				continue;
			/* Missed, and sent again in time; what is at-most-once is lost. */
			sl_pub_not_sent(pub->core, pub->now);
			pub->send_errors += pack->nb - pub->pack_sent;
			pub->pack_sent = pack->nb;
			break;
		}
		pub->datagrams_sent += (uint32_t)n;
		pub->bytes_sent += pack->offsets[pub->pack_sent + (uint32_t)n] -
			pack->offsets[pub->pack_sent];
		pub->pack_sent += (uint32_t)n;
	}
	return true;
}

/* @return whether there may be more */
static bool
output(struct sluice_publisher *pub)
{
	pub->loop.wants_write = false;
	if (!send_batch(pub))
		return false;
	sl_pack_reset(&pub->pack);
	pub->pack_sent = 0;
	sl_pub_output(pub->core, &pub->pack, pub->now);
	if (pub->pack.nb == 0)
		return false;
	return send_batch(pub);
}

/* What passes between the two sides, once a turn. */
static void
exchange(struct sluice_publisher *pub, struct sl_pub_list *submitted)
{
	TAILQ_CONCAT(submitted, &pub->submitted, next);
	TAILQ_CONCAT(&pub->kept, &pub->released, next);
	pub->held_bytes -= pub->released_bytes;
	pub->unsettled -= pub->nb_settled;
	if ((pub->nb_settled | pub->released_bytes) != 0 && pub->nb_blocked != 0)
		pthread_cond_broadcast(&pub->loop.changed);
	pub->released_bytes = 0;
	pub->nb_settled = 0;
	sl_pub_get_stats(pub->core, &pub->stats);
	pub->stats.datagrams_sent = pub->datagrams_sent;
	pub->stats.bytes_sent = pub->bytes_sent;
	pub->stats.send_errors = pub->send_errors;
}

/* @return whether there may be more to do at once */
static bool
work(struct sluice_publisher *pub, struct sl_pub_list *submitted, bool has_abandoned)
{
	struct sl_pub_message *m;
	bool is_more;

	pub->now = sl_loop_now();
	while ((m = TAILQ_FIRST(submitted)) != NULL) {
		TAILQ_REMOVE(submitted, m, next);
		sl_pub_submit(pub->core, m);
	}
	if (has_abandoned)
		sl_pub_give_up_abandoned(pub->core);
	is_more = receive(pub);
	sl_pub_tick(pub->core, pub->now);
	is_more |= output(pub);
	return is_more || pub->nb_settled != 0;
}

static void *
run(void *arg)
{
	struct sluice_publisher *pub = arg;
	struct sl_pub_list submitted = TAILQ_HEAD_INITIALIZER(submitted);
	bool is_more = true, is_stopping, has_abandoned;

	do {
		pthread_mutex_lock(&pub->loop.lock);
		exchange(pub, &submitted);
		has_abandoned = pub->has_abandoned;
		pub->has_abandoned = false;
		is_stopping = pub->loop.is_stopping;
		is_more |= !TAILQ_EMPTY(&submitted) || has_abandoned || is_stopping;
		pub->loop.is_asleep = !is_more;
		pthread_mutex_unlock(&pub->loop.lock);
		if (!is_more) {
			sl_loop_wait(&pub->loop, sl_pub_deadline(pub->core));
			pthread_mutex_lock(&pub->loop.lock);
			pub->loop.is_asleep = false;
			exchange(pub, &submitted);
			pthread_mutex_unlock(&pub->loop.lock);
		}
		is_more = work(pub, &submitted, has_abandoned);
	} while (!is_stopping);
	return NULL;
}

int
sluice_publisher_process(struct sluice_publisher *pub)
{
	struct sl_pub_list submitted = TAILQ_HEAD_INITIALIZER(submitted);
	bool is_more = true;

	if (sl_loop_is_forked(&pub->loop))
		return SLUICE_FORKED;
	if (pub->loop.has_thread)
		return SLUICE_INVALID;
	if (pub->is_busy)
		return SLUICE_WRONG_THREAD;
	pub->is_busy = true;
	sl_loop_clear(&pub->loop);
	for (uint32_t i = 0; is_more && i < TURNS_MAX; i++) {
		exchange(pub, &submitted);
		is_more = work(pub, &submitted, pub->has_abandoned);
		pub->has_abandoned = false;
	}
	exchange(pub, &submitted);
	while (!TAILQ_EMPTY(&submitted)) {
		/* Callbacks published them; the next call takes them. */
		TAILQ_CONCAT(&pub->submitted, &submitted, next);
		is_more = true;
	}
	sl_loop_arm(&pub->loop, is_more ? pub->now : sl_pub_deadline(pub->core));
	pub->loop.is_asleep = true;
	pub->is_busy = false;
	return 0;
}

int
sluice_publisher_fd(const struct sluice_publisher *pub)
{
	return pub->loop.epoll_fd;
}

/* The callers' side. */

/* May the caller wait here? Under the lock. */
static bool
may_wait(const struct sluice_publisher *pub)
{
	return pub->loop.has_thread ? !sl_loop_is_inside(&pub->loop) : !pub->is_busy;
}

static void
process(void *pub)
{
	sluice_publisher_process(pub);
}

/* Wait for something to have changed; under the lock. @return false: the time is over */
static bool
wait_changed(struct sluice_publisher *pub, uint64_t deadline)
{
	return sl_loop_wait_changed(&pub->loop, &pub->nb_blocked, process, pub, deadline);
}

static bool
has_room(const struct sluice_publisher *pub, uint32_t capacity)
{
	return pub->unsettled < pub->options.queue_messages &&
		(pub->held_bytes == 0 ||
			pub->held_bytes + sizeof(struct sl_pub_message) + capacity <=
				pub->options.queue_bytes);
}

static int
wait_for_room(struct sluice_publisher *pub, uint32_t capacity, int wait_ms)
{
	uint64_t deadline;

	if (has_room(pub, capacity))
		return 0;
	if (wait_ms == 0)
		return SLUICE_WOULD_BLOCK;
	if (!may_wait(pub))
		return SLUICE_WRONG_THREAD;
	deadline = sl_loop_after(sl_loop_now(), wait_ms);
	while (!has_room(pub, capacity)) {
		if (!wait_changed(pub, deadline) && !has_room(pub, capacity))
			return SLUICE_WOULD_BLOCK;
		if (pub->loop.is_stopping)
			return SLUICE_CLOSED;
	}
	return 0;
}

static struct sl_pub_message *
get_message(struct sluice_publisher *pub, uint32_t capacity)
{
	struct sl_pub_message *m = NULL;

	if (capacity == KEPT_CAPACITY)
		m = TAILQ_FIRST(&pub->kept);
	if (m != NULL)
		TAILQ_REMOVE(&pub->kept, m, next);
	else
		m = malloc(sizeof(*m) + capacity);
	if (m != NULL) {
		m->capacity = capacity;
		pub->held_bytes += sizeof(*m) + capacity;
	}
	return m;
}

static struct sluice_id
new_id(struct sluice_publisher *pub)
{
	return (struct sluice_id){.high = pub->id_high, .low = pub->id_low++};
}

static uint64_t
message_deadline(const struct sluice_publisher *pub)
{
	return pub->options.message_timeout_ms == 0
		? UINT64_MAX
		: sl_loop_now() + pub->options.message_timeout_ms * MS;
}

/* Under the lock. */
static int
submit(struct sluice_publisher *pub, const struct sluice_message *message,
	const struct sl_message_shape *shape, int wait_ms, struct sl_pub_message **submitted)
{
	uint32_t capacity = shape->len <= KEPT_CAPACITY ? KEPT_CAPACITY : shape->len;
	struct sl_pub_message *m;
	int rc;

	if (pub->loop.is_stopping)
		return SLUICE_CLOSED;
	rc = wait_for_room(pub, capacity, wait_ms);
	if (rc != 0)
		return rc;
	m = get_message(pub, capacity);
	if (m == NULL)
		return SLUICE_NO_MEMORY;
	m->len = shape->len;
	m->body = shape->body;
	m->deadline = message_deadline(pub);
	m->is_at_most_once = (message->flags & SLUICE_AT_MOST_ONCE) != 0;
	m->is_abandoned = false;
	m->id = message->id;
	if (message->id_text != NULL)
		m->id = sluice_text_id(message->id_text, shape->text_len);
	else if (m->id.high == 0 && m->id.low == 0)
		m->id = new_id(pub);
	sl_message_write(m->bytes, message, shape, pub->source, &m->id);
	if (m->is_at_most_once)
		pub->stats.at_most_once++;
	else
		pub->stats.published++;
	pub->unsettled++;
	TAILQ_INSERT_TAIL(&pub->submitted, m, next);
	sl_loop_wake(&pub->loop);
	*submitted = m;
	return 0;
}

int
sluice_publish_async(struct sluice_publisher *pub, const struct sluice_message *message,
	int wait_ms, sluice_done_fn done, void *arg)
{
	struct sl_message_shape shape;
	struct sl_pub_message *m;
	int rc;

	if (sl_loop_is_forked(&pub->loop))
		return SLUICE_FORKED;
	rc = sl_message_measure(message, pub->options.datagram_bytes, &shape);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&pub->loop.lock);
	rc = submit(pub, message, &shape, wait_ms, &m);
	if (rc == 0) {
		m->done = done;
		m->arg = arg;
		m->waiter = NULL;
		m->is_waited_for = false;
	}
	pthread_mutex_unlock(&pub->loop.lock);
	return rc;
}

int
sluice_publish(struct sluice_publisher *pub, const struct sluice_message *message, int timeout_ms)
{
	uint64_t deadline = sl_loop_after(sl_loop_now(), timeout_ms);
	struct sl_pub_waiter waiter = {.result = SLUICE_TIMEOUT};
	struct sl_message_shape shape;
	struct sl_pub_message *m;
	int rc;

	if (sl_loop_is_forked(&pub->loop))
		return SLUICE_FORKED;
	rc = sl_message_measure(message, pub->options.datagram_bytes, &shape);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&pub->loop.lock);
	rc = may_wait(pub) ? submit(pub, message, &shape, timeout_ms, &m) : SLUICE_WRONG_THREAD;
	if (rc != 0) {
		pthread_mutex_unlock(&pub->loop.lock);
		return rc == SLUICE_WOULD_BLOCK ? SLUICE_TIMEOUT : rc;
	}
	m->done = NULL;
	m->waiter = &waiter;
	m->is_waited_for = true;
	while (!waiter.is_settled && wait_changed(pub, deadline))
		;
	if (!waiter.is_settled) {
		m->waiter = NULL;
		m->is_abandoned = true;
		pub->has_abandoned = true;
		sl_loop_wake(&pub->loop);
	}
	pthread_mutex_unlock(&pub->loop.lock);
	return waiter.result;
}

struct sluice_id
sluice_publisher_new_id(struct sluice_publisher *pub)
{
	struct sluice_id id;

	pthread_mutex_lock(&pub->loop.lock);
	id = new_id(pub);
	pthread_mutex_unlock(&pub->loop.lock);
	return id;
}

int
sluice_publisher_flush(struct sluice_publisher *pub, int timeout_ms)
{
	uint64_t deadline = sl_loop_after(sl_loop_now(), timeout_ms);
	int rc = 0;

	if (sl_loop_is_forked(&pub->loop))
		return SLUICE_FORKED;
	pthread_mutex_lock(&pub->loop.lock);
	if (!may_wait(pub))
		rc = SLUICE_WRONG_THREAD;
	while (rc == 0 && pub->unsettled != 0) {
		if (pub->loop.is_stopping)
			rc = SLUICE_CLOSED;
		else if (!wait_changed(pub, deadline) && pub->unsettled != 0)
			rc = SLUICE_TIMEOUT;
	}
	pthread_mutex_unlock(&pub->loop.lock);
	return rc;
}

void
sluice_publisher_get_stats(struct sluice_publisher *pub, struct sluice_publisher_stats *stats)
{
	if (sl_loop_is_forked(&pub->loop)) {
		memset(stats, 0, sizeof(*stats));
		return;
	}
	pthread_mutex_lock(&pub->loop.lock);
	*stats = pub->stats;
	pthread_mutex_unlock(&pub->loop.lock);
	stats->outstanding = stats->published - stats->durable - stats->failed;
}

/* Begin and end. */

static void
free_list(struct sl_pub_list *list)
{
	struct sl_pub_message *m;

	while ((m = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, m, next);
		free(m);
	}
}

/* Nobody else uses it any more. */
static void
destroy(struct sluice_publisher *pub)
{
	free_list(&pub->submitted);
	free_list(&pub->released);
	free_list(&pub->kept);
	sl_loop_fini(&pub->loop);
	sl_udp_rx_free(pub->rx);
	free(pub->pack.buf);
	free(pub->appliances);
	free(pub);
}

int
sluice_publisher_close(struct sluice_publisher *pub, int timeout_ms)
{
	struct sl_pub_list submitted = TAILQ_HEAD_INITIALIZER(submitted);
	struct sl_pub_message *m;
	int rc;

	if (pub == NULL)
		return 0;
	rc = sluice_publisher_flush(pub, timeout_ms);
	if (rc == SLUICE_WRONG_THREAD)
		return rc;
	if (rc == SLUICE_FORKED) {
		/* The parent's thread may have been anywhere: lists and core are left alone. */
		sl_loop_fini(&pub->loop);
		sl_udp_rx_free(pub->rx);
		free(pub->pack.buf);
		free(pub);
		return rc;
	}
	pthread_mutex_lock(&pub->loop.lock);
	pub->loop.is_stopping = true;
	sl_loop_wake(&pub->loop);
	pthread_mutex_unlock(&pub->loop.lock);
	if (pub->loop.has_thread)
		pthread_join(pub->loop.thread, NULL);
	pub->is_busy = true;
	exchange(pub, &submitted);
	while ((m = TAILQ_FIRST(&submitted)) != NULL) {
		TAILQ_REMOVE(&submitted, m, next);
		sl_pub_submit(pub->core, m);
	}
	sl_pub_free(pub->core);
	destroy(pub);
	return rc;
}

static uint32_t
or_default(uint32_t value, uint32_t otherwise)
{
	return value != 0 ? value : otherwise;
}

static int
check_options(struct sluice_publisher_options *o, struct sluice_error *error)
{
	o->queue_messages = or_default(o->queue_messages, QUEUE_MESSAGES);
	o->queue_bytes = or_default(o->queue_bytes, QUEUE_BYTES);
	o->window = or_default(o->window, WINDOW);
	o->datagram_bytes = or_default(o->datagram_bytes, DATAGRAM_BYTES);
	o->silence_ms = or_default(o->silence_ms, SILENCE_MS);
	o->socket_buffer_bytes = or_default(o->socket_buffer_bytes, SOCKET_BUFFER);
	if (o->appliances == NULL)
		return sl_error_set(error, SLUICE_INVALID, "appliances: none is named");
	if (o->source == NULL || o->source[0] == '\0')
		return sl_error_set(error, SLUICE_INVALID, "source: the publisher needs a name");
	if ((o->flags & ~SLUICE_NO_THREAD) != 0)
		return sl_error_set(error, SLUICE_INVALID, "flags: only SLUICE_NO_THREAD");
	if (o->window > WINDOW_MAX || (o->window & (o->window - 1)) != 0)
		return sl_error_set(error, SLUICE_INVALID, "window: %u is no power of 2 up to %u",
			o->window, WINDOW_MAX);
	if (o->datagram_bytes < DATAGRAM_MIN || o->datagram_bytes > SL_DATAGRAM_MAX)
		return sl_error_set(error, SLUICE_INVALID, "datagram_bytes: %u is not %u .. %u",
			o->datagram_bytes, DATAGRAM_MIN, SL_DATAGRAM_MAX);
	if (o->silence_ms < SILENCE_MIN_MS)
		return sl_error_set(error, SLUICE_INVALID, "silence_ms: %u is below %u",
			o->silence_ms, SILENCE_MIN_MS);
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
open_socket(struct sluice_publisher *pub, struct sluice_error *error)
{
	struct sl_udp_peer local;
	int nb, sock;

	nb = sl_udp_parse(
		pub->options.appliances, SLUICE_PORT, false, pub->peers, APPLIANCES_MAX, error);
	if (nb < 0)
		return nb;
	pub->nb_peers = (uint32_t)nb;
	pub->family = sl_udp_family(pub->peers, pub->nb_peers);
	if (pub->options.bind != NULL) {
		nb = sl_udp_parse(pub->options.bind, 0, true, &local, 1, error);
		if (nb < 0)
			return nb;
		if (pub->family == AF_INET)
			pub->family = sl_udp_family(&local, 1);
	}
	sock = sl_udp_open(pub->family, pub->options.bind == NULL ? NULL : &local,
		pub->options.socket_buffer_bytes, error);
	if (sock < 0)
		return sock;
	return sl_loop_init(&pub->loop, sock, (pub->options.flags & SLUICE_NO_THREAD) == 0, error);
}

static bool
allocate(struct sluice_publisher *pub, const char *appliances)
{
	struct sl_pub_params params = {
		.window = pub->options.window,
		.nb_appliances = pub->nb_peers,
		.silence_ns = pub->options.silence_ms * MS,
		.hooks = {.arg = pub,
			.settled = pub_settled,
			.release = pub_release,
			.connect = pub_connect,
			.look_up = pub_look_up,
			.random = pub_random,
			.event = pub_event},
	};

	pub->pack.datagram_bytes = pub->options.datagram_bytes;
	pub->pack.buf = malloc((size_t)SL_PACK_DATAGRAMS * pub->options.datagram_bytes);
	pub->rx = sl_udp_rx_new(UINT16_MAX);
	if (pub->loop.has_thread)
		pub->appliances = strdup(appliances);
	if (pub->pack.buf == NULL || pub->rx == NULL ||
		(pub->loop.has_thread && pub->appliances == NULL))
		return false;
	pub->core = sl_pub_new(&params, sl_loop_now());
	return pub->core != NULL;
}

struct sluice_publisher *
sluice_publisher_open(const struct sluice_publisher_options *options, struct sluice_error *error)
{
	struct sluice_publisher *pub = calloc(1, sizeof(*pub));
	int rc;

	if (error != NULL)
		*error = (struct sluice_error){0};
	if (pub == NULL) {
		sl_error_set(error, SLUICE_NO_MEMORY, "out of memory");
		return NULL;
	}
	pub->options = *options;
	TAILQ_INIT(&pub->submitted);
	TAILQ_INIT(&pub->kept);
	TAILQ_INIT(&pub->released);
	pub->can_segment = true;
	rc = check_options(&pub->options, error);
	if (rc == 0)
		rc = open_socket(pub, error);
	if (rc != 0) {
		free(pub);
		return NULL;
	}
	pub->source = sl_wire_name_key(options->source);
	pub->id_high = pub_random(pub);
	pub->id_low = pub_random(pub);
	pub->options.appliances = pub->options.source = pub->options.bind = NULL;
	if (!allocate(pub, options->appliances))
		rc = sl_error_set(error, SLUICE_NO_MEMORY, "out of memory");
	if (rc == 0 && pub->loop.has_thread)
		rc = sl_loop_start(&pub->loop, run, pub, "sluice-pub", error);
	if (rc == 0) {
		if (!pub->loop.has_thread)
			sluice_publisher_process(pub);
		return pub;
	}
	if (pub->core != NULL)
		sl_pub_free(pub->core);
	destroy(pub);
	return NULL;
}
