/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TLS_H
#define TLS_H

/**
 * @file
 * TLS of clients, and of connectors' servers, on their own sockets. The gateway thread's, but for
 * what makes a context.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <openssl/ssl.h>

struct gw_client;
struct sl_config_gateway;

/** For the clients of a listener. @return NULL: it cannot be used, with one line */
SSL_CTX *gw_tls_create(const struct sl_config_gateway *config, char *error, size_t error_len);
/** The same for the servers of a connector: who shows no good certificate is refused. */
SSL_CTX *
gw_tls_create_connector(const struct sl_config_gateway *config, char *error, size_t error_len);

/** By its listener's context; whom a connector speaks to speaks second. @return false: no memory */
bool gw_tls_begin(struct gw_client *client);
/** @return 0: done, 1: goes on, -1: failed, which is counted and told */
int gw_tls_handshake(struct gw_client *client);

/** Is there what has been decrypted, or the end? The socket does not tell of it. */
bool gw_tls_has_more(const struct gw_client *client);
/** As read(): -1 with errno. */
ssize_t gw_tls_read(struct gw_client *client, void *data, size_t len);
/** @return bytes that left output; -1 with errno */
ssize_t gw_tls_flush(struct gw_client *client);

#endif /* TLS_H */
