/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify_internal.h"
#include "sl_log.h"

struct note *
note_create(
	uint64_t id, enum sl_config_level level, const char *kind, const char *text, json_t *event)
{
	struct note *note = calloc(1, sizeof(*note));
	size_t len = json_dumpb(event, NULL, 0, JSON_COMPACT);

	if (note == NULL)
		return NULL;
	note->refs = 1;
	note->id = id;
	note->level = level;
	note->kind = strdup(kind);
	note->text = strdup(text);
	note->body = malloc(len + 1);
	if (len == 0 || note->kind == NULL || note->text == NULL || note->body == NULL) {
		note_drop(note);
		return NULL;
	}
	json_dumpb(event, note->body, len, JSON_COMPACT);
	note->body[len] = '\n';
	note->body_len = len + 1;
	return note;
}

void
note_hold(struct note *note)
{
	__atomic_add_fetch(&note->refs, 1, __ATOMIC_RELAXED);
}

void
note_drop(struct note *note)
{
	if (__atomic_sub_fetch(&note->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	free(note->kind);
	free(note->text);
	free(note->body);
	free(note);
}

/* Where a webhook leads, without user, password, path and query: any of them may be the secret. */
static char *
name_webhook(const char *url)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *name = NULL;
	CURLU *parts = curl_url();

	if (parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK) {
		curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);
		curl_url_get(parts, CURLUPART_HOST, &host, 0);
		curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	}
	if (asprintf(&name, "webhook %s://%s:%s", scheme != NULL ? scheme : "?",
		    host != NULL ? host : "?", port != NULL ? port : "?") < 0)
		name = NULL;
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parts);
	return name;
}

static char **
copy_argv(char *const *argv, uint32_t nb)
{
	char **copy = calloc((size_t)nb + 1, sizeof(*copy));

	for (uint32_t i = 0; copy != NULL && i < nb; i++) {
		copy[i] = strdup(argv[i]);
		if (copy[i] != NULL)
			continue;
		while (i > 0)
			free(copy[--i]);
		free(copy);
		copy = NULL;
	}
	return copy;
}

void
hook_free(struct hook *hook)
{
	while (!STAILQ_EMPTY(&hook->queue))
		hook_unqueue(hook);
	for (char **word = hook->argv; word != NULL && *word != NULL; word++)
		free(*word);
	free(hook->argv);
	free(hook->url);
	free(hook->name);
	free(hook);
}

void
hooks_free(struct hook_list *hooks)
{
	struct hook *hook;

	while ((hook = TAILQ_FIRST(hooks)) != NULL) {
		TAILQ_REMOVE(hooks, hook, next);
		hook_free(hook);
	}
}

static struct hook *
add_hook(struct sl_notify *notify, struct hook_list *hooks)
{
	struct hook *hook = calloc(1, sizeof(*hook));

	if (hook == NULL)
		return NULL;
	hook->notify = notify;
	STAILQ_INIT(&hook->queue);
	TAILQ_INSERT_TAIL(hooks, hook, next);
	return hook;
}

