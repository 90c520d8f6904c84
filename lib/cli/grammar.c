/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grammar.h"

_Static_assert(SL_CLI_TOKENS_MAX * sizeof(struct sl_cli_value) <= CMDLINE_PARSE_RESULT_BUFSIZE,
	"a line's values have to fit rte_cmdline's result");

/* rte_cmdline has found the instruction of a line. */
static void
on_match(void *result, struct cmdline *cmdline, void *data)
{
	const struct sl_cli_inst *inst = data;
	struct sl_cli_match *match = inst->grammar->match;
	const struct sl_cli_value *values = result;

	(void)cmdline;
	match->command = inst->command;
	match->nb_values = inst->nb_tokens;
	for (unsigned int i = 0; i < inst->nb_tokens; i++) {
		match->values[i].value = values[i];
		match->values[i].arg = sl_cli_token_arg(inst->tokens[i].arg, values[i].text);
	}
}

static int
add_inst(struct sl_cli_grammar *grammar, const struct sl_cli_command *command,
	const struct sl_cli_seq *seq)
{
	struct sl_cli_inst *inst = sl_cli_grammar_alloc(grammar, sizeof(*inst));
	cmdline_parse_inst_t *parse = sl_cli_grammar_alloc(
		grammar, sizeof(*parse) + (SL_CLI_TOKENS_MAX + 1) * sizeof(parse->tokens[0]));
	struct sl_cli_inst **insts = realloc(
		grammar->insts, (grammar->nb_insts + 1) * sizeof(insts[0]));

	if (insts != NULL)
		grammar->insts = insts;
	if (inst == NULL || parse == NULL || insts == NULL)
		return -ENOMEM;
	*inst = (struct sl_cli_inst){
		.grammar = grammar, .command = command, .nb_tokens = seq->nb_args, .inst = parse};
	for (unsigned int i = 0; i < seq->nb_args; i++) {
		inst->tokens[i] = (struct sl_cli_token){
			.hdr = {.ops = &sl_cli_token_ops,
				.offset = i * (unsigned int)sizeof(struct sl_cli_value)},
			.arg = seq->args[i],
			.command = command,
		};
		parse->tokens[i] = &inst->tokens[i].hdr;
	}
	parse->f = on_match;
	parse->data = inst;
	parse->help_str = command->help;
	grammar->insts[grammar->nb_insts++] = inst;
	return 0;
}

static int
add_command(struct sl_cli_grammar *grammar, const struct sl_cli_command *command)
{
	struct sl_cli_seqs seqs;
	char *syntax;
	int rc;

	if (asprintf(&syntax, "%s %s", command->syntax,
		    command->has_rates ? SL_CLI_RATE_SYNTAX : "") < 0)
		return -ENOMEM;
	rc = sl_cli_syntax_expand(grammar, syntax, &seqs);
	for (size_t i = 0; i < seqs.nb_seqs && rc == 0; i++)
		rc = add_inst(grammar, command, &seqs.seqs[i]);
	free(seqs.seqs);
	free(syntax);
	return rc;
}

static int
make_cmdline(struct sl_cli_grammar *grammar)
{
	grammar->ctx = calloc(grammar->nb_insts + 1, sizeof(grammar->ctx[0]));
	if (grammar->ctx == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < grammar->nb_insts; i++)
		grammar->ctx[i] = grammar->insts[i]->inst;
	grammar->cmdline = cmdline_new(grammar->ctx, "", -1, -1);
	return grammar->cmdline == NULL ? -ENOMEM : 0;
}

int
sl_cli_grammar_create(const struct sl_cli_command *commands, struct sl_cli_grammar **out,
	char *error, size_t error_len)
{
	struct sl_cli_grammar *grammar = calloc(1, sizeof(*grammar));
	int rc = grammar == NULL ? -ENOMEM : 0;

	if (rc != 0)
		return rc;
	grammar->commands = commands;
	for (; commands->syntax != NULL && rc == 0; commands++) {
		rc = add_command(grammar, commands);
		if (rc != 0)
			snprintf(error, error_len, "%s: not a syntax: %s", commands->syntax,
				strerror(-rc));
	}
	if (rc == 0)
		rc = make_cmdline(grammar);
	if (rc != 0) {
		sl_cli_grammar_destroy(grammar);
		return rc;
	}
	*out = grammar;
	return 0;
}

void
sl_cli_grammar_destroy(struct sl_cli_grammar *grammar)
{
	if (grammar == NULL)
		return;
	/* Without files of its own cmdline_free() has nothing to close. */
	cmdline_free(grammar->cmdline);
	for (size_t i = 0; i < grammar->nb_blocks; i++)
		free(grammar->blocks[i]);
	free(grammar->blocks);
	free(grammar->insts);
	free(grammar->ctx);
	free(grammar->line);
	free(grammar);
}

