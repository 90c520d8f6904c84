/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* IPv4 addresses and subnets in the configuration. */

#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

#include "config_internal.h"

static uint32_t
mask_of(uint8_t prefix_len)
{
	return prefix_len == 0 ? 0 : UINT32_MAX << (32 - prefix_len);
}

static const struct sl_config_subnet *
subnet_of(const struct sl_config_port *port, const struct sl_ip *address)
{
	return &port->subnets[sl_ip_is_v4(address) ? SL_IPV4 : SL_IPV6];
}

bool
sl_config_is_on_subnet(const struct sl_config_port *port, const struct sl_ip *address)
{
	const struct sl_config_subnet *subnet = subnet_of(port, address);

	return !sl_ip_is_unset(&subnet->address) &&
		sl_ip_share_prefix(&subnet->address, address, subnet->prefix_len);
}

bool
sl_config_is_subnet_edge(const struct sl_config_port *port, const struct sl_ip *address)
{
	const struct sl_config_subnet *subnet = subnet_of(port, address);
	uint32_t mask, host;

	if (!sl_ip_is_v4(address) || subnet->prefix_len > 30 ||
		!sl_config_is_on_subnet(port, address))
		return false;
	mask = mask_of(subnet->prefix_len);
	host = rte_be_to_cpu_32(sl_ip_v4(address)) & ~mask;
	return host == 0 || host == ~mask;
}

int
sl_config_take_address(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw, struct sl_ip *address)
{
	uint32_t host;

	if (!sl_ip_parse(raw, address) || !sl_ip_is_v4(address))
		return sl_config_fail(reader, at, key,
			"'%.80s' is not an IPv4 address; give four numbers, like 10.77.0.11", raw);
	host = rte_be_to_cpu_32(sl_ip_v4(address));
	/* 0/8 is "this network", 127/8 loopback, 224/4 multicast, 240/4 reserved and broadcast. */
	if (host >> 24 == 0 || host >> 24 == 127 || host >> 28 >= 14)
		return sl_config_fail(reader, at, key,
			"%s is not the address of one station on a network; give a unicast address",
			raw);
	return 0;
}
