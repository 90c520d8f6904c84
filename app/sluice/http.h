/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef HTTP_H
#define HTTP_H

#include "sl_control.h"
#include "sl_http.h"

/*
 * Listen as configured; *http is NULL when the configuration does not want it. Returns 0 or -errno,
 * with one line in `error`.
 */
int http_listen(struct sl_control *control, struct event_base *base,
	const struct sl_config_http *config, struct sl_http **http, char *error, size_t error_len);

#endif /* HTTP_H */
