/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_CONFIG_H
#define SL_CONFIG_H

/**
 * @file
 * The configuration file: read, checked, resolved.
 *
 * What sl_config_load() returns is complete and consistent: every default is filled in, every name
 * resolved to an index, every value within its bounds. The packet path and the control plane never
 * check it again.
 *
 * Threads: a loaded configuration is immutable; loading touches no global state.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

#include "sl_ip.h"

#define SL_CONFIG_NAME_MAX	   63 /**< Bytes in a name. */
#define SL_CONFIG_PORTS_MAX	   32
#define SL_CONFIG_CLASSES_MAX	   8
#define SL_CONFIG_DESTINATIONS_MAX 1000000
#define SL_CONFIG_BACKENDS_MAX	   256	/**< Of one queue. */
#define SL_CONFIG_SUBSCRIBERS_MAX  4096 /**< Of one topic. */
#define SL_CONFIG_GATEWAYS_MAX	   32
#define SL_CONFIG_GATEWAY_THREADS  8 /**< At most. */
#define SL_CONFIG_RULES_MAX	   256
#define SL_CONFIG_PARTITIONS_MAX   64
#define SL_CONFIG_NEIGHBOURS_MAX   65536
#define SL_CONFIG_CHECKS_MAX	   8  /**< Health checks of one destination's backends. */
#define SL_CONFIG_HOOKS_MAX	   16 /**< Of each kind. */
#define SL_CONFIG_ARGS_MAX	   64 /**< Words of a command. */
#define SL_CONFIG_LOG_LEVELS_MAX   32

/** Roles of an lcore, as bits. */
#define SL_ROLE_RX     0x1
#define SL_ROLE_WORKER 0x2

enum sl_config_policy {
	SL_CONFIG_ROUND_ROBIN,
	SL_CONFIG_WEIGHTED_ROUND_ROBIN,
};

/** Key "guarantee" of a destination. */
enum sl_config_guarantee {
	SL_CONFIG_AT_MOST_ONCE,
	SL_CONFIG_AT_LEAST_ONCE, /**< Needs "journal". */
};

/** Key "kind" of a destination. */
enum sl_config_kind {
	SL_CONFIG_QUEUE, /**< Each message to one backend. */
	SL_CONFIG_TOPIC, /**< Each message to every backend: they are its subscribers. */
};

enum sl_config_tristate {
	SL_CONFIG_AUTO,
	SL_CONFIG_OFF,
	SL_CONFIG_ON,
};

/** The two address families, as indexes. */
enum sl_family { SL_IPV4, SL_IPV6, SL_FAMILIES };

/** A port's address in one family: keys "address" and "gateway", or "address6" and "gateway6". */
struct sl_config_subnet {
	struct sl_ip address; /**< Unset: the port does not speak this family. */
	uint8_t prefix_len;   /**< 0..32 or 0..128 */
	struct sl_ip gateway; /**< Unset: none. */
};

struct sl_config_port {
	char *name;
	char *device; /**< Name of the ethdev, or its PCI address. */
	/** It stands for a thread of the gateways, and is not in the file: the path makes its
	 * device, two rings of frames, itself. Behind the file's ports. */
	bool is_gateway;
	struct sl_config_subnet subnets[SL_FAMILIES]; /**< At least one has an address. */
	uint16_t vlan;				      /**< 802.1Q VLAN, 0: untagged */
	uint16_t mtu;				      /**< Of the IP packet, 576..9000 */
	uint16_t rx_descriptors;		      /**< A queue; 64..32768 */
	uint16_t tx_descriptors;
	bool is_udp_checksum_checked; /**< "check_udp_checksum" */
	bool is_udp_checksum_sent;    /**< "send_udp_checksum" */
};

struct sl_config_lcore {
	uint32_t lcore;
	uint32_t roles; /**< SL_ROLE_* */
};

struct sl_config_class {
	uint32_t level; /**< 1..8; the array is sorted by it */
	char *name;
	uint32_t min_share_percent; /**< 0..100, all classes together at most 100 */
	uint32_t max_wait_ms;	    /**< 0: no maximum */
};

