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
		TAILQ_INIT(&worker->lines[b].queue);
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

static void
free_all(struct items *items)
{
	struct item *item;

	while ((item = TAILQ_FIRST(items)) != NULL) {
		TAILQ_REMOVE(items, item, next);
		free(item);
	}
}

void
worker_end(struct sim *sim, uint32_t w)
{
	struct worker *worker = &sim->appliance->workers[w];

	free_all(&worker->queue);
	for (uint32_t b = 0; b < sim->nb_backends; b++) {
		free_all(&worker->lines[b].queue);
		sl_session_tx_restart(worker->lines[b].tx, 1, sim->now, free_item, NULL);
		free(worker->lines[b].tx);
	}
	free(worker->dedup);
}

void
worker_enqueue(struct items *queue, sl_record_ref ref, const uint8_t *message, uint32_t len)
{
	struct item *item = sim_zalloc(sizeof(*item) + len);

	item->ref = ref;
	item->is_of_topic = sl_record_ref_is_copy(ref);
	item->len = len;
	memcpy(item->bytes, message, len);
	TAILQ_INSERT_TAIL(queue, item, next);
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

/* Of a topic's message with all backends as its subscribers. */
static struct sl_record_message *
put_message(struct sim *sim, struct sl_record_ring *ring, uint32_t from, uint64_t session,
	const uint8_t *message, uint32_t len, uint32_t nb_subscribers)
{
	uint32_t head = (uint32_t)(sizeof(struct sl_record_message) +
		nb_subscribers * sizeof(struct sl_record_subscriber));
	struct sl_record_subscriber *subscribers;
	struct sl_record_message *record;

	record = sl_record_ring_put(ring, SL_RECORD_MESSAGE, head + len, sim->now);
	if (record == NULL)
		return NULL;
	record->record.flags = SL_RECORD_WANTS_ACK;
	record->session = session;
	record->publisher = from;
	record->class_index = 0;
	record->level = 1;
	record->nb_subscribers = (uint16_t)nb_subscribers;
	subscribers = (struct sl_record_subscriber *)(record + 1);
	for (uint32_t b = 0; b < nb_subscribers; b++)
		subscribers[b] = (struct sl_record_subscriber){.backend = b,
			.back = (uint32_t)(sizeof(*record) + b * sizeof(*subscribers)),
			.flags = SL_RECORD_SUBSCRIBER};
	memcpy((uint8_t *)record + head, message, len);
	return record;
}

/* It waits for any backend, or for each. */
static void
hand_out(struct sim *sim, uint32_t w, const struct sl_record_message *record)
{
	struct worker *worker = &sim->appliance->workers[w];
	struct sl_journal *journal = sim->appliance->journal;
	uint32_t len;
	const uint8_t *message = sl_record_message_of(record, &len);
	sl_record_ref ref = sl_record_ref_of(w, record->record.position);

	if (record->nb_subscribers == 0) {
		sl_journal_hold(journal, w, ref);
		worker_enqueue(&worker->queue, ref, message, len);
	}
	for (uint32_t b = 0; b < record->nb_subscribers; b++) {
		ref = sl_record_copy_ref(w, record, b);
		sl_journal_hold(journal, w, ref);
		worker_enqueue(&worker->lines[b].queue, ref, message, len);
	}
}

void
worker_input(struct sim *sim, uint32_t w, uint32_t from, uint64_t session, const uint8_t *message,
	uint32_t len)
{
	struct worker *worker = &sim->appliance->workers[w];
	struct sl_record_ring *ring = sl_journal_ring(sim->appliance->journal, w);
	const struct sl_record_message *record;
	struct sl_wire_key key;

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

		record = m == UINT32_MAX ? NULL
					 : put_message(sim, ring, from, session, message, len,
						   is_of_topic(m) ? sim->nb_backends : 0);
		if (record == NULL) {
			sim_fail(sim, "the ring has no room where it said it had");
			return;
		}
		ledger_accepted(sim, m, sim->appliance->window_ns);
		hand_out(sim, w, record);
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
	struct items of_topics;
};

static void
on_taken(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	struct taken *taken = arg;
	struct item *item = msg;
	uint32_t m = ledger_find(taken->sim, item->bytes, item->len, "with a backend");

	(void)sequence;
	(void)attempts;
	TAILQ_INSERT_TAIL(item->is_of_topic ? &taken->of_topics : &taken->items, item, next);
	if (m != UINT32_MAX)
		taken->sim->ledger.msgs[m].may_repeat = true;
}

/* Another message takes its place, as its dead letter: the same, to whichever has room. */
static void
give_up(struct sim *sim, uint32_t w, struct item *item)
{
	struct worker *worker = &sim->appliance->workers[w];
	struct sl_record_ring *ring = sl_journal_ring(sim->appliance->journal, w);
	struct sl_record_message *record;

	sl_record_ring_refresh(ring);
	if (ring->state_seen != SL_RECORD_RING_OK || worker->nb_outcomes == OUTCOMES_MAX ||
		sl_record_ring_room(ring) < 2 * (uint64_t)item->len + 1024)
		return;
	record = put_message(sim, ring, 0, 0, item->bytes, item->len, 0);
	if (record == NULL)
		return;
	record->record.flags = 0;
	worker->outcomes[worker->nb_outcomes++] = (struct sl_record_outcome_of){
		.message = item->ref, .attempts = 1, .outcome = SL_OUTCOME_DEAD};
	item->ref = sl_record_ref_of(w, record->record.position);
	sl_journal_hold(sim->appliance->journal, w, item->ref);
	sl_record_ring_publish(ring);
}

/* What a backend has goes to whichever has room first. */
static void
requeue(struct sim *sim, uint32_t w, uint32_t b)
{
	struct worker *worker = &sim->appliance->workers[w];
	struct line *line = &worker->lines[b];
	struct taken taken = {.sim = sim,
		.items = TAILQ_HEAD_INITIALIZER(taken.items),
		.of_topics = TAILQ_HEAD_INITIALIZER(taken.of_topics)};
	struct item *item;

	sim_say(sim, "backend %" PRIu32 ": another session", b);
	line->session = 1 + (test_rand_u64(&sim->r) >> 1);
	sl_session_tx_restart(line->tx, line->session, sim->now, on_taken, &taken);
	TAILQ_FOREACH (item, &taken.items, next) {
		if (chance(sim, sim->appliance->give_up_per_mille, 1000))
			give_up(sim, w, item);
	}
	TAILQ_CONCAT(&taken.items, &worker->queue, next);
	TAILQ_CONCAT(&worker->queue, &taken.items, next);
	TAILQ_CONCAT(&taken.of_topics, &line->queue, next);
	TAILQ_CONCAT(&line->queue, &taken.of_topics, next);
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

	for (uint32_t b = 0; b < sim->nb_backends; b++) {
		struct line *line = &worker->lines[b];

		while ((item = TAILQ_FIRST(&line->queue)) != NULL && has_room(sim, line)) {
			TAILQ_REMOVE(&line->queue, item, next);
			send_item(sim, b, line->session,
				sl_session_tx_send(line->tx, item, sim->now), item);
		}
	}

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
		requeue(sim, w, b);
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
		if ((!TAILQ_EMPTY(&worker->queue) || !TAILQ_EMPTY(&line->queue)) &&
			sl_session_tx_room(line->tx) > 0)
			at = RTE_MIN(at, line->down_until_ns);
	}
	return at;
}

