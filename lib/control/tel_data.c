/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tel_data.h"

/* Dictionaries of one answer: each is 70 KB, and an answer has at most 16 KB of text. */
#define DICTIONARIES_MAX 512

static void fill_dict(struct rte_tel_data *dict, const json_t *json, unsigned int *left);

/* Only letters, digits and '_' may stand in a name. */
static void
clean(char *key)
{
	for (; *key != '\0'; key++) {
		if (!isalnum((unsigned char)*key) || (unsigned char)*key > 127)
			*key = '_';
	}
}

/* What an object of a list goes by: its name, for a backend "DESTINATION_NAME", or its place. */
static void
name_of(const json_t *object, size_t index, char *key, size_t key_len)
{
	static const char *const names[] = {
		"name", "destination", "reason", "level", "lcore", "address", "id"};
	const char *destination = json_string_value(json_object_get(object, "destination"));
	const char *name = json_string_value(json_object_get(object, "name"));
	const json_t *value;

	if (destination != NULL && name != NULL) {
		snprintf(key, key_len, "%s_%s", destination, name);
		return;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		value = json_object_get(object, names[i]);
		if (json_is_string(value)) {
			snprintf(key, key_len, "%s", json_string_value(value));
			return;
		}
		if (json_is_integer(value)) {
			snprintf(key, key_len, "%lld", (long long)json_integer_value(value));
			return;
		}
	}
	snprintf(key, key_len, "%zu", index);
}

static void
add_lines(struct rte_tel_data *dict, const char *key, const char *text)
{
	struct rte_tel_data *lines = rte_tel_data_alloc();
	char line[RTE_TEL_MAX_STRING_LEN];
	size_t len;

	if (lines == NULL)
		return;
	rte_tel_data_start_array(lines, RTE_TEL_STRING_VAL);
	while (*text != '\0') {
		len = strcspn(text, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		if (rte_tel_data_add_array_string(lines, line) < 0)
			break;
		text += len + (text[len] == '\n');
	}
	if (rte_tel_data_add_dict_container(dict, key, lines, 0) != 0)
		rte_tel_data_free(lines);
}

static void
add_strings(struct rte_tel_data *dict, const char *key, const json_t *array)
{
	struct rte_tel_data *strings = rte_tel_data_alloc();
	const json_t *value;
	size_t i;

	if (strings == NULL)
		return;
	rte_tel_data_start_array(strings, RTE_TEL_STRING_VAL);
	json_array_foreach(array, i, value)
	{
		if (json_is_string(value))
			rte_tel_data_add_array_string(strings, json_string_value(value));
	}
	if (rte_tel_data_add_dict_container(dict, key, strings, 0) != 0)
		rte_tel_data_free(strings);
}

static void
add_dict(struct rte_tel_data *dict, const char *key, const json_t *json, unsigned int *left)
{
	struct rte_tel_data *inner;

	if (*left == 0)
		return;
	inner = rte_tel_data_alloc();
	if (inner == NULL)
		return;
	--*left;
	rte_tel_data_start_dict(inner);
	fill_dict(inner, json, left);
	if (rte_tel_data_add_dict_container(dict, key, inner, 0) != 0)
		rte_tel_data_free(inner);
}

static void
add(struct rte_tel_data *dict, const char *name, const json_t *value, unsigned int *left)
{
	char key[RTE_TEL_MAX_STRING_LEN];

	snprintf(key, sizeof(key), "%s", name);
	clean(key);
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		add_dict(dict, key, value, left);
		break;
	case JSON_ARRAY:
		if (json_array_size(value) > 0 && json_is_object(json_array_get(value, 0)))
			add_dict(dict, key, value, left);
		else
			add_strings(dict, key, value);
		break;
	case JSON_STRING:
		if (strchr(json_string_value(value), '\n') != NULL)
			add_lines(dict, key, json_string_value(value));
		else
			rte_tel_data_add_dict_string(dict, key, json_string_value(value));
		break;
	case JSON_INTEGER:
		if (json_integer_value(value) < 0)
			rte_tel_data_add_dict_int(dict, key, (int)json_integer_value(value));
		else
			rte_tel_data_add_dict_u64(dict, key, (uint64_t)json_integer_value(value));
		break;
	case JSON_REAL:
		rte_tel_data_add_dict_u64(dict, key, (uint64_t)llround(json_real_value(value)));
		break;
	case JSON_NULL:
		rte_tel_data_add_dict_string(dict, key, "");
		break;
	default:
		rte_tel_data_add_dict_u64(dict, key, json_is_true(value));
		break;
	}
}

static void
fill_dict(struct rte_tel_data *dict, const json_t *json, unsigned int *left)
{
	char key[RTE_TEL_MAX_STRING_LEN];
	const json_t *value;
	const char *name;
	size_t i;

	if (json_is_object(json)) {
		/* Iterating writes nothing, it only is not declared so. */
		json_object_foreach((json_t *)(uintptr_t)json, name, value)
			add(dict, name, value, left);
		return;
	}
	json_array_foreach(json, i, value)
	{
		name_of(value, i, key, sizeof(key));
		add(dict, key, value, left);
	}
}

void
tel_data_fill(struct rte_tel_data *data, const json_t *json)
{
	unsigned int left = DICTIONARIES_MAX;

	rte_tel_data_start_dict(data);
	fill_dict(data, json, &left);
}
