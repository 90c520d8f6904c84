/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef GW_NAME_H
#define GW_NAME_H

/**
 * @file
 * Names of topics that clients make up: what the configuration would take, they may use. Pure.
 */

#include <stdbool.h>
#include <stddef.h>

/**
 * UTF-8 (RFC 3629) without control characters and line ends, and without a NUL. The length is the
 * caller's to look at: SL_CONFIG_NAME_MAX with the prefix the name gets.
 */
bool gw_name_is_valid(const char *name, size_t len);

#endif /* GW_NAME_H */
