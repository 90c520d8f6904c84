/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The JSON protocol between a client and a path that are both this test's. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../lib/ingress/chunk.c"
#include "../../lib/ingress/json.c"
#include "test_rand.h"

#define INPUT_MAX 1000

/* One client of one listener on one thread. */
static struct {
	struct json_client state;
	struct sl_config_gateway config;
	struct evbuffer *input;
	bool is_connector;
	bool is_closed;
	bool is_full; /* It takes no more output. */
	char answers[8192];
	uint32_t refused[GW_REASONS];
	char why[256];
	enum gw_published publish; /* What the path says of each message, */
	uint32_t nb_until_wait;	   /* or GW_WAIT after so many. */
	uint32_t nb_published;
	char ids[1 << 16]; /* Of those, a line each. */
	struct gw_message last;
	uint64_t tokens[64];
	uint32_t nb_subscribed;
	const char *unknown;
	struct {
		char topic[64], as[64];
		bool is_there, has_begun, wants_acks;
		uint32_t nb_forgotten;
	} durable;
	const char *received; /* The id that waits. */
} fake;

void *
gw_client_state(struct gw_client *client)
{
	(void)client;
	return &fake.state;
}

struct gw_listener *
gw_client_listener(struct gw_client *client)
{
	return (struct gw_listener *)client;
}

struct gw_thread *
gw_listener_thread(struct gw_listener *listener)
{
	return (struct gw_thread *)listener;
}

struct gw_thread *
gw_client_thread(struct gw_client *client)
{
	return (struct gw_thread *)client;
}

const struct sl_config_gateway *
gw_client_config(const struct gw_client *client)
{
	(void)client;
	return &fake.config;
}

bool
gw_client_is_connector(const struct gw_client *client)
{
	(void)client;
	return fake.is_connector;
}

bool
gw_client_write(struct gw_client *client, const void *data, size_t len)
{
	size_t at = strlen(fake.answers);

	(void)client;
	if (fake.is_full)
		return false;
	assert_true(at + len < sizeof(fake.answers));
	memcpy(fake.answers + at, data, len);
	fake.answers[at + len] = '\0';
	return true;
}

void
gw_client_close(struct gw_client *client)
{
	(void)client;
	fake.is_closed = true;
}

void
gw_client_refuse(struct gw_client *client, enum gw_reason reason, const char *what,
	const void *input, size_t input_len)
{
	(void)client;
	(void)input;
	(void)input_len;
	fake.refused[reason]++;
	snprintf(fake.why, sizeof(fake.why), "%s", what);
}

uint64_t
gw_name_key(struct gw_thread *thread, const char *name, size_t len)
{
	(void)thread;
	return sl_wire_name_key_len(name, len);
}

const char *
gw_key_name(struct gw_thread *thread, uint64_t key)
{
	(void)thread;
	return key == sl_wire_name_key("server1") ? "server1" : NULL;
}

const struct gw_destination *
gw_find_destination(struct gw_thread *thread, const char *name, size_t len)
{
	static const struct gw_destination destination = {.default_class = 2};

	(void)thread;
	(void)name;
	(void)len;
	return &destination;
}

enum gw_published
gw_publish(struct gw_client *client, const struct gw_message *message, uint64_t token,
	enum gw_reason *reason)
{
	size_t len = strlen(fake.ids);

	(void)client;
	if (fake.nb_until_wait == 0)
		return GW_WAIT;
	fake.nb_until_wait--;
	fake.last = *message;
	if (fake.nb_published < 64)
		fake.tokens[fake.nb_published] = token;
	fake.nb_published++;
	assert_true(len + message->id_text_len + 2 < sizeof(fake.ids));
	sprintf(fake.ids + len, "%.*s\n", (int)message->id_text_len, message->id_text);
	if (fake.publish == GW_REFUSED)
		*reason = GW_NO_DESTINATION;
	return fake.publish;
}

