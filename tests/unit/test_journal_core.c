/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * The writing core on a disk of the test's own that keeps apart what is written and what is synced,
 * and fails on command. What the journal calls durable has to be there after a crash, always.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sl_journal.h"
#include "test_journal.h"
#include "test_rand.h"

#define MIB	   (UINT64_C(1) << 20)
#define MS	   UINT64_C(1000000)
#define SECOND	   (1000 * MS)
#define NB_FILES   4096
#define FILE_SIZE  (MIB + 4096)
#define NB_STREAMS 2

struct file {
	char name[64];
	uint8_t *written;
	uint8_t *synced; /* What a crash leaves. */
	uint64_t size;
	unsigned int wait; /* Until it is made. */
	bool is_removed;
	bool is_closed;
	bool is_ruined; /* A write or sync failed on it. */
};

static struct {
	struct file files[NB_FILES];
	unsigned int nb;
	unsigned int calls_until_failure; /* 0: none is to come. */
	unsigned int nb_failures;	  /* So many from then on. */
	int error;
	bool fails_creates;
	unsigned int nb_failed;
	unsigned int nb_syncs;
	unsigned int nb_reused;
	struct test_rand rand;
} disk;

static struct sl_journal *journal;
static uint64_t now;
static uint64_t told[NB_STREAMS]; /* Records the hook was told of. */
static uint64_t put[NB_STREAMS];

static struct file *
file_of(const char *name)
{
	for (unsigned int i = 0; i < disk.nb; i++)
		if (!disk.files[i].is_removed && strcmp(disk.files[i].name, name) == 0)
			return &disk.files[i];
	return NULL;
}

static bool
is_to_fail(void)
{
	if (disk.calls_until_failure > 1) {
		disk.calls_until_failure--;
		return false;
	}
	if (disk.calls_until_failure == 0 || disk.nb_failures == 0)
		return false;
	disk.nb_failures--;
	disk.nb_failed++;
	return true;
}

static int
create(void *arg, const char *name, uint64_t size)
{
	struct file *file = file_of(name);

	if (disk.fails_creates && is_to_fail())
		return disk.error;
	if (file != NULL && file->wait == 0)
		return -EEXIST;
	if (file == NULL) {
		assert_true(disk.nb < NB_FILES);
		file = &disk.files[disk.nb++];
		snprintf(file->name, sizeof(file->name), "%s", name);
		file->size = size;
		file->written = calloc(1, size);
		file->synced = calloc(1, size);
		file->wait = 1 + (unsigned int)test_rand_below(&disk.rand, 4);
	}
	return --file->wait > 0 ? -EAGAIN : 0;
}

static int
write_at(void *arg, const char *name, uint64_t offset, const void *data, size_t len)
{
	struct file *file = file_of(name);

	assert_non_null(file);
	assert_false(file->is_ruined);
	assert_false(file->is_closed);
	assert_int_equal((offset | len | (uintptr_t)data) % 4096, 0);
	assert_true(offset + len <= file->size);
	if (is_to_fail()) {
		file->is_ruined = true;
		/* Some of it may have been written, and may even stay. */
		len = test_rand_below(&disk.rand, len / 4096 + 1) * 4096;
		memcpy(file->written + offset, data, len);
		memcpy(file->synced + offset, data, len / 2 & ~(size_t)511);
		return disk.error;
	}
	memcpy(file->written + offset, data, len);
	return 0;
}

static int
sync_file(void *arg, const char *name)
{
	struct file *file = file_of(name);

	assert_non_null(file);
	assert_false(file->is_ruined);
	disk.nb_syncs++;
	if (!is_to_fail()) {
		memcpy(file->synced, file->written, file->size);
		return 0;
	}
	file->is_ruined = true;
	/* Any of its sectors may have come to the disk. */
	for (uint64_t at = 0; at < file->size; at += 512)
		if (test_rand_below(&disk.rand, 2) == 0)
			memcpy(file->synced + at, file->written + at, 512);
	return disk.error;
}

static int
close_file(void *arg, const char *name)
{
	file_of(name)->is_closed = true;
	return 0;
}

static int
remove_file(void *arg, const char *name)
{
	struct file *file = file_of(name);

	if (file == NULL)
		return -ENOENT;
	file->is_removed = true;
	free(file->written);
	free(file->synced);
	return 0;
}

