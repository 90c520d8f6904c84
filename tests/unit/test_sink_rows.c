/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sink_internal.h"
#include "sl_wire.h"
#include "test_rand.h"

#define HOLD_MS 500
#define MS	UINT64_C(1000000)
#define BEGIN	UINT64_C(1700000000000000000)

/* A stream that records are made for. */
struct source {
	struct window *window;
	uint64_t now_ns;
	uint64_t ends[4];
	int error;    /* Of what looks into the journal. */
	uint8_t copy; /* What outcomes say of the subscriber. */
	uint8_t bytes[SL_RECORD_LEN_MAX] __attribute__((aligned(16)));
};

static int
received(void *arg, sl_record_ref *ref, uint64_t *received_ns)
{
	const struct source *source = arg;

	if (source->error != 0)
		return source->error;
	/* Of a topic's message, the second of its subscribers. */
	if (sl_record_ref_is_copy(*ref))
		*ref = sl_record_ref_of(
			sl_record_ref_stream(*ref), sl_record_ref_position(*ref) - 64);
	*received_ns = *ref + 1;
	return 0;
}

static int
setup(void **state)
{
	static struct source source;
	struct window_params params = {.hold_ms = HOLD_MS,
		.levels = {1, 3, 5},
		.is_time_wanted = true,
		.received = received,
		.arg = &source};

	source = (struct source){.now_ns = BEGIN};
	assert_int_equal(window_create(&params, &source.window), 0);
	*state = &source;
	return 0;
}

static int
teardown(void **state)
{
	struct source *source = *state;

	window_destroy(source->window);
	return 0;
}

static int
push(struct source *source, uint32_t stream, enum sl_record_type type, uint32_t len, bool is_known)
{
	struct sl_record *record = (struct sl_record *)source->bytes;
	uint64_t end = source->ends[stream] + sl_record_stride(len);
	int rc;

	record->type = (uint8_t)type;
	record->len = len;
	record->position = source->ends[stream];
	record->time_ns = source->now_ns;
	rc = window_push(source->window, stream, record, end, is_known, source->now_ns / MS);
	if (rc == 0)
		source->ends[stream] = end;
	return rc;
}

static uint32_t
make_message(struct source *source, const char *payload, const void *behind, size_t behind_len)
{
	struct sl_record_message *record = (struct sl_record_message *)source->bytes;
	struct sl_wire_message message = {
		.key = {sl_wire_name_key("table1"), sl_wire_name_key("server1"), 1, 2},
		.type = 7,
		.payload = payload,
		.payload_len = (uint32_t)strlen(payload),
	};
	uint8_t buf[256];
	size_t len = (size_t)(sl_wire_put_message(buf, &message) - buf) - 2;

	memset(record, 0, sizeof(*record));
	record->class_index = 1;
	memcpy(record + 1, buf + 2, len);
	memcpy((uint8_t *)(record + 1) + len, behind, behind_len);
	return (uint32_t)(sizeof(*record) + len + behind_len);
}

static sl_record_ref
push_message(struct source *source, uint32_t stream, bool is_known)
{
	sl_record_ref ref = sl_record_ref_of(stream, source->ends[stream]);
	uint32_t len = make_message(source, "x", "", 0);

	assert_int_equal(push(source, stream, SL_RECORD_MESSAGE, len, is_known), 0);
	return ref;
}

/* A topic's, with subscribers. @return the ref of the message */
static sl_record_ref
push_topic(struct source *source, uint32_t stream, uint16_t nb, bool is_known)
{
	struct sl_record_message *record = (struct sl_record_message *)source->bytes;
	struct sl_record_subscriber *all = (struct sl_record_subscriber *)(record + 1);
	sl_record_ref ref = sl_record_ref_of(stream, source->ends[stream]);
	uint32_t len = make_message(source, "x", "", 0);

	memmove(all + nb, all, len - sizeof(*record));
	record->nb_subscribers = nb;
	for (uint32_t i = 0; i < nb; i++)
		all[i] = (struct sl_record_subscriber){
			i, (uint32_t)(sizeof(*record) + i * sizeof(*all)), SL_RECORD_SUBSCRIBER};
	len += nb * (uint32_t)sizeof(*all);
	assert_int_equal(push(source, stream, SL_RECORD_MESSAGE, len, is_known), 0);
	return ref;
}

