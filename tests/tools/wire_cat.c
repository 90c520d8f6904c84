/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * What the parsers and the builders say, for a test in another language to compare with what a
 * stock library says. Reads commands, one a line, and answers each with one line of JSON:
 *
 *   datagram HEX                     both parsers on a UDP payload
 *   build EPOCH SESSION [MESSAGE]... the builder; MESSAGE is nine numbers and a payload in hex,
 *                                    with commas between them, in the order of the fields
 *   key HEX                          the key of a name, given by its bytes
 *   frame VLAN MAC IP IP6 PORT HEX   the header checks on a frame; the echo reply if any; what
 *                                    neighbour discovery or an echo reply in it says
 *   flow SRC DST SPORT DPORT TTL SUM HEX   headers for a payload, with its checksum if SUM is 1
 *   arp VLAN HEX                     an ARP packet, and the frame built from it
 *   nd VLAN FLAGS SRC DST TARGET MAC the frame of a neighbour discovery message; FLAGS: 1
 *                                    solicitation, 2 router, 4 solicited, 8 override
 *   echo VLAN SRC DST ID SEQUENCE HEX  the frame of an echo request
 *   report VLAN GROUP                the frame that reports a group
 *
 * Addresses are in hex as they stand on the wire, ports and other numbers in decimal.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_arp.h"
#include "sl_icmp.h"
#include "sl_nd.h"
#include "sl_net.h"
#include "sl_wire.h"

#define ARENA_LEN (16u << 20)

struct bytes {
	size_t len;
	uint8_t *data; /* an exact heap block */
};

static char *cursor; /* Of the line in hand. */

static const char *
next_word(const char *delimiters)
{
	const char *word = strtok_r(NULL, delimiters, &cursor);

	if (word == NULL) {
		fprintf(stderr, "wire_cat: a command with too few words\n");
		exit(EXIT_FAILURE);
	}
	return word;
}

static uint64_t
next_number(const char *delimiters)
{
	return strtoull(next_word(delimiters), NULL, 10);
}

static unsigned int
nibble(char c)
{
	const char *digits = "0123456789abcdef", *at = strchr(digits, c);

	if (c == '\0' || at == NULL) {
		fprintf(stderr, "wire_cat: '%c' is no hex digit\n", c);
		exit(EXIT_FAILURE);
	}
	return (unsigned int)(at - digits);
}

/* "-" stands for no bytes at all. */
static struct bytes
next_bytes(const char *delimiters)
{
	const char *hex = next_word(delimiters);
	struct bytes b = {0};

	if (strcmp(hex, "-") != 0)
		b.len = strlen(hex) / 2;
	b.data = calloc(1, b.len);
	for (size_t i = 0; i < b.len; i++)
		b.data[i] = (uint8_t)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
	return b;
}

static void
print_hex(const char *name, const uint8_t *p, size_t len)
{
	printf("\"%s\": \"", name);
	for (size_t i = 0; i < len; i++)
		printf("%02x", p[i]);
	printf("\"");
}

static void
print_message(const uint8_t *m, size_t len)
{
	const uint8_t *payload;
	struct sl_wire_key key;
	uint32_t payload_len = 0;

	sl_wire_message_key(m, &key);
	printf("{\"source\": %" PRIu64 ", \"id_high\": %" PRIu64 ", \"id_low\": %" PRIu64
	       ", \"destination\": %" PRIu64,
		key.source, key.id_high, key.id_low, key.destination);
	printf(", \"sequence\": %" PRIu64 ", \"timestamp_ns\": %" PRIu64 ", \"type\": %" PRIu64
	       ", \"priority\": %" PRIu32 ", \"flags\": %" PRIu32 ", ",
		sl_wire_get64(m + SL_WIRE_OFF_SEQUENCE), sl_wire_get64(m + SL_WIRE_OFF_TIMESTAMP),
		sl_wire_get64(m + SL_WIRE_OFF_TYPE), sl_wire_get32(m + SL_WIRE_OFF_PRIORITY),
		sl_wire_get32(m + SL_WIRE_OFF_FLAGS));
	payload = sl_wire_message_payload(m, len, &payload_len);
	print_hex("payload", payload, payload_len);
	printf(", ");
	print_hex("bytes", m, len);
	printf("}");
}

