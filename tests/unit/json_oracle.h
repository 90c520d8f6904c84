/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef JSON_ORACLE_H
#define JSON_ORACLE_H

/*
 * Does lib/json say of a text what jansson says? Shared by the random test and the fuzzer.
 *
 * Where they differ on purpose: jansson refuses numbers beyond 64 bits or a double and keys with a
 * NUL, takes what is nested deeper than SL_JSON_DEPTH_MAX, and overlooks a NUL behind a number.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sl_json.h"

static inline bool oracle_same_value(const struct sl_json_value *ours, const json_t *theirs);

static inline bool
oracle_same_string(const struct sl_json_value *ours, const char *theirs, size_t len)
{
	char *buf = malloc(ours->len + 1), *escaped, *end;
	ssize_t n = sl_json_decode(ours, buf, ours->len, true);
	bool is_same, has_nul = memchr(theirs, '\0', len) != NULL;
	json_t *again;

	is_same = n == (ssize_t)len && memcmp(buf, theirs, len) == 0 &&
		sl_json_string_is(ours, theirs, len) &&
		(len == 0 || !sl_json_string_is(ours, theirs, len - 1)) &&
		sl_json_is_utf8(theirs, len);
	n = sl_json_decode(ours, buf, ours->len, false);
	is_same &= has_nul ? n == -EINVAL : n == (ssize_t)len;
	if (len != 0 && !has_nul)
		is_same &= sl_json_decode(ours, buf, len - 1, true) == -ENOBUFS;
	free(buf);
	/* Written again, it is read as the same. */
	escaped = malloc(SL_JSON_STRING_MAX(len));
	end = sl_json_put_string(escaped, theirs, len);
	again = json_loadb(
		escaped, (size_t)(end - escaped), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	is_same &= again != NULL && json_string_length(again) == len &&
		memcmp(json_string_value(again), theirs, len) == 0;
	json_decref(again);
	free(escaped);
	return is_same;
}

static inline bool
oracle_same_object(const struct sl_json_value *ours, const json_t *theirs)
{
	struct sl_json_value key, value, later, ignored;
	struct sl_json_walk walk, rest;
	size_t nb = 0;

	sl_json_walk_object(&walk, ours->text, ours->len);
	while (sl_json_next_member(&walk, &key, &value)) {
		char *name = malloc(key.len + 1);
		ssize_t len = sl_json_decode(&key, name, key.len, false);
		const json_t *there;
		bool is_last = true, is_same = len >= 0;

		rest = walk;
		while (is_same && is_last && sl_json_next_member(&rest, &later, &ignored))
			is_last = !sl_json_string_is(&later, name, (size_t)len);
		if (is_same && is_last) {
			name[len] = '\0';
			there = json_object_get(theirs, name);
			is_same = oracle_same_string(&key, name, (size_t)len) && there != NULL &&
				oracle_same_value(&value, there);
			nb++;
		}
		free(name);
		if (!is_same)
			return false;
	}
	return walk.error == SL_JSON_OK && nb == json_object_size(theirs);
}

static inline bool
oracle_same_array(const struct sl_json_value *ours, const json_t *theirs)
{
	struct sl_json_value value;
	struct sl_json_walk walk;
	size_t nb = 0;

	sl_json_walk_array(&walk, ours->text, ours->len);
	while (sl_json_next_element(&walk, &value))
		if (!oracle_same_value(&value, json_array_get(theirs, nb++)))
			return false;
	return walk.error == SL_JSON_OK && nb == json_array_size(theirs);
}

static inline bool
oracle_same_value(const struct sl_json_value *ours, const json_t *theirs)
{
	int64_t integer;
	char number[512];

	switch (ours->type) {
	case SL_JSON_NULL:
		return json_is_null(theirs);
	case SL_JSON_TRUE:
		return json_is_true(theirs);
	case SL_JSON_FALSE:
		return json_is_false(theirs);
	case SL_JSON_NUMBER:
		if (json_is_integer(theirs))
			return sl_json_integer(ours, &integer) == 0 &&
				integer == json_integer_value(theirs);
		snprintf(number, sizeof(number), "%.*s", (int)ours->len, ours->text);
		return sl_json_integer(ours, &integer) == -EINVAL && json_is_real(theirs) &&
			(ours->len >= sizeof(number) ||
				strtod(number, NULL) == json_real_value(theirs));
	case SL_JSON_STRING:
		return json_is_string(theirs) &&
			oracle_same_string(
				ours, json_string_value(theirs), json_string_length(theirs));
	case SL_JSON_ARRAY:
		return json_is_array(theirs) && oracle_same_array(ours, theirs);
	case SL_JSON_OBJECT:
		return json_is_object(theirs) && oracle_same_object(ours, theirs);
	}
	return false;
}

/* They agree on the text, or differ as said above. */
static inline bool
oracle_agrees(const char *text, size_t len)
{
	json_error_t why;
	json_t *theirs = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
	struct sl_json_value ours;
	struct sl_json_walk walk;
	enum sl_json_error error;
	bool is_same;
	size_t at;

	error = sl_json_check(text, len, &ours, &at);
	if (at > len || (error == SL_JSON_OK && at != len))
		return false;
	if (theirs == NULL) {
		/* A walk over what is no JSON ends with an error. */
		sl_json_walk_object(&walk, text, len);
		while (sl_json_next_member(&walk, &ours, &ours))
			;
		return json_error_code(&why) == json_error_numeric_overflow ||
			json_error_code(&why) == json_error_null_byte_in_key ||
			(error != SL_JSON_OK && walk.error != SL_JSON_OK);
	}
	is_same = error == SL_JSON_TOO_DEEP ||
		(error != SL_JSON_OK && at < len && text[at] == '\0') ||
		(error == SL_JSON_OK && oracle_same_value(&ours, theirs));
	json_decref(theirs);
	return is_same;
}

#endif /* JSON_ORACLE_H */
