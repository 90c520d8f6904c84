/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The configuration reader: what is said about a wrong file. */

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_common.h>

#include "config_internal.h"
#include "test_config.h"

#define BACKENDS(list) PORTS "destinations:\n  - {name: t1, backends: [" list "]}\n"
#define PORT(list)     DESTS "ports:\n" list "\n"
#define GOOD_BACKEND   "{name: b1, address: 10.77.0.11, port: 1}"

struct bad {
	const char *text;
	unsigned int line;
	const char *key;
	const char *part; /* Of the message. */
};

/* Keys and types: what the schema alone says. */
static const struct bad bad_shapes[] = {
	{"", 1, "", "the file is empty"},
	{"# only a comment\n", 1, "", "the file is empty"},
	{"---\n", 2, "", "must be a mapping"},
	{"just text\n", 1, "", "must be a mapping, not a single value"},
	{"- a\n", 1, "", "must be a mapping, not a list"},
	{"node: x\n" DESTS, 1, "ports", "is missing"},
	{"node: x\n" PORTS, 1, "destinations", "is missing"},
	{PORTS DESTS "colour: red\n", 5, "colour", "unknown key; the keys here are node, udp_port"},
	{PORTS DESTS "node: a\nnode: b\n", 6, "node", "is there twice"},
	{PORTS DESTS "rings:\n  size: 64\n  size: 64\n", 7, "rings.size", "is there twice"},
	{PORTS DESTS "<<: {node: x}\n", 5, "<<", "unknown key"},
	{PORTS DESTS "? [a]\n: b\n", 5, "", "a key must be a word"},
	{PORTS DESTS "\"no\\0de\": b\n", 5, "no", "unknown key"},
	{PORTS DESTS "dedup: 5\n", 5, "dedup", "must be a mapping, not a single value"},
	{PORTS DESTS "dedup:\n", 5, "dedup", "must be a mapping, not a single value"},
	{PORTS DESTS "dedup: [1]\n", 5, "dedup", "must be a mapping, not a list"},
	{PORTS DESTS "dedup: {size: 1}\n", 5, "dedup.size",
		"the keys here are window_ms, capacity"},
	{PORTS DESTS "udp_port: [1]\n", 5, "udp_port", "must be a single value, not a list"},
	{PORTS DESTS "udp_port: {a: 1}\n", 5, "udp_port", "must be a single value, not a mapping"},
	{PORTS DESTS "udp_port: 75x\n", 5, "udp_port", "'75x' is not a whole number"},
	{PORTS DESTS "udp_port: 1.5\n", 5, "udp_port", "not a whole number"},
	{PORTS DESTS "udp_port: 1e3\n", 5, "udp_port", "not a whole number"},
	{PORTS DESTS "udp_port: 0x10\n", 5, "udp_port", "not a whole number"},
	{PORTS DESTS "udp_port: 07500\n", 5, "udp_port", "not a whole number"},
	{PORTS DESTS "udp_port: \"7500\"\n", 5, "udp_port", "without quotes"},
	{PORTS DESTS "udp_port: -\n", 5, "udp_port", "block sequence entries are not allowed"},
	{PORTS DESTS "udp_port: '-'\n", 5, "udp_port", "not a whole number"},
	{PORTS DESTS "udp_port:\n", 5, "udp_port", "'' is not a whole number"},
	{PORTS DESTS "udp_port: 9223372036854775808\n", 5, "udp_port", "not a whole number"},
	{PORTS "destinations: {name: x}\n", 3, "destinations", "must be a list, not a mapping"},
	{PORTS "destinations: 3\n", 3, "destinations", "must be a list, not a single value"},
	{PORTS "destinations: []\n", 3, "destinations", "is an empty list"},
	{PORTS "destinations:\n  - backends: [" GOOD_BACKEND "]\n", 4, "destinations[0].name",
		"is missing"},
	{PORTS "destinations:\n  - t1\n", 4, "destinations[0]", "must be a mapping"},
	{BACKENDS("{name: b, address: 10.77.0.3}"), 4, "destinations[0].backends[0].port",
		"is missing"},
	{BACKENDS(GOOD_BACKEND ", {name: b, address: 10.77.0.3, port: 1, wait: 3}"), 4,
		"destinations[0].backends[1].wait", "unknown key"},
	{DEST("kind: stack"), 4, "destinations[0].kind", "give one of: queue, topic"},
	{DEST("kind: topic, policy: round-robin"), 4, "destinations[0].policy",
		"is not a key of topics"},
	{PORTS "destinations:\n  - name: t1\n    kind: topic\n    backends:\n"
	       "      - {name: b1, address: 10.77.0.3, port: 1}\n"
	       "      - {name: b2, address: 10.77.0.4, port: 1, weight: 2}\n",
		8, "destinations[0].backends[1].weight", "is not a key of a topic's backends"},
	{DEST("policy: random"), 4, "destinations[0].policy",
		"give one of: round-robin, weighted-round-robin"},
	{PORTS DESTS "idle: {nap: yes}\n", 5, "idle.nap", "give one of: auto, on, off"},
	{PORTS DESTS "lcores:\n  - {lcore: 1, roles: [rx, cook]}\n", 6, "lcores[0].roles[1]",
		"unknown value 'cook'; give one of: rx, worker"},
	{PORTS DESTS "lcores:\n  - {lcore: 1, roles: [[rx]]}\n", 6, "lcores[0].roles[0]",
		"must be a word"},
	{PORTS DESTS "lcores:\n  - {lcore: 1, roles: [rx, rx, worker]}\n", 6, "lcores[0].roles[2]",
		"too many entries; give each of rx, worker once"},
	{PORTS DESTS "lcores:\n  - {lcore: 1, roles: rx}\n", 6, "lcores[0].roles",
		"must be a list, not a single value; write [rx, worker]"},
	{PORTS DESTS "lcores:\n  - {lcore: 1, roles: []}\n", 6, "lcores[0].roles",
		"is an empty list"},
	{PORTS DESTS "classes: []\n", 5, "classes", "is an empty list"},
	{PORT("  - {name: p, device: d, address: 10.77.0.1/24, send_udp_checksum: ture}"), 4,
		"ports[0].send_udp_checksum", "'ture' is neither true nor false"},
	{PORTS DESTS "node: \"a\\0b\"\n", 5, "node", "has a NUL character"},
	{PORTS DESTS "node: &n x\n", 5, "node", "anchors (&) and aliases (*) are not taken"},
	{PORTS DESTS "node: *n\n", 5, "node", "anchors (&) and aliases (*) are not taken"},
	{PORTS DESTS "rings: &r {size: 64}\n", 5, "rings", "anchors"},
	{PORTS DESTS "rules: &r []\n", 5, "rules", "anchors"},
	{PORTS DESTS "node: !!str x\n", 5, "node", "tags (!) are not taken"},
	{PORTS DESTS "---\nnode: x\n", 5, "", "a second document begins"},
	{"%YAML 1.1\n---\n" PORTS DESTS, 1, "", "directives (%) are not taken"},
	{PORTS DESTS "...\n%TAG ! x\n", 6, "", "directives (%) are not taken"},
	{PORTS DESTS "node: x\xe2\x80\xa8%TAG ! x\n", 5, "", "directives (%) are not taken"},
	{"\xef\xbb\xbf%TAG ! x\n", 1, "", "directives (%) are not taken"},
	{"\xff\xfe:\n", 1, "", "the file is UTF-16; save the file as UTF-8"},
	{PORTS DESTS "node: [[[[[[[[[[[[\n", 5, "node", "must be a single value, not a list"},
	{PORTS "destinations:\n  - name: x\n   backends: 3\n", 5, "destinations[0]", "not YAML: "},
	{PORTS DESTS "node: \"x\n", 6, "node", "not YAML: found unexpected end of stream"},
	{PORTS DESTS "node: @x\n", 5, "node", "not YAML: "},
	{PORTS DESTS "\tnode: x\n", 5, "", "not YAML: "},
	{PORTS DESTS "node: a\x01z\n", 5, "", "not text: control characters are not allowed"},
	{PORTS DESTS "node: a\xffz\n", 5, "", "save the file as UTF-8"},
};

