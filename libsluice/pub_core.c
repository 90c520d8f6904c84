/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include "pub_core.h"

#define MS UINT64_C(1000000)

/* A session's begin, before the appliance has said what it takes. */
#define INITIAL_CREDIT 64

/* Acknowledgements wait for the disk, whose time varies. */
#define RTT_INITIAL (50 * MS)
#define RTO_MIN	    (20 * MS)
#define RTO_MAX	    (1000 * MS) /* Or a third of what is silence, so that there is an answer in it. */
#define ACK_DELAY   (20 * MS)

/* Refused sessions, and rounds through the list that found nobody: pauses double up to these. */
#define REFUSED_PAUSE	  (10 * MS)
#define REFUSED_PAUSE_MAX (1000 * MS)
#define ROUND_PAUSE	  (100 * MS)
#define ROUND_PAUSE_MAX	  (5000 * MS)
/* So many refusals in a row, and the next appliance is asked. */
#define REFUSALS_MAX 4

/* After a refused connection the rest of the silence is this short. */
#define UNREACHABLE_SILENCE (50 * MS)

#define RESENDS 32
#define ARENA	65536

struct sl_pub_core {
	struct sl_pub_params params;
	struct sl_session_tx *tx;
	uint64_t session;
	uint32_t epoch;		    /* The highest in this session, since it was silent. */
	struct sl_pub_list waiting; /* For a place in the session. */
	struct sl_pub_list loose;   /* At-most-once. */
	struct sl_pub_list live;

	uint32_t appliance;
	uint32_t refusals; /* In a row, as is the next. */
	uint32_t hops;
	bool is_silence_told;
	uint64_t hold_until;  /* Nothing is sent in the session before; 0: no pause. */
	uint64_t quiet_since; /* In flight, and nothing heard since; 0: it is not so. */
	uint64_t silence_ns;  /* What is too long; grows with each round. */

	bool is_connected; /* Nothing is sent before. */
	bool is_no_way_told;
	bool is_next_wanted;   /* To be connected to this one again did not help. */
	uint64_t connected_at; /* Or tried to. */
	uint64_t way_at;       /* It is looked for then, to send something; 0: there is one. */

	uint64_t durable;
	uint64_t failed;
	uint64_t acks;
	uint64_t bad_acks;
	uint64_t old_epochs;
	uint64_t bad_datagrams;
	uint64_t refused;
	uint64_t failovers;
	uint64_t retransmitted;
	uint8_t *arena;	  /* Of the slow parser. */
	uint8_t *rewrite; /* Where it writes what nobody reads. */
};

static uint64_t
new_session(struct sl_pub_core *core)
{
	uint64_t session;

	do {
		session = core->params.hooks.random(core->params.hooks.arg);
	} while (session == 0);
	return session;
}

/* From 3/4 to 5/4, so that many publishers do not come at the same time. */
static uint64_t
jitter(struct sl_pub_core *core, uint64_t ns)
{
	return ns - ns / 4 + core->params.hooks.random(core->params.hooks.arg) % (ns / 2 + 1);
}

static uint64_t
doubled(uint64_t ns, uint32_t times, uint64_t max)
{
	while (times-- != 0 && ns < max)
		ns *= 2;
	return ns < max ? ns : max;
}

static bool
connect_to(struct sl_pub_core *core, uint32_t appliance, uint64_t now)
{
	core->is_connected = core->params.hooks.connect(core->params.hooks.arg, appliance);
	core->connected_at = now;
	core->way_at = core->is_connected ? 0 : now + core->params.silence_ns;
	core->is_next_wanted = false;
	return core->is_connected;
}

/* Connect to the first that there is a way to, from @p first on. @return false: there is none */
static bool
find_way(struct sl_pub_core *core, uint32_t first, uint64_t now)
{
	const struct sl_pub_hooks *hooks = &core->params.hooks;
	uint32_t nb = core->params.nb_appliances, appliance = first;

	for (uint32_t i = 0; i < nb; i++, appliance = (first + i) % nb) {
		if (connect_to(core, appliance, now)) {
			core->is_no_way_told = false;
			if (appliance == core->appliance)
				return true;
			core->appliance = appliance;
			core->failovers++;
			hooks->event(hooks->arg, SLUICE_LEVEL_INFO, appliance, "is tried now");
			return true;
		}
		if (!core->is_no_way_told)
			hooks->event(hooks->arg, SLUICE_LEVEL_WARNING, appliance,
				"cannot be reached from here now");
	}
	core->is_no_way_told = true;
	return false;
}

