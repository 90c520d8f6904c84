/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "control_internal.h"
#include "members_internal.h"
#include "sl_log.h"
#include "sl_notify.h"

/* What is asked for within this time is one change; and when a change has to wait. */
#define BATCH_MS 5

/* Changes take one part of the control thread's time in so many: who joins and leaves without an
 * end is obeyed less often, and holds nobody up. */
#define BATCH_SHARE 5

/* One datagram that was refused is logged in so long. */
#define TELL_MS 1000

/* Shortest time that a datagram may subscribe for. */
#define TTL_MIN_MS 1000

/* How often lapses are looked for. */
#define SWEEP_US 100000

static int
compare_groups(const void *a, const void *b)
{
	return strcmp(
		((const struct group *)a)->destination, ((const struct group *)b)->destination);
}

static int
compare_members(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return strcmp(x->name, y->name);
}

struct group *
members_group(const struct members *m, const char *destination)
{
	const struct group wanted = {.destination = (char *)(uintptr_t)destination};
	struct group **found = tfind(&wanted, &m->by_destination, compare_groups);

	return found != NULL ? *found : NULL;
}

struct member *
members_member(const struct members *m, struct group *group, const char *name)
{
	const struct member wanted = {.group = group, .name = (char *)(uintptr_t)name};
	struct member **found = tfind(&wanted, &m->by_name, compare_members);

	return group != NULL && found != NULL ? *found : NULL;
}

struct group *
members_add_group(struct members *m, const char *destination)
{
	struct group *group = calloc(1, sizeof(*group));

	if (group == NULL)
		return NULL;
	TAILQ_INIT(&group->members);
	group->destination = strdup(destination);
	if (group->destination == NULL ||
		tsearch(group, &m->by_destination, compare_groups) == NULL) {
		free(group->destination);
		free(group);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&m->groups, group, next);
	return group;
}

/* A group that nobody is in and that is no topic stands for nothing. */
void
members_free_group_if_empty(struct members *m, struct group *group)
{
	if (group->nb_members > 0 || group->is_topic)
		return;
	tdelete(group, &m->by_destination, compare_groups);
	TAILQ_REMOVE(&m->groups, group, next);
	free(group->destination);
	free(group);
}

static void
free_member(struct members *m, struct member *member)
{
	struct group *group = member->group;

	members_stay(m, member);
	tdelete(member, &m->by_name, compare_members);
	TAILQ_REMOVE(&group->members, member, next);
	group->nb_members--;
	m->stats.members--;
	m->nb_counted -= !member->is_gateway;
	m->nb_ttls -= member->expires_ms != UINT64_MAX;
	m->nb_forgotten -= member->is_forgotten;
	free(member->name);
	free(member);
}

void
members_free(struct members *m, struct member *member)
{
	struct group *group = member->group;

	free_member(m, member);
	members_free_group_if_empty(m, group);
}

void
members_schedule(struct members *m)
{
	const struct timeval delay = {
		.tv_sec = m->delay_ms / 1000, .tv_usec = m->delay_ms % 1000 * 1000};

	if (!m->is_waiting && event_add(m->batch, &delay) == 0)
		m->is_waiting = true;
}

static void
set_expiry(struct members *m, struct member *member, uint32_t ttl_ms)
{
	const struct timeval interval = {.tv_usec = SWEEP_US};

	m->nb_ttls -= member->expires_ms != UINT64_MAX;
	member->expires_ms = ttl_ms > 0 ? control_now_ms() + ttl_ms : UINT64_MAX;
	m->nb_ttls += ttl_ms > 0;
	if (ttl_ms > 0 && !event_pending(m->sweep, EV_TIMEOUT, NULL))
		event_add(m->sweep, &interval);
}

static bool
has_backend(const struct sl_config_destination *destination, const char *name)
{
	for (uint32_t i = 0; i < destination->nb_backends; i++) {
		if (strcmp(destination->backends[i].name, name) == 0)
			return true;
	}
	return false;
}

static uint32_t
backends_max(const struct sl_config_destination *destination)
{
	return destination == NULL || destination->kind == SL_CONFIG_TOPIC
		? SL_CONFIG_SUBSCRIBERS_MAX
		: SL_CONFIG_BACKENDS_MAX;
}

