/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef PACKER_H
#define PACKER_H

/**
 * @file
 * From the traffic model to frames: which message goes out next (the schedule), and into which
 * datagram it is packed.
 *
 * The originals go out in the order of their numbers. Behind an original come its copy by the
 * second feed and the retransmissions due at that place; they are the same message, byte for byte,
 * and the second feed is told by its UDP source port alone.
 *
 * Pure: frames are written into buffers of the caller. One thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include <sl_net.h>

#include "acked.h"
#include "traffic.h"

#define PACKER_HEADERS_LEN                                                                         \
	(RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr))

/** The feeds; the second one only carries copies. */
enum packer_feed { PACKER_FIRST_FEED, PACKER_SECOND_FEED, PACKER_NB_FEEDS };

struct packer_params {
	struct rte_ether_addr src_mac;
	struct rte_ether_addr dst_mac;
	rte_be32_t src_ip;
	rte_be32_t dst_ip;
	uint16_t src_port; /**< Of the first feed; the second one has the next number. */
	uint16_t dst_port;
	uint16_t mtu;	/**< Of the IP packet, in bytes. */
	uint16_t batch; /**< Messages in a datagram, at most; fewer when the MTU is reached. */
	bool has_udp_checksum;
};

/** A datagram in the making or ready to go. */
struct datagram {
	uint8_t *frame; /**< The buffer: mtu + 14 bytes. */
	void *cookie;	/**< The caller's, who owns the buffer. */
	uint8_t *end;
	enum packer_feed feed;
	uint16_t frame_len; /**< When ready. */
	uint16_t nb_messages;
	uint16_t nb_originals; /**< Of them, sent for the first time. */
};

/** One sending of a message. */
struct sending {
	struct traffic_message message;
	uint64_t timestamp_ns;
	uint64_t sequence; /**< In the session; 0: there is none. */
	enum packer_feed feed;
	bool is_original;
};

/** What is sent next. */
struct schedule {
	const struct traffic *traffic;
	struct acked *acked; /**< The session; NULL: there is none. */
	uint64_t next;	     /**< Number of the next original. */
	uint64_t limit;	     /**< Originals from here on wait: moved on by who sets the pace. */
	uint64_t end;	     /**< Originals from here on will not be sent at all. */

	/* Copies. Rings over the last messages, by number & mask. */
	uint64_t mask;
	uint64_t position;	/**< Whose retransmissions are being sent. */
	uint64_t nb_due;	/**< Retransmissions that wait for their place. */
	uint32_t chain;		/**< Next of them, as its ring index + 1; 0: none. */
	uint32_t *due;		/**< Place -> chain of what is due there. */
	uint32_t *chains;	/**< Message -> next in its chain. */
	uint64_t *timestamp_ns; /**< Message -> when it was sent. */
	bool is_second_feed_due;
};

struct packer {
	const struct traffic *traffic;
	struct packer_params params;
	struct schedule schedule;
	struct rte_ether_hdr eth;
	struct sl_net_flow flows[PACKER_NB_FEEDS];
	struct datagram open[PACKER_NB_FEEDS];
	struct sending held; /**< Did not fit into the datagram before it. */
	bool has_held;
	bool is_second_full; /**< Goes out as soon as the first feed's datagram has. */

	/* Originals packed. */
	uint64_t nb_by_class[TRAFFIC_CLASSES_MAX];
	uint64_t *nb_by_destination; /**< NULL: not counted. */
};

/**
 * Prepare to pack.
 * @param count  how many originals there are to send, UINT64_MAX for no end
 * @param has_destinations  count the originals of each destination, too
 * @return 0, -ENOMEM, or -EMSGSIZE when the longest message does not fit the MTU
 */
int packer_init(struct packer *packer, const struct traffic *traffic,
	const struct packer_params *params, uint64_t count, bool has_destinations);

void packer_fini(struct packer *packer);

/** The longest payload that fits an MTU; 0 when even an empty message does not. */
uint32_t packer_payload_max(uint16_t mtu);

/** Send in a session from now on; before anything was packed. It outlives @p packer. */
void packer_set_session(struct packer *packer, struct acked *acked);

/** Another session has begun: what is packed and not handed out is sent in that one, again. */
void packer_renew(struct packer *packer);

/** Give a feed an empty buffer. Both feeds need one before packer_fill() is called again. */
void packer_give(struct packer *packer, enum packer_feed feed, uint8_t *frame, void *cookie);

/**
 * Pack until a datagram is full.
 * @param now_ns  what the originals packed by this call carry as their timestamp
 * @return
 *   the datagram, with all its headers: its buffer goes back to the caller, who gives the feed a
 *   new one. NULL when nothing may be sent now: the limit is reached, or it is done.
 */
struct datagram *packer_fill(struct packer *packer, uint64_t now_ns);

/** Close a datagram that is not full. @return it, as above; NULL when there is none */
struct datagram *packer_flush(struct packer *packer);

/** Take the originals from @p number on out of the counts: nobody will send them. */
void packer_uncount(struct packer *packer, uint64_t number);

/** Everything there is to send has been packed (and but for packer_flush() handed out). */
static inline bool
packer_is_done(const struct packer *packer)
{
	const struct schedule *s = &packer->schedule;

	return s->next >= s->end && s->nb_due == 0 && s->chain == 0 && !s->is_second_feed_due &&
		!packer->has_held && (s->acked == NULL || acked_is_done(s->acked));
}

#endif /* PACKER_H */
