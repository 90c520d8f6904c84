/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef MEMBERS_INTERNAL_H
#define MEMBERS_INTERNAL_H

/* The inside of members: who they are. */
#include <sys/queue.h>

#include "members.h"

struct member {
	TAILQ_ENTRY(member) next;
	TAILQ_ENTRY(member) moving;
	struct group *group;
	char *name;
	struct sl_ip address;
	uint16_t port;
	uint32_t ttl_ms;     /* 0: it leaves itself. */
	uint64_t expires_ms; /* UINT64_MAX: it does not lapse, or is away. */
	bool is_durable;
	bool is_away;
	bool is_gateway;  /* Bounded by the gateways' own limits. */
	bool is_datagram; /* It came by one. */
	bool is_client;	  /* Of a gateway, and durable. */
	bool is_moving;	  /* It is away, and is to be at another place when it is idle: */
	struct sl_member_place place;
	bool is_forgotten; /* Of a gateway: it goes with the next change, before it may come again.
			    */
	bool is_applied;
	const char *drop; /* Why it is about to go; NULL: it is not. */
};

TAILQ_HEAD(member_list, member);

/* The members of a destination. */
struct group {
	TAILQ_ENTRY(group) next;
	char *destination;
	struct member_list members;
	uint32_t nb_members;
	bool is_topic;	  /* The file does not have it, */
	bool is_in_file;  /* until now: what was opened is the file's from now on. */
	bool is_applied;  /* The path has it. */
	bool stays;	  /* However long nobody uses it. */
	uint64_t used_ms; /* Of a topic: when it was seen to be used last, */
	uint64_t came;	  /* and how much had come for it. */
	enum sl_config_guarantee guarantee;
};

TAILQ_HEAD(group_list, group);

struct members {
	struct members_params params;
	struct group_list groups;
	void *by_destination; /* Groups; tsearch(). */
	void *by_name;	      /* Members, by group and name. */
	uint32_t nb_counted;  /* Of stats.members, those that subscribers_max counts, */
	uint32_t nb_ttls;     /* and those that may lapse. */
	uint64_t told_ms;     /* Of one that was refused. */
	struct members_stats stats;
	char *stored; /* What of them is on disk; NULL: nothing. */
	bool has_store_failed;
	struct event *batch;
	struct event *sweep;
	struct member_list moving;
	uint32_t nb_forgotten;
	struct event *move;
	struct event *idle;
	bool is_waiting;   /* For the batch, */
	uint32_t delay_ms; /* so long. */
};

struct group *members_group(const struct members *m, const char *destination);
struct member *members_member(const struct members *m, struct group *group, const char *name);

/* NULL: no memory */
struct group *members_add_group(struct members *m, const char *destination);
/* A group that nobody is in and that is no topic stands for nothing. */
void members_free_group_if_empty(struct members *m, struct group *group);

/* It has left, or lapsed: gone, or only away. */
void members_part(struct members *m, struct member *member);

/* A gateway's is gone for good; its name may come again as somebody who has missed nothing. */
void members_forget(struct members *m, struct member *member);
/* The path has none that were forgotten. */
void members_forgotten(struct members *m);
/* And its group, when it was the last. */
void members_free(struct members *m, struct member *member);
/* It is not to be moved any more. */
void members_stay(struct members *m, struct member *member);
int members_clients_create(struct members *m);
void members_clients_destroy(struct members *m);
int members_topics_create(struct members *m);
void members_topics_destroy(struct members *m);

/*
 * Note on disk who is to be remembered, when that is other than it was; before the path knows of
 * them. That it fails is told, and tried again with the next change.
 */
void members_store(struct members *m, const char *directory);

#endif /* MEMBERS_INTERNAL_H */
