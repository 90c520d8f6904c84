/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* From a line's values to a request. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli_internal.h"

#define TRACE_TIMEOUT_MS 10000
#define DRAIN_MAX_MS	 600000

/* protobuf-c's strings are not const. */
#define EMPTY ((char *)(uintptr_t)protobuf_c_empty_string)

static char *
keep(struct sl_cli_request *request, char *text)
{
	if (text == NULL ||
		request->nb_texts == sizeof(request->texts) / sizeof(request->texts[0])) {
		free(text);
		return EMPTY;
	}
	request->texts[request->nb_texts++] = text;
	return text;
}

/* A value as it was meant: without escapes. */
static char *
decoded(struct sl_cli_request *request, const struct sl_cli_value *value)
{
	char *text = malloc(value->len + 1);

	if (text != NULL && sl_cli_decode(value->text, value->len, text, value->len + 1) < 0)
		text[0] = '\0';
	return keep(request, text);
}

static char *
find(struct sl_cli_request *request, const struct sl_cli_match *match, const char *name)
{
	const struct sl_cli_value *value = sl_cli_match_find(match, name);

	return value == NULL ? EMPTY : decoded(request, value);
}

static uint32_t
find_uint(const struct sl_cli_match *match, const char *name, uint32_t otherwise)
{
	const struct sl_cli_value *value = sl_cli_match_find(match, name);

	return value == NULL ? otherwise : (uint32_t)strtoul(value->text, NULL, 10);
}

static bool
has_word(const struct sl_cli_match *match, const char *word)
{
	for (unsigned int i = 0; i < match->nb_values; i++) {
		const struct sl_cli_arg *arg = match->values[i].arg;

		if (arg->type == SL_CLI_WORD && strcmp(arg->text, word) == 0)
			return true;
	}
	return false;
}

/* The appliance knows nothing of our directory. */
static char *
find_file(struct sl_cli_request *request, const struct sl_cli_match *match)
{
	char *file = find(request, match, "FILE"), *dir, *path = NULL;

	if (file[0] == '\0' || file[0] == '/')
		return file;
	dir = getcwd(NULL, 0);
	if (dir == NULL || asprintf(&path, "%s/%s", dir, file) < 0)
		path = NULL;
	free(dir);
	return keep(request, path);
}

void
sl_cli_view_name(const char *view, char *name, size_t name_len)
{
	size_t n = 0;

	name[0] = '\0';
	while (*view != '\0' && n < name_len) {
		size_t len = strcspn(view, " ");

		if (*view != '$')
			n += (size_t)snprintf(
				name + n, name_len - n, "%s%.*s", n > 0 ? " " : "", (int)len, view);
		view += len + (view[len] == ' ');
	}
}

static void
make_show(const struct sl_cli_match *match, struct sl_cli_request *r)
{
	Sluice__Control__V1__Show *show = &r->u.show;
	char *copy = keep(r, strdup(match->command->view)), *save = NULL, *word;

	sluice__control__v1__show__init(show);
	show->arguments = r->arguments;
	for (word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
		if (word == copy)
			show->view = word;
		else if (*word != '$')
			r->arguments[show->n_arguments++] = word;
		else if (sl_cli_match_find(match, word + 1) != NULL)
			r->arguments[show->n_arguments++] = find(r, match, word + 1);
	}
	r->request.command_case = SLUICE__CONTROL__V1__REQUEST__COMMAND_SHOW;
	r->request.show = show;
}

