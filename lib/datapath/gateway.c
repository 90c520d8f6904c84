/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include <rte_bus_vdev.h>
#include <rte_eth_ring.h>
#include <rte_errno.h>

#include "dp.h"

/*
 * The devices of gateways' ports: rings of frames, with a thread that is no lcore at their other
 * end. To the path they are ports like any other.
 */

struct dp_gateway {
	char device[RTE_ETH_NAME_MAX_LEN];
	struct rte_ring *to_path;
	struct rte_ring *from_path[DP_LCORES_MAX];
};

/* The last byte, and of the address before that, tell who it is. */
static struct rte_ether_addr
mac_of(uint32_t index, bool is_path)
{
	return (struct rte_ether_addr){{0x02, 0x53, 0x4c, 0x47, (uint8_t)index, is_path ? 1 : 2}};
}

static struct rte_ring *
create_ring(uint32_t index, const char *way, uint32_t number)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "gateway%u-%s%u", index, way, number);
	return rte_ring_create(name, DP_GATEWAY_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static int
create_device(const struct sl_datapath *dp, uint32_t index, struct dp_gateway *gateway)
{
	char name[32];
	int rc;

	gateway->to_path = create_ring(index, "in", 0);
	if (gateway->to_path == NULL)
		return -rte_errno;
	for (uint32_t w = 0; w < dp->nb_workers; w++) {
		gateway->from_path[w] = create_ring(index, "out", w);
		if (gateway->from_path[w] == NULL)
			return -rte_errno;
	}
	snprintf(name, sizeof(name), "gateway%u", index);
	rc = rte_eth_from_rings(name, &gateway->to_path, 1, gateway->from_path, dp->nb_workers,
		(unsigned int)SOCKET_ID_ANY);
	if (rc < 0)
		return rte_errno != 0 ? -rte_errno : -ENODEV;
	return rte_eth_dev_get_name_by_port((uint16_t)rc, gateway->device);
}

int
dp_gateway_create(
	struct sl_datapath *dp, const struct sl_config_port *config, char *error, size_t error_len)
{
	uint32_t index = dp->nb_gateways;
	struct dp_gateway *gateway = calloc(1, sizeof(*gateway));
	int rc;

	if (gateway == NULL)
		return -ENOMEM;
	dp->gateways[dp->nb_gateways++] = gateway;
	rc = create_device(dp, index, gateway);
	if (rc != 0)
		snprintf(error, error_len,
			"port %s: its rings cannot be made: %s; give EAL more memory (-m), or set "
			"gateways.threads lower",
			config->name, rte_strerror(-rc));
	return rc;
}

const char *
dp_gateway_device(const struct sl_datapath *dp, uint32_t index)
{
	return dp->gateways[index]->device;
}

struct rte_ether_addr
dp_gateway_path_mac(uint32_t index)
{
	return mac_of(index, true);
}

static void
destroy_ring(struct rte_ring *ring)
{
	struct rte_mbuf *m;

	while (ring != NULL && rte_ring_dequeue(ring, (void **)&m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(ring);
}

void
dp_gateways_destroy(struct sl_datapath *dp)
{
	for (uint32_t i = 0; i < dp->nb_gateways; i++) {
		struct dp_gateway *gateway = dp->gateways[i];

		if (gateway->device[0] != '\0')
			rte_vdev_uninit(gateway->device);
		destroy_ring(gateway->to_path);
		for (uint32_t w = 0; w < dp->nb_workers; w++)
			destroy_ring(gateway->from_path[w]);
		free(gateway);
	}
	dp->nb_gateways = 0;
}

bool
sl_datapath_get_gateway(struct sl_datapath *dp, uint32_t index, struct sl_datapath_gateway *gateway)
{
	const struct dp_port *port = NULL;
	uint32_t number = 0;
	uint16_t headers = sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr);

	if (index >= dp->nb_gateways)
		return false;
	for (uint32_t i = 0; i < dp->config->nb_ports; i++) {
		if (dp->config->ports[i].is_gateway && number++ == index)
			port = &dp->ports[i];
	}
	*gateway = (struct sl_datapath_gateway){
		.pool = dp->pool,
		.large = dp->large,
		.to_path = dp->gateways[index]->to_path,
		.nb_from_path = dp->nb_workers,
		.from_path = dp->gateways[index]->from_path,
		.data_max = port->mtu - headers,
		.data_small = RTE_MIN((uint16_t)(dp->room - RTE_ETHER_HDR_LEN), port->mtu) -
			headers,
		.port_id = port->port_id,
		.port_index = port->index,
		.address = sl_config_gateway_address(index),
		.mac = mac_of(index, false),
		.path_address = sl_ip_from_v4(port->station.address),
		.path_mac = port->station.mac,
	};
	return true;
}
