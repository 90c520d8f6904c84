/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef LINE_LOG_H
#define LINE_LOG_H

/**
 * @file
 * What line_store.h keeps, in a file, so that it is there again after a restart of the appliance,
 * kill -9 included. What has been written is the kernel's to bring to the disk: the machine's own
 * crash may cost the last seconds. The primary is not told that anything is kept, so that more is
 * promised to nobody.
 *
 * A log is a row of additions and removals. When it has grown, another is begun, and with each
 * write some of what is still needed is copied from the store, oldest first, until the first log
 * can go: nobody waits for the copy of all. Both are read at the start.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line_log;
struct line_store;
struct line_stored;

/**
 * Open the logs of a name, and fill a store that is empty with what they have.
 * @param directory  it has to exist
 * @param slack      bytes a log may have beside twice what is needed
 * @return 0 or -errno, with a line in @p error
 */
int line_log_open(const char *directory, uint64_t name, uint64_t slack, struct line_store *store,
	struct line_log **log, char *error, size_t error_len);

/** NULL is fine. What was not flushed is lost. */
void line_log_close(struct line_log *log);

/** It is in the store now. */
void line_log_add(struct line_log *log, const struct line_stored *message);

/** It is not needed any more. */
void line_log_remove(struct line_log *log, uint64_t number);

/**
 * Write what has been added and removed.
 * @param is_whole  all that is not removed is in the store: what is not may be forgotten
 * @return 0; -errno: nothing is logged any more
 */
int line_log_flush(struct line_log *log, bool is_whole);

/** When there is so much of it, flush. */
bool line_log_is_full(const struct line_log *log);

#endif /* LINE_LOG_H */
