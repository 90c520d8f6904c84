/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * A sender and a receiver driven by a sequence of operations, honest acks among hostile ones.
 *
 *   - Every message is given back once: acknowledged, or taken back at a restart.
 *   - What is in flight, sent and resent stays within window, credit and congestion window.
 *   - A bad ack, and one of another session, changes nothing but their count.
 *   - An honest ack that nothing hostile came before is never bad, and acknowledges only what the
 *     receiver has.
 *   - While anything is in flight there is a deadline, and at the deadline something is sent again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "sl_session.h"

#define MESSAGES 16384
#define MS	 UINT64_C(1000000)

struct input {
	const uint8_t *data;
	size_t size;
};

struct state {
	struct sl_session_tx *tx;
	struct sl_session_rx *rx;
	uint64_t now;
	uint64_t session;
	uint32_t window;
	uint32_t nb_sent; /* Messages; the pointer of each is its number. */
	uint32_t nb_back;
	bool is_back[MESSAGES + 1];
	uint64_t sequence[MESSAGES + 1];
	bool is_honest; /* Nothing hostile came in this session. */
	bool is_heard;	/* An ack was taken in it. */
	bool is_restarting;
	uint64_t last_sequence;
};

static struct state s;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_session: %s\n", what);
	abort();
}

static uint8_t
next_byte(struct input *in)
{
	if (in->size == 0)
		return 0;
	in->size--;
	return *in->data++;
}

/* Mostly small. */
static uint64_t
next_number(struct input *in)
{
	uint64_t v = 0;

	for (uint32_t n = next_byte(in) % 9; n > 0; n--)
		v = v << 8 | next_byte(in);
	return v;
}

static void
on_back(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	uint32_t m = (uint32_t)(uintptr_t)msg;

	(void)arg;
	require(m >= 1 && m <= s.nb_sent, "a message that was never sent");
	require(!s.is_back[m], "a message given back twice");
	require(s.sequence[m] == sequence && attempts >= 1, "another sequence");
	require(s.is_restarting || !s.is_honest || sl_session_rx_has(s.rx, sequence),
		"acknowledged, but not received");
	require(!s.is_restarting || sequence > s.last_sequence, "taken back out of order");
	s.last_sequence = sequence;
	s.is_back[m] = true;
	s.nb_back++;
}

static struct sl_session_tx_stats
check_sender(void)
{
	struct sl_session_tx_stats stats;

	sl_session_tx_get_stats(s.tx, &stats);
	require(stats.in_flight == s.nb_sent - s.nb_back, "in_flight is wrong");
	require(stats.next_sequence - 1 - stats.acked <= s.window, "more than the window");
	require(stats.acked < stats.next_sequence, "acknowledged beyond what was sent");
	require(stats.congestion_window >= 1 && stats.congestion_window <= s.window,
		"the congestion window is out of bounds");
	require((sl_session_tx_deadline(s.tx) == UINT64_MAX) == (stats.in_flight == 0),
		"no deadline, or one for nothing");
	return stats;
}

static void
do_send(uint32_t n)
{
	uint64_t sequence;

	n = RTE_MIN(n, sl_session_tx_room(s.tx));
	for (; n > 0 && s.nb_sent < MESSAGES; n--) {
		sequence = sl_session_tx_send(s.tx, (void *)(uintptr_t)(s.nb_sent + 1), s.now);
		s.sequence[++s.nb_sent] = sequence;
	}
}

static void
do_restart(void)
{
	s.is_restarting = true;
	s.last_sequence = 0;
	s.is_heard = false;
	sl_session_tx_restart(s.tx, ++s.session, s.now, on_back, NULL);
	s.is_restarting = false;
	require(s.nb_back == s.nb_sent, "not all was taken back");
	require(sl_session_tx_room(s.tx) > 0, "a new session has no room");
}

static void
new_receiver(void)
{
	const struct sl_session_rx_params params = {.session = s.session, .window = s.window};

	memset(s.rx, 0, sl_session_rx_memory_size(&params));
	s.rx = sl_session_rx_init(s.rx, &params);
}

static void
take(const struct sl_wire_ack *ack, bool is_ours)
{
	struct sl_session_tx_stats before = check_sender(), after;
	bool was_honest = s.is_honest;
	enum sl_session_ack rc;

	s.is_honest &= is_ours;
	rc = sl_session_tx_ack(s.tx, ack, s.now, on_back, NULL);
	require(!is_ours || !was_honest || rc == SL_SESSION_ACK_OK, "an honest ack is not taken");
	if (rc == SL_SESSION_ACK_REFUSED) {
		do_restart();
		new_receiver();
		s.is_honest = true;
		return;
	}
	after = check_sender();
	/* The first ack stands for the initial credit, and may be less. */
	require(after.acked >= before.acked &&
			(!s.is_heard || after.credit_limit >= before.credit_limit),
		"something went back");
	s.is_heard |= rc == SL_SESSION_ACK_OK;
	if (rc == SL_SESSION_ACK_OK)
		return;
	s.is_honest = was_honest;
	require(after.in_flight == before.in_flight && after.acked == before.acked &&
			after.srtt_ns == before.srtt_ns &&
			after.bad_acks == before.bad_acks + (rc == SL_SESSION_ACK_BAD),
		"an ack that was not taken changed something");
}

