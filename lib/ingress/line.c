/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/util.h>

#include "line.h"
#include "line_protocol.h"
#include "sl_wire.h"

/*
 * The line protocol's broker. Its lines are in line_protocol.h; what is told to a client is told in
 * the order of its lines (line_answers.h).
 *
 * A publisher that is not to be kept open is closed when all it sent is answered, and, if somebody
 * at this listener has subscribed to its topic, when its last message has come back from the path
 * and been given to them; after HANDED_MS at the latest, because a message may be dropped on its
 * way.
 */

#define HANDED_MS	  1000
#define JOINING_MS	  1000
#define JOINING_MAX_MS	  30000
#define SUBSCRIPTIONS_MAX 1024u
#define ERR_TEXT_MAX	  64

/* Behind the faults of a line. */
enum {
	ERR_LONG = LINE_ERR + LINE_FAULTS,
	ERR_NO_TOPIC,
	ERR_TOPICS,
	ERR_SUBSCRIPTIONS,
	ERR_NO_PRIMARY,
	ERR_STORE,
	ERR_LOST,
	ERR_MEMORY,
	ERR_BUFFER,
	ERR_REFUSED,
	ERR_END,
};

struct line_subscription {
	LIST_ENTRY(line_subscription) of_client;
	LIST_ENTRY(line_subscription) of_topic;
	struct line_client *client;
	struct gw_subscription *subscription;
	uint64_t topic; /* Key of the whole name. */
	bool is_joined;
};

static struct line_listener *
listener_of(struct gw_client *client)
{
	return gw_listener_state(gw_client_listener(client));
}

/* Answers. */

static const char *
error_text(uint8_t answer)
{
	static const char *const texts[] = {
		[ERR_LONG - ERR_LONG] = "too long",
		[ERR_NO_TOPIC - ERR_LONG] = "no such topic",
		[ERR_TOPICS - ERR_LONG] = "too many topics",
		[ERR_SUBSCRIPTIONS - ERR_LONG] = "too many subscriptions",
		[ERR_NO_PRIMARY - ERR_LONG] = "no primary is configured",
		[ERR_STORE - ERR_LONG] = "no room for what is replicated",
		[ERR_LOST - ERR_LONG] = "the topic has gone; not durable",
		[ERR_MEMORY - ERR_LONG] = "no memory",
		[ERR_BUFFER - ERR_LONG] = "no buffer now; send it again",
		[ERR_REFUSED - ERR_LONG] = "refused",
	};

	return answer < ERR_LONG ? line_fault_text(answer - LINE_ERR) : texts[answer - ERR_LONG];
}

static void
end_client(struct line_client *state)
{
	state->is_ended = true;
	gw_client_close(state->client);
}

static void
send_told(struct line_listener *listener, struct line_client *state)
{
	size_t len = listener->told_len;

	listener->told_len = 0;
	/* One that does not read what it is told cannot be told which line it was about. */
	if (len > 0 && !state->is_ended && !gw_client_write(state->client, listener->told, len))
		end_client(state);
}

static void
say(struct line_listener *listener, struct line_client *state, uint8_t answer)
{
	static const char *const plain[] = {[LINE_ACK] = "ACK\n", [LINE_PONG] = "PONG\n"};
	char *to;

	if (listener->told_len + ERR_TEXT_MAX > sizeof(listener->told))
		send_told(listener, state);
	to = listener->told + listener->told_len;
	if (answer < LINE_ERR) {
		size_t len = strlen(plain[answer]);

		memcpy(to, plain[answer], len);
		listener->told_len += len;
	} else {
		listener->told_len += (size_t)snprintf(
			to, ERR_TEXT_MAX, "ERR|%s\n", error_text(answer));
	}
}

/* At once, or behind what is not known yet. */
static void
answer(struct line_listener *listener, struct line_client *state, uint8_t answer)
{
	uint64_t token;

	if (line_answers_count(&state->answers) == 0)
		say(listener, state, answer);
	else if (!line_answers_put(&state->answers, answer, &token))
		end_client(state);
}

