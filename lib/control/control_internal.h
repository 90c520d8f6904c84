/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef CONTROL_INTERNAL_H
#define CONTROL_INTERNAL_H

/**
 * @file
 * What the files of lib/control share. All of it is the control thread's.
 */

#include <sys/queue.h>

#include <event2/event.h>

#include "changes.h"
#include "marks.h"
#include "sl_control.h"

struct durable;
struct members;
struct sl_neighbour_info;
struct sl_request;

TAILQ_HEAD(request_list, sl_request);

struct sl_control {
	struct sl_control_params params;
	struct sl_config *file;	  /* As a file would have it: what is shown, saved and edited. */
	struct sl_config *config; /* What runs: the same, or an overlay of it with the members. */
	struct members *members;
	struct marks *marks;
	struct durable *durable;
	struct overview *overview;
	uint64_t started_ms;
	uint64_t nb_applied; /* Configurations taken over since, */
	uint64_t nb_refused; /* and files that were not. */

	/* Stopping: while the path drains. */
	struct event *drain_timer;
	uint64_t drain_until_ms;
	uint64_t quiet_until_ms;
	bool is_draining;
	bool is_quieting; /* Quitting, and who takes messages in is coming to an end. */
	bool is_quitting;
	struct request_list stopping; /* Requests that are answered when the path has stopped. */

	/* Tracing: one at a time. */
	struct event *trace_timer;
	bool is_tracing;
	uint64_t trace_until_ms;
	struct request_list tracing; /* The one that is answered with it. */
};

/* CLOCK_MONOTONIC. */
uint64_t control_now_ms(void);

/* Parts of sl_control_create(). */
int path_create(struct sl_control *control);
void path_destroy(struct sl_control *control);
int trace_create(struct sl_control *control);
void trace_destroy(struct sl_control *control);

/* Begin a trace; the request in `tracing` is answered at its end. Returns 0 or -errno. */
int trace_begin(struct sl_control *control, const struct sl_trace_filter *filter,
	uint32_t timeout_ms, char *error, size_t error_len);

/* Begin to stop the path; nothing when it is stopped or stopping already. */
void path_stop(struct sl_control *control);

/*
 * Take over a configuration, a file, or what runs with edits made to it: as sl_control_load(), with
 * all there is to tell of the changes, whose `list` may be NULL. A configuration is taken on
 * success and the caller's on failure.
 */
int control_apply(struct sl_control *control, struct sl_config *config, bool check_only,
	struct changes *changes, char *error, size_t error_len);
int control_load(struct sl_control *control, const char *path, bool check_only,
	struct changes *changes, char *error, size_t error_len);
/* Let members come and go. Returns 0; -EBUSY: not now. */
int control_take_members(void *control, char *error, size_t error_len);
int control_change(struct sl_control *control, const struct sl_config_edit *edits,
	uint32_t nb_edits, struct changes *changes, char *error, size_t error_len);

/* Write one line to `error`. Returns `rc`, so that it can be returned at once. */
int control_fail(int rc, char *error, size_t error_len, const char *format, ...)
	__rte_format_printf(4, 5);

/* Index of a configured destination, or backend, or port; UINT32_MAX when there is none. */
uint32_t find_destination(const struct sl_config *config, const char *name);
uint32_t find_backend(const struct sl_config_destination *destination, const char *name);
uint32_t find_port(const struct sl_config *config, const char *name);

/* A view being made. */
struct view_call {
	const char *const *arguments;
	uint32_t nb_arguments;
	char *error; /* With rc, when the function returns NULL; without, memory is short. */
	size_t error_len;
	int rc;
};

/* Returns a new reference, or NULL. */
typedef json_t *(*view_t)(struct sl_control *control, struct view_call *call);

json_t *view_version(struct sl_control *control, struct view_call *call);
json_t *view_views(struct sl_control *control, struct view_call *call);
json_t *view_live(struct sl_control *control, struct view_call *call);
json_t *view_stats(struct sl_control *control, struct view_call *call);
json_t *view_classes(struct sl_control *control, struct view_call *call);
json_t *view_drops(struct sl_control *control, struct view_call *call);
json_t *view_dedup(struct sl_control *control, struct view_call *call);
json_t *view_nodes(struct sl_control *control, struct view_call *call);
json_t *view_destinations(struct sl_control *control, struct view_call *call);
json_t *view_destination(struct sl_control *control, struct view_call *call);
json_t *view_backends(struct sl_control *control, struct view_call *call);
json_t *view_ports(struct sl_control *control, struct view_call *call);
json_t *view_port(struct sl_control *control, struct view_call *call);
json_t *view_lcores(struct sl_control *control, struct view_call *call);
json_t *view_queues(struct sl_control *control, struct view_call *call);
json_t *view_health(struct sl_control *control, struct view_call *call);
json_t *view_neighbours(struct sl_control *control, struct view_call *call);
json_t *view_config(struct sl_control *control, struct view_call *call);
json_t *view_events(struct sl_control *control, struct view_call *call);
json_t *view_graph(struct sl_control *control, struct view_call *call);
json_t *view_journal(struct sl_control *control, struct view_call *call);
json_t *view_publishers(struct sl_control *control, struct view_call *call);
json_t *view_sessions(struct sl_control *control, struct view_call *call);
json_t *view_sinks(struct sl_control *control, struct view_call *call);
json_t *view_topics(struct sl_control *control, struct view_call *call);
json_t *view_subscribers(struct sl_control *control, struct view_call *call);
json_t *view_overview(struct sl_control *control, struct view_call *call);
json_t *view_ingress(struct sl_control *control, struct view_call *call);

/* What the gateways show; lists with nothing in them where there are none. */
json_t *ingress_show(struct sl_control *control);

/* What the live page draws of the journal and the sinks; null without a journal. */
json_t *durable_live(struct sl_control *control);

/* The name behind a key where the configuration has one, or its 16 digits. */
json_t *name_or_key(const struct sl_control *control, uint64_t key);

/* The destination the call names first; UINT32_MAX when there is none, and the call says so. */
uint32_t named_destination(struct sl_control *control, struct view_call *call);

/* A list of what `append` has to tell of the destination the call names, or of all of them. */
json_t *view_each_destination(struct sl_control *control, struct view_call *call,
	void (*append)(struct sl_control *control, uint32_t destination, json_t *list));

/* Counters less what was cleared, on the heap, to free(); NULL with the reason in `call`. */
struct sl_datapath_stats *view_get_stats(struct sl_control *control, struct view_call *call);

/* A neighbour's link-layer address, null when it is not known. */
json_t *neighbour_mac(const struct sl_neighbour_info *info);

/* What would happen to a message; NULL with the reason in `call`. */
struct explain_query {
	const char *source, *destination, *type; /* Names; "": none. */
	uint32_t priority;
};

json_t *
explain(struct sl_control *control, const struct explain_query *query, struct view_call *call);

static inline json_t *
integer(uint64_t value)
{
	return json_integer((json_int_t)value);
}

#endif /* CONTROL_INTERNAL_H */
