/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef RENDER_H
#define RENDER_H

/**
 * @file
 * JSON for people: arrays of objects as tables, objects as lines of "key: value". A field that the
 * appliance begins to tell is shown without a change here.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

/**
 * @param view    chooses the order of columns: "classes", "port info", ...; NULL: as they come
 * @param indent  blanks before each line
 */
void sl_cli_render(FILE *out, const char *view, const json_t *json, unsigned int indent);

/** A table of the objects of an array. */
void sl_cli_render_table(FILE *out, const char *view, const json_t *rows, unsigned int indent);

/** A value as a cell shows it; the caller's to free(). */
char *sl_cli_cell_text(const json_t *value);

/** @name Answers that are no views. @{ */

/** What a reload or a change has changed; with @p is_check would change. */
void sl_cli_render_changes(FILE *out, const json_t *json, bool is_check);
void sl_cli_render_explanation(FILE *out, const json_t *json);
void sl_cli_render_trace(FILE *out, const json_t *json);
/** A graph in Graphviz's language as lines of "node -> next, next". */
void sl_cli_render_graph(FILE *out, const char *dot);
/** @} */

/**
 * The changes a second between two readings of a view: of counters the rate, of all else the newer
 * value. Rows of tables are compared by their names.
 * @return a new reference
 */
json_t *sl_cli_rates(const json_t *before, const json_t *after, double seconds);

#endif /* RENDER_H */
