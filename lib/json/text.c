/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>

#include "scan.h"

const char *
sl_json_strerror(enum sl_json_error error)
{
	static const char *const words[] = {
		[SL_JSON_OK] = "ok",
		[SL_JSON_CUT_SHORT] = "ends too soon",
		[SL_JSON_UNEXPECTED] = "something else is expected",
		[SL_JSON_BAD_NUMBER] = "not a number of JSON",
		[SL_JSON_BAD_ESCAPE] = "not an escape of JSON",
		[SL_JSON_BAD_UTF8] = "not UTF-8",
		[SL_JSON_CONTROL] = "a control character in a string",
		[SL_JSON_TOO_DEEP] = "nested too deep",
		[SL_JSON_TRAILING] = "something stands behind the end",
		[SL_JSON_NOT_AN_OBJECT] = "not an object",
		[SL_JSON_NOT_AN_ARRAY] = "not an array",
	};

	return (size_t)error < sizeof(words) / sizeof(words[0]) ? words[error] : "unknown";
}

const char *
sl_json_type_name(enum sl_json_type type)
{
	static const char *const names[] = {
		[SL_JSON_NULL] = "null",
		[SL_JSON_TRUE] = "true",
		[SL_JSON_FALSE] = "false",
		[SL_JSON_NUMBER] = "a number",
		[SL_JSON_STRING] = "a string",
		[SL_JSON_ARRAY] = "an array",
		[SL_JSON_OBJECT] = "an object",
	};

	return (size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown";
}

/* Four digits that are known to be hexadecimal. */
static uint32_t
hex4(const char *p)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value = value << 4 | (uint32_t)((p[i] & 0xf) + (p[i] >= 'A' ? 9 : 0));
	return value;
}

static size_t
put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* The character of an escape that was scanned; *at is the backslash. */
static uint32_t
take_escape(const char **at)
{
	const char *p = *at;
	uint32_t c;

	*at = p + 2;
	switch (p[1]) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'u':
		break;
	default:
		return (uint32_t)p[1];
	}
	c = hex4(p + 2);
	*at = p + 6;
	if (c >= 0xd800 && c <= 0xdbff) {
		c = 0x10000 + ((c & 0x3ff) << 10 | (hex4(p + 8) & 0x3ff));
		*at = p + 12;
	}
	return c;
}

ssize_t
sl_json_decode(const struct sl_json_value *string, char *buf, size_t buf_len, bool allow_nul)
{
	const char *p = string->text, *end = p + string->len;
	size_t len = 0, n;
	char utf8[4];
	uint32_t c;

	if (!string->has_escapes) {
		if (string->len > buf_len)
			return -ENOBUFS;
		memcpy(buf, p, string->len);
		return (ssize_t)string->len;
	}
	while (p < end) {
		if (*p != '\\') {
			if (len == buf_len)
				return -ENOBUFS;
			buf[len++] = *p++;
			continue;
		}
		c = take_escape(&p);
		if (c == 0 && !allow_nul)
			return -EINVAL;
		n = put_utf8(utf8, c);
		if (n > buf_len - len)
			return -ENOBUFS;
		memcpy(buf + len, utf8, n);
		len += n;
	}
	return (ssize_t)len;
}

bool
sl_json_string_is(const struct sl_json_value *string, const char *text, size_t len)
{
	const char *p = string->text, *end = p + string->len, *want = text + len;
	char utf8[4];
	size_t n;

	if (!string->has_escapes)
		return string->len == len && memcmp(p, text, len) == 0;
	while (p < end) {
		if (*p == '\\') {
			n = put_utf8(utf8, take_escape(&p));
		} else {
			utf8[0] = *p++;
			n = 1;
		}
		if (n > (size_t)(want - text) || memcmp(utf8, text, n) != 0)
			return false;
		text += n;
	}
	return text == want;
}

int
sl_json_integer(const struct sl_json_value *number, int64_t *integer)
{
	const char *p = number->text, *end = p + number->len;
	bool is_negative = *p == '-', is_too_big = false;
	int64_t value = 0;

	if (number->type != SL_JSON_NUMBER)
		return -EINVAL;
	/* Downwards, where there is one more. */
	for (p += is_negative; p < end; p++) {
		if (*p < '0' || *p > '9')
			return -EINVAL;
		is_too_big |= __builtin_mul_overflow(value, 10, &value);
		is_too_big |= __builtin_sub_overflow(value, *p - '0', &value);
	}
	if (!is_negative)
		is_too_big |= __builtin_sub_overflow(0, value, &value);
	if (is_too_big)
		return -ERANGE;
	*integer = value;
	return 0;
}

bool
sl_json_is_utf8(const void *text, size_t len)
{
	const char *p = text, *end = p + len;
	unsigned int n;

	while (p < end) {
		n = (*p & 0x80) == 0 ? 1 : scan_utf8(p, end);
		if (n == 0)
			return false;
		p += n;
	}
	return true;
}

char *
sl_json_put_string(char *p, const void *text, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	static const char shorts[] = "btn\0fr"; /* \b is 8 */
	const char *from = text, *end = from + len;
	unsigned int n;

	*p++ = '"';
	while (from < end) {
		char c = *from;

		if ((c & 0x80) != 0) {
			n = scan_utf8(from, end);
			memcpy(p, n != 0 ? from : "\xef\xbf\xbd", n != 0 ? n : 3);
			p += n != 0 ? n : 3;
			from += n != 0 ? n : 1;
			continue;
		}
		from++;
		if (c >= ' ' && c != '"' && c != '\\') {
			*p++ = c;
			continue;
		}
		*p++ = '\\';
		if (c >= ' ') {
			*p++ = c;
		} else if (c >= '\b' && c <= '\r' && c != '\v') {
			*p++ = shorts[c - '\b'];
		} else {
			memcpy(p, "u00", 3);
			p[3] = digits[c >> 4];
			p[4] = digits[c & 0xf];
			p += 5;
		}
	}
	*p++ = '"';
	return p;
}
