/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <string.h>

#include <openssl/evp.h>

#include "json_message.h"
#include "put.h"
#include "sl_json.h"

#define NS_PER_MS UINT64_C(1000000)

enum member {
	MESSAGE_ID,
	SOURCE,
	DESTINATION,
	TYPE,
	PRIORITY,
	TIMESTAMP,
	PAYLOAD,
	MESSAGE_MEMBERS,
	SUBSCRIBE = MESSAGE_MEMBERS,
	UNSUBSCRIBE,
	AS,
	RECEIVED,
	ACKS,
	MEMBERS,
};

static const struct {
	const char *key;
	size_t len;
} members[MEMBERS] = {
#define KEY(text)                                                                                  \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}
	[MESSAGE_ID] = KEY("messageId"),
	[SOURCE] = KEY("sourceServerId"),
	[DESTINATION] = KEY("destinationId"),
	[TYPE] = KEY("messageType"),
	[PRIORITY] = KEY("priority"),
	[TIMESTAMP] = KEY("timestamp"),
	[PAYLOAD] = KEY("payload"),
	[SUBSCRIBE] = KEY("subscribe"),
	[UNSUBSCRIBE] = KEY("unsubscribe"),
	[AS] = KEY("as"),
	[RECEIVED] = KEY("received"),
	[ACKS] = KEY("acks"),
#undef KEY
};

static bool
is_member(const struct sl_json_value *key, unsigned int i)
{
	return key->has_escapes
		? sl_json_string_is(key, members[i].key, members[i].len)
		: key->len == members[i].len && memcmp(key->text, members[i].key, key->len) == 0;
}

/* Members come in the order of the format most often: @first is tried first.
 * @return MEMBERS: it is none of ours */
static enum member
find_member(const struct sl_json_value *key, unsigned int first)
{
	if (first < MEMBERS && is_member(key, first))
		return (enum member)first;
	for (unsigned int i = 0; i < MEMBERS; i++) {
		if (is_member(key, i))
			return (enum member)i;
	}
	return MEMBERS;
}

static bool
read_text(struct json_line *line, enum member member, const struct sl_json_value *values,
	struct gw_text *text)
{
	return json_text_read(&values[member], members[member].key,
		line->decoded[member < 4 ? member : member - SUBSCRIBE], text, line->reason);
}

static bool
read_message(struct json_line *line, const struct sl_json_value *values)
{
	const struct sl_json_value *payload = &values[PAYLOAD];
	int64_t priority;

	for (unsigned int i = 0; i < MESSAGE_MEMBERS; i++)
		if (values[i].text == NULL)
			return json_refuse(line->reason, "%s is missing", members[i].key);
	line->is_message = true;
	if (!read_text(line, MESSAGE_ID, values, &line->id))
		return false;
	line->raw_id = (struct gw_text){values[MESSAGE_ID].text, values[MESSAGE_ID].len};
	if (!read_text(line, SOURCE, values, &line->source) ||
		!read_text(line, DESTINATION, values, &line->destination) ||
		!read_text(line, TYPE, values, &line->type) ||
		!json_integer_read(&values[PRIORITY], members[PRIORITY].key, 1, JSON_PRIORITY_MAX,
			&priority, line->reason) ||
		!json_timestamp_read(&values[TIMESTAMP], members[TIMESTAMP].key,
			&line->timestamp_ns, line->reason))
		return false;
	if (payload->type != SL_JSON_OBJECT)
		return json_refuse(line->reason, "payload is %s, not an object",
			sl_json_type_name(payload->type));
	line->priority = (uint32_t)priority;
	line->payload = (struct gw_text){payload->text, payload->len};
	return true;
}

static bool
read_commands(struct json_line *line, const struct sl_json_value *values)
{
	const struct sl_json_value *acks = &values[ACKS];

	if (values[SUBSCRIBE].text != NULL && !read_text(line, SUBSCRIBE, values, &line->subscribe))
		return false;
	if (values[UNSUBSCRIBE].text != NULL &&
		!read_text(line, UNSUBSCRIBE, values, &line->unsubscribe))
		return false;
	if (values[AS].text != NULL && !read_text(line, AS, values, &line->as))
		return false;
	if (values[RECEIVED].text != NULL && !read_text(line, RECEIVED, values, &line->received))
		return false;
	if (line->as.at != NULL && (line->subscribe.at == NULL) == (line->unsubscribe.at == NULL))
		return json_refuse(line->reason, "as is with subscribe, or with unsubscribe");
	if (acks->text == NULL)
		return true;
	if (acks->type != SL_JSON_TRUE && acks->type != SL_JSON_FALSE)
		return json_refuse(line->reason, "acks is %s, not true or false",
			sl_json_type_name(acks->type));
	line->has_acks = true;
	line->acks = acks->type == SL_JSON_TRUE;
	return true;
}

static void
clear(struct json_line *line)
{
	/* Not what is large: it is written before it is read. */
	memset(line, 0, offsetof(struct json_line, decoded));
	line->reason[0] = '\0';
}

