/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The configuration reader: what a right file becomes. */

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_common.h>
#include <rte_ip.h>

#include <sl_wire.h>

#include "config_internal.h"
#include "test_config.h"

#define IP(a, b, c, d) RTE_BE32((uint32_t)RTE_IPV4(a, b, c, d))
#define V4(ip)	       sl_ip_v4(&(ip))

static void
test_smallest_file_has_every_default(void **state)
{
	struct sl_config *config = parse_text(PORTS DESTS);

	assert_string_equal(config->path, "f.yaml");
	assert_string_equal(config->node, "sluice");
	assert_int_equal(config->udp_port, 7500);
	assert_int_equal(config->epoch, 1);
	assert_int_equal(config->nb_ports, 1);
	assert_string_equal(config->ports[0].name, "net0");
	assert_string_equal(config->ports[0].device, "d0");
	assert_int_equal(V4(config->ports[0].subnets[SL_IPV4].address), IP(10, 77, 0, 1));
	assert_int_equal(config->ports[0].subnets[SL_IPV4].prefix_len, 24);
	assert_true(sl_ip_is_unset(&config->ports[0].subnets[SL_IPV4].gateway));
	assert_int_equal(config->ports[0].vlan, 0);
	assert_int_equal(config->ports[0].mtu, 1500);
	assert_int_equal(config->ports[0].rx_descriptors, 1024);
	assert_int_equal(config->ports[0].tx_descriptors, 1024);
	assert_true(config->ports[0].is_udp_checksum_checked);
	assert_true(config->ports[0].is_udp_checksum_sent);
	assert_int_equal(config->nb_lcores, 0);
	assert_int_equal(config->dedup_window_ms, 60000);
	assert_int_equal(config->dedup_capacity, 1048576);
	assert_int_equal(config->nb_rules, 0);
	assert_int_equal(config->nb_neighbours, 0);
	assert_int_equal(config->nb_mbufs, 0);
	assert_int_equal(config->drain_timeout_ms, 2000);
	assert_int_equal(config->nap, SL_CONFIG_AUTO);
	assert_int_equal(config->nap_us, 50);
	assert_int_equal(config->ring_size, 4096);
	assert_int_equal(config->arp_reachable_ms, 30000);
	assert_int_equal(config->arp_retry_ms, 1000);
	assert_int_equal(config->arp_retry_max_ms, 60000);
	assert_int_equal(config->arp_max_tries, 3);
	sl_config_free(config);
}

static void
test_destination_defaults(void **state)
{
	struct sl_config *config = parse_text(PORTS DESTS);
	const struct sl_config_destination *destination = &config->destinations[0];

	assert_int_equal(config->nb_destinations, 1);
	assert_string_equal(destination->name, "t1");
	assert_int_equal(destination->key, sl_wire_name_key("t1"));
	assert_int_equal(destination->class_boost, 0);
	assert_int_equal(destination->default_class, 2);
	assert_int_equal(destination->queue_capacity, 65536);
	assert_int_equal(destination->rate_msgs_per_s, 0);
	assert_int_equal(destination->burst_msgs, 32);
	assert_int_equal(destination->policy, SL_CONFIG_ROUND_ROBIN);
	assert_int_equal(destination->partitions, 1);
	assert_int_equal(destination->nb_backends, 1);
	assert_string_equal(destination->backends[0].name, "b1");
	assert_int_equal(V4(destination->backends[0].address), IP(10, 77, 0, 11));
	assert_int_equal(destination->backends[0].port, 9001);
	assert_int_equal(destination->backends[0].weight, 1);
	assert_int_equal(destination->backends[0].rate_msgs_per_s, 0);
	assert_int_equal(destination->backends[0].port_index, 0);
	assert_int_equal(V4(destination->backends[0].next_hop), IP(10, 77, 0, 11));
	sl_config_free(config);
}

static void
test_default_classes_are_three(void **state)
{
	static const char *const names[] = {"high", "medium", "low"};
	struct sl_config *config = parse_text(PORTS DESTS);
	uint32_t i;

	assert_int_equal(config->nb_classes, 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(config->classes[i].level, i + 1);
		assert_string_equal(config->classes[i].name, names[i]);
		assert_int_equal(config->classes[i].min_share_percent, 0);
		assert_int_equal(config->classes[i].max_wait_ms, 0);
	}
	sl_config_free(config);
}