static int
reuse_file(void *arg, const char *old, const char *name)
{
	struct file *file = file_of(old);

	if (disk.fails_creates && is_to_fail())
		return disk.error;
	if (file_of(name) != NULL)
		return -EEXIST;
	assert_non_null(file);
	assert_false(file->is_ruined);
	assert_true(file->is_closed);
	if (test_rand_below(&disk.rand, 3) != 0)
		return -EAGAIN;
	memset(file->written, 0, 4096);
	memset(file->synced, 0, 4096);
	snprintf(file->name, sizeof(file->name), "%s", name);
	file->is_closed = false;
	disk.nb_reused++;
	return 0;
}

static void
on_durable(void *arg, const struct sl_record *record, uint64_t at)
{
	const struct sl_record_name *name = (const void *)record;
	uint32_t stream = (uint32_t)(name->key >> 32);

	assert_int_equal(at, now);
	if (record->type == SL_RECORD_CLOSE)
		return;
	assert_int_equal(record->type, SL_RECORD_NAME);
	assert_int_equal((uint32_t)name->key, told[stream]);
	told[stream]++;
}

static struct sl_journal_params
params_of_test(void)
{
	return (struct sl_journal_params){
		.directory = "dir",
		.segment_bytes = MIB,
		.ring_bytes = MIB,
		.max_bytes = 16 * FILE_SIZE,
		.retention_bytes = 8 * FILE_SIZE,
		.retention_ms = 3600 * 1000,
		.nb_streams = NB_STREAMS,
		.durable = on_durable,
	};
}

static void
open_journal(const struct sl_journal_params *params)
{
	static struct sl_journal_recovery recovery;
	struct sl_journal_disk ops = {
		.create = create,
		.write = write_at,
		.sync = sync_file,
		.close = close_file,
		.remove = remove_file,
		.reuse = test_rand_below(&disk.rand, 4) != 0 ? reuse_file : NULL,
	};
	char error[200] = "";

	recovery.incarnation = 1;
	now = 1700000000 * SECOND;
	assert_int_equal(sl_journal_core_open(
				 params, &recovery, &ops, NULL, 0, &journal, error, sizeof(error)),
		0);
}

static int
setup(void **state)
{
	memset(&disk, 0, sizeof(disk));
	memset(told, 0, sizeof(told));
	memset(put, 0, sizeof(put));
	journal = NULL;
	return 0;
}

static int
teardown(void **state)
{
	sl_journal_close(journal);
	for (unsigned int i = 0; i < disk.nb; i++) {
		if (disk.files[i].is_removed)
			continue;
		free(disk.files[i].written);
		free(disk.files[i].synced);
	}
	return 0;
}

static bool
publish(uint32_t stream, uint32_t len)
{
	struct sl_record_ring *ring = sl_journal_ring(journal, stream);
	struct sl_record_name *name;

	sl_record_ring_refresh(ring);
	name = sl_record_ring_put(ring, SL_RECORD_NAME, len, now);
	if (name != NULL) {
		name->key = (uint64_t)stream << 32 | put[stream]++;
		memset(name->name, 'n', len - sizeof(*name));
	}
	sl_record_ring_publish(ring);
	return name != NULL;
}

static void
turn(uint64_t ns)
{
	now += ns;
	if (sl_journal_core_write(journal, now))
		sl_journal_core_commit(journal, now);
}

/* Turns until all is durable, or so many are over. */
static bool
settle(unsigned int turns, uint64_t ns)
{
	while (sl_journal_core_is_pending(journal) && turns-- > 0)
		turn(ns);
	return !sl_journal_core_is_pending(journal);
}

static struct sl_journal_status *
status(void)
{
	static struct sl_journal_status s;

	sl_journal_get_status(journal, &s);
	return &s;
}

/* Each worker, also one whose own records do not wait. */
static void
expect_rings_told(enum sl_record_ring_state state)
{
	for (uint32_t i = 0; i < NB_STREAMS; i++) {
		struct sl_record_ring *ring = sl_journal_ring(journal, i);

		sl_record_ring_refresh(ring);
		assert_int_equal(ring->state_seen, state);
	}
}

