/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Raw frames through the chain the packet path runs: Ethernet, then ARP or IPv4, then ICMP or UDP.
 * Each frame is tried as it is and with its addresses, port and checksums mended, so that the
 * fuzzer reaches what is behind them; each time in a heap block of its exact size. Checksums are
 * judged by a second, byte-wise implementation.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sl_arp.h"
#include "sl_net.h"

#define PORT RTE_BE16(7500)
#define VLAN 7

static const struct rte_ether_addr our_mac = {{0x02, 0, 0, 0, 0, 0x01}};
static const rte_be32_t our_ip = RTE_BE32(0x0a000001);

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

static uint32_t
udp_words(const uint8_t *ip, const uint8_t *udp, size_t udp_len)
{
	uint8_t pseudo[12];

	memcpy(pseudo, ip + 12, 8);
	pseudo[8] = 0;
	pseudo[9] = IPPROTO_UDP;
	pseudo[10] = (uint8_t)(udp_len >> 8);
	pseudo[11] = (uint8_t)udp_len;
	return add_words(add_words(0, pseudo, sizeof(pseudo)), udp, udp_len);
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

static void
check_icmp(uint8_t *frame, size_t len, const struct sl_net_eth *eth, const struct sl_net_ip4 *ip)
{
	struct sl_net_ip4 back;
	const uint8_t *icmp = frame + eth->len + ip->header_len;
	uint8_t *before = malloc(len);

	memcpy(before, frame, len);
	if (sl_net_icmp_reply(frame, len, eth->len, &our_mac)) {
		require(sl_net_check_ip4(frame + eth->len, len - eth->len, ip->src, 0, &back) ==
				SL_NET_OK,
			"an echo reply with a bad IPv4 header");
		require(back.src == ip->dst && back.payload_len == ip->payload_len,
			"an echo reply from somebody else");
		require(icmp[0] == 0 && add_words(0, icmp, ip->payload_len) == 0xffff,
			"an echo reply with a bad checksum");
		require(memcmp(icmp + 4, before + (icmp - frame) + 4, ip->payload_len - 4u) == 0,
			"an echo reply with other data");
		require(!rte_is_multicast_ether_addr((struct rte_ether_addr *)frame),
			"an echo reply to many stations");
		require(!sl_net_icmp_reply(frame, len, eth->len, &our_mac), "a reply to a reply");
	} else {
		require(memcmp(before, frame, len) == 0, "changed, though it is no echo request");
	}
	free(before);
}

/* The same payload sent on: what is written must be what is accepted. */
static void
check_send_on(const struct sl_net_ip4 *ip, const struct sl_net_udp *udp, const uint8_t *payload)
{
	struct sl_net_flow flow;
	struct sl_net_ip4 ip_out;
	struct sl_net_udp udp_out;
	uint16_t sum = sl_net_sum(payload, udp->payload_len);
	size_t len = 28u + udp->payload_len;
	uint8_t *out = malloc(len);

	sl_net_flow_init(&flow, ip->dst, ip->src, PORT, RTE_BE16(9001), 64);
	sl_net_flow_write(&flow, out, udp->payload_len, &sum);
	memcpy(out + 28, payload, udp->payload_len);
	require(add_words(0, out, 20) == 0xffff, "an IPv4 checksum that is wrong");
	require(udp_words(out, out + 20, len - 20) == 0xffff, "a UDP checksum that is wrong");
	require(out[26] != 0 || out[27] != 0, "a UDP checksum of 0 says there is none");
	require(sl_net_check_ip4(out, len, ip->src, 0, &ip_out) == SL_NET_OK &&
			sl_net_check_udp(out + 20, len - 20, &ip_out, RTE_BE16(9001), 0,
				&udp_out) == SL_NET_OK,
		"sent, but not accepted");
	require(udp_out.payload_len == udp->payload_len && udp_out.payload_sum == sum,
		"accepted as another payload");
	free(out);
}

static void
check_udp(const uint8_t *ip_data, const struct sl_net_ip4 *ip, unsigned int known_good)
{
	const uint8_t *data = ip_data + ip->header_len;
	struct sl_net_udp udp;
	uint16_t udp_len;

	if (sl_net_check_udp(data, ip->payload_len, ip, PORT, known_good, &udp) != SL_NET_OK)
		return;
	udp_len = (uint16_t)(udp.payload_len + 8u);
	require(udp_len <= ip->payload_len, "a UDP payload that ends behind the packet");
	if (known_good == 0 && (data[6] != 0 || data[7] != 0)) {
		require(udp.is_sum_known, "checked, but its sum is not known");
		require(udp_words(ip_data, data, udp_len) == 0xffff, "a bad UDP checksum accepted");
		require(rte_be_to_cpu_16(udp.payload_sum) ==
				add_words(0, data + 8, udp.payload_len),
			"the payload's sum is wrong");
	}
	check_send_on(ip, &udp, data + 8);
}

static void
check_ip(uint8_t *frame, size_t len, const struct sl_net_eth *eth, unsigned int known_good)
{
	const uint8_t *data = frame + eth->len;
	struct sl_net_ip4 ip;

	if (sl_net_check_ip4(data, len - eth->len, our_ip, known_good, &ip) != SL_NET_OK)
		return;
	require((size_t)eth->len + ip.header_len + ip.payload_len <= len,
		"an IPv4 packet that ends behind the frame");
	if (known_good == 0)
		require(add_words(0, data, ip.header_len) == 0xffff, "a bad IPv4 checksum");
	require((data[6] & 0x3f) == 0 && data[7] == 0, "a fragment");
	if (ip.proto == IPPROTO_UDP)
		check_udp(data, &ip, known_good);
	else
		check_icmp(frame, len, eth, &ip);
}

static void
check(const uint8_t *data, size_t size, uint16_t vlan, unsigned int known_good)
{
	struct sl_net_eth eth;
	uint8_t *frame = malloc(size);

	if (size != 0)
		memcpy(frame, data, size);
	if (sl_net_check_eth(frame, size, &our_mac, vlan, &eth) == SL_NET_OK) {
		require(eth.len <= size, "an Ethernet header longer than the frame");
		if (eth.type == RTE_ETHER_TYPE_ARP)
			check_arp(frame + eth.len, size - eth.len, vlan);
		else
			check_ip(frame, size, &eth, known_good);
	}
	free(frame);
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
	memcpy(frame, &our_mac, sizeof(our_mac));
	if (frame[12] == 0x81 && frame[13] == 0)
		at = 18;
	if (size < at + 20)
		return;
	ip = frame + at;
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
	sum = sum_at == 6 ? udp_words(frame + at, ip, len) : add_words(0, ip, len);
	sum = sum == 0xffff && sum_at == 6 ? sum : ~sum;
	ip[sum_at] = (uint8_t)(sum >> 8);
	ip[sum_at + 1] = (uint8_t)sum;
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
