/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Reading a journal: behind its writer, without one, anywhere in it, and where it was deleted. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <rte_common.h>

#include "journal_maker.h"
#include "sl_journal.h"
#include "test_rand.h"

#define END   8192u
#define FIRST UINT64_C(1700000000000000000)

static char directory[64];
static uint8_t buf[SL_RECORD_LEN_MAX] __attribute__((aligned(SL_RECORD_ALIGN)));

static int
make_directory(void **state)
{
	snprintf(directory, sizeof(directory), "/dev/shm/sluice-reader-XXXXXX");
	return mkdtemp(directory) == NULL ? -1 : 0;
}

static int
empty_directory(void **state)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char path[512];

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		unlink(path);
	}
	if (dir != NULL)
		closedir(dir);
	return 0;
}

static int
remove_directory(void **state)
{
	empty_directory(state);
	return rmdir(directory);
}

static struct sl_journal_reader *
open_reader(struct sl_journal *journal)
{
	struct sl_journal_reader *reader;
	char error[512];

	assert_int_equal(
		sl_journal_reader_open(directory, journal, &reader, error, sizeof(error)), 0);
	return reader;
}

static sl_record_ref
put_message(struct maker_segment *s, uint64_t id)
{
	struct maker_message m = {.source = "server1",
		.destination = "table1",
		.type = "lunch",
		.id = id,
		.time_ns = FIRST + id,
		.payload = "soup",
		.payload_len = (uint32_t)(id % 5)};

	return maker_message(s, &m);
}

static void
expect(struct sl_journal_reader *reader, uint32_t stream, sl_record_ref ref)
{
	const struct sl_record *record;

	assert_int_equal(sl_journal_reader_next(reader, stream, &record), 1);
	assert_int_equal(sl_record_ref_of(stream, record->position), ref);
	assert_int_equal(sl_journal_reader_position(reader, stream),
		record->position + sl_record_stride(record->len));
}

static void
expect_none(struct sl_journal_reader *reader, uint32_t stream)
{
	const struct sl_record *record;

	assert_int_equal(sl_journal_reader_next(reader, stream, &record), 0);
}

static void
without_a_writer_it_follows_to_the_last_whole_record(void **state)
{
	struct maker_segment a = maker_begin(1, 0, 0, 0, END), b = maker_begin(1, 1, 3, 0, END);
	struct maker_segment c = maker_begin(1, 2, 0, END, 2 * END);
	struct maker_segment d = maker_begin(2, 0, 0, 3 * END, 4 * END);
	struct sl_journal_reader *reader;
	sl_record_ref refs[8];

	maker_seal(&a);
	maker_seal(&b);
	refs[0] = put_message(&a, 0);
	refs[1] = put_message(&b, 1);
	maker_write(&a, directory);
	maker_write(&b, directory);
	reader = open_reader(NULL);
	expect(reader, 0, refs[0]);
	expect(reader, 3, refs[1]);
	expect_none(reader, 0);
	expect_none(reader, 5);
	/* More of the same, then the rest of the segment and another. */
	refs[2] = put_message(&a, 2);
	maker_write(&a, directory);
	expect(reader, 0, refs[2]);
	expect_none(reader, 0);
	maker_pad(&a);
	maker_write(&a, directory);
	expect_none(reader, 0);
	refs[3] = put_message(&c, 3);
	maker_seal(&c);
	maker_write(&c, directory);
	expect(reader, 0, refs[3]);
	expect_none(reader, 0);
	expect_none(reader, 3);
	/* Another run. */
	d.header.previous_end = c.put;
	refs[4] = put_message(&d, 4);
	maker_seal(&d);
	maker_write(&d, directory);
	expect(reader, 0, refs[4]);
	expect_none(reader, 0);
	assert_int_equal(sl_journal_reader_seek(reader, 0, sl_record_ref_position(refs[2])), 0);
	expect(reader, 0, refs[2]);
	expect(reader, 0, refs[3]);
	sl_journal_reader_close(reader);
	maker_end(&a);
	maker_end(&b);
	maker_end(&c);
	maker_end(&d);
}

/* What this process has read of files so far. */
static uint64_t
bytes_read(void)
{
	uint64_t bytes = 0;
	FILE *file = fopen("/proc/self/io", "r");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "rchar: %" SCNu64, &bytes), 1);
	fclose(file);
	return bytes;
}

