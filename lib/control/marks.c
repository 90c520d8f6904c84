/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>
#include <string.h>

#include "marks.h"

struct xstats_mark {
	uint64_t *values;
	uint32_t nb_values;
};

struct marks {
	struct sl_datapath_stats total;
	struct rte_eth_stats ports[SL_CONFIG_PORTS_MAX];
	struct xstats_mark xstats[SL_CONFIG_PORTS_MAX];
	uint32_t nb_destinations;
	struct sl_destination_stats *destinations;
	uint32_t *first_backend; /* Of a destination, into `delivered`. */
	uint64_t *delivered;	 /* By backend. */
};

/* A destination's key and index, to find it by. */
struct place {
	uint64_t key;
	uint32_t index;
};

static void
reduce(uint64_t *value, uint64_t mark)
{
	*value = *value > mark ? *value - mark : 0;
}

struct marks *
marks_create(const struct sl_config *config)
{
	struct marks *m = calloc(1, sizeof(*m));
	uint32_t nb_backends = 0;

	if (m == NULL)
		return NULL;
	m->nb_destinations = config->nb_destinations;
	/* One more than there are, so that none is no special case. */
	m->destinations = calloc((size_t)m->nb_destinations + 1, sizeof(*m->destinations));
	m->first_backend = calloc((size_t)m->nb_destinations + 1, sizeof(*m->first_backend));
	if (m->destinations == NULL || m->first_backend == NULL) {
		marks_free(m);
		return NULL;
	}
	for (uint32_t i = 0; i < m->nb_destinations; i++) {
		m->first_backend[i] = nb_backends;
		nb_backends += config->destinations[i].nb_backends;
	}
	m->delivered = calloc((size_t)nb_backends + 1, sizeof(*m->delivered));
	if (m->delivered == NULL) {
		marks_free(m);
		return NULL;
	}
	return m;
}

void
marks_free(struct marks *m)
{
	if (m == NULL)
		return;
	for (uint32_t i = 0; i < SL_CONFIG_PORTS_MAX; i++)
		free(m->xstats[i].values);
	free(m->destinations);
	free(m->first_backend);
	free(m->delivered);
	free(m);
}

static int
compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

static void
follow_backends(struct marks *to, const struct sl_config_destination *after, uint32_t after_index,
	const struct marks *from, const struct sl_config_destination *before, uint32_t before_index)
{
	uint32_t j = 0, left = before->nb_backends;

	for (uint32_t i = 0; i < after->nb_backends && left > 0; i++) {
		const char *name = after->backends[i].name;
		uint32_t n = before->nb_backends;

		/* Mostly it is behind the one found last. */
		for (; n > 0; n--, j++) {
			j = j < before->nb_backends ? j : 0;
			if (strcmp(before->backends[j].name, name) == 0)
				break;
		}
		if (n == 0)
			continue;
		to->delivered[to->first_backend[after_index] + i] =
			from->delivered[from->first_backend[before_index] + j++];
		left--;
	}
}

struct marks *
marks_follow(const struct marks *m, const struct sl_config *before, const struct sl_config *after)
{
	struct place *places = calloc((size_t)before->nb_destinations + 1, sizeof(*places));
	struct marks *n = marks_create(after);
	const struct place *found;

	if (places == NULL || n == NULL) {
		free(places);
		marks_free(n);
		return NULL;
	}
	n->total = m->total;
	for (uint32_t i = 0; i < before->nb_destinations; i++)
		places[i] = (struct place){before->destinations[i].key, i};
	qsort(places, before->nb_destinations, sizeof(*places), compare_places);
	for (uint32_t i = 0; i < after->nb_destinations; i++) {
		const struct place wanted = {.key = after->destinations[i].key};

		found = bsearch(
			&wanted, places, before->nb_destinations, sizeof(*places), compare_places);
		if (found == NULL)
			continue;
		n->destinations[i] = m->destinations[found->index];
		follow_backends(n, &after->destinations[i], i, m,
			&before->destinations[found->index], found->index);
	}
	free(places);
	return n;
}

void
marks_replace(struct marks **m, struct marks *followed)
{
	/* Ports do not change while the path exists. */
	memcpy(followed->ports, (*m)->ports, sizeof(followed->ports));
	memcpy(followed->xstats, (*m)->xstats, sizeof(followed->xstats));
	memset((*m)->xstats, 0, sizeof((*m)->xstats));
	marks_free(*m);
	*m = followed;
}

void
marks_set_stats(struct marks *m, const struct sl_datapath_stats *stats)
{
	m->total = *stats;
	reduce(&m->total.received, stats->queued);
}

void
marks_set_destination(
	struct marks *m, uint32_t destination, const struct sl_destination_stats *stats)
{
	m->destinations[destination] = *stats;
}

