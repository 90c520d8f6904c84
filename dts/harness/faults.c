/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * A disk that fails, for LD_PRELOAD: of files below $SLUICE_FAULTS_DIRECTORY writes fail with EIO
 * as long as there is $SLUICE_FAULTS/write; as long as there is $SLUICE_FAULTS/sync they seem to
 * work and are lost, and syncs fail. As in the kernel, a sync behind a lost write fails once:
 * whoever tries again is told that all is well. Reads behind the header of a file fail with EIO as
 * long as there is $SLUICE_FAULTS/read-NAME, and each takes 20 ms while there is
 * $SLUICE_FAULTS/slow; each sync takes 50 ms while there is $SLUICE_FAULTS/slow-sync, and waits as
 * long as there is $SLUICE_FAULTS/hold-sync.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NB_FILES 65536
#define HEADER	 4096
#define SLOW_US	 20000

static atomic_bool is_lost[NB_FILES]; /* By descriptor: something that was written. */

static bool
is_on(const char *fault)
{
	const char *directory = getenv("SLUICE_FAULTS");
	char path[PATH_MAX];

	if (directory == NULL)
		return false;
	snprintf(path, sizeof(path), "%s/%s", directory, fault);
	return access(path, F_OK) == 0;
}

/* @path is that of a file that is concerned. */
static bool
find_path(int fd, char path[PATH_MAX])
{
	const char *directory = getenv("SLUICE_FAULTS_DIRECTORY");
	char link[64];
	ssize_t len;

	if (directory == NULL || fd < 0 || fd >= NB_FILES)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, PATH_MAX - 1);
	if (len <= 0)
		return false;
	path[len] = '\0';
	return strncmp(path, directory, strlen(directory)) == 0;
}

static bool
is_concerned(int fd)
{
	char path[PATH_MAX];

	return find_path(fd, path);
}

static ssize_t
read_at(const char *name, int fd, void *data, size_t len, off64_t offset)
{
	ssize_t (*real)(int, void *, size_t, off64_t) = dlsym(RTLD_NEXT, name);
	char path[PATH_MAX], fault[NAME_MAX + 8];

	if (offset < HEADER || !find_path(fd, path))
		return real(fd, data, len, offset);
	if (is_on("slow"))
		usleep(SLOW_US);
	snprintf(fault, sizeof(fault), "read-%.*s", NAME_MAX, strrchr(path, '/') + 1);
	if (is_on(fault)) {
		errno = EIO;
		return -1;
	}
	return real(fd, data, len, offset);
}

ssize_t
pread(int fd, void *data, size_t len, off_t offset)
{
	return read_at("pread", fd, data, len, offset);
}

ssize_t
pread64(int fd, void *data, size_t len, off64_t offset)
{
	return read_at("pread64", fd, data, len, offset);
}

static ssize_t
write_at(const char *name, int fd, const void *data, size_t len, off64_t offset)
{
	ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, name);

	if (is_concerned(fd) && is_on("write")) {
		errno = EIO;
		return -1;
	}
	if (is_concerned(fd) && is_on("sync")) {
		is_lost[fd] = true;
		return (ssize_t)len;
	}
	return real(fd, data, len, offset);
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t offset)
{
	return write_at("pwrite", fd, data, len, offset);
}

ssize_t
pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
	return write_at("pwrite64", fd, data, len, offset);
}

static int
sync_file(const char *name, int fd)
{
	int (*real)(int) = dlsym(RTLD_NEXT, name);

	if (is_concerned(fd) && is_on("slow-sync"))
		usleep(50000);
	while (is_concerned(fd) && is_on("hold-sync"))
		usleep(1000);
	if (is_concerned(fd) && (atomic_exchange(&is_lost[fd], false) || is_on("sync"))) {
		errno = EIO;
		return -1;
	}
	return real(fd);
}

int
fdatasync(int fd)
{
	return sync_file("fdatasync", fd);
}

int
fsync(int fd)
{
	return sync_file("fsync", fd);
}