/* Values that stand for themselves. */
static const struct bad bad_values[] = {
	{PORTS DESTS "udp_port: 0\n", 5, "udp_port", "0 is out of bounds; give 1 to 65535"},
	{PORTS DESTS "udp_port: 65536\n", 5, "udp_port", "65536 is out of bounds"},
	{PORTS DESTS "udp_port: -1\n", 5, "udp_port", "-1 is out of bounds"},
	{PORTS DESTS "epoch: 0\n", 5, "epoch", "give 1 to 4294967295"},
	{PORTS DESTS "epoch: 4294967296\n", 5, "epoch", "out of bounds"},
	{PORTS DESTS "mbufs: 511\n", 5, "mbufs", "give at least 512, or 0"},
	{PORTS DESTS "mbufs: 67108865\n", 5, "mbufs", "give 0 to 67108864"},
	{PORTS DESTS "drain_timeout_ms: 600001\n", 5, "drain_timeout_ms", "give 0 to 600000"},
	{PORTS DESTS "dedup:\n  window_ms: 0\n", 6, "dedup.window_ms", "give 1 to 3600000"},
	{PORTS DESTS "dedup:\n  capacity: 1023\n", 6, "dedup.capacity", "give 1024 to 134217728"},
	{PORTS DESTS "idle: {nap_us: 1001}\n", 5, "idle.nap_us", "give 1 to 1000"},
	{PORTS DESTS "rings: {size: 63}\n", 5, "rings.size", "give 64 to 1048576"},
	{PORTS DESTS "rings: {size: 1000}\n", 5, "rings.size",
		"not a power of 2; give one, like 1024"},
	{PORTS DESTS "arp: {reachable_ms: 999}\n", 5, "arp.reachable_ms", "give 1000 to 86400000"},
	{PORTS DESTS "arp: {retry_ms: 9}\n", 5, "arp.retry_ms", "give 10 to 60000"},
	{PORTS DESTS "arp: {retry_max_ms: 3600001}\n", 5, "arp.retry_max_ms", "give 10 to 3600000"},
	{PORTS DESTS "arp: {retry_max_ms: 999}\n", 5, "arp.retry_max_ms",
		"is below retry_ms, 1000"},
	{PORTS DESTS "arp: {max_tries: 0}\n", 5, "arp.max_tries", "give 1 to 100"},
	{PORTS DESTS "lcores: [{lcore: -1, roles: [rx]}]\n", 5, "lcores[0].lcore", "give 0 to "},
	{PORTS DESTS "lcores: [{lcore: 100000, roles: [rx]}]\n", 5, "lcores[0].lcore",
		"out of bounds"},
	{PORTS DESTS "classes: [{level: 0, name: x}]\n", 5, "classes[0].level", "give 1 to 8"},
	{PORTS DESTS "classes: [{level: 9, name: x}]\n", 5, "classes[0].level", "give 1 to 8"},
	{PORTS DESTS "classes: [{level: 1, name: x, min_share_percent: 101}]\n", 5,
		"classes[0].min_share_percent", "give 0 to 100"},
	{PORTS DESTS "classes: [{level: 1, name: x, max_wait_ms: 3600001}]\n", 5,
		"classes[0].max_wait_ms", "give 0 to 3600000"},
	{PORTS DESTS "classes: [{level: 1, name: '12'}]\n", 5, "classes[0].name",
		"12 would read as a level"},
	{DEST("class_boost: 8"), 4, "destinations[0].class_boost", "give 0 to 7"},
	{DEST("queue_capacity: 0"), 4, "destinations[0].queue_capacity", "give 1 to 16777216"},
	{DEST("rate_msgs_per_s: 1000000001"), 4, "destinations[0].rate_msgs_per_s",
		"give 0 to 1000000000"},
	{DEST("burst_msgs: 0"), 4, "destinations[0].burst_msgs", "give 1 to 16777216"},
	{DEST("partitions: 65"), 4, "destinations[0].partitions", "give 1 to 64"},
	{BACKENDS("{name: b1, address: 10.77.0.11, port: 0}"), 4,
		"destinations[0].backends[0].port", "give 1 to 65535"},
	{BACKENDS("{name: b1, address: 10.77.0.11, port: 1, weight: 0}"), 4,
		"destinations[0].backends[0].weight", "give 1 to 65535"},
	{BACKENDS(GOOD_BACKEND ", {name: b2, address: 10.77.0.11, port: 1, rate_msgs_per_s: -5}"),
		4, "destinations[0].backends[1].rate_msgs_per_s", "-5 is out of bounds"},
	{PORTS DESTS "rules: [{priority: 0, class: high}]\n", 5, "rules[0].priority",
		"give 1 to 8"},
	{PORTS DESTS "node: ''\n", 5, "node", "is empty; give 1 to 63 bytes"},
	{PORTS DESTS "node:\n", 5, "node", "is empty"},
	{PORTS DESTS "node: 0123456789012345678901234567890123456789012345678901234567890123\n", 5,
		"node", "'0123456789012345...' has 64 bytes; give 1 to 63"},
	{PORTS DESTS "node: \"a\\x07b\"\n", 5, "node", "'a?b' has control characters"},
	{PORTS DESTS "node: \"a\\x85b\"\n", 5, "node", "has control characters"},
	{PORTS DESTS "node: \"a\\u2028b\"\n", 5, "node", "has control characters"},
	{PORTS DESTS "rules: [{source: '', class: high}]\n", 5, "rules[0].source", "is empty"},
	{PORTS DESTS "rules: [{destination: '', class: high}]\n", 5, "rules[0].destination",
		"is empty"},
	{PORTS DESTS "rules: [{type: '', class: high}]\n", 5, "rules[0].type", "is empty"},
};

