/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "print.h"

#define BATCH	 256 /* Messages that are written, and then acknowledged. */
#define SLICE_MS 100 /* So often signals and the time are looked at. */
#define SECOND	 UINT64_C(1000000000)

enum option_id {
	OPT_HOST,
	OPT_PORT,
	OPT_COUNT,
	OPT_TIMEOUT,
	OPT_FORMAT,
	OPT_JSON,
	OPT_QUIET,
	OPT_NAME,
	OPT_STATS,
	OPT_INTERVAL,
	OPT_ACCEPT_FROM,
	OPT_WINDOW,
	OPT_DEDUP,
	OPT_EARLY_ACK,
	OPT_UNORDERED,
	OPT_VERBOSE,
	OPT_VERSION,
	OPT_HELP,
	OPT_NB,
};

static const struct client_option options[OPT_NB + 1] = {
	[OPT_HOST] = {'h', "host", "ADDRESS[:PORT]", "listen there (any address)"},
	[OPT_PORT] = {'p', "port", "PORT", "and at this port, 0 for any (7600)"},
	[OPT_COUNT] = {'C', "count", "N", "end after so many messages"},
	[OPT_TIMEOUT] = {'W', "timeout", "SECONDS", "end after so long"},
	[OPT_FORMAT] = {'F', "format", "FORMAT", "how to print a message, see below (%p\\n)"},
	[OPT_JSON] = {'j', "json", NULL, "print a message as a line of JSON"},
	[OPT_QUIET] = {'q', "quiet", NULL, "print no messages"},
	[OPT_NAME] = {'N', "name", "NAME",
		"show the key of this name as the name; may be given again"},
	[OPT_STATS] = {0, "stats", NULL, "at the end, statistics as one line of JSON"},
	[OPT_INTERVAL] = {0, "interval", "SECONDS", "the rate, so often, on standard error"},
	[OPT_ACCEPT_FROM] = {0, "accept-from", "ADDRESS,...", "listen to these only (anybody)"},
	[OPT_WINDOW] = {0, "window", "N",
		"messages of a session on their way or in work, a power of 2 (1024)"},
	[OPT_DEDUP] = {0, "dedup", "N",
		"find redeliveries among the last so many messages (65536)"},
	[OPT_EARLY_ACK] = {0, "early-ack", NULL,
		"acknowledge what has come, not what has been written"},
	[OPT_UNORDERED] = {0, "unordered", NULL, "print messages as they come"},
	[OPT_VERBOSE] = {'v', "verbose", NULL, "tell what happens on standard error"},
	[OPT_VERSION] = {'V', "version", NULL, "print the version and exit"},
	[OPT_HELP] = {0, "help", NULL, "print this and exit"},
};

static const char head[] = "usage: sluice-sub [-h ADDRESS[:PORT]] [-p PORT] [OPTION]...\n"
			   "\n"
			   "Receives messages from Sluice as a backend, and prints them.\n"
			   "\n";
static const char tail[] =
	"\n"
	"FORMAT: %p payload, %x payload in hex, %l its length, %d destination, %s source, %t type,\n"
	"%c class, %i id in hex, %I id as a text, %T time, %N time in ns, %S session, %q sequence,\n"
	"%e epoch, %a where it came from, %% a percent sign, and \\n \\t \\0 \\\\.\n";

static struct {
	const char *host;
	const char *port;
	const char *format;
	bool is_json;
	bool is_quiet;
	bool has_stats;
	bool is_verbose;
	uint64_t count; /* UINT64_MAX: no end */
	int timeout_ms; /* < 0: no end */
	int interval_ms;
	struct print_names names;
	struct sluice_consumer_options options;
} args = {.host = "*", .port = "7600", .format = "%p\\n", .count = UINT64_MAX, .timeout_ms = -1};

