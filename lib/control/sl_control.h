/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_CONTROL_H
#define SL_CONTROL_H

/**
 * @file
 * The appliance as its operator sees it: what can be shown, and what can be changed.
 *
 * The socket of sluicectl, the HTTP listener and rte_telemetry are shells around this: they parse
 * their protocol and call it, so that what one can tell the others can tell, too.
 *
 * Threads: the control thread, on its event loop. A view of N destinations costs time in O(N); no
 * call waits for anything but the lcores' answers (sl_datapath_get_stats()).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "sl_config.h"
#include "sl_datapath.h"

struct event_base;
struct sl_checks;
struct sl_control;
struct sl_durable;
struct sl_neighbours;
struct sl_notify;

/** Who asks, for the metrics. Counters are those since the start. */
struct sl_control_clients {
	uint32_t api; /**< Connected to the control socket. */
	uint64_t api_requests;
	uint64_t api_turned_away; /**< Not let in: one too many, or not allowed to. */
	uint32_t http;
	uint64_t http_requests;
	uint64_t http_timeouts; /**< Closed because their time was over, */
	uint64_t http_evicted;	/**< or because others wanted their place. */
	uint64_t http_bytes;	/**< Of answers under way. */
};

/** What the control side works on. All is kept by the caller as long as the control itself. */
struct sl_control_params {
	struct event_base *base;
	struct sl_datapath *datapath;
	struct sl_config *config;  /**< The file; taken over, and freed when it is replaced. */
	struct sl_config *running; /**< As sl_control_recall(): what runs; taken over, too. */
	struct sl_neighbours *neighbours; /**< NULL: nobody asks for next hops. */
	struct sl_checks *checks;	  /**< NULL: all backends count as up. */
	struct sl_notify *notify;	  /**< NULL: nobody is told of events. */
	const struct sl_durable *durable; /**< NULL: there is no journal. */
	const char *version;		  /**< Of Sluice. */
	/** The process is to end: take nothing more in. Asked again until what was taken in is with
	 * the path (true), or a second is over; then the path drains. NULL: nobody does. */
	bool (*quiet)(void *arg);
	/** The path has stopped for good; the process is to end. */
	void (*quit)(void *arg);
	/** Another configuration runs: sl_control_config(). NULL: nobody wants to know. */
	void (*applied)(void *arg);
	/** Tell who asks; @p clients is zeroed. NULL: nobody does. */
	void (*clients)(void *arg, struct sl_control_clients *clients);
	/** What the gateways show of themselves, a new reference. NULL: there are none. */
	json_t *(*ingress)(void *arg);
	/** And of one gateway's clients; NULL: there is no such gateway, or no memory. */
	json_t *(*ingress_clients)(void *arg, const char *gateway);
	void *arg; /**< Of all of these. */
};

/**
 * What is to run with a file when there were durable subscribers before: made before the path,
 * which finds in the journal what waits for them.
 * @param[out] running  refers to @p file; NULL: the file alone
 * @return 0; -EINVAL: they cannot be read, or -ENOMEM, with one line in @p error
 */
int sl_control_recall(struct event_base *base, const struct sl_config *file,
	struct sl_config **running, char *error, size_t error_len);

/** @return 0 or -errno, with one line in @p error */
int sl_control_create(const struct sl_control_params *params, struct sl_control **control,
	char *error, size_t error_len);

void sl_control_destroy(struct sl_control *control);

/** @name The path. @{ */

/** Start ports and lcores; fine when they run. @return 0; -EBUSY: it is stopping now; -errno */
int sl_control_start(struct sl_control *control, char *error, size_t error_len);

/**
 * Deliver what is queued, for up to drain_timeout_ms, stop lcores and ports, and call `quit`.
 * @return false when that is under way already
 */
bool sl_control_quit(struct sl_control *control);

/** Are ports and lcores running, and taking messages in? */
bool sl_control_is_running(const struct sl_control *control);
/** @} */

/** The configuration that runs; valid until the next event of the loop. */
const struct sl_config *sl_control_config(const struct sl_control *control);

/**
 * A view as JSON.
 *
 * @param name       "stats", "destinations", ...; docs/control-api.md lists them with their fields
 * @param arguments  as many as the view takes: names
 * @param[out] json  the caller's reference, on success
 * @param[out] error on failure one line
 * @return 0; -ENOENT: no such view, port, destination or backend; -EINVAL: wrong number of
 *         arguments; -EAGAIN: the lcores do not answer now; -ENOMEM
 */
int sl_control_show(struct sl_control *control, const char *name, const char *const *arguments,
	uint32_t nb_arguments, json_t **json, char *error, size_t error_len);

/** A view that there is. */
struct sl_view_info {
	const char *name;
	const char *arguments; /**< "PORT", "DESTINATION [BACKEND]", "" */
	const char *help;
};

/** @return view number @p index, NULL behind the last */
const struct sl_view_info *sl_control_view(uint32_t index);

/**
 * Take over a file: compare, refuse what needs a restart, apply to the path, neighbours, checks,
 * log and hooks; all or nothing.
 * @param path          NULL: the one that runs
 * @param check_only    only compare
 * @param[out] changes  [{"path", "before", "after", "needs_restart"}], also on failure where known
 * @return 0 or -errno; -EPERM when a change needs a restart, with the first such key in @p error
 */
