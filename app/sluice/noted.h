/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef NOTED_H
#define NOTED_H

/**
 * @file
 * What the journal is told beside messages: names, so that who reads it can tell what its keys
 * stand for, and that another configuration runs. Threads: the control thread, where nothing else
 * is said.
 */

#include <stdbool.h>
#include <stdint.h>

#include "sl_config.h"
#include "sl_datapath.h"
#include "sl_journal.h"

struct event_base;
struct noted;

/** All names up to this number are durable. */
typedef void (*noted_tell_t)(void *arg, uint64_t number);

/** @return 0 or -errno */
int noted_create(struct event_base *base, const struct sl_config *config,
	struct sl_datapath *datapath, struct noted **noted);
void noted_destroy(struct noted *noted); /* NULL is fine. */

/** @name While the journal is recovered: what it has, and what of it is needed. @{ */
void noted_recover_name(struct noted *noted, const struct sl_record_name *record);
void noted_recover_undelivered(struct noted *noted, const struct sl_record_message *record);
/** @} */

/** The journal is open; it has not started. @return 0 or -errno */
int noted_open(struct noted *noted, struct sl_journal *journal);

/** Another configuration runs. */
void noted_applied(struct noted *noted, const struct sl_config *config);
/** Go on; every 10 ms or so. */
void noted_poll(struct noted *noted, const struct sl_config *config);

/**
 * Names of gateways: have one put into the journal.
 * @return its number, as noted_tell_t has it; 0: the journal has no room for it
 */
uint64_t noted_add(struct noted *noted, uint64_t key, const char *text, uint32_t len);
/** Call back when more names are durable. */
void noted_tell(struct noted *noted, noted_tell_t tell, void *arg);
/** Call with each name there is. */
void noted_names(const struct noted *noted, void (*call)(void *arg, const char *text, uint32_t len),
	void *arg);

/** @name Of the journal's hooks; its thread. @{ */
void noted_durable(struct noted *noted, const struct sl_record *record);
void noted_batch(struct noted *noted);
/** @} */

#endif /* NOTED_H */
