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

#define ARGS_MAX 24

/* Split a command line at its blanks and parse it. */
static int
parse(const char *line, struct options *o, char *error, size_t error_len)
{
	static char buf[512];
	static char name[] = "--";
	char *argv[ARGS_MAX + 1] = {name}, *save;
	int argc = 1;

	assert_true(strlen(line) < sizeof(buf));
	strcpy(buf, line);
	for (char *p = strtok_r(buf, " ", &save); p != NULL; p = strtok_r(NULL, " ", &save)) {
		assert_true(argc < ARGS_MAX);
		argv[argc++] = p;
	}
	return options_parse(o, argc, argv, error, error_len);
}

static void
parse_good(const char *line, struct options *o)
{
	char error[256] = "";

	if (parse(line, o, error, sizeof(error)) != 0)
		fail_msg("%s: refused: %s", line, error);
}

static void
test_defaults(void **state)
{
	struct options o;

	parse_good("--tx 0 --rx 1", &o);
	assert_string_equal(o.tx, "0");
	assert_string_equal(o.rx, "1");
	assert_int_equal(o.packer.dst_port, 7500);
	assert_int_equal(o.packer.batch, 1);
	assert_true(o.packer.has_udp_checksum);
	assert_int_equal(o.rate_msgs_per_s, 0);
	assert_true(o.count == UINT64_MAX);
	assert_int_equal(o.verify, OPTIONS_VERIFY_FULL);
	assert_int_equal(o.traffic.nb_classes, 3);
	assert_int_equal(o.traffic.sizes[0].min, 128);
	assert_false(o.is_json);
	assert_false(o.has_dst_mac);
}

static void
test_values(void **state)
{
	static const uint8_t mac[] = {2, 0, 0, 0, 0, 0x2a};
	struct options o;

	parse_good(
		"--tx net_memif0 --src-ip 10.1.0.2 --dst-ip 10.1.0.1 --dst-mac 02:00:00:00:00:2a "
		"--count 12 --seed 18446744073709551615 --batch 256 --udp-checksum off",
		&o);
	assert_int_equal(o.packer.src_ip, RTE_BE32(0x0a010002));
	assert_int_equal(o.packer.dst_ip, RTE_BE32(0x0a010001));
	assert_true(o.has_dst_mac);
	assert_memory_equal(o.packer.dst_mac.addr_bytes, mac, sizeof(mac));
	assert_int_equal(o.count, 12);
	assert_true(o.traffic.seed == UINT64_MAX);
	assert_int_equal(o.packer.batch, 256);
	assert_false(o.packer.has_udp_checksum);

	parse_good(
		"--rx 0 --sink-net 10.2.3.4/16 --verify fields --allow-loss --per-destination", &o);
	assert_null(o.tx);
	assert_int_equal(o.sink_net, RTE_BE32(0x0a020000));
	assert_int_equal(o.sink_mask, RTE_BE32(0xffff0000));
	assert_int_equal(o.verify, OPTIONS_VERIFY_FIELDS);
	assert_true(o.is_loss_allowed);
	assert_true(o.has_destinations_report);

	parse_good(
		"--tx 0 --duplicates 3% --second-feed 0.5 --duplicate-distance 7 --size 0-9:1,20 "
		"--classes 0:1,8 --destination-name d%u --destination-first 0",
		&o);
	assert_true(o.traffic.retransmitted_share == 0.03);
	assert_true(o.traffic.second_feed_share == 0.005);
	assert_int_equal(o.traffic.distance, 7);
	assert_int_equal(o.traffic.nb_sizes, 2);
	assert_int_equal(o.traffic.sizes[0].max, 9);
	assert_int_equal(o.traffic.sizes[1].min, 20);
	assert_int_equal(o.traffic.sizes[1].weight, 1);
	assert_int_equal(o.traffic.classes[1].level, 8);
	assert_string_equal(o.traffic.destinations.pattern, "d%u");
	assert_int_equal(o.traffic.destinations.first, 0);
}

