/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * The journal's disk: files in a directory. A thread of its own makes and removes them, so that the
 * journal's thread only ever writes and syncs.
 *
 * A new file is filled with zeros. Into extents that are only allocated, every batch makes the file
 * system commit its own journal: on ext4 over a virtual disk, batches of 64 KiB are written and
 * synced at 6,200 a second into such a file, at 10,300 into one that was filled (O_DIRECT; through
 * the page cache 5,200 and 9,100, and batches of 4 MiB at an eighth of that of O_DIRECT).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>

#include "writer.h"

#define FILL_PIECE (UINT64_C(256) << 10)

enum job { JOB_MAKE, JOB_REUSE, JOB_REMOVE };

/* A file that is open, or that there is a job for. */
struct file {
	TAILQ_ENTRY(file) next;
	char name[JOURNAL_NAME_SIZE];
	char old_name[JOURNAL_NAME_SIZE]; /* JOB_REUSE */
	uint64_t size;			  /* JOB_MAKE */
	int fd;				  /* -1: none. */
	int rc;				  /* Of the job; -EAGAIN: it is not done. */
	enum job job;
	bool is_queued;
};

TAILQ_HEAD(files, file);

struct posix_disk {
	char *directory;
	int dir;
	int lock;
	int direct;	   /* O_DIRECT or 0. */
	struct files open; /* The journal thread's; those in use last come first. */

	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	struct files jobs; /* Under the mutex, and what is in them. */
	bool is_stopping;  /* The same. */
	bool is_started;
	uint8_t *zeros;

	struct sl_hist sync_ns; /* The journal thread's; others read it. */
	_Atomic uint64_t sync_ns_max;
};

static bool
is_stopping(struct posix_disk *disk)
{
	bool is_it;

	pthread_mutex_lock(&disk->mutex);
	is_it = disk->is_stopping;
	pthread_mutex_unlock(&disk->mutex);
	return is_it;
}

static int
fill(struct posix_disk *disk, int fd, uint64_t size)
{
	uint64_t at = 0;
	ssize_t n;

	if (fallocate(fd, 0, 0, (off_t)size) < 0 && errno != EOPNOTSUPP)
		return -errno;
	while (at < size) {
		if (is_stopping(disk))
			return -ECANCELED;
		n = pwrite(fd, disk->zeros, RTE_MIN(FILL_PIECE, size - at), (off_t)at);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			at += (uint64_t)n;
	}
	if (fsync(fd) < 0 || fsync(disk->dir) < 0)
		return -errno;
	return 0;
}

static int
make(struct posix_disk *disk, const char *name, uint64_t size, int *fd)
{
	int rc;

	*fd = openat(disk->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | disk->direct, 0640);
	if (*fd < 0)
		return -errno;
	rc = fill(disk, *fd, size);
	if (rc < 0) {
		close(*fd);
		*fd = -1;
		unlinkat(disk->dir, name, 0);
	}
	return rc;
}

/* From here on the file holds nothing. Returns it open, or -errno. */
static int
wipe(struct posix_disk *disk, const char *name)
{
	int rc, fd = openat(disk->dir, name, O_RDWR | O_CLOEXEC | disk->direct);

	if (fd < 0)
		return -errno;
	if (pwrite(fd, disk->zeros, SL_SEGMENT_HEADER, 0) == SL_SEGMENT_HEADER &&
		fdatasync(fd) == 0)
		return fd;
	rc = errno != 0 ? -errno : -EIO;
	close(fd);
	return rc;
}

static int
reuse(struct posix_disk *disk, const char *old, const char *name, int *fd)
{
	int rc;

	if (fsync(disk->dir) != 0)
		return -errno;
	*fd = wipe(disk, old);
	if (*fd < 0)
		return *fd;
	if (renameat2(disk->dir, old, disk->dir, name, RENAME_NOREPLACE) == 0 &&
		fsync(disk->dir) == 0)
		return 0;
	rc = -errno;
	close(*fd);
	*fd = -1;
	return rc;
}

static int
do_job(struct posix_disk *disk, const struct file *job, int *fd)
{
	switch (job->job) {
	case JOB_MAKE:
		return make(disk, job->name, job->size, fd);
	case JOB_REUSE:
		return reuse(disk, job->old_name, job->name, fd);
	case JOB_REMOVE:
		return unlinkat(disk->dir, job->name, 0) < 0 ? -errno : 0;
	}
	return -EINVAL;
}

