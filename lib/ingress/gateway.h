/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef GATEWAY_H
#define GATEWAY_H

/**
 * @file
 * What the protocols of the gateways stand on. Private to lib/ingress.
 *
 *   client's socket ─ gw_client ─ protocol ─ gw_publish ─ link ══ring══ path
 *   client's socket ─ gw_client ─ protocol ─ deliver ─ link ══ring══ path
 *
 * All of it is one gateway thread's: a thread has its own event loop, listeners (SO_REUSEPORT),
 * clients, subscriptions and link to the path, and shares nothing with the others but counters that
 * others read. A protocol is a table of functions; it keeps what it needs in the state each client
 * and each listener has for it. Parsers are pure and stand in files of their own, so that tests and
 * fuzzers need no thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "sl_config.h"
#include "sl_wire.h"

struct evbuffer;
struct evdns_base;
struct event_base;
struct gw_client;
struct gw_durable;
struct gw_listener;
struct gw_subscription;
struct gw_thread;

/* Bytes to be sent to many, held by reference: rendered once. */
struct gw_chunk;

/* Why something of a client was not taken, or a client is gone; counted each. */
enum gw_reason {
	GW_BAD_INPUT,	   /* Not of the protocol, or a value out of its bounds. */
	GW_TOO_LONG,	   /* Longer than input_max, or than a datagram holds. */
	GW_NO_DESTINATION, /* It is not configured. */
	GW_TOO_MANY_TOPICS,
	GW_OVER_RATE,
	GW_NOT_ALLOWED,	     /* Token or origin. */
	GW_OUTPUT_FULL,	     /* The client does not read: a message for it was dropped. */
	GW_TOO_MANY_CLIENTS, /* Connections turned away. */
	GW_IDLE,	     /* Connections closed: nothing came. */
	GW_RESET,	     /* By the client, in the middle of something. */
	GW_TLS,		     /* Handshake failed. */
	GW_NO_BUFFER,	     /* The path takes no more, at-most-once: dropped. */
	GW_CLOSING,	     /* A topic's message for a client that is being closed. */
	GW_REASONS,
};

/* A message on its way into the path. What is pointed to has to last for the call. */
struct gw_message {
	const char *destination; /* Name. */
	size_t destination_len;
	uint64_t source;
	uint64_t type;
	uint64_t timestamp_ns; /* 0: now */
	uint32_t priority;     /* Class level; 0: the destination's default. */
	const char *id_text;   /* NULL: id_high and id_low are its id. Else they are set from it. */
	size_t id_text_len;
	uint64_t id_high;
	uint64_t id_low;
	const void *payload;
	size_t payload_len;
};

enum gw_published {
	GW_ACCEPTED, /* At most once: the path has it. */
	GW_PENDING,  /* At least once: gw_protocol.published follows, when it is durable. */
	GW_REFUSED,  /* *reason says why; counted. */
	GW_WAIT,     /* Not now: the client is paused, and input() is called again when it may go
			on, also with an empty buffer. The message was not taken. */
};

/* A message from the path. Lasts for the call. */
struct gw_delivery {
	uint64_t destination; /* Key, */
	const char *destination_name;
	uint64_t source, type, timestamp_ns;
	uint32_t priority;
	uint64_t id_high, id_low;
	const char *id_text; /* Not terminated; NULL: none. */
	size_t id_text_len;
	const uint8_t *payload;
	size_t payload_len;
};

struct gw_protocol {
	const char *name;
	size_t client_size;   /* Bytes of state, zeroed, each client has. */
	size_t listener_size; /* And each listener, on each thread. */
	/* A client over its rate waits (GW_WAIT), instead of being refused (GW_OVER_RATE). */
	bool is_rate_paced;
	/* A client that has said its last word (it has shut down its sending side) goes on getting
	 * what it subscribed to. Else it is closed when what it published is done. */
	bool keeps_half_open;

