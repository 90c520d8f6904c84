/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Manual page, reference and completion, made of the tables. */

#include <stdlib.h>
#include <string.h>

#include "cli_internal.h"

const struct sl_cli_option sl_cli_options[] = {
	{"socket", 's', "PATH",
		"The appliance's control socket; else $SLUICE_SOCKET, else " SL_CLI_SOCKET},
	{"json", 'j', NULL, "Show JSON, one document a command; errors too"},
	{"file", 'f', "FILE", "Run the commands of FILE, one a line; - is standard input"},
	{"stop-at-error", 'e', NULL, "Of a batch: leave at the first command that fails"},
	{"timeout", 't', "SECONDS", "Wait so long for an answer (default 10)"},
	{"version", 'V', NULL, "Print the version and exit"},
	{"help", 'h', NULL, "Print the options and exit"},
	{"man", 0, NULL, "Write the manual page", .is_hidden = true},
	{"markdown", 0, NULL, "Write the reference", .is_hidden = true},
	{"bash-completion", 0, NULL, "Write the completion script", .is_hidden = true},
	{"examples", 0, NULL, "Write the example of every command", .is_hidden = true},
	{"complete", 0, "LINE", "Write what could follow", .is_hidden = true},
	{0},
};

static const struct {
	int code;
	const char *meaning;
} exit_codes[] = {
	{0, "All commands succeeded."},
	{1, "The appliance refused a command, or did not answer in time."},
	{2, "A line is no command, or an option is wrong."},
	{3, "No appliance listens at the socket, or it went away."},
};

/* Text of the manual: a '-' that is typed, a backslash, and a line that begins like a request. */
static void
troff(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text != '\0'; text++) {
		if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\\')
			fputs("\\e", out);
		else
			fputc(*text, out);
	}
}

/* Values in italics: what is in capitals. */
static void
troff_syntax(FILE *out, const char *syntax)
{
	for (const char *at = syntax; *at != '\0';) {
		size_t len = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

		if (len > 0) {
			fprintf(out, "\\fI%.*s\\fB", (int)len, at);
			at += len;
		} else {
			char one[2] = {*at++, '\0'};

			troff(out, one);
		}
	}
}

static char *
full_syntax(const struct sl_cli_command *command)
{
	char *syntax = sl_cli_syntax_text(command->syntax), *full = NULL;

	if (syntax != NULL &&
		asprintf(&full, "%s%s", syntax,
			command->has_rates ? " [rate [SECONDS] [count COUNT]]" : "") < 0)
		full = NULL;
	free(syntax);
	return full;
}

static void
man_commands(FILE *out)
{
	const char *group = "";

	for (const struct sl_cli_command *c = sl_cli_commands; c->syntax != NULL; c++) {
		char *syntax = full_syntax(c);

		if (strcmp(group, c->group) != 0)
			fprintf(out, ".SS %s\n", c->group);
		group = c->group;
		fputs(".TP\n\\fB", out);
		troff_syntax(out, syntax == NULL ? c->syntax : syntax);
		fputs("\\fR\n", out);
		troff(out, c->help);
		fputs(".\n", out);
		if (c->details != NULL) {
			troff(out, c->details);
			fputc('\n', out);
		}
		fputs(".IP\n.EX\nsluicectl ", out);
		troff(out, c->example);
		fputs("\n.EE\n", out);
		free(syntax);
	}
}

