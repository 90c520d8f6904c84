/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "notify_internal.h"

/* Of an answer nothing but its status counts; more of it than this is not waited for. */
#define ANSWER_MAX 65536

static void check_done(CURLM *multi);

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct sl_notify *notify = arg;
	int running, flags = 0;

	if ((what & EV_READ) != 0)
		flags |= CURL_CSELECT_IN;
	if ((what & EV_WRITE) != 0)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(notify->multi, fd, flags, &running);
	check_done(notify->multi);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sl_notify *notify = arg;
	int running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(notify->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	check_done(notify->multi);
}

/* libcurl says which sockets it wants to be told of. */
static int
want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct sl_notify *notify = arg;
	struct event *event = socket_arg;
	short kinds = EV_PERSIST;

	(void)easy;
	if (event != NULL)
		event_free(event);
	if (what == CURL_POLL_REMOVE) {
		curl_multi_assign(notify->multi, fd, NULL);
		return 0;
	}
	if (what != CURL_POLL_OUT)
		kinds |= EV_READ;
	if (what != CURL_POLL_IN)
		kinds |= EV_WRITE;
	event = event_new(notify->base, fd, kinds, on_socket, notify);
	curl_multi_assign(notify->multi, fd, event);
	return event != NULL && event_add(event, NULL) == 0 ? 0 : -1;
}

static int
want_timer(CURLM *multi, long ms, void *arg)
{
	const struct timeval after = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	struct sl_notify *notify = arg;

	(void)multi;
	if (ms < 0)
		event_del(notify->multi_timer);
	else
		event_add(notify->multi_timer, &after);
	return 0;
}

int
webhooks_init(struct sl_notify *notify)
{
	struct curl_slist *longer;

	notify->multi = curl_multi_init();
	notify->multi_timer = evtimer_new(notify->base, on_timer, notify);
	notify->headers = curl_slist_append(NULL, "Content-Type: application/json");
	/* Bodies are small: they go with the header, not after a "100 Continue". */
	longer = curl_slist_append(notify->headers, "Expect:");
	if (notify->multi == NULL || notify->multi_timer == NULL || longer == NULL)
		return -ENOMEM;
	notify->headers = longer;
	curl_multi_setopt(notify->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(notify->multi, CURLMOPT_SOCKETDATA, notify);
	curl_multi_setopt(notify->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(notify->multi, CURLMOPT_TIMERDATA, notify);
	return 0;
}

void
webhooks_fini(struct sl_notify *notify)
{
	if (notify->multi != NULL)
		curl_multi_cleanup(notify->multi);
	if (notify->multi_timer != NULL)
		event_free(notify->multi_timer);
	curl_slist_free_all(notify->headers);
}

static size_t
on_answer(char *bytes, size_t size, size_t nb, void *arg)
{
	struct hook *hook = arg;

	(void)bytes;
	hook->answer_len += size * nb;
	return hook->answer_len <= ANSWER_MAX ? nb : 0;
}

static bool
set_options(struct hook *hook)
{
	CURL *easy = hook->easy;
	CURLcode rc = curl_easy_setopt(easy, CURLOPT_URL, hook->url);

	rc |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	/* Where events go is said in the configuration, not by an answer or http_proxy. */
	rc |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	rc |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	rc |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	rc |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	rc |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* Or a name server that hangs would be waited for, by all hooks, past the time-out. */
	rc |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	rc |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, hook->notify->headers);
	rc |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "sluice");
	rc |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
	rc |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, hook);
	rc |= curl_easy_setopt(easy, CURLOPT_PRIVATE, hook);
	rc |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, hook->answer);
	return rc == CURLE_OK;
}

int
webhook_post(struct hook *hook)
{
	CURLcode rc;

	if (hook->easy == NULL) {
		hook->easy = curl_easy_init();
		if (hook->easy == NULL || !set_options(hook)) {
			curl_easy_cleanup(hook->easy);
			hook->easy = NULL;
			return -ENOMEM;
		}
	}
	hook->answer_len = 0;
	hook->answer[0] = '\0';
	rc = curl_easy_setopt(hook->easy, CURLOPT_TIMEOUT_MS, (long)hook->try_ms);
	rc |= curl_easy_setopt(hook->easy, CURLOPT_POSTFIELDS, hook->current->body);
	rc |= curl_easy_setopt(hook->easy, CURLOPT_POSTFIELDSIZE, (long)hook->current->body_len);
	if (rc != CURLE_OK || curl_multi_add_handle(hook->notify->multi, hook->easy) != CURLM_OK)
		return -ENOMEM;
	hook->is_posting = true;
	return 0;
}

void
webhook_abort(struct hook *hook)
{
	if (hook->is_posting)
		curl_multi_remove_handle(hook->notify->multi, hook->easy);
	hook->is_posting = false;
	if (hook->easy != NULL)
		curl_easy_cleanup(hook->easy);
	hook->easy = NULL;
}

/* The server took it, does not want it, or may want it later. */
static void
judge_status(struct hook *hook, long status)
{
	curl_off_t after_s = 0;
	char why[64];

	if (status >= 200 && status < 300) {
		hook_delivered(hook);
		return;
	}
	snprintf(why, sizeof(why), "status %ld%s", status,
		status >= 300 && status < 400 ? ": redirects are not followed" : "");
	if (status < 500 && status != 408 && status != 429) {
		hook_failed(hook, why);
		return;
	}
	curl_easy_getinfo(hook->easy, CURLINFO_RETRY_AFTER, &after_s);
	hook_retry(hook, why, after_s > 0 && after_s < 3600 ? (uint32_t)after_s * 1000 : 0);
}

static void
judge(struct hook *hook, CURLcode rc)
{
	char why[CURL_ERROR_SIZE + 2];
	long status = 0;

	curl_easy_getinfo(hook->easy, CURLINFO_RESPONSE_CODE, &status);
	if (rc == CURLE_OK || (rc == CURLE_WRITE_ERROR && hook->answer_len > ANSWER_MAX)) {
		judge_status(hook, status);
		return;
	}
	snprintf(why, sizeof(why), "%s",
		hook->answer[0] != '\0' ? hook->answer : curl_easy_strerror(rc));
	if (rc == CURLE_URL_MALFORMAT || rc == CURLE_UNSUPPORTED_PROTOCOL)
		hook_failed(hook, why);
	else
		hook_retry(hook, why, 0);
}

static void
check_done(CURLM *multi)
{
	struct CURLMsg *message;
	struct hook *hook;
	CURLcode rc;
	int left;

	while ((message = curl_multi_info_read(multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		/* The message is gone with the handle. */
		rc = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&hook);
		curl_multi_remove_handle(multi, hook->easy);
		hook->is_posting = false;
		judge(hook, rc);
	}
}
