/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_ethdev.h>

#include "dp.h"

/* The queues of these exist outside: each one made has to be polled, or its frames are lost. */
static const char *const fixed_queue_drivers[] = {
	"net_af_packet",
	"net_af_xdp",
	"net_ring",
	"net_pcap",
};

static bool
has_fixed_queues(const char *driver)
{
	for (unsigned int i = 0; i < RTE_DIM(fixed_queue_drivers); i++) {
		if (strcmp(driver, fixed_queue_drivers[i]) == 0)
			return true;
	}
	return false;
}

static uint32_t
count_roles(const struct sl_datapath *dp, uint32_t role)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < dp->nb_lcores; i++)
		n += (dp->lcores[i]->roles & role) != 0;
	return n;
}

/* The devices there are, for an error about one that is not. */
static void
list_devices(char *list, size_t len)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	size_t at = 0;
	uint16_t id;

	snprintf(list, len, "none");
	RTE_ETH_FOREACH_DEV (id) {
		if (rte_eth_dev_get_name_by_port(id, name) == 0 && at < len)
			at += (size_t)snprintf(
				list + at, len - at, "%s%s", at > 0 ? ", " : "", name);
	}
}

static int
choose_queues(struct sl_datapath *dp, struct dp_port *port, const struct sl_config_port *config,
	const struct rte_eth_dev_info *info, char *error, size_t error_len)
{
	uint32_t nb_rx = count_roles(dp, SL_ROLE_RX);

	port->nb_txqs = (uint16_t)dp->nb_workers;
	if (info->max_tx_queues < dp->nb_workers) {
		snprintf(error, error_len,
			"port %s: %s has %u transmit queues, but there are %u workers, and each "
			"needs one: give the device more queues (docs/user-guide.md, \"Queues\") "
			"or fewer lcores the role worker",
			config->name, config->device, info->max_tx_queues, dp->nb_workers);
		return -EINVAL;
	}
	/* Only its other end knows, and a memif does not tell. */
	if (strcmp(info->driver_name, "net_memif") == 0 && dp->nb_workers > 1)
		dp_notice(dp, "port %s: %u workers send: the other end of %s needs %u queues, too",
			config->name, dp->nb_workers, config->device, dp->nb_workers);
	if (has_fixed_queues(info->driver_name))
		port->nb_rxqs = info->max_rx_queues;
	else
		port->nb_rxqs = (uint16_t)RTE_MIN(nb_rx, (uint32_t)info->max_rx_queues);
	return 0;
}

static void
use_offloads(struct dp_port *port, bool has_copies, const struct sl_config_port *config,
	const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
	conf->rxmode.mtu = config->mtu;
	conf->rxmode.offloads = info->rx_offload_capa &
		(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM);
	/* Every frame sent comes from one pool and is nobody else's; but for those that sessions
	 * may have to send again, and copies for subscribers. */
	if (has_copies && port->takes_segments)
		conf->txmode.offloads = info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	else if (!has_copies && !port->has_sessions)
		conf->txmode.offloads = info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	if (port->nb_rxqs > 1 && info->flow_type_rss_offloads != 0) {
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf->rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads &
			(RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_IPV6 |
				RTE_ETH_RSS_NONFRAG_IPV6_UDP);
	}
	if (!config->is_udp_checksum_checked)
		port->known_good |= SL_NET_UDP_SUM_KNOWN_GOOD;
}

