/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Records: the checksum against its RFC and itself, and that a check believes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rte_common.h>

#include "record_internal.h"
#include "sl_record.h"
#include "sl_wire.h"
#include "test_rand.h"

#define POSITION UINT64_C(0x123456789a0)

/* RFC 3720, B.4 (byte order there is that of the wire). */
static void
crc_is_that_of_the_rfc(void **state)
{
	static const uint8_t scsi_read[48] = {0x01,
		0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02};
	uint8_t zeros[32] = {0}, ones[32], up[32], down[32];

	memset(ones, 0xff, sizeof(ones));
	for (unsigned int i = 0; i < 32; i++) {
		up[i] = (uint8_t)i;
		down[i] = (uint8_t)(31 - i);
	}
	assert_int_equal(sl_record_crc32c(0, zeros, 32), 0x8a9136aa);
	assert_int_equal(sl_record_crc32c(0, ones, 32), 0x62a8ab43);
	assert_int_equal(sl_record_crc32c(0, up, 32), 0x46dd794e);
	assert_int_equal(sl_record_crc32c(0, down, 32), 0x113fdb5c);
	assert_int_equal(sl_record_crc32c(0, scsi_read, 48), 0xd9963a56);
	assert_int_equal(sl_record_crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(record_crc32c_table(0, zeros, 32), 0x8a9136aa);
	assert_int_equal(record_crc32c_table(0, scsi_read, 48), 0xd9963a56);
}

static void
crc_is_the_same_by_instruction_and_by_table(void **state)
{
	static uint8_t bytes[4096];
	struct test_rand r;

	test_rand_init(&r, "crc");
	test_rand_fill(&r, bytes, sizeof(bytes));
	for (unsigned int i = 0; i < 20000; i++) {
		size_t from = test_rand_below(&r, 64), len = test_rand_below(&r, 1000);
		size_t half = len == 0 ? 0 : test_rand_below(&r, len);
		uint32_t crc = sl_record_crc32c(0, bytes + from, len);

		assert_int_equal(crc, record_crc32c_table(0, bytes + from, len));
		assert_int_equal(crc,
			sl_record_crc32c(sl_record_crc32c(0, bytes + from, half),
				bytes + from + half, len - half));
	}
}

static void *
make(enum sl_record_type type, uint32_t len)
{
	struct sl_record *record = aligned_alloc(SL_RECORD_ALIGN, sl_record_stride(len));

	memset(record, 0, len);
	record->len = len;
	record->position = POSITION;
	record->time_ns = 1;
	record->incarnation = 1;
	record->type = (uint8_t)type;
	return record;
}

static struct sl_record_message *
make_message(uint32_t payload_len)
{
	uint8_t payload[1000], buf[2000], *end;
	const struct sl_wire_message message = {
		.key = {.destination = 1, .source = 2, .id_high = 3, .id_low = 4},
		.payload = payload,
		.payload_len = payload_len,
	};
	uint32_t tag = 1 + sl_wire_varint_len((uint32_t)sl_wire_message_size(payload_len) - 2);
	struct sl_record_message *record;

	memset(payload, 'p', sizeof(payload));
	end = sl_wire_put_message(buf, &message);
	record = make(SL_RECORD_MESSAGE, (uint32_t)(sizeof(*record) + (size_t)(end - buf) - tag));
	memcpy(record + 1, buf + tag, (size_t)(end - buf) - tag);
	return record;
}

/* The same with subscribers in front of the message. */
static struct sl_record_message *
make_topic(uint16_t nb)
{
	struct sl_record_message *plain = make_message(10), *record;
	uint32_t tail = nb * (uint32_t)sizeof(struct sl_record_subscriber);
	struct sl_record_subscriber *all;

	record = make(SL_RECORD_MESSAGE, plain->record.len + tail);
	memcpy((uint8_t *)(record + 1) + tail, plain + 1, plain->record.len - sizeof(*plain));
	free(plain);
	record->nb_subscribers = nb;
	all = (struct sl_record_subscriber *)(record + 1);
	for (uint32_t i = 0; i < nb; i++)
		all[i] = (struct sl_record_subscriber){.backend = i,
			.back = (uint32_t)(sizeof(*record) + i * sizeof(*all)),
			.flags = SL_RECORD_SUBSCRIBER | (i % 2 == 0 ? SL_RECORD_PASSING : 0)};
	return record;
}

static enum sl_record_error
sealed_check(void *record)
{
	sl_record_seal(record, 0);
	return sl_record_check(record, ((struct sl_record *)record)->len, POSITION);
}

static void
expect(enum sl_record_error error, void *record)
{
	assert_string_equal(sl_record_strerror(sealed_check(record)), sl_record_strerror(error));
	free(record);
}

static void
a_topic_s_message_names_its_subscribers(void **state)
{
	struct sl_record_message *record = make_topic(3);
	struct sl_record_subscriber *all = (struct sl_record_subscriber *)(record + 1);
	sl_record_ref ref = sl_record_copy_ref(5, record, 2);
	uint32_t len;

	assert_int_equal(sealed_check(record), SL_RECORD_OK);
	assert_ptr_equal(sl_record_subscribers_of(record), all);
	assert_ptr_equal(sl_record_message_of(record, &len), all + 3);
	assert_int_equal(len, SL_WIRE_MESSAGE_MIN + 2 + 10);
	assert_true(sl_record_ref_is_copy(ref));
	assert_int_equal(sl_record_ref_stream(ref), 5);
	assert_int_equal(sl_record_ref_position(ref), POSITION + all[2].back);
	assert_int_equal(sl_record_subscriber_at(record, POSITION + all[2].back), 2);
	assert_int_equal(sl_record_copy_place(2), 3);
	assert_int_equal(sl_record_copy_message(ref, 3), sl_record_ref_of(5, POSITION));
	assert_int_equal(sl_record_copy_message(ref, 0), ref);
	assert_int_equal(sl_record_copy_message(sl_record_ref_of(5, POSITION), 3),
		sl_record_ref_of(5, POSITION));
	assert_int_equal(sl_record_copy_place(254), 255);
	assert_int_equal(sl_record_copy_place(255), 0);
	assert_int_equal(sl_record_copy_place(UINT32_MAX), 0);
	assert_int_equal(sl_record_subscriber_at(record, POSITION + all[2].back + 8), UINT32_MAX);
	assert_int_equal(sl_record_subscriber_at(record, POSITION + all[2].back + 16), UINT32_MAX);
	assert_int_equal(sl_record_subscriber_at(record, POSITION), UINT32_MAX);
	all[1].back += 16;
	assert_int_equal(sealed_check(record), SL_RECORD_BAD_CONTENT);
	all[1].back -= 16;
	all[1].flags = 0;
	assert_int_equal(sealed_check(record), SL_RECORD_BAD_CONTENT);
	all[1].flags = SL_RECORD_SUBSCRIBER | 2;
	assert_int_equal(sealed_check(record), SL_RECORD_BAD_CONTENT);
	all[1].flags = SL_RECORD_SUBSCRIBER;
	for (uint32_t nb = 0; nb <= UINT16_MAX; nb++) {
		record->nb_subscribers = (uint16_t)nb;
		assert_int_equal(
			sealed_check(record), nb == 3 ? SL_RECORD_OK : SL_RECORD_BAD_CONTENT);
	}
	free(record);
}

static void
every_type_is_checked_inside(void **state)
{
	struct sl_record_message *message = make_message(10);
	struct sl_record_done *done = make(SL_RECORD_DONE, sizeof(*done) + 32);
	struct sl_record_name *name = make(SL_RECORD_NAME, sizeof(*name) + 4);
	struct sl_record *record;
	uint32_t len;

	assert_int_equal(sealed_check(message), SL_RECORD_OK);
	assert_ptr_equal(sl_record_message_of(message, &len), message + 1);
	assert_int_equal(len, SL_WIRE_MESSAGE_MIN + 2 + 10);
	message->class_index = SL_WIRE_CLASSES;
	assert_int_equal(sealed_check(message), SL_RECORD_BAD_CONTENT);
	message->class_index = 0;
	assert_int_equal(sl_record_level(message), 1);
	message->level = SL_WIRE_CLASSES;
	assert_int_equal(sealed_check(message), SL_RECORD_OK);
	assert_int_equal(sl_record_level(message), SL_WIRE_CLASSES);
	message->level++;
	assert_int_equal(sealed_check(message), SL_RECORD_BAD_CONTENT);
	message->level = 0;
	((uint8_t *)(message + 1))[SL_WIRE_OFF_DEST - 1] ^= 1;
	expect(SL_RECORD_BAD_CONTENT, message);
	message = make_message(10);
	message->record.len--; /* The payload reaches beyond. */
	expect(SL_RECORD_BAD_CONTENT, message);
	expect(SL_RECORD_BAD_CONTENT, make(SL_RECORD_MESSAGE, sizeof(*message) + 10));
	expect(SL_RECORD_BAD_LENGTH, make(SL_RECORD_MESSAGE, sizeof(*message) - 1));

	done->nb_outcomes = 2;
	done->outcomes[0].outcome = SL_OUTCOME_DELIVERED;
	assert_int_equal(sealed_check(done), SL_RECORD_BAD_CONTENT);
	done->outcomes[1].outcome = SL_OUTCOME_DEAD;
	assert_int_equal(sealed_check(done), SL_RECORD_OK);
	done->nb_outcomes = 3;
	assert_int_equal(sealed_check(done), SL_RECORD_BAD_CONTENT);
	done->nb_outcomes = 2 + (1u << 28); /* Times 16: the same, in 32 bits. */
	expect(SL_RECORD_BAD_CONTENT, done);

	memcpy(name->name, "name", 4);
	assert_int_equal(sealed_check(name), SL_RECORD_OK);
	name->name[2] = '\0';
	expect(SL_RECORD_BAD_CONTENT, name);

	expect(SL_RECORD_OK, make(SL_RECORD_DUPLICATE, sizeof(struct sl_record_duplicate)));
	expect(SL_RECORD_BAD_LENGTH, make(SL_RECORD_DUPLICATE, 72));
	expect(SL_RECORD_OK, make(SL_RECORD_CONFIG, sizeof(struct sl_record_config)));
	expect(SL_RECORD_BAD_LENGTH, make(SL_RECORD_CONFIG, sizeof(*record)));
	expect(SL_RECORD_OK, make(SL_RECORD_CLOSE, sizeof(*record)));
	expect(SL_RECORD_OK, make(SL_RECORD_PAD, 5000));
	expect(SL_RECORD_BAD_TYPE, make(0, sizeof(*record)));
	expect(SL_RECORD_BAD_TYPE, make(SL_RECORD_CLOSE + 1, sizeof(*record)));
	record = make(SL_RECORD_CLOSE, sizeof(*record));
	record->incarnation = 0;
	expect(SL_RECORD_BAD_CONTENT, record);
}

static void
lengths_are_not_believed(void **state)
{
	static const uint32_t lens[] = {0, 1, 31, SL_RECORD_LEN_MAX + 1, UINT32_MAX};
	struct sl_record *record = make(SL_RECORD_PAD, 64);

	sl_record_seal(record, 0);
	assert_int_equal(sl_record_check(record, 64, POSITION), SL_RECORD_OK);
	for (size_t len = 0; len < 64; len++)
		assert_int_equal(sl_record_check(record, len, POSITION), SL_RECORD_SHORT);
	assert_int_equal(sl_record_check(record, 64, POSITION + 16), SL_RECORD_BAD_POSITION);
	for (unsigned int i = 0; i < RTE_DIM(lens); i++) {
		record->len = lens[i];
		assert_int_equal(sl_record_check(record, 64, POSITION), SL_RECORD_BAD_LENGTH);
	}
	free(record);
}

static void
every_flipped_bit_is_found(void **state)
{
	struct sl_record_message *message = make_message(100);
	uint8_t *bytes = (uint8_t *)message;

	assert_int_equal(sealed_check(message), SL_RECORD_OK);
	for (uint32_t bit = 0; bit < message->record.len * 8; bit++) {
		uint32_t len = message->record.len;

		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(sl_record_check(bytes, len, POSITION), SL_RECORD_OK);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	free(message);
}

/* Whoever can write a right checksum: the contents must hold, too. Exact blocks, for ASan. */
static void
sealed_garbage_is_read_within_its_bounds(void **state)
{
	struct test_rand r;

	test_rand_init(&r, "garbage");
	for (unsigned int i = 0; i < 50000; i++) {
		uint32_t len = (uint32_t)(sizeof(struct sl_record) + test_rand_below(&r, 200));
		struct sl_record *record = make(0, len);

		test_rand_fill(&r, record + 1, len - sizeof(*record));
		record->type = (uint8_t)test_rand_below(&r, SL_RECORD_CLOSE + 2);
		record->flags = (uint8_t)test_rand_u64(&r);
		sealed_check(record);
		free(record);
	}
}

static void
what_was_synced_is_a_lower_bound(void **state)
{
	struct sl_record *record = make(SL_RECORD_PAD, 32);
	struct test_rand r;

	test_rand_init(&r, "synced");
	for (unsigned int i = 0; i < 10000; i++) {
		uint64_t before = test_rand_below(&r, UINT64_C(1) << test_rand_below(&r, 30));

		sl_record_seal(record, POSITION - before);
		assert_true(sl_record_synced_before(record) <= POSITION - before);
		if (before < UINT64_C(65534) * 4096)
			assert_true(sl_record_synced_before(record) + 4096 > POSITION - before);
		else
			assert_int_equal(record->unsynced, UINT16_MAX);
	}
	sl_record_seal(record, 0);
	assert_int_equal(sl_record_synced_before(record), 0);
	free(record);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_is_that_of_the_rfc),
		cmocka_unit_test(crc_is_the_same_by_instruction_and_by_table),
		cmocka_unit_test(a_topic_s_message_names_its_subscribers),
		cmocka_unit_test(every_type_is_checked_inside),
		cmocka_unit_test(lengths_are_not_believed),
		cmocka_unit_test(every_flipped_bit_is_found),
		cmocka_unit_test(sealed_garbage_is_read_within_its_bounds),
		cmocka_unit_test(what_was_synced_is_a_lower_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
