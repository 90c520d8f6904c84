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

#include "sl_policy.h"
#include "test_rand.h"

#define NB_MAX 64

struct rig {
	struct sl_policy policy;
	struct sl_policy_backend backends[NB_MAX];
	uint32_t weights[NB_MAX];
	uint32_t nb;
	bool is_away[NB_MAX];
	uint32_t shares[NB_MAX];
	uint64_t turns[NB_MAX];
	uint32_t questions;
};

static uint32_t
share_of(void *arg, uint32_t index)
{
	struct rig *rig = arg;

	assert_true(index < rig->nb);
	rig->questions++;
	return rig->is_away[index] ? 0 : rig->shares[index];
}

static void
rig_init(struct rig *rig, const struct sl_policy_ops *ops, const uint32_t *weights, uint32_t nb)
{
	/* The library may not count on the memory being zero. */
	memset(rig, 0xa5, sizeof(*rig));
	memset(rig->is_away, 0, sizeof(rig->is_away));
	for (uint32_t i = 0; i < NB_MAX; i++)
		rig->shares[i] = SL_POLICY_SHARE_ONE;
	memset(rig->turns, 0, sizeof(rig->turns));
	memcpy(rig->weights, weights, nb * sizeof(*weights));
	rig->nb = nb;
	sl_policy_init(&rig->policy, ops, rig->backends, nb, weights);
}

static int
choose(struct rig *rig)
{
	int index = sl_policy_choose(&rig->policy, share_of, rig);

	assert_in_range(index + 1, 0, rig->nb);
	if (index >= 0) {
		assert_false(rig->is_away[index]);
		rig->turns[index]++;
	}
	return index;
}

static const uint32_t equal_weights[NB_MAX] = {[0 ... NB_MAX - 1] = 1};

static void
test_policies_are_found_by_name(void **state)
{
	(void)state;
	assert_ptr_equal(sl_policy_find("round-robin"), &sl_policy_round_robin);
	assert_ptr_equal(sl_policy_find("weighted-round-robin"), &sl_policy_weighted_round_robin);
	assert_null(sl_policy_find("round"));
	assert_null(sl_policy_find(""));
	for (uint32_t i = 0; sl_policies[i] != NULL; i++)
		assert_ptr_equal(sl_policy_find(sl_policies[i]->name), sl_policies[i]);
}

/* Nobody there: -1, at once, and as if nothing had been asked. */
static void
test_nobody_eligible(void **state)
{
	static const uint32_t weights[] = {3, 1, 2};
	struct rig rig;

	(void)state;
	for (uint32_t p = 0; sl_policies[p] != NULL; p++) {
		int next[6];

		rig_init(&rig, sl_policies[p], weights, 3);
		for (uint32_t i = 0; i < 6; i++)
			next[i] = choose(&rig);
		rig_init(&rig, sl_policies[p], weights, 3);
		for (uint32_t i = 0; i < 6; i++) {
			memset(rig.is_away, true, sizeof(rig.is_away));
			rig.questions = 0;
			assert_int_equal(choose(&rig), -1);
			assert_int_equal(rig.questions, 3);
			memset(rig.is_away, false, sizeof(rig.is_away));
			assert_int_equal(choose(&rig), next[i]);
		}
	}
}

static void
test_round_robin_is_in_turn(void **state)
{
	struct rig rig;

	(void)state;
	for (uint32_t nb = 1; nb <= NB_MAX; nb++) {
		rig_init(&rig, &sl_policy_round_robin, equal_weights, nb);
		rig.questions = 0;
		for (uint32_t i = 0; i < 10 * nb; i++)
			assert_int_equal(choose(&rig), i % nb);
		assert_int_equal(rig.questions, 10 * nb);
	}
}

/* Always the next that is there, after the one that was last. */
static void
test_round_robin_passes_over_who_is_away(void **state)
{
	struct test_rand r;
	struct rig rig;

	(void)state;
	test_rand_init(&r, "round robin");
	for (uint32_t nb = 1; nb <= NB_MAX; nb++) {
		uint32_t last = nb - 1;

		rig_init(&rig, &sl_policy_round_robin, equal_weights, nb);
		for (uint32_t step = 0; step < 500; step++) {
			uint32_t want = (last + 1) % nb;

			rig.is_away[test_rand_below(&r, nb)] ^= true;
			while (rig.is_away[want] && want != last)
				want = (want + 1) % nb;
			rig.questions = 0;
			if (rig.is_away[want]) {
				assert_int_equal(choose(&rig), -1);
			} else {
				assert_int_equal(choose(&rig), want);
				last = want;
			}
			assert_true(rig.questions <= nb);
		}
	}
}

