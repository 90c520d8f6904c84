/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

/**
 * @file
 * What systemd is told of the appliance, when it has started it (Type=notify); else nothing.
 */

#include <stdint.h>

/* How often supervisor_alive() is wanted, in microseconds; 0: not at all. */
uint64_t supervisor_interval_us(void);

/* It goes on to start, and may take so much longer. @p status is what `systemctl status` shows. */
void supervisor_starting(uint32_t more_s, const char *status);
void supervisor_ready(const char *status);
void supervisor_reloading(void);
void supervisor_stopping(void);
void supervisor_alive(void);

#endif /* SUPERVISOR_H */
