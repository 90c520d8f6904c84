/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_ring_elem.h>

#include "publisher_table.h"
#include "sl_session.h"

/*
 * Sessions the journal's thread is asked about: as many as may come back at once after a restart,
 * and no more a second than it answers beside its work. One session is asked about again no sooner
 * than a round trip and a sync take.
 */
#define STRANGERS_RING	1024
#define STRANGERS_PER_S 20000
#define ASK_AGAIN_MS	20

/* A session that there is no room for counts as turned away again when it comes so much later. */
#define TURN_AWAY_AGAIN_MS 1000

/* The least that is looked through in a millisecond. */
#define SWEEP_MIN 8u

/* Tries to read a slot whose lcore may have been put aside in the middle of a change. */
#define READ_TRIES 1000

static struct rte_ring *
make_ring(void)
{
	ssize_t size = rte_ring_get_memsize_elem(
		sizeof(struct sl_datapath_stranger), STRANGERS_RING);
	struct rte_ring *ring;

	if (size < 0 || posix_memalign((void **)&ring, RTE_CACHE_LINE_SIZE, (size_t)size) != 0)
		return NULL;
	if (rte_ring_init(ring, "strangers", STRANGERS_RING, RING_F_SP_ENQ | RING_F_SC_DEQ) == 0)
		return ring;
	free(ring);
	return NULL;
}

int
dp_publisher_table_init(struct dp_publisher_table *table, const struct dp_publisher_params *params,
	struct dp_publisher *slots)
{
	uint32_t nb = params->nb_slots;

	memset(table, 0, sizeof(*table));
	table->params = *params;
	table->slots = slots;
	TAILQ_INIT(&table->unused);
	sl_gcra_init(
		&table->rate, params->rate_msgs_per_s, params->burst_msgs, params->ticks_per_s);
	sl_gcra_init(&table->ask_rate, STRANGERS_PER_S, STRANGERS_RING, params->ticks_per_s);
	/* All of them in half the time that makes one idle. */
	table->sweep = RTE_MAX((uint32_t)(2 * (uint64_t)nb / params->idle_ms + 1), SWEEP_MIN);
	table->strangers = make_ring();
	table->admitted = make_ring();
	table->free = malloc(nb * sizeof(*table->free));
	table->addresses = calloc(nb, sizeof(*table->addresses));
	if (table->strangers == NULL || table->admitted == NULL || table->free == NULL ||
		table->addresses == NULL ||
		sl_session_index_init(&table->by_session, nb, params->seeds) != 0 ||
		sl_session_index_init(&table->by_address, nb, params->seeds) != 0)
		return -ENOMEM;
	/* The first are taken first. */
	for (table->nb_free = 0; table->nb_free < nb; table->nb_free++)
		table->free[table->nb_free] = nb - 1 - table->nb_free;
	for (uint32_t i = 0; i < nb; i++)
		TAILQ_INSERT_TAIL(&table->unused, &table->addresses[i], entry);
	return 0;
}

void
dp_publisher_table_free(struct dp_publisher_table *table)
{
	sl_session_index_free(&table->by_session);
	sl_session_index_free(&table->by_address);
	free(table->strangers);
	free(table->admitted);
	free(table->free);
	free(table->addresses);
	table->strangers = table->admitted = NULL;
	table->free = NULL;
	table->addresses = NULL;
}

/* Addresses of one hash share what one may have; that costs nothing but room. */
static uint64_t
address_key(const struct dp_publisher_table *table, const struct sl_ip *address)
{
	uint64_t key = address->halves[0] ^ table->params.seeds[0];

	key = (key ^ key >> 32) * UINT64_C(0x9fb21c651e98df25);
	key ^= address->halves[1];
	return key != 0 ? key : 1;
}

static bool
may_add_address(const struct dp_publisher_table *table, const struct sl_ip *address)
{
	const uint32_t *at = sl_session_index_find(&table->by_address, address_key(table, address));

	return at == NULL || table->addresses[*at].nb_sessions < table->params.per_address_max;
}

