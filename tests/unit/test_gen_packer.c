/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "options.h"
#include "packer.h"

#define NB     20000
#define START  UINT64_C(1000000)
#define FRAME  (OPTIONS_MTU_MAX + RTE_ETHER_HDR_LEN)
#define SRC_IP RTE_BE32(0xc6120002)
#define DST_IP RTE_BE32(0xc6120001)
#define FEED_1 10000

/* What the reader of the frames has found out so far. */
struct reader {
	const struct traffic *traffic;
	uint64_t next; /* original expected */
	uint8_t nb_retransmitted[NB];
	uint8_t nb_second_feed[NB];
	uint64_t sent_ns[NB];
	uint64_t nb_frames;
	uint64_t nb_messages;
	uint16_t longest; /* IP packet */
};

struct rig {
	struct traffic *traffic;
	struct packer packer;
	uint8_t buffers[PACKER_NB_FEEDS][FRAME];
	struct reader reader;
};

static void
read_message(struct reader *r, const uint8_t *data, size_t len, enum packer_feed feed)
{
	uint64_t number = sl_wire_get64(data + SL_WIRE_OFF_ID_LOW);
	uint64_t sent_ns = sl_wire_get64(data + SL_WIRE_OFF_TIMESTAMP);
	struct traffic_copies copies;
	struct traffic_message m;

	assert_true(number < NB);
	traffic_message(r->traffic, number, &m);
	assert_true(traffic_is_intact(r->traffic, &m, data, len, true));
	traffic_copies(r->traffic, number, &copies);
	if (feed == PACKER_FIRST_FEED && number == r->next) {
		r->sent_ns[number] = sent_ns;
		r->next++;
		return;
	}
	/* A copy: never before the original, and the same bytes. */
	assert_true(number < r->next);
	assert_int_equal(sent_ns, r->sent_ns[number]);
	if (feed == PACKER_SECOND_FEED) {
		assert_true(copies.is_second_feed);
		r->nb_second_feed[number]++;
		return;
	}
	assert_true(copies.retransmit_after > 0);
	r->nb_retransmitted[number]++;
	/* After so many further messages; behind the last one, as soon as all are out. */
	assert_int_equal(r->next, RTE_MIN(number + copies.retransmit_after + 1, (uint64_t)NB));
}

static uint16_t
read_frame(struct reader *r, const struct datagram *frame)
{
	const struct rte_ether_hdr *eth = (const struct rte_ether_hdr *)frame->frame;
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(eth + 1);
	const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)(ip + 1);
	struct sl_wire_datagram d;
	const uint8_t *payload = (const uint8_t *)(udp + 1);
	uint16_t feed;

	assert_int_equal(eth->ether_type, RTE_BE16(RTE_ETHER_TYPE_IPV4));
	assert_int_equal(rte_be_to_cpu_16(ip->total_length), frame->frame_len - sizeof(*eth));
	assert_int_equal(
		rte_be_to_cpu_16(udp->dgram_len), frame->frame_len - sizeof(*eth) - sizeof(*ip));
	assert_int_equal(ip->src_addr, SRC_IP);
	assert_int_equal(ip->dst_addr, DST_IP);
	assert_int_equal(udp->dst_port, RTE_BE16(7500));
	assert_int_equal(rte_ipv4_cksum(ip), 0); /* over itself, when it is right */
	assert_int_equal(rte_ipv4_udptcp_cksum_verify(ip, udp), 0);
	feed = (uint16_t)(rte_be_to_cpu_16(udp->src_port) - FEED_1);
	assert_true(feed < PACKER_NB_FEEDS);
	assert_int_equal(
		sl_wire_parse(payload, (size_t)(frame->frame + frame->frame_len - payload), &d),
		SL_WIRE_OK);
	assert_int_equal(d.epoch, 0);
	assert_int_equal(d.session, 0);
	assert_int_equal(d.nb_messages, frame->nb_messages);
	for (uint16_t i = 0; i < d.nb_messages; i++)
		read_message(r, payload + d.messages[i].offset, d.messages[i].len, feed);
	r->nb_frames++;
	r->nb_messages += d.nb_messages;
	r->longest = RTE_MAX(r->longest, rte_be_to_cpu_16(ip->total_length));
	return d.nb_messages;
}

