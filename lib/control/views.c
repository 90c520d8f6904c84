/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_version.h>

#include "control_internal.h"

struct view {
	struct sl_view_info info;
	uint32_t min_arguments;
	uint32_t max_arguments;
	view_t make;
};

static const struct view views[] = {
	{{"version", "", "versions of Sluice, DPDK and the control API; uptime"}, 0, 0,
		view_version},
	{{"live", "", "what the live page draws: counters, latencies and nodes of one reading"}, 0,
		0, view_live},
	{{"stats", "", "all counters, as in the statistics file"}, 0, 0, view_stats},
	{{"classes", "", "counters and latency of each class"}, 0, 0, view_classes},
	{{"drops", "", "every reason for a drop, and how often"}, 0, 0, view_drops},
	{{"dedup", "", "the windows of seen messages"}, 0, 0, view_dedup},
	{{"queues", "", "what waits for each destination, by class"}, 0, 0, view_queues},
	{{"destinations", "", "destinations with their counters"}, 0, 0, view_destinations},
	{{"destination", "NAME", "one destination with its backends"}, 1, 1, view_destination},
	{{"backends", "[DESTINATION]", "backends, of all destinations or of one"}, 0, 1,
		view_backends},
	{{"health", "DESTINATION BACKEND", "the checks of a backend, and their latest results"}, 2,
		2, view_health},
	{{"neighbours", "", "next hops of the backends, and where they are"}, 0, 0,
		view_neighbours},
	{{"ports", "", "ports, links and counters"}, 0, 0, view_ports},
	{{"port", "PORT|all info|stats|xstats", "one port"}, 2, 2, view_port},
	{{"journal", "", "the journal: state, what it holds, how fast it is"}, 0, 0, view_journal},
	{{"publishers", "", "sessions of those who send"}, 0, 0, view_publishers},
	{{"sessions", "[DESTINATION]", "sessions with backends, of all destinations or of one"}, 0,
		1, view_sessions},
	{{"sinks", "", "databases that trail the journal"}, 0, 0, view_sinks},
	{{"topics", "", "topics with their subscribers, counted, and their counters"}, 0, 0,
		view_topics},
	{{"subscribers", "[DESTINATION]", "subscribers of all topics or of one, and who joined"}, 0,
		1, view_subscribers},
	{{"ingress", "[GATEWAY [clients]]", "gateways, connections and their threads, or clients"},
		0, 2, view_ingress},
	{{"overview", "", "rates, queues, databases, pools, rooms and users, in one reading"}, 0, 0,
		view_overview},
	{{"lcores", "", "what each lcore does and how busy it is"}, 0, 0, view_lcores},
	{{"graph", "", "the graph of an lcore in Graphviz's language"}, 0, 0, view_graph},
	{{"nodes", "", "calls, objects and cycles of each node of the graph"}, 0, 0, view_nodes},
	{{"config", "", "the configuration that runs, as a file"}, 0, 0, view_config},
	{{"events", "[AFTER]", "the latest events, those with a higher id than AFTER"}, 0, 1,
		view_events},
	{{"views", "", "what can be shown"}, 0, 0, view_views},
};

const struct sl_view_info *
sl_control_view(uint32_t index)
{
	return index < RTE_DIM(views) ? &views[index].info : NULL;
}

int
sl_control_show(struct sl_control *c, const char *name, const char *const *arguments,
	uint32_t nb_arguments, json_t **json, char *error, size_t error_len)
{
	struct view_call call = {arguments, nb_arguments, error, error_len, 0};
	const struct view *view = NULL;

	for (uint32_t i = 0; i < RTE_DIM(views) && view == NULL; i++) {
		if (strcmp(views[i].info.name, name) == 0)
			view = &views[i];
	}
	if (view == NULL)
		return control_fail(-ENOENT, error, error_len,
			"there is no view %.64s: see the view \"views\"", name);
	if (nb_arguments < view->min_arguments || nb_arguments > view->max_arguments)
		return control_fail(-EINVAL, error, error_len, "%s takes %s", name,
			view->max_arguments == 0 ? "no arguments" : view->info.arguments);
	*json = view->make(c, &call);
	if (*json != NULL)
		return 0;
	if (call.rc == 0)
		return control_fail(-ENOMEM, error, error_len, "no memory to show %s", name);
	return call.rc;
}

json_t *
view_version(struct sl_control *c, struct view_call *call)
{
	/* EAL's --file-prefix is the last part of its directory. */
	const char *dir = strrchr(rte_eal_get_runtime_dir(), '/');

	RTE_SET_USED(call);
	return json_pack("{s:s, s:s, s:i, s:s, s:i, s:I, s:s}", "version", c->params.version,
		"dpdk", rte_version(), "api", 1, "node", c->config->node, "pid", (int)getpid(),
		"uptime_s", (json_int_t)((control_now_ms() - c->started_ms) / 1000), "file_prefix",
		dir != NULL ? dir + 1 : "rte");
}

json_t *
view_views(struct sl_control *c, struct view_call *call)
{
	json_t *list = json_array();

	RTE_SET_USED(c);
	RTE_SET_USED(call);
	for (uint32_t i = 0; i < RTE_DIM(views); i++)
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:s}", "name", views[i].info.name, "arguments",
				views[i].info.arguments, "help", views[i].info.help));
	return list;
}

struct sl_datapath_stats *
view_get_stats(struct sl_control *c, struct view_call *call)
{
	struct sl_datapath_stats *stats = calloc(1, sizeof(*stats));
	int rc;

	if (stats == NULL)
		return NULL;
	rc = sl_datapath_get_stats(c->params.datapath, stats);
	if (rc != 0) {
		free(stats);
		call->rc = control_fail(-EAGAIN, call->error, call->error_len,
			"an lcore has not answered for a second: try again");
		return NULL;
	}
	marks_subtract_stats(c->marks, stats);
	return stats;
}
