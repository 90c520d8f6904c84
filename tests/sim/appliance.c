/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <inttypes.h>
#include <string.h>

#include <rte_common.h>

#include "appliance.h"

static const struct sl_session_rx_params any_session = {
	.session = 1,
	.window = PUBLISHER_WINDOW,
};

/* Sessions of publishers. */

static struct publisher_session *
find_session(struct appliance *a, uint64_t session)
{
	for (uint32_t i = 0; i < PUBLISHER_SESSIONS; i++) {
		if (a->sessions[i].session == session)
			return &a->sessions[i];
	}
	return NULL;
}

static void
say(struct sim *sim, uint32_t to, const struct sl_wire_ack *ack)
{
	uint8_t buf[SL_WIRE_ACK_MAX];

	net_send(sim, APPLIANCE, to, buf, sl_wire_put_ack(buf, 1, ack));
}

/* Any other gives way when there are too many: its publisher goes on in a new one. */
static bool
begin_session(struct sim *sim, uint32_t from, uint64_t session, uint64_t sequence)
{
	struct sl_session_rx_params params = any_session;
	struct publisher_session *s = find_session(sim->appliance, 0);
	struct sl_wire_ack ack;

	if (!sl_session_rx_may_begin(sequence)) {
		sl_session_refuse(session, &ack);
		say(sim, from, &ack);
		return false;
	}
	if (s == NULL)
		s = &sim->appliance->sessions[below(sim, PUBLISHER_SESSIONS)];
	params.session = s->session = session;
	s->from = from;
	s->has_news = false;
	memset(s->rx, 0, sl_session_rx_memory_size(&params));
	s->rx = sl_session_rx_init(s->rx, &params);
	return true;
}

void
appliance_forget(struct sim *sim)
{
	struct appliance *a = sim->appliance;

	sim_say(sim, "the appliance forgets a session");
	a->sessions[below(sim, PUBLISHER_SESSIONS)].session = 0;
}

static void
on_durable(void *arg, const struct sl_record *record, uint64_t now_ns)
{
	const struct sl_record_duplicate *duplicate = (const void *)record;
	const struct sl_record_message *message = (const void *)record;
	struct sim *sim = arg;
	struct publisher_session *s = NULL;
	uint64_t sequence = 0;
	const uint8_t *bytes;
	uint32_t len, m;

	(void)now_ns;
	if (record->type == SL_RECORD_MESSAGE) {
		bytes = sl_record_message_of(message, &len);
		sequence = sl_wire_get64(bytes + SL_WIRE_OFF_SEQUENCE);
		s = find_session(sim->appliance, message->session);
		m = ledger_find(sim, bytes, len, "among what is durable");
		if (m != UINT32_MAX)
			sim->ledger.msgs[m].is_durable = true;
	} else if (record->type == SL_RECORD_DUPLICATE) {
		sequence = duplicate->sequence;
		s = find_session(sim->appliance, duplicate->session);
	}
	if (s == NULL)
		return;
	sl_session_rx_receive(s->rx, sequence);
	s->has_news = true;
}

static void
on_batch(void *arg, uint64_t now_ns)
{
	struct sim *sim = arg;
	struct sl_wire_ack ack = {0};

	(void)now_ns;
	for (uint32_t i = 0; i < PUBLISHER_SESSIONS; i++) {
		struct publisher_session *s = &sim->appliance->sessions[i];

		if (s->session == 0 || !s->has_news)
			continue;
		s->has_news = false;
		sl_session_rx_ack(s->rx, (uint32_t)below(sim, PUBLISHER_WINDOW), &ack);
		say(sim, s->from, &ack);
	}
}

/* Start, crash and stop. */

void
appliance_init(struct sim *sim)
{
	struct appliance *a = sim_zalloc(sizeof(*a));

	sim->appliance = a;
	a->start_ns = sim->now;
	a->window_ns = (1 + below(sim, 30)) * S;
	/* What deduplication is to know after a restart stays. */
	a->retention_ms = a->window_ns / MS;
	a->line_window = UINT32_C(1) << (4 + below(sim, 7));
	for (uint32_t i = 0; i < PUBLISHER_SESSIONS; i++)
		a->sessions[i].rx = sim_zalloc(sl_session_rx_memory_size(&any_session));
}

static void
end(struct sim *sim)
{
	struct appliance *a = sim->appliance;

	if (!a->is_up)
		return;
	sl_journal_close(a->journal);
	for (uint32_t w = 0; w < sim->nb_workers; w++)
		worker_end(sim, w);
	for (uint32_t i = 0; i < PUBLISHER_SESSIONS; i++)
		a->sessions[i].session = 0;
	a->is_up = false;
}

