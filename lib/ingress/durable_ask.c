/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingress.h"

/* What the control thread answers to a thread that asked for a durable subscriber. */

void
gw_answer(struct gw_thread *thread, uint16_t port, const char *error)
{
	struct gw_shared *shared = thread->shared;
	struct gw_answer *answer = calloc(1, sizeof(*answer));

	/* Who asked gives up after a while. */
	if (answer == NULL)
		return;
	answer->port = port;
	snprintf(answer->error, sizeof(answer->error), "%s", error != NULL ? error : "");
	pthread_mutex_lock(&shared->lock);
	STAILQ_INSERT_TAIL(&thread->answers, answer, next);
	pthread_mutex_unlock(&shared->lock);
	__atomic_store_n(&thread->is_answered, 1, __ATOMIC_RELEASE);
	gw_thread_wake(thread);
}

static void
take(struct gw_thread *thread, struct gw_answers *list)
{
	STAILQ_INIT(list);
	pthread_mutex_lock(&thread->shared->lock);
	STAILQ_CONCAT(list, &thread->answers);
	pthread_mutex_unlock(&thread->shared->lock);
}

void
gw_answers_take(struct gw_thread *thread)
{
	struct gw_answers list;
	struct gw_answer *answer;

	if (likely(!__atomic_load_n(&thread->is_answered, __ATOMIC_RELAXED)))
		return;
	/* What comes after this is found now, or says so again. */
	__atomic_store_n(&thread->is_answered, 0, __ATOMIC_RELAXED);
	take(thread, &list);
	while ((answer = STAILQ_FIRST(&list)) != NULL) {
		STAILQ_REMOVE_HEAD(&list, next);
		gw_durable_answered(thread, answer);
		free(answer);
	}
}

void
gw_answers_free(struct gw_thread *thread)
{
	struct gw_answers list;
	struct gw_answer *answer;

	take(thread, &list);
	while ((answer = STAILQ_FIRST(&list)) != NULL) {
		STAILQ_REMOVE_HEAD(&list, next);
		free(answer);
	}
}
