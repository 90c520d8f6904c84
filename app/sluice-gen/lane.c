/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_pause.h>

#include "acks.h"
#include "arp.h"
#include "clock.h"
#include "lane.h"

/*
 * Quiet is not only a matter of time: an lcore the system has taken away finds its ring full when
 * it comes back. So many turns must have found it empty as well.
 */
#define QUIET_TURNS 64

/* Who loses nothing may be slow: so many times the quiet are spent on what is still to come. */
#define MISSING_DRAINS 10

/* Turns between two looks at what does not concern messages. */
#define CHORES_EVERY 64

#define NS_PER_MS UINT64_C(1000000)

/* Time to stop sending? What a ring does not take for that long is given up, and not counted. */
static bool
is_tx_over(struct lane *l, uint64_t now_ns)
{
	const struct options *o = l->options;
	uint64_t patience_ms;

	if (!l->tx->is_stopping &&
		(*l->nb_signals > 0 ||
			(o->seconds > 0 &&
				now_ns - l->start_ns >= (uint64_t)o->seconds * NS_PER_S)))
		tx_stop(l->tx);
	if (tx_is_empty(l->tx) || *l->nb_signals > 1)
		return true;
	patience_ms = l->tx->is_stopping ? o->drain_ms : o->drain_max_ms;
	/* Nobody acknowledges what was sent. */
	if (l->tx->has_session && l->tx->first_ns != 0 && !acked_is_done(&l->tx->acked) &&
		now_ns - RTE_MAX(l->tx->acked.progress_ns, l->tx->first_ns) >=
			patience_ms * NS_PER_MS)
		return true;
	return l->tx->stuck_ns != 0 && now_ns - l->tx->stuck_ns >= patience_ms * NS_PER_MS;
}

/* Has the sink been told, by whatever means, that no more will be sent? */
static bool
is_sending_over(const struct lane *l, uint64_t now_ns)
{
	const struct options *o = l->options;

	if (l->sender != NULL)
		return __atomic_load_n(&l->sender->is_done, __ATOMIC_ACQUIRE);
	return *l->nb_signals > 0 || l->sink->ledger.nb_delivered >= o->count ||
		(o->seconds > 0 && now_ns - l->start_ns >= (uint64_t)o->seconds * NS_PER_S);
}

/* Is something still to come that must? */
static bool
is_missing(const struct lane *l)
{
	const struct options *o = l->options;

	return l->sender != NULL && !o->is_loss_allowed && o->verify != OPTIONS_VERIFY_NONE &&
		l->sink->ledger.nb_delivered < l->sender->nb_originals;
}

static bool
is_sink_over(struct lane *l, uint64_t now_ns)
{
	const struct options *o = l->options;
	uint64_t quiet_since, quiet_ms;

	if (*l->nb_signals > 1)
		return true;
	if (l->stopping_ns == 0) {
		if (!is_sending_over(l, now_ns))
			return false;
		l->stopping_ns = now_ns;
	}
	if (now_ns - l->stopping_ns >= o->drain_max_ms * NS_PER_MS)
		return true;
	quiet_since = RTE_MAX(l->stopping_ns, l->sink->last_ns);
	quiet_ms = is_missing(l) ? MISSING_DRAINS * o->drain_ms : o->drain_ms;
	return now_ns >= quiet_since + quiet_ms * NS_PER_MS && l->nb_quiet_turns >= QUIET_TURNS;
}

/* A port that is closed takes what its ring still holds with it: give the peer time to read. */
static bool
is_lingering(const struct lane *l, uint64_t now_ns)
{
	return l->sink == NULL && l->tx->last_ns != 0 && *l->nb_signals < 2 &&
		now_ns - l->tx->last_ns < l->options->drain_ms * NS_PER_MS;
}

/* True when this lcore has nothing left to do. */
static bool
do_chores(struct lane *l, uint64_t now_ns)
{
	if (l->listen != NULL && (l->tx == NULL || !l->tx->has_session))
		arp_poll(l->listen, l->pool);
	if (l->tx != NULL && !l->tx->is_done && is_tx_over(l, now_ns))
		__atomic_store_n(&l->tx->is_done, true, __ATOMIC_RELEASE);
	if (l->progress != NULL)
		progress_tick(l->progress, now_ns);
	if (l->tx != NULL && (!l->tx->is_done || is_lingering(l, now_ns)))
		return false;
	return l->sink == NULL || is_sink_over(l, now_ns);
}

int
lane_run(void *arg)
{
	struct lane *l = arg;
	uint64_t tsc = rte_rdtsc(), before, now_ns = clock_now_ns();
	uint64_t start_tsc = tsc;
	unsigned int moved, nb;

	l->start_ns = now_ns;
	for (uint64_t turn = 1;; turn++) {
		now_ns = clock_now_ns();
		moved = 0;
		before = rte_rdtsc();
		if (l->tx != NULL && l->tx->has_session)
			moved = acks_poll(l->listen, l->pool, l->tx, now_ns);
		if (l->tx != NULL && !l->tx->is_done) {
			before = rte_rdtsc();
			moved += tx_turn(l->tx, now_ns, before);
			tsc = rte_rdtsc();
			if (moved > 0)
				l->tx->busy_cycles += tsc - before;
			before = tsc;
		}
		if (l->sink != NULL) {
			nb = sink_turn(l->sink);
			tsc = rte_rdtsc();
			l->nb_quiet_turns++;
			if (nb > 0) {
				l->sink->busy_cycles += tsc - before;
				l->nb_quiet_turns = 0;
			}
			moved += nb;
		}
		if ((turn % CHORES_EVERY == 0 || moved == 0) && do_chores(l, now_ns))
			break;
		if (moved == 0 && l->options->nap_us > 0)
			usleep(l->options->nap_us);
	}
	l->elapsed_cycles = rte_rdtsc() - start_tsc;
	return 0;
}
