/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Our tokens, as rte_cmdline and our own errors and completion try them. */

#include <stdio.h>
#include <string.h>

#include "grammar.h"

size_t
sl_cli_word_len(const char *text)
{
	size_t len = 0;

	while (!cmdline_isendoftoken(text[len]))
		len++;
	return len;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * The word before a pair's value is in the same line: a value never is the first token, and is
 * looked at only when the one before it has fitted.
 */
const struct sl_cli_arg *
sl_cli_token_arg(const struct sl_cli_arg *arg, const char *at)
{
	const char *end = at - 1, *word;
	size_t len;

	if (arg->type != SL_CLI_VALUE)
		return arg;
	while (is_blank(*end))
		end--;
	for (word = end; !is_blank(word[-1]); word--)
		;
	len = (size_t)(end - word) + 1;
	for (unsigned int i = 0; i < arg->pairs->nb_pairs; i++) {
		if (sl_cli_value_fits(arg->pairs->words[i], word, len))
			return arg->pairs->values[i];
	}
	return arg;
}

static bool
is_word(const char *word, size_t len, const char *text)
{
	return strlen(text) == len && strncmp(word, text, len) == 0;
}

static int
parse_token(cmdline_parse_token_hdr_t *hdr, const char *text, void *result, unsigned int size)
{
	const struct sl_cli_token *token = (const struct sl_cli_token *)(void *)hdr;
	const struct sl_cli_arg *arg;
	size_t len = sl_cli_word_len(text);

	if (len == 0)
		return -1;
	arg = sl_cli_token_arg(token->arg, text);
	if (!sl_cli_value_fits(arg, text, len))
		return -1;
	/* Where rates can be asked for, "rate" is no name; who has such a name writes %72ate. */
	if (arg->type != SL_CLI_WORD && token->command->has_rates && is_word(text, len, "rate"))
		return -1;
	if (result != NULL) {
		const struct sl_cli_value value = {.text = text, .len = len};

		if (size < sizeof(value))
			return -1;
		memcpy(result, &value, sizeof(value));
	}
	return (int)len;
}

static int
get_help(cmdline_parse_token_hdr_t *hdr, char *text, unsigned int size)
{
	const struct sl_cli_token *token = (const struct sl_cli_token *)(void *)hdr;

	sl_cli_value_expected(token->arg, text, size);
	return 0;
}

struct cmdline_token_ops sl_cli_token_ops = {
	.parse = parse_token,
	.get_help = get_help,
};

unsigned int
sl_cli_inst_match(struct sl_cli_inst *inst, const char *line, const char *end, const char **rest)
{
	unsigned int i;
	int len;

	while (is_blank(*line))
		line++;
	for (i = 0; i < inst->nb_tokens && (end == NULL || line < end); i++) {
		len = parse_token(&inst->tokens[i].hdr, line, NULL, 0);
		if (len < 0)
			break;
		line += len;
		while (is_blank(*line))
			line++;
	}
	*rest = line;
	return i;
}
