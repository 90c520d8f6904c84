/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "options.h"

enum option_id {
	OPT_HELP,
	OPT_TX,
	OPT_RX,
	OPT_PCAP,
	OPT_SRC_IP,
	OPT_DST_IP,
	OPT_SRC_PORT,
	OPT_DST_PORT,
	OPT_DST_MAC,
	OPT_TX_MAC,
	OPT_RX_MAC,
	OPT_SINK_NET,
	OPT_SOURCES,
	OPT_SOURCE_NAME,
	OPT_SOURCE_FIRST,
	OPT_DESTINATIONS,
	OPT_DESTINATION_NAME,
	OPT_DESTINATION_FIRST,
	OPT_TYPES,
	OPT_TYPE_NAME,
	OPT_TYPE_FIRST,
	OPT_CLASSES,
	OPT_SIZE,
	OPT_DUPLICATES,
	OPT_DUPLICATE_DISTANCE,
	OPT_SECOND_FEED,
	OPT_BATCH,
	OPT_MTU,
	OPT_UDP_CHECKSUM,
	OPT_ACKED,
	OPT_ACK_DELAY_US,
	OPT_RATE,
	OPT_COUNT,
	OPT_SECONDS,
	OPT_SEED,
	OPT_BURST,
	OPT_DESCRIPTORS,
	OPT_DRAIN_MS,
	OPT_DRAIN_MAX_MS,
	OPT_WAIT_MS,
	OPT_NAP_US,
	OPT_WINDOW,
	OPT_VERIFY,
	OPT_ALLOW_LOSS,
	OPT_PER_DESTINATION,
	OPT_PROGRESS,
	OPT_JSON,
	OPT_TX_LCORE,
	OPT_RX_LCORE,
	OPT_NB,
};

