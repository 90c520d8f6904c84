/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "gateways.h"
#include "noted.h"
#include "sl_control.h"
#include "sl_log.h"

/* Of the appliance itself, about. */
#define DESCRIPTORS 512u

struct gateways {
	struct sl_control *control;
	struct sl_ingress *ingress;
	struct noted *noted;				   /* NULL: there is no journal. */
	struct sl_ip addresses[SL_CONFIG_GATEWAY_THREADS]; /* Of the threads, in the path. */
	uint16_t udp_port;
	bool is_draining;
};

/* The name a thread has as a backend. */
static void
backend_name(uint32_t thread, char name[SL_CONFIG_NAME_MAX + 1])
{
	snprintf(name, SL_CONFIG_NAME_MAX + 1, "gateway-%u", thread);
}

static void
on_join(void *arg, const char *destination, uint32_t thread)
{
	struct gateways *g = arg;
	char name[SL_CONFIG_NAME_MAX + 1], error[256] = "";
	const struct sl_member member = {
		.destination = destination,
		.name = name,
		.address = g->addresses[thread],
		.udp_port = g->udp_port,
	};
	int rc;

	backend_name(thread, name);
	rc = sl_control_join(g->control, &member, error, sizeof(error));
	if (rc != 0)
		sl_log(SL_LOG_ingress, SL_LEVEL_ERROR,
			"%s's messages do not come to the gateways' clients: %s", destination,
			error[0] != '\0' ? error : strerror(-rc));
	/* Refused, or there already, nothing else would tell the thread so. */
	sl_control_apply_soon(g->control);
}

static void
on_leave(void *arg, const char *destination, uint32_t thread)
{
	struct gateways *g = arg;
	char name[SL_CONFIG_NAME_MAX + 1];

	backend_name(thread, name);
	/* Not there any more, it has gone with its destination. */
	sl_control_leave(g->control, destination, name);
}

static struct sl_member
member_of(const struct gateways *g, const struct sl_ingress_durable *durable)
{
	return (struct sl_member){
		.destination = durable->destination,
		.name = durable->name,
		.address = g->addresses[durable->thread],
		.udp_port = durable->udp_port,
		.is_durable = true,
		.is_client = true,
	};
}

static int
on_durable_join(void *arg, const struct sl_ingress_durable *durable, char *error, size_t error_len)
{
	struct gateways *g = arg;
	const struct sl_member member = member_of(g, durable);
	struct sl_member_place displaced;
	char why[256];
	int rc = sl_control_client_join(g->control, &member, &displaced, error, error_len);

	if (rc != 0 || displaced.udp_port == 0)
		return rc;
	snprintf(why, sizeof(why), "another client subscribes to %s as %s now",
		durable->destination, durable->name);
	for (uint32_t i = 0; i < SL_CONFIG_GATEWAY_THREADS; i++) {
		if (sl_ip_equal(&g->addresses[i], &displaced.address))
			sl_ingress_refuse_durable(g->ingress, i, displaced.udp_port, why);
	}
	return 0;
}

static void
on_durable_leave(void *arg, const struct sl_ingress_durable *durable)
{
	struct gateways *g = arg;
	const struct sl_member member = member_of(g, durable);

	sl_control_client_leave(g->control, &member);
}

static int
on_durable_forget(
	void *arg, const struct sl_ingress_durable *durable, char *error, size_t error_len)
{
	struct gateways *g = arg;
	const struct sl_member member = member_of(g, durable);

	return sl_control_client_forget(g->control, &member, error, error_len);
}

static int
on_open_topic(void *arg, const char *name, enum sl_config_guarantee guarantee, bool stays)
{
	struct gateways *g = arg;

	return sl_control_open_topic(g->control, name, guarantee, stays);
}

static uint64_t
on_name(void *arg, uint64_t key, const char *name, uint32_t len)
{
	struct gateways *g = arg;

	return noted_add(g->noted, key, name, len);
}

static void
on_named(void *arg, uint64_t number)
{
	struct gateways *g = arg;

	sl_ingress_names_durable(g->ingress, number);
}

static void
remember(void *arg, const char *name, uint32_t len)
{
	struct gateways *g = arg;

	sl_ingress_remember(g->ingress, name, len);
}

static char *
take_text(json_t *json)
{
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;

	json_decref(json);
	return text;
}

