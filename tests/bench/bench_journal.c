/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * How many records a second one ring and the journal's thread make durable, and how long one takes
 * from being made to being told durable at half that rate; against the disk itself: a thread that
 * writes and syncs blocks of the size of those batches into a file that was filled before, in the
 * same way (O_DIRECT or not), alone and beside the same busy worker, in turns with the journal.
 *
 * bench_journal DIRECTORY [--rounds N] [--seconds N] [--size BYTES] [--rate RECORDS_PER_S]
 *               [--buffered] [--json FILE]
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_pause.h>

#include "sl_hist.h"
#include "sl_journal.h"

#define MIB	   (UINT64_C(1) << 20)
#define ROUNDS_MAX 100
#define BURST	   32u /* Records of one turn of a worker. */
#define DISK_FILE  (64 * MIB)

struct options {
	const char *directory;
	unsigned int rounds;
	double seconds;
	uint32_t size;
	double rate; /* 0: half of the highest. */
	bool is_direct;
	const char *json;
};

struct run {
	double records_per_s;
	double mb_per_s;
	double batches_per_s;
	double batch_bytes;
	double sync_us;
	double p50_us;
	double p99_us;
	double thread_cpu; /* Of the journal's thread: 1 is a core. */
};

struct times {
	double p50_us;
	double p99_us;
};

struct round {
	struct run most;
	struct run half;
	struct times disk_alone;
	struct times disk_beside; /* Of a worker as busy as with the journal. */
};

static struct sl_hist latency;
static uint64_t nb_told;

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void
on_durable(void *arg, const struct sl_record *record, uint64_t now_ns)
{
	sl_hist_add(&latency, now_ns > record->time_ns ? now_ns - record->time_ns : 0);
	nb_told++;
}

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "bench_journal: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

/* What a worker does in a turn. Returns how many it had room for. */
static unsigned int
put_burst(struct sl_record_ring *ring, const uint8_t *message, uint32_t size, unsigned int n)
{
	uint64_t now_ns = clock_ns(CLOCK_REALTIME);
	struct sl_record_message *record;
	unsigned int i;

	sl_record_ring_refresh(ring);
	for (i = 0; i < n; i++) {
		record = sl_record_ring_put(ring, SL_RECORD_MESSAGE, size, now_ns);
		if (record == NULL)
			break;
		record->session = 1;
		record->publisher = 1;
		record->class_index = 0;
		memcpy(record + 1, message, size - sizeof(*record));
	}
	sl_record_ring_publish(ring);
	return i;
}

/* Put records for a time, at a rate or (0) as many as there is room for. Returns their number. */
static uint64_t
load(struct sl_record_ring *ring, const struct options *o, double rate)
{
	static uint8_t message[SL_RECORD_LEN_MAX];
	uint64_t start_ns = clock_ns(CLOCK_MONOTONIC), end_ns, now_ns, nb = 0;

	end_ns = start_ns + (uint64_t)(o->seconds * 1e9);
	while ((now_ns = clock_ns(CLOCK_MONOTONIC)) < end_ns) {
		uint64_t due = rate == 0 ? UINT64_MAX
					 : (uint64_t)((double)(now_ns - start_ns) * rate / 1e9);
		unsigned int n = 0;

		if (due > nb)
			n = put_burst(ring, message, o->size,
				(unsigned int)RTE_MIN(due - nb, (uint64_t)BURST));
		nb += n;
		if (n == 0)
			rte_pause();
	}
	return nb;
}

static double
cpu_of_others_s(void)
{
	struct rusage all, mine;

	getrusage(RUSAGE_SELF, &all);
	getrusage(RUSAGE_THREAD, &mine);
	return (double)(all.ru_utime.tv_sec + all.ru_stime.tv_sec - mine.ru_utime.tv_sec -
		       mine.ru_stime.tv_sec) +
		(double)(all.ru_utime.tv_usec + all.ru_stime.tv_usec - mine.ru_utime.tv_usec -
			mine.ru_stime.tv_usec) /
		1e6;
}

