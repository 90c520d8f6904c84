/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Recovery, held against journals made by hand: cut anywhere, with any bit wrong, torn,
 * overlapping and with pieces missing. What has to come out is known from what was put
 * in.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <rte_common.h>

#include "journal_told.h"

static sl_record_ref
put_message(struct maker_segment *s, uint64_t id)
{
	struct maker_message m = {.source = "server1",
		.destination = "table1",
		.type = "breakfast",
		.id = id,
		.time_ns = FIRST + id,
		.session = 7,
		.sequence = id,
		.payload = "two eggs, please",
		.payload_len = (uint32_t)(id * 5 % 17)};

	return maker_message(s, &m);
}

static void
nothing_is_an_empty_journal(void **state)
{
	struct told told;

	empty_directory();
	assert_int_equal(recover(&told), 0);
	assert_int_equal(told.recovery.incarnation, 1);
	assert_int_equal(told.recovery.nb_segments, 0);
	rmdir(directory);
	assert_int_equal(recover(&told), 0);
	assert_int_equal(told.recovery.incarnation, 1);
	mkdir(directory, 0700);
}

static void
tells_what_has_no_outcome_by_run_stream_and_position(void **state)
{
	struct maker_segment a = maker_begin(1, 0, 0, 0, END), b = maker_begin(1, 1, 1, 0, END);
	struct maker_segment c = maker_begin(2, 0, 0, END, 2 * END);
	sl_record_ref refs[8];
	struct told told;

	empty_directory();
	maker_name(&a, "table1", FIRST);
	refs[0] = put_message(&a, 1);
	refs[1] = put_message(&a, 2);
	refs[2] = put_message(&b, 3);
	refs[3] = put_message(&b, 4);
	c.header.previous_end = a.put;
	refs[4] = put_message(&c, 5);
	refs[5] = put_message(&c, 6);
	/* Twice: two backends had it. */
	maker_done(&c, (sl_record_ref[]){refs[0], refs[5]}, 2, SL_OUTCOME_DELIVERED, FIRST + 7);
	maker_done(&c, (sl_record_ref[]){refs[3], refs[0]}, 2, SL_OUTCOME_DEAD, FIRST + 8);
	maker_seal(&a);
	maker_seal(&b);
	maker_seal(&c);
	maker_write(&c, directory);
	maker_write(&a, directory);
	maker_write(&b, directory);
	assert_int_equal(recover_since(&told, FIRST + 4), 0);
	assert_string_equal(told.notice, "");
	assert_int_equal(told.nb_undelivered, 3);
	assert_int_equal(told.undelivered[0], refs[1]);
	assert_int_equal(told.undelivered[1], refs[2]);
	assert_int_equal(told.undelivered[2], refs[4]);
	assert_int_equal(told.nb_recent, 3);
	assert_int_equal(told.recent[0], refs[3]);
	assert_int_equal(told.recent[2], refs[5]);
	assert_int_equal(told.nb_names, 1);
	assert_int_equal(told.recovery.incarnation, 3);
	assert_int_equal(told.recovery.nb_messages, 6);
	assert_int_equal(told.recovery.nb_records, 9);
	assert_int_equal(told.recovery.nb_segments, 3);
	assert_int_equal(told.recovery.end[0], c.put);
	assert_int_equal(told.recovery.end[1], b.put);
	maker_end(&a);
	maker_end(&b);
	maker_end(&c);
}

static void
an_outcome_may_be_read_before_its_message(void **state)
{
	struct maker_segment a = maker_begin(1, 0, 0, 0, END), b = maker_begin(1, 1, 1, 0, END);
	sl_record_ref refs[3];
	struct told told;

	empty_directory();
	for (uint64_t i = 0; i < 3; i++)
		refs[i] = put_message(&b, i);
	maker_done(&a, (sl_record_ref[]){refs[1], refs[1]}, 2, SL_OUTCOME_DELIVERED, FIRST);
	/* Of what a crash tore off, and of nothing at all. */
	maker_done(&a,
		(sl_record_ref[]){sl_record_ref_of(1, b.put), sl_record_ref_of(9, 64),
			sl_record_ref_of(1, 48), sl_record_ref_of(1, UINT64_C(1) << 47),
			SL_RECORD_REF_NONE},
		5, SL_OUTCOME_DELIVERED, FIRST);
	maker_seal(&a);
	maker_seal(&b);
	maker_write(&a, directory);
	maker_write(&b, directory);
	assert_int_equal(recover(&told), 0);
	assert_int_equal(told.nb_undelivered, 2);
	assert_int_equal(told.undelivered[0], refs[0]);
	assert_int_equal(told.undelivered[1], refs[2]);
	maker_end(&a);
	maker_end(&b);
}

