/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef READBACK_H
#define READBACK_H

/**
 * @file
 * The thread "sl-readback": reads messages that waited on disk back for the path.
 */

#include "sl_datapath.h"
#include "sl_journal.h"

struct readback;

/** @return 0 or -errno, with one line in @p error */
int readback_start(struct sl_datapath *datapath, const char *directory, struct sl_journal *journal,
	struct readback **readback, char *error, size_t error_len);

/** The path has stopped. What was not read back stays in the journal. NULL is fine. */
void readback_stop(struct readback *readback);

#endif /* READBACK_H */
