/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

enum {
	OPT_CONFIG = 256,
	OPT_SINK,
	OPT_JOURNAL,
	OPT_SQLITE,
	OPT_POSTGRESQL,
	OPT_NODE,
	OPT_BATCH_MESSAGES,
	OPT_BATCH_MS,
	OPT_WRITERS,
	OPT_KEEP_DAYS,
	OPT_FOLLOW,
	OPT_RETRY,
	OPT_JSON,
	OPT_SCHEMA,
	OPT_SCHEMA_VERSION,
	OPT_VERSION,
	OPT_HELP,
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, OPT_CONFIG},
	{"sink", required_argument, NULL, OPT_SINK},
	{"journal", required_argument, NULL, OPT_JOURNAL},
	{"sqlite", required_argument, NULL, OPT_SQLITE},
	{"postgresql", required_argument, NULL, OPT_POSTGRESQL},
	{"node", required_argument, NULL, OPT_NODE},
	{"batch-messages", required_argument, NULL, OPT_BATCH_MESSAGES},
	{"batch-ms", required_argument, NULL, OPT_BATCH_MS},
	{"writers", required_argument, NULL, OPT_WRITERS},
	{"keep-days", required_argument, NULL, OPT_KEEP_DAYS},
	{"follow", no_argument, NULL, OPT_FOLLOW},
	{"retry", required_argument, NULL, OPT_RETRY},
	{"json", no_argument, NULL, OPT_JSON},
	{"schema", required_argument, NULL, OPT_SCHEMA},
	{"schema-version", required_argument, NULL, OPT_SCHEMA_VERSION},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, OPT_HELP},
	{0},
};

void
options_print_help(void)
{
	printf("Usage: sluice-sink --config FILE [--sink NAME] [OPTIONS]\n"
	       "       sluice-sink --journal DIR (--sqlite FILE | --postgresql CONNINFO) [OPTIONS]\n"
	       "       sluice-sink --schema (sqlite | postgresql) [--schema-version N]\n"
	       "\n"
	       "Writes what a stopped appliance's journal holds to a database, and ends: what the\n"
	       "appliance's own sink would, and going on where that stopped.\n"
	       "\n"
	       "  --config FILE          the appliance's configuration: its journal, its sinks\n"
	       "  --sink NAME            which of them, if there are several\n"
	       "  --journal DIR          the journal's directory\n"
	       "  --sqlite FILE          the database is this file\n"
	       "  --postgresql CONNINFO  the database is there; others see the arguments of a\n"
	       "                         process: leave the password to passfile=\n"
	       "  --node NAME            whose journal it is, for the database (default: sluice)\n"
	       "  --batch-messages N     in a transaction, at least (default 1000)\n"
	       "  --batch-ms MS          that a message waits for its outcome (default 500)\n"
	       "  --writers N            connections to PostgreSQL (default 1)\n"
	       "  --keep-days N          drop older partitions of PostgreSQL (default 0: none)\n"
	       "  --follow               go on until SIGINT or SIGTERM\n"
	       "  --retry SECONDS        try again for so long when the database fails (default 0)\n"
	       "  --json                 report as JSON\n"
	       "  --schema KIND          print the SQL that makes the tables, and end\n"
	       "  --schema-version N     as of this version\n"
	       "  --version              print the version and exit\n"
	       "  --help                 print this and exit\n"
	       "\n"
	       "Exit codes: 0 all of it is in the database, 1 it is not, 2 wrong arguments.\n");
}

static int
parse_number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (end != text && *end == '\0' && errno == 0 && text[0] != '-' && *value >= min &&
		*value <= max)
		return 0;
	fprintf(stderr, "sluice-sink: --%s %s: give a number from %" PRIu64 " to %" PRIu64 "\n",
		name, text, min, max);
	return -EINVAL;
}

static int
parse_u32(const char *name, const char *text, uint32_t min, uint32_t max, uint32_t *value)
{
	uint64_t wide;
	int rc = parse_number(name, text, min, max, &wide);

	if (rc == 0)
		*value = (uint32_t)wide;
	return rc;
}

