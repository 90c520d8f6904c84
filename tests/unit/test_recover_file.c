/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Two files of the journal's own writer, with records of all types, cut at every byte and with
 * every bit wrong: what is recovered is the begin of what was written, and what is missing is told.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <rte_common.h>

#include "journal_told.h"

#define MIB	 (UINT64_C(1) << 20)
#define FILES	 2u
#define RECORDS	 64u
#define OUTCOMES 4u
#define DULL	 256u /* What is behind that in a large record. */
#define STEP	 61u  /* Between cuts of a header. */
/* A run begins in another segment than the last one ended in: this one is short. */
#define LAST_END (MIB - 4096)
#define BEGIN	 (2 * MIB - 4096)
#define SECOND	 (2 * MIB)

/* A record that was written; of a PAD and the CLOSE there is nothing to tell. */
struct written {
	uint64_t position;
	uint32_t len;
	uint8_t type;
	uint8_t nb_subscribers;
	uint8_t nb_outcomes;
	sl_record_ref outcomes[OUTCOMES];
};

struct file {
	char path[512];
	uint8_t bytes[4 * SL_SEGMENT_HEADER] __attribute__((aligned(SL_RECORD_ALIGN)));
	size_t size; /* To the end of the last record. */
	uint64_t base;
	uint32_t first; /* Of its records. */
	uint32_t nb;
	int fd;
};

static struct {
	struct written all[RECORDS];
	uint32_t nb;
} written;

static struct file files[FILES];

/* In order, as they stand in the ring. */

static void *
put(struct sl_record_ring *ring, enum sl_record_type type, uint32_t len)
{
	struct sl_record *record = sl_record_ring_put(ring, type, len, FIRST + written.nb);

	assert_non_null(record);
	assert_true(written.nb < RECORDS);
	written.all[written.nb++] = (struct written){
		.position = record->position, .len = len, .type = (uint8_t)type};
	return record;
}

static void
put_name(struct sl_record_ring *ring, uint32_t len)
{
	struct sl_record_name *name = put(ring, SL_RECORD_NAME, (uint32_t)sizeof(*name) + len);

	name->key = name->record.position;
	memset(name->name, 'n', len);
}

static void
put_config(struct sl_record_ring *ring)
{
	struct sl_record_config *config = put(ring, SL_RECORD_CONFIG, sizeof(*config));

	config->epoch = 7;
	config->version = 1;
}

static void
put_duplicate(struct sl_record_ring *ring)
{
	struct sl_record_duplicate *duplicate = put(ring, SL_RECORD_DUPLICATE, sizeof(*duplicate));

	duplicate->session = 5;
	duplicate->sequence = 6;
}

static sl_record_ref
put_message(struct sl_record_ring *ring, uint32_t payload_len, uint16_t nb_subscribers)
{
	static const uint8_t payload[2048] = "payload";
	const struct maker_message from = {.source = "server1",
		.destination = "table1",
		.type = "lunch",
		.id = written.nb,
		.sequence = written.nb,
		.session = 5,
		.priority = 3,
		.payload = payload,
		.payload_len = payload_len,
		.nb_subscribers = nb_subscribers};
	struct sl_record_message *record = put(ring, SL_RECORD_MESSAGE, maker_record_len(&from));

	maker_fill_message(record, &from);
	written.all[written.nb - 1].nb_subscribers = (uint8_t)nb_subscribers;
	return sl_record_ref_of(0, record->record.position);
}

static void
put_done(struct sl_record_ring *ring, const sl_record_ref *refs, uint8_t nb)
{
	struct sl_record_done *done = put(
		ring, SL_RECORD_DONE, (uint32_t)(sizeof(*done) + nb * sizeof(done->outcomes[0])));
	struct written *last = &written.all[written.nb - 1];

	done->backend = 9;
	done->nb_outcomes = nb;
	last->nb_outcomes = nb;
	for (uint8_t i = 0; i < nb; i++) {
		done->outcomes[i] = (struct sl_record_outcome_of){.message = refs[i],
			.attempts = 1,
			.outcome = i == 0 ? SL_OUTCOME_DELIVERED : SL_OUTCOME_DEAD};
		last->outcomes[i] = refs[i];
	}
}

