/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef GRAMMAR_H
#define GRAMMAR_H

/**
 * @file
 * From the table of commands to rte_cmdline's instructions, and back to what a line says.
 *
 * A command's syntax is one string:
 *
 *     word                      itself
 *     <NAME:type>               a value, see enum sl_cli_type; <N:uint(1..8)>, <S:on|off>
 *     <NAME:type=key>           a value that goes into the request as setting "key"
 *     [ ... ]                   may be left out
 *     ( ... | ... )             one of these
 *     { word <...>, !word <...> }  any of these pairs, in any order, each once; with ! it has to
 *                               be there
 *
 * It is expanded into flat sequences of tokens, one rte_cmdline instruction each. cmdline_parse()
 * finds the instruction of a line; completion and errors try the same tokens with the same
 * functions.
 *
 * Threads: one at a time for each grammar.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdline.h>
#include <cmdline_parse.h>

#include "commands.h"

#define SL_CLI_TOKENS_MAX 32 /**< In a line. */
#define SL_CLI_PAIRS_MAX  16 /**< In one pair of braces. */

/** A choice of more bytes is shown by its name: "MODULE", not "all|main|...". */
#define SL_CLI_CHOICE_SHORT 40

enum sl_cli_type {
	SL_CLI_WORD,
	SL_CLI_CHOICE,	/**< One of the words in text, "a|b". */
	SL_CLI_UINT,	/**< uint(MIN..MAX) */
	SL_CLI_SECONDS, /**< Of 0.1 to 3600. */
	SL_CLI_ADDRESS, /**< IPv4 or IPv6 */
	SL_CLI_ID,	/**< 32 hexadecimal digits. */
	SL_CLI_FILE,
	SL_CLI_NAME,	    /**< Any; of what may not be there yet. */
	SL_CLI_DESTINATION, /**< The name of one. */
	SL_CLI_BACKEND,	    /**< Of the destination that stands before it. */
	SL_CLI_PORT,
	SL_CLI_PORT_OR_ALL,
	SL_CLI_CLASS, /**< A class by name. */
	SL_CLI_LEVEL, /**< A class by number. */
	SL_CLI_HELP,  /**< A word of a command. */
	SL_CLI_KEY,   /**< The word of a pair. */
	SL_CLI_VALUE, /**< What follows it. */
};

struct sl_cli_pairs;

/** An element of a syntax. */
struct sl_cli_arg {
	enum sl_cli_type type;
	char *text;    /**< Word: itself. Choice: "a|b". */
	char *name;    /**< "WEIGHT"; NULL for words. */
	char *setting; /**< The configuration's key, or NULL. */
	uint64_t min, max;
	bool is_required;		  /**< Of a pair's value. */
	const struct sl_cli_pairs *pairs; /**< Of SL_CLI_KEY and SL_CLI_VALUE. */
};

struct sl_cli_pairs {
	unsigned int nb_pairs;
	struct sl_cli_arg *words[SL_CLI_PAIRS_MAX];
	struct sl_cli_arg *values[SL_CLI_PAIRS_MAX];
};

/** A word of a line, where it stands. */
struct sl_cli_value {
	const char *text;
	size_t len;
};

/** A line that is a command. The values are the grammar's, until it reads the next line. */
struct sl_cli_match {
	const struct sl_cli_command *command;
	unsigned int nb_values;
	struct {
		const struct sl_cli_arg *arg; /**< Of a pair the value's own. */
		struct sl_cli_value value;
	} values[SL_CLI_TOKENS_MAX];
};

struct sl_cli_grammar;

/**
 * @param commands  ended by one without a syntax; kept by the caller
 * @param[out] error  of a syntax that cannot be read, which is the table's fault
 * @return 0, -EINVAL, -ENOMEM
 */
int sl_cli_grammar_create(const struct sl_cli_command *commands, struct sl_cli_grammar **grammar,
	char *error, size_t error_len);

void sl_cli_grammar_destroy(struct sl_cli_grammar *grammar);

/**
 * Read a line.
 * @return 0; -ENODATA: the line is empty, or a comment; -EINVAL, with in @p error what is wrong
 *         and what would be right
 */
int sl_cli_grammar_parse(struct sl_cli_grammar *grammar, const char *line,
	struct sl_cli_match *match, char *error, size_t error_len);

/** What could stand at the end of a line. */
struct sl_cli_choices {
	char **words; /**< As they would be typed, sorted, no two alike. */
	size_t nb_words;
	char *hint; /**< What else: "WEIGHT: a whole number from 1 to 65535"; or NULL. */
};

