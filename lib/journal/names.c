/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "sl_journal_names.h"

#define SLOTS_MIN 256u

/* So much further the stream comes than what names take in it, before they are put in again. */
#define DISTANCE_TIMES 8

struct name {
	uint64_t key;
	uint64_t note; /* Which of all notes was its first; 0: it has not been noted. */
	uint32_t len;
	bool is_needed;
	char text[];
};

struct sl_journal_names {
	struct name **all;
	uint32_t nb, max;
	uint32_t *slots; /* Numbers, by key; 0: free. */
	uint32_t mask;
	uint64_t bytes; /* Of their records, */
	uint64_t bounded_bytes;
	uint64_t bytes_max;
	uint64_t distance;

	uint32_t nb_new_noted; /* The first so many have been noted. */
	uint32_t nb_known;     /* ... and are durable. */
	uint32_t again, again_end;
	uint64_t nb_noted;

	/* Put in again: from the first note of it on the stream is needed, when the last is
	 * durable. */
	bool is_renewing;
	bool is_lost; /* Nothing is held: they are to be put in again when that can be. */
	uint64_t last_note;
	uint64_t needed;

	_Atomic uint64_t nb_durable; /* The journal's thread counts, */
	_Atomic uint64_t first_note;
	_Atomic uint64_t first_position; /* and tells where that one stands. */
};

int
sl_journal_names_create(uint64_t bytes_max, uint64_t distance, struct sl_journal_names **names)
{
	struct sl_journal_names *n = calloc(1, sizeof(*n));

	*names = n;
	if (n == NULL)
		return -ENOMEM;
	n->slots = calloc(SLOTS_MIN, sizeof(*n->slots));
	if (n->slots == NULL) {
		free(n);
		*names = NULL;
		return -ENOMEM;
	}
	n->mask = SLOTS_MIN - 1;
	n->bytes_max = bytes_max;
	n->distance = distance;
	n->is_renewing = true;
	n->first_note = 1;
	return 0;
}

void
sl_journal_names_destroy(struct sl_journal_names *n)
{
	if (n == NULL)
		return;
	for (uint32_t i = 0; i < n->nb; i++)
		free(n->all[i]);
	free(n->all);
	free(n->slots);
	free(n);
}

/* Keys are hashes already. */
static uint32_t *
slot_of(const struct sl_journal_names *n, uint64_t key)
{
	uint32_t i = (uint32_t)(key ^ key >> 32) & n->mask;

	while (n->slots[i] != 0 && n->all[n->slots[i] - 1]->key != key)
		i = (i + 1) & n->mask;
	return &n->slots[i];
}

static bool
reserve(struct sl_journal_names *n)
{
	uint32_t max = n->max == 0 ? SLOTS_MIN / 2 : 2 * n->max, *slots;
	struct name **all;

	if (n->nb < n->max)
		return true;
	all = realloc(n->all, max * sizeof(struct name *));
	if (all == NULL)
		return false;
	n->all = all;
	slots = calloc((size_t)max * 2, sizeof(*slots));
	if (slots == NULL)
		return false;
	free(n->slots);
	n->slots = slots;
	n->mask = max * 2 - 1;
	n->max = max;
	for (uint32_t i = 0; i < n->nb; i++)
		*slot_of(n, all[i]->key) = i + 1;
	return true;
}

static uint64_t
record_bytes(uint32_t len)
{
	return sl_record_stride((uint32_t)sizeof(struct sl_record_name) + len);
}

uint64_t
sl_journal_names_add(
	struct sl_journal_names *n, const struct sl_journal_name *from, bool is_bounded)
{
	uint64_t bytes = record_bytes(from->len);
	struct name *name;

	if (*slot_of(n, from->key) != 0)
		return *slot_of(n, from->key);
	if ((is_bounded && n->bounded_bytes + bytes > n->bytes_max) || !reserve(n))
		return SL_JOURNAL_NAME_NONE;
	name = malloc(sizeof(*name) + from->len);
	if (name == NULL)
		return SL_JOURNAL_NAME_NONE;
	*name = (struct name){.key = from->key, .len = from->len};
	memcpy(name->text, from->text, from->len);
	*slot_of(n, from->key) = n->nb + 1;
	n->all[n->nb++] = name;
	n->bytes += bytes;
	n->bounded_bytes += is_bounded ? bytes : 0;
	return n->nb;
}