static void
put_all(struct sl_record_ring *ring)
{
	sl_record_ref refs[OUTCOMES], topic;

	put_config(ring);
	for (uint32_t len = 0; len < 40; len += 7)
		put_name(ring, len);
	for (uint32_t i = 0; i < OUTCOMES; i++)
		refs[i] = put_message(ring, 13 * i, 0);
	put_duplicate(ring);
	topic = put_message(ring, 20, 3);
	put_done(ring, refs, 2);
	refs[0] = maker_copy(topic, 1);
	put_done(ring, refs, 1);
	put_message(ring, 1700, 0);
	/* It does not fit. */
	put_message(ring, 1000, 0);
	refs[0] = maker_copy(topic, 2);
	put_done(ring, refs, 1);
	put_done(ring, &refs[2], 2);
	put_duplicate(ring);
	put_message(ring, 31, 2);
	put_config(ring);
	put_message(ring, 3, 0);
	put_name(ring, 5);
	sl_record_ring_publish(ring);
}

/* Have the writer write it, and end in order. */
static void
write_files(void)
{
	const struct sl_journal_params params = {.directory = directory,
		.segment_bytes = MIB,
		.ring_bytes = MIB,
		.max_bytes = 16 * MIB,
		.retention_bytes = 16 * MIB,
		.retention_ms = UINT64_C(1) << 40,
		.nb_streams = 1,
		.node = "test"};
	static struct sl_journal_recovery recovery = {.incarnation = 1, .end = {LAST_END}};
	struct sl_journal *journal;
	char error[512];

	assert_int_equal(sl_journal_open(&params, &recovery, &journal, error, sizeof(error)), 0);
	assert_int_equal(sl_journal_start(journal, -1), 0);
	put_all(sl_journal_ring(journal, 0));
	sl_journal_close(journal);
}

static void
load_file(const char *name)
{
	const struct sl_segment_header *header;
	struct file *file;
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_RDWR);
	file = &files[strtoull(strchr(name, '-') + 1, NULL, 16) == BEGIN ? 0 : 1];
	/* The others were made ahead. */
	if (file->path[0] != '\0' || pread(fd, file->bytes, sizeof(file->bytes), 0) < 4096 ||
		journal_header_check(file->bytes) != JOURNAL_HEADER_OK) {
		close(fd);
		unlink(path);
		return;
	}
	header = (const void *)file->bytes;
	memcpy(file->path, path, sizeof(path));
	file->fd = fd;
	file->base = header->base;
	file->first = file->base == BEGIN ? 0 : files[0].nb;
}

static void
load_files(void)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (strstr(entry->d_name, ".seg") != NULL)
			load_file(entry->d_name);
	}
	closedir(dir);
}

/* Which records stand in which file, and where each of those ends. */
static void
measure_files(void)
{
	const struct written *last = &written.all[written.nb - 1];
	const struct sl_record *close_record;

	for (uint32_t i = 0; i < written.nb; i++)
		files[written.all[i].position >= SECOND].nb++;
	files[1].first = files[0].nb;
	files[0].size = SL_SEGMENT_HEADER + (SECOND - BEGIN);
	files[1].size = SL_SEGMENT_HEADER + (last->position - SECOND) + sl_record_stride(last->len);
	close_record = (const void *)(files[1].bytes + files[1].size);
	assert_int_equal(close_record->type, SL_RECORD_CLOSE);
	files[1].size += close_record->len;
	assert_true(files[0].nb > 0 && files[1].nb > 0);
	assert_true(files[1].size <= sizeof(files[1].bytes));
}

static void
restore(void)
{
	for (uint32_t i = 0; i < FILES; i++) {
		assert_int_equal(
			pwrite(files[i].fd, files[i].bytes, files[i].size, 0), files[i].size);
		assert_int_equal(ftruncate(files[i].fd, (off_t)files[i].size), 0);
	}
}

static void
forget_mark(const struct file *file)
{
	static const uint8_t no_mark[sizeof(struct sl_segment_mark)];

	assert_int_equal(pwrite(file->fd, no_mark, sizeof(no_mark), SL_SEGMENT_MARK_OFFSET),
		sizeof(no_mark));
}

/* What has to be told of the first records, worked out by itself. */

static bool
is_done(uint32_t nb, sl_record_ref ref)
{
	for (uint32_t i = 0; i < nb; i++) {
		for (uint32_t j = 0; j < written.all[i].nb_outcomes; j++) {
			if (written.all[i].outcomes[j] == ref)
				return true;
		}
	}
	return false;
}

