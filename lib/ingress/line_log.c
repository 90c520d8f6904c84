/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "line_log.h"
#include "line_store.h"

#define NAME_LEN  64
#define FULL	  (256u << 10)
#define COPY_MORE (64u << 10) /* Beside twice what is written. */
#define REMOVAL	  UINT32_MAX

/* In the order of the machine: a log does not travel. */
struct head {
	uint64_t hash; /* Of what is behind it. */
	uint64_t run;
	uint64_t number;
	uint32_t topic_len; /* REMOVAL: it is one. */
	uint32_t payload_len;
};

struct line_log {
	struct line_store *store;
	int directory;
	int fd; /* -1: it has failed. */
	uint64_t name;
	uint64_t slack;
	uint64_t first; /* Generation that is there. */
	uint64_t generation;
	uint64_t written; /* Bytes of this generation. */
	bool is_copying;  /* The one before is still needed, */
	uint64_t copy_to; /* for messages up to this number. */
	uint8_t *buffer;
	size_t len;
	size_t size;
	int failed;
};

static void
format_name(const struct line_log *log, uint64_t generation, char *text)
{
	snprintf(text, NAME_LEN, "standin-%016" PRIx64 "-%" PRIu64, log->name, generation);
}

/* Writing. */

static uint64_t
hash_of(const struct head *head, const void *topic, const void *payload)
{
	uint64_t hash = XXH3_64bits(
		(const uint8_t *)head + sizeof(head->hash), sizeof(*head) - sizeof(head->hash));

	if (head->topic_len == REMOVAL)
		return hash;
	hash = XXH3_64bits_withSeed(topic, head->topic_len, hash);
	return XXH3_64bits_withSeed(payload, head->payload_len, hash);
}

static uint8_t *
room_for(struct line_log *log, size_t len)
{
	size_t size = log->size;
	uint8_t *more;

	while (size - log->len < len)
		size = size == 0 ? FULL : 2 * size;
	if (size != log->size) {
		more = realloc(log->buffer, size);
		if (more == NULL) {
			log->failed = -ENOMEM;
			return NULL;
		}
		log->buffer = more;
		log->size = size;
	}
	log->len += len;
	return log->buffer + log->len - len;
}

void
line_log_add(struct line_log *log, const struct line_stored *message)
{
	struct head head = {.run = message->run,
		.number = message->number,
		.topic_len = (uint32_t)message->topic_len,
		.payload_len = (uint32_t)message->payload_len};
	uint8_t *to;

	if (log->failed != 0)
		return;
	to = room_for(log, sizeof(head) + message->topic_len + message->payload_len);
	if (to == NULL)
		return;
	head.hash = hash_of(&head, message->topic, message->payload);
	memcpy(to, &head, sizeof(head));
	memcpy(to + sizeof(head), message->topic, message->topic_len);
	memcpy(to + sizeof(head) + message->topic_len, message->payload, message->payload_len);
}

void
line_log_remove(struct line_log *log, uint64_t number)
{
	struct head head = {.number = number, .topic_len = REMOVAL};
	uint8_t *to;

	if (log->failed != 0)
		return;
	to = room_for(log, sizeof(head));
	if (to == NULL)
		return;
	head.hash = hash_of(&head, NULL, NULL);
	memcpy(to, &head, sizeof(head));
}

bool
line_log_is_full(const struct line_log *log)
{
	return log->len >= FULL;
}

