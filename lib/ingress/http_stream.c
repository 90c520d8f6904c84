/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "json_message.h"

/*
 * Topics as server-sent events (WHATWG HTML, section 9.2). The latest events of a topic are kept
 * for those who come back: as long as somebody has a stream of it, and for replay_ms behind the
 * last. For that long the listener's own client has subscribed to it, too. What cannot be told
 * again is said so, by an event "gap"; nothing is missed in silence.
 */

#define SUBSCRIBE_MS 5000u
#define BEAT_MS	     15000u
#define SWEEP_MS     500u
#define RINGS_MAX    ((size_t)64 << 20) /* Bytes of all topics of a listener and thread. */

#define ID	"id: "
#define DATA	"\ndata: "
#define GREET	"retry: 1000\n\n"
#define BEAT	":\n\n"
#define NO_HELD "event: gap\ndata: {\"reason\":\"what came behind Last-Event-ID is not held\"}\n\n"
#define NO_ROOM "event: gap\ndata: {\"reason\":\"it was not read fast enough\"}\n\n"

/* Topics. */

static struct http_topic **
find_topic(struct http_listener *listener, uint64_t key)
{
	struct http_topic **link = &listener->topics[key % HTTP_TOPIC_BUCKETS];

	while (*link != NULL && (*link)->key != key)
		link = &(*link)->next;
	return link;
}

static void
free_topic(struct http_listener *listener, struct http_topic **link)
{
	struct http_topic *topic = *link;

	*link = topic->next;
	listener->nb_topics--;
	http_ring_fini(&topic->ring);
	free(topic);
}

static void
sweep(struct gw_client *own)
{
	struct http_listener *listener = http_listener_of(own);
	uint64_t now = gw_thread_now_ms(gw_client_thread(own));
	uint32_t hold_ms = gw_client_config(own)->replay_ms;

	for (uint32_t i = 0; i < HTTP_TOPIC_BUCKETS; i++) {
		struct http_topic **link = &listener->topics[i];

		while (*link != NULL) {
			if ((*link)->nb_streams > 0 || now - (*link)->empty_ms < hold_ms) {
				link = &(*link)->next;
				continue;
			}
			gw_unsubscribe((*link)->subscription);
			free_topic(listener, link);
		}
	}
	listener->is_sweeping = listener->nb_topics > 0;
	if (listener->is_sweeping)
		gw_client_after(own, SWEEP_MS, sweep);
}

/* The own client holds the topic for those who come back. @return false: no memory */
static bool
hold_topic(struct gw_client *client, struct http_topic *topic, const char *name, size_t len)
{
	struct http_listener *listener = http_listener_of(client);

	if (listener->own == NULL) {
		listener->own = gw_listener_own_client(gw_client_listener(client));
		if (listener->own == NULL)
			return false;
		((struct http_client *)gw_client_state(listener->own))->is_own = true;
		listener->bound.max = RINGS_MAX;
	}
	topic->subscription = gw_subscribe(listener->own, name, len);
	if (topic->subscription == NULL)
		return false;
	if (!listener->is_sweeping)
		gw_client_after(listener->own, SWEEP_MS, sweep);
	listener->is_sweeping = true;
	return true;
}

/* @return NULL: no memory */
static struct http_topic *
get_topic(struct gw_client *client, const struct gw_destination *destination)
{
	const struct sl_config_gateway *config = gw_client_config(client);
	struct http_listener *listener = http_listener_of(client);
	struct http_topic **link = find_topic(listener, destination->key);
	struct http_topic *topic = *link;

	if (topic != NULL)
		return topic;
	topic = calloc(1, sizeof(*topic));
	if (topic == NULL)
		return NULL;
	topic->key = destination->key;
	*link = topic;
	listener->nb_topics++;
	/* What is told again has to fit into the output of who asks for it. */
	if (http_ring_init(
		    &topic->ring, config->replay, config->output_max / 2, &listener->bound) != 0 ||
		(config->replay > 0 &&
			!hold_topic(client, topic, destination->name, strlen(destination->name)))) {
		free_topic(listener, link);
		return NULL;
	}
	return topic;
}

/* Streams. */

static void
answer_head(struct gw_client *client)
{
	struct http_answer answer = {.status = 200, .type = "text/event-stream", .is_stream = true};

	http_answer(client, &answer, NULL);
}

unsigned int
http_stream_begin(struct gw_client *client, const struct http_request *request, struct gw_text name,
	const char **why)
{
	struct gw_text last = request->fields[HTTP_LAST_EVENT_ID];
	struct http_client *state = gw_client_state(client);
	const struct gw_destination *destination = NULL;
	char topic[SL_CONFIG_NAME_MAX];
	ssize_t len = http_unescape(name, topic, sizeof(topic));

	if (len >= 0)
		destination = gw_find_destination(gw_client_thread(client), topic, (size_t)len);
	*why = "there is no such topic";
	if (destination == NULL) {
		gw_client_refuse(client, GW_NO_DESTINATION, *why, name.at, name.len);
		return 404;
	}
	*why = "this destination is a queue: only topics are streamed";
	if (destination->kind != SL_CONFIG_TOPIC)
		return 404;
	if (state->is_head) {
		answer_head(client);
		return 0;
	}
	*why = "out of memory";
	state->topic = get_topic(client, destination);
	if (state->topic == NULL)
		return 503;
	state->topic->nb_streams++;
	state->subscription = gw_subscribe(client, topic, (size_t)len);
	if (state->subscription == NULL) {
		http_stream_end(client);
		return 503;
	}
	HTTP_COUNT(http_listener_of(client)->nb_streams);
	state->has_last = last.len > 0 && http_event_id_read(last, &state->last);
	state->is_last_bad = last.len > 0 && !state->has_last;
	state->phase = HTTP_SUBSCRIBE;
	http_set_deadline(client, SUBSCRIBE_MS);
	return 0;
}

