/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TEST_HTTP_SERVER_H
#define TEST_HTTP_SERVER_H

/**
 * @file
 * An HTTP server on a loopback port that answers requests with a list of statuses, one a
 * connection, and remembers what was posted.
 */

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER_REQUESTS_MAX 64

struct test_server {
	pthread_t thread;
	pthread_mutex_t lock;
	int listener;
	char url[64];
	const char *const *answers; /* Status lines; the last one is repeated. NULL: none, ever. */
	unsigned int nb;
	char *heads[SERVER_REQUESTS_MAX];
	char *bodies[SERVER_REQUESTS_MAX];
	int held[SERVER_REQUESTS_MAX]; /* Connections that get no answer. */
};

/* A whole request with its body; NULL when the connection ends before. */
static inline char *
server_read(int fd, char **body)
{
	size_t len = 0, want = SIZE_MAX, size = 65536;
	char *text = calloc(1, size), *field;
	ssize_t n;

	while (len < want && (n = read(fd, text + len, size - 1 - len)) > 0) {
		len += (size_t)n;
		*body = strstr(text, "\r\n\r\n");
		if (*body == NULL)
			continue;
		*body += 4;
		field = strcasestr(text, "content-length:");
		want = (size_t)(*body - text) + (field == NULL ? 0 : strtoul(field + 15, NULL, 10));
	}
	if (len >= want)
		return text;
	free(text);
	return NULL;
}

static inline void
server_answer(struct test_server *server, int fd)
{
	char *body = NULL, *text = server_read(fd, &body), answer[256];
	unsigned int at;

	if (text == NULL || server->nb == SERVER_REQUESTS_MAX) {
		free(text);
		close(fd);
		return;
	}
	pthread_mutex_lock(&server->lock);
	at = server->nb++;
	server->heads[at] = text;
	server->bodies[at] = body;
	server->held[at] = server->answers == NULL ? fd : -1;
	pthread_mutex_unlock(&server->lock);
	if (server->answers == NULL)
		return;
	snprintf(answer, sizeof(answer),
		"HTTP/1.1 %s\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
		server->answers[0]);
	if (server->answers[1] != NULL)
		server->answers++;
	if (write(fd, answer, strlen(answer)) < 0)
		perror("write");
	close(fd);
}

static inline void *
server_run(void *arg)
{
	struct test_server *server = arg;
	int fd;

	while ((fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		server_answer(server, fd);
	return NULL;
}

static inline void
server_start(struct test_server *server, const char *const *answers)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	*server = (struct test_server){.answers = answers};
	pthread_mutex_init(&server->lock, NULL);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server->listener, (struct sockaddr *)&address, len) != 0 ||
		listen(server->listener, 16) != 0 ||
		getsockname(server->listener, (struct sockaddr *)&address, &len) != 0 ||
		pthread_create(&server->thread, NULL, server_run, server) != 0)
		abort();
	snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u/hook",
		ntohs(address.sin_port));
}

static inline unsigned int
server_count(struct test_server *server)
{
	unsigned int nb;

	pthread_mutex_lock(&server->lock);
	nb = server->nb;
	pthread_mutex_unlock(&server->lock);
	return nb;
}

static inline void
server_stop(struct test_server *server)
{
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->listener);
	for (unsigned int i = 0; i < server->nb; i++) {
		if (server->held[i] >= 0)
			close(server->held[i]);
	}
	pthread_mutex_destroy(&server->lock);
}

/* Forget what was posted. */
static inline void
server_free(struct test_server *server)
{
	for (unsigned int i = 0; i < server->nb; i++)
		free(server->heads[i]);
}

#endif /* TEST_HTTP_SERVER_H */
