/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control_internal.h"
#include "durable.h"

/* Views of what is durable: the journal, and who is on either side of it. */

static void
put(json_t *json, const char *key, uint64_t value)
{
	json_object_set_new(json, key, integer(value));
}

static void
put_real(json_t *json, const char *key, double value)
{
	json_object_set_new(json, key, json_real(value));
}

/* Empty texts are not there. */
static void
put_text(json_t *json, const char *key, const char *value)
{
	json_object_set_new(json, key, value[0] != '\0' ? json_string(value) : json_null());
}

static void
put_hex(json_t *json, const char *key, uint64_t value)
{
	char text[17];

	snprintf(text, sizeof(text), "%016" PRIx64, value);
	json_object_set_new(json, key, json_string(text));
}

/* Seconds since a moment of Unix time; null: there was none. */
static void
put_age(json_t *json, const char *key, uint64_t at_ns)
{
	struct timespec now;
	double age;

	clock_gettime(CLOCK_REALTIME, &now);
	age = (double)now.tv_sec + (double)now.tv_nsec / 1e9 - (double)at_ns / 1e9;
	json_object_set_new(json, key, at_ns == 0 ? json_null() : json_real(age > 0 ? age : 0));
}

static json_t *
disk_of(const struct sl_config *config)
{
	uint64_t free_bytes, size_bytes;

	if (!durable_disk(config, &free_bytes, &size_bytes))
		return json_null();
	return json_pack("{s:I, s:I}", "free_bytes", (json_int_t)free_bytes, "size_bytes",
		(json_int_t)size_bytes);
}

static json_t *
journal_of(const struct sl_config *config, const struct sl_journal_status *status,
	const struct durable_rates *rates)
{
	json_t *json = json_pack("{s:s, s:s}", "state", durable_state_name(status->state),
		"directory", config->journal.directory);

	put_text(json, "failure", status->state == SL_JOURNAL_OK ? "" : status->what);
	put(json, "failures", status->failures);
	put(json, "incarnation", status->incarnation);
	put_real(json, "records_per_s", rates->records_per_s);
	put_real(json, "bytes_per_s", rates->bytes_per_s);
	put(json, "records", status->records);
	put(json, "bytes", status->bytes);
	put(json, "batches", status->batches);
	put(json, "syncs", status->syncs);
	json_object_set_new(json, "sync_us",
		json_pack("{s:f, s:f, s:f, s:f}", "mean", rates->sync_ns_mean / 1e3, "p50",
			(double)rates->sync_ns_p50 / 1e3, "p99", (double)rates->sync_ns_p99 / 1e3,
			"max", (double)rates->sync_ns_max / 1e3));
	put(json, "pending_bytes", status->pending_bytes);
	put(json, "undelivered", status->undelivered);
	put(json, "segments", status->nb_segments);
	put(json, "segments_bytes", status->segments_bytes);
	put(json, "max_bytes", config->journal.max_bytes);
	put(json, "retention_bytes", config->journal.retention_bytes);
	put(json, "retention_s", config->journal.retention_ms / 1000);
	put_age(json, "oldest_s", status->oldest_ns);
	put_text(json, "holder", status->holder);
	json_object_set_new(json, "disk", disk_of(config));
	return json;
}

json_t *
view_journal(struct sl_control *c, struct view_call *call)
{
	struct sl_journal_status *status;
	struct durable_rates rates;
	json_t *json;

	RTE_SET_USED(call);
	if (!durable_is_there(c->durable))
		return json_pack("{s:s, s:s}", "state", "none", "about",
			"there is no journal, and nothing is at-least-once: give journal: "
			"{directory: ...}");
	status = malloc(sizeof(*status));
	if (status == NULL)
		return NULL;
	durable_journal(c->durable, status, &rates);
	json = journal_of(c->config, status, &rates);
	free(status);
	return json;
}

static json_t *
publisher_of(const struct sl_control *c, const struct sl_publisher_stats *s)
{
	char address[SL_IP_STRLEN];
	json_t *json = json_pack("{s:s, s:I}", "address", sl_ip_format(&s->address, address),
		"port", (json_int_t)s->port);

	put_hex(json, "session", s->session);
	json_object_set_new(
		json, "source", s->source == 0 ? json_null() : name_or_key(c, s->source));
	put(json, "cumulative", s->cumulative);
	put(json, "highest", s->highest);
	put(json, "credit", s->credit_limit > s->highest ? s->credit_limit - s->highest : 0);
	put(json, "messages", s->messages);
	put(json, "duplicates", s->duplicates);
	put(json, "over_limit", s->over_limit);
	put_real(json, "idle_s", (double)s->idle_ms / 1e3);
	return json;
}

