/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * One run of a journal's writer, as the appliance would have it: recovers a directory, writes
 * messages and outcomes, and ends in order or not. Destinations, sources and types have names.
 * For dts/test_journal_tool.py and the benchmark of sinks.
 *
 *   journal_write DIRECTORY [messages|streams|payload|segment|done|after|rate|crash=N]...
 *
 * `done` percent of the messages have their outcome at once, a tenth of it dead, in a record each.
 * With `after` all are delivered, so many messages later, in records of many outcomes. `rate`:
 * messages a second by the clock in the records, which is the real one without it.
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

#define NB_DESTINATIONS 100
#define NB_SOURCES	64
#define NB_TYPES	8

#define DEAD_EVERY 10 /* Outcomes. */

/* In one record. */
#define OUTCOMES_MAX 256u

#define SECOND_NS UINT64_C(1000000000)

struct options {
	const char *directory;
	uint64_t nb_messages;
	uint64_t segment_bytes;
	uint32_t nb_streams;
	uint32_t payload_len;
	uint32_t done_percent;
	uint64_t after;
	uint64_t rate;
	bool is_crash;
};

struct run {
	const struct options *o;
	struct sl_journal *journal;
	uint64_t begin_ns;
	uint64_t time_ns; /* By the clock in the records. */
	uint64_t destinations[NB_DESTINATIONS], sources[NB_SOURCES], types[NB_TYPES];
	uint64_t kitchen;
	sl_record_ref *refs; /* Of all messages. */
	uint64_t nb_done;    /* Messages with an outcome, all up to here. */
	uint32_t nb_outcomes;
};

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void *
put(const struct run *run, uint32_t stream, enum sl_record_type type, uint32_t len)
{
	struct sl_record_ring *ring = sl_journal_ring(run->journal, stream);
	void *record;

	while ((record = sl_record_ring_put(ring, type, len, run->time_ns)) == NULL) {
		sl_record_ring_publish(ring);
		usleep(100);
		sl_record_ring_refresh(ring);
	}
	return record;
}

static uint64_t
put_name(const struct run *run, const char *text)
{
	struct sl_record_name *name;

	for (uint32_t i = 0; i < run->o->nb_streams; i++) {
		name = put(run, i, SL_RECORD_NAME, (uint32_t)(sizeof(*name) + strlen(text)));
		name->key = sl_wire_name_key(text);
		memcpy(name->name, text, strlen(text));
	}
	return sl_wire_name_key(text);
}

static void
put_names(const struct run *run, const char *kind, uint64_t *keys, uint32_t nb)
{
	char text[32];

	for (uint32_t i = 0; i < nb; i++) {
		snprintf(text, sizeof(text), "%s%" PRIu32, kind, i);
		keys[i] = put_name(run, text);
	}
}

static void
put_message(const struct run *run, uint64_t number)
{
	static uint8_t payload[65536], buf[sizeof(payload) + 256];
	const struct options *o = run->o;
	uint64_t id = run->begin_ns + number, mixed = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
	uint32_t stream = (uint32_t)(number % o->nb_streams);
	struct sl_wire_message message = {
		.key = {.destination = run->destinations[(mixed >> 32) % NB_DESTINATIONS],
			.source = run->sources[(mixed >> 40) % NB_SOURCES],
			.id_low = id},
		.sequence = number + 1,
		.timestamp_ns = run->time_ns,
		.type = run->types[(mixed >> 50) % NB_TYPES],
		.priority = 1 + (uint32_t)(number % SL_WIRE_CLASSES),
		.flags = SL_WIRE_FLAG_ACK,
		.payload = payload,
		.payload_len = o->payload_len,
	};
	uint32_t size = sl_wire_message_size(o->payload_len), len = SL_WIRE_MESSAGE_MIN;
	struct sl_record_message *record;

	/* The first bytes tell messages apart. */
	memcpy(payload, &mixed, sizeof(mixed));
	if (o->payload_len > 0)
		len += 1 + sl_wire_varint_len(o->payload_len) + o->payload_len;
	record = put(run, stream, SL_RECORD_MESSAGE, (uint32_t)sizeof(*record) + len);
	record->session = 1 + number % NB_SOURCES;
	record->publisher = 0;
	record->class_index = (uint8_t)(number % SL_WIRE_CLASSES);
	record->level = (uint8_t)(record->class_index + 1);
	record->nb_subscribers = 0;
	record->record.flags = SL_RECORD_WANTS_ACK;
	sl_wire_put_message(buf, &message);
	/* Without its tag and length. */
	memcpy(record + 1, buf + size - len, len);
	run->refs[number] = sl_record_ref_of(stream, record->record.position);
}

static struct sl_record_done *
put_done(const struct run *run, uint32_t stream, uint32_t nb)
{
	struct sl_record_done *done = put(run, stream, SL_RECORD_DONE,
		(uint32_t)(sizeof(*done) + nb * sizeof(done->outcomes[0])));

	done->backend = run->kitchen;
	done->nb_outcomes = nb;
	done->reserved = 0;
	return done;
}

/* In the stream of any worker, and so perhaps read before its message. */
static void
put_outcome(struct run *run, uint64_t number)
{
	bool is_dead = ++run->nb_outcomes % DEAD_EVERY == 0;

	put_done(run, (uint32_t)(number / 7 % run->o->nb_streams), 1)
		->outcomes[0] = (struct sl_record_outcome_of){.message = run->refs[number],
		.attempts = 1,
		.outcome = is_dead ? SL_OUTCOME_DEAD : SL_OUTCOME_DELIVERED};
}

