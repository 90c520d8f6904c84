/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SLUICE_CHECKS_H
#define SLUICE_CHECKS_H

#include "sl_checks.h"
#include "sl_datapath.h"

struct event_base;

/** Check the backends, and let the path choose among those that are well. @return 0 or -ENOMEM */
int checks_start(struct event_base *base, const struct sl_config *config,
	struct sl_datapath *datapath, struct sl_checks **checks);

#endif /* SLUICE_CHECKS_H */