static void
a_file_has_a_name_wherever_it_begins(void **state)
{
	static const uint64_t bases[] = {
		0,
		(UINT64_C(1) << 48) - JOURNAL_BLOCK,
		UINT64_C(1) << 48,
		(UINT64_C(1) << SL_RECORD_POSITION_BITS) - JOURNAL_BLOCK,
	};
	struct journal_name name = {.stream = SL_STREAMS_MAX - 1, .take = 3}, again;
	char text[JOURNAL_NAME_SIZE];

	for (unsigned int i = 0; i < RTE_DIM(bases); i++) {
		name.base = bases[i];
		journal_name_format(text, &name);
		assert_true(journal_name_parse(text, &again));
		assert_int_equal(again.stream, name.stream);
		assert_int_equal(again.base, name.base);
		assert_int_equal(again.take, name.take);
	}
	name.base = UINT64_C(1) << SL_RECORD_POSITION_BITS;
	journal_name_format(text, &name);
	assert_false(journal_name_parse(text, &again));
	assert_false(journal_name_parse("0000-0001000000000000-0000.seg", &again));
}

static void
a_stream_goes_on_where_names_get_longer(void **state)
{
	static const uint64_t middles[] = {
		UINT64_C(1) << 48,
		UINT64_C(1) << 52,
		(UINT64_C(1) << SL_RECORD_POSITION_BITS) - 2 * JOURNAL_BLOCK,
	};

	for (unsigned int i = 0; i < RTE_DIM(middles); i++) {
		uint64_t middle = middles[i];
		struct maker_segment a = maker_begin(1, 0, 2, middle - END, middle);
		struct maker_segment b = maker_begin(1, 1, 2, middle, middle + JOURNAL_BLOCK);
		sl_record_ref refs[3];
		struct told told;

		empty_directory();
		refs[0] = put_message(&a, 1);
		refs[1] = put_message(&a, 2);
		maker_pad(&a);
		refs[2] = put_message(&b, 3);
		maker_done(&b, refs, 1, SL_OUTCOME_DELIVERED, FIRST + 4);
		maker_seal(&a);
		maker_seal(&b);
		maker_write(&a, directory);
		maker_write(&b, directory);
		assert_int_equal(recover(&told), 0);
		assert_int_equal(told.recovery.nb_segments, 2);
		assert_int_equal(told.nb_undelivered, 2);
		assert_int_equal(told.undelivered[0], refs[1]);
		assert_int_equal(told.undelivered[1], refs[2]);
		assert_int_equal(told.recovery.end[2], b.put);
		maker_end(&a);
		maker_end(&b);
	}
}

static void
an_outcome_is_not_of_a_later_run(void **state)
{
	struct maker_segment a = maker_begin(1, 0, 0, 0, END), b = maker_begin(2, 0, 1, 0, END);
	sl_record_ref ref;
	struct told told;

	empty_directory();
	ref = put_message(&b, 1);
	maker_done(&a, &ref, 1, SL_OUTCOME_DELIVERED, FIRST);
	maker_seal(&a);
	maker_seal(&b);
	maker_write(&a, directory);
	maker_write(&b, directory);
	assert_int_equal(recover(&told), 0);
	assert_int_equal(told.nb_undelivered, 1);
	maker_end(&a);
	maker_end(&b);
}

