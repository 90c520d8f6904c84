/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * What a durable message costs its worker beside at-most-once ones, which fill every turn. One
 * process: callbacks of two net_null ports, in the worker's own thread, play the sources, a
 * publisher's session, and backends that acknowledge what a turn brought them; their cycles are
 * taken off. The journal is the real one. Blocks of turns with and without durable messages take
 * turns, and a block in which the system took the CPU away does not count, so that a machine with
 * other work on it changes little. What is left out: copying between processes, and with it the
 * cache lines they fight for.
 *
 * bench_durable EAL-ARGS --vdev=net_null0,no-rx=1 --vdev=net_null1,no-rx=1 -- DIRECTORY
 *	[--seconds N] [--turn MESSAGES] [--plain MESSAGES] [--json FILE]
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_graph.h>
#include <rte_graph_worker.h>

#include "sl_datapath.h"
#include "sl_journal.h"
#include "sl_net.h"
#include "sl_publishers.h"
#include "sl_session.h"

#define DESTINATIONS 100
#define PAYLOAD	     64
#define FRAMES	     (1u << 14) /* At-most-once ones; the window is half as large. */
#define FRAME_BYTES  256
#define BURST	     64
#define FIRST_PORT   9000
#define SOURCE_PORT  7600
/* A turn that takes so long was not all the worker's. */
#define PREEMPTED UINT64_C(150000)
/* Turns of a block; those at its begin still have to do with the one before. */
#define BLOCK	   40
#define BLOCK_SKIP 12
#define NODES_MAX  128
#define BLOCKS_MAX 16384

struct options {
	const char *directory;
	double seconds;
	double turn;	    /* Durable messages a turn, */
	unsigned int plain; /* and at-most-once ones. */
	const char *json;
};

/* A session from the path to a backend. */
struct backend {
	uint64_t session;
	uint64_t cumulative;
	bool is_due;
};

/* What has happened so far, or in some blocks. */
struct tally {
	uint64_t cycles; /* Without what is made here. */
	uint64_t turns;
	uint64_t plain;
	uint64_t durable;
	uint64_t acks;
	uint64_t again;
	uint64_t nodes[NODES_MAX];
};

/* The worker's thread's. */
static struct {
	struct options options;
	struct rte_mempool *pool;
	uint8_t frames[FRAMES][FRAME_BYTES];
	uint16_t frame_len;
	uint32_t next_frame;
	/* The publisher. */
	struct rte_ether_addr mac, own;
	struct sl_net_flow flow;
	struct sl_ip source, backend, path;
	uint64_t keys[DESTINATIONS];
	uint64_t sequence;
	uint64_t credit;
	double owed; /* Messages that have not been polled yet. */
	uint64_t turn_polled;
	/* The backends. */
	struct backend backends[DESTINATIONS];
	uint32_t due[DESTINATIONS];
	uint32_t nb_due;

	/* The block. */
	uint32_t at; /* Turns of it. */
	bool is_durable;
	bool is_spoilt;
	uint64_t turn_began;
	uint64_t made; /* Cycles that went into what is played here. */
	struct rte_node *nodes[NODES_MAX];
	uint32_t nb_nodes;
	struct tally now, begin;

	_Atomic uint32_t nb_blocks; /* Without durable messages, with, without, ... */
	struct tally blocks[BLOCKS_MAX];
} b;

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "bench_durable: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

/* Datagrams, with their headers. */

static uint8_t *
put_message(uint8_t *p, uint64_t key, uint64_t id, uint64_t sequence, uint32_t flags)
{
	static const uint8_t payload[PAYLOAD];
	const struct sl_wire_message message = {
		.key = {.destination = key, .source = 1 + id % 64, .id_low = id},
		.sequence = sequence,
		.priority = (uint32_t)(1 + id % 3),
		.flags = flags,
		.payload = payload,
		.payload_len = PAYLOAD,
	};

	return sl_wire_put_message(p, &message);
}

