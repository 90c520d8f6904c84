/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Subscribers and topics beside those of the file, against a path that takes them over or not. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <event2/event.h>

#include "members_internal.h"
#include "sl_wire.h"
#include "test_config.h"

#define FILE_OF(destinations, rest)                                                                \
	"ports: [{name: p, device: d, address: 10.77.0.1/16}]\n"                                   \
	"destinations:\n" destinations rest
#define TWO                                                                                        \
	"  - {name: news, kind: topic, backends: [{name: a, address: 10.77.0.2, port: 1}]}\n"      \
	"  - {name: jobs}\n"
#define GATEWAYS "gateways: {listeners: [{name: in, protocol: rooms, rooms: 1, topics_max: 1}]}\n"

struct world {
	struct event_base *base;
	struct members *members;
	struct sl_config *file, *config;
	uint32_t room; /* Members the path takes; 0: any number. */
	int rc;	       /* What it says instead. */
	uint32_t applied;
	uint64_t came, waiting; /* Of any topic on demand. */
	bool comes;		/* Something, before each look. */
	uint32_t idle_ms;
};

static void
free_config(struct world *w)
{
	if (w->config != w->file)
		sl_config_free(w->config);
	w->config = NULL;
}

/* As the control does it. */
static int
take(struct world *w, struct sl_config *file)
{
	struct members_stats stats;
	struct sl_config *config;

	if (w->rc != 0)
		return w->rc;
	members_stats(w->members, &stats);
	assert_int_equal(members_overlay(w->members, file, file != w->file, &config), 0);
	if (w->room != 0 && stats.members > w->room) {
		members_rollback(w->members);
		if (config != file)
			sl_config_free(config);
		return -ENOSPC;
	}
	free_config(w);
	w->config = config;
	if (file != w->file)
		sl_config_free(w->file);
	w->file = file;
	w->applied++;
	members_commit(w->members);
	return 0;
}

static int
on_apply(void *arg, char *error, size_t error_len)
{
	struct world *w = arg;

	snprintf(error, error_len, "no room");
	return take(w, w->file);
}

static void
topic_use(void *arg, const char *topic, uint64_t *came, uint64_t *waiting)
{
	struct world *w = arg;

	w->came += w->comes;
	*came = w->came;
	*waiting = w->waiting;
}

static uint32_t
topic_idle_ms(void *arg)
{
	return ((struct world *)arg)->idle_ms;
}

static void
init(struct world *w, const char *text)
{
	memset(w, 0, sizeof(*w));
	w->base = event_base_new();
	w->file = parse_text(text);
	w->config = w->file;
	w->members = members_create(&(struct members_params){.base = w->base,
		.apply = on_apply,
		.topic_use = topic_use,
		.topic_idle_ms = topic_idle_ms,
		.arg = w});
	assert_non_null(w->members);
}

static void
destroy(struct world *w)
{
	members_destroy(w->members);
	free_config(w);
	sl_config_free(w->file);
	event_base_free(w->base);
}

static bool has_come_back; /* What is on its way to who was taken over. */

/* And until what is under way is over, if it may be: a slow machine needs longer. */
static void
pass_ms(struct world *w, uint32_t ms)
{
	/* In steps: one in which the machine stands still is no more than the others. */
	for (uint32_t step; ms > 0; ms -= step) {
		step = ms < 20 ? ms : 20;
		event_base_loopexit(w->base, &(struct timeval){.tv_usec = step * 1000});
		event_base_dispatch(w->base);
	}
	while (w->rc == 0 &&
		(w->members->is_waiting || (has_come_back && !TAILQ_EMPTY(&w->members->moving))))
		event_base_loop(w->base, EVLOOP_ONCE);
}

static int
join(struct world *w, const char *destination, const char *name, const char *address,
	uint32_t ttl_ms)
{
	struct sl_member member = {
		.destination = destination, .name = name, .udp_port = 9, .ttl_ms = ttl_ms};
	char error[256];

	assert_true(sl_ip_parse(address, &member.address));
	return members_join(w->members, w->file, &member, error, sizeof(error));
}

