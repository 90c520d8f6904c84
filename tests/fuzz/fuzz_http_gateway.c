/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
/*
 * Bytes of a client of the HTTP gateway, in pieces. The first byte chooses their size.
 *
 *   - A request in pieces is the request as a whole: the same bytes, and the same status.
 *   - What a request points to lies in its head, and its body has one length or none.
 *   - A body in pieces is the body as a whole.
 *   - A line that is taken is JSON with an object in it, by another library's word.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "http_answer.h"
#include "http_line.h"
#include "http_request.h"

#define CONTENT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_http_gateway: %s\n", what);
	abort();
}

/* A copy of its own, so that reading behind it is seen. */
static ssize_t
parse(const char *data, size_t len, struct http_request *request)
{
	char *copy = malloc(len == 0 ? 1 : len);
	struct http_request own;
	ssize_t used;

	require(copy != NULL, "no memory");
	memcpy(copy, data, len);
	used = http_request_parse(copy, len, &own);
	free(copy);
	require(http_request_parse(data, len, request) == used && own.status == request->status,
		"two readings differ");
	return used;
}

static void
check_inside(const char *data, size_t len, struct gw_text text)
{
	require(text.at == NULL || (text.at >= data && text.at + text.len <= data + len),
		"a text lies outside of its request");
}

static void
check_request(const char *data, size_t len, const struct http_request *request)
{
	char name[64], head[HTTP_ANSWER_MAX], decoded[HTTP_TOKEN_MAX];
	struct gw_text token = http_request_token(request, decoded);
	struct http_event_id id;
	struct http_answer answer = {.status = 202, .type = "a/b", .is_preflight = true};

	check_inside(data, len, request->path);
	check_inside(data, len, request->query);
	if (token.at == decoded)
		require(token.len <= sizeof(decoded), "a token is too long");
	else
		check_inside(data, len, token);
	for (unsigned int i = 0; i < HTTP_NB_FIELDS; i++)
		check_inside(data, len, request->fields[i]);
	require(!request->is_chunked || (!request->has_length && request->length == 0),
		"a body has two lengths");
	require(http_unescape(request->path, name, sizeof(name)) <= (ssize_t)sizeof(name),
		"a name is too long");
	http_event_id_read(request->fields[HTTP_LAST_EVENT_ID], &id);
	answer.origin = request->fields[HTTP_ORIGIN];
	if (answer.origin.len < 256)
		require(http_answer_write(&answer, head) > 0, "an answer does not fit");
}

/* @return bytes of the body; -1: refused. Its content to `content`, as much as fits. */
static ssize_t
read_body(const struct http_request *request, const char *data, size_t len, size_t piece,
	char *content, size_t *content_len)
{
	struct gw_text part;
	struct http_body body;
	size_t at = 0, n;
	ssize_t used;

	*content_len = 0;
	http_body_begin(&body, request);
	while (at < len && !http_body_is_done(&body)) {
		n = len - at < piece ? len - at : piece;
		used = http_body_read(&body, data + at, n, &part);
		if (used < 0) {
			require(body.why != NULL, "no reason is given");
			return -1;
		}
		require(used > 0 && (size_t)used <= n, "a body stands still");
		require(part.at >= data + at && part.at + part.len <= data + at + used,
			"content lies outside of its piece");
		if (*content_len + part.len <= CONTENT_MAX)
			memcpy(content + *content_len, part.at, part.len);
		*content_len += part.len;
		at += (size_t)used;
	}
	return (ssize_t)at;
}

static void
check_line(const char *text, size_t len)
{
	struct http_line line;
	json_t *json;

	if (!http_line_read(text, len, &line)) {
		require(line.reason[0] != '\0' && strlen(line.reason) < sizeof(line.reason) - 1,
			"a line is refused without a reason");
		return;
	}
	json = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
	/* What jansson cannot hold is a number out of its range. */
	if (json == NULL)
		return;
	require(json_is_object(json_object_get(json, "payload")), "the payload is no object");
	require(line.priority <= 8, "a priority is out of its range");
	json_decref(json);
}

static void
check_lines(const char *content, size_t len)
{
	const char *end = content + len, *newline;

	for (; content < end; content = newline + 1) {
		newline = memchr(content, '\n', (size_t)(end - content));
		if (newline == NULL)
			newline = end;
		check_line(content, (size_t)(newline - content));
	}
}

static void
check_body(const struct http_request *request, const char *data, size_t len, size_t piece)
{
	static char whole[CONTENT_MAX], parts[CONTENT_MAX];
	size_t whole_len, parts_len;
	ssize_t used = read_body(request, data, len, len, whole, &whole_len);

	require(read_body(request, data, len, piece, parts, &parts_len) == used,
		"a body in pieces has another length");
	if (used < 0 || whole_len > CONTENT_MAX)
		return;
	require(parts_len == whole_len && memcmp(parts, whole, whole_len) == 0,
		"a body in pieces has other content");
	check_lines(whole, whole_len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request request, part;
	const char *at;
	size_t len, piece, n;
	ssize_t used, got = 0;

	if (size < 1 || size > CONTENT_MAX)
		return 0;
	piece = 1 + data[0];
	at = (const char *)data + 1;
	len = size - 1;
	used = parse(at, len, &request);
	require((used < 0) == (request.status != 0), "a status without a refusal");
	require(used <= (ssize_t)len, "a request is longer than what there is");
	for (n = piece < len ? piece : len; got == 0; n = n + piece < len ? n + piece : len) {
		got = parse(at, n, &part);
		if (n == len)
			break;
	}
	require(got == used && part.status == request.status, "a request in pieces is another one");
	if (used <= 0)
		return 0;
	check_request(at, (size_t)used, &request);
	check_body(&request, at + used, len - (size_t)used, piece);
	return 0;
}
