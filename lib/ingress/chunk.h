/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef CHUNK_H
#define CHUNK_H

/**
 * @file
 * Bytes rendered once and sent to many. Short ones are copied into each client's output, which is
 * cheaper than a reference and its place in writev(); long ones are shared. One thread's.
 */

#include "gateway.h"

/* From this length on a chunk is shared instead of copied. */
#define GW_CHUNK_SHARED 4096u

struct gw_chunk {
	uint32_t refs;
	size_t len;
	uint8_t bytes[];
};

#endif /* CHUNK_H */