/* What the subscriber at this place is to get. */
static sl_record_ref
copy_of(sl_record_ref ref, uint32_t index)
{
	return (ref + sizeof(struct sl_record_message) +
		       index * sizeof(struct sl_record_subscriber)) |
		SL_RECORD_REF_COPY;
}

static int
try_outcome(struct source *source, uint32_t stream, sl_record_ref ref, enum sl_record_outcome what,
	uint16_t attempts)
{
	struct sl_record_done *record = (struct sl_record_done *)source->bytes;

	record->nb_outcomes = 1;
	record->outcomes[0] = (struct sl_record_outcome_of){
		ref, 10, attempts, (uint8_t)what, source->copy};
	return push(source, stream, SL_RECORD_DONE, sizeof(*record) + sizeof(record->outcomes[0]),
		false);
}

static void
push_outcome(struct source *source, uint32_t stream, sl_record_ref ref, enum sl_record_outcome what,
	uint16_t attempts)
{
	assert_int_equal(try_outcome(source, stream, ref, what, attempts), 0);
}

static void
push_name(struct source *source, const char *name)
{
	struct sl_record_name *record = (struct sl_record_name *)source->bytes;

	record->key = sl_wire_name_key(name);
	memcpy(record->name, name, strlen(name));
	assert_int_equal(
		push(source, 0, SL_RECORD_NAME, (uint32_t)(sizeof(*record) + strlen(name)), false),
		0);
}

static uint32_t
ready(struct source *source)
{
	return window_ready(source->window, source->now_ns / MS);
}

static void
a_message_waits_for_its_outcome_and_is_cut_with_it(void **state)
{
	struct source *source = *state;
	struct batch batch = {0};
	sl_record_ref ref = push_message(source, 0, false);

	assert_int_equal(ready(source), 0);
	assert_int_equal(window_oldest_ns(source->window), BEGIN);
	source->now_ns += 3 * MS;
	push_outcome(source, 0, ref, SL_OUTCOME_DELIVERED, 2);
	assert_int_equal(ready(source), 2);
	assert_int_equal(window_cut(source->window, &batch, 10), 0);
	assert_int_equal(batch.nb_rows, 1);
	assert_int_equal(batch.nb_lates, 0);
	assert_int_equal(batch.rows[0].status, ROW_DELIVERED);
	assert_int_equal(batch.rows[0].attempts, 2);
	assert_int_equal(batch.rows[0].level, 3);
	assert_int_equal(batch.rows[0].delivered_ns, BEGIN + 3 * MS - 10000);
	assert_int_equal(batch.nb_ranges, 1);
	assert_int_equal(batch.ranges[0].last, source->ends[0]);
	assert_int_equal(window_held(source->window), 0);
	window_release(source->window, &batch);
	batch_free(&batch);
}

static void
it_waits_no_longer_than_told_by_either_clock(void **state)
{
	struct source *source = *state;

	push_message(source, 0, false);
	assert_int_equal(window_ready(source->window, source->now_ns / MS + HOLD_MS - 1), 0);
	assert_int_equal(window_ready(source->window, source->now_ns / MS + HOLD_MS), 1);
	push_message(source, 0, false);
	assert_int_equal(ready(source), 1);
	source->now_ns += HOLD_MS * MS;
	/* Read at the same time, but made so much later. */
	push_message(source, 0, false);
	assert_int_equal(window_ready(source->window, 0), 2);
}

static void
outcomes_go_where_their_message_is(void **state)
{
	struct source *source = *state;
	sl_record_ref early = sl_record_ref_of(1, 0), gone = sl_record_ref_of(0, 0), ref;
	struct batch batch = {0};

	window_begin(source->window, 0, source->ends[0] = 4096);
	ref = push_message(source, 0, false);
	assert_int_equal(window_cut(source->window, &batch, 10), 0);
	window_release(source->window, &batch);
	push_outcome(source, 0, ref, SL_OUTCOME_DEAD, 1);
	push_outcome(source, 0, gone, SL_OUTCOME_DELIVERED, 1);
	push_outcome(source, 0, early, SL_OUTCOME_DELIVERED, 9);
	push_message(source, 1, false);
	assert_int_equal(window_cut(source->window, &batch, 10), 0);
	assert_int_equal(batch.nb_lates, 2);
	assert_int_equal(batch.lates[0].ref, ref);
	assert_int_equal(batch.lates[0].received_ns, BEGIN);
	assert_int_equal(batch.lates[0].status, ROW_DEAD);
	assert_int_equal(batch.lates[0].delivered_ns, 0);
	assert_int_equal(batch.lates[1].received_ns, gone + 1);
	assert_int_equal(batch.nb_earlies, 1);
	assert_int_equal(batch.earlies[0].ref, early);
	assert_int_equal(batch.nb_rows, 1);
	assert_int_equal(batch.rows[0].status, ROW_DELIVERED);
	assert_int_equal(batch.rows[0].attempts, 9);
	window_release(source->window, &batch);
	batch_free(&batch);
}

