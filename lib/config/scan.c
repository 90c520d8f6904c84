/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * The YAML events, held against the schema one by one, before libcyaml loads the text: it would
 * take "5abc" for 5, anything but "false" for true, and name no key. What passes here it loads
 * without a complaint. Depth needs no bound of its own: the first event the schema does not expect
 * ends the scan.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "config_internal.h"

/* The schema's deepest place is destinations[].health.checks[].argv[]: seven levels. */
#define DEPTH_MAX 8
#define PATH_LEN  256

/* A mapping or a list that has begun and not ended. */
struct frame {
	const cyaml_schema_value_t *schema;
	const cyaml_schema_field_t *field; /* Of a mapping: whose value comes, NULL: a key comes. */
	uint64_t seen;			   /* Of a mapping: the fields it had, as bits. */
	uint32_t count;			   /* Of a list: the entries it had. */
	unsigned int line;		   /* Where it, or its last key, begins. */
	unsigned int key_line;
};

struct scan {
	struct sl_config_reader *reader;
	unsigned int nb_documents;
	unsigned int depth;
	struct frame frames[DEPTH_MAX];
	bool is_key_missing; /* What is wrong is something that is not there. */
	const char *target;  /* The path to find the line of, or NULL. */
	unsigned int target_line;
};

static unsigned int
line_of(const yaml_event_t *event)
{
	return (unsigned int)event->start_mark.line + 1;
}

/* Where the scan is, as a path: "destinations[3].backends[0].weight". */
static const char *
path_of(const struct scan *scan, char buf[PATH_LEN])
{
	const struct frame *frame;
	size_t len = 0;
	unsigned int i;

	buf[0] = '\0';
	for (i = 0; i < scan->depth && len < PATH_LEN; i++) {
		frame = &scan->frames[i];
		if (frame->schema->type != CYAML_MAPPING)
			len += (size_t)snprintf(buf + len, PATH_LEN - len, "[%" PRIu32 "]",
				frame->count > 0 ? frame->count - 1 : 0);
		else if (frame->field != NULL)
			len += (size_t)snprintf(buf + len, PATH_LEN - len, "%s%s",
				len > 0 ? "." : "", frame->field->key);
	}
	return buf;
}

