/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "sink.h"

static int
do_job(struct lane *lane, struct sink_error *error)
{
	const struct engine_ops *ops = lane->sink->ops;
	int rc = 0;

	if (lane->engine == NULL)
		rc = ops->open(&lane->params, &lane->engine, error);
	if (rc < 0)
		return rc;
	return lane->is_tidying ? ops->tidy(lane->engine, error)
				: ops->write(lane->engine, lane->tenure, &lane->batch, error);
}

static void *
run(void *arg)
{
	struct lane *lane = arg;
	struct sink_error error;
	uint64_t begin_ns;
	int rc;

	pthread_mutex_lock(&lane->lock);
	while (!lane->is_quitting) {
		if (lane->state != LANE_BUSY) {
			pthread_cond_wait(&lane->cond, &lane->lock);
			continue;
		}
		pthread_mutex_unlock(&lane->lock);
		error = (struct sink_error){0};
		begin_ns = sink_now_ns();
		rc = do_job(lane, &error);
		pthread_mutex_lock(&lane->lock);
		lane->write_ns = sink_now_ns() - begin_ns;
		lane->rc = rc;
		lane->error = error;
		lane->state = rc < 0 ? LANE_FAILED : LANE_DONE;
		eventfd_write(lane->sink->wake_fd, 1);
	}
	pthread_mutex_unlock(&lane->lock);
	return NULL;
}

int
lane_start(struct lane *lane, struct sl_sink *sink, uint32_t index,
	const struct engine_params *params, const struct tenure *tenure, struct engine *engine)
{
	char name[16];
	int rc;

	*lane = (struct lane){
		.sink = sink,
		.index = index,
		.params = *params,
		.tenure = tenure,
		.engine = engine,
	};
	lane->params.server = lane->server;
	lane->params.server_len = sizeof(lane->server);
	pthread_mutex_init(&lane->lock, NULL);
	pthread_cond_init(&lane->cond, NULL);
	rc = -pthread_create(&lane->thread, NULL, run, lane);
	lane->is_started = rc == 0;
	if (rc == 0) {
		snprintf(name, sizeof(name), "sl-sink-w%u", index);
		pthread_setname_np(lane->thread, name);
	}
	return rc;
}

void
lane_run(struct lane *lane)
{
	pthread_mutex_lock(&lane->lock);
	lane->state = LANE_BUSY;
	pthread_cond_signal(&lane->cond);
	pthread_mutex_unlock(&lane->lock);
}

enum lane_state
lane_get_state(struct lane *lane)
{
	enum lane_state state;

	pthread_mutex_lock(&lane->lock);
	state = lane->state;
	pthread_mutex_unlock(&lane->lock);
	return state;
}

void
lane_reset(struct lane *lane)
{
	pthread_mutex_lock(&lane->lock);
	lane->state = LANE_IDLE;
	pthread_mutex_unlock(&lane->lock);
}

void
lane_stop(struct lane *lane)
{
	if (lane->is_started) {
		pthread_mutex_lock(&lane->lock);
		lane->is_quitting = true;
		pthread_cond_signal(&lane->cond);
		pthread_mutex_unlock(&lane->lock);
		pthread_join(lane->thread, NULL);
		pthread_cond_destroy(&lane->cond);
		pthread_mutex_destroy(&lane->lock);
	}
	if (lane->engine != NULL)
		lane->sink->ops->close(lane->engine);
	lane->engine = NULL;
}
