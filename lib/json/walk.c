/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "scan.h"

static bool
fail(struct sl_json_walk *walk, const char *at, enum sl_json_error error)
{
	walk->at = at;
	walk->error = error;
	walk->close = '\0';
	return false;
}

/* What stands at `at` is missing or something else. */
static bool
fail_at(struct sl_json_walk *walk, const char *at)
{
	return fail(walk, at, at == walk->end ? SL_JSON_CUT_SHORT : SL_JSON_UNEXPECTED);
}

static void
begin(struct sl_json_walk *walk, const char *text, size_t len, char open, char close,
	enum sl_json_error error)
{
	const char *end = text + len, *p = scan_space(text, end);

	*walk = (struct sl_json_walk){.at = p, .end = end, .close = close};
	if (p == end)
		fail(walk, p, SL_JSON_CUT_SHORT);
	else if (*p != open)
		fail(walk, p, error);
	else
		walk->at++;
}

void
sl_json_walk_object(struct sl_json_walk *walk, const char *text, size_t len)
{
	begin(walk, text, len, '{', '}', SL_JSON_NOT_AN_OBJECT);
}

void
sl_json_walk_array(struct sl_json_walk *walk, const char *text, size_t len)
{
	begin(walk, text, len, '[', ']', SL_JSON_NOT_AN_ARRAY);
}

/* On to the next key or element. @return false: there is none */
static bool
go_on(struct sl_json_walk *walk)
{
	const char *p = walk->at, *end = walk->end;

	if (walk->close == '\0')
		return false;
	p = scan_space(p, end);
	if (p == end)
		return fail(walk, p, SL_JSON_CUT_SHORT);
	if (*p == walk->close) {
		p = scan_space(p + 1, end);
		if (p != end)
			return fail(walk, p, SL_JSON_TRAILING);
		walk->at = p;
		walk->close = '\0';
		return false;
	}
	if (walk->is_begun) {
		if (*p != ',')
			return fail(walk, p, SL_JSON_UNEXPECTED);
		p = scan_space(p + 1, end);
		if (p == end)
			return fail(walk, p, SL_JSON_CUT_SHORT);
	}
	walk->is_begun = true;
	walk->at = p;
	return true;
}

bool
sl_json_next_member(
	struct sl_json_walk *walk, struct sl_json_value *key, struct sl_json_value *value)
{
	const char *p, *end = walk->end;
	enum sl_json_error error;

	if (!go_on(walk))
		return false;
	p = walk->at;
	if (*p != '"')
		return fail_at(walk, p);
	error = scan_string(&p, end, key);
	if (error != SL_JSON_OK)
		return fail(walk, p, error);
	p = scan_space(p, end);
	if (p == end || *p != ':')
		return fail_at(walk, p);
	p = scan_space(p + 1, end);
	if (p == end)
		return fail_at(walk, p);
	error = scan_value(&p, end, 1, value);
	walk->at = p;
	return error == SL_JSON_OK || fail(walk, p, error);
}

bool
sl_json_next_element(struct sl_json_walk *walk, struct sl_json_value *value)
{
	const char *p;
	enum sl_json_error error;

	if (!go_on(walk))
		return false;
	p = walk->at;
	error = scan_value(&p, walk->end, 1, value);
	walk->at = p;
	return error == SL_JSON_OK || fail(walk, p, error);
}

enum sl_json_error
sl_json_check(const char *text, size_t len, struct sl_json_value *value, size_t *at)
{
	const char *end = text + len, *p = scan_space(text, end);
	enum sl_json_error error = SL_JSON_CUT_SHORT;
	struct sl_json_value own;

	if (p != end)
		error = scan_value(&p, end, 0, value == NULL ? &own : value);
	if (error == SL_JSON_OK) {
		p = scan_space(p, end);
		if (p != end)
			error = SL_JSON_TRAILING;
	}
	if (at != NULL)
		*at = (size_t)(p - text);
	return error;
}
