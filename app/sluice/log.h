/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef LOG_H
#define LOG_H

/**
 * @file
 * Log lines on stderr: time, level, text. Never from the packet path.
 */

#include <rte_common.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_NOTIFY, LOG_INFO };

void log_line(enum log_level level, const char *format, ...) __rte_format_printf(2, 3);

#endif /* LOG_H */
