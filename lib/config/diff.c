/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* What differs between two configurations: their raw structures are compared, led by the schema. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_common.h>

#include "config_internal.h"

struct diff {
	sl_config_change_t change;
	void *arg;
	struct sl_config_arena arena; /* Of the two files. */
	struct sl_config_arena pair;  /* Of the two destinations that are compared. */
	struct sl_config_arena *scratch;
	const struct sl_config_maker *makers; /* Before, after. */
	char path[512];			      /* "destinations.table1.backends" */
	char keys[128];			      /* "destinations.backends" */
	int count;
	bool is_out_of_memory;
};

/* How long the paths were, to go back to. */
struct mark {
	size_t path_len, keys_len;
};

static struct mark
go_into(struct diff *diff, const char *key, const char *id)
{
	struct mark mark = {strlen(diff->path), strlen(diff->keys)};
	const char *dot = mark.path_len > 0 ? "." : "";

	snprintf(diff->path + mark.path_len, sizeof(diff->path) - mark.path_len, "%s%s", dot,
		key != NULL ? key : id);
	if (key != NULL)
		snprintf(diff->keys + mark.keys_len, sizeof(diff->keys) - mark.keys_len, "%s%s",
			mark.keys_len > 0 ? "." : "", key);
	return mark;
}

static void
go_back(struct diff *diff, struct mark mark)
{
	diff->path[mark.path_len] = '\0';
	diff->keys[mark.keys_len] = '\0';
}

static void
tell(struct diff *diff, const char *before, const char *after)
{
	struct sl_config_change change = {
		.path = diff->path,
		.before = before,
		.after = after,
		.needs_restart = sl_config_find_key(diff->keys)->needs_restart,
	};

	diff->count++;
	if (diff->change != NULL)
		diff->change(diff->arg, &change);
}

static const void *
value_of(const cyaml_schema_field_t *field, const void *raw)
{
	const void *value = (const char *)raw + field->data_offset;

	if (field->value.flags & CYAML_FLAG_POINTER)
		memcpy(&value, value, sizeof(value));
	return value;
}

static uint32_t
count_of(const cyaml_schema_field_t *field, const void *raw)
{
	uint32_t count;

	memcpy(&count, (const char *)raw + field->count_offset, sizeof(count));
	return count;
}

/* Room for a text of up to @p size bytes; something harmless when there is none. */
static char *
make_room(struct diff *diff, size_t size)
{
	static char none[1];
	char *room = sl_config_arena_alloc(diff->scratch, size);

	diff->is_out_of_memory = diff->is_out_of_memory || room == NULL;
	return room != NULL ? room : none;
}

/* "[a, b]" */
static const char *
list_text(struct diff *diff, char *const *words, uint32_t count)
{
	size_t size = 3, len = 1;
	char *text;
	uint32_t i;

	for (i = 0; i < count; i++)
		size += strlen(words[i]) + 2;
	text = make_room(diff, size);
	if (diff->is_out_of_memory)
		return text;
	text[0] = '[';
	for (i = 0; i < count; i++)
		len += (size_t)snprintf(
			text + len, size - len, "%s%s", i > 0 ? ", " : "", words[i]);
	snprintf(text + len, size - len, "]");
	return text;
}

static const char *
flags_text(struct diff *diff, const cyaml_schema_value_t *schema, uint32_t flags)
{
	char *words[8];
	uint32_t i, n = 0;

	for (i = 0; i < schema->enumeration.count && n < RTE_DIM(words); i++) {
		if (flags & (uint32_t)schema->enumeration.strings[i].val)
			words[n++] = (char *)(uintptr_t)schema->enumeration.strings[i].str;
	}
	return list_text(diff, words, n);
}

static const char *
choice_text(const cyaml_schema_value_t *schema, int value)
{
	const cyaml_strval_t *choice = schema->enumeration.strings;

	while (choice->val != value)
		choice++;
	return choice->str;
}

