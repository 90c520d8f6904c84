/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <inttypes.h>
#include <string.h>

#include <rte_common.h>

#include "appliance.h"

#define SILENT_TIMEOUTS	   5 /* In a row, until what a backend has goes to another. */
#define OUTCOMES_IN_RECORD 64u

void
worker_begin(struct sim *sim, uint32_t w)
{
	struct worker *worker = &sim->appliance->workers[w];
	const struct sl_dedup_params dedup = {
		.capacity = 2 * sim->ledger.nb,
		.window_ms = (uint32_t)(sim->appliance->window_ns / MS),
		.seed = test_rand_u64(&sim->r),
	};
	struct sl_session_tx_params line = {
		.window = sim->appliance->line_window,
		.initial_credit = 64,
		.rtt_initial_ns = 10 * MS,
		.rto_min_ns = 5 * MS,
		.rto_max_ns = 500 * MS,
		.ack_delay_max_ns = 5 * MS,
	};

	memset(worker, 0, sizeof(*worker));
	TAILQ_INIT(&worker->queue);
	worker->dedup = sl_dedup_init(sim_zalloc(sl_dedup_memory_size(&dedup)), &dedup);
	for (uint32_t b = 0; b < sim->nb_backends; b++) {
		line.session = worker->lines[b].session = 1 + (test_rand_u64(&sim->r) >> 1);
		worker->lines[b].tx = sl_session_tx_init(
			sim_zalloc(sl_session_tx_memory_size(&line)), &line, sim->now);
	}
}

static void
free_item(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	(void)arg;
	(void)sequence;
	(void)attempts;
	free(msg);
}

void
worker_end(struct sim *sim, uint32_t w)
{
	struct worker *worker = &sim->appliance->workers[w];
	struct item *item;

	while ((item = TAILQ_FIRST(&worker->queue)) != NULL) {
		TAILQ_REMOVE(&worker->queue, item, next);
		free(item);
	}
	for (uint32_t b = 0; b < sim->nb_backends; b++) {
		sl_session_tx_restart(worker->lines[b].tx, 1, sim->now, free_item, NULL);
		free(worker->lines[b].tx);
	}
	free(worker->dedup);
}

void
worker_enqueue(struct worker *worker, sl_record_ref ref, const uint8_t *message, uint32_t len)
{
	struct item *item = sim_zalloc(sizeof(*item) + len);

	item->ref = ref;
	item->len = len;
	memcpy(item->bytes, message, len);
	TAILQ_INSERT_TAIL(&worker->queue, item, next);
}

static void
put_duplicate(struct sim *sim, struct sl_record_ring *ring, uint32_t from, uint64_t session,
	uint64_t sequence)
{
	struct sl_record_duplicate *record;

	record = sl_record_ring_put(ring, SL_RECORD_DUPLICATE, sizeof(*record), sim->now);
	if (record == NULL)
		return;
	record->session = session;
	record->sequence = sequence;
	record->publisher = from;
	record->reserved = 0;
}

static sl_record_ref
put_message(struct sim *sim, struct sl_record_ring *ring, uint32_t from, uint64_t session,
	const uint8_t *message, uint32_t len)
{
	struct sl_record_message *record;

	record = sl_record_ring_put(
		ring, SL_RECORD_MESSAGE, (uint32_t)sizeof(*record) + len, sim->now);
	if (record == NULL)
		return SL_RECORD_REF_NONE;
	record->record.flags = SL_RECORD_WANTS_ACK;
	record->session = session;
	record->publisher = from;
	record->class_index = 0;
	memset(record->reserved, 0, sizeof(record->reserved));
	memcpy(record + 1, message, len);
	return sl_record_ref_of(ring->stream, record->record.position);
}