/* Name, argument as the help shows it, and what it is. */
static const struct {
	const char *name;
	const char *argument; /* NULL: takes none */
	const char *help;
} descriptions[OPT_NB] = {
	[OPT_HELP] = {"help", NULL, "print this and exit"},
	[OPT_TX] = {"tx", "PORT", "port to send from, a name or a number; without it: sink only"},
	[OPT_RX] = {"rx", "PORT", "port where deliveries arrive; without it: generator only"},
	[OPT_PCAP] = {"pcap", "FILE", "write the traffic to a file instead of sending it"},
	[OPT_SRC_IP] = {"src-ip", "ADDRESS", "what the messages come from (198.18.0.2)"},
	[OPT_DST_IP] = {"dst-ip", "ADDRESS", "the appliance, on the --tx side (198.18.0.1)"},
	[OPT_SRC_PORT] = {"src-port", "PORT",
		"UDP port of the first feed; the second has the next (10000)"},
	[OPT_DST_PORT] = {"dst-port", "PORT", "UDP port of the appliance (7500)"},
	[OPT_DST_MAC] = {"dst-mac", "MAC", "link-layer address of the appliance (asked by ARP)"},
	[OPT_TX_MAC] = {"tx-mac", "MAC", "own address on the --tx port (the port's)"},
	[OPT_RX_MAC] = {"rx-mac", "MAC", "own address on the --rx port (the port's)"},
	[OPT_SINK_NET] = {"sink-net", "CIDR",
		"the backends: the sink answers ARP for all of them (198.18.0.0/15)"},
	[OPT_SOURCES] = {"sources", "N", "number of sources (4)"},
	[OPT_SOURCE_NAME] = {"source-name", "PATTERN", "their names (server%u)"},
	[OPT_SOURCE_FIRST] = {"source-first", "N", "number of the first (1)"},
	[OPT_DESTINATIONS] = {"destinations", "N", "number of destinations (4)"},
	[OPT_DESTINATION_NAME] = {"destination-name", "PATTERN", "their names (table%u)"},
	[OPT_DESTINATION_FIRST] = {"destination-first", "N", "number of the first (1)"},
	[OPT_TYPES] = {"type-count", "N", "number of message types (3)"},
	[OPT_TYPE_NAME] = {"type-name", "PATTERN", "their names (type%u)"},
	[OPT_TYPE_FIRST] = {"type-first", "N", "number of the first (1)"},
	[OPT_CLASSES] = {"classes", "LEVEL[:WEIGHT],...", "priority classes (1:20,2:30,3:50)"},
	[OPT_SIZE] = {"size", "BYTES[-BYTES][:WEIGHT],...", "payload (128)"},
	[OPT_DUPLICATES] = {"duplicates", "PERCENT", "share of messages sent again later (0)"},
	[OPT_DUPLICATE_DISTANCE] = {"duplicate-distance", "N",
		"... when 1 to N further messages have been sent (1000)"},
	[OPT_SECOND_FEED] = {"second-feed", "PERCENT",
		"share of messages sent by a second feed as well (0)"},
	[OPT_BATCH] = {"batch", "N", "messages in a datagram, as the MTU allows (1)"},
	[OPT_MTU] = {"mtu", "BYTES", "longest IP packet (1500)"},
	[OPT_UDP_CHECKSUM] = {"udp-checksum", "on|off", "send UDP checksums (on)"},
	[OPT_ACKED] = {"acked", "N",
		"in a session, until each is acknowledged; N in flight, a power of 2 (no session)"},
	[OPT_ACK_DELAY_US] = {"ack-delay-us", "N",
		"between two acks of a backend's session, but 16 messages do not wait, nor does "
		"the first after a pause (5000)"},
	[OPT_RATE] = {"rate", "N", "messages a second, copies not counted; 0: flat out (0)"},
	[OPT_COUNT] = {"count", "N", "messages to send, copies not counted (no end)"},
	[OPT_SECONDS] = {"seconds", "N", "how long to send (no end)"},
	[OPT_SEED] = {"seed", "N", "same seed, same traffic (1)"},
	[OPT_BURST] = {"burst", "N", "frames a turn (32)"},
	[OPT_DESCRIPTORS] = {"descriptors", "N", "ring size of a port's queue (1024)"},
	[OPT_DRAIN_MS] = {"drain-ms", "N",
		"after the last message: end when nothing arrived for so long (1000), or ten "
		"times so long while messages are missing that may not be lost"},
	[OPT_DRAIN_MAX_MS] = {"drain-max-ms", "N", "... and after so long in any case (60000)"},
	[OPT_WAIT_MS] = {"wait-ms", "N", "how long to wait for link and neighbour (10000)"},
	[OPT_NAP_US] = {"nap-us", "N", "sleep when there is nothing to do; 0: spin (0)"},
	[OPT_WINDOW] = {"window", "N", "messages the ledger looks back on (134217728)"},
	[OPT_VERIFY] = {"verify", "full|fields|none",
		"every byte; without payload bytes and UDP checksum; count only (full)"},
	[OPT_ALLOW_LOSS] = {"allow-loss", NULL, "lost messages are no error"},
	[OPT_PER_DESTINATION] = {"per-destination", NULL, "report each destination"},
	[OPT_PROGRESS] = {"progress", "SECONDS", "a line on standard error so often (0: never)"},
	[OPT_JSON] = {"json", "[FILE]", "the report as JSON, to a file or in place of the text"},
	[OPT_TX_LCORE] = {"tx-lcore", "N", "lcore that sends (the main one)"},
	[OPT_RX_LCORE] = {"rx-lcore", "N", "lcore that receives (the main one)"},
};

void
options_print_help(FILE *out)
{
	char name[64];

	fprintf(out,
		"usage: sluice-gen EAL-ARGS -- [--tx PORT] [--rx PORT] [OPTIONS]\n"
		"       sluice-gen -- --pcap FILE --count N --dst-mac MAC [OPTIONS]\n\n"
		"Sends Sluice messages and checks what is delivered.\n"
		"Exits 0 when the ledger is clean, 2 when it is not, 1 when nothing could be "
		"run.\n\n");
	for (unsigned int i = 0; i < OPT_NB; i++) {
		snprintf(name, sizeof(name), "--%s %s", descriptions[i].name,
			descriptions[i].argument == NULL ? "" : descriptions[i].argument);
		fprintf(out, "  %-34s %s\n", name, descriptions[i].help);
	}
}

static void
set_names(struct traffic_names *names, const char *pattern, uint32_t nb)
{
	snprintf(names->pattern, sizeof(names->pattern), "%s", pattern);
	names->first = 1;
	names->nb = nb;
}

