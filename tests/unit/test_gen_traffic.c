/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>

#include <cmocka.h>

#include "options.h"
#include "traffic.h"

#define NB 200000

static struct traffic_params
base_params(uint64_t seed)
{
	struct traffic_params p = {
		.seed = seed,
		.sources = {"server%u", 1, 7},
		.destinations = {"table%u", 1, 13},
		.types = {"type%u", 1, 3},
		.distance = 100,
	};

	assert_int_equal(options_parse_classes("1:20,2:30,3:50", &p), 0);
	assert_int_equal(options_parse_sizes("64:50,256:30,500-1024:20", &p), 0);
	return p;
}

static struct traffic *
make(const struct traffic_params *p)
{
	struct traffic *t = NULL;

	assert_null(traffic_create(p, &t));
	assert_non_null(t);
	return t;
}

static void
test_is_a_function_of_the_seed(void **state)
{
	struct traffic_params p = base_params(5), q = base_params(6);
	struct traffic *a = make(&p), *b = make(&p), *c = make(&q);
	uint8_t x[2048], y[2048], z[2048];
	struct traffic_message m, n, o;
	size_t len;
	unsigned int nb_same = 0;

	for (uint64_t i = 0; i < 2000; i++) {
		memset(&m, 0, sizeof(m));
		memset(&n, 0, sizeof(n));
		/* Asked for in another order, it is the same message. */
		traffic_message(a, i, &m);
		traffic_message(b, 1999 - i, &n);
		traffic_message(b, i, &n);
		assert_memory_equal(&m, &n, sizeof(m));
		len = (size_t)(traffic_put(a, &m, 77, x) - x);
		assert_int_equal(traffic_put(b, &n, 77, y) - y, len);
		assert_memory_equal(x, y, len);
		traffic_message(c, i, &o);
		nb_same += (size_t)(traffic_put(c, &o, 77, z) - z) == len && !memcmp(x, z, len);
		assert_true(o.id_high != m.id_high);
	}
	assert_int_equal(nb_same, 0);
	traffic_free(a);
	traffic_free(b);
	traffic_free(c);
}

static void
assert_share(uint64_t nb, double share)
{
	double sigma = share * (1 - share) * NB;

	/* Five standard deviations, and the rounding of a mix to its slots. */
	double off = (double)nb - share * NB;
	double slack = (double)NB / TRAFFIC_MIX_SLOTS;

	off = off < 0 ? -off : off;
	off = off > slack ? off - slack : 0;
	assert_true(off * off <= 25 * sigma);
}

static void
test_has_the_mix_asked_for(void **state)
{
	static const double class_shares[] = {0.2, 0.3, 0.5};
	struct traffic_params p = base_params(1);
	struct traffic *t = make(&p);
	uint64_t sources[7] = {0}, destinations[13] = {0}, types[3] = {0}, classes[3] = {0};
	uint64_t sizes[3] = {0};
	uint32_t min = UINT32_MAX, max = 0;
	struct traffic_message m;

	for (uint64_t i = 0; i < NB; i++) {
		traffic_message(t, i, &m);
		sources[m.source]++;
		destinations[m.destination]++;
		types[m.type]++;
		classes[m.class_index]++;
		if (m.payload_len == 64) {
			sizes[0]++;
		} else if (m.payload_len == 256) {
			sizes[1]++;
		} else {
			sizes[2]++;
			min = RTE_MIN(min, m.payload_len);
			max = RTE_MAX(max, m.payload_len);
		}
	}
	for (unsigned int i = 0; i < RTE_DIM(sources); i++)
		assert_share(sources[i], 1.0 / 7);
	for (unsigned int i = 0; i < RTE_DIM(destinations); i++)
		assert_share(destinations[i], 1.0 / 13);
	for (unsigned int i = 0; i < RTE_DIM(types); i++)
		assert_share(types[i], 1.0 / 3);
	for (unsigned int i = 0; i < RTE_DIM(classes); i++)
		assert_share(classes[i], class_shares[i]);
	assert_share(sizes[0], 0.5);
	assert_share(sizes[1], 0.3);
	assert_share(sizes[2], 0.2);
	assert_int_equal(min, 500);
	assert_int_equal(max, 1024);
	traffic_free(t);
}

