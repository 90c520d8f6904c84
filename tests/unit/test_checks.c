/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "test_check.h"

/* Many backends, and other configurations while they are checked. */

static void
configure(struct world *world)
{
	memset(world->shares, 0xff, sizeof(world->shares));
	assert_int_equal(sl_checks_configure(world->checks, &world->config), 0);
}

/* Every backend has a server of its own, from ports next to each other in @p servers. */
static void
open_servers(struct world *world, struct server *servers, uint32_t count)
{
	memset(servers, 0, count * sizeof(*servers));
	for (uint32_t i = 0; i < count; i++) {
		server_open(&servers[i], world->base, SOCK_STREAM, 0);
		world->backends[i].port = servers[i].port;
	}
}

static void
wait_all(struct world *world, uint32_t count, enum sl_health_state state)
{
	for (uint32_t i = 0; i < count; i++)
		assert_int_not_equal(world_wait(world, i, state), UINT64_MAX);
}

static void
test_backends_keep_their_state_by_name(void **state)
{
	struct server servers[3];
	struct sl_check_status before, after;
	struct sl_config_backend swap;
	struct world world;

	(void)state;
	world_init(&world, SL_CHECK_TCP, 3);
	open_servers(&world, servers, 3);
	world_start(&world);
	wait_all(&world, 3, SL_HEALTH_UP);
	server_close(&servers[2]);
	wait_all(&world, 2, SL_HEALTH_UP);
	assert_int_not_equal(world_wait(&world, 2, SL_HEALTH_DOWN), UINT64_MAX);
	assert_true(sl_checks_get(world.checks, 0, 2, &before));
	/* b2 comes first, b1 goes, b3 is new. */
	swap = world.backends[0];
	world.backends[0] = world.backends[2];
	world.backends[1] = swap;
	world.backends[2] = swap;
	world.backends[2].name = (char *)(uintptr_t) "b3";
	configure(&world);
	assert_int_equal(world.shares[0], 0);
	assert_int_equal(world.shares[1], SL_HEALTH_SHARE_ONE);
	assert_int_equal(world.shares[2], 0);
	assert_true(sl_checks_get(world.checks, 0, 0, &after));
	assert_int_equal(after.state, SL_HEALTH_DOWN);
	assert_int_equal(after.since_ms, before.since_ms);
	assert_int_equal(after.failures, before.failures);
	assert_int_equal(world_state(&world, 1), SL_HEALTH_UP);
	assert_int_equal(world_state(&world, 2), SL_HEALTH_NEW);
	assert_int_not_equal(world_wait(&world, 2, SL_HEALTH_UP), UINT64_MAX);
	assert_int_equal(world.shares[2], SL_HEALTH_SHARE_ONE);
	server_close(&servers[0]);
	server_close(&servers[1]);
	world_end(&world);
}

static void
test_changed_checks_count_anew_and_keep_the_verdict(void **state)
{
	struct server servers[1];
	struct sl_check_status before, after;
	struct world world;
	json_t *history;

	(void)state;
	world_init(&world, SL_CHECK_TCP, 1);
	world.destination.health.timeout_ms = 10000;
	open_servers(&world, servers, 1);
	world_start(&world);
	wait_all(&world, 1, SL_HEALTH_UP);
	world_run(&world, 250);
	sl_checks_get(world.checks, 0, 0, &before);
	world.destination.health.fall = 2;
	configure(&world);
	sl_checks_get(world.checks, 0, 0, &after);
	assert_int_equal(after.state, SL_HEALTH_UP);
	assert_int_equal(after.successes_in_row, 0);
	assert_int_equal(after.successes, before.successes);
	assert_int_equal(world.shares[0], SL_HEALTH_SHARE_ONE);
	history = sl_checks_history(world.checks, 0, 0);
	assert_int_equal(json_array_size(json_object_get(history, "history")), before.successes);
	json_decref(history);
	/* Nothing has changed: nothing starts anew. */
	world_run(&world, 150);
	sl_checks_get(world.checks, 0, 0, &before);
	world.destination.health.panic_threshold_percent = 10;
	configure(&world);
	sl_checks_get(world.checks, 0, 0, &after);
	assert_int_equal(after.successes_in_row, before.successes_in_row);
	server_close(&servers[0]);
	world_end(&world);
}

