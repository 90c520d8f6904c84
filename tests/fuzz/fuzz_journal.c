/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Any bytes as the files of a journal. The input is cut into up to four files: of each the header's
 * fields, the mark and what follows the header. Checksums and positions are mended when the input
 * says so. Recovery, the reader and the reports have to agree: what is recovered can be read, all
 * of it; and what a repair has mended, recovers.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal_internal.h"
#include "sl_journal_report.h"

#define FILES_MAX 4u
#define BODY_MAX  16384u
/* Of the input, in front of each file: what is mended, and fields of its header. */
#define PART_HEAD 8u

#define MEND_HEADER  0x1
#define MEND_RECORDS 0x2
#define MEND_MARK    0x4
#define CUT_SHORT    0x8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[64];
static FILE *nowhere;

static void
require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_journal: %s\n", what);
	abort();
}

static void
clean(void)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir != NULL)
		closedir(dir);
}

static void
remove_all(void)
{
	clean();
	rmdir(directory);
}

static void
prepare(void)
{
	if (directory[0] != '\0')
		return;
	snprintf(directory, sizeof(directory), "/dev/shm/sluice-fuzz-XXXXXX");
	nowhere = fopen("/dev/null", "w");
	require(mkdtemp(directory) != NULL && nowhere != NULL, "no directory to work in");
	atexit(remove_all);
}

static void
mend_records(uint8_t *block, const struct sl_segment_header *header, size_t len)
{
	uint64_t position = header->first;
	uint64_t end = header->base + len;

	while (position + sizeof(struct sl_record) <= end) {
		struct sl_record *record = (struct sl_record *)(block + SL_SEGMENT_HEADER +
			(position - header->base));

		if (record->len < sizeof(*record))
			break;
		if (record->len > end - position)
			record->len = (uint32_t)(end - position);
		record->position = position;
		record->incarnation = header->incarnation;
		record->type = (uint8_t)(1 + record->type % SL_RECORD_CLOSE);
		sl_record_seal(record, record->unsynced % 2 == 0 ? 0 : position);
		position += sl_record_stride(record->len);
	}
}

/* Returns how much of the input it took. */
static size_t
make_file(const uint8_t *data, size_t size, uint32_t number)
{
	static uint8_t block[SL_SEGMENT_HEADER + BODY_MAX] __attribute__((aligned(4096)));
	struct sl_segment_header *header = (struct sl_segment_header *)block;
	struct journal_name name;
	char text[JOURNAL_NAME_SIZE], path[128];
	size_t len, body;
	int fd;

	memset(block, 0, sizeof(block));
	len = PART_HEAD + data[1] * 16u;
	if (len > size)
		len = size;
	body = len - PART_HEAD;
	name = (struct journal_name){
		.stream = data[2] % 3, .take = number, .base = data[3] % 8 * 4096u};
	header->stream = name.stream;
	header->base = name.base;
	header->end = header->base + (1 + data[4] % 4) * 4096u;
	header->first = header->base + data[5] * 16u % 4096;
	header->previous_end = header->first - (data[6] % 16 == 0 ? header->first / 2 : 0);
	header->incarnation = 1 + data[7] % 3;
	header->number = number;
	memcpy(block + SL_SEGMENT_HEADER, data + PART_HEAD, body);
	if (data[0] & MEND_HEADER)
		journal_header_seal(block);
	if (data[0] & MEND_RECORDS)
		mend_records(block, header, body);
	if (data[0] & MEND_MARK)
		journal_mark_seal(block, header->stream, header->first + data[6] * 16u);
	journal_name_format(text, &name);
	snprintf(path, sizeof(path), "%s/%s", directory, text);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	body = (data[0] & CUT_SHORT) ? SL_SEGMENT_HEADER + body
				     : SL_SEGMENT_HEADER + (size_t)(header->end - header->base);
	require(fd >= 0 && write(fd, block, body) == (ssize_t)body, "a file cannot be written");
	close(fd);
	return len;
}

static int
count(void *arg, const struct sl_record *record, sl_record_ref ref)
{
	++*(uint64_t *)arg;
	return 0;
}

