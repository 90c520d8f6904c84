/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef ACKS_H
#define ACKS_H

/**
 * @file
 * What comes back to the generator's port: acks of its session, and ARP.
 */

#include "port.h"
#include "tx.h"

/** Poll once. @return frames taken */
unsigned int acks_poll(struct port *port, struct rte_mempool *pool, struct tx *tx, uint64_t now_ns);

#endif /* ACKS_H */