/* Somebody who waits for more looks at the place where it will stand, not at all that is behind. */
static void
waiting_at_the_end_reads_next_to_nothing(void **state)
{
	const uint64_t end = UINT64_C(8) << 20, looks = 50;
	struct maker_segment s = maker_begin(1, 0, 0, 0, end);
	struct sl_journal_reader *reader;
	const struct sl_record *record;
	sl_record_ref refs[2];
	uint64_t before;

	maker_seal(&s);
	refs[0] = put_message(&s, 0);
	maker_write(&s, directory);
	reader = open_reader(NULL);
	expect(reader, 0, refs[0]);
	expect_none(reader, 0);
	before = bytes_read();
	for (uint64_t i = 0; i < looks; i++)
		expect_none(reader, 0);
	assert_in_range(bytes_read() - before, looks, looks * (64 << 10));
	refs[1] = put_message(&s, 1);
	maker_write(&s, directory);
	expect(reader, 0, refs[1]);
	expect_none(reader, 0);
	/* Zeroes, where the mark says now that something was durable. */
	maker_mark(&s, s.put + 64);
	maker_write(&s, directory);
	assert_int_equal(sl_journal_reader_next(reader, 0, &record), -EBADMSG);
	sl_journal_reader_close(reader);
	maker_end(&s);
}

/* Another process writes a record, and somebody looks when only its first bytes have come. */
static void
a_record_that_comes_by_pieces_is_waited_for(void **state)
{
	struct maker_segment s = maker_begin(1, 0, 0, 0, 1 << 20);
	struct sl_journal_reader *reader;
	uint8_t rest[24];
	sl_record_ref refs[2];
	uint8_t *last;

	maker_seal(&s);
	refs[0] = put_message(&s, 0);
	refs[1] = put_message(&s, 1);
	last = s.bytes + SL_SEGMENT_HEADER + s.put - sizeof(rest);
	memcpy(rest, last, sizeof(rest));
	memset(last, 0, sizeof(rest));
	maker_write(&s, directory);
	reader = open_reader(NULL);
	expect(reader, 0, refs[0]);
	expect_none(reader, 0);
	expect_none(reader, 0);
	memcpy(last, rest, sizeof(rest));
	maker_write(&s, directory);
	expect(reader, 0, refs[1]);
	expect_none(reader, 0);
	sl_journal_reader_close(reader);
	maker_end(&s);
}

static void
what_is_deleted_and_what_is_damaged_is_told(void **state)
{
	struct maker_segment s[4];
	const struct sl_journal_segment *segments;
	const struct sl_record *record;
	struct sl_journal_reader *reader;
	sl_record_ref refs[4];
	char path[512];

	for (uint32_t i = 0; i < 4; i++) {
		s[i] = maker_begin(1, i, 0, i * END, (i + 1) * END);
		refs[i] = put_message(&s[i], i);
		maker_pad(&s[i]);
		maker_seal(&s[i]);
		maker_write(&s[i], directory);
	}
	reader = open_reader(NULL);
	assert_int_equal(sl_journal_reader_segments(reader, &segments), 4);
	assert_int_equal(segments[3].header.base, 3 * END);
	expect(reader, 0, refs[0]);
	maker_path(&s[0], directory, path);
	unlink(path);
	maker_path(&s[1], directory, path);
	unlink(path);
	assert_int_equal(sl_journal_reader_next(reader, 0, &record), -ENOENT);
	assert_int_equal(sl_journal_reader_get(reader, refs[1], buf), -ENOENT);
	assert_non_null(strstr(sl_journal_reader_error(reader), "deleted"));
	assert_int_equal(sl_journal_reader_seek(reader, 0, 0), 0);
	expect(reader, 0, refs[2]);
	assert_int_equal(sl_journal_reader_get(reader, refs[3], buf), 0);
	/* The next one's header says that all of the one before was durable. */
	assert_int_equal(sl_journal_reader_seek(reader, 0, 0), 0);
	*maker_at(&s[2], 2 * END + 70) ^= 1;
	maker_write(&s[2], directory);
	assert_int_equal(sl_journal_reader_next(reader, 0, &record), -EBADMSG);
	assert_non_null(strstr(sl_journal_reader_error(reader), "offset 4096: checksum"));
	assert_int_equal(sl_journal_reader_get(reader, refs[2], buf), -EBADMSG);
	assert_non_null(strstr(sl_journal_reader_error(reader), "offset 4096: checksum"));
	assert_int_equal(sl_journal_reader_next(reader, 0, &record), -EBADMSG);
	sl_journal_reader_close(reader);
	for (uint32_t i = 0; i < 4; i++)
		maker_end(&s[i]);
}

