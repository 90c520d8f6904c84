/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sl_wire.h"
#include "sluice.pb-c.h"
#include "test_rand.h"

static uint8_t arena[4096];

static struct sl_wire_ack
random_ack(struct test_rand *r)
{
	struct sl_wire_ack ack = {
		.session = test_rand_u64(r),
		.cumulative = test_rand_u64(r),
		.highest = test_rand_u64(r),
		.credit_limit = test_rand_u64(r),
		.echo_timestamp_ns = test_rand_u64(r) * test_rand_below(r, 2),
		.ack_delay_ns = (uint32_t)test_rand_u64(r),
		.selective_len = (uint32_t)test_rand_below(r, SL_WIRE_SELECTIVE_MAX + 1),
	};

	test_rand_fill(r, ack.selective, ack.selective_len);
	return ack;
}

static void
expect_same(const struct sl_wire_ack *a, const struct sl_wire_ack *b)
{
	assert_int_equal(a->session, b->session);
	assert_int_equal(a->cumulative, b->cumulative);
	assert_int_equal(a->highest, b->highest);
	assert_int_equal(a->credit_limit, b->credit_limit);
	assert_int_equal(a->echo_timestamp_ns, b->echo_timestamp_ns);
	assert_int_equal(a->ack_delay_ns, b->ack_delay_ns);
	assert_int_equal(a->selective_len, b->selective_len);
	assert_memory_equal(a->selective, b->selective, a->selective_len);
}

/* What protobuf-c makes of the same fields. */
static size_t
pack(const struct sl_wire_ack *ack, uint32_t epoch, uint8_t *out)
{
	Sluice__V1__Datagram d = SLUICE__V1__DATAGRAM__INIT;
	Sluice__V1__Ack a = SLUICE__V1__ACK__INIT;

	d.has_magic = d.has_epoch = d.has_session = 1;
	d.magic = SL_WIRE_MAGIC;
	d.epoch = epoch;
	d.ack = &a;
	a.has_session = a.has_cumulative = a.has_highest = a.has_credit_limit = 1;
	a.has_echo_timestamp_ns = a.has_ack_delay_ns = 1;
	a.session = ack->session;
	a.cumulative = ack->cumulative;
	a.highest = ack->highest;
	a.credit_limit = ack->credit_limit;
	a.echo_timestamp_ns = ack->echo_timestamp_ns;
	a.ack_delay_ns = ack->ack_delay_ns;
	a.has_selective = ack->selective_len != 0;
	a.selective.len = ack->selective_len;
	a.selective.data = (uint8_t *)(uintptr_t)ack->selective;
	return sluice__v1__datagram__pack(&d, out);
}

static void
test_acks_are_what_the_stock_serializer_writes(void **state)
{
	uint8_t ours[SL_WIRE_ACK_MAX], theirs[2 * SL_WIRE_ACK_MAX];
	struct sl_wire_ack ack, got;
	struct test_rand r;
	size_t len;

	(void)state;
	test_rand_init(&r, "acks_are_what_the_stock_serializer_writes");
	for (uint32_t i = 0; i < 4000; i++) {
		ack = random_ack(&r);
		if (i <= SL_WIRE_SELECTIVE_MAX)
			ack.selective_len = i;
		len = sl_wire_put_ack(ours, i, &ack);
		assert_true(len <= sizeof(ours));
		assert_int_equal(pack(&ack, i, theirs), len);
		assert_memory_equal(ours, theirs, len);
		assert_true(sl_wire_parse_ack_fast(ours, len, &got));
		expect_same(&got, &ack);
		assert_true(sl_wire_parse_ack(ours, len, arena, sizeof(arena), &got));
		expect_same(&got, &ack);
	}
	ack.selective_len = SL_WIRE_SELECTIVE_MAX;
	assert_int_equal(sl_wire_put_ack(ours, 0, &ack), SL_WIRE_ACK_MAX);
}

static void
test_no_cut_ack_is_an_ack(void **state)
{
	uint8_t buf[SL_WIRE_ACK_MAX], *exact;
	struct sl_wire_ack ack, got;
	struct test_rand r;
	size_t len;

	(void)state;
	test_rand_init(&r, "no_cut_ack_is_an_ack");
	for (uint32_t i = 0; i < 3; i++) {
		ack = random_ack(&r);
		ack.selective_len = 64 * i;
		len = sl_wire_put_ack(buf, 1, &ack);
		for (size_t cut = 0; cut < len; cut++) {
			exact = malloc(cut + 1);
			memcpy(exact, buf, cut);
			assert_false(sl_wire_parse_ack_fast(exact, cut, &got));
			free(exact);
		}
	}
}

