/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef APPLIANCE_H
#define APPLIANCE_H

/* The inside of the appliance: the journal and sessions of publishers, and the workers. */
#include <sys/queue.h>

#include "receivers.h"
#include "sim.h"

#define PUBLISHER_SESSIONS   32
#define PUBLISHER_WINDOW_LOG 12
#define SESSION_IDLE	     (2 * S)
#define SESSIONS_SWEPT	     4	   /* After each batch. */
#define OUTCOMES_MAX	     16384 /* While the ring has no room. */

/* A message that waits for a backend or is with one. */
struct item {
	TAILQ_ENTRY(item) next;
	sl_record_ref ref;
	bool is_of_topic; /* For one backend alone. */
	uint32_t len;
	uint8_t bytes[];
};

TAILQ_HEAD(items, item);

/* Towards one backend, of one worker. */
struct line {
	struct sl_session_tx *tx;
	uint64_t session;
	uint64_t down_until_ns;
	struct items queue; /* Of topics. */
};

/* An outcome that has a DONE record. */
struct settled {
	uint64_t end; /* Of the record. */
	sl_record_ref ref;
	bool has_letter; /* It was given up: what takes its place stands before it. */
};

struct worker {
	struct sl_dedup *dedup;
	struct items queue;
	struct line lines[BACKENDS_MAX];
	struct sl_record_outcome_of outcomes[OUTCOMES_MAX];
	uint32_t nb_outcomes; /* That no DONE record has yet. */
	struct settled settled[OUTCOMES_MAX];
	uint32_t nb_settled; /* That are not durable yet. */
};

struct appliance {
	bool is_up;
	uint64_t start_ns;  /* When it is down: when it comes up again. */
	uint64_t write_ns;  /* The journal's next turn. */
	uint64_t commit_ns; /* UINT64_MAX: nothing was synced that is not told. */
	uint64_t window_ns; /* Of deduplication. */
	uint64_t retention_ms;
	uint32_t line_window;
	uint32_t give_up_per_mille; /* Of what a backend was sent in vain. */
	struct sl_journal *journal;
	struct sl_journal_recovery recovery;
	struct receivers_params receivers_params;
	struct receivers receivers;
	struct worker workers[WORKERS_MAX];
};

/* worker.c */

void worker_begin(struct sim *sim, uint32_t w);
void worker_end(struct sim *sim, uint32_t w);
/* Dedup, record, queue: what a message goes through. */
void worker_input(struct sim *sim, uint32_t w, uint32_t from, uint64_t session,
	const uint8_t *message, uint32_t len);
/* For anyone, or for a subscriber. */
void worker_enqueue(struct items *queue, sl_record_ref ref, const uint8_t *message, uint32_t len);
/* Send again what is lost, and what waits. */
void worker_turn(struct sim *sim, uint32_t w);
uint64_t worker_next(const struct sim *sim, uint32_t w);
void worker_put_outcomes(struct sim *sim, uint32_t w);
/* Of a backend. Returns false when the session is none of this worker's. */
bool worker_ack(struct sim *sim, uint32_t w, const struct sl_wire_ack *ack);
bool worker_is_idle(const struct sim *sim, uint32_t w);

#endif /* APPLIANCE_H */