static void
expect_message(struct told *told, uint32_t nb, const struct written *w)
{
	sl_record_ref ref = sl_record_ref_of(0, w->position), copy;

	if (w->nb_subscribers == 0 && !is_done(nb, ref))
		told->undelivered[told->nb_undelivered++] = ref;
	for (uint32_t i = 0; i < w->nb_subscribers; i++) {
		copy = maker_copy(ref, i);
		if (!is_done(nb, copy))
			told->undelivered[told->nb_undelivered++] = copy;
	}
}

/* Nothing else, and nothing behind something that is missing. */
static void
is_begin(const struct told *told, uint32_t nb)
{
	static struct told expected;

	expected.nb_names = expected.nb_recent = expected.nb_undelivered = 0;
	for (uint32_t i = 0; i < nb; i++) {
		const struct written *w = &written.all[i];

		if (w->type == SL_RECORD_NAME)
			expected.names[expected.nb_names++] = w->position;
		if (w->type == SL_RECORD_MESSAGE || w->type == SL_RECORD_DUPLICATE)
			expected.recent[expected.nb_recent++] = sl_record_ref_of(0, w->position);
		if (w->type == SL_RECORD_MESSAGE)
			expect_message(&expected, nb, w);
	}
	assert_int_equal(told->nb_names, expected.nb_names);
	assert_memory_equal(told->names, expected.names, told->nb_names * sizeof(told->names[0]));
	assert_int_equal(told->nb_recent, expected.nb_recent);
	assert_memory_equal(
		told->recent, expected.recent, told->nb_recent * sizeof(told->recent[0]));
	assert_int_equal(told->nb_undelivered, expected.nb_undelivered);
	assert_memory_equal(told->undelivered, expected.undelivered,
		told->nb_undelivered * sizeof(told->undelivered[0]));
}

/* The begin of a record in its file. */
static size_t
offset_of(const struct file *file, const struct written *w)
{
	return SL_SEGMENT_HEADER + (size_t)(w->position - file->base);
}

/* Of a file that is cut: how many of its records there are. */
static uint32_t
nb_whole(const struct file *file, size_t size)
{
	const struct written *w = &written.all[file->first];
	uint32_t n = 0;

	while (n < file->nb && offset_of(file, &w[n]) + w[n].len <= size)
		n++;
	return n;
}

static int
set_up(void **state)
{
	struct told told;

	if (make_directory(state) != 0)
		return -1;
	write_files();
	load_files();
	measure_files();
	restore();
	assert_int_equal(recover(&told), 0);
	assert_string_equal(told.notice, "");
	assert_int_equal(told.recovery.nb_segments, FILES);
	is_begin(&told, written.nb);
	return 0;
}

static int
tear_down(void **state)
{
	for (uint32_t i = 0; i < FILES; i++)
		close(files[i].fd);
	return remove_directory(state);
}

static void
cut(const struct file *file, size_t size)
{
	struct told told;

	assert_int_equal(ftruncate(file->fd, (off_t)size), 0);
	if (size > 0 && size < SL_SEGMENT_HEADER) {
		assert_int_equal(recover(&told), -EBADMSG);
		return;
	}
	assert_int_equal(recover(&told), 0);
	is_begin(&told, file->first + nb_whole(file, size));
}

/* As a crash would leave it: the mark that tells how far all was synced comes later. */
static void
cut_anywhere_the_begin_is_recovered(void **state)
{
	restore();
	for (uint32_t i = FILES; i-- > 0;) {
		forget_mark(&files[i]);
		for (size_t size = files[i].size; size-- > SL_SEGMENT_HEADER;)
			cut(&files[i], size);
		for (size_t size = SL_SEGMENT_HEADER; size-- > STEP; size -= STEP - 1)
			cut(&files[i], size);
		cut(&files[i], 0);
		/* It is empty: the one before is the last there is. */
	}
}

/* What was synced cannot be missing by a crash. */
static void
cut_before_what_was_synced_it_is_refused(void **state)
{
	const struct file *file = &files[1];
	uint64_t synced = SL_SEGMENT_HEADER + journal_mark_read(file->bytes) - file->base;
	struct told told;

	restore();
	assert_int_equal(nb_whole(file, synced), file->nb);
	for (size_t size = file->size; size-- > SL_SEGMENT_HEADER;) {
		assert_int_equal(ftruncate(file->fd, (off_t)size), 0);
		if (nb_whole(file, size) < file->nb) {
			assert_int_equal(recover(&told), -EBADMSG);
			assert_non_null(strstr(told.error, ".seg"));
		} else {
			assert_int_equal(recover(&told), 0);
			is_begin(&told, written.nb);
		}
	}
}