/* What a subscriber is to get is read back as the message; what is none of a topic's is not. */
static void
a_stream_is_read_on_where_names_get_longer(void **state)
{
	const uint64_t middle = UINT64_C(1) << 48;
	struct maker_segment a = maker_begin(1, 0, 5, middle - END, middle);
	struct maker_segment b = maker_begin(1, 1, 5, middle, middle + END);
	struct sl_journal_reader *reader;
	sl_record_ref refs[2];

	refs[0] = put_message(&a, 0);
	maker_pad(&a);
	refs[1] = put_message(&b, 1);
	maker_seal(&a);
	maker_seal(&b);
	maker_write(&a, directory);
	maker_write(&b, directory);
	reader = open_reader(NULL);
	assert_int_equal(sl_journal_reader_seek(reader, 5, 0), 0);
	expect(reader, 5, refs[0]);
	expect(reader, 5, refs[1]);
	expect_none(reader, 5);
	assert_int_equal(sl_journal_reader_get(reader, refs[1], buf), 0);
	sl_journal_reader_close(reader);
	maker_end(&a);
	maker_end(&b);
}

static void
what_a_subscriber_is_to_get_is_its_message(void **state)
{
	struct maker_segment s = maker_begin(1, 0, 0, 0, END);
	const struct sl_record *record = (const struct sl_record *)buf;
	struct maker_message m = {.source = "server1",
		.destination = "news",
		.type = "lunch",
		.time_ns = FIRST,
		.payload = "soup",
		.payload_len = 4,
		.nb_subscribers = 40};
	struct sl_journal_reader *reader;
	sl_record_ref refs[3], plain;

	for (uint32_t i = 0; i < 3; i++) {
		m.id = i;
		refs[i] = maker_message(&s, &m);
	}
	plain = put_message(&s, 3);
	maker_seal(&s);
	maker_write(&s, directory);
	reader = open_reader(NULL);
	for (uint32_t n = 0; n < 200; n++) {
		assert_int_equal(
			sl_journal_reader_get(reader, maker_copy(refs[n % 3], n % 40), buf), 0);
		assert_int_equal(record->position, sl_record_ref_position(refs[n % 3]));
	}
	assert_int_equal(sl_journal_reader_get(reader, refs[1], buf), 0);
	assert_int_equal(sl_journal_reader_get(reader, maker_copy(refs[1], 40), buf), -EBADMSG);
	assert_int_equal(
		sl_journal_reader_get(reader, refs[1] | SL_RECORD_REF_COPY, buf), -EBADMSG);
	assert_int_equal(sl_journal_reader_get(reader, maker_copy(plain, 0), buf), -EBADMSG);
	assert_int_equal(
		sl_journal_reader_get(reader, maker_copy(refs[0], 3) & ~SL_RECORD_REF_COPY, buf),
		-EBADMSG);
	sl_journal_reader_close(reader);
	maker_end(&s);
}

#define STREAMS	 2u
#define MESSAGES 30000u

static struct sl_journal *
open_journal(struct sl_journal_recovery *recovery, uint64_t retention_bytes)
{
	struct sl_journal_params params = {.directory = directory,
		.segment_bytes = 1 << 20,
		.ring_bytes = 1 << 20,
		.max_bytes = UINT64_C(1) << 30,
		.retention_bytes = retention_bytes,
		.retention_ms = UINT64_C(1) << 40,
		.nb_streams = STREAMS,
		.node = "test"};
	const struct sl_journal_visitor nobody = {0};
	struct sl_journal *journal;
	char notice[512], error[512];

	assert_int_equal(sl_journal_recover(directory, &nobody, recovery, notice, sizeof(notice),
				 error, sizeof(error)),
		0);
	assert_int_equal(sl_journal_open(&params, recovery, &journal, error, sizeof(error)), 0);
	assert_int_equal(sl_journal_start(journal, -1), 0);
	return journal;
}

/* A name is the simplest record that tells one from another. False when there is no room. */
static bool
put_number(struct sl_record_ring *ring, uint64_t number, uint32_t len, sl_record_ref *ref)
{
	struct sl_record_name *name;

	sl_record_ring_refresh(ring);
	name = sl_record_ring_put(
		ring, SL_RECORD_NAME, (uint32_t)sizeof(*name) + len, FIRST + number);
	if (name == NULL)
		return false;
	name->key = number;
	memset(name->name, 'x', len);
	*ref = sl_record_ref_of(ring->stream, name->record.position);
	sl_record_ring_publish(ring);
	return true;
}