void
worker_input(struct sim *sim, uint32_t w, uint32_t from, uint64_t session, const uint8_t *message,
	uint32_t len)
{
	struct worker *worker = &sim->appliance->workers[w];
	struct sl_record_ring *ring = sl_journal_ring(sim->appliance->journal, w);
	struct sl_wire_key key;
	sl_record_ref ref;

	/* What there may be no room for is not to be remembered as one that was had. */
	sl_record_ring_refresh(ring);
	if (sl_record_ring_room(ring) < 2 * (uint64_t)len + 1024)
		return;
	sl_wire_message_key(message, &key);
	if (sl_dedup_check_bulk(worker->dedup, &key, 1, sim->now / MS) != 0) {
		put_duplicate(
			sim, ring, from, session, sl_wire_get64(message + SL_WIRE_OFF_SEQUENCE));
	} else {
		uint32_t m = ledger_find(sim, message, len, "at the appliance");

		ref = put_message(sim, ring, from, session, message, len);
		if (m == UINT32_MAX || ref == SL_RECORD_REF_NONE) {
			sim_fail(sim, "the ring has no room where it said it had");
			return;
		}
		ledger_accepted(sim, m, sim->appliance->window_ns);
		sl_journal_hold(sim->appliance->journal, w, ref);
		worker_enqueue(worker, ref, message, len);
	}
	sl_record_ring_publish(ring);
}

static void
send_item(struct sim *sim, uint32_t b, uint64_t session, uint64_t sequence, const struct item *item)
{
	static uint8_t buf[DATAGRAM_MAX];
	uint8_t *p = sl_wire_put_header(buf, 1, session);

	p = sl_wire_put_envelope(p, item->len);
	memcpy(p, item->bytes, item->len);
	sl_wire_put64(p + SL_WIRE_OFF_SEQUENCE, sequence);
	net_send(sim, APPLIANCE, 1 + sim->nb_publishers + b, buf, (size_t)(p - buf) + item->len);
}

struct taken {
	struct sim *sim;
	struct items items;
};

static void
on_taken(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	struct taken *taken = arg;
	struct item *item = msg;
	uint32_t m = ledger_find(taken->sim, item->bytes, item->len, "with a backend");

	(void)sequence;
	(void)attempts;
	TAILQ_INSERT_TAIL(&taken->items, item, next);
	if (m != UINT32_MAX)
		taken->sim->ledger.msgs[m].may_repeat = true;
}

/* What a backend has goes to whichever has room first. */
static void
requeue(struct sim *sim, struct worker *worker, uint32_t b)
{
	struct line *line = &worker->lines[b];
	struct taken taken = {.sim = sim, .items = TAILQ_HEAD_INITIALIZER(taken.items)};

	sim_say(sim, "backend %" PRIu32 ": another session", b);
	line->session = 1 + (test_rand_u64(&sim->r) >> 1);
	sl_session_tx_restart(line->tx, line->session, sim->now, on_taken, &taken);
	TAILQ_CONCAT(&taken.items, &worker->queue, next);
	TAILQ_CONCAT(&worker->queue, &taken.items, next);
}

static bool
has_room(const struct sim *sim, const struct line *line)
{
	return line->down_until_ns <= sim->now && sl_session_tx_room(line->tx) > 0;
}

static void
dispatch(struct sim *sim, struct worker *worker)
{
	uint32_t first = (uint32_t)below(sim, sim->nb_backends), nb_full = 0;
	struct item *item;

	while ((item = TAILQ_FIRST(&worker->queue)) != NULL && nb_full < sim->nb_backends) {
		uint32_t b = (first + nb_full) % sim->nb_backends;
		struct line *line = &worker->lines[b];

		if (!has_room(sim, line)) {
			nb_full++;
			continue;
		}
		TAILQ_REMOVE(&worker->queue, item, next);
		send_item(
			sim, b, line->session, sl_session_tx_send(line->tx, item, sim->now), item);
	}
}

void
worker_turn(struct sim *sim, uint32_t w)
{
	struct worker *worker = &sim->appliance->workers[w];
	struct sl_session_resend resends[32];
	struct sl_session_tx_stats stats;
	uint32_t n;

	for (uint32_t b = 0; b < sim->nb_backends; b++) {
		struct line *line = &worker->lines[b];

		n = sl_session_tx_resend(line->tx, sim->now, resends, RTE_DIM(resends));
		for (uint32_t i = 0; i < n; i++)
			send_item(sim, b, line->session, resends[i].sequence, resends[i].msg);
		sl_session_tx_get_stats(line->tx, &stats);
		if (stats.timeouts_in_a_row < SILENT_TIMEOUTS)
			continue;
		requeue(sim, worker, b);
		line->down_until_ns = sim->now + 500 * MS;
	}
	dispatch(sim, worker);
}

