/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "sl_http.h"

#define CLIENTS_MAX 8
#define TIMEOUT_MS  300

/* The appliance, as far as the listener knows. */
struct fake {
	struct event_base *base;
	struct sl_http *http;
	bool is_ready;
	unsigned int nb_metrics; /* Calls. */
	useconds_t metrics_us;
	size_t metrics_len;
	char shown[256]; /* The last view asked for: NAME|ARGUMENT|... */
};

static json_t *
views(void *arg)
{
	return json_pack("[{s:s,s:s,s:s}]", "name", "stats", "arguments", "", "help", "Counters.");
}

static int
show(void *arg, const char *name, const char *const *arguments, uint32_t nb, json_t **json,
	char *error, size_t error_len)
{
	struct fake *fake = arg;
	size_t used = (size_t)snprintf(fake->shown, sizeof(fake->shown), "%s", name);

	for (uint32_t i = 0; i < nb; i++)
		used += (size_t)snprintf(
			fake->shown + used, sizeof(fake->shown) - used, "|%s", arguments[i]);
	if (strcmp(name, "stats") == 0 && nb == 0) {
		*json = json_pack("{s:i}", "received", 7);
		return 0;
	}
	snprintf(error, error_len, "no view \"%s\"", name);
	if (strcmp(name, "late") == 0)
		return -EAGAIN;
	return nb > 0 ? -EINVAL : -ENOENT;
}

static int
metrics(void *arg, bool is_openmetrics, char **text, size_t *len)
{
	struct fake *fake = arg;

	fake->nb_metrics++;
	usleep(fake->metrics_us);
	*len = fake->metrics_len;
	*text = malloc(*len + 1);
	memset(*text, is_openmetrics ? 'o' : 'p', *len);
	return 0;
}

static bool
is_ready(void *arg, char *reason, size_t reason_len)
{
	snprintf(reason, reason_len, "the path is stopped");
	return ((struct fake *)arg)->is_ready;
}

static const struct sl_http_ops ops = {views, show, metrics, is_ready};

