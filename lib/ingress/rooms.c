/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "gateway.h"
#include "room_message.h"
#include "room_table.h"
#include "ws_conn.h"
#include "ws_handshake.h"

/*
 * Chat rooms over WebSocket: docs/gateways.md, "Rooms".
 *
 * A room is a topic. What a member says goes into the path as its five fields, and comes out of it
 * to every member, with our fields behind them, framed once for all. So a member's own text comes
 * back to it: that is its ack. In an at-least-once room a sender's own copy is sent when the
 * message is durable, not when it is delivered.
 */

#define CHAT	    "/chat/"
#define UPGRADE_MS  10000u /* A request has to be whole within. */
#define JOIN_MS	    5000u  /* A room has to be there within. */
#define CLOSE_MS    2000u  /* A peer has to answer a close within. */
#define TICK_MIN_MS 100u
#define PINGS_LEAST 2u /* Who has not answered so many is closed. */

enum state {
	OUT,
	JOINING, /* Until what is said in the room reaches it. */
	JOINED,
	LEAVING, /* Until its own leaving has reached it. */
};

/* Said in an at-least-once room, and not durable yet. */
struct pending {
	TAILQ_ENTRY(pending) next;
	uint64_t id_low;
	uint64_t timestamp_ns;
	enum room_type type;
	size_t payload_len;
	char payload[];
};

/* Of a client. */
struct chatter {
	struct ws_conn *conn; /* NULL: it is no WebSocket yet. */
	struct room *room;
	struct gw_subscription *subscription;
	enum state state;
	bool is_durable;  /* Its own messages come back when they are durable. */
	uint32_t serial;  /* Of its ids: the upper half of their lower half. */
	uint32_t nb_said; /* And their lower one. */
	uint64_t leave;	  /* The id of its leaving. */
	uint64_t source;
	uint64_t heard_ms;
	uint32_t nb_pings; /* Sent since it was heard. */
	struct room_member member;
	TAILQ_HEAD(, pending) pending;
};

/* Of a listener on a thread. Counters are read by others. */
struct rooms {
	struct room_table table;
	bool is_open;
	uint64_t id_high; /* Of all messages, of this start of this thread. */
	uint32_t nb_serials;
	size_t prefix_len;
	uint64_t types[ROOM_TYPES]; /* Keys of their names. */
	uint64_t nb_upgrades, nb_refused, nb_said[ROOM_TYPES], nb_errors, nb_unshown;
};

#define COUNT(counter) __atomic_store_n(&(counter), (counter) + 1, __ATOMIC_RELAXED)

static struct rooms *
rooms_of(struct gw_client *client)
{
	return gw_listener_state(gw_client_listener(client));
}

/* What goes out. */

static struct gw_chunk *
make_frame(const struct room_broadcast *broadcast, const void *payload, size_t payload_len)
{
	size_t max = payload_len + broadcast->room_len + ROOM_BROADCAST_MORE, len, header_len;
	struct gw_chunk *chunk = gw_chunk_alloc(max + 10);
	uint8_t *frame;

	if (chunk == NULL)
		return NULL;
	frame = gw_chunk_data(chunk);
	/* What is known of the length tells the header's, but for a message at the edge. */
	header_len = ws_frame_header_len(max);
	len = room_broadcast_write(broadcast, payload, payload_len, (char *)frame + header_len);
	if (len == 0) {
		gw_chunk_free(chunk);
		return NULL;
	}
	if (ws_frame_header_len(len) != header_len)
		memmove(frame + ws_frame_header_len(len), frame + header_len, len);
	ws_frame_begin(frame, len);
	gw_chunk_truncate(chunk, ws_frame_header_len(len) + len);
	return chunk;
}

static struct gw_chunk *
render(struct gw_listener *listener, const struct gw_delivery *delivery)
{
	struct rooms *rooms = gw_listener_state(listener);
	const struct room_broadcast broadcast = {
		.room = delivery->destination_name + rooms->prefix_len,
		.room_len = strlen(delivery->destination_name) - rooms->prefix_len,
		.id_high = delivery->id_high,
		.id_low = delivery->id_low,
		.timestamp_ns = delivery->timestamp_ns,
	};
	struct gw_chunk *chunk = make_frame(&broadcast, delivery->payload, delivery->payload_len);

	if (chunk == NULL)
		COUNT(rooms->nb_unshown);
	return chunk;
}

