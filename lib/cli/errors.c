/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* What is wrong with a line: where it stops to fit, and what could have stood there. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grammar.h"

#define WORD_MAX 64 /* Of longer ones nothing is guessed. */

struct fault {
	const char *line;
	const char *at; /* The first word that fits nowhere; the line's end when one is missing. */
	size_t len;	/* Of that word. */
	struct sl_cli_choices choices;	/* Words that could have stood there. */
	const struct sl_cli_arg *value; /* A value that could have. */
};

/* Edits from one word to the other: Levenshtein's. */
static unsigned int
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned int row[WORD_MAX + 1];

	if (a_len > WORD_MAX || b_len > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned int best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_len];
}

const char *
sl_cli_choices_nearest(const struct sl_cli_choices *choices, const char *word, size_t len)
{
	unsigned int best = len < 3 ? 2 : 3, d;
	const char *nearest = NULL;

	for (size_t i = 0; i < choices->nb_words; i++) {
		const char *choice = choices->words[i];

		/* A word that was not finished was meant more likely than one mistyped. */
		if (strncmp(choice, word, len) == 0)
			return choice;
		d = distance(choice, strlen(choice), word, len);
		if (d < best) {
			best = d;
			nearest = choice;
		}
	}
	return nearest;
}

/* The furthest that any instruction gets, and what those that get there would take next. */
static void
find_fault(struct sl_cli_grammar *grammar, struct fault *fault)
{
	const char *rest;
	char *known;

	fault->at = fault->line;
	for (size_t i = 0; i < grammar->nb_insts; i++) {
		sl_cli_inst_match(grammar->insts[i], fault->line, NULL, &rest);
		if (rest > fault->at)
			fault->at = rest;
	}
	fault->len = sl_cli_word_len(fault->at);
	for (size_t i = 0; i < grammar->nb_insts; i++) {
		struct sl_cli_inst *inst = grammar->insts[i];
		unsigned int n = sl_cli_inst_match(inst, fault->line, NULL, &rest);
		const struct sl_cli_arg *arg;

		if (rest != fault->at || n == inst->nb_tokens)
			continue;
		arg = sl_cli_token_arg(inst->tokens[n].arg, fault->at);
		if (arg->type != SL_CLI_WORD && arg->type != SL_CLI_KEY && fault->value == NULL)
			fault->value = arg;
	}
	/* With a blank: the words that follow are asked for, not the ends of the last. */
	if (asprintf(&known, "%.*s ", (int)(fault->at - fault->line), fault->line) < 0)
		return;
	sl_cli_grammar_complete(grammar, known, NULL, NULL, &fault->choices);
	free(known);
}

/* "a, b, VALUE" */
static void
write_choices(FILE *out, const struct fault *fault)
{
	const char *between = "";

	for (size_t i = 0; i < fault->choices.nb_words; i++) {
		fprintf(out, "%s%s", between, fault->choices.words[i]);
		between = ", ";
	}
	if (fault->value != NULL && fault->value->type != SL_CLI_CHOICE)
		fprintf(out, "%s%s", between, fault->value->name);
}

/* The part of the line that fits, without blanks behind it. */
static int
known_len(const struct fault *fault)
{
	int len = (int)(fault->at - fault->line);

	while (len > 0 && (fault->line[len - 1] == ' ' || fault->line[len - 1] == '\t'))
		len--;
	return len;
}

static void
write_unknown(FILE *out, const struct fault *fault)
{
	const char *nearest = sl_cli_choices_nearest(&fault->choices, fault->at, fault->len);
	int known = known_len(fault);

	fprintf(out, "%.*s: ", (int)(fault->at + fault->len - fault->line), fault->line);
	if (fault->choices.nb_words == 0) {
		fprintf(out, "nothing follows after %.*s", known, fault->line);
		return;
	}
	fprintf(out, "no such %s", known == 0 ? "command" : "word");
	if (known == 0)
		fprintf(out, "; there are: ");
	else
		fprintf(out, "; after %.*s: ", known, fault->line);
	write_choices(out, fault);
	if (fault->value != NULL && fault->value->type != SL_CLI_CHOICE) {
		char expected[256];

		sl_cli_value_expected(fault->value, expected, sizeof(expected));
		fprintf(out, " (%s)", expected);
	}
	if (nearest != NULL)
		fprintf(out, "; did you mean %s?", nearest);
}

void
sl_cli_explain_error(
	struct sl_cli_grammar *grammar, const char *line, char *error, size_t error_len)
{
	struct fault fault = {.line = line};
	char expected[256];
	FILE *out;

	error[0] = '\0';
	find_fault(grammar, &fault);
	out = fmemopen(error, error_len, "w");
	if (out != NULL) {
		if (fault.len == 0) {
			fprintf(out, "%s: not complete; next: ", line);
			write_choices(out, &fault);
			if (fault.value != NULL && fault.choices.nb_words == 0) {
				sl_cli_value_expected(fault.value, expected, sizeof(expected));
				fprintf(out, ", %s", expected);
			}
		} else if (fault.value != NULL &&
			(fault.choices.nb_words == 0 || fault.value->type == SL_CLI_CHOICE ||
				fault.value->type == SL_CLI_PORT_OR_ALL)) {
			sl_cli_value_expected(fault.value, expected, sizeof(expected));
			fprintf(out, "%.*s: %s: %.*s does not do; give %s", known_len(&fault), line,
				fault.value->name, (int)fault.len, fault.at, expected);
		} else {
			write_unknown(out, &fault);
		}
		fclose(out);
		error[error_len - 1] = '\0';
	}
	sl_cli_choices_free(&fault.choices);
}
