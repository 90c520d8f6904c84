/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <string.h>
#include <strings.h>

#include "http_request.h"

static const char *const field_names[HTTP_NB_FIELDS] = {
	[HTTP_HOST] = "Host",
	[HTTP_CONNECTION] = "Connection",
	[HTTP_CONTENT_LENGTH] = "Content-Length",
	[HTTP_TRANSFER_ENCODING] = "Transfer-Encoding",
	[HTTP_EXPECT] = "Expect",
	[HTTP_CONTENT_TYPE] = "Content-Type",
	[HTTP_CONTENT_ENCODING] = "Content-Encoding",
	[HTTP_AUTHORIZATION] = "Authorization",
	[HTTP_ORIGIN] = "Origin",
	[HTTP_UPGRADE] = "Upgrade",
	[HTTP_WEBSOCKET_KEY] = "Sec-WebSocket-Key",
	[HTTP_WEBSOCKET_VERSION] = "Sec-WebSocket-Version",
	[HTTP_PREFLIGHT_METHOD] = "Access-Control-Request-Method",
	[HTTP_LAST_EVENT_ID] = "Last-Event-ID",
	[HTTP_PRIORITY] = "Sluice-Priority",
	[HTTP_TYPE] = "Sluice-Type",
	[HTTP_ID] = "Sluice-Id",
	[HTTP_SOURCE] = "Sluice-Source",
};

struct reading {
	struct http_request *request;
	bool is_closed; /* Connection: close, */
	bool is_kept;	/* and keep-alive. */
};

static int
refuse(struct http_request *request, unsigned int status, const char *why)
{
	request->status = status;
	request->why = why;
	return -1;
}

/* RFC 9110, section 5.6.2: which bytes a token has, 64 a word. */
static const uint64_t token_bytes[4] = {UINT64_C(0x03ff6cfa00000000), UINT64_C(0x57ffffffc7fffffe)};

static bool
is_token(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((token_bytes[c >> 6] >> (c & 63) & 1) == 0)
			return false;
	}
	return len > 0;
}

static bool
is_same(struct gw_text text, const char *other)
{
	return text.len == strlen(other) && strncasecmp(text.at, other, text.len) == 0;
}

static struct gw_text
trim(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return (struct gw_text){.at = at, .len = (size_t)(end - at)};
}

/* Whether a comma-separated list has a word. */
static bool
list_has(struct gw_text list, const char *word)
{
	const char *at = list.at, *end = list.at + list.len, *comma;

	for (; at < end; at = comma + 1) {
		comma = memchr(at, ',', (size_t)(end - at));
		if (comma == NULL)
			comma = end;
		if (is_same(trim(at, comma), word))
			return true;
	}
	return false;
}

/* The request line. */

static int
read_target(struct http_request *request, const char *at, const char *end)
{
	const char *mark, *host = at;

	if (end - at == 1 && *at == '*' && request->method == HTTP_OPTIONS) {
		request->path = (struct gw_text){at, 1};
		return 0;
	}
	if (end - at > 7 && strncasecmp(at, "http://", 7) == 0)
		host = at + 7;
	else if (end - at > 8 && strncasecmp(at, "https://", 8) == 0)
		host = at + 8;
	if (host != at) {
		at = memchr(host, '/', (size_t)(end - host));
		if (at == NULL || at == host)
			return refuse(request, 400, "the request's target has no host or no path");
	}
	if (at == end || *at != '/')
		return refuse(request, 400, "the request's target is no path");
	for (const char *p = host; p < end; p++)
		if (*p <= 0x20 || *p >= 0x7f || *p == '#')
			return refuse(request, 400, "the path has a character that no path has");
	mark = memchr(at, '?', (size_t)(end - at));
	request->path = (struct gw_text){at, (size_t)((mark == NULL ? end : mark) - at)};
	if (mark != NULL)
		request->query = (struct gw_text){mark + 1, (size_t)(end - mark - 1)};
	return 0;
}

static enum http_method
read_method(const char *at, size_t len)
{
	static const char *const methods[] = {
		[HTTP_GET] = "GET",
		[HTTP_HEAD] = "HEAD",
		[HTTP_POST] = "POST",
		[HTTP_OPTIONS] = "OPTIONS",
	};

	for (unsigned int i = 0; i < HTTP_OTHER; i++)
		if (strlen(methods[i]) == len && memcmp(methods[i], at, len) == 0)
			return (enum http_method)i;
	return HTTP_OTHER;
}