static void
tell_error(struct gw_client *client, const char *why)
{
	struct chatter *chatter = gw_client_state(client);
	char text[ROOM_ERROR_MAX];

	COUNT(rooms_of(client)->nb_errors);
	ws_conn_send_text(chatter->conn, text, room_error_write(why, text));
}

/* Being there. */

/* Is it one of those that are there from the start? */
static bool
is_first_room(const struct sl_config_gateway *config, const char *id, size_t len)
{
	uint64_t number = 0;

	if (id[0] == '0' || len > 9)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (id[i] < '0' || id[i] > '9')
			return false;
		number = 10 * number + (uint64_t)(id[i] - '0');
	}
	return number <= config->nb_rooms;
}

/* @return false: there are too many */
static bool
open_room(struct gw_listener *listener, const struct room *room)
{
	if (is_first_room(gw_listener_config(listener), room->id, strlen(room->id)))
		return gw_open_first(listener, room->topic, room->topic_len) == 0;
	return gw_open_topic(listener, room->topic, room->topic_len) == 0;
}

static void
unsubscribe(struct chatter *chatter)
{
	chatter->state = OUT;
	if (chatter->subscription != NULL)
		gw_unsubscribe(chatter->subscription);
	chatter->subscription = NULL;
}

static bool
is_own(struct gw_client *client, uint64_t id_high, uint64_t id_low)
{
	const struct chatter *chatter = gw_client_state(client);

	return id_high == rooms_of(client)->id_high && id_low >> 32 == chatter->serial;
}

static bool
wants(struct gw_client *client, const struct gw_delivery *delivery)
{
	struct chatter *chatter = gw_client_state(client);

	if (chatter->state < JOINED || ws_conn_state(chatter->conn) != WS_OPEN)
		return false;
	if (!is_own(client, delivery->id_high, delivery->id_low))
		return true;
	if (chatter->is_durable)
		return false;
	if (chatter->state == LEAVING && delivery->id_low == chatter->leave)
		unsubscribe(chatter);
	return true;
}

static void
sent(struct gw_client *client, bool is_sent)
{
	struct room *room = ((struct chatter *)gw_client_state(client))->room;

	if (is_sent)
		room_meter_add(&room->sent, gw_thread_now_ms(gw_client_thread(client)));
	else
		COUNT(room->nb_dropped);
}

static void
said(struct gw_client *client, const struct room_message *message, uint64_t id_low)
{
	struct chatter *chatter = gw_client_state(client);
	struct rooms *rooms = rooms_of(client);

	COUNT(rooms->nb_said[message->type]);
	if (message->type == ROOM_TEXT) {
		room_said(&rooms->table, chatter->room, message->user,
			gw_thread_now_ms(gw_client_thread(client)));
	} else if (message->type == ROOM_JOIN) {
		room_join(&rooms->table, chatter->room, &chatter->member, message);
		chatter->state = JOINED;
	} else {
		room_leave(&rooms->table, chatter->room, &chatter->member);
		chatter->state = LEAVING;
		chatter->leave = id_low;
	}
}

static void
refused(struct gw_client *client, enum gw_reason reason)
{
	struct chatter *chatter = gw_client_state(client);

	switch (reason) {
	case GW_TOO_MANY_TOPICS:
		ws_conn_close(chatter->conn, WS_CLOSE_TRY_LATER, "there are too many rooms");
		break;
	case GW_NO_DESTINATION:
		tell_error(client, "the room is not there");
		break;
	case GW_OVER_RATE:
		tell_error(client, "too many messages a second");
		break;
	case GW_TOO_LONG:
		tell_error(client, "message: is too long for a datagram");
		break;
	default:
		tell_error(client, "the message could not be taken; send it again");
	}
}

