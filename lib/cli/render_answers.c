/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Answers that tell a story: changes, an explanation, a trace, a graph. */

#include <stdlib.h>
#include <string.h>

#include "render.h"

static const char *
text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* Of what comes or goes as a whole there is no value to tell. */
static json_t *
readable_change(json_t *change, bool needs_restart)
{
	const char *before = text_of(change, "before"), *after = text_of(change, "after");
	json_t *row = json_copy(change);

	if (before == NULL && after != NULL && after[0] == '\0')
		json_object_set_new(row, "after", json_string("(added)"));
	if (after == NULL && before != NULL && before[0] == '\0')
		json_object_set_new(row, "after", json_string("(removed)"));
	if (!needs_restart)
		json_object_del(row, "needs_restart");
	return row;
}

void
sl_cli_render_changes(FILE *out, const json_t *json, bool is_check)
{
	const json_t *changes = json_object_get(json, "changes");
	bool needs_restart = false;
	json_t *change, *rows;
	size_t i;

	json_array_foreach(changes, i, change)
		needs_restart |= json_is_true(json_object_get(change, "needs_restart"));
	rows = json_array();
	json_array_foreach(changes, i, change)
		json_array_append_new(rows, readable_change(change, needs_restart));
	if (json_array_size(rows) == 0)
		fprintf(out, "nothing changes\n");
	else
		sl_cli_render_table(out, "changes", rows, 0);
	json_decref(rows);
	if (is_check && json_array_size(changes) == 0)
		return;
	if (is_check && !needs_restart)
		fprintf(out, "a reload would take this over\n");
	else if (json_is_true(json_object_get(json, "applied")))
		fprintf(out, "applied\n");
	else if (needs_restart)
		fprintf(out, "not applied: what has yes under restart takes one\n");
	else
		fprintf(out, "not applied\n");
}

void
sl_cli_render_explanation(FILE *out, const json_t *json)
{
	const json_t *steps = json_object_get(json, "steps");
	const char *outcome = text_of(json, "outcome");
	json_t *step;
	size_t i;

	json_array_foreach(steps, i, step)
	{
		const char *name = text_of(step, "step"), *text = text_of(step, "text");

		fprintf(out, "%2zu. %s: %s\n", i + 1, name == NULL ? "-" : name,
			text == NULL ? "-" : text);
	}
	if (outcome != NULL)
		fprintf(out, "Such a message now: %s\n", outcome);
}

void
sl_cli_render_trace(FILE *out, const json_t *json)
{
	const json_t *messages = json_object_get(json, "messages"), *steps;
	const char *key;
	json_t *message, *value;
	size_t i;

	json_array_foreach(messages, i, message)
	{
		fprintf(out, "%smessage %zu:", i == 0 ? "" : "\n", i + 1);
		json_object_foreach(message, key, value)
		{
			char *text = json_is_array(value) ? NULL : sl_cli_cell_text(value);

			if (text != NULL)
				fprintf(out, " %s %s", key, text);
			free(text);
		}
		fputc('\n', out);
		steps = json_object_get(message, "steps");
		if (json_array_size(steps) > 0)
			sl_cli_render_table(out, "trace", steps, 2);
	}
	if (json_array_size(messages) == 0)
		fprintf(out, "no such message came in time\n");
	else if (json_is_false(json_object_get(json, "is_complete")))
		fprintf(out,
			"\nthe time was over before all messages came, or came to their end\n");
}

/* The node's name at @text, without its quotes. */
static size_t
node_name(const char **text)
{
	*text += strspn(*text, " \t");
	if (**text == '"') {
		(*text)++;
		return strcspn(*text, "\"");
	}
	return strcspn(*text, " \t;[");
}

void
sl_cli_render_graph(FILE *out, const char *dot)
{
	const char *last = NULL;
	size_t last_len = 0;

	for (const char *line = dot; *line != '\0';
		line += strcspn(line, "\n"), line += *line != '\0') {
		size_t len = strcspn(line, "\n"), from_len, to_len;
		const char *arrow = memmem(line, len, "->", 2), *from = line, *to;

		if (arrow == NULL)
			continue;
		to = arrow + 2;
		from_len = node_name(&from);
		to_len = node_name(&to);
		if (last != NULL && last_len == from_len && memcmp(last, from, from_len) == 0)
			fprintf(out, ", %.*s", (int)to_len, to);
		else
			fprintf(out, "%s%.*s -> %.*s", last == NULL ? "" : "\n", (int)from_len,
				from, (int)to_len, to);
		last = from;
		last_len = from_len;
	}
	if (last != NULL)
		fputc('\n', out);
}