static void
say_known(struct line_listener *listener, struct line_client *state)
{
	uint8_t known;

	while (line_answers_take(&state->answers, &known))
		say(listener, state, known);
}

/* Holding back. */

static void
hold(struct line_client *state, enum line_hold why)
{
	state->hold = why;
	gw_client_pause(state->client);
}

void
line_release(struct line_client *state)
{
	state->hold = LINE_NOT_HELD;
	gw_client_resume(state->client);
}

static void
check_joined(struct line_client *state)
{
	if (state->nb_joining == 0 && state->hold == LINE_JOINING)
		line_release(state);
}

static bool
is_any_awaited(const struct line_client *state)
{
	const struct line_subscription *s;

	LIST_FOREACH(s, &state->subscriptions, of_client)
	{
		if (!s->is_joined && gw_subscription_is_awaited(s->subscription))
			return true;
	}
	return false;
}

static void on_joining(struct gw_client *client);

static void
watch_joining(struct line_client *state)
{
	if (state->is_watched)
		return;
	state->is_watched = true;
	gw_client_after(state->client, JOINING_MS, on_joining);
}

/* What was refused is not waited for, and what is still to come not forever. */
static void
on_joining(struct gw_client *client)
{
	struct line_client *state = gw_client_state(client);
	uint64_t now = gw_thread_now_ms(gw_client_thread(client));
	struct line_subscription *s;

	state->is_watched = false;
	if (state->nb_joining == 0)
		return;
	if (is_any_awaited(state)) {
		if (now - state->joining_ms < JOINING_MAX_MS) {
			watch_joining(state);
			return;
		}
		gw_client_refuse(client, GW_NO_DESTINATION,
			"a subscription has not taken effect for so long that what follows it is "
			"obeyed",
			NULL, 0);
	}
	LIST_FOREACH(s, &state->subscriptions, of_client)
	s->is_joined = true;
	state->nb_joining = 0;
	check_joined(state);
}

/* The end of a publisher. */

static void
stop_leaving(struct line_client *state)
{
	if (state->is_leaving)
		LIST_REMOVE(state, leaving);
	state->is_leaving = false;
}

static void on_handed_late(struct gw_client *client);
static void check_leave(struct line_client *state);

static void
on_going(struct gw_client *client)
{
	struct line_client *state = gw_client_state(client);

	if (state->came == state->came_before) {
		end_client(state);
		return;
	}
	state->is_going = false;
	check_leave(state);
}

/* What its socket has still is read before, if there is something. */
static void
check_leave(struct line_client *state)
{
	const struct gw_listener *listener = gw_client_listener(state->client);

	if (!state->has_published || state->is_ended || state->is_going || state->has_more ||
		state->nb_subscriptions > 0 || line_answers_count(&state->answers) > 0 ||
		state->hold != LINE_NOT_HELD || gw_listener_config(listener)->is_kept_open)
		return;
	if (!state->is_leaving || state->is_late) {
		state->is_going = true;
		state->came_before = state->came;
		gw_client_after(state->client, 0, on_going);
	} else if (!state->is_timing) {
		state->is_timing = true;
		gw_client_after(state->client, HANDED_MS, on_handed_late);
	}
}

static void
on_handed_late(struct gw_client *client)
{
	struct line_client *state = gw_client_state(client);

	state->is_late = true;
	check_leave(state);
}

static void
on_handed(struct gw_client *client)
{
	check_leave(gw_client_state(client));
}

static struct line_subscription *
find_subscription(struct line_listener *listener, uint64_t topic, const struct line_client *of)
{
	struct line_subscription *s;

	LIST_FOREACH(s, &listener->subscriptions[topic % LINE_BUCKETS], of_topic)
	{
		if (s->topic == topic && (of == NULL || s->client == of))
			return s;
	}
	return NULL;
}