/* One stream in two segments, the first full. Returns the messages. */
static uint32_t
make_two(struct maker_segment s[2], sl_record_ref *refs, bool is_synced)
{
	uint32_t nb = 0, k;

	s[0] = maker_begin(1, 0, 0, 0, 4096);
	s[1] = maker_begin(1, 1, 0, 4096, END);
	for (k = 0; k < 2; k++) {
		while (s[k].put < s[k].header.base + 1600) {
			/* Each was written when all before it was durable. */
			s[k].synced = is_synced ? s[k].put : MAKER_NOT_SYNCED;
			refs[nb] = put_message(&s[k], nb);
			nb++;
		}
		if (k == 0)
			maker_pad(&s[0]);
		maker_seal(&s[k]);
	}
	return nb;
}

static void
is_prefix(const struct told *told, const sl_record_ref *refs, uint32_t nb)
{
	assert_true(told->nb_undelivered <= nb);
	assert_memory_equal(
		told->undelivered, refs, told->nb_undelivered * sizeof(told->undelivered[0]));
	assert_int_equal(told->nb_recent, told->nb_undelivered);
}

/* The file ends there, or what is behind was never written. */
static void
cut_anywhere_a_prefix_is_recovered(void **state)
{
	sl_record_ref refs[MANY];
	struct maker_segment s[2];
	struct told told;
	uint32_t nb, nb_first, before;

	for (unsigned int k = 2; k-- > 0;) {
		empty_directory();
		nb = make_two(s, refs, false);
		for (nb_first = 0; refs[nb_first] < 4096; nb_first++)
			;
		maker_write(&s[0], directory);
		before = UINT32_MAX;
		for (size_t cut = s[k].size; cut-- > 0;) {
			if (k == 1 || cut == s[k].size - 1)
				maker_write(&s[0], directory);
			/* A file that was cut inside its header was cut by no crash. */
			maker_write_part(&s[k], directory, cut);
			if (cut < SL_SEGMENT_HEADER && cut > 0) {
				assert_int_equal(recover(&told), -EBADMSG);
			} else {
				assert_int_equal(recover(&told), 0);
				is_prefix(&told, refs, nb);
				assert_true(told.nb_undelivered <= before);
				before = told.nb_undelivered;
			}
			memset(s[k].bytes + cut, 0, s[k].size - cut);
			if (cut < SL_SEGMENT_HEADER)
				continue;
			maker_write(&s[k], directory);
			assert_int_equal(recover(&told), 0);
			is_prefix(&told, refs, nb);
			/* One more, when it ended in zeroes anyway. */
			assert_in_range(told.nb_undelivered, before, before + 1);
		}
		assert_int_equal(before, k == 0 ? 0 : nb_first);
		maker_end(&s[0]);
		maker_end(&s[1]);
	}
}

/* Is this byte one that nothing depends on: between the end of a record and the next? */
static bool
is_between(const struct maker_segment *s, size_t at)
{
	uint64_t position = s->header.base, target = at - SL_SEGMENT_HEADER + s->header.base;

	while (position < s->put) {
		const struct sl_record *record = (const struct sl_record *)(s->bytes +
			SL_SEGMENT_HEADER + position - s->header.base);

		if (target < position + record->len)
			return false;
		position += sl_record_stride(record->len);
		if (target < position)
			return true;
	}
	return false;
}

static void
check_flip(const struct maker_segment *s, size_t at, bool is_unused, uint64_t durable,
	const sl_record_ref *refs, uint32_t nb)
{
	bool is_mark = at >= SL_SEGMENT_MARK_OFFSET &&
		at < SL_SEGMENT_MARK_OFFSET + sizeof(struct sl_segment_mark);
	uint64_t position = s->header.base + at - SL_SEGMENT_HEADER;
	bool is_position = position >= durable + 8 && position < durable + 16;
	struct told told;
	int rc = recover(&told);

	if (at < SL_SEGMENT_HEADER && !is_mark) {
		assert_int_equal(rc, -EBADMSG);
		assert_non_null(strstr(told.error, "header is damaged"));
	} else if (is_mark) {
		assert_int_equal(rc, 0);
		assert_int_equal(told.nb_undelivered, nb);
		assert_non_null(strstr(told.notice, "mark"));
	} else if (is_unused) {
		assert_int_equal(rc, 0);
		assert_int_equal(told.nb_undelivered, nb);
	} else if (position < durable) {
		assert_int_equal(rc, -EBADMSG);
		assert_non_null(strstr(told.error, ".seg: offset "));
	} else {
		/* Behind the last record, or what may not have been durable: cut, and said. */
		assert_int_equal(rc, 0);
		is_prefix(&told, refs, nb);
		/* What says that it stands elsewhere may be left over. */
		if (position >= s->put) {
			assert_int_equal(told.nb_undelivered, nb);
		} else if (!is_position) {
			assert_true(told.notice[0] != '\0');
			assert_int_equal(told.recovery.nb_cut, 1);
		}
	}
}

