/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Gateways between a naive path and naive clients: what is published, and what is delivered. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingress_path.h"

static void
test_messages_of_one_turn_share_a_datagram(void **state)
{
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	tell(fd, "P loose one\nP loose id-two\nP loose three\n");
	HEAR(fd, "ok");
	HEAR(fd, "ok");
	HEAR(fd, "ok");
	WAIT_FOR(path.nb_messages == 3);
	assert_int_equal(path.datagrams, 1);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(path.messages[i].session, 0);
		assert_int_equal(path.messages[i].sequence, 0);
		assert_int_equal(path.messages[i].flags, 0);
		assert_int_equal(path.messages[i].destination, sl_wire_name_key("loose"));
		assert_int_equal(path.messages[i].source, 5);
		assert_int_equal(path.messages[i].type, 6);
		assert_int_equal(path.messages[i].priority, 2);
	}
	assert_string_equal(path.messages[0].payload, "one");
	assert_string_equal(path.messages[0].id_text, "");
	assert_int_equal(path.messages[0].id_low, 2);
	assert_string_equal(path.messages[1].payload, "id-two");
	assert_string_equal(path.messages[1].id_text, "id-two");
	/* XXH3-128 of "id-two", by another implementation. */
	assert_int_equal(path.messages[1].id_high, UINT64_C(0x5057a17f4b2efc75));
	assert_int_equal(path.messages[1].id_low, UINT64_C(0xbce0ca548d7ac12c));
	close(fd);
}

/* 19 bytes of a datagram's head, 3 and 73 of a message's, and 3 of its payload's. */
#define HEADERS (28 + 19 + 3 + 73 + 3)

/* Publish so many bytes and wait for the answer. */
static void
publish_bytes(int fd, const char *destination, int len, const char *answer)
{
	static char line[PATH_MTU + 64], text[PATH_MTU];

	memset(text, 'x', sizeof(text));
	snprintf(line, sizeof(line), "P %s %.*s\n", destination, len, text);
	tell(fd, line);
	HEAR(fd, answer);
}

static void
test_a_datagram_is_no_longer_than_a_frame_holds(void **state)
{
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	publish_bytes(fd, "loose", 800, "ok");
	publish_bytes(fd, "loose", 800, "ok");
	/* What fills a small buffer to the last byte, and a large one. */
	publish_bytes(fd, "loose", PATH_SMALL - HEADERS, "ok");
	publish_bytes(fd, "loose", PATH_SMALL - HEADERS + 1, "ok");
	publish_bytes(fd, "loose", PATH_MTU - HEADERS, "ok");
	publish_bytes(fd, "loose", PATH_MTU - HEADERS + 1, "refused too_long");
	WAIT_FOR(path.nb_messages == 5);
	assert_int_equal(path.datagrams, 5);
	assert_int_equal(path.messages[4].payload_len, PATH_MTU - HEADERS);
	assert_int_equal(reasons("too_long"), 1);
	close(fd);
}

/* So many messages of this length until the answer is another. @return how many */
static uint32_t
publish_until(int fd, const char *destination, const char *answer, const char *last)
{
	static char line[5000 + 64], text[5000];
	uint32_t n = 0;

	memset(text, 'x', sizeof(text));
	snprintf(line, sizeof(line), "P %s %.*s\n", destination, (int)sizeof(text), text);
	for (;;) {
		const char *heard;

		tell(fd, line);
		heard = hear_line(fd);
		if (strcmp(heard, last) == 0)
			return n;
		assert_string_equal(heard, answer);
		assert_true(++n < PATH_LARGE);
	}
}

#define SURE (PATH_LARGE / 8)

/* Large ones, before time has gone by in which those are sent again that nobody acknowledges. */
static void
publish_sure(int fd)
{
	static char lines[SURE * 5100];
	char *to = lines;

	for (uint32_t i = 0; i < SURE; i++) {
		to += sprintf(to, "P sure ");
		memset(to, 'x', 5000);
		to += 5000;
		*to++ = '\n';
	}
	*to = '\0';
	tell(fd, lines);
	for (uint32_t i = 0; i < SURE; i++)
		HEAR(fd, "pending");
}

