/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The raw file to the configuration: ports, lcores, classes, neighbours and what stands alone. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_config.h>

#include "config_internal.h"

#define MBUFS_MIN    512
#define WORD_LEN_MAX 4096 /* Of a command. */
#define IPV6_MTU_MIN 1280 /* RFC 8200, 5 */

static void
store(void *to, uint8_t size, int64_t value)
{
	uint64_t v64 = (uint64_t)value;
	uint32_t v32 = (uint32_t)value;
	uint16_t v16 = (uint16_t)value;
	uint8_t v8 = (uint8_t)value;

	switch (size) {
	case 1:
		memcpy(to, &v8, 1);
		break;
	case 2:
		memcpy(to, &v16, 2);
		break;
	case 4:
		memcpy(to, &v32, 4);
		break;
	default:
		memcpy(to, &v64, 8);
		break;
	}
}

/* @return 0; -EINVAL: it is not a number at all; -ERANGE */
static int
read_number(const struct sl_config_number *number, const void *raw, int64_t *value)
{
	const void *from;

	memcpy(&from, (const char *)raw + number->from, sizeof(from));
	*value = number->def;
	if (from == NULL)
		return 0;
	if (number->unit == SL_CONFIG_PLAIN)
		*value = *(const int64_t *)from;
	else if (!sl_config_parse_number(from, number->unit, value))
		return -EINVAL;
	return *value < number->min || *value > number->max ? -ERANGE : 0;
}

static int
fail_number(struct sl_config_reader *reader, const struct sl_config_at *at, const char *prefix,
	const struct sl_config_number *number, const void *raw, int error, int64_t value)
{
	char texts[3][SL_CONFIG_NUMBER_LEN], key[64];
	const char *from;

	snprintf(key, sizeof(key), "%s%s", prefix, number->key);
	memcpy(&from, (const char *)raw + number->from, sizeof(from));
	if (error == -ERANGE)
		return sl_config_fail(reader, at, key, "%s is out of bounds; give %s to %s",
			sl_config_format_number(value, number->unit, texts[0]),
			sl_config_format_number(number->min, number->unit, texts[1]),
			sl_config_format_number(number->max, number->unit, texts[2]));
	if (number->unit == SL_CONFIG_BYTES)
		return sl_config_fail(reader, at, key,
			"'%.80s' is not a size; write bytes as a whole number, or with K, M, G or "
			"T behind it, like 64M",
			from);
	return sl_config_fail(reader, at, key,
		"'%.80s' is not a time; write a whole number with its unit, ms, s, m, h or d, "
		"like 24h",
		from);
}

int
sl_config_numbers(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *prefix, const struct sl_config_number *numbers, const void *raw, void *out)
{
	const struct sl_config_number *number;
	int64_t value;
	int ret;

	for (number = numbers; number->key != NULL; number++) {
		ret = read_number(number, raw, &value);
		if (ret < 0)
			return fail_number(reader, at, prefix, number, raw, ret, value);
		store((char *)out + number->to, number->to_size, value);
	}
	return 0;
}

/* libyaml lets only UTF-8 pass; control characters come in by escapes: C0, DEL and C1. */
bool
sl_config_is_printable(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	for (; *p != '\0'; p++) {
		if (*p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f))
			return false;
		/* U+2028 and U+2029 end a line, too. */
		if (p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9))
			return false;
	}
	return true;
}

int
sl_config_check_name(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw)
{
	size_t len = strlen(raw);

	if (len == 0)
		return sl_config_fail(
			reader, at, key, "is empty; give 1 to %d bytes", SL_CONFIG_NAME_MAX);
	if (len > SL_CONFIG_NAME_MAX)
		return sl_config_fail(reader, at, key,
			"'%.16s...' has %zu bytes; give 1 to %d bytes", raw, len,
			SL_CONFIG_NAME_MAX);
	if (!sl_config_is_printable(raw))
		return sl_config_fail(reader, at, key,
			"'%s' has control characters in it; use printable ones only", raw);
	return 0;
}

int
sl_config_take_name(struct sl_config_reader *reader, const struct sl_config_at *at, const char *key,
	const char *raw, char **name)
{
	int ret = sl_config_check_name(reader, at, key, raw);

	return ret < 0 ? ret : sl_config_copy(reader, raw, name);
}

int
sl_config_take_text(struct sl_config_reader *reader, const struct sl_config_at *at, const char *key,
	const char *raw, size_t len_max, char **text)
{
	if (raw == NULL)
		return 0;
	if (raw[0] == '\0')
		return sl_config_fail(
			reader, at, key, "is empty; give 1 to %zu bytes, or leave it out", len_max);
	if (strlen(raw) > len_max)
		return sl_config_fail(
			reader, at, key, "has %zu bytes; give 1 to %zu", strlen(raw), len_max);
	return sl_config_copy(reader, raw, text);
}

