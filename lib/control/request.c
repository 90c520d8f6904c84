/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.pb-c.h"
#include "control_internal.h"
#include "members.h"
#include "request.h"
#include "sl_log.h"
#include "sl_wire.h"

#define MODULE(name) ", " #name

#define TRACE_TIMEOUT_MS     10000
#define TRACE_TIMEOUT_MAX_MS 60000

/* What a request comes to. */
struct outcome {
	json_t *json;
	char error[512];
	struct request_list *list; /* The answer comes later: who waits for what. */
};

typedef int (*handler_t)(struct sl_control *control, const struct request_peer *peer,
	const Sluice__Control__V1__Request *request, struct outcome *outcome);

static void
put_length(uint8_t *p, size_t len)
{
	p[0] = (uint8_t)(len >> 24);
	p[1] = (uint8_t)(len >> 16);
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
}

/* As many as any double has, and HTTP's answers: 91.7592, not 91.759199999999993. */
#define REAL_DIGITS JSON_REAL_PRECISION(15)

uint8_t *
response_make(uint64_t id, int status, const char *error, json_t *json, size_t *frame_len)
{
	Sluice__Control__V1__Response response = SLUICE__CONTROL__V1__RESPONSE__INIT;
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT | REAL_DIGITS),
	     too_long[96];
	uint8_t *frame;
	size_t len;

	if (json != NULL && text == NULL)
		status = ENOMEM;
	json_decref(json);
	response.version = SLUICE__CONTROL__V1__VERSION__VERSION_1;
	response.id = id;
	response.status = status;
	if (status != 0)
		response.error = (char *)(uintptr_t)(error != NULL ? error : strerror(status));
	if (text != NULL)
		response.json = text;
	len = sluice__control__v1__response__get_packed_size(&response);
	if (len > RESPONSE_MAX) {
		snprintf(too_long, sizeof(too_long),
			"the answer has %zu bytes, at most %u can be sent: ask for less", len,
			RESPONSE_MAX);
		response.status = EMSGSIZE;
		response.error = too_long;
		response.json = (char *)(uintptr_t)protobuf_c_empty_string;
		len = sluice__control__v1__response__get_packed_size(&response);
	}
	frame = malloc(REQUEST_HEADER + len);
	if (frame != NULL) {
		put_length(frame, len);
		sluice__control__v1__response__pack(&response, frame + REQUEST_HEADER);
		*frame_len = REQUEST_HEADER + len;
	}
	free(text);
	return frame;
}

static void
respond(request_respond_t to, void *arg, uint64_t id, int status, const char *error, json_t *json)
{
	size_t len = 0;
	uint8_t *frame = response_make(id, status, error, json, &len);

	/* Without memory for an answer the client is told by silence, and its own time-out. */
	to(arg, frame, len);
}

static int
handle_show(struct sl_control *c, const struct request_peer *peer,
	const Sluice__Control__V1__Request *request, struct outcome *outcome)
{
	const Sluice__Control__V1__Show *show = request->show;

	RTE_SET_USED(peer);
	return sl_control_show(c, show->view, (const char *const *)show->arguments,
		(uint32_t)show->n_arguments, &outcome->json, outcome->error,
		sizeof(outcome->error));
}

static int
handle_path(struct sl_control *c, const struct request_peer *peer,
	const Sluice__Control__V1__Request *request, struct outcome *outcome)
{
	static const char *const words[] = {"start", "stop", "quit"};
	unsigned int action = (unsigned int)request->path->action;
	int rc;

	if (action >= RTE_DIM(words))
		return control_fail(-EINVAL, outcome->error, sizeof(outcome->error),
			"path: no action %u", action);
	sl_log(SL_LOG_control, SL_LEVEL_INFO, "%s asked for by uid %u, pid %d", words[action],
		peer->uid, peer->pid);
	if (action == SLUICE__CONTROL__V1__PATH__ACTION__START) {
		rc = sl_control_start(c, outcome->error, sizeof(outcome->error));
		if (rc == 0)
			outcome->json = json_pack("{s:b}", "running", 1);
		return rc;
	}
	if (!c->is_draining && !sl_datapath_is_running(c->params.datapath)) {
		outcome->json = json_pack("{s:b}", "running", 0);
		if (action == SLUICE__CONTROL__V1__PATH__ACTION__QUIT)
			sl_control_quit(c);
		return 0;
	}
	outcome->list = &c->stopping;
	if (action == SLUICE__CONTROL__V1__PATH__ACTION__QUIT)
		sl_control_quit(c);
	else
		path_stop(c);
	return 0;
}