#define PORT2(second) PORT("  - {name: p, device: d, address: 10.77.0.1/24}\n" second)

/* Values that must fit others. */
static const struct bad bad_relations[] = {
	{PORT("  - {name: p, device: d, address: 10.77.0.1}"), 4, "ports[0].address",
		"'10.77.0.1' is not an address with its prefix length; write it like 10.77.0.1/24"},
	{PORT("  - {name: p, device: d, address: 10.77.0.1/33}"), 4, "ports[0].address", "prefix"},
	{PORT("  - {name: p, device: d, address: 10.77.0.1/2x}"), 4, "ports[0].address", "prefix"},
	{PORT("  - {name: p, device: d, address: 10.77.0/24}"), 4, "ports[0].address",
		"'10.77.0' is not an IP address"},
	{PORT("  - {name: p, device: d, address: fd00::1/64}"), 4, "ports[0].address",
		"fd00::1 is an IPv6 address; give it as address6"},
	{PORT("  - {name: p, device: d, address: 224.0.0.1/24}"), 4, "ports[0].address",
		"give a unicast address"},
	{PORT("  - {name: p, device: d, address: 127.0.0.1/8}"), 4, "ports[0].address", "unicast"},
	{PORT("  - {name: p, device: d, address: 10.77.0.0/24}"), 4, "ports[0].address",
		"the subnet's own or its broadcast address"},
	{PORT("  - {name: p, device: d, address: 10.77.0.255/24}"), 4, "ports[0].address",
		"the subnet's own or its broadcast address"},
	{PORT("  - {name: p, device: d, address: 10.77.0.1/24, vlan: 4095}"), 4, "ports[0].vlan",
		"give 0 to 4094"},
	{PORT("  - {name: p, device: d, address: 10.77.0.1/24, mtu: 575}"), 4, "ports[0].mtu",
		"give 576 to 9000"},
	{PORT("  - {name: p, device: d, address: 10.77.0.1/24, gateway: 10.78.0.1}"), 4,
		"ports[0].gateway", "is no station's address on the port's subnet"},
	{PORT("  - {name: p, device: d, address: 10.77.0.1/24, gateway: 10.77.0.255}"), 4,
		"ports[0].gateway", "is no station's address on the port's subnet"},
	{PORT("  - {name: p, device: d, address: 10.77.0.1/24, gateway: 10.77.0.1}"), 4,
		"ports[0].gateway", "is the port's own address"},
	{PORT2("  - {name: p, device: e, address: 10.78.0.1/24}"), 5, "ports[1].name",
		"'p' is the name of ports[0], too"},
	{PORT2("  - {name: q, device: d, address: 10.78.0.1/24}"), 5, "ports[1].device",
		"d is ports[0]'s, too"},
	{PORT2("  - {name: q, device: e, address: 10.77.0.1/16}"), 5, "ports[1].address",
		"is ports[0]'s, too"},
	{PORT2("  - {name: q, device: e, address: 10.77.0.2/24}"), 5, "ports[1].address",
		"lies on the same subnet as ports[0]"},
	{PORTS DESTS "lcores:\n  - {lcore: 1, roles: [rx, worker]}\n  - {lcore: 1, roles: [rx]}\n",
		7, "lcores[1].lcore", "1 is in the list already"},
	{PORTS DESTS "lcores:\n  - {lcore: 1, roles: [rx]}\n", 5, "lcores",
		"no lcore has the role worker"},
	{PORTS DESTS "lcores:\n  - {lcore: 1, roles: [worker]}\n", 5, "lcores",
		"no lcore has the role rx"},
	{PORTS DESTS "classes:\n  - {level: 2, name: x}\n  - {level: 2, name: y}\n", 7,
		"classes[1].level", "2 is classes[0]'s, too"},
	{PORTS DESTS "classes:\n  - {level: 3, name: x}\n  - {level: 2, name: x}\n", 7,
		"classes[1].name", "'x' is the name of classes[0], too"},
	{PORTS DESTS "classes:\n  - {level: 2, name: x, min_share_percent: 60}\n"
		     "  - {level: 3, name: y, min_share_percent: 41}\n",
		5, "classes", "adds up to 101; make it 100 or less"},
	{DEST("default_class: 4"), 4, "destinations[0].default_class",
		"there is no class '4'; give one of: high (1), medium (2), low (3)"},
	{DEST("default_class: vip"), 4, "destinations[0].default_class", "there is no class 'vip'"},
	{DEST("default_class: ''"), 4, "destinations[0].default_class", "there is no class ''"},
	{PORTS DESTS "rules:\n  - {type: a, class: high}\n  - {type: b, class: hihg}\n", 7,
		"rules[1].class", "there is no class 'hihg'; give one of: high (1)"},
	{PORTS DESTS "rules:\n  - {type: b}\n", 6, "rules[0].class", "is missing"},
	{PORTS DESTS "rules:\n  - {destination: t2, class: high}\n", 6, "rules[0].destination",
		"there is no destination 't2'"},
	{PORTS DESTS "rules:\n  - {source: t2, destination: t2, class: high}\n", 6,
		"rules[0].destination", "there is no destination 't2'"},
	{PORTS "destinations:\n  - {name: x, backends: [" GOOD_BACKEND "]}\n"
	       "  - {name: x, backends: [" GOOD_BACKEND "]}\n",
		5, "destinations[1].name", "'x' is the name of destinations[0], too"},
	{BACKENDS(GOOD_BACKEND ",\n" GOOD_BACKEND), 5, "destinations[0].backends[1].name",
		"'b1' is the name of backends[0] of this destination, too"},
	{BACKENDS("{name: b, address: kitchen, port: 1}"), 4, "destinations[0].backends[0].address",
		"'kitchen' is not an IP address"},
	{BACKENDS("{name: b, address: 0.0.0.0, port: 1}"), 4, "destinations[0].backends[0].address",
		"give a unicast address"},
	{BACKENDS("{name: b, address: 255.255.255.255, port: 1}"), 4,
		"destinations[0].backends[0].address", "give a unicast address"},
	{BACKENDS("{name: b, address: 10.77.0.1, port: 1}"), 4,
		"destinations[0].backends[0].address", "10.77.0.1 is a port's own address"},
	{BACKENDS("{name: b, address: 10.77.0.255, port: 1}"), 4,
		"destinations[0].backends[0].address", "the own or the broadcast address"},
	{BACKENDS("{name: b, address: 10.78.0.9, port: 1}"), 4,
		"destinations[0].backends[0].address",
		"10.78.0.9 is on no port's subnet and no port has a gateway"},
	{PORTS DESTS "neighbours:\n  - {address: 10.78.0.2, mac: 02:00:00:00:00:01}\n", 6,
		"neighbours[0].address", "is on no port's subnet"},
	{PORTS DESTS "neighbours:\n  - {address: 10.77.0.1, mac: 02:00:00:00:00:01}\n", 6,
		"neighbours[0].address", "is ports[0]'s own address"},
	{PORTS DESTS "neighbours:\n  - {address: 10.77.0.2, mac: 02:00:00:00:00:01}\n"
		     "  - {address: 10.77.0.2, mac: 02:00:00:00:00:02}\n",
		7, "neighbours[1].address", "is neighbours[0]'s, too"},
	{PORTS DESTS "neighbours:\n  - {address: 10.77.0.2, mac: 02:00:00:00:00}\n", 6,
		"neighbours[0].mac", "is not one station's MAC address"},
	{PORTS DESTS "neighbours:\n  - {address: 10.77.0.2, mac: 02:00:00:00:00:01:02}\n", 6,
		"neighbours[0].mac", "is not one station's MAC address"},
	{PORTS DESTS "neighbours:\n  - {address: 10.77.0.2, mac: 01:00:5e:00:00:01}\n", 6,
		"neighbours[0].mac", "is not one station's MAC address"},
	{PORTS DESTS "neighbours:\n  - {address: 10.77.0.2, mac: '00:00:00:00:00:00'}\n", 6,
		"neighbours[0].mac", "is not one station's MAC address"},
};

