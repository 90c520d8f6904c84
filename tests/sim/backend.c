/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Those who receive: a few sessions each, from the workers of the appliance. */
#include <inttypes.h>
#include <string.h>

#include <rte_common.h>

#include "sim.h"

#define SESSIONS 16 /* The oldest gives way. */
#define WINDOW	 1024

struct stream {
	struct sl_session_rx *rx;
	uint64_t session; /* 0: none. */
	uint64_t used_ns;
	bool has_news;
};

struct backend {
	struct stream streams[SESSIONS];
	uint64_t say_ns; /* UINT64_MAX: it has nothing to say. */
	uint64_t delay_ns;
};

static const struct sl_session_rx_params any_session = {.session = 1, .window = WINDOW};

void
backends_init(struct sim *sim)
{
	sim->backends = sim_zalloc(sim->nb_backends * sizeof(*sim->backends));
	for (uint32_t i = 0; i < sim->nb_backends; i++) {
		struct backend *b = &sim->backends[i];

		b->say_ns = UINT64_MAX;
		b->delay_ns = below(sim, 2 * MS);
		for (uint32_t s = 0; s < SESSIONS; s++)
			b->streams[s].rx = sim_zalloc(sl_session_rx_memory_size(&any_session));
	}
}

void
backends_free(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->nb_backends; i++) {
		for (uint32_t s = 0; s < SESSIONS; s++)
			free(sim->backends[i].streams[s].rx);
	}
	free(sim->backends);
}

uint64_t
backend_next(const struct sim *sim, uint32_t i)
{
	return sim->backends[i].say_ns;
}

static void
say(struct sim *sim, uint32_t i, const struct sl_wire_ack *ack)
{
	uint8_t buf[SL_WIRE_ACK_MAX];

	net_send(sim, 1 + sim->nb_publishers + i, APPLIANCE, buf, sl_wire_put_ack(buf, 0, ack));
}

void
backend_turn(struct sim *sim, uint32_t i)
{
	struct backend *b = &sim->backends[i];
	struct sl_wire_ack ack = {0};

	for (uint32_t s = 0; s < SESSIONS; s++) {
		if (b->streams[s].session == 0 || !b->streams[s].has_news)
			continue;
		b->streams[s].has_news = false;
		sl_session_rx_ack(b->streams[s].rx, WINDOW, &ack);
		say(sim, i, &ack);
	}
	b->say_ns = UINT64_MAX;
}

/* The session's, or one to begin it in. */
static struct stream *
find_stream(struct backend *b, uint64_t session)
{
	struct stream *oldest = &b->streams[0];

	for (uint32_t s = 0; s < SESSIONS; s++) {
		if (b->streams[s].session == session)
			return &b->streams[s];
		if (b->streams[s].used_ns < oldest->used_ns)
			oldest = &b->streams[s];
	}
	return oldest;
}

/* What a session that is forgotten had may come again. */
static void
forget_stream(struct sim *sim, uint32_t i, struct stream *s)
{
	if (s->session == 0)
		return;
	s->session = 0;
	for (uint32_t m = 0; m < sim->ledger.nb; m++) {
		const struct msg *msg = &sim->ledger.msgs[m];

		if (is_of_topic(m) ? (msg->had_by & UINT32_C(1) << i) != 0
				   : msg->nb_delivered != 0 && msg->backend == i)
			sim->ledger.msgs[m].may_repeat = true;
	}
}

void
backend_forget(struct sim *sim, uint32_t i)
{
	sim_say(sim, "backend %" PRIu32 " forgets", i);
	for (uint32_t s = 0; s < SESSIONS; s++)
		forget_stream(sim, i, &sim->backends[i].streams[s]);
}

static bool
begin_session(struct sim *sim, uint32_t i, struct stream *s, uint64_t session, uint64_t sequence)
{
	struct sl_session_rx_params params = any_session;
	struct sl_wire_ack ack;

	if (!sl_session_rx_may_begin(sequence)) {
		sl_session_refuse(session, &ack);
		say(sim, i, &ack);
		return false;
	}
	forget_stream(sim, i, s);
	params.session = s->session = session;
	memset(s->rx, 0, sl_session_rx_memory_size(&params));
	s->rx = sl_session_rx_init(s->rx, &params);
	return true;
}

void
backend_input(struct sim *sim, uint32_t i, const uint8_t *data, size_t len)
{
	struct backend *b = &sim->backends[i];
	struct sl_wire_datagram d;
	const uint8_t *message;
	struct stream *s;
	uint64_t sequence;
	uint32_t m;

	if (sl_wire_parse(data, len, &d) != SL_WIRE_OK || !d.is_single) {
		sim_fail(sim, "backend %" PRIu32 " got what is no message", i);
		return;
	}
	message = data + d.messages[0].offset;
	sequence = sl_wire_get64(message + SL_WIRE_OFF_SEQUENCE);
	m = ledger_find(sim, message, d.messages[0].len, "at a backend");
	if (m == UINT32_MAX)
		return;
	s = find_stream(b, d.session);
	if (s->session != d.session && !begin_session(sim, i, s, d.session, sequence))
		return;
	s->used_ns = sim->now;
	s->has_news = true;
	b->say_ns = RTE_MIN(b->say_ns, sim->now + b->delay_ns);
	if (sl_session_rx_receive(s->rx, sequence) == SL_SESSION_NEW)
		ledger_delivered(sim, m, i);
}
