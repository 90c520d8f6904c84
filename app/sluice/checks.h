/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SLUICE_CHECKS_H
#define SLUICE_CHECKS_H

/**
 * @file
 * The health checks on the appliance's loop: what they need of the path, and who is told.
 */

#include <stdbool.h>

#include "sl_checks.h"
#include "sl_datapath.h"
#include "sl_notify.h"

struct event_base;

/* What the checks' hooks work on; kept as long as the checks. */
struct checks_context {
	struct sl_datapath *datapath;
	struct sl_notify *notify;
	struct sl_datapath_load load; /* When the last probe was answered, */
	uint64_t latency_ns;	      /* and the mean since the one before. */
};

/* Check the backends, and let the path choose among those that are well. Returns 0 or -errno. */
int checks_start(struct event_base *base, const struct sl_config *config,
	struct checks_context *context, struct sl_checks **checks);

/* Take the probes that have come: answers for the checks, questions to be answered. */
void checks_poll(struct checks_context *context, struct sl_checks *checks);

/* The sl_neighbours_echo_t of the checks, which are its argument. */
bool checks_echo_reply(
	void *arg, uint32_t port_index, const struct sl_ip *from, uint16_t id, uint16_t sequence);

#endif /* SLUICE_CHECKS_H */
