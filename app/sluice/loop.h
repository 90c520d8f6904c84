/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef LOOP_H
#define LOOP_H

/**
 * @file
 * The control thread's event loop: signals, neighbours, statistics, clients.
 */

#include <stdbool.h>

#include "options.h"
#include "sl_config.h"

/* Is SIGHUP taken, by this thread? Until then, one that comes is kept. Threads inherit it. */
void loop_heed_reloads(bool heeds);

/*
 * Run until a signal or a client has ended it and the path has drained. EAL is initialized. Takes
 * `config`. Returns 0 or -errno, already logged.
 */
int loop_run(const struct options *options, struct sl_config *config);

#endif /* LOOP_H */