static void
a_topic_s_message_is_delivered_when_the_first_has_it(void **state)
{
	struct source *source = *state;
	struct batch batch = {0};
	sl_record_ref one, two;

	one = push_topic(source, 0, 3, false);
	two = push_topic(source, 0, 2, false);
	push_outcome(source, 0, copy_of(one, 1), SL_OUTCOME_DEAD, 7);
	push_outcome(source, 0, copy_of(one, 2), SL_OUTCOME_DELIVERED, 2);
	push_outcome(source, 0, copy_of(one, 0), SL_OUTCOME_DELIVERED, 5);
	assert_int_equal(window_cut(source->window, &batch, 10), 0);
	assert_int_equal(batch.nb_rows, 2);
	assert_int_equal(batch.rows[0].status, ROW_DELIVERED);
	assert_int_equal(batch.rows[0].attempts, 2);
	assert_int_equal(batch.rows[1].status, ROW_INGESTED);
	assert_int_equal(batch.nb_lates, 0);
	window_release(source->window, &batch);
	/* In the database already: only what changes it. */
	push_outcome(source, 0, copy_of(two, 0), SL_OUTCOME_DEAD, 3);
	push_outcome(source, 0, copy_of(two, 1), SL_OUTCOME_DELIVERED, 4);
	push_outcome(source, 0, copy_of(two, 0), SL_OUTCOME_DELIVERED, 5);
	push_outcome(source, 0, copy_of(one, 0), SL_OUTCOME_DEAD, 5);
	assert_int_equal(window_cut(source->window, &batch, 10), 0);
	assert_int_equal(batch.nb_lates, 2);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(batch.lates[i].ref, two);
		assert_int_equal(batch.lates[i].received_ns, BEGIN);
		assert_int_equal(batch.lates[i].attempts, 3 + i);
	}
	window_release(source->window, &batch);
	batch_free(&batch);
}

static void
an_outcome_of_a_topic_finds_its_message_wherever_it_is(void **state)
{
	struct source *source = *state;
	sl_record_ref early = sl_record_ref_of(1, 0), gone = sl_record_ref_of(0, 0);
	struct batch batch = {0};

	window_begin(source->window, 0, source->ends[0] = 4096);
	push_outcome(source, 0, copy_of(gone, 1), SL_OUTCOME_DELIVERED, 1);
	push_outcome(source, 0, copy_of(early, 1), SL_OUTCOME_DELIVERED, 9);
	push_topic(source, 1, 2, false);
	assert_int_equal(window_cut(source->window, &batch, 10), 0);
	assert_int_equal(batch.nb_lates, 1);
	assert_int_equal(batch.lates[0].ref, gone);
	assert_int_equal(batch.nb_earlies, 1);
	assert_int_equal(batch.earlies[0].ref, copy_of(early, 1) & ~SL_RECORD_REF_COPY);
	assert_int_equal(batch.nb_rows, 1);
	assert_int_equal(batch.rows[0].status, ROW_DELIVERED);
	window_release(source->window, &batch);
	/* Of one that the database has. */
	early = sl_record_ref_of(1, source->ends[1]);
	push_outcome(source, 0, copy_of(early, 0), SL_OUTCOME_DELIVERED, 8);
	push_topic(source, 1, 1, true);
	assert_int_equal(window_cut(source->window, &batch, 10), 0);
	assert_int_equal(batch.nb_lates, 1);
	assert_int_equal(batch.lates[0].ref, early);
	assert_int_equal(batch.lates[0].attempts, 8);
	window_release(source->window, &batch);
	batch_free(&batch);
}