static int
parse_schema(struct options *options, const char *kind)
{
	options->is_schema = true;
	options->own.kind = SL_SINK_SQLITE;
	if (strcmp(kind, "postgresql") == 0)
		options->own.kind = SL_SINK_POSTGRESQL;
	else if (strcmp(kind, "sqlite") != 0)
		fprintf(stderr, "sluice-sink: --schema %s: give sqlite or postgresql\n", kind);
	else
		return 0;
	return options->own.kind == SL_SINK_POSTGRESQL ? 0 : -EINVAL;
}

static int
take_number(struct options *options, int opt, char *value)
{
	switch (opt) {
	case OPT_BATCH_MESSAGES:
		return parse_u32("batch-messages", value, 1, 1000000, &options->own.batch_messages);
	case OPT_BATCH_MS:
		return parse_u32("batch-ms", value, 1, 600000, &options->own.batch_ms);
	case OPT_WRITERS:
		return parse_u32("writers", value, 1, 64, &options->own.writers);
	case OPT_KEEP_DAYS:
		return parse_number("keep-days", value, 0, 100000, &options->own.keep_days);
	case OPT_RETRY:
		return parse_u32("retry", value, 0, 1000000000, &options->retry_s);
	case OPT_SCHEMA_VERSION:
		return parse_u32("schema-version", value, 1, 1000000, &options->schema_version);
	default:
		return -EINVAL;
	}
}

static int
take(struct options *options, int opt, char *value)
{
	switch (opt) {
	case OPT_CONFIG:
		options->config = value;
		return 0;
	case OPT_SINK:
		options->sink = value;
		return 0;
	case OPT_JOURNAL:
		options->journal = value;
		return 0;
	case OPT_SQLITE:
		options->own.kind = SL_SINK_SQLITE;
		options->own.path = value;
		return 0;
	case OPT_POSTGRESQL:
		options->own.kind = SL_SINK_POSTGRESQL;
		options->own.conninfo = value;
		return 0;
	case OPT_NODE:
		options->node = value;
		return 0;
	case OPT_FOLLOW:
		options->is_following = true;
		return 0;
	case OPT_JSON:
		options->is_json = true;
		return 0;
	case OPT_SCHEMA:
		return parse_schema(options, value);
	case OPT_VERSION:
		options->is_version = true;
		return 0;
	case OPT_HELP:
		options->is_help = true;
		return 0;
	default:
		return take_number(options, opt, value);
	}
}

static int
check(const struct options *options)
{
	bool has_database = options->own.path != NULL || options->own.conninfo != NULL;

	if (options->is_help || options->is_version || options->is_schema)
		return 0;
	if (options->own.path != NULL && options->own.conninfo != NULL)
		fprintf(stderr, "sluice-sink: give one of --sqlite and --postgresql\n");
	else if (options->config != NULL && (options->journal != NULL || has_database))
		fprintf(stderr,
			"sluice-sink: --config says where journal and database are; "
			"leave --journal, --sqlite and --postgresql out\n");
	else if (options->config == NULL && (options->journal == NULL || !has_database))
		fprintf(stderr,
			"sluice-sink: give --config, or --journal and one of --sqlite and "
			"--postgresql; see sluice-sink --help\n");
	else
		return 0;
	return -EINVAL;
}

int
options_parse(struct options *options, int argc, char **argv)
{
	int opt, rc = 0;

	*options = (struct options){
		.own = {.batch_messages = 1000, .batch_ms = 500, .writers = 1},
		.node = "sluice",
	};
	while (rc == 0 && (opt = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		rc = take(options, opt, optarg);
	if (rc == 0 && optind < argc) {
		fprintf(stderr, "sluice-sink: %s: is no option; see sluice-sink --help\n",
			argv[optind]);
		rc = -EINVAL;
	}
	return rc < 0 ? rc : check(options);
}
