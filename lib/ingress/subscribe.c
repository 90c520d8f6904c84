/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ingress.h"
#include "sl_wire.h"

/*
 * What comes from the path goes to those who subscribed to it: a topic's messages to all of them,
 * done with when they are in the clients' outputs; a queue's to one with room, kept until they have
 * gone into its socket, and given to another when it goes before.
 */

#define SESSIONS_MAX   65536u
#define LEAVE_TOPIC_MS 1000u
#define OPEN_AGAIN_MS  1000u
/* Refused, it is asked for again; without an answer, too, but that takes as long as it takes. */
#define REFUSED_MS  3000u
#define ANSWER_MS   30000u
#define STARVED_MAX 65536u /* Messages of all queues that wait for a client. */

struct gw_topic {
	struct gw_topic *chain;
	TAILQ_ENTRY(gw_topic) changed;
	TAILQ_ENTRY(gw_topic) starved;
	uint64_t key;
	uint64_t asked; /* To be a backend of it: the request, */
	uint64_t asked_ms;
	bool was_there;
	uint64_t again_ms; /* When it has gone: it is not asked to be made before. */
	bool is_joined;
	bool is_in; /* and it was. */
	bool is_changed;
	bool is_starved;
	bool is_dispatching;
	bool is_holey;	   /* Subscriptions have gone while it was. */
	uint64_t empty_ms; /* Since when nobody has subscribed to it. */
	uint32_t nb;
	uint32_t nb_untold; /* Subscriptions that have not taken effect. */
	uint32_t size;
	uint32_t turn; /* Whose it is, of a queue. */
	struct gw_subscription **subs;
	struct gw_helds waiting;
	char name[SL_CONFIG_NAME_MAX + 1];
};

int
gw_subscriber_init(struct gw_thread *thread)
{
	struct gw_subscriber *s = &thread->subscriber;
	const uint64_t seeds[2] = {gw_thread_random(thread), gw_thread_random(thread)};

	TAILQ_INIT(&s->changed);
	TAILQ_INIT(&s->starved);
	TAILQ_INIT(&s->lru);
	TAILQ_INIT(&s->due);
	s->topics = calloc(GW_TOPIC_BUCKETS, sizeof(struct gw_topic *));
	s->slots = calloc(SESSIONS_MAX, sizeof(struct gw_receiver *));
	if (s->topics == NULL || s->slots == NULL || gw_durables_init(thread) != 0)
		return -ENOMEM;
	return sl_session_index_init(&s->index, SESSIONS_MAX, seeds);
}

/* It is not delivered from here: its session begins anew, so that it is sent again. */
static void
drop_held(struct gw_thread *thread, struct gw_held *held)
{
	if (held->receiver != NULL)
		gw_receiver_abandon(thread, held->receiver);
	else
		GW_ADD(thread->subscriber.undeliverable, 1);
	gw_held_free(thread, held);
}

static void
free_topic(struct gw_thread *thread, struct gw_topic *topic)
{
	struct gw_held *held;

	while ((held = TAILQ_FIRST(&topic->waiting)) != NULL) {
		TAILQ_REMOVE(&topic->waiting, held, next);
		drop_held(thread, held);
	}
	free(topic->subs);
	free(topic);
}

void
gw_subscriber_fini(struct gw_thread *thread)
{
	struct gw_subscriber *s = &thread->subscriber;
	struct gw_topic *topic;

	if (s->topics == NULL || s->slots == NULL)
		return;
	for (uint32_t i = 0; i < GW_TOPIC_BUCKETS; i++) {
		while ((topic = s->topics[i]) != NULL) {
			s->topics[i] = topic->chain;
			free_topic(thread, topic);
		}
	}
	gw_durables_fini(thread);
	gw_receivers_fini(thread);
	sl_session_index_free(&s->index);
	free(s->topics);
	free(s->slots);
}

/* Topics: what somebody of this thread has subscribed to. Queues, too. */

