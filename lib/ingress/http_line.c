/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <string.h>

#include "http_line.h"
#include "sl_json.h"

#define PRIORITY_MAX 8

/* The texts come first. */
enum member {
	MESSAGE_ID,
	SOURCE,
	DESTINATION,
	TYPE,
	PRIORITY,
	TIMESTAMP,
	PAYLOAD,
	MEMBERS,
};

static const char *const keys[MEMBERS] = {
	[MESSAGE_ID] = "messageId",
	[SOURCE] = "sourceServerId",
	[DESTINATION] = "destinationId",
	[TYPE] = "messageType",
	[PRIORITY] = "priority",
	[TIMESTAMP] = "timestamp",
	[PAYLOAD] = "payload",
};

/* @return MEMBERS: it is none of ours */
static enum member
find_member(const struct sl_json_value *key)
{
	for (unsigned int i = 0; i < MEMBERS; i++)
		if (sl_json_string_is(key, keys[i], strlen(keys[i])))
			return (enum member)i;
	return MEMBERS;
}

/* What is missing is none. */
static bool
read_text(struct http_line *line, enum member member, const struct sl_json_value *values,
	struct gw_text *text)
{
	return values[member].text == NULL ||
		json_text_read(
			&values[member], keys[member], line->decoded[member], text, line->reason);
}

static bool
read_message(struct http_line *line, const struct sl_json_value *values)
{
	const struct sl_json_value *payload = &values[PAYLOAD];
	int64_t priority = 0;

	if (payload->text == NULL)
		return json_refuse(line->reason, "payload is missing");
	if (payload->type != SL_JSON_OBJECT)
		return json_refuse(line->reason, "payload is %s, not an object",
			sl_json_type_name(payload->type));
	if (!read_text(line, MESSAGE_ID, values, &line->id) ||
		!read_text(line, SOURCE, values, &line->source) ||
		!read_text(line, DESTINATION, values, &line->destination) ||
		!read_text(line, TYPE, values, &line->type))
		return false;
	if (values[PRIORITY].text != NULL &&
		!json_integer_read(&values[PRIORITY], keys[PRIORITY], 1, PRIORITY_MAX, &priority,
			line->reason))
		return false;
	if (values[TIMESTAMP].text != NULL &&
		!json_timestamp_read(
			&values[TIMESTAMP], keys[TIMESTAMP], &line->timestamp_ns, line->reason))
		return false;
	line->priority = (uint32_t)priority;
	line->payload = (struct gw_text){payload->text, payload->len};
	return true;
}

bool
http_line_read(const char *text, size_t len, struct http_line *line)
{
	struct sl_json_value values[MEMBERS + 1], key, value;
	struct sl_json_walk walk;

	memset(line, 0, offsetof(struct http_line, decoded));
	line->reason[0] = '\0';
	memset(values, 0, sizeof(values));
	sl_json_walk_object(&walk, text, len);
	while (sl_json_next_member(&walk, &key, &value))
		values[find_member(&key)] = value;
	if (walk.error == SL_JSON_NOT_AN_OBJECT)
		return json_refuse(line->reason, "not a JSON object");
	if (walk.error != SL_JSON_OK)
		return json_refuse(line->reason, "not a JSON object: %s at byte %zu",
			sl_json_strerror(walk.error), (size_t)(walk.at - text) + 1);
	return read_message(line, values);
}

bool
http_priority_read(struct gw_text text, uint32_t *priority)
{
	if (text.len != 1 || *text.at < '1' || *text.at > '0' + PRIORITY_MAX)
		return false;
	*priority = (uint32_t)(*text.at - '0');
	return true;
}

bool
http_name_is_valid(struct gw_text text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.at[i] < 0x20 || text.at[i] == 0x7f)
			return false;
	return text.len > 0 && text.len <= HTTP_NAME_MAX && sl_json_is_utf8(text.at, text.len);
}