/* May it stand where it wants to? */
static int
check_place(const struct sl_config *file, const struct group *group, const struct sl_member *member,
	bool *is_gateway, char *error, size_t error_len)
{
	struct sl_config_backend backend = {.address = member->address, .port = member->udp_port};
	uint32_t index = sl_config_find_destination(file, member->destination);
	const struct sl_config_destination *destination = index == UINT32_MAX
		? NULL
		: &file->destinations[index];
	char address[SL_IP_STRLEN];
	const char *wrong;

	if (destination == NULL && (group == NULL || !group->is_topic))
		return control_fail(-ENOENT, error, error_len,
			"there is no destination '%.63s': name a configured one",
			member->destination);
	if (!sl_config_is_name(member->name))
		return control_fail(-EINVAL, error, error_len,
			"a subscriber's name has 1 to %d bytes of printable UTF-8",
			SL_CONFIG_NAME_MAX);
	if (destination != NULL && has_backend(destination, member->name))
		return control_fail(-EEXIST, error, error_len,
			"'%s' is a backend of %s in the file: take another name", member->name,
			member->destination);
	if (member->udp_port == 0)
		return control_fail(-EINVAL, error, error_len, "no UDP port: give 1 to 65535");
	wrong = sl_config_route(file, &backend);
	if (wrong != NULL)
		return control_fail(-EHOSTUNREACH, error, error_len, "%s is %s",
			sl_ip_format(&member->address, address), wrong);
	/* A durable one stays when its client has gone. */
	*is_gateway = file->ports[backend.port_index].is_gateway && !member->is_client;
	return 0;
}

static int
check_room(const struct members *m, const struct sl_config *file, const struct group *group,
	const struct sl_member *member, bool is_gateway, char *error, size_t error_len)
{
	uint32_t index = sl_config_find_destination(file, member->destination), nb, max;
	const struct sl_config_destination *destination = index == UINT32_MAX
		? NULL
		: &file->destinations[index];

	nb = (destination != NULL ? destination->nb_backends : 0) +
		(group != NULL ? group->nb_members : 0);
	max = backends_max(destination);
	if (nb >= max)
		return control_fail(-ENOSPC, error, error_len, "%s has %u backends already",
			member->destination, max);
	max = file->subscriptions.subscribers_max;
	if (!is_gateway && m->nb_counted >= max)
		return control_fail(-ENOSPC, error, error_len,
			"there are %u subscribers already: raise subscriptions.subscribers_max",
			max);
	return 0;
}

/* Only then a message may wait for one who is away. */
static bool
is_at_least_once(const struct sl_config *file, const struct group *group)
{
	uint32_t index = sl_config_find_destination(file, group->destination);

	return (index != UINT32_MAX ? file->destinations[index].guarantee : group->guarantee) ==
		SL_CONFIG_AT_LEAST_ONCE;
}

static struct member *
add_member(struct members *m, struct group *group, const struct sl_member *from, bool is_gateway)
{
	struct member *member = calloc(1, sizeof(*member));

	if (member == NULL)
		return NULL;
	member->group = group;
	member->expires_ms = UINT64_MAX;
	member->is_gateway = is_gateway;
	member->name = strdup(from->name);
	if (member->name == NULL || tsearch(member, &m->by_name, compare_members) == NULL) {
		free(member->name);
		free(member);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&group->members, member, next);
	group->nb_members++;
	m->stats.members++;
	m->stats.joined++;
	m->nb_counted += !is_gateway;
	return member;
}

/* What the path has to learn of it, or the file of who is remembered; a renewal has nothing. */
static bool
is_news(const struct member *member, const struct sl_member *from, bool is_durable)
{
	/* One that is new has no port yet. */
	if (member->port != from->udp_port || !sl_ip_equal(&member->address, &from->address) ||
		member->is_durable != is_durable || member->is_away)
		return true;
	return is_durable &&
		(member->ttl_ms != from->ttl_ms || member->is_datagram != from->is_datagram ||
			member->is_client != from->is_client);
}

int
members_join(struct members *m, const struct sl_config *file, const struct sl_member *from,
	char *error, size_t error_len)
{
	struct group *group = members_group(m, from->destination);
	struct member *member = members_member(m, group, from->name);
	bool is_gateway = false, is_durable;
	int rc = check_place(file, group, from, &is_gateway, error, error_len);

	if (rc != 0)
		return rc;
	if (member == NULL) {
		rc = check_room(m, file, group, from, is_gateway, error, error_len);
		if (rc != 0)
			return rc;
		if (group == NULL)
			group = members_add_group(m, from->destination);
		if (group != NULL)
			member = add_member(m, group, from, is_gateway);
		if (member == NULL) {
			if (group != NULL)
				members_free_group_if_empty(m, group);
			return control_fail(
				-ENOMEM, error, error_len, "no memory for a subscriber");
		}
	}
	is_durable = from->is_durable && is_at_least_once(file, group);
	if (is_news(member, from, is_durable))
		members_schedule(m);
	member->address = from->address;
	member->port = from->udp_port;
	member->is_durable = is_durable;
	member->is_away = false;
	member->is_datagram = from->is_datagram;
	member->is_client = from->is_client;
	m->nb_forgotten -= member->is_forgotten;
	member->is_forgotten = false;
	members_stay(m, member);
	member->ttl_ms = from->ttl_ms;
	set_expiry(m, member, from->ttl_ms);
	return 0;
}

