/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Files that gateways read: tokens, certificates and keys; now and when they are others. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/stat.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "ingress_path.h"

#define LINE ", protocol: line"

static char directory[] = "/tmp/test-ingress-XXXXXX";

/* Tokens. */

static void
write_file(const char *name, const char *text, mode_t mode, char file[256])
{
	FILE *out;

	snprintf(file, 256, "%s/%s", directory, name);
	out = fopen(file, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
	assert_int_equal(chmod(file, mode), 0);
}

static void
check_bad_tokens(const char *text, mode_t mode, const char *what)
{
	struct gw_tokens *tokens = NULL;
	char file[256], error[512] = "";

	write_file("bad-tokens", text, mode, file);
	assert_true(gw_tokens_load(file, NULL, &tokens, error, sizeof(error)) < 0);
	if (strstr(error, file) == NULL || strstr(error, what) == NULL)
		fail_msg("%s: is not about %s", error, what);
}

static void
test_tokens_that_are_no_secret_are_refused(void **state)
{
	char error[512] = "";
	struct gw_tokens *tokens;

	check_bad_tokens("secret me\n", 0644, "chmod 640");
	check_bad_tokens("secret me\n", 0620, "chmod 640");
	check_bad_tokens("secret me\nlonely\n", 0600, ":2:");
	check_bad_tokens("secret me and more\n", 0600, ":1:");
	check_bad_tokens("# nobody\n", 0600, "nobody");
	assert_int_equal(gw_tokens_load("/nowhere", NULL, &tokens, error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "/nowhere"));
	assert_int_equal(gw_tokens_load(directory, NULL, &tokens, error, sizeof(error)), -EINVAL);
}

static void
test_a_token_has_a_name(void **state)
{
	char keys[512], file[256];
	struct sl_config *other;
	int fd;

	write_file("tokens", "# who\nsecret-1 ann\n\n  secret-2\tbob\n", 0640, file);
	snprintf(keys, sizeof(keys), ", protocol: http, tokens: %s", file);
	start("listeners", keys);
	fd = dial();
	tell(fd, "T secret-1\nT secret-2\nT secret\nT secret-11\nT \n");
	HEAR(fd, "ann");
	HEAR(fd, "bob");
	HEAR(fd, "stranger");
	HEAR(fd, "stranger");
	HEAR(fd, "stranger");
	assert_int_equal(reasons("not_allowed"), 3);
	/* Others, from the next change on. */
	write_file("tokens", "secret-3 cat\n", 0640, file);
	snprintf(keys, sizeof(keys), ", address: 127.0.0.1, protocol: http, tokens: %s", file);
	other = make_config("listeners", keys, DESTINATIONS);
	sl_ingress_apply(ingress, other);
	turn_over();
	tell(fd, "T secret-1\nT secret-3\n");
	HEAR(fd, "stranger");
	HEAR(fd, "cat");
	/* A file that is of no use changes nothing. */
	write_file("tokens", "secret-4\n", 0640, file);
	sl_ingress_apply(ingress, other);
	turn_over();
	tell(fd, "T secret-3\n");
	HEAR(fd, "cat");
	sl_config_free(other);
	/* And holds up nothing. */
	snprintf(keys, sizeof(keys), ", address: 127.0.0.1, protocol: http, tokens: %s", file);
	other = make_config("listeners", keys, DESTINATIONS "  - {name: later, kind: topic}\n");
	sl_ingress_apply(ingress, other);
	turn_over();
	tell(fd, "P later a\n");
	HEAR(fd, "ok");
	sl_config_free(other);
	close(fd);
}

/* TLS. */

static void
make_certificate(const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	char file[256];
	FILE *out;

	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
		(const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	snprintf(file, sizeof(file), "%s/%s.crt", directory, name);
	out = fopen(file, "w");
	PEM_write_X509(out, certificate);
	fclose(out);
	snprintf(file, sizeof(file), "%s/%s.key", directory, name);
	out = fopen(file, "w");
	PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
	fclose(out);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

/* The gateway's thread goes on by itself: the client may wait. */
static const char *
tls_hear(SSL *ssl, size_t len)
{
	static char text[200001];
	size_t got = 0;

	while (got < len) {
		int n = SSL_read(ssl, text + got, (int)(len - got));

		assert_true(n > 0);
		got += (size_t)n;
	}
	text[len] = '\0';
	return text;
}

static void
test_tls_carries_the_same(void **state)
{
	static char lines[100 * 11 + 1];
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char keys[1024];
	SSL *ssl;
	int fd;

	snprintf(keys, sizeof(keys), LINE ", tls_certificate: %s/a.crt, tls_key: %s/a.key",
		directory, directory);
	start("listeners", keys);
	fd = dial();
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	assert_int_equal(SSL_connect(ssl), 1);
	for (int i = 0; i < 100; i++)
		strcat(lines, "P loose aa\n");
	assert_int_equal(SSL_write(ssl, lines, (int)strlen(lines)), (int)strlen(lines));
	for (int i = 0; i < 100; i++)
		assert_string_equal(tls_hear(ssl, 3), "ok\n");
	WAIT_FOR(path.nb_messages == 100);
	/* More than the socket takes at once. */
	assert_int_equal(SSL_write(ssl, "B 200000\n", 9), 9);
	tls_hear(ssl, 200000);
	assert_int_equal(SSL_write(ssl, "Q\n", 2), 2);
	assert_string_equal(tls_hear(ssl, 4), "bye\n");
	assert_int_equal(SSL_read(ssl, keys, 1), 0);
	assert_int_equal(SSL_get_error(ssl, 0), SSL_ERROR_ZERO_RETURN);
	SSL_free(ssl);
	close(fd);
	WAIT_FOR(nb_closed == 1);
	/* One that speaks in clear. */
	fd = dial();
	tell(fd, "P loose a\n");
	WAIT_FOR(reasons("tls") == 1);
	assert_int_equal(nb_connected, 1);
	close(fd);
	SSL_CTX_free(ctx);
}

/* Whose certificate the gateway shows. */
static const char *
subject_of_server(void)
{
	static char text[64];
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	X509 *certificate;
	int fd = dial();

	SSL_set_fd(ssl, fd);
	assert_int_equal(SSL_connect(ssl), 1);
	certificate = SSL_get1_peer_certificate(ssl);
	X509_NAME_oneline(X509_get_subject_name(certificate), text, sizeof(text));
	X509_free(certificate);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	return text;
}

static void
test_a_certificate_is_read_again_and_a_bad_one_is_not_taken(void **state)
{
	char keys[1024], old[256], new[256], file[256];
	struct sl_config *same;

	snprintf(keys, sizeof(keys), LINE ", tls_certificate: %s/c.crt, tls_key: %s/c.key",
		directory, directory);
	make_certificate("c");
	start("listeners", keys);
	assert_string_equal(subject_of_server(), "/CN=c");
	snprintf(keys, sizeof(keys),
		", address: 127.0.0.1, port: %u" LINE
		", tls_certificate: %s/c.crt, tls_key: %s/c.key",
		test_port, directory, directory);
	same = make_config("listeners", keys, DESTINATIONS);
	for (int i = 0; i < 2; i++) {
		snprintf(old, sizeof(old), "%s/a.%s", directory, i == 0 ? "crt" : "key");
		snprintf(new, sizeof(new), "%s/c.%s", directory, i == 0 ? "crt" : "key");
		unlink(new);
		assert_int_equal(link(old, new), 0);
	}
	sl_ingress_apply(ingress, same);
	turn_over();
	assert_string_equal(subject_of_server(), "/CN=a");
	unlink(new);
	write_file("c.key", "garbage\n", 0600, file);
	sl_ingress_apply(ingress, same);
	turn_over();
	assert_string_equal(subject_of_server(), "/CN=a");
	sl_config_free(same);
}

static void
check_bad_tls(const char *certificate, const char *key, const char *what)
{
	char file[256], keys[1024], error[1024];
	struct sl_ingress_params params = {0};

	snprintf(keys, sizeof(keys),
		", address: 127.0.0.1, port: %u" LINE ", tls_certificate: %s/%s, tls_key: %s/%s",
		free_port(), directory, certificate, directory, key);
	base = event_base_new();
	config = make_config("listeners", keys, DESTINATIONS);
	params.base = base;
	params.config = config;
	assert_int_equal(sl_ingress_create(&params, &ingress, error, sizeof(error)), -EINVAL);
	assert_null(ingress);
	snprintf(file, sizeof(file), "%s/%s", directory, what);
	if (strstr(error, file) == NULL)
		fail_msg("%s: does not name %s", error, file);
	sl_config_free(config);
	config = NULL;
	event_base_free(base);
	base = NULL;
}

static void
test_a_bad_certificate_or_key_is_named(void **state)
{
	char file[256];

	write_file("garbage", "garbage\n", 0600, file);
	check_bad_tls("missing.crt", "a.key", "missing.crt");
	check_bad_tls("garbage", "a.key", "garbage");
	check_bad_tls("a.crt", "missing.key", "missing.key");
	check_bad_tls("a.crt", "garbage", "garbage");
	check_bad_tls("a.crt", "b.key", "b.key");
}

static int
begin(void **state)
{
	assert_non_null(mkdtemp(directory));
	make_certificate("a");
	make_certificate("b");
	return path_create(state);
}

static int
end(void **state)
{
	static const char *const files[] = {"a.crt", "a.key", "b.crt", "b.key", "c.crt", "c.key",
		"garbage", "tokens", "bad-tokens"};
	char file[256];

	for (size_t i = 0; i < RTE_DIM(files); i++) {
		snprintf(file, sizeof(file), "%s/%s", directory, files[i]);
		unlink(file);
	}
	return rmdir(directory);
}

#define TEST(name) cmocka_unit_test_teardown(name, stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tokens_that_are_no_secret_are_refused),
		TEST(test_a_token_has_a_name),
		TEST(test_tls_carries_the_same),
		TEST(test_a_certificate_is_read_again_and_a_bad_one_is_not_taken),
		TEST(test_a_bad_certificate_or_key_is_named),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, begin, end);
}
