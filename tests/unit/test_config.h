/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TEST_CONFIG_H
#define TEST_CONFIG_H

/** @file Pieces of configuration files for the tests of lib/config. Include it behind cmocka.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_LEN 1024

/* Two lines each. */
#define PORTS "ports:\n  - {name: net0, device: d0, address: 10.77.0.1/24}\n"
#define DESTS                                                                                      \
	"destinations:\n"                                                                          \
	"  - {name: t1, backends: [{name: b1, address: 10.77.0.11, port: 9001}]}\n"
/* A port, then the destination's first line and the beginning of its second. */
#define DEST(keys)                                                                                 \
	PORTS "destinations:\n  - {name: t1, " keys                                                \
	      ", backends: [{name: b1, address: 10.77.0.11, port: 1}]}\n"

/** A text whose middle is @p n lines; @p format takes up to four times the line's number. */
static inline char *
repeat(const char *head, const char *format, unsigned int n, const char *tail)
{
	size_t size = strlen(head) + n * (strlen(format) + 32) + strlen(tail) + 1, len;
	char *text = malloc(size);
	unsigned int i;

	assert_non_null(text);
	len = (size_t)sprintf(text, "%s", head);
	for (i = 0; i < n; i++)
		len += (size_t)sprintf(text + len, format, i, i, i, i);
	sprintf(text + len, "%s", tail);
	return text;
}

#endif /* TEST_CONFIG_H */