/* What stands behind a key that is no mapping and no list of mappings; NULL: nothing. */
static const char *
text_of(struct diff *diff, const cyaml_schema_field_t *field, const void *raw)
{
	const void *value = value_of(field, raw);
	char *text;

	if (value == NULL)
		return NULL;
	switch (field->value.type) {
	case CYAML_STRING:
		return value;
	case CYAML_BOOL:
		return *(const bool *)value ? "true" : "false";
	case CYAML_ENUM:
		return choice_text(&field->value, *(const int *)value);
	case CYAML_FLAGS:
		return flags_text(diff, &field->value, *(const uint32_t *)value);
	case CYAML_SEQUENCE:
		return list_text(diff, (char *const *)value, count_of(field, raw));
	default:
		text = make_room(diff, 24);
		if (!diff->is_out_of_memory)
			snprintf(text, 24, "%" PRId64, *(const int64_t *)value);
		return text;
	}
}

/* Without the texts, for speed: nearly all are equal. */
static bool
is_equal(const cyaml_schema_field_t *field, const void *before, const void *after)
{
	const void *left = value_of(field, before), *right = value_of(field, after);
	char *const *left_words = left, *const *right_words = right;
	uint32_t i, count;

	if (left == NULL || right == NULL)
		return left == right;
	switch (field->value.type) {
	case CYAML_STRING:
		return strcmp(left, right) == 0;
	case CYAML_INT:
		return *(const int64_t *)left == *(const int64_t *)right;
	case CYAML_BOOL:
		return *(const bool *)left == *(const bool *)right;
	case CYAML_ENUM:
		return *(const int *)left == *(const int *)right;
	case CYAML_FLAGS:
		return *(const uint32_t *)left == *(const uint32_t *)right;
	default:
		count = count_of(field, before);
		if (count != count_of(field, after))
			return false;
		for (i = 0; i < count && strcmp(left_words[i], right_words[i]) == 0;)
			i++;
		return i == count;
	}
}

/* Two lists of names: who is where in the other. */
struct match {
	const char **before, **after;
	uint32_t nb_before, nb_after;
	uint32_t *from;	      /* For each after: its place before, or SL_CONFIG_NOT_FOUND. */
	bool *is_still_there; /* For each before. */
};

static int
init_match(struct diff *diff, struct match *match, uint32_t nb_before, uint32_t nb_after)
{
	match->nb_before = nb_before;
	match->nb_after = nb_after;
	match->before = sl_config_arena_alloc(diff->scratch, nb_before * sizeof(*match->before));
	match->after = sl_config_arena_alloc(diff->scratch, nb_after * sizeof(*match->after));
	match->from = sl_config_arena_alloc(diff->scratch, nb_after * sizeof(*match->from));
	match->is_still_there = sl_config_arena_alloc(
		diff->scratch, nb_before * sizeof(*match->is_still_there));
	if (match->before == NULL || match->after == NULL || match->from == NULL ||
		match->is_still_there == NULL)
		diff->is_out_of_memory = true;
	return diff->is_out_of_memory ? -ENOMEM : 0;
}

/* Most entries are where they were; the index is made for the first that is not. */
static int
find_matches(struct diff *diff, struct match *match)
{
	struct sl_config_index index = {NULL};
	uint32_t i, j;

	for (i = 0; i < match->nb_after; i++) {
		if (i < match->nb_before && strcmp(match->before[i], match->after[i]) == 0) {
			match->from[i] = i;
			match->is_still_there[i] = true;
			continue;
		}
		if (index.slots == NULL) {
			if (sl_config_index_init(&index, diff->scratch, match->nb_before) < 0) {
				diff->is_out_of_memory = true;
				return -ENOMEM;
			}
			for (j = 0; j < match->nb_before; j++)
				sl_config_index_set(&index, match->before[j], j);
		}
		match->from[i] = sl_config_index_get(&index, match->after[i]);
		if (match->from[i] != SL_CONFIG_NOT_FOUND)
			match->is_still_there[match->from[i]] = true;
	}
	return 0;
}

static void
tell_removed(struct diff *diff, const struct match *match)
{
	struct mark mark;
	uint32_t i;

	for (i = 0; i < match->nb_before; i++) {
		if (match->is_still_there[i])
			continue;
		mark = go_into(diff, NULL, match->before[i]);
		tell(diff, "", NULL);
		go_back(diff, mark);
	}
}

