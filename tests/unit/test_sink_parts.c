/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sink_internal.h"
#include "sl_sink.h"
#include "sqlite_rows.h"

static void
pauses_grow_with_a_random_part_and_the_circuit_opens(void **state)
{
	struct backoff backoff;
	uint64_t now_ms = 1000, last_max = 0;

	(void)state;
	backoff_init(&backoff, 42);
	for (uint32_t n = 1; n <= 40; n++) {
		static const uint64_t longest[] = {100, 200, 400, 800, 5000, 10000, 20000, 30000};
		uint64_t max = longest[n <= 8 ? n - 1 : 7], wait_ms;

		backoff_failure(&backoff, false, now_ms);
		wait_ms = backoff_wait_ms(&backoff, now_ms);
		assert_in_range(wait_ms, max / 2, max);
		assert_int_equal(backoff_is_open(&backoff), n >= BACKOFF_TRIP);
		assert_int_equal(backoff_wait_ms(&backoff, now_ms + wait_ms), 0);
		now_ms += wait_ms;
		last_max = max;
	}
	assert_int_equal(last_max, 30000);
	backoff_success(&backoff);
	assert_false(backoff_is_open(&backoff));
	assert_int_equal(backoff_wait_ms(&backoff, now_ms), 0);
	backoff_failure(&backoff, true, now_ms);
	assert_in_range(backoff_wait_ms(&backoff, now_ms), 7500, 15000);
}

static void
two_sinks_do_not_come_back_together(void **state)
{
	struct backoff a, b;
	int nb_same = 0;

	(void)state;
	backoff_init(&a, 1);
	backoff_init(&b, 2);
	for (int i = 0; i < 20; i++) {
		backoff_failure(&a, false, 0);
		backoff_failure(&b, false, 0);
		nb_same += a.until_ms == b.until_ms;
	}
	assert_in_range(nb_same, 0, 5);
}

static void
text_is_what_rfc_3629_allows_without_nul(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *clean;
	} cases[] = {
		{"", 0, ""},
		{"plain", 5, "plain"},
		{"gr\xc3\xb6\xc3\x9f"
		 "e",
			7,
			"gr\xc3\xb6\xc3\x9f"
			"e"},
		{"\xe2\x82\xac\xf0\x9f\x98\x80", 7, "\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"\0", 1, "\\x00"},
		{"a\xff", 2, "a\\xff"},
		{"\xc0\x80", 2, "\\xc0\\x80"},			 /* too long a form */
		{"\xe0\x9f\xbf", 3, "\\xe0\\x9f\\xbf"},		 /* the same */
		{"\xed\xa0\x80", 3, "\\xed\\xa0\\x80"},		 /* a surrogate */
		{"\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"}, /* beyond U+10FFFF */
		{"\xf0\x8f\xbf\xbf", 4, "\\xf0\\x8f\\xbf\\xbf"},
		{"\xc3", 1, "\\xc3"}, /* cut short */
		{"\xe2\x82", 2, "\\xe2\\x82"},
		{"\xc3(", 2, "\\xc3("},
	};
	char clean[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = text_clean(clean, cases[i].bytes, cases[i].len);

		assert_in_range(len, 0, TEXT_CLEAN_MAX(cases[i].len));
		clean[len] = '\0';
		assert_string_equal(clean, cases[i].clean);
		assert_int_equal(text_is_clean(cases[i].bytes, cases[i].len),
			len == cases[i].len && memcmp(clean, cases[i].bytes, len) == 0);
		assert_true(text_is_clean(clean, len));
	}
}

static void
names_are_found_however_many_there_are(void **state)
{
	const struct name *first, *again;
	struct names names;
	char text[32];

	(void)state;
	assert_int_equal(names_init(&names), 0);
	assert_int_equal(names_add(&names, 0, "first", 5, &first), 1);
	for (uint64_t key = 1; key < 5000; key++) {
		int len = snprintf(text, sizeof(text), "name%d", (int)key);

		assert_int_equal(names_add(&names, key * 256, text, (size_t)len, NULL), 1);
	}
	assert_int_equal(names_add(&names, 0, "another", 7, &again), 0);
	assert_ptr_equal(again, first);
	assert_ptr_equal(names_find(&names, 0), first);
	assert_string_equal(first->text, "first");
	assert_string_equal(names_find(&names, 4999 * 256)->text, "name4999");
	assert_null(names_find(&names, 77));
	names_free(&names);
}

