/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "durable.h"

/*
 * Outcomes: what became of durable messages, on its way into the journal. A message's place is held
 * until its outcome is durable, and with that its dead letter, which stands before it: after a
 * crash there is one of them, always. The outcomes wait in the ring itself; what is kept beside it
 * is where their records are.
 */

/* Let go of what has its outcome in a part of the ring, up to a record's end. */
static void
release(struct dp_lcore *lcore, struct dp_done *part, uint64_t end)
{
	const struct sl_datapath_journal *journal = lcore->dp->journal;
	const struct sl_record_ring *ring = lcore->keeper->ring;

	while (part->begin < end) {
		const struct sl_record *record = sl_record_ring_next(ring, &part->begin);
		const struct sl_record_done *done = (const struct sl_record_done *)record;

		if (unlikely(record == NULL || record->type != SL_RECORD_DONE))
			continue;
		for (uint32_t i = 0; i < done->nb_outcomes; i++)
			journal->release(
				journal->arg, lcore->worker_index, done->outcomes[i].message);
	}
}

void
dp_keeper_release(struct dp_lcore *lcore)
{
	struct dp_keeper *keeper = lcore->keeper;
	struct dp_done *part;

	while (keeper->nb_dones > 0) {
		part = &keeper->dones[keeper->first_done];
		/* What is durable will be put over, whether the rest of the part is or not. */
		release(lcore, part, RTE_MIN(part->end, keeper->ring->durable_seen));
		if (part->begin < part->end)
			break;
		keeper->first_done = (keeper->first_done + 1) % DP_DONES;
		keeper->nb_dones--;
	}
	if (likely(keeper->ring->state_seen != SL_RECORD_RING_FULL))
		return;
	/* These would never become durable, if those they are of kept the room for it. */
	for (uint32_t i = 0; i < keeper->nb_dones; i++) {
		part = &keeper->dones[(keeper->first_done + i) % DP_DONES];
		if (!part->has_letters)
			release(lcore, part, part->end);
	}
}

/* What follows at once is one part with what was there; what finds no place is, too. */
static void
note_done(struct dp_keeper *keeper, uint64_t begin)
{
	struct dp_done *part =
		&keeper->dones[(keeper->first_done + keeper->nb_dones + DP_DONES - 1) % DP_DONES];

	if (keeper->nb_dones == 0 || (part->end != begin && keeper->nb_dones < DP_DONES)) {
		part = &keeper->dones[(keeper->first_done + keeper->nb_dones++) % DP_DONES];
		part->begin = begin;
		part->has_letters = false;
	}
	part->end = keeper->ring->put;
	part->has_letters |= keeper->outcomes_have_letters;
}

static void
begin_outcomes(struct dp_keeper *keeper)
{
	keeper->nb_outcomes = 0;
	keeper->outcomes_have_letters = false;
}

void
dp_keeper_flush_outcomes(struct dp_lcore *lcore)
{
	struct dp_keeper *keeper = lcore->keeper;
	uint32_t len = (uint32_t)(sizeof(struct sl_record_done) +
		keeper->nb_outcomes * sizeof(keeper->outcomes[0]));
	struct sl_record_done *record;

	if (keeper->nb_outcomes == 0)
		return;
	record = sl_record_ring_put(keeper->ring, SL_RECORD_DONE, len, keeper->unix_ns);
	/* It is tried again in the next turn. */
	if (unlikely(record == NULL))
		return;
	dp_keeper_prefetch(keeper, 1);
	record->backend = keeper->outcomes_backend;
	record->nb_outcomes = keeper->nb_outcomes;
	record->reserved = 0;
	memcpy(record->outcomes, keeper->outcomes,
		keeper->nb_outcomes * sizeof(keeper->outcomes[0]));
	note_done(keeper, record->record.position);
	begin_outcomes(keeper);
}

void
dp_keeper_done(struct dp_lcore *lcore, const struct dp_msg *msg, uint64_t backend,
	uint32_t attempts, enum sl_record_outcome outcome)
{
	struct dp_keeper *keeper = lcore->keeper;

	if (keeper->nb_outcomes == SL_RECORD_OUTCOMES_MAX ||
		(keeper->nb_outcomes > 0 && keeper->outcomes_backend != backend)) {
		dp_keeper_flush_outcomes(lcore);
		/* Who acknowledges has looked for room. Else these are held until a restart, and
		 * delivered again then. */
		begin_outcomes(keeper);
	}
	keeper->outcomes_backend = backend;
	keeper->outcomes[keeper->nb_outcomes++] = (struct sl_record_outcome_of){
		.message = msg->ref,
		.attempts = (uint16_t)RTE_MIN(attempts, (uint32_t)UINT16_MAX),
		.outcome = (uint8_t)outcome,
		.copy = sl_record_ref_is_copy(msg->ref) ? msg->copy : 0,
	};
}