static int scan_fail(const struct scan *scan, unsigned int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int
scan_fail(const struct scan *scan, unsigned int line, const char *format, ...)
{
	char path[PATH_LEN];
	va_list args;

	va_start(args, format);
	sl_config_vfail(scan->reader, line, path_of(scan, path), format, args);
	va_end(args);
	return -EINVAL;
}

/* The same for a key of the mapping the scan is in. */
static int
key_fail(struct scan *scan, unsigned int line, const char *key, const char *what, const char *right)
{
	cyaml_schema_field_t field = {.key = key};
	struct frame *frame = &scan->frames[scan->depth - 1];
	int ret;

	frame->field = &field;
	ret = scan_fail(scan, line, "%s; %s", what, right);
	frame->field = NULL;
	return ret;
}

const char *
sl_config_list_choices(const cyaml_schema_value_t *schema, char *buf, size_t buf_len)
{
	size_t len = 0;
	uint32_t i;

	buf[0] = '\0';
	for (i = 0; i < schema->enumeration.count && len < buf_len; i++)
		len += (size_t)snprintf(buf + len, buf_len - len, "%s%s", i > 0 ? ", " : "",
			schema->enumeration.strings[i].str);
	return buf;
}

static bool
is_choice(const cyaml_schema_value_t *schema, const char *text)
{
	uint32_t i;

	for (i = 0; i < schema->enumeration.count; i++) {
		if (strcmp(schema->enumeration.strings[i].str, text) == 0)
			return true;
	}
	return false;
}

bool
sl_config_is_whole_number(const char *text)
{
	const char *digits = text + (text[0] == '-');

	if (digits[0] == '\0' || digits[strspn(digits, "0123456789")] != '\0')
		return false;
	if (digits[0] == '0' && digits[1] != '\0')
		return false;
	errno = 0;
	strtoll(text, NULL, 10);
	return errno == 0;
}

static int
check_scalar(const struct scan *scan, const cyaml_schema_value_t *schema, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	unsigned int line = line_of(event);
	char choices[128];

	if (strlen(text) != event->data.scalar.length)
		return scan_fail(scan, line, "has a NUL character in it; take it out");
	switch (schema->type) {
	case CYAML_STRING:
		return 0;
	case CYAML_INT:
		if (!is_plain || !sl_config_is_whole_number(text))
			return scan_fail(scan, line,
				"'%.80s' is not a whole number; write decimal digits, without "
				"quotes, unit or leading zero",
				text);
		return 0;
	case CYAML_BOOL:
		if (!is_plain || (strcmp(text, "true") != 0 && strcmp(text, "false") != 0))
			return scan_fail(scan, line,
				"'%.80s' is neither true nor false; write one of the two, without "
				"quotes",
				text);
		return 0;
	case CYAML_ENUM:
		if (!is_choice(schema, text))
			return scan_fail(scan, line, "unknown value '%.80s'; give one of: %s", text,
				sl_config_list_choices(schema, choices, sizeof(choices)));
		return 0;
	case CYAML_MAPPING:
		return scan_fail(scan, line, "must be a mapping, not a single value; write %s",
			"\"key: value\" lines below it, or {key: value, ...}");
	case CYAML_FLAGS:
		return scan_fail(scan, line,
			"must be a list, not a single value; write [%s] or a part of it",
			sl_config_list_choices(schema, choices, sizeof(choices)));
	default:
		return scan_fail(scan, line, "must be a list, not a single value; write %s",
			"its entries below it, each behind a \"- \", or [...]");
	}
}

static int
check_list_start(const struct scan *scan, const cyaml_schema_value_t *schema, unsigned int line)
{
	switch (schema->type) {
	case CYAML_SEQUENCE:
	case CYAML_FLAGS:
		return 0;
	case CYAML_MAPPING:
		return scan_fail(scan, line,
			"must be a mapping, not a list; write \"key: value\" lines, or {key: "
			"value, ...}");
	default:
		return scan_fail(scan, line, "must be a single value, not a list; take off the %s",
			"brackets or the \"- \"");
	}
}

static int
check_mapping_start(const struct scan *scan, const cyaml_schema_value_t *schema, unsigned int line)
{
	switch (schema->type) {
	case CYAML_MAPPING:
		return 0;
	case CYAML_SEQUENCE:
	case CYAML_FLAGS:
		return scan_fail(scan, line,
			"must be a list, not a mapping; put each entry behind a \"- \", or into "
			"[...]");
	default:
		return scan_fail(scan, line, "must be a single value, not a mapping; write %s",
			"\"key: value\" on one line");
	}
}

/* Take the line when this is the target, or on the way to it. */
static void
note_target(struct scan *scan, unsigned int line)
{
	char path[PATH_LEN];
	size_t len;

	path_of(scan, path);
	len = strlen(path);
	if (len == 0 || strncmp(path, scan->target, len) != 0)
		return;
	if (scan->target[len] == '\0' || scan->target[len] == '.' || scan->target[len] == '[')
		scan->target_line = line;
}

static int
unknown_key(struct scan *scan, const char *key, unsigned int line)
{
	const cyaml_schema_field_t *field = scan->frames[scan->depth - 1].schema->mapping.fields;
	char short_key[SL_CONFIG_NAME_MAX + 1], right[512];
	size_t len;

	snprintf(short_key, sizeof(short_key), "%s", key);
	len = (size_t)snprintf(right, sizeof(right), "the keys here are");
	for (; field->key != NULL && len < sizeof(right); field++)
		len += (size_t)snprintf(right + len, sizeof(right) - len, " %s%s", field->key,
			field[1].key != NULL ? "," : "");
	return key_fail(scan, line, short_key, "unknown key", right);
}

static int
scan_key(struct scan *scan, const yaml_event_t *event)
{
	struct frame *frame = &scan->frames[scan->depth - 1];
	const cyaml_schema_field_t *fields = frame->schema->mapping.fields;
	unsigned int line = line_of(event), i;
	const char *key;

	if (event->type != YAML_SCALAR_EVENT)
		return scan_fail(scan, line, "a key must be a word; take off the brackets");
	key = (const char *)event->data.scalar.value;
	for (i = 0; fields[i].key != NULL; i++) {
		if (strcmp(fields[i].key, key) == 0)
			break;
	}
	if (fields[i].key == NULL || strlen(key) != event->data.scalar.length)
		return unknown_key(scan, key, line);
	if (frame->seen & (UINT64_C(1) << i))
		return key_fail(scan, line, key, "is there twice", "keep one of the two");
	frame->seen |= UINT64_C(1) << i;
	frame->field = &fields[i];
	frame->key_line = line;
	return 0;
}

/* A role in a list of roles. */
static int
scan_flag(struct scan *scan, const cyaml_schema_value_t *schema, const yaml_event_t *event)
{
	const char *text;
	char choices[128];

	sl_config_list_choices(schema, choices, sizeof(choices));
	if (scan->frames[scan->depth - 1].count > schema->enumeration.count)
		return scan_fail(
			scan, line_of(event), "too many entries; give each of %s once", choices);
	if (event->type != YAML_SCALAR_EVENT)
		return scan_fail(scan, line_of(event), "must be a word; give one of: %s", choices);
	text = (const char *)event->data.scalar.value;
	if (strlen(text) != event->data.scalar.length || !is_choice(schema, text))
		return scan_fail(scan, line_of(event), "unknown value '%.80s'; give one of: %s",
			text, choices);
	return 0;
}

static int
scan_value(struct scan *scan, const cyaml_schema_value_t *schema, const yaml_event_t *event)
{
	unsigned int line = line_of(event);
	int ret;

	if (event->type == YAML_SCALAR_EVENT) {
		ret = check_scalar(scan, schema, event);
		if (ret == 0 && scan->depth > 0)
			scan->frames[scan->depth - 1].field = NULL;
		return ret;
	}
	if (event->type == YAML_MAPPING_START_EVENT)
		ret = check_mapping_start(scan, schema, line);
	else
		ret = check_list_start(scan, schema, line);
	if (ret < 0)
		return ret;
	if (scan->depth == DEPTH_MAX)
		return scan_fail(scan, line, "nested too deeply; nothing here needs that");
	scan->frames[scan->depth++] = (struct frame){.schema = schema, .line = line};
	return 0;
}

static int
scan_node(struct scan *scan, const yaml_event_t *event)
{
	const cyaml_schema_value_t *schema = &sl_config_schema;
	unsigned int line = line_of(event);
	struct frame *frame = NULL;

	if (scan->depth > 0) {
		frame = &scan->frames[scan->depth - 1];
		if (frame->schema->type == CYAML_MAPPING) {
			if (frame->field == NULL)
				return scan_key(scan, event);
			schema = &frame->field->value;
			line = frame->key_line;
		} else {
			frame->count++;
			schema = frame->schema->sequence.entry;
		}
	}
	if (scan->target != NULL)
		note_target(scan, line);
	if (frame != NULL && frame->schema->type == CYAML_FLAGS)
		return scan_flag(scan, frame->schema, event);
	if (frame != NULL && frame->schema->type == CYAML_SEQUENCE &&
		frame->count > frame->schema->sequence.max)
		return scan_fail(scan, line, "too many entries; give at most %" PRIu32,
			frame->schema->sequence.max);
	return scan_value(scan, schema, event);
}

static int
scan_mapping_end(struct scan *scan)
{
	const struct frame *frame = &scan->frames[scan->depth - 1];
	const cyaml_schema_field_t *fields = frame->schema->mapping.fields;
	unsigned int i;

	for (i = 0; fields[i].key != NULL; i++) {
		if (!(fields[i].value.flags & CYAML_FLAG_OPTIONAL) &&
			!(frame->seen & (UINT64_C(1) << i))) {
			scan->is_key_missing = true;
			return key_fail(scan, frame->line, fields[i].key, "is missing",
				"it has no default");
		}
	}
	return 0;
}

/* "checks: []" of a destination is not the same as no "checks"; libcyaml cannot tell them apart. */
static int
note_no_checks(struct scan *scan)
{
	struct sl_config_reader *reader = scan->reader;
	const struct frame *frames = scan->frames;
	uint32_t *bigger, n = reader->nb_unchecked;

	if (scan->target != NULL || scan->depth != 4 || strcmp(frames[3].field->key, "checks") != 0)
		return 0;
	/* A power of two is full. */
	if ((n & (n - 1)) == 0) {
		bigger = realloc(reader->unchecked, (n == 0 ? 1 : 2 * (size_t)n) * sizeof(*bigger));
		if (bigger == NULL)
			return sl_config_no_memory(reader);
		reader->unchecked = bigger;
	}
	reader->unchecked[reader->nb_unchecked++] = frames[1].count - 1;
	return 0;
}

/* The end of a mapping or a list. */
static int
scan_end(struct scan *scan)
{
	const struct frame *frame = &scan->frames[scan->depth - 1];
	uint32_t count = frame->count, min = 0;
	unsigned int line = frame->line;
	bool is_list = frame->schema->type != CYAML_MAPPING;
	int ret;

	if (!is_list) {
		ret = scan_mapping_end(scan);
		if (ret < 0)
			return ret;
	} else {
		min = frame->schema->type == CYAML_FLAGS ? 1 : frame->schema->sequence.min;
	}
	scan->depth--;
	if (count < min)
		return scan_fail(scan, line, "is an empty list; give at least one entry");
	ret = is_list && count == 0 ? note_no_checks(scan) : 0;
	if (ret < 0)
		return ret;
	if (scan->depth > 0)
		scan->frames[scan->depth - 1].field = NULL;
	return 0;
}

/* Anchors can make a small file a huge one, and tags would have to mean something. */
static int
check_properties(const struct scan *scan, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}
	if (anchor != NULL || event->type == YAML_ALIAS_EVENT)
		return scan_fail(scan, line_of(event),
			"YAML anchors (&) and aliases (*) are not taken; write the value out, or "
			"put it in quotes");
	if (tag != NULL)
		return scan_fail(scan, line_of(event),
			"YAML tags (!) are not taken; leave it out, or put the value in quotes");
	return 0;
}

