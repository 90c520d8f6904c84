/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_CLI_H
#define SL_CLI_H

/**
 * @file
 * The command line: one grammar, used by sluicectl and by the appliance's own prompt.
 *
 * Every command becomes a request of the control API (control.proto), and the answer a table, lines
 * of "key: value", or JSON. Nothing here needs EAL.
 *
 * Threads: one at a time for each session; the process's SIGPIPE has to be ignored.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** Where the appliance listens unless told otherwise. */
#define SL_CLI_SOCKET "/run/sluice/control.sock"

/** What became of a command; also sluicectl's exit code. */
enum sl_cli_result {
	SL_CLI_OK,
	SL_CLI_FAILED,	      /**< The appliance refused, or did not answer in time. */
	SL_CLI_USAGE,	      /**< The line is no command. */
	SL_CLI_NO_CONNECTION, /**< There is no appliance. */
};

struct sl_cli_params {
	const char *socket;  /**< Kept by the caller. NULL: SL_CLI_SOCKET. */
	FILE *out;	     /**< What commands show. */
	FILE *err;	     /**< What is wrong. */
	const char *name;    /**< Before errors: "sluicectl"; NULL: nothing. */
	bool is_json;	     /**< A JSON document a command, errors too, on out. */
	bool is_prompt;	     /**< The appliance's own prompt: quit asks no question. */
	uint32_t timeout_ms; /**< For an answer; 0: 10000. */
	const char *history; /**< File of the lines typed; NULL: they are forgotten. */
};

struct sl_cli;

/** @return 0 or -ENOMEM. No connection is made before the first command that needs one. */
int sl_cli_create(const struct sl_cli_params *params, struct sl_cli **cli);

void sl_cli_destroy(struct sl_cli *cli);

/** Run one line. Empty ones and comments are fine. What is wrong has been said. */
enum sl_cli_result sl_cli_run_line(struct sl_cli *cli, const char *line);

/**
 * Run the lines of a file.
 * @param name           of the file, for errors: "NAME:3: ..."
 * @param stop_at_error  leave at the first line that fails
 * @return the first result that is not SL_CLI_OK. Without a connection the rest is not tried.
 */
enum sl_cli_result
sl_cli_run_file(struct sl_cli *cli, FILE *in, const char *name, bool stop_at_error);

/**
 * Read lines from a terminal, with history and completion, until Ctrl-D or "exit".
 * @param in       the terminal; its settings are restored at the end
 * @param stop_fd  when it can be read from, the end has come; -1: none
 * @return SL_CLI_OK, or SL_CLI_FAILED when @p in is no terminal
 */
enum sl_cli_result sl_cli_run_interactive(struct sl_cli *cli, int in, int stop_fd);

/** Print what could stand at the end of @p line, a word a line. */
void sl_cli_print_completions(struct sl_cli *cli, const char *line);

/** @name Made of the table of commands. @{ */
void sl_cli_write_man(FILE *out, const char *version);
void sl_cli_write_markdown(FILE *out);
void sl_cli_write_bash_completion(FILE *out);
/** @} */

/** An option of sluicectl, for its usage, manual and completion. */
struct sl_cli_option {
	const char *name;  /**< "socket" */
	char letter;	   /**< 'f'; 0: none */
	const char *value; /**< "PATH"; NULL: takes none */
	const char *help;
	bool is_hidden; /**< Not for people: what the build uses. */
};

/** Ended by one without a name. */
extern const struct sl_cli_option sl_cli_options[];

/** @name The prompt inside the appliance: a thread that is a client of the process's own socket. @{
 */
struct sl_cli_prompt;

/**
 * Start thread "sl-prompt" on standard input and output. When standard input is no terminal, its
 * lines are run as a file, and the appliance goes on at their end.
 * @return 0 or -errno
 */
int sl_cli_prompt_start(const char *socket, struct sl_cli_prompt **prompt);

/** End the thread and restore the terminal; NULL is fine. */
void sl_cli_prompt_stop(struct sl_cli_prompt *prompt);
/** @} */

#endif /* SL_CLI_H */
