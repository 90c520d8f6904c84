/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Changes of a running configuration: it is turned back into the raw structures, the changes are
 * made to those, and they are resolved as a file is. So bounds, defaults and errors are the same.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <sl_wire.h>

#include "config_internal.h"

struct editor {
	struct sl_config_reader reader;
	struct sl_config_arena arena; /* Of the raw structures; the result does not refer to it. */
	struct raw_config raw;
	struct sl_config_index index; /* Destinations; SL_CONFIG_NOT_FOUND: was deleted. */
	uint32_t nb_deleted;
	const struct sl_config_edit *edit; /* The one that is being made. */
};

const char *
sl_config_name_place(const struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, char *buf, size_t buf_len)
{
	const struct raw_config *raw = reader->raw;
	const struct raw_destination *destination;

	if (at == NULL || at->list == NULL) {
		snprintf(buf, buf_len, "%s", key);
	} else if (strcmp(at->list, "destinations") == 0) {
		destination = &raw->destinations[at->i];
		if (at->sublist == NULL)
			snprintf(buf, buf_len, "destinations[%s].%s", destination->name, key);
		else if (strcmp(at->sublist, "backends") == 0)
			snprintf(buf, buf_len, "destinations[%s].backends[%s].%s",
				destination->name, destination->backends[at->j].name, key);
		else
			snprintf(buf, buf_len, "destinations[%s].%s[%" PRIu32 "].%s",
				destination->name, at->sublist, at->j, key);
	} else if (strcmp(at->list, "classes") == 0) {
		snprintf(buf, buf_len, "classes[%" PRId64 "].%s", *raw->classes[at->i].level, key);
	} else {
		/* Rules above all; who edits counts them from 1. */
		snprintf(buf, buf_len, "%s[%" PRIu32 "].%s", at->list, at->i + 1, key);
	}
	return buf;
}

/* What the edit is about: "destinations[table1].backends[kitchen1]", and ".key" if there is one. */
static void
name_object(const struct sl_config_edit *edit, const char *key, char *buf, size_t buf_len)
{
	const char *dot = key != NULL ? "." : "", *tail = key != NULL ? key : "";

	switch (edit->object) {
	case SL_CONFIG_DESTINATION:
		snprintf(buf, buf_len, "destinations[%s]%s%.63s", edit->destination, dot, tail);
		break;
	case SL_CONFIG_BACKEND:
		snprintf(buf, buf_len, "destinations[%s].backends[%s]%s%.63s", edit->destination,
			edit->backend, dot, tail);
		break;
	case SL_CONFIG_CLASS:
		snprintf(buf, buf_len, "classes[%" PRIu32 "]%s%.63s", edit->number, dot, tail);
		break;
	default:
		snprintf(buf, buf_len, "rules[%" PRIu32 "]%s%.63s", edit->number, dot, tail);
		break;
	}
}

