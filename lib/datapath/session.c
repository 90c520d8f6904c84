/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include <sys/random.h>

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

/* A backend that gets no more has so many timeouts in a row to acknowledge what it has. */
#define LEAVE_TIMEOUTS 3u

/* A backend that is avoided is tried again after so long, then twice as long, ... */
#define RETRY_MAX_NS (60000 * MS)

/* Sessions looked at in one millisecond. */
#define SCAN_MAX   1024u
#define SCAN_AHEAD 4u /* Fetched before they are. */

/* Frames sent again for one session in a turn. */
#define RESEND_MAX 64u

static void
get_randoms(uint64_t *randoms, uint32_t n)
{
	/* The kernel gives so few always, once it has booted; weak ones are better than none. */
	if (unlikely(getrandom(randoms, n * sizeof(*randoms), 0) !=
		    (ssize_t)(n * sizeof(*randoms)))) {
		for (uint32_t i = 0; i < n; i++)
			randoms[i] = rte_rand();
	}
}

static uint64_t
make_number(const struct sl_datapath *dp, uint64_t random, uint32_t worker, uint32_t slot)
{
	uint64_t number = random << dp->worker_bits | worker;

	number = number << dp->slot_bits | slot;
	return number != 0 ? number : UINT64_C(1) << 63;
}

/* For a session that begins anew: many of them cost a system call together. */
static uint64_t
next_random(struct dp_keeper *keeper)
{
	if (keeper->nb_randoms == 0) {
		get_randoms(keeper->randoms, DP_RANDOMS);
		keeper->nb_randoms = DP_RANDOMS;
	}
	return keeper->randoms[--keeper->nb_randoms];
}

struct dp_session *
dp_session_create(struct sl_datapath *dp, uint32_t worker, const struct dp_session_params *wanted)
{
	struct sl_session_tx_params params = {
		.window = wanted->window,
		.initial_credit = RTE_MIN(wanted->window, INITIAL_CREDIT),
		.rtt_initial_ns = RTT_INITIAL_NS,
		.rto_min_ns = RTO_MIN_NS,
		.rto_max_ns = RTO_MAX_NS,
		.ack_delay_max_ns = ACK_DELAY_MAX_NS,
	};
	size_t size = DP_SESSION_TX + sl_session_tx_memory_size(&params);
	struct dp_session *session;
	uint64_t random;

	if (posix_memalign((void **)&session, RTE_CACHE_LINE_SIZE, size) != 0)
		return NULL;
	memset(session, 0, size);
	get_randoms(&random, 1);
	params.session = make_number(dp, random, worker, wanted->slot);
	session->number = params.session;
	session->slot = wanted->slot;
	session->key = wanted->key;
	session->first_shard = wanted->first_shard;
	session->partitions = wanted->partitions;
	session->tx = sl_session_tx_init(
		RTE_PTR_ADD(session, DP_SESSION_TX), &params, dp_path_ns(dp, rte_rdtsc()));
	return session;
}

void
dp_session_free(struct dp_session *session)
{
	free(session);
}

/* May another backend of the shard take what this one does not? */
static bool
has_other(const struct dp_lcore *lcore, const struct dp_session *session)
{
	const struct dp_shard *shard = &lcore->shards[session->shard];

	for (uint32_t i = 0; i < shard->policy.nb_backends; i++) {
		uint32_t slot = dp_backend_slot(shard, i);
		const struct dp_session *other = lcore->keeper->sessions[slot];

		if (slot != session->slot && other != NULL && !other->is_avoided &&
			atomic_load_explicit(
				&lcore->dp->backends[slot].share, memory_order_relaxed) > 0)
			return true;
	}
	return false;
}

/*
 * One message at a time finds out whether a backend that is avoided is back: it is sent again until
 * it is acknowledged, or goes elsewhere. Those who have nobody else need not wait to try.
 */
static uint32_t
room_of_avoided(const struct dp_lcore *lcore, const struct dp_session *session, uint64_t now_ns)
{
	return session->in_flight == 0 &&
		(now_ns >= session->retry_ns || !has_other(lcore, session));
}

