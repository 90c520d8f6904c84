/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Counters of two readings as changes a second. */

#include <string.h>

#include "render.h"

/* Everything that only grows. What is not here is shown as it is: a rate of it would be nonsense.
 */
static const char *const counters[] = {"received", "sent", "delivered", "duplicates", "dropped",
	"count", "calls", "objects", "cycles", "busy", "idle", "busy_cycles", "idle_cycles",
	"frames", "messages", "parse_slow", "evicted_early", "link_changes", "successes",
	"failures", "rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_missed", "rx_errors",
	"tx_errors", "rx_nombuf", "tx_dropped", "errors", "packets", "bytes", "records", "batches",
	"syncs", "cumulative", "over_limit", "acked", "next_sequence", "retransmitted", "requeued",
	"dead", "bad_acks", "rows", "updates", "gaps"};

/* Objects of nothing but counters. */
static const char *const groups[] = {"dropped", "drops", "xstats"};

/* What tells the rows of a table apart, in this order. */
static const char *const names[] = {"destination", "name", "level", "reason", "lcore", "node",
	"kind", "backend", "worker", "session"};

static bool
is_in(const char *word, const char *const *list, size_t nb)
{
	for (size_t i = 0; i < nb; i++) {
		if (strcmp(word, list[i]) == 0)
			return true;
	}
	return false;
}

#define IS_IN(word, list) is_in(word, list, sizeof(list) / sizeof(list[0]))

static bool
is_same_row(const json_t *a, const json_t *b)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const json_t *value = json_object_get(a, names[i]);

		if (value != NULL && !json_equal(value, json_object_get(b, names[i])))
			return false;
	}
	return true;
}

/* Rows keep their order but for those that come and go. */
static const json_t *
find_row(const json_t *rows, const json_t *row, size_t *hint)
{
	size_t nb = json_array_size(rows);

	for (size_t i = 0; i < nb; i++) {
		size_t at = (*hint + i) % nb;

		if (is_same_row(json_array_get(rows, at), row)) {
			*hint = at + 1;
			return json_array_get(rows, at);
		}
	}
	return NULL;
}

static json_t *
rates_of(const char *key, const json_t *before, json_t *after, double seconds, bool in_group)
{
	json_t *result, *value;
	const char *inner_key;
	size_t i, hint = 0;

	if (json_is_object(after)) {
		in_group |= IS_IN(key, groups);
		result = json_object();
		json_object_foreach(after, inner_key, value) json_object_set_new(result, inner_key,
			rates_of(inner_key, json_object_get(before, inner_key), value, seconds,
				in_group));
		return result;
	}
	if (json_is_array(after)) {
		result = json_array();
		json_array_foreach(after, i, value) json_array_append_new(result,
			rates_of(key, find_row(before, value, &hint), value, seconds, in_group));
		return result;
	}
	if (!json_is_number(after) || !(in_group || IS_IN(key, counters)))
		return json_incref(after);
	/* Of what was not there before nothing is known; nor of what was cleared between. */
	if (!json_is_number(before) || json_number_value(before) > json_number_value(after))
		return json_null();
	return json_real((json_number_value(after) - json_number_value(before)) / seconds);
}

json_t *
sl_cli_rates(const json_t *before, const json_t *after, double seconds)
{
	return rates_of("", before, (json_t *)(uintptr_t)after, seconds, false);
}
