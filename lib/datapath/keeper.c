/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include <rte_cycles.h>

#include "durable.h"

/* A worker's side of the journal. */

/* Chunks beyond what parked_capacity asks for: flows that park little waste a part of theirs. */
#define CHUNKS_SPARE 4096u

/* Of all buffers that messages may wait in, durable ones take up to this part. */
#define HELD_PART 2

static int
create_rings(struct dp_lcore *lcore, struct dp_keeper *keeper)
{
	static const char *const names[] = {"fetch-idle", "fetch-to", "fetch-from"};
	struct rte_ring **rings[] = {&keeper->idle_fetches, &keeper->to_fetch, &keeper->fetched};
	char name[RTE_RING_NAMESIZE];

	for (unsigned int i = 0; i < RTE_DIM(names); i++) {
		snprintf(name, sizeof(name), "%s-%u", names[i], lcore->id);
		*rings[i] = rte_ring_create(
			name, 2 * DP_FETCHES, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (*rings[i] == NULL)
			return -ENOMEM;
	}
	keeper->fetches = calloc(DP_FETCHES, sizeof(*keeper->fetches));
	if (keeper->fetches == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < DP_FETCHES; i++)
		rte_ring_sp_enqueue(keeper->idle_fetches, &keeper->fetches[i]);
	return 0;
}

/* Acks from an rx lcore to this worker. */
static int
connect_acks(struct dp_lcore *from, struct dp_lcore *to)
{
	char name[RTE_RING_NAMESIZE];
	struct rte_ring *ring;

	snprintf(name, sizeof(name), "ack-%u-%u", from->id, to->id);
	ring = rte_ring_create(name, DP_ACK_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (ring == NULL)
		return -ENOMEM;
	from->acks_to_worker[to->worker_index] = ring;
	to->keeper->inputs[to->keeper->nb_inputs++] = ring;
	return 0;
}

static int
create_keeper(struct sl_datapath *dp, struct dp_lcore *lcore)
{
	uint64_t parked = dp->config->journal.parked_capacity / dp->nb_workers;
	struct dp_keeper *keeper;
	void *chunks;

	if (posix_memalign((void **)&keeper, RTE_CACHE_LINE_SIZE, sizeof(*keeper)) != 0)
		return -ENOMEM;
	memset(keeper, 0, sizeof(*keeper));
	lcore->keeper = keeper;
	TAILQ_INIT(&keeper->parked);
	keeper->held_max = dp->queue_capacity / HELD_PART;
	keeper->sessions = calloc(dp->nb_backends, sizeof(struct dp_session *));
	keeper->active = calloc(dp->nb_backends, sizeof(struct dp_session *));
	keeper->taken = calloc(
		RTE_MAX(SL_SESSION_WINDOW_MAX, dp->memory.nb_mbufs), sizeof(struct rte_mbuf *));
	keeper->nb_chunks = (uint32_t)(parked / DP_CHUNK_REFS) + CHUNKS_SPARE;
	keeper->nb_fresh = keeper->nb_free = keeper->nb_chunks;
	/* Pages that are never used take no memory. */
	chunks = mmap(NULL, (size_t)keeper->nb_chunks * sizeof(struct dp_refs),
		PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (chunks != MAP_FAILED)
		keeper->chunks = chunks;
	if (keeper->sessions == NULL || keeper->active == NULL || keeper->taken == NULL ||
		keeper->chunks == NULL)
		return -ENOMEM;
	return create_rings(lcore, keeper);
}

int
dp_keepers_create(struct sl_datapath *dp, char *error, size_t error_len)
{
	int rc = 0;

	if (dp->config->journal.directory == NULL)
		return 0;
	for (uint32_t w = 0; rc == 0 && w < dp->nb_workers; w++)
		rc = create_keeper(dp, dp->workers[w]);
	for (uint32_t i = 0; rc == 0 && i < dp->nb_lcores; i++) {
		for (uint32_t w = 0; rc == 0 && w < dp->nb_workers; w++) {
			if ((dp->lcores[i]->roles & SL_ROLE_RX) && dp->lcores[i] != dp->workers[w])
				rc = connect_acks(dp->lcores[i], dp->workers[w]);
		}
	}
	if (rc == 0)
		rc = dp_notes_create(dp);
	if (rc != 0)
		snprintf(error, error_len,
			"no memory for what durable destinations need: lower "
			"journal.parked_capacity, or give EAL more (-m)");
	return rc;
}

static void
destroy_keeper(struct sl_datapath *dp, struct dp_keeper *keeper)
{
	for (uint32_t i = 0; keeper->sessions != NULL && i < dp->nb_backends; i++)
		dp_session_free(keeper->sessions[i]);
	free(keeper->sessions);
	free(keeper->active);
	free(keeper->taken);
	free(keeper->fetches);
	if (keeper->chunks != NULL)
		munmap(keeper->chunks, (size_t)keeper->nb_chunks * sizeof(struct dp_refs));
	rte_ring_free(keeper->idle_fetches);
	rte_ring_free(keeper->to_fetch);
	rte_ring_free(keeper->fetched);
	for (uint16_t i = 0; i < keeper->nb_inputs; i++)
		rte_ring_free(keeper->inputs[i]);
	free(keeper);
}

void
dp_keepers_destroy(struct sl_datapath *dp)
{
	dp_notes_destroy(dp);
	for (uint32_t w = 0; w < dp->nb_workers; w++) {
		if (dp->workers[w]->keeper != NULL)
			destroy_keeper(dp, dp->workers[w]->keeper);
		dp->workers[w]->keeper = NULL;
	}
}

struct dp_durable *
dp_durable_create(uint32_t shard)
{
	struct dp_durable *durable = calloc(1, sizeof(*durable));

	for (unsigned int c = 0; durable != NULL && c < SL_CONFIG_CLASSES_MAX; c++) {
		durable->dead_shard = UINT32_MAX;
		durable->parked[c].shard = shard;
		durable->parked[c].class_index = (uint8_t)c;
	}
	return durable;
}

void
dp_follow_clock(struct sl_datapath *dp)
{
	struct timespec now;
	int64_t unix_ns;

	clock_gettime(CLOCK_REALTIME, &now);
	unix_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	atomic_store_explicit(&dp->unix_offset_ns, unix_ns - (int64_t)dp_path_ns(dp, rte_rdtsc()),
		memory_order_relaxed);
}

uint32_t
sl_datapath_nb_workers(const struct sl_datapath *dp)
{
	return dp->nb_workers;
}

void
sl_datapath_set_journal(struct sl_datapath *dp, const struct sl_datapath_journal *journal)
{
	dp->journal = journal;
	for (uint32_t w = 0; w < dp->nb_workers; w++) {
		dp->workers[w]->keeper->ring = journal->rings[w];
		dp_keeper_begin_turn(dp->workers[w]);
	}
}

/* The turn. */

void
dp_keeper_begin_turn(struct dp_lcore *lcore)
{
	struct sl_datapath *dp = lcore->dp;
	struct dp_keeper *keeper = lcore->keeper;
	uint64_t room;

	keeper->now_ns = dp_path_ns(dp, rte_rdtsc());
	keeper->unix_ns = keeper->now_ns +
		(uint64_t)atomic_load_explicit(&dp->unix_offset_ns, memory_order_relaxed);
	sl_record_ring_refresh(keeper->ring);
	dp_keeper_release(lcore);
	dp_keeper_flush_outcomes(lcore);
	keeper->admitted = 0;
	room = sl_record_ring_room(keeper->ring);
	/* What outcomes may take, and the pads of two segments' ends, is not for new messages. */
	keeper->budget = room / 4 * 3 > 2 * SL_RECORD_LEN_MAX ? room / 4 * 3 - 2 * SL_RECORD_LEN_MAX
							      : 0;
	if (lcore->worker_index == 0)
		dp_notes_poll(lcore);
}

void
dp_keeper_end_turn(struct dp_lcore *lcore)
{
	struct sl_record_ring *ring = lcore->keeper->ring;

	/* The journal's thread looks at it all the time: not a store more than needed. */
	if (atomic_load_explicit(&ring->published, memory_order_relaxed) != ring->put)
		sl_record_ring_publish(ring);
}

/* Records. */

enum sl_message_drop
dp_keeper_admit(struct dp_lcore *lcore, const struct rte_mbuf *m)
{
	const struct dp_msg *msg = dp_msg_const(m);
	struct dp_keeper *keeper = lcore->keeper;
	uint32_t stride = sl_record_stride(
		(uint32_t)sizeof(struct sl_record_message) + m->data_len - msg->message_offset);

	if (unlikely(!dp_keeper_fits(keeper, stride)))
		return SL_MESSAGE_DROP_journal_full;
	if (unlikely(dp_park_is_full(lcore, msg)))
		return SL_MESSAGE_DROP_parked_full;
	keeper->budget -= stride;
	keeper->admitted += stride;
	return SL_MESSAGE_DROPS;
}

#define PREFETCH_LINES 4

bool
dp_keeper_put(struct dp_lcore *lcore, struct rte_mbuf *m, uint64_t session)
{
	struct dp_keeper *keeper = lcore->keeper;
	struct dp_msg *msg = dp_msg(m);
	uint32_t len = m->data_len - msg->message_offset;
	struct sl_record_message *record;

	record = sl_record_ring_put(
		keeper->ring, SL_RECORD_MESSAGE, (uint32_t)sizeof(*record) + len, keeper->unix_ns);
	if (unlikely(record == NULL))
		return false;
	dp_keeper_prefetch(keeper, PREFETCH_LINES);
	record->session = session;
	record->publisher = msg->publisher;
	record->class_index = msg->sched.class_index;
	record->level = (uint8_t)lcore->dp->config->classes[msg->sched.class_index].level;
	record->nb_subscribers = 0;
	if (msg->publisher != DP_PUBLISHER_NONE)
		record->record.flags = SL_RECORD_WANTS_ACK;
	memcpy(record + 1, rte_pktmbuf_mtod_offset(m, void *, msg->message_offset), len);
	msg->ref = sl_record_ref_of(keeper->ring->stream, record->record.position);
	msg->attempts = 0;
	dp_keeper_hold(lcore, msg->ref);
	return true;
}

void
dp_keeper_mark(struct dp_lcore *lcore, const struct rte_mbuf *m)
{
	const struct dp_msg *msg = dp_msg_const(m);
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	struct dp_keeper *keeper = lcore->keeper;
	struct sl_record_duplicate *record;

	if (unlikely(!dp_keeper_fits(keeper, sl_record_stride(sizeof(*record)))))
		return;
	record = sl_record_ring_put(
		keeper->ring, SL_RECORD_DUPLICATE, sizeof(*record), keeper->unix_ns);
	if (unlikely(record == NULL))
		return;
	keeper->budget -= sl_record_stride(sizeof(*record));
	record->session = sl_wire_get64(data + SL_WIRE_OFF_SESSION);
	record->sequence = sl_wire_get64(data + msg->message_offset + SL_WIRE_OFF_SEQUENCE);
	record->publisher = msg->publisher;
	record->reserved = 0;
}

bool
dp_keeper_has_room(struct dp_lcore *lcore, uint32_t nb_outcomes)
{
	struct dp_keeper *keeper = lcore->keeper;

	/* The configuration sees to it that an empty ring has it for all that may be in flight. */
	return sl_record_ring_room(keeper->ring) > dp_keeper_room_for(keeper, keeper->admitted) +
		sl_record_ring_room_for_outcomes(nb_outcomes);
}
