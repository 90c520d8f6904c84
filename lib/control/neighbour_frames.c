/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdio.h>

#include "neighbours_internal.h"
#include "sl_arp.h"
#include "sl_icmp.h"
#include "sl_nd.h"
#include "sl_net.h"

/* ARP, neighbour discovery and echo frames: asked, answered, believed. */

/* How often an address conflict is worth a line. */
#define CONFLICT_EVERY_MS 10000

static const struct rte_ether_addr broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static const struct sl_ip *
own_address(const struct sl_neighbours *n, uint32_t port_index, enum sl_family family)
{
	return &n->config->ports[port_index].subnets[family].address;
}

static bool
is_spoken(const struct sl_neighbours *n, uint32_t port_index, enum sl_family family)
{
	return !sl_ip_is_unset(own_address(n, port_index, family));
}

/* An empty frame to fill; NULL when there is no buffer: what is asked is asked again. */
static struct rte_mbuf *
new_frame(struct sl_neighbours *n, uint8_t **frame)
{
	struct rte_mbuf *m = sl_datapath_alloc(n->datapath);

	if (m != NULL)
		*frame = rte_pktmbuf_mtod(m, uint8_t *);
	return m;
}

static void
send_frame(struct sl_neighbours *n, uint32_t port_index, struct rte_mbuf *m, size_t len)
{
	m->data_len = (uint16_t)len;
	m->pkt_len = m->data_len;
	sl_datapath_send(n->datapath, port_index, m);
}

static void
send_arp(struct sl_neighbours *n, uint32_t port_index, const struct rte_ether_addr *dst,
	struct sl_arp *arp)
{
	uint8_t *frame;
	struct rte_mbuf *m = new_frame(n, &frame);

	if (m == NULL)
		return;
	arp->sender_mac = *sl_datapath_port_mac(n->datapath, port_index);
	arp->sender_ip = sl_ip_v4(own_address(n, port_index, SL_IPV4));
	send_frame(
		n, port_index, m, sl_arp_build(frame, dst, n->config->ports[port_index].vlan, arp));
}

static void
send_nd(struct sl_neighbours *n, uint32_t port_index, const struct rte_ether_addr *dst,
	struct sl_nd *nd)
{
	const struct rte_ether_addr *own = sl_datapath_port_mac(n->datapath, port_index);
	uint8_t *frame;
	struct rte_mbuf *m = new_frame(n, &frame);

	if (m == NULL)
		return;
	nd->has_mac = !sl_ip_is_unset(&nd->src);
	nd->mac = *own;
	send_frame(n, port_index, m,
		sl_nd_build(frame, dst, own, n->config->ports[port_index].vlan, nd));
}

static void
ask_arp(struct sl_neighbours *n, uint32_t hop, bool is_unicast)
{
	struct sl_arp arp = {.is_request = true, .target_ip = sl_ip_v4(&n->hops[hop].ip)};

	send_arp(n, n->hops[hop].port_index, is_unicast ? &n->neighs[hop].mac : &broadcast, &arp);
}

static void
ask_nd(struct sl_neighbours *n, uint32_t hop, bool is_unicast)
{
	uint32_t port_index = n->hops[hop].port_index;
	struct sl_nd nd = {
		.is_solicitation = true,
		.src = *own_address(n, port_index, SL_IPV6),
		.dst = n->hops[hop].ip,
		.target = n->hops[hop].ip,
	};
	struct rte_ether_addr dst = n->neighs[hop].mac;

	if (!is_unicast) {
		nd.dst = sl_net_solicited_node(&nd.target);
		dst = sl_net_group_mac(&nd.dst);
	}
	send_nd(n, port_index, &dst, &nd);
}

void
neighbours_ask(struct sl_neighbours *n, uint32_t hop, bool is_unicast)
{
	if (sl_ip_is_v4(&n->hops[hop].ip))
		ask_arp(n, hop, is_unicast);
	else
		ask_nd(n, hop, is_unicast);
}

