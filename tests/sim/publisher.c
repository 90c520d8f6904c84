/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Those who send: each a session towards the appliance. */
#include <inttypes.h>
#include <string.h>

#include <rte_common.h>

#include "sim.h"

#define DATAGRAM_USUAL 1400

struct publisher {
	struct sl_session_tx *tx;
	uint64_t session;
	uint32_t *todo; /* Not sent in this session; those taken back first. */
	uint32_t first, last;
	uint64_t next_ns; /* When it has something new to say. */
	uint64_t pace_ns;
	uint8_t buf[DATAGRAM_MAX];
	size_t len; /* 0: no datagram is begun. */
};

void
publishers_init(struct sim *sim)
{
	const struct sl_session_tx_params params = {
		.window = UINT32_C(1) << (4 + below(sim, 8)),
		.initial_credit = 1 + (uint32_t)below(sim, 512),
		.rtt_initial_ns = 10 * MS,
		.rto_min_ns = 5 * MS,
		.rto_max_ns = 500 * MS,
		.ack_delay_max_ns = 10 * MS,
	};

	sim->publishers = sim_zalloc(sim->nb_publishers * sizeof(*sim->publishers));
	for (uint32_t i = 0; i < sim->nb_publishers; i++) {
		struct publisher *p = &sim->publishers[i];
		struct sl_session_tx_params own = params;

		p->session = own.session = 1 + (test_rand_u64(&sim->r) >> 1);
		p->tx = sl_session_tx_init(
			sim_zalloc(sl_session_tx_memory_size(&own)), &own, sim->now);
		p->todo = sim_zalloc(sim->ledger.nb * sizeof(p->todo[0]));
		for (uint32_t m = 0; m < sim->ledger.nb; m++) {
			if (sim->ledger.msgs[m].publisher == i)
				p->todo[p->last++] = m;
		}
		p->pace_ns = 1 + below(sim, 10 * MS);
		p->next_ns = sim->now;
	}
}

void
publishers_free(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->nb_publishers; i++) {
		free(sim->publishers[i].tx);
		free(sim->publishers[i].todo);
	}
	free(sim->publishers);
}

static void
flush(struct sim *sim, struct publisher *p)
{
	if (p->len != 0)
		net_send(sim, 1 + (uint32_t)(p - sim->publishers), APPLIANCE, p->buf, p->len);
	p->len = 0;
}

static void
put(struct sim *sim, struct publisher *p, uint32_t m, uint64_t sequence)
{
	static uint8_t message[DATAGRAM_MAX];
	uint32_t len = ledger_build(sim, m, sequence, message);
	uint8_t *to;

	if (p->len + len + SL_WIRE_ENVELOPE_MAX > DATAGRAM_USUAL)
		flush(sim, p);
	if (p->len == 0)
		p->len = (size_t)(sl_wire_put_header(p->buf, 0, p->session) - p->buf);
	to = sl_wire_put_envelope(p->buf + p->len, len);
	memcpy(to, message, len);
	p->len = (size_t)(to - p->buf) + len;
}

uint64_t
publisher_next(const struct sim *sim, uint32_t i)
{
	const struct publisher *p = &sim->publishers[i];
	uint64_t at = sl_session_tx_deadline(p->tx);

	if (p->first < p->last && sl_session_tx_room(p->tx) > 0)
		at = RTE_MIN(at, p->next_ns);
	return at;
}

void
publisher_turn(struct sim *sim, uint32_t i)
{
	struct publisher *p = &sim->publishers[i];
	struct sl_session_resend resends[32];
	uint32_t n = sl_session_tx_resend(p->tx, sim->now, resends, RTE_DIM(resends)), m;

	for (uint32_t k = 0; k < n; k++)
		put(sim, p, (uint32_t)(uintptr_t)resends[k].msg - 1, resends[k].sequence);
	if (sim->now >= p->next_ns) {
		n = (uint32_t)below(sim, 40);
		n = RTE_MIN(n, sl_session_tx_room(p->tx));
		for (; n > 0 && p->first < p->last; n--) {
			m = p->todo[p->first++];
			put(sim, p, m,
				sl_session_tx_send(p->tx, (void *)(uintptr_t)(m + 1), sim->now));
		}
		p->next_ns = sim->now + p->pace_ns;
	}
	flush(sim, p);
}

static void
on_acked(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	(void)sequence;
	(void)attempts;
	ledger_acked(arg, (uint32_t)(uintptr_t)msg - 1);
}

static void
on_taken(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	struct publisher *p = arg;

	(void)sequence;
	(void)attempts;
	p->todo[p->last++] = (uint32_t)(uintptr_t)msg - 1;
}

/* What was taken back goes first. */
static void
go_on_in_another(struct sim *sim, struct publisher *p)
{
	uint32_t nb_rest = p->last - p->first;
	uint32_t *rest = sim_zalloc((nb_rest + 1) * sizeof(rest[0]));

	memcpy(rest, p->todo + p->first, nb_rest * sizeof(rest[0]));
	p->first = p->last = 0;
	p->session = 1 + (test_rand_u64(&sim->r) >> 1);
	sl_session_tx_restart(p->tx, p->session, sim->now, on_taken, p);
	memcpy(p->todo + p->last, rest, nb_rest * sizeof(rest[0]));
	p->last += nb_rest;
	p->next_ns = sim->now;
	free(rest);
}

void
publisher_input(struct sim *sim, uint32_t i, const uint8_t *data, size_t len)
{
	struct publisher *p = &sim->publishers[i];
	struct sl_wire_ack ack;

	if (!sl_wire_parse_ack_fast(data, len, &ack)) {
		sim_fail(sim, "publisher %" PRIu32 " got what is no ack", i);
		return;
	}
	switch (sl_session_tx_ack(p->tx, &ack, sim->now, on_acked, sim)) {
	case SL_SESSION_ACK_BAD:
		sim_fail(sim, "publisher %" PRIu32 " got a bad ack", i);
		break;
	case SL_SESSION_ACK_REFUSED:
		sim_say(sim, "publisher %" PRIu32 " goes on in another session", i);
		go_on_in_another(sim, p);
		break;
	default:
		break;
	}
}