	/* A listener or connector begins, on this thread; and ends. May be NULL. 0 or -errno. */
	int (*open)(struct gw_listener *listener);
	void (*close)(struct gw_listener *listener);

	/* A client has connected (and has done its TLS handshake). May be NULL. */
	void (*connected)(struct gw_client *client);
	/* Bytes have come: take whole units off `input`, leave the rest. A unit that can never be
	 * whole within input_max is the protocol's to skip or refuse. What is in `input` lies in
	 * one piece as long as it is short (evbuffer_pullup() copies nothing then), in memory that
	 * is the thread's: copy or drain, do not move it to another evbuffer. */
	void (*input)(struct gw_client *client, struct evbuffer *input);
	/* What gw_publish() called GW_PENDING: it is durable now, or (false) never will be. */
	void (*published)(struct gw_client *client, uint64_t token, bool is_durable);
	/* A subscription has taken effect: what is published from now on reaches the client. Once
	 * for each, not from within gw_subscribe(). May be NULL. */
	void (*subscribed)(struct gw_client *client, struct gw_subscription *subscription);
	/* The same of a durable one; and it has ended, as the client asked (NULL) or otherwise.
	 * NULL: the protocol has none. */
	void (*durable_began)(struct gw_client *client, const struct gw_durable *durable);
	void (*durable_ended)(
		struct gw_client *client, const struct gw_durable *durable, const char *why);
	/* The appliance ends. What is written now still goes out, as far as the socket takes it.
	 * May be NULL. */
	void (*farewell)(struct gw_client *client);
	/* It is about to go; its state is freed after this. May be NULL. */
	void (*closed)(struct gw_client *client);

	/* Render a message once for all clients of this listener that subscribed to it.
	 * NULL: nothing is to be sent (counted by the protocol). The caller's reference. */
	struct gw_chunk *(*render)(
		struct gw_listener *listener, const struct gw_delivery *delivery);
	/* Called for each of them before it is sent, when not NULL; false: not to this one. */
	bool (*wants)(struct gw_client *client, const struct gw_delivery *delivery);
	/* And after it: it was put into the client's output, or (false) there is no room left in
	 * that. May be NULL. */
	void (*sent)(struct gw_client *client, bool is_sent);

	/* What `show ingress` has beside the counters all have; may be NULL. Another thread's: only
	 * reads what is written atomically. */
	void (*show)(const struct gw_listener *listener, json_t *object);
	/* The same of the listeners of all threads together, where it cannot be added up. */
	void (*show_all)(struct gw_listener *const *listeners, uint32_t nb, json_t *object);
};

extern const struct gw_protocol gw_json;
extern const struct gw_protocol gw_line;
extern const struct gw_protocol gw_rooms;
extern const struct gw_protocol gw_http;

/* Clients. */

void *gw_client_state(struct gw_client *client);
struct gw_listener *gw_client_listener(struct gw_client *client);
struct gw_thread *gw_client_thread(struct gw_client *client);
const struct sl_config_gateway *gw_client_config(const struct gw_client *client);
const char *gw_client_peer(const struct gw_client *client);  /* "ADDRESS:PORT" */
bool gw_client_is_connector(const struct gw_client *client); /* It is a server we connected to. */

/* Send bytes. @return false: more than output_max wait already; nothing was taken, counted */
bool gw_client_write(struct gw_client *client, const void *data, size_t len);
bool gw_client_write_chunk(struct gw_client *client, struct gw_chunk *chunk);

/* Bytes of memory the protocol keeps of what came from it, all together: they count as what waits
 * in `input` does. @return false: more than its share */
bool gw_client_hold(struct gw_client *client, size_t len);
/* All of that has come, until it holds something else: if the client ends now, it does not end in
 * the middle of something. */
void gw_client_hold_whole(struct gw_client *client);

/* Stop, or go on, reading from it; counted, so that reasons add up. */
void gw_client_pause(struct gw_client *client);
void gw_client_resume(struct gw_client *client);