static void
every_wrong_bit_is_found(void **state)
{
	sl_record_ref refs[MANY];
	struct maker_segment s[2];
	uint64_t durable;
	uint32_t nb;

	empty_directory();
	nb = make_two(s, refs, true);
	/* The mark of the second does not speak of its last record yet. */
	durable = sl_record_ref_position(refs[nb - 1]);
	maker_mark(&s[0], 4096);
	maker_mark(&s[1], durable);
	maker_write(&s[0], directory);
	maker_write(&s[1], directory);
	for (unsigned int k = 0; k < 2; k++) {
		for (size_t at = 0; at < s[k].size; at++) {
			bool is_unused = at >= SL_SEGMENT_HEADER && is_between(&s[k], at);

			for (unsigned int bit = 0; bit < 8; bit++) {
				s[k].bytes[at] ^= (uint8_t)(1u << bit);
				maker_rewrite(&s[k], directory, at, 1);
				check_flip(&s[k], at, is_unused, k == 0 ? 4096 : durable, refs, nb);
				s[k].bytes[at] ^= (uint8_t)(1u << bit);
			}
			maker_rewrite(&s[k], directory, at, 1);
		}
	}
	maker_end(&s[0]);
	maker_end(&s[1]);
}

/* The bytes behind a bad place tell that it was durable; or nothing does. */
static void
damage_is_told_from_a_torn_end(void **state)
{
	struct maker_segment s;
	sl_record_ref refs[8];
	struct told told;

	for (unsigned int round = 0; round < 5; round++) {
		empty_directory();
		s = maker_begin(1, 0, 0, 0, END);
		for (uint64_t i = 0; i < 6; i++) {
			/* Only one that stands further behind speaks of the third. */
			s.synced = i == 5 && round == 1 ? s.put : MAKER_NOT_SYNCED;
			refs[i] = put_message(&s, i);
		}
		maker_seal(&s);
		if (round == 2)
			maker_mark(&s, sl_record_ref_position(refs[3]));
		if (round == 3)
			maker_finish(&s, maker_put(&s, SL_RECORD_CLOSE, 32, FIRST));
		if (round == 4)
			maker_mark(&s, sl_record_ref_position(refs[2]));
		*maker_at(&s, sl_record_ref_position(refs[2]) + 20) ^= 4;
		maker_write(&s, directory);
		if (round >= 1 && round <= 3) {
			assert_int_equal(recover(&told), -EBADMSG);
			assert_non_null(strstr(told.error, "repair"));
		} else {
			assert_int_equal(recover(&told), 0);
			assert_int_equal(told.nb_undelivered, 2);
			assert_int_equal(told.recovery.end[0], sl_record_ref_position(refs[2]));
			assert_int_equal(told.recovery.nb_cut, 1);
			assert_non_null(strstr(told.notice, "cut off"));
		}
		maker_end(&s);
	}
}

static void
a_bad_mark_and_a_torn_end_are_damage(void **state)
{
	struct maker_segment s = maker_begin(1, 0, 0, 0, END);
	sl_record_ref refs[3];
	struct told told;

	empty_directory();
	for (uint64_t i = 0; i < 3; i++)
		refs[i] = put_message(&s, i);
	maker_seal(&s);
	maker_mark(&s, sl_record_ref_position(refs[2]));
	s.bytes[SL_SEGMENT_MARK_OFFSET + 9] ^= 1;
	*maker_at(&s, sl_record_ref_position(refs[2]) + 50) ^= 1;
	maker_write(&s, directory);
	assert_int_equal(recover(&told), -EBADMSG);
	assert_non_null(strstr(told.error, "mark"));
	maker_end(&s);
}

