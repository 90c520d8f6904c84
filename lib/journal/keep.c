/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Which files there are: made ahead, begun, held, and deleted from the oldest on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_common.h>

#include "writer.h"

#define SWEEP_NS (SECOND_NS / 10)

/* The last segment that got too old waits so long for being used again. */
#define SPARE_NS (60 * SECOND_NS)

static uint64_t
file_size(uint64_t base, uint64_t end)
{
	return SL_SEGMENT_HEADER + (end - base);
}

static void
discard(struct sl_journal *j, struct segment *segment)
{
	TAILQ_INSERT_TAIL(&j->trash, segment, next);
	j->trash_bytes += segment->bytes;
}

/* Takes a begun segment out of its stream. */
static void
forget(struct sl_journal *j, struct stream *s, struct segment *segment)
{
	TAILQ_REMOVE(&s->segments, segment, next);
	j->nb_segments--;
	discard(j, segment);
	atomic_fetch_add_explicit(&j->layout, 1, memory_order_release);
}

static uint64_t
retention_bytes(const struct sl_journal *j)
{
	return RTE_MIN(atomic_load_explicit(&j->retention_bytes, memory_order_relaxed),
		j->params.max_bytes);
}

void
sl_journal_set_retention(struct sl_journal *j, uint64_t bytes, uint64_t ms)
{
	atomic_store_explicit(&j->retention_bytes, bytes, memory_order_relaxed);
	atomic_store_explicit(&j->retention_ns, ms * (SECOND_NS / 1000), memory_order_relaxed);
}

static bool
is_held(const struct sl_journal *j, uint32_t stream, uint64_t from, uint64_t to)
{
	uint64_t first = from >> GRANULE_SHIFT, last = (to - 1) >> GRANULE_SHIFT;
	uint64_t n = RTE_MIN(last - first + 1, j->granules);

	for (uint64_t i = 0; i < n; i++) {
		const struct holds *holds = j->holds + stream * j->granules +
			((first + i) & (j->granules - 1));
		size_t stride = (size_t)j->nb_known * j->granules;
		uint32_t sum = 0;

		for (uint32_t w = 0; w < j->nb_streams; w++)
			sum -= atomic_load_explicit(
				&holds[w * stride].released, memory_order_acquire);
		for (uint32_t w = 0; w < j->nb_streams; w++)
			sum += atomic_load_explicit(&holds[w * stride].held, memory_order_relaxed);
		if (sum != 0)
			return true;
	}
	return false;
}

/* Who needs the oldest segment of a stream? NULL: nobody; "": its stream does. */
static const char *
holder_of(const struct sl_journal *j, const struct stream *s)
{
	const struct segment *head = TAILQ_FIRST(&s->segments), *next = TAILQ_NEXT(head, next);
	uint32_t nb = atomic_load_explicit(&j->nb_readers, memory_order_acquire);
	uint64_t limit;

	/* The last one tells where the stream ends, so that no position is used again. */
	if (next == NULL || (next == s->current && s->durable <= next->header.first))
		return "";
	limit = next->header.previous_end;
	for (uint32_t r = 0; r < nb; r++) {
		if (atomic_load_explicit(&j->readers[r].needed[s->number], memory_order_acquire) <
			limit)
			return j->readers[r].name;
	}
	if (limit > head->header.first && is_held(j, s->number, head->header.first, limit))
		return "undelivered messages";
	return NULL;
}

/* The stream with the oldest segment; of those that nobody needs only, when asked so. */
static struct stream *
oldest(struct sl_journal *j, bool is_deletable)
{
	struct stream *found = NULL;
	uint64_t created_ns = UINT64_MAX;

	for (uint32_t i = 0; i < j->nb_known; i++) {
		struct stream *s = &j->streams[i];
		const struct segment *head = TAILQ_FIRST(&s->segments);

		if (head == NULL || head->header.created_ns >= created_ns ||
			(is_deletable && holder_of(j, s) != NULL))
			continue;
		found = s;
		created_ns = head->header.created_ns;
	}
	return found;
}

static bool
delete_oldest(struct sl_journal *j)
{
	struct stream *s = oldest(j, true);

	if (s == NULL)
		return false;
	forget(j, s, TAILQ_FIRST(&s->segments));
	return true;
}

