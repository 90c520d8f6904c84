/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <event2/dns.h>
#include <event2/event.h>

#include <rte_lcore.h>

#include "ingress.h"
#include "sl_log.h"
#include "sl_notify.h"
#include "sl_wire.h"

/*
 * A turn: take what has come from the path, serve clients, send what has come together. While
 * something happens, one follows the other; then the thread sleeps, longer each time, up to a
 * millisecond when the path may have something for it, which wakes nobody, and up to a tenth of a
 * second when it cannot. Clients wake it at once.
 */

#define NAP_FIRST_US	20u
#define NAP_US		1000u
#define NAP_IDLE_US	100000u
#define TIMER_SLACK_NS	20000ul
#define HOUSEKEEPING_MS 100

/* At the end: to send what is to be sent, and for clients to have read it. */
#define GOODBYE_MS	500u
#define GOODBYE_TURN_MS (NAP_IDLE_US / 1000)
#define LINGER_MS	50u

/* After so much of clients it is time to look at the path again. */
#define TURN_BYTES  (1u << 20)
#define TURN_EVENTS 256u

#define ARENA 65536u

static void
set_now(struct gw_thread *thread)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	thread->now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	thread->now_ms = thread->now_ns / 1000000;
	clock_gettime(CLOCK_REALTIME, &now);
	thread->unix_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t
