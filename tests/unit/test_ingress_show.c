/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* What is shown of servers while their thread writes it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "ingress.h"

static json_int_t
shown_for_ms(uint64_t since_ms)
{
	static const struct gw_protocol none;
	static struct gw_server server = {.address = "far:1", .lock = PTHREAD_MUTEX_INITIALIZER};
	static struct gw_shared shared;
	json_t *shown, *connector;
	json_int_t for_ms;

	server.since_ms = since_ms;
	shared.nb_gateways = 1;
	shared.gateways[0].config.name = (char *)(uintptr_t) "far";
	shared.gateways[0].config.is_connector = true;
	shared.gateways[0].protocol = &none;
	shared.gateways[0].nb_servers = 1;
	shared.gateways[0].servers = &server;
	shown = gw_show(&shared, NULL, 0);
	connector = json_array_get(json_object_get(shown, "connectors"), 0);
	for_ms = json_integer_value(json_object_get(
		json_array_get(json_object_get(connector, "servers"), 0), "for_ms"));
	json_decref(shown);
	return for_ms;
}

static void
how_long_is_never_less_than_nothing(void **state)
{
	(void)state;
	assert_int_equal(shown_for_ms(0), 0);
	assert_in_range(shown_for_ms(gw_now_ms() - 500), 500, 60000);
	/* The thread has written it since the clock was read. */
	assert_int_equal(shown_for_ms(gw_now_ms() + 60000), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(how_long_is_never_less_than_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
