/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
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
#include "test_wire_buf.h"

#define EPOCH	UINT32_C(0x01020304)
#define SESSION UINT64_C(0x1112131415161718)

static void
put_header(struct buf *b)
{
	b->len = 0;
	sl_wire_put_header(b->data, EPOCH, SESSION);
	b->len = SL_WIRE_HEADER_LEN;
}

/* A message whose fields all differ, then @p tail. */
static void
put_message(struct buf *b, uint32_t payload_len, const void *tail, size_t tail_len)
{
	static struct buf m;
	struct sl_wire_message fields = {
		.key = {.destination = 4, .source = 1, .id_high = 2, .id_low = 3},
		.sequence = 5,
		.timestamp_ns = 6,
		.type = 7,
		.priority = 8,
		.flags = 9,
		.payload_len = payload_len,
	};
	uint8_t *payload = malloc(payload_len + 1);
	size_t envelope;

	memset(payload, 'p', payload_len);
	fields.payload = payload;
	m.len = (size_t)(sl_wire_put_message(m.data, &fields) - m.data);
	assert_int_equal(m.len, sl_wire_message_size(payload_len));
	for (envelope = 1; m.data[envelope] & 0x80; envelope++)
		;
	envelope++;
	put(&m, tail, tail_len);
	put_len_field(b, 4, m.data + envelope, m.len - envelope);
	free(payload);
}

static void
expect_fields(const uint8_t *m)
{
	struct sl_wire_key key;

	sl_wire_message_key(m, &key);
	assert_int_equal(key.source, 1);
	assert_int_equal(key.id_high, 2);
	assert_int_equal(key.id_low, 3);
	assert_int_equal(key.destination, 4);
	assert_int_equal(sl_wire_get64(m + SL_WIRE_OFF_SEQUENCE), 5);
	assert_int_equal(sl_wire_get64(m + SL_WIRE_OFF_TIMESTAMP), 6);
	assert_int_equal(sl_wire_get64(m + SL_WIRE_OFF_TYPE), 7);
	assert_int_equal(sl_wire_get32(m + SL_WIRE_OFF_PRIORITY), 8);
	assert_int_equal(sl_wire_get32(m + SL_WIRE_OFF_FLAGS), 9);
}

static void
test_keys_of_names(void **state)
{
	(void)state;
	assert_int_equal(sl_wire_name_key("table1"), UINT64_C(0xe265c9dbf29f8fca));
	assert_int_equal(sl_wire_name_key("server1"), UINT64_C(0x34c90d949fadbbb9));
	assert_int_equal(sl_wire_name_key("breakfast"), UINT64_C(0x75e32abb37a3e1c6));
	assert_int_equal(sl_wire_name_key_len("table11", 6), UINT64_C(0xe265c9dbf29f8fca));
	/* The published vectors of FNV-1a; bytes above 127 are not sign-extended. */
	assert_int_equal(sl_wire_name_key(""), UINT64_C(0xcbf29ce484222325));
	assert_int_equal(sl_wire_name_key("a"), UINT64_C(0xaf63dc4c8601ec8c));
	assert_int_equal(sl_wire_name_key("foobar"), UINT64_C(0x85944171f73967e8));
	assert_int_equal(sl_wire_name_key("\xff"), UINT64_C(0xaf64724c8602eb6e));
}

