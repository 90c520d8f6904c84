/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <time.h>

#include "message.h"

struct sluice_id
sluice_text_id(const char *text, size_t len)
{
	struct sluice_id id;

	sl_wire_text_id(text, len, &id.high, &id.low);
	return id;
}

uint64_t
sluice_name_key(const char *name)
{
	return sl_wire_name_key(name);
}

int
sl_message_measure(
	const struct sluice_message *m, uint32_t datagram_bytes, struct sl_message_shape *shape)
{
	size_t text_len;
	uint32_t len;

	if (m->destination == NULL || m->priority > SL_WIRE_CLASSES ||
		(m->flags & ~SLUICE_AT_MOST_ONCE) != 0 ||
		(m->payload == NULL && m->payload_len != 0) ||
		(m->reserved[0] | m->reserved[1] | m->reserved[2] | m->reserved[3]) != 0)
		return SLUICE_INVALID;
	text_len = m->id_text == NULL ? 0 : strlen(m->id_text);
	if (m->payload_len > SL_DATAGRAM_MAX || text_len > SL_DATAGRAM_MAX)
		return SLUICE_TOO_BIG;
	shape->text_len = (uint32_t)text_len;
	len = sl_wire_message_len((uint32_t)m->payload_len, (uint32_t)text_len);
	shape->body = 1 + sl_wire_varint_len(len);
	shape->len = shape->body + len;
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
		.id_text = m->id_text,
		.id_text_len = shape->text_len,
	};

	sl_wire_put_message(buf, &wire);
}

void
sl_message_read(const uint8_t *m, uint32_t len, struct sluice_delivery *d)
{
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
	d->id_text_len = 0;
	d->id_text = (const char *)sl_wire_message_id_text(m, len, &d->id_text_len);
}
