/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingress.h"
#include "put.h"
#include "sl_wire.h"

/*
 * Durable subscribers that are a gateway's clients. In the path each is a subscriber like any, at
 * the address of its client's thread and a port of its own; so what comes to that port is for one
 * client, and is acknowledged when it has gone into its socket, or when the client says so. When
 * the client goes, the path is asked to keep what comes from then on. What was sent meanwhile stays
 * unanswered until that is so, and is refused then: it goes back to the path in its order.
 */

/* To be there, or the client is told that it is not. */
#define BEGIN_MS 30000u
/* A port is not given again as long as somebody may believe it to be another's. */
#define PORT_REST_MS 10000u
/* Bytes that wait for room in one client's output; the path has the rest. */
#define WAITING_MAX (UINT64_C(4) << 20)
/* What one that does not keep up may not add to. */
#define HELD_SHARE (GW_HELD_MAX / 2)

/* A message that its client has, and has not said so. */
struct gw_unacked {
	TAILQ_ENTRY(gw_unacked) next;
	struct gw_receiver *receiver;
	uint64_t sequence;
	uint64_t timestamp_ns;
	size_t id_len;
	char id[]; /* As the client has been shown it. */
};

int
gw_durables_init(struct gw_thread *thread)
{
	struct gw_subscriber *s = &thread->subscriber;

	TAILQ_INIT(&s->durables);
	TAILQ_INIT(&s->durables_starved);
	s->durable_ports = calloc(GW_DURABLES_MAX, sizeof(*s->durable_ports));
	/* Those from before a restart are others'. */
	s->durable_at = (uint32_t)(gw_thread_random(thread) % GW_DURABLES_MAX);
	return s->durable_ports != NULL ? 0 : -ENOMEM;
}

static struct gw_durable_port *
port_at(struct gw_thread *thread, uint32_t port)
{
	return &thread->subscriber.durable_ports[port - GW_DURABLE_PORT];
}

/* @return 0: there is none */
static uint16_t
take_port(struct gw_thread *thread)
{
	struct gw_subscriber *s = &thread->subscriber;

	for (uint32_t i = 0; i < GW_DURABLES_MAX; i++) {
		uint32_t at = (s->durable_at + 1 + i) % GW_DURABLES_MAX;
		uint32_t port = GW_DURABLE_PORT + at;
		const struct gw_durable_port *p = &s->durable_ports[at];

		if (p->durable != NULL || thread->now_ms < p->free_ms ||
			port == rte_be_to_cpu_16(thread->link.udp_port) ||
			gw_snapshot_has_place(thread->snapshot, thread->index, port))
			continue;
		s->durable_at = at;
		return (uint16_t)port;
	}
	return 0;
}

static void
set_starved(struct gw_durable *d, bool is_starved)
{
	struct gw_durables *list = &d->thread->subscriber.durables_starved;

	if (d->is_starved == is_starved)
		return;
	d->is_starved = is_starved;
	if (is_starved)
		TAILQ_INSERT_TAIL(list, d, starved);
	else
		TAILQ_REMOVE(list, d, starved);
}

/* Begin and end. */

static void
free_list(struct gw_thread *thread, struct gw_helds *list)
{
	struct gw_held *held;

	while ((held = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, held, next);
		gw_held_free(thread, held);
	}
}

static void
free_unacked(struct gw_durable *d, struct gw_unacked *u)
{
	TAILQ_REMOVE(&d->unacked, u, next);
	gw_receiver_unref(u->receiver);
	free(u);
}

/* None of it is done with: the path has it. */
static void
drop_messages(struct gw_durable *d)
{
	struct gw_held *held, *next;

	free_list(d->thread, &d->waiting);
	while (!TAILQ_EMPTY(&d->unacked))
		free_unacked(d, TAILQ_FIRST(&d->unacked));
	d->waiting_bytes = 0;
	set_starved(d, false);
	for (held = TAILQ_FIRST(&d->client->held); held != NULL; held = next) {
		next = TAILQ_NEXT(held, next);
		if (held->durable != d)
			continue;
		TAILQ_REMOVE(&d->client->held, held, next);
		d->client->nb_held--;
		gw_held_free(d->thread, held);
	}
}

