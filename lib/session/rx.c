/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "bits.h"
#include "sl_session.h"

struct sl_session_rx {
	uint64_t session;
	uint64_t cumulative;
	uint64_t highest;
	uint64_t credit_limit; /* The highest told. */
	uint64_t mask;
	uint32_t window;
	uint64_t bits[]; /* Received, behind cumulative. */
};

size_t
sl_session_rx_memory_size(const struct sl_session_rx_params *params)
{
	return sizeof(struct sl_session_rx) + bits_circle(params->window) / 8;
}

struct sl_session_rx *
sl_session_rx_init(void *mem, const struct sl_session_rx_params *params)
{
	struct sl_session_rx *rx = mem;

	rx->session = params->session;
	rx->window = params->window;
	rx->mask = bits_circle(params->window) - 1;
	return rx;
}

bool
sl_session_rx_may_begin(uint64_t sequence)
{
	return sequence != 0 && sequence <= SL_SESSION_BEGIN_MAX;
}

enum sl_session_receive
sl_session_rx_receive(struct sl_session_rx *rx, uint64_t sequence)
{
	uint64_t ahead = sequence - rx->cumulative;

	if (likely(ahead == 1)) {
		rx->cumulative = sequence;
		if (likely(rx->highest < sequence))
			rx->highest = sequence;
		else
			rx->cumulative += bits_take_run(rx->bits, rx->mask, sequence + 1);
		return SL_SESSION_NEW;
	}
	if (sequence == 0)
		return SL_SESSION_BEYOND;
	if (sequence <= rx->cumulative)
		return SL_SESSION_DUPLICATE;
	if (ahead > rx->window)
		return SL_SESSION_BEYOND;
	if (bits_test(rx->bits, rx->mask, sequence))
		return SL_SESSION_DUPLICATE;
	bits_set(rx->bits, rx->mask, sequence);
	rx->highest = RTE_MAX(rx->highest, sequence);
	return SL_SESSION_NEW;
}

bool
sl_session_rx_has(const struct sl_session_rx *rx, uint64_t sequence)
{
	if (sequence <= rx->cumulative)
		return sequence != 0;
	return sequence <= rx->highest && bits_test(rx->bits, rx->mask, sequence);
}

uint64_t
sl_session_rx_cumulative(const struct sl_session_rx *rx)
{
	return rx->cumulative;
}

/* All that is known behind the first gap, as far as there is room for it in an ack. */
static uint32_t
put_selective(const struct sl_session_rx *rx, uint8_t *selective)
{
	uint64_t first = rx->cumulative + 2, word, n;

	if (rx->highest < first)
		return 0;
	n = RTE_MIN(rx->highest - first + 1, (uint64_t)SL_WIRE_SELECTIVE_MAX * 8);
	for (uint64_t i = 0; i < n; i += 64) {
		word = bits_read(rx->bits, rx->mask, first + i);
		/* The circle comes around behind the highest. */
		if (n - i < 64)
			word &= (UINT64_C(1) << (n - i)) - 1;
		sl_wire_put64(selective + i / 8, word);
	}
	return (uint32_t)((n + 7) / 8);
}

void
sl_session_rx_ack(struct sl_session_rx *rx, uint32_t credit, struct sl_wire_ack *ack)
{
	credit = RTE_MIN(credit, rx->window);
	credit = RTE_MAX(credit, 1u);
	rx->credit_limit = RTE_MAX(rx->credit_limit, rx->cumulative + credit);
	ack->session = rx->session;
	ack->cumulative = rx->cumulative;
	ack->highest = rx->highest;
	ack->credit_limit = rx->credit_limit;
	ack->selective_len = put_selective(rx, ack->selective);
}

void
sl_session_refuse(uint64_t session, struct sl_wire_ack *ack)
{
	*ack = (struct sl_wire_ack){.session = session};
}
