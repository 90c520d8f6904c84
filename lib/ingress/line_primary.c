/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <event2/util.h>

#include "clock.h"
#include "line.h"
#include "line_log.h"
#include "line_ping.h"
#include "line_standin.h"
#include "line_store.h"

/*
 * What line_standin.h decides, done: pings, messages that are due, and those who wait behind them.
 * What is due is published by a client of the listener's own, so that it takes the same way, waits
 * for the same room and is in the same counters as what anybody publishes.
 */

#define STORED_MAX     (1u << 18)
#define STORED_BYTES   (UINT64_C(256) << 20)
#define LOG_SLACK      (UINT64_C(64) << 20)
#define DELIVERED_STEP 256u /* Messages between two looks at the sockets. */
/* Buffers that a due message needs may come back: so long it is tried again, so often. Those who
 * came behind it wait, too, and so it is not for ever. */
#define LACKING_MS	 10000u
#define LACKING_PAUSE_MS 20u

/* Written by the listener's thread, read by any. */
#define ADD(counter, n)	 __atomic_store_n(&(counter), (counter) + (n), __ATOMIC_RELAXED)
#define SET(counter, to) __atomic_store_n(&(counter), (to), __ATOMIC_RELAXED)
#define GET(counter)	 __atomic_load_n(&(counter), __ATOMIC_RELAXED)

struct counters {
	uint64_t leads; /* 0, 1 */
	uint64_t since_ns;
	uint64_t stored;
	uint64_t stored_bytes;
	uint64_t replicated;
	uint64_t cleared;
	uint64_t unknown; /* Cleared, and not there. */
	uint64_t delivered;
	uint64_t dropped; /* No room. */
	uint64_t lost;	  /* Due, and not to be delivered. */
	uint64_t pings;
	uint64_t pongs;
	uint64_t is_logged; /* 0, 1 */
};

struct line_primary {
	struct line_listener *listener;
	const char *address;
	struct line_standin standin;
	struct line_store *store;
	uint64_t run;
	struct line_log *log; /* NULL: a restart forgets what is stored. */
	uint32_t nb_pending;  /* Due, not in the store any more, and not durable yet. */
	struct line_ping *ping;
	struct gw_client *own;
	struct event *timer;
	struct line_clients behind;
	/* Since it was told last: */
	uint64_t nb_due; /* Delivered, */
	uint64_t nb_lost;
	const char *why_lost; /* the last of them. */
	uint64_t lacking_ms;  /* Since when nothing got a buffer; 0: it did. */
	bool is_trying;	      /* It will be tried again. */
	struct counters counters;
};

static void look(struct line_primary *primary);

static uint64_t
oldest(const struct line_primary *primary)
{
	struct line_stored first;

	return line_store_first(primary->store, &first) ? first.number : 0;
}

static void
count_stored(struct line_primary *primary)
{
	SET(primary->counters.stored, line_store_count(primary->store));
	SET(primary->counters.stored_bytes, line_store_bytes(primary->store));
}

/* The log. */

static void
tell_log_failed(struct line_primary *primary, const char *error)
{
	const char *name = gw_listener_config(primary->listener->listener)->name;

	SET(primary->counters.is_logged, 0);
	gw_listener_tell(primary->listener->listener, SL_LEVEL_ERROR, "primary_log_failed",
		json_pack("{s:s, s:s, s:s}", "gateway", name, "primary", primary->address, "error",
			error),
		"gateway %s: what primary %s replicates will not be there after a restart: %s",
		name, primary->address, error);
}

static void
open_log(struct line_primary *primary)
{
	struct gw_listener *listener = primary->listener->listener;
	struct gw_thread *thread = gw_listener_thread(listener);
	const char *name = gw_listener_config(listener)->name;
	char error[256];

	if (gw_thread_directory(thread) == NULL)
		return;
	if (line_log_open(gw_thread_directory(thread), gw_name_key(thread, name, strlen(name)),
		    LOG_SLACK, primary->store, &primary->log, error, sizeof(error)) == 0)
		SET(primary->counters.is_logged, 1);
	else
		tell_log_failed(primary, error);
	count_stored(primary);
}

static void
remove_logged(struct line_primary *primary, uint64_t number)
{
	if (primary->log != NULL)
		line_log_remove(primary->log, number);
}

void
line_primary_flush(struct line_primary *primary)
{
	int rc = 0;

	if (primary->log != NULL)
		rc = line_log_flush(primary->log, primary->nb_pending == 0);
	if (rc != 0)
		tell_log_failed(primary, strerror(-rc));
	count_stored(primary);
}

