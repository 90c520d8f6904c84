/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <rte_branch_prediction.h>

#include "sl_wire.h"

/* Wire types of protobuf's encoding. */
enum { WT_VARINT = 0, WT_FIXED64 = 1, WT_LEN = 2, WT_FIXED32 = 5 };

#define FIELD_FLAGS   9
#define FIELD_PAYLOAD 15
#define FIELD_ID_TEXT 16

/*
 * A length of up to three bytes (2 MiB - 1): a UDP payload needs no more.
 * Returns the bytes it takes, 0 when it is longer than that or cut short.
 */
static inline unsigned int
get_length(const uint8_t *p, const uint8_t *end, uint32_t *value)
{
	if (likely(end - p >= 1 && p[0] < 0x80)) {
		*value = p[0];
		return 1;
	}
	if (likely(end - p >= 2 && p[1] < 0x80)) {
		*value = (p[0] & 0x7f) | (uint32_t)p[1] << 7;
		return 2;
	}
	if (end - p >= 3 && p[2] < 0x80) {
		*value = (p[0] & 0x7f) | (uint32_t)(p[1] & 0x7f) << 7 | (uint32_t)p[2] << 14;
		return 3;
	}
	return 0;
}

static const uint8_t *
skip_varint(const uint8_t *p, const uint8_t *end)
{
	for (unsigned int i = 0; i < 10 && p < end; i++) {
		if (*p++ < 0x80)
			return p;
	}
	return NULL;
}

/* A tag or length as long as protobuf allows it to be. NULL when it is cut short or too large. */
static const uint8_t *
get_varint32(const uint8_t *p, const uint8_t *end, uint32_t *value)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < 5 && p < end; i++, p++) {
		v |= (uint64_t)(*p & 0x7f) << (7 * i);
		if (*p < 0x80) {
			*value = (uint32_t)v;
			return v <= UINT32_MAX ? p + 1 : NULL;
		}
	}
	return NULL;
}

/*
 * A field that may follow the payload: id_text, or one this version does not know. A known one
 * that comes (again) behind its place could change what was read at a constant offset.
 */
static inline bool
may_trail(uint32_t tag)
{
	uint32_t field = tag >> 3;

	if (field == FIELD_ID_TEXT)
		return (tag & 7) == WT_LEN;
	return field > FIELD_FLAGS && field != FIELD_PAYLOAD;
}

/*
 * Fields behind the payload: the optional id_text and whatever a later version added. They are
 * only stepped over. False when anything is not as a serializer may write it.
 */
static bool
are_trailing_fields_ok(const uint8_t *p, const uint8_t *end)
{
	uint32_t tag, len;

	while (p < end) {
		p = get_varint32(p, end, &tag);
		if (p == NULL || !may_trail(tag))
			return false;
		switch (tag & 7) {
		case WT_VARINT:
			p = skip_varint(p, end);
			if (p == NULL)
				return false;
			break;
		case WT_FIXED64:
			if (end - p < 8)
				return false;
			p += 8;
			break;
		case WT_LEN:
			p = get_varint32(p, end, &len);
			if (p == NULL || (size_t)(end - p) < len)
				return false;
			p += len;
			break;
		case WT_FIXED32:
			if (end - p < 4)
				return false;
			p += 4;
			break;
		default:
			return false;
		}
	}
	return true;
}

static inline enum sl_wire_error
check_message(const uint8_t *m, uint32_t len)
{
	const uint8_t *p, *end = m + len;
	uint32_t payload_len;
	unsigned int n, bad;

	if (unlikely(len < SL_WIRE_MESSAGE_MIN))
		return SL_WIRE_SLOW;
	/* All tags in one comparison: no branch per field. */
	bad = (m[SL_WIRE_OFF_SOURCE - 1] ^ 0x09) | (m[SL_WIRE_OFF_ID_HIGH - 1] ^ 0x11) |
		(m[SL_WIRE_OFF_ID_LOW - 1] ^ 0x19) | (m[SL_WIRE_OFF_DEST - 1] ^ 0x21) |
		(m[SL_WIRE_OFF_SEQUENCE - 1] ^ 0x29) | (m[SL_WIRE_OFF_TIMESTAMP - 1] ^ 0x31) |
		(m[SL_WIRE_OFF_TYPE - 1] ^ 0x39) | (m[SL_WIRE_OFF_PRIORITY - 1] ^ 0x45) |
		(m[SL_WIRE_OFF_FLAGS - 1] ^ 0x4d);
	if (unlikely(bad != 0))
		return SL_WIRE_SLOW;

	p = m + SL_WIRE_MESSAGE_MIN;
	if (likely(p < end && *p == SL_WIRE_TAG_PAYLOAD)) {
		p++;
		n = get_length(p, end, &payload_len);
		if (unlikely(n == 0 || (size_t)(end - p) < n + (size_t)payload_len))
			return SL_WIRE_SLOW;
		p += n + payload_len;
	}
	if (unlikely(p != end) && !are_trailing_fields_ok(p, end))
		return SL_WIRE_SLOW;
	if (unlikely(sl_wire_get32(m + SL_WIRE_OFF_PRIORITY) > SL_WIRE_CLASSES))
		return SL_WIRE_BAD_PRIORITY;
	return SL_WIRE_OK;
}

