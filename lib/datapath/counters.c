/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_pause.h>

#include "apply.h"
#include "durable.h"

/* How long the control thread waits for an lcore to answer; it turns in microseconds. */
#define ANSWER_TIMEOUT_US 1000000

/* Durable messages that are neither in a queue nor done. */
static void
add_kept(const struct dp_keeper *keeper, struct dp_worker_counters *worker)
{
	for (unsigned int c = 0; c < SL_CONFIG_CLASSES_MAX; c++) {
		uint64_t n = keeper->class_parked[c] + keeper->class_fetching[c] +
			keeper->class_in_flight[c];

		worker->kept += n;
		worker->queued += n;
		worker->class_queued[c] += n;
	}
}

void
dp_copy_part(struct dp_lcore *lcore, enum dp_part part)
{
	struct dp_worker_counters *worker = &lcore->snapshot.worker;

	if (part == DP_PART_RX) {
		lcore->snapshot.rx = lcore->rx;
		return;
	}
	*worker = lcore->worker;
	if (lcore->sched == NULL)
		return;
	worker->queued = sl_sched_count(lcore->sched);
	worker->kept = sl_sched_kept_count(lcore->sched);
	for (uint32_t c = 0; c < lcore->dp->config->nb_classes; c++)
		worker->class_queued[c] = sl_sched_class_count(lcore->sched, c);
	for (uint16_t i = 0; i < lcore->nb_txqs; i++) {
		const struct dp_txq *txq = &lcore->txqs[i];

		for (uint16_t j = 0; j < txq->nb_pending; j++) {
			const struct dp_msg *msg = dp_msg(txq->pending[j]);

			if (dp_is_durable(lcore, msg))
				continue;
			worker->queued++;
			worker->class_queued[msg->sched.class_index]++;
		}
	}
	if (lcore->keeper != NULL)
		add_kept(lcore->keeper, worker);
}

void
dp_answer(struct dp_lcore *lcore)
{
	struct dp_snapshot *snap = &lcore->snapshot;

	for (unsigned int part = 0; part < DP_PARTS; part++) {
		uint32_t asked = atomic_load_explicit(&snap->asked[part], memory_order_acquire);

		if (likely(asked ==
			    atomic_load_explicit(&snap->answered[part], memory_order_relaxed)))
			continue;
		dp_copy_part(lcore, part);
		atomic_store_explicit(&snap->answered[part], asked, memory_order_release);
	}
}

/* False when an lcore did not answer in time: its part of the picture is not to be used. */
static bool
ask_all(struct sl_datapath *dp, enum dp_part part)
{
	uint64_t deadline;

	for (uint32_t i = 0; i < dp->nb_lcores; i++) {
		if (dp->is_running)
			atomic_fetch_add_explicit(
				&dp->lcores[i]->snapshot.asked[part], 1, memory_order_release);
		else
			dp_copy_part(dp->lcores[i], part);
	}
	if (!dp->is_running)
		return true;
	deadline = rte_rdtsc() + dp->tsc_hz * ANSWER_TIMEOUT_US / 1000000;
	for (uint32_t i = 0; i < dp->nb_lcores; i++) {
		struct dp_snapshot *snap = &dp->lcores[i]->snapshot;

		while (atomic_load_explicit(&snap->answered[part], memory_order_acquire) !=
				atomic_load_explicit(&snap->asked[part], memory_order_relaxed) &&
			rte_rdtsc() < deadline)
			usleep(5);
		if (atomic_load_explicit(&snap->answered[part], memory_order_acquire) !=
			atomic_load_explicit(&snap->asked[part], memory_order_relaxed))
			return false;
	}
	return true;
}

static void
add_rx(struct sl_datapath_stats *stats, const struct dp_rx_counters *rx)
{
	stats->frames_received += rx->frames;
	stats->received += rx->received;
	stats->parse_slow += rx->parse_slow;
	for (unsigned int i = 0; i < SL_FRAME_DROPS; i++)
		stats->frames_dropped[i] += rx->frames_dropped[i];
	for (unsigned int i = 0; i < SL_MESSAGE_DROPS; i++)
		stats->dropped[i] += rx->dropped[i];
	for (unsigned int c = 0; c < SL_CONFIG_CLASSES_MAX; c++)
		stats->classes[c].dropped += rx->class_dropped[c];
	stats->queued += rx->handed;
}

static void
add_worker(struct sl_datapath_stats *stats, const struct dp_worker_counters *worker)
{
	stats->recovered += worker->recovered;
	stats->copied += worker->copied;
	stats->delivered += worker->delivered;
	stats->duplicates += worker->duplicates;
	for (unsigned int i = 0; i < SL_MESSAGE_DROPS; i++)
		stats->dropped[i] += worker->dropped[i];
	for (unsigned int c = 0; c < SL_CONFIG_CLASSES_MAX; c++) {
		stats->classes[c].delivered += worker->class_delivered[c];
		stats->classes[c].dropped += worker->class_dropped[c];
		stats->classes[c].queued += worker->class_queued[c];
	}
	/* Handed out less taken in is what the rings hold. */
	stats->queued += worker->queued;
	stats->queued -= worker->taken;
}

