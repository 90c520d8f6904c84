/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>

#include "record_internal.h"
#include "sl_record.h"

/* Castagnoli's polynomial 0x1EDC6F41, bits reversed. */
#define POLYNOMIAL UINT32_C(0x82f63b78)

/*
 * Eight bytes a step with eight tables: "slicing-by-8", M. Kounavis and F. Berry, Novel Table
 * Lookup-Based Algorithms for High-Performance CRC Generation, 2008.
 */
static uint32_t table[8][256];

__attribute__((constructor)) static void
fill_table(void)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t crc = byte;

		for (unsigned int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		table[0][byte] = crc;
	}
	for (unsigned int i = 1; i < 8; i++)
		for (unsigned int byte = 0; byte < 256; byte++)
			table[i][byte] = table[i - 1][byte] >> 8 ^
				table[0][table[i - 1][byte] & 0xff];
}

uint32_t
record_crc32c_table(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t v;

	crc = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&v, p, 8);
		v = rte_le_to_cpu_64(v) ^ crc;
		crc = table[7][v & 0xff] ^ table[6][v >> 8 & 0xff] ^ table[5][v >> 16 & 0xff] ^
			table[4][v >> 24 & 0xff] ^ table[3][v >> 32 & 0xff] ^
			table[2][v >> 40 & 0xff] ^ table[1][v >> 48 & 0xff] ^ table[0][v >> 56];
	}
	while (len-- > 0)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xff];
	return ~crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t
crc32c_sse42(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t v, c = ~crc;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&v, p, 8);
		c = _mm_crc32_u64(c, v);
	}
	/* Most records leave this over: their own checksum is not part of it. */
	if (len >= 4) {
		uint32_t half;

		memcpy(&half, p, 4);
		c = _mm_crc32_u32((uint32_t)c, half);
		len -= 4;
		p += 4;
	}
	while (len-- > 0)
		c = _mm_crc32_u8((uint32_t)c, *p++);
	return ~(uint32_t)c;
}

uint32_t
sl_record_crc32c(uint32_t crc, const void *data, size_t len)
{
	if (likely(__builtin_cpu_supports("sse4.2")))
		return crc32c_sse42(crc, data, len);
	return record_crc32c_table(crc, data, len);
}

#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

uint32_t
sl_record_crc32c(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t v;

	crc = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&v, p, 8);
		crc = __crc32cd(crc, v);
	}
	while (len-- > 0)
		crc = __crc32cb(crc, *p++);
	return ~crc;
}

#else

uint32_t
sl_record_crc32c(uint32_t crc, const void *data, size_t len)
{
	return record_crc32c_table(crc, data, len);
}

#endif
