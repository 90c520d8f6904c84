/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <event2/buffer.h>

#include "ingress.h"
#include "tls.h"

/*
 * TLS by OpenSSL on the client's own socket: 1.2 and 1.3, no renegotiation, no tickets to keep. A
 * connector's server has to show a certificate, of an authority that is trusted and for its name.
 */

#define HANDSHAKE_MS 10000u
/* Of one record. */
#define RECORD_MAX 16384

/* What OpenSSL has to say, in a line. */
static const char *
last_error(char *text, size_t len)
{
	unsigned long code = ERR_peek_last_error();

	if (code == 0)
		snprintf(text, len, "%s", errno != 0 ? strerror(errno) : "it has gone");
	else
		ERR_error_string_n(code, text, len);
	ERR_clear_error();
	return text;
}

/* @return NULL: no memory */
static SSL_CTX *
create(const SSL_METHOD *method, const char *name, char *error, size_t error_len)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	ERR_clear_error();
	if (ctx == NULL) {
		snprintf(error, error_len, "gateway %s: no memory for TLS", name);
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
			SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* Buffers of idle clients are given back. */
	SSL_CTX_set_mode(ctx,
		SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			SSL_MODE_RELEASE_BUFFERS);
	return ctx;
}

SSL_CTX *
gw_tls_create_connector(const struct sl_config_gateway *config, char *error, size_t error_len)
{
	SSL_CTX *ctx = create(TLS_client_method(), config->name, error, error_len);
	char text[256];
	int rc;

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	rc = config->tls_ca != NULL ? SSL_CTX_load_verify_file(ctx, config->tls_ca)
				    : SSL_CTX_set_default_verify_paths(ctx);
	if (rc == 1)
		return ctx;
	snprintf(error, error_len,
		"gateway %s: the certificates to trust, %s, cannot be used: %s; it has to be PEM",
		config->name, config->tls_ca != NULL ? config->tls_ca : "the system's",
		last_error(text, sizeof(text)));
	SSL_CTX_free(ctx);
	return NULL;
}

SSL_CTX *
gw_tls_create(const struct sl_config_gateway *config, char *error, size_t error_len)
{
	SSL_CTX *ctx = create(TLS_server_method(), config->name, error, error_len);
	const char *key = config->tls_key != NULL ? config->tls_key : config->tls_certificate;
	char text[256];

	if (ctx == NULL)
		return NULL;
	if (SSL_CTX_use_certificate_chain_file(ctx, config->tls_certificate) != 1)
		snprintf(error, error_len,
			"gateway %s: the certificate %s cannot be used: %s; it has to be PEM, the "
			"server's own first",
			config->name, config->tls_certificate, last_error(text, sizeof(text)));
	else if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		snprintf(error, error_len,
			"gateway %s: the key %s cannot be used: %s; it has to be PEM, without a "
			"passphrase, and that of %s",
			config->name, key, last_error(text, sizeof(text)), config->tls_certificate);
	else if (SSL_CTX_check_private_key(ctx) != 1)
		snprintf(error, error_len, "gateway %s: the key %s is not that of %s", config->name,
			key, config->tls_certificate);
	else
		return ctx;
	ERR_clear_error();
	SSL_CTX_free(ctx);
	return NULL;
}

static void
refuse(struct gw_client *client, const char *why)
{
	char text[128];

	gw_client_refuse(client, GW_TLS, why, NULL, 0);
	if (client->connection == NULL)
		return;
	snprintf(text, sizeof(text), "TLS: %.120s", why);
	gw_connection_says(client->connection, text);
}

static void
on_handshake_time(struct gw_client *client)
{
	if (!client->is_handshaking)
		return;
	refuse(client, "the handshake takes too long");
	gw_client_doom(client);
}

/* Whom we expect: the name, without which any good certificate would do. */
static bool
expect(SSL *ssl, const char *tls_name, const char *address)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	const char *from = address[0] == '[' ? address + 1 : address;
	const char *colon = strrchr(address, ':');
	char host[256];
	int len = colon != NULL ? (int)(colon - from - (from != address)) : (int)strlen(from);

	snprintf(host, sizeof(host), "%.*s", len, from);
	if (tls_name != NULL)
		snprintf(host, sizeof(host), "%s", tls_name);
	if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1)
		return true;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