static struct run
measure(struct sl_journal *journal, const struct options *o, double rate)
{
	static struct sl_journal_status before, after;
	double seconds, cpu_s = cpu_of_others_s();
	uint64_t start_ns, batches, nb;

	memset(&latency, 0, sizeof(latency));
	nb_told = 0;
	sl_journal_get_status(journal, &before);
	start_ns = clock_ns(CLOCK_MONOTONIC);
	nb = load(sl_journal_ring(journal, 0), o, rate);
	do {
		usleep(100);
		sl_journal_get_status(journal, &after);
	} while (after.pending_bytes > 0 && after.state == SL_JOURNAL_OK);
	seconds = (double)(clock_ns(CLOCK_MONOTONIC) - start_ns) / 1e9;
	usleep(2000); /* The last batch is told before its ring is, its counters after. */
	sl_journal_get_status(journal, &after);
	if (after.records - before.records != nb || nb_told != nb)
		die("not all records became durable", after.what);
	batches = RTE_MAX(after.batches - before.batches, UINT64_C(1));
	return (struct run){
		.records_per_s = (double)nb / seconds,
		.mb_per_s = (double)(after.bytes - before.bytes) / seconds / 1e6,
		.batches_per_s = (double)batches / seconds,
		.batch_bytes = (double)(after.bytes - before.bytes) / (double)batches,
		.sync_us = (double)(after.sync_ns.sum - before.sync_ns.sum) /
			(double)RTE_MAX(after.syncs - before.syncs, UINT64_C(1)) / 1e3,
		.p50_us = (double)sl_hist_quantile(&latency, 0.5) / 1e3,
		.p99_us = (double)sl_hist_quantile(&latency, 0.99) / 1e3,
		.thread_cpu = (cpu_of_others_s() - cpu_s) / seconds,
	};
}

struct disk {
	const struct options *options;
	char path[4096];
	uint8_t *bytes;
	size_t size; /* Of a block. */
	int fd;
	struct sl_hist hist;
};

/* As often as records come in that time at a steady rate, as what the journal's are counted by. */
static void
add_weighted(struct sl_hist *hist, uint64_t ns)
{
	uint64_t weight = ns / 1000 + 1;

	hist->count += weight;
	hist->sum += weight * ns;
	hist->max = RTE_MAX(hist->max, ns);
	hist->buckets[sl_hist_bucket(ns)] += weight;
}

/* Blocks, written one behind the other and synced each. */
static void *
write_and_sync(void *arg)
{
	struct disk *d = arg;
	uint64_t end_ns, start_ns, at = 0;

	end_ns = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(d->options->seconds * 1e9);
	while ((start_ns = clock_ns(CLOCK_MONOTONIC)) < end_ns) {
		if (at + d->size > DISK_FILE)
			at = 0;
		if (pwrite(d->fd, d->bytes + at, d->size, (off_t)at) != (ssize_t)d->size ||
			fdatasync(d->fd) < 0)
			die(d->path, strerror(errno));
		at += d->size;
		add_weighted(&d->hist, clock_ns(CLOCK_MONOTONIC) - start_ns);
	}
	return NULL;
}

