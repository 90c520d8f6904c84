/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef NOTIFY_INTERNAL_H
#define NOTIFY_INTERNAL_H

/**
 * @file
 * Events and hooks from inside: who calls (notify.c), what waits (queue.c), the thread that
 * delivers (thread.c), and HTTP (webhook.c).
 *
 * Each hook has a queue and a delivery of its own, so that none waits for another. Queues, lists
 * and counters are under the lock; what a delivery needs belongs to the thread.
 */

#include <pthread.h>
#include <sys/queue.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "sl_child.h"
#include "sl_notify.h"

/** Longest text of an event. */
#define NOTIFY_TEXT_MAX 2048

/** An event on its way to hooks; shared by their queues. */
struct note {
	unsigned int refs; /**< Atomic. */
	uint64_t id;
	enum sl_config_level level;
	char *kind;
	char *text;
	char *body; /**< The event as JSON, and a newline. */
	size_t body_len;
};

struct waiting {
	STAILQ_ENTRY(waiting) next;
	struct note *note;
};

struct hook {
	TAILQ_ENTRY(hook) next;
	struct sl_notify *notify;
	char **argv; /**< Of a command, or NULL. */
	char *url;   /**< Of a webhook, or NULL. */
	char *name;  /**< For the log: without what may be secret in a URL. */

	/* Under the lock. */
	enum sl_config_level level;
	uint32_t timeout_ms;
	uint32_t tries_max;
	STAILQ_HEAD(, waiting) queue; /**< The one being delivered is its head. */
	uint32_t nb_queued;
	uint64_t nb_dropped; /**< Not told of yet. */

	/* The thread's. */
	struct note *current; /**< Being delivered. */
	uint32_t tries_left;
	uint32_t nb_tries;
	uint32_t try_ms;
	struct event *timer; /**< Next event, or next try. */
	struct sl_child *child;
	CURL *easy;
	bool is_posting;
	size_t answer_len;
	char answer[CURL_ERROR_SIZE];
	uint64_t random; /**< For the jitter. */
};

TAILQ_HEAD(hook_list, hook);

struct sl_notify {
	pthread_mutex_t lock;
	char *node;

	/* Under the lock. */
	uint32_t queue_max;
	struct hook_list hooks;
	struct hook_list retired; /**< For the thread to end and free. */
	json_t *recent[SL_NOTIFY_RECENT];
	struct sl_notify_stats stats; /**< events is the last id, too. */
	bool is_stopping;
	uint32_t stop_ms;

	/* The thread's. */
	pthread_t thread;
	struct event_base *base;
	int wake_fd;
	struct event *wake;
	struct event *deadline;
	CURLM *multi;
	struct event *multi_timer;
	struct curl_slist *headers;
};

/** @name queue.c: called with the lock held, but note_*() and hook_free() @{ */
struct note *note_create(
	uint64_t id, enum sl_config_level level, const char *kind, const char *text, json_t *event);
void note_hold(struct note *note);
void note_drop(struct note *note);

/** Hooks of a configuration, with empty queues. @return 0 or -ENOMEM and an empty list */
int hooks_create(
	struct sl_notify *notify, const struct sl_config_events *events, struct hook_list *hooks);
void hooks_free(struct hook_list *hooks);
void hook_free(struct hook *hook);

/** Let an event wait for a hook that wants its level and has room. */
void hook_queue(struct hook *hook, struct note *note);

/** The head of the queue is dealt with. */
void hook_unqueue(struct hook *hook);

/** Replace the hooks: those that stay keep their place, what waits for the others moves on. */
void hooks_replace(struct sl_notify *notify, struct hook_list *wanted);
/** @} */

/** @name thread.c @{ */
int thread_start(struct sl_notify *notify, char *error, size_t error_len);
void thread_wake(struct sl_notify *notify);

/** Wait for the thread, which sees is_stopping. */
void thread_stop(struct sl_notify *notify);
/** @} */

/** @name thread.c, in the thread @{ */
void hook_delivered(struct hook *hook);

/** Given up; @p why for the log. */
void hook_failed(struct hook *hook, const char *why);

/** This try failed: another one, no sooner than @p after_ms, or given up. */
void hook_retry(struct hook *hook, const char *why, uint32_t after_ms);
/** @} */

/** @name webhook.c, in the thread @{ */
int webhooks_init(struct sl_notify *notify);
void webhooks_fini(struct sl_notify *notify);

/** Post the current event; ends in one of the three above, not before it returns. */
int webhook_post(struct hook *hook);
void webhook_abort(struct hook *hook);
/** @} */

#endif /* NOTIFY_INTERNAL_H */
