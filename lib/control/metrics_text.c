/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics_text.h"
#include "sl_hist.h"

#define SIZE_MIN 65536

/*
 * Buckets end just below powers of two, where steps of sl_hist do: what they count is exact, not
 * interpolated. From 1 us to 17 s.
 */
#define BOUND_MIN_BITS 10
#define BOUND_MAX_BITS 34

/* Room for `len` more bytes; NULL when there is none. */
static char *
room(struct metrics_text *text, size_t len)
{
	size_t size = text->size == 0 ? SIZE_MIN : text->size;
	char *data;

	if (text->has_failed)
		return NULL;
	while (size - text->len < len)
		size *= 2;
	if (size != text->size) {
		data = realloc(text->data, size);
		if (data == NULL) {
			text->has_failed = true;
			return NULL;
		}
		text->data = data;
		text->size = size;
	}
	return text->data + text->len;
}

static void
put(struct metrics_text *text, const char *bytes, size_t len)
{
	char *at = room(text, len);

	if (at == NULL)
		return;
	memcpy(at, bytes, len);
	text->len += len;
}

static void
put_string(struct metrics_text *text, const char *string)
{
	put(text, string, strlen(string));
}

void
metrics_begin(struct metrics_text *text, bool is_openmetrics)
{
	*text = (struct metrics_text){.is_openmetrics = is_openmetrics};
}

int
metrics_finish(struct metrics_text *text, char **out, size_t *len)
{
	if (text->is_openmetrics)
		put_string(text, "# EOF\n");
	put(text, "", 1);
	if (text->has_failed) {
		free(text->data);
		return -ENOMEM;
	}
	*out = text->data;
	*len = text->len - 1;
	return 0;
}

void
metrics_family(
	struct metrics_text *text, const char *name, enum metrics_type type, const char *help)
{
	static const char *const types[] = {" counter\n", " gauge\n", " histogram\n"};
	/* OpenMetrics names the family, Prometheus the samples. */
	const char *end = type == METRICS_COUNTER && !text->is_openmetrics ? "_total " : " ";

	text->family = name;
	text->family_len = strlen(name);
	text->suffix = type == METRICS_COUNTER ? "_total" : "";
	put_string(text, "# HELP ");
	put_string(text, name);
	put_string(text, end);
	put_string(text, help);
	put_string(text, "\n# TYPE ");
	put_string(text, name);
	put(text, end, strlen(end) - 1);
	put_string(text, types[type]);
}

static char *
append(char *at, const char *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

/* One look at the room that is left for all of it: most of a large answer is this. */
static void
put_name(struct metrics_text *text, const char *suffix, const struct metrics_labels *labels)
{
	size_t suffix_len = strlen(suffix), labels_len = labels == NULL ? 0 : labels->len;
	char *at = room(text, text->family_len + suffix_len + labels_len + 3);

	if (at == NULL)
		return;
	at = append(at, text->family, text->family_len);
	at = append(at, suffix, suffix_len);
	if (labels_len != 0) {
		*at++ = '{';
		at = append(at, labels->text, labels_len);
		*at++ = '}';
	}
	*at++ = ' ';
	text->len = (size_t)(at - text->data);
}

/* snprintf() would be most of the time for many destinations. */
static void
put_u64(struct metrics_text *text, uint64_t value)
{
	char digits[24];
	size_t at = sizeof(digits);

	digits[--at] = '\n';
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	put(text, digits + at, sizeof(digits) - at);
}

static void
put_double(struct metrics_text *text, double value)
{
	char number[40];

	if (value == 0 || value == 1) {
		put(text, value == 0 ? "0\n" : "1\n", 2);
		return;
	}
	snprintf(number, sizeof(number), "%.15g\n", value);
	put_string(text, number);
}

void
metrics_u64(struct metrics_text *text, const struct metrics_labels *labels, uint64_t value)
{
	put_name(text, text->suffix, labels);
	put_u64(text, value);
}

void
metrics_double(struct metrics_text *text, const struct metrics_labels *labels, double value)
{
	put_name(text, text->suffix, labels);
	put_double(text, value);
}

void
metrics_label(struct metrics_labels *labels, const char *name, const char *value)
{
	/* Of the value's closing quote and a pair of escape and byte there is always room. */
	const size_t end = sizeof(labels->text) - 3;
	size_t name_len = strlen(name);
	char *at = labels->text + labels->len;

	if (labels->len + name_len + 3 >= end)
		return;
	if (labels->len != 0)
		*at++ = ',';
	at = append(at, name, name_len);
	*at++ = '=';
	*at++ = '"';
	labels->len = (size_t)(at - labels->text);
	for (; *value != '\0' && labels->len < end; value++) {
		if (*value == '"' || *value == '\\' || *value == '\n')
			labels->text[labels->len++] = '\\';
		labels->text[labels->len++] = *value == '\n' ? 'n' : *value;
	}
	labels->text[labels->len++] = '"';
}

static void
put_bucket(struct metrics_text *text, const struct metrics_labels *labels, const char *le,
	uint64_t count)
{
	struct metrics_labels all = {.len = 0};

	if (labels != NULL)
		all = *labels;
	metrics_label(&all, "le", le);
	put_name(text, "_bucket", &all);
	put_u64(text, count);
}

void
metrics_hist(
	struct metrics_text *text, const struct metrics_labels *labels, const struct sl_hist *hist)
{
	unsigned int bucket = 0, end;
	uint64_t count = 0;
	char le[32];

	for (unsigned int bits = BOUND_MIN_BITS; bits <= BOUND_MAX_BITS; bits++) {
		end = sl_hist_bucket(UINT64_C(1) << bits);
		while (bucket < end)
			count += hist->buckets[bucket++];
		snprintf(le, sizeof(le), "%.11g", (double)((UINT64_C(1) << bits) - 1) / 1e9);
		put_bucket(text, labels, le, count);
	}
	/* The writer may be ahead of its own count: the buckets are what is told. */
	while (bucket < SL_HIST_BUCKETS)
		count += hist->buckets[bucket++];
	put_bucket(text, labels, "+Inf", count);
	put_name(text, "_sum", labels);
	put_double(text, (double)hist->sum / 1e9);
	put_name(text, "_count", labels);
	put_u64(text, count);
}
