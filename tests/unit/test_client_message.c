/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "pack.h"
#include "test_rand.h"

#define NB_MESSAGES 400

static uint8_t payload[SL_DATAGRAM_MAX];

/* Lengths around where a varint grows, and any. */
static uint32_t
any_length(struct test_rand *r, uint32_t max)
{
	static const uint32_t edges[] = {0, 1, 52, 53, 54, 127, 128, 16300, 16383, 16384};
	uint32_t len = test_rand_below(r, 2) == 0 ? edges[test_rand_below(r, 10)]
						  : test_rand_below(r, 2000);

	return len < max ? len : max;
}

/* What is written is a datagram of the template layout, and reads as it was said. */
static void
test_what_is_written_is_read(void **state)
{
	uint8_t *buf = malloc(SL_DATAGRAM_MAX);
	char *text = malloc(20000);
	struct test_rand r;

	test_rand_init(&r, __func__);
	for (uint32_t i = 0; i < 3000; i++) {
		uint32_t text_len = test_rand_below(&r, 2) == 0 ? 0 : any_length(&r, 19999);
		struct sluice_message m = {
			.destination = "table1",
			.type = i % 3 == 0 ? NULL : "breakfast",
			.payload = payload,
			.payload_len = any_length(&r, sizeof(payload)),
			.id_text = text_len == 0 ? NULL : text,
			.timestamp_ns = 1 + i,
			.priority = test_rand_below(&r, 9),
			.flags = i % 2 == 0 ? SLUICE_AT_MOST_ONCE : 0,
		};
		struct sluice_id id = {.high = test_rand_u64(&r), .low = test_rand_u64(&r)};
		struct sl_message_shape shape;
		struct sl_wire_datagram d;
		struct sluice_delivery got;

		memset(text, 'x', 20000);
		text[text_len] = '\0';
		assert_int_equal(sl_message_measure(&m, SL_DATAGRAM_MAX, &shape), 0);
		sl_wire_put_header(buf, 0, 7);
		sl_message_write(buf + SL_WIRE_HEADER_LEN, &m, &shape, 99, &id);
		assert_int_equal(
			sl_wire_parse(buf, SL_WIRE_HEADER_LEN + shape.len, &d), SL_WIRE_OK);
		assert_int_equal(d.nb_messages, 1);
		assert_int_equal(d.messages[0].offset, SL_WIRE_HEADER_LEN + shape.body);
		sl_message_read(buf + d.messages[0].offset, d.messages[0].len, &got);
		assert_true(got.destination == sluice_name_key("table1") && got.source == 99);
		assert_true(got.type == sluice_name_key(m.type == NULL ? "" : m.type));
		assert_true(got.id.high == id.high && got.id.low == id.low);
		assert_true(got.timestamp_ns == 1 + i && got.priority == m.priority);
		assert_int_equal(got.flags, i % 2 == 0 ? 0 : SL_WIRE_FLAG_ACK);
		assert_int_equal(got.payload_len, m.payload_len);
		assert_int_equal(got.id_text_len, text_len);
		if (text_len != 0)
			assert_memory_equal(got.id_text, text, text_len);
	}
	free(buf);
	free(text);
}

static void
test_a_message_fits_to_the_byte(void **state)
{
	struct sluice_message m = {.destination = "d", .payload = payload};
	struct sl_message_shape shape;

	for (uint32_t limit = 128; limit < 1500; limit++) {
		m.payload_len = 0;
		while (sl_message_measure(&m, limit, &shape) == 0)
			m.payload_len++;
		assert_int_equal(sl_message_measure(&m, limit, &shape), SLUICE_TOO_BIG);
		m.payload_len--;
		assert_int_equal(sl_message_measure(&m, limit, &shape), 0);
		/* A length of two bytes instead of one is the only thing in the way. */
		assert_in_range(SL_WIRE_HEADER_LEN + shape.len, limit - 2, limit);
	}
}

