/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_NEIGHBOURS_H
#define SL_NEIGHBOURS_H

/**
 * @file
 * The IO around ARP, neighbour discovery and echo: takes frames the packet path has handed over,
 * answers them, resolves the next hops of all backends and publishes where they are. The rules are
 * lib/net's.
 *
 * While a next hop is not resolved its backends are not chosen: messages wait in the bounded queue
 * of their destination, so there is no second queue here.
 *
 * Threads: the control thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "sl_config.h"
#include "sl_datapath.h"

struct sl_neighbours;

/** Something worth a line in the log: one without a newline. */
typedef void (*sl_neighbours_notify_t)(void *arg, const char *line);

/** A valid echo reply to one of the ports' addresses. @return false when nobody waits for it */
typedef bool (*sl_neighbours_echo_t)(
	void *arg, uint32_t port_index, const struct sl_ip *from, uint16_t id, uint16_t sequence);

/**
 * Begin to resolve the next hops of a datapath.
 * @param config, datapath  kept by the caller as long as this, or until sl_neighbours_apply()
 * @return NULL when memory is short
 */
struct sl_neighbours *
sl_neighbours_create(const struct sl_config *config, struct sl_datapath *datapath,
	sl_neighbours_notify_t notify, void *notify_arg, uint64_t now_ms);

/**
 * Follow sl_datapath_apply(): next hops that are new are resolved, those that are gone forgotten,
 * and what is known of the others stays.
 * @param config  takes the place of the one before
 * @return 0; -ENOMEM: call it again, and sl_neighbours_poll() not before that
 */
int sl_neighbours_apply(
	struct sl_neighbours *neighbours, const struct sl_config *config, uint64_t now_ms);

void sl_neighbours_destroy(struct sl_neighbours *neighbours);

/** Hand echo replies to somebody; those nobody waits for are dropped as `icmp_not_echo`. */
void
sl_neighbours_set_echo(struct sl_neighbours *neighbours, sl_neighbours_echo_t callback, void *arg);

/**
 * Announce every port's addresses, so that others learn them at once: gratuitous ARP (RFC 5227);
 * for IPv6 the report of the groups listened to, a question whether somebody else has the address,
 * and an unsolicited advertisement (RFC 4861, 7.2.6).
 */
void sl_neighbours_announce(struct sl_neighbours *neighbours);

/**
 * The link of a port has gone or come (sl_datapath_poll_links()). Behind a link that is away nobody
 * is asked or given up; when it is back, the port is announced and its neighbours are asked.
 */
void sl_neighbours_link(
	struct sl_neighbours *neighbours, uint32_t port_index, bool is_up, uint64_t now_ms);

/** Handle the frames that have come and the times that have passed; call every millisecond. */
void sl_neighbours_poll(struct sl_neighbours *neighbours, uint64_t now_ms);

/** A next hop and what is known of it. */
struct sl_neighbour_info {
	struct sl_ip ip;
	uint32_t port_index;
	const char *state; /**< "incomplete", "reachable", "probe", "failed", "static" */
	bool has_mac;	   /**< Else mac is all zero. */
	struct rte_ether_addr mac;
	uint64_t age_ms; /**< Since it answered last; UINT64_MAX: never, or static. */
	uint32_t tries;	 /**< Unanswered questions, in a row. */
};

/** @return next hop number @p index, sorted by address and port; false behind the last */
bool sl_neighbours_get(
	const struct sl_neighbours *neighbours, uint32_t index, struct sl_neighbour_info *info);

/** @return false when no backend is reached through that next hop */
bool sl_neighbours_find(const struct sl_neighbours *neighbours, const struct sl_ip *ip,
	uint32_t port_index, struct sl_neighbour_info *info);

#endif /* SL_NEIGHBOURS_H */
