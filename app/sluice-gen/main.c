/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include "arp.h"
#include "clock.h"
#include "lane.h"
#include "options.h"
#include "pcap.h"
#include "progress.h"
#include "report.h"
#include "traffic.h"

#define EXIT_CLEAN     0
#define EXIT_NOT_RUN   1
#define EXIT_NOT_CLEAN 2

#define MBUF_CACHE 256

/** Everything of a run. */
struct run {
	struct options options;
	struct traffic *traffic;
	struct rte_mempool *pool;
	struct port ports[2];
	unsigned int nb_ports;
	struct port *tx_port;
	struct port *rx_port;
	struct tx *tx;
	struct sink *sink;
	struct progress progress;
	struct lane lanes[2];
	unsigned int lcores[2]; /**< Of the lanes. */
	unsigned int nb_lanes;
};

/* How many times the user asked to end. */
static volatile int nb_signals;

static void
on_signal(int number)
{
	nb_signals++;
}

static void
catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static int
check_lcore(uint32_t lcore, const char *option)
{
	if (lcore == OPTIONS_NO_LCORE || rte_lcore_is_enabled(lcore))
		return 0;
	fprintf(stderr, "sluice-gen: %s %u: EAL does not run this lcore; add it with -l\n", option,
		lcore);
	return -EINVAL;
}

static int
create_pool(struct run *run)
{
	const struct options *o = &run->options;
	/* All rings full, and a burst of each kind in hand. */
	uint32_t nb = run->nb_ports * 2u * o->descriptors + 4u * OPTIONS_BURST_MAX + 4 * MBUF_CACHE;

	run->pool = rte_pktmbuf_pool_create("sluice-gen", rte_align32pow2(nb) - 1, MBUF_CACHE, 0,
		port_mbuf_size(o->packer.mtu), (int)rte_socket_id());
	if (run->pool != NULL)
		return 0;
	fprintf(stderr,
		"sluice-gen: no memory for %u mbufs: %s; give EAL more (-m, huge pages) or lower "
		"--descriptors\n",
		nb, rte_strerror(rte_errno));
	return -rte_errno;
}

static struct port *
add_port(struct run *run, const char *name)
{
	struct port *port;

	for (unsigned int i = 0; i < run->nb_ports; i++) {
		if (strcmp(run->ports[i].name, name) == 0)
			return &run->ports[i];
	}
	port = &run->ports[run->nb_ports++];
	port->name = name;
	return port;
}

/* Say which ports there are to be, and what each answers ARP for. */
static void
plan_ports(struct run *run)
{
	const struct options *o = &run->options;

	if (o->tx != NULL) {
		run->tx_port = add_port(run, o->tx);
		run->tx_port->address = o->packer.src_ip;
		run->tx_port->mac = o->packer.src_mac;
	}
	if (o->rx != NULL) {
		run->rx_port = add_port(run, o->rx);
		run->rx_port->has_net = true;
		run->rx_port->net = o->sink_net;
		run->rx_port->mask = o->sink_mask;
		/* Whose address the generator asks for, it must not claim. */
		if (o->tx != NULL)
			run->rx_port->not_own = o->packer.dst_ip;
		if (o->has_rx_mac)
			run->rx_port->mac = o->rx_mac;
	}
}

static int
start_ports(struct run *run)
{
	const struct options *o = &run->options;
	struct port_params params = {.mtu = o->packer.mtu, .descriptors = o->descriptors};
	int rc;

	for (unsigned int i = 0; i < run->nb_ports; i++) {
		params.has_mac = (&run->ports[i] == run->tx_port && o->has_tx_mac) ||
			(&run->ports[i] == run->rx_port && o->has_rx_mac);
		rc = port_start(&run->ports[i], &params, run->pool);
		if (rc < 0)
			return rc;
	}
	for (unsigned int i = 0; i < run->nb_ports; i++) {
		rc = port_wait_for_link(&run->ports[i], o->wait_ms, &nb_signals);
		if (rc < 0)
			return rc;
	}
	if (run->tx_port == NULL)
		return 0;
	run->options.packer.src_mac = run->tx_port->mac;
	if (o->has_dst_mac)
		return 0;
	return arp_resolve(run->tx_port, run->ports, run->nb_ports, run->pool, o->packer.dst_ip,
		o->wait_ms, &nb_signals, &run->options.packer.dst_mac);
}