/* "news: a b c" of what runs. */
static const char *
backends_of(const struct world *w, const char *name)
{
	static char text[256];
	uint32_t index = sl_config_find_destination(w->config, name);
	const struct sl_config_destination *destination;
	size_t len = 0;

	if (index == UINT32_MAX)
		return "there is none";
	destination = &w->config->destinations[index];
	text[0] = '\0';
	for (uint32_t i = 0; i < destination->nb_backends; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i > 0 ? " " : "",
			destination->backends[i].name);
	return text;
}

static void
test_joins_are_one_change(void **state)
{
	const struct sl_config_backend *backend;
	struct world w;

	init(&w, FILE_OF(TWO, ""));
	assert_int_equal(join(&w, "news", "b", "10.77.0.3", 0), 0);
	assert_int_equal(join(&w, "jobs", "worker", "10.77.0.4", 0), 0);
	assert_int_equal(join(&w, "news", "c", "10.77.0.5", 0), 0);
	assert_string_equal(backends_of(&w, "news"), "a");
	pass_ms(&w, 30);
	assert_int_equal(w.applied, 1);
	assert_string_equal(backends_of(&w, "news"), "a b c");
	assert_string_equal(backends_of(&w, "jobs"), "worker");
	backend = &w.config->destinations[0].backends[1];
	assert_true(backend->is_member);
	assert_int_equal(backend->port, 9);
	assert_int_equal(backend->weight, 1);
	assert_true(sl_ip_equal(&backend->next_hop, &backend->address));
	assert_string_equal(sl_config_name_of(w.config, sl_wire_name_key("worker")), "worker");
	assert_int_equal(w.file->destinations[0].nb_backends, 1);
	/* To be there for another while changes nothing; to move does. */
	assert_int_equal(join(&w, "news", "b", "10.77.0.3", 0), 0);
	pass_ms(&w, 30);
	assert_int_equal(w.applied, 1);
	assert_int_equal(join(&w, "news", "b", "10.77.0.33", 0), 0);
	assert_int_equal(members_leave(w.members, "jobs", "worker"), 0);
	pass_ms(&w, 30);
	assert_int_equal(w.applied, 2);
	assert_string_equal(backends_of(&w, "news"), "a b c");
	assert_string_equal(backends_of(&w, "jobs"), "");
	assert_int_equal(members_leave(w.members, "jobs", "worker"), -ENOENT);
	members_leave(w.members, "news", "b");
	members_leave(w.members, "news", "c");
	pass_ms(&w, 30);
	assert_ptr_equal(w.config, w.file);
	destroy(&w);
}

static void
test_who_may_not_join(void **state)
{
	struct world w;

	init(&w, FILE_OF(TWO, "subscriptions: {subscribers_max: 2}\n"));
	assert_int_equal(join(&w, "olds", "b", "10.77.0.3", 0), -ENOENT);
	assert_int_equal(join(&w, "news", "a", "10.77.0.3", 0), -EEXIST);
	assert_int_equal(join(&w, "news", "b", "10.99.0.3", 0), -EHOSTUNREACH);
	assert_int_equal(join(&w, "news", "b", "10.77.0.1", 0), -EHOSTUNREACH);
	assert_int_equal(join(&w, "news", "b", "10.77.255.255", 0), -EHOSTUNREACH);
	assert_int_equal(join(&w, "news", "b", "224.0.0.1", 0), -EHOSTUNREACH);
	assert_int_equal(join(&w, "news", "b", "127.0.0.1", 0), -EHOSTUNREACH);
	assert_int_equal(join(&w, "news", "", "10.77.0.3", 0), -EINVAL);
	assert_int_equal(join(&w, "news", "a\nb", "10.77.0.3", 0), -EINVAL);
	assert_int_equal(join(&w, "news", "\xff", "10.77.0.3", 0), -EINVAL);
	assert_int_equal(join(&w, "news", "b", "10.77.0.3", 0), 0);
	assert_int_equal(join(&w, "jobs", "b", "10.77.0.3", 0), 0);
	assert_int_equal(join(&w, "jobs", "c", "10.77.0.3", 0), -ENOSPC);
	assert_int_equal(join(&w, "jobs", "b", "10.77.0.4", 0), 0);
	destroy(&w);
}