static int
scan_event(struct scan *scan, const yaml_event_t *event)
{
	int ret = check_properties(scan, event);

	if (ret < 0)
		return ret;
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (scan->nb_documents++ > 0)
			return scan_fail(scan, line_of(event),
				"a second document begins; keep everything in one, without ---");
		return 0;
	case YAML_SCALAR_EVENT:
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return scan_node(scan, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return scan_end(scan);
	default:
		return 0;
	}
}

static unsigned int
line_of_byte(const struct sl_config_reader *reader, size_t offset)
{
	unsigned int line = 1;
	size_t i;

	for (i = 0; i < offset && i < reader->text_len; i++)
		line += reader->text[i] == '\n';
	return line;
}

static int
syntax_error(const struct scan *scan, const yaml_parser_t *parser)
{
	const yaml_mark_t *mark = &parser->problem_mark;

	if (parser->error == YAML_MEMORY_ERROR)
		return sl_config_no_memory(scan->reader);
	/* The byte reader runs ahead of the scanner and sets no mark. */
	if (parser->error == YAML_READER_ERROR)
		return scan_fail(scan, line_of_byte(scan->reader, parser->problem_offset),
			"not text: %s, at byte %zu; save the file as UTF-8",
			parser->problem != NULL ? parser->problem : "unreadable",
			parser->problem_offset);
	return scan_fail(scan, (unsigned int)mark->line + 1,
		"not YAML: %s, in column %zu; look at the indentation, quotes and brackets here "
		"and on the line before",
		parser->problem != NULL ? parser->problem : "cannot be parsed", mark->column + 1);
}