struct sl_pub_core *
sl_pub_new(const struct sl_pub_params *params, uint64_t now)
{
	struct sl_pub_core *core = calloc(1, sizeof(*core));
	struct sl_session_tx_params tx = {
		.window = params->window,
		.initial_credit = params->window < INITIAL_CREDIT ? params->window : INITIAL_CREDIT,
		.rtt_initial_ns = RTT_INITIAL,
		.rto_min_ns = RTO_MIN,
		.rto_max_ns = params->silence_ns < 3 * RTO_MAX ? params->silence_ns / 3 : RTO_MAX,
		.ack_delay_max_ns = ACK_DELAY,
	};
	size_t size = sl_session_tx_memory_size(&tx);
	void *mem = NULL;

	if (core == NULL)
		return NULL;
	core->params = *params;
	TAILQ_INIT(&core->waiting);
	TAILQ_INIT(&core->loose);
	TAILQ_INIT(&core->live);
	core->arena = malloc(ARENA);
	core->rewrite = malloc(UINT16_MAX);
	if (core->arena == NULL || core->rewrite == NULL || posix_memalign(&mem, 64, size) != 0) {
		free(core->arena);
		free(core->rewrite);
		free(core);
		return NULL;
	}
	memset(mem, 0, size);
	core->session = tx.session = new_session(core);
	core->tx = sl_session_tx_init(mem, &tx, now);
	core->silence_ns = jitter(core, params->silence_ns);
	find_way(core, 0, now);
	return core;
}

static void
settle(struct sl_pub_core *core, struct sl_pub_message *m, int result)
{
	if (m->is_settled)
		return;
	m->is_settled = true;
	if (!m->is_at_most_once) {
		TAILQ_REMOVE(&core->live, m, live);
		if (result == 0)
			core->durable++;
		else
			core->failed++;
	}
	core->params.hooks.settled(core->params.hooks.arg, m, result);
}

static void
release(struct sl_pub_core *core, struct sl_pub_message *m)
{
	core->params.hooks.release(core->params.hooks.arg, m);
}

static void
stop_waiting(struct sl_pub_core *core, struct sl_pub_message *m)
{
	TAILQ_REMOVE(m->is_at_most_once ? &core->loose : &core->waiting, m, next);
	m->is_waiting = false;
}

/* Where messages of a session that ends go, in their order. */
struct taken {
	struct sl_pub_core *core;
	struct sl_pub_list list;
};

static void
take_back(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	struct taken *taken = arg;
	struct sl_pub_message *m = msg;

	if (m->is_settled) {
		release(taken->core, m);
		return;
	}
	m->is_waiting = true;
	TAILQ_INSERT_TAIL(&taken->list, m, next);
}

/* What is not acknowledged goes to the front, to be sent in another session. */
static void
restart(struct sl_pub_core *core, uint64_t now)
{
	struct taken taken = {.core = core};

	TAILQ_INIT(&taken.list);
	core->session = new_session(core);
	core->epoch = 0;
	sl_session_tx_restart(core->tx, core->session, now, take_back, &taken);
	TAILQ_CONCAT(&taken.list, &core->waiting, next);
	TAILQ_CONCAT(&core->waiting, &taken.list, next);
	core->quiet_since = 0;
}

void
sl_pub_free(struct sl_pub_core *core)
{
	struct sl_pub_message *m;

	restart(core, 0);
	while ((m = TAILQ_FIRST(&core->loose)) != NULL ||
		(m = TAILQ_FIRST(&core->waiting)) != NULL) {
		stop_waiting(core, m);
		settle(core, m, SLUICE_CLOSED);
		release(core, m);
	}
	free(core->tx);
	free(core->arena);
	free(core->rewrite);
	free(core);
}

void
sl_pub_submit(struct sl_pub_core *core, struct sl_pub_message *m)
{
	m->is_waiting = true;
	m->is_settled = false;
	if (m->is_at_most_once) {
		TAILQ_INSERT_TAIL(&core->loose, m, next);
		return;
	}
	TAILQ_INSERT_TAIL(&core->waiting, m, next);
	TAILQ_INSERT_TAIL(&core->live, m, live);
}

/* Tell that it is given up, and let it go unless the session has it. */
static void
give_up(struct sl_pub_core *core, struct sl_pub_message *m, int result)
{
	bool was_waiting = m->is_waiting;

	if (was_waiting)
		stop_waiting(core, m);
	settle(core, m, result);
	if (was_waiting)
		release(core, m);
}

