/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Arrays of objects as tables. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "render.h"

#define COLUMNS_MAX 64

/* Titles longer than their numbers would spread a table; so some are shorter than their keys. */
static const struct {
	const char *view;
	/* KEY, KEY=TITLE, or -KEY: not shown. What is not named follows behind, as it comes. */
	const char *columns;
} views[] = {
	{"classes",
		"level name delivered dropped queued latency_us.mean=mean_us latency_us.p50=p50_us "
		"latency_us.p90=p90_us latency_us.p99=p99_us latency_us.p999=p99.9_us "
		"latency_us.max=max_us min_share_percent=share_% max_wait_ms"},
	{"by_class",
		"class delivered dropped queued latency_us.mean=mean_us latency_us.p50=p50_us "
		"latency_us.p90=p90_us latency_us.p99=p99_us latency_us.p999=p99.9_us "
		"latency_us.max=max_us"},
	{"destinations",
		"name policy backends backends_up=up delivered duplicates dropped queued "
		"queue_capacity=capacity rate_msgs_per_s=rate class_boost=boost "
		"default_class=class partitions -key"},
	{"backends",
		"destination name address port state admin_state=wanted weight share_percent=share_% "
		"delivered rate_msgs_per_s=rate port_name=through next_hop neighbour_state=neighbour "
		"mac since_s=for_s check_failures_in_row=failures check_latency_us=check_us reason"},
	{"lcores",
		"lcore cpu roles busy_percent=busy_% frames delivered queued rx_queues shards "
		"-busy_cycles -idle_cycles"},
	{"nodes",
		"name calls objects cycles objects_per_call=objects/call "
		"cycles_per_object=cycles/object"},
	{"drops", "reason kind count hint"},
	{"topics",
		"name guarantee is_on_demand=on_demand subscribers static dynamic gateway delivered "
		"duplicates subscribers_dropped=dropped queued"},
	{"subscribers",
		"destination name kind address port state delivered queued capacity dropped "
		"ttl_left_s=ttl_s is_away=away"},
	{"gateways",
		"name protocol address port clients connections accepted delivered bytes_in bytes_out "
		"durable lost waits"},
	{"queues", "destination queued capacity parked in_flight"},
	{"publishers",
		"address port source session cumulative highest credit messages duplicates "
		"over_limit idle_s"},
	{"sessions",
		"destination backend worker in_flight credit window rtt_us acked next_sequence=next "
		"retransmitted requeued dead bad_acks is_stalled=stalled session"},
	{"sinks",
		"name kind state lag_s lag_bytes rows updates batches write_us.mean=write_us "
		"write_us.max=max_us failures gaps retry_in_s last_commit_s server failure "
		"-last_failure_s"},
	{"neighbours", "address port state mac age_s"},
	{"ports",
		"name device driver address address6 mac vlan mtu link speed_mbps rx_packets "
		"tx_packets"},
	{"changes", "path before after needs_restart=restart"},
	{"trace", "us node lcore"},
};

struct column {
	const char *path; /* "delivered", "latency_us.p50": not ended by '\0'. */
	size_t path_len;
	const char *title;
	size_t title_len;
	int width;
	bool is_hidden;
	bool is_text;
};

struct table {
	struct column columns[COLUMNS_MAX];
	size_t nb_columns;
	char *paths[COLUMNS_MAX]; /* Of columns that no view names. */
	size_t nb_paths;
	char **cells;
	size_t nb_rows;
};

static size_t
utf8_len(const char *text)
{
	size_t len = 0;

	for (; *text != '\0'; text++)
		len += ((unsigned char)*text & 0xc0) != 0x80;
	return len;
}

static char *
list_text(const json_t *list)
{
	char *text = NULL, *cell;
	size_t len = 0, i;
	json_t *value;
	FILE *out;

	if (json_array_size(list) == 0)
		return strdup("-");
	if (json_is_object(json_array_get(list, 0))) {
		if (asprintf(&text, "%zu", json_array_size(list)) < 0)
			return NULL;
		return text;
	}
	out = open_memstream(&text, &len);
	if (out == NULL)
		return NULL;
	json_array_foreach(list, i, value)
	{
		cell = sl_cli_cell_text(value);
		fprintf(out, "%s%s", i == 0 ? "" : ",", cell == NULL ? "" : cell);
		free(cell);
	}
	fclose(out);
	return text;
}