bool
gw_tls_begin(struct gw_client *client)
{
	const struct gw_listener *listener = client->listener;

	client->ssl = SSL_new(listener->thread->snapshot->tls[listener->gateway->index]);
	if (client->ssl == NULL || SSL_set_fd(client->ssl, client->fd) != 1)
		return false;
	if (client->connection != NULL) {
		SSL_set_connect_state(client->ssl);
		if (!expect(client->ssl, listener->config.tls_name,
			    client->connection->server->address))
			return false;
	} else {
		SSL_set_accept_state(client->ssl);
	}
	client->is_handshaking = true;
	gw_client_after(client, HANDSHAKE_MS, on_handshake_time);
	return true;
}

static void
want_write(struct gw_client *client)
{
	if (!client->is_writing)
		client->is_writing = event_add(&client->write_event, NULL) == 0;
}

int
gw_tls_handshake(struct gw_client *client)
{
	int rc = 0, why;
	char text[256];
	long verified;

	ERR_clear_error();
	errno = 0;
	rc = SSL_do_handshake(client->ssl);
	if (rc == 1)
		return 0;
	why = SSL_get_error(client->ssl, rc);
	if (why == SSL_ERROR_WANT_READ) {
		gw_client_stop_writing(client);
		return 1;
	}
	if (why == SSL_ERROR_WANT_WRITE) {
		want_write(client);
		return 1;
	}
	verified = SSL_get_verify_result(client->ssl);
	refuse(client,
		verified != X509_V_OK ? X509_verify_cert_error_string(verified)
				      : last_error(text, sizeof(text)));
	ERR_clear_error();
	return -1;
}

bool
gw_tls_has_more(const struct gw_client *client)
{
	return client->ssl != NULL &&
		(SSL_pending(client->ssl) > 0 ||
			(SSL_get_shutdown(client->ssl) & SSL_RECEIVED_SHUTDOWN) != 0);
}

ssize_t
gw_tls_read(struct gw_client *client, void *data, size_t len)
{
	size_t done = 0;
	int rc = 0, why;

	/* Records are small: several make one turn of the protocol. */
	while (len - done >= RECORD_MAX) {
		ERR_clear_error();
		rc = SSL_read(client->ssl, (uint8_t *)data + done, RECORD_MAX);
		if (rc <= 0)
			break;
		done += (size_t)rc;
	}
	if (done > 0)
		return (ssize_t)done;
	why = SSL_get_error(client->ssl, rc);
	ERR_clear_error();
	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (why == SSL_ERROR_WANT_WRITE) {
		client->wants_write_for_read = true;
		want_write(client);
	}
	errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
	return -1;
}

ssize_t
gw_tls_flush(struct gw_client *client)
{
	struct evbuffer_iovec piece;
	size_t done = 0;
	int rc, why = SSL_ERROR_NONE;

	while (evbuffer_peek(client->output, -1, NULL, &piece, 1) > 0) {
		size_t len = RTE_MIN(piece.iov_len, (size_t)RECORD_MAX);

		/* Pieces smaller than a record are put together. */
		if (len < RECORD_MAX && evbuffer_get_length(client->output) > len) {
			len = RTE_MIN(evbuffer_get_length(client->output), (size_t)RECORD_MAX);
			piece.iov_base = evbuffer_pullup(client->output, (ev_ssize_t)len);
			if (piece.iov_base == NULL)
				break;
		}
		ERR_clear_error();
		rc = SSL_write(client->ssl, piece.iov_base, (int)len);
		if (rc <= 0) {
			why = SSL_get_error(client->ssl, rc);
			break;
		}
		evbuffer_drain(client->output, (size_t)rc);
		done += (size_t)rc;
		if (done >= GW_READ_MAX)
			break;
	}
	if (done > 0)
		return (ssize_t)done;
	ERR_clear_error();
	if (why == SSL_ERROR_WANT_READ)
		client->wants_read_for_write = true;
	errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
	return -1;
}
