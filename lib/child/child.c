/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child_spawn.h"

/* A pipe holds no more, so that this is all that a command had said when it ended. */
#define PIPE_READS 16

/* A process that was killed is gone at once, unless it hangs in the kernel. */
#define REAP_MS 200

struct sl_child {
	pid_t pid; /* And its process group. */
	int pidfd;
	int output_fd;
	struct event *ended;
	struct event *said;
	struct event *timer;
	bool is_timed_out;
	uint64_t started_ms;
	sl_child_done_fn done;
	void *arg;
	size_t output_max, output_len;
	bool output_is_cut;
	char output[]; /* output_max, and a NUL */
};

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
free_child(struct sl_child *child)
{
	if (child->ended != NULL)
		event_free(child->ended);
	if (child->said != NULL)
		event_free(child->said);
	if (child->timer != NULL)
		event_free(child->timer);
	if (child->output_fd >= 0)
		close(child->output_fd);
	if (child->pidfd >= 0)
		close(child->pidfd);
	free(child);
}

/* Before it is waited for: until then nobody else can have its number. */
static void
kill_group(const struct sl_child *child, int signal)
{
	kill(-child->pid, signal);
}

/* @return false when there is nothing to read, not yet or not any more */
static bool
read_output(struct sl_child *child)
{
	char thrown_away[4096];
	size_t room = child->output_max - child->output_len;
	ssize_t n;

	do {
		if (room > 0)
			n = read(child->output_fd, child->output + child->output_len, room);
		else
			n = read(child->output_fd, thrown_away, sizeof(thrown_away));
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		event_del(child->said);
		return false;
	}
	if (room > 0)
		child->output_len += (size_t)n;
	else
		child->output_is_cut = true;
	return true;
}

/* One read a turn: a command that talks without end does not keep the loop from the rest. */
static void
on_said(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	read_output(arg);
}

static void
set_result(struct sl_child_result *result, const struct sl_child *child, const siginfo_t *info)
{
	*result = (struct sl_child_result){
		.end = info->si_code == CLD_EXITED ? SL_CHILD_EXITED : SL_CHILD_SIGNALLED,
		.status = info->si_status,
		.elapsed_ms = (uint32_t)(now_ms() - child->started_ms),
		.output = child->output,
		.output_len = child->output_len,
		.output_is_cut = child->output_is_cut,
	};
	if (child->is_timed_out)
		result->end = SL_CHILD_TIMED_OUT;
}

static void
on_ended(evutil_socket_t fd, short what, void *arg)
{
	struct sl_child *child = arg;
	struct sl_child_result result;
	siginfo_t info = {.si_pid = 0};

	(void)fd;
	(void)what;
	if (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		info.si_pid == 0)
		return;
	kill_group(child, SIGKILL);
	waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG);
	/* What it had said when it ended; its descendants are not waited for. */
	for (unsigned int n = 0; child->output_fd >= 0 && n < PIPE_READS; n++) {
		if (!read_output(child))
			break;
	}
	child->output[child->output_len] = '\0';
	set_result(&result, child, &info);
	event_free(child->ended);
	child->ended = NULL;
	child->done(child->arg, &result);
	free_child(child);
}

static void
set_timer(struct sl_child *child, uint32_t ms)
{
	const struct timeval after = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	event_add(child->timer, &after);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sl_child *child = arg;

	(void)fd;
	(void)what;
	if (child->is_timed_out) {
		kill_group(child, SIGKILL);
		return;
	}
	child->is_timed_out = true;
	kill_group(child, SIGTERM);
	set_timer(child, SL_CHILD_GRACE_MS);
}

static int
add_events(struct sl_child *child, struct event_base *base, uint32_t timeout_ms)
{
	child->timer = evtimer_new(base, on_timer, child);
	child->ended = event_new(base, child->pidfd, EV_READ | EV_PERSIST, on_ended, child);
	if (child->output_fd >= 0) {
		child->said = event_new(
			base, child->output_fd, EV_READ | EV_PERSIST, on_said, child);
		if (child->said == NULL || event_add(child->said, NULL) != 0)
			return -ENOMEM;
	}
	if (child->timer == NULL || child->ended == NULL || event_add(child->ended, NULL) != 0)
		return -ENOMEM;
	set_timer(child, timeout_ms);
	return 0;
}

int
sl_child_run(struct event_base *base, const struct sl_child_command *command, sl_child_done_fn done,
	void *arg, struct sl_child **out, char *error, size_t error_len)
{
	struct sl_child *child = calloc(1, sizeof(*child) + command->output_max + 1);
	int rc;

	if (child == NULL) {
		snprintf(error, error_len, "no memory to run a command");
		return -ENOMEM;
	}
	child->pidfd = -1;
	child->output_fd = -1;
	child->done = done;
	child->arg = arg;
	child->output_max = command->output_max;
	child->started_ms = now_ms();
	rc = child_spawn(command, &child->pid, &child->output_fd, error, error_len);
	if (rc != 0) {
		free_child(child);
		return rc;
	}
	child->pidfd = pidfd_open(child->pid, 0);
	rc = child->pidfd < 0 ? -errno : add_events(child, base, command->timeout_ms);
	if (rc != 0) {
		snprintf(error, error_len, "%s cannot be waited for: %s", command->argv[0],
			strerror(-rc));
		sl_child_kill(child);
		return rc;
	}
	*out = child;
	return 0;
}

void
sl_child_kill(struct sl_child *child)
{
	struct pollfd poll_fd = {.fd = child->pidfd, .events = POLLIN};

	kill_group(child, SIGKILL);
	/* Without a pidfd there is nothing but to wait. */
	if (child->pidfd < 0)
		waitpid(child->pid, NULL, 0);
	else if (poll(&poll_fd, 1, REAP_MS) > 0)
		waitid(P_PIDFD, (id_t)child->pidfd, &(siginfo_t){0}, WEXITED | WNOHANG);
	free_child(child);
}

void
sl_child_describe(const struct sl_child_result *result, char *text, size_t text_len)
{
	const char *name;

	switch (result->end) {
	case SL_CHILD_EXITED:
		snprintf(text, text_len, "exit code %d", result->status);
		return;
	case SL_CHILD_SIGNALLED:
		name = sigabbrev_np(result->status);
		snprintf(text, text_len, "killed by SIG%s", name != NULL ? name : "?");
		return;
	default:
		snprintf(text, text_len, "timed out: killed after %u ms", result->elapsed_ms);
		return;
	}
}