/* Is it made to wait, and not read? Then its silence says nothing. */
bool gw_client_is_held_back(const struct gw_client *client);

/* It does not go on with what GW_WAIT was said to: input() is called now, and is to do without. */
void gw_client_stop_waiting(struct gw_client *client);

/* Close it, when what it is to be sent has gone out, or after a second, unless that flows: then
 * when it has not for 5 s. Not at once: the pointer is good until the callback it is used in
 * returns. */
void gw_client_close(struct gw_client *client);

/* Something of it was not taken: count it and, at a limited rate, log the reason with the first 200
 * bytes of what it was. */
void gw_client_refuse(struct gw_client *client, enum gw_reason reason, const char *what,
	const void *input, size_t input_len);

/* It sends to a name that is not configured: an event, once a minute for a name. gw_publish() tells
 * so itself. */
void gw_tell_unknown(struct gw_client *client, const char *name, size_t len);

/* May a client with this token come in? Where the configuration has no tokens, anybody. Checks in
 * constant time. @return false: not allowed; counted */
bool gw_client_authorize(struct gw_client *client, const char *token, size_t token_len);
const char *gw_client_name(const struct gw_client *client); /* That token's; NULL: it has none. */

/* It may be silent for as long as it likes. */
void gw_client_keep(struct gw_client *client);

/* Call back once, or not when the client is gone before. */
void gw_client_after(struct gw_client *client, uint32_t ms, void (*call)(struct gw_client *client));

/* Listeners. */

void *gw_listener_state(struct gw_listener *listener);
const struct sl_config_gateway *gw_listener_config(const struct gw_listener *listener);
struct gw_thread *gw_listener_thread(struct gw_listener *listener);

/* A client that is the listener's own, without a socket: it publishes what the listener has, as any
 * other does. Its input() is called, with nothing in it, when it may go on after GW_WAIT. A want
 * of buffers (GW_NO_BUFFER) is not counted: it may try again. What it subscribed to is rendered,
 * and goes nowhere. It goes when the listener does. NULL: no memory */
struct gw_client *gw_listener_own_client(struct gw_listener *listener);

/* Add a counter of a protocol to what `show` has of it so far: each thread adds its own. */
void gw_show_add(json_t *object, const char *name, const uint64_t *counter);

/* What all gateways of rooms have, as `show ingress` has it: "room_clients", "members", "rooms",
 * "top_users". */
void gw_show_rooms(struct gw_thread *thread, json_t *object);

