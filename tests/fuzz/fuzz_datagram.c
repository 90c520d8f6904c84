/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * The template parser and the protobuf-c path held against each other.
 *
 *   - What the template accepts, the slow path accepts, with the same messages in it.
 *   - What the slow path accepts, the template accepts once rewritten, with the same spans.
 *   - What a stock serializer would have written, the slow path leaves as it is.
 *   - A refusal by the template that is final is one of the slow path's too.
 *   - What the fast parser of acks accepts is an ack for the slow path, and for protobuf-c the
 * same.
 *   - Too little scratch memory or room changes nothing but the verdict.
 *
 * The input stands in a heap block of its exact size, so that AddressSanitizer sees any read
 * behind it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sl_wire.h"
#include "sluice.pb-c.h"

#define ARENA_LEN (16u << 20)

static uint8_t arena[ARENA_LEN];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_datagram: %s\n", what);
	abort();
}

static void
require_bounds(const struct sl_wire_datagram *d, size_t len)
{
	size_t at = SL_WIRE_HEADER_LEN;

	require(d->nb_messages <= SL_WIRE_MESSAGES_MAX, "too many spans");
	for (unsigned int i = 0; i < d->nb_messages; i++) {
		require(d->messages[i].offset > at, "a span overlaps what is before it");
		require(d->messages[i].len >= SL_WIRE_MESSAGE_MIN, "a span is too short");
		at = (size_t)d->messages[i].offset + d->messages[i].len;
		require(at <= len, "a span ends behind the datagram");
	}
	require(d->nb_messages == 0 || at == len, "bytes behind the last span");
}

