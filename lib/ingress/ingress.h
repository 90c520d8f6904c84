/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef INGRESS_H
#define INGRESS_H

/**
 * @file
 * Between the files behind gateway.h and sl_ingress.h; protocols do not include it.
 *
 * Three owners: the control thread (struct sl_ingress), a gateway thread (struct gw_thread and all
 * that hangs on it), and nobody (struct gw_shared, struct gw_snapshot: immutable, or under a lock).
 */

#include <netinet/in.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <openssl/ssl.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include <rte_mbuf.h>

#include "gateway.h"
#include "names.h"
#include "sl_gcra.h"
#include "sl_ingress.h"
#include "sl_net.h"
#include "sl_session.h"
#include "sl_session_index.h"
#include "snapshot.h"

/* Bytes of one read(). */
#define GW_READ_MAX (256u << 10)
/* Input left over that is put in front of what comes next, to lie in one piece with it. */
#define GW_JOIN_MAX (16u << 10)
/* Bytes that wait in all clients of a thread; above it each has its share only. */
#define GW_MEMORY_MAX (UINT64_C(512) << 20)
#define GW_SHARE_MIN  (4u << 10)
/* Bytes of messages of queues that a thread holds, and of those that are not durable yet. */
#define GW_HELD_MAX (UINT64_C(128) << 20)
#define GW_LIVE_MAX (UINT64_C(128) << 20)
/* What a client of a queue is given ahead of what it has read. */
#define GW_QUEUE_AHEAD (64u << 10)

/* Counters: written by one thread, read by any. */
#define GW_ADD(counter, n) __atomic_store_n(&(counter), (counter) + (n), __ATOMIC_RELAXED)
#define GW_GET(counter)	   __atomic_load_n(&(counter), __ATOMIC_RELAXED)

struct gw_stats {
	uint64_t clients;
	uint64_t connections; /* Taken in, since the start. */
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t accepted; /* Messages the path has, */
	uint64_t durable;  /* of those of at-least-once: settled, */
	uint64_t lost;	   /* or given up. */
	uint64_t delivered;
	uint64_t returned; /* Of queues: given to another, because the client had gone. */
	uint64_t waits;
	uint64_t subscriptions;
	uint64_t reasons[GW_REASONS];
};

const char *gw_reason_name(enum gw_reason reason);

/* How many clients an address has, of all threads. */

struct gw_addresses;

struct gw_addresses *gw_addresses_create(void);
void gw_addresses_destroy(struct gw_addresses *addresses);
/* @return false: it has so many, or there is no memory */
bool gw_addresses_take(struct gw_addresses *addresses, const struct sl_ip *ip, uint32_t max);
void gw_addresses_give(struct gw_addresses *addresses, const struct sl_ip *ip);

/* One configured listener or connector; what its threads share. */

enum gw_server_state {
	GW_SERVER_IDLE,
	GW_SERVER_CONNECTING,
	GW_SERVER_CONNECTED,
	GW_SERVER_BACKOFF
};

struct gw_server {
	const char *address; /* "HOST:PORT", the configuration's. */
	uint32_t state;	     /* Atomic, all. */
	uint64_t attempts;
	uint64_t connections;
	uint64_t bytes_in;
	uint64_t accepted; /* Messages the path has; */
	uint64_t refused;  /* what was not taken, for whatever reason. */
	uint64_t since_ms; /* In this state; monotonic. */
	pthread_mutex_t lock;
	char error[128]; /* The last one, under the lock. */
};

struct gw_gateway {
	struct sl_config_gateway config; /* Its strings are of `storage`. */
	void **storage;			 /* What to free. */
	uint32_t nb_storage;
	const struct gw_protocol *protocol;
	uint32_t index;
	int fds[GW_THREADS_MAX]; /* Listening; -1: none. */
	struct gw_addresses *addresses;
	uint32_t clients;   /* Atomic. */
	uint32_t nb_topics; /* Opened by it, and there, but for those it begins with; atomic. */
	uint32_t nb_servers;
	struct gw_server *servers;
	struct gw_listener *listeners[GW_THREADS_MAX];
};