static void
test_text_ids(void **state)
{
	static struct buf b;
	struct sl_wire_message fields = {.payload = "payload", .id_text = "m-17", .id_text_len = 4};
	uint64_t high, low;
	const uint8_t *m;
	uint32_t len;

	(void)state;
	/* XXH3-128 of "" as published, and of what the clients make ids of. */
	sl_wire_text_id("", 0, &high, &low);
	assert_int_equal(high, UINT64_C(0x99aa06d3014798d8));
	assert_int_equal(low, UINT64_C(0x6001c324468d497f));
	sl_wire_text_id("m-17", 4, &high, &low);
	assert_int_equal(high, UINT64_C(0xbcc37e867f4bf817));
	assert_int_equal(low, UINT64_C(0x9f5fbdc36d400feb));
	for (fields.payload_len = 0; fields.payload_len <= 7; fields.payload_len += 7) {
		put_header(&b);
		b.len = (size_t)(sl_wire_put_message(b.data + b.len, &fields) - b.data);
		len = sl_wire_message_len(fields.payload_len, 4);
		assert_int_equal(b.len, SL_WIRE_HEADER_LEN + 1 + sl_wire_varint_len(len) + len);
		assert_int_equal(parse(&b, &dg), SL_WIRE_OK);
		m = sl_wire_message_id_text(
			b.data + dg.messages[0].offset, dg.messages[0].len, &len);
		assert_non_null(m);
		assert_int_equal(len, 4);
		assert_memory_equal(m, "m-17", 4);
		/* Cut short, there is none. */
		assert_null(sl_wire_message_id_text(
			b.data + dg.messages[0].offset, dg.messages[0].len - 1, &len));
	}
	/* The last counts. */
	memcpy(b.data + b.len, "\x82\x01\x02xy", 5);
	m = sl_wire_message_id_text(b.data + dg.messages[0].offset, dg.messages[0].len + 5u, &len);
	assert_memory_equal(m, "xy", len);
}

static void
test_error_words(void **state)
{
	static const char *const words[] = {"ok", "slow", "bad_magic", "malformed", "missing_field",
		"bad_priority", "too_many_messages", "too_complex", "empty"};

	(void)state;
	assert_int_equal(RTE_DIM(words), SL_WIRE_EMPTY + 1);
	for (unsigned int i = 0; i < RTE_DIM(words); i++)
		assert_string_equal(sl_wire_strerror((enum sl_wire_error)i), words[i]);
	assert_string_equal(sl_wire_strerror((enum sl_wire_error)RTE_DIM(words)), "unknown");
}

static void
test_varint_len(void **state)
{
	(void)state;
	assert_int_equal(sl_wire_varint_len(0), 1);
	assert_int_equal(sl_wire_varint_len(127), 1);
	assert_int_equal(sl_wire_varint_len(128), 2);
	assert_int_equal(sl_wire_varint_len(16383), 2);
	assert_int_equal(sl_wire_varint_len(16384), 3);
	assert_int_equal(sl_wire_varint_len(2097151), 3);
	assert_int_equal(sl_wire_varint_len(2097152), 4);
	assert_int_equal(sl_wire_varint_len(UINT32_MAX), 5);
}

/* The stock serializer, told the same, writes the same bytes; its fields are at the offsets. */
static void
test_builder_writes_what_the_stock_serializer_writes(void **state)
{
	static const uint32_t lengths[] = {
		0, 1, 127, 128, 52, 53, 54, 55, 1400, 16306, 16307, 16308, 16383, 16384, 65000};
	static struct buf ours, stock;
	Sluice__V1__Message m = SLUICE__V1__MESSAGE__INIT, *list = &m;
	Sluice__V1__Datagram d = SLUICE__V1__DATAGRAM__INIT;

	(void)state;
	d.has_magic = d.has_epoch = d.has_session = 1;
	d.magic = SL_WIRE_MAGIC;
	d.epoch = EPOCH;
	d.session = SESSION;
	d.messages = &list;
	d.n_messages = 1;
	m.has_source = m.has_id_high = m.has_id_low = m.has_destination = m.has_sequence = 1;
	m.has_timestamp_ns = m.has_type = m.has_priority = m.has_flags = 1;
	m.source = 1;
	m.id_high = 2;
	m.id_low = 3;
	m.destination = 4;
	m.sequence = 5;
	m.timestamp_ns = 6;
	m.type = 7;
	m.priority = 8;
	m.flags = 9;
	for (unsigned int i = 0; i < RTE_DIM(lengths); i++) {
		m.has_payload = lengths[i] != 0;
		m.payload.len = lengths[i];
		m.payload.data = malloc(lengths[i] + 1);
		memset(m.payload.data, 'p', lengths[i]);
		put_header(&ours);
		put_message(&ours, lengths[i], NULL, 0);
		stock.len = sluice__v1__datagram__pack(&d, stock.data);
		assert_int_equal(stock.len, ours.len);
		assert_memory_equal(stock.data, ours.data, ours.len);
		assert_int_equal(stock.len, SL_WIRE_HEADER_LEN + sl_wire_message_size(lengths[i]));
		free(m.payload.data);
	}
	assert_int_equal(sl_wire_get32(stock.data + SL_WIRE_OFF_EPOCH), EPOCH);
	assert_int_equal(sl_wire_get64(stock.data + SL_WIRE_OFF_SESSION), SESSION);
	expect_fields(stock.data + SL_WIRE_HEADER_LEN + 4);
}

