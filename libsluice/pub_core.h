/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_PUB_CORE_H
#define SL_PUB_CORE_H

/**
 * @file
 * What a publisher does, without sockets, clock or thread: which message goes next, in which
 * session, to which appliance of the list, and what an acknowledgement means.
 *
 * A message waits, is in flight in the session, and is settled: durable, or given up. A message
 * that is given up while in flight is told so at once and stays in the session until it is
 * acknowledged or the session ends, because a session has no holes; it is not taken into the next
 * one.
 *
 * Threads: one owner. Time is CLOCK_MONOTONIC's or the test's, in ns.
 */

#include <stdbool.h>
#include <sys/queue.h>

#include "pack.h"
#include "sl_session.h"
#include "sluice.h"

struct sl_pub_waiter;

/** A message, in the memory of the shell. */
struct sl_pub_message {
	TAILQ_ENTRY(sl_pub_message) next; /**< In the list of who has it. */
	TAILQ_ENTRY(sl_pub_message)
	live;		   /**< Of those not settled, in the order of their coming. */
	uint64_t deadline; /**< UINT64_MAX: none */
	sluice_done_fn done;
	void *arg;
	struct sl_pub_waiter *waiter; /**< The shell's, under its lock. */
	struct sluice_id id;
	uint32_t capacity; /**< Of bytes. */
	uint32_t len;
	uint32_t body; /**< Where the message begins in bytes, behind tag and length. */
	bool is_at_most_once;
	bool is_waiting;
	bool is_settled;
	bool is_waited_for;	   /**< There is, or was, a waiter. */
	_Atomic bool is_abandoned; /**< By who waited for it. */
	uint8_t bytes[];
};

TAILQ_HEAD(sl_pub_list, sl_pub_message);

/** What the core asks of the shell. None may call the core. */
struct sl_pub_hooks {
	void *arg;
	/** It is durable, was sent (at-most-once), or is given up. */
	void (*settled)(void *arg, struct sl_pub_message *message, int result);
	/** Its memory is the shell's again. */
	void (*release)(void *arg, struct sl_pub_message *message);
	/** Send to this one of the list from now on. @return false: there is no way to it */
	bool (*connect)(void *arg, uint32_t appliance);
	uint64_t (*random)(void *arg);
	/** The appliance of that number: @p what, a part of a sentence. */
	void (*event)(void *arg, enum sluice_level level, uint32_t appliance, const char *what);
	/** None answers or can be reached: look up again where they are. May be NULL. @return how
	 * many, 1 or more
	 */
	uint32_t (*look_up)(void *arg);
};

struct sl_pub_params {
	uint32_t window;
	uint32_t nb_appliances;
	uint64_t silence_ns;
	struct sl_pub_hooks hooks;
};

struct sl_pub_core;

/**
 * Connects to the first of the list that there is a way to. Without one, all messages wait.
 * @return NULL: no memory
 */
struct sl_pub_core *sl_pub_new(const struct sl_pub_params *params, uint64_t now);
/** Those that are left are settled with SLUICE_CLOSED, and released. */
void sl_pub_free(struct sl_pub_core *core);

/** Take a message over. */
void sl_pub_submit(struct sl_pub_core *core, struct sl_pub_message *message);

/** Give up those whose sender waits no longer (is_abandoned). */
void sl_pub_give_up_abandoned(struct sl_pub_core *core);

/** A datagram came from the appliance. */
void sl_pub_input(struct sl_pub_core *core, const uint8_t *data, size_t len, uint64_t now);

/** The system says that nobody is there (ICMP): a hint, which anybody can forge. */
void sl_pub_unreachable(struct sl_pub_core *core, uint64_t now);

/**
 * The system did not take what was to be sent, be it that our address is gone. When nothing is in
 * flight, of which silence would tell, the next message has the way looked for again, at most once
 * per silence.
 */
void sl_pub_not_sent(struct sl_pub_core *core, uint64_t now);

/** Do what is due: messages whose time is over, silence. */
void sl_pub_tick(struct sl_pub_core *core, uint64_t now);

/** Put what may go now into the batch; when that is full, there may be more. */
void sl_pub_output(struct sl_pub_core *core, struct sl_pack *pack, uint64_t now);

/** When sl_pub_tick() and sl_pub_output() are to be called at the latest. */
uint64_t sl_pub_deadline(const struct sl_pub_core *core);

/** Fill in what the core knows of it. */
void sl_pub_get_stats(const struct sl_pub_core *core, struct sluice_publisher_stats *stats);

#endif /* SL_PUB_CORE_H */
