/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "put.h"
#include "room_message.h"
#include "sl_json.h"

const char *const room_type_names[ROOM_TYPES] = {"TEXT", "JOIN", "LEAVE"};

enum field { USER, USERNAME, MESSAGE, TIMESTAMP, TYPE, NB_FIELDS };

static const struct {
	const char *name;
	const char *missing;
	const char *no_string;
	const char *twice;
} fields[NB_FIELDS] = {
#define FIELD(n)                                                                                   \
	{                                                                                          \
		n, n ": is missing", n ": is not a string", n ": is given twice"                   \
	}
	[USER] = FIELD("userId"),
	[USERNAME] = FIELD("username"),
	[MESSAGE] = FIELD("message"),
	[TIMESTAMP] = FIELD("timestamp"),
	[TYPE] = FIELD("messageType"),
#undef FIELD
};

static const char *
read_fields(const char *text, size_t len, struct sl_json_value values[NB_FIELDS])
{
	struct sl_json_value key, value;
	struct sl_json_walk walk;
	const char *why = NULL;

	sl_json_walk_object(&walk, text, len);
	while (sl_json_next_member(&walk, &key, &value)) {
		for (unsigned int i = 0; i < NB_FIELDS; i++) {
			if (!sl_json_string_is(&key, fields[i].name, strlen(fields[i].name)))
				continue;
			if (values[i].text != NULL)
				why = fields[i].twice;
			else if (value.type != SL_JSON_STRING)
				why = fields[i].no_string;
			values[i] = value;
			break;
		}
	}
	if (walk.error == SL_JSON_NOT_AN_OBJECT)
		return "a message is a JSON object";
	if (walk.error != SL_JSON_OK)
		return "a message is a JSON object, and this is not valid JSON";
	for (unsigned int i = 0; i < NB_FIELDS && why == NULL; i++)
		if (values[i].text == NULL)
			why = fields[i].missing;
	return why;
}

/* "1" to "100000", in one way only. */
static bool
read_user(const struct sl_json_value *value, struct room_message *message)
{
	char digits[8];
	ssize_t len = sl_json_decode(value, digits, sizeof(digits), false);

	message->user = 0;
	if (len < 1 || len > 6 || digits[0] == '0')
		return false;
	for (ssize_t i = 0; i < len; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return false;
		message->user = message->user * 10 + (uint32_t)(digits[i] - '0');
	}
	return message->user <= ROOM_USER_MAX;
}