static void
behind_its_writer_it_reads_all_and_only_what_is_durable(void **state)
{
	sl_record_ref *refs[STREAMS];
	uint64_t put[STREAMS] = {0}, seen[STREAMS] = {0};
	struct sl_journal_recovery recovery;
	struct sl_journal_reader *reader;
	const struct sl_record *record;
	struct sl_journal *journal;
	struct test_rand r;
	int rc;

	test_rand_init(&r, "reader");
	for (uint32_t i = 0; i < STREAMS; i++)
		refs[i] = calloc(MESSAGES, sizeof(refs[i][0]));
	journal = open_journal(&recovery, UINT64_C(1) << 30);
	reader = open_reader(journal);
	while (seen[0] < MESSAGES || seen[1] < MESSAGES) {
		uint32_t stream = (uint32_t)test_rand_below(&r, STREAMS);
		struct sl_record_ring *ring = sl_journal_ring(journal, stream);

		for (uint64_t n = test_rand_below(&r, 50); n > 0 && put[stream] < MESSAGES; n--) {
			if (!put_number(ring, put[stream], (uint32_t)test_rand_below(&r, 300),
				    &refs[stream][put[stream]]))
				break;
			put[stream]++;
		}
		while ((rc = sl_journal_reader_next(reader, stream, &record)) == 1) {
			assert_int_equal(record->position,
				sl_record_ref_position(refs[stream][seen[stream]]));
			assert_int_equal(
				((const struct sl_record_name *)record)->key, seen[stream]);
			assert_true(record->position < atomic_load(&ring->durable));
			seen[stream]++;
		}
		assert_int_equal(rc, 0);
	}
	assert_int_equal(sl_journal_reader_get(reader,
				 sl_record_ref_of(0, sl_journal_reader_position(reader, 0)), buf),
		-EAGAIN);
	/* In order, as a queue is read back; and anywhere. */
	for (uint32_t i = 0; i < 2 * MESSAGES; i++) {
		uint64_t at = i < MESSAGES ? i : test_rand_below(&r, MESSAGES);

		for (uint32_t stream = 0; stream < STREAMS; stream++) {
			assert_int_equal(sl_journal_reader_get(reader, refs[stream][at], buf), 0);
			assert_int_equal(((struct sl_record_name *)buf)->key, at);
		}
	}
	sl_journal_stop(journal);
	sl_journal_reader_close(reader);
	sl_journal_close(journal);
	/* And without it, when it has ended in order. */
	reader = open_reader(NULL);
	for (uint64_t i = 0; i < MESSAGES; i++)
		expect(reader, 1, refs[1][i]);
	assert_int_equal(sl_journal_reader_next(reader, 1, &record), 1);
	assert_int_equal(record->type, SL_RECORD_CLOSE);
	expect_none(reader, 1);
	sl_journal_reader_close(reader);
	for (uint32_t i = 0; i < STREAMS; i++)
		free(refs[i]);
}

static void
it_goes_on_from_an_older_run_into_the_writers(void **state)
{
	struct maker_segment a = maker_begin(1, 0, 0, 0, 1 << 20);
	struct sl_journal_recovery recovery;
	struct sl_journal_reader *reader;
	struct sl_journal *journal;
	sl_record_ref refs[3], torn;

	refs[0] = put_message(&a, 0);
	torn = put_message(&a, 1);
	put_message(&a, 2);
	*maker_at(&a, sl_record_ref_position(torn) + 44) ^= 1;
	maker_seal(&a);
	maker_write(&a, directory);
	journal = open_journal(&recovery, UINT64_C(1) << 30);
	assert_int_equal(recovery.nb_cut, 1);
	reader = open_reader(journal);
	expect(reader, 0, refs[0]);
	expect_none(reader, 0);
	expect_none(reader, 0);
	assert_true(put_number(sl_journal_ring(journal, 0), 7, 10, &refs[1]));
	while (atomic_load(&sl_journal_ring(journal, 0)->durable) <=
		sl_record_ref_position(refs[1]))
		usleep(100);
	expect(reader, 0, refs[1]);
	expect_none(reader, 0);
	assert_int_equal(sl_journal_reader_get(reader, refs[0], buf), 0);
	sl_journal_reader_close(reader);
	sl_journal_close(journal);
	maker_end(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			without_a_writer_it_follows_to_the_last_whole_record, empty_directory),
		cmocka_unit_test_setup(waiting_at_the_end_reads_next_to_nothing, empty_directory),
		cmocka_unit_test_setup(
			a_record_that_comes_by_pieces_is_waited_for, empty_directory),
		cmocka_unit_test_setup(
			what_is_deleted_and_what_is_damaged_is_told, empty_directory),
		cmocka_unit_test_setup(a_stream_is_read_on_where_names_get_longer, empty_directory),
		cmocka_unit_test_setup(what_a_subscriber_is_to_get_is_its_message, empty_directory),
		cmocka_unit_test_setup(
			behind_its_writer_it_reads_all_and_only_what_is_durable, empty_directory),
		cmocka_unit_test_setup(
			it_goes_on_from_an_older_run_into_the_writers, empty_directory),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