static uint16_t
put_headers(uint8_t *frame, const struct rte_ether_addr *dst, const struct sl_net_flow *flow,
	uint16_t len)
{
	uint16_t eth_len = sl_net_put_eth(frame, dst, &b.mac, 0, RTE_ETHER_TYPE_IPV4);
	uint16_t sum = sl_net_sum(frame + eth_len + flow->headers_len, len);

	sl_net_flow_write(flow, frame + eth_len, len, &sum);
	return (uint16_t)(eth_len + flow->headers_len + len);
}

#define HEADERS (RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr))

static void
make_plain(const struct rte_ether_addr *dst)
{
	const struct sl_ip from = sl_ip_from_v4(rte_cpu_to_be_32(RTE_IPV4(10, 79, 0, 2)));
	const struct sl_ip to = sl_ip_from_v4(rte_cpu_to_be_32(RTE_IPV4(10, 79, 0, 1)));
	struct sl_net_flow flow;
	char name[32];

	sl_net_flow_init(&flow, &from, &to, RTE_BE16(SOURCE_PORT), RTE_BE16(SL_WIRE_PORT), 64);
	for (uint32_t i = 0; i < FRAMES; i++) {
		uint8_t *payload = b.frames[i] + HEADERS, *end;

		snprintf(name, sizeof(name), "table%u", 1 + i % DESTINATIONS);
		end = put_message(
			sl_wire_put_header(payload, 1, 0), sl_wire_name_key(name), i, 0, 0);
		b.frame_len = put_headers(b.frames[i], dst, &flow, (uint16_t)(end - payload));
	}
}

/* Blocks. */

static void
look(struct tally *tally)
{
	*tally = b.now;
	for (uint32_t i = 0; i < b.nb_nodes; i++)
		tally->nodes[i] = b.nodes[i]->total_cycles;
}

static void
end_block(void)
{
	uint32_t n = atomic_load_explicit(&b.nb_blocks, memory_order_relaxed);
	struct tally *block = &b.blocks[n];
	uint64_t *to = (uint64_t *)block;
	const uint64_t *from = (const uint64_t *)&b.begin;

	if (n == BLOCKS_MAX)
		return;
	look(block);
	for (size_t i = 0; i < sizeof(*block) / sizeof(*to); i++)
		to[i] -= from[i];
	if (b.is_spoilt)
		block->turns = 0;
	atomic_store_explicit(&b.nb_blocks, n + 1, memory_order_release);
}

/* A turn has begun. */
static void
count_turn(uint64_t now)
{
	uint64_t took = now - b.turn_began;

	b.now.turns++;
	b.now.cycles += took - b.made;
	b.is_spoilt |= took > PREEMPTED;
	b.made = 0;
	b.turn_began = now;
	if (++b.at == BLOCK_SKIP) {
		look(&b.begin);
		b.is_spoilt = false;
	}
	if (b.at < BLOCK)
		return;
	end_block();
	b.at = 0;
	b.is_durable = !b.is_durable;
}

/* The at-most-once port. */

static uint16_t
rx_plain(
	uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n, uint16_t max, void *arg)
{
	uint64_t since = rte_rdtsc_precise();

	RTE_SET_USED(queue);
	RTE_SET_USED(arg);
	count_turn(since);
	max = (uint16_t)RTE_MIN(max, b.options.plain);
	if (max > 0 && rte_pktmbuf_alloc_bulk(b.pool, mbufs, max) == 0)
		n = max;
	for (uint16_t i = 0; i < n; i++) {
		b.next_frame = (b.next_frame + 1) % FRAMES;
		memcpy(rte_pktmbuf_mtod(mbufs[i], void *), b.frames[b.next_frame], b.frame_len);
		mbufs[i]->data_len = b.frame_len;
		mbufs[i]->pkt_len = b.frame_len;
		mbufs[i]->port = port;
	}
	b.made += rte_rdtsc_precise() - since;
	return n;
}

static uint16_t
tx_plain(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n, void *arg)
{
	RTE_SET_USED(port);
	RTE_SET_USED(queue);
	RTE_SET_USED(mbufs);
	RTE_SET_USED(arg);
	b.now.plain += n;
	return n;
}

/* The durable port: what the backends acknowledge, and what the publisher sends. */