static int edit_fail(struct editor *editor, int error, const char *key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Write the error text for the object of the edit. @return @p error */
static int
edit_fail(struct editor *editor, int error, const char *key, const char *format, ...)
{
	char path[512];
	va_list args;

	name_object(editor->edit, key, path, sizeof(path));
	va_start(args, format);
	sl_config_vfail(&editor->reader, 0, path, format, args);
	va_end(args);
	return error;
}

static int
no_memory(struct editor *editor)
{
	return sl_config_no_memory(&editor->reader);
}

/* Length of the UTF-8 sequence at @p p; 0 when it is none (RFC 3629). libyaml lets only these pass
 * in a file. */
static unsigned int
utf8_len(const unsigned char *p)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned int len = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : 4, i;
	uint32_t code = len == 1 ? p[0] : p[0] & (0x7f >> len);

	if (len == 4 && p[0] >> 3 != 30)
		return 0;
	for (i = 1; i < len; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	return code >= smallest[len] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? len
											     : 0;
}

bool
sl_config_is_utf8(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned int len;

	for (; *p != '\0'; p += len) {
		len = utf8_len(p);
		if (len == 0)
			return false;
	}
	return true;
}

static int
take_text(struct editor *editor, const char *key, const char *text, char **copy)
{
	size_t size = strlen(text) + 1;

	if (!sl_config_is_utf8(text))
		return edit_fail(editor, -EINVAL, key, "is not UTF-8; write it as that");
	*copy = sl_config_arena_alloc(&editor->arena, size);
	if (*copy == NULL)
		return no_memory(editor);
	memcpy(*copy, text, size);
	return 0;
}

static int
take_number(struct editor *editor, const char *key, const char *text, int64_t **to)
{
	if (!sl_config_is_whole_number(text))
		return edit_fail(editor, -EINVAL, key,
			"'%.80s' is not a whole number; write decimal digits, without unit or "
			"leading zero",
			text);
	*to = sl_config_arena_alloc(&editor->arena, sizeof(**to));
	if (*to == NULL)
		return no_memory(editor);
	**to = strtoll(text, NULL, 10);
	return 0;
}

static int
take_choice(struct editor *editor, const cyaml_schema_field_t *field, const char *text, int **to)
{
	const cyaml_strval_t *choices = field->value.enumeration.strings;
	char known[128];
	uint32_t i = 0;

	while (i < field->value.enumeration.count && strcmp(choices[i].str, text) != 0)
		i++;
	if (i == field->value.enumeration.count)
		return edit_fail(editor, -EINVAL, field->key,
			"unknown value '%.80s'; give one of: %s", text,
			sl_config_list_choices(&field->value, known, sizeof(known)));
	*to = sl_config_arena_alloc(&editor->arena, sizeof(**to));
	if (*to == NULL)
		return no_memory(editor);
	**to = (int)choices[i].val;
	return 0;
}

/* A name or a level is what the object is found by; lists and mappings are no single value. */
static bool
is_settable(const cyaml_schema_field_t *field)
{
	return strcmp(field->key, "name") != 0 && strcmp(field->key, "level") != 0 &&
		(field->value.type == CYAML_STRING || field->value.type == CYAML_INT ||
			field->value.type == CYAML_ENUM);
}

static int
unknown_key(struct editor *editor, const cyaml_schema_field_t *fields, const char *key)
{
	char known[256] = "";
	size_t len = 0;

	for (; fields->key != NULL && len < sizeof(known); fields++) {
		if (is_settable(fields))
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s",
				len > 0 ? ", " : "", fields->key);
	}
	return edit_fail(editor, -EINVAL, key, "unknown key; the keys here are %s", known);
}

/* One setting, into the raw structure that has these fields. */
static int
set_one(struct editor *editor, const cyaml_schema_field_t *fields, void *raw,
	const struct sl_config_setting *setting)
{
	const cyaml_schema_field_t *field = fields;
	void *value = NULL;
	int ret;

	while (field->key != NULL && strcmp(field->key, setting->key) != 0)
		field++;
	if (field->key == NULL || !is_settable(field))
		return unknown_key(editor, fields, setting->key);
	if (field->value.type == CYAML_INT)
		ret = take_number(editor, field->key, setting->value, (int64_t **)&value);
	else if (field->value.type == CYAML_ENUM)
		ret = take_choice(editor, field, setting->value, (int **)&value);
	else
		ret = take_text(editor, field->key, setting->value, (char **)&value);
	if (ret == 0)
		memcpy((char *)raw + field->data_offset, &value, sizeof(value));
	return ret;
}

/* What has no default and was not given. */
static int
check_required(struct editor *editor, const cyaml_schema_field_t *fields, const void *raw)
{
	const void *value;

	for (; fields->key != NULL; fields++) {
		memcpy(&value, (const char *)raw + fields->data_offset, sizeof(value));
		if (!(fields->value.flags & CYAML_FLAG_OPTIONAL) && value == NULL)
			return edit_fail(
				editor, -EINVAL, fields->key, "is missing; it has no default");
	}
	return 0;
}

static int
set_all(struct editor *editor, const char *section, void *raw)
{
	const cyaml_schema_field_t *fields = sl_config_section_of(section)->fields;
	const struct sl_config_edit *edit = editor->edit;
	uint32_t i, j;
	int ret;

	/* No key can be there twice, so the settings are few. */
	for (i = 0; i < edit->nb_settings; i++) {
		for (j = 0; j < i; j++) {
			if (strcmp(edit->settings[i].key, edit->settings[j].key) == 0)
				return edit_fail(editor, -EINVAL, edit->settings[i].key,
					"is there twice; keep one of the two");
		}
		ret = set_one(editor, fields, raw, &edit->settings[i]);
		if (ret < 0)
			return ret;
	}
	return check_required(editor, fields, raw);
}

