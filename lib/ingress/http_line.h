/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef HTTP_LINE_H
#define HTTP_LINE_H

/**
 * @file
 * A message of a body of newline-delimited JSON: the JSON gateways' line (json_message.h), of which
 * only the payload is needed, because the request's target and fields tell the rest. Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http_request.h"
#include "json_values.h"

/* Bytes of a name or of a messageId, escapes resolved. */
#define HTTP_NAME_MAX JSON_TEXT_MAX

#define HTTP_LINE_TEXTS 4

struct http_line {
	/* What is missing has no text. They are in the line, or in `decoded`. */
	struct gw_text id;
	struct gw_text source;
	struct gw_text destination;
	struct gw_text type;
	struct gw_text payload; /* An object, as it stands in the line. */
	uint32_t priority;	/* 0: missing */
	uint64_t timestamp_ns;	/* 0: missing */
	char decoded[HTTP_LINE_TEXTS][HTTP_NAME_MAX];
	char reason[JSON_REASON_MAX]; /* Why it is refused. */
};

/** Read a line, without its newline. @return false: it is refused, line->reason says why */
bool http_line_read(const char *text, size_t len, struct http_line *line);

/** A priority in digits. @return false: it is none */
bool http_priority_read(struct gw_text text, uint32_t *priority);

/**
 * A text that is a name or an id: UTF-8, of 1 to HTTP_NAME_MAX bytes, without control characters.
 */
bool http_name_is_valid(struct gw_text text);

#endif /* HTTP_LINE_H */
