/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

#define HEADER 4

/* More than any appliance answers: what else claims to be longer is no answer. */
#define RESPONSE_MAX (1u << 30)

uint64_t
sl_cli_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
sl_cli_client_close(struct sl_cli_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

static const char *
connect_hint(int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return "no appliance listens there: start one (sluice EAL-ARGS -- --config FILE), "
		       "or point at its socket with --socket PATH or $SLUICE_SOCKET";
	case EACCES:
	case EPERM:
		return "not allowed: be root, or in the group that control.group of the "
		       "configuration names";
	case ENAMETOOLONG:
		return "longer than a socket's name may be";
	default:
		return strerror(error);
	}
}

static int
connect_socket(struct sl_cli_client *client, char *error, size_t error_len)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int rc = 0;

	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		rc = errno;
	else if (strlen(client->path) >= sizeof(address.sun_path))
		rc = ENAMETOOLONG;
	else if (strcpy(address.sun_path, client->path),
		connect(client->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		rc = errno;
	if (rc == 0)
		return 0;
	snprintf(error, error_len, "%s: %s", client->path, connect_hint(rc));
	sl_cli_client_close(client);
	return -ENOTCONN;
}

/* The appliance may have been restarted since the last answer; between answers it says nothing. */
static bool
is_stale(const struct sl_cli_client *client)
{
	struct pollfd fd = {.fd = client->fd, .events = POLLIN};

	return poll(&fd, 1, 0) != 0;
}

/* Wait for @events on the connection. */
static int
wait_for(const struct sl_cli_client *client, int fd, short events, uint64_t until_ms)
{
	for (;;) {
		struct pollfd fds[3] = {{.fd = fd, .events = events},
			{.fd = client->interrupt_fd, .events = POLLIN},
			{.fd = client->stop_fd, .events = POLLIN}};
		uint64_t now = sl_cli_now_ms();
		int n;

		if (now >= until_ms)
			return -ETIMEDOUT;
		n = poll(fds, 3, until_ms - now > INT32_MAX ? INT32_MAX : (int)(until_ms - now));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n <= 0)
			continue;
		if (fds[0].revents != 0)
			return 0;
		if (fds[2].revents != 0)
			return -EINTR;
		if (fds[1].revents != 0 && client->interrupt(client->interrupt_arg))
			return -EINTR;
	}
}

bool
sl_cli_client_sleep(const struct sl_cli_client *client, uint64_t until_ms)
{
	return wait_for(client, -1, 0, until_ms) == -ETIMEDOUT;
}

static int
send_all(struct sl_cli_client *client, const uint8_t *data, size_t len, uint64_t until_ms)
{
	while (len > 0) {
		ssize_t n = send(client->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		int rc;

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -ECONNRESET;
		rc = wait_for(client, client->fd, POLLOUT, until_ms);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
receive_all(struct sl_cli_client *client, uint8_t *data, size_t len, uint64_t until_ms)
{
	while (len > 0) {
		int rc = wait_for(client, client->fd, POLLIN, until_ms);
		ssize_t n;

		if (rc != 0)
			return rc;
		n = recv(client->fd, data, len, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return -ECONNRESET;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int
send_request(struct sl_cli_client *client, Sluice__Control__V1__Request *request, uint64_t until_ms)
{
	size_t len = sluice__control__v1__request__get_packed_size(request);
	uint8_t *frame = malloc(HEADER + len);
	int rc;

	if (frame == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < HEADER; i++)
		frame[i] = (uint8_t)(len >> (8 * (HEADER - 1 - i)));
	sluice__control__v1__request__pack(request, frame + HEADER);
	rc = send_all(client, frame, HEADER + len, until_ms);
	free(frame);
	return rc;
}

static int
receive_response(
	struct sl_cli_client *client, Sluice__Control__V1__Response **response, uint64_t until_ms)
{
	uint8_t header[HEADER], *data;
	size_t len = 0;
	int rc = receive_all(client, header, HEADER, until_ms);

	if (rc != 0)
		return rc;
	for (unsigned int i = 0; i < HEADER; i++)
		len = len << 8 | header[i];
	if (len > RESPONSE_MAX)
		return -EPROTO;
	data = malloc(len + 1);
	if (data == NULL)
		return -ENOMEM;
	rc = receive_all(client, data, len, until_ms);
	if (rc == 0) {
		*response = sluice__control__v1__response__unpack(NULL, len, data);
		if (*response == NULL)
			rc = -EPROTO;
	}
	free(data);
	return rc;
}

static const char *
failure_text(int rc)
{
	switch (rc) {
	case -ECONNRESET:
		return "the appliance went away before it answered; its log says why";
	case -ETIMEDOUT:
		return "no answer in time; try again, or wait longer with --timeout SECONDS";
	case -EINTR:
		return "given up";
	case -EPROTO:
		return "what answers does not speak Sluice's control protocol";
	default:
		return strerror(-rc);
	}
}

int
sl_cli_client_request(struct sl_cli_client *client, Sluice__Control__V1__Request *request,
	uint32_t timeout_ms, Sluice__Control__V1__Response **response, char *error,
	size_t error_len)
{
	uint64_t until_ms = sl_cli_now_ms() + timeout_ms;
	int rc = 0;

	if (client->fd >= 0 && is_stale(client))
		sl_cli_client_close(client);
	if (client->fd < 0)
		rc = connect_socket(client, error, error_len);
	if (rc != 0)
		return rc;
	request->version = SLUICE__CONTROL__V1__VERSION__VERSION_1;
	request->id = ++client->last_id;
	rc = send_request(client, request, until_ms);
	if (rc == 0)
		rc = receive_response(client, response, until_ms);
	if (rc == 0 && (*response)->id != request->id && (*response)->status == 0) {
		sluice__control__v1__response__free_unpacked(*response, NULL);
		rc = -EPROTO;
	}
	if (rc != 0) {
		/* An answer that is late must not be taken for that of the next request. */
		sl_cli_client_close(client);
		snprintf(error, error_len, "%s: %s", client->path, failure_text(rc));
	}
	return rc;
}
