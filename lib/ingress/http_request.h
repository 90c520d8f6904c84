/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

/**
 * @file
 * Requests of HTTP/1.0 and 1.1 (RFC 9110, RFC 9112), read strictly. Pure.
 *
 * What two parsers could understand in two ways is refused, so that nothing is smuggled through
 * whatever stands in front: lines end with CR LF and nothing else, no field is continued on the
 * next line or has a space before its colon, Content-Length is given once and in digits, and not
 * beside Transfer-Encoding, which is "chunked" and nothing else.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "text.h"

/* Bytes of a request line (else 414), of a head (else 431), and its fields (else 431). */
#define HTTP_LINE_MAX	8192
#define HTTP_HEAD_MAX	16384
#define HTTP_FIELDS_MAX 100
/* Of a token in a query; a file has no longer ones. */
#define HTTP_TOKEN_MAX 4096

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_OPTIONS,
	HTTP_OTHER,
};

/* The fields that count. */
enum http_field {
	HTTP_HOST,
	HTTP_CONNECTION,
	HTTP_CONTENT_LENGTH,
	HTTP_TRANSFER_ENCODING,
	HTTP_EXPECT,
	HTTP_CONTENT_TYPE,
	HTTP_CONTENT_ENCODING,
	HTTP_AUTHORIZATION,
	HTTP_ORIGIN,
	HTTP_UPGRADE,
	HTTP_WEBSOCKET_KEY,
	HTTP_WEBSOCKET_VERSION,
	HTTP_PREFLIGHT_METHOD,
	HTTP_LAST_EVENT_ID,
	HTTP_PRIORITY,
	HTTP_TYPE,
	HTTP_ID,
	HTTP_SOURCE,
	HTTP_NB_FIELDS,
};

struct http_request {
	enum http_method method;
	struct gw_text path;  /* Without the query, percent-encoded. */
	struct gw_text query; /* Behind the question mark. */
	struct gw_text fields[HTTP_NB_FIELDS];
	uint8_t minor;	   /* Of the version: 0 or 1. */
	bool is_kept;	   /* The connection may go on after it. */
	bool is_upgrade;   /* Connection says so, */
	bool is_websocket; /* and Upgrade to what. */
	bool expects_continue;
	bool is_chunked;
	bool has_length;
	uint64_t length; /* Of the body; 0 without one. */
	/* Of a request that is refused. */
	unsigned int status;
	const char *why; /* One line, for a human. */
};

/**
 * Read the head of a request. An empty line before it is skipped.
 * @return its bytes, the empty line behind it included; 0: it is not whole yet; -1: refused, with
 *         status and why; where the next one begins is not known then
 */
ssize_t http_request_parse(const char *data, size_t len, struct http_request *request);

/**
 * The bearer token of a request: of Authorization, or the query's "access_token", decoded into
 * @p buf: "%41", and "+" for a space. A longer one than that is none.
 */
struct gw_text http_request_token(const struct http_request *request, char buf[HTTP_TOKEN_MAX]);

/** An origin is compared as a whole; letters of either case are the same. */
bool http_origin_is_one_of(struct gw_text origin, char *const *origins, size_t nb_origins);

/** Whether a media type is this one, whatever its parameters. */
bool http_type_is(struct gw_text type, const char *name);

/**
 * Decode "%41"s. @return bytes written; -1: more than @p max, not hexadecimal, a control character,
 * or a slash that is not "%2F"
 */
ssize_t http_unescape(struct gw_text text, char *buf, size_t max);

/** The whole body of a request, in pieces as they come. */
struct http_body {
	uint64_t left; /* Of the body or the chunk. */
	uint32_t line; /* Bytes of a chunk's line, or of the trailer. */
	uint8_t digits;
	uint8_t state;
	const char *why; /* It was refused. */
};

void http_body_begin(struct http_body *body, const struct http_request *request);

/**
 * Take what there is of a body.
 * @param content  bytes of it, in @p data; may be none
 * @return bytes of @p data that are done with; 0: none can be used, or it is at its end; -1: it is
 *         refused, with body->why
 */
ssize_t
http_body_read(struct http_body *body, const char *data, size_t len, struct gw_text *content);
bool http_body_is_done(const struct http_body *body);

#endif /* HTTP_REQUEST_H */