/* It ended when the next one was begun. */
static bool
is_too_old(const struct sl_journal *j, const struct segment *segment, uint64_t now_ns)
{
	const struct segment *next = segment != NULL ? TAILQ_NEXT(segment, next) : NULL;
	uint64_t age_ns = atomic_load_explicit(&j->retention_ns, memory_order_relaxed);

	return next != NULL && next->header.created_ns + age_ns <= now_ns;
}

static void
delete_old(struct sl_journal *j, struct stream *s, uint64_t now_ns)
{
	struct segment *head;

	while ((head = TAILQ_FIRST(&s->segments)) != NULL && is_too_old(j, head, now_ns) &&
		holder_of(j, s) == NULL) {
		if (j->disk.reuse != NULL && !is_too_old(j, TAILQ_NEXT(head, next), now_ns) &&
			!is_too_old(j, head, now_ns - SPARE_NS))
			return;
		forget(j, s, head);
	}
}

/* Of a stream, the older go first: a gap is damage to who reads it after a crash. */
static bool
has_to_wait(const struct sl_journal *j, const struct segment *segment)
{
	const struct segment *older;

	TAILQ_FOREACH (older, &j->trash, next) {
		if (older == segment)
			break;
		if (older->header.incarnation != 0 &&
			older->header.stream == segment->header.stream)
			return true;
	}
	return false;
}

static void
empty_trash(struct sl_journal *j)
{
	struct segment *segment, *next;
	int rc;

	for (segment = TAILQ_FIRST(&j->trash); segment != NULL; segment = next) {
		next = TAILQ_NEXT(segment, next);
		if (has_to_wait(j, segment))
			continue;
		rc = j->disk.remove(j->disk.arg, segment->name);
		if (rc == -EAGAIN)
			return;
		/* It is tried again; those of other streams need not wait for it. */
		if (rc < 0 && rc != -ENOENT)
			continue;
		TAILQ_REMOVE(&j->trash, segment, next);
		j->bytes -= segment->bytes;
		j->trash_bytes -= segment->bytes;
		free(segment);
	}
}

static void
describe(struct sl_journal *j)
{
	struct stream *s = oldest(j, false);
	const char *holder = s != NULL ? holder_of(j, s) : "";

	pthread_mutex_lock(&j->lock);
	j->status.nb_segments = j->nb_segments;
	j->status.segments_bytes = j->bytes;
	j->status.oldest_ns = s != NULL ? TAILQ_FIRST(&s->segments)->header.created_ns : 0;
	snprintf(j->status.holder, sizeof(j->status.holder), "%s", holder != NULL ? holder : "");
	pthread_mutex_unlock(&j->lock);
}

void
keep_sweep(struct sl_journal *j, uint64_t now_ns)
{
	if (!TAILQ_EMPTY(&j->trash))
		empty_trash(j);
	if (!is_due(j->swept_ns + SWEEP_NS, now_ns))
		return;
	j->swept_ns = now_ns;
	for (uint32_t i = 0; i < j->nb_known; i++)
		delete_old(j, &j->streams[i], now_ns);
	while (j->bytes - j->trash_bytes > retention_bytes(j) && delete_oldest(j))
		;
	describe(j);
}

/* Is there room for one more file? -EAGAIN: not yet. */
static int
make_room(struct sl_journal *j, uint64_t size)
{
	while (j->bytes - j->trash_bytes + size > j->params.max_bytes) {
		if (!delete_oldest(j))
			return -ENOSPC;
	}
	return j->bytes + size > j->params.max_bytes ? -EAGAIN : 0;
}

static void
cannot_create(struct sl_journal *j, int rc, const char *file, const char *what, const char *remedy,
	uint64_t now_ns)
{
	j->create_state = state_of(rc);
	journal_note(j, rc, file, what, remedy);
	backoff_fail(&j->create_backoff, now_ns);
	/* What is only kept for its age gives way to what is to be accepted. */
	if (j->create_state == SL_JOURNAL_FULL)
		delete_oldest(j);
}

static uint64_t
bytes_of(const struct stream *s)
{
	const struct segment *segment;
	uint64_t bytes = 0;

	TAILQ_FOREACH (segment, &s->segments, next)
		bytes += segment->bytes;
	return bytes;
}

