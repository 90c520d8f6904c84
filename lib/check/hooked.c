/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include "check.h"

/* Kinds that go through the packet path: what they send and hear is the caller's to carry. */

/* Slots take 20 bits of what goes out. */
#define SLOT_BITS 20
#define SLOT_MASK ((1u << SLOT_BITS) - 1)

/* Under 32 bits of echo id and sequence, 12 bits say whether it is the slot's run of now. */
static uint32_t
echo_word(const struct sl_checks *checks, uint32_t slot)
{
	return slot | (uint32_t)((checks->slots[slot].generation + checks->secret) << SLOT_BITS);
}

static uint64_t
mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

/* Under 64 bits of a nonce, 44 bits that nobody guesses who has not seen the probe. */
static uint64_t
make_nonce(struct sl_checks *checks, uint32_t slot)
{
	uint64_t seed = checks->secret + ((uint64_t)slot << 32 | checks->slots[slot].generation);

	return (mix(seed ^ check_now_ns()) & ~(uint64_t)SLOT_MASK) | slot;
}

static bool
send_now(struct run *run)
{
	const struct backend *backend = run->backend;
	const struct sl_checks_hooks *hooks = &backend->checks->hooks;

	if (run->kind == &kind_probe)
		return hooks->send_probe != NULL &&
			hooks->send_probe(
				hooks->arg, backend->dest->index, backend->index, run->nonce);
	return hooks->send_echo != NULL &&
		hooks->send_echo(hooks->arg, backend->dest->index, backend->index,
			(uint16_t)(run->nonce >> 16), (uint16_t)run->nonce);
}

/* The path may not know yet where the backend is: there is time until the check times out. */
static void
try_send(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval again = {0, RESEND_MS * 1000};
	struct run *run = arg;

	(void)fd;
	(void)what;
	if (send_now(run)) {
		run->started_ns = check_now_ns();
		run->is_sent = true;
		run->phase = "without an answer";
		return;
	}
	run->phase = "without being sent: its port is down, or its neighbour does not answer";
	if (run->event == NULL)
		run->event = evtimer_new(run->backend->checks->base, try_send, run);
	if (run->event != NULL)
		evtimer_add(run->event, &again);
}

static void
hooked_start(struct run *run)
{
	struct sl_checks *checks = run->backend->checks;

	if (run_take_slot(run) != 0) {
		run_void(run);
		return;
	}
	run->nonce = run->kind == &kind_probe ? make_nonce(checks, run->slot)
					      : echo_word(checks, run->slot);
	try_send(-1, 0, run);
}

static void
hooked_stop(struct run *run)
{
	(void)run;
}

/* @return false when it came too late */
static bool
is_in_time(struct run *run)
{
	struct backend *backend = run->backend;

	if (!run->is_expired)
		return true;
	/* The machine counts it as late. */
	sl_health_result(backend->health, run->check, run->token, true, SL_HEALTH_PASSED, 0, 0,
		check_now_ms());
	run_free(run);
	return false;
}

bool
sl_checks_probe_reply(struct sl_checks *checks, uint64_t nonce, uint32_t in_flight,
	uint64_t latency_ns, uint64_t received_ns)
{
	struct run *run = run_in_slot(checks, (uint32_t)nonce & SLOT_MASK);

	if (run == NULL || run->kind != &kind_probe || run->nonce != nonce || !run->is_sent) {
		checks->stats.unmatched++;
		return false;
	}
	if (!is_in_time(run))
		return true;
	run->backend->has_load = true;
	run->backend->load_in_flight = in_flight;
	run->backend->load_latency_ns = latency_ns;
	run_answered(run, received_ns);
	return true;
}

bool
sl_checks_echo_reply(
	struct sl_checks *checks, const struct sl_ip *from, uint16_t id, uint16_t sequence)
{
	uint32_t word = (uint32_t)id << 16 | sequence;
	struct run *run = run_in_slot(checks, word & SLOT_MASK);

	if (run == NULL || run->kind != &kind_icmp || run->nonce != word || !run->is_sent ||
		!sl_ip_equal(from, &run->backend->address)) {
		checks->stats.unmatched++;
		return false;
	}
	if (is_in_time(run))
		run_answered(run, check_now_ns());
	return true;
}

const struct kind kind_probe = {.name = "probe", .start = hooked_start, .stop = hooked_stop};
const struct kind kind_icmp = {.name = "icmp", .start = hooked_start, .stop = hooked_stop};
