/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "control_internal.h"
#include "sl_neighbours.h"

/* The view of neighbours: the next hops of backends. */

json_t *
neighbour_mac(const struct sl_neighbour_info *info)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE];

	if (!info->has_mac)
		return json_null();
	rte_ether_format_addr(mac, sizeof(mac), &info->mac);
	return json_string(mac);
}

json_t *
view_neighbours(struct sl_control *c, struct view_call *call)
{
	json_t *list = json_array(), *json;
	struct sl_neighbour_info info;
	char address[SL_IP_STRLEN];

	RTE_SET_USED(call);
	if (c->params.neighbours == NULL)
		return list;
	for (uint32_t i = 0; sl_neighbours_get(c->params.neighbours, i, &info); i++) {
		json = json_pack("{s:s, s:s, s:s, s:o}", "address", sl_ip_format(&info.ip, address),
			"port", c->config->ports[info.port_index].name, "state", info.state, "mac",
			neighbour_mac(&info));
		json_object_set_new(json, "age_s",
			info.age_ms == UINT64_MAX ? json_null()
						  : json_real((double)info.age_ms / 1e3));
		json_object_set_new(json, "tries", integer(info.tries));
		json_array_append_new(list, json);
	}
	return list;
}
