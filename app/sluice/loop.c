/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "checks.h"
#include "durable.h"
#include "gateways.h"
#include "http.h"
#include "loop.h"
#include "sl_api_server.h"
#include "sl_cli.h"
#include "sl_control.h"
#include "sl_drop_watch.h"
#include "sl_log.h"
#include "sl_neighbours.h"
#include "sl_notify.h"
#include "sl_stats.h"
#include "sl_telemetry.h"
#include "supervisor.h"

/* ARP and ICMP wait no longer than this for the control thread. */
#define POLL_MS 1

/* Subscriptions obeyed in one poll. */
#define SUBSCRIBE_BURST 64

/* How often the path is looked after. */
#define HOUSEKEEPING_MS 10

/* What the hooks are given, at the end, for events that wait. */
#define NOTIFY_END_MS 2000

/* How often a drop that goes on is worth a line. */
#define WATCH_S 10

/* Sockets of clients are served after the path's own timers; so many of their events at a time. */
#define CLIENT_EVENTS 1

enum { PRIORITY_PATH, PRIORITY_CLIENTS, PRIORITIES };

struct loop {
	const struct options *options;
	struct sl_config *config;  /* The file, until the control has it. */
	struct sl_config *running; /* With who is remembered beside it; NULL: nobody is. */
	struct sl_datapath *datapath;
	struct durable *durable;
	struct gateways *gateways;
	struct sl_notify *notify;
	struct sl_neighbours *neighbours;
	struct checks_context checks_context;
	struct sl_checks *checks;
	struct sl_control *control;
	struct sl_api_server *api;
	struct sl_cli_prompt *prompt;
	struct sl_http *http;
	uint32_t http_clients_max; /* That it was told. */
	uint32_t http_timeout_ms;
	struct sl_drop_watch watch;
	struct event_base *base;
	struct event *events[16];
	unsigned int nb_events;
	bool is_down_told[SL_CONFIG_PORTS_MAX];
	bool was_signalled;
	bool stats_failed;
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
tell_drops(void *arg, const char *port, const char *line)
{
	struct loop *loop = arg;

	if (port == NULL)
		sl_log(SL_LOG_datapath, SL_LEVEL_WARN, "%s", line);
	else
		sl_notify(loop->notify, SL_LEVEL_WARN, "too_big", json_pack("{s:s}", "port", port),
			"%s", line);
}

static void
tell_link(struct loop *loop, uint32_t port_index, bool is_up)
{
	const char *name = sl_control_config(loop->control)->ports[port_index].name;

	loop->is_down_told[port_index] = !is_up;
	if (is_up)
		sl_notify(loop->notify, SL_LEVEL_NOTIFY, "port_up",
			json_pack("{s:s}", "port", name), "port %s: its link is up", name);
	else
		sl_notify(loop->notify, SL_LEVEL_WARN, "port_down",
			json_pack("{s:s}", "port", name),
			"port %s: its link is down: the backends behind it are not chosen", name);
}

/* Links that are down from the start on; a NIC's has had its time to come up. */
static void
tell_dead_links(struct loop *loop)
{
	uint32_t nb_ports = sl_control_config(loop->control)->nb_ports;

	for (uint32_t i = 0; i < nb_ports && sl_control_is_running(loop->control); i++) {
		if (!loop->is_down_told[i] && !sl_datapath_is_port_up(loop->datapath, i))
			tell_link(loop, i, false);
	}
}

static void
on_link(void *arg, uint32_t port_index, bool is_up)
{
	struct loop *loop = arg;

	tell_link(loop, port_index, is_up);
	sl_neighbours_link(loop->neighbours, port_index, is_up, now_ms());
}

/* The rest waits a millisecond, in a bounded ring. */
static void
take_subscribes(struct loop *loop)
{
	struct sl_datapath_subscribe subscribes[SUBSCRIBE_BURST];
	uint32_t n = sl_datapath_receive_subscribes(
		loop->datapath, subscribes, RTE_DIM(subscribes));

	for (uint32_t i = 0; i < n; i++)
		sl_control_subscribe(loop->control, &subscribes[i]);
}

static void
on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	sl_datapath_poll_links(loop->datapath, now_ms(), on_link, loop);
	/* A path that drains or stands hears no answers: nobody is asked, and nobody given up. */
	if (sl_control_is_running(loop->control))
		sl_neighbours_poll(loop->neighbours, now_ms());
	checks_poll(&loop->checks_context, loop->checks);
	take_subscribes(loop);
}

