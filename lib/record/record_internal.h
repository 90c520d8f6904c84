/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef RECORD_INTERNAL_H
#define RECORD_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

/* What processors without an instruction for it use. */
uint32_t record_crc32c_table(uint32_t crc, const void *data, size_t len);

#endif /* RECORD_INTERNAL_H */