int
sl_config_take_line(struct sl_config_reader *reader, const struct sl_config_at *at, const char *key,
	const char *raw, size_t len_max, char **text)
{
	if (raw != NULL && !sl_config_is_printable(raw))
		return sl_config_fail(reader, at, key,
			"'%.80s' has control characters in it; use printable ones only", raw);
	return sl_config_take_text(reader, at, key, raw, len_max, text);
}

int
sl_config_take_argv(struct sl_config_reader *reader, const struct sl_config_at *at,
	char *const *raw, uint32_t count, char ***argv, uint32_t *nb_argv)
{
	uint32_t i;
	int ret;

	if (count == 0)
		return 0;
	if (raw[0][0] != '/')
		return sl_config_fail(reader, at, "argv",
			"'%.80s' is not an absolute path; give the command's, no shell looks it up",
			raw[0]);
	*argv = sl_config_alloc(reader, (count + 1) * sizeof(**argv));
	if (*argv == NULL)
		return sl_config_no_memory(reader);
	for (i = 0; i < count; i++) {
		if (strlen(raw[i]) > WORD_LEN_MAX)
			return sl_config_fail(reader, at, "argv",
				"word %" PRIu32 " has %zu bytes; give at most %d", i + 1,
				strlen(raw[i]), WORD_LEN_MAX);
		ret = sl_config_copy(reader, raw[i], &(*argv)[i]);
		if (ret < 0)
			return ret;
	}
	*nb_argv = count;
	return 0;
}

/* Against another port, in one family. */
static int
check_subnet_is_apart(struct sl_config_reader *reader, const struct sl_config_at *at,
	enum sl_family family, uint32_t other_index)
{
	const struct sl_config_port *other = &reader->config->ports[other_index];
	const struct sl_config_subnet *theirs = &other->subnets[family];
	const struct sl_config_subnet *own = &reader->config->ports[at->i].subnets[family];
	const char *key = family == SL_IPV4 ? "address" : "address6";

	if (sl_ip_is_unset(&own->address))
		return 0;
	if (sl_ip_equal(&theirs->address, &own->address))
		return sl_config_fail(reader, at, key,
			"is ports[%" PRIu32 "]'s, too; give each port its own address",
			other_index);
	if (theirs->prefix_len == own->prefix_len && sl_config_is_on_subnet(other, &own->address))
		return sl_config_fail(reader, at, key,
			"lies on the same subnet as ports[%" PRIu32 "]; give each port a subnet of "
			"its own, or prefixes of different length",
			other_index);
	return 0;
}

/* Against the ports before it. */
static int
check_port_is_apart(struct sl_config_reader *reader, const struct sl_config_at *at)
{
	const struct sl_config_port *port = &reader->config->ports[at->i];
	int ret = 0;
	uint32_t i;

	for (i = 0; i < at->i && ret == 0; i++) {
		if (strcmp(reader->config->ports[i].device, port->device) == 0)
			return sl_config_fail(reader, at, "device",
				"%s is ports[%" PRIu32 "]'s, too; give each port its own device",
				port->device, i);
		ret = check_subnet_is_apart(reader, at, SL_IPV4, i);
		if (ret == 0)
			ret = check_subnet_is_apart(reader, at, SL_IPV6, i);
	}
	return ret;
}

static int
take_subnets(struct sl_config_reader *reader, const struct sl_config_at *at,
	const struct raw_port *from, struct sl_config_port *port)
{
	int ret;

	if (from->address == NULL && from->address6 == NULL)
		return sl_config_fail(reader, at, "address",
			"is missing, and so is address6; a port needs at least one of them");
	ret = sl_config_take_subnet(reader, at, SL_IPV4, from->address, from->gateway, port);
	if (ret == 0)
		ret = sl_config_take_subnet(
			reader, at, SL_IPV6, from->address6, from->gateway6, port);
	if (ret < 0)
		return ret;
	if (from->address6 != NULL && port->mtu < IPV6_MTU_MIN)
		return sl_config_fail(reader, at, "mtu",
			"%" PRIu16 " is too small for IPv6; give at least %d, or leave out "
			"address6",
			port->mtu, IPV6_MTU_MIN);
	return 0;
}