static void
test_large_messages_do_not_take_all_buffers(void **state)
{
	uint32_t loose;
	int fd, other;

	start("listeners", ", protocol: line");
	fd = dial();
	other = dial();
	path.is_standing = true;
	loose = publish_until(fd, "loose", "ok", "refused no_buffer");
	assert_in_range(loose, PATH_LARGE / 4, PATH_LARGE / 2 + 2);
	/* What is to be durable may take more; short ones go on. */
	publish_sure(fd);
	assert_int_equal(reasons("no_buffer"), 1);
	publish_bytes(other, "loose", 100, "ok");
	publish_bytes(other, "sure", 100, "pending");
	path.is_standing = false;
	WAIT_FOR(path.nb_messages >= loose + SURE + 2);
	publish_bytes(other, "loose", 5000, "ok");
	close(fd);
	close(other);
}

static void
test_a_long_message_from_the_path_comes_in_one_piece(void **state)
{
	static char big[8000];
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	tell(fd, "S news\n");
	HEAR(fd, "subscribed");
	memset(big, 'z', sizeof(big));
	path_deliver_bytes("news", 0, 0, big, sizeof(big), true);
	assert_int_equal(strlen(hear_line(fd)), 5 + sizeof(big));
	close(fd);
}

static void
test_durable_is_told_when_it_is_acknowledged(void **state)
{
	uint64_t session;
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	tell(fd, "P sure a\nP sure b\n");
	HEAR(fd, "pending");
	HEAR(fd, "pending");
	WAIT_FOR(path.nb_messages == 2);
	session = path.messages[0].session;
	assert_int_not_equal(session, 0);
	assert_int_equal(path.messages[1].session, session);
	assert_int_equal(path.messages[0].sequence, 1);
	assert_int_equal(path.messages[1].sequence, 2);
	assert_int_equal(path.messages[0].flags, SL_WIRE_FLAG_ACK);
	assert_int_equal(shown("durable"), 0);
	path_ack(session, 1, 64);
	HEAR(fd, "durable 0");
	path_ack(session, 2, 64);
	HEAR(fd, "durable 1");
	assert_int_equal(shown("durable"), 2);
	close(fd);
}

static void
test_what_is_lost_is_sent_again(void **state)
{
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	tell(fd, "P sure a\n");
	WAIT_FOR(path.nb_repeats > 0);
	assert_int_equal(path.nb_messages, 1);
	assert_int_equal(path.messages[0].sequence, 1);
	assert_string_equal(path.messages[0].payload, "a");
	path_ack(path.messages[0].session, 1, 64);
	HEAR(fd, "pending");
	HEAR(fd, "durable 0");
	close(fd);
}

static void
test_a_refused_session_begins_anew_with_the_same_ids(void **state)
{
	uint64_t first;
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	tell(fd, "P sure id-a\nP sure id-b\n");
	WAIT_FOR(path.nb_messages == 2);
	first = path.messages[0].session;
	path.nb_messages = 0;
	path_ack(first, 0, 0);
	WAIT_FOR(path.nb_messages >= 2 && path.messages[path.nb_messages - 1].session != first);
	WAIT_FOR(path.messages[path.nb_messages - 1].sequence == 2);
	assert_string_equal(path.messages[path.nb_messages - 2].id_text, "id-a");
	assert_string_equal(path.messages[path.nb_messages - 1].id_text, "id-b");
	path_ack(path.messages[path.nb_messages - 1].session, 2, 64);
	HEAR(fd, "pending");
	HEAR(fd, "pending");
	HEAR(fd, "durable 0");
	HEAR(fd, "durable 1");
	close(fd);
}

static void
test_a_client_waits_for_credit_and_goes_on(void **state)
{
	uint64_t session;
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	for (uint32_t i = 0; i < 100; i++)
		tell(fd, "P sure x\n");
	WAIT_FOR(path.nb_messages >= 64);
	session = path.messages[0].session;
	WAIT_FOR(shown("waits") > 0);
	turn_over();
	for (uint32_t i = 0; i < path.nb_messages; i++)
		assert_true(path.messages[i].sequence <= 64);
	assert_int_equal(shown("accepted"), 64);
	path_ack(session, 64, 4096);
	WAIT_FOR(path.messages[path.nb_messages - 1].sequence == 100);
	path_ack(session, 100, 4096);
	WAIT_FOR(shown("durable") == 100);
	close(fd);
}

