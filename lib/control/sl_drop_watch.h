/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_DROP_WATCH_H
#define SL_DROP_WATCH_H

/**
 * @file
 * Turns drops into a few lines for the log: at most one a reason and call, with what usually is
 * behind it. For who runs the appliance and sees nothing come out.
 *
 * Threads: the control thread.
 */

#include <stdint.h>

#include "sl_datapath.h"

/** What was counted when it was last looked; begins zeroed. */
struct sl_drop_watch {
	uint64_t frames[SL_FRAME_DROPS];
	uint64_t messages[SL_MESSAGE_DROPS];
	uint64_t too_big[SL_CONFIG_PORTS_MAX];
};

/**
 * Takes one line without a newline.
 * @param port  messages do not fit this port's MTU, which is worth an event; else NULL
 */
typedef void (*sl_drop_watch_line_t)(void *arg, const char *port, const char *line);

/**
 * Tell what was dropped since the last call. Of messages that are too big a line for each port says
 * what its MTU is and how many destinations are concerned.
 * @param config  the one applied last
 */
void sl_drop_watch_poll(struct sl_drop_watch *watch, const struct sl_config *config,
	struct sl_datapath *datapath, sl_drop_watch_line_t line, void *arg);

/** What usually is behind a drop; NULL for those a network carries anyway. */
const char *sl_frame_drop_hint(enum sl_frame_drop reason);
const char *sl_message_drop_hint(enum sl_message_drop reason);

#endif /* SL_DROP_WATCH_H */
