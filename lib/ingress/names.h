/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef NAMES_H
#define NAMES_H

/**
 * @file
 * Names behind keys, of all gateways, and which of them the journal has. Private to lib/ingress.
 * Threads: any, where nothing else is said.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_NAMES_MAX 65536u

struct gw_names;

/* @return its number in the journal; 0: it does not go there */
typedef uint64_t (*gw_name_put_t)(void *arg, uint64_t key, const char *name, uint32_t len);

struct gw_names *gw_names_create(void);
void gw_names_destroy(struct gw_names *names);
/* @return its key; @param is_refused  set when there is no place for it */
uint64_t gw_names_add(struct gw_names *names, const char *name, size_t len, bool *is_refused);
const char *gw_names_find(const struct gw_names *names, uint64_t key);
/* @param refused  how often there was no place for one */
uint32_t gw_names_count(const struct gw_names *names, uint64_t *refused);
/* May a message with this name go into the journal? Also when the name is not known, or was waited
 * for long enough. */
bool gw_names_is_durable(const struct gw_names *names, uint64_t key, uint64_t now_ms);
/* It is to go there. @return it is the first time: the control thread is to be woken */
bool gw_names_want(struct gw_names *names, uint64_t key, uint64_t now_ms);
/* Put in those that are to go; the control thread. @return there were some */
bool gw_names_put(struct gw_names *names, gw_name_put_t put, void *arg);
/* All up to this number are durable; the control thread. */
void gw_names_set_durable(struct gw_names *names, uint64_t number);
/* Another number than before: it may be worthwhile to ask again. */
uint32_t gw_names_changes(const struct gw_names *names);

#endif /* NAMES_H */
