/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_TELEMETRY_H
#define SL_TELEMETRY_H

/**
 * @file
 * The views as commands of rte_telemetry: /sluice/VIEW,ARGUMENT,... (dpdk-telemetry.py).
 *
 * Its answers hold less than JSON does: docs/control-api.md says how views are fitted to it.
 *
 * Threads: the control thread. Commands come on threads of rte_telemetry; they wait for the control
 * thread, and no longer than two seconds. Its commands cannot be taken back, so there is one of
 * this in a process; without a control they answer that there is none.
 */

#include <stddef.h>

#include "sl_control.h"

struct event_base;

/**
 * Answer from now on.
 * @return 0 or -errno, with one line in @p error
 */
int sl_telemetry_open(
	struct sl_control *control, struct event_base *base, char *error, size_t error_len);

/** Answer no more; to be called before the control is destroyed. */
void sl_telemetry_close(void);

#endif /* SL_TELEMETRY_H */