/* FNV-1a: appliances that lost the same server at once must not all come back at once. */
static uint64_t
hash(uint64_t sum, const char *text)
{
	for (; *text != '\0'; text++)
		sum = (sum ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return sum;
}

static int
add_exec(struct sl_notify *notify, const struct sl_config_exec_hook *exec, struct hook_list *hooks)
{
	struct hook *hook = add_hook(notify, hooks);

	if (hook == NULL)
		return -ENOMEM;
	hook->level = exec->level;
	hook->timeout_ms = exec->timeout_ms;
	hook->tries_max = 1;
	hook->argv = copy_argv(exec->argv, exec->nb_argv);
	if (asprintf(&hook->name, "command %s", exec->argv[0]) < 0)
		hook->name = NULL;
	return hook->argv == NULL || hook->name == NULL ? -ENOMEM : 0;
}

static int
add_webhook(
	struct sl_notify *notify, const struct sl_config_webhook *webhook, struct hook_list *hooks)
{
	struct hook *hook = add_hook(notify, hooks);

	if (hook == NULL)
		return -ENOMEM;
	hook->level = webhook->level;
	hook->timeout_ms = webhook->timeout_ms;
	hook->tries_max = webhook->tries;
	hook->url = strdup(webhook->url);
	hook->name = name_webhook(webhook->url);
	hook->random = hash(hash(UINT64_C(0xcbf29ce484222325), notify->node), webhook->url);
	return hook->url == NULL || hook->name == NULL ? -ENOMEM : 0;
}

int
hooks_create(
	struct sl_notify *notify, const struct sl_config_events *events, struct hook_list *hooks)
{
	int rc = 0;

	TAILQ_INIT(hooks);
	for (uint32_t i = 0; rc == 0 && i < events->nb_exec; i++)
		rc = add_exec(notify, &events->exec[i], hooks);
	for (uint32_t i = 0; rc == 0 && i < events->nb_webhooks; i++)
		rc = add_webhook(notify, &events->webhooks[i], hooks);
	if (rc != 0)
		hooks_free(hooks);
	return rc;
}

/* The latest is dropped, not the first: that tells how the trouble began. */
static void
drop(struct hook *hook)
{
	struct sl_notify *notify = hook->notify;

	notify->stats.hooks_dropped++;
	if (hook->nb_dropped++ == 0)
		sl_log(SL_LOG_event, SL_LEVEL_WARN,
			"%s: %u events wait for it (events: queue); further ones are dropped until "
			"it catches up",
			hook->name, hook->nb_queued);
}

void
hook_queue(struct hook *hook, struct note *note)
{
	struct waiting *waiting;

	if (note->level > hook->level)
		return;
	waiting = hook->nb_queued < hook->notify->queue_max ? malloc(sizeof(*waiting)) : NULL;
	if (waiting == NULL) {
		drop(hook);
		return;
	}
	note_hold(note);
	waiting->note = note;
	STAILQ_INSERT_TAIL(&hook->queue, waiting, next);
	hook->nb_queued++;
}

void
hook_unqueue(struct hook *hook)
{
	struct waiting *waiting = STAILQ_FIRST(&hook->queue);

	STAILQ_REMOVE_HEAD(&hook->queue, next);
	hook->nb_queued--;
	note_drop(waiting->note);
	free(waiting);
	/* Not at the first free place: the next event would take it. */
	if (hook->nb_dropped == 0 || hook->nb_queued > hook->notify->queue_max / 2)
		return;
	sl_log(SL_LOG_event, SL_LEVEL_WARN,
		"%s: %" PRIu64 " events were dropped while its queue was full", hook->name,
		hook->nb_dropped);
	hook->nb_dropped = 0;
}

static bool
is_same_hook(const struct hook *a, const struct hook *b)
{
	size_t i;

	if (a->url != NULL || b->url != NULL)
		return a->url != NULL && b->url != NULL && strcmp(a->url, b->url) == 0;
	for (i = 0; a->argv[i] != NULL && b->argv[i] != NULL; i++) {
		if (strcmp(a->argv[i], b->argv[i]) != 0)
			return false;
	}
	return a->argv[i] == b->argv[i];
}

/* The hook that does the same already, taken off its list. */
static struct hook *
take_same(struct hook_list *hooks, const struct hook *wanted)
{
	struct hook *hook;

	TAILQ_FOREACH (hook, hooks, next) {
		if (is_same_hook(hook, wanted)) {
			TAILQ_REMOVE(hooks, hook, next);
			return hook;
		}
	}
	return NULL;
}

/* The hook whose head is the oldest event. */
static struct hook *
find_oldest(struct hook_list *hooks)
{
	struct hook *hook, *oldest = NULL;

	TAILQ_FOREACH (hook, hooks, next) {
		if (hook->nb_queued > 0 &&
			(oldest == NULL ||
				STAILQ_FIRST(&hook->queue)->note->id <
					STAILQ_FIRST(&oldest->queue)->note->id))
			oldest = hook;
	}
	return oldest;
}

/* What waits for hooks that are gone goes to those that are new, each event once and in order. */
static void
move_waiting(struct sl_notify *notify, struct hook_list *gone, struct hook_list *fresh)
{
	struct hook *oldest, *hook;
	uint64_t last_id = 0, nb_lost = 0;

	while ((oldest = find_oldest(gone)) != NULL) {
		struct note *note = STAILQ_FIRST(&oldest->queue)->note;

		TAILQ_FOREACH (hook, fresh, next) {
			if (note->id > last_id)
				hook_queue(hook, note);
		}
		last_id = note->id;
		if (TAILQ_EMPTY(fresh))
			nb_lost++;
		hook_unqueue(oldest);
	}
	notify->stats.hooks_dropped += nb_lost;
	if (nb_lost > 0)
		sl_log(SL_LOG_event, SL_LEVEL_WARN,
			"%" PRIu64 " events dropped that waited for hooks that are gone", nb_lost);
}

void
hooks_replace(struct sl_notify *notify, struct hook_list *wanted)
{
	struct hook_list kept = TAILQ_HEAD_INITIALIZER(kept);
	struct hook *hook, *next, *same;

	for (hook = TAILQ_FIRST(wanted); hook != NULL; hook = next) {
		next = TAILQ_NEXT(hook, next);
		same = take_same(&notify->hooks, hook);
		if (same == NULL)
			continue;
		same->level = hook->level;
		same->timeout_ms = hook->timeout_ms;
		same->tries_max = hook->tries_max;
		TAILQ_INSERT_TAIL(&kept, same, next);
		TAILQ_REMOVE(wanted, hook, next);
		hook_free(hook);
	}
	move_waiting(notify, &notify->hooks, wanted);
	TAILQ_CONCAT(&notify->retired, &notify->hooks, next);
	TAILQ_CONCAT(&notify->hooks, &kept, next);
	TAILQ_CONCAT(&notify->hooks, wanted, next);
}
