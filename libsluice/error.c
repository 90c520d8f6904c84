/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdarg.h>
#include <stdio.h>

#include "error.h"

int
sl_error_set(struct sluice_error *error, int code, const char *format, ...)
{
	va_list args;

	if (error == NULL)
		return code;
	error->code = code;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return code;
}

const char *
sluice_strerror(int code)
{
	switch (code) {
	case SLUICE_OK:
		return "it worked";
	case SLUICE_TIMEOUT:
		return "not within the time that was given";
	case SLUICE_WOULD_BLOCK:
		return "the queue is full, or there is nothing to receive";
	case SLUICE_TOO_BIG:
		return "the message does not fit into a datagram; see datagram_bytes";
	case SLUICE_INVALID:
		return "an argument or option that cannot be";
	case SLUICE_CLOSED:
		return "the publisher or consumer is being closed";
	case SLUICE_NO_MEMORY:
		return "out of memory";
	case SLUICE_SYSTEM:
		return "the operating system refused";
	case SLUICE_ADDRESS:
		return "a host or address that is none, or is not known";
	case SLUICE_FORKED:
		return "it was opened by the parent process; open another after fork()";
	case SLUICE_WRONG_THREAD:
		return "a callback may not wait for the thread that runs it";
	default:
		return "an unknown code";
	}
}

const char *
sluice_version(void)
{
	return SLUICE_VERSION;
}
