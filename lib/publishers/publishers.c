/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_random.h>
#include <rte_seqcount.h>

#include <xxhash.h>

#include "receivers.h"
#include "sl_publishers.h"

/* The journal's thread between the receivers and the path. */

/* Strangers answered, and receivers looked at, in one batch: the others wait for the next. */
#define STRANGERS_BURST 64
#define SWEEP_BURST	16

/* Receivers beside those of sessions that have a slot: of some that are just about to be freed. */
#define SPARE_MIN 64

#define MS_NS UINT64_C(1000000)

/* What the control thread may know of the session of a slot. */
struct shown {
	rte_seqcount_t changes;
	uint64_t session;
	uint64_t cumulative;
	uint64_t highest;
	uint64_t credit_limit;
	uint64_t messages;
	uint64_t duplicates;
} __rte_cache_aligned;

struct sl_publishers {
	struct sl_datapath *datapath;
	uint64_t idle_ns;
	uint64_t seed; /* Of addresses' keys. */
	uint32_t nb_slots;
	struct shown *shown; /* By slot. */
	struct receivers receivers;
	_Atomic uint64_t acks_sent;
	_Atomic uint64_t refused;
	/* A stranger that found no buffer. */
	bool is_waiting;
	struct sl_datapath_stranger stranger;
};

/* Addresses of one key share what one may send, which costs nothing but that. */
static uint64_t
address_of(void *arg, uint32_t publisher, uint64_t session)
{
	const struct sl_publishers *p = arg;
	struct sl_datapath_publisher slot;
	uint64_t key;

	if (!sl_datapath_get_publisher(p->datapath, publisher, &slot) || slot.session != session)
		return 0;
	key = XXH3_64bits_withSeed(&slot.address, sizeof(slot.address), p->seed);
	return key != 0 ? key : 1;
}

int
sl_publishers_create(const struct sl_config *config, struct sl_datapath *datapath,
	struct sl_publishers **publishers, char *error, size_t error_len)
{
	uint32_t nb_slots = sl_datapath_nb_publishers(datapath);
	struct receivers_params params = {
		.nb_max = nb_slots + nb_slots / 4 + SPARE_MIN,
		.window = config->publishers.window,
		.address_window = config->publishers.window_per_address,
		.rate_msgs_per_s = config->publishers.rate_msgs_per_s,
		.seeds = {rte_rand(), rte_rand()},
		.address_of = address_of,
	};
	struct sl_publishers *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	params.arg = p;
	p->seed = rte_rand();
	p->datapath = datapath;
	p->nb_slots = nb_slots;
	p->idle_ns = config->publishers.idle_ms * MS_NS;
	if (posix_memalign((void **)&p->shown, RTE_CACHE_LINE_SIZE,
		    (nb_slots + 1) * sizeof(*p->shown)) == 0)
		memset(p->shown, 0, nb_slots * sizeof(*p->shown));
	else
		p->shown = NULL;
	if (p->shown != NULL && receivers_init(&p->receivers, &params) == 0) {
		*publishers = p;
		return 0;
	}
	snprintf(error, error_len,
		"no memory for %" PRIu32 " publishers with a window of %" PRIu32
		" messages; lower publishers.sessions_max or publishers.window",
		nb_slots, config->publishers.window);
	sl_publishers_destroy(p);
	return -ENOMEM;
}

void
sl_publishers_destroy(struct sl_publishers *p)
{
	if (p == NULL)
		return;
	receivers_free(&p->receivers);
	free(p->shown);
	free(p);
}

void
sl_publishers_durable(void *publishers, const struct sl_record *record, uint64_t now_ns)
{
	struct sl_publishers *p = publishers;

	receivers_take(&p->receivers, record, now_ns);
}

/* Counters with one writer. */
static inline void
count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
		memory_order_relaxed);
}

static void
show(struct sl_publishers *p, const struct receiver *receiver, const struct sl_wire_ack *ack)
{
	struct shown *shown;

	if (receiver->publisher >= p->nb_slots)
		return;
	shown = &p->shown[receiver->publisher];
	rte_seqcount_write_begin(&shown->changes);
	shown->session = receiver->session;
	shown->cumulative = ack->cumulative;
	shown->highest = ack->highest;
	shown->credit_limit = ack->credit_limit;
	shown->messages = receiver->messages;
	shown->duplicates = receiver->duplicates;
	rte_seqcount_write_end(&shown->changes);
}

/* @return false: there is no buffer for more */
static bool
acknowledge(struct sl_publishers *p, uint64_t now_ns)
{
	struct receiver *receiver;
	struct sl_wire_ack ack;

	while ((receiver = receivers_next(&p->receivers)) != NULL) {
		receivers_ack(&p->receivers, receiver, now_ns, &ack);
		if (!sl_datapath_ack_publisher(p->datapath, receiver->publisher, &ack))
			return false;
		show(p, receiver, &ack);
		receivers_told(&p->receivers, receiver);
		count(&p->acks_sent);
	}
	return true;
}

