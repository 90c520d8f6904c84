/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef MEMBERS_H
#define MEMBERS_H

/**
 * @file
 * Subscribers, and topics, that stand beside those of the file: who they are, and the configuration
 * that runs with them. The control thread's.
 */

#include <stdbool.h>
#include <stdint.h>

#include "sl_control.h"

struct members;

struct members_params {
	struct event_base *base;
	struct sl_notify *notify; /* NULL: nobody is told. */
	const char *directory;	  /* Where who is durable is remembered; NULL: nowhere. */
	/* Let members_overlay() run, with what runs; -EBUSY: later. */
	int (*apply)(void *arg, char *error, size_t error_len);
	/* Is one known to be away by all of the path, and has nothing on its way? NULL: always. */
	bool (*is_idle)(void *arg, const char *destination, const char *name);
	/* Of a topic on demand that runs: messages that have come for it, and that wait. NULL: they
	 * stay for ever. */
	void (*topic_use)(void *arg, const char *topic, uint64_t *came, uint64_t *waiting);
	/* Unused for so long they go; 0: they stay. */
	uint32_t (*topic_idle_ms)(void *arg);
	void *arg;
};

struct members *members_create(const struct members_params *params);
void members_destroy(struct members *members);

/* As sl_control_join(), sl_control_leave() and sl_control_open_topic(); `file` is what runs. */
int members_join(struct members *members, const struct sl_config *file,
	const struct sl_member *member, char *error, size_t error_len);
int members_leave(struct members *members, const char *destination, const char *name);
/* A change is to be made, soon; as sl_control_apply_soon(). */
void members_schedule(struct members *members);
int members_open_topic(struct members *members, const struct sl_config *file, const char *name,
	enum sl_config_guarantee guarantee, bool stays);

/*
 * Have those that were remembered, before anybody joins. Who has no place beside the file is left
 * out, and logged when there is nothing to apply it with. Returns 0, or -EINVAL with one line: what
 * is there cannot be read.
 */
int members_restore(
	struct members *members, const struct sl_config *file, char *error, size_t error_len);

/* As sl_control_subscribe(). */
void members_subscribe(struct members *members, const struct sl_config *file,
	const struct sl_datapath_subscribe *subscribe);

/* As sl_control_client_join() and those behind it. */
int members_client_join(struct members *members, const struct sl_config *file,
	const struct sl_member *member, struct sl_member_place *displaced, char *error,
	size_t error_len);
void members_client_leave(struct members *members, const struct sl_member *member);
int members_client_forget(
	struct members *members, const struct sl_member *member, char *error, size_t error_len);

/* Gone for good, also one whose messages were kept. Returns 0, -ENOENT. */
int members_remove(struct members *members, const char *destination, const char *name);

/*
 * The configuration that runs with a file: another one, or *config is the file itself. Who has no
 * place beside the file is left out, and gone with members_commit(), which is to be called when
 * *config has been taken over, or members_rollback(), when not. Returns 0 or -ENOMEM.
 */
int members_overlay(struct members *members, const struct sl_config *file, bool is_other_file,
	struct sl_config **config);
void members_commit(struct members *members);
void members_rollback(struct members *members);

struct member_info {
	uint64_t ttl_left_ms; /* UINT64_MAX: it leaves itself. */
	bool is_durable;
	bool is_away;
};

/* Returns false when it is no member, or has left a moment ago. */
bool members_find(const struct members *members, const char *destination, const char *name,
	struct member_info *info);

struct members_stats {
	uint32_t members;
	uint32_t topics;
	uint64_t joined;
	uint64_t left;
	uint64_t lapsed;
	uint64_t dropped; /* For want of room, or because the file has what they were. */
	uint64_t refused; /* By datagram. */
	uint64_t batches;
};

void members_stats(const struct members *members, struct members_stats *stats);

#endif /* MEMBERS_H */
