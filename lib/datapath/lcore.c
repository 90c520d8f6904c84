/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include "dp.h"

/* Lcores: their roles, the rings between them, the graph each runs. */

/* The graph of an lcore is found by its name when its nodes are set up. */
#define GRAPH_NAME "sluice_%u" /* Graphviz takes no other signs unquoted. */

static struct dp_lcore *lcore_of_id[RTE_MAX_LCORE];

/*
 * A stream that is too short grows on the path, from EAL's heap, and ends the process when there is
 * nothing left. So it gets its full length here.
 */
static int
grow_stream(const struct rte_graph *graph, struct rte_node *node)
{
	void **objs;

	if (node->size >= DP_STREAM)
		return 0;
	objs = rte_realloc_socket(
		node->objs, DP_STREAM * sizeof(*objs), RTE_CACHE_LINE_SIZE, graph->socket);
	if (objs == NULL)
		return -ENOMEM;
	node->objs = objs;
	node->size = DP_STREAM;
	return 0;
}

int
dp_node_init(const struct rte_graph *graph, struct rte_node *node)
{
	struct dp_node_ctx *ctx = (struct dp_node_ctx *)node->ctx;
	unsigned int id;

	RTE_BUILD_BUG_ON(sizeof(*ctx) > RTE_NODE_CTX_SZ);
	if (sscanf(graph->name, GRAPH_NAME, &id) != 1 || id >= RTE_MAX_LCORE)
		return -EINVAL;
	ctx->lcore = lcore_of_id[id];
	return grow_stream(graph, node);
}

static int
add_lcore(struct sl_datapath *dp, unsigned int id, uint32_t roles, char *error, size_t error_len)
{
	struct dp_lcore *lcore;

	if (dp->nb_lcores == DP_LCORES_MAX) {
		snprintf(error, error_len, "lcores: more than %u are configured", DP_LCORES_MAX);
		return -E2BIG;
	}
	if (id == rte_get_main_lcore()) {
		snprintf(error, error_len,
			"lcores: lcore %u is EAL's main lcore, which runs the control thread: give "
			"the role to another (-l %u,%u), or let two lcores share a CPU "
			"(--lcores '%u@%u,%u@%u')",
			id, id, id + 1, id, id, id + 1, id);
		return -EINVAL;
	}
	if (!rte_lcore_is_enabled(id)) {
		snprintf(error, error_len,
			"lcores: lcore %u is not one of EAL's: add it to the EAL arguments (-l "
			"%u,%u) or correct the configuration",
			id, rte_get_main_lcore(), id);
		return -EINVAL;
	}
	if (posix_memalign((void **)&lcore, RTE_CACHE_LINE_SIZE, sizeof(*lcore)) != 0)
		return -ENOMEM;
	memset(lcore, 0, sizeof(*lcore));
	lcore->id = id;
	lcore->index = dp->nb_lcores;
	lcore->roles = roles;
	lcore->dp = dp;
	lcore_of_id[id] = lcore;
	dp->lcores[dp->nb_lcores++] = lcore;
	if (roles & SL_ROLE_WORKER) {
		lcore->worker_index = dp->nb_workers;
		lcore->sends_control = dp->nb_workers == 0;
		dp->workers[dp->nb_workers++] = lcore;
	}
	return 0;
}

/* The ring from an rx lcore to another lcore's worker: one producer, one consumer. */
static int
connect_lcores(struct sl_datapath *dp, struct dp_lcore *from, struct dp_lcore *to, char *error,
	size_t error_len)
{
	char name[RTE_RING_NAMESIZE];
	struct rte_ring *ring;

	snprintf(name, sizeof(name), "shard-%u-%u", from->id, to->id);
	ring = rte_ring_create(
		name, dp->config->ring_size, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (ring == NULL) {
		snprintf(error, error_len, "no memory for the ring from lcore %u to lcore %u",
			from->id, to->id);
		return rte_errno != 0 ? -rte_errno : -ENOMEM;
	}
	from->to_worker[to->worker_index] = ring;
	to->inputs[to->nb_inputs++] = ring;
	return 0;
}

int
dp_lcores_create(struct sl_datapath *dp, char *error, size_t error_len)
{
	const struct sl_config *config = dp->config;
	unsigned int id;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < config->nb_lcores; i++)
		rc = add_lcore(
			dp, config->lcores[i].lcore, config->lcores[i].roles, error, error_len);
	if (config->nb_lcores == 0) {
		RTE_LCORE_FOREACH_WORKER (id) {
			if (rc == 0)
				rc = add_lcore(
					dp, id, SL_ROLE_RX | SL_ROLE_WORKER, error, error_len);
		}
	}
	if (rc == 0 && dp->nb_lcores == 0) {
		snprintf(error, error_len,
			"EAL has its main lcore only: give it one more (-l 0,1), or let two share "
			"a CPU (--lcores '0@0,1@0')");
		rc = -EINVAL;
	}
	for (uint32_t i = 0; rc == 0 && i < dp->nb_lcores; i++) {
		for (uint32_t w = 0; rc == 0 && w < dp->nb_workers; w++) {
			if ((dp->lcores[i]->roles & SL_ROLE_RX) && dp->lcores[i] != dp->workers[w])
				rc = connect_lcores(
					dp, dp->lcores[i], dp->workers[w], error, error_len);
		}
	}
	return rc;
}

