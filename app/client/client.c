/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"

#define OPTIONS_MAX 64
#define HELP_COLUMN 30

volatile sig_atomic_t client_is_stopped;

static void
stop(int signal)
{
	client_is_stopped = 1;
}

void
client_catch_signals(void)
{
	struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

int
client_next_option(int argc, char **argv, const struct client_option *options)
{
	struct option longs[OPTIONS_MAX] = {0};
	char shorts[2 * OPTIONS_MAX + 1], *p = shorts;
	int n = 0, got, which = -1;

	for (; options[n].name != NULL; n++) {
		longs[n].name = options[n].name;
		longs[n].has_arg = options[n].argument != NULL;
		longs[n].flag = &which;
		longs[n].val = n;
		if (options[n].letter == 0)
			continue;
		*p++ = options[n].letter;
		if (options[n].argument != NULL)
			*p++ = ':';
	}
	*p = '\0';
	got = getopt_long(argc, argv, shorts, longs, NULL);
	if (got == '?')
		client_usage("see --help");
	if (got == -1) {
		if (optind < argc)
			client_usage("%s: not an option; see --help", argv[optind]);
		return -1;
	}
	if (got == 0)
		return which;
	for (n = 0; options[n].letter != got; n++)
		;
	return n;
}

void
client_print_help(const char *head, const struct client_option *options)
{
	char left[128];

	fputs(head, stdout);
	for (; options->name != NULL; options++) {
		char letter[8] = "    ";

		if (options->letter != 0)
			snprintf(letter, sizeof(letter), "-%c, ", options->letter);
		snprintf(left, sizeof(left), "  %s--%s%s%s", letter, options->name,
			options->argument != NULL ? " " : "",
			options->argument != NULL ? options->argument : "");
		if (strlen(left) < HELP_COLUMN)
			printf("%-*s%s\n", HELP_COLUMN, left, options->help);
		else
			printf("%s\n%*s%s\n", left, HELP_COLUMN, "", options->help);
	}
}

static void
say(const char *format, va_list args)
{
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void
client_usage(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	exit(CLIENT_USAGE);
}

void
client_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	exit(CLIENT_FAILED);
}

uint64_t
client_number(const char *name, const char *text, uint64_t min, uint64_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] < '0' || text[0] > '9' ||
		value < min || value > max)
		client_usage("--%s %s: not a number from %llu to %llu", name, text,
			(unsigned long long)min, (unsigned long long)max);
	return value;
}

int
client_seconds_ms(const char *name, const char *text)
{
	double value;
	char *end;

	errno = 0;
	value = strtod(text, &end);
	if (errno != 0 || end == text || *end != '\0' || !(value >= 0) || value > 1e6)
		client_usage("--%s %s: not a number of seconds from 0 to 1000000", name, text);
	return (int)(value * 1000);
}

/* Does an address name a port? */
static bool
has_port(const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len), *bracket = memchr(text, ']', len);

	if (bracket != NULL)
		return bracket + 1 < text + len && bracket[1] == ':';
	return colon != NULL && memchr(colon + 1, ':', len - (size_t)(colon + 1 - text)) == NULL;
}

char *
client_addresses(const char *hosts, const char *port)
{
	size_t room = 1, len;
	char *all, *p;

	for (p = (char *)(uintptr_t)hosts; *p != '\0'; p++)
		room += *p == ',' ? strlen(port) + 4 : 1;
	all = p = malloc(room + strlen(port) + 4);
	if (all == NULL)
		client_die("out of memory");
	for (;;) {
		len = strcspn(hosts, ",");
		if (has_port(hosts, len))
			p += sprintf(p, "%.*s", (int)len, hosts);
		else if (hosts[0] != '[' && memchr(hosts, ':', len) != NULL)
			p += sprintf(p, "[%.*s]:%s", (int)len, hosts, port);
		else
			p += sprintf(p, "%.*s:%s", (int)len, hosts, port);
		hosts += len;
		if (*hosts == '\0')
			return all;
		*p++ = *hosts++;
	}
}

void
client_event(void *arg, enum sluice_level level, const char *text)
{
	const bool *is_verbose = arg;

	if (*is_verbose || level == SLUICE_LEVEL_WARNING)
		fprintf(stderr, "%s: %s\n", program_invocation_short_name, text);
}

uint64_t
client_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}
