/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The journal with its thread and real files, read again by code of the test's own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "sl_journal.h"
#include "test_journal.h"
#include "test_rand.h"

#define MIB	   (UINT64_C(1) << 20)
#define FILE_SIZE  (MIB + 4096)
#define NB_STREAMS 2
#define NB_FILES   1024

static char directory[64];
static struct sl_journal_recovery recovery;
/* Shared with a child that is killed. */
static struct shared {
	_Atomic uint64_t told[NB_STREAMS];
} * shared;

static void
on_durable(void *arg, const struct sl_record *record, uint64_t now_ns)
{
	const struct sl_record_name *name = (const void *)record;

	if (record->type == SL_RECORD_NAME)
		shared->told[name->key >> 32] = (uint32_t)name->key + 1;
}

static void
empty_directory(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	assert_int_equal(system(command), 0);
}

static int
setup(void **state)
{
	snprintf(directory, sizeof(directory), "test_journal.XXXXXX");
	assert_non_null(mkdtemp(directory));
	memset(shared, 0, sizeof(*shared));
	memset(&recovery, 0, sizeof(recovery));
	recovery.incarnation = 1;
	return 0;
}

static int
teardown(void **state)
{
	empty_directory();
	return 0;
}

static struct sl_journal *
open_journal(uint64_t retention_bytes)
{
	const struct sl_journal_params params = {
		.directory = directory,
		.segment_bytes = MIB,
		.ring_bytes = MIB,
		.max_bytes = 128 * FILE_SIZE,
		.retention_bytes = retention_bytes,
		.retention_ms = 3600 * 1000,
		.is_direct = true,
		.nb_streams = NB_STREAMS,
		.durable = on_durable,
	};
	struct sl_journal *journal;
	char error[300] = "";

	if (sl_journal_open(&params, &recovery, &journal, error, sizeof(error)) < 0)
		fail_msg("%s", error);
	return journal;
}

/* Put records with the numbers from `*next` on, until so many are there. */
static void
publish(struct sl_journal *journal, struct test_rand *r, uint64_t next[], uint64_t nb)
{
	for (uint64_t i = 0; i < nb;) {
		uint32_t stream = (uint32_t)test_rand_below(r, NB_STREAMS);
		struct sl_record_ring *ring = sl_journal_ring(journal, stream);
		uint32_t len = (uint32_t)(sizeof(struct sl_record_name) +
			test_rand_below(r, test_rand_below(r, 50) == 0 ? 60000 : 500));
		struct sl_record_name *name = sl_record_ring_put(
			ring, SL_RECORD_NAME, len, (uint64_t)time(NULL));

		if (name != NULL) {
			name->key = (uint64_t)stream << 32 | next[stream]++;
			memset(name->name, 'n', len - sizeof(*name));
			i++;
		}
		if (name == NULL || test_rand_below(r, 8) == 0) {
			sl_record_ring_publish(ring);
			sl_record_ring_refresh(ring);
		}
		if (name == NULL)
			sched_yield();
	}
	for (uint32_t i = 0; i < NB_STREAMS; i++)
		sl_record_ring_publish(sl_journal_ring(journal, i));
}

static size_t
load_images(struct image images[NB_FILES])
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	size_t nb = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		char path[400];
		struct stat stat;
		uint8_t *bytes;
		int fd;

		if (strstr(entry->d_name, ".seg") == NULL)
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		fd = open(path, O_RDONLY);
		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &stat), 0);
		bytes = malloc((size_t)stat.st_size);
		assert_int_equal(read(fd, bytes, (size_t)stat.st_size), stat.st_size);
		close(fd);
		images[nb++] = (struct image){bytes, (size_t)stat.st_size};
	}
	closedir(dir);
	return nb;
}

