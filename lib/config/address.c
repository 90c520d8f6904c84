/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Addresses and subnets of either family in the configuration. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "config_internal.h"

/* Who an address is for. */
enum use {
	USE_STATION,  /* A station that the packet path talks to. */
	USE_NEXT_HOP, /* One on a port's own link: link-local does, the port is the zone. */
	USE_HOST,     /* One that kernel sockets talk to. */
	USE_LISTENER, /* One of this machine's own. */
};

static const struct {
	const char *name, *address, *gateway, *example;
	unsigned int bits;
} families[SL_FAMILIES] = {
	[SL_IPV4] = {"IPv4", "address", "gateway", "10.77.0.1/24", 32},
	[SL_IPV6] = {"IPv6", "address6", "gateway6", "fd00:77::1/64", 128},
};

static enum sl_family
family_of(const struct sl_ip *address)
{
	return sl_ip_is_v4(address) ? SL_IPV4 : SL_IPV6;
}

static const struct sl_config_subnet *
subnet_of(const struct sl_config_port *port, const struct sl_ip *address)
{
	return &port->subnets[family_of(address)];
}

bool
sl_config_is_on_subnet(const struct sl_config_port *port, const struct sl_ip *address)
{
	const struct sl_config_subnet *subnet = subnet_of(port, address);

	return !sl_ip_is_unset(&subnet->address) &&
		sl_ip_share_prefix(&subnet->address, address, subnet->prefix_len);
}

/* The bits behind the prefix: all 0, all 1, or neither (then false). */
static bool
is_host_part(const struct sl_ip *address, unsigned int prefix_bits, bool is_one)
{
	unsigned int bit;

	for (bit = prefix_bits; bit < 128; bit++) {
		if (((address->bytes[bit / 8] >> (7 - bit % 8)) & 1) != is_one)
			return false;
	}
	return true;
}

bool
sl_config_is_subnet_edge(const struct sl_config_port *port, const struct sl_ip *address)
{
	const struct sl_config_subnet *subnet = subnet_of(port, address);
	enum sl_family family = family_of(address);
	unsigned int prefix_bits = 128 - families[family].bits + subnet->prefix_len;

	if (prefix_bits > 126 || !sl_config_is_on_subnet(port, address))
		return false;
	return is_host_part(address, prefix_bits, false) ||
		(family == SL_IPV4 && is_host_part(address, prefix_bits, true));
}

static bool
is_station_v4(uint32_t host, enum use use)
{
	if (use == USE_LISTENER && host == 0)
		return true;
	if ((use == USE_HOST || use == USE_LISTENER) && host >> 24 == 127)
		return true;
	/* 0/8 is "this network", 127/8 loopback, 224/4 multicast, 240/4 reserved and broadcast. */
	return host >> 24 != 0 && host >> 24 != 127 && host >> 28 < 14;
}

static bool
is_station_v6(const struct sl_ip *address, enum use use)
{
	struct sl_ip loopback = {.bytes = {[15] = 1}};

	if (sl_ip_is_unset(address))
		return use == USE_LISTENER;
	if (sl_ip_equal(address, &loopback))
		return use == USE_HOST || use == USE_LISTENER;
	return address->bytes[0] != 0xff;
}

static bool
is_link_local(const struct sl_ip *address)
{
	return address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
}

bool
sl_config_is_station(const struct sl_ip *address)
{
	if (sl_ip_is_v4(address))
		return is_station_v4(rte_be_to_cpu_32(sl_ip_v4(address)), USE_STATION);
	return is_station_v6(address, USE_STATION) && !is_link_local(address);
}

static int
take_address(struct sl_config_reader *reader, const struct sl_config_at *at, const char *key,
	const char *raw, enum use use, struct sl_ip *address)
{
	bool is_v4, is_near = use == USE_STATION || use == USE_NEXT_HOP;

	if (!sl_ip_parse(raw, address))
		return sl_config_fail(reader, at, key,
			"'%.80s' is not an IP address; give one like 10.77.0.11 or fd00:77::11",
			raw);
	is_v4 = sl_ip_is_v4(address);
	if (use != USE_NEXT_HOP && is_link_local(address))
		return sl_config_fail(reader, at, key,
			"%.80s is link-local, it would need a zone; give a global or a unique "
			"local address, like fd00:77::11",
			raw);
	if (is_v4 ? !is_station_v4(rte_be_to_cpu_32(sl_ip_v4(address)), use)
		  : !is_station_v6(address, use))
		return sl_config_fail(reader, at, key,
			"%.80s is not the address of one station%s; give a unicast address", raw,
			is_near ? " on a network" : "");
	return 0;
}