/* One more session comes from an address. @return its entry */
static uint32_t
add_address(struct dp_publisher_table *table, const struct sl_ip *address)
{
	uint64_t key = address_key(table, address);
	const uint32_t *found = sl_session_index_find(&table->by_address, key);
	struct dp_publisher_address *entry;

	/* There is one: no more addresses have sessions than there are slots. */
	entry = found != NULL ? &table->addresses[*found] : TAILQ_FIRST(&table->unused);
	if (entry->nb_sessions++ == 0)
		TAILQ_REMOVE(&table->unused, entry, entry);
	if (found == NULL) {
		if (entry->key != 0)
			sl_session_index_remove(&table->by_address, entry->key);
		entry->key = key;
		entry->rate_next = 0;
		sl_session_index_add(&table->by_address, key, (uint32_t)(entry - table->addresses));
	}
	return (uint32_t)(entry - table->addresses);
}

static void
remove_address(struct dp_publisher_table *table, const struct dp_publisher *slot)
{
	struct dp_publisher_address *entry = &table->addresses[slot->address];

	if (--entry->nb_sessions == 0)
		TAILQ_INSERT_TAIL(&table->unused, entry, entry);
}

static inline uint64_t
credit_word(uint32_t generation, uint64_t limit)
{
	return (uint64_t)generation << (DP_CREDIT_BITS + 1) | RTE_MIN(limit, DP_CREDIT_MAX);
}

/* What the newest session of an address may send before it is told its credit. */
static uint64_t
begin_credit(const struct dp_publisher_table *table, const struct dp_publisher *slot)
{
	const struct dp_publisher_params *params = &table->params;
	uint32_t part = params->address_window / table->addresses[slot->address].nb_sessions;

	if (params->address_window == 0)
		return params->begin_credit;
	part = RTE_MAX(part, 1u);
	return RTE_MIN(params->begin_credit, part);
}

/** @param credit  what its session is known to have; 0: it is new */
static struct dp_publisher *
begin(struct dp_publisher_table *table, uint64_t session, uint64_t source,
	const struct dp_publisher_from *from, uint64_t credit, uint64_t now_ms)
{
	struct dp_publisher *slot;
	uint64_t word;
	uint32_t at;

	if (table->nb_free == 0 || !may_add_address(table, &from->address))
		return NULL;
	at = table->free[--table->nb_free];
	slot = &table->slots[at];
	sl_session_index_add(&table->by_session, session, at);
	slot->address = add_address(table, &from->address);
	atomic_store_explicit(&slot->seen_ms, now_ms, memory_order_relaxed);
	atomic_store_explicit(&slot->messages, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->over_limit, 0, memory_order_relaxed);
	rte_seqcount_write_begin(&slot->changes);
	slot->generation++;
	slot->session = session;
	slot->from = *from;
	slot->source = source;
	word = credit > 0
		? credit_word(slot->generation, credit)
		: credit_word(slot->generation, begin_credit(table, slot)) | DP_CREDIT_BEGIN;
	atomic_store_explicit(&slot->credit, word, memory_order_relaxed);
	rte_seqcount_write_end(&slot->changes);
	atomic_store_explicit(
		&table->nb_sessions, table->params.nb_slots - table->nb_free, memory_order_relaxed);
	return slot;
}

static void
end(struct dp_publisher_table *table, struct dp_publisher *slot)
{
	sl_session_index_remove(&table->by_session, slot->session);
	remove_address(table, slot);
	rte_seqcount_write_begin(&slot->changes);
	slot->session = 0;
	rte_seqcount_write_end(&slot->changes);
	table->free[table->nb_free++] = (uint32_t)(slot - table->slots);
	atomic_store_explicit(
		&table->nb_sessions, table->params.nb_slots - table->nb_free, memory_order_relaxed);
}