/** What the operator wants of a backend. */
enum sl_config_admin_state {
	SL_CONFIG_READY,
	SL_CONFIG_DRAIN,       /**< Finishes what it has, takes nothing new; checks go on. */
	SL_CONFIG_MAINTENANCE, /**< Takes nothing and is not checked. */
};

/** How a backend is asked whether it works. */
enum sl_config_check_kind {
	SL_CHECK_PROBE, /**< A Probe datagram through the packet path (docs/wire-format.md). */
	SL_CHECK_ICMP,	/**< An echo request through the packet path. */
	SL_CHECK_UDP,	/**< A datagram from a kernel socket, and an answer. */
	SL_CHECK_TCP,	/**< A connection from a kernel socket. */
	SL_CHECK_HTTP,	/**< A GET request from a kernel socket. */
	SL_CHECK_EXEC,	/**< A command; exit code 0 is success. */
};

struct sl_config_check {
	enum sl_config_check_kind kind;
	struct sl_ip address; /**< udp, tcp, http. Unset: the backend's own. */
	uint16_t port;	      /**< udp, tcp, http. 0: the backend's own. */
	char *path;	      /**< http: "/" unless given. */
	char *host;	      /**< http: the Host header; NULL: the address. */
	uint16_t status_min;  /**< http "status": "200" or "200-299" (the default is 200-399). */
	uint16_t status_max;
	char *body;	  /**< http: a text that the body has to contain, NULL: any. */
	char *send;	  /**< udp: what is sent; tcp: sent when connected, NULL: nothing. */
	char *expect;	  /**< udp, tcp: what the answer has to begin with, NULL: any. */
	uint32_t nb_argv; /**< exec */
	char **argv;	  /**< exec; ended by NULL. argv[0] is an absolute path. */
};

/** Key "health" of a destination, over the file's own "health", over the defaults. */
struct sl_config_health {
	uint32_t interval_ms;	   /**< 10..3600000, 2000 */
	uint32_t fast_interval_ms; /**< While a state is changing; interval_ms unless given. */
	uint32_t down_interval_ms; /**< While down; interval_ms unless given. */
	uint32_t timeout_ms;	   /**< 10..600000, 3000 */
	uint32_t rise;		   /**< Successes in a row that bring a backend up; 1..100, 2 */
	uint32_t fall;		   /**< Failures in a row that bring it down; 1..100, 3 */
	uint32_t notify_after;	   /**< Failures in a row worth an event; 1..1000, 5 */
	uint32_t slow_start_ms;	   /**< From UP to its full weight; 0: at once. 0..3600000, 0 */
	/** With fewer of a destination's backends up, in percent, all are used; 0: never. */
	uint32_t panic_threshold_percent;
	uint32_t nb_checks; /**< 0: its backends count as up. All have to succeed. */
	struct sl_config_check *checks;
};

struct sl_config_backend {
	char *name;
	struct sl_ip address;
	uint16_t port;
	uint32_t weight;	  /**< 1..65535 */
	uint64_t rate_msgs_per_s; /**< 0: no limit */
	uint32_t port_index;	  /**< The port it is reached through, an index into ports. */
	struct sl_ip next_hop;	  /**< Its own address when on the port's subnet, or the gateway. */
	enum sl_config_admin_state state; /**< "state": ready, drain, maintenance */
	bool is_member;	 /**< It has joined, and is not in the file; nobody checks it. */
	bool is_durable; /**< A member that is remembered while it is away, and over restarts. */
};