static void
test_smallest_weight_is_not_rounded_away(void **state)
{
	static const char *const mixes[] = {
		"1:1000000,2:1", "1:1,2:1000000", "2:0,1:1000000,3:1,5:1"};
	struct traffic_params p = base_params(1);
	unsigned int nb[TRAFFIC_CLASSES_MAX];
	struct traffic *t;

	for (unsigned int i = 0; i < RTE_DIM(mixes); i++) {
		assert_int_equal(options_parse_classes(mixes[i], &p), 0);
		t = make(&p);
		memset(nb, 0, sizeof(nb));
		for (unsigned int slot = 0; slot < TRAFFIC_MIX_SLOTS; slot++)
			nb[t->class_mix[slot]]++;
		for (unsigned int j = 0; j < p.nb_classes; j++)
			assert_int_equal(nb[j] > 0, p.classes[j].weight > 0);
		traffic_free(t);
	}
}

static void
test_copies_have_the_share_asked_for(void **state)
{
	struct traffic_params p = base_params(3);
	uint64_t nb_again = 0, nb_feed = 0;
	uint32_t nearest = UINT32_MAX, farthest = 0;
	struct traffic_copies c;
	struct traffic *t;

	p.retransmitted_share = 0.03;
	p.second_feed_share = 0.1;
	t = make(&p);
	assert_true(traffic_has_copies(t));
	for (uint64_t i = 0; i < NB; i++) {
		traffic_copies(t, i, &c);
		nb_feed += c.is_second_feed;
		if (c.retransmit_after == 0)
			continue;
		nb_again++;
		nearest = RTE_MIN(nearest, c.retransmit_after);
		farthest = RTE_MAX(farthest, c.retransmit_after);
	}
	assert_share(nb_again, 0.03);
	assert_share(nb_feed, 0.1);
	assert_int_equal(nearest, 1);
	assert_int_equal(farthest, 100);
	traffic_free(t);

	p.retransmitted_share = 1;
	p.second_feed_share = 0;
	t = make(&p);
	for (uint64_t i = 0; i < 1000; i++) {
		traffic_copies(t, i, &c);
		assert_true(c.retransmit_after > 0);
		assert_false(c.is_second_feed);
	}
	traffic_free(t);
}

static void
test_names_and_keys(void **state)
{
	struct traffic_params p = base_params(1);
	struct traffic *t = make(&p);
	struct traffic_names names = {"a-%u.b", 4294967290, 3};
	char buf[TRAFFIC_NAME_MAX + 1];

	assert_true(t->destination_keys[0] == UINT64_C(0xe265c9dbf29f8fca));
	assert_true(t->source_keys[0] == UINT64_C(0x34c90d949fadbbb9));
	assert_int_equal(traffic_name(&names, 2, buf, sizeof(buf)), strlen("a-4294967292.b"));
	assert_string_equal(buf, "a-4294967292.b");
	assert_int_equal(traffic_name(&names, 2, buf, 8), 0);
	assert_true(traffic_is_pattern("x%u"));
	assert_false(traffic_is_pattern("x"));
	assert_false(traffic_is_pattern("%u%u"));
	assert_false(traffic_is_pattern("x%s%u"));
	assert_false(traffic_is_pattern("x\"%u"));
	assert_false(traffic_is_pattern("x%%u"));
	traffic_free(t);
}

/* Change every byte in turn: all but the session's own fields must be found out. */
static void
assert_every_change_is_seen(const struct traffic *t, uint64_t number)
{
	struct sl_wire_datagram d;
	struct traffic_message m;
	uint8_t good[2048], bad[2048];
	const uint8_t *msg;
	size_t len, offset;
	bool is_free, is_seen;

	traffic_message(t, number, &m);
	len = (size_t)(traffic_put(t, &m, UINT64_C(0x1122334455667788),
			       sl_wire_put_header(good, 0, 0)) -
		good);
	assert_int_equal(sl_wire_parse(good, len, &d), SL_WIRE_OK);
	assert_int_equal(d.nb_messages, 1);
	offset = d.messages[0].offset;
	assert_true(traffic_is_intact(t, &m, good + offset, d.messages[0].len, true));
	for (size_t i = 0; i < len; i++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			memcpy(bad, good, len);
			bad[i] ^= (uint8_t)(1 << bit);
			is_free = (i >= SL_WIRE_OFF_EPOCH && i < SL_WIRE_OFF_EPOCH + 4) ||
				(i >= SL_WIRE_OFF_SESSION && i < SL_WIRE_HEADER_LEN) ||
				(i >= offset + SL_WIRE_OFF_SEQUENCE &&
					i < offset + SL_WIRE_OFF_SEQUENCE + 8) ||
				(i >= offset + SL_WIRE_OFF_TIMESTAMP + m.payload_len &&
					i < offset + SL_WIRE_OFF_TIMESTAMP + 8);
			is_seen = sl_wire_parse(bad, len, &d) != SL_WIRE_OK;
			if (!is_seen) {
				msg = bad + d.messages[0].offset;
				is_seen = !traffic_is_intact(t, &m, msg, d.messages[0].len, true);
			}
			assert_int_equal(is_seen, !is_free);
		}
	}
}