static bool
has_segment(const struct image *images, size_t nb, uint32_t stream)
{
	for (size_t i = 0; i < nb; i++) {
		const struct sl_segment_header *header = naive_header(&images[i]);

		if (header != NULL && header->stream == stream)
			return true;
	}
	return false;
}

/* What a crash now would leave: everything the hook was told of, from the oldest kept on. */
static void
expect_what_was_told(void)
{
	static struct image images[NB_FILES];
	size_t nb = 0;

	for (unsigned int i = 0; i < disk.nb; i++)
		if (!disk.files[i].is_removed)
			images[nb++] = (struct image){disk.files[i].synced, disk.files[i].size};
	for (uint32_t stream = 0; stream < NB_STREAMS; stream++) {
		struct seen_list seen;
		size_t nb_names = 0;

		naive_read(images, nb, stream, &seen);
		for (size_t i = 0; i < seen.nb; i++) {
			uint64_t first = seen.records[0].key;

			assert_int_equal(seen.records[i].key >> 32, stream);
			assert_int_equal(seen.records[i].key, first + i);
			nb_names++;
		}
		/* Nobody needs these names: a segment with the end of its stream alone may be what
		 * is left. */
		if (told[stream] > 0 && nb_names == 0)
			assert_true(has_segment(images, nb, stream));
		else if (told[stream] > 0)
			assert_true((uint32_t)seen.records[seen.nb - 1].key >= told[stream] - 1);
		free(seen.records);
	}
}

/* The library recovers it, too: a disk that failed before the crash is no damage. */
static void
expect_recovery(void)
{
	static struct sl_journal_recovery recovery;
	const struct sl_journal_visitor visitor = {0};
	char directory[] = "test_journal_core.XXXXXX", path[128], notice[300], error[300];

	assert_non_null(mkdtemp(directory));
	for (unsigned int i = 0; i < disk.nb; i++) {
		const struct file *file = &disk.files[i];
		FILE *f;

		if (file->is_removed)
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, file->name);
		f = fopen(path, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(file->synced, 1, file->size, f), file->size);
		assert_int_equal(fclose(f), 0);
	}
	if (sl_journal_recover(directory, &visitor, &recovery, notice, sizeof(notice), error,
		    sizeof(error)) != 0)
		fail_msg("%s", error);
	for (uint32_t i = 0; i < NB_STREAMS; i++)
		assert_true(told[i] == 0 || recovery.end[i] + 32 > status()->durable[i]);
	snprintf(path, sizeof(path), "rm -rf %s", directory);
	assert_int_equal(system(path), 0);
}

static void
what_is_published_becomes_durable_in_order(void **state)
{
	struct sl_journal_params params = params_of_test();
	uint64_t in_ring;

	open_journal(&params);
	for (unsigned int round = 0; round < 40; round++) {
		for (unsigned int i = 0; i < 100; i++)
			assert_true(publish(i % 2, 100 + i * 40));
		assert_true(settle(20, MS));
		if (round % 8 == 0)
			expect_what_was_told();
	}
	expect_what_was_told();
	assert_int_equal(told[0] + told[1], 4000);
	assert_int_equal(status()->records, 4000);
	assert_int_equal(status()->state, SL_JOURNAL_OK);
	assert_int_equal(status()->failures, 0);
	in_ring = sl_journal_ring(journal, 0)->put;
	assert_int_equal(status()->durable[0], in_ring);
	assert_true(in_ring > 3 * MIB);
}

/* Each call of the disk in turn fails once: a run without the failure counts them. */
static void
any_one_failure_is_survived(void **state)
{
	static const int errors[] = {-EIO, -ENOSPC};
	struct sl_journal_params params = params_of_test();

	for (unsigned int k = 1; k < 60; k++) {
		setup(NULL);
		open_journal(&params);
		disk.calls_until_failure = k;
		disk.nb_failures = 1;
		disk.error = errors[k % 2];
		disk.fails_creates = k % 3 == 0;
		for (unsigned int i = 0; i < 60; i++) {
			while (!publish(i % 2, 60000))
				turn(MS);
			turn(MS);
			if (i % 16 == 0 || status()->state != SL_JOURNAL_OK)
				expect_what_was_told();
		}
		assert_true(settle(100, 10 * MS));
		expect_what_was_told();
		assert_int_equal(told[0], 30);
		assert_int_equal(told[1], 30);
		assert_int_equal(disk.nb_failed, 1);
		assert_int_equal(status()->failures, 1);
		assert_int_equal(status()->error, -disk.error);
		assert_int_equal(status()->state, SL_JOURNAL_OK);
		teardown(NULL);
	}
	setup(NULL);
}

