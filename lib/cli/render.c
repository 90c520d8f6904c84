/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>
#include <string.h>

#include "render.h"

/* Of more counters than this those that are 0 are left out. */
#define ZEROS_SHOWN 8

/* Rows with an inner object of more fields than this are shown one under the other. */
#define INNER_MAX 12

static bool
is_table(const json_t *json)
{
	return json_array_size(json) > 0 && json_is_object(json_array_get(json, 0));
}

static bool
all_are_objects(json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		if (!json_is_object(value))
			return false;
	}
	return json_object_size(object) > 0;
}

static bool
all_are_numbers(json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		if (!json_is_number(value))
			return false;
	}
	return true;
}

/* Tables of which most rows tell nothing, and what has to be more than 0 for a row to be shown. */
static const struct {
	const char *view;
	const char *counter;
} sparse[] = {{"drops", "count"}, {"nodes", "calls"}, {"by_node", "calls"}};

static json_t *
without_zeros(const json_t *all, const char *counter)
{
	json_t *rows = json_array(), *row;
	size_t i;

	json_array_foreach(all, i, row)
	{
		if (json_number_value(json_object_get(row, counter)) != 0)
			json_array_append(rows, row);
	}
	return rows;
}

static void
render_rows(FILE *out, const char *view, json_t *all, unsigned int indent)
{
	const char *counter = NULL;
	json_t *rows;
	size_t left;

	for (size_t i = 0; view != NULL && i < sizeof(sparse) / sizeof(sparse[0]); i++) {
		if (strcmp(sparse[i].view, view) == 0)
			counter = sparse[i].counter;
	}
	if (counter == NULL) {
		sl_cli_render_table(out, view, all, indent);
		return;
	}
	rows = without_zeros(all, counter);
	left = json_array_size(all) - json_array_size(rows);
	if (json_array_size(rows) > 0)
		sl_cli_render_table(out, view, rows, indent);
	if (left > 0)
		fprintf(out, "%*s(%zu rows are left out: their %s is 0)\n", (int)indent, "", left,
			counter);
	json_decref(rows);
}

/* {"1": {...}, "2": {...}} as rows with their keys in front. */
static void
render_keyed(FILE *out, const char *name, json_t *object, unsigned int indent)
{
	const char *title = strncmp(name, "by_", 3) == 0 ? name + 3 : name, *key;
	json_t *rows = json_array(), *row, *value;

	json_object_foreach(object, key, value)
	{
		row = json_object();
		json_object_set_new(row, title, json_string(key));
		json_object_update(row, value);
		json_array_append_new(rows, row);
	}
	render_rows(out, name, rows, indent);
	json_decref(rows);
}

static void
render_block(FILE *out, const char *text, unsigned int indent)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		fprintf(out, "%*s%.*s\n", (int)indent, "", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static bool
is_long(const json_t *value)
{
	return json_object_size(value) > 0 || is_table(value) ||
		(json_is_string(value) && strchr(json_string_value(value), '\n') != NULL);
}

static void
render_long(FILE *out, const char *key, json_t *value, unsigned int indent)
{
	fprintf(out, "%*s%s:\n", (int)indent, "", key);
	if (json_is_string(value))
		render_block(out, json_string_value(value), indent + 2);
	else if (json_is_object(value) && all_are_objects(value))
		render_keyed(out, key, value, indent + 2);
	else
		sl_cli_render(out, key, value, indent + 2);
}

static void
render_object(FILE *out, json_t *object, unsigned int indent)
{
	bool no_zeros = json_object_size(object) > ZEROS_SHOWN && all_are_numbers(object);
	size_t nb_zeros = 0;
	const char *key;
	json_t *value;
	int width = 0;
	char *text;

	json_object_foreach(object, key, value)
	{
		if (!is_long(value) && (int)strlen(key) > width)
			width = (int)strlen(key);
	}
	json_object_foreach(object, key, value)
	{
		if (is_long(value))
			continue;
		if (no_zeros && json_number_value(value) == 0) {
			nb_zeros++;
			continue;
		}
		text = sl_cli_cell_text(value);
		fprintf(out, "%*s%s:%*s %s\n", (int)indent, "", key, width - (int)strlen(key), "",
			text == NULL ? "" : text);
		free(text);
	}
	if (nb_zeros > 0)
		fprintf(out, "%*s(%zu %s 0)\n", (int)indent, "", nb_zeros,
			nb_zeros == json_object_size(object) ? "counters, all" : "others are");
	json_object_foreach(object, key, value)
	{
		if (is_long(value))
			render_long(out, key, value, indent);
	}
}

static bool
has_long_rows(const json_t *rows)
{
	const char *key;
	json_t *value;

	json_object_foreach(json_array_get(rows, 0), key, value)
	{
		if (json_object_size(value) > INNER_MAX || is_table(value))
			return true;
	}
	return false;
}

static void
render_array(FILE *out, const char *view, const json_t *rows, unsigned int indent)
{
	json_t *row;
	size_t i;

	if ((view != NULL && strcmp(view, "port info") == 0) || has_long_rows(rows)) {
		json_array_foreach(rows, i, row)
		{
			if (i > 0)
				fputc('\n', out);
			render_object(out, row, indent);
		}
	} else {
		render_rows(out, view, (json_t *)(uintptr_t)rows, indent);
	}
}

/* What it means that a list is empty, where that is not plain. */
static const struct {
	const char *view;
	const char *text;
} empties[] = {
	{"publishers", "none: nobody sends in a session now"},
	{"sessions", "none: no at-least-once destination has sent to a backend yet"},
	{"sinks", "none: the configuration has no sinks"},
};

static const char *
empty_text(const char *view)
{
	for (size_t i = 0; view != NULL && i < sizeof(empties) / sizeof(empties[0]); i++) {
		if (strcmp(empties[i].view, view) == 0)
			return empties[i].text;
	}
	return "none";
}

void
sl_cli_render(FILE *out, const char *view, const json_t *json, unsigned int indent)
{
	const char *raw = json_string_value(json_object_get(json, "yaml"));
	char *text;

	if (raw == NULL && json_object_size(json) == 1)
		raw = json_string_value(json_object_get(json, "dot"));
	if (raw != NULL) {
		fputs(raw, out);
		if (raw[0] == '\0' || raw[strlen(raw) - 1] != '\n')
			fputc('\n', out);
	} else if (is_table(json)) {
		render_array(out, view, json, indent);
	} else if (json_is_array(json) && json_array_size(json) == 0) {
		fprintf(out, "%*s%s\n", (int)indent, "", empty_text(view));
	} else if (json_is_object(json)) {
		render_object(out, (json_t *)(uintptr_t)json, indent);
	} else {
		text = sl_cli_cell_text(json);
		fprintf(out, "%*s%s\n", (int)indent, "", text == NULL ? "" : text);
		free(text);
	}
}
