/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

/* What the longest UDP payload leaves for a message. */
#define PAYLOAD_MAX 65400

enum option_id {
	OPT_HOST,
	OPT_PORT,
	OPT_DESTINATION,
	OPT_SOURCE,
	OPT_MESSAGE,
	OPT_FILE,
	OPT_LINES,
	OPT_NULL,
	OPT_TYPE,
	OPT_PRIORITY,
	OPT_ID,
	OPT_COUNT,
	OPT_RATE,
	OPT_AT_MOST_ONCE,
	OPT_TIMEOUT,
	OPT_QUEUE,
	OPT_WINDOW,
	OPT_DATAGRAM,
	OPT_BIND,
	OPT_JSON,
	OPT_VERBOSE,
	OPT_VERSION,
	OPT_HELP,
	OPT_NB,
};

static const struct client_option options[OPT_NB + 1] = {
	[OPT_HOST] = {'h', "host", "HOST[:PORT],...",
		"the appliances, the first that answers (127.0.0.1)"},
	[OPT_PORT] = {'p', "port", "PORT", "of those that name none (7500)"},
	[OPT_DESTINATION] = {'d', "destination", "NAME", "where the message is to go"},
	[OPT_SOURCE] = {'s', "source", "NAME", "who sends it (this host's name)"},
	[OPT_MESSAGE] = {'m', "message", "TEXT", "the payload"},
	[OPT_FILE] = {'f', "file", "FILE", "the payload is a file; - is standard input"},
	[OPT_LINES] = {'l', "lines", NULL, "each line of standard input is a message"},
	[OPT_NULL] = {'n', "null", NULL, "a message without payload"},
	[OPT_TYPE] = {'t', "type", "NAME", "its type (the empty name)"},
	[OPT_PRIORITY] = {'P', "priority", "CLASS",
		"1 (first) .. 8; 0 is the destination's default (0)"},
	[OPT_ID] = {'i', "id", "TEXT",
		"its id (a new one); of several messages TEXT-1, TEXT-2, ..."},
	[OPT_COUNT] = {'c', "count", "N", "send it so many times, each with an id of its own (1)"},
	[OPT_RATE] = {'r', "rate", "N", "messages a second (as fast as it goes)"},
	[OPT_AT_MOST_ONCE] = {'0', "at-most-once", NULL, "send once, without acknowledgement"},
	[OPT_TIMEOUT] = {'W', "timeout", "SECONDS",
		"a message that is not durable by then has failed (10)"},
	[OPT_QUEUE] = {0, "queue", "N", "messages held until they are durable (16384)"},
	[OPT_WINDOW] = {0, "window", "N", "messages in flight, a power of 2 (4096)"},
	[OPT_DATAGRAM] = {0, "datagram", "BYTES", "the largest UDP payload (1400)"},
	[OPT_BIND] = {'b', "bind", "ADDRESS[:PORT]", "send from there"},
	[OPT_JSON] = {'j', "json", NULL, "at the end, statistics as one line of JSON"},
	[OPT_VERBOSE] = {'v', "verbose", NULL, "tell what happens on standard error"},
	[OPT_VERSION] = {'V', "version", NULL, "print the version and exit"},
	[OPT_HELP] = {0, "help", NULL, "print this and exit"},
};

static const char head[] =
	"usage: sluice-pub -h HOST[:PORT],... -d DESTINATION {-m TEXT | -f FILE | -l | -n} [OPTION]...\n"
	"\n"
	"Publishes messages to Sluice, and waits until they are durable.\n"
	"\n";

static struct {
	const char *hosts;
	const char *port;
	const char *id;
	const char *file;
	bool is_lines;
	bool has_payload;
	bool is_json;
	bool is_verbose;
	uint64_t count;
	uint64_t rate;
	int timeout_ms;
	struct sluice_publisher_options options;
	struct sluice_message message;
} args = {.hosts = "127.0.0.1", .port = "7500", .count = 1, .timeout_ms = 10000};

static _Atomic uint64_t nb_done;
static _Atomic uint64_t nb_failed;
static char host_name[256];

static void
set_payload(const char *text)
{
	if (args.has_payload)
		client_usage("one of -m, -f, -l and -n, and only once");
	args.has_payload = true;
	args.message.payload = text;
	args.message.payload_len = text == NULL ? 0 : strlen(text);
}