static int
setup(void **state)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	struct sl_http_params params = {
		.clients_max = CLIENTS_MAX,
		.timeout_ms = TIMEOUT_MS,
		.ops = &ops,
		.arg = fake,
	};
	char error[256] = "";

	fake->base = event_base_new();
	fake->metrics_len = 100;
	params.base = fake->base;
	assert_true(sl_ip_parse("127.0.0.1", &params.address));
	if (sl_http_create(&params, &fake->http, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	*state = fake;
	return 0;
}

static int
teardown(void **state)
{
	struct fake *fake = *state;

	sl_http_destroy(fake->http);
	event_base_free(fake->base);
	free(fake);
	return 0;
}

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
turn(struct fake *fake)
{
	event_base_loop(fake->base, EVLOOP_NONBLOCK);
	usleep(200);
}

static int
dial(struct fake *fake)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(sl_http_port(fake->http)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_true(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ||
		errno == EINPROGRESS);
	turn(fake);
	return fd;
}

/* What has come: until the other end closes, `wanted` is in it, or 5 seconds are over. */
static char *
hear(struct fake *fake, int fd, const char *wanted)
{
	static char text[1 << 20];
	uint64_t until = now_ms() + 5000;
	size_t used = 0;
	ssize_t n;

	text[0] = '\0';
	while (now_ms() < until) {
		turn(fake);
		n = recv(fd, text + used, sizeof(text) - used - 1, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		if (n < 0)
			continue;
		used += (size_t)n;
		text[used] = '\0';
		if (wanted != NULL && strstr(text, wanted) != NULL)
			break;
	}
	return text;
}

static char *
ask_raw(struct fake *fake, const char *request)
{
	int fd = dial(fake);
	char *text;

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	text = hear(fake, fd, NULL);
	close(fd);
	turn(fake);
	return text;
}

static char *
ask(struct fake *fake, const char *method, const char *path, const char *headers)
{
	char request[4096];

	snprintf(request, sizeof(request),
		"%s %s HTTP/1.1\r\nHost: here\r\nConnection: close\r\n%s\r\n", method, path,
		headers);
	return ask_raw(fake, request);
}

static char *
get(struct fake *fake, const char *path)
{
	return ask(fake, "GET", path, "");
}

static void
assert_begins(const char *text, const char *with)
{
	if (strncmp(text, with, strlen(with)) != 0)
		fail_msg("not \"%s\" but: %s", with, text);
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no \"%s\" in: %s", part, text);
}

static void
test_metrics_in_both_formats(void **state)
{
	struct fake *fake = *state;

	assert_has(get(fake, "/metrics"), "Content-Type: text/plain; version=0.0.4");
	assert_has(get(fake, "/metrics"), "\r\n\r\npppp");
	assert_has(ask(fake, "GET", "/metrics",
			   "Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n"),
		"Content-Type: application/openmetrics-text; version=1.0.0");
}

static void
test_head_has_the_length_and_no_body(void **state)
{
	char *text = ask(*state, "HEAD", "/metrics", "");

	assert_begins(text, "HTTP/1.1 200");
	assert_has(text, "Content-Length: 100\r\n");
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
}

static void
test_health_and_readiness(void **state)
{
	struct fake *fake = *state;

	assert_begins(get(fake, "/healthz"), "HTTP/1.1 200");
	assert_begins(get(fake, "/readyz"), "HTTP/1.1 503");
	assert_has(get(fake, "/readyz"), "the path is stopped");
	fake->is_ready = true;
	assert_begins(get(fake, "/readyz"), "HTTP/1.1 200");
}

static void
test_views(void **state)
{
	struct fake *fake = *state;

	assert_has(get(fake, "/api/v1/stats"), "{\"received\":7}");
	assert_has(get(fake, "/api/v1/"), "{\"views\":[{\"name\":\"stats\"");
	assert_has(get(fake, "/api/v1"), "{\"views\":[");
	assert_has(get(fake, "/api/v1/stats?x=1"), "{\"received\":7}");
	assert_has(get(fake, "/api/v1/stats"), "Cache-Control: no-store");
}

static void
test_errors_of_the_api_are_json(void **state)
{
	struct fake *fake = *state;

	assert_begins(get(fake, "/api/v1/nothing"), "HTTP/1.1 404");
	assert_has(get(fake, "/api/v1/nothing"), "{\"error\":\"no view \\\"nothing\\\"\"}");
	assert_begins(get(fake, "/api/v1/stats/x"), "HTTP/1.1 400");
	assert_begins(get(fake, "/api/v1/late"), "HTTP/1.1 503");
	assert_has(get(fake, "/api/v1/late"), "Retry-After: 1");
	assert_begins(get(fake, "/api/v2/stats"), "HTTP/1.1 404");
	assert_has(get(fake, "/api/v1/%ff"), "{\"error\":\"names are UTF-8\"}");
	assert_begins(get(fake, "/nothing"), "HTTP/1.1 404");
	assert_has(get(fake, "/nothing"), "Content-Type: text/plain");
}

static void
test_arguments_are_decoded_one_by_one(void **state)
{
	struct fake *fake = *state;

	get(fake, "/api/v1/backends/table%2F1/caf%C3%A9%20%25");
	assert_string_equal(fake->shown, "backends|table/1|caf\xc3\xa9 %");
	get(fake, "/api/v1//backends///a/");
	assert_string_equal(fake->shown, "backends|a");
	get(fake, "/api/v1/backends/../x");
	assert_string_equal(fake->shown, "backends|..|x");
	fake->shown[0] = '\0';
	assert_begins(get(fake, "/api/v1/a%00b"), "HTTP/1.1 400");
	assert_begins(get(fake, "/api/v1/a%"), "HTTP/1.1 400");
	assert_begins(get(fake, "/api/v1/a%4"), "HTTP/1.1 400");
	assert_begins(get(fake, "/api/v1/a%g1"), "HTTP/1.1 400");
	assert_begins(get(fake, "/api/v1/1/2/3/4/5/6/7/8/9"), "HTTP/1.1 400");
	assert_string_equal(fake->shown, "");
}

static void
test_events_after_an_id(void **state)
{
	struct fake *fake = *state;

	get(fake, "/api/v1/events");
	assert_string_equal(fake->shown, "events");
	get(fake, "/api/v1/events?after=41");
	assert_string_equal(fake->shown, "events|41");
	get(fake, "/api/v1/events/41");
	assert_string_equal(fake->shown, "events|41");
}

static void
test_only_get_and_head(void **state)
{
	static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"};
	struct fake *fake = *state;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		char *text = ask(fake, methods[i], "/api/v1/stats", "Content-Length: 0\r\n");

		assert_begins(text, "HTTP/1.1 405");
		assert_has(text, "Allow: GET, HEAD");
	}
	assert_begins(ask_raw(fake, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"),
		"HTTP/1.1 405");
	assert_string_equal(fake->shown, "");
}

static void
test_the_page_and_its_etag(void **state)
{
	char etag[128], header[160];
	char *text = get(*state, "/"), *at;

	assert_begins(text, "HTTP/1.1 200");
	assert_has(text, "Content-Security-Policy: default-src 'none'");
	assert_has(text, "X-Content-Type-Options: nosniff");
	at = strstr(text, "ETag: ");
	assert_non_null(at);
	assert_int_equal(sscanf(at, "ETag: %100s", etag), 1);
	snprintf(header, sizeof(header), "If-None-Match: %s\r\n", etag);
	assert_begins(ask(*state, "GET", "/", header), "HTTP/1.1 304");
	assert_begins(get(*state, "/index.html/../../etc/passwd"), "HTTP/1.1 404");
	assert_begins(get(*state, "/..%2f..%2fetc/passwd"), "HTTP/1.1 404");
}

static void
test_requests_behind_each_other_are_answered_in_turn(void **state)
{
	char *text = ask_raw(*state,
		"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
		"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n"
		"GET /api/v1/stats HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");

	assert_begins(text, "HTTP/1.1 200");
	assert_has(strstr(text, "ok\n"), "HTTP/1.1 503");
	assert_has(strstr(text, "stopped\n"), "{\"received\":7}");
}

static void
test_garbage_is_refused(void **state)
{
	static char huge[40000];

	memset(huge, 'a', sizeof(huge) - 1);
	memcpy(huge, "GET /", 5);
	assert_begins(ask_raw(*state, huge), "HTTP/1.1 4");
	assert_null(strstr(ask_raw(*state, "\x16\x03\x01\x02\r\n\r\n"), "200 OK"));
	assert_begins(ask_raw(*state, "GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 400");
	assert_begins(get(*state, "/healthz"), "HTTP/1.1 200");
}

static void
test_a_client_that_dawdles_is_closed(void **state)
{
	struct fake *fake = *state;
	uint64_t begin = now_ms();
	struct sl_http_stats stats;
	int fd = dial(fake);
	char byte;

	/* A byte now and then is not enough. */
	while (now_ms() < begin + 20000) {
		send(fd, "G", 1, MSG_NOSIGNAL);
		for (int i = 0; i < 50; i++)
			turn(fake);
		if (recv(fd, &byte, 1, 0) == 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	assert_in_range(now_ms() - begin, TIMEOUT_MS, 19999);
	close(fd);
	sl_http_get_stats(fake->http, &stats);
	assert_int_equal(stats.timeouts, 1);
}

static void
test_a_client_that_does_not_read_is_closed_and_its_answer_freed(void **state)
{
	struct fake *fake = *state;
	uint64_t until = now_ms() + 5000;
	struct sl_http_stats stats;
	int fd = dial(fake);

	fake->metrics_len = 32 << 20;
	assert_true(send(fd, "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n", 35, MSG_NOSIGNAL) == 35);
	do {
		turn(fake);
		sl_http_get_stats(fake->http, &stats);
	} while (stats.bytes == 0 && now_ms() < until);
	assert_int_equal(stats.bytes, 32 << 20);
	do {
		turn(fake);
		sl_http_get_stats(fake->http, &stats);
	} while ((stats.bytes != 0 || stats.clients != 0) && now_ms() < until);
	assert_int_equal(stats.bytes, 0);
	assert_int_equal(stats.clients, 0);
	close(fd);
}

static void
test_idle_clients_give_their_places_up(void **state)
{
	struct fake *fake = *state;
	int idle[3 * CLIENTS_MAX];
	struct sl_http_stats stats;
	uint64_t begin = now_ms();
	size_t n = sizeof(idle) / sizeof(idle[0]);

	for (size_t i = 0; i < n; i++)
		idle[i] = dial(fake);
	sl_http_get_stats(fake->http, &stats);
	assert_in_range(stats.clients, 1, CLIENTS_MAX);
	assert_begins(get(fake, "/healthz"), "HTTP/1.1 200");
	assert_in_range(now_ms() - begin, 0, 4000);
	for (size_t i = 0; i < n; i++)
		close(idle[i]);
}

static void
test_what_is_dear_is_made_once_for_all(void **state)
{
	struct fake *fake = *state;
	uint64_t begin = now_ms();

	fake->metrics_us = 100000;
	for (int i = 0; i < 20; i++)
		assert_begins(get(fake, "/metrics"), "HTTP/1.1 200");
	/* No more often than each 500 ms, however long the twenty took. */
	assert_in_range(fake->nb_metrics, 1, 1 + (now_ms() - begin) / 400);
}

static void
test_a_port_in_use_is_named(void **state)
{
	struct fake *fake = *state;
	struct sl_http_params params = {
		.base = fake->base, .clients_max = 1, .timeout_ms = 100, .ops = &ops, .arg = fake};
	struct sl_http *http = NULL;
	char error[256], port[32];

	params.port = sl_http_port(fake->http);
	assert_true(sl_ip_parse("127.0.0.1", &params.address));
	assert_int_equal(sl_http_create(&params, &http, error, sizeof(error)), -EADDRINUSE);
	snprintf(port, sizeof(port), "127.0.0.1 port %u", params.port);
	assert_has(error, port);
}

static void
test_ipv6(void **state)
{
	struct fake *fake = *state;
	struct sl_http_params params = {
		.base = fake->base, .clients_max = 4, .timeout_ms = 100, .ops = &ops, .arg = fake};
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sl_http *http = NULL;
	char error[256];
	int fd;

	assert_true(sl_ip_parse("::1", &params.address));
	assert_int_equal(sl_http_create(&params, &http, error, sizeof(error)), 0);
	address.sin6_port = htons(sl_http_port(http));
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_true(send(fd, "GET /healthz HTTP/1.0\r\n\r\n", 25, 0) == 25);
	assert_begins(hear(fake, fd, "ok\n"), "HTTP/1.1 200");
	close(fd);
	sl_http_destroy(http);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_metrics_in_both_formats),
		TEST(test_head_has_the_length_and_no_body),
		TEST(test_health_and_readiness),
		TEST(test_views),
		TEST(test_errors_of_the_api_are_json),
		TEST(test_arguments_are_decoded_one_by_one),
		TEST(test_events_after_an_id),
		TEST(test_only_get_and_head),
		TEST(test_the_page_and_its_etag),
		TEST(test_requests_behind_each_other_are_answered_in_turn),
		TEST(test_garbage_is_refused),
		TEST(test_a_client_that_dawdles_is_closed),
		TEST(test_a_client_that_does_not_read_is_closed_and_its_answer_freed),
		TEST(test_idle_clients_give_their_places_up),
		TEST(test_what_is_dear_is_made_once_for_all),
		TEST(test_a_port_in_use_is_named),
		TEST(test_ipv6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