static struct gw_durable *
create(struct gw_client *client, const char *topic, const char *as, enum gw_durable_state state)
{
	struct gw_thread *thread = client->listener->thread;
	uint16_t port = take_port(thread);
	struct gw_durable *d = port != 0 ? calloc(1, sizeof(*d)) : NULL;

	if (d == NULL)
		return NULL;
	d->thread = thread;
	d->client = client;
	d->state = state;
	d->port = port;
	d->key = sl_wire_name_key(topic);
	d->as_key = sl_wire_name_key(as);
	d->asked_ms = thread->now_ms;
	TAILQ_INIT(&d->waiting);
	TAILQ_INIT(&d->unacked);
	snprintf(d->topic, sizeof(d->topic), "%s", topic);
	snprintf(d->as, sizeof(d->as), "%s", as);
	port_at(thread, port)->durable = d;
	TAILQ_INSERT_TAIL(&thread->subscriber.durables, d, all);
	LIST_INSERT_HEAD(&client->durables, d, of_client);
	GW_ADD(client->listener->stats.subscriptions, 1);
	thread->subscriber.nb_joined++;
	return d;
}

static void
destroy(struct gw_durable *d)
{
	struct gw_thread *thread = d->thread;

	port_at(thread, d->port)->durable = NULL;
	port_at(thread, d->port)->free_ms = thread->now_ms + PORT_REST_MS;
	TAILQ_REMOVE(&thread->subscriber.durables, d, all);
	thread->subscriber.nb_joined--;
	free(d);
}

/* It has no client any more. */
static void
close_durable(struct gw_durable *d)
{
	drop_messages(d);
	LIST_REMOVE(d, of_client);
	GW_ADD(d->client->listener->stats.subscriptions, -1);
	d->client = NULL;
	d->state = GW_DURABLE_CLOSING;
}

static void
end(struct gw_durable *d, const char *why)
{
	struct gw_client *client = d->client;

	if (!client->is_doomed && client->listener->protocol->durable_ended != NULL)
		client->listener->protocol->durable_ended(client, d, why);
	close_durable(d);
	gw_client_check_end(client);
}

static void
begin(struct gw_durable *d)
{
	struct gw_client *client = d->client;

	d->state = GW_DURABLE_BEGUN;
	if (!client->is_doomed && client->listener->protocol->durable_began != NULL)
		client->listener->protocol->durable_began(client, d);
}

static void
leave(struct gw_durable *d)
{
	/* Without memory for it, it is there until somebody takes its name over. */
	if (d->state != GW_DURABLE_FORGETTING)
		gw_ask_durable(d->thread, GW_DURABLE_LEAVE, d->topic, d->as, d->port);
	close_durable(d);
}

void
gw_durables_leave(struct gw_client *client)
{
	while (!LIST_EMPTY(&client->durables))
		leave(LIST_FIRST(&client->durables));
}

void
gw_durables_eof(struct gw_client *client)
{
	struct gw_durable *d, *next;

	for (d = LIST_FIRST(&client->durables); d != NULL; d = next) {
		next = LIST_NEXT(d, of_client);
		if (d->state != GW_DURABLE_FORGETTING)
			leave(d);
	}
}

void
gw_durables_fini(struct gw_thread *thread)
{
	struct gw_durable *d;

	/* Clients have ended before. */
	if (thread->subscriber.durable_ports == NULL)
		return;
	while ((d = TAILQ_FIRST(&thread->subscriber.durables)) != NULL)
		destroy(d);
	free(thread->subscriber.durable_ports);
}

/* For protocols. */

static struct gw_durable *
refuse(struct gw_client *client, enum gw_reason reason, char *error, size_t error_len,
	const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, error_len, format, args);
	va_end(args);
	gw_client_count(client, reason);
	return NULL;
}

/* @return false: it is no name */
static bool
copy_name(char to[SL_CONFIG_NAME_MAX + 1], const char *name, size_t len)
{
	if (len == 0 || len > SL_CONFIG_NAME_MAX || memchr(name, '\0', len) != NULL)
		return false;
	memcpy(to, name, len);
	to[len] = '\0';
	return sl_config_is_name(to);
}