/* A session may move to another address, as long as that may have one more. */
static bool
move(struct dp_publisher_table *table, struct dp_publisher *slot,
	const struct dp_publisher_from *from)
{
	if (!sl_ip_equal(&slot->from.address, &from->address)) {
		if (!may_add_address(table, &from->address))
			return false;
		remove_address(table, slot);
		slot->address = add_address(table, &from->address);
	}
	rte_seqcount_write_begin(&slot->changes);
	slot->from = *from;
	rte_seqcount_write_end(&slot->changes);
	return true;
}

/* Counters with one writer. */
static inline void
count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
		memory_order_relaxed);
}

static bool
was_lately(const struct dp_publisher_table *table, uint64_t session, uint64_t now_ms)
{
	uint64_t at = session % DP_ASKED;

	return table->asked[at].session == session && now_ms < table->asked[at].until_ms;
}

static void
remember(struct dp_publisher_table *table, uint64_t session, uint64_t until_ms)
{
	table->asked[session % DP_ASKED].session = session;
	table->asked[session % DP_ASKED].until_ms = until_ms;
}

/* Ask the journal's thread about a session that this lcore cannot go on with. */
static void
ask(struct dp_publisher_table *table, uint64_t session, uint64_t source, bool has_slot,
	const struct dp_publisher_from *from, uint64_t now_ms, uint64_t now)
{
	const struct sl_datapath_stranger stranger = {
		.session = session,
		.source = source,
		.address = from->address,
		.udp_port = from->udp_port,
		.port_index = from->port_index,
		.mac = from->mac,
		.table = table->params.first,
		.has_slot = has_slot,
	};

	if (was_lately(table, session, now_ms) || !sl_gcra_conforms(&table->ask_rate, now))
		return;
	sl_gcra_take(&table->ask_rate, now);
	remember(table, session, now_ms + ASK_AGAIN_MS);
	/* Full: it will be heard of again. */
	rte_ring_sp_enqueue_elem(table->strangers, (void *)(uintptr_t)&stranger, sizeof(stranger));
}

/* A session that is new here. */
static struct dp_publisher *
find_new(struct dp_publisher_table *table, uint64_t session, uint64_t sequence, uint64_t source,
	const struct dp_publisher_from *from, uint64_t now_ms, uint64_t now,
	enum dp_publisher_verdict *verdict)
{
	struct dp_publisher *slot;

	if (!sl_session_rx_may_begin(sequence)) {
		*verdict = DP_PUBLISHER_UNKNOWN_SESSION;
		ask(table, session, source, false, from, now_ms, now);
		return NULL;
	}
	slot = begin(table, session, source, from, 0, now_ms);
	if (slot == NULL && !was_lately(table, session, now_ms)) {
		remember(table, session, now_ms + TURN_AWAY_AGAIN_MS);
		count(&table->turned_away);
	}
	return slot;
}

struct dp_publisher *
dp_publisher_find(struct dp_publisher_table *table, uint64_t session, uint64_t sequence,
	uint64_t source, const struct dp_publisher_from *from, uint64_t now_ms, uint64_t now,
	enum dp_publisher_verdict *verdict)
{
	const uint32_t *at = sl_session_index_find(&table->by_session, session);
	struct dp_publisher *slot;

	*verdict = DP_PUBLISHER_TOO_MANY_SESSIONS;
	if (unlikely(at == NULL))
		return find_new(table, session, sequence, source, from, now_ms, now, verdict);
	slot = &table->slots[*at];
	if (unlikely(memcmp(&slot->from, from, sizeof(*from)) != 0) && !move(table, slot, from))
		return NULL;
	atomic_store_explicit(&slot->seen_ms, now_ms, memory_order_relaxed);
	/* Its credit may have been raised in another slot. */
	if (unlikely(sequence >
		    (atomic_load_explicit(&slot->credit, memory_order_relaxed) & DP_CREDIT_MAX)))
		ask(table, session, source, true, from, now_ms, now);
	return slot;
}

