/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * What deduplication costs a message: sl_dedup against the usual way, rte_hash in two generations.
 * Both get the same keys in bulks of 64, in alternating rounds of one run on one core; medians and
 * minima of TSC cycles a message. Each round ends with a check that both found exactly the
 * duplicates there were.
 *
 * bench_dedup EAL-ARGS -- [--rounds N] [--windows N[,N...]] [--json FILE]
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include "sl_dedup.h"

#define BULK	    64
#define ROUND	    (1u << 20) /* Messages in a round. */
#define ROUNDS_MAX  1000
#define WINDOWS_MAX 16
/* A message a microsecond, so that a window of n entries lasts n / 1000 ms. */
#define MSGS_PER_MS 1024

static const unsigned int duplicate_shares[] = {0, 3}; /* Percent. */

struct options {
	unsigned int rounds;
	unsigned int nb_windows;
	uint32_t windows[WINDOWS_MAX];
	const char *json;
};

/* An endless stream of messages: number i is new, or the same as one at most half a window ago. */
struct stream {
	uint64_t next;
	uint64_t nb_duplicates;
	uint32_t window;
	unsigned int percent;
};

struct engine {
	const char *name;
	int (*create)(uint32_t window);
	void (*destroy)(void);
	/* Returns the duplicates among the keys. */
	uint64_t (*check)(const struct sl_wire_key *keys, uint64_t now_ms);
	size_t (*memory)(void);
	struct stream stream;
	double cycles[ROUNDS_MAX];
};

struct result {
	uint32_t window;
	unsigned int percent;
	const char *engine;
	double median;
	double minimum;
	double clear; /* Cycles a message that clearing generations took, not in the above. */
	double bytes_per_entry;
};