struct sl_config_destination {
	char *name;
	uint64_t key;
	enum sl_config_kind kind; /**< "kind": queue */
	uint32_t class_boost;	  /**< 0..7 classes better than asked for */
	uint32_t default_class;	  /**< Level, for messages with priority 0; a configured one. */
	uint32_t queue_capacity;  /**< Messages, 1..2^24; of a topic: of each subscriber. */
	uint64_t rate_msgs_per_s; /**< 0: no limit */
	uint32_t burst_msgs;	  /**< Depth of the token bucket, of the backends' too; >= 1 */
	bool is_burst_chosen;	  /**< The file did not say; it follows the rates. */
	enum sl_config_policy policy;
	uint32_t partitions;  /**< 1..SL_CONFIG_PARTITIONS_MAX */
	uint32_t nb_backends; /**< With none, messages wait in the queue. */
	struct sl_config_backend *backends;
	struct sl_config_health health;

	enum sl_config_guarantee guarantee; /**< "guarantee": at-most-once */
	/* Of at-least-once destinations. */
	uint32_t in_flight;    /**< Messages a backend has not acknowledged, a worker; a power of
				  2, 16..65536, 1024 */
	uint32_t max_attempts; /**< Sent so often in all since the last start, a message is given
				  up; 0: never. 0..65535, 0 */
	uint32_t requeue_after_ms; /**< Not acknowledged for so long, while its backend acknowledges
				      nothing at all, or is out of use: goes to another.
				      100..3600000, 5000 */
	char *dead_letter; /**< Name of the destination that gets what is given up; NULL: none */
	uint32_t dead_letter_index; /**< UINT32_MAX: none. It is at-least-once, another, and has
				       none. */

	bool is_on_demand; /**< A topic that the file does not have. */
};

/** What a rule compares; bits for sl_config_rule.match. */
#define SL_RULE_SOURCE	    0x1
#define SL_RULE_DESTINATION 0x2
#define SL_RULE_TYPE	    0x4
#define SL_RULE_PRIORITY    0x8

/** First match wins; sets the class. */
struct sl_config_rule {
	uint32_t match;
	uint64_t source;
	uint64_t destination;
	uint64_t type;
	uint32_t priority;
	uint32_t level; /**< The class to set; a configured one. */
};

/** A neighbour whose link-layer address is given instead of asked for. */
struct sl_config_neighbour {
	struct sl_ip address;
	struct rte_ether_addr mac;
};

/** Levels of log lines and events; a higher number says less. */
enum sl_config_level {
	SL_LEVEL_ERROR,
	SL_LEVEL_WARN,
	SL_LEVEL_NOTIFY,
	SL_LEVEL_INFO,
	SL_LEVEL_DEBUG
};

/** The parts that log (lib/log), by the names that they go by; here so that a file is held against
 * them. */
#define SL_LOG_MODULE_LIST(X)                                                                      \
	X(main)                                                                                    \
	X(config)                                                                                  \
	X(datapath)                                                                                \
	X(neighbour)                                                                               \
	X(health)                                                                                  \
	X(event)                                                                                   \
	X(control)                                                                                 \
	X(http)                                                                                    \
	X(journal)                                                                                 \
	X(ingress)

enum sl_config_log_target { SL_LOG_STDERR, SL_LOG_FILE, SL_LOG_JOURNALD };

/** "log": {target, file, format, level, levels: [{module, level}], lines_per_s} */
struct sl_config_log {
	enum sl_config_log_target target;
	char *file;		    /**< Of target file. */
	bool is_json;		    /**< "format": text or json */
	enum sl_config_level level; /**< info */
	uint32_t lines_per_s;	    /**< Of one module, at most; 1..1000000, 200 */
	uint32_t nb_levels;
	struct sl_config_log_level {
		char *module;
		enum sl_config_level level;
	} * levels;
};

/** "events: exec": a command that gets each event as JSON on its standard input. */
struct sl_config_exec_hook {
	uint32_t nb_argv;
	char **argv;		    /**< Ended by NULL. */
	uint32_t timeout_ms;	    /**< 100..600000, 10000; then its process group is killed. */
	enum sl_config_level level; /**< And more serious ones; notify */
};

