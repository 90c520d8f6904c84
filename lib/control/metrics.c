/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_version.h>

#include "control_internal.h"
#include "metrics.h"
#include "sl_log.h"
#include "sl_notify.h"

static void
counter(struct metrics_text *text, const char *name, uint64_t value, const char *help)
{
	metrics_family(text, name, METRICS_COUNTER, help);
	metrics_u64(text, NULL, value);
}

static void
gauge(struct metrics_text *text, const char *name, uint64_t value, const char *help)
{
	metrics_family(text, name, METRICS_GAUGE, help);
	metrics_u64(text, NULL, value);
}

static void
of_build(struct metrics_text *text, const struct metrics_source *source)
{
	struct metrics_labels labels = {.len = 0};

	metrics_label(&labels, "version", source->version);
	metrics_label(&labels, "dpdk", rte_version());
	metrics_label(&labels, "name", source->config->node);
	metrics_family(text, "sluice_build_info", METRICS_GAUGE,
		"Always 1; the labels say which Sluice this is, and what it is called.");
	metrics_u64(text, &labels, 1);
	metrics_family(text, "sluice_uptime_seconds", METRICS_GAUGE, "Since the process began.");
	metrics_double(text, NULL, (double)source->uptime_ms / 1e3);
	gauge(text, "sluice_path_running", sl_datapath_is_running(source->datapath),
		"1 while ports and lcores run, 0 when they are stopped.");
	counter(text, "sluice_log_lines_suppressed", sl_log_suppressed(),
		"Log lines beyond the bound of their module.");
	counter(text, "sluice_log_lines_lost", sl_log_lost(),
		"Log lines that the log's target did not take.");
}

static void
of_result(struct metrics_text *text, const char *result, uint64_t value)
{
	struct metrics_labels labels = {.len = 0};

	metrics_label(&labels, "result", result);
	metrics_u64(text, &labels, value);
}

static void
of_control(struct metrics_text *text, const struct sl_control *control)
{
	struct sl_notify_stats stats = {0};
	struct sl_checks_stats checks = {0};

	if (control->params.notify != NULL)
		sl_notify_get_stats(control->params.notify, &stats);
	if (control->params.checks != NULL)
		sl_checks_get_stats(control->params.checks, &checks);
	metrics_family(text, "sluice_config_changes", METRICS_COUNTER,
		"Configurations taken over, and files that were refused.");
	of_result(text, "applied", control->nb_applied);
	of_result(text, "refused", control->nb_refused);
	counter(text, "sluice_events", stats.events, "Events that have happened.");
	metrics_family(text, "sluice_event_hooks", METRICS_COUNTER,
		"Events handed to commands and webhooks, by how that ended.");
	of_result(text, "ok", stats.hooks_ok);
	of_result(text, "failed", stats.hooks_failed);
	of_result(text, "dropped", stats.hooks_dropped);
	gauge(text, "sluice_events_queued", stats.queued,
		"Events that wait for commands and webhooks.");
	counter(text, "sluice_checks_started", checks.started, "Health checks begun.");
	counter(text, "sluice_checks_not_made", checks.not_made,
		"Health checks that this machine could not make.");
	gauge(text, "sluice_checks_outstanding", checks.outstanding,
		"Health checks that wait for their answer.");
}

static void
of_clients(struct metrics_text *text, const struct sl_control *control)
{
	struct sl_control_clients clients = {0};

	if (control->params.clients != NULL)
		control->params.clients(control->params.arg, &clients);
	gauge(text, "sluice_control_clients", clients.api,
		"Clients connected to the control socket.");
	counter(text, "sluice_control_requests", clients.api_requests,
		"Requests of the control API.");
	counter(text, "sluice_control_turned_away", clients.api_turned_away,
		"Clients of the control socket that were not let in.");
	gauge(text, "sluice_http_clients", clients.http, "Clients connected to the HTTP listener.");
	counter(text, "sluice_http_requests", clients.http_requests, "Requests over HTTP.");
	counter(text, "sluice_http_timeouts", clients.http_timeouts,
		"Clients of the HTTP listener closed because their time was over.");
	counter(text, "sluice_http_evicted", clients.http_evicted,
		"Clients of the HTTP listener closed because others wanted their place.");
	gauge(text, "sluice_http_answer_bytes", clients.http_bytes,
		"Bytes of answers over HTTP that wait to be read.");
}

static void
of_drops(struct metrics_text *text, const struct sl_datapath_stats *stats)
{
	metrics_family(text, "sluice_frames_dropped", METRICS_COUNTER,
		"Frames in which no message was found, by reason.");
	for (unsigned int i = 0; i < SL_FRAME_DROPS; i++) {
		struct metrics_labels labels = {.len = 0};

		metrics_label(&labels, "reason", sl_frame_drop_name(i));
		metrics_u64(text, &labels, stats->frames_dropped[i]);
	}
	metrics_family(
		text, "sluice_messages_dropped", METRICS_COUNTER, "Messages dropped, by reason.");
	for (unsigned int i = 0; i < SL_MESSAGE_DROPS; i++) {
		struct metrics_labels labels = {.len = 0};

		metrics_label(&labels, "reason", sl_message_drop_name(i));
		metrics_u64(text, &labels, stats->dropped[i]);
	}
}

