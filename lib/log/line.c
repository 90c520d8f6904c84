/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log_internal.h"

/* Room kept for what ends a line: "..." of a text that was cut, the quote and brace of JSON. */
#define TAIL_MAX 8

/* Longest escape of one character: \u001b, or \xc2\x9b. */
#define ESCAPE_MAX 8

struct buffer {
	char *at;
	size_t len;
};

static void __attribute__((format(printf, 2, 3)))
append(struct buffer *buffer, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buffer->len += (size_t)vsnprintf(
		buffer->at + buffer->len, LOG_LINE_MAX + 1 - buffer->len, format, args);
	va_end(args);
}

static void
append_bytes(struct buffer *buffer, const void *bytes, size_t len)
{
	memcpy(buffer->at + buffer->len, bytes, len);
	buffer->len += len;
}

/*
 * Bytes of the UTF-8 character at the head of `text`, 0 when it is none: cut off, overlong, half of
 * a surrogate pair, or past U+10FFFF (Unicode 15, table 3-7).
 */
static size_t
utf8_len(const unsigned char *text)
{
	unsigned char first = text[0], low = 0x80, high = 0xbf;
	size_t len;

	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	len = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

/* C0 and C1: what could drive the terminal that shows the log. */
static bool
is_control(const unsigned char *text, size_t len)
{
	return (len == 1 && (text[0] < 0x20 || text[0] == 0x7f)) ||
		(len == 2 && text[0] == 0xc2 && text[1] < 0xa0);
}

static void
append_control(struct buffer *out, const unsigned char *text, size_t len, bool is_json)
{
	if (text[0] == '\n')
		append(out, "\\n");
	else if (text[0] == '\r')
		append(out, "\\r");
	else if (text[0] == '\t')
		append(out, "\\t");
	else if (is_json)
		append(out, "\\u%04x", len == 1 ? text[0] : text[1]);
	else if (len == 1)
		append(out, "\\x%02x", text[0]);
	else
		append(out, "\\x%02x\\x%02x", text[0], text[1]);
}

/* The text up to what fits in front of the tail; "..." when it is not all. */
static void
append_escaped(struct buffer *out, const struct log_record *record, bool is_json)
{
	const unsigned char *text = (const unsigned char *)record->text;
	bool is_cut = record->is_cut;
	size_t len;

	for (; text[0] != '\0'; text += len == 0 ? 1 : len) {
		if (out->len + ESCAPE_MAX + TAIL_MAX > LOG_LINE_MAX) {
			is_cut = true;
			break;
		}
		len = utf8_len(text);
		if (len == 0)
			/* In JSON a backslash is escaped itself. */
			append(out, is_json ? "\\\\x%02x" : "\\x%02x", text[0]);
		else if (is_control(text, len))
			append_control(out, text, len, is_json);
		else if (is_json && (text[0] == '"' || text[0] == '\\'))
			append(out, "\\%c", text[0]);
		else
			append_bytes(out, text, len);
	}
	if (is_cut)
		append(out, "...");
}

static void
append_time(struct buffer *out, const struct timespec *time)
{
	char date[32];
	struct tm tm;

	gmtime_r(&time->tv_sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	append(out, "%s.%03ldZ", date, time->tv_nsec / 1000000);
}

size_t
log_line_text(const struct log_record *record, char line[LOG_LINE_MAX + 1])
{
	struct buffer out = {.at = line};

	append_time(&out, &record->time);
	append(&out, " sluice %s %s: ", sl_log_level_name(record->level),
		sl_log_module_name(record->module));
	append_escaped(&out, record, false);
	append(&out, "\n");
	return out.len;
}

size_t
log_line_json(const struct log_record *record, char line[LOG_LINE_MAX + 1])
{
	struct buffer out = {.at = line};

	append(&out, "{\"time\":\"");
	append_time(&out, &record->time);
	append(&out, "\",\"level\":\"%s\",\"module\":\"%s\",\"text\":\"",
		sl_log_level_name(record->level), sl_log_module_name(record->module));
	append_escaped(&out, record, true);
	append(&out, "\"}\n");
	return out.len;
}

size_t
log_line_journal(const struct log_record *record, char line[LOG_LINE_MAX + 1])
{
	/* LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG of syslog(3). */
	struct buffer out = {.at = line};

	append(&out, "PRIORITY=%u\nSYSLOG_IDENTIFIER=sluice\nMODULE=%s\nMESSAGE=",
		3 + (unsigned int)record->level, sl_log_module_name(record->module));
	append_escaped(&out, record, false);
	append(&out, "\n");
	return out.len;
}