static void
man_head(FILE *out, const char *version)
{
	fprintf(out, ".TH SLUICECTL 1 \"\" \"Sluice %s\" \"User Commands\"\n", version);
	fputs(".SH NAME\nsluicectl \\- drive a Sluice appliance and see into it\n"
	      ".SH SYNOPSIS\n"
	      ".B sluicectl\n.RI [ OPTION ...]\n.RI [ COMMAND ]\n"
	      ".SH DESCRIPTION\n"
	      "With a command,\n.B sluicectl\nruns it and exits. Without one it reads commands: "
	      "from a terminal with history and completion, else from standard input, one a "
	      "line.\n.PP\n"
	      "At the prompt TAB completes words and the appliance's own names, ? lists what "
	      "could follow, the cursor keys bring back earlier lines, Ctrl\\-C clears the line "
	      "or gives up waiting, and Ctrl\\-D or\n.B exit\nleaves.\n.PP\n"
	      "Everything behind a # is a comment. In a name, %20 stands for a blank and "
	      "%XX for the byte with these hexadecimal digits; completion offers names so. "
	      "As one argument of a shell a name may have blanks as they are. "
	      "A destination or backend with the name rate is written %72ate.\n"
	      ".SH OPTIONS\n",
		out);
	for (const struct sl_cli_option *o = sl_cli_options; o->name != NULL; o++) {
		if (o->is_hidden)
			continue;
		fprintf(out, ".TP\n\\fB\\-%c\\fR, \\fB\\-\\-", o->letter);
		troff(out, o->name);
		fprintf(out, "\\fR%s%s%s\n", o->value == NULL ? "" : " \\fI",
			o->value == NULL ? "" : o->value, o->value == NULL ? "" : "\\fR");
		troff(out, o->help);
		fputs(".\n", out);
	}
}

void
sl_cli_write_man(FILE *out, const char *version)
{
	fputs(".\\\" Generated from the table of commands.\n", out);
	man_head(out, version);
	fputs(".SH COMMANDS\nWith\n.B rate\nthe counters are read twice, "
	      "SECONDS (1) apart, and shown as changes a second;\n.B count\nrepeats it.\n",
		out);
	man_commands(out);
	fputs(".SH EXIT STATUS\nOf several commands that of the first that failed.\n", out);
	for (size_t i = 0; i < sizeof(exit_codes) / sizeof(exit_codes[0]); i++)
		fprintf(out, ".TP\n.B %d\n%s\n", exit_codes[i].code, exit_codes[i].meaning);
	fputs(".SH ENVIRONMENT\n.TP\n.B SLUICE_SOCKET\nThe control socket, unless an option "
	      "names it.\n"
	      ".SH FILES\n.TP\n.I " SL_CLI_SOCKET "\nThe control socket.\n"
	      ".TP\n.I \\(ti/.local/state/sluicectl_history\nThe lines typed; "
	      ".I \\(ti/.sluicectl_history\nwhere there is no such directory.\n"
	      ".SH SEE ALSO\n.BR sluice (8),\n.BR dpdk\\-dumpcap (1)\n",
		out);
}

static void
markdown_values(void *arg, const struct sl_cli_arg *value)
{
	char text[256];

	if (value->type == SL_CLI_CHOICE && strlen(value->text) < SL_CLI_CHOICE_SHORT)
		return;
	sl_cli_value_expected(value, text, sizeof(text));
	fprintf(arg, "- `%s`: %s\n", value->name, text);
}

static void
markdown_commands(FILE *out)
{
	struct sl_cli_grammar *grammar;
	const char *group = "";
	char error[256];

	if (sl_cli_grammar_create(sl_cli_commands, &grammar, error, sizeof(error)) != 0)
		return;
	for (const struct sl_cli_command *c = sl_cli_commands; c->syntax != NULL; c++) {
		char *syntax = full_syntax(c);

		if (strcmp(group, c->group) != 0)
			fprintf(out, "\n## %s\n", c->group);
		group = c->group;
		fprintf(out, "\n### `%s`\n\n%s.%s%s\n\n", syntax == NULL ? c->syntax : syntax,
			c->help, c->details == NULL ? "" : " ",
			c->details == NULL ? "" : c->details);
		sl_cli_grammar_each_arg(grammar, c, markdown_values, out);
		fprintf(out, "- example: `%s`\n", c->example);
		free(syntax);
	}
	sl_cli_grammar_destroy(grammar);
}