static void
test_a_path_that_takes_nothing_makes_clients_wait(void **state)
{
	uint32_t sent = 0;
	ssize_t n;
	char lines[4096];
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	fcntl(fd, F_SETFL, O_NONBLOCK);
	path.is_standing = true;
	/* Lines that fill a frame each: the ring, and what the gateway holds, are full soon. */
	memset(lines, 'y', sizeof(lines));
	memcpy(lines, "P loose ", 8);
	lines[1299] = '\n';
	while (shown("waits") == 0) {
		n = send(fd, lines, 1300, MSG_NOSIGNAL);
		sent += n > 0 ? 1 : 0;
		/* The last one is cut off. */
		if (n > 0 && n < 1300)
			break;
		/* No more on its way than there are places for, of what is taken in the end. */
		WAIT_FOR(n < 0 || shown("waits") > 0 || shown("accepted") + 64 >= sent);
		assert_true(sent < 4000);
	}
	WAIT_FOR(shown("waits") > 0);
	assert_true(shown("accepted") <= PATH_RING + GW_LINK_READY);
	assert_true(sent > PATH_RING);
	path.is_standing = false;
	WAIT_FOR(path.nb_messages + 1 >= sent);
	close(fd);
}

static void
test_what_does_not_come_back_holds_back_what_goes_in(void **state)
{
	static char lines[12000 * 9 + 1];
	struct sl_config *other;
	uint64_t begin;
	int fd;

	start("listeners", ", protocol: line, output_max: 1M");
	other = make_config("listeners", ", address: 127.0.0.1, protocol: line, output_max: 1M",
		"  - {name: news, kind: topic, backends: [{name: gateway-0, address: 10.77.0.12,"
		" port: 1}]}\n");
	sl_ingress_apply(ingress, other);
	fd = dial();
	do
		tell(fd, "P loose x\n");
	while (strcmp(hear_line(fd), "refused no_destination") != 0);
	for (uint32_t i = 0; i < 12000; i++)
		memcpy(lines + i * 9, "P news x\n", 10);
	/* With a subscriber the thread's naps are short, and its clock is not behind. */
	tell(fd, "S news\n");
	HEAR(fd, "subscribed");
	WAIT_FOR(hooks.joins == 1);
	path.is_standing = true;
	begin = now_ms();
	tell(fd, lines);
	/* The last of them when it is clear that the first were dropped on their way. */
	WAIT_FOR(shown("accepted") >= 12000);
	assert_true(now_ms() - begin >= 90);
	assert_true(shown("waits") > 0);
	sl_config_free(other);
	close(fd);
}

static void
test_messages_to_a_destination_that_goes_are_given_up(void **state)
{
	struct sl_config *other;
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	tell(fd, "P sure a\n");
	HEAR(fd, "pending");
	other = make_config("listeners", ", address: 127.0.0.1, protocol: line",
		"  - {name: loose, backends: [{name: b, address: 10.77.0.11, port: 1}]}\n");
	sl_ingress_apply(ingress, other);
	HEAR(fd, "lost 0");
	tell(fd, "P sure b\n");
	HEAR(fd, "refused no_destination");
	tell(fd, "P loose c\n");
	HEAR(fd, "ok");
	sl_config_free(other);
	close(fd);
}

static void
test_what_a_client_that_is_gone_published_is_seen_through(void **state)
{
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	tell(fd, "P sure a\n");
	HEAR(fd, "pending");
	WAIT_FOR(path.nb_messages >= 1);
	close(fd);
	settle_for(10);
	path_ack(path.messages[0].session, 1, 64);
	WAIT_FOR(shown("durable") == 1);
	WAIT_FOR(nb_closed == 1);
}

static void
test_a_topic_goes_to_all_and_is_acknowledged(void **state)
{
	int a, b;

	start("listeners", ", protocol: line");
	a = dial();
	b = dial();
	tell(a, "S sure-news\n");
	HEAR(a, "subscribed");
	WAIT_FOR(hooks.joins == 1);
	assert_string_equal(hooks.joined, "sure-news");
	tell(b, "S sure-news\n");
	HEAR(b, "subscribed");
	path_deliver("sure-news", 77, 1, "one");
	HEAR(a, "sure-news one");
	HEAR(b, "sure-news one");
	/* It comes by another ring. */
	path_deliver_bytes("sure-news", 77, 2, "two", 3, true);
	HEAR(a, "sure-news two");
	HEAR(b, "sure-news two");
	WAIT_FOR(path.nb_acks > 0 && path.acks[path.nb_acks - 1].cumulative == 2);
	assert_int_equal(path.acks[path.nb_acks - 1].session, 77);
	assert_int_equal(hooks.joins, 1);
	assert_int_equal(shown("delivered"), 4);
	/* A second time it is acknowledged, and not delivered. */
	path_deliver("sure-news", 77, 2, "two");
	hear_nothing(a);
	close(a);
	close(b);
	WAIT_FOR(hooks.leaves == 1);
	assert_string_equal(hooks.left, "sure-news");
}