static void
test_classes_are_sorted_and_the_middle_one_is_the_default(void **state)
{
	static const char four[] = PORTS DESTS
		"classes:\n"
		"  - {level: 7, name: d, min_share_percent: 60, max_wait_ms: 3600000}\n"
		"  - {level: 2, name: a}\n"
		"  - {level: 5, name: c, min_share_percent: 40}\n"
		"  - {level: 3, name: b}\n";
	static const uint32_t levels[] = {2, 3, 5, 7};
	struct sl_config *config = parse_text(four);
	uint32_t i;

	assert_int_equal(config->nb_classes, 4);
	for (i = 0; i < 4; i++)
		assert_int_equal(config->classes[i].level, levels[i]);
	assert_string_equal(config->classes[3].name, "d");
	assert_int_equal(config->classes[3].min_share_percent, 60);
	assert_int_equal(config->classes[3].max_wait_ms, 3600000);
	assert_int_equal(config->destinations[0].default_class, 3);
	sl_config_free(config);

	config = parse_text(PORTS DESTS "classes: [{level: 8, name: only}]\n");
	assert_int_equal(config->destinations[0].default_class, 8);
	sl_config_free(config);
}

static const char everything[] = EVERYTHING;

static void
test_every_setting_is_read(void **state)
{
	struct sl_config *config = parse_text(everything);

	assert_string_equal(config->node, "küche");
	assert_int_equal(config->udp_port, 65535);
	assert_int_equal(config->epoch, UINT32_MAX);
	assert_string_equal(config->ports[0].device, "0000:03:00.0");
	assert_int_equal(V4(config->ports[0].subnets[SL_IPV4].gateway), IP(10, 1, 255, 254));
	assert_int_equal(config->ports[0].subnets[SL_IPV4].prefix_len, 16);
	assert_int_equal(config->ports[0].vlan, 4094);
	assert_int_equal(config->ports[0].mtu, 9000);
	assert_int_equal(config->ports[0].rx_descriptors, 64);
	assert_int_equal(config->ports[0].tx_descriptors, 32768);
	assert_false(config->ports[0].is_udp_checksum_checked);
	assert_false(config->ports[0].is_udp_checksum_sent);
	assert_int_equal(config->nb_lcores, 2);
	assert_int_equal(config->lcores[0].lcore, 3);
	assert_int_equal(config->lcores[0].roles, SL_ROLE_RX);
	assert_int_equal(config->lcores[1].lcore, 0);
	assert_int_equal(config->lcores[1].roles, SL_ROLE_RX | SL_ROLE_WORKER);
	assert_int_equal(config->dedup_window_ms, 1);
	assert_int_equal(config->dedup_capacity, 1 << 27);
	assert_int_equal(config->nb_mbufs, 1 << 26);
	assert_int_equal(config->drain_timeout_ms, 0);
	assert_int_equal(config->nap, SL_CONFIG_OFF);
	assert_int_equal(config->nap_us, 1000);
	assert_int_equal(config->ring_size, 64);
	assert_int_equal(config->arp_reachable_ms, 1000);
	assert_int_equal(config->arp_retry_ms, 10);
	assert_int_equal(config->arp_retry_max_ms, 10);
	assert_int_equal(config->arp_max_tries, 100);
	sl_config_free(config);
}