static void
test_a_thousand_reloads_lose_no_check_and_leak_no_socket(void **state)
{
	struct server servers[4];
	struct sl_checks_stats stats;
	struct world world;

	(void)state;
	world_init(&world, SL_CHECK_TCP, 4);
	open_servers(&world, servers, 4);
	world_start(&world);
	wait_all(&world, 4, SL_HEALTH_UP);
	for (unsigned int i = 0; i < 1000; i++) {
		world.destination.nb_backends = 3 + i % 2;
		world.destination.health.rise = 1 + i / 10 % 3;
		configure(&world);
		if (i % 5 == 0)
			world_run(&world, 1);
		for (uint32_t j = 0; j < 3; j++)
			assert_int_equal(world.shares[j], SL_HEALTH_SHARE_ONE);
	}
	world_run(&world, 400);
	sl_checks_get_stats(world.checks, &stats);
	assert_in_range(stats.sockets, 0, 8);
	assert_int_equal(stats.waiting, 0);
	wait_all(&world, 4, SL_HEALTH_UP);
	for (unsigned int i = 0; i < 4; i++)
		server_close(&servers[i]);
	world_end(&world);
}

static void
test_panic_uses_all_and_is_loud(void **state)
{
	struct sl_checks_destination status;
	struct server servers[4];
	struct world world;

	(void)state;
	world_init(&world, SL_CHECK_TCP, 4);
	world.destination.health.panic_threshold_percent = 50;
	open_servers(&world, servers, 4);
	world_start(&world);
	wait_all(&world, 4, SL_HEALTH_UP);
	assert_int_equal(world_count(&world, "panic_begin"), 0);
	server_close(&servers[0]);
	server_close(&servers[1]);
	assert_int_not_equal(world_wait(&world, 0, SL_HEALTH_DOWN), UINT64_MAX);
	assert_int_not_equal(world_wait(&world, 1, SL_HEALTH_DOWN), UINT64_MAX);
	assert_int_equal(world.shares[0] + world.shares[1], 0);
	server_close(&servers[2]);
	assert_int_not_equal(world_wait(&world, 2, SL_HEALTH_DOWN), UINT64_MAX);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(world.shares[i], SL_HEALTH_SHARE_ONE);
	assert_true(sl_checks_get_destination(world.checks, 0, &status));
	assert_true(status.is_panic);
	assert_int_equal(status.nb_up, 1);
	assert_int_equal(status.nb_states[SL_HEALTH_DOWN], 3);
	/* Taken out by the operator, they are no reason for panic any more. */
	world.backends[0].state = SL_CONFIG_MAINTENANCE;
	world.backends[1].state = SL_CONFIG_DRAIN;
	configure(&world);
	assert_int_equal(world.shares[0] + world.shares[1] + world.shares[2], 0);
	assert_int_equal(world.shares[3], SL_HEALTH_SHARE_ONE);
	assert_int_equal(world_count(&world, "panic_begin"), 1);
	assert_int_equal(world_count(&world, "panic_end"), 1);
	server_close(&servers[3]);
	world_end(&world);
}