static int
read_request_line(struct http_request *request, const char *line, const char *end)
{
	const char *target = memchr(line, ' ', (size_t)(end - line)), *version;

	if (target == NULL || !is_token(line, (size_t)(target - line)))
		return refuse(request, 400, "this is no HTTP request");
	request->method = read_method(line, (size_t)(target - line));
	target++;
	version = memchr(target, ' ', (size_t)(end - target));
	if (version == NULL || version == target || end - version != 9 ||
		memcmp(version + 1, "HTTP/", 5) != 0 || version[6] < '0' || version[6] > '9' ||
		version[7] != '.' || version[8] < '0' || version[8] > '9')
		return refuse(request, 400, "this is no HTTP request");
	if (version[6] != '1')
		return refuse(request, 505, "HTTP/1.1 is spoken here");
	request->minor = version[8] == '0' ? 0 : 1;
	return read_target(request, target, version);
}

/* Fields. */

/* What may come several times has been looked through before. */
static int
keep_field(struct reading *reading, enum http_field field, struct gw_text value)
{
	struct http_request *request = reading->request;

	if (field == HTTP_CONNECTION) {
		reading->is_closed |= list_has(value, "close");
		reading->is_kept |= list_has(value, "keep-alive");
		request->is_upgrade |= list_has(value, "upgrade");
		return 0;
	}
	if (field == HTTP_UPGRADE) {
		request->is_websocket |= list_has(value, "websocket");
		return 0;
	}
	if (request->fields[field].at != NULL)
		return refuse(request, 400, "a header field is given twice");
	request->fields[field] = value;
	return 0;
}

static int
read_field(struct reading *reading, const char *line, const char *end)
{
	const char *colon = memchr(line, ':', (size_t)(end - line));
	struct gw_text name, value;

	if (*line == ' ' || *line == '\t')
		return refuse(reading->request, 400, "a header field goes on in the next line");
	if (colon == NULL || !is_token(line, (size_t)(colon - line)))
		return refuse(reading->request, 400, "a header field is not NAME: VALUE");
	name = (struct gw_text){line, (size_t)(colon - line)};
	value = trim(colon + 1, end);
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.at[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return refuse(
				reading->request, 400, "a header field has a control character");
	}
	for (unsigned int i = 0; i < HTTP_NB_FIELDS; i++)
		if ((*name.at | 0x20) == (*field_names[i] | 0x20) && is_same(name, field_names[i]))
			return keep_field(reading, (enum http_field)i, value);
	return 0;
}

/* The fields as a whole: how long the body is, and what becomes of the connection. */

static int
read_length(struct http_request *request, struct gw_text text)
{
	if (text.at == NULL)
		return 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return refuse(request, 400, "Content-Length is not a number");
		request->length = request->length * 10 + (uint64_t)(text.at[i] - '0');
	}
	if (text.len == 0)
		return refuse(request, 400, "Content-Length is not a number");
	if (text.len > 18)
		return refuse(request, 413, "the body is too long");
	request->has_length = true;
	return 0;
}

static int
read_transfer(struct http_request *request, struct gw_text text)
{
	if (text.at == NULL)
		return 0;
	if (request->fields[HTTP_CONTENT_LENGTH].at != NULL)
		return refuse(request, 400, "both Content-Length and Transfer-Encoding are given");
	if (request->minor == 0)
		return refuse(request, 400, "HTTP/1.0 has no Transfer-Encoding");
	if (!is_same(text, "chunked"))
		return refuse(request, 501, "the only Transfer-Encoding is chunked");
	request->is_chunked = true;
	return 0;
}

static int
check_host(struct http_request *request)
{
	struct gw_text host = request->fields[HTTP_HOST];

	if (host.at == NULL && request->minor == 0)
		return 0;
	if (host.at == NULL || host.len == 0)
		return refuse(request, 400, "Host is missing");
	for (size_t i = 0; i < host.len; i++)
		if (strchr(" \t,/?#@\\", host.at[i]) != NULL)
			return refuse(request, 400, "Host is not a host");
	return 0;
}

static int
check_fields(struct reading *reading)
{
	struct http_request *request = reading->request;
	struct gw_text expect = request->fields[HTTP_EXPECT];

	if (check_host(request) < 0 ||
		read_length(request, request->fields[HTTP_CONTENT_LENGTH]) < 0 ||
		read_transfer(request, request->fields[HTTP_TRANSFER_ENCODING]) < 0)
		return -1;
	if (expect.at != NULL && request->minor > 0 && !is_same(expect, "100-continue"))
		return refuse(request, 417, "the only Expect is 100-continue");
	request->expects_continue = expect.at != NULL && request->minor > 0;
	if (request->method != HTTP_POST && request->method != HTTP_OTHER &&
		(request->is_chunked || request->length > 0))
		return refuse(request, 400, "only a POST has a body here");
	request->is_kept = !reading->is_closed && (request->minor > 0 || reading->is_kept);
	return 0;
}