/* @return false: not now */
static bool
say(struct gw_client *client, const struct room_message *message)
{
	struct chatter *chatter = gw_client_state(client);
	struct rooms *rooms = rooms_of(client);
	char payload[ROOM_PAYLOAD_MAX];
	enum gw_reason reason = GW_BAD_INPUT;
	const struct gw_message out = {
		.destination = chatter->room->topic,
		.destination_len = chatter->room->topic_len,
		.source = chatter->source,
		.type = rooms->types[message->type],
		.timestamp_ns = gw_thread_unix_ns(gw_client_thread(client)),
		.id_high = rooms->id_high,
		.id_low = (uint64_t)chatter->serial << 32 | chatter->nb_said,
		.payload = payload,
		.payload_len = room_message_write(message, payload),
	};
	struct pending *pending;

	switch (gw_publish(client, &out, out.id_low, &reason)) {
	case GW_WAIT:
		return false;
	case GW_REFUSED:
		refused(client, reason);
		return true;
	case GW_PENDING:
		pending = malloc(sizeof(*pending) + out.payload_len);
		if (pending == NULL) {
			ws_conn_close(
				chatter->conn, WSLAY_CODE_INTERNAL_SERVER_ERROR, "out of memory");
			break;
		}
		pending->id_low = out.id_low;
		pending->timestamp_ns = out.timestamp_ns;
		pending->type = message->type;
		pending->payload_len = out.payload_len;
		memcpy(pending->payload, payload, out.payload_len);
		TAILQ_INSERT_TAIL(&chatter->pending, pending, next);
		chatter->is_durable = true;
		break;
	case GW_ACCEPTED:
		chatter->is_durable = false;
		break;
	}
	chatter->nb_said++;
	said(client, message, out.id_low);
	return true;
}

/* The room has not come in time. */
static void
check_join(struct gw_client *client)
{
	struct chatter *chatter = gw_client_state(client);

	if (chatter->state != JOINING)
		return;
	ws_conn_close(chatter->conn, WS_CLOSE_TRY_LATER, "the room is not to be had now");
	gw_client_after(client, CLOSE_MS, gw_client_close);
}

/* @return false: not now */
static bool
join(struct gw_client *client, const struct room_message *message)
{
	struct chatter *chatter = gw_client_state(client);
	char user[16];
	int len;

	if (chatter->subscription == NULL) {
		/* Who has come and not joined for long does not keep it. */
		if (gw_find_destination(gw_client_thread(client), chatter->room->topic,
			    chatter->room->topic_len) == NULL)
			open_room(gw_client_listener(client), chatter->room);
		chatter->subscription = gw_subscribe(
			client, chatter->room->topic, chatter->room->topic_len);
		if (chatter->subscription == NULL) {
			ws_conn_close(
				chatter->conn, WS_CLOSE_TRY_LATER, "the room is not to be had now");
			return true;
		}
		chatter->state = JOINING;
		gw_client_pause(client);
		gw_client_after(client, JOIN_MS, check_join);
		return false;
	}
	if (chatter->state == JOINING)
		return false;
	len = snprintf(user, sizeof(user), "%u", message->user);
	/* It is in the message; remembered, as a name, it would take the place of others'. */
	chatter->source = sl_wire_name_key_len(user, (size_t)len);
	return say(client, message);
}

static void
subscribed(struct gw_client *client, struct gw_subscription *subscription)
{
	struct chatter *chatter = gw_client_state(client);

	if (chatter->state != JOINING || subscription != chatter->subscription)
		return;
	chatter->state = OUT;
	gw_client_resume(client);
}

static const char *
check_order(const struct chatter *chatter, const struct room_message *message)
{
	if (message->type == ROOM_JOIN)
		return chatter->state == JOINED ? "messageType: is JOIN, and you have joined"
						: NULL;
	if (chatter->state != JOINED)
		return "messageType: JOIN comes first";
	if (message->user != chatter->member.user)
		return "userId: is not who has joined";
	return NULL;
}

static bool
on_text(void *arg, const char *text, size_t len)
{
	struct gw_client *client = arg;
	const struct chatter *chatter = gw_client_state(client);
	struct room_message message;
	const char *why = room_message_parse(text, len, &message);

	if (why == NULL)
		why = check_order(chatter, &message);
	if (why != NULL) {
		gw_client_refuse(client, GW_BAD_INPUT, why, text, len);
		tell_error(client, why);
		return true;
	}
	return message.type == ROOM_JOIN ? join(client, &message) : say(client, &message);
}

static struct pending *
take_pending(struct chatter *chatter, uint64_t id_low)
{
	struct pending *pending;

	TAILQ_FOREACH (pending, &chatter->pending, next) {
		if (pending->id_low == id_low) {
			TAILQ_REMOVE(&chatter->pending, pending, next);
			return pending;
		}
	}
	return NULL;
}