static int
create_sides(struct run *run)
{
	int rc;

	if (run->tx_port != NULL) {
		run->tx = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*run->tx));
		if (run->tx == NULL)
			return -ENOMEM;
		rc = tx_init(run->tx, &run->options, run->traffic, run->tx_port->id, run->pool);
		if (rc < 0)
			return rc;
	}
	if (run->rx_port == NULL)
		return 0;
	run->sink = malloc(sizeof(*run->sink));
	if (run->sink == NULL)
		return -ENOMEM;
	return sink_init(run->sink, &run->options, run->traffic, run->rx_port, run->pool,
		run->tx == NULL ? NULL : &run->tx->nb_built);
}

static struct lane *
add_lane(struct run *run, uint32_t lcore)
{
	struct lane *lane;

	if (lcore == OPTIONS_NO_LCORE)
		lcore = rte_get_main_lcore();
	for (unsigned int i = 0; i < run->nb_lanes; i++) {
		if (run->lcores[i] == lcore)
			return &run->lanes[i];
	}
	lane = &run->lanes[run->nb_lanes];
	run->lcores[run->nb_lanes++] = lcore;
	lane->options = &run->options;
	lane->sender = run->tx;
	lane->pool = run->pool;
	lane->nb_signals = &nb_signals;
	return lane;
}

static int
plan_lanes(struct run *run)
{
	struct lane *lane;

	if (run->tx != NULL) {
		lane = add_lane(run, run->options.tx_lcore);
		lane->tx = run->tx;
		if (run->tx_port != run->rx_port)
			lane->listen = run->tx_port;
	}
	if (run->sink != NULL) {
		lane = add_lane(run, run->options.rx_lcore);
		lane->sink = run->sink;
	}
	if (run->nb_lanes == 2 && run->tx_port == run->rx_port) {
		fprintf(stderr,
			"sluice-gen: --tx-lcore and --rx-lcore must be the same when --tx "
			"and --rx are, as both send on its one queue\n");
		return -EINVAL;
	}
	run->progress.tx = run->tx;
	run->progress.sink = run->sink;
	run->progress.every_ns = run->options.progress_s * UINT64_C(1000000000);
	return 0;
}

static void
run_lanes(struct run *run)
{
	struct lane *main_lane = NULL;

	for (unsigned int i = 0; i < run->nb_lanes; i++) {
		if (run->lcores[i] == rte_get_main_lcore())
			main_lane = &run->lanes[i];
		else
			rte_eal_remote_launch(lane_run, &run->lanes[i], run->lcores[i]);
	}
	if (main_lane != NULL) {
		main_lane->progress = &run->progress;
		lane_run(main_lane);
	}
	for (unsigned int i = 0; i < run->nb_lanes; i++) {
		while (run->lcores[i] != rte_get_main_lcore() &&
			rte_eal_get_lcore_state(run->lcores[i]) == RUNNING) {
			progress_tick(&run->progress, clock_now_ns());
			usleep(1000);
		}
	}
	rte_eal_mp_wait_lcore();
}

static int
print_report(struct run *run, bool *is_clean)
{
	const struct options *o = &run->options;
	struct report report = {
		.options = o,
		.traffic = run->traffic,
		.tx = run->tx,
		.sink = run->sink,
	};
	FILE *json = stdout;

	for (unsigned int i = 0; i < run->nb_ports; i++)
		report.nb_arp_answered += run->ports[i].nb_arp_answered;
	for (unsigned int i = 0; i < run->nb_lanes; i++) {
		if (run->lanes[i].tx != NULL)
			report.tx_elapsed_cycles = run->lanes[i].elapsed_cycles;
		if (run->lanes[i].sink != NULL)
			report.rx_elapsed_cycles = run->lanes[i].elapsed_cycles;
	}
	if (run->tx != NULL) {
		rte_eth_stats_get(run->tx_port->id, &report.tx_stats);
		packer_uncount(&run->tx->packer, run->tx->nb_originals);
	}
	if (run->sink != NULL)
		rte_eth_stats_get(run->rx_port->id, &report.rx_stats);
	report_conclude(&report);
	*is_clean = report.is_clean;
	if (!o->is_json || o->json_path != NULL)
		report_print_text(&report, stdout);
	if (!o->is_json)
		return 0;
	if (o->json_path != NULL)
		json = fopen(o->json_path, "we");
	if (json != NULL)
		report_print_json(&report, json);
	if (json == NULL || fflush(json) != 0 || (json != stdout && fclose(json) != 0)) {
		fprintf(stderr, "sluice-gen: --json %s: %s\n",
			o->json_path == NULL ? "" : o->json_path, strerror(errno));
		return -EIO;
	}
	return 0;
}

