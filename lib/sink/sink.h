/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SINK_H
#define SINK_H

/**
 * @file
 * A sink as a whole: what its threads share (sink.c), its writers (lane.c), and one session with
 * the database, from the take-over to the first failure (follow.c).
 */

#include <pthread.h>
#include <stdatomic.h>

#include "sink_internal.h"

struct sl_sink {
	struct sl_config_sink config;
	char *node;
	char *directory;
	struct sl_journal *journal; /**< NULL: it is at rest, */
	int rest_fd;		    /**< and kept so; -1: it is not. */
	uint32_t journal_reader;
	uint8_t levels[SL_CONFIG_CLASSES_MAX];
	sl_sink_event_t event;
	void *arg;
	const struct engine_ops *ops;

	pthread_t thread;
	bool is_started;
	int wake_fd; /**< Something happened: a lane is done, or the sink stops. */
	_Atomic bool is_stopping;
	uint64_t stop_ms;	  /**< When the time to stop in is over. */
	_Atomic bool is_aborting; /**< The time to stop in is over. */
	uint32_t batch_now;	  /**< Records in one transaction, as it goes. */
	struct backoff backoff;
	bool is_down; /**< And that was told, with this: */
	char told_sqlstate[6];
	bool told_refused;
	uint64_t down_since_ms;

	pthread_mutex_t lock;
	pthread_cond_t ended_cond;
	bool has_ended; /**< Under the lock, as the rest. */
	int abort_fd;	/**< Of the session; -1: there is none. */
	uint64_t retry_at_ms;
	struct sl_sink_status status;
	uint64_t bases[SL_STREAMS_MAX]; /**< In the database, by stream. */
};

uint64_t sink_now_ms(void);
uint64_t sink_now_ns(void);

/** The event of something that happened to the sink. */
void sink_event(struct sl_sink *sink, enum sl_config_level level, const char *kind,
	const char *sqlstate, const char *format, ...) __attribute__((format(printf, 5, 6)));

/** The database works: what it was down for is over. */
void sink_is_up(struct sl_sink *sink);
void sink_set_state(struct sl_sink *sink, enum sl_sink_state state);

/** Wait until something happens, or for so long. */
void sink_wait(struct sl_sink *sink, uint64_t ms);

/** @name lane.c: a writer. Called by the sink's thread. @{ */
enum lane_state {
	LANE_IDLE,
	LANE_BUSY,
	LANE_DONE, /**< And it went well. */
	LANE_FAILED,
};

struct lane {
	struct sl_sink *sink;
	uint32_t index;
	pthread_t thread;
	bool is_started;
	struct engine_params params;
	const struct tenure *tenure;
	struct engine *engine; /**< The thread's, while it is busy. */
	struct batch batch;
	bool is_tidying; /**< The job is not the batch, but to tidy. */
	char server[160];

	pthread_mutex_t lock;
	pthread_cond_t cond;
	enum lane_state state; /**< Under the lock, as the rest. */
	bool is_quitting;
	int rc;
	struct sink_error error;
	uint64_t write_ns;
};

/** @param engine  an open one, or NULL: it opens its own */
int lane_start(struct lane *lane, struct sl_sink *sink, uint32_t index,
	const struct engine_params *params, const struct tenure *tenure, struct engine *engine);
/** Do the job that was put in. */
void lane_run(struct lane *lane);
enum lane_state lane_get_state(struct lane *lane);
/** The job is dealt with. */
void lane_reset(struct lane *lane);
/** Wait for its thread, which sees the session's abort_fd, and close its engine. */
void lane_stop(struct lane *lane);
/** @} */

/**
 * follow.c: connect, and write what the journal has, until something fails or the sink stops.
 * @return 0: stopped; -errno with @p error
 */
int session_run(struct sl_sink *sink, struct sink_error *error);

#endif /* SINK_H */
