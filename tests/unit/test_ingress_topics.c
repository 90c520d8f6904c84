/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Topics of gateways: who is left for a message, and when a subscription holds. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "ingress_path.h"

static void
test_what_comes_when_the_last_has_just_gone_is_counted(void **state)
{
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	tell(fd, "S sure-news\n");
	HEAR(fd, "subscribed");
	path_deliver("sure-news", 77, 1, "heard");
	HEAR(fd, "sure-news heard");
	close(fd);
	WAIT_FOR(nb_closed == 1);
	for (uint32_t i = 2; i <= 6; i++)
		path_deliver("sure-news", 77, i, "unheard");
	WAIT_FOR(path.nb_acks > 0 && path.acks[path.nb_acks - 1].cumulative == 6);
	assert_int_equal(shown("delivered"), 1);
	assert_int_equal(of_thread("undeliverable"), 5);
	/* Long after, and at most once; a queue's is the same. */
	WAIT_FOR(hooks.leaves == 1);
	path_deliver("news", 0, 0, "unheard");
	path_deliver("loose", 0, 0, "unheard");
	WAIT_FOR(of_thread("undeliverable") == 7);
}

static void
test_what_comes_again_is_not_lost(void **state)
{
	start("listeners", ", protocol: line");
	/* Nobody has subscribed: a queue's goes to another backend. */
	path_deliver("sure", 77, 1, "for another");
	path_deliver("news", 0, 0, "unheard");
	WAIT_FOR(of_thread("undeliverable") == 1);
	settle_for(20);
	assert_int_equal(of_thread("undeliverable"), 1);
}

static void
test_what_comes_for_a_client_that_is_being_closed_is_counted(void **state)
{
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	tell(fd, "S sure-news\nQ\n");
	HEAR(fd, "subscribed");
	HEAR(fd, "bye");
	path_deliver("sure-news", 77, 1, "late");
	WAIT_FOR(path.nb_acks > 0 && path.acks[path.nb_acks - 1].cumulative == 1);
	/* It is given time to read, unless this test was slow. */
	assert_int_equal(reasons("closing") + of_thread("undeliverable"), 1);
	assert_int_equal(shown("delivered"), 0);
	close(fd);
}

/*
 * Says when a subscription has taken effect. Its turn does not go on behind what it has read when
 * the test wants it so.
 */

static struct gw_protocol telling;
static _Atomic bool is_holding, is_held;

static void
on_subscribed(struct gw_client *client, struct gw_subscription *subscription)
{
	gw_client_write(client, "in effect\n", strlen("in effect\n"));
}

static void
held_input(struct gw_client *client, struct evbuffer *input)
{
	words.input(client, input);
	while (is_holding) {
		is_held = true;
		usleep(100);
	}
}

static void
start_telling(const char *keys)
{
	telling = words;
	telling.input = held_input;
	telling.subscribed = on_subscribed;
	test_protocol = &telling;
	start("listeners", keys);
}

static int
stop_telling(void **state)
{
	test_protocol = &words;
	return stop(state);
}

#define JOINED                                                                                     \
	"  - {name: news, kind: topic, backends: [{name: gateway-0, address: 10.77.0.12,"          \
	" port: 1}]}\n"
#define LEFT "  - {name: news, kind: topic}\n"

/* Until the thread has taken it over. */
static void
apply(const char *destinations)
{
	static uint32_t nb;
	struct sl_config *other;
	char text[1024], line[64];
	int fd = dial();

	snprintf(text, sizeof(text), "%s  - {name: mark%u, kind: topic}\n", destinations, ++nb);
	snprintf(line, sizeof(line), "P mark%u x\n", nb);
	other = make_config("listeners", ", address: 127.0.0.1, protocol: line", text);
	sl_ingress_apply(ingress, other);
	sl_config_free(other);
	do
		tell(fd, line);
	while (strcmp(hear_line(fd), "ok") != 0);
	close(fd);
}

