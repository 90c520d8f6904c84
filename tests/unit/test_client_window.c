/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "test_rand.h"
#include "window.h"

#define SIZE_MAX_TRIED 100

/* The plainest model: an array, the oldest first. */
struct model {
	struct sl_wire_key keys[SIZE_MAX_TRIED];
	void *values[SIZE_MAX_TRIED];
	uint32_t nb;
};

static int
model_find(const struct model *m, const struct sl_wire_key *key)
{
	for (uint32_t i = 0; i < m->nb; i++) {
		if (memcmp(&m->keys[i], key, sizeof(*key)) == 0)
			return (int)i;
	}
	return -1;
}

static void
model_enter(struct model *m, const struct sl_wire_key *key, void *value, uint32_t size)
{
	if (m->nb == size) {
		m->nb--;
		memmove(m->keys, m->keys + 1, m->nb * sizeof(m->keys[0]));
		memmove(m->values, m->values + 1, m->nb * sizeof(m->values[0]));
	}
	m->keys[m->nb] = *key;
	m->values[m->nb++] = value;
}

static void
test_like_the_plainest_model(void **state)
{
	static char values[8];
	struct test_rand r;

	test_rand_init(&r, __func__);
	for (uint32_t round = 0; round < 100; round++) {
		uint32_t size = 1 + test_rand_below(&r, SIZE_MAX_TRIED);
		struct sl_window *w = sl_window_new(size, test_rand_u64(&r));
		struct model m = {.nb = 0};

		assert_non_null(w);
		for (uint32_t i = 0; i < 2000; i++) {
			struct sl_wire_key key = {.destination = test_rand_below(&r, 2),
				.source = test_rand_below(&r, 2),
				.id_high = test_rand_below(&r, 2),
				.id_low = test_rand_below(&r, size)};
			void *value = &values[test_rand_below(&r, 8)], *known = NULL;
			int at = model_find(&m, &key);

			if (test_rand_below(&r, 3) == 0) {
				sl_window_finish(w, &key);
				if (at >= 0)
					m.values[at] = NULL;
				continue;
			}
			assert_int_equal(sl_window_check(w, &key, value, &known), at >= 0);
			if (at >= 0)
				assert_ptr_equal(known, m.values[at]);
			else
				model_enter(&m, &key, value, size);
		}
		sl_window_free(w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_like_the_plainest_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