static struct gw_topic **
find_topic(struct gw_thread *thread, uint64_t key)
{
	struct gw_topic **link = &thread->subscriber.topics[key % GW_TOPIC_BUCKETS];

	while (*link != NULL && (*link)->key != key)
		link = &(*link)->chain;
	return link;
}

static void
set_changed(struct gw_thread *thread, struct gw_topic *topic)
{
	if (topic->is_changed)
		return;
	topic->is_changed = true;
	TAILQ_INSERT_TAIL(&thread->subscriber.changed, topic, changed);
}

static void
set_starved(struct gw_thread *thread, struct gw_topic *topic)
{
	if (topic->is_starved)
		return;
	topic->is_starved = true;
	TAILQ_INSERT_TAIL(&thread->subscriber.starved, topic, starved);
}

static struct gw_topic *
get_topic(struct gw_thread *thread, const char *name, size_t len)
{
	struct gw_topic **link = find_topic(thread, sl_wire_name_key_len(name, len));
	struct gw_topic *topic = *link;

	if (topic != NULL)
		return topic;
	topic = calloc(1, sizeof(*topic));
	if (topic == NULL)
		return NULL;
	topic->key = sl_wire_name_key_len(name, len);
	memcpy(topic->name, name, len);
	TAILQ_INIT(&topic->waiting);
	*link = topic;
	GW_ADD(thread->subscriber.nb_topics, 1);
	return topic;
}

/* Nobody has subscribed to it any more, and nobody is to be told so. */
static void
remove_topic(struct gw_thread *thread, struct gw_topic *topic)
{
	struct gw_topic **link = find_topic(thread, topic->key);

	*link = topic->chain;
	if (topic->is_changed)
		TAILQ_REMOVE(&thread->subscriber.changed, topic, changed);
	if (topic->is_starved)
		TAILQ_REMOVE(&thread->subscriber.starved, topic, starved);
	GW_ADD(thread->subscriber.nb_topics, -1);
	free_topic(thread, topic);
}

/* Take the gaps out of its subscribers, when nobody walks over them. */
static void
close_gaps(struct gw_topic *topic)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < topic->nb; i++) {
		if (topic->subs[i] == NULL)
			continue;
		topic->subs[n] = topic->subs[i];
		topic->subs[n]->place = n;
		n++;
	}
	topic->nb = n;
	topic->is_holey = false;
}

/* Is the snapshot from after it was asked for? One from before may have a backend that leaves,
 * however long ago that was. */
static bool
is_served(const struct gw_thread *thread, const struct gw_topic *topic)
{
	return thread->snapshot->served[thread->index] >= topic->asked;
}

static bool
is_backend(const struct gw_thread *thread, const struct gw_dest *dest)
{
	return dest != NULL && (dest->gateways & UINT32_C(1) << thread->index) != 0;
}

/* Those whose subscriptions have taken effect are told so. @return false: some have not */
static bool
tell_subscribed(struct gw_thread *thread, struct gw_topic *topic)
{
	if (topic->nb_untold == 0)
		return true;
	if (!is_served(thread, topic) ||
		!is_backend(thread, gw_snapshot_find(thread->snapshot, topic->key)))
		return false;
	topic->is_dispatching = true;
	for (uint32_t i = 0; i < topic->nb; i++) {
		struct gw_subscription *sub = topic->subs[i];

		if (sub == NULL || sub->is_told)
			continue;
		sub->is_told = true;
		topic->nb_untold--;
		if (sub->client->listener->protocol->subscribed != NULL && !sub->client->is_doomed)
			sub->client->listener->protocol->subscribed(sub->client, sub);
	}
	topic->is_dispatching = false;
	if (topic->is_holey)
		close_gaps(topic);
	return true;
}

/* It was there, and has gone: who subscribed to it wants it still. */
static void
open_again(struct gw_thread *thread, struct gw_topic *topic)
{
	if (!topic->was_there || thread->now_ms < topic->again_ms)
		return;
	topic->again_ms = thread->now_ms + OPEN_AGAIN_MS;
	for (uint32_t i = 0; i < topic->nb; i++) {
		struct gw_listener *listener = topic->subs[i] != NULL
			? topic->subs[i]->client->listener
			: NULL;

		if (listener != NULL && listener->config.topics_max > 0) {
			gw_open_topic(listener, topic->name, strlen(topic->name));
			return;
		}
	}
}