static int
create_rx(struct sl_datapath *dp, struct dp_lcore *lcore, uint32_t nb_rxqs, char *error,
	size_t error_len)
{
	lcore->arena = malloc(DP_ARENA_BYTES);
	lcore->rewrite_buf = malloc(UINT16_MAX);
	lcore->shard_dropped = calloc(dp->nb_shards, sizeof(*lcore->shard_dropped));
	lcore->rx_turn.cost_max = (int64_t)(dp->tsc_hz / 1000000 * DP_TURN_US);
	for (int i = 0; i < RX_SIDES; i++)
		lcore->rx_sides[i].rxqs = calloc(nb_rxqs, sizeof(struct dp_rxq));
	if (lcore->arena != NULL && lcore->rewrite_buf != NULL && lcore->shard_dropped != NULL &&
		lcore->rx_sides[RX_WIRE].rxqs != NULL && lcore->rx_sides[RX_GATEWAYS].rxqs != NULL)
		return 0;
	snprintf(error, error_len, "no memory for lcore %u", lcore->id);
	return -ENOMEM;
}

static void
add_rxq(struct dp_lcore *lcore, uint32_t port, uint16_t queue)
{
	bool is_gateway = lcore->dp->config->ports[port].is_gateway;
	struct dp_rx_side *side = &lcore->rx_sides[is_gateway ? RX_GATEWAYS : RX_WIRE];

	side->rxqs[side->nb_rxqs++] = (struct dp_rxq){lcore->dp->ports[port].port_id, queue};
}

/* Deal the receive queues of all ports to the rx lcores in turn. */
static int
deal_rxqs(struct sl_datapath *dp, char *error, size_t error_len)
{
	uint32_t at = 0, nb_rxqs = 0;
	int rc;

	for (uint32_t p = 0; p < dp->config->nb_ports; p++)
		nb_rxqs += dp->ports[p].nb_rxqs;

	for (uint32_t i = 0; i < dp->nb_lcores; i++) {
		if (!(dp->lcores[i]->roles & SL_ROLE_RX))
			continue;
		rc = create_rx(dp, dp->lcores[i], nb_rxqs, error, error_len);
		if (rc != 0)
			return rc;
	}
	for (uint32_t p = 0; p < dp->config->nb_ports; p++) {
		for (uint16_t q = 0; q < dp->ports[p].nb_rxqs; q++) {
			struct dp_lcore *lcore;

			while (!(dp->lcores[at]->roles & SL_ROLE_RX))
				at = (at + 1) % dp->nb_lcores;
			lcore = dp->lcores[at];
			add_rxq(lcore, p, q);
			at = (at + 1) % dp->nb_lcores;
		}
	}
	return 0;
}

int
dp_graphs_create(struct sl_datapath *dp, char *error, size_t error_len)
{
	static const char *const rx_sources[] = {"port_rx"};
	static const char *const worker_sources[] = {
		"ring_rx", "dispatch", "control_tx", "ack_rx", "ack_tx"};
	unsigned int nb_sources = RTE_DIM(worker_sources);
	const char *patterns[RTE_DIM(rx_sources) + RTE_DIM(worker_sources)];
	struct rte_graph_param param = {
		.socket_id = SOCKET_ID_ANY,
		.node_patterns = patterns,
	};
	char name[RTE_GRAPH_NAMESIZE];
	int rc;

	rc = deal_rxqs(dp, error, error_len);
	if (rc != 0)
		return rc;
	/* Without a journal there are no sessions. */
	if (dp->config->journal.directory == NULL)
		nb_sources -= 2;
	for (uint32_t i = 0; i < dp->nb_lcores; i++) {
		struct dp_lcore *lcore = dp->lcores[i];

		param.nb_node_patterns = 0;
		if (lcore->roles & SL_ROLE_RX)
			patterns[param.nb_node_patterns++] = rx_sources[0];
		for (unsigned int s = 0; s < nb_sources; s++) {
			if (lcore->roles & SL_ROLE_WORKER)
				patterns[param.nb_node_patterns++] = worker_sources[s];
		}
		snprintf(name, sizeof(name), GRAPH_NAME, lcore->id);
		if (rte_graph_create(name, &param) != RTE_GRAPH_ID_INVALID)
			lcore->graph = rte_graph_lookup(name);
		if (lcore->graph == NULL) {
			rc = rte_errno != 0 ? rte_errno : ENOMEM;
			snprintf(error, error_len,
				"no graph for lcore %u: %s; give EAL more memory (-m)", lcore->id,
				rte_strerror(rc));
			return -rc;
		}
	}
	return dp_cluster_create(dp, error, error_len);
}

static void
destroy_lcore(struct dp_lcore *lcore)
{
	if (lcore->graph != NULL)
		rte_graph_destroy(lcore->graph->id);
	for (unsigned int w = 0; w < DP_LCORES_MAX; w++)
		rte_ring_free(lcore->to_worker[w]);
	free(lcore->arena);
	free(lcore->rewrite_buf);
	free(lcore->shard_dropped);
	for (int i = 0; i < RX_SIDES; i++)
		free(lcore->rx_sides[i].rxqs);
	lcore_of_id[lcore->id] = NULL;
	free(lcore);
}

void
dp_lcores_destroy(struct sl_datapath *dp)
{
	if (dp->cluster != NULL)
		rte_graph_cluster_stats_destroy(dp->cluster);
	for (uint32_t i = 0; i < dp->nb_lcores; i++)
		destroy_lcore(dp->lcores[i]);
}