static void
an_outcome_whose_message_cannot_be_looked_up_now_is_not_lost(void **state)
{
	struct source *source = *state;
	sl_record_ref gone = sl_record_ref_of(0, 0);
	struct batch batch = {0};

	window_begin(source->window, 0, source->ends[0] = 4096);
	source->error = -EIO;
	push_outcome(source, 0, gone, SL_OUTCOME_DELIVERED, 1);
	/* Of a topic's that does not say whose it is: the next session comes to it again. */
	assert_int_equal(try_outcome(source, 0, copy_of(gone, 1), SL_OUTCOME_DELIVERED, 1), -EIO);
	source->copy = sl_record_copy_place(1);
	push_outcome(source, 0, copy_of(gone, 1), SL_OUTCOME_DEAD, 1);
	assert_int_equal(window_cut(source->window, &batch, 10), 0);
	assert_int_equal(batch.nb_lates, 2);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(batch.lates[i].ref, gone);
		assert_int_equal(batch.lates[i].received_ns, 0);
	}
	window_release(source->window, &batch);
	batch_free(&batch);
}

static void
an_early_outcome_of_a_row_the_database_has_is_an_update(void **state)
{
	struct source *source = *state;
	struct outcome early = {.ref = sl_record_ref_of(0, 0), .status = ROW_DEAD, .attempts = 4};
	struct batch batch = {0};

	assert_int_equal(window_add_early(source->window, &early), 0);
	push_message(source, 0, true);
	assert_int_equal(window_cut(source->window, &batch, 10), 0);
	assert_int_equal(batch.nb_rows, 0);
	assert_int_equal(batch.nb_lates, 1);
	assert_int_equal(batch.lates[0].attempts, 4);
	assert_int_equal(batch.lates[0].received_ns, BEGIN);
	batch_free(&batch);
}

static void
what_was_delivered_does_not_die(void **state)
{
	struct source *source = *state;
	struct batch batch = {0};
	sl_record_ref ref = push_message(source, 0, false);

	push_outcome(source, 0, ref, SL_OUTCOME_DELIVERED, 1);
	push_outcome(source, 0, ref, SL_OUTCOME_DEAD, 5);
	assert_int_equal(window_cut(source->window, &batch, 10), 0);
	assert_int_equal(batch.rows[0].status, ROW_DELIVERED);
	assert_int_equal(batch.rows[0].attempts, 1);
	window_release(source->window, &batch);
	batch_free(&batch);
}

static void
names_are_found_until_the_cut(void **state)
{
	struct source *source = *state;
	struct batch batch = {0};

	push_message(source, 0, false);
	push_name(source, "table1");
	push_name(source, "table1");
	assert_int_equal(window_cut(source->window, &batch, 10), 0);
	assert_string_equal(batch.rows[0].destination->text, "table1");
	assert_null(batch.rows[0].source);
	assert_int_equal(batch.nb_names, 1);
	window_release(source->window, &batch);
	batch_free(&batch);
}

static void
a_row_shows_its_payload_and_its_own_id(void **state)
{
	static const uint8_t behind[] = {0x90, 0x03, 0x05, 0x82, 0x01, 0x01, 'a', 0xa5, 0x03, 1, 2,
		3, 4, 0x82, 0x01, 0x03, 'x', 'y', 'z', 0xa9, 0x03, 1, 2, 3, 4, 5, 6, 7, 8};
	struct source *source = *state;
	struct row row = {.record = (struct sl_record_message *)source->bytes};
	uint32_t len, full = make_message(source, "hello", behind, sizeof(behind));

	for (uint32_t cut = 0; cut <= sizeof(behind); cut++) {
		const uint8_t *text;

		((struct sl_record *)source->bytes)->len = full - cut;
		assert_memory_equal(row_payload(&row, &len), "hello", 5);
		assert_int_equal(len, 5);
		text = row_id_text(&row, &len);
		if (cut <= 10)
			assert_memory_equal(text, "xyz", 3);
		else if (cut < sizeof(behind) - 6)
			assert_memory_equal(text, "a", 1);
		else
			assert_null(text);
	}
}

