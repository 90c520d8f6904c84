/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * What it costs to read one message of the JSON gateways: its members found and checked, the
 * payload's text in hand; by lib/json and by jansson. Medians and minima of ns a line.
 *
 * bench_json [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "sl_json.h"

#define LINES	   20000 /* In a round. */
#define ROUNDS_MAX 1000

static const char line[] =
	"{\"messageId\": \"server1-0000000017\", \"sourceServerId\": \"server1\", "
	"\"destinationId\": \"table1\", \"messageType\": \"breakfast\", \"priority\": 1, "
	"\"timestamp\": 1763725200123, \"payload\": {\"order\": 17, \"dish\": \"eggs\"}}";

static size_t
read_ours(void)
{
	struct sl_json_value key, value;
	struct sl_json_walk walk;
	size_t payload_len = 0;

	sl_json_walk_object(&walk, line, sizeof(line) - 1);
	while (sl_json_next_member(&walk, &key, &value))
		if (value.type == SL_JSON_OBJECT)
			payload_len = value.len;
	return walk.error == SL_JSON_OK ? payload_len : 0;
}

static size_t
read_jansson(void)
{
	json_t *message = json_loadb(line, sizeof(line) - 1, 0, NULL);
	char *payload = json_dumps(json_object_get(message, "payload"), JSON_COMPACT);
	size_t payload_len = payload == NULL ? 0 : strlen(payload);

	free(payload);
	json_decref(message);
	return payload_len;
}

static uint64_t
clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
measure(const char *name, size_t (*read_line)(void), unsigned int nb_rounds)
{
	static double ns[ROUNDS_MAX];

	for (unsigned int i = 0; i < nb_rounds; i++) {
		uint64_t begin = clock_ns();

		for (unsigned int n = 0; n < LINES; n++) {
			if (read_line() == 0) {
				fprintf(stderr, "bench_json: %s cannot read the line\n", name);
				exit(EXIT_FAILURE);
			}
		}
		ns[i] = (double)(clock_ns() - begin) / LINES;
	}
	qsort(ns, nb_rounds, sizeof(ns[0]), compare);
	printf("%-8s %8.0f ns a line (best %.0f)\n", name, ns[nb_rounds / 2], ns[0]);
	return ns[nb_rounds / 2];
}

int
main(int argc, char **argv)
{
	unsigned int nb_rounds = argc > 1 ? (unsigned int)atoi(argv[1]) : 15;
	double ours, theirs;

	if (nb_rounds < 1 || nb_rounds > ROUNDS_MAX) {
		fprintf(stderr, "bench_json: 1 to %d rounds\n", ROUNDS_MAX);
		return EXIT_FAILURE;
	}
	printf("a line of %zu bytes\n", sizeof(line) - 1);
	ours = measure("lib/json", read_ours, nb_rounds);
	theirs = measure("jansson", read_jansson, nb_rounds);
	printf("ratio    %8.1f\n", theirs / ours);
	return 0;
}
