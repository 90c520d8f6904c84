/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control_internal.h"
#include "sl_drop_watch.h"
#include "sl_stats.h"
#include "stats_json.h"

/* Views of the path: counters that come from sl_datapath_get_stats(), and of lcores. */

#define LCORES_MAX 128

json_t *
view_stats(struct sl_control *c, struct view_call *call)
{
	struct sl_datapath_stats *stats = view_get_stats(c, call);
	struct timespec now;
	json_t *root;

	if (stats == NULL)
		return NULL;
	root = stats_to_json(c->config, c->params.datapath, stats, c->marks);
	free(stats);
	clock_gettime(CLOCK_REALTIME, &now);
	json_object_set_new(
		root, "time", json_real((double)now.tv_sec + (double)now.tv_nsec / 1e9));
	json_object_set_new(root, "uptime_s", integer((control_now_ms() - c->started_ms) / 1000));
	return root;
}

static json_t *
latency_of(const struct sl_hist *hist)
{
	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "mean", sl_hist_mean(hist) / 1e3, "p50",
		(double)sl_hist_quantile(hist, 0.5) / 1e3, "p90",
		(double)sl_hist_quantile(hist, 0.9) / 1e3, "p99",
		(double)sl_hist_quantile(hist, 0.99) / 1e3, "p999",
		(double)sl_hist_quantile(hist, 0.999) / 1e3, "max", (double)hist->max / 1e3);
}

json_t *
view_classes(struct sl_control *c, struct view_call *call)
{
	struct sl_datapath_stats *stats = view_get_stats(c, call);
	json_t *list;

	if (stats == NULL)
		return NULL;
	list = json_array();
	for (uint32_t i = 0; i < c->config->nb_classes; i++) {
		const struct sl_config_class *class = &c->config->classes[i];
		const struct sl_class_stats *s = &stats->classes[i];

		json_array_append_new(list,
			json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "level",
				(json_int_t) class->level, "name", class->name, "min_share_percent",
				(json_int_t) class->min_share_percent, "max_wait_ms",
				(json_int_t) class->max_wait_ms, "delivered",
				(json_int_t)s->delivered, "dropped", (json_int_t)s->dropped,
				"queued", (json_int_t)s->queued, "latency_us",
				latency_of(&s->latency)));
	}
	free(stats);
	return list;
}

static json_t *
drop_of(const char *reason, const char *kind, uint64_t count, const char *hint)
{
	return json_pack("{s:s, s:s, s:I, s:s?}", "reason", reason, "kind", kind, "count",
		(json_int_t)count, "hint", hint);
}

json_t *
view_drops(struct sl_control *c, struct view_call *call)
{
	struct sl_datapath_stats *stats = view_get_stats(c, call);
	json_t *list;

	if (stats == NULL)
		return NULL;
	list = json_array();
	for (unsigned int i = 0; i < SL_FRAME_DROPS; i++)
		json_array_append_new(list,
			drop_of(sl_frame_drop_name(i), "frame", stats->frames_dropped[i],
				sl_frame_drop_hint(i)));
	for (unsigned int i = 0; i < SL_MESSAGE_DROPS; i++)
		json_array_append_new(list,
			drop_of(sl_message_drop_name(i), "message", stats->dropped[i],
				sl_message_drop_hint(i)));
	free(stats);
	return list;
}

json_t *
view_dedup(struct sl_control *c, struct view_call *call)
{
	struct sl_datapath_stats *stats = view_get_stats(c, call);
	struct sl_datapath_memory memory;
	json_t *dedup;

	if (stats == NULL)
		return NULL;
	sl_datapath_get_memory(c->params.datapath, &memory);
	dedup = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "window_ms",
		(json_int_t)c->config->dedup_window_ms, "capacity",
		(json_int_t)c->config->dedup_capacity, "entries", (json_int_t)stats->dedup_entries,
		"evicted_early", (json_int_t)stats->dedup_evicted_early, "duplicates",
		(json_int_t)stats->duplicates, "memory_bytes", (json_int_t)memory.dedup);
	free(stats);
	return dedup;
}

static double
ratio(uint64_t a, uint64_t b)
{
	return b == 0 ? 0 : (double)a / (double)b;
}

json_t *
view_nodes(struct sl_control *c, struct view_call *call)
{
	struct sl_datapath_stats *stats = view_get_stats(c, call);
	json_t *list;

	if (stats == NULL)
		return NULL;
	list = json_array();
	for (uint32_t i = 0; i < stats->nb_nodes; i++) {
		const struct sl_node_stats *n = &stats->nodes[i];

		json_array_append_new(list,
			json_pack("{s:s, s:I, s:I, s:I, s:f, s:f}", "name", n->name, "calls",
				(json_int_t)n->calls, "objects", (json_int_t)n->objects, "cycles",
				(json_int_t)n->cycles, "objects_per_call",
				ratio(n->objects, n->calls), "cycles_per_object",
				ratio(n->cycles, n->objects)));
	}
	free(stats);
	return list;
}

json_t *
view_lcores(struct sl_control *c, struct view_call *call)
{
	struct sl_lcore_stats stats[LCORES_MAX];
	uint32_t n = sl_datapath_get_lcores(c->params.datapath, stats, LCORES_MAX);
	json_t *list = json_array();

	RTE_SET_USED(call);
	for (uint32_t i = 0; i < n; i++) {
		const struct sl_lcore_stats *s = &stats[i];
		json_t *roles = json_array();

		if (s->roles & SL_ROLE_RX)
			json_array_append_new(roles, json_string("rx"));
		if (s->roles & SL_ROLE_WORKER)
			json_array_append_new(roles, json_string("worker"));
		json_array_append_new(list,
			json_pack("{s:I, s:I, s:o, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
				"lcore", (json_int_t)s->lcore, "cpu", (json_int_t)s->cpu, "roles",
				roles, "busy_percent",
				100 * ratio(s->busy_cycles, s->busy_cycles + s->idle_cycles),
				"busy_cycles", (json_int_t)s->busy_cycles, "idle_cycles",
				(json_int_t)s->idle_cycles, "rx_queues", (json_int_t)s->nb_rxqs,
				"shards", (json_int_t)s->nb_shards, "frames", (json_int_t)s->frames,
				"delivered", (json_int_t)s->messages, "queued",
				(json_int_t)s->queued));
	}
	return list;
}

json_t *
view_graph(struct sl_control *c, struct view_call *call)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	json_t *graph = NULL;
	int rc;

	if (out == NULL)
		return NULL;
	rc = sl_datapath_write_graph(c->params.datapath, out);
	fclose(out);
	if (rc != 0)
		call->rc = control_fail(rc, call->error, call->error_len,
			"the graph cannot be written: %s", strerror(-rc));
	else
		graph = json_pack("{s:s}", "dot", text);
	free(text);
	return graph;
}