/* By the next one's header all of it was durable, the pad, too. */
static void
cut_before_the_last_file_it_is_refused(void **state)
{
	const struct file *file = &files[0];
	struct told told;

	restore();
	/* With nothing in it, it is none: the oldest may be missing. */
	for (size_t size = file->size; --size > 0;) {
		if (size < SL_SEGMENT_HEADER && size % STEP != 0)
			continue;
		assert_int_equal(ftruncate(file->fd, (off_t)size), 0);
		assert_int_equal(recover(&told), -EBADMSG);
		assert_non_null(strstr(told.error, ".seg"));
	}
}

enum place {
	IN_RECORD, /* Or in the header: what has a checksum, or has to be 0. */
	IN_MARK,
	IN_CLOSE,
	BETWEEN, /* What aligns the next record is told to be nothing. */
};

static enum place
place_of(const struct file *file, size_t at)
{
	const struct written *w = &written.all[file->first];
	uint32_t n = 0;

	if (at < SL_SEGMENT_HEADER)
		return at >= SL_SEGMENT_MARK_OFFSET &&
				at < SL_SEGMENT_MARK_OFFSET + sizeof(struct sl_segment_mark)
			? IN_MARK
			: IN_RECORD;
	while (n + 1 < file->nb && offset_of(file, &w[n + 1]) <= at)
		n++;
	if (at < offset_of(file, &w[n]) + w[n].len)
		return IN_RECORD;
	if (at < offset_of(file, &w[n]) + sl_record_stride(w[n].len))
		return BETWEEN;
	/* Behind the last one: the PAD, or the CLOSE. */
	return file == &files[0] ? IN_RECORD : IN_CLOSE;
}

/* What is wrong is refused; what nothing depends on changes nothing of what is told. */
static void
is_found(const struct file *file, size_t at)
{
	enum place place = place_of(file, at);
	struct told told;
	int rc = recover(&told);

	if (place == IN_RECORD) {
		assert_int_equal(rc, -EBADMSG);
		assert_non_null(strstr(told.error, strrchr(file->path, '/')));
		return;
	}
	assert_int_equal(rc, 0);
	is_begin(&told, written.nb);
	if (place == IN_MARK)
		assert_non_null(strstr(told.notice, "mark"));
	if (place == BETWEEN)
		assert_string_equal(told.notice, "");
}

/* Most of a header is 0, and most of what fills the first file a payload or pad: a bit of each byte
 * is enough of that. */
static bool
is_looked_at(const struct file *file, size_t at, unsigned int bit)
{
	const struct written *w = &written.all[file->first + file->nb - 1];
	bool is_dull = at > SL_SEGMENT_MARK_OFFSET + sizeof(struct sl_segment_mark) &&
		at < SL_SEGMENT_HEADER;

	if (file == &files[0])
		is_dull |= at > offset_of(file, w) + DULL;
	else
		w = &written.all[file->first];
	is_dull |= at > offset_of(file, w) + DULL && at < offset_of(file, w) + w->len;
	return !is_dull || bit == at % 8;
}

static void
every_wrong_bit_is_found(void **state)
{
	restore();
	for (uint32_t i = 0; i < FILES; i++) {
		const struct file *file = &files[i];

		for (size_t at = 0; at < file->size; at++) {
			for (unsigned int bit = 0; bit < 8; bit++) {
				uint8_t byte = file->bytes[at] ^ (uint8_t)(1u << bit);

				if (!is_looked_at(file, at, bit))
					continue;
				assert_int_equal(pwrite(file->fd, &byte, 1, (off_t)at), 1);
				is_found(file, at);
			}
			assert_int_equal(pwrite(file->fd, &file->bytes[at], 1, (off_t)at), 1);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_before_what_was_synced_it_is_refused),
		cmocka_unit_test(cut_before_the_last_file_it_is_refused),
		cmocka_unit_test(every_wrong_bit_is_found),
		cmocka_unit_test(cut_anywhere_the_begin_is_recovered),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