/** "events: webhooks": a URL that each event is posted to as JSON. */
struct sl_config_webhook {
	char *url;
	uint32_t timeout_ms;	    /**< Of one try; 100..600000, 5000 */
	uint32_t tries;		    /**< 1..100, 5 */
	enum sl_config_level level; /**< notify */
};

struct sl_config_events {
	uint32_t nb_exec;
	struct sl_config_exec_hook *exec;
	uint32_t nb_webhooks;
	struct sl_config_webhook *webhooks;
	uint32_t queue; /**< Events that may wait for the hooks; 16..65536, 1024 */
};

/** "control": the socket of sluicectl. */
struct sl_config_control {
	char *socket;	      /**< "/run/sluice/control.sock"; "none": there is none. */
	char *group;	      /**< Its group; NULL: the process's. */
	uint32_t clients_max; /**< 1..65536, 1024 */
};

/** "http": metrics, API and page. */
struct sl_config_http {
	bool is_enabled;      /**< "enabled": true */
	struct sl_ip address; /**< 127.0.0.1; all zero is "::" here, any address. */
	uint16_t port;	      /**< 8090 */
	uint32_t clients_max; /**< 1..65536, 256 */
	uint32_t timeout_ms;  /**< For a request and its answer; 100..600000, 10000 */
	/** Destinations with series of their own in /metrics; the others are added up. 0.., 1000 */
	uint32_t metrics_destinations;
};

/** "limits": room for what is added while the path runs. 0: twice what the file has, and 1024. */
struct sl_config_limits {
	uint32_t shards;   /**< Partitions of all destinations and subscribers together. */
	uint32_t backends; /**< Of all destinations together. */
	uint32_t copies;   /**< Messages on their way to subscribers; 0: 65536 where there may be
			      topics. */
};

/** "journal": what makes messages durable. All of it needs a restart, but the retention. */
struct sl_config_journal {
	char *directory;	     /**< NULL: there is no journal. An absolute path. */
	uint64_t segment_bytes;	     /**< A power of 2, 1 MiB..1 GiB; 64 MiB. Sizes as "64M". */
	uint64_t ring_bytes;	     /**< Of each worker; a power of 2, 1 MiB..4 GiB; 32 MiB */
	uint64_t max_bytes;	     /**< At least 4 segments a worker; 16 GiB */
	uint64_t retention_bytes;    /**< Up to max_bytes; half of it */
	uint64_t retention_ms;	     /**< "retention": "24h"; 0..10 years in ms; 24 h */
	uint32_t commit_interval_us; /**< 0..1000000, 0 */
	bool is_direct;		     /**< "direct": true */
	uint32_t parked_capacity;    /**< Messages on disk only, of all workers: 10 bytes of memory
					each. 1024..2^30, 16777216 */
	int32_t cpu;		     /**< Of its thread; -1: any the process has. */
};

/** "publishers": those who send in sessions. */
struct sl_config_publishers {
	uint32_t sessions_max;		   /**< 1..1048576, 4096 */
	uint32_t sessions_per_address_max; /**< 1.., 256 */
	uint32_t window;	     /**< Credit, in messages: a power of 2, 64..65536; 4096 */
	uint32_t window_per_address; /**< Of its sessions together; 0: no limit; ..1 << 24, 65536 */
	uint64_t rate_msgs_per_s;    /**< From one address; 0: no limit */
	uint32_t idle_ms; /**< Silent for so long, it is forgotten; 1000..86400000, 60000 */
};

enum sl_config_sink_kind { SL_SINK_SQLITE, SL_SINK_POSTGRESQL };

/** "sinks": databases that trail the journal. Need a restart. */
struct sl_config_sink {
	char *name;
	enum sl_config_sink_kind kind;
	char *path;	/**< sqlite: the file. */
	char *conninfo; /**< postgresql: libpq's connection string; passwords belong in passfile. */
	uint32_t batch_messages; /**< 1..1000000, 1000 */
	uint32_t batch_ms;	 /**< 1..600000, 500 */
	uint32_t writers;	 /**< postgresql: connections, 1..64, 1 */
	uint64_t keep_days;	 /**< postgresql: older partitions are dropped; 0: none */
};