/* A sync failed when everything up to `durable` was: a second file goes on there. */
static void
a_later_segment_replaces_what_was_written_in_vain(void **state)
{
	struct maker_segment a = maker_begin(1, 0, 0, 0, 2 * END);
	struct maker_segment b = maker_begin(1, 1, 0, 4096, 2 * END);
	sl_record_ref refs[MANY];
	struct told told;
	uint32_t nb = 0, nb_old;
	uint64_t durable;

	empty_directory();
	for (; a.put < 5000; nb++)
		refs[nb] = put_message(&a, nb);
	nb_old = nb;
	durable = a.put;
	b.header.first = durable;
	b.header.previous_end = durable;
	/* The block that it ends in is written again. */
	memcpy(maker_at(&b, 4096), maker_at(&a, 4096), durable - 4096);
	b.put = durable;
	/* What was in vain looks whole, and is longer than what came instead. */
	for (unsigned int i = 0; i < 20; i++)
		put_message(&a, 1000 + i);
	for (; b.put < durable + 900; nb++)
		refs[nb] = put_message(&b, nb);
	maker_seal(&a);
	maker_seal(&b);
	maker_write(&a, directory);
	maker_write(&b, directory);
	assert_int_equal(recover(&told), 0);
	assert_string_equal(told.notice, "");
	assert_int_equal(told.nb_undelivered, nb);
	is_prefix(&told, refs, nb);
	/* What it follows was durable. */
	*maker_at(&a, sl_record_ref_position(refs[nb_old - 1]) + 60) ^= 1;
	maker_write(&a, directory);
	assert_int_equal(recover(&told), -EBADMSG);
	maker_end(&a);
	maker_end(&b);
}

static void
what_a_crash_tore_off_stays_off_in_later_runs(void **state)
{
	struct maker_segment a = maker_begin(1, 0, 0, 0, END);
	struct maker_segment c = maker_begin(2, 0, 0, 2 * END, 3 * END);
	sl_record_ref refs[4], torn;
	struct told told;

	empty_directory();
	refs[0] = put_message(&a, 1);
	torn = put_message(&a, 2);
	put_message(&a, 3);
	*maker_at(&a, sl_record_ref_position(torn) + 33) ^= 8;
	maker_seal(&a);
	maker_write(&a, directory);
	assert_int_equal(recover(&told), 0);
	assert_int_equal(told.nb_undelivered, 1);
	assert_int_equal(told.recovery.nb_cut, 1);

	c.header.previous_end = told.recovery.end[0];
	refs[1] = put_message(&c, 5);
	maker_seal(&c);
	maker_write(&c, directory);
	assert_int_equal(recover(&told), 0);
	assert_string_equal(told.notice, "");
	assert_int_equal(told.nb_undelivered, 2);
	assert_memory_equal(told.undelivered, refs, 2 * sizeof(refs[0]));
	/* What the second run has found whole was durable from then on. */
	*maker_at(&a, sl_record_ref_position(refs[0]) + 40) ^= 8;
	maker_write(&a, directory);
	assert_int_equal(recover(&told), -EBADMSG);
	maker_end(&a);
	maker_end(&c);
}

/*
 * Blocks are written whole, and files are used again: behind the last record stands what the ring
 * held there before, and what the file did.
 */
static void
left_overs_are_a_normal_end(void **state)
{
	struct maker_segment a = maker_begin(1, 0, 0, UINT64_C(1) << 20, (UINT64_C(1) << 20) + END);
	struct maker_segment old = maker_begin(1, 0, 0, 0, END);
	struct told told;
	uint64_t left;

	empty_directory();
	put_message(&a, 1);
	put_message(&a, 2);
	for (uint64_t i = 0; i < 20; i++)
		put_message(&old, i);
	left = END - (a.put - a.header.base);
	memcpy(maker_at(&a, a.put), maker_at(&old, a.put - a.header.base), left);
	maker_seal(&a);
	maker_write(&a, directory);
	assert_int_equal(recover(&told), 0);
	assert_string_equal(told.notice, "");
	assert_int_equal(told.nb_undelivered, 2);
	/* But not when one was begun there. */
	*(struct sl_record *)maker_at(&a, a.put) = (struct sl_record){.position = a.put};
	maker_write(&a, directory);
	assert_int_equal(recover(&told), 0);
	assert_int_equal(told.nb_undelivered, 2);
	assert_int_equal(told.recovery.nb_cut, 1);
	maker_end(&a);
	maker_end(&old);
}

