/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segments.h"

int
segments_open(struct segments *set, const char *path)
{
	memset(set, 0, sizeof(*set));
	set->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (set->directory < 0)
		return -errno;
	set->path = strdup(path);
	if (set->path == NULL) {
		close(set->directory);
		return -ENOMEM;
	}
	return 0;
}

void
segments_close(struct segments *set)
{
	if (set->path == NULL)
		return;
	close(set->directory);
	free(set->path);
	free(set->all);
	free(set->runs);
	memset(set, 0, sizeof(*set));
}

static ssize_t
read_all(int fd, void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(fd, (uint8_t *)buf + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static void
take_mark(struct segment *segment, const uint8_t *block)
{
	static const struct sl_segment_mark none;

	segment->found.synced = journal_mark_read(block);
	segment->is_mark_bad = segment->found.synced == 0 &&
		memcmp(block + SL_SEGMENT_MARK_OFFSET, &none, sizeof(none)) != 0;
}

static void
take_header(struct segment *segment, const uint8_t *block, size_t len)
{
	const struct sl_segment_header *header = (const struct sl_segment_header *)block;

	segment->state = journal_header_check(block);
	/* The size of a file is durable before anything is written to it. */
	if (segment->state == JOURNAL_HEADER_OK &&
		(len < SL_SEGMENT_HEADER || header->stream != segment->name.stream ||
			header->base != segment->name.base))
		segment->state = JOURNAL_HEADER_BAD;
	segment->found.header = *header;
	if (segment->state != JOURNAL_HEADER_OK) {
		memset(&segment->found.header, 0, sizeof(segment->found.header));
		segment->found.header.stream = segment->name.stream;
		segment->found.header.base = segment->name.base;
		return;
	}
	take_mark(segment, block);
}

static int
read_segment(const struct segments *set, struct segment *segment)
{
	uint8_t block[SL_SEGMENT_HEADER] __attribute__((aligned(16))) = {0};
	struct stat st;
	ssize_t n;
	int fd, rc = 0;

	fd = openat(set->directory, segment->found.name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read_all(fd, block, sizeof(block), 0);
	if (n < 0)
		rc = (int)n;
	else if (fstat(fd, &st) != 0)
		rc = -errno;
	else
		segment->found.size = (uint64_t)st.st_size;
	if (rc == 0) {
		segment->inode = st.st_ino;
		take_header(segment, block, (size_t)n);
	}
	close(fd);
	return rc;
}

void
segments_read_mark(const struct segments *set, struct segment *segment)
{
	struct segment now = *segment;

	if (segment->state == JOURNAL_HEADER_OK && read_segment(set, &now) == 0 &&
		now.state == JOURNAL_HEADER_OK && now.inode == segment->inode) {
		segment->found.synced = now.found.synced;
		segment->is_mark_bad = now.is_mark_bad;
	}
}

bool
segments_is_gone(const struct segments *set, const struct segment *segment)
{
	struct segment now = *segment;
	int rc = read_segment(set, &now);

	return rc == -ENOENT ||
		(rc == 0 && (now.inode != segment->inode || now.state == JOURNAL_HEADER_EMPTY));
}

static const struct segment *
find_known(const struct segments *set, const char *name, ino_t inode)
{
	for (uint32_t i = 0; i < set->nb_all; i++) {
		if (set->all[i].inode == inode && strcmp(set->all[i].found.name, name) == 0)
			return &set->all[i];
	}
	return NULL;
}

static int
by_stream(const void *left, const void *right)
{
	const struct segment *a = left, *b = right;
	const struct sl_segment_header *x = &a->found.header, *y = &b->found.header;

	if (a->state != b->state)
		return a->state < b->state ? -1 : 1;
	if (x->stream != y->stream)
		return x->stream < y->stream ? -1 : 1;
	if (x->incarnation != y->incarnation)
		return x->incarnation < y->incarnation ? -1 : 1;
	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	if (x->base != y->base)
		return x->base < y->base ? -1 : 1;
	return strcmp(a->found.name, b->found.name);
}

static int
by_run(const void *left, const void *right)
{
	const struct run *a = left, *b = right;

	if (a->incarnation != b->incarnation)
		return a->incarnation < b->incarnation ? -1 : 1;
	return a->stream < b->stream ? -1 : a->stream > b->stream;
}

/* Each segment cuts off, at its previous_end, all that were begun before it in its stream. */
static void
cut_off(struct segments *set)
{
	uint64_t cut = UINT64_MAX;
	uint32_t i;

	for (i = set->nb_whole; i-- > 0;) {
		struct segment *segment = &set->all[i];
		const struct sl_segment_header *header = &segment->found.header;

		if (i + 1 == set->nb_whole || header->stream != set->all[i + 1].found.header.stream)
			cut = UINT64_MAX;
		segment->to = header->end < cut ? header->end : cut;
		if (header->previous_end < cut)
			cut = header->previous_end;
	}
}

/* Those of which nothing is left go behind the others, whose order stays. */
static int
set_apart(struct segments *set)
{
	struct segment *apart;
	uint32_t nb_apart = 0;

	if (set->nb_whole == 0)
		return 0;
	apart = malloc(set->nb_whole * sizeof(*apart));
	if (apart == NULL)
		return -ENOMEM;
	set->nb = 0;
	for (uint32_t i = 0; i < set->nb_whole; i++) {
		if (set->all[i].to > set->all[i].found.header.first)
			set->all[set->nb++] = set->all[i];
		else
			apart[nb_apart++] = set->all[i];
	}
	memcpy(&set->all[set->nb], apart, nb_apart * sizeof(*apart));
	free(apart);
	return 0;
}

static int
index_runs(struct segments *set)
{
	uint32_t stream = 0;

	set->runs = calloc(set->nb + 1, sizeof(set->runs[0]));
	if (set->runs == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < set->nb; i++) {
		const struct sl_segment_header *header = &set->all[i].found.header;
		struct run *run = set->nb_runs == 0 ? NULL : &set->runs[set->nb_runs - 1];

		while (stream <= header->stream)
			set->stream_first[stream++] = i;
		if (run == NULL || run->stream != header->stream ||
			run->incarnation != header->incarnation) {
			run = &set->runs[set->nb_runs++];
			*run = (struct run){header->incarnation, header->stream, i, 0};
		}
		run->nb++;
	}
	while (stream <= SL_STREAMS_MAX)
		set->stream_first[stream++] = set->nb;
	qsort(set->runs, set->nb_runs, sizeof(set->runs[0]), by_run);
	return 0;
}

static int
add_file(const struct segments *old, struct segments *set, const struct dirent *entry,
	uint32_t *room, bool with_marks)
{
	const struct segment *known;
	struct segment *segment;
	struct journal_name name;
	int rc;

	if (!journal_name_parse(entry->d_name, &name))
		return 0;
	if (set->nb_all == *room) {
		*room = *room == 0 ? 64 : *room * 2;
		segment = realloc(set->all, *room * sizeof(*segment));
		if (segment == NULL)
			return -ENOMEM;
		set->all = segment;
	}
	segment = &set->all[set->nb_all];
	memset(segment, 0, sizeof(*segment));
	segment->name = name;
	memcpy(segment->found.name, entry->d_name, strlen(entry->d_name) + 1);
	known = find_known(old, entry->d_name, entry->d_ino);
	if (known != NULL && known->state == JOURNAL_HEADER_OK && !with_marks) {
		*segment = *known;
	} else {
		rc = read_segment(set, segment);
		/* Deleted meanwhile. */
		if (rc == -ENOENT)
			return 0;
		if (rc != 0)
			return rc;
	}
	set->nb_all++;
	return 0;
}

static int
read_directory(const struct segments *old, struct segments *set, bool with_marks)
{
	struct dirent *entry;
	uint32_t room = 0;
	int fd, rc = 0;
	DIR *dir;

	fd = openat(set->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (dir == NULL) {
		rc = -errno;
		close(fd);
		return rc;
	}
	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (entry == NULL) {
			rc = -errno;
			break;
		}
		rc = add_file(old, set, entry, &room, with_marks);
		if (rc != 0)
			break;
	}
	closedir(dir);
	return rc;
}

int
segments_scan(struct segments *set, bool with_marks)
{
	struct segments now = {.directory = set->directory, .path = set->path};
	int rc;

	rc = read_directory(set, &now, with_marks);
	if (rc == 0 && now.nb_all > 0)
		qsort(now.all, now.nb_all, sizeof(now.all[0]), by_stream);
	while (rc == 0 && now.nb_whole < now.nb_all &&
		now.all[now.nb_whole].state == JOURNAL_HEADER_OK)
		now.nb_whole++;
	if (rc == 0) {
		cut_off(&now);
		rc = set_apart(&now);
	}
	if (rc == 0)
		rc = index_runs(&now);
	if (rc != 0) {
		free(now.all);
		free(now.runs);
		return rc;
	}
	free(set->all);
	free(set->runs);
	*set = now;
	return 0;
}

uint32_t
segments_find(const struct segments *set, uint32_t stream, uint64_t position)
{
	uint32_t low = set->stream_first[stream], high = set->stream_first[stream + 1];
	uint32_t end = high;

	if (set->nb == 0)
		return SEGMENT_NONE;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (set->all[middle].to > position)
			high = middle;
		else
			low = middle + 1;
	}
	return low < end ? low : SEGMENT_NONE;
}

uint32_t
segments_next_run(const struct segments *set, uint32_t at)
{
	const struct sl_segment_header *header = &set->all[at].found.header;
	uint32_t end = set->stream_first[header->stream + 1];

	for (uint32_t i = at + 1; i < end; i++) {
		if (set->all[i].found.header.incarnation != header->incarnation)
			return i;
	}
	return SEGMENT_NONE;
}