static void
of_classes(struct metrics_text *text, const struct sl_config *config,
	const struct sl_datapath_stats *stats)
{
	struct metrics_labels labels[SL_CONFIG_CLASSES_MAX] = {0};
	uint32_t n = config->nb_classes, c;
	char level[16];

	for (c = 0; c < n; c++) {
		snprintf(level, sizeof(level), "%u", config->classes[c].level);
		metrics_label(&labels[c], "class", level);
		metrics_label(&labels[c], "name", config->classes[c].name);
	}
	metrics_family(text, "sluice_class_messages_delivered", METRICS_COUNTER,
		"Messages a port has taken, by class.");
	for (c = 0; c < n; c++)
		metrics_u64(text, &labels[c], stats->classes[c].delivered);
	metrics_family(text, "sluice_class_messages_dropped", METRICS_COUNTER,
		"Messages dropped after they had a class.");
	for (c = 0; c < n; c++)
		metrics_u64(text, &labels[c], stats->classes[c].dropped);
	metrics_family(text, "sluice_class_messages_queued", METRICS_GAUGE,
		"Messages that wait, by class.");
	for (c = 0; c < n; c++)
		metrics_u64(text, &labels[c], stats->classes[c].queued);
	metrics_family(text, "sluice_class_latency_seconds", METRICS_HISTOGRAM,
		"From a frame's reception to its hand-over to a port.");
	for (c = 0; c < n; c++)
		metrics_hist(text, &labels[c], &stats->classes[c].latency);
}

void
metrics_path(struct metrics_text *text, const struct metrics_source *source,
	const struct sl_datapath_stats *stats)
{
	const struct sl_config *config = source->config;

	counter(text, "sluice_frames_received", stats->frames_received,
		"Frames taken from the ports.");
	counter(text, "sluice_messages_received", stats->received, "Messages taken in.");
	counter(text, "sluice_messages_delivered", stats->delivered,
		"Messages a port has taken for a backend.");
	counter(text, "sluice_messages_duplicates", stats->duplicates,
		"Messages filtered because they were seen before.");
	counter(text, "sluice_messages_copied", stats->copied,
		"Copies made for subscribers, beyond each message's first.");
	gauge(text, "sluice_messages_queued", stats->queued, "Messages that wait.");
	of_drops(text, stats);
	counter(text, "sluice_datagrams_parsed_slow", stats->parse_slow,
		"Datagrams of another layout than the template.");
	of_classes(text, config, stats);
	gauge(text, "sluice_dedup_entries", stats->dedup_entries,
		"Messages that the window remembers.");
	gauge(text, "sluice_dedup_capacity", config->dedup_capacity,
		"Messages that the window has room for.");
	metrics_family(text, "sluice_dedup_window_seconds", METRICS_GAUGE,
		"For how long a message is to be remembered.");
	metrics_double(text, NULL, config->dedup_window_ms / 1e3);
	counter(text, "sluice_dedup_evicted_early", stats->dedup_evicted_early,
		"Messages forgotten before their time, to make room.");
}

static void
of_members(struct metrics_text *text, struct sl_control *control)
{
	json_t *ingress = ingress_show(control);
	struct members_stats stats;

	members_stats(control->members, &stats);
	metrics_members(text, &stats);
	metrics_gateways(text, ingress);
	json_decref(ingress);
}

int
sl_control_metrics(struct sl_control *control, bool is_openmetrics, char **text, size_t *text_len)
{
	const struct metrics_source source = {
		.config = control->config,
		.datapath = control->params.datapath,
		.checks = control->params.checks,
		.durable = control->durable,
		.version = control->params.version,
		.uptime_ms = control_now_ms() - control->started_ms,
	};
	struct sl_datapath_stats *stats = calloc(1, sizeof(*stats));
	struct metrics_text out;
	int rc;

	if (stats == NULL)
		return -ENOMEM;
	if (sl_datapath_get_stats(source.datapath, stats) != 0) {
		free(stats);
		return -EAGAIN;
	}
	metrics_begin(&out, is_openmetrics);
	of_build(&out, &source);
	of_control(&out, control);
	of_clients(&out, control);
	metrics_path(&out, &source, stats);
	metrics_machine(&out, &source, stats);
	free(stats);
	rc = metrics_destinations(&out, &source);
	if (rc == 0)
		rc = metrics_backends(&out, &source);
	if (rc == 0)
		rc = metrics_durable(&out, &source);
	if (rc == 0)
		rc = metrics_topics(&out, &source);
	of_members(&out, control);
	if (rc != 0) {
		free(out.data);
		return rc;
	}
	return metrics_finish(&out, text, text_len);
}