void
marks_set_backend(struct marks *m, uint32_t destination, uint32_t backend, uint64_t delivered)
{
	m->delivered[m->first_backend[destination] + backend] = delivered;
}

void
marks_set_port(struct marks *m, uint32_t port, const struct rte_eth_stats *stats)
{
	m->ports[port] = *stats;
}

void
marks_set_xstats(struct marks *m, uint32_t port, uint64_t *values, uint32_t nb_values)
{
	free(m->xstats[port].values);
	m->xstats[port] = (struct xstats_mark){values, nb_values};
}

/* The largest value since is not known: it is at most the bound of the highest step used since. */
static void
reduce_latency(struct sl_hist *hist, const struct sl_hist *mark)
{
	unsigned int highest = 0;

	if (mark->count == 0)
		return;
	reduce(&hist->count, mark->count);
	reduce(&hist->sum, mark->sum);
	for (unsigned int i = 0; i < SL_HIST_BUCKETS; i++) {
		reduce(&hist->buckets[i], mark->buckets[i]);
		if (hist->buckets[i] != 0)
			highest = i;
	}
	if (hist->count == 0)
		hist->max = 0;
	else
		hist->max = RTE_MIN(hist->max, sl_hist_bound(highest));
}

static void
reduce_node(struct sl_node_stats *node, const struct sl_datapath_stats *mark)
{
	for (uint32_t i = 0; i < mark->nb_nodes; i++) {
		if (strcmp(node->name, mark->nodes[i].name) != 0)
			continue;
		reduce(&node->calls, mark->nodes[i].calls);
		reduce(&node->objects, mark->nodes[i].objects);
		reduce(&node->cycles, mark->nodes[i].cycles);
		return;
	}
}

void
marks_subtract_stats(const struct marks *m, struct sl_datapath_stats *stats)
{
	const struct sl_datapath_stats *mark = &m->total;

	reduce(&stats->frames_received, mark->frames_received);
	for (unsigned int i = 0; i < SL_FRAME_DROPS; i++)
		reduce(&stats->frames_dropped[i], mark->frames_dropped[i]);
	reduce(&stats->received, mark->received);
	reduce(&stats->recovered, mark->recovered);
	reduce(&stats->copied, mark->copied);
	reduce(&stats->delivered, mark->delivered);
	reduce(&stats->duplicates, mark->duplicates);
	for (unsigned int i = 0; i < SL_MESSAGE_DROPS; i++)
		reduce(&stats->dropped[i], mark->dropped[i]);
	reduce(&stats->parse_slow, mark->parse_slow);
	reduce(&stats->dedup_evicted_early, mark->dedup_evicted_early);
	reduce(&stats->busy_cycles, mark->busy_cycles);
	reduce(&stats->idle_cycles, mark->idle_cycles);
	for (unsigned int c = 0; c < SL_CONFIG_CLASSES_MAX; c++) {
		reduce(&stats->classes[c].delivered, mark->classes[c].delivered);
		reduce(&stats->classes[c].dropped, mark->classes[c].dropped);
		reduce_latency(&stats->classes[c].latency, &mark->classes[c].latency);
	}
	for (uint32_t i = 0; i < stats->nb_nodes; i++)
		reduce_node(&stats->nodes[i], mark);
}

void
marks_subtract_destination(
	const struct marks *m, uint32_t destination, struct sl_destination_stats *stats)
{
	reduce(&stats->delivered, m->destinations[destination].delivered);
	reduce(&stats->duplicates, m->destinations[destination].duplicates);
	reduce(&stats->dropped, m->destinations[destination].dropped);
}

uint64_t
marks_subtract_backend(
	const struct marks *m, uint32_t destination, uint32_t backend, uint64_t delivered)
{
	reduce(&delivered, m->delivered[m->first_backend[destination] + backend]);
	return delivered;
}

void
marks_subtract_port(const struct marks *m, uint32_t port, struct rte_eth_stats *stats)
{
	const struct rte_eth_stats *mark = &m->ports[port];

	reduce(&stats->ipackets, mark->ipackets);
	reduce(&stats->opackets, mark->opackets);
	reduce(&stats->ibytes, mark->ibytes);
	reduce(&stats->obytes, mark->obytes);
	reduce(&stats->imissed, mark->imissed);
	reduce(&stats->ierrors, mark->ierrors);
	reduce(&stats->oerrors, mark->oerrors);
	reduce(&stats->rx_nombuf, mark->rx_nombuf);
}

uint64_t
marks_subtract_xstat(const struct marks *m, uint32_t port, uint32_t index, uint64_t value)
{
	if (index < m->xstats[port].nb_values)
		reduce(&value, m->xstats[port].values[index]);
	return value;
}