static void
test_json_with_and_without_file(void **state)
{
	struct options o;

	parse_good("--tx 0 --json", &o);
	assert_true(o.is_json);
	assert_null(o.json_path);
	parse_good("--json out.json --tx 0", &o);
	assert_string_equal(o.json_path, "out.json");
	parse_good("--json=out.json --tx 0", &o);
	assert_string_equal(o.json_path, "out.json");
	parse_good("--json --tx 0", &o);
	assert_true(o.is_json);
	assert_null(o.json_path);
}

static void
test_refusals_name_the_option(void **state)
{
	static const struct {
		const char *line;
		const char *named;
	} bad[] = {
		{"", "--tx"},
		{"--count 5", "--tx"},
		{"--tx 0 --count 0", "--count"},
		{"--tx 0 --count -1", "--count"},
		{"--tx 0 --count 5x", "--count"},
		{"--tx 0 --count 99999999999999999999", "--count"},
		{"--tx 0 --batch 257", "--batch"},
		{"--tx 0 --mtu 575", "--mtu"},
		{"--tx 0 --mtu 9001", "--mtu"},
		{"--tx 0 --src-ip 10.0.0", "--src-ip"},
		{"--tx 0 --dst-ip 10.0.0.256", "--dst-ip"},
		{"--tx 0 --dst-mac 02:00:00:00:00", "--dst-mac"},
		{"--tx 0 --dst-mac 00:00:00:00:00:00", "--dst-mac"},
		{"--tx 0 --dst-mac ff:ff:ff:ff:ff:ff", "--dst-mac"},
		{"--rx 0 --sink-net 10.0.0.0/33", "--sink-net"},
		{"--rx 0 --sink-net 10.0.0.0/", "--sink-net"},
		{"--rx 0 --sink-net 1234567890123456789", "--sink-net"},
		{"--tx 0 --classes 9", "--classes"},
		{"--tx 0 --classes 1:", "--classes"},
		{"--tx 0 --classes 1:1,", "--classes"},
		{"--tx 0 --classes 0,1,2,3,4,5,6,7,8,0", "--classes"},
		{"--tx 0 --size 65001", "--size"},
		{"--tx 0 --size 9-8", "--size"},
		{"--tx 0 --size 1,,2", "--size"},
		{"--tx 0 --size -5", "--size"},
		{"--tx 0 --duplicates 101%", "--duplicates"},
		{"--tx 0 --duplicates nan", "--duplicates"},
		{"--tx 0 --second-feed 3%%", "--second-feed"},
		{"--tx 0 --destination-name table", "--destination-name"},
		{"--tx 0 --destination-name %s%u", "--destination-name"},
		{"--tx 0 --verify some", "--verify"},
		{"--tx 0 --udp-checksum maybe", "--udp-checksum"},
		{"--tx 0 --no-such-option", "--no-such-option"},
		{"--tx 0 --count", "--count"},
		{"--tx 0 stray", "stray"},
		{"--pcap f", "--count"},
		{"--pcap f --count 1", "--dst-mac"},
		{"--pcap f --count 1 --dst-mac 02:00:00:00:00:01 --tx 0", "--tx"},
		{"--rx 0 --rate 5", "--rate"},
	};
	struct options o;
	char error[256];

	for (unsigned int i = 0; i < RTE_DIM(bad); i++) {
		error[0] = '\0';
		if (parse(bad[i].line, &o, error, sizeof(error)) != -EINVAL)
			fail_msg("'%s' was accepted", bad[i].line);
		if (strstr(error, bad[i].named) == NULL)
			fail_msg("'%s': '%s' does not name %s", bad[i].line, error, bad[i].named);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_json_with_and_without_file),
		cmocka_unit_test(test_refusals_name_the_option),
	};

	return cmocka_run_group_tests_name("gen_options", tests, NULL, NULL);
}