/** Adds the names of the appliance's objects of a type; @p destination for its backends. */
typedef void (*sl_cli_names_t)(
	void *arg, enum sl_cli_type type, const char *destination, struct sl_cli_choices *choices);

/** @return 0 or -ENOMEM; free with sl_cli_choices_free() */
int sl_cli_grammar_complete(struct sl_cli_grammar *grammar, const char *line, sl_cli_names_t names,
	void *arg, struct sl_cli_choices *choices);

/** Add a copy of @p word. */
void sl_cli_choices_add(struct sl_cli_choices *choices, const char *word, size_t len);
void sl_cli_choices_free(struct sl_cli_choices *choices);

/** The value of argument @p name. @return NULL when it was not given */
const struct sl_cli_value *sl_cli_match_find(const struct sl_cli_match *match, const char *name);

/** A syntax as people read it: "add backend DESTINATION NAME [weight WEIGHT]". Caller's to free. */
char *sl_cli_syntax_text(const char *syntax);

/** Calls @p each with every value of a syntax, for the manual. */
void sl_cli_grammar_each_arg(struct sl_cli_grammar *grammar, const struct sl_cli_command *command,
	void (*each)(void *arg, const struct sl_cli_arg *value), void *arg);

/** @name What the parts of the grammar share. @{ */

struct sl_cli_inst;

struct sl_cli_token {
	struct cmdline_token_hdr hdr; /**< First: rte_cmdline knows no more of it. */
	const struct sl_cli_arg *arg;
	const struct sl_cli_command *command;
};

struct sl_cli_inst {
	struct sl_cli_grammar *grammar;
	const struct sl_cli_command *command;
	unsigned int nb_tokens;
	struct sl_cli_token tokens[SL_CLI_TOKENS_MAX];
	cmdline_parse_inst_t *inst;
};

struct sl_cli_grammar {
	const struct sl_cli_command *commands;
	struct sl_cli_inst **insts;
	size_t nb_insts;
	cmdline_parse_ctx_t *ctx; /**< nb_insts, and NULL */
	struct cmdline *cmdline;
	void **blocks; /**< What was allocated for arguments. */
	size_t nb_blocks;
	char *line;		    /**< The last one read, as rte_cmdline wants it. */
	struct sl_cli_match *match; /**< Filled by the instruction that rte_cmdline found. */
};

/** Memory that lives as long as the grammar, zeroed. */
void *sl_cli_grammar_alloc(struct sl_cli_grammar *grammar, size_t size);

struct sl_cli_seq {
	unsigned int nb_args;
	const struct sl_cli_arg *args[SL_CLI_TOKENS_MAX];
};

struct sl_cli_seqs {
	size_t nb_seqs;
	struct sl_cli_seq *seqs;
};

/** Expand a syntax. @return 0, -EINVAL, -E2BIG, -ENOMEM; free seqs->seqs in any case */
int
sl_cli_syntax_expand(struct sl_cli_grammar *grammar, const char *syntax, struct sl_cli_seqs *seqs);

/** The functions of our tokens. */
extern struct cmdline_token_ops sl_cli_token_ops;

/**
 * How many tokens of an instruction fit the beginning of a line.
 * @param end        where the words to look at end; NULL: at the line's end
 * @param[out] rest  behind the last word that fits and the blanks that follow
 */
unsigned int
sl_cli_inst_match(struct sl_cli_inst *inst, const char *line, const char *end, const char **rest);

/** The argument that a token stands for at this place: that of the pair's word before it. */
const struct sl_cli_arg *sl_cli_token_arg(const struct sl_cli_arg *arg, const char *at);

/** The length of the word at @p text. */
size_t sl_cli_word_len(const char *text);

/** Does a word do as the value? */
bool sl_cli_value_fits(const struct sl_cli_arg *arg, const char *word, size_t len);

/** "a whole number from 1 to 8" */
void sl_cli_value_expected(const struct sl_cli_arg *arg, char *text, size_t text_len);

/** Say what is wrong with a line that no instruction takes. */
void sl_cli_explain_error(
	struct sl_cli_grammar *grammar, const char *line, char *error, size_t error_len);

/** The word that was most likely meant, or NULL. */
const char *
sl_cli_choices_nearest(const struct sl_cli_choices *choices, const char *word, size_t len);
/** @} */

/** @name Names in lines: %XX stands for what a line cannot have in a word. @{ */

/** @return the length, or -EINVAL when @p out is too small or the name has a NUL */
int sl_cli_decode(const char *word, size_t len, char *out, size_t out_len);

/** @return 0 or -EINVAL when @p out is too small; 3 bytes a byte and one are enough */
int sl_cli_encode(const char *name, char *out, size_t out_len);
/** @} */

#endif /* GRAMMAR_H */
