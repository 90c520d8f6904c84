/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_HEALTH_H
#define SL_HEALTH_H

/**
 * @file
 * The health of one backend, sans-IO: (state, event, now) -> actions. The rules are HAProxy's
 * (inter, fastinter, downinter, rise, fall, slowstart); docs/health.md has the picture.
 *
 *   NEW --ok--> WARMING --slow_start_ms--> UP <--ok-- SUSPECT
 *    |             ^                        +--failed-->|
 *    +--failed--> DOWN <------- fall failures in a row -+
 *                  +-- rise successes in a row --> WARMING
 *
 * Several checks may look at one backend, each with its own count; it is healthy when all of them
 * say so, and one without checks always is. What the operator wants (drain, maintenance) lies over
 * that.
 *
 * How to drive it: hand it what happens (sl_health_result(), sl_health_set_admin()), and after
 * that, and whenever sl_health_due_ms() has come, take actions from sl_health_next() until there
 * are none.
 *
 * A check that has not been answered after fast_interval_ms does not hold up the next one, so that
 * a server that hangs is DOWN within interval_ms + (fall - 1) * fast_interval_ms + timeout_ms.
 *
 * Memory is the caller's, one block a backend; nothing is allocated. Times are in ms of a clock
 * that never goes back. Not thread-safe: a machine belongs to one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_HEALTH_CHECKS_MAX 8	 /**< Of one backend. */
#define SL_HEALTH_HISTORY    50	 /**< Results that are remembered. */
#define SL_HEALTH_SHARE_ONE  256 /**< A full share. */
#define SL_HEALTH_SHARE_MIN  16	 /**< Where slow start begins. */

enum sl_health_state {
	SL_HEALTH_NEW,	   /**< No result yet; not chosen. */
	SL_HEALTH_WARMING, /**< Healthy, its share grows. */
	SL_HEALTH_UP,
	SL_HEALTH_SUSPECT, /**< Has failed, not yet often enough; still chosen. */
	SL_HEALTH_DOWN,
	SL_HEALTH_DRAINING,    /**< Takes nothing new; checks go on. */
	SL_HEALTH_MAINTENANCE, /**< Takes nothing, is not checked. */
	SL_HEALTH_STATES,
};

/** What the operator wants of it. */
enum sl_health_admin {
	SL_HEALTH_ADMIN_READY,
	SL_HEALTH_ADMIN_DRAIN,
	SL_HEALTH_ADMIN_MAINTENANCE,
};

/** Every value but nb_checks, slow_start_ms and notify_after is at least 1. */
struct sl_health_params {
	uint32_t interval_ms;	   /**< Between checks while UP. */
	uint32_t fast_interval_ms; /**< While counting towards UP or DOWN. */
	uint32_t down_interval_ms; /**< While DOWN. */
	uint32_t timeout_ms;
	uint32_t rise;
	uint32_t fall;
	uint32_t notify_after;	/**< 0: never. */
	uint32_t slow_start_ms; /**< 0: none. */
	uint32_t nb_checks;	/**< 0..SL_HEALTH_CHECKS_MAX */
};

/** Why a check ended as it did. */
enum sl_health_reason {
	SL_HEALTH_PASSED,
	SL_HEALTH_TIMEOUT,     /**< code: 0 */
	SL_HEALTH_REFUSED,     /**< code: errno */
	SL_HEALTH_UNREACHABLE, /**< code: errno */
	SL_HEALTH_CLOSED,      /**< The other end hung up first; code: errno or 0. */
	SL_HEALTH_ERROR,       /**< code: errno */
	SL_HEALTH_ANSWER,      /**< The answer is not the expected one; code: 0. */
	SL_HEALTH_MALFORMED,   /**< The answer breaks the protocol's rules; code: 0. */
	SL_HEALTH_STATUS,      /**< code: the status (also of HTTP checks that passed). */
	SL_HEALTH_BODY,	       /**< The body lacks the text; code: the status. */
	SL_HEALTH_EXIT,	       /**< code: exit code of the command */
	SL_HEALTH_SIGNAL,      /**< code: number of the signal that ended the command */
	SL_HEALTH_REASONS,
};

/** One result, as remembered. */
struct sl_health_result {
	uint64_t time_ms;
	uint64_t latency_ns; /**< From start to result. */
	int32_t code;
	uint8_t reason; /**< enum sl_health_reason */
	uint8_t check;	/**< Its index. */
	bool is_ok;
};

enum sl_health_action_type {
	SL_HEALTH_START,  /**< Begin this check; sl_health_result() with the token ends it. */
	SL_HEALTH_EXPIRE, /**< This check has timed out, and is counted: let go of it. */
	SL_HEALTH_CANCEL, /**< This check is not wanted any more: let go of it. */
	SL_HEALTH_CHANGE, /**< The state has changed; the share may have, too. */
	SL_HEALTH_NOTIFY_FAILING,   /**< notify_after failures in a row. */
	SL_HEALTH_NOTIFY_RECOVERED, /**< Healthy again after NOTIFY_FAILING. */
};

