/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "window.h"

#define NONE UINT32_MAX

struct entry {
	struct sl_wire_key key;
	void *value;
	uint32_t bucket;
	uint32_t next; /* In its bucket. */
};

struct sl_window {
	uint64_t seed;
	uint32_t size;
	uint32_t used;
	uint32_t oldest; /* Once all are used. */
	uint32_t mask;	 /* Of buckets. */
	uint32_t *buckets;
	struct entry *entries;
};

struct sl_window *
sl_window_new(uint32_t size, uint64_t seed)
{
	struct sl_window *w = calloc(1, sizeof(*w));
	uint32_t nb = 1;

	if (w == NULL)
		return NULL;
	while (nb < size && nb < UINT32_C(1) << 31)
		nb *= 2;
	w->seed = seed;
	w->size = size;
	w->mask = nb - 1;
	w->buckets = malloc(nb * sizeof(*w->buckets));
	w->entries = malloc(size * sizeof(*w->entries));
	if (w->buckets == NULL || w->entries == NULL) {
		sl_window_free(w);
		return NULL;
	}
	memset(w->buckets, 0xff, nb * sizeof(*w->buckets));
	return w;
}

void
sl_window_free(struct sl_window *w)
{
	if (w == NULL)
		return;
	free(w->buckets);
	free(w->entries);
	free(w);
}

static uint32_t
bucket_of(const struct sl_window *w, const struct sl_wire_key *key)
{
	return (uint32_t)XXH3_64bits_withSeed(key, sizeof(*key), w->seed) & w->mask;
}

static struct entry *
find(const struct sl_window *w, uint32_t bucket, const struct sl_wire_key *key)
{
	for (uint32_t i = w->buckets[bucket]; i != NONE; i = w->entries[i].next) {
		if (memcmp(&w->entries[i].key, key, sizeof(*key)) == 0)
			return &w->entries[i];
	}
	return NULL;
}

static void
unlink_entry(struct sl_window *w, uint32_t place)
{
	uint32_t *link = &w->buckets[w->entries[place].bucket];

	while (*link != place)
		link = &w->entries[*link].next;
	*link = w->entries[place].next;
}

bool
sl_window_check(struct sl_window *w, const struct sl_wire_key *key, void *value, void **known)
{
	uint32_t bucket = bucket_of(w, key), place;
	struct entry *e = find(w, bucket, key);

	if (e != NULL) {
		*known = e->value;
		return true;
	}
	if (w->used < w->size) {
		place = w->used++;
	} else {
		place = w->oldest;
		w->oldest = place + 1 == w->size ? 0 : place + 1;
		unlink_entry(w, place);
	}
	w->entries[place] = (struct entry){
		.key = *key, .value = value, .bucket = bucket, .next = w->buckets[bucket]};
	w->buckets[bucket] = place;
	return false;
}

void
sl_window_finish(struct sl_window *w, const struct sl_wire_key *key)
{
	struct entry *e = find(w, bucket_of(w, key), key);

	if (e != NULL)
		e->value = NULL;
}
