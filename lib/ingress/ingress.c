/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ingress.h"
#include "sl_log.h"
#include "unknown.h"

/* The control thread's side. */

/* Of the session a thread publishes in, at most. */
#define WINDOW_MAX 65536u
#define WINDOW_MIN 64u

struct sl_ingress {
	struct sl_ingress_hooks hooks;
	struct gw_shared shared;
	struct gw_snapshot *snapshot;
	struct gw_snapshot *prepared; /* The next one, when the path has it; NULL: none. */
	struct event *request_event;
	uint32_t nb_threads;
	struct gw_thread *threads[GW_THREADS_MAX];
	uint64_t served[GW_THREADS_MAX]; /* The last request of each. */
};

/* What threads ask for. */

static void
report(struct sl_ingress *in)
{
	char *health = NULL, *metrics = NULL;
	bool is_ready = false;

	if (in->hooks.report != NULL &&
		in->hooks.report(in->hooks.arg, &is_ready, &health, &metrics) == 0)
		gw_report_put(&in->shared, is_ready, health, metrics);
}

/* What takes effect is in the next snapshot; the rest is answered. */
static void
serve_durable(struct sl_ingress *in, const struct gw_request *r)
{
	const struct sl_ingress_hooks *hooks = &in->hooks;
	const struct sl_ingress_durable durable = {
		.destination = r->name,
		.name = r->as,
		.thread = r->thread,
		.udp_port = r->port,
	};
	char error[256] = "there are no durable subscribers here";
	int rc = -ENOTSUP;

	if (r->wish == GW_DURABLE_LEAVE) {
		if (hooks->durable_leave != NULL)
			hooks->durable_leave(hooks->arg, &durable);
		return;
	}
	if (r->wish == GW_DURABLE_JOIN && hooks->durable_join != NULL)
		rc = hooks->durable_join(hooks->arg, &durable, error, sizeof(error));
	if (r->wish == GW_DURABLE_FORGET && hooks->durable_forget != NULL)
		rc = hooks->durable_forget(hooks->arg, &durable, error, sizeof(error));
	if (rc != 0)
		gw_answer(in->threads[r->thread], r->port, error);
	else if (r->wish == GW_DURABLE_FORGET)
		gw_answer(in->threads[r->thread], r->port, NULL);
}

static void
serve(struct sl_ingress *in, const struct gw_request *r)
{
	int rc;

	switch (r->wish) {
	case GW_JOIN:
		if (in->hooks.join != NULL)
			in->hooks.join(in->hooks.arg, r->name, r->thread);
		break;
	case GW_LEAVE:
		if (in->hooks.leave != NULL)
			in->hooks.leave(in->hooks.arg, r->name, r->thread);
		break;
	case GW_OPEN:
	case GW_OPEN_FIRST:
		rc = in->hooks.open_topic == NULL ? -ENOTSUP
						  : in->hooks.open_topic(in->hooks.arg, r->name,
							    r->guarantee, r->wish == GW_OPEN_FIRST);
		if (rc == 0) {
			gw_open_served(&in->shared, r->name);
			break;
		}
		gw_open_failed(&in->shared, r->name, rc);
		sl_log(SL_LOG_ingress, SL_LEVEL_WARN, "gateway %s: there is no topic %s: %s",
			in->shared.gateways[r->gateway].config.name, r->name, strerror(-rc));
		break;
	case GW_REPORT:
		report(in);
		break;
	case GW_DURABLE_JOIN:
	case GW_DURABLE_LEAVE:
	case GW_DURABLE_FORGET:
		serve_durable(in, r);
		break;
	}
}

static void
wake_all(struct sl_ingress *in)
{
	for (uint32_t i = 0; i < in->nb_threads; i++)
		gw_thread_wake(in->threads[i]);
}

static void
on_requests(evutil_socket_t fd, short what, void *arg)
{
	struct sl_ingress *in = arg;
	struct gw_requests list;
	struct gw_request *r;
	uint64_t count;
	ssize_t n = read((int)fd, &count, sizeof(count));

	RTE_SET_USED(n);
	RTE_SET_USED(what);
	STAILQ_INIT(&list);
	pthread_mutex_lock(&in->shared.lock);
	STAILQ_CONCAT(&list, &in->shared.requests);
	pthread_mutex_unlock(&in->shared.lock);
	while ((r = STAILQ_FIRST(&list)) != NULL) {
		STAILQ_REMOVE_HEAD(&list, next);
		serve(in, r);
		in->served[r->thread] = r->serial;
		free(r);
	}
	if (in->hooks.name != NULL && gw_names_put(in->shared.names, in->hooks.name, in->hooks.arg))
		wake_all(in);
}

/* Gateways. */

