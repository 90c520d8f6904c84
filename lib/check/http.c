/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "check.h"

/*
 * One GET, and as much of the answer as it takes to judge it. libevent's own client would do, but
 * does not tell a refused connection from a reset one, and collects bodies whole.
 */

#define HEADER_MAX 16384
#define BODY_MAX   65536
#define READ_MAX   16384

enum chunk_part { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_END };

struct http_state {
	bool is_header_done;
	int status;
	bool is_chunked;
	bool has_length;
	uint64_t left; /* Of the body by its Content-Length, or of the chunk. */
	enum chunk_part chunk_part;
	uint32_t chunk_digits;
	bool is_body_done;
	size_t header_len;
	char header[HEADER_MAX + 1];
	size_t body_len;
	size_t searched; /* The text does not begin before this place. */
	char *body;	 /* Behind this struct, if one is looked for. */
};

/* The value of a header field, or NULL. */
static const char *
find_field(const char *header, const char *name)
{
	size_t len = strlen(name);
	const char *line = strchr(header, '\n');

	for (; line != NULL; line = strchr(line, '\n')) {
		line++;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " \t");
	}
	return NULL;
}

static void
finish(struct run *run, bool is_found)
{
	const struct sl_config_check *config = run_config(run);
	const struct http_state *state = run->state;

	if (is_found)
		run_finish(run, true, SL_HEALTH_PASSED, state->status, "status %d", state->status);
	else
		run_finish(run, false, SL_HEALTH_BODY, state->status,
			"status %d, but the body (%zu bytes looked at) does not contain \"%.60s\"",
			state->status, state->body_len, config->body);
}

static void
malformed(struct run *run, const char *what)
{
	run_finish(run, false, SL_HEALTH_MALFORMED, 0, "no HTTP answer: %s", what);
}

/* Look for the text in what is new. @return false when the run has ended */
static bool
search_body(struct run *run)
{
	struct http_state *state = run->state;
	const char *text = run_config(run)->body;
	size_t len = strlen(text);

	if (memmem(state->body + state->searched, state->body_len - state->searched, text, len) !=
		NULL) {
		finish(run, true);
		return false;
	}
	if (state->body_len >= len)
		state->searched = state->body_len - len + 1;
	if (!state->is_body_done && state->body_len < BODY_MAX)
		return true;
	finish(run, false);
	return false;
}

