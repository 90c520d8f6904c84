/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"

#define TEXT	    "text/plain; charset=utf-8"
#define JSON	    "application/json"
#define PROMETHEUS  "text/plain; version=0.0.4; charset=utf-8"
#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* The same on the control socket. */
#define REAL_DIGITS JSON_REAL_PRECISION(15)

/* What an answer is made of. */
struct answer {
	unsigned int status;
	const char *type;
	char *text; /* To free(). */
	size_t len;
};

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte at `*at`, which moves behind it; -1 when it is none that a name may hold. */
static int
decode_byte(const char **at)
{
	const char *text = *at;
	int high, low;

	if (*text != '%') {
		*at = text + 1;
		return (unsigned char)*text;
	}
	high = hex_digit(text[1]);
	low = high < 0 ? -1 : hex_digit(text[2]);
	*at = text + 3;
	return low < 0 || high + low == 0 ? -1 : high << 4 | low;
}

int
http_split(const char *url, char buf[PATH_MAX_LEN], const char *segments[SEGMENTS_MAX])
{
	size_t used = 0;
	int n = 0, byte;

	while (*url != '\0') {
		if (*url == '/') {
			url++;
			continue;
		}
		if (n == SEGMENTS_MAX)
			return -EINVAL;
		segments[n++] = buf + used;
		while (*url != '/' && *url != '\0') {
			byte = decode_byte(&url);
			if (byte < 0 || used + 2 > PATH_MAX_LEN)
				return -EINVAL;
			buf[used++] = (char)byte;
		}
		if (used == PATH_MAX_LEN)
			return -EINVAL;
		buf[used++] = '\0';
	}
	return n;
}

static bool
is_api(const char *url)
{
	return strncmp(url, "/api", 4) == 0 && (url[4] == '\0' || url[4] == '/');
}

static char *
error_json(const char *text)
{
	json_t *json = json_pack("{s:s%}", "error", text, strlen(text));
	char *dump;

	/* It may quote what the client sent. */
	if (json == NULL)
		return strdup("{\"error\":\"names are UTF-8\"}");
	dump = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return dump;
}

static struct answer
error_answer(const char *url, unsigned int status, const char *text)
{
	struct answer answer = {.status = status, .type = is_api(url) ? JSON : TEXT};

	if (is_api(url))
		answer.text = error_json(text);
	else if (asprintf(&answer.text, "%s\n", text) < 0)
		answer.text = NULL;
	answer.len = answer.text == NULL ? 0 : strlen(answer.text);
	return answer;
}

static struct MHD_Response *
to_response(struct sl_http *http, const struct answer *answer)
{
	struct MHD_Response *response = http_response(
		http, answer->text, answer->len, answer->type);

	if (response == NULL)
		return NULL;
	if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	}
	if (answer->status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	return response;
}