/*
 * The stream's oldest is used again when it is too old or a new file would be one too many: nothing
 * has to be filled with zeros then, and nothing to be freed. What stands in it says another
 * position than where it stands; only in one stream no position comes twice. A stream that has less
 * than its share takes none of its own while another has older ones.
 */
static struct segment *
take_oldest(struct sl_journal *j, struct stream *s, uint64_t size, uint64_t now_ns)
{
	struct segment *head = TAILQ_FIRST(&s->segments);
	uint64_t kept = j->bytes - j->trash_bytes;

	/* What is older is gone first, or a crash would leave a gap where this one was. */
	if (j->disk.reuse == NULL || head == NULL || head->bytes != size || head->is_abandoned ||
		!TAILQ_EMPTY(&j->trash) || holder_of(j, s) != NULL)
		return NULL;
	if (!is_too_old(j, head, now_ns) &&
		(kept + size <= retention_bytes(j) ||
			(bytes_of(s) < retention_bytes(j) / j->nb_streams && oldest(j, true) != s)))
		return NULL;
	TAILQ_REMOVE(&s->segments, head, next);
	j->nb_segments--;
	atomic_fetch_add_explicit(&j->layout, 1, memory_order_release);
	memcpy(head->old_name, head->name, sizeof(head->old_name));
	memset(&head->header, 0, sizeof(head->header));
	head->is_made = false;
	head->take = 0;
	return head;
}

static struct segment *
new_segment(struct sl_journal *j, uint64_t size, uint64_t now_ns)
{
	struct segment *segment;
	int rc = make_room(j, size);

	if (rc == -ENOSPC)
		cannot_create(j, rc, NULL, "no new segment",
			"journal.max_bytes is reached and somebody needs all of them: show journal "
			"tells who; or raise it",
			now_ns);
	if (rc < 0)
		return NULL;
	segment = calloc(1, sizeof(*segment));
	if (segment == NULL) {
		cannot_create(j, -ENOMEM, NULL, "no new segment", NULL, now_ns);
		return NULL;
	}
	segment->bytes = size;
	j->bytes += size;
	return segment;
}

static struct segment *
new_prepared(struct sl_journal *j, struct stream *s, uint64_t base, uint64_t now_ns)
{
	uint64_t mask = j->params.segment_bytes - 1, end = (base & ~mask) + mask + 1;
	struct segment *segment = take_oldest(j, s, file_size(base, end), now_ns);

	if (segment == NULL)
		segment = new_segment(j, file_size(base, end), now_ns);
	if (segment == NULL)
		return NULL;
	segment->header.base = base;
	segment->header.end = end;
	TAILQ_INSERT_TAIL(&s->prepared, segment, next);
	return segment;
}

/* The file of a prepared segment. */
static int
make_file(struct sl_journal *j, const struct stream *s, struct segment *segment)
{
	const struct journal_name name = {
		.stream = s->number,
		.take = segment->take,
		.base = segment->header.base,
	};

	journal_name_format(segment->name, &name);
	if (segment->old_name[0] != '\0')
		return j->disk.reuse(j->disk.arg, segment->old_name, segment->name);
	return j->disk.create(j->disk.arg, segment->name, segment->bytes);
}

static void
drop_prepared(struct sl_journal *j, struct stream *s, struct segment *segment)
{
	TAILQ_REMOVE(&s->prepared, segment, next);
	if (segment->old_name[0] != '\0') {
		/* If it has the new name already, it is found at the next start, and unused. */
		memcpy(segment->name, segment->old_name, sizeof(segment->name));
		discard(j, segment);
		return;
	}
	j->bytes -= segment->bytes;
	free(segment);
}

struct segment *
keep_prepare(struct sl_journal *j, struct stream *s, uint64_t base, uint64_t now_ns)
{
	struct segment *segment;
	int rc;

	TAILQ_FOREACH (segment, &s->prepared, next)
		if (segment->header.base == base)
			break;
	if (segment != NULL && segment->is_made)
		return segment;
	if (!is_due(j->create_backoff.until_ns, now_ns))
		return NULL;
	if (segment == NULL)
		segment = new_prepared(j, s, base, now_ns);
	if (segment == NULL)
		return NULL;
	rc = make_file(j, s, segment);
	if (rc == -EAGAIN)
		return NULL;
	if (rc == -EEXIST && segment->take < UINT16_MAX) {
		segment->take++;
		return NULL;
	}
	if (rc < 0) {
		cannot_create(j, rc, segment->name, "making it", NULL, now_ns);
		drop_prepared(j, s, segment);
		return NULL;
	}
	segment->is_made = true;
	segment->old_name[0] = '\0';
	j->create_state = SL_JOURNAL_OK;
	j->create_backoff.wait_ns = 0;
	return segment;
}

