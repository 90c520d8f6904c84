/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include "control_internal.h"

/* Views of ports. */

struct port {
	const struct sl_config_port *config;
	struct sl_port_info info;
	uint32_t index;
};

static struct port
get_port(struct sl_control *c, uint32_t index)
{
	struct port port = {.config = &c->config->ports[index], .index = index};

	sl_datapath_get_port(c->params.datapath, index, &port.info);
	return port;
}

static json_t *
subnet_of(const struct sl_config_subnet *subnet)
{
	char text[SL_IP_STRLEN];

	if (sl_ip_is_unset(&subnet->address))
		return json_null();
	return json_sprintf("%s/%u", sl_ip_format(&subnet->address, text), subnet->prefix_len);
}

static json_t *
base_of(const struct port *port)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE];
	json_t *json;

	rte_ether_format_addr(mac, sizeof(mac), &port->info.mac);
	json = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:i, s:i, s:s}", "name",
		port->config->name, "device", port->config->device, "driver", port->info.driver,
		"mac", mac, "address", subnet_of(&port->config->subnets[SL_IPV4]), "address6",
		subnet_of(&port->config->subnets[SL_IPV6]), "vlan", (int)port->config->vlan, "mtu",
		(int)port->info.mtu, "link", port->info.is_up ? "up" : "down");
	json_object_set_new(json, "speed_mbps",
		port->info.speed_mbps == RTE_ETH_SPEED_NUM_UNKNOWN
			? json_null()
			: integer(port->info.speed_mbps));
	return json;
}

static void
add_stats(struct sl_control *c, const struct port *port, json_t *json)
{
	struct rte_eth_stats s;

	memset(&s, 0, sizeof(s));
	rte_eth_stats_get(port->info.port_id, &s);
	marks_subtract_port(c->marks, port->index, &s);
	json_object_set_new(json, "rx_packets", integer(s.ipackets));
	json_object_set_new(json, "tx_packets", integer(s.opackets));
	json_object_set_new(json, "rx_bytes", integer(s.ibytes));
	json_object_set_new(json, "tx_bytes", integer(s.obytes));
	json_object_set_new(json, "rx_missed", integer(s.imissed));
	json_object_set_new(json, "rx_errors", integer(s.ierrors));
	json_object_set_new(json, "tx_errors", integer(s.oerrors));
	json_object_set_new(json, "rx_nombuf", integer(s.rx_nombuf));
}

json_t *
view_ports(struct sl_control *c, struct view_call *call)
{
	json_t *list = json_array();

	RTE_SET_USED(call);
	for (uint32_t i = 0; i < c->config->nb_ports; i++) {
		struct port port = get_port(c, i);
		json_t *json = base_of(&port);

		add_stats(c, &port, json);
		json_array_append_new(list, json);
	}
	return list;
}

static json_t *
offloads_of(uint64_t offloads, const char *(*name_of)(uint64_t offload))
{
	json_t *list = json_array();

	for (unsigned int bit = 0; bit < 64; bit++) {
		if (offloads & (UINT64_C(1) << bit))
			json_array_append_new(list, json_string(name_of(UINT64_C(1) << bit)));
	}
	return list;
}

static json_t *
info_of(struct sl_control *c, const struct port *port)
{
	const struct sl_port_info *info = &port->info;
	json_t *json = base_of(port);

	RTE_SET_USED(c);
	json_object_set_new(json, "port_id", integer(info->port_id));
	json_object_set_new(json, "duplex", json_string(info->is_full_duplex ? "full" : "half"));
	json_object_set_new(json, "numa_node", json_integer(info->socket_id));
	json_object_set_new(json, "rx_queues", integer(info->nb_rxqs));
	json_object_set_new(json, "tx_queues", integer(info->nb_txqs));
	json_object_set_new(json, "rx_descriptors", integer(info->nb_rx_descriptors));
	json_object_set_new(json, "tx_descriptors", integer(info->nb_tx_descriptors));
	json_object_set_new(
		json, "rx_offloads", offloads_of(info->rx_offloads, rte_eth_dev_rx_offload_name));
	json_object_set_new(
		json, "tx_offloads", offloads_of(info->tx_offloads, rte_eth_dev_tx_offload_name));
	json_object_set_new(json, "link_changes", integer(info->link_changes));
	return json;
}

static json_t *
stats_of(struct sl_control *c, const struct port *port)
{
	json_t *json = json_pack("{s:s}", "name", port->config->name);

	add_stats(c, port, json);
	return json;
}

static json_t *
xstats_of(struct sl_control *c, const struct port *port)
{
	json_t *json = json_pack("{s:s}", "name", port->config->name), *values = json_object();
	int n = rte_eth_xstats_get_names(port->info.port_id, NULL, 0), nb_values;
	struct rte_eth_xstat_name *names = calloc((size_t)RTE_MAX(n, 1), sizeof(*names));
	struct rte_eth_xstat *xstats = calloc((size_t)RTE_MAX(n, 1), sizeof(*xstats));

	if (n > 0 && names != NULL && xstats != NULL &&
		rte_eth_xstats_get_names(port->info.port_id, names, (unsigned int)n) == n) {
		nb_values = rte_eth_xstats_get(port->info.port_id, xstats, (unsigned int)n);
		for (int i = 0; i < RTE_MIN(n, nb_values); i++)
			json_object_set_new(values, names[xstats[i].id].name,
				integer(marks_subtract_xstat(c->marks, port->index,
					(uint32_t)xstats[i].id, xstats[i].value)));
	}
	free(names);
	free(xstats);
	json_object_set_new(json, "xstats", values);
	return json;
}

static const struct {
	const char *name;
	json_t *(*make)(struct sl_control *c, const struct port *port);
} aspects[] = {{"info", info_of}, {"stats", stats_of}, {"xstats", xstats_of}};

json_t *
view_port(struct sl_control *c, struct view_call *call)
{
	bool is_all = strcmp(call->arguments[0], "all") == 0;
	uint32_t index = is_all ? 0 : find_port(c->config, call->arguments[0]), aspect;
	struct port port;
	json_t *list;

	for (aspect = 0; aspect < RTE_DIM(aspects); aspect++) {
		if (strcmp(aspects[aspect].name, call->arguments[1]) == 0)
			break;
	}
	if (aspect == RTE_DIM(aspects)) {
		call->rc = control_fail(-EINVAL, call->error, call->error_len,
			"port: no %.32s: info, stats or xstats", call->arguments[1]);
		return NULL;
	}
	if (index == UINT32_MAX) {
		call->rc = control_fail(-ENOENT, call->error, call->error_len,
			"there is no port %.64s: see ports", call->arguments[0]);
		return NULL;
	}
	if (!is_all) {
		port = get_port(c, index);
		return aspects[aspect].make(c, &port);
	}
	list = json_array();
	for (; index < c->config->nb_ports; index++) {
		port = get_port(c, index);
		json_array_append_new(list, aspects[aspect].make(c, &port));
	}
	return list;
}