static int
resolve_ports(struct sl_config_reader *reader)
{
	const struct raw_config *raw = reader->raw;
	struct sl_config *config = reader->config;
	struct sl_config_at at = {.list = "ports"};
	const struct raw_port *from;
	struct sl_config_port *port;
	int ret;

	/* With room for those of the gateways. */
	config->ports = sl_config_alloc(
		reader, (raw->ports_count + SL_CONFIG_GATEWAY_THREADS) * sizeof(*port));
	if (config->ports == NULL)
		return sl_config_no_memory(reader);
	config->nb_ports = raw->ports_count;
	for (at.i = 0; at.i < raw->ports_count; at.i++) {
		from = &raw->ports[at.i];
		port = &config->ports[at.i];
		ret = sl_config_take_name(reader, &at, "name", from->name, &port->name);
		if (ret == 0)
			ret = sl_config_take_name(
				reader, &at, "device", from->device, &port->device);
		if (ret == 0)
			ret = sl_config_numbers(
				reader, &at, "", sl_config_port_numbers, from, port);
		if (ret == 0)
			ret = take_subnets(reader, &at, from, port);
		if (ret == 0)
			ret = check_port_is_apart(reader, &at);
		if (ret < 0)
			return ret;
		port->is_udp_checksum_checked = from->check_udp_checksum == NULL ||
			*from->check_udp_checksum;
		port->is_udp_checksum_sent = from->send_udp_checksum == NULL ||
			*from->send_udp_checksum;
	}
	return 0;
}

static int
resolve_lcores(struct sl_config_reader *reader)
{
	const struct raw_config *raw = reader->raw;
	struct sl_config *config = reader->config;
	struct sl_config_at at = {.list = "lcores"};
	bool is_taken[RTE_MAX_LCORE] = {false};
	struct sl_config_lcore *lcore;
	uint32_t roles = 0;
	int ret;

	config->lcores = sl_config_alloc(reader, raw->lcores_count * sizeof(*lcore));
	if (config->lcores == NULL)
		return sl_config_no_memory(reader);
	config->nb_lcores = raw->lcores_count;
	for (at.i = 0; at.i < raw->lcores_count; at.i++) {
		lcore = &config->lcores[at.i];
		ret = sl_config_numbers(
			reader, &at, "", sl_config_lcore_numbers, &raw->lcores[at.i], lcore);
		if (ret < 0)
			return ret;
		if (is_taken[lcore->lcore])
			return sl_config_fail(reader, &at, "lcore",
				"%" PRIu32 " is in the list already; name each lcore once, with "
				"all its roles",
				lcore->lcore);
		is_taken[lcore->lcore] = true;
		lcore->roles = raw->lcores[at.i].roles;
		roles |= lcore->roles;
	}
	if (config->nb_lcores > 0 && roles != (SL_ROLE_RX | SL_ROLE_WORKER))
		return sl_config_fail(reader, NULL, "lcores",
			"no lcore has the role %s; give it to at least one",
			roles & SL_ROLE_RX ? "worker" : "rx");
	return 0;
}

static int
compare_classes(const void *a, const void *b)
{
	const struct sl_config_class *left = a, *right = b;

	return (left->level > right->level) - (left->level < right->level);
}

static void
set_default_classes(struct sl_config *config)
{
	static char names[][8] = {"high", "medium", "low"};
	uint32_t i;

	config->nb_classes = RTE_DIM(names);
	for (i = 0; i < config->nb_classes; i++)
		config->classes[i] = (struct sl_config_class){.level = i + 1, .name = names[i]};
}

static int
take_class(struct sl_config_reader *reader, const struct sl_config_at *at)
{
	const struct raw_class *from = &reader->raw->classes[at->i];
	struct sl_config_class *to = &reader->config->classes[at->i];
	uint32_t i;
	int ret;

	ret = sl_config_numbers(reader, at, "", sl_config_class_numbers, from, to);
	if (ret == 0)
		ret = sl_config_take_name(reader, at, "name", from->name, &to->name);
	if (ret < 0)
		return ret;
	/* Where a class is referred to, a number is a level. */
	if (to->name[strspn(to->name, "0123456789")] == '\0')
		return sl_config_fail(reader, at, "name",
			"%s would read as a level; put a letter into it", to->name);
	for (i = 0; i < at->i; i++) {
		if (reader->config->classes[i].level == to->level)
			return sl_config_fail(reader, at, "level",
				"%" PRIu32 " is classes[%" PRIu32 "]'s, too; give each class its "
				"own",
				to->level, i);
	}
	return 0;
}