const struct gw_protocol *gw_protocol_of(enum sl_config_protocol protocol);

/* What threads ask of the control thread. */

enum gw_wish {
	GW_JOIN,
	GW_LEAVE,
	GW_OPEN,
	GW_OPEN_FIRST, /* And to stay. */
	GW_REPORT,
	GW_DURABLE_JOIN, /* Of one client, under a name; */
	GW_DURABLE_LEAVE,
	GW_DURABLE_FORGET, /* answered, as the first is when it fails. */
};

struct gw_request {
	STAILQ_ENTRY(gw_request) next;
	enum gw_wish wish;
	uint32_t thread;
	uint64_t serial; /* Of the thread's requests. */
	uint32_t gateway;
	enum sl_config_guarantee guarantee;
	uint16_t port; /* Of a durable subscriber, */
	char name[SL_CONFIG_NAME_MAX + 1];
	char as[SL_CONFIG_NAME_MAX + 1]; /* and its name. */
};

STAILQ_HEAD(gw_requests, gw_request);

/* What the control thread says of a durable subscriber. */
struct gw_answer {
	STAILQ_ENTRY(gw_answer) next;
	uint16_t port;
	char error[256]; /* Empty: it is done. */
};

STAILQ_HEAD(gw_answers, gw_answer);

struct gw_opened;
struct gw_unknown;
#define GW_OPENED_BUCKETS 4096u
#define GW_REFUSED_MAX	  4096u

struct gw_shared {
	struct gw_names *names;
	struct gw_unknown *unknown;
	bool has_named_journal;	 /* Names go into the journal. */
	bool is_names_full_told; /* Atomic. */
	struct sl_notify *notify;
	char *directory; /* NULL: there is no journal. */
	uint16_t udp_port;
	uint32_t nb_gateways;
	struct gw_gateway gateways[GW_LISTENERS_MAX];
	pthread_mutex_t lock;
	struct gw_requests requests; /* Under the lock, */
	/* Topics that were asked for, by key, */
	struct gw_opened *opened[GW_OPENED_BUCKETS];
	/* the keys of those that were refused last, in a ring, */
	uint64_t refused[GW_REFUSED_MAX];
	uint32_t nb_refused;
	struct gw_report *report; /* the last report; NULL: none yet, */
	uint64_t report_asked_ms; /* and when one was asked for. */
	int request_fd;		  /* An eventfd that wakes the control thread. */
};

/* @return 0, -ENOMEM */
int gw_ask(struct gw_thread *thread, enum gw_wish wish, uint32_t gateway, const char *name,
	enum sl_config_guarantee guarantee);

/* Let it look for what is asked for elsewhere: names. */
void gw_wake_control(struct gw_shared *shared);

/* The same of a durable subscriber. */
int gw_ask_durable(struct gw_thread *thread, enum gw_wish wish, const char *topic, const char *as,
	uint16_t port);

/* Let a thread know; @param error  NULL: it is done. The control thread's. */
void gw_answer(struct gw_thread *thread, uint16_t port, const char *error);
void gw_answers_take(struct gw_thread *thread);
void gw_answers_free(struct gw_thread *thread);

/* A topic that was asked for is in the next snapshot, or not to be had: who asks again is told why
 * (-errno), for a second. */
void gw_open_served(struct gw_shared *shared, const char *name);
void gw_open_failed(struct gw_shared *shared, const char *name, int why);
/* A snapshot is prepared: it has what was served so far. */
void gw_opened_decide(struct gw_shared *shared);
/* It is handed over: those that are not there any more may be asked for again, and have given their
 * place back; those that were served and are not there are refused. */
