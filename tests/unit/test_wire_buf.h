/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TEST_WIRE_BUF_H
#define TEST_WIRE_BUF_H

/* What the tests of the wire format share. Include cmocka.h first. */
#include <stdlib.h>
#include <string.h>

#include "sl_wire.h"

/* A growing datagram. */
struct buf {
	size_t len;
	uint8_t data[UINT16_MAX + 1];
};

static inline void
put(struct buf *b, const void *data, size_t len)
{
	assert_true(b->len + len <= sizeof(b->data));
	if (len != 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
}

/* A varint, made longer than it need be by @p extra bytes. */
static inline void
put_varint(struct buf *b, uint64_t v, unsigned int extra)
{
	uint8_t byte;
	bool is_last;

	do {
		is_last = v < 0x80 && extra == 0;
		if (v < 0x80 && extra > 0)
			extra--;
		byte = (uint8_t)((v & 0x7f) | (is_last ? 0 : 0x80));
		put(b, &byte, 1);
		v >>= 7;
	} while (!is_last);
}

static inline void
put_len_field(struct buf *b, unsigned int field, const void *data, size_t len)
{
	put_varint(b, field << 3 | 2, 0);
	put_varint(b, len, 0);
	put(b, data, len);
}

/* Parse a copy in an exact heap block, so that the sanitizer build sees an over-read. */
static inline enum sl_wire_error
parse(const struct buf *b, struct sl_wire_datagram *out)
{
	uint8_t *exact = calloc(1, b->len);
	enum sl_wire_error rc;

	if (b->len != 0)
		memcpy(exact, b->data, b->len);
	rc = sl_wire_parse(exact, b->len, out);
	free(exact);
	return rc;
}

static uint8_t arena[16u << 20];
static struct buf rewritten;
static struct sl_wire_datagram dg;

static inline enum sl_wire_error
parse_slow(const struct buf *b)
{
	uint8_t *exact = calloc(1, b->len);
	enum sl_wire_error rc;

	if (b->len != 0)
		memcpy(exact, b->data, b->len);
	rc = sl_wire_parse_slow(exact, b->len, arena, sizeof(arena), rewritten.data,
		sizeof(rewritten.data), &dg, &rewritten.len);
	free(exact);
	return rc;
}

/* What the slow path wrote must be of the template layout, and say the same. */
static inline void
expect_normalised(const struct buf *b)
{
	static struct sl_wire_datagram again;

	assert_int_equal(parse_slow(b), SL_WIRE_OK);
	assert_int_equal(parse(&rewritten, &again), SL_WIRE_OK);
	assert_int_equal(again.epoch, dg.epoch);
	assert_int_equal(again.session, dg.session);
	assert_int_equal(again.nb_messages, dg.nb_messages);
	assert_memory_equal(again.messages, dg.messages, dg.nb_messages * sizeof(dg.messages[0]));
}

#endif /* TEST_WIRE_BUF_H */