/* In every run of as many turns as the weights add up to, each has its weight, within one. */
static void
check_shares(const uint32_t *weights, uint32_t nb, uint32_t cycles)
{
	static uint8_t history[8 * NB_MAX * 65536];
	uint64_t total = 0, length, heaviest = 0, second = 0, run = 0;
	struct rig rig;

	rig_init(&rig, &sl_policy_weighted_round_robin, weights, nb);
	for (uint32_t i = 0; i < nb; i++) {
		total += weights[i];
		if (weights[i] > heaviest) {
			second = heaviest;
			heaviest = weights[i];
		} else if (weights[i] > second) {
			second = weights[i];
		}
	}
	length = total * cycles;
	assert_true(length <= sizeof(history));
	for (uint64_t t = 0; t < length; t++) {
		int index = choose(&rig);

		assert_true(index >= 0);
		history[t] = (uint8_t)index;
		run = t > 0 && history[t - 1] == index ? run + 1 : 1;
		/* Spread evenly: the second has its turn between those of the heaviest. */
		if (nb > 1)
			assert_true(run <= heaviest / second + 2);
		if (t >= total)
			rig.turns[history[t - total]]--;
		for (uint32_t i = 0; t + 1 >= total && i < nb; i++) {
			if (rig.turns[i] + 1 < weights[i] || rig.turns[i] > weights[i] + 1)
				fail_msg("backend %u of weight %u had %llu of %llu turns", i,
					weights[i], (unsigned long long)rig.turns[i],
					(unsigned long long)total);
		}
	}
}

static void
test_weighted_shares_are_exact_in_every_cycle(void **state)
{
	static const uint32_t fixed[][4] = {{1, 0}, {65535, 0}, {1, 1, 0}, {1, 2, 3, 4},
		{5, 1, 1, 0}, {7, 7, 7, 1}, {65535, 1, 0}, {65535, 65534, 0}, {63000, 61000, 0},
		{30000, 20000, 1, 0}, {1000, 999, 998, 997}, {65535, 32768, 3, 1}};
	uint32_t weights[NB_MAX], nb;
	struct test_rand r;

	(void)state;
	test_rand_init(&r, "weighted shares");
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		for (nb = 0; nb < 4 && fixed[i][nb] != 0; nb++)
			weights[nb] = fixed[i][nb];
		check_shares(weights, nb, 4);
	}
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t heaviest = 1u << (1 + round % 12);

		nb = 1 + (uint32_t)test_rand_below(&r, 16);
		for (uint32_t i = 0; i < nb; i++)
			weights[i] = 1 + (uint32_t)test_rand_below(&r, heaviest);
		check_shares(weights, nb, 4);
	}
}

/* Equal weights are plain round robin. */
static void
test_weighted_ties_are_in_turn(void **state)
{
	struct rig rig;

	(void)state;
	for (uint32_t nb = 1; nb <= NB_MAX; nb++) {
		rig_init(&rig, &sl_policy_weighted_round_robin, equal_weights, nb);
		for (uint32_t i = 0; i < 10 * nb; i++)
			assert_int_equal(choose(&rig), i % nb);
	}
}

/* Who was away has its share from then on, and not what it missed. */
static void
test_weighted_return_is_no_burst(void **state)
{
	struct test_rand r;
	struct rig rig;

	(void)state;
	test_rand_init(&r, "weighted return");
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t nb = 2 + (uint32_t)test_rand_below(&r, 8), weights[NB_MAX], total = 0;
		uint32_t away = (uint32_t)test_rand_below(&r, nb);
		uint64_t absence = test_rand_below(&r, 20000), slack = 0;

		for (uint32_t i = 0; i < nb; i++) {
			weights[i] = 1 + (uint32_t)test_rand_below(&r, 100);
			total += weights[i];
		}
		rig_init(&rig, &sl_policy_weighted_round_robin, weights, nb);
		for (uint64_t t = test_rand_below(&r, 1000); t > 0; t--)
			choose(&rig);
		rig.is_away[away] = true;
		for (uint64_t t = 0; t < absence; t++)
			choose(&rig);
		rig.is_away[away] = false;
		memset(rig.turns, 0, sizeof(rig.turns));
		for (uint32_t t = 1; t <= 10 * total; t++) {
			choose(&rig);
			/* Its share, as if each of the others had just had a turn. */
			slack = (uint64_t)nb * weights[away] / total + 2;
			assert_true(rig.turns[away] <= (uint64_t)t * weights[away] / total + slack);
		}
		assert_true(rig.turns[away] + slack >= 10 * weights[away]);
	}
}