void gw_opened_settle(struct gw_shared *shared, const struct gw_snapshot *snapshot);
void gw_opened_destroy(struct gw_shared *shared);
/* Was it asked for a moment ago? */
bool gw_thread_is_opening(struct gw_thread *thread, const char *name, size_t len);
/* Was it asked for, and is it not refused, however long that takes? */
bool gw_thread_has_opened(struct gw_thread *thread, const char *name, size_t len);

/* A report, whose texts are taken. */
void gw_report_put(struct gw_shared *shared, bool is_ready, char *health, char *metrics);
void gw_report_unref(struct gw_report *report); /* NULL is fine. */

/* The link to the path. */

#define GW_LINK_SPARE 32u
#define GW_LINK_READY 64u

struct gw_datagram {
	struct rte_mbuf *mbuf; /* NULL: none is begun. */
	uint8_t *data;
	uint32_t len;
	uint32_t nb_messages;
	uint64_t session;
};

struct gw_link {
	struct sl_datapath_gateway path;
	struct sl_net_flow flow;
	struct sl_net_station station;
	rte_be16_t udp_port;
	uint32_t nb_spare;
	uint32_t nb_ready;
	struct rte_mbuf *spare[GW_LINK_SPARE];
	struct rte_mbuf *ready[GW_LINK_READY]; /* Whole, not in the ring yet. */
	bool is_lacking;		       /* There was no buffer when it was asked last. */
	struct gw_datagram loose;
	struct gw_datagram numbered;
	uint64_t frames_in, frames_out, bad_frames, no_buffer, ring_full;
	uint8_t *flat; /* For frames in several segments. */
};

int gw_link_init(struct gw_link *link, const struct sl_datapath_gateway *path, uint16_t udp_port);
void gw_link_fini(struct gw_link *link);
/* The longest message, tag and length included, that a datagram holds. */
uint32_t gw_link_message_max(const struct gw_link *link);
/* Are large buffers, which a message of this length needs, short? */
bool gw_link_lacks_large(const struct gw_link *link, uint64_t session, uint32_t len);
/* Room for a message in a datagram of that session (0: none). @return NULL: not now */
uint8_t *gw_link_add(struct gw_link *link, uint64_t session, uint32_t len);
/* Send one datagram by itself, from a port. @return false: not now */
bool gw_link_send(struct gw_link *link, rte_be16_t port, const uint8_t *data, uint32_t len);
void gw_link_flush(struct gw_link *link);
/* Take what has come, some hundred frames at most. @return how many */
uint32_t gw_link_receive(struct gw_thread *thread);

/* Publishing. */

struct gw_publication;
TAILQ_HEAD(gw_publications, gw_publication);
TAILQ_HEAD(gw_clients, gw_client);

struct gw_publisher {
	struct sl_session_tx *tx;
	void *mem;
	uint64_t session;
	uint32_t window;
	uint32_t nb_live; /* Publications that are not settled. */
	uint64_t live_bytes;
	uint64_t hold_until_ns;
	uint64_t lacking_until_ns; /* Buffers. */
	uint32_t refusals;
	struct gw_publications again; /* To be sent in a new session. */
	struct gw_publications live;
	struct gw_publications settled; /* Whose clients are to be told. */
	struct gw_clients waiting;	/* Clients, for room. */
	struct gw_clients opening;	/* For a topic that is being made. */
	struct gw_clients naming;	/* For their names to be in the journal. */
	uint32_t names_seen;
	void *blocks; /* Free ones. */
	uint32_t nb_blocks;
	uint64_t retransmitted, refused, acks, bad_acks;
};

int gw_publisher_init(struct gw_thread *thread, uint32_t window);
void gw_publisher_fini(struct gw_thread *thread);
void gw_publisher_ack(struct gw_thread *thread, const struct sl_wire_ack *ack);
/* Send again what is to be, tell clients, and let those go on that waited. */
void gw_publisher_turn(struct gw_thread *thread);
/* Another snapshot: what can never be durable is told so. */
void gw_publisher_applied(struct gw_thread *thread);
/* Let clients that waited for a topic go on: it is there, or they wait again. */
void gw_publisher_opened(struct gw_thread *thread);
void gw_publisher_forget(struct gw_client *client);

