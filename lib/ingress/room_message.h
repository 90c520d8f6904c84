/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef ROOM_MESSAGE_H
#define ROOM_MESSAGE_H

/**
 * @file
 * What members of a room say, and what they are told: JSON texts, docs/gateways.md. Pure.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ROOM_USER_MAX	   100000
#define ROOM_USERNAME_MIN  3
#define ROOM_USERNAME_MAX  20
#define ROOM_MESSAGE_MAX   500 /* Characters. */
#define ROOM_TIMESTAMP_MAX 40
/* What a message can take, escaped anew: a control character takes six bytes. */
#define ROOM_TEXT_MAX	 (6 * ROOM_MESSAGE_MAX)
#define ROOM_PAYLOAD_MAX (ROOM_TEXT_MAX + 256)
/* What is told beside the payload, but for the room's id. */
#define ROOM_BROADCAST_MORE 160

enum room_type { ROOM_TEXT, ROOM_JOIN, ROOM_LEAVE, ROOM_TYPES };

extern const char *const room_type_names[ROOM_TYPES];

struct room_message {
	enum room_type type;
	uint32_t user; /* 1..ROOM_USER_MAX */
	uint32_t username_len;
	uint32_t timestamp_len;
	uint32_t text_len;
	char username[ROOM_USERNAME_MAX];
	char timestamp[ROOM_TIMESTAMP_MAX];
	char text[ROOM_TEXT_MAX]; /* As a JSON string has it between its quotes. */
};

/**
 * Read what a member says.
 * @return NULL, or what is wrong: begins with the name of the field, needs no escaping
 */
const char *room_message_parse(const char *text, size_t len, struct room_message *message);

/** Write what goes into the path: an object of the five fields. @return its bytes */
size_t room_message_write(const struct room_message *message, char payload[ROOM_PAYLOAD_MAX]);

/** What all members of a room are told beside what the message itself says. */
struct room_broadcast {
	const char *room; /* Its id; needs no escaping. */
	size_t room_len;
	uint64_t id_high, id_low;
	uint64_t timestamp_ns; /* Since 1970. */
};

/**
 * Write what members see: the payload's fields, and behind them ours. @p text has room for
 * payload_len + room_len + ROOM_BROADCAST_MORE.
 * @return its bytes; 0: the payload is no JSON object
 */
size_t room_broadcast_write(const struct room_broadcast *broadcast, const char *payload,
	size_t payload_len, char *text);

/** @return bytes of {"status":"ERROR","message":why}; @p why is cut at 200 bytes */
#define ROOM_ERROR_MAX 256
size_t room_error_write(const char *why, char text[ROOM_ERROR_MAX]);

#endif /* ROOM_MESSAGE_H */
