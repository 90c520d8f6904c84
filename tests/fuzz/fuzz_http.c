/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "http_internal.h"

/*
 * Whatever bytes a client sends: through libmicrohttpd and the router to answers, without a
 * network. What the appliance is asked for is held against what a path may hold.
 */

#define TURNS_MAX 64

static struct sl_http http;
static bool is_closed;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
require(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "broken promise: %s\n", what);
	abort();
}

static json_t *
views(void *arg)
{
	return json_array();
}

static int
show(void *arg, const char *name, const char *const *arguments, uint32_t nb_arguments,
	json_t **json, char *error, size_t error_len)
{
	size_t len = strlen(name);

	require(len > 0, "a view has a name");
	require(nb_arguments <= SEGMENTS_MAX, "arguments are bounded");
	for (uint32_t i = 0; i < nb_arguments; i++)
		len += strlen(arguments[i]);
	require(len < PATH_MAX_LEN + CONNECTION_MEMORY, "paths are bounded");
	snprintf(error, error_len, "no view %s", name);
	if (nb_arguments > 1)
		return -EINVAL;
	if (strcmp(name, "stats") != 0)
		return -ENOENT;
	*json = json_pack("{s:i}", "received", 1);
	return 0;
}

static int
metrics(void *arg, bool is_openmetrics, char **text, size_t *text_len)
{
	*text = strdup(is_openmetrics ? "# EOF\n" : "a 1\n");
	*text_len = strlen(*text);
	return 0;
}

static bool
is_ready(void *arg, char *reason, size_t reason_len)
{
	snprintf(reason, reason_len, "never");
	return false;
}

static void
on_connection(void *arg, struct MHD_Connection *connection, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	is_closed = code == MHD_CONNECTION_NOTIFY_CLOSED;
}

static void
start(void)
{
	static const struct sl_http_ops ops = {views, show, metrics, is_ready};

	http.params.ops = &ops;
	require(http_page_init(&http) == 0, "the page is there");
	http.daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
		http_request, &http, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, http_keep_encoded,
		NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL, MHD_OPTION_END);
	require(http.daemon != NULL, "libmicrohttpd starts");
}

/* The beginning of what came back: HTTP, or nothing. */
static void
read_answers(int fd)
{
	char text[65536];
	ssize_t n;
	bool is_first = true;

	while ((n = recv(fd, text, sizeof(text), MSG_DONTWAIT)) > 0) {
		if (is_first && n >= 5)
			require(memcmp(text, "HTTP/", 5) == 0, "answers are HTTP");
		is_first = false;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fds[2];

	if (http.daemon == NULL)
		start();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
		return 0;
	is_closed = false;
	/* The socket is libmicrohttpd's from here on. */
	if (MHD_add_connection(http.daemon, fds[1], (struct sockaddr *)&address, sizeof(address)) !=
		MHD_YES) {
		close(fds[0]);
		return 0;
	}
	(void)!send(fds[0], data, len, MSG_NOSIGNAL);
	shutdown(fds[0], SHUT_WR);
	for (int i = 0; i < TURNS_MAX && !is_closed; i++)
		MHD_run(http.daemon);
	read_answers(fds[0]);
	close(fds[0]);
	for (int i = 0; i < TURNS_MAX && !is_closed; i++)
		MHD_run(http.daemon);
	require(is_closed, "a client that has hung up is forgotten");
	http_kept_sweep(&http, UINT64_MAX);
	require(http.bytes == 0, "no answer outlives its client");
	return 0;
}
