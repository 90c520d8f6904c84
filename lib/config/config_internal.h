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
 *   resolve.c, health.c, services.c, durability.c, gateways.c, destinations.c, names.c
 *              bounds, defaults, and everything that needs two keys to see. They name what they
 *              find by its path; scan.c finds the line of a path, only when there is an error.
 *
 * raw.c goes the other way. So an edit is made to the raw structures and resolved as a file is
 * (edit.c), a file is written from them (write.c), and two of them are compared (diff.c); the last
 * two go by the schema alone. keys.c has the words for each key, of which reference.c makes the
 * documentation.
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
	char *address6;
	char *gateway6;
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

struct raw_check {
	int *kind; /* enum sl_config_check_kind */
	char *address;
	int64_t *port;
	char *path;
	char *host;
	char *status;
	char *body;
	char *send;
	char *expect;
	char **argv;
	uint32_t argv_count;
};

struct raw_health {
	int64_t *interval_ms;
	int64_t *fast_interval_ms;
	int64_t *down_interval_ms;
	int64_t *timeout_ms;
	int64_t *rise;
	int64_t *fall;
	int64_t *notify_after;
	int64_t *slow_start_ms;
	int64_t *panic_threshold_percent;
	struct raw_check *checks;
	uint32_t checks_count;
	/* "checks: []", which libcyaml does not tell from an absent key; scan.c does. */
	bool has_no_checks;
};

struct raw_backend {
	char *name;
	char *address;
	int64_t *port;
	int64_t *weight;
	int64_t *rate_msgs_per_s;
	int *state; /* enum sl_config_admin_state */
};