/* Those whose messages became durable, while nobody knows what came before. */
static bool
refuse(struct sl_publishers *p)
{
	struct receivers *receivers = &p->receivers;
	struct sl_wire_ack ack;

	while (receivers->nb_refusals > 0) {
		const struct refusal *refusal = &receivers->refusals[receivers->nb_refusals - 1];

		sl_session_refuse(refusal->session, &ack);
		if (!sl_datapath_ack_publisher(p->datapath, refusal->publisher, &ack))
			return false;
		receivers->nb_refusals--;
		count(&p->refused);
	}
	return true;
}

/* @return false: it has not been told, because there is no buffer */
static bool
answer(struct sl_publishers *p, struct sl_datapath_stranger *stranger, uint64_t now_ns)
{
	struct receiver *receiver = receivers_find(&p->receivers, stranger->session);
	struct sl_wire_ack ack;

	if (receiver != NULL) {
		receivers_ack(&p->receivers, receiver, now_ns, &ack);
		stranger->credit_limit = ack.credit_limit;
		sl_datapath_admit_stranger(p->datapath, stranger);
		return true;
	}
	/* Nothing of its is durable yet: there is nothing to tell. */
	if (stranger->has_slot)
		return true;
	if (!sl_datapath_refuse_stranger(p->datapath, stranger))
		return false;
	count(&p->refused);
	return true;
}

static void
answer_strangers(struct sl_publishers *p, uint64_t now_ns)
{
	for (uint32_t i = 0; i < STRANGERS_BURST; i++) {
		if (!p->is_waiting && !sl_datapath_next_stranger(p->datapath, &p->stranger))
			return;
		p->is_waiting = !answer(p, &p->stranger, now_ns);
		if (p->is_waiting)
			return;
	}
}

static bool
is_alive(void *arg, const struct receiver *receiver)
{
	const struct sl_publishers *p = arg;
	struct sl_datapath_publisher slot;

	return sl_datapath_get_publisher(p->datapath, receiver->publisher, &slot) &&
		slot.session == receiver->session;
}

void
sl_publishers_batch(void *publishers, uint64_t now_ns)
{
	struct sl_publishers *p = publishers;

	/* Acks first: who has none sends again. */
	if (acknowledge(p, now_ns) && refuse(p))
		answer_strangers(p, now_ns);
	receivers_sweep(&p->receivers, SWEEP_BURST, now_ns, p->idle_ns, is_alive, p);
}

/* What the session of a slot was told; all 0 when it was told nothing yet. */
static void
read_shown(const struct shown *shown, uint64_t session, struct sl_publisher_stats *stats)
{
	uint32_t version;

	do {
		version = rte_seqcount_read_begin(&shown->changes);
		stats->cumulative = shown->cumulative;
		stats->highest = shown->highest;
		stats->messages = shown->messages;
		stats->duplicates = shown->duplicates;
		if (shown->session != session)
			stats->cumulative = stats->highest = stats->messages = stats->duplicates =
				0;
	} while (rte_seqcount_read_retry(&shown->changes, version));
}

uint32_t
sl_publishers_list(struct sl_publishers *p, struct sl_publisher_stats *stats, uint32_t max)
{
	struct sl_datapath_publisher slot;
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->nb_slots && n < max; i++) {
		if (!sl_datapath_get_publisher(p->datapath, i, &slot))
			continue;
		stats[n] = (struct sl_publisher_stats){
			.session = slot.session,
			.address = slot.address,
			.port = slot.udp_port,
			.source = slot.source,
			.credit_limit = slot.credit_limit,
			.over_limit = slot.over_limit,
			.idle_ms = slot.idle_ms,
		};
		read_shown(&p->shown[i], slot.session, &stats[n++]);
	}
	return n;
}

void
sl_publishers_get_stats(struct sl_publishers *p, struct sl_publishers_stats *stats)
{
	struct sl_datapath_publishers sum;

	sl_datapath_get_publishers(p->datapath, &sum);
	*stats = (struct sl_publishers_stats){
		.sessions = sum.sessions,
		.sessions_max = sum.sessions_max,
		.acks_sent = atomic_load_explicit(&p->acks_sent, memory_order_relaxed),
		.acks_put_off = sum.no_buffer,
		.refused = atomic_load_explicit(&p->refused, memory_order_relaxed) +
			sum.turned_away,
		.over_limit = sum.over_limit,
		.expired = sum.expired,
	};
}