void
members_part(struct members *m, struct member *member)
{
	if (member->is_durable) {
		member->is_away = true;
		set_expiry(m, member, 0);
	} else {
		members_free(m, member);
	}
	members_schedule(m);
}

int
members_leave(struct members *m, const char *destination, const char *name)
{
	struct member *member = members_member(m, members_group(m, destination), name);

	if (member == NULL || member->is_away)
		return -ENOENT;
	m->stats.left++;
	members_part(m, member);
	return 0;
}

int
members_remove(struct members *m, const char *destination, const char *name)
{
	struct member *member = members_member(m, members_group(m, destination), name);

	if (member == NULL)
		return -ENOENT;
	m->stats.left++;
	if (member->is_client) {
		members_forget(m, member);
	} else {
		member->is_durable = false;
		members_part(m, member);
	}
	return 0;
}

static int
subscribe(struct members *m, const struct sl_config *file,
	const struct sl_datapath_subscribe *wanted, char *error, size_t error_len)
{
	uint32_t max = file->subscriptions.ttl_max_ms;
	uint32_t ttl_ms = wanted->ttl_ms == 0 || wanted->ttl_ms > max ? max : wanted->ttl_ms;
	const struct sl_member from = {
		.destination = wanted->destination,
		.name = wanted->backend,
		.address = wanted->from,
		.udp_port = wanted->from_port,
		.ttl_ms = ttl_ms < TTL_MIN_MS ? TTL_MIN_MS : ttl_ms,
		.in_flight = wanted->credit,
		.is_durable = wanted->is_durable,
		.is_datagram = true,
	};
	struct member *member = members_member(
		m, members_group(m, wanted->destination), wanted->backend);

	if (member != NULL && !member->is_datagram)
		return control_fail(-EEXIST, error, error_len, "there is one of this name already");
	if (wanted->is_leave) {
		/* Who has another's name and not his address is somebody else. */
		if (member == NULL || !sl_ip_equal(&member->address, &wanted->from) ||
			member->port != wanted->from_port)
			return control_fail(-ENOENT, error, error_len, "there is none to leave");
		m->stats.left++;
		members_part(m, member);
		return 0;
	}
	return members_join(m, file, &from, error, error_len);
}

void
members_subscribe(
	struct members *m, const struct sl_config *file, const struct sl_datapath_subscribe *wanted)
{
	char error[256], address[SL_IP_STRLEN];

	if (subscribe(m, file, wanted, error, sizeof(error)) == 0)
		return;
	m->stats.refused++;
	if (control_now_ms() < m->told_ms + TELL_MS)
		return;
	m->told_ms = control_now_ms();
	sl_log(SL_LOG_control, SL_LEVEL_INFO,
		"%s of %s to %s, from %s port %u: %s (refused since the start: %llu)",
		wanted->is_leave ? "leave" : "subscription", wanted->backend, wanted->destination,
		sl_ip_format(&wanted->from, address), wanted->from_port, error,
		(unsigned long long)m->stats.refused);
}

/* What is there besides, with a file: some of it may have no place any more. */
static const char *
why_not(const struct sl_config_destination *destination, const struct group *group,
	const struct member *member, uint32_t place)
{
	if (member->drop != NULL)
		return member->drop;
	if (destination == NULL && !group->is_topic)
		return "its destination is gone";
	if (destination == NULL)
		return NULL;
	if (place >= backends_max(destination))
		return "its destination has as many backends as it may have";
	return has_backend(destination, member->name) ? "the file has a backend of its name" : NULL;
}

static void
fill_group(struct group *group, const struct sl_config_destination *destination, bool is_other_file,
	struct sl_config_group *to, struct sl_config_member *members)
{
	uint32_t place = destination != NULL ? destination->nb_backends : 0;
	struct member *member;

	*to = (struct sl_config_group){
		.destination = group->destination,
		.guarantee = group->guarantee,
		.members = members,
	};
	group->is_in_file = group->is_topic && destination != NULL;
	TAILQ_FOREACH (member, &group->members, next) {
		if (is_other_file)
			member->drop = why_not(destination, group, member, place);
		if (member->drop != NULL || member->is_forgotten)
			continue;
		place++;
		members[to->nb_members++] = (struct sl_config_member){
			.name = member->name,
			.address = member->address,
			.port = member->port,
			.state = member->is_away ? SL_CONFIG_MAINTENANCE : SL_CONFIG_READY,
			.is_durable = member->is_durable,
		};
	}
}