/* The end of the line that begins at `at`: its CR. NULL, and refused when that can be said, when
 * it is not whole. */
static const char *
find_line_end(struct http_request *request, const char *at, const char *end)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	if (newline == NULL)
		return NULL;
	if (newline == at || newline[-1] != '\r') {
		refuse(request, 400, "a line of the request does not end with CR LF");
		return NULL;
	}
	return newline - 1;
}

/* A head that is not whole; of its request line there are `line_len` bytes, with the CR it may end
 * with (0: it is whole). */
static ssize_t
not_whole(struct http_request *request, size_t len, size_t line_len)
{
	if (request->status != 0)
		return -1;
	if (line_len > HTTP_LINE_MAX + 1)
		return refuse(request, 414, "the request line is over 8192 bytes long");
	if (len >= HTTP_HEAD_MAX)
		return refuse(request, 431, "the head is over 16384 bytes long");
	return 0;
}

ssize_t
http_request_parse(const char *data, size_t len, struct http_request *request)
{
	size_t bounded = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;
	const char *at = data, *end = data + bounded, *line_end;
	struct reading reading = {.request = request};

	memset(request, 0, sizeof(*request));
	if (bounded >= 2 && at[0] == '\r' && at[1] == '\n')
		at += 2;
	line_end = find_line_end(request, at, end);
	if (line_end == NULL)
		return not_whole(request, bounded, (size_t)(end - at));
	if (line_end - at > HTTP_LINE_MAX)
		return refuse(request, 414, "the request line is over 8192 bytes long");
	if (read_request_line(request, at, line_end) < 0)
		return -1;
	for (unsigned int n = 0;; n++) {
		at = line_end + 2;
		line_end = find_line_end(request, at, end);
		if (line_end == NULL)
			return not_whole(request, bounded, 0);
		if (line_end == at)
			break;
		if (n == HTTP_FIELDS_MAX)
			return refuse(request, 431, "the request has over 100 header fields");
		if (read_field(&reading, at, line_end) < 0)
			return -1;
	}
	if (check_fields(&reading) < 0)
		return -1;
	return line_end + 2 - data;
}

/* Of a request. */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* @return what the "%41" at @p i stands for; -1: it is none */
static int
escaped(struct gw_text text, size_t i)
{
	int high = i + 2 < text.len ? hex_digit(text.at[i + 1]) : -1;
	int low = i + 2 < text.len ? hex_digit(text.at[i + 2]) : -1;

	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* As a form's, and as URLSearchParams reads it: what is no escape stands for itself. */
static struct gw_text
decode_value(struct gw_text value, char buf[HTTP_TOKEN_MAX])
{
	size_t n = 0;
	int c;

	for (size_t i = 0; i < value.len; i++) {
		if (n == HTTP_TOKEN_MAX)
			return (struct gw_text){0};
		c = value.at[i] == '%' ? escaped(value, i) : -1;
		if (c >= 0)
			i += 2;
		else
			c = value.at[i] == '+' ? ' ' : value.at[i];
		buf[n++] = (char)c;
	}
	return (struct gw_text){buf, n};
}

struct gw_text
http_request_token(const struct http_request *request, char buf[HTTP_TOKEN_MAX])
{
	static const char scheme[] = "Bearer ", key[] = "access_token=";
	struct gw_text field = request->fields[HTTP_AUTHORIZATION], query = request->query;
	const char *at = query.at, *end = query.at + query.len, *next;
	size_t len = sizeof(key) - 1;

	if (field.len >= sizeof(scheme) && strncasecmp(field.at, scheme, sizeof(scheme) - 1) == 0)
		return trim(field.at + sizeof(scheme) - 1, field.at + field.len);
	for (; query.at != NULL && at < end; at = next + 1) {
		next = memchr(at, '&', (size_t)(end - at));
		if (next == NULL)
			next = end;
		if ((size_t)(next - at) > len && memcmp(at, key, len) == 0)
			return decode_value(
				(struct gw_text){at + len, (size_t)(next - at) - len}, buf);
	}
	return (struct gw_text){0};
}

bool
http_origin_is_one_of(struct gw_text origin, char *const *origins, size_t nb_origins)
{
	for (size_t i = 0; i < nb_origins; i++)
		if (is_same(origin, origins[i]))
			return true;
	return false;
}

bool
http_type_is(struct gw_text type, const char *name)
{
	const char *semicolon;

	if (type.at == NULL)
		return false;
	semicolon = memchr(type.at, ';', type.len);
	return is_same(trim(type.at, semicolon != NULL ? semicolon : type.at + type.len), name);
}

ssize_t
http_unescape(struct gw_text text, char *buf, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		int c = (unsigned char)text.at[i];

		if (c == '/')
			return -1;
		if (c == '%') {
			c = escaped(text, i);
			i += 2;
		}
		if (c < 0x20 || c == 0x7f || n == max)
			return -1;
		buf[n++] = (char)c;
	}
	return (ssize_t)n;
}

