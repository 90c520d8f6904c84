/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Names that clients use: remembered, within bounds, and in the journal before their messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingress_path.h"

/* Nobody waits for longer. */
#define WAIT_MS 200u

static struct gw_names *names;

/* The table. */

static int
make_names(void **state)
{
	names = gw_names_create();
	return names != NULL ? 0 : -1;
}

static int
free_names(void **state)
{
	gw_names_destroy(names);
	return 0;
}

static bool
remember(const char *name)
{
	bool is_refused = false;

	assert_int_equal(
		gw_names_add(names, name, strlen(name), &is_refused), sl_wire_name_key(name));
	return !is_refused;
}

static uint64_t
put_in_order(void *arg, uint64_t key, const char *name, uint32_t len)
{
	char **at = arg;

	assert_int_equal(key, sl_wire_name_key_len(name, len));
	*at += sprintf(*at, "%.*s ", (int)len, name);
	/* One that does not go there. */
	return len == 1 && name[0] == 'x' ? 0 : (uint64_t)name[0];
}

static void
test_a_full_table_refuses_and_counts(void **state)
{
	char name[32];
	uint64_t refused, kept = 0;
	uint32_t nb;

	for (uint32_t i = 0; i < 2 * GW_NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "till-%u", i);
		kept += remember(name);
	}
	nb = gw_names_count(names, &refused);
	assert_int_equal(nb, GW_NAMES_MAX);
	assert_int_equal(kept, GW_NAMES_MAX);
	assert_int_equal(refused, GW_NAMES_MAX);
	assert_true(remember("till-0"));
	assert_string_equal(gw_names_find(names, sl_wire_name_key("till-0")), "till-0");
	/* Where a name is not known, nothing waits for it. */
	assert_null(gw_names_find(names, sl_wire_name_key(name)));
	assert_true(gw_names_is_durable(names, sl_wire_name_key(name), 1000));
	assert_false(gw_names_want(names, sl_wire_name_key(name), 1000));
}

static void
test_names_are_put_in_once_in_their_order(void **state)
{
	const uint64_t a = sl_wire_name_key("a"), b = sl_wire_name_key("b"),
		       x = sl_wire_name_key("x");
	char text[64] = "", *at = text;

	assert_true(remember("b") && remember("a") && remember("x"));
	assert_false(gw_names_put(names, put_in_order, &at));
	assert_false(gw_names_is_durable(names, a, 1000));
	assert_true(gw_names_want(names, a, 1000));
	assert_true(gw_names_want(names, b, 1000));
	assert_true(gw_names_want(names, x, 1000));
	assert_false(gw_names_want(names, a, 1000));
	assert_true(gw_names_put(names, put_in_order, &at));
	assert_string_equal(text, "a b x ");
	assert_false(gw_names_put(names, put_in_order, &at));
	assert_true(gw_names_is_durable(names, x, 1000));
	assert_false(gw_names_is_durable(names, a, 1000));
	gw_names_set_durable(names, 'a');
	assert_true(gw_names_is_durable(names, a, 1000));
	assert_false(gw_names_is_durable(names, b, 1000));
	gw_names_set_durable(names, 'b');
	assert_true(gw_names_is_durable(names, b, 1000));
}

static void
test_nobody_waits_for_a_disk_for_long(void **state)
{
	const uint64_t a = sl_wire_name_key("a");

	assert_true(remember("a"));
	assert_false(gw_names_is_durable(names, a, UINT64_MAX - 1));
	assert_true(gw_names_want(names, a, 1000));
	assert_false(gw_names_is_durable(names, a, 1199));
	assert_true(gw_names_is_durable(names, a, 1200));
}

/* Clients. */

static int
keep_names(void **state)
{
	are_names_kept = true;
	return 0;
}

static int
stop_keeping(void **state)
{
	are_names_kept = false;
	return stop(state);
}

static void
test_a_message_waits_until_its_name_is_durable(void **state)
{
	uint64_t asked;
	int fd, other;

	start("listeners", ", protocol: line");
	fd = dial();
	other = dial();
	asked = now_ms();
	tell(fd, "P sure by till\nP sure by till\n");
	WAIT_FOR(hooks.nb_names == 1);
	assert_string_equal(hooks.names[0], "till");
	assert_true(path.nb_messages == 0 || now_ms() - asked >= WAIT_MS);
	/* Nobody else does, nor who has a name that the journal has. */
	tell(other, "P sure a\n");
	HEAR(other, "pending");
	sl_ingress_names_durable(ingress, 1);
	HEAR(fd, "pending");
	HEAR(fd, "pending");
	WAIT_FOR(path.nb_messages == 3);
	assert_int_equal(path.messages[1].source, sl_wire_name_key("till"));
	tell(other, "P sure by till\n");
	HEAR(other, "pending");
	assert_int_equal(hooks.nb_names, 1);
	close(fd);
	close(other);
	path_ack(path.messages[0].session, 64, 128);
}

static void
test_a_name_of_at_most_once_messages_is_not_put_in(void **state)
{
	int fd;

	start("listeners", ", protocol: line");
	fd = dial();
	tell(fd, "P loose by till\n");
	HEAR(fd, "ok");
	assert_int_equal(hooks.nb_names, 0);
	tell(fd, "P sure by till\n");
	WAIT_FOR(hooks.nb_names == 1);
	close(fd);
}

static void
test_each_of_many_that_wait_goes_on_with_its_own(void **state)
{
	int fds[8];
	uint64_t asked;
	char text[32];

	start("listeners", ", protocol: line");
	asked = now_ms();
	for (unsigned int i = 0; i < RTE_DIM(fds); i++) {
		fds[i] = dial();
		snprintf(text, sizeof(text), "P sure by till-%u\n", i);
		tell(fds[i], text);
		WAIT_FOR(hooks.nb_names == i + 1);
	}
	for (unsigned int i = 0; i < RTE_DIM(fds); i++) {
		sl_ingress_names_durable(ingress, i + 1);
		HEAR(fds[i], "pending");
		WAIT_FOR(path.nb_messages > i);
		assert_true(path.nb_messages == i + 1 || now_ms() - asked >= WAIT_MS);
	}
	/* One that goes while it waits is forgotten. */
	tell(fds[0], "P sure by nobody\n");
	WAIT_FOR(hooks.nb_names == RTE_DIM(fds) + 1);
	for (unsigned int i = 0; i < RTE_DIM(fds); i++)
		close(fds[i]);
	path_ack(path.messages[0].session, 64, 128);
	settle_for(20);
	sl_ingress_names_durable(ingress, RTE_DIM(fds) + 1);
	settle_for(20);
}

#define TABLE(name) cmocka_unit_test_setup_teardown(name, make_names, free_names)
#define TEST(name)  cmocka_unit_test_setup_teardown(name, keep_names, stop_keeping)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE(test_a_full_table_refuses_and_counts),
		TABLE(test_names_are_put_in_once_in_their_order),
		TABLE(test_nobody_waits_for_a_disk_for_long),
		TEST(test_a_message_waits_until_its_name_is_durable),
		TEST(test_a_name_of_at_most_once_messages_is_not_put_in),
		TEST(test_each_of_many_that_wait_goes_on_with_its_own),
	};

	return cmocka_run_group_tests(tests, path_create, NULL);
}
