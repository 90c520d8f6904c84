/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <pthread.h>
#include <stdlib.h>

#include "ingress.h"
#include "unknown.h"
#include "sl_wire.h"

/*
 * Names of destinations that are not configured: told once a minute each, and only so many a
 * second, so that no more than MINUTE are remembered at a time. They are forgotten in the order
 * they were told; the oldest makes room, and is older than a minute then.
 */

#define TOLD_MS	     60000u
#define TOLD_PER_S   5u
#define TOLD_AT_ONCE 10u
#define MINUTE	     (TOLD_MS / 1000 * TOLD_PER_S + TOLD_AT_ONCE)
#define SLOTS	     512u
#define BUCKETS	     256u /* By the last bits of the key. */
#define NONE	     UINT16_MAX

_Static_assert(SLOTS > MINUTE, "what makes room has to be older than a minute");

struct told {
	uint64_t key;
	uint64_t at_ms;
	uint16_t next; /* In its bucket. */
};

struct gw_unknown {
	pthread_mutex_t lock;
	struct sl_gcra rate;
	uint64_t now_ms; /* The latest of all threads. */
	uint64_t nb_told;
	struct told told[SLOTS]; /* A ring. */
	uint16_t buckets[BUCKETS];
};

struct gw_unknown *
gw_unknown_create(void)
{
	struct gw_unknown *unknown = calloc(1, sizeof(*unknown));

	if (unknown == NULL)
		return NULL;
	pthread_mutex_init(&unknown->lock, NULL);
	sl_gcra_init(&unknown->rate, TOLD_PER_S, TOLD_AT_ONCE, 1000);
	for (uint32_t i = 0; i < BUCKETS; i++)
		unknown->buckets[i] = NONE;
	return unknown;
}

void
gw_unknown_destroy(struct gw_unknown *unknown)
{
	if (unknown == NULL)
		return;
	pthread_mutex_destroy(&unknown->lock);
	free(unknown);
}

static void
forget(struct gw_unknown *unknown, uint16_t slot)
{
	uint16_t *at = &unknown->buckets[unknown->told[slot].key % BUCKETS];

	while (*at != NONE && *at != slot)
		at = &unknown->told[*at].next;
	if (*at == slot)
		*at = unknown->told[slot].next;
}

static void
remember(struct gw_unknown *unknown, uint64_t key)
{
	uint16_t slot = (uint16_t)(unknown->nb_told % SLOTS);
	uint16_t *bucket = &unknown->buckets[key % BUCKETS];
	struct told *told = &unknown->told[slot];

	if (unknown->nb_told++ >= SLOTS)
		forget(unknown, slot);
	*told = (struct told){.key = key, .at_ms = unknown->now_ms, .next = *bucket};
	*bucket = slot;
}

static bool
is_told(const struct gw_unknown *unknown, uint64_t key)
{
	for (uint16_t i = unknown->buckets[key % BUCKETS]; i != NONE; i = unknown->told[i].next) {
		/* The last time is the first in the bucket. */
		if (unknown->told[i].key == key)
			return unknown->now_ms - unknown->told[i].at_ms < TOLD_MS;
	}
	return false;
}

bool
gw_unknown_is_due(struct gw_unknown *unknown, uint64_t key, uint64_t now_ms)
{
	bool is_due;

	pthread_mutex_lock(&unknown->lock);
	unknown->now_ms = RTE_MAX(unknown->now_ms, now_ms);
	is_due = !is_told(unknown, key) && sl_gcra_conforms(&unknown->rate, unknown->now_ms);
	if (is_due) {
		sl_gcra_take(&unknown->rate, unknown->now_ms);
		remember(unknown, key);
	}
	pthread_mutex_unlock(&unknown->lock);
	return is_due;
}

void
gw_tell_unknown(struct gw_client *client, const char *name, size_t len)
{
	struct gw_thread *thread = client->listener->thread;
	char text[SL_CONFIG_NAME_MAX + 1];
	size_t n = 0;

	if (!gw_unknown_is_due(
		    thread->shared->unknown, sl_wire_name_key_len(name, len), thread->now_ms))
		return;
	for (; n < len && n < sizeof(text) - 1; n++)
		text[n] = name[n] >= ' ' && name[n] < 0x7f ? name[n] : '?';
	text[n] = '\0';
	gw_listener_tell(client->listener, SL_LEVEL_WARN, "unknown_destination",
		json_pack("{s:s, s:s, s:s}", "destination", text, "gateway",
			client->listener->config.name, "peer", client->peer),
		"gateway %s: %s sends to %s, which is not configured",
		client->listener->config.name, client->peer, text);
}