static void
test_a_queue_has_as_many_as_the_file_may_give_it(void **state)
{
	char name[16];
	struct world w;

	init(&w, FILE_OF(TWO, ""));
	for (uint32_t i = 0; i < SL_CONFIG_BACKENDS_MAX; i++) {
		snprintf(name, sizeof(name), "w%u", i);
		assert_int_equal(join(&w, "jobs", name, "10.77.0.3", 0), 0);
	}
	assert_int_equal(join(&w, "jobs", "more", "10.77.0.3", 0), -ENOSPC);
	assert_int_equal(join(&w, "news", "more", "10.77.0.3", 0), 0);
	destroy(&w);
}

static void
test_who_is_not_heard_of_lapses(void **state)
{
	struct members_stats stats;
	struct member_info info;
	struct world w;

	init(&w, FILE_OF(TWO, ""));
	assert_int_equal(join(&w, "news", "b", "10.77.0.3", 50), 0);
	assert_int_equal(join(&w, "news", "c", "10.77.0.4", 60000), 0);
	assert_int_equal(join(&w, "news", "d", "10.77.0.5", 0), 0);
	assert_true(members_find(w.members, "news", "c", &info));
	assert_in_range(info.ttl_left_ms, 1, 60000);
	assert_true(members_find(w.members, "news", "d", &info));
	assert_true(info.ttl_left_ms == UINT64_MAX);
	for (uint32_t i = 0; strcmp(backends_of(&w, "news"), "a c d") != 0; i++) {
		assert_true(i < 500);
		pass_ms(&w, 20);
	}
	assert_false(members_find(w.members, "news", "b", &info));
	members_stats(w.members, &stats);
	assert_int_equal(stats.lapsed, 1);
	assert_int_equal(stats.members, 2);
	destroy(&w);
}

/* Its messages are kept: it is there, and gets nothing, until it is back or removed. */
static void
test_a_durable_subscriber_is_only_away(void **state)
{
	struct sl_member member = {
		.destination = "news", .name = "b", .udp_port = 9, .is_durable = true};
	struct member_info info;
	char error[256];
	struct world w;

	init(&w,
		FILE_OF("  - {name: news, kind: topic, guarantee: at-least-once, backends: "
			"[{name: a, address: 10.77.0.2, port: 1}]}\n",
			"journal: {directory: /j}\n"));
	sl_ip_parse("10.77.0.3", &member.address);
	assert_int_equal(members_join(w.members, w.file, &member, error, sizeof(error)), 0);
	pass_ms(&w, 30);
	assert_int_equal(w.config->destinations[0].backends[1].state, SL_CONFIG_READY);
	assert_int_equal(members_leave(w.members, "news", "b"), 0);
	pass_ms(&w, 30);
	assert_string_equal(backends_of(&w, "news"), "a b");
	assert_int_equal(w.config->destinations[0].backends[1].state, SL_CONFIG_MAINTENANCE);
	assert_true(members_find(w.members, "news", "b", &info));
	assert_true(info.is_away);
	assert_int_equal(members_join(w.members, w.file, &member, error, sizeof(error)), 0);
	pass_ms(&w, 30);
	assert_int_equal(w.config->destinations[0].backends[1].state, SL_CONFIG_READY);
	assert_int_equal(members_remove(w.members, "news", "b"), 0);
	pass_ms(&w, 30);
	assert_string_equal(backends_of(&w, "news"), "a");
	destroy(&w);
}

static void
test_topics_are_made_when_asked_for(void **state)
{
	const struct sl_config_destination *topic;
	struct world w;

	init(&w, FILE_OF(TWO, GATEWAYS));
	assert_int_equal(join(&w, "room1", "b", "10.77.0.3", 0), -ENOENT);
	assert_int_equal(
		members_open_topic(w.members, w.file, "room1", SL_CONFIG_AT_MOST_ONCE, false), 0);
	assert_int_equal(
		members_open_topic(w.members, w.file, "room1", SL_CONFIG_AT_MOST_ONCE, false), 0);
	assert_int_equal(
		members_open_topic(w.members, w.file, "jobs", SL_CONFIG_AT_MOST_ONCE, false), 0);
	assert_int_equal(
		members_open_topic(w.members, w.file, "room2", SL_CONFIG_AT_LEAST_ONCE, false),
		-EINVAL);
	assert_int_equal(
		members_open_topic(w.members, w.file, "room2", SL_CONFIG_AT_MOST_ONCE, false), 0);
	assert_int_equal(
		members_open_topic(w.members, w.file, "room3", SL_CONFIG_AT_MOST_ONCE, false),
		-ENOSPC);
	/* The gateway itself, on its own port; and one on the wire. */
	assert_int_equal(join(&w, "room1", "gateway-0", "192.0.0.2", 0), 0);
	assert_int_equal(join(&w, "room1", "b", "10.77.0.3", 0), 0);
	pass_ms(&w, 30);
	assert_int_equal(w.applied, 1);
	assert_string_equal(backends_of(&w, "room1"), "gateway-0 b");
	assert_string_equal(backends_of(&w, "room2"), "");
	topic = &w.config->destinations[2];
	assert_int_equal(topic->kind, SL_CONFIG_TOPIC);
	assert_int_equal(topic->key, sl_wire_name_key("room1"));
	assert_int_equal(topic->queue_capacity, 65536);
	assert_int_equal(topic->partitions, 1);
	assert_int_equal(topic->default_class, 2);
	assert_int_equal(topic->dead_letter_index, UINT32_MAX);
	assert_int_equal(topic->backends[0].port_index, 1);
	assert_int_equal(topic->backends[1].port_index, 0);
	destroy(&w);
}

