/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Newline-delimited JSON over TCP: clients that connect, and message servers the appliance connects
 * to. A bad line is counted and costs only itself; one that is too long is skipped up to its end
 * without being kept.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>

#include "gateway.h"
#include "json_message.h"
#include "sl_json.h"

#define SUBSCRIPTIONS_MAX 1024 /* Of one client. */
#define LOG_SHOWN	  200
#define ANSWER_MAX	  (64 + JSON_TEXT_MAX) /* Bytes of a text in an answer. */

struct json_subscription {
	LIST_ENTRY(json_subscription) next;
	struct gw_subscription *subscription;
	size_t name_len;
	bool has_begun;
	char name[SL_CONFIG_NAME_MAX];
};

/* A message that is to be acknowledged when it is durable. */
struct json_ack {
	LIST_ENTRY(json_ack) next;
	size_t len;
	char raw_id[];
};

struct json_client {
	LIST_HEAD(, json_subscription) subscriptions;
	LIST_HEAD(, json_ack) acks;
	size_t scanned; /* Of the input, without a newline. */
	uint32_t nb_subscriptions;
	bool wants_acks;
	bool is_skipping; /* A line that is too long. */
};

/* Answers: {"WORD":"TEXT"}, the second member only when there is one. */

/* A client that does not read its answers would wait for them for ever. */
static void
send_answer(struct gw_client *client, const char *answer, size_t len)
{
	if (!gw_client_write(client, answer, len))
		gw_client_close(client);
}

static void
answer_text(struct gw_client *client, const char *word, const char *text, size_t len)
{
	char answer[64 + SL_JSON_STRING_MAX(ANSWER_MAX + 256)];
	char *p = answer + sprintf(answer, "{\"%s\":", word);

	p = sl_json_put_string(p, text, len);
	*p++ = '}';
	*p++ = '\n';
	send_answer(client, answer, (size_t)(p - answer));
}

/* {"WORD":"TOPIC","as":"NAME"} */
static void
answer_durable(struct gw_client *client, const char *word, const struct gw_durable *durable)
{
	const char *topic = gw_durable_topic(durable), *as = gw_durable_name(durable);
	char answer[64 + 2 * SL_JSON_STRING_MAX(SL_CONFIG_NAME_MAX)];
	char *p = answer + sprintf(answer, "{\"%s\":", word);

	p = sl_json_put_string(p, topic, strlen(topic));
	p += sprintf(p, ",\"as\":");
	p = sl_json_put_string(p, as, strlen(as));
	*p++ = '}';
	*p++ = '\n';
	send_answer(client, answer, (size_t)(p - answer));
}

static void
answer_error(struct gw_client *client, const char *error)
{
	answer_text(client, "error", error, strlen(error));
}

/* The id as it came: escaped, of up to JSON_TEXT_MAX characters. */
static void
answer_id(struct gw_client *client, const char *word, const char *raw_id, size_t len,
	const char *reason)
{
	char answer[128 + 6 * JSON_TEXT_MAX];
	int n = snprintf(answer, sizeof(answer), "{\"%s\":\"%.*s\"%s%s%s}\n", word, (int)len,
		raw_id, reason != NULL ? ",\"reason\":\"" : "", reason != NULL ? reason : "",
		reason != NULL ? "\"" : "");

	send_answer(client, answer, (size_t)n);
}

/* Messages. */

static const char *
refusal(enum gw_reason reason)
{
	switch (reason) {
	case GW_NO_DESTINATION:
		return "no such destination";
	case GW_TOO_LONG:
		return "longer than a datagram";
	case GW_OVER_RATE:
		return "too many messages a second";
	case GW_NO_BUFFER:
		return "no buffer now; send it again";
	default:
		return "not taken";
	}
}

/* @return NULL: no memory */
static struct json_ack *
remember_ack(struct json_client *state, const struct gw_text *raw_id)
{
	struct json_ack *ack = malloc(sizeof(*ack) + raw_id->len);

	if (ack == NULL)
		return NULL;
	ack->len = raw_id->len;
	memcpy(ack->raw_id, raw_id->at, raw_id->len);
	LIST_INSERT_HEAD(&state->acks, ack, next);
	return ack;
}

static void
forget_ack(struct json_ack *ack)
{
	LIST_REMOVE(ack, next);
	free(ack);
}

