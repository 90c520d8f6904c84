/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Durable subscribers of a gateway thread, between a naive path and naive clients. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingress_path.h"

/* Another configuration: with the subscriber "kitchen" of "sure-news" at a port; 0: with none. */
static void
apply(uint16_t port)
{
	const struct sl_config_member member = {
		.name = "kitchen",
		.port = port,
		.address = sl_ip_from_v4(rte_cpu_to_be_32(
			rte_be_to_cpu_32(sl_ip_v4(&config->ports[1].subnets[SL_IPV4].address)) +
			1)),
		.state = SL_CONFIG_READY,
		.is_durable = true,
	};
	const struct sl_config_group group = {
		.destination = "sure-news",
		.nb_members = 1,
		.members = &member,
	};
	struct sl_config *running;

	assert_true(config->ports[1].is_gateway);
	assert_int_equal(sl_config_overlay(config, &group, port != 0, &running), 0);
	sl_ingress_apply(ingress, running);
	turn_over();
	if (running != config)
		sl_config_free(running);
}

/* One that is there. @return its port */
static uint16_t
begin_as(int fd, const char *word)
{
	uint32_t joins = hooks.durable_joins;
	char line[64];

	snprintf(line, sizeof(line), "%s sure-news kitchen\n", word);
	tell(fd, line);
	WAIT_FOR(hooks.durable_joins == joins + 1);
	assert_string_equal(hooks.durable_name, "kitchen");
	assert_int_equal(hooks.durable.thread, 0);
	apply(hooks.durable.udp_port);
	HEAR(fd, "begun kitchen");
	return hooks.durable.udp_port;
}

/* The path's messages are for its client, which is connected. */
static int
start_as(const char *word)
{
	int fd;

	start("listeners", ", protocol: json");
	fd = dial();
	path.to_port = begin_as(fd, word);
	return fd;
}

static const struct sl_wire_ack *
last_ack(void)
{
	return &path.acks[path.nb_acks - 1];
}

static void
test_what_comes_to_its_port_is_for_one_client(void **state)
{
	int one, other;

	(void)state;
	start("listeners", ", protocol: json");
	one = dial();
	other = dial();
	tell(other, "S sure-news\n");
	HEAR(other, "subscribed");
	path.to_port = begin_as(one, "D");
	path_deliver("sure-news", 77, 1, "one");
	HEAR(one, "sure-news one");
	/* It comes by another ring. */
	path_deliver_bytes("sure-news", 77, 2, "two", 3, true);
	HEAR(one, "sure-news two");
	WAIT_FOR(path.nb_acks > 0 && last_ack()->cumulative == 2);
	assert_int_equal(last_ack()->session, 77);
	/* The path takes it from nobody else. */
	assert_int_equal(path.ack_ports[path.nb_acks - 1], path.to_port);
	hear_nothing(other);
	/* What is another topic's, or of no session, is not for it. */
	path_deliver("sure", 78, 1, "no");
	path_deliver("sure-news", 0, 0, "no");
	turn_over_frames(4);
	hear_nothing(one);
	assert_int_equal(of_thread("undeliverable"), 1);
	close(one);
	close(other);
}

static void
test_a_message_that_comes_shows_that_it_has_begun(void **state)
{
	int fd;

	(void)state;
	start("listeners", ", protocol: json");
	fd = dial();
	tell(fd, "D sure-news kitchen\n");
	WAIT_FOR(hooks.durable_joins == 1);
	path.to_port = hooks.durable.udp_port;
	path_deliver("sure-news", 77, 1, "one");
	HEAR(fd, "begun kitchen");
	HEAR(fd, "sure-news one");
	close(fd);
}

static void
test_what_was_sent_goes_back_when_the_client_has_gone(void **state)
{
	uint32_t acks;
	int fd;

	(void)state;
	fd = start_as("A");
	path_deliver("sure-news", 77, 1, "one");
	HEAR(fd, "sure-news one");
	close(fd);
	WAIT_FOR(hooks.durable_leaves == 1);
	assert_int_equal(hooks.durable.udp_port, path.to_port);
	/* The path would send it again at once. */
	acks = path.nb_acks;
	path_deliver("sure-news", 77, 2, "two");
	path_deliver("sure-news", 79, 1, "three");
	turn_over_frames(3);
	settle_for(150);
	assert_int_equal(path.nb_acks, acks);
	apply(0);
	WAIT_FOR(path.nb_acks == acks + 1);
	assert_int_equal(last_ack()->session, 77);
	assert_int_equal(last_ack()->cumulative + last_ack()->credit_limit, 0);
	assert_int_equal(path.ack_ports[acks], path.to_port);
	/* And whatever else was on its way. */
	path_deliver("sure-news", 79, 1, "three");
	WAIT_FOR(path.nb_acks == acks + 2);
	assert_int_equal(last_ack()->session, 79);
	assert_int_equal(last_ack()->credit_limit, 0);
	assert_int_equal(of_thread("held"), 0);
}

