/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "control_internal.h"
#include "sl_stats.h"
#include "stats_json.h"

static json_t *
frame_drops(const struct sl_datapath_stats *stats)
{
	json_t *drops = json_object();

	for (unsigned int i = 0; i < SL_FRAME_DROPS; i++)
		json_object_set_new(
			drops, sl_frame_drop_name(i), integer(stats->frames_dropped[i]));
	return drops;
}

static json_t *
message_drops(const struct sl_datapath_stats *stats)
{
	json_t *drops = json_object();

	for (unsigned int i = 0; i < SL_MESSAGE_DROPS; i++)
		json_object_set_new(drops, sl_message_drop_name(i), integer(stats->dropped[i]));
	return drops;
}

static json_t *
latency(const struct sl_hist *hist)
{
	json_t *us = json_object();

	json_object_set_new(us, "mean", json_real(sl_hist_mean(hist) / 1e3));
	json_object_set_new(us, "p50", json_real((double)sl_hist_quantile(hist, 0.5) / 1e3));
	json_object_set_new(us, "p99", json_real((double)sl_hist_quantile(hist, 0.99) / 1e3));
	json_object_set_new(us, "max", json_real((double)hist->max / 1e3));
	return us;
}

static json_t *
by_class(const struct sl_config *config, const struct sl_datapath_stats *stats)
{
	json_t *classes = json_object(), *class;
	char level[16];

	for (uint32_t c = 0; c < config->nb_classes; c++) {
		class = json_object();
		json_object_set_new(class, "delivered", integer(stats->classes[c].delivered));
		json_object_set_new(class, "dropped", integer(stats->classes[c].dropped));
		json_object_set_new(class, "queued", integer(stats->classes[c].queued));
		json_object_set_new(class, "latency_us", latency(&stats->classes[c].latency));
		snprintf(level, sizeof(level), "%u", config->classes[c].level);
		json_object_set_new(classes, level, class);
	}
	return classes;
}

static json_t *
by_destination(
	const struct sl_config *config, struct sl_datapath *datapath, const struct marks *marks)
{
	json_t *destinations = json_object(), *destination;
	struct sl_destination_stats stats;

	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		sl_datapath_get_destination_stats(datapath, i, &stats);
		if (marks != NULL)
			marks_subtract_destination(marks, i, &stats);
		destination = json_object();
		json_object_set_new(destination, "delivered", integer(stats.delivered));
		json_object_set_new(destination, "duplicates", integer(stats.duplicates));
		json_object_set_new(destination, "queued", integer(stats.queued));
		json_object_set_new(destination, "dropped", integer(stats.dropped));
		json_object_set_new(destinations, config->destinations[i].name, destination);
	}
	return destinations;
}

static json_t *
by_node(const struct sl_datapath_stats *stats)
{
	json_t *nodes = json_object(), *node;

	for (uint32_t i = 0; i < stats->nb_nodes; i++) {
		node = json_object();
		json_object_set_new(node, "calls", integer(stats->nodes[i].calls));
		json_object_set_new(node, "objects", integer(stats->nodes[i].objects));
		json_object_set_new(node, "cycles", integer(stats->nodes[i].cycles));
		json_object_set_new(nodes, stats->nodes[i].name, node);
	}
	return nodes;
}

static json_t *
memory_of(struct sl_datapath *datapath)
{
	struct sl_datapath_memory m;
	json_t *memory = json_object();

	sl_datapath_get_memory(datapath, &m);
	json_object_set_new(memory, "dedup_bytes", integer(m.dedup));
	json_object_set_new(memory, "queues_bytes", integer(m.sched));
	json_object_set_new(memory, "routes_bytes", integer(m.route));
	json_object_set_new(memory, "backends_bytes", integer(m.backends));
	json_object_set_new(memory, "mbufs", integer(m.nb_mbufs));
	json_object_set_new(memory, "mbuf_bytes", integer(m.mbuf_bytes));
	return memory;
}

json_t *
stats_to_json(const struct sl_config *config, struct sl_datapath *datapath,
	const struct sl_datapath_stats *stats, const struct marks *marks)
{
	json_t *root = json_object(), *frames = json_object(), *dedup, *cycles;

	json_object_set_new(frames, "received", integer(stats->frames_received));
	json_object_set_new(frames, "dropped", frame_drops(stats));
	json_object_set_new(root, "frames", frames);
	json_object_set_new(root, "received", integer(stats->received));
	json_object_set_new(root, "recovered", integer(stats->recovered));
	json_object_set_new(root, "copied", integer(stats->copied));
	json_object_set_new(root, "delivered", integer(stats->delivered));
	json_object_set_new(root, "duplicates", integer(stats->duplicates));
	json_object_set_new(root, "queued", integer(stats->queued));
	json_object_set_new(root, "dropped", message_drops(stats));
	json_object_set_new(root, "parse_slow", integer(stats->parse_slow));
	json_object_set_new(root, "by_class", by_class(config, stats));
	json_object_set_new(root, "by_destination", by_destination(config, datapath, marks));
	json_object_set_new(root, "by_node", by_node(stats));
	dedup = json_object();
	json_object_set_new(dedup, "entries", integer(stats->dedup_entries));
	json_object_set_new(dedup, "evicted_early", integer(stats->dedup_evicted_early));
	json_object_set_new(root, "dedup", dedup);
	cycles = json_object();
	json_object_set_new(cycles, "busy", integer(stats->busy_cycles));
	json_object_set_new(cycles, "idle", integer(stats->idle_cycles));
	json_object_set_new(cycles, "hz", integer(stats->tsc_hz));
	json_object_set_new(root, "cycles", cycles);
	json_object_set_new(root, "memory", memory_of(datapath));
	return root;
}

int
sl_stats_write_json(const char *path, const struct sl_config *config, struct sl_datapath *datapath)
{
	struct sl_datapath_stats *stats = calloc(1, sizeof(*stats));
	json_t *root = NULL;
	char *tmp;
	int rc = 0;

	if (stats != NULL && sl_datapath_get_stats(datapath, stats) == 0)
		root = stats_to_json(config, datapath, stats, NULL);
	free(stats);
	if (root == NULL)
		return -EAGAIN;
	if (asprintf(&tmp, "%s.tmp", path) < 0) {
		json_decref(root);
		return -ENOMEM;
	}
	errno = EIO;
	if (json_dump_file(root, tmp, JSON_INDENT(1)) != 0 || rename(tmp, path) != 0) {
		rc = -errno;
		unlink(tmp);
	}
	free(tmp);
	json_decref(root);
	return rc;
}