/* Its last message is on its way. */
static void
watch_message(struct line_listener *listener, struct line_client *state, size_t topic_len)
{
	const struct gw_destination *destination;

	state->has_published = true;
	if (gw_listener_config(listener->listener)->is_kept_open)
		return;
	stop_leaving(state);
	destination = gw_find_destination(gw_listener_thread(listener->listener), listener->name,
		listener->prefix_len + topic_len);
	if (destination == NULL || find_subscription(listener, destination->key, NULL) == NULL)
		return;
	state->leaving_id = listener->id_low;
	state->is_leaving = true;
	LIST_INSERT_HEAD(&listener->leaving[state->leaving_id % LINE_BUCKETS], state, leaving);
}

/* A message of ours has come back from the path. */
static void
handed(struct line_listener *listener, uint64_t id)
{
	struct line_client *state, *next;

	for (state = LIST_FIRST(&listener->leaving[id % LINE_BUCKETS]); state != NULL;
		state = next) {
		next = LIST_NEXT(state, leaving);
		if (state->leaving_id != id)
			continue;
		stop_leaving(state);
		/* Behind those it goes to now. */
		gw_client_after(state->client, 0, on_handed);
	}
}

/* Commands. Each returns false when the line is to come again. */

static size_t
whole_name(struct line_listener *listener, const char *topic, size_t len)
{
	memcpy(listener->name + listener->prefix_len, topic, len);
	return listener->prefix_len + len;
}

/* @return 0 or what to tell: it is not there, and cannot be made */
static uint8_t
find_topic(struct line_listener *listener, struct gw_client *client, size_t len,
	const struct gw_destination **destination)
{
	int rc;

	*destination = gw_find_destination(
		gw_listener_thread(listener->listener), listener->name, len);
	if (*destination != NULL)
		return 0;
	rc = gw_open_topic(listener->listener, listener->name, len);
	if (rc == 0)
		return 0;
	if (rc != -ENOSPC) {
		gw_client_refuse(
			client, GW_NO_DESTINATION, "the topic cannot be made", listener->name, len);
		return ERR_NO_TOPIC;
	}
	gw_client_refuse(client, GW_TOO_MANY_TOPICS, "no more topics are made; see topics_max",
		listener->name, len);
	return ERR_TOPICS;
}

static void
fill_message(struct line_listener *listener, struct gw_message *m, size_t len, uint64_t source,
	const char *payload, size_t payload_len)
{
	*m = (struct gw_message){
		.destination = listener->name,
		.destination_len = len,
		.source = source,
		.id_high = listener->id_high,
		.id_low = listener->id_low + 1,
		.payload = payload,
		.payload_len = payload_len,
	};
}

enum gw_published
line_publish(struct gw_client *client, uint64_t source, const uint64_t id[2], const char *topic,
	size_t topic_len, const char *payload, size_t payload_len, uint64_t token,
	enum gw_reason *reason)
{
	struct line_listener *listener = listener_of(client);
	size_t len = whole_name(listener, topic, topic_len);
	const struct gw_destination *destination;
	enum gw_published rc;
	struct gw_message m;
	uint8_t fault;

	fault = find_topic(listener, client, len, &destination);
	if (fault != 0) {
		*reason = fault == ERR_TOPICS ? GW_TOO_MANY_TOPICS : GW_NO_DESTINATION;
		return GW_REFUSED;
	}
	fill_message(listener, &m, len, source, payload, payload_len);
	if (id != NULL) {
		m.id_high = id[0];
		m.id_low = id[1];
	}
	rc = gw_publish(client, &m, token, reason);
	/* It may have been refused between the two. */
	if (rc == GW_REFUSED && destination == NULL && *reason == GW_NO_DESTINATION &&
		gw_open_topic(listener->listener, listener->name, len) == -ENOSPC)
		*reason = GW_TOO_MANY_TOPICS;
	if (id == NULL && (rc == GW_ACCEPTED || rc == GW_PENDING))
		listener->id_low++;
	return rc;
}

static uint8_t
answer_of(enum gw_reason reason)
{
	switch (reason) {
	case GW_TOO_LONG:
		return ERR_LONG;
	case GW_NO_DESTINATION:
		return ERR_NO_TOPIC;
	case GW_TOO_MANY_TOPICS:
		return ERR_TOPICS;
	case GW_NO_BUFFER:
		return ERR_BUFFER;
	default:
		return ERR_REFUSED;
	}
}

