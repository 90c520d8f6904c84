/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef DURABLE_H
#define DURABLE_H

/**
 * @file
 * Puts together what makes messages durable: the journal, its publishers' acks, what is read back
 * from it, and the sinks that trail it. Threads: the control thread.
 */

#include "sl_datapath.h"
#include "sl_durable.h"
#include "sl_notify.h"

struct durable;
struct event_base;
struct noted;

/**
 * Recover the journal into a path that has not started, and open it. Without a journal in the
 * configuration *durable is NULL, which the functions below take.
 * @return 0 or -errno, with one line in @p error
 */
int
durable_open(struct event_base *base, const struct sl_config *config, struct sl_datapath *datapath,
	struct sl_notify *notify, struct durable **durable, char *error, size_t error_len);

/** What the control side asks; NULL: there is no journal. */
const struct sl_durable *durable_of(const struct durable *durable);

/** Start the threads; before the path starts. */
int durable_start(struct durable *durable, char *error, size_t error_len);

/** Another configuration runs: note it, and the names in it, in the journal. */
void durable_applied(struct durable *durable, const struct sl_config *config);

/** Go on with that, when it takes longer; now and then. */
void durable_poll(struct durable *durable, const struct sl_config *config);

/** What is noted in the journal beside messages; NULL: there is no journal. */
struct noted *durable_noted(const struct durable *durable);

/** The path has stopped: make durable what it has left, and let the sinks have it. */
void durable_stop(struct durable *durable);

/** The path is gone. */
void durable_close(struct durable *durable);

#endif /* DURABLE_H */
