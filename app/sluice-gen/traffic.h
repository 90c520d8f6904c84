/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TRAFFIC_H
#define TRAFFIC_H

/**
 * @file
 * The traffic model: what message number n is, for every n, from the seed alone.
 *
 * Every property of a message is a function of (seed, number), so the sink knows byte for byte what
 * the generator sent without hearing from it, in another process or on another machine, and
 * nothing is kept per message. The number travels in `id_low`, so even a message without payload
 * can be told from all others.
 *
 * Pure: no EAL, no clock. A model is immutable once made and may be read by any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sl_wire.h>

#define TRAFFIC_NAME_MAX	 63 /**< Bytes in a name, as in the appliance's configuration. */
#define TRAFFIC_NAMES_MAX	 1000000 /**< Sources or destinations. */
#define TRAFFIC_TYPES_MAX	 4096
#define TRAFFIC_SIZES_MAX	 16
#define TRAFFIC_CLASSES_MAX	 (SL_WIRE_CLASSES + 1) /**< 1 to 8, and 0: "the default". */
#define TRAFFIC_PAYLOAD_MAX	 65000
#define TRAFFIC_DISTANCE_MAX	 (1u << 20)
#define TRAFFIC_MIX_SLOTS	 4096 /**< Shares of a mix are rounded to this part of the whole. */
#define TRAFFIC_PAYLOAD_VARIANTS 16384

/** Numbered names: @p pattern with its `%u` replaced by first, first + 1, ... */
struct traffic_names {
	char pattern[TRAFFIC_NAME_MAX + 1];
	uint32_t first;
	uint32_t nb;
};

struct traffic_class {
	uint32_t level; /**< What `priority` says, 0..8. */
	uint32_t weight;
};

/** Payloads of min to max bytes, every length as likely as any other. */
struct traffic_size {
	uint32_t min;
	uint32_t max;
	uint32_t weight;
};

struct traffic_params {
	uint64_t seed;
	struct traffic_names sources;
	struct traffic_names destinations;
	struct traffic_names types;
	uint32_t nb_classes;
	struct traffic_class classes[TRAFFIC_CLASSES_MAX];
	uint32_t nb_sizes;
	struct traffic_size sizes[TRAFFIC_SIZES_MAX];
	double retransmitted_share; /**< 0..1 of the messages are sent a second time, later ... */
	uint32_t distance;	    /**< ... when 1 to so many further messages have been sent. */
	uint32_t flags;		    /**< Of every message: SL_WIRE_FLAG_ACK or 0. */
	double second_feed_share;   /**< 0..1 of the messages come by a second feed as well. */
};

/** A message of the model. */
struct traffic_message {
	uint64_t number;
	uint64_t id_high; /**< Derived from seed and number: what nobody sent does not have it. */
	uint32_t source;  /**< Index, as the next three. */
	uint32_t destination;
	uint32_t type;
	uint32_t class_index;
	uint32_t payload_len;
	uint32_t payload_offset; /**< In the pool. */
};

struct traffic {
	struct traffic_params params;
	uint64_t start; /**< The seed, mixed. */
	uint64_t *source_keys;
	uint64_t *destination_keys;
	uint64_t *type_keys;
	uint8_t *pool; /**< Random bytes; a payload is a slice of them. */
	uint32_t payload_max;
	uint32_t retransmitted_below; /**< Thresholds of a 32-bit random number. */
	uint32_t second_feed_below;
	bool is_all_retransmitted; /**< A share of 1 does not fit the threshold. */
	bool is_all_second_feed;
	uint8_t class_mix[TRAFFIC_MIX_SLOTS];
	uint8_t size_mix[TRAFFIC_MIX_SLOTS];
};

/** Why traffic_create() refused; static words. */
#define TRAFFIC_OK NULL

/**
 * Make a model.
 * @param[out] out  the model, to be freed with traffic_free()
 * @return NULL, or what is wrong with the parameters in one sentence
 */
const char *traffic_create(const struct traffic_params *params, struct traffic **out);

void traffic_free(struct traffic *traffic);

/** Write name number @p index. @return its length, or 0 when the pattern is no good */
size_t traffic_name(const struct traffic_names *names, uint32_t index, char *buf, size_t len);

/** Is this a pattern with exactly one `%u` and only letters, digits, '-', '_', '.', ':' and '/'? */
bool traffic_is_pattern(const char *pattern);

