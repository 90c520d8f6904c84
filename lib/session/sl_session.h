/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_SESSION_H
#define SL_SESSION_H

/**
 * @file
 * The two ends of an acknowledged stream, sans-IO.
 *
 * A *session* is a numbered stream of messages from a sender to a receiver: sequence 1, 2, 3, ...
 * The receiver says what it has (cumulative, selective, highest) and how far the sender may go
 * (credit_limit, absolute); the sender sends again what is missing. The same two cores serve both
 * hops: publisher to appliance (the receiver has what is durable) and appliance to backend.
 *
 * Loss detection is that of QUIC (RFC 9002, section 6): a message is lost when one sent three
 * later, or 9/8 of a round trip later, has been acknowledged; both grow while the way is seen to
 * reorder, as in RFC 8985. When nothing is heard for a timeout (RFC 6298, with backoff), the first
 * that is missing is sent again, and the answer tells of the rest. An ack has no room for all gaps
 * of a large window: what it cannot tell of is not taken for lost. The congestion window is RFC
 * 9002's NewReno, counted in messages, from 64 on, never below 16.
 *
 * The round trip is measured by the sender's own times, at messages sent once (Karn's rule) that
 * are the highest an ack tells of; the receiver's ack_delay_ns is taken off, up to
 * ack_delay_max_ns. echo_timestamp_ns is not used.
 *
 * When a receiver does not know a session (it was restarted, or the session was idle for too long)
 * and the first it sees of it is not near its begin, it answers with an Ack of cumulative 0 and
 * credit_limit 0: a *refusal*. The sender then goes on in a new session, with another number, and
 * sends there all that was not acknowledged; the ids in the messages tell what was had before.
 * Until the first ack a sender sends at most SL_SESSION_BEGIN_MAX messages, so that a receiver may
 * begin with any up to that one. One that forgot a young session begins it again, and shows by what
 * it lacks that it did: the sender takes that for a refusal.
 *
 * Credit is never less than one message beyond what is complete, so that a sender that was held
 * back asks by that one message, and no lost ack stops a session for ever.
 *
 * Time is the caller's clock in ns; it does not run backwards. Threads: one owner each. No call
 * allocates or blocks. Nothing a peer says may do more than its own session harm: an ack costs at
 * most a look at 1,024 bits and at the messages it newly acknowledges.
 *
 * Memory: a sender takes 32 1/8 bytes a message of its window, and 320; a receiver 1/8 and 48.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sl_wire.h"

/** The largest window, in messages. */
#define SL_SESSION_WINDOW_MAX (UINT32_C(1) << 20)
/** A sender goes no further before its first ack. */
#define SL_SESSION_BEGIN_MAX UINT32_C(1024)

/** @name Sender. @{ */

struct sl_session_tx;

struct sl_session_tx_params {
	uint64_t session; /**< Its number; not 0. Random, so that nobody else can guess it. */
	uint32_t window;  /**< Messages in flight at most: a power of 2 up to the maximum. */
	uint32_t initial_credit;   /**< Until the first ack; SL_SESSION_BEGIN_MAX at most. */
	uint64_t rtt_initial_ns;   /**< Until one is measured: 100 ms is usual, 10 ms in a rack. */
	uint64_t rto_min_ns;	   /**< The shortest timeout, e.g. 5 ms. */
	uint64_t rto_max_ns;	   /**< The longest, with backoff, e.g. 1 s. */
	uint64_t ack_delay_max_ns; /**< How long the receiver may take its time. */
};

/** What a sender tells of itself. */
struct sl_session_tx_stats {
	uint64_t next_sequence; /**< That the next message gets. */
	uint64_t acked;		/**< All up to this one. */
	uint64_t credit_limit;
	uint32_t in_flight; /**< Sent, and not acknowledged. */
	uint32_t congestion_window;
	uint64_t srtt_ns; /**< 0: none measured yet. */
	uint64_t rttvar_ns;
	uint64_t retransmitted;
	uint64_t spurious; /**< Retransmitted, and acknowledged sooner than that explains. */
	uint32_t timeouts_in_a_row; /**< Since something was acknowledged last. */
	uint64_t bad_acks;
};

size_t sl_session_tx_memory_size(const struct sl_session_tx_params *params);

/** @param mem  sl_session_tx_memory_size() bytes, zeroed, aligned to 64 */
struct sl_session_tx *
sl_session_tx_init(void *mem, const struct sl_session_tx_params *params, uint64_t now);

/** How many messages may be sent now: credit, window and congestion allow it. */
uint32_t sl_session_tx_room(const struct sl_session_tx *tx);

/**
 * A message is being sent; there is room.
 * @param msg  the caller's; comes back when it is acknowledged, or is to be sent again
 * @return its sequence
 */
uint64_t sl_session_tx_send(struct sl_session_tx *tx, void *msg, uint64_t now);

/** A message was acknowledged: it is the caller's again. Calls nothing of the same session. */
typedef void (*sl_session_acked_t)(void *arg, void *msg, uint64_t sequence, uint32_t attempts);

