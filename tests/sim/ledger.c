/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* What an observer outside knows, and what must hold of it. */
#include <inttypes.h>
#include <string.h>

#include <rte_common.h>

#include "sim.h"

#define SMALL_MAX 300u
#define LARGE_MAX 60000u

void
ledger_init(struct sim *sim, uint32_t nb)
{
	struct ledger *l = &sim->ledger;
	uint32_t large_max;

	memset(l, 0, sizeof(*l));
	/* So that some runs need more than one segment. */
	large_max = LARGE_MAX >> 2 * below(sim, 4);
	l->msgs = sim_zalloc(nb * sizeof(l->msgs[0]));
	l->nb = nb;
	for (uint32_t m = 0; m < nb; m++) {
		l->msgs[m].publisher = (uint32_t)below(sim, sim->nb_publishers);
		l->msgs[m].size = 4 + (uint32_t)below(sim, SMALL_MAX);
		if (chance(sim, 100, 1000))
			l->msgs[m].size = 4 + (uint32_t)below(sim, large_max);
		l->msgs[m].timestamp_ns = sim->now + m;
	}
}

void
ledger_free(struct sim *sim)
{
	free(sim->ledger.msgs);
}

uint32_t
ledger_build(struct sim *sim, uint32_t m, uint64_t sequence, uint8_t *to)
{
	static uint8_t payload[LARGE_MAX + 4], message[LARGE_MAX + 512];
	const struct msg *msg = &sim->ledger.msgs[m];
	const struct sl_wire_message fields = {
		/* Ids that differ in one half only: all of a key counts. */
		.key = {.destination = 1 + m % DESTINATIONS,
			.source = 1 + msg->publisher,
			.id_high = m,
			.id_low = m % 3},
		.sequence = sequence,
		.timestamp_ns = msg->timestamp_ns,
		.flags = SL_WIRE_FLAG_ACK,
		.payload = payload,
		.payload_len = msg->size,
	};
	uint32_t envelope, len;

	sl_wire_put32(payload, m);
	for (uint32_t i = 4; i < msg->size; i++)
		payload[i] = (uint8_t)(m + i * 7);
	len = (uint32_t)(sl_wire_put_message(message, &fields) - message);
	for (envelope = 1; (message[envelope] & 0x80) != 0; envelope++)
		;
	envelope++;
	memcpy(to, message + envelope, len - envelope);
	return len - envelope;
}

uint32_t
ledger_find(struct sim *sim, const uint8_t *message, uint32_t len, const char *where)
{
	static uint8_t expected[LARGE_MAX + 512];
	const uint8_t *payload;
	uint32_t payload_len, m;

	payload = sl_wire_message_payload(message, len, &payload_len);
	m = payload != NULL && payload_len >= 4 ? sl_wire_get32(payload) : UINT32_MAX;
	if (m >= sim->ledger.nb ||
		ledger_build(sim, m, sl_wire_get64(message + SL_WIRE_OFF_SEQUENCE), expected) !=
			len ||
		memcmp(expected, message, len) != 0) {
		sim_fail(sim, "%s there is a message that nobody sent", where);
		return UINT32_MAX;
	}
	return m;
}

void
ledger_acked(struct sim *sim, uint32_t m)
{
	if (sim->ledger.msgs[m].is_acked)
		sim_fail(sim, "message %" PRIu32 " was acknowledged twice", m);
	sim->ledger.msgs[m].is_acked = true;
	sim->ledger.nb_acked++;
}

void
ledger_accepted(struct sim *sim, uint32_t m, uint64_t window_ns)
{
	struct msg *msg = &sim->ledger.msgs[m];

	if (msg->accepted_ns != 0)
		sim_say(sim,
			"message %" PRIu32 ", accepted %" PRIu64
			" ms ago and %s, is accepted again; the window is %" PRIu64 " ms",
			m, (sim->now - msg->accepted_ns) / MS,
			msg->is_durable ? "durable" : "perhaps lost", window_ns / MS);
	/* Deduplication promises no more than its window, in whole ms. */
	if (msg->accepted_ns != 0 && sim->now - msg->accepted_ns >= window_ns - MS)
		msg->may_repeat = true;
	msg->accepted_ns = sim->now;
}

/* Everybody who is to have a message. */
static uint32_t
all_backends(const struct sim *sim)
{
	return (UINT32_C(1) << sim->nb_backends) - 1;
}

void
ledger_delivered(struct sim *sim, uint32_t m, uint32_t backend)
{
	struct ledger *l = &sim->ledger;
	struct msg *msg = &l->msgs[m];
	bool is_repeated = msg->nb_delivered != 0;
	uint32_t *latest;

	if (is_of_topic(m))
		is_repeated = (msg->had_by & UINT32_C(1) << backend) != 0;
	msg->backend = backend;
	msg->had_by |= UINT32_C(1) << backend;
	msg->nb_delivered++;
	if (is_repeated) {
		l->nb_repeated++;
		if (!msg->may_repeat)
			sim_fail(
				sim, "message %" PRIu32 " was delivered twice without a reason", m);
		return;
	}
	if (msg->nb_delivered > 1)
		return;
	msg->delivered_ns = sim->now;
	l->nb_delivered++;
	latest = &l->latest[msg->publisher][m % DESTINATIONS];
	l->nb_reordered += m < *latest;
	*latest = RTE_MAX(*latest, m);
}

void
ledger_recovered(struct sim *sim)
{
	for (uint32_t m = 0; m < sim->ledger.nb; m++) {
		struct msg *msg = &sim->ledger.msgs[m];

		if (is_of_topic(m) && msg->is_acked &&
			(msg->had_by | msg->undelivered_to) != all_backends(sim))
			sim_fail(sim,
				"message %" PRIu32 " of a topic was acknowledged, and is neither "
				"delivered to each subscriber nor in the journal for him",
				m);
		if (msg->is_acked && msg->nb_delivered == 0 && !msg->is_undelivered)
			sim_fail(sim,
				"message %" PRIu32 " was acknowledged, and is neither delivered "
				"nor in the journal%s",
				m, msg->is_durable ? ", which had it" : "");
		/* It is delivered again; or it is accepted again, since its record was lost. */
		if (msg->is_undelivered || (msg->accepted_ns != 0 && !msg->is_durable))
			msg->may_repeat = true;
	}
}

void
ledger_history_lost(struct sim *sim)
{
	for (uint32_t m = 0; m < sim->ledger.nb; m++)
		sim->ledger.msgs[m].may_repeat |= sim->ledger.msgs[m].accepted_ns != 0;
}

void
ledger_drained(struct sim *sim)
{
	const struct ledger *l = &sim->ledger;

	for (uint32_t m = 0; m < l->nb; m++) {
		if (l->msgs[m].is_acked && l->msgs[m].nb_delivered == 0)
			sim_fail(sim, "message %" PRIu32 " was acknowledged, and is lost", m);
		if (is_of_topic(m) && l->msgs[m].had_by != all_backends(sim))
			sim_fail(sim, "message %" PRIu32 " did not come to every subscriber", m);
		if (!l->msgs[m].is_acked)
			sim_fail(sim,
				"message %" PRIu32 " of publisher %" PRIu32
				" is not acknowledged, although nothing befell it any more",
				m, l->msgs[m].publisher);
	}
}