/* Every pair at most once, and those that have to be there. */
static int
check_pairs(const struct sl_cli_grammar *grammar, const struct sl_cli_match *match, char *error,
	size_t error_len)
{
	const struct sl_cli_pairs *pairs = NULL;

	for (unsigned int i = 0; i < match->nb_values; i++) {
		for (unsigned int j = 0; j < i; j++) {
			const struct sl_cli_value *word = &match->values[i - 1].value;

			if (match->values[i].arg != match->values[j].arg ||
				match->values[i].arg->pairs)
				continue;
			snprintf(error, error_len, "%s: %.*s is given twice; give it once",
				grammar->line, (int)word->len, word->text);
			return -EINVAL;
		}
	}
	for (size_t i = 0; i < grammar->nb_insts && pairs == NULL; i++) {
		const struct sl_cli_inst *inst = grammar->insts[i];

		for (unsigned int j = 0; j < inst->nb_tokens && inst->command == match->command;
			j++)
			if (inst->tokens[j].arg->type == SL_CLI_KEY)
				pairs = inst->tokens[j].arg->pairs;
	}
	for (unsigned int i = 0; pairs != NULL && i < pairs->nb_pairs; i++) {
		if (!pairs->values[i]->is_required ||
			sl_cli_match_find(match, pairs->values[i]->name) != NULL)
			continue;
		snprintf(error, error_len, "%s: %s is missing; add %s %s", grammar->line,
			pairs->words[i]->text, pairs->words[i]->text, pairs->values[i]->name);
		return -EINVAL;
	}
	return 0;
}

/* Without what rte_cmdline takes for a comment or does not look at. */
static char *
trimmed(const char *line)
{
	size_t len = strcspn(line, "#\r\n");
	char *copy;

	while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	while (len > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	copy = malloc(len + 2);
	if (copy != NULL) {
		memcpy(copy, line, len);
		copy[len] = '\0';
	}
	return copy;
}

int
sl_cli_grammar_parse(struct sl_cli_grammar *grammar, const char *line, struct sl_cli_match *match,
	char *error, size_t error_len)
{
	size_t len;

	free(grammar->line);
	grammar->line = trimmed(line);
	if (grammar->line == NULL) {
		snprintf(error, error_len, "no memory");
		return -ENOMEM;
	}
	len = strlen(grammar->line);
	if (len == 0)
		return -ENODATA;
	memset(match, 0, sizeof(*match));
	grammar->match = match;
	grammar->line[len] = '\n';
	grammar->line[len + 1] = '\0';
	cmdline_parse(grammar->cmdline, grammar->line);
	grammar->line[len] = '\0';
	if (match->command != NULL)
		return check_pairs(grammar, match, error, error_len);
	sl_cli_explain_error(grammar, grammar->line, error, error_len);
	return -EINVAL;
}

const struct sl_cli_value *
sl_cli_match_find(const struct sl_cli_match *match, const char *name)
{
	for (unsigned int i = 0; i < match->nb_values; i++) {
		const struct sl_cli_arg *arg = match->values[i].arg;

		if (arg->name != NULL && strcmp(arg->name, name) == 0)
			return &match->values[i].value;
	}
	return NULL;
}

void
sl_cli_grammar_each_arg(struct sl_cli_grammar *grammar, const struct sl_cli_command *command,
	void (*each)(void *arg, const struct sl_cli_arg *value), void *arg)
{
	const struct sl_cli_arg *seen[SL_CLI_TOKENS_MAX + SL_CLI_PAIRS_MAX];
	unsigned int nb_seen = 0;

	for (size_t i = 0; i < grammar->nb_insts; i++) {
		const struct sl_cli_inst *inst = grammar->insts[i];

		for (unsigned int j = 0; inst->command == command && j < inst->nb_tokens; j++) {
			const struct sl_cli_arg *one = inst->tokens[j].arg;
			const struct sl_cli_pairs *pairs = one->pairs;
			unsigned int k, nb = pairs == NULL ? 1 : pairs->nb_pairs;

			for (unsigned int n = 0; n < nb; n++) {
				one = pairs == NULL ? inst->tokens[j].arg : pairs->values[n];
				for (k = 0; k < nb_seen && seen[k] != one; k++)
					;
				if (one->name == NULL || k < nb_seen ||
					nb_seen == sizeof(seen) / sizeof(seen[0]))
					continue;
				seen[nb_seen++] = one;
				each(arg, one);
			}
		}
	}
}