int
members_overlay(struct members *m, const struct sl_config *file, bool is_other_file,
	struct sl_config **config)
{
	struct sl_config_member *members;
	struct sl_config_group *groups;
	uint32_t nb_groups = 0, nb_members = 0, index;
	struct group *group;
	int rc = -ENOMEM;

	*config = (struct sl_config *)(uintptr_t)file;
	TAILQ_FOREACH (group, &m->groups, next)
		nb_groups++;
	if (nb_groups == 0)
		return 0;
	groups = calloc(nb_groups, sizeof(*groups));
	members = calloc((size_t)m->stats.members + 1, sizeof(*members));
	nb_groups = 0;
	if (groups != NULL && members != NULL) {
		TAILQ_FOREACH (group, &m->groups, next) {
			index = sl_config_find_destination(file, group->destination);
			fill_group(group, index == UINT32_MAX ? NULL : &file->destinations[index],
				is_other_file, &groups[nb_groups], &members[nb_members]);
			nb_members += groups[nb_groups].nb_members;
			/* Whose destination is gone has no members left; there is no such topic. */
			nb_groups += index != UINT32_MAX || group->is_topic;
		}
		rc = sl_config_overlay(file, groups, nb_groups, config);
	}
	free(groups);
	free(members);
	return rc;
}

static void
tell_dropped(struct members *m, const char *destination, const char *name, const char *reason,
	uint32_t nb)
{
	if (m->params.notify == NULL || nb == 0)
		return;
	sl_notify(m->params.notify, SL_LEVEL_WARN, "subscriber_dropped",
		json_pack("{s:s, s:s, s:s, s:I}", "destination", destination, "backend", name,
			"reason", reason, "subscribers", (json_int_t)nb),
		"subscriber %s of %s: dropped: %s%s", name, destination, reason,
		nb > 1 ? "; and others" : "");
}

/* Free those that are dropped; the first of them is told. Returns their number. */
static uint32_t
free_dropped(struct members *m)
{
	char destination[SL_CONFIG_NAME_MAX + 1] = "", name[SL_CONFIG_NAME_MAX + 1] = "";
	struct group *group, *next_group;
	struct member *member, *next;
	const char *reason = "";
	uint32_t nb = 0;

	for (group = TAILQ_FIRST(&m->groups); group != NULL; group = next_group) {
		next_group = TAILQ_NEXT(group, next);
		for (member = TAILQ_FIRST(&group->members); member != NULL; member = next) {
			next = TAILQ_NEXT(member, next);
			if (member->drop == NULL)
				continue;
			if (nb++ == 0) {
				reason = member->drop;
				snprintf(
					destination, sizeof(destination), "%s", group->destination);
				snprintf(name, sizeof(name), "%s", member->name);
			}
			free_member(m, member);
		}
		members_free_group_if_empty(m, group);
	}
	m->stats.dropped += nb;
	tell_dropped(m, destination, name, reason, nb);
	return nb;
}

void
members_commit(struct members *m)
{
	struct group *group;
	struct member *member;

	TAILQ_FOREACH (group, &m->groups, next) {
		if (group->is_in_file) {
			group->is_topic = false;
			m->stats.topics--;
		}
		group->is_in_file = false;
		group->is_applied = true;
		TAILQ_FOREACH (member, &group->members, next)
			member->is_applied = true;
	}
	if (m->nb_forgotten > 0)
		members_forgotten(m);
	if (free_dropped(m) > 0 && m->params.directory != NULL)
		members_store(m, m->params.directory);
}

void
members_rollback(struct members *m)
{
	struct group *group;
	struct member *member;

	TAILQ_FOREACH (group, &m->groups, next) {
		group->is_in_file = false;
		TAILQ_FOREACH (member, &group->members, next)
			member->drop = NULL;
	}
}

/* Of those that are not in the path yet, every second one goes; of a single one, that one. */
static uint32_t
drop_some(struct members *m, const char *reason)
{
	uint32_t nb = 0, nb_topics = 0;
	struct group *group;
	struct member *member;
	bool is_dropped;

	TAILQ_FOREACH (group, &m->groups, next) {
		is_dropped = group->is_topic && !group->is_applied && nb++ % 2 == 0;
		if (is_dropped) {
			group->is_topic = false;
			m->stats.topics--;
			nb_topics++;
		}
		TAILQ_FOREACH (member, &group->members, next) {
			if (is_dropped || (!member->is_applied && nb++ % 2 == 0))
				member->drop = reason;
		}
	}
	m->stats.dropped += nb_topics;
	return free_dropped(m) + nb_topics;
}

