/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * The slow path against protobuf-c, over random datagrams: fields in any order, some missing, some
 * twice, unknown ones of any number between them, lengths longer than they need be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <rte_common.h>

#include "sl_wire.h"
#include "sluice.pb-c.h"
#include "test_rand.h"
#include "test_wire_buf.h"

/* The pieces of a message or datagram, to be put in any order. */
struct pieces {
	unsigned int nb;
	struct piece {
		size_t len;
		uint8_t data[640];
	} all[48];
};

static struct piece *
add_piece(struct pieces *p)
{
	assert_true(p->nb < RTE_DIM(p->all));
	p->all[p->nb].len = 0;
	return &p->all[p->nb++];
}

static void
shuffle(struct test_rand *r, struct pieces *p)
{
	static struct piece swap;
	unsigned int j;

	for (unsigned int i = p->nb; i > 1; i--) {
		j = (unsigned int)test_rand_below(r, i);
		swap = p->all[i - 1];
		p->all[i - 1] = p->all[j];
		p->all[j] = swap;
	}
}

static uint64_t
any_value(struct test_rand *r)
{
	return test_rand_u64(r) >> test_rand_below(r, 64);
}

/* One field of a message, packed alone by protobuf-c. */
static void
add_field(struct test_rand *r, struct pieces *p, unsigned int field)
{
	Sluice__V1__Message m = SLUICE__V1__MESSAGE__INIT;
	struct piece *piece = add_piece(p);
	uint8_t bytes[600];
	uint64_t v = any_value(r);

	test_rand_fill(r, bytes, sizeof(bytes));
	/* clang-format off */
	switch (field) {
	case 1: m.has_source = 1; m.source = v; break;
	case 2: m.has_id_high = 1; m.id_high = v; break;
	case 3: m.has_id_low = 1; m.id_low = v; break;
	case 4: m.has_destination = 1; m.destination = v; break;
	case 5: m.has_sequence = 1; m.sequence = v; break;
	case 6: m.has_timestamp_ns = 1; m.timestamp_ns = v; break;
	case 7: m.has_type = 1; m.type = v; break;
	case 8: m.has_priority = 1; m.priority = (uint32_t)(v % 9); break;
	case 9: m.has_flags = 1; m.flags = (uint32_t)v; break;
	case 15: m.has_payload = 1; m.payload.data = bytes;
		m.payload.len = test_rand_below(r, sizeof(bytes)); break;
	case 16: m.has_id_text = 1; m.id_text.data = bytes;
		m.id_text.len = test_rand_below(r, 40); break;
	}
	/* clang-format on */
	piece->len = sluice__v1__message__pack(&m, piece->data);
}

/* A field no version knows, with a number out of a stock serializer's range of numbers. */
static void
add_unknown(struct test_rand *r, struct pieces *p)
{
	static const unsigned int numbers[] = {10, 14, 17, 2047, 2048, 262143, 262144, 536870911};
	static const unsigned int wire_types[] = {0, 1, 2, 5};
	static struct buf b;
	struct piece *piece = add_piece(p);
	unsigned int type = wire_types[test_rand_below(r, 4)];
	uint8_t bytes[32];
	size_t len = type == 1 ? 8 : type == 5 ? 4 : test_rand_below(r, sizeof(bytes));

	test_rand_fill(r, bytes, sizeof(bytes));
	b.len = 0;
	put_varint(&b, (uint64_t)numbers[test_rand_below(r, RTE_DIM(numbers))] << 3 | type, 0);
	if (type == 0)
		put_varint(&b, any_value(r), 0);
	if (type == 2)
		put_varint(&b, len, (unsigned int)test_rand_below(r, 3));
	if (type != 0)
		put(&b, bytes, len);
	piece->len = b.len;
	memcpy(piece->data, b.data, b.len);
}

static void
random_message(struct test_rand *r, struct buf *out)
{
	static struct pieces p;

	p.nb = 0;
	for (unsigned int field = 1; field <= 16; field++) {
		if (field > 9 && field < 15)
			continue;
		if (field <= 4 || test_rand_below(r, 8) != 0)
			add_field(r, &p, field);
		if (test_rand_below(r, 16) == 0)
			add_field(r, &p, field);
	}
	while (test_rand_below(r, 3) == 0)
		add_unknown(r, &p);
	shuffle(r, &p);
	out->len = 0;
	for (unsigned int i = 0; i < p.nb; i++)
		put(out, p.all[i].data, p.all[i].len);
}

