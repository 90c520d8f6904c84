/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Topics that are made on demand, asked for by threads whose clocks are not the same. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "ingress.h"
#include "snapshot.h"

#define NOW_MS UINT64_C(1000000)
#define NAME   "news"
#define LEN    strlen(NAME)

static uint32_t no_index[1];
static struct gw_snapshot nothing = {.index = no_index};
static struct gw_shared shared;
static struct gw_thread *ahead, *behind;
static struct gw_listener *listener; /* Of the one ahead. */

static int
start(void **state)
{
	(void)state;
	memset(&shared, 0, sizeof(shared));
	pthread_mutex_init(&shared.lock, NULL);
	STAILQ_INIT(&shared.requests);
	shared.request_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ahead = calloc(1, sizeof(*ahead));
	behind = calloc(1, sizeof(*behind));
	listener = calloc(1, sizeof(*listener));
	assert_true(shared.request_fd >= 0 && ahead != NULL && behind != NULL && listener != NULL);
	ahead->shared = behind->shared = &shared;
	ahead->snapshot = behind->snapshot = &nothing;
	ahead->now_ms = NOW_MS + 5;
	behind->now_ms = NOW_MS;
	listener->thread = ahead;
	listener->gateway = &shared.gateways[0];
	listener->config.topics_max = 1;
	return 0;
}

static int
stop(void **state)
{
	struct gw_request *request;

	(void)state;
	while ((request = STAILQ_FIRST(&shared.requests)) != NULL) {
		STAILQ_REMOVE_HEAD(&shared.requests, next);
		free(request);
	}
	gw_opened_destroy(&shared);
	close(shared.request_fd);
	pthread_mutex_destroy(&shared.lock);
	free(listener);
	free(behind);
	free(ahead);
	return 0;
}

static uint32_t
nb_requests(void)
{
	const struct gw_request *request;
	uint32_t n = 0;

	STAILQ_FOREACH(request, &shared.requests, next)
	n++;
	return n;
}

static void
what_a_thread_ahead_has_asked_for_is_being_opened(void **state)
{
	(void)state;
	assert_false(gw_thread_is_opening(behind, NAME, LEN));
	assert_false(gw_thread_has_opened(behind, NAME, LEN));
	assert_int_equal(gw_open_topic(listener, NAME, LEN), 0);
	assert_true(gw_thread_is_opening(ahead, NAME, LEN));
	assert_true(gw_thread_is_opening(behind, NAME, LEN));
	assert_true(gw_thread_has_opened(behind, NAME, LEN));
}

static void
what_a_thread_ahead_has_asked_for_is_not_asked_for_twice(void **state)
{
	(void)state;
	assert_int_equal(gw_open_topic(listener, NAME, LEN), 0);
	listener->thread = behind;
	assert_int_equal(gw_open_topic(listener, NAME, LEN), 0);
	assert_int_equal(nb_requests(), 1);
	/* That it is long ago is by whoever asks. */
	behind->now_ms = NOW_MS + 60000;
	assert_false(gw_thread_is_opening(behind, NAME, LEN));
	assert_true(gw_thread_has_opened(behind, NAME, LEN));
	assert_int_equal(gw_open_topic(listener, NAME, LEN), 0);
	assert_int_equal(nb_requests(), 2);
}

static void
what_is_refused_is_no_longer_opened_by_anyone(void **state)
{
	(void)state;
	assert_int_equal(gw_open_topic(listener, NAME, LEN), 0);
	gw_open_failed(&shared, NAME, -EINVAL);
	assert_false(gw_thread_is_opening(behind, NAME, LEN));
	assert_false(gw_thread_has_opened(ahead, NAME, LEN));
	/* And has given its place back. */
	assert_int_equal(gw_open_topic(listener, "other", strlen("other")), 0);
	assert_int_equal(gw_open_topic(listener, "more", strlen("more")), -ENOSPC);
}

static void
what_is_refused_is_said_for_a_second(void **state)
{
	(void)state;
	assert_int_equal(gw_open_topic(listener, NAME, LEN), 0);
	gw_open_failed(&shared, NAME, -EINVAL);
	assert_int_equal(gw_open_topic(listener, NAME, LEN), -EINVAL);
	ahead->now_ms += 990;
	assert_int_equal(gw_open_topic(listener, NAME, LEN), -EINVAL);
	listener->thread = behind;
	assert_int_equal(gw_open_topic(listener, NAME, LEN), -EINVAL);
	assert_int_equal(nb_requests(), 1);
	behind->now_ms = ahead->now_ms + 10;
	assert_int_equal(gw_open_topic(listener, NAME, LEN), 0);
	assert_int_equal(nb_requests(), 2);
	assert_true(gw_thread_is_opening(behind, NAME, LEN));
	/* Now it can be made. */
	gw_open_served(&shared, NAME);
	assert_int_equal(gw_open_topic(listener, NAME, LEN), 0);
	assert_int_equal(shared.gateways[0].nb_topics, 1);
}