/* What the hook was told of is there, in order; returns how many records there are beside names. */
static uint64_t
expect_what_was_told(bool is_closed)
{
	static struct image images[NB_FILES];
	size_t nb = load_images(images);
	uint64_t nb_others = 0;

	for (uint32_t stream = 0; stream < NB_STREAMS; stream++) {
		struct seen_list seen;
		uint64_t next = UINT64_MAX;

		naive_read(images, nb, stream, &seen);
		for (size_t i = 0; i < seen.nb; i++) {
			if (seen.records[i].type != SL_RECORD_NAME) {
				assert_int_equal(seen.records[i].type, SL_RECORD_CLOSE);
				nb_others++;
				continue;
			}
			assert_true(next == UINT64_MAX || (uint32_t)seen.records[i].key == next);
			next = (uint32_t)seen.records[i].key + 1;
		}
		assert_true(next != UINT64_MAX && next >= shared->told[stream]);
		if (is_closed) {
			assert_int_equal(next, shared->told[stream]);
			assert_int_equal(seen.records[seen.nb - 1].type, SL_RECORD_CLOSE);
		}
		recovery.end[stream] = seen.end;
		free(seen.records);
	}
	for (size_t i = 0; i < nb; i++)
		free((void *)(uintptr_t)images[i].bytes);
	return nb_others;
}

/* The library finds the same end of each stream. */
static void
expect_recovery(bool is_closed)
{
	static struct sl_journal_recovery recovered;
	const struct sl_journal_visitor visitor = {0};
	char notice[300], error[300];

	if (sl_journal_recover(directory, &visitor, &recovered, notice, sizeof(notice), error,
		    sizeof(error)) != 0)
		fail_msg("%s", error);
	/* Killed, it may have begun a record behind its last one. */
	if (is_closed)
		assert_string_equal(notice, "");
	assert_int_equal(recovered.incarnation, recovery.incarnation + 1);
	for (uint32_t i = 0; i < NB_STREAMS; i++)
		assert_int_equal(recovered.end[i], recovery.end[i]);
}

static void
what_was_published_is_in_the_files(void **state)
{
	struct sl_journal *journal = open_journal(64 * FILE_SIZE);
	static struct sl_journal_status status;
	uint64_t next[NB_STREAMS] = {0};
	struct test_rand r;

	test_rand_init(&r, "files");
	assert_int_equal(sl_journal_start(journal, -1), 0);
	publish(journal, &r, next, 20000);
	sl_journal_stop(journal);
	sl_journal_get_status(journal, &status);
	assert_int_equal(status.state, SL_JOURNAL_OK);
	assert_int_equal(status.records, 20000 + NB_STREAMS); /* And CLOSE. */
	assert_int_equal(status.pending_bytes, 0);
	assert_int_equal(status.failures, 0);
	assert_int_equal(status.syncs, status.sync_ns.count);
	assert_true(status.syncs > 0 && status.sync_ns.sum > 0);
	assert_int_equal(shared->told[0] + shared->told[1], 20000);
	sl_journal_close(journal);
	assert_int_equal(expect_what_was_told(true), NB_STREAMS);
}

/* Three runs, the journal recovered in between by the library, too. */
static void
the_next_start_goes_on_behind(void **state)
{
	uint64_t next[NB_STREAMS] = {0};
	struct test_rand r;

	test_rand_init(&r, "runs");
	for (uint32_t run = 1; run <= 3; run++) {
		struct sl_journal *journal = open_journal(64 * FILE_SIZE);

		assert_true(sl_journal_ring(journal, 0)->put >= recovery.end[0]);
		assert_int_equal(sl_journal_start(journal, -1), 0);
		publish(journal, &r, next, 5000);
		sl_journal_close(journal);
		assert_int_equal(expect_what_was_told(true), run * NB_STREAMS);
		expect_recovery(true);
		recovery.incarnation = run + 1;
	}
}

/* Files beyond what is kept are deleted from time to time, and while one is, another may be made.
 */
static void
wait_for_retention(struct sl_journal *journal, uint64_t bytes)
{
	static struct sl_journal_status status;

	for (unsigned int i = 0; i < 1000; i++) {
		sl_journal_get_status(journal, &status);
		if (status.pending_bytes == 0 && status.segments_bytes <= bytes)
			return;
		usleep(10000);
	}
	fail_msg("%" PRIu64 " bytes are kept", status.segments_bytes);
}

