/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Which names are put into the journal, when again, and what is needed of it until then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sl_journal_names.h"

#define DISTANCE 1000

static struct sl_journal_names *names;
static uint64_t at; /* Where the next record stands. */

static int
set_up(void **state)
{
	at = 64;
	return sl_journal_names_create(10000, DISTANCE, &names);
}

static int
tear_down(void **state)
{
	sl_journal_names_destroy(names);
	return 0;
}

static uint64_t
add_bounded(uint64_t key, const char *text, bool is_bounded)
{
	return sl_journal_names_add(names,
		&(struct sl_journal_name){.key = key, .text = text, .len = (uint32_t)strlen(text)},
		is_bounded);
}

static uint64_t
add(uint64_t key, const char *text)
{
	return add_bounded(key, text, false);
}

/* Put in what is to be put in; @return keys, one decimal digit each */
static uint64_t
put(void)
{
	struct sl_journal_name name;
	uint64_t keys = 0;

	while (sl_journal_names_next(names, &name)) {
		keys = 10 * keys + name.key;
		sl_journal_names_noted(names);
	}
	return keys;
}

static void
commit(unsigned int nb)
{
	for (unsigned int i = 0; i < nb; i++) {
		const struct sl_record record = {.type = SL_RECORD_NAME, .position = at};

		sl_journal_names_durable(names, &record);
		at += 64;
	}
}

static void
test_each_is_put_in_once_and_known_when_durable(void **state)
{
	assert_int_equal(add(7, "till"), 1);
	assert_int_equal(add(8, "brunch"), 2);
	assert_int_equal(add(7, "till"), 1);
	assert_true(sl_journal_names_has_new(names));
	assert_int_equal(put(), 78);
	assert_false(sl_journal_names_has_new(names));
	assert_int_equal(put(), 0);
	assert_int_equal(sl_journal_names_known(names), 0);
	commit(1);
	assert_int_equal(sl_journal_names_known(names), 1);
	assert_int_equal(add(9, "supper"), 3);
	assert_int_equal(put(), 9);
	commit(1);
	assert_int_equal(sl_journal_names_known(names), 2);
	commit(1);
	assert_int_equal(sl_journal_names_known(names), 3);
	assert_int_equal(sl_journal_names_at(names, 3).len, 6);
	assert_memory_equal(sl_journal_names_at(names, 3).text, "supper", 6);
}

static void
test_all_of_before_is_needed_until_all_are_durable(void **state)
{
	assert_true(sl_journal_names_needed(names, at, false) == UINT64_MAX);
	add(1, "a");
	add(2, "b");
	assert_int_equal(sl_journal_names_needed(names, at, false), 0);
	put();
	commit(1);
	assert_int_equal(sl_journal_names_needed(names, at, false), 0);
	commit(1);
	assert_int_equal(sl_journal_names_needed(names, at, false), 64);
}

static void
test_they_are_put_in_again_when_the_stream_has_gone_on(void **state)
{
	add(1, "a");
	add(2, "b");
	put();
	commit(2);
	assert_int_equal(sl_journal_names_needed(names, at, false), 64);
	at = 64 + DISTANCE;
	assert_int_equal(sl_journal_names_needed(names, at, false), 64);
	assert_int_equal(put(), 0);
	assert_int_equal(sl_journal_names_needed(names, ++at, false), 64);
	/* Who waits for a new one does not wait for the others. */
	add(3, "c");
	assert_int_equal(put(), 312);
	commit(2);
	assert_int_equal(sl_journal_names_known(names), 3);
	assert_int_equal(sl_journal_names_needed(names, at, false), 64);
	commit(1);
	assert_int_equal(sl_journal_names_needed(names, at, false), 64 + DISTANCE + 1);
	assert_int_equal(put(), 0);
}

static void
test_with_many_names_it_goes_on_further(void **state)
{
	char text[8];

	for (uint64_t i = 1; i <= 1000; i++) {
		snprintf(text, sizeof(text), "n%u", (unsigned int)i);
		assert_int_equal(add(i << 32, text), i);
	}
	put();
	commit(1000);
	assert_int_equal(sl_journal_names_needed(names, at, false), 64);
	sl_journal_names_needed(names, 64 + 8 * 1000 * 48, false);
	assert_int_equal(put(), 0);
	sl_journal_names_needed(names, 64 + 8 * 1000 * 56 + 1, false);
	assert_true(put() != 0);
	assert_int_equal(sl_journal_names_known(names), 1000);
}

static void
test_a_full_journal_is_not_held_and_has_them_again_later(void **state)
{
	add(1, "a");
	add(2, "b");
	put();
	commit(2);
	assert_int_equal(sl_journal_names_needed(names, at, false), 64);
	assert_true(sl_journal_names_needed(names, at, true) == UINT64_MAX);
	assert_int_equal(put(), 0);
	at = 5000;
	assert_true(sl_journal_names_needed(names, at, false) == UINT64_MAX);
	assert_int_equal(put(), 12);
	/* Full again, in the middle of it. */
	commit(1);
	assert_true(sl_journal_names_needed(names, at, true) == UINT64_MAX);
	assert_true(sl_journal_names_needed(names, at, false) == UINT64_MAX);
	at = 6000;
	commit(1);
	assert_true(sl_journal_names_needed(names, at, false) == UINT64_MAX);
	at = 7000;
	assert_int_equal(put(), 12);
	commit(2);
	assert_int_equal(sl_journal_names_needed(names, at, false), 7000);
}

static void
test_bounded_ones_take_no_more_than_they_may(void **state)
{
	uint64_t nb = 0;

	while (add_bounded(nb + 1, "0123456789abcdef", true) != SL_JOURNAL_NAME_NONE)
		nb++;
	assert_in_range(nb, 10000 / 72, 10000 / 56);
	assert_int_equal(sl_journal_names_count(names), nb);
	assert_int_equal(add_bounded(nb, "0123456789abcdef", true), nb);
	assert_int_equal(add(nb + 1, "of the configuration"), nb + 1);
}

static void
test_a_recovery_keeps_what_somebody_needs(void **state)
{
	for (uint64_t key = 1; key <= 5; key++)
		add(key, "x");
	sl_journal_names_need(names, 4);
	sl_journal_names_need(names, 2);
	sl_journal_names_need(names, 77);
	sl_journal_names_prune(names);
	assert_int_equal(sl_journal_names_count(names), 2);
	assert_int_equal(add(2, "x"), 1);
	assert_int_equal(add(4, "x"), 2);
	assert_int_equal(add(1, "x"), 3);
	assert_int_equal(put(), 241);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_each_is_put_in_once_and_known_when_durable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_all_of_before_is_needed_until_all_are_durable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_they_are_put_in_again_when_the_stream_has_gone_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_with_many_names_it_goes_on_further, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_full_journal_is_not_held_and_has_them_again_later, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_bounded_ones_take_no_more_than_they_may, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_recovery_keeps_what_somebody_needs, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
