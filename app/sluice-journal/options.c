/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "options.h"

#define NS UINT64_C(1000000000)

enum {
	OPT_JSON = 256,
	OPT_DESTINATION,
	OPT_SOURCE,
	OPT_UNDELIVERED,
	OPT_SINCE,
	OPT_STREAM,
	OPT_POSITION,
	OPT_LIMIT,
	OPT_PAYLOAD,
	OPT_SKIP,
	OPT_CUT,
	OPT_YES,
	OPT_VERSION,
	OPT_HELP,
};

#define BIT(command)	 (1u << (command))
#define LISTS		 (BIT(COMMAND_LIST) | BIT(COMMAND_DUMP))
#define ALL_BUT_REPAIR	 (LISTS | BIT(COMMAND_INFO) | BIT(COMMAND_VERIFY))
#define NB(descriptions) (sizeof(descriptions) / sizeof((descriptions)[0]))

static const struct {
	const char *name;
	const char *argument; /* NULL: takes none. */
	const char *help;
	unsigned int commands; /* That have it. */
} descriptions[] = {
	{"json", NULL, "JSON; list and dump: one object a line", ALL_BUT_REPAIR},
	{"destination", "NAME", "list, dump: messages to it", LISTS},
	{"source", "NAME", "list, dump: messages from it", LISTS},
	{"undelivered", NULL, "list, dump: messages without an outcome", LISTS},
	{"since", "TIME",
		"list, dump: received since 2026-01-31T12:00:00 (UTC), or 90s, 10m, 2h, 1d", LISTS},
	{"stream", "N", "list, dump: of this stream", LISTS},
	{"position", "N", "list, dump: with --stream: from there on", LISTS},
	{"limit", "N", "list, dump: so many at most", LISTS},
	{"payload", "hex|raw|none", "dump: how payloads are shown; raw: nothing but them (hex)",
		BIT(COMMAND_DUMP)},
	{"skip", NULL, "repair: leave out what is damaged, keep what stands behind it",
		BIT(COMMAND_REPAIR)},
	{"cut", "STREAM", "repair: give up all of a stream from its first damage on",
		BIT(COMMAND_REPAIR)},
	{"yes", NULL, "repair: do it; without, only what would be done is said",
		BIT(COMMAND_REPAIR)},
	{"version", NULL, "print the version and exit", 0},
	{"help", NULL, "print this and exit", 0},
};

static const struct {
	const char *name;
	const char *help;
	enum command command;
} commands[] = {
	{"info", "what there is: runs, streams, counts, sizes, times", COMMAND_INFO},
	{"list", "a line for each message", COMMAND_LIST},
	{"dump", "records in full", COMMAND_DUMP},
	{"verify", "read every record of every segment; say where it is damaged", COMMAND_VERIFY},
	{"repair", "make a damaged journal one that starts", COMMAND_REPAIR},
};

void
options_print_help(FILE *out)
{
	char name[40];

	fprintf(out,
		"usage: sluice-journal COMMAND [OPTION...] DIRECTORY\n\n"
		"Reads the journal in a directory, also beside the appliance that writes it.\n\n");
	for (unsigned int i = 0; i < NB(commands); i++)
		fprintf(out, "  %-24s %s\n", commands[i].name, commands[i].help);
	fputc('\n', out);
	for (unsigned int i = 0; i < NB(descriptions); i++) {
		snprintf(name, sizeof(name), "--%s %s", descriptions[i].name,
			descriptions[i].argument == NULL ? "" : descriptions[i].argument);
		fprintf(out, "  %-24s %s\n", name, descriptions[i].help);
	}
	fprintf(out, "\nExits 0; 1 when the journal is damaged; 2 when it could not be read.\n");
}

static int
parse_number(const char *text, const char *option, uint64_t max, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *value <= max)
		return 0;
	fprintf(stderr, "sluice-journal: --%s %s: give a number from 0 to %" PRIu64 "\n", option,
		text, max);
	return -1;
}

static bool
parse_ago(const char *text, uint64_t *since_ns)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	uint64_t now = (uint64_t)time(NULL), number;
	char *end;

	number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end == '\0' || end[1] != '\0')
		return false;
	for (unsigned int i = 0; i < NB(units); i++) {
		if (units[i].unit == *end && number <= now / units[i].seconds) {
			*since_ns = (now - number * units[i].seconds) * NS;
			return true;
		}
	}
	return false;
}

