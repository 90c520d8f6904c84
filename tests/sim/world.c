/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* What happens when, and what befalls whom. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include <rte_common.h>

#include "sim.h"

#define MESSAGES_MAX 3000
#define FAULTS_NS    (20 * S)  /* So long may things befall it; */
#define CALM_NS	     (120 * S) /* then all has to come through in so long. */
#define STEPS_MAX    UINT64_C(5000000)

void
sim_fail(struct sim *sim, const char *format, ...)
{
	va_list args;

	if (sim->failure[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(sim->failure, sizeof(sim->failure), format, args);
	va_end(args);
}

void
sim_say(struct sim *sim, const char *format, ...)
{
	uint64_t us = (sim->now - sim->begun_ns) / US;
	va_list args;

	if (!sim->is_verbose)
		return;
	printf("%4" PRIu64 ".%06" PRIu64 " ", us / 1000000, us % 1000000);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

void *
sim_zalloc(size_t size)
{
	void *mem = aligned_alloc(64, RTE_ALIGN_CEIL(size + 1, (size_t)64));

	if (mem == NULL) {
		fprintf(stderr, "sluice-sim: no memory\n");
		exit(EXIT_FAILURE);
	}
	return memset(mem, 0, size);
}

static uint32_t
any_of(struct sim *sim, const uint32_t *values, uint32_t nb)
{
	return values[below(sim, nb)];
}

#define ANY_OF(sim, ...)                                                                           \
	any_of(sim, (const uint32_t[]){__VA_ARGS__}, RTE_DIM(((const uint32_t[]){__VA_ARGS__})))

/* Each kind is left out of some runs, so that what it hides shows in those. */
static void
draw_faults(struct sim *sim)
{
	sim->faults = (struct faults){
		.crash_per_million = ANY_OF(sim, 0, 100, 500, 2000),
		.disk_crash_per_mille = ANY_OF(sim, 0, 500, 1000),
		.power_per_mille = ANY_OF(sim, 0, 500, 1000),
		.survive_per_mille = ANY_OF(sim, 0, 500, 950, 1000),
		.tear_per_mille = ANY_OF(sim, 0, 100),
		.flip_per_mille = ANY_OF(sim, 0, 100),
		.write_error_per_million = ANY_OF(sim, 0, 0, 2000, 20000),
		.sync_error_per_million = ANY_OF(sim, 0, 0, 2000, 20000),
		.full_per_million = ANY_OF(sim, 0, 0, 50000),
		.forget_per_million = ANY_OF(sim, 0, 0, 100, 500),
		.cut_per_million = ANY_OF(sim, 0, 0, 100, 500),
		.loss_per_mille = ANY_OF(sim, 0, 10, 100, 300),
		.duplicate_per_mille = ANY_OF(sim, 0, 10, 100),
		.delay_ns = ANY_OF(sim, 50000, 1000000, 20000000),
	};
	sim->faults.jitter_ns = below(sim, 2) * below(sim, 3 * sim->faults.delay_ns);
}

static void
calm_down(struct sim *sim)
{
	struct faults *f = &sim->faults;

	sim_say(sim, "calm");
	sim->is_calm = true;
	f->crash_per_million = f->forget_per_million = f->cut_per_million = 0;
	f->write_error_per_million = f->sync_error_per_million = f->full_per_million = 0;
	f->loss_per_mille = RTE_MIN(f->loss_per_mille, 10u);
	for (uint32_t i = 0; i < NODES_MAX; i++)
		net_cut(sim, i, 0);
}

static void
befall(struct sim *sim)
{
	const struct faults *f = &sim->faults;
	uint32_t node;

	if (appliance_is_up(sim) && chance(sim, f->crash_per_million, 1000000)) {
		if (chance(sim, f->disk_crash_per_mille, 1000))
			disk_doom(sim);
		else
			appliance_crash(sim, chance(sim, f->power_per_mille, 1000));
	}
	if (chance(sim, f->forget_per_million, 1000000)) {
		if (below(sim, 2) == 0)
			appliance_forget(sim);
		else
			backend_forget(sim, (uint32_t)below(sim, sim->nb_backends));
	}
	if (chance(sim, f->cut_per_million, 1000000)) {
		node = 1 + (uint32_t)below(sim, sim->nb_publishers + sim->nb_backends);
		net_cut(sim, node, sim->now + below(sim, 5 * S));
	}
}

static bool
is_drained(const struct sim *sim)
{
	return sim->ledger.nb_acked == sim->ledger.nb && appliance_is_idle(sim);
}

/* What is due first; of several that are due at a time, any. */
struct due {
	uint64_t at;
	uint32_t nb;
	uint32_t chosen;
};

static void
consider(struct sim *sim, struct due *due, uint64_t at, uint32_t what)
{
	at = RTE_MAX(at, sim->now);
	if (at > due->at)
		return;
	due->nb = at < due->at ? 1 : due->nb + 1;
	due->at = at;
	if (below(sim, due->nb) == 0)
		due->chosen = what;
}

static void
step(struct sim *sim)
{
	const uint32_t first_backend = 1 + sim->nb_publishers;
	struct due due = {.at = UINT64_MAX};
	uint32_t what = first_backend + sim->nb_backends;

	if (net_next(sim) != UINT64_MAX)
		consider(sim, &due, net_next(sim), what);
	consider(sim, &due, appliance_next(sim), APPLIANCE);
	for (uint32_t i = 0; i < sim->nb_publishers; i++)
		consider(sim, &due, publisher_next(sim, i), 1 + i);
	for (uint32_t i = 0; i < sim->nb_backends; i++)
		consider(sim, &due, backend_next(sim, i), first_backend + i);
	sim->now = due.at;
	sim->nb_steps++;
	if (due.chosen == what)
		net_deliver(sim);
	else if (due.chosen == APPLIANCE)
		appliance_turn(sim);
	else if (due.chosen < first_backend)
		publisher_turn(sim, due.chosen - 1);
	else
		backend_turn(sim, due.chosen - first_backend);
}

static void
begin(struct sim *sim)
{
	sim->r.state = sim->seed;
	sim->now = sim->begun_ns = UINT64_C(1700000000) * S;
	sim->nb_publishers = 1 + (uint32_t)below(sim, PUBLISHERS_MAX);
	sim->nb_backends = 1 + (uint32_t)below(sim, BACKENDS_MAX);
	sim->nb_workers = 1 + (uint32_t)below(sim, WORKERS_MAX);
	sim->is_history_short = below(sim, 4) == 0;
	draw_faults(sim);
	ledger_init(sim, 1 + (uint32_t)below(sim, MESSAGES_MAX));
	net_init(sim);
	disk_init(sim);
	appliance_init(sim);
	publishers_init(sim);
	backends_init(sim);
}

bool
sim_run(struct sim *sim)
{
	uint64_t calm_ns;

	begin(sim);
	calm_ns = sim->now + below(sim, FAULTS_NS);
	while (sim->failure[0] == '\0' && !is_drained(sim)) {
		if (!sim->is_calm && sim->now >= calm_ns)
			calm_down(sim);
		if (sim->now > calm_ns + CALM_NS || sim->nb_steps > STEPS_MAX)
			break;
		befall(sim);
		step(sim);
	}
	if (sim->failure[0] == '\0')
		ledger_drained(sim);
	if (sim->failure[0] == '\0' && !is_drained(sim))
		sim_fail(sim, "the appliance does not come to rest, although nothing befalls it");
	if (sim->failure[0] == '\0')
		appliance_stop(sim);
	backends_free(sim);
	publishers_free(sim);
	appliance_free(sim);
	disk_free(sim);
	net_free(sim);
	return sim->failure[0] == '\0';
}