/* As the view "overview" and /readyz of the appliance's own page have it. */
static int
on_report(void *arg, bool *is_ready, char **health, char **metrics)
{
	struct gateways *g = arg;
	char reason[256] = "", error[256] = "";
	json_t *overview = NULL;
	int rc = sl_control_show(g->control, "overview", NULL, 0, &overview, error, sizeof(error));

	if (rc != 0)
		return rc;
	*is_ready = sl_control_is_ready(g->control, reason, sizeof(reason));
	*metrics = take_text(overview);
	*health = take_text(*is_ready
			? json_pack("{s:s}", "status", "ok")
			: json_pack("{s:s, s:s}", "status", "not ready", "reason", reason));
	return 0;
}

static int
find_addresses(
	struct gateways *g, struct sl_datapath *datapath, uint32_t nb, char *error, size_t len)
{
	struct sl_datapath_gateway path;

	for (uint32_t i = 0; i < nb && i < SL_CONFIG_GATEWAY_THREADS; i++) {
		if (!sl_datapath_get_gateway(datapath, i, &path)) {
			snprintf(error, len, "the path has no port for gateway thread %u", i);
			return -ENODEV;
		}
		g->addresses[i] = path.address;
	}
	return 0;
}

/* It is told now, and not when the last client that may come in cannot. */
static void
check_descriptors(const struct sl_config *config)
{
	uint64_t wanted = DESCRIPTORS;
	struct rlimit limit;

	for (uint32_t i = 0; i < config->gateways.nb_gateways; i++) {
		const struct sl_config_gateway *gateway = &config->gateways.gateways[i];

		wanted += gateway->is_connector ? gateway->nb_servers : gateway->clients_max;
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted)
		sl_log(SL_LOG_ingress, SL_LEVEL_WARN,
			"the gateways' clients_max and their servers add up to %" PRIu64
			" open files with the appliance's own, but it may have %" PRIu64
			": allow more (LimitNOFILE=, ulimit -Hn), or set \"clients_max\" lower; "
			"until then clients above that wait",
			wanted, (uint64_t)limit.rlim_cur);
}

int
gateways_create(struct event_base *base, const struct sl_config *config,
	struct sl_datapath *datapath, struct sl_notify *notify, struct noted *noted,
	struct gateways **gateways, char *error, size_t error_len)
{
	struct sl_ingress_params params = {
		.base = base,
		.config = config,
		.datapath = datapath,
		.notify = notify,
		.hooks = {.join = on_join,
			.leave = on_leave,
			.durable_join = on_durable_join,
			.durable_leave = on_durable_leave,
			.durable_forget = on_durable_forget,
			.open_topic = on_open_topic,
			.report = on_report,
			.name = noted != NULL ? on_name : NULL},
	};
	struct gateways *g;
	int rc;

	*gateways = NULL;
	if (config->gateways.nb_gateways == 0)
		return 0;
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return -ENOMEM;
	check_descriptors(config);
	*gateways = g;
	g->udp_port = config->udp_port;
	g->noted = noted;
	params.hooks.arg = g;
	rc = find_addresses(g, datapath, config->gateways.threads, error, error_len);
	if (rc == 0)
		rc = sl_ingress_create(&params, &g->ingress, error, error_len);
	if (rc != 0 || noted == NULL)
		return rc;
	noted_names(noted, remember, g);
	noted_tell(noted, on_named, g);
	return 0;
}

int
gateways_start(struct gateways *g, struct sl_control *control, char *error, size_t error_len)
{
	if (g == NULL)
		return 0;
	g->control = control;
	return sl_ingress_start(g->ingress, error, error_len);
}

void
gateways_applied(struct gateways *g, const struct sl_config *config)
{
	if (g != NULL)
		sl_ingress_prepare(g->ingress, config);
}

void
gateways_in_effect(struct gateways *g)
{
	if (g != NULL)
		sl_ingress_in_effect(g->ingress);
}

bool
gateways_drain(struct gateways *g)
{
	if (g == NULL)
		return true;
	if (!g->is_draining)
		sl_ingress_drain(g->ingress);
	g->is_draining = true;
	return sl_ingress_is_drained(g->ingress);
}

json_t *
gateways_show(const struct gateways *g)
{
	return sl_ingress_show(g != NULL ? g->ingress : NULL);
}

json_t *
gateways_show_clients(const struct gateways *g, const char *gateway)
{
	return sl_ingress_clients(g != NULL ? g->ingress : NULL, gateway);
}

void
gateways_destroy(struct gateways *g)
{
	if (g == NULL)
		return;
	sl_ingress_destroy(g->ingress);
	free(g);
}