static void
set_defaults(struct options *o)
{
	static const struct rte_ether_addr default_mac = {
		.addr_bytes = {0x02, 0x53, 0x4c, 0, 0, 0},
	};

	memset(o, 0, sizeof(*o));
	options_parse_address("198.18.0.2", &o->packer.src_ip);
	options_parse_address("198.18.0.1", &o->packer.dst_ip);
	options_parse_network("198.18.0.0/15", &o->sink_net, &o->sink_mask);
	o->packer.src_mac = default_mac;
	o->packer.src_port = 10000;
	o->packer.dst_port = SL_WIRE_PORT;
	o->packer.mtu = RTE_ETHER_MTU;
	o->packer.batch = 1;
	o->ack_delay_us = 5000;
	o->packer.has_udp_checksum = true;
	o->traffic.seed = 1;
	set_names(&o->traffic.sources, "server%u", 4);
	set_names(&o->traffic.destinations, "table%u", 4);
	set_names(&o->traffic.types, "type%u", 3);
	options_parse_classes("1:20,2:30,3:50", &o->traffic);
	options_parse_sizes("128", &o->traffic);
	o->traffic.distance = 1000;
	o->count = UINT64_MAX;
	o->burst = 32;
	o->descriptors = 1024;
	o->drain_ms = 1000;
	o->drain_max_ms = 60000;
	o->wait_ms = 10000;
	o->window = UINT64_C(1) << 27;
	o->tx_lcore = OPTIONS_NO_LCORE;
	o->rx_lcore = OPTIONS_NO_LCORE;
}

static int
set_pattern(struct traffic_names *names, const char *text)
{
	if (!traffic_is_pattern(text) || strlen(text) > TRAFFIC_NAME_MAX)
		return -EINVAL;
	memcpy(names->pattern, text, strlen(text) + 1);
	return 0;
}

static int
set_mac(const char *text, struct rte_ether_addr *mac, bool *has)
{
	if (rte_ether_unformat_addr(text, mac) != 0 || !rte_is_valid_assigned_ether_addr(mac))
		return -EINVAL;
	*has = true;
	return 0;
}

