/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef LOOP_H
#define LOOP_H

/**
 * @file
 * The control thread's event loop: signals, neighbours, statistics, shutdown.
 */

#include "options.h"
#include "sl_config.h"
#include "sl_datapath.h"

/*
 * Run until a signal has ended it and the path has drained. SIGHUP puts another configuration in the
 * place of `config`. Returns 0 or -errno, already logged.
 */
int loop_run(
	const struct options *options, struct sl_config **config, struct sl_datapath *datapath);

#endif /* LOOP_H */