static void
on_batch(evutil_socket_t fd, short what, void *arg)
{
	struct members *m = arg;
	uint64_t begin = control_now_ms();
	char error[512] = "";
	int rc;

	(void)fd;
	(void)what;
	m->is_waiting = false;
	if (m->params.directory != NULL)
		members_store(m, m->params.directory);
	rc = m->params.apply(m->params.arg, error, sizeof(error));
	m->delay_ms = BATCH_MS + (BATCH_SHARE - 1) * (uint32_t)(control_now_ms() - begin);
	if (rc == 0) {
		m->stats.batches++;
	} else if (rc == -EBUSY) {
		members_schedule(m);
	} else if (drop_some(m,
			   rc == -ENOSPC ? "there is no room for it in the path: raise limits"
					 : "it cannot be taken over") > 0) {
		sl_log(SL_LOG_control, SL_LEVEL_WARN, "subscribers: %s", error);
		members_schedule(m);
	} else {
		sl_log(SL_LOG_control, SL_LEVEL_ERROR,
			"subscribers and topics that came or went are not in the path: %s", error);
	}
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	char destination[SL_CONFIG_NAME_MAX + 1], name[SL_CONFIG_NAME_MAX + 1];
	struct members *m = arg;
	struct group *group, *next_group;
	struct member *member, *next;
	uint64_t now = control_now_ms();
	uint32_t nb = 0;

	(void)fd;
	(void)what;
	for (group = TAILQ_FIRST(&m->groups); group != NULL; group = next_group) {
		next_group = TAILQ_NEXT(group, next);
		for (member = TAILQ_FIRST(&group->members); member != NULL; member = next) {
			next = TAILQ_NEXT(member, next);
			if (member->expires_ms > now)
				continue;
			if (nb++ == 0) {
				snprintf(
					destination, sizeof(destination), "%s", group->destination);
				snprintf(name, sizeof(name), "%s", member->name);
			}
			/* The last one takes its group with it. */
			members_part(m, member);
		}
	}
	m->stats.lapsed += nb;
	if (nb > 0 && m->params.notify != NULL)
		sl_notify(m->params.notify, SL_LEVEL_INFO, "subscriber_lapsed",
			json_pack("{s:s, s:s, s:I}", "destination", destination, "backend", name,
				"subscribers", (json_int_t)nb),
			"subscriber %s of %s: not heard from within its time%s", name, destination,
			nb > 1 ? "; nor others" : "");
	if (m->nb_ttls == 0)
		event_del(m->sweep);
}

bool
members_find(const struct members *m, const char *destination, const char *name,
	struct member_info *info)
{
	const struct member *member = members_member(m, members_group(m, destination), name);
	uint64_t now = control_now_ms();

	if (member == NULL)
		return false;
	info->is_durable = member->is_durable;
	info->is_away = member->is_away;
	info->ttl_left_ms = member->expires_ms == UINT64_MAX ? UINT64_MAX
		: member->expires_ms > now		     ? member->expires_ms - now
							     : 0;
	return true;
}

void
members_stats(const struct members *m, struct members_stats *stats)
{
	*stats = m->stats;
}

struct members *
members_create(const struct members_params *params)
{
	struct members *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->params = *params;
	m->delay_ms = BATCH_MS;
	TAILQ_INIT(&m->groups);
	TAILQ_INIT(&m->moving);
	m->batch = event_new(params->base, -1, 0, on_batch, m);
	m->sweep = event_new(params->base, -1, EV_PERSIST, on_sweep, m);
	if (m->batch == NULL || m->sweep == NULL || members_clients_create(m) != 0 ||
		members_topics_create(m) != 0) {
		members_destroy(m);
		return NULL;
	}
	return m;
}

void
members_destroy(struct members *m)
{
	struct group *group;

	if (m == NULL)
		return;
	while ((group = TAILQ_FIRST(&m->groups)) != NULL) {
		while (!TAILQ_EMPTY(&group->members))
			free_member(m, TAILQ_FIRST(&group->members));
		group->is_topic = false;
		members_free_group_if_empty(m, group);
	}
	if (m->batch != NULL)
		event_free(m->batch);
	if (m->sweep != NULL)
		event_free(m->sweep);
	members_clients_destroy(m);
	members_topics_destroy(m);
	free(m->stored);
	free(m);
}