static void
migrations_are_steps_without_a_gap_and_each_sets_its_version(void **state)
{
	(void)state;
	for (int kind = SL_SINK_SQLITE; kind <= SL_SINK_POSTGRESQL; kind++) {
		uint32_t nb, newest = migrations_newest((enum sl_config_sink_kind)kind);
		const struct migration *steps = migrations_of((enum sl_config_sink_kind)kind, &nb);
		struct sink_error error;
		char version[64], *all, *last;

		for (uint32_t i = 0; i < nb; i++) {
			assert_int_equal(steps[i].version, i + 1);
			snprintf(version, sizeof(version),
				i == 0 ? "INSERT INTO sluice_schema VALUES (%u);\n"
				       : "UPDATE sluice_schema SET version = %u;\n",
				i + 1);
			assert_non_null(strstr(steps[i].sql, version));
		}
		all = migrations_sql((enum sl_config_sink_kind)kind, 0, 0);
		last = migrations_sql((enum sl_config_sink_kind)kind, newest - 1, newest);
		assert_string_equal(all + strlen(all) - strlen(last), last);
		assert_non_null(strstr(all, migrations_messages((enum sl_config_sink_kind)kind)));
		assert_null(sl_sink_schema((enum sl_config_sink_kind)kind, newest + 1));
		assert_true(migrations_check((enum sl_config_sink_kind)kind, newest, &error));
		assert_false(migrations_check((enum sl_config_sink_kind)kind, newest + 1, &error));
		assert_true(error.is_refused);
		free(all);
		free(last);
	}
}

static void
a_journal_keeps_its_id(void **state)
{
	char directory[] = "/tmp/sluice-test-sink-XXXXXX", path[64], error[256];
	char first[JOURNAL_ID_LEN + 1], again[JOURNAL_ID_LEN + 1];
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(directory));
	assert_int_equal(identity_get(directory, first, error, sizeof(error)), 0);
	assert_int_equal(strlen(first), JOURNAL_ID_LEN);
	assert_int_equal(identity_get(directory, again, error, sizeof(error)), 0);
	assert_string_equal(first, again);
	snprintf(path, sizeof(path), "%s/journal-id", directory);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(identity_get(directory, again, error, sizeof(error)), 0);
	assert_string_not_equal(first, again);
	file = fopen(path, "w");
	fputs("something else", file);
	fclose(file);
	assert_int_equal(identity_get(directory, again, error, sizeof(error)), -EBADMSG);
	assert_non_null(strstr(error, path));
	unlink(path);
	/* Nothing is left but what was made. */
	assert_int_equal(rmdir(directory), 0);
	assert_int_equal(identity_get(directory, again, error, sizeof(error)), -ENOENT);
}

static int
compare_keys(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
keys_of_sqlite_are_of_one_place_each(void **state)
{
	static const uint64_t positions[] = {0, 16, 4096, (UINT64_C(1) << 48) - 16,
		UINT64_C(1) << 48, (UINT64_C(1) << SL_RECORD_POSITION_BITS) - 16};
	static int64_t keys[SQLITE_JOURNALS_MAX * SQLITE_STREAMS_MAX * 6];
	uint32_t nb = 0;

	(void)state;
	for (int32_t journal = 0; journal < SQLITE_JOURNALS_MAX; journal++) {
		for (uint32_t stream = 0; stream < SQLITE_STREAMS_MAX; stream++) {
			for (uint32_t i = 0; i < 6; i++) {
				sl_record_ref ref = sl_record_ref_of(stream, positions[i]);
				int64_t key = sqlite_key_of(journal, ref);

				assert_true(sqlite_has_key(ref));
				assert_true(key >= 0 && key >> SQLITE_JOURNAL_BIT == journal);
				assert_true(sqlite_ref_of(key) == ref);
				/* As older releases had it. */
				if (stream < 16)
					assert_true(key == ((int64_t)journal << 58 | (int64_t)ref));
				keys[nb++] = key;
			}
		}
	}
	qsort(keys, nb, sizeof(keys[0]), compare_keys);
	for (uint32_t i = 1; i < nb; i++)
		assert_true(keys[i - 1] < keys[i]);
	assert_false(sqlite_has_key(sl_record_ref_of(SQLITE_STREAMS_MAX, 0)));
	assert_false(sqlite_has_key(sl_record_ref_of(1, 64 + 8)));
	assert_false(sqlite_has_key(SL_RECORD_REF_NONE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pauses_grow_with_a_random_part_and_the_circuit_opens),
		cmocka_unit_test(two_sinks_do_not_come_back_together),
		cmocka_unit_test(text_is_what_rfc_3629_allows_without_nul),
		cmocka_unit_test(names_are_found_however_many_there_are),
		cmocka_unit_test(migrations_are_steps_without_a_gap_and_each_sets_its_version),
		cmocka_unit_test(a_journal_keeps_its_id),
		cmocka_unit_test(keys_of_sqlite_are_of_one_place_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
