/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "sl_icmp.h"
#include "sl_nd.h"
#include "sl_net.h"
#include "test_rand.h"

/* IPv6, ICMPv6 and neighbour discovery; dts/test_wire.py holds the same against scapy. */

#define PORT RTE_BE16(7500)

static const struct sl_ip our_ip = {.bytes = {0xfd, 0, 0, 0x77, [15] = 1}};
static const struct sl_ip peer_ip = {.bytes = {0xfd, 0, 0, 0x77, [13] = 0xa, 0xb, 0xc}};
static const struct rte_ether_addr peer_mac = {{2, 0, 0, 0, 0, 2}};
static const struct sl_net_station us = {
	.mac = {{2, 0, 0, 0, 0, 1}},
	.address6 = {.bytes = {0xfd, 0, 0, 0x77, [15] = 1}},
};

/* RFC 1071 and RFC 8200, 8.1, read literally. */
static uint16_t
naive_sum(const uint8_t *ip, const uint8_t *data, size_t len, uint8_t proto)
{
	uint64_t sum = proto + len;

	for (unsigned int i = 8; i < 40; i += 2)
		sum += (uint64_t)ip[i] << 8 | ip[i + 1];
	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint64_t)data[i] << 8 : data[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

struct packet {
	size_t len;
	uint8_t bytes[512] __attribute__((aligned(8)));
};

/* A good datagram of 5 bytes to us, from its IPv6 header. */
static void
make_udp(struct packet *p)
{
	struct sl_net_flow flow;
	uint16_t sum = sl_net_sum("order", 5);

	memset(p, 0, sizeof(*p));
	sl_net_flow_init(&flow, &peer_ip, &our_ip, RTE_BE16(40000), PORT, 64);
	assert_int_equal(flow.headers_len, 48);
	assert_int_equal(sl_net_flow_type(&flow), RTE_ETHER_TYPE_IPV6);
	sl_net_flow_write(&flow, p->bytes, 5, &sum);
	memcpy(p->bytes + 48, "order", 5);
	p->len = 53;
}

/* In an exact heap block, so that the sanitizer build sees an over-read. */
static enum sl_net_error
judge(const struct packet *p, unsigned int known_good)
{
	uint8_t *exact = malloc(p->len);
	struct sl_net_ip ip = {0};
	struct sl_net_udp udp = {0};
	enum sl_net_error rc;

	memcpy(exact, p->bytes, p->len);
	rc = sl_net_check_ip(exact, p->len, RTE_ETHER_TYPE_IPV6, &us, known_good, &ip);
	if (rc == SL_NET_OK && ip.proto == IPPROTO_UDP)
		rc = sl_net_check_udp(
			exact + ip.header_len, ip.payload_len, exact, PORT, known_good, &udp);
	free(exact);
	return rc;
}

static void
test_flow_is_what_the_checks_accept(void **state)
{
	static uint8_t out[48 + 1500];
	struct sl_net_flow flow;
	struct sl_net_ip ip = {0};
	struct sl_net_udp udp = {0};
	struct test_rand r;
	struct sl_ip src;
	uint16_t len, sum;

	(void)state;
	test_rand_init(&r, "net6 flow");
	for (unsigned int i = 0; i < 3000; i++) {
		test_rand_fill(&r, src.bytes, sizeof(src.bytes));
		len = (uint16_t)test_rand_below(&r, 1501);
		test_rand_fill(&r, out, 48u + len);
		sum = sl_net_sum(out + 48, len);
		sl_net_flow_init(&flow, &src, &our_ip, RTE_BE16(7500), PORT, (uint8_t)(i % 256));
		sl_net_flow_write(&flow, out, len, &sum);
		assert_int_equal(naive_sum(out, out + 40, len + 8u, 17), 0xffff);
		assert_true(out[46] != 0 || out[47] != 0);
		assert_int_equal(out[7], i % 256);
		assert_int_equal(sl_net_check_ip6(out, 48u + len, &us, &ip), SL_NET_OK);
		assert_int_equal(
			sl_net_check_udp(out + 40, ip.payload_len, out, PORT, 0, &udp), SL_NET_OK);
		assert_int_equal(udp.payload_len, len);
		assert_int_equal(udp.payload_sum, sum);
	}
}

static void
test_every_truncation_is_refused(void **state)
{
	struct packet p;

	(void)state;
	make_udp(&p);
	for (p.len = 0; p.len < 53; p.len++)
		assert_int_equal(judge(&p, 0), SL_NET_IP_TRUNCATED);
	assert_int_equal(judge(&p, 0), SL_NET_OK);
	p.len += 20; /* padding */
	assert_int_equal(judge(&p, 0), SL_NET_OK);
}

static void
test_every_bit_counts(void **state)
{
	struct packet p;

	(void)state;
	for (unsigned int bit = 0; bit < 53 * 8; bit++) {
		make_udp(&p);
		p.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		if (bit >= 4 && bit < 32)
			assert_int_equal(judge(&p, 0), SL_NET_OK); /* class, label */
		else if (bit >= 56 && bit < 64)
			assert_int_equal(judge(&p, 0), SL_NET_OK); /* hop limit */
		else
			assert_int_not_equal(judge(&p, 0), SL_NET_OK);
	}
}

static void
test_protocols(void **state)
{
	struct packet p;
	enum sl_net_error want;

	(void)state;
	for (unsigned int proto = 0; proto < 256; proto++) {
		make_udp(&p);
		p.bytes[6] = (uint8_t)proto;
		want = proto == IPPROTO_FRAGMENT ? SL_NET_IP_FRAGMENT : SL_NET_IP_UNKNOWN_PROTO;
		if (proto == IPPROTO_UDP || proto == IPPROTO_ICMPV6)
			want = SL_NET_OK;
		assert_int_equal(judge(&p, 0), want);
	}
}

static void
test_a_checksum_is_not_optional(void **state)
{
	struct packet p;

	(void)state;
	make_udp(&p);
	p.bytes[46] ^= 1;
	assert_int_equal(judge(&p, 0), SL_NET_UDP_BAD_CHECKSUM);
	assert_int_equal(judge(&p, SL_NET_UDP_SUM_KNOWN_GOOD), SL_NET_OK);
	memset(p.bytes + 46, 0, 2);
	assert_int_equal(judge(&p, 0), SL_NET_UDP_BAD_CHECKSUM);
	assert_int_equal(judge(&p, SL_NET_UDP_SUM_KNOWN_GOOD), SL_NET_UDP_BAD_CHECKSUM);
}

static enum sl_net_error
judge_eth(const struct sl_net_station *station, const char dst[6], uint16_t type)
{
	uint8_t frame[14] __attribute__((aligned(2))) = {0};
	struct sl_net_eth eth;

	memcpy(frame, dst, 6);
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
	return sl_net_check_eth(frame, sizeof(frame), station, &eth);
}

static void
test_who_is_addressed(void **state)
{
	const struct sl_net_station other = {.mac = us.mac, .address = RTE_BE32(0x0a4d0001)};

	(void)state;
	assert_int_equal(judge_eth(&us, "\2\0\0\0\0\1", 0x86dd), SL_NET_OK);
	assert_int_equal(judge_eth(&us, "\xff\xff\xff\xff\xff\xff", 0x86dd), SL_NET_OK);
	assert_int_equal(judge_eth(&us, "\x33\x33\0\0\0\1", 0x86dd), SL_NET_OK);
	assert_int_equal(judge_eth(&us, "\x33\x33\xff\0\0\1", 0x86dd), SL_NET_OK);
	assert_int_equal(judge_eth(&us, "\x33\x33\xff\0\0\2", 0x86dd), SL_NET_ETH_NOT_FOR_US);
	assert_int_equal(judge_eth(&us, "\x33\x33\xff\1\0\1", 0x86dd), SL_NET_ETH_NOT_FOR_US);
	assert_int_equal(judge_eth(&us, "\x33\x33\0\0\0\2", 0x86dd), SL_NET_ETH_NOT_FOR_US);
	assert_int_equal(judge_eth(&us, "\2\0\0\0\0\1", 0x0800), SL_NET_ETH_UNKNOWN_TYPE);
	assert_int_equal(judge_eth(&us, "\2\0\0\0\0\1", 0x0806), SL_NET_ETH_UNKNOWN_TYPE);
	/* Who does not speak IPv6 is in none of its groups. */
	assert_int_equal(judge_eth(&other, "\2\0\0\0\0\1", 0x86dd), SL_NET_ETH_UNKNOWN_TYPE);
	assert_int_equal(judge_eth(&other, "\x33\x33\0\0\0\1", 0x86dd), SL_NET_ETH_NOT_FOR_US);
	assert_int_equal(judge_eth(&other, "\x33\x33\xff\0\0\0", 0x86dd), SL_NET_ETH_NOT_FOR_US);
}

/* Groups are for ICMPv6 alone. */
static void
test_groups(void **state)
{
	const struct sl_ip groups[] = {sl_net_all_nodes(), sl_net_solicited_node(&our_ip)};
	struct sl_ip other = sl_net_solicited_node(&peer_ip);
	struct sl_net_ip ip = {0};
	struct packet p;

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(groups); i++) {
		make_udp(&p);
		memcpy(p.bytes + 24, groups[i].bytes, 16);
		assert_int_equal(judge(&p, 0), SL_NET_IP_NOT_FOR_US);
		p.bytes[6] = IPPROTO_ICMPV6;
		assert_int_equal(sl_net_check_ip6(p.bytes, p.len, &us, &ip), SL_NET_OK);
	}
	memcpy(p.bytes + 24, other.bytes, 16);
	assert_int_equal(sl_net_check_ip6(p.bytes, p.len, &us, &ip), SL_NET_IP_NOT_FOR_US);
}