/* What it was a backend of may have gone with its destination, and come back without it; or it was
 * refused, because its destination was gone just then, or full. */
static bool
is_out(const struct gw_thread *thread, const struct gw_topic *topic, const struct gw_dest *dest)
{
	uint64_t waited_ms = thread->now_ms - topic->asked_ms;

	if (!is_served(thread, topic))
		return waited_ms >= ANSWER_MS;
	return dest == NULL || topic->is_in || waited_ms >= REFUSED_MS;
}

static void
check_joined(struct gw_thread *thread, struct gw_topic *topic)
{
	const struct gw_dest *dest = gw_snapshot_find(thread->snapshot, topic->key);

	if (!topic->is_joined)
		return;
	if (is_served(thread, topic) && is_backend(thread, dest)) {
		topic->is_in = true;
	} else if (is_out(thread, topic, dest)) {
		topic->is_joined = topic->is_in = false;
		thread->subscriber.nb_joined--;
		set_changed(thread, topic);
	}
}

/* Be a backend of it, or be none, as its subscribers want. @return false: not yet */
static bool
settle_topic(struct gw_thread *thread, struct gw_topic *topic)
{
	const struct gw_dest *dest = gw_snapshot_find(thread->snapshot, topic->key);
	bool is_wanted = topic->nb > 0;

	topic->was_there |= dest != NULL;
	if (is_wanted == topic->is_joined) {
		if (is_wanted) {
			check_joined(thread, topic);
			return tell_subscribed(thread, topic) && topic->is_in;
		}
		if (!topic->is_dispatching)
			remove_topic(thread, topic);
		return true;
	}
	/* One that is being made. */
	if (is_wanted && dest == NULL) {
		open_again(thread, topic);
		return false;
	}
	/* Clients come and go: each time would be a change of the configuration. */
	if (!is_wanted && dest != NULL && dest->public.kind == SL_CONFIG_TOPIC &&
		thread->now_ms - topic->empty_ms < LEAVE_TOPIC_MS)
		return false;
	if (gw_ask(thread, is_wanted ? GW_JOIN : GW_LEAVE, 0, topic->name,
		    SL_CONFIG_AT_MOST_ONCE) != 0)
		return false;
	topic->asked = thread->nb_asked;
	topic->asked_ms = thread->now_ms;
	topic->is_in = false;
	topic->is_joined = is_wanted;
	thread->subscriber.nb_joined += is_wanted ? 1 : (uint32_t)-1;
	if (!is_wanted && !topic->is_dispatching)
		remove_topic(thread, topic);
	return !is_wanted;
}

static void
check_all_joined(struct gw_thread *thread)
{
	for (uint32_t i = 0; thread->subscriber.nb_topics > 0 && i < GW_TOPIC_BUCKETS; i++) {
		for (struct gw_topic *t = thread->subscriber.topics[i]; t != NULL; t = t->chain)
			check_joined(thread, t);
	}
}

static void
settle_topics(struct gw_thread *thread)
{
	struct gw_topics list;
	struct gw_topic *topic;

	thread->subscriber.is_new = false;
	TAILQ_INIT(&list);
	TAILQ_CONCAT(&list, &thread->subscriber.changed, changed);
	while ((topic = TAILQ_FIRST(&list)) != NULL) {
		TAILQ_REMOVE(&list, topic, changed);
		topic->is_changed = false;
		if (!settle_topic(thread, topic))
			set_changed(thread, topic);
	}
}

/* Subscriptions. */

static struct gw_subscription *
find_subscription(struct gw_client *client, const struct gw_topic *topic)
{
	struct gw_subscription *sub;

	LIST_FOREACH(sub, &client->subscriptions, of_client)
	{
		if (sub->topic == topic)
			return sub;
	}
	return NULL;
}

