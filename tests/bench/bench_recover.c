/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* How long the recovery of a journal takes, and how much memory: bench_recover DIRECTORY. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "sl_journal.h"

static int
count(void *arg, const struct sl_record *record, sl_record_ref ref)
{
	++*(uint64_t *)arg;
	return 0;
}

static double
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	uint64_t nb = 0;
	struct sl_journal_visitor visitor = {
		.undelivered = count, .recent = count, .name = count, .arg = &nb};
	struct sl_journal_recovery recovery;
	char notice[1024], error[1024];
	struct rusage usage;
	double begin = now_s(), seconds;

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
	return 0;
}
