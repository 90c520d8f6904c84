/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef ROOM_LOAD_H
#define ROOM_LOAD_H

/**
 * @file
 * Rooms full of users who talk, and a ledger of who heard what. One thread, one epoll.
 *
 * A text is "RUN.USER.NUMBER.SENT filler": which run it is of, who said it, which of his it is, and
 * when it was due. So whoever hears it knows what to expect, from whom, and how long it took; all
 * else in the frame is looked at in every so many-th one, with a JSON library.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sl_hist.h"

#define USERNAME_MAX 20
#define TEXT_MAX     500
#define TEXT_MIN     44 /* RUN.USER.NUMBER.SENT and a blank. */
#define ROOM_ID_MAX  64
#define USERS_ALL    100000 /* A userId is at most that. */

/* What a run is to do. */
struct options {
	char host[256];
	char port[8];
	char path[128]; /* The room's id comes behind it. */
	const char *token;
	const char *room_prefix;
	uint32_t first_room;
	uint32_t first_user;
	uint32_t rooms;
	uint32_t users; /* Of each room. */
	uint32_t deaf;	/* More of each, who never read. */
	uint64_t messages;
	uint64_t warmup;
	uint64_t rate; /* Of all; 0: as fast as the window lets. */
	uint32_t window;
	uint32_t size; /* Characters of a text. */
	uint32_t check;
	uint32_t timeout_s;
	bool is_quiet;
	const char *json;
	const char *csv;
	const char *plot;
};

/* @return false: wrong, and said so; or --help (*status 0) */
bool options_parse(int argc, char **argv, struct options *o, int *status);

/* Of a room, by its users together. */
struct tally {
	uint64_t sent;
	uint64_t expected; /* Copies of what was sent: one for each user. */
	uint64_t received;
	uint64_t lost;
	uint64_t duplicated;
	uint64_t reordered; /* Behind a later one of the same user. */
	uint64_t refused;   /* Answered with an error. */
	uint64_t wrong;	    /* Not what was sent. */
	uint64_t foreign;   /* Of others, who are in the room, too. */
};

/* A second of a run, or less at its end. */
struct interval {
	double at_s; /* Its end. */
	double seconds;
	uint64_t sent;
	uint64_t received;
	uint64_t p50_us, p99_us, max_us;
};

struct ledger {
	uint32_t users;	      /* Of a room. */
	uint64_t numbers_max; /* Of each user; warm-up included. */
	uint64_t *heard;      /* Bits, by who hears, who says, and number. */
	uint64_t *highest;    /* + 1, by who hears and who says. */
};

int ledger_init(struct ledger *l, const struct options *o, uint64_t numbers_max);
void ledger_fini(struct ledger *l);

enum heard { HEARD_FIRST, HEARD_LATE, HEARD_AGAIN, HEARD_NEVER_SAID };

/** @param listener  a user, of all; @param speaker  of his room */
enum heard
ledger_hear(struct ledger *l, uint32_t listener, uint32_t speaker, uint64_t number, uint64_t said);

/* What came of a run. */
struct result {
	double seconds;		 /* From the first message to the last copy; without warm-up. */
	uint64_t sent, received; /* In that time. */
	uint64_t closed;	 /* Connections the server has closed. */
	bool is_cut;		 /* Nothing came for timeout_s, or a signal. */
	struct tally total;
	struct tally *rooms;
	struct sl_hist latency; /* us */
	struct interval *intervals;
	uint32_t nb_intervals;
	char first_error[200];
};

/* 0, or -1: said so. */
int load_run(const struct options *o, struct result *r);

void report_live(const struct options *o, const struct result *r, const struct interval *i);
void report_table(const struct options *o, const struct result *r);
/* 0, or -1: said so. */
int report_files(const struct options *o, const struct result *r);
bool report_is_good(const struct result *r);

/* Frames of a client, RFC 6455. */

/** Bytes before the payload of a text of so many bytes. */
static inline size_t
frame_header_len(size_t len)
{
	return len < 126 ? 6 : 8;
}

/** Write the header and mask what follows it, of less than 64 KiB. */
void frame_seal(uint8_t *frame, uint8_t opcode, uint32_t mask, size_t len);

struct frame {
	uint8_t opcode;
	const uint8_t *data;
	size_t len;
};

/** @return its bytes; 0: it is not whole; -1: no frame of a server */
ssize_t frame_parse(const uint8_t *data, size_t len, struct frame *frame);

/** Connect, and ask for a room. @param receive_max  bytes the kernel may keep for it; 0: its choice
 * @return a socket that does not block; -1: said so */
int room_connect(const struct options *o, const char *room, int receive_max);

#endif /* ROOM_LOAD_H */