static void
published(struct gw_client *client, uint64_t token, bool is_durable)
{
	struct chatter *chatter = gw_client_state(client);
	struct pending *pending = take_pending(chatter, token);
	const struct room_broadcast broadcast = {
		.room = chatter->room->id,
		.room_len = strlen(chatter->room->id),
		.id_high = rooms_of(client)->id_high,
		.id_low = token,
		.timestamp_ns = pending != NULL ? pending->timestamp_ns : 0,
	};
	struct gw_chunk *chunk;

	if (pending == NULL || ws_conn_state(chatter->conn) != WS_OPEN) {
		free(pending);
		return;
	}
	chunk = is_durable ? make_frame(&broadcast, pending->payload, pending->payload_len) : NULL;
	if (chunk != NULL)
		sent(client, gw_client_write_chunk(client, chunk));
	else
		tell_error(client, "the message was not made durable; send it again");
	gw_chunk_free(chunk);
	if (chatter->state == LEAVING && token == chatter->leave)
		unsubscribe(chatter);
	free(pending);
}

/* The connection. */

static void
on_send(void *arg, const void *frames, size_t len)
{
	gw_client_write(arg, frames, len);
}

static void
check_conn(struct gw_client *client, bool was_open)
{
	struct chatter *chatter = gw_client_state(client);

	switch (ws_conn_state(chatter->conn)) {
	case WS_OPEN:
		break;
	case WS_CLOSING:
		if (was_open)
			gw_client_after(client, CLOSE_MS, gw_client_close);
		break;
	case WS_FAILED:
	case WS_DONE:
		gw_client_close(client);
	}
}

static void
input_frames(struct gw_client *client, struct evbuffer *input)
{
	struct chatter *chatter = gw_client_state(client);
	bool was_open = ws_conn_state(chatter->conn) == WS_OPEN;

	ws_conn_read(chatter->conn, input);
	if (!gw_client_hold(client, ws_conn_held(chatter->conn)))
		ws_conn_close(chatter->conn, WS_CLOSE_TRY_LATER, "there is no memory for it now");
	check_conn(client, was_open);
}

static void
heard(struct gw_client *client)
{
	struct chatter *chatter = gw_client_state(client);

	chatter->heard_ms = gw_thread_now_ms(gw_client_thread(client));
	chatter->nb_pings = 0;
}

/*
 * Half-open connections are found by their silence; living ones are kept by our pings. Timers come
 * a little early, and late when the machine is slow: nobody is closed who did not miss two pings,
 * or whose pongs nobody reads, because it waits for the path.
 */
static void
tick(struct gw_client *client)
{
	struct chatter *chatter = gw_client_state(client);
	uint32_t idle_ms = gw_client_config(client)->idle_ms, period = idle_ms / 3;
	uint64_t silent;

	if (idle_ms == 0 || ws_conn_state(chatter->conn) != WS_OPEN)
		return;
	if (gw_client_is_held_back(client))
		heard(client);
	silent = gw_thread_now_ms(gw_client_thread(client)) - chatter->heard_ms;
	if (silent >= idle_ms && chatter->nb_pings >= PINGS_LEAST) {
		gw_client_refuse(client, GW_IDLE, "it answers no ping", NULL, 0);
		ws_conn_close(chatter->conn, WSLAY_CODE_POLICY_VIOLATION, "it answers no ping");
		gw_client_close(client);
		return;
	}
	if (silent >= period / 2) {
		ws_conn_ping(chatter->conn);
		chatter->nb_pings++;
	}
	gw_client_after(client, period < TICK_MIN_MS ? TICK_MIN_MS : period, tick);
}

/* The handshake. */

static void
refuse_request(struct gw_client *client, unsigned int status, const char *why)
{
	char answer[WS_ANSWER_MAX];

	COUNT(rooms_of(client)->nb_refused);
	gw_client_write(client, answer, ws_answer_refuse(status, why, answer));
	gw_client_close(client);
}

static bool
is_room_id(const char *id, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = id[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    c == '-' || c == '.' || c == '_' || c == '~'))
			return false;
	}
	return len > 0;
}