void
sl_pub_give_up_abandoned(struct sl_pub_core *core)
{
	struct sl_pub_message *m, *next;

	for (m = TAILQ_FIRST(&core->live); m != NULL; m = next) {
		next = TAILQ_NEXT(m, live);
		if (m->is_abandoned)
			give_up(core, m, SLUICE_TIMEOUT);
	}
	for (m = TAILQ_FIRST(&core->loose); m != NULL; m = next) {
		next = TAILQ_NEXT(m, next);
		if (m->is_abandoned)
			give_up(core, m, SLUICE_TIMEOUT);
	}
}

/* Where the appliances are may have changed. */
static void
look_up(struct sl_pub_core *core)
{
	const struct sl_pub_hooks *hooks = &core->params.hooks;

	if (hooks->look_up == NULL)
		return;
	core->params.nb_appliances = hooks->look_up(hooks->arg);
	core->appliance %= core->params.nb_appliances;
}

static void
go_to_next_appliance(struct sl_pub_core *core, uint64_t now, const char *why)
{
	struct sl_pub_hooks *hooks = &core->params.hooks;
	uint32_t nb = core->params.nb_appliances, rounds;
	uint64_t max = 30000 * MS;

	hooks->event(hooks->arg, SLUICE_LEVEL_WARNING, core->appliance, why);
	core->appliance = (core->appliance + 1) % nb;
	core->failovers++;
	core->hops++;
	core->refusals = 0;
	rounds = core->hops / nb;
	if (core->params.silence_ns > max)
		max = core->params.silence_ns;
	core->silence_ns = jitter(core, doubled(core->params.silence_ns, rounds, max));
	restart(core, now);
	core->hold_until = 0;
	if (core->hops % nb == 0) {
		core->hold_until = now +
			jitter(core, doubled(ROUND_PAUSE, rounds - 1, ROUND_PAUSE_MAX));
		look_up(core);
	}
	if (!connect_to(core, core->appliance, now)) {
		/* As good as silence: the tick after the pause goes on. */
		core->quiet_since = now;
		core->silence_ns = UNREACHABLE_SILENCE;
	}
	hooks->event(hooks->arg, SLUICE_LEVEL_INFO, core->appliance, "is tried now");
}

struct ack_call {
	struct sl_pub_core *core;
	bool is_progress;
};

static void
acknowledged(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	struct ack_call *call = arg;
	struct sl_pub_core *core = call->core;
	struct sl_pub_message *m = msg;

	call->is_progress = true;
	settle(core, m, SLUICE_OK);
	release(core, m);
}

/* The appliance lives. */
static void
heard(struct sl_pub_core *core, uint64_t now)
{
	struct sl_session_tx_stats tx;

	sl_session_tx_get_stats(core->tx, &tx);
	core->quiet_since = tx.in_flight == 0 ? 0 : now;
	if (core->is_connected)
		core->way_at = 0;
	if (core->is_silence_told)
		core->params.hooks.event(core->params.hooks.arg, SLUICE_LEVEL_INFO, core->appliance,
			"answers again");
	core->is_silence_told = false;
}

static void
refused(struct sl_pub_core *core, uint64_t now)
{
	struct sl_pub_hooks *hooks = &core->params.hooks;

	core->refused++;
	hooks->event(hooks->arg, SLUICE_LEVEL_INFO, core->appliance,
		"does not know the session; what it has not acknowledged is sent again in another");
	if (++core->refusals >= REFUSALS_MAX && core->params.nb_appliances > 1) {
		go_to_next_appliance(core, now, "refuses every session");
		return;
	}
	restart(core, now);
	/* An appliance that was restarted is told at once; one that always refuses is not hammered.
	 */
	if (core->refusals > 1)
		core->hold_until = now +
			jitter(core, doubled(REFUSED_PAUSE, core->refusals - 2, REFUSED_PAUSE_MAX));
}

static bool
read_ack(struct sl_pub_core *core, const uint8_t *data, size_t len, struct sl_wire_ack *ack,
	uint32_t *epoch)
{
	struct sl_wire_datagram d;
	size_t written;

	if (sl_wire_parse_ack_fast(data, len, ack)) {
		*epoch = sl_wire_get32(data + SL_WIRE_OFF_EPOCH);
		return true;
	}
	if (sl_wire_parse_slow(data, len, core->arena, ARENA, core->rewrite, UINT16_MAX, &d,
		    &written) != SL_WIRE_OK)
		return false;
	*epoch = d.epoch;
	return sl_wire_parse_ack(data, len, core->arena, ARENA, ack);
}

