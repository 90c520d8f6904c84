/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "sl_wire.h"

static uint8_t *
put_varint(uint8_t *p, uint32_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

/* Field 16, length-delimited, as a varint. */
#define TAG_ID_TEXT_0 0x82
#define TAG_ID_TEXT_1 0x01

uint32_t
sl_wire_message_len(uint32_t payload_len, uint32_t id_text_len)
{
	uint32_t len = SL_WIRE_MESSAGE_MIN;

	/* proto3 leaves an empty payload out. */
	if (payload_len != 0)
		len += 1 + sl_wire_varint_len(payload_len) + payload_len;
	if (id_text_len != 0)
		len += 2 + sl_wire_varint_len(id_text_len) + id_text_len;
	return len;
}

size_t
sl_wire_message_size(uint32_t payload_len)
{
	uint32_t len = sl_wire_message_len(payload_len, 0);

	return 1 + sl_wire_varint_len(len) + len;
}

uint8_t *
sl_wire_put_header(uint8_t *p, uint32_t epoch, uint64_t session)
{
	p[0] = 0x0d;
	sl_wire_put32(p + 1, SL_WIRE_MAGIC);
	p[SL_WIRE_OFF_EPOCH - 1] = 0x15;
	sl_wire_put32(p + SL_WIRE_OFF_EPOCH, epoch);
	p[SL_WIRE_OFF_SESSION - 1] = 0x19;
	sl_wire_put64(p + SL_WIRE_OFF_SESSION, session);
	return p + SL_WIRE_HEADER_LEN;
}

uint8_t *
sl_wire_put_envelope(uint8_t *p, uint32_t len)
{
	*p++ = SL_WIRE_TAG_MESSAGE;
	return put_varint(p, len);
}

static void
put_field64(uint8_t *message, unsigned int offset, uint8_t tag, uint64_t value)
{
	message[offset - 1] = tag;
	sl_wire_put64(message + offset, value);
}

uint8_t *
sl_wire_put_message(uint8_t *p, const struct sl_wire_message *m)
{
	p = sl_wire_put_envelope(p, sl_wire_message_len(m->payload_len, m->id_text_len));
	put_field64(p, SL_WIRE_OFF_SOURCE, 0x09, m->key.source);
	put_field64(p, SL_WIRE_OFF_ID_HIGH, 0x11, m->key.id_high);
	put_field64(p, SL_WIRE_OFF_ID_LOW, 0x19, m->key.id_low);
	put_field64(p, SL_WIRE_OFF_DEST, 0x21, m->key.destination);
	put_field64(p, SL_WIRE_OFF_SEQUENCE, 0x29, m->sequence);
	put_field64(p, SL_WIRE_OFF_TIMESTAMP, 0x31, m->timestamp_ns);
	put_field64(p, SL_WIRE_OFF_TYPE, 0x39, m->type);
	p[SL_WIRE_OFF_PRIORITY - 1] = 0x45;
	sl_wire_put32(p + SL_WIRE_OFF_PRIORITY, m->priority);
	p[SL_WIRE_OFF_FLAGS - 1] = 0x4d;
	sl_wire_put32(p + SL_WIRE_OFF_FLAGS, m->flags);
	p += SL_WIRE_MESSAGE_MIN;
	if (m->payload_len != 0) {
		*p++ = SL_WIRE_TAG_PAYLOAD;
		p = put_varint(p, m->payload_len);
		memcpy(p, m->payload, m->payload_len);
		p += m->payload_len;
	}
	if (m->id_text_len != 0) {
		*p++ = TAG_ID_TEXT_0;
		*p++ = TAG_ID_TEXT_1;
		p = put_varint(p, m->id_text_len);
		memcpy(p, m->id_text, m->id_text_len);
		p += m->id_text_len;
	}
	return p;
}

size_t
sl_wire_put_probe(uint8_t *buf, uint32_t epoch, const struct sl_wire_probe *probe)
{
	uint8_t *p = sl_wire_put_header(buf, epoch, 0);

	*p++ = 0x32; /* Datagram.probe, length-delimited */
	*p++ = SL_WIRE_PROBE_MAX - SL_WIRE_HEADER_LEN - 2;
	*p++ = 0x09; /* nonce, fixed64 */
	sl_wire_put64(p, probe->nonce);
	p += sizeof(uint64_t);
	*p++ = 0x10; /* reply, varint */
	*p++ = probe->is_reply;
	*p++ = 0x1d; /* in_flight, fixed32 */
	sl_wire_put32(p, probe->in_flight);
	p += sizeof(uint32_t);
	*p++ = 0x21; /* latency_ns, fixed64 */
	sl_wire_put64(p, probe->latency_ns);
	p += sizeof(uint64_t);
	return (size_t)(p - buf);
}
