/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <xxhash.h>

#include "line_store.h"

struct entry {
	TAILQ_ENTRY(entry) by_age;
	TAILQ_ENTRY(entry) by_hash;
	uint64_t hash;
	uint64_t run;
	uint64_t number;
	size_t topic_len;
	size_t payload_len;
	char text[]; /* Topic and payload. */
};

TAILQ_HEAD(entry_list, entry);

struct line_store {
	struct entry_list by_age;
	uint32_t nb_messages;
	uint32_t messages_max;
	uint64_t bytes;
	uint64_t bytes_max;
	uint64_t run;
	uint64_t number;
	struct entry *walk; /* The next. */
	uint64_t seed;
	uint32_t mask;
	struct entry_list buckets[]; /* Oldest first, each. */
};

struct line_store *
line_store_create(uint32_t messages_max, uint64_t bytes_max, uint64_t seed)
{
	struct line_store *store;
	uint32_t nb_buckets = 1;

	while (nb_buckets < messages_max && nb_buckets < UINT32_C(1) << 31)
		nb_buckets *= 2;
	store = calloc(1, sizeof(*store) + nb_buckets * sizeof(store->buckets[0]));
	if (store == NULL)
		return NULL;
	store->messages_max = messages_max;
	store->bytes_max = bytes_max;
	store->seed = seed;
	store->mask = nb_buckets - 1;
	TAILQ_INIT(&store->by_age);
	for (uint32_t i = 0; i < nb_buckets; i++)
		TAILQ_INIT(&store->buckets[i]);
	return store;
}

static void
drop(struct line_store *store, struct entry *entry)
{
	if (store->walk == entry)
		store->walk = TAILQ_NEXT(entry, by_age);
	TAILQ_REMOVE(&store->by_age, entry, by_age);
	TAILQ_REMOVE(&store->buckets[entry->hash & store->mask], entry, by_hash);
	store->nb_messages--;
	store->bytes -= entry->topic_len + entry->payload_len;
	free(entry);
}

void
line_store_destroy(struct line_store *store)
{
	if (store == NULL)
		return;
	while (!TAILQ_EMPTY(&store->by_age))
		drop(store, TAILQ_FIRST(&store->by_age));
	free(store);
}

static uint64_t
hash_of(const struct line_store *store, const char *topic, size_t topic_len, const char *payload,
	size_t payload_len)
{
	uint64_t hash = XXH3_64bits_withSeed(topic, topic_len, store->seed);

	return XXH3_64bits_withSeed(payload, payload_len, hash);
}

int
line_store_add(struct line_store *store, const char *topic, size_t topic_len, const char *payload,
	size_t payload_len)
{
	const struct line_stored message = {.run = store->run,
		.number = store->number + 1,
		.topic = topic,
		.topic_len = topic_len,
		.payload = payload,
		.payload_len = payload_len};

	return line_store_restore(store, &message);
}

int
line_store_restore(struct line_store *store, const struct line_stored *message)
{
	size_t len = message->topic_len + message->payload_len;
	struct entry *entry;

	if (store->nb_messages == store->messages_max || len > store->bytes_max - store->bytes)
		return -ENOSPC;
	entry = malloc(sizeof(*entry) + len);
	if (entry == NULL)
		return -ENOMEM;
	entry->hash = hash_of(
		store, message->topic, message->topic_len, message->payload, message->payload_len);
	entry->run = message->run;
	entry->number = store->number = message->number;
	entry->topic_len = message->topic_len;
	entry->payload_len = message->payload_len;
	memcpy(entry->text, message->topic, message->topic_len);
	if (message->payload_len > 0)
		memcpy(entry->text + message->topic_len, message->payload, message->payload_len);
	TAILQ_INSERT_TAIL(&store->by_age, entry, by_age);
	TAILQ_INSERT_TAIL(&store->buckets[entry->hash & store->mask], entry, by_hash);
	store->nb_messages++;
	store->bytes += len;
	return 0;
}

void
line_store_begin_run(struct line_store *store, uint64_t run)
{
	store->run = run;
}

void
line_store_skip(struct line_store *store, uint64_t number)
{
	if (number > store->number)
		store->number = number;
}

static bool
says(const struct entry *entry, const char *topic, size_t topic_len, const char *payload,
	size_t payload_len)
{
	return entry->topic_len == topic_len && entry->payload_len == payload_len &&
		memcmp(entry->text, topic, topic_len) == 0 &&
		(payload_len == 0 || memcmp(entry->text + topic_len, payload, payload_len) == 0);
}

uint64_t
line_store_clear(struct line_store *store, const char *topic, size_t topic_len, const char *payload,
	size_t payload_len)
{
	uint64_t hash = hash_of(store, topic, topic_len, payload, payload_len);
	struct entry *entry;
	uint64_t number;

	TAILQ_FOREACH (entry, &store->buckets[hash & store->mask], by_hash) {
		if (entry->hash == hash && says(entry, topic, topic_len, payload, payload_len)) {
			number = entry->number;
			drop(store, entry);
			return number;
		}
	}
	return 0;
}

static void
describe(const struct entry *entry, struct line_stored *message)
{
	message->run = entry->run;
	message->number = entry->number;
	message->topic = entry->text;
	message->topic_len = entry->topic_len;
	message->payload = entry->text + entry->topic_len;
	message->payload_len = entry->payload_len;
}

bool
line_store_first(const struct line_store *store, struct line_stored *message)
{
	const struct entry *entry = TAILQ_FIRST(&store->by_age);

	if (entry == NULL)
		return false;
	describe(entry, message);
	return true;
}

void
line_store_rewind(struct line_store *store)
{
	store->walk = TAILQ_FIRST(&store->by_age);
}

bool
line_store_walk(struct line_store *store, uint64_t max, struct line_stored *message)
{
	struct entry *entry = store->walk;

	if (entry == NULL || entry->number > max)
		return false;
	describe(entry, message);
	store->walk = TAILQ_NEXT(entry, by_age);
	return true;
}

void
line_store_drop_first(struct line_store *store)
{
	if (!TAILQ_EMPTY(&store->by_age))
		drop(store, TAILQ_FIRST(&store->by_age));
}

uint32_t
line_store_count(const struct line_store *store)
{
	return store->nb_messages;
}

uint64_t
line_store_bytes(const struct line_store *store)
{
	return store->bytes;
}

uint64_t
line_store_number(const struct line_store *store)
{
	return store->number;
}
