/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sl_route.h"
#include "sl_wire.h"
#include "test_rand.h"

static const uint32_t three_levels[] = {1, 2, 3};

static struct sl_route_table *
new_table(const struct sl_route_params *params)
{
	size_t size = sl_route_memory_size(params);
	void *mem = aligned_alloc(64, (size + 63) & ~(size_t)63);

	assert_non_null(mem);
	memset(mem, 0, size);
	return sl_route_init(mem, params);
}

static struct sl_route_table *
new_plain_table(uint32_t nb_destinations)
{
	const struct sl_route_params params = {
		.nb_destinations = nb_destinations,
		.nb_classes = 3,
		.levels = three_levels,
	};

	return new_table(&params);
}

static struct sl_route_entry
entry_of(uint64_t key, uint32_t shard)
{
	return (struct sl_route_entry){.key = key, .shard = shard, .partitions = 1};
}

static void
test_names_are_found_and_others_not(void **state)
{
	static const uint32_t sizes[] = {1, 2, 3, 4, 5, 1000, 100000};
	char name[32];

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct sl_route_table *t = new_plain_table(sizes[s]);

		for (uint32_t i = 0; i < sizes[s]; i++) {
			snprintf(name, sizeof(name), "table%u", i);
			struct sl_route_entry e = entry_of(sl_wire_name_key(name), i);

			assert_null(sl_route_lookup(t, e.key));
			assert_int_equal(sl_route_add(t, &e), 0);
			assert_int_equal(sl_route_add(t, &e), -EEXIST);
		}
		for (uint32_t i = 0; i < 2 * sizes[s]; i++) {
			snprintf(name, sizeof(name), "table%u", i);
			const struct sl_route_entry *e;

			sl_route_prefetch(t, sl_wire_name_key(name));
			e = sl_route_lookup(t, sl_wire_name_key(name));
			if (i >= sizes[s]) {
				assert_null(e);
			} else {
				assert_non_null(e);
				assert_int_equal(e->shard, i);
			}
		}
		free(t);
	}
}

/* A table takes what it was made for and says so beyond; a search in a full one ends. */
static void
test_full_tables(void **state)
{
	static const uint64_t odd_keys[] = {0, 1, UINT64_MAX, UINT64_C(1) << 63};
	struct test_rand r;

	(void)state;
	test_rand_init(&r, "route full");
	alarm(60);
	for (uint32_t nb = 0; nb < 300; nb++) {
		struct sl_route_table *t = new_plain_table(nb);
		uint64_t *keys = calloc(nb + 1, sizeof(*keys));
		struct sl_route_entry e;

		for (uint32_t i = 0; i < nb; i++) {
			keys[i] = i < 4 ? odd_keys[i] : test_rand_u64(&r);
			e = entry_of(keys[i], i);
			assert_int_equal(sl_route_add(t, &e), 0);
		}
		for (uint32_t i = 0; i < 20; i++) {
			e = entry_of(test_rand_u64(&r), nb);
			assert_int_equal(sl_route_add(t, &e), -ENOSPC);
			assert_null(sl_route_lookup(t, e.key));
		}
		/* 0 is a key like others, and what free slots hold. */
		if (nb == 0)
			assert_null(sl_route_lookup(t, 0));
		for (uint32_t i = 0; i < nb; i++) {
			assert_int_equal(sl_route_lookup(t, keys[i])->shard, i);
			e = entry_of(keys[i], nb);
			assert_int_equal(sl_route_add(t, &e), -EEXIST);
		}
		free(keys);
		free(t);
	}
	alarm(0);
}

/* All keys have one home, the last slot, so that the probing goes around the end. */
static void
test_clustered_keys(void **state)
{
	struct sl_route_table *t = new_plain_table(100);
	uint64_t keys[120];
	struct test_rand r;
	uint32_t n = 0;

	(void)state;
	test_rand_init(&r, "route clusters");
	while (n < 120) {
		uint64_t key = test_rand_u64(&r);

		if (sl_route_slot(t, key) == t->mask)
			keys[n++] = key;
	}
	for (uint32_t i = 0; i < 100; i++) {
		struct sl_route_entry e = entry_of(keys[i], i);

		assert_int_equal(sl_route_add(t, &e), 0);
	}
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(sl_route_lookup(t, keys[i])->shard, i);
	for (uint32_t i = 100; i < 120; i++)
		assert_null(sl_route_lookup(t, keys[i]));
	free(t);
}