/* An lcore whose CPU others have takes a change over later than it was made. */
static void
look_whether_settled(struct loop *loop)
{
	if (sl_datapath_is_settled(loop->datapath))
		gateways_in_effect(loop->gateways);
}

static void
on_housekeeping(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	sl_datapath_poll(loop->datapath, now_ms());
	look_whether_settled(loop);
	durable_poll(loop->durable, sl_control_config(loop->control));
}

static void
on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	RTE_SET_USED(arg);
	supervisor_alive();
}

static void
on_stats(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	int rc;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	rc = sl_stats_write_json(
		loop->options->stats_file, sl_control_config(loop->control), loop->datapath);
	/* One line when it begins to fail, not one an interval. */
	if (rc != 0 && !loop->stats_failed)
		sl_log(SL_LOG_main, SL_LEVEL_ERROR, "--stats-file %s cannot be written: %s",
			loop->options->stats_file,
			rc == -EAGAIN ? "an lcore has not answered for a second" : strerror(-rc));
	loop->stats_failed = rc != 0;
}

static void
on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	tell_dead_links(loop);
	sl_drop_watch_poll(
		&loop->watch, sl_control_config(loop->control), loop->datapath, tell_drops, loop);
}

static void
on_signal(evutil_socket_t signal_number, short what, void *arg)
{
	struct loop *loop = arg;

	RTE_SET_USED(what);
	if (loop->was_signalled) {
		sl_log(SL_LOG_main, SL_LEVEL_WARN, "second signal: exiting at once");
		_exit(EXIT_FAILURE);
	}
	loop->was_signalled = true;
	sl_log(SL_LOG_main, SL_LEVEL_NOTIFY, "%s", strsignal((int)signal_number));
	supervisor_stopping();
	sl_control_quit(loop->control);
}

static void
on_reload(evutil_socket_t signal_number, short what, void *arg)
{
	struct loop *loop = arg;
	char error[512];
	json_t *changes;

	RTE_SET_USED(signal_number);
	RTE_SET_USED(what);
	supervisor_reloading();
	if (sl_control_load(loop->control, NULL, false, &changes, error, sizeof(error)) != 0)
		sl_notify(loop->notify, SL_LEVEL_ERROR, "reload_refused", NULL,
			"reload refused, nothing has changed: %s", error);
	json_decref(changes);
	supervisor_ready("running");
}

static void
on_quit(void *arg)
{
	struct loop *loop = arg;

	/* Told already when a signal has begun it, not when a client has. */
	supervisor_stopping();
	event_base_loopbreak(loop->base);
}

static int
add_event(struct loop *loop, struct event *event, const struct timeval *interval)
{
	if (event == NULL)
		return -ENOMEM;
	event_priority_set(event, PRIORITY_PATH);
	if (event_add(event, interval) != 0) {
		event_free(event);
		return -ENOMEM;
	}
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
	if (rc == 0 && supervisor_interval_us() > 0)
		rc = add_timer(loop, on_watchdog, (double)supervisor_interval_us() / 1e6);
	if (rc == 0)
		rc = add_timer(loop, on_poll, POLL_MS / 1e3);
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

/* An event base on which clients do not delay the path's timers. */
static struct event_base *
create_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config == NULL)
		return NULL;
	if (event_config_set_max_dispatch_interval(config, NULL, CLIENT_EVENTS, PRIORITY_CLIENTS) ==
		0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	if (base != NULL && event_base_priority_init(base, PRIORITIES) != 0) {
		event_base_free(base);
		return NULL;
	}
	return base;
}

/* The socket the clients find us at; NULL: none. */
static const char *
control_socket(const struct loop *loop)
{
	const char *path = loop->options->control_socket != NULL
		? loop->options->control_socket
		: sl_control_config(loop->control)->control.socket;

	return strcmp(path, "none") == 0 ? NULL : path;
}

static int
listen_for_http(struct loop *loop, char *error, size_t error_len)
{
	struct sl_config_http config = sl_control_config(loop->control)->http;

	if (loop->options->has_http) {
		config.is_enabled = !loop->options->is_http_off;
		config.address = loop->options->http_address;
		config.port = loop->options->http_port;
	}
	loop->http_clients_max = config.clients_max;
	loop->http_timeout_ms = config.timeout_ms;
	return http_listen(loop->control, loop->base, &config, &loop->http, error, error_len);
}