void
neighbours_report_groups(struct sl_neighbours *n, uint32_t port_index)
{
	struct sl_ip group = sl_net_solicited_node(own_address(n, port_index, SL_IPV6));
	struct rte_mbuf *m;
	uint8_t *frame;

	if (!is_spoken(n, port_index, SL_IPV6))
		return;
	m = new_frame(n, &frame);
	if (m == NULL)
		return;
	send_frame(n, port_index, m,
		sl_nd_build_report(frame, sl_datapath_port_mac(n->datapath, port_index),
			n->config->ports[port_index].vlan, &group));
}

/* Tell everybody where our address is. Whoever has it, too, is asked to say so first. */
static void
announce_nd(struct sl_neighbours *n, uint32_t port_index)
{
	const struct sl_ip *own = own_address(n, port_index, SL_IPV6);
	struct sl_nd question = {
		.is_solicitation = true,
		.dst = sl_net_solicited_node(own),
		.target = *own,
	};
	struct sl_nd news = {
		.is_override = true,
		.src = *own,
		.dst = sl_net_all_nodes(),
		.target = *own,
	};
	struct rte_ether_addr mac = sl_net_group_mac(&question.dst);

	neighbours_report_groups(n, port_index);
	send_nd(n, port_index, &mac, &question);
	mac = sl_net_group_mac(&news.dst);
	send_nd(n, port_index, &mac, &news);
}

void
neighbours_announce_port(struct sl_neighbours *n, uint32_t port_index)
{
	struct sl_arp arp = {
		.is_request = true,
		.target_ip = sl_ip_v4(own_address(n, port_index, SL_IPV4)),
	};

	if (is_spoken(n, port_index, SL_IPV4))
		send_arp(n, port_index, &broadcast, &arp);
	if (is_spoken(n, port_index, SL_IPV6))
		announce_nd(n, port_index);
}

/* Another station uses a port's address (RFC 5227, 2.4): no reply helps, but somebody should know.
 */
static void
report_conflict(struct sl_neighbours *n, uint32_t port_index, enum sl_family family,
	const struct rte_ether_addr *mac)
{
	char text[RTE_ETHER_ADDR_FMT_SIZE], ip[SL_IP_STRLEN], line[200];

	if (rte_is_same_ether_addr(mac, sl_datapath_port_mac(n->datapath, port_index)))
		return;
	if (n->conflict_ms != 0 && n->now_ms - n->conflict_ms < CONFLICT_EVERY_MS)
		return;
	n->conflict_ms = n->now_ms;
	rte_ether_format_addr(text, sizeof(text), mac);
	sl_ip_format(own_address(n, port_index, family), ip);
	snprintf(line, sizeof(line),
		"%s uses the address %s of port %s, too: give one of the two another", text, ip,
		n->config->ports[port_index].name);
	n->notify(n->notify_arg, line);
}

static void
handle_arp(struct sl_neighbours *n, const struct sl_datapath_punt *punt)
{
	const uint8_t *frame = rte_pktmbuf_mtod(punt->mbuf, const uint8_t *);
	rte_be32_t own = sl_ip_v4(own_address(n, punt->port_index, SL_IPV4));
	struct sl_arp arp, answer = {0};
	struct neighbour_claim claim = {
		.has_mac = true,
		.is_answer = true,
		.is_override = true,
	};

	if (!sl_arp_parse(frame + punt->eth_len, punt->mbuf->data_len - punt->eth_len, &arp)) {
		sl_datapath_drop(n->datapath, punt->mbuf, SL_FRAME_DROP_arp_malformed);
		return;
	}
	if (arp.sender_ip == own)
		report_conflict(n, punt->port_index, SL_IPV4, &arp.sender_mac);
	claim.ip = sl_ip_from_v4(arp.sender_ip);
	claim.mac = arp.sender_mac;
	neighbours_learn(n, punt->port_index, &claim);
	if (arp.target_ip != own) {
		sl_datapath_drop(n->datapath, punt->mbuf, SL_FRAME_DROP_arp_not_for_us);
		return;
	}
	rte_pktmbuf_free(punt->mbuf);
	if (!arp.is_request || arp.sender_ip == own)
		return;
	answer.target_mac = arp.sender_mac;
	answer.target_ip = arp.sender_ip;
	send_arp(n, punt->port_index, &arp.sender_mac, &answer);
}