static bool
append(struct gw_topic *topic, struct gw_subscription *sub)
{
	struct gw_subscription **subs;

	if (topic->nb == topic->size) {
		subs = realloc(topic->subs, (2 * topic->size + 4) * sizeof(*subs));
		if (subs == NULL)
			return false;
		topic->subs = subs;
		topic->size = 2 * topic->size + 4;
	}
	sub->place = topic->nb;
	topic->subs[topic->nb++] = sub;
	return true;
}

struct gw_subscription *
gw_subscribe(struct gw_client *client, const char *destination, size_t len)
{
	struct gw_thread *thread = client->listener->thread;
	const struct gw_destination *dest;
	struct gw_topic *topic;
	struct gw_subscription *sub;

	if (len == 0 || len > SL_CONFIG_NAME_MAX || client->is_doomed)
		return NULL;
	dest = gw_find_destination(thread, destination, len);
	if (dest == NULL && !gw_thread_is_opening(thread, destination, len)) {
		gw_client_count(client, GW_NO_DESTINATION);
		return NULL;
	}
	topic = get_topic(thread, destination, len);
	if (topic == NULL)
		return NULL;
	/* The turn that reads this may be the last one that knows it. */
	topic->was_there |= dest != NULL;
	sub = find_subscription(client, topic);
	if (sub != NULL) {
		sub->refs++;
		return sub;
	}
	sub = calloc(1, sizeof(*sub));
	if (sub == NULL || !append(topic, sub)) {
		free(sub);
		set_changed(thread, topic);
		return NULL;
	}
	if (dest != NULL && dest->kind == SL_CONFIG_QUEUE)
		gw_client_bound_unsent(client);
	sub->client = client;
	sub->topic = topic;
	sub->refs = 1;
	topic->nb_untold++;
	LIST_INSERT_HEAD(&client->subscriptions, sub, of_client);
	GW_ADD(client->listener->stats.subscriptions, 1);
	set_changed(thread, topic);
	thread->subscriber.is_new = true;
	return sub;
}

static void
remove_subscription(struct gw_subscription *sub)
{
	struct gw_thread *thread = sub->client->listener->thread;
	struct gw_topic *topic = sub->topic;

	LIST_REMOVE(sub, of_client);
	topic->nb_untold -= !sub->is_told;
	GW_ADD(sub->client->listener->stats.subscriptions, -1);
	if (topic->is_dispatching) {
		topic->subs[sub->place] = NULL;
		topic->is_holey = true;
	} else {
		topic->subs[sub->place] = topic->subs[--topic->nb];
		topic->subs[sub->place]->place = sub->place;
	}
	free(sub);
	topic->empty_ms = thread->now_ms;
	set_changed(thread, topic);
}

void
gw_unsubscribe(struct gw_subscription *sub)
{
	if (--sub->refs == 0)
		remove_subscription(sub);
}

bool
gw_subscription_is_awaited(const struct gw_subscription *sub)
{
	struct gw_thread *thread = sub->client->listener->thread;
	const struct gw_topic *topic = sub->topic;

	if (sub->is_told)
		return false;
	if (topic->is_joined)
		return !is_served(thread, topic);
	return gw_snapshot_find(thread->snapshot, topic->key) != NULL ||
		gw_thread_has_opened(thread, topic->name, strlen(topic->name));
}

uint32_t
gw_subscriber_count(struct gw_thread *thread, const char *destination, size_t len)
{
	const struct gw_topic *topic = *find_topic(thread, sl_wire_name_key_len(destination, len));

	return topic != NULL ? topic->nb : 0;
}

/* Messages. */

/* Who is told when a subscription takes effect gets nothing before. */
static bool
has_begun(const struct gw_subscription *sub)
{
	return sub->is_told || sub->client->listener->protocol->subscribed == NULL;
}

/* To one of a topic's: what it does not get is counted, here or where it is said why. */
static void
give(struct gw_rendering *r, struct gw_client *client)
{
	if (!gw_give(r, client) && (client->is_closing || client->is_doomed))
		gw_client_count(client, GW_CLOSING);
}

static void
deliver_topic(
	struct gw_thread *thread, struct gw_topic *topic, const uint8_t *message, uint32_t len)
{
	struct gw_delivery delivery;
	struct gw_rendering r = {.delivery = &delivery};