static void
put_ack(struct rte_mbuf *m, uint32_t i)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	const struct sl_wire_ack ack = {
		.session = b.backends[i].session,
		.cumulative = b.backends[i].cumulative,
		.highest = b.backends[i].cumulative,
		.credit_limit = b.backends[i].cumulative + 65536,
	};
	uint16_t len = (uint16_t)sl_wire_put_ack(frame + HEADERS, 0, &ack);
	struct sl_net_flow flow;

	sl_net_flow_init(&flow, &b.backend, &b.path, rte_cpu_to_be_16((uint16_t)(FIRST_PORT + i)),
		RTE_BE16(SL_WIRE_PORT), 64);
	m->data_len = put_headers(frame, &b.own, &flow, len);
}

static void
put_durable(struct rte_mbuf *m)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *end;
	uint64_t sequence = ++b.sequence;

	end = put_message(sl_wire_put_header(frame + HEADERS, 1, 1),
		b.keys[sequence % DESTINATIONS], sequence, sequence, SL_WIRE_FLAG_ACK);
	m->data_len = put_headers(frame, &b.own, &b.flow, (uint16_t)(end - frame - HEADERS));
}

static uint16_t
rx_durable(
	uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n, uint16_t max, void *arg)
{
	uint64_t since = rte_rdtsc_precise();
	uint32_t nb_acks = RTE_MIN(b.nb_due, (uint32_t)max), nb = 0;

	RTE_SET_USED(queue);
	RTE_SET_USED(arg);
	if (b.is_durable) {
		b.owed += b.options.turn * (double)(b.now.turns - b.turn_polled);
		b.owed = RTE_MIN(b.owed, (double)BURST);
		nb = RTE_MIN((uint32_t)b.owed, max - nb_acks);
		nb = (uint32_t)RTE_MIN(nb, b.credit - b.sequence);
	}
	b.turn_polled = b.now.turns;
	if (nb_acks + nb > 0 && rte_pktmbuf_alloc_bulk(b.pool, mbufs, nb_acks + nb) == 0)
		n = (uint16_t)(nb_acks + nb);
	for (uint16_t i = 0; i < n; i++) {
		if (i < nb_acks) {
			uint32_t backend = b.due[--b.nb_due];

			b.backends[backend].is_due = false;
			put_ack(mbufs[i], backend);
		} else {
			put_durable(mbufs[i]);
		}
		mbufs[i]->pkt_len = mbufs[i]->data_len;
		mbufs[i]->port = port;
	}
	if (n > 0) {
		b.owed -= nb;
		b.now.acks += nb_acks;
	}
	b.made += rte_rdtsc_precise() - since;
	return n;
}

/* A backend has a message. */
static void
take_message(uint32_t i, const uint8_t *data, uint16_t len)
{
	static struct sl_wire_datagram d;
	struct backend *backend = &b.backends[i];
	uint64_t sequence;

	if (sl_wire_parse(data, len, &d) != SL_WIRE_OK)
		die("a datagram", "not understood");
	sequence = sl_wire_get64(data + d.messages[0].offset + SL_WIRE_OFF_SEQUENCE);
	if (d.session != backend->session)
		*backend = (struct backend){.session = d.session, .is_due = backend->is_due};
	if (sequence == backend->cumulative + 1) {
		backend->cumulative++;
		b.now.durable++;
	} else {
		b.now.again++;
	}
	if (!backend->is_due)
		b.due[b.nb_due++] = i;
	backend->is_due = true;
}

static uint16_t
tx_durable(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n, void *arg)
{
	uint64_t since = rte_rdtsc_precise();
	struct sl_wire_ack ack;

	RTE_SET_USED(port);
	RTE_SET_USED(queue);
	RTE_SET_USED(arg);
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *frame = rte_pktmbuf_mtod(mbufs[i], const uint8_t *);
		const uint8_t *data = frame + HEADERS;
		const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)(data - sizeof(*udp));
		uint16_t to = rte_be_to_cpu_16(udp->dst_port);
		uint16_t len = (uint16_t)(mbufs[i]->data_len - HEADERS);

		if (to >= FIRST_PORT && to < FIRST_PORT + DESTINATIONS) {
			take_message(to - FIRST_PORT, data, len);
		} else if (sl_wire_parse_ack_fast(data, len, &ack)) {
			b.credit = RTE_MAX(b.credit, ack.credit_limit);
		}
	}
	b.made += rte_rdtsc_precise() - since;
	return n;
}