json_t *
view_publishers(struct sl_control *c, struct view_call *call)
{
	uint32_t nb;
	struct sl_publisher_stats *stats = durable_publishers(c->durable, &nb);
	json_t *list;

	RTE_SET_USED(call);
	if (stats == NULL)
		return NULL;
	list = json_array();
	for (uint32_t i = 0; i < nb; i++)
		json_array_append_new(list, publisher_of(c, &stats[i]));
	free(stats);
	return list;
}

static json_t *
session_of(const struct sl_config_destination *destination, uint32_t backend,
	const struct sl_session_stats *s)
{
	json_t *json = json_pack("{s:s, s:s, s:I}", "destination", destination->name, "backend",
		destination->backends[backend].name, "worker", (json_int_t)s->worker);

	put_hex(json, "session", s->session);
	put(json, "in_flight", s->in_flight);
	put(json, "acked", s->acked);
	put(json, "next_sequence", s->next_sequence);
	put(json, "credit",
		s->credit_limit >= s->next_sequence ? s->credit_limit - s->next_sequence + 1 : 0);
	put(json, "window", s->congestion_window);
	json_object_set_new(json, "rtt_us",
		s->srtt_ns == 0 ? json_null() : json_real((double)s->srtt_ns / 1e3));
	put(json, "retransmitted", s->retransmitted);
	put(json, "requeued", s->requeued);
	put(json, "dead", s->dead);
	put(json, "bad_acks", s->bad_acks);
	json_object_set_new(json, "is_stalled", json_boolean(s->is_stalled));
	return json;
}

static void
append_sessions(struct sl_control *c, uint32_t index, json_t *list)
{
	const struct sl_config_destination *destination = &c->config->destinations[index];
	struct sl_session_stats stats[DURABLE_SESSIONS_MAX];
	uint32_t n;

	if (destination->guarantee != SL_CONFIG_AT_LEAST_ONCE)
		return;
	for (uint32_t b = 0; b < destination->nb_backends; b++) {
		n = durable_sessions(c->durable, index, b, stats);
		for (uint32_t i = 0; i < n; i++)
			json_array_append_new(list, session_of(destination, b, &stats[i]));
	}
}

json_t *
view_sessions(struct sl_control *c, struct view_call *call)
{
	return view_each_destination(c, call, append_sessions);
}

static json_t *
sink_of(const struct sl_sink_status *s)
{
	static const char *const kinds[] = {
		[SL_SINK_SQLITE] = "sqlite", [SL_SINK_POSTGRESQL] = "postgresql"};
	json_t *json = json_pack("{s:s, s:s, s:s, s:s}", "name", s->name, "kind", kinds[s->kind],
		"state", durable_sink_state_name(s->state), "server", s->server);

	put(json, "lag_bytes", s->lag_bytes);
	put_real(json, "lag_s", (double)s->lag_ns / 1e9);
	put(json, "rows", s->rows);
	put(json, "updates", s->updates);
	put(json, "batches", s->batches);
	json_object_set_new(json, "write_us",
		json_pack("{s:f, s:f}", "mean",
			s->batches == 0 ? 0 : (double)s->write_ns / (double)s->batches / 1e3, "max",
			(double)s->write_ns_max / 1e3));
	put(json, "failures", s->failures);
	put(json, "gaps", s->gaps);
	json_object_set_new(json, "retry_in_s",
		s->retry_in_ms == 0 ? json_null() : json_real((double)s->retry_in_ms / 1e3));
	put_age(json, "last_commit_s", s->commit_ns);
	put_age(json, "last_failure_s", s->error_ns);
	put_text(json, "failure", s->error);
	return json;
}

json_t *
view_sinks(struct sl_control *c, struct view_call *call)
{
	json_t *list = json_array();
	struct sl_sink_status status;

	RTE_SET_USED(call);
	for (uint32_t i = 0; i < durable_nb_sinks(c->durable); i++) {
		durable_sink(c->durable, i, &status);
		json_array_append_new(list, sink_of(&status));
	}
	return list;
}

json_t *
durable_live(struct sl_control *c)
{
	struct sl_journal_status *status;
	struct sl_publishers_stats publishers;
	struct durable_rates rates;
	json_t *json;

	if (!durable_is_there(c->durable))
		return json_null();
	status = malloc(sizeof(*status));
	if (status == NULL)
		return json_null();
	durable_journal(c->durable, status, &rates);
	json = journal_of(c->config, status, &rates);
	put(json, "sync_ns_sum", status->sync_ns.sum);
	free(status);
	durable_publishers_stats(c->durable, &publishers);
	put(json, "publishers", publishers.sessions);
	json_object_set_new(json, "sinks", view_sinks(c, NULL));
	return json;
}