/* Only then something is kept for one who is away. @return false, with the reason */
static bool
check_topic(struct gw_client *client, const char *topic, char *error, size_t error_len)
{
	const struct gw_destination *dest = gw_find_destination(
		client->listener->thread, topic, strlen(topic));

	if (dest == NULL)
		refuse(client, GW_NO_DESTINATION, error, error_len, "there is no destination %s",
			topic);
	else if (dest->kind != SL_CONFIG_TOPIC)
		refuse(client, GW_BAD_INPUT, error, error_len,
			"%s is a queue, which keeps what nobody has had: subscribe without \"as\"",
			topic);
	else if (dest->guarantee != SL_CONFIG_AT_LEAST_ONCE)
		refuse(client, GW_BAD_INPUT, error, error_len,
			"%s is at-most-once and keeps nothing for who is away: subscribe without "
			"\"as\", or have it configured with guarantee: at-least-once and a journal",
			topic);
	else
		return true;
	return false;
}

static const char bad_name[] = "a subscriber's name has 1 to 63 bytes of printable UTF-8";
static const char no_port[] = "too many durable subscribers came and went: try again in ten "
			      "seconds";

struct gw_durable *
gw_durable_subscribe(struct gw_client *client, const struct gw_durable_names *names,
	bool wants_acks, char *error, size_t error_len)
{
	char topic[SL_CONFIG_NAME_MAX + 1], as[SL_CONFIG_NAME_MAX + 1];
	struct gw_durable *d;

	if (!copy_name(topic, names->topic, names->topic_len))
		return refuse(client, GW_NO_DESTINATION, error, error_len,
			"there is no destination %.*s", (int)names->topic_len, names->topic);
	if (!copy_name(as, names->as, names->as_len))
		return refuse(client, GW_BAD_INPUT, error, error_len, bad_name);
	if (!check_topic(client, topic, error, error_len))
		return NULL;
	if (client->is_eof)
		return refuse(client, GW_BAD_INPUT, error, error_len,
			"a durable subscriber keeps its connection open");
	d = create(client, topic, as, GW_DURABLE_ASKED);
	if (d == NULL)
		return refuse(client, GW_TOO_MANY_TOPICS, error, error_len, no_port);
	d->wants_acks = wants_acks;
	gw_client_bound_unsent(client);
	/* Without memory for it, the client is told when its time is over. */
	gw_ask_durable(d->thread, GW_DURABLE_JOIN, topic, as, d->port);
	return d;
}

bool
gw_durable_forget(struct gw_client *client, const struct gw_durable_names *names, char *error,
	size_t error_len)
{
	char topic[SL_CONFIG_NAME_MAX + 1], as[SL_CONFIG_NAME_MAX + 1];
	struct gw_durable *d = gw_durable_find(client, names->topic, names->topic_len);

	if (!copy_name(topic, names->topic, names->topic_len) ||
		!copy_name(as, names->as, names->as_len))
		return refuse(client, GW_BAD_INPUT, error, error_len, bad_name) != NULL;
	if (d != NULL && strcmp(d->as, as) == 0) {
		drop_messages(d);
		d->state = GW_DURABLE_FORGETTING;
	} else {
		d = create(client, topic, as, GW_DURABLE_FORGETTING);
	}
	if (d == NULL)
		return refuse(client, GW_TOO_MANY_TOPICS, error, error_len, no_port) != NULL;
	d->asked_ms = d->thread->now_ms;
	gw_ask_durable(d->thread, GW_DURABLE_FORGET, topic, as, d->port);
	return true;
}

struct gw_durable *
gw_durable_find(struct gw_client *client, const char *topic, size_t len)
{
	struct gw_durable *d;

	LIST_FOREACH(d, &client->durables, of_client)
	{
		if (d->state != GW_DURABLE_FORGETTING && strlen(d->topic) == len &&
			memcmp(d->topic, topic, len) == 0)
			return d;
	}
	return NULL;
}

uint32_t
gw_durable_count(const struct gw_client *client)
{
	const struct gw_durable *d;
	uint32_t n = 0;

	LIST_FOREACH(d, &client->durables, of_client)
	n++;
	return n;
}

const char *
gw_durable_topic(const struct gw_durable *d)
{
	return d->topic;
}

const char *
gw_durable_name(const struct gw_durable *d)
{
	return d->as;
}

