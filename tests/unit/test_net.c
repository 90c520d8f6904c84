/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "sl_arp.h"
#include "sl_icmp.h"
#include "sl_net.h"
#include "test_rand.h"

#define PORT	RTE_BE16(7500)
#define OUR_IP	RTE_BE32(0x0a4d0001)
#define PEER_IP RTE_BE32(0x0a4d000b)

static const struct rte_ether_addr our_mac = {{0x02, 0, 0, 0, 0, 0x01}};
static const struct sl_net_station us = {.mac = {{0x02, 0, 0, 0, 0, 0x01}}, .address = OUR_IP};
static const struct rte_ether_addr peer_mac = {{0x02, 0, 0, 0, 0, 0x02}};

/* RFC 1071 read literally: words most significant byte first, an odd last byte padded with 0. */
static uint16_t
naive_sum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint16_t
naive_udp_sum(const uint8_t *ip, const uint8_t *udp, uint16_t udp_len)
{
	static uint8_t buf[12 + UINT16_MAX];

	memcpy(buf, ip + 12, 8);
	buf[8] = 0;
	buf[9] = 17;
	buf[10] = (uint8_t)(udp_len >> 8);
	buf[11] = (uint8_t)udp_len;
	memcpy(buf + 12, udp, udp_len);
	return naive_sum(buf, 12u + udp_len);
}

static void
put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
seal_ip(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~naive_sum(ip, (ip[0] & 0xf) * 4u));
}

/*
 * A good frame, byte by byte: untagged, 5-byte payload, checksums right. The tests change one
 * thing each.
 */
struct frame {
	size_t len;
	uint8_t *ip;  /* bytes[14] */
	uint8_t *udp; /* bytes[34] */
	uint8_t bytes[256] __attribute__((aligned(2)));
};

#define PAYLOAD "order"

static void
make_frame(struct frame *f, uint8_t proto)
{
	static const uint8_t ip[20] = {
		0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 0, 0, 0, 10, 77, 0, 11, 10, 77, 0, 1};
	size_t l4_len = 8 + strlen(PAYLOAD);

	memset(f, 0, sizeof(*f));
	f->ip = f->bytes + 14;
	f->udp = f->ip + 20;
	f->len = 34 + l4_len;
	memcpy(f->bytes, &our_mac, 6);
	memcpy(f->bytes + 6, &peer_mac, 6);
	put16(f->bytes + 12, 0x0800);
	memcpy(f->ip, ip, sizeof(ip));
	put16(f->ip + 2, (unsigned int)(20 + l4_len));
	f->ip[9] = proto;
	seal_ip(f->ip);
	memcpy(f->udp + 8, PAYLOAD, strlen(PAYLOAD));
	if (proto == IPPROTO_ICMP) {
		f->udp[0] = 8;
		put16(f->udp + 4, 0xbeef);
		put16(f->udp + 6, 1);
		put16(f->udp + 2, (uint16_t)~naive_sum(f->udp, l4_len));
		return;
	}
	put16(f->udp, 40000);
	put16(f->udp + 2, 7500);
	put16(f->udp + 4, (unsigned int)l4_len);
	put16(f->udp + 6, (uint16_t)~naive_udp_sum(f->ip, f->udp, (uint16_t)l4_len));
}

/* Insert 802.1Q tags behind the addresses. */
static void
tag_frame(struct frame *f, uint16_t tci)
{
	memmove(f->bytes + 16, f->bytes + 12, f->len - 12);
	put16(f->bytes + 12, 0x8100);
	put16(f->bytes + 14, tci);
	f->len += 4;
}

/*
 * The first error of the chain, as the packet path runs it. The frame is copied to the end of an
 * exact heap block, so that the sanitizer build sees an over-read.
 */