static void
test_messages_of_a_session_come_in_its_order(void **state)
{
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	tell(fd, "S sure-news\n");
	HEAR(fd, "subscribed");
	path_deliver("sure-news", 77, 1, "one");
	path_deliver("sure-news", 77, 3, "three");
	HEAR(fd, "sure-news one");
	hear_nothing(fd);
	/* The sender hears that it lacks what is in the gap, and what came behind it. */
	WAIT_FOR(path.nb_acks > 0 && path.acks[path.nb_acks - 1].cumulative == 1 &&
		path.acks[path.nb_acks - 1].highest == 3);
	path_deliver("sure-news", 77, 2, "two");
	path_deliver("sure-news", 77, 3, "three");
	HEAR(fd, "sure-news two");
	HEAR(fd, "sure-news three");
	WAIT_FOR(path.nb_acks > 0 && path.acks[path.nb_acks - 1].cumulative == 3);
	/* Of one that began long ago nothing is known: it is refused. */
	path_deliver("sure-news", 78, 5000, "late");
	WAIT_FOR(path.acks[path.nb_acks - 1].session == 78);
	assert_int_equal(path.acks[path.nb_acks - 1].credit_limit, 0);
	close(fd);
}

static void
test_who_does_not_want_a_message_does_not_get_it(void **state)
{
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	tell(fd, "S news\n");
	HEAR(fd, "subscribed");
	path_deliver("news", 0, 0, "!one");
	path_deliver("news", 0, 0, "two");
	HEAR(fd, "news two");
	tell(fd, "U news\n");
	HEAR(fd, "unsubscribed");
	path_deliver("news", 0, 0, "three");
	hear_nothing(fd);
	close(fd);
}

static void
test_a_queue_goes_round(void **state)
{
	char text[16];
	int a, b;

	start("listeners", ", protocol: line");
	a = dial();
	b = dial();
	tell(a, "S sure\n");
	HEAR(a, "subscribed");
	tell(b, "S sure\n");
	HEAR(b, "subscribed");
	for (uint32_t i = 1; i <= 4; i++) {
		snprintf(text, sizeof(text), "%u", i);
		path_deliver("sure", 77, i, text);
	}
	HEAR(a, "sure 1");
	HEAR(b, "sure 2");
	HEAR(a, "sure 3");
	HEAR(b, "sure 4");
	WAIT_FOR(path.nb_acks > 0 && path.acks[path.nb_acks - 1].cumulative == 4);
	close(a);
	close(b);
}

/* Fill all that is between the gateway and a client that does not read, and so much more. */
static void
fill_up(int fd, uint64_t bytes)
{
	uint64_t said = shown("bytes_in"), waiting = 0;

	while (waiting < bytes) {
		tell(fd, "B 30000\n");
		said += 8;
		WAIT_FOR(shown("bytes_in") == said);
		turn_over();
		waiting = of_thread("buffered_bytes");
		if (waiting < bytes)
			continue;
		/* It has not been on its way only. */
		settle_for(30);
		waiting = of_thread("buffered_bytes");
	}
	assert_in_range(waiting, bytes, bytes + 30000);
}

static int
dial_slow(void)
{
	const struct linger at_once = {.l_onoff = 1};
	const int small = 4096;
	int fd = dial();

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	return fd;
}

#define BIG 1200 /* Of a message: few find room in a socket. */

static int
subscribe_slowly(void)
{
	int fd = dial_slow();

	tell(fd, "S sure\n");
	HEAR(fd, "subscribed");
	return fd;
}

static void
deliver_big(uint32_t number)
{
	char big[BIG];

	memset(big, 'z', sizeof(big));
	path_deliver_bytes("sure", 77, number, big, sizeof(big), false);
}

static void
hear_big(int fd, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(strlen(hear_line(fd)), 5 + BIG);
}