/* Subscriptions, and what comes from the path. */

struct gw_held;
TAILQ_HEAD(gw_helds, gw_held);
struct gw_receiver;
TAILQ_HEAD(gw_receivers, gw_receiver);
TAILQ_HEAD(gw_durables, gw_durable);
struct gw_topic;
TAILQ_HEAD(gw_topics, gw_topic);

struct gw_subscription {
	LIST_ENTRY(gw_subscription) of_client;
	struct gw_client *client;
	struct gw_topic *topic;
	uint32_t refs;
	uint32_t place;
	bool is_told; /* That it has taken effect. */
};

/* A message of a queue, or for a durable subscriber, from its coming to its leaving. */
struct gw_held {
	TAILQ_ENTRY(gw_held) next;
	struct gw_topic *topic;	      /* Of a queue, while it waits. */
	struct gw_durable *durable;   /* NULL: a queue's. */
	struct gw_receiver *receiver; /* NULL: at most once. */
	uint64_t key;
	uint64_t sequence;
	uint64_t end; /* It has left when so many bytes of its client have. */
	uint32_t len;
	uint8_t bytes[];
};

/* @return NULL: no memory */
struct gw_held *gw_hold(struct gw_thread *thread, uint64_t key, struct gw_receiver *receiver,
	uint64_t sequence, const uint8_t *message, uint32_t len);
void gw_held_free(struct gw_thread *thread, struct gw_held *held);
/* It is in its client's output. */
void gw_held_given(struct gw_held *held, struct gw_client *client);
/* Somebody has it: the path is told, and it is freed. */
void gw_held_done(struct gw_thread *thread, struct gw_held *held);

/* What a listener's protocol has made of a message; once for all of its clients. */
struct gw_rendering {
	const struct gw_delivery *delivery;
	uint32_t done; /* Bits. */
	struct gw_chunk *chunks[GW_LISTENERS_MAX];
};

void gw_delivery_read(uint64_t key, const char *name, const uint8_t *message, uint32_t len,
	struct gw_delivery *delivery);
bool gw_give(struct gw_rendering *rendering, struct gw_client *client);
void gw_rendering_end(struct gw_rendering *rendering);
/* May it be given one more that counts as delivered when it is in the socket? */
bool gw_client_has_room(const struct gw_client *client);
/* What has gone into the socket counts as delivered: the kernel keeps little that was not sent. */
void gw_client_bound_unsent(const struct gw_client *client);

/* Durable subscribers: a client's, with a port of its own on the thread's link. */

/* Ports for them: what IANA leaves to anybody, for a while. */
#define GW_DURABLE_PORT 49152u
#define GW_DURABLES_MAX (65536u - GW_DURABLE_PORT)

enum gw_durable_state {
	GW_DURABLE_ASKED,
	GW_DURABLE_BEGUN,
	GW_DURABLE_FORGETTING,
	GW_DURABLE_CLOSING, /* Without a client, until the path sends it no more. */
};

struct gw_durable {
	LIST_ENTRY(gw_durable) of_client;
	TAILQ_ENTRY(gw_durable) all;
	TAILQ_ENTRY(gw_durable) starved;
	struct gw_thread *thread;
	struct gw_client *client; /* NULL: closing. */
	enum gw_durable_state state;
	uint64_t key; /* Of the topic, */
	uint64_t as_key;
	uint64_t asked_ms;
	uint32_t waiting_bytes;
	uint16_t port;
	bool wants_acks;
	bool is_starved;
	struct gw_helds waiting;	  /* For room in the client's output. */
	TAILQ_HEAD(, gw_unacked) unacked; /* It has them, and has not said so. */
	char topic[SL_CONFIG_NAME_MAX + 1];
	char as[SL_CONFIG_NAME_MAX + 1];
};

struct gw_durable_port {
	struct gw_durable *durable; /* NULL: it is free. */
	uint64_t free_ms;	    /* Not before. */
};

