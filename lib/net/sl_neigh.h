/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_NEIGH_H
#define SL_NEIGH_H

/**
 * @file
 * The state of one neighbour, sans-IO: (state, event, now) -> action. After the neighbour
 * unreachability detection of RFC 4861, section 7.3, as Linux also uses it for ARP.
 *
 *   INCOMPLETE --answer--> REACHABLE --reachable_ms pass--> PROBE --answer--> REACHABLE
 *       |                                                     |
 *       +-- max_tries unanswered --> FAILED <-----------------+
 *                                      +-- asks again with backoff, for ever --> answer: REACHABLE
 *
 * The address of a neighbour in PROBE is still used. Only the table's owner (the control thread)
 * calls these functions; what the packet path sees of a neighbour is its published word.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

enum sl_neigh_state {
	SL_NEIGH_INCOMPLETE, /**< Asked, never answered; messages wait. */
	SL_NEIGH_REACHABLE,
	SL_NEIGH_PROBE,	 /**< Aged; asked again by unicast, still used. */
	SL_NEIGH_FAILED, /**< Does not answer; asked again from time to time. */
	SL_NEIGH_STATIC, /**< From the configuration; never asked. */
};

struct sl_neigh_params {
	uint32_t reachable_ms; /**< An answer is believed for so long. */
	uint32_t retry_ms;     /**< Between the first tries. */
	uint32_t retry_max_ms; /**< Where the doubling of retry_ms ends. */
	uint32_t max_tries;    /**< Unanswered tries until FAILED. */
};

struct sl_neigh {
	enum sl_neigh_state state;
	struct rte_ether_addr mac; /**< Valid in REACHABLE, PROBE and STATIC. */
	uint32_t tries;		   /**< Unanswered, in a row. */
	uint64_t due_ms;	   /**< When sl_neigh_tick() has something to do. */
	uint64_t seen_ms;	   /**< When it answered last; 0: never. */
};

/** What the owner has to do now. */
enum sl_neigh_action {
	SL_NEIGH_NOTHING,
	SL_NEIGH_ASK_BROADCAST, /**< Send a request to everybody. */
	SL_NEIGH_ASK_UNICAST,	/**< Send a request to the known address. */
};

/** Begin to resolve an address; the first request is due at once. */
void sl_neigh_init(struct sl_neigh *neigh, uint64_t now_ms);

/** A neighbour whose address is configured. */
void sl_neigh_init_static(struct sl_neigh *neigh, const struct rte_ether_addr *mac);

/** Time has passed. Call whenever @p now_ms has reached due_ms; more often does no harm. */
enum sl_neigh_action
sl_neigh_tick(struct sl_neigh *neigh, const struct sl_neigh_params *params, uint64_t now_ms);

/**
 * The neighbour said where it is (an answer to a request, or its own request).
 * @return true when its address is new or has changed and must be published.
 */
bool sl_neigh_confirm(struct sl_neigh *neigh, const struct sl_neigh_params *params,
	const struct rte_ether_addr *mac, uint64_t now_ms);

/**
 * Its link was away and is back: it is asked at once. What was known of it is used until it turns
 * out to be wrong.
 */
void sl_neigh_recheck(struct sl_neigh *neigh, uint64_t now_ms);

/** Its address may be sent to. */
static inline bool
sl_neigh_is_usable(const struct sl_neigh *neigh)
{
	return neigh->state == SL_NEIGH_REACHABLE || neigh->state == SL_NEIGH_PROBE ||
		neigh->state == SL_NEIGH_STATIC;
}

const char *sl_neigh_state_name(enum sl_neigh_state state);

#endif /* SL_NEIGH_H */
