/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "http_answer.h"
#include "ws_handshake.h"

/* Appended to the key before it is hashed: RFC 6455, section 1.3. */
#define ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

#define KEY_LEN 24

static ssize_t
refuse(struct http_request *request, unsigned int status, const char *why)
{
	request->status = status;
	request->why = why;
	return -1;
}

/* 16 bytes in base 64: 22 digits, the last of which carries two bits, and "==". */
static bool
is_key(struct gw_text key)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	if (key.len != KEY_LEN || memcmp(key.at + 22, "==", 2) != 0)
		return false;
	for (unsigned int i = 0; i < 22; i++)
		if (key.at[i] == '\0' || strchr(digits, key.at[i]) == NULL)
			return false;
	return strchr("AQgw", key.at[21]) != NULL;
}

ssize_t
ws_request_parse(const char *data, size_t len, struct http_request *request)
{
	ssize_t used = http_request_parse(data, len, request);
	struct gw_text version = request->fields[HTTP_WEBSOCKET_VERSION];

	if (used <= 0)
		return used;
	if (request->method != HTTP_GET)
		return refuse(request, 405, "a WebSocket begins with GET");
	if (request->minor == 0)
		return refuse(request, 505, "a WebSocket begins with HTTP/1.1");
	if (!request->is_websocket)
		return refuse(request, 426, "rooms speak WebSocket: Upgrade: websocket");
	if (!request->is_upgrade)
		return refuse(request, 400, "Connection does not say Upgrade");
	if (version.len != 2 || memcmp(version.at, "13", 2) != 0)
		return refuse(request, 426, "Sec-WebSocket-Version is not 13");
	if (!is_key(request->fields[HTTP_WEBSOCKET_KEY]))
		return refuse(request, 400, "Sec-WebSocket-Key is not 16 bytes in base 64");
	return used;
}

size_t
ws_answer_accept(const struct http_request *request, char answer[WS_ANSWER_MAX])
{
	unsigned char text[KEY_LEN + sizeof(ACCEPT_GUID) - 1], digest[SHA_DIGEST_LENGTH];
	char accept[4 * ((SHA_DIGEST_LENGTH + 2) / 3) + 1];

	memcpy(text, request->fields[HTTP_WEBSOCKET_KEY].at, KEY_LEN);
	memcpy(text + KEY_LEN, ACCEPT_GUID, sizeof(ACCEPT_GUID) - 1);
	SHA1(text, sizeof(text), digest);
	EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest));
	return (size_t)snprintf(answer, WS_ANSWER_MAX,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		accept);
}

/* The field an error has to come with. */
static const char *
status_field(unsigned int status)
{
	switch (status) {
	case 401:
		return "WWW-Authenticate: Bearer\r\n";
	case 405:
		return "Allow: GET\r\n";
	case 426:
		return "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
	case 503:
		return "Retry-After: 5\r\n";
	default:
		return "";
	}
}

size_t
ws_answer_refuse(unsigned int status, const char *why, char answer[WS_ANSWER_MAX])
{
	int len = snprintf(answer, WS_ANSWER_MAX,
		"HTTP/1.1 %u %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
		"Content-Length: %zu\r\nConnection: %s\r\n%s\r\n%s\n",
		status, http_status_text(status), strlen(why) + 1,
		status == 426 ? "Upgrade, close" : "close", status_field(status), why);

	return len < WS_ANSWER_MAX ? (size_t)len : WS_ANSWER_MAX - 1;
}