static inline bool
gw_durable_is_port(rte_be16_t port)
{
	return rte_be_to_cpu_16(port) >= GW_DURABLE_PORT;
}

int gw_durables_init(struct gw_thread *thread);
void gw_durables_fini(struct gw_thread *thread);
/* Messages for one of them. */
void gw_durable_input(struct gw_thread *thread, rte_be16_t port, const uint8_t *data,
	const struct sl_wire_datagram *datagram);
/* What the control thread has said. */
void gw_durable_answered(struct gw_thread *thread, const struct gw_answer *answer);
/* It has gone into the socket; it is freed. */
void gw_durable_gone(struct gw_held *held);
/* The client goes: they are away. It has said its last word: it may have gone, and the socket does
 * not tell until it is written to, so they are, too. */
void gw_durables_leave(struct gw_client *client);
void gw_durables_eof(struct gw_client *client);
void gw_durables_turn(struct gw_thread *thread);
/* Time has passed, or another snapshot has come. */
void gw_durables_settle(struct gw_thread *thread);

#define GW_TOPIC_BUCKETS 4096u

struct gw_subscriber {
	struct gw_topic **topics; /* Buckets. */
	uint32_t nb_topics;
	struct gw_topics changed; /* To be joined or left. */
	bool is_new;		  /* Some are to be joined at once. */
	uint32_t nb_joined;	  /* Messages may come. */
	struct gw_topics starved; /* Queues with messages that wait for a client with room. */
	struct sl_session_index index;
	struct gw_receiver **slots;
	uint32_t nb_slots;
	struct gw_receivers lru; /* The first has been silent for longest. */
	struct gw_receivers due; /* To be acknowledged. */
	uint64_t nb_held;
	uint64_t held_bytes;
	uint64_t duplicates, refused, no_memory, undeliverable, acks;
	struct gw_durable_port *durable_ports;
	uint32_t durable_at; /* The port given last. */
	struct gw_durables durables;
	struct gw_durables durables_starved;
};

int gw_subscriber_init(struct gw_thread *thread);
void gw_subscriber_fini(struct gw_thread *thread);
/* A datagram with messages from the path. */
void gw_subscriber_input(
	struct gw_thread *thread, const uint8_t *data, const struct sl_wire_datagram *datagram);
/* Acknowledge; @param is_quiet  nothing came in this turn */
void gw_subscriber_turn(struct gw_thread *thread, bool is_quiet);
void gw_subscriber_housekeeping(struct gw_thread *thread);
void gw_subscriber_applied(struct gw_thread *thread);
/* Its output has moved. */
void gw_subscriber_progress(struct gw_client *client);
void gw_subscriber_forget(struct gw_client *client);

/* Sessions of the path with this thread. */

struct gw_receiver {
	TAILQ_ENTRY(gw_receiver) lru;
	TAILQ_ENTRY(gw_receiver) due;
	uint64_t number;
	uint64_t came_next; /* All before have come. */
	uint64_t came_highest;
	uint64_t due_at_ns;
	uint64_t heard_ms;
	uint64_t echo_timestamp_ns;
	uint64_t echo_at_ns;
	uint32_t window;
	uint32_t unacked;
	uint32_t refs; /* Messages held, and the table. */
	uint32_t slot;
	rte_be16_t port; /* Of this end. */
	bool is_due;
	bool is_gone;
	struct sl_session_rx *rx;
};

/* @return NULL: it is refused, or there is no memory */
struct gw_receiver *gw_receiver_find(struct gw_thread *thread, uint64_t number,
	uint64_t first_sequence, uint64_t destination, rte_be16_t port);
/* Has it come in order? False: it is not to be taken now, or it came before. */
bool gw_receiver_take(struct gw_thread *thread, struct gw_receiver *receiver, uint64_t sequence);
/* It is done with for good. */
void gw_receiver_done(struct gw_thread *thread, struct gw_receiver *receiver, uint64_t sequence,
	uint64_t timestamp_ns);
