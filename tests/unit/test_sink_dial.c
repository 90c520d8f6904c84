/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "pg_link.h"

/* Connections are taken by the kernel, and nobody answers. @return the port */
static uint16_t
listen_silently(int *fd)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(*fd, 16), 0);
	assert_int_equal(getsockname(*fd, (struct sockaddr *)&address, &len), 0);
	return ntohs(address.sin_port);
}

#define PF_EXITING 0x4u /* The kernel's: nothing of the program runs in it any more. */

/* Does "/proc/PID/task/TID/stat" tell of a thread of that name that may still do something? */
static bool
is_running(const char *path, const char *name)
{
	unsigned int flags;
	char comm[32];
	FILE *file = fopen(path, "r");
	int n;

	if (file == NULL)
		return false;
	n = fscanf(file, "%*d (%31[^)]) %*c %*d %*d %*d %*d %*d %u", comm, &flags);
	fclose(file);
	return n == 2 && strcmp(comm, name) == 0 && (flags & PF_EXITING) == 0;
}

static unsigned int
count_threads(const char *name)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned int n = 0;
	char path[300];

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/stat", entry->d_name);
		n += is_running(path, name);
	}
	closedir(dir);
	return n;
}

static void
a_dial_that_is_given_up_leaves_no_thread_behind(void **state)
{
	struct pg_link link = {.abort_fd = eventfd(1, EFD_CLOEXEC)};
	struct sink_error error;
	char conninfo[128];
	int fd;

	(void)state;
	snprintf(conninfo, sizeof(conninfo),
		"host=127.0.0.1 port=%u user=u dbname=d sslmode=require", listen_silently(&fd));
	for (int i = 0; i < 20; i++) {
		assert_int_equal(pg_dial(&link, conninfo, "test", &error), -EINTR);
		assert_null(link.conn);
		assert_int_equal(count_threads("sl-sink-dial"), 0);
	}
	close(link.abort_fd);
	close(fd);
}

static void
a_dial_that_fails_says_why_and_leaves_no_thread_behind(void **state)
{
	struct pg_link link = {.abort_fd = -1};
	struct sink_error error;
	char conninfo[128];
	uint16_t port;
	int fd;

	(void)state;
	port = listen_silently(&fd);
	close(fd); /* Nobody is at that port any more. */
	snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u user=u dbname=d", port);
	assert_int_equal(pg_dial(&link, conninfo, "test", &error), -ECONNREFUSED);
	assert_string_equal(error.sqlstate, "08001");
	assert_non_null(strstr(error.text, "onnection refused"));
	assert_int_equal(count_threads("sl-sink-dial"), 0);
	pg_close(&link);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dial_that_is_given_up_leaves_no_thread_behind),
		cmocka_unit_test(a_dial_that_fails_says_why_and_leaves_no_thread_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
