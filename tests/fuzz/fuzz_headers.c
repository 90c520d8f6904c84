/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Raw frames through the chain the packet path runs: Ethernet, then ARP, IPv4 or IPv6, then ICMP,
 * neighbour discovery or UDP.
 * Each frame is tried as it is and with its addresses, port and checksums mended, so that the
 * fuzzer reaches what is behind them; each time in a heap block of its exact size. Checksums are
 * judged by a second, byte-wise implementation.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sl_arp.h"
#include "sl_icmp.h"
#include "sl_nd.h"
#include "sl_net.h"

#define PORT RTE_BE16(7500)
#define VLAN 7

static const struct rte_ether_addr our_mac = {{0x02, 0, 0, 0, 0, 0x01}};
static const rte_be32_t our_ip = RTE_BE32(0x0a000001);
static const struct sl_ip our_ip6 = {.bytes = {0xfd, [15] = 1}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_headers: %s\n", what);
	abort();
}

/* RFC 1071 as it reads: 16-bit words, most significant byte first, odd byte padded. */
static uint32_t
add_words(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static bool
is_ip4(const uint8_t *ip)
{
	return ip[0] >> 4 == 4;
}

/* With the pseudo header of either family. */
static uint32_t
l4_words(const uint8_t *ip, uint8_t proto, const uint8_t *data, size_t len)
{
	uint8_t tail[4] = {0, proto, (uint8_t)(len >> 8), (uint8_t)len};
	uint32_t sum = is_ip4(ip) ? add_words(0, ip + 12, 8) : add_words(0, ip + 8, 32);

	return add_words(add_words(sum, tail, sizeof(tail)), data, len);
}

static uint32_t
icmp_words(const uint8_t *ip, const uint8_t *data, size_t len)
{
	return is_ip4(ip) ? add_words(0, data, len) : l4_words(ip, IPPROTO_ICMPV6, data, len);
}

static void
check_arp(const uint8_t *data, size_t len, uint16_t vlan)
{
	struct sl_arp arp, again;
	uint8_t frame[SL_ARP_FRAME_MAX];
	size_t built, header_len = vlan != 0 ? 18 : 14;

	if (!sl_arp_parse(data, len, &arp))
		return;
	require(len >= 28, "an ARP packet that is cut short");
	require(rte_is_valid_assigned_ether_addr(&arp.sender_mac), "a sender nobody can be");
	built = sl_arp_build(frame, &arp.target_mac, vlan, &arp);
	require(built >= 60 && built <= SL_ARP_FRAME_MAX, "an ARP frame of a wrong size");
	require(sl_arp_parse(frame + header_len, built - header_len, &again), "built, not parsed");
	require(arp.is_request == again.is_request && arp.sender_ip == again.sender_ip &&
			arp.target_ip == again.target_ip &&
			rte_is_same_ether_addr(&arp.sender_mac, &again.sender_mac) &&
			rte_is_same_ether_addr(&arp.target_mac, &again.target_mac),
		"ARP changed by a round trip");
}

static struct sl_ip
source_of(const uint8_t *ip)
{
	rte_be32_t v4;

	if (!is_ip4(ip))
		return sl_ip_from_v6(ip + 8);
	memcpy(&v4, ip + 12, sizeof(v4));
	return sl_ip_from_v4(v4);
}

static void
check_nd(const uint8_t *ip, const struct sl_net_ip *header, uint16_t vlan)
{
	struct rte_ether_addr dst = {0};
	uint8_t frame[SL_ND_FRAME_MAX];
	struct sl_nd nd, again;
	size_t built;

	if (!sl_nd_parse(ip, &nd))
		return;
	require(ip[7] == 255, "neighbour discovery from behind a router");
	require(header->payload_len >= 24, "neighbour discovery that is cut short");
	require(l4_words(ip, IPPROTO_ICMPV6, ip + 40, header->payload_len) == 0xffff,
		"neighbour discovery with a bad checksum");
	require(!sl_ip_is_multicast(&nd.target) && !sl_ip_is_v4(&nd.target), "a bad target");
	require(!nd.has_mac || rte_is_valid_assigned_ether_addr(&nd.mac), "nobody's address");
	built = sl_nd_build(frame, &dst, &our_mac, vlan, &nd);
	require(built <= SL_ND_FRAME_MAX, "a frame too long");
	require(sl_nd_parse(frame + (vlan != 0 ? 18 : 14), &again), "built, not parsed");
	require(memcmp(&nd, &again, sizeof(nd)) == 0, "changed by a round trip");
}

static void
check_echo(uint8_t *frame, size_t len, const struct sl_net_eth *eth, const struct sl_net_ip *ip)
{
	uint8_t *packet = frame + eth->len, *icmp = packet + ip->header_len;
	uint8_t *before = malloc(len);
	struct sl_ip from = source_of(packet);
	struct sl_icmp_echo echo;

	memcpy(before, frame, len);
	if (sl_icmp_parse_reply(packet, &echo))
		require(echo.data + echo.data_len <= frame + len, "an echo behind the frame");
	if (sl_icmp_reply(frame, len, eth->len, &our_mac)) {
		require(sl_net_is_unicast(&from), "an echo reply to nobody, or to many");
		if (is_ip4(packet))
			require(add_words(0, packet, ip->header_len) == 0xffff,
				"an echo reply with a bad IPv4 header");
		require(icmp_words(packet, icmp, ip->payload_len) == 0xffff,
			"an echo reply with a bad checksum");
		require(memcmp(icmp + 4, before + (icmp - frame) + 4, ip->payload_len - 4u) == 0,
			"an echo reply with other data");
		require(!rte_is_multicast_ether_addr((struct rte_ether_addr *)frame),
			"an echo reply to many stations");
		require(!sl_icmp_reply(frame, len, eth->len, &our_mac), "a reply to a reply");
		require(sl_icmp_parse_reply(packet, &echo), "a reply that is none");
	} else {
		require(memcmp(before, frame, len) == 0, "changed, though it is no echo request");
	}
	free(before);
}

/* The same payload sent on, by both families: what is written must be what is accepted. */
static void
check_send_on(const struct sl_net_udp *udp, const uint8_t *payload)
{
	const struct sl_ip ends[] = {sl_ip_from_v4(our_ip), our_ip6};
	const struct sl_net_station to = {.address = our_ip, .address6 = our_ip6};
	uint16_t sum = sl_net_sum(payload, udp->payload_len);
	struct sl_net_udp udp_out;
	struct sl_net_ip ip_out;
	struct sl_net_flow flow;

	for (unsigned int i = 0; i < RTE_DIM(ends); i++) {
		size_t len, at;
		uint8_t *out;

		sl_net_flow_init(&flow, &ends[i], &ends[i], PORT, RTE_BE16(9001), 64);
		len = (size_t)flow.headers_len + udp->payload_len;
		if (len > UINT16_MAX)
			continue;
		at = flow.headers_len - 8u;
		out = malloc(len);
		sl_net_flow_write(&flow, out, udp->payload_len, &sum);
		memcpy(out + flow.headers_len, payload, udp->payload_len);
		require(i == 1 || add_words(0, out, 20) == 0xffff, "a wrong IPv4 checksum");
		require(l4_words(out, IPPROTO_UDP, out + at, len - at) == 0xffff,
			"a UDP checksum that is wrong");
		require(out[at + 6] != 0 || out[at + 7] != 0,
			"a UDP checksum of 0 says there is none");
		require(sl_net_check_ip(out, len, sl_net_flow_type(&flow), &to, 0, &ip_out) ==
					SL_NET_OK &&
				sl_net_check_udp(out + at, len - at, out, RTE_BE16(9001), 0,
					&udp_out) == SL_NET_OK,
			"sent, but not accepted");
		require(udp_out.payload_len == udp->payload_len && udp_out.payload_sum == sum,
			"accepted as another payload");
		free(out);
	}
}

static void
check_udp(const uint8_t *packet, const struct sl_net_ip *ip, unsigned int known_good)
{
	const uint8_t *data = packet + ip->header_len;
	struct sl_net_udp udp;
	uint16_t udp_len;

	if (sl_net_check_udp(data, ip->payload_len, packet, PORT, known_good, &udp) != SL_NET_OK)
		return;
	udp_len = (uint16_t)(udp.payload_len + 8u);
	require(udp_len <= ip->payload_len, "a UDP payload that ends behind the packet");
	require(is_ip4(packet) || data[6] != 0 || data[7] != 0, "IPv6 without a checksum");
	if (known_good == 0 && (data[6] != 0 || data[7] != 0)) {
		require(udp.is_sum_known, "checked, but its sum is not known");
		require(l4_words(packet, IPPROTO_UDP, data, udp_len) == 0xffff,
			"a bad UDP checksum accepted");
		require(rte_be_to_cpu_16(udp.payload_sum) ==
				add_words(0, data + 8, udp.payload_len),
			"the payload's sum is wrong");
	}
	check_send_on(&udp, data + 8);
}

static void
check_ip(uint8_t *frame, size_t len, const struct sl_net_eth *eth,
	const struct sl_net_station *station, unsigned int known_good)
{
	const uint8_t *data = frame + eth->len;
	struct sl_net_ip ip;

	if (sl_net_check_ip(data, len - eth->len, eth->type, station, known_good, &ip) != SL_NET_OK)
		return;
	require((size_t)eth->len + ip.header_len + ip.payload_len <= len,
		"an IP packet that ends behind the frame");
	require(is_ip4(data) == (eth->type == RTE_ETHER_TYPE_IPV4), "the other version");
	if (is_ip4(data)) {
		if (known_good == 0)
			require(add_words(0, data, ip.header_len) == 0xffff, "a bad checksum");
		require((data[6] & 0x3f) == 0 && data[7] == 0, "a fragment");
	}
	if (ip.proto == IPPROTO_UDP)
		check_udp(data, &ip, known_good);
	else if (ip.proto == IPPROTO_ICMPV6 && sl_nd_is_nd(data))
		check_nd(data, &ip, station->vlan);
	else
		check_echo(frame, len, eth, &ip);
}

static void
check(const uint8_t *data, size_t size, uint16_t vlan, unsigned int known_good)
{
	const struct sl_net_station station = {
		.mac = our_mac,
		.vlan = vlan,
		.address = our_ip,
		.address6 = our_ip6,
	};
	struct sl_net_eth eth;
	uint8_t *frame = malloc(size);

	if (size != 0)
		memcpy(frame, data, size);
	if (sl_net_check_eth(frame, size, &station, &eth) == SL_NET_OK) {
		require(eth.len <= size, "an Ethernet header longer than the frame");
		if (eth.type == RTE_ETHER_TYPE_ARP)
			check_arp(frame + eth.len, size - eth.len, vlan);
		else
			check_ip(frame, size, &eth, &station, known_good);
	}
	free(frame);
}

static void
seal(uint8_t *sum_at, uint32_t sum, bool is_udp)
{
	sum = sum == 0xffff && is_udp ? sum : ~sum;
	sum_at[0] = (uint8_t)(sum >> 8);
	sum_at[1] = (uint8_t)sum;
}

/* The same for IPv6; groups stay. */
static void
mend6(uint8_t *ip, size_t size)
{
	bool is_udp = ip[6] == IPPROTO_UDP;
	uint8_t *l4 = ip + 40, *sum_at;
	size_t len;

	if (size < 48)
		return;
	len = (size_t)ip[4] << 8 | ip[5];
	if (ip[24] != 0xff)
		memcpy(ip + 24, our_ip6.bytes, sizeof(our_ip6.bytes));
	if (is_udp) {
		l4[2] = PORT & 0xff;
		l4[3] = PORT >> 8;
		len = (size_t)l4[4] << 8 | l4[5];
	}
	if (len < 8 || len > size - 40)
		return;
	sum_at = l4 + (is_udp ? 6 : 2);
	sum_at[0] = sum_at[1] = 0;
	seal(sum_at, l4_words(ip, ip[6], l4, len), is_udp);
}

/* Make true what a fuzzer hardly finds: addresses, port and checksums. Lengths stay as they are. */
static void
mend(uint8_t *frame, size_t size)
{
	size_t at = 14, ip_len, len, sum_at;
	uint8_t *ip;
	uint32_t sum;

	if (size < at)
		return;
	if (frame[0] != 0x33)
		memcpy(frame, &our_mac, sizeof(our_mac));
	if (frame[12] == 0x81 && frame[13] == 0)
		at = 18;
	if (size < at + 20)
		return;
	ip = frame + at;
	if (ip[0] >> 4 == 6) {
		mend6(ip, size - at);
		return;
	}
	if (!is_ip4(ip))
		return;
	memcpy(ip + 16, &our_ip, sizeof(our_ip));
	ip_len = (size_t)(ip[0] & 0xf) * 4;
	len = (size_t)ip[2] << 8 | ip[3];
	if (ip_len < 20 || len < ip_len + 8 || len > size - at)
		return;
	ip[10] = ip[11] = 0;
	sum = ~add_words(0, ip, ip_len);
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	len -= ip_len;
	ip += ip_len;
	sum_at = frame[at + 9] == IPPROTO_UDP ? 6 : 2;
	if (sum_at == 6) {
		ip[2] = PORT & 0xff;
		ip[3] = PORT >> 8;
		len = (size_t)ip[4] << 8 | ip[5];
		if (len < 8 || len > size - (size_t)(ip - frame))
			return;
	}
	ip[sum_at] = ip[sum_at + 1] = 0;
	sum = sum_at == 6 ? l4_words(frame + at, IPPROTO_UDP, ip, len) : add_words(0, ip, len);
	seal(ip + sum_at, sum, sum_at == 6);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const unsigned int all_good = SL_NET_IP_SUM_KNOWN_GOOD | SL_NET_UDP_SUM_KNOWN_GOOD;
	uint8_t *mended;

	if (size > UINT16_MAX)
		return 0;
	mended = malloc(size);
	if (size != 0)
		memcpy(mended, data, size);
	mend(mended, size);
	for (unsigned int vlan = 0; vlan <= VLAN; vlan += VLAN) {
		check(data, size, (uint16_t)vlan, 0);
		check(data, size, (uint16_t)vlan, all_good);
		check(mended, size, (uint16_t)vlan, 0);
	}
	free(mended);
	return 0;
}