/* Not all it sent can be done with here: it is to begin anew, and to send again. */
void gw_receiver_abandon(struct gw_thread *thread, struct gw_receiver *receiver);
/* All at a port. */
void gw_receivers_abandon(struct gw_thread *thread, rte_be16_t port);
/* The same of one that is not known here. */
void gw_receiver_refuse(struct gw_thread *thread, uint64_t number, rte_be16_t port);
void gw_receiver_unref(struct gw_receiver *receiver);
void gw_receiver_acks(struct gw_thread *thread, bool all);
void gw_receiver_expire(struct gw_thread *thread);
void gw_receivers_fini(struct gw_thread *thread);

/* Clients. */

struct gw_timer;

struct gw_client {
	TAILQ_ENTRY(gw_client) lru;	/* Of its listener, by when something moved last. */
	TAILQ_ENTRY(gw_client) dirty;	/* Has output to be sent at the end of the turn. */
	TAILQ_ENTRY(gw_client) waiting; /* In a list of gw_publisher. */
	TAILQ_ENTRY(gw_client) doomed;
	LIST_ENTRY(gw_client) shown; /* Of its listener, under the lock of that. */
	struct gw_clients *wait_list;
	struct gw_listener *listener;
	struct gw_connection *connection; /* Of a connector; NULL. */
	struct event read_event;
	struct event write_event;
	struct evbuffer *input;
	struct evbuffer *output;
	SSL *ssl;
	int fd;
	uint32_t refs; /* Itself, and what it published and is not settled. */
	uint32_t nb_pending;
	uint32_t pauses;
	uint32_t input_len;    /* Counted in the thread's memory. */
	uint32_t output_len;   /* The same, */
	uint64_t kept_len;     /* and what its protocol keeps. */
	uint64_t written;      /* Bytes put into output since it began, */
	uint64_t gone;	       /* and those that have left it. */
	uint64_t moved_ms;     /* When something came or went. */
	uint64_t output_ms;    /* When output moved, or began. */
	uint64_t wait_ms;      /* Since when it waits. */
	uint64_t closing_left; /* Bytes it was still to get, when that was looked at last; */
	uint64_t flowed_ms;    /* and when they were fewer than before; 0: never. */
	/* Read by others: */
	uint64_t began_ms;
	uint64_t delivered; /* Messages put into its output; */
	uint64_t dropped;   /* and what was not, because that was full. */
	uint64_t losing_ms; /* Since when it loses; 0: it does not. */
	uint64_t dropped_before;
	struct sl_gcra rate;
	uint64_t rate_set; /* What it was made of. */
	struct sl_ip ip;
	LIST_HEAD(, gw_subscription) subscriptions;
	LIST_HEAD(, gw_durable) durables;
	LIST_HEAD(, gw_timer) timers;
	struct gw_helds held; /* Messages of queues it was given, in the order of its output. */
	uint32_t nb_held;
	bool is_reading; /* The event is in. */
	bool is_writing; /* The same. */
	bool is_dirty;
	bool is_waiting; /* For the path. */
	bool is_handshaking;
	bool is_connected; /* The protocol knows it. */
	bool is_eof;	   /* It has said its last word. */
	bool is_closing;
	bool is_lingering; /* All is sent; it is given time to read it. */
	bool is_doomed;
	bool is_gone;
	bool is_in_input;
	bool is_kept;		   /* However long it is silent. */
	bool is_kept_whole;	   /* What its protocol keeps. */
	bool is_own;		   /* Of the listener; it has no socket. */
	bool wants_write_for_read; /* TLS */
	bool wants_read_for_write;
	const char *name;	  /* Of its token. */
	struct gw_tokens *tokens; /* Which the name is of. */
	char peer[56];
	_Alignas(16) uint8_t state[];
};

static inline bool
gw_client_is_subscribed(const struct gw_client *client)
{
	return !LIST_EMPTY(&client->subscriptions) || !LIST_EMPTY(&client->durables);
}

