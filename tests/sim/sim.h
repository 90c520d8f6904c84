/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SIM_H
#define SIM_H

/*
 * A world in one process: publishers, an appliance with its journal on a disk, backends, and the
 * network between them, under one clock and one source of randomness. The cores are the real ones:
 * sessions, wire, dedup, records, journal, recovery. What is around them here is as little as it
 * takes to drive them the way the appliance does.
 *
 * Beside it stands a ledger, which knows what was sent, acknowledged and delivered by looking from
 * outside.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../unit/test_rand.h"
#include "sl_dedup.h"
#include "sl_journal.h"
#include "sl_record_ring.h"
#include "sl_session.h"
#include "sl_wire.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

#define PUBLISHERS_MAX 4
#define BACKENDS_MAX   3
#define WORKERS_MAX    3
#define DESTINATIONS   5 /* The first of them is a topic, which every backend subscribes to. */
#define DATAGRAM_MAX   65000
#define APPLIANCE      0u /* A node; behind it the publishers, then the backends. */
#define NODES_MAX      (1 + PUBLISHERS_MAX + BACKENDS_MAX)

/* What the ledger knows of a message; its number is its place. */
struct msg {
	uint32_t publisher;
	uint32_t size; /* Of its payload. */
	uint64_t timestamp_ns;
	uint64_t accepted_ns;  /* The last time; 0: never. */
	uint64_t delivered_ns; /* The first time. */
	uint32_t nb_delivered;
	uint32_t backend;    /* That had it last. */
	bool is_acked;	     /* To its publisher. */
	bool may_repeat;     /* Something happened that explains a second delivery. */
	bool is_durable;     /* The journal has said so. */
	bool is_undelivered; /* In the journal at the last start, and to be delivered. */
	/* Of a topic: bits by backend. */
	uint32_t had_by;
	uint32_t undelivered_to;
};

struct ledger {
	struct msg *msgs;
	uint32_t nb;
	uint32_t nb_acked;
	uint32_t nb_delivered; /* Of them, at least once. */
	uint32_t nb_repeated;  /* Deliveries beyond the first, explained. */
	uint32_t nb_reordered; /* First deliveries behind a later one of its publisher and
				  destination. */
	uint32_t latest[PUBLISHERS_MAX][DESTINATIONS];
};

/* What befalls a run; drawn from its seed. */
struct faults {
	uint32_t crash_per_million;    /* A step of the world. */
	uint32_t disk_crash_per_mille; /* Of crashes: in the middle of what the disk does. */
	uint32_t power_per_mille;      /* Of crashes: the machine; else only the process. */
	uint32_t survive_per_mille;    /* Of a sector not synced, when the machine crashes. */
	uint32_t tear_per_mille;
	uint32_t flip_per_mille;
	uint32_t write_error_per_million;
	uint32_t sync_error_per_million;
	uint32_t full_per_million;   /* Begins of a time without room. */
	uint32_t forget_per_million; /* A step: the appliance, or a backend, forgets sessions. */
	uint32_t cut_per_million;    /* A step: a node is cut off for a while. */
	uint32_t loss_per_mille;
	uint32_t duplicate_per_mille;
	uint64_t delay_ns;
	uint64_t jitter_ns;
};

struct sim {
	uint64_t seed;
	struct test_rand r;
	uint64_t now; /* Unix time. */
	uint64_t begun_ns;
	uint64_t hash; /* Of everything that came over the network: the same for the same seed. */
	uint64_t nb_steps;
	uint32_t nb_crashes;
	bool is_verbose;
	bool is_calm;	       /* Nothing befalls it any more. */
	bool is_history_short; /* The journal may keep less than deduplication needs. */
	char failure[512];
	char directory[128];

	uint32_t nb_publishers;
	uint32_t nb_backends;
	uint32_t nb_workers;
	struct faults faults;
	struct ledger ledger;
	struct net *net;
	struct disk *disk;
	struct publisher *publishers;
	struct backend *backends;
	struct appliance *appliance;
};