/* As long as nobody else is there, one takes all; then the shares are back. */
static void
test_weighted_takes_who_is_there(void **state)
{
	static const uint32_t weights[] = {10, 1, 5};
	struct rig rig;

	(void)state;
	rig_init(&rig, &sl_policy_weighted_round_robin, weights, 3);
	rig.is_away[0] = rig.is_away[2] = true;
	for (uint32_t i = 0; i < 1000000; i++)
		assert_int_equal(choose(&rig), 1);
	rig.is_away[0] = rig.is_away[2] = false;
	memset(rig.turns, 0, sizeof(rig.turns));
	for (uint32_t i = 0; i < 1600; i++)
		choose(&rig);
	assert_in_range(rig.turns[0], 999, 1001);
	assert_in_range(rig.turns[1], 99, 101);
	assert_in_range(rig.turns[2], 499, 501);
}

/* The virtual clock of a long run comes around; the shares stay. */
static void
test_weighted_clock_comes_around(void **state)
{
	static const uint32_t weights[] = {1, 3, 4};
	struct rig rig;

	(void)state;
	for (uint32_t away = 0; away < 3; away++) {
		rig_init(&rig, &sl_policy_weighted_round_robin, weights, 3);
		rig.policy.now = UINT64_MAX - rig.backends[0].stride * UINT64_C(100);
		for (uint32_t i = 0; i < 3; i++)
			rig.backends[i].pass = rig.policy.now + rig.backends[i].stride;
		rig.is_away[away] = true;
		for (uint32_t i = 0; i < 1600; i++)
			choose(&rig);
		rig.is_away[away] = false;
		memset(rig.turns, 0, sizeof(rig.turns));
		for (uint32_t i = 0; i < 800; i++)
			choose(&rig);
		for (uint32_t i = 0; i < 3; i++)
			assert_in_range(rig.turns[i], 100 * weights[i] - 1, 100 * weights[i] + 1);
	}
}

/* With parts of shares, turns are in proportion to weight times share, over any long run. */
static void
check_proportions(struct rig *rig, const uint64_t *parts, uint64_t turns, double slack)
{
	uint64_t total = 0;

	memset(rig->turns, 0, sizeof(rig->turns));
	for (uint32_t i = 0; i < rig->nb; i++)
		total += parts[i];
	for (uint64_t t = 1; t <= turns; t++) {
		assert_true(choose(rig) >= 0);
		for (uint32_t i = 0; i < rig->nb; i++) {
			double want = (double)t * (double)parts[i] / (double)total;

			if ((double)rig->turns[i] < want - slack ||
				(double)rig->turns[i] > want + slack)
				fail_msg("backend %u had %llu of %llu turns, not %.1f", i,
					(unsigned long long)rig->turns[i], (unsigned long long)t,
					want);
		}
	}
}

static void
test_weighted_shares_of_weights(void **state)
{
	uint32_t weights[NB_MAX], nb;
	uint64_t parts[NB_MAX];
	struct test_rand r;
	struct rig rig;

	(void)state;
	test_rand_init(&r, "shares of weights");
	for (uint32_t round = 0; round < 300; round++) {
		nb = 2 + (uint32_t)test_rand_below(&r, 6);
		for (uint32_t i = 0; i < nb; i++)
			weights[i] = 1 + (uint32_t)test_rand_below(&r, 100);
		rig_init(&rig, &sl_policy_weighted_round_robin, weights, nb);
		/* Shares go up and down: the proportions follow at once. */
		for (uint32_t change = 0; change < 4; change++) {
			for (uint32_t i = 0; i < nb; i++) {
				rig.shares[i] = 1 + (uint32_t)test_rand_below(&r, 256);
				parts[i] = (uint64_t)weights[i] * rig.shares[i];
			}
			check_proportions(&rig, parts, 3000, nb);
		}
	}
}

/* One in two, three and 256 turns of the others; and two that have only a part each. */
static void
test_round_robin_shares(void **state)
{
	static const uint32_t shares[][4] = {{256, 128, 0}, {256, 256, 86, 0}, {256, 1, 0},
		{256, 1, 128, 64}, {128, 128, 0}, {1, 2, 3, 0}, {64, 128, 255, 1}, {255, 256, 0}};
	uint64_t parts[4];
	struct rig rig;
	uint32_t nb;

	(void)state;
	for (size_t k = 0; k < sizeof(shares) / sizeof(shares[0]); k++) {
		for (nb = 0; nb < 4 && shares[k][nb] != 0; nb++)
			parts[nb] = shares[k][nb];
		rig_init(&rig, &sl_policy_round_robin, equal_weights, nb);
		memcpy(rig.shares, shares[k], nb * sizeof(uint32_t));
		check_proportions(&rig, parts, 5000, 2);
	}
}