static void
print_parsed(const char *name, enum sl_wire_error rc, const uint8_t *data,
	const struct sl_wire_datagram *d)
{
	printf("\"%s\": {\"verdict\": \"%s\"", name, sl_wire_strerror(rc));
	if (rc == SL_WIRE_OK) {
		printf(", \"epoch\": %" PRIu32 ", \"session\": %" PRIu64
		       ", \"extras\": %u, \"is_single\": %s, \"messages\": [",
			d->epoch, d->session, d->extras, d->is_single ? "true" : "false");
		for (unsigned int i = 0; i < d->nb_messages; i++) {
			printf("%s", i == 0 ? "" : ", ");
			print_message(data + d->messages[i].offset, d->messages[i].len);
		}
		printf("]");
	}
	printf("}");
}

static void
do_datagram(void)
{
	static struct sl_wire_datagram d;
	static uint8_t arena[ARENA_LEN], buf[UINT16_MAX];
	struct bytes in = next_bytes(" ");
	enum sl_wire_error rc;
	size_t written;

	printf("{");
	rc = sl_wire_parse(in.data, in.len, &d);
	print_parsed("template", rc, in.data, &d);
	rc = sl_wire_parse_slow(
		in.data, in.len, arena, sizeof(arena), buf, sizeof(buf), &d, &written);
	printf(", ");
	print_parsed("slow", rc, buf, &d);
	if (rc == SL_WIRE_OK) {
		printf(", ");
		print_hex("rewritten", buf, written);
	}
	printf("}\n");
	free(in.data);
}

static void
do_build(void)
{
	static uint8_t out[2 * UINT16_MAX];
	struct sl_wire_message m = {0};
	struct bytes payload;
	uint8_t *p = out;
	uint32_t epoch = (uint32_t)next_number(" ");

	p = sl_wire_put_header(p, epoch, next_number(" "));
	while (cursor != NULL && *cursor != '\0') {
		m.key.source = next_number(" ,");
		m.key.id_high = next_number(" ,");
		m.key.id_low = next_number(" ,");
		m.key.destination = next_number(" ,");
		m.sequence = next_number(" ,");
		m.timestamp_ns = next_number(" ,");
		m.type = next_number(" ,");
		m.priority = (uint32_t)next_number(" ,");
		m.flags = (uint32_t)next_number(" ,");
		payload = next_bytes(" ,");
		m.payload = payload.data;
		m.payload_len = (uint32_t)payload.len;
		if (sl_wire_message_size(m.payload_len) > (size_t)(out + sizeof(out) - p)) {
			fprintf(stderr, "wire_cat: more than fits a datagram\n");
			exit(EXIT_FAILURE);
		}
		p = sl_wire_put_message(p, &m);
		free(payload.data);
	}
	printf("{");
	print_hex("datagram", out, (size_t)(p - out));
	printf("}\n");
}

static void
print_ack(const char *name, bool is_ack, const struct sl_wire_ack *ack)
{
	printf("\"%s\": ", name);
	if (!is_ack) {
		printf("null");
		return;
	}
	printf("{\"session\": %" PRIu64 ", \"cumulative\": %" PRIu64 ", \"highest\": %" PRIu64
	       ", \"credit_limit\": %" PRIu64 ", \"echo_timestamp_ns\": %" PRIu64
	       ", \"ack_delay_ns\": %" PRIu32 ", ",
		ack->session, ack->cumulative, ack->highest, ack->credit_limit,
		ack->echo_timestamp_ns, ack->ack_delay_ns);
	print_hex("selective", ack->selective, ack->selective_len);
	printf("}");
}

/* An ack as both parsers read it, and as it is written again, for the epoch given. */
static void
do_ack(void)
{
	static uint8_t arena[ARENA_LEN], buf[SL_WIRE_ACK_MAX];
	uint32_t epoch = (uint32_t)next_number(" ");
	struct bytes in = next_bytes(" ");
	struct sl_wire_ack ack;
	bool is_ack;

	printf("{");
	print_ack("fast", sl_wire_parse_ack_fast(in.data, in.len, &ack), &ack);
	printf(", ");
	is_ack = sl_wire_parse_ack(in.data, in.len, arena, sizeof(arena), &ack);
	print_ack("slow", is_ack, &ack);
	if (is_ack) {
		printf(", ");
		print_hex("rewritten", buf, sl_wire_put_ack(buf, epoch, &ack));
	}
	printf("}\n");
	free(in.data);
}

static void
do_key(void)
{
	struct bytes name = next_bytes(" ");
	char *text = calloc(1, name.len + 1);

	if (name.len != 0)
		memcpy(text, name.data, name.len);
	printf("{\"key\": \"%016" PRIx64 "\"}\n", sl_wire_name_key(text));
	free(text);
	free(name.data);
}

