/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "check.h"
#include "sl_wire.h"

/*
 * A configuration is taken over in two steps: prepare everything that needs memory, which may fail
 * and is then thrown away; and put it in place, which cannot.
 */

#define SOCKETS_MAX  1024
#define COMMANDS_MAX 64

/* One backend of the configuration to be. */
struct change {
	struct backend *backend;
	bool is_new;
	uint32_t nb_checks;
	void *memory;		 /* For its machine; NULL: it keeps the one it has. */
	char (*texts)[TEXT_MAX]; /* Go with memory. */
	int same[SL_HEALTH_CHECKS_MAX];
};

struct plan {
	uint32_t nb_dests;
	struct dest *dests;
	struct change **changes; /* By destination and backend. */
};

struct by_key {
	uint64_t key;
	struct dest *dest;
};

static int
compare_keys(const void *a, const void *b)
{
	uint64_t x = ((const struct by_key *)a)->key, y = ((const struct by_key *)b)->key;

	return x < y ? -1 : x > y;
}

/* The destinations there are, to be found by their key. */
static struct by_key *
index_dests(const struct sl_checks *checks)
{
	struct by_key *index = calloc((size_t)checks->nb_dests + 1, sizeof(*index));

	if (index == NULL)
		return NULL;
	for (uint32_t i = 0; i < checks->nb_dests; i++)
		index[i] = (struct by_key){checks->dests[i].key, &checks->dests[i]};
	qsort(index, checks->nb_dests, sizeof(*index), compare_keys);
	return index;
}

static struct dest *
find_dest(const struct sl_checks *checks, const struct by_key *index, uint64_t key)
{
	const struct by_key wanted = {.key = key};
	const struct by_key *found = bsearch(
		&wanted, index, checks->nb_dests, sizeof(wanted), compare_keys);

	return found == NULL ? NULL : found->dest;
}

/* Usually it is where it was, or behind the one found last: *next is where to look first. */
static struct backend *
find_backend(const struct dest *dest, const char *name, uint32_t *next)
{
	uint32_t at = *next;

	for (uint32_t n = dest->nb_backends; n > 0; n--, at++) {
		at = at < dest->nb_backends ? at : 0;
		if (strcmp(dest->backends[at]->name, name) != 0)
			continue;
		*next = at + 1;
		return dest->backends[at];
	}
	return NULL;
}

static struct backend *
new_backend(struct sl_checks *checks, const struct sl_config_backend *config)
{
	struct backend *backend = calloc(1, sizeof(*backend));

	if (backend == NULL)
		return NULL;
	backend->checks = checks;
	backend->armed_ms = UINT64_MAX;
	LIST_INIT(&backend->runs);
	backend->name = strdup(config->name);
	if (backend->name == NULL) {
		free(backend);
		return NULL;
	}
	return backend;
}

/* Which of the old checks a new one is: the first equal one that is not taken yet. */
static void
match_checks(const struct sl_config_health *before, const struct sl_config_health *after, int *same)
{
	bool taken[SL_HEALTH_CHECKS_MAX] = {false};

	for (uint32_t i = 0; i < after->nb_checks; i++) {
		same[i] = -1;
		for (uint32_t j = 0; j < before->nb_checks && same[i] < 0; j++) {
			if (taken[j] || !spec_check_equal(&after->checks[i], &before->checks[j]))
				continue;
			same[i] = (int)j;
			taken[j] = true;
		}
	}
}