static bool
publish(struct line_listener *listener, struct line_client *state,
	const struct line_command *command)
{
	enum gw_reason reason = GW_BAD_INPUT;
	uint64_t token;

	if (listener->primary != NULL && !state->is_let_go &&
		!line_primary_may_publish(listener->primary, state)) {
		hold(state, LINE_BEHIND);
		return false;
	}
	if (!line_answers_put(&state->answers, LINE_PENDING, &token)) {
		end_client(state);
		return false;
	}
	switch (line_publish(state->client, state->source, NULL, command->topic, command->topic_len,
		command->payload, command->payload_len, token, &reason)) {
	case GW_WAIT:
		line_answers_take_back(&state->answers);
		return false;
	case GW_PENDING:
		watch_message(listener, state, command->topic_len);
		return true;
	case GW_ACCEPTED:
		watch_message(listener, state, command->topic_len);
		line_answers_settle(&state->answers, token, LINE_ACK);
		break;
	case GW_REFUSED:
		line_answers_settle(&state->answers, token, answer_of(reason));
		break;
	}
	say_known(listener, state);
	return true;
}

static bool
subscribe(struct line_listener *listener, struct line_client *state,
	const struct line_command *command)
{
	size_t len = whole_name(listener, command->topic, command->topic_len);
	uint64_t topic = sl_wire_name_key_len(listener->name, len);
	const struct gw_destination *destination;
	struct line_subscription *s;
	uint8_t fault;

	if (find_subscription(listener, topic, state) != NULL)
		return true;
	if (state->nb_subscriptions == SUBSCRIPTIONS_MAX) {
		gw_client_refuse(state->client, GW_TOO_MANY_TOPICS, "too many subscriptions",
			listener->name, len);
		answer(listener, state, ERR_SUBSCRIPTIONS);
		return true;
	}
	fault = find_topic(listener, state->client, len, &destination);
	s = fault == 0 ? calloc(1, sizeof(*s)) : NULL;
	if (s != NULL)
		s->subscription = gw_subscribe(state->client, listener->name, len);
	if (s == NULL || s->subscription == NULL) {
		/* It may have been refused between the two. */
		if (fault == 0)
			fault = find_topic(listener, state->client, len, &destination);
		free(s);
		answer(listener, state, fault != 0 ? fault : ERR_MEMORY);
		return true;
	}
	s->client = state;
	s->topic = topic;
	LIST_INSERT_HEAD(&state->subscriptions, s, of_client);
	LIST_INSERT_HEAD(&listener->subscriptions[topic % LINE_BUCKETS], s, of_topic);
	state->nb_subscriptions++;
	if (state->nb_joining++ == 0)
		state->joining_ms = gw_thread_now_ms(gw_client_thread(state->client));
	watch_joining(state);
	return true;
}

static void
drop_subscription(struct line_client *state, struct line_subscription *s)
{
	LIST_REMOVE(s, of_client);
	LIST_REMOVE(s, of_topic);
	state->nb_subscriptions--;
	free(s);
}

static void
unsubscribe(struct line_listener *listener, struct line_client *state,
	const struct line_command *command)
{
	size_t len = whole_name(listener, command->topic, command->topic_len);
	uint64_t topic = sl_wire_name_key_len(listener->name, len);
	struct line_subscription *s = find_subscription(listener, topic, state);

	/* What it does not have is no fault of its. */
	if (s == NULL)
		return;
	gw_unsubscribe(s->subscription);
	drop_subscription(state, s);
}

