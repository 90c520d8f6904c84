/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"

/* The page talks to where it came from, and to nobody else. */
static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; "
			     "img-src 'self'; connect-src 'self'; base-uri 'none'; "
			     "form-action 'none'; frame-ancestors 'none'";

static int
add_headers(struct MHD_Response *response, const struct http_file *file)
{
	const char *const headers[][2] = {
		{MHD_HTTP_HEADER_CONTENT_TYPE, file->type},
		{MHD_HTTP_HEADER_ETAG, file->etag},
		/* Asked for each time, and sent only when it has changed: a new Sluice, a new page.
		 */
		{MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache"},
		{"X-Content-Type-Options", "nosniff"},
		{"Content-Security-Policy", policy},
		{"Referrer-Policy", "no-referrer"},
	};

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		if (MHD_add_response_header(response, headers[i][0], headers[i][1]) != MHD_YES)
			return -ENOMEM;
	}
	return 0;
}

int
http_page_init(struct sl_http *http)
{
	http->files = calloc(http_nb_files, sizeof(*http->files));
	http->unchanged = calloc(http_nb_files, sizeof(*http->unchanged));
	if (http->files == NULL || http->unchanged == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < http_nb_files; i++) {
		const struct http_file *file = &http_files[i];

		http->files[i] = MHD_create_response_from_buffer(
			file->len, (void *)(uintptr_t)file->data, MHD_RESPMEM_PERSISTENT);
		http->unchanged[i] = MHD_create_response_from_buffer(
			0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
		if (http->files[i] == NULL || http->unchanged[i] == NULL ||
			add_headers(http->files[i], file) != 0 ||
			add_headers(http->unchanged[i], file) != 0)
			return -ENOMEM;
	}
	return 0;
}

static void
free_responses(struct MHD_Response **responses)
{
	for (unsigned int i = 0; responses != NULL && i < http_nb_files; i++) {
		if (responses[i] != NULL)
			MHD_destroy_response(responses[i]);
	}
	free(responses);
}

void
http_page_free(struct sl_http *http)
{
	free_responses(http->files);
	free_responses(http->unchanged);
}

enum MHD_Result
http_page(struct sl_http *http, struct MHD_Connection *connection, const char *path, bool *is_there)
{
	const char *known;

	*is_there = false;
	for (unsigned int i = 0; i < http_nb_files; i++) {
		if (strcmp(path, http_files[i].path) != 0)
			continue;
		*is_there = true;
		known = MHD_lookup_connection_value(
			connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
		if (known != NULL && strstr(known, http_files[i].etag) != NULL)
			return MHD_queue_response(
				connection, MHD_HTTP_NOT_MODIFIED, http->unchanged[i]);
		return MHD_queue_response(connection, MHD_HTTP_OK, http->files[i]);
	}
	return MHD_NO;
}