static void
make_change(const struct sl_cli_match *match, struct sl_cli_request *r)
{
	Sluice__Control__V1__Edit *edit = &r->edit;

	sluice__control__v1__change__init(&r->u.change);
	sluice__control__v1__edit__init(edit);
	edit->operation = (Sluice__Control__V1__Edit__Operation)match->command->operation;
	edit->object = (Sluice__Control__V1__Edit__Object)match->command->object;
	edit->settings = r->setting_list;
	for (unsigned int i = 0; i < match->nb_values; i++) {
		const struct sl_cli_arg *arg = match->values[i].arg;
		Sluice__Control__V1__Setting *setting = &r->settings[edit->n_settings];

		if (arg->setting == NULL)
			continue;
		sluice__control__v1__setting__init(setting);
		setting->key = arg->setting;
		setting->value = decoded(r, &match->values[i].value);
		r->setting_list[edit->n_settings++] = setting;
	}
	/* A rule compares its destination, it is not part of one. */
	if (edit->object != SLUICE__CONTROL__V1__EDIT__OBJECT__RULE)
		edit->destination = find(r, match, "DESTINATION");
	edit->backend = find(r, match, "BACKEND");
	edit->number = find_uint(match, "PLACE", find_uint(match, "LEVEL", 0));
	r->edits[0] = edit;
	r->u.change.edits = r->edits;
	r->u.change.n_edits = 1;
	r->request.command_case = SLUICE__CONTROL__V1__REQUEST__COMMAND_CHANGE;
	r->request.change = &r->u.change;
}

static void
make_load(const struct sl_cli_match *match, struct sl_cli_request *r)
{
	sluice__control__v1__load__init(&r->u.load);
	r->u.load.file = find_file(r, match);
	r->u.load.check_only = match->command->action == SL_CLI_CHECK;
	r->request.command_case = SLUICE__CONTROL__V1__REQUEST__COMMAND_LOAD;
	r->request.load = &r->u.load;
}

static void
make_save(const struct sl_cli_match *match, struct sl_cli_request *r)
{
	sluice__control__v1__save__init(&r->u.save);
	r->u.save.file = find_file(r, match);
	r->request.command_case = SLUICE__CONTROL__V1__REQUEST__COMMAND_SAVE;
	r->request.save = &r->u.save;
}

static void
make_path(const struct sl_cli_match *match, struct sl_cli_request *r)
{
	sluice__control__v1__path__init(&r->u.path);
	switch (match->command->action) {
	case SL_CLI_START:
		r->u.path.action = SLUICE__CONTROL__V1__PATH__ACTION__START;
		break;
	case SL_CLI_STOP:
		r->u.path.action = SLUICE__CONTROL__V1__PATH__ACTION__STOP;
		break;
	default:
		r->u.path.action = SLUICE__CONTROL__V1__PATH__ACTION__QUIT;
		break;
	}
	/* As long as a drain_timeout_ms may be. */
	r->extra_ms = DRAIN_MAX_MS;
	r->request.command_case = SLUICE__CONTROL__V1__REQUEST__COMMAND_PATH;
	r->request.path = &r->u.path;
}

static void
make_explain(const struct sl_cli_match *match, struct sl_cli_request *r)
{
	sluice__control__v1__explain__init(&r->u.explain);
	r->u.explain.source = find(r, match, "SOURCE");
	r->u.explain.destination = find(r, match, "DESTINATION");
	r->u.explain.type = find(r, match, "TYPE");
	r->u.explain.priority = find_uint(match, "PRIORITY", 0);
	r->request.command_case = SLUICE__CONTROL__V1__REQUEST__COMMAND_EXPLAIN;
	r->request.explain = &r->u.explain;
}

static void
make_trace(const struct sl_cli_match *match, struct sl_cli_request *r)
{
	static const struct {
		const char *name;
		Sluice__Control__V1__Trace__By by;
	} ways[] = {{"SOURCE", SLUICE__CONTROL__V1__TRACE__BY__SOURCE},
		{"DESTINATION", SLUICE__CONTROL__V1__TRACE__BY__DESTINATION},
		{"ID", SLUICE__CONTROL__V1__TRACE__BY__ID}};
	const struct sl_cli_value *timeout = sl_cli_match_find(match, "TIMEOUT");
	Sluice__Control__V1__Trace *trace = &r->u.trace;

	sluice__control__v1__trace__init(trace);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (sl_cli_match_find(match, ways[i].name) == NULL)
			continue;
		trace->by = ways[i].by;
		trace->value = find(r, match, ways[i].name);
	}
	trace->count = find_uint(match, "COUNT", 1);
	trace->timeout_ms = timeout == NULL ? TRACE_TIMEOUT_MS
					    : (uint32_t)(strtod(timeout->text, NULL) * 1000);
	r->extra_ms = trace->timeout_ms;
	r->request.command_case = SLUICE__CONTROL__V1__REQUEST__COMMAND_TRACE;
	r->request.trace = trace;
}

