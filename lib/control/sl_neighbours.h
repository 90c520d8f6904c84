/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_NEIGHBOURS_H
#define SL_NEIGHBOURS_H

/**
 * @file
 * The IO around ARP and ICMP: takes frames the packet path has handed over, answers them, resolves
 * the next hops of all backends and publishes where they are. The rules are lib/net's.
 *
 * While a next hop is not resolved its backends are not chosen: messages wait in the bounded queue
 * of their destination, so there is no second queue here.
 *
 * Threads: the control thread.
 */

#include <stdint.h>

#include "sl_config.h"
#include "sl_datapath.h"

struct sl_neighbours;

/** Something worth a line in the log: one without a newline. */
typedef void (*sl_neighbours_notify_t)(void *arg, const char *line);

/**
 * Begin to resolve the next hops of a datapath.
 * @param config, datapath  kept by the caller as long as this
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
int sl_neighbours_update(
	struct sl_neighbours *neighbours, const struct sl_config *config, uint64_t now_ms);

void sl_neighbours_destroy(struct sl_neighbours *neighbours);

/**
 * Announce every port's address (gratuitous ARP, RFC 5227), so that others learn it at once.
 */
void sl_neighbours_announce(struct sl_neighbours *neighbours);

/** Handle the frames that have come and the times that have passed; call every millisecond. */
void sl_neighbours_poll(struct sl_neighbours *neighbours, uint64_t now_ms);

#endif /* SL_NEIGHBOURS_H */
