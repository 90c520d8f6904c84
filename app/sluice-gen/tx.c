/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include "clock.h"
#include "tx.h"

/* A pace that fell behind is caught up with for so long, and not beyond. */
#define DEBT_S 0.01

static bool
refill_stash(struct tx *tx)
{
	if (rte_pktmbuf_alloc_bulk(tx->pool, tx->stash, tx->burst) != 0) {
		tx->nb_no_mbuf_turns++;
		return false;
	}
	tx->nb_stash = tx->burst;
	return true;
}

static void
give_buffer(struct tx *tx, enum packer_feed feed)
{
	struct rte_mbuf *m = tx->stash[--tx->nb_stash];

	if (tx->nb_stash >= 2)
		rte_prefetch0_write(rte_pktmbuf_mtod(tx->stash[tx->nb_stash - 2], void *));
	packer_give(&tx->packer, feed, rte_pktmbuf_mtod(m, uint8_t *), m);
}

int
tx_init(struct tx *tx, const struct options *o, const struct traffic *traffic, uint16_t port_id,
	struct rte_mempool *pool)
{
	int rc;

	memset(tx, 0, sizeof(*tx));
	tx->port_id = port_id;
	tx->burst = o->burst;
	tx->pool = pool;
	tx->msgs_per_cycle = (double)o->rate_msgs_per_s / (double)rte_get_tsc_hz();
	tx->debt_max = (double)o->rate_msgs_per_s * DEBT_S + o->burst;
	rc = packer_init(&tx->packer, traffic, &o->packer, o->count, o->has_destinations_report);
	if (rc == 0 && o->acked_window != 0) {
		rc = acked_init(&tx->acked, o->acked_window, clock_now_ns(), clock_now_ns());
		tx->has_session = rc == 0;
		packer_set_session(&tx->packer, &tx->acked);
	}
	if (rc < 0) {
		fprintf(stderr, "sluice-gen: cannot prepare the traffic: %s\n", strerror(-rc));
		return rc;
	}
	for (unsigned int i = 0; i < PACKER_NB_FEEDS; i++) {
		if (tx->nb_stash == 0 && !refill_stash(tx))
			return -ENOMEM;
		give_buffer(tx, i);
	}
	return 0;
}

void
tx_fini(struct tx *tx)
{
	rte_pktmbuf_free_bulk(&tx->frames[tx->first], tx->nb - tx->first);
	rte_pktmbuf_free_bulk(tx->stash, tx->nb_stash);
	for (unsigned int i = 0; i < PACKER_NB_FEEDS; i++)
		rte_pktmbuf_free(tx->packer.open[i].cookie);
	packer_fini(&tx->packer);
	if (tx->has_session)
		acked_fini(&tx->acked);
}

void
tx_acked(struct tx *tx, const struct sl_wire_ack *ack, uint64_t now_ns)
{
	if (acked_take(&tx->acked, ack, now_ns))
		packer_renew(&tx->packer);
}

/* Move the limit on: the originals that are due by now. */
static void
keep_pace(struct tx *tx, uint64_t now_tsc)
{
	struct schedule *s = &tx->packer.schedule;
	double due, behind;

	if (tx->msgs_per_cycle == 0)
		return;
	if (tx->start_tsc == 0)
		tx->start_tsc = now_tsc;
	due = (double)(now_tsc - tx->start_tsc) * tx->msgs_per_cycle;
	behind = due - (double)(s->next - tx->paced_from);
	if (behind > tx->debt_max) {
		/* What cannot be caught up with is not held against the port for ever. */
		tx->start_tsc = now_tsc - (uint64_t)(tx->debt_max / tx->msgs_per_cycle);
		tx->paced_from = s->next;
		due = tx->debt_max;
	}
	s->limit = tx->paced_from + (uint64_t)due + 1;
}

static void
take_frame(struct tx *tx, struct datagram *d)
{
	struct rte_mbuf *m = d->cookie;

	m->data_len = d->frame_len;
	m->pkt_len = d->frame_len;
	tx->frames[tx->nb] = m;
	tx->meta[tx->nb].len = d->frame_len;
	tx->meta[tx->nb].nb_messages = d->nb_messages;
	tx->meta[tx->nb].nb_originals = d->nb_originals;
	tx->nb++;
	give_buffer(tx, d->feed);
}

static void
make_frames(struct tx *tx, uint64_t now_ns)
{
	struct datagram *d;

	tx->first = 0;
	tx->nb = 0;
	while (tx->nb < tx->burst) {
		if (tx->nb_stash == 0 && !refill_stash(tx))
			break;
		d = packer_fill(&tx->packer, now_ns);
		/* In a session more can be sent when this has come: it does not wait to be full. */
		if (d == NULL && (tx->has_session || packer_is_done(&tx->packer)))
			d = packer_flush(&tx->packer);
		if (d == NULL)
			break;
		take_frame(tx, d);
	}
	/* The sink may see a frame as soon as the port has it: it must know of it before. */
	__atomic_store_n(&tx->nb_built, tx->packer.schedule.next, __ATOMIC_RELEASE);
}

unsigned int
tx_turn(struct tx *tx, uint64_t now_ns, uint64_t now_tsc)
{
	uint16_t nb;

	tx->nb_turns++;
	if (tx->first == tx->nb) {
		keep_pace(tx, now_tsc);
		make_frames(tx, now_ns);
		if (tx->nb == 0)
			return 0;
	}
	nb = rte_eth_tx_burst(
		tx->port_id, 0, &tx->frames[tx->first], (uint16_t)(tx->nb - tx->first));
	for (uint16_t i = tx->first; i < tx->first + nb; i++) {
		tx->nb_messages += tx->meta[i].nb_messages;
		tx->nb_originals += tx->meta[i].nb_originals;
		tx->nb_bytes += tx->meta[i].len;
	}
	tx->first += nb;
	tx->nb_frames += nb;
	tx->nb_full_turns += tx->first < tx->nb;
	if (nb > 0) {
		if (tx->first_ns == 0)
			tx->first_ns = now_ns;
		tx->last_ns = now_ns;
		tx->stuck_ns = 0;
	} else if (tx->stuck_ns == 0) {
		tx->stuck_ns = now_ns;
	}
	return nb;
}

void
tx_stop(struct tx *tx)
{
	tx->is_stopping = true;
	tx->packer.schedule.end = RTE_MIN(tx->packer.schedule.end, tx->packer.schedule.next);
}

bool
tx_is_empty(const struct tx *tx)
{
	return tx->first == tx->nb && packer_is_done(&tx->packer) &&
		tx->packer.open[PACKER_FIRST_FEED].nb_messages == 0 &&
		tx->packer.open[PACKER_SECOND_FEED].nb_messages == 0;
}
