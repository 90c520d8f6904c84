/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "options.h"
#include "port.h"

#define POLL_US 10000

/* How many polls until a memif that has met nobody is started again; and one that has met somebody,
 * with whom it may be talking still. */
#define START_POLLS   50
#define RESTART_POLLS 500

uint16_t
port_mbuf_size(uint16_t mtu)
{
	uint16_t frame = (uint16_t)(mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN + RTE_ETHER_CRC_LEN);

	return (uint16_t)(RTE_MAX(frame, (uint16_t)RTE_MBUF_DEFAULT_DATAROOM) +
		RTE_PKTMBUF_HEADROOM);
}

static void
print_ports(void)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	uint16_t id;

	fprintf(stderr, "  ports there are:");
	RTE_ETH_FOREACH_DEV (id) {
		if (rte_eth_dev_get_name_by_port(id, name) == 0)
			fprintf(stderr, " %s (%u)", name, id);
	}
	fprintf(stderr, "%s\n",
		rte_eth_dev_count_avail() == 0 ? " none; add one by --vdev or bind a NIC" : "");
}

static int
find_port(struct port *port)
{
	uint64_t id;

	if (rte_eth_dev_get_port_by_name(port->name, &port->id) == 0)
		return 0;
	if (options_parse_number(port->name, 0, RTE_MAX_ETHPORTS - 1, &id) == 0 &&
		rte_eth_dev_is_valid_port((uint16_t)id)) {
		port->id = (uint16_t)id;
		return 0;
	}
	fprintf(stderr, "sluice-gen: port %s: there is no such port\n", port->name);
	print_ports();
	return -ENODEV;
}

/* The station's address: as given, as the port has it, or a local one for a port without. */
static int
set_mac(struct port *port, bool has_mac)
{
	struct rte_ether_addr mac;
	int rc;

	rc = rte_eth_macaddr_get(port->id, &mac);
	if (rc < 0)
		return rc;
	if (!has_mac) {
		if (rte_is_zero_ether_addr(&mac))
			mac = (struct rte_ether_addr){{0x02, 0x53, 0x4c, 0, 0, (uint8_t)port->id}};
		port->mac = mac;
		return 0;
	}
	/* A port that cannot filter for another address must pass everything up. */
	if (!rte_is_same_ether_addr(&mac, &port->mac) &&
		rte_eth_dev_default_mac_addr_set(port->id, &port->mac) < 0)
		rte_eth_promiscuous_enable(port->id);
	return 0;
}

/* A memif connects when it is started, to an end that may not be there yet, and only then. */
static bool
is_memif(uint16_t id)
{
	struct rte_eth_dev_info info;

	return rte_eth_dev_info_get(id, &info) == 0 && info.driver_name != NULL &&
		strcmp(info.driver_name, "net_memif") == 0;
}

struct errand {
	int (*work)(uint16_t id);
	uint16_t id;
	int rc;
	sem_t is_done;
};

static void
run_errand(void *arg)
{
	struct errand *errand = arg;

	errand->rc = errand->work(errand->id);
	sem_post(&errand->is_done);
}

/* Where alarms are called. */
static int
in_interrupt_thread(int (*work)(uint16_t id), uint16_t id)
{
	struct errand errand = {.work = work, .id = id};

	sem_init(&errand.is_done, 0, 0);
	if (rte_eal_alarm_set(1, run_errand, &errand) != 0)
		return work(id);
	while (sem_wait(&errand.is_done) != 0)
		;
	sem_destroy(&errand.is_done);
	return errand.rc;
}

/* The interrupt thread talks with a memif's other end, and net_memif does not bear that another one
 * starts or stops the port meanwhile. */
static int
do_work(const struct port *port, int (*work)(uint16_t id))
{
	return port->is_memif ? in_interrupt_thread(work, port->id) : work(port->id);
}

static int
stop_and_close(uint16_t id)
{
	rte_eth_dev_stop(id);
	return rte_eth_dev_close(id);
}

static int
restart(uint16_t id)
{
	rte_eth_dev_stop(id);
	return rte_eth_dev_start(id);
}

static int
configure(struct port *port, const struct port_params *params, struct rte_mempool *pool)
{
	uint16_t nb_rx = params->descriptors, nb_tx = params->descriptors;
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	int rc, socket = rte_eth_dev_socket_id(port->id);

	rc = rte_eth_dev_info_get(port->id, &info);
	if (rc < 0)
		return rc;
	conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	if (params->mtu > RTE_ETHER_MTU)
		conf.rxmode.mtu = params->mtu;
	rc = rte_eth_dev_configure(port->id, 1, 1, &conf);
	if (rc < 0)
		return rc;
	rc = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &nb_rx, &nb_tx);
	if (rc < 0)
		return rc;
	rc = rte_eth_rx_queue_setup(port->id, 0, nb_rx, (unsigned int)socket, NULL, pool);
	if (rc < 0)
		return rc;
	return rte_eth_tx_queue_setup(port->id, 0, nb_tx, (unsigned int)socket, NULL);
}

int
port_start(struct port *port, const struct port_params *params, struct rte_mempool *pool)
{
	int rc = find_port(port);

	if (rc < 0)
		return rc;
	port->is_memif = is_memif(port->id);
	rc = configure(port, params, pool);
	if (rc == 0) {
		rc = do_work(port, rte_eth_dev_start);
		/* Where there is nobody yet, port_wait_for_link() tries again. */
		port->is_alone = rc < 0 && port->is_memif;
		if (port->is_alone)
			rc = 0;
	}
	if (rc == 0) {
		port->is_started = true;
		rc = set_mac(port, params->has_mac);
	}
	if (rc < 0)
		fprintf(stderr,
			"sluice-gen: port %s: %s; check its device arguments, --mtu and "
			"--descriptors\n",
			port->name, strerror(-rc));
	return rc;
}

void
port_stop(struct port *port)
{
	if (!port->is_started)
		return;
	do_work(port, stop_and_close);
	port->is_started = false;
}

static void
start_again(struct port *port, unsigned int polls)
{
	if (port->is_alone && polls % START_POLLS == 0) {
		port->is_alone = do_work(port, rte_eth_dev_start) < 0;
	} else if (!port->is_alone && polls % RESTART_POLLS == 0) {
		port->is_alone = do_work(port, restart) < 0;
	}
}

int
port_wait_for_link(struct port *port, uint32_t wait_ms, const volatile int *nb_signals)
{
	uint64_t end = rte_rdtsc() + rte_get_tsc_hz() / 1000 * wait_ms;
	struct rte_eth_link link;

	for (unsigned int polls = 1;; polls++) {
		if (*nb_signals != 0)
			return -EINTR;
		if (rte_eth_link_get_nowait(port->id, &link) == 0 &&
			link.link_status == RTE_ETH_LINK_UP)
			return 0;
		if (rte_rdtsc() >= end)
			break;
		if (port->is_memif)
			start_again(port, polls);
		usleep(POLL_US);
	}
	fprintf(stderr,
		"sluice-gen: port %s: no link after %u ms; start its other end, or wait longer "
		"with --wait-ms\n",
		port->name, wait_ms);
	return -ENETDOWN;
}