struct raw_destination {
	char *name;
	int *kind; /* enum sl_config_kind */
	int64_t *class_boost;
	char *default_class;
	int64_t *queue_capacity;
	int64_t *rate_msgs_per_s;
	int64_t *burst_msgs;
	int *policy; /* enum sl_config_policy */
	int64_t *partitions;
	struct raw_backend *backends;
	uint32_t backends_count;
	struct raw_health *health;
	int *guarantee; /* enum sl_config_guarantee */
	int64_t *in_flight;
	int64_t *max_attempts;
	int64_t *requeue_after_ms;
	char *dead_letter;
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
	int *nap; /* enum sl_config_tristate */
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

struct raw_log_level {
	char *module;
	int *level; /* enum sl_config_level */
};

struct raw_log {
	int *target; /* enum sl_config_log_target */
	char *file;
	int *format; /* enum raw_log_format */
	int *level;
	struct raw_log_level *levels;
	uint32_t levels_count;
	int64_t *lines_per_s;
};

enum raw_log_format {
	RAW_FORMAT_TEXT,
	RAW_FORMAT_JSON,
};

struct raw_exec_hook {
	char **argv;
	uint32_t argv_count;
	int64_t *timeout_ms;
	int *level;
};

struct raw_webhook {
	char *url;
	int64_t *timeout_ms;
	int64_t *tries;
	int *level;
};

struct raw_events {
	struct raw_exec_hook *exec;
	uint32_t exec_count;
	struct raw_webhook *webhooks;
	uint32_t webhooks_count;
	int64_t *queue;
};

struct raw_control {
	char *socket;
	char *group;
	int64_t *clients_max;
};

struct raw_http {
	bool *enabled;
	char *address;
	int64_t *port;
	int64_t *clients_max;
	int64_t *timeout_ms;
	int64_t *metrics_destinations;
};

struct raw_limits {
	int64_t *shards;
	int64_t *backends;
	int64_t *copies;
};

/* A listener or a connector; the latter has fewer keys. */
struct raw_gateway {
	char *name;
	int *protocol; /* enum sl_config_protocol */
	char *address;
	int64_t *port;
	char *tls_certificate;
	char *tls_key;
	char *tokens;
	int64_t *clients_max;
	int64_t *clients_per_address_max;
	int64_t *idle_ms;
	char *input_max;
	char *output_max;
	int64_t *rate_msgs_per_s;
	bool *keep_open;
	char *prefix;
	int64_t *topics_max;
	int *guarantee; /* enum sl_config_guarantee */
	int64_t *rooms;
	char **origins;
	uint32_t origins_count;
	int64_t *replay;
	int64_t *replay_ms;
	char *primary;
	char **servers;
	uint32_t servers_count;
	bool *tls;
	char *tls_ca;
	char *tls_name;
};

struct raw_gateways {
	int64_t *threads;
	int64_t *topic_idle_ms;
	struct raw_gateway *listeners;
	uint32_t listeners_count;
	struct raw_gateway *connectors;
	uint32_t connectors_count;
};

struct raw_subscriptions {
	bool *accept;
	int64_t *subscribers_max;
	int64_t *ttl_max_ms;
};

struct raw_journal {
	char *directory;
	char *segment_bytes;
	char *ring_bytes;
	char *max_bytes;
	char *retention_bytes;
	char *retention;
	int64_t *commit_interval_us;
	bool *direct;
	int64_t *parked_capacity;
	int64_t *cpu;
};

struct raw_publishers {
	int64_t *sessions_max;
	int64_t *sessions_per_address_max;
	int64_t *window;
	int64_t *window_per_address;
	int64_t *rate_msgs_per_s;
	int64_t *idle_ms;
};

struct raw_sink {
	char *name;
	int *kind; /* enum sl_config_sink_kind */
	char *path;
	char *conninfo;
	int64_t *batch_messages;
	int64_t *batch_ms;
	int64_t *writers;
	int64_t *keep_days;
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
	struct raw_health health;
	struct raw_journal journal;
	struct raw_publishers publishers;
	struct raw_sink *sinks;
	uint32_t sinks_count;
	struct raw_gateways gateways;
	struct raw_subscriptions subscriptions;
	struct raw_log log;
	struct raw_events events;
	struct raw_control control;
	struct raw_http http;
	struct raw_limits limits;
};

/** The schema of the whole file, for libcyaml and for scan.c. */
extern const cyaml_schema_value_t sl_config_schema;

/** How a number stands in the file. */
enum sl_config_unit {
	SL_CONFIG_PLAIN,   /**< Digits; the key's name says the unit. */
	SL_CONFIG_BYTES,   /**< A text: "65536", "64K", "64M", "2G", "1T", of 1024 each */
	SL_CONFIG_TIME_MS, /**< A text: "500ms", "10s", "5m", "24h", "7d", "0" */
};

/** Room for what sl_config_format_number() writes. */
#define SL_CONFIG_NUMBER_LEN 24

/** A number in its shortest form: "64M", "1d". @return @p buf */
const char *
sl_config_format_number(int64_t value, enum sl_config_unit unit, char buf[SL_CONFIG_NUMBER_LEN]);

/** Read a text with a unit. @return false: it is none, or too large */
bool sl_config_parse_number(const char *text, enum sl_config_unit unit, int64_t *value);

/**
 * A key that holds a number: where it comes from, where it goes, what it may be. Its offsets are
 * into one raw structure and the configuration structure it becomes.
 */
struct sl_config_number {
	const char *key;
	size_t from;	  /**< An int64_t pointer, of texts a char pointer; NULL: it is absent. */
	size_t to;	  /**< An unsigned integer of to_size bytes. */
	uint8_t to_size;  /**< 1, 2, 4 or 8 */
	int64_t min, max; /**< Both inclusive. */
	int64_t def;	  /**< The default; may lie outside the bounds to mean "absent". */
	enum sl_config_unit unit;
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
extern const struct sl_config_number sl_config_health_numbers[];
extern const struct sl_config_number sl_config_check_numbers[];
extern const struct sl_config_number sl_config_log_numbers[];
extern const struct sl_config_number sl_config_exec_numbers[];
extern const struct sl_config_number sl_config_webhook_numbers[];
extern const struct sl_config_number sl_config_event_numbers[];
extern const struct sl_config_number sl_config_control_numbers[];
extern const struct sl_config_number sl_config_http_numbers[];
extern const struct sl_config_number sl_config_limit_numbers[];
extern const struct sl_config_number sl_config_journal_numbers[];
extern const struct sl_config_number sl_config_publisher_numbers[];
extern const struct sl_config_number sl_config_sink_numbers[];
extern const struct sl_config_number sl_config_gateways_numbers[];
extern const struct sl_config_number sl_config_listener_numbers[];
extern const struct sl_config_number sl_config_connector_numbers[];
extern const struct sl_config_number sl_config_subscription_numbers[];

/** A mapping of the file: its keys, and the numbers among them. */
struct sl_config_section {
	const char *path; /**< "destinations.backends"; "": the file itself. */
	const cyaml_schema_field_t *fields;
	const struct sl_config_number *numbers; /**< NULL: it has none. */
};

/** In the order of the documentation; ends with a NULL path. */
extern const struct sl_config_section sl_config_sections[];

/** The section with this path, which has to be there. */
const struct sl_config_section *sl_config_section_of(const char *path);

/** What is said of a key; one for each key of each section, in their order. */
struct sl_config_key {
	const char *path;   /**< "destinations.backends.weight" */
	const char *type;   /**< NULL: as the schema says. */
	const char *def;    /**< NULL: as the schema and the numbers say. */
	const char *bounds; /**< NULL: likewise. */
	bool needs_restart; /**< The running path cannot take a change over. */
	const char *about;
};

/** Ends with a NULL path. */
extern const struct sl_config_key sl_config_keys[];

/** "destinations.health.rise" is found as "health.rise". @return NULL when there is none */
const struct sl_config_key *sl_config_find_key(const char *path);

/** How a name becomes a key; a parameter so that a test can make two names collide. */
typedef uint64_t (*sl_config_hash_t)(const char *name);

struct sl_config_chunk;

/** Memory that is freed at once; all zero: none yet. */
struct sl_config_arena {
	struct sl_config_chunk *chunks;
};

/** Zeroed memory. @return NULL when there is none */
void *sl_config_arena_alloc(struct sl_config_arena *arena, size_t size);

/** Give up what was allocated, but keep some of the memory for the next. */
void sl_config_arena_reset(struct sl_config_arena *arena);

void sl_config_arena_free(struct sl_config_arena *arena);

/** What sl_config.storage points to. */
struct sl_config_storage {
	struct sl_config_arena arena; /**< All strings and arrays. */
	struct sl_config_name *names; /**< Sorted by key, each key once. */
	size_t nb_names;
};

#define SL_CONFIG_NOT_FOUND UINT32_MAX

/** Least burst_msgs that is chosen. */
#define SL_CONFIG_BURST_MIN 32

/** Names and a number for each, hashed. */
struct sl_config_index {
	struct sl_config_slot *slots;
	uint32_t mask;
};

/** Room for @p capacity names, at most 2^30. @return 0 or -ENOMEM */
int sl_config_index_init(
	struct sl_config_index *index, struct sl_config_arena *arena, uint32_t capacity);

/** Set the number of a name; the name has to outlive the index. */
void sl_config_index_set(struct sl_config_index *index, const char *name, uint32_t number);

/** @return the number, or SL_CONFIG_NOT_FOUND */
uint32_t sl_config_index_get(const struct sl_config_index *index, const char *name);

/** What an edit or a difference is made from: a configuration as its file would be. */
struct sl_config_maker {
	const struct sl_config *config;
	struct sl_config_arena *arena;
	bool is_full; /**< Defaults too; else only what differs from them. */
	bool is_out_of_memory;
};

/**
 * The raw structures of a configuration. Their strings are the configuration's own where they can
 * be. @return 0 or -ENOMEM
 */
int sl_config_make_raw(struct sl_config_maker *maker, struct raw_config *raw);

/** The same without the destinations. */
int sl_config_make_raw_top(struct sl_config_maker *maker, struct raw_config *raw);

/** The same for one destination. */
int sl_config_make_raw_destination(struct sl_config_maker *maker,
	const struct sl_config_destination *from, struct raw_destination *to);

/** Does the destination have the checks of the file? */
bool sl_config_has_own_checks(
	const struct sl_config *config, const struct sl_config_destination *destination);

/** "round-robin, weighted-round-robin": what may stand for a choice. @return @p buf */
const char *sl_config_list_choices(const cyaml_schema_value_t *schema, char *buf, size_t buf_len);

/** Decimal, no leading zero (libcyaml would read octal), within 64 bits. */
bool sl_config_is_whole_number(const char *text);

/** One reading of one file. */
struct sl_config_reader {
	const char *path;
	const char *text;
	size_t text_len;
	bool is_edit; /**< There is no text: errors show names instead of lines. */
	sl_config_hash_t hash;
	char *error;
	size_t error_len;
	const struct raw_config *raw;
	uint32_t *unchecked; /**< Destinations with "checks: []", by index. */
	uint32_t nb_unchecked;
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

/** How errors call a place of the raw structures when there is no file to show a line of. */
const char *sl_config_name_place(const struct sl_config_reader *reader,
	const struct sl_config_at *at, const char *key, char *buf, size_t buf_len);

/** @copydoc sl_config_parse with the hash function of the names given. */
int sl_config_parse_hashed(const char *path, const char *text, size_t text_len,
	sl_config_hash_t hash, struct sl_config **config, char *error, size_t error_len);

/** An empty configuration to read into. @return 0; -ENOMEM, with the error text written */
int sl_config_begin(struct sl_config_reader *reader);

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

/**
 * Read the address of one station of either family: not a multicast, broadcast, loopback or the
 * zero one, nor a link-local one of IPv6.
 */
int sl_config_take_address(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw, struct sl_ip *address);

/** The same for a neighbour of a port: one that is link-local is fine. */
int sl_config_take_next_hop(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw, struct sl_ip *address);

/** The same for an address that kernel sockets use: loopback is fine. */
int sl_config_take_host(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw, struct sl_ip *address);

/** The same for one that a kernel socket listens at: the zero one is fine, too. */
int sl_config_take_listener(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw, struct sl_ip *address);

/** Read a port's "address" and "gateway", or "address6" and "gateway6"; those that are not NULL. */
int sl_config_take_subnet(struct sl_config_reader *reader, const struct sl_config_at *at,
	enum sl_family family, const char *address, const char *gateway,
	struct sl_config_port *port);

/** Does the port's subnet hold the address? */
bool sl_config_is_on_subnet(const struct sl_config_port *port, const struct sl_ip *address);

/**
 * An address that is no station's on the port's subnet: the subnet's own (of IPv6: that of any of
 * its routers) or the broadcast address, which IPv6 has not. Subnets of two addresses or one have
 * neither (RFC 3021, RFC 6164).
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

/** What the absent key @p raw of a choice stands for, or what it says. */
static inline int
sl_config_choice(const int *raw, int def)
{
	return raw != NULL ? *raw : def;
}

/** Is it the address of one station of a network, no multicast, loopback or link-local one? */
bool sl_config_is_station(const struct sl_ip *address);

/** RFC 3629; libyaml lets only this pass in a file. */
bool sl_config_is_utf8(const char *text);

/** Is every byte fit for one line of text: no control characters, no line ends? */
bool sl_config_is_printable(const char *text);

/** Check that a text has 1 to @p len_max bytes, and copy it; NULL is left NULL. */
int sl_config_take_text(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw, size_t len_max, char **text);

/** The same, all printable. */
int sl_config_take_line(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw, size_t len_max, char **text);

/** Copy a command; its first word has to be an absolute path. */
int sl_config_take_argv(struct sl_config_reader *reader, const struct sl_config_at *at,
	char *const *raw, uint32_t count, char ***argv, uint32_t *nb_argv);

/** "health" of the destination @p index, or of the file when negative; the file's comes first. */
int sl_config_resolve_health(
	struct sl_config_reader *reader, int64_t index, struct sl_config_health *to);

/** log, events, control, http, limits. */
int sl_config_resolve_services(struct sl_config_reader *reader);

/** journal, publishers, sinks; lcores are resolved already. */
int sl_config_resolve_durability(struct sl_config_reader *reader);

/** What a destination has of at-least-once; "journal" is resolved already. */
int sl_config_resolve_guarantee(struct sl_config_reader *reader, const struct sl_config_at *at,
	struct sl_config_destination *to);

/** Every "dead_letter", when all destinations are resolved. */
int sl_config_resolve_dead_letters(struct sl_config_reader *reader);

/** gateways, with the ports and neighbours that stand for their threads, and subscriptions; ports,
 * neighbours and "journal" are resolved already. */
int sl_config_resolve_gateways(struct sl_config_reader *reader);

/** The port of a listener that says none. */
uint16_t sl_config_gateway_port(enum sl_config_protocol protocol);

/** An absolute path; NULL is left NULL. */
int sl_config_take_path(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw, size_t len_max, char **path);

/** Limits that are given have to hold what the file has; destinations are resolved already. */
int sl_config_check_limits(struct sl_config_reader *reader);

/** Check all names against one another and build the table behind sl_config_name_of(). */
int sl_config_resolve_names(struct sl_config_reader *reader);

#endif /* SL_CONFIG_INTERNAL_H */