static void
test_payload_lengths_at_the_varint_edges(void **state)
{
	static const uint32_t lengths[] = {0, 1, 52, 53, 126, 127, 128, 129, 16307, 16308, 16382,
		16383, 16384, 16385, 65000, 65405};
	static struct buf b;
	const uint8_t *payload, *m;
	uint32_t len;

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(lengths); i++) {
		put_header(&b);
		put_message(&b, lengths[i], NULL, 0);
		assert_int_equal(parse(&b, &dg), SL_WIRE_OK);
		assert_true(dg.is_single);
		m = b.data + dg.messages[0].offset;
		expect_fields(m);
		payload = sl_wire_message_payload(m, dg.messages[0].len, &len);
		if (lengths[i] == 0) {
			assert_null(payload);
			continue;
		}
		assert_int_equal(len, lengths[i]);
		assert_ptr_equal(payload, b.data + b.len - len);
		assert_int_equal(payload[0], 'p');
		assert_int_equal(payload[len - 1], 'p');
	}
}

static void
test_single_and_several(void **state)
{
	static struct buf b;

	(void)state;
	put_header(&b);
	put_message(&b, 10, NULL, 0);
	assert_int_equal(parse(&b, &dg), SL_WIRE_OK);
	assert_int_equal(dg.epoch, EPOCH);
	assert_int_equal(dg.session, SESSION);
	assert_int_equal(dg.nb_messages, 1);
	assert_int_equal(dg.extras, 0);
	assert_true(dg.is_single);
	assert_int_equal(dg.messages[0].offset, SL_WIRE_HEADER_LEN + 2);
	assert_int_equal(dg.messages[0].len, b.len - SL_WIRE_HEADER_LEN - 2);
	for (unsigned int i = 2; i <= SL_WIRE_MESSAGES_MAX; i++) {
		put_message(&b, i, NULL, 0);
		assert_int_equal(parse(&b, &dg), SL_WIRE_OK);
		assert_int_equal(dg.nb_messages, i);
		assert_false(dg.is_single);
		assert_int_equal(dg.messages[i - 1].offset + dg.messages[i - 1].len, b.len);
		expect_fields(b.data + dg.messages[i - 1].offset);
	}
	expect_normalised(&b);
	assert_int_equal(rewritten.len, b.len);
	assert_memory_equal(rewritten.data, b.data, b.len);
	put_message(&b, 1, NULL, 0);
	assert_int_equal(parse(&b, &dg), SL_WIRE_TOO_MANY);
	assert_int_equal(parse_slow(&b), SL_WIRE_TOO_MANY);
}

static void
test_every_truncation_is_refused(void **state)
{
	static const uint8_t tail[] = "\x82\x01\x05order\x88\x01\x96\x01\x91\x01"
				      "12345678\x9d\x01"
				      "1234";
	static struct buf b;
	enum sl_wire_error fast, slow;
	size_t whole;

	(void)state;
	put_header(&b);
	put_message(&b, 300, tail, sizeof(tail) - 1);
	assert_int_equal(parse(&b, &dg), SL_WIRE_OK);
	whole = b.len;
	for (b.len = 0; b.len < whole; b.len++) {
		fast = parse(&b, &dg);
		slow = parse_slow(&b);
		assert_int_equal(fast, b.len == SL_WIRE_HEADER_LEN ? SL_WIRE_EMPTY : SL_WIRE_SLOW);
		assert_int_not_equal(slow, SL_WIRE_OK);
		assert_int_not_equal(slow, SL_WIRE_SLOW);
	}
}

