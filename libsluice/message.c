/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "message.h"

#define FIELD_ID_TEXT 16
/* Field 16, length-delimited, as a varint. */
#define TAG_ID_TEXT_0 0x82
#define TAG_ID_TEXT_1 0x01

enum { WT_VARINT = 0, WT_FIXED64 = 1, WT_LEN = 2, WT_FIXED32 = 5 };

struct sluice_id
sluice_text_id(const char *text, size_t len)
{
	XXH128_hash_t hash = XXH3_128bits(text, len);

	return (struct sluice_id){.high = hash.high64, .low = hash.low64};
}

uint64_t
sluice_name_key(const char *name)
{
	return sl_wire_name_key(name);
}

/* What an id_text of this length takes. */
static size_t
text_field_len(size_t text_len)
{
	return text_len == 0 ? 0 : 2 + sl_wire_varint_len((uint32_t)text_len) + text_len;
}

int
sl_message_measure(
	const struct sluice_message *m, uint32_t datagram_bytes, struct sl_message_shape *shape)
{
	size_t body = SL_WIRE_MESSAGE_MIN, text_len;

	if (m->destination == NULL || m->priority > SL_WIRE_CLASSES ||
		(m->flags & ~SLUICE_AT_MOST_ONCE) != 0 ||
		(m->payload == NULL && m->payload_len != 0) ||
		(m->reserved[0] | m->reserved[1] | m->reserved[2] | m->reserved[3]) != 0)
		return SLUICE_INVALID;
	text_len = m->id_text == NULL ? 0 : strlen(m->id_text);
	if (m->payload_len > SL_DATAGRAM_MAX || text_len > SL_DATAGRAM_MAX)
		return SLUICE_TOO_BIG;
	if (m->payload_len != 0)
		body += 1 + sl_wire_varint_len((uint32_t)m->payload_len) + m->payload_len;
	body += text_field_len(text_len);
	shape->text_len = (uint32_t)text_len;
	shape->body = 1 + sl_wire_varint_len((uint32_t)body);
	shape->len = shape->body + (uint32_t)body;
	return SL_WIRE_HEADER_LEN + shape->len <= datagram_bytes ? 0 : SLUICE_TOO_BIG;
}

static uint64_t
unix_time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void
sl_message_write(uint8_t *buf, const struct sluice_message *m, const struct sl_message_shape *shape,
	uint64_t source, const struct sluice_id *id)
{
	struct sl_wire_message wire = {
		.key = {.destination = sl_wire_name_key(m->destination),
			.source = source,
			.id_high = id->high,
			.id_low = id->low},
		.timestamp_ns = m->timestamp_ns != 0 ? m->timestamp_ns : unix_time_ns(),
		.type = sl_wire_name_key(m->type == NULL ? "" : m->type),
		.priority = m->priority,
		.flags = (m->flags & SLUICE_AT_MOST_ONCE) != 0 ? 0 : SL_WIRE_FLAG_ACK,
		.payload = m->payload,
		.payload_len = (uint32_t)m->payload_len,
	};
	uint32_t body = shape->len - shape->body, text_len = shape->text_len;
	/* The library's builder knows no id_text, and may take a byte less for the length. */
	uint32_t bare_body = body - (uint32_t)text_field_len(text_len);
	uint8_t *p;

	p = sl_wire_put_message(buf + shape->body - 1 - sl_wire_varint_len(bare_body), &wire);
	sl_wire_put_envelope(buf, body);
	if (text_len == 0)
		return;
	*p++ = TAG_ID_TEXT_0;
	*p++ = TAG_ID_TEXT_1;
	for (; text_len >= 0x80; text_len >>= 7)
		*p++ = (uint8_t)(text_len | 0x80);
	*p++ = (uint8_t)text_len;
	memcpy(p, m->id_text, shape->text_len);
}

/* The message has been parsed: every varint ends before its end. */
static const uint8_t *
get_varint(const uint8_t *p, const uint8_t *end, uint64_t *value)
{
	unsigned int shift = 0;

	*value = 0;
	while (p < end) {
		*value |= shift < 64 ? (uint64_t)(*p & 0x7f) << shift : 0;
		shift += 7;
		if (*p++ < 0x80)
			break;
	}
	return p;
}

static void
find_id_text(const uint8_t *p, const uint8_t *end, struct sluice_delivery *d)
{
	uint64_t tag, len;

	while (p < end) {
		p = get_varint(p, end, &tag);
		switch (tag & 7) {
		case WT_VARINT:
			p = get_varint(p, end, &len);
			break;
		case WT_FIXED64:
			p += 8;
			break;
		case WT_FIXED32:
			p += 4;
			break;
		default:
			p = get_varint(p, end, &len);
			if (len > (uint64_t)(end - p))
				return;
			if (tag == (FIELD_ID_TEXT << 3 | WT_LEN)) {
				d->id_text = (const char *)p;
				d->id_text_len = (uint32_t)len;
			}
			p += len;
		}
	}
}

void
sl_message_read(const uint8_t *m, uint32_t len, struct sluice_delivery *d)
{
	const uint8_t *end = m + len;

	d->source = sl_wire_get64(m + SL_WIRE_OFF_SOURCE);
	d->id.high = sl_wire_get64(m + SL_WIRE_OFF_ID_HIGH);
	d->id.low = sl_wire_get64(m + SL_WIRE_OFF_ID_LOW);
	d->destination = sl_wire_get64(m + SL_WIRE_OFF_DEST);
	d->sequence = sl_wire_get64(m + SL_WIRE_OFF_SEQUENCE);
	d->timestamp_ns = sl_wire_get64(m + SL_WIRE_OFF_TIMESTAMP);
	d->type = sl_wire_get64(m + SL_WIRE_OFF_TYPE);
	d->priority = sl_wire_get32(m + SL_WIRE_OFF_PRIORITY);
	d->flags = sl_wire_get32(m + SL_WIRE_OFF_FLAGS);
	d->payload_len = 0;
	d->payload = sl_wire_message_payload(m, len, &d->payload_len);
	d->id_text = NULL;
	d->id_text_len = 0;
	m = d->payload != NULL ? (const uint8_t *)d->payload + d->payload_len
			       : m + SL_WIRE_MESSAGE_MIN;
	if (m < end)
		find_id_text(m, end, d);
}