/* Levels as configured, and for each priority the class it has to become. */
static void
test_priorities_go_to_the_next_lower_class_there_is(void **state)
{
	static const struct {
		uint32_t nb;
		uint32_t levels[8];
		uint8_t class_of[9]; /* [0] is the default's. */
	} cases[] = {
		{1, {1}, {0, 0, 0, 0, 0, 0, 0, 0, 0}},
		{1, {8}, {0, 0, 0, 0, 0, 0, 0, 0, 0}},
		{3, {1, 2, 3}, {2, 0, 1, 2, 2, 2, 2, 2, 2}},
		{3, {2, 5, 8}, {1, 0, 0, 1, 1, 1, 2, 2, 2}},
		{2, {1, 8}, {1, 0, 1, 1, 1, 1, 1, 1, 1}},
		{8, {1, 2, 3, 4, 5, 6, 7, 8}, {5, 0, 1, 2, 3, 4, 5, 6, 7}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct sl_route_params params = {
			.nb_destinations = 1,
			.nb_classes = cases[i].nb,
			.levels = cases[i].levels,
		};
		struct sl_route_table *t = new_table(&params);
		struct sl_route_entry e = entry_of(1, 0);

		e.default_class = cases[i].class_of[0];
		for (uint32_t priority = 0; priority < SL_ROUTE_LEVELS; priority++)
			assert_int_equal(sl_route_classify(t, &e, 7, 8, priority),
				cases[i].class_of[priority]);
		free(t);
	}
}

static void
test_the_boost_ends_at_the_best_class(void **state)
{
	struct sl_route_table *t = new_plain_table(1);
	struct sl_route_entry e = entry_of(1, 0);

	(void)state;
	e.default_class = 2;
	for (unsigned int boost = 0; boost <= UINT8_MAX; boost++) {
		e.boost = (uint8_t)boost;
		assert_int_equal(sl_route_classify(t, &e, 0, 0, 0), boost < 2 ? 2 - boost : 0);
		assert_int_equal(sl_route_classify(t, &e, 0, 0, 1), 0);
		assert_int_equal(sl_route_classify(t, &e, 0, 0, 3), boost < 2 ? 2 - boost : 0);
	}
	free(t);
}

/* Does a rule match? Said once more, field by field. */
static bool
matches(const struct sl_route_rule *rule, uint64_t destination, uint64_t source, uint64_t type,
	uint32_t priority)
{
	if ((rule->match & SL_ROUTE_MATCH_SOURCE) != 0 && rule->source != source)
		return false;
	if ((rule->match & SL_ROUTE_MATCH_DESTINATION) != 0 && rule->destination != destination)
		return false;
	if ((rule->match & SL_ROUTE_MATCH_TYPE) != 0 && rule->type != type)
		return false;
	if ((rule->match & SL_ROUTE_MATCH_PRIORITY) != 0 && rule->priority != priority)
		return false;
	return true;
}

static void
test_the_first_rule_that_matches_sets_the_class(void **state)
{
	static const uint32_t levels[] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct sl_route_params params = {.nb_destinations = 1, .nb_classes = 8, .levels = levels};
	struct sl_route_rule rules[16];
	struct test_rand r;

	(void)state;
	test_rand_init(&r, "route rules");
	for (uint32_t round = 0; round < 20000; round++) {
		uint64_t source = test_rand_below(&r, 3), type = test_rand_below(&r, 3);
		uint32_t priority = (uint32_t)test_rand_below(&r, 9), want;
		struct sl_route_entry e = entry_of(test_rand_below(&r, 3), 0);
		struct sl_route_table *t;

		params.nb_rules = (uint32_t)test_rand_below(&r, 17);
		t = new_table(&params);
		e.default_class = (uint8_t)test_rand_below(&r, 8);
		e.boost = (uint8_t)test_rand_below(&r, 3);
		want = priority == 0 ? e.default_class : priority - 1;
		for (uint32_t i = params.nb_rules; i-- > 0;) {
			test_rand_fill(&r, &rules[i], sizeof(rules[i]));
			rules[i].source %= 3;
			rules[i].destination %= 3;
			rules[i].type %= 3;
			rules[i].priority %= 9;
			rules[i].match &= 0xf;
			rules[i].class_index &= 7;
			sl_route_set_rule(t, i, &rules[i]);
			if (matches(&rules[i], e.key, source, type, priority))
				want = rules[i].class_index;
		}
		want = want > e.boost ? want - e.boost : 0;
		assert_int_equal(sl_route_classify(t, &e, source, type, priority), want);
		free(t);
	}
}

/* A source stays in one partition; all partitions are used; each lies in the destination's own. */
static void
test_partitions_split_by_source(void **state)
{
	struct sl_route_entry e = entry_of(1, 40);
	uint32_t hits[8] = {0};
	char name[32];

	(void)state;
	assert_int_equal(sl_route_shard(&e, 12345), 40);
	e.partitions = 8;
	for (uint32_t i = 0; i < 8000; i++) {
		snprintf(name, sizeof(name), "server%u", i);
		uint64_t source = sl_wire_name_key(name);
		uint32_t shard = sl_route_shard(&e, source);

		assert_in_range(shard, 40, 47);
		assert_int_equal(sl_route_shard(&e, source), shard);
		hits[shard - 40]++;
	}
	for (uint32_t p = 0; p < 8; p++)
		assert_in_range(hits[p], 800, 1200);
}

static void
test_shards_are_dealt_to_all_workers(void **state)
{
	(void)state;
	for (uint32_t nb_workers = 1; nb_workers < 10; nb_workers++) {
		uint32_t of_worker[10] = {0};

		for (uint32_t shard = 0; shard < 1000 * nb_workers; shard++) {
			uint32_t worker = sl_route_worker(shard, nb_workers);

			assert_true(worker < nb_workers);
			of_worker[worker]++;
		}
		for (uint32_t w = 0; w < nb_workers; w++)
			assert_int_equal(of_worker[w], 1000);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_found_and_others_not),
		cmocka_unit_test(test_full_tables),
		cmocka_unit_test(test_clustered_keys),
		cmocka_unit_test(test_priorities_go_to_the_next_lower_class_there_is),
		cmocka_unit_test(test_the_boost_ends_at_the_best_class),
		cmocka_unit_test(test_the_first_rule_that_matches_sets_the_class),
		cmocka_unit_test(test_partitions_split_by_source),
		cmocka_unit_test(test_shards_are_dealt_to_all_workers),
	};

	return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
