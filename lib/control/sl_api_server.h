/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_API_SERVER_H
#define SL_API_SERVER_H

/**
 * @file
 * The control API on its Unix socket: control.proto, as docs/control-api.md describes it.
 *
 * Clients may do what they like; what they can take of the process is bounded: their number, the
 * bytes kept for each, the time a half request or an unread answer is kept, and what is done for
 * them in one turn of the loop. On a base with several priorities all of it has the lowest.
 *
 * Threads: the control thread.
 */

#include <stddef.h>

#include "sl_config.h"
#include "sl_control.h"

struct event_base;
struct sl_api_server;

/**
 * Listen. The socket's directory is made when it is missing; a socket that a dead process has left
 * is replaced, that of a living one is an error.
 * @param config  its socket is not "none"; not kept: clients_max is that of sl_control_config()
 * @return 0 or -errno, with one line in @p error
 */
int sl_api_server_create(struct sl_control *control, struct event_base *base,
	const struct sl_config_control *config, struct sl_api_server **server, char *error,
	size_t error_len);

struct sl_api_stats {
	uint32_t clients;
	uint64_t requests;
	uint64_t turned_away; /**< Clients: one too many, or not allowed to. */
};

void sl_api_server_get_stats(const struct sl_api_server *server, struct sl_api_stats *stats);

/** Send what can be sent without waiting, close all connections and remove the socket. */
void sl_api_server_destroy(struct sl_api_server *server);

#endif /* SL_API_SERVER_H */
