/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_UDP_H
#define SL_UDP_H

/**
 * @file
 * The kernel's UDP sockets, many datagrams a call. IPv4 addresses are held as IPv4-mapped ones.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "pack.h"
#include "sluice.h"

/** The other end, and which of our addresses it sent to. */
struct sl_udp_peer {
	struct in6_addr ip;
	struct in6_addr local; /**< All 0: whichever. */
	uint32_t scope;	       /**< Interface of a link-local address. */
	uint16_t port;	       /**< Host order. */
};

/** Longest text of an address: "[address%scope]:port". */
#define SL_UDP_TEXT 80

/** Datagrams of one receiving call, and its buffers. */
struct sl_udp_rx;

/** A datagram that came. */
typedef void (*sl_udp_input_t)(
	void *arg, const struct sl_udp_peer *peer, const uint8_t *data, size_t len);

/** Write "ADDRESS:PORT". @return @p buf */
const char *sl_udp_text(const struct sl_udp_peer *peer, char buf[SL_UDP_TEXT]);

/**
 * Read "HOST[:PORT],...": names are looked up, and stand for all their addresses.
 * @param port      of those that name none
 * @param is_local  "" and "*" stand for any address
 * @return how many; a negative code, and @p error
 */
int sl_udp_parse(const char *text, uint16_t port, bool is_local, struct sl_udp_peer *peers,
	uint32_t max, struct sluice_error *error);

/**
 * Open a socket that does not block.
 * @param family  AF_INET, or AF_INET6 for both
 * @param local   to bind to; NULL: nowhere
 * @return the socket; a negative code, and @p error
 */
int sl_udp_open(int family, const struct sl_udp_peer *local, uint32_t buffer_bytes,
	struct sluice_error *error);

/** How much the socket holds of what has come, in bytes. */
uint32_t sl_udp_buffer(int sock);

/** The family that reaches all of these. */
int sl_udp_family(const struct sl_udp_peer *peers, uint32_t nb);

/** Talk to this one only. @return 0, -errno */
int sl_udp_connect(int sock, int family, const struct sl_udp_peer *peer);

/** The address a socket is bound to. */
void sl_udp_local(int sock, struct sl_udp_peer *local);

/** @param datagram_bytes  the longest that is of interest */
struct sl_udp_rx *sl_udp_rx_new(uint32_t datagram_bytes);
void sl_udp_rx_free(struct sl_udp_rx *rx);

/** Take what is there, one call's worth. @return datagrams; -EAGAIN, another -errno */
int sl_udp_receive(struct sl_udp_rx *rx, int sock, sl_udp_input_t input, void *arg);

/**
 * Send a batch on a connected socket, from datagram @p first on.
 * @param[in,out] can_segment  the kernel cuts datagrams of one size apart (UDP_SEGMENT); cleared
 *                             when it turns out that it does not
 * @return how many it took; -EAGAIN, another -errno, which is of datagram @p first
 */
int sl_udp_send(int sock, const struct sl_pack *pack, uint32_t first, bool *can_segment);

/** Send one datagram to a peer, from the address it sent to. @return 0, -errno */
int sl_udp_send_to(
	int sock, int family, const struct sl_udp_peer *peer, const uint8_t *data, size_t len);

#endif /* SL_UDP_H */