/* An event, or where nobody is told of them, a line in the log. `fields` is taken. */
void gw_listener_tell(struct gw_listener *listener, enum sl_config_level level, const char *kind,
	json_t *fields, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The thread. */

struct event_base *gw_thread_base(struct gw_thread *thread);
struct evdns_base *gw_thread_dns(struct gw_thread *thread); /* NULL: there is none. */
uint32_t gw_thread_index(const struct gw_thread *thread);
uint64_t gw_thread_now_ms(const struct gw_thread *thread); /* Monotonic, of this turn. */
uint64_t gw_thread_unix_ns(const struct gw_thread *thread);
/* For what is to be there after a restart: the journal's; NULL: there is none. */
const char *gw_thread_directory(const struct gw_thread *thread);

/* What the control thread tells of the appliance, as JSON; not older than a second. */
struct gw_report {
	uint32_t refs; /* Atomic. */
	uint64_t made_ms;
	bool is_ready;
	char *health;
	char *metrics;
};

/* NULL: it has been asked; look again in some milliseconds. Good until the callback returns. */
const struct gw_report *gw_thread_report(struct gw_thread *thread);

/* Names behind keys, remembered from what came in (bounded; shared by all threads), and from the
 * configuration. */
uint64_t gw_name_key(struct gw_thread *thread, const char *name, size_t len);
const char *gw_key_name(struct gw_thread *thread, uint64_t key); /* NULL: not known */

/* A destination by name; as of the configuration that runs. */
struct gw_destination {
	const char *name;
	uint64_t key;
	enum sl_config_kind kind;
	enum sl_config_guarantee guarantee;
	uint32_t default_class; /* What priority 0 stands for. */
};

/* NULL: it is not configured. Good until the callback returns. */
const struct gw_destination *
gw_find_destination(struct gw_thread *thread, const char *name, size_t len);

/* Have a topic made that is not configured. It is there some milliseconds later; until then
 * gw_publish() to it waits, gw_subscribe() takes effect then. One that was refused is for a second,
 * and then asked for again. @return 0; -ENOSPC: there are too many; -errno: not to be had */
int gw_open_topic(struct gw_listener *listener, const char *name, size_t len);
/* The same of one that the listener begins with: it is not counted. @return 0 or -ENOMEM */
int gw_open_first(struct gw_listener *listener, const char *name, size_t len);

/* Into the path. */
enum gw_published gw_publish(struct gw_client *client, const struct gw_message *message,
	uint64_t token, enum gw_reason *reason);

/* Does a datagram hold a message with so much payload and no text of an id? Else gw_publish() never
 * takes it. */
bool gw_fits(const struct gw_thread *thread, size_t payload_len);

/* From the path: a topic's messages to each subscriber, a queue's to one of them with room. What a
 * queue's subscriber was sent counts as delivered when it has gone into the socket; what had not
 * when it is closed goes to another. A client may have several. */
struct gw_subscription *gw_subscribe(struct gw_client *client, const char *destination, size_t len);
void gw_unsubscribe(struct gw_subscription *subscription); /* Closing does it, too. */
/* Has it not taken effect yet, and may it still? It may not when it was refused. */
bool gw_subscription_is_awaited(const struct gw_subscription *subscription);
uint32_t gw_subscriber_count(struct gw_thread *thread, const char *destination, size_t len);

/*
 * A client as a durable subscriber of an at-least-once topic, under a name: what comes while no
 * client has it is kept, and comes first when one subscribes under it again, here or at another
 * thread. The newer takes it from the older. What it was sent counts as delivered when it has gone
 * into the socket, or when the client has received it, as it wants.
 */
struct gw_durable_names {
	const char *topic, *as;
	size_t topic_len, as_len;
};

/* protocol->durable_began() or durable_ended() follows, never from within. Until that, and until
 * the client ends it, the pointer is good. NULL: not to be had, with one line */
struct gw_durable *gw_durable_subscribe(struct gw_client *client,
	const struct gw_durable_names *names, bool wants_acks, char *error, size_t error_len);
/* It ends, and what was kept for it goes, also when it is away. protocol->durable_ended() follows.
 * @return false: not to be asked for, with one line */
bool gw_durable_forget(struct gw_client *client, const struct gw_durable_names *names, char *error,
	size_t error_len);
/* The client's at a topic. A client has one at most. NULL: none */
struct gw_durable *gw_durable_find(struct gw_client *client, const char *topic, size_t len);
uint32_t gw_durable_count(const struct gw_client *client);
const char *gw_durable_topic(const struct gw_durable *durable);
const char *gw_durable_name(const struct gw_durable *durable);
bool gw_durable_has_begun(const struct gw_durable *durable);
/* The client has a message; the oldest with this id. @return false: none waits for that */
bool gw_durable_received(struct gw_client *client, const char *id, size_t len);

/* Chunks. */
struct gw_chunk *gw_chunk_alloc(size_t len); /* NULL: no memory */
size_t gw_chunk_len(const struct gw_chunk *chunk);
struct gw_chunk *gw_chunk_ref(struct gw_chunk *chunk);
uint8_t *gw_chunk_data(struct gw_chunk *chunk);
void gw_chunk_truncate(struct gw_chunk *chunk, size_t len);
void gw_chunk_free(struct gw_chunk *chunk);

#endif /* GATEWAY_H */