/* Those that take a number or nothing. @return false: it is another one */
static bool
take_number(int option)
{
	switch (option) {
	case OPT_PRIORITY:
		args.message.priority = (uint32_t)client_number("priority", optarg, 0, 8);
		return true;
	case OPT_COUNT:
		args.count = client_number("count", optarg, 1, UINT64_MAX);
		return true;
	case OPT_RATE:
		args.rate = client_number("rate", optarg, 1, 1000000000);
		return true;
	case OPT_TIMEOUT:
		args.timeout_ms = client_seconds_ms("timeout", optarg);
		return true;
	case OPT_QUEUE:
		args.options.queue_messages = (uint32_t)client_number("queue", optarg, 1, 1 << 24);
		return true;
	case OPT_WINDOW:
		args.options.window = (uint32_t)client_number("window", optarg, 1, 65536);
		return true;
	case OPT_DATAGRAM:
		args.options.datagram_bytes = (uint32_t)client_number(
			"datagram", optarg, 128, 65507);
		return true;
	case OPT_AT_MOST_ONCE:
		args.message.flags |= SLUICE_AT_MOST_ONCE;
		return true;
	case OPT_JSON:
		args.is_json = true;
		return true;
	case OPT_VERBOSE:
		args.is_verbose = true;
		return true;
	default:
		return false;
	}
}

static void
take_option(int option)
{
	switch (option) {
	case OPT_HOST:
		args.hosts = optarg;
		break;
	case OPT_PORT:
		client_number("port", optarg, 1, UINT16_MAX);
		args.port = optarg;
		break;
	case OPT_DESTINATION:
		args.message.destination = optarg;
		break;
	case OPT_SOURCE:
		args.options.source = optarg;
		break;
	case OPT_MESSAGE:
		set_payload(optarg);
		break;
	case OPT_FILE:
		set_payload(NULL);
		args.file = optarg;
		break;
	case OPT_LINES:
		set_payload(NULL);
		args.is_lines = true;
		break;
	case OPT_NULL:
		set_payload(NULL);
		break;
	case OPT_TYPE:
		args.message.type = optarg;
		break;
	case OPT_ID:
		args.id = optarg;
		break;
	case OPT_BIND:
		args.options.bind = optarg;
		break;
	case OPT_VERSION:
		printf("sluice-pub %s\n", sluice_version());
		exit(0);
	default:
		client_print_help(head, options);
		exit(0);
	}
}

static void
take_arguments(int argc, char **argv)
{
	int option;

	while ((option = client_next_option(argc, argv, options)) >= 0) {
		if (!take_number(option))
			take_option(option);
	}
	if (args.message.destination == NULL)
		client_usage("no destination: -d NAME");
	if (!args.has_payload)
		client_usage("no message: -m TEXT, -f FILE, -l for lines or -n for none");
	if (args.is_lines && args.count != 1)
		client_usage("--count does not go with -l: the lines are counted");
	if (args.options.source == NULL) {
		if (gethostname(host_name, sizeof(host_name) - 1) != 0 || host_name[0] == '\0')
			client_usage("this host has no name: -s NAME");
		args.options.source = host_name;
	}
	args.options.appliances = client_addresses(args.hosts, args.port);
	args.options.message_timeout_ms = (uint32_t)args.timeout_ms;
	args.options.event = client_event;
	args.options.event_arg = &args.is_verbose;
}

static void
read_file(void)
{
	static char payload[PAYLOAD_MAX + 1];
	FILE *file = strcmp(args.file, "-") == 0 ? stdin : fopen(args.file, "rb");

	if (file == NULL)
		client_die("%s: %s", args.file, strerror(errno));
	args.message.payload = payload;
	args.message.payload_len = fread(payload, 1, sizeof(payload), file);
	if (ferror(file))
		client_die("%s: %s", args.file, strerror(errno));
	if (args.message.payload_len > PAYLOAD_MAX)
		client_die("%s: larger than a message can be (%d bytes)", args.file, PAYLOAD_MAX);
	if (file != stdin)
		fclose(file);
}

static void
done(void *arg, const struct sluice_id *id, int result)
{
	if (result == 0) {
		nb_done++;
		return;
	}
	if (nb_failed++ < 10)
		fprintf(stderr, "sluice-pub: message %016" PRIx64 "%016" PRIx64 ": %s\n", id->high,
			id->low, sluice_strerror(result));
}