char *
sl_cli_cell_text(const json_t *value)
{
	char *text = NULL;
	double real;
	int n = 0;

	switch (json_typeof(value)) {
	case JSON_STRING:
		return strdup(json_string_value(value));
	case JSON_INTEGER:
		n = asprintf(&text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		real = json_real_value(value);
		n = asprintf(&text, "%.*f", fabs(real) < 10 ? 2 : fabs(real) < 1000 ? 1 : 0, real);
		break;
	case JSON_TRUE:
		return strdup("yes");
	case JSON_FALSE:
		return strdup("no");
	case JSON_ARRAY:
		return list_text(value);
	case JSON_OBJECT:
		return json_dumps(value, JSON_COMPACT);
	default:
		return strdup("-");
	}
	return n < 0 ? NULL : text;
}

static void
add_column(struct table *table, const char *path, size_t path_len, const char *title,
	size_t title_len, bool is_hidden)
{
	if (table->nb_columns == COLUMNS_MAX)
		return;
	table->columns[table->nb_columns++] = (struct column){.path = path,
		.path_len = path_len,
		.title = title,
		.title_len = title_len,
		.is_hidden = is_hidden};
}

static void
add_view_columns(struct table *table, const char *view)
{
	const char *at = "";

	for (size_t i = 0; view != NULL && i < sizeof(views) / sizeof(views[0]); i++) {
		if (strcmp(views[i].view, view) == 0)
			at = views[i].columns;
	}
	while (*at != '\0') {
		size_t len = strcspn(at, " "), path_len = strcspn(at, " =");

		if (*at == '-')
			add_column(table, at + 1, path_len - 1, at, 0, true);
		else if (path_len < len)
			add_column(
				table, at, path_len, at + path_len + 1, len - path_len - 1, false);
		else
			add_column(table, at, len, at, len, false);
		at += len + (at[len] == ' ');
	}
}

static bool
has_column(const struct table *table, const char *path)
{
	for (size_t i = 0; i < table->nb_columns; i++) {
		const struct column *column = &table->columns[i];

		if (strlen(path) == column->path_len &&
			strncmp(path, column->path, column->path_len) == 0)
			return true;
	}
	return false;
}

static void
add_path(struct table *table, const char *key, const char *inner)
{
	char *path;

	if (asprintf(&path, "%s%s%s", key, inner == NULL ? "" : ".", inner == NULL ? "" : inner) <
		0)
		return;
	if (has_column(table, path) || table->nb_columns == COLUMNS_MAX) {
		free(path);
		return;
	}
	table->paths[table->nb_paths++] = path;
	add_column(table, path, strlen(path), path, strlen(path), false);
}

static void
add_row_columns(struct table *table, json_t *row)
{
	const char *key, *inner_key;
	json_t *value, *inner;

	json_object_foreach(row, key, value)
	{
		if (!json_is_object(value)) {
			add_path(table, key, NULL);
			continue;
		}
		json_object_foreach(value, inner_key, inner) add_path(table, key, inner_key);
	}
}

static const json_t *
find_cell(const json_t *row, const struct column *column)
{
	const char *dot = memchr(column->path, '.', column->path_len);
	char key[256];
	const json_t *value;

	if (column->path_len >= sizeof(key))
		return NULL;
	memcpy(key, column->path, column->path_len);
	key[column->path_len] = '\0';
	value = json_object_get(row, key);
	if (value != NULL || dot == NULL)
		return value;
	key[dot - column->path] = '\0';
	return json_object_get(json_object_get(row, key), key + (dot - column->path) + 1);
}

static void
fill(struct table *table, const json_t *rows)
{
	table->nb_rows = json_array_size(rows);
	table->cells = calloc(table->nb_rows * table->nb_columns + 1, sizeof(table->cells[0]));
	for (size_t c = 0; c < table->nb_columns && table->cells != NULL; c++) {
		struct column *column = &table->columns[c];
		size_t nb_there = 0;

		column->width = (int)column->title_len;
		for (size_t r = 0; r < table->nb_rows; r++) {
			const json_t *value = find_cell(json_array_get(rows, r), column);
			char *text = value == NULL ? NULL : sl_cli_cell_text(value);

			nb_there += value != NULL;
			if (value != NULL && !json_is_number(value) && !json_is_null(value))
				column->is_text = true;
			if (text != NULL && (int)utf8_len(text) > column->width)
				column->width = (int)utf8_len(text);
			table->cells[r * table->nb_columns + c] = text;
		}
		column->is_hidden |= nb_there == 0;
	}
}

static void
print_row(FILE *out, const struct table *table, size_t r, unsigned int indent)
{
	int blanks = (int)indent;

	for (size_t c = 0; c < table->nb_columns; c++) {
		const struct column *column = &table->columns[c];
		const char *text = r == SIZE_MAX ? NULL : table->cells[r * table->nb_columns + c];
		int width, len;

		if (column->is_hidden)
			continue;
		if (r == SIZE_MAX)
			text = column->title;
		else if (text == NULL || text[0] == '\0')
			text = "-";
		width = r == SIZE_MAX ? (int)column->title_len : (int)utf8_len(text);
		len = r == SIZE_MAX ? (int)column->title_len : (int)strlen(text);
		/* No blanks at the line's end. */
		fprintf(out, "%*s%.*s", blanks + (column->is_text ? 0 : column->width - width), "",
			len, text);
		blanks = 2 + (column->is_text ? column->width - width : 0);
	}
	fputc('\n', out);
}

void
sl_cli_render_table(FILE *out, const char *view, const json_t *rows, unsigned int indent)
{
	struct table table = {0};
	json_t *row;
	size_t i;

	add_view_columns(&table, view);
	json_array_foreach(rows, i, row) add_row_columns(&table, row);
	fill(&table, rows);
	if (table.cells != NULL) {
		print_row(out, &table, SIZE_MAX, indent);
		for (i = 0; i < table.nb_rows; i++)
			print_row(out, &table, i, indent);
		for (i = 0; i < table.nb_rows * table.nb_columns; i++)
			free(table.cells[i]);
	}
	free(table.cells);
	for (i = 0; i < table.nb_paths; i++)
		free(table.paths[i]);
}