void
appliance_free(struct sim *sim)
{
	end(sim);
	for (uint32_t i = 0; i < PUBLISHER_SESSIONS; i++)
		free(sim->appliance->sessions[i].rx);
	free(sim->appliance);
}

void
appliance_crash(struct sim *sim, bool is_power)
{
	sim_say(sim, "the %s dies", is_power ? "machine" : "appliance");
	sim->nb_crashes++;
	end(sim);
	disk_crash(sim, is_power);
	sim->appliance->start_ns = sim->now + below(sim, 2 * S);
}

static int
on_undelivered(void *arg, const struct sl_record *record, sl_record_ref ref)
{
	struct sim *sim = arg;
	uint32_t w = sl_record_ref_stream(ref), len, m;
	const uint8_t *bytes = sl_record_message_of((const void *)record, &len);

	m = ledger_find(sim, bytes, len, "in the journal");
	if (m == UINT32_MAX || w >= sim->nb_workers)
		return 0;
	sim->ledger.msgs[m].is_undelivered = true;
	worker_enqueue(&sim->appliance->workers[w], ref, bytes, len);
	return 0;
}

static int
on_recent(void *arg, const struct sl_record *record, sl_record_ref ref)
{
	struct sim *sim = arg;
	struct worker *worker = &sim->appliance->workers[sl_record_ref_stream(ref)];
	struct sl_wire_key key;
	uint32_t len;

	if (record->type != SL_RECORD_MESSAGE)
		return 0;
	sl_wire_message_key(sl_record_message_of((const void *)record, &len), &key);
	sl_dedup_check_bulk(worker->dedup, &key, 1, record->time_ns / MS);
	return 0;
}

/* Returns whether the run can go on. */
static bool
recover(struct sim *sim)
{
	struct appliance *a = sim->appliance;
	const struct sl_journal_visitor visitor = {
		.undelivered = on_undelivered,
		.recent = on_recent,
		.since_ns = sim->now - RTE_MIN(a->window_ns, sim->now),
		.arg = sim,
	};
	char notice[512], error[512];
	int rc;

	for (uint32_t m = 0; m < sim->ledger.nb; m++)
		sim->ledger.msgs[m].is_undelivered = false;
	rc = sl_journal_recover(sim->directory, &visitor, &a->recovery, notice, sizeof(notice),
		error, sizeof(error));
	if (rc != 0) {
		sim_fail(sim, "the journal is refused: %s", error);
		return false;
	}
	sim_say(sim, "recovered: %" PRIu64 " records, %" PRIu64 " undelivered, run %" PRIu32 "; %s",
		a->recovery.nb_records, a->recovery.nb_undelivered, a->recovery.incarnation,
		notice);
	ledger_recovered(sim);
	return sim->failure[0] == '\0';
}

static void
start(struct sim *sim)
{
	struct appliance *a = sim->appliance;
	const struct sl_journal_params params = {
		.directory = sim->directory,
		.segment_bytes = 1 << 20,
		.ring_bytes = 1 << 20,
		.max_bytes = 256 << 20,
		.retention_bytes = sim->is_history_short ? 4 << 20 : 256 << 20,
		.retention_ms = a->retention_ms,
		.commit_interval_us = (uint32_t)below(sim, 2) * 200,
		.nb_streams = sim->nb_workers,
		.node = "sim",
		.durable = on_durable,
		.batch = on_batch,
		.arg = sim,
	};
	struct sl_journal_segment *found;
	struct item *item;
	char error[512];
	uint32_t nb;
	int rc;

	for (uint32_t w = 0; w < sim->nb_workers; w++)
		worker_begin(sim, w);
	a->is_up = true;
	a->journal = NULL;
	a->write_ns = sim->now;
	a->commit_ns = UINT64_MAX;
	if (!recover(sim))
		return;
	nb = disk_found(sim, &found);
	rc = sl_journal_core_open(
		&params, &a->recovery, disk_ops(sim), found, nb, &a->journal, error, sizeof(error));
	free(found);
	if (rc != 0) {
		sim_fail(sim, "the journal cannot be opened: %s", error);
		return;
	}
	for (uint32_t w = 0; w < sim->nb_workers; w++) {
		TAILQ_FOREACH (item, &a->workers[w].queue, next)
			sl_journal_hold(a->journal, w, item->ref);
	}
}

bool
appliance_is_up(const struct sim *sim)
{
	return sim->appliance->is_up;
}

uint64_t
appliance_next(const struct sim *sim)
{
	const struct appliance *a = sim->appliance;
	uint64_t at = RTE_MIN(a->write_ns, a->commit_ns);

	if (!a->is_up)
		return a->start_ns;
	for (uint32_t w = 0; w < sim->nb_workers; w++)
		at = RTE_MIN(at, worker_next(sim, w));
	return at;
}

