/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

/**
 * @file
 * What threads have of the configuration: destinations, limits, tokens and certificates. Made by
 * the control thread, and immutable then; each thread holds the one it goes by.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <openssl/ssl.h>

#include "gateway.h"
#include "sl_config.h"

#define GW_LISTENERS_MAX ((uint32_t)SL_CONFIG_GATEWAYS_MAX)
#define GW_THREADS_MAX	 SL_CONFIG_GATEWAY_THREADS

struct gw_dest {
	struct gw_destination public; /* First. */
	uint32_t name_len;
	uint32_t in_flight;
	bool is_on_demand; /* The file does not have it. */
	uint32_t gateways; /* Threads that are backends of it: bits. */
};

struct gw_limits {
	uint32_t clients_max;
	uint32_t clients_per_address_max;
	uint32_t idle_ms;
	uint32_t input_max;
	uint32_t output_max;
	uint32_t topics_max;
	uint64_t rate_msgs_per_s;
};

struct gw_tokens;

/* A file as it was read: when it is another one, it is read again. */
struct gw_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct gw_files {
	struct gw_stamp tokens, certificate, key;
};

/* A durable subscriber that is there: which thread's, at what port. */
struct gw_place {
	uint32_t thread;
	uint32_t port;
	uint64_t destination; /* Keys. */
	uint64_t name;
};

struct gw_snapshot {
	uint32_t refs; /* Atomic. */
	uint32_t nb_gateways;
	struct gw_limits limits[GW_LISTENERS_MAX];
	struct gw_tokens *tokens[GW_LISTENERS_MAX];
	SSL_CTX *tls[GW_LISTENERS_MAX]; /* NULL: it speaks in clear. */
	struct gw_files files[GW_LISTENERS_MAX];
	/* By thread: the last of its requests that was served before this was made. */
	uint64_t served[GW_THREADS_MAX];
	uint32_t nb_places; /* Where durable subscribers of the threads' clients are, sorted. */
	struct gw_place *places;
	uint32_t nb_destinations;
	uint32_t mask;
	uint32_t *index; /* By key, into destinations + 1; 0: free. */
	struct gw_dest *destinations;
	char *names;
};

/*
 * @param before  the one so far: tokens and certificates that have not changed, or are of no use,
 * which is said, are taken from it; NULL: none
 */
int gw_snapshot_create(const struct sl_config *config, const struct gw_snapshot *before,
	struct gw_snapshot **snapshot, char *error, size_t error_len);
struct gw_snapshot *gw_snapshot_ref(struct gw_snapshot *snapshot);
void gw_snapshot_unref(struct gw_snapshot *snapshot); /* NULL is fine. */
const struct gw_dest *gw_snapshot_find(const struct gw_snapshot *snapshot, uint64_t key);
/* Is there a durable subscriber at this place? */
bool gw_snapshot_has_place(const struct gw_snapshot *snapshot, uint32_t thread, uint32_t port);
/* Is one of that name with a client, whosever? */
bool
gw_snapshot_has_durable(const struct gw_snapshot *snapshot, uint64_t destination, uint64_t name);

/* Tokens. */

int gw_tokens_load(const char *path, const struct gw_tokens *before, struct gw_tokens **tokens,
	char *error, size_t error_len);
struct gw_tokens *gw_tokens_ref(struct gw_tokens *tokens);
void gw_tokens_unref(struct gw_tokens *tokens); /* NULL is fine. */
/* @return its name; NULL: it is not among them */
const char *gw_tokens_find(const struct gw_tokens *tokens, const char *token, size_t len);

#endif /* SNAPSHOT_H */