/* Those who came behind what was due, or had to wait until it is known whether anything is. */
static void
release(struct line_primary *primary)
{
	uint64_t first = oldest(primary);
	struct line_client *state, *next;

	for (state = TAILQ_FIRST(&primary->behind); state != NULL; state = next) {
		next = TAILQ_NEXT(state, behind);
		if (!line_standin_may_publish(&primary->standin, state->ticket, first))
			continue;
		TAILQ_REMOVE(&primary->behind, state, behind);
		state->is_let_go = true;
		line_release(state);
	}
}

/* When all has been handed on, and is durable where it is to be. */
static void
tell_delivered(struct line_primary *primary)
{
	const char *name = gw_listener_config(primary->listener->listener)->name;
	const char *why = primary->nb_lost > 0 ? primary->why_lost : "";
	char lost[96] = "";

	if (primary->nb_due + primary->nb_lost == 0 || primary->nb_pending > 0)
		return;
	if (primary->nb_lost > 0)
		snprintf(lost, sizeof(lost), "; %" PRIu64 " are lost: %s", primary->nb_lost, why);
	gw_listener_tell(primary->listener->listener,
		primary->nb_lost > 0 ? SL_LEVEL_WARN : SL_LEVEL_NOTIFY, "primary_taken_over",
		json_pack("{s:s, s:s, s:I, s:I, s:s}", "gateway", name, "primary", primary->address,
			"messages", (json_int_t)primary->nb_due, "lost",
			(json_int_t)primary->nb_lost, "error", why),
		"gateway %s: %" PRIu64 " messages that primary %s had not cleared are delivered%s",
		name, primary->nb_due, primary->address, lost);
	primary->nb_due = primary->nb_lost = 0;
}

static void
on_more(struct gw_client *own)
{
	struct line_listener *listener = gw_listener_state(gw_client_listener(own));

	if (listener->primary != NULL)
		line_primary_go_on(listener->primary);
}

static void
on_again(struct gw_client *own)
{
	struct line_listener *listener = gw_listener_state(gw_client_listener(own));

	if (listener->primary != NULL)
		listener->primary->is_trying = false;
	on_more(own);
}

/* @return false: long enough */
static bool
wait_for_buffer(struct line_primary *primary)
{
	uint64_t now = gw_now_ms();

	if (primary->lacking_ms == 0)
		primary->lacking_ms = now;
	if (now - primary->lacking_ms >= LACKING_MS)
		return false;
	if (!primary->is_trying)
		gw_client_after(primary->own, LACKING_PAUSE_MS, on_again);
	primary->is_trying = true;
	return true;
}

static void
lose(struct line_primary *primary, const char *why)
{
	ADD(primary->counters.lost, 1);
	primary->nb_lost++;
	primary->why_lost = why;
}

static const char *
why_of(enum gw_reason reason)
{
	switch (reason) {
	case GW_TOO_LONG:
		return "longer than a datagram holds";
	case GW_NO_BUFFER:
		return "no buffer for them within 10 s";
	case GW_TOO_MANY_TOPICS:
		return "there are topics_max already";
	default:
		return "their topic is not to be had";
	}
}

/* @return false: it waits for room */
static bool
deliver_first(struct line_primary *primary, const struct line_stored *first)
{
	/* The same again after a restart: what the journal has of it already is a duplicate then.
	 */
	const uint64_t id[2] = {first->run, first->number};
	enum gw_reason reason = GW_BAD_INPUT;

	switch (line_publish(primary->own, primary->listener->source, id, first->topic,
		first->topic_len, first->payload, first->payload_len, first->number, &reason)) {
	case GW_WAIT:
		return false;
	case GW_REFUSED:
		if (reason == GW_NO_BUFFER && wait_for_buffer(primary))
			return false;
		lose(primary, why_of(reason));
		remove_logged(primary, first->number);
		break;
	case GW_ACCEPTED:
		ADD(primary->counters.delivered, 1);
		primary->nb_due++;
		primary->lacking_ms = 0;
		remove_logged(primary, first->number);
		break;
	case GW_PENDING:
		ADD(primary->counters.delivered, 1);
		primary->nb_due++;
		primary->lacking_ms = 0;
		primary->nb_pending++;
		break;
	}
	line_store_drop_first(primary->store);
	return true;
}

void
line_primary_go_on(struct line_primary *primary)
{
	struct line_stored first;
	uint32_t n = 0;

	while (primary->own != NULL && line_store_first(primary->store, &first) &&
		line_standin_is_due(&primary->standin, first.number)) {
		if (n++ == DELIVERED_STEP) {
			gw_client_after(primary->own, 0, on_more);
			break;
		}
		if (!deliver_first(primary, &first))
			break;
	}
	line_primary_flush(primary);
	if (line_standin_is_due(&primary->standin, oldest(primary)))
		return;
	primary->lacking_ms = 0;
	tell_delivered(primary);
	release(primary);
}

