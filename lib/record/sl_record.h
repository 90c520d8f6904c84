/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_RECORD_H
#define SL_RECORD_H

/**
 * @file
 * What the journal holds: records, one after the other, in streams of bytes.
 *
 * Each worker writes one stream. A record's *position* is the offset of its first byte in its
 * stream, counted from the first byte the stream ever had; it grows for ever and is never used
 * twice, also not after a restart. Stream and position together name a record: struct
 * sl_record_ref. The same bytes stand in the worker's ring and in the file, so that the position is
 * known when the record is made, and nothing is copied on the way.
 *
 * A segment file holds a part of one stream: a header of SL_SEGMENT_HEADER bytes, then the bytes of
 * the stream from the header's base on. No record crosses the end of a segment; what is left there
 * is a record of type SL_RECORD_PAD, or nothing when not even its header fits.
 *
 * All integers are little-endian in memory and on disk; Sluice runs on little-endian machines only.
 * Records are aligned to SL_RECORD_ALIGN; the bytes between the end of one and the begin of the
 * next are undefined.
 *
 * The checksum is CRC32C (Castagnoli, as in iSCSI, RFC 3720), of everything behind it.
 *
 * Threads: functions work on what they are given.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_RECORD_ALIGN	  16u
#define SL_RECORD_LEN_MAX (128u * 1024)
#define SL_STREAMS_MAX	  1024u
#define SL_SEGMENT_HEADER 4096u
#define SL_SEGMENT_MAGIC  "SLCJRNL2"

/**
 * A record anywhere in the journal: stream in the high 10 bits, position in the low 54. Or, of a
 * topic's message, what one of its subscribers is to get: the position of its struct
 * sl_record_subscriber, and SL_RECORD_REF_COPY.
 */
typedef uint64_t sl_record_ref;

/** So far a stream can go: 18 PB, years at the speed of any disk. */
#define SL_RECORD_POSITION_BITS 54

#define SL_RECORD_REF_NONE UINT64_MAX

/** Positions are multiples of SL_RECORD_ALIGN: this bit is none of theirs. */
#define SL_RECORD_REF_COPY UINT64_C(1)

static inline sl_record_ref
sl_record_ref_of(uint32_t stream, uint64_t position)
{
	return (uint64_t)stream << SL_RECORD_POSITION_BITS | position;
}

static inline uint32_t
sl_record_ref_stream(sl_record_ref ref)
{
	return (uint32_t)(ref >> SL_RECORD_POSITION_BITS);
}

static inline uint64_t
sl_record_ref_position(sl_record_ref ref)
{
	return ref & ((UINT64_C(1) << SL_RECORD_POSITION_BITS) - 1) & ~SL_RECORD_REF_COPY;
}

static inline bool
sl_record_ref_is_copy(sl_record_ref ref)
{
	return (ref & SL_RECORD_REF_COPY) != 0;
}

enum sl_record_type {
	SL_RECORD_PAD = 1,   /**< Nothing, up to the end of the segment. */
	SL_RECORD_MESSAGE,   /**< struct sl_record_message, then the message as it came. */
	SL_RECORD_DUPLICATE, /**< struct sl_record_duplicate: one to acknowledge again. */
	SL_RECORD_DONE,	     /**< struct sl_record_done: messages that need no delivery any more. */
	SL_RECORD_NAME,	     /**< struct sl_record_name: a key and what it stands for. */
	SL_RECORD_CONFIG,    /**< struct sl_record_config: the configuration changed. */
	SL_RECORD_CLOSE, /**< The stream was closed in order; everything before it is durable. */
};

/** What every record begins with: 32 bytes. */
struct sl_record {
	uint32_t crc; /**< Filled in by the journal's thread. */
	uint32_t len; /**< Of the record with this header, without what aligns the next. */
	uint64_t position;
	uint64_t time_ns;     /**< Unix time. */
	uint32_t incarnation; /**< Counts the starts of the appliance; from 1. */
	uint16_t unsynced; /**< See sl_record_synced_before(). Filled in by the journal's thread. */
	uint8_t type;	   /**< enum sl_record_type */
	uint8_t flags;	   /**< SL_RECORD_* below */
};

/** A message: the way it was addressed to the session is kept, so that it can be acknowledged. */
struct sl_record_message {
	struct sl_record record;
	uint64_t session;    /**< Of its publisher; 0: none. */
	uint32_t publisher;  /**< Place among the publishers; means something in this run only. */
	uint8_t class_index; /**< That it waited in. */
	uint8_t level;	     /**< Of that class then, 1..8; 0: older releases did not tell. */
	/** Of a topic: struct sl_record_subscriber that follow; 0: it is no topic's. */
	uint16_t nb_subscribers;
	/* Then a message of the template layout (sl_wire.h), without tag and length: record.len
	 * says. */
};