enum sl_session_ack {
	SL_SESSION_ACK_OK = 0,
	/** Says less than one before, or is of another session: overtaken on the way. Harmless. */
	SL_SESSION_ACK_OLD,
	SL_SESSION_ACK_BAD, /**< Acknowledges what was never sent, or contradicts itself. */
	/** The receiver does not know the session, or has forgotten it: go on in another. */
	SL_SESSION_ACK_REFUSED,
};

/**
 * Take an acknowledgement. A bad one changes nothing. Credit never shrinks, but for the first ack,
 * which stands for the initial one; cumulative never goes back. What was acknowledged selectively
 * stays acknowledged.
 */
enum sl_session_ack sl_session_tx_ack(struct sl_session_tx *tx, const struct sl_wire_ack *ack,
	uint64_t now, sl_session_acked_t acked, void *arg);

/**
 * Have what an ack touches fetched into the cache: first the sender itself, then the entries of
 * what it acknowledges. Who has several acks to take calls each for all of them, then
 * sl_session_tx_peek(), then sl_session_tx_ack().
 */
void sl_session_tx_prefetch(const struct sl_session_tx *tx);
void sl_session_tx_prefetch_entries(const struct sl_session_tx *tx, const struct sl_wire_ack *ack);

/** The same for the entry of the next message to be sent. */
void sl_session_tx_prefetch_next(const struct sl_session_tx *tx);

/** Messages that are fetched ahead of an ack. */
#define SL_SESSION_PEEK_MAX 16u

/**
 * The first messages that an ack will probably acknowledge, to be fetched, not to be read: the
 * caller may have some of them back already.
 * @param[out] msgs  SL_SESSION_PEEK_MAX at most
 * @return how many
 */
uint32_t
sl_session_tx_peek(const struct sl_session_tx *tx, const struct sl_wire_ack *ack, void **msgs);

/** A message that is to be sent again. */
struct sl_session_resend {
	void *msg;
	uint64_t sequence;
	uint32_t attempts; /**< This one counted: 2 or more. */
};

/**
 * Take up to @p max messages that are to be sent again at @p now; they count as sent again. Those
 * lost more than once come first, then the others in the order of their sequence.
 */
uint32_t sl_session_tx_resend(
	struct sl_session_tx *tx, uint64_t now, struct sl_session_resend *resends, uint32_t max);

/**
 * What sl_session_tx_resend() has just given is not sent after all: it does not count. The session
 * has to begin anew then, by sl_session_tx_restart().
 */
void
sl_session_tx_unsend(struct sl_session_tx *tx, const struct sl_session_resend *resends, uint32_t n);

/**
 * When sl_session_tx_resend() is to be called again at the latest: 0: something waits to be sent
 * again; UINT64_MAX: nothing is in flight. Sending and acks change it.
 */
uint64_t sl_session_tx_deadline(const struct sl_session_tx *tx);

/**
 * Take back everything that is not acknowledged, in the order of its sequence, and begin anew under
 * another number, from sequence 1. What was learnt of the way (round trip) is kept.
 */
void sl_session_tx_restart(struct sl_session_tx *tx, uint64_t session, uint64_t now,
	sl_session_acked_t taken, void *arg);

void sl_session_tx_get_stats(const struct sl_session_tx *tx, struct sl_session_tx_stats *stats);
/** @} */

/** @name Receiver. @{ */

struct sl_session_rx;

struct sl_session_rx_params {
	uint64_t session;
	uint32_t window; /**< How far ahead of what is complete it remembers; a power of 2. */
};

enum sl_session_receive {
	SL_SESSION_NEW,
	SL_SESSION_DUPLICATE, /**< It has that one. */
	SL_SESSION_BEYOND,    /**< Past the window, or 0: not taken. */
};

size_t sl_session_rx_memory_size(const struct sl_session_rx_params *params);
/** @param mem  zeroed, aligned to 64. Also to begin anew in the same memory, zeroed again. */
struct sl_session_rx *sl_session_rx_init(void *mem, const struct sl_session_rx_params *params);

/** May a session that is not known yet begin with this sequence? Else it is to be refused. */
bool sl_session_rx_may_begin(uint64_t sequence);

/** The receiver has this message now (for a publisher: it is durable). */
enum sl_session_receive sl_session_rx_receive(struct sl_session_rx *rx, uint64_t sequence);

/** Has it that message? */
bool sl_session_rx_has(const struct sl_session_rx *rx, uint64_t sequence);

/** All up to this one have been received. */
uint64_t sl_session_rx_cumulative(const struct sl_session_rx *rx);

/**
 * Say what was received.
 * @param credit  messages beyond what is complete that may be on their way: 1 .. window. The limit
 *                that is told never goes back, so less credit takes effect slowly.
 * @param[out] ack  all but echo_timestamp_ns and ack_delay_ns, which are the caller's
 */
void sl_session_rx_ack(struct sl_session_rx *rx, uint32_t credit, struct sl_wire_ack *ack);

/** What to answer to a session that is not known. */
void sl_session_refuse(uint64_t session, struct sl_wire_ack *ack);
/** @} */

#endif /* SL_SESSION_H */
