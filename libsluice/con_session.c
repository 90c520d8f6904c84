/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "con_session.h"

bool
sl_con_table_init(struct sl_con_table *table, uint32_t sessions_max, uint32_t window, uint64_t seed)
{
	uint32_t nb = 1;

	while (nb < sessions_max)
		nb *= 2;
	*table = (struct sl_con_table){.seed = seed, .window = window, .mask = nb - 1};
	TAILQ_INIT(&table->lru);
	table->buckets = calloc(nb, sizeof(struct sl_con_session *));
	return table->buckets != NULL;
}

void
sl_con_table_fini(struct sl_con_table *table)
{
	struct sl_con_session *s;

	while ((s = TAILQ_FIRST(&table->lru)) != NULL)
		sl_con_table_remove(table, s);
	free(table->buckets);
}

/* Our own address is no part of it: it may be seen in several ways. */
static uint32_t
bucket_of(const struct sl_con_table *table, const struct sl_udp_peer *peer, uint64_t number)
{
	uint8_t key[sizeof(peer->ip) + sizeof(peer->port) + sizeof(number)];

	memcpy(key, &peer->ip, sizeof(peer->ip));
	memcpy(key + sizeof(peer->ip), &peer->port, sizeof(peer->port));
	memcpy(key + sizeof(peer->ip) + sizeof(peer->port), &number, sizeof(number));
	return (uint32_t)XXH3_64bits_withSeed(key, sizeof(key), table->seed) & table->mask;
}

static bool
is_of(const struct sl_con_session *s, const struct sl_udp_peer *peer, uint64_t number)
{
	return s->number == number && s->peer.port == peer->port && s->peer.scope == peer->scope &&
		memcmp(&s->peer.ip, &peer->ip, sizeof(peer->ip)) == 0;
}

struct sl_con_session *
sl_con_table_find(struct sl_con_table *table, const struct sl_udp_peer *peer, uint64_t number)
{
	struct sl_con_session *s = TAILQ_LAST(&table->lru, sl_con_sessions);

	/* Most often the one that spoke last. */
	if (s != NULL && is_of(s, peer, number))
		return s;
	for (s = table->buckets[bucket_of(table, peer, number)]; s != NULL; s = s->chain) {
		if (is_of(s, peer, number))
			return s;
	}
	return NULL;
}

struct sl_con_session *
sl_con_table_add(
	struct sl_con_table *table, const struct sl_udp_peer *peer, uint64_t number, uint64_t now)
{
	struct sl_session_rx_params params = {.session = number, .window = table->window};
	size_t size = sl_session_rx_memory_size(&params);
	struct sl_con_session *s = calloc(1, sizeof(*s));
	void *mem = NULL;

	if (s == NULL)
		return NULL;
	s->ring = calloc(table->window, sizeof(struct sl_con_message *));
	if (s->ring == NULL || posix_memalign(&mem, 64, size) != 0) {
		free(s->ring);
		free(s);
		return NULL;
	}
	memset(mem, 0, size);
	s->rx = sl_session_rx_init(mem, &params);
	s->peer = *peer;
	s->number = number;
	s->next = 1;
	s->limit = table->window;
	s->refs = 1;
	s->heard_at = now;
	s->bucket = bucket_of(table, peer, number);
	s->chain = table->buckets[s->bucket];
	table->buckets[s->bucket] = s;
	TAILQ_INSERT_TAIL(&table->lru, s, lru);
	table->nb++;
	return s;
}

void
sl_con_table_touch(struct sl_con_table *table, struct sl_con_session *s, uint64_t now)
{
	s->heard_at = now;
	if (TAILQ_NEXT(s, lru) == NULL)
		return;
	TAILQ_REMOVE(&table->lru, s, lru);
	TAILQ_INSERT_TAIL(&table->lru, s, lru);
}

void
sl_con_table_remove(struct sl_con_table *table, struct sl_con_session *s)
{
	struct sl_con_session **link = &table->buckets[s->bucket];

	while (*link != s)
		link = &(*link)->chain;
	*link = s->chain;
	TAILQ_REMOVE(&table->lru, s, lru);
	table->nb--;
	s->is_gone = true;
	sl_con_session_unref(s);
}

void
sl_con_session_unref(struct sl_con_session *s)
{
	if (--s->refs != 0)
		return;
	free(s->rx);
	free(s->ring);
	free(s);
}