/* What somebody may wait for comes before what nobody does. */
static struct file *
next_job(struct posix_disk *disk)
{
	struct file *job, *removal = NULL;

	TAILQ_FOREACH (job, &disk->jobs, next) {
		if (job->is_queued && job->job != JOB_REMOVE)
			return job;
		if (job->is_queued && removal == NULL)
			removal = job;
	}
	return removal;
}

static void *
work(void *arg)
{
	struct posix_disk *disk = arg;
	struct file *job;
	int rc, fd;

	pthread_mutex_lock(&disk->mutex);
	while (!disk->is_stopping) {
		job = next_job(disk);
		if (job == NULL) {
			pthread_cond_wait(&disk->cond, &disk->mutex);
			continue;
		}
		job->is_queued = false;
		pthread_mutex_unlock(&disk->mutex);
		fd = -1;
		rc = do_job(disk, job, &fd);
		pthread_mutex_lock(&disk->mutex);
		job->fd = fd;
		job->rc = rc;
	}
	pthread_mutex_unlock(&disk->mutex);
	return NULL;
}

/* Have a job done, or take what became of it: then it is the caller's to free. */
static int
ask(struct posix_disk *disk, const struct file *wanted, struct file **done)
{
	struct file *job;
	int rc = -EAGAIN;

	pthread_mutex_lock(&disk->mutex);
	TAILQ_FOREACH (job, &disk->jobs, next)
		if (job->job == wanted->job && strcmp(job->name, wanted->name) == 0)
			break;
	if (job == NULL) {
		job = malloc(sizeof(*job));
		if (job != NULL) {
			*job = *wanted;
			job->fd = -1;
			job->rc = -EAGAIN;
			job->is_queued = true;
			TAILQ_INSERT_TAIL(&disk->jobs, job, next);
			pthread_cond_signal(&disk->cond);
		} else {
			rc = -ENOMEM;
		}
	} else if (job->rc != -EAGAIN) {
		TAILQ_REMOVE(&disk->jobs, job, next);
		rc = job->rc;
		*done = job;
	}
	pthread_mutex_unlock(&disk->mutex);
	return rc;
}

/* A file that was made is open from now on. */
static int
ask_for_file(struct posix_disk *disk, const struct file *wanted)
{
	struct file *file = NULL;
	int rc = ask(disk, wanted, &file);

	if (rc == 0)
		TAILQ_INSERT_TAIL(&disk->open, file, next);
	else
		free(file);
	return rc;
}

static int
disk_create(void *arg, const char *name, uint64_t size)
{
	struct file wanted = {.job = JOB_MAKE, .size = size};

	snprintf(wanted.name, sizeof(wanted.name), "%s", name);
	return ask_for_file(arg, &wanted);
}

static int
disk_reuse(void *arg, const char *old, const char *name)
{
	struct file wanted = {.job = JOB_REUSE};

	snprintf(wanted.old_name, sizeof(wanted.old_name), "%s", old);
	snprintf(wanted.name, sizeof(wanted.name), "%s", name);
	return ask_for_file(arg, &wanted);
}

static int
disk_remove(void *arg, const char *name)
{
	struct file wanted = {.job = JOB_REMOVE}, *done = NULL;
	int rc;

	snprintf(wanted.name, sizeof(wanted.name), "%s", name);
	rc = ask(arg, &wanted, &done);
	free(done);
	return rc;
}

/* The one used last comes first: a file is written, then synced. */
static struct file *
find(struct posix_disk *disk, const char *name)
{
	struct file *file;

	TAILQ_FOREACH (file, &disk->open, next) {
		if (strcmp(file->name, name) != 0)
			continue;
		if (file != TAILQ_FIRST(&disk->open)) {
			TAILQ_REMOVE(&disk->open, file, next);
			TAILQ_INSERT_HEAD(&disk->open, file, next);
		}
		return file;
	}
	return NULL;
}