static void
cleanup(struct run *run)
{
	for (unsigned int i = 0; i < run->nb_ports; i++)
		port_stop(&run->ports[i]);
	if (run->tx != NULL)
		tx_fini(run->tx);
	if (run->sink != NULL)
		sink_fini(run->sink);
	free(run->tx);
	free(run->sink);
	rte_mempool_free(run->pool);
}

static int
run_ports(struct run *run)
{
	bool is_clean = false;
	int rc;

	rc = check_lcore(run->options.tx_lcore, "--tx-lcore");
	if (rc == 0)
		rc = check_lcore(run->options.rx_lcore, "--rx-lcore");
	plan_ports(run);
	if (rc == 0)
		rc = create_pool(run);
	if (rc == 0)
		rc = start_ports(run);
	if (rc == 0)
		rc = create_sides(run);
	if (rc == 0)
		rc = plan_lanes(run);
	if (rc == 0) {
		run_lanes(run);
		rc = print_report(run, &is_clean);
	}
	cleanup(run);
	if (rc == -EINTR)
		fprintf(stderr, "sluice-gen: interrupted before it began\n");
	if (rc < 0)
		return EXIT_NOT_RUN;
	return is_clean ? EXIT_CLEAN : EXIT_NOT_CLEAN;
}

/* Where the program's own arguments begin: behind "--". argc when there are none. */
static int
find_own_arguments(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0)
			return i;
	}
	return argc;
}

static int
read_options(struct run *run, int argc, char **argv)
{
	int own = find_own_arguments(argc, argv);
	char reason[256];
	const char *error;

	/* EAL's own help would not say what this program is. */
	if (own == argc && argc == 2 && strcmp(argv[1], "--help") == 0) {
		run->options.is_help = true;
		return 0;
	}
	if (options_parse(&run->options, argc - own, argv + own, reason, sizeof(reason)) < 0) {
		fprintf(stderr, "sluice-gen: %s\n", reason);
		return -EINVAL;
	}
	if (run->options.is_help)
		return 0;
	error = traffic_create(&run->options.traffic, &run->traffic);
	if (error != TRAFFIC_OK) {
		fprintf(stderr, "sluice-gen: %s\n", error);
		return -EINVAL;
	}
	if (packer_payload_max(run->options.packer.mtu) < run->traffic->payload_max) {
		fprintf(stderr,
			"sluice-gen: --size: with --mtu %u a payload has at most %u bytes; lower "
			"--size or raise --mtu\n",
			run->options.packer.mtu, packer_payload_max(run->options.packer.mtu));
		return -EINVAL;
	}
	return 0;
}

static bool
has_memif(const struct run *run)
{
	for (unsigned int i = 0; i < run->nb_ports; i++) {
		if (run->ports[i].is_memif)
			return true;
	}
	return false;
}

int
main(int argc, char **argv)
{
	static struct run run;
	int rc = EXIT_NOT_RUN;

	if (read_options(&run, argc, argv) < 0)
		goto end;
	if (run.options.is_help) {
		options_print_help(stdout);
		return EXIT_CLEAN;
	}
	if (run.options.pcap_path != NULL) {
		rc = pcap_write(&run.options, run.traffic) < 0 ? EXIT_NOT_RUN : EXIT_CLEAN;
		goto end;
	}
	/* EAL logs to standard output unless told otherwise; that is for the report. */
	rte_openlog_stream(stderr);
	if (rte_eal_init(find_own_arguments(argc, argv), argv) < 0) {
		fprintf(stderr,
			"sluice-gen: EAL did not start: %s; without huge pages add --no-huge -m "
			"1024\n",
			rte_strerror(rte_errno));
		goto end;
	}
	catch_signals();
	rc = run_ports(&run);
	/* A memif's listening socket stays with the interrupt thread, in memory that this unmaps.
	 */
	if (!has_memif(&run))
		rte_eal_cleanup();
end:
	traffic_free(run.traffic);
	return rc;
}