static void
take_option(int option)
{
	char bad;

	switch (option) {
	case OPT_HOST:
		args.host = optarg;
		break;
	case OPT_PORT:
		client_number("port", optarg, 0, UINT16_MAX);
		args.port = optarg;
		break;
	case OPT_COUNT:
		args.count = client_number("count", optarg, 1, UINT64_MAX - 1);
		break;
	case OPT_TIMEOUT:
		args.timeout_ms = client_seconds_ms("timeout", optarg);
		break;
	case OPT_FORMAT:
		if (!print_check_format(optarg, &bad))
			client_usage(
				"--format %s: nothing is known of \"%c\"; see --help", optarg, bad);
		args.format = optarg;
		break;
	case OPT_JSON:
		args.is_json = true;
		break;
	case OPT_QUIET:
		args.is_quiet = true;
		break;
	case OPT_NAME:
		if (!print_add_name(&args.names, optarg))
			client_die("out of memory");
		break;
	case OPT_STATS:
		args.has_stats = true;
		break;
	default:
		args.is_verbose = true;
	}
}

/* Those of the library. @return false: it is another one */
static bool
take_library_option(int option)
{
	switch (option) {
	case OPT_INTERVAL:
		args.interval_ms = client_seconds_ms("interval", optarg);
		return true;
	case OPT_ACCEPT_FROM:
		args.options.accept_from = optarg;
		return true;
	case OPT_WINDOW:
		args.options.window = (uint32_t)client_number("window", optarg, 1, 65536);
		return true;
	case OPT_DEDUP:
		args.options.dedup_messages = (uint32_t)client_number("dedup", optarg, 1, 1 << 26);
		return true;
	case OPT_EARLY_ACK:
		args.options.flags |= SLUICE_EARLY_ACK;
		return true;
	case OPT_UNORDERED:
		args.options.flags |= SLUICE_UNORDERED;
		return true;
	case OPT_VERSION:
		printf("sluice-sub %s\n", sluice_version());
		exit(0);
	case OPT_HELP:
		client_print_help(head, options);
		fputs(tail, stdout);
		exit(0);
	default:
		return false;
	}
}

static void
check_names(void)
{
	for (unsigned int i = 0; args.is_json && i < args.names.nb; i++) {
		if (!print_json_can(args.names.names[i]))
			client_usage(
				"--name %s: not UTF-8, as --json needs it", args.names.names[i]);
	}
}

/* Messages go to standard output by a stream of their own, which a signal keeps from waiting. */
static FILE *output;
/* Why it takes no more; 0: it does. */
static int output_error;

static ssize_t
write_output(void *cookie, const char *data, size_t len)
{
	size_t written = 0;
	ssize_t n;

	while (written < len) {
		n = write(STDOUT_FILENO, data + written, len - written);
		if (n < 0)
			break;
		written += (size_t)n;
		/* The signal may have ended this wait already, and does not end another. */
		if (written < len && client_is_stopped) {
			errno = EINTR;
			break;
		}
	}
	return (ssize_t)written;
}

static void
open_output(void)
{
	output = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_output});
	if (output == NULL)
		client_die("out of memory");
}

/* @return false */
static bool
fail_output(void)
{
	output_error = errno != 0 ? errno : EIO;
	return false;
}

/* @return false: it was not taken */
static bool
print(const struct sluice_delivery *d)
{
	bool is_printed = true;

	if (args.is_quiet)
		return true;
	if (args.is_json)
		is_printed = print_json(output, &args.names, d);
	else
		print_format(output, args.format, &args.names, d);
	/* What was in the buffer when a write failed is gone, though the next may not fail. */
	return (is_printed && !ferror(output)) || fail_output();
}

/* What has been written has been done. @return false: something was not, and nothing is done */
static bool
finish(struct sluice_consumer *con, const struct sluice_delivery **batch, unsigned int n)
{
	if (output_error == 0 && fflush(output) != 0)
		fail_output();
	if (output_error != 0)
		return false;
	for (unsigned int i = 0; i < n; i++)
		sluice_consumer_done(con, batch[i]);
	return true;
}

