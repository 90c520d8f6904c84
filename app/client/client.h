/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef CLIENT_H
#define CLIENT_H

/**
 * @file
 * What sluice-pub and sluice-sub have in common: options with a help, numbers, signals.
 */

#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "sluice.h"

/** Exit codes of both. */
enum client_exit {
	CLIENT_OK = 0,
	CLIENT_UNFINISHED = 1, /**< Not everything was done: see each program. */
	CLIENT_USAGE = 2,      /**< The command line is wrong. */
	CLIENT_FAILED = 3,     /**< It could not begin, or not go on. */
};

/** An option as the help shows it. The last one has no name. */
struct client_option {
	char letter;	      /**< 0: none. */
	const char *name;     /**< Long. */
	const char *argument; /**< NULL: takes none. */
	const char *help;
};

/** Set by SIGINT and SIGTERM. */
extern volatile sig_atomic_t client_is_stopped;

/** Take SIGINT and SIGTERM as the wish to end in an orderly way; the second one ends at once. */
void client_catch_signals(void);

/**
 * The next option of the command line.
 * @return its place in @p options; -1: there is none; exits with CLIENT_USAGE on a wrong one
 */
int client_next_option(int argc, char **argv, const struct client_option *options);

void client_print_help(const char *head, const struct client_option *options);

/** Say that the command line is wrong, and exit. */
void client_usage(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/** Say why it does not go on, and exit. */
void client_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/** A whole number of an option. Exits when it is none, or out of bounds. */
uint64_t client_number(const char *name, const char *text, uint64_t min, uint64_t max);

/** Seconds, with a fraction, in ms. */
int client_seconds_ms(const char *name, const char *text);

/** "HOST:PORT,..." of a list of hosts, and a port for those that name none. To be freed. */
char *client_addresses(const char *hosts, const char *port);

/** sluice_event_fn: a line on standard error. @p arg: bool, whether SLUICE_LEVEL_INFO is wanted */
void client_event(void *arg, enum sluice_level level, const char *text);

/** CLOCK_MONOTONIC in ns. */
uint64_t client_now(void);

#endif /* CLIENT_H */
