/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef NEIGHBOURS_INTERNAL_H
#define NEIGHBOURS_INTERNAL_H

/**
 * @file
 * The table of neighbours (neighbours.c) and the frames it is filled by (neighbour_frames.c).
 */

#include "sl_neigh.h"
#include "sl_neighbours.h"

struct sl_neighbours {
	const struct sl_config *config;
	struct sl_datapath *datapath;
	struct sl_neigh_params params;
	sl_neighbours_notify_t notify;
	void *notify_arg;
	sl_neighbours_echo_t echo;
	void *echo_arg;
	uint32_t nb_hops;
	uint32_t next_tick;
	struct sl_datapath_next_hop *hops; /* As the datapath has them, by its numbers. */
	struct sl_neigh *neighs;	   /* One a next hop. */
	uint32_t nb_sorted;
	uint32_t *sorted;	/* Numbers of those in use, by address and port. */
	uint64_t now_ms;	/* Of the last poll. */
	uint64_t conflict_ms;	/* When a conflict was reported last. */
	uint64_t report_due_ms; /* When the groups are reported again. */
};

/* Somebody tells where he is. */
struct neighbour_claim {
	struct sl_ip ip;
	bool has_mac; /* An advertisement may only confirm what is known. */
	struct rte_ether_addr mac;
	bool is_answer;	  /* To a question of ours: he hears us, too. */
	bool is_override; /* It counts more than what is known. */
};

/* Believe a claim about one we want to reach. */
void
neighbours_learn(struct sl_neighbours *n, uint32_t port_index, const struct neighbour_claim *claim);

/* Ask a next hop where it is: everybody, or where it was. */
void neighbours_ask(struct sl_neighbours *n, uint32_t hop, bool is_unicast);

/* Announce a port's addresses; report the IPv6 groups it listens to. */
void neighbours_announce_port(struct sl_neighbours *n, uint32_t port_index);
void neighbours_report_groups(struct sl_neighbours *n, uint32_t port_index);

/* Handle a frame; takes its mbuf. */
void neighbours_handle(struct sl_neighbours *n, const struct sl_datapath_punt *punt);

#endif /* NEIGHBOURS_INTERNAL_H */
