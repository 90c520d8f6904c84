/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <inttypes.h>
#include <string.h>

#include <rte_common.h>

#include "appliance.h"

/* Sessions of publishers. */

/* Two publishers each are behind one address, and one of five sessions has just left it. */
static uint64_t
address_of(void *arg, uint32_t publisher, uint64_t session)
{
	(void)arg;
	return session % 5 == 0 ? 0 : 1 + publisher / 2;
}

static void
begin_receivers(struct sim *sim)
{
	struct receivers_params params = sim->appliance->receivers_params;

	params.seeds[0] = test_rand_u64(&sim->r);
	params.seeds[1] = test_rand_u64(&sim->r);
	if (receivers_init(&sim->appliance->receivers, &params) != 0)
		sim_fail(sim, "no memory for sessions");
}

static void
say(struct sim *sim, uint32_t to, const struct sl_wire_ack *ack)
{
	uint8_t buf[SL_WIRE_ACK_MAX];

	net_send(sim, APPLIANCE, to, buf, sl_wire_put_ack(buf, 1, ack));
}

static bool
is_alive(void *arg, const struct receiver *receiver)
{
	(void)arg;
	(void)receiver;
	return false;
}

void
appliance_forget(struct sim *sim)
{
	sim_say(sim, "the appliance forgets a session");
	receivers_sweep(&sim->appliance->receivers, 1, sim->now, 0, is_alive, NULL);
}

static void
on_durable(void *arg, const struct sl_record *record, uint64_t now_ns)
{
	struct sim *sim = arg;
	const uint8_t *bytes;
	uint32_t len, m;

	if (record->type == SL_RECORD_MESSAGE) {
		bytes = sl_record_message_of((const void *)record, &len);
		m = ledger_find(sim, bytes, len, "among what is durable");
		if (m != UINT32_MAX)
			sim->ledger.msgs[m].is_durable = true;
	}
	receivers_take(&sim->appliance->receivers, record, now_ns);
}

static void
on_batch(void *arg, uint64_t now_ns)
{
	struct sim *sim = arg;
	struct receivers *receivers = &sim->appliance->receivers;
	struct receiver *receiver;
	struct sl_wire_ack ack = {0};

	while ((receiver = receivers_next(receivers)) != NULL) {
		receivers_ack(receivers, receiver, now_ns, &ack);
		receivers_told(receivers, receiver);
		say(sim, receiver->publisher, &ack);
	}
	while (receivers->nb_refusals > 0) {
		const struct refusal *refusal = &receivers->refusals[--receivers->nb_refusals];

		sl_session_refuse(refusal->session, &ack);
		say(sim, refusal->publisher, &ack);
	}
	receivers_sweep(receivers, SESSIONS_SWEPT, now_ns, SESSION_IDLE, is_alive, NULL);
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
	a->give_up_per_mille = 500 * (uint32_t)below(sim, 3);
	a->receivers_params = (struct receivers_params){
		.nb_max = PUBLISHER_SESSIONS,
		.window = UINT32_C(1) << below(sim, PUBLISHER_WINDOW_LOG + 1),
		.address_window = below(sim, 2) * (1 + below(sim, 1 << PUBLISHER_WINDOW_LOG)),
		.rate_msgs_per_s = below(sim, 2) * (100 + below(sim, 100000)),
		.address_of = address_of,
	};
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
	receivers_free(&a->receivers);
	a->is_up = false;
}

void
appliance_free(struct sim *sim)
{
	end(sim);
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
	const struct sl_record_message *message = (const void *)record;
	uint32_t w = sl_record_ref_stream(ref), len, m, b;
	const uint8_t *bytes = sl_record_message_of(message, &len);
	struct worker *worker = &sim->appliance->workers[w];

	m = ledger_find(sim, bytes, len, "in the journal");
	if (m == UINT32_MAX || w >= sim->nb_workers)
		return 0;
	if (sl_record_ref_is_copy(ref) != is_of_topic(m))
		sim_fail(sim, "message %" PRIu32 " is of another kind in the journal", m);
	sim->ledger.msgs[m].is_undelivered = true;
	if (!is_of_topic(m)) {
		worker_enqueue(&worker->queue, ref, bytes, len);
		return 0;
	}
	b = sl_record_subscriber_at(message, sl_record_ref_position(ref));
	if (b >= sim->nb_backends || sl_record_subscribers_of(message)[b].backend != b) {
		sim_fail(sim, "message %" PRIu32 " is for nobody in the journal", m);
		return 0;
	}
	sim->ledger.msgs[m].undelivered_to |= UINT32_C(1) << b;
	worker_enqueue(&worker->lines[b].queue, ref, bytes, len);
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

	for (uint32_t m = 0; m < sim->ledger.nb; m++) {
		sim->ledger.msgs[m].is_undelivered = false;
		sim->ledger.msgs[m].undelivered_to = 0;
	}
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
	begin_receivers(sim);
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
		for (uint32_t b = 0; b < sim->nb_backends; b++) {
			TAILQ_FOREACH (item, &a->workers[w].lines[b].queue, next)
				sl_journal_hold(a->journal, w, item->ref);
		}
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
	struct sl_wire_ack ack;
	uint64_t destination;

	if (receivers_find(&sim->appliance->receivers, d->session) == NULL &&
		!sl_session_rx_may_begin(sl_wire_get64(message + SL_WIRE_OFF_SEQUENCE))) {
		sl_session_refuse(d->session, &ack);
		say(sim, from, &ack);
		return;
	}
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
