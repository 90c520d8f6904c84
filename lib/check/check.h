/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef CHECK_H
#define CHECK_H

/* What the files of lib/check share. */
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/util.h>

#include "sl_checks.h"

#define TEXT_MAX 160

/* How often a probe that could not be sent is tried again, and a lack of sockets is told. */
#define RESEND_MS     50
#define TELL_AGAIN_MS 60000

struct backend;
struct run;
struct sl_child;

/* A kind of check. */
struct kind {
	const char *name;
	/* Begin; ends, now or later, by run_finish() or run_void(). */
	void (*start)(struct run *run);
	/* Let go of what start() took; the run is freed behind it. */
	void (*stop)(struct run *run);
	bool needs_socket;
	bool needs_command;
};

extern const struct kind kind_probe, kind_icmp, kind_udp, kind_tcp, kind_http, kind_exec;

const struct kind *kind_of(enum sl_config_check_kind kind);

/* A check that is out. */
struct run {
	LIST_ENTRY(run) link;	 /* Of its backend. */
	TAILQ_ENTRY(run) queued; /* While it waits for a socket or command. */
	struct backend *backend;
	const struct kind *kind;
	uint32_t check;
	uint64_t token;
	uint64_t started_ns;
	const char *phase; /* What it is waiting for; "timeout after N ms " comes before it. */
	bool is_waiting;
	bool is_expired; /* Kept to know a late reply. */
	struct event *event;
	evutil_socket_t fd;
	struct sl_child *child;
	uint32_t slot;	/* Of hooked ones, 0: none. */
	uint64_t nonce; /* What the reply has to bring. */
	bool is_sent;
	char *out; /* What is left to send. */
	size_t out_len;
	size_t out_sent;
	void *state; /* The kind's own; freed with free(). */
};

LIST_HEAD(run_list, run);
TAILQ_HEAD(run_queue, run);

struct dest {
	char *name;
	uint64_t key;
	uint32_t index;
	uint32_t nb_backends;
	struct backend **backends;
	struct sl_config_health health; /* A copy. */
	struct sl_health_group group;
};

struct backend {
	struct sl_checks *checks;
	struct dest *dest;
	uint32_t index;
	uint32_t nb_checks; /* Its destination's, or 0: nobody checks a member. */
	char *name;
	struct sl_ip address;
	uint16_t port;
	struct sl_health *health;
	struct event *timer;
	uint64_t armed_ms; /* For what timer is set; UINT64_MAX: not. */
	struct run_list runs;
	uint32_t share;
	bool is_pumping;
	bool is_kept; /* Of the new configuration, while it is taken over. */
	bool has_latency;
	uint64_t last_latency_ns;
	bool has_load;
	uint32_t load_in_flight;
	uint64_t load_latency_ns;
	char (*texts)[TEXT_MAX]; /* Of the last result of each check. */
};

/* Where runs are found by what their replies bring. */
struct slot {
	struct run *run;
	uint32_t generation;
	uint32_t next_free;
};

struct sl_checks {
	struct event_base *base;
	struct sl_checks_hooks hooks;
	char *node;
	uint32_t nb_dests;
	struct dest *dests;
	uint32_t sockets_max;
	uint32_t commands_max;
	struct run_queue waiting_sockets;
	struct run_queue waiting_commands;
	uint32_t nb_slots;
	uint32_t free_slot; /* 0: none */
	struct slot *slots;
	uint64_t secret; /* Makes nonces hard to guess. */
	bool is_frozen;
	bool is_held;	  /* Nothing that waits begins now. */
	uint64_t told_ms; /* When "checks_held_up" was told last. */
	struct sl_checks_stats stats;
};

uint64_t check_now_ns(void);
uint64_t check_now_ms(void);

/* What the run's check was configured with. */
const struct sl_config_check *run_config(const struct run *run);
uint32_t run_timeout_ms(const struct run *run);

/* checks.c: take the machine's actions, set its timer, tell its share. */
void backend_pump(struct backend *backend);
void backend_tell_share(struct backend *backend);
void backend_free(struct backend *backend);
void check_event(const struct backend *backend, enum sl_config_level level, const char *kind,
	json_t *fields, const char *format, ...) __attribute__((format(printf, 5, 6)));
json_t *backend_fields(const struct backend *backend);
void dest_update_panic(struct dest *dest, struct sl_checks *checks);

/* run.c */
void run_start(struct backend *backend, uint32_t check, uint64_t token);
void run_end(struct backend *backend, uint32_t check, uint64_t token, bool is_expired);
void run_cancel_all(struct backend *backend);
/* The same, and the machine knows that they will not end. */
void run_void_all(struct backend *backend);
/* Those that waited too long to begin: before the machine is asked, who would have them expire. */
void run_void_late(struct backend *backend);
void run_begin_waiting(struct sl_checks *checks);
void run_free(struct run *run);
/* These end the run and free it. */
void run_finish(struct run *run, bool is_ok, enum sl_health_reason reason, int32_t code,
	const char *format, ...) __attribute__((format(printf, 5, 6)));
void run_answered(struct run *run, uint64_t received_ns);
void run_void(struct run *run);
int run_take_slot(struct run *run);
struct run *run_in_slot(struct sl_checks *checks, uint32_t slot);
void run_free_slots(struct sl_checks *checks);

/* socket.c */
void socket_open(struct run *run, int type, event_callback_fn on_event);
/* Watch for other events, by the same callback. */
void socket_watch(struct run *run, short what, event_callback_fn on_event);
/* End the run as an errno of its socket says. */
void socket_failed(struct run *run, int error);
/* Once it is writable: has the connection come about? Else the run has ended. */
bool socket_is_connected(struct run *run);
/* @return 1: all of run->out is sent, 0: not yet, -1: the run has ended */
int socket_send(struct run *run);
void socket_stop(struct run *run);

/* spec.c */
int spec_copy(struct sl_config_health *to, const struct sl_config_health *from);
void spec_free(struct sl_config_health *health);
bool spec_equal(const struct sl_config_health *a, const struct sl_config_health *b);
bool spec_check_equal(const struct sl_config_check *a, const struct sl_config_check *b);
void spec_params(const struct sl_config_health *health, struct sl_health_params *params);

#endif /* CHECK_H */
