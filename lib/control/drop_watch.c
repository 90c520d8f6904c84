/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_drop_watch.h"

/* What a network carries anyway is no news. */
static const char *const frame_hints[SL_FRAME_DROPS] = {
	[SL_FRAME_DROP_eth_wrong_vlan] = "does `vlan` of the port match the network?",
	[SL_FRAME_DROP_ip_bad_checksum] =
		"is the sender's checksum offload on (ethtool -K IF tx off)?",
	[SL_FRAME_DROP_ip_fragment] = "the senders' datagrams are larger than the path's MTU",
	[SL_FRAME_DROP_ip_not_for_us] =
		"does `address` or `address6` of the port match what senders use?",
	[SL_FRAME_DROP_udp_bad_checksum] =
		"a sender on a veth with checksum offload leaves it unfilled (ethtool -K IF tx off), "
		"or set check_udp_checksum: false; IPv6 allows none to be left out",
	[SL_FRAME_DROP_udp_unknown_port] = "do the senders use `udp_port`?",
	[SL_FRAME_DROP_bad_magic] = "somebody sends something else to this port",
	[SL_FRAME_DROP_malformed] = "a sender's datagrams are not of package sluice.v1",
	[SL_FRAME_DROP_missing_field] = "a message needs source, id_high, id_low and destination",
	[SL_FRAME_DROP_bad_priority] = "a sender asks for a class above 8",
	[SL_FRAME_DROP_too_many_messages] = "at most 256 messages fit a datagram",
	[SL_FRAME_DROP_scattered] = "frames are larger than the port's `mtu`",
	[SL_FRAME_DROP_punt_ring_full] = "a flood of ARP, neighbour discovery or ICMP",
	[SL_FRAME_DROP_probe_ring_full] = "a flood of probes",
	[SL_FRAME_DROP_subscribe_ring_full] = "a flood of subscriptions",
	[SL_FRAME_DROP_ack_wrong_sender] =
		"a backend acknowledges from another address or port than it is configured with, "
		"or somebody does in its name",
	[SL_FRAME_DROP_ack_ring_full] = "a flood of acks",
	[SL_FRAME_DROP_ack_port_full] = "a port does not take acks to publishers: is its link up?",
};

static const char *const message_hints[SL_MESSAGE_DROPS] = {
	[SL_MESSAGE_DROP_no_destination] = "their destination is not configured",
	[SL_MESSAGE_DROP_no_mbuf] = "raise `mbufs`",
	[SL_MESSAGE_DROP_shard_ring_full] =
		"a worker does not keep up: add workers, raise rings.size",
	[SL_MESSAGE_DROP_queue_full] =
		"a destination gets more than its backends and limits let out",
	[SL_MESSAGE_DROP_pushed_out] =
		"a destination gets more than its backends and limits let out",
	[SL_MESSAGE_DROP_max_wait] = "they waited longer than `max_wait_ms` of their class",
	[SL_MESSAGE_DROP_destination_removed] =
		"a removed destination did not get rid of them within drain_timeout_ms",
	[SL_MESSAGE_DROP_journal_full] =
		"the journal is behind, full or failed (`show journal`); their senders keep them",
	[SL_MESSAGE_DROP_parked_full] =
		"more wait on disk than journal.parked_capacity; their senders keep them",
	[SL_MESSAGE_DROP_attempts] = "no backend acknowledged them in `max_attempts`",
	[SL_MESSAGE_DROP_unreadable] =
		"the journal could not be read back: see the log, and sluice-journal verify",
	[SL_MESSAGE_DROP_over_credit] = "a publisher sends on beyond what its acks allow",
	[SL_MESSAGE_DROP_over_rate] = "an address sends more than publishers.rate_msgs_per_s",
	[SL_MESSAGE_DROP_unknown_session] =
		"their publishers' sessions are not known here: they were told to begin anew",
	[SL_MESSAGE_DROP_too_many_sessions] =
		"raise publishers.sessions_max or publishers.sessions_per_address_max",
	[SL_MESSAGE_DROP_no_subscriber] = "nobody has subscribed to their topic",
	[SL_MESSAGE_DROP_no_copy] = "raise limits.copies",
};

static void
tell(uint64_t *seen, uint64_t count, const char *what, const char *reason, const char *hint,
	sl_drop_watch_line_t line, void *arg)
{
	char text[256];

	if (count > *seen && hint != NULL) {
		snprintf(text, sizeof(text), "%" PRIu64 " %s dropped as `%s`: %s", count - *seen,
			what, reason, hint);
		line(arg, NULL, text);
	}
	*seen = count;
}

/* Messages too big for a port, and the number of destinations they were for. */
static uint64_t
too_big(const struct sl_config *config, struct sl_datapath *datapath, uint32_t port_index,
	uint32_t *nb_destinations)
{
	struct sl_backend_stats stats;
	uint64_t total = 0, before;

	*nb_destinations = 0;
	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		const struct sl_config_destination *d = &config->destinations[i];

		before = total;
		for (uint32_t j = 0; j < d->nb_backends; j++) {
			if (d->backends[j].port_index != port_index)
				continue;
			sl_datapath_get_backend_stats(datapath, i, j, &stats);
			total += stats.too_big;
		}
		*nb_destinations += total > before;
	}
	return total;
}

static void
tell_too_big(struct sl_drop_watch *watch, const struct sl_config *config,
	struct sl_datapath *datapath, sl_drop_watch_line_t line, void *arg)
{
	uint32_t nb_destinations;
	uint64_t count;
	char text[256];

	for (uint32_t i = 0; i < config->nb_ports; i++) {
		count = too_big(config, datapath, i, &nb_destinations);
		if (count > watch->too_big[i]) {
			snprintf(text, sizeof(text),
				"%" PRIu64
				" messages dropped as `too_big`: with their headers they "
				"exceed the MTU of port %s (%u); destinations concerned so far: "
				"%u; raise `mtu`, or let the senders send less",
				count - watch->too_big[i], config->ports[i].name,
				config->ports[i].mtu, nb_destinations);
			line(arg, config->ports[i].name, text);
		}
		watch->too_big[i] = count;
	}
}

void
sl_drop_watch_poll(struct sl_drop_watch *watch, const struct sl_config *config,
	struct sl_datapath *datapath, sl_drop_watch_line_t line, void *arg)
{
	struct sl_datapath_stats *stats = calloc(1, sizeof(*stats));

	if (stats == NULL)
		return;
	if (sl_datapath_get_stats(datapath, stats) != 0) {
		free(stats);
		return;
	}
	for (unsigned int i = 0; i < SL_FRAME_DROPS; i++)
		tell(&watch->frames[i], stats->frames_dropped[i], "frames", sl_frame_drop_name(i),
			frame_hints[i], line, arg);
	/* Before it is noted below: with none, nobody needs to look through all backends. */
	if (stats->dropped[SL_MESSAGE_DROP_too_big] != watch->messages[SL_MESSAGE_DROP_too_big])
		tell_too_big(watch, config, datapath, line, arg);
	for (unsigned int i = 0; i < SL_MESSAGE_DROPS; i++)
		tell(&watch->messages[i], stats->dropped[i], "messages", sl_message_drop_name(i),
			message_hints[i], line, arg);
	free(stats);
}

const char *
sl_frame_drop_hint(enum sl_frame_drop reason)
{
	return frame_hints[reason];
}

const char *
sl_message_drop_hint(enum sl_message_drop reason)
{
	return message_hints[reason];
}
