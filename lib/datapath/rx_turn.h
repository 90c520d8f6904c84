/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef RX_TURN_H
#define RX_TURN_H

/**
 * @file
 * Whose frames an lcore takes in a turn: those of the wire, or those of gateways. Pure.
 *
 * A frame of a gateway holds many messages, and a gateway waits when its ring is full, where the
 * wire loses what is not taken. So the wire goes first, and while frames of it wait gateways get a
 * share of the lcore's time, by what their turns really took; else the two take turns, and who has
 * nothing leaves its turn to the other.
 */

#include <stdbool.h>
#include <stdint.h>

enum rx_side { RX_WIRE, RX_GATEWAYS, RX_SIDES };

/* While the wire waits, gateways get one part of the time for so many parts of the wire. */
#define RX_WIRE_PARTS 11

struct rx_turn {
	int64_t credit;	  /* Cycles that gateways may take while the wire waits. */
	int64_t cost_max; /* Of a turn. */
	enum rx_side last;
	bool wire_waits;
};

/** Who is asked first in the next turn; the other is when it has nothing. */
static inline enum rx_side
rx_turn_first(const struct rx_turn *turn)
{
	if (turn->last == RX_GATEWAYS || (turn->wire_waits && turn->credit <= 0))
		return RX_WIRE;
	return RX_GATEWAYS;
}

/** Frames have been taken; of the wire, perhaps as many as were asked for. */
static inline void
rx_turn_take(struct rx_turn *turn, enum rx_side side, bool is_full)
{
	turn->last = side;
	if (side == RX_WIRE)
		turn->wire_waits = is_full;
}

/** What the turn that has ended cost, in cycles. A longer one than the most was interrupted. */
static inline void
rx_turn_cost(struct rx_turn *turn, uint64_t cycles)
{
	int64_t cost = cycles < (uint64_t)turn->cost_max ? (int64_t)cycles : turn->cost_max;

	if (turn->last == RX_GATEWAYS)
		turn->credit -= cost;
	else
		turn->credit += cost / RX_WIRE_PARTS;
	/* Neither is much saved for later, nor owed for when the wire did not wait. */
	if (turn->credit > cost)
		turn->credit = cost;
	else if (turn->credit < -turn->cost_max)
		turn->credit = -turn->cost_max;
}

/*
 * A queue that brings a few frames a turn costs much for each: its ring, the code of other nodes
 * and the memory of other destinations are touched for them alone. While another queue has more
 * than a turn takes, such a one is looked at this often only, and all such ones in the same turn;
 * what has come by then goes together.
 */
#define RX_LOOKS_PER_S 7000

/**
 * When a queue is due that brought @p got frames of @p asked for at time @p now; while no other one
 * floods it is asked each turn all the same.
 * @param[in,out] most  that it ever brought at once: some drivers give fewer than they are asked
 * for
 * @return in cycles, as @p now; 0: in the next turn, there may be more
 */
static inline uint64_t
rx_queue_due(uint16_t got, uint16_t asked, uint16_t *most, uint64_t now, uint64_t tsc_hz)
{
	const uint64_t step = tsc_hz / RX_LOOKS_PER_S;

	if (got > *most)
		*most = got;
	if (got > 0 && (got == asked || got == *most))
		return 0;
	return now - now % step + step;
}

#endif /* RX_TURN_H */