/* Another configuration runs. The listener's limits are its own: it begins anew with others. */
static void
on_applied(void *arg)
{
	struct loop *loop = arg;
	const struct sl_config_http *http = &sl_control_config(loop->control)->http;
	char error[512];

	durable_applied(loop->durable, sl_control_config(loop->control));
	gateways_applied(loop->gateways, sl_control_config(loop->control));
	look_whether_settled(loop);
	if (loop->http == NULL ||
		(http->clients_max == loop->http_clients_max &&
			http->timeout_ms == loop->http_timeout_ms))
		return;
	sl_http_destroy(loop->http);
	if (listen_for_http(loop, error, sizeof(error)) != 0)
		sl_notify(loop->notify, SL_LEVEL_ERROR, "http_down", NULL, "%s", error);
}

static bool
on_quiet(void *arg)
{
	struct loop *loop = arg;

	return gateways_drain(loop->gateways);
}

static int
listen_for_clients(struct loop *loop, char *error, size_t error_len)
{
	struct sl_config_control config = sl_control_config(loop->control)->control;
	const char *path = control_socket(loop);
	int rc = 0;

	if (path != NULL) {
		config.socket = (char *)(uintptr_t)path;
		rc = sl_api_server_create(
			loop->control, loop->base, &config, &loop->api, error, error_len);
	}
	return rc != 0 ? rc : listen_for_http(loop, error, error_len);
}

static void
tell_clients(void *arg, struct sl_control_clients *clients)
{
	const struct loop *loop = arg;
	struct sl_http_stats http;
	struct sl_api_stats api;

	if (loop->api != NULL) {
		sl_api_server_get_stats(loop->api, &api);
		clients->api = api.clients;
		clients->api_requests = api.requests;
		clients->api_turned_away = api.turned_away;
	}
	if (loop->http != NULL) {
		sl_http_get_stats(loop->http, &http);
		clients->http = http.clients;
		clients->http_requests = http.requests;
		clients->http_timeouts = http.timeouts;
		clients->http_evicted = http.evicted;
		clients->http_bytes = http.bytes;
	}
}

static json_t *
show_gateways(void *arg)
{
	const struct loop *loop = arg;

	return gateways_show(loop->gateways);
}

static json_t *
show_gateway_clients(void *arg, const char *gateway)
{
	const struct loop *loop = arg;

	return gateways_show_clients(loop->gateways, gateway);
}

/* What the path begins with. */
static const struct sl_config *
first_config(const struct loop *loop)
{
	return loop->running != NULL ? loop->running : loop->config;
}

static int
create_control(struct loop *loop, char *error, size_t error_len)
{
	const struct sl_control_params params = {
		.base = loop->base,
		.datapath = loop->datapath,
		.config = loop->config,
		.running = loop->running,
		.neighbours = loop->neighbours,
		.checks = loop->checks,
		.notify = loop->notify,
		.durable = durable_of(loop->durable),
		.version = SLUICE_VERSION,
		.quiet = on_quiet,
		.quit = on_quit,
		.applied = on_applied,
		.clients = tell_clients,
		.ingress = show_gateways,
		.ingress_clients = show_gateway_clients,
		.arg = loop,
	};
	int rc = sl_control_create(&params, &loop->control, error, error_len);

	if (rc == 0)
		loop->config = loop->running = NULL;
	return rc;
}

static int
create_neighbours(struct loop *loop, char *error, size_t error_len)
{
	loop->neighbours = sl_neighbours_create(
		first_config(loop), loop->datapath, log_notify, loop, now_ms());
	if (loop->neighbours != NULL)
		return 0;
	snprintf(error, error_len, "no memory for the neighbours");
	return -ENOMEM;
}

static int
create_checks(struct loop *loop, char *error, size_t error_len)
{
	int rc;

	loop->checks_context = (struct checks_context){
		.datapath = loop->datapath, .notify = loop->notify};
	rc = checks_start(loop->base, first_config(loop), &loop->checks_context, &loop->checks);
	if (rc != 0)
		snprintf(error, error_len, "no memory for the health checks");
	else
		sl_neighbours_set_echo(loop->neighbours, checks_echo_reply, loop->checks);
	return rc;
}

