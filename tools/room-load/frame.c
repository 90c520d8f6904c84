/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "room_load.h"

#define CONNECT_S 10

/* RFC 6455, section 1.3: a key, and its answer. */
#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

void
frame_seal(uint8_t *frame, uint8_t opcode, uint32_t mask, size_t len)
{
	uint8_t *p = frame + 2, *payload;
	uint64_t wide = (uint64_t)mask << 32 | mask, word;

	frame[0] = 0x80 | opcode;
	frame[1] = (uint8_t)(0x80 | (len < 126 ? len : 126));
	if (len >= 126) {
		*p++ = (uint8_t)(len >> 8);
		*p++ = (uint8_t)len;
	}
	memcpy(p, &mask, sizeof(mask));
	payload = p + sizeof(mask);
	while (len >= sizeof(word)) {
		memcpy(&word, payload, sizeof(word));
		word ^= wide;
		memcpy(payload, &word, sizeof(word));
		payload += sizeof(word);
		len -= sizeof(word);
	}
	for (size_t i = 0; i < len; i++)
		payload[i] ^= p[i % sizeof(mask)];
}

ssize_t
frame_parse(const uint8_t *data, size_t len, struct frame *frame)
{
	size_t header = 2;
	uint64_t n;

	if (len < 2)
		return 0;
	/* No extension was agreed on, and a server masks nothing; this one sends each text whole.
	 */
	if ((data[0] & 0xf0) != 0x80 || (data[1] & 0x80) != 0)
		return -1;
	n = data[1];
	if (n == 126) {
		if (len < 4)
			return 0;
		n = (uint64_t)data[2] << 8 | data[3];
		header = 4;
	} else if (n == 127) {
		return -1;
	}
	if (len - header < n)
		return 0;
	frame->opcode = data[0] & 0x0f;
	frame->data = data + header;
	frame->len = n;
	return (ssize_t)(header + n);
}

static int
dial(const struct options *o, int receive_max)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	const struct timeval wait = {.tv_sec = CONNECT_S};
	struct addrinfo *found, *at;
	int rc = getaddrinfo(o->host, o->port, &hints, &found), fd = -1, one = 1;

	if (rc != 0) {
		fprintf(stderr, "room-load: %s: %s\n", o->host, gai_strerror(rc));
		return -1;
	}
	for (at = found; at != NULL; at = at->ai_next) {
		fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
		if (receive_max > 0)
			setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_max, sizeof(receive_max));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (connect(fd, at->ai_addr, at->ai_addrlen) == 0)
			break;
		rc = errno;
		close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	if (fd < 0)
		fprintf(stderr, "room-load: connect to %s port %s: %s; is the gateway there?\n",
			o->host, o->port, strerror(rc));
	return fd;
}

/* Behind the answer nothing comes, before somebody has joined. */
static bool
shake_hands(const struct options *o, const char *room, int fd)
{
	char text[1024];
	size_t len = 0;
	ssize_t n;
	int want = snprintf(text, sizeof(text),
		"GET %s%s HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n"
		"Sec-WebSocket-Version: 13\r\n%s%s%s\r\n",
		o->path, room, o->host, o->port, o->token != NULL ? "Authorization: Bearer " : "",
		o->token != NULL ? o->token : "", o->token != NULL ? "\r\n" : "");

	if (want >= (int)sizeof(text) || write(fd, text, (size_t)want) != want) {
		fprintf(stderr, "room-load: room %s: the request could not be sent\n", room);
		return false;
	}
	do {
		n = read(fd, text + len, sizeof(text) - 1 - len);
		len += n > 0 ? (size_t)n : 0;
		text[len] = '\0';
	} while (n > 0 && len < sizeof(text) - 1 && strstr(text, "\r\n\r\n") == NULL);
	if (strncmp(text, "HTTP/1.1 101 ", 13) == 0 && strstr(text, ACCEPT) != NULL)
		return true;
	text[strcspn(text, "\r\n")] = '\0';
	fprintf(stderr, "room-load: room %s: %s\n", room, len > 0 ? text : "no answer");
	return false;
}

int
room_connect(const struct options *o, const char *room, int receive_max)
{
	int fd = dial(o, receive_max);

	if (fd < 0)
		return -1;
	if (!shake_hands(o, room, fd) || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}