/* A histogram in cycles becomes one in nanoseconds. */
static void
add_latency(struct sl_hist *ns, const struct sl_hist *cycles, double ns_per_cycle)
{
	for (unsigned int i = 0; i < SL_HIST_BUCKETS; i++) {
		uint64_t n = cycles->buckets[i], bound;

		if (n == 0)
			continue;
		bound = (uint64_t)((double)sl_hist_bound(i) * ns_per_cycle);
		ns->buckets[sl_hist_bucket(bound)] += n;
	}
	ns->count += cycles->count;
	ns->sum += (uint64_t)((double)cycles->sum * ns_per_cycle);
	ns->max = RTE_MAX(ns->max, (uint64_t)((double)cycles->max * ns_per_cycle));
}

static int
add_node(bool is_first, bool is_last, void *cookie, const struct rte_graph_cluster_node_stats *st)
{
	struct sl_datapath_stats *stats = *(struct sl_datapath_stats **)cookie;
	struct sl_node_stats *node;

	RTE_SET_USED(is_first);
	RTE_SET_USED(is_last);
	if (stats->nb_nodes == SL_NODES_MAX)
		return 0;
	node = &stats->nodes[stats->nb_nodes++];
	snprintf(node->name, sizeof(node->name), "%s", st->name);
	node->calls = st->calls;
	node->objects = st->objs;
	node->cycles = st->cycles;
	return 0;
}

/* The callback's cookie is fixed when the cluster is created; what it points at is not. */
static struct sl_datapath_stats *node_stats_target;

int
dp_cluster_create(struct sl_datapath *dp, char *error, size_t error_len)
{
	const char *patterns[] = {"sluice_*"};
	struct rte_graph_cluster_stats_param param = {
		.socket_id = SOCKET_ID_ANY,
		.fn = add_node,
		.cookie = &node_stats_target,
		.nb_graph_patterns = RTE_DIM(patterns),
		.graph_patterns = patterns,
	};

	dp->cluster = rte_graph_cluster_stats_create(&param);
	if (dp->cluster != NULL)
		return 0;
	snprintf(error, error_len, "no memory for the statistics of the graph; give EAL more (-m)");
	return -ENOMEM;
}

int
sl_datapath_get_stats(struct sl_datapath *dp, struct sl_datapath_stats *stats)
{
	double ns_per_cycle = 1e9 / (double)dp->tsc_hz;
	struct sl_dedup_stats dedup;

	memset(stats, 0, sizeof(*stats));
	stats->tsc_hz = dp->tsc_hz;
	if (!ask_all(dp, DP_PART_WORKER) || !ask_all(dp, DP_PART_RX))
		return -ETIMEDOUT;
	for (unsigned int i = 0; i < SL_FRAME_DROPS; i++)
		stats->frames_dropped[i] = dp->frames_dropped[i];
	for (uint32_t i = 0; i < dp->nb_lcores; i++) {
		struct dp_lcore *lcore = dp->lcores[i];

		add_rx(stats, &lcore->snapshot.rx);
		add_worker(stats, &lcore->snapshot.worker);
		stats->busy_cycles += atomic_load(&lcore->busy_cycles);
		stats->idle_cycles += atomic_load(&lcore->idle_cycles);
		for (uint32_t c = 0; c < dp->config->nb_classes; c++)
			add_latency(&stats->classes[c].latency, &lcore->latency[c], ns_per_cycle);
		if (lcore->dedup == NULL)
			continue;
		sl_dedup_get_stats(lcore->dedup, &dedup);
		stats->dedup_entries += dedup.entries;
		stats->dedup_evicted_early += dedup.evicted_early;
	}
	node_stats_target = stats;
	rte_graph_cluster_stats_get(dp->cluster, false);
	return 0;
}

static void
add_shards(const struct sl_datapath *dp, uint32_t first, uint32_t n,
	struct sl_destination_stats *stats)
{
	for (uint32_t s = first; s < first + n; s++) {
		const struct dp_lcore *owner = dp_owner(dp, s);

		stats->delivered += owner->shards[s].delivered;
		stats->duplicates += owner->shards[s].duplicates;
		stats->dropped += owner->shards[s].dropped;
		stats->queued += sl_sched_destination_count(owner->sched, s);
		if (owner->shards[s].durable != NULL)
			stats->queued += owner->shards[s].durable->in_flight +
				owner->shards[s].durable->nb_parked;
		for (uint32_t i = 0; i < dp->nb_lcores; i++) {
			if (dp->lcores[i]->shard_dropped != NULL)
				stats->dropped += dp->lcores[i]->shard_dropped[s];
		}
	}
}