static int
resolve_classes(struct sl_config_reader *reader)
{
	struct sl_config *config = reader->config;
	struct sl_config_at at = {.list = "classes"};
	uint32_t share = 0;
	int ret;

	if (reader->raw->classes_count == 0) {
		set_default_classes(config);
		return 0;
	}
	config->nb_classes = reader->raw->classes_count;
	for (at.i = 0; at.i < config->nb_classes; at.i++) {
		ret = take_class(reader, &at);
		if (ret < 0)
			return ret;
		share += config->classes[at.i].min_share_percent;
	}
	if (share > 100)
		return sl_config_fail(reader, NULL, "classes",
			"min_share_percent of all classes adds up to %" PRIu32
			"; make it 100 or less",
			share);
	qsort(config->classes, config->nb_classes, sizeof(config->classes[0]), compare_classes);
	return 0;
}

int
sl_config_take_class(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *ref, uint32_t *level)
{
	const struct sl_config_class *candidate = reader->config->classes;
	const struct sl_config_class *end = candidate + reader->config->nb_classes;
	char known[SL_CONFIG_CLASSES_MAX * (SL_CONFIG_NAME_MAX + 8)];
	size_t len = 0;

	known[0] = '\0';
	for (; candidate < end; candidate++) {
		if (strcmp(ref, candidate->name) == 0 ||
			(ref[0] == (char)('0' + candidate->level) && ref[1] == '\0')) {
			*level = candidate->level;
			return 0;
		}
		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s (%" PRIu32 ")",
			len > 0 ? ", " : "", candidate->name, candidate->level);
	}
	return sl_config_fail(
		reader, at, key, "there is no class '%.80s'; give one of: %s", ref, known);
}

/* "02:00:00:00:00:01" of one station. */
static bool
parse_mac(const char *text, struct rte_ether_addr *mac)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	unsigned int i;
	char *end;

	for (i = 0; i < RTE_ETHER_ADDR_LEN; i++, text = end + 1) {
		if (strspn(text, hex) != 2)
			return false;
		mac->addr_bytes[i] = (uint8_t)strtoul(text, &end, 16);
		if (*end != (i + 1 < RTE_ETHER_ADDR_LEN ? ':' : '\0'))
			return false;
	}
	return rte_is_valid_assigned_ether_addr(mac);
}

/* Of two entries with one address, by their place in the file. */
struct neighbour_ref {
	struct sl_ip address;
	uint32_t index;
};

static int
compare_neighbours(const void *a, const void *b)
{
	const struct neighbour_ref *left = a, *right = b;

	int order = sl_ip_compare(&left->address, &right->address);

	if (order != 0)
		return order;
	return (left->index > right->index) - (left->index < right->index);
}

static int
check_neighbours_differ(struct sl_config_reader *reader)
{
	const struct sl_config *config = reader->config;
	struct sl_config_at at = {.list = "neighbours"};
	struct neighbour_ref *refs;
	int ret = 0;
	uint32_t i;

	refs = calloc(config->nb_neighbours + 1, sizeof(*refs));
	if (refs == NULL)
		return sl_config_no_memory(reader);
	for (i = 0; i < config->nb_neighbours; i++)
		refs[i] = (struct neighbour_ref){config->neighbours[i].address, i};
	qsort(refs, config->nb_neighbours, sizeof(*refs), compare_neighbours);
	for (i = 1; i < config->nb_neighbours && ret == 0; i++) {
		if (!sl_ip_equal(&refs[i].address, &refs[i - 1].address))
			continue;
		at.i = refs[i].index;
		ret = sl_config_fail(reader, &at, "address",
			"is neighbours[%" PRIu32 "]'s, too; keep one of the two",
			refs[i - 1].index);
	}
	free(refs);
	return ret;
}

/* A neighbour on no subnet would never be asked for. */
static int
check_neighbour_is_near(struct sl_config_reader *reader, const struct sl_config_at *at)
{
	const struct sl_config *config = reader->config;
	const struct sl_ip *address = &config->neighbours[at->i].address;
	enum sl_family family = sl_ip_is_v4(address) ? SL_IPV4 : SL_IPV6;
	bool is_near = false;
	uint32_t i;

	for (i = 0; i < config->nb_ports; i++) {
		if (sl_ip_equal(address, &config->ports[i].subnets[family].address))
			return sl_config_fail(reader, at, "address",
				"is ports[%" PRIu32 "]'s own address; give the neighbour's", i);
		is_near = is_near || sl_config_is_on_subnet(&config->ports[i], address) ||
			sl_ip_equal(address, &config->ports[i].subnets[family].gateway);
	}
	if (is_near)
		return 0;
	return sl_config_fail(reader, at, "address",
		"is on no port's subnet; give a neighbour's address, or a gateway's");
}