static void
check_bad(const struct bad *bad)
{
	char error[ERROR_LEN], start[ERROR_LEN];
	struct sl_config *config = (struct sl_config *)error;
	int ret;

	ret = sl_config_parse(
		"f.yaml", bad->text, strlen(bad->text), &config, error, sizeof(error));
	if (ret != -EINVAL)
		fail_msg("taken, returned %d:\n%s", ret, bad->text);
	assert_null(config);
	snprintf(start, sizeof(start), "f.yaml:%u: %s%s", bad->line, bad->key,
		bad->key[0] != '\0' ? ": " : "");
	if (strncmp(error, start, strlen(start)) != 0 || strstr(error, bad->part) == NULL)
		fail_msg("said: %s\nnot: %s ... %s\nfor:\n%s", error, start, bad->part, bad->text);
	/* One line that says what would be right, too. */
	assert_null(strchr(error, '\n'));
	assert_non_null(strchr(error, ';'));
}

static void
test_bad_shapes(void **state)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(bad_shapes); i++)
		check_bad(&bad_shapes[i]);
}

static void
test_bad_values(void **state)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(bad_values); i++)
		check_bad(&bad_values[i]);
}

static void
test_bad_relations(void **state)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(bad_relations); i++)
		check_bad(&bad_relations[i]);
}

