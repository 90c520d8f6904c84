/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdio.h>
#include <string.h>

#include "http_answer.h"
#include "put.h"

#define CORS_MAX 512

const char *
http_status_text(unsigned int status)
{
	static const struct {
		unsigned int status;
		const char *text;
	} texts[] = {
		{200, "OK"},
		{202, "Accepted"},
		{204, "No Content"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{411, "Length Required"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{417, "Expectation Failed"},
		{426, "Upgrade Required"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Error";
}

static void
write_cors(const struct http_answer *answer, char text[CORS_MAX])
{
	text[0] = '\0';
	if (answer->origin.at == NULL)
		return;
	snprintf(text, CORS_MAX, "Access-Control-Allow-Origin: %.*s\r\nVary: Origin\r\n%s",
		(int)answer->origin.len, answer->origin.at,
		answer->is_preflight
			? "Access-Control-Allow-Methods: GET, POST\r\n"
			  "Access-Control-Allow-Headers: Authorization, Content-Type, Last-Event-ID, "
			  "Sluice-Id, Sluice-Priority, Sluice-Source, Sluice-Type\r\n"
			  "Access-Control-Max-Age: 600\r\n"
			: "");
}

size_t
http_answer_write(const struct http_answer *answer, char head[HTTP_ANSWER_MAX])
{
	char cors[CORS_MAX], length[96] = "", allow[64] = "", retry[32] = "";
	bool is_closed = answer->is_closed || answer->is_stream;
	int len;

	write_cors(answer, cors);
	if (answer->is_stream)
		snprintf(length, sizeof(length), "Content-Type: %s\r\n", answer->type);
	else if (answer->type != NULL)
		snprintf(length, sizeof(length), "Content-Type: %s\r\nContent-Length: %zu\r\n",
			answer->type, answer->body_len);
	else if (answer->status != 204)
		snprintf(length, sizeof(length), "Content-Length: 0\r\n");
	if (answer->allow != NULL)
		snprintf(allow, sizeof(allow), "Allow: %s\r\n", answer->allow);
	if (answer->retry_after_s > 0)
		snprintf(retry, sizeof(retry), "Retry-After: %u\r\n", answer->retry_after_s);
	len = snprintf(head, HTTP_ANSWER_MAX,
		"HTTP/1.1 %u %s\r\n%s%s%s%sCache-Control: no-store\r\n%s"
		"X-Content-Type-Options: nosniff\r\nConnection: %s\r\n\r\n",
		answer->status, http_status_text(answer->status), length, allow, retry, cors,
		answer->status == 401 ? "WWW-Authenticate: Bearer\r\n" : "",
		is_closed ? "close" : "keep-alive");
	return len < HTTP_ANSWER_MAX ? (size_t)len : 0;
}

void
http_event_id_write(const struct http_event_id *id, char text[HTTP_EVENT_ID_LEN])
{
	put_hex(text, id->id_high);
	put_hex(text + 16, id->id_low);
	text[32] = '-';
	put_hex(text + 33, id->source);
}

static bool
read_hex(const char *at, uint64_t *value)
{
	*value = 0;
	for (int i = 0; i < 16; i++) {
		char c = at[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		*value = *value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return true;
}

bool
http_event_id_read(struct gw_text text, struct http_event_id *id)
{
	return text.len == HTTP_EVENT_ID_LEN && text.at[32] == '-' &&
		read_hex(text.at, &id->id_high) && read_hex(text.at + 16, &id->id_low) &&
		read_hex(text.at + 33, &id->source);
}
