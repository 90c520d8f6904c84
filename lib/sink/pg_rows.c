/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Formats: "COPY", "Binary Format" in PostgreSQL's manual; of arrays, array_recv() in its source.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pg_rows.h"
#include "sl_wire.h"

#define NB_COLUMNS 15
/* Microseconds from 1970 to 2000, where PostgreSQL's time begins. */
#define EPOCH_US INT64_C(946684800000000)

#define OID_INT8	20
#define OID_INT2	21
#define OID_INT4	23
#define OID_TIMESTAMPTZ 1184

void
pg_buffer_free(struct pg_buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct pg_buffer){0};
}

static uint8_t *
reserve(struct pg_buffer *buffer, size_t len)
{
	size_t size = buffer->size == 0 ? 1 << 18 : buffer->size;
	uint8_t *grown;

	while (size - buffer->len < len)
		size *= 2;
	if (size != buffer->size) {
		grown = realloc(buffer->bytes, size);
		if (grown == NULL)
			return NULL;
		buffer->bytes = grown;
		buffer->size = size;
	}
	return buffer->bytes + buffer->len;
}

static uint8_t *
put16(uint8_t *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static uint8_t *
put32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static uint8_t *
put64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static uint8_t *
put_time(uint8_t *p, uint64_t ns)
{
	if (ns == 0)
		return put32(p, UINT32_MAX);
	return put64(put32(p, 8), (uint64_t)((int64_t)(ns / 1000) - EPOCH_US));
}

static uint8_t *
put_bytes(uint8_t *p, const void *bytes, size_t len)
{
	p = put32(p, (uint32_t)len);
	memcpy(p, bytes, len);
	return p + len;
}

static uint8_t *
put_name(uint8_t *p, const struct name *name, uint64_t key)
{
	static const char digits[] = "0123456789abcdef";

	if (name != NULL)
		return put_bytes(p, name->text, name->len);
	p = put32(p, 16);
	for (int shift = 60; shift >= 0; shift -= 4)
		*p++ = (uint8_t)digits[key >> shift & 0xf];
	return p;
}

static uint8_t *
put_id_text(uint8_t *p, const uint8_t *text, uint32_t len)
{
	size_t clean_len;

	if (text == NULL)
		return put32(p, UINT32_MAX);
	if (text_is_clean(text, len))
		return put_bytes(p, text, len);
	clean_len = text_clean((char *)p + 4, text, len);
	return put32(p, (uint32_t)clean_len) + clean_len;
}

static size_t
name_len(const struct name *name)
{
	return name == NULL ? 16 : name->len;
}

int
pg_put_row(struct pg_buffer *buffer, const struct row *row, int32_t journal)
{
	const struct sl_record *record = &row->record->record;
	const char *status = row_status_names[row->status];
	uint32_t payload_len = 0, id_text_len = 0, len;
	const uint8_t *message = sl_record_message_of(row->record, &len), *payload, *id_text;
	uint8_t *p;

	payload = row_payload(row, &payload_len);
	id_text = row_id_text(row, &id_text_len);
	p = reserve(buffer,
		256 + payload_len + TEXT_CLEAN_MAX(id_text_len) + name_len(row->source) +
			name_len(row->destination) + name_len(row->type));
	if (p == NULL)
		return -ENOMEM;
	p = put16(p, NB_COLUMNS);
	p = put64(put32(p, 8), (uint64_t)((int64_t)(record->time_ns / 1000) - EPOCH_US));
	p = put_time(p, row->delivered_ns);
	p = put_time(p, sl_wire_get64(message + SL_WIRE_OFF_TIMESTAMP));
	p = put64(put32(p, 8), record->position);
	p = put32(put32(p, 4), row->attempts);
	p = put16(put32(p, 2), (uint16_t)journal);
	p = put16(put32(p, 2), (uint16_t)row->stream);
	p = put16(put32(p, 2), row->level);
	p = put64(put32(p, 16), sl_wire_get64(message + SL_WIRE_OFF_ID_HIGH));
	p = put64(p, sl_wire_get64(message + SL_WIRE_OFF_ID_LOW));
	p = put_bytes(p, status, strlen(status));
	p = put_name(p, row->destination, sl_wire_get64(message + SL_WIRE_OFF_DEST));
	p = put_name(p, row->source, sl_wire_get64(message + SL_WIRE_OFF_SOURCE));
	p = put_name(p, row->type, sl_wire_get64(message + SL_WIRE_OFF_TYPE));
	p = put_id_text(p, id_text, id_text_len);
	p = put_bytes(p, payload == NULL ? (const void *)"" : payload, payload_len);
	buffer->len = (size_t)(p - buffer->bytes);
	return 0;
}

int
pg_put_header(struct pg_buffer *buffer)
{
	static const char signature[19] = "PGCOPY\n\377\r\n"; /* and two words of 0 */
	uint8_t *p = reserve(buffer, sizeof(signature));

	if (p == NULL)
		return -ENOMEM;
	memcpy(p, signature, sizeof(signature));
	buffer->len += sizeof(signature);
	return 0;
}

int
pg_put_trailer(struct pg_buffer *buffer)
{
	uint8_t *p = reserve(buffer, 2);

	if (p == NULL)
		return -ENOMEM;
	put16(p, UINT16_MAX);
	buffer->len += 2;
	return 0;
}

static uint8_t *
put_value(uint8_t *p, unsigned int column, const struct outcome *outcome)
{
	switch (column) {
	case PG_RECEIVED:
		return put_time(p, outcome->received_ns);
	case PG_STREAM:
		return put16(put32(p, 2), (uint16_t)sl_record_ref_stream(outcome->ref));
	case PG_POSITION:
		return put64(put32(p, 8), sl_record_ref_position(outcome->ref));
	case PG_DELIVERED:
		return put_time(p, outcome->delivered_ns);
	case PG_ATTEMPTS:
		return put32(put32(p, 4), outcome->attempts);
	default:
		return put16(put32(p, 2), outcome->status);
	}
}

int
pg_put_outcomes(struct pg_buffer *buffer, const struct outcome *outcomes, uint32_t nb_outcomes,
	bool is_known, struct pg_param params[PG_ARRAYS])
{
	static const uint32_t types[PG_ARRAYS] = {
		OID_TIMESTAMPTZ, OID_INT2, OID_INT8, OID_TIMESTAMPTZ, OID_INT4, OID_INT2};
	uint8_t *p = reserve(buffer, PG_ARRAYS * (20 + 12 * (size_t)nb_outcomes));
	uint32_t nb = 0;

	if (p == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < nb_outcomes; i++)
		nb += (outcomes[i].received_ns != 0) == is_known;
	for (unsigned int column = 0; column < PG_ARRAYS; column++) {
		params[column].data = p;
		/* Dimensions, whether there are NULLs, type, size and lower bound. */
		p = put32(put32(put32(p, 1), 1), types[column]);
		p = put32(put32(p, nb), 1);
		for (uint32_t i = 0; i < nb_outcomes; i++) {
			if ((outcomes[i].received_ns != 0) == is_known)
				p = put_value(p, column, &outcomes[i]);
		}
		params[column].len = (size_t)(p - (const uint8_t *)params[column].data);
	}
	buffer->len = (size_t)(p - buffer->bytes);
	return (int)nb;
}
