/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingress_path.h"

/* Clients. */

static int
dial_port(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

int
dial(void)
{
	return dial_port(test_port);
}

void
tell(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

const char *
hear_line(int fd)
{
	static char line[16384];
	uint64_t end = now_ms() + PATIENCE_MS;
	size_t len = 0;

	while (now_ms() < end) {
		ssize_t n = recv(fd, line + len, sizeof(line) - 1 - len, MSG_PEEK | MSG_DONTWAIT);
		char *newline = n > 0 ? memchr(line + len, '\n', (size_t)n) : NULL;

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return "(end)";
		if (n < 0) {
			pump();
			continue;
		}
		if (newline != NULL)
			n = newline + 1 - (line + len);
		assert_int_equal(recv(fd, line + len, (size_t)n, 0), n);
		len += (size_t)n;
		if (newline != NULL) {
			*newline = '\0';
			return line;
		}
		assert_true(len < sizeof(line) - 1);
	}
	fail_msg("nothing came");
	return NULL;
}

void
hear_nothing(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	settle_for(30);
	assert_int_equal(poll(&p, 1, 0), 0);
}