/* Who asks without an address is told with everybody else (RFC 4861, 7.2.4). */
static void
answer_nd(struct sl_neighbours *n, uint32_t port_index, const struct sl_nd *asked,
	const struct rte_ether_addr *from)
{
	struct sl_nd answer = {
		.is_solicited = !sl_ip_is_unset(&asked->src),
		.is_override = true,
		.src = asked->target,
		.dst = asked->src,
		.target = asked->target,
	};
	struct rte_ether_addr dst = asked->has_mac ? asked->mac : *from;

	if (!answer.is_solicited) {
		answer.dst = sl_net_all_nodes();
		dst = sl_net_group_mac(&answer.dst);
	}
	send_nd(n, port_index, &dst, &answer);
}

/* A solicitation for, or an advertisement of, one of the ports' addresses, or of a neighbour's. */
static bool
follow_nd(struct sl_neighbours *n, uint32_t port_index, const struct sl_nd *nd,
	const struct rte_ether_addr *from)
{
	const struct sl_ip *own = own_address(n, port_index, SL_IPV6);
	const struct sl_ip *claimed = nd->is_solicitation ? &nd->src : &nd->target;
	struct neighbour_claim claim = {
		.ip = *claimed,
		.has_mac = nd->has_mac,
		.mac = nd->mac,
		.is_answer = nd->is_solicitation || nd->is_solicited,
		.is_override = nd->is_solicitation || nd->is_override,
	};

	if (sl_ip_equal(claimed, own)) {
		report_conflict(n, port_index, SL_IPV6, nd->has_mac ? &nd->mac : from);
		return true;
	}
	/* A question without a link-layer address tells nothing. */
	if (nd->has_mac || !nd->is_solicitation)
		neighbours_learn(n, port_index, &claim);
	if (!nd->is_solicitation)
		return true;
	if (!sl_ip_equal(&nd->target, own))
		return false;
	/* Our own question, come back, is not to be answered. */
	if (!rte_is_same_ether_addr(from, sl_datapath_port_mac(n->datapath, port_index)))
		answer_nd(n, port_index, nd, from);
	return true;
}

static void
handle_nd(struct sl_neighbours *n, const struct sl_datapath_punt *punt)
{
	const uint8_t *frame = rte_pktmbuf_mtod(punt->mbuf, const uint8_t *);
	const struct rte_ether_addr *from = &((const struct rte_ether_hdr *)frame)->src_addr;
	struct sl_nd nd;

	if (!rte_is_valid_assigned_ether_addr(from) || !sl_nd_parse(frame + punt->eth_len, &nd))
		sl_datapath_drop(n->datapath, punt->mbuf, SL_FRAME_DROP_nd_malformed);
	else if (!follow_nd(n, punt->port_index, &nd, from))
		sl_datapath_drop(n->datapath, punt->mbuf, SL_FRAME_DROP_nd_not_for_us);
	else
		rte_pktmbuf_free(punt->mbuf);
}

static void
handle_echo(struct sl_neighbours *n, const struct sl_datapath_punt *punt)
{
	struct rte_mbuf *m = punt->mbuf;
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct sl_icmp_echo echo;

	if (sl_icmp_reply(frame, m->data_len, punt->eth_len,
		    sl_datapath_port_mac(n->datapath, punt->port_index))) {
		m->ol_flags = 0;
		sl_datapath_send(n->datapath, punt->port_index, m);
	} else if (n->echo != NULL && sl_icmp_parse_reply(frame + punt->eth_len, &echo) &&
		n->echo(n->echo_arg, punt->port_index, &echo.src, echo.id, echo.sequence)) {
		rte_pktmbuf_free(m);
	} else {
		sl_datapath_drop(n->datapath, m, SL_FRAME_DROP_icmp_not_echo);
	}
}

void
neighbours_handle(struct sl_neighbours *n, const struct sl_datapath_punt *punt)
{
	const uint8_t *packet = rte_pktmbuf_mtod_offset(punt->mbuf, const uint8_t *, punt->eth_len);

	if (punt->type == RTE_ETHER_TYPE_ARP)
		handle_arp(n, punt);
	else if (punt->type == RTE_ETHER_TYPE_IPV6 && sl_nd_is_nd(packet))
		handle_nd(n, punt);
	else
		handle_echo(n, punt);
}
