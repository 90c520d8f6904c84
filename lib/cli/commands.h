/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef COMMANDS_H
#define COMMANDS_H

/**
 * @file
 * The one table of commands: prompt, sluicectl, help, manual, completion and tests are made of it.
 */

#include <stdbool.h>

/** What is done with a command. */
enum sl_cli_action {
	SL_CLI_SHOW,   /**< Request a view. */
	SL_CLI_CHANGE, /**< Request an edit. */
	SL_CLI_LOAD,
	SL_CLI_CHECK,
	SL_CLI_SAVE,
	SL_CLI_START,
	SL_CLI_STOP,
	SL_CLI_QUIT,
	SL_CLI_EXPLAIN,
	SL_CLI_TRACE,
	SL_CLI_CLEAR,
	SL_CLI_SUBSCRIBE,
	SL_CLI_UNSUBSCRIBE,
	SL_CLI_LOG,
	SL_CLI_CAPTURE, /**< From here on done by the client itself. */
	SL_CLI_JOURNAL_INFO,
	SL_CLI_JOURNAL_LIST,
	SL_CLI_JOURNAL_DUMP,
	SL_CLI_JOURNAL_VERIFY,
	SL_CLI_SHOW_HELP,
	SL_CLI_EXIT,
};

struct sl_cli_command {
	const char *group;
	const char *syntax;  /**< See grammar.h; NULL ends the table. */
	const char *help;    /**< What it does: one sentence, without its full stop. */
	const char *details; /**< What more there is to say, or NULL. */
	const char *example;
	enum sl_cli_action action;
	/**
	 * Show: the view and what follows it; "$NAME" is the value of that argument, left out with
	 * it: "port $PORT stats".
	 */
	const char *view;
	bool has_rates; /**< May end with rate [SECONDS] [count N]. */
	int operation;	/**< Change: Sluice__Control__V1__Edit__Operation */
	int object;	/**< Change: Sluice__Control__V1__Edit__Object */
};

/** What may follow a command that has_rates. */
#define SL_CLI_RATE_SYNTAX "[rate [<SECONDS:seconds>] [count <COUNT:uint(1..1000000)>]]"

/** Ended by one without a syntax. */
extern const struct sl_cli_command sl_cli_commands[];

#endif /* COMMANDS_H */
