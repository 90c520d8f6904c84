/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
/*
 * What health checks cost the control thread: BACKENDS of them at INTERVAL ms for SECONDS of real
 * time, by probes that are answered at once (the machines, their timers and their books, without
 * any IO), and the same machines alone on a clock of their own.
 *
 *   bench_checks [BACKENDS [INTERVAL_MS [SECONDS [CHECKS]]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <event2/event.h>

#include "sl_checks.h"

#define PER_DESTINATION 100

static struct {
	struct sl_checks *checks;
	struct event_base *base;
	uint64_t *nonces;
	uint32_t nb_nonces;
	uint32_t nonces_max;
} bench;

static double
cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void
set_share(void *arg, uint32_t destination, uint32_t backend, uint32_t share)
{
	(void)arg;
	(void)destination;
	(void)backend;
	(void)share;
}

static void
on_event(void *arg, enum sl_config_level level, const char *kind, json_t *fields, const char *text)
{
	(void)arg;
	(void)level;
	(void)kind;
	(void)text;
	json_decref(fields);
}

static bool
send_probe(void *arg, uint32_t destination, uint32_t backend, uint64_t nonce)
{
	(void)arg;
	(void)destination;
	(void)backend;
	if (bench.nb_nonces < bench.nonces_max)
		bench.nonces[bench.nb_nonces++] = nonce;
	return true;
}

static void
answer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	for (uint32_t i = 0; i < bench.nb_nonces; i++)
		sl_checks_probe_reply(bench.checks, bench.nonces[i], 0, 0, now_ns());
	bench.nb_nonces = 0;
}

static void
make_config(
	struct sl_config *config, uint32_t nb_backends, uint32_t interval_ms, uint32_t nb_checks)
{
	static struct sl_config_check probes[SL_CONFIG_CHECKS_MAX];
	static struct sl_config_backend backends[PER_DESTINATION];
	uint32_t nb = (nb_backends + PER_DESTINATION - 1) / PER_DESTINATION;

	for (uint32_t i = 0; i < PER_DESTINATION; i++) {
		char *name = malloc(16);

		if (name == NULL)
			exit(EXIT_FAILURE);
		snprintf(name, 16, "b%u", i);
		backends[i] = (struct sl_config_backend){.name = name, .port = 9};
	}
	config->destinations = calloc(nb, sizeof(*config->destinations));
	if (config->destinations == NULL)
		exit(EXIT_FAILURE);
	config->nb_destinations = nb;
	for (uint32_t i = 0; i < nb; i++) {
		config->destinations[i] = (struct sl_config_destination){
			.name = (char *)(uintptr_t) "d",
			.key = (i + 1) * 0x9e3779b97f4a7c15,
			.nb_backends = PER_DESTINATION,
			.backends = backends,
			.health = {.interval_ms = interval_ms,
				.fast_interval_ms = interval_ms,
				.down_interval_ms = interval_ms,
				.timeout_ms = 3000,
				.rise = 2,
				.fall = 3,
				.notify_after = 5,
				.nb_checks = nb_checks,
				.checks = probes},
		};
	}
}

static void
bench_loop(const struct sl_config *config, uint32_t seconds)
{
	const struct sl_checks_params params = {.base = bench.base,
		.hooks = {.set_share = set_share, .event = on_event, .send_probe = send_probe},
		.node = "bench"};
	const struct timeval tick = {0, 1000}, length = {seconds, 0};
	struct event *answers = event_new(bench.base, -1, EV_PERSIST, answer, NULL);
	struct sl_checks_stats stats;
	double cpu, idle;
	uint64_t from;

	/* What the loop itself costs, with its 1 ms tick. */
	event_add(answers, &tick);
	cpu = cpu_s();
	event_base_loopexit(bench.base, &length);
	event_base_dispatch(bench.base);
	idle = cpu_s() - cpu;
	from = now_ns();
	if (sl_checks_create(&params, config, &bench.checks) != 0)
		exit(EXIT_FAILURE);
	printf("create: %.1f ms\n", (double)(now_ns() - from) / 1e6);
	from = now_ns();
	sl_checks_configure(bench.checks, config);
	printf("configure, nothing changed: %.1f ms\n", (double)(now_ns() - from) / 1e6);
	cpu = cpu_s();
	event_base_loopexit(bench.base, &length);
	event_base_dispatch(bench.base);
	cpu = cpu_s() - cpu - idle;
	sl_checks_get_stats(bench.checks, &stats);
	printf("loop: %llu checks in %u s: %.2f %% of a core, %.0f ns a check\n",
		(unsigned long long)stats.started, seconds, 100 * cpu / seconds,
		stats.started != 0 ? 1e9 * cpu / (double)stats.started : 0.0);
	sl_checks_destroy(bench.checks);
	event_free(answers);
}

static void
bench_machine(void)
{
	const struct sl_health_params params = {.interval_ms = 2000,
		.fast_interval_ms = 2000,
		.down_interval_ms = 2000,
		.timeout_ms = 3000,
		.rise = 2,
		.fall = 3,
		.nb_checks = 1};
	void *memory = malloc(sl_health_memory_size(&params));
	struct sl_health *health;
	struct sl_health_action action;
	uint64_t now_ms = 0, from = now_ns(), checks = 0;

	if (memory == NULL)
		exit(EXIT_FAILURE);
	health = sl_health_init(memory, &params, 1, SL_HEALTH_ADMIN_READY, 0);
	while (checks < 5000000) {
		now_ms = sl_health_due_ms(health);
		while (sl_health_next(health, now_ms, &action)) {
			if (action.type != SL_HEALTH_START)
				continue;
			checks++;
			sl_health_result(
				health, 0, action.token, true, SL_HEALTH_PASSED, 0, 1, now_ms);
		}
	}
	printf("machine: %zu bytes with one check, %.0f ns a check\n",
		sl_health_memory_size(&params), (double)(now_ns() - from) / (double)checks);
	free(memory);
}

int
main(int argc, char **argv)
{
	uint32_t nb_backends = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10000;
	uint32_t interval_ms = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 2000;
	uint32_t seconds = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 10;
	uint32_t nb_checks = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 1;
	struct sl_config config = {0};

	if (nb_backends == 0 || interval_ms == 0 || seconds == 0 ||
		nb_checks > SL_CONFIG_CHECKS_MAX) {
		fprintf(stderr, "bench_checks [BACKENDS [INTERVAL_MS [SECONDS [CHECKS]]]]\n");
		return EXIT_FAILURE;
	}
	bench.nonces_max = nb_backends * 2;
	bench.nonces = malloc(bench.nonces_max * sizeof(*bench.nonces));
	bench.base = event_base_new();
	if (bench.nonces == NULL || bench.base == NULL)
		return EXIT_FAILURE;
	make_config(&config, nb_backends, interval_ms, nb_checks);
	bench_machine();
	bench_loop(&config, seconds);
	event_base_free(bench.base);
	return EXIT_SUCCESS;
}
