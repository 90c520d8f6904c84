/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * What is written when. A turn seals what each stream has published, writes it, and syncs every
 * file once; the commit behind it tells rings and hooks. A batch ends at the end of its segment, so
 * that a segment is begun only when all before it is durable, and a stream has one file to sync.
 */
#include <stdio.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "writer.h"

/*
 * Of one stream. More would make a sync rarer, which above this is a tenth of the write's own time,
 * and keep the ring's room back for longer.
 */
#define BATCH_MAX (UINT64_C(4) << 20)

#define BACKOFF_MIN_NS (10 * SECOND_NS / 1000)
#define BACKOFF_MAX_NS SECOND_NS

/*
 * A mark costs a write. A record tells how far all was synced when it was written, so that marks
 * matter for the very last ones: they are written when a stream pauses, and now and then.
 */
#define MARK_IDLE_NS (SECOND_NS / 1000)
#define MARK_BUSY_NS (10 * SECOND_NS / 1000)

void
backoff_fail(struct backoff *backoff, uint64_t now_ns)
{
	backoff->wait_ns = RTE_MAX(2 * backoff->wait_ns, (uint64_t)BACKOFF_MIN_NS);
	backoff->wait_ns = RTE_MIN(backoff->wait_ns, (uint64_t)BACKOFF_MAX_NS);
	backoff->until_ns = now_ns + backoff->wait_ns;
}

static const char *
remedy_of(int rc)
{
	if (state_of(rc) == SL_JOURNAL_FULL)
		return "it is tried again; make room there, or lower journal.max_bytes";
	if (rc == -EACCES || rc == -EPERM || rc == -EROFS)
		return "it is tried again; make the directory writable";
	return "it is tried again in a new file; check the disk, and what the kernel says of it";
}

void
journal_note(struct sl_journal *j, int rc, const char *file, const char *what, const char *remedy)
{
	pthread_mutex_lock(&j->lock);
	j->status.error = -rc;
	j->status.failures++;
	snprintf(j->status.what, sizeof(j->status.what), "%s%s%s: %s: %s; %s", j->directory,
		file != NULL ? "/" : "", file != NULL ? file : "", what, strerror(-rc),
		remedy != NULL ? remedy : remedy_of(rc));
	pthread_mutex_unlock(&j->lock);
}

/* Nobody knows what the file holds beyond what was durable before: everything again, elsewhere. */
static void
fail(struct sl_journal *j, struct stream *s, int rc, const char *what, uint64_t now_ns)
{
	journal_note(j, rc, s->current->name, what, NULL);
	keep_end(j, s, true);
	s->written = s->durable;
	s->synced = s->durable;
	s->is_dirty = false;
	s->failed = state_of(rc);
	backoff_fail(&j->write_backoff, now_ns);
}

/* Where the segment ends that holds a position. */
static inline uint64_t
boundary_of(const struct sl_journal *j, uint64_t position)
{
	return (position & ~(j->params.segment_bytes - 1)) + j->params.segment_bytes;
}

/* Returns where the next record begins; `position` itself when there is none, or garbage. */
static inline uint64_t
next_record(const struct stream *s, uint64_t position, uint64_t end, uint64_t boundary,
	struct sl_record **record)
{
	uint32_t stride;

	*record = NULL;
	if (unlikely(boundary - position < sizeof(**record)))
		return boundary;
	*record = (struct sl_record *)(s->ring.bytes + (position & s->ring.mask));
	stride = sl_record_stride((*record)->len);
	if (unlikely((*record)->len < sizeof(**record) || stride > end - position ||
		    stride > boundary - position || (*record)->position != position))
		return position;
	return position + stride;
}

/* Seal what is published, up to a batch. */
static void
seal(struct sl_journal *j, struct stream *s)
{
	uint64_t position = s->sealed, boundary = boundary_of(j, s->written), next, end;
	struct sl_record *record;
	uint8_t *bytes;

	end = position + sl_record_ring_peek(&s->ring, position, &bytes);
	while (position < end && position < boundary && position - s->written < BATCH_MAX) {
		next = next_record(s, position, end, boundary, &record);
		if (unlikely(next == position)) {
			s->is_broken = true;
			journal_note(j, -EBADMSG, NULL, "a worker's ring holds what is no record",
				"what it publishes cannot be kept any more; restart the appliance");
			break;
		}
		if (likely(record != NULL)) {
			sl_record_seal(record, s->durable);
			s->nb_sealed += record->type != SL_RECORD_PAD;
		}
		position = next;
	}
	s->sealed = position;
}

static int
write_header(struct sl_journal *j, struct stream *s, uint64_t mark)
{
	memset(j->block, 0, SL_SEGMENT_HEADER);
	memcpy(j->block, &s->current->header, sizeof(s->current->header));
	journal_header_seal(j->block);
	if (mark != 0)
		journal_mark_seal(j->block, s->number, mark);
	return j->disk.write(j->disk.arg, s->current->name, 0, j->block, SL_SEGMENT_HEADER);
}