static void
test_unicast(void **state)
{
	static const char *const good[] = {
		"10.0.0.1", "223.255.255.1", "fd00::1", "fe80::1", "2000::"};
	static const char *const bad[] = {
		"0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"};
	struct sl_ip ip;

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(good); i++) {
		assert_true(sl_ip_parse(good[i], &ip));
		assert_true(sl_net_is_unicast(&ip));
	}
	for (unsigned int i = 0; i < RTE_DIM(bad); i++) {
		assert_true(sl_ip_parse(bad[i], &ip));
		assert_false(sl_net_is_unicast(&ip));
	}
}

/* Ask ourselves by each family, answer, and read the answer. */
static void
test_echo(void **state)
{
	const struct sl_ip ends[][2] = {
		{peer_ip, our_ip},
		{sl_ip_from_v4(RTE_BE32(0x0a4d000b)), sl_ip_from_v4(RTE_BE32(0x0a4d0001))},
	};
	struct sl_icmp_echo echo = {.id = 0xbeef, .sequence = 9}, back;
	uint8_t frame[256] __attribute__((aligned(2)));
	size_t len;

	(void)state;
	for (unsigned int i = 0; i < 2 * RTE_DIM(ends); i++) {
		uint16_t vlan = i % 2 == 0 ? 0 : 7;
		size_t eth_len = vlan != 0 ? 18 : 14, headers = i / 2 == 0 ? 48 : 28;

		echo.src = ends[i / 2][0];
		echo.dst = ends[i / 2][1];
		echo.data = (const uint8_t *)"there?";
		echo.data_len = 6;
		len = sl_icmp_build_request(frame, &us.mac, &peer_mac, vlan, &echo);
		assert_int_equal(len, eth_len + headers + 6);
		assert_false(sl_icmp_parse_reply(frame + eth_len, &back));
		assert_true(sl_icmp_reply(frame, len, eth_len, &us.mac));
		assert_memory_equal(frame, &peer_mac, 6);
		assert_false(sl_icmp_reply(frame, len, eth_len, &us.mac));
		assert_true(sl_icmp_parse_reply(frame + eth_len, &back));
		assert_true(sl_ip_equal(&back.src, &echo.dst) && sl_ip_equal(&back.dst, &echo.src));
		assert_int_equal(back.id, echo.id);
		assert_int_equal(back.sequence, echo.sequence);
		assert_int_equal(back.data_len, 6);
		assert_memory_equal(back.data, "there?", 6);
		frame[len - 1] ^= 1;
		assert_false(sl_icmp_parse_reply(frame + eth_len, &back));
	}
}