/* Does a line begin at this byte? YAML's line breaks are LF, CR, NEL, LS and PS. */
static bool
is_line_start(const char *text, size_t offset)
{
	static const char *const breaks[] = {
		"\n", "\r", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
	size_t len, i;

	if (offset == 0 || (offset == 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0))
		return true;
	for (i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		len = strlen(breaks[i]);
		if (offset >= len && memcmp(text + offset - len, breaks[i], len) == 0)
			return true;
	}
	return false;
}

/*
 * What libyaml would take and this reader does not: UTF-16, and directives, because a %TAG costs a
 * look at all those before it: 300,000 of them would take minutes.
 */
static int
check_text(const struct scan *scan)
{
	const struct sl_config_reader *reader = scan->reader;
	const char *p = reader->text, *end = reader->text + reader->text_len;

	if (reader->text_len >= 2 &&
		(memcmp(p, "\xff\xfe", 2) == 0 || memcmp(p, "\xfe\xff", 2) == 0))
		return scan_fail(scan, 1, "the file is UTF-16; save the file as UTF-8");
	for (; p < end && (p = memchr(p, '%', (size_t)(end - p))) != NULL; p++) {
		if (is_line_start(reader->text, (size_t)(p - reader->text)))
			return scan_fail(scan, line_of_byte(reader, (size_t)(p - reader->text)),
				"YAML directives (%%) are not taken; leave the line out");
	}
	return 0;
}

static int
scan_text(struct scan *scan)
{
	const struct sl_config_reader *reader = scan->reader;
	yaml_parser_t parser;
	yaml_event_t event;
	bool is_end = false;
	int ret;

	ret = check_text(scan);
	if (ret < 0)
		return ret;
	if (!yaml_parser_initialize(&parser))
		return sl_config_no_memory(scan->reader);
	yaml_parser_set_input_string(
		&parser, (const unsigned char *)reader->text, reader->text_len);
	while (ret == 0 && !is_end) {
		if (!yaml_parser_parse(&parser, &event)) {
			ret = syntax_error(scan, &parser);
			break;
		}
		ret = scan_event(scan, &event);
		is_end = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	/* A key that is indented wrongly ends its mapping first and is an error only then. */
	if (scan->is_key_missing) {
		if (yaml_parser_parse(&parser, &event))
			yaml_event_delete(&event);
		else
			ret = syntax_error(scan, &parser);
	}
	yaml_parser_delete(&parser);
	if (ret == 0 && scan->nb_documents == 0)
		return scan_fail(
			scan, 1, "the file is empty; it needs at least ports and destinations");
	return ret;
}

int
sl_config_scan(struct sl_config_reader *reader)
{
	struct scan scan = {.reader = reader};

	return scan_text(&scan);
}

unsigned int
sl_config_locate(struct sl_config_reader *reader, const char *key)
{
	struct sl_config_reader silent = *reader;
	struct scan scan = {.reader = &silent, .target = key};

	silent.error_len = 0;
	scan_text(&scan);
	return scan.target_line;
}