/* Takes the socket. @return NULL: no memory; the socket is closed */
struct gw_client *gw_client_create(struct gw_listener *listener, int fd, const struct sl_ip *ip,
	uint16_t port, struct gw_connection *connection);
/* End it at the end of the turn, without more ado. */
void gw_client_doom(struct gw_client *client);
/* It may speak to its protocol. */
void gw_client_begin(struct gw_client *client);
/* The protocol's last word; and all of it goes, but what its publications refer to. */
void gw_client_end(struct gw_client *client);
void gw_clients_housekeeping(struct gw_listener *listener);
/* Who holds messages of a queue and does not read gives them to those who do. */
bool gw_client_is_stalled(const struct gw_client *client);
void gw_client_check_stall(struct gw_client *client); /* It is doomed, if so. */

/* What others see of it, of client_show.c. */

/* It comes and goes. */
void gw_client_shown(struct gw_client *client);
void gw_client_unshown(struct gw_client *client);
/* Something was dropped, because its output is full; said when it begins. */
void gw_client_loses(struct gw_client *client);
/* It has read all that waited. */
void gw_client_has_read(struct gw_client *client);
/* Those of a gateway who lost most, GW_CLIENTS_SHOWN at most; any thread's. */
#define GW_CLIENTS_SHOWN 256u
json_t *gw_show_clients(const struct gw_gateway *gateway, uint32_t nb_threads);
/* May a line be logged, or is it one too many? @param more  set to how many there were before */
bool gw_listener_may_log(struct gw_listener *listener, char more[48]);

/* Its socket, of client_io.c. */
void gw_clients_turn(struct gw_thread *thread); /* Send what is to be sent; free the doomed. */
void gw_client_on_readable(evutil_socket_t fd, short what, void *arg);
void gw_client_on_writable(evutil_socket_t fd, short what, void *arg);
void gw_client_stop_reading(struct gw_client *client);
void gw_client_stop_writing(struct gw_client *client);
/* Call input() again, when it has something. */
void gw_client_go_on(struct gw_client *client);
void gw_client_unref(struct gw_client *client);
void gw_client_wait(struct gw_client *client, struct gw_clients *list);
void gw_client_count(struct gw_client *client, enum gw_reason reason);
/* Send its output at the end of this turn. */
void gw_client_flush_later(struct gw_client *client);
/* It may have said its last word, and all is done. */
void gw_client_check_end(struct gw_client *client);
/* What may wait for it at most. */
uint64_t gw_client_output_max(const struct gw_client *client);

/* Listeners and connectors, on their thread. */

struct gw_connection {
	struct gw_listener *listener;
	struct gw_server *server;
	struct gw_client *client; /* NULL: there is none. */
	struct event *timer;
	struct event *event; /* While it is connecting. */
	struct evdns_getaddrinfo_request *query;
	int fd;
	uint32_t failures; /* In a row. */
	bool is_down_told;
	bool is_up;
	char why[128]; /* The client goes; empty: it has ended. */
};

struct gw_listener {
	struct gw_thread *thread;
	struct gw_gateway *gateway;
	const struct gw_protocol *protocol;
	struct sl_config_gateway config; /* With the limits that hold now. */
	struct event *accept_event;
	struct event *accept_timer; /* Accepting goes on. */
	struct gw_clients clients;
	pthread_mutex_t shown_lock;   /* Of who comes and goes, */
	LIST_HEAD(, gw_client) shown; /* for those who look at it from elsewhere. */
	struct gw_stats stats;
	struct sl_gcra log_rate;
	uint64_t log_suppressed;
	uint64_t log_told_ms;
	bool is_open;
	uint32_t nb_connections;
	struct gw_connection *connections;
	_Alignas(16) uint8_t state[];
};

/* @return 0 or -errno; the listening sockets of all threads, made by the control thread */
int
gw_gateway_listen(struct gw_gateway *gateway, uint32_t nb_threads, char *error, size_t error_len);