static json_t *
describe(struct changes *changes, bool is_applied)
{
	return json_pack("{s:o, s:I, s:b}", "changes", changes->list, "nb_changes",
		(json_int_t)changes->nb_changes, "applied", is_applied);
}

static int
handle_load(struct sl_control *c, const struct request_peer *peer,
	const Sluice__Control__V1__Request *request, struct outcome *outcome)
{
	const Sluice__Control__V1__Load *load = request->load;
	struct changes changes;
	int rc = control_load(
		c, load->file, load->check_only, &changes, outcome->error, sizeof(outcome->error));

	sl_log(SL_LOG_control, SL_LEVEL_INFO, "%s %s asked for by uid %u, pid %d: %s",
		load->check_only ? "check" : "reload", load->file, peer->uid, peer->pid,
		rc == 0 ? "done" : outcome->error);
	if (changes.list != NULL)
		outcome->json = describe(&changes, rc == 0 && !load->check_only);
	return rc;
}

/* An edit as lib/config has it; refers to the request. `settings` has room for all of them. */
static int
take_edit(const Sluice__Control__V1__Edit *from, struct sl_config_edit *to,
	struct sl_config_setting *settings)
{
	static const enum sl_config_op ops[] = {SL_CONFIG_ADD, SL_CONFIG_SET, SL_CONFIG_DEL};
	static const enum sl_config_object objects[] = {
		SL_CONFIG_DESTINATION, SL_CONFIG_BACKEND, SL_CONFIG_CLASS, SL_CONFIG_RULE};

	if ((unsigned int)from->operation >= RTE_DIM(ops) ||
		(unsigned int)from->object >= RTE_DIM(objects))
		return -EINVAL;
	to->op = ops[from->operation];
	to->object = objects[from->object];
	to->destination = from->destination;
	to->backend = from->backend;
	to->number = from->number;
	to->nb_settings = (uint32_t)from->n_settings;
	to->settings = settings;
	for (size_t i = 0; i < from->n_settings; i++) {
		settings[i].key = from->settings[i]->key;
		settings[i].value = from->settings[i]->value;
	}
	return 0;
}

static void
log_edits(const Sluice__Control__V1__Change *change, const struct request_peer *peer, int rc)
{
	static const char *const ops[] = {"add", "set", "del"};
	static const char *const objects[] = {"destination", "backend", "class", "rule"};
	const Sluice__Control__V1__Edit *edit;

	if (change->n_edits == 0)
		return;
	edit = change->edits[0];
	sl_log(SL_LOG_control, SL_LEVEL_INFO,
		"%s %s %s %s %u (%zu edits) asked for by uid %u, pid %d: %s", ops[edit->operation],
		objects[edit->object], edit->destination, edit->backend, edit->number,
		change->n_edits, peer->uid, peer->pid, rc == 0 ? "done" : strerror(-rc));
}

