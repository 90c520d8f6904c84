/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef HTTP_H
#define HTTP_H

#include "sl_control.h"
#include "sl_http.h"
#include "sl_notify.h"

/* What the listener tells of: a part of it may be NULL. */
struct http_view {
	struct sl_control *control;
	struct sl_notify *notify;
};

/*
 * Listen as configured; *http is NULL when the configuration does not want it. `view` stays the
 * caller's. Returns 0 or -errno, with one line in `error`.
 */
int http_listen(struct http_view *view, struct event_base *base,
	const struct sl_config_http *config, struct sl_http **http, char *error, size_t error_len);

#endif /* HTTP_H */