static uint32_t
nb_topics(struct world *w)
{
	struct members_stats stats;

	members_stats(w->members, &stats);
	return stats.topics;
}

static bool
is_there(const struct world *w, const char *topic)
{
	return sl_config_find_destination(w->config, topic) != UINT32_MAX;
}

static void
wait_gone(struct world *w, const char *topic)
{
	for (uint32_t i = 0; is_there(w, topic); i++) {
		assert_true(i < 1000);
		pass_ms(w, 20);
	}
}

static int
open_topic(struct world *w, const char *name, bool stays)
{
	int rc = members_open_topic(w->members, w->file, name, SL_CONFIG_AT_MOST_ONCE, stays);

	pass_ms(w, 30);
	return rc;
}

static void
test_a_topic_that_nobody_uses_goes_and_its_place_comes_back(void **state)
{
	struct world w;

	init(&w, FILE_OF(TWO, GATEWAYS));
	w.idle_ms = 100;
	w.waiting = 1;
	assert_int_equal(open_topic(&w, "stays", true), 0);
	assert_int_equal(open_topic(&w, "room1", false), 0);
	assert_true(is_there(&w, "room1"));
	assert_int_equal(open_topic(&w, "room2", false), -ENOSPC);
	w.waiting = 0;
	wait_gone(&w, "room1");
	assert_true(is_there(&w, "stays") && is_there(&w, "news"));
	assert_int_equal(nb_topics(&w), 1);
	assert_int_equal(open_topic(&w, "room2", false), 0);
	assert_true(is_there(&w, "room2"));
	destroy(&w);
}

static void
test_a_topic_in_use_never_goes(void **state)
{
	struct world w;

	init(&w, FILE_OF(TWO, GATEWAYS));
	w.idle_ms = 100;
	w.waiting = 1;
	assert_int_equal(open_topic(&w, "room1", false), 0);
	w.waiting = 0;
	assert_int_equal(join(&w, "room1", "b", "10.77.0.3", 0), 0);
	pass_ms(&w, 500);
	assert_true(is_there(&w, "room1"));
	assert_int_equal(members_leave(w.members, "room1", "b"), 0);
	w.waiting = 1;
	pass_ms(&w, 500);
	assert_true(is_there(&w, "room1"));
	w.waiting = 0;
	w.comes = true;
	pass_ms(&w, 500);
	assert_true(is_there(&w, "room1"));
	w.comes = false;
	w.idle_ms = 0;
	pass_ms(&w, 500);
	assert_true(is_there(&w, "room1"));
	w.idle_ms = 100;
	wait_gone(&w, "room1");
	destroy(&w);
}

static void
test_a_topic_stays_for_a_durable_subscriber_that_is_away(void **state)
{
	struct sl_member member = {.destination = "room1", .name = "d", .udp_port = 9};
	char error[256];
	struct world w;

	init(&w, FILE_OF(TWO, "journal: {directory: /nowhere}\n" GATEWAYS));
	w.idle_ms = 100;
	assert_int_equal(
		members_open_topic(w.members, w.file, "room1", SL_CONFIG_AT_LEAST_ONCE, false), 0);
	assert_true(sl_ip_parse("10.77.0.3", &member.address));
	member.is_durable = true;
	assert_int_equal(members_join(w.members, w.file, &member, error, sizeof(error)), 0);
	pass_ms(&w, 30);
	assert_int_equal(members_leave(w.members, "room1", "d"), 0);
	pass_ms(&w, 500);
	assert_true(is_there(&w, "room1"));
	assert_int_equal(members_remove(w.members, "room1", "d"), 0);
	wait_gone(&w, "room1");
	destroy(&w);
}