void
sl_cli_write_markdown(FILE *out)
{
	fputs("# Commands\n\n"
	      "Generated from the table of commands: `sluicectl --markdown >docs/cli.md`.\n\n"
	      "```\nsluicectl [OPTION...] [COMMAND]      # one command, or a prompt, or a batch\n"
	      "sluice EAL-ARGS -- --config FILE --interactive\n```\n\n"
	      "`sluicectl` and the appliance's own prompt (`--interactive`) take the same commands "
	      "and are both\nclients of the control socket. Without a command `sluicectl` reads them: "
	      "from a terminal with history\nand completion (TAB, `?`), else from standard input, one "
	      "a line, `#` begins a comment. Ctrl-C clears the\nline or gives up waiting, Ctrl-D or "
	      "`exit` leaves.\n\n"
	      "In a name `%20` stands for a blank, `%XX` for the byte with these hexadecimal digits; "
	      "as one argument\nof a shell a name may have blanks as they are. A destination or "
	      "backend with the name `rate` is written\n`%72ate`.\n\n"
	      "| option | |\n|---|---|\n",
		out);
	for (const struct sl_cli_option *o = sl_cli_options; o->name != NULL; o++) {
		if (!o->is_hidden)
			fprintf(out, "| `-%c`, `--%s%s%s` | %s |\n", o->letter, o->name,
				o->value == NULL ? "" : " ", o->value == NULL ? "" : o->value,
				o->help);
	}
	fputs("\n| exit code | |\n|---|---|\n", out);
	for (size_t i = 0; i < sizeof(exit_codes) / sizeof(exit_codes[0]); i++)
		fprintf(out, "| %d | %s |\n", exit_codes[i].code, exit_codes[i].meaning);
	fputs("\nOf several commands the exit code is that of the first that failed. With `--json` an "
	      "error is\n`{\"error\": \"...\", \"status\": N}`, N an errno of Linux; in a batch with "
	      "its `line`.\n\n"
	      "With `rate` the counters are read twice, `SECONDS` (1) apart, and shown as changes a "
	      "second; `count`\nrepeats it.\n",
		out);
	markdown_commands(out);
}

/* Words and names come from the grammar itself, so that the script never is out of date. */
void
sl_cli_write_bash_completion(FILE *out)
{
	fputs("# bash completion for sluicectl. Generated from the table of commands.\n"
	      "_sluicectl()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} words=() options=() i\n\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase ${COMP_WORDS[i]} in\n",
		out);
	for (const struct sl_cli_option *o = sl_cli_options; o->name != NULL; o++) {
		bool is_socket = strcmp(o->name, "socket") == 0;

		if (o->is_hidden || o->value == NULL)
			continue;
		fprintf(out, "\t\t-%c | --%s)\n\t\t\t((++i))\n", o->letter, o->name);
		if (is_socket)
			fputs("\t\t\toptions=(--socket \"${COMP_WORDS[i]}\")\n", out);
		fputs("\t\t\t;;\n", out);
	}
	fputs("\t\t-*) ;;\n\t\t*) words+=(\"${COMP_WORDS[i]}\") ;;\n\t\tesac\n\tdone\n"
	      "\tcase ${COMP_WORDS[COMP_CWORD - 1]} in\n"
	      "\t-f | --file | -s | --socket | check | reload | config)\n"
	      "\t\t[ \"${words[*]}\" = \"show config\" ] ||\n"
	      "\t\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	      "\t\treturn\n\t\t;;\n\tesac\n"
	      "\tif [ ${#words[@]} -eq 0 ] && [[ $cur == -* ]]; then\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W \"",
		out);
	for (const struct sl_cli_option *o = sl_cli_options; o->name != NULL; o++) {
		if (!o->is_hidden)
			fprintf(out, "%s--%s", o == sl_cli_options ? "" : " ", o->name);
	}
	fputs("\" -- \"$cur\")\n\t\treturn\n\tfi\n"
	      "\tmapfile -t COMPREPLY < <(\"${COMP_WORDS[0]}\" \"${options[@]}\" --complete "
	      "\"${words[*]} $cur\" 2>/dev/null)\n"
	      "}\n"
	      "complete -F _sluicectl sluicectl\n",
		out);
}
