/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef HTTP_H
#define HTTP_H

/**
 * @file
 * Between the files of the HTTP gateway: http.c has the connection and finds what a request is for,
 * http_post.c takes messages, http_stream.c sends events. docs/gateways.md, "HTTP", is what clients
 * see of it.
 *
 * One request of a connection is served at a time; those behind it wait in the input.
 */

#include "gateway.h"
#include "http_answer.h"
#include "http_request.h"
#include "http_ring.h"

struct evbuffer;

#define HTTP_JSON "application/json"

/* Retry-After of what passes by itself. */
#define HTTP_RETRY_S 1

/* A body has to be whole within; time that it waits for the path does not count. */
#define HTTP_BODY_MS 30000u

enum http_phase {
	HTTP_READ_HEAD,
	HTTP_READ_BODY, /* Of messages; what comes is published. */
	HTTP_SETTLE,	/* All is read; some of it is not durable yet. */
	HTTP_REPORT,	/* The control thread is asked. */
	HTTP_SUBSCRIBE, /* A stream, until it takes effect. */
	HTTP_STREAM,
	HTTP_OVER, /* Nothing more is read. */
};

/* What became of one message: nothing in `status`, it was taken, or is pending. */
struct http_result {
	const char *error;
	uint64_t id_low; /* Where id_len is 0; its other half is the listener's. */
	size_t text_at;	 /* In `ids`: the id, or why a line is none. */
	uint16_t status;
	uint8_t id_len;
	uint8_t error_len;
	bool is_pending;
};

/* A POST of messages. */
struct http_post {
	char destination[SL_CONFIG_NAME_MAX];
	size_t destination_len;
	/* Of all messages of it, where a line does not say otherwise. */
	uint32_t priority;
	uint64_t type;
	uint64_t source;
	char id[256];
	size_t id_len; /* 0: none was given. */
	bool is_many;  /* Newline-delimited. */
	bool is_whole; /* The body has been read, */
	bool is_spent; /* and published as far as it was taken. */
	bool is_waiting;
	bool is_pressed;     /* It has waited long enough: what is left is refused. */
	uint64_t wait_ms;    /* Since when it waits. */
	uint64_t nb_skipped; /* Lines beyond what an answer has room for. */
	size_t answer_len;   /* Of its results, at most. */
	char *body;
	size_t body_len, body_size, body_at;
	struct http_result *results;
	uint32_t nb_results, results_size;
	uint32_t nb_pending;
	char *ids;
	size_t ids_len, ids_size;
};

/* State of a client. */
struct http_client {
	enum http_phase phase;
	bool is_own; /* The listener's: it stands for those that come back. */
	bool is_head_begun;
	bool is_ticking;
	bool is_paused;
	bool is_kept; /* The connection, after this request. */
	bool is_head; /* HEAD: no body is sent. */
	bool is_health;
	uint8_t minor;
	bool has_gap;	  /* Of a stream: events did not fit into its output. */
	uint16_t refusal; /* A status that waits for the end of the body. */
	const char *refusal_why;
	const char *refusal_allow;
	size_t scanned;
	uint64_t deadline_ms;  /* What is under way has to be done by then; 0: nothing is. */
	uint64_t body_read;    /* Bytes of content. */
	uint32_t serial;       /* Of its requests. */
	struct gw_text origin; /* In origin_buf; NULL: not said. */
	char origin_buf[256];
	struct http_body body;
	struct http_post post;
	/* A stream. */
	struct http_topic *topic;
	struct gw_subscription *subscription;
	bool has_last;
	struct http_event_id last; /* It says it has this and what was before. */
	bool is_last_bad;
	uint8_t nb_beats_missed;
};

/* A topic that streams of this listener and thread have, or had a while ago. */
struct http_topic {
	struct http_topic *next;
	uint64_t key;
	uint32_t nb_streams;
	uint64_t empty_ms;
	struct gw_subscription *subscription; /* Of the own client. */
	struct http_ring ring;
};

#define HTTP_TOPIC_BUCKETS 256u

/* Of a listener on a thread. Counters are read by others. */
struct http_listener {
	uint64_t id_high;     /* Of messages without an id, of this start of this thread, */
	uint64_t nb_ids;      /* and how many. */
	uint64_t http_source; /* Of messages without one. */
	struct gw_client *own;
	struct http_ring_bound bound;
	struct http_topic *topics[HTTP_TOPIC_BUCKETS];
	uint32_t nb_topics;
	bool is_sweeping;
	uint64_t nb_requests, nb_answers[6]; /* By the first digit of their status. */
	uint64_t nb_streams, nb_events, nb_resumed, nb_gaps;
};

#define HTTP_COUNT(counter) __atomic_store_n(&(counter), (counter) + 1, __ATOMIC_RELAXED)

/* http.c */

struct http_listener *http_listener_of(struct gw_client *client);

/* Send an answer with a body, and go on with the next request. */
void http_answer(struct gw_client *client, struct http_answer *answer, const char *body);
/* {"error": why} */
void http_refuse(struct gw_client *client, unsigned int status, const char *why);
/* What a request waits for has a bound. */
void http_set_deadline(struct gw_client *client, uint32_t ms);

/* http_post.c */

/* The head of a POST has come. @return 0 or the status it is refused with, and why */
unsigned int http_post_begin(struct gw_client *client, const struct http_request *request,
	struct gw_text name, const char **why);
/* Content of its body. @return false: no memory, or more than its share */
bool http_post_add(struct gw_client *client, const char *data, size_t len);
/* Publish what has come; and answer when it was all, and is settled. */
void http_post_go_on(struct gw_client *client);
void http_post_published(struct gw_client *client, uint64_t token, bool is_durable);
/* It has waited for the path long enough. */
void http_post_give_up(struct gw_client *client);
/* Answer with what is known now. */
void http_post_answer(struct gw_client *client);
void http_post_free(struct gw_client *client);

/* http_stream.c */

unsigned int http_stream_begin(struct gw_client *client, const struct http_request *request,
	struct gw_text name, const char **why);
void http_stream_subscribed(struct gw_client *client);
void http_stream_beat(struct gw_client *client);
bool http_stream_wants(struct gw_client *client);
void http_stream_sent(struct gw_client *client, bool is_sent);
struct gw_chunk *
http_stream_render(struct gw_listener *listener, const struct gw_delivery *delivery);
void http_stream_end(struct gw_client *client);
void http_streams_close(struct gw_listener *listener);

#endif /* HTTP_H */