static void
from_primary(struct line_listener *listener, struct line_client *state,
	const struct line_command *command)
{
	struct line_primary *primary = listener->primary;

	if (primary == NULL) {
		gw_client_refuse(state->client, GW_NOT_ALLOWED,
			"it replicates, but no \"primary\" is configured", command->topic,
			command->topic_len);
		answer(listener, state, ERR_NO_PRIMARY);
		return;
	}
	if (!state->has_replicated)
		gw_client_keep(state->client);
	state->has_replicated = true;
	if (command->verb == LINE_CLEAR) {
		line_primary_clear(primary, command->topic, command->topic_len, command->payload,
			command->payload_len);
	} else if (!gw_fits(gw_client_thread(state->client), command->payload_len)) {
		gw_client_refuse(state->client, GW_TOO_LONG,
			"it replicates what no datagram holds; it is not kept", command->topic,
			command->topic_len);
		answer(listener, state, ERR_LONG);
	} else if (!line_primary_replicate(primary, command->topic, command->topic_len,
			   command->payload, command->payload_len)) {
		gw_client_refuse(state->client, GW_NO_BUFFER,
			"no room for what it replicates; it is not kept", command->topic,
			command->topic_len);
		answer(listener, state, ERR_STORE);
	}
}

static bool
obey(struct line_listener *listener, struct line_client *state, const struct line_command *command)
{
	if (command->verb != LINE_SUBSCRIBE && state->nb_joining > 0) {
		hold(state, LINE_JOINING);
		return false;
	}
	switch (command->verb) {
	case LINE_NOTHING:
		return true;
	case LINE_PUBLISH:
		return publish(listener, state, command);
	case LINE_SUBSCRIBE:
		return subscribe(listener, state, command);
	case LINE_UNSUBSCRIBE:
		unsubscribe(listener, state, command);
		return true;
	case LINE_PING:
		answer(listener, state, LINE_PONG);
		return true;
	case LINE_REPLICATE:
	case LINE_CLEAR:
		from_primary(listener, state, command);
		return true;
	}
	return true;
}

static bool
take_line(struct line_listener *listener, struct line_client *state, const char *line, size_t len)
{
	struct line_command command;
	enum line_fault fault;

	if (line_answers_count(&state->answers) == LINE_ANSWERS_MAX) {
		hold(state, LINE_UNTOLD);
		return false;
	}
	fault = line_parse(line, len, listener->topic_max, &command);
	if (fault != LINE_FINE) {
		gw_client_refuse(state->client, GW_BAD_INPUT, line_fault_text(fault), line, len);
		answer(listener, state, LINE_ERR + fault);
		return true;
	}
	return obey(listener, state, &command);
}

/* The protocol. */