static int
edit_destination(struct editor *editor)
{
	const struct sl_config_edit *edit = editor->edit;
	struct raw_config *raw = &editor->raw;
	uint32_t at = sl_config_index_get(&editor->index, edit->destination);
	struct raw_destination *destination;
	int ret;

	if (edit->op != SL_CONFIG_ADD && at == SL_CONFIG_NOT_FOUND)
		return edit_fail(editor, -ENOENT, NULL,
			"there is no such destination; name a configured one");
	if (edit->op == SL_CONFIG_SET)
		return set_all(editor, "destinations", &raw->destinations[at]);
	if (edit->op == SL_CONFIG_DEL) {
		sl_config_index_set(
			&editor->index, raw->destinations[at].name, SL_CONFIG_NOT_FOUND);
		raw->destinations[at].name = NULL;
		editor->nb_deleted++;
		return 0;
	}
	if (at != SL_CONFIG_NOT_FOUND)
		return edit_fail(editor, -EEXIST, NULL,
			"this destination is there already; set its keys, or give another name");
	if (raw->destinations_count - editor->nb_deleted == SL_CONFIG_DESTINATIONS_MAX)
		return edit_fail(editor, -EINVAL, NULL, "too many destinations; have at most %d",
			SL_CONFIG_DESTINATIONS_MAX);
	destination = &raw->destinations[raw->destinations_count];
	ret = take_text(editor, "name", edit->destination, &destination->name);
	if (ret < 0)
		return ret;
	sl_config_index_set(&editor->index, destination->name, raw->destinations_count++);
	return set_all(editor, "destinations", destination);
}

static int
add_backend(struct editor *editor, struct raw_destination *destination)
{
	bool is_topic = sl_config_choice(destination->kind, SL_CONFIG_QUEUE) == SL_CONFIG_TOPIC;
	uint32_t max = is_topic ? SL_CONFIG_SUBSCRIBERS_MAX : SL_CONFIG_BACKENDS_MAX;
	uint32_t count = destination->backends_count;
	struct raw_backend *bigger;
	int ret;

	if (count >= max)
		return edit_fail(editor, -EINVAL, NULL,
			"the destination has %" PRIu32 " backends already; delete one first", max);
	bigger = sl_config_arena_alloc(&editor->arena, (count + 1) * sizeof(*bigger));
	if (bigger == NULL)
		return no_memory(editor);
	if (count > 0)
		memcpy(bigger, destination->backends, count * sizeof(*bigger));
	ret = take_text(editor, "name", editor->edit->backend, &bigger[count].name);
	if (ret < 0)
		return ret;
	destination->backends = bigger;
	destination->backends_count = count + 1;
	return set_all(editor, "destinations.backends", &bigger[count]);
}

static int
edit_backend(struct editor *editor)
{
	const struct sl_config_edit *edit = editor->edit;
	struct raw_destination *destination;
	uint32_t at = sl_config_index_get(&editor->index, edit->destination), i = 0;

	if (at == SL_CONFIG_NOT_FOUND)
		return edit_fail(editor, -ENOENT, NULL,
			"there is no such destination; name a configured one");
	destination = &editor->raw.destinations[at];
	while (i < destination->backends_count &&
		strcmp(destination->backends[i].name, edit->backend) != 0)
		i++;
	if (edit->op == SL_CONFIG_ADD && i < destination->backends_count)
		return edit_fail(editor, -EEXIST, NULL,
			"this backend is there already; set its keys, or give another name");
	if (edit->op == SL_CONFIG_ADD)
		return add_backend(editor, destination);
	if (i == destination->backends_count)
		return edit_fail(editor, -ENOENT, NULL,
			"there is no such backend; name one of this destination");
	if (edit->op == SL_CONFIG_SET)
		return set_all(editor, "destinations.backends", &destination->backends[i]);
	destination->backends_count--;
	memmove(&destination->backends[i], &destination->backends[i + 1],
		(destination->backends_count - i) * sizeof(destination->backends[0]));
	return 0;
}

static int
edit_class(struct editor *editor)
{
	struct raw_config *raw = &editor->raw;
	uint32_t i;

	if (editor->edit->op != SL_CONFIG_SET)
		return edit_fail(editor, -EINVAL, NULL,
			"classes are neither added nor deleted while running; change the file and "
			"start again");
	for (i = 0; i < raw->classes_count; i++) {
		if (*raw->classes[i].level == editor->edit->number)
			return set_all(editor, "classes", &raw->classes[i]);
	}
	return edit_fail(editor, -ENOENT, NULL, "there is no such class; give a configured level");
}

static int
add_rule(struct editor *editor)
{
	struct raw_config *raw = &editor->raw;
	uint32_t count = raw->rules_count;
	uint32_t at = editor->edit->number == 0 ? count : editor->edit->number - 1;
	struct raw_rule *bigger;

	if (count == SL_CONFIG_RULES_MAX)
		return edit_fail(editor, -EINVAL, NULL,
			"there are %d rules already; delete one first", SL_CONFIG_RULES_MAX);
	if (at > count)
		return edit_fail(editor, -EINVAL, NULL,
			"there is no such place; give 1 to %" PRIu32 ", or none for the last",
			count + 1);
	bigger = sl_config_arena_alloc(&editor->arena, (count + 1) * sizeof(*bigger));
	if (bigger == NULL)
		return no_memory(editor);
	if (count > 0) {
		memcpy(bigger, raw->rules, at * sizeof(*bigger));
		memcpy(&bigger[at + 1], &raw->rules[at], (count - at) * sizeof(*bigger));
	}
	raw->rules = bigger;
	raw->rules_count = count + 1;
	return set_all(editor, "rules", &bigger[at]);
}