void
sl_datapath_get_destination_stats(
	struct sl_datapath *dp, uint32_t index, struct sl_destination_stats *stats)
{
	const struct dp_destination *d = dp_destination_at(dp, index);

	memset(stats, 0, sizeof(*stats));
	for (uint32_t q = 0; q < dp_nb_queues(d); q++)
		add_shards(dp, dp_queue_shard(d, q), d->partitions, stats);
	for (uint32_t j = 0; j < d->nb_backends; j++)
		stats->queued += dp_backend_pending(dp, d->backends[j].slot);
}

void
sl_datapath_get_backend_stats(struct sl_datapath *dp, uint32_t destination, uint32_t backend,
	struct sl_backend_stats *stats)
{
	const struct dp_destination *d = dp_destination_at(dp, destination);
	const struct dp_named_backend *b = &d->backends[backend];
	struct sl_destination_stats own = {0};

	if (d->is_topic)
		add_shards(dp, b->first_shard, d->partitions, &own);
	stats->queued = own.queued;
	stats->dropped = own.dropped;
	stats->delivered = b->carried + dp_backend_delivered(dp, b->slot);
	stats->too_big = 0;
	for (uint32_t w = 0; w < dp->nb_workers; w++)
		stats->too_big += __atomic_load_n(
			&dp->workers[w]->backend_counters[b->slot].too_big, __ATOMIC_RELAXED);
	stats->share = atomic_load_explicit(&dp->backends[b->slot].share, memory_order_relaxed);
}

static void
add_durable(const struct dp_durable *durable, struct sl_queue_stats *stats)
{
	if (durable == NULL)
		return;
	for (unsigned int c = 0; c < SL_CONFIG_CLASSES_MAX; c++)
		stats->parked[c] += __atomic_load_n(&durable->parked[c].count, __ATOMIC_RELAXED);
	stats->parked_total += durable->nb_parked;
	stats->in_flight += durable->in_flight;
}

uint32_t
sl_datapath_get_sessions(struct sl_datapath *dp, uint32_t destination, uint32_t backend,
	struct sl_session_stats *stats, uint32_t max)
{
	uint32_t slot = dp_destination_at(dp, destination)->backends[backend].slot, n = 0;
	struct sl_session_tx_stats tx;

	for (uint32_t w = 0; w < dp->nb_workers && n < max; w++) {
		const struct dp_keeper *keeper = dp->workers[w]->keeper;
		const struct dp_session *s = keeper != NULL ? keeper->sessions[slot] : NULL;

		if (s == NULL)
			continue;
		sl_session_tx_get_stats(s->tx, &tx);
		stats[n++] = (struct sl_session_stats){
			.worker = w,
			.session = s->number,
			.in_flight = tx.in_flight,
			.credit_limit = tx.credit_limit,
			.next_sequence = tx.next_sequence,
			.acked = tx.acked,
			.congestion_window = tx.congestion_window,
			.srtt_ns = tx.srtt_ns,
			.retransmitted = s->retransmitted,
			.requeued = s->requeued,
			.dead = s->dead,
			.bad_acks = s->bad_acks,
			.is_stalled = s->is_stalled,
			.is_avoided = s->is_avoided,
		};
	}
	return n;
}

void
sl_datapath_get_queue(struct sl_datapath *dp, uint32_t destination, struct sl_queue_stats *stats)
{
	const struct dp_destination *d = dp_destination_at(dp, destination);

	memset(stats, 0, sizeof(*stats));
	stats->capacity = d->queue_capacity;
	for (uint32_t i = 0; i < dp_nb_shards(d); i++) {
		uint32_t s = dp_queue_shard(d, i / d->partitions) + i % d->partitions;
		const struct sl_sched *sched = dp_owner(dp, s)->sched;

		for (uint32_t c = 0; c < dp->config->nb_classes; c++) {
			stats->queued[c] += sl_sched_flow_count(sched, s, c);
			stats->total += sl_sched_flow_count(sched, s, c);
		}
		add_durable(dp_owner(dp, s)->shards[s].durable, stats);
	}
}

uint64_t
sl_datapath_in_flight(struct sl_datapath *dp)
{
	uint64_t n = 0;

	if (!ask_all(dp, DP_PART_WORKER) || !ask_all(dp, DP_PART_RX))
		return UINT64_MAX;
	for (uint32_t i = 0; i < dp->nb_lcores; i++) {
		n += dp->lcores[i]->snapshot.rx.handed + dp->lcores[i]->snapshot.worker.queued;
		n -= dp->lcores[i]->snapshot.worker.taken + dp->lcores[i]->snapshot.worker.kept;
	}
	return n;
}

void
sl_datapath_get_memory(const struct sl_datapath *dp, struct sl_datapath_memory *memory)
{
	*memory = dp->memory;
}