void
keep_begin(struct sl_journal *j, struct stream *s, struct segment *segment, uint64_t now_ns)
{
	struct sl_segment_header *header = &segment->header;

	header->stream = s->number;
	header->created_ns = now_ns;
	header->incarnation = j->incarnation;
	header->number = j->next_number++;
	header->first = s->written;
	header->previous_end = s->previous_end;
	TAILQ_REMOVE(&s->prepared, segment, next);
	TAILQ_INSERT_TAIL(&s->segments, segment, next);
	j->nb_segments++;
	s->current = segment;
	atomic_fetch_add_explicit(&j->layout, 1, memory_order_release);
}

void
keep_end(struct sl_journal *j, struct stream *s, bool is_failed)
{
	struct segment *segment = s->current;

	segment->is_abandoned = is_failed;
	j->disk.close(j->disk.arg, segment->name);
	s->current = NULL;
	if (segment->header.first >= s->durable)
		forget(j, s, segment);
}

static int
compare_found(const void *a, const void *b)
{
	const struct sl_journal_segment *x = a, *y = b;

	return journal_is_before(&x->header, &y->header)
		? -1
		: journal_is_before(&y->header, &x->header);
}

/* What was begun later cuts off what was begun before: does that leave anything of it? */
static void
drop_overridden(struct sl_journal *j, struct stream *s, uint64_t previous_end)
{
	struct segment *last;

	while ((last = TAILQ_LAST(&s->segments, segments)) != NULL &&
		last->header.first >= previous_end)
		forget(j, s, last);
}

static int
add_found(struct sl_journal *j, const struct sl_journal_segment *found)
{
	struct segment *segment = calloc(1, sizeof(*segment));
	struct journal_name name;
	struct stream *s;
	uint64_t end;

	if (segment == NULL)
		return -ENOMEM;
	if (!journal_name_parse(found->name, &name) || name.stream >= j->nb_known) {
		free(segment);
		return -EINVAL;
	}
	s = &j->streams[name.stream];
	memcpy(segment->name, found->name, strlen(found->name) + 1);
	segment->bytes = found->size;
	segment->is_made = true;
	j->bytes += segment->bytes;
	/* Also those made ahead: somewhere there may be a word of what was never written. */
	end = name.base + j->params.segment_bytes;
	if (found->header.incarnation == 0) {
		discard(j, segment);
	} else {
		segment->header = found->header;
		end = RTE_MAX(end, found->header.end);
		drop_overridden(j, s, found->header.previous_end);
		TAILQ_INSERT_TAIL(&s->segments, segment, next);
		j->nb_segments++;
	}
	s->start = RTE_MAX(s->start, ceil_block(end));
	return 0;
}