static int
resolve_neighbours(struct sl_config_reader *reader)
{
	const struct raw_config *raw = reader->raw;
	struct sl_config *config = reader->config;
	struct sl_config_at at = {.list = "neighbours"};
	struct sl_config_neighbour *to;
	int ret;

	config->neighbours = sl_config_alloc(
		reader, (raw->neighbours_count + SL_CONFIG_GATEWAY_THREADS) * sizeof(*to));
	if (config->neighbours == NULL)
		return sl_config_no_memory(reader);
	config->nb_neighbours = raw->neighbours_count;
	for (at.i = 0; at.i < raw->neighbours_count; at.i++) {
		to = &config->neighbours[at.i];
		ret = sl_config_take_next_hop(
			reader, &at, "address", raw->neighbours[at.i].address, &to->address);
		if (ret == 0)
			ret = check_neighbour_is_near(reader, &at);
		if (ret == 0 && !parse_mac(raw->neighbours[at.i].mac, &to->mac))
			ret = sl_config_fail(reader, &at, "mac",
				"'%.80s' is not one station's MAC address; write it like "
				"02:00:00:00:00:01",
				raw->neighbours[at.i].mac);
		if (ret < 0)
			return ret;
	}
	return check_neighbours_differ(reader);
}

/* What stands alone or in a small mapping. */
static int
resolve_settings(struct sl_config_reader *reader)
{
	const struct raw_config *raw = reader->raw;
	struct sl_config *config = reader->config;
	int ret;

	ret = sl_config_copy(reader, reader->path, &config->path);
	if (ret == 0)
		ret = sl_config_take_name(reader, NULL, "node",
			raw->node != NULL ? raw->node : "sluice", &config->node);
	if (ret == 0)
		ret = sl_config_numbers(reader, NULL, "", sl_config_top_numbers, raw, config);
	if (ret == 0)
		ret = sl_config_numbers(
			reader, NULL, "dedup.", sl_config_dedup_numbers, &raw->dedup, config);
	if (ret == 0)
		ret = sl_config_numbers(
			reader, NULL, "idle.", sl_config_idle_numbers, &raw->idle, config);
	if (ret == 0)
		ret = sl_config_numbers(
			reader, NULL, "rings.", sl_config_ring_numbers, &raw->rings, config);
	if (ret == 0)
		ret = sl_config_numbers(
			reader, NULL, "arp.", sl_config_arp_numbers, &raw->arp, config);
	if (ret < 0)
		return ret;
	config->nap = (enum sl_config_tristate)sl_config_choice(raw->idle.nap, SL_CONFIG_AUTO);
	if (config->nb_mbufs > 0 && config->nb_mbufs < MBUFS_MIN)
		return sl_config_fail(reader, NULL, "mbufs",
			"%" PRIu32 " are too few; give at least %d, or 0 to have it chosen",
			config->nb_mbufs, MBUFS_MIN);
	if ((config->ring_size & (config->ring_size - 1)) != 0)
		return sl_config_fail(reader, NULL, "rings.size",
			"%" PRIu32 " is not a power of 2; give one, like %" PRIu32,
			config->ring_size, rte_align32pow2(config->ring_size));
	if (config->arp_retry_max_ms < config->arp_retry_ms)
		return sl_config_fail(reader, NULL, "arp.retry_max_ms",
			"%" PRIu32 " is below retry_ms, %" PRIu32 "; give at least that",
			config->arp_retry_max_ms, config->arp_retry_ms);
	return 0;
}

int
sl_config_resolve(struct sl_config_reader *reader)
{
	int ret;

	ret = resolve_settings(reader);
	if (ret == 0)
		ret = resolve_ports(reader);
	if (ret == 0)
		ret = resolve_lcores(reader);
	if (ret == 0)
		ret = resolve_classes(reader);
	if (ret == 0)
		ret = resolve_neighbours(reader);
	if (ret == 0)
		ret = sl_config_resolve_services(reader);
	if (ret == 0)
		ret = sl_config_resolve_durability(reader);
	if (ret == 0)
		ret = sl_config_resolve_gateways(reader);
	if (ret == 0)
		ret = sl_config_resolve_health(reader, -1, &reader->config->health);
	if (ret == 0)
		ret = sl_config_resolve_destinations(reader);
	if (ret == 0)
		ret = sl_config_resolve_dead_letters(reader);
	if (ret == 0)
		ret = sl_config_check_limits(reader);
	if (ret == 0)
		ret = sl_config_resolve_rules(reader);
	if (ret == 0)
		ret = sl_config_resolve_names(reader);
	return ret;
}