struct sl_health_action {
	enum sl_health_action_type type;
	uint32_t check; /**< START, EXPIRE, CANCEL, NOTIFY_FAILING (the one that fails) */
	uint64_t token; /**< START, EXPIRE, CANCEL */
	enum sl_health_state from; /**< CHANGE */
	enum sl_health_state to;
};

/**
 * Everything that was counted: started = successes + failures + cancelled + outstanding; timeouts
 * are among the failures, late results are none.
 */
struct sl_health_counts {
	uint64_t started;
	uint64_t successes;
	uint64_t failures;
	uint64_t timeouts;
	uint64_t cancelled;
	uint64_t late; /**< Results that came when their check had timed out or was cancelled. */
	uint64_t transitions;
	uint32_t outstanding;
};

/** How one check of a backend stands. */
struct sl_health_check_info {
	bool has_result;
	struct sl_health_result last; /**< If it has one. */
	bool is_up;
	uint32_t successes_in_row;
	uint32_t failures_in_row;
	uint32_t outstanding;
};

struct sl_health;

/** Bytes a machine needs, aligned as malloc() does. @return 0 when @p params are out of bounds */
size_t sl_health_memory_size(const struct sl_health_params *params);

/**
 * Make a machine.
 * @param hash  of the names of destination and backend; spreads the checks over time
 */
struct sl_health *sl_health_init(void *memory, const struct sl_health_params *params, uint64_t hash,
	enum sl_health_admin admin, uint64_t now_ms);

/**
 * Make a machine with other parameters out of one there is, which keeps its state, history and
 * totals. Outstanding checks of the old one count as cancelled; the caller lets go of them, and of
 * the old one's memory.
 *
 * @param same  for each new check the index of the old check it continues, or -1. Such a check
 *              keeps its verdict and counts again from 0; a new one is believed in until it fails,
 *              unless the backend is NEW.
 */
struct sl_health *sl_health_init_from(void *memory, const struct sl_health_params *params,
	const struct sl_health *old, const int *same, uint64_t now_ms);

/** From maintenance to ready everything begins anew: NEW. */
void sl_health_set_admin(struct sl_health *health, enum sl_health_admin admin, uint64_t now_ms);

/**
 * A check has ended.
 * @return 0; -ESTALE: too late, counted as such; -EINVAL: there was no such check
 */
int sl_health_result(struct sl_health *health, uint32_t check, uint64_t token, bool is_ok,
	enum sl_health_reason reason, int32_t code, uint64_t latency_ns, uint64_t now_ms);

/** A check could not be made, through no fault of the backend: it counts as cancelled. */
int sl_health_void(struct sl_health *health, uint32_t check, uint64_t token, uint64_t now_ms);

/** Take the next action. @return false when there is none until sl_health_due_ms() */
bool sl_health_next(struct sl_health *health, uint64_t now_ms, struct sl_health_action *action);

/** When sl_health_next() will have something, or the share grows; UINT64_MAX: never by itself. */
uint64_t sl_health_due_ms(const struct sl_health *health);

/** The state, as last told by SL_HEALTH_CHANGE. */
enum sl_health_state sl_health_get_state(const struct sl_health *health);

/** Since when. */
uint64_t sl_health_since_ms(const struct sl_health *health);

/** What the backend may take now, 0 .. SL_HEALTH_SHARE_ONE, by itself (see sl_health_group). */
uint32_t sl_health_share(const struct sl_health *health, uint64_t now_ms);

void sl_health_get_counts(const struct sl_health *health, struct sl_health_counts *counts);

void sl_health_get_check(
	const struct sl_health *health, uint32_t check, struct sl_health_check_info *info);

/** The result @p age results ago, 0: the last. @return NULL when there is none */
const struct sl_health_result *sl_health_get_history(const struct sl_health *health, uint32_t age);

/** "NEW", ... */
const char *sl_health_state_name(enum sl_health_state state);

/** "timeout", "refused", ... */
const char *sl_health_reason_name(enum sl_health_reason reason);

/** @name The backends of a destination together. @{ */

/**
 * Counts of states, and whether there is panic: so few backends are left that a share for all of
 * them is the lesser evil. Those in drain or maintenance are left out of account; one that is NEW
 * is not taken for down, so that a start is no panic.
 */
struct sl_health_group {
	uint32_t threshold_percent; /**< 0: there is never panic. */
	bool is_panic;
	uint32_t nb_states[SL_HEALTH_STATES];
};

enum sl_health_panic { SL_HEALTH_PANIC_SAME, SL_HEALTH_PANIC_BEGINS, SL_HEALTH_PANIC_ENDS };

/** See whether there is panic now; the caller keeps nb_states. */
enum sl_health_panic sl_health_group_update(struct sl_health_group *group);

/** Backends that are chosen for their own sake: WARMING, UP, SUSPECT. */
uint32_t sl_health_group_up(const struct sl_health_group *group);

/** The share of a backend within its group. */
uint32_t sl_health_group_share(
	const struct sl_health_group *group, const struct sl_health *health, uint64_t now_ms);
/** @} */

#endif /* SL_HEALTH_H */