static void
test_another_file_wins_and_the_others_stay(void **state)
{
	struct members_stats stats;
	struct world w;

	init(&w, FILE_OF(TWO, GATEWAYS));
	members_open_topic(w.members, w.file, "room1", SL_CONFIG_AT_MOST_ONCE, false);
	assert_int_equal(join(&w, "news", "b", "10.77.0.3", 0), 0);
	assert_int_equal(join(&w, "news", "c", "10.77.0.4", 0), 0);
	assert_int_equal(join(&w, "jobs", "d", "10.77.0.5", 0), 0);
	assert_int_equal(join(&w, "room1", "e", "10.77.0.6", 0), 0);
	pass_ms(&w, 30);
	assert_int_equal(
		take(&w,
			parse_text(FILE_OF(
				"  - {name: room1, kind: topic}\n"
				"  - {name: news, kind: topic, backends: [{name: c, address: "
				"10.77.0.9, port: 7}]}\n",
				GATEWAYS))),
		0);
	assert_string_equal(backends_of(&w, "room1"), "e");
	assert_string_equal(backends_of(&w, "news"), "c b");
	assert_false(w.config->destinations[1].backends[0].is_member);
	assert_string_equal(backends_of(&w, "jobs"), "there is none");
	members_stats(w.members, &stats);
	assert_int_equal(stats.members, 2);
	assert_int_equal(stats.dropped, 2);
	assert_int_equal(stats.topics, 0);
	/* What was the file's is nobody's any more, and goes with it. */
	assert_int_equal(take(&w, parse_text(FILE_OF(TWO, GATEWAYS))), 0);
	assert_string_equal(backends_of(&w, "room1"), "there is none");
	assert_string_equal(backends_of(&w, "news"), "a b");
	destroy(&w);
}

/* A file that is refused costs nobody his place. */
static void
test_a_refused_file_changes_nothing(void **state)
{
	struct sl_config *other = parse_text(FILE_OF("  - {name: jobs}\n", "")), *config;
	struct world w;

	init(&w, FILE_OF(TWO, ""));
	assert_int_equal(join(&w, "news", "b", "10.77.0.3", 0), 0);
	pass_ms(&w, 30);
	assert_int_equal(members_overlay(w.members, other, true, &config), 0);
	members_rollback(w.members);
	if (config != other)
		sl_config_free(config);
	sl_config_free(other);
	assert_int_equal(join(&w, "news", "c", "10.77.0.4", 0), 0);
	pass_ms(&w, 30);
	assert_string_equal(backends_of(&w, "news"), "a b c");
	destroy(&w);
}

static void
test_a_full_path_takes_what_it_can(void **state)
{
	struct members_stats stats;
	char name[16];
	struct world w;

	init(&w, FILE_OF(TWO, ""));
	w.room = 10;
	assert_int_equal(join(&w, "news", "first", "10.77.0.3", 0), 0);
	pass_ms(&w, 30);
	for (uint32_t i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "b%u", i);
		assert_int_equal(join(&w, "news", name, "10.77.0.3", 0), 0);
	}
	pass_ms(&w, 100);
	members_stats(w.members, &stats);
	assert_in_range(stats.members, 5, 10);
	assert_int_equal(stats.dropped, 101 - stats.members);
	assert_int_equal(w.config->destinations[0].nb_backends, 1 + stats.members);
	assert_string_equal(w.config->destinations[0].backends[1].name, "first");
	destroy(&w);
}

static void
test_a_busy_path_is_asked_again(void **state)
{
	struct world w;

	init(&w, FILE_OF(TWO, ""));
	w.rc = -EBUSY;
	assert_int_equal(join(&w, "news", "b", "10.77.0.3", 0), 0);
	pass_ms(&w, 50);
	assert_string_equal(backends_of(&w, "news"), "a");
	w.rc = 0;
	pass_ms(&w, 50);
	assert_string_equal(backends_of(&w, "news"), "a b");
	destroy(&w);
}