static void
random_datagram(struct test_rand *r, struct buf *b)
{
	static struct buf header, m;
	unsigned int nb = 1 + (unsigned int)test_rand_below(r, 6);
	bool is_before = test_rand_below(r, 2) == 0;

	header.len = 0;
	put(&header, "\x0dSLC1", 5);
	if (test_rand_below(r, 4) != 0)
		put(&header, "\x15\x09\x08\x07\x06", 5);
	if (test_rand_below(r, 4) != 0)
		put(&header, "\x19sessions", 9);
	if (test_rand_below(r, 4) == 0)
		put(&header, "\x32\x02\x10\x01", 4); /* a probe */
	if (test_rand_below(r, 4) == 0)
		put(&header, "\x98\x06\x01", 3); /* unknown */
	b->len = 0;
	if (is_before)
		put(b, header.data, header.len);
	for (unsigned int i = 0; i < nb; i++) {
		random_message(r, &m);
		put_varint(b, 4 << 3 | 2, (unsigned int)test_rand_below(r, 2));
		put_varint(b, m.len, (unsigned int)test_rand_below(r, 3));
		put(b, m.data, m.len);
	}
	if (!is_before)
		put(b, header.data, header.len);
}

/* Every field the template reads in place is what protobuf-c read from the original. */
static void
expect_same(const Sluice__V1__Message *m, const uint8_t *t, size_t len)
{
	const uint8_t *payload;
	uint32_t payload_len = 0;
	Sluice__V1__Message *again;

	assert_int_equal(sl_wire_get64(t + SL_WIRE_OFF_SOURCE), m->source);
	assert_int_equal(sl_wire_get64(t + SL_WIRE_OFF_ID_HIGH), m->id_high);
	assert_int_equal(sl_wire_get64(t + SL_WIRE_OFF_ID_LOW), m->id_low);
	assert_int_equal(sl_wire_get64(t + SL_WIRE_OFF_DEST), m->destination);
	assert_int_equal(sl_wire_get64(t + SL_WIRE_OFF_SEQUENCE), m->sequence);
	assert_int_equal(sl_wire_get64(t + SL_WIRE_OFF_TIMESTAMP), m->timestamp_ns);
	assert_int_equal(sl_wire_get64(t + SL_WIRE_OFF_TYPE), m->type);
	assert_int_equal(sl_wire_get32(t + SL_WIRE_OFF_PRIORITY), m->priority);
	assert_int_equal(sl_wire_get32(t + SL_WIRE_OFF_FLAGS), m->flags);
	payload = sl_wire_message_payload(t, len, &payload_len);
	assert_int_equal(payload != NULL, m->has_payload);
	assert_int_equal(payload_len, m->has_payload ? m->payload.len : 0);
	if (payload_len != 0)
		assert_memory_equal(payload, m->payload.data, payload_len);
	again = sluice__v1__message__unpack(NULL, len, t);
	assert_non_null(again);
	assert_int_equal(again->has_id_text, m->has_id_text);
	assert_int_equal(again->id_text.len, m->id_text.len);
	if (m->id_text.len != 0)
		assert_memory_equal(again->id_text.data, m->id_text.data, m->id_text.len);
	assert_int_equal(again->base.n_unknown_fields, m->base.n_unknown_fields);
	for (unsigned int i = 0; i < m->base.n_unknown_fields; i++) {
		assert_int_equal(again->base.unknown_fields[i].tag, m->base.unknown_fields[i].tag);
		assert_int_equal(again->base.unknown_fields[i].len, m->base.unknown_fields[i].len);
		assert_memory_equal(again->base.unknown_fields[i].data,
			m->base.unknown_fields[i].data, m->base.unknown_fields[i].len);
	}
	sluice__v1__message__free_unpacked(again, NULL);
}

static void
test_slow_path_agrees_with_protobuf_c(void **state)
{
	static struct buf b;
	struct test_rand r;
	Sluice__V1__Datagram *d;

	(void)state;
	test_rand_init(&r, "wire slow path");
	for (unsigned int round = 0; round < 20000; round++) {
		random_datagram(&r, &b);
		expect_normalised(&b);
		d = sluice__v1__datagram__unpack(NULL, b.len, b.data);
		assert_non_null(d);
		assert_int_equal(dg.epoch, d->epoch);
		assert_int_equal(dg.session, d->session);
		assert_int_equal(dg.nb_messages, d->n_messages);
		assert_int_equal(dg.extras, d->probe != NULL ? SL_WIRE_HAS_PROBE : 0);
		for (unsigned int i = 0; i < dg.nb_messages; i++)
			expect_same(d->messages[i], rewritten.data + dg.messages[i].offset,
				dg.messages[i].len);
		sluice__v1__datagram__free_unpacked(d, NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_path_agrees_with_protobuf_c),
	};

	return cmocka_run_group_tests_name("wire_random", tests, NULL, NULL);
}