static int
disk_write(void *arg, const char *name, uint64_t offset, const void *data, size_t len)
{
	struct file *file = find(arg, name);
	const uint8_t *p = data;
	ssize_t n;

	if (file == NULL)
		return -EBADF;
	while (len > 0) {
		n = pwrite(file->fd, p, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		/* Less than was asked for: the rest cannot be written in whole blocks. */
		if (n == 0 || ((size_t)n < len && n % JOURNAL_BLOCK != 0))
			return -EIO;
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static uint64_t
clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static int
disk_sync(void *arg, const char *name)
{
	struct posix_disk *disk = arg;
	struct file *file = find(disk, name);
	uint64_t start_ns = clock_ns(), ns;

	if (file == NULL)
		return -EBADF;
	if (fdatasync(file->fd) < 0)
		return -errno;
	ns = clock_ns() - start_ns;
	sl_hist_add(&disk->sync_ns, ns);
	if (ns > atomic_load_explicit(&disk->sync_ns_max, memory_order_relaxed))
		atomic_store_explicit(&disk->sync_ns_max, ns, memory_order_relaxed);
	return 0;
}

static int
disk_close(void *arg, const char *name)
{
	struct posix_disk *disk = arg;
	struct file *file = find(disk, name);

	if (file == NULL)
		return -EBADF;
	TAILQ_REMOVE(&disk->open, file, next);
	close(file->fd);
	free(file);
	return 0;
}

void
posix_sync_times(struct posix_disk *disk, struct sl_hist *ns, uint64_t *max_ns)
{
	*ns = disk->sync_ns;
	*max_ns = atomic_exchange_explicit(&disk->sync_ns_max, 0, memory_order_relaxed);
}

void
posix_unlink(struct posix_disk *disk, const char *name)
{
	unlinkat(disk->dir, name, 0);
}

/* What the directory's file system makes of O_DIRECT. */
static void
probe_direct(struct posix_disk *disk, const char *directory, char *notice, size_t notice_len)
{
	int fd = openat(disk->dir, JOURNAL_LOCK_NAME, O_RDWR | O_CLOEXEC | O_DIRECT);

	if (fd >= 0) {
		disk->direct = O_DIRECT;
		close(fd);
		return;
	}
	snprintf(notice, notice_len,
		"%s: its file system does not do direct IO (%s): the journal is written through the "
		"page cache",
		directory, strerror(errno));
}

static int
open_directory(struct posix_disk *disk, const char *directory, char *error, size_t error_len)
{
	int rc;

	disk->directory = strdup(directory);
	if (disk->directory == NULL)
		return -ENOMEM;
	if (mkdir(directory, 0750) < 0 && errno != EEXIST) {
		rc = -errno;
		snprintf(error, error_len,
			"%s: cannot be made: %s; make it, or set journal.directory to another",
			directory, strerror(-rc));
		return rc;
	}
	disk->dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (disk->dir < 0) {
		rc = -errno;
		snprintf(error, error_len, "%s: cannot be opened: %s; see journal.directory",
			directory, strerror(-rc));
		return rc;
	}
	disk->lock = journal_lock(directory, error, error_len);
	return disk->lock < 0 ? disk->lock : 0;
}

static int
start(struct posix_disk *disk)
{
	sigset_t all, before;
	int rc;

	disk->zeros = mmap(NULL, FILL_PIECE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (disk->zeros == MAP_FAILED) {
		disk->zeros = NULL;
		return -errno;
	}
	/* Signals are for the main thread's loop. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = -pthread_create(&disk->thread, NULL, work, disk);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc < 0)
		return rc;
	pthread_setname_np(disk->thread, "sl-journal-disk");
	disk->is_started = true;
	return 0;
}

int
posix_open(const char *directory, bool is_direct, struct posix_disk **out,
	struct sl_journal_disk *ops, char *notice, size_t notice_len, char *error, size_t error_len)
{
	struct posix_disk *disk = calloc(1, sizeof(*disk));
	int rc;

	if (disk == NULL)
		return -ENOMEM;
	disk->dir = -1;
	disk->lock = -1;
	TAILQ_INIT(&disk->open);
	TAILQ_INIT(&disk->jobs);
	pthread_mutex_init(&disk->mutex, NULL);
	pthread_cond_init(&disk->cond, NULL);
	rc = open_directory(disk, directory, error, error_len);
	if (rc == 0 && is_direct)
		probe_direct(disk, directory, notice, notice_len);
	if (rc == 0) {
		rc = start(disk);
		if (rc < 0)
			snprintf(error, error_len, "%s: no thread for it: %s", directory,
				strerror(-rc));
	}
	if (rc < 0) {
		posix_close(disk);
		return rc;
	}
	*ops = (struct sl_journal_disk){
		.create = disk_create,
		.write = disk_write,
		.sync = disk_sync,
		.close = disk_close,
		.remove = disk_remove,
		.reuse = disk_reuse,
		.arg = disk,
	};
	*out = disk;
	return 0;
}

static void
close_files(struct posix_disk *disk, struct files *files)
{
	struct file *file;

	while ((file = TAILQ_FIRST(files)) != NULL) {
		TAILQ_REMOVE(files, file, next);
		if (file->fd >= 0)
			close(file->fd);
		/* Made, and nobody came for it any more. One that is not ours stays. */
		if (files == &disk->jobs && file->fd >= 0)
			posix_unlink(disk, file->name);
		free(file);
	}
}

void
posix_close(struct posix_disk *disk)
{
	if (disk->is_started) {
		pthread_mutex_lock(&disk->mutex);
		disk->is_stopping = true;
		pthread_cond_signal(&disk->cond);
		pthread_mutex_unlock(&disk->mutex);
		pthread_join(disk->thread, NULL);
	}
	close_files(disk, &disk->open);
	close_files(disk, &disk->jobs);
	if (disk->zeros != NULL)
		munmap(disk->zeros, FILL_PIECE);
	free(disk->directory);
	if (disk->dir >= 0)
		close(disk->dir);
	if (disk->lock >= 0)
		close(disk->lock);
	pthread_mutex_destroy(&disk->mutex);
	pthread_cond_destroy(&disk->cond);
	free(disk);
}

/* Look at a segment's header. */
static int
read_found(struct posix_disk *disk, struct sl_journal_segment *found, char *error, size_t error_len)
{
	uint8_t block[SL_SEGMENT_HEADER] __rte_aligned(JOURNAL_BLOCK) = {0};
	char bad[sizeof(found->name) + 8];
	struct stat stat;
	ssize_t n = 0;
	int fd = openat(disk->dir, found->name, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &stat) < 0 || (n = pread(fd, block, sizeof(block), 0)) < 0) {
		int rc = -errno;

		snprintf(error, error_len, "%s/%s: cannot be read: %s", disk->directory,
			found->name, strerror(-rc));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	close(fd);
	found->size = (uint64_t)stat.st_size;
	if (n < (ssize_t)sizeof(block))
		return 0;
	switch (journal_header_check(block)) {
	case JOURNAL_HEADER_OK:
		memcpy(&found->header, block, sizeof(found->header));
		found->synced = journal_mark_read(block);
		break;
	case JOURNAL_HEADER_EMPTY:
		break;
	case JOURNAL_HEADER_BAD:
		/* Recovery has found that nothing in it counts; it is kept for who wants to look.
		 */
		snprintf(bad, sizeof(bad), "%s.bad", found->name);
		if (renameat(disk->dir, found->name, disk->dir, bad) < 0)
			return -errno;
		break;
	}
	return 0;
}

int
posix_find(struct posix_disk *disk, struct sl_journal_segment **out, uint32_t *nb_out, char *error,
	size_t error_len)
{
	struct sl_journal_segment *found = NULL, *more;
	struct journal_name name;
	struct dirent *entry;
	uint32_t nb = 0;
	int rc = 0, fd = openat(disk->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (dir == NULL) {
		rc = -errno;
		snprintf(
			error, error_len, "%s: cannot be read: %s", disk->directory, strerror(-rc));
		return rc;
	}
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		if (!journal_name_parse(entry->d_name, &name))
			continue;
		if (nb % 64 == 0) {
			more = realloc(found, (nb + 64) * sizeof(*found));
			if (more == NULL) {
				rc = -ENOMEM;
				break;
			}
			found = more;
		}
		memset(&found[nb], 0, sizeof(found[nb]));
		journal_name_format(found[nb].name, &name);
		rc = read_found(disk, &found[nb++], error, error_len);
	}
	closedir(dir);
	if (rc < 0) {
		free(found);
		return rc;
	}
	*out = found;
	*nb_out = nb;
	return 0;
}