/* Whatever the fast parser accepts of a damaged ack, the slow one reads the same. */
static void
test_fast_and_slow_agree_on_damage(void **state)
{
	uint8_t buf[SL_WIRE_ACK_MAX], out[512];
	struct sl_wire_ack ack, fast, slow;
	struct sl_wire_datagram d;
	uint32_t nb_accepted = 0;
	struct test_rand r;
	size_t len, written;

	(void)state;
	test_rand_init(&r, "fast_and_slow_agree_on_damage");
	for (uint32_t i = 0; i < 20000; i++) {
		ack = random_ack(&r);
		len = sl_wire_put_ack(buf, 1, &ack);
		buf[test_rand_below(&r, len)] ^= (uint8_t)(1u << test_rand_below(&r, 8));
		if (!sl_wire_parse_ack_fast(buf, len, &fast))
			continue;
		nb_accepted++;
		assert_int_equal(sl_wire_parse_slow(buf, len, arena, sizeof(arena), out,
					 sizeof(out), &d, &written),
			SL_WIRE_OK);
		assert_int_equal(d.extras, SL_WIRE_HAS_ACK);
		assert_true(sl_wire_parse_ack(buf, len, arena, sizeof(arena), &slow));
		expect_same(&fast, &slow);
	}
	assert_true(nb_accepted > 1000);
}

static size_t
pack_bits(size_t len, uint8_t *out)
{
	Sluice__V1__Datagram d = SLUICE__V1__DATAGRAM__INIT;
	Sluice__V1__Ack a = SLUICE__V1__ACK__INIT;
	uint8_t bits[SL_WIRE_SELECTIVE_MAX + 1] = {0};

	d.has_magic = 1;
	d.magic = SL_WIRE_MAGIC;
	d.ack = &a;
	a.has_session = a.has_selective = 1;
	a.selective = (ProtobufCBinaryData){len, bits};
	return sluice__v1__datagram__pack(&d, out);
}

static void
test_other_layouts_are_for_the_slow_parser(void **state)
{
	/* credit_limit, cumulative, session; nothing else. */
	static const uint8_t other[] = "\x0dSLC1\x2a\x1b"
				       "\x29\x07\0\0\0\0\0\0\0"
				       "\x11\x05\0\0\0\0\0\0\0"
				       "\x09\x09\0\0\0\0\0\0\0";
	static const uint8_t nameless[] = "\x0dSLC1\x2a\x09\x11\x05\0\0\0\0\0\0\0";
	uint8_t buf[2 * SL_WIRE_ACK_MAX];
	struct sl_wire_ack ack;
	size_t len;

	(void)state;
	assert_false(sl_wire_parse_ack_fast(other, sizeof(other) - 1, &ack));
	assert_true(sl_wire_parse_ack(other, sizeof(other) - 1, arena, sizeof(arena), &ack));
	expect_same(&ack, &(struct sl_wire_ack){.session = 9, .cumulative = 5, .credit_limit = 7});
	/* Without a session it says nothing of any. */
	assert_false(sl_wire_parse_ack(nameless, sizeof(nameless) - 1, arena, sizeof(arena), &ack));
	/* Too many bits. */
	len = pack_bits(SL_WIRE_SELECTIVE_MAX, buf);
	assert_true(sl_wire_parse_ack(buf, len, arena, sizeof(arena), &ack));
	len = pack_bits(SL_WIRE_SELECTIVE_MAX + 1, buf);
	assert_false(sl_wire_parse_ack(buf, len, arena, sizeof(arena), &ack));
	assert_false(sl_wire_parse_ack_fast(buf, len, &ack));
	/* Too little memory. */
	assert_false(sl_wire_parse_ack(other, sizeof(other) - 1, arena, 16, &ack));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_acks_are_what_the_stock_serializer_writes),
		cmocka_unit_test(test_no_cut_ack_is_an_ack),
		cmocka_unit_test(test_fast_and_slow_agree_on_damage),
		cmocka_unit_test(test_other_layouts_are_for_the_slow_parser),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