/* Ports and lcores are referred to by their place: one that moves is another one. */
static bool
is_place_fixed(const struct diff *diff)
{
	return strcmp(diff->keys, "ports") == 0 || strcmp(diff->keys, "lcores") == 0;
}

static void
tell_move(struct diff *diff, uint32_t before, uint32_t after)
{
	char from[24], to[24];

	if (before == after || !is_place_fixed(diff))
		return;
	snprintf(from, sizeof(from), "place %" PRIu32, before + 1);
	snprintf(to, sizeof(to), "place %" PRIu32, after + 1);
	tell(diff, from, to);
}

/* What an entry of a list is told apart by: its first key if that is a name, else its place. */
static const char *
id_of(struct diff *diff, const cyaml_schema_field_t *fields, const void *entry, uint32_t i)
{
	static const char *const names[] = {"name", "level", "lcore", "address", "module"};
	unsigned int j;
	char *place;

	for (j = 0; j < RTE_DIM(names); j++) {
		if (strcmp(fields[0].key, names[j]) == 0)
			return text_of(diff, &fields[0], entry);
	}
	place = make_room(diff, 16);
	if (!diff->is_out_of_memory)
		snprintf(place, 16, "%" PRIu32, i + 1);
	return place;
}

static void diff_mappings(struct diff *diff, const cyaml_schema_field_t *fields, const void *before,
	const void *after);

static void diff_destinations(struct diff *diff);

static void
diff_lists(struct diff *diff, const cyaml_schema_field_t *field, const void *before_raw,
	const void *after_raw)
{
	const cyaml_schema_value_t *entry = field->value.sequence.entry;
	const cyaml_schema_field_t *fields = entry->mapping.fields;
	const char *before = value_of(field, before_raw), *after = value_of(field, after_raw);
	struct match match;
	struct mark mark;
	uint32_t i;

	if (init_match(diff, &match, count_of(field, before_raw), count_of(field, after_raw)) < 0)
		return;
	for (i = 0; i < match.nb_before; i++)
		match.before[i] = id_of(diff, fields, before + i * entry->data_size, i);
	for (i = 0; i < match.nb_after; i++)
		match.after[i] = id_of(diff, fields, after + i * entry->data_size, i);
	if (diff->is_out_of_memory || find_matches(diff, &match) < 0)
		return;
	for (i = 0; i < match.nb_after; i++) {
		mark = go_into(diff, NULL, match.after[i]);
		if (match.from[i] == SL_CONFIG_NOT_FOUND) {
			tell(diff, NULL, "");
		} else {
			tell_move(diff, match.from[i], i);
			diff_mappings(diff, fields, before + match.from[i] * entry->data_size,
				after + i * entry->data_size);
		}
		go_back(diff, mark);
	}
	tell_removed(diff, &match);
}

/* Not a mapping and not a list of them. */
static bool
is_leaf(const cyaml_schema_value_t *schema)
{
	return schema->type != CYAML_MAPPING &&
		(schema->type != CYAML_SEQUENCE || schema->sequence.entry->type != CYAML_MAPPING);
}

static void
diff_mappings(struct diff *diff, const cyaml_schema_field_t *fields, const void *before,
	const void *after)
{
	const char *old_text, *new_text;
	struct mark mark;

	for (; fields->key != NULL; fields++) {
		if (is_leaf(&fields->value) && is_equal(fields, before, after))
			continue;
		mark = go_into(diff, fields->key, NULL);
		if (fields->value.type == CYAML_MAPPING) {
			diff_mappings(diff, fields->value.mapping.fields, value_of(fields, before),
				value_of(fields, after));
		} else if (strcmp(diff->path, "destinations") == 0) {
			diff_destinations(diff);
		} else if (!is_leaf(&fields->value)) {
			diff_lists(diff, fields, before, after);
		} else {
			old_text = text_of(diff, fields, before);
			new_text = text_of(diff, fields, after);
			tell(diff, old_text, new_text);
		}
		go_back(diff, mark);
	}
}

