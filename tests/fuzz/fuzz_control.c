/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * What a client of the control socket may send, cut into requests as the server does, on a control
 * with a real path that stands: every request is answered at most once, with its id and a length
 * that is true. Left out is what would write or read the machine's files, and start the path.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <rte_eal.h>

#include "changes.h"
#include "control.pb-c.h"
#include "control_internal.h"
#include "request.h"
#include "sl_checks.h"
#include "sl_log.h"
#include "sl_neighbours.h"
#include "sl_notify.h"

static const char config_text[] = "ports: [{name: net0, device: net_null0, address: 10.0.0.1/24}]\n"
				  "lcores: [{lcore: 1, roles: [rx, worker]}]\n"
				  "dedup: {capacity: 1024}\n"
				  "mbufs: 8704\n"
				  "rules: [{source: server1, class: high}]\n"
				  "limits: {shards: 64, backends: 64}\n"
				  "destinations:\n"
				  "- name: table1\n"
				  "  queue_capacity: 100\n"
				  "  backends:\n"
				  "  - {name: a, address: 10.0.0.2, port: 9001}\n"
				  "  - {name: b, address: 10.0.0.3, port: 9001, weight: 3}\n";

static struct sl_control *control;
static struct sl_notify *notify;
static uint64_t expected_id;
static bool is_answered;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static void
require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_control: %s\n", what);
	abort();
}

static struct sl_config *
parse(void)
{
	struct sl_config *config;
	char error[512];

	require(sl_config_parse("fuzz.yaml", config_text, strlen(config_text), &config, error,
			sizeof(error)) == 0,
		error);
	return config;
}

static void
on_line(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

static void
set_share(void *arg, uint32_t destination, uint32_t backend, uint32_t share)
{
	sl_datapath_set_share(arg, destination, backend, share);
}

static void
on_event(void *arg, enum sl_config_level level, const char *kind, json_t *fields, const char *text)
{
	(void)arg;
	sl_notify(notify, level, kind, fields, "%s", text);
}

static void
on_quit(void *arg)
{
	(void)arg;
	require(false, "nobody has asked it to quit");
}

static void
start(void)
{
	struct sl_control_params params = {.version = "fuzz", .quit = on_quit};
	struct sl_config *config = parse();
	struct sl_checks_params checks = {
		.hooks = {.set_share = set_share, .event = on_event}, .node = "fuzz"};
	char error[512] = "no memory";

	params.base = event_base_new();
	params.config = config;
	require(sl_datapath_create(config, &params.datapath, error, sizeof(error)) == 0, error);
	require(sl_notify_create("fuzz", &config->events, &notify, error, sizeof(error)) == 0,
		error);
	params.notify = notify;
	params.neighbours = sl_neighbours_create(config, params.datapath, on_line, NULL, 1);
	checks.base = params.base;
	checks.hooks.arg = params.datapath;
	require(params.neighbours != NULL && sl_checks_create(&checks, config, &params.checks) == 0,
		error);
	require(sl_control_create(&params, &control, error, sizeof(error)) == 0, error);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char *eal[] = {(char *)"fuzz_control", (char *)"--lcores=0@0,1@0", (char *)"--no-huge",
		(char *)"-m", (char *)"256", (char *)"--no-pci", (char *)"--no-telemetry",
		(char *)"--no-shconf", (char *)"--vdev=net_null0", NULL};

	(void)argc;
	(void)argv;
	require(rte_eal_init((int)RTE_DIM(eal) - 1, eal) >= 0, "EAL does not start");
	for (unsigned int m = 0; m < SL_LOG_MODULES; m++)
		sl_log_set_level(m, SL_LEVEL_ERROR);
	start();
	return 0;
}

static void
on_response(void *arg, uint8_t *frame, size_t len)
{
	Sluice__Control__V1__Response *response;

	require(arg == &expected_id, "the answer comes to who asked");
	require(!is_answered, "a request is answered once");
	is_answered = true;
	require(frame != NULL && len >= REQUEST_HEADER, "an answer has a length");
	require(request_length(frame) == len - REQUEST_HEADER, "the length is true");
	response = sluice__control__v1__response__unpack(
		NULL, len - REQUEST_HEADER, frame + REQUEST_HEADER);
	require(response != NULL, "an answer can be read");
	require(response->id == expected_id, "an answer has its request's id");
	require((response->status == 0) == (response->error[0] == '\0'),
		"a refusal says why, and nothing else does");
	sluice__control__v1__response__free_unpacked(response, NULL);
	free(frame);
}

/* Files of this machine are not to be written or read, and lcores not to be started. */
static bool
is_harmless(const Sluice__Control__V1__Request *request)
{
	switch (request->command_case) {
	case SLUICE__CONTROL__V1__REQUEST__COMMAND_SAVE:
		return request->save->file[0] != '/';
	case SLUICE__CONTROL__V1__REQUEST__COMMAND_LOAD:
		return request->load->file[0] != '/';
	case SLUICE__CONTROL__V1__REQUEST__COMMAND_PATH:
		return request->path->action == SLUICE__CONTROL__V1__PATH__ACTION__STOP;
	case SLUICE__CONTROL__V1__REQUEST__COMMAND_LOG:
		return false;
	default:
		return true;
	}
}

static void
send_request(const uint8_t *data, size_t len)
{
	const struct request_peer peer = {.uid = 0, .pid = 1};
	Sluice__Control__V1__Request *request;
	struct sl_request *later;
	bool is_request;

	request = sluice__control__v1__request__unpack(NULL, len, data);
	is_request = request != NULL;
	if (is_request && !is_harmless(request)) {
		sluice__control__v1__request__free_unpacked(request, NULL);
		return;
	}
	if (is_request) {
		expected_id = request->id;
		sluice__control__v1__request__free_unpacked(request, NULL);
	}
	is_answered = false;
	require((request_handle(control, &peer, data, len, on_response, &expected_id, &later) ==
			0) == is_request,
		"what is a request is handled");
	require(later == NULL, "a path that stands answers at once");
	require(is_answered == is_request, "what is a request is answered");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sl_config *before = sl_control_config(control);
	char error[512];
	struct changes changes;
	uint8_t *copy;
	size_t len;

	while (size >= REQUEST_HEADER) {
		len = request_length(data);
		if (len > size - REQUEST_HEADER)
			len = size - REQUEST_HEADER;
		/* Of its exact size, so that reading past its end is seen. */
		copy = malloc(len > 0 ? len : 1);
		memcpy(copy, data + REQUEST_HEADER, len);
		send_request(copy, len);
		free(copy);
		data += REQUEST_HEADER + len;
		size -= REQUEST_HEADER + len;
	}
	/* The next input begins where this one did. */
	if (sl_control_config(control) == before)
		return 0;
	memset(&changes, 0, sizeof(changes));
	require(control_apply(control, parse(), false, &changes, error, sizeof(error)) == 0, error);
	json_decref(changes.list);
	return 0;
}