void
line_primary_published(struct line_primary *primary, uint64_t token, bool is_durable)
{
	if (!is_durable) {
		lose(primary, "their topic has gone");
		primary->nb_due -= primary->nb_due > 0;
	}
	primary->nb_pending--;
	remove_logged(primary, token);
	if (primary->nb_pending == 0 || (primary->log != NULL && line_log_is_full(primary->log)))
		line_primary_flush(primary);
	if (!line_standin_is_due(&primary->standin, oldest(primary)))
		tell_delivered(primary);
}

void
line_primary_lost_client(struct line_primary *primary)
{
	primary->own = NULL;
}

/* What has changed, told, and what follows of it. */
static void
changed(struct line_primary *primary, enum line_change change, const char *why)
{
	struct gw_listener *listener = primary->listener->listener;
	const char *name = gw_listener_config(listener)->name;

	if (change != LINE_SAME) {
		SET(primary->counters.leads, change == LINE_DIED);
		SET(primary->counters.since_ns, gw_thread_unix_ns(gw_listener_thread(listener)));
	}
	if (change == LINE_DIED)
		gw_listener_tell(listener, SL_LEVEL_WARN, "primary_down",
			json_pack("{s:s, s:s, s:s, s:I}", "gateway", name, "primary",
				primary->address, "error", why, "messages",
				(json_int_t)line_store_count(primary->store)),
			"gateway %s: primary %s is dead (%s); %" PRIu32
			" messages it had not cleared are delivered now",
			name, primary->address, why, line_store_count(primary->store));
	else if (change == LINE_RETURNED)
		gw_listener_tell(listener, SL_LEVEL_NOTIFY, "primary_up",
			json_pack("{s:s, s:s}", "gateway", name, "primary", primary->address),
			"gateway %s: primary %s answers again", name, primary->address);
	line_primary_go_on(primary);
}

static void
on_pinged(void *arg, enum line_pinged result, const char *error)
{
	struct line_primary *primary = arg;
	enum line_change change;

	primary->ping = NULL;
	if (result == LINE_ANSWERED) {
		ADD(primary->counters.pongs, 1);
		change = line_standin_ponged(&primary->standin, gw_now_ms());
	} else {
		change = line_standin_failed(&primary->standin, gw_now_ms(), result == LINE_REFUSED,
			line_store_number(primary->store));
	}
	changed(primary, change, error);
	look(primary);
}

static void
begin_ping(struct line_primary *primary)
{
	struct gw_thread *thread = gw_listener_thread(primary->listener->listener);

	ADD(primary->counters.pings, 1);
	primary->ping = line_ping_begin(gw_thread_base(thread), gw_thread_dns(thread),
		primary->address, on_pinged, primary);
	/* Without memory for it there is no answer: it is given up in time. */
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look(arg);
}

/* What is to be done now, and when to look again. */
static void
look(struct line_primary *primary)
{
	enum line_action action;
	enum line_change change;
	uint64_t now, next;
	struct timeval tv;

	do {
		now = gw_now_ms();
		action = line_standin_step(
			&primary->standin, now, line_store_number(primary->store), &change);
		if (action == LINE_PING_NOW) {
			begin_ping(primary);
		} else if (action == LINE_GIVE_UP) {
			line_ping_cancel(primary->ping);
			primary->ping = NULL;
			changed(primary, change, "it does not answer");
		}
	} while (action != LINE_WAIT);
	next = line_standin_next_ms(&primary->standin) - now;
	tv = (struct timeval){
		.tv_sec = (time_t)(next / 1000), .tv_usec = (suseconds_t)(next % 1000 * 1000)};
	evtimer_add(primary->timer, &tv);
}

