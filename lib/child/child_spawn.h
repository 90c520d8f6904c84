/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef CHILD_SPAWN_H
#define CHILD_SPAWN_H

/**
 * @file
 * The start of a child process, without what waits for it.
 */

#include <sys/types.h>

#include "sl_child.h"

/**
 * @param[out] pid     the child, leader of its process group
 * @param[out] output  to read what it says from, non-blocking; -1 when nobody wants to know
 * @return 0 or -errno with a line in @p error
 */
int child_spawn(const struct sl_child_command *command, pid_t *pid, int *output, char *error,
	size_t error_len);

#endif /* CHILD_SPAWN_H */
