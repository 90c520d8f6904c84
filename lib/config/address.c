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

const char *
sl_config_address(rte_be32_t address, char buf[SL_CONFIG_ADDRESS_LEN])
{
	inet_ntop(AF_INET, &address, buf, SL_CONFIG_ADDRESS_LEN);
	return buf;
}

bool
sl_config_is_on_subnet(const struct sl_config_port *port, rte_be32_t address)
{
	return (rte_be_to_cpu_32(port->address ^ address) & mask_of(port->prefix_len)) == 0;
}

bool
sl_config_is_subnet_edge(const struct sl_config_port *port, rte_be32_t address)
{
	uint32_t host = rte_be_to_cpu_32(address) & ~mask_of(port->prefix_len);

	return port->prefix_len <= 30 && sl_config_is_on_subnet(port, address) &&
		(host == 0 || host == ~mask_of(port->prefix_len));
}

int
sl_config_take_address(struct sl_config_reader *reader, const struct sl_config_at *at,
	const char *key, const char *raw, rte_be32_t *address)
{
	uint32_t host;

	if (inet_pton(AF_INET, raw, address) != 1)
		return sl_config_fail(reader, at, key,
			"'%.80s' is not an IPv4 address; give four numbers, like 10.77.0.11", raw);
	host = rte_be_to_cpu_32(*address);
	/* 0/8 is "this network", 127/8 loopback, 224/4 multicast, 240/4 reserved and broadcast. */
	if (host >> 24 == 0 || host >> 24 == 127 || host >> 28 >= 14)
		return sl_config_fail(reader, at, key,
			"%s is not the address of one station on a network; give a unicast address",
			raw);
	return 0;
}