void
sl_pub_input(struct sl_pub_core *core, const uint8_t *data, size_t len, uint64_t now)
{
	struct ack_call call = {.core = core};
	struct sl_wire_ack ack;
	uint32_t epoch;

	if (!read_ack(core, data, len, &ack, &epoch)) {
		core->bad_datagrams++;
		return;
	}
	core->acks++;
	/* Its number is nobody else's to know, so the epoch is believed. */
	if (ack.session != core->session)
		return;
	if (epoch < core->epoch) {
		core->old_epochs++;
		return;
	}
	core->epoch = epoch;
	switch (sl_session_tx_ack(core->tx, &ack, now, acknowledged, &call)) {
	case SL_SESSION_ACK_OK:
		if (call.is_progress) {
			core->refusals = 0;
			core->hops = 0;
			core->silence_ns = core->params.silence_ns;
		}
		heard(core, now);
		break;
	case SL_SESSION_ACK_OLD:
		heard(core, now);
		break;
	case SL_SESSION_ACK_BAD:
		core->bad_acks++;
		break;
	case SL_SESSION_ACK_REFUSED:
		refused(core, now);
		break;
	}
}

static uint64_t
silence_deadline(const struct sl_pub_core *core)
{
	return core->quiet_since == 0 ? UINT64_MAX : core->quiet_since + core->silence_ns;
}

void
sl_pub_unreachable(struct sl_pub_core *core, uint64_t now)
{
	uint64_t until = now + UNREACHABLE_SILENCE;

	if (core->params.nb_appliances > 1 && silence_deadline(core) != UINT64_MAX &&
		until < silence_deadline(core))
		core->silence_ns = until - core->quiet_since;
}

void
sl_pub_not_sent(struct sl_pub_core *core, uint64_t now)
{
	/* Of what is in flight the silence says more. */
	if (core->quiet_since != 0 || core->way_at != 0)
		return;
	core->way_at = core->connected_at + core->params.silence_ns;
	core->is_next_wanted = now < core->way_at;
}

static bool
has_something_to_send(const struct sl_pub_core *core)
{
	return !TAILQ_EMPTY(&core->loose) || !TAILQ_EMPTY(&core->live);
}

/* There is none, or what is sent on it does not go. */
static void
look_for_way(struct sl_pub_core *core, uint64_t now)
{
	const struct sl_pub_hooks *hooks = &core->params.hooks;
	uint32_t last = core->appliance, next = last;

	if (core->is_connected && core->quiet_since != 0) {
		core->way_at = 0;
		return;
	}
	if (core->is_next_wanted) {
		look_up(core);
		next = (core->appliance + 1) % core->params.nb_appliances;
		if (next != core->appliance)
			hooks->event(hooks->arg, SLUICE_LEVEL_WARNING, core->appliance,
				"cannot be sent to from here");
	}
	if (!find_way(core, next, now)) {
		look_up(core);
		if (!find_way(core, core->appliance, now))
			return;
	}
	/* Nothing has gone to it that it could have answered. */
	core->quiet_since = 0;
	core->silence_ns = jitter(core, core->params.silence_ns);
	if (core->appliance != last)
		restart(core, now);
}

static void
expire(struct sl_pub_core *core, uint64_t now)
{
	struct sl_pub_message *m;

	/* All have the same time, so the first is the first to go. */
	while ((m = TAILQ_FIRST(&core->live)) != NULL && m->deadline <= now)
		give_up(core, m, SLUICE_TIMEOUT);
	while (!core->is_connected && (m = TAILQ_FIRST(&core->loose)) != NULL && m->deadline <= now)
		give_up(core, m, SLUICE_TIMEOUT);
}

void
sl_pub_tick(struct sl_pub_core *core, uint64_t now)
{
	const struct sl_pub_message *first;

	expire(core, now);
	if (core->way_at != 0 && now >= core->way_at && has_something_to_send(core))
		look_for_way(core, now);
	if (core->hold_until != 0 && now >= core->hold_until)
		core->hold_until = 0;
	if (core->hold_until != 0 || now < silence_deadline(core))
		return;
	first = TAILQ_FIRST(&core->live);
	if (first == NULL) {
		/* All that is in flight was given up: nobody asks for an answer any more. */
		restart(core, now);
		return;
	}
	if (core->params.nb_appliances > 1) {
		go_to_next_appliance(core, now, "does not answer");
	} else {
		if (!core->is_silence_told)
			core->params.hooks.event(core->params.hooks.arg, SLUICE_LEVEL_WARNING, 0,
				"does not answer; it is asked again and again");
		core->is_silence_told = true;
		core->quiet_since = 0;
		/* It may have been started again with a lower one. */
		core->epoch = 0;
		/* All in flight was given up, and those that wait need not wait for it. */
		if (first->is_waiting)
			restart(core, now);
		look_up(core);
		connect_to(core, 0, now);
	}
}