static void
a_missing_segment_is_damage_but_for_the_oldest(void **state)
{
	struct maker_segment s[4];
	sl_record_ref refs[4];
	struct told told;
	char path[512];

	for (uint32_t gone = 0; gone < 4; gone++) {
		empty_directory();
		for (uint32_t i = 0; i < 4; i++) {
			s[i] = maker_begin(1, i, 0, i * END, (i + 1) * END);
			refs[i] = put_message(&s[i], i);
			maker_pad(&s[i]);
			maker_seal(&s[i]);
			maker_write(&s[i], directory);
		}
		maker_path(&s[gone], directory, path);
		unlink(path);
		if (gone == 0 || gone == 3) {
			assert_int_equal(recover(&told), 0);
			assert_int_equal(told.nb_undelivered, 3);
			assert_int_equal(told.undelivered[0], refs[gone == 0 ? 1 : 0]);
			assert_int_equal(told.recovery.end[0], gone == 0 ? 4 * END : 3 * END);
		} else {
			assert_int_equal(recover(&told), -EBADMSG);
			assert_non_null(strstr(told.error, "missing"));
			/* Its file is there, and empty. */
			memset(s[gone].bytes, 0, s[gone].size);
			maker_write(&s[gone], directory);
			assert_int_equal(recover(&told), -EBADMSG);
			/* One that was made ahead is nothing. */
			maker_path(&s[3], directory, path);
			unlink(path);
			maker_path(&s[2], directory, path);
			unlink(path);
			maker_write(&s[1], directory);
			memset(s[2].bytes, 0, s[2].size);
			maker_write(&s[2], directory);
			assert_int_equal(recover(&told), 0);
			assert_int_equal(told.nb_undelivered, gone == 1 ? 1 : 2);
		}
		for (uint32_t i = 0; i < 4; i++)
			maker_end(&s[i]);
	}
}

static void
a_callback_ends_it_and_a_lock_forbids_it(void **state)
{
	struct maker_segment a = maker_begin(1, 0, 0, 0, END);
	char line[512];
	struct told told;
	int lock;

	empty_directory();
	put_message(&a, 1);
	maker_seal(&a);
	maker_write(&a, directory);
	lock = journal_lock(directory, line, sizeof(line));
	assert_true(lock >= 0);
	assert_int_equal(recover(&told), -EBUSY);
	close(lock);
	assert_int_equal(recover(&told), 0);
	maker_end(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_an_empty_journal),
		cmocka_unit_test(tells_what_has_no_outcome_by_run_stream_and_position),
		cmocka_unit_test(an_outcome_may_be_read_before_its_message),
		cmocka_unit_test(a_file_has_a_name_wherever_it_begins),
		cmocka_unit_test(a_stream_goes_on_where_names_get_longer),
		cmocka_unit_test(an_outcome_is_not_of_a_later_run),
		cmocka_unit_test(cut_anywhere_a_prefix_is_recovered),
		cmocka_unit_test(every_wrong_bit_is_found),
		cmocka_unit_test(damage_is_told_from_a_torn_end),
		cmocka_unit_test(a_bad_mark_and_a_torn_end_are_damage),
		cmocka_unit_test(a_later_segment_replaces_what_was_written_in_vain),
		cmocka_unit_test(what_a_crash_tore_off_stays_off_in_later_runs),
		cmocka_unit_test(left_overs_are_a_normal_end),
		cmocka_unit_test(a_missing_segment_is_damage_but_for_the_oldest),
		cmocka_unit_test(a_callback_ends_it_and_a_lock_forbids_it),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
