/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Numbers with a unit: sizes and times. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_internal.h"

struct unit {
	const char *suffix;
	int64_t factor;
};

/* From the largest on: the first that divides a value is the shortest way to write it. */
static const struct unit sizes[] = {
	{"T", INT64_C(1) << 40},
	{"G", INT64_C(1) << 30},
	{"M", INT64_C(1) << 20},
	{"K", INT64_C(1) << 10},
	{"", 1},
	{NULL, 0},
};

static const struct unit times[] = {
	{"d", INT64_C(86400000)},
	{"h", INT64_C(3600000)},
	{"m", INT64_C(60000)},
	{"s", INT64_C(1000)},
	{"ms", 1},
	{NULL, 0},
};

const char *
sl_config_format_number(int64_t value, enum sl_config_unit unit, char buf[SL_CONFIG_NUMBER_LEN])
{
	const struct unit *u = unit == SL_CONFIG_BYTES ? sizes : times;

	if (unit == SL_CONFIG_PLAIN || value == 0) {
		snprintf(buf, SL_CONFIG_NUMBER_LEN, "%" PRId64, value);
		return buf;
	}
	while (value % u->factor != 0)
		u++;
	snprintf(buf, SL_CONFIG_NUMBER_LEN, "%" PRId64 "%s", value / u->factor, u->suffix);
	return buf;
}

bool
sl_config_parse_number(const char *text, enum sl_config_unit unit, int64_t *value)
{
	const struct unit *u = unit == SL_CONFIG_BYTES ? sizes : times;
	size_t len = strspn(text, "0123456789");
	char digits[SL_CONFIG_NUMBER_LEN];
	int64_t number;

	if (len >= sizeof(digits))
		return false;
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (!sl_config_is_whole_number(digits))
		return false;
	number = strtoll(digits, NULL, 10);
	while (u->suffix != NULL && strcmp(u->suffix, text + len) != 0)
		u++;
	/* No time is no time in every unit. */
	if (u->suffix == NULL && (number != 0 || text[len] != '\0'))
		return false;
	if (number != 0 && number > INT64_MAX / u->factor)
		return false;
	*value = number != 0 ? number * u->factor : 0;
	return true;
}