/* Of the messages up to a number, those of each stream in its own. */
static void
put_outcomes(struct run *run, uint64_t until)
{
	uint32_t nb_streams = run->o->nb_streams, nb;
	struct sl_record_done *done;

	for (uint32_t stream = 0; stream < nb_streams; stream++) {
		nb = 0;
		for (uint64_t i = run->nb_done; i < until; i++)
			nb += i % nb_streams == stream;
		if (nb == 0)
			continue;
		done = put_done(run, stream, nb);
		nb = 0;
		for (uint64_t i = run->nb_done; i < until; i++) {
			if (i % nb_streams == stream)
				done->outcomes[nb++] = (struct sl_record_outcome_of){
					run->refs[i], 100, 1, SL_OUTCOME_DELIVERED, 0};
		}
	}
	run->nb_done = until;
}

static void
publish(const struct run *run)
{
	for (uint32_t i = 0; i < run->o->nb_streams; i++)
		sl_record_ring_publish(sl_journal_ring(run->journal, i));
}

static void
write_messages(struct run *run)
{
	const struct options *o = run->o;

	for (uint64_t i = 0; i < o->nb_messages; i++) {
		run->time_ns = o->rate > 0 ? run->begin_ns + i * SECOND_NS / o->rate : now_ns();
		put_message(run, i);
		if (o->after == 0 && i % 100 < o->done_percent)
			put_outcome(run, i);
		if (o->after > 0 && i >= o->after + run->nb_done + OUTCOMES_MAX)
			put_outcomes(run, i - o->after);
		if (i % 64 == 63)
			publish(run);
	}
	while (o->after > 0 && run->nb_done < o->nb_messages)
		put_outcomes(run, RTE_MIN(run->nb_done + OUTCOMES_MAX, o->nb_messages));
}

static void
write_all(struct run *run)
{
	run->begin_ns = run->time_ns = now_ns();
	put_names(run, "table", run->destinations, NB_DESTINATIONS);
	put_names(run, "server", run->sources, NB_SOURCES);
	put_names(run, "type", run->types, NB_TYPES);
	run->kitchen = put_name(run, "table0/kitchen");
	write_messages(run);
	publish(run);
	for (uint32_t i = 0; i < run->o->nb_streams; i++) {
		struct sl_record_ring *ring = sl_journal_ring(run->journal, i);

		while (atomic_load(&ring->durable) < ring->put)
			usleep(100);
	}
}

static int
write_run(const struct options *o)
{
	struct sl_journal_params params = {.directory = o->directory,
		.segment_bytes = o->segment_bytes,
		.ring_bytes = RTE_MAX(o->segment_bytes / 2, UINT64_C(4) << 20),
		.max_bytes = UINT64_C(64) << 30,
		.retention_bytes = UINT64_C(64) << 30,
		.retention_ms = UINT64_C(86400000),
		.nb_streams = o->nb_streams,
		.node = "test"};
	const struct sl_journal_visitor visitor = {0};
	struct sl_journal_recovery recovery;
	struct run run = {.o = o};
	char notice[1024], error[1024];
	int rc;

	rc = sl_journal_recover(
		o->directory, &visitor, &recovery, notice, sizeof(notice), error, sizeof(error));
	if (rc == 0)
		rc = sl_journal_open(&params, &recovery, &run.journal, error, sizeof(error));
	if (rc != 0) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	printf("{\"undelivered\": %" PRIu64 ", \"messages\": %" PRIu64 ", \"run\": %" PRIu32
	       ", \"notice\": \"%s\"}\n",
		recovery.nb_undelivered, recovery.nb_messages, recovery.incarnation, notice);
	fflush(stdout);
	run.refs = calloc(o->nb_messages + 1, sizeof(run.refs[0]));
	rc = sl_journal_start(run.journal, -1);
	if (rc != 0 || run.refs == NULL)
		return 1;
	write_all(&run);
	if (o->is_crash)
		_exit(0);
	sl_journal_stop(run.journal);
	sl_journal_close(run.journal);
	free(run.refs);
	return 0;
}

int
main(int argc, char **argv)
{
	struct options o = {.segment_bytes = UINT64_C(1) << 20};
	uint64_t streams = 1, messages = 1000, payload = 64, done = 50, crash = 0;
	const struct {
		const char *name;
		uint64_t *value;
	} words[] = {
		{"messages=", &messages},
		{"streams=", &streams},
		{"payload=", &payload},
		{"segment=", &o.segment_bytes},
		{"done=", &done},
		{"after=", &o.after},
		{"rate=", &o.rate},
		{"crash=", &crash},
	};

	for (int i = 2; i < argc; i++) {
		uint32_t w = 0;

		while (w < RTE_DIM(words) && strncmp(argv[i], words[w].name, strlen(words[w].name)))
			w++;
		if (w == RTE_DIM(words)) {
			fprintf(stderr, "journal_write: %s: no such option\n", argv[i]);
			return 2;
		}
		*words[w].value = strtoull(argv[i] + strlen(words[w].name), NULL, 0);
	}
	if (argc < 2 || streams == 0 || payload > 60000) {
		fprintf(stderr, "journal_write DIRECTORY [NAME=N]...\n");
		return 2;
	}
	o.directory = argv[1];
	o.nb_messages = messages;
	o.nb_streams = (uint32_t)streams;
	o.payload_len = (uint32_t)payload;
	o.done_percent = (uint32_t)done;
	o.is_crash = crash != 0;
	return write_run(&o);
}
