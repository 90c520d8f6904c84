/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* A syntax string, read by descent, expanded as it is read. */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grammar.h"

/* More flat sequences of one command than this are a mistake in the table. */
#define SEQS_MAX 512

struct reader {
	struct sl_cli_grammar *grammar;
	const char *at;
	struct sl_cli_pairs *pairs; /* Of the braces we are in. */
};

static const struct {
	const char *name;
	enum sl_cli_type type;
} types[] = {
	{"uint", SL_CLI_UINT},
	{"seconds", SL_CLI_SECONDS},
	{"address", SL_CLI_ADDRESS},
	{"id", SL_CLI_ID},
	{"file", SL_CLI_FILE},
	{"name", SL_CLI_NAME},
	{"destination", SL_CLI_DESTINATION},
	{"backend", SL_CLI_BACKEND},
	{"port", SL_CLI_PORT},
	{"port-or-all", SL_CLI_PORT_OR_ALL},
	{"class", SL_CLI_CLASS},
	{"level", SL_CLI_LEVEL},
	{"help", SL_CLI_HELP},
};

void *
sl_cli_grammar_alloc(struct sl_cli_grammar *grammar, size_t size)
{
	void **blocks = realloc(
		grammar->blocks, (grammar->nb_blocks + 1) * sizeof(grammar->blocks[0]));
	void *block;

	if (blocks == NULL)
		return NULL;
	grammar->blocks = blocks;
	block = calloc(1, size);
	if (block != NULL)
		grammar->blocks[grammar->nb_blocks++] = block;
	return block;
}

static char *
copy(struct sl_cli_grammar *grammar, const char *text, size_t len)
{
	char *block = sl_cli_grammar_alloc(grammar, len + 1);

	return block == NULL ? NULL : memcpy(block, text, len);
}

static void
skip_blanks(struct reader *reader)
{
	while (*reader->at == ' ')
		reader->at++;
}

static int
append(struct sl_cli_seqs *seqs, const struct sl_cli_seq *seq)
{
	struct sl_cli_seq *grown;

	if (seqs->nb_seqs == SEQS_MAX)
		return -E2BIG;
	grown = realloc(seqs->seqs, (seqs->nb_seqs + 1) * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	seqs->seqs = grown;
	seqs->seqs[seqs->nb_seqs++] = *seq;
	return 0;
}

/* Every sequence so far, followed by every one of @more. */
static int
multiply(struct sl_cli_seqs *seqs, const struct sl_cli_seqs *more)
{
	struct sl_cli_seqs product = {0};
	int rc = 0;

	for (size_t i = 0; i < seqs->nb_seqs && rc == 0; i++) {
		for (size_t j = 0; j < more->nb_seqs && rc == 0; j++) {
			struct sl_cli_seq seq = seqs->seqs[i];

			if (seq.nb_args + more->seqs[j].nb_args > SL_CLI_TOKENS_MAX) {
				rc = -E2BIG;
				break;
			}
			memcpy(&seq.args[seq.nb_args], more->seqs[j].args,
				more->seqs[j].nb_args * sizeof(seq.args[0]));
			seq.nb_args += more->seqs[j].nb_args;
			rc = append(&product, &seq);
		}
	}
	free(seqs->seqs);
	*seqs = product;
	return rc;
}

static int
read_range(const char *text, struct sl_cli_arg *arg)
{
	unsigned long long min, max;
	int end = 0;

	if (sscanf(text, "(%llu..%llu)%n", &min, &max, &end) != 2 || end == 0 || min > max)
		return -EINVAL;
	arg->min = min;
	arg->max = max;
	return 0;
}

static int
read_type(struct sl_cli_grammar *grammar, const char *text, size_t len, struct sl_cli_arg *arg)
{
	size_t word = strcspn(text, "(=>|");

	if (word < len && text[word] == '|') {
		arg->type = SL_CLI_CHOICE;
		arg->text = copy(grammar, text, len);
		return arg->text == NULL ? -ENOMEM : 0;
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strlen(types[i].name) == word && strncmp(types[i].name, text, word) == 0) {
			arg->type = types[i].type;
			return arg->type == SL_CLI_UINT ? read_range(text + word, arg) : 0;
		}
	}
	return -EINVAL;
}

