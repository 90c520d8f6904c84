/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ingress.h"

/* A message from the path: read, rendered, given to clients, and held until they have it. */

#define FIELD_ID_TEXT 16
enum { WT_VARINT = 0, WT_FIXED64 = 1, WT_LEN = 2, WT_FIXED32 = 5 };

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

/* Among what stands behind the payload. The parser has made sure that each field is whole. */
static void
find_id_text(const uint8_t *p, const uint8_t *end, struct gw_delivery *d)
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
			if (p > end || len > (uint64_t)(end - p))
				return;
			if (tag == (FIELD_ID_TEXT << 3 | WT_LEN)) {
				d->id_text = (const char *)p;
				d->id_text_len = len;
			}
			p += len;
		}
	}
}

void
gw_delivery_read(
	uint64_t key, const char *name, const uint8_t *m, uint32_t len, struct gw_delivery *d)
{
	const uint8_t *behind = m + SL_WIRE_MESSAGE_MIN;
	uint32_t payload_len = 0;

	*d = (struct gw_delivery){
		.destination = key,
		.destination_name = name,
		.source = sl_wire_get64(m + SL_WIRE_OFF_SOURCE),
		.type = sl_wire_get64(m + SL_WIRE_OFF_TYPE),
		.timestamp_ns = sl_wire_get64(m + SL_WIRE_OFF_TIMESTAMP),
		.priority = sl_wire_get32(m + SL_WIRE_OFF_PRIORITY),
		.id_high = sl_wire_get64(m + SL_WIRE_OFF_ID_HIGH),
		.id_low = sl_wire_get64(m + SL_WIRE_OFF_ID_LOW),
	};
	d->payload = sl_wire_message_payload(m, len, &payload_len);
	d->payload_len = payload_len;
	if (d->payload != NULL)
		behind = d->payload + d->payload_len;
	if (behind < m + len)
		find_id_text(behind, m + len, d);
}

static struct gw_chunk *
render(struct gw_rendering *r, struct gw_listener *listener)
{
	uint32_t i = listener->gateway->index;

	if ((r->done & (UINT32_C(1) << i)) == 0) {
		r->done |= UINT32_C(1) << i;
		r->chunks[i] = listener->protocol->render(listener, r->delivery);
	}
	return r->chunks[i];
}

void
gw_rendering_end(struct gw_rendering *r)
{
	for (uint32_t left = r->done; left != 0; left &= left - 1)
		gw_chunk_free(r->chunks[__builtin_ctz(left)]);
}

bool
gw_give(struct gw_rendering *r, struct gw_client *client)
{
	struct gw_listener *listener = client->listener;
	struct gw_chunk *chunk;
	bool is_sent;

	if (client->is_closing || client->is_doomed)
		return false;
	if (listener->protocol->wants != NULL && !listener->protocol->wants(client, r->delivery))
		return false;
	chunk = render(r, listener);
	if (chunk == NULL || client->is_own)
		return false;
	is_sent = gw_client_write_chunk(client, chunk);
	if (is_sent) {
		GW_ADD(listener->stats.delivered, 1);
		GW_ADD(client->delivered, 1);
	}
	if (listener->protocol->sent != NULL)
		listener->protocol->sent(client, is_sent);
	return is_sent;
}

bool
gw_client_has_room(const struct gw_client *client)
{
	return !client->is_closing && !client->is_doomed &&
		client->output_len <
		RTE_MIN((uint64_t)GW_QUEUE_AHEAD, gw_client_output_max(client) / 2 + 1);
}

void
gw_client_bound_unsent(const struct gw_client *client)
{
	const int most = (int)GW_QUEUE_AHEAD;

	if (client->fd >= 0)
		setsockopt(client->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most, sizeof(most));
}

struct gw_held *
gw_hold(struct gw_thread *thread, uint64_t key, struct gw_receiver *receiver, uint64_t sequence,
	const uint8_t *message, uint32_t len)
{
	struct gw_held *held = malloc(sizeof(*held) + len);

	if (held == NULL)
		return NULL;
	held->topic = NULL;
	held->durable = NULL;
	held->key = key;
	held->receiver = receiver;
	held->sequence = sequence;
	held->end = 0;
	held->len = len;
	memcpy(held->bytes, message, len);
	if (receiver != NULL)
		receiver->refs++;
	GW_ADD(thread->subscriber.nb_held, 1);
	thread->subscriber.held_bytes += len;
	return held;
}

void
gw_held_given(struct gw_held *held, struct gw_client *client)
{
	held->end = client->written;
	TAILQ_INSERT_TAIL(&client->held, held, next);
	client->nb_held++;
}

void
gw_held_free(struct gw_thread *thread, struct gw_held *held)
{
	if (held->receiver != NULL)
		gw_receiver_unref(held->receiver);
	GW_ADD(thread->subscriber.nb_held, -1);
	thread->subscriber.held_bytes -= held->len;
	free(held);
}

void
gw_held_done(struct gw_thread *thread, struct gw_held *held)
{
	if (held->receiver != NULL)
		gw_receiver_done(thread, held->receiver, held->sequence,
			sl_wire_get64(held->bytes + SL_WIRE_OFF_TIMESTAMP));
	gw_held_free(thread, held);
}
