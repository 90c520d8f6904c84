/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Datagrams under way: lost, duplicated, delayed, overtaken, cut off. */
#include <string.h>

#include "sim.h"

struct packet {
	uint64_t at;
	uint64_t order; /* Of two at one time. */
	uint32_t from;
	uint32_t to;
	size_t len;
	uint8_t data[];
};

struct net {
	struct packet **heap; /* The earliest first. */
	uint32_t nb;
	uint32_t size;
	uint64_t order;
	uint64_t cut_until[NODES_MAX];
};

void
net_init(struct sim *sim)
{
	sim->net = sim_zalloc(sizeof(*sim->net));
	sim->net->size = 1024;
	sim->net->heap = sim_zalloc(sim->net->size * sizeof(sim->net->heap[0]));
}

void
net_free(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->net->nb; i++)
		free(sim->net->heap[i]);
	free(sim->net->heap);
	free(sim->net);
}

static bool
is_earlier(const struct packet *a, const struct packet *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void
push(struct net *net, struct packet *p)
{
	uint32_t i = net->nb++;

	if (net->nb > net->size) {
		net->size *= 2;
		net->heap = realloc(net->heap, net->size * sizeof(net->heap[0]));
	}
	for (; i > 0 && is_earlier(p, net->heap[(i - 1) / 2]); i = (i - 1) / 2)
		net->heap[i] = net->heap[(i - 1) / 2];
	net->heap[i] = p;
}

static struct packet *
pop(struct net *net)
{
	struct packet *first = net->heap[0], *last = net->heap[--net->nb];
	uint32_t i = 0, child;

	while ((child = 2 * i + 1) < net->nb) {
		if (child + 1 < net->nb && is_earlier(net->heap[child + 1], net->heap[child]))
			child++;
		if (!is_earlier(net->heap[child], last))
			break;
		net->heap[i] = net->heap[child];
		i = child;
	}
	net->heap[i] = last;
	return first;
}

static bool
is_cut(const struct sim *sim, uint32_t node)
{
	return sim->net->cut_until[node] > sim->now;
}

void
net_cut(struct sim *sim, uint32_t node, uint64_t until_ns)
{
	sim->net->cut_until[node] = until_ns;
}

void
net_send(struct sim *sim, uint32_t from, uint32_t to, const void *data, size_t len)
{
	const struct faults *f = &sim->faults;
	uint32_t copies = chance(sim, f->duplicate_per_mille, 1000) ? 2 : 1;
	struct packet *p;

	if (is_cut(sim, from) || is_cut(sim, to) || chance(sim, f->loss_per_mille, 1000))
		return;
	while (copies-- > 0) {
		p = sim_zalloc(sizeof(*p) + len);
		p->at = sim->now + f->delay_ns + below(sim, f->jitter_ns + 1);
		p->order = sim->net->order++;
		p->from = from;
		p->to = to;
		p->len = len;
		memcpy(p->data, data, len);
		push(sim->net, p);
	}
}

uint64_t
net_next(const struct sim *sim)
{
	return sim->net->nb > 0 ? sim->net->heap[0]->at : UINT64_MAX;
}

static void
mix(struct sim *sim, const struct packet *p)
{
	uint64_t h = sim->hash ^ p->at ^ (uint64_t)p->to << 56;

	for (size_t i = 0; i < p->len; i++)
		h = (h ^ p->data[i]) * UINT64_C(0x100000001b3);
	sim->hash = h;
}

void
net_deliver(struct sim *sim)
{
	struct packet *p = pop(sim->net);
	uint32_t first_backend = 1 + sim->nb_publishers;

	mix(sim, p);
	if (p->to == APPLIANCE)
		appliance_input(sim, p->from, p->data, p->len);
	else if (p->to < first_backend)
		publisher_input(sim, p->to - 1, p->data, p->len);
	else
		backend_input(sim, p->to - first_backend, p->data, p->len);
	free(p);
}
