/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef JSON_VALUES_H
#define JSON_VALUES_H

/**
 * @file
 * The values of a message's members, read as what they have to be. Pure.
 *
 * What is refused has its reason in one line that names the member, without bytes of the input.
 */

#include <stdbool.h>
#include <stdint.h>

#include "sl_json.h"
#include "text.h"

/* Bytes of a name or of a messageId, escapes resolved. */
#define JSON_TEXT_MAX 255

#define JSON_REASON_MAX 128

/** @return false, always: what a reader answers then */
bool json_refuse(char reason[JSON_REASON_MAX], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** A string of 1 to JSON_TEXT_MAX bytes: in the line, or in `decoded` when it has escapes. */
bool json_text_read(const struct sl_json_value *value, const char *key, char decoded[JSON_TEXT_MAX],
	struct gw_text *text, char reason[JSON_REASON_MAX]);

bool json_integer_read(const struct sl_json_value *value, const char *key, int64_t min, int64_t max,
	int64_t *integer, char reason[JSON_REASON_MAX]);

/** Milliseconds since 1970, as nanoseconds. */
bool json_timestamp_read(const struct sl_json_value *value, const char *key, uint64_t *ns,
	char reason[JSON_REASON_MAX]);

#endif /* JSON_VALUES_H */
