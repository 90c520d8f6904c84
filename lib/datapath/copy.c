/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <rte_errno.h>

#include "dp.h"

/*
 * Copies of messages for the subscribers of topics. Each subscriber's datagram differs from the
 * others' in its headers, session and sequence. Those are in a small buffer of its own; what comes
 * behind them is a clone of the original's, shared by all. A datagram that fits the small buffer
 * whole is copied into it: that costs half of a second buffer and its reference, or less
 * (tests/bench/bench_copy.c).
 */

/*
 * Of a datagram, in the small buffer. What is longer is shared: to copy up to 1,200 bytes would
 * still cost no more time, but each of limits.copies would have to have the room.
 */
#ifndef COPY_MAX
#define COPY_ROOM 320
#define COPY_MAX  COPY_ROOM
#endif

#define COPIES_DEFAULT 65536u

/* May the path come to have topics? */
static bool
has_topics(const struct sl_config *config)
{
	if (config->limits.copies > 0 || config->subscriptions.is_open ||
		config->gateways.nb_gateways > 0)
		return true;
	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		if (config->destinations[i].kind == SL_CONFIG_TOPIC)
			return true;
	}
	return false;
}

uint32_t
dp_copies_needed(const struct sl_config *config)
{
	if (!has_topics(config))
		return 0;
	return config->limits.copies > 0 ? config->limits.copies : COPIES_DEFAULT;
}

int
dp_copies_create(struct sl_datapath *dp, char *error, size_t error_len)
{
	uint16_t priv = RTE_ALIGN_CEIL(sizeof(struct dp_msg), RTE_MBUF_PRIV_ALIGN);
	uint32_t n = dp->nb_copies + dp->nb_lcores * (DP_MBUF_CACHE + DP_MBUF_CACHE / 2);

	if (dp->nb_copies == 0)
		return 0;
	dp->copies = rte_pktmbuf_pool_create_by_ops("sluice-copies", n, DP_MBUF_CACHE, priv,
		RTE_PKTMBUF_HEADROOM + COPY_ROOM, SOCKET_ID_ANY,
		dp->nb_gateways > 0 ? "ring_mt_rts" : NULL);
	if (dp->copies != NULL)
		return 0;
	snprintf(error, error_len,
		"no memory for %u copies of messages to subscribers: %s; set limits.copies lower, or "
		"give EAL more memory (huge pages, or --no-huge -m MEGABYTES)",
		n, rte_strerror(rte_errno));
	return -ENOMEM;
}

/* The bytes up to the payload's tag are the copy's own, the others the original's. */
static struct rte_mbuf *
share_tail(struct dp_lcore *lcore, struct rte_mbuf *head, struct rte_mbuf *m)
{
	uint16_t own = dp_msg(m)->message_offset + SL_WIRE_MESSAGE_MIN;
	struct rte_mbuf *tail = rte_pktmbuf_alloc(lcore->dp->copies);

	if (unlikely(tail == NULL)) {
		rte_pktmbuf_free(head);
		return NULL;
	}
	memcpy(rte_pktmbuf_mtod(head, void *), rte_pktmbuf_mtod(m, const void *), own);
	head->data_len = own;
	rte_pktmbuf_attach(tail, m);
	rte_pktmbuf_adj(tail, own);
	head->next = tail;
	head->nb_segs = 2;
	return head;
}

struct rte_mbuf *
dp_copy(struct dp_lcore *lcore, struct rte_mbuf *m)
{
	struct rte_mbuf *copy = rte_pktmbuf_alloc(lcore->dp->copies);

	if (unlikely(copy == NULL))
		return NULL;
	*dp_msg(copy) = *dp_msg(m);
	dp_msg(copy)->trace = 0;
	copy->pkt_len = m->data_len;
	if (unlikely(m->data_len > COPY_MAX))
		return share_tail(lcore, copy, m);
	memcpy(rte_pktmbuf_mtod(copy, void *), rte_pktmbuf_mtod(m, const void *), m->data_len);
	copy->data_len = m->data_len;
	return copy;
}

struct rte_mbuf *
dp_flatten(struct dp_lcore *lcore, const struct rte_mbuf *m)
{
	struct rte_mbuf *flat = dp_alloc(lcore->dp, m->pkt_len);
	uint8_t *to;

	if (unlikely(flat == NULL))
		return NULL;
	to = rte_pktmbuf_mtod(flat, uint8_t *);
	*dp_msg(flat) = *dp_msg_const(m);
	for (const struct rte_mbuf *segment = m; segment != NULL; segment = segment->next) {
		memcpy(to + flat->data_len, rte_pktmbuf_mtod(segment, const void *),
			segment->data_len);
		flat->data_len += segment->data_len;
	}
	flat->pkt_len = flat->data_len;
	return flat;
}
