/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

/**
 * @file
 * What the files of lib/http share.
 */

#include <sys/queue.h>

#include <event2/event.h>
#include <microhttpd.h>

#include "sl_http.h"

/* Of a client, for its request with its headers, and for the headers of the answer. */
#define CONNECTION_MEMORY 16384

/* Segments of a path, and bytes of all of them decoded. */
#define SEGMENTS_MAX 8
#define PATH_MAX_LEN 1024

/* A file of the page, as embed.py writes it. */
struct http_file {
	const char *path;
	const char *type;
	const char *etag; /* With its quotes. */
	const unsigned char *data;
	size_t len;
};

extern const struct http_file http_files[];
extern const unsigned int http_nb_files;

/* An answer that is kept for those who ask the same soon. */
struct kept {
	char key[PATH_MAX_LEN];
	unsigned int status;
	struct MHD_Response *response; /* NULL: the place is free. */
	uint64_t until_us;
};

#define NB_KEPT 16

/* A client's connection, in the order of their deadlines. */
struct client {
	TAILQ_ENTRY(client) next;
	int fd;
	uint64_t since_ms; /* It has connected, or got its last answer. */
	bool is_closing;
};

TAILQ_HEAD(client_list, client);

struct sl_http {
	struct sl_http_params params;
	struct MHD_Daemon *daemon;
	struct event *io;
	struct event *timer; /* When libmicrohttpd wants to run without IO. */
	struct event *sweep; /* Closes those whose time is over; frees what is kept. */
	uint16_t port;
	struct client_list clients;
	uint32_t nb_clients;
	uint64_t requests, timeouts, evicted;
	uint64_t bytes; /* Of answers under way. */
	struct kept kept[NB_KEPT];
	struct MHD_Response **files; /* As http_files. */
	struct MHD_Response **unchanged;
};

uint64_t http_now_us(void);

/* What libmicrohttpd calls for a request, and instead of decoding a path as a whole. */
enum MHD_Result
http_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *upload, size_t *upload_len, void **context);
size_t http_keep_encoded(void *arg, struct MHD_Connection *connection, char *text);

/* Let libmicrohttpd do what it can without waiting, and be called again in time. */
void http_run(struct sl_http *http);

/* The path after the "?", which `url` does not have, as segments in `buf`; empty ones are skipped.
 * Returns their number, or -EINVAL: not to be decoded, too many or too long. */
int http_split(const char *url, char buf[PATH_MAX_LEN], const char *segments[SEGMENTS_MAX]);

/* Answer a request. */
enum MHD_Result
http_route(struct sl_http *http, struct MHD_Connection *connection, const char *url);

/* An answer of a line of text, or of {"error": ...} below /api. */
enum MHD_Result http_error(struct sl_http *http, struct MHD_Connection *connection, const char *url,
	unsigned int status, const char *text);

/* The page's files, made once. 0 or -ENOMEM */
int http_page_init(struct sl_http *http);
void http_page_free(struct sl_http *http);

/* Answer with a file of the page; MHD_NO with *is_there false when there is none of this path. */
enum MHD_Result http_page(
	struct sl_http *http, struct MHD_Connection *connection, const char *path, bool *is_there);

/* The answer kept for `key`, which stays where it is; NULL when there is none. */
struct MHD_Response *http_kept(struct sl_http *http, const char *key, unsigned int *status);

/* Keep an answer that took `took_us` to make; the caller's reference is taken. */
void http_keep(struct sl_http *http, const char *key, unsigned int status,
	struct MHD_Response *response, uint64_t took_us);

/* Clients that do not read hold all that may be held: nothing more is made. */
bool http_is_full(const struct sl_http *http);

/* Let go of what has been kept long enough. */
void http_kept_sweep(struct sl_http *http, uint64_t now_us);

/* An answer from text to free(), taken in any case; NULL when memory is short. */
struct MHD_Response *http_response(struct sl_http *http, char *text, size_t len, const char *type);

#endif /* HTTP_INTERNAL_H */