struct line_primary *
line_primary_create(struct line_listener *listener)
{
	struct gw_listener *gateway = listener->listener;
	struct line_primary *primary = calloc(1, sizeof(*primary));
	struct line_client *state;
	uint64_t seed;

	if (primary == NULL)
		return NULL;
	primary->listener = listener;
	primary->address = gw_listener_config(gateway)->primary;
	TAILQ_INIT(&primary->behind);
	evutil_secure_rng_get_bytes(&seed, sizeof(seed));
	primary->store = line_store_create(STORED_MAX, STORED_BYTES, seed);
	primary->timer = evtimer_new(
		gw_thread_base(gw_listener_thread(gateway)), on_timer, primary);
	primary->own = gw_listener_own_client(gateway);
	if (primary->store == NULL || primary->timer == NULL || primary->own == NULL) {
		line_primary_destroy(primary);
		return NULL;
	}
	state = gw_client_state(primary->own);
	state->is_own = true;
	evutil_secure_rng_get_bytes(&primary->run, sizeof(primary->run));
	line_store_begin_run(primary->store, primary->run);
	open_log(primary);
	SET(primary->counters.since_ns, gw_thread_unix_ns(gw_listener_thread(gateway)));
	line_standin_init(&primary->standin, gw_now_ms());
	event_active(primary->timer, EV_TIMEOUT, 0);
	return primary;
}

void
line_primary_destroy(struct line_primary *primary)
{
	struct line_client *state;

	if (primary == NULL)
		return;
	while ((state = TAILQ_FIRST(&primary->behind)) != NULL) {
		TAILQ_REMOVE(&primary->behind, state, behind);
		state->hold = LINE_NOT_HELD;
	}
	line_ping_cancel(primary->ping);
	if (primary->timer != NULL)
		event_free(primary->timer);
	if (primary->log != NULL)
		line_primary_flush(primary);
	line_log_close(primary->log);
	line_store_destroy(primary->store);
	free(primary);
}

bool
line_primary_replicate(struct line_primary *primary, const char *topic, size_t topic_len,
	const char *payload, size_t payload_len)
{
	struct line_stored message = {.topic = topic,
		.topic_len = topic_len,
		.payload = payload,
		.payload_len = payload_len};

	if (line_store_add(primary->store, topic, topic_len, payload, payload_len) != 0) {
		ADD(primary->counters.dropped, 1);
		return false;
	}
	ADD(primary->counters.replicated, 1);
	if (primary->log == NULL)
		return true;
	message.run = primary->run;
	message.number = line_store_number(primary->store);
	line_log_add(primary->log, &message);
	if (line_log_is_full(primary->log))
		line_primary_flush(primary);
	return true;
}

void
line_primary_clear(struct line_primary *primary, const char *topic, size_t topic_len,
	const char *payload, size_t payload_len)
{
	uint64_t number = line_store_clear(primary->store, topic, topic_len, payload, payload_len);

	if (number == 0) {
		ADD(primary->counters.unknown, 1);
		return;
	}
	ADD(primary->counters.cleared, 1);
	remove_logged(primary, number);
}

void
line_primary_left(struct line_primary *primary)
{
	line_standin_hurry(&primary->standin);
	look(primary);
}

bool
line_primary_may_publish(struct line_primary *primary, struct line_client *state)
{
	state->ticket = line_standin_ask(&primary->standin, oldest(primary));
	if (state->ticket == 0)
		return true;
	TAILQ_INSERT_TAIL(&primary->behind, state, behind);
	look(primary);
	/* The primary may have been found dead just now: then nobody waits any more. */
	return state->is_let_go;
}

void
line_primary_forget(struct line_primary *primary, struct line_client *state)
{
	TAILQ_REMOVE(&primary->behind, state, behind);
}

void
line_primary_show(const struct line_primary *primary, json_t *object)
{
	const struct counters *c = &primary->counters;
	json_t *o = json_object();

	json_object_set_new(o, "address", json_string(primary->address));
	json_object_set_new(o, "state", json_string(GET(c->leads) != 0 ? "dead" : "alive"));
	json_object_set_new(o, "since_ns", json_integer((json_int_t)GET(c->since_ns)));
	json_object_set_new(o, "stored", json_integer((json_int_t)GET(c->stored)));
	json_object_set_new(o, "stored_bytes", json_integer((json_int_t)GET(c->stored_bytes)));
	json_object_set_new(o, "replicated", json_integer((json_int_t)GET(c->replicated)));
	json_object_set_new(o, "cleared", json_integer((json_int_t)GET(c->cleared)));
	json_object_set_new(o, "clears_unknown", json_integer((json_int_t)GET(c->unknown)));
	json_object_set_new(o, "delivered", json_integer((json_int_t)GET(c->delivered)));
	json_object_set_new(o, "dropped", json_integer((json_int_t)GET(c->dropped)));
	json_object_set_new(o, "lost", json_integer((json_int_t)GET(c->lost)));
	json_object_set_new(o, "pings", json_integer((json_int_t)GET(c->pings)));
	json_object_set_new(o, "is_logged", json_boolean(GET(c->is_logged) != 0));
	json_object_set_new(o, "pongs", json_integer((json_int_t)GET(c->pongs)));
	json_object_set_new(object, "primary", o);
}