uint32_t
dp_session_room(const struct dp_lcore *lcore, const struct dp_session *session, uint64_t now_ns)
{
	uint32_t room = sl_session_tx_room(session->tx);

	if (unlikely(session->is_avoided))
		room = RTE_MIN(room, room_of_avoided(lcore, session, now_ns));
	return room > session->reserved ? room - session->reserved : 0;
}

static void
activate(struct dp_keeper *keeper, struct dp_session *session)
{
	session->place = keeper->nb_active;
	keeper->active[keeper->nb_active++] = session;
	session->is_active = true;
}

static void
forget_due(struct dp_keeper *keeper, struct dp_session *session)
{
	uint32_t i = 0;

	while (keeper->due[i] != session)
		i++;
	keeper->due[i] = keeper->due[--keeper->nb_due];
	session->is_due = false;
}

/* Published last: a session that is not active may be freed, and nobody names it then. */
static void
deactivate(struct dp_keeper *keeper, struct dp_session *session)
{
	struct dp_session *last = keeper->active[--keeper->nb_active];

	keeper->active[session->place] = last;
	last->place = session->place;
	session->is_out = false;
	if (session->is_due)
		forget_due(keeper, session);
	__atomic_store_n(&session->is_active, false, __ATOMIC_RELEASE);
}

static inline void
set_in_flight(struct dp_session *session, uint32_t in_flight)
{
	__atomic_store_n(&session->in_flight, in_flight, __ATOMIC_RELEASE);
}