/* The appliance, without its control. */

static struct sl_config *
configure(void)
{
	char *text, error[512] = "";
	struct sl_config *config;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fprintf(f,
		"node: bench\n"
		"ports:\n"
		"  - {name: plain, device: net_null0, address: 10.79.0.1/16}\n"
		"  - {name: durable, device: net_null1, address: 10.77.0.1/16}\n"
		"lcores: [{lcore: 1, roles: [rx, worker]}]\n"
		"dedup: {window_ms: 60000, capacity: %u}\n"
		"mbufs: 131072\n"
		"classes: [{level: 1, name: high}, {level: 2, name: medium}, {level: 3, name: low}]\n"
		"journal: {directory: %s, max_bytes: 4G, retention_bytes: 512M, retention: 0s}\n"
		"publishers: {window: 65536}\n"
		"destinations:\n",
		FRAMES / 2, b.options.directory);
	for (uint32_t i = 0; i < DESTINATIONS; i++)
		fprintf(f,
			"  - {name: table%u, kind: queue, backends: [{name: b, "
			"address: 10.79.1.1, port: %u}]}\n"
			"  - {name: order%u, kind: queue, guarantee: at-least-once, "
			"in_flight: 32768, backends: [{name: b, address: 10.77.1.1, port: %u}]}\n",
			i + 1, FIRST_PORT + i, i + 1, FIRST_PORT + i);
	fclose(f);
	if (sl_config_parse("bench", text, len, &config, error, sizeof(error)) != 0)
		die("configuration", error);
	free(text);
	return config;
}

static void
hold(void *journal, uint32_t worker, sl_record_ref ref)
{
	sl_journal_hold(journal, worker, ref);
}

static void
release(void *journal, uint32_t worker, sl_record_ref ref)
{
	sl_journal_release(journal, worker, ref);
}

static struct sl_journal *
open_journal(
	const struct sl_config *config, struct sl_datapath *path, struct sl_publishers *publishers)
{
	static struct sl_record_ring *rings[1];
	static struct sl_datapath_journal hooks;
	const struct sl_journal_params params = {
		.directory = config->journal.directory,
		.segment_bytes = config->journal.segment_bytes,
		.ring_bytes = config->journal.ring_bytes,
		.max_bytes = config->journal.max_bytes,
		.retention_bytes = config->journal.retention_bytes,
		.retention_ms = config->journal.retention_ms,
		.is_direct = config->journal.is_direct,
		.nb_streams = 1,
		.node = config->node,
		.durable = sl_publishers_durable,
		.batch = sl_publishers_batch,
		.arg = publishers,
	};
	const struct sl_journal_visitor visitor = {0};
	struct sl_journal_recovery *recovery = calloc(1, sizeof(*recovery));
	char error[512] = "", notice[512];
	struct sl_journal *journal;

	if (recovery == NULL ||
		sl_journal_recover(params.directory, &visitor, recovery, notice, sizeof(notice),
			error, sizeof(error)) != 0 ||
		sl_journal_open(&params, recovery, &journal, error, sizeof(error)) != 0)
		die(params.directory, error);
	free(recovery);
	rings[0] = sl_journal_ring(journal, 0);
	hooks = (struct sl_datapath_journal){
		.rings = rings, .hold = hold, .release = release, .arg = journal};
	sl_datapath_set_journal(path, &hooks);
	if (sl_journal_start(journal, -1) != 0)
		die(params.directory, "the journal's thread does not start");
	return journal;
}

/* The nodes of the worker's graph. */
static void
find_nodes(void)
{
	rte_node_t id;

	for (rte_graph_t graph = 0; rte_graph_id_to_name(graph) != NULL; graph++) {
		for (id = 0; id < rte_node_max_count() && b.nb_nodes < NODES_MAX; id++) {
			b.nodes[b.nb_nodes] = rte_graph_node_get(graph, id);
			b.nb_nodes += b.nodes[b.nb_nodes] != NULL;
		}
	}
}