/* The line of what is wrong, in a file written over many lines with comments between. */
static void
test_line_is_the_keys(void **state)
{
	static const char text[] = "# one\n"
				   "destinations:\n"
				   "  - name: a\n"
				   "    backends:\n"
				   "      - name: b\n"
				   "        address: 10.77.0.2\n"
				   "        port: 1\n"
				   "  # eight\n"
				   "  - name: c\n"
				   "    backends:\n"
				   "      - name: d\n"
				   "        address: 10.77.0.3\n"
				   "        port: 1\n"
				   "\n"
				   "      - name: e\n"
				   "        address: 10.77.0.4\n"
				   "        port: 1\n"
				   "        weight:\n"
				   "          70000\n";
	struct bad bad = {NULL, 18, "destinations[1].backends[1].weight", "70000 is out of bounds"};
	char *whole = repeat(text, "", 0, PORTS);

	bad.text = whole;
	check_bad(&bad);
	free(whole);
}

static void
test_lists_are_bounded(void **state)
{
	struct bad bad = {.part = "too many entries"};
	char *text;

	bad.text = text = repeat(
		PORTS DESTS "rules:\n", "  - {type: t%u, class: 1}\n", SL_CONFIG_RULES_MAX + 1, "");
	bad.line = 5 + SL_CONFIG_RULES_MAX + 1;
	bad.key = "rules[256]";
	check_bad(&bad);
	free(text);

	bad.text = text = repeat(DESTS "ports:\n",
		"  - {name: p%u, device: d%u, address: 10.0.%u.1/24}\n", SL_CONFIG_PORTS_MAX + 1,
		"");
	bad.line = 3 + SL_CONFIG_PORTS_MAX + 1;
	bad.key = "ports[32]";
	check_bad(&bad);
	free(text);

	bad.text = text = repeat(PORTS "destinations:\n  - name: t\n    backends:\n",
		"      - {name: b%u, address: 10.77.0.2, port: 1}\n", SL_CONFIG_BACKENDS_MAX + 1,
		"");
	bad.line = 5 + SL_CONFIG_BACKENDS_MAX + 1;
	bad.key = "destinations[0].backends[256].name";
	check_bad(&bad);
	free(text);
}

