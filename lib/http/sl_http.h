/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_HTTP_H
#define SL_HTTP_H

/**
 * @file
 * The HTTP listener: metrics, a read-only JSON API, and the live page. docs/monitoring.md lists
 * what it answers.
 *
 * It has no thread: libmicrohttpd runs from the caller's event loop, with non-blocking sockets and
 * answers from memory. Bounded are the clients, the memory of each, the bytes of all answers under
 * way, and the time for a request with its answer; when all places are taken, the client that has
 * been idle longest gives its place up. What is dear to make is made once for all who ask within
 * four times as long as it took, so that no number of clients takes more than a fifth of the loop
 * for it.
 *
 * Threads: the thread of the event loop.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "sl_ip.h"

struct event_base;
struct sl_http;

/** What is told; the listener knows nothing of the appliance but this. */
struct sl_http_ops {
	/** The views there are: [{"name", "arguments", "help"}]. A new reference or NULL. */
	json_t *(*views)(void *arg);
	/** As sl_control_show(); "/api/v1/events?after=N" is the view "events" with argument N. */
	int (*show)(void *arg, const char *name, const char *const *arguments,
		uint32_t nb_arguments, json_t **json, char *error, size_t error_len);
	/** As sl_control_metrics(). */
	int (*metrics)(void *arg, bool is_openmetrics, char **text, size_t *text_len);
	/** As sl_control_is_ready(). */
	bool (*is_ready)(void *arg, char *reason, size_t reason_len);
};

struct sl_http_params {
	struct event_base *base;
	struct sl_ip address;
	uint16_t port; /**< 0: one that is free, see sl_http_port(). */
	uint32_t clients_max;
	uint32_t timeout_ms; /**< For a request and its answer. */
	const struct sl_http_ops *ops;
	void *arg; /**< Of the ops. */
};

/** @return 0 or -errno, with one line in @p error that names address and port */
int sl_http_create(
	const struct sl_http_params *params, struct sl_http **http, char *error, size_t error_len);

/** Close every connection. NULL is fine. */
void sl_http_destroy(struct sl_http *http);

/** The port it listens on. */
uint16_t sl_http_port(const struct sl_http *http);

struct sl_http_stats {
	uint32_t clients;
	uint64_t requests;
	uint64_t timeouts; /**< Clients closed because their time was over, */
	uint64_t evicted;  /**< or because others wanted their place. */
	uint64_t bytes;	   /**< Of answers under way. */
};

void sl_http_get_stats(const struct sl_http *http, struct sl_http_stats *stats);

#endif /* SL_HTTP_H */
