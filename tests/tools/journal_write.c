/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * One run of a journal's writer, as the appliance would have it: recovers a directory, writes
 * messages and outcomes, and ends in order or not. For dts/test_journal_tool.py.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>

#include "sl_journal.h"
#include "sl_wire.h"

#define KEYS 4

struct options {
	const char *directory;
	uint64_t nb_messages;
	uint64_t segment_bytes;
	uint32_t nb_streams;
	uint32_t payload_len;
	uint32_t done_percent;
	uint32_t dead_every; /* Outcome of so many; 0: none. */
	bool is_crash;
};

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void *
put(struct sl_record_ring *ring, enum sl_record_type type, uint32_t len)
{
	void *record;

	while ((record = sl_record_ring_put(ring, type, len, now_ns())) == NULL) {
		sl_record_ring_publish(ring);
		usleep(20);
		sl_record_ring_refresh(ring);
	}
	return record;
}

static void
put_name(struct sl_record_ring *ring, const char *text)
{
	struct sl_record_name *name = put(
		ring, SL_RECORD_NAME, (uint32_t)(sizeof(*name) + strlen(text)));

	name->key = sl_wire_name_key(text);
	memcpy(name->name, text, strlen(text));
}

static void
put_names(struct sl_record_ring *ring)
{
	char text[32];

	for (unsigned int i = 0; i < KEYS; i++) {
		snprintf(text, sizeof(text), "server%u", i);
		put_name(ring, text);
		snprintf(text, sizeof(text), "table%u", i);
		put_name(ring, text);
	}
	put_name(ring, "breakfast");
	put_name(ring, "table0/kitchen");
}

static sl_record_ref
put_message(struct sl_record_ring *ring, uint64_t id, uint32_t payload_len)
{
	static uint64_t sources[KEYS], destinations[KEYS], type;
	static uint8_t payload[65536], buf[sizeof(payload) + 256];
	struct sl_wire_message message;
	struct sl_record_message *record;
	uint32_t len = SL_WIRE_MESSAGE_MIN;
	char text[32];

	for (unsigned int i = 0; type == 0 && i < KEYS; i++) {
		snprintf(text, sizeof(text), "server%u", i);
		sources[i] = sl_wire_name_key(text);
		snprintf(text, sizeof(text), "table%u", i);
		destinations[i] = sl_wire_name_key(text);
	}
	type = sl_wire_name_key("breakfast");
	for (uint32_t i = 0; i < payload_len; i++)
		payload[i] = (uint8_t)(id + i);
	message = (struct sl_wire_message){
		.key = {.destination = destinations[id / KEYS % KEYS],
			.source = sources[id % KEYS],
			.id_high = 0,
			.id_low = id},
		.sequence = id,
		.timestamp_ns = now_ns(),
		.type = type,
		.priority = 1 + (uint32_t)(id % SL_WIRE_CLASSES),
		.flags = SL_WIRE_FLAG_ACK,
		.payload = payload,
		.payload_len = payload_len,
	};
	if (payload_len > 0)
		len += 1 + sl_wire_varint_len(payload_len) + payload_len;
	record = put(ring, SL_RECORD_MESSAGE, (uint32_t)sizeof(*record) + len);
	record->session = 1 + id % KEYS;
	record->publisher = 0;
	record->class_index = (uint8_t)(id % SL_WIRE_CLASSES);
	memset(record->reserved, 0, sizeof(record->reserved));
	record->record.flags = SL_RECORD_WANTS_ACK;
	sl_wire_put_message(buf, &message);
	/* Without its tag and length. */
	memcpy(record + 1, buf + sl_wire_message_size(payload_len) - len, len);
	return sl_record_ref_of(ring->stream, record->record.position);
}

static void
put_done(struct sl_record_ring *ring, sl_record_ref message, enum sl_record_outcome outcome)
{
	struct sl_record_done *done = put(
		ring, SL_RECORD_DONE, sizeof(*done) + sizeof(done->outcomes[0]));

	done->backend = sl_wire_name_key("table0/kitchen");
	done->nb_outcomes = 1;
	done->reserved = 0;
	done->outcomes[0] = (struct sl_record_outcome_of){
		.message = message, .attempts = 1, .outcome = (uint8_t)outcome};
}

