/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "log_internal.h"

#define FOLLOW_NS 1000000000

/*
 * journald is spoken to directly and not by sd_journal_send(), which waits when journald does not
 * read. The protocol is stable: systemd.io/JOURNAL_NATIVE_PROTOCOL.
 */
const char *log_journal_socket = "/run/systemd/journal/socket";

/* A FIFO without a reader must not hold us up, whether we open or write it. */
static int
open_file(const char *path)
{
	int fd = open(
		path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

	return fd < 0 ? -errno : fd;
}

static socklen_t
journal_address(struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof(address->sun_path), "%s", log_journal_socket);
	return sizeof(*address);
}

static int
open_journal(void)
{
	struct sockaddr_un address;
	socklen_t len = journal_address(&address);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), probe, rc;

	if (fd < 0)
		return -errno;
	/* Only asked for, not connected: journald may be started anew on another socket. */
	probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	rc = probe < 0 || connect(probe, (struct sockaddr *)&address, len) != 0 ? -errno : 0;
	if (probe >= 0)
		close(probe);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static int
open_file_target(
	struct log_target *target, const struct sl_config_log *log, char *error, size_t error_len)
{
	if (log->file == NULL) {
		snprintf(error, error_len,
			"log: target file needs a path; add log: file: /var/log/sluice.log");
		return -EINVAL;
	}
	target->path = strdup(log->file);
	if (target->path == NULL) {
		snprintf(error, error_len, "log: no memory");
		return -ENOMEM;
	}
	target->fd = open_file(target->path);
	if (target->fd >= 0)
		return 0;
	snprintf(error, error_len,
		"log: file: %s cannot be opened for writing: %s; make its directory, and let the "
		"user of sluice write there",
		target->path, strerror(-target->fd));
	free(target->path);
	return target->fd;
}

int
log_target_open(struct log_target *target, const struct sl_config_log *log, uint64_t now_ns,
	char *error, size_t error_len)
{
	*target = (struct log_target){.kind = log->target, .fd = -1, .checked = now_ns};
	if (log->target == SL_LOG_FILE)
		return open_file_target(target, log, error, error_len);
	if (log->target == SL_LOG_JOURNALD) {
		target->fd = open_journal();
		if (target->fd < 0) {
			snprintf(error, error_len,
				"log: target: journald is not there: %s: %s; use target stderr or "
				"file",
				log_journal_socket, strerror(-target->fd));
			return target->fd;
		}
	}
	return 0;
}

void
log_target_close(struct log_target *target)
{
	if (target->fd >= 0)
		close(target->fd);
	free(target->path);
	*target = (struct log_target){.kind = SL_LOG_STDERR, .fd = -1};
}

static bool
is_same_file(int fd, const char *path)
{
	struct stat ours, theirs;

	return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
		ours.st_ino == theirs.st_ino;
}

void
log_target_follow(struct log_target *target, uint64_t now_ns)
{
	char line[512];
	int fd, len;

	if (target->kind != SL_LOG_FILE || now_ns - target->checked < FOLLOW_NS)
		return;
	target->checked = now_ns;
	if (is_same_file(target->fd, target->path))
		return;
	fd = open_file(target->path);
	if (fd >= 0) {
		close(target->fd);
		target->fd = fd;
		target->is_torn = false;
		target->said_unopened = false;
		return;
	}
	/* Lines go on into the old file, which may have no name any more. */
	if (target->said_unopened)
		return;
	target->said_unopened = true;
	len = snprintf(line, sizeof(line),
		"sluice error main: log file %s was moved and cannot be opened anew: %s\n",
		target->path, strerror(-fd));
	log_target_write(&(struct log_target){.kind = SL_LOG_STDERR, .fd = -1}, line,
		(size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1);
}

/* Only asks first: enough where no other writer fills the pipe in between. */
static ssize_t
write_polled(const struct iovec *iov, int nb)
{
	struct pollfd poll_fd = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&poll_fd, 1, 0) <= 0 || (poll_fd.revents & (POLLERR | POLLNVAL | POLLHUP)) != 0) {
		errno = EAGAIN;
		return -1;
	}
	return writev(STDERR_FILENO, iov, nb);
}

/*
 * The descriptor is shared with whoever started us, so that it cannot be made non-blocking; a pipe
 * or a terminal is opened once more instead.
 */
static ssize_t
write_stderr(const struct iovec *iov, int nb)
{
	struct msghdr message = {
		.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)nb};
	struct stat st;
	ssize_t written;
	int fd, error;

	if (fstat(STDERR_FILENO, &st) != 0)
		return -1;
	if (S_ISSOCK(st.st_mode))
		return sendmsg(STDERR_FILENO, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (S_ISREG(st.st_mode))
		return writev(STDERR_FILENO, iov, nb);
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENXIO ? -1 : write_polled(iov, nb);
	written = writev(fd, iov, nb);
	error = errno;
	close(fd);
	errno = error;
	return written;
}

static ssize_t
write_once(const struct log_target *target, const struct iovec *iov, int nb)
{
	struct sockaddr_un address;
	struct msghdr message = {
		.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)nb};

	switch (target->kind) {
	case SL_LOG_FILE:
		return writev(target->fd, iov, nb);
	case SL_LOG_JOURNALD:
		message.msg_namelen = journal_address(&address);
		message.msg_name = &address;
		return sendmsg(target->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	default:
		return write_stderr(iov, nb);
	}
}

int
log_target_write(struct log_target *target, const char *line, size_t len)
{
	const struct iovec iov[2] = {
		{.iov_base = (char[]){'\n'}, .iov_len = 1},
		{.iov_base = (char *)(uintptr_t)line, .iov_len = len},
	};
	/* What is left of a line that a full disk cut ends where the next one begins. */
	int first = target->is_torn ? 0 : 1;
	size_t all = len + (size_t)(1 - first);
	ssize_t written;

	do {
		written = write_once(target, &iov[first], 2 - first);
	} while (written < 0 && errno == EINTR);
	if (written < 0)
		return -errno;
	if (written == 0)
		return -ENOSPC;
	target->is_torn = (size_t)written < all;
	return target->is_torn ? -ENOSPC : 0;
}