static bool
is_equal_bytes(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static void
require_same_unknown(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	const ProtobufCMessageUnknownField *x = a->unknown_fields, *y = b->unknown_fields;

	require(a->n_unknown_fields == b->n_unknown_fields, "unknown fields were lost");
	for (unsigned int i = 0; i < a->n_unknown_fields; i++)
		require(x[i].tag == y[i].tag && x[i].wire_type == y[i].wire_type &&
				x[i].len == y[i].len &&
				(x[i].len == 0 || memcmp(x[i].data, y[i].data, x[i].len) == 0),
			"an unknown field changed");
}

/* By protobuf-c's own reading of both: every field the same. */
static void
require_same_message(const Sluice__V1__Message *a, const Sluice__V1__Message *b)
{
	require(a->source == b->source && a->id_high == b->id_high && a->id_low == b->id_low &&
			a->destination == b->destination,
		"the key changed");
	require(a->sequence == b->sequence && a->timestamp_ns == b->timestamp_ns &&
			a->type == b->type && a->priority == b->priority && a->flags == b->flags,
		"a field changed");
	require(a->has_payload == b->has_payload &&
			(!a->has_payload || is_equal_bytes(&a->payload, &b->payload)),
		"the payload changed");
	require(a->has_id_text == b->has_id_text &&
			(!a->has_id_text || is_equal_bytes(&a->id_text, &b->id_text)),
		"id_text changed");
	require_same_unknown(&a->base, &b->base);
}

/* What the accessors read in place, against protobuf-c. */
static void
require_accessors(const uint8_t *m, size_t len, const Sluice__V1__Message *pb)
{
	struct sl_wire_key key;
	const uint8_t *payload;
	uint32_t payload_len = 0;

	sl_wire_message_key(m, &key);
	require(key.source == pb->source && key.destination == pb->destination &&
			key.id_high == pb->id_high && key.id_low == pb->id_low,
		"sl_wire_message_key() reads another key");
	require(sl_wire_get64(m + SL_WIRE_OFF_SEQUENCE) == pb->sequence &&
			sl_wire_get64(m + SL_WIRE_OFF_TIMESTAMP) == pb->timestamp_ns &&
			sl_wire_get64(m + SL_WIRE_OFF_TYPE) == pb->type &&
			sl_wire_get32(m + SL_WIRE_OFF_PRIORITY) == pb->priority &&
			sl_wire_get32(m + SL_WIRE_OFF_FLAGS) == pb->flags,
		"an offset reads another value");
	payload = sl_wire_message_payload(m, len, &payload_len);
	require((payload != NULL) == (pb->has_payload != 0), "payload is here and there not");
	if (payload != NULL)
		require(is_equal_bytes(&pb->payload,
				&(ProtobufCBinaryData){payload_len, (uint8_t *)(uintptr_t)payload}),
			"sl_wire_message_payload() reads another payload");
}

static void
require_spans_decode(
	const uint8_t *buf, const struct sl_wire_datagram *d, const Sluice__V1__Datagram *pb)
{
	Sluice__V1__Message *m;

	require(d->nb_messages == pb->n_messages, "another number of messages");
	require(d->epoch == pb->epoch && d->session == pb->session, "another epoch or session");
	for (unsigned int i = 0; i < d->nb_messages; i++) {
		m = sluice__v1__message__unpack(
			NULL, d->messages[i].len, buf + d->messages[i].offset);
		require(m != NULL, "a span is no message");
		require_same_message(m, pb->messages[i]);
		require_accessors(buf + d->messages[i].offset, d->messages[i].len, m);
		sluice__v1__message__free_unpacked(m, NULL);
	}
}

/* A datagram protobuf-c would have written with these very bytes is not to be changed. */
static void
require_canonical_kept(const Sluice__V1__Datagram *pb, const uint8_t *data, size_t size,
	const uint8_t *buf, size_t written)
{
	uint8_t *packed;

	if (sluice__v1__datagram__get_packed_size(pb) != size)
		return;
	packed = malloc(size);
	sluice__v1__datagram__pack(pb, packed);
	if (memcmp(packed, data, size) == 0)
		require(written == size && memcmp(buf, data, size) == 0,
			"a canonical datagram was rewritten");
	free(packed);
}

static void
check_tight_memory(const uint8_t *data, size_t size, enum sl_wire_error roomy, size_t written)
{
	struct sl_wire_datagram d;
	enum sl_wire_error rc;
	size_t arena_len = 256 + 4 * size, n;
	uint8_t *small_arena, *buf;

	small_arena = malloc(arena_len);
	buf = malloc(written);
	rc = sl_wire_parse_slow(data, size, small_arena, arena_len, buf, written, &d, &n);
	require(rc == roomy || rc == SL_WIRE_NO_MEMORY, "little memory, and another verdict");
	if (rc == SL_WIRE_OK)
		require(n <= written, "more written than there was room for");
	free(buf);
	free(small_arena);
}

static void
check_slow_ok(const uint8_t *data, size_t size, const uint8_t *buf, size_t written,
	const struct sl_wire_datagram *slow, enum sl_wire_error fast)
{
	struct sl_wire_datagram again;
	Sluice__V1__Datagram *pb;
	enum sl_wire_error rc;

	require_bounds(slow, written);
	pb = sluice__v1__datagram__unpack(NULL, size, data);
	require(pb != NULL, "the slow path accepts what protobuf-c does not");
	require_spans_decode(buf, slow, pb);
	rc = sl_wire_parse(buf, written, &again);
	if (slow->nb_messages == 0) {
		require(rc == SL_WIRE_EMPTY && slow->extras != 0, "a datagram of nothing");
	} else {
		require(rc == SL_WIRE_OK, "the template refuses what the slow path wrote");
		require(again.epoch == slow->epoch && again.session == slow->session &&
				again.nb_messages == slow->nb_messages &&
				memcmp(again.messages, slow->messages,
					slow->nb_messages * sizeof(slow->messages[0])) == 0,
			"the template reads other spans");
	}
	if (fast == SL_WIRE_OK)
		require_canonical_kept(pb, data, size, buf, written);
	sluice__v1__datagram__free_unpacked(pb, NULL);
}

static void
check_fast_ok(const uint8_t *data, size_t size, const struct sl_wire_datagram *fast,
	const struct sl_wire_datagram *slow)
{
	Sluice__V1__Datagram *pb = sluice__v1__datagram__unpack(NULL, size, data);

	require_bounds(fast, size);
	require(fast->extras == 0 && slow->extras == 0, "extras in a template datagram");
	require(fast->is_single == (fast->nb_messages == 1) && fast->is_single == slow->is_single,
		"is_single is wrong");
	require(pb != NULL, "the template accepts what protobuf-c does not");
	require_spans_decode(data, fast, pb);
	sluice__v1__datagram__free_unpacked(pb, NULL);
}

static void
require_same_ack(const struct sl_wire_ack *a, const Sluice__V1__Ack *b)
{
	require(a->session == b->session && a->cumulative == b->cumulative &&
			a->highest == b->highest && a->credit_limit == b->credit_limit &&
			a->echo_timestamp_ns == b->echo_timestamp_ns &&
			a->ack_delay_ns == b->ack_delay_ns,
		"a field of the ack changed");
	require(is_equal_bytes(&b->selective,
			&(ProtobufCBinaryData){
				a->selective_len, (uint8_t *)(uintptr_t)a->selective}),
		"the ack's bits changed");
}

static void
check_ack(const uint8_t *data, size_t size, bool has_ack)
{
	struct sl_wire_ack fast, slow, again;
	uint8_t buf[SL_WIRE_ACK_MAX];
	Sluice__V1__Datagram *pb;
	bool is_fast = sl_wire_parse_ack_fast(data, size, &fast);
	bool is_slow = sl_wire_parse_ack(data, size, arena, sizeof(arena), &slow);

	require(!is_fast || has_ack, "an ack for the fast parser only");
	require(!is_fast || is_slow, "the slow parser refuses an ack the fast one accepts");
	if (!is_slow)
		return;
	pb = sluice__v1__datagram__unpack(NULL, size, data);
	require(pb != NULL && pb->ack != NULL && pb->ack->has_session, "no ack for protobuf-c");
	require_same_ack(&slow, pb->ack);
	if (is_fast)
		require_same_ack(&fast, pb->ack);
	size = sl_wire_put_ack(buf, pb->epoch, &slow);
	require(sl_wire_parse_ack_fast(buf, size, &again), "what was written is not fast");
	require_same_ack(&again, pb->ack);
	sluice__v1__datagram__free_unpacked(pb, NULL);
}

/* Only what protobuf-c finds, with names that are some. */
static void
check_subscribe(const uint8_t *data, size_t size, bool is_there)
{
	struct sl_wire_subscribe subscribe;

	if (!sl_wire_parse_subscribe(data, size, arena, sizeof(arena), &subscribe) || !is_there)
		return;
	require(subscribe.destination[0] != '\0' && subscribe.backend[0] != '\0', "an empty name");
	require(strlen(subscribe.destination) <= SL_WIRE_NAME_MAX &&
			strlen(subscribe.backend) <= SL_WIRE_NAME_MAX,
		"a name that is too long");
}

static void
check(const uint8_t *data, size_t size)
{
	struct sl_wire_datagram fast, slow;
	enum sl_wire_error fast_rc, slow_rc;
	size_t written = 0;
	uint8_t *buf = malloc(UINT16_MAX);

	fast_rc = sl_wire_parse(data, size, &fast);
	slow_rc = sl_wire_parse_slow(
		data, size, arena, sizeof(arena), buf, UINT16_MAX, &slow, &written);
	require(slow_rc != SL_WIRE_SLOW, "the slow path must decide");
	switch (fast_rc) {
	case SL_WIRE_SLOW:
	case SL_WIRE_BAD_MAGIC: /* Final by rule: the magic stands first. */
		break;
	case SL_WIRE_OK:
		require(slow_rc == SL_WIRE_OK, "the template accepts what the slow path refuses");
		check_fast_ok(data, size, &fast, &slow);
		break;
	case SL_WIRE_EMPTY:
		require(slow_rc == SL_WIRE_EMPTY, "empty for the template only");
		break;
	case SL_WIRE_BAD_PRIORITY:
	case SL_WIRE_TOO_MANY:
		require(slow_rc != SL_WIRE_OK, "the template refuses what the slow path accepts");
		break;
	default:
		require(false, "a verdict the template cannot give");
	}
	if (slow_rc == SL_WIRE_OK)
		check_slow_ok(data, size, buf, written, &slow, fast_rc);
	check_ack(data, size, slow_rc == SL_WIRE_OK && (slow.extras & SL_WIRE_HAS_ACK) != 0);
	check_subscribe(
		data, size, slow_rc == SL_WIRE_OK && (slow.extras & SL_WIRE_HAS_SUBSCRIBE) != 0);
	check_tight_memory(data, size, slow_rc, slow_rc == SL_WIRE_OK ? written : 64);
	free(buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact;

	if (size > UINT16_MAX)
		return 0;
	exact = malloc(size);
	if (size != 0)
		memcpy(exact, data, size);
	check(exact, size);
	free(exact);
	return 0;
}
