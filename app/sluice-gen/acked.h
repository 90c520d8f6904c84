/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef ACKED_H
#define ACKED_H

/**
 * @file
 * The generator's session: which messages are acknowledged, and which are to be sent again.
 *
 * A message is known by its number; what its session calls it (its sequence) changes when the
 * appliance refuses the session and another begins. Pure. One thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include <sl_hist.h>
#include <sl_session.h>

#define ACKED_RESENDS 64

/** Where a message of the session is: by sequence & mask. */
struct acked_sent {
	uint64_t number;
	uint64_t first_ns; /**< When it was sent for the first time. */
};

struct acked {
	struct sl_session_tx *tx;
	uint64_t session;
	uint64_t seed;
	uint32_t mask;
	struct acked_sent *sent;
	struct sl_session_resend resends[ACKED_RESENDS];
	uint32_t nb_resends;
	uint32_t next_resend;
	struct acked_sent *again; /**< Taken back from a refused session, in order. */
	uint32_t nb_again;
	uint32_t next_again;

	uint64_t nb_acked;
	uint64_t nb_resent;
	uint64_t nb_refused;  /**< Sessions. */
	uint64_t nb_bad;      /**< Acks that contradict what was sent. */
	uint64_t progress_ns; /**< When something was acknowledged last, or the session began. */
	struct sl_hist latency_ns; /**< From first sending to ack. */
};

/** @param window  messages in flight, a power of 2 @return 0 or -ENOMEM */
int acked_init(struct acked *acked, uint32_t window, uint64_t seed, uint64_t now_ns);
void acked_fini(struct acked *acked);

/** The next message to be sent again. @return false: none is */
bool acked_next(struct acked *acked, uint64_t now_ns, uint64_t *number, uint64_t *sequence);

/** May a message be sent that was not sent yet? */
bool acked_has_room(const struct acked *acked);

/** A message is sent for the first time. @return its sequence */
uint64_t acked_send(struct acked *acked, uint64_t number, uint64_t now_ns);

/** Take an ack. @return true: the session was refused, another has begun */
bool acked_take(struct acked *acked, const struct sl_wire_ack *ack, uint64_t now_ns);

/** Nothing waits for an ack. */
bool acked_is_done(const struct acked *acked);

#endif /* ACKED_H */