/* @return false: not now */
static bool
take_message(struct gw_client *client, const struct json_line *line)
{
	struct gw_thread *thread = gw_client_thread(client);
	struct json_client *state = gw_client_state(client);
	struct gw_message message = {
		.destination = line->destination.at,
		.destination_len = line->destination.len,
		.source = gw_name_key(thread, line->source.at, line->source.len),
		.type = gw_name_key(thread, line->type.at, line->type.len),
		.timestamp_ns = line->timestamp_ns,
		.priority = line->priority,
		.id_text = line->id.at,
		.id_text_len = line->id.len,
		.payload = line->payload.at,
		.payload_len = line->payload.len,
	};
	enum gw_published published;
	struct json_ack *ack = NULL;
	enum gw_reason reason;

	if (state->wants_acks) {
		ack = remember_ack(state, &line->raw_id);
		if (ack == NULL) {
			gw_client_close(client);
			return true;
		}
	}
	published = gw_publish(client, &message, (uint64_t)(uintptr_t)ack, &reason);
	if (published == GW_PENDING)
		return true;
	if (ack != NULL)
		forget_ack(ack);
	if (published == GW_WAIT)
		return false;
	if (state->wants_acks && published == GW_ACCEPTED)
		answer_id(client, "ack", line->raw_id.at, line->raw_id.len, NULL);
	else if (state->wants_acks)
		answer_id(client, "refused", line->raw_id.at, line->raw_id.len, refusal(reason));
	return true;
}

static void
on_published(struct gw_client *client, uint64_t token, bool is_durable)
{
	struct json_ack *ack = (struct json_ack *)(uintptr_t)token;

	if (ack == NULL)
		return;
	if (is_durable)
		answer_id(client, "ack", ack->raw_id, ack->len, NULL);
	else
		answer_id(client, "refused", ack->raw_id, ack->len, "not durable");
	forget_ack(ack);
}

/* Commands. */

static struct json_subscription *
find_subscription(struct json_client *state, const struct gw_text *name)
{
	struct json_subscription *s;

	LIST_FOREACH(s, &state->subscriptions, next)
	{
		if (s->name_len == name->len && memcmp(s->name, name->at, name->len) == 0)
			return s;
	}
	return NULL;
}

/* Of either kind. @return false, and it is told so */
static bool
may_subscribe(struct gw_client *client, const struct gw_text *name)
{
	const struct json_client *state = gw_client_state(client);

	if (state->nb_subscriptions + gw_durable_count(client) < SUBSCRIPTIONS_MAX)
		return true;
	gw_client_refuse(client, GW_TOO_MANY_TOPICS, "too many subscriptions", name->at, name->len);
	answer_error(client, "too many subscriptions");
	return false;
}

/* One as which the client subscribes to the topic already would get each message twice. */
static bool
is_durable_already(struct gw_client *client, const struct gw_text *name, const char *remedy)
{
	const struct gw_durable *durable = gw_durable_find(client, name->at, name->len);
	char error[ANSWER_MAX];

	if (durable == NULL)
		return false;
	snprintf(error, sizeof(error), "you subscribe to %s as %s: %s", gw_durable_topic(durable),
		gw_durable_name(durable), remedy);
	answer_error(client, error);
	return true;
}

static void
subscribe(struct gw_client *client, const struct gw_text *name)
{
	struct json_client *state = gw_client_state(client);
	struct json_subscription *s = find_subscription(state, name);
	char error[ANSWER_MAX];

	if (s != NULL) {
		if (s->has_begun)
			answer_text(client, "subscribed", name->at, name->len);
		return;
	}
	if (is_durable_already(client, name, "unsubscribe first") || !may_subscribe(client, name))
		return;
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		gw_client_close(client);
		return;
	}
	s->subscription = gw_subscribe(client, name->at, name->len);
	if (s->subscription == NULL) {
		free(s);
		snprintf(error, sizeof(error), "there is no destination %.*s", (int)name->len,
			name->at);
		answer_error(client, error);
		return;
	}
	s->name_len = name->len;
	memcpy(s->name, name->at, name->len);
	LIST_INSERT_HEAD(&state->subscriptions, s, next);
	state->nb_subscriptions++;
}

static void
on_subscribed(struct gw_client *client, struct gw_subscription *subscription)
{
	struct json_client *state = gw_client_state(client);
	struct json_subscription *s;

	LIST_FOREACH(s, &state->subscriptions, next)
	{
		if (s->subscription == subscription) {
			s->has_begun = true;
			answer_text(client, "subscribed", s->name, s->name_len);
			return;
		}
	}
}

static void
unsubscribe(struct gw_client *client, const struct gw_text *name)
{
	struct json_client *state = gw_client_state(client);
	struct json_subscription *s = find_subscription(state, name);

	if (is_durable_already(client, name, "say so in \"as\""))
		return;
	if (s != NULL) {
		gw_unsubscribe(s->subscription);
		LIST_REMOVE(s, next);
		free(s);
		state->nb_subscriptions--;
	}
	answer_text(client, "unsubscribed", name->at, name->len);
}

