/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef LINE_PROTOCOL_H
#define LINE_PROTOCOL_H

/**
 * @file
 * The line protocol: what one line says. Pure.
 *
 *   PUBLISH|topic|payload      the payload is the rest of the line, '|' and all
 *   SUBSCRIBE|topic            UNSUBSCRIBE|topic
 *   PING    PING||             anything may stand behind the '|'
 *   REPLICATE|topic|payload    CLEAR|topic|payload     a primary to its backup
 *
 * A line ends with LF or CR LF. Blanks around the command and the topic do not belong to them;
 * those of a payload do. An empty line says nothing.
 */

#include <stddef.h>

enum line_verb {
	LINE_NOTHING, /* An empty line. */
	LINE_PUBLISH,
	LINE_SUBSCRIBE,
	LINE_UNSUBSCRIBE,
	LINE_PING,
	LINE_REPLICATE,
	LINE_CLEAR,
};

enum line_fault {
	LINE_FINE,
	LINE_BAD_COMMAND,
	LINE_NO_TOPIC,
	LINE_LONG_TOPIC,
	LINE_BAD_TOPIC,
	LINE_NO_PAYLOAD,
	LINE_TWO_TOPICS,
	LINE_FAULTS,
};

/* Points into the line. */
struct line_command {
	enum line_verb verb;
	const char *topic;
	size_t topic_len;
	const char *payload;
	size_t payload_len;
};

/**
 * @param line       without its LF; need not end with a NUL
 * @param topic_max  bytes a topic may have
 */
enum line_fault
line_parse(const char *line, size_t len, size_t topic_max, struct line_command *command);

/** What is wrong, for the one who sent it; a constant. */
const char *line_fault_text(enum line_fault fault);

#endif /* LINE_PROTOCOL_H */
