/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "sl_wire.h"

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME  UINT64_C(0x100000001b3)

uint64_t
sl_wire_name_key(const char *name)
{
	uint64_t key = FNV_OFFSET;

	for (const uint8_t *p = (const uint8_t *)name; *p != '\0'; p++)
		key = (key ^ *p) * FNV_PRIME;
	return key;
}

uint64_t
sl_wire_name_key_len(const char *name, size_t len)
{
	uint64_t key = FNV_OFFSET;

	for (size_t i = 0; i < len; i++)
		key = (key ^ (uint8_t)name[i]) * FNV_PRIME;
	return key;
}

void
sl_wire_text_id(const void *text, size_t len, uint64_t *id_high, uint64_t *id_low)
{
	XXH128_hash_t hash = XXH3_128bits(text, len);

	*id_high = hash.high64;
	*id_low = hash.low64;
}

const char *
sl_wire_strerror(enum sl_wire_error error)
{
	switch (error) {
	case SL_WIRE_OK:
		return "ok";
	case SL_WIRE_SLOW:
		return "slow";
	case SL_WIRE_BAD_MAGIC:
		return "bad_magic";
	case SL_WIRE_MALFORMED:
		return "malformed";
	case SL_WIRE_MISSING_FIELD:
		return "missing_field";
	case SL_WIRE_BAD_PRIORITY:
		return "bad_priority";
	case SL_WIRE_TOO_MANY:
		return "too_many_messages";
	case SL_WIRE_NO_MEMORY:
		return "too_complex";
	case SL_WIRE_EMPTY:
		return "empty";
	}
	return "unknown";
}