static int
on_open(struct gw_listener *gateway)
{
	const struct sl_config_gateway *config = gw_listener_config(gateway);
	struct line_listener *listener = gw_listener_state(gateway);
	const char *prefix = config->prefix != NULL ? config->prefix : "";

	listener->listener = gateway;
	listener->prefix_len = strlen(prefix);
	if (listener->prefix_len >= SL_CONFIG_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(listener->name, prefix, listener->prefix_len);
	listener->topic_max = SL_CONFIG_NAME_MAX - listener->prefix_len;
	listener->source = gw_name_key(
		gw_listener_thread(gateway), config->name, strlen(config->name));
	/* Nothing that has been used before is used again, whoever else makes ids. */
	evutil_secure_rng_get_bytes(&listener->id_high, sizeof(listener->id_high));
	for (uint32_t i = 0; i < LINE_BUCKETS; i++) {
		LIST_INIT(&listener->subscriptions[i]);
		LIST_INIT(&listener->leaving[i]);
	}
	if (config->primary == NULL || gw_thread_index(gw_listener_thread(gateway)) != 0)
		return 0;
	listener->primary = line_primary_create(listener);
	return listener->primary != NULL ? 0 : -ENOMEM;
}

static void
on_close(struct gw_listener *gateway)
{
	struct line_listener *listener = gw_listener_state(gateway);

	line_primary_destroy(listener->primary);
	listener->primary = NULL;
}

/* The primary's own client comes here, too, before it is known to be that. */
static void
on_connected(struct gw_client *client)
{
	struct line_client *state = gw_client_state(client);

	state->client = client;
	state->source = listener_of(client)->source;
	LIST_INIT(&state->subscriptions);
}

static void
on_input(struct gw_client *client, struct evbuffer *input)
{
	struct line_listener *listener = listener_of(client);
	struct line_client *state = gw_client_state(client);
	enum gw_lines_found found = GW_LINES_END;
	struct gw_lines_turn turn;
	const char *line;
	size_t len;

	if (state->is_own) {
		line_primary_go_on(listener->primary);
		return;
	}
	state->came++;
	state->has_more = false;
	gw_lines_begin(
		&turn, &state->lines, input, gw_listener_config(listener->listener)->input_max);
	while (!state->is_ended && state->hold == LINE_NOT_HELD &&
		(found = gw_lines_next(&turn, &line, &len)) != GW_LINES_END) {
		if (found == GW_LINES_LONG) {
			gw_client_refuse(
				client, GW_TOO_LONG, "a line is longer than input_max", line, len);
			answer(listener, state, ERR_LONG);
		} else if (!take_line(listener, state, line, len)) {
			gw_lines_unget(&turn);
			break;
		}
	}
	gw_lines_end(&turn);
	state->has_more = evbuffer_get_length(input) > 0;
	send_told(listener, state);
	if (state->has_replicated)
		line_primary_flush(listener->primary);
	if (found == GW_LINES_END) {
		state->is_let_go = false;
		check_leave(state);
	}
}

static void
on_published(struct gw_client *client, uint64_t token, bool is_durable)
{
	struct line_listener *listener = listener_of(client);
	struct line_client *state = gw_client_state(client);

	if (state->is_own) {
		line_primary_published(listener->primary, token, is_durable);
		return;
	}
	line_answers_settle(&state->answers, token, is_durable ? LINE_ACK : ERR_LOST);
	say_known(listener, state);
	send_told(listener, state);
	if (state->hold == LINE_UNTOLD &&
		line_answers_count(&state->answers) <= LINE_ANSWERS_MAX / 2)
		line_release(state);
	check_leave(state);
}

static void
on_subscribed(struct gw_client *client, struct gw_subscription *subscription)
{
	struct line_client *state = gw_client_state(client);
	struct line_subscription *s;

	LIST_FOREACH(s, &state->subscriptions, of_client)
	{
		if (s->subscription != subscription || s->is_joined)
			continue;
		s->is_joined = true;
		state->nb_joining--;
		check_joined(state);
		return;
	}
}

static void
on_closed(struct gw_client *client)
{
	struct line_listener *listener = listener_of(client);
	struct line_client *state = gw_client_state(client);

	stop_leaving(state);
	while (!LIST_EMPTY(&state->subscriptions))
		drop_subscription(state, LIST_FIRST(&state->subscriptions));
	line_answers_fini(&state->answers);
	if (listener->primary == NULL)
		return;
	if (state->is_own)
		line_primary_lost_client(listener->primary);
	if (state->hold == LINE_BEHIND)
		line_primary_forget(listener->primary, state);
	if (state->has_replicated)
		line_primary_left(listener->primary);
}

static struct gw_chunk *
render(struct gw_listener *gateway, const struct gw_delivery *delivery)
{
	struct line_listener *listener = gw_listener_state(gateway);
	struct gw_chunk *chunk = gw_chunk_alloc(delivery->payload_len + 1);

	if (delivery->id_high == listener->id_high)
		handed(listener, delivery->id_low);
	if (chunk == NULL)
		return NULL;
	if (delivery->payload_len > 0)
		memcpy(gw_chunk_data(chunk), delivery->payload, delivery->payload_len);
	gw_chunk_data(chunk)[delivery->payload_len] = '\n';
	return chunk;
}

static void
show(const struct gw_listener *gateway, json_t *object)
{
	const struct line_listener *listener = gw_listener_state(
		(struct gw_listener *)(uintptr_t)gateway);

	if (listener->primary != NULL)
		line_primary_show(listener->primary, object);
}

const struct gw_protocol gw_line = {
	.name = "line",
	.client_size = sizeof(struct line_client),
	.listener_size = sizeof(struct line_listener),
	/* One that sends faster than it may is slowed down: it waits for its ACKs anyway. */
	.is_rate_paced = true,
	.open = on_open,
	.close = on_close,
	.connected = on_connected,
	.input = on_input,
	.published = on_published,
	.subscribed = on_subscribed,
	.closed = on_closed,
	.render = render,
	.show = show,
};
