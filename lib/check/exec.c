/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>

#include "check.h"
#include "sl_child.h"

/* A command: exit code 0 is success, and the first line it says is worth telling. */

#define OUTPUT_MAX 512
#define NB_ENV	   5

/* Beyond the check's own time-out, which ends the command first. */
#define TIMEOUT_MARGIN_MS 1000

static void
first_line(const struct sl_child_result *result, char *line, size_t size)
{
	size_t n = 0;

	for (; n < size - 1 && n < result->output_len && result->output[n] != '\n'; n++)
		line[n] = result->output[n];
	line[n] = '\0';
}

static void
on_end(void *arg, const struct sl_child_result *result)
{
	struct run *run = arg;
	char line[100];
	const char *colon;

	run->child = NULL;
	first_line(result, line, sizeof(line));
	colon = line[0] != '\0' ? ": " : "";
	if (result->end == SL_CHILD_EXITED && result->status == 0)
		run_finish(run, true, SL_HEALTH_PASSED, 0, "exit code 0%s%s", colon, line);
	else if (result->end == SL_CHILD_EXITED)
		run_finish(run, false, SL_HEALTH_EXIT, result->status, "exit code %d%s%s",
			result->status, colon, line);
	else if (result->end == SL_CHILD_SIGNALLED)
		run_finish(run, false, SL_HEALTH_SIGNAL, result->status, "killed by signal %d%s%s",
			result->status, colon, line);
	else
		run_finish(run, false, SL_HEALTH_TIMEOUT, 0, "timeout after %u ms%s%s",
			result->elapsed_ms, colon, line);
}

static void
exec_start(struct run *run)
{
	const struct backend *backend = run->backend;
	const struct sl_config_check *config = run_config(run);
	char address[SL_IP_STRLEN], error[256], storage[NB_ENV][128];
	const char *env[NB_ENV + 1] = {NULL};
	struct sl_child_command command = {
		.argv = (const char *const *)config->argv,
		.env = env,
		.timeout_ms = run_timeout_ms(run) + TIMEOUT_MARGIN_MS,
		.output_max = OUTPUT_MAX,
	};
	int rc;

	snprintf(storage[0], sizeof(storage[0]), "SLUICE_NODE=%s", backend->checks->node);
	snprintf(storage[1], sizeof(storage[1]), "SLUICE_DESTINATION=%s", backend->dest->name);
	snprintf(storage[2], sizeof(storage[2]), "SLUICE_BACKEND=%s", backend->name);
	snprintf(storage[3], sizeof(storage[3]), "SLUICE_ADDRESS=%s",
		sl_ip_format(&backend->address, address));
	snprintf(storage[4], sizeof(storage[4]), "SLUICE_PORT=%u", backend->port);
	for (unsigned int i = 0; i < NB_ENV; i++)
		env[i] = storage[i];
	run->phase = "for the command to end";
	rc = sl_child_run(
		backend->checks->base, &command, on_end, run, &run->child, error, sizeof(error));
	/* No process or descriptor is ours to lack; a command that is not there is the check's. */
	if (rc == -EAGAIN || rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE)
		run_void(run);
	else if (rc != 0)
		run_finish(run, false, SL_HEALTH_ERROR, -rc, "%s", error);
}

static void
exec_stop(struct run *run)
{
	if (run->child != NULL)
		sl_child_kill(run->child);
	run->child = NULL;
}

const struct kind kind_exec = {.name = "exec",
	.start = exec_start,
	.stop = exec_stop,
	.needs_command = true};