static void
make_clear(const struct sl_cli_match *match, struct sl_cli_request *r)
{
	sluice__control__v1__clear__init(&r->u.clear);
	if (has_word(match, "port")) {
		r->u.clear.what = SLUICE__CONTROL__V1__CLEAR__WHAT__PORT;
		r->u.clear.name = find(r, match, "PORT");
	} else if (has_word(match, "destination")) {
		r->u.clear.what = SLUICE__CONTROL__V1__CLEAR__WHAT__DESTINATION;
		r->u.clear.name = find(r, match, "DESTINATION");
	}
	r->request.command_case = SLUICE__CONTROL__V1__REQUEST__COMMAND_CLEAR;
	r->request.clear = &r->u.clear;
}

static void
make_subscribe(const struct sl_cli_match *match, struct sl_cli_request *r)
{
	const struct sl_cli_value *ttl = sl_cli_match_find(match, "SECONDS");

	sluice__control__v1__subscribe__init(&r->u.subscribe);
	r->u.subscribe.destination = find(r, match, "DESTINATION");
	r->u.subscribe.backend = find(r, match, "BACKEND");
	r->u.subscribe.leave = match->command->action == SL_CLI_UNSUBSCRIBE;
	r->u.subscribe.address = find(r, match, "ADDRESS");
	r->u.subscribe.port = find_uint(match, "PORT", 0);
	r->u.subscribe.durable = has_word(match, "durable");
	if (ttl != NULL)
		r->u.subscribe.ttl_ms = (uint32_t)(strtod(ttl->text, NULL) * 1000);
	r->request.command_case = SLUICE__CONTROL__V1__REQUEST__COMMAND_SUBSCRIBE;
	r->request.subscribe = &r->u.subscribe;
}

static void
make_log(const struct sl_cli_match *match, struct sl_cli_request *r)
{
	sluice__control__v1__log__init(&r->u.log);
	r->u.log.module = find(r, match, "MODULE");
	r->u.log.level = find(r, match, "LEVEL");
	r->request.command_case = SLUICE__CONTROL__V1__REQUEST__COMMAND_LOG;
	r->request.log = &r->u.log;
}

void
sl_cli_request_make(const struct sl_cli_match *match, struct sl_cli_request *request)
{
	static void (*const makers[])(const struct sl_cli_match *, struct sl_cli_request *) = {
		[SL_CLI_SHOW] = make_show,
		[SL_CLI_CHANGE] = make_change,
		[SL_CLI_LOAD] = make_load,
		[SL_CLI_CHECK] = make_load,
		[SL_CLI_SAVE] = make_save,
		[SL_CLI_START] = make_path,
		[SL_CLI_STOP] = make_path,
		[SL_CLI_QUIT] = make_path,
		[SL_CLI_EXPLAIN] = make_explain,
		[SL_CLI_TRACE] = make_trace,
		[SL_CLI_CLEAR] = make_clear,
		[SL_CLI_LOG] = make_log,
		[SL_CLI_SUBSCRIBE] = make_subscribe,
		[SL_CLI_UNSUBSCRIBE] = make_subscribe,
	};

	memset(request, 0, sizeof(*request));
	sluice__control__v1__request__init(&request->request);
	makers[match->command->action](match, request);
}

void
sl_cli_request_free(struct sl_cli_request *request)
{
	for (unsigned int i = 0; i < request->nb_texts; i++)
		free(request->texts[i]);
}