struct gw_subscription *
gw_subscribe(struct gw_client *client, const char *destination, size_t len)
{
	(void)client;
	if (fake.unknown != NULL && strlen(fake.unknown) == len &&
		memcmp(fake.unknown, destination, len) == 0)
		return NULL;
	fake.nb_subscribed++;
	return malloc(1);
}

void
gw_unsubscribe(struct gw_subscription *subscription)
{
	fake.nb_subscribed--;
	free(subscription);
}

/* One durable subscription at a time. */

struct gw_durable *
gw_durable_subscribe(struct gw_client *client, const struct gw_durable_names *names,
	bool wants_acks, char *error, size_t error_len)
{
	(void)client;
	if (fake.unknown != NULL) {
		snprintf(error, error_len, "no %s", fake.unknown);
		return NULL;
	}
	assert_false(fake.durable.is_there);
	snprintf(fake.durable.topic, 64, "%.*s", (int)names->topic_len, names->topic);
	snprintf(fake.durable.as, 64, "%.*s", (int)names->as_len, names->as);
	fake.durable.is_there = true;
	fake.durable.wants_acks = wants_acks;
	return (struct gw_durable *)&fake.durable;
}

bool
gw_durable_forget(struct gw_client *client, const struct gw_durable_names *names, char *error,
	size_t error_len)
{
	(void)client;
	assert_true(names->as_len > 0 && error_len > 0);
	error[0] = '\0';
	fake.durable.nb_forgotten++;
	return true;
}

struct gw_durable *
gw_durable_find(struct gw_client *client, const char *topic, size_t len)
{
	(void)client;
	return fake.durable.is_there && strlen(fake.durable.topic) == len &&
			memcmp(fake.durable.topic, topic, len) == 0
		? (struct gw_durable *)&fake.durable
		: NULL;
}

uint32_t
gw_durable_count(const struct gw_client *client)
{
	(void)client;
	return fake.durable.is_there;
}

const char *
gw_durable_topic(const struct gw_durable *durable)
{
	(void)durable;
	return fake.durable.topic;
}

const char *
gw_durable_name(const struct gw_durable *durable)
{
	(void)durable;
	return fake.durable.as;
}

bool
gw_durable_has_begun(const struct gw_durable *durable)
{
	(void)durable;
	return fake.durable.has_begun;
}

bool
gw_durable_received(struct gw_client *client, const char *id, size_t len)
{
	(void)client;
	return fake.received != NULL && strlen(fake.received) == len &&
		memcmp(fake.received, id, len) == 0;
}

static struct gw_client *const client = (struct gw_client *)&fake;

static int
setup(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake.config.input_max = INPUT_MAX;
	fake.input = evbuffer_new();
	fake.publish = GW_ACCEPTED;
	fake.nb_until_wait = UINT32_MAX;
	return fake.input == NULL;
}

static int
teardown(void **state)
{
	struct json_subscription *s;

	(void)state;
	LIST_FOREACH(s, &fake.state.subscriptions, next)
	free(s->subscription);
	gw_json.closed(client);
	evbuffer_free(fake.input);
	return 0;
}

static void
feed(const char *text, size_t len)
{
	evbuffer_add(fake.input, text, len);
	gw_json.input(client, fake.input);
}

static void
feed_text(const char *text)
{
	feed(text, strlen(text));
}

static void
assert_answers(const char *wanted)
{
	assert_string_equal(fake.answers, wanted);
	fake.answers[0] = '\0';
}

#define REST                                                                                       \
	",\"sourceServerId\":\"server1\",\"destinationId\":\"table1\",\"messageType\":\"lunch\","  \
	"\"priority\":1,\"timestamp\":1763725200123,\"payload\":{\"a\":1}}\n"
#define MESSAGE(id) "{\"messageId\":\"" id "\"" REST

