/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/udp.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "message.h"
#include "udp.h"

#define BATCH	    64
#define CONTROL	    CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))
#define SEGMENTS    64
#define HOST_MAX    256
#define HEADERS_MAX 48 /* IPv6 and UDP, which UDP_SEGMENT's limit of 64 KiB counts in. */

#ifndef SOL_UDP
#define SOL_UDP IPPROTO_UDP
#endif

struct sl_udp_rx {
	struct mmsghdr messages[BATCH];
	struct iovec iovs[BATCH];
	struct sockaddr_in6 names[BATCH];
	uint8_t controls[BATCH][CONTROL];
	size_t size;
	uint8_t *buf;
};

static void
map_v4(struct in6_addr *to, struct in_addr from)
{
	memset(to, 0, sizeof(*to));
	to->s6_addr[10] = to->s6_addr[11] = 0xff;
	memcpy(to->s6_addr + 12, &from, sizeof(from));
}

static void
from_sockaddr(struct sl_udp_peer *peer, const struct sockaddr *from)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;

	memset(peer, 0, sizeof(*peer));
	if (from->sa_family == AF_INET) {
		map_v4(&peer->ip, v4->sin_addr);
		peer->port = ntohs(v4->sin_port);
	} else {
		peer->ip = v6->sin6_addr;
		peer->port = ntohs(v6->sin6_port);
		peer->scope = v6->sin6_scope_id;
	}
}

static socklen_t
to_sockaddr(int family, const struct sl_udp_peer *peer, struct sockaddr_in6 *to)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;

	memset(to, 0, sizeof(*to));
	if (family == AF_INET) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(peer->port);
		memcpy(&v4->sin_addr, peer->ip.s6_addr + 12, sizeof(v4->sin_addr));
		return sizeof(*v4);
	}
	to->sin6_family = AF_INET6;
	to->sin6_port = htons(peer->port);
	to->sin6_addr = peer->ip;
	to->sin6_scope_id = peer->scope;
	return sizeof(*to);
}

const char *
sl_udp_text(const struct sl_udp_peer *peer, char buf[SL_UDP_TEXT])
{
	char ip[INET6_ADDRSTRLEN];

	if (IN6_IS_ADDR_V4MAPPED(&peer->ip)) {
		inet_ntop(AF_INET, peer->ip.s6_addr + 12, ip, sizeof(ip));
		snprintf(buf, SL_UDP_TEXT, "%s:%u", ip, peer->port);
	} else {
		inet_ntop(AF_INET6, &peer->ip, ip, sizeof(ip));
		snprintf(buf, SL_UDP_TEXT, "[%s]:%u", ip, peer->port);
	}
	return buf;
}

/* Take "HOST", "HOST:PORT", "[HOST]:PORT" or a bare IPv6 address apart. */
static bool
split(const char *text, size_t len, char host[HOST_MAX], uint16_t *port)
{
	const char *end = text + len, *colon, *host_end;
	char *rest;
	unsigned long value;

	if (len != 0 && *text == '[') {
		host_end = memchr(text, ']', len);
		if (host_end == NULL)
			return false;
		text++;
		colon = host_end + 1;
		if (colon != end && *colon != ':')
			return false;
	} else {
		colon = memchr(text, ':', len);
		if (colon == NULL || memchr(colon + 1, ':', (size_t)(end - colon - 1)) != NULL)
			colon = end;
		host_end = colon;
	}
	if ((size_t)(host_end - text) >= HOST_MAX)
		return false;
	memcpy(host, text, (size_t)(host_end - text));
	host[host_end - text] = '\0';
	if (colon == end)
		return true;
	errno = 0;
	value = strtoul(colon + 1, &rest, 10);
	*port = (uint16_t)value;
	return rest == end && rest != colon + 1 && colon[1] >= '0' && colon[1] <= '9' &&
		value <= UINT16_MAX;
}

