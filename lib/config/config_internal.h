/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_CONFIG_INTERNAL_H
#define SL_CONFIG_INTERNAL_H

/**
 * @file
 * What the files of the configuration reader share; nobody else includes it but its test.
 *
 * A file goes through three steps:
 *   scan.c     the YAML events are held against the schema: unknown, missing and doubled keys,
 *              types, list lengths. Says the line of what it finds.
 *   libcyaml   loads the same text into the raw structures below.
 *   resolve.c, destinations.c, names.c
 *              bounds, defaults, and everything that needs two keys to see. They name what they
 *              find by its path; scan.c finds the line of a path, only when there is an error.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cyaml/cyaml.h>

#include "sl_config.h"

/** Larger files are refused. */
#define SL_CONFIG_FILE_MAX (64u << 20)

/* The file as libcyaml loads it: pointers are NULL for keys that are absent. */

struct raw_port {
	char *name;
	char *device;
	char *address;
	char *gateway;
	int64_t *vlan;
	int64_t *mtu;
	int64_t *rx_descriptors;
	int64_t *tx_descriptors;
	bool *check_udp_checksum;
	bool *send_udp_checksum;
};

struct raw_lcore {
	int64_t *lcore;
	uint32_t roles;
};

struct raw_dedup {
	int64_t *window_ms;
	int64_t *capacity;
};

struct raw_class {
	int64_t *level;
	char *name;
	int64_t *min_share_percent;
	int64_t *max_wait_ms;
};

struct raw_backend {
	char *name;
	char *address;
	int64_t *port;
	int64_t *weight;
	int64_t *rate_msgs_per_s;
};

enum raw_kind {
	RAW_KIND_QUEUE,
	RAW_KIND_TOPIC,
};

struct raw_destination {
	char *name;
	enum raw_kind kind;
	int64_t *class_boost;
	char *default_class;
	int64_t *queue_capacity;
	int64_t *rate_msgs_per_s;
	int64_t *burst_msgs;
	enum sl_config_policy policy;
	int64_t *partitions;
	struct raw_backend *backends;
	uint32_t backends_count;
};

struct raw_rule {
	char *source;
	char *destination;
	char *type;
	int64_t *priority;
	char *class_ref;
};

struct raw_neighbour {
	char *address;
	char *mac;
};

struct raw_idle {
	enum sl_config_tristate nap;
	int64_t *nap_us;
};

struct raw_rings {
	int64_t *size;
};

struct raw_arp {
	int64_t *reachable_ms;
	int64_t *retry_ms;
	int64_t *retry_max_ms;
	int64_t *max_tries;
};

struct raw_config {
	char *node;
	int64_t *udp_port;
	int64_t *epoch;
	struct raw_port *ports;
	uint32_t ports_count;
	struct raw_lcore *lcores;
	uint32_t lcores_count;
	struct raw_dedup dedup;
	struct raw_class *classes;
	uint32_t classes_count;
	struct raw_destination *destinations;
	uint32_t destinations_count;
	struct raw_rule *rules;
	uint32_t rules_count;
	struct raw_neighbour *neighbours;
	uint32_t neighbours_count;
	int64_t *mbufs;
	int64_t *drain_timeout_ms;
	struct raw_idle idle;
	struct raw_rings rings;
	struct raw_arp arp;
};

/** The schema of the whole file, for libcyaml and for scan.c. */
extern const cyaml_schema_value_t sl_config_schema;

/**
 * A key that holds a number: where it comes from, where it goes, what it may be. Its offsets are
 * into one raw structure and the configuration structure it becomes.
 */
struct sl_config_number {
	const char *key;
	size_t from;	  /**< An int64_t pointer, NULL when the key is absent. */
	size_t to;	  /**< An unsigned integer of to_size bytes. */
	uint8_t to_size;  /**< 1, 2, 4 or 8 */
	int64_t min, max; /**< Both inclusive. */
	int64_t def;	  /**< The default; may lie outside the bounds to mean "absent". */
};

