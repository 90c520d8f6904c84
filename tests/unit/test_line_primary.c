/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Those who wait behind a primary, from inside: pings are never answered, and time is the test's.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CLOCK_H
static uint64_t fake_now_ms;
#define gw_now_ms() fake_now_ms

#include "../../lib/ingress/line_primary.c"

static struct {
	struct line_listener listener;
	struct sl_config_gateway config;
	struct line_client own;
	struct event_base *base;
	uint32_t nb_pings;
	uint32_t nb_released;
	char published[64]; /* Payloads that were due. */
} fake;

/* What it is linked to otherwise. */

void *
gw_client_state(struct gw_client *client)
{
	(void)client;
	return &fake.own;
}

struct gw_listener *
gw_client_listener(struct gw_client *client)
{
	return (struct gw_listener *)client;
}

void *
gw_listener_state(struct gw_listener *listener)
{
	(void)listener;
	return &fake.listener;
}

const struct sl_config_gateway *
gw_listener_config(const struct gw_listener *listener)
{
	(void)listener;
	return &fake.config;
}

struct gw_thread *
gw_listener_thread(struct gw_listener *listener)
{
	return (struct gw_thread *)listener;
}

struct gw_client *
gw_listener_own_client(struct gw_listener *listener)
{
	return (struct gw_client *)listener;
}

void
gw_listener_tell(struct gw_listener *listener, enum sl_config_level level, const char *kind,
	json_t *fields, const char *format, ...)
{
	(void)listener;
	(void)level;
	(void)kind;
	(void)format;
	json_decref(fields);
}

struct event_base *
gw_thread_base(struct gw_thread *thread)
{
	(void)thread;
	return fake.base;
}

struct evdns_base *
gw_thread_dns(struct gw_thread *thread)
{
	(void)thread;
	return NULL;
}

uint64_t
gw_thread_unix_ns(const struct gw_thread *thread)
{
	(void)thread;
	return 1;
}

const char *
gw_thread_directory(const struct gw_thread *thread)
{
	(void)thread;
	return NULL;
}

uint64_t
gw_name_key(struct gw_thread *thread, const char *name, size_t len)
{
	(void)thread;
	(void)name;
	return len;
}

void
gw_client_after(struct gw_client *client, uint32_t ms, void (*call)(struct gw_client *client))
{
	(void)client;
	(void)ms;
	(void)call;
}

enum gw_published
line_publish(struct gw_client *client, uint64_t source, const uint64_t id[2], const char *topic,
	size_t topic_len, const char *payload, size_t payload_len, uint64_t token,
	enum gw_reason *reason)
{
	(void)client;
	(void)source;
	(void)id;
	(void)topic;
	(void)topic_len;
	(void)token;
	(void)reason;
	strncat(fake.published, payload, payload_len);
	return GW_ACCEPTED;
}

void
line_release(struct line_client *client)
{
	client->hold = LINE_NOT_HELD;
	fake.nb_released++;
}

struct line_ping *
line_ping_begin(struct event_base *base, struct evdns_base *dns, const char *address,
	void (*done)(void *arg, enum line_pinged result, const char *error), void *arg)
{
	(void)base;
	(void)dns;
	(void)address;
	(void)done;
	(void)arg;
	fake.nb_pings++;
	return NULL;
}

void
line_ping_cancel(struct line_ping *ping)
{
	(void)ping;
}

/* As line.c does. */
static bool
publish(struct line_client *state)
{
	if (state->is_let_go || line_primary_may_publish(fake.listener.primary, state))
		return true;
	state->hold = LINE_BEHIND;
	return false;
}

static void
close_client(struct line_client *state)
{
	if (state->hold == LINE_BEHIND)
		line_primary_forget(fake.listener.primary, state);
}

static int
start(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake_now_ms = 1000000;
	fake.config.name = (char *)(uintptr_t) "broker";
	fake.config.primary = (char *)(uintptr_t) "127.0.0.1:1";
	fake.listener.listener = (struct gw_listener *)&fake;
	fake.base = event_base_new();
	fake.listener.primary = line_primary_create(&fake.listener);
	assert_non_null(fake.listener.primary);
	look(fake.listener.primary);
	assert_int_equal(fake.nb_pings, 1);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	line_primary_destroy(fake.listener.primary);
	event_base_free(fake.base);
	return 0;
}

/* All tries but the last have failed, and that one is under way for too long, which nobody has seen
 * yet. */
static void
stand_still_in_the_last_ping(void)
{
	while (fake.nb_pings < LINE_TRIES) {
		fake_now_ms += LINE_PONG_MS;
		look(fake.listener.primary);
		fake_now_ms += LINE_PING_MS;
		look(fake.listener.primary);
	}
	assert_false(fake.listener.primary->standin.leads);
	fake_now_ms += LINE_PONG_MS;
}

static void
who_waits_is_let_go_when_the_primary_is_found_dead(void **state)
{
	struct line_client publisher = {0};

	(void)state;
	assert_false(publish(&publisher));
	stand_still_in_the_last_ping();
	assert_int_equal(fake.nb_released, 0);
	look(fake.listener.primary);
	assert_int_equal(fake.nb_released, 1);
	assert_true(publish(&publisher));
	assert_true(TAILQ_EMPTY(&fake.listener.primary->behind));
}

static void
who_finds_the_primary_dead_is_not_held(void **state)
{
	struct line_client before = {0}, publisher = {0};

	(void)state;
	assert_false(publish(&before));
	assert_true(line_primary_replicate(fake.listener.primary, "news", 4, "kept", 4));
	stand_still_in_the_last_ping();
	assert_true(publish(&publisher));
	/* What was kept has gone out before. */
	assert_string_equal(fake.published, "kept");
	assert_int_equal(before.hold, LINE_NOT_HELD);
	assert_int_equal(publisher.hold, LINE_NOT_HELD);
	assert_true(TAILQ_EMPTY(&fake.listener.primary->behind));
	close_client(&publisher);
	close_client(&before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_waits_is_let_go_when_the_primary_is_found_dead),
		TEST(who_finds_the_primary_dead_is_not_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