/* What a destination has only from its file is told once, of the file. */
static void
drop_inherited(const struct sl_config_maker *makers, const struct sl_config_destination *const *of,
	struct raw_destination *raw)
{
	const struct sl_config_number *number;
	bool is_inherited;
	unsigned int i;
	char *own, *file;

	for (number = sl_config_health_numbers; number->key != NULL; number++) {
		is_inherited = true;
		for (i = 0; i < 2; i++) {
			own = (char *)(uintptr_t)&of[i]->health + number->to;
			file = (char *)(uintptr_t)&makers[i].config->health + number->to;
			is_inherited = is_inherited && memcmp(own, file, number->to_size) == 0;
		}
		for (i = 0; i < 2 && is_inherited; i++)
			memset((char *)raw[i].health + number->from, 0, sizeof(int64_t *));
	}
	if (sl_config_has_own_checks(makers[0].config, of[0]) ||
		sl_config_has_own_checks(makers[1].config, of[1]))
		return;
	raw[0].health->checks_count = 0;
	raw[1].health->checks_count = 0;
}

static void
diff_destination(struct diff *diff, const struct sl_config_destination *before,
	const struct sl_config_destination *after)
{
	const struct sl_config_destination *const of[] = {before, after};
	struct sl_config_maker makers[] = {diff->makers[0], diff->makers[1]};
	const cyaml_schema_field_t *fields = sl_config_section_of("destinations")->fields;
	struct raw_destination raw[2];
	unsigned int i;

	memset(raw, 0, sizeof(raw));
	diff->scratch = &diff->pair;
	for (i = 0; i < 2; i++) {
		makers[i].arena = &diff->pair;
		if (sl_config_make_raw_destination(&makers[i], of[i], &raw[i]) < 0)
			diff->is_out_of_memory = true;
	}
	if (!diff->is_out_of_memory) {
		drop_inherited(makers, of, raw);
		diff_mappings(diff, fields, &raw[0], &raw[1]);
	}
	diff->scratch = &diff->arena;
	sl_config_arena_reset(&diff->pair);
}

/* Pair by pair, because there may be a million of them. */
static void
diff_destinations(struct diff *diff)
{
	const struct sl_config *before = diff->makers[0].config;
	const struct sl_config *after = diff->makers[1].config;
	struct match match;
	struct mark mark;
	uint32_t i;

	if (init_match(diff, &match, before->nb_destinations, after->nb_destinations) < 0)
		return;
	for (i = 0; i < match.nb_before; i++)
		match.before[i] = before->destinations[i].name;
	for (i = 0; i < match.nb_after; i++)
		match.after[i] = after->destinations[i].name;
	if (find_matches(diff, &match) < 0)
		return;
	for (i = 0; i < match.nb_after && !diff->is_out_of_memory; i++) {
		mark = go_into(diff, NULL, match.after[i]);
		if (match.from[i] == SL_CONFIG_NOT_FOUND)
			tell(diff, NULL, "");
		else
			diff_destination(diff, &before->destinations[match.from[i]],
				&after->destinations[i]);
		go_back(diff, mark);
	}
	tell_removed(diff, &match);
}

int
sl_config_diff(const struct sl_config *before, const struct sl_config *after,
	sl_config_change_t change, void *arg)
{
	struct sl_config_maker makers[2];
	struct diff diff = {.change = change, .arg = arg, .scratch = &diff.arena, .makers = makers};
	struct raw_config raw[2];

	makers[0] = (struct sl_config_maker){before, &diff.arena, true, false};
	makers[1] = (struct sl_config_maker){after, &diff.arena, true, false};
	if (sl_config_make_raw_top(&makers[0], &raw[0]) < 0 ||
		sl_config_make_raw_top(&makers[1], &raw[1]) < 0)
		diff.is_out_of_memory = true;
	else
		diff_mappings(&diff, sl_config_schema.mapping.fields, &raw[0], &raw[1]);
	sl_config_arena_free(&diff.pair);
	sl_config_arena_free(&diff.arena);
	return diff.is_out_of_memory ? -ENOMEM : diff.count;
}