static bool
is_known(const struct sl_udp_peer *peers, uint32_t nb, const struct sl_udp_peer *peer)
{
	for (uint32_t i = 0; i < nb; i++) {
		if (memcmp(&peers[i], peer, sizeof(*peer)) == 0)
			return true;
	}
	return false;
}

static int
look_up(const char *host, uint16_t port, bool is_local, struct sl_udp_peer *peers, uint32_t nb,
	uint32_t max, struct sluice_error *error)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
	struct addrinfo *found, *a;
	struct sl_udp_peer peer;
	int rc;

	if (is_local && (host[0] == '\0' || strcmp(host, "*") == 0))
		host = "::";
	rc = getaddrinfo(host, NULL, &hints, &found);
	if (rc != 0)
		return sl_error_set(error, SLUICE_ADDRESS, "%s: %s", host, gai_strerror(rc));
	for (a = found; a != NULL; a = a->ai_next) {
		if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
			continue;
		from_sockaddr(&peer, a->ai_addr);
		peer.port = port;
		if (nb < max && !is_known(peers, nb, &peer))
			peers[nb++] = peer;
		if (is_local)
			break;
	}
	freeaddrinfo(found);
	return (int)nb;
}

int
sl_udp_parse(const char *text, uint16_t default_port, bool is_local, struct sl_udp_peer *peers,
	uint32_t max, struct sluice_error *error)
{
	char host[HOST_MAX];
	uint16_t port;
	size_t len;
	int nb = 0;

	do {
		len = strcspn(text, ",");
		port = default_port;
		if (!split(text, len, host, &port) || (host[0] == '\0' && !is_local))
			return sl_error_set(error, SLUICE_ADDRESS,
				"\"%.*s\" is no address: HOST, HOST:PORT or [ADDRESS6]:PORT",
				len > HOST_MAX ? HOST_MAX : (int)len, text);
		nb = look_up(host, port, is_local, peers, (uint32_t)nb, max, error);
		if (nb < 0)
			return nb;
		text += len;
	} while (*text++ == ',');
	return nb;
}

int
sl_udp_family(const struct sl_udp_peer *peers, uint32_t nb)
{
	for (uint32_t i = 0; i < nb; i++) {
		if (!IN6_IS_ADDR_V4MAPPED(&peers[i].ip))
			return AF_INET6;
	}
	return AF_INET;
}

static void
set_buffer(int sock, int forced, int option, int bytes)
{
	/* The privileged option passes the system's limit; without the privilege, up to it. */
	if (setsockopt(sock, SOL_SOCKET, forced, &bytes, sizeof(bytes)) != 0)
		setsockopt(sock, SOL_SOCKET, option, &bytes, sizeof(bytes));
}

int
sl_udp_open(int family, const struct sl_udp_peer *local, uint32_t buffer_bytes,
	struct sluice_error *error)
{
	int sock = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 to;
	char text[SL_UDP_TEXT];
	int on = 1, off = 0, rc;
	socklen_t len;

