/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_CHECKS_H
#define SL_CHECKS_H

/**
 * @file
 * Health checks of all backends: the machines of sl_health.h, on an event loop, and the IO of the
 * kinds of checks around them.
 *
 * What a backend may take goes out through the hook set_share; probes and echo requests go through
 * the packet path by hooks and come back by sl_checks_probe_reply() and sl_checks_echo_reply();
 * udp, tcp, http and exec checks are done here, with kernel sockets and child processes.
 *
 * Destinations and backends are named by their index in the configuration taken over last, as in
 * sl_datapath.h.
 *
 * Threads: all calls and hooks on the thread that runs the event base. Hooks must not call back.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "sl_config.h"
#include "sl_health.h"
#include "sl_ip.h"

struct event_base;
struct sl_checks;

/** What the checks need from outside. */
struct sl_checks_hooks {
	void *arg; /**< Handed to all of them. */

	/** A backend may take so much of its weight, 0 .. SL_HEALTH_SHARE_ONE. */
	void (*set_share)(void *arg, uint32_t destination, uint32_t backend, uint32_t share);

	/**
	 * Something has happened: "backend_failing" and "backend_recovered" (notify), "panic_begin"
	 * (warn) and "panic_end" (notify), "checks_held_up" (warn), and "backend_state" (info;
	 * debug when it is chosen before and after).
	 * @param fields  an object, or NULL; the hook's reference
	 */
	void (*event)(void *arg, enum sl_config_level level, const char *kind, json_t *fields,
		const char *text);

	/** See sl_datapath_send_probe(). @return false when it cannot be sent now; NULL: never */
	bool (*send_probe)(void *arg, uint32_t destination, uint32_t backend, uint64_t nonce);

	/** See sl_datapath_send_echo(). @return false when it cannot be sent now; NULL: never */
	bool (*send_echo)(
		void *arg, uint32_t destination, uint32_t backend, uint16_t id, uint16_t sequence);
};

struct sl_checks_params {
	struct event_base *base;
	struct sl_checks_hooks hooks;
	const char *node;      /**< In the environment of exec checks; copied. */
	uint32_t sockets_max;  /**< Open at once, of all checks; 0: 1024 */
	uint32_t commands_max; /**< Running at once, of all checks; 0: 64 */
};

/**
 * Begin to check the backends of a configuration, and tell the share of every one of them.
 * @param config  what is needed of it is copied
 * @return 0 or -ENOMEM
 */
int sl_checks_create(const struct sl_checks_params *params, const struct sl_config *config,
	struct sl_checks **checks);

/**
 * Take over another configuration. Backends that keep the names of destination and backend keep
 * state, history and totals; where their address or anything in "health" has changed, checks that
 * are out are cancelled and counting starts anew. Tells the share of every backend.
 * @return 0; -ENOMEM: nothing has changed
 */
int sl_checks_configure(struct sl_checks *checks, const struct sl_config *config);

/**
 * Check no more until sl_checks_thaw(), and leave states and shares as they are: a path that drains
 * or stands hears no answers, and what waits is to be delivered. What is out counts for nothing.
 */
void sl_checks_freeze(struct sl_checks *checks);

/** Go on where it was; fine also when not frozen. Tells the share of every backend. */
void sl_checks_thaw(struct sl_checks *checks);

/** NULL is fine. */
void sl_checks_destroy(struct sl_checks *checks);

/**
 * A Probe with `reply` has come.
 * @param received_ns  CLOCK_MONOTONIC, when it came from the port
 * @return false when nobody waits for this nonce
 */
bool sl_checks_probe_reply(struct sl_checks *checks, uint64_t nonce, uint32_t in_flight,
	uint64_t latency_ns, uint64_t received_ns);

/** An ICMP or ICMPv6 echo reply has come. @return false when nobody waits for it */
bool sl_checks_echo_reply(
	struct sl_checks *checks, const struct sl_ip *from, uint16_t id, uint16_t sequence);

/** How a backend stands. */
struct sl_check_status {
	enum sl_health_state state;
	const char *state_name;
	uint64_t since_ms; /**< CLOCK_MONOTONIC, when it came to this state. */
	uint64_t age_ms;   /**< How long ago that is. */
	uint32_t share;	   /**< As told by set_share. */
	uint32_t nb_checks;
	bool has_latency;
	uint64_t last_latency_ns; /**< Of the last check that succeeded. */
	bool has_load;		  /**< A probe has brought back what follows. */
	uint32_t load_in_flight;
	uint64_t load_latency_ns;
	uint64_t successes;
	uint64_t failures;
	uint64_t late;
	uint64_t transitions;
	uint32_t successes_in_row; /**< The least of all checks. */
	uint32_t failures_in_row;  /**< The most of all checks. */
	const char *reason; /**< The last result of the check that fails, or ""; valid until the
				 next call. */
};

/** @return false when there is no such backend */
bool sl_checks_get(const struct sl_checks *checks, uint32_t destination, uint32_t backend,
	struct sl_check_status *status);

/**
 * {"state", "since" (RFC 3339, UTC), "share", "checks": [{"kind", "up", "outstanding", "last":
 * RESULT and "text"}], "history": [RESULT, the newest last, at most 50], "successes", "failures",
 * "timeouts", "late", "cancelled", "transitions", "load": {"in_flight", "latency_ns"} or null};
 * RESULT is {"time", "check" (its place), "kind", "ok", "reason", "code", "latency_ns"}.
 * @return NULL when there is no such backend, or no memory
 */
json_t *sl_checks_history(const struct sl_checks *checks, uint32_t destination, uint32_t backend);

struct sl_checks_destination {
	uint32_t nb_backends;
	uint32_t nb_up; /**< WARMING, UP or SUSPECT. */
	bool is_panic;
	uint32_t nb_states[SL_HEALTH_STATES];
};

/** @return false when there is no such destination */
bool sl_checks_get_destination(
	const struct sl_checks *checks, uint32_t destination, struct sl_checks_destination *status);

struct sl_checks_stats {
	uint64_t started;
	uint64_t waited;      /**< Had to wait for a socket or a command to be free. */
	uint64_t not_made;    /**< Could not be made here (no descriptor, no port, no process). */
	uint64_t unmatched;   /**< Replies that nobody waited for. */
	uint32_t outstanding; /**< Begun, and neither ended nor timed out. */
	uint32_t sockets;
	uint32_t commands;
	uint32_t waiting;
	uint32_t nb_panics; /**< Destinations in panic now. */
};

void sl_checks_get_stats(const struct sl_checks *checks, struct sl_checks_stats *stats);

/** "probe", "icmp", ... */
const char *sl_checks_kind_name(enum sl_config_check_kind kind);

#endif /* SL_CHECKS_H */
