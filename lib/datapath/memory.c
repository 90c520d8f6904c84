/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <sys/mman.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include "durable.h"

/* Beside what the ports and queues ask for: bursts on their way through the graph. */
#define IN_FLIGHT_MBUFS 2048

/* Of them, each holds a frame of a gateway's port. */
#define DP_LARGE_MBUFS 2048u

/* What the queues get when the configuration does not say: messages that may wait. */
#define QUEUED_DEFAULT 65536

/*
 * Without huge pages EAL's memory is what -m gave, meant for packets; tables are better off in
 * memory of their own, where the kernel may still use large pages. It finds them all now: left to
 * the first message that needs it, clearing a large page holds up a worker for milliseconds.
 */
static void *
map_table(size_t size)
{
	void *table;

	table = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (table == MAP_FAILED)
		return NULL;
	madvise(table, size, MADV_HUGEPAGE);
	/* Unknown to kernels before 5.14, which find the pages later. */
	madvise(table, size, MADV_POPULATE_WRITE);
	return table;
}

void *
dp_table_alloc(size_t size, const char *what, char *error, size_t error_len)
{
	void *table;

	if (rte_eal_has_hugepages())
		table = rte_zmalloc(what, size, RTE_CACHE_LINE_SIZE);
	else
		table = map_table(size);
	if (table == NULL)
		snprintf(error, error_len,
			"no memory for %s (%zu MiB): reserve more huge pages (sysctl -w "
			"vm.nr_hugepages=N), or run with --no-huge",
			what, size >> 20);
	return table;
}

void
dp_table_free(void *table, size_t size)
{
	if (table == NULL)
		return;
	if (rte_eal_has_hugepages())
		rte_free(table);
	else
		munmap(table, size);
}

/* Mbufs that are not there for waiting messages. */
static uint32_t
nb_reserved_mbufs(const struct sl_datapath *dp)
{
	const struct sl_config *config = dp->config;
	bool has_journal = config->journal.directory != NULL;
	uint32_t n = IN_FLIGHT_MBUFS + DP_PUNT_RING + DP_PROBE_RING + DP_CONTROL_RING;

	if (dp->publishers != NULL)
		n += 2 * DP_ACKS_EMPTY + DP_ACKS_HELD;
	for (uint32_t i = 0; i < config->nb_ports; i++) {
		n += (uint32_t)dp->ports[i].nb_rxqs * config->ports[i].rx_descriptors;
		n += (uint32_t)dp->ports[i].nb_txqs *
			(config->ports[i].tx_descriptors + DP_TX_PENDING);
	}
	n += dp->nb_gateways * (1 + dp->nb_workers) * DP_GATEWAY_RING;
	for (uint32_t i = 0; i < dp->nb_lcores; i++) {
		n += DP_MBUF_CACHE + DP_MBUF_CACHE / 2;
		for (uint32_t w = 0; w < dp->nb_workers; w++) {
			if (dp->lcores[i]->to_worker[w] != NULL)
				n += config->ring_size + (has_journal ? DP_ACK_RING : 0);
		}
	}
	return n + (has_journal ? dp->nb_workers * DP_FETCHES * DP_FETCH_MAX : 0);
}

#define L2_OVERHEAD (uint32_t)(RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN + RTE_ETHER_CRC_LEN)

/* For the frames of gateways' ports, or of all others, whichever are longest. */
static uint16_t
data_room(const struct sl_config *config, bool of_gateways)
{
	uint32_t room = RTE_MBUF_DEFAULT_DATAROOM;

	for (uint32_t i = 0; i < config->nb_ports; i++) {
		if (config->ports[i].is_gateway == of_gateways)
			room = RTE_MAX(room, config->ports[i].mtu + L2_OVERHEAD);
	}
	/* Some devices fill buffers in steps of 1 KiB only. */
	return (uint16_t)RTE_ALIGN_CEIL(room, 1024u);
}

/*
 * What gateways' clients send may be longer than a frame on the wire. A few buffers hold such
 * messages, so that the many do not have to be as long.
 */
static int
create_large(struct sl_datapath *dp, uint16_t priv, char *error, size_t error_len)
{
	uint16_t room = data_room(dp->config, true);

	if (dp->nb_gateways == 0 || room <= dp->room)
		return 0;
	dp->large = rte_pktmbuf_pool_create_by_ops("sluice-large", DP_LARGE_MBUFS, 0, priv,
		RTE_PKTMBUF_HEADROOM + room, SOCKET_ID_ANY, "ring_mt_rts");
	if (dp->large != NULL)
		return 0;
	snprintf(error, error_len,
		"no memory for the gateways' %u large buffers (%u MiB): give EAL more memory (huge "
		"pages, or --no-huge -m MEGABYTES), or set mbufs lower",
		DP_LARGE_MBUFS, (DP_LARGE_MBUFS * room) >> 20);
	return -ENOMEM;
}

int
dp_pool_create(struct sl_datapath *dp, char *error, size_t error_len)
{
	uint32_t reserved = nb_reserved_mbufs(dp), n = dp->config->nb_mbufs, least;
	uint16_t room = RTE_PKTMBUF_HEADROOM + data_room(dp->config, false);
	uint32_t bytes = (uint32_t)(sizeof(struct rte_mbuf) + sizeof(struct dp_msg) + room);
	uint16_t priv = RTE_ALIGN_CEIL(sizeof(struct dp_msg), RTE_MBUF_PRIV_ALIGN);

	if (n == 0)
		n = reserved + QUEUED_DEFAULT;
	least = reserved + dp->nb_workers * 1024;
	if (n < least) {
		snprintf(error, error_len,
			"mbufs: %u are too few: rings, descriptors and caches take %u; set mbufs to "
			"at least %u, or lower rx_descriptors and tx_descriptors",
			n, reserved, least);
		return -EINVAL;
	}
	dp->queue_capacity = (n - reserved) / dp->nb_workers;
	/* Gateways' threads may be put aside in the middle of taking or giving back a buffer: the
	 * relaxed tail of these rings lets lcores go on meanwhile. */
	dp->pool = rte_pktmbuf_pool_create_by_ops("sluice", n, DP_MBUF_CACHE, priv, room,
		SOCKET_ID_ANY, dp->nb_gateways > 0 ? "ring_mt_rts" : NULL);
	if (dp->pool == NULL) {
		snprintf(error, error_len,
			"no memory for %u mbufs (%u MiB): %s, or set mbufs lower (at least %u)", n,
			(uint32_t)((uint64_t)n * bytes >> 20),
			rte_eal_has_hugepages()
				? "reserve more huge pages (sysctl -w vm.nr_hugepages=N)"
				: "give EAL more memory (--no-huge -m MEGABYTES)",
			least);
		return -ENOMEM;
	}
	dp->memory.nb_mbufs = n;
	dp->memory.mbuf_bytes = bytes;
	dp->memory.mbufs = (uint64_t)n * bytes;
	dp->room = room - RTE_PKTMBUF_HEADROOM;
	return create_large(dp, priv, error, error_len);
}