static struct sl_nd
advertisement(void)
{
	return (struct sl_nd){
		.is_solicited = true,
		.is_override = true,
		.src = peer_ip,
		.dst = our_ip,
		.target = peer_ip,
		.has_mac = true,
		.mac = peer_mac,
	};
}

static void
test_nd_round_trip(void **state)
{
	uint8_t frame[SL_ND_FRAME_MAX] __attribute__((aligned(2)));
	struct sl_nd nd = advertisement(), back;
	struct sl_net_ip ip = {0};
	size_t len;

	(void)state;
	for (unsigned int flags = 0; flags < 32; flags++) {
		nd.is_solicitation = flags & 1;
		nd.is_from_router = !nd.is_solicitation && (flags & 2);
		nd.is_solicited = !nd.is_solicitation && (flags & 4);
		nd.is_override = !nd.is_solicitation && (flags & 8);
		nd.has_mac = flags & 16;
		memset(&nd.mac, 0, sizeof(nd.mac));
		if (nd.has_mac)
			nd.mac = peer_mac;
		len = sl_nd_build(frame, &us.mac, &peer_mac, 0, &nd);
		assert_int_equal(len, nd.has_mac ? 86 : 78);
		assert_int_equal(sl_net_check_ip6(frame + 14, len - 14, &us, &ip), SL_NET_OK);
		assert_true(sl_nd_is_nd(frame + 14));
		assert_true(sl_nd_parse(frame + 14, &back));
		assert_memory_equal(&back, &nd, sizeof(nd));
	}
	assert_int_equal(sl_nd_build(frame, &us.mac, &peer_mac, 7, &nd), SL_ND_FRAME_MAX);
}

