/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * What could stand at the end of a line. cmdline_complete() would tell a word as many times as
 * there are instructions that have it, and cuts names at 63 bytes; so the tokens are asked here.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grammar.h"

struct completion {
	const char *line;
	const char *word; /* What there is of the last one. */
	bool only_words;  /* After "help". */
	sl_cli_names_t names;
	void *names_arg;
	struct sl_cli_choices *choices;
};

void
sl_cli_choices_add(struct sl_cli_choices *choices, const char *word, size_t len)
{
	char **words;

	/* By powers of two. */
	if ((choices->nb_words & (choices->nb_words - 1)) == 0) {
		words = realloc(choices->words,
			(choices->nb_words == 0 ? 1 : 2 * choices->nb_words) * sizeof(words[0]));
		if (words == NULL)
			return;
		choices->words = words;
	}
	choices->words[choices->nb_words] = strndup(word, len);
	choices->nb_words += choices->words[choices->nb_words] != NULL;
}

void
sl_cli_choices_free(struct sl_cli_choices *choices)
{
	for (size_t i = 0; i < choices->nb_words; i++)
		free(choices->words[i]);
	free(choices->words);
	free(choices->hint);
	memset(choices, 0, sizeof(*choices));
}

static void
add_hint(struct sl_cli_choices *choices, const struct sl_cli_arg *arg)
{
	char text[256];

	if (choices->hint != NULL || arg->name == NULL)
		return;
	sl_cli_value_expected(arg, text, sizeof(text));
	if (asprintf(&choices->hint, "%s: %s", arg->name, text) < 0)
		choices->hint = NULL;
}

static void
add_choices(struct sl_cli_choices *choices, const char *list)
{
	for (const char *at = list; *at != '\0';) {
		size_t len = strcspn(at, "|");

		sl_cli_choices_add(choices, at, len);
		at += len + (at[len] == '|');
	}
}

/* Has the word of a pair been said before? */
static bool
is_used(const struct completion *completion, const char *word)
{
	size_t len;

	for (const char *at = completion->line; at < completion->word; at += len) {
		at += strspn(at, " \t");
		len = sl_cli_word_len(at);
		if (len == 0 || at >= completion->word)
			return false;
		if (len == strlen(word) && strncmp(at, word, len) == 0)
			return true;
	}
	return false;
}

static void
add_keys(const struct completion *completion, const struct sl_cli_pairs *pairs)
{
	for (unsigned int i = 0; i < pairs->nb_pairs; i++) {
		const char *word = pairs->words[i]->text;

		if (!is_used(completion, word))
			sl_cli_choices_add(completion->choices, word, strlen(word));
	}
}

/* The destination that stands before a backend. */
static void
find_destination(const struct sl_cli_inst *inst, const char *line, char *name, size_t name_len)
{
	name[0] = '\0';
	for (unsigned int i = 0; i < inst->nb_tokens && *line != '\0'; i++) {
		size_t len = sl_cli_word_len(line);

		if (inst->tokens[i].arg->type == SL_CLI_DESTINATION)
			sl_cli_decode(line, len, name, name_len);
		line += len;
		line += strspn(line, " \t");
	}
}

static void
add_names(const struct completion *completion, const struct sl_cli_inst *inst,
	const struct sl_cli_arg *arg)
{
	char destination[256];

	if (arg->type == SL_CLI_PORT_OR_ALL)
		sl_cli_choices_add(completion->choices, "all", 3);
	add_hint(completion->choices, arg);
	if (completion->names == NULL)
		return;
	find_destination(inst, completion->line, destination, sizeof(destination));
	completion->names(completion->names_arg, arg->type, destination, completion->choices);
}

static void
add_token(const struct completion *completion, const struct sl_cli_inst *inst,
	const struct sl_cli_arg *arg)
{
	arg = sl_cli_token_arg(arg, completion->word);
	if (completion->only_words && arg->type != SL_CLI_WORD)
		return;
	switch (arg->type) {
	case SL_CLI_WORD:
		sl_cli_choices_add(completion->choices, arg->text, strlen(arg->text));
		break;
	case SL_CLI_CHOICE:
		add_choices(completion->choices, arg->text);
		break;
	case SL_CLI_KEY:
		add_keys(completion, arg->pairs);
		break;
	case SL_CLI_DESTINATION:
	case SL_CLI_BACKEND:
	case SL_CLI_PORT:
	case SL_CLI_PORT_OR_ALL:
	case SL_CLI_CLASS:
	case SL_CLI_LEVEL:
		add_names(completion, inst, arg);
		break;
	default:
		add_hint(completion->choices, arg);
		break;
	}
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Only those that begin like the word, in order, each once. */
static void
tidy(struct sl_cli_choices *choices, const char *word)
{
	size_t len = strlen(word), n = 0;

	if (choices->nb_words == 0)
		return;
	qsort(choices->words, choices->nb_words, sizeof(choices->words[0]), compare);
	for (size_t i = 0; i < choices->nb_words; i++) {
		if (strncmp(choices->words[i], word, len) != 0 ||
			(n > 0 && strcmp(choices->words[i], choices->words[n - 1]) == 0))
			free(choices->words[i]);
		else
			choices->words[n++] = choices->words[i];
	}
	choices->nb_words = n;
}

int
sl_cli_grammar_complete(struct sl_cli_grammar *grammar, const char *line, sl_cli_names_t names,
	void *arg, struct sl_cli_choices *choices)
{
	struct completion completion = {.names = names, .names_arg = arg, .choices = choices};
	const char *rest;

	memset(choices, 0, sizeof(*choices));
	line += strspn(line, " \t");
	if (strncmp(line, "help ", 5) == 0) {
		completion.only_words = true;
		line += 5 + strspn(line + 5, " \t");
	}
	completion.line = line;
	completion.word = line + strlen(line);
	while (completion.word > line && completion.word[-1] != ' ' && completion.word[-1] != '\t')
		completion.word--;
	for (size_t i = 0; i < grammar->nb_insts; i++) {
		struct sl_cli_inst *inst = grammar->insts[i];
		unsigned int n = sl_cli_inst_match(inst, line, completion.word, &rest);

		if (rest == completion.word && n < inst->nb_tokens)
			add_token(&completion, inst, inst->tokens[n].arg);
	}
	tidy(choices, completion.word);
	return 0;
}
