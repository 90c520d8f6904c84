/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The raw structures as a file: libyaml's emitter, led by the schema. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <rte_common.h>
#include <yaml.h>

#include "config_internal.h"

/* An entry of a list with more keys than this is written over several lines. */
#define KEYS_A_LINE 6

static int
write_out(void *file, unsigned char *text, size_t len)
{
	return fwrite(text, 1, len, file) == len;
}

/* Plain only where every reader of YAML takes the text for a text. */
static yaml_scalar_style_t
style_of(const char *text)
{
	static const char *const units[] = {"K", "M", "G", "T", "ms", "s", "m", "h", "d"};
	static const char *const words[] = {
		"true", "false", "yes", "no", "on", "off", "null", "y", "n", "inf", "nan"};
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char rest[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
	unsigned int i, nb_dots = 0;

	/* Three dots: an IPv4 address, with or without a prefix length. */
	for (i = 0; text[i] != '\0'; i++)
		nb_dots += text[i] == '.';
	if (nb_dots == 3 && text[strspn(text, "0123456789./")] == '\0' && text[0] != '.' &&
		text[0] != '/')
		return YAML_PLAIN_SCALAR_STYLE;
	for (i = 0; i < RTE_DIM(units) && text[0] >= '0' && text[0] <= '9'; i++) {
		if (strcmp(text + strspn(text, "0123456789"), units[i]) == 0)
			return YAML_PLAIN_SCALAR_STYLE;
	}
	if (text[0] == '\0' || (strchr(letters, text[0]) == NULL && text[0] != '/') ||
		text[strspn(text, rest)] != '\0')
		return YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	for (i = 0; i < RTE_DIM(words); i++) {
		if (strcasecmp(text, words[i]) == 0)
			return YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	}
	return YAML_PLAIN_SCALAR_STYLE;
}

static bool
write_scalar(yaml_emitter_t *emitter, const char *text, yaml_scalar_style_t style)
{
	yaml_event_t event;

	return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
		       (int)strlen(text), 1, 1, style) &&
		yaml_emitter_emit(emitter, &event);
}

static bool
write_number(yaml_emitter_t *emitter, int64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, number);
	return write_scalar(emitter, text, YAML_PLAIN_SCALAR_STYLE);
}

static const char *
choice_text(const cyaml_schema_value_t *schema, int64_t value)
{
	const cyaml_strval_t *choice = schema->enumeration.strings;

	while (choice->val != value)
		choice++;
	return choice->str;
}

static bool
begin_list(yaml_emitter_t *emitter, bool is_flow)
{
	yaml_event_t event;

	return yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
		       is_flow ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE) &&
		yaml_emitter_emit(emitter, &event);
}