static struct rig *
make_rig(const char *sizes, uint16_t batch, uint16_t mtu, double retransmitted, double second_feed,
	uint32_t distance)
{
	struct traffic_params params = {
		.seed = 42,
		.sources = {"server%u", 1, 3},
		.destinations = {"table%u", 1, 5},
		.types = {"type%u", 1, 2},
		.retransmitted_share = retransmitted,
		.second_feed_share = second_feed,
		.distance = distance,
	};
	struct packer_params packer = {
		.src_mac = {{2, 0, 0, 0, 0, 1}},
		.dst_mac = {{2, 0, 0, 0, 0, 2}},
		.src_ip = SRC_IP,
		.dst_ip = DST_IP,
		.src_port = FEED_1,
		.dst_port = 7500,
		.mtu = mtu,
		.batch = batch,
		.has_udp_checksum = true,
	};
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	assert_int_equal(options_parse_classes("1,2,3", &params), 0);
	assert_int_equal(options_parse_sizes(sizes, &params), 0);
	assert_null(traffic_create(&params, &rig->traffic));
	rig->reader.traffic = rig->traffic;
	assert_int_equal(packer_init(&rig->packer, rig->traffic, &packer, NB, true), 0);
	for (unsigned int i = 0; i < PACKER_NB_FEEDS; i++)
		packer_give(&rig->packer, i, rig->buffers[i], rig->buffers[i]);
	return rig;
}

static void
free_rig(struct rig *rig)
{
	packer_fini(&rig->packer);
	traffic_free(rig->traffic);
	free(rig);
}

/* Pack all there is and read it back; the limit moves on in steps of 1 to 50. */
static void
pack_all(struct rig *rig)
{
	struct packer *p = &rig->packer;
	uint64_t now_ns = START;
	struct datagram *d;

	p->schedule.limit = 0;
	for (;;) {
		d = packer_fill(p, now_ns++);
		if (d == NULL && packer_is_done(p))
			d = packer_flush(p);
		if (d == NULL && packer_is_done(p))
			break;
		if (d == NULL) {
			assert_true(p->schedule.next == p->schedule.limit);
			p->schedule.limit += 1 + p->schedule.next % 50;
			continue;
		}
		assert_ptr_equal(d->cookie, rig->buffers[d->feed]);
		read_frame(&rig->reader, d);
		packer_give(p, d->feed, d->frame, d->cookie);
	}
}

static void
check_all_copies(const struct rig *rig)
{
	const struct reader *r = &rig->reader;
	uint64_t nb_by_class = 0, nb_by_destination = 0;
	struct traffic_copies copies;

	assert_int_equal(r->next, NB);
	for (uint64_t i = 0; i < NB; i++) {
		traffic_copies(rig->traffic, i, &copies);
		assert_int_equal(r->nb_retransmitted[i], copies.retransmit_after > 0);
		assert_int_equal(r->nb_second_feed[i], copies.is_second_feed);
	}
	for (unsigned int i = 0; i < 3; i++)
		nb_by_class += rig->packer.nb_by_class[i];
	for (unsigned int i = 0; i < 5; i++)
		nb_by_destination += rig->packer.nb_by_destination[i];
	assert_int_equal(nb_by_class, NB);
	assert_int_equal(nb_by_destination, NB);
}

static void
test_everything_is_packed_once(void **state)
{
	static const struct {
		const char *sizes;
		uint16_t batch, mtu;
		double retransmitted, second_feed;
		uint32_t distance;
	} cases[] = {
		{"128", 1, 1500, 0, 0, 1},
		{"0", 1, 576, 0, 0, 1},
		{"0-1300", 1, 1500, 0.03, 0, 1000},
		{"0-1300", 1, 1500, 0, 0.1, 1},
		{"0-100", 7, 1500, 0.03, 0.1, 1},
		{"0-1300", 256, 1500, 0.5, 0.5, 63},
		{"16", 4, 1500, 1, 1, 64},
		{"0-300", 256, 9000, 1, 0.3, 65},
		{"100", 3, 1500, 0.9, 1, TRAFFIC_DISTANCE_MAX},
	};
	struct rig *rig;

	for (unsigned int i = 0; i < RTE_DIM(cases); i++) {
		rig = make_rig(cases[i].sizes, cases[i].batch, cases[i].mtu, cases[i].retransmitted,
			cases[i].second_feed, cases[i].distance);
		pack_all(rig);
		check_all_copies(rig);
		assert_true(rig->reader.longest <= cases[i].mtu);
		free_rig(rig);
	}
}