#define SL_CONFIG_SINKS_MAX 16

enum sl_config_protocol {
	SL_GATEWAY_JSON,  /**< Newline-delimited JSON messages. */
	SL_GATEWAY_LINE,  /**< PUBLISH|topic|payload, SUBSCRIBE|topic, PING. */
	SL_GATEWAY_ROOMS, /**< Chat rooms over WebSocket. */
	SL_GATEWAY_HTTP,  /**< POST of messages, server-sent events. */
};

/** "gateways: listeners" and "gateways: connectors": where clients on kernel sockets come in. */
struct sl_config_gateway {
	char *name;
	enum sl_config_protocol protocol;
	bool is_connector; /**< It connects out, to `servers`, and listens to nobody. JSON only. */
	/* Of listeners. */
	struct sl_ip address;  /**< "::", which is all zero: any address. */
	uint16_t port;	       /**< 9000 json, 8080 line, 8081 rooms, 8082 http */
	char *tls_certificate; /**< PEM; NULL: no TLS. */
	char *tls_key;
	char *tokens; /**< rooms, http: a file of bearer tokens, one a line: "TOKEN NAME"; NULL:
			 anybody. */
	uint32_t clients_max;		  /**< 1..1000000, 16384 */
	uint32_t clients_per_address_max; /**< 1..1000000, clients_max */
	uint32_t idle_ms;		  /**< Silent for so long, it is closed; 0: never; 300000 */
	/* Of both. */
	uint32_t input_max;	  /**< Bytes of one line, frame or body; 64..16 MiB, 1 MiB */
	uint32_t output_max;	  /**< Bytes that may wait for one client; 4 MiB */
	uint64_t rate_msgs_per_s; /**< Of one client; 0: no limit */
	bool is_kept_open;	  /**< line: "keep_open": false */
	char *prefix;		  /**< line, rooms: of the names of their topics; "" */
	uint32_t topics_max;	  /**< line, rooms: topics made when they are asked for; 1024 */
	enum sl_config_guarantee guarantee; /**< Of those; at-most-once */
	uint32_t nb_rooms;		    /**< rooms: there from the start, "1" to this; 20 */
	uint32_t nb_origins;		    /**< rooms, http: allowed in Origin; 0: any. */
	char **origins;
	uint32_t replay; /**< http: events a topic keeps for those that come back; 0..65536, 1024 */
	uint32_t replay_ms;  /**< http: and for how long without anybody; 0..3600000, 60000 */
	uint32_t nb_servers; /**< Of a connector, 1..64: "HOST:PORT". */
	char **servers;
	bool is_tls;	/**< Of a connector: "tls": false */
	char *tls_ca;	/**< Whose certificates it trusts, PEM; NULL: the system's. */
	char *tls_name; /**< That the certificate has to be for; NULL: the server's host. */
	char *primary;	/**< line: "HOST:PORT" of the broker it is the backup of; NULL: none. */
};

/**
 * "gateways". Needs a restart, but for limits. Listeners come before connectors. What stands for
 * the threads comes last in `ports` and in `neighbours`, thread after thread.
 */
struct sl_config_gateways {
	uint32_t threads;	/**< 1..SL_CONFIG_GATEWAY_THREADS, 1; 0 without gateways */
	uint32_t topic_idle_ms; /**< Unused for so long, a topic on demand goes; 0: never.
				   0..86400000, 60000 */
	uint32_t nb_gateways;
	struct sl_config_gateway *gateways;
};

/** "subscriptions": those that come and go while the path runs. */
struct sl_config_subscriptions {
	bool is_open;		  /**< "accept": Subscribe datagrams are obeyed; false */
	uint32_t subscribers_max; /**< Of all topics, beside those of the file; 0..1000000, 4096 */
	uint32_t ttl_max_ms;	  /**< Longest a datagram may ask for; 1000..86400000, 3600000 */
};

