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
/* One that is refused may be asked for again after so long, and after so long without anybody who
 * saw that it is. */
#define REFUSED_MS 1000u
#define UNSEEN_MS  (2 * OPENING_MS)

struct gw_opened {
	struct gw_opened *next;
	uint64_t key;
	uint64_t asked_ms;
	uint64_t refused_ms; /* When somebody saw it first, by his clock; 0: nobody has. */
	int refusal;	     /* Why it is not to be had, -errno; it does not count then. */
	uint32_t gateway;
	bool is_first;	 /* The gateway begins with it: it does not count. */
	bool is_served;	 /* The next snapshot that is prepared has it, or nobody will: */
	bool is_decided; /* it has been. */
	bool is_there;	 /* One had it. */
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
find_key(struct gw_shared *shared, uint64_t key)
{
	struct gw_opened **link = &shared->opened[key % GW_OPENED_BUCKETS];

	while (*link != NULL && (*link)->key != key)
		link = &(*link)->next;
	return link;
}

static struct gw_opened **
find(struct gw_shared *shared, const char *name, size_t len)
{
	return find_key(shared, sl_wire_name_key_len(name, len));
}

/* @param[out] asked_ms  when it was, by the clock of a thread that may be ahead of this one's turn
 * @return whether it was asked for, and not refused */
static bool
was_asked(struct gw_shared *shared, const char *name, size_t len, uint64_t *asked_ms)
{
	const struct gw_opened *opened;
	bool is_wanted;

	pthread_mutex_lock(&shared->lock);
	opened = *find(shared, name, len);
	is_wanted = opened != NULL && opened->refusal == 0;
	*asked_ms = is_wanted ? opened->asked_ms : 0;
	pthread_mutex_unlock(&shared->lock);
	return is_wanted;
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
count(struct gw_shared *shared, const struct gw_opened *opened, uint32_t n)
{
	if (!opened->is_first)
		__atomic_add_fetch(
			&shared->gateways[opened->gateway].nb_topics, n, __ATOMIC_RELAXED);
}

static void
forget(struct gw_shared *shared, struct gw_opened **link)
{
	struct gw_opened *opened = *link;

	if (opened->refusal == 0)
		count(shared, opened, UINT32_MAX);
	*link = opened->next;
	free(opened);
}

/* It gives its place back, and is kept, so that who waits for it hears of it; of those that nobody
 * asks for any more, the oldest goes. */
static void
refuse(struct gw_shared *shared, struct gw_opened *opened, int why)
{
	uint64_t *place = &shared->refused[shared->nb_refused++ % GW_REFUSED_MAX];
	struct gw_opened **oldest = find_key(shared, *place);

	if (*oldest != NULL && (*oldest)->refusal != 0)
		forget(shared, oldest);
	*place = opened->key;
	count(shared, opened, UINT32_MAX);
	opened->refusal = why;
	opened->refused_ms = 0;
}

void
gw_open_served(struct gw_shared *shared, const char *name)
{
	struct gw_opened *opened;

	pthread_mutex_lock(&shared->lock);
	opened = *find(shared, name, strlen(name));
	if (opened != NULL) {
		/* It was asked for twice. */
		if (opened->refusal != 0)
			count(shared, opened, 1);
		opened->refusal = 0;
		opened->is_served = true;
	}
	pthread_mutex_unlock(&shared->lock);
}

void
gw_open_failed(struct gw_shared *shared, const char *name, int why)
{
	struct gw_opened *opened;

	pthread_mutex_lock(&shared->lock);
	opened = *find(shared, name, strlen(name));
	if (opened != NULL && opened->refusal == 0)
		refuse(shared, opened, why);
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

enum settled { STAYS, GOES, IS_REFUSED };

static enum settled
settle(struct gw_opened *opened, const struct gw_dest *dest)
{
	bool was_there = opened->is_there;

	if (dest != NULL) {
		opened->is_there = true;
		return dest->is_on_demand && opened->refusal == 0 ? STAYS : GOES;
	}
	if (opened->refusal != 0 || !opened->is_decided)
		return STAYS;
	/* It was to be there, and the path had no room for it. */
	return was_there ? GOES : IS_REFUSED;
}

void
gw_opened_settle(struct gw_shared *shared, const struct gw_snapshot *snapshot)
{
	struct gw_opened **link;

	pthread_mutex_lock(&shared->lock);
	for (uint32_t i = 0; i < GW_OPENED_BUCKETS; i++) {
		link = &shared->opened[i];
		while (*link != NULL) {
			switch (settle(*link, gw_snapshot_find(snapshot, (*link)->key))) {
			case STAYS:
				link = &(*link)->next;
				break;
			case GOES:
				forget(shared, link);
				break;
			case IS_REFUSED:
				/* Which may free the one before it. */
				refuse(shared, *link, -ENOSPC);
				link = &shared->opened[i];
				break;
			}
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
	count(listener->thread->shared, opened, 1);
	return 0;
}

/* @return why it is not to be had; 0: it may be asked for again */
static int
see_refusal(struct gw_opened *opened, uint64_t now)
{
	if (opened->refused_ms == 0 && now < opened->asked_ms + UNSEEN_MS)
		opened->refused_ms = now;
	return opened->refused_ms != 0 && now < opened->refused_ms + REFUSED_MS ? opened->refusal
										: 0;
}

/* @return 1: it is to be asked for, 0: it was a moment ago; -errno: it is not to be had */
static int
remember(struct gw_listener *listener, const char *name, size_t len, bool is_first)
{
	struct gw_shared *shared = listener->thread->shared;
	uint64_t now = listener->thread->now_ms;
	struct gw_opened **link;
	int rc = 0;

	pthread_mutex_lock(&shared->lock);
	link = find(shared, name, len);
	if (*link != NULL && (*link)->refusal != 0) {
		rc = see_refusal(*link, now);
		if (rc != 0)
			goto out;
		forget(shared, link);
		link = find(shared, name, len);
	}
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
