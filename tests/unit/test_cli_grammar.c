/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Syntax to instructions, lines to matches, wrong lines to words that help. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grammar.h"

static struct sl_cli_grammar *all;

static int
create_all(void **state)
{
	char error[256] = "";

	(void)state;
	if (sl_cli_grammar_create(sl_cli_commands, &all, error, sizeof(error)) == 0)
		return 0;
	print_error("%s\n", error);
	return -1;
}

static int
destroy_all(void **state)
{
	(void)state;
	sl_cli_grammar_destroy(all);
	return 0;
}

static void
assert_error(const char *line, const char *expected)
{
	struct sl_cli_match match;
	char error[1024] = "";

	assert_int_equal(sl_cli_grammar_parse(all, line, &match, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, expected);
}

static struct sl_cli_match
parse(const char *line)
{
	struct sl_cli_match match;
	char error[1024] = "";
	int rc = sl_cli_grammar_parse(all, line, &match, error, sizeof(error));

	if (rc != 0)
		print_error("%s\n", error);
	assert_int_equal(rc, 0);
	return match;
}

static void
assert_value(const struct sl_cli_match *match, const char *name, const char *expected)
{
	const struct sl_cli_value *value = sl_cli_match_find(match, name);

	assert_non_null(value);
	assert_int_equal(value->len, strlen(expected));
	assert_memory_equal(value->text, expected, value->len);
}

/* The number of sequences of a syntax. */
static size_t
expand(const char *syntax, int expected_rc)
{
	struct sl_cli_grammar grammar = {0};
	struct sl_cli_seqs seqs;
	size_t nb;

	assert_int_equal(sl_cli_syntax_expand(&grammar, syntax, &seqs), expected_rc);
	nb = seqs.nb_seqs;
	free(seqs.seqs);
	for (size_t i = 0; i < grammar.nb_blocks; i++)
		free(grammar.blocks[i]);
	free(grammar.blocks);
	return nb;
}

static void
test_syntax_is_expanded(void **state)
{
	(void)state;
	assert_int_equal(expand("a b", 0), 1);
	assert_int_equal(expand("a [b]", 0), 2);
	assert_int_equal(expand("a [b [<C:name>]] (d|e f|<G:uint(1..3)>)", 0), 9);
	assert_int_equal(expand("a {b <B:name>, !c <C:on|off=key>}", 0), 3);
}

static void
test_wrong_syntax_is_refused(void **state)
{
	static const char *const wrong[] = {"a [b", "a b]", "a (b|c", "a <B>", "a <B:nothing>",
		"a <B:uint>", "a <B:uint(3..1)>", "a {b}", "a {", "a {}", "a <B:name", "A"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		expand(wrong[i], -EINVAL);
	expand("[a][b][c][d][e][f][g][h][i][j]", -E2BIG);
}

static void
test_syntax_as_people_read_it(void **state)
{
	char *text = sl_cli_syntax_text(
		"add <A:name> {!to <T:name>, w <W:uint(1..2)=k>} [x (y|<Z:on|off=z>)]");

	(void)state;
	assert_string_equal(text, "add A to T [w W] [x (y|on|off)]");
	free(text);
}

static void
test_every_command_has_what_the_manual_needs(void **state)
{
	(void)state;
	for (const struct sl_cli_command *c = sl_cli_commands; c->syntax != NULL; c++) {
		struct sl_cli_match match = parse(c->example);

		assert_ptr_equal(match.command, c);
		assert_true(c->group[0] != '\0' && c->help[0] != '\0');
		assert_int_not_equal(c->help[strlen(c->help) - 1], '.');
	}
}

static void
test_values(void **state)
{
	struct sl_cli_match match;

	(void)state;
	match = parse("  add backend t%20one\tb1 2001:db8::1 9000 rate 0 weight 7  # to see\n");
	assert_value(&match, "DESTINATION", "t%20one");
	assert_value(&match, "ADDRESS", "2001:db8::1");
	assert_value(&match, "WEIGHT", "7");
	assert_value(&match, "RATE", "0");
	assert_null(sl_cli_match_find(&match, "STATE"));
	match = parse("show backends rate");
	assert_null(sl_cli_match_find(&match, "DESTINATION"));
	match = parse("show backends %72ate rate 0.5 count 3");
	assert_value(&match, "DESTINATION", "%72ate");
	assert_value(&match, "SECONDS", "0.5");
	assert_value(&match, "COUNT", "3");
}

static void
test_empty_lines(void **state)
{
	struct sl_cli_match match;
	char error[64];

	(void)state;
	assert_int_equal(sl_cli_grammar_parse(all, "", &match, error, sizeof(error)), -ENODATA);
	assert_int_equal(sl_cli_grammar_parse(all, " \t\r\n", &match, error, 64), -ENODATA);
	assert_int_equal(sl_cli_grammar_parse(all, " # stop", &match, error, 64), -ENODATA);
}

static void
test_wrong_words(void **state)
{
	(void)state;
	assert_error("show port inf net0",
		"show port inf: no such word; after show port: info, stats, xstats; did you mean "
		"info?");
	assert_error("strat",
		"strat: no such command; there are: add, capture, check, clear, del, exit, "
		"explain, help, journal, log, quit, reload, save, set, show, start, stop, "
		"subscribe, trace, unsubscribe; did you mean start?");
	assert_error("stop now", "stop now: nothing follows after stop");
	assert_error("show stats often", "show stats often: no such word; after show stats: rate");
}

static void
test_missing_words(void **state)
{
	(void)state;
	assert_error("show port", "show port: not complete; next: info, stats, xstats");
	assert_error("del destination",
		"del destination: not complete; next: DESTINATION, the name of a destination "
		"(1 to 63 bytes)");
	assert_error("clear stats", "clear stats: not complete; next: all, destination, port");
	assert_error("add rule type breakfast",
		"add rule type breakfast: class is missing; add class CLASS");
}

static void
test_wrong_values(void **state)
{
	(void)state;
	assert_error("set backend t b weight 0",
		"set backend t b weight: WEIGHT: 0 does not do; give a whole number from 1 to "
		"65535");
	assert_error("add backend t b 10.0.0.256 9000",
		"add backend t b: ADDRESS: 10.0.0.256 does not do; give an IPv4 or IPv6 address, "
		"for example 10.77.0.11");
	assert_error("set backend t b state redy",
		"set backend t b state: STATE: redy does not do; give ready, drain or "
		"maintenance");
	assert_error(
		"trace id 12", "trace id: ID: 12 does not do; give an id of 32 hexadecimal digits");
	assert_error("add destination d rate 5 rate 6",
		"add destination d rate 5 rate 6: rate is given twice; give it once");
	assert_error("add destination d rate much",
		"add destination d rate: RATE: much does not do; give a whole number from 0 to "
		"1000000000");
}

static void
test_garbage(void **state)
{
	struct sl_cli_match match;
	char error[128], line[5000];

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(sl_cli_grammar_parse(all, line, &match, error, sizeof(error)), -EINVAL);
	for (size_t i = 1; i < sizeof(line) - 1; i += 2)
		line[i] = ' ';
	assert_int_equal(sl_cli_grammar_parse(all, line, &match, error, sizeof(error)), -EINVAL);
	assert_int_equal(
		sl_cli_grammar_parse(all, "\xff\xfe %zz \x01", &match, error, sizeof(error)),
		-EINVAL);
}

static void
add_names(void *arg, enum sl_cli_type type, const char *destination, struct sl_cli_choices *choices)
{
	(void)arg;
	if (type == SL_CLI_BACKEND)
		sl_cli_choices_add(choices, destination, strlen(destination));
	if (type == SL_CLI_DESTINATION)
		sl_cli_choices_add(choices, "one%20two", 9);
}

static void
assert_choices(const char *line, const char *expected)
{
	struct sl_cli_choices choices;
	char text[512] = "";

	assert_int_equal(sl_cli_grammar_complete(all, line, add_names, NULL, &choices), 0);
	for (size_t i = 0; i < choices.nb_words; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
			i == 0 ? "" : " ", choices.words[i]);
	assert_string_equal(text, expected);
	sl_cli_choices_free(&choices);
}

static void
test_completion(void **state)
{
	(void)state;
	assert_choices("st", "start stop");
	assert_choices("show port ", "info stats xstats");
	assert_choices("show port info ", "all");
	assert_choices("set destination ", "one%20two");
	assert_choices("set backend t%20x ", "t x");
	assert_choices("set backend t b state ", "drain maintenance ready");
	assert_choices("add backend t b 10.0.0.1 9 weight 3 ", "rate state");
	assert_choices("add backend t b 10.0.0.1 9 state d", "drain");
	assert_choices("show stats ", "rate");
	assert_choices("help show port ", "info stats xstats");
	assert_choices("nothing ", "");
	assert_choices("log e", "event");
}

static void
test_names_in_lines(void **state)
{
	char word[64], name[64];

	(void)state;
	assert_int_equal(sl_cli_encode("a b#%\xc3\xa9", word, sizeof(word)), 0);
	assert_string_equal(word, "a%20b%23%25%c3%a9");
	assert_int_equal(sl_cli_decode(word, strlen(word), name, sizeof(name)), 7);
	assert_string_equal(name, "a b#%\xc3\xa9");
	assert_int_equal(sl_cli_decode("5%", 2, name, sizeof(name)), 2);
	assert_string_equal(name, "5%");
	assert_int_equal(sl_cli_decode("a%00", 4, name, sizeof(name)), -EINVAL);
	assert_int_equal(sl_cli_encode("abc", word, 3), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_syntax_is_expanded),
		cmocka_unit_test(test_wrong_syntax_is_refused),
		cmocka_unit_test(test_syntax_as_people_read_it),
		cmocka_unit_test(test_every_command_has_what_the_manual_needs),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_empty_lines),
		cmocka_unit_test(test_wrong_words),
		cmocka_unit_test(test_missing_words),
		cmocka_unit_test(test_wrong_values),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_completion),
		cmocka_unit_test(test_names_in_lines),
	};

	return cmocka_run_group_tests(tests, create_all, destroy_all);
}
