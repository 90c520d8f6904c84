/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef INGRESS_PATH_H
#define INGRESS_PATH_H

/**
 * @file
 * For the tests of lib/ingress: a path that is a pair of rings with a naive model at their other
 * end, a protocol of a few words, and clients on loopback. Include it behind cmocka.h.
 *
 * The protocol, a line each: "P DESTINATION TEXT" publishes (answers "ok", "pending", then
 * "durable" or "lost", or "refused REASON"; where TEXT is "by NAME", with that source), "S
 * DESTINATION" and "U DESTINATION" subscribe and unsubscribe ("subscribed" or "none"), "D TOPIC
 * NAME" and "A TOPIC NAME" subscribe durably, with A and "R ID" to say what was received
 * ("received" or "unknown"), "F TOPIC NAME" forgets it ("begun NAME", "ended NAME REASON"), "O
 * DESTINATION" opens a topic, "T TOKEN" presents one, "Q" quits, "B N" is answered with N bytes.
 * What is subscribed to comes as "DESTINATION TEXT".
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "chunk.h"
#include "ingress.h"

#define PATH_RING   1024u
#define PATH_SMALL  1500 /* Of an IP packet in a small buffer, */
#define PATH_MTU    9000 /* and in a large one. */
#define PATH_LARGE  64u
#define PATIENCE_MS 20000

/* A message that came out of the gateway. */
struct path_message {
	uint32_t datagram; /* They are counted. */
	uint64_t session, sequence, destination, source, id_high, id_low, type;
	uint32_t priority, flags;
	char id_text[64];
	uint32_t payload_len;
	char payload[9000];
};

struct path {
	struct rte_mempool *pool;
	struct rte_mempool *large;
	struct rte_ring *to_path;
	struct rte_ring *from_path[2];
	uint32_t datagrams;
	uint32_t nb_messages;
	uint32_t nb_repeats; /* Sent again; not among these: */
	struct path_message messages[2048];
	uint32_t nb_acks;
	struct sl_wire_ack acks[4096];
	uint16_t ack_ports[4096]; /* Where they came from. */
	uint16_t to_port;	  /* Where what is sent goes to; 0: to the gateway itself. */
	bool is_standing;	  /* It takes nothing. */
};

extern struct path path;

/* What the hooks were called with. */
struct path_hooks {
	uint32_t joins, leaves, opens;
	char joined[64], left[64], opened[64];
	bool stays;
	int open_rc;
	uint32_t durable_joins, durable_leaves, durable_forgets;
	struct sl_ingress_durable durable; /* The last, without texts, */
	char durable_name[64];
	const char *durable_error; /* and what it is told; NULL: it is done. */
	uint32_t nb_names;	   /* Those to be put into the journal, numbered from 1. */
	char names[16][32];
};

extern struct path_hooks hooks;

extern struct gw_protocol words;
/* What the listeners speak: `words`, unless set; and what is reported, when it is. */
extern const struct gw_protocol *test_protocol;
extern int (*test_report)(void *arg, bool *is_ready, char **health, char **metrics);
extern uint32_t nb_closed, nb_connected, max_input;
extern bool is_padded; /* What is delivered is followed by so much that it is shared. */

extern struct event_base *base;
extern struct sl_config *config;
extern struct sl_ingress *ingress;
extern uint16_t test_port;
extern bool are_names_kept; /* In the journal: there is a hook for them. */

uint64_t now_ms(void);

/* The path. */

int path_create(void **state); /* Of a group of tests. */
void path_send(const uint8_t *data, size_t len, bool in_segments);
void path_deliver_bytes(const char *destination, uint64_t session, uint64_t sequence,
	const void *payload, size_t len, bool in_segments);
void path_deliver(const char *destination, uint64_t session, uint64_t sequence, const char *text);
void path_ack(uint64_t session, uint64_t cumulative, uint64_t credit_limit);

/* The gateways. */

/* A port nobody listens on now. */
uint16_t free_port(void);

#define DESTINATIONS                                                                               \
	"  - {name: loose, backends: [{name: b, address: 10.77.0.11, port: 1}]}\n"                 \
	"  - {name: sure, guarantee: at-least-once, in_flight: 64,"                                \
	" backends: [{name: b, address: 10.77.0.11, port: 1}]}\n"                                  \
	"  - {name: news, kind: topic}\n"                                                          \
	"  - {name: sure-news, kind: topic, guarantee: at-least-once}\n"

/* @param gateway  keys of the listener; @p destinations, a line each */
struct sl_config *make_config(const char *kind, const char *gateway, const char *destinations);
void start(const char *kind, const char *keys);
int stop(void **state); /* Of each test: nothing is left over. */
void pump(void);

#define WAIT_FOR(condition)                                                                        \
	do {                                                                                       \
		uint64_t end_ = now_ms() + PATIENCE_MS;                                            \
		while (!(condition)) {                                                             \
			pump();                                                                    \
			if (now_ms() > end_)                                                       \
				fail_msg("not in time: %s", #condition);                           \
		}                                                                                  \
	} while (0)

/* Let time go by in which nothing is to happen. */
void settle_for(uint64_t ms);

/* The thread has been through all that was there for it, and what it sent has been taken. */
void turn_over(void);

/* So many frames from the path it has been through, since it began. */
void turn_over_frames(uint64_t n);

/* Clients. */

int dial(void);
void tell(int fd, const char *text);
/* Wait for a line or the end. @return it, without the newline; until the next call */
const char *hear_line(int fd);
void hear_nothing(int fd);

#define HEAR(fd, text) assert_string_equal(hear_line(fd), text)

/* Counters: of the first listener, why something was refused, and of the thread. */
uint64_t shown(const char *key);
uint64_t reasons(const char *reason);
uint64_t of_thread(const char *key);

#endif /* INGRESS_PATH_H */
