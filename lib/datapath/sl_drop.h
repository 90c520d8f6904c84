/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_DROP_H
#define SL_DROP_H

/**
 * @file
 * Every reason for which the path drops something. Each is a node of the graph by the name
 * "drop_REASON" and a key of that name in the statistics.
 *
 * A *frame* is dropped before it is known to hold messages; a *message* afterwards. Those of
 * lib/net and lib/wire stand in the order of their enums, which the edges of the nodes rely on.
 */

#define SL_FRAME_DROP_LIST(X)                                                                      \
	X(eth_truncated)                                                                           \
	X(eth_not_for_us)                                                                          \
	X(eth_wrong_vlan)                                                                          \
	X(eth_unknown_type)                                                                        \
	X(ip_truncated)                                                                            \
	X(ip_bad_header)                                                                           \
	X(ip_bad_checksum)                                                                         \
	X(ip_fragment)                                                                             \
	X(ip_not_for_us)                                                                           \
	X(ip_unknown_proto)                                                                        \
	X(udp_truncated)                                                                           \
	X(udp_bad_length)                                                                          \
	X(udp_bad_checksum)                                                                        \
	X(udp_unknown_port)                                                                        \
	X(bad_magic)                                                                               \
	X(malformed)                                                                               \
	X(missing_field)                                                                           \
	X(bad_priority)                                                                            \
	X(too_many_messages)                                                                       \
	X(too_complex)                                                                             \
	X(empty)                                                                                   \
	X(no_session)                                                                              \
	X(scattered)                                                                               \
	X(arp_malformed)                                                                           \
	X(arp_not_for_us)                                                                          \
	X(nd_malformed)                                                                            \
	X(nd_not_for_us)                                                                           \
	X(icmp_not_echo)                                                                           \
	X(punt_ring_full)                                                                          \
	X(probe_ring_full)                                                                         \
	X(subscribe_ring_full)                                                                     \
	X(subscribe_not_accepted)                                                                  \
	X(subscribe_not_unicast)                                                                   \
	X(control_ring_full)                                                                       \
	X(control_port_full)                                                                       \
	X(ack_wrong_sender)                                                                        \
	X(ack_ring_full)                                                                           \
	X(ack_port_full)

#define SL_MESSAGE_DROP_LIST(X)                                                                    \
	X(no_destination)                                                                          \
	X(no_mbuf)                                                                                 \
	X(shard_ring_full)                                                                         \
	X(queue_full)                                                                              \
	X(pushed_out)                                                                              \
	X(max_wait)                                                                                \
	X(too_big)                                                                                 \
	X(destination_removed)                                                                     \
	X(shutdown)                                                                                \
	X(journal_full)                                                                            \
	X(parked_full)                                                                             \
	X(attempts)                                                                                \
	X(unreadable)                                                                              \
	X(over_credit)                                                                             \
	X(over_rate)                                                                               \
	X(too_many_sessions)                                                                       \
	X(unknown_session)                                                                         \
	X(no_subscriber)                                                                           \
	X(no_copy)

enum sl_frame_drop {
#define X(name) SL_FRAME_DROP_##name,
	SL_FRAME_DROP_LIST(X)
#undef X
		SL_FRAME_DROPS
};

enum sl_message_drop {
#define X(name) SL_MESSAGE_DROP_##name,
	SL_MESSAGE_DROP_LIST(X)
#undef X
		SL_MESSAGE_DROPS
};

/** The words of a reason: "ip_fragment", ... */
const char *sl_frame_drop_name(enum sl_frame_drop reason);
const char *sl_message_drop_name(enum sl_message_drop reason);

#endif /* SL_DROP_H */
