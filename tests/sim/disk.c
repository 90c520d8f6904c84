/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * A disk that keeps what was synced, and nothing else for certain. What was written and not synced
 * is in the page cache: the end of the process leaves it there, that of the machine leaves sectors
 * of it, some of them torn or with a bit turned over. After a sync that failed the cache counts as
 * clean, but the disk has what it had (R. Rebello et al., "Can applications recover from fsync
 * failures?", 2020). Names that were removed may come back, the last ones first.
 */
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include <rte_common.h>

#include "sim.h"

#define SECTOR	  512u
#define FILES_MAX 512u

struct file {
	char name[48];
	uint64_t size;
	uint8_t *cache;
	uint8_t *durable;
	uint8_t *is_dirty;   /* A byte a sector. */
	uint64_t removed_at; /* How many were removed before it, and one; 0: it is there. */
	bool is_pending;     /* It is being made. */
};

struct disk {
	struct sl_journal_disk ops;
	struct file files[FILES_MAX];
	uint32_t nb;
	uint64_t nb_removed;
	uint64_t full_until_ns;
	uint64_t doom; /* Operations until it dies; 0: it does not. */
	bool is_dead;
};

static struct file *
find(struct disk *d, const char *name)
{
	for (uint32_t i = 0; i < d->nb; i++) {
		if (d->files[i].removed_at == 0 && strcmp(d->files[i].name, name) == 0)
			return &d->files[i];
	}
	return NULL;
}

static void
free_file(struct disk *d, struct file *f)
{
	free(f->cache);
	free(f->durable);
	free(f->is_dirty);
	*f = d->files[--d->nb];
}

/* The machine stops: at the begin of this operation, or in the middle of it. */
static bool
dies(struct disk *d)
{
	if (d->doom != 0 && --d->doom == 0)
		d->is_dead = true;
	return d->is_dead;
}

/* What was removed before does not come back any more. */
static void
bury(struct disk *d)
{
	for (uint32_t i = 0; i < d->nb;) {
		if (d->files[i].removed_at != 0)
			free_file(d, &d->files[i]);
		else
			i++;
	}
	d->nb_removed = 0;
}

static int
do_create(void *arg, const char *name, uint64_t size)
{
	struct sim *sim = arg;
	struct disk *d = sim->disk;
	struct file *f = find(d, name);

	if (dies(d))
		return -EIO;
	if (chance(sim, sim->faults.full_per_million, 1000000))
		d->full_until_ns = sim->now + below(sim, S);
	if (sim->now < d->full_until_ns) {
		/* What is kept only to know duplicates by after a restart gives way. */
		ledger_history_lost(sim);
		return -ENOSPC;
	}
	if (f != NULL && !f->is_pending)
		return -EEXIST;
	if (f == NULL) {
		if (d->nb == FILES_MAX)
			return -ENOSPC;
		f = &d->files[d->nb++];
		memset(f, 0, sizeof(*f));
		snprintf(f->name, sizeof(f->name), "%s", name);
		f->size = size;
		f->cache = sim_zalloc(size);
		f->durable = sim_zalloc(size);
		f->is_dirty = sim_zalloc(size / SECTOR);
		f->is_pending = true;
	}
	if (chance(sim, 300, 1000))
		return -EAGAIN;
	f->is_pending = false;
	/* Its name is durable because the directory was synced. */
	bury(d);
	return 0;
}

static int
do_write(void *arg, const char *name, uint64_t offset, const void *data, size_t len)
{
	struct sim *sim = arg;
	struct disk *d = sim->disk;
	struct file *f = find(d, name);
	bool is_dead = dies(d);
	int rc = is_dead ? -EIO : 0;

	if (f == NULL || f->is_pending || offset + len > f->size || (offset | len) % 4096 != 0) {
		sim_fail(sim, "the journal writes where it may not: %s, %zu bytes at %" PRIu64,
			name, len, offset);
		return -EINVAL;
	}
	if (chance(sim, sim->faults.write_error_per_million, 1000000))
		rc = -EIO;
	if (rc != 0)
		len = below(sim, len / SECTOR + 1) * SECTOR;
	memcpy(f->cache + offset, data, len);
	memset(f->is_dirty + offset / SECTOR, 1, len / SECTOR);
	return rc;
}

static int
do_sync(void *arg, const char *name)
{
	struct sim *sim = arg;
	struct disk *d = sim->disk;
	struct file *f = find(d, name);
	bool is_dead = dies(d), is_failed;

	if (f == NULL) {
		sim_fail(sim, "the journal syncs what is not there: %s", name);
		return -EINVAL;
	}
	is_failed = is_dead || chance(sim, sim->faults.sync_error_per_million, 1000000);
	for (uint64_t i = 0; i < f->size / SECTOR; i++) {
		if (!f->is_dirty[i] || (is_failed && below(sim, 2) == 0))
			continue;
		memcpy(f->durable + i * SECTOR, f->cache + i * SECTOR, SECTOR);
		f->is_dirty[i] = 0;
	}
	if (is_failed && !is_dead)
		memset(f->is_dirty, 0, f->size / SECTOR);
	return is_failed ? -EIO : 0;
}

static int
do_close(void *arg, const char *name)
{
	struct sim *sim = arg;

	if (find(sim->disk, name) == NULL)
		sim_fail(sim, "the journal closes what is not there: %s", name);
	return dies(sim->disk) ? -EIO : 0;
}

static int
do_remove(void *arg, const char *name)
{
	struct sim *sim = arg;
	struct file *f = find(sim->disk, name);

	if (dies(sim->disk))
		return -EIO;
	if (f == NULL)
		return -ENOENT;
	if (chance(sim, 300, 1000))
		return -EAGAIN;
	if (chance(sim, sim->faults.write_error_per_million, 1000000))
		return -EIO;
	f->removed_at = ++sim->disk->nb_removed;
	if (sim->is_history_short)
		ledger_history_lost(sim);
	return 0;
}

/* The header first, then the name. What is behind the header is as old as it was. */
static int
do_reuse(void *arg, const char *old, const char *name)
{
	struct sim *sim = arg;
	struct disk *d = sim->disk;
	struct file *f;
	bool is_dead = dies(d);

	if (is_dead && below(sim, 2) == 0)
		return -EIO;
	bury(d);
	f = find(d, old);
	if (f == NULL)
		return -ENOENT;
	if (find(d, name) != NULL)
		return -EEXIST;
	memset(f->cache, 0, SL_SEGMENT_HEADER);
	memset(f->durable, 0, SL_SEGMENT_HEADER);
	memset(f->is_dirty, 0, SL_SEGMENT_HEADER / SECTOR);
	if (is_dead || chance(sim, sim->faults.write_error_per_million, 1000000))
		return -EIO;
	if (chance(sim, 300, 1000))
		return -EAGAIN;
	snprintf(f->name, sizeof(f->name), "%s", name);
	if (sim->is_history_short)
		ledger_history_lost(sim);
	return 0;
}

void
disk_init(struct sim *sim)
{
	sim->disk = sim_zalloc(sizeof(*sim->disk));
	sim->disk->ops = (struct sl_journal_disk){
		.create = do_create,
		.write = do_write,
		.sync = do_sync,
		.close = do_close,
		.remove = do_remove,
		.reuse = below(sim, 3) == 0 ? NULL : do_reuse,
		.arg = sim,
	};
}

static void
clear_directory(struct sim *sim)
{
	DIR *dir = opendir(sim->directory);
	struct dirent *entry;
	char path[512];

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", sim->directory, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	if (dir != NULL)
		closedir(dir);
}

void
disk_free(struct sim *sim)
{
	while (sim->disk->nb > 0)
		free_file(sim->disk, &sim->disk->files[0]);
	free(sim->disk);
	clear_directory(sim);
}

const struct sl_journal_disk *
disk_ops(struct sim *sim)
{
	return &sim->disk->ops;
}

void
disk_doom(struct sim *sim)
{
	sim->disk->doom = 1 + below(sim, 12);
}

void
disk_spare(struct sim *sim)
{
	sim->disk->doom = 0;
}

bool
disk_is_dead(const struct sim *sim)
{
	return sim->disk->is_dead;
}

/*
 * What is left of a sector that was not synced. Those of header and mark are whole, or as they were
 * before: when they are damaged nobody can tell what had been durable, and recovery refuses.
 */
static void
crash_sector(struct sim *sim, uint8_t *durable, const uint8_t *cache, bool is_header)
{
	const struct faults *faults = &sim->faults;
	uint64_t len = SECTOR, at;

	if (!chance(sim, faults->survive_per_mille, 1000))
		return;
	if (is_header) {
		memcpy(durable, cache, len);
		return;
	}
	if (chance(sim, faults->tear_per_mille, 1000))
		len = below(sim, SECTOR);
	at = below(sim, SECTOR);
	/* What was there before cannot have been hurt. */
	if (chance(sim, faults->flip_per_mille, 1000) && at < len && durable[at] != cache[at]) {
		memcpy(durable, cache, len);
		durable[at] ^= (uint8_t)(1u << below(sim, 8));
		return;
	}
	memcpy(durable, cache, len);
}

static void
crash_file(struct sim *sim, struct file *f, bool is_power)
{
	for (uint64_t i = 0; i < f->size / SECTOR; i++) {
		uint8_t *durable = f->durable + i * SECTOR, *cache = f->cache + i * SECTOR;

		if (f->is_dirty[i] && is_power)
			crash_sector(sim, durable, cache, i < SL_SEGMENT_HEADER / SECTOR);
		else if (f->is_dirty[i])
			memcpy(durable, cache, SECTOR);
	}
	memcpy(f->cache, f->durable, f->size);
	memset(f->is_dirty, 0, f->size / SECTOR);
}

static void
materialize(struct sim *sim, const struct file *f)
{
	const struct sl_segment_header *header = (const void *)f->durable;
	static const uint8_t zeroes[4096];
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", sim->directory, f->name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)f->size) != 0)
		sim_fail(sim, "%s: %s", path, strerror(errno));
	for (uint64_t at = 0; fd >= 0 && at < f->size; at += sizeof(zeroes)) {
		if (memcmp(f->durable + at, zeroes, sizeof(zeroes)) != 0 &&
			pwrite(fd, f->durable + at, sizeof(zeroes), (off_t)at) < 0)
			sim_fail(sim, "%s: %s", path, strerror(errno));
	}
	if (fd >= 0)
		close(fd);
	sim_say(sim,
		"  %s: run %" PRIu32 ", number %" PRIu32 ", from %" PRIu64 " (before: to %" PRIu64
		") to %" PRIu64,
		f->name, header->incarnation, header->number, header->first, header->previous_end,
		header->end);
}

static void
settle(struct sim *sim, bool is_power)
{
	struct disk *d = sim->disk;
	uint64_t back = is_power && below(sim, 2) == 0 ? below(sim, 4) : 0;

	d->is_dead = false;
	d->doom = 0;
	d->full_until_ns = 0;
	clear_directory(sim);
	for (uint32_t i = 0; i < d->nb;) {
		struct file *f = &d->files[i];

		if (f->removed_at != 0 && f->removed_at + back <= d->nb_removed) {
			free_file(d, f);
			continue;
		}
		/* Where the name was given again, the old one is gone. */
		if (f->removed_at != 0 && find(d, f->name) != NULL) {
			free_file(d, f);
			continue;
		}
		f->removed_at = 0;
		f->is_pending = false;
		crash_file(sim, f, is_power);
		materialize(sim, f);
		i++;
	}
	d->nb_removed = 0;
}

void
disk_crash(struct sim *sim, bool is_power)
{
	settle(sim, is_power);
}

void
disk_settle(struct sim *sim)
{
	settle(sim, false);
}

uint32_t
disk_found(struct sim *sim, struct sl_journal_segment **found)
{
	struct disk *d = sim->disk;

	*found = sim_zalloc((d->nb + 1) * sizeof(**found));
	for (uint32_t i = 0; i < d->nb; i++) {
		struct sl_journal_segment *segment = &(*found)[i];

		snprintf(segment->name, sizeof(segment->name), "%s", d->files[i].name);
		segment->size = d->files[i].size;
		/* Without one it was made ahead, and holds nothing. */
		if (memcmp(d->files[i].durable, SL_SEGMENT_MAGIC, 8) == 0)
			memcpy(&segment->header, d->files[i].durable, sizeof(segment->header));
	}
	return d->nb;
}