static bool
end_list(yaml_emitter_t *emitter)
{
	yaml_event_t event;

	return yaml_sequence_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static bool
write_flags(yaml_emitter_t *emitter, const cyaml_schema_value_t *schema, uint32_t flags)
{
	const cyaml_strval_t *strings = schema->enumeration.strings;
	bool is_written = begin_list(emitter, true);
	uint32_t i;

	for (i = 0; i < schema->enumeration.count && is_written; i++) {
		if (flags & (uint32_t)strings[i].val)
			is_written = write_scalar(emitter, strings[i].str, YAML_PLAIN_SCALAR_STYLE);
	}
	return is_written && end_list(emitter);
}

/* What a field of a raw structure holds; NULL when its key is absent. */
static const void *
value_of(const cyaml_schema_field_t *field, const void *raw)
{
	const void *value = (const char *)raw + field->data_offset;
	const cyaml_schema_field_t *inner;

	if (field->value.flags & CYAML_FLAG_POINTER)
		memcpy(&value, value, sizeof(value));
	else if (field->value.type == CYAML_MAPPING) {
		for (inner = field->value.mapping.fields; inner->key != NULL; inner++) {
			if (value_of(inner, value) != NULL)
				return value;
		}
		return NULL;
	}
	return value;
}

static bool write_mapping(
	yaml_emitter_t *emitter, const cyaml_schema_field_t *fields, const void *raw, bool is_flow);

/* Short entries without lists of mappings are put on one line. */
static bool
is_one_line(const cyaml_schema_field_t *fields, const void *raw)
{
	unsigned int nb_keys = 0;

	for (; fields->key != NULL; fields++) {
		if (value_of(fields, raw) == NULL)
			continue;
		if (fields->value.type == CYAML_MAPPING ||
			(fields->value.type == CYAML_SEQUENCE &&
				fields->value.sequence.entry->type == CYAML_MAPPING))
			return false;
		nb_keys++;
	}
	return nb_keys <= KEYS_A_LINE;
}

static bool
write_list(yaml_emitter_t *emitter, const cyaml_schema_field_t *field, const void *raw,
	const void *list)
{
	const cyaml_schema_value_t *entry = field->value.sequence.entry;
	bool is_text = entry->type == CYAML_STRING, is_written;
	const char *at = list;
	uint32_t count, i;

	memcpy(&count, (const char *)raw + field->count_offset, sizeof(count));
	is_written = begin_list(emitter, is_text || count == 0);
	for (i = 0; i < count && is_written; i++) {
		if (is_text) {
			const char *text = ((char *const *)list)[i];

			is_written = write_scalar(emitter, text, style_of(text));
		} else {
			is_written = write_mapping(emitter, entry->mapping.fields, at,
				is_one_line(entry->mapping.fields, at));
			at += entry->data_size;
		}
	}
	return is_written && end_list(emitter);
}

static bool
write_value(yaml_emitter_t *emitter, const cyaml_schema_field_t *field, const void *raw,
	const void *value)
{
	const cyaml_schema_value_t *schema = &field->value;

	switch (schema->type) {
	case CYAML_STRING:
		return write_scalar(emitter, value, style_of(value));
	case CYAML_INT:
		return write_number(emitter, *(const int64_t *)value);
	case CYAML_BOOL:
		return write_scalar(
			emitter, *(const bool *)value ? "true" : "false", YAML_PLAIN_SCALAR_STYLE);
	case CYAML_ENUM:
		return write_scalar(
			emitter, choice_text(schema, *(const int *)value), YAML_PLAIN_SCALAR_STYLE);
	case CYAML_FLAGS:
		return write_flags(emitter, schema, *(const uint32_t *)value);
	case CYAML_MAPPING:
		return write_mapping(emitter, schema->mapping.fields, value, false);
	default:
		return write_list(emitter, field, raw, value);
	}
}

static bool
write_mapping(
	yaml_emitter_t *emitter, const cyaml_schema_field_t *fields, const void *raw, bool is_flow)
{
	const void *value;
	yaml_event_t event;

	if (!yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
		    is_flow ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE) ||
		!yaml_emitter_emit(emitter, &event))
		return false;
	for (; fields->key != NULL; fields++) {
		value = value_of(fields, raw);
		if (value == NULL)
			continue;
		if (!write_scalar(emitter, fields->key, YAML_PLAIN_SCALAR_STYLE) ||
			!write_value(emitter, fields, raw, value))
			return false;
	}
	return yaml_mapping_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static bool
write_stream(yaml_emitter_t *emitter, const struct raw_config *raw)
{
	yaml_event_t event;

	return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
		yaml_emitter_emit(emitter, &event) &&
		yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
		yaml_emitter_emit(emitter, &event) &&
		write_mapping(emitter, sl_config_schema.mapping.fields, raw, false) &&
		yaml_document_end_event_initialize(&event, 1) &&
		yaml_emitter_emit(emitter, &event) && yaml_stream_end_event_initialize(&event) &&
		yaml_emitter_emit(emitter, &event);
}

int
sl_config_write(const struct sl_config *config, FILE *out)
{
	struct sl_config_arena arena = {NULL};
	struct sl_config_maker maker = {.config = config, .arena = &arena};
	struct raw_config raw;
	yaml_emitter_t emitter;
	int ret;

	ret = sl_config_make_raw(&maker, &raw);
	if (ret == 0 && !yaml_emitter_initialize(&emitter))
		ret = -ENOMEM;
	if (ret == 0) {
		yaml_emitter_set_output(&emitter, write_out, out);
		yaml_emitter_set_unicode(&emitter, 1);
		yaml_emitter_set_width(&emitter, -1);
		if (!write_stream(&emitter, &raw))
			ret = emitter.error == YAML_WRITER_ERROR ? -EIO : -ENOMEM;
		yaml_emitter_delete(&emitter);
	}
	if (ret == 0 && fflush(out) != 0)
		ret = -EIO;
	sl_config_arena_free(&arena);
	return ret;
}