/** Tables of numbers end with a NULL key. */
extern const struct sl_config_number sl_config_top_numbers[];
extern const struct sl_config_number sl_config_dedup_numbers[];
extern const struct sl_config_number sl_config_idle_numbers[];
extern const struct sl_config_number sl_config_ring_numbers[];
extern const struct sl_config_number sl_config_arp_numbers[];
extern const struct sl_config_number sl_config_port_numbers[];
extern const struct sl_config_number sl_config_lcore_numbers[];
extern const struct sl_config_number sl_config_class_numbers[];
extern const struct sl_config_number sl_config_destination_numbers[];
extern const struct sl_config_number sl_config_backend_numbers[];
extern const struct sl_config_number sl_config_rule_numbers[];

/** How a name becomes a key; a parameter so that a test can make two names collide. */
typedef uint64_t (*sl_config_hash_t)(const char *name);

struct sl_config_chunk;

/** What sl_config.storage points to. */
struct sl_config_storage {
	struct sl_config_chunk *chunks; /**< All strings and arrays. */
	struct sl_config_name *names;	/**< Sorted by key, each key once. */
	size_t nb_names;
};

/** One reading of one file. */
struct sl_config_reader {
	const char *path;
	const char *text;
	size_t text_len;
	sl_config_hash_t hash;
	char *error;
	size_t error_len;
	const struct raw_config *raw;
	struct sl_config *config;
	struct sl_config_storage *storage;
};

/** A place in the file: "list[i].sublist[j]", as far as they are not NULL. */
struct sl_config_at {
	const char *list;
	uint32_t i;
	const char *sublist;
	uint32_t j;
};

/** @copydoc sl_config_parse with the hash function of the names given. */
int sl_config_parse_hashed(const char *path, const char *text, size_t text_len,
	sl_config_hash_t hash, struct sl_config **config, char *error, size_t error_len);

/** Zeroed memory that lives as long as the configuration. @return NULL when there is none */
void *sl_config_alloc(struct sl_config_reader *reader, size_t size);

/** Copy @p string into the configuration. @return 0; -ENOMEM, with the error text written */
int sl_config_copy(struct sl_config_reader *reader, const char *string, char **copy);

/** Write the error text; @p line 0 when it concerns no line. @return -EINVAL */
int sl_config_vfail(struct sl_config_reader *reader, unsigned int line, const char *key,
	const char *format, va_list args);

/** Write the error text for @p key of the place @p at (NULL: the top level). @return -EINVAL */
int sl_config_fail(struct sl_config_reader *reader, const struct sl_config_at *at, const char *key,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/** Write the error text for want of memory. @return -ENOMEM */
int sl_config_no_memory(struct sl_config_reader *reader);

/** Hold the text against the schema. @return 0; -EINVAL or -ENOMEM, with the error text written */
int sl_config_scan(struct sl_config_reader *reader);

/** The line of the deepest key on the way to @p key that the file has; 0 when it has none. */
unsigned int sl_config_locate(struct sl_config_reader *reader, const char *key);

/**
 * Check numbers against their bounds and store them.
 * @param prefix  in front of each key in errors ("idle."), or ""
 */
int sl_config_numbers(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *prefix, const struct sl_config_number *numbers, const void *raw, void *out);

/** Check that a name is printable and of a good length. */
int sl_config_check_name(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw);

/** The same, and copy it. */
int sl_config_take_name(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw, char **name);

/** Read the address of one station: not a multicast, broadcast, loopback or the zero one. */
int sl_config_take_address(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw, struct sl_ip *address);

/** Does the port's subnet hold the address? */
bool sl_config_is_on_subnet(const struct sl_config_port *port, const struct sl_ip *address);

/**
 * An address that is no station's on the port's subnet: the subnet's own or its broadcast.
 * Subnets of fewer than four addresses have neither (RFC 3021).
 */
bool sl_config_is_subnet_edge(const struct sl_config_port *port, const struct sl_ip *address);

/** The level of the class that @p ref names or is the number of. */
int sl_config_take_class(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *ref, uint32_t *level);

/** raw -> config: everything. @return 0; -EINVAL or -ENOMEM, with the error text written */
int sl_config_resolve(struct sl_config_reader *reader);

/** Destinations, their backends, and rules; ports and classes are resolved already. */
int sl_config_resolve_destinations(struct sl_config_reader *reader);
int sl_config_resolve_rules(struct sl_config_reader *reader);

/** Check all names against one another and build the table behind sl_config_name_of(). */
int sl_config_resolve_names(struct sl_config_reader *reader);

#endif /* SL_CONFIG_INTERNAL_H */
