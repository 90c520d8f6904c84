/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define INTERVAL_MIN_S 0.05
#define INTERVAL_MAX_S 3600.0

enum {
	OPT_CONFIG = 256,
	OPT_CHECK,
	OPT_REFERENCE,
	OPT_STATS_FILE,
	OPT_STATS_INTERVAL,
	OPT_CONTROL_SOCKET,
	OPT_HTTP,
	OPT_INTERACTIVE,
	OPT_VERSION,
	OPT_HELP
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, OPT_CONFIG},
	{"check-config", no_argument, NULL, OPT_CHECK},
	{"config-reference", no_argument, NULL, OPT_REFERENCE},
	{"stats-file", required_argument, NULL, OPT_STATS_FILE},
	{"stats-interval", required_argument, NULL, OPT_STATS_INTERVAL},
	{"control-socket", required_argument, NULL, OPT_CONTROL_SOCKET},
	{"http", required_argument, NULL, OPT_HTTP},
	{"interactive", no_argument, NULL, OPT_INTERACTIVE},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, OPT_HELP},
	{0},
};

void
options_usage(void)
{
	printf("Usage: sluice EAL-ARGS -- --config FILE [OPTIONS]\n"
	       "\n"
	       "Takes messages from its ports, filters duplicates, and hands each to a backend of\n"
	       "its destination, the best class first.\n"
	       "\n"
	       "  --config FILE             the configuration (docs/configuration.md)\n"
	       "  --check-config            check it and exit; needs no EAL arguments\n"
	       "  --config-reference        print all its keys as Markdown and exit\n"
	       "  --stats-file FILE         rewrite FILE with the statistics, as JSON\n"
	       "  --stats-interval SECONDS  how often (default 1)\n"
	       "  --control-socket PATH     instead of control.socket; \"none\": there is none\n"
	       "  --http ADDRESS:PORT       instead of http.address and http.port; \"none\"\n"
	       "  --interactive             a prompt on standard input, with sluicectl's commands\n"
	       "  --version                 print the version and exit\n"
	       "  --help                    print this and exit\n"
	       "\n"
	       "EAL-ARGS are DPDK's own, for example\n"
	       "  -l 0,1 --no-huge -m 512 --vdev net_af_packet0,iface=eth1\n"
	       "The first lcore runs the control thread, the others carry the roles of the\n"
	       "configuration. SIGTERM and SIGINT deliver what is queued and exit; a second\n"
	       "signal exits at once.\n");
}

static int
parse_interval(const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	if (end != text && *end == '\0' && *seconds >= INTERVAL_MIN_S && *seconds <= INTERVAL_MAX_S)
		return 0;
	fprintf(stderr,
		"sluice: --stats-interval %s: give seconds from %.2f to %.0f, for example 1\n",
		text, INTERVAL_MIN_S, INTERVAL_MAX_S);
	return -1;
}

static int
parse_socket(const char *text, const char **path)
{
	*path = text;
	if (strcmp(text, "none") == 0 || text[0] == '/')
		return 0;
	fprintf(stderr,
		"sluice: --control-socket %s: give an absolute path, for example "
		"/run/sluice/control.sock, or none\n",
		text);
	return -1;
}

/* 127.0.0.1:8090, [::1]:8090, none */
static int
parse_http(const char *text, struct options *options)
{
	const char *colon = strrchr(text, ':'), *begin = text, *end = colon;
	char address[SL_IP_STRLEN], *rest;
	unsigned long port;

	options->has_http = true;
	options->is_http_off = strcmp(text, "none") == 0;
	if (options->is_http_off)
		return 0;
	if (colon != NULL && text[0] == '[' && colon[-1] == ']') {
		begin++;
		end--;
	}
	if (colon != NULL && end > begin && (size_t)(end - begin) < sizeof(address)) {
		memcpy(address, begin, (size_t)(end - begin));
		address[end - begin] = '\0';
		port = strtoul(colon + 1, &rest, 10);
		options->http_port = (uint16_t)port;
		if (colon[1] >= '0' && colon[1] <= '9' && *rest == '\0' && port > 0 &&
			port <= UINT16_MAX && sl_ip_parse(address, &options->http_address))
			return 0;
	}
	fprintf(stderr,
		"sluice: --http %s: give ADDRESS:PORT, for example 127.0.0.1:8090 or [::1]:8090, "
		"or none\n",
		text);
	return -1;
}

static int
parse_one(int opt, char *arg, struct options *options)
{
	switch (opt) {
	case OPT_CONFIG:
		options->config = arg;
		return 0;
	case OPT_CHECK:
		options->check_config = true;
		return 0;
	case OPT_REFERENCE:
		options->config_reference = true;
		return 0;
	case OPT_STATS_FILE:
		options->stats_file = arg;
		return 0;
	case OPT_STATS_INTERVAL:
		return parse_interval(arg, &options->stats_interval_s);
	case OPT_CONTROL_SOCKET:
		return parse_socket(arg, &options->control_socket);
	case OPT_HTTP:
		return parse_http(arg, options);
	case OPT_INTERACTIVE:
		options->is_interactive = true;
		return 0;
	case OPT_VERSION:
		options->version = true;
		return 0;
	case OPT_HELP:
		options->help = true;
		return 0;
	default:
		return -1;
	}
}

int
options_parse(int argc, char **argv, struct options *options)
{
	int at = 0, opt;

	memset(options, 0, sizeof(*options));
	options->stats_interval_s = 1;
	/* Without a "--" there are no EAL arguments: sluice --check-config --config FILE. */
	for (int i = 1; i < argc && at == 0; i++) {
		if (strcmp(argv[i], "--") == 0)
			at = i;
	}
	options->nb_eal_args = at == 0 ? 1 : at;
	argc -= at;
	argv += at;
	argv[0] = at == 0 ? argv[0] : (char *)(uintptr_t) "sluice";
	optind = 1;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (opt == '?') {
			fprintf(stderr,
				"sluice: %s: not an option, or without its value; see sluice "
				"--help\n",
				argv[optind - 1]);
			return -1;
		}
		if (parse_one(opt, optarg, options) != 0)
			return -1;
	}
	if (optind < argc) {
		fprintf(stderr,
			"sluice: %s: not an option; EAL's arguments stand in front of a \"--\", "
			"see sluice --help\n",
			argv[optind]);
		return -1;
	}
	if (options->config == NULL && !options->config_reference && !options->version &&
		!options->help) {
		fprintf(stderr,
			"sluice: no configuration: give one with --config FILE (there are examples "
			"in examples/)\n");
		return -1;
	}
	return 0;
}