uint64_t
worker_next(const struct sim *sim, uint32_t w)
{
	const struct worker *worker = &sim->appliance->workers[w];
	uint64_t at = UINT64_MAX;

	for (uint32_t b = 0; b < sim->nb_backends; b++) {
		const struct line *line = &worker->lines[b];

		at = RTE_MIN(at, sl_session_tx_deadline(line->tx));
		if (!TAILQ_EMPTY(&worker->queue) && sl_session_tx_room(line->tx) > 0)
			at = RTE_MIN(at, line->down_until_ns);
	}
	return at;
}

void
worker_put_outcomes(struct sim *sim, uint32_t w)
{
	struct worker *worker = &sim->appliance->workers[w];
	struct sl_record_ring *ring = sl_journal_ring(sim->appliance->journal, w);
	uint32_t n = RTE_MIN(worker->nb_outcomes, OUTCOMES_IN_RECORD);
	const uint32_t size = n * (uint32_t)sizeof(worker->outcomes[0]);
	struct sl_record_done *done;

	if (n == 0)
		return;
	sl_record_ring_refresh(ring);
	done = sl_record_ring_put(ring, SL_RECORD_DONE, (uint32_t)sizeof(*done) + size, sim->now);
	if (done == NULL)
		return;
	done->backend = 1;
	done->nb_outcomes = n;
	done->reserved = 0;
	memcpy(done->outcomes, worker->outcomes, size);
	sl_record_ring_publish(ring);
	for (uint32_t i = 0; i < n; i++)
		sl_journal_release(sim->appliance->journal, w, worker->outcomes[i].message);
	worker->nb_outcomes -= n;
	memmove(worker->outcomes, worker->outcomes + n,
		worker->nb_outcomes * sizeof(worker->outcomes[0]));
}

struct acked {
	struct sim *sim;
	uint32_t w;
};

static void
on_acked(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	struct acked *acked = arg;
	struct worker *worker = &acked->sim->appliance->workers[acked->w];
	struct item *item = msg;
	uint32_t m = ledger_find(acked->sim, item->bytes, item->len, "with a backend");

	(void)sequence;
	if (m != UINT32_MAX && acked->sim->ledger.msgs[m].nb_delivered == 0)
		sim_fail(acked->sim,
			"a backend acknowledged message %" PRIu32 ", which was not delivered", m);
	if (worker->nb_outcomes == OUTCOMES_MAX)
		sim_fail(acked->sim, "no outcome finds room in the ring any more");
	else
		worker->outcomes[worker->nb_outcomes++] = (struct sl_record_outcome_of){
			.message = item->ref,
			.attempts = (uint16_t)attempts,
			.outcome = SL_OUTCOME_DELIVERED,
		};
	free(item);
}

bool
worker_ack(struct sim *sim, uint32_t w, const struct sl_wire_ack *ack)
{
	struct worker *worker = &sim->appliance->workers[w];
	struct acked acked = {.sim = sim, .w = w};

	for (uint32_t b = 0; b < sim->nb_backends; b++) {
		struct line *line = &worker->lines[b];

		if (line->session != ack->session)
			continue;
		switch (sl_session_tx_ack(line->tx, ack, sim->now, on_acked, &acked)) {
		case SL_SESSION_ACK_BAD:
			sim_fail(sim, "the appliance got a bad ack from backend %" PRIu32, b);
			break;
		case SL_SESSION_ACK_REFUSED:
			requeue(sim, worker, b);
			break;
		default:
			break;
		}
		return true;
	}
	return false;
}

bool
worker_is_idle(const struct sim *sim, uint32_t w)
{
	const struct worker *worker = &sim->appliance->workers[w];
	struct sl_session_tx_stats stats;

	for (uint32_t b = 0; b < sim->nb_backends; b++) {
		sl_session_tx_get_stats(worker->lines[b].tx, &stats);
		if (stats.in_flight != 0)
			return false;
	}
	return TAILQ_EMPTY(&worker->queue) && worker->nb_outcomes == 0;
}