static void
what_is_refused_late_is_said_and_long_after_no_more(void **state)
{
	(void)state;
	assert_int_equal(gw_open_topic(listener, NAME, LEN), 0);
	ahead->now_ms += 2900;
	gw_open_failed(&shared, NAME, -EINVAL);
	ahead->now_ms += 110;
	assert_int_equal(gw_open_topic(listener, NAME, LEN), -EINVAL);
	ahead->now_ms += 1000;
	assert_int_equal(gw_open_topic(listener, NAME, LEN), 0);
	gw_open_failed(&shared, NAME, -EINVAL);
	/* Nobody has seen it. */
	ahead->now_ms += 60000;
	assert_int_equal(gw_open_topic(listener, NAME, LEN), 0);
	assert_int_equal(nb_requests(), 3);
}

static void
what_the_path_has_no_room_for_is_refused(void **state)
{
	(void)state;
	assert_int_equal(gw_open_topic(listener, NAME, LEN), 0);
	/* Asked for behind what was prepared: nothing is known of it. */
	gw_opened_decide(&shared);
	gw_open_served(&shared, NAME);
	gw_opened_settle(&shared, &nothing);
	assert_int_equal(gw_open_topic(listener, NAME, LEN), 0);
	gw_opened_decide(&shared);
	gw_opened_settle(&shared, &nothing);
	assert_int_equal(gw_open_topic(listener, NAME, LEN), -ENOSPC);
	assert_int_equal(nb_requests(), 1);
	assert_int_equal(shared.gateways[0].nb_topics, 0);
}

static void
what_was_refused_and_is_made_after_all_counts(void **state)
{
	(void)state;
	assert_int_equal(gw_open_topic(listener, NAME, LEN), 0);
	ahead->now_ms += 3000;
	assert_int_equal(gw_open_topic(listener, NAME, LEN), 0);
	assert_int_equal(nb_requests(), 2);
	gw_open_failed(&shared, NAME, -ENOSPC);
	assert_int_equal(shared.gateways[0].nb_topics, 0);
	gw_open_failed(&shared, NAME, -ENOSPC);
	assert_int_equal(shared.gateways[0].nb_topics, 0);
	gw_open_served(&shared, NAME);
	assert_int_equal(shared.gateways[0].nb_topics, 1);
	assert_true(gw_thread_has_opened(ahead, NAME, LEN));
}

static void
what_is_refused_does_not_pile_up(void **state)
{
	char name[16];

	(void)state;
	for (uint32_t i = 0; i < 3 * GW_REFUSED_MAX; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		assert_int_equal(gw_open_topic(listener, name, strlen(name)), 0);
		gw_open_failed(&shared, name, -EINVAL);
	}
	assert_int_equal(shared.gateways[0].nb_topics, 0);
	/* The last are still known, and those before them are not. */
	for (uint32_t i = 2 * GW_REFUSED_MAX; i < 3 * GW_REFUSED_MAX; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		assert_int_equal(gw_open_topic(listener, name, strlen(name)), -EINVAL);
	}
	snprintf(name, sizeof(name), "t%u", 2 * GW_REFUSED_MAX - 1);
	assert_int_equal(gw_open_topic(listener, name, strlen(name)), 0);
}

/* All at once, by a snapshot that has none of them. */
static void
what_is_settled_does_not_pile_up(void **state)
{
	uint32_t nb_known = 0;
	char name[16];

	(void)state;
	listener->config.topics_max = UINT32_MAX;
	for (uint32_t i = 0; i < 3 * GW_REFUSED_MAX; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		assert_int_equal(gw_open_topic(listener, name, strlen(name)), 0);
		gw_open_served(&shared, name);
	}
	gw_opened_decide(&shared);
	gw_opened_settle(&shared, &nothing);
	assert_int_equal(shared.gateways[0].nb_topics, 0);
	/* The last are still known, and those before them are not: they may be asked for again. */
	for (uint32_t i = 0; i < 3 * GW_REFUSED_MAX; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		nb_known += gw_open_topic(listener, name, strlen(name)) != 0;
	}
	assert_int_equal(nb_known, GW_REFUSED_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_thread_ahead_has_asked_for_is_being_opened),
		TEST(what_a_thread_ahead_has_asked_for_is_not_asked_for_twice),
		TEST(what_is_refused_is_no_longer_opened_by_anyone),
		TEST(what_is_refused_is_said_for_a_second),
		TEST(what_is_refused_late_is_said_and_long_after_no_more),
		TEST(what_the_path_has_no_room_for_is_refused),
		TEST(what_was_refused_and_is_made_after_all_counts),
		TEST(what_is_refused_does_not_pile_up),
		TEST(what_is_settled_does_not_pile_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
