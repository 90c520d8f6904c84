/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ingress.h"
#include "sl_wire.h"

/* What threads ask of the control thread: to be a backend or none, and topics made on demand. */

#define OPENING_MS 3000u

struct gw_opened {
	struct gw_opened *next;
	uint64_t key;
	uint64_t asked_ms;
	uint32_t gateway;
	bool is_first;	 /* The gateway begins with it: it does not count. */
	bool is_served;	 /* The next snapshot that is prepared has it, or nobody will: */
	bool is_decided; /* it has been. */
	char name[SL_CONFIG_NAME_MAX + 1];
};

void
gw_wake_control(struct gw_shared *shared)
{
	const uint64_t one = 1;
	/* It cannot be full: it is read when it is not 0. */
	ssize_t n = write(shared->request_fd, &one, sizeof(one));

	RTE_SET_USED(n);
}

static int
send_request(struct gw_thread *thread, const struct gw_request *wanted)
{
	struct gw_shared *shared = thread->shared;
	struct gw_request *request = malloc(sizeof(*request));

	if (request == NULL)
		return -ENOMEM;
	*request = *wanted;
	request->thread = thread->index;
	request->serial = ++thread->nb_asked;
	pthread_mutex_lock(&shared->lock);
	STAILQ_INSERT_TAIL(&shared->requests, request, next);
	pthread_mutex_unlock(&shared->lock);
	gw_wake_control(shared);
	return 0;
}

int
gw_ask(struct gw_thread *thread, enum gw_wish wish, uint32_t gateway, const char *name,
	enum sl_config_guarantee guarantee)
{
	struct gw_request request = {.wish = wish, .gateway = gateway, .guarantee = guarantee};

	memcpy(request.name, name, strnlen(name, SL_CONFIG_NAME_MAX));
	return send_request(thread, &request);
}

int
gw_ask_durable(struct gw_thread *thread, enum gw_wish wish, const char *topic, const char *as,
	uint16_t port)
{
	struct gw_request request = {.wish = wish, .port = port};

	memcpy(request.name, topic, strnlen(topic, SL_CONFIG_NAME_MAX));
	memcpy(request.as, as, strnlen(as, SL_CONFIG_NAME_MAX));
	return send_request(thread, &request);
}

/* Under the lock. */
static struct gw_opened **
find(struct gw_shared *shared, const char *name, size_t len)
{
	uint64_t key = sl_wire_name_key_len(name, len);
	struct gw_opened **link = &shared->opened[key % GW_OPENED_BUCKETS];

	while (*link != NULL && (*link)->key != key)
		link = &(*link)->next;
	return link;
}

/* @param[out] asked_ms  when it was, by the clock of a thread that may be ahead of this one's turn
 * @return whether it was asked for, and not refused */
static bool
was_asked(struct gw_shared *shared, const char *name, size_t len, uint64_t *asked_ms)
{
	const struct gw_opened *opened;

	pthread_mutex_lock(&shared->lock);
	opened = *find(shared, name, len);
	*asked_ms = opened != NULL ? opened->asked_ms : 0;
	pthread_mutex_unlock(&shared->lock);
	return opened != NULL;
}

bool
gw_thread_is_opening(struct gw_thread *thread, const char *name, size_t len)
{
	uint64_t asked_ms;

	return was_asked(thread->shared, name, len, &asked_ms) &&
		thread->now_ms < asked_ms + OPENING_MS;
}

bool
gw_thread_has_opened(struct gw_thread *thread, const char *name, size_t len)
{
	uint64_t asked_ms;

	return was_asked(thread->shared, name, len, &asked_ms);
}

static void
forget(struct gw_shared *shared, struct gw_opened **link)
{
	struct gw_opened *opened = *link;

	if (!opened->is_first)
		__atomic_sub_fetch(
			&shared->gateways[opened->gateway].nb_topics, 1, __ATOMIC_RELAXED);
	*link = opened->next;
	free(opened);
}

void
gw_open_served(struct gw_shared *shared, const char *name)
{
	struct gw_opened *opened;

	pthread_mutex_lock(&shared->lock);
	opened = *find(shared, name, strlen(name));
	if (opened != NULL)
		opened->is_served = true;
	pthread_mutex_unlock(&shared->lock);
}

void
gw_open_failed(struct gw_shared *shared, const char *name)
{
	struct gw_opened **link;

	pthread_mutex_lock(&shared->lock);
	link = find(shared, name, strlen(name));
	if (*link != NULL)
		forget(shared, link);
	pthread_mutex_unlock(&shared->lock);
}

