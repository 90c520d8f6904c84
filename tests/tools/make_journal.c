/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Writes a journal as an appliance would, by lib/journal:
 *   make_journal DIRECTORY MESSAGES PAYLOAD STREAMS RATE OUTCOME-AFTER [BEGIN-NS]
 * RATE is messages a second by the clock in the records; a message is delivered OUTCOME-AFTER
 * messages later (0: never). Destinations, sources and types have names.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sl_journal.h"
#include "sl_wire.h"

#define NB_DESTINATIONS 100
#define NB_SOURCES	64
#define NB_TYPES	8
#define OUTCOMES_MAX	256

struct maker {
	struct sl_journal *journal;
	uint64_t nb_messages, rate, outcome_after, begin_ns;
	uint32_t payload_len, nb_streams;
	sl_record_ref *refs;
	uint64_t nb_done;
};

static void *
put(struct maker *maker, uint32_t stream, enum sl_record_type type, uint32_t len, uint64_t time_ns)
{
	struct sl_record_ring *ring = sl_journal_ring(maker->journal, stream);
	void *record;

	while ((record = sl_record_ring_put(ring, type, len, time_ns)) == NULL) {
		sl_record_ring_publish(ring);
		usleep(200);
		sl_record_ring_refresh(ring);
	}
	return record;
}

static void
put_names(struct maker *maker, const char *format, uint32_t nb)
{
	for (uint32_t i = 0; i < nb; i++) {
		struct sl_record_name *record;
		char name[32];
		int len = snprintf(name, sizeof(name), format, i);

		record = put(maker, 0, SL_RECORD_NAME, (uint32_t)sizeof(*record) + (uint32_t)len,
			maker->begin_ns);
		record->key = sl_wire_name_key(name);
		memcpy(record->name, name, (size_t)len);
	}
}

static uint64_t
key_of(const char *format, uint32_t i)
{
	char name[32];

	snprintf(name, sizeof(name), format, i);
	return sl_wire_name_key(name);
}

static void
put_message(struct maker *maker, uint64_t i, uint64_t time_ns)
{
	static uint64_t destinations[NB_DESTINATIONS], sources[NB_SOURCES], types[NB_TYPES];
	static uint8_t payload[65536];
	uint8_t buf[66000], *end;
	struct sl_wire_message message;
	struct sl_record_message *record;
	uint32_t stream = (uint32_t)(i % maker->nb_streams), len, skip;
	uint64_t mixed = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

	for (uint32_t k = 0; destinations[NB_DESTINATIONS - 1] == 0 && k < NB_DESTINATIONS; k++) {
		destinations[k] = key_of("table%u", k);
		sources[k % NB_SOURCES] = key_of("server%u", k % NB_SOURCES);
		types[k % NB_TYPES] = key_of("type%u", k % NB_TYPES);
	}
	message = (struct sl_wire_message){
		.key = {destinations[(mixed >> 32) % NB_DESTINATIONS], sources[mixed >> 40 & 63],
			mixed, i},
		.timestamp_ns = time_ns - 50000,
		.type = types[mixed >> 50 & 7],
		.payload = payload,
		.payload_len = maker->payload_len,
	};
	memcpy(payload, &mixed, sizeof(mixed));
	end = sl_wire_put_message(buf, &message);
	skip = 1;
	while (buf[skip++] & 0x80)
		;
	len = (uint32_t)(end - buf) - skip;
	record = put(maker, stream, SL_RECORD_MESSAGE, (uint32_t)sizeof(*record) + len, time_ns);
	memset((uint8_t *)record + sizeof(record->record), 0,
		sizeof(*record) - sizeof(record->record));
	record->class_index = (uint8_t)(mixed >> 60 & 1);
	memcpy(record + 1, buf + skip, len);
	maker->refs[i] = sl_record_ref_of(stream, record->record.position);
}

/* Stopping waits for the disk, but not for long. */
static void
wait_until_durable(struct maker *maker)
{
	for (uint32_t s = 0; s < maker->nb_streams; s++) {
		struct sl_record_ring *ring = sl_journal_ring(maker->journal, s);

		do {
			sl_record_ring_publish(ring);
			usleep(200);
			sl_record_ring_refresh(ring);
		} while (ring->durable_seen < ring->put);
	}
}