/* Keys of real names do not collide; keys of their first letter do. */
static uint64_t
hash_first_letter(const char *name)
{
	return (uint64_t)(unsigned char)name[0];
}

static void
check_collision(const char *text, const char *expected)
{
	struct sl_config *config;
	char error[ERROR_LEN];

	assert_int_equal(sl_config_parse_hashed("f.yaml", text, strlen(text), hash_first_letter,
				 &config, error, sizeof(error)),
		-EINVAL);
	assert_null(config);
	assert_string_equal(error, expected);
}

static void
test_names_with_one_key_are_named_both(void **state)
{
	struct sl_config *config;
	char error[ERROR_LEN];

	check_collision(PORTS DESTS "rules:\n  - {type: tea, class: high}\n",
		"f.yaml:6: rules[0].type: 'tea' and 't1' have the same key, 0000000000000074; "
		"rename one of them");
	check_collision(PORTS "destinations:\n"
			      "  - name: lunch\n"
			      "    backends:\n"
			      "      - {name: b, address: 10.77.0.11, port: 1}\n"
			      "      - {name: box, address: 10.77.0.11, port: 1}\n",
		"f.yaml:7: destinations[0].backends[1].name: 'box' and 'b' have the same key, "
		"0000000000000062; rename one of them");
	check_collision("node: neptune\n" PORTS DESTS,
		"f.yaml:3: ports[0].name: 'net0' and 'neptune' have the same key, "
		"000000000000006e; rename one of them");
	/* The same name twice is no collision. */
	assert_int_equal(sl_config_parse_hashed("f",
				 DEST("kind: queue") "rules: [{type: t1, "
						     "class: 1}]\n",
				 strlen(DEST("kind: queue") "rules: [{type: t1, class: 1}]\n"),
				 hash_first_letter, &config, error, sizeof(error)),
		0);
	sl_config_free(config);
}