static void
write_all(struct sl_journal *journal, const struct options *o)
{
	uint64_t first = now_ns();
	uint32_t nb_done = 0;

	for (uint32_t i = 0; i < o->nb_streams; i++)
		put_names(sl_journal_ring(journal, i));
	for (uint64_t i = 0; i < o->nb_messages; i++) {
		struct sl_record_ring *ring = sl_journal_ring(
			journal, (uint32_t)(i % o->nb_streams));
		sl_record_ref ref = put_message(ring, first + i, o->payload_len);

		/* Of any worker, and so perhaps read before its message. */
		ring = sl_journal_ring(journal, (uint32_t)(i / 7 % o->nb_streams));
		if (i % 100 < o->done_percent)
			put_done(ring, ref,
				o->dead_every != 0 && ++nb_done % o->dead_every == 0
					? SL_OUTCOME_DEAD
					: SL_OUTCOME_DELIVERED);
		if (i % 64 == 63) {
			for (uint32_t j = 0; j < o->nb_streams; j++)
				sl_record_ring_publish(sl_journal_ring(journal, j));
		}
	}
	for (uint32_t i = 0; i < o->nb_streams; i++) {
		struct sl_record_ring *ring = sl_journal_ring(journal, i);

		sl_record_ring_publish(ring);
		while (atomic_load(&ring->durable) < ring->put)
			usleep(100);
	}
}

static int
run(const struct options *o)
{
	struct sl_journal_params params = {.directory = o->directory,
		.segment_bytes = o->segment_bytes,
		.ring_bytes = UINT64_C(4) << 20,
		.max_bytes = UINT64_C(64) << 30,
		.retention_bytes = UINT64_C(64) << 30,
		.retention_ms = UINT64_C(86400000),
		.nb_streams = o->nb_streams,
		.node = "test"};
	const struct sl_journal_visitor visitor = {0};
	struct sl_journal_recovery recovery;
	struct sl_journal *journal;
	char notice[1024], error[1024];
	int rc;

	rc = sl_journal_recover(
		o->directory, &visitor, &recovery, notice, sizeof(notice), error, sizeof(error));
	if (rc == 0)
		rc = sl_journal_open(&params, &recovery, &journal, error, sizeof(error));
	if (rc != 0) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	printf("{\"undelivered\": %" PRIu64 ", \"messages\": %" PRIu64 ", \"run\": %" PRIu32
	       ", \"notice\": \"%s\"}\n",
		recovery.nb_undelivered, recovery.nb_messages, recovery.incarnation, notice);
	fflush(stdout);
	rc = sl_journal_start(journal, -1);
	if (rc != 0)
		return 1;
	write_all(journal, o);
	if (o->is_crash)
		_exit(0);
	sl_journal_stop(journal);
	sl_journal_close(journal);
	return 0;
}

int
main(int argc, char **argv)
{
	struct options o = {.segment_bytes = UINT64_C(1) << 20,
		.nb_streams = 1,
		.nb_messages = 1000,
		.payload_len = 64,
		.done_percent = 50,
		.dead_every = 10};

	if (argc < 2) {
		fprintf(stderr,
			"usage: journal_write DIRECTORY [messages|streams|payload|"
			"segment|done|crash=N]...\n");
		return 2;
	}
	o.directory = argv[1];
	for (int i = 2; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		uint64_t number = value == NULL ? 0 : strtoull(value + 1, NULL, 0);

		switch (argv[i][0] == 's' ? argv[i][1] : argv[i][0]) {
		case 'm':
			o.nb_messages = number;
			break;
		case 't':
			o.nb_streams = (uint32_t)number;
			break;
		case 'p':
			o.payload_len = (uint32_t)RTE_MIN(number, UINT64_C(60000));
			break;
		case 'e':
			o.segment_bytes = number;
			break;
		case 'd':
			o.done_percent = (uint32_t)number;
			break;
		case 'c':
			o.is_crash = number != 0;
			break;
		default:
			fprintf(stderr, "%s: unknown\n", argv[i]);
			return 2;
		}
	}
	return run(&o);
}