static void
do_hostile_ack(struct input *in)
{
	struct sl_session_tx_stats stats = check_sender();
	struct sl_wire_ack ack = {.session = s.session};
	uint8_t kind = next_byte(in);

	/* Near the truth, or anything. */
	ack.cumulative = (kind & 1) ? next_number(in) : stats.acked + next_byte(in) % 8;
	ack.highest = (kind & 2) ? next_number(in) : ack.cumulative + next_number(in) % 1100;
	ack.credit_limit = next_number(in);
	ack.ack_delay_ns = (uint32_t)next_number(in);
	ack.echo_timestamp_ns = next_number(in);
	ack.selective_len = next_byte(in) % (SL_WIRE_SELECTIVE_MAX + 1);
	for (uint32_t i = 0; i < ack.selective_len; i++)
		ack.selective[i] = (kind & 4) ? 0xff : next_byte(in);
	if (kind & 8) /* Make it consistent with itself. */
		ack.selective_len = (uint32_t)RTE_MIN(
			ack.selective_len, (ack.highest - ack.cumulative) / 8);
	if (kind & 16)
		ack.session = next_number(in);
	take(&ack, false);
}

static void
do_honest_ack(void)
{
	struct sl_wire_ack ack = {0};

	sl_session_rx_ack(s.rx, s.window, &ack);
	take(&ack, true);
}

static void
do_resend(uint32_t max)
{
	struct sl_session_resend resends[256];
	uint32_t n = sl_session_tx_resend(s.tx, s.now, resends, max), m;

	require(n <= max, "more than asked for");
	for (uint32_t i = 0; i < n; i++) {
		m = (uint32_t)(uintptr_t)resends[i].msg;
		require(m >= 1 && m <= s.nb_sent && !s.is_back[m], "resent what is not in flight");
		require(s.sequence[m] == resends[i].sequence && resends[i].attempts >= 2,
			"resent as something else");
	}
}

static void
do_receive(struct input *in)
{
	struct sl_session_tx_stats stats = check_sender();
	uint64_t first = stats.acked + 1 + next_byte(in), n = next_byte(in);

	for (uint64_t q = first; q < first + n && q < stats.next_sequence; q++)
		sl_session_rx_receive(s.rx, q);
}

static void
do_deadline(void)
{
	uint64_t at = sl_session_tx_deadline(s.tx);
	struct sl_session_tx_stats before = check_sender(), after;

	if (at == UINT64_MAX)
		return;
	s.now = RTE_MAX(s.now, at);
	do_resend(1);
	after = check_sender();
	require(after.retransmitted == before.retransmitted + 1 ||
			sl_session_tx_deadline(s.tx) > s.now,
		"nothing was sent again at the deadline");
}

static void
begin(struct input *in)
{
	struct sl_session_tx_params tx = {
		.session = 1,
		.window = 1u << next_byte(in) % 13,
		.initial_credit = next_byte(in) * 8u,
		.rtt_initial_ns = MS,
		.rto_min_ns = MS,
		.rto_max_ns = 1000 * MS,
		.ack_delay_max_ns = MS,
	};
	struct sl_session_rx_params rx = {.session = 1, .window = tx.window};
	size_t tx_size = RTE_ALIGN_CEIL(sl_session_tx_memory_size(&tx), (size_t)64);
	size_t rx_size = RTE_ALIGN_CEIL(sl_session_rx_memory_size(&rx), (size_t)64);

	memset(&s, 0, sizeof(s));
	s.session = 1;
	s.window = tx.window;
	s.is_honest = true;
	s.tx = aligned_alloc(64, tx_size);
	s.rx = aligned_alloc(64, rx_size);
	memset(s.tx, 0, tx_size);
	memset(s.rx, 0, rx_size);
	s.tx = sl_session_tx_init(s.tx, &tx, 0);
	s.rx = sl_session_rx_init(s.rx, &rx);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	begin(&in);
	while (in.size > 0) {
		switch (next_byte(&in) % 8) {
		case 0:
			do_send(next_byte(&in));
			break;
		case 1:
			do_receive(&in);
			break;
		case 2:
			do_honest_ack();
			break;
		case 3:
			do_hostile_ack(&in);
			break;
		case 4:
			do_resend(next_byte(&in));
			break;
		case 5:
			s.now += next_number(&in) >> 24;
			break;
		case 6:
			do_deadline();
			break;
		case 7:
			sl_session_rx_receive(s.rx, next_number(&in));
			s.is_honest = false;
			break;
		}
		check_sender();
	}
	do_restart();
	free(s.tx);
	free(s.rx);
	return 0;
}