static void
test_a_client_of_a_queue_that_does_not_read_is_given_no_more(void **state)
{
	uint32_t n = 0;
	int a, b;

	start("listeners", ", protocol: line");
	a = subscribe_slowly();
	fill_up(a, GW_QUEUE_AHEAD);
	while (n < 100) {
		deliver_big(++n);
		pump();
	}
	turn_over_frames(n);
	assert_int_equal(path.nb_acks, 0);
	assert_int_equal(of_thread("held"), n);
	b = dial();
	tell(b, "S sure\n");
	HEAR(b, "subscribed");
	hear_big(b, n);
	WAIT_FOR(path.nb_acks > 0 && path.acks[path.nb_acks - 1].cumulative == n);
	close(a);
	close(b);
}

static void
test_what_a_client_was_given_of_a_queue_goes_to_another_when_it_goes(void **state)
{
	uint32_t n = 30;
	int a, b;

	start("listeners", ", protocol: line");
	a = subscribe_slowly();
	b = dial();
	tell(b, "S sure\n");
	HEAR(b, "subscribed");
	fill_up(a, 20000);
	for (uint32_t i = 1; i <= n; i++)
		deliver_big(i);
	turn_over_frames(n);
	assert_in_range(of_thread("held"), 1, n);
	assert_true(path.nb_acks == 0 || path.acks[path.nb_acks - 1].cumulative < n);
	close(a);
	hear_big(b, n);
	WAIT_FOR(path.nb_acks > 0 && path.acks[path.nb_acks - 1].cumulative == n);
	assert_in_range(shown("returned"), 1, n);
	assert_int_equal(of_thread("held"), 0);
	close(b);
}

static void
test_a_client_of_a_queue_that_does_not_read_is_closed_however_much_it_says(void **state)
{
	uint32_t n = 30;
	int a, b;

	start("listeners", ", protocol: line");
	a = subscribe_slowly();
	fill_up(a, 20000);
	for (uint32_t i = 1; i <= n; i++)
		deliver_big(i);
	turn_over_frames(n);
	b = dial();
	tell(b, "S sure\n");
	HEAR(b, "subscribed");
	WAIT_FOR((send(a, "x", 1, MSG_NOSIGNAL), nb_closed == 1));
	hear_big(b, n);
	assert_int_equal(shown("returned"), n);
	assert_in_range(reasons("output_full"), 1, 2);
	close(a);
	close(b);
}

/* Between the last and the next, the path does not know it yet. */
static void
test_what_nobody_was_there_for_comes_again_in_its_session(void **state)
{
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	tell(fd, "S sure\n");
	HEAR(fd, "subscribed");
	path_deliver("sure", 77, 1, "one");
	HEAR(fd, "sure one");
	WAIT_FOR(path.nb_acks > 0 && path.acks[path.nb_acks - 1].cumulative == 1);
	close(fd);
	WAIT_FOR(hooks.leaves == 1);
	for (uint32_t i = 2; i <= 20; i++)
		path_deliver("sure", 77, i, "more");
	turn_over_frames(20);
	fd = dial();
	tell(fd, "S sure\n");
	HEAR(fd, "subscribed");
	for (uint32_t i = 2; i <= 20; i++) {
		path_deliver("sure", 77, i, "more");
		HEAR(fd, "sure more");
		WAIT_FOR(path.acks[path.nb_acks - 1].cumulative == i);
	}
	assert_int_equal(path.acks[path.nb_acks - 1].highest, 20);
	close(fd);
}

static void
test_what_nobody_is_left_for_is_asked_for_in_another_session(void **state)
{
	static char big[1200];
	int a;

	start("listeners", ", protocol: line");
	a = dial_slow();
	tell(a, "S sure\n");
	HEAR(a, "subscribed");
	fill_up(a, 20000);
	memset(big, 'z', sizeof(big));
	for (uint32_t i = 1; i <= 3; i++)
		path_deliver_bytes("sure", 77, i, big, sizeof(big), false);
	turn_over_frames(3);
	assert_int_equal(path.nb_acks, 0);
	close(a);
	WAIT_FOR(hooks.leaves == 1);
	WAIT_FOR(path.nb_acks > 0);
	assert_int_equal(path.acks[0].session, 77);
	assert_int_equal(path.acks[0].cumulative, 0);
	assert_int_equal(path.acks[0].credit_limit, 0);
	assert_int_equal(of_thread("held"), 0);
}