static int
prepare_machine(struct change *change, const struct sl_config_health *health)
{
	struct sl_health_params params;

	spec_params(health, &params);
	params.nb_checks = change->nb_checks;
	change->memory = malloc(sl_health_memory_size(&params));
	if (change->memory == NULL)
		return -ENOMEM;
	if (params.nb_checks > 0) {
		change->texts = calloc(params.nb_checks, sizeof(*change->texts));
		if (change->texts == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int
prepare_backend(struct sl_checks *checks, const struct dest *old, const struct dest *dest,
	const struct sl_config_backend *config, struct change *change, uint32_t *next)
{
	struct backend *backend = old == NULL ? NULL : find_backend(old, config->name, next);

	change->nb_checks = config->is_member ? 0 : dest->health.nb_checks;
	change->backend = backend != NULL ? backend : new_backend(checks, config);
	if (change->backend == NULL)
		return -ENOMEM;
	change->is_new = backend == NULL;
	if (backend == NULL)
		return prepare_machine(change, &dest->health);
	if (sl_ip_equal(&backend->address, &config->address) && backend->port == config->port &&
		backend->nb_checks == change->nb_checks && spec_equal(&old->health, &dest->health))
		return 0;
	if (backend->nb_checks > 0)
		match_checks(&old->health, &dest->health, change->same);
	else
		memset(change->same, -1, sizeof(change->same));
	return prepare_machine(change, &dest->health);
}

static int
prepare_dest(struct sl_checks *checks, const struct dest *old,
	const struct sl_config_destination *config, struct dest *dest, struct change **changes)
{
	uint32_t next = 0;
	int rc;

	dest->key = config->key;
	dest->name = strdup(config->name);
	dest->backends = calloc((size_t)config->nb_backends + 1, sizeof(*dest->backends));
	*changes = calloc((size_t)config->nb_backends + 1, sizeof(**changes));
	rc = spec_copy(&dest->health, &config->health);
	if (rc != 0 || dest->name == NULL || dest->backends == NULL || *changes == NULL)
		return -ENOMEM;
	dest->group.threshold_percent = config->health.panic_threshold_percent;
	dest->group.is_panic = old != NULL && old->group.is_panic;
	for (uint32_t i = 0; i < config->nb_backends && rc == 0; i++) {
		rc = prepare_backend(
			checks, old, dest, &config->backends[i], &(*changes)[i], &next);
		dest->nb_backends++;
	}
	return rc;
}

static void
free_dests(struct dest *dests, uint32_t nb_dests)
{
	for (uint32_t i = 0; i < nb_dests && dests != NULL; i++) {
		spec_free(&dests[i].health);
		free(dests[i].backends);
		free(dests[i].name);
	}
	free(dests);
}

/* @param is_undone  nothing of it is in place */
static void
free_plan(struct plan *plan, bool is_undone)
{
	for (uint32_t i = 0; i < plan->nb_dests && plan->changes != NULL; i++) {
		for (uint32_t j = 0; is_undone && j < plan->dests[i].nb_backends; j++) {
			struct change *change = &plan->changes[i][j];

			free(change->memory);
			free(change->texts);
			if (change->is_new)
				backend_free(change->backend);
		}
		free(plan->changes[i]);
	}
	free(plan->changes);
	if (is_undone)
		free_dests(plan->dests, plan->nb_dests);
}

static int
prepare(struct sl_checks *checks, const struct sl_config *config, struct plan *plan)
{
	struct by_key *index = index_dests(checks);
	int rc = 0;

	plan->dests = calloc((size_t)config->nb_destinations + 1, sizeof(*plan->dests));
	plan->changes = calloc((size_t)config->nb_destinations + 1, sizeof(*plan->changes));
	if (index == NULL || plan->dests == NULL || plan->changes == NULL)
		rc = -ENOMEM;
	for (uint32_t i = 0; i < config->nb_destinations && rc == 0; i++) {
		const struct sl_config_destination *destination = &config->destinations[i];

		plan->nb_dests++;
		rc = prepare_dest(checks, find_dest(checks, index, destination->key), destination,
			&plan->dests[i], &plan->changes[i]);
	}
	free(index);
	return rc;
}

static enum sl_health_admin
admin_of(enum sl_config_admin_state state)
{
	switch (state) {
	case SL_CONFIG_DRAIN:
		return SL_HEALTH_ADMIN_DRAIN;
	case SL_CONFIG_MAINTENANCE:
		return SL_HEALTH_ADMIN_MAINTENANCE;
	default:
		return SL_HEALTH_ADMIN_READY;
	}
}

/* The machine begins, or goes on with other checks. */
static void
place_machine(struct backend *backend, const struct dest *dest,
	const struct sl_config_backend *config, struct change *change, uint64_t now_ms)
{
	struct sl_health_params params;
	struct sl_health *old = backend->health;

	spec_params(&dest->health, &params);
	params.nb_checks = change->nb_checks;
	if (old == NULL) {
		backend->health = sl_health_init(change->memory, &params,
			dest->key * 31 + sl_wire_name_key(backend->name), admin_of(config->state),
			now_ms);
	} else {
		run_cancel_all(backend);
		backend->health = sl_health_init_from(
			change->memory, &params, old, change->same, now_ms);
		for (uint32_t i = 0; i < params.nb_checks; i++) {
			if (change->same[i] >= 0)
				memcpy(change->texts[i], backend->texts[change->same[i]], TEXT_MAX);
		}
		free(old);
	}
	free(backend->texts);
	backend->texts = change->texts;
	backend->nb_checks = change->nb_checks;
}

static void
place_backend(struct dest *dest, uint32_t index, const struct sl_config_backend *config,
	struct change *change, uint64_t now_ms)
{
	struct backend *backend = change->backend;

	if (change->memory != NULL)
		place_machine(backend, dest, config, change, now_ms);
	backend->dest = dest;
	backend->index = index;
	backend->address = config->address;
	backend->port = config->port;
	/* Whoever hears of shares knows backends by index: all are told again. */
	backend->share = UINT32_MAX;
	sl_health_set_admin(backend->health, admin_of(config->state), now_ms);
	backend->is_kept = true;
	dest->backends[index] = backend;
	dest->group.nb_states[sl_health_get_state(backend->health)]++;
}

static void
free_those_gone(struct sl_checks *checks)
{
	for (uint32_t i = 0; i < checks->nb_dests; i++) {
		for (uint32_t j = 0; j < checks->dests[i].nb_backends; j++) {
			if (!checks->dests[i].backends[j]->is_kept)
				backend_free(checks->dests[i].backends[j]);
		}
	}
}

static void
place(struct sl_checks *checks, const struct sl_config *config, struct plan *plan)
{
	uint64_t now_ms = check_now_ms();

	checks->is_held = true;
	for (uint32_t i = 0; i < plan->nb_dests; i++) {
		struct dest *dest = &plan->dests[i];

		dest->index = i;
		for (uint32_t j = 0; j < dest->nb_backends; j++)
			place_backend(dest, j, &config->destinations[i].backends[j],
				&plan->changes[i][j], now_ms);
	}
	free_those_gone(checks);
	free_dests(checks->dests, checks->nb_dests);
	checks->dests = plan->dests;
	checks->nb_dests = plan->nb_dests;
	checks->is_held = false;
}

/* Panic that went with its destination is over without a word. */
static void
wake_all(struct sl_checks *checks)
{
	checks->stats.nb_panics = 0;
	for (uint32_t i = 0; i < checks->nb_dests; i++)
		checks->stats.nb_panics += checks->dests[i].group.is_panic;
	for (uint32_t i = 0; i < checks->nb_dests; i++) {
		struct dest *dest = &checks->dests[i];

		for (uint32_t j = 0; j < dest->nb_backends; j++) {
			dest->backends[j]->is_kept = false;
			backend_pump(dest->backends[j]);
			backend_tell_share(dest->backends[j]);
		}
		dest_update_panic(dest, checks);
	}
	run_begin_waiting(checks);
}

void
sl_checks_thaw(struct sl_checks *checks)
{
	checks->is_frozen = false;
	for (uint32_t i = 0; i < checks->nb_dests; i++) {
		for (uint32_t j = 0; j < checks->dests[i].nb_backends; j++)
			checks->dests[i].backends[j]->share = UINT32_MAX;
	}
	wake_all(checks);
}

int
sl_checks_configure(struct sl_checks *checks, const struct sl_config *config)
{
	struct plan plan = {0};
	int rc = prepare(checks, config, &plan);

	if (rc == 0)
		place(checks, config, &plan);
	free_plan(&plan, rc != 0);
	if (rc == 0)
		wake_all(checks);
	return rc;
}

int
sl_checks_create(const struct sl_checks_params *params, const struct sl_config *config,
	struct sl_checks **result)
{
	struct sl_checks *checks = calloc(1, sizeof(*checks));
	int rc;

	if (checks == NULL)
		return -ENOMEM;
	checks->base = params->base;
	checks->hooks = params->hooks;
	checks->sockets_max = params->sockets_max != 0 ? params->sockets_max : SOCKETS_MAX;
	checks->commands_max = params->commands_max != 0 ? params->commands_max : COMMANDS_MAX;
	TAILQ_INIT(&checks->waiting_sockets);
	TAILQ_INIT(&checks->waiting_commands);
	if (getrandom(&checks->secret, sizeof(checks->secret), GRND_NONBLOCK) < 0)
		checks->secret = check_now_ns();
	checks->node = strdup(params->node);
	rc = checks->node == NULL ? -ENOMEM : sl_checks_configure(checks, config);
	if (rc != 0) {
		sl_checks_destroy(checks);
		return rc;
	}
	*result = checks;
	return 0;
}

void
sl_checks_destroy(struct sl_checks *checks)
{
	if (checks == NULL)
		return;
	checks->is_frozen = true;
	for (uint32_t i = 0; i < checks->nb_dests; i++) {
		for (uint32_t j = 0; j < checks->dests[i].nb_backends; j++)
			backend_free(checks->dests[i].backends[j]);
	}
	free_dests(checks->dests, checks->nb_dests);
	run_free_slots(checks);
	free(checks->node);
	free(checks);
}
