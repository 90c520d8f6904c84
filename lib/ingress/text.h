/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>

/* A part of what a client has sent. Not terminated. */
struct gw_text {
	const char *at; /* NULL: there is none. */
	size_t len;
};

#endif /* TEXT_H */