static void
nothing_is_durable_while_the_disk_fails(void **state)
{
	struct sl_journal_params params = params_of_test();
	uint64_t durable, start;

	open_journal(&params);
	publish(0, 5000);
	assert_true(settle(20, MS));
	durable = status()->durable[0];

	disk.calls_until_failure = 2; /* The sync behind the write. */
	disk.nb_failures = 1000000;
	disk.error = -EIO;
	while (publish(0, 5000))
		;
	start = now;
	while (now < start + 20 * SECOND) {
		turn(MS);
		assert_int_equal(status()->durable[0], durable);
		assert_int_equal(told[0], 1);
	}
	assert_int_equal(status()->state, SL_JOURNAL_FAILED);
	expect_rings_told(SL_RECORD_RING_STUCK);
	assert_int_equal(status()->error, EIO);
	assert_non_null(strstr(status()->what, "dir/0000-"));
	assert_non_null(strstr(status()->what, "Input/output error"));
	assert_true(status()->pending_bytes > MIB / 2);
	/* Backoff: 10, 20, .. 1000 ms, then every second. */
	assert_in_range(disk.nb_failed, 20, 30);
	expect_what_was_told();

	disk.nb_failures = 0;
	assert_true(settle(2000, MS));
	assert_int_equal(status()->state, SL_JOURNAL_OK);
	expect_rings_told(SL_RECORD_RING_OK);
	assert_int_equal(told[0], put[0]);
	expect_what_was_told();
	/* The files that failed are gone, but for the one with what was durable in it. */
	turn(SECOND);
	assert_int_equal(status()->nb_segments, 2);
}

/* What is behind it was never durable, and without it nothing tells where the stream ends. */
static void
the_last_that_is_durable_stays_though_nobody_needs_it(void **state)
{
	struct sl_journal_params params = params_of_test();

	params.retention_bytes = 0;
	params.retention_ms = 0;
	open_journal(&params);
	while (sl_journal_ring(journal, 0)->put < MIB - 40000) {
		publish(0, 30000);
		turn(MS);
	}
	assert_true(settle(20, MS));
	disk.calls_until_failure = 1;
	disk.nb_failures = 1000000;
	disk.error = -EIO;
	disk.fails_creates = true;
	for (unsigned int i = 0; i < 200; i++) {
		publish(0, 30000);
		turn(SECOND);
	}
	assert_true(told[0] < put[0]);
	expect_what_was_told();
}

static void
a_failure_of_an_idle_stream_is_over_by_itself(void **state)
{
	struct sl_journal_params params = params_of_test();

	open_journal(&params);
	publish(0, 100);
	assert_true(settle(20, MS / 10));
	disk.calls_until_failure = 1;
	disk.nb_failures = 1;
	disk.error = -EIO;
	for (unsigned int i = 0; i < 100; i++)
		turn(MS); /* The mark fails. */
	assert_int_equal(status()->failures, 1);
	assert_int_equal(status()->state, SL_JOURNAL_OK);
	publish(0, 100);
	assert_true(settle(20, MS));
	expect_what_was_told();
}

/* Failures of all kinds at random times, crash looked at after each turn. */
static void
random_failures_lose_nothing(void **state)
{
	struct sl_journal_params params = params_of_test();

	test_rand_init(&disk.rand, "failures");
	params.max_bytes = 64 * FILE_SIZE;
	params.retention_bytes = 6 * FILE_SIZE;
	open_journal(&params);
	for (unsigned int i = 0; i < 1500; i++) {
		struct test_rand *r = &disk.rand;

		for (uint64_t n = test_rand_below(r, 6); n > 0; n--)
			publish((uint32_t)test_rand_below(r, 2),
				(uint32_t)(sizeof(struct sl_record_name) +
					test_rand_below(r, 20000)));
		if (test_rand_below(r, 20) == 0) {
			disk.calls_until_failure = 1 + (unsigned int)test_rand_below(r, 10);
			disk.nb_failures = (unsigned int)test_rand_below(r, 6);
			disk.error = test_rand_below(r, 3) == 0 ? -ENOSPC : -EIO;
			disk.fails_creates = test_rand_below(r, 2) == 0;
		}
		turn(test_rand_below(r, 50 * MS));
		if (i % 16 == 0)
			expect_what_was_told();
		if (i % 64 == 0 || (i % 16 == 0 && status()->state != SL_JOURNAL_OK))
			expect_recovery();
	}
	disk.nb_failures = 0;
	assert_true(settle(1000, 100 * MS));
	expect_what_was_told();
	assert_int_equal(told[0], put[0]);
	assert_int_equal(told[1], put[1]);
	/* An idle stream tries again now and then. */
	for (unsigned int i = 0; i < 10; i++)
		turn(SECOND);
	assert_int_equal(status()->state, SL_JOURNAL_OK);
	assert_true(disk.nb_failed > 20);
}

