/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <rte_cycles.h>

#include "loop.h"
#include "sl_drop_watch.h"
#include "sl_log.h"
#include "sl_neighbours.h"
#include "sl_stats.h"

/* ARP and ICMP wait no longer than this for the control thread. */
#define POLL_MS 1

/* How often the path is looked after. */
#define HOUSEKEEPING_MS 10

/* How often a drop that goes on is worth a line. */
#define WATCH_S 10

/* How often a draining path is asked whether it is empty. */
#define DRAIN_POLL_MS 5

struct loop {
	const struct options *options;
	struct sl_config *config;
	struct sl_datapath *datapath;
	struct sl_neighbours *neighbours;
	struct sl_drop_watch watch;
	struct event_base *base;
	struct event *events[16];
	unsigned int nb_events;
	bool is_draining;
	bool stats_failed;
	uint64_t drain_until_ms;
};

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
log_notify(void *arg, const char *line)
{
	RTE_SET_USED(arg);
	sl_log(SL_LOG_neighbour, SL_LEVEL_NOTIFY, "%s", line);
}

static void
log_drops(void *arg, const char *line)
{
	RTE_SET_USED(arg);
	sl_log(SL_LOG_datapath, SL_LEVEL_WARN, "%s", line);
}

static void
on_link(void *arg, uint32_t port_index, bool is_up)
{
	struct loop *loop = arg;
	const char *name = loop->config->ports[port_index].name;

	if (is_up)
		sl_log(SL_LOG_datapath, SL_LEVEL_NOTIFY, "port %s: its link is up", name);
	else
		sl_log(SL_LOG_datapath, SL_LEVEL_WARN,
			"port %s: its link is down: the backends behind it are not chosen", name);
	sl_neighbours_link(loop->neighbours, port_index, is_up, now_ms());
}

static void
on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	sl_datapath_poll_links(loop->datapath, now_ms(), on_link, loop);
	/* A draining path hears no answers: nobody is to be asked, and nobody given up. */
	if (!loop->is_draining)
		sl_neighbours_poll(loop->neighbours, now_ms());
}

static void
on_housekeeping(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	sl_datapath_poll(loop->datapath, now_ms());
}

static void
on_reload(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	struct sl_config *config;
	char error[512] = "";
	uint64_t begin;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	if (sl_config_load(loop->options->config, &config, error, sizeof(error)) != 0) {
		sl_log(SL_LOG_main, SL_LEVEL_ERROR, "reload: %s", error);
		return;
	}
	begin = rte_rdtsc();
	if (sl_datapath_apply(loop->datapath, config, error, sizeof(error)) != 0) {
		sl_log(SL_LOG_main, SL_LEVEL_ERROR, "reload: %s", error);
		sl_config_free(config);
		return;
	}
	begin = rte_rdtsc() - begin;
	for (uint32_t d = 0; d < config->nb_destinations; d++) {
		for (uint32_t b = 0; b < config->destinations[d].nb_backends; b++)
			sl_datapath_set_share(loop->datapath, d, b, SL_DATAPATH_SHARE_ONE);
	}
	if (sl_neighbours_apply(loop->neighbours, config, now_ms()) != 0) {
		sl_log(SL_LOG_main, SL_LEVEL_ERROR, "reload: no memory for neighbours");
		exit(EXIT_FAILURE);
	}
	sl_config_free(loop->config);
	loop->config = config;
	sl_log(SL_LOG_main, SL_LEVEL_NOTIFY, "reloaded: %u destinations, applied in %" PRIu64 " us",
		config->nb_destinations, begin / (rte_get_tsc_hz() / 1000000));
}

static void
on_stats(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	int rc;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	rc = sl_stats_write_json(loop->options->stats_file, loop->config, loop->datapath);
	/* One line when it begins to fail, not one an interval. */
	if (rc != 0 && !loop->stats_failed)
		sl_log(SL_LOG_main, SL_LEVEL_ERROR, "--stats-file %s cannot be written: %s",
			loop->options->stats_file, strerror(-rc));
	loop->stats_failed = rc != 0;
}

static void
on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	sl_drop_watch_poll(&loop->watch, loop->config, loop->datapath, log_drops, NULL);
}

static void
on_drain(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	uint64_t left;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	if (!loop->is_draining)
		return;
	left = sl_datapath_in_flight(loop->datapath);
	if (left != 0 && now_ms() < loop->drain_until_ms)
		return;
	if (left != 0)
		sl_log(SL_LOG_main, SL_LEVEL_WARN,
			"%" PRIu64
			" messages could not be delivered within drain_timeout_ms (%u): dropped "
			"as `shutdown`",
			left, loop->config->drain_timeout_ms);
	event_base_loopbreak(loop->base);
}