int
sl_config_take_address(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw, struct sl_ip *address)
{
	return take_address(reader, at, key, raw, USE_STATION, address);
}

int
sl_config_take_next_hop(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw, struct sl_ip *address)
{
	return take_address(reader, at, key, raw, USE_NEXT_HOP, address);
}

int
sl_config_take_host(struct sl_config_reader *reader, const struct sl_config_at *at, const char *key,
	const char *raw, struct sl_ip *address)
{
	return take_address(reader, at, key, raw, USE_HOST, address);
}

int
sl_config_take_listener(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw, struct sl_ip *address)
{
	return take_address(reader, at, key, raw, USE_LISTENER, address);
}

/* An address of the family that the port's key is for. */
static int
take_own(struct sl_config_reader *reader, const struct sl_config_at *at, enum sl_family family,
	const char *key, const char *raw, struct sl_ip *address)
{
	enum sl_family other = family == SL_IPV4 ? SL_IPV6 : SL_IPV4;
	enum use use = key == families[family].gateway ? USE_NEXT_HOP : USE_STATION;
	int ret = take_address(reader, at, key, raw, use, address);

	if (ret < 0 || family_of(address) == family)
		return ret;
	return sl_config_fail(reader, at, key, "%s is an %s address; give it as %s", raw,
		families[other].name,
		key == families[family].address ? families[other].address
						: families[other].gateway);
}

/* "10.77.0.1/24" */
static int
take_prefixed(struct sl_config_reader *reader, const struct sl_config_at *at, enum sl_family family,
	const char *raw, struct sl_config_port *port)
{
	struct sl_config_subnet *subnet = &port->subnets[family];
	const char *key = families[family].address;
	const char *slash = strchr(raw, '/');
	const char *digits = slash != NULL ? slash + 1 : "";
	char address[SL_IP_STRLEN];
	size_t nb_digits;
	int ret;

	nb_digits = strspn(digits, "0123456789");
	if (nb_digits == 0 || nb_digits > 3 || digits[nb_digits] != '\0' ||
		(size_t)(slash - raw) >= sizeof(address))
		return sl_config_fail(reader, at, key,
			"'%.80s' is not an address with its prefix length; write it like %s", raw,
			families[family].example);
	memcpy(address, raw, (size_t)(slash - raw));
	address[slash - raw] = '\0';
	ret = take_own(reader, at, family, key, address, &subnet->address);
	if (ret < 0)
		return ret;
	if ((unsigned int)atoi(digits) > families[family].bits)
		return sl_config_fail(reader, at, key,
			"%s has a prefix length above %u; write it like %s", raw,
			families[family].bits, families[family].example);
	subnet->prefix_len = (uint8_t)atoi(digits);
	if (sl_config_is_subnet_edge(port, &subnet->address))
		return sl_config_fail(reader, at, key,
			"%s is the subnet's own or its broadcast address; give one between them",
			raw);
	return 0;
}

static int
take_gateway(struct sl_config_reader *reader, const struct sl_config_at *at, enum sl_family family,
	const char *raw, struct sl_config_port *port)
{
	struct sl_config_subnet *subnet = &port->subnets[family];
	const char *key = families[family].gateway;
	int ret;

	if (sl_ip_is_unset(&subnet->address))
		return sl_config_fail(reader, at, key,
			"there is no subnet that it could be on; give %s, too",
			families[family].address);
	ret = take_own(reader, at, family, key, raw, &subnet->gateway);
	if (ret < 0)
		return ret;
	if (sl_ip_equal(&subnet->gateway, &subnet->address))
		return sl_config_fail(
			reader, at, key, "%s is the port's own address; give the router's", raw);
	if (is_link_local(&subnet->gateway))
		return 0;
	if (!sl_config_is_on_subnet(port, &subnet->gateway) ||
		sl_config_is_subnet_edge(port, &subnet->gateway))
		return sl_config_fail(reader, at, key,
			"%s is no station's address on the port's subnet; give one that is", raw);
	return 0;
}

int
sl_config_take_subnet(struct sl_config_reader *reader, const struct sl_config_at *at,
	enum sl_family family, const char *address, const char *gateway,
	struct sl_config_port *port)
{
	int ret = 0;

	if (address != NULL)
		ret = take_prefixed(reader, at, family, address, port);
	if (ret == 0 && gateway != NULL)
		ret = take_gateway(reader, at, family, gateway, port);
	return ret;
}