void
gw_opened_decide(struct gw_shared *shared)
{
	pthread_mutex_lock(&shared->lock);
	for (uint32_t i = 0; i < GW_OPENED_BUCKETS; i++) {
		for (struct gw_opened *o = shared->opened[i]; o != NULL; o = o->next)
			o->is_decided = o->is_served;
	}
	pthread_mutex_unlock(&shared->lock);
}

void
gw_opened_settle(struct gw_shared *shared, const struct gw_snapshot *snapshot)
{
	const struct gw_dest *dest;
	struct gw_opened **link;

	pthread_mutex_lock(&shared->lock);
	for (uint32_t i = 0; i < GW_OPENED_BUCKETS; i++) {
		link = &shared->opened[i];
		while (*link != NULL) {
			dest = gw_snapshot_find(snapshot, (*link)->key);
			if (dest != NULL ? dest->is_on_demand : !(*link)->is_decided)
				link = &(*link)->next;
			else
				forget(shared, link);
		}
	}
	pthread_mutex_unlock(&shared->lock);
}

void
gw_opened_destroy(struct gw_shared *shared)
{
	struct gw_opened *opened;

	for (uint32_t i = 0; i < GW_OPENED_BUCKETS; i++) {
		while ((opened = shared->opened[i]) != NULL) {
			shared->opened[i] = opened->next;
			free(opened);
		}
	}
}

/* At the end of its bucket. @return -ENOSPC, -ENOMEM */
static int
append(struct gw_listener *listener, struct gw_opened **link, const char *name, size_t len,
	bool is_first)
{
	struct gw_gateway *gateway = listener->gateway;
	struct gw_opened *opened;

	if (!is_first && gateway->nb_topics >= listener->config.topics_max)
		return -ENOSPC;
	opened = calloc(1, sizeof(*opened));
	if (opened == NULL)
		return -ENOMEM;
	opened->key = sl_wire_name_key_len(name, len);
	opened->gateway = gateway->index;
	opened->is_first = is_first;
	memcpy(opened->name, name, len);
	*link = opened;
	if (!is_first)
		__atomic_add_fetch(&gateway->nb_topics, 1, __ATOMIC_RELAXED);
	return 0;
}

/* @return 1: it is to be asked for, 0: it was a moment ago; -ENOSPC, -ENOMEM */
static int
remember(struct gw_listener *listener, const char *name, size_t len, bool is_first)
{
	struct gw_shared *shared = listener->thread->shared;
	uint64_t now = listener->thread->now_ms;
	struct gw_opened **link;
	int rc = 0;

	pthread_mutex_lock(&shared->lock);
	link = find(shared, name, len);
	if (*link == NULL)
		rc = append(listener, link, name, len, is_first);
	else if (now < (*link)->asked_ms + OPENING_MS)
		goto out;
	if (rc == 0) {
		(*link)->asked_ms = now;
		(*link)->is_served = (*link)->is_decided = false;
		rc = 1;
	}
out:
	pthread_mutex_unlock(&shared->lock);
	return rc;
}

/* @return as remember() */
static int
open_topic(struct gw_listener *listener, const char *name, size_t len, bool is_first)
{
	char text[SL_CONFIG_NAME_MAX + 1];
	int rc;

	if (len == 0 || len > SL_CONFIG_NAME_MAX)
		return -ENOSPC;
	rc = remember(listener, name, len, is_first);
	if (rc != 1)
		return rc;
	memcpy(text, name, len);
	text[len] = '\0';
	return gw_ask(listener->thread, is_first ? GW_OPEN_FIRST : GW_OPEN,
		listener->gateway->index, text, listener->config.guarantee);
}

int
gw_open_topic(struct gw_listener *listener, const char *name, size_t len)
{
	if (gw_find_destination(listener->thread, name, len) != NULL)
		return 0;
	return open_topic(listener, name, len, false);
}

int
gw_open_first(struct gw_listener *listener, const char *name, size_t len)
{
	const struct gw_dest *dest = gw_snapshot_find(
		listener->thread->snapshot, sl_wire_name_key_len(name, len));

	/* Also one that is there because a durable subscriber is remembered: it is to stay. */
	if (dest != NULL && !dest->is_on_demand)
		return 0;
	return open_topic(listener, name, len, true);
}