static void
output_loose(struct sl_pub_core *core, struct sl_pack *pack)
{
	struct sl_pub_message *m;

	while ((m = TAILQ_FIRST(&core->loose)) != NULL &&
		sl_pack_add(pack, 0, m->bytes, m->len) != NULL) {
		stop_waiting(core, m);
		settle(core, m, SLUICE_OK);
		release(core, m);
	}
}

static bool
output_again(struct sl_pub_core *core, struct sl_pack *pack, uint64_t now)
{
	struct sl_session_resend resends[RESENDS];
	bool has_sent = false;
	uint32_t n, max;

	for (;;) {
		max = sl_pack_room(pack);
		if (max > RESENDS)
			max = RESENDS;
		if (max == 0)
			return has_sent;
		n = sl_session_tx_resend(core->tx, now, resends, max);
		for (uint32_t i = 0; i < n; i++) {
			struct sl_pub_message *m = resends[i].msg;

			sl_pack_add(pack, core->session, m->bytes, m->len);
		}
		core->retransmitted += n;
		has_sent |= n != 0;
		if (n < max)
			return has_sent;
	}
}

static bool
output_new(struct sl_pub_core *core, struct sl_pack *pack, uint64_t now)
{
	uint32_t room = sl_session_tx_room(core->tx);
	bool has_sent = false;
	struct sl_pub_message *m;
	uint8_t *p;

	while (room != 0 && (m = TAILQ_FIRST(&core->waiting)) != NULL &&
		(p = sl_pack_add(pack, core->session, m->bytes, m->len)) != NULL) {
		uint64_t sequence = sl_session_tx_send(core->tx, m, now);

		sl_wire_put64(m->bytes + m->body + SL_WIRE_OFF_SEQUENCE, sequence);
		sl_wire_put64(p + m->body + SL_WIRE_OFF_SEQUENCE, sequence);
		stop_waiting(core, m);
		has_sent = true;
		room--;
	}
	return has_sent;
}

void
sl_pub_output(struct sl_pub_core *core, struct sl_pack *pack, uint64_t now)
{
	bool has_sent;

	if (!core->is_connected)
		return;
	output_loose(core, pack);
	if (core->hold_until != 0)
		return;
	has_sent = output_again(core, pack, now);
	has_sent |= output_new(core, pack, now);
	if (has_sent && core->quiet_since == 0)
		core->quiet_since = now;
}

static inline uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t
sl_pub_deadline(const struct sl_pub_core *core)
{
	const struct sl_pub_message *first = TAILQ_FIRST(&core->live);
	uint64_t deadline = first == NULL ? UINT64_MAX : first->deadline;

	if (core->way_at != 0 && has_something_to_send(core))
		deadline = earlier(deadline, core->way_at);
	first = TAILQ_FIRST(&core->loose);
	if (!core->is_connected && first != NULL)
		deadline = earlier(deadline, first->deadline);
	if (core->hold_until != 0)
		return earlier(deadline, core->hold_until);
	deadline = earlier(deadline, silence_deadline(core));
	if (!core->is_connected)
		return deadline;
	return earlier(deadline, sl_session_tx_deadline(core->tx));
}

void
sl_pub_get_stats(const struct sl_pub_core *core, struct sluice_publisher_stats *stats)
{
	struct sl_session_tx_stats tx;

	sl_session_tx_get_stats(core->tx, &tx);
	stats->durable = core->durable;
	stats->failed = core->failed;
	stats->in_flight = tx.in_flight;
	stats->credit = tx.credit_limit < tx.next_sequence ? 0
							   : tx.credit_limit - tx.next_sequence + 1;
	stats->retransmitted = core->retransmitted;
	stats->acks = core->acks;
	stats->bad_acks = core->bad_acks;
	stats->old_epochs = core->old_epochs;
	stats->bad_datagrams = core->bad_datagrams;
	stats->refused = core->refused;
	stats->failovers = core->failovers;
	stats->srtt_ns = tx.srtt_ns;
	stats->appliance = core->appliance;
}