/* <NAME:type=key> */
static int
read_value(struct reader *reader, struct sl_cli_arg **out)
{
	const char *name = reader->at + 1, *end = strchr(name, '>'), *colon, *key;
	struct sl_cli_arg *arg = sl_cli_grammar_alloc(reader->grammar, sizeof(*arg));

	if (arg == NULL)
		return -ENOMEM;
	colon = end == NULL ? NULL : memchr(name, ':', (size_t)(end - name));
	if (colon == NULL || colon == name)
		return -EINVAL;
	arg->name = copy(reader->grammar, name, (size_t)(colon - name));
	key = memchr(colon, '=', (size_t)(end - colon));
	if (key != NULL) {
		arg->setting = copy(reader->grammar, key + 1, (size_t)(end - key - 1));
		if (arg->setting == NULL)
			return -ENOMEM;
	}
	if (arg->name == NULL)
		return -ENOMEM;
	reader->at = end + 1;
	*out = arg;
	return read_type(
		reader->grammar, colon + 1, (size_t)((key != NULL ? key : end) - colon - 1), arg);
}

static int
read_word(struct reader *reader, struct sl_cli_arg **out)
{
	struct sl_cli_arg *arg = sl_cli_grammar_alloc(reader->grammar, sizeof(*arg));
	size_t len = 0;

	while (islower((unsigned char)reader->at[len]) || isdigit((unsigned char)reader->at[len]) ||
		reader->at[len] == '-')
		len++;
	if (len == 0)
		return -EINVAL;
	if (arg == NULL)
		return -ENOMEM;
	arg->type = SL_CLI_WORD;
	arg->text = copy(reader->grammar, reader->at, len);
	reader->at += len;
	*out = arg;
	return arg->text == NULL ? -ENOMEM : 0;
}

static int
read_pair(struct reader *reader, struct sl_cli_pairs *pairs)
{
	struct sl_cli_arg *word, *value;
	bool is_required = *reader->at == '!';
	int rc;

	if (pairs->nb_pairs == SL_CLI_PAIRS_MAX)
		return -E2BIG;
	if (is_required)
		reader->at++;
	rc = read_word(reader, &word);
	if (rc != 0)
		return rc;
	skip_blanks(reader);
	if (*reader->at != '<')
		return -EINVAL;
	rc = read_value(reader, &value);
	if (rc != 0)
		return rc;
	value->is_required = is_required;
	pairs->words[pairs->nb_pairs] = word;
	pairs->values[pairs->nb_pairs++] = value;
	skip_blanks(reader);
	if (*reader->at == ',')
		reader->at++;
	return 0;
}

/*
 * { ... }: n pairs in any order would be more than n! sequences. So a pair's word is one token, and
 * its value another that looks back at the word: n + 1 sequences, from no pair to n.
 */
static int
read_pairs(struct reader *reader, struct sl_cli_seqs *out)
{
	struct sl_cli_pairs *pairs = sl_cli_grammar_alloc(reader->grammar, sizeof(*pairs));
	struct sl_cli_arg *key = sl_cli_grammar_alloc(reader->grammar, sizeof(*key));
	struct sl_cli_arg *value = sl_cli_grammar_alloc(reader->grammar, sizeof(*value));
	struct sl_cli_seq seq = {0};
	int rc = 0;

	if (pairs == NULL || key == NULL || value == NULL)
		return -ENOMEM;
	for (reader->at++; rc == 0; rc = read_pair(reader, pairs)) {
		skip_blanks(reader);
		if (*reader->at == '}' || *reader->at == '\0')
			break;
	}
	if (rc == 0 && (*reader->at != '}' || pairs->nb_pairs == 0))
		rc = -EINVAL;
	if (rc != 0)
		return rc;
	reader->at++;
	*key = (struct sl_cli_arg){.type = SL_CLI_KEY, .pairs = pairs};
	*value = (struct sl_cli_arg){.type = SL_CLI_VALUE, .pairs = pairs};
	rc = append(out, &seq);
	for (unsigned int i = 0; i < pairs->nb_pairs && rc == 0; i++) {
		if (seq.nb_args + 2 > SL_CLI_TOKENS_MAX)
			return -E2BIG;
		seq.args[seq.nb_args++] = key;
		seq.args[seq.nb_args++] = value;
		rc = append(out, &seq);
	}
	return rc;
}

