/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stream.h"

static void
add(struct stream *stream, uint64_t first, uint64_t last)
{
	assert_int_equal(stream_add_done(stream, &(struct range){7, first, last}), 0);
}

static void
test_the_base_is_what_is_there_without_a_gap(void **state)
{
	const struct resume nothing = {.nb_bases = 0};
	struct stream stream;

	(void)state;
	assert_int_equal(stream_begin(&stream, 7, 100, &nothing), 0);
	add(&stream, 300, 400);
	add(&stream, 200, 250);
	assert_int_equal(stream.base, 100);
	assert_true(stream_is_done(&stream, 200) && stream_is_done(&stream, 399));
	assert_false(stream_is_done(&stream, 250) || stream_is_done(&stream, 400));
	add(&stream, 100, 200);
	assert_int_equal(stream.base, 250);
	assert_true(stream_needs_base(&stream, stream.base));
	add(&stream, 250, 300);
	assert_int_equal(stream.base, 400);
	assert_int_equal(stream.nb_done, 0);
	stream_free(&stream);
}

static void
test_it_goes_on_where_the_database_says(void **state)
{
	struct range ranges[] = {{7, 150, 160}, {8, 100, 900}, {7, 100, 150}, {7, 200, 210}};
	struct outcome earlies[] = {
		{.ref = sl_record_ref_of(8, 10)}, {.ref = sl_record_ref_of(7, 170)}};
	const struct resume resume = {
		.ranges = ranges, .nb_ranges = 4, .earlies = earlies, .nb_earlies = 2};
	struct stream stream;

	(void)state;
	assert_int_equal(stream_begin(&stream, 7, 100, &resume), 0);
	assert_int_equal(stream.base, 160);
	assert_int_equal(stream.cut, 160);
	assert_int_equal(stream.noted, 100);
	assert_int_equal(stream.early, 170);
	assert_true(stream_is_done(&stream, 205));
	stream_free(&stream);
}

static void
test_an_outcome_behind_the_base_needs_one_more(void **state)
{
	const struct resume nothing = {.nb_bases = 0};
	struct stream stream;

	(void)state;
	assert_int_equal(stream_begin(&stream, 7, 100, &nothing), 0);
	assert_false(stream_needs_base(&stream, 100));
	/* Its message is yet to come: the base that goes past it will do. */
	stream_note_early(&stream, 100);
	assert_false(stream_needs_base(&stream, 100));
	/* It came, and its base was on its way before the outcome was there. */
	stream_send_base(&stream, 200);
	stream.base = stream.noted = 200;
	assert_false(stream_needs_base(&stream, 200));
	stream_note_early(&stream, 150);
	stream_note_early(&stream, 180);
	assert_true(stream_needs_base(&stream, 200));
	stream_send_base(&stream, 150);
	assert_true(stream_needs_base(&stream, 200));
	stream_send_base(&stream, 200);
	assert_false(stream_needs_base(&stream, 200));
	stream_free(&stream);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_base_is_what_is_there_without_a_gap),
		cmocka_unit_test(test_it_goes_on_where_the_database_says),
		cmocka_unit_test(test_an_outcome_behind_the_base_needs_one_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
