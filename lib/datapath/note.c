/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>

#include "durable.h"

/*
 * Notes of the control thread in the journal: names, changes of the configuration. The first
 * worker's ring has one producer, so that worker puts them in; the control thread frees them.
 */

#define NOTES 4096

struct dp_note {
	enum sl_record_type type;
	uint32_t len;
	uint8_t bytes[];
};

int
dp_notes_create(struct sl_datapath *dp)
{
	dp->notes = rte_ring_create("notes", NOTES, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	dp->notes_done = rte_ring_create(
		"notes-done", NOTES, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	return dp->notes != NULL && dp->notes_done != NULL ? 0 : -ENOMEM;
}

static void
free_all(struct rte_ring *ring)
{
	struct dp_note *note;

	while (ring != NULL && rte_ring_sc_dequeue(ring, (void **)&note) == 0)
		free(note);
}

void
dp_notes_destroy(struct sl_datapath *dp)
{
	free_all(dp->notes);
	free_all(dp->notes_done);
	rte_ring_free(dp->notes);
	rte_ring_free(dp->notes_done);
}

/* @return false: there is no room */
static bool
put(struct sl_record_ring *ring, const struct dp_note *note, uint64_t unix_ns)
{
	const uint32_t head = (uint32_t)sizeof(struct sl_record);
	uint8_t *record = sl_record_ring_put(ring, note->type, head + note->len, unix_ns);

	if (record == NULL)
		return false;
	memcpy(record + head, note->bytes, note->len);
	return true;
}

void
dp_notes_poll(struct dp_lcore *lcore)
{
	struct sl_datapath *dp = lcore->dp;
	struct dp_note *note;

	/* Only what can be given back is taken, and only what there is room for. */
	if (likely(rte_ring_empty(dp->notes)) || rte_ring_full(dp->notes_done) ||
		!dp_keeper_has_room(lcore, DP_FETCH_MAX))
		return;
	if (rte_ring_sc_dequeue(dp->notes, (void **)&note) != 0)
		return;
	put(lcore->keeper->ring, note, lcore->keeper->unix_ns);
	rte_ring_sp_enqueue(dp->notes_done, note);
}

void
sl_datapath_free_notes(struct sl_datapath *dp)
{
	free_all(dp->notes_done);
}

int
sl_datapath_note(struct sl_datapath *dp, enum sl_record_type type, const void *bytes, uint32_t len)
{
	struct dp_note *note;

	sl_datapath_free_notes(dp);
	note = malloc(sizeof(*note) + len);
	if (note == NULL)
		return -ENOMEM;
	note->type = type;
	note->len = len;
	memcpy(note->bytes, bytes, len);
	if (rte_ring_sp_enqueue(dp->notes, note) == 0)
		return 0;
	free(note);
	return -EAGAIN;
}
