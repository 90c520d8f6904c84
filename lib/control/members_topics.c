/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "control_internal.h"
#include "members_internal.h"
#include "sl_log.h"

/*
 * Topics that the file does not have. One is used while it has a subscriber, who may be away,
 * while something waits for it, and when something has come for it since it was looked at last.
 * When it has not been used for as long as the file says, it goes.
 */

/* Looked at so often in that time, within these bounds: another file may have a shorter one. */
#define LOOKS	    4u
#define LOOK_MIN_MS 100u
#define LOOK_MAX_MS 5000u

/* As many as all gateways together may make. */
static uint64_t
topics_max(const struct sl_config *file)
{
	const struct sl_config_gateways *gateways = &file->gateways;
	uint64_t max = 0;

	for (uint32_t i = 0; i < gateways->nb_gateways; i++)
		max += gateways->gateways[i].topics_max + (uint64_t)gateways->gateways[i].nb_rooms;
	return max;
}

static void
look_later(struct members *m)
{
	uint32_t ms = m->params.topic_idle_ms(m->params.arg) / LOOKS;
	struct timeval delay;

	/* 0: they stay. */
	if (ms == 0 || ms > LOOK_MAX_MS)
		ms = LOOK_MAX_MS;
	else if (ms < LOOK_MIN_MS)
		ms = LOOK_MIN_MS;
	delay = (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	if (!event_pending(m->idle, EV_TIMEOUT, NULL))
		event_add(m->idle, &delay);
}

/* Has nobody used it for so long? */
static bool
is_idle(struct members *m, struct group *group, uint64_t now, uint32_t idle_ms)
{
	uint64_t came = group->came, waiting = 0;

	if (group->nb_members == 0 && group->is_applied && !group->stays)
		m->params.topic_use(m->params.arg, group->destination, &came, &waiting);
	if (group->nb_members > 0 || !group->is_applied || group->stays || waiting > 0 ||
		came != group->came) {
		group->came = came;
		group->used_ms = now;
		return false;
	}
	return now - group->used_ms >= idle_ms;
}

static void
on_idle(evutil_socket_t fd, short what, void *arg)
{
	struct members *m = arg;
	uint32_t idle_ms = m->params.topic_idle_ms(m->params.arg), nb = 0;
	uint64_t now = control_now_ms();
	struct group *group, *next;

	(void)fd;
	(void)what;
	for (group = TAILQ_FIRST(&m->groups); group != NULL; group = next) {
		next = TAILQ_NEXT(group, next);
		if (idle_ms == 0 || !group->is_topic || !is_idle(m, group, now, idle_ms))
			continue;
		sl_log(SL_LOG_control, SL_LEVEL_DEBUG, "topic %s: nobody uses it: it goes",
			group->destination);
		group->is_topic = false;
		m->stats.topics--;
		members_free_group_if_empty(m, group);
		nb++;
	}
	if (nb > 0)
		members_schedule(m);
	if (m->stats.topics > 0)
		look_later(m);
}

int
members_open_topic(struct members *m, const struct sl_config *file, const char *name,
	enum sl_config_guarantee guarantee, bool stays)
{
	struct group *group = members_group(m, name);

	if (sl_config_find_destination(file, name) != UINT32_MAX)
		return 0;
	if (group != NULL && group->is_topic) {
		group->used_ms = control_now_ms();
		group->stays |= stays;
		return 0;
	}
	if (!sl_config_is_name(name) ||
		(guarantee == SL_CONFIG_AT_LEAST_ONCE && file->journal.directory == NULL))
		return -EINVAL;
	if (m->stats.topics >= topics_max(file))
		return -ENOSPC;
	if (group == NULL)
		group = members_add_group(m, name);
	if (group == NULL)
		return -ENOMEM;
	group->is_topic = true;
	group->guarantee = guarantee;
	group->stays = stays;
	group->used_ms = control_now_ms();
	m->stats.topics++;
	members_schedule(m);
	if (m->params.topic_use != NULL)
		look_later(m);
	return 0;
}

int
members_topics_create(struct members *m)
{
	m->idle = event_new(m->params.base, -1, 0, on_idle, m);
	return m->idle != NULL ? 0 : -ENOMEM;
}

void
members_topics_destroy(struct members *m)
{
	if (m->idle != NULL)
		event_free(m->idle);
}