/* Clients of gateways, as durable members. */

static bool
on_idle(void *arg, const char *destination, const char *name)
{
	struct world *w = arg;

	(void)w;
	assert_string_equal(destination, "sure");
	assert_string_equal(name, "kitchen");
	return has_come_back;
}

static struct sl_member
client_at(const char *destination, const char *name, uint16_t port)
{
	struct sl_member member = {
		.destination = destination,
		.name = name,
		.udp_port = port,
		.is_durable = true,
		.is_client = true,
	};

	assert_true(sl_ip_parse("10.77.0.9", &member.address));
	return member;
}

/* @return the port whose client is displaced, 0: none; -errno */
static int
client_join(struct world *w, const char *destination, const char *name, uint16_t port)
{
	const struct sl_member member = client_at(destination, name, port);
	struct sl_member_place displaced;
	char error[256];
	int rc = members_client_join(
		w->members, w->file, &member, &displaced, error, sizeof(error));

	return rc != 0 ? rc : displaced.udp_port;
}

static int
client_forget(struct world *w, const char *name, uint16_t port)
{
	const struct sl_member member = client_at("sure", name, port);
	char error[256];

	return members_client_forget(w->members, &member, error, sizeof(error));
}

/* Of the one member of "sure" as it runs: its port; 0: it is away; -1: there is none. */
static int
port_of(const struct world *w)
{
	const struct sl_config_destination
		*d = &w->config->destinations[sl_config_find_destination(w->config, "sure")];

	if (d->nb_backends == 0)
		return -1;
	return d->backends[0].state == SL_CONFIG_READY ? d->backends[0].port : 0;
}

#define SURE                                                                                       \
	TWO "  - {name: sure, kind: topic, guarantee: at-least-once}\n"                            \
	    "journal: {directory: /nowhere}\n"

static void
init_clients(struct world *w)
{
	init(w, FILE_OF(SURE, ""));
	members_destroy(w->members);
	w->members = members_create(&(struct members_params){
		.base = w->base, .apply = on_apply, .is_idle = on_idle, .arg = w});
	has_come_back = false;
}

static void
test_a_client_goes_on_elsewhere_when_all_is_back(void **state)
{
	struct sl_member member;
	struct world w;

	(void)state;
	init_clients(&w);
	assert_int_equal(client_join(&w, "sure", "kitchen", 50001), 0);
	pass_ms(&w, 20);
	assert_int_equal(port_of(&w), 50001);
	/* Taken over: away, as long as something is on its way to the other. */
	assert_int_equal(client_join(&w, "sure", "kitchen", 50002), 50001);
	pass_ms(&w, 20);
	assert_int_equal(port_of(&w), 0);
	assert_int_equal(client_join(&w, "sure", "kitchen", 50003), 50002);
	/* The older ones go; that is nothing to the newest. */
	for (uint16_t port = 50001; port <= 50002; port++) {
		member = client_at("sure", "kitchen", port);
		members_client_leave(w.members, &member);
	}
	pass_ms(&w, 20);
	assert_int_equal(port_of(&w), 0);
	has_come_back = true;
	pass_ms(&w, 30);
	assert_int_equal(port_of(&w), 50003);
	member = client_at("sure", "kitchen", 50003);
	members_client_leave(w.members, &member);
	pass_ms(&w, 20);
	assert_int_equal(port_of(&w), 0);
	/* One that has gone before it was its turn stays away. */
	has_come_back = false;
	assert_int_equal(client_join(&w, "sure", "kitchen", 50004), 0);
	member = client_at("sure", "kitchen", 50004);
	members_client_leave(w.members, &member);
	has_come_back = true;
	pass_ms(&w, 20);
	assert_int_equal(port_of(&w), 0);
	destroy(&w);
}

