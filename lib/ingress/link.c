/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ring.h>

#include "ingress.h"

/*
 * Frames to and from the path. What is published in one turn shares datagrams, so that what the
 * path spends on one is shared, too. No UDP checksum is sent: the frame does not leave memory.
 */

#define TTL    64
#define BURST  64u
#define FRAMES 1024u /* Of one ring, in one turn. */

#define DATA_AHEAD 4u
#define FLAT_MAX   65536u

int
gw_link_init(struct gw_link *link, const struct sl_datapath_gateway *path, uint16_t udp_port)
{
	memset(link, 0, sizeof(*link));
	link->path = *path;
	link->udp_port = rte_cpu_to_be_16(udp_port);
	link->flat = malloc(FLAT_MAX);
	if (link->flat == NULL)
		return -ENOMEM;
	sl_net_flow_init(&link->flow, &path->address, &path->path_address, link->udp_port,
		link->udp_port, TTL);
	link->station.mac = path->mac;
	if (sl_ip_is_v4(&path->address))
		link->station.address = sl_ip_v4(&path->address);
	else
		link->station.address6 = path->address;
	return 0;
}

void
gw_link_fini(struct gw_link *link)
{
	gw_link_flush(link);
	rte_pktmbuf_free_bulk(link->ready, link->nb_ready);
	rte_pktmbuf_free_bulk(link->spare, link->nb_spare);
	link->nb_ready = link->nb_spare = 0;
	free(link->flat);
}

uint32_t
gw_link_message_max(const struct gw_link *link)
{
	return link->path.data_max - SL_WIRE_HEADER_LEN;
}

static void
push_ready(struct gw_link *link)
{
	unsigned int n;

	if (link->nb_ready == 0)
		return;
	n = rte_ring_enqueue_burst(
		link->path.to_path, (void *const *)link->ready, link->nb_ready, NULL);
	GW_ADD(link->frames_out, n);
	if (n < link->nb_ready)
		GW_ADD(link->ring_full, 1);
	link->nb_ready -= n;
	memmove(link->ready, link->ready + n, link->nb_ready * sizeof(link->ready[0]));
}

/* A buffer for a frame. @return NULL: none, or there is no place for the frame afterwards */
static struct rte_mbuf *
get_mbuf(struct gw_link *link)
{
	/* Two more may be begun. */
	if (link->nb_ready + 2 >= GW_LINK_READY) {
		push_ready(link);
		if (link->nb_ready + 2 >= GW_LINK_READY)
			return NULL;
	}
	if (link->nb_spare == 0) {
		if (rte_pktmbuf_alloc_bulk(link->path.pool, link->spare, GW_LINK_SPARE) != 0) {
			GW_ADD(link->no_buffer, 1);
			link->is_lacking = true;
			return NULL;
		}
		link->nb_spare = GW_LINK_SPARE;
	}
	link->is_lacking = false;
	return link->spare[--link->nb_spare];
}

bool
gw_link_lacks_large(const struct gw_link *link, uint64_t session, uint32_t len)
{
	const struct rte_mempool *large = link->path.large;

	if (SL_WIRE_HEADER_LEN + len <= link->path.data_small)
		return false;
	return rte_mempool_avail_count(large) < (session != 0 ? large->size / 4 : large->size / 2);
}

/* One for a datagram that begins with a message of this length. */
static struct rte_mbuf *
get_mbuf_for(struct gw_link *link, uint64_t session, uint32_t len)
{
	struct rte_mbuf *small = get_mbuf(link), *large;

	if (likely(SL_WIRE_HEADER_LEN + len <= link->path.data_small) || small == NULL)
		return small;
	link->spare[link->nb_spare++] = small;
	large = gw_link_lacks_large(link, session, len) ? NULL
							: rte_pktmbuf_alloc(link->path.large);
	if (large == NULL) {
		GW_ADD(link->no_buffer, 1);
		link->is_lacking = true;
	}
	return large;
}

/* The frame is whole. */
static void
seal(struct gw_link *link, struct rte_mbuf *m, uint32_t len)
{
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	uint16_t eth = sl_net_put_eth(
		p, &link->path.path_mac, &link->path.mac, 0, sl_net_flow_type(&link->flow));

	sl_net_flow_write(&link->flow, p + eth, (uint16_t)len, NULL);
	m->data_len = (uint16_t)(eth + link->flow.headers_len + len);
	m->pkt_len = m->data_len;
	/* A device of rings leaves it as it is. */
	m->port = link->path.port_id;
	link->ready[link->nb_ready++] = m;
}

static void
seal_datagram(struct gw_link *link, struct gw_datagram *d)
{
	if (d->mbuf == NULL)
		return;
	seal(link, d->mbuf, d->len);
	d->mbuf = NULL;
}

