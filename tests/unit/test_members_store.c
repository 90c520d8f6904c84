/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Who is remembered over restarts: what the file says, what the path is told, and when. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>
#include <jansson.h>

#include "members_internal.h"
#include "test_config.h"

#define NEWS                                                                                       \
	PORTS "destinations:\n"                                                                    \
	      "  - {name: news, kind: topic, guarantee: at-least-once}\n"                          \
	      "  - {name: olds, kind: topic}\n"                                                    \
	      "journal: {directory: /nowhere}\n"

struct world {
	char directory[32], path[64];
	struct event_base *base;
	struct members *members;
	struct sl_config *file;
	uint32_t applied;
	bool is_durable; /* The one of news, as the path was told last. */
};

static int
on_apply(void *arg, char *error, size_t error_len)
{
	struct sl_config *config;
	struct world *w = arg;

	(void)error;
	(void)error_len;
	assert_int_equal(members_overlay(w->members, w->file, false, &config), 0);
	w->is_durable = config->destinations[0].nb_backends == 1 &&
		config->destinations[0].backends[0].is_durable;
	if (config != w->file)
		sl_config_free(config);
	w->applied++;
	members_commit(w->members);
	return 0;
}

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	strcpy(w->directory, "/tmp/sluice-members-XXXXXX");
	assert_non_null(mkdtemp(w->directory));
	snprintf(w->path, sizeof(w->path), "%s/subscribers.json", w->directory);
	w->base = event_base_new();
	w->file = parse_text(NEWS);
	w->members = members_create(&(struct members_params){
		.base = w->base, .directory = w->directory, .apply = on_apply, .arg = w});
	assert_non_null(w->members);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	members_destroy(w->members);
	sl_config_free(w->file);
	event_base_free(w->base);
	unlink(w->path);
	assert_int_equal(rmdir(w->directory), 0);
	free(w);
	return 0;
}

static struct sl_member
reader(const char *destination, bool is_durable)
{
	struct sl_member member = {.destination = destination,
		.name = "b",
		.udp_port = 9,
		.ttl_ms = 60000,
		.is_durable = is_durable,
		.is_datagram = true};

	assert_true(sl_ip_parse("10.77.0.3", &member.address));
	return member;
}

/* @return whether that is a change; it is made then. */
static bool
join(struct world *w, const struct sl_member *member)
{
	uint32_t applied = w->applied;
	char error[256];

	assert_int_equal(members_join(w->members, w->file, member, error, sizeof(error)), 0);
	while (w->members->is_waiting)
		event_base_loop(w->base, EVLOOP_ONCE);
	return w->applied > applied;
}

/* Does the file have it, as it is? */
static bool
is_noted(const struct world *w, const struct sl_member *member)
{
	json_t *root = json_load_file(w->path, 0, NULL), *one;
	const char *name;
	json_int_t ttl_ms;
	int is_datagram;
	bool is_same;

	one = json_array_get(json_object_get(root, "subscribers"), 0);
	is_same = json_unpack(one, "{s:s, s:I, s:b}", "backend", &name, "ttl_ms", &ttl_ms,
			  "is_datagram", &is_datagram) == 0 &&
		strcmp(name, member->name) == 0 && ttl_ms == member->ttl_ms &&
		is_datagram == member->is_datagram;
	json_decref(root);
	return is_same;
}

static void
test_who_is_there_already_may_ask_to_be_remembered(void **state)
{
	struct sl_member plain = reader("news", false), durable = reader("news", true);
	struct world *w = *state;

	assert_true(join(w, &plain));
	assert_false(w->is_durable);
	assert_int_equal(access(w->path, F_OK), -1);
	assert_true(join(w, &durable));
	assert_true(w->is_durable);
	assert_true(is_noted(w, &durable));
	/* And not to be any more. */
	assert_true(join(w, &plain));
	assert_false(w->is_durable);
	assert_int_equal(access(w->path, F_OK), -1);
}

static void
test_the_file_has_it_as_it_asked_last(void **state)
{
	struct sl_member durable = reader("news", true);
	struct world *w = *state;

	assert_true(join(w, &durable));
	durable.ttl_ms = 30000;
	assert_true(join(w, &durable));
	assert_true(is_noted(w, &durable));
	durable.is_datagram = false;
	assert_true(join(w, &durable));
	assert_true(is_noted(w, &durable));
}

static void
test_a_renewal_changes_nothing(void **state)
{
	struct sl_member durable = reader("news", true), plain = reader("olds", false);
	struct sl_member in_vain = reader("olds", true);
	struct world *w = *state;

	assert_true(join(w, &durable));
	assert_true(join(w, &plain));
	for (uint32_t i = 0; i < 3; i++) {
		assert_false(join(w, &durable));
		/* Nothing notes how long; and what is at most once is not kept, whoever asks. */
		plain.ttl_ms++;
		assert_false(join(w, &plain));
		assert_false(join(w, &in_vain));
	}
	assert_true(is_noted(w, &durable));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_who_is_there_already_may_ask_to_be_remembered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_the_file_has_it_as_it_asked_last, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_renewal_changes_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
