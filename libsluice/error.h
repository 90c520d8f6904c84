/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_ERROR_H
#define SL_ERROR_H

#include "sluice.h"

/** Say what went wrong; @p error may be NULL. @return @p code */
int sl_error_set(struct sluice_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif /* SL_ERROR_H */
