/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef JOURNAL_MAKER_H
#define JOURNAL_MAKER_H

/*
 * Journals made by hand, byte for byte: what a writer, a crash or a bad disk could leave behind. A
 * segment is made in memory and written with as many of its bytes as are wanted.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal_internal.h"
#include "sl_wire.h"

#define MAKER_NOT_SYNCED UINT64_MAX

struct maker_segment {
	struct sl_segment_header header;
	uint32_t take;
	uint64_t put;	 /* Position of the next record. */
	uint64_t synced; /* What records say of it; MAKER_NOT_SYNCED: nothing. */
	uint8_t *bytes;
	size_t size;
};

static inline struct maker_segment
maker_begin(uint32_t incarnation, uint32_t number, uint32_t stream, uint64_t base, uint64_t end)
{
	struct maker_segment s = {
		.header = {.stream = stream,
			.base = base,
			.end = end,
			.created_ns = UINT64_C(1700000000000000000) + number,
			.incarnation = incarnation,
			.number = number,
			.first = base,
			.previous_end = base},
		.put = base,
		.synced = MAKER_NOT_SYNCED,
		.size = SL_SEGMENT_HEADER + (size_t)(end - base),
	};

	s.bytes = aligned_alloc(4096, s.size);
	if (s.bytes == NULL)
		abort();
	memset(s.bytes, 0, s.size);
	return s;
}

/* Write the header as it is now; the mark is gone then. */
static inline void
maker_seal(struct maker_segment *s)
{
	memcpy(s->bytes, &s->header, sizeof(s->header));
	journal_header_seal(s->bytes);
}

static inline void
maker_mark(struct maker_segment *s, uint64_t synced)
{
	journal_mark_seal(s->bytes, s->header.stream, synced);
}

static inline uint8_t *
maker_at(struct maker_segment *s, uint64_t position)
{
	return s->bytes + SL_SEGMENT_HEADER + (position - s->header.base);
}

static inline bool
maker_has_room(const struct maker_segment *s, uint32_t len)
{
	return s->put + sl_record_stride(len) <= s->header.end;
}

/* A record, to be filled in behind its header and finished by maker_finish(). */
static inline void *
maker_put(struct maker_segment *s, enum sl_record_type type, uint32_t len, uint64_t time_ns)
{
	struct sl_record *record = (struct sl_record *)maker_at(s, s->put);

	if (!maker_has_room(s, len))
		abort();
	memset(record, 0, len);
	record->len = len;
	record->position = s->put;
	record->time_ns = time_ns;
	record->incarnation = s->header.incarnation;
	record->type = (uint8_t)type;
	s->put += sl_record_stride(len);
	return record;
}

static inline sl_record_ref
maker_finish(struct maker_segment *s, void *made)
{
	struct sl_record *record = made;

	if (s->synced != MAKER_NOT_SYNCED)
		sl_record_seal(record, s->synced);
	else
		/* Seals "so far back that nobody can say". */
		sl_record_seal(record, 0);
	return sl_record_ref_of(s->header.stream, record->position);
}

struct maker_message {
	const char *source;
	const char *destination;
	const char *type;
	uint64_t id;
	uint64_t time_ns;
	uint64_t session;
	uint64_t sequence;
	uint32_t priority;
	const void *payload;
	uint32_t payload_len;
	uint16_t nb_subscribers; /* Of a topic. */
};

static inline uint32_t
maker_message_len(uint32_t payload_len)
{
	uint32_t len = SL_WIRE_MESSAGE_MIN;

	if (payload_len > 0)
		len += 1 + sl_wire_varint_len(payload_len) + payload_len;
	return (uint32_t)sizeof(struct sl_record_message) + len;
}

/* Of the whole record. */
static inline uint32_t
maker_record_len(const struct maker_message *from)
{
	return maker_message_len(from->payload_len) +
		from->nb_subscribers * (uint32_t)sizeof(struct sl_record_subscriber);
}