/* Cut inside the message but with lengths that agree: each must be seen for what it is. */
static void
test_every_truncation_of_a_message_is_refused(void **state)
{
	static struct buf whole, b;
	static struct sl_wire_datagram fast;
	size_t first, len;

	(void)state;
	put_header(&whole);
	put_message(&whole, 40, "\x82\x01\x02ok", 5);
	assert_int_equal(parse(&whole, &dg), SL_WIRE_OK);
	first = dg.messages[0].offset;
	for (len = 0; len < dg.messages[0].len; len++) {
		put_header(&b);
		put_len_field(&b, 4, whole.data + first, len);
		if (parse(&b, &fast) == SL_WIRE_OK)
			/* A whole number of fields is a shorter message. */
			assert_true(len == SL_WIRE_MESSAGE_MIN || len == SL_WIRE_MESSAGE_MIN + 42);
		else
			assert_true(len < SL_WIRE_MESSAGE_MIN || len > SL_WIRE_MESSAGE_MIN);
	}
}

static void
test_trailing_fields_are_kept(void **state)
{
	/* id_text, then unknown ones of each wire type, of small and of the largest number. */
	static const uint8_t tail[] = "\x82\x01\x02ok\x88\x01\x80\x80\x01\x91\x01"
				      "12345678\x9a\x01\x03"
				      "abc\xa5\x01"
				      "1234\xfa\xff\xff\xff\x0f\x01z\x62\x01y";
	static struct buf b;

	(void)state;
	put_header(&b);
	put_message(&b, 5, tail, sizeof(tail) - 1);
	assert_int_equal(parse(&b, &dg), SL_WIRE_OK);
	assert_memory_equal(b.data + b.len - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
	assert_int_equal(dg.messages[0].offset + dg.messages[0].len, b.len);
	expect_normalised(&b);
	assert_int_equal(rewritten.len, b.len);
	assert_memory_equal(rewritten.data, b.data, b.len);
	/* Between known fields they are moved behind them, otherwise as they were. */
	put_header(&b);
	put_varint(&b, 4 << 3 | 2, 0);
	put_varint(&b, sizeof(tail) - 1 + SL_WIRE_MESSAGE_MIN, 0);
	put(&b, tail, sizeof(tail) - 1);
	put(&b, rewritten.data + dg.messages[0].offset, SL_WIRE_MESSAGE_MIN);
	assert_int_equal(parse(&b, &dg), SL_WIRE_SLOW);
	expect_normalised(&b);
	assert_memory_equal(
		rewritten.data + rewritten.len - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
}

static void
test_hostile_trailing_fields(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{"\x88\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
			13},				 /* an 11-byte varint */
		{"\x88\x01\xff", 3},			 /* a varint without an end */
		{"\x9a\x01\xff\xff\xff\xff\x0f", 7},	 /* 4 GiB to come */
		{"\x9a\x01\xff\xff\xff\xff\xff\x01", 8}, /* a length beyond 32 bits */
		{"\x9a\x01\x02x", 4},			 /* one byte short */
		{"\x91\x01"
		 "1234567",
			9}, /* of a fixed64 */
		{"\xa5\x01"
		 "123",
			5},			      /* of a fixed32 */
		{"\x9b\x01\x9c\x01", 4},	      /* a group */
		{"\x9e\x01", 2},		      /* wire types 6 and 7 do not exist */
		{"\x9f\x01", 2}, {"\x9a", 1},	      /* half a tag */
		{"\x02\x01z", 3},		      /* field 0 */
		{"\x82\x00\x01z", 4},		      /* field 0, in disguise */
		{"\x82\x80\x80\x80\x10\x01z", 7},     /* field 2^29 */
		{"\x82\x80\x80\x80\x80\x01\x01z", 8}, /* a 6-byte tag */
		{"\x80\x01\x05", 3},		      /* id_text that is a number */
	};
	static struct buf b;

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(bad); i++) {
		put_header(&b);
		put_message(&b, 3, bad[i].bytes, bad[i].len);
		assert_int_equal(parse(&b, &dg), SL_WIRE_SLOW);
		if (parse_slow(&b) != SL_WIRE_MALFORMED)
			fail_msg("hostile tail %u: not malformed", i);
	}
}

