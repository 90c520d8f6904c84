/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Journals at random, of several runs and streams, with torn ends: recovery against a model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <rte_common.h>

#include "journal_told.h"
#include "test_rand.h"

/* A journal at random; what comes out is worked out beside it, message by message. */
struct model {
	struct test_rand r;
	struct {
		sl_record_ref ref;
		uint64_t time_ns;
		uint32_t run;
		bool is_done;
		bool is_torn;
		bool is_record; /* Not what another subscriber is to get of the same. */
	} messages[MANY];
	uint32_t nb_messages;
	uint64_t at[4];		  /* Of each stream: where it goes on. */
	uint64_t previous_end[4]; /* What was recovered of it. */
	bool is_torn[4];	  /* Its last run ended so. */
};

static void
random_done(struct model *m, struct maker_segment *s)
{
	sl_record_ref refs[8];
	uint32_t nb = 0, want = (uint32_t)test_rand_below(&m->r, 8);

	if (m->nb_messages == 0 || !maker_has_room(s, 512))
		return;
	while (nb < want) {
		uint32_t i = (uint32_t)test_rand_below(&m->r, m->nb_messages);

		/* What was torn off in an earlier run nobody has delivered in this. */
		if (m->messages[i].is_torn)
			break;
		m->messages[i].is_done = true;
		refs[nb++] = m->messages[i].ref;
	}
	maker_done(s, refs, nb, SL_OUTCOME_DELIVERED, FIRST);
}

static void
random_message(struct model *m, struct maker_segment *s, uint32_t run)
{
	uint32_t payload = (uint32_t)test_rand_below(&m->r, 200);
	struct maker_message message = {.source = "server1",
		.destination = "table1",
		.type = "dinner",
		.id = m->nb_messages,
		.time_ns = FIRST + test_rand_below(&m->r, 1000),
		.payload = "a longer text, of which more or less is taken ................"
			   "................................................................"
			   "................................................................"
			   "................................................................",
		.payload_len = payload};
	uint32_t nb = 1;
	sl_record_ref ref;

	if (test_rand_below(&m->r, 2) == 0)
		message.nb_subscribers = nb = 1 + (uint32_t)test_rand_below(&m->r, 5);
	if (m->nb_messages + nb > MANY || !maker_has_room(s, maker_message_len(payload) + nb * 16))
		return;
	ref = maker_message(s, &message);
	for (uint32_t i = 0; i < nb; i++) {
		m->messages[m->nb_messages].ref = message.nb_subscribers == 0 ? ref
									      : maker_copy(ref, i);
		m->messages[m->nb_messages].time_ns = message.time_ns;
		m->messages[m->nb_messages].is_record = i == 0;
		m->messages[m->nb_messages++].run = run;
	}
}

static void
random_record(struct model *m, struct maker_segment *s, uint32_t run)
{
	if (test_rand_below(&m->r, 4) == 0)
		random_done(m, s);
	else
		random_message(m, s, run);
}

/* From a record on that had not been synced, something is wrong in the last segment. */
static void
tear(struct model *m, struct maker_segment *s, uint64_t from)
{
	uint64_t at = from, hit;
	const struct sl_record *record;

	if (from == s->put)
		return;
	hit = from + test_rand_below(&m->r, s->put - from);
	for (;;) {
		record = (const struct sl_record *)maker_at(s, at);
		if (at + sl_record_stride(record->len) > hit)
			break;
		at += sl_record_stride(record->len);
	}
	hit = test_rand_below(&m->r, record->len);
	/* What says that it stands elsewhere may be left over. */
	*maker_at(s, at + (hit / 8 == 1 ? 0 : hit)) ^= 16;
	for (uint32_t i = 0; i < m->nb_messages; i++) {
		if (sl_record_ref_stream(m->messages[i].ref) == s->header.stream &&
			sl_record_ref_position(m->messages[i].ref) >= at)
			m->messages[i].is_torn = true;
	}
	m->is_torn[s->header.stream] = true;
	s->put = at;
}

static void
random_run(struct model *m, uint32_t run)
{
	struct maker_segment s[4];
	uint32_t number = 0, nb = 1 + (uint32_t)test_rand_below(&m->r, 4);
	uint64_t from;

	/* Interleaved, so that outcomes go from any stream to any. */
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < nb; i++) {
			s[i] = maker_begin(run, number++, i, m->at[i], m->at[i] + END);
			s[i].header.previous_end = m->previous_end[i];
			m->at[i] += END;
		}
		for (uint32_t n = (uint32_t)test_rand_below(&m->r, 120); n > 0; n--)
			random_record(m, &s[test_rand_below(&m->r, nb)], run);
		for (uint32_t i = 0; i < nb; i++) {
			if (round < 2) {
				maker_pad(&s[i]);
			} else {
				m->is_torn[i] = false;
			}
			if (round == 2 && test_rand_below(&m->r, 2) == 0) {
				from = s[i].put;
				s[i].synced = from;
				for (uint32_t n = 0; n < 5; n++)
					random_message(m, &s[i], run);
				tear(m, &s[i], from);
			}
			/* Where no record fits, none is expected. */
			if (s[i].header.end - s[i].put < sizeof(struct sl_record))
				maker_pad(&s[i]);
			m->previous_end[i] = s[i].put;
			maker_seal(&s[i]);
			maker_write(&s[i], directory);
			maker_end(&s[i]);
		}
	}
}

static int
by_ref(const void *left, const void *right)
{
	const sl_record_ref *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

static void
check_model(const struct model *m, const struct told *told, uint64_t since_ns, uint32_t nb_runs)
{
	sl_record_ref expected[MANY];
	uint32_t nb = 0, from, nb_recent = 0;

	for (uint32_t run = 1; run <= nb_runs; run++) {
		from = nb;
		for (uint32_t i = 0; i < m->nb_messages; i++) {
			if (m->messages[i].run == run && !m->messages[i].is_done &&
				!m->messages[i].is_torn)
				expected[nb++] = m->messages[i].ref;
		}
		qsort(&expected[from], nb - from, sizeof(expected[0]), by_ref);
	}
	assert_int_equal(told->nb_undelivered, nb);
	assert_memory_equal(told->undelivered, expected, nb * sizeof(expected[0]));
	for (uint32_t i = 0; i < m->nb_messages; i++)
		nb_recent += m->messages[i].is_record && !m->messages[i].is_torn &&
			m->messages[i].time_ns >= since_ns;
	assert_int_equal(told->nb_recent, nb_recent);
	assert_int_equal(told->recovery.nb_cut,
		m->is_torn[0] + m->is_torn[1] + m->is_torn[2] + m->is_torn[3]);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(told->recovery.end[i], m->previous_end[i]);
}

static void
random_journals_come_out_as_they_went_in(void **state)
{
	struct test_rand seeds;
	struct told told;

	test_rand_init(&seeds, "recover");
	for (unsigned int n = 0; n < 60; n++) {
		struct model *m = calloc(1, sizeof(*m));
		uint64_t since = FIRST + test_rand_below(&seeds, 1000);
		uint32_t nb_runs = 1 + (uint32_t)test_rand_below(&seeds, 4);

		assert_non_null(m);
		m->r.state = test_rand_u64(&seeds);
		empty_directory();
		for (uint32_t run = 1; run <= nb_runs; run++) {
			random_run(m, run);
			assert_int_equal(recover_since(&told, since), 0);
			assert_int_equal(told.recovery.incarnation, run + 1);
			check_model(m, &told, since, run);
		}
		free(m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_journals_come_out_as_they_went_in),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