bool
gw_durable_has_begun(const struct gw_durable *d)
{
	return d->state == GW_DURABLE_BEGUN;
}

bool
gw_durable_received(struct gw_client *client, const char *id, size_t len)
{
	struct gw_unacked *u;
	struct gw_durable *d;

	LIST_FOREACH(d, &client->durables, of_client)
	{
		TAILQ_FOREACH (u, &d->unacked, next) {
			if (u->id_len != len || memcmp(u->id, id, len) != 0)
				continue;
			gw_receiver_done(d->thread, u->receiver, u->sequence, u->timestamp_ns);
			free_unacked(d, u);
			return true;
		}
	}
	return false;
}

/* Messages. */

/* @return false: not now */
static bool
deliver(struct gw_durable *d, struct gw_held *held)
{
	struct gw_delivery delivery;
	struct gw_rendering r = {.delivery = &delivery};
	struct gw_client *client = d->client;
	bool is_given;

	if (!gw_client_has_room(client))
		return false;
	gw_delivery_read(d->key, d->topic, held->bytes, held->len, &delivery);
	is_given = gw_give(&r, client);
	gw_rendering_end(&r);
	if (!is_given)
		return false;
	gw_held_given(held, client);
	return true;
}

static void
feed(struct gw_durable *d)
{
	struct gw_held *held;

	while ((held = TAILQ_FIRST(&d->waiting)) != NULL) {
		TAILQ_REMOVE(&d->waiting, held, next);
		if (!deliver(d, held)) {
			TAILQ_INSERT_HEAD(&d->waiting, held, next);
			return;
		}
		d->waiting_bytes -= held->len;
	}
	set_starved(d, false);
}

/* @return false: it is not taken, and comes again */
static bool
take_message(struct gw_durable *d, struct gw_receiver *receiver, uint64_t sequence,
	const uint8_t *message, uint32_t len)
{
	struct gw_thread *thread = d->thread;
	struct gw_held *held;

	if (thread->subscriber.held_bytes >=
			(TAILQ_EMPTY(&d->waiting) ? GW_HELD_MAX : HELD_SHARE) ||
		d->waiting_bytes >= WAITING_MAX)
		return false;
	held = gw_hold(thread, d->key, receiver, sequence, message, len);
	if (held == NULL)
		return false;
	held->durable = d;
	if (TAILQ_EMPTY(&d->waiting) && deliver(d, held))
		return true;
	TAILQ_INSERT_TAIL(&d->waiting, held, next);
	d->waiting_bytes += len;
	set_starved(d, true);
	return true;
}

/* Nobody is there. As long as the path takes somebody to be, it would send again at once. */
static void
refuse_stray(struct gw_thread *thread, rte_be16_t port, uint64_t session)
{
	if (!gw_snapshot_has_place(thread->snapshot, thread->index, rte_be_to_cpu_16(port)))
		gw_receiver_refuse(thread, session, port);
}

void
gw_durable_input(struct gw_thread *thread, rte_be16_t port, const uint8_t *data,
	const struct sl_wire_datagram *d)
{
	struct gw_durable *durable = port_at(thread, rte_be_to_cpu_16(port))->durable;
	const uint8_t *first = data + d->messages[0].offset;
	uint64_t key = sl_wire_get64(first + SL_WIRE_OFF_DEST);
	struct gw_receiver *receiver;

	if (d->session == 0) {
		GW_ADD(thread->subscriber.undeliverable, d->nb_messages);
		return;
	}
	if (durable == NULL)
		refuse_stray(thread, port, d->session);
	if (durable == NULL || durable->client == NULL || durable->key != key ||
		durable->state == GW_DURABLE_FORGETTING)
		return;
	receiver = gw_receiver_find(
		thread, d->session, sl_wire_get64(first + SL_WIRE_OFF_SEQUENCE), key, port);
	if (receiver == NULL)
		return;
	/* That it comes here shows that it has. */
	if (durable->state == GW_DURABLE_ASKED)
		begin(durable);
	for (uint32_t i = 0; i < d->nb_messages; i++) {
		const uint8_t *message = data + d->messages[i].offset;
		uint64_t sequence = sl_wire_get64(message + SL_WIRE_OFF_SEQUENCE);

		if (gw_receiver_take(thread, receiver, sequence) &&
			!take_message(durable, receiver, sequence, message, d->messages[i].len))
			receiver->came_next--;
	}
}