static void
test_a_message_is_published(void **state)
{
	(void)state;
	feed_text(MESSAGE("m-1"));
	assert_int_equal(fake.nb_published, 1);
	assert_int_equal(fake.last.source, sl_wire_name_key("server1"));
	assert_int_equal(fake.last.type, sl_wire_name_key("lunch"));
	assert_int_equal(fake.last.priority, 1);
	assert_int_equal(fake.last.timestamp_ns, UINT64_C(1763725200123000000));
	assert_int_equal(fake.last.destination_len, 6);
	assert_int_equal(fake.last.payload_len, 7);
	assert_string_equal(fake.ids, "m-1\n");
	/* Nobody asked for answers. */
	assert_answers("");
}

static void
test_bad_lines_cost_only_themselves(void **state)
{
	(void)state;
	feed_text(MESSAGE("m-1") "garbage\n\r\n\n{}\n" MESSAGE("m-2"));
	assert_string_equal(fake.ids, "m-1\nm-2\n");
	assert_int_equal(fake.refused[GW_BAD_INPUT], 2);
	assert_string_equal(fake.why, "messageId is missing");
	feed("{\"a\":\0}\n", 8);
	assert_string_equal(fake.why, "a NUL byte at byte 6");
	assert_int_equal(fake.refused[GW_BAD_INPUT], 3);
	assert_false(fake.is_closed);
	assert_answers("");
}

static void
test_a_line_too_long_is_skipped_without_being_kept(void **state)
{
	static char text[3 * INPUT_MAX];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 100; i++) {
		feed(text, 100);
		assert_true(evbuffer_get_length(fake.input) <= INPUT_MAX);
	}
	assert_int_equal(fake.refused[GW_TOO_LONG], 1);
	feed_text("\n" MESSAGE("m-1"));
	assert_string_equal(fake.ids, "m-1\n");
	/* In one piece with what is behind it, too. */
	text[INPUT_MAX + 1] = '\n';
	evbuffer_add(fake.input, text, INPUT_MAX + 2);
	feed_text(MESSAGE("m-2"));
	assert_int_equal(fake.refused[GW_TOO_LONG], 2);
	/* As long as may be: not JSON, but not too long. */
	text[INPUT_MAX] = '\n';
	feed(text, INPUT_MAX + 1);
	assert_int_equal(fake.refused[GW_TOO_LONG], 2);
	assert_int_equal(fake.refused[GW_BAD_INPUT], 1);
	assert_string_equal(fake.ids, "m-1\nm-2\n");
}

static void
test_what_waits_is_not_lost_and_not_taken_twice(void **state)
{
	(void)state;
	fake.nb_until_wait = 1;
	feed_text(MESSAGE("m-1") MESSAGE("m-2") MESSAGE("m-3"));
	assert_string_equal(fake.ids, "m-1\n");
	gw_json.input(client, fake.input);
	assert_string_equal(fake.ids, "m-1\n");
	fake.nb_until_wait = 2;
	gw_json.input(client, fake.input);
	assert_string_equal(fake.ids, "m-1\nm-2\nm-3\n");
	assert_int_equal(evbuffer_get_length(fake.input), 0);
}