static char *
keep(struct gw_gateway *gateway, const char *text)
{
	void **storage;
	char *copy;

	if (text == NULL)
		return NULL;
	storage = realloc(gateway->storage, (gateway->nb_storage + 1) * sizeof(*storage));
	if (storage == NULL)
		return NULL;
	gateway->storage = storage;
	copy = strdup(text);
	if (copy != NULL)
		storage[gateway->nb_storage++] = copy;
	return copy;
}

static char **
keep_list(struct gw_gateway *gateway, char **texts, uint32_t nb)
{
	void **storage = realloc(gateway->storage, (gateway->nb_storage + 1) * sizeof(*storage));
	char **copy = calloc(nb + 1, sizeof(*copy));

	if (storage != NULL)
		gateway->storage = storage;
	if (storage == NULL || copy == NULL) {
		free(copy);
		return NULL;
	}
	storage[gateway->nb_storage++] = copy;
	for (uint32_t i = 0; i < nb; i++) {
		copy[i] = keep(gateway, texts[i]);
		if (copy[i] == NULL)
			return NULL;
	}
	return copy;
}

/* The configuration it came from goes when another runs. @return false: no memory */
static bool
copy_config(struct gw_gateway *gateway, const struct sl_config_gateway *from)
{
	struct sl_config_gateway *to = &gateway->config;

	*to = *from;
	to->name = keep(gateway, from->name);
	to->tls_certificate = keep(gateway, from->tls_certificate);
	to->tls_key = keep(gateway, from->tls_key);
	to->tokens = keep(gateway, from->tokens);
	to->prefix = keep(gateway, from->prefix != NULL ? from->prefix : "");
	to->primary = keep(gateway, from->primary);
	to->tls_ca = keep(gateway, from->tls_ca);
	to->tls_name = keep(gateway, from->tls_name);
	to->origins = keep_list(gateway, from->origins, from->nb_origins);
	to->servers = keep_list(gateway, from->servers, from->nb_servers);
	return to->name != NULL && to->prefix != NULL && to->origins != NULL &&
		to->servers != NULL &&
		(to->tls_certificate == NULL) == (from->tls_certificate == NULL) &&
		(to->tls_key == NULL) == (from->tls_key == NULL) &&
		(to->tokens == NULL) == (from->tokens == NULL) &&
		(to->tls_ca == NULL) == (from->tls_ca == NULL) &&
		(to->tls_name == NULL) == (from->tls_name == NULL) &&
		(to->primary == NULL) == (from->primary == NULL);
}

static bool
add_servers(struct gw_gateway *gateway)
{
	gateway->servers = calloc(gateway->config.nb_servers + 1, sizeof(*gateway->servers));
	if (gateway->servers == NULL)
		return false;
	for (uint32_t i = 0; i < gateway->config.nb_servers; i++) {
		gateway->servers[i].address = gateway->config.servers[i];
		pthread_mutex_init(&gateway->servers[i].lock, NULL);
		gateway->nb_servers++;
	}
	return true;
}

static int
add_gateway(struct sl_ingress *in, const struct sl_config_gateway *config, char *error,
	size_t error_len)
{
	struct gw_gateway *gateway = &in->shared.gateways[in->shared.nb_gateways];

	memset(gateway->fds, -1, sizeof(gateway->fds));
	gateway->index = in->shared.nb_gateways++;
	gateway->protocol = gw_protocol_of(config->protocol);
	if (gateway->protocol == NULL) {
		snprintf(error, error_len, "gateway %s: its protocol is not part of this build",
			config->name);
		return -EPROTONOSUPPORT;
	}
	gateway->addresses = gw_addresses_create();
	if (gateway->addresses == NULL || !copy_config(gateway, config) || !add_servers(gateway)) {
		snprintf(error, error_len, "gateway %s: no memory", config->name);
		return -ENOMEM;
	}
	return config->is_connector ? 0
				    : gw_gateway_listen(gateway, in->nb_threads, error, error_len);
}

static void
free_gateway(struct gw_gateway *gateway)
{
	for (uint32_t i = 0; i < GW_THREADS_MAX; i++) {
		if (gateway->fds[i] >= 0)
			close(gateway->fds[i]);
	}
	for (uint32_t i = 0; i < gateway->nb_servers; i++)
		pthread_mutex_destroy(&gateway->servers[i].lock);
	free(gateway->servers);
	gw_addresses_destroy(gateway->addresses);
	for (uint32_t i = 0; i < gateway->nb_storage; i++)
		free(gateway->storage[i]);
	free(gateway->storage);
}

/* Create. */