static uint64_t
mix(uint64_t z)
{
	z = (z + UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void
next_bulk(struct stream *s, struct sl_wire_key *keys)
{
	for (unsigned int i = 0; i < BULK; i++) {
		uint64_t number = s->next++, dice = mix(~number), back;

		/* Multiples of 16 are always new, and only they come again. */
		back = (BULK + (dice >> 32) % (s->window / 2 - 2 * BULK)) & ~UINT64_C(15);
		if (number % 16 != 0 && number > s->window &&
			dice % 1500 < UINT64_C(16) * s->percent) {
			number = (number & ~UINT64_C(15)) - back;
			s->nb_duplicates++;
		}
		keys[i].destination = mix(number % 1000);
		keys[i].source = mix(number % 4096);
		keys[i].id_high = mix(number);
		keys[i].id_low = mix(keys[i].id_high);
	}
}

/* The engine of Sluice. */

static struct sl_dedup *window_engine;
static size_t window_size;

static int
window_create(uint32_t window)
{
	const struct sl_dedup_params params = {
		.capacity = window,
		.window_ms = window / MSGS_PER_MS - 1,
		.seed = UINT64_C(0x5eed),
	};

	window_size = sl_dedup_memory_size(&params);
	window_engine = rte_zmalloc("bench_dedup", window_size, RTE_CACHE_LINE_SIZE);
	if (window_engine == NULL)
		return -ENOMEM;
	window_engine = sl_dedup_init(window_engine, &params);
	return 0;
}

static void
window_destroy(void)
{
	rte_free(window_engine);
}

static uint64_t
window_check(const struct sl_wire_key *keys, uint64_t now_ms)
{
	return sl_dedup_check_bulk(window_engine, keys, BULK, now_ms);
}

static size_t
window_memory(void)
{
	return window_size;
}

/* Two generations: those before the last turn-over, and those since. Cleared out of the time. */

static struct rte_hash *current, *previous;
static uint32_t generation_size, generation_count;
static uint64_t clear_cycles;
static size_t generations_memory_size;

static size_t
heap_in_use(void)
{
	struct rte_malloc_socket_stats stats;
	size_t sum = 0;

	for (int socket = 0; socket < RTE_MAX_NUMA_NODES; socket++) {
		if (rte_malloc_get_socket_stats(socket, &stats) == 0)
			sum += stats.heap_allocsz_bytes;
	}
	return sum;
}

static struct rte_hash *
generation_create(const char *name, uint32_t window)
{
	const struct rte_hash_parameters params = {
		.name = name,
		/* An eighth more, so that buckets are at most half full and an insertion is short.
		 */
		.entries = window + window / 8,
		.key_len = sizeof(struct sl_wire_key),
		.hash_func = rte_hash_crc,
		.hash_func_init_val = 0x5eed,
		.socket_id = SOCKET_ID_ANY,
	};

	return rte_hash_create(&params);
}

static int
generations_create(uint32_t window)
{
	size_t before = heap_in_use();

	current = generation_create("bench_current", window);
	previous = generation_create("bench_previous", window);
	if (current == NULL || previous == NULL)
		return -ENOMEM;
	generations_memory_size = heap_in_use() - before;
	generation_size = window;
	generation_count = 0;
	clear_cycles = 0;
	return 0;
}

static void
generations_destroy(void)
{
	rte_hash_free(current);
	rte_hash_free(previous);
}

static void
turn_over(void)
{
	uint64_t start = rte_rdtsc();
	struct rte_hash *cleared = previous;

	previous = current;
	current = cleared;
	rte_hash_reset(current);
	generation_count = 0;
	clear_cycles += rte_rdtsc() - start;
}

static uint64_t
generations_check(const struct sl_wire_key *keys, uint64_t now_ms)
{
	const void *pointers[BULK], *rest[BULK];
	hash_sig_t sigs[BULK], rest_sigs[BULK];
	uint64_t hits = 0, hits_before = 0, duplicates;
	unsigned int index[BULK], nb_rest = 0;
	void *data[BULK];

	for (unsigned int i = 0; i < BULK; i++) {
		pointers[i] = &keys[i];
		sigs[i] = rte_hash_hash(current, &keys[i]);
	}
	rte_hash_lookup_with_hash_bulk_data(current, pointers, sigs, BULK, &hits, data);
	for (unsigned int i = 0; i < BULK; i++) {
		if (hits & (UINT64_C(1) << i))
			continue;
		rest[nb_rest] = pointers[i];
		rest_sigs[nb_rest] = sigs[i];
		index[nb_rest++] = i;
	}
	if (nb_rest > 0)
		rte_hash_lookup_with_hash_bulk_data(
			previous, rest, rest_sigs, nb_rest, &hits_before, data);
	duplicates = hits;
	for (unsigned int i = 0; i < nb_rest; i++) {
		if (hits_before & (UINT64_C(1) << i)) {
			duplicates |= UINT64_C(1) << index[i];
			continue;
		}
		if (rte_hash_add_key_with_hash(current, rest[i], rest_sigs[i]) < 0) {
			fprintf(stderr, "bench_dedup: rte_hash is full\n");
			exit(EXIT_FAILURE);
		}
		generation_count++;
	}
	if (generation_count + BULK > generation_size)
		turn_over();
	return duplicates;
}

static size_t
generations_memory(void)
{
	return generations_memory_size;
}

static struct engine engines[] = {
	{.name = "sl_dedup",
		.create = window_create,
		.destroy = window_destroy,
		.check = window_check,
		.memory = window_memory},
	{.name = "rte_hash x 2",
		.create = generations_create,
		.destroy = generations_destroy,
		.check = generations_check,
		.memory = generations_memory},
};

/* Messages through an engine; returns cycles, or 0 when it did not find the right duplicates. */
static uint64_t
run(struct engine *e, uint64_t nb)
{
	struct sl_wire_key keys[BULK];
	uint64_t cycles = 0, found = 0, start, before = e->stream.nb_duplicates;

	for (uint64_t n = 0; n < nb; n += BULK) {
		uint64_t now_ms = e->stream.next / MSGS_PER_MS;

		next_bulk(&e->stream, keys);
		start = rte_rdtsc();
		found += (uint64_t)__builtin_popcountll(e->check(keys, now_ms));
		cycles += rte_rdtsc() - start;
	}
	if (found != e->stream.nb_duplicates - before) {
		fprintf(stderr, "bench_dedup: %s found %" PRIu64 " duplicates, not %" PRIu64 "\n",
			e->name, found, e->stream.nb_duplicates - before);
		return 0;
	}
	return cycles;
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Fill both windows, then measure them in turn. */
static int
measure(const struct options *o, uint32_t window, unsigned int percent, struct result *results)
{
	uint64_t cycles, cleared_before;

	for (unsigned int i = 0; i < RTE_DIM(engines); i++) {
		struct engine *e = &engines[i];

		e->stream = (struct stream){.window = window, .percent = percent};
		if (e->create(window) < 0) {
			fprintf(stderr,
				"bench_dedup: no memory for %s with %" PRIu32
				" entries; give EAL more (-m MIB with --no-huge)\n",
				e->name, window);
			return -ENOMEM;
		}
		if (run(e, 2 * (uint64_t)window) == 0)
			return -EIO;
	}
	cleared_before = clear_cycles;
	for (unsigned int r = 0; r < o->rounds; r++) {
		for (unsigned int i = 0; i < RTE_DIM(engines); i++) {
			uint64_t clear_start = clear_cycles;

			cycles = run(&engines[i], ROUND);
			if (cycles == 0)
				return -EIO;
			cycles -= clear_cycles - clear_start;
			engines[i].cycles[r] = (double)cycles / ROUND;
		}
	}
	for (unsigned int i = 0; i < RTE_DIM(engines); i++) {
		struct engine *e = &engines[i];

		qsort(e->cycles, o->rounds, sizeof(e->cycles[0]), compare_doubles);
		results[i] = (struct result){
			.window = window,
			.percent = percent,
			.engine = e->name,
			.median = e->cycles[o->rounds / 2],
			.minimum = e->cycles[0],
			.clear = e->check == generations_check
				? (double)(clear_cycles - cleared_before) / o->rounds / ROUND
				: 0,
			.bytes_per_entry = (double)e->memory() / window,
		};
		e->destroy();
	}
	return 0;
}

static void
print_table(const struct result *results, unsigned int n)
{
	printf("cycles a message (TSC), bulks of %u\n", BULK);
	printf("%9s %11s  %-12s %8s %8s %9s %12s\n", "window", "duplicates", "engine", "median",
		"minimum", "+ clear", "bytes/entry");
	for (unsigned int i = 0; i < n; i++)
		printf("%9" PRIu32 " %10u%%  %-12s %8.1f %8.1f %9.1f %12.1f\n", results[i].window,
			results[i].percent, results[i].engine, results[i].median,
			results[i].minimum, results[i].clear, results[i].bytes_per_entry);
}

static int
write_json(const char *path, const struct result *results, unsigned int n)
{
	FILE *f = fopen(path, "w");

	if (f == NULL) {
		fprintf(stderr, "bench_dedup: %s: %s\n", path, strerror(errno));
		return -errno;
	}
	fprintf(f, "{\"tsc_hz\":%" PRIu64 ",\"huge_pages\":%s,\"bulk\":%u,\"results\":[",
		rte_get_tsc_hz(), rte_eal_has_hugepages() ? "true" : "false", BULK);
	for (unsigned int i = 0; i < n; i++)
		fprintf(f,
			"%s\n{\"window\":%" PRIu32
			",\"duplicates_percent\":%u,\"engine\":\"%s\",\"cycles_median\":%.1f,"
			"\"cycles_minimum\":%.1f,\"clear_cycles\":%.1f,\"bytes_per_entry\":%.1f}",
			i == 0 ? "" : ",", results[i].window, results[i].percent, results[i].engine,
			results[i].median, results[i].minimum, results[i].clear,
			results[i].bytes_per_entry);
	fprintf(f, "\n]}\n");
	if (fclose(f) != 0) {
		fprintf(stderr, "bench_dedup: %s: %s\n", path, strerror(errno));
		return -EIO;
	}
	return 0;
}

/* Returns 0, or -EINVAL when a window is not one. */
static int
parse_windows(struct options *o, char *text)
{
	char *end;

	o->nb_windows = 0;
	for (char *p = strtok(text, ","); p != NULL; p = strtok(NULL, ",")) {
		unsigned long window = strtoul(p, &end, 0);

		if (*end != '\0' || window < 4 * MSGS_PER_MS || window > SL_DEDUP_CAPACITY_MAX ||
			o->nb_windows == WINDOWS_MAX)
			return -EINVAL;
		o->windows[o->nb_windows++] = (uint32_t)window;
	}
	return o->nb_windows > 0 ? 0 : -EINVAL;
}

static int
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{"rounds", required_argument, NULL, 'r'},
		{"windows", required_argument, NULL, 'w'},
		{"json", required_argument, NULL, 'j'},
		{NULL},
	};
	int c, rc = 0;

	while (rc == 0 && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			o->rounds = (unsigned int)strtoul(optarg, NULL, 0);
		else if (c == 'w')
			rc = parse_windows(o, optarg);
		else if (c == 'j')
			o->json = optarg;
		else
			rc = -EINVAL;
	}
	if (rc < 0 || optind < argc || o->rounds < 1 || o->rounds > ROUNDS_MAX) {
		fprintf(stderr,
			"usage: bench_dedup EAL-ARGS -- [--rounds 1..%u] "
			"[--windows N[,N...] (%u..%u entries)] [--json FILE]\n",
			ROUNDS_MAX, 4 * MSGS_PER_MS, SL_DEDUP_CAPACITY_MAX);
		return -EINVAL;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct options o = {.rounds = 9, .nb_windows = 3, .windows = {1 << 16, 1 << 20, 1 << 23}};
	struct result results[WINDOWS_MAX * RTE_DIM(duplicate_shares) * RTE_DIM(engines)];
	unsigned int n = 0;
	int rc = rte_eal_init(argc, argv);

	if (rc < 0) {
		fprintf(stderr, "bench_dedup: EAL does not start: %s\n", rte_strerror(rte_errno));
		return EXIT_FAILURE;
	}
	rc = parse_options(&o, argc - rc, argv + rc);
	for (unsigned int w = 0; rc == 0 && w < o.nb_windows; w++) {
		for (unsigned int d = 0; rc == 0 && d < RTE_DIM(duplicate_shares); d++) {
			rc = measure(&o, o.windows[w], duplicate_shares[d], &results[n]);
			n += RTE_DIM(engines);
		}
	}
	if (rc == 0)
		print_table(results, n);
	if (rc == 0 && o.json != NULL)
		rc = write_json(o.json, results, n);
	rte_eal_cleanup();
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