static void
a_full_window_takes_no_more_and_is_emptied_by_cuts(void **state)
{
	struct source *source = *state;
	struct batch batch = {0};
	uint32_t len = make_message(source, "x", "", 0), nb = 0, nb_cut = 0;

	while (push(source, 0, SL_RECORD_MESSAGE, len, false) == 0)
		nb++;
	assert_true(window_is_full(source->window));
	assert_int_equal(window_held(source->window), nb);
	while (window_held(source->window) > 0) {
		assert_int_equal(window_cut(source->window, &batch, 1000), 0);
		assert_true(batch.nb_rows > 0 && batch.nb_rows <= 1000);
		nb_cut += batch.nb_rows;
		window_release(source->window, &batch);
	}
	assert_int_equal(nb_cut, nb);
	assert_int_equal(push(source, 0, SL_RECORD_MESSAGE, len, false), 0);
	batch_free(&batch);
}

/* What the database would have: by message, so many attempts; UINT32_MAX: it is not there. */
#define MODEL_MAX 20000

static void
apply(const struct batch *batch, const sl_record_ref *refs, uint32_t nb, uint32_t *there)
{
	for (uint32_t i = 0; i < batch->nb_rows; i++) {
		sl_record_ref ref = sl_record_ref_of(
			batch->rows[i].stream, batch->rows[i].record->record.position);

		for (uint32_t k = 0; k < nb; k++) {
			if (refs[k] != ref)
				continue;
			assert_int_equal(there[k], UINT32_MAX);
			there[k] = batch->rows[i].attempts;
		}
	}
	for (uint32_t i = 0; i < batch->nb_lates; i++) {
		for (uint32_t k = 0; k < nb; k++) {
			if (refs[k] != batch->lates[i].ref)
				continue;
			assert_int_not_equal(there[k], UINT32_MAX);
			there[k] = batch->lates[i].attempts;
		}
	}
}

static void
every_message_is_cut_once_and_every_outcome_arrives(void **state)
{
	static sl_record_ref refs[MODEL_MAX];
	static uint32_t there[MODEL_MAX], wanted[MODEL_MAX];
	struct source *source = *state;
	struct batch batch = {0};
	struct test_rand rand;
	uint32_t nb = 0;

	test_rand_init(&rand, "sink_rows");
	memset(there, 0xff, sizeof(there));
	for (int i = 0; i < 4000; i++) {
		uint32_t stream = (uint32_t)test_rand_below(&rand, 3);

		source->now_ns += test_rand_below(&rand, 20 * MS);
		if (nb == 0 || test_rand_below(&rand, 2) == 0) {
			refs[nb] = push_message(source, stream, false);
			wanted[nb++] = 0;
		} else {
			uint32_t k = (uint32_t)test_rand_below(&rand, nb);

			wanted[k] = 1 + (uint32_t)test_rand_below(&rand, 1000);
			push_outcome(
				source, stream, refs[k], SL_OUTCOME_DELIVERED, (uint16_t)wanted[k]);
		}
		if (test_rand_below(&rand, 20) != 0)
			continue;
		assert_int_equal(window_cut(source->window, &batch,
					 (uint32_t)test_rand_below(&rand, ready(source) + 1)),
			0);
		apply(&batch, refs, nb, there);
		window_release(source->window, &batch);
	}
	assert_int_equal(window_cut(source->window, &batch, MODEL_MAX), 0);
	apply(&batch, refs, nb, there);
	for (uint32_t r = 0; r < batch.nb_ranges; r++)
		assert_int_equal(batch.ranges[r].last, source->ends[batch.ranges[r].stream]);
	window_release(source->window, &batch);
	assert_memory_equal(there, wanted, nb * sizeof(there[0]));
	batch_free(&batch);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_message_waits_for_its_outcome_and_is_cut_with_it),
		TEST(it_waits_no_longer_than_told_by_either_clock),
		TEST(outcomes_go_where_their_message_is),
		TEST(a_topic_s_message_is_delivered_when_the_first_has_it),
		TEST(an_outcome_of_a_topic_finds_its_message_wherever_it_is),
		TEST(an_outcome_whose_message_cannot_be_looked_up_now_is_not_lost),
		TEST(an_early_outcome_of_a_row_the_database_has_is_an_update),
		TEST(what_was_delivered_does_not_die),
		TEST(names_are_found_until_the_cut),
		TEST(a_row_shows_its_payload_and_its_own_id),
		TEST(a_full_window_takes_no_more_and_is_emptied_by_cuts),
		TEST(every_message_is_cut_once_and_every_outcome_arrives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
