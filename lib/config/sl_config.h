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

#include <rte_byteorder.h>
#include <rte_ether.h>

#define SL_CONFIG_NAME_MAX	   63 /**< Bytes in a name. */
#define SL_CONFIG_PORTS_MAX	   32
#define SL_CONFIG_CLASSES_MAX	   8
#define SL_CONFIG_DESTINATIONS_MAX 1000000
#define SL_CONFIG_BACKENDS_MAX	   256 /**< Of one destination. */
#define SL_CONFIG_RULES_MAX	   256
#define SL_CONFIG_PARTITIONS_MAX   64
#define SL_CONFIG_NEIGHBOURS_MAX   65536

/** Roles of an lcore, as bits. */
#define SL_ROLE_RX     0x1
#define SL_ROLE_WORKER 0x2

enum sl_config_policy {
	SL_CONFIG_ROUND_ROBIN,
	SL_CONFIG_WEIGHTED_ROUND_ROBIN,
};

enum sl_config_tristate {
	SL_CONFIG_AUTO,
	SL_CONFIG_OFF,
	SL_CONFIG_ON,
};

struct sl_config_port {
	char *name;
	char *device; /**< Name of the ethdev, or its PCI address. */
	rte_be32_t address;
	uint8_t prefix_len;	 /**< 0..32 */
	rte_be32_t gateway;	 /**< 0: none */
	uint16_t vlan;		 /**< 802.1Q VLAN, 0: untagged */
	uint16_t mtu;		 /**< Of the IP packet, 576..9000 */
	uint16_t rx_descriptors; /**< A queue; 64..32768 */
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

struct sl_config_backend {
	char *name;
	rte_be32_t address;
	uint16_t port;
	uint32_t weight;	  /**< 1..65535 */
	uint64_t rate_msgs_per_s; /**< 0: no limit */
	uint32_t port_index;	  /**< The port it is reached through, an index into ports. */
	rte_be32_t next_hop;	  /**< Its own address when on the port's subnet, or the gateway. */
};

struct sl_config_destination {
	char *name;
	uint64_t key;
	uint32_t class_boost;	  /**< 0..7 classes better than asked for */
	uint32_t default_class;	  /**< Level, for messages with priority 0; a configured one. */
	uint32_t queue_capacity;  /**< Messages, 1..2^24 */
	uint64_t rate_msgs_per_s; /**< 0: no limit */
	uint32_t burst_msgs;	  /**< Depth of the token bucket, of the backends' too; >= 1 */
	enum sl_config_policy policy;
	uint32_t partitions; /**< 1..SL_CONFIG_PARTITIONS_MAX */
	uint32_t nb_backends;
	struct sl_config_backend *backends;
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
	rte_be32_t address;
	struct rte_ether_addr mac;
};

/** A key and the name it stands for: every name that occurs in the file. */
struct sl_config_name {
	uint64_t key;
	const char *name;
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
	uint32_t arp_max_tries;

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

/** Free a configuration; NULL is fine. */
void sl_config_free(struct sl_config *config);

/**
 * Every name in the configuration with its key, sorted by key, so that statistics can show names.
 * @return a name or NULL when no configured name has this key
 */
const char *sl_config_name_of(const struct sl_config *config, uint64_t key);

#endif /* SL_CONFIG_H */