static struct gw_durable_names
durable_names(const struct gw_text *topic, const struct gw_text *as)
{
	return (struct gw_durable_names){
		.topic = topic->at, .topic_len = topic->len, .as = as->at, .as_len = as->len};
}

static void
subscribe_as(struct gw_client *client, const struct json_line *line)
{
	const struct gw_durable *durable = gw_durable_find(
		client, line->subscribe.at, line->subscribe.len);
	const struct gw_durable_names names = durable_names(&line->subscribe, &line->as);
	char error[ANSWER_MAX + 256];

	if (durable != NULL && strlen(gw_durable_name(durable)) == names.as_len &&
		memcmp(gw_durable_name(durable), names.as, names.as_len) == 0) {
		if (gw_durable_has_begun(durable))
			answer_durable(client, "subscribed", durable);
		return;
	}
	if (is_durable_already(client, &line->subscribe, "unsubscribe first") ||
		!may_subscribe(client, &line->subscribe))
		return;
	if (find_subscription(gw_client_state(client), &line->subscribe) != NULL)
		answer_error(client, "you subscribe to it without \"as\": unsubscribe first");
	else if (gw_durable_subscribe(client, &names, line->has_acks && line->acks, error,
			 sizeof(error)) == NULL)
		answer_error(client, error);
}

static void
unsubscribe_as(struct gw_client *client, const struct json_line *line)
{
	const struct gw_durable_names names = durable_names(&line->unsubscribe, &line->as);
	char error[ANSWER_MAX + 256];

	if (may_subscribe(client, &line->unsubscribe) &&
		!gw_durable_forget(client, &names, error, sizeof(error)))
		answer_error(client, error);
}

static void
on_durable_began(struct gw_client *client, const struct gw_durable *durable)
{
	answer_durable(client, "subscribed", durable);
}

static void
on_durable_ended(struct gw_client *client, const struct gw_durable *durable, const char *why)
{
	if (why == NULL)
		answer_durable(client, "unsubscribed", durable);
	else
		answer_error(client, why);
}

static void
take_received(struct gw_client *client, const struct gw_text *id)
{
	char error[ANSWER_MAX];

	if (gw_durable_received(client, id->at, id->len))
		return;
	snprintf(error, sizeof(error), "no message waits to be received: %.*s", (int)id->len,
		id->at);
	answer_error(client, error);
}

static void
take_commands(struct gw_client *client, const struct json_line *line)
{
	struct json_client *state = gw_client_state(client);

	if (line->received.at != NULL)
		take_received(client, &line->received);
	if (line->as.at != NULL) {
		if (line->subscribe.at != NULL)
			subscribe_as(client, line);
		else
			unsubscribe_as(client, line);
		return;
	}
	if (line->unsubscribe.at != NULL)
		unsubscribe(client, &line->unsubscribe);
	if (line->subscribe.at != NULL)
		subscribe(client, &line->subscribe);
	if (line->has_acks) {
		static const char on[] = "{\"acks\":true}\n", off[] = "{\"acks\":false}\n";

		state->wants_acks = line->acks;
		send_answer(client, line->acks ? on : off,
			line->acks ? sizeof(on) - 1 : sizeof(off) - 1);
	}
}

/* Lines. */

static void
refuse_line(struct gw_client *client, enum gw_reason reason, const char *what, const char *text,
	size_t len)
{
	const struct json_client *state = gw_client_state(client);

	gw_client_refuse(client, reason, what, text, len);
	if (state->wants_acks)
		answer_error(client, what);
}

/* @return false: not now */
static bool
take_line(struct gw_client *client, const char *text, size_t len)
{
	const struct sl_config_gateway *config = gw_client_config(client);
	struct json_line line;

	if (len > config->input_max) {
		refuse_line(client, GW_TOO_LONG, "a line longer than input_max", text, len);
		return true;
	}
	if (len == 0 || (len == 1 && text[0] == '\r'))
		return true;
	if (!json_line_read(text, len, &line)) {
		refuse_line(client, GW_BAD_INPUT, line.reason, text, len);
		return true;
	}
	if (line.is_message)
		return take_message(client, &line);
	/* Nobody over there reads answers. */
	if (gw_client_is_connector(client))
		refuse_line(client, GW_BAD_INPUT, "a command, of a message server", text, len);
	else
		take_commands(client, &line);
	return true;
}