static void
test_every_key_of_a_destination_is_read(void **state)
{
	static const uint8_t mac[] = {0x02, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e};
	struct sl_config *config = parse_text(everything);
	const struct sl_config_destination *destination = &config->destinations[0];
	const struct sl_config_rule *rule = &config->rules[0];

	assert_int_equal(destination->class_boost, 7);
	assert_int_equal(destination->default_class, 8);
	assert_int_equal(destination->queue_capacity, 1 << 24);
	assert_int_equal(destination->rate_msgs_per_s, 1000000000);
	assert_int_equal(destination->burst_msgs, 1);
	assert_int_equal(destination->policy, SL_CONFIG_WEIGHTED_ROUND_ROBIN);
	assert_int_equal(destination->partitions, 64);
	assert_int_equal(destination->backends[0].port, 65535);
	assert_int_equal(destination->backends[0].weight, 65535);
	assert_int_equal(destination->backends[0].rate_msgs_per_s, 9);
	assert_int_equal(config->nb_rules, 2);
	assert_int_equal(rule->match,
		SL_RULE_SOURCE | SL_RULE_DESTINATION | SL_RULE_TYPE | SL_RULE_PRIORITY);
	assert_int_equal(rule->source, sl_wire_name_key("s"));
	assert_int_equal(rule->destination, sl_wire_name_key("t1"));
	assert_int_equal(rule->type, sl_wire_name_key("t"));
	assert_int_equal(rule->priority, 8);
	assert_int_equal(rule->level, 1);
	assert_int_equal(config->rules[1].match, 0);
	assert_int_equal(config->rules[1].level, 8);
	assert_int_equal(config->nb_neighbours, 2 + config->gateways.threads);
	assert_int_equal(V4(config->neighbours[0].address), IP(10, 1, 0, 2));
	assert_memory_equal(config->neighbours[0].mac.addr_bytes, mac, sizeof(mac));
	sl_config_free(config);
}

static void
test_burst_follows_the_highest_rate(void **state)
{
	struct sl_config *config;

	config = parse_text(DEST("rate_msgs_per_s: 50000"));
	assert_int_equal(config->destinations[0].burst_msgs, 500);
	sl_config_free(config);
	config = parse_text(DEST("rate_msgs_per_s: 3299"));
	assert_int_equal(config->destinations[0].burst_msgs, 32);
	sl_config_free(config);
	config = parse_text(PORTS "destinations:\n  - {name: t1, backends: ["
				  "{name: b1, address: 10.77.0.11, port: 1, rate_msgs_per_s: 70000}"
				  "]}\n");
	assert_int_equal(config->destinations[0].burst_msgs, 700);
	sl_config_free(config);
}

/* The longest prefix wins, whatever the order; else the first port with a gateway. */
static void
test_backend_finds_its_port(void **state)
{
	static const char text[] =
		"ports:\n"
		"  - {name: p0, device: d0, address: 10.9.0.1/24}\n"
		"  - {name: p1, device: d1, address: 10.1.0.1/16, gateway: 10.1.0.254}\n"
		"  - {name: p2, device: d2, address: 10.1.2.1/24, gateway: 10.1.2.254}\n"
		"  - {name: p3, device: d3, address: 10.0.0.1/8, gateway: 10.3.3.3}\n"
		"destinations:\n"
		"  - name: t\n"
		"    backends:\n"
		"      - {name: b0, address: 10.1.2.9, port: 1}\n"
		"      - {name: b1, address: 10.1.3.9, port: 1}\n"
		"      - {name: b2, address: 10.200.3.9, port: 1}\n"
		"      - {name: b3, address: 192.168.1.1, port: 1}\n"
		"      - {name: b4, address: 10.9.0.7, port: 1}\n";
	struct sl_config *config = parse_text(text);
	const struct sl_config_backend *backends = config->destinations[0].backends;

	assert_int_equal(backends[0].port_index, 2);
	assert_int_equal(V4(backends[0].next_hop), IP(10, 1, 2, 9));
	assert_int_equal(backends[1].port_index, 1);
	assert_int_equal(V4(backends[1].next_hop), IP(10, 1, 3, 9));
	assert_int_equal(backends[2].port_index, 3);
	assert_int_equal(V4(backends[2].next_hop), IP(10, 200, 3, 9));
	assert_int_equal(backends[3].port_index, 1);
	assert_int_equal(V4(backends[3].next_hop), IP(10, 1, 0, 254));
	assert_int_equal(backends[4].port_index, 0);
	sl_config_free(config);
}

static void
test_two_addresses_make_a_subnet(void **state)
{
	struct sl_config *config;

	config = parse_text(
		"ports: [{name: p, device: d, address: 10.0.0.0/31, gateway: 10.0.0.1}]\n"
		"destinations: [{name: t, backends: [{name: b, address: 10.0.0.1, port: "
		"1}]}]\n");
	assert_int_equal(V4(config->destinations[0].backends[0].next_hop), IP(10, 0, 0, 1));
	sl_config_free(config);
}