static void
test_a_client_has_what_it_says_it_has(void **state)
{
	int fd;

	(void)state;
	fd = start_as("A");
	path_deliver("sure-news", 77, 1, "one");
	path_deliver("sure-news", 77, 2, "two");
	HEAR(fd, "sure-news one");
	HEAR(fd, "sure-news two");
	tell(fd, "R 00000000000000010000000000000002\n");
	HEAR(fd, "received");
	WAIT_FOR(path.nb_acks > 0 && last_ack()->highest == 2);
	assert_int_equal(last_ack()->cumulative, 0);
	tell(fd, "R 00000000000000010000000000000002\nR x\nR 00000000000000010000000000000001\n");
	HEAR(fd, "unknown");
	HEAR(fd, "unknown");
	HEAR(fd, "received");
	WAIT_FOR(last_ack()->cumulative == 2);
	close(fd);
}

static void
test_a_subscriber_that_is_lost_is_told(void **state)
{
	uint16_t port;
	int fd;

	(void)state;
	start("listeners", ", protocol: json");
	fd = dial();
	port = begin_as(fd, "D");
	/* Another thread's, or port's. */
	apply(port ^ 1);
	HEAR(fd, "ended kitchen another client subscribes to sure-news as kitchen now");
	port = begin_as(fd, "D");
	apply(0);
	HEAR(fd, "ended kitchen kitchen of sure-news was forgotten, or is another client's now");
	begin_as(fd, "D");
	sl_ingress_refuse_durable(ingress, 0, hooks.durable.udp_port, "not you");
	HEAR(fd, "ended kitchen not you");
	/* Nobody leaves what is not his any more. */
	close(fd);
	WAIT_FOR(nb_closed == 1);
	settle_for(20);
	assert_int_equal(hooks.durable_leaves, 0);
	/* For nobody. */
	sl_ingress_refuse_durable(ingress, 0, port, "not you");
	sl_ingress_refuse_durable(ingress, 7, port, "not you");
	sl_ingress_refuse_durable(ingress, 0, 80, "not you");
	settle_for(5);
}

static void
test_a_port_rests_before_it_is_another_one_s(void **state)
{
	uint16_t ports[50];
	int fd;

	(void)state;
	start("listeners", ", protocol: json");
	fd = dial();
	for (uint32_t i = 0; i < RTE_DIM(ports); i++) {
		ports[i] = begin_as(fd, "D");
		assert_true(ports[i] >= GW_DURABLE_PORT);
		tell(fd, "F sure-news kitchen\n");
		WAIT_FOR(hooks.durable_forgets == i + 1);
		assert_int_equal(hooks.durable.udp_port, ports[i]);
		HEAR(fd, "ended kitchen");
		apply(0);
		for (uint32_t j = 0; j < i; j++)
			assert_int_not_equal(ports[i], ports[j]);
	}
	close(fd);
}

static void
test_what_cannot_be_is_refused(void **state)
{
	int fd;

	(void)state;
	start("listeners", ", protocol: json");
	fd = dial();
	tell(fd, "D nowhere kitchen\nD sure kitchen\nD news kitchen\nD sure-news \n");
	HEAR(fd, "there is no destination nowhere");
	assert_non_null(strstr(hear_line(fd), "sure is a queue"));
	assert_non_null(strstr(hear_line(fd), "news is at-most-once"));
	assert_non_null(strstr(hear_line(fd), "1 to 63 bytes"));
	assert_int_equal(hooks.durable_joins, 0);
	hooks.durable_error = "no room";
	tell(fd, "D sure-news kitchen\n");
	HEAR(fd, "ended kitchen no room");
	tell(fd, "F sure-news kitchen\n");
	HEAR(fd, "ended kitchen no room");
	hooks.durable_error = NULL;
	/* Whoever asks with his last word is answered. */
	tell(fd, "F sure-news kitchen\n");
	shutdown(fd, SHUT_WR);
	HEAR(fd, "ended kitchen");
	HEAR(fd, "(end)");
	close(fd);
}

static int
begin(void **state)
{
	words.keeps_half_open = true;
	return path_create(state);
}

#define TEST(name) cmocka_unit_test_teardown(name, stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_comes_to_its_port_is_for_one_client),
		TEST(test_a_message_that_comes_shows_that_it_has_begun),
		TEST(test_what_was_sent_goes_back_when_the_client_has_gone),
		TEST(test_a_client_has_what_it_says_it_has),
		TEST(test_a_subscriber_that_is_lost_is_told),
		TEST(test_a_port_rests_before_it_is_another_one_s),
		TEST(test_what_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