enum MHD_Result
http_error(struct sl_http *http, struct MHD_Connection *connection, const char *url,
	unsigned int status, const char *text)
{
	struct answer answer = error_answer(url, status, text);
	struct MHD_Response *response = to_response(http, &answer);
	enum MHD_Result result;

	if (response == NULL)
		return MHD_NO;
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static unsigned int
status_of(int rc)
{
	switch (rc) {
	case -ENOENT:
		return MHD_HTTP_NOT_FOUND;
	case -EINVAL:
		return MHD_HTTP_BAD_REQUEST;
	default:
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	}
}

/* Takes the reference. */
static struct answer
json_answer(const char *url, json_t *json)
{
	struct answer answer = {.status = MHD_HTTP_OK, .type = JSON};

	if (json != NULL)
		answer.text = json_dumps(json, JSON_COMPACT | REAL_DIGITS);
	json_decref(json);
	if (answer.text == NULL)
		return error_answer(url, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory");
	answer.len = strlen(answer.text);
	return answer;
}

static struct answer
api_answer(struct sl_http *http, struct MHD_Connection *connection, const char *url)
{
	const struct sl_http_ops *ops = http->params.ops;
	const char *segments[SEGMENTS_MAX];
	char buf[PATH_MAX_LEN], error[512] = "";
	json_t *json = NULL;
	int n, rc;

	n = http_split(url, buf, segments);
	if (n < 0)
		return error_answer(url, MHD_HTTP_BAD_REQUEST,
			"no path of the API: /api/v1/VIEW[/ARGUMENT...], percent-encoded");
	if (n < 2 || strcmp(segments[1], "v1") != 0)
		return error_answer(url, MHD_HTTP_NOT_FOUND, "the API is below /api/v1/");
	if (n == 2)
		return json_answer(url, json_pack("{s:o}", "views", ops->views(http->params.arg)));
	if (n == 3 && strcmp(segments[2], "events") == 0) {
		/* As people write it: /api/v1/events?after=41 */
		segments[n] = MHD_lookup_connection_value(
			connection, MHD_GET_ARGUMENT_KIND, "after");
		n += segments[n] != NULL;
	}
	rc = ops->show(http->params.arg, segments[2], &segments[3], (uint32_t)n - 3, &json, error,
		sizeof(error));
	if (rc != 0)
		return error_answer(url, status_of(rc), error[0] != '\0' ? error : strerror(-rc));
	return json_answer(url, json);
}

/* Does the client rather have OpenMetrics? Prometheus asks for it first. */
static bool
wants_openmetrics(struct MHD_Connection *connection)
{
	const char *accept = MHD_lookup_connection_value(
		connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);

	return accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
}

static struct answer
metrics_answer(struct sl_http *http, const char *url, bool is_openmetrics)
{
	struct answer answer = {
		.status = MHD_HTTP_OK, .type = is_openmetrics ? OPENMETRICS : PROMETHEUS};
	int rc = http->params.ops->metrics(
		http->params.arg, is_openmetrics, &answer.text, &answer.len);

	if (rc != 0)
		return error_answer(url, MHD_HTTP_SERVICE_UNAVAILABLE,
			rc == -EAGAIN ? "the lcores do not answer now" : strerror(-rc));
	return answer;
}

static struct answer
ready_answer(struct sl_http *http, const char *url)
{
	char reason[256] = "";

	if (http->params.ops->is_ready(http->params.arg, reason, sizeof(reason)))
		return error_answer(url, MHD_HTTP_OK, "ready");
	return error_answer(url, MHD_HTTP_SERVICE_UNAVAILABLE, reason);
}

/* Is it made from all of the appliance's state, and so worth keeping? */
static bool
is_dear(const char *url)
{
	return strcmp(url, "/metrics") == 0 ||
		(is_api(url) && strstr(url, "/events") == NULL && strlen(url) < PATH_MAX_LEN - 1);
}

static struct answer
make(struct sl_http *http, struct MHD_Connection *connection, const char *url, bool is_openmetrics)
{
	if (is_api(url))
		return api_answer(http, connection, url);
	if (strcmp(url, "/metrics") == 0)
		return metrics_answer(http, url, is_openmetrics);
	if (strcmp(url, "/healthz") == 0)
		return error_answer(url, MHD_HTTP_OK, "ok");
	if (strcmp(url, "/readyz") == 0)
		return ready_answer(http, url);
	return error_answer(url, MHD_HTTP_NOT_FOUND,
		"not here; there are /, /metrics, /healthz, /readyz and /api/v1/");
}

enum MHD_Result
http_route(struct sl_http *http, struct MHD_Connection *connection, const char *url)
{
	bool is_page, is_openmetrics = wants_openmetrics(connection);
	enum MHD_Result result = http_page(http, connection, url, &is_page);
	struct MHD_Response *response;
	char key[PATH_MAX_LEN];
	struct answer answer;
	unsigned int status;
	uint64_t begin_us;

	if (is_page)
		return result;
	snprintf(key, sizeof(key), "%c%s", is_openmetrics ? '+' : '-', url);
	if (is_dear(url)) {
		response = http_kept(http, key, &status);
		if (response != NULL)
			return MHD_queue_response(connection, status, response);
		if (http_is_full(http))
			return http_error(http, connection, url, MHD_HTTP_SERVICE_UNAVAILABLE,
				"too many answers wait for clients that do not read them");
	}
	begin_us = http_now_us();
	answer = make(http, connection, url, is_openmetrics);
	response = to_response(http, &answer);
	if (response == NULL)
		return MHD_NO;
	result = MHD_queue_response(connection, answer.status, response);
	if (is_dear(url) && answer.status == MHD_HTTP_OK)
		http_keep(http, key, answer.status, response, http_now_us() - begin_us);
	else
		MHD_destroy_response(response);
	return result;
}
