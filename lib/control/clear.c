/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include "control_internal.h"

static void
clear_xstats(struct sl_control *c, uint32_t port, uint16_t port_id)
{
	int n = rte_eth_xstats_get(port_id, NULL, 0);
	struct rte_eth_xstat *xstats = calloc((size_t)RTE_MAX(n, 1), sizeof(*xstats));
	uint64_t *values = calloc((size_t)RTE_MAX(n, 1), sizeof(*values));

	if (n <= 0 || xstats == NULL || values == NULL ||
		rte_eth_xstats_get(port_id, xstats, (unsigned int)n) != n) {
		free(xstats);
		free(values);
		return;
	}
	for (int i = 0; i < n; i++) {
		if (xstats[i].id < (uint64_t)n)
			values[xstats[i].id] = xstats[i].value;
	}
	free(xstats);
	marks_set_xstats(c->marks, port, values, (uint32_t)n);
}

static void
clear_port(struct sl_control *c, uint32_t port)
{
	struct sl_port_info info;
	struct rte_eth_stats stats;

	sl_datapath_get_port(c->params.datapath, port, &info);
	if (rte_eth_stats_get(info.port_id, &stats) == 0)
		marks_set_port(c->marks, port, &stats);
	clear_xstats(c, port, info.port_id);
}

static void
clear_destination(struct sl_control *c, uint32_t destination)
{
	struct sl_destination_stats stats;
	struct sl_backend_stats backend;

	sl_datapath_get_destination_stats(c->params.datapath, destination, &stats);
	marks_set_destination(c->marks, destination, &stats);
	for (uint32_t i = 0; i < c->config->destinations[destination].nb_backends; i++) {
		sl_datapath_get_backend_stats(c->params.datapath, destination, i, &backend);
		marks_set_backend(c->marks, destination, i, backend.delivered);
	}
}

static int
clear_all(struct sl_control *c, char *error, size_t error_len)
{
	struct sl_datapath_stats *stats = calloc(1, sizeof(*stats));
	int rc = stats == NULL ? -ENOMEM : sl_datapath_get_stats(c->params.datapath, stats);

	if (rc == 0)
		marks_set_stats(c->marks, stats);
	free(stats);
	if (rc == -ENOMEM)
		return control_fail(rc, error, error_len, "no memory to clear the counters");
	if (rc != 0)
		return control_fail(-EAGAIN, error, error_len,
			"an lcore has not answered for a second: try again");
	for (uint32_t i = 0; i < c->config->nb_destinations; i++)
		clear_destination(c, i);
	for (uint32_t i = 0; i < c->config->nb_ports; i++)
		clear_port(c, i);
	return 0;
}

int
sl_control_clear(
	struct sl_control *c, enum sl_clear what, const char *name, char *error, size_t error_len)
{
	uint32_t index;

	if (what == SL_CLEAR_ALL)
		return clear_all(c, error, error_len);
	if (what == SL_CLEAR_PORT) {
		index = find_port(c->config, name);
		if (index == UINT32_MAX)
			return control_fail(-ENOENT, error, error_len,
				"there is no port %.64s: see ports", name);
		clear_port(c, index);
		return 0;
	}
	index = find_destination(c->config, name);
	if (index == UINT32_MAX)
		return control_fail(-ENOENT, error, error_len,
			"there is no destination %.64s: see destinations", name);
	clear_destination(c, index);
	return 0;
}