static int
handle_change(struct sl_control *c, const struct request_peer *peer,
	const Sluice__Control__V1__Request *request, struct outcome *outcome)
{
	const Sluice__Control__V1__Change *change = request->change;
	struct sl_config_edit *edits = calloc(change->n_edits + 1, sizeof(*edits));
	struct sl_config_setting *settings;
	struct changes changes = {0};
	size_t nb_settings = 0;
	int rc = 0;

	for (size_t i = 0; i < change->n_edits; i++)
		nb_settings += change->edits[i]->n_settings;
	settings = calloc(nb_settings + 1, sizeof(*settings));
	if (edits == NULL || settings == NULL) {
		free(edits);
		free(settings);
		return -ENOMEM;
	}
	nb_settings = 0;
	for (size_t i = 0; i < change->n_edits && rc == 0; i++) {
		rc = take_edit(change->edits[i], &edits[i], &settings[nb_settings]);
		nb_settings += change->edits[i]->n_settings;
	}
	if (rc != 0) {
		control_fail(rc, outcome->error, sizeof(outcome->error),
			"an edit adds, sets or deletes a destination, backend, class or rule");
	} else {
		rc = control_change(c, edits, (uint32_t)change->n_edits, &changes, outcome->error,
			sizeof(outcome->error));
		log_edits(change, peer, rc);
	}
	if (changes.list != NULL)
		outcome->json = describe(&changes, rc == 0);
	free(edits);
	free(settings);
	return rc;
}

static int
handle_save(struct sl_control *c, const struct request_peer *peer,
	const Sluice__Control__V1__Request *request, struct outcome *outcome)
{
	int rc = sl_control_save(c, request->save->file, outcome->error, sizeof(outcome->error));

	sl_log(SL_LOG_control, SL_LEVEL_INFO, "save %s asked for by uid %u, pid %d: %s",
		request->save->file, peer->uid, peer->pid, rc == 0 ? "done" : outcome->error);
	return rc;
}

static int
handle_explain(struct sl_control *c, const struct request_peer *peer,
	const Sluice__Control__V1__Request *request, struct outcome *outcome)
{
	const struct explain_query query = {
		.source = request->explain->source,
		.destination = request->explain->destination,
		.type = request->explain->type,
		.priority = request->explain->priority,
	};
	struct view_call call = {
		.error = outcome->error, .error_len = sizeof(outcome->error), .rc = -ENOMEM};

	RTE_SET_USED(peer);
	outcome->json = explain(c, &query, &call);
	return outcome->json != NULL ? 0 : call.rc;
}

/* 32 hexadecimal digits. */
static bool
parse_id(const char *text, uint64_t *high, uint64_t *low)
{
	char digits[17] = "";

	if (strlen(text) != 32 || strspn(text, "0123456789abcdefABCDEF") != 32)
		return false;
	memcpy(digits, text, 16);
	*high = strtoull(digits, NULL, 16);
	*low = strtoull(text + 16, NULL, 16);
	return true;
}

static int
handle_trace(struct sl_control *c, const struct request_peer *peer,
	const Sluice__Control__V1__Request *request, struct outcome *outcome)
{
	const Sluice__Control__V1__Trace *trace = request->trace;
	struct sl_trace_filter filter = {.count = trace->count};
	uint32_t timeout_ms = trace->timeout_ms == 0 ? TRACE_TIMEOUT_MS : trace->timeout_ms;
	int rc;

	if (trace->count == 0 || trace->count > SL_TRACE_MESSAGES_MAX)
		return control_fail(-EINVAL, outcome->error, sizeof(outcome->error),
			"trace: count %u: give 1 to %u", trace->count, SL_TRACE_MESSAGES_MAX);
	if (timeout_ms > TRACE_TIMEOUT_MAX_MS)
		return control_fail(-EINVAL, outcome->error, sizeof(outcome->error),
			"trace: timeout_ms %u: give 1 to %u", timeout_ms, TRACE_TIMEOUT_MAX_MS);
	switch (trace->by) {
	case SLUICE__CONTROL__V1__TRACE__BY__SOURCE:
	case SLUICE__CONTROL__V1__TRACE__BY__DESTINATION:
		filter.by = trace->by == SLUICE__CONTROL__V1__TRACE__BY__SOURCE
			? SL_TRACE_SOURCE
			: SL_TRACE_DESTINATION;
		if (trace->value[0] == '\0')
			return control_fail(-EINVAL, outcome->error, sizeof(outcome->error),
				"trace: give a name");
		filter.key = sl_wire_name_key(trace->value);
		break;
	case SLUICE__CONTROL__V1__TRACE__BY__ID:
		filter.by = SL_TRACE_ID;
		if (!parse_id(trace->value, &filter.key, &filter.id_low))
			return control_fail(-EINVAL, outcome->error, sizeof(outcome->error),
				"trace: id %.64s: give 32 hexadecimal digits", trace->value);
		break;
	default:
		return control_fail(-EINVAL, outcome->error, sizeof(outcome->error),
			"trace: by source, destination or id");
	}
	outcome->list = &c->tracing;
	rc = trace_begin(c, &filter, timeout_ms, outcome->error, sizeof(outcome->error));
	sl_log(SL_LOG_control, SL_LEVEL_INFO, "trace asked for by uid %u, pid %d: %s", peer->uid,
		peer->pid, rc == 0 ? "begun" : outcome->error);
	return rc;
}