static void
test_whoever_is_alone_gets_every_message(void **state)
{
	static const uint32_t weights[] = {10, 1, 5};
	struct rig rig;

	(void)state;
	for (uint32_t p = 0; sl_policies[p] != NULL; p++) {
		rig_init(&rig, sl_policies[p], weights, 3);
		rig.is_away[0] = rig.is_away[2] = true;
		for (rig.shares[1] = 1; rig.shares[1] <= SL_POLICY_SHARE_ONE; rig.shares[1]++) {
			for (uint32_t i = 0; i < 10; i++) {
				rig.questions = 0;
				assert_int_equal(choose(&rig), 1);
				assert_true(rig.questions <= 3 * rig.nb);
			}
		}
	}
}

/* Other backends and weights, again and again: nobody's place is lost, no turn given twice. */
static void
test_weights_change_on_the_way(void **state)
{
	struct sl_policy_backend other[NB_MAX];
	uint32_t from[NB_MAX], nb = 5, before;
	struct sl_policy next;
	double owed[NB_MAX] = {0};
	struct test_rand r;
	struct rig rig;

	(void)state;
	test_rand_init(&r, "weights change");
	rig_init(&rig, &sl_policy_weighted_round_robin, (const uint32_t[]){5, 4, 3, 2, 1}, nb);
	for (uint32_t change = 0; change < 20000; change++) {
		uint32_t weights[NB_MAX], total = 0;
		int index;

		for (uint32_t i = 0; i < nb; i++) {
			weights[i] = 1 + (uint32_t)test_rand_below(&r, 20);
			total += weights[i];
			from[i] = i;
		}
		sl_policy_init(&next, &sl_policy_weighted_round_robin, other, nb, weights);
		sl_policy_carry(&next, &rig.policy, from);
		memcpy(rig.backends, other, sizeof(other));
		rig.policy = next;
		rig.policy.backends = rig.backends;
		for (uint64_t t = test_rand_below(&r, 4); t > 0; t--) {
			index = choose(&rig);
			for (uint32_t i = 0; i < nb; i++)
				owed[i] += (double)weights[i] / total - (i == (uint32_t)index);
		}
	}
	for (uint32_t i = 0; i < nb; i++)
		assert_true(owed[i] > -100 && owed[i] < 100);
	/* Round robin: whose turn it was, or who came behind. */
	for (before = 0; before < 5; before++) {
		rig_init(&rig, &sl_policy_round_robin, equal_weights, 5);
		for (uint32_t i = 0; i < before; i++)
			choose(&rig);
		/* 2 is gone, a new one is in front, and the rest the other way around. */
		memcpy(from, (const uint32_t[]){SL_POLICY_NEW, 4, 3, 1, 0}, 5 * sizeof(from[0]));
		sl_policy_init(&next, &sl_policy_round_robin, other, 5, equal_weights);
		sl_policy_carry(&next, &rig.policy, from);
		assert_int_equal(sl_policy_choose(&next, share_of, &rig),
			((const int[]){4, 3, 2, 2, 1})[before]);
	}
}

/* Of another policy, and of none before, nothing is taken over. */
static void
test_another_policy_begins_anew(void **state)
{
	struct sl_policy_backend other[2];
	static const uint32_t from[] = {0, 1};
	struct sl_policy next, none;
	struct rig rig;

	(void)state;
	memset(&none, 0, sizeof(none));
	rig_init(&rig, &sl_policy_round_robin, equal_weights, 2);
	assert_int_equal(choose(&rig), 0);
	sl_policy_init(&next, &sl_policy_weighted_round_robin, other, 2, equal_weights);
	sl_policy_carry(&next, &rig.policy, from);
	assert_int_equal(sl_policy_choose(&next, share_of, &rig), 0);
	sl_policy_init(&next, &sl_policy_round_robin, other, 2, equal_weights);
	sl_policy_carry(&next, &none, from);
	assert_int_equal(sl_policy_choose(&next, share_of, &rig), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policies_are_found_by_name),
		cmocka_unit_test(test_nobody_eligible),
		cmocka_unit_test(test_round_robin_is_in_turn),
		cmocka_unit_test(test_round_robin_passes_over_who_is_away),
		cmocka_unit_test(test_weighted_shares_are_exact_in_every_cycle),
		cmocka_unit_test(test_weighted_ties_are_in_turn),
		cmocka_unit_test(test_weighted_return_is_no_burst),
		cmocka_unit_test(test_weighted_takes_who_is_there),
		cmocka_unit_test(test_weighted_clock_comes_around),
		cmocka_unit_test(test_weighted_shares_of_weights),
		cmocka_unit_test(test_round_robin_shares),
		cmocka_unit_test(test_whoever_is_alone_gets_every_message),
		cmocka_unit_test(test_weights_change_on_the_way),
		cmocka_unit_test(test_another_policy_begins_anew),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