static uint32_t
window_of(const struct sl_config *config)
{
	uint32_t window = WINDOW_MIN;

	while (window < config->publishers.window && window < WINDOW_MAX)
		window *= 2;
	return window;
}

static int
create_threads(struct sl_ingress *in, const struct sl_ingress_params *params, char *error,
	size_t error_len)
{
	struct sl_datapath_gateway path;

	for (uint32_t i = 0; i < in->nb_threads; i++) {
		if (!sl_datapath_get_gateway(params->datapath, i, &path)) {
			snprintf(error, error_len, "the path has no port for gateway thread %u", i);
			return -ENODEV;
		}
		in->threads[i] = gw_thread_create(&in->shared, i, in->nb_threads, &path,
			in->snapshot, window_of(params->config));
		if (in->threads[i] == NULL) {
			snprintf(error, error_len, "no memory for gateway thread %u", i);
			return -ENOMEM;
		}
	}
	return 0;
}

static int
create_shared(struct sl_ingress *in, const struct sl_ingress_params *params)
{
	struct gw_shared *shared = &in->shared;

	pthread_mutex_init(&shared->lock, NULL);
	STAILQ_INIT(&shared->requests);
	shared->notify = params->notify;
	shared->udp_port = params->config->udp_port;
	if (params->config->journal.directory != NULL) {
		shared->directory = strdup(params->config->journal.directory);
		if (shared->directory == NULL)
			return -ENOMEM;
	}
	shared->has_named_journal = params->hooks.name != NULL;
	shared->names = gw_names_create();
	shared->unknown = gw_unknown_create();
	shared->request_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (shared->names == NULL || shared->unknown == NULL || shared->request_fd < 0)
		return -ENOMEM;
	in->request_event = event_new(
		params->base, shared->request_fd, EV_READ | EV_PERSIST, on_requests, in);
	if (in->request_event == NULL || event_add(in->request_event, NULL) != 0)
		return -ENOMEM;
	return 0;
}

void
sl_ingress_remember(struct sl_ingress *in, const char *name, size_t len)
{
	bool is_refused;

	if (in != NULL)
		gw_names_add(in->shared.names, name, len, &is_refused);
}

static void
remember_names(
	struct sl_ingress *in, const struct gw_snapshot *snapshot, const struct sl_config *config)
{
	const struct sl_config_name *names;
	uint32_t nb = sl_config_names(config, &names);

	/* Those of destinations are found in the snapshot. */
	for (uint32_t i = 0; i < nb; i++) {
		if (gw_snapshot_find(snapshot, names[i].key) == NULL)
			sl_ingress_remember(in, names[i].name, strlen(names[i].name));
	}
}

int
sl_ingress_create(const struct sl_ingress_params *params, struct sl_ingress **ingress, char *error,
	size_t error_len)
{
	const struct sl_config_gateways *config = &params->config->gateways;
	struct sl_ingress *in;
	int rc;

	*ingress = NULL;
	if (config->nb_gateways == 0)
		return 0;
	snprintf(error, error_len, "no memory for the gateways");
	in = calloc(1, sizeof(*in));
	if (in == NULL)
		return -ENOMEM;
	in->hooks = params->hooks;
	in->nb_threads = RTE_MAX(config->threads, 1u);
	in->nb_threads = RTE_MIN(in->nb_threads, (uint32_t)GW_THREADS_MAX);
	in->shared.request_fd = -1;
	rc = create_shared(in, params);
	if (rc == 0)
		rc = gw_snapshot_create(params->config, NULL, &in->snapshot, error, error_len);
	if (rc == 0)
		remember_names(in, in->snapshot, params->config);
	for (uint32_t i = 0; rc == 0 && i < config->nb_gateways && i < GW_LISTENERS_MAX; i++)
		rc = add_gateway(in, &config->gateways[i], error, error_len);
	if (rc == 0)
		rc = create_threads(in, params, error, error_len);
	if (rc != 0)
		sl_ingress_destroy(in);
	else
		*ingress = in;
	return rc;
}

void
sl_ingress_names_durable(struct sl_ingress *in, uint64_t number)
{
	if (in == NULL)
		return;
	gw_names_set_durable(in->shared.names, number);
	wake_all(in);
}

/* What waits for clients comes and goes with each turn. The C library would give the pages of it
 * back each time, and have them zeroed by the kernel for the next: a quarter of a thread's time. */
static void
keep_memory(void)
{
	mallopt(M_TRIM_THRESHOLD, 32 << 20);
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	mallopt(M_TOP_PAD, 1 << 20);
}

int
sl_ingress_start(struct sl_ingress *in, char *error, size_t error_len)
{
	int rc = 0;

	if (in != NULL)
		keep_memory();
	for (uint32_t i = 0; in != NULL && rc == 0 && i < in->nb_threads; i++) {
		rc = gw_thread_start(in->threads[i]);
		if (rc != 0)
			snprintf(error, error_len, "gateway thread %u does not start: %s", i,
				strerror(-rc));
	}
	return rc;
}

