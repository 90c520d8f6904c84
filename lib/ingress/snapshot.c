/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ingress.h"
#include "sl_log.h"
#include "tls.h"
#include "sl_wire.h"

/*
 * What threads know of the configuration: made by the control thread, handed to each thread, and
 * gone when the last has taken over another.
 */

struct gw_snapshot *
gw_snapshot_ref(struct gw_snapshot *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void
gw_snapshot_unref(struct gw_snapshot *s)
{
	if (s == NULL || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	for (uint32_t i = 0; i < s->nb_gateways; i++) {
		gw_tokens_unref(s->tokens[i]);
		SSL_CTX_free(s->tls[i]);
	}
	free(s->places);
	free(s->index);
	free(s->destinations);
	free(s->names);
	free(s);
}

const struct gw_dest *
gw_snapshot_find(const struct gw_snapshot *s, uint64_t key)
{
	uint32_t place;

	for (uint64_t i = key; (place = s->index[i & s->mask]) != 0; i++) {
		if (s->destinations[place - 1].public.key == key)
			return &s->destinations[place - 1];
	}
	return NULL;
}

static void
add(struct gw_snapshot *s, uint32_t i)
{
	uint64_t slot = s->destinations[i].public.key;

	while (s->index[slot & s->mask] != 0)
		slot++;
	s->index[slot & s->mask] = i + 1;
}

static uint32_t
find_gateways(const struct sl_config_destination *destination)
{
	uint32_t threads = 0;
	unsigned int thread;
	char end;

	for (uint32_t i = 0; i < destination->nb_backends; i++) {
		const char *name = destination->backends[i].name;

		if (name[0] == 'g' && sscanf(name, "gateway-%u%c", &thread, &end) == 1 &&
			thread < GW_THREADS_MAX)
			threads |= UINT32_C(1) << thread;
	}
	return threads;
}

/* Places: where durable subscribers are that have a client. */

static int
compare_places(const void *a, const void *b)
{
	const struct gw_place *x = a, *y = b;

	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	return x->port < y->port ? -1 : x->port > y->port;
}

bool
gw_snapshot_has_place(const struct gw_snapshot *s, uint32_t thread, uint32_t port)
{
	const struct gw_place wanted = {.thread = thread, .port = port};

	return s->nb_places > 0 &&
		bsearch(&wanted, s->places, s->nb_places, sizeof(wanted), compare_places) != NULL;
}

bool
gw_snapshot_has_durable(const struct gw_snapshot *s, uint64_t destination, uint64_t name)
{
	for (uint32_t i = 0; i < s->nb_places; i++) {
		if (s->places[i].destination == destination && s->places[i].name == name)
			return true;
	}
	return false;
}

static bool
is_place(const struct sl_config *config, const struct sl_config_backend *backend)
{
	return backend->is_member && backend->is_durable && backend->state == SL_CONFIG_READY &&
		backend->port >= GW_DURABLE_PORT && config->ports[backend->port_index].is_gateway;
}

/* Gateways' ports stand for their threads, in their order. */
static uint32_t
thread_of(const struct sl_config *config, uint32_t port_index)
{
	uint32_t thread = 0;

	for (uint32_t i = 0; i < port_index; i++)
		thread += config->ports[i].is_gateway;
	return thread;
}

static int
copy_places(struct gw_snapshot *s, const struct sl_config *config)
{
	uint32_t size = 0;

	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		const struct sl_config_destination *d = &config->destinations[i];

		for (uint32_t j = 0; j < d->nb_backends; j++)
			size += is_place(config, &d->backends[j]);
	}
	s->places = calloc((size_t)size + 1, sizeof(*s->places));
	if (s->places == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; size > 0 && i < config->nb_destinations; i++) {
		const struct sl_config_destination *d = &config->destinations[i];

		for (uint32_t j = 0; j < d->nb_backends; j++) {
			const struct sl_config_backend *b = &d->backends[j];

			if (!is_place(config, b))
				continue;
			s->places[s->nb_places++] = (struct gw_place){
				.thread = thread_of(config, b->port_index),
				.port = b->port,
				.destination = d->key,
				.name = sl_wire_name_key(b->name),
			};
		}
	}
	qsort(s->places, s->nb_places, sizeof(*s->places), compare_places);
	return 0;
}

static int
copy_destinations(struct gw_snapshot *s, const struct sl_config *config)
{
	uint32_t n = config->nb_destinations, size = 2;
	size_t bytes = 1;
	char *p;

	while (size < 2 * n)
		size *= 2;
	for (uint32_t i = 0; i < n; i++)
		bytes += strlen(config->destinations[i].name) + 1;
	s->mask = size - 1;
	s->index = calloc(size, sizeof(*s->index));
	s->destinations = calloc(n + 1, sizeof(*s->destinations));
	s->names = p = malloc(bytes);
	if (s->index == NULL || s->destinations == NULL || p == NULL)
		return -ENOMEM;
	s->nb_destinations = n;
	for (uint32_t i = 0; i < n; i++) {
		const struct sl_config_destination *from = &config->destinations[i];
		struct gw_dest *to = &s->destinations[i];

		to->name_len = (uint32_t)strlen(from->name);
		memcpy(p, from->name, to->name_len + 1);
		to->public.name = p;
		to->public.key = from->key;
		to->public.kind = from->kind;
		to->public.guarantee = from->guarantee;
		to->public.default_class = from->default_class;
		to->in_flight = from->in_flight;
		to->is_on_demand = from->is_on_demand;
		to->gateways = find_gateways(from);
		p += to->name_len + 1;
		add(s, i);
	}
	return 0;
}

static struct gw_limits
limits_of(const struct sl_config_gateway *g)
{
	return (struct gw_limits){
		.clients_max = g->clients_max,
		.clients_per_address_max = g->clients_per_address_max,
		.idle_ms = g->idle_ms,
		.input_max = g->input_max,
		.output_max = g->output_max,
		.topics_max = g->topics_max,
		.rate_msgs_per_s = g->rate_msgs_per_s,
	};
}

/* One that is not there is none: its like is as little there. */
static struct gw_stamp
stamp_of(const char *path)
{
	struct gw_stamp stamp = {0};
	struct stat st;

	if (path == NULL || stat(path, &st) != 0)
		return stamp;
	stamp.device = st.st_dev;
	stamp.inode = st.st_ino;
	stamp.size = st.st_size;
	stamp.changed = st.st_mtim;
	return stamp;
}

static bool
is_same(const struct gw_stamp *a, const struct gw_stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
		a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void
tell_kept(const char *what, const char *error)
{
	sl_log(SL_LOG_ingress, SL_LEVEL_ERROR, "%s; the %s from before hold", error, what);
}

/* Of no use, those from before hold: nothing else of the configuration is held up. */
static int
take_tokens(struct gw_snapshot *s, const struct gw_snapshot *before, uint32_t i,
	const struct sl_config_gateway *config, char *error, size_t error_len)
{
	struct gw_tokens *old = before != NULL && i < before->nb_gateways ? before->tokens[i]
									  : NULL;
	int rc;

	if (config->tokens == NULL)
		return 0;
	s->files[i].tokens = stamp_of(config->tokens);
	if (old != NULL && is_same(&s->files[i].tokens, &before->files[i].tokens)) {
		s->tokens[i] = gw_tokens_ref(old);
		return 0;
	}
	rc = gw_tokens_load(config->tokens, old, &s->tokens[i], error, error_len);
	if (rc == 0 || old == NULL)
		return rc;
	tell_kept("tokens", error);
	s->tokens[i] = gw_tokens_ref(old);
	return 0;
}

static int
take_tls(struct gw_snapshot *s, const struct gw_snapshot *before, uint32_t i,
	const struct sl_config_gateway *config, char *error, size_t error_len)
{
	SSL_CTX *old = before != NULL && i < before->nb_gateways ? before->tls[i] : NULL;
	struct gw_files *files = &s->files[i];

	if (config->tls_certificate == NULL && !config->is_tls)
		return 0;
	if (config->is_tls && config->tls_ca != NULL)
		files->certificate = stamp_of(config->tls_ca);
	if (!config->is_tls) {
		files->certificate = stamp_of(config->tls_certificate);
		files->key = stamp_of(config->tls_key);
	}
	if (old == NULL || !is_same(&files->certificate, &before->files[i].certificate) ||
		!is_same(&files->key, &before->files[i].key)) {
		s->tls[i] = config->is_tls ? gw_tls_create_connector(config, error, error_len)
					   : gw_tls_create(config, error, error_len);
		if (s->tls[i] != NULL)
			return 0;
		if (old == NULL)
			return -EINVAL;
		tell_kept(config->is_tls ? "certificates" : "certificate and key", error);
	}
	SSL_CTX_up_ref(old);
	s->tls[i] = old;
	return 0;
}

int
gw_snapshot_create(const struct sl_config *config, const struct gw_snapshot *before,
	struct gw_snapshot **snapshot, char *error, size_t error_len)
{
	const struct sl_config_gateways *gateways = &config->gateways;
	struct gw_snapshot *s = calloc(1, sizeof(*s));
	int rc = s == NULL ? -ENOMEM : 0;

	if (rc != 0)
		return rc;
	s->refs = 1;
	s->nb_gateways = RTE_MIN(gateways->nb_gateways, GW_LISTENERS_MAX);
	for (uint32_t i = 0; rc == 0 && i < s->nb_gateways; i++) {
		s->limits[i] = limits_of(&gateways->gateways[i]);
		rc = take_tokens(s, before, i, &gateways->gateways[i], error, error_len);
		if (rc == 0)
			rc = take_tls(s, before, i, &gateways->gateways[i], error, error_len);
	}
	if (rc == 0)
		rc = copy_destinations(s, config);
	if (rc == 0)
		rc = copy_places(s, config);
	if (rc != 0) {
		gw_snapshot_unref(s);
		return rc;
	}
	*snapshot = s;
	return 0;
}
