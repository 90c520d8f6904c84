/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_malloc.h>

#include "durable.h"

void
dp_notice(struct sl_datapath *dp, const char *format, ...)
{
	va_list args;

	if (dp->nb_notices == RTE_DIM(dp->notices))
		return;
	va_start(args, format);
	vsnprintf(dp->notices[dp->nb_notices++], sizeof(dp->notices[0]), format, args);
	va_end(args);
}

const char *
sl_datapath_notice(const struct sl_datapath *dp, unsigned int index)
{
	return index < dp->nb_notices ? dp->notices[index] : NULL;
}

static int
create_control_rings(struct sl_datapath *dp, char *error, size_t error_len)
{
	/* Any rx lcore puts in; the control thread takes out. */
	dp->punt_ring = rte_ring_create("punt", DP_PUNT_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
	dp->probe_ring = rte_ring_create("probe", DP_PROBE_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
	dp->subscribe_ring = rte_ring_create(
		"subscribe", DP_SUBSCRIBE_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
	/* The control thread puts in; the first worker takes out. */
	dp->control_ring = rte_ring_create(
		"control", DP_CONTROL_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (dp->punt_ring != NULL && dp->probe_ring != NULL && dp->subscribe_ring != NULL &&
		dp->control_ring != NULL)
		return 0;
	snprintf(error, error_len, "no memory for the control thread's rings; give EAL more (-m)");
	return -ENOMEM;
}

/* Naps cost latency; on a port that only exists in this machine they save a fan. */
static bool
may_nap(const struct sl_datapath *dp)
{
	if (dp->config->nap != SL_CONFIG_AUTO)
		return dp->config->nap == SL_CONFIG_ON;
	for (uint32_t i = 0; i < dp->config->nb_ports; i++) {
		if (dp->ports[i].is_physical)
			return false;
	}
	return true;
}

int
sl_datapath_create(const struct sl_config *config, struct sl_datapath **datapath, char *error,
	size_t error_len)
{
	struct sl_datapath *dp = calloc(1, sizeof(*dp));
	int rc;

	if (dp == NULL)
		return -ENOMEM;
	dp->config = dp_config_copy(config);
	if (dp->config == NULL) {
		free(dp);
		return -ENOMEM;
	}
	atomic_init(&dp->accepts_subscriptions, config->subscriptions.is_open);
	dp->tsc_hz = rte_get_tsc_hz();
	dp->ns_per_cycle_q32 = (uint64_t)(((unsigned __int128)1000000000 << 32) / dp->tsc_hz);
	/* What was seen before the start has its place on this clock, too. */
	dp->tsc_start = rte_rdtsc() - (dp->config->dedup_window_ms + 1) * (dp->tsc_hz / 1000);
	dp_follow_clock(dp);
	dp->nb_copies = dp_copies_needed(config);
	rc = dp_lcores_create(dp, error, error_len);
	if (rc == 0)
		rc = dp_publishers_create(dp, config, error, error_len);
	if (rc == 0)
		rc = dp_ports_create(dp, error, error_len);
	if (rc == 0)
		rc = dp_tables_create(dp, config, error, error_len);
	if (rc == 0)
		rc = dp_workers_create(dp, error, error_len);
	if (rc == 0)
		rc = dp_keepers_create(dp, error, error_len);
	if (rc == 0)
		rc = dp_control_create(dp, config, error, error_len);
	if (rc == 0)
		rc = create_control_rings(dp, error, error_len);
	if (rc == 0)
		rc = dp_graphs_create(dp, error, error_len);
	if (rc == 0)
		rc = dp_trace_create(dp, error, error_len);
	if (rc != 0) {
		sl_datapath_destroy(dp);
		return rc;
	}
	dp->may_nap = may_nap(dp);
	*datapath = dp;
	return 0;
}

int
sl_datapath_start(struct sl_datapath *dp, char *error, size_t error_len)
{
	int rc = dp_ports_start(dp, error, error_len);

	if (rc != 0)
		return rc;
	atomic_store(&dp->must_stop, false);
	atomic_store(&dp->is_draining, false);
	dp->is_running = true;
	for (uint32_t i = 0; i < dp->nb_lcores; i++) {
		rc = rte_eal_remote_launch(dp_main_loop, dp->lcores[i], dp->lcores[i]->id);
		if (rc != 0) {
			snprintf(error, error_len, "lcore %u does not start: %s", dp->lcores[i]->id,
				rte_strerror(-rc));
			sl_datapath_stop(dp);
			return rc;
		}
	}
	return 0;
}

void
sl_datapath_drain(struct sl_datapath *dp)
{
	atomic_store(&dp->is_draining, true);
}

static void
drop_at_shutdown(void *opaque, struct sl_sched_msg *msg, enum sl_sched_drop reason)
{
	struct dp_lcore *lcore = opaque;
	struct rte_mbuf *m = dp_mbuf(msg);

	RTE_SET_USED(reason);
	if (dp_is_durable(lcore, dp_msg(m)))
		lcore->keeper->taken[lcore->keeper->nb_taken++] = m;
	else
		dp_drop_message(lcore, m, SL_MESSAGE_DROP_shutdown);
}

/* Durable messages are in the journal: they go on waiting there, in their order. */
static void
park_waiting(struct dp_lcore *lcore)
{
	struct dp_keeper *keeper = lcore->keeper;

	if (keeper == NULL || keeper->ring == NULL)
		return;
	while (keeper->nb_taken > 0)
		dp_park_back(lcore, keeper->taken[--keeper->nb_taken]);
	dp_sessions_stop(lcore);
	dp_keeper_end_turn(lcore);
}

/*
 * What is being read back stands before all that is parked. It is queued before what is queued and
 * in flight is parked: it would be sent first when the path starts again.
 */
#define FETCHES_MS 1000

static void
take_in_fetched(struct dp_lcore *lcore)
{
	const struct dp_keeper *keeper = lcore->keeper;

	if (keeper == NULL || keeper->ring == NULL)
		return;
	for (uint32_t ms = 0; keeper->nb_fetches > 0 && ms < FETCHES_MS; ms++) {
		dp_park_take_in(lcore);
		if (keeper->nb_fetches > 0)
			rte_delay_us_sleep(1000);
	}
}

/* A port that is closed takes with it what its peer has not read yet: time for that. */
#define LINGER_MS 20

/* What an lcore still holds becomes a counted drop. */
static void
drop_waiting(struct dp_lcore *lcore)
{
	struct rte_mbuf *m;

	for (uint16_t i = 0; i < lcore->nb_inputs; i++) {
		while (rte_ring_dequeue(lcore->inputs[i], (void **)&m) == 0) {
			dp_msg(m)->ref = SL_RECORD_REF_NONE;
			lcore->worker.taken++;
			dp_drop_message(lcore, m, SL_MESSAGE_DROP_shutdown);
		}
	}
	take_in_fetched(lcore);
	if (lcore->sched != NULL)
		sl_sched_flush(lcore->sched, drop_at_shutdown, lcore);
	park_waiting(lcore);
	for (uint16_t i = 0; i < lcore->nb_txqs; i++)
		dp_tx_drop_all(lcore, &lcore->txqs[i], SL_MESSAGE_DROP_shutdown);
	while (lcore->nb_held > 0)
		sl_datapath_drop(
			lcore->dp, lcore->held[--lcore->nb_held], SL_FRAME_DROP_control_port_full);
}

void
sl_datapath_stop(struct sl_datapath *dp)
{
	if (!dp->is_running)
		return;
	atomic_store(&dp->must_stop, true);
	for (uint32_t i = 0; i < dp->nb_lcores; i++)
		rte_eal_wait_lcore(dp->lcores[i]->id);
	dp->is_running = false;
	for (uint32_t i = 0; i < dp->nb_lcores; i++)
		drop_waiting(dp->lcores[i]);
	rte_delay_us_sleep(LINGER_MS * 1000);
	dp_ports_stop(dp);
}

void
sl_datapath_destroy(struct sl_datapath *dp)
{
	sl_datapath_stop(dp);
	dp_control_destroy(dp);
	dp_keepers_destroy(dp);
	dp_workers_destroy(dp);
	dp_trace_destroy(dp);
	dp_publishers_destroy(dp);
	dp_lcores_destroy(dp);
	dp_tables_destroy(dp);
	dp_config_free(dp->config);
	dp_gateways_destroy(dp);
	rte_ring_free(dp->punt_ring);
	rte_ring_free(dp->probe_ring);
	rte_ring_free(dp->subscribe_ring);
	rte_ring_free(dp->control_ring);
	/* The pool stays: devices may still hold its mbufs until EAL closes them. */
	free(dp->ports);
	free(dp);
}

uint32_t
sl_datapath_next_hops(const struct sl_datapath *dp, const struct sl_datapath_next_hop **next_hops)
{
	*next_hops = dp->next_hops;
	return dp->nb_next_hops;
}

void
sl_datapath_set_next_hop(struct sl_datapath *dp, uint32_t index, const struct rte_ether_addr *mac)
{
	uint64_t word = atomic_load_explicit(&dp->next_hop_words[index], memory_order_relaxed);

	word &= ~DP_NEXT_HOP_USABLE;
	if (mac != NULL) {
		word = 0;
		memcpy(&word, mac, sizeof(*mac));
		word |= DP_NEXT_HOP_USABLE;
	}
	atomic_store_explicit(&dp->next_hop_words[index], word, memory_order_release);
}

const struct rte_ether_addr *
sl_datapath_port_mac(const struct sl_datapath *dp, uint32_t port_index)
{
	return &dp->ports[port_index].station.mac;
}

uint32_t
sl_datapath_receive(struct sl_datapath *dp, struct sl_datapath_punt *punts, uint32_t max)
{
	struct rte_mbuf *m;
	uint32_t n;

	for (n = 0; n < max && rte_ring_sc_dequeue(dp->punt_ring, (void **)&m) == 0; n++) {
		const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);

		punts[n].mbuf = m;
		punts[n].port_index = dp->port_of_id[m->port]->index;
		punts[n].eth_len = dp_msg(m)->eth_len;
		punts[n].type = (uint16_t)(frame[punts[n].eth_len - 2] << 8 |
			frame[punts[n].eth_len - 1]);
	}
	return n;
}

struct rte_mbuf *
sl_datapath_alloc(struct sl_datapath *dp)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(dp->pool);

	if (m != NULL)
		dp_msg(m)->trace = 0;
	return m;
}

bool
sl_datapath_send(struct sl_datapath *dp, uint32_t port_index, struct rte_mbuf *mbuf)
{
	mbuf->port = dp->ports[port_index].port_id;
	dp_msg(mbuf)->sched.time = rte_rdtsc();
	if (rte_ring_sp_enqueue(dp->control_ring, mbuf) == 0)
		return true;
	sl_datapath_drop(dp, mbuf, SL_FRAME_DROP_control_ring_full);
	return false;
}

void
sl_datapath_drop(struct sl_datapath *dp, struct rte_mbuf *mbuf, enum sl_frame_drop reason)
{
	dp->frames_dropped[reason]++;
	rte_pktmbuf_free(mbuf);
}