enum sl_wire_error
sl_wire_check_message(const uint8_t *message, size_t len)
{
	return len <= UINT16_MAX ? check_message(message, (uint32_t)len) : SL_WIRE_SLOW;
}

enum sl_wire_error
sl_wire_parse(const uint8_t *data, size_t len, struct sl_wire_datagram *out)
{
	const uint8_t *p, *end = data + len;
	enum sl_wire_error rc;
	uint32_t message_len;
	unsigned int n;

	if (unlikely(len < SL_WIRE_HEADER_LEN))
		return SL_WIRE_SLOW;
	if (unlikely(((data[0] ^ 0x0d) | (data[SL_WIRE_OFF_EPOCH - 1] ^ 0x15) |
			     (data[SL_WIRE_OFF_SESSION - 1] ^ 0x19)) != 0))
		return SL_WIRE_SLOW;
	if (unlikely(sl_wire_get32(data + 1) != SL_WIRE_MAGIC))
		return SL_WIRE_BAD_MAGIC;
	out->epoch = sl_wire_get32(data + SL_WIRE_OFF_EPOCH);
	out->session = sl_wire_get64(data + SL_WIRE_OFF_SESSION);
	out->nb_messages = 0;
	out->extras = 0;

	p = data + SL_WIRE_HEADER_LEN;
	if (unlikely(p == end))
		return SL_WIRE_EMPTY;
	do {
		if (unlikely(*p != SL_WIRE_TAG_MESSAGE))
			return SL_WIRE_SLOW;
		p++;
		n = get_length(p, end, &message_len);
		if (unlikely(n == 0 || (size_t)(end - p) < n + (size_t)message_len))
			return SL_WIRE_SLOW;
		p += n;
		rc = check_message(p, message_len);
		if (unlikely(rc != SL_WIRE_OK))
			return rc;
		if (unlikely(out->nb_messages == SL_WIRE_MESSAGES_MAX))
			return SL_WIRE_TOO_MANY;
		out->messages[out->nb_messages].offset = (uint16_t)(p - data);
		out->messages[out->nb_messages].len = (uint16_t)message_len;
		out->nb_messages++;
		p += message_len;
	} while (p < end);
	out->is_single = out->nb_messages == 1;
	return SL_WIRE_OK;
}

const uint8_t *
sl_wire_message_payload(const uint8_t *message, size_t len, uint32_t *payload_len)
{
	const uint8_t *p = message + SL_WIRE_MESSAGE_MIN, *end = message + len;
	unsigned int n;

	if (p >= end || *p != SL_WIRE_TAG_PAYLOAD)
		return NULL;
	n = get_length(++p, end, payload_len);
	if (n == 0 || (size_t)(end - p) < n + (size_t)*payload_len)
		return NULL;
	return p + n;
}

static bool
take_varint(const uint8_t **p, const uint8_t *end, uint64_t *value)
{
	*value = 0;
	for (unsigned int shift = 0; *p < end && shift < 64; shift += 7) {
		*value |= (uint64_t)(**p & 0x7f) << shift;
		if (*(*p)++ < 0x80)
			return true;
	}
	return false;
}

const uint8_t *
sl_wire_message_id_text(const uint8_t *message, size_t len, uint32_t *text_len)
{
	const uint8_t *p = message + SL_WIRE_MESSAGE_MIN, *end = message + len, *found = NULL;
	uint64_t tag, n;

	/* Behind the payload stand fields of higher numbers, in any order. */
	while (p < end && take_varint(&p, end, &tag)) {
		switch (tag & 7) {
		case WT_VARINT:
			if (!take_varint(&p, end, &n))
				return found;
			n = 0;
			break;
		case WT_FIXED64:
			n = sizeof(uint64_t);
			break;
		case WT_LEN:
			if (!take_varint(&p, end, &n))
				return found;
			break;
		case WT_FIXED32:
			n = sizeof(uint32_t);
			break;
		default:
			return found;
		}
		if (n > (uint64_t)(end - p))
			return found;
		if (tag == (FIELD_ID_TEXT << 3 | WT_LEN)) {
			found = p;
			*text_len = (uint32_t)n;
		}
		p += n;
	}
	return found;
}
