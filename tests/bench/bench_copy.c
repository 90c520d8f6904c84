/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdio.h>
#include <stdlib.h>

#include <rte_eal.h>

/*
 * What a copy of a message for one more subscriber costs, copied whole or sharing the original's
 * payload, by the datagram's length and by how many copies wait at a time: from dp_copy() until
 * the buffers are free again, with a look at each copy's first bytes in between, as whoever writes
 * its headers has. Prints nanoseconds of this thread's processor time.
 */

static unsigned int copy_max;

#define COPY_ROOM 2048
#define COPY_MAX  copy_max

#include "../../lib/datapath/copy.c"

#define SUBSCRIBERS 16u
#define ROUNDS	    7u
#define COPIES	    (1u << 20)
#define WAITING_MAX (1u << 14)

static struct rte_mbuf *waiting[WAITING_MAX];

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double
run(struct dp_lcore *lcore, uint16_t len, uint32_t nb_waiting)
{
	uint32_t at = 0;
	double begin = now_ns();

	for (uint32_t i = 0; i < COPIES / SUBSCRIBERS; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(lcore->dp->pool);

		memset(rte_pktmbuf_append(m, len), (int)i, len);
		dp_msg(m)->message_offset = SL_WIRE_HEADER_LEN;
		for (uint32_t j = 0; j < SUBSCRIBERS; j++) {
			struct rte_mbuf *copy = dp_copy(lcore, m);

			rte_pktmbuf_free(waiting[at]);
			rte_pktmbuf_mtod(copy, uint32_t *)[2] = j;
			waiting[at] = copy;
			at = at + 1 < nb_waiting ? at + 1 : 0;
		}
		rte_pktmbuf_free(m);
	}
	begin = (now_ns() - begin) / COPIES;
	rte_pktmbuf_free_bulk(waiting, nb_waiting);
	memset(waiting, 0, sizeof(waiting));
	return begin;
}

static int
compare(const void *a, const void *b)
{
	return *(const double *)a < *(const double *)b ? -1 : 1;
}

static void
report(struct dp_lcore *lcore, uint16_t len, uint32_t nb_waiting)
{
	double ns[2][ROUNDS];

	for (uint32_t r = 0; r < ROUNDS; r++) {
		for (uint32_t is_shared = 0; is_shared < 2; is_shared++) {
			copy_max = is_shared ? 0 : UINT16_MAX;
			ns[is_shared][r] = run(lcore, len, nb_waiting);
		}
	}
	for (uint32_t i = 0; i < 2; i++)
		qsort(ns[i], ROUNDS, sizeof(ns[i][0]), compare);
	printf("%6u %9u %10.1f %8.1f\n", len, nb_waiting, ns[0][ROUNDS / 2], ns[1][ROUNDS / 2]);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	static const uint16_t lens[] = {96, 192, 320, 448, 576, 832, 1088, 1472, 1984};
	static const uint32_t waits[] = {64, 1024, WAITING_MAX};
	struct sl_datapath dp = {.nb_copies = 3 * WAITING_MAX, .nb_lcores = 1};
	struct dp_lcore lcore = {.dp = &dp};
	char error[256];

	if (rte_eal_init(argc, argv) < 0 || dp_copies_create(&dp, error, sizeof(error)) != 0)
		return 1;
	dp.pool = rte_pktmbuf_pool_create("frames", 2 * WAITING_MAX, DP_MBUF_CACHE,
		RTE_ALIGN_CEIL(sizeof(struct dp_msg), RTE_MBUF_PRIV_ALIGN),
		RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (dp.pool == NULL)
		return 1;
	printf("%6s %9s %10s %8s   ns a copy\n", "bytes", "waiting", "copied", "shared");
	for (uint32_t w = 0; w < RTE_DIM(waits); w++) {
		for (uint32_t i = 0; i < RTE_DIM(lens); i++)
			report(&lcore, lens[i], waits[w]);
	}
	rte_eal_cleanup();
	return 0;
}