gw_thread_random(struct gw_thread *thread)
{
	uint64_t z = (thread->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void
gw_thread_served(struct gw_thread *thread, uint32_t bytes)
{
	thread->is_busy = true;
	thread->turn_bytes += bytes;
	if (++thread->turn_events >= TURN_EVENTS || thread->turn_bytes >= TURN_BYTES)
		event_base_loopbreak(thread->base);
}

static void
input_messages(struct gw_thread *thread, rte_be16_t port, const uint8_t *data,
	const struct sl_wire_datagram *d)
{
	if (port == thread->link.udp_port)
		gw_subscriber_input(thread, data, d);
	else
		gw_durable_input(thread, port, data, d);
}

/* What is no datagram of messages in the usual layout. */
static void
input_other(struct gw_thread *thread, rte_be16_t port, const uint8_t *data, uint32_t len)
{
	struct sl_wire_datagram *d = &thread->datagram;
	uint8_t buf[SL_WIRE_PROBE_MAX];
	struct sl_wire_probe probe;
	struct sl_wire_ack ack;
	size_t written;

	if (sl_wire_parse_slow(data, len, thread->arena, ARENA, thread->rewrite, UINT16_MAX, d,
		    &written) != SL_WIRE_OK) {
		GW_ADD(thread->link.bad_frames, 1);
		return;
	}
	if ((d->extras & SL_WIRE_HAS_ACK) != 0 &&
		sl_wire_parse_ack(data, len, thread->arena, ARENA, &ack))
		gw_publisher_ack(thread, &ack);
	if ((d->extras & SL_WIRE_HAS_PROBE) != 0 &&
		sl_wire_parse_probe(data, len, thread->arena, ARENA, &probe) && !probe.is_reply) {
		probe.is_reply = true;
		probe.in_flight = (uint32_t)thread->subscriber.nb_held;
		probe.latency_ns = 0;
		gw_link_send(&thread->link, port, buf, (uint32_t)sl_wire_put_probe(buf, 0, &probe));
	}
	if (d->nb_messages > 0)
		input_messages(thread, port, thread->rewrite, d);
}

void
gw_thread_input(struct gw_thread *thread, rte_be16_t port, const uint8_t *data, uint32_t len)
{
	struct sl_wire_datagram *d = &thread->datagram;
	struct sl_wire_ack ack;

	if (len > SL_WIRE_HEADER_LEN && data[SL_WIRE_HEADER_LEN] == SL_WIRE_TAG_ACK &&
		sl_wire_parse_ack_fast(data, len, &ack))
		gw_publisher_ack(thread, &ack);
	else if (sl_wire_parse(data, len, d) == SL_WIRE_OK)
		input_messages(thread, port, data, d);
	else
		input_other(thread, port, data, len);
}

/* What the control thread has asked for. */

static void
take_over(struct gw_thread *thread)
{
	struct gw_snapshot *next = __atomic_exchange_n(&thread->next, NULL, __ATOMIC_ACQ_REL);

	if (next == NULL)
		return;
	gw_snapshot_unref(thread->snapshot);
	thread->snapshot = next;
	thread->last = NULL;
	for (uint32_t i = 0; i < thread->nb_listeners; i++) {
		if (i < next->nb_gateways)
			gw_listener_apply(thread->listeners[i], &next->limits[i]);
	}
	gw_publisher_applied(thread);
	gw_subscriber_applied(thread);
	gw_publisher_opened(thread);
	thread->is_busy = true;
}

static void
drain(struct gw_thread *thread)
{
	struct gw_listener *listener;

	if (!thread->has_drained) {
		thread->has_drained = true;
		for (uint32_t i = 0; i < thread->nb_listeners; i++) {
			listener = thread->listeners[i];
			gw_listener_stop_accepting(listener);
			if (listener->config.is_connector)
				gw_connections_close(listener);
		}
	}
	__atomic_store_n(&thread->is_drained,
		thread->publisher.nb_live == 0 && thread->link.nb_ready == 0, __ATOMIC_RELEASE);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;
	ssize_t n = read((int)fd, &count, sizeof(count));

	RTE_SET_USED(n);
	RTE_SET_USED(what);
	((struct gw_thread *)arg)->is_busy = true;
}

static void
on_nap(evutil_socket_t fd, short what, void *arg)
{
	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	RTE_SET_USED(arg);
}

static void
on_housekeeping(evutil_socket_t fd, short what, void *arg)
{
	struct gw_thread *thread = arg;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	for (uint32_t i = 0; i < thread->nb_listeners; i++)
		gw_clients_housekeeping(thread->listeners[i]);
	gw_subscriber_housekeeping(thread);
	gw_publisher_opened(thread);
}

/* Turns. */

/* Sleep no longer than until the path may have something. */
static void
serve_clients(struct gw_thread *thread, bool is_busy)
{
	bool is_spoken_to = thread->subscriber.nb_joined > 0 || thread->publisher.nb_live > 0 ||
		!TAILQ_EMPTY(&thread->subscriber.due) || thread->link.nb_ready > 0 ||
		!TAILQ_EMPTY(&thread->publisher.waiting);
	uint32_t longest = is_spoken_to ? NAP_US : NAP_IDLE_US;
	struct timeval tv = {0};

	thread->turn_events = thread->turn_bytes = 0;
	if (is_busy) {
		thread->nap_us = NAP_FIRST_US;
		event_base_loop(thread->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		return;
	}
	tv.tv_usec = (suseconds_t)RTE_MIN(thread->nap_us, longest);
	thread->nap_us = RTE_MIN(2 * thread->nap_us, longest);
	GW_ADD(thread->naps, 1);
	evtimer_add(thread->nap_event, &tv);
	event_base_loop(thread->base, EVLOOP_ONCE);
}

static void
turn(struct gw_thread *thread)
{
	bool is_busy = thread->is_busy;
	uint32_t came;

	thread->is_busy = false;
	GW_ADD(thread->turns, 1);
	serve_clients(thread, is_busy);
	set_now(thread);
	if (__atomic_load_n(&thread->next, __ATOMIC_RELAXED) != NULL)
		take_over(thread);
	gw_answers_take(thread);
	came = gw_link_receive(thread);
	if (came > 0) {
		thread->came_ns = thread->now_ns;
		thread->is_busy = true;
	}
	gw_publisher_turn(thread);
	gw_subscriber_turn(thread, came == 0);
	gw_clients_turn(thread);
	gw_link_flush(&thread->link);
	if (__atomic_load_n(&thread->is_draining, __ATOMIC_ACQUIRE))
		drain(thread);
}

static void
close_clients(struct gw_thread *thread)
{
	struct gw_listener *listener;
	struct gw_client *client;

	for (uint32_t i = 0; i < thread->nb_listeners; i++) {
		listener = thread->listeners[i];
		TAILQ_FOREACH (client, &listener->clients, lru) {
			if (client->is_own || client->is_doomed || client->is_closing)
				continue;
			if (client->is_handshaking) {
				gw_client_doom(client);
				continue;
			}
			if (client->is_connected && listener->protocol->farewell != NULL)
				listener->protocol->farewell(client);
			gw_client_close(client);
		}
	}
}

/* Has each been sent all there is for it, and the end? */
static bool
are_told(const struct gw_thread *thread)
{
	const struct gw_client *client;

	for (uint32_t i = 0; i < thread->nb_listeners; i++) {
		TAILQ_FOREACH (client, &thread->listeners[i]->clients, lru) {
			if (!client->is_own && !client->is_lingering)
				return false;
		}
	}
	return true;
}

/*
 * What waits goes out, then the protocol's last word, then the end; what a client had said and
 * nobody read would turn the end into a reset, and an answer on its way might be lost with it.
 */
static void
say_goodbye(struct gw_thread *thread)
{
	uint64_t last, waited = 0, told = UINT64_MAX;

	set_now(thread);
	last = thread->now_ms;
	thread->has_drained = true;
	for (uint32_t i = 0; i < thread->nb_listeners; i++) {
		gw_listener_stop_accepting(thread->listeners[i]);
		gw_connections_close(thread->listeners[i]);
	}
	close_clients(thread);
	thread->is_busy = true;
	while (thread->nb_clients > 0 && waited < GOODBYE_MS) {
		turn(thread);
		/* While the machine stood still, nobody could read. */
		waited += RTE_MIN(thread->now_ms - last, GOODBYE_TURN_MS);
		last = thread->now_ms;
		if (told == UINT64_MAX && are_told(thread))
			told = waited;
		if (told != UINT64_MAX && waited - told >= LINGER_MS)
			break;
	}
}

static void *
run(void *arg)
{
	struct gw_thread *thread = arg;

	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
	while (!__atomic_load_n(&thread->is_stopping, __ATOMIC_ACQUIRE))
		turn(thread);
	say_goodbye(thread);
	return NULL;
}

/* Begin and end; the control thread's. */

static struct event_base *
create_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config == NULL)
		return NULL;
	/* Naps are shorter than a millisecond. One thread has it: no locks. */
	if (event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NOLOCK) ==
		0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

static int
add_events(struct gw_thread *thread)
{
	const struct timeval interval = {.tv_usec = HOUSEKEEPING_MS * 1000};

	thread->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (thread->wake_fd < 0)
		return -errno;
	thread->nap_event = evtimer_new(thread->base, on_nap, thread);
	thread->wake_event = event_new(
		thread->base, thread->wake_fd, EV_READ | EV_PERSIST, on_wake, thread);
	thread->housekeeping_event = event_new(
		thread->base, -1, EV_PERSIST, on_housekeeping, thread);
	if (thread->nap_event == NULL || thread->wake_event == NULL ||
		thread->housekeeping_event == NULL || event_add(thread->wake_event, NULL) != 0 ||
		event_add(thread->housekeeping_event, &interval) != 0)
		return -ENOMEM;
	return 0;
}

static int
init(struct gw_thread *thread, const struct sl_datapath_gateway *path, uint32_t window)
{
	int rc;

	if (getrandom(&thread->random, sizeof(thread->random), 0) != sizeof(thread->random))
		return -EIO;
	set_now(thread);
	thread->nap_us = NAP_FIRST_US;
	thread->base = create_base();
	thread->read_buffer = malloc(GW_JOIN_MAX + GW_READ_MAX);
	thread->rewrite = malloc(UINT16_MAX);
	thread->arena = malloc(ARENA);
	if (thread->base == NULL || thread->read_buffer == NULL || thread->rewrite == NULL ||
		thread->arena == NULL)
		return -ENOMEM;
	rc = add_events(thread);
	if (rc == 0)
		rc = gw_link_init(&thread->link, path, thread->shared->udp_port);
	if (rc == 0)
		rc = gw_publisher_init(thread, window);
	return rc != 0 ? rc : gw_subscriber_init(thread);
}

struct gw_thread *
gw_thread_create(struct gw_shared *shared, uint32_t index, uint32_t nb_threads,
	const struct sl_datapath_gateway *path, struct gw_snapshot *snapshot, uint32_t window)
{
	struct gw_thread *thread = calloc(1, sizeof(*thread));

	if (thread == NULL)
		return NULL;
	thread->shared = shared;
	thread->index = index;
	thread->nb_threads = nb_threads;
	thread->wake_fd = -1;
	thread->snapshot = gw_snapshot_ref(snapshot);
	TAILQ_INIT(&thread->dirty);
	TAILQ_INIT(&thread->doomed);
	STAILQ_INIT(&thread->answers);
	if (init(thread, path, window) == 0)
		return thread;
	gw_thread_destroy(thread);
	return NULL;
}

static int
open_listeners(struct gw_thread *thread)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < thread->shared->nb_gateways; i++) {
		struct gw_gateway *gateway = &thread->shared->gateways[i];
		struct gw_listener *listener = gw_listener_create(thread, gateway);

		if (listener == NULL)
			return -ENOMEM;
		thread->listeners[thread->nb_listeners++] = listener;
		gateway->listeners[thread->index] = listener;
		rc = gw_listener_open(listener);
	}
	return rc;
}