/* @return 0, or a status of HTTP with its reason */
static unsigned int
enter_room(struct gw_client *client, const struct http_request *request, const char **why)
{
	struct chatter *chatter = gw_client_state(client);
	struct gw_listener *listener = gw_client_listener(client);
	struct rooms *rooms = rooms_of(client);
	const char *id = request->path.at + strlen(CHAT);
	const struct gw_destination *destination;
	char topic[SL_CONFIG_NAME_MAX + 1];
	size_t id_len, len;

	*why = "rooms are at /chat/{roomId}, of letters, digits and -._~";
	if (request->path.len <= strlen(CHAT) || memcmp(request->path.at, CHAT, strlen(CHAT)) != 0)
		return 404;
	id_len = request->path.len - strlen(CHAT);
	len = rooms->prefix_len + id_len;
	if (!is_room_id(id, id_len) || len > SL_CONFIG_NAME_MAX)
		return 404;
	memcpy(topic, gw_client_config(client)->prefix, rooms->prefix_len);
	memcpy(topic + rooms->prefix_len, id, id_len);
	destination = gw_find_destination(gw_listener_thread(listener), topic, len);
	*why = "this is no room";
	if (destination != NULL && destination->kind != SL_CONFIG_TOPIC)
		return 404;
	*why = "out of memory";
	chatter->room = room_enter(&rooms->table, topic, len, rooms->prefix_len);
	if (chatter->room == NULL)
		return 503;
	*why = "there are too many rooms";
	return destination != NULL || open_room(listener, chatter->room) ? 0 : 503;
}

static unsigned int
check_request(struct gw_client *client, const struct http_request *request, const char **why)
{
	const struct sl_config_gateway *config = gw_client_config(client);
	/* Of the query, too: a browser's WebSocket can send no header fields of its own. */
	char buf[HTTP_TOKEN_MAX];
	struct gw_text token = http_request_token(request, buf);
	struct gw_text origin = request->fields[HTTP_ORIGIN];

	*why = "this origin is not allowed";
	if (origin.at != NULL && config->nb_origins > 0 &&
		!http_origin_is_one_of(origin, config->origins, config->nb_origins))
		return 403;
	*why = "a token is needed: Authorization: Bearer TOKEN, or ?access_token=TOKEN";
	if (!gw_client_authorize(client, token.at, token.len))
		return 401;
	return enter_room(client, request, why);
}

static void
upgrade(struct gw_client *client, const struct http_request *request)
{
	static const struct ws_conn_ops ops = {.text = on_text, .send = on_send};
	struct chatter *chatter = gw_client_state(client);
	struct rooms *rooms = rooms_of(client);
	char answer[WS_ANSWER_MAX];
	const char *why;
	unsigned int status = check_request(client, request, &why);

	if (status == 401 || status == 403)
		gw_client_refuse(client, GW_NOT_ALLOWED, why, NULL, 0);
	else if (status == 503)
		gw_client_refuse(
			client, GW_TOO_MANY_TOPICS, why, request->path.at, request->path.len);
	if (status != 0) {
		refuse_request(client, status, why);
		return;
	}
	chatter->conn = ws_conn_new(&ops, client, gw_client_config(client)->input_max);
	if (chatter->conn == NULL) {
		refuse_request(client, 503, "out of memory");
		return;
	}
	COUNT(rooms->nb_upgrades);
	chatter->serial = ++rooms->nb_serials;
	gw_client_write(client, answer, ws_answer_accept(request, answer));
	tick(client);
}

/* @return it is a WebSocket now */
static bool
input_request(struct gw_client *client, struct evbuffer *input)
{
	struct chatter *chatter = gw_client_state(client);
	size_t len = evbuffer_get_length(input);
	struct http_request request;
	const char *data;
	ssize_t used;

	if (len > HTTP_HEAD_MAX)
		len = HTTP_HEAD_MAX;
	data = (const char *)evbuffer_pullup(input, (ssize_t)len);
	if (data == NULL)
		return false;
	used = ws_request_parse(data, len, &request);
	if (used == 0)
		return false;
	if (used < 0) {
		gw_client_refuse(client, GW_BAD_INPUT, request.why, data, len);
		refuse_request(client, request.status, request.why);
		return false;
	}
	upgrade(client, &request);
	evbuffer_drain(input, (size_t)used);
	return chatter->conn != NULL;
}

static void
input(struct gw_client *client, struct evbuffer *data)
{
	struct chatter *chatter = gw_client_state(client);

	heard(client);
	if (chatter->conn != NULL || input_request(client, data))
		input_frames(client, data);
}

