/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "log.h"

void
log_line(enum log_level level, const char *format, ...)
{
	static const char *const names[] = {"error", "warn", "notify", "info"};
	char text[1024], when[32];
	struct timespec now;
	struct tm tm;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	/* One write a line, so that lines of several processes do not mix. */
	fprintf(stderr, "%s.%03ldZ sluice %s: %s\n", when, now.tv_nsec / 1000000, names[level],
		text);
}