static void
test_maintenance_is_not_checked_and_drain_is(void **state)
{
	struct server servers[2];
	struct world world;
	uint32_t clients[2];

	(void)state;
	world_init(&world, SL_CHECK_TCP, 2);
	open_servers(&world, servers, 2);
	world_start(&world);
	wait_all(&world, 2, SL_HEALTH_UP);
	world.backends[0].state = SL_CONFIG_MAINTENANCE;
	world.backends[1].state = SL_CONFIG_DRAIN;
	configure(&world);
	assert_int_equal(world_state(&world, 0), SL_HEALTH_MAINTENANCE);
	assert_int_equal(world_state(&world, 1), SL_HEALTH_DRAINING);
	assert_int_equal(world.shares[0] + world.shares[1], 0);
	/* What was under way has come when the other one was asked anew. */
	for (uint32_t from = servers[1].nb_clients; servers[1].nb_clients < from + 2;)
		world_run(&world, 5);
	clients[0] = servers[0].nb_clients;
	clients[1] = servers[1].nb_clients;
	while (servers[1].nb_clients < clients[1] + 4)
		world_run(&world, 5);
	assert_int_equal(servers[0].nb_clients, clients[0]);
	world.backends[0].state = SL_CONFIG_READY;
	world.backends[1].state = SL_CONFIG_READY;
	configure(&world);
	assert_int_equal(world_state(&world, 0), SL_HEALTH_NEW);
	assert_int_equal(world_state(&world, 1), SL_HEALTH_UP);
	assert_int_not_equal(world_wait(&world, 0, SL_HEALTH_UP), UINT64_MAX);
	server_close(&servers[0]);
	server_close(&servers[1]);
	world_end(&world);
}

/* Our own bound is no fault of the backends. */
static void
test_sockets_are_bounded_and_the_rest_waits(void **state)
{
	struct sl_checks_stats stats;
	struct sl_check_status status;
	struct server server = {.says = "hello", .after_ms = 10, .is_first = true};
	struct world world;
	uint32_t most = 0;
	uint64_t until;

	(void)state;
	world_init(&world, SL_CHECK_TCP, 40);
	world.check.expect = (char *)(uintptr_t) "hello";
	world.destination.health.interval_ms = 200;
	world.destination.health.timeout_ms = 10000;
	world.destination.health.fast_interval_ms = 200;
	server_open(&server, world.base, SOCK_STREAM, 0);
	for (unsigned int i = 0; i < 40; i++)
		world.backends[i].port = server.port;
	world_start_with(&world, 3);
	for (until = world_now_ms() + 1500; world_now_ms() < until || most <= 3;
		world_run(&world, 2)) {
		sl_checks_get_stats(world.checks, &stats);
		assert_in_range(stats.sockets, 0, 3);
		assert_int_equal(stats.outstanding, stats.sockets + stats.waiting);
		most = stats.outstanding > most ? stats.outstanding : most;
	}
	assert_true(stats.waited > 0);
	for (unsigned int i = 0; i < 40; i++) {
		assert_true(sl_checks_get(world.checks, 0, i, &status));
		assert_int_equal(status.failures, 0);
	}
	server_close(&server);
	world_end(&world);
}

/* Two backends at a server that says nothing. */
static void
open_silent(struct world *world, struct server *server)
{
	world_init(world, SL_CHECK_TCP, 2);
	world->check.expect = (char *)(uintptr_t) "hello";
	world->destination.health.timeout_ms = 400;
	world->destination.health.fall = 100;
	server_open(server, world->base, SOCK_STREAM, 0);
	world->backends[0].port = server->port;
	world->backends[1].port = server->port;
}

static void
test_checks_that_cannot_be_made_are_told_and_are_no_failures(void **state)
{
	struct sl_checks_stats stats;
	struct sl_check_status status;
	struct server server = {.says = NULL};
	struct world world;
	uint64_t begin, took, failures = 0;

	(void)state;
	open_silent(&world, &server);
	/* One hangs with the only socket there is, and its next ones wait in vain. */
	begin = world_now_ms();
	world_start_with(&world, 1);
	world_run(&world, 1500);
	took = world_now_ms() - begin;
	sl_checks_get_stats(world.checks, &stats);
	assert_true(stats.not_made > 0);
	assert_int_equal(world_count(&world, "checks_held_up"), 1);
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(sl_checks_get(world.checks, 0, i, &status));
		failures += status.failures;
	}
	/* Each had the socket for half of its time-out at least: longer than that none waits. */
	assert_true(failures <= took / 200 + 1);
	server_close(&server);
	world_end(&world);
}

