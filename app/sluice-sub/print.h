/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef PRINT_H
#define PRINT_H

/**
 * @file
 * A message as text: by a format, or as a line of JSON.
 */

#include <stdbool.h>
#include <stdio.h>

#include "sluice.h"

/** The names that keys stand for; terminated by NULL. */
struct print_names {
	const char **names;
	uint64_t *keys;
	unsigned int nb;
};

/** Enter a name. @return false: no memory */
bool print_add_name(struct print_names *names, const char *name);

/** Is it a format? @param[out] bad  the letter that is none */
bool print_check_format(const char *format, char *bad);

/**
 * Write a message by a format: %p payload, %x payload in hex, %l its length, %d destination, %s
 * source, %t type, %c class, %i id in hex, %I id as a text, %T and %N timestamp, %S session, %q
 * sequence, %e epoch, %a peer, %%, \n, \t, \\, \0.
 */
void print_format(FILE *out, const char *format, const struct print_names *names,
	const struct sluice_delivery *d);

/** Can print_json() write this name? It is UTF-8. */
bool print_json_can(const char *name);

/** Write a message as a line of JSON. @return false: it is not written; errno */
bool print_json(FILE *out, const struct print_names *names, const struct sluice_delivery *d);

#endif /* PRINT_H */