/**
 * Who subscribed to a topic when its message was accepted. Each has an outcome of its own, which
 * names the position of this.
 */
struct sl_record_subscriber {
	uint64_t backend; /**< Key of "DESTINATION/BACKEND". */
	uint32_t back;	  /**< Its position less the record's. */
	uint32_t flags;	  /**< SL_RECORD_SUBSCRIBER, SL_RECORD_PASSING */
};

/** Always set: where a record has its position, nothing that may be one. */
#define SL_RECORD_SUBSCRIBER 0x80000000u

/** Forgotten when the appliance ends: it joined, and did not ask to be kept. */
#define SL_RECORD_PASSING 0x1u

/** The publisher wants an ack when it is durable. Of SL_RECORD_MESSAGE. */
#define SL_RECORD_WANTS_ACK 0x1

/** A message that had been accepted before: its ack goes out when everything before is durable. */
struct sl_record_duplicate {
	struct sl_record record;
	uint64_t session;
	uint64_t sequence;
	uint32_t publisher;
	uint32_t reserved;
};

enum sl_record_outcome {
	SL_OUTCOME_DELIVERED = 1, /**< The backend acknowledged it. */
	SL_OUTCOME_DEAD,	  /**< Given up: tried too often, or its destination was removed. */
};

/** What became of a message. */
struct sl_record_outcome_of {
	sl_record_ref message;
	uint32_t before_us; /**< When: so many microseconds before the record's time. */
	uint16_t attempts;
	uint8_t outcome; /**< enum sl_record_outcome */
	/** Of a topic's message: sl_record_copy_place() of the subscriber, so that the message can
	 * be told when its record has been deleted; 0: nobody says, as in older releases. */
	uint8_t copy;
};

/** Messages of one backend's session that are done; in the order they were. */
struct sl_record_done {
	struct sl_record record;
	uint64_t backend; /**< Key of "DESTINATION/BACKEND"; 0 for those no backend had. */
	uint32_t nb_outcomes;
	uint32_t reserved;
	struct sl_record_outcome_of outcomes[];
};

struct sl_record_name {
	struct sl_record record;
	uint64_t key;
	char name[]; /**< Without a NUL: record.len says. */
};

struct sl_record_config {
	struct sl_record record;
	uint32_t epoch;
	uint32_t version; /**< Changes applied in this run. */
};

/**
 * What a segment file begins with. The rest of SL_SEGMENT_HEADER bytes is 0 but for the mark.
 *
 * Which segment counts: (incarnation, number) is the order they were begun in, and a segment cuts
 * off, at its `previous_end`, all that were begun before it in its stream. What those hold from
 * there on was never durable (a crash tore it off, or a write or sync failed and everything was
 * written again, into this one), whatever it looks like.
 *
 * The header is written with the first records, not before: a file whose first SL_SEGMENT_HEADER
 * bytes are all 0, or that is shorter than that, was made ahead of need and holds nothing. And it
 * is written only when everything before it in its stream is durable.
 *
 * Behind the last record there may stand anything: blocks are written whole, with what the ring
 * held there before; and a file that nobody needs any more is used again, in the same stream, with
 * all that is in it but its header. Whole records among that say another position than where they
 * stand. Hence also: what a reader finds damaged in the journal of a running appliance may be a
 * file that was deleted or used again meanwhile; its header tells.
 */
struct sl_segment_header {
	char magic[8];
	uint32_t crc; /**< Of everything behind it, up to the mark. */
	uint32_t stream;
	uint64_t base; /**< Position of the first byte behind the header; a multiple of 4096. */
	uint64_t end;  /**< Position this segment ends at: the next one's base. */
	uint64_t created_ns;
	uint32_t incarnation;
	uint32_t number; /**< Segments that this run has begun before it, in all streams. */
	/** Position of its first record; from base to there it repeats what an earlier one holds.
	 */
	uint64_t first;
	/** Where the stream ended before it. Usually that is `first`. Less in the first segment of
	 * a run: positions that a crash tore off are not used again. */
	uint64_t previous_end;
	uint8_t reserved[192];
};

/**
 * At byte 512 of a segment file: all of its records before this position had been synced. Written
 * after each sync, itself durable with the next one; so it may be too low, never too high.
 */
struct sl_segment_mark {
	uint32_t crc; /**< Of the rest. */
	uint32_t stream;
	uint64_t synced;
};

#define SL_SEGMENT_MARK_OFFSET 512u

_Static_assert(sizeof(struct sl_record) == 32, "layout");
_Static_assert(sizeof(struct sl_record_message) == 48, "layout");
_Static_assert(sizeof(struct sl_record_subscriber) == SL_RECORD_ALIGN, "layout");
_Static_assert(sizeof(struct sl_record_duplicate) == 56, "layout");
_Static_assert(sizeof(struct sl_record_outcome_of) == 16, "layout");
_Static_assert(sizeof(struct sl_record_done) == 48, "layout");
_Static_assert(sizeof(struct sl_segment_header) == 256, "layout");

