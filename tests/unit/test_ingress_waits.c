/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Clients that are made to wait are not those that have nothing to say. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingress_path.h"

#define ROOM                                                                                       \
	"  - {name: sure-news, kind: topic, guarantee: at-least-once, backends: "                  \
	"[{name: gateway-0, address: 10.77.0.12, port: 1}]}\n"
#define SAID                                                                                       \
	"{\"userId\":\"7\",\"username\":\"Ann42\",\"message\":\"%0100u\","                         \
	"\"timestamp\":\"2026-11-21T12:00:00Z\",\"messageType\":\"%s\"}"

/* A frame of over 125 bytes, whose mask changes nothing. */
static void
tell_room(int fd, uint32_t number, const char *type)
{
	char text[512], frame[8 + sizeof(text)] = {(char)0x81, (char)(0x80 | 126)};
	int len = snprintf(text, sizeof(text), SAID, number, type);

	frame[2] = (char)(len >> 8);
	frame[3] = (char)len;
	memcpy(frame + 8, text, (size_t)len);
	assert_int_equal(send(fd, frame, (size_t)len + 8, MSG_NOSIGNAL), len + 8);
}

static int
enter_room(void)
{
	struct sl_config *joined;
	int fd = dial();

	tell(fd,
		"GET /chat/news HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
		"Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
		"dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
	HEAR(fd, "HTTP/1.1 101 Switching Protocols\r");
	tell_room(fd, 0, "JOIN");
	WAIT_FOR(hooks.joins == 1);
	joined = make_config("listeners",
		", address: 127.0.0.1, protocol: rooms, prefix: sure-, idle_ms: 3000", ROOM);
	sl_ingress_apply(ingress, joined);
	sl_config_free(joined);
	return fd;
}

static void
test_a_member_for_whom_the_path_has_no_room_is_not_silent(void **state)
{
	const uint32_t n = 80;
	uint32_t taken;
	int fd;

	test_protocol = &gw_rooms;
	start("listeners", ", protocol: rooms, prefix: sure-, idle_ms: 3000");
	fd = enter_room();
	for (uint32_t i = 1; i < n; i++)
		tell_room(fd, i, "TEXT");
	/* What it has credit for; nothing is acknowledged. */
	WAIT_FOR(path.nb_messages == 64);
	settle_for(4500);
	assert_int_equal(reasons("idle"), 0);
	taken = path.nb_messages;
	assert_in_range(taken, 64, n - 1);
	path_ack(path.messages[0].session, taken, 200);
	WAIT_FOR(path.nb_messages == n);
	/* Now it is. */
	WAIT_FOR(reasons("idle") == 1);
	close(fd);
}

static void
test_one_that_is_gone_while_it_waits_is_closed(void **state)
{
	const struct linger reset = {.l_onoff = 1};
	int fd;

	test_protocol = &gw_line;
	start("listeners", ", protocol: line, idle_ms: 1000, keep_open: true");
	fd = dial();
	for (uint32_t i = 0; i < 80; i++)
		tell(fd, "PUBLISH|sure-news|x\n");
	WAIT_FOR(path.nb_messages == 64);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	WAIT_FOR(reasons("reset") == 1 && shown("clients") == 0);
}

static int
stop_rooms(void **state)
{
	test_protocol = &words;
	return stop(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			test_a_member_for_whom_the_path_has_no_room_is_not_silent, stop_rooms),
		cmocka_unit_test_teardown(
			test_one_that_is_gone_while_it_waits_is_closed, stop_rooms),
	};

	return cmocka_run_group_tests(tests, path_create, NULL);
}