int
gw_thread_start(struct gw_thread *thread)
{
	sigset_t all, before;
	char name[16];
	int rc = open_listeners(thread);

	if (rc != 0)
		return rc;
	snprintf(name, sizeof(name), "sl-gateway-%u", thread->index);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	/* On the processors that no lcore has, where there are such. */
	rc = rte_ctrl_thread_create(&thread->pthread, name, NULL, run, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	thread->is_running = rc == 0;
	return rc;
}

void
gw_thread_wake(struct gw_thread *thread)
{
	const uint64_t one = 1;
	ssize_t n = write(thread->wake_fd, &one, sizeof(one));

	RTE_SET_USED(n);
}

void
gw_thread_join(struct gw_thread *thread)
{
	/* NULL: what was to be before it has failed. */
	if (thread == NULL || !thread->is_running)
		return;
	__atomic_store_n(&thread->is_stopping, 1, __ATOMIC_RELEASE);
	gw_thread_wake(thread);
	pthread_join(thread->pthread, NULL);
	thread->is_running = false;
}

static void
free_event(struct event *event)
{
	if (event != NULL)
		event_free(event);
}

void
gw_thread_destroy(struct gw_thread *thread)
{
	if (thread == NULL)
		return;
	for (uint32_t i = 0; i < thread->nb_listeners; i++)
		gw_listener_close(thread->listeners[i]);
	gw_publisher_fini(thread);
	gw_subscriber_fini(thread);
	if (thread->link.path.pool != NULL)
		gw_link_fini(&thread->link);
	for (uint32_t i = 0; i < thread->nb_listeners; i++)
		gw_listener_free(thread->listeners[i]);
	if (thread->dns != NULL)
		evdns_base_free(thread->dns, 0);
	free_event(thread->nap_event);
	free_event(thread->wake_event);
	free_event(thread->housekeeping_event);
	if (thread->base != NULL)
		event_base_free(thread->base);
	if (thread->wake_fd >= 0)
		close(thread->wake_fd);
	gw_answers_free(thread);
	gw_report_unref(thread->report);
	gw_snapshot_unref(thread->next);
	gw_snapshot_unref(thread->snapshot);
	free(thread->read_buffer);
	free(thread->rewrite);
	free(thread->arena);
	free(thread);
}

/* For protocols. */

const char *
gw_thread_directory(const struct gw_thread *thread)
{
	return thread->shared->directory;
}

struct event_base *
gw_thread_base(struct gw_thread *thread)
{
	return thread->base;
}

uint32_t
gw_thread_index(const struct gw_thread *thread)
{
	return thread->index;
}

uint64_t
gw_thread_now_ms(const struct gw_thread *thread)
{
	return thread->now_ms;
}

uint64_t
gw_thread_unix_ns(const struct gw_thread *thread)
{
	return thread->unix_ns;
}

/* Once, and not for one whose places are taken by chance. */
static void
tell_names_full(struct gw_thread *thread)
{
	static const char text[] =
		"the %u names of sources and types that gateways remember are used up: clients "
		"and sinks are shown the keys of further ones; find who sends so many, and "
		"restart";
	struct gw_shared *shared = thread->shared;
	uint64_t refused;

	if (gw_names_count(shared->names, &refused) < GW_NAMES_MAX ||
		__atomic_exchange_n(&shared->is_names_full_told, true, __ATOMIC_RELAXED))
		return;
	if (shared->notify == NULL)
		sl_log(SL_LOG_ingress, SL_LEVEL_WARN, text, GW_NAMES_MAX);
	else
		sl_notify(shared->notify, SL_LEVEL_WARN, "names_full",
			json_pack("{s:i}", "names", (int)GW_NAMES_MAX), text, GW_NAMES_MAX);
}

uint64_t
gw_name_key(struct gw_thread *thread, const char *name, size_t len)
{
	bool is_refused = false;
	uint64_t key = gw_names_add(thread->shared->names, name, len, &is_refused);

	if (unlikely(is_refused))
		tell_names_full(thread);
	return key;
}

const char *
gw_key_name(struct gw_thread *thread, uint64_t key)
{
	const struct gw_dest *dest = gw_snapshot_find(thread->snapshot, key);

	return dest != NULL ? dest->public.name : gw_names_find(thread->shared->names, key);
}

const struct gw_destination *
gw_find_destination(struct gw_thread *thread, const char *name, size_t len)
{
	const struct gw_dest *dest = thread->last;

	/* Most often that of the message before. */
	if (dest != NULL && dest->name_len == len && memcmp(dest->public.name, name, len) == 0)
		return &dest->public;
	dest = gw_snapshot_find(thread->snapshot, sl_wire_name_key_len(name, len));
	if (dest == NULL || dest->name_len != len || memcmp(dest->public.name, name, len) != 0)
		return NULL;
	thread->last = dest;
	return &dest->public;
}
