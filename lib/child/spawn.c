/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child_spawn.h"

/*
 * What it reads is a file in memory, not a pipe: all of it is there before the command runs, and
 * one that does not read needs no looking after.
 */
static int
open_input(const struct sl_child_command *command)
{
	const char *bytes = command->input;
	size_t written = 0;
	int fd, rc;

	if (command->input_len == 0) {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	fd = memfd_create("sluice-stdin", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (written < command->input_len) {
		ssize_t n = write(fd, bytes + written, command->input_len - written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			goto fail;
		written += (size_t)n;
	}
	if (lseek(fd, 0, SEEK_SET) == 0)
		return fd;
fail:
	rc = -errno;
	close(fd);
	return rc;
}

/* fds[0] is ours, fds[1] the child's. */
static int
open_output(const struct sl_child_command *command, int fds[2])
{
	if (command->output_max == 0) {
		fds[0] = -1;
		fds[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
		return fds[1] < 0 ? -errno : 0;
	}
	if (pipe2(fds, O_CLOEXEC) != 0)
		return -errno;
	/* Only our end: a command does not expect its own not to wait. */
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	return 0;
}

static bool
is_replaced(const char *entry, const char *const *additions)
{
	size_t len = strcspn(entry, "=");

	for (; *additions != NULL; additions++) {
		if (strncmp(entry, *additions, len) == 0 && (*additions)[len] == '=')
			return true;
	}
	return false;
}

/* Ours and the additions; the array is the caller's, the strings are not. */
static char **
make_environment(const char *const *additions)
{
	size_t nb = 1, at = 0;
	char **env;

	for (size_t i = 0; environ[i] != NULL; i++)
		nb++;
	for (size_t i = 0; additions[i] != NULL; i++)
		nb++;
	env = calloc(nb, sizeof(*env));
	if (env == NULL)
		return NULL;
	for (size_t i = 0; environ[i] != NULL; i++) {
		if (!is_replaced(environ[i], additions))
			env[at++] = environ[i];
	}
	for (size_t i = 0; additions[i] != NULL; i++)
		env[at++] = (char *)(uintptr_t)additions[i];
	return env;
}

static int
set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	rc = posix_spawnattr_setsigmask(attributes, &none);
	if (rc == 0)
		rc = posix_spawnattr_setsigdefault(attributes, &all);
	if (rc == 0)
		rc = posix_spawnattr_setpgroup(attributes, 0);
	if (rc == 0)
		rc = posix_spawnattr_setflags(attributes,
			POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return -rc;
}

static int
set_actions(posix_spawn_file_actions_t *actions, int input, int output)
{
	int rc = posix_spawn_file_actions_adddup2(actions, input, STDIN_FILENO);

	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(actions, output, STDERR_FILENO);
	/* Others may have opened descriptors without close-on-exec: drivers and libraries do. */
	if (rc == 0)
		rc = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
	return -rc;
}

static int
spawn(const struct sl_child_command *command, int input, int output, pid_t *pid)
{
	static const char *const none[] = {NULL};
	char *const *argv = (char *const *)(uintptr_t)command->argv;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	char **env;
	int rc;

	env = make_environment(command->env != NULL ? command->env : none);
	if (env == NULL)
		return -ENOMEM;
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	rc = set_attributes(&attributes);
	if (rc == 0)
		rc = set_actions(&actions, input, output);
	if (rc == 0)
		rc = -posix_spawn(pid, argv[0], &actions, &attributes, argv, env);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	free(env);
	return rc;
}

static const char *
hint_for(int error)
{
	switch (error) {
	case ENOENT:
		return "; it, or the interpreter its first line names, is not there";
	case EACCES:
		return "; make it executable (chmod +x)";
	case ENOEXEC:
		return "; a script begins with #! and its interpreter";
	case EMFILE:
	case ENFILE:
		return "; raise the limit of open files (ulimit -n)";
	default:
		return "";
	}
}

static int
check(const struct sl_child_command *command, char *error, size_t error_len)
{
	struct sigaction action;

	if (command->argv == NULL || command->argv[0] == NULL || command->argv[0][0] != '/') {
		snprintf(error, error_len, "%s cannot be run: give its absolute path",
			command->argv == NULL || command->argv[0] == NULL ? "a command"
									  : command->argv[0]);
		return -EINVAL;
	}
	/* The kernel would throw its exit code away. */
	if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
		snprintf(
			error, error_len, "%s cannot be run: SIGCHLD is ignored", command->argv[0]);
		return -EINVAL;
	}
	return 0;
}

int
child_spawn(const struct sl_child_command *command, pid_t *pid, int *output, char *error,
	size_t error_len)
{
	int fds[2] = {-1, -1}, input = -1;
	int rc = check(command, error, error_len);

	if (rc != 0)
		return rc;
	input = open_input(command);
	rc = input < 0 ? input : open_output(command, fds);
	if (rc == 0)
		rc = spawn(command, input, fds[1], pid);
	if (input >= 0)
		close(input);
	if (fds[1] >= 0)
		close(fds[1]);
	if (rc == 0) {
		*output = fds[0];
		return 0;
	}
	if (fds[0] >= 0)
		close(fds[0]);
	snprintf(error, error_len, "%s cannot be run: %s%s", command->argv[0], strerror(-rc),
		hint_for(-rc));
	return rc;
}
