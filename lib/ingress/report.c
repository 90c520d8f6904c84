/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include "clock.h"
#include "ingress.h"

/*
 * What clients are told of the appliance: made by the control thread when somebody asks, handed to
 * the threads by reference, and good for a second, so that no number of clients costs the control
 * thread more than one report in it.
 */

#define FRESH_MS 1000u
#define ASK_MS	 1000u /* One that was asked for and has not come is asked for again. */

void
gw_report_unref(struct gw_report *report)
{
	if (report == NULL || __atomic_sub_fetch(&report->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	free(report->health);
	free(report->metrics);
	free(report);
}

void
gw_report_put(struct gw_shared *shared, bool is_ready, char *health, char *metrics)
{
	struct gw_report *report = calloc(1, sizeof(*report)), *before;

	if (report == NULL || health == NULL || metrics == NULL) {
		free(health);
		free(metrics);
		free(report);
		return;
	}
	*report = (struct gw_report){.refs = 1,
		.made_ms = gw_now_ms(),
		.is_ready = is_ready,
		.health = health,
		.metrics = metrics};
	pthread_mutex_lock(&shared->lock);
	before = shared->report;
	shared->report = report;
	shared->report_asked_ms = 0;
	pthread_mutex_unlock(&shared->lock);
	gw_report_unref(before);
}

const struct gw_report *
gw_thread_report(struct gw_thread *thread)
{
	struct gw_shared *shared = thread->shared;
	struct gw_report *report = NULL;
	uint64_t now = gw_now_ms();
	bool is_to_ask = false;

	pthread_mutex_lock(&shared->lock);
	if (shared->report != NULL && now - shared->report->made_ms < FRESH_MS) {
		report = shared->report;
		__atomic_add_fetch(&report->refs, 1, __ATOMIC_RELAXED);
	} else if (shared->report_asked_ms == 0 || now - shared->report_asked_ms >= ASK_MS) {
		shared->report_asked_ms = now;
		is_to_ask = true;
	}
	pthread_mutex_unlock(&shared->lock);
	if (is_to_ask)
		gw_ask(thread, GW_REPORT, 0, "", SL_CONFIG_AT_MOST_ONCE);
	if (report == NULL)
		return NULL;
	gw_report_unref(thread->report);
	thread->report = report;
	return report;
}