static void
test_acks_are_for_who_asks_for_them(void **state)
{
	(void)state;
	feed_text("{\"acks\":true}\n" MESSAGE("m-\\u0031\\/"));
	/* The id as it came. */
	assert_answers("{\"acks\":true}\n{\"ack\":\"m-\\u0031\\/\"}\n");
	fake.publish = GW_PENDING;
	feed_text(MESSAGE("a") MESSAGE("b") MESSAGE("c"));
	assert_answers("");
	gw_json.published(client, fake.tokens[2], true);
	gw_json.published(client, fake.tokens[1], true);
	gw_json.published(client, fake.tokens[3], false);
	assert_answers("{\"ack\":\"b\"}\n{\"ack\":\"a\"}\n"
		       "{\"refused\":\"c\",\"reason\":\"not durable\"}\n");
	fake.publish = GW_REFUSED;
	feed_text(MESSAGE("d") "garbage\n");
	assert_answers("{\"refused\":\"d\",\"reason\":\"no such destination\"}\n"
		       "{\"error\":\"not a JSON object\"}\n");
	/* What is not acknowledged when it is not wanted any more, is not. */
	fake.publish = GW_PENDING;
	feed_text("{\"acks\":false}\n" MESSAGE("e"));
	assert_int_equal(fake.tokens[5], 0);
	gw_json.published(client, 0, true);
	assert_answers("{\"acks\":false}\n");
	/* Who does not read answers is not left waiting for one that was dropped. */
	feed_text("{\"acks\":true}\n" MESSAGE("f"));
	fake.is_full = true;
	gw_json.published(client, fake.tokens[6], true);
	assert_true(fake.is_closed);
}

static void
test_subscriptions(void **state)
{
	struct json_subscription *s;

	(void)state;
	fake.unknown = "nowhere\"\x01";
	feed_text("{\"subscribe\":\"table1\"}\n{\"subscribe\":\"table1\"}\n");
	assert_int_equal(fake.nb_subscribed, 1);
	assert_answers("");
	s = LIST_FIRST(&fake.state.subscriptions);
	gw_json.subscribed(client, s->subscription);
	assert_answers("{\"subscribed\":\"table1\"}\n");
	feed_text("{\"subscribe\":\"table1\"}\n");
	assert_answers("{\"subscribed\":\"table1\"}\n");
	assert_int_equal(fake.nb_subscribed, 1);
	feed_text("{\"subscribe\":\"nowhere\\\"\\u0001\"}\n");
	assert_answers("{\"error\":\"there is no destination nowhere\\\"\\u0001\"}\n");
	feed_text("{\"unsubscribe\":\"table1\"}\n{\"unsubscribe\":\"table1\"}\n");
	assert_answers("{\"unsubscribed\":\"table1\"}\n{\"unsubscribed\":\"table1\"}\n");
	assert_int_equal(fake.nb_subscribed, 0);
	for (int i = 0; i <= SUBSCRIPTIONS_MAX; i++) {
		char text[64];

		sprintf(text, "{\"subscribe\":\"t%d\"}\n", i);
		feed_text(text);
	}
	assert_int_equal(fake.nb_subscribed, SUBSCRIPTIONS_MAX);
	assert_answers("{\"error\":\"too many subscriptions\"}\n");
	assert_int_equal(fake.refused[GW_TOO_MANY_TOPICS], 1);
}

static void
test_the_longest_answers_fit(void **state)
{
	char name[JSON_TEXT_MAX * 6 + 1] = "", text[4096];

	(void)state;
	for (int i = 0; i < JSON_TEXT_MAX; i++)
		strcat(name, "\\u0001");
	fake.unknown = memset(text, 1, JSON_TEXT_MAX);
	text[JSON_TEXT_MAX] = '\0';
	fake.unknown = strdup(text);
	fake.config.input_max = sizeof(text);
	snprintf(text, sizeof(text), "{\"subscribe\":\"%s\"}\n", name);
	feed_text(text);
	assert_non_null(strstr(fake.answers, "there is no destination \\u0001"));
	fake.answers[0] = '\0';
	fake.publish = GW_REFUSED;
	snprintf(text, sizeof(text), "{\"acks\":true}\n{\"messageId\":\"%s\"" REST, name);
	feed_text(text);
	snprintf(text, sizeof(text),
		"{\"acks\":true}\n{\"refused\":\"%s\",\"reason\":\"no such destination\"}\n", name);
	assert_answers(text);
	free((char *)(uintptr_t)fake.unknown);
}