/* What is behind the header of a message's record, and its flags. */
static inline void
maker_fill_message(struct sl_record_message *record, const struct maker_message *from)
{
	uint32_t tail = from->nb_subscribers * (uint32_t)sizeof(struct sl_record_subscriber);
	uint32_t len = maker_message_len(from->payload_len);
	struct sl_record_subscriber *subscribers = (struct sl_record_subscriber *)(record + 1);
	struct sl_wire_message m = {
		.key = {.destination = sl_wire_name_key(from->destination),
			.source = sl_wire_name_key(from->source),
			.id_high = 0,
			.id_low = from->id},
		.sequence = from->sequence,
		.timestamp_ns = from->time_ns,
		.type = sl_wire_name_key(from->type),
		.priority = from->priority,
		.flags = SL_WIRE_FLAG_ACK,
		.payload = from->payload,
		.payload_len = from->payload_len,
	};
	uint8_t *buf = malloc(sl_wire_message_size(from->payload_len) + 64);

	if (buf == NULL)
		abort();
	record->nb_subscribers = from->nb_subscribers;
	for (uint32_t i = 0; i < from->nb_subscribers; i++)
		subscribers[i] = (struct sl_record_subscriber){.backend = i,
			.back = (uint32_t)(sizeof(*record) + i * sizeof(*subscribers)),
			.flags = SL_RECORD_SUBSCRIBER};
	sl_wire_put_message(buf, &m);
	/* Without the tag and the length in front. */
	memcpy((uint8_t *)(record + 1) + tail,
		buf + sl_wire_message_size(from->payload_len) - (len - sizeof(*record)),
		len - sizeof(*record));
	free(buf);
	record->session = from->session;
	record->record.flags = SL_RECORD_WANTS_ACK;
	record->class_index = from->priority == 0 ? 0 : (uint8_t)(from->priority - 1);
}

static inline sl_record_ref
maker_message(struct maker_segment *s, const struct maker_message *from)
{
	struct sl_record_message *record = maker_put(
		s, SL_RECORD_MESSAGE, maker_record_len(from), from->time_ns);

	maker_fill_message(record, from);
	return maker_finish(s, record);
}

/* What a subscriber is to get of a message at this place. */
static inline sl_record_ref
maker_copy(sl_record_ref message, uint32_t index)
{
	return (message + sizeof(struct sl_record_message) +
		       index * sizeof(struct sl_record_subscriber)) |
		SL_RECORD_REF_COPY;
}

static inline sl_record_ref
maker_done(struct maker_segment *s, const sl_record_ref *messages, uint32_t nb,
	enum sl_record_outcome outcome, uint64_t time_ns)
{
	struct sl_record_done *done = maker_put(s, SL_RECORD_DONE,
		(uint32_t)(sizeof(*done) + nb * sizeof(done->outcomes[0])), time_ns);

	done->backend = sl_wire_name_key("table1/server1");
	done->nb_outcomes = nb;
	for (uint32_t i = 0; i < nb; i++) {
		done->outcomes[i].message = messages[i];
		done->outcomes[i].attempts = 1;
		done->outcomes[i].outcome = (uint8_t)outcome;
	}
	return maker_finish(s, done);
}

static inline sl_record_ref
maker_name(struct maker_segment *s, const char *text, uint64_t time_ns)
{
	struct sl_record_name *name = maker_put(
		s, SL_RECORD_NAME, (uint32_t)(sizeof(*name) + strlen(text)), time_ns);

	name->key = sl_wire_name_key(text);
	memcpy(name->name, text, strlen(text));
	return maker_finish(s, name);
}

/* What is left of the segment becomes a pad. */
static inline void
maker_pad(struct maker_segment *s)
{
	uint64_t left = s->header.end - s->put;

	if (left >= sizeof(struct sl_record))
		maker_finish(s, maker_put(s, SL_RECORD_PAD, (uint32_t)left, 1));
	s->put = s->header.end;
}

static inline void
maker_path(const struct maker_segment *s, const char *directory, char path[512])
{
	struct journal_name name = {s->header.stream, s->take, s->header.base};
	char file[JOURNAL_NAME_SIZE];

	journal_name_format(file, &name);
	snprintf(path, 512, "%s/%s", directory, file);
}

/* Write the first `size` bytes of it as its file. */
static inline void
maker_write_part(const struct maker_segment *s, const char *directory, size_t size)
{
	char path[512];
	int fd;

	maker_path(s, directory, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, s->bytes, size) != (ssize_t)size)
		abort();
	close(fd);
}

static inline void
maker_write(const struct maker_segment *s, const char *directory)
{
	maker_write_part(s, directory, s->size);
}

/* Write some of its bytes to the file that is there. */
static inline void
maker_rewrite(const struct maker_segment *s, const char *directory, size_t at, size_t len)
{
	char path[512];
	int fd;

	maker_path(s, directory, path);
	fd = open(path, O_WRONLY);
	if (fd < 0 || pwrite(fd, s->bytes + at, len, (off_t)at) != (ssize_t)len)
		abort();
	close(fd);
}

static inline void
maker_end(struct maker_segment *s)
{
	free(s->bytes);
	s->bytes = NULL;
}

#endif /* JOURNAL_MAKER_H */