static void
plug(const struct sl_config *config, struct sl_datapath *path)
{
	const struct sl_datapath_next_hop *hops;
	uint32_t nb_hops = sl_datapath_next_hops(path, &hops);
	struct sl_port_info plain, durable;
	struct rte_mbuf *m = sl_datapath_alloc(path);
	char name[32];

	for (uint32_t i = 0; i < nb_hops; i++)
		sl_datapath_set_next_hop(path, i, &b.mac);
	for (uint32_t d = 0; d < config->nb_destinations; d++)
		sl_datapath_set_share(path, d, 0, SL_DATAPATH_SHARE_ONE);
	b.pool = m->pool;
	rte_pktmbuf_free(m);
	for (uint32_t i = 0; i < DESTINATIONS; i++) {
		snprintf(name, sizeof(name), "order%u", i + 1);
		b.keys[i] = sl_wire_name_key(name);
	}
	b.source = sl_ip_from_v4(rte_cpu_to_be_32(RTE_IPV4(10, 77, 0, 2)));
	b.path = sl_ip_from_v4(rte_cpu_to_be_32(RTE_IPV4(10, 77, 0, 1)));
	b.backend = sl_ip_from_v4(rte_cpu_to_be_32(RTE_IPV4(10, 77, 1, 1)));
	sl_net_flow_init(
		&b.flow, &b.source, &b.path, RTE_BE16(SOURCE_PORT), RTE_BE16(SL_WIRE_PORT), 64);
	b.credit = SL_SESSION_BEGIN_MAX;
	sl_datapath_get_port(path, 0, &plain);
	sl_datapath_get_port(path, 1, &durable);
	b.own = durable.mac;
	find_nodes();
	make_plain(&plain.mac);
	if (rte_eth_add_rx_callback(plain.port_id, 0, rx_plain, NULL) == NULL ||
		rte_eth_add_tx_callback(plain.port_id, 0, tx_plain, NULL) == NULL ||
		rte_eth_add_rx_callback(durable.port_id, 0, rx_durable, NULL) == NULL ||
		rte_eth_add_tx_callback(durable.port_id, 0, tx_durable, NULL) == NULL)
		die("callbacks of ports", "this DPDK has none");
}

/* Measuring. */

/* Of a block, against the one before. */
struct result {
	double plain;	/* Cycles a message, at most once; */
	double durable; /* durable. */
	double acks;	/* Of backends, a durable message. */
	double nodes[NODES_MAX];
};

static struct result results[BLOCKS_MAX];
static uint32_t nb_results;

static double
a_turn(const struct tally *block, const uint64_t *field)
{
	size_t offset = (size_t)((const char *)field - (const char *)&b.blocks[0]);
	uint64_t value;

	memcpy(&value, (const char *)block + offset, sizeof(value));
	return (double)value / (double)block->turns;
}

/* What more a turn has with durable messages. */
static double
more(const struct tally *block, const uint64_t *field)
{
	return a_turn(block, field) - a_turn(block - 1, field);
}

static void
evaluate(void)
{
	uint32_t n = atomic_load_explicit(&b.nb_blocks, memory_order_acquire);
	const struct tally *names = &b.blocks[0];

	for (uint32_t i = 1; i < n; i += 2) {
		const struct tally *block = &b.blocks[i];
		struct result *r = &results[nb_results];
		double durable;

		if (block->turns == 0 || block[-1].turns == 0 || block->durable == 0)
			continue;
		nb_results++;
		durable = a_turn(block, &names->durable);
		r->plain = a_turn(block - 1, &names->cycles) /
			RTE_MAX(a_turn(block - 1, &names->plain), 1.0);
		r->durable = more(block, &names->cycles) / durable;
		r->acks = a_turn(block, &names->acks) / durable;
		for (uint32_t j = 0; j < b.nb_nodes; j++)
			r->nodes[j] = more(block, &names->nodes[j]) / durable;
	}
	if (nb_results == 0)
		die("the path",
			b.now.durable == 0 ? "delivers no durable message"
					   : "was disturbed in every block: measure for longer");
}

static int
compare_doubles(const void *x, const void *y)
{
	double a = *(const double *)x, c = *(const double *)y;

	return (a > c) - (a < c);
}