/* Four bytes are IPv4, sixteen IPv6, none no address. */
static struct sl_ip
next_ip(void)
{
	struct bytes b = next_bytes(" ");
	struct sl_ip ip = {.halves = {0, 0}};
	rte_be32_t v4;

	if (b.len == sizeof(v4)) {
		memcpy(&v4, b.data, sizeof(v4));
		ip = sl_ip_from_v4(v4);
	} else if (b.len == sizeof(ip.bytes)) {
		memcpy(ip.bytes, b.data, sizeof(ip.bytes));
	}
	free(b.data);
	return ip;
}

static struct rte_ether_addr
next_mac(void)
{
	struct bytes b = next_bytes(" ");
	struct rte_ether_addr mac = {0};

	memcpy(&mac, b.data, RTE_MIN(b.len, sizeof(mac)));
	free(b.data);
	return mac;
}

static const char *
bool_name(bool value)
{
	return value ? "true" : "false";
}

static void
print_nd(const uint8_t *packet)
{
	struct sl_nd nd;

	if (!sl_nd_parse(packet, &nd)) {
		printf(", \"nd\": null");
		return;
	}
	printf(", \"nd\": {\"is_solicitation\": %s, \"router\": %s, \"solicited\": %s, "
	       "\"override\": %s, ",
		bool_name(nd.is_solicitation), bool_name(nd.is_from_router),
		bool_name(nd.is_solicited), bool_name(nd.is_override));
	print_hex("target", nd.target.bytes, sizeof(nd.target.bytes));
	printf(", ");
	print_hex("mac", nd.mac.addr_bytes, nd.has_mac ? sizeof(nd.mac) : 0);
	printf("}");
}

static void
print_icmp(uint8_t *frame, size_t len, const struct sl_net_eth *eth,
	const struct sl_net_station *station)
{
	const uint8_t *packet = frame + eth->len;
	struct sl_icmp_echo echo;

	if (eth->type == RTE_ETHER_TYPE_IPV6 && sl_nd_is_nd(packet)) {
		print_nd(packet);
	} else if (sl_icmp_parse_reply(packet, &echo)) {
		printf(", \"echo\": {\"id\": %u, \"sequence\": %u, ", echo.id, echo.sequence);
		print_hex("data", echo.data, echo.data_len);
		printf("}");
	} else if (sl_icmp_reply(frame, len, eth->len, &station->mac)) {
		printf(", ");
		print_hex("reply", frame, len);
	}
}

static void
print_layers(const struct bytes *f, const struct sl_net_station *station, rte_be16_t port)
{
	struct sl_net_eth eth = {0};
	struct sl_net_ip ip = {0};
	struct sl_net_udp udp = {0};
	enum sl_net_error rc = sl_net_check_eth(f->data, f->len, station, &eth);
	const uint8_t *l3 = f->data + eth.len, *l4;

	if (rc == SL_NET_OK && eth.type != RTE_ETHER_TYPE_ARP)
		rc = sl_net_check_ip(l3, f->len - eth.len, eth.type, station, 0, &ip);
	l4 = l3 + ip.header_len;
	if (rc == SL_NET_OK && ip.proto == IPPROTO_UDP)
		rc = sl_net_check_udp(l4, ip.payload_len, l3, port, 0, &udp);
	printf("{\"verdict\": \"%s\", \"type\": %u, \"proto\": %u", sl_net_strerror(rc), eth.type,
		ip.proto);
	if (rc == SL_NET_OK && ip.proto == IPPROTO_UDP) {
		printf(", ");
		print_hex("payload", l4 + sizeof(struct rte_udp_hdr), udp.payload_len);
	} else if (rc == SL_NET_OK && ip.proto != 0) {
		print_icmp(f->data, f->len, &eth, station);
	}
	printf("}\n");
}

static void
do_frame(void)
{
	struct sl_net_station station = {.vlan = (uint16_t)next_number(" ")};
	struct sl_ip ip;
	struct bytes frame;
	rte_be16_t port;

	station.mac = next_mac();
	ip = next_ip();
	station.address = sl_ip_v4(&ip);
	station.address6 = next_ip();
	port = rte_cpu_to_be_16((uint16_t)next_number(" "));
	frame = next_bytes(" ");
	print_layers(&frame, &station, port);
	free(frame.data);
}