/* A byte order mark, and a per cent sign that begins no line. */
static void
test_harmless_bytes_are_taken(void **state)
{
	struct sl_config *config = parse_text(
		"\xef\xbb\xbf" PORTS DESTS "node: \xc3\xa9%50% # %\n");

	assert_string_equal(config->node, "\xc3\xa9%50%");
	sl_config_free(config);
}

static void
test_names_are_found_by_key(void **state)
{
	static const char *const names[] = {"küche", "a", "t1", "b", "s", "t", "one", "eight"};
	struct sl_config *config = parse_text(everything);
	unsigned int i;

	for (i = 0; i < RTE_DIM(names); i++)
		assert_string_equal(
			sl_config_name_of(config, sl_wire_name_key(names[i])), names[i]);
	assert_null(sl_config_name_of(config, sl_wire_name_key("nobody")));
	assert_null(sl_config_name_of(config, 0));
	assert_null(sl_config_name_of(config, UINT64_MAX));
	sl_config_free(config);
}

/* Kinds are apart: a source may be called like a destination, a backend like one elsewhere. */
static void
test_one_name_may_stand_for_several_things(void **state)
{
	static const char text[] = PORTS
		"destinations:\n"
		"  - {name: x, backends: [{name: x, address: 10.77.0.11, port: 1}]}\n"
		"  - {name: y, backends: [{name: x, address: 10.77.0.11, port: 1}]}\n"
		"rules: [{source: x, type: x, destination: x, class: 1}, {type: x, class: 2}]\n";
	struct sl_config *config = parse_text(text);

	assert_string_equal(sl_config_name_of(config, sl_wire_name_key("x")), "x");
	sl_config_free(config);
}

static void
test_lists_may_be_full(void **state)
{
	struct sl_config *config;
	char *text;

	text = repeat(PORTS "destinations:\n  - name: t\n    backends:\n",
		"      - {name: b%u, address: 10.77.0.2, port: 1}\n", SL_CONFIG_BACKENDS_MAX, "");
	config = parse_text(text);
	assert_int_equal(config->destinations[0].nb_backends, SL_CONFIG_BACKENDS_MAX);
	assert_string_equal(config->destinations[0].backends[255].name, "b255");
	sl_config_free(config);
	free(text);
}

static void
test_many_destinations(void **state)
{
	enum { N = 20000 };
	struct sl_config *config;
	char *text, name[32];
	uint32_t i;

	text = repeat(PORTS "destinations:\n",
		"  - {name: d%u, backends: [{name: b%u, address: 10.77.0.2, port: 1}]}\n", N, "");
	config = parse_text(text);
	assert_int_equal(config->nb_destinations, N);
	for (i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "d%" PRIu32, i);
		assert_string_equal(config->destinations[i].name, name);
		assert_string_equal(sl_config_name_of(config, config->destinations[i].key), name);
		name[0] = 'b';
		assert_string_equal(config->destinations[i].backends[0].name, name);
	}
	sl_config_free(config);
	free(text);
}

static void
test_file_is_loaded(void **state)
{
	char path[] = "/tmp/sluice-test-config-XXXXXX", error[ERROR_LEN];
	int fd = mkstemp(path);
	struct sl_config *config;
	ssize_t len = (ssize_t)strlen(everything);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, everything, (size_t)len), len);
	close(fd);
	assert_int_equal(sl_config_load(path, &config, error, sizeof(error)), 0);
	unlink(path);
	assert_string_equal(config->path, path);
	assert_int_equal(config->udp_port, 65535);
	sl_config_free(config);
}

static void
test_free_takes_null(void **state)
{
	sl_config_free(NULL);
}