static int
setup_queues(struct sl_datapath *dp, const struct dp_port *port,
	const struct sl_config_port *config, char *error, size_t error_len)
{
	uint16_t nb_rxd = config->rx_descriptors, nb_txd = config->tx_descriptors;
	int socket = rte_eth_dev_socket_id(port->port_id), rc;

	rc = rte_eth_dev_adjust_nb_rx_tx_desc(port->port_id, &nb_rxd, &nb_txd);
	if (rc == 0 && (nb_rxd != config->rx_descriptors || nb_txd != config->tx_descriptors))
		dp_notice(dp,
			"port %s: %s takes %u rx and %u tx descriptors (configured: %u and %u)",
			config->name, config->device, nb_rxd, nb_txd, config->rx_descriptors,
			config->tx_descriptors);
	for (uint16_t q = 0; rc == 0 && q < port->nb_rxqs; q++)
		rc = rte_eth_rx_queue_setup(
			port->port_id, q, nb_rxd, (unsigned int)socket, NULL, dp->pool);
	for (uint16_t q = 0; rc == 0 && q < port->nb_txqs; q++)
		rc = rte_eth_tx_queue_setup(port->port_id, q, nb_txd, (unsigned int)socket, NULL);
	if (rc != 0)
		snprintf(error, error_len,
			"port %s: queues of %s cannot be set up with %u/%u descriptors: %s",
			config->name, config->device, nb_rxd, nb_txd, rte_strerror(-rc));
	return rc;
}

