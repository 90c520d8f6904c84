/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "scan.h"

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* What ends the run of plain characters in a string: quotes, backslashes, controls, non-ASCII. */
static inline bool
is_special(char c)
{
	return (signed char)c < ' ' || c == '"' || c == '\\';
}

/*
 * The same for eight bytes at once: the high bit of the first special byte is set, those of the
 * bytes before it are not ("Bit Twiddling Hacks", S. Anderson: hasless, haszero; a borrow can only
 * mark bytes behind one that is marked rightly).
 */
static inline uint64_t
special_mask(uint64_t v)
{
	uint64_t quote = v ^ ONES * '"', escape = v ^ ONES * '\\';

	return (((v - ONES * ' ') & ~v) | ((quote - ONES) & ~quote) | ((escape - ONES) & ~escape) |
		       v) &
		HIGHS;
}

#ifdef __SSE2__
/* A bit for each of sixteen bytes; those that are not ASCII are below zero. */
static inline unsigned int
special_mask16(const char *p)
{
	__m128i v = _mm_loadu_si128((const __m128i *)p);
	__m128i special = _mm_or_si128(
		_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));

	special = _mm_or_si128(special, _mm_cmplt_epi8(v, _mm_set1_epi8(' ')));
	return (unsigned int)_mm_movemask_epi8(special);
}
#endif

static inline const char *
skip_plain(const char *p, const char *end)
{
	uint64_t v;

#ifdef __SSE2__
	while (end - p >= (ptrdiff_t)sizeof(__m128i)) {
		unsigned int special = special_mask16(p);

		if (special != 0)
			return p + __builtin_ctz(special);
		p += sizeof(__m128i);
	}
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	while (end - p >= (ptrdiff_t)sizeof(v)) {
		memcpy(&v, p, sizeof(v));
		v = special_mask(v);
		if (v != 0)
			return p + __builtin_ctzll(v) / 8;
		p += sizeof(v);
	}
#endif
	while (p < end && !is_special(*p))
		p++;
	return p;
}

unsigned int
scan_utf8(const char *p, const char *end)
{
	const uint8_t *b = (const uint8_t *)p;
	size_t left = (size_t)(end - p);
	uint8_t low = 0x80, high = 0xbf;

	if (b[0] >= 0xc2 && b[0] <= 0xdf)
		return left >= 2 && (b[1] & 0xc0) == 0x80 ? 2 : 0;
	if ((b[0] & 0xf0) == 0xe0) {
		if (b[0] == 0xe0)
			low = 0xa0;
		else if (b[0] == 0xed)
			high = 0x9f;
		return left >= 3 && b[1] >= low && b[1] <= high && (b[2] & 0xc0) == 0x80 ? 3 : 0;
	}
	if (b[0] >= 0xf0 && b[0] <= 0xf4) {
		if (b[0] == 0xf0)
			low = 0x90;
		else if (b[0] == 0xf4)
			high = 0x8f;
		return left >= 4 && b[1] >= low && b[1] <= high && (b[2] & 0xc0) == 0x80 &&
				(b[3] & 0xc0) == 0x80
			? 4
			: 0;
	}
	return 0;
}

/* Four hexadecimal digits. @return -1: they are not */
static int
hex4(const char *p)
{
	int value = 0;

	for (int i = 0; i < 4; i++) {
		int c = p[i] | 0x20;

		if (is_digit(p[i]))
			value = value << 4 | (p[i] - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (c - 'a' + 10);
		else
			return -1;
	}
	return value;
}

/* *at is the backslash. */
static enum sl_json_error
scan_escape(const char **at, const char *end)
{
	const char *p = *at;
	int code;

	if (end - p < 2)
		return SL_JSON_CUT_SHORT;
	switch (p[1]) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		*at = p + 2;
		return SL_JSON_OK;
	case 'u':
		break;
	default:
		return SL_JSON_BAD_ESCAPE;
	}
	if (end - p < 6)
		return SL_JSON_CUT_SHORT;
	code = hex4(p + 2);
	if (code < 0 || (code & 0xfc00) == 0xdc00)
		return SL_JSON_BAD_ESCAPE;
	p += 6;
	if ((code & 0xfc00) == 0xd800) {
		if (end - p < 6)
			return SL_JSON_CUT_SHORT;
		if (p[0] != '\\' || p[1] != 'u' || (hex4(p + 2) & ~0x3ff) != 0xdc00)
			return SL_JSON_BAD_ESCAPE;
		p += 6;
	}
	*at = p;
	return SL_JSON_OK;
}

enum sl_json_error
scan_string(const char **at, const char *end, struct sl_json_value *value)
{
	const char *p = *at + 1;
	enum sl_json_error error;
	unsigned int n;

	value->type = SL_JSON_STRING;
	value->has_escapes = false;
	value->text = p;
	for (;;) {
		p = skip_plain(p, end);
		*at = p;
		if (p == end)
			return SL_JSON_CUT_SHORT;
		if (*p == '"')
			break;
		if (*p == '\\') {
			value->has_escapes = true;
			error = scan_escape(&p, end);
			if (error != SL_JSON_OK)
				return error;
		} else if ((*p & 0x80) != 0) {
			n = scan_utf8(p, end);
			if (n == 0)
				return SL_JSON_BAD_UTF8;
			p += n;
		} else {
			return SL_JSON_CONTROL;
		}
	}
	value->len = (size_t)(p - value->text);
	*at = p + 1;
	return SL_JSON_OK;
}