uint64_t
sl_journal_names_count(const struct sl_journal_names *n)
{
	return n->nb;
}

struct sl_journal_name
sl_journal_names_at(const struct sl_journal_names *n, uint64_t number)
{
	const struct name *name = n->all[number - 1];

	return (struct sl_journal_name){.key = name->key, .text = name->text, .len = name->len};
}

void
sl_journal_names_need(struct sl_journal_names *n, uint64_t key)
{
	uint32_t number = *slot_of(n, key);

	if (number != 0)
		n->all[number - 1]->is_needed = true;
}

void
sl_journal_names_prune(struct sl_journal_names *n)
{
	uint32_t nb = n->nb;

	memset(n->slots, 0, ((size_t)n->mask + 1) * sizeof(*n->slots));
	n->nb = 0;
	n->bytes = 0;
	for (uint32_t i = 0; i < nb; i++) {
		struct name *name = n->all[i];

		if (!name->is_needed) {
			free(name);
			continue;
		}
		*slot_of(n, name->key) = n->nb + 1;
		n->all[n->nb++] = name;
		n->bytes += record_bytes(name->len);
	}
	n->bounded_bytes = n->bytes;
}

bool
sl_journal_names_has_new(const struct sl_journal_names *n)
{
	return n->nb_new_noted < n->nb;
}

bool
sl_journal_names_next(const struct sl_journal_names *n, struct sl_journal_name *name)
{
	if (sl_journal_names_has_new(n))
		*name = sl_journal_names_at(n, n->nb_new_noted + 1);
	else if (n->again < n->again_end)
		*name = sl_journal_names_at(n, n->again + 1);
	else
		return false;
	return true;
}

void
sl_journal_names_noted(struct sl_journal_names *n)
{
	n->nb_noted++;
	if (sl_journal_names_has_new(n))
		n->all[n->nb_new_noted++]->note = n->nb_noted;
	else
		n->again++;
}

void
sl_journal_names_durable(struct sl_journal_names *n, const struct sl_record *record)
{
	uint64_t note = atomic_load_explicit(&n->nb_durable, memory_order_relaxed) + 1;

	if (note == atomic_load_explicit(&n->first_note, memory_order_relaxed))
		atomic_store_explicit(&n->first_position, record->position, memory_order_relaxed);
	atomic_store_explicit(&n->nb_durable, note, memory_order_release);
}

uint64_t
sl_journal_names_known(struct sl_journal_names *n)
{
	uint64_t nb_durable = atomic_load_explicit(&n->nb_durable, memory_order_acquire);

	while (n->nb_known < n->nb_new_noted && n->all[n->nb_known]->note <= nb_durable)
		n->nb_known++;
	return n->nb_known;
}

/* No note is on its way whose number the journal's thread could take for the first: it is told of
 * them in order, and this one has not been given out. */
static void
renew(struct sl_journal_names *n)
{
	n->is_renewing = true;
	n->is_lost = false;
	n->last_note = 0;
	n->again = 0;
	n->again_end = n->nb_new_noted;
	atomic_store_explicit(&n->first_note, n->nb_noted + 1, memory_order_relaxed);
}

/* Has all been put in, and is it durable? */
static bool
is_renewed(struct sl_journal_names *n)
{
	struct sl_journal_name name;

	if (n->last_note == 0 && !sl_journal_names_next(n, &name))
		n->last_note = n->nb_noted;
	return n->last_note != 0 &&
		atomic_load_explicit(&n->nb_durable, memory_order_acquire) >= n->last_note;
}

static uint64_t
distance_of(const struct sl_journal_names *n)
{
	uint64_t least = DISTANCE_TIMES * n->bytes;

	return n->distance > least ? n->distance : least;
}

uint64_t
sl_journal_names_needed(struct sl_journal_names *n, uint64_t end, bool is_full)
{
	if (n->nb == 0)
		return UINT64_MAX;
	if (is_full) {
		n->is_lost = true;
		n->needed = UINT64_MAX;
		return n->needed;
	}
	if (n->is_lost) {
		renew(n);
	} else if (n->is_renewing && is_renewed(n)) {
		n->is_renewing = false;
		n->needed = atomic_load_explicit(&n->first_position, memory_order_relaxed);
	} else if (!n->is_renewing && end > n->needed && end - n->needed > distance_of(n)) {
		renew(n);
	}
	return n->needed;
}