/** David Stafford's 13th variant of the murmur3 finalizer: what splitmix64 uses. */
static inline uint64_t
traffic_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/** A 32-bit random number to one of @p nb, without division (D. Lemire, 2016). */
static inline uint32_t
traffic_pick(uint32_t random, uint32_t nb)
{
	return (uint32_t)(((uint64_t)random * nb) >> 32);
}

static inline uint64_t
traffic_id_high(const struct traffic *t, uint64_t number)
{
	return traffic_mix(t->start + number * UINT64_C(0x9e3779b97f4a7c15));
}

/** All about message @p number. */
static inline void
traffic_message(const struct traffic *t, uint64_t number, struct traffic_message *m)
{
	uint64_t a = traffic_id_high(t, number), b, c;
	const struct traffic_size *size;

	m->number = number;
	m->id_high = a;
	b = traffic_mix(a + UINT64_C(0x632be59bd9b4e019));
	m->source = traffic_pick((uint32_t)b, t->params.sources.nb);
	m->destination = traffic_pick((uint32_t)(b >> 32), t->params.destinations.nb);
	c = traffic_mix(b + UINT64_C(0xd6e8feb86659fd93));
	m->class_index = t->class_mix[c % TRAFFIC_MIX_SLOTS];
	size = &t->params.sizes[t->size_mix[(c >> 12) % TRAFFIC_MIX_SLOTS]];
	m->payload_offset = (c >> 24) % TRAFFIC_PAYLOAD_VARIANTS;
	/* These three share bits; their high ones decide, and those are not the same. */
	m->type = traffic_pick((uint32_t)(c >> 32), t->params.types.nb);
	m->payload_len = size->min + traffic_pick((uint32_t)(c >> 24), size->max - size->min + 1);
}

/** How message @p number is sent again. */
struct traffic_copies {
	bool is_second_feed;
	uint32_t retransmit_after; /**< Further messages; 0: never. */
};

static inline bool
traffic_has_copies(const struct traffic *t)
{
	return t->params.retransmitted_share > 0 || t->params.second_feed_share > 0;
}

static inline void
traffic_copies(const struct traffic *t, uint64_t number, struct traffic_copies *copies)
{
	uint64_t a = traffic_mix(~traffic_id_high(t, number));
	uint64_t b = traffic_mix(a + UINT64_C(0x632be59bd9b4e019));

	copies->is_second_feed = t->is_all_second_feed || (uint32_t)a < t->second_feed_below;
	copies->retransmit_after = 0;
	if (t->is_all_retransmitted || (uint32_t)(a >> 32) < t->retransmitted_below)
		copies->retransmit_after = 1 + traffic_pick((uint32_t)b, t->params.distance);
}

/**
 * What the first eight bytes of a payload hold, as far as it is that long; the rest is the slice of
 * the pool. They tie the payload to its message, its timestamp included.
 */
static inline uint64_t
traffic_payload_head(const struct traffic_message *m, uint64_t timestamp_ns)
{
	return traffic_mix(m->id_high ^ m->number) ^ timestamp_ns;
}

/** Write a message with its tag and length; the caller has made room. @return behind it */
uint8_t *traffic_put(const struct traffic *t, const struct traffic_message *m,
	uint64_t timestamp_ns, uint8_t *p);

/** How many (source, destination, class) there are: the streams within which order is kept. */
static inline uint64_t
traffic_nb_streams(const struct traffic *t)
{
	return (uint64_t)t->params.sources.nb * t->params.destinations.nb * t->params.nb_classes;
}

static inline uint64_t
traffic_stream(const struct traffic *t, const struct traffic_message *m)
{
	return ((uint64_t)m->destination * t->params.sources.nb + m->source) *
		t->params.nb_classes +
		m->class_index;
}

/**
 * Does a delivered message of the template layout hold what it was sent with? Everything is
 * compared but `sequence`, which belongs to the session. The timestamp is covered by the payload
 * when that has at least eight bytes.
 * @param message, len         behind its tag and length
 * @param is_payload_compared  false: the payload's length is compared, not its bytes
 */
bool traffic_is_intact(const struct traffic *t, const struct traffic_message *m,
	const uint8_t *message, size_t len, bool is_payload_compared);

#endif /* TRAFFIC_H */
