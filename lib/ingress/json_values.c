/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "json_values.h"

#define NS_PER_MS     UINT64_C(1000000)
#define TIMESTAMP_MAX ((int64_t)(UINT64_MAX / NS_PER_MS))

bool
json_refuse(char reason[JSON_REASON_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, JSON_REASON_MAX, format, args);
	va_end(args);
	return false;
}

bool
json_text_read(const struct sl_json_value *value, const char *key, char decoded[JSON_TEXT_MAX],
	struct gw_text *text, char reason[JSON_REASON_MAX])
{
	ssize_t len;

	if (value->type != SL_JSON_STRING)
		return json_refuse(
			reason, "%s is %s, not a string", key, sl_json_type_name(value->type));
	*text = (struct gw_text){value->text, value->len};
	if (value->has_escapes) {
		len = sl_json_decode(value, decoded, JSON_TEXT_MAX, false);
		if (len == -EINVAL)
			return json_refuse(reason, "%s has a NUL in it", key);
		text->at = decoded;
		text->len = len < 0 ? JSON_TEXT_MAX + 1 : (size_t)len;
	}
	if (text->len == 0)
		return json_refuse(reason, "%s is empty", key);
	if (text->len > JSON_TEXT_MAX)
		return json_refuse(reason, "%s is longer than %d bytes", key, JSON_TEXT_MAX);
	return true;
}

bool
json_integer_read(const struct sl_json_value *value, const char *key, int64_t min, int64_t max,
	int64_t *integer, char reason[JSON_REASON_MAX])
{
	int rc;

	if (value->type != SL_JSON_NUMBER)
		return json_refuse(
			reason, "%s is %s, not a number", key, sl_json_type_name(value->type));
	rc = sl_json_integer(value, integer);
	if (rc == -EINVAL)
		return json_refuse(reason, "%s is not an integer", key);
	if (rc != 0 || *integer < min || *integer > max)
		return json_refuse(reason, "%s is not from %" PRId64 " to %" PRId64, key, min, max);
	return true;
}

bool
json_timestamp_read(const struct sl_json_value *value, const char *key, uint64_t *ns,
	char reason[JSON_REASON_MAX])
{
	int64_t ms;

	if (!json_integer_read(value, key, 1, TIMESTAMP_MAX, &ms, reason))
		return false;
	*ns = (uint64_t)ms * NS_PER_MS;
	return true;
}