static void
test_a_topic_is_made_on_demand(void **state)
{
	const struct sl_config_group made = {.destination = "made"};
	struct sl_config *other, *running;
	int fd;

	start("listeners", ", protocol: line, topics_max: 1");
	fd = dial();
	tell(fd, "O made\n");
	HEAR(fd, "opened");
	tell(fd, "S made\n");
	HEAR(fd, "subscribed");
	tell(fd, "P made a\n");
	WAIT_FOR(hooks.opens == 1);
	assert_string_equal(hooks.opened, "made");
	assert_int_equal(hooks.joins, 0);
	other = make_config(
		"listeners", ", address: 127.0.0.1, protocol: line, topics_max: 1", DESTINATIONS);
	assert_int_equal(sl_config_overlay(other, &made, 1, &running), 0);
	sl_ingress_apply(ingress, running);
	HEAR(fd, "ok");
	WAIT_FOR(hooks.joins == 1);
	assert_string_equal(hooks.joined, "made");
	tell(fd, "O other\n");
	HEAR(fd, "full");
	tell(fd, "O made\n");
	HEAR(fd, "opened");
	sl_config_free(running);
	sl_config_free(other);
	close(fd);
}

static void
test_a_topic_that_cannot_be_made_is_none(void **state)
{
	int fd;

	start("listeners", ", protocol: line, topics_max: 1");
	hooks.open_rc = -ENOSPC;
	fd = dial();
	tell(fd, "O made\nP made a\n");
	HEAR(fd, "opened");
	WAIT_FOR(hooks.opens == 1);
	HEAR(fd, "refused no_destination");
	/* It does not count for the bound. */
	hooks.open_rc = 0;
	tell(fd, "O other\n");
	HEAR(fd, "opened");
	close(fd);
}

static void
test_a_drain_takes_nothing_more_and_waits_for_acks(void **state)
{
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	tell(fd, "P sure a\n");
	HEAR(fd, "pending");
	WAIT_FOR(path.nb_messages == 1);
	sl_ingress_drain(ingress);
	turn_over();
	assert_false(sl_ingress_is_drained(ingress));
	tell(fd, "P loose b\n");
	hear_nothing(fd);
	path_ack(path.messages[0].session, 1, 64);
	HEAR(fd, "durable 0");
	WAIT_FOR(sl_ingress_is_drained(ingress));
	for (uint32_t i = 0; i < path.nb_messages; i++)
		assert_int_equal(path.messages[i].destination, sl_wire_name_key("sure"));
	close(fd);
}

static void
test_garbage_from_the_path_is_counted(void **state)
{
	uint8_t data[64] = {0};

	start("listeners", ", protocol: line");
	path_send(data, sizeof(data), false);
	path_send(data, 1, false);
	WAIT_FOR(of_thread("bad_frames") == 2);
}

#define TEST(name) cmocka_unit_test_teardown(name, stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_messages_of_one_turn_share_a_datagram),
		TEST(test_a_datagram_is_no_longer_than_a_frame_holds),
		TEST(test_large_messages_do_not_take_all_buffers),
		TEST(test_a_long_message_from_the_path_comes_in_one_piece),
		TEST(test_durable_is_told_when_it_is_acknowledged),
		TEST(test_what_is_lost_is_sent_again),
		TEST(test_a_refused_session_begins_anew_with_the_same_ids),
		TEST(test_a_client_waits_for_credit_and_goes_on),
		TEST(test_a_path_that_takes_nothing_makes_clients_wait),
		TEST(test_what_does_not_come_back_holds_back_what_goes_in),
		TEST(test_messages_to_a_destination_that_goes_are_given_up),
		TEST(test_what_a_client_that_is_gone_published_is_seen_through),
		TEST(test_a_topic_goes_to_all_and_is_acknowledged),
		TEST(test_messages_of_a_session_come_in_its_order),
		TEST(test_who_does_not_want_a_message_does_not_get_it),
		TEST(test_a_queue_goes_round),
		TEST(test_a_client_of_a_queue_that_does_not_read_is_given_no_more),
		TEST(test_what_a_client_was_given_of_a_queue_goes_to_another_when_it_goes),
		TEST(test_a_client_of_a_queue_that_does_not_read_is_closed_however_much_it_says),
		TEST(test_what_nobody_was_there_for_comes_again_in_its_session),
		TEST(test_what_nobody_is_left_for_is_asked_for_in_another_session),
		TEST(test_a_topic_is_made_on_demand),
		TEST(test_a_topic_that_cannot_be_made_is_none),
		TEST(test_a_drain_takes_nothing_more_and_waits_for_acks),
		TEST(test_garbage_from_the_path_is_counted),
	};

	return cmocka_run_group_tests(tests, path_create, NULL);
}