/* That many percent of the results are below it. */
static double
quantile(const double *field, unsigned int percent)
{
	size_t offset = (size_t)((const char *)field - (const char *)results);
	static double values[BLOCKS_MAX];

	for (uint32_t i = 0; i < nb_results; i++)
		memcpy(&values[i], (const char *)&results[i] + offset, sizeof(double));
	qsort(values, nb_results, sizeof(values[0]), compare_doubles);
	return values[nb_results * percent / 100];
}

static void
report(void)
{
	double plain = quantile(&results->plain, 50), durable = quantile(&results->durable, 50);
	double keeps = 1 - 250000 * durable / (double)rte_get_tsc_hz();
	FILE *f;

	printf("cycles a message, median of %u blocks (a quarter below, a quarter above)\n",
		nb_results);
	printf("  at most once %8.0f (%.0f, %.0f)\n", plain, quantile(&results->plain, 25),
		quantile(&results->plain, 75));
	printf("  durable      %8.0f (%.0f, %.0f), with %.2f acks of backends\n", durable,
		quantile(&results->durable, 25), quantile(&results->durable, 75),
		quantile(&results->acks, 50));
	printf("  beside 250,000 durable ones a second the others keep %.3f\n", keeps);
	printf("of these, by nodes; ports with what is played in them\n");
	for (uint32_t i = 0; i < b.nb_nodes; i++) {
		double cycles = quantile(&results->nodes[i], 50);

		if (cycles > 1 || cycles < -1)
			printf("  %-24s %8.1f\n", b.nodes[i]->name, cycles);
	}
	if (b.options.json == NULL)
		return;
	f = fopen(b.options.json, "w");
	if (f == NULL)
		die(b.options.json, "cannot be written");
	fprintf(f, "{\"plain\": %.1f, \"durable\": %.1f, \"keeps\": %.4f, \"acks\": %.3f}\n", plain,
		durable, keeps, quantile(&results->acks, 50));
	fclose(f);
}

static void
parse_options(int argc, char **argv)
{
	static const struct option options[] = {{"seconds", 1, NULL, 's'}, {"turn", 1, NULL, 't'},
		{"plain", 1, NULL, 'p'}, {"json", 1, NULL, 'j'}, {NULL, 0, NULL, 0}};
	struct options *o = &b.options;
	int c;

	*o = (struct options){.seconds = 5, .turn = 2.5, .plain = BURST};
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			o->seconds = strtod(optarg, NULL);
		else if (c == 't')
			o->turn = strtod(optarg, NULL);
		else if (c == 'p')
			o->plain = (unsigned int)strtoul(optarg, NULL, 0);
		else if (c == 'j')
			o->json = optarg;
		else
			exit(EXIT_FAILURE);
	}
	if (optind != argc - 1 || o->seconds <= 0 || o->turn <= 0 || o->turn > BURST ||
		o->plain > BURST)
		die("usage",
			"bench_durable EAL-ARGS -- DIRECTORY [--seconds N] "
			"[--turn MESSAGES] [--plain MESSAGES] [--json FILE]");
	o->directory = argv[optind];
}

int
main(int argc, char **argv)
{
	struct sl_publishers *publishers;
	struct sl_datapath *path;
	struct sl_config *config;
	struct sl_journal *journal;
	char error[512] = "";
	int n = rte_eal_init(argc, argv);

	if (n < 0)
		die("EAL", "does not start");
	parse_options(argc - n, argv + n);
	rte_eth_random_addr(b.mac.addr_bytes);
	config = configure();
	if (sl_datapath_create(config, &path, error, sizeof(error)) != 0 ||
		sl_publishers_create(config, path, &publishers, error, sizeof(error)) != 0)
		die("the path", error);
	journal = open_journal(config, path, publishers);
	plug(config, path);
	if (sl_datapath_start(path, error, sizeof(error)) != 0)
		die("the path", error);
	usleep((useconds_t)(b.options.seconds * 1e6));
	sl_datapath_stop(path);
	evaluate();
	report();
	sl_journal_stop(journal);
	sl_journal_close(journal);
	sl_publishers_destroy(publishers);
	sl_datapath_destroy(path);
	sl_config_free(config);
	return rte_eal_cleanup();
}
