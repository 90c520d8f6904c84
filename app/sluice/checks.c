/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <rte_common.h>

#include "checks.h"

/* Probes handled in one poll: the rest waits a millisecond, in a bounded ring. */
#define PROBE_BURST 64

static void
set_share(void *arg, uint32_t destination, uint32_t backend, uint32_t share)
{
	const struct checks_context *context = arg;

	RTE_BUILD_BUG_ON(SL_HEALTH_SHARE_ONE != SL_DATAPATH_SHARE_ONE);
	sl_datapath_set_share(context->datapath, destination, backend, share);
}

static void
on_event(void *arg, enum sl_config_level level, const char *kind, json_t *fields, const char *text)
{
	struct checks_context *context = arg;

	sl_notify(context->notify, level, kind, fields, "%s", text);
}

static bool
send_probe(void *arg, uint32_t destination, uint32_t backend, uint64_t nonce)
{
	const struct checks_context *context = arg;

	return sl_datapath_send_probe(context->datapath, destination, backend, nonce);
}

static bool
send_echo(void *arg, uint32_t destination, uint32_t backend, uint16_t id, uint16_t sequence)
{
	const struct checks_context *context = arg;

	return sl_datapath_send_echo(context->datapath, destination, backend, id, sequence);
}

bool
checks_echo_reply(
	void *arg, uint32_t port_index, const struct sl_ip *from, uint16_t id, uint16_t sequence)
{
	RTE_SET_USED(port_index);
	return sl_checks_echo_reply(arg, from, id, sequence);
}

/* Who asks the appliance itself learns what waits here, and what messages have taken lately. */
static void
answer(struct checks_context *context, const struct sl_datapath_probe *probe)
{
	struct sl_datapath_load *last = &context->load, now;

	sl_datapath_get_load(context->datapath, &now);
	if (now.delivered > last->delivered) {
		context->latency_ns = (now.latency_sum_ns - last->latency_sum_ns) /
			(now.delivered - last->delivered);
		*last = now;
	}
	sl_datapath_answer_probe(context->datapath, probe,
		(uint32_t)RTE_MIN(now.queued, (uint64_t)UINT32_MAX), context->latency_ns);
}

void
checks_poll(struct checks_context *context, struct sl_checks *checks)
{
	struct sl_datapath_probe probes[PROBE_BURST];
	uint32_t n = sl_datapath_receive_probes(context->datapath, probes, RTE_DIM(probes));

	for (uint32_t i = 0; i < n; i++) {
		if (!probes[i].is_reply)
			answer(context, &probes[i]);
		else
			sl_checks_probe_reply(checks, probes[i].nonce, probes[i].in_flight,
				probes[i].latency_ns, probes[i].received_ns);
	}
}

int
checks_start(struct event_base *base, const struct sl_config *config,
	struct checks_context *context, struct sl_checks **checks)
{
	const struct sl_checks_params params = {
		.base = base,
		.hooks = {.arg = context,
			.set_share = set_share,
			.event = on_event,
			.send_probe = send_probe,
			.send_echo = send_echo},
		.node = config->node,
	};

	return sl_checks_create(&params, config, checks);
}