static void
old_files_are_used_again(void **state)
{
	struct sl_journal *journal = open_journal(8 * FILE_SIZE);
	static struct sl_journal_status status;
	static struct image images[NB_FILES];
	uint64_t next[NB_STREAMS] = {0};
	struct test_rand r;
	size_t nb;

	test_rand_init(&r, "reuse");
	assert_int_equal(sl_journal_start(journal, -1), 0);
	publish(journal, &r, next, 60000);
	wait_for_retention(journal, 14 * FILE_SIZE);
	sl_journal_stop(journal);
	sl_journal_get_status(journal, &status);
	assert_true(status.bytes > 40 * MIB);
	sl_journal_close(journal);
	nb = load_images(images);
	assert_in_range(nb, 2, 14);
	for (size_t i = 0; i < nb; i++) {
		assert_non_null(naive_header(&images[i]));
		free((void *)(uintptr_t)images[i].bytes);
	}
	expect_what_was_told(true);
	expect_recovery(true);
}

static void
one_appliance_has_the_directory(void **state)
{
	struct sl_journal *journal = open_journal(64 * FILE_SIZE), *other;
	const struct sl_journal_visitor visitor = {0};
	const struct sl_journal_params params = {
		.directory = directory,
		.segment_bytes = MIB,
		.ring_bytes = MIB,
		.max_bytes = 16 * FILE_SIZE,
		.nb_streams = 1,
	};
	char error[300] = "", notice[300];

	assert_int_equal(sl_journal_open(&params, &recovery, &other, error, sizeof(error)), -EBUSY);
	assert_non_null(strstr(error, directory));
	assert_non_null(strstr(error, "journal.directory"));
	assert_int_equal(sl_journal_recover(directory, &visitor, &recovery, notice, sizeof(notice),
				 error, sizeof(error)),
		-EBUSY);
	sl_journal_close(journal);
	recovery.incarnation = 1;
	assert_int_equal(sl_journal_open(&params, &recovery, &other, error, sizeof(error)), 0);
	sl_journal_close(other);
}

static void
what_cannot_be_is_said(void **state)
{
	struct sl_journal_params params = {
		.directory = "/nowhere/at/all",
		.segment_bytes = MIB,
		.ring_bytes = MIB,
		.max_bytes = 16 * FILE_SIZE,
		.nb_streams = 1,
	};
	struct sl_journal *journal;
	char error[300] = "";

	assert_int_equal(
		sl_journal_open(&params, &recovery, &journal, error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "/nowhere/at/all: "));
	params.directory = directory;
	params.max_bytes = FILE_SIZE;
	assert_int_equal(
		sl_journal_open(&params, &recovery, &journal, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "journal.max_bytes"));
	params.max_bytes = 16 * FILE_SIZE;
	params.segment_bytes = MIB - 1;
	assert_int_equal(
		sl_journal_open(&params, &recovery, &journal, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "journal.segment_bytes"));
}

/* Killed at any time, what was told durable is there; and the next run goes on. */
static void
nothing_told_is_lost_by_a_kill(void **state)
{
	uint64_t next[NB_STREAMS] = {0};
	struct test_rand r;

	test_rand_init(&r, "kill");
	for (uint32_t run = 1; run <= 8; run++) {
		struct timespec pause = {.tv_nsec = (long)test_rand_below(&r, 60000000)};
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			struct sl_journal *journal = open_journal(16 * FILE_SIZE);

			if (sl_journal_start(journal, -1) != 0)
				_exit(1);
			for (;;)
				publish(journal, &r, next, 1000);
		}
		while (shared->told[0] == next[0] || shared->told[1] == next[1])
			usleep(100);
		nanosleep(&pause, NULL);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, NULL, 0), child);
		expect_what_was_told(false);
		expect_recovery(false);
		/* The next run's numbers go on where this one's records end. */
		for (uint32_t i = 0; i < NB_STREAMS; i++) {
			struct image images[NB_FILES];
			size_t nb = load_images(images);
			struct seen_list seen;

			naive_read(images, nb, i, &seen);
			next[i] = (uint32_t)seen.records[seen.nb - 1].key + 1;
			shared->told[i] = next[i];
			free(seen.records);
			for (size_t k = 0; k < nb; k++)
				free((void *)(uintptr_t)images[k].bytes);
		}
		recovery.incarnation++;
	}
}

#define file_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		file_test(what_was_published_is_in_the_files),
		file_test(the_next_start_goes_on_behind),
		file_test(old_files_are_used_again),
		file_test(one_appliance_has_the_directory),
		file_test(what_cannot_be_is_said),
		file_test(nothing_told_is_lost_by_a_kill),
	};

	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