static void
test_too_large_a_file_is_refused(void **state)
{
	size_t len = SL_CONFIG_FILE_MAX + 1;
	struct sl_config *config;
	char error[ERROR_LEN];
	char *text = malloc(len);

	assert_non_null(text);
	memset(text, '#', len);
	assert_int_equal(
		sl_config_parse("f.yaml", text, len, &config, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "f.yaml: is larger than 64 MiB; make it smaller");
	free(text);
}

/* However short the buffer, the text is terminated within it. */
static void
test_error_is_always_terminated(void **state)
{
	static const char text[] = PORTS DESTS "udp_port: 0\n";
	struct sl_config *config;
	char error[ERROR_LEN];
	size_t len;

	for (len = 0; len < 100; len++) {
		memset(error, 'x', sizeof(error));
		assert_int_equal(sl_config_parse("f.yaml", text, strlen(text), &config, error, len),
			-EINVAL);
		if (len > 0)
			assert_true(strlen(error) < len);
		assert_int_equal(error[len], 'x');
	}
}

static void
check_load(const char *path, int expected, const char *part)
{
	struct sl_config *config;
	char error[ERROR_LEN];

	assert_int_equal(sl_config_load(path, &config, error, sizeof(error)), expected);
	assert_null(config);
	if (strncmp(error, path, strlen(path)) != 0 || strstr(error, part) == NULL)
		fail_msg("said: %s", error);
}

static void
test_file_that_cannot_be_read(void **state)
{
	check_load("/nonexistent/sluice.yaml", -ENOENT,
		": cannot be read: No such file or directory; name a file");
	check_load("/", -EISDIR, ": cannot be read: Is a directory");
	check_load("/dev/null", -EINVAL, ":1: the file is empty");
	check_load("/dev/zero", -EINVAL, ": is larger than 64 MiB");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_with_one_key_are_named_both),
		cmocka_unit_test(test_bad_shapes),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_bad_relations),
		cmocka_unit_test(test_line_is_the_keys),
		cmocka_unit_test(test_lists_are_bounded),
		cmocka_unit_test(test_too_large_a_file_is_refused),
		cmocka_unit_test(test_error_is_always_terminated),
		cmocka_unit_test(test_file_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
