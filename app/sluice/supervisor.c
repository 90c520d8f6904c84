/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <inttypes.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "supervisor.h"

uint64_t
supervisor_interval_us(void)
{
	uint64_t limit_us = 0;

	/* Half the time that it waits, as it recommends. */
	return sd_watchdog_enabled(0, &limit_us) > 0 ? limit_us / 2 : 0;
}

void
supervisor_starting(uint32_t more_s, const char *status)
{
	sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64 "\nSTATUS=%s", more_s * UINT64_C(1000000),
		status);
}

void
supervisor_ready(const char *status)
{
	sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void
supervisor_reloading(void)
{
	struct timespec now;

	/* Type=notify-reload compares this with when it asked. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		(uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void
supervisor_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

void
supervisor_alive(void)
{
	sd_notify(0, "WATCHDOG=1");
}