/* Any bit wrong: refused. But for the source, which the checksum only covers. */
static void
test_nd_refuses_every_wrong_bit(void **state)
{
	uint8_t frame[SL_ND_FRAME_MAX] __attribute__((aligned(2)));
	struct sl_nd nd = advertisement(), back;
	size_t len = sl_nd_build(frame, &us.mac, &peer_mac, 0, &nd);
	uint8_t *ip = frame + 14;

	(void)state;
	for (size_t bit = 7 * 8; bit < (len - 14) * 8; bit++) {
		ip[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(sl_nd_is_nd(ip) && sl_nd_parse(ip, &back));
		ip[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(sl_nd_parse(ip, &back));
}

static bool
parses(const struct sl_nd *nd)
{
	uint8_t frame[SL_ND_FRAME_MAX] __attribute__((aligned(2)));
	struct sl_nd back;

	sl_nd_build(frame, &us.mac, &peer_mac, 0, nd);
	return sl_nd_parse(frame + 14, &back);
}

static void
test_nd_rules(void **state)
{
	struct sl_nd nd = advertisement();

	(void)state;
	assert_true(parses(&nd));
	nd.target = sl_net_all_nodes();
	assert_false(parses(&nd));
	nd.target = sl_ip_from_v4(RTE_BE32(0x0a4d000b));
	assert_false(parses(&nd));
	nd = advertisement();
	nd.dst = sl_net_all_nodes();
	assert_false(parses(&nd)); /* solicited, by a group */
	nd.is_solicited = false;
	assert_true(parses(&nd));
	nd.src = (struct sl_ip){.halves = {0, 0}};
	assert_false(parses(&nd));
	/* Is the address free? */
	nd = (struct sl_nd){.is_solicitation = true, .target = our_ip};
	nd.dst = sl_net_solicited_node(&our_ip);
	assert_true(parses(&nd));
	nd.has_mac = true;
	nd.mac = peer_mac;
	assert_false(parses(&nd));
	nd.has_mac = false;
	nd.dst = our_ip;
	assert_false(parses(&nd));
	nd = advertisement();
	memset(&nd.mac, 0xff, sizeof(nd.mac));
	assert_false(parses(&nd));
}

static void
test_nd_report(void **state)
{
	uint8_t frame[SL_ND_REPORT_FRAME_MAX] __attribute__((aligned(2)));
	struct sl_ip group = sl_net_solicited_node(&our_ip);

	(void)state;
	assert_int_equal(sl_nd_build_report(frame, &us.mac, 0, &group), 90);
	assert_int_equal(sl_nd_build_report(frame, &us.mac, 7, &group), SL_ND_REPORT_FRAME_MAX);
	assert_memory_equal(frame, "\x33\x33\0\0\0\x16", 6);
	assert_int_equal(naive_sum(frame + 18, frame + 18 + 48, 28, 58), 0xffff);
	assert_memory_equal(frame + 18 + 48 + 12, group.bytes, 16);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flow_is_what_the_checks_accept),
		cmocka_unit_test(test_every_truncation_is_refused),
		cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_a_checksum_is_not_optional),
		cmocka_unit_test(test_who_is_addressed),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_unicast),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_nd_round_trip),
		cmocka_unit_test(test_nd_refuses_every_wrong_bit),
		cmocka_unit_test(test_nd_rules),
		cmocka_unit_test(test_nd_report),
	};

	return cmocka_run_group_tests_name("net6", tests, NULL, NULL);
}