/* All there is, in the order in which one needs the other; destroy() undoes as much as was done. */
static int
create(struct loop *loop, char *error, size_t error_len)
{
	int rc;

	snprintf(error, error_len, "no memory for the event loop");
	loop->base = create_base();
	if (loop->base == NULL)
		return -ENOMEM;
	rc = sl_log_configure(&loop->config->log, error, error_len);
	if (rc == 0)
		rc = sl_notify_create(
			loop->config->node, &loop->config->events, &loop->notify, error, error_len);
	if (rc == 0)
		rc = sl_control_recall(loop->base, loop->config, &loop->running, error, error_len);
	if (rc == 0)
		rc = sl_datapath_create(first_config(loop), &loop->datapath, error, error_len);
	if (rc == 0)
		rc = durable_open(loop->base, first_config(loop), loop->datapath, loop->notify,
			&loop->durable, error, error_len);
	if (rc == 0)
		rc = durable_start(loop->durable, error, error_len);
	if (rc == 0)
		rc = create_neighbours(loop, error, error_len);
	if (rc == 0)
		rc = create_checks(loop, error, error_len);
	if (rc == 0)
		rc = gateways_create(loop->base, first_config(loop), loop->datapath, loop->notify,
			durable_noted(loop->durable), &loop->gateways, error, error_len);
	if (rc == 0)
		rc = create_control(loop, error, error_len);
	if (rc == 0)
		rc = add_events(loop);
	if (rc == 0)
		rc = listen_for_clients(loop, error, error_len);
	if (rc == 0)
		rc = sl_telemetry_open(loop->control, loop->base, error, error_len);
	if (rc == 0)
		rc = sl_control_start(loop->control, error, error_len);
	if (rc == 0)
		rc = gateways_start(loop->gateways, loop->control, error, error_len);
	return rc;
}

static void
destroy(struct loop *loop)
{
	sl_http_destroy(loop->http);
	sl_telemetry_close();
	sl_api_server_destroy(loop->api);
	for (unsigned int i = 0; i < loop->nb_events; i++)
		event_free(loop->events[i]);
	sl_checks_destroy(loop->checks);
	sl_neighbours_destroy(loop->neighbours);
	if (loop->datapath != NULL)
		sl_datapath_stop(loop->datapath);
	gateways_destroy(loop->gateways);
	durable_stop(loop->durable);
	if (loop->datapath != NULL)
		sl_datapath_destroy(loop->datapath);
	sl_control_destroy(loop->control);
	durable_close(loop->durable);
	sl_config_free(loop->running);
	sl_config_free(loop->config);
	if (loop->notify != NULL)
		sl_notify_destroy(loop->notify, NOTIFY_END_MS);
	if (loop->base != NULL)
		event_base_free(loop->base);
}

static void
start_prompt(struct loop *loop)
{
	const char *path = control_socket(loop);
	int rc = path == NULL ? -ENOTSOCK : sl_cli_prompt_start(path, &loop->prompt);

	if (rc == -ENOTSOCK)
		sl_log(SL_LOG_main, SL_LEVEL_WARN,
			"--interactive: there is no prompt without a control socket; give one with "
			"--control-socket PATH");
	else if (rc != 0)
		sl_log(SL_LOG_main, SL_LEVEL_WARN, "--interactive: no prompt: %s", strerror(-rc));
}

/* The server first, so that the prompt has the answer to its "quit". */
static void
stop_clients(struct loop *loop)
{
	sl_api_server_destroy(loop->api);
	loop->api = NULL;
	sl_cli_prompt_stop(loop->prompt);
	loop->prompt = NULL;
}

void
loop_heed_reloads(bool heeds)
{
	sigset_t reload;

	sigemptyset(&reload);
	sigaddset(&reload, SIGHUP);
	pthread_sigmask(heeds ? SIG_UNBLOCK : SIG_BLOCK, &reload, NULL);
}

static int
run(struct loop *loop)
{
	for (unsigned int i = 0; sl_datapath_notice(loop->datapath, i) != NULL; i++)
		sl_log(SL_LOG_datapath, SL_LEVEL_WARN, "%s", sl_datapath_notice(loop->datapath, i));
	if (loop->options->stats_file != NULL)
		on_stats(-1, 0, loop);
	log_ready(sl_control_config(loop->control));
	supervisor_ready("running");
	if (loop->options->is_interactive)
		start_prompt(loop);
	/* Also what was asked for during the start. */
	loop_heed_reloads(true);
	event_base_dispatch(loop->base);
	loop_heed_reloads(false);
	stop_clients(loop);

	/* From here on nobody looks at libevent's flags: a second signal has to end it by itself.
	 */
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	if (loop->options->stats_file != NULL)
		on_stats(-1, 0, loop);
	sl_stats_print(stdout, sl_control_config(loop->control), loop->datapath);
	return loop->stats_failed ? -EIO : 0;
}

int
loop_run(const struct options *options, struct sl_config *config)
{
	struct loop loop = {.options = options, .config = config};
	char error[512] = "";
	int rc = create(&loop, error, sizeof(error));

	if (rc == 0)
		rc = run(&loop);
	else
		sl_log(SL_LOG_main, SL_LEVEL_ERROR, "%s", error[0] != '\0' ? error : strerror(-rc));
	destroy(&loop);
	sl_log_close();
	return rc;
}
