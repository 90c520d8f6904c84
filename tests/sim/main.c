/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Run the simulation: a number of runs, or for a time. Every run is drawn from its seed and can be
 * repeated from it alone.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/stat.h>

#include "sim.h"

struct options {
	uint64_t seed;
	bool is_seed_given;
	uint64_t runs;	/* 0: as many as fit the time. */
	double seconds; /* 0: as long as the runs take. */
	bool is_verbose;
	bool must_fail; /* A bug was planted: it is to be found. */
	bool is_twice;	/* Each run, to see that it repeats itself. */
};

struct totals {
	uint64_t runs;
	uint64_t messages;
	uint64_t crashes;
	uint64_t steps;
	uint64_t repeated;
	uint64_t reordered;
	uint64_t hash;
};

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
usage(FILE *out)
{
	fprintf(out,
		"usage: sluice-sim [--seed N] [--runs N] [--time SECONDS] [--nightly HOURS]\n"
		"                  [--must-fail] [--twice] [--verbose]\n"
		"  --seed N         of the first run; the next ones count up (else: from the clock)\n"
		"  --runs N         so many runs at most\n"
		"  --time SECONDS   begin no run after that (else: 100 runs)\n"
		"  --nightly HOURS  the same in hours\n"
		"  --must-fail      succeed when a run fails: there is a bug to be found\n"
		"  --twice          make each run twice, and fail when they differ\n"
		"  --verbose        say what happens\n");
}

/* Returns false when they are wrong. */
static bool
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option known[] = {
		{"seed", required_argument, NULL, 's'},
		{"runs", required_argument, NULL, 'r'},
		{"time", required_argument, NULL, 't'},
		{"nightly", required_argument, NULL, 'n'},
		{"must-fail", no_argument, NULL, 'm'},
		{"twice", no_argument, NULL, '2'},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL},
	};
	bool is_ok = true;
	char *end = NULL;
	int c;

	while (is_ok && (c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		end = NULL;
		if (c == 's') {
			o->seed = strtoull(optarg, &end, 0);
			o->is_seed_given = true;
		} else if (c == 'r') {
			o->runs = strtoull(optarg, &end, 0);
		} else if (c == 't') {
			o->seconds = strtod(optarg, &end);
		} else if (c == 'n') {
			o->seconds = 3600 * strtod(optarg, &end);
		} else if (c == 'm') {
			o->must_fail = true;
		} else if (c == '2') {
			o->is_twice = true;
		} else if (c == 'v') {
			o->is_verbose = true;
		} else if (c == 'h') {
			usage(stdout);
			exit(EXIT_SUCCESS);
		} else {
			is_ok = false;
		}
		is_ok = is_ok && (end == NULL || (end != optarg && *end == '\0'));
	}
	if (!is_ok || optind < argc || o->seconds < 0) {
		usage(stderr);
		return false;
	}
	if (o->runs == 0 && o->seconds <= 0)
		o->runs = 100;
	return true;
}

static bool
run_one(const struct options *o, uint64_t seed, const char *directory, struct totals *totals)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	bool is_ok;

	sim->seed = seed;
	sim->is_verbose = o->is_verbose;
	snprintf(sim->directory, sizeof(sim->directory), "%s", directory);
	is_ok = sim_run(sim);
	totals->runs++;
	totals->messages += sim->ledger.nb;
	totals->crashes += sim->nb_crashes;
	totals->steps += sim->nb_steps;
	totals->repeated += sim->ledger.nb_repeated;
	totals->reordered += sim->ledger.nb_reordered;
	totals->hash = (totals->hash ^ sim->hash) * UINT64_C(0x100000001b3);
	if (!is_ok)
		printf("seed %" PRIu64 ", %.6f s, step %" PRIu64 ", after %" PRIu32
		       " crashes: %s\nrepeat it with: sluice-sim --seed %" PRIu64
		       " --runs 1 --verbose\n",
			seed, (double)(sim->now - sim->begun_ns) / 1e9, sim->nb_steps,
			sim->nb_crashes, sim->failure, seed);
	ledger_free(sim);
	free(sim);
	return is_ok;
}

static bool
run_all(const struct options *o, const char *directory, struct totals *totals)
{
	double begun = now_s();
	struct totals again = {0};

	for (uint64_t i = 0; o->runs == 0 || i < o->runs; i++) {
		if (o->seconds > 0 && now_s() - begun >= o->seconds)
			break;
		if (!run_one(o, o->seed + i, directory, totals))
			return false;
		if (!o->is_twice)
			continue;
		if (!run_one(o, o->seed + i, directory, &again) || again.hash != totals->hash) {
			printf("seed %" PRIu64 " went another way the second time\n", o->seed + i);
			return false;
		}
	}
	return true;
}

int
main(int argc, char **argv)
{
	struct options o = {0};
	struct totals totals = {0};
	char directory[] = "/dev/shm/sluice-sim-XXXXXX";
	bool is_ok;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!parse_options(&o, argc, argv))
		return 2;
	if (!o.is_seed_given)
		o.seed = (uint64_t)time(NULL) * 1000000;
	if (mkdtemp(directory) == NULL) {
		fprintf(stderr, "sluice-sim: %s: %s\n", directory, strerror(errno));
		return EXIT_FAILURE;
	}
	printf("seeds from %" PRIu64 " on\n", o.seed);
	is_ok = run_all(&o, directory, &totals);
	printf("%" PRIu64 " runs, %" PRIu64 " messages, %" PRIu64 " crashes, %" PRIu64
	       " steps: %s; delivered again for a reason %" PRIu64 ", reordered %" PRIu64
	       "; trace %016" PRIx64 "\n",
		totals.runs, totals.messages, totals.crashes, totals.steps,
		is_ok ? "none lost, none unknown, none twice without a reason" : "FAILED",
		totals.repeated, totals.reordered, totals.hash);
	if (rmdir(directory) != 0)
		fprintf(stderr, "sluice-sim: %s: %s\n", directory, strerror(errno));
	if (o.must_fail && is_ok)
		printf("the planted bug was not found\n");
	return is_ok != o.must_fail ? EXIT_SUCCESS : EXIT_FAILURE;
}