/* Of a message in its client's hands nothing is kept but its id. */
static struct gw_unacked *
remember(const struct gw_held *held)
{
	struct gw_delivery d;
	struct gw_unacked *u;
	char text[40];

	gw_delivery_read(held->key, "", held->bytes, held->len, &d);
	if (d.id_text_len == 0) {
		/* Between quotes. */
		put_id(text, d.id_high, d.id_low);
		d.id_text = text + 1;
		d.id_text_len = 32;
	}
	u = malloc(sizeof(*u) + d.id_text_len);
	if (u == NULL)
		return NULL;
	u->receiver = held->receiver;
	u->receiver->refs++;
	u->sequence = held->sequence;
	u->timestamp_ns = d.timestamp_ns;
	u->id_len = d.id_text_len;
	memcpy(u->id, d.id_text, d.id_text_len);
	return u;
}

void
gw_durable_gone(struct gw_held *held)
{
	struct gw_durable *d = held->durable;
	struct gw_unacked *u = d->wants_acks ? remember(held) : NULL;

	/* Without memory it comes again, when the client is back. */
	if (u != NULL)
		TAILQ_INSERT_TAIL(&d->unacked, u, next);
	if (d->wants_acks)
		gw_held_free(d->thread, held);
	else
		gw_held_done(d->thread, held);
}

void
gw_durables_turn(struct gw_thread *thread)
{
	struct gw_durable *d, *next;

	for (d = TAILQ_FIRST(&thread->subscriber.durables_starved); d != NULL; d = next) {
		next = TAILQ_NEXT(d, starved);
		feed(d);
	}
}

/* What the configuration, and the control thread, say. */

void
gw_durable_answered(struct gw_thread *thread, const struct gw_answer *answer)
{
	struct gw_durable *d = port_at(thread, answer->port)->durable;

	if (d == NULL || d->client == NULL)
		return;
	if (d->state == GW_DURABLE_FORGETTING || answer->error[0] != '\0')
		end(d, answer->error[0] != '\0' ? answer->error : NULL);
}

/* It is not in the path any more. */
static void
end_lost(struct gw_durable *d)
{
	const struct gw_dest *dest = gw_snapshot_find(d->thread->snapshot, d->key);
	char why[256];

	if (dest == NULL)
		snprintf(why, sizeof(why), "%s is gone, and its subscriber %s with it", d->topic,
			d->as);
	else if (gw_snapshot_has_durable(d->thread->snapshot, d->key, d->as_key))
		snprintf(why, sizeof(why), "another client subscribes to %s as %s now", d->topic,
			d->as);
	else
		snprintf(why, sizeof(why), "%s of %s was forgotten, or is another client's now",
			d->as, d->topic);
	end(d, why);
}

static void
settle(struct gw_durable *d)
{
	struct gw_thread *thread = d->thread;
	bool is_there = gw_snapshot_has_place(thread->snapshot, thread->index, d->port);
	char why[256];

	if (d->state == GW_DURABLE_ASKED && is_there) {
		begin(d);
	} else if (d->state == GW_DURABLE_ASKED && thread->now_ms - d->asked_ms >= BEGIN_MS) {
		gw_ask_durable(thread, GW_DURABLE_LEAVE, d->topic, d->as, d->port);
		snprintf(why, sizeof(why),
			"%s is not subscribed to %s in time: try again; the appliance's log may "
			"have the reason",
			d->as, d->topic);
		end(d, why);
	} else if (d->state == GW_DURABLE_BEGUN && !is_there) {
		end_lost(d);
	}
	if (d->state != GW_DURABLE_CLOSING || is_there)
		return;
	/* The path sends it nothing now; what is under way has to be back before it may go on
	 * elsewhere. */
	gw_receivers_abandon(thread, rte_cpu_to_be_16(d->port));
	destroy(d);
}

void
gw_durables_settle(struct gw_thread *thread)
{
	struct gw_durable *d, *next;

	for (d = TAILQ_FIRST(&thread->subscriber.durables); d != NULL; d = next) {
		next = TAILQ_NEXT(d, all);
		settle(d);
	}
}
