/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef CLIENT_H
#define CLIENT_H

/**
 * @file
 * A client of the control socket: one request at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control.pb-c.h"

struct sl_cli_client {
	const char *path;
	int fd; /**< -1: not connected */
	uint64_t last_id;
	/** While waiting this may be read from, too; -1: nothing. */
	int interrupt_fd;
	int stop_fd; /**< When it can be read from, waiting ends; -1: nothing. */
	/** interrupt_fd can be: read it. @return true to give up waiting */
	bool (*interrupt)(void *arg);
	void *interrupt_arg;
};

/**
 * Send a request and wait for its answer. Connects when there is no connection, or when the
 * appliance has gone since the last request.
 *
 * @param[out] response  on success; free with sluice__control__v1__response__free_unpacked()
 * @param[out] error     on failure one line
 * @return 0, even when the response tells of an error; -ENOTCONN: nobody listens; -ECONNRESET: the
 *         appliance went away before it answered; -ETIMEDOUT; -EINTR: given up; -EPROTO; -ENOMEM
 */
int sl_cli_client_request(struct sl_cli_client *client, Sluice__Control__V1__Request *request,
	uint32_t timeout_ms, Sluice__Control__V1__Response **response, char *error,
	size_t error_len);

void sl_cli_client_close(struct sl_cli_client *client);

/** Milliseconds of the monotonic clock. */
uint64_t sl_cli_now_ms(void);

/** Sleep, unless given up. @return false when it was */
bool sl_cli_client_sleep(const struct sl_cli_client *client, uint64_t until_ms);

#endif /* CLIENT_H */
