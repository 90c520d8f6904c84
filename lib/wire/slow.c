/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <string.h>

#include <rte_common.h>

#include "arena.h"
#include "sl_wire.h"
#include "sluice.pb-c.h"

/* Protobuf's field numbers end here; protobuf-c lets 0 and larger ones pass as unknown fields. */
#define FIELD_NUMBER_MAX ((UINT32_C(1) << 29) - 1)

/* Sent on, such a field would make the whole datagram malformed for the backend's library. */
static bool
has_impossible_field(const ProtobufCMessage *message)
{
	for (unsigned int i = 0; i < message->n_unknown_fields; i++) {
		if (message->unknown_fields[i].tag == 0 ||
			message->unknown_fields[i].tag > FIELD_NUMBER_MAX)
			return true;
	}
	return false;
}

/* Everything optional becomes present, so that the packed message has the template layout. */
static enum sl_wire_error
complete_message(Sluice__V1__Message *m)
{
	if (has_impossible_field(&m->base))
		return SL_WIRE_MALFORMED;
	if (!m->has_source || !m->has_id_high || !m->has_id_low || !m->has_destination)
		return SL_WIRE_MISSING_FIELD;
	if (m->has_priority && m->priority > SL_WIRE_CLASSES)
		return SL_WIRE_BAD_PRIORITY;
	m->has_sequence = 1;
	m->has_timestamp_ns = 1;
	m->has_type = 1;
	m->has_priority = 1;
	m->has_flags = 1;
	return SL_WIRE_OK;
}

static enum sl_wire_error
rewrite(Sluice__V1__Datagram *d, uint8_t *buf, size_t buf_len, struct sl_wire_datagram *out,
	size_t *written)
{
	enum sl_wire_error rc;
	uint8_t *p;
	size_t len;

	/* Missing fields are written, so that it may grow beyond what a span can hold. */
	buf_len = RTE_MIN(buf_len, (size_t)UINT16_MAX);
	if (buf_len < SL_WIRE_HEADER_LEN)
		return SL_WIRE_NO_MEMORY;
	p = sl_wire_put_header(buf, d->epoch, d->session);
	for (size_t i = 0; i < d->n_messages; i++) {
		rc = complete_message(d->messages[i]);
		if (rc != SL_WIRE_OK)
			return rc;
		len = protobuf_c_message_get_packed_size(&d->messages[i]->base);
		if (len + SL_WIRE_ENVELOPE_MAX > buf_len - (size_t)(p - buf))
			return SL_WIRE_NO_MEMORY;
		p = sl_wire_put_envelope(p, (uint32_t)len);
		out->messages[i].offset = (uint16_t)(p - buf);
		out->messages[i].len = (uint16_t)len;
		p += protobuf_c_message_pack(&d->messages[i]->base, p);
	}
	*written = (size_t)(p - buf);
	return SL_WIRE_OK;
}

bool
sl_wire_parse_probe(
	const uint8_t *data, size_t len, void *arena, size_t arena_len, struct sl_wire_probe *probe)
{
	Sluice__V1__Datagram *d;
	struct arena a;

	arena_init(&a, arena, arena_len);
	d = sluice__v1__datagram__unpack(&a.allocator, len, data);
	if (d == NULL || d->probe == NULL)
		return false;
	probe->nonce = d->probe->nonce;
	probe->is_reply = d->probe->reply;
	probe->in_flight = d->probe->in_flight;
	probe->latency_ns = d->probe->latency_ns;
	return true;
}

static bool
take_name(const char *from, char to[SL_WIRE_NAME_MAX + 1])
{
	size_t len = from != NULL ? strnlen(from, SL_WIRE_NAME_MAX + 1) : 0;

	if (len == 0 || len > SL_WIRE_NAME_MAX)
		return false;
	memcpy(to, from, len + 1);
	return true;
}

bool
sl_wire_parse_subscribe(const uint8_t *data, size_t len, void *arena, size_t arena_len,
	struct sl_wire_subscribe *subscribe)
{
	const Sluice__V1__Subscribe *from;
	Sluice__V1__Datagram *d;
	struct arena a;

	arena_init(&a, arena, arena_len);
	d = sluice__v1__datagram__unpack(&a.allocator, len, data);
	if (d == NULL || d->subscribe == NULL)
		return false;
	from = d->subscribe;
	subscribe->credit = from->credit;
	subscribe->ttl_ms = from->ttl_ms;
	subscribe->is_leave = from->leave;
	subscribe->is_durable = from->durable;
	/* protobuf-c ends strings at the first zero byte; nobody means such a name. */
	return take_name(from->destination, subscribe->destination) &&
		take_name(from->backend, subscribe->backend);
}

enum sl_wire_error
sl_wire_parse_slow(const uint8_t *data, size_t len, void *arena, size_t arena_len, uint8_t *buf,
	size_t buf_len, struct sl_wire_datagram *out, size_t *written)
{
	Sluice__V1__Datagram *d;
	struct arena a;

	arena_init(&a, arena, arena_len);
	d = sluice__v1__datagram__unpack(&a.allocator, len, data);
	if (d == NULL)
		return a.is_exhausted ? SL_WIRE_NO_MEMORY : SL_WIRE_MALFORMED;
	if (has_impossible_field(&d->base))
		return SL_WIRE_MALFORMED;
	if (!d->has_magic || d->magic != SL_WIRE_MAGIC)
		return SL_WIRE_BAD_MAGIC;
	if (d->n_messages > SL_WIRE_MESSAGES_MAX)
		return SL_WIRE_TOO_MANY;
	out->extras = (d->ack != NULL ? SL_WIRE_HAS_ACK : 0) |
		(d->probe != NULL ? SL_WIRE_HAS_PROBE : 0) |
		(d->subscribe != NULL ? SL_WIRE_HAS_SUBSCRIBE : 0);
	if (d->n_messages == 0 && out->extras == 0)
		return SL_WIRE_EMPTY;
	out->epoch = d->epoch;
	out->session = d->session;
	out->nb_messages = (uint16_t)d->n_messages;
	out->is_single = d->n_messages == 1 && out->extras == 0;
	return rewrite(d, buf, buf_len, out, written);
}
