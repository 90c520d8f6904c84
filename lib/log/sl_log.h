/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_LOG_H
#define SL_LOG_H

/**
 * @file
 * Log lines of the control plane: to standard error, a file, or journald; as text or JSON; with a
 * level for each module and a bound on lines a second.
 *
 * Before sl_log_configure() lines of level info and more serious ones go to standard error as text.
 *
 * A line is one write() that does not wait: what a pipe, a terminal or journald does not take is
 * counted as lost and told of later. The program has to ignore SIGPIPE.
 *
 * Threads: any; not for workers, which count instead.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "sl_config.h"

enum sl_log_module {
#define X(name) SL_LOG_##name,
	SL_LOG_MODULE_LIST(X)
#undef X
		SL_LOG_MODULES
};

/** "main", ... */
const char *sl_log_module_name(enum sl_log_module module);

/** The module of this name. @return false when there is none */
bool sl_log_find_module(const char *name, enum sl_log_module *module);

/** "error", "warn", "notify", "info", "debug" */
const char *sl_log_level_name(enum sl_config_level level);
bool sl_log_find_level(const char *name, enum sl_config_level *level);

/**
 * Log as the configuration says from now on. Levels set with sl_log_set_level() are forgotten.
 * @param[out] error  one line, when the file cannot be opened or journald is not there
 * @return 0 or -errno; on failure everything stays as it was
 */
int sl_log_configure(const struct sl_config_log *log, char *error, size_t error_len);

void sl_log_set_level(enum sl_log_module module, enum sl_config_level level);
enum sl_config_level sl_log_get_level(enum sl_log_module module);

/** Would a line of this level be written? For lines that are expensive to make. */
bool sl_log_is_on(enum sl_log_module module, enum sl_config_level level);

/**
 * Write one line (@p format without a newline). Control characters in it are escaped. Above the
 * module's bound lines are counted, and their number is told when there is room again.
 */
void sl_log(enum sl_log_module module, enum sl_config_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** Lines not written because of the bound, since the start. */
unsigned long sl_log_suppressed(void);

/** Lines that the target did not take at once: a full disk, a pipe that nobody reads. */
unsigned long sl_log_lost(void);

/**
 * Tell what was suppressed and close the target; lines go to standard error from then on. Nothing
 * is buffered: a line is written when sl_log() returns, or lost.
 */
void sl_log_close(void);

#endif /* SL_LOG_H */