static int
subscribe(const char *line)
{
	int fd = dial();

	tell(fd, line);
	HEAR(fd, "subscribed");
	return fd;
}

static void
test_a_subscription_is_not_told_of_by_what_was_before_a_leave(void **state)
{
	int fd;

	start_telling(", protocol: line");
	fd = subscribe("S news\n");
	WAIT_FOR(hooks.joins == 1);
	apply(JOINED);
	HEAR(fd, "in effect");
	close(fd);
	WAIT_FOR(hooks.leaves == 1);
	/* The path hears of the leave after this, and then of the join. */
	fd = subscribe("S news\n");
	WAIT_FOR(hooks.joins == 2);
	/* However long that takes, and whatever is asked for anew when it takes long. */
	usleep(3200 * 1000);
	hear_nothing(fd);
	apply(LEFT);
	hear_nothing(fd);
	apply(JOINED);
	HEAR(fd, "in effect");
	close(fd);
}

/* An lcore that others have the CPU of takes the change over later than it was made. */
static void
test_a_subscription_waits_for_the_lcores(void **state)
{
	struct sl_config *joined;
	int fd;

	start_telling(", protocol: line");
	joined = make_config("listeners", ", address: 127.0.0.1, protocol: line", JOINED);
	fd = subscribe("S news\n");
	WAIT_FOR(hooks.joins == 1);
	sl_ingress_prepare(ingress, joined);
	sl_config_free(joined);
	hear_nothing(fd);
	sl_ingress_in_effect(ingress);
	HEAR(fd, "in effect");
	close(fd);
}

/* What is asked for between the two is not in there. */
static void
test_what_was_prepared_before_a_leave_answers_nothing_behind_it(void **state)
{
	struct sl_config *joined;
	int fd;

	start_telling(", protocol: line");
	joined = make_config("listeners", ", address: 127.0.0.1, protocol: line", JOINED);
	fd = subscribe("S news\n");
	WAIT_FOR(hooks.joins == 1);
	sl_ingress_prepare(ingress, joined);
	sl_config_free(joined);
	close(fd);
	WAIT_FOR(hooks.leaves == 1);
	fd = subscribe("S news\n");
	WAIT_FOR(hooks.joins == 2);
	sl_ingress_in_effect(ingress);
	hear_nothing(fd);
	apply(JOINED);
	HEAR(fd, "in effect");
	close(fd);
}

#define QUEUE_JOINED                                                                               \
	"  - {name: loose, backends: [{name: gateway-0, address: 10.77.0.12, port: 1}]}\n"
#define QUEUE_LEFT "  - {name: loose, backends: [{name: b, address: 10.77.0.11, port: 1}]}\n"

/* The thread is a backend still, of the one who was there before. */
static void
test_nothing_comes_before_a_subscription_is_told_of(void **state)
{
	int fd, other;

	start_telling(", protocol: line");
	fd = subscribe("S news\n");
	tell(fd, "S loose\n");
	HEAR(fd, "subscribed");
	WAIT_FOR(hooks.joins == 2);
	apply(JOINED QUEUE_JOINED);
	HEAR(fd, "in effect");
	HEAR(fd, "in effect");
	close(fd);
	WAIT_FOR(hooks.leaves == 2);
	fd = subscribe("S news\n");
	other = subscribe("S loose\n");
	WAIT_FOR(hooks.joins == 4);
	path_deliver("news", 0, 0, "early");
	path_deliver("loose", 0, 0, "kept");
	turn_over();
	apply(LEFT QUEUE_LEFT);
	apply(JOINED QUEUE_JOINED);
	path_deliver("news", 0, 0, "late");
	HEAR(fd, "in effect");
	HEAR(fd, "news late");
	HEAR(other, "in effect");
	HEAR(other, "loose kept");
	close(fd);
	close(other);
}