/** A key and the name it stands for: every name that occurs in the file. */
struct sl_config_name {
	uint64_t key;
	const char *name;
	uint32_t destination; /**< Index of the destination of this name; UINT32_MAX: none. */
	bool is_added;	      /**< Not of the file: a topic's on demand, or of who has joined. */
};

struct sl_config {
	char *path; /**< The file it came from. */
	char *node;
	uint16_t udp_port;
	uint32_t epoch; /**< Stamped on every datagram sent; >= 1 */

	uint32_t nb_ports;
	struct sl_config_port *ports;
	uint32_t nb_lcores;
	struct sl_config_lcore *lcores;

	uint32_t dedup_window_ms; /**< 1..3600000 */
	uint32_t dedup_capacity;  /**< Messages, of all workers together; 1024..2^27 */

	uint32_t nb_classes; /**< At least 1, sorted by level. */
	struct sl_config_class classes[SL_CONFIG_CLASSES_MAX];
	uint32_t nb_destinations;
	struct sl_config_destination *destinations;
	uint32_t nb_rules;
	struct sl_config_rule *rules;
	uint32_t nb_neighbours;
	struct sl_config_neighbour *neighbours;

	uint32_t nb_mbufs; /**< "mbufs"; 0: chosen from queues and descriptors. */
	uint32_t drain_timeout_ms;
	enum sl_config_tristate nap; /**< "idle: {nap: auto|on|off, ...}" */
	uint32_t nap_us;	     /**< One nap of an idle lcore; 1..1000 */
	uint32_t ring_size; /**< "rings: {size}" Messages between two lcores, a power of 2. */

	uint32_t arp_reachable_ms;
	uint32_t arp_retry_ms;
	uint32_t arp_retry_max_ms;
	uint32_t arp_max_tries; /**< "arp" holds for neighbour discovery, too. */

	struct sl_config_health health; /**< What destinations that say nothing have. */
	struct sl_config_log log;
	struct sl_config_events events;
	struct sl_config_control control;
	struct sl_config_http http;
	struct sl_config_limits limits;
	struct sl_config_journal journal;
	struct sl_config_publishers publishers;
	uint32_t nb_sinks;
	struct sl_config_sink *sinks; /**< Need "journal". */
	struct sl_config_gateways gateways;
	struct sl_config_subscriptions subscriptions;

	void *storage; /**< What the strings and arrays live in; private to the reader. */
};

/**
 * Read and check a configuration file.
 *
 * @param path          the file
 * @param[out] config   set on success; free with sl_config_free()
 * @param[out] error    on failure one line without a newline: "FILE:LINE: KEY.PATH: what is wrong;
 *                      what would be right", without KEY.PATH or LINE where the file as a whole is
 *                      meant; always terminated
 * @param error_len     size of @p error
 * @return 0; -ENOENT, -EACCES, ... when the file cannot be read; -EINVAL when it is wrong; -ENOMEM
 */
int sl_config_load(const char *path, struct sl_config **config, char *error, size_t error_len);

/** The same for a file already in memory; @p path is only named in errors. */
int sl_config_parse(const char *path, const char *text, size_t text_len, struct sl_config **config,
	char *error, size_t error_len);

/**
 * Write the reference of all keys, as tables in Markdown: what docs/configuration.md has.
 * @return 0, or -EIO when @p out does not take it
 */
int sl_config_write_reference(FILE *out);

/** @name Changes of a running configuration. @{ */

enum sl_config_op { SL_CONFIG_ADD, SL_CONFIG_SET, SL_CONFIG_DEL };
enum sl_config_object {
	SL_CONFIG_DESTINATION,
	SL_CONFIG_BACKEND,
	SL_CONFIG_CLASS, /**< Only set. */
	SL_CONFIG_RULE,	 /**< Not set. */
};

/** A key of the file and what would stand behind it there: "weight", "3". */
struct sl_config_setting {
	const char *key;
	const char *value;
};