static void
test_reasons(void **state)
{
	static struct buf b;

	(void)state;
	b.len = 0;
	assert_int_equal(parse(&b, &dg), SL_WIRE_SLOW);
	assert_int_equal(parse_slow(&b), SL_WIRE_BAD_MAGIC);

	put_header(&b);
	assert_int_equal(parse(&b, &dg), SL_WIRE_EMPTY);
	assert_int_equal(parse_slow(&b), SL_WIRE_EMPTY);

	put_message(&b, 3, NULL, 0);
	b.data[1] ^= 1;
	assert_int_equal(parse(&b, &dg), SL_WIRE_BAD_MAGIC);
	assert_int_equal(parse_slow(&b), SL_WIRE_BAD_MAGIC);

	put_header(&b);
	put_message(&b, 3, NULL, 0);
	b.data[SL_WIRE_HEADER_LEN + 2 + SL_WIRE_OFF_PRIORITY] = 9;
	assert_int_equal(parse(&b, &dg), SL_WIRE_BAD_PRIORITY);
	assert_int_equal(parse_slow(&b), SL_WIRE_BAD_PRIORITY);
	memset(b.data + SL_WIRE_HEADER_LEN + 2 + SL_WIRE_OFF_PRIORITY, 0xff, 4);
	assert_int_equal(parse(&b, &dg), SL_WIRE_BAD_PRIORITY);

	/* One bad message among good ones: the datagram is dropped whole. */
	put_header(&b);
	put_message(&b, 3, NULL, 0);
	put_len_field(&b, 4, "", 0);
	put_message(&b, 3, NULL, 0);
	assert_int_equal(parse(&b, &dg), SL_WIRE_SLOW);
	assert_int_equal(parse_slow(&b), SL_WIRE_MISSING_FIELD);

	/* A length beyond the end. */
	put_header(&b);
	put(&b, "\x22\xff\xff\x03", 4);
	assert_int_equal(parse(&b, &dg), SL_WIRE_SLOW);
	assert_int_equal(parse_slow(&b), SL_WIRE_MALFORMED);
}

/* Each field alone, as the stock serializer writes it. */
static void
put_field(struct buf *b, unsigned int field, uint64_t value)
{
	uint8_t bytes[8];

	put_varint(b, field << 3 | (field == 8 || field == 9 ? 5 : 1), 0);
	sl_wire_put64(bytes, value);
	put(b, bytes, field == 8 || field == 9 ? 4 : 8);
}

static void
test_missing_fields(void **state)
{
	static struct buf b, m;
	const uint8_t *out;

	(void)state;
	for (unsigned int missing = 1; missing <= 9; missing++) {
		m.len = 0;
		for (unsigned int field = 1; field <= 9; field++) {
			if (field != missing)
				put_field(&m, field, field);
		}
		put_header(&b);
		put_len_field(&b, 4, m.data, m.len);
		assert_int_equal(parse(&b, &dg), SL_WIRE_SLOW);
		if (missing <= 4) {
			assert_int_equal(parse_slow(&b), SL_WIRE_MISSING_FIELD);
			continue;
		}
		expect_normalised(&b);
		out = rewritten.data + dg.messages[0].offset;
		assert_int_equal(dg.messages[0].len, SL_WIRE_MESSAGE_MIN);
		for (unsigned int field = 1; field <= 9; field++)
			assert_int_equal(field < 9 ? out[9 * field - 8] : out[SL_WIRE_OFF_FLAGS],
				field == missing ? 0 : field);
	}
}

static void
test_order_and_repetition_are_normalised(void **state)
{
	static struct buf b, m, expected;

	(void)state;
	put_header(&expected);
	put_message(&expected, 4, NULL, 0);
	m.len = 0;
	put_len_field(&m, 15, "gone", 4);
	for (unsigned int field = 9; field >= 1; field--) {
		put_field(&m, field, 0x77); /* overridden below: the last one counts */
		put_field(&m, field, field);
	}
	put_len_field(&m, 15, "pppp", 4);
	/* The datagram's own fields behind the message, twice. */
	b.len = 0;
	put_len_field(&b, 4, m.data, m.len);
	put(&b, "\x0d\0\0\0\0\x15\0\0\0\0", 10);
	put(&b, expected.data, SL_WIRE_HEADER_LEN);
	assert_int_equal(parse(&b, &dg), SL_WIRE_SLOW);
	expect_normalised(&b);
	assert_int_equal(rewritten.len, expected.len);
	assert_memory_equal(rewritten.data, expected.data, expected.len);
}