/* Outcomes of the messages up to a number, those of each stream in its own. */
static void
put_outcomes(struct maker *maker, uint64_t until, uint64_t time_ns)
{
	for (uint32_t stream = 0; stream < maker->nb_streams; stream++) {
		struct sl_record_done *record;
		uint32_t nb = 0;

		for (uint64_t i = maker->nb_done; i < until; i++)
			nb += i % maker->nb_streams == stream;
		if (nb == 0)
			continue;
		record = put(maker, stream, SL_RECORD_DONE,
			(uint32_t)(sizeof(*record) + nb * sizeof(record->outcomes[0])), time_ns);
		record->backend = key_of("table%u/kitchen", 0);
		record->nb_outcomes = nb;
		record->reserved = 0;
		nb = 0;
		for (uint64_t i = maker->nb_done; i < until; i++) {
			if (i % maker->nb_streams == stream)
				record->outcomes[nb++] = (struct sl_record_outcome_of){
					maker->refs[i], 100, 1, SL_OUTCOME_DELIVERED, 0};
		}
	}
	maker->nb_done = until;
}

static void
make(struct maker *maker)
{
	uint64_t time_ns = maker->begin_ns;

	put_names(maker, "table%u", NB_DESTINATIONS);
	put_names(maker, "server%u", NB_SOURCES);
	put_names(maker, "type%u", NB_TYPES);
	for (uint64_t i = 0; i < maker->nb_messages; i++) {
		time_ns = maker->begin_ns + i * 1000000000 / maker->rate;
		put_message(maker, i, time_ns);
		if (maker->outcome_after > 0 &&
			i >= maker->outcome_after + maker->nb_done + OUTCOMES_MAX)
			put_outcomes(maker, i - maker->outcome_after, time_ns);
		if (i % 256 == 0) {
			for (uint32_t s = 0; s < maker->nb_streams; s++)
				sl_record_ring_publish(sl_journal_ring(maker->journal, s));
		}
	}
	if (maker->outcome_after > 0) {
		while (maker->nb_done < maker->nb_messages)
			put_outcomes(maker,
				maker->nb_done + OUTCOMES_MAX < maker->nb_messages
					? maker->nb_done + OUTCOMES_MAX
					: maker->nb_messages,
				time_ns);
	}
	wait_until_durable(maker);
}

int
main(int argc, char **argv)
{
	struct maker maker = {0};
	static struct sl_journal_recovery recovery = {.incarnation = 1};
	struct sl_journal_params params = {
		.segment_bytes = 64 << 20,
		.ring_bytes = 32 << 20,
		.max_bytes = UINT64_C(64) << 30,
		.retention_bytes = UINT64_C(64) << 30,
		.retention_ms = 86400000,
		.node = "make_journal",
	};
	char error[256];

	if (argc < 7) {
		fprintf(stderr,
			"make_journal DIRECTORY MESSAGES PAYLOAD STREAMS RATE "
			"OUTCOME-AFTER [BEGIN-NS]\n");
		return 2;
	}
	params.directory = argv[1];
	maker.nb_messages = strtoull(argv[2], NULL, 10);
	maker.payload_len = (uint32_t)strtoul(argv[3], NULL, 10);
	params.nb_streams = maker.nb_streams = (uint32_t)strtoul(argv[4], NULL, 10);
	maker.rate = strtoull(argv[5], NULL, 10);
	maker.outcome_after = strtoull(argv[6], NULL, 10);
	maker.begin_ns = argc > 7 ? strtoull(argv[7], NULL, 10)
				  : (uint64_t)time(NULL) * UINT64_C(1000000000);
	maker.refs = calloc(maker.nb_messages, sizeof(maker.refs[0]));
	if (maker.refs == NULL || maker.payload_len > 65000 || maker.nb_streams == 0 ||
		maker.rate == 0) {
		fprintf(stderr, "make_journal: too much, or 0\n");
		return 2;
	}
	if (sl_journal_open(&params, &recovery, &maker.journal, error, sizeof(error)) < 0 ||
		sl_journal_start(maker.journal, -1) < 0) {
		fprintf(stderr, "make_journal: %s\n", error);
		return 1;
	}
	make(&maker);
	sl_journal_stop(maker.journal);
	sl_journal_close(maker.journal);
	free(maker.refs);
	return 0;
}
