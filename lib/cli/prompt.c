/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * The appliance's own prompt. It talks to the control thread as any other client does, over the
 * socket: so what it can do others can, and it can disturb the path no more than they.
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sl_cli.h"

struct sl_cli_prompt {
	pthread_t thread;
	struct sl_cli *cli;
	int stop_fd;
};

/* Standard input, which ends when the appliance does. */
static ssize_t
read_stdin(void *arg, char *data, size_t size)
{
	const struct sl_cli_prompt *prompt = arg;
	struct pollfd fds[2] = {
		{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = prompt->stop_fd, .events = POLLIN}};

	while (poll(fds, 2, -1) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return fds[1].revents != 0 ? 0 : read(STDIN_FILENO, data, size);
}

static void
run_lines(struct sl_cli_prompt *prompt)
{
	FILE *in = fopencookie(prompt, "r", (cookie_io_functions_t){.read = read_stdin});

	if (in == NULL)
		return;
	sl_cli_run_file(prompt->cli, in, "stdin", false);
	fclose(in);
}

static void *
run_prompt(void *arg)
{
	struct sl_cli_prompt *prompt = arg;
	sigset_t all;

	/* Signals are the control thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	if (isatty(STDIN_FILENO))
		sl_cli_run_interactive(prompt->cli, STDIN_FILENO, prompt->stop_fd);
	else
		run_lines(prompt);
	return NULL;
}

int
sl_cli_prompt_start(const char *socket, struct sl_cli_prompt **out)
{
	const struct sl_cli_params params = {
		.socket = socket, .out = stdout, .err = stderr, .is_prompt = true};
	struct sl_cli_prompt *prompt = calloc(1, sizeof(*prompt));
	int rc;

	if (prompt == NULL)
		return -ENOMEM;
	prompt->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = prompt->stop_fd < 0 ? -errno : sl_cli_create(&params, &prompt->cli);
	if (rc == 0)
		rc = -pthread_create(&prompt->thread, NULL, run_prompt, prompt);
	if (rc != 0) {
		sl_cli_destroy(prompt->cli);
		if (prompt->stop_fd >= 0)
			close(prompt->stop_fd);
		free(prompt);
		return rc;
	}
	pthread_setname_np(prompt->thread, "sl-prompt");
	*out = prompt;
	return 0;
}

void
sl_cli_prompt_stop(struct sl_cli_prompt *prompt)
{
	if (prompt == NULL)
		return;
	eventfd_write(prompt->stop_fd, 1);
	pthread_join(prompt->thread, NULL);
	sl_cli_destroy(prompt->cli);
	close(prompt->stop_fd);
	free(prompt);
}
