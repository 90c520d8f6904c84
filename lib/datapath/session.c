/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include <rte_random.h>

#include "durable.h"

/*
 * Sessions with backends. A message belongs to its session from the time it is sent until it is
 * acknowledged or taken back; frames on their way share its buffer.
 */

#define MS UINT64_C(1000000)

/* A network of one site; a backend answers an ack of many messages at once. */
#define RTT_INITIAL_NS	 (10 * MS)
#define RTO_MIN_NS	 (5 * MS)
#define RTO_MAX_NS	 (1000 * MS)
#define ACK_DELAY_MAX_NS (25 * MS)
#define INITIAL_CREDIT	 64u

/* A stalled backend is tried again after so long, then twice as long, ... */
#define RETRY_MAX_NS (60000 * MS)

/* Sessions looked at in one millisecond. */
#define SCAN_MAX 1024

/* Frames sent again for one session in a turn. */
#define RESEND_MAX 64u

static uint64_t
new_number(uint32_t worker, uint32_t slot)
{
	uint64_t number = rte_rand() << 32 | (uint64_t)worker << DP_SESSION_SLOT_BITS | slot;

	return number != 0 ? number : UINT64_C(1) << 63;
}

struct dp_session *
dp_session_create(
	struct sl_datapath *dp, uint32_t worker, uint32_t slot, uint32_t window, uint64_t key)
{
	struct sl_session_tx_params params = {
		.session = new_number(worker, slot),
		.window = window,
		.initial_credit = RTE_MIN(window, INITIAL_CREDIT),
		.rtt_initial_ns = RTT_INITIAL_NS,
		.rto_min_ns = RTO_MIN_NS,
		.rto_max_ns = RTO_MAX_NS,
		.ack_delay_max_ns = ACK_DELAY_MAX_NS,
	};
	size_t head = RTE_ALIGN_CEIL(sizeof(struct dp_session), (size_t)RTE_CACHE_LINE_SIZE);
	size_t size = head + sl_session_tx_memory_size(&params);
	struct dp_session *session;

	if (posix_memalign((void **)&session, RTE_CACHE_LINE_SIZE, size) != 0)
		return NULL;
	memset(session, 0, size);
	session->number = params.session;
	session->slot = slot;
	session->key = key;
	session->tx = sl_session_tx_init(
		RTE_PTR_ADD(session, head), &params, dp_path_ns(dp, rte_rdtsc()));
	return session;
}

void
dp_session_free(struct dp_session *session)
{
	free(session);
}

uint32_t
dp_session_room(const struct dp_session *session, uint64_t now_ns)
{
	uint32_t room = sl_session_tx_room(session->tx);

	/* One message at a time finds out whether it is back. */
	if (unlikely(session->is_stalled))
		room = session->in_flight == 0 && now_ns >= session->retry_ns ? RTE_MIN(room, 1u)
									      : 0;
	return room > session->reserved ? room - session->reserved : 0;
}

static void
activate(struct dp_keeper *keeper, struct dp_session *session)
{
	TAILQ_INSERT_TAIL(&keeper->active, session, entry);
	session->is_active = true;
	session->progress_ns = keeper->now_ns;
}

/* Published last: a session without anything in flight may be freed. */
static void
set_in_flight(struct dp_keeper *keeper, struct dp_session *session, uint32_t in_flight)
{
	if (in_flight == 0 && session->is_active) {
		TAILQ_REMOVE(&keeper->active, session, entry);
		session->is_active = false;
	}
	__atomic_store_n(&session->in_flight, in_flight, __ATOMIC_RELEASE);
}

static inline void
count_in_flight(struct dp_lcore *lcore, const struct dp_msg *msg, int change)
{
	lcore->shards[msg->sched.dest].durable->in_flight += (uint32_t)change;
	lcore->keeper->class_in_flight[msg->sched.class_index] += (uint64_t)(int64_t)change;
}

uint64_t
dp_session_send(struct dp_lcore *lcore, struct dp_session *session, struct rte_mbuf *m)
{
	struct dp_keeper *keeper = lcore->keeper;
	struct dp_msg *msg = dp_msg(m);

	msg->data_off = m->data_off;
	msg->data_len = m->data_len;
	rte_mbuf_refcnt_update(m, 1);
	if (!session->is_active)
		activate(keeper, session);
	session->shard = msg->sched.dest;
	session->reserved--;
	set_in_flight(keeper, session, session->in_flight + 1);
	count_in_flight(lcore, msg, 1);
	return sl_session_tx_send(session->tx, m, keeper->now_ns);
}

/* Acknowledged. */

struct ack_arg {
	struct dp_lcore *lcore;
	struct dp_session *session;
	uint32_t n;
};