static enum dp_publisher_verdict
refuse(struct dp_publisher_table *table, struct dp_publisher *slot,
	enum dp_publisher_verdict verdict)
{
	count(&slot->over_limit);
	count(&table->over_limit);
	return verdict;
}

enum dp_publisher_verdict
dp_publisher_take(struct dp_publisher_table *table, struct dp_publisher *slot, uint64_t sequence,
	uint64_t now)
{
	uint64_t limit = atomic_load_explicit(&slot->credit, memory_order_relaxed) & DP_CREDIT_MAX;
	struct sl_gcra rate = table->rate;

	if (unlikely(sequence > limit))
		return refuse(table, slot, DP_PUBLISHER_OVER_CREDIT);
	if (unlikely(rate.increment != 0)) {
		rate.next = table->addresses[slot->address].rate_next;
		if (!sl_gcra_conforms(&rate, now))
			return refuse(table, slot, DP_PUBLISHER_OVER_RATE);
		sl_gcra_take(&rate, now);
		table->addresses[slot->address].rate_next = rate.next;
	}
	count(&slot->messages);
	return DP_PUBLISHER_TAKE;
}

static void
admit(struct dp_publisher_table *table, const struct sl_datapath_stranger *stranger,
	uint64_t now_ms)
{
	const uint32_t *at = sl_session_index_find(&table->by_session, stranger->session);
	const struct dp_publisher_from from = {
		.address = stranger->address,
		.udp_port = stranger->udp_port,
		.port_index = stranger->port_index,
		.mac = stranger->mac,
	};
	struct dp_publisher_seen seen;

	if (at == NULL) {
		begin(table, stranger->session, stranger->source, &from,
			RTE_MIN(stranger->credit_limit, DP_CREDIT_MAX), now_ms);
		return;
	}
	seen.generation = table->slots[*at].generation;
	dp_publisher_raise_credit(&table->slots[*at], &seen, stranger->credit_limit);
}

void
dp_publisher_poll(struct dp_publisher_table *table, uint64_t now_ms)
{
	struct sl_datapath_stranger stranger;

	atomic_store_explicit(&table->now_ms, now_ms, memory_order_relaxed);
	while (rte_ring_sc_dequeue_elem(table->admitted, &stranger, sizeof(stranger)) == 0)
		admit(table, &stranger, now_ms);
	for (uint32_t i = 0; i < RTE_MIN(table->sweep, table->params.nb_slots); i++) {
		struct dp_publisher *slot = &table->slots[table->sweep_at];

		if (slot->session != 0 &&
			now_ms > table->params.idle_ms +
					atomic_load_explicit(
						&slot->seen_ms, memory_order_relaxed)) {
			end(table, slot);
			count(&table->expired);
		}
		if (++table->sweep_at == table->params.nb_slots)
			table->sweep_at = 0;
	}
}

bool
dp_publisher_read(const struct dp_publisher *slot, struct dp_publisher_seen *seen)
{
	uint32_t version;

	for (unsigned int i = 0; i < READ_TRIES; i++) {
		version = rte_seqcount_read_begin(&slot->changes);
		seen->generation = slot->generation;
		seen->session = slot->session;
		seen->source = slot->source;
		seen->from = slot->from;
		if (!rte_seqcount_read_retry(&slot->changes, version))
			return true;
	}
	return false;
}

void
dp_publisher_raise_credit(
	struct dp_publisher *slot, const struct dp_publisher_seen *seen, uint64_t limit)
{
	uint64_t word = atomic_load_explicit(&slot->credit, memory_order_relaxed);
	uint64_t wanted = credit_word(seen->generation, limit);

	/* Words of one generation are ordered as their limits are; what it began with comes last.
	 */
	while (word >> (DP_CREDIT_BITS + 1) == wanted >> (DP_CREDIT_BITS + 1) &&
		((word & DP_CREDIT_BEGIN) != 0 || word < wanted)) {
		if (atomic_compare_exchange_weak_explicit(&slot->credit, &word, wanted,
			    memory_order_relaxed, memory_order_relaxed))
			return;
	}
}