static const char *
skip_digits(const char *p, const char *end)
{
	while (p < end && is_digit(*p))
		p++;
	return p;
}

static enum sl_json_error
scan_number(const char **at, const char *end)
{
	const char *p = *at, *digits;

	p += *p == '-';
	digits = p;
	p = skip_digits(p, end);
	*at = p;
	if (p == digits)
		return p == end ? SL_JSON_CUT_SHORT : SL_JSON_BAD_NUMBER;
	if (*digits == '0' && p - digits > 1)
		return SL_JSON_BAD_NUMBER;
	if (p < end && *p == '.') {
		digits = ++p;
		p = skip_digits(p, end);
		*at = p;
		if (p == digits)
			return p == end ? SL_JSON_CUT_SHORT : SL_JSON_BAD_NUMBER;
	}
	if (p < end && (*p | 0x20) == 'e') {
		p++;
		p += p < end && (*p == '+' || *p == '-');
		digits = p;
		p = skip_digits(p, end);
		*at = p;
		if (p == digits)
			return p == end ? SL_JSON_CUT_SHORT : SL_JSON_BAD_NUMBER;
	}
	return SL_JSON_OK;
}

static enum sl_json_error
scan_word(const char **at, const char *end, const char *word, size_t len)
{
	if ((size_t)(end - *at) < len)
		return memcmp(*at, word, (size_t)(end - *at)) == 0 ? SL_JSON_CUT_SHORT
								   : SL_JSON_UNEXPECTED;
	if (memcmp(*at, word, len) != 0)
		return SL_JSON_UNEXPECTED;
	*at += len;
	return SL_JSON_OK;
}

/* A value without others in it. */
static inline enum sl_json_error
scan_scalar(const char **at, const char *end, struct sl_json_value *value)
{
	enum sl_json_error error;
	const char *begin = *at;

	switch (*begin) {
	case '"':
		return scan_string(at, end, value);
	case 't':
		value->type = SL_JSON_TRUE;
		error = scan_word(at, end, "true", 4);
		break;
	case 'f':
		value->type = SL_JSON_FALSE;
		error = scan_word(at, end, "false", 5);
		break;
	case 'n':
		value->type = SL_JSON_NULL;
		error = scan_word(at, end, "null", 4);
		break;
	default:
		if (*begin != '-' && !is_digit(*begin))
			return SL_JSON_UNEXPECTED;
		value->type = SL_JSON_NUMBER;
		error = scan_number(at, end);
	}
	value->has_escapes = false;
	value->text = begin;
	value->len = (size_t)(*at - begin);
	return error;
}

/* A member's key and colon, and the space behind it. */
static enum sl_json_error
scan_key(const char **at, const char *end)
{
	struct sl_json_value key;
	enum sl_json_error error;

	if (**at != '"')
		return SL_JSON_UNEXPECTED;
	error = scan_string(at, end, &key);
	if (error != SL_JSON_OK)
		return error;
	*at = scan_space(*at, end);
	if (*at == end)
		return SL_JSON_CUT_SHORT;
	if (**at != ':')
		return SL_JSON_UNEXPECTED;
	*at = scan_space(*at + 1, end);
	return *at == end ? SL_JSON_CUT_SHORT : SL_JSON_OK;
}

/*
 * Behind a value, or at the begin of an array or object (`is_begin`): on to where the next value
 * is, or out of what ends here. A bit of *open for each that is open, the innermost lowest: 1 is an
 * object.
 */
static enum sl_json_error
scan_on(const char **at, const char *end, uint64_t *open, unsigned int *nb_open, bool is_begin)
{
	for (;; is_begin = false) {
		*at = scan_space(*at, end);
		if (*at == end)
			return SL_JSON_CUT_SHORT;
		if (**at == ((*open & 1) != 0 ? '}' : ']')) {
			++*at;
			*open >>= 1;
			if (--*nb_open == 0)
				return SL_JSON_OK;
			continue;
		}
		if (!is_begin) {
			if (**at != ',')
				return SL_JSON_UNEXPECTED;
			*at = scan_space(*at + 1, end);
			if (*at == end)
				return SL_JSON_CUT_SHORT;
		}
		return (*open & 1) != 0 ? scan_key(at, end) : SL_JSON_OK;
	}
}

/* One bit a level. */
_Static_assert(SL_JSON_DEPTH_MAX <= 64, "the open arrays and objects are bits of a word");

enum sl_json_error
scan_value(const char **at, const char *end, unsigned int depth, struct sl_json_value *value)
{
	const char *begin = *at;
	unsigned int nb_open = 0;
	struct sl_json_value inner;
	enum sl_json_error error;
	uint64_t open = 0;

	if (*begin != '{' && *begin != '[')
		return scan_scalar(at, end, value);
	do {
		bool is_begin = **at == '{' || **at == '[';

		if (is_begin) {
			if (depth + ++nb_open > SL_JSON_DEPTH_MAX)
				return SL_JSON_TOO_DEEP;
			open = open << 1 | (**at == '{');
			++*at;
		} else {
			error = scan_scalar(at, end, &inner);
			if (error != SL_JSON_OK)
				return error;
		}
		error = scan_on(at, end, &open, &nb_open, is_begin);
		if (error != SL_JSON_OK)
			return error;
	} while (nb_open != 0);
	value->type = *begin == '{' ? SL_JSON_OBJECT : SL_JSON_ARRAY;
	value->has_escapes = false;
	value->text = begin;
	value->len = (size_t)(*at - begin);
	return SL_JSON_OK;
}