static int
set_verify(const char *text, enum options_verify *verify)
{
	static const char *const words[] = {
		[OPTIONS_VERIFY_FULL] = "full",
		[OPTIONS_VERIFY_FIELDS] = "fields",
		[OPTIONS_VERIFY_NONE] = "none",
	};

	for (unsigned int i = 0; i < RTE_DIM(words); i++) {
		if (strcmp(text, words[i]) == 0) {
			*verify = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int
set_on_off(const char *text, bool *on)
{
	*on = strcmp(text, "on") == 0;
	return *on || strcmp(text, "off") == 0 ? 0 : -EINVAL;
}

/* The options whose value is a plain number. */
static const struct {
	uint64_t min;
	uint64_t max;
	size_t offset; /* In struct options. */
	size_t size;   /* Of the field; 0: not a number. */
} numbers[OPT_NB] = {
#define NUMBER(field, lowest, highest)                                                             \
	{                                                                                          \
		.min = (lowest), .max = (highest), .offset = offsetof(struct options, field),      \
		.size = sizeof(((struct options *)0)->field),                                      \
	}
	[OPT_SRC_PORT] = NUMBER(packer.src_port, 1, UINT16_MAX - 1),
	[OPT_DST_PORT] = NUMBER(packer.dst_port, 1, UINT16_MAX),
	[OPT_SOURCES] = NUMBER(traffic.sources.nb, 1, TRAFFIC_NAMES_MAX),
	[OPT_SOURCE_FIRST] = NUMBER(traffic.sources.first, 0, UINT32_MAX / 2),
	[OPT_DESTINATIONS] = NUMBER(traffic.destinations.nb, 1, TRAFFIC_NAMES_MAX),
	[OPT_DESTINATION_FIRST] = NUMBER(traffic.destinations.first, 0, UINT32_MAX / 2),
	[OPT_TYPES] = NUMBER(traffic.types.nb, 1, TRAFFIC_TYPES_MAX),
	[OPT_TYPE_FIRST] = NUMBER(traffic.types.first, 0, UINT32_MAX / 2),
	[OPT_DUPLICATE_DISTANCE] = NUMBER(traffic.distance, 1, TRAFFIC_DISTANCE_MAX),
	[OPT_BATCH] = NUMBER(packer.batch, 1, SL_WIRE_MESSAGES_MAX),
	[OPT_MTU] = NUMBER(packer.mtu, OPTIONS_MTU_MIN, OPTIONS_MTU_MAX),
	[OPT_ACKED] = NUMBER(acked_window, 16, SL_SESSION_WINDOW_MAX),
	[OPT_ACK_DELAY_US] = NUMBER(ack_delay_us, 0, 25000),
	[OPT_RATE] = NUMBER(rate_msgs_per_s, 0, UINT64_C(1000000000)),
	[OPT_COUNT] = NUMBER(count, 1, UINT64_MAX - 1),
	[OPT_SECONDS] = NUMBER(seconds, 1, 10000000),
	[OPT_SEED] = NUMBER(traffic.seed, 0, UINT64_MAX),
	[OPT_BURST] = NUMBER(burst, 1, OPTIONS_BURST_MAX),
	[OPT_DESCRIPTORS] = NUMBER(descriptors, 64, 32768),
	[OPT_DRAIN_MS] = NUMBER(drain_ms, 0, 3600000),
	[OPT_DRAIN_MAX_MS] = NUMBER(drain_max_ms, 0, 3600000),
	[OPT_WAIT_MS] = NUMBER(wait_ms, 0, 3600000),
	[OPT_NAP_US] = NUMBER(nap_us, 0, 100000),
	[OPT_WINDOW] = NUMBER(window, 64, UINT64_C(1) << 36),
	[OPT_PROGRESS] = NUMBER(progress_s, 0, 3600),
	[OPT_TX_LCORE] = NUMBER(tx_lcore, 0, RTE_MAX_LCORE - 1),
	[OPT_RX_LCORE] = NUMBER(rx_lcore, 0, RTE_MAX_LCORE - 1),
#undef NUMBER
};

static int
set_number(struct options *o, enum option_id id, const char *text)
{
	uint8_t *field = (uint8_t *)o + numbers[id].offset;
	uint64_t value;

	if (options_parse_number(text, numbers[id].min, numbers[id].max, &value) < 0)
		return -EINVAL;
	if (numbers[id].size == sizeof(uint64_t))
		*(uint64_t *)field = value;
	else if (numbers[id].size == sizeof(uint32_t))
		*(uint32_t *)field = (uint32_t)value;
	else
		*(uint16_t *)field = (uint16_t)value;
	return 0;
}

static int
set_option(struct options *o, enum option_id id, const char *text)
{
	if (numbers[id].size != 0)
		return set_number(o, id, text);
	switch (id) {
	case OPT_HELP:
		o->is_help = true;
		return 0;
	case OPT_TX:
		o->tx = text;
		return 0;
	case OPT_RX:
		o->rx = text;
		return 0;
	case OPT_PCAP:
		o->pcap_path = text;
		return 0;
	case OPT_SRC_IP:
		return options_parse_address(text, &o->packer.src_ip);
	case OPT_DST_IP:
		return options_parse_address(text, &o->packer.dst_ip);
	case OPT_DST_MAC:
		return set_mac(text, &o->packer.dst_mac, &o->has_dst_mac);
	case OPT_TX_MAC:
		return set_mac(text, &o->packer.src_mac, &o->has_tx_mac);
	case OPT_RX_MAC:
		return set_mac(text, &o->rx_mac, &o->has_rx_mac);
	case OPT_SINK_NET:
		return options_parse_network(text, &o->sink_net, &o->sink_mask);
	case OPT_SOURCE_NAME:
		return set_pattern(&o->traffic.sources, text);
	case OPT_DESTINATION_NAME:
		return set_pattern(&o->traffic.destinations, text);
	case OPT_TYPE_NAME:
		return set_pattern(&o->traffic.types, text);
	case OPT_CLASSES:
		return options_parse_classes(text, &o->traffic);
	case OPT_SIZE:
		return options_parse_sizes(text, &o->traffic);
	case OPT_DUPLICATES:
		return options_parse_share(text, &o->traffic.retransmitted_share);
	case OPT_SECOND_FEED:
		return options_parse_share(text, &o->traffic.second_feed_share);
	case OPT_UDP_CHECKSUM:
		return set_on_off(text, &o->packer.has_udp_checksum);
	case OPT_VERIFY:
		return set_verify(text, &o->verify);
	case OPT_ALLOW_LOSS:
		o->is_loss_allowed = true;
		return 0;
	case OPT_PER_DESTINATION:
		o->has_destinations_report = true;
		return 0;
	case OPT_JSON:
		o->is_json = true;
		o->json_path = text;
		return 0;
	default:
		return -EINVAL;
	}
}

/* What is right by itself, but not together. */
static const char *
find_conflict(const struct options *o)
{
	if (o->pcap_path != NULL) {
		if (o->tx != NULL || o->rx != NULL)
			return "--pcap writes a file and takes neither --tx nor --rx";
		if (o->count == UINT64_MAX)
			return "--pcap needs --count, which says how much to write";
		if (!o->has_dst_mac)
			return "--pcap needs --dst-mac, as there is no port to ask for it by ARP";
		return NULL;
	}
	if ((o->acked_window & (o->acked_window - 1)) != 0)
		return "--acked: must be a power of 2";
	if (o->acked_window != 0 &&
		(o->traffic.retransmitted_share > 0 || o->traffic.second_feed_share > 0))
		return "--acked sends again what is missing, and takes neither --duplicates nor "
		       "--second-feed";
	if (o->acked_window != 0 && o->tx != NULL && o->rx != NULL && strcmp(o->tx, o->rx) == 0)
		return "--acked needs a port of its own for the acks: --tx and --rx are the same";
	if (o->tx == NULL && o->rx == NULL)
		return "neither --tx nor --rx names a port; --help lists all options";
	if (o->tx == NULL && (o->rate_msgs_per_s != 0 || o->has_dst_mac))
		return "--rate and --dst-mac belong to a generator, which needs --tx";
	return NULL;
}

static int
set_option_or_explain(
	struct options *o, unsigned int id, const char *text, char *error, size_t error_len)
{
	if (set_option(o, id, text) == 0)
		return 0;
	if (numbers[id].size != 0)
		snprintf(error, error_len, "--%s %s: must be a number from %llu to %llu",
			descriptions[id].name, text, (unsigned long long)numbers[id].min,
			(unsigned long long)numbers[id].max);
	else
		snprintf(error, error_len, "--%s %s: must be %s", descriptions[id].name, text,
			descriptions[id].argument);
	return -EINVAL;
}

int
options_parse(struct options *o, int argc, char **argv, char *error, size_t error_len)
{
	struct option longs[OPT_NB + 1] = {0};
	const char *conflict;
	const char *text;
	int id;

	set_defaults(o);
	for (unsigned int i = 0; i < OPT_NB; i++) {
		longs[i].name = descriptions[i].name;
		longs[i].has_arg = descriptions[i].argument == NULL ? no_argument
			: i == OPT_JSON				    ? optional_argument
								    : required_argument;
		longs[i].val = (int)i;
	}
	optind = 0; /* glibc: start afresh, whoever used getopt() before. */
	opterr = 0;
	while ((id = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		if (id == '?' || id == ':') {
			snprintf(error, error_len,
				"%s: unknown, ambiguous or without its value; "
				"--help lists all options",
				argv[optind - 1]);
			return -EINVAL;
		}
		text = optarg;
		/* "--json FILE" as well as "--json=FILE". */
		if (id == OPT_JSON && text == NULL && optind < argc && argv[optind][0] != '-')
			text = argv[optind++];
		if (set_option_or_explain(o, (unsigned int)id, text, error, error_len) < 0)
			return -EINVAL;
	}
	if (o->is_help)
		return 0;
	if (optind < argc) {
		snprintf(error, error_len, "%s: not an option; --help lists them", argv[optind]);
		return -EINVAL;
	}
	o->traffic.flags = o->acked_window != 0 ? SL_WIRE_FLAG_ACK : 0;
	conflict = find_conflict(o);
	if (conflict != NULL)
		snprintf(error, error_len, "%s", conflict);
	return conflict == NULL ? 0 : -EINVAL;
}