static enum sl_net_error
judge_with(const struct frame *f, uint16_t vlan, unsigned int known_good)
{
	struct sl_net_station station = us;
	uint8_t *exact = malloc(f->len);
	enum sl_net_error rc;
	struct sl_net_eth eth;
	struct sl_net_ip ip = {0};
	struct sl_net_udp udp = {0};

	memcpy(exact, f->bytes, f->len);
	station.vlan = vlan;
	rc = sl_net_check_eth(exact, f->len, &station, &eth);
	if (rc == SL_NET_OK && eth.type == RTE_ETHER_TYPE_IPV4)
		rc = sl_net_check_ip(
			exact + eth.len, f->len - eth.len, eth.type, &station, known_good, &ip);
	if (rc == SL_NET_OK && eth.type == RTE_ETHER_TYPE_IPV4 && ip.proto == IPPROTO_UDP)
		rc = sl_net_check_udp(exact + eth.len + ip.header_len, ip.payload_len,
			exact + eth.len, PORT, known_good, &udp);
	free(exact);
	return rc;
}

static enum sl_net_error
judge(const struct frame *f)
{
	return judge_with(f, 0, 0);
}

static void
test_sum_is_rfc_1071(void **state)
{
	static uint8_t buf[4096];
	struct test_rand r;
	size_t offset, len;

	(void)state;
	test_rand_init(&r, "net sum");
	for (unsigned int i = 0; i < 20000; i++) {
		offset = test_rand_below(&r, 16);
		len = test_rand_below(&r, i % 2 == 0 ? 40 : sizeof(buf) - 16);
		if (i % 8 == 0)
			memset(buf, i % 16 == 0 ? 0xff : 0, sizeof(buf)); /* carries, and none */
		else
			test_rand_fill(&r, buf + offset, len);
		assert_int_equal(rte_be_to_cpu_16(sl_net_sum(buf + offset, len)),
			naive_sum(buf + offset, len));
	}
	/* RFC 1071, section 3: the example. */
	assert_int_equal(
		rte_be_to_cpu_16(sl_net_sum("\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 8)), 0xddf2);
	assert_int_equal(sl_net_sum(buf, 0), 0);
}

static void
test_longest_sum(void **state)
{
	uint8_t *all = malloc(UINT16_MAX);

	(void)state;
	memset(all, 0xff, UINT16_MAX);
	assert_int_equal(rte_be_to_cpu_16(sl_net_sum(all, UINT16_MAX)), naive_sum(all, UINT16_MAX));
	free(all);
}

static void
test_update_is_recomputation(void **state)
{
	static uint8_t buf[512];
	uint8_t before[8];
	struct test_rand r;
	size_t len, offset, nb;
	uint16_t sum;

	(void)state;
	test_rand_init(&r, "net sum update");
	for (unsigned int i = 0; i < 50000; i++) {
		len = 9 + test_rand_below(&r, sizeof(buf) - 9);
		test_rand_fill(&r, buf, len);
		buf[0] |= 1; /* never zero from end to end: see sl_net_udp_cksum() */
		nb = 1 + test_rand_below(&r, 8);
		offset = 1 + test_rand_below(&r, len - nb);
		sum = sl_net_sum(buf, len);
		memcpy(before, buf + offset, nb);
		if (i % 4 == 0)
			memset(buf + offset, i % 8 == 0 ? 0xff : 0, nb);
		else
			test_rand_fill(&r, buf + offset, nb);
		sum = sl_net_sum_update(sum, offset, before, buf + offset, nb);
		assert_int_equal(rte_be_to_cpu_16(sum), naive_sum(buf, len));
	}
}

static void
test_good_frames(void **state)
{
	struct frame f;

	(void)state;
	make_frame(&f, IPPROTO_UDP);
	assert_int_equal(judge(&f), SL_NET_OK);
	make_frame(&f, IPPROTO_ICMP);
	assert_int_equal(judge(&f), SL_NET_OK);
	/* Broadcast, padding behind the packet, no UDP checksum: all fine. */
	make_frame(&f, IPPROTO_UDP);
	memset(f.bytes, 0xff, 6);
	f.len += 13;
	put16(f.udp + 6, 0);
	assert_int_equal(judge(&f), SL_NET_OK);
}

static void
test_fields_of_a_good_frame(void **state)
{
	struct sl_net_eth eth;
	struct sl_net_ip ip = {0};
	struct sl_net_udp udp = {0};
	struct frame f;

	(void)state;
	make_frame(&f, IPPROTO_UDP);
	assert_int_equal(sl_net_check_eth(f.bytes, f.len, &us, &eth), SL_NET_OK);
	assert_int_equal(eth.type, RTE_ETHER_TYPE_IPV4);
	assert_int_equal(eth.len, 14);
	assert_int_equal(sl_net_check_ip4(f.ip, f.len - 14, OUR_IP, 0, &ip), SL_NET_OK);
	assert_int_equal(ip.header_len, 20);
	assert_int_equal(ip.payload_len, 8 + strlen(PAYLOAD));
	assert_int_equal(ip.proto, IPPROTO_UDP);
	assert_int_equal(sl_net_check_udp(f.udp, ip.payload_len, f.ip, PORT, 0, &udp), SL_NET_OK);
	assert_int_equal(udp.payload_len, strlen(PAYLOAD));
	assert_true(udp.is_sum_known);
	assert_int_equal(rte_be_to_cpu_16(udp.payload_sum), naive_sum(f.udp + 8, strlen(PAYLOAD)));
}

static void
test_ip_options(void **state)
{
	struct frame f;

	(void)state;
	make_frame(&f, IPPROTO_UDP);
	memmove(f.udp + 40, f.udp, f.len - 34);
	memset(f.udp, 1, 40); /* 40 times NOP */
	f.len += 40;
	f.ip[0] = 0x4f;
	put16(f.ip + 2, (unsigned int)f.len - 14);
	seal_ip(f.ip);
	assert_int_equal(judge(&f), SL_NET_OK);
	f.udp[0] ^= 0x80; /* the checksum covers the options */
	assert_int_equal(judge(&f), SL_NET_IP_BAD_CHECKSUM);
}

static void
test_every_truncation_is_refused(void **state)
{
	struct frame f;
	size_t whole;

	(void)state;
	make_frame(&f, IPPROTO_UDP);
	whole = f.len;
	for (f.len = 0; f.len < whole; f.len++)
		assert_int_equal(
			judge(&f), f.len < 14 ? SL_NET_ETH_TRUNCATED : SL_NET_IP_TRUNCATED);
	make_frame(&f, IPPROTO_UDP);
	tag_frame(&f, 7);
	for (f.len = 14; f.len < 18; f.len++)
		assert_int_equal(judge_with(&f, 7, 0), SL_NET_ETH_TRUNCATED);
}

static void
test_eth_refusals(void **state)
{
	static const uint16_t other_types[] = {
		0x86dd, 0x8864, 0x88a8, 0x0000, 0x002e, 0x0801, 0xffff};
	struct frame f;

	(void)state;
	for (unsigned int bit = 0; bit < 48; bit++) {
		make_frame(&f, IPPROTO_UDP);
		f.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(judge(&f), SL_NET_ETH_NOT_FOR_US);
	}
	make_frame(&f, IPPROTO_UDP);
	memcpy(f.bytes, "\x01\x00\x5e\x00\x00\x01", 6);
	assert_int_equal(judge(&f), SL_NET_ETH_NOT_FOR_US);
	for (size_t i = 0; i < RTE_DIM(other_types); i++) {
		make_frame(&f, IPPROTO_UDP);
		put16(f.bytes + 12, other_types[i]);
		assert_int_equal(judge(&f), SL_NET_ETH_UNKNOWN_TYPE);
		tag_frame(&f, 7);
		assert_int_equal(judge_with(&f, 7, 0), SL_NET_ETH_UNKNOWN_TYPE);
	}
}

static void
test_vlan(void **state)
{
	struct sl_net_station tagged = us;
	struct sl_net_eth eth;
	struct frame f;

	(void)state;
	tagged.vlan = 7;
	make_frame(&f, IPPROTO_UDP);
	assert_int_equal(judge_with(&f, 7, 0), SL_NET_ETH_WRONG_VLAN);
	tag_frame(&f, 0xa007); /* priority 5, VLAN 7 */
	assert_int_equal(judge_with(&f, 7, 0), SL_NET_OK);
	assert_int_equal(judge_with(&f, 8, 0), SL_NET_ETH_WRONG_VLAN);
	assert_int_equal(judge_with(&f, 0, 0), SL_NET_ETH_WRONG_VLAN);
	assert_int_equal(sl_net_check_eth(f.bytes, f.len, &tagged, &eth), SL_NET_OK);
	assert_int_equal(eth.len, 18);
	assert_int_equal(eth.type, RTE_ETHER_TYPE_IPV4);
	tag_frame(&f, 7);
	assert_int_equal(judge_with(&f, 7, 0), SL_NET_ETH_WRONG_VLAN);
	/* A priority tag alone is no VLAN. */
	make_frame(&f, IPPROTO_UDP);
	tag_frame(&f, 0xa000);
	assert_int_equal(judge_with(&f, 0, 0), SL_NET_OK);
	assert_int_equal(judge_with(&f, 7, 0), SL_NET_ETH_WRONG_VLAN);
	/* The highest VLAN, and nothing but it. */
	make_frame(&f, IPPROTO_UDP);
	tag_frame(&f, 0x0fff);
	assert_int_equal(judge_with(&f, 0xfff, 0), SL_NET_OK);
}

static enum sl_net_error
judge_ip_byte(unsigned int at, uint8_t value, bool is_sealed)
{
	struct frame f;

	make_frame(&f, IPPROTO_UDP);
	f.ip[at] = value;
	if (is_sealed)
		seal_ip(f.ip);
	return judge(&f);
}

static void
test_ip_refusals(void **state)
{
	struct frame f;

	(void)state;
	/* Version and header length. */
	for (unsigned int v = 0; v < 16; v++) {
		if (v != 4)
			assert_int_equal(judge_ip_byte(0, (uint8_t)(v << 4 | 5), true),
				SL_NET_IP_BAD_HEADER);
		if (v < 5)
			assert_int_equal(
				judge_ip_byte(0, (uint8_t)(0x40 | v), false), SL_NET_IP_BAD_HEADER);
	}
	/* Total length: below the header's, beyond the frame. */
	assert_int_equal(judge_ip_byte(3, 19, true), SL_NET_IP_BAD_HEADER);
	assert_int_equal(judge_ip_byte(3, 0, true), SL_NET_IP_BAD_HEADER);
	assert_int_equal(judge_ip_byte(2, 0xff, true), SL_NET_IP_TRUNCATED);
	make_frame(&f, IPPROTO_UDP);
	put16(f.ip + 2, (unsigned int)f.len - 14 + 1);
	seal_ip(f.ip);
	assert_int_equal(judge(&f), SL_NET_IP_TRUNCATED);
	/* Each single bit wrong. Not the version, lengths: judged before. */
	for (unsigned int bit = 4 * 8; bit < 20 * 8; bit++) {
		make_frame(&f, IPPROTO_UDP);
		f.ip[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(judge(&f), SL_NET_IP_BAD_CHECKSUM);
	}
	assert_int_equal(judge_ip_byte(19, 2, true), SL_NET_IP_NOT_FOR_US);
	for (unsigned int proto = 0; proto < 256; proto++) {
		if (proto != IPPROTO_UDP && proto != IPPROTO_ICMP)
			assert_int_equal(
				judge_ip_byte(9, (uint8_t)proto, true), SL_NET_IP_UNKNOWN_PROTO);
	}
}

static void
test_fragments(void **state)
{
	(void)state;
	assert_int_equal(judge_ip_byte(6, 0x00, true), SL_NET_OK);
	assert_int_equal(judge_ip_byte(6, 0x40, true), SL_NET_OK);	    /* DF */
	assert_int_equal(judge_ip_byte(6, 0x20, true), SL_NET_IP_FRAGMENT); /* the first */
	assert_int_equal(judge_ip_byte(7, 0x01, true), SL_NET_IP_FRAGMENT); /* the last */
	assert_int_equal(judge_ip_byte(6, 0x10, true), SL_NET_IP_FRAGMENT); /* far behind */
	assert_int_equal(judge_ip_byte(6, 0x60, true), SL_NET_IP_FRAGMENT); /* DF and MF */
}

static void
test_udp_refusals(void **state)
{
	struct frame f;

	(void)state;
	/* A packet too short for a UDP header. */
	for (unsigned int len = 0; len < 8; len++) {
		make_frame(&f, IPPROTO_UDP);
		put16(f.ip + 2, 20 + len);
		seal_ip(f.ip);
		assert_int_equal(judge(&f), SL_NET_UDP_TRUNCATED);
	}
	for (unsigned int len = 0; len <= UINT16_MAX; len++) {
		make_frame(&f, IPPROTO_UDP);
		put16(f.udp + 4, len);
		if (len < 8 || len > 8 + strlen(PAYLOAD))
			assert_int_equal(judge(&f), SL_NET_UDP_BAD_LENGTH);
		else if (len < 8 + strlen(PAYLOAD))
			assert_int_equal(judge(&f), SL_NET_UDP_BAD_CHECKSUM);
	}
	make_frame(&f, IPPROTO_UDP);
	put16(f.udp + 2, 7501);
	assert_int_equal(judge(&f), SL_NET_UDP_UNKNOWN_PORT);
	/* Each single bit wrong, but for port and length, judged before. */
	for (unsigned int bit = 0; bit < (8 + strlen(PAYLOAD)) * 8; bit++) {
		if (bit >= 16 && bit < 48)
			continue;
		make_frame(&f, IPPROTO_UDP);
		f.udp[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(judge(&f), SL_NET_UDP_BAD_CHECKSUM);
	}
	/* The pseudo header counts: a datagram that got into another packet. */
	make_frame(&f, IPPROTO_UDP);
	f.ip[15] ^= 1;
	seal_ip(f.ip);
	assert_int_equal(judge(&f), SL_NET_UDP_BAD_CHECKSUM);
}

static void
test_checksums_the_port_has_checked(void **state)
{
	struct frame f;

	(void)state;
	make_frame(&f, IPPROTO_UDP);
	f.ip[10] ^= 1;
	assert_int_equal(judge_with(&f, 0, SL_NET_UDP_SUM_KNOWN_GOOD), SL_NET_IP_BAD_CHECKSUM);
	assert_int_equal(judge_with(&f, 0, SL_NET_IP_SUM_KNOWN_GOOD), SL_NET_OK);
	f.udp[6] ^= 1;
	assert_int_equal(judge_with(&f, 0, SL_NET_IP_SUM_KNOWN_GOOD), SL_NET_UDP_BAD_CHECKSUM);
	assert_int_equal(
		judge_with(&f, 0, SL_NET_IP_SUM_KNOWN_GOOD | SL_NET_UDP_SUM_KNOWN_GOOD), SL_NET_OK);
}

static void
test_flow_write(void **state)
{
	static uint8_t out[28 + 65507];
	struct sl_net_flow flow;
	struct sl_net_ip ip = {0};
	struct sl_net_udp udp = {0};
	struct test_rand r;
	const struct sl_ip dst = sl_ip_from_v4(OUR_IP);
	struct sl_ip src;
	uint16_t len, sum;
	rte_be16_t port;

	(void)state;
	test_rand_init(&r, "net flow");
	for (unsigned int i = 0; i < 3000; i++) {
		len = (uint16_t)test_rand_below(&r, i % 16 == 0 ? 65508 : 1500);
		port = (rte_be16_t)test_rand_u64(&r);
		src = sl_ip_from_v4((rte_be32_t)test_rand_u64(&r));
		sl_net_flow_init(&flow, &src, &dst, (rte_be16_t)test_rand_u64(&r), port,
			(uint8_t)(i % 255 + 1));
		test_rand_fill(&r, out, sizeof(out) < 28u + len ? sizeof(out) : 28u + len);
		sum = sl_net_sum(out + 28, len);
		sl_net_flow_write(&flow, out, len, &sum);
		assert_int_equal(naive_sum(out, 20), 0xffff);
		assert_int_equal(naive_udp_sum(out, out + 20, (uint16_t)(len + 8)), 0xffff);
		assert_true(out[26] != 0 || out[27] != 0);
		assert_int_equal(sl_net_check_ip4(out, 28u + len, OUR_IP, 0, &ip), SL_NET_OK);
		assert_int_equal(
			sl_net_check_udp(out + 20, ip.payload_len, out, port, 0, &udp), SL_NET_OK);
		assert_int_equal(udp.payload_len, len);
		assert_memory_equal(out + 12, &src.words[3], 4);
		/* Told to leave the UDP checksum out, it does, and the rest stays. */
		sl_net_flow_write(&flow, out, len, NULL);
		assert_true(out[26] == 0 && out[27] == 0);
		assert_int_equal(naive_sum(out, 20), 0xffff);
	}
}

/* The one sum in 65536 whose checksum would come out as 0, "none": it is sent as 0xffff. */
static void
test_flow_write_of_a_checksum_of_zero(void **state)
{
	const struct sl_ip src = sl_ip_from_v4(PEER_IP), dst = sl_ip_from_v4(OUR_IP);
	uint8_t out[SL_NET_HEADERS_MAX];
	struct sl_net_flow flow;
	uint16_t sum;

	(void)state;
	sl_net_flow_init(&flow, &src, &dst, PORT, PORT, 64);
	memset(out, 0, sizeof(out));
	sum = 0;
	sl_net_flow_write(&flow, out, 2, &sum);
	memcpy(out + 28, out + 26, 2); /* the checksum as payload makes the sum 0xffff */
	sum = sl_net_sum(out + 28, 2);
	sl_net_flow_write(&flow, out, 2, &sum);
	assert_int_equal(out[26] << 8 | out[27], 0xffff);
	assert_int_equal(naive_udp_sum(out, out + 20, 10), 0xffff);
}

static void
test_icmp_echo_reply(void **state)
{
	struct frame f, before;

	(void)state;
	make_frame(&f, IPPROTO_ICMP);
	f.ip[8] = 1; /* a reply begins with a TTL of its own */
	seal_ip(f.ip);
	before = f;
	assert_true(sl_icmp_reply(f.bytes, f.len, 14, &our_mac));
	assert_memory_equal(f.bytes, &peer_mac, 6);
	assert_memory_equal(f.bytes + 6, &our_mac, 6);
	assert_memory_equal(f.ip + 12, before.bytes + 30, 4);
	assert_memory_equal(f.ip + 16, before.bytes + 26, 4);
	assert_int_equal(f.ip[8], 64);
	assert_int_equal(naive_sum(f.ip, 20), 0xffff);
	assert_int_equal(f.udp[0], 0);
	assert_int_equal(naive_sum(f.udp, 8 + strlen(PAYLOAD)), 0xffff);
	assert_memory_equal(f.udp + 4, before.bytes + 38, 4 + strlen(PAYLOAD));
	/* A reply is no request. */
	assert_false(sl_icmp_reply(f.bytes, f.len, 14, &our_mac));
}

/* Where the reply is zero from end to end, only 0xffff is its checksum. */
static void
test_icmp_echo_reply_of_nothing_but_zero(void **state)
{
	struct frame f;

	(void)state;
	make_frame(&f, IPPROTO_ICMP);
	memset(f.udp + 1, 0, 7 + strlen(PAYLOAD));
	put16(f.udp + 2, (uint16_t)~0x0800);
	assert_true(sl_icmp_reply(f.bytes, f.len, 14, &our_mac));
	assert_int_equal(f.udp[2] << 8 | f.udp[3], 0xffff);
}

static void
expect_no_reply(struct frame *f)
{
	struct frame before = *f;

	assert_false(sl_icmp_reply(f->bytes, f->len, 14, &our_mac));
	assert_memory_equal(f->bytes, before.bytes, sizeof(before.bytes));
}

static void
test_no_echo_reply(void **state)
{
	struct frame f;

	(void)state;
	for (unsigned int bit = 0; bit < 8 * (8 + strlen(PAYLOAD)); bit++) {
		make_frame(&f, IPPROTO_ICMP); /* another type or code, a bad checksum */
		f.udp[bit / 8] ^= (uint8_t)(1 << bit % 8);
		expect_no_reply(&f);
	}
	make_frame(&f, IPPROTO_ICMP);
	f.udp[1] = 1; /* a code, rightly summed */
	put16(f.udp + 2, 0);
	put16(f.udp + 2, (uint16_t)~naive_sum(f.udp, 8 + strlen(PAYLOAD)));
	expect_no_reply(&f);
	make_frame(&f, IPPROTO_ICMP);
	put16(f.ip + 2, 27); /* no whole ICMP header */
	seal_ip(f.ip);
	expect_no_reply(&f);
	make_frame(&f, IPPROTO_ICMP);
	f.bytes[6] |= 1; /* from a group */
	expect_no_reply(&f);
	make_frame(&f, IPPROTO_ICMP);
	memset(f.bytes + 6, 0, 6);
	expect_no_reply(&f);
	make_frame(&f, IPPROTO_UDP);
	expect_no_reply(&f);
}

static void
test_put_eth(void **state)
{
	uint8_t out[18] __attribute__((aligned(2)));
	struct sl_net_station tagged = us;
	struct sl_net_eth eth;

	(void)state;
	assert_int_equal(sl_net_put_eth(out, &our_mac, &peer_mac, 0, RTE_ETHER_TYPE_ARP), 14);
	assert_memory_equal(out, "\2\0\0\0\0\1\2\0\0\0\0\2\x08\x06", 14);
	assert_int_equal(sl_net_put_eth(out, &our_mac, &peer_mac, 300, RTE_ETHER_TYPE_IPV4), 18);
	assert_memory_equal(out, "\2\0\0\0\0\1\2\0\0\0\0\2\x81\0\x01\x2c\x08\0", 18);
	tagged.vlan = 300;
	assert_int_equal(sl_net_check_eth(out, 18, &tagged, &eth), SL_NET_OK);
}

/* An ARP request as RFC 826 lays it out. */
static const uint8_t arp_request[28] = {
	0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 10, 77, 0, 11, 0, 0, 0, 0, 0, 0, 10, 77, 0, 1};

static void
test_arp(void **state)
{
	uint8_t frame[SL_ARP_FRAME_MAX] __attribute__((aligned(2)));
	struct sl_arp arp;

	(void)state;
	assert_true(sl_arp_parse(arp_request, sizeof(arp_request), &arp));
	assert_true(arp.is_request);
	assert_memory_equal(&arp.sender_mac, &peer_mac, 6);
	assert_int_equal(arp.sender_ip, PEER_IP);
	assert_int_equal(arp.target_ip, OUR_IP);
	memset(frame, 0xaa, sizeof(frame));
	assert_int_equal(sl_arp_build(frame, &our_mac, 0, &arp), 60);
	assert_memory_equal(frame, "\2\0\0\0\0\1\2\0\0\0\0\2\x08\x06", 14);
	assert_memory_equal(frame + 14, arp_request, 28);
	for (unsigned int i = 42; i < 60; i++)
		assert_int_equal(frame[i], 0); /* padding leaks nothing */
	assert_int_equal(sl_arp_build(frame, &our_mac, 7, &arp), 64);
	assert_memory_equal(frame + 18, arp_request, 28);
	arp.is_request = false;
	sl_arp_build(frame, &our_mac, 0, &arp);
	assert_int_equal(frame[14 + 7], 2);
}

static void
test_arp_refusals(void **state)
{
	uint8_t packet[28] __attribute__((aligned(2)));
	uint8_t *exact;
	struct sl_arp arp;

	(void)state;
	for (size_t len = 0; len < sizeof(arp_request); len++) {
		exact = malloc(len);
		memcpy(exact, arp_request, len);
		assert_false(sl_arp_parse(exact, len, &arp));
		free(exact);
	}
	/* Hardware, protocol, lengths, operation: any bit wrong; request to reply is not wrong. */
	for (unsigned int bit = 0; bit < 64; bit++) {
		memcpy(packet, arp_request, sizeof(packet));
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(sl_arp_parse(packet, sizeof(packet), &arp));
	}
	memcpy(packet, arp_request, sizeof(packet));
	packet[7] = 2;
	assert_true(sl_arp_parse(packet, sizeof(packet), &arp));
	assert_false(arp.is_request);
	memcpy(packet + 8, "\x01\x00\x5e\x00\x00\x01", 6);
	assert_false(sl_arp_parse(packet, sizeof(packet), &arp));
	memset(packet + 8, 0xff, 6);
	assert_false(sl_arp_parse(packet, sizeof(packet), &arp));
	memset(packet + 8, 0, 6);
	assert_false(sl_arp_parse(packet, sizeof(packet), &arp));
}

/* The words are an interface: statistics and alarms are read by them. */
static void
test_error_words(void **state)
{
	static const char *const words[] = {"ok", "eth_truncated", "eth_not_for_us",
		"eth_wrong_vlan", "eth_unknown_type", "ip_truncated", "ip_bad_header",
		"ip_bad_checksum", "ip_fragment", "ip_not_for_us", "ip_unknown_proto",
		"udp_truncated", "udp_bad_length", "udp_bad_checksum", "udp_unknown_port"};

	(void)state;
	assert_int_equal(RTE_DIM(words), SL_NET_UDP_UNKNOWN_PORT + 1);
	for (unsigned int i = 0; i < RTE_DIM(words); i++)
		assert_string_equal(sl_net_strerror((enum sl_net_error)i), words[i]);
	assert_string_equal(sl_net_strerror((enum sl_net_error)RTE_DIM(words)), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum_is_rfc_1071),
		cmocka_unit_test(test_longest_sum),
		cmocka_unit_test(test_update_is_recomputation),
		cmocka_unit_test(test_good_frames),
		cmocka_unit_test(test_fields_of_a_good_frame),
		cmocka_unit_test(test_ip_options),
		cmocka_unit_test(test_every_truncation_is_refused),
		cmocka_unit_test(test_eth_refusals),
		cmocka_unit_test(test_vlan),
		cmocka_unit_test(test_ip_refusals),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_udp_refusals),
		cmocka_unit_test(test_checksums_the_port_has_checked),
		cmocka_unit_test(test_flow_write),
		cmocka_unit_test(test_flow_write_of_a_checksum_of_zero),
		cmocka_unit_test(test_icmp_echo_reply),
		cmocka_unit_test(test_icmp_echo_reply_of_nothing_but_zero),
		cmocka_unit_test(test_no_echo_reply),
		cmocka_unit_test(test_put_eth),
		cmocka_unit_test(test_arp),
		cmocka_unit_test(test_arp_refusals),
		cmocka_unit_test(test_error_words),
	};

	return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
