/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_WIRE_H
#define SL_WIRE_H

/**
 * @file
 * The wire format: constants, offsets, the template parser, the slow path and the builder.
 *
 * Pure: no EAL, no allocation but the slow path's, which comes from an arena the caller owns. All
 * integers on the wire are little-endian (protobuf's fixed32 and fixed64); all functions here
 * return and take host order.
 *
 * Threads: every function works only on what it is given and may be called from any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>

#define SL_WIRE_PORT	     7500
#define SL_WIRE_MAGIC	     UINT32_C(0x31434C53)
#define SL_WIRE_CLASSES	     8	 /**< Priority classes 1 (best) to 8. */
#define SL_WIRE_MESSAGES_MAX 256 /**< Messages in one datagram. */

/** Set in `flags`: the source wants an ack once the message is durable. */
#define SL_WIRE_FLAG_ACK UINT32_C(0x1)

/*
 * A datagram of the template layout begins with these bytes (values at the offsets named below):
 *   0d magic(4) 15 epoch(4) 19 session(8)
 * and each message with `22 LENGTH(varint)`, then
 *   09 source(8) 11 id_high(8) 19 id_low(8) 21 destination(8) 29 sequence(8) 31 timestamp(8)
 *   39 type(8) 45 priority(4) 4d flags(4)  [7a LENGTH(varint) payload]  [fields above 15]
 */
#define SL_WIRE_HEADER_LEN    19 /**< Up to the first message's tag. */
#define SL_WIRE_OFF_EPOCH     6
#define SL_WIRE_OFF_SESSION   11
#define SL_WIRE_MESSAGE_MIN   73 /**< The nine fixed fields of a message. */
#define SL_WIRE_OFF_SOURCE    1	 /**< This and the following: from the message's first byte. */
#define SL_WIRE_OFF_ID_HIGH   10
#define SL_WIRE_OFF_ID_LOW    19
#define SL_WIRE_OFF_DEST      28
#define SL_WIRE_OFF_SEQUENCE  37
#define SL_WIRE_OFF_TIMESTAMP 46
#define SL_WIRE_OFF_TYPE      55
#define SL_WIRE_OFF_PRIORITY  64
#define SL_WIRE_OFF_FLAGS     69
#define SL_WIRE_TAG_MESSAGE   0x22
#define SL_WIRE_TAG_PAYLOAD   0x7a
#define SL_WIRE_TAG_ACK	      0x2a
#define SL_WIRE_ENVELOPE_MAX  (SL_WIRE_HEADER_LEN + 1 + 3) /**< Header, tag, longest length. */

/** What identifies a message to deduplication: 32 bytes, no padding. */
struct sl_wire_key {
	uint64_t destination;
	uint64_t source;
	uint64_t id_high;
	uint64_t id_low;
};

/** Why a datagram was refused. */
enum sl_wire_error {
	SL_WIRE_OK = 0,
	SL_WIRE_SLOW,	       /**< Not the template layout; ask sl_wire_parse_slow(). */
	SL_WIRE_BAD_MAGIC,     /**< Parsed, but is not ours. */
	SL_WIRE_MALFORMED,     /**< Not protobuf, or cut short. */
	SL_WIRE_MISSING_FIELD, /**< A message without source, id or destination. */
	SL_WIRE_BAD_PRIORITY,  /**< A class above 8. */
	SL_WIRE_TOO_MANY,      /**< More than SL_WIRE_MESSAGES_MAX messages. */
	SL_WIRE_NO_MEMORY,     /**< The arena or the output was too small. */
	SL_WIRE_EMPTY,	       /**< Well-formed, but nothing in it. */
};

/** Where one message stands in a datagram of the template layout. Offsets from its first byte. */
struct sl_wire_span {
	uint16_t offset; /**< Of the message's first byte, behind its tag and length. */
	uint16_t len;	 /**< Of the message. */
};

/** What a datagram holds beside its messages; bits for sl_wire_datagram.extras. */
#define SL_WIRE_HAS_ACK	      0x1
#define SL_WIRE_HAS_PROBE     0x2
#define SL_WIRE_HAS_SUBSCRIBE 0x4

/** A parsed datagram. */
struct sl_wire_datagram {
	uint32_t epoch;
	uint64_t session;
	uint16_t nb_messages;
	uint8_t extras; /**< SL_WIRE_HAS_*. */
	/** One message, no extras, and nothing but it: may be sent on as it stands. */
	bool is_single;
	struct sl_wire_span messages[SL_WIRE_MESSAGES_MAX];
};

static inline uint32_t
sl_wire_get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return rte_le_to_cpu_32(v);
}

static inline uint64_t
sl_wire_get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return rte_le_to_cpu_64(v);
}