	gw_delivery_read(topic->key, topic->name, message, len, &delivery);
	topic->is_dispatching = true;
	/* Those that come in the meantime get the next one. */
	for (uint32_t i = 0, n = topic->nb; i < n; i++) {
		if (topic->subs[i] != NULL && has_begun(topic->subs[i]))
			give(&r, topic->subs[i]->client);
	}
	topic->is_dispatching = false;
	gw_rendering_end(&r);
	if (topic->is_holey)
		close_gaps(topic);
}

/* Queues. */

/* To the next in turn that has room and wants it. @return false: nobody does */
static bool
deliver_queue(struct gw_thread *thread, struct gw_topic *topic, struct gw_held *held)
{
	struct gw_delivery delivery;
	struct gw_rendering r = {.delivery = &delivery};
	struct gw_client *client = NULL;
	bool is_given = false;

	gw_delivery_read(topic->key, topic->name, held->bytes, held->len, &delivery);
	topic->is_dispatching = true;
	for (uint32_t i = 0, n = topic->nb; i < n && !is_given; i++) {
		struct gw_subscription *sub = topic->subs[topic->turn++ % n];

		if (sub == NULL || !has_begun(sub) || !gw_client_has_room(sub->client))
			continue;
		client = sub->client;
		is_given = gw_give(&r, client);
	}
	topic->is_dispatching = false;
	gw_rendering_end(&r);
	if (topic->is_holey)
		close_gaps(topic);
	if (!is_given)
		return false;
	held->topic = NULL;
	gw_held_given(held, client);
	return true;
}

static void
feed(struct gw_thread *thread, struct gw_topic *topic)
{
	struct gw_held *held;

	while ((held = TAILQ_FIRST(&topic->waiting)) != NULL && topic->nb > 0) {
		TAILQ_REMOVE(&topic->waiting, held, next);
		if (deliver_queue(thread, topic, held))
			continue;
		TAILQ_INSERT_HEAD(&topic->waiting, held, next);
		break;
	}
}

static void
feed_starved(struct gw_thread *thread)
{
	struct gw_topics list;
	struct gw_topic *topic;

	TAILQ_INIT(&list);
	TAILQ_CONCAT(&list, &thread->subscriber.starved, starved);
	while ((topic = TAILQ_FIRST(&list)) != NULL) {
		TAILQ_REMOVE(&list, topic, starved);
		topic->is_starved = false;
		feed(thread, topic);
		if (!TAILQ_EMPTY(&topic->waiting))
			set_starved(thread, topic);
	}
}

/* @return false: it is not taken */
static bool
input_queue(struct gw_thread *thread, struct gw_topic *topic, struct gw_receiver *receiver,
	uint64_t sequence, const uint8_t *message, uint32_t len)
{
	struct gw_held *held;

	/* The number of those of a session is bounded by its window. */
	if (thread->subscriber.held_bytes >= GW_HELD_MAX ||
		(receiver == NULL && thread->subscriber.nb_held >= STARVED_MAX))
		return false;
	held = gw_hold(thread, topic->key, receiver, sequence, message, len);
	if (held == NULL)
		return false;
	held->topic = topic;
	if (TAILQ_EMPTY(&topic->waiting) && topic->nb > 0 && deliver_queue(thread, topic, held))
		return true;
	TAILQ_INSERT_TAIL(&topic->waiting, held, next);
	set_starved(thread, topic);
	return true;
}

void
gw_subscriber_progress(struct gw_client *client)
{
	struct gw_thread *thread = client->listener->thread;
	struct gw_held *held;

	while ((held = TAILQ_FIRST(&client->held)) != NULL && held->end <= client->gone) {
		TAILQ_REMOVE(&client->held, held, next);
		client->nb_held--;
		if (held->durable != NULL)
			gw_durable_gone(held);
		else
			gw_held_done(thread, held);
	}
}