static void
on_acked(void *opaque, void *mbuf, uint64_t sequence, uint32_t attempts)
{
	struct ack_arg *arg = opaque;
	struct dp_lcore *lcore = arg->lcore;
	struct dp_msg *msg = dp_msg(mbuf);
	uint32_t shard = msg->sched.dest;

	RTE_SET_USED(sequence);
	arg->n++;
	count_in_flight(lcore, msg, -1);
	lcore->shards[shard].delivered++;
	lcore->backend_counters[arg->session->slot].delivered++;
	lcore->worker.class_delivered[msg->sched.class_index]++;
	lcore->worker.delivered++;
	lcore->keeper->nb_held--;
	dp_keeper_done(
		lcore, msg, arg->session->key, msg->attempts + attempts, SL_OUTCOME_DELIVERED);
	rte_pktmbuf_free(mbuf);
	/* It may have been full; with partitions, several shards wait for it. */
	if (unlikely(shard != arg->session->shard)) {
		sl_sched_wake(lcore->sched, shard);
		arg->session->shard = shard;
	}
}

static void
add_due(struct dp_keeper *keeper, struct dp_session *session)
{
	if (session->is_due || keeper->nb_due == DP_DUE_MAX)
		return;
	session->is_due = true;
	keeper->due[keeper->nb_due++] = session;
}

/* Taken back. */

static void
on_taken(void *opaque, void *mbuf, uint64_t sequence, uint32_t attempts)
{
	struct ack_arg *arg = opaque;
	struct dp_keeper *keeper = arg->lcore->keeper;
	struct dp_msg *msg = dp_msg(mbuf);

	RTE_SET_USED(sequence);
	count_in_flight(arg->lcore, msg, -1);
	msg->attempts = (uint16_t)RTE_MIN(msg->attempts + attempts, (uint32_t)UINT16_MAX);
	keeper->taken[keeper->nb_taken++] = mbuf;
}

/* Begin a new session with the backend; what was in flight is in keeper->taken, oldest first. */
static void
restart(struct dp_lcore *lcore, struct dp_session *session)
{
	struct dp_keeper *keeper = lcore->keeper;
	struct ack_arg arg = {.lcore = lcore, .session = session};

	keeper->nb_taken = 0;
	session->number = new_number(lcore->worker_index, session->slot);
	sl_session_tx_restart(session->tx, session->number, keeper->now_ns, on_taken, &arg);
	set_in_flight(keeper, session, 0);
}

/*
 * A buffer that a device or a pending frame still shares is not touched: the message gets another.
 * NULL when there is none.
 */
static struct rte_mbuf *
own(struct dp_lcore *lcore, struct rte_mbuf *m)
{
	const struct dp_msg *msg = dp_msg(m);
	struct rte_mbuf *mine = m;

	if (unlikely(rte_mbuf_refcnt_read(m) > 1)) {
		mine = rte_pktmbuf_alloc(lcore->dp->pool);
		if (mine == NULL)
			return NULL;
		memcpy(rte_pktmbuf_mtod(mine, void *), RTE_PTR_ADD(m->buf_addr, msg->data_off),
			msg->data_len);
		*dp_msg(mine) = *msg;
		rte_pktmbuf_free(m);
	} else {
		m->data_off = msg->data_off;
	}
	mine->data_len = dp_msg(mine)->data_len;
	mine->pkt_len = mine->data_len;
	return mine;
}

/* What was tried too often. */
static bool
is_given_up(const struct dp_lcore *lcore, const struct dp_msg *msg)
{
	const struct dp_durable *durable = lcore->shards[msg->sched.dest].durable;

	return durable->max_attempts != 0 && msg->attempts >= durable->max_attempts;
}

/*
 * A dead letter is another message, with the other destination in it: it is in the journal before
 * the outcome of the one that was given up. Counted as one more that was received.
 */
static void
make_dead_letter(struct dp_lcore *lcore, struct rte_mbuf *m, const struct dp_durable *durable)
{
	struct dp_msg *msg = dp_msg(m);

	sl_wire_put64(rte_pktmbuf_mtod_offset(m, uint8_t *, msg->message_offset + SL_WIRE_OFF_DEST),
		durable->dead_key);
	msg->is_sum_known = false;
	msg->publisher = DP_PUBLISHER_NONE;
	dp_keeper_put(lcore, m, 0);
	msg->sched.dest = durable->dead_shard;
	msg->sched.time = lcore->now;
	lcore->rx.received++;
	lcore->rx.handed++;
	lcore->worker.taken++;
	dp_park_or_queue(lcore, m);
}