static int
handle_clear(struct sl_control *c, const struct request_peer *peer,
	const Sluice__Control__V1__Request *request, struct outcome *outcome)
{
	const Sluice__Control__V1__Clear *clear = request->clear;

	sl_log(SL_LOG_control, SL_LEVEL_INFO, "clear asked for by uid %u, pid %d", peer->uid,
		peer->pid);
	switch (clear->what) {
	case SLUICE__CONTROL__V1__CLEAR__WHAT__ALL:
		return sl_control_clear(
			c, SL_CLEAR_ALL, "", outcome->error, sizeof(outcome->error));
	case SLUICE__CONTROL__V1__CLEAR__WHAT__PORT:
		return sl_control_clear(
			c, SL_CLEAR_PORT, clear->name, outcome->error, sizeof(outcome->error));
	case SLUICE__CONTROL__V1__CLEAR__WHAT__DESTINATION:
		return sl_control_clear(c, SL_CLEAR_DESTINATION, clear->name, outcome->error,
			sizeof(outcome->error));
	default:
		return control_fail(-EINVAL, outcome->error, sizeof(outcome->error),
			"clear: all, a port or a destination");
	}
}

static int
handle_log(struct sl_control *c, const struct request_peer *peer,
	const Sluice__Control__V1__Request *request, struct outcome *outcome)
{
	const Sluice__Control__V1__Log *log = request->log;
	enum sl_config_level level;
	enum sl_log_module module;

	RTE_SET_USED(c);
	if (!sl_log_find_level(log->level, &level))
		return control_fail(-EINVAL, outcome->error, sizeof(outcome->error),
			"log: no level %.32s: error, warn, notify, info or debug", log->level);
	if (strcmp(log->module, "all") == 0) {
		for (unsigned int m = 0; m < SL_LOG_MODULES; m++)
			sl_log_set_level(m, level);
	} else if (sl_log_find_module(log->module, &module)) {
		sl_log_set_level(module, level);
	} else {
		return control_fail(-EINVAL, outcome->error, sizeof(outcome->error),
			"log: no module %.32s: give all" SL_LOG_MODULE_LIST(MODULE), log->module);
	}
	sl_log(SL_LOG_control, SL_LEVEL_INFO, "log %s %s set by uid %u, pid %d", log->module,
		log->level, peer->uid, peer->pid);
	return 0;
}

static int
handle_subscribe(struct sl_control *c, const struct request_peer *peer,
	const Sluice__Control__V1__Request *request, struct outcome *outcome)
{
	const Sluice__Control__V1__Subscribe *from = request->subscribe;
	struct sl_member member = {
		.destination = from->destination,
		.name = from->backend,
		.udp_port = (uint16_t)from->port,
		.ttl_ms = from->ttl_ms,
		.is_durable = from->durable,
	};
	int rc;

	if (from->leave) {
		rc = members_remove(c->members, from->destination, from->backend);
		if (rc != 0)
			control_fail(rc, outcome->error, sizeof(outcome->error),
				"nobody has joined %.64s as %.64s: see subscribers",
				from->destination, from->backend);
	} else if (!sl_ip_parse(from->address, &member.address)) {
		rc = control_fail(-EINVAL, outcome->error, sizeof(outcome->error),
			"'%.64s' is not an IP address: give one like 10.77.0.11", from->address);
	} else if (from->port == 0 || from->port > UINT16_MAX) {
		rc = control_fail(-EINVAL, outcome->error, sizeof(outcome->error),
			"port %u: give 1 to 65535", from->port);
	} else {
		rc = sl_control_join(c, &member, outcome->error, sizeof(outcome->error));
	}
	sl_log(SL_LOG_control, SL_LEVEL_INFO, "%s %s %s asked for by uid %u, pid %d: %s",
		from->leave ? "unsubscribe" : "subscribe", from->destination, from->backend,
		peer->uid, peer->pid, rc == 0 ? "done" : outcome->error);
	return rc;
}