static inline void
sl_wire_put32(uint8_t *p, uint32_t v)
{
	v = rte_cpu_to_le_32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void
sl_wire_put64(uint8_t *p, uint64_t v)
{
	v = rte_cpu_to_le_64(v);
	memcpy(p, &v, sizeof(v));
}

/** The dedup key of a message of the template layout. */
static inline void
sl_wire_message_key(const uint8_t *message, struct sl_wire_key *key)
{
	key->destination = sl_wire_get64(message + SL_WIRE_OFF_DEST);
	key->source = sl_wire_get64(message + SL_WIRE_OFF_SOURCE);
	key->id_high = sl_wire_get64(message + SL_WIRE_OFF_ID_HIGH);
	key->id_low = sl_wire_get64(message + SL_WIRE_OFF_ID_LOW);
}

/** Bytes the varint of @p v takes. */
static inline unsigned int
sl_wire_varint_len(uint32_t v)
{
	unsigned int n = 1;

	while (v >= 0x80) {
		v >>= 7;
		n++;
	}
	return n;
}

/**
 * Parse a datagram of the template layout in place: no copy, no allocation.
 *
 * @param data  the UDP payload
 * @param len   its length in bytes, at most 65535
 * @param[out] out  filled in when SL_WIRE_OK is returned, otherwise undefined
 * @return
 *   SL_WIRE_OK; SL_WIRE_BAD_MAGIC, SL_WIRE_EMPTY, SL_WIRE_BAD_PRIORITY or SL_WIRE_TOO_MANY, which
 *   are final; or SL_WIRE_SLOW when the layout is another, be it valid protobuf or garbage: only
 *   the slow path can tell.
 */
enum sl_wire_error sl_wire_parse(const uint8_t *data, size_t len, struct sl_wire_datagram *out);

/**
 * Check one message alone, without its tag and length, as sl_wire_parse() does those of a datagram.
 * @return SL_WIRE_OK, SL_WIRE_BAD_PRIORITY, or SL_WIRE_SLOW: not of the template layout
 */
enum sl_wire_error sl_wire_check_message(const uint8_t *message, size_t len);

/**
 * Parse any datagram with protobuf-c and write it again in the template layout, so that everything
 * behind the parser sees one layout only. Routing fields a message leaves out are written as 0,
 * except source, id_high, id_low and destination, which it must have. Unknown fields of a message
 * are kept byte for byte, behind the known ones; those of the datagram are dropped.
 *
 * @param data, len  the UDP payload
 * @param arena, arena_len  scratch memory of the caller, used by nobody else during the call
 * @param buf, buf_len      where the rewritten datagram goes; at most 65535 bytes of it are used
 * @param[out] out          spans into @p buf
 * @param[out] written      bytes written to @p buf
 * @return SL_WIRE_OK or the reason; on anything but SL_WIRE_OK the outputs are undefined.
 */
enum sl_wire_error
sl_wire_parse_slow(const uint8_t *data, size_t len, void *arena, size_t arena_len, uint8_t *buf,
	size_t buf_len, struct sl_wire_datagram *out, size_t *written);

/** The words of a reason, as they stand in statistics: "bad_magic", "malformed", ... */
const char *sl_wire_strerror(enum sl_wire_error error);

/** The fields of a message to build. */
struct sl_wire_message {
	struct sl_wire_key key;
	uint64_t sequence;
	uint64_t timestamp_ns;
	uint64_t type;
	uint32_t priority;
	uint32_t flags;
	const void *payload; /**< May be NULL when payload_len is 0. */
	uint32_t payload_len;
	uint32_t id_text_len; /**< 0: none. */
	const void *id_text;  /**< The source's own id; `key` has sl_wire_text_id() of it. */
};

/** Bytes that sl_wire_put_message() writes for a payload of this length and without an id_text, tag
 * and length included.
 */
size_t sl_wire_message_size(uint32_t payload_len);

/** Bytes of a message with a payload and an id_text of these lengths, without tag and length; 0 is
 * none. With them it takes 1 + sl_wire_varint_len(LEN) + LEN.
 */
uint32_t sl_wire_message_len(uint32_t payload_len, uint32_t id_text_len);

/**
 * Write a datagram's header (SL_WIRE_HEADER_LEN bytes).
 * @return the first byte behind it.
 */
uint8_t *sl_wire_put_header(uint8_t *p, uint32_t epoch, uint64_t session);

/**
 * Write the tag and the length in front of a message of @p message_len bytes.
 * @return the first byte behind them, where the message goes.
 */
uint8_t *sl_wire_put_envelope(uint8_t *p, uint32_t message_len);

/**
 * Write a message in the template layout, with its tag and length. The caller has made room for
 * sl_wire_message_size() bytes, or with an id_text for what sl_wire_message_len() says.
 * @return the first byte behind it.
 */
uint8_t *sl_wire_put_message(uint8_t *p, const struct sl_wire_message *message);

/** Where the payload of a template message is. @return NULL when it has none. */
const uint8_t *sl_wire_message_payload(const uint8_t *message, size_t len, uint32_t *payload_len);

/**
 * Where the id_text of a template message is: the last, when it is there more than once.
 * @return NULL when it has none
 */
const uint8_t *sl_wire_message_id_text(const uint8_t *message, size_t len, uint32_t *text_len);

/** A Probe: "do you work, and how much have you to do?" */
struct sl_wire_probe {
	uint64_t nonce; /**< The answer has that of the question. */
	bool is_reply;
	uint32_t in_flight;  /**< Of who answers: messages not done yet. */
	uint64_t latency_ns; /**< Of who answers: what a message takes. */
};

/** The longest datagram sl_wire_put_probe() writes. */
#define SL_WIRE_PROBE_MAX (SL_WIRE_HEADER_LEN + 2 + 9 + 2 + 5 + 9)

/**
 * Read the probe in a datagram that sl_wire_parse_slow() has found one in.
 * @param arena, arena_len  as there
 * @return false when there is none
 */
bool sl_wire_parse_probe(const uint8_t *data, size_t len, void *arena, size_t arena_len,
	struct sl_wire_probe *probe);

/** Write a datagram with a probe and nothing else. @return its length */
size_t sl_wire_put_probe(uint8_t *buf, uint32_t epoch, const struct sl_wire_probe *probe);

/** Bytes of a name in one. */
#define SL_WIRE_NAME_MAX 63

/** A Subscribe: "send me what comes for this destination, at the address this came from." */
struct sl_wire_subscribe {
	char destination[SL_WIRE_NAME_MAX + 1]; /**< Name. */
	char backend[SL_WIRE_NAME_MAX + 1];	/**< Of the subscriber. */
	uint32_t credit;			/**< Messages on their way; 0: as configured. */
	uint32_t ttl_ms;			/**< Asked for again within; 0: as configured. */
	bool is_leave;
	bool is_durable; /**< What comes while it is away is kept. */
};

/**
 * Read the subscription in a datagram that sl_wire_parse_slow() has found one in.
 * @param arena, arena_len  as there
 * @return false when there is none, or a name is empty, too long or has a zero byte in it
 */
bool sl_wire_parse_subscribe(const uint8_t *data, size_t len, void *arena, size_t arena_len,
	struct sl_wire_subscribe *subscribe);

/** An Ack: what the receiver of a session has. */
struct sl_wire_ack {
	uint64_t session;
	uint64_t cumulative;	    /**< All up to this sequence. */
	uint64_t highest;	    /**< The highest received. */
	uint64_t credit_limit;	    /**< The sender may send up to this sequence. */
	uint64_t echo_timestamp_ns; /**< timestamp_ns of the message that came last; 0: none. */
	uint32_t ack_delay_ns;	    /**< From its coming to this ack; saturates. */
	uint32_t selective_len;	    /**< Bytes, at most SL_WIRE_SELECTIVE_MAX. */
	uint8_t selective[128];	    /**< Bit i of byte i / 8, lowest first: cumulative + 2 + i. */
};

#define SL_WIRE_SELECTIVE_MAX 128
/** The longest datagram sl_wire_put_ack() writes. */
#define SL_WIRE_ACK_MAX (SL_WIRE_HEADER_LEN + 3 + 5 * 9 + 5 + 3 + SL_WIRE_SELECTIVE_MAX)

/**
 * Read a datagram with an ack and nothing else in the layout sl_wire_put_ack() writes: fields at
 * constant offsets, no copy but of `selective`.
 * @return false when it is laid out otherwise: ask sl_wire_parse_slow(), sl_wire_parse_ack()
 */
bool sl_wire_parse_ack_fast(const uint8_t *data, size_t len, struct sl_wire_ack *ack);

/**
 * Read the ack in a datagram that sl_wire_parse_slow() has found one in.
 * @param arena, arena_len  as there
 * @return false when there is none, it has no session, or `selective` is too long
 */
bool sl_wire_parse_ack(
	const uint8_t *data, size_t len, void *arena, size_t arena_len, struct sl_wire_ack *ack);

/** Write a datagram with an ack and nothing else. @return its length */
size_t sl_wire_put_ack(uint8_t *buf, uint32_t epoch, const struct sl_wire_ack *ack);

/** The key of a name: 64-bit FNV-1a of its bytes (Fowler, Noll, Vo; draft-eastlake-fnv). */
uint64_t sl_wire_name_key(const char *name);

/** The same for a name that is not terminated. */
uint64_t sl_wire_name_key_len(const char *name, size_t len);

/** The id of a message whose source names it by a string: its XXH3-128 (seed 0). */
void sl_wire_text_id(const void *text, size_t len, uint64_t *id_high, uint64_t *id_low);

#endif /* SL_WIRE_H */