static void
on_signal(evutil_socket_t signal_number, short what, void *arg)
{
	struct loop *loop = arg;

	RTE_SET_USED(what);
	if (loop->is_draining) {
		sl_log(SL_LOG_main, SL_LEVEL_WARN, "second signal: exiting at once");
		_exit(EXIT_FAILURE);
	}
	sl_log(SL_LOG_main, SL_LEVEL_NOTIFY, "%s: delivering what is queued, for up to %u ms",
		strsignal((int)signal_number), loop->config->drain_timeout_ms);
	loop->is_draining = true;
	loop->drain_until_ms = now_ms() + loop->config->drain_timeout_ms;
	sl_datapath_drain(loop->datapath);
}

static int
add_event(struct loop *loop, struct event *event, const struct timeval *interval)
{
	if (event == NULL || event_add(event, interval) != 0)
		return -ENOMEM;
	loop->events[loop->nb_events++] = event;
	return 0;
}

static int
add_timer(struct loop *loop, event_callback_fn callback, double seconds)
{
	const struct timeval interval = {
		.tv_sec = (time_t)seconds,
		.tv_usec = (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6),
	};

	return add_event(loop, event_new(loop->base, -1, EV_PERSIST, callback, loop), &interval);
}

static int
add_events(struct loop *loop)
{
	int rc;

	rc = add_event(loop, evsignal_new(loop->base, SIGTERM, on_signal, loop), NULL);
	if (rc == 0)
		rc = add_event(loop, evsignal_new(loop->base, SIGINT, on_signal, loop), NULL);
	if (rc == 0)
		rc = add_event(loop, evsignal_new(loop->base, SIGHUP, on_reload, loop), NULL);
	if (rc == 0)
		rc = add_timer(loop, on_housekeeping, HOUSEKEEPING_MS / 1e3);
	if (rc == 0)
		rc = add_timer(loop, on_poll, POLL_MS / 1e3);
	if (rc == 0)
		rc = add_timer(loop, on_drain, DRAIN_POLL_MS / 1e3);
	if (rc == 0)
		rc = add_timer(loop, on_watch, WATCH_S);
	if (rc == 0 && loop->options->stats_file != NULL)
		rc = add_timer(loop, on_stats, loop->options->stats_interval_s);
	return rc;
}

static void
log_ready(const struct sl_config *config)
{
	sl_log(SL_LOG_main, SL_LEVEL_NOTIFY,
		"ready: node %s, %u ports, %u destinations, UDP port %u", config->node,
		config->nb_ports, config->nb_destinations, config->udp_port);
}

static int
run(struct loop *loop)
{
	char error[512] = "";
	int rc;

	loop->base = event_base_new();
	loop->neighbours = sl_neighbours_create(
		loop->config, loop->datapath, log_notify, loop, now_ms());
	if (loop->base == NULL || loop->neighbours == NULL || add_events(loop) != 0) {
		sl_log(SL_LOG_main, SL_LEVEL_ERROR, "no memory for the event loop");
		return -ENOMEM;
	}
	rc = sl_datapath_start(loop->datapath, error, sizeof(error));
	if (rc != 0) {
		sl_log(SL_LOG_datapath, SL_LEVEL_ERROR, "%s", error);
		return rc;
	}
	sl_neighbours_announce(loop->neighbours);
	if (loop->options->stats_file != NULL)
		on_stats(-1, 0, loop);
	log_ready(loop->config);
	event_base_dispatch(loop->base);

	/* From here on nobody looks at libevent's flags: a second signal has to end it by itself.
	 */
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	sl_datapath_stop(loop->datapath);
	if (loop->options->stats_file != NULL)
		on_stats(-1, 0, loop);
	sl_stats_print(stdout, loop->config, loop->datapath);
	return loop->stats_failed ? -EIO : 0;
}

int
loop_run(const struct options *options, struct sl_config **config, struct sl_datapath *datapath)
{
	struct loop loop = {.options = options, .config = *config, .datapath = datapath};
	int rc = run(&loop);

	*config = loop.config;
	for (unsigned int i = 0; i < loop.nb_events; i++)
		event_free(loop.events[i]);
	sl_neighbours_destroy(loop.neighbours);
	if (loop.base != NULL)
		event_base_free(loop.base);
	return rc;
}