static void
test_every_change_is_seen(void **state)
{
	static const char *const sizes[] = {
		"0", "1", "5", "8", "9", "53", "54", "55", "127", "128", "300"};
	struct traffic_params p = base_params(9);
	struct traffic *t;

	for (unsigned int i = 0; i < RTE_DIM(sizes); i++) {
		assert_int_equal(options_parse_sizes(sizes[i], &p), 0);
		t = make(&p);
		for (uint64_t n = 0; n < 5; n++)
			assert_every_change_is_seen(t, n * 1000003);
		traffic_free(t);
	}
}

/* One message's header with another's payload. */
static void
test_payloads_of_two_messages_differ(void **state)
{
	struct traffic_params p = base_params(2);
	uint8_t a[256], b[256], *a_end, *b_end;
	struct traffic_message m, n;
	struct traffic *t;

	assert_int_equal(options_parse_sizes("16", &p), 0);
	t = make(&p);
	traffic_message(t, 0, &m);
	for (uint64_t i = 1; i < 100000; i++) {
		traffic_message(t, i, &n);
		a_end = traffic_put(t, &m, 0, a);
		b_end = traffic_put(t, &n, 0, b);
		assert_true(traffic_is_intact(t, &m, a + 2, (size_t)(a_end - a) - 2, true));
		memcpy(a_end - 16, b_end - 16, 16);
		assert_false(traffic_is_intact(t, &m, a + 2, (size_t)(a_end - a) - 2, true));
		assert_true(traffic_is_intact(t, &m, a + 2, (size_t)(a_end - a) - 2, false));
	}
	traffic_free(t);
}

static void
test_refuses_what_cannot_be(void **state)
{
	struct traffic_params p;
	struct traffic *t;

#define REFUSED(change)                                                                            \
	do {                                                                                       \
		p = base_params(1);                                                                \
		change;                                                                            \
		assert_non_null(traffic_create(&p, &t));                                           \
	} while (0)
	REFUSED(p.sources.nb = 0);
	REFUSED(p.destinations.nb = TRAFFIC_NAMES_MAX + 1);
	REFUSED(p.types.nb = TRAFFIC_TYPES_MAX + 1);
	REFUSED(p.sources.first = UINT32_MAX - 3);
	REFUSED(strcpy(p.sources.pattern, "no number"));
	REFUSED(p.nb_classes = 0);
	REFUSED(p.classes[0].level = 9);
	REFUSED(p.classes[1].level = p.classes[0].level);
	REFUSED(p.classes[0].weight = p.classes[1].weight = p.classes[2].weight = 0);
	REFUSED(p.nb_sizes = 0);
	REFUSED(p.sizes[0].max = TRAFFIC_PAYLOAD_MAX + 1);
	REFUSED(p.sizes[2].min = 2000);
	REFUSED(p.distance = 0);
	REFUSED(p.retransmitted_share = 1.01);
	REFUSED(p.second_feed_share = -0.01);
#undef REFUSED
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_a_function_of_the_seed),
		cmocka_unit_test(test_has_the_mix_asked_for),
		cmocka_unit_test(test_smallest_weight_is_not_rounded_away),
		cmocka_unit_test(test_copies_have_the_share_asked_for),
		cmocka_unit_test(test_names_and_keys),
		cmocka_unit_test(test_every_change_is_seen),
		cmocka_unit_test(test_payloads_of_two_messages_differ),
		cmocka_unit_test(test_refuses_what_cannot_be),
	};

	return cmocka_run_group_tests_name("gen_traffic", tests, NULL, NULL);
}
