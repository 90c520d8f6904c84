/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_NOTIFY_H
#define SL_NOTIFY_H

/**
 * @file
 * Events: what an operator, or a program of his, wants to hear of when it happens.
 *
 * Each goes to the log (module "event"), to the ring of the latest, to commands (JSON on standard
 * input) and to webhooks (JSON by POST). Commands and webhooks are served by a thread of their own,
 * "sl-notify", behind a bounded queue: one that hangs delays neither its caller nor, beyond its
 * time-out, the others; what does not fit the queue is counted and said.
 *
 * Threads: sl_notify() may be called from any thread but workers; the others belong to the control
 * thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "sl_config.h"

/** Events that are remembered. */
#define SL_NOTIFY_RECENT 256

struct sl_notify;

/**
 * Begin to take events.
 * @param node    name of the appliance, in every event
 * @param events  copied
 * @return 0 or -errno, with one line in @p error
 */
int sl_notify_create(const char *node, const struct sl_config_events *events,
	struct sl_notify **notify, char *error, size_t error_len);

/** Take over other hooks; events that wait go to them. @return 0 or -ENOMEM: the old ones stay */
int sl_notify_configure(struct sl_notify *notify, const struct sl_config_events *events);

/** Give the hooks up to @p timeout_ms for what waits, then end the thread and kill its children. */
void sl_notify_destroy(struct sl_notify *notify, uint32_t timeout_ms);

/**
 * An event has happened.
 *
 * @param kind    a word for programs: "backend_down", "port_up", "reload", ...
 * @param fields  an object with what it is about ({"destination": "table1", ...}) or NULL; taken
 * @param format  one sentence for people, as printf()
 */
void sl_notify(struct sl_notify *notify, enum sl_config_level level, const char *kind,
	json_t *fields, const char *format, ...) __attribute__((format(printf, 5, 6)));

/**
 * The latest events, the oldest first: [{"id", "time" (RFC 3339, UTC), "level", "kind", "text",
 * "node", "fields"}].
 * @param after  only those with a higher id; ids begin at 1
 */
json_t *sl_notify_recent(struct sl_notify *notify, uint64_t after);

struct sl_notify_stats {
	uint64_t events;	/**< That happened. */
	uint64_t hooks_ok;	/**< Deliveries to commands and webhooks, */
	uint64_t hooks_failed;	/**< given up, */
	uint64_t hooks_dropped; /**< or not begun: the queue was full. */
	uint32_t queued;
};

void sl_notify_get_stats(struct sl_notify *notify, struct sl_notify_stats *stats);

#endif /* SL_NOTIFY_H */