static int
write_all(struct line_log *log)
{
	size_t done = 0;
	ssize_t n;

	while (done < log->len) {
		n = write(log->fd, log->buffer + done, log->len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	log->written += log->len;
	log->len = 0;
	/* So that little is left to wait for when the one before goes. */
	if (log->is_copying)
		sync_file_range(log->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return 0;
}

static int
begin_generation(struct line_log *log)
{
	char name[NAME_LEN];
	int fd;

	format_name(log, log->generation + 1, name);
	fd = openat(log->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (log->fd >= 0)
		close(log->fd);
	log->fd = fd;
	log->generation++;
	log->written = 0;
	log->is_copying = true;
	log->copy_to = line_store_number(log->store);
	line_store_rewind(log->store);
	return 0;
}

/* @return false: all that was in the store is in this generation, too */
static bool
copy_some(struct line_log *log)
{
	size_t max = 3 * log->len + COPY_MORE;
	struct line_stored message;

	while (log->failed == 0 && log->len < max) {
		if (!line_store_walk(log->store, log->copy_to, &message))
			return false;
		line_log_add(log, &message);
	}
	return true;
}

/* Those before are not needed when this one is on the disk. Removals are behind what they remove:
 * the oldest goes first. */
static int
end_copy(struct line_log *log)
{
	char name[NAME_LEN];

	if (fdatasync(log->fd) != 0)
		return -errno;
	for (; log->first < log->generation; log->first++) {
		format_name(log, log->first, name);
		if (unlinkat(log->directory, name, 0) != 0 && errno != ENOENT)
			return -errno;
	}
	log->is_copying = false;
	return 0;
}

static int
flush(struct line_log *log, bool is_whole)
{
	bool is_copied = false;
	int rc;

	if (!log->is_copying && is_whole &&
		log->written > 2 * line_store_bytes(log->store) + log->slack) {
		rc = begin_generation(log);
		if (rc != 0)
			return rc;
	}
	if (log->is_copying)
		is_copied = !copy_some(log) && is_whole;
	rc = log->failed != 0 ? log->failed : write_all(log);
	return rc == 0 && is_copied ? end_copy(log) : rc;
}

int
line_log_flush(struct line_log *log, bool is_whole)
{
	int rc;

	if (log->fd < 0 || (log->len == 0 && log->failed == 0))
		return 0;
	rc = flush(log, is_whole);
	if (rc == 0)
		return 0;
	log->failed = rc;
	close(log->fd);
	log->fd = -1;
	free(log->buffer);
	log->buffer = NULL;
	log->len = log->size = 0;
	return rc;
}

/* Reading. */

struct reading {
	struct line_stored *found; /* Without a topic: removed. */
	size_t nb;
	size_t size;
};

static int
note(struct reading *r, const struct line_stored *found)
{
	struct line_stored *more;

	if (r->nb == r->size) {
		r->size = r->size == 0 ? 1024 : 2 * r->size;
		more = realloc(r->found, r->size * sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		r->found = more;
	}
	r->found[r->nb++] = *found;
	return 0;
}

/* Up to its end, or to where it is torn. */
static int
read_records(struct reading *r, const uint8_t *data, size_t len)
{
	struct line_stored found;
	struct head head;
	size_t body;
	int rc = 0;

	while (rc == 0 && len >= sizeof(head)) {
		memcpy(&head, data, sizeof(head));
		body = head.topic_len == REMOVAL ? 0 : (size_t)head.topic_len + head.payload_len;
		if (body > len - sizeof(head))
			break;
		data += sizeof(head);
		if (hash_of(&head, data,
			    head.topic_len == REMOVAL ? NULL : data + head.topic_len) != head.hash)
			break;
		found = (struct line_stored){.run = head.run, .number = head.number};
		if (head.topic_len != REMOVAL) {
			found.topic = (const char *)data;
			found.topic_len = head.topic_len;
			found.payload = (const char *)data + head.topic_len;
			found.payload_len = head.payload_len;
		}
		rc = note(r, &found);
		data += body;
		len -= sizeof(head) + body;
	}
	return rc;
}

/* By number; that it was removed first. */
static int
compare(const void *a, const void *b)
{
	const struct line_stored *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return (x->topic != NULL) - (y->topic != NULL);
}

static void
restore(struct line_store *store, struct reading *r)
{
	const struct line_stored *f;

	if (r->nb > 0)
		qsort(r->found, r->nb, sizeof(r->found[0]), compare);
	for (size_t i = 0; i < r->nb; i++) {
		f = &r->found[i];
		/* The first of a number says it all. */
		if ((i > 0 && f[-1].number == f->number) || f->topic == NULL)
			continue;
		line_store_restore(store, f);
	}
	/* No number again that a log knows. */
	if (r->nb > 0)
		line_store_skip(store, r->found[r->nb - 1].number);
}

struct mapped {
	void *data;
	size_t len;
};

static int
map(const struct line_log *log, uint64_t generation, struct mapped *mapped)
{
	char name[NAME_LEN];
	struct stat st;
	int fd, rc = 0;

	*mapped = (struct mapped){0};
	format_name(log, generation, name);
	fd = openat(log->directory, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) != 0)
		rc = -errno;
	else if (st.st_size > 0) {
		mapped->data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (mapped->data == MAP_FAILED)
			rc = -errno;
		mapped->len = rc == 0 ? (size_t)st.st_size : 0;
	}
	close(fd);
	return rc;
}

/* The generations that are there: one, unless a copy was not done. */
static int
find_generations(struct line_log *log)
{
	char prefix[NAME_LEN], *end;
	struct dirent *entry;
	uint64_t generation;
	int fd = openat(log->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	size_t len;
	int rc = -errno;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return rc;
	}
	len = (size_t)snprintf(prefix, sizeof(prefix), "standin-%016" PRIx64 "-", log->name);
	while ((entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, prefix, len) != 0)
			continue;
		generation = strtoull(entry->d_name + len, &end, 10);
		if (*end != '\0' || generation == 0)
			continue;
		if (generation > log->generation)
			log->generation = generation;
		if (log->first == 0 || generation < log->first)
			log->first = generation;
	}
	closedir(dir);
	return 0;
}

/* Each is read, and no record copied, so that it stays where it lies. */
static int
load_from(struct line_log *log, uint64_t generation, struct reading *r)
{
	struct mapped mapped;
	int rc;

	if (generation == 0 || generation > log->generation) {
		restore(log->store, r);
		return 0;
	}
	rc = map(log, generation, &mapped);
	if (rc == 0)
		rc = read_records(r, mapped.data, mapped.len);
	if (rc == 0)
		rc = load_from(log, generation + 1, r);
	if (mapped.len > 0)
		munmap(mapped.data, mapped.len);
	return rc;
}

/* All that is needed in a generation of its own, and the others away. */
static int
rewrite(struct line_log *log)
{
	char name[NAME_LEN];
	int rc = begin_generation(log);

	if (rc != 0)
		return rc;
	if (log->first == 0)
		log->first = log->generation;
	while (rc == 0 && log->failed == 0 && copy_some(log))
		rc = write_all(log);
	if (rc == 0)
		rc = log->failed != 0 ? log->failed : write_all(log);
	if (rc == 0)
		return end_copy(log);
	format_name(log, log->generation, name);
	unlinkat(log->directory, name, 0);
	return rc;
}

int
line_log_open(const char *directory, uint64_t name, uint64_t slack, struct line_store *store,
	struct line_log **out, char *error, size_t error_len)
{
	struct line_log *log = calloc(1, sizeof(*log));
	struct reading r = {0};
	int rc;

	if (log == NULL)
		return -ENOMEM;
	log->store = store;
	log->name = name;
	log->slack = slack;
	log->fd = -1;
	log->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = log->directory < 0 ? -errno : find_generations(log);
	if (rc == 0)
		rc = load_from(log, log->first, &r);
	free(r.found);
	if (rc == 0)
		rc = rewrite(log);
	if (rc == 0) {
		*out = log;
		return 0;
	}
	snprintf(error, error_len, "%s/standin-%016" PRIx64 "-*: %s", directory, name,
		strerror(-rc));
	line_log_close(log);
	return rc;
}

void
line_log_close(struct line_log *log)
{
	if (log == NULL)
		return;
	if (log->fd >= 0)
		close(log->fd);
	if (log->directory >= 0)
		close(log->directory);
	free(log->buffer);
	free(log);
}
