/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "control_internal.h"
#include "durable_internal.h"
#include "sl_wire.h"

/* What goes on is told no more often. */
#define AGAIN_MS 60000

/* Looked at in one tick; of a million backends each has its turn every few minutes. */
#define BACKENDS_A_TICK 4096

static void
tell_journal(struct durable *d, const struct sl_journal_status *status, uint64_t now_ms)
{
	uint64_t seconds = (now_ms - d->trouble_since_ms) / 1000;
	const char *what = status->what[0] != '\0' ? status->what : "no more is known";

	if (status->state == d->state)
		return;
	if (status->state == SL_JOURNAL_OK)
		sl_notify(d->params.notify, SL_LEVEL_NOTIFY, "journal_recovered",
			json_pack("{s:s, s:I}", "from", durable_state_name(d->state), "seconds",
				(json_int_t)seconds),
			"journal: messages become durable again, after %" PRIu64 " s", seconds);
	else if (status->state == SL_JOURNAL_FULL)
		sl_notify(d->params.notify, SL_LEVEL_ERROR, "journal_full",
			json_pack("{s:s, s:s, s:I}", "reason", what, "holder", status->holder,
				"bytes", (json_int_t)status->segments_bytes),
			"journal: full, nothing new is acknowledged: %s; the oldest file is kept "
			"by %s",
			what, status->holder[0] != '\0' ? status->holder : "nobody");
	else
		sl_notify(d->params.notify, SL_LEVEL_ERROR, "journal_failed",
			json_pack("{s:s, s:s}", "reason", what, "error", strerror(status->error)),
			"journal: nothing new is acknowledged until it can be written: %s", what);
	if (d->state == SL_JOURNAL_OK)
		d->trouble_since_ms = now_ms;
	d->state = status->state;
}

/* By how much a counter has grown since it was told; 0: nothing, or it is not time yet. */
static uint64_t
grown(struct durable_told *told, uint64_t count, uint64_t now_ms)
{
	uint64_t more = count - told->count;

	if (!told->is_known) {
		*told = (struct durable_told){.count = count, .is_known = true};
		return 0;
	}
	if (more == 0 || (told->at_ms != 0 && now_ms - told->at_ms < AGAIN_MS))
		return 0;
	told->count = count;
	told->at_ms = now_ms;
	return more;
}

/* The session that was over its limit most often. */
static const struct sl_publisher_stats *
find_worst(const struct sl_publisher_stats *list, uint32_t nb)
{
	const struct sl_publisher_stats *worst = NULL;

	for (uint32_t i = 0; i < nb; i++) {
		if (worst == NULL || list[i].over_limit > worst->over_limit)
			worst = &list[i];
	}
	return worst;
}

static void
tell_over_limit(struct durable *d, uint64_t more)
{
	const struct sl_publisher_stats *worst;
	struct sl_publisher_stats *list;
	char address[SL_IP_STRLEN] = "";
	uint32_t nb = 0;

	list = durable_publishers(d, &nb);
	worst = find_worst(list, nb);
	if (worst != NULL)
		sl_ip_format(&worst->address, address);
	sl_notify(d->params.notify, SL_LEVEL_WARN, "publisher_over_limit",
		json_pack("{s:I, s:s}", "messages", (json_int_t)more, "address", address),
		"publishers: %" PRIu64 " messages were not taken: beyond their session's credit or "
		"rate; most often from %s",
		more, worst != NULL ? address : "a session that is gone");
	free(list);
}

static void
tell_publishers(struct durable *d, uint64_t now_ms)
{
	struct sl_publishers_stats stats;
	uint64_t more;

	durable_publishers_stats(d, &stats);
	/* Sessions that are not known are refused after each restart: that is how they go on. */
	if (stats.sessions < stats.sessions_max)
		d->refused = (struct durable_told){
			.count = stats.refused, .is_known = true, .at_ms = d->refused.at_ms};
	more = grown(&d->refused, stats.refused, now_ms);
	if (more > 0)
		sl_notify(d->params.notify, SL_LEVEL_WARN, "publishers_refused",
			json_pack("{s:I, s:I}", "refused", (json_int_t)more, "sessions_max",
				(json_int_t)stats.sessions_max),
			"publishers: %" PRIu64 " sessions were refused: there are %" PRIu32
			" already, as many as publishers.sessions_max lets in",
			more, stats.sessions_max);
	more = grown(&d->over_limit, stats.over_limit, now_ms);
	if (more > 0)
		tell_over_limit(d, more);
}

