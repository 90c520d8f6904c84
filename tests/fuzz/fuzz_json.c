/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
/*
 * What jansson takes, lib/json takes, and reads the same; what it refuses, it refuses. See
 * json_oracle.h for where they differ.
 */

#include "../unit/json_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!oracle_agrees((const char *)data, len))
		abort();
	return 0;
}
