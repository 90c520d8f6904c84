/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdint.h>

#include "name.h"

/* The character at the head of @p p, and its bytes; 0: none, cut off, overlong, a surrogate. */
static size_t
take_utf8(const uint8_t *p, size_t len, uint32_t *character)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n;

	if (p[0] < 0x80) {
		*character = p[0];
		return 1;
	}
	n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc0 || p[0] > 0xf4 || len < n)
		return 0;
	*character = p[0] & (0x7f >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*character = *character << 6 | (p[i] & 0x3f);
	}
	if (*character < least[n] || *character > 0x10ffff ||
		(*character >= 0xd800 && *character <= 0xdfff))
		return 0;
	return n;
}

bool
gw_name_is_valid(const char *name, size_t len)
{
	const uint8_t *p = (const uint8_t *)name;
	uint32_t c;
	size_t n;

	for (; len > 0; p += n, len -= n) {
		n = take_utf8(p, len, &c);
		/* C0, DEL and C1; U+2028 and U+2029 end a line, too. */
		if (n == 0 || c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029)
			return false;
	}
	return true;
}
