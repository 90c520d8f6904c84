/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SCAN_H
#define SCAN_H

/* What the walk stands on. Private to lib/json. */

#include <string.h>

#include "sl_json.h"

static inline const char *
scan_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

/*
 * Read the value at *at, which is no white space, and move behind it. @p depth arrays and objects
 * are around it. On an error *at is where it is.
 */
enum sl_json_error
scan_value(const char **at, const char *end, unsigned int depth, struct sl_json_value *value);

/* The same for a string; *at is its opening quote. */
enum sl_json_error scan_string(const char **at, const char *end, struct sl_json_value *value);

/*
 * Bytes of the character at @p p, whose first is 0x80 or above; 0: it is not UTF-8 (RFC 3629), or
 * cut short.
 */
unsigned int scan_utf8(const char *p, const char *end);

#endif /* SCAN_H */