static void
tell_rate(uint64_t received, uint64_t now)
{
	static uint64_t told_at, told;

	if (args.interval_ms == 0)
		return;
	if (told_at == 0) {
		told_at = now;
	} else if (now - told_at >= (uint64_t)args.interval_ms * 1000000) {
		fprintf(stderr, "sluice-sub: %" PRIu64 " messages, %.0f a second\n", received,
			(double)(received - told) * 1e9 / (double)(now - told_at));
		told_at = now;
		told = received;
	}
}

/* @return how many messages came and were written */
static uint64_t
receive(struct sluice_consumer *con)
{
	const struct sluice_delivery *batch[BATCH];
	uint64_t n = 0, now = client_now(), end = UINT64_MAX;
	unsigned int nb;
	int wait_ms;

	if (args.timeout_ms >= 0)
		end = now + (uint64_t)args.timeout_ms * 1000000;
	while (n < args.count && now < end && !client_is_stopped) {
		wait_ms = end - now < SLICE_MS * (SECOND / 1000) ? (int)((end - now) / 1000000) + 1
								 : SLICE_MS;
		for (nb = 0; nb < BATCH && n + nb < args.count; nb++) {
			if (sluice_consumer_receive(con, &batch[nb], nb == 0 ? wait_ms : 0) != 0)
				break;
			if (!print(batch[nb]))
				break;
		}
		if (!finish(con, batch, nb))
			break;
		n += nb;
		now = client_now();
		tell_rate(n, now);
	}
	return n;
}

static void
report(const struct sluice_consumer_stats *s, uint64_t received)
{
	const struct {
		const char *name;
		uint64_t value;
	} values[] = {
		{"received", received},
		{"datagrams", s->datagrams},
		{"messages", s->messages},
		{"delivered", s->delivered},
		{"at_most_once", s->at_most_once},
		{"duplicates", s->duplicates},
		{"redeliveries", s->redeliveries},
		{"beyond", s->beyond},
		{"dropped", s->dropped},
		{"no_memory", s->no_memory},
		{"old_epochs", s->old_epochs},
		{"bad_datagrams", s->bad_datagrams},
		{"not_accepted", s->not_accepted},
		{"acks", s->acks},
		{"refused", s->refused},
		{"gaps", s->gaps},
		{"probes", s->probes},
		{"sessions", s->sessions},
		{"sessions_opened", s->sessions_opened},
		{"sessions_expired", s->sessions_expired},
		{"sessions_evicted", s->sessions_evicted},
	};
	json_t *all = json_object();

	for (unsigned int i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		json_object_set_new(all, values[i].name, json_integer((json_int_t)values[i].value));
	if (json_dumpf(all, stdout, 0) != 0 || putchar('\n') == EOF || fflush(stdout) != 0)
		client_die("standard output: %s", strerror(errno));
	json_decref(all);
}

int
main(int argc, char **argv)
{
	struct sluice_consumer_stats stats;
	struct sluice_consumer *con;
	struct sluice_error error;
	uint64_t n;
	int option;

	while ((option = client_next_option(argc, argv, options)) >= 0) {
		if (!take_library_option(option))
			take_option(option);
	}
	check_names();
	open_output();
	args.options.listen = client_addresses(args.host, args.port);
	args.options.event = client_event;
	args.options.event_arg = &args.is_verbose;
	client_catch_signals();
	con = sluice_consumer_open(&args.options, &error);
	if (con == NULL)
		client_die("%s", error.text);
	if (args.is_verbose)
		fprintf(stderr, "sluice-sub: listening at %s\n", sluice_consumer_address(con));
	n = receive(con);
	sluice_consumer_get_stats(con, &stats);
	sluice_consumer_close(con);
	if (output_error != 0) {
		/* Nor is there a use in waiting for it to take the rest. */
		__fpurge(output);
		client_die("standard output: %s",
			output_error == EINTR ? "it took no more when told to end"
					      : strerror(output_error));
	}
	if (args.has_stats)
		report(&stats, n);
	return args.count != UINT64_MAX && n < args.count ? CLIENT_UNFINISHED : CLIENT_OK;
}