static void
test_who_is_a_backend_already_is_told_when_that_is_known(void **state)
{
	int fd;

	start_telling(", protocol: line");
	apply(JOINED);
	fd = subscribe("S news\n");
	WAIT_FOR(hooks.joins == 1);
	hear_nothing(fd);
	/* Nothing has changed, and that is the answer. */
	apply(JOINED);
	HEAR(fd, "in effect");
	close(fd);
}

static void
test_a_destination_that_goes_and_comes_is_joined_again(void **state)
{
	int fd;

	start_telling(", protocol: line, topics_max: 0");
	fd = subscribe("S news\n");
	WAIT_FOR(hooks.joins == 1);
	apply(JOINED);
	HEAR(fd, "in effect");
	apply("");
	assert_int_equal(hooks.joins, 1);
	apply(LEFT);
	WAIT_FOR(hooks.joins == 2);
	/* It was away between two snapshots, of which the thread has seen the second only. */
	apply(JOINED);
	apply(LEFT);
	WAIT_FOR(hooks.joins == 3);
	apply(JOINED);
	path_deliver("news", 0, 0, "again");
	HEAR(fd, "news again");
	assert_int_equal(hooks.joins, 3);
	close(fd);
}

/* Its destination was gone just then, or had as many backends as it may have. */
static void
test_a_join_that_was_refused_is_asked_for_again(void **state)
{
	int fd;

	start_telling(", protocol: line");
	fd = subscribe("S news\n");
	WAIT_FOR(hooks.joins == 1);
	apply(LEFT);
	WAIT_FOR(hooks.joins == 2);
	apply(JOINED);
	HEAR(fd, "in effect");
	close(fd);
}

/* Topics on demand. */

static void
make(int fd, const char *line, uint32_t opens)
{
	tell(fd, line);
	HEAR(fd, "opened");
	WAIT_FOR(hooks.opens == opens);
}

static void
test_a_topic_that_has_gone_may_be_made_again(void **state)
{
	int fd;

	start("listeners", ", protocol: line, topics_max: 1");
	fd = dial();
	make(fd, "O made\n", 1);
	assert_int_equal(shown("topics_opened"), 1);
	tell(fd, "O more\n");
	HEAR(fd, "full");
	/* The file's it is none of those that were made. */
	apply("  - {name: made, kind: topic}\n");
	assert_int_equal(shown("topics_opened"), 0);
	apply("");
	make(fd, "O made\n", 2);
	assert_string_equal(hooks.opened, "made");
	/* The path had no room for it: it has its place back. */
	apply("");
	make(fd, "O more\n", 3);
	assert_int_equal(shown("topics_opened"), 1);
	close(fd);
}

static void
test_who_has_subscribed_to_one_that_goes_has_it_made_again(void **state)
{
	int fd;

	start_telling(", protocol: line");
	fd = subscribe("S news\n");
	WAIT_FOR(hooks.joins == 1);
	apply(JOINED);
	HEAR(fd, "in effect");
	apply("");
	WAIT_FOR(hooks.opens == 1);
	assert_string_equal(hooks.opened, "news");
	apply(LEFT);
	WAIT_FOR(hooks.joins == 2);
	close(fd);
}

static void
test_who_subscribes_to_one_that_goes_in_the_same_turn_has_it_made_again(void **state)
{
	struct sl_config *other;
	int fd;

	start_telling(", protocol: line");
	fd = dial();
	tell(fd, "P news x\n");
	HEAR(fd, "ok");
	is_holding = true;
	tell(fd, "S news\n");
	WAIT_FOR(is_held);
	other = make_config("listeners", ", address: 127.0.0.1, protocol: line",
		"  - {name: other, kind: topic}\n");
	sl_ingress_apply(ingress, other);
	sl_config_free(other);
	is_holding = false;
	HEAR(fd, "subscribed");
	WAIT_FOR(hooks.opens == 1);
	assert_string_equal(hooks.opened, "news");
	apply(LEFT);
	WAIT_FOR(hooks.joins == 1);
	apply(JOINED);
	HEAR(fd, "in effect");
	close(fd);
}

