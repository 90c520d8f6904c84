/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Datagrams and time for the client library's two cores, a publisher and a consumer.
 *
 *   - Every published message is settled once, and its memory comes back once.
 *   - Every message that came is released once, and what is held stays within its bound.
 *   - The session's number in a datagram is now and then mended, so that the fuzzer gets behind it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "con_core.h"
#include "message.h"
#include "pub_core.h"

#define MS	 UINT64_C(1000000)
#define PUBLISH	 8
#define HELD_MAX 65536

enum op { OP_PUBLISHER, OP_CONSUMER, OP_MENDED, OP_LATER, OP_DONE, OP_PUBLISH, OPS };

static struct {
	uint64_t now;
	uint64_t random;
	uint64_t session; /* Of the last datagram that went out. */
	uint32_t nb_published;
	uint32_t nb_settled;
	uint32_t nb_pub; /* Messages in memory. */
	uint32_t nb_con;
	struct sl_pub_core *pub;
	struct sl_con_core *con;
	struct sl_pack pack;
	struct sl_con_list in_work;
	uint8_t buf[SL_PACK_DATAGRAMS * 300];
} s;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_client: %s\n", what);
	abort();
}

static void
on_settled(void *arg, struct sl_pub_message *m, int result)
{
	require(m->id.high == 1, "a message is settled twice");
	m->id.high = 0;
	s.nb_settled++;
}

static void
on_pub_release(void *arg, struct sl_pub_message *m)
{
	s.nb_pub--;
	free(m);
}

static bool
on_connect(void *arg, uint32_t appliance)
{
	return appliance == 0;
}

static uint64_t
on_random(void *arg)
{
	return s.random++;
}

static void
on_pub_event(void *arg, enum sluice_level level, uint32_t appliance, const char *what)
{
}

static struct sl_con_message *
on_get(void *arg, uint32_t len)
{
	struct sl_con_message *m = malloc(sizeof(*m) + len);

	require(m != NULL, "no memory");
	m->capacity = len;
	s.nb_con++;
	return m;
}

static void
on_con_release(void *arg, struct sl_con_message *m)
{
	s.nb_con--;
	free(m);
}

static void
on_deliver(void *arg, struct sl_con_message *m)
{
	const struct sluice_delivery *d = &m->delivery;
	const uint8_t *bytes = d->payload;

	require(d->payload_len == 0 ||
			(bytes >= m->bytes && bytes + d->payload_len <= m->bytes + m->capacity),
		"a payload outside of its message");
	TAILQ_INSERT_TAIL(&s.in_work, m, next);
}

static void
on_send(void *arg, const struct sl_udp_peer *peer, const uint8_t *data, size_t len)
{
	struct sl_wire_ack ack;

	require(!sl_wire_parse_ack_fast(data, len, &ack) || ack.cumulative <= ack.highest,
		"an ack contradicts itself");
}

static void
on_con_event(void *arg, enum sluice_level level, const struct sl_udp_peer *peer, const char *what)
{
}

static void
begin(uint8_t flags)
{
	struct sl_pub_params pub = {.window = 16,
		.nb_appliances = 1 + (flags >> 4 & 1),
		.silence_ns = 1000 * MS,
		.hooks = {NULL, on_settled, on_pub_release, on_connect, on_random, on_pub_event}};
	struct sl_con_params con = {.window = 16,
		.sessions_max = 3,
		.dedup_messages = 10,
		.queue_messages = 5,
		.memory_bytes = HELD_MAX,
		.idle_ns = 10000 * MS,
		.ack_delay_ns = MS,
		.ack_every = 4,
		.is_early = flags & 1,
		.is_unordered = flags >> 1 & 1,
		.trusts_epochs = flags >> 2 & 1,
		.hooks = {NULL, on_get, on_con_release, on_deliver, on_send, on_con_event}};

	memset(&s, 0, sizeof(s));
	s.now = 1000 * MS;
	s.random = 1;
	TAILQ_INIT(&s.in_work);
	s.pack.buf = s.buf;
	s.pack.datagram_bytes = 300;
	s.pub = sl_pub_new(&pub, s.now);
	s.con = sl_con_new(&con);
	require(s.pub != NULL && s.con != NULL, "no memory");
}

