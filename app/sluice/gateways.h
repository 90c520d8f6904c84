/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef GATEWAYS_H
#define GATEWAYS_H

/**
 * @file
 * Puts the gateways together with the path and the control side: their threads become backends of
 * what their clients subscribe to. Threads: the control thread.
 */

#include "sl_config.h"
#include "sl_datapath.h"
#include "sl_ingress.h"
#include "sl_notify.h"

struct event_base;
struct gateways;
struct noted;
struct sl_control;

/**
 * Open the listeners; the path has been created. Without gateways in the configuration *gateways is
 * NULL, which the functions below take.
 * @param noted  where names that clients use are kept; NULL: there is no journal
 * @return 0 or -errno, with one line in @p error
 */
int gateways_create(struct event_base *base, const struct sl_config *config,
	struct sl_datapath *datapath, struct sl_notify *notify, struct noted *noted,
	struct gateways **gateways, char *error, size_t error_len);

/** Serve clients; the path runs. */
int gateways_start(
	struct gateways *gateways, struct sl_control *control, char *error, size_t error_len);

/** Another configuration runs; lcores may still have to take it over. */
void gateways_applied(struct gateways *gateways, const struct sl_config *config);

/** All of them have: so have the gateways' clients. */
void gateways_in_effect(struct gateways *gateways);

/** Take nothing more in. @return all that was taken in is with the path, or durable */
bool gateways_drain(struct gateways *gateways);

/** What the control side shows. */
json_t *gateways_show(const struct gateways *gateways);

/** The same of one gateway's clients. @return NULL: there is no such gateway, or no memory */
json_t *gateways_show_clients(const struct gateways *gateways, const char *gateway);

/** Close what is open and end the threads; before the path is destroyed. */
void gateways_destroy(struct gateways *gateways);

#endif /* GATEWAYS_H */