static bool
read_username(const struct sl_json_value *value, struct room_message *message)
{
	ssize_t len = sl_json_decode(value, message->username, ROOM_USERNAME_MAX, false);

	if (len < ROOM_USERNAME_MIN)
		return false;
	for (ssize_t i = 0; i < len; i++) {
		char c = message->username[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
			return false;
	}
	message->username_len = (uint32_t)len;
	return true;
}

static uint32_t
count_characters(const char *text, size_t len)
{
	uint32_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

static bool
read_text(const struct sl_json_value *value, struct room_message *message)
{
	char plain[4 * ROOM_MESSAGE_MAX], quoted[ROOM_TEXT_MAX * 4 + 2], *end;
	const char *text = value->text;
	size_t len = value->len;
	uint32_t nb_characters;
	ssize_t decoded;

	if (value->has_escapes) {
		/* Escaped anew, it is as short as can be. */
		decoded = sl_json_decode(value, plain, sizeof(plain), false);
		if (decoded < 0)
			return false;
		text = plain;
		len = (size_t)decoded;
	}
	if (len > sizeof(plain))
		return false;
	nb_characters = count_characters(text, len);
	if (nb_characters < 1 || nb_characters > ROOM_MESSAGE_MAX)
		return false;
	if (value->has_escapes) {
		end = sl_json_put_string(quoted, plain, len);
		text = quoted + 1;
		len = (size_t)(end - quoted) - 2;
	}
	memcpy(message->text, text, len);
	message->text_len = (uint32_t)len;
	return true;
}

/* `n` digits as a number within bounds; moves on behind them. */
static bool
take_number(const char **at, const char *end, int n, int min, int max, int *number)
{
	*number = 0;
	if (end - *at < n)
		return false;
	for (; n > 0; n--, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		*number = *number * 10 + (**at - '0');
	}
	return *number >= min && *number <= max;
}

static bool
take_char(const char **at, const char *end, const char *one_of)
{
	if (*at == end || **at == '\0' || strchr(one_of, **at) == NULL)
		return false;
	(*at)++;
	return true;
}

static bool
take_date(const char **at, const char *end)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, day;
	bool is_leap;

	if (!take_number(at, end, 4, 0, 9999, &year) || !take_char(at, end, "-") ||
		!take_number(at, end, 2, 1, 12, &month) || !take_char(at, end, "-") ||
		!take_number(at, end, 2, 1, 31, &day))
		return false;
	is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return day <= days[month - 1] + (month == 2 && is_leap);
}

/* "Z", "+01:00", "+0100", "+01", or none: local time. */
static bool
take_zone(const char **at, const char *end)
{
	int hours, minutes;

	if (*at == end || take_char(at, end, "Z"))
		return true;
	if (!take_char(at, end, "+-") || !take_number(at, end, 2, 0, 23, &hours))
		return false;
	if (*at == end)
		return true;
	take_char(at, end, ":");
	return take_number(at, end, 2, 0, 59, &minutes);
}

/* ISO 8601, extended: a date, "T", hours and minutes, and perhaps seconds, their fraction, and how
 * far it is from UTC. Second 60 is a leap second. */
static bool
is_timestamp(const char *at, const char *end)
{
	int number;

	if (!take_date(&at, end) || !take_char(&at, end, "T") ||
		!take_number(&at, end, 2, 0, 23, &number) || !take_char(&at, end, ":") ||
		!take_number(&at, end, 2, 0, 59, &number))
		return false;
	if (take_char(&at, end, ":")) {
		if (!take_number(&at, end, 2, 0, 60, &number))
			return false;
		if (take_char(&at, end, ".,")) {
			if (!take_number(&at, end, 1, 0, 9, &number))
				return false;
			while (take_number(&at, end, 1, 0, 9, &number))
				continue;
		}
	}
	return take_zone(&at, end) && at == end;
}

static bool
read_timestamp(const struct sl_json_value *value, struct room_message *message)
{
	ssize_t len = sl_json_decode(value, message->timestamp, ROOM_TIMESTAMP_MAX, false);

	if (len < 0 || !is_timestamp(message->timestamp, message->timestamp + len))
		return false;
	message->timestamp_len = (uint32_t)len;
	return true;
}

static bool
read_type(const struct sl_json_value *value, struct room_message *message)
{
	for (unsigned int i = 0; i < ROOM_TYPES; i++) {
		if (sl_json_string_is(value, room_type_names[i], strlen(room_type_names[i]))) {
			message->type = (enum room_type)i;
			return true;
		}
	}
	return false;
}

const char *
room_message_parse(const char *text, size_t len, struct room_message *message)
{
	struct sl_json_value values[NB_FIELDS] = {0};
	const char *why = read_fields(text, len, values);

	if (why != NULL)
		return why;
	if (!read_user(&values[USER], message))
		return "userId: is not 1 to 100000";
	if (!read_username(&values[USERNAME], message))
		return "username: is not 3 to 20 letters and digits";
	if (!read_text(&values[MESSAGE], message))
		return "message: is not 1 to 500 characters";
	if (!read_timestamp(&values[TIMESTAMP], message))
		return "timestamp: is not an ISO 8601 time, as 2026-01-02T03:04:05.678Z is";
	if (!read_type(&values[TYPE], message))
		return "messageType: is not TEXT, JOIN or LEAVE";
	return NULL;
}

size_t
room_message_write(const struct room_message *message, char payload[ROOM_PAYLOAD_MAX])
{
	const char *type = room_type_names[message->type];
	char *p = payload;

	p = PUT(p, "{\"userId\":\"");
	p = put_decimal(p, message->user);
	p = PUT(p, "\",\"username\":\"");
	p = put_bytes(p, message->username, message->username_len);
	p = PUT(p, "\",\"message\":\"");
	p = put_bytes(p, message->text, message->text_len);
	p = PUT(p, "\",\"timestamp\":\"");
	p = put_bytes(p, message->timestamp, message->timestamp_len);
	p = PUT(p, "\",\"messageType\":\"");
	p = put_bytes(p, type, strlen(type));
	p = PUT(p, "\"}");
	return (size_t)(p - payload);
}

static char *
put_digits(char *p, unsigned int value, int n)
{
	for (int i = n - 1; i >= 0; i--, value /= 10)
		p[i] = (char)('0' + value % 10);
	return p + n;
}

/* The days of the calendar, counted from 1 March of the year 0: H. Hinnant, "chrono-compatible
 * low-level date algorithms". */
static char *
put_time(char *p, uint64_t ns)
{
	uint64_t seconds = ns / 1000000000;
	unsigned int second = (unsigned int)(seconds % 86400);
	unsigned int days = (unsigned int)(seconds / 86400) + 719468;
	unsigned int era = days / 146097, day = days % 146097;
	unsigned int year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	unsigned int of_year = day - (365 * year + year / 4 - year / 100);
	unsigned int month = (5 * of_year + 2) / 153;

	day = of_year - (153 * month + 2) / 5 + 1;
	month = month < 10 ? month + 3 : month - 9;
	p = put_digits(p, year + era * 400 + (month <= 2), 4);
	*p++ = '-';
	p = put_digits(p, month, 2);
	*p++ = '-';
	p = put_digits(p, day, 2);
	*p++ = 'T';
	p = put_digits(p, second / 3600, 2);
	*p++ = ':';
	p = put_digits(p, second / 60 % 60, 2);
	*p++ = ':';
	p = put_digits(p, second % 60, 2);
	*p++ = '.';
	p = put_digits(p, (unsigned int)(ns / 1000000 % 1000), 3);
	*p++ = 'Z';
	return p;
}

size_t
room_broadcast_write(
	const struct room_broadcast *broadcast, const char *payload, size_t payload_len, char *text)
{
	struct sl_json_value object;
	char *p = text;

	/* Others than members may write to the topic, too. */
	if (sl_json_check(payload, payload_len, &object, NULL) != SL_JSON_OK ||
		object.type != SL_JSON_OBJECT)
		return 0;
	p = put_bytes(p, object.text, object.len - 1);
	while (strchr(" \t\r\n", p[-1]) != NULL)
		p--;
	if (p[-1] != '{')
		*p++ = ',';
	p = PUT(p, "\"roomId\":\"");
	p = put_bytes(p, broadcast->room, broadcast->room_len);
	p = PUT(p, "\",\"messageId\":\"");
	p = put_hex(p, broadcast->id_high);
	p = put_hex(p, broadcast->id_low);
	p = PUT(p, "\",\"serverTimestamp\":\"");
	p = put_time(p, broadcast->timestamp_ns);
	p = PUT(p, "\",\"status\":\"OK\"}");
	return (size_t)(p - text);
}

size_t
room_error_write(const char *why, char text[ROOM_ERROR_MAX])
{
	return (size_t)snprintf(
		text, ROOM_ERROR_MAX, "{\"status\":\"ERROR\",\"message\":\"%.200s\"}", why);
}
