/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef LOG_INTERNAL_H
#define LOG_INTERNAL_H

/**
 * @file
 * What the log is made of: lines (line.c), where they go (target.c), and which may go (log.c).
 */

#include <limits.h>
#include <time.h>

#include "sl_log.h"

/**
 * Longest line with its newline. A pipe takes so many bytes as a whole or not at all, so that lines
 * of several writers do not mix.
 */
#define LOG_LINE_MAX PIPE_BUF

/** Longest text, before anything in it is escaped. */
#define LOG_TEXT_MAX 2048

struct log_record {
	struct timespec time; /**< UTC */
	enum sl_config_level level;
	enum sl_log_module module;
	const char *text;
	bool is_cut; /**< There was more of the text. */
};

/**
 * Make the line of a record; what does not fit is cut and "..." says so.
 * @return its length, with the newline, without the NUL
 */
size_t log_line_text(const struct log_record *record, char line[LOG_LINE_MAX + 1]);
size_t log_line_json(const struct log_record *record, char line[LOG_LINE_MAX + 1]);

/** One datagram of journald's native protocol. */
size_t log_line_journal(const struct log_record *record, char line[LOG_LINE_MAX + 1]);

struct log_target {
	enum sl_config_log_target kind;
	int fd;		  /**< The file, or the socket to journald. */
	char *path;	  /**< Of the file. */
	uint64_t checked; /**< When the path was last looked at, ns. */
	bool is_torn;	  /**< The last line was written in part. */
	bool said_unopened;
};

/** @return 0 or -errno with a line in @p error */
int log_target_open(struct log_target *target, const struct sl_config_log *log, uint64_t now_ns,
	char *error, size_t error_len);
void log_target_close(struct log_target *target);

/** Follow the file when it was moved or removed; looks at most once a second. */
void log_target_follow(struct log_target *target, uint64_t now_ns);

/** Write a line without waiting. @return 0 or -errno: it is lost */
int log_target_write(struct log_target *target, const char *line, size_t len);

/** The monotonic clock, ns, and journald's socket; variables for the sake of the tests. */
extern uint64_t (*log_clock)(void);
extern const char *log_journal_socket;

#endif /* LOG_INTERNAL_H */