/* A turn of the journal; what it made durable is told only later, when a sync takes its time. */
static void
write_journal(struct sim *sim)
{
	struct appliance *a = sim->appliance;

	for (uint32_t w = 0; w < sim->nb_workers; w++)
		worker_put_outcomes(sim, w);
	if (sl_journal_core_write(a->journal, sim->now)) {
		a->commit_ns = sim->now + below(sim, 3 * MS);
		a->write_ns = UINT64_MAX;
	} else {
		a->write_ns = sim->now + 1 +
			below(sim, sl_journal_core_is_pending(a->journal) ? MS : 5 * MS);
	}
}

void
appliance_turn(struct sim *sim)
{
	struct appliance *a = sim->appliance;

	if (!a->is_up) {
		start(sim);
		return;
	}
	if (a->commit_ns <= sim->now) {
		sl_journal_core_commit(a->journal, sim->now);
		a->commit_ns = UINT64_MAX;
		a->write_ns = sim->now + below(sim, MS);
	}
	if (a->write_ns <= sim->now)
		write_journal(sim);
	if (disk_is_dead(sim)) {
		appliance_crash(sim, true);
		return;
	}
	for (uint32_t w = 0; w < sim->nb_workers; w++) {
		if (worker_next(sim, w) <= sim->now)
			worker_turn(sim, w);
	}
}

/* Datagrams. */

static void
input_messages(
	struct sim *sim, uint32_t from, const uint8_t *data, const struct sl_wire_datagram *d)
{
	const uint8_t *message = data + d->messages[0].offset;
	uint64_t destination;

	if (find_session(sim->appliance, d->session) == NULL &&
		!begin_session(
			sim, from, d->session, sl_wire_get64(message + SL_WIRE_OFF_SEQUENCE)))
		return;
	for (uint32_t i = 0; i < d->nb_messages; i++) {
		message = data + d->messages[i].offset;
		destination = sl_wire_get64(message + SL_WIRE_OFF_DEST);
		worker_input(sim, (uint32_t)(destination % sim->nb_workers), from, d->session,
			message, d->messages[i].len);
	}
}

void
appliance_input(struct sim *sim, uint32_t from, const uint8_t *data, size_t len)
{
	struct sl_wire_datagram d;
	struct sl_wire_ack ack;
	bool is_known = false;

	if (!sim->appliance->is_up || sim->failure[0] != '\0')
		return;
	if (from > sim->nb_publishers) {
		if (!sl_wire_parse_ack_fast(data, len, &ack))
			sim_fail(sim, "the appliance got what is no ack");
		/* Late ones are of sessions there were before. */
		for (uint32_t w = 0; w < sim->nb_workers && !is_known; w++)
			is_known = worker_ack(sim, w, &ack);
	} else if (sl_wire_parse(data, len, &d) != SL_WIRE_OK) {
		sim_fail(sim, "the appliance got what is no message");
	} else {
		input_messages(sim, from, data, &d);
	}
}

bool
appliance_is_idle(const struct sim *sim)
{
	const struct appliance *a = sim->appliance;

	if (!a->is_up || a->commit_ns != UINT64_MAX || sl_journal_core_is_pending(a->journal))
		return false;
	for (uint32_t w = 0; w < sim->nb_workers; w++) {
		if (!worker_is_idle(sim, w))
			return false;
	}
	return true;
}

/* In order: nothing that was delivered is to be delivered again. */
void
appliance_stop(struct sim *sim)
{
	struct appliance *a = sim->appliance;
	const struct sl_journal_visitor visitor = {.arg = sim};
	char notice[512], error[512];

	disk_spare(sim);
	sl_journal_core_put_close(a->journal, sim->now);
	for (uint32_t i = 0; i < 5000 && sl_journal_core_is_pending(a->journal); i++) {
		sim->now += MS;
		if (sl_journal_core_write(a->journal, sim->now))
			sl_journal_core_commit(a->journal, sim->now);
	}
	if (sl_journal_core_is_pending(a->journal))
		sim_fail(sim, "the journal does not become durable when it is closed");
	end(sim);
	disk_settle(sim);
	if (sl_journal_recover(sim->directory, &visitor, &a->recovery, notice, sizeof(notice),
		    error, sizeof(error)) != 0)
		sim_fail(sim, "after an orderly stop the journal is refused: %s", error);
	else if (a->recovery.nb_cut != 0)
		sim_fail(sim, "after an orderly stop the journal is cut: %s", notice);
	else if (a->recovery.nb_undelivered != 0)
		sim_fail(sim, "after an orderly stop %" PRIu64 " messages are undelivered",
			a->recovery.nb_undelivered);
}