/* False when there is no segment to write to. */
static bool
begin(struct sl_journal *j, struct stream *s, uint64_t now_ns)
{
	struct segment *segment = keep_prepare(j, s, floor_block(s->written), now_ns);
	int rc;

	s->blocked = SL_JOURNAL_OK;
	if (segment == NULL) {
		s->blocked = j->create_state;
		return false;
	}
	keep_begin(j, s, segment, now_ns);
	s->mark = 0;
	rc = write_header(j, s, 0);
	if (rc < 0)
		fail(j, s, rc, "writing", now_ns);
	return rc == 0;
}

/* False when that failed. */
static bool
mark(struct sl_journal *j, struct stream *s, uint64_t now_ns)
{
	int rc;

	if (s->current == NULL || s->mark == s->durable || s->durable <= s->current->header.first)
		return true;
	rc = write_header(j, s, s->durable);
	if (rc < 0)
		fail(j, s, rc, "writing", now_ns);
	s->mark = s->durable;
	s->mark_ns = now_ns;
	return rc == 0;
}

static void
write_stream(struct sl_journal *j, struct stream *s, uint64_t now_ns)
{
	uint64_t from, to;
	int rc;

	if (likely(!s->is_broken))
		seal(j, s);
	if (s->sealed == s->written && s->failed == SL_JOURNAL_OK) {
		if (is_due(s->sync_ns + MARK_IDLE_NS, now_ns))
			mark(j, s, now_ns);
		return;
	}
	if (is_due(s->mark_ns + MARK_BUSY_NS, now_ns) && !mark(j, s, now_ns))
		return;
	if (s->current == NULL && !begin(j, s, now_ns))
		return;
	/* Whole blocks: what was written of the first is written again, and behind the last record
	 * comes whatever the worker has there: it is no record before it is sealed. */
	from = floor_block(s->written);
	to = ceil_block(s->sealed);
	if (from < to) {
		rc = j->disk.write(j->disk.arg, s->current->name,
			SL_SEGMENT_HEADER + (from - s->current->header.base),
			s->ring.bytes + (from & s->ring.mask), to - from);
		if (rc < 0) {
			fail(j, s, rc, "writing", now_ns);
			return;
		}
	}
	s->written = s->sealed;
	s->is_dirty = true;
}

static bool
sync_stream(struct sl_journal *j, struct stream *s, uint64_t now_ns)
{
	int rc;

	if (!s->is_dirty)
		return false;
	rc = j->disk.sync(j->disk.arg, s->current->name);
	if (rc < 0) {
		fail(j, s, rc, "syncing", now_ns);
		return false;
	}
	j->nb_syncs++;
	s->is_dirty = false;
	s->synced = s->written;
	s->sync_ns = now_ns;
	s->failed = SL_JOURNAL_OK;
	return true;
}

/* FAILED is worse than FULL. */
static void
set_state(struct sl_journal *j)
{
	enum sl_journal_state state = SL_JOURNAL_OK;
	enum sl_record_ring_state told = SL_RECORD_RING_OK;
	bool is_full = false;

	for (uint32_t i = 0; i < j->nb_streams; i++) {
		const struct stream *s = &j->streams[i];

		state = RTE_MAX(state, s->failed);
		state = RTE_MAX(state, s->blocked);
		if (s->is_broken)
			state = SL_JOURNAL_FAILED;
		is_full |= s->failed == SL_JOURNAL_FULL || s->blocked == SL_JOURNAL_FULL;
	}
	if (state == SL_JOURNAL_OK)
		j->write_backoff.wait_ns = 0;
	/* Already when there is no next file: what is put from now on may not find one. */
	if (state != SL_JOURNAL_OK || j->create_state != SL_JOURNAL_OK)
		told = is_full ? SL_RECORD_RING_FULL : SL_RECORD_RING_STUCK;
	/* Any worker may hold the segment that another's records wait for. */
	for (uint32_t i = 0; i < j->nb_streams; i++)
		sl_record_ring_set_state(&j->streams[i].ring, told);
	pthread_mutex_lock(&j->lock);
	j->status.state = state;
	pthread_mutex_unlock(&j->lock);
}

/* Batches may be kept apart, but not until the rings are full. */
static bool
is_too_soon(const struct sl_journal *j, uint64_t now_ns)
{
	uint64_t interval_ns = (uint64_t)j->params.commit_interval_us * 1000;

	if (likely(interval_ns == 0) || is_due(j->last_write_ns + interval_ns, now_ns))
		return false;
	for (uint32_t i = 0; i < j->nb_streams; i++) {
		const struct stream *s = &j->streams[i];
		uint8_t *bytes;

		if (sl_record_ring_peek(&s->ring, s->durable, &bytes) > j->params.ring_bytes / 2)
			return false;
	}
	return true;
}