static void
test_what_waited_while_the_loop_stood_still_has_not_failed(void **state)
{
	struct sl_checks_stats stats;
	struct sl_check_status status;
	struct server server = {.says = NULL};
	struct world world;
	uint64_t failures = 0;

	(void)state;
	open_silent(&world, &server);
	world_start_with(&world, 1);
	do {
		world_run(&world, 1);
		sl_checks_get_stats(world.checks, &stats);
	} while (stats.waiting == 0);
	/* Both are too late now, the one that has the socket first. */
	usleep(600000);
	world_run(&world, 1);
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(sl_checks_get(world.checks, 0, i, &status));
		failures += status.failures;
	}
	assert_int_equal(failures, 1);
	server_close(&server);
	world_end(&world);
}

static void
test_freeze_leaves_the_shares_as_they_are(void **state)
{
	struct server servers[1];
	struct world world;

	(void)state;
	world_init(&world, SL_CHECK_TCP, 1);
	open_servers(&world, servers, 1);
	world_start(&world);
	wait_all(&world, 1, SL_HEALTH_UP);
	sl_checks_freeze(world.checks);
	server_close(&servers[0]);
	world_run(&world, 600);
	assert_int_equal(world_state(&world, 0), SL_HEALTH_UP);
	assert_int_equal(world.shares[0], SL_HEALTH_SHARE_ONE);
	assert_int_equal(event_base_get_num_events(world.base, EVENT_BASE_COUNT_ADDED), 0);
	world_end(&world);
}

static void
test_thaw_goes_on_where_it_was(void **state)
{
	struct server servers[1];
	struct world world;
	uint32_t nb_told, nb_events;

	(void)state;
	world_init(&world, SL_CHECK_TCP, 1);
	world.destination.health.timeout_ms = 3000;
	open_servers(&world, servers, 1);
	world_start(&world);
	wait_all(&world, 1, SL_HEALTH_UP);
	nb_told = world.nb_shares_told;
	nb_events = world.nb_heard;
	sl_checks_freeze(world.checks);
	/* Longer than an interval and its time-out: nothing of it has failed. */
	world_run(&world, 3300);
	sl_checks_thaw(world.checks);
	assert_int_equal(world.nb_shares_told, nb_told + 1);
	world_run(&world, 300);
	assert_int_equal(world_state(&world, 0), SL_HEALTH_UP);
	assert_int_equal(world.nb_heard, nb_events);
	server_close(&servers[0]);
	wait_all(&world, 1, SL_HEALTH_DOWN);
	assert_int_equal(world.shares[0], 0);
	world_end(&world);
}

static void
test_slow_start_is_told_step_by_step(void **state)
{
	struct server servers[1];
	struct world world;
	uint32_t before;

	(void)state;
	world_init(&world, SL_CHECK_TCP, 1);
	world.destination.health.slow_start_ms = 1000;
	open_servers(&world, servers, 1);
	world_start(&world);
	wait_all(&world, 1, SL_HEALTH_WARMING);
	assert_in_range(world.shares[0], SL_HEALTH_SHARE_MIN, SL_HEALTH_SHARE_ONE - 1);
	before = world.nb_shares_told;
	wait_all(&world, 1, SL_HEALTH_UP);
	assert_int_equal(world.shares[0], SL_HEALTH_SHARE_ONE);
	assert_in_range(world.nb_shares_told - before, 4, 60);
	server_close(&servers[0]);
	world_end(&world);
}