/* So many segments' worth, in one stream. */
static void
fill_segments(uint32_t stream, unsigned int nb)
{
	uint64_t to = sl_journal_ring(journal, stream)->put + nb * MIB;

	while (sl_journal_ring(journal, stream)->put < to) {
		if (!publish(stream, 30000))
			turn(MS);
	}
	assert_true(settle(100, MS));
}

static void
segments_are_deleted_by_size_and_age(void **state)
{
	struct sl_journal_params params = params_of_test();

	disk.rand.state = 1;
	open_journal(&params);
	fill_segments(0, 4);
	turn(SECOND);
	assert_int_equal(status()->nb_segments, 5);
	fill_segments(0, 20);
	for (unsigned int i = 0; i < 3; i++)
		turn(SECOND);
	assert_in_range(disk.nb_reused, 15, 20);
	/* Eight files are kept, one or two of them made ahead. */
	assert_in_range(status()->nb_segments, 6, 7);
	assert_true(status()->segments_bytes <= params.retention_bytes);
	assert_string_equal(status()->holder, "");
	sl_journal_set_retention(journal, 5 * FILE_SIZE, 3600 * 1000);
	for (unsigned int i = 0; i < 3; i++)
		turn(SECOND);
	assert_in_range(status()->nb_segments, 3, 4);
	turn(3601 * SECOND);
	turn(61 * SECOND); /* One may wait for being used again. */
	turn(SECOND);
	assert_int_equal(status()->nb_segments, 1); /* The last one of a stream stays. */
	expect_what_was_told();
}

static void
retention_changes_while_it_writes(void **state)
{
	struct sl_journal_params params = params_of_test();

	disk.rand.state = 1;
	open_journal(&params);
	fill_segments(0, 4);
	turn(SECOND);
	assert_int_equal(status()->nb_segments, 5);
	sl_journal_set_retention(journal, 3 * FILE_SIZE, params.retention_ms);
	turn(2 * SECOND);
	assert_in_range(status()->nb_segments, 1, 3);
	sl_journal_set_retention(journal, params.retention_bytes, 1000);
	turn(100 * SECOND);
	turn(2 * SECOND);
	assert_int_equal(status()->nb_segments, 1);
	expect_what_was_told();
}

static void
held_segments_stay_until_they_are_released(void **state)
{
	struct sl_journal_params params = params_of_test();
	sl_record_ref ref = sl_record_ref_of(0, MIB + 12345);

	open_journal(&params);
	sl_journal_hold(journal, 1, ref);
	sl_journal_hold(journal, 0, ref);
	fill_segments(0, 12);
	turn(SECOND);
	assert_int_equal(status()->nb_segments, 12); /* All but the first. */
	assert_string_equal(status()->holder, "undelivered messages");
	assert_int_equal(status()->undelivered, 2);
	sl_journal_release(journal, 0, ref);
	turn(SECOND);
	assert_int_equal(status()->nb_segments, 12);
	/* By another worker than held it. */
	sl_journal_release(journal, 0, ref);
	turn(SECOND);
	assert_in_range(status()->nb_segments, 6, 7);
	assert_int_equal(status()->undelivered, 0);
}

