/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "outcomes.h"

int
outcomes_init(struct outcomes *outcomes, const struct segments *set, bool with_dead)
{
	memset(outcomes, 0, sizeof(*outcomes));
	outcomes->set = set;
	outcomes->with_dead = with_dead;
	outcomes->segment = SEGMENT_NONE;
	outcomes->bits = calloc((size_t)set->nb + 1, sizeof(outcomes->bits[0]));
	return outcomes->bits == NULL ? -ENOMEM : 0;
}

static void
give_back(struct outcome_bits *bits)
{
	free(bits->undelivered);
	bits->undelivered = NULL;
}

void
outcomes_free(struct outcomes *outcomes)
{
	for (uint32_t i = 0; outcomes->bits != NULL && i < outcomes->set->nb; i++) {
		give_back(&outcomes->bits[i]);
		free(outcomes->bits[i].dead);
	}
	free(outcomes->bits);
	outcomes->bits = NULL;
}

/* How many records can begin in a segment: what its file has no bytes for has none. */
static uint64_t
nb_slots(const struct segment *segment)
{
	uint64_t bytes = segment->to - segment->found.header.base;
	uint64_t there = segment->found.size - SL_SEGMENT_HEADER;

	return (bytes < there ? bytes : there) / SL_RECORD_ALIGN;
}

/* Returns UINT64_MAX when no record can be there. */
static uint64_t
slot_of(const struct segment *segment, uint64_t position)
{
	uint64_t slot = (position - segment->found.header.base) / SL_RECORD_ALIGN;

	if (position < segment->found.header.first || position % SL_RECORD_ALIGN != 0 ||
		slot >= nb_slots(segment))
		return UINT64_MAX;
	return slot;
}

static bool
test(const uint64_t *words, uint64_t slot)
{
	return words != NULL && (words[slot / 64] >> slot % 64 & 1) != 0;
}

static int
set_bit(const struct segment *segment, uint64_t **words, uint64_t slot)
{
	if (*words == NULL)
		*words = calloc(nb_slots(segment) / 64 + 1, sizeof(**words));
	if (*words == NULL)
		return -ENOMEM;
	(*words)[slot / 64] |= UINT64_C(1) << slot % 64;
	return 0;
}

static void
clear_bit(uint64_t *words, uint64_t slot)
{
	words[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

static void
pass(struct outcomes *outcomes)
{
	struct outcome_bits *bits = &outcomes->bits[outcomes->segment];

	bits->is_passed = true;
	if (bits->nb_undelivered == 0)
		give_back(bits);
}

void
outcomes_enter(struct outcomes *outcomes, uint32_t segment)
{
	if (outcomes->segment == segment)
		return;
	if (outcomes->segment != SEGMENT_NONE)
		pass(outcomes);
	outcomes->segment = segment;
	outcomes->at = outcomes->set->all[segment].found.header.first;
}

void
outcomes_leave(struct outcomes *outcomes)
{
	if (outcomes->segment != SEGMENT_NONE)
		pass(outcomes);
	outcomes->segment = SEGMENT_NONE;
}

static int
add(struct outcomes *outcomes, uint64_t position)
{
	const struct segment *segment = &outcomes->set->all[outcomes->segment];
	struct outcome_bits *bits = &outcomes->bits[outcomes->segment];
	uint64_t slot = slot_of(segment, position);
	int rc;

	outcomes->at = position + SL_RECORD_ALIGN;
	if (slot == UINT64_MAX)
		return 0;
	if (test(bits->undelivered, slot)) {
		clear_bit(bits->undelivered, slot);
		return 0;
	}
	rc = set_bit(segment, &bits->undelivered, slot);
	if (rc != 0)
		return rc;
	bits->nb_undelivered++;
	outcomes->nb_undelivered++;
	return 0;
}

int
outcomes_message(struct outcomes *outcomes, const struct sl_record_message *message)
{
	uint64_t position = message->record.position;
	int rc = 0;

	if (message->nb_subscribers == 0)
		return add(outcomes, position);
	for (uint32_t i = 0; i < message->nb_subscribers && rc == 0; i++)
		rc = add(outcomes,
			position + sizeof(*message) + i * sizeof(struct sl_record_subscriber));
	return rc;
}

static int
take(struct outcomes *outcomes, uint32_t at, uint64_t position, bool is_dead)
{
	const struct segment *segment = &outcomes->set->all[at];
	struct outcome_bits *bits = &outcomes->bits[at];
	uint64_t slot = slot_of(segment, position);
	bool is_seen = bits->is_passed || (at == outcomes->segment && position < outcomes->at);
	int rc = 0;

	if (slot == UINT64_MAX)
		return 0;
	if (is_dead && outcomes->with_dead)
		rc = set_bit(segment, &bits->dead, slot);
	if (rc != 0)
		return rc;
	if (!is_seen)
		return set_bit(segment, &bits->undelivered, slot);
	if (!test(bits->undelivered, slot))
		return 0;
	clear_bit(bits->undelivered, slot);
	bits->nb_undelivered--;
	outcomes->nb_undelivered--;
	if (bits->is_passed && bits->nb_undelivered == 0)
		give_back(bits);
	return 0;
}

int
outcomes_done(struct outcomes *outcomes, const struct sl_record_done *done)
{
	const struct segments *set = outcomes->set;
	int rc;

	for (uint32_t i = 0; i < done->nb_outcomes; i++) {
		sl_record_ref ref = done->outcomes[i].message;
		uint64_t position = sl_record_ref_position(ref);
		uint32_t stream = sl_record_ref_stream(ref), at;

		if (stream >= SL_STREAMS_MAX)
			continue;
		at = segments_find(set, stream, position);
		/* No run knows of messages of a later one. */
		if (at == SEGMENT_NONE || position < set->all[at].found.header.first ||
			set->all[at].found.header.incarnation > done->record.incarnation)
			continue;
		rc = take(outcomes, at, position, done->outcomes[i].outcome == SL_OUTCOME_DEAD);
		if (rc != 0)
			return rc;
	}
	return 0;
}

bool
outcomes_is_undelivered(const struct outcomes *outcomes, uint32_t segment, uint64_t position)
{
	uint64_t slot = slot_of(&outcomes->set->all[segment], position);

	return slot != UINT64_MAX && test(outcomes->bits[segment].undelivered, slot);
}

bool
outcomes_is_dead(const struct outcomes *outcomes, uint32_t segment, uint64_t position)
{
	uint64_t slot = slot_of(&outcomes->set->all[segment], position);

	return slot != UINT64_MAX && test(outcomes->bits[segment].dead, slot);
}

uint64_t
outcomes_next(const struct outcomes *outcomes, uint32_t at, uint64_t position)
{
	const struct segment *segment = &outcomes->set->all[at];
	const uint64_t *words = outcomes->bits[at].undelivered;
	uint64_t slot, end = nb_slots(segment), word;

	if (words == NULL)
		return UINT64_MAX;
	if (position < segment->found.header.base)
		position = segment->found.header.base;
	slot = (position - segment->found.header.base + SL_RECORD_ALIGN - 1) / SL_RECORD_ALIGN;
	while (slot < end) {
		word = words[slot / 64] >> slot % 64;
		if (word != 0) {
			slot += (uint64_t)__builtin_ctzll(word);
			return slot < end ? segment->found.header.base + slot * SL_RECORD_ALIGN
					  : UINT64_MAX;
		}
		slot = (slot / 64 + 1) * 64;
	}
	return UINT64_MAX;
}