static void
do_flow(void)
{
	struct sl_ip src = next_ip(), dst = next_ip();
	rte_be16_t sport = rte_cpu_to_be_16((uint16_t)next_number(" "));
	rte_be16_t dport = rte_cpu_to_be_16((uint16_t)next_number(" "));
	uint8_t ttl = (uint8_t)next_number(" ");
	bool has_sum = next_number(" ") != 0;
	struct bytes payload = next_bytes(" ");
	uint8_t headers[SL_NET_HEADERS_MAX];
	struct sl_net_flow flow;
	uint16_t sum = sl_net_sum(payload.data, payload.len);

	sl_net_flow_init(&flow, &src, &dst, sport, dport, ttl);
	sl_net_flow_write(&flow, headers, (uint16_t)payload.len, has_sum ? &sum : NULL);
	printf("{");
	print_hex("headers", headers, flow.headers_len);
	printf("}\n");
	free(payload.data);
}

/* The frames of the other commands come from this station. */
static const struct rte_ether_addr own_mac = {{2, 0, 0, 0, 0, 1}};

static void
print_frame(const uint8_t *frame, size_t len)
{
	printf("{");
	print_hex("frame", frame, len);
	printf("}\n");
}

static void
do_nd(void)
{
	uint8_t frame[SL_ND_FRAME_MAX] __attribute__((aligned(2)));
	uint16_t vlan = (uint16_t)next_number(" ");
	unsigned int flags = (unsigned int)next_number(" ");
	struct sl_nd nd = {
		.is_solicitation = (flags & 1) != 0,
		.is_from_router = (flags & 2) != 0,
		.is_solicited = (flags & 4) != 0,
		.is_override = (flags & 8) != 0,
	};
	struct rte_ether_addr dst;

	nd.src = next_ip();
	nd.dst = next_ip();
	nd.target = next_ip();
	nd.mac = next_mac();
	nd.has_mac = !rte_is_zero_ether_addr(&nd.mac);
	dst = sl_net_group_mac(&nd.dst);
	print_frame(frame, sl_nd_build(frame, &dst, &own_mac, vlan, &nd));
}

static void
do_echo(void)
{
	static uint8_t frame[SL_ICMP_HEADERS_MAX + UINT16_MAX] __attribute__((aligned(2)));
	static const struct rte_ether_addr dst = {{2, 0, 0, 0, 0, 2}};
	uint16_t vlan = (uint16_t)next_number(" ");
	struct sl_icmp_echo echo;
	struct bytes data;

	echo.src = next_ip();
	echo.dst = next_ip();
	echo.id = (uint16_t)next_number(" ");
	echo.sequence = (uint16_t)next_number(" ");
	data = next_bytes(" ");
	echo.data = data.data;
	echo.data_len = (uint16_t)data.len;
	print_frame(frame, sl_icmp_build_request(frame, &dst, &own_mac, vlan, &echo));
	free(data.data);
}

static void
do_report(void)
{
	uint8_t frame[SL_ND_REPORT_FRAME_MAX] __attribute__((aligned(2)));
	uint16_t vlan = (uint16_t)next_number(" ");
	struct sl_ip group = next_ip();

	print_frame(frame, sl_nd_build_report(frame, &own_mac, vlan, &group));
}

static void
do_arp(void)
{
	uint16_t vlan = (uint16_t)next_number(" ");
	struct bytes packet = next_bytes(" ");
	uint8_t frame[SL_ARP_FRAME_MAX] __attribute__((aligned(2)));
	struct sl_arp arp;

	if (!sl_arp_parse(packet.data, packet.len, &arp)) {
		printf("{\"is_valid\": false}\n");
	} else {
		printf("{\"is_valid\": true, \"is_request\": %s, ",
			arp.is_request ? "true" : "false");
		print_hex("frame", frame, sl_arp_build(frame, &arp.target_mac, vlan, &arp));
		printf("}\n");
	}
	free(packet.data);
}

static const struct command {
	const char *name;
	void (*run)(void);
} commands[] = {
	{"datagram", do_datagram},
	{"build", do_build},
	{"ack", do_ack},
	{"key", do_key},
	{"frame", do_frame},
	{"flow", do_flow},
	{"arp", do_arp},
	{"nd", do_nd},
	{"echo", do_echo},
	{"report", do_report},
};

int
main(void)
{
	char *line = NULL;
	size_t size = 0, i;
	const char *word;

	while (getline(&line, &size, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		word = strtok_r(line, " ", &cursor);
		for (i = 0; word != NULL && i < RTE_DIM(commands); i++) {
			if (strcmp(word, commands[i].name) == 0)
				break;
		}
		if (word == NULL || i == RTE_DIM(commands)) {
			fprintf(stderr, "wire_cat: '%s' is no command\n", word != NULL ? word : "");
			return EXIT_FAILURE;
		}
		commands[i].run();
		fflush(stdout);
	}
	free(line);
	return EXIT_SUCCESS;
}
