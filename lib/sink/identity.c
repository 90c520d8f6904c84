/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * A position names a record of one journal. When somebody removes the journal and the next one
 * begins at 0 again, the database must not take it for the old one: the id goes with the directory.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "sink_internal.h"

#define ID_FILE "journal-id"

static int
write_durable(int dir, const char *name, const char *text, size_t len)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len)
		rc = errno != 0 ? -errno : -EIO;
	else if (fsync(fd) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* By way of another name, so that whoever comes at the same time sees a whole id or none. */
static int
make(int dir)
{
	uint8_t bytes[JOURNAL_ID_LEN / 2];
	char text[JOURNAL_ID_LEN + 2], name[64];
	int rc;

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -EIO;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	text[JOURNAL_ID_LEN] = '\n';
	snprintf(name, sizeof(name), ID_FILE ".%ld.%02x%02x", (long)getpid(), bytes[0], bytes[1]);
	rc = write_durable(dir, name, text, JOURNAL_ID_LEN + 1);
	if (rc == 0 && linkat(dir, name, dir, ID_FILE, 0) < 0 && errno != EEXIST)
		rc = -errno;
	unlinkat(dir, name, 0);
	if (rc == 0 && fsync(dir) < 0)
		rc = -errno;
	return rc;
}

static int
read_id(int dir, char id[JOURNAL_ID_LEN + 1])
{
	int fd = openat(dir, ID_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, id, JOURNAL_ID_LEN);
	close(fd);
	if (n < 0)
		return -errno;
	id[n] = '\0';
	return n == JOURNAL_ID_LEN && strspn(id, "0123456789abcdef") == JOURNAL_ID_LEN ? 0
										       : -EBADMSG;
}

int
identity_get(const char *directory, char id[JOURNAL_ID_LEN + 1], char *error, size_t error_len)
{
	int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (dir < 0) {
		rc = -errno;
		snprintf(error, error_len, "%s: %s", directory, strerror(-rc));
		return rc;
	}
	rc = read_id(dir, id);
	if (rc == -ENOENT) {
		rc = make(dir);
		if (rc == 0)
			rc = read_id(dir, id);
	}
	close(dir);
	if (rc == -EBADMSG)
		snprintf(error, error_len,
			"%s/" ID_FILE ": is not %d hexadecimal digits; restore it, or remove it: "
			"what the journal holds is then written to the databases once more",
			directory, JOURNAL_ID_LEN);
	else if (rc < 0)
		snprintf(error, error_len, "%s/" ID_FILE ": %s", directory, strerror(-rc));
	return rc;
}