static void
keep_body(struct http_state *state, const char *data, size_t len)
{
	size_t room = BODY_MAX - state->body_len;

	if (len > room)
		len = room;
	memcpy(state->body + state->body_len, data, len);
	state->body_len += len;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* @return false when it is no chunk's size */
static bool
take_chunk_size(struct http_state *state, char c)
{
	int digit = hex_digit(c);

	if (digit >= 0) {
		state->left = state->left << 4 | (unsigned int)digit;
		return ++state->chunk_digits <= 15;
	}
	/* The line's end behind the chunk before. */
	if (state->chunk_digits == 0)
		return c == '\r' || c == '\n';
	state->chunk_part = CHUNK_EXTENSION;
	return c == '\r' || c == '\n' || c == ';' || c == ' ';
}

/* @return false when it breaks the rules of RFC 9112, section 7.1 */
static bool
take_chunks(struct http_state *state, const char *data, size_t len)
{
	for (size_t i = 0; i < len && !state->is_body_done;) {
		size_t n = 1;

		if (state->chunk_part == CHUNK_SIZE && !take_chunk_size(state, data[i]))
			return false;
		if (state->chunk_part == CHUNK_EXTENSION && data[i] == '\n') {
			state->chunk_part = CHUNK_DATA;
			state->is_body_done = state->left == 0;
		} else if (state->chunk_part == CHUNK_DATA) {
			n = len - i < state->left ? len - i : (size_t)state->left;
			keep_body(state, data + i, n);
			state->left -= n;
			if (state->left == 0) {
				state->chunk_part = CHUNK_SIZE;
				state->chunk_digits = 0;
			}
		}
		i += n;
	}
	return true;
}

/* @return false when the run has ended */
static bool
take_body(struct run *run, const char *data, size_t len)
{
	struct http_state *state = run->state;

	if (state->is_chunked) {
		if (!take_chunks(state, data, len)) {
			malformed(run, "a chunk has no size");
			return false;
		}
		return search_body(run);
	}
	if (state->has_length && len >= state->left) {
		len = (size_t)state->left;
		state->is_body_done = true;
	}
	state->left -= state->has_length ? len : 0;
	keep_body(state, data, len);
	return search_body(run);
}

/* "HTTP/1.1 200 OK" @return -1 when it is no status line */
static int
parse_status(const char *header)
{
	int status;

	if (strncmp(header, "HTTP/1.", 7) != 0 || header[7] < '0' || header[7] > '9' ||
		header[8] != ' ')
		return -1;
	for (int i = 9; i < 12; i++) {
		if (header[i] < '0' || header[i] > '9')
			return -1;
	}
	status = (header[9] - '0') * 100 + (header[10] - '0') * 10 + (header[11] - '0');
	return status >= 100 ? status : -1;
}

/* The header is there. @return false when the run has ended */
static bool
judge_header(struct run *run)
{
	struct http_state *state = run->state;
	const struct sl_config_check *config = run_config(run);
	const char *value;

	if (state->status < config->status_min || state->status > config->status_max) {
		run_finish(run, false, SL_HEALTH_STATUS, state->status, "status %d, wanted %u-%u",
			state->status, config->status_min, config->status_max);
		return false;
	}
	if (state->body == NULL) {
		finish(run, true);
		return false;
	}
	value = find_field(state->header, "Transfer-Encoding");
	state->is_chunked = value != NULL && strncasecmp(value, "chunked", 7) == 0;
	value = find_field(state->header, "Content-Length");
	if (value != NULL && !state->is_chunked) {
		state->has_length = true;
		state->left = strtoull(value, NULL, 10);
	}
	run->phase = "while reading the body";
	return true;
}

/*
 * The end of the header in what there is of it, past interim answers (1xx).
 * @return where the body begins; 0: not there yet; -1: the run has ended
 */
static ssize_t
find_header_end(struct run *run)
{
	struct http_state *state = run->state;
	char *end;

	for (;;) {
		state->header[state->header_len] = '\0';
		if (state->header_len >= 12 || strchr(state->header, '\n') != NULL) {
			state->status = parse_status(state->header);
			if (state->status < 0) {
				malformed(run, "it does not begin with a status line");
				return -1;
			}
		}
		end = memmem(state->header, state->header_len, "\r\n\r\n", 4);
		if (end == NULL && state->header_len == HEADER_MAX) {
			malformed(run, "its header does not end within 16384 bytes");
			return -1;
		}
		if (end == NULL)
			return 0;
		end += 4;
		if (state->status >= 200)
			return end - state->header;
		state->header_len -= (size_t)(end - state->header);
		memmove(state->header, end, state->header_len);
	}
}

/* @return false when the run has ended */
static bool
take_header(struct run *run, const char *data, size_t len)
{
	struct http_state *state = run->state;

	while (!state->is_header_done && len > 0) {
		size_t n = HEADER_MAX - state->header_len;
		ssize_t at;

		n = len < n ? len : n;
		memcpy(state->header + state->header_len, data, n);
		state->header_len += n;
		data += n;
		len -= n;
		at = find_header_end(run);
		if (at < 0)
			return false;
		if (at == 0)
			continue;
		/* What was taken of the body goes back. */
		len += state->header_len - (size_t)at;
		data -= state->header_len - (size_t)at;
		state->header[at] = '\0';
		state->is_header_done = true;
		if (!judge_header(run))
			return false;
	}
	return !state->is_header_done || take_body(run, data, len);
}

static void
on_end(struct run *run)
{
	struct http_state *state = run->state;

	if (!state->is_header_done) {
		run_finish(run, false, SL_HEALTH_CLOSED, 0,
			"connection closed before the end of the header (%zu bytes came)",
			state->header_len);
		return;
	}
	finish(run, false);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct run *run = arg;
	struct http_state *state = run->state;
	char data[READ_MAX];
	ssize_t n = recv(fd, data, sizeof(data), 0);

	(void)what;
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			socket_failed(run, errno);
	} else if (n == 0) {
		on_end(run);
	} else if (state->is_header_done) {
		take_body(run, data, (size_t)n);
	} else {
		take_header(run, data, (size_t)n);
	}
}

static void
on_open(evutil_socket_t fd, short what, void *arg)
{
	struct run *run = arg;

	(void)fd;
	(void)what;
	if (!socket_is_connected(run))
		return;
	run->phase = "while sending the request";
	if (socket_send(run) <= 0)
		return;
	run->phase = "waiting for the end of the header";
	socket_watch(run, EV_READ, on_readable);
}

static int
write_request(struct run *run)
{
	const struct sl_config_check *config = run_config(run);
	const struct sl_ip *ip = sl_ip_is_unset(&config->address) ? &run->backend->address
								  : &config->address;
	uint16_t port = config->port != 0 ? config->port : run->backend->port;
	char address[SL_IP_STRLEN], host[SL_IP_STRLEN + 16];
	int n;

	sl_ip_format(ip, address);
	snprintf(host, sizeof(host), sl_ip_is_v4(ip) ? "%s:%u" : "[%s]:%u", address, port);
	n = asprintf(&run->out,
		"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: sluice\r\nAccept: */*\r\n"
		"Connection: close\r\n\r\n",
		config->path != NULL ? config->path : "/",
		config->host != NULL ? config->host : host);
	if (n < 0) {
		run->out = NULL;
		return -ENOMEM;
	}
	run->out_len = (size_t)n;
	return 0;
}

static void
http_start(struct run *run)
{
	bool has_body = run_config(run)->body != NULL && run_config(run)->body[0] != '\0';
	struct http_state *state = malloc(sizeof(*state) + (has_body ? BODY_MAX : 0));

	if (state != NULL) {
		memset(state, 0, offsetof(struct http_state, header));
		state->body_len = 0;
		state->searched = 0;
		state->body = has_body ? (char *)(state + 1) : NULL;
	}
	run->state = state;
	if (state == NULL || write_request(run) != 0)
		run_void(run);
	else
		socket_open(run, SOCK_STREAM, on_open);
}

const struct kind kind_http = {.name = "http",
	.start = http_start,
	.stop = socket_stop,
	.needs_socket = true};
