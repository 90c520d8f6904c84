/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdio.h>

/** Calls @p each with the lines of the file, the oldest first; shortens a file that is long. */
void sl_cli_history_load(const char *path, void (*each)(void *arg, const char *line), void *arg);

/** Adds a line; the file is made for its owner alone. */
void sl_cli_history_append(const char *path, const char *line);

#endif /* HISTORY_H */