static inline bool
is_of_topic(uint32_t m)
{
	return m % DESTINATIONS == 0;
}

static inline uint64_t
below(struct sim *sim, uint64_t bound)
{
	return test_rand_below(&sim->r, bound);
}

static inline bool
chance(struct sim *sim, uint32_t share, uint32_t of)
{
	return share != 0 && test_rand_below(&sim->r, of) < share;
}

void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_say(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void *sim_zalloc(size_t size);

/* net.c */

void net_init(struct sim *sim);
void net_free(struct sim *sim);
void net_send(struct sim *sim, uint32_t from, uint32_t to, const void *data, size_t len);
void net_cut(struct sim *sim, uint32_t node, uint64_t until_ns);
/* When the next datagram comes; UINT64_MAX: none is under way. */
uint64_t net_next(const struct sim *sim);
/* Hand the next one over. */
void net_deliver(struct sim *sim);

/* ledger.c */

void ledger_init(struct sim *sim, uint32_t nb);
void ledger_free(struct sim *sim);
/* A message in the template layout, without tag and length. Returns its length. */
uint32_t ledger_build(struct sim *sim, uint32_t m, uint64_t sequence, uint8_t *to);
/* Whose bytes are these? UINT32_MAX, and the run has failed, when they are nobody's. */
uint32_t ledger_find(struct sim *sim, const uint8_t *message, uint32_t len, const char *where);
void ledger_acked(struct sim *sim, uint32_t m);
void ledger_delivered(struct sim *sim, uint32_t m, uint32_t backend);
void ledger_accepted(struct sim *sim, uint32_t m, uint64_t window_ns);
/* After a recovery: what is acknowledged is delivered, or in the journal. */
void ledger_recovered(struct sim *sim);
/* After a restart the appliance may not know all that it accepted. */
void ledger_history_lost(struct sim *sim);
/* At the end. */
void ledger_drained(struct sim *sim);

/* disk.c */

void disk_init(struct sim *sim);
void disk_free(struct sim *sim);
const struct sl_journal_disk *disk_ops(struct sim *sim);
/* It will stop working in the middle of one of its next operations. */
void disk_doom(struct sim *sim);
void disk_spare(struct sim *sim);
bool disk_is_dead(const struct sim *sim);
/* Decide what is left of it, and write that to the run's directory for recovery to read. */
void disk_crash(struct sim *sim, bool is_power);
/* The same when the process ended in order. */
void disk_settle(struct sim *sim);
uint32_t disk_found(struct sim *sim, struct sl_journal_segment **found);

/* publisher.c */

void publishers_init(struct sim *sim);
void publishers_free(struct sim *sim);
uint64_t publisher_next(const struct sim *sim, uint32_t i);
void publisher_turn(struct sim *sim, uint32_t i);
void publisher_input(struct sim *sim, uint32_t i, const uint8_t *data, size_t len);

/* backend.c */

void backends_init(struct sim *sim);
void backends_free(struct sim *sim);
uint64_t backend_next(const struct sim *sim, uint32_t i);
void backend_turn(struct sim *sim, uint32_t i);
void backend_input(struct sim *sim, uint32_t i, const uint8_t *data, size_t len);
void backend_forget(struct sim *sim, uint32_t i);

/* appliance.c */

void appliance_init(struct sim *sim);
void appliance_free(struct sim *sim);
bool appliance_is_up(const struct sim *sim);
uint64_t appliance_next(const struct sim *sim);
void appliance_turn(struct sim *sim);
void appliance_input(struct sim *sim, uint32_t from, const uint8_t *data, size_t len);
void appliance_forget(struct sim *sim);
void appliance_crash(struct sim *sim, bool is_power);
/* Nothing waits, is in flight, or is not durable. */
bool appliance_is_idle(const struct sim *sim);
void appliance_stop(struct sim *sim);

/* world.c */

/* Returns whether all promises were kept; else sim->failure has the words. */
bool sim_run(struct sim *sim);

#endif /* SIM_H */