/* Message number @p n, from 1 on, is not sent before its time. */
static void
keep_pace(uint64_t begin, uint64_t n)
{
	uint64_t at, now;
	struct timespec nap;

	if (args.rate == 0)
		return;
	at = begin + (uint64_t)((double)(n - 1) * 1e9 / (double)args.rate);
	while (!client_is_stopped && (now = client_now()) < at) {
		nap.tv_sec = (time_t)((at - now) / 1000000000);
		nap.tv_nsec = (long)((at - now) % 1000000000);
		nanosleep(&nap, NULL);
	}
}

static void
publish(struct sluice_publisher *pub, uint64_t n)
{
	bool is_only = args.count == 1 && !args.is_lines;
	char id[1024];
	int rc;

	if (args.id != NULL) {
		if (is_only)
			snprintf(id, sizeof(id), "%s", args.id);
		else
			snprintf(id, sizeof(id), "%.900s-%" PRIu64, args.id, n);
		args.message.id_text = id;
	}
	rc = sluice_publish_async(pub, &args.message, args.timeout_ms, done, NULL);
	if (rc == SLUICE_TOO_BIG)
		client_die("message %" PRIu64 " of %zu bytes: %s (--datagram)", n,
			args.message.payload_len, sluice_strerror(rc));
	if (rc != 0 && nb_failed++ < 10)
		fprintf(stderr, "sluice-pub: message %" PRIu64 ": %s\n", n, sluice_strerror(rc));
}

static uint64_t
publish_lines(struct sluice_publisher *pub, uint64_t begin)
{
	size_t room = 0;
	char *line = NULL;
	uint64_t n = 0;
	ssize_t len;

	while (!client_is_stopped && (len = getline(&line, &room, stdin)) >= 0) {
		if (len > 0 && line[len - 1] == '\n')
			len--;
		args.message.payload = line;
		args.message.payload_len = (size_t)len;
		keep_pace(begin, ++n);
		publish(pub, n);
	}
	free(line);
	return n;
}

static void
report(const struct sluice_publisher_stats *s, uint64_t published, double seconds)
{
	json_t *all = json_pack("{s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:f}",
		"published", (json_int_t)published, "durable", (json_int_t)s->durable, "failed",
		(json_int_t)nb_failed, "seconds", seconds, "msgs_per_s",
		seconds > 0 ? (double)nb_done / seconds : 0.0, "retransmitted",
		(json_int_t)s->retransmitted, "datagrams", (json_int_t)s->datagrams_sent, "refused",
		(json_int_t)s->refused, "failovers", (json_int_t)s->failovers, "bad_acks",
		(json_int_t)s->bad_acks, "srtt_us", (double)s->srtt_ns / 1e3);

	if (all == NULL || json_dumpf(all, stdout, JSON_REAL_PRECISION(6)) != 0 ||
		putchar('\n') == EOF || fflush(stdout) != 0)
		client_die("standard output: %s", strerror(errno));
	json_decref(all);
}

int
main(int argc, char **argv)
{
	struct sluice_publisher_stats stats;
	struct sluice_publisher *pub;
	struct sluice_error error;
	uint64_t begin, n = 0;
	double seconds;

	take_arguments(argc, argv);
	if (args.file != NULL)
		read_file();
	client_catch_signals();
	pub = sluice_publisher_open(&args.options, &error);
	if (pub == NULL)
		client_die("%s", error.text);
	begin = client_now();
	if (args.is_lines) {
		n = publish_lines(pub, begin);
	} else {
		while (n < args.count && !client_is_stopped) {
			keep_pace(begin, n + 1);
			publish(pub, ++n);
		}
	}
	sluice_publisher_flush(pub, client_is_stopped ? 0 : args.timeout_ms);
	seconds = (double)(client_now() - begin) / 1e9;
	sluice_publisher_get_stats(pub, &stats);
	sluice_publisher_close(pub, 0);
	if (args.is_json)
		report(&stats, n, seconds);
	if (nb_failed > 10)
		fprintf(stderr, "sluice-pub: %" PRIu64 " messages failed\n", nb_failed);
	return nb_failed == 0 && !client_is_stopped ? CLIENT_OK : CLIENT_UNFINISHED;
}
