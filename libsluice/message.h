/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_MESSAGE_H
#define SL_MESSAGE_H

/**
 * @file
 * A published message as its bytes on the wire, and what a received one says. Pure.
 */

#include <stdbool.h>

#include "sl_wire.h"
#include "sluice.h"

/** The largest UDP payload over IPv4. */
#define SL_DATAGRAM_MAX 65507

/** What a message takes on the wire. */
struct sl_message_shape {
	uint32_t len;	   /**< Tag and length included. */
	uint32_t body;	   /**< Where the message itself begins, behind tag and length. */
	uint32_t text_len; /**< Of its id_text; 0: none. */
};

/**
 * Check what the caller says, and measure it.
 * @param datagram_bytes  the largest datagram
 * @return 0, SLUICE_INVALID, SLUICE_TOO_BIG
 */
int sl_message_measure(const struct sluice_message *message, uint32_t datagram_bytes,
	struct sl_message_shape *shape);

/**
 * Write it, with tag and length, into shape->len bytes; its sequence is 0.
 * @param id  its identity
 */
void sl_message_write(uint8_t *buf, const struct sluice_message *message,
	const struct sl_message_shape *shape, uint64_t source, const struct sluice_id *id);

/**
 * What a message of the template layout says. Pointers are into @p bytes.
 * @param[out] delivery  all but session, epoch and peer
 */
void sl_message_read(const uint8_t *bytes, uint32_t len, struct sluice_delivery *delivery);

#endif /* SL_MESSAGE_H */
