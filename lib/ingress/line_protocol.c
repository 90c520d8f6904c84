/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdbool.h>
#include <string.h>

#include "line_protocol.h"
#include "name.h"

struct span {
	const char *at;
	size_t len;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span
trim(struct span text)
{
	while (text.len > 0 && is_blank(text.at[0])) {
		text.at++;
		text.len--;
	}
	while (text.len > 0 && is_blank(text.at[text.len - 1]))
		text.len--;
	return text;
}

/* What stands before the next '|', which is taken off `rest`, too. @return false: there is no '|'
 */
static bool
take_field(struct span *rest, struct span *field)
{
	const char *bar = rest->len == 0 ? NULL : memchr(rest->at, '|', rest->len);

	*field = *rest;
	if (bar == NULL) {
		rest->at += rest->len;
		rest->len = 0;
		return false;
	}
	field->len = (size_t)(bar - rest->at);
	rest->at = bar + 1;
	rest->len -= field->len + 1;
	return true;
}

static bool
find_verb(struct span word, enum line_verb *verb)
{
	static const struct {
		const char *word;
		size_t len;
		enum line_verb verb;
	} verbs[] = {
#define VERB(word, verb) {word, sizeof(word) - 1, verb}
		VERB("PUBLISH", LINE_PUBLISH),
		VERB("SUBSCRIBE", LINE_SUBSCRIBE),
		VERB("PING", LINE_PING),
		VERB("REPLICATE", LINE_REPLICATE),
		VERB("CLEAR", LINE_CLEAR),
		VERB("UNSUBSCRIBE", LINE_UNSUBSCRIBE),
#undef VERB
	};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (verbs[i].len == word.len && memcmp(verbs[i].word, word.at, word.len) == 0) {
			*verb = verbs[i].verb;
			return true;
		}
	}
	return false;
}

static enum line_fault
check_topic(struct span topic, size_t topic_max)
{
	if (topic.len == 0)
		return LINE_NO_TOPIC;
	if (topic.len > topic_max)
		return LINE_LONG_TOPIC;
	return gw_name_is_valid(topic.at, topic.len) ? LINE_FINE : LINE_BAD_TOPIC;
}

static enum line_fault
parse_topic(struct span rest, size_t topic_max, struct line_command *command)
{
	bool is_payload_wanted = command->verb != LINE_SUBSCRIBE &&
		command->verb != LINE_UNSUBSCRIBE;
	enum line_fault fault;
	struct span topic;
	bool has_payload;

	has_payload = take_field(&rest, &topic);
	topic = trim(topic);
	fault = check_topic(topic, topic_max);
	if (fault != LINE_FINE)
		return fault;
	command->topic = topic.at;
	command->topic_len = topic.len;
	if (!is_payload_wanted)
		return trim(rest).len == 0 ? LINE_FINE : LINE_TWO_TOPICS;
	if (!has_payload)
		return LINE_NO_PAYLOAD;
	command->payload = rest.at;
	command->payload_len = rest.len;
	return LINE_FINE;
}

enum line_fault
line_parse(const char *line, size_t len, size_t topic_max, struct line_command *command)
{
	struct span rest = {line, len}, word;

	*command = (struct line_command){.verb = LINE_NOTHING};
	if (len > 0 && line[len - 1] == '\r')
		rest.len--;
	if (trim(rest).len == 0)
		return LINE_FINE;
	take_field(&rest, &word);
	if (!find_verb(trim(word), &command->verb))
		return LINE_BAD_COMMAND;
	return command->verb == LINE_PING ? LINE_FINE : parse_topic(rest, topic_max, command);
}

const char *
line_fault_text(enum line_fault fault)
{
	static const char *const texts[LINE_FAULTS] = {
		[LINE_FINE] = "nothing",
		[LINE_BAD_COMMAND] = "unknown command",
		[LINE_NO_TOPIC] = "no topic",
		[LINE_LONG_TOPIC] = "topic too long",
		[LINE_BAD_TOPIC] = "topic is not printable UTF-8",
		[LINE_NO_PAYLOAD] = "no payload",
		[LINE_TWO_TOPICS] = "one topic a line",
	};

	return fault < LINE_FAULTS ? texts[fault] : "unknown";
}
