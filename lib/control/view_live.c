/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>
#include <time.h>

#include "control_internal.h"
#include "sl_drop_watch.h"

/*
 * The view of the live page: what it draws each second, in one reading and without what grows with
 * the destinations. Latencies come as histograms, since a page that shows the last second needs the
 * difference of two.
 */

static json_t *
buckets_of(const struct sl_hist *hist)
{
	json_t *buckets = json_array();

	for (unsigned int i = 0; i < SL_HIST_BUCKETS; i++) {
		if (hist->buckets[i] != 0)
			json_array_append_new(buckets,
				json_pack("[I, I]", (json_int_t)sl_hist_bound(i),
					(json_int_t)hist->buckets[i]));
	}
	return buckets;
}

static json_t *
classes_of(const struct sl_config *config, const struct sl_datapath_stats *stats)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < config->nb_classes; i++) {
		const struct sl_class_stats *s = &stats->classes[i];

		json_array_append_new(list,
			json_pack("{s:I, s:s, s:I, s:I, s:I, s:o}", "level",
				(json_int_t)config->classes[i].level, "name",
				config->classes[i].name, "delivered", (json_int_t)s->delivered,
				"dropped", (json_int_t)s->dropped, "queued", (json_int_t)s->queued,
				"latency_ns", buckets_of(&s->latency)));
	}
	return list;
}

static uint64_t
add_drops(json_t *list, const char *kind, const uint64_t *counts, unsigned int n)
{
	bool is_frame = kind[0] == 'f';
	uint64_t sum = 0;

	for (unsigned int i = 0; i < n; i++) {
		sum += counts[i];
		if (counts[i] == 0)
			continue;
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:I, s:s?}", "reason",
				is_frame ? sl_frame_drop_name(i) : sl_message_drop_name(i), "kind",
				kind, "count", (json_int_t)counts[i], "hint",
				is_frame ? sl_frame_drop_hint(i) : sl_message_drop_hint(i)));
	}
	return sum;
}

static json_t *
nodes_of(const struct sl_datapath_stats *stats)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < stats->nb_nodes; i++) {
		const struct sl_node_stats *n = &stats->nodes[i];

		json_array_append_new(list,
			json_pack("{s:s, s:I, s:I, s:I}", "name", n->name, "calls",
				(json_int_t)n->calls, "objects", (json_int_t)n->objects, "cycles",
				(json_int_t)n->cycles));
	}
	return list;
}

json_t *
view_live(struct sl_control *c, struct view_call *call)
{
	struct sl_datapath_stats *s = view_get_stats(c, call);
	const struct sl_config *config = c->config;
	uint64_t dropped, frames_dropped;
	json_t *live, *drops;

	if (s == NULL)
		return NULL;
	drops = json_array();
	frames_dropped = add_drops(drops, "frame", s->frames_dropped, SL_FRAME_DROPS);
	dropped = add_drops(drops, "message", s->dropped, SL_MESSAGE_DROPS);
	live = json_pack("{s:s, s:s, s:I, s:I, s:b, s:I}", "node", config->node, "version",
		c->params.version, "started", (json_int_t)c->started_ms, "uptime_s",
		(json_int_t)((control_now_ms() - c->started_ms) / 1000), "running",
		sl_datapath_is_running(c->params.datapath), "tsc_hz", (json_int_t)s->tsc_hz);
	json_object_update_new(live,
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "frames_received",
			(json_int_t)s->frames_received, "frames_dropped",
			(json_int_t)frames_dropped, "received", (json_int_t)s->received,
			"delivered", (json_int_t)s->delivered, "duplicates",
			(json_int_t)s->duplicates, "queued", (json_int_t)s->queued, "dropped",
			(json_int_t)dropped));
	json_object_set_new(live, "recovered", integer(s->recovered));
	json_object_set_new(live, "copied", integer(s->copied));
	json_object_set_new(live, "drops", drops);
	json_object_set_new(live, "classes", classes_of(config, s));
	json_object_set_new(live, "nodes", nodes_of(s));
	json_object_set_new(live, "dedup",
		json_pack("{s:I, s:I, s:I, s:I}", "entries", (json_int_t)s->dedup_entries,
			"capacity", (json_int_t)config->dedup_capacity, "window_ms",
			(json_int_t)config->dedup_window_ms, "evicted_early",
			(json_int_t)s->dedup_evicted_early));
	json_object_set_new(live, "journal", durable_live(c));
	free(s);
	return live;
}