static void
segments_a_reader_needs_stay(void **state)
{
	struct sl_journal_params params = params_of_test();
	uint32_t reader, other;

	open_journal(&params);
	assert_int_equal(sl_journal_add_reader(journal, "sink one", &reader), 0);
	assert_int_equal(sl_journal_add_reader(journal, "two", &other), 0);
	sl_journal_set_needed(journal, other, 0, UINT64_MAX);
	sl_journal_set_needed(journal, other, 1, UINT64_MAX);
	fill_segments(0, 12);
	turn(SECOND);
	assert_int_equal(status()->nb_segments, 13);
	assert_string_equal(status()->holder, "reader sink one");
	sl_journal_set_needed(journal, reader, 0, 3 * MIB + 5);
	turn(SECOND);
	assert_int_equal(status()->nb_segments, 10);
	sl_journal_set_needed(journal, reader, 0, UINT64_MAX);
	turn(SECOND);
	assert_in_range(status()->nb_segments, 6, 7);
}

static void
a_full_journal_waits_and_goes_on(void **state)
{
	struct sl_journal_params params = params_of_test();
	sl_record_ref ref = sl_record_ref_of(0, 5);
	uint64_t durable, put_before = 0;

	open_journal(&params);
	sl_journal_hold(journal, 0, ref);
	for (unsigned int i = 0; i < 3000; i++) {
		publish(0, 30000);
		turn(10 * MS);
		if (sl_journal_ring(journal, 0)->state_seen == SL_RECORD_RING_OK)
			put_before = sl_journal_ring(journal, 0)->put;
	}
	/* Who heeds what the ring tells has put nothing that does not find room. */
	assert_in_range(put_before, 10 * MIB, status()->durable[0]);
	assert_int_equal(status()->state, SL_JOURNAL_FULL);
	expect_rings_told(SL_RECORD_RING_FULL);
	assert_int_equal(status()->error, ENOSPC);
	assert_non_null(strstr(status()->what, "max_bytes"));
	assert_true(status()->segments_bytes <= params.max_bytes);
	durable = status()->durable[0];
	turn(10 * SECOND);
	assert_int_equal(status()->durable[0], durable);
	sl_journal_release(journal, 0, ref);
	assert_true(settle(100, 100 * MS));
	turn(SECOND);
	assert_int_equal(status()->state, SL_JOURNAL_OK);
	expect_rings_told(SL_RECORD_RING_OK);
	assert_true(told[0] == put[0]);
}

static void
batches_keep_their_interval_unless_the_ring_fills(void **state)
{
	struct sl_journal_params params = params_of_test();

	params.commit_interval_us = 10000;
	open_journal(&params);
	for (unsigned int i = 0; i < 1000; i++) {
		publish(0, 200);
		turn(MS / 10);
	}
	assert_in_range(disk.nb_syncs, 8, 11);
	for (unsigned int i = 0; i < 100; i++) {
		publish(0, 60000);
		turn(MS / 100);
	}
	assert_true(disk.nb_syncs > 15);
}

static void
closing_says_that_all_is_durable(void **state)
{
	struct sl_journal_params params = params_of_test();
	struct image image;
	struct seen_list seen;

	open_journal(&params);
	publish(0, 100);
	assert_true(settle(20, MS));
	sl_journal_core_put_close(journal, now);
	assert_true(settle(20, MS));
	turn(SECOND);
	/* The other stream has no segment to close. */
	assert_int_equal(status()->nb_segments, 1);
	for (unsigned int i = 0; i < disk.nb; i++) {
		image = (struct image){disk.files[i].synced, disk.files[i].size};
		if (naive_header(&image) != NULL)
			break;
	}
	naive_read(&image, 1, 0, &seen);
	assert_int_equal(seen.nb, 2);
	assert_int_equal(seen.records[1].type, SL_RECORD_CLOSE);
	free(seen.records);
}

#define core_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		core_test(what_is_published_becomes_durable_in_order),
		core_test(any_one_failure_is_survived),
		core_test(nothing_is_durable_while_the_disk_fails),
		core_test(the_last_that_is_durable_stays_though_nobody_needs_it),
		core_test(a_failure_of_an_idle_stream_is_over_by_itself),
		core_test(random_failures_lose_nothing),
		core_test(segments_are_deleted_by_size_and_age),
		core_test(retention_changes_while_it_writes),
		core_test(held_segments_stay_until_they_are_released),
		core_test(segments_a_reader_needs_stay),
		core_test(a_full_journal_waits_and_goes_on),
		core_test(batches_keep_their_interval_unless_the_ring_fills),
		core_test(closing_says_that_all_is_durable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