static void
test_batches_are_full(void **state)
{
	struct rig *rig = make_rig("16", 8, 1500, 0, 0, 1);

	pack_all(rig);
	assert_int_equal(rig->reader.nb_frames, NB / 8);
	free_rig(rig);

	/* 13 messages of 76 + 16 bytes and the 19 of the header: 1215 bytes; one more is too long.
	 */
	rig = make_rig("16", 256, 28 + 19 + 13 * 93 + 92, 0, 0, 1);
	pack_all(rig);
	assert_int_equal(rig->reader.nb_frames, (NB + 12) / 13);
	assert_int_equal(rig->reader.longest, 28 + 19 + 13 * 93);
	free_rig(rig);
}

static void
test_stopping_early_still_sends_the_copies(void **state)
{
	struct rig *rig = make_rig("16", 1, 1500, 1, 0, 500);
	struct packer *p = &rig->packer;
	struct datagram *d;
	uint64_t nb = 0;

	while (p->schedule.next < 1000) {
		d = packer_fill(p, START);
		assert_non_null(d);
		nb++;
		packer_give(p, d->feed, d->frame, NULL);
	}
	p->schedule.end = p->schedule.next;
	assert_false(packer_is_done(p));
	while ((d = packer_fill(p, START)) != NULL) {
		nb++;
		packer_give(p, d->feed, d->frame, NULL);
	}
	assert_true(packer_is_done(p));
	assert_null(packer_flush(p));
	assert_int_equal(nb, 2 * p->schedule.next);
	free_rig(rig);
}

static void
test_uncount_takes_back(void **state)
{
	struct rig *rig = make_rig("16", 1, 1500, 0, 0, 1),
		   *half = make_rig("16", 1, 1500, 0, 0, 1);
	struct datagram *d;

	pack_all(rig);
	while (half->packer.schedule.next < NB / 2) {
		d = packer_fill(&half->packer, START);
		assert_non_null(d);
		packer_give(&half->packer, d->feed, d->frame, NULL);
	}
	packer_uncount(&rig->packer, NB / 2);
	assert_memory_equal(rig->packer.nb_by_class, half->packer.nb_by_class,
		sizeof(half->packer.nb_by_class));
	assert_memory_equal(rig->packer.nb_by_destination, half->packer.nb_by_destination,
		5 * sizeof(uint64_t));
	free_rig(rig);
	free_rig(half);
}

static void
test_longest_payload_fits_exactly(void **state)
{
	static const uint16_t mtus[] = {576, 1279, 1280, 1500, 9000};
	struct packer_params params = {.batch = 1};
	char size[16];

	for (unsigned int i = 0; i < RTE_DIM(mtus); i++) {
		struct traffic_params traffic = {
			.sources = {"s%u", 1, 1},
			.destinations = {"d%u", 1, 1},
			.types = {"t%u", 1, 1},
			.distance = 1,
		};
		uint32_t max = packer_payload_max(mtus[i]);
		struct packer packer;
		struct traffic *t;

		assert_true(max > 0);
		params.mtu = mtus[i];
		options_parse_classes("1", &traffic);
		for (uint32_t over = 0; over < 2; over++) {
			snprintf(size, sizeof(size), "%u", max + over);
			assert_int_equal(options_parse_sizes(size, &traffic), 0);
			assert_null(traffic_create(&traffic, &t));
			assert_int_equal(packer_init(&packer, t, &params, 1, false),
				over == 0 ? 0 : -EMSGSIZE);
			if (over == 0)
				packer_fini(&packer);
			traffic_free(t);
		}
	}
	assert_int_equal(packer_payload_max(100), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_is_packed_once),
		cmocka_unit_test(test_batches_are_full),
		cmocka_unit_test(test_stopping_early_still_sends_the_copies),
		cmocka_unit_test(test_uncount_takes_back),
		cmocka_unit_test(test_longest_payload_fits_exactly),
	};

	return cmocka_run_group_tests_name("gen_packer", tests, NULL, NULL);
}