static void
tell_gap(struct gw_client *client, const char *gap)
{
	struct http_client *state = gw_client_state(client);

	HTTP_COUNT(http_listener_of(client)->nb_gaps);
	state->has_gap = !gw_client_write(client, gap, strlen(gap));
}

/* From behind what it has, or the beginning of what is held. */
static void
resume(struct gw_client *client)
{
	struct http_client *state = gw_client_state(client);
	const struct http_ring *ring = &state->topic->ring;
	int64_t from = state->has_last ? http_ring_find(ring, &state->last) : -1;

	if (from < 0) {
		tell_gap(client, NO_HELD);
		return;
	}
	HTTP_COUNT(http_listener_of(client)->nb_resumed);
	for (uint32_t n = (uint32_t)from; n < ring->count && !state->has_gap; n++)
		state->has_gap = !gw_client_write_chunk(client, http_ring_at(ring, n));
}

void
http_stream_subscribed(struct gw_client *client)
{
	struct http_client *state = gw_client_state(client);
	struct http_answer answer = {.status = 200,
		.type = "text/event-stream",
		.is_stream = true,
		.origin = state->origin};
	char head[HTTP_ANSWER_MAX];

	gw_client_write(client, head, http_answer_write(&answer, head));
	gw_client_write(client, GREET, strlen(GREET));
	HTTP_COUNT(http_listener_of(client)->nb_answers[2]);
	state->phase = HTTP_STREAM;
	state->deadline_ms = 0;
	if (state->has_last || state->is_last_bad)
		resume(client);
	gw_client_after(client, BEAT_MS, http_stream_beat);
}

/* So that those that are gone are found, and nothing between takes the silence for the end. */
void
http_stream_beat(struct gw_client *client)
{
	struct http_client *state = gw_client_state(client);

	if (state->phase != HTTP_STREAM)
		return;
	if (gw_client_write(client, BEAT, strlen(BEAT))) {
		state->nb_beats_missed = 0;
	} else if (++state->nb_beats_missed > 1) {
		gw_client_refuse(
			client, GW_OUTPUT_FULL, "it reads nothing; its stream ends", NULL, 0);
		gw_client_close(client);
		return;
	}
	gw_client_after(client, BEAT_MS, http_stream_beat);
}

bool
http_stream_wants(struct gw_client *client)
{
	struct http_client *state = gw_client_state(client);

	if (state->is_own)
		return true;
	if (state->phase != HTTP_STREAM)
		return false;
	if (state->has_gap)
		state->has_gap = !gw_client_write(client, NO_ROOM, strlen(NO_ROOM));
	return !state->has_gap;
}

void
http_stream_sent(struct gw_client *client, bool is_sent)
{
	struct http_client *state = gw_client_state(client);

	if (is_sent || state->phase != HTTP_STREAM)
		return;
	if (!state->has_gap)
		HTTP_COUNT(http_listener_of(client)->nb_gaps);
	state->has_gap = true;
}

struct gw_chunk *
http_stream_render(struct gw_listener *listener, const struct gw_delivery *delivery)
{
	struct gw_thread *thread = gw_listener_thread(listener);
	struct http_listener *state = gw_listener_state(listener);
	const struct http_event_id id = {delivery->source, delivery->id_high, delivery->id_low};
	const struct json_names names = {
		.source = gw_key_name(thread, delivery->source),
		.destination = delivery->destination_name,
		.type = gw_key_name(thread, delivery->type),
	};
	const struct gw_destination *destination = gw_find_destination(
		thread, delivery->destination_name, strlen(delivery->destination_name));
	enum json_form form = json_payload_form(delivery->payload, delivery->payload_len);
	struct gw_chunk *event = gw_chunk_alloc(
		strlen(ID DATA) + HTTP_EVENT_ID_LEN + json_line_max(delivery, &names, form) + 1);
	struct http_topic *topic = *find_topic(state, delivery->destination);
	char *begin, *p;

	if (event == NULL)
		return NULL;
	p = begin = (char *)gw_chunk_data(event);
	p = (char *)memcpy(p, ID, strlen(ID)) + strlen(ID);
	http_event_id_write(&id, p);
	p += HTTP_EVENT_ID_LEN;
	p = (char *)memcpy(p, DATA, strlen(DATA)) + strlen(DATA);
	p += json_line_write(
		p, delivery, &names, form, destination != NULL ? destination->default_class : 0);
	*p++ = '\n';
	gw_chunk_truncate(event, (size_t)(p - begin));
	HTTP_COUNT(state->nb_events);
	if (topic != NULL)
		http_ring_add(&topic->ring, &id, event);
	return event;
}

void
http_stream_end(struct gw_client *client)
{
	struct http_client *state = gw_client_state(client);
	struct http_topic *topic = state->topic;

	state->topic = NULL;
	if (topic == NULL || --topic->nb_streams > 0)
		return;
	topic->empty_ms = gw_thread_now_ms(gw_client_thread(client));
	if (topic->subscription == NULL)
		free_topic(
			http_listener_of(client), find_topic(http_listener_of(client), topic->key));
}

void
http_streams_close(struct gw_listener *listener)
{
	struct http_listener *state = gw_listener_state(listener);

	/* What they subscribed by has gone with the own client. */
	for (uint32_t i = 0; i < HTTP_TOPIC_BUCKETS; i++)
		while (state->topics[i] != NULL)
			free_topic(state, &state->topics[i]);
}
