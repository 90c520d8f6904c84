/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TEST_RAND_H
#define TEST_RAND_H

/*
 * Randomness for property tests: another seed each run, printed, and settable with
 * SLUICE_TEST_SEED to repeat a run. The generator is splitmix64 (S. Vigna, public domain).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct test_rand {
	uint64_t state;
};

static inline void
test_rand_init(struct test_rand *r, const char *test)
{
	const char *given = getenv("SLUICE_TEST_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	r->state = given != NULL ? strtoull(given, NULL, 0)
				 : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	printf("# %s: SLUICE_TEST_SEED=%#llx\n", test, (unsigned long long)r->state);
	fflush(stdout);
}

static inline uint64_t
test_rand_u64(struct test_rand *r)
{
	uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Uniform in 0 .. bound - 1. */
static inline uint64_t
test_rand_below(struct test_rand *r, uint64_t bound)
{
	return (uint64_t)(((unsigned __int128)test_rand_u64(r) * bound) >> 64);
}

static inline void
test_rand_fill(struct test_rand *r, void *to, size_t len)
{
	uint8_t *p = to;

	while (len-- > 0)
		*p++ = (uint8_t)test_rand_u64(r);
}

#endif /* TEST_RAND_H */