static int
edit_rule(struct editor *editor)
{
	const struct sl_config_edit *edit = editor->edit;
	struct raw_config *raw = &editor->raw;

	if (edit->op == SL_CONFIG_SET)
		return edit_fail(editor, -EINVAL, NULL,
			"rules are not set; delete this one and add another in its place");
	if (edit->op == SL_CONFIG_ADD)
		return add_rule(editor);
	if (edit->number == 0 || edit->number > raw->rules_count)
		return edit_fail(editor, -ENOENT, NULL,
			"there is no such rule; there are %" PRIu32 ", counted from 1",
			raw->rules_count);
	raw->rules_count--;
	memmove(&raw->rules[edit->number - 1], &raw->rules[edit->number],
		(raw->rules_count - edit->number + 1) * sizeof(raw->rules[0]));
	return 0;
}

static int
make_edit(struct editor *editor)
{
	const struct sl_config_edit *edit = editor->edit;

	switch (edit->object) {
	case SL_CONFIG_DESTINATION:
		return edit_destination(editor);
	case SL_CONFIG_BACKEND:
		return edit_backend(editor);
	case SL_CONFIG_CLASS:
		return edit_class(editor);
	case SL_CONFIG_RULE:
		return edit_rule(editor);
	default:
		return -EINVAL;
	}
}

/* The raw structures, with room for every destination that is added. */
static int
begin(struct editor *editor, const struct sl_config *base, uint32_t nb_edits)
{
	struct sl_config_maker maker = {.config = base, .arena = &editor->arena};
	struct raw_config *raw = &editor->raw;
	struct raw_destination *bigger;
	uint32_t i;

	if (sl_config_make_raw(&maker, raw) < 0)
		return no_memory(editor);
	bigger = sl_config_arena_alloc(
		&editor->arena, ((size_t)raw->destinations_count + nb_edits) * sizeof(*bigger));
	if (bigger == NULL ||
		sl_config_index_init(
			&editor->index, &editor->arena, raw->destinations_count + nb_edits) < 0)
		return no_memory(editor);
	memcpy(bigger, raw->destinations, raw->destinations_count * sizeof(*bigger));
	raw->destinations = bigger;
	for (i = 0; i < raw->destinations_count; i++)
		sl_config_index_set(&editor->index, raw->destinations[i].name, i);
	return 0;
}

/* Close the gaps that deleted destinations have left. */
static int
close_gaps(struct editor *editor)
{
	struct raw_config *raw = &editor->raw;
	uint32_t i, n = 0;

	for (i = 0; i < raw->destinations_count; i++) {
		if (raw->destinations[i].name != NULL)
			raw->destinations[n++] = raw->destinations[i];
	}
	raw->destinations_count = n;
	if (n > 0)
		return 0;
	return sl_config_fail(&editor->reader, NULL, "destinations",
		"the last one would be gone; keep at least one, or add another first");
}

static int
make_all(struct editor *editor, const struct sl_config *base, const struct sl_config_edit *edits,
	uint32_t nb_edits)
{
	uint32_t i;
	int ret;

	ret = begin(editor, base, nb_edits);
	for (i = 0; i < nb_edits && ret == 0; i++) {
		editor->edit = &edits[i];
		ret = make_edit(editor);
	}
	if (ret == 0)
		ret = close_gaps(editor);
	if (ret == 0)
		ret = sl_config_resolve(&editor->reader);
	return ret;
}

int
sl_config_edit(const struct sl_config *base, const struct sl_config_edit *edits, uint32_t nb_edits,
	struct sl_config **config, char *error, size_t error_len)
{
	struct editor editor = {
		.reader =
			{
				.path = base->path,
				.is_edit = true,
				.hash = sl_wire_name_key,
				.error = error,
				.error_len = error_len,
			},
	};
	int ret;

	*config = NULL;
	ret = sl_config_begin(&editor.reader);
	if (ret < 0)
		return ret;
	editor.reader.raw = &editor.raw;
	ret = make_all(&editor, base, edits, nb_edits);
	sl_config_arena_free(&editor.arena);
	if (ret < 0)
		sl_config_free(editor.reader.config);
	else
		*config = editor.reader.config;
	return ret;
}