/** Where the record behind one of @p len bytes begins, relative to it. */
static inline uint32_t
sl_record_stride(uint32_t len)
{
	return (len + SL_RECORD_ALIGN - 1) & ~(SL_RECORD_ALIGN - 1);
}

/** CRC32C, going on from @p crc (0 at first). Uses the processor's instruction where there is one.
 */
uint32_t sl_record_crc32c(uint32_t crc, const void *data, size_t len);

/**
 * Finish a record: what it says of syncing, and its checksum.
 * @param synced  everything in its stream before this position is durable
 */
void sl_record_seal(struct sl_record *record, uint64_t synced);

/**
 * A record that is whole says this: everything in its stream before the returned position was
 * durable when it was written. (In units of 4096 bytes, saturating: a lower bound.)
 */
static inline uint64_t
sl_record_synced_before(const struct sl_record *record)
{
	uint64_t unsynced = (uint64_t)record->unsynced * 4096;

	if (record->unsynced == UINT16_MAX)
		return 0;
	return record->position > unsynced ? record->position - unsynced : 0;
}

/** Why bytes are no record. */
enum sl_record_error {
	SL_RECORD_OK = 0,
	SL_RECORD_SHORT,	/**< There are fewer bytes than it says, or than a header has. */
	SL_RECORD_BAD_LENGTH,	/**< Less than its type needs, or more than SL_RECORD_LEN_MAX. */
	SL_RECORD_BAD_POSITION, /**< It says it stands elsewhere: left over from before. */
	SL_RECORD_BAD_CRC,
	SL_RECORD_BAD_TYPE,
	SL_RECORD_BAD_CONTENT, /**< A count or offset inside contradicts its length. */
};

/**
 * Check the bytes at @p position of a stream. Trusts nothing: the contents, too, are checked, so
 * that a record that is OK can be used without looking at its bounds again (a message is a message
 * of the template layout).
 * @param data  @p len bytes, aligned to SL_RECORD_ALIGN
 */
enum sl_record_error sl_record_check(const void *data, size_t len, uint64_t position);

/** The words of an error: "checksum is wrong", ... */
const char *sl_record_strerror(enum sl_record_error error);

/** The level of its class; the place of the class where an older release did not tell. */
static inline uint8_t
sl_record_level(const struct sl_record_message *record)
{
	return record->level != 0 ? record->level : (uint8_t)(record->class_index + 1);
}

/** The message in a record of type SL_RECORD_MESSAGE. */
static inline const uint8_t *
sl_record_message_of(const struct sl_record_message *record, uint32_t *len)
{
	uint32_t head = (uint32_t)sizeof(*record) +
		record->nb_subscribers * (uint32_t)sizeof(struct sl_record_subscriber);

	*len = record->record.len - head;
	return (const uint8_t *)record + head;
}

/** Those of a topic's message; record->nb_subscribers of them. */
static inline const struct sl_record_subscriber *
sl_record_subscribers_of(const struct sl_record_message *record)
{
	return (const struct sl_record_subscriber *)(record + 1);
}

/** What the subscriber at this place is to get. */
static inline sl_record_ref
sl_record_copy_ref(uint32_t stream, const struct sl_record_message *record, uint32_t index)
{
	return sl_record_ref_of(stream,
		       record->record.position + sizeof(*record) +
			       index * sizeof(struct sl_record_subscriber)) |
		SL_RECORD_REF_COPY;
}

/** What an outcome says of the subscriber at this place: the place and 1, as far as it can. */
static inline uint8_t
sl_record_copy_place(uint32_t index)
{
	return index < UINT8_MAX ? (uint8_t)(index + 1) : 0;
}

/** The message of what a subscriber is to get; the same ref when the outcome does not say. */
static inline sl_record_ref
sl_record_copy_message(sl_record_ref ref, uint8_t place)
{
	if (!sl_record_ref_is_copy(ref) || place == 0)
		return ref;
	return ref - SL_RECORD_REF_COPY - sizeof(struct sl_record_message) -
		(place - 1u) * sizeof(struct sl_record_subscriber);
}

/** Which of a record's subscribers stands at a position; UINT32_MAX: none. */
static inline uint32_t
sl_record_subscriber_at(const struct sl_record_message *record, uint64_t position)
{
	uint64_t index = (position - record->record.position - sizeof(*record)) /
		sizeof(struct sl_record_subscriber);

	return position % SL_RECORD_ALIGN == 0 && index < record->nb_subscribers ? (uint32_t)index
										 : UINT32_MAX;
}

#endif /* SL_RECORD_H */
