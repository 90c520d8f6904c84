/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <string.h>

#include <event2/event.h>

#include "control_internal.h"
#include "members_internal.h"

/*
 * Durable members that are gateways' clients. Such a one has another place whenever its client is
 * back. What was sent to the place before and is not acknowledged has to be back in its queue
 * before anything goes to the next: so it is away in between, until nothing is on its way.
 */

/* How often is looked for that, at most; and the part of the control thread's time for it. */
#define LOOK_MS	   2
#define LOOK_SHARE 5

/* Gateways' threads have these names. */
#define RESERVED "gateway-"

static bool
is_at(const struct sl_ip *address, uint16_t port, const struct sl_member *from)
{
	return sl_ip_equal(address, &from->address) && port == from->udp_port;
}

void
members_stay(struct members *m, struct member *member)
{
	if (!member->is_moving)
		return;
	member->is_moving = false;
	TAILQ_REMOVE(&m->moving, member, moving);
}

static void
come_back(struct members *m, struct member *member)
{
	member->address = member->place.address;
	member->port = member->place.udp_port;
	member->is_away = false;
	members_stay(m, member);
	members_schedule(m);
}

void
members_forget(struct members *m, struct member *member)
{
	members_stay(m, member);
	members_schedule(m);
	if (!member->is_applied) {
		members_free(m, member);
		return;
	}
	m->nb_forgotten += !member->is_forgotten;
	member->is_forgotten = true;
	member->is_durable = false;
	member->is_away = true;
}

/* Somebody else under its name is another one to the path. */
static void
begin_anew(struct members *m, struct member *member)
{
	m->nb_forgotten--;
	member->is_forgotten = false;
	member->is_applied = false;
	member->is_durable = true;
	m->stats.joined++;
	come_back(m, member);
}

void
members_forgotten(struct members *m)
{
	struct group *group, *next_group;
	struct member *member, *next;

	for (group = TAILQ_FIRST(&m->groups); group != NULL; group = next_group) {
		next_group = TAILQ_NEXT(group, next);
		for (member = TAILQ_FIRST(&group->members); member != NULL; member = next) {
			next = TAILQ_NEXT(member, next);
			if (member->is_forgotten && member->is_moving)
				begin_anew(m, member);
			else if (member->is_forgotten)
				members_free(m, member); /* The last takes its group with it. */
		}
	}
}

static void
look_later(struct members *m, uint64_t ms)
{
	const struct timeval delay = {
		.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	if (!event_pending(m->move, EV_TIMEOUT, NULL))
		event_add(m->move, &delay);
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct members *m = arg;
	struct member *member, *next;
	uint64_t begin = control_now_ms();

	(void)fd;
	(void)what;
	for (member = TAILQ_FIRST(&m->moving); member != NULL; member = next) {
		next = TAILQ_NEXT(member, moving);
		if (!member->is_forgotten &&
			(m->params.is_idle == NULL ||
				m->params.is_idle(
					m->params.arg, member->group->destination, member->name)))
			come_back(m, member);
	}
	if (!TAILQ_EMPTY(&m->moving))
		look_later(m, LOOK_MS + (LOOK_SHARE - 1) * (control_now_ms() - begin));
}

int
members_clients_create(struct members *m)
{
	m->move = event_new(m->params.base, -1, 0, on_look, m);
	return m->move != NULL ? 0 : -ENOMEM;
}

void
members_clients_destroy(struct members *m)
{
	if (m->move != NULL)
		event_free(m->move);
}

/* Is something kept there for who is away, and may it have this name? */
static int
check(const struct members *m, const struct sl_config *file, const struct sl_member *from,
	char *error, size_t error_len)
{
	const struct group *group = members_group(m, from->destination);
	uint32_t index = sl_config_find_destination(file, from->destination);
	const struct sl_config_destination *d = index == UINT32_MAX ? NULL
								    : &file->destinations[index];
	const struct member *member = members_member(
		m, members_group(m, from->destination), from->name);

	if (strncmp(from->name, RESERVED, strlen(RESERVED)) == 0)
		return control_fail(-EINVAL, error, error_len,
			"names that begin with " RESERVED " are the gateways' own: take another");
	if (d == NULL && (group == NULL || !group->is_topic))
		return control_fail(
			-ENOENT, error, error_len, "there is no topic %s", from->destination);
	if ((d != NULL ? d->guarantee : group->guarantee) != SL_CONFIG_AT_LEAST_ONCE ||
		(d != NULL && d->kind != SL_CONFIG_TOPIC))
		return control_fail(-EINVAL, error, error_len,
			"%s is no at-least-once topic: nothing is kept there for who is away",
			from->destination);
	if (member != NULL && !member->is_client)
		return control_fail(-EEXIST, error, error_len,
			"%s has a subscriber %s that is no gateway's client: take another name, or "
			"have it unsubscribed",
			from->destination, from->name);
	return 0;
}

int
members_client_join(struct members *m, const struct sl_config *file, const struct sl_member *from,
	struct sl_member_place *displaced, char *error, size_t error_len)
{
	struct member *member;
	int rc = check(m, file, from, error, error_len);

	*displaced = (struct sl_member_place){.udp_port = 0};
	if (rc != 0)
		return rc;
	member = members_member(m, members_group(m, from->destination), from->name);
	if (member == NULL)
		return members_join(m, file, from, error, error_len);
	if (member->is_moving)
		*displaced = member->place;
	else
		TAILQ_INSERT_TAIL(&m->moving, member, moving);
	member->is_moving = true;
	if (!member->is_away) {
		displaced->address = member->address;
		displaced->udp_port = member->port;
		members_part(m, member);
	}
	member->place.address = from->address;
	member->place.udp_port = from->udp_port;
	look_later(m, LOOK_MS);
	return 0;
}

void
members_client_leave(struct members *m, const struct sl_member *from)
{
	struct member *member = members_member(m, members_group(m, from->destination), from->name);

	if (member == NULL)
		return;
	if (member->is_moving && is_at(&member->place.address, member->place.udp_port, from)) {
		members_stay(m, member);
	} else if (!member->is_away && is_at(&member->address, member->port, from)) {
		m->stats.left++;
		members_part(m, member);
	}
}

int
members_client_forget(
	struct members *m, const struct sl_member *from, char *error, size_t error_len)
{
	struct member *member = members_member(m, members_group(m, from->destination), from->name);
	bool is_its;

	if (member == NULL)
		return 0;
	if (!member->is_client)
		return control_fail(-EPERM, error, error_len,
			"%s of %s is no gateway's client: sluicectl unsubscribe forgets it",
			from->name, from->destination);
	is_its = member->is_moving ? is_at(&member->place.address, member->place.udp_port, from)
				   : member->is_away || is_at(&member->address, member->port, from);
	if (!is_its)
		return control_fail(-EPERM, error, error_len,
			"another client subscribes to %s as %s", from->destination, from->name);
	m->stats.left += !member->is_forgotten;
	members_forget(m, member);
	return 0;
}