/* Who publishes to one that is not to be had is told so. */
static int
publish_to_what_is_not_made(int why)
{
	int fd;

	test_protocol = &gw_line;
	start("listeners", ", protocol: line, topics_max: 2");
	hooks.open_rc = why;
	fd = dial();
	tell(fd, "PUBLISH|made|x\n");
	WAIT_FOR(hooks.opens == 1);
	return fd;
}

static void
test_who_publishes_to_what_is_refused_is_answered(void **state)
{
	int fd = publish_to_what_is_not_made(-ENOSPC);

	HEAR(fd, "ERR|too many topics");
	/* For a second it is not asked again. */
	tell(fd, "PUBLISH|made|y\n");
	HEAR(fd, "ERR|too many topics");
	assert_in_range(hooks.opens, 1, 2);
	assert_int_equal(shown("topics_opened"), 0);
	close(fd);
}

static void
test_who_publishes_to_what_cannot_be_made_is_answered(void **state)
{
	int fd = publish_to_what_is_not_made(-EINVAL);

	HEAR(fd, "ERR|no such topic");
	assert_in_range(hooks.opens, 1, 2);
	close(fd);
}

static void
test_who_publishes_to_what_the_path_has_no_room_for_is_answered(void **state)
{
	int fd = publish_to_what_is_not_made(0);

	sl_ingress_apply(ingress, config);
	HEAR(fd, "ERR|too many topics");
	assert_in_range(hooks.opens, 1, 2);
	close(fd);
}

/* A listener that begins with two topics. */

static struct gw_protocol first;

static int
open_first(struct gw_listener *listener)
{
	return gw_open_first(listener, "one", 3) != 0 ? -1 : gw_open_first(listener, "two", 3);
}

static void
test_what_a_listener_begins_with_is_not_counted(void **state)
{
	int fd;

	first = words;
	first.open = open_first;
	test_protocol = &first;
	start("listeners", ", protocol: line, topics_max: 1");
	WAIT_FOR(hooks.opens == 2);
	assert_int_equal(shown("topics_opened"), 0);
	fd = dial();
	make(fd, "O made\n", 3);
	tell(fd, "O more\n");
	HEAR(fd, "full");
	apply("");
	assert_int_equal(shown("topics_opened"), 0);
	close(fd);
}

#define TEST(name)    cmocka_unit_test_teardown(name, stop)
#define TELLING(name) cmocka_unit_test_teardown(name, stop_telling)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_comes_when_the_last_has_just_gone_is_counted),
		TEST(test_what_comes_again_is_not_lost),
		TEST(test_what_comes_for_a_client_that_is_being_closed_is_counted),
		TELLING(test_a_subscription_is_not_told_of_by_what_was_before_a_leave),
		TELLING(test_a_subscription_waits_for_the_lcores),
		TELLING(test_what_was_prepared_before_a_leave_answers_nothing_behind_it),
		TELLING(test_nothing_comes_before_a_subscription_is_told_of),
		TELLING(test_who_is_a_backend_already_is_told_when_that_is_known),
		TELLING(test_a_destination_that_goes_and_comes_is_joined_again),
		TELLING(test_a_join_that_was_refused_is_asked_for_again),
		TEST(test_a_topic_that_has_gone_may_be_made_again),
		TELLING(test_who_has_subscribed_to_one_that_goes_has_it_made_again),
		TELLING(test_who_subscribes_to_one_that_goes_in_the_same_turn_has_it_made_again),
		TELLING(test_who_publishes_to_what_is_refused_is_answered),
		TELLING(test_who_publishes_to_what_cannot_be_made_is_answered),
		TELLING(test_who_publishes_to_what_the_path_has_no_room_for_is_answered),
		TELLING(test_what_a_listener_begins_with_is_not_counted),
	};

	return cmocka_run_group_tests(tests, path_create, NULL);
}