static void
test_message_servers_give_no_commands(void **state)
{
	(void)state;
	fake.is_connector = true;
	feed_text("{\"subscribe\":\"table1\"}\n{\"acks\":true}\n" MESSAGE("m-1"));
	assert_int_equal(fake.nb_subscribed, 0);
	assert_int_equal(fake.refused[GW_BAD_INPUT], 2);
	assert_string_equal(fake.ids, "m-1\n");
	assert_answers("");
}

static void
test_deliveries_are_lines(void **state)
{
	const struct gw_delivery delivery = {
		.destination_name = "table1",
		.source = sl_wire_name_key("server1"),
		.type = 1,
		.timestamp_ns = 5000000,
		.id_text = "m-1",
		.id_text_len = 3,
		.payload = (const uint8_t *)"{\"a\":1}",
		.payload_len = 7,
	};
	struct gw_chunk *chunk = gw_json.render((struct gw_listener *)client, &delivery);

	(void)state;
	assert_non_null(chunk);
	feed((const char *)gw_chunk_data(chunk), chunk->len);
	gw_chunk_free(chunk);
	/* It could be read again. */
	assert_string_equal(fake.ids, "m-1\n");
	assert_int_equal(fake.last.type, sl_wire_name_key("0000000000000001"));
	assert_int_equal(fake.last.priority, 2);
}

/* In whatever pieces the bytes come, and whenever the path is full, the same is published. */
static void
test_pieces_do_not_matter(void **state)
{
	struct test_rand rand;

	test_rand_init(&rand, "test_pieces_do_not_matter");
	for (int round = 0; round < 300; round++) {
		static char text[1 << 16], wanted[1 << 13];
		uint32_t nb_bad = 0, nb_long = 0;
		size_t len = 0, at = 0;

		teardown(state);
		setup(state);
		wanted[0] = '\0';
		for (int i = 0; i < 40; i++) {
			switch (test_rand_below(&rand, 6)) {
			case 0:
				len += (size_t)sprintf(text + len, "bad\n");
				nb_bad++;
				break;
			case 1:
				memset(text + len, 'x', INPUT_MAX + 1);
				len += INPUT_MAX + 1 + test_rand_below(&rand, 2);
				text[len - 1] = 'x';
				text[len++] = '\n';
				nb_long++;
				break;
			default:
				len += (size_t)sprintf(text + len, "{\"messageId\":\"%d\"" REST, i);
				sprintf(wanted + strlen(wanted), "%d\n", i);
			}
		}
		while (at < len) {
			size_t n = 1 + test_rand_below(&rand, round % 2 == 0 ? 50 : 5000);

			n = n < len - at ? n : len - at;
			fake.nb_until_wait = (uint32_t)test_rand_below(&rand, 5);
			/* Pieces that do not lie together. */
			if (n % 3 == 0)
				evbuffer_add_reference(fake.input, text + at, n, NULL, NULL);
			else
				evbuffer_add(fake.input, text + at, n);
			gw_json.input(client, fake.input);
			at += n;
		}
		fake.nb_until_wait = UINT32_MAX;
		gw_json.input(client, fake.input);
		assert_string_equal(fake.ids, wanted);
		assert_int_equal(fake.refused[GW_BAD_INPUT], nb_bad);
		assert_int_equal(fake.refused[GW_TOO_LONG], nb_long);
		assert_int_equal(evbuffer_get_length(fake.input), 0);
	}
}