	if (sock < 0)
		return sl_error_set(error, SLUICE_SYSTEM, "socket: %s", strerror(errno));
	set_buffer(sock, SO_RCVBUFFORCE, SO_RCVBUF, (int)buffer_bytes);
	set_buffer(sock, SO_SNDBUFFORCE, SO_SNDBUF, (int)buffer_bytes);
	if (family == AF_INET6) {
		setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		setsockopt(sock, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	} else {
		setsockopt(sock, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	}
	if (local == NULL)
		return sock;
	/* Several datagrams of a sender as one, where the kernel can. */
	setsockopt(sock, SOL_UDP, UDP_GRO, &on, sizeof(on));
	len = to_sockaddr(family, local, &to);
	if (bind(sock, (struct sockaddr *)&to, len) != 0) {
		rc = errno;
		close(sock);
		return sl_error_set(
			error, SLUICE_SYSTEM, "%s: %s", sl_udp_text(local, text), strerror(rc));
	}
	return sock;
}

uint32_t
sl_udp_buffer(int sock)
{
	socklen_t len = sizeof(int);
	int bytes = 0;

	/* The kernel doubles what it is asked for, and says the double. */
	getsockopt(sock, SOL_SOCKET, SO_RCVBUF, &bytes, &len);
	return (uint32_t)bytes / 2;
}

void
sl_udp_local(int sock, struct sl_udp_peer *local)
{
	struct sockaddr_in6 name = {.sin6_family = AF_INET6};
	socklen_t len = sizeof(name);

	getsockname(sock, (struct sockaddr *)&name, &len);
	from_sockaddr(local, (struct sockaddr *)&name);
}

int
sl_udp_connect(int sock, int family, const struct sl_udp_peer *peer)
{
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	struct sl_udp_peer before, local;
	struct sockaddr_in6 to;
	socklen_t len;

	/*
	 * The address to send from is chosen anew: the last one may be of another way, or gone. One
	 * that was asked for stays: the system has kept it. The port stays in any case, where an
	 * answer may be on its way to; the system keeps it only if it was asked for.
	 */
	sl_udp_local(sock, &before);
	connect(sock, &nobody, sizeof(nobody));
	sl_udp_local(sock, &local);
	if (local.port == 0 && before.port != 0) {
		local.port = before.port;
		local.scope = before.scope;
		len = to_sockaddr(family, &local, &to);
		bind(sock, (struct sockaddr *)&to, len);
	}
	len = to_sockaddr(family, peer, &to);
	return connect(sock, (struct sockaddr *)&to, len) == 0 ? 0 : -errno;
}

struct sl_udp_rx *
sl_udp_rx_new(uint32_t datagram_bytes)
{
	struct sl_udp_rx *rx = calloc(1, sizeof(*rx));

	if (rx == NULL)
		return NULL;
	rx->size = datagram_bytes;
	rx->buf = malloc(BATCH * rx->size);
	if (rx->buf == NULL) {
		free(rx);
		return NULL;
	}
	for (uint32_t i = 0; i < BATCH; i++) {
		rx->iovs[i].iov_base = rx->buf + i * rx->size;
		rx->iovs[i].iov_len = rx->size;
	}
	return rx;
}

void
sl_udp_rx_free(struct sl_udp_rx *rx)
{
	if (rx != NULL)
		free(rx->buf);
	free(rx);
}

/* Which of our addresses it came to, and of what size the datagrams are that came as one. */
static size_t
read_control(struct msghdr *header, struct sl_udp_peer *peer)
{
	struct in6_pktinfo info6;
	struct in_pktinfo info4;
	size_t segment = 0;
	int value;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&value, CMSG_DATA(c), sizeof(value));
			segment = value > 0 ? (size_t)value : 0;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info6, CMSG_DATA(c), sizeof(info6));
			peer->local = info6.ipi6_addr;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&info4, CMSG_DATA(c), sizeof(info4));
			map_v4(&peer->local, info4.ipi_spec_dst);
		}
	}
	return segment;
}

int
sl_udp_receive(struct sl_udp_rx *rx, int sock, sl_udp_input_t input, void *arg)
{
	int n;

	for (uint32_t i = 0; i < BATCH; i++)
		rx->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &rx->names[i],
			.msg_namelen = sizeof(rx->names[i]),
			.msg_iov = &rx->iovs[i],
			.msg_iovlen = 1,
			.msg_control = rx->controls[i],
			.msg_controllen = sizeof(rx->controls[i]),
		};
	n = recvmmsg(sock, rx->messages, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		const uint8_t *data = rx->iovs[i].iov_base;
		size_t left = rx->messages[i].msg_len, segment;
		struct sl_udp_peer peer;

		from_sockaddr(&peer, (struct sockaddr *)&rx->names[i]);
		segment = read_control(&rx->messages[i].msg_hdr, &peer);
		do {
			size_t len = segment == 0 || left < segment ? left : segment;

			input(arg, &peer, data, len);
			data += len;
			left -= len;
		} while (left != 0);
	}
	return n;
}

