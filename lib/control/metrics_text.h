/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef METRICS_TEXT_H
#define METRICS_TEXT_H

/**
 * @file
 * Metrics as text: the Prometheus text format 0.0.4 or OpenMetrics 1.0, into one growing buffer.
 *
 * A family is begun, then its samples are written. When memory is short nothing more is written,
 * and metrics_finish() says so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics_text {
	char *data;
	size_t len, size;
	bool is_openmetrics;
	bool has_failed;
	const char *family; /* Without the suffix of its kind. */
	size_t family_len;
	const char *suffix;
};

/* Label pairs, ready to be written again and again: `a="x",b="y"`. */
struct metrics_labels {
	char text[512];
	size_t len;
};

void metrics_begin(struct metrics_text *text, bool is_openmetrics);

/* End the text and hand it to the caller, to free(). 0 or -ENOMEM */
int metrics_finish(struct metrics_text *text, char **out, size_t *len);

/*
 * Begin a family. `name` has no "_total" and stays valid until the next; `help` is one line
 * without backslashes.
 */
void metrics_family(
	struct metrics_text *text, const char *name, enum metrics_type type, const char *help);

/* A sample of the family; `labels` may be NULL. */
void metrics_u64(struct metrics_text *text, const struct metrics_labels *labels, uint64_t value);
void metrics_double(struct metrics_text *text, const struct metrics_labels *labels, double value);

/* One more pair. Values that do not fit are cut, which names of the configuration never are. */
void metrics_label(struct metrics_labels *labels, const char *name, const char *value);

struct sl_hist;

/* A histogram of nanoseconds as one of seconds. */
void metrics_hist(
	struct metrics_text *text, const struct metrics_labels *labels, const struct sl_hist *hist);

#endif /* METRICS_TEXT_H */
