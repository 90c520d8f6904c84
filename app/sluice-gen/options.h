/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef OPTIONS_H
#define OPTIONS_H

/**
 * @file
 * The command line of sluice-gen. Pure: nothing is opened or resolved here.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "packer.h"
#include "traffic.h"

#define OPTIONS_BURST_MAX 256
#define OPTIONS_MTU_MIN	  576
#define OPTIONS_MTU_MAX	  9000
#define OPTIONS_NO_LCORE  UINT32_MAX

/** How closely the sink looks at a message. */
enum options_verify {
	OPTIONS_VERIFY_FULL,   /**< Every byte, and the checksums. */
	OPTIONS_VERIFY_FIELDS, /**< All but the payload's bytes and the UDP checksum. */
	OPTIONS_VERIFY_NONE,   /**< Messages are counted, there is no ledger. */
};

struct options {
	bool is_help;
	const char *tx; /**< Port to send from; NULL: sink only. */
	const char *rx; /**< Port where deliveries arrive; NULL: generator only. */
	const char *pcap_path;
	struct packer_params packer; /**< src_mac and dst_mac valid as the flags below say. */
	bool has_tx_mac;
	bool has_rx_mac;
	bool has_dst_mac;
	struct rte_ether_addr rx_mac;
	rte_be32_t sink_net; /**< The addresses the sink answers for ... */
	rte_be32_t sink_mask;
	struct traffic_params traffic;

	uint32_t acked_window;	  /**< Messages in flight in a session; 0: at most once. */
	uint32_t ack_delay_us;	  /**< Of the sink's acks: between two of a session. */
	uint64_t rate_msgs_per_s; /**< Originals; 0: as fast as possible. */
	uint64_t count;		  /**< Originals; UINT64_MAX: no end. */
	uint32_t seconds;	  /**< 0: no end. */
	uint16_t burst;		  /**< Frames a turn. */
	uint16_t descriptors;	  /**< A queue. */
	uint32_t drain_ms;
	uint32_t drain_max_ms;
	uint32_t wait_ms; /**< For the link and for the neighbour. */
	uint32_t nap_us;  /**< When a turn moved nothing; 0: never. */
	uint64_t window;  /**< Of the ledger, in messages. */
	enum options_verify verify;
	bool is_loss_allowed;
	bool has_destinations_report;
	uint32_t progress_s; /**< 0: no progress lines. */
	bool is_json;
	const char *json_path; /**< NULL: standard output, in place of the text. */
	uint32_t tx_lcore;     /**< OPTIONS_NO_LCORE: the main one. */
	uint32_t rx_lcore;
};

/**
 * Read the command line.
 * @param argc, argv  argv[0] is skipped; the strings must outlive @p options; may be reordered
 * @param error       room for the reason in one line, option and remedy named
 * @return 0 or -EINVAL
 */
int options_parse(struct options *options, int argc, char **argv, char *error, size_t error_len);

void options_print_help(FILE *out);

/*
 * What options_parse() is made of: each reads one value. 0 or -EINVAL.
 */
int options_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value);
int options_parse_share(const char *text, double *share);
int options_parse_address(const char *text, rte_be32_t *address);
int options_parse_network(const char *text, rte_be32_t *address, rte_be32_t *mask);
int options_parse_classes(const char *text, struct traffic_params *params);
int options_parse_sizes(const char *text, struct traffic_params *params);

#endif /* OPTIONS_H */
