/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include <rte_random.h>
#include <rte_ring_elem.h>

#include "publisher.h"
#include "sl_session.h"

#define ACK_TTL 64

/*
 * An address whose rate is limited may be so far ahead of it: a fifth of a second, and what a
 * session may send before its first ack. The credit of its sessions keeps it well below.
 */
#define BURST_PER_S 5

static uint32_t
burst_of(const struct sl_config_publishers *config)
{
	uint64_t burst = config->rate_msgs_per_s / BURST_PER_S + SL_SESSION_BEGIN_MAX;

	return (uint32_t)RTE_MIN(burst, (uint64_t)1 << 24);
}

static int
create_tables(struct sl_datapath *dp, struct dp_publishers *publishers)
{
	const struct sl_config_publishers *config = &dp->config->publishers;
	struct dp_publisher_params params = {
		.per_address_max = config->sessions_per_address_max,
		.begin_credit = RTE_MAX(config->window, SL_SESSION_BEGIN_MAX),
		.address_window = config->window_per_address,
		.idle_ms = config->idle_ms,
		.rate_msgs_per_s = config->rate_msgs_per_s,
		.burst_msgs = burst_of(config),
		.ticks_per_s = dp->tsc_hz,
		.seeds = {rte_rand(), rte_rand()},
	};
	uint32_t at = 0;
	int rc;

	for (uint32_t i = 0; i < dp->nb_lcores; i++) {
		if (!(dp->lcores[i]->roles & SL_ROLE_RX))
			continue;
		params.nb_slots = publishers->nb_slots / publishers->nb_tables;
		rc = dp_publisher_table_init(
			&publishers->tables[at], &params, &publishers->slots[params.first]);
		dp->lcores[i]->publishers = &publishers->tables[at++];
		if (rc != 0)
			return rc;
		params.first += params.nb_slots;
	}
	return 0;
}

