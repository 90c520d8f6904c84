/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef CLI_INTERNAL_H
#define CLI_INTERNAL_H

/** @file What the files of a session share. */

#include <jansson.h>

#include "client.h"
#include "grammar.h"
#include "sl_cli.h"

struct sl_cli {
	struct sl_cli_params params;
	struct sl_cli_grammar *grammar;
	struct sl_cli_client client;
	struct sl_cli_cache *cache; /**< Names for completion. */
	struct sl_cli_shell *shell; /**< While interactive. */
	const char *file;	    /**< That lines come from, or NULL. */
	unsigned int line;	    /**< Of that file. */
	bool is_leaving;	    /**< "exit" was said. */
};

/** Everything of a request, with the memory it points into. */
struct sl_cli_request {
	Sluice__Control__V1__Request request;
	union {
		Sluice__Control__V1__Show show;
		Sluice__Control__V1__Change change;
		Sluice__Control__V1__Load load;
		Sluice__Control__V1__Save save;
		Sluice__Control__V1__Path path;
		Sluice__Control__V1__Explain explain;
		Sluice__Control__V1__Trace trace;
		Sluice__Control__V1__Clear clear;
		Sluice__Control__V1__Log log;
		Sluice__Control__V1__Subscribe subscribe;
	} u;
	Sluice__Control__V1__Edit edit;
	Sluice__Control__V1__Edit *edits[1];
	Sluice__Control__V1__Setting settings[SL_CLI_TOKENS_MAX];
	Sluice__Control__V1__Setting *setting_list[SL_CLI_TOKENS_MAX];
	char *arguments[SL_CLI_TOKENS_MAX]; /**< Of a view. */
	char *texts[SL_CLI_TOKENS_MAX];	    /**< To free. */
	unsigned int nb_texts;
	uint32_t extra_ms; /**< The answer may take so much longer than others. */
};

/** Make the request of a command; of one that the client does not do itself. */
void sl_cli_request_make(const struct sl_cli_match *match, struct sl_cli_request *request);
void sl_cli_request_free(struct sl_cli_request *request);

/** "port $PORT stats" as the first words of the view: "port stats". */
void sl_cli_view_name(const char *view, char *name, size_t name_len);

/**
 * Send and wait.
 * @param[out] json  what was answered, the caller's; NULL when that is nothing
 * @return SL_CLI_OK, or what is in @p error with @p status, an errno
 */
enum sl_cli_result sl_cli_ask(struct sl_cli *cli, struct sl_cli_request *request, json_t **json,
	int *status, char *error, size_t error_len);

/**
 * Say what is wrong, as text or JSON.
 * @param more  object that JSON tells with it, or NULL
 * @return @p result
 */
enum sl_cli_result sl_cli_fail(
	struct sl_cli *cli, enum sl_cli_result result, int status, const char *error, json_t *more);

/** Run a command that a line was read as. */
enum sl_cli_result sl_cli_run_match(struct sl_cli *cli, const struct sl_cli_match *match);

/**
 * Ask for a view without arguments.
 * @param[out] json  the caller's
 * @return SL_CLI_OK; else what is wrong has been said
 */
enum sl_cli_result sl_cli_ask_view(struct sl_cli *cli, const char *view, json_t **json);

/** Commands that the client does itself. @{ */
enum sl_cli_result sl_cli_help(struct sl_cli *cli, const struct sl_cli_match *match);
enum sl_cli_result sl_cli_capture(struct sl_cli *cli, const struct sl_cli_match *match);
enum sl_cli_result sl_cli_journal(struct sl_cli *cli, const struct sl_cli_match *match);
/** @} */

/** sl_cli_names_t on a struct sl_cli: asks the appliance, at most once a second. */
void sl_cli_names(
	void *cli, enum sl_cli_type type, const char *destination, struct sl_cli_choices *choices);
void sl_cli_cache_free(struct sl_cli_cache *cache);

/** Ask on the terminal. @return whether the answer was yes */
bool sl_cli_shell_confirm(struct sl_cli_shell *shell, const char *question);

#endif /* CLI_INTERNAL_H */
