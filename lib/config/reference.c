/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The tables of docs/configuration.md: the schema, the numbers' bounds, and the words of keys.c. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config_internal.h"

static bool
is_list_of_mappings(const cyaml_schema_value_t *schema)
{
	return schema->type == CYAML_SEQUENCE && schema->sequence.entry->type == CYAML_MAPPING;
}

/* "destinations.backends" as people write it: "destinations[].backends"; a section's own name: with
 * a "[]" behind it, too. */
static void
write_path(FILE *out, const char *path, bool is_section)
{
	const cyaml_schema_value_t *schema = &sl_config_schema;
	const cyaml_schema_field_t *field;
	size_t len;

	for (; *path != '\0'; path += len + (path[len] == '.')) {
		len = strcspn(path, ".");
		field = schema->mapping.fields;
		while (strlen(field->key) != len || strncmp(field->key, path, len) != 0)
			field++;
		schema = &field->value;
		fprintf(out, "%s", field->key);
		if (is_list_of_mappings(schema)) {
			fprintf(out, "%s", is_section || path[len] == '.' ? "[]" : "");
			schema = schema->sequence.entry;
		}
		fprintf(out, "%s", path[len] == '.' ? "." : "");
	}
}

static const struct sl_config_number *
find_number(const struct sl_config_section *section, const char *key)
{
	const struct sl_config_number *number = section->numbers;

	while (number != NULL && number->key != NULL && strcmp(number->key, key) != 0)
		number++;
	return number != NULL && number->key != NULL ? number : NULL;
}

static const char *
type_of(const cyaml_schema_value_t *schema)
{
	switch (schema->type) {
	case CYAML_INT:
		return "number";
	case CYAML_BOOL:
		return "switch";
	case CYAML_ENUM:
		return "choice";
	case CYAML_FLAGS:
	case CYAML_SEQUENCE:
		return "list";
	case CYAML_MAPPING:
		return "mapping";
	default:
		return "text";
	}
}

static void
write_default(FILE *out, const struct sl_config_key *key, const cyaml_schema_value_t *schema,
	const struct sl_config_number *number)
{
	char text[SL_CONFIG_NUMBER_LEN];

	if (key->def != NULL)
		fprintf(out, "%s", key->def);
	else if (!(schema->flags & CYAML_FLAG_OPTIONAL))
		fprintf(out, "*required*");
	else if (number != NULL && number->def >= number->min && number->def <= number->max)
		fprintf(out, "%s", sl_config_format_number(number->def, number->unit, text));
	else if (schema->type == CYAML_SEQUENCE)
		fprintf(out, "empty");
}

static void
write_bounds(FILE *out, const struct sl_config_key *key, const cyaml_schema_value_t *schema,
	const struct sl_config_number *number)
{
	char min[SL_CONFIG_NUMBER_LEN], max[SL_CONFIG_NUMBER_LEN];
	uint32_t i;

	if (key->bounds != NULL) {
		fprintf(out, "%s", key->bounds);
	} else if (number != NULL) {
		fprintf(out, "%s to %s", sl_config_format_number(number->min, number->unit, min),
			sl_config_format_number(number->max, number->unit, max));
	} else if (schema->type == CYAML_SEQUENCE) {
		fprintf(out, "%" PRIu32 " to %" PRIu32 " entries", schema->sequence.min,
			schema->sequence.max);
	} else if (schema->type == CYAML_BOOL) {
		fprintf(out, "`true`, `false`");
	} else if (schema->type == CYAML_ENUM || schema->type == CYAML_FLAGS) {
		for (i = 0; i < schema->enumeration.count; i++)
			fprintf(out, "%s`%s`", i > 0 ? ", " : "",
				schema->enumeration.strings[i].str);
	}
}

static void
write_row(FILE *out, const struct sl_config_section *section, const cyaml_schema_field_t *field,
	const struct sl_config_key *key)
{
	const struct sl_config_number *number = find_number(section, field->key);
	const cyaml_schema_value_t *schema = &field->value;

	fprintf(out, "| `");
	write_path(out, key->path, false);
	fprintf(out, "` | %s | ", key->type != NULL ? key->type : type_of(schema));
	write_default(out, key, schema, number);
	fprintf(out, " | ");
	write_bounds(out, key, schema, number);
	/* A mapping has nothing of its own; its keys say it. */
	fprintf(out, " | %s | %s |\n",
		schema->type == CYAML_MAPPING ? ""
			: key->needs_restart  ? "restart"
					      : "live",
		key->about);
}

int
sl_config_write_reference(FILE *out)
{
	const struct sl_config_key *key = sl_config_keys;
	const struct sl_config_section *section;
	const cyaml_schema_field_t *field;

	for (section = sl_config_sections; section->path != NULL; section++) {
		fprintf(out, "%s### ", section == sl_config_sections ? "" : "\n");
		if (section->path[0] == '\0')
			fprintf(out, "The top level");
		else
			write_path(out, section->path, true);
		fprintf(out,
			"\n\n| key | type | default | bounds | change | meaning |\n"
			"|---|---|---|---|---|---|\n");
		for (field = section->fields; field->key != NULL; field++, key++)
			write_row(out, section, field, key);
	}
	return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}
