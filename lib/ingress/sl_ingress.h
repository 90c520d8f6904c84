/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_INGRESS_H
#define SL_INGRESS_H

/**
 * @file
 * Gateways: clients on kernel sockets, brought onto the packet path and back.
 *
 * A gateway is a source and a backend like any other. Its threads hand frames to the path and take
 * them from it over rings (struct sl_datapath_gateway), and speak to their clients on sockets, each
 * on an event loop of its own. What a client does costs its thread time and memory within the
 * gateway's limits, and the path nothing.
 *
 * Threads: the functions here are for the control thread; none waits for a gateway's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "sl_config.h"
#include "sl_datapath.h"

struct event_base;
struct sl_ingress;
struct sl_notify;

/** A client of a gateway that is a durable subscriber under a name. */
struct sl_ingress_durable {
	const char *destination;
	const char *name;
	uint32_t thread;
	uint16_t udp_port; /**< Its own, at the thread's address. */
};

/** What a gateway wants of the control thread; called there. */
struct sl_ingress_hooks {
	/**
	 * The first client of gateway thread @p thread wants a destination's messages, or the last
	 * one has gone: the thread becomes a backend of it, or is none any more. Takes effect with
	 * a later sl_ingress_apply(); several within some milliseconds become one change. One
	 * follows each join, also when it is refused, or changes nothing: the thread waits for it.
	 */
	void (*join)(void *arg, const char *destination, uint32_t thread);
	void (*leave)(void *arg, const char *destination, uint32_t thread);
	/**
	 * The same of a client as a durable subscriber, which takes its name over from another
	 * client; leaving, it is away. Who asks is told what @p error says.
	 * @return 0: it takes effect with a later sl_ingress_apply(), or is done; -errno
	 */
	int (*durable_join)(
		void *arg, const struct sl_ingress_durable *durable, char *error, size_t error_len);
	void (*durable_leave)(void *arg, const struct sl_ingress_durable *durable);
	int (*durable_forget)(
		void *arg, const struct sl_ingress_durable *durable, char *error, size_t error_len);
	/**
	 * A topic that is not configured is wanted, and, when it @p stays, however long nobody uses
	 * it. @return 0 or -errno: there are too many
	 */
	int (*open_topic)(
		void *arg, const char *name, enum sl_config_guarantee guarantee, bool stays);
	/**
	 * What clients are told at /health and /api/metrics: is it ready, and two texts of JSON, to
	 * be freed. Once a second at most. @return 0 or -errno: not now
	 */
	int (*report)(void *arg, bool *is_ready, char **health, char **metrics);
	/**
	 * A name that clients use is to be put into the journal. Messages with it wait until
	 * sl_ingress_names_durable() was called with its number, or a higher one. NULL: names go
	 * nowhere, and nothing waits.
	 * @return its number; 0: it does not go there
	 */
	uint64_t (*name)(void *arg, uint64_t key, const char *name, uint32_t len);
	void *arg;
};

struct sl_ingress_params {
	struct event_base *base; /**< Of the control thread. */
	const struct sl_config *config;
	struct sl_datapath *datapath;
	struct sl_notify *notify; /**< NULL: nobody is told of events. */
	struct sl_ingress_hooks hooks;
};

/**
 * Open the listeners and make the threads' memory. Without gateways *ingress is NULL, which the
 * functions below take.
 * @return 0 or -errno, with one line in @p error
 */
int sl_ingress_create(const struct sl_ingress_params *params, struct sl_ingress **ingress,
	char *error, size_t error_len);

/** A name that was in use before; before the threads begin. */
void sl_ingress_remember(struct sl_ingress *ingress, const char *name, size_t len);

/** Of the names that were put into the journal, all up to this number are durable. */
void sl_ingress_names_durable(struct sl_ingress *ingress, uint64_t number);

/** Let the threads begin; the path runs. @return 0 or -errno */
int sl_ingress_start(struct sl_ingress *ingress, char *error, size_t error_len);

/**
 * Another configuration runs: destinations, limits. It answers what was asked for before; the
 * threads hear of that with sl_ingress_in_effect().
 */
void sl_ingress_prepare(struct sl_ingress *ingress, const struct sl_config *config);

/** All lcores have taken over what was prepared last; nothing is done when that was said before. */
void sl_ingress_in_effect(struct sl_ingress *ingress);

/** Both: the path has taken it over already. */
void sl_ingress_apply(struct sl_ingress *ingress, const struct sl_config *config);

/** A client that wanted to be a durable subscriber cannot be, as @p error says. */
void sl_ingress_refuse_durable(
	struct sl_ingress *ingress, uint32_t thread, uint16_t udp_port, const char *error);

/** Take no more from clients; what the path still delivers goes out. Before the path drains. */
void sl_ingress_drain(struct sl_ingress *ingress);

/** All that clients published has been taken by the path, and is durable where it is to be. */
bool sl_ingress_is_drained(const struct sl_ingress *ingress);

/** End the threads and close what is open. */
void sl_ingress_stop(struct sl_ingress *ingress);

void sl_ingress_destroy(struct sl_ingress *ingress);

/** One gateway or connection, for views and metrics: docs/control-api.md, "ingress". */
json_t *sl_ingress_show(const struct sl_ingress *ingress);

/**
 * Clients of one gateway, some hundred of those who lost most: docs/control-api.md, "ingress".
 * @return NULL: there is no such gateway, or no memory
 */
json_t *sl_ingress_clients(const struct sl_ingress *ingress, const char *gateway);

#endif /* SL_INGRESS_H */