/* @return false: not now, there is no room for what is to be noted */
static bool
give_up(struct dp_lcore *lcore, struct dp_session *session, struct rte_mbuf *m)
{
	struct dp_durable *durable = lcore->shards[dp_msg(m)->sched.dest].durable;
	const struct dp_msg was = *dp_msg(m);

	/* For a record of any length, and the outcome: then neither fails. */
	if (!dp_keeper_has_room(lcore, SL_RECORD_LEN_MAX / sizeof(struct sl_record_outcome_of)))
		return false;
	dp_count_drop(lcore, m, SL_MESSAGE_DROP_attempts);
	if (durable->dead_shard == UINT32_MAX)
		rte_pktmbuf_free(m);
	else
		make_dead_letter(lcore, m, durable);
	session->dead++;
	durable->dead++;
	lcore->keeper->nb_held--;
	dp_keeper_done(lcore, &was, session->key, was.attempts, SL_OUTCOME_DEAD);
	return true;
}

/* Put what was taken back in front of its queue, in order; what was tried too often is given up. */
static void
requeue_taken(struct dp_lcore *lcore, struct dp_session *session)
{
	struct dp_keeper *keeper = lcore->keeper;
	uint32_t n = keeper->nb_taken;

	session->requeued += n;
	while (n-- > 0) {
		struct rte_mbuf *m = keeper->taken[n], *mine = own(lcore, m);

		if (unlikely(mine == NULL))
			dp_park_back(lcore, m);
		else if (!is_given_up(lcore, dp_msg(mine)) || !give_up(lcore, session, mine))
			sl_sched_put_back(lcore->sched, &dp_msg(mine)->sched);
	}
	keeper->nb_taken = 0;
	dp_keeper_flush_outcomes(lcore);
}

static void
take_back(struct dp_lcore *lcore, struct dp_session *session)
{
	restart(lcore, session);
	requeue_taken(lcore, session);
}

bool
dp_session_ack(struct dp_lcore *lcore, const struct sl_wire_ack *ack)
{
	struct dp_keeper *keeper = lcore->keeper;
	uint32_t slot = dp_session_slot(ack->session);
	struct dp_session *session = slot < lcore->dp->nb_backends ? keeper->sessions[slot] : NULL;
	struct ack_arg arg = {.lcore = lcore, .session = session};
	enum sl_session_ack rc;

	if (session == NULL || session->number != ack->session)
		return false;
	/* Not acknowledged is what cannot be noted down: the backend says it again. */
	if (unlikely(!dp_keeper_has_room(lcore, session->in_flight)))
		return true;
	rc = sl_session_tx_ack(session->tx, ack, keeper->now_ns, on_acked, &arg);
	dp_keeper_flush_outcomes(lcore);
	if (arg.n > 0) {
		session->progress_ns = keeper->now_ns;
		session->is_stalled = false;
		session->retry_after_ns = 0;
		set_in_flight(keeper, session, session->in_flight - arg.n);
		lcore->moved += arg.n;
	}
	if (unlikely(rc == SL_SESSION_ACK_BAD))
		session->bad_acks++;
	if (unlikely(rc == SL_SESSION_ACK_REFUSED))
		take_back(lcore, session);
	/* More credit, or room: whoever waited for it may go on. */
	sl_sched_wake(lcore->sched, session->shard);
	if (session->is_active && sl_session_tx_deadline(session->tx) <= keeper->now_ns)
		add_due(keeper, session);
	return true;
}

/* May another backend of the shard take what this one does not? */
static bool
has_other(const struct dp_lcore *lcore, const struct dp_session *session)
{
	const struct dp_shard *shard = &lcore->shards[session->shard];

	for (uint32_t i = 0; i < shard->policy.nb_backends; i++) {
		uint32_t slot = dp_backend_slot(shard, i);
		const struct dp_session *other = lcore->keeper->sessions[slot];

		if (slot != session->slot && other != NULL && !other->is_stalled &&
			atomic_load_explicit(
				&lcore->dp->backends[slot].share, memory_order_relaxed) > 0)
			return true;
	}
	return false;
}

static void
stall(const struct dp_keeper *keeper, struct dp_session *session, uint64_t after_ns)
{
	session->is_stalled = true;
	session->retry_after_ns = session->retry_after_ns == 0
		? after_ns
		: RTE_MIN(2 * session->retry_after_ns, RETRY_MAX_NS);
	session->retry_ns = keeper->now_ns + session->retry_after_ns;
}

/*
 * Does what is in flight have to go elsewhere? Nothing was acknowledged for too long; or the
 * backend gets no more (it is down, drained, removed) and does not acknowledge what it has.
 */