/* It would override what stands at a constant offset: not for the template to step over. */
static void
test_a_known_field_again_behind_the_payload(void **state)
{
	static struct buf b, tail;
	const uint8_t *m, *payload;
	uint32_t len = 0;

	(void)state;
	for (unsigned int field = 1; field <= 9; field++) {
		tail.len = 0;
		put_field(&tail, field, 0); /* as a priority, too, 0 is valid */
		put_header(&b);
		put_message(&b, 4, tail.data, tail.len);
		assert_int_equal(parse(&b, &dg), SL_WIRE_SLOW);
		expect_normalised(&b);
		m = rewritten.data + dg.messages[0].offset;
		assert_int_equal(field < 9 ? m[9 * field - 8] : m[SL_WIRE_OFF_FLAGS], 0);
	}
	put_header(&b);
	put_message(&b, 4, "\x7a\x02no\x7a\x03yes", 9);
	assert_int_equal(parse(&b, &dg), SL_WIRE_SLOW);
	expect_normalised(&b);
	payload = sl_wire_message_payload(
		rewritten.data + dg.messages[0].offset, dg.messages[0].len, &len);
	assert_int_equal(len, 3);
	assert_memory_equal(payload, "yes", 3);
}

static void
test_lengths_longer_than_they_need_be(void **state)
{
	static struct buf b, whole;
	static struct sl_wire_datagram fast;
	enum sl_wire_error rc;

	(void)state;
	put_header(&whole);
	put_message(&whole, 4, NULL, 0);
	assert_int_equal(parse(&whole, &dg), SL_WIRE_OK);
	for (unsigned int extra = 0; extra <= 4; extra++) {
		put_header(&b);
		put_varint(&b, 4 << 3 | 2, 0);
		put_varint(&b, whole.len - SL_WIRE_HEADER_LEN - 2, extra);
		assert_int_equal(b.len, SL_WIRE_HEADER_LEN + 2 + extra);
		put(&b, whole.data + SL_WIRE_HEADER_LEN + 2, whole.len - SL_WIRE_HEADER_LEN - 2);
		rc = parse(&b, &fast);
		assert_int_equal(rc, extra <= 2 ? SL_WIRE_OK : SL_WIRE_SLOW);
		if (rc == SL_WIRE_OK)
			expect_fields(b.data + fast.messages[0].offset);
		expect_normalised(&b);
		assert_int_equal(rewritten.len, whole.len);
		assert_memory_equal(rewritten.data, whole.data, whole.len);
	}
}