bool
json_line_read(const char *text, size_t len, struct json_line *line)
{
	struct sl_json_value values[MEMBERS + 1], key, value;
	struct sl_json_walk walk;
	enum member member = MEMBERS;
	bool is_command = false, is_message = false;

	clear(line);
	memset(values, 0, sizeof(values));
	sl_json_walk_object(&walk, text, len);
	while (sl_json_next_member(&walk, &key, &value)) {
		member = find_member(&key, member == MEMBERS ? 0 : member + 1);
		values[member] = value;
		is_message |= member < MESSAGE_MEMBERS;
		is_command |= member >= MESSAGE_MEMBERS && member < MEMBERS;
	}
	if (walk.error != SL_JSON_OK) {
		if (memchr(text, '\0', len) != NULL)
			return json_refuse(line->reason, "a NUL byte at byte %zu",
				(size_t)((const char *)memchr(text, '\0', len) - text) + 1);
		if (walk.error == SL_JSON_NOT_AN_OBJECT)
			return json_refuse(line->reason, "not a JSON object");
		return json_refuse(line->reason, "not a JSON object: %s at byte %zu",
			sl_json_strerror(walk.error), (size_t)(walk.at - text) + 1);
	}
	if (is_command && !is_message)
		return read_commands(line, values);
	return read_message(line, values);
}

enum json_form
json_payload_form(const void *payload, size_t len)
{
	struct sl_json_value value;

	if (len == 0)
		return JSON_FORM_NONE;
	if (sl_json_check(payload, len, &value, NULL) == SL_JSON_OK && value.type == SL_JSON_OBJECT)
		return JSON_FORM_OBJECT;
	return sl_json_is_utf8(payload, len) ? JSON_FORM_TEXT : JSON_FORM_BASE64;
}

/* What a name takes, or a key instead of it. */
static size_t
name_max(const char *name)
{
	return name == NULL ? 2 + 16 : SL_JSON_STRING_MAX(strlen(name));
}

size_t
json_line_max(
	const struct gw_delivery *delivery, const struct json_names *names, enum json_form form)
{
	static const char fixed[] = "{\"messageId\":,\"sourceServerId\":,\"destinationId\":,"
				    "\"messageType\":,\"priority\":4294967295,\"timestamp\":"
				    "18446744073709551615,\"payload\":{\"base64\":}}\n";
	size_t len = sizeof(fixed) + name_max(names->source) + name_max(names->destination) +
		name_max(names->type);

	len += delivery->id_text_len != 0 ? SL_JSON_STRING_MAX(delivery->id_text_len) : 2 + 32;
	switch (form) {
	case JSON_FORM_NONE:
		break;
	case JSON_FORM_OBJECT:
		len += delivery->payload_len;
		break;
	case JSON_FORM_TEXT:
		len += SL_JSON_STRING_MAX(delivery->payload_len);
		break;
	case JSON_FORM_BASE64:
		len += 2 + (delivery->payload_len + 2) / 3 * 4;
		break;
	}
	return len;
}

static char *
put_name(char *p, const char *name, uint64_t key)
{
	if (name != NULL)
		return sl_json_put_string(p, name, strlen(name));
	*p++ = '"';
	p = put_hex(p, key);
	*p++ = '"';
	return p;
}

static void
blank(char *p, const char *end, char c)
{
	while ((p = memchr(p, c, (size_t)(end - p))) != NULL)
		*p++ = ' ';
}

/* In JSON a newline is white space, wherever it is not escaped; and so is a carriage return, which
 * ends a line of server-sent events, too. */
static char *
put_object(char *p, const uint8_t *text, size_t len)
{
	char *end = p + len;

	memcpy(p, text, len);
	blank(p, end, '\n');
	blank(p, end, '\r');
	return end;
}

static char *
put_payload(char *p, const struct gw_delivery *d, enum json_form form)
{
	switch (form) {
	case JSON_FORM_NONE:
		break;
	case JSON_FORM_OBJECT:
		return put_object(p, d->payload, d->payload_len);
	case JSON_FORM_TEXT:
		p = PUT(p, "{\"text\":");
		p = sl_json_put_string(p, d->payload, d->payload_len);
		return PUT(p, "}");
	case JSON_FORM_BASE64:
		p = PUT(p, "{\"base64\":\"");
		p += EVP_EncodeBlock((unsigned char *)p, d->payload, (int)d->payload_len);
		return PUT(p, "\"}");
	}
	return PUT(p, "{}");
}

size_t
json_line_write(char *buf, const struct gw_delivery *d, const struct json_names *names,
	enum json_form form, uint32_t default_priority)
{
	char *p = PUT(buf, "{\"messageId\":");

	if (d->id_text_len != 0)
		p = sl_json_put_string(p, d->id_text, d->id_text_len);
	else
		p = put_id(p, d->id_high, d->id_low);
	p = PUT(p, ",\"sourceServerId\":");
	p = put_name(p, names->source, d->source);
	p = PUT(p, ",\"destinationId\":");
	p = put_name(p, names->destination, d->destination);
	p = PUT(p, ",\"messageType\":");
	p = put_name(p, names->type, d->type);
	p = PUT(p, ",\"priority\":");
	p = put_decimal(p, d->priority != 0 ? d->priority : default_priority);
	p = PUT(p, ",\"timestamp\":");
	p = put_decimal(p, d->timestamp_ns / NS_PER_MS);
	p = PUT(p, ",\"payload\":");
	p = put_payload(p, d, form);
	p = PUT(p, "}\n");
	return (size_t)(p - buf);
}