static int read_alternatives(struct reader *reader, char close, struct sl_cli_seqs *out);

static int
read_item(struct reader *reader, struct sl_cli_seqs *out)
{
	struct sl_cli_seq empty = {0}, seq = {.nb_args = 1};
	struct sl_cli_arg *arg = NULL;
	int rc;

	switch (*reader->at) {
	case '{':
		return read_pairs(reader, out);
	case '(':
		reader->at++;
		return read_alternatives(reader, ')', out);
	case '[':
		reader->at++;
		rc = append(out, &empty);
		return rc != 0 ? rc : read_alternatives(reader, ']', out);
	case '<':
		rc = read_value(reader, &arg);
		break;
	default:
		rc = read_word(reader, &arg);
		break;
	}
	seq.args[0] = arg;
	return rc != 0 ? rc : append(out, &seq);
}

/* Up to @close or a '|', which is left. */
static int
read_sequence(struct reader *reader, char close, struct sl_cli_seqs *out)
{
	struct sl_cli_seqs seqs = {0}, item;
	struct sl_cli_seq empty = {0};
	int rc = append(&seqs, &empty);

	for (skip_blanks(reader); rc == 0 && *reader->at != close && *reader->at != '|';
		skip_blanks(reader)) {
		item = (struct sl_cli_seqs){0};
		rc = *reader->at == '\0' ? -EINVAL : read_item(reader, &item);
		if (rc == 0)
			rc = multiply(&seqs, &item);
		free(item.seqs);
	}
	for (size_t i = 0; i < seqs.nb_seqs && rc == 0; i++)
		rc = append(out, &seqs.seqs[i]);
	free(seqs.seqs);
	return rc;
}

static int
read_alternatives(struct reader *reader, char close, struct sl_cli_seqs *out)
{
	int rc;

	do {
		rc = read_sequence(reader, close, out);
	} while (rc == 0 && *reader->at == '|' && reader->at++);
	if (rc == 0 && *reader->at != close)
		rc = -EINVAL;
	if (rc == 0 && close != '\0')
		reader->at++;
	return rc;
}

int
sl_cli_syntax_expand(struct sl_cli_grammar *grammar, const char *syntax, struct sl_cli_seqs *seqs)
{
	struct reader reader = {.grammar = grammar, .at = syntax};

	memset(seqs, 0, sizeof(*seqs));
	return read_alternatives(&reader, '\0', seqs);
}

/* <NAME:...> becomes NAME, or its choice; of a pair in braces, brackets that say it is optional. */
char *
sl_cli_syntax_text(const char *syntax)
{
	size_t len = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);
	bool in_pairs = false, is_open = false;

	if (out == NULL)
		return NULL;
	for (const char *at = syntax; *at != '\0'; at++) {
		const char *end = at + strcspn(at, ">"), *colon = at + strcspn(at, ":");

		if (*at == '<') {
			const char *stop = colon + 1 + strcspn(colon + 1, "=>");
			bool is_choice = memchr(colon, '|', (size_t)(stop - colon)) != NULL &&
				(size_t)(stop - colon) <= SL_CLI_CHOICE_SHORT;

			fprintf(out, "%.*s", (int)(is_choice ? stop - colon - 1 : colon - at - 1),
				is_choice ? colon + 1 : at + 1);
			at = end;
			if (in_pairs && is_open)
				fputc(']', out);
			is_open = false;
		} else if (*at == '{' || *at == '}') {
			in_pairs = *at == '{';
		} else if (*at == '!') {
			continue;
		} else if (*at == ',') {
			continue;
		} else {
			if (in_pairs && *at != ' ' && (at[-1] == ' ' || at[-1] == '{')) {
				fputc('[', out);
				is_open = true;
			}
			fputc(*at, out);
		}
	}
	fclose(out);
	return text;
}
