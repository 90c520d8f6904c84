/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * What a session costs a message: sent, received, acknowledged with its 63 neighbours, and given
 * back, with many sessions in turn. Medians and minima of ns a message, sender and receiver apart.
 *
 * bench_session [ROUNDS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_common.h>

#include "sl_session.h"

#define ACKS	   64	      /* Messages an ack. */
#define ROUND	   (1u << 20) /* Messages in a round. */
#define WINDOW	   1024
#define ROUNDS_MAX 1000

static const uint32_t session_counts[] = {1, 16, 1000};
/* Of the datagrams of 8; each is sent again in the next turn. */
static const uint32_t losses_percent[] = {0, 1};

struct pair {
	struct sl_session_tx *tx;
	struct sl_session_rx *rx;
};

static uint64_t nb_acked;
static double tx_ns[ROUNDS_MAX], rx_ns[ROUNDS_MAX];

static uint64_t
clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void
on_acked(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	(void)arg;
	(void)msg;
	(void)sequence;
	(void)attempts;
	nb_acked++;
}

static void *
zalloc(size_t size)
{
	void *mem = aligned_alloc(64, RTE_ALIGN_CEIL(size, (size_t)64));

	if (mem == NULL) {
		fprintf(stderr, "bench_session: no memory\n");
		exit(EXIT_FAILURE);
	}
	return memset(mem, 0, size);
}

static void
make_pair(struct pair *pair, uint64_t session)
{
	const struct sl_session_tx_params tx = {
		.session = session,
		.window = WINDOW,
		.initial_credit = WINDOW,
		.rtt_initial_ns = 1000000,
		.rto_min_ns = 5000000,
		.rto_max_ns = 1000000000,
		.ack_delay_max_ns = 1000000,
	};
	const struct sl_session_rx_params rx = {.session = session, .window = WINDOW};

	pair->tx = sl_session_tx_init(zalloc(sl_session_tx_memory_size(&tx)), &tx, 0);
	pair->rx = sl_session_rx_init(zalloc(sl_session_rx_memory_size(&rx)), &rx);
}

/* One turn of one session: up to 64 messages and their ack. Adds what it took. */
static uint32_t
turn(struct pair *pair, uint64_t *now, uint32_t loss_percent, uint64_t *sender, uint64_t *receiver)
{
	struct sl_session_resend resends[ACKS];
	uint64_t sequences[2 * ACKS], t0, t1, t2, t3;
	struct sl_wire_ack ack = {0};
	uint32_t n, nb = 0, nb_kept = 0, room;

	t0 = clock_ns();
	n = sl_session_tx_resend(pair->tx, *now, resends, ACKS);
	for (uint32_t i = 0; i < n; i++)
		sequences[nb++] = resends[i].sequence;
	room = RTE_MIN(sl_session_tx_room(pair->tx), (uint32_t)ACKS);
	for (uint32_t i = 0; i < room; i++)
		sequences[nb++] = sl_session_tx_send(pair->tx, pair, *now);
	t1 = clock_ns();
	for (uint32_t i = 0; i < nb; i++) {
		if (i % 8 != 0 || (uint32_t)rand() % 100 >= loss_percent)
			sequences[nb_kept++] = sequences[i];
		else
			i += 7;
	}
	*now += 100000;
	t2 = clock_ns();
	for (uint32_t i = 0; i < nb_kept; i++)
		sl_session_rx_receive(pair->rx, sequences[i]);
	sl_session_rx_ack(pair->rx, WINDOW, &ack);
	t3 = clock_ns();
	*receiver += t3 - t2;
	sl_session_tx_ack(pair->tx, &ack, *now, on_acked, NULL);
	*sender += clock_ns() - t3 + t1 - t0;
	return room;
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
measure(uint32_t nb_sessions, uint32_t loss_percent, uint32_t rounds)
{
	struct pair *pairs = calloc(nb_sessions, sizeof(*pairs));
	uint64_t now = 1000000, sender, receiver, nb;
	uint32_t at = 0;

	for (uint32_t i = 0; i < nb_sessions; i++)
		make_pair(&pairs[i], i + 1);
	for (uint32_t r = 0; r <= rounds; r++) {
		sender = receiver = nb = 0;
		while (nb < ROUND) {
			nb += turn(&pairs[at], &now, loss_percent, &sender, &receiver);
			at = (at + 1) % nb_sessions;
		}
		if (r == 0) /* Warms up. */
			continue;
		tx_ns[r - 1] = (double)sender / (double)nb;
		rx_ns[r - 1] = (double)receiver / (double)nb;
	}
	qsort(tx_ns, rounds, sizeof(tx_ns[0]), compare_doubles);
	qsort(rx_ns, rounds, sizeof(rx_ns[0]), compare_doubles);
	printf("%8" PRIu32 " %7" PRIu32 "%% %10.1f %8.1f %12.1f %8.1f\n", nb_sessions, loss_percent,
		tx_ns[rounds / 2], tx_ns[0], rx_ns[rounds / 2], rx_ns[0]);
	for (uint32_t i = 0; i < nb_sessions; i++) {
		free(pairs[i].tx);
		free(pairs[i].rx);
	}
	free(pairs);
}

int
main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 9;

	if (argc > 2 || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: bench_session [1..%u rounds]\n", ROUNDS_MAX);
		return EXIT_FAILURE;
	}
	printf("ns a message, acks of %u\n", ACKS);
	printf("%8s %8s %10s %8s %12s %8s\n", "sessions", "loss", "sender", "minimum", "receiver",
		"minimum");
	for (unsigned int i = 0; i < RTE_DIM(session_counts); i++) {
		for (unsigned int l = 0; l < RTE_DIM(losses_percent); l++)
			measure(session_counts[i], losses_percent[l], rounds);
	}
	return EXIT_SUCCESS;
}