static void
check_upgrade(struct gw_client *client)
{
	const struct chatter *chatter = gw_client_state(client);

	if (chatter->conn == NULL) {
		gw_client_refuse(client, GW_IDLE, "no request came in time", NULL, 0);
		refuse_request(client, 408, "no request came in time");
	}
}

static void
connected(struct gw_client *client)
{
	struct chatter *chatter = gw_client_state(client);

	TAILQ_INIT(&chatter->pending);
	chatter->heard_ms = gw_thread_now_ms(gw_client_thread(client));
	gw_client_after(client, UPGRADE_MS, check_upgrade);
}

static void
farewell(struct gw_client *client)
{
	struct chatter *chatter = gw_client_state(client);

	if (chatter->conn != NULL)
		ws_conn_close(chatter->conn, WSLAY_CODE_GOING_AWAY, "the appliance ends");
}

static void
closed(struct gw_client *client)
{
	struct chatter *chatter = gw_client_state(client);
	struct rooms *rooms = rooms_of(client);
	struct pending *pending;

	while ((pending = TAILQ_FIRST(&chatter->pending)) != NULL) {
		TAILQ_REMOVE(&chatter->pending, pending, next);
		free(pending);
	}
	if (chatter->state == JOINED)
		room_leave(&rooms->table, chatter->room, &chatter->member);
	unsubscribe(chatter);
	ws_conn_free(chatter->conn);
	if (chatter->room != NULL)
		room_exit(&rooms->table, chatter->room);
}

/* The listener. */

static int
open_rooms(struct gw_listener *listener)
{
	const struct sl_config_gateway *config = gw_listener_config(listener);
	struct gw_thread *thread = gw_listener_thread(listener);
	struct rooms *rooms = gw_listener_state(listener);
	char topic[SL_CONFIG_NAME_MAX + 1];
	int rc = room_table_init(&rooms->table), len;

	if (rc != 0)
		return rc;
	rooms->is_open = true;
	evutil_secure_rng_get_bytes(&rooms->id_high, sizeof(rooms->id_high));
	rooms->prefix_len = strlen(config->prefix);
	for (unsigned int i = 0; i < ROOM_TYPES; i++)
		rooms->types[i] = gw_name_key(
			thread, room_type_names[i], strlen(room_type_names[i]));
	for (uint32_t i = 1; i <= config->nb_rooms && rc == 0; i++) {
		len = snprintf(topic, sizeof(topic), "%s%u", config->prefix, i);
		rc = gw_open_first(listener, topic, (size_t)len);
	}
	return rc;
}

static void
close_rooms(struct gw_listener *listener)
{
	struct rooms *rooms = gw_listener_state(listener);

	if (rooms->is_open)
		room_table_fini(&rooms->table);
}

static void
show(const struct gw_listener *listener, json_t *object)
{
	const struct rooms *rooms = gw_listener_state((struct gw_listener *)(uintptr_t)listener);

	gw_show_add(object, "upgrades", &rooms->nb_upgrades);
	gw_show_add(object, "refused", &rooms->nb_refused);
	gw_show_add(object, "texts", &rooms->nb_said[ROOM_TEXT]);
	gw_show_add(object, "joins", &rooms->nb_said[ROOM_JOIN]);
	gw_show_add(object, "leaves", &rooms->nb_said[ROOM_LEAVE]);
	gw_show_add(object, "errors", &rooms->nb_errors);
	gw_show_add(object, "not_json", &rooms->nb_unshown);
}

static void
show_all(struct gw_listener *const *listeners, uint32_t nb, json_t *object)
{
	const struct room_table *tables[SL_CONFIG_GATEWAYS_MAX * SL_CONFIG_GATEWAY_THREADS];
	uint32_t n = 0;

	for (uint32_t i = 0; i < nb; i++) {
		const struct rooms *rooms = gw_listener_state(listeners[i]);

		if (rooms->is_open)
			tables[n++] = &rooms->table;
	}
	room_tables_show(tables, n, object);
}

const struct gw_protocol gw_rooms = {
	.name = "rooms",
	.client_size = sizeof(struct chatter),
	.listener_size = sizeof(struct rooms),
	.open = open_rooms,
	.close = close_rooms,
	.connected = connected,
	.input = input,
	.published = published,
	.subscribed = subscribed,
	.farewell = farewell,
	.closed = closed,
	.render = render,
	.wants = wants,
	.sent = sent,
	.show = show,
	.show_all = show_all,
};