static void
test_a_client_subscribes_under_a_name(void **state)
{
	struct gw_durable *durable = (struct gw_durable *)&fake.durable;

	(void)state;
	feed_text("{\"subscribe\":\"orders\",\"as\":\"kit\\u0063hen\"}\n");
	assert_string_equal(fake.durable.topic, "orders");
	assert_string_equal(fake.durable.as, "kitchen");
	assert_false(fake.durable.wants_acks);
	/* Not before it has taken effect. */
	feed_text("{\"subscribe\":\"orders\",\"as\":\"kitchen\"}\n");
	assert_answers("");
	gw_json.durable_began(client, durable);
	assert_answers("{\"subscribed\":\"orders\",\"as\":\"kitchen\"}\n");
	fake.durable.has_begun = true;
	feed_text("{\"subscribe\":\"orders\",\"as\":\"kitchen\"}\n");
	assert_answers("{\"subscribed\":\"orders\",\"as\":\"kitchen\"}\n");
	/* One at a topic: each message comes once. */
	feed_text("{\"subscribe\":\"orders\",\"as\":\"bar\"}\n{\"subscribe\":\"orders\"}\n");
	assert_answers("{\"error\":\"you subscribe to orders as kitchen: unsubscribe first\"}\n"
		       "{\"error\":\"you subscribe to orders as kitchen: unsubscribe first\"}\n");
	feed_text("{\"unsubscribe\":\"orders\"}\n");
	assert_answers(
		"{\"error\":\"you subscribe to orders as kitchen: say so in \\\"as\\\"\"}\n");
	feed_text("{\"unsubscribe\":\"orders\",\"as\":\"kitchen\"}\n");
	assert_int_equal(fake.durable.nb_forgotten, 1);
	assert_answers("");
	gw_json.durable_ended(client, durable, NULL);
	fake.durable.is_there = false;
	assert_answers("{\"unsubscribed\":\"orders\",\"as\":\"kitchen\"}\n");
	gw_json.durable_ended(client, durable, "taken");
	assert_answers("{\"error\":\"taken\"}\n");
}

static void
test_a_name_is_refused_with_the_reason(void **state)
{
	(void)state;
	feed_text("{\"as\":\"kitchen\"}\n");
	assert_string_equal(fake.why, "as is with subscribe, or with unsubscribe");
	feed_text("{\"subscribe\":\"a\",\"unsubscribe\":\"a\",\"as\":\"kitchen\"}\n");
	feed_text("{\"subscribe\":\"a\",\"as\":1}\n{\"received\":[]}\n");
	assert_int_equal(fake.refused[GW_BAD_INPUT], 4);
	assert_answers("");
	feed_text("{\"subscribe\":\"news\"}\n{\"subscribe\":\"news\",\"as\":\"kitchen\"}\n");
	assert_answers(
		"{\"error\":\"you subscribe to it without \\\"as\\\": unsubscribe first\"}\n");
	fake.unknown = "room";
	feed_text("{\"subscribe\":\"orders\",\"as\":\"kitchen\"}\n");
	assert_answers("{\"error\":\"no room\"}\n");
}

static void
test_what_is_received_is_said(void **state)
{
	(void)state;
	feed_text("{\"subscribe\":\"orders\",\"as\":\"kitchen\",\"acks\":true}\n");
	assert_true(fake.durable.wants_acks);
	/* That is not the publisher's. */
	assert_false(fake.state.wants_acks);
	fake.received = "m-1";
	feed_text("{\"received\":\"m-1\"}\n");
	assert_answers("");
	feed_text("{\"received\":\"m-2\"}\n");
	assert_answers("{\"error\":\"no message waits to be received: m-2\"}\n");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_message_is_published),
		TEST(test_bad_lines_cost_only_themselves),
		TEST(test_a_line_too_long_is_skipped_without_being_kept),
		TEST(test_what_waits_is_not_lost_and_not_taken_twice),
		TEST(test_acks_are_for_who_asks_for_them),
		TEST(test_subscriptions),
		TEST(test_the_longest_answers_fit),
		TEST(test_message_servers_give_no_commands),
		TEST(test_deliveries_are_lines),
		TEST(test_pieces_do_not_matter),
		TEST(test_a_client_subscribes_under_a_name),
		TEST(test_a_name_is_refused_with_the_reason),
		TEST(test_what_is_received_is_said),
	};

	return cmocka_run_group_tests_name("json_gateway", tests, NULL, NULL);
}
