/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef REQUEST_H
#define REQUEST_H

/**
 * @file
 * Requests of control.proto, packed, and the responses to them. What carries them to and fro is not
 * known here.
 */

#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <jansson.h>

#include "sl_control.h"

/* Bytes of a request, and of a response, without their length. */
#define REQUEST_MAX  (1u << 20)
#define RESPONSE_MAX (64u << 20)

/* Of the length in front of each. */
#define REQUEST_HEADER 4

/* The length that stands in front of a request. */
static inline size_t
request_length(const uint8_t header[REQUEST_HEADER])
{
	return (size_t)header[0] << 24 | (size_t)header[1] << 16 | (size_t)header[2] << 8 |
		header[3];
}

/* Who asks. */
struct request_peer {
	uid_t uid;
	pid_t pid;
};

/* Takes a response with its length in front, to free(). */
typedef void (*request_respond_t)(void *arg, uint8_t *frame, size_t len);

/* A request that is answered later. */
struct sl_request {
	TAILQ_ENTRY(sl_request) next;
	struct request_list *list; /* It is in; NULL: in none. */
	struct sl_control *control;
	uint64_t id;
	request_respond_t respond;
	void *arg;
};

/*
 * Do what a request asks for. `respond` is called once: now, then *later is NULL, or later, when
 * *later is the request's, which is gone as soon as it has been called.
 * Returns 0, or -EBADMSG when it is no request at all; then nobody is answered.
 */
int request_handle(struct sl_control *control, const struct request_peer *peer, const uint8_t *data,
	size_t len, request_respond_t respond, void *arg, struct sl_request **later);

/* Nobody waits for the answer any more. What was asked for goes on. */
void request_cancel(struct sl_request *request);

/* Answer a request that was left for later. Takes `json`; `error` only counts with a status. */
void request_done(struct sl_request *request, int status, const char *error, json_t *json);

/* A response with its length in front, to free(); NULL when memory is short. Takes `json`. */
uint8_t *response_make(uint64_t id, int status, const char *error, json_t *json, size_t *frame_len);

#endif /* REQUEST_H */