static int
parse_since(const char *text, uint64_t *since_ns)
{
	static const char *const forms[] = {
		"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
	const char *end;
	struct tm tm;

	if (parse_ago(text, since_ns))
		return 0;
	for (unsigned int i = 0; i < NB(forms); i++) {
		memset(&tm, 0, sizeof(tm));
		end = strptime(text, forms[i], &tm);
		if (end != NULL && *end == '\0' && timegm(&tm) >= 0) {
			*since_ns = (uint64_t)timegm(&tm) * NS;
			return 0;
		}
	}
	fprintf(stderr,
		"sluice-journal: --since %s: give a time in UTC, for example 2026-01-31T12:00:00, "
		"or how long ago: 90s, 10m, 2h, 1d\n",
		text);
	return -1;
}

static int
parse_payload(const char *text, enum sl_journal_payload *payload)
{
	if (strcmp(text, "hex") == 0)
		*payload = SL_JOURNAL_PAYLOAD_HEX;
	else if (strcmp(text, "raw") == 0)
		*payload = SL_JOURNAL_PAYLOAD_RAW;
	else if (strcmp(text, "none") == 0)
		*payload = SL_JOURNAL_PAYLOAD_NONE;
	else {
		fprintf(stderr, "sluice-journal: --payload %s: give hex, raw or none\n", text);
		return -1;
	}
	return 0;
}

static int
parse_stream(const char *text, const char *option, uint32_t *stream)
{
	uint64_t value;

	if (parse_number(text, option, SL_STREAMS_MAX - 1, &value) != 0)
		return -1;
	*stream = (uint32_t)value;
	return 0;
}

static int
parse_one(int opt, const char *arg, struct options *options)
{
	struct sl_journal_filter *filter = &options->filter;

	switch (opt) {
	case OPT_JSON:
		options->is_json = true;
		return 0;
	case OPT_DESTINATION:
		filter->destination = arg;
		return 0;
	case OPT_SOURCE:
		filter->source = arg;
		return 0;
	case OPT_UNDELIVERED:
		filter->is_undelivered = true;
		return 0;
	case OPT_SINCE:
		return parse_since(arg, &filter->since_ns);
	case OPT_STREAM:
		filter->has_stream = true;
		return parse_stream(arg, "stream", &filter->stream);
	case OPT_POSITION:
		return parse_number(arg, "position", (UINT64_C(1) << SL_RECORD_POSITION_BITS) - 1,
			&filter->position);
	case OPT_LIMIT:
		return parse_number(arg, "limit", UINT64_MAX, &filter->limit);
	case OPT_PAYLOAD:
		return parse_payload(arg, &filter->payload);
	case OPT_SKIP:
		options->is_skip = true;
		return 0;
	case OPT_CUT:
		options->is_cut = true;
		return parse_stream(arg, "cut", &filter->stream);
	case OPT_YES:
		options->is_yes = true;
		return 0;
	case OPT_VERSION:
		options->version = true;
		return 0;
	default:
		options->help = true;
		return 0;
	}
}

static int
check(const struct options *options, unsigned int given)
{
	if (options->help || options->version)
		return 0;
	if (options->command == COMMAND_NONE || options->directory == NULL) {
		fprintf(stderr,
			"sluice-journal: give a command and the journal's directory, for example "
			"sluice-journal info /var/lib/sluice/journal\n");
		return -1;
	}
	for (unsigned int i = 0; i < NB(descriptions); i++) {
		if ((given & 1u << i) != 0 && descriptions[i].commands != 0 &&
			(descriptions[i].commands & BIT(options->command)) == 0) {
			fprintf(stderr,
				"sluice-journal: --%s is no option of this command; see "
				"sluice-journal --help\n",
				descriptions[i].name);
			return -1;
		}
	}
	if (options->filter.position != 0 && !options->filter.has_stream) {
		fprintf(stderr,
			"sluice-journal: --position: positions are those of a stream: "
			"give --stream, too\n");
		return -1;
	}
	if (options->command == COMMAND_REPAIR && options->is_skip == options->is_cut) {
		fprintf(stderr,
			"sluice-journal: repair: give --skip or --cut STREAM; verify shows what "
			"is damaged\n");
		return -1;
	}
	return 0;
}

static int
parse_word(const char *word, struct options *options)
{
	if (options->command != COMMAND_NONE) {
		if (options->directory != NULL) {
			fprintf(stderr, "sluice-journal: %s: there is a directory already: %s\n",
				word, options->directory);
			return -1;
		}
		options->directory = word;
		return 0;
	}
	for (unsigned int i = 0; i < NB(commands); i++) {
		if (strcmp(word, commands[i].name) == 0)
			options->command = commands[i].command;
	}
	if (options->command != COMMAND_NONE)
		return 0;
	fprintf(stderr,
		"sluice-journal: %s: no command; there are info, list, dump, verify and repair\n",
		word);
	return -1;
}

int
options_parse(int argc, char **argv, struct options *options)
{
	struct option long_options[NB(descriptions) + 1] = {0};
	unsigned int given = 0;
	int opt;

	memset(options, 0, sizeof(*options));
	for (unsigned int i = 0; i < NB(descriptions); i++) {
		long_options[i].name = descriptions[i].name;
		long_options[i].has_arg = descriptions[i].argument != NULL ? required_argument
									   : no_argument;
		long_options[i].val = OPT_JSON + (int)i;
	}
	opterr = 0;
	/* "-": words come in their place, as if they were the argument of option 1. */
	while ((opt = getopt_long(argc, argv, "-", long_options, NULL)) != -1) {
		if (opt == '?') {
			fprintf(stderr,
				"sluice-journal: %s: not an option, or without its value; see "
				"sluice-journal --help\n",
				argv[optind - 1]);
			return -1;
		}
		if (opt == 1 ? parse_word(optarg, options) != 0
			     : parse_one(opt, optarg, options) != 0)
			return -1;
		if (opt != 1)
			given |= 1u << (opt - OPT_JSON);
	}
	for (; optind < argc; optind++) {
		if (parse_word(argv[optind], options) != 0)
			return -1;
	}
	return check(options, given);
}