/** One change. */
struct sl_config_edit {
	enum sl_config_op op;
	enum sl_config_object object;
	const char *destination; /**< Name; of destinations and backends. */
	const char *backend;	 /**< Name. */
	uint32_t number;	 /**< Class: its level. Rule: its place, from 1; added: 0 = last. */
	uint32_t nb_settings;
	const struct sl_config_setting *settings;
};

/**
 * Make a configuration that is @p base with @p edits made to it in turn, checked as a file is.
 * @p base stays as it is and is not referred to.
 * @return as sl_config_parse(); -ENOENT when an object is not there, -EEXIST when it is; the error
 *         names the edit's object and key instead of a line
 */
int sl_config_edit(const struct sl_config *base, const struct sl_config_edit *edits,
	uint32_t nb_edits, struct sl_config **config, char *error, size_t error_len);

/**
 * Write a configuration as a file that sl_config_load() makes an equal one of.
 * @return 0, -ENOMEM, or -EIO when @p out does not take it
 */
int sl_config_write(const struct sl_config *config, FILE *out);

/** One difference between two configurations. */
struct sl_config_change {
	const char *path;   /**< "destinations.table1.backends.kitchen1.weight" */
	const char *before; /**< NULL: it was not there. */
	const char *after;  /**< NULL: it is not there any more. */
	bool needs_restart; /**< The running path cannot take it over. */
};

typedef void (*sl_config_change_t)(void *arg, const struct sl_config_change *change);

/**
 * Tell the differences, in the order of the file. Destinations and backends are told apart by name,
 * rules by their place; of one that is added or removed only itself is told, with "" for a value.
 * @return their number, or -ENOMEM
 */
int sl_config_diff(const struct sl_config *before, const struct sl_config *after,
	sl_config_change_t change, void *arg);
/** @} */

/** @name What stands beside a file's destinations while the path runs. @{ */

/** A backend of a destination. */
struct sl_config_member {
	const char *name;
	struct sl_ip address;
	uint16_t port;
	enum sl_config_admin_state state;
	bool is_durable;
};

/** The members of a destination; or one that the file does not have, then it is a topic. */
struct sl_config_group {
	const char *destination;
	enum sl_config_guarantee guarantee; /**< Of a topic. */
	uint32_t nb_members;
	const struct sl_config_member *members; /**< With names of their own, also beside the
						   file's backends, and with a route. */
};

/**
 * Make the configuration that runs: @p file with groups, each of another destination. Destinations
 * of the file keep their index, as do their backends; topics come behind them, and members behind
 * the backends, both in the order given. Costs time in O(destinations + backends).
 * @param[out] config  refers to @p file, which has to outlive it
 * @return 0 or -ENOMEM
 */
int sl_config_overlay(const struct sl_config *file, const struct sl_config_group *groups,
	uint32_t nb_groups, struct sl_config **config);

/**
 * The port that a backend is reached through, and its next hop: into @p backend.
 * @return NULL; or what is wrong with its address, to be read behind "ADDRESS is"
 */
const char *sl_config_route(const struct sl_config *config, struct sl_config_backend *backend);

/** May a destination or backend be called so: 1 to SL_CONFIG_NAME_MAX bytes of printable UTF-8? */
bool sl_config_is_name(const char *text);
/** @} */

/** Free a configuration; NULL is fine. */
void sl_config_free(struct sl_config *config);

/**
 * Every name in the configuration with its key, sorted by key, so that statistics can show names.
 * @return a name or NULL when no configured name has this key
 */
const char *sl_config_name_of(const struct sl_config *config, uint64_t key);

/** The address of a gateways' thread: the neighbour at the other end of its port's link. */
struct sl_ip sl_config_gateway_address(uint32_t thread);

/** @return the index of the destination of this name, UINT32_MAX: there is none */
uint32_t sl_config_find_destination(const struct sl_config *config, const char *name);

/** All of them. @return their number */
uint32_t sl_config_names(const struct sl_config *config, const struct sl_config_name **names);

#endif /* SL_CONFIG_H */