static handler_t
handler_of(Sluice__Control__V1__Request__CommandCase command)
{
	switch (command) {
	case SLUICE__CONTROL__V1__REQUEST__COMMAND_SHOW:
		return handle_show;
	case SLUICE__CONTROL__V1__REQUEST__COMMAND_CHANGE:
		return handle_change;
	case SLUICE__CONTROL__V1__REQUEST__COMMAND_LOAD:
		return handle_load;
	case SLUICE__CONTROL__V1__REQUEST__COMMAND_SAVE:
		return handle_save;
	case SLUICE__CONTROL__V1__REQUEST__COMMAND_PATH:
		return handle_path;
	case SLUICE__CONTROL__V1__REQUEST__COMMAND_EXPLAIN:
		return handle_explain;
	case SLUICE__CONTROL__V1__REQUEST__COMMAND_TRACE:
		return handle_trace;
	case SLUICE__CONTROL__V1__REQUEST__COMMAND_CLEAR:
		return handle_clear;
	case SLUICE__CONTROL__V1__REQUEST__COMMAND_LOG:
		return handle_log;
	case SLUICE__CONTROL__V1__REQUEST__COMMAND_SUBSCRIBE:
		return handle_subscribe;
	default:
		return NULL;
	}
}

static struct sl_request *
request_later(struct sl_control *c, struct request_list *list, uint64_t id, request_respond_t to,
	void *arg)
{
	struct sl_request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return NULL;
	request->control = c;
	request->list = list;
	request->id = id;
	request->respond = to;
	request->arg = arg;
	TAILQ_INSERT_TAIL(list, request, next);
	return request;
}

void
request_cancel(struct sl_request *request)
{
	TAILQ_REMOVE(request->list, request, next);
	free(request);
}

void
request_done(struct sl_request *request, int status, const char *error, json_t *json)
{
	request_respond_t to = request->respond;
	void *arg = request->arg;
	uint64_t id = request->id;

	request_cancel(request);
	respond(to, arg, id, status, error, json);
}

int
request_handle(struct sl_control *c, const struct request_peer *peer, const uint8_t *data,
	size_t len, request_respond_t to, void *arg, struct sl_request **later)
{
	Sluice__Control__V1__Request *request;
	struct outcome outcome = {0};
	handler_t handler;
	int rc;

	*later = NULL;
	request = sluice__control__v1__request__unpack(NULL, len, data);
	if (request == NULL)
		return -EBADMSG;
	handler = handler_of(request->command_case);
	if (request->version != SLUICE__CONTROL__V1__VERSION__VERSION_1)
		rc = control_fail(-EPROTONOSUPPORT, outcome.error, sizeof(outcome.error),
			"version %u of the control API is not spoken here, only version 1: use "
			"the sluicectl of this appliance",
			request->version);
	else if (handler == NULL)
		rc = control_fail(
			-ENOSYS, outcome.error, sizeof(outcome.error), "there is no such request");
	else
		rc = handler(c, peer, request, &outcome);
	if (rc == 0 && outcome.list != NULL) {
		*later = request_later(c, outcome.list, request->id, to, arg);
		if (*later == NULL)
			rc = -ENOMEM;
	}
	if (*later == NULL)
		respond(to, arg, request->id, -rc, outcome.error[0] != '\0' ? outcome.error : NULL,
			outcome.json);
	sluice__control__v1__request__free_unpacked(request, NULL);
	return 0;
}