/* Bodies. */

/* Digits of a chunk's size, bytes of its line, and of the trailer, which is read over. */
#define DIGITS_MAX  8
#define CHUNK_LINE  256
#define TRAILER_MAX 8192

enum body_state {
	BODY_DONE,
	BODY_LENGTH,	 /* Of a length known before. */
	CHUNK_SIZE,	 /* Its digits, */
	CHUNK_EXTENSION, /* what is behind them, */
	CHUNK_SIZE_LF,	 /* and the end of the line. */
	CHUNK_DATA,
	CHUNK_CR,
	CHUNK_LF,
	TRAILER_BEGIN, /* Of a line, */
	TRAILER,       /* in it, */
	TRAILER_LF,    /* at its end, */
	LAST_LF,       /* and at the end of all. */
};

void
http_body_begin(struct http_body *body, const struct http_request *request)
{
	*body = (struct http_body){.left = request->length};
	if (request->is_chunked)
		body->state = CHUNK_SIZE;
	else
		body->state = request->length > 0 ? BODY_LENGTH : BODY_DONE;
}

bool
http_body_is_done(const struct http_body *body)
{
	return body->state == BODY_DONE;
}

static ssize_t
refuse_body(struct http_body *body, const char *why)
{
	body->why = why;
	return -1;
}

static ssize_t
take_data(struct http_body *body, const char *data, size_t len, struct gw_text *content)
{
	content->at = data;
	content->len = body->left < len ? (size_t)body->left : len;
	body->left -= content->len;
	if (body->left == 0)
		body->state = body->state == CHUNK_DATA ? CHUNK_CR : BODY_DONE;
	return (ssize_t)content->len;
}

static int
take_size(struct http_body *body, unsigned char c)
{
	int digit = hex_digit((char)c);

	if (digit >= 0 && body->digits < DIGITS_MAX) {
		body->left = body->left << 4 | (uint64_t)digit;
		body->digits++;
		return 0;
	}
	if (digit >= 0 || body->digits == 0 || (c != '\r' && c != ';' && c != ' ' && c != '\t'))
		return -1;
	body->state = c == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
	return 0;
}

/* In a line of which nothing is wanted. */
static int
take_text(struct http_body *body, unsigned char c, uint32_t max, enum body_state behind)
{
	if (c == '\r') {
		body->state = behind;
		return 0;
	}
	return ++body->line > max || (c < 0x20 && c != '\t') || c == 0x7f ? -1 : 0;
}

static int
take_byte(struct http_body *body, unsigned char c)
{
	switch (body->state) {
	case CHUNK_SIZE:
		return take_size(body, c);
	case CHUNK_EXTENSION:
		return take_text(body, c, CHUNK_LINE, CHUNK_SIZE_LF);
	case CHUNK_SIZE_LF:
		body->state = body->left > 0 ? CHUNK_DATA : TRAILER_BEGIN;
		body->line = body->digits = 0;
		return c == '\n' ? 0 : -1;
	case CHUNK_CR:
		body->state = CHUNK_LF;
		return c == '\r' ? 0 : -1;
	case CHUNK_LF:
		body->state = CHUNK_SIZE;
		return c == '\n' ? 0 : -1;
	case TRAILER_BEGIN:
		if (c == '\r') {
			body->state = LAST_LF;
			return 0;
		}
		body->state = TRAILER;
		return c == ' ' || c == '\t' ? -1 : take_text(body, c, TRAILER_MAX, TRAILER_LF);
	case TRAILER:
		return take_text(body, c, TRAILER_MAX, TRAILER_LF);
	case TRAILER_LF:
		body->state = TRAILER_BEGIN;
		return c == '\n' ? 0 : -1;
	default:
		body->state = BODY_DONE;
		return c == '\n' ? 0 : -1;
	}
}

ssize_t
http_body_read(struct http_body *body, const char *data, size_t len, struct gw_text *content)
{
	size_t at = 0;

	*content = (struct gw_text){data, 0};
	while (at < len && body->state != BODY_DONE) {
		if (body->state == BODY_LENGTH || body->state == CHUNK_DATA)
			return (ssize_t)at + take_data(body, data + at, len - at, content);
		if (take_byte(body, (unsigned char)data[at++]) < 0)
			return refuse_body(body, "a chunk is not of RFC 9112, section 7.1");
	}
	return (ssize_t)at;
}
