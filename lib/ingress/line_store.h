/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef LINE_STORE_H
#define LINE_STORE_H

/**
 * @file
 * What a primary has replicated and not cleared yet: in the order it came, and found by what it
 * says, because nothing else names it. Two messages that say the same are two, and the older one is
 * cleared first. Bounded by count and bytes. Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line_store;

struct line_stored {
	uint64_t run;	 /* See line_store_begin_run(). */
	uint64_t number; /* Of its arrival, from 1. */
	const char *topic;
	size_t topic_len;
	const char *payload;
	size_t payload_len;
};

/** @param seed  of the hash; a random one, so that nobody outside can choose collisions.
 *  @return NULL: no memory */
struct line_store *line_store_create(uint32_t messages_max, uint64_t bytes_max, uint64_t seed);
void line_store_destroy(struct line_store *store);

/** @return 0; -ENOSPC: a bound is reached; -ENOMEM */
int line_store_add(struct line_store *store, const char *topic, size_t topic_len,
	const char *payload, size_t payload_len);

/** It was here already: with a number higher than any before. */
int line_store_restore(struct line_store *store, const struct line_stored *message);

/** What is added from now on has this; with its number it is an id that nothing else ever has, when
 *  it is random. */
void line_store_begin_run(struct line_store *store, uint64_t run);

/** No number up to this is given again. */
void line_store_skip(struct line_store *store, uint64_t number);

/** @return its number; 0: there is none that says this */
uint64_t line_store_clear(struct line_store *store, const char *topic, size_t topic_len,
	const char *payload, size_t payload_len);

/** The oldest; good until the store changes. @return false: it is empty */
bool line_store_first(const struct line_store *store, struct line_stored *message);
void line_store_drop_first(struct line_store *store);

/** A walk over all, oldest first, from now on; what comes and goes does not disturb it. */
void line_store_rewind(struct line_store *store);
/** @return false: there is none left with a number up to @p max */
bool line_store_walk(struct line_store *store, uint64_t max, struct line_stored *message);

uint32_t line_store_count(const struct line_store *store);
/** Of topics and payloads. */
uint64_t line_store_bytes(const struct line_store *store);
/** Of the last that was added; 0: none yet. */
uint64_t line_store_number(const struct line_store *store);

#endif /* LINE_STORE_H */
