/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"

/* Of all answers under way; the one that goes beyond is the last. */
#define BYTES_MAX (UINT64_C(128) << 20)

/* What is made is good for this many times as long as it took, but no longer than the maximum. */
#define KEEP_FACTOR 4
#define KEEP_MAX_US 10000000

/* An answer's text, with what it counts for. */
struct text {
	struct sl_http *http;
	size_t len;
	char *data;
};

static void
free_text(void *arg)
{
	struct text *text = arg;

	text->http->bytes -= text->len;
	free(text->data);
	free(text);
}

bool
http_is_full(const struct sl_http *http)
{
	return http->bytes >= BYTES_MAX;
}

struct MHD_Response *
http_response(struct sl_http *http, char *data, size_t len, const char *type)
{
	struct text *text = malloc(sizeof(*text));
	struct MHD_Response *response;

	if (text == NULL || data == NULL) {
		free(text);
		free(data);
		return NULL;
	}
	*text = (struct text){.http = http, .len = len, .data = data};
	http->bytes += len;
	response = MHD_create_response_from_buffer_with_free_callback_cls(
		len, data, free_text, text);
	if (response == NULL) {
		free_text(text);
		return NULL;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	return response;
}

struct MHD_Response *
http_kept(struct sl_http *http, const char *key, unsigned int *status)
{
	uint64_t now = http_now_us();

	for (unsigned int i = 0; i < NB_KEPT; i++) {
		struct kept *kept = &http->kept[i];

		if (kept->response == NULL || now >= kept->until_us || strcmp(kept->key, key) != 0)
			continue;
		*status = kept->status;
		return kept->response;
	}
	return NULL;
}

void
http_keep(struct sl_http *http, const char *key, unsigned int status, struct MHD_Response *response,
	uint64_t took_us)
{
	struct kept *oldest = &http->kept[0];
	uint64_t keep_us = took_us * KEEP_FACTOR;

	for (unsigned int i = 0; i < NB_KEPT; i++) {
		struct kept *kept = &http->kept[i];

		if (kept->response != NULL && strcmp(kept->key, key) == 0) {
			oldest = kept;
			break;
		}
		if (kept->until_us < oldest->until_us)
			oldest = kept;
	}
	if (oldest->response != NULL)
		MHD_destroy_response(oldest->response);
	snprintf(oldest->key, sizeof(oldest->key), "%s", key);
	oldest->status = status;
	oldest->response = response;
	oldest->until_us = http_now_us() + (keep_us < KEEP_MAX_US ? keep_us : KEEP_MAX_US);
}

void
http_kept_sweep(struct sl_http *http, uint64_t now_us)
{
	for (unsigned int i = 0; i < NB_KEPT; i++) {
		struct kept *kept = &http->kept[i];

		if (kept->response == NULL || now_us < kept->until_us)
			continue;
		MHD_destroy_response(kept->response);
		kept->response = NULL;
		kept->until_us = 0;
	}
}
