/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "walk.h"

#define BLOCK 4096u

int
window_init(struct window *window, size_t size)
{
	memset(window, 0, sizeof(*window));
	window->fd = -1;
	window->size = size;
	window->bytes = aligned_alloc(BLOCK, size);
	return window->bytes == NULL ? -ENOMEM : 0;
}

void
window_free(struct window *window)
{
	if (window->bytes == NULL)
		return;
	window_forget(window);
	free(window->bytes);
	window->bytes = NULL;
}

void
window_forget(struct window *window)
{
	if (window->fd >= 0)
		close(window->fd);
	window->fd = -1;
	window->len = 0;
}

static int
open_file(struct window *window, const struct segments *set, const struct segment *segment)
{
	if (window->fd >= 0 && window->inode == segment->inode)
		return 0;
	window_forget(window);
	window->fd = openat(set->directory, segment->found.name, O_RDONLY | O_CLOEXEC);
	if (window->fd < 0)
		return -errno;
	window->inode = segment->inode;
	posix_fadvise(window->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

/* Fill the window from the block that holds `offset` on, up to `end`. */
static int
fill(struct window *window, uint64_t offset, uint64_t end)
{
	uint64_t from = offset & ~(uint64_t)(BLOCK - 1);
	size_t want = end - from < window->size ? (size_t)(end - from) : window->size;
	ssize_t n;

	window->from = from;
	window->len = 0;
	while (window->len < want) {
		n = pread(window->fd, window->bytes + window->len, want - window->len,
			(off_t)(from + window->len));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		window->len += (size_t)n;
	}
	if (window->len == window->size)
		posix_fadvise(window->fd, (off_t)(from + window->len), (off_t)window->size,
			POSIX_FADV_WILLNEED);
	return 0;
}

static size_t
there_is(const struct window *window, uint64_t offset)
{
	if (offset < window->from || offset >= window->from + window->len)
		return 0;
	return window->len - (size_t)(offset - window->from);
}

static const struct sl_record *
at_offset(const struct window *window, uint64_t offset)
{
	return (const struct sl_record *)(window->bytes + (offset - window->from));
}

/* Is the record in the window, as far as its header can be believed? */
static bool
has_record(const struct window *window, uint64_t offset, uint64_t position)
{
	size_t have = there_is(window, offset);
	const struct sl_record *record;

	if (have < sizeof(*record))
		return false;
	record = at_offset(window, offset);
	return record->position != position || record->len > SL_RECORD_LEN_MAX ||
		record->len <= have;
}

int
window_record(struct window *window, const struct segments *set, const struct segment *segment,
	uint64_t position, uint64_t limit, const struct sl_record **record,
	enum sl_record_error *why)
{
	uint64_t end = limit < segment->to ? limit : segment->to;
	uint64_t offset = segment_offset(segment, position);
	size_t have;
	int rc;

	rc = open_file(window, set, segment);
	if (rc == 0 && !has_record(window, offset, position))
		rc = fill(window, offset, segment_offset(segment, end));
	if (rc != 0)
		return rc;
	have = there_is(window, offset);
	if (have > end - position)
		have = (size_t)(end - position);
	*record = at_offset(window, offset);
	*why = have < sizeof(**record) ? SL_RECORD_SHORT : sl_record_check(*record, have, position);
	if (*why == SL_RECORD_OK && (*record)->incarnation != segment->found.header.incarnation)
		*why = SL_RECORD_BAD_CONTENT;
	return *why == SL_RECORD_OK ? 0 : -EBADMSG;
}

ssize_t
window_peek(struct window *window, const struct segments *set, const struct segment *segment,
	uint64_t position, const uint8_t **bytes)
{
	uint64_t offset = segment_offset(segment, position);
	size_t have;
	int rc;

	rc = open_file(window, set, segment);
	if (rc == 0 && there_is(window, offset) == 0)
		rc = fill(window, offset, segment_offset(segment, segment->to));
	if (rc != 0)
		return rc;
	have = there_is(window, offset);
	*bytes = window->bytes + (offset - window->from);
	return have < segment->to - position ? (ssize_t)have : (ssize_t)(segment->to - position);
}

/* Where the record begins that the bytes at a position are of, as they say. */
static uint64_t
begin_of(const struct segment *segment, uint64_t position, const uint8_t *bytes)
{
	struct sl_record_subscriber subscriber;

	memcpy(&subscriber, bytes, sizeof(subscriber));
	/* No position is as large as the flags make this. */
	if ((subscriber.flags & SL_RECORD_SUBSCRIBER) == 0 ||
		subscriber.back > position - segment->found.header.first ||
		subscriber.back % SL_RECORD_ALIGN != 0)
		return position;
	return position - subscriber.back;
}

int
window_message(struct window *window, const struct segments *set, const struct segment *segment,
	uint64_t position, uint64_t limit, const struct sl_record_message **message)
{
	const struct sl_record *record;
	enum sl_record_error why;
	uint64_t offset = segment_offset(segment, position), begin;
	uint64_t end = limit < segment->to ? limit : segment->to;
	int rc;

	rc = open_file(window, set, segment);
	if (rc == 0 && there_is(window, offset) == 0)
		rc = fill(window, offset, segment_offset(segment, end));
	if (rc != 0)
		return rc;
	if (there_is(window, offset) < sizeof(struct sl_record_subscriber))
		return -EBADMSG;
	begin = begin_of(segment, position, window->bytes + (offset - window->from));
	rc = window_record(window, set, segment, begin, limit, &record, &why);
	if (rc != 0)
		return rc;
	*message = (const struct sl_record_message *)record;
	if (record->type != SL_RECORD_MESSAGE)
		return -EBADMSG;
	if (begin == position)
		return (*message)->nb_subscribers == 0 ? 0 : -EBADMSG;
	return sl_record_subscriber_at(*message, position) != UINT32_MAX ? 0 : -EBADMSG;
}