static void
test_examples_load(void **state)
{
	struct sl_config *config;
	char error[ERROR_LEN];

	if (sl_config_load(SL_EXAMPLES "/restaurant.yaml", &config, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_int_equal(config->nb_destinations, 4);
	assert_int_equal(config->destinations[0].key, UINT64_C(0xe265c9dbf29f8fca));
	assert_int_equal(config->destinations[0].class_boost, 1);
	assert_int_equal(config->rules[0].type, UINT64_C(0x75e32abb37a3e1c6));
	assert_int_equal(config->rules[0].level, 1);
	sl_config_free(config);

	if (sl_config_load(SL_EXAMPLES "/two-ports.yaml", &config, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_int_equal(config->nb_ports, 2);
	assert_int_equal(config->destinations[0].backends[0].port_index, 1);
	sl_config_free(config);
}

/* The reference shows every key with its default: where it must choose, it chooses something. */
static void
test_reference_shows_the_defaults(void **state)
{
	struct sl_config *config, *plain = parse_text(PORTS DESTS);
	char error[ERROR_LEN];

	if (sl_config_load(SL_EXAMPLES "/reference.yaml", &config, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_string_equal(config->node, plain->node);
	assert_int_equal(config->udp_port, plain->udp_port);
	assert_int_equal(config->epoch, plain->epoch);
	assert_int_equal(config->ports[0].vlan, plain->ports[0].vlan);
	assert_int_equal(config->ports[0].mtu, plain->ports[0].mtu);
	assert_int_equal(config->ports[0].rx_descriptors, plain->ports[0].rx_descriptors);
	assert_int_equal(config->ports[0].tx_descriptors, plain->ports[0].tx_descriptors);
	assert_int_equal(config->dedup_window_ms, plain->dedup_window_ms);
	assert_int_equal(config->dedup_capacity, plain->dedup_capacity);
	assert_int_equal(config->nb_classes, plain->nb_classes);
	assert_string_equal(config->classes[1].name, plain->classes[1].name);
	assert_int_equal(
		config->destinations[0].default_class, plain->destinations[0].default_class);
	assert_int_equal(
		config->destinations[0].queue_capacity, plain->destinations[0].queue_capacity);
	assert_int_equal(config->destinations[0].burst_msgs, plain->destinations[0].burst_msgs);
	assert_int_equal(config->destinations[0].policy, plain->destinations[0].policy);
	assert_int_equal(config->nb_mbufs, plain->nb_mbufs);
	assert_int_equal(config->drain_timeout_ms, plain->drain_timeout_ms);
	assert_int_equal(config->nap, plain->nap);
	assert_int_equal(config->nap_us, plain->nap_us);
	assert_int_equal(config->ring_size, plain->ring_size);
	assert_int_equal(config->arp_reachable_ms, plain->arp_reachable_ms);
	assert_int_equal(config->arp_retry_ms, plain->arp_retry_ms);
	assert_int_equal(config->arp_retry_max_ms, plain->arp_retry_max_ms);
	assert_int_equal(config->arp_max_tries, plain->arp_max_tries);
	sl_config_free(config);
	sl_config_free(plain);
}

/* All that anybody might copy is right, and can be written again. */
static void
test_every_example_loads_and_round_trips(void **state)
{
	struct sl_config *config;
	char error[ERROR_LEN];
	glob_t files;
	size_t i;

	assert_int_equal(glob(SL_EXAMPLES "/*.yaml", 0, NULL, &files), 0);
	assert_true(files.gl_pathc >= 5);
	for (i = 0; i < files.gl_pathc; i++) {
		if (sl_config_load(files.gl_pathv[i], &config, error, sizeof(error)) != 0)
			fail_msg("%s", error);
		check_round_trip(config);
		sl_config_free(config);
	}
	globfree(&files);
}

/* Note the keys of a mapping that are there, as " path ". */
static void
note_keys(const cyaml_schema_field_t *fields, const char *raw, const char *path, FILE *out)
{
	const cyaml_schema_value_t *schema, *entry;
	char inner[128];
	const char *value;
	uint32_t i, count;

	for (; fields->key != NULL; fields++) {
		schema = &fields->value;
		value = raw + fields->data_offset;
		if (schema->flags & CYAML_FLAG_POINTER)
			memcpy(&value, value, sizeof(value));
		if (value == NULL)
			continue;
		snprintf(inner, sizeof(inner), "%s%s%s", path, path[0] != '\0' ? "." : "",
			fields->key);
		fprintf(out, " %s ", inner);
		if (schema->type == CYAML_MAPPING)
			note_keys(schema->mapping.fields, value, inner, out);
		if (schema->type != CYAML_SEQUENCE)
			continue;
		entry = schema->sequence.entry;
		memcpy(&count, raw + fields->count_offset, sizeof(count));
		for (i = 0; i < count && entry->type == CYAML_MAPPING; i++)
			note_keys(entry->mapping.fields, value + i * entry->data_size, inner, out);
	}
}

/* Every key of the schema is in the text. */
static void
check_has_every_key(const char *what, const char *text)
{
	static const cyaml_config_t cyaml = {.mem_fn = cyaml_mem};
	const struct sl_config_key *key;
	char *noted = NULL, path[128], own[128];
	cyaml_data_t *raw = NULL;
	size_t len;
	FILE *out = open_memstream(&noted, &len);

	assert_non_null(out);
	assert_int_equal(cyaml_load_data((const uint8_t *)text, strlen(text), &cyaml,
				 &sl_config_schema, &raw, NULL),
		CYAML_OK);
	note_keys(sl_config_schema.mapping.fields, raw, "", out);
	fclose(out);
	for (key = sl_config_keys; key->path != NULL; key++) {
		snprintf(path, sizeof(path), " %s ", key->path);
		/* Health may be a destination's. */
		snprintf(own, sizeof(own), " destinations.%s ", key->path);
		if (strstr(noted, path) == NULL && strstr(noted, own) == NULL)
			fail_msg("%s does not have %s", what, key->path);
	}
	free(noted);
	cyaml_free(&cyaml, &sl_config_schema, raw, 0);
}

static char *
read_page(const char *path)
{
	static char text[128 << 10];
	FILE *file = fopen(path, "r");
	size_t len;

	assert_non_null(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	return text;
}

static void
test_reference_has_every_key(void **state)
{
	check_has_every_key("examples/reference.yaml", read_page(SL_EXAMPLES "/reference.yaml"));
}

/* A key that is read and not written would be lost by an edit, and by no diff be seen. */
static void
test_every_key_is_written(void **state)
{
	struct sl_config *config = parse_text(everything);
	char *text = write_text(config);

	check_has_every_key("what is written of EVERYTHING", text);
	free(text);
	sl_config_free(config);
}

#define BEGIN "<!-- begin: sluice --config-reference -->\n"
#define END   "<!-- end: sluice --config-reference -->\n"

static void
test_documentation_is_the_generated_one(void **state)
{
	char *text = read_page(SL_DOCS "/configuration.md"), *generated = NULL, *begin, *end;
	size_t len;
	FILE *out;

	out = open_memstream(&generated, &len);
	assert_non_null(out);
	assert_int_equal(sl_config_write_reference(out), 0);
	fclose(out);
	begin = strstr(text, BEGIN);
	assert_non_null(begin);
	begin += strlen(BEGIN);
	end = strstr(begin, END);
	assert_non_null(end);
	*end = '\0';
	if (strcmp(begin, generated) != 0)
		fail_msg("docs/configuration.md is out of date; run tools/config-reference BUILD");
	free(generated);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smallest_file_has_every_default),
		cmocka_unit_test(test_destination_defaults),
		cmocka_unit_test(test_default_classes_are_three),
		cmocka_unit_test(test_classes_are_sorted_and_the_middle_one_is_the_default),
		cmocka_unit_test(test_every_setting_is_read),
		cmocka_unit_test(test_every_key_of_a_destination_is_read),
		cmocka_unit_test(test_burst_follows_the_highest_rate),
		cmocka_unit_test(test_backend_finds_its_port),
		cmocka_unit_test(test_two_addresses_make_a_subnet),
		cmocka_unit_test(test_harmless_bytes_are_taken),
		cmocka_unit_test(test_names_are_found_by_key),
		cmocka_unit_test(test_one_name_may_stand_for_several_things),
		cmocka_unit_test(test_lists_may_be_full),
		cmocka_unit_test(test_many_destinations),
		cmocka_unit_test(test_file_is_loaded),
		cmocka_unit_test(test_free_takes_null),
		cmocka_unit_test(test_examples_load),
		cmocka_unit_test(test_reference_shows_the_defaults),
		cmocka_unit_test(test_every_example_loads_and_round_trips),
		cmocka_unit_test(test_reference_has_every_key),
		cmocka_unit_test(test_every_key_is_written),
		cmocka_unit_test(test_documentation_is_the_generated_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