struct gw_listener *gw_listener_create(struct gw_thread *thread, struct gw_gateway *gateway);
int gw_listener_open(struct gw_listener *listener);
void gw_listener_stop_accepting(struct gw_listener *listener);
void gw_listener_close(struct gw_listener *listener); /* With its clients. */
void gw_listener_free(struct gw_listener *listener);
void gw_listener_apply(struct gw_listener *listener, const struct gw_limits *limits);

int gw_connections_open(struct gw_listener *listener);
void gw_connections_close(struct gw_listener *listener);
/* Why it will be lost. */
void gw_connection_says(struct gw_connection *connection, const char *why);
void gw_connection_lost(struct gw_connection *connection);
/* It speaks with its server, behind the handshake. */
void gw_connection_up(struct gw_connection *connection);

/* Options that all connections have. */
void gw_socket_set(int fd);

/* A thread. */

struct gw_thread {
	struct gw_shared *shared;
	uint32_t index;
	uint32_t nb_threads;
	pthread_t pthread;
	bool is_running;
	struct event_base *base;
	struct evdns_base *dns;
	struct event *nap_event;
	struct event *wake_event;
	struct event *housekeeping_event;
	int wake_fd;
	struct gw_snapshot *snapshot; /* That it works by. */
	struct gw_snapshot *next;     /* Atomic; handed over by the control thread. */
	uint32_t is_draining;	      /* Atomic; asked for. */
	uint32_t is_stopping;	      /* Atomic. */
	uint32_t is_drained;	      /* Atomic; nothing published is on its way. */
	uint32_t is_answered;	      /* Atomic; there are */
	struct gw_answers answers;    /* under the lock of what is shared. */
	bool has_drained;	      /* It has been seen to. */
	struct gw_link link;
	struct gw_publisher publisher;
	struct gw_subscriber subscriber;
	uint32_t nb_listeners;
	struct gw_listener *listeners[GW_LISTENERS_MAX]; /* NULL: not of this thread. */
	struct gw_clients dirty;
	struct gw_clients doomed;
	uint32_t nb_clients;
	uint64_t nb_asked; /* Requests to the control thread. */
	uint64_t memory;   /* Bytes that wait in clients' buffers. */
	uint64_t now_ns;
	uint64_t now_ms;
	uint64_t unix_ns;
	uint64_t random;
	uint32_t turn_events; /* Of clients, in this turn. */
	uint32_t turn_bytes;
	uint32_t ahead;	  /* Messages to topics that are to come back. */
	uint64_t came_ns; /* When something last came from the path. */
	bool is_busy;	  /* Something happened in this turn. */
	uint32_t nap_us;
	uint64_t turns, naps;
	const struct gw_dest *last; /* Destination found last. */
	struct gw_report *report;   /* Told last. */
	uint8_t *read_buffer;	    /* GW_JOIN_MAX + GW_READ_MAX */
	uint8_t *rewrite;	    /* Of the slow parser. */
	uint8_t *arena;
	struct sl_wire_datagram datagram;
};

struct gw_thread *gw_thread_create(struct gw_shared *shared, uint32_t index, uint32_t nb_threads,
	const struct sl_datapath_gateway *path, struct gw_snapshot *snapshot, uint32_t window);
int gw_thread_start(struct gw_thread *thread);
void gw_thread_wake(struct gw_thread *thread);
void gw_thread_join(struct gw_thread *thread);
void gw_thread_destroy(struct gw_thread *thread);
uint64_t gw_thread_random(struct gw_thread *thread);
/* A client has been served: is it time to look at the path again? */
void gw_thread_served(struct gw_thread *thread, uint32_t bytes);

/* A datagram from the path, to a port. */
void gw_thread_input(struct gw_thread *thread, rte_be16_t port, const uint8_t *data, uint32_t len);

json_t *
gw_show(const struct gw_shared *shared, struct gw_thread *const *threads, uint32_t nb_threads);

#endif /* INGRESS_H */
