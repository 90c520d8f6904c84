/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rx_turn.h"

#define COST_MAX 100000

/* Turns of both sides with what they cost; @return the part of the time that gateways got. */
static double
run(struct rx_turn *turn, unsigned int nb, bool wire_has, bool wire_is_full, uint64_t wire_cost,
	bool gateways_have, uint64_t gateways_cost)
{
	double spent[RX_SIDES] = {0};

	for (unsigned int i = 0; i < nb; i++) {
		enum rx_side side = rx_turn_first(turn);

		if (side == RX_WIRE && !wire_has)
			side = RX_GATEWAYS;
		else if (side == RX_GATEWAYS && !gateways_have)
			side = RX_WIRE;
		rx_turn_take(turn, side, wire_is_full);
		rx_turn_cost(turn, side == RX_WIRE ? wire_cost : gateways_cost);
		spent[side] += (double)(side == RX_WIRE ? wire_cost : gateways_cost);
	}
	return spent[RX_GATEWAYS] / (spent[RX_WIRE] + spent[RX_GATEWAYS]);
}

static void
test_share_while_the_wire_waits(void **state)
{
	static const uint64_t costs[] = {100, 1000, 5000, 20000, COST_MAX};

	(void)state;
	for (size_t w = 0; w < 5; w++) {
		for (size_t g = 0; g < 5; g++) {
			struct rx_turn turn = {.cost_max = COST_MAX};
			double share = run(&turn, 1000000, true, true, costs[w], true, costs[g]);

			/* They have every other turn at most. */
			if (RX_WIRE_PARTS * costs[g] >= costs[w])
				assert_true(share > 0.9 / (1 + RX_WIRE_PARTS));
			assert_true(share < 1.1 / (1 + RX_WIRE_PARTS));
		}
	}
}

static void
test_turns_while_it_does_not(void **state)
{
	struct rx_turn turn = {.cost_max = COST_MAX};

	(void)state;
	assert_true(run(&turn, 1000, true, false, 1000, true, 1000) == 0.5);
	assert_true(run(&turn, 1000, false, false, 1000, true, 1000) == 1.0);
	assert_true(run(&turn, 1000, true, true, 1000, false, 1000) == 0.0);
}

static void
test_the_past_weighs_little(void **state)
{
	struct rx_turn turn = {.cost_max = COST_MAX};

	(void)state;
	/* Gateways alone, for long: then they get their share after COST_MAX of them at most. */
	run(&turn, 100000, false, false, 1000, true, 50000);
	assert_true(
		run(&turn, RX_WIRE_PARTS * COST_MAX / 1000, true, true, 1000, true, 1000) < 0.01);
	assert_true(run(&turn, 9000, true, true, 1000, true, 1000) > 0.9 / (1 + RX_WIRE_PARTS));
	/* The wire alone, for long: no more than a turn is saved. */
	run(&turn, 100000, true, true, 1000, false, 0);
	assert_true(run(&turn, 10 * RX_WIRE_PARTS, true, true, 1000, true, 1000) <
		1.3 / (1 + RX_WIRE_PARTS));
}

static void
test_interrupted_turn_gives_no_more(void **state)
{
	struct rx_turn turn = {.cost_max = COST_MAX};

	(void)state;
	rx_turn_take(&turn, RX_WIRE, true);
	rx_turn_cost(&turn, UINT64_MAX);
	assert_true(turn.credit <= COST_MAX / RX_WIRE_PARTS);
	rx_turn_take(&turn, RX_GATEWAYS, true);
	rx_turn_cost(&turn, UINT64_MAX);
	assert_true(turn.credit >= -COST_MAX);
}

static void
test_a_queue_without_more_waits(void **state)
{
	const uint64_t hz = RX_LOOKS_PER_S * UINT64_C(1000);
	uint16_t most = 0;

	(void)state;
	assert_true(rx_queue_due(0, 64, &most, 7, hz) == 1000);
	assert_true(rx_queue_due(64, 64, &most, 7, hz) == 0);
	assert_true(rx_queue_due(63, 64, &most, 7, hz) == 1000);
	assert_true(rx_queue_due(4, 4, &most, 7, hz) == 0);
	/* Whenever it was looked at, as all others that wait. */
	assert_true(rx_queue_due(3, 64, &most, 999, hz) == 1000);
	assert_true(rx_queue_due(3, 64, &most, 1000, hz) == 2000);
}

/* What its driver gives at once is learnt from what it gave. */
static void
test_a_queue_that_gives_all_its_driver_can_does_not_wait(void **state)
{
	const uint64_t hz = RX_LOOKS_PER_S * UINT64_C(1000);
	uint16_t most = 0;

	(void)state;
	assert_true(rx_queue_due(5, 64, &most, 7, hz) == 0);
	assert_true(rx_queue_due(32, 64, &most, 7, hz) == 0);
	assert_true(rx_queue_due(31, 64, &most, 7, hz) == 1000);
	assert_true(rx_queue_due(32, 64, &most, 7, hz) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_share_while_the_wire_waits),
		cmocka_unit_test(test_turns_while_it_does_not),
		cmocka_unit_test(test_the_past_weighs_little),
		cmocka_unit_test(test_interrupted_turn_gives_no_more),
		cmocka_unit_test(test_a_queue_without_more_waits),
		cmocka_unit_test(test_a_queue_that_gives_all_its_driver_can_does_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