/* What it had not read goes back, before what waits. */
static void
give_back(struct gw_client *client)
{
	struct gw_thread *thread = client->listener->thread;
	struct gw_held *held;

	while ((held = TAILQ_LAST(&client->held, gw_helds)) != NULL) {
		struct gw_topic *topic = *find_topic(thread, held->key);

		TAILQ_REMOVE(&client->held, held, next);
		/* Nobody else is there: not acknowledged, it goes to another backend. */
		if (topic == NULL) {
			drop_held(thread, held);
			continue;
		}
		GW_ADD(client->listener->stats.returned, 1);
		held->topic = topic;
		TAILQ_INSERT_HEAD(&topic->waiting, held, next);
		set_starved(thread, topic);
	}
	client->nb_held = 0;
}

void
gw_subscriber_forget(struct gw_client *client)
{
	struct gw_subscription *sub;

	gw_subscriber_progress(client);
	gw_durables_leave(client);
	while ((sub = LIST_FIRST(&client->subscriptions)) != NULL)
		remove_subscription(sub);
	give_back(client);
}

/* From the path. */

/* @return false: it is not taken, and comes again if it is of a session */
static bool
input_message(struct gw_thread *thread, struct gw_receiver *receiver, uint64_t sequence,
	const uint8_t *message, uint32_t len)
{
	uint64_t key = sl_wire_get64(message + SL_WIRE_OFF_DEST);
	struct gw_topic *topic = *find_topic(thread, key);
	const struct gw_dest *dest = gw_snapshot_find(thread->snapshot, key);
	bool is_topic = dest == NULL || dest->public.kind == SL_CONFIG_TOPIC;

	if (!is_topic && topic != NULL)
		return input_queue(thread, topic, receiver, sequence, message, len);
	if (receiver == NULL && thread->ahead > 0)
		thread->ahead--;
	/* The thread is a backend a little longer than somebody wants it to be. */
	if (topic != NULL && topic->nb > 0)
		deliver_topic(thread, topic, message, len);
	else if (is_topic)
		GW_ADD(thread->subscriber.undeliverable, 1);
	/* A queue's that nobody wants here goes to another backend when this is none any more. */
	if (receiver != NULL && is_topic)
		gw_receiver_done(
			thread, receiver, sequence, sl_wire_get64(message + SL_WIRE_OFF_TIMESTAMP));
	return is_topic;
}

void
gw_subscriber_input(struct gw_thread *thread, const uint8_t *data, const struct sl_wire_datagram *d)
{
	const uint8_t *first = data + d->messages[0].offset;
	struct gw_receiver *receiver = NULL;

	if (d->session != 0) {
		receiver = gw_receiver_find(thread, d->session,
			sl_wire_get64(first + SL_WIRE_OFF_SEQUENCE),
			sl_wire_get64(first + SL_WIRE_OFF_DEST), thread->link.udp_port);
		if (receiver == NULL)
			return;
	}
	for (uint32_t i = 0; i < d->nb_messages; i++) {
		const uint8_t *message = data + d->messages[i].offset;
		uint64_t sequence = sl_wire_get64(message + SL_WIRE_OFF_SEQUENCE);

		if (receiver != NULL && sequence != 0) {
			if (gw_receiver_take(thread, receiver, sequence) &&
				!input_message(
					thread, receiver, sequence, message, d->messages[i].len))
				receiver->came_next--;
		} else if (!input_message(thread, NULL, 0, message, d->messages[i].len)) {
			GW_ADD(thread->subscriber.undeliverable, 1);
		}
	}
}

void
gw_subscriber_turn(struct gw_thread *thread, bool is_quiet)
{
	if (thread->subscriber.is_new)
		settle_topics(thread);
	feed_starved(thread);
	gw_durables_turn(thread);
	gw_receiver_acks(thread, is_quiet);
}

void
gw_subscriber_housekeeping(struct gw_thread *thread)
{
	settle_topics(thread);
	gw_durables_settle(thread);
	gw_receiver_expire(thread);
}

void
gw_subscriber_applied(struct gw_thread *thread)
{
	check_all_joined(thread);
	settle_topics(thread);
	gw_durables_settle(thread);
}
