/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef PUT_H
#define PUT_H

/**
 * @file
 * Texts written piece by piece, into memory that is known to be enough: each of these returns where
 * the next goes. No terminators.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline char *
put_bytes(char *p, const char *bytes, size_t len)
{
	memcpy(p, bytes, len);
	return p + len;
}

#define PUT(p, literal) put_bytes(p, literal, sizeof(literal) - 1)

/* As 16 hexadecimal digits. */
static inline char *
put_hex(char *p, uint64_t value)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		*p++ = "0123456789abcdef"[value >> shift & 0xf];
	return p;
}

/* An id that is no text: its 32 digits in quotes. */
static inline char *
put_id(char *p, uint64_t high, uint64_t low)
{
	*p++ = '"';
	p = put_hex(put_hex(p, high), low);
	*p++ = '"';
	return p;
}

static inline char *
put_decimal(char *p, uint64_t value)
{
	char digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	return put_bytes(p, digits + n, sizeof(digits) - n);
}

#endif /* PUT_H */