/*
 * Let go of what has its outcome on disk; as lib/datapath/outcome.c does. A full journal needs the
 * room of the others to write that.
 */
static void
release(struct sim *sim, uint32_t w)
{
	struct worker *worker = &sim->appliance->workers[w];
	const struct sl_record_ring *ring = sl_journal_ring(sim->appliance->journal, w);
	uint32_t nb_left = 0;

	for (uint32_t i = 0; i < worker->nb_settled; i++) {
		const struct settled *s = &worker->settled[i];

		if (s->end <= ring->durable_seen ||
			(ring->state_seen == SL_RECORD_RING_FULL && !s->has_letter))
			sl_journal_release(sim->appliance->journal, w, s->ref);
		else
			worker->settled[nb_left++] = *s;
	}
	worker->nb_settled = nb_left;
}

void
worker_put_outcomes(struct sim *sim, uint32_t w)
{
	struct worker *worker = &sim->appliance->workers[w];
	struct sl_record_ring *ring = sl_journal_ring(sim->appliance->journal, w);
	uint32_t n = RTE_MIN(worker->nb_outcomes, OUTCOMES_IN_RECORD);
	const uint32_t size = n * (uint32_t)sizeof(worker->outcomes[0]);
	struct sl_record_done *done;

	sl_record_ring_refresh(ring);
	release(sim, w);
	if (n == 0 || worker->nb_settled + n > OUTCOMES_MAX)
		return;
	done = sl_record_ring_put(ring, SL_RECORD_DONE, (uint32_t)sizeof(*done) + size, sim->now);
	if (done == NULL)
		return;
	done->backend = 1;
	done->nb_outcomes = n;
	done->reserved = 0;
	memcpy(done->outcomes, worker->outcomes, size);
	sl_record_ring_publish(ring);
	for (uint32_t i = 0; i < n; i++)
		worker->settled[worker->nb_settled++] = (struct settled){.end = ring->put,
			.ref = worker->outcomes[i].message,
			.has_letter = worker->outcomes[i].outcome == SL_OUTCOME_DEAD};
	worker->nb_outcomes -= n;
	memmove(worker->outcomes, worker->outcomes + n,
		worker->nb_outcomes * sizeof(worker->outcomes[0]));
}

struct acked {
	struct sim *sim;
	uint32_t w;
	uint32_t b;
};

static void
on_acked(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	struct acked *acked = arg;
	struct worker *worker = &acked->sim->appliance->workers[acked->w];
	struct item *item = msg;
	uint32_t m = ledger_find(acked->sim, item->bytes, item->len, "with a backend");

	(void)sequence;
	if (m != UINT32_MAX &&
		(acked->sim->ledger.msgs[m].nb_delivered == 0 ||
			(is_of_topic(m) &&
				(acked->sim->ledger.msgs[m].had_by & UINT32_C(1) << acked->b) ==
					0)))
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
		acked.b = b;
		switch (sl_session_tx_ack(line->tx, ack, sim->now, on_acked, &acked)) {
		case SL_SESSION_ACK_BAD:
			sim_fail(sim, "the appliance got a bad ack from backend %" PRIu32, b);
			break;
		case SL_SESSION_ACK_REFUSED:
			requeue(sim, w, b);
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
		if (stats.in_flight != 0 || !TAILQ_EMPTY(&worker->lines[b].queue))
			return false;
	}
	return TAILQ_EMPTY(&worker->queue) && worker->nb_outcomes == 0;
}