void
sl_ingress_prepare(struct sl_ingress *in, const struct sl_config *config)
{
	char error[512] = "no memory";

	if (in == NULL)
		return;
	gw_snapshot_unref(in->prepared);
	in->prepared = NULL;
	if (gw_snapshot_create(config, in->snapshot, &in->prepared, error, sizeof(error)) != 0) {
		sl_log(SL_LOG_ingress, SL_LEVEL_ERROR,
			"the gateways go on as before the last change: %s", error);
		return;
	}
	memcpy(in->prepared->served, in->served, sizeof(in->prepared->served));
	gw_opened_decide(&in->shared);
	remember_names(in, in->prepared, config);
}

void
sl_ingress_in_effect(struct sl_ingress *in)
{
	struct gw_snapshot *before;

	if (in == NULL || in->prepared == NULL)
		return;
	gw_opened_settle(&in->shared, in->prepared);
	gw_snapshot_unref(in->snapshot);
	in->snapshot = in->prepared;
	in->prepared = NULL;
	for (uint32_t i = 0; i < in->nb_threads; i++) {
		/* One that a thread has not taken yet is none any more. */
		before = __atomic_exchange_n(
			&in->threads[i]->next, gw_snapshot_ref(in->snapshot), __ATOMIC_ACQ_REL);
		gw_snapshot_unref(before);
		gw_thread_wake(in->threads[i]);
	}
}

void
sl_ingress_apply(struct sl_ingress *in, const struct sl_config *config)
{
	sl_ingress_prepare(in, config);
	sl_ingress_in_effect(in);
}

void
sl_ingress_refuse_durable(
	struct sl_ingress *in, uint32_t thread, uint16_t udp_port, const char *error)
{
	if (in != NULL && thread < in->nb_threads && udp_port >= GW_DURABLE_PORT)
		gw_answer(in->threads[thread], udp_port, error);
}

void
sl_ingress_drain(struct sl_ingress *in)
{
	for (uint32_t i = 0; in != NULL && i < in->nb_threads; i++) {
		__atomic_store_n(&in->threads[i]->is_draining, 1, __ATOMIC_RELEASE);
		gw_thread_wake(in->threads[i]);
	}
}

bool
sl_ingress_is_drained(const struct sl_ingress *in)
{
	for (uint32_t i = 0; in != NULL && i < in->nb_threads; i++) {
		if (!__atomic_load_n(&in->threads[i]->is_drained, __ATOMIC_ACQUIRE))
			return false;
	}
	return true;
}

void
sl_ingress_stop(struct sl_ingress *in)
{
	for (uint32_t i = 0; in != NULL && i < in->nb_threads; i++)
		gw_thread_join(in->threads[i]);
}

void
sl_ingress_destroy(struct sl_ingress *in)
{
	struct gw_request *r;

	if (in == NULL)
		return;
	sl_ingress_stop(in);
	for (uint32_t i = 0; i < in->nb_threads; i++)
		gw_thread_destroy(in->threads[i]);
	for (uint32_t i = 0; i < in->shared.nb_gateways; i++)
		free_gateway(&in->shared.gateways[i]);
	gw_snapshot_unref(in->prepared);
	gw_snapshot_unref(in->snapshot);
	if (in->request_event != NULL)
		event_free(in->request_event);
	if (in->shared.request_fd >= 0)
		close(in->shared.request_fd);
	while ((r = STAILQ_FIRST(&in->shared.requests)) != NULL) {
		STAILQ_REMOVE_HEAD(&in->shared.requests, next);
		free(r);
	}
	gw_report_unref(in->shared.report);
	gw_opened_destroy(&in->shared);
	gw_names_destroy(in->shared.names);
	gw_unknown_destroy(in->shared.unknown);
	free(in->shared.directory);
	pthread_mutex_destroy(&in->shared.lock);
	free(in);
}

json_t *
sl_ingress_clients(const struct sl_ingress *in, const char *gateway)
{
	for (uint32_t i = 0; in != NULL && i < in->shared.nb_gateways; i++) {
		if (strcmp(in->shared.gateways[i].config.name, gateway) == 0)
			return gw_show_clients(&in->shared.gateways[i], in->nb_threads);
	}
	return NULL;
}

json_t *
sl_ingress_show(const struct sl_ingress *in)
{
	static const struct gw_shared none;

	return in == NULL ? gw_show(&none, NULL, 0)
			  : gw_show(&in->shared, in->threads, in->nb_threads);
}
