/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef BITS_H
#define BITS_H

/*
 * A bit a sequence, in a circle of whole words that is at least as large as the window: what is set
 * lies within one window, so that no two sequences share a bit.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

static inline uint32_t
bits_circle(uint32_t window)
{
	return window < 64 ? 64 : window;
}

/* Bytes, in whole cache lines: what stands behind them begins with one. */
static inline uint32_t
bits_size(uint32_t window)
{
	return RTE_ALIGN_CEIL(bits_circle(window) / 8, (uint32_t)RTE_CACHE_LINE_SIZE);
}

static inline bool
bits_test(const uint64_t *words, uint64_t mask, uint64_t sequence)
{
	uint64_t at = sequence & mask;

	return (words[at >> 6] >> (at & 63) & 1) != 0;
}

static inline void
bits_set(uint64_t *words, uint64_t mask, uint64_t sequence)
{
	uint64_t at = sequence & mask;

	words[at >> 6] |= UINT64_C(1) << (at & 63);
}

/* Those of 64 sequences, the first of them lowest. */
static inline uint64_t
bits_read(const uint64_t *words, uint64_t mask, uint64_t first)
{
	uint64_t at = first & mask;
	uint64_t word = words[at >> 6] >> (at & 63);

	if ((at & 63) != 0)
		word |= words[((at + 64) & mask) >> 6] << (64 - (at & 63));
	return word;
}

/* Clear those of n sequences, n <= 64. */
static inline void
bits_clear(uint64_t *words, uint64_t mask, uint64_t first, uint32_t n)
{
	uint64_t at = first & mask;
	uint64_t ones = n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;

	words[at >> 6] &= ~(ones << (at & 63));
	if ((at & 63) != 0)
		words[((at + 64) & mask) >> 6] &= ~(ones >> (64 - (at & 63)));
}

/* How many are set in a row, and clear them. */
static inline uint64_t
bits_take_run(uint64_t *words, uint64_t mask, uint64_t first)
{
	uint64_t run = 0, word;
	uint32_t n;

	do {
		word = ~bits_read(words, mask, first + run);
		n = word == 0 ? 64 : (uint32_t)__builtin_ctzll(word);
		bits_clear(words, mask, first + run, n);
		run += n;
	} while (n == 64);
	return run;
}

#endif /* BITS_H */
