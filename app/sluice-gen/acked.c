/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "acked.h"
#include "traffic.h"

#define MS UINT64_C(1000000)

/* A rack's round trip, and a disk's sync in it. */
#define RTT_INITIAL_NS	 (20 * MS)
#define RTO_MIN_NS	 (10 * MS)
#define RTO_MAX_NS	 (1000 * MS)
#define ACK_DELAY_MAX_NS (50 * MS)

static void
name_session(struct acked *a)
{
	a->session = traffic_mix(a->seed + a->nb_refused * UINT64_C(0x9e3779b97f4a7c15)) | 1;
}

int
acked_init(struct acked *a, uint32_t window, uint64_t seed, uint64_t now_ns)
{
	struct sl_session_tx_params params = {
		.window = window,
		.initial_credit = RTE_MIN(window, SL_SESSION_BEGIN_MAX),
		.rtt_initial_ns = RTT_INITIAL_NS,
		.rto_min_ns = RTO_MIN_NS,
		.rto_max_ns = RTO_MAX_NS,
		.ack_delay_max_ns = ACK_DELAY_MAX_NS,
	};
	size_t size = RTE_ALIGN_CEIL(sl_session_tx_memory_size(&params), (size_t)64);
	void *mem = aligned_alloc(64, size);

	memset(a, 0, sizeof(*a));
	a->sent = calloc(window, sizeof(*a->sent));
	a->again = calloc(window, sizeof(*a->again));
	if (mem == NULL || a->sent == NULL || a->again == NULL) {
		free(mem);
		acked_fini(a);
		return -ENOMEM;
	}
	memset(mem, 0, size);
	a->seed = seed;
	a->mask = window - 1;
	a->progress_ns = now_ns;
	name_session(a);
	params.session = a->session;
	a->tx = sl_session_tx_init(mem, &params, now_ns);
	return 0;
}

void
acked_fini(struct acked *a)
{
	free(a->tx);
	free(a->sent);
	free(a->again);
}

static uint64_t
send(struct acked *a, const struct acked_sent *message, uint64_t now_ns)
{
	uint64_t sequence = sl_session_tx_send(a->tx, NULL, now_ns);

	a->sent[sequence & a->mask] = *message;
	return sequence;
}

bool
acked_next(struct acked *a, uint64_t now_ns, uint64_t *number, uint64_t *sequence)
{
	if (unlikely(a->next_again < a->nb_again)) {
		if (sl_session_tx_room(a->tx) == 0)
			return false;
		*number = a->again[a->next_again].number;
		*sequence = send(a, &a->again[a->next_again++], now_ns);
		a->nb_resent++;
		return true;
	}
	if (likely(a->next_resend == a->nb_resends)) {
		if (likely(sl_session_tx_deadline(a->tx) > now_ns))
			return false;
		a->next_resend = 0;
		a->nb_resends = sl_session_tx_resend(a->tx, now_ns, a->resends, ACKED_RESENDS);
		if (a->nb_resends == 0)
			return false;
	}
	*sequence = a->resends[a->next_resend++].sequence;
	*number = a->sent[*sequence & a->mask].number;
	a->nb_resent++;
	return true;
}

bool
acked_has_room(const struct acked *a)
{
	return a->next_again == a->nb_again && sl_session_tx_room(a->tx) > 0;
}

uint64_t
acked_send(struct acked *a, uint64_t number, uint64_t now_ns)
{
	const struct acked_sent message = {.number = number, .first_ns = now_ns};

	return send(a, &message, now_ns);
}

static void
on_acked(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	struct acked *a = arg;
	uint64_t first_ns = a->sent[sequence & a->mask].first_ns;

	a->nb_acked++;
	sl_hist_add(&a->latency_ns, a->progress_ns > first_ns ? a->progress_ns - first_ns : 0);
}

static void
on_taken(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	struct acked *a = arg;

	a->again[a->nb_again++] = a->sent[sequence & a->mask];
}

/* What waited to be sent again in the refused session comes before what was in flight in it not. */
static void
begin_anew(struct acked *a, uint64_t now_ns)
{
	uint32_t nb_left = a->nb_again - a->next_again;
	struct acked_sent *left = NULL;

	if (nb_left > 0)
		left = malloc(nb_left * sizeof(*left));
	if (left != NULL)
		memcpy(left, &a->again[a->next_again], nb_left * sizeof(*left));
	a->nb_refused++;
	a->nb_again = a->next_again = 0;
	a->nb_resends = a->next_resend = 0;
	name_session(a);
	sl_session_tx_restart(a->tx, a->session, now_ns, on_taken, a);
	if (left != NULL)
		memcpy(&a->again[a->nb_again], left, nb_left * sizeof(*left));
	a->nb_again += left != NULL ? nb_left : 0;
	free(left);
}

bool
acked_take(struct acked *a, const struct sl_wire_ack *ack, uint64_t now_ns)
{
	uint64_t before = a->nb_acked, progress_ns = a->progress_ns;
	enum sl_session_ack rc;

	if (ack->session != a->session)
		return false;
	a->progress_ns = now_ns;
	rc = sl_session_tx_ack(a->tx, ack, now_ns, on_acked, a);
	if (a->nb_acked == before)
		a->progress_ns = progress_ns;
	a->nb_bad += rc == SL_SESSION_ACK_BAD;
	if (rc != SL_SESSION_ACK_REFUSED)
		return false;
	begin_anew(a, now_ns);
	return true;
}

bool
acked_is_done(const struct acked *a)
{
	return a->next_again == a->nb_again && sl_session_tx_deadline(a->tx) == UINT64_MAX;
}