/* @rate: of the worker beside; 0: there is none. */
static struct times
measure_disk(const struct options *o, double batch_bytes, double rate)
{
	static struct disk d;
	static struct sl_record_ring ring;
	pthread_t thread;

	memset(&d.hist, 0, sizeof(d.hist));
	d.options = o;
	d.size = RTE_ALIGN_CEIL(RTE_MAX((size_t)batch_bytes, (size_t)1), (size_t)4096);
	d.bytes = mmap(NULL, DISK_FILE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (d.bytes == MAP_FAILED || sl_record_ring_init(&ring, 0, 1, 0, MIB, MIB) < 0)
		die("memory", strerror(errno));
	snprintf(d.path, sizeof(d.path), "%s/bench_journal.disk", o->directory);
	d.fd = open(d.path, O_RDWR | O_CREAT | O_TRUNC | (o->is_direct ? O_DIRECT : 0), 0600);
	if (d.fd < 0 || pwrite(d.fd, d.bytes, DISK_FILE, 0) != (ssize_t)DISK_FILE ||
		fsync(d.fd) < 0)
		die(d.path, strerror(errno));
	unlink(d.path);
	memset(d.bytes, 'd', DISK_FILE);
	if (pthread_create(&thread, NULL, write_and_sync, &d) != 0)
		die("thread", strerror(errno));
	if (rate > 0)
		load(&ring, o, rate);
	pthread_join(thread, NULL);
	close(d.fd);
	sl_record_ring_free(&ring);
	munmap(d.bytes, DISK_FILE);
	return (struct times){
		.p50_us = (double)sl_hist_quantile(&d.hist, 0.5) / 1e3,
		.p99_us = (double)sl_hist_quantile(&d.hist, 0.99) / 1e3,
	};
}

static void
print_run(FILE *f, const char *name, const struct run *r)
{
	fprintf(f,
		"\"%s\":{\"records_per_s\":%.0f,\"mb_per_s\":%.1f,\"batches_per_s\":%.0f,"
		"\"batch_bytes\":%.0f,\"sync_us\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
		"\"thread_cpu\":%.2f},",
		name, r->records_per_s, r->mb_per_s, r->batches_per_s, r->batch_bytes, r->sync_us,
		r->p50_us, r->p99_us, r->thread_cpu);
}

static void
report(const struct options *o, const struct round *rounds)
{
	FILE *f;

	printf("%12s %8s %8s %9s %6s | %12s %8s %9s %9s | %10s %8s %11s %8s %6s\n", "records/s",
		"MB/s", "sync us", "batch KB", "cpu", "at rate", "batch KB", "p50 us", "p99 us",
		"disk: p50", "p99 us", "beside: p50", "p99 us", "ratio");
	for (unsigned int i = 0; i < o->rounds; i++) {
		const struct round *r = &rounds[i];

		printf("%12.0f %8.0f %8.0f %9.0f %6.2f | %12.0f %8.1f %9.0f %9.0f | %10.0f %8.0f "
		       "%11.0f %8.0f %6.2f\n",
			r->most.records_per_s, r->most.mb_per_s, r->most.sync_us,
			r->most.batch_bytes / 1024, r->most.thread_cpu, r->half.records_per_s,
			r->half.batch_bytes / 1024, r->half.p50_us, r->half.p99_us,
			r->disk_alone.p50_us, r->disk_alone.p99_us, r->disk_beside.p50_us,
			r->disk_beside.p99_us, r->half.p99_us / r->disk_beside.p99_us);
	}
	if (o->json == NULL)
		return;
	f = fopen(o->json, "w");
	if (f == NULL)
		die(o->json, strerror(errno));
	fprintf(f, "{\"size\":%u,\"direct\":%s,\"rounds\":[", o->size,
		o->is_direct ? "true" : "false");
	for (unsigned int i = 0; i < o->rounds; i++) {
		fprintf(f, "%s\n{", i == 0 ? "" : ",");
		print_run(f, "most", &rounds[i].most);
		print_run(f, "half", &rounds[i].half);
		fprintf(f,
			"\"disk_alone\":{\"p50_us\":%.1f,\"p99_us\":%.1f},"
			"\"disk_beside\":{\"p50_us\":%.1f,\"p99_us\":%.1f}}",
			rounds[i].disk_alone.p50_us, rounds[i].disk_alone.p99_us,
			rounds[i].disk_beside.p50_us, rounds[i].disk_beside.p99_us);
	}
	fprintf(f, "\n]}\n");
	if (fclose(f) != 0)
		die(o->json, strerror(errno));
}

static void
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{"rounds", required_argument, NULL, 'r'},
		{"seconds", required_argument, NULL, 's'},
		{"size", required_argument, NULL, 'z'},
		{"rate", required_argument, NULL, 'R'},
		{"buffered", no_argument, NULL, 'b'},
		{"json", required_argument, NULL, 'j'},
		{NULL},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			o->rounds = (unsigned int)strtoul(optarg, NULL, 0);
		else if (c == 's')
			o->seconds = strtod(optarg, NULL);
		else if (c == 'z')
			o->size = (uint32_t)strtoul(optarg, NULL, 0);
		else if (c == 'R')
			o->rate = strtod(optarg, NULL);
		else if (c == 'b')
			o->is_direct = false;
		else if (c == 'j')
			o->json = optarg;
		else
			exit(EXIT_FAILURE);
	}
	if (optind != argc - 1 || o->rounds < 1 || o->rounds > ROUNDS_MAX || o->seconds <= 0 ||
		o->size < sizeof(struct sl_record_message) || o->size > SL_RECORD_LEN_MAX)
		die("usage",
			"bench_journal DIRECTORY [--rounds N] [--seconds N] [--size BYTES] "
			"[--rate RECORDS_PER_S] [--buffered] [--json FILE]");
	o->directory = argv[optind];
}

int
main(int argc, char **argv)
{
	static struct sl_journal_recovery recovery = {.incarnation = 1};
	struct options o = {.rounds = 3, .seconds = 2, .size = 192, .is_direct = true};
	struct round rounds[ROUNDS_MAX];
	struct sl_journal_params params;
	struct sl_journal *journal;
	char error[512] = "";

	parse_options(&o, argc, argv);
	params = (struct sl_journal_params){
		.directory = o.directory,
		.segment_bytes = 64 * MIB,
		.ring_bytes = 32 * MIB,
		.max_bytes = 2048 * MIB,
		.retention_bytes = 512 * MIB,
		.retention_ms = 3600 * 1000,
		.is_direct = o.is_direct,
		.nb_streams = 1,
		.node = "bench",
		.durable = on_durable,
	};
	if (sl_journal_open(&params, &recovery, &journal, error, sizeof(error)) < 0 ||
		sl_journal_start(journal, -1) < 0)
		die(o.directory, error);
	usleep(200000); /* The first segment. */
	for (unsigned int i = 0; i < o.rounds; i++) {
		rounds[i].most = measure(journal, &o, 0);
		rounds[i].half = measure(
			journal, &o, o.rate != 0 ? o.rate : rounds[i].most.records_per_s / 2);
		rounds[i].disk_alone = measure_disk(&o, rounds[i].half.batch_bytes, 0);
		rounds[i].disk_beside = measure_disk(
			&o, rounds[i].half.batch_bytes, rounds[i].half.records_per_s);
	}
	sl_journal_stop(journal);
	sl_journal_close(journal);
	report(&o, rounds);
	return EXIT_SUCCESS;
}
