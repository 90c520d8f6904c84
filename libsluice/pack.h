/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_PACK_H
#define SL_PACK_H

/**
 * @file
 * Messages put together into datagrams, one datagram behind the other in one buffer, ready for
 * sendmmsg(). Pure.
 */

#include <stdbool.h>
#include <stdint.h>

/** Datagrams in a batch. */
#define SL_PACK_DATAGRAMS 64

struct sl_pack {
	uint8_t *buf;		 /**< SL_PACK_DATAGRAMS * datagram_bytes, the owner's */
	uint32_t datagram_bytes; /**< The largest. */
	uint32_t nb;		 /**< Datagrams, the one that is being filled included. */
	uint64_t session;	 /**< Of the one that is being filled. */
	uint32_t offsets[SL_PACK_DATAGRAMS + 1]; /**< offsets[nb] is where the last one ends. */
	uint16_t messages;			 /**< In the one that is being filled. */
};

void sl_pack_reset(struct sl_pack *pack);

/** So many messages of any size fit for certain. */
uint32_t sl_pack_room(const struct sl_pack *pack);

/**
 * Put a message into the last datagram, or begin another.
 * @param message  as sl_message_write() wrote it; it fits into a datagram
 * @return where it was copied; NULL: the batch is full
 */
uint8_t *sl_pack_add(struct sl_pack *pack, uint64_t session, const uint8_t *message, uint32_t len);

#endif /* SL_PACK_H */