static bool
has_to_leave(struct dp_lcore *lcore, struct dp_session *session)
{
	struct dp_keeper *keeper = lcore->keeper;
	uint64_t silent_ns = keeper->now_ns - session->progress_ns;
	const struct dp_durable *durable = lcore->shards[session->shard].durable;
	uint32_t share = atomic_load_explicit(
		&lcore->dp->backends[session->slot].share, memory_order_relaxed);

	if (likely(silent_ns < 2 * RTO_MIN_NS))
		return false;
	if (share == 0) {
		struct sl_session_tx_stats stats;

		sl_session_tx_get_stats(session->tx, &stats);
		return stats.timeouts_in_a_row > 0;
	}
	if (silent_ns < durable->requeue_after_ns || !has_other(lcore, session))
		return false;
	stall(keeper, session, durable->requeue_after_ns);
	return true;
}

/* Was something sent so often that it is given up? The session has to begin anew then. */
static bool
take_resends(struct dp_lcore *lcore, struct dp_session *session,
	const struct sl_session_resend *resends, uint32_t n, void **objs)
{
	bool is_enough = false;

	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = resends[i].msg;
		struct dp_msg *msg = dp_msg(m);
		uint32_t max = lcore->shards[msg->sched.dest].durable->max_attempts;

		is_enough |= max != 0 && msg->attempts + resends[i].attempts > max;
		/* The same bytes stand in front of it when a device still has it. */
		m->data_off = msg->data_off;
		m->data_len = msg->data_len;
		m->pkt_len = msg->data_len;
		rte_mbuf_refcnt_update(m, 1);
		objs[i] = m;
	}
	session->retransmitted += n;
	return is_enough;
}

static uint16_t
resend(struct dp_lcore *lcore, struct dp_session *session, void **objs, uint16_t max)
{
	const struct dp_backend *backend = &lcore->dp->backends[session->slot];
	struct dp_txq *txq = lcore->txq_of_port[backend->port_id];
	struct sl_session_resend resends[RESEND_MAX];
	uint32_t n = RTE_MIN((uint32_t)max, RESEND_MAX);

	n = RTE_MIN(n, (uint32_t)txq->room);
	n = sl_session_tx_resend(session->tx, lcore->keeper->now_ns, resends, n);
	if (unlikely(take_resends(lcore, session, resends, n, objs))) {
		for (uint32_t i = 0; i < n; i++)
			rte_pktmbuf_free(objs[i]);
		take_back(lcore, session);
		return 0;
	}
	txq->room -= (uint16_t)n;
	return (uint16_t)n;
}

/* Once a millisecond: whose time has come? */
static void
scan(struct dp_lcore *lcore)
{
	struct dp_keeper *keeper = lcore->keeper;
	struct dp_session *session;

	if (lcore->now_ms == keeper->scanned_ms)
		return;
	keeper->scanned_ms = lcore->now_ms;
	for (uint32_t i = 0; i < SCAN_MAX; i++) {
		session = TAILQ_FIRST(&keeper->active);
		if (session == NULL)
			return;
		/* They take turns, when there are more. */
		TAILQ_REMOVE(&keeper->active, session, entry);
		TAILQ_INSERT_TAIL(&keeper->active, session, entry);
		if (unlikely(has_to_leave(lcore, session)))
			take_back(lcore, session);
		else if (sl_session_tx_deadline(session->tx) <= keeper->now_ns)
			add_due(keeper, session);
	}
}

uint16_t
dp_sessions_resend(struct dp_lcore *lcore, void **objs, uint16_t max)
{
	struct dp_keeper *keeper = lcore->keeper;
	uint16_t n = 0;
	uint32_t left = 0;

	scan(lcore);
	for (uint32_t i = 0; i < keeper->nb_due; i++) {
		struct dp_session *session = keeper->due[i];

		session->is_due = false;
		if (!session->is_active)
			continue;
		n += resend(lcore, session, objs + n, (uint16_t)(max - n));
		/* The rest of it in the next turn. */
		if (session->is_active && sl_session_tx_deadline(session->tx) <= keeper->now_ns) {
			session->is_due = true;
			keeper->due[left++] = session;
		}
	}
	keeper->nb_due = left;
	return n;
}

void
dp_sessions_leave(struct dp_lcore *lcore, const struct dp_shard *shard)
{
	for (uint32_t i = 0; i < shard->policy.nb_backends; i++) {
		struct dp_session *s = lcore->keeper->sessions[dp_backend_slot(shard, i)];

		if (s != NULL && s->in_flight > 0)
			take_back(lcore, s);
	}
}

void
dp_sessions_stop(struct dp_lcore *lcore)
{
	struct dp_keeper *keeper = lcore->keeper;
	struct dp_session *session;

	while ((session = TAILQ_FIRST(&keeper->active)) != NULL) {
		restart(lcore, session);
		while (keeper->nb_taken > 0)
			dp_park_back(lcore, keeper->taken[--keeper->nb_taken]);
	}
	for (uint32_t i = 0; i < keeper->nb_due; i++)
		keeper->due[i]->is_due = false;
	keeper->nb_due = 0;
}