bool
sl_journal_core_write(struct sl_journal *j, uint64_t now_ns)
{
	bool is_any_dirty = false, is_any_synced = false, was_failed;

	keep_sweep(j, now_ns);
	if (!is_due(j->write_backoff.until_ns, now_ns) || is_too_soon(j, now_ns))
		return false;
	was_failed = j->status.state != SL_JOURNAL_OK || j->create_state != SL_JOURNAL_OK;
	for (uint32_t i = 0; i < j->nb_streams; i++) {
		struct stream *s = &j->streams[i];

		write_stream(j, s, now_ns);
		is_any_dirty |= s->is_dirty;
		was_failed |= s->is_broken || s->failed != SL_JOURNAL_OK ||
			s->blocked != SL_JOURNAL_OK;
		/* Where the next records go, before they come. */
		keep_prepare(j, s,
			s->current != NULL ? s->current->header.end : floor_block(s->written),
			now_ns);
	}
	if (is_any_dirty) {
		j->last_write_ns = now_ns;
		for (uint32_t i = 0; i < j->nb_streams; i++) {
			is_any_synced |= sync_stream(j, &j->streams[i], now_ns);
			was_failed |= j->streams[i].failed != SL_JOURNAL_OK;
		}
	}
	if (unlikely(was_failed || j->create_state != SL_JOURNAL_OK))
		set_state(j);
	return is_any_synced;
}

static void
tell(struct sl_journal *j, struct stream *s, uint64_t now_ns)
{
	uint64_t position = s->durable, boundary = boundary_of(j, position), next;
	struct sl_record *record;

	while (position < s->synced) {
		next = next_record(s, position, s->synced, boundary, &record);
		if (unlikely(next == position))
			break; /* It was one when it was sealed. */
		if (likely(record != NULL && record->type != SL_RECORD_PAD))
			j->params.durable(j->params.arg, record, now_ns);
		position = next;
	}
}

void
sl_journal_core_commit(struct sl_journal *j, uint64_t now_ns)
{
	uint64_t nb_records = 0, bytes = 0;

	for (uint32_t i = 0; i < j->nb_streams; i++) {
		struct stream *s = &j->streams[i];

		if (s->synced > s->durable)
			s->nb_durable = s->nb_sealed;
		nb_records += s->nb_durable;
		bytes += s->synced - s->start;
		if (s->synced == s->durable)
			continue;
		if (j->params.durable != NULL)
			tell(j, s, now_ns);
		s->durable = s->synced;
		s->previous_end = s->synced;
		sl_record_ring_set_durable(&s->ring, s->durable);
		if (s->durable == s->current->header.end)
			keep_end(j, s, false);
	}
	if (j->params.batch != NULL)
		j->params.batch(j->params.arg, now_ns);
	pthread_mutex_lock(&j->lock);
	j->status.records = nb_records;
	j->status.bytes = bytes;
	j->status.batches++;
	j->status.syncs = j->nb_syncs;
	pthread_mutex_unlock(&j->lock);
}

void
sl_journal_core_put_close(struct sl_journal *j, uint64_t now_ns)
{
	for (uint32_t i = 0; i < j->nb_streams; i++) {
		struct sl_record_ring *ring = &j->streams[i].ring;

		sl_record_ring_refresh(ring);
		if (ring->put != j->streams[i].start &&
			sl_record_ring_put(
				ring, SL_RECORD_CLOSE, sizeof(struct sl_record), now_ns) != NULL)
			sl_record_ring_publish(ring);
	}
}

bool
sl_journal_core_is_pending(const struct sl_journal *j)
{
	for (uint32_t i = 0; i < j->nb_streams; i++) {
		const struct stream *s = &j->streams[i];
		uint8_t *bytes;

		if (!s->is_broken && sl_record_ring_peek(&s->ring, s->durable, &bytes) > 0)
			return true;
	}
	return false;
}

uint64_t
journal_durable(struct sl_journal *j, uint32_t stream)
{
	if (stream >= j->nb_streams)
		return stream < j->nb_known ? j->streams[stream].previous_end : 0;
	return atomic_load_explicit(&j->streams[stream].ring.durable, memory_order_acquire);
}

uint32_t
journal_incarnation(const struct sl_journal *j)
{
	return j->incarnation;
}

uint32_t
journal_layout(struct sl_journal *j)
{
	return atomic_load_explicit(&j->layout, memory_order_acquire);
}

struct sl_record_ring *
sl_journal_ring(struct sl_journal *j, uint32_t stream)
{
	return stream < j->nb_streams ? &j->streams[stream].ring : NULL;
}
