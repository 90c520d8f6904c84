/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_telemetry.h>

#include "control_internal.h"
#include "sl_telemetry.h"
#include "tel_data.h"

#define PREFIX	      "/sluice/"
#define ARGUMENTS_MAX 4
#define WAIT_S	      2

/* A command on its way to the control thread and back; the text goes by malloc(). */
struct request {
	TAILQ_ENTRY(request) next;
	char *view;
	char *arguments; /* Separated by commas; NULL: none. */
	char *json;
	char error[256];
	bool is_taken; /* The control thread has it, and does not wait for us. */
	bool is_done;
	bool is_abandoned; /* Nobody waits: who has it frees it. */
};

/* rte_telemetry knows no arguments of callbacks, and never forgets one. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t done;
	TAILQ_HEAD(, request) requests;
	bool is_registered;
	struct sl_control *control; /* NULL: closed. */
	struct event *event;
	int fd; /* Counts the requests in the list. */
} tel = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

static void
free_request(struct request *request)
{
	free(request->view);
	free(request->arguments);
	free(request->json);
	free(request);
}

static struct request *
make_request(const char *command, const char *parameters)
{
	struct request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return NULL;
	request->view = strdup(command + strlen(PREFIX));
	if (parameters != NULL)
		request->arguments = strdup(parameters);
	if (request->view == NULL || (parameters != NULL && request->arguments == NULL)) {
		free_request(request);
		return NULL;
	}
	return request;
}

/* With the lock held. Returns whether it was answered; if not, it is gone. */
static bool
wait_for(struct request *request)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_S;
	while (!request->is_done && rc == 0)
		rc = pthread_cond_timedwait(&tel.done, &tel.lock, &until);
	if (request->is_done)
		return true;
	request->is_abandoned = true;
	if (request->is_taken)
		return false;
	/* Its count in the eventfd stays: the control thread finds nothing for it. */
	TAILQ_REMOVE(&tel.requests, request, next);
	free_request(request);
	return false;
}

static void
answer_error(struct rte_tel_data *data, const char *error)
{
	rte_tel_data_start_dict(data);
	rte_tel_data_add_dict_string(data, "error", error);
}

static void
answer(struct rte_tel_data *data, struct request *request)
{
	json_t *json;

	if (request->json == NULL) {
		answer_error(data, request->error);
		return;
	}
	json = json_loads(request->json, 0, NULL);
	if (json == NULL)
		answer_error(data, "no memory for the answer");
	else
		tel_data_fill(data, json);
	json_decref(json);
}

/* On a thread of rte_telemetry. */
static int
on_command(const char *command, const char *parameters, struct rte_tel_data *data)
{
	struct request *request = make_request(command, parameters);
	const uint64_t one = 1;
	bool is_answered = false, is_open;

	if (request == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&tel.lock);
	is_open = tel.control != NULL;
	if (is_open) {
		TAILQ_INSERT_TAIL(&tel.requests, request, next);
		(void)!write(tel.fd, &one, sizeof(one));
		is_answered = wait_for(request);
	}
	pthread_mutex_unlock(&tel.lock);
	if (is_answered)
		answer(data, request);
	else
		answer_error(data,
			is_open ? "the control thread did not answer in time"
				: "the appliance is not running");
	if (is_answered || !is_open)
		free_request(request);
	return 0;
}

static void
serve(struct request *request)
{
	const char *arguments[ARGUMENTS_MAX];
	uint32_t nb_arguments = 0;
	char *save = NULL, *argument;
	json_t *json = NULL;

	argument = request->arguments == NULL ? NULL : strtok_r(request->arguments, ",", &save);
	for (; argument != NULL && nb_arguments < ARGUMENTS_MAX;
		argument = strtok_r(NULL, ",", &save))
		arguments[nb_arguments++] = argument;
	if (sl_control_show(tel.control, request->view, arguments, nb_arguments, &json,
		    request->error, sizeof(request->error)) != 0)
		return;
	/* As text: the counts of references inside are this thread's. */
	request->json = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	if (request->json == NULL)
		snprintf(request->error, sizeof(request->error), "no memory for the answer");
}

/* One request a turn. */
static void
on_request(evutil_socket_t fd, short what, void *arg)
{
	struct request *request;
	uint64_t count;

	RTE_SET_USED(what);
	RTE_SET_USED(arg);
	(void)!read(fd, &count, sizeof(count));
	pthread_mutex_lock(&tel.lock);
	request = TAILQ_FIRST(&tel.requests);
	if (request != NULL) {
		TAILQ_REMOVE(&tel.requests, request, next);
		request->is_taken = true;
	}
	pthread_mutex_unlock(&tel.lock);
	if (request == NULL)
		return;
	serve(request);
	pthread_mutex_lock(&tel.lock);
	request->is_done = true;
	if (request->is_abandoned)
		free_request(request);
	pthread_cond_broadcast(&tel.done);
	pthread_mutex_unlock(&tel.lock);
}

static int
register_views(void)
{
	const struct sl_view_info *view;
	pthread_condattr_t monotonic;
	char command[64];
	int rc = 0;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&tel.done, &monotonic);
	pthread_condattr_destroy(&monotonic);
	TAILQ_INIT(&tel.requests);
	for (uint32_t i = 0; rc == 0 && (view = sl_control_view(i)) != NULL; i++) {
		snprintf(command, sizeof(command), PREFIX "%s", view->name);
		rc = rte_telemetry_register_cmd(command, on_command, view->help);
	}
	tel.is_registered = rc == 0;
	return rc;
}

int
sl_telemetry_open(
	struct sl_control *control, struct event_base *base, char *error, size_t error_len)
{
	int rc = tel.is_registered ? 0 : register_views();

	if (rc != 0)
		return control_fail(
			rc, error, error_len, "rte_telemetry takes no commands: %s", strerror(-rc));
	tel.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	if (tel.fd < 0)
		return control_fail(-errno, error, error_len, "eventfd: %s", strerror(errno));
	tel.event = event_new(base, tel.fd, EV_READ | EV_PERSIST, on_request, NULL);
	if (tel.event != NULL)
		event_priority_set(tel.event, event_base_get_npriorities(base) - 1);
	if (tel.event == NULL || event_add(tel.event, NULL) != 0) {
		sl_telemetry_close();
		return control_fail(-ENOMEM, error, error_len, "no memory for rte_telemetry");
	}
	pthread_mutex_lock(&tel.lock);
	tel.control = control;
	pthread_mutex_unlock(&tel.lock);
	return 0;
}

void
sl_telemetry_close(void)
{
	struct request *request;

	pthread_mutex_lock(&tel.lock);
	tel.control = NULL;
	while (tel.is_registered && (request = TAILQ_FIRST(&tel.requests)) != NULL) {
		TAILQ_REMOVE(&tel.requests, request, next);
		snprintf(request->error, sizeof(request->error), "the appliance is stopping");
		request->is_done = true;
		pthread_cond_broadcast(&tel.done);
	}
	if (tel.event != NULL)
		event_free(tel.event);
	if (tel.fd >= 0)
		close(tel.fd);
	tel.event = NULL;
	tel.fd = -1;
	pthread_mutex_unlock(&tel.lock);
}
