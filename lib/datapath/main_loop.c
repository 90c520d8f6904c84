/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <unistd.h>

#include <sys/prctl.h>

#include <rte_cycles.h>

#include "durable.h"

/* Empty turns in a row before a nap: at a microsecond or less a turn, well under a millisecond. */
#define IDLE_TURNS 256

/* Old dedup entries an idle turn lets go. */
#define EXPIRE_BURST 64

static void
idle(struct dp_lcore *lcore, uint32_t turns)
{
	if (lcore->dedup != NULL)
		sl_dedup_expire(lcore->dedup, lcore->now_ms, EXPIRE_BURST);
	if (lcore->dp->may_nap && turns >= IDLE_TURNS)
		usleep(lcore->dp->config->nap_us);
}

/* What the control thread has published; the same for the whole of a turn. */
static inline void
take_over(struct dp_lcore *lcore)
{
	struct sl_datapath *dp = lcore->dp;
	uint32_t version = atomic_load_explicit(&dp->version, memory_order_acquire);

	if (unlikely(version != lcore->version) && (lcore->roles & SL_ROLE_WORKER))
		dp_adopt(lcore, version);
	lcore->routes = atomic_load_explicit(&dp->routes, memory_order_acquire);
}

int
dp_main_loop(void *arg)
{
	struct dp_lcore *lcore = arg;
	struct sl_datapath *dp = lcore->dp;
	uint64_t per_ms = dp->tsc_hz / 1000, end, busy, idle_cycles;
	uint32_t idle_turns = 0;

	/* Naps of microseconds; the default slack of 50 would double them. */
	prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
	/* They go on where they were when the path stopped. */
	busy = atomic_load_explicit(&lcore->busy_cycles, memory_order_relaxed);
	idle_cycles = atomic_load_explicit(&lcore->idle_cycles, memory_order_relaxed);
	rte_rcu_qsbr_thread_online(dp->rcu, lcore->index);
	lcore->now = rte_rdtsc();
	while (!atomic_load_explicit(&dp->must_stop, memory_order_relaxed)) {
		lcore->now_ms = (lcore->now - dp->tsc_start) / per_ms;
		lcore->moved = 0;
		take_over(lcore);
		if (lcore->keeper != NULL)
			dp_keeper_begin_turn(lcore);
		rte_graph_walk(lcore->graph);
		if (lcore->keeper != NULL)
			dp_keeper_end_turn(lcore);
		if (lcore->publishers != NULL)
			dp_publishers_poll(lcore);
		dp_answer(lcore);
		dp_trace_poll(lcore);
		rte_rcu_qsbr_quiescent(dp->rcu, lcore->index);
		end = rte_rdtsc();
		if (lcore->moved > 0) {
			busy += end - lcore->now;
			atomic_store_explicit(&lcore->busy_cycles, busy, memory_order_relaxed);
			idle_turns = 0;
		} else {
			idle_cycles += end - lcore->now;
			atomic_store_explicit(
				&lcore->idle_cycles, idle_cycles, memory_order_relaxed);
			idle(lcore, ++idle_turns);
			end = rte_rdtsc();
		}
		lcore->now = end;
	}
	rte_rcu_qsbr_thread_offline(dp->rcu, lcore->index);
	return 0;
}