static void
publish(void)
{
	struct sluice_message message = {.destination = "d", .payload = "x", .payload_len = 1};
	struct sl_message_shape shape;
	struct sl_pub_message *m;

	message.flags = s.nb_published % 5 == 4 ? SLUICE_AT_MOST_ONCE : 0;
	require(sl_message_measure(&message, 300, &shape) == 0, "a message is too big");
	m = calloc(1, sizeof(*m) + shape.len);
	require(m != NULL, "no memory");
	m->id = (struct sluice_id){.high = 1, .low = s.nb_published++};
	m->len = shape.len;
	m->body = shape.body;
	m->deadline = s.now + 5000 * MS;
	m->is_at_most_once = message.flags != 0;
	sl_message_write(m->bytes, &message, &shape, 7, &m->id);
	sl_pub_submit(s.pub, m);
	s.nb_pub++;
}

/* What goes out goes to the consumer, every other time. */
static void
turn(bool is_lost)
{
	static const struct sl_udp_peer peer = {.port = 1};

	sl_pub_tick(s.pub, s.now);
	sl_pack_reset(&s.pack);
	sl_pub_output(s.pub, &s.pack, s.now);
	for (uint32_t i = 0; i < s.pack.nb; i++) {
		const uint8_t *data = s.buf + s.pack.offsets[i];

		s.session = sl_wire_get64(data + SL_WIRE_OFF_SESSION);
		if (!is_lost)
			sl_con_input(s.con, &peer, data, s.pack.offsets[i + 1] - s.pack.offsets[i],
				s.now);
	}
	sl_con_tick(s.con, s.now);
	sl_con_flush(s.con, s.now, false);
}

static void
input(enum op op, const uint8_t *data, size_t len)
{
	struct sl_udp_peer peer = {.port = len % 3};
	uint8_t *copy = malloc(len == 0 ? 1 : len);

	require(copy != NULL, "no memory");
	memcpy(copy, data, len);
	/* Of an ack, the session is the first field in it. */
	if (op == OP_MENDED && len > SL_WIRE_HEADER_LEN + 11)
		memcpy(copy + SL_WIRE_HEADER_LEN + 3, &s.session, sizeof(s.session));
	if (op == OP_CONSUMER)
		sl_con_input(s.con, &peer, copy, len, s.now);
	else
		sl_pub_input(s.pub, copy, len, s.now);
	free(copy);
}

static void
done_first(void)
{
	struct sl_con_message *m = TAILQ_FIRST(&s.in_work);

	if (m == NULL)
		return;
	TAILQ_REMOVE(&s.in_work, m, next);
	sl_con_done(s.con, m, s.now);
}

static void
end(void)
{
	struct sl_con_message *m;

	while ((m = TAILQ_FIRST(&s.in_work)) != NULL) {
		TAILQ_REMOVE(&s.in_work, m, next);
		sl_con_drop(s.con, m);
	}
	sl_con_free(s.con);
	sl_pub_free(s.pub);
	require(s.nb_con == 0, "a message that came is not released");
	require(s.nb_pub == 0, "a published message is not released");
	require(s.nb_settled == s.nb_published, "a published message is not settled");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sluice_consumer_stats stats = {0};
	size_t len;

	if (size == 0)
		return 0;
	begin(*data++);
	size--;
	/* An operation, two bytes of length, and so many of data. */
	while (size >= 3) {
		enum op op = data[0] % OPS;

		len = (size_t)data[1] << 8 | data[2];
		data += 3;
		size -= 3;
		if (op == OP_LATER) {
			s.now += len * MS / 8;
		} else if (op == OP_DONE) {
			done_first();
		} else if (op == OP_PUBLISH) {
			for (uint32_t i = 0; i < PUBLISH; i++)
				publish();
		} else {
			len = len < size ? len : size;
			input(op, data, len);
			data += len;
			size -= len;
		}
		turn(len % 2 == 1);
		sl_con_get_stats(s.con, &stats);
		require(stats.held == s.nb_con && stats.held_bytes <= HELD_MAX, "too much is held");
	}
	end();
	return 0;
}