static void
test_history_as_json(void **state)
{
	struct server servers[1];
	struct world world;
	json_t *history, *checks, *last, *list;

	(void)state;
	world_init(&world, SL_CHECK_TCP, 1);
	open_servers(&world, servers, 1);
	world_start(&world);
	wait_all(&world, 1, SL_HEALTH_UP);
	server_close(&servers[0]);
	wait_all(&world, 1, SL_HEALTH_DOWN);
	history = sl_checks_history(world.checks, 0, 0);
	assert_non_null(history);
	assert_string_equal(json_string_value(json_object_get(history, "state")), "DOWN");
	checks = json_object_get(history, "checks");
	assert_int_equal(json_array_size(checks), 1);
	last = json_object_get(json_array_get(checks, 0), "last");
	assert_string_equal(json_string_value(json_object_get(last, "text")), "connection refused");
	list = json_object_get(history, "history");
	last = json_array_get(list, json_array_size(list) - 1);
	assert_string_equal(json_string_value(json_object_get(last, "reason")), "refused");
	assert_true(json_is_true(json_object_get(json_array_get(list, 0), "ok")));
	assert_int_equal(json_integer_value(json_object_get(history, "failures")) +
			json_integer_value(json_object_get(history, "successes")),
		json_array_size(list));
	json_decref(history);
	assert_null(sl_checks_history(world.checks, 0, 1));
	assert_null(sl_checks_history(world.checks, 1, 0));
	world_end(&world);
}

static void
ignore_share(void *arg, uint32_t destination, uint32_t backend, uint32_t share)
{
	uint64_t *sum = arg;

	(void)destination;
	(void)backend;
	*sum += share;
}

static void
test_backends_without_checks_set_no_timer(void **state)
{
	enum { DESTINATIONS = 1500 };
	struct sl_config_destination *destinations = calloc(DESTINATIONS, sizeof(*destinations));
	struct sl_config config = {.nb_destinations = DESTINATIONS, .destinations = destinations};
	uint64_t sum = 0;
	struct sl_checks_params params = {.base = event_base_new(),
		.hooks = {.arg = &sum, .set_share = ignore_share},
		.node = "test"};
	struct sl_checks *checks;
	struct world world;

	(void)state;
	world_init(&world, SL_CHECK_TCP, BACKENDS_MAX);
	for (unsigned int i = 0; i < DESTINATIONS; i++) {
		destinations[i] = world.destination;
		destinations[i].key = (i + 1) * 0x9e3779b97f4a7c15;
		destinations[i].health.nb_checks = 0;
	}
	assert_int_equal(sl_checks_create(&params, &config, &checks), 0);
	assert_int_equal(sum, (uint64_t)DESTINATIONS * BACKENDS_MAX * SL_HEALTH_SHARE_ONE);
	assert_int_equal(sl_checks_configure(checks, &config), 0);
	assert_int_equal(event_base_get_num_events(params.base, EVENT_BASE_COUNT_ADDED), 0);
	sl_checks_destroy(checks);
	event_base_free(params.base);
	event_base_free(world.base);
	free(destinations);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backends_keep_their_state_by_name),
		cmocka_unit_test(test_changed_checks_count_anew_and_keep_the_verdict),
		cmocka_unit_test(test_a_thousand_reloads_lose_no_check_and_leak_no_socket),
		cmocka_unit_test(test_panic_uses_all_and_is_loud),
		cmocka_unit_test(test_maintenance_is_not_checked_and_drain_is),
		cmocka_unit_test(test_sockets_are_bounded_and_the_rest_waits),
		cmocka_unit_test(test_checks_that_cannot_be_made_are_told_and_are_no_failures),
		cmocka_unit_test(test_what_waited_while_the_loop_stood_still_has_not_failed),
		cmocka_unit_test(test_freeze_leaves_the_shares_as_they_are),
		cmocka_unit_test(test_thaw_goes_on_where_it_was),
		cmocka_unit_test(test_slow_start_is_told_step_by_step),
		cmocka_unit_test(test_history_as_json),
		cmocka_unit_test(test_backends_without_checks_set_no_timer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
