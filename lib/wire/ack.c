/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <rte_branch_prediction.h>

#include "arena.h"
#include "sl_wire.h"
#include "sluice.pb-c.h"

/*
 * As a stock serializer writes it: behind the datagram's header `2a LENGTH(varint)`, then
 *   09 session(8) 11 cumulative(8) 19 highest(8) [22 LENGTH(varint) selective]
 *   29 credit_limit(8) 31 echo_timestamp_ns(8) 3d ack_delay_ns(4)
 */
#define TAG_SELECTIVE 0x22
#define HEAD_LEN      27 /* The fields before `selective`. */
#define TAIL_LEN      23 /* Those behind it. */

static uint8_t *
put_field64(uint8_t *p, uint8_t tag, uint64_t value)
{
	*p++ = tag;
	sl_wire_put64(p, value);
	return p + sizeof(value);
}

/* Of at most 255: one byte or two. */
static uint8_t *
put_length(uint8_t *p, uint32_t len)
{
	if (len >= 0x80) {
		*p++ = (uint8_t)(len | 0x80);
		len >>= 7;
	}
	*p++ = (uint8_t)len;
	return p;
}

/* Returns the first byte behind it, or NULL when put_length() would not have written it so. */
static inline const uint8_t *
get_length(const uint8_t *p, const uint8_t *end, uint32_t *len)
{
	if (unlikely(p == end))
		return NULL;
	*len = *p++;
	if (*len < 0x80)
		return p;
	if (unlikely(p == end || *p != 1))
		return NULL;
	return p + 1;
}

static uint32_t
selective_size(uint32_t len)
{
	/* proto3 leaves empty bytes out. */
	return len == 0 ? 0 : 1 + sl_wire_varint_len(len) + len;
}

size_t
sl_wire_put_ack(uint8_t *buf, uint32_t epoch, const struct sl_wire_ack *ack)
{
	uint8_t *p = sl_wire_put_header(buf, epoch, 0);

	*p++ = SL_WIRE_TAG_ACK;
	p = put_length(p, HEAD_LEN + selective_size(ack->selective_len) + TAIL_LEN);
	p = put_field64(p, 0x09, ack->session);
	p = put_field64(p, 0x11, ack->cumulative);
	p = put_field64(p, 0x19, ack->highest);
	if (ack->selective_len != 0) {
		*p++ = TAG_SELECTIVE;
		p = put_length(p, ack->selective_len);
		memcpy(p, ack->selective, ack->selective_len);
		p += ack->selective_len;
	}
	p = put_field64(p, 0x29, ack->credit_limit);
	p = put_field64(p, 0x31, ack->echo_timestamp_ns);
	*p++ = 0x3d;
	sl_wire_put32(p, ack->ack_delay_ns);
	return (size_t)(p + sizeof(uint32_t) - buf);
}

/* Header, tag and length. Returns the ack's first byte, or NULL. */
static inline const uint8_t *
find_ack(const uint8_t *data, size_t len)
{
	const uint8_t *p, *end = data + len;
	uint32_t ack_len;

	if (unlikely(len < SL_WIRE_HEADER_LEN + 2 + HEAD_LEN + TAIL_LEN))
		return NULL;
	if (unlikely(((data[0] ^ 0x0d) | (data[SL_WIRE_OFF_EPOCH - 1] ^ 0x15) |
			     (data[SL_WIRE_OFF_SESSION - 1] ^ 0x19) |
			     (data[SL_WIRE_HEADER_LEN] ^ SL_WIRE_TAG_ACK)) != 0 ||
		    sl_wire_get32(data + 1) != SL_WIRE_MAGIC))
		return NULL;
	p = get_length(data + SL_WIRE_HEADER_LEN + 1, end, &ack_len);
	if (unlikely(p == NULL || (size_t)(end - p) != ack_len || ack_len < HEAD_LEN + TAIL_LEN))
		return NULL;
	return p;
}

bool
sl_wire_parse_ack_fast(const uint8_t *data, size_t len, struct sl_wire_ack *ack)
{
	const uint8_t *p = find_ack(data, len), *end = data + len;
	uint32_t n = 0;

	if (unlikely(p == NULL || ((p[0] ^ 0x09) | (p[9] ^ 0x11) | (p[18] ^ 0x19)) != 0))
		return false;
	ack->session = sl_wire_get64(p + 1);
	ack->cumulative = sl_wire_get64(p + 10);
	ack->highest = sl_wire_get64(p + 19);
	p += HEAD_LEN;
	if (*p == TAG_SELECTIVE) {
		p = get_length(p + 1, end, &n);
		if (unlikely(p == NULL || n == 0 || n > SL_WIRE_SELECTIVE_MAX ||
			    (size_t)(end - p) < n))
			return false;
		memcpy(ack->selective, p, n);
		p += n;
	}
	ack->selective_len = n;
	if (unlikely(end - p != TAIL_LEN || ((p[0] ^ 0x29) | (p[9] ^ 0x31) | (p[18] ^ 0x3d)) != 0))
		return false;
	ack->credit_limit = sl_wire_get64(p + 1);
	ack->echo_timestamp_ns = sl_wire_get64(p + 10);
	ack->ack_delay_ns = sl_wire_get32(p + 19);
	return true;
}

bool
sl_wire_parse_ack(
	const uint8_t *data, size_t len, void *arena, size_t arena_len, struct sl_wire_ack *ack)
{
	Sluice__V1__Datagram *d;
	struct arena a;

	arena_init(&a, arena, arena_len);
	d = sluice__v1__datagram__unpack(&a.allocator, len, data);
	if (d == NULL || d->ack == NULL || !d->ack->has_session ||
		d->ack->selective.len > SL_WIRE_SELECTIVE_MAX)
		return false;
	ack->session = d->ack->session;
	ack->cumulative = d->ack->cumulative;
	ack->highest = d->ack->highest;
	ack->credit_limit = d->ack->credit_limit;
	ack->echo_timestamp_ns = d->ack->echo_timestamp_ns;
	ack->ack_delay_ns = d->ack->ack_delay_ns;
	ack->selective_len = (uint32_t)d->ack->selective.len;
	if (ack->selective_len != 0)
		memcpy(ack->selective, d->ack->selective.data, ack->selective_len);
	return true;
}