/* How many from @first on go in one call: all of one size, but the last may be shorter. */
static uint32_t
run_of(const struct sl_pack *pack, uint32_t first, bool can_segment)
{
	uint32_t size = pack->offsets[first + 1] - pack->offsets[first], n = 1, len;

	if (!can_segment)
		return 1;
	while (first + n < pack->nb && n < SEGMENTS) {
		len = pack->offsets[first + n + 1] - pack->offsets[first + n];
		if (len > size ||
			pack->offsets[first + n + 1] - pack->offsets[first] >
				SL_DATAGRAM_MAX - HEADERS_MAX)
			break;
		n++;
		if (len < size)
			break;
	}
	return n;
}

static void
set_segment(struct msghdr *header, uint8_t *control, uint16_t size)
{
	struct cmsghdr *c;

	header->msg_control = control;
	header->msg_controllen = CMSG_SPACE(sizeof(size));
	c = CMSG_FIRSTHDR(header);
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(c), &size, sizeof(size));
}

int
sl_udp_send(int sock, const struct sl_pack *pack, uint32_t first, bool *can_segment)
{
	union {
		uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
		size_t align;
	} controls[SL_PACK_DATAGRAMS];
	struct mmsghdr messages[SL_PACK_DATAGRAMS];
	struct iovec iovs[SL_PACK_DATAGRAMS];
	uint32_t runs[SL_PACK_DATAGRAMS], nb = 0, sent = 0;
	int n;

	for (uint32_t i = first; i < pack->nb; i += runs[nb++]) {
		runs[nb] = run_of(pack, i, *can_segment);
		iovs[nb].iov_base = pack->buf + pack->offsets[i];
		iovs[nb].iov_len = pack->offsets[i + runs[nb]] - pack->offsets[i];
		messages[nb].msg_hdr = (struct msghdr){.msg_iov = &iovs[nb], .msg_iovlen = 1};
		if (runs[nb] > 1)
			set_segment(&messages[nb].msg_hdr, controls[nb].bytes,
				(uint16_t)(pack->offsets[i + 1] - pack->offsets[i]));
	}
	n = sendmmsg(sock, messages, nb, MSG_DONTWAIT);
	if (n < 0) {
		n = -errno;
		/* A kernel or a device that cannot: one by one from now on. */
		if (runs[0] > 1 &&
			(n == -EINVAL || n == -EIO || n == -EMSGSIZE || n == -EOPNOTSUPP)) {
			*can_segment = false;
			return sl_udp_send(sock, pack, first, can_segment);
		}
		return n;
	}
	for (int i = 0; i < n; i++)
		sent += runs[i];
	return (int)sent;
}

int
sl_udp_send_to(
	int sock, int family, const struct sl_udp_peer *peer, const uint8_t *data, size_t len)
{
	static const struct in6_addr any = IN6ADDR_ANY_INIT;
	union {
		uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		size_t align;
	} control = {{0}};
	struct sockaddr_in6 to;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct msghdr header = {.msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1};
	struct in6_pktinfo info6 = {.ipi6_addr = peer->local};
	struct in_pktinfo info4 = {0};
	struct cmsghdr *c;

	header.msg_namelen = to_sockaddr(family, peer, &to);
	if (memcmp(&peer->local, &any, sizeof(any)) != 0) {
		header.msg_control = control.bytes;
		header.msg_controllen = family == AF_INET ? CMSG_SPACE(sizeof(info4))
							  : CMSG_SPACE(sizeof(info6));
		c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
		c->cmsg_type = family == AF_INET ? IP_PKTINFO : IPV6_PKTINFO;
		c->cmsg_len = family == AF_INET ? CMSG_LEN(sizeof(info4)) : CMSG_LEN(sizeof(info6));
		memcpy(&info4.ipi_spec_dst, peer->local.s6_addr + 12, sizeof(info4.ipi_spec_dst));
		if (family == AF_INET)
			memcpy(CMSG_DATA(c), &info4, sizeof(info4));
		else
			memcpy(CMSG_DATA(c), &info6, sizeof(info6));
	}
	return sendmsg(sock, &header, MSG_DONTWAIT) < 0 ? -errno : 0;
}