static int
recover(struct sl_journal_recovery *recovery)
{
	uint64_t nb_undelivered = 0, nb_recent = 0;
	struct sl_journal_visitor visitor = {.undelivered = count, .arg = &nb_undelivered};
	char notice[256], error[256];
	int rc;

	rc = sl_journal_recover(
		directory, &visitor, recovery, notice, sizeof(notice), error, sizeof(error));
	require(rc == 0 || rc == -EBADMSG, "a recovery failed, and not for damage");
	require((rc != 0) == (error[0] != '\0'), "a refusal without a reason");
	if (rc != 0)
		return rc;
	require(nb_undelivered == recovery->nb_undelivered, "undelivered messages are missing");
	visitor = (struct sl_journal_visitor){.recent = count, .arg = &nb_recent};
	require(sl_journal_recover(directory, &visitor, recovery, notice, sizeof(notice), error,
			sizeof(error)) == 0,
		"a second recovery finds something else");
	require(nb_recent >= recovery->nb_messages, "messages are missing");
	return 0;
}

/* All that was recovered can be read, and nothing else. */
static void
read_all(const struct sl_journal_recovery *recovery, bool is_recovered)
{
	static uint8_t buf[SL_RECORD_LEN_MAX] __attribute__((aligned(SL_RECORD_ALIGN)));
	struct sl_journal_reader *reader;
	const struct sl_record *record;
	uint64_t nb = 0;
	char error[256];
	int rc;

	require(sl_journal_reader_open(directory, NULL, &reader, error, sizeof(error)) == 0,
		"the reader cannot be opened");
	for (uint32_t stream = 0; stream < 4; stream++) {
		while ((rc = sl_journal_reader_next(reader, stream, &record)) == 1) {
			sl_record_ref ref = sl_record_ref_of(stream, record->position);

			nb++;
			require(sl_journal_reader_get(reader, ref, buf) == 0,
				"what was read cannot be got");
			require(memcmp(buf, record, record->len) == 0, "it is not the same");
		}
		require(!is_recovered || rc == 0, "the reader finds damage that recovery does not");
	}
	require(!is_recovered || nb == recovery->nb_records, "records are missing");
	sl_journal_reader_close(reader);
}

static void
report(bool is_recovered)
{
	const struct sl_journal_report_params params = {.directory = directory};
	const struct sl_journal_filter all = {0};
	struct sl_journal_report *r;
	char error[256];

	require(sl_journal_report_open(&params, &r, error, sizeof(error)) == 0,
		"the report cannot be opened");
	require(is_recovered || sl_journal_report_nb_damaged(r) > 0,
		"what is refused is not reported");
	sl_journal_report_info(r, nowhere, false);
	sl_journal_report_verdict(r, nowhere, true);
	require(sl_journal_report_list(r, &all, nowhere, false, error, sizeof(error)) == 0 &&
			sl_journal_report_dump(r, &all, nowhere, true, error, sizeof(error)) == 0,
		"records cannot be told");
	sl_journal_report_close(r);
}

static void
repair(bool is_cut)
{
	struct sl_journal_repair what = {.is_cut = is_cut};
	struct sl_journal_recovery recovery;
	char error[256];
	int rc;

	/* One stream after the other, and then what no stream is behind. */
	for (; is_cut && what.stream < 3; what.stream++) {
		rc = sl_journal_repair(directory, &what, nowhere, error, sizeof(error));
		require(rc >= 0, error);
	}
	what.is_cut = false;
	rc = sl_journal_repair(directory, &what, nowhere, error, sizeof(error));
	require(rc >= 0, error);
	require(recover(&recovery) == 0, "what was repaired does not recover");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_journal_recovery recovery;
	bool is_cut = size > 0 && (data[0] & 0x80) != 0;
	int rc;

	prepare();
	clean();
	for (uint32_t i = 0; i < FILES_MAX && size > PART_HEAD; i++) {
		size_t len = make_file(data, size, i);

		data += len;
		size -= len;
	}
	rc = recover(&recovery);
	read_all(&recovery, rc == 0);
	report(rc == 0);
	if (rc != 0)
		repair(is_cut);
	return 0;
}