static int
make_holds(struct sl_journal *j)
{
	uint64_t span = RTE_MAX(j->bytes, j->params.max_bytes) + j->params.ring_bytes;

	/* Where two pieces share a counter, both are held: it costs disk, and loses nothing. */
	j->granules = rte_align64pow2((span >> GRANULE_SHIFT) + 2);
	j->holds_size = (size_t)j->nb_streams * j->nb_known * j->granules * sizeof(*j->holds);
	j->holds = mmap(NULL, j->holds_size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (j->holds == MAP_FAILED) {
		j->holds = NULL;
		return -errno;
	}
	return 0;
}

int
keep_init(struct sl_journal *j, const struct sl_journal_recovery *recovery,
	const struct sl_journal_segment *found, uint32_t nb_found)
{
	struct sl_journal_segment *sorted = calloc(nb_found + 1, sizeof(*sorted));
	int rc = 0;

	if (sorted == NULL)
		return -ENOMEM;
	if (nb_found > 0)
		memcpy(sorted, found, nb_found * sizeof(*sorted));
	qsort(sorted, nb_found, sizeof(*sorted), compare_found);
	for (uint32_t i = 0; rc == 0 && i < nb_found; i++)
		rc = add_found(j, &sorted[i]);
	free(sorted);
	for (uint32_t i = 0; i < j->nb_known; i++) {
		struct stream *s = &j->streams[i];

		s->previous_end = recovery->end[i];
		s->start = RTE_MAX(s->start, ceil_block(s->previous_end));
		/* What stood in the ring and in no file yet may be known elsewhere, too. */
		if (s->start > 0)
			s->start += j->params.ring_bytes;
	}
	return rc == 0 ? make_holds(j) : rc;
}

/* Also the files of those made ahead, when asked so; a name that was not made yet may be another's.
 */
static void
free_all(struct sl_journal *j, struct segments *segments, bool is_removed)
{
	struct segment *segment;

	while ((segment = TAILQ_FIRST(segments)) != NULL) {
		TAILQ_REMOVE(segments, segment, next);
		if (is_removed && j->posix != NULL && segment->is_made)
			posix_unlink(j->posix, segment->name);
		free(segment);
	}
}

void
keep_free(struct sl_journal *j)
{
	for (uint32_t i = 0; i < j->nb_known; i++) {
		free_all(j, &j->streams[i].segments, false);
		free_all(j, &j->streams[i].prepared, true);
	}
	free_all(j, &j->trash, true);
	if (j->holds != NULL)
		munmap(j->holds, j->holds_size);
}

static struct holds *
holds_of(struct sl_journal *j, uint32_t worker, sl_record_ref ref)
{
	uint64_t granule = sl_record_ref_position(ref) >> GRANULE_SHIFT;
	uint32_t stream = sl_record_ref_stream(ref);

	if (unlikely(worker >= j->nb_streams || stream >= j->nb_known))
		return NULL;
	return &j->holds[((size_t)worker * j->nb_known + stream) * j->granules +
		(granule & (j->granules - 1))];
}

void
sl_journal_hold(struct sl_journal *j, uint32_t worker, sl_record_ref ref)
{
	struct holds *holds = holds_of(j, worker, ref);
	struct worker *w;

	if (unlikely(holds == NULL))
		return;
	w = &j->workers[worker];
	/* One writer: a plain addition. Whoever sees the release has to see the hold before it. */
	atomic_store_explicit(&holds->held,
		atomic_load_explicit(&holds->held, memory_order_relaxed) + 1, memory_order_release);
	atomic_store_explicit(&w->held, atomic_load_explicit(&w->held, memory_order_relaxed) + 1,
		memory_order_relaxed);
}

void
sl_journal_release(struct sl_journal *j, uint32_t worker, sl_record_ref ref)
{
	struct holds *holds = holds_of(j, worker, ref);
	struct worker *w;

	if (unlikely(holds == NULL))
		return;
	w = &j->workers[worker];
	atomic_store_explicit(&holds->released,
		atomic_load_explicit(&holds->released, memory_order_relaxed) + 1,
		memory_order_release);
	atomic_store_explicit(&w->released,
		atomic_load_explicit(&w->released, memory_order_relaxed) + 1, memory_order_relaxed);
}

int
sl_journal_add_reader(struct sl_journal *j, const char *name, uint32_t *reader)
{
	uint32_t nb;
	int rc = -ENOSPC;

	pthread_mutex_lock(&j->lock);
	nb = atomic_load_explicit(&j->nb_readers, memory_order_relaxed);
	if (nb < SL_JOURNAL_READERS_MAX) {
		snprintf(j->readers[nb].name, sizeof(j->readers[nb].name), "reader %s", name);
		atomic_store_explicit(&j->nb_readers, nb + 1, memory_order_release);
		*reader = nb;
		rc = 0;
	}
	pthread_mutex_unlock(&j->lock);
	return rc;
}

void
sl_journal_set_needed(struct sl_journal *j, uint32_t reader, uint32_t stream, uint64_t position)
{
	if (reader < SL_JOURNAL_READERS_MAX && stream < SL_STREAMS_MAX)
		atomic_store_explicit(
			&j->readers[reader].needed[stream], position, memory_order_release);
}
