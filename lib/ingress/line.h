/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef LINE_H
#define LINE_H

/**
 * @file
 * Between the files of the line protocol's gateway: line.c, its clients; line_primary.c, the broker
 * it stands in for.
 */

#include <sys/queue.h>

#include "gateway.h"
#include "line_answers.h"
#include "lines.h"

#define LINE_BUCKETS  1024u
#define LINE_TELL_MAX 4096u

struct line_primary;
struct line_client;

LIST_HEAD(line_subscriptions, line_subscription);
LIST_HEAD(line_leaving, line_client);
TAILQ_HEAD(line_clients, line_client);

/* A listener's, on one thread. */
struct line_listener {
	struct gw_listener *listener;
	uint64_t id_high; /* Of all messages; random. */
	uint64_t id_low;  /* Of the last one. */
	uint64_t source;  /* Key of its name. */
	size_t topic_max;
	size_t prefix_len;
	char name[SL_CONFIG_NAME_MAX + 1]; /* Prefix and topic. */
	struct line_primary *primary;	   /* NULL: it stands in for nobody. */
	/* What the client whose turn it is is told in it. */
	size_t told_len;
	char told[LINE_TELL_MAX];
	struct line_subscriptions subscriptions[LINE_BUCKETS]; /* By topic. */
	struct line_leaving leaving[LINE_BUCKETS];	       /* By the message they wait for. */
};

/* Why its lines wait. */
enum line_hold {
	LINE_NOT_HELD,
	LINE_JOINING, /* What it subscribed to is about to hold. */
	LINE_UNTOLD,  /* Too many lines that are not answered. */
	LINE_BEHIND,  /* What the primary has left comes first, if it has. */
};

struct line_client {
	struct gw_client *client;
	struct gw_lines lines;
	struct line_answers answers;
	struct line_subscriptions subscriptions;
	uint32_t nb_subscriptions;
	uint32_t nb_joining;
	uint64_t joining_ms; /* Since when there are any. */
	uint64_t source;
	enum line_hold hold;
	bool is_own;	     /* Of line_primary.c */
	bool is_watched;     /* While it joins. */
	bool has_published;  /* And goes when that is done. */
	bool has_replicated; /* It is the primary. */
	bool has_more;	     /* A line that is not whole, or waits for the path. */
	bool is_going;	     /* If nothing more comes, */
	uint32_t came;	     /* beside this. */
	uint32_t came_before;
	bool is_let_go; /* What it has sent so far may be published. */
	bool is_late;	/* It has waited long enough for its message to be handed on. */
	bool is_timing; /* Or is about to have. */
	bool is_ended;
	bool is_leaving;
	uint64_t leaving_id;
	LIST_ENTRY(line_client) leaving;
	uint64_t ticket; /* LINE_BEHIND */
	TAILQ_ENTRY(line_client) behind;
};

/**
 * Publish to a topic, and have it made when it is not there.
 * @param source  key
 * @param id      NULL: the next of the listener's
 * @param[out] reason  of GW_REFUSED, which is counted
 */
enum gw_published line_publish(struct gw_client *client, uint64_t source, const uint64_t id[2],
	const char *topic, size_t topic_len, const char *payload, size_t payload_len,
	uint64_t token, enum gw_reason *reason);

/* Let it go on, with what has held it. */
void line_release(struct line_client *client);

/* @return NULL: no memory */
struct line_primary *line_primary_create(struct line_listener *listener);
void line_primary_destroy(struct line_primary *primary); /* NULL is fine. */

/* @return false: there is no room for it */
bool line_primary_replicate(struct line_primary *primary, const char *topic, size_t topic_len,
	const char *payload, size_t payload_len);
/* Something that was not replicated may be cleared; it is counted. */
void line_primary_clear(struct line_primary *primary, const char *topic, size_t topic_len,
	const char *payload, size_t payload_len);
/* No more comes of it in this turn: what did is brought into safety. */
void line_primary_flush(struct line_primary *primary);
/* The connection over which it replicated has ended. */
void line_primary_left(struct line_primary *primary);

/* May this one publish? @return false: it is released later */
bool line_primary_may_publish(struct line_primary *primary, struct line_client *client);
void line_primary_forget(struct line_primary *primary, struct line_client *client);

/* Its own client may go on, or what it published is settled, or it is gone. */
void line_primary_go_on(struct line_primary *primary);
void line_primary_published(struct line_primary *primary, uint64_t token, bool is_durable);
void line_primary_lost_client(struct line_primary *primary);

/* From any thread. */
void line_primary_show(const struct line_primary *primary, json_t *object);

#endif /* LINE_H */
