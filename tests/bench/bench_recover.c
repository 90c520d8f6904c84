/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * How long the recovery of a journal takes, and how much memory; then how long it takes to read all
 * of it, and to get every undelivered message as a queue is read back: bench_recover DIRECTORY.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "sl_journal.h"

struct refs {
	sl_record_ref *refs;
	uint64_t nb;
	uint64_t room;
};

static int
keep(void *arg, const struct sl_record *record, sl_record_ref ref)
{
	struct refs *refs = arg;

	if (refs->nb == refs->room) {
		refs->room = refs->room == 0 ? 4096 : 2 * refs->room;
		refs->refs = realloc(refs->refs, refs->room * sizeof(ref));
		if (refs->refs == NULL)
			return -1;
	}
	refs->refs[refs->nb++] = ref;
	return 0;
}

static double
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int
read_back(const char *directory, const struct refs *refs)
{
	static uint8_t buf[SL_RECORD_LEN_MAX] __attribute__((aligned(SL_RECORD_ALIGN)));
	struct sl_journal_reader *reader;
	const struct sl_record *record;
	uint64_t nb = 0;
	double begin = now_s(), seconds;
	char error[1024];

	if (sl_journal_reader_open(directory, NULL, &reader, error, sizeof(error)) != 0) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	for (uint32_t stream = 0; stream < SL_STREAMS_MAX; stream++) {
		while (sl_journal_reader_next(reader, stream, &record) == 1)
			nb++;
	}
	seconds = now_s() - begin;
	printf("{\"read\": %" PRIu64 ", \"seconds\": %.3f, \"records_per_s\": %.0f}\n", nb, seconds,
		(double)nb / seconds);
	begin = now_s();
	for (uint64_t i = 0; i < refs->nb; i++) {
		if (sl_journal_reader_get(reader, refs->refs[i], buf) != 0) {
			fprintf(stderr, "%s\n", sl_journal_reader_error(reader));
			return 1;
		}
	}
	seconds = now_s() - begin;
	printf("{\"got\": %" PRIu64 ", \"seconds\": %.3f, \"records_per_s\": %.0f}\n", refs->nb,
		seconds, (double)refs->nb / seconds);
	sl_journal_reader_close(reader);
	return 0;
}

int
main(int argc, char **argv)
{
	struct refs undelivered = {0};
	struct sl_journal_visitor visitor = {.undelivered = keep, .arg = &undelivered};
	struct sl_journal_recovery recovery;
	char notice[1024], error[1024];
	struct rusage usage;
	double begin = now_s(), seconds;
	int rc;

	if (argc != 2) {
		fprintf(stderr, "usage: bench_recover DIRECTORY\n");
		return 2;
	}
	if (sl_journal_recover(argv[1], &visitor, &recovery, notice, sizeof(notice), error,
		    sizeof(error)) != 0) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	seconds = now_s() - begin;
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"records\": %" PRIu64 ", \"messages\": %" PRIu64 ", \"undelivered\": %" PRIu64
	       ", \"bytes\": %" PRIu64
	       ", \"seconds\": %.3f, \"records_per_s\": %.0f, \"max_rss_kib\": %ld}\n",
		recovery.nb_records, recovery.nb_messages, recovery.nb_undelivered, recovery.bytes,
		seconds, (double)recovery.nb_records / seconds, usage.ru_maxrss);
	rc = read_back(argv[1], &undelivered);
	free(undelivered.refs);
	return rc;
}
