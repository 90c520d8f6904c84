/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef JSON_MESSAGE_H
#define JSON_MESSAGE_H

/**
 * @file
 * The lines of the JSON gateways: read, and written. Pure. docs/gateways.md has the format.
 */

#include "gateway.h"
#include "json_values.h"

/* Priorities of the format are class levels. */
#define JSON_PRIORITY_MAX 3

/* What a line asks for: is a message, or has one or more commands. */
struct json_line {
	bool is_message;
	/* A message. The texts are in the line, or in `decoded`. */
	struct gw_text id;
	struct gw_text raw_id; /* Without its quotes, escaped as it came. */
	struct gw_text source;
	struct gw_text destination;
	struct gw_text type;
	struct gw_text payload; /* An object, as it stands in the line. */
	uint32_t priority;
	uint64_t timestamp_ns;
	/* Commands. */
	struct gw_text subscribe;
	struct gw_text unsubscribe;
	struct gw_text as; /* With one of these: a durable subscriber. */
	struct gw_text received;
	bool has_acks; /* With `subscribe` and `as`: that subscription's. */
	bool acks;

	char decoded[4][JSON_TEXT_MAX]; /* Texts with escapes. */
	char reason[JSON_REASON_MAX];	/* Why it is refused. */
};

/**
 * Read a line, without its newline.
 *
 * A message has the seven members of the format and any others, which are ignored; of two with one
 * key the last holds. A line with none of the seven may have "subscribe", "unsubscribe", "as",
 * "received", "acks".
 *
 * @return false: it is refused; line->reason says why, and nothing else of it holds, but raw_id
 *         where it is known
 */
bool json_line_read(const char *text, size_t len, struct json_line *line);

/* How a payload becomes the object the format has there. */
enum json_form {
	JSON_FORM_NONE,	  /* No bytes: {} */
	JSON_FORM_OBJECT, /* An object: as it is, but for newlines, which become spaces. */
	JSON_FORM_TEXT,	  /* Other UTF-8: {"text": "..."} */
	JSON_FORM_BASE64, /* Other bytes: {"base64": "..."} (RFC 4648) */
};

enum json_form json_payload_form(const void *payload, size_t len);

/* Names of a delivery; NULL: not known, it is its key's 16 hexadecimal digits. */
struct json_names {
	const char *source;
	const char *destination;
	const char *type;
};

/* The most that json_line_write() writes. */
size_t json_line_max(
	const struct gw_delivery *delivery, const struct json_names *names, enum json_form form);

/**
 * Write a delivery as a line, with its newline. A messageId is the source's own, or the id's 32
 * hexadecimal digits.
 * @param default_priority  what priority 0 stands for
 * @return bytes written
 */
size_t json_line_write(char *buf, const struct gw_delivery *delivery,
	const struct json_names *names, enum json_form form, uint32_t default_priority);

#endif /* JSON_MESSAGE_H */
