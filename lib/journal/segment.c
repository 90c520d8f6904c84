/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "journal_internal.h"

#define CRC_OFFSET offsetof(struct sl_segment_header, stream)

void
journal_name_format(char text[JOURNAL_NAME_SIZE], const struct journal_name *name)
{
	snprintf(text, JOURNAL_NAME_SIZE, "%04" PRIx32 "-%012" PRIx64 "-%04" PRIx32 ".seg",
		name->stream, name->base, name->take);
}

bool
journal_name_parse(const char *text, struct journal_name *name)
{
	char again[JOURNAL_NAME_SIZE];

	if (sscanf(text, "%4" SCNx32 "-%14" SCNx64 "-%4" SCNx32 ".seg", &name->stream, &name->base,
		    &name->take) != 3)
		return false;
	journal_name_format(again, name);
	return strcmp(text, again) == 0 && name->stream < SL_STREAMS_MAX &&
		name->base % JOURNAL_BLOCK == 0 && name->base >> SL_RECORD_POSITION_BITS == 0;
}

static uint32_t
header_crc(const uint8_t *block)
{
	return sl_record_crc32c(0, block + CRC_OFFSET, SL_SEGMENT_MARK_OFFSET - CRC_OFFSET);
}

void
journal_header_seal(uint8_t block[SL_SEGMENT_HEADER])
{
	struct sl_segment_header *header = (struct sl_segment_header *)block;

	memcpy(header->magic, SL_SEGMENT_MAGIC, sizeof(header->magic));
	memset(header->reserved, 0, sizeof(header->reserved));
	memset(header + 1, 0, SL_SEGMENT_HEADER - sizeof(*header));
	header->crc = header_crc(block);
}

static bool
is_zero(const uint8_t *bytes, size_t len)
{
	return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

enum journal_header_state
journal_header_check(const uint8_t block[SL_SEGMENT_HEADER])
{
	const struct sl_segment_header *header = (const struct sl_segment_header *)block;
	size_t mark_end = SL_SEGMENT_MARK_OFFSET + sizeof(struct sl_segment_mark);

	if (is_zero(block, SL_SEGMENT_HEADER))
		return JOURNAL_HEADER_EMPTY;
	if (memcmp(header->magic, SL_SEGMENT_MAGIC, sizeof(header->magic)) != 0 ||
		header->crc != header_crc(block) ||
		!is_zero(block + mark_end, SL_SEGMENT_HEADER - mark_end))
		return JOURNAL_HEADER_BAD;
	if (header->stream >= SL_STREAMS_MAX || header->base % JOURNAL_BLOCK != 0 ||
		header->end % JOURNAL_BLOCK != 0 || header->end >> SL_RECORD_POSITION_BITS != 0 ||
		header->base > header->first || header->first - header->base >= JOURNAL_BLOCK ||
		header->first >= header->end || header->first % SL_RECORD_ALIGN != 0 ||
		header->previous_end > header->first || header->incarnation == 0)
		return JOURNAL_HEADER_BAD;
	return JOURNAL_HEADER_OK;
}

static uint32_t
mark_crc(const struct sl_segment_mark *mark)
{
	return sl_record_crc32c(0, &mark->stream, sizeof(*mark) - sizeof(mark->crc));
}

void
journal_mark_seal(uint8_t block[SL_SEGMENT_HEADER], uint32_t stream, uint64_t synced)
{
	struct sl_segment_mark *mark = (struct sl_segment_mark *)(block + SL_SEGMENT_MARK_OFFSET);

	mark->stream = stream;
	mark->synced = synced;
	mark->crc = mark_crc(mark);
}

uint64_t
journal_mark_read(const uint8_t block[SL_SEGMENT_HEADER])
{
	const struct sl_segment_header *header = (const struct sl_segment_header *)block;
	const struct sl_segment_mark *mark = (const struct sl_segment_mark *)(block +
		SL_SEGMENT_MARK_OFFSET);

	if (mark->crc != mark_crc(mark) || mark->stream != header->stream ||
		mark->synced > header->end)
		return 0;
	return mark->synced;
}

static int
take_lock(const char *directory, int how, const char *remedy, char *error, size_t error_len)
{
	char path[4096];
	int fd, rc;

	if (snprintf(path, sizeof(path), "%s/%s", directory, JOURNAL_LOCK_NAME) >=
		(int)sizeof(path)) {
		snprintf(error, error_len, "%s: the path is too long", directory);
		return -ENAMETOOLONG;
	}
	fd = open(path, (how == LOCK_EX ? O_RDWR : O_RDONLY) | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		rc = -errno;
		snprintf(error, error_len,
			"%s: cannot be opened: %s; the journal's directory has to be writable",
			path, strerror(-rc));
		return rc;
	}
	if (flock(fd, how | LOCK_NB) < 0) {
		rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
		if (rc == -EBUSY)
			snprintf(error, error_len, "%s: locked by another process; %s", path,
				remedy);
		else
			snprintf(error, error_len, "%s: cannot be locked: %s", path, strerror(-rc));
		close(fd);
		return rc;
	}
	return fd;
}

int
journal_lock(const char *directory, char *error, size_t error_len)
{
	return take_lock(directory, LOCK_EX,
		"stop the appliance (or the sluice-sink) that uses this directory, or give this "
		"one a journal.directory of its own",
		error, error_len);
}

int
sl_journal_rest(const char *directory, char *error, size_t error_len)
{
	int rc,
		fd = take_lock(directory, LOCK_SH,
			"its appliance runs and feeds its sinks itself; stop it first", error,
			error_len);

	if (fd < 0 || syncfs(fd) == 0)
		return fd;
	rc = -errno;
	snprintf(error, error_len, "%s: cannot be synced: %s", directory, strerror(-rc));
	close(fd);
	return rc;
}