static int
create_rings(struct dp_publishers *publishers)
{
	publishers->empty = rte_ring_create(
		"ack-empty", DP_ACKS_EMPTY, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	publishers->finished = rte_ring_create(
		"ack-finished", DP_ACKS_EMPTY, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	return publishers->empty != NULL && publishers->finished != NULL ? 0 : -ENOMEM;
}

int
dp_publishers_create(
	struct sl_datapath *dp, const struct sl_config *config, char *error, size_t error_len)
{
	struct dp_publishers *publishers;

	if (config->journal.directory == NULL)
		return 0;
	publishers = calloc(1, sizeof(*publishers));
	if (publishers == NULL)
		goto no_memory;
	dp->publishers = publishers;
	for (uint32_t i = 0; i < dp->nb_lcores; i++)
		publishers->nb_tables += (dp->lcores[i]->roles & SL_ROLE_RX) != 0;
	/* Shared out evenly, and one each at least. */
	publishers->nb_slots = RTE_ALIGN_MUL_CEIL(
		dp->config->publishers.sessions_max, publishers->nb_tables);
	publishers->slots_size = publishers->nb_slots * sizeof(*publishers->slots);
	publishers->slots = dp_table_alloc(
		publishers->slots_size, "publishers.sessions_max", error, error_len);
	if (publishers->slots == NULL)
		return -ENOMEM;
	publishers->tables = calloc(publishers->nb_tables, sizeof(*publishers->tables));
	if (publishers->tables != NULL && create_tables(dp, publishers) == 0 &&
		create_rings(publishers) == 0)
		return 0;
no_memory:
	snprintf(error, error_len, "no memory for %u publishers; lower publishers.sessions_max",
		config->publishers.sessions_max);
	return -ENOMEM;
}

static void
free_all(struct rte_ring *ring)
{
	struct rte_mbuf *m;

	while (ring != NULL && rte_ring_sc_dequeue(ring, (void **)&m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(ring);
}

void
dp_publishers_destroy(struct sl_datapath *dp)
{
	struct dp_publishers *publishers = dp->publishers;

	if (publishers == NULL)
		return;
	while (publishers->nb_held > 0)
		rte_pktmbuf_free(publishers->held[--publishers->nb_held]);
	free_all(publishers->empty);
	free_all(publishers->finished);
	for (uint32_t i = 0; publishers->tables != NULL && i < publishers->nb_tables; i++)
		dp_publisher_table_free(&publishers->tables[i]);
	free(publishers->tables);
	dp_table_free(publishers->slots, publishers->slots_size);
	free(publishers);
	dp->publishers = NULL;
}

void
dp_publishers_poll(struct dp_lcore *lcore)
{
	if (atomic_load_explicit(&lcore->publishers->now_ms, memory_order_relaxed) != lcore->now_ms)
		dp_publisher_poll(lcore->publishers, lcore->now_ms);
}

uint32_t
sl_datapath_nb_publishers(const struct sl_datapath *dp)
{
	return dp->publishers != NULL ? dp->publishers->nb_slots : 0;
}

/* The table a slot belongs to. */
static const struct dp_publisher_table *
table_of(const struct dp_publishers *publishers, uint32_t number)
{
	return &publishers->tables[number / (publishers->nb_slots / publishers->nb_tables)];
}

bool
sl_datapath_get_publisher(
	const struct sl_datapath *dp, uint32_t number, struct sl_datapath_publisher *publisher)
{
	const struct dp_publishers *publishers = dp->publishers;
	const struct dp_publisher *slot;
	struct dp_publisher_seen seen;
	uint64_t seen_ms, now_ms;

	if (publishers == NULL || number >= publishers->nb_slots)
		return false;
	slot = &publishers->slots[number];
	if (!dp_publisher_read(slot, &seen) || seen.session == 0)
		return false;
	now_ms = atomic_load_explicit(&table_of(publishers, number)->now_ms, memory_order_relaxed);
	seen_ms = atomic_load_explicit(&slot->seen_ms, memory_order_relaxed);
	*publisher = (struct sl_datapath_publisher){
		.session = seen.session,
		.source = seen.source,
		.address = seen.from.address,
		.udp_port = seen.from.udp_port,
		.port_index = seen.from.port_index,
		.credit_limit = atomic_load_explicit(&slot->credit, memory_order_relaxed) &
			DP_CREDIT_MAX,
		.messages = atomic_load_explicit(&slot->messages, memory_order_relaxed),
		.over_limit = atomic_load_explicit(&slot->over_limit, memory_order_relaxed),
		.idle_ms = now_ms > seen_ms ? now_ms - seen_ms : 0,
	};
	return true;
}

void
sl_datapath_get_publishers(const struct sl_datapath *dp, struct sl_datapath_publishers *sum)
{
	const struct dp_publishers *publishers = dp->publishers;

	memset(sum, 0, sizeof(*sum));
	if (publishers == NULL)
		return;
	sum->sessions_max = publishers->nb_slots;
	sum->no_buffer = atomic_load_explicit(&publishers->no_buffer, memory_order_relaxed);
	for (uint32_t i = 0; i < publishers->nb_tables; i++) {
		const struct dp_publisher_table *table = &publishers->tables[i];

		sum->sessions += atomic_load_explicit(&table->nb_sessions, memory_order_relaxed);
		sum->expired += atomic_load_explicit(&table->expired, memory_order_relaxed);
		sum->turned_away += atomic_load_explicit(&table->turned_away, memory_order_relaxed);
		sum->over_limit += atomic_load_explicit(&table->over_limit, memory_order_relaxed);
	}
}

/* Write an ack behind its headers, and hand it to the worker that sends. */
static bool
send_ack(struct sl_datapath *dp, const struct dp_publisher_from *to, const struct sl_wire_ack *ack)
{
	const struct dp_port *port = &dp->ports[to->port_index];
	struct sl_ip own = dp_port_address(port, &to->address);
	uint8_t *frame, *payload;
	uint16_t eth_len, len, sum;
	struct sl_net_flow flow;
	struct rte_mbuf *m;

	/* Each finished frame was an empty one: the ring that takes it must have room first. */
	if (rte_ring_full(dp->publishers->finished) ||
		rte_ring_sc_dequeue(dp->publishers->empty, (void **)&m) != 0) {
		atomic_fetch_add_explicit(&dp->publishers->no_buffer, 1, memory_order_relaxed);
		return false;
	}
	sl_net_flow_init(&flow, &own, &to->address, rte_cpu_to_be_16(dp->config->udp_port),
		rte_cpu_to_be_16(to->udp_port), ACK_TTL);
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	eth_len = sl_net_put_eth(
		frame, &to->mac, &port->station.mac, port->station.vlan, sl_net_flow_type(&flow));
	payload = frame + eth_len + flow.headers_len;
	len = (uint16_t)sl_wire_put_ack(payload, dp->config->epoch, ack);
	sum = sl_net_sum(payload, len);
	sl_net_flow_write(&flow, frame + eth_len, len,
		port->is_udp_sum_sent || !sl_net_flow_is_ip4(&flow) ? &sum : NULL);
	m->data_len = (uint16_t)(eth_len + flow.headers_len + len);
	m->pkt_len = m->data_len;
	m->port = port->port_id;
	dp_msg(m)->sched.time = rte_rdtsc();
	rte_ring_sp_enqueue(dp->publishers->finished, m);
	return true;
}

bool
sl_datapath_ack_publisher(struct sl_datapath *dp, uint32_t number, const struct sl_wire_ack *ack)
{
	struct dp_publisher_seen seen;
	struct dp_publisher *slot;

	if (dp->publishers == NULL || number >= dp->publishers->nb_slots)
		return true;
	slot = &dp->publishers->slots[number];
	if (!dp_publisher_read(slot, &seen))
		return false;
	if (seen.session != ack->session)
		return true;
	dp_publisher_raise_credit(slot, &seen, ack->credit_limit);
	return send_ack(dp, &seen.from, ack);
}

bool
sl_datapath_next_stranger(struct sl_datapath *dp, struct sl_datapath_stranger *stranger)
{
	struct dp_publishers *publishers = dp->publishers;

	if (publishers == NULL)
		return false;
	for (uint32_t i = 0; i < publishers->nb_tables; i++) {
		struct rte_ring *ring = publishers->tables[publishers->next_table].strangers;

		publishers->next_table = (publishers->next_table + 1) % publishers->nb_tables;
		if (rte_ring_sc_dequeue_elem(ring, stranger, sizeof(*stranger)) == 0)
			return true;
	}
	return false;
}

bool
sl_datapath_refuse_stranger(struct sl_datapath *dp, const struct sl_datapath_stranger *stranger)
{
	const struct dp_publisher_from to = {
		.address = stranger->address,
		.udp_port = stranger->udp_port,
		.port_index = stranger->port_index,
		.mac = stranger->mac,
	};
	struct sl_wire_ack ack;

	sl_session_refuse(stranger->session, &ack);
	return send_ack(dp, &to, &ack);
}

void
sl_datapath_admit_stranger(struct sl_datapath *dp, const struct sl_datapath_stranger *stranger)
{
	const struct dp_publisher_table *table = table_of(dp->publishers, stranger->table);

	/* Full: the lcore asks again. */
	rte_ring_sp_enqueue_elem(table->admitted, (void *)(uintptr_t)stranger, sizeof(*stranger));
}