/* First half, before there is a pool: find the device and count its queues. */
static int
find_port(struct sl_datapath *dp, uint32_t index, struct rte_eth_dev_info *info, char *error,
	size_t error_len)
{
	const struct sl_config_port *config = &dp->config->ports[index];
	struct dp_port *port = &dp->ports[index];
	const char *device = config->device;
	char devices[256];
	int rc;

	if (config->is_gateway) {
		rc = dp_gateway_create(dp, config, error, error_len);
		if (rc != 0)
			return rc;
		device = dp_gateway_device(dp, dp->nb_gateways - 1);
	}
	rc = rte_eth_dev_get_port_by_name(device, &port->port_id);
	if (rc != 0) {
		list_devices(devices, sizeof(devices));
		snprintf(error, error_len,
			"port %s: there is no device %s (there are: %s): add it to the EAL "
			"arguments (--vdev or -a) or correct `device`; a NIC is bound with "
			"dpdk-devbind.py first; a --vdev that EAL could not make says so above",
			config->name, config->device, devices);
		return -ENODEV;
	}
	if (dp->port_of_id[port->port_id] != NULL) {
		snprintf(error, error_len, "port %s: device %s is used by another port",
			config->name, config->device);
		return -EBUSY;
	}
	rc = rte_eth_dev_info_get(port->port_id, info);
	if (rc != 0) {
		snprintf(error, error_len, "port %s: device %s does not answer: %s", config->name,
			config->device, rte_strerror(-rc));
		return rc;
	}
	dp->port_of_id[port->port_id] = port;
	port->index = index;
	port->station.vlan = config->vlan;
	port->station.address = sl_ip_v4(&config->subnets[SL_IPV4].address);
	port->station.address6 = config->subnets[SL_IPV6].address;
	port->mtu = config->mtu;
	port->is_udp_sum_sent = config->is_udp_checksum_sent;
	port->has_sessions = dp->config->journal.directory != NULL;
	/* A ring hands on what it is given. */
	port->takes_segments = (info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0 ||
		strcmp(info->driver_name, "net_ring") == 0;
	port->is_physical = strcmp(rte_bus_name(rte_dev_bus(info->device)), "vdev") != 0;
	return choose_queues(dp, port, config, info, error, error_len);
}

/* The groups of a port's IPv6 address, which solicitations and routers' news come to. */
static int
set_multicast_list(const struct dp_port *port)
{
	struct sl_ip solicited = sl_net_solicited_node(&port->station.address6);
	struct sl_ip all = sl_net_all_nodes();
	struct rte_ether_addr macs[] = {sl_net_group_mac(&solicited), sl_net_group_mac(&all)};

	return rte_eth_dev_set_mc_addr_list(port->port_id, macs, RTE_DIM(macs));
}

/* These have no filter: what is sent to them arrives. */
static bool
is_unfiltered(const char *driver)
{
	static const char *const drivers[] = {"net_memif", "net_ring", "net_pcap", "net_null"};

	for (unsigned int i = 0; i < RTE_DIM(drivers); i++) {
		if (strcmp(driver, drivers[i]) == 0)
			return true;
	}
	return false;
}

static void
choose_multicast(struct sl_datapath *dp, struct dp_port *port, const struct sl_config_port *config,
	const struct rte_eth_dev_info *info)
{
	port->multicast = DP_MULTICAST_UNFILTERED;
	if (sl_ip_is_unset(&port->station.address6) || is_unfiltered(info->driver_name))
		return;
	if (set_multicast_list(port) == 0)
		port->multicast = DP_MULTICAST_LIST;
	else if (rte_eth_allmulticast_enable(port->port_id) == 0)
		port->multicast = DP_MULTICAST_ALL;
	else if (rte_eth_promiscuous_enable(port->port_id) == 0)
		port->multicast = DP_MULTICAST_PROMISCUOUS;
	else
		dp_notice(dp,
			"port %s: %s cannot be told to receive multicast: IPv6 neighbours may not find it; give them its address",
			config->name, config->device);
}

static int
configure_port(struct sl_datapath *dp, struct dp_port *port, const struct sl_config_port *config,
	const struct rte_eth_dev_info *info, char *error, size_t error_len)
{
	uint32_t index = port->index;
	struct rte_eth_conf conf = {0};
	int rc;

	use_offloads(port, dp->nb_copies > 0, config, info, &conf);
	rc = rte_eth_dev_configure(port->port_id, port->nb_rxqs, port->nb_txqs, &conf);
	if (rc != 0) {
		snprintf(error, error_len,
			"port %s: %s cannot be configured with %u rx and %u tx queues and mtu %u: %s; many virtual devices take no mtu above 1500",
			config->name, config->device, port->nb_rxqs, port->nb_txqs, config->mtu,
			rte_strerror(-rc));
		return rc;
	}
	rc = setup_queues(dp, port, config, error, error_len);
	if (rc != 0)
		return rc;
	rc = rte_eth_dev_set_mtu(port->port_id, config->mtu);
	if (rc != 0 && rc != -ENOTSUP)
		dp_notice(dp, "port %s: %s keeps its own MTU (%s); set the interface's to %u",
			config->name, config->device, rte_strerror(-rc), config->mtu);
	choose_multicast(dp, port, config, info);
	if (!config->is_gateway)
		return rte_eth_macaddr_get(port->port_id, &port->station.mac);
	/* Rings have no address of their own. */
	port->station.mac = dp_gateway_path_mac(
		(uint32_t)(index - (dp->config->nb_ports - dp->nb_gateways)));
	return 0;
}

int
dp_ports_create(struct sl_datapath *dp, char *error, size_t error_len)
{
	struct rte_eth_dev_info info[SL_CONFIG_PORTS_MAX];
	int rc;

	dp->ports = calloc(dp->config->nb_ports, sizeof(*dp->ports));
	if (dp->ports == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < dp->config->nb_ports; i++) {
		rc = find_port(dp, i, &info[i], error, error_len);
		if (rc != 0)
			return rc;
	}
	rc = dp_pool_create(dp, error, error_len);
	if (rc == 0)
		rc = dp_copies_create(dp, error, error_len);
	for (uint32_t i = 0; rc == 0 && i < dp->config->nb_ports; i++)
		rc = configure_port(
			dp, &dp->ports[i], &dp->config->ports[i], &info[i], error, error_len);
	return rc;
}

int
dp_ports_start(struct sl_datapath *dp, char *error, size_t error_len)
{
	for (uint32_t i = 0; i < dp->config->nb_ports; i++) {
		const struct sl_config_port *config = &dp->config->ports[i];
		int rc = rte_eth_dev_start(dp->ports[i].port_id);

		if (rc != 0) {
			snprintf(error, error_len, "port %s: %s does not start: %s", config->name,
				config->device, rte_strerror(-rc));
			while (i-- > 0)
				rte_eth_dev_stop(dp->ports[i].port_id);
			return rc;
		}
		/* Starting a port may clear what it was told before. */
		if (dp->ports[i].multicast == DP_MULTICAST_LIST)
			set_multicast_list(&dp->ports[i]);
	}
	dp_links_begin(dp);
	return 0;
}

void
dp_ports_stop(struct sl_datapath *dp)
{
	for (uint32_t i = 0; i < dp->config->nb_ports; i++)
		rte_eth_dev_stop(dp->ports[i].port_id);
}