static void
test_who_may_not_be_a_durable_client(void **state)
{
	struct world w;

	(void)state;
	init_clients(&w);
	assert_int_equal(client_join(&w, "jobs", "kitchen", 50001), -EINVAL);
	assert_int_equal(client_join(&w, "news", "kitchen", 50001), -EINVAL);
	assert_int_equal(client_join(&w, "olds", "kitchen", 50001), -ENOENT);
	assert_int_equal(client_join(&w, "sure", "gateway-0", 50001), -EINVAL);
	assert_int_equal(client_join(&w, "sure", "", 50001), -EINVAL);
	assert_int_equal(join(&w, "sure", "other", "10.77.0.3", 0), 0);
	assert_int_equal(client_join(&w, "sure", "other", 50001), -EEXIST);
	assert_int_equal(client_forget(&w, "other", 50001), -EPERM);
	assert_int_equal(client_forget(&w, "nobody", 50001), 0);
	members_leave(w.members, "sure", "other");
	assert_int_equal(client_join(&w, "sure", "kitchen", 50001), 0);
	pass_ms(&w, 20);
	/* Its own, or nobody's. */
	assert_int_equal(client_forget(&w, "kitchen", 50002), -EPERM);
	assert_int_equal(client_join(&w, "sure", "kitchen", 50003), 50001);
	assert_int_equal(client_forget(&w, "kitchen", 50001), -EPERM);
	assert_int_equal(client_forget(&w, "kitchen", 50003), 0);
	pass_ms(&w, 20);
	assert_int_equal(port_of(&w), -1);
	destroy(&w);
}

static void
test_a_client_that_is_forgotten_begins_anew(void **state)
{
	struct world w;

	(void)state;
	init_clients(&w);
	assert_int_equal(client_join(&w, "sure", "kitchen", 50001), 0);
	pass_ms(&w, 20);
	/* Its name is not in the path in between. */
	assert_int_equal(client_forget(&w, "kitchen", 50001), 0);
	assert_int_equal(client_join(&w, "sure", "kitchen", 50002), 0);
	assert_int_equal(client_join(&w, "sure", "kitchen", 50003), 50002);
	w.rc = -EBUSY;
	has_come_back = true;
	pass_ms(&w, 20);
	assert_int_equal(port_of(&w), 50001);
	w.rc = 0;
	while (port_of(&w) == 50001)
		event_base_loop(w.base, EVLOOP_ONCE);
	assert_int_equal(port_of(&w), -1);
	pass_ms(&w, 20);
	assert_int_equal(port_of(&w), 50003);
	/* The same by an operator; twice, and nobody comes. */
	assert_int_equal(members_remove(w.members, "sure", "kitchen"), 0);
	assert_int_equal(client_join(&w, "sure", "kitchen", 50004), 0);
	assert_int_equal(client_forget(&w, "kitchen", 50004), 0);
	assert_int_equal(client_forget(&w, "kitchen", 50005), 0);
	pass_ms(&w, 20);
	assert_int_equal(port_of(&w), -1);
	destroy(&w);
}

static void
test_a_durable_client_counts_as_who_joined(void **state)
{
	struct world w;

	(void)state;
	init(&w, FILE_OF(SURE, GATEWAYS "subscriptions: {subscribers_max: 1}\n"));
	assert_int_equal(client_join(&w, "sure", "kitchen", 50001), 0);
	assert_int_equal(client_join(&w, "sure", "bar", 50002), -ENOSPC);
	assert_int_equal(client_join(&w, "sure", "kitchen", 50003), 50001);
	destroy(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_joins_are_one_change),
		cmocka_unit_test(test_who_may_not_join),
		cmocka_unit_test(test_a_queue_has_as_many_as_the_file_may_give_it),
		cmocka_unit_test(test_who_is_not_heard_of_lapses),
		cmocka_unit_test(test_a_durable_subscriber_is_only_away),
		cmocka_unit_test(test_topics_are_made_when_asked_for),
		cmocka_unit_test(test_a_topic_that_nobody_uses_goes_and_its_place_comes_back),
		cmocka_unit_test(test_a_topic_in_use_never_goes),
		cmocka_unit_test(test_a_topic_stays_for_a_durable_subscriber_that_is_away),
		cmocka_unit_test(test_another_file_wins_and_the_others_stay),
		cmocka_unit_test(test_a_refused_file_changes_nothing),
		cmocka_unit_test(test_a_full_path_takes_what_it_can),
		cmocka_unit_test(test_a_busy_path_is_asked_again),
		cmocka_unit_test(test_a_client_goes_on_elsewhere_when_all_is_back),
		cmocka_unit_test(test_who_may_not_be_a_durable_client),
		cmocka_unit_test(test_a_client_that_is_forgotten_begins_anew),
		cmocka_unit_test(test_a_durable_client_counts_as_who_joined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
