/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_CON_CORE_H
#define SL_CON_CORE_H

/**
 * @file
 * What a consumer does, without sockets, clock or thread: the sessions of those who send, the order
 * of their messages, what came before, and when to acknowledge.
 *
 * A message of a session waits for those before it, is handed over, and is done. When it counts as
 * received is the mode's: when it is done, or (early) on its coming. What is redelivered in another
 * session while the first is in work shares its fate: both are acknowledged when that is done.
 *
 * Threads: one owner. Time is CLOCK_MONOTONIC's or the test's, in ns.
 */

#include <sys/queue.h>

#include "sl_session.h"
#include "sluice.h"
#include "udp.h"

struct sl_con_session;

/** A message, in the memory of the shell. */
struct sl_con_message {
	struct sluice_delivery delivery;  /**< First: the application gives back a pointer to it. */
	TAILQ_ENTRY(sl_con_message) next; /**< In the list of who has it. */
	struct sl_con_session *session;	  /**< NULL: at-most-once. */
	struct sl_con_message *also;	  /**< The same message, redelivered; to be done with it. */
	uint64_t came_at;
	uint32_t capacity; /**< Of bytes. */
	uint8_t bytes[];
};

TAILQ_HEAD(sl_con_list, sl_con_message);

/** What the core asks of the shell. None may call the core. */
struct sl_con_hooks {
	void *arg;
	/** Memory for a message of @p len bytes; its capacity is set. @return NULL: there is none
	 */
	struct sl_con_message *(*get)(void *arg, uint32_t len);
	void (*release)(void *arg, struct sl_con_message *message);
	/** It is the application's turn. */
	void (*deliver)(void *arg, struct sl_con_message *message);
	void (*send)(void *arg, const struct sl_udp_peer *peer, const uint8_t *data, size_t len);
	void (*event)(void *arg, enum sluice_level level, const struct sl_udp_peer *peer,
		const char *what);
};

struct sl_con_params {
	uint32_t window;
	uint32_t sessions_max;
	uint32_t dedup_messages;
	uint32_t queue_messages;
	uint64_t memory_bytes;
	uint64_t idle_ns;
	uint64_t ack_delay_ns;
	uint32_t ack_every;
	bool is_early;
	bool is_unordered;
	bool trusts_epochs; /**< Datagrams of a lower epoch than the highest are ignored. */
	uint64_t seed;
	struct sl_con_hooks hooks;
};

struct sl_con_core;

/** @return NULL: no memory */
struct sl_con_core *sl_con_new(const struct sl_con_params *params);
/** Messages that wait are released; those handed over are the shell's. */
void sl_con_free(struct sl_con_core *core);

/** A datagram came. */
void sl_con_input(struct sl_con_core *core, const struct sl_udp_peer *peer, const uint8_t *data,
	size_t len, uint64_t now);

/** The application is done with a message: it is released. */
void sl_con_done(struct sl_con_core *core, struct sl_con_message *message, uint64_t now);

/** It is not done, and will not be: it is released, and not acknowledged. */
void sl_con_drop(struct sl_con_core *core, struct sl_con_message *message);

/** Send what acknowledgements are due; at the end of a turn. @param is_end  all that there are */
void sl_con_flush(struct sl_con_core *core, uint64_t now, bool is_end);

/** Forget who has been silent for too long. */
void sl_con_tick(struct sl_con_core *core, uint64_t now);

/** When sl_con_flush() and sl_con_tick() are to be called at the latest. */
uint64_t sl_con_deadline(const struct sl_con_core *core);

/** Is an acknowledgement waiting for more? */
bool sl_con_has_timer(const struct sl_con_core *core);

/** Fill in what the core knows of it. */
void sl_con_get_stats(const struct sl_con_core *core, struct sluice_consumer_stats *stats);

#endif /* SL_CON_CORE_H */