static void
tell_stalled(const struct durable *d, const struct durable_backend *b, bool is_stalled,
	bool is_avoided, uint64_t in_flight)
{
	const struct sl_config_destination *destination = &d->config->destinations[b->destination];
	const char *name = destination->backends[b->backend].name;

	if (is_stalled)
		sl_notify(d->params.notify, SL_LEVEL_WARN, "backend_stalled",
			json_pack("{s:s, s:s, s:I, s:b}", "destination", destination->name,
				"backend", name, "in_flight", (json_int_t)in_flight, "is_avoided",
				is_avoided),
			"backend %s of %s: has acknowledged nothing for %" PRIu32 " ms: %s", name,
			destination->name, destination->requeue_after_ms,
			is_avoided ? "what it was sent goes to the others"
				   : "there is no other, what it was sent waits for it");
	else
		sl_notify(d->params.notify, SL_LEVEL_NOTIFY, "backend_acknowledges",
			json_pack("{s:s, s:s}", "destination", destination->name, "backend", name),
			"backend %s of %s: acknowledges again", name, destination->name);
}

static void
tell_requeued(const struct durable *d, const struct durable_backend *b, uint64_t more)
{
	const struct sl_config_destination *destination = &d->config->destinations[b->destination];
	const char *name = destination->backends[b->backend].name;

	sl_notify(d->params.notify, SL_LEVEL_NOTIFY, "backend_requeued",
		json_pack("{s:s, s:s, s:I}", "destination", destination->name, "backend", name,
			"messages", (json_int_t)more),
		"backend %s of %s: %" PRIu64 " messages were taken back for another", name,
		destination->name, more);
}

static void
look_at_backend(struct durable *d, struct durable_backend *b, uint64_t now_ms)
{
	struct sl_session_stats sessions[DURABLE_SESSIONS_MAX];
	uint32_t n = durable_sessions(d, b->destination, b->backend, sessions);
	uint64_t requeued = 0, in_flight = 0;
	bool is_stalled = false, is_avoided = false;

	for (uint32_t i = 0; i < n; i++) {
		requeued += sessions[i].requeued;
		in_flight += sessions[i].in_flight;
		is_stalled = is_stalled || sessions[i].is_stalled;
		is_avoided = is_avoided || sessions[i].is_avoided;
	}
	if (is_stalled != b->is_stalled)
		tell_stalled(d, b, is_stalled, is_avoided, in_flight);
	b->is_stalled = is_stalled;
	if (!b->is_known || requeued < b->requeued)
		b->requeued = requeued;
	b->is_known = true;
	if (requeued == b->requeued || (b->told_ms != 0 && now_ms - b->told_ms < AGAIN_MS))
		return;
	tell_requeued(d, b, requeued - b->requeued);
	b->requeued = requeued;
	b->told_ms = now_ms;
}

void
durable_tell(struct durable *d, const struct sl_journal_status *status, uint64_t now_ms)
{
	uint32_t n = RTE_MIN(d->backends->nb, (uint32_t)BACKENDS_A_TICK);

	if (d->params.notify == NULL)
		return;
	tell_journal(d, status, now_ms);
	tell_publishers(d, now_ms);
	for (uint32_t i = 0; i < n; i++) {
		d->next_backend = (d->next_backend + 1) % d->backends->nb;
		look_at_backend(d, &d->backends->list[d->next_backend], now_ms);
	}
}

static int
compare_ids(const void *a, const void *b)
{
	const struct durable_backend *left = a, *right = b;

	return (left->id > right->id) - (left->id < right->id);
}

/* Of two names; what two pairs with one id are told of is mixed up, and no more. */
static uint64_t
id_of(const struct sl_config_destination *destination, uint32_t backend)
{
	return destination->key * UINT64_C(0x9e3779b97f4a7c15) +
		sl_wire_name_key(destination->backends[backend].name);
}

struct durable_backends *
durable_follow(const struct durable *d, const struct sl_config *config)
{
	struct durable_backends *to;
	const struct sl_config_destination *destination;
	struct durable_backend *b, *known;
	size_t nb = 0;

	for (uint32_t i = 0; i < config->nb_destinations && durable_is_there(d); i++) {
		if (config->destinations[i].guarantee == SL_CONFIG_AT_LEAST_ONCE)
			nb += config->destinations[i].nb_backends;
	}
	to = calloc(1, sizeof(*to) + nb * sizeof(to->list[0]));
	if (to == NULL)
		return NULL;
	for (uint32_t i = 0; i < config->nb_destinations && nb > 0; i++) {
		destination = &config->destinations[i];
		if (destination->guarantee != SL_CONFIG_AT_LEAST_ONCE)
			continue;
		for (uint32_t j = 0; j < destination->nb_backends; j++) {
			b = &to->list[to->nb++];
			b->id = id_of(destination, j);
			known = d->backends == NULL ? NULL
						    : bsearch(b, d->backends->list, d->backends->nb,
							      sizeof(*b), compare_ids);
			if (known != NULL)
				*b = *known;
			b->destination = i;
			b->backend = j;
		}
	}
	qsort(to->list, to->nb, sizeof(to->list[0]), compare_ids);
	return to;
}

void
durable_replace(
	struct durable *d, const struct sl_config *config, struct durable_backends *backends)
{
	free(d->backends);
	d->backends = backends;
	d->config = config;
	d->next_backend = 0;
}