/* All lines that end in a piece of the input. @return the bytes that are done with */
static size_t
take_lines(struct gw_client *client, const char *data, size_t len, bool *is_waiting)
{
	const char *at = data, *end = data + len, *newline;

	while ((newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		if (!take_line(client, at, (size_t)(newline - at))) {
			*is_waiting = true;
			break;
		}
		at = newline + 1;
	}
	return (size_t)(at - data);
}

/* @return where the first newline is that is not before `from`; -1: there is none */
static ssize_t
find_newline(struct evbuffer *input, size_t from)
{
	size_t piece = evbuffer_get_contiguous_space(input);
	struct evbuffer_ptr at;
	const char *data, *newline;

	if (from < piece) {
		data = (const char *)evbuffer_pullup(input, (ev_ssize_t)piece);
		newline = memchr(data + from, '\n', piece - from);
		if (newline != NULL)
			return newline - data;
		from = piece;
	}
	if (from >= evbuffer_get_length(input) ||
		evbuffer_ptr_set(input, &at, from, EVBUFFER_PTR_SET) != 0)
		return -1;
	return evbuffer_search(input, "\n", 1, &at).pos;
}

static void
skip_line(struct gw_client *client, struct evbuffer *input)
{
	struct json_client *state = gw_client_state(client);
	ssize_t end = find_newline(input, 0);

	if (end < 0) {
		evbuffer_drain(input, evbuffer_get_length(input));
		return;
	}
	evbuffer_drain(input, (size_t)end + 1);
	state->is_skipping = false;
}

static void
begin_skipping(struct gw_client *client, struct evbuffer *input)
{
	struct json_client *state = gw_client_state(client);
	const char *shown = (const char *)evbuffer_pullup(input, LOG_SHOWN);

	refuse_line(client, GW_TOO_LONG, "a line longer than input_max", shown,
		shown == NULL ? 0 : LOG_SHOWN);
	evbuffer_drain(input, evbuffer_get_length(input));
	state->scanned = 0;
	state->is_skipping = true;
}

static void
on_input(struct gw_client *client, struct evbuffer *input)
{
	const struct sl_config_gateway *config = gw_client_config(client);
	struct json_client *state = gw_client_state(client);
	bool is_waiting = false;
	const char *data;
	ssize_t end;

	while (!is_waiting && evbuffer_get_length(input) > 0) {
		if (state->is_skipping) {
			skip_line(client, input);
			continue;
		}
		end = find_newline(input, state->scanned);
		if (end < 0) {
			state->scanned = evbuffer_get_length(input);
			if (state->scanned > config->input_max)
				begin_skipping(client, input);
			return;
		}
		state->scanned = 0;
		data = (const char *)evbuffer_pullup(input, end + 1);
		if (data == NULL) {
			gw_client_close(client);
			return;
		}
		evbuffer_drain(input,
			take_lines(
				client, data, evbuffer_get_contiguous_space(input), &is_waiting));
	}
}

static void
on_closed(struct gw_client *client)
{
	struct json_client *state = gw_client_state(client);
	struct json_subscription *s;
	struct json_ack *ack;

	/* The subscriptions themselves end with the client. */
	while ((s = LIST_FIRST(&state->subscriptions)) != NULL) {
		LIST_REMOVE(s, next);
		free(s);
	}
	while ((ack = LIST_FIRST(&state->acks)) != NULL)
		forget_ack(ack);
}

/* Deliveries. */

static struct gw_chunk *
render(struct gw_listener *listener, const struct gw_delivery *delivery)
{
	struct gw_thread *thread = gw_listener_thread(listener);
	const struct json_names names = {
		.source = gw_key_name(thread, delivery->source),
		.destination = delivery->destination_name,
		.type = gw_key_name(thread, delivery->type),
	};
	const struct gw_destination *destination = gw_find_destination(
		thread, delivery->destination_name, strlen(delivery->destination_name));
	enum json_form form = json_payload_form(delivery->payload, delivery->payload_len);
	struct gw_chunk *chunk = gw_chunk_alloc(json_line_max(delivery, &names, form));

	if (chunk == NULL)
		return NULL;
	gw_chunk_truncate(chunk,
		json_line_write((char *)gw_chunk_data(chunk), delivery, &names, form,
			destination != NULL ? destination->default_class : 0));
	return chunk;
}

const struct gw_protocol gw_json = {
	.name = "json",
	.client_size = sizeof(struct json_client),
	.is_rate_paced = true,
	.keeps_half_open = true,
	.input = on_input,
	.published = on_published,
	.subscribed = on_subscribed,
	.durable_began = on_durable_began,
	.durable_ended = on_durable_ended,
	.closed = on_closed,
	.render = render,
};