static void
test_what_cannot_be_is_refused(void **state)
{
	const struct sluice_message good = {.destination = "d", .payload = "x", .payload_len = 1};
	struct sl_message_shape shape;
	struct sluice_message m;

	m = good;
	m.destination = NULL;
	assert_int_equal(sl_message_measure(&m, 1400, &shape), SLUICE_INVALID);
	m = good;
	m.priority = 9;
	assert_int_equal(sl_message_measure(&m, 1400, &shape), SLUICE_INVALID);
	m = good;
	m.flags = 2;
	assert_int_equal(sl_message_measure(&m, 1400, &shape), SLUICE_INVALID);
	m = good;
	m.payload = NULL;
	assert_int_equal(sl_message_measure(&m, 1400, &shape), SLUICE_INVALID);
	m = good;
	m.reserved[3] = 1;
	assert_int_equal(sl_message_measure(&m, 1400, &shape), SLUICE_INVALID);
	m = good;
	m.payload_len = SIZE_MAX;
	assert_int_equal(sl_message_measure(&m, 1400, &shape), SLUICE_TOO_BIG);
}

/* The published example: docs/wire-format.md. */
static void
test_a_text_id_is_its_hash(void **state)
{
	struct sluice_id id = sluice_text_id("order-1", 7);

	assert_true(id.high == UINT64_C(0x5a8a409613f90ad0));
	assert_true(id.low == UINT64_C(0xaf63a0f835ca6746));
}

static uint32_t
write_numbered(uint8_t *buf, uint32_t number, uint32_t payload_len, uint32_t datagram_bytes)
{
	struct sluice_message m = {
		.destination = "d", .payload = payload, .payload_len = payload_len};
	struct sluice_id id = {.high = 1, .low = number};
	struct sl_message_shape shape;

	assert_int_equal(sl_message_measure(&m, datagram_bytes, &shape), 0);
	sl_message_write(buf, &m, &shape, 1, &id);
	return shape.len;
}

/* Datagrams keep to their size and session, and all messages are there, in their order. */
static void
test_a_batch_holds_what_was_put_in(void **state)
{
	uint8_t *buf = malloc(SL_DATAGRAM_MAX);
	struct sl_pack pack = {.datagram_bytes = 0};
	struct test_rand r;

	test_rand_init(&r, __func__);
	for (uint32_t round = 0; round < 200; round++) {
		uint64_t sessions[NB_MESSAGES * 20];
		uint32_t nb = 0, seen = 0;

		pack.datagram_bytes = round % 10 == 0 ? SL_DATAGRAM_MAX
						      : 128 + test_rand_below(&r, 2000);
		pack.buf = malloc((size_t)SL_PACK_DATAGRAMS * pack.datagram_bytes);
		sl_pack_reset(&pack);
		for (; nb < NB_MESSAGES * 20; nb++) {
			uint32_t room = pack.datagram_bytes - 110, len;
			uint32_t fits = sl_pack_room(&pack);

			sessions[nb] = round % 3 == 0 ? test_rand_below(&r, 2) : 5;
			len = write_numbered(buf, nb, test_rand_below(&r, room < 100 ? room : 100),
				pack.datagram_bytes);
			if (sl_pack_add(&pack, sessions[nb], buf, len) == NULL) {
				assert_int_equal(fits, 0);
				break;
			}
		}
		assert_in_range(pack.nb, 1, SL_PACK_DATAGRAMS);
		for (uint32_t i = 0; i < pack.nb; i++) {
			uint32_t len = pack.offsets[i + 1] - pack.offsets[i];
			const uint8_t *data = pack.buf + pack.offsets[i];
			struct sl_wire_datagram d;

			assert_in_range(len, 1, pack.datagram_bytes);
			assert_int_equal(sl_wire_parse(data, len, &d), SL_WIRE_OK);
			for (uint32_t j = 0; j < d.nb_messages; j++, seen++) {
				const uint8_t *m = data + d.messages[j].offset;

				assert_true(d.session == sessions[seen]);
				assert_int_equal(sl_wire_get64(m + SL_WIRE_OFF_ID_LOW), seen);
			}
		}
		assert_int_equal(seen, nb);
		free(pack.buf);
	}
	free(buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_a_message_fits_to_the_byte),
		cmocka_unit_test(test_what_cannot_be_is_refused),
		cmocka_unit_test(test_a_text_id_is_its_hash),
		cmocka_unit_test(test_a_batch_holds_what_was_put_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