uint8_t *
gw_link_add(struct gw_link *link, uint64_t session, uint32_t len)
{
	struct gw_datagram *d = session == 0 ? &link->loose : &link->numbered;
	uint8_t *p;

	if (d->mbuf != NULL &&
		(d->len + len > link->path.data_small || d->session != session ||
			d->nb_messages == SL_WIRE_MESSAGES_MAX))
		seal_datagram(link, d);
	if (d->mbuf == NULL) {
		d->mbuf = get_mbuf_for(link, session, len);
		if (d->mbuf == NULL)
			return NULL;
		d->data = rte_pktmbuf_mtod_offset(
			d->mbuf, uint8_t *, RTE_ETHER_HDR_LEN + link->flow.headers_len);
		sl_wire_put_header(d->data, 0, session);
		d->len = SL_WIRE_HEADER_LEN;
		d->nb_messages = 0;
		d->session = session;
	}
	p = d->data + d->len;
	d->len += len;
	d->nb_messages++;
	return p;
}

bool
gw_link_send(struct gw_link *link, rte_be16_t port, const uint8_t *data, uint32_t len)
{
	struct rte_mbuf *m = get_mbuf(link);
	struct rte_udp_hdr *udp;
	uint8_t *p;

	if (m == NULL)
		return false;
	p = rte_pktmbuf_mtod_offset(m, uint8_t *, RTE_ETHER_HDR_LEN + link->flow.headers_len);
	memcpy(p, data, len);
	seal(link, m, len);
	udp = (struct rte_udp_hdr *)(p - sizeof(*udp));
	udp->src_port = port;
	return true;
}

void
gw_link_flush(struct gw_link *link)
{
	seal_datagram(link, &link->loose);
	seal_datagram(link, &link->numbered);
	push_ready(link);
}

/* The port a datagram goes to, when somebody may be there; else the thread's own. */
static rte_be16_t
port_of(const struct gw_link *link, const uint8_t *p, uint32_t len)
{
	const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)p;

	return len >= sizeof(*udp) && gw_durable_is_port(udp->dst_port) ? udp->dst_port
									: link->udp_port;
}

/* A frame as it came from the path, whose word is good but for what concerns memory. */
static void
input_frame(struct gw_thread *thread, struct rte_mbuf *m)
{
	const unsigned int good = SL_NET_IP_SUM_KNOWN_GOOD | SL_NET_UDP_SUM_KNOWN_GOOD;
	struct gw_link *link = &thread->link;
	uint32_t len = RTE_MIN(m->pkt_len, FLAT_MAX);
	const uint8_t *p = rte_pktmbuf_read(m, 0, len, link->flat);
	struct sl_net_eth eth;
	struct sl_net_ip ip;
	struct sl_net_udp udp;
	rte_be16_t port;

	if (p == NULL || sl_net_check_eth(p, len, &link->station, &eth) != SL_NET_OK) {
		GW_ADD(link->bad_frames, 1);
		return;
	}
	/* The path says where it is; it is known. */
	if (eth.type == RTE_ETHER_TYPE_ARP)
		return;
	if (sl_net_check_ip(p + eth.len, len - eth.len, eth.type, &link->station, good, &ip) !=
			SL_NET_OK ||
		ip.proto != IPPROTO_UDP) {
		GW_ADD(link->bad_frames, 1);
		return;
	}
	port = port_of(link, p + eth.len + ip.header_len, ip.payload_len);
	if (sl_net_check_udp(p + eth.len + ip.header_len, ip.payload_len, p + eth.len, port, good,
		    &udp) != SL_NET_OK) {
		GW_ADD(link->bad_frames, 1);
		return;
	}
	gw_thread_input(thread, port, p + eth.len + ip.header_len + sizeof(struct rte_udp_hdr),
		udp.payload_len);
}

/* Another core has just written them: they are fetched before they are read. */
static void
input_frames(struct gw_thread *thread, struct rte_mbuf **mbufs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		rte_prefetch0(mbufs[i]);
	for (uint32_t i = 0; i < RTE_MIN(n, DATA_AHEAD); i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	for (uint32_t i = 0; i < n; i++) {
		if (i + DATA_AHEAD < n) {
			const uint8_t *data = rte_pktmbuf_mtod(mbufs[i + DATA_AHEAD], uint8_t *);

			rte_prefetch0(data);
			rte_prefetch0(data + RTE_CACHE_LINE_SIZE);
		}
		input_frame(thread, mbufs[i]);
	}
}

uint32_t
gw_link_receive(struct gw_thread *thread)
{
	struct gw_link *link = &thread->link;
	struct rte_mbuf *mbufs[BURST];
	uint32_t taken = 0, n;

	for (uint32_t r = 0; r < link->path.nb_from_path; r++) {
		uint32_t of_ring = 0;

		do {
			n = rte_ring_dequeue_burst(
				link->path.from_path[r], (void **)mbufs, BURST, NULL);
			input_frames(thread, mbufs, n);
			rte_pktmbuf_free_bulk(mbufs, n);
			of_ring += n;
		} while (n == BURST && of_ring < FRAMES);
		taken += of_ring;
	}
	if (taken > 0)
		GW_ADD(link->frames_in, taken);
	return taken;
}
