/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "ingress.h"

/*
 * A peer that has vanished without a word is missed after two minutes. There is no
 * TCP_USER_TIMEOUT: it would end connections with those, too, who live and do not read.
 */
#define KEEP_IDLE_S  60
#define KEEP_INTVL_S 15
#define KEEP_COUNT   4

void
gw_socket_set(int fd)
{
	const int on = 1, idle = KEEP_IDLE_S, interval = KEEP_INTVL_S, count = KEEP_COUNT;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}