/* It begins to wait: the shortest timeout is the first thing that may happen. */
static inline void
begin_waiting(struct dp_keeper *keeper, struct dp_session *session)
{
	session->progress_ns = keeper->now_ns;
	session->look_ns = keeper->now_ns + RTO_MIN_NS;
	if (!session->is_active)
		activate(keeper, session);
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
	rte_pktmbuf_refcnt_update(m, 1);
	if (session->in_flight == 0)
		begin_waiting(keeper, session);
	session->shard = msg->sched.dest;
	session->reserved--;
	set_in_flight(session, session->in_flight + 1);
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

/* When is it to be looked at next? Only acks and resends, and a new begin, bring that forward. */
static void
look(struct dp_keeper *keeper, struct dp_session *session)
{
	session->look_ns = sl_session_tx_deadline(session->tx);
	if (session->look_ns <= keeper->now_ns)
		add_due(keeper, session);
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
	session->number = make_number(
		lcore->dp, next_random(keeper), lcore->worker_index, session->slot);
	sl_session_tx_restart(session->tx, session->number, keeper->now_ns, on_taken, &arg);
	set_in_flight(session, 0);
	if (session->is_active)
		deactivate(keeper, session);
}

/* Let a buffer begin with its datagram again, whatever stands in front of it. */
static inline void
show_datagram(struct rte_mbuf *m)
{
	const struct dp_msg *msg = dp_msg_const(m);

	m->data_off = msg->data_off;
	m->data_len = msg->data_len;
	m->pkt_len = msg->data_len + dp_tail_len(m);
}

/*
 * A message in one buffer of its own: one that a device or a pending frame still shares is not
 * touched, and a copy for a subscriber may share its end. NULL when there is no buffer.
 */
static struct rte_mbuf *
own(struct dp_lcore *lcore, struct rte_mbuf *m)
{
	const struct dp_msg *msg = dp_msg(m);
	struct rte_mbuf *mine;

	if (likely(rte_mbuf_refcnt_read(m) == 1 && m->next == NULL)) {
		show_datagram(m);
		return m;
	}
	mine = dp_alloc(lcore->dp, (uint32_t)msg->data_len + dp_tail_len(m));
	if (mine == NULL)
		return NULL;
	*dp_msg(mine) = *msg;
	mine->data_len = msg->data_len + dp_tail_len(m);
	mine->pkt_len = mine->data_len;
	memcpy(rte_pktmbuf_mtod(mine, void *), RTE_PTR_ADD(m->buf_addr, msg->data_off),
		msg->data_len);
	if (m->next != NULL)
		memcpy(rte_pktmbuf_mtod_offset(mine, void *, msg->data_len),
			rte_pktmbuf_mtod(m->next, void *), dp_tail_len(m));
	rte_pktmbuf_free(m);
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

/* Their destination may be gone before what names it is, or not be there yet. */
static bool
is_for_dead_letters(const struct dp_lcore *lcore, const struct dp_durable *durable)
{
	const struct dp_durable *dead = lcore->shards[durable->dead_shard].durable;

	return dead != NULL && dead->key == durable->dead_key;
}

/* @return false: not now, there is no room for what is to be noted, or it would not be durable */
static bool
give_up(struct dp_lcore *lcore, struct dp_session *session, struct rte_mbuf *m)
{
	struct dp_durable *durable = lcore->shards[dp_msg(m)->sched.dest].durable;
	const struct dp_msg was = *dp_msg(m);

	if (durable->dead_shard != UINT32_MAX && !is_for_dead_letters(lcore, durable))
		return false;
	/* What has no room, or no disk, would only be written once more. */
	if (lcore->keeper->ring->state_seen != SL_RECORD_RING_OK)
		return false;
	/* For a record of any length, and the outcome: then neither fails. */
	if (!dp_keeper_has_room(lcore, SL_RECORD_LEN_MAX / sizeof(struct sl_record_outcome_of)))
		return false;
	dp_count_drop(lcore, m, SL_MESSAGE_DROP_attempts);
	if (durable->dead_shard == UINT32_MAX)
		rte_pktmbuf_free(m);
	else
		make_dead_letter(lcore, m, durable);
	session->dead++;
	lcore->keeper->nb_held--;
	dp_keeper_done(lcore, &was, session->key, was.attempts, SL_OUTCOME_DEAD);
	if (durable->dead_shard != UINT32_MAX)
		dp_keeper_has_letter(lcore);
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
	struct dp_session *session = dp_session_of(lcore, ack->session);
	struct ack_arg arg = {.lcore = lcore, .session = session};
	enum sl_session_ack rc;

	if (session == NULL)
		return false;
	/* Not acknowledged is what cannot be noted down: the backend says it again. */
	if (unlikely(!dp_keeper_has_room(lcore, session->in_flight)))
		return true;
	rc = sl_session_tx_ack(session->tx, ack, keeper->now_ns, on_acked, &arg);
	dp_keeper_flush_outcomes(lcore);
	if (arg.n > 0) {
		session->progress_ns = keeper->now_ns;
		session->is_stalled = false;
		session->is_avoided = false;
		session->retry_after_ns = 0;
		set_in_flight(session, session->in_flight - arg.n);
		lcore->moved += arg.n;
	}
	if (unlikely(rc == SL_SESSION_ACK_BAD))
		session->bad_acks++;
	if (unlikely(rc == SL_SESSION_ACK_REFUSED))
		take_back(lcore, session);
	/* More credit, or room: whoever waited for it may go on. */
	sl_sched_wake(lcore->sched, session->shard);
	if (session->is_active)
		look(keeper, session);
	return true;
}

void
dp_session_prefetch(const struct dp_lcore *lcore, uint64_t number)
{
	uint32_t slot = dp_session_slot(lcore->dp, number);
	const struct dp_session *session;

	if (unlikely(slot >= lcore->dp->nb_backends))
		return;
	session = lcore->keeper->sessions[slot];
	rte_prefetch0_write(session);
	sl_session_tx_prefetch(RTE_PTR_ADD(session, DP_SESSION_TX));
	rte_prefetch0_write(&lcore->backend_counters[slot]);
}

void
dp_session_prefetch_messages(const struct dp_lcore *lcore, const struct dp_session *session,
	const struct sl_wire_ack *ack)
{
	const struct dp_shard *shard = &lcore->shards[session->shard];
	void *mbufs[SL_SESSION_PEEK_MAX];
	uint32_t n = sl_session_tx_peek(session->tx, ack, mbufs);

	for (uint32_t i = 0; i < n; i++) {
		/* Its fields are in two lines, and what is freed is looked at in both. */
		rte_mbuf_prefetch_part1(mbufs[i]);
		rte_mbuf_prefetch_part2(mbufs[i]);
		rte_prefetch0_write(dp_msg(mbufs[i]));
	}
	rte_prefetch0_write(shard->durable);
	rte_prefetch0_write(&shard->delivered);
}

static void
avoid(const struct dp_keeper *keeper, struct dp_session *session, uint64_t after_ns)
{
	session->is_avoided = true;
	session->retry_after_ns = session->retry_after_ns == 0
		? after_ns
		: RTE_MIN(2 * session->retry_after_ns, RETRY_MAX_NS);
	session->retry_ns = keeper->now_ns + session->retry_after_ns;
}

/* Has it had no more for so long that others get what it has not done? */
static bool
is_past_deadline(struct dp_lcore *lcore, struct dp_session *session, uint32_t share)
{
	uint64_t now_ns = lcore->keeper->now_ns;
	const struct dp_durable *durable;

	if (likely(share > 0)) {
		session->is_out = false;
		return false;
	}
	durable = lcore->shards[session->shard].durable;
	/* A former backend's, and another partition's turn to go has not come yet. */
	if (unlikely(durable == NULL))
		return true;
	if (!session->is_out)
		session->out_ns = now_ns;
	session->is_out = true;
	return now_ns - session->out_ns >= durable->requeue_after_ns && has_other(lcore, session);
}

/*
 * Does what is in flight have to go elsewhere? Nothing was acknowledged for too long; or the
 * backend gets no more (it is down, drained, removed) and does not acknowledge what it has, or not
 * in time.
 */
static bool
has_to_leave(struct dp_lcore *lcore, struct dp_session *session)
{
	struct dp_keeper *keeper = lcore->keeper;
	uint64_t silent_ns = keeper->now_ns - session->progress_ns;
	const struct dp_durable *durable;
	uint32_t share = atomic_load_explicit(
		&lcore->dp->backends[session->slot].share, memory_order_relaxed);

	if (unlikely(is_past_deadline(lcore, session, share)))
		return true;
	if (likely(silent_ns < 2 * RTO_MIN_NS))
		return false;
	durable = lcore->shards[session->shard].durable;
	/* While acks cannot be noted down, silence says nothing of the backend. */
	if (unlikely(!dp_keeper_has_room(lcore, session->in_flight))) {
		session->progress_ns = keeper->now_ns;
		return false;
	}
	if (share == 0) {
		struct sl_session_tx_stats stats;

		sl_session_tx_get_stats(session->tx, &stats);
		return stats.timeouts_in_a_row >= LEAVE_TIMEOUTS;
	}
	if (silent_ns < durable->requeue_after_ns)
		return false;
	session->is_stalled = true;
	if (!has_other(lcore, session))
		return false;
	avoid(keeper, session, durable->requeue_after_ns);
	return true;
}

/* Was something sent so often that it is given up? The session has to begin anew then. */
static bool
take_resends(
	struct dp_lcore *lcore, const struct sl_session_resend *resends, uint32_t n, void **objs)
{
	bool is_enough = false;

	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = resends[i].msg;
		struct dp_msg *msg = dp_msg(m);
		uint32_t max = lcore->shards[msg->sched.dest].durable->max_attempts;

		is_enough |= max != 0 && msg->attempts + resends[i].attempts > max;
		/* The same bytes stand in front of it when a device still has it. */
		show_datagram(m);
		rte_pktmbuf_refcnt_update(m, 1);
		objs[i] = m;
	}
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
	if (unlikely(take_resends(lcore, resends, n, objs))) {
		for (uint32_t i = 0; i < n; i++)
			rte_pktmbuf_free(objs[i]);
		/* Those that may be tried again are, in the next session: that will count. */
		sl_session_tx_unsend(session->tx, resends, n);
		take_back(lcore, session);
		return 0;
	}
	session->retransmitted += n;
	txq->room -= (uint16_t)n;
	return (uint16_t)n;
}

/* What will be looked at soon, and then of its backend. */
static inline void
prefetch_active(const struct dp_lcore *lcore, uint32_t at)
{
	const struct dp_keeper *keeper = lcore->keeper;

	if (likely(at >= 2 * SCAN_AHEAD))
		rte_prefetch0_write(keeper->active[at - 2 * SCAN_AHEAD]);
	if (likely(at >= SCAN_AHEAD))
		rte_prefetch0(&lcore->dp->backends[keeper->active[at - SCAN_AHEAD]->slot].share);
}

/* Who cannot be sent to, perhaps for long, holds no place among those that are due. */
static inline bool
has_port_room(const struct dp_lcore *lcore, const struct dp_session *session)
{
	return lcore->txq_of_port[lcore->dp->backends[session->slot].port_id]->room > 0;
}

/*
 * Once a millisecond: whose time has come? From the last to the first: one that leaves has its
 * place taken by one that has been looked at.
 */
static void
scan(struct dp_lcore *lcore)
{
	struct dp_keeper *keeper = lcore->keeper;
	uint32_t n = RTE_MIN(keeper->nb_active, SCAN_MAX);

	if (lcore->now_ms == keeper->scanned_ms)
		return;
	keeper->scanned_ms = lcore->now_ms;
	for (; n > 0; n--) {
		struct dp_session *session;

		if (keeper->scan_at == 0 || keeper->scan_at > keeper->nb_active)
			keeper->scan_at = keeper->nb_active;
		session = keeper->active[--keeper->scan_at];
		prefetch_active(lcore, keeper->scan_at);
		if (session->in_flight == 0)
			deactivate(keeper, session);
		else if (unlikely(has_to_leave(lcore, session)))
			take_back(lcore, session);
		else if (session->look_ns <= keeper->now_ns && has_port_room(lcore, session))
			look(keeper, session);
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
		const bool had_room = has_port_room(lcore, session);

		session->is_due = false;
		n += resend(lcore, session, objs + n, (uint16_t)(max - n));
		if (!session->is_active)
			continue;
		session->look_ns = sl_session_tx_deadline(session->tx);
		/* The rest of it in the next turn; without room, when scan() comes by again. */
		if (session->look_ns <= keeper->now_ns && had_room) {
			session->is_due = true;
			keeper->due[left++] = session;
		}
	}
	keeper->nb_due = left;
	return n;
}

/*
 * What is in flight to backends that a shard had before: they have another slot now, or are gone.
 * From the last to the first, as in scan().
 */
static void
leave_former(struct dp_lcore *lcore, uint32_t slot)
{
	const struct dp_durable *durable = lcore->shards[slot].durable;
	const struct dp_keeper *keeper = lcore->keeper;

	for (uint32_t i = keeper->nb_active; i-- > 0 && durable->in_flight > 0;) {
		struct dp_session *s = keeper->active[i];

		if (slot - s->first_shard < s->partitions)
			take_back(lcore, s);
	}
}

void
dp_sessions_leave(struct dp_lcore *lcore, uint32_t slot)
{
	const struct dp_shard *shard = &lcore->shards[slot];

	for (uint32_t i = 0; i < shard->policy.nb_backends; i++) {
		struct dp_session *s = lcore->keeper->sessions[dp_backend_slot(shard, i)];

		if (s != NULL && s->in_flight > 0)
			take_back(lcore, s);
	}
	leave_former(lcore, slot);
}

void
dp_sessions_stop(struct dp_lcore *lcore)
{
	struct dp_keeper *keeper = lcore->keeper;

	while (keeper->nb_active > 0) {
		restart(lcore, keeper->active[0]);
		while (keeper->nb_taken > 0)
			dp_park_back(lcore, keeper->taken[--keeper->nb_taken]);
	}
}