int sl_control_load(struct sl_control *control, const char *path, bool check_only, json_t **changes,
	char *error, size_t error_len);

/**
 * Write what runs to a file: whole or not at all, in place of one that is there. The file is left
 * with mode 0640, or that of the one it replaces.
 */
int sl_control_save(struct sl_control *control, const char *path, char *error, size_t error_len);

/**
 * @name Members: subscribers, and topics, that come and go while the path runs.
 *
 * They stand beside those of the file: a reload keeps them, show config and save config do not have
 * them. What is asked for within some milliseconds becomes one change of the path; N of them cost
 * one such change, which costs time in O(destinations and backends).
 * @{
 */

struct sl_member {
	const char *destination;
	const char *name; /**< Of the backend it becomes. */
	struct sl_ip address;
	uint16_t udp_port;
	uint32_t ttl_ms;    /**< Gone when it is not asked for again within; 0: it leaves itself. */
	uint32_t in_flight; /**< Of at-least-once: the credit it wants; 0: the destination's. */
	bool is_durable;    /**< Of at-least-once: what comes while it is away is kept, also over
			       restarts. */
	bool is_datagram;   /**< It came by one, and no other way moves or renews it. */
	bool is_client;	    /**< It is a gateway's client, by sl_control_client_join(). */
};

/**
 * Join, or be there for another while. One that is there with another address moves.
 * @return 0; -ENOENT: no such destination; -EEXIST: the file has a backend of this name; -ENOSPC:
 *         subscriptions.subscribers_max; -EHOSTUNREACH: no port leads there; with one line
 */
int sl_control_join(
	struct sl_control *control, const struct sl_member *member, char *error, size_t error_len);

/**
 * Have the members' changes so far applied soon, also when there are none: whoever waits for
 * sl_control_params.applied, to know that what he asked for has been decided, hears of it.
 */
void sl_control_apply_soon(struct sl_control *control);

/**
 * Do what a Subscribe datagram asks for: its sender joins or leaves. It cannot move or remove who
 * did not come by one. Nobody is answered; what is refused is counted, and logged.
 */
void
sl_control_subscribe(struct sl_control *control, const struct sl_datapath_subscribe *subscribe);

/**
 * A durable one is away then, and gone when it has not come back and is removed by an operator.
 * @return 0, -ENOENT
 */
int sl_control_leave(struct sl_control *control, const char *destination, const char *name);

/**
 * Have a topic, with the defaults of one in the file: for as long as the process lives, or
 * (@p stays false) until nobody has used it for gateways.topic_idle_ms.
 * @return 0, also when it is there; -ENOSPC
 */
int sl_control_open_topic(struct sl_control *control, const char *name,
	enum sl_config_guarantee guarantee, bool stays);
/** @} */

/**
 * @name Clients of gateways as durable subscribers of at-least-once topics, under a name.
 *
 * One is at the address and port that stand for it at its gateway's thread; they are gone with the
 * process, so that after a start it is away until its client is back. No other way may take its
 * name, but an operator's.
 * @{
 */

struct sl_member_place {
	struct sl_ip address;
	uint16_t udp_port; /**< 0: none. */
};

/**
 * Join, durably. One of its name that is another client's is away first, and here when nothing is
 * on its way to there any more: so messages keep their order.
 * @param[out] displaced  where its name was, or was about to be: it is not any more
 * @return as sl_control_join(); -EINVAL: nothing is kept for it there
 */
int sl_control_client_join(struct sl_control *control, const struct sl_member *member,
	struct sl_member_place *displaced, char *error, size_t error_len);

/** It is away from that place; nothing when it is not there. */
void sl_control_client_leave(struct sl_control *control, const struct sl_member *member);

/** It is gone for good. @return 0, also when there is none; -EPERM: it is not its to forget */
int sl_control_client_forget(
	struct sl_control *control, const struct sl_member *member, char *error, size_t error_len);
/** @} */

/** What counters begin at 0 in views, from now on. */
enum sl_clear { SL_CLEAR_ALL, SL_CLEAR_PORT, SL_CLEAR_DESTINATION };

/**
 * Let counters begin at 0 in sl_control_show(); metrics and the statistics file keep counting.
 * @param name  of the port or destination
 * @return 0, -ENOENT, -EAGAIN: the lcores do not answer now, -ENOMEM
 */
int sl_control_clear(struct sl_control *control, enum sl_clear what, const char *name, char *error,
	size_t error_len);

/**
 * May the appliance be sent messages: the path runs and is not about to stop, and the link of at
 * least one port is up? Backends that are down do not count: messages wait for them, or are dropped
 * and counted, destination by destination. @p reason says why not.
 */
bool sl_control_is_ready(struct sl_control *control, char *reason, size_t reason_len);

/**
 * The whole state as Prometheus text (OpenMetrics when @p is_openmetrics).
 * @param[out] text  the caller's, to free()
 * @return 0, -EAGAIN, -ENOMEM
 */
int
sl_control_metrics(struct sl_control *control, bool is_openmetrics, char **text, size_t *text_len);

#endif /* SL_CONTROL_H */