static void
test_id_text_with_a_nul_survives(void **state)
{
	static const uint8_t tail[] = "\x82\x01\x07"
				      "a\0b\0\0c\0";
	static struct buf b;

	(void)state;
	put_header(&b);
	put_message(&b, 0, tail, sizeof(tail) - 1);
	assert_int_equal(parse(&b, &dg), SL_WIRE_OK);
	/* The same, but behind a duplicate field that forces the slow path. */
	put(&b, "\x19", 1);
	put(&b, b.data + SL_WIRE_OFF_SESSION, 8);
	assert_int_equal(parse(&b, &dg), SL_WIRE_SLOW);
	expect_normalised(&b);
	assert_memory_equal(
		rewritten.data + rewritten.len - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
}

static void
test_extras(void **state)
{
	static struct buf b;

	(void)state;
	put_header(&b);
	put(&b,
		"\x2a\x09\x09"
		"12345678",
		11); /* an ack with a session */
	assert_int_equal(parse(&b, &dg), SL_WIRE_SLOW);
	assert_int_equal(parse_slow(&b), SL_WIRE_OK);
	assert_int_equal(dg.extras, SL_WIRE_HAS_ACK);
	assert_int_equal(dg.nb_messages, 0);
	assert_false(dg.is_single);
	put(&b, "\x32\x02\x10\x01\x3a\x02\x28\x01", 8); /* a probe's reply, a leave */
	put_message(&b, 3, NULL, 0);
	assert_int_equal(parse(&b, &dg), SL_WIRE_SLOW);
	expect_normalised(&b);
	assert_int_equal(dg.extras, SL_WIRE_HAS_ACK | SL_WIRE_HAS_PROBE | SL_WIRE_HAS_SUBSCRIBE);
	assert_int_equal(dg.nb_messages, 1);
	assert_false(dg.is_single);
}

/* However little memory there is: OK or NO_MEMORY, and never a byte behind what was given. */
static void
test_too_little_memory(void **state)
{
	static struct buf b;
	unsigned int nb_ok = 0, nb_refused = 0;
	enum sl_wire_error rc;
	uint8_t *mem, *out;
	size_t need, n;

	(void)state;
	put_header(&b);
	for (unsigned int i = 0; i < 5; i++)
		put_message(&b, 100, "\x88\x01\x05", 3);
	assert_int_equal(parse_slow(&b), SL_WIRE_OK);
	need = rewritten.len;
	for (size_t len = 0; len < 4096; len += 7) {
		mem = malloc(len);
		rc = sl_wire_parse_slow(
			b.data, b.len, mem, len, rewritten.data, sizeof(rewritten.data), &dg, &n);
		free(mem);
		assert_true(rc == SL_WIRE_OK || rc == SL_WIRE_NO_MEMORY);
		nb_ok += rc == SL_WIRE_OK;
		nb_refused += rc == SL_WIRE_NO_MEMORY;
	}
	assert_true(nb_ok > 0 && nb_refused > 0);
	for (size_t len = 0; len < need + 64; len++) {
		out = malloc(len);
		rc = sl_wire_parse_slow(b.data, b.len, arena, sizeof(arena), out, len, &dg, &n);
		free(out);
		if (len < need)
			assert_int_equal(rc, SL_WIRE_NO_MEMORY);
		else if (len >= need + SL_WIRE_ENVELOPE_MAX)
			assert_int_equal(rc, SL_WIRE_OK);
	}
}

/* What grows beyond 65535 bytes when completed has no spans: refused, not wrapped around. */
static void
test_growth_beyond_a_span(void **state)
{
	static uint8_t large[2 * UINT16_MAX];
	static struct buf b, m;
	static uint8_t payload[213];
	size_t n;

	(void)state;
	m.len = 0;
	for (unsigned int field = 1; field <= 4; field++)
		put_field(&m, field, field);
	put_len_field(&m, 15, payload, sizeof(payload));
	put_header(&b);
	for (unsigned int i = 0; i < SL_WIRE_MESSAGES_MAX - 1; i++)
		put_len_field(&b, 4, m.data, m.len);
	assert_in_range(b.len, 65000, 65507);
	assert_int_equal(sl_wire_parse_slow(b.data, b.len, arena, sizeof(arena), large,
				 sizeof(large), &dg, &n),
		SL_WIRE_NO_MEMORY);
}

/* What is written is what protobuf's own serializer writes, and is read back, whole or not at all.
 */
static void
test_probes(void **state)
{
	const struct sl_wire_probe probe = {
		.nonce = UINT64_C(0x1122334455667788),
		.is_reply = true,
		.in_flight = 17,
		.latency_ns = UINT64_C(9000000001),
	};
	Sluice__V1__Datagram d = SLUICE__V1__DATAGRAM__INIT;
	Sluice__V1__Probe p = SLUICE__V1__PROBE__INIT;
	uint8_t written[SL_WIRE_PROBE_MAX], packed[256];
	struct sl_wire_probe got;
	size_t len;

	(void)state;
	d.has_magic = d.has_epoch = d.has_session = 1;
	d.magic = SL_WIRE_MAGIC;
	d.epoch = 7;
	d.probe = &p;
	p.has_nonce = p.has_reply = p.has_in_flight = p.has_latency_ns = 1;
	p.nonce = probe.nonce;
	p.reply = 1;
	p.in_flight = probe.in_flight;
	p.latency_ns = probe.latency_ns;
	len = sl_wire_put_probe(written, 7, &probe);
	assert_int_equal(len, sluice__v1__datagram__pack(&d, packed));
	assert_memory_equal(written, packed, len);

	assert_true(sl_wire_parse_probe(written, len, arena, sizeof(arena), &got));
	assert_int_equal(got.nonce, probe.nonce);
	assert_true(got.is_reply);
	assert_int_equal(got.in_flight, probe.in_flight);
	assert_int_equal(got.latency_ns, probe.latency_ns);
	for (size_t cut = 0; cut < len; cut++)
		assert_false(sl_wire_parse_probe(written, cut, arena, sizeof(arena), &got));
	assert_false(sl_wire_parse_probe(written, len, arena, 16, &got));
}

static void
test_subscriptions_are_read(void **state)
{
	Sluice__V1__Datagram d = SLUICE__V1__DATAGRAM__INIT;
	Sluice__V1__Subscribe s = SLUICE__V1__SUBSCRIBE__INIT;
	struct sl_wire_subscribe got;
	uint8_t packed[256];
	char name[SL_WIRE_NAME_MAX + 2];
	size_t len;

	d.has_magic = 1;
	d.magic = SL_WIRE_MAGIC;
	d.subscribe = &s;
	s.destination = (char *)(uintptr_t) "news";
	s.backend = name;
	s.has_ttl_ms = 1;
	s.ttl_ms = 5000;
	s.has_leave = 1;
	s.leave = 1;
	memset(name, 'a', sizeof(name));
	name[SL_WIRE_NAME_MAX] = '\0';
	len = sluice__v1__datagram__pack(&d, packed);
	assert_true(sl_wire_parse_subscribe(packed, len, arena, sizeof(arena), &got));
	assert_string_equal(got.destination, "news");
	assert_string_equal(got.backend, name);
	assert_int_equal(got.ttl_ms, 5000);
	assert_int_equal(got.credit, 0);
	assert_true(got.is_leave);
	for (size_t cut = 0; cut < len; cut++)
		assert_false(sl_wire_parse_subscribe(packed, cut, arena, sizeof(arena), &got));
	assert_false(sl_wire_parse_subscribe(packed, len, arena, 16, &got));
	/* Too long, and none at all. */
	name[SL_WIRE_NAME_MAX] = 'a';
	name[SL_WIRE_NAME_MAX + 1] = '\0';
	len = sluice__v1__datagram__pack(&d, packed);
	assert_false(sl_wire_parse_subscribe(packed, len, arena, sizeof(arena), &got));
	s.backend = (char *)(uintptr_t) "";
	len = sluice__v1__datagram__pack(&d, packed);
	assert_false(sl_wire_parse_subscribe(packed, len, arena, sizeof(arena), &got));
	d.subscribe = NULL;
	len = sluice__v1__datagram__pack(&d, packed);
	assert_false(sl_wire_parse_subscribe(packed, len, arena, sizeof(arena), &got));
}

static void
test_thousands_of_messages(void **state)
{
	static struct buf b;
	uint8_t small[4096];
	size_t n;

	(void)state;
	put_header(&b);
	while (b.len + 2 <= UINT16_MAX)
		put(&b, "\x22\x00", 2);
	assert_int_equal(parse(&b, &dg), SL_WIRE_SLOW);
	assert_int_equal(sl_wire_parse_slow(b.data, b.len, small, sizeof(small), rewritten.data,
				 sizeof(rewritten.data), &dg, &n),
		SL_WIRE_NO_MEMORY);
	assert_int_equal(parse_slow(&b), SL_WIRE_TOO_MANY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_of_names),
		cmocka_unit_test(test_text_ids),
		cmocka_unit_test(test_error_words),
		cmocka_unit_test(test_varint_len),
		cmocka_unit_test(test_builder_writes_what_the_stock_serializer_writes),
		cmocka_unit_test(test_payload_lengths_at_the_varint_edges),
		cmocka_unit_test(test_single_and_several),
		cmocka_unit_test(test_every_truncation_is_refused),
		cmocka_unit_test(test_every_truncation_of_a_message_is_refused),
		cmocka_unit_test(test_trailing_fields_are_kept),
		cmocka_unit_test(test_hostile_trailing_fields),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_missing_fields),
		cmocka_unit_test(test_order_and_repetition_are_normalised),
		cmocka_unit_test(test_a_known_field_again_behind_the_payload),
		cmocka_unit_test(test_lengths_longer_than_they_need_be),
		cmocka_unit_test(test_id_text_with_a_nul_survives),
		cmocka_unit_test(test_extras),
		cmocka_unit_test(test_too_little_memory),
		cmocka_unit_test(test_growth_beyond_a_span),
		cmocka_unit_test(test_subscriptions_are_read),
		cmocka_unit_test(test_thousands_of_messages),
		cmocka_unit_test(test_probes),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
