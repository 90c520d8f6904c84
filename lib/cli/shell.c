/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * The prompt on a terminal. Lines are edited by rte_cmdline's rdline. The terminal sends no
 * signals: Ctrl-C is a character, which clears the line, or ends the waiting for an answer.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <cmdline_rdline.h>

#include "cli_internal.h"
#include "history.h"

#define PROMPT "sluice> "
#define CTRL_C 0x03

/* What is typed while a command runs. */
#define AHEAD_MAX 4096

/* rdline's own, which its header does not tell. */
#define LINE_MAX_LEN 512

struct sl_cli_shell {
	struct sl_cli *cli;
	struct rdline *rdline;
	int in;
	int stop_fd;
	char ahead[AHEAD_MAX];
	size_t nb_ahead;
	size_t ahead_read;
	struct sl_cli_choices choices; /* Of the completion that is listed. */
	char last[LINE_MAX_LEN + 1];
};

static int
write_char(struct rdline *rdline, char c)
{
	const struct sl_cli_shell *shell = rdline_get_opaque(rdline);

	return fputc(c, shell->cli->params.out);
}

/* Lines are run when rdline has returned, not inside it. */
static void
on_line(struct rdline *rdline, const char *line, unsigned int size)
{
	(void)rdline;
	(void)line;
	(void)size;
}

/* What all choices have in common behind what is there already. */
static size_t
common_len(const struct sl_cli_choices *choices)
{
	size_t len = strlen(choices->words[0]);

	for (size_t i = 1; i < choices->nb_words; i++) {
		size_t n = 0;

		while (n < len && choices->words[i][n] == choices->words[0][n])
			n++;
		len = n;
	}
	return len;
}

static size_t
last_word_len(const char *line)
{
	size_t len = strlen(line), n = 0;

	while (n < len && line[len - 1 - n] != ' ' && line[len - 1 - n] != '\t')
		n++;
	return n;
}

/*
 * rdline calls this with state 0 for TAB and -1 for "?", and again with what we leave there to be
 * told the next line of a list. Returns 2: insert dst; 1: dst is a line of the list; 0: no more.
 */
static int
on_complete(struct rdline *rdline, const char *line, char *dst, unsigned int size, int *state)
{
	struct sl_cli_shell *shell = rdline_get_opaque(rdline);
	struct sl_cli_choices *choices = &shell->choices;
	size_t known = last_word_len(line), i;

	if (*state <= 0) {
		sl_cli_choices_free(choices);
		sl_cli_grammar_complete(
			shell->cli->grammar, line, sl_cli_names, shell->cli, choices);
		if (*state == 0 && choices->nb_words > 0) {
			bool is_one = choices->nb_words == 1;
			size_t len = common_len(choices);

			if (is_one || len > known) {
				snprintf(dst, size, "%.*s%s", (int)(len - known),
					choices->words[0] + known, is_one ? " " : "");
				return CMDLINE_PARSE_COMPLETED_BUFFER;
			}
		}
		*state = 0;
	}
	i = (size_t)(*state)++;
	if (i < choices->nb_words)
		snprintf(dst, size, "%s", choices->words[i]);
	else if (i == choices->nb_words && choices->hint != NULL)
		snprintf(dst, size, "%s", choices->hint);
	else
		return CMDLINE_PARSE_COMPLETE_FINISHED;
	return CMDLINE_PARSE_COMPLETE_AGAIN;
}

/* Something was typed while a command waits. */
static bool
on_interrupt(void *arg)
{
	struct sl_cli_shell *shell = arg;
	char typed[256];
	ssize_t n = read(shell->in, typed, sizeof(typed));

	/* A terminal that is gone ends the waiting, too. */
	if (n <= 0 || memchr(typed, CTRL_C, (size_t)n) != NULL)
		return true;
	for (ssize_t i = 0; i < n && shell->nb_ahead < AHEAD_MAX; i++)
		shell->ahead[shell->nb_ahead++] = typed[i];
	return false;
}

/* The next character, -1 at the end. */
static int
next_char(struct sl_cli_shell *shell)
{
	struct pollfd fds[2] = {
		{.fd = shell->in, .events = POLLIN}, {.fd = shell->stop_fd, .events = POLLIN}};
	unsigned char c;

	if (shell->ahead_read < shell->nb_ahead)
		return (unsigned char)shell->ahead[shell->ahead_read++];
	shell->nb_ahead = shell->ahead_read = 0;
	fflush(shell->cli->params.out);
	while (poll(fds, 2, -1) < 0) {
		if (errno != EINTR)
			return -1;
	}
	if (fds[1].revents != 0)
		return -1;
	return read(shell->in, &c, 1) == 1 ? c : -1;
}

bool
sl_cli_shell_confirm(struct sl_cli_shell *shell, const char *question)
{
	FILE *out = shell->cli->params.out;
	int c;

	fputs(question, out);
	c = next_char(shell);
	fprintf(out, "%c\n", c > ' ' ? c : ' ');
	return c == 'y' || c == 'Y';
}

static void
remember(struct sl_cli_shell *shell, const char *line)
{
	if (line[strspn(line, " \t")] == '\0' || strcmp(line, shell->last) == 0)
		return;
	snprintf(shell->last, sizeof(shell->last), "%s", line);
	rdline_add_history(shell->rdline, line);
	if (shell->cli->params.history != NULL)
		sl_cli_history_append(shell->cli->params.history, line);
}

static void
run_line(struct sl_cli_shell *shell)
{
	char line[LINE_MAX_LEN + 1];

	snprintf(line, sizeof(line), "%s", rdline_get_buffer(shell->rdline));
	line[strcspn(line, "\n")] = '\0';
	remember(shell, line);
	sl_cli_run_line(shell->cli, line);
	if (!shell->cli->is_leaving)
		rdline_newline(shell->rdline, PROMPT);
}

static void
loop(struct sl_cli_shell *shell)
{
	int c, rc;

	rdline_newline(shell->rdline, PROMPT);
	while (!shell->cli->is_leaving && (c = next_char(shell)) >= 0) {
		rc = rdline_char_in(shell->rdline, (char)c);
		if (rc == RDLINE_RES_VALIDATED)
			run_line(shell);
		else if (rc == RDLINE_RES_EOF)
			break;
	}
	if (!shell->cli->is_leaving)
		fputc('\n', shell->cli->params.out);
	fflush(shell->cli->params.out);
}

static void
add_history(void *arg, const char *line)
{
	struct sl_cli_shell *shell = arg;

	rdline_add_history(shell->rdline, line);
	snprintf(shell->last, sizeof(shell->last), "%s", line);
}

enum sl_cli_result
sl_cli_run_interactive(struct sl_cli *cli, int in, int stop_fd)
{
	struct sl_cli_shell *shell;
	struct termios saved, raw;

	if (tcgetattr(in, &saved) != 0)
		return sl_cli_fail(cli, SL_CLI_FAILED, errno, "this is no terminal", NULL);
	shell = calloc(1, sizeof(*shell));
	if (shell != NULL)
		shell->rdline = rdline_new(write_char, on_line, on_complete, shell);
	if (shell == NULL || shell->rdline == NULL) {
		free(shell);
		return sl_cli_fail(cli, SL_CLI_FAILED, ENOMEM, "no memory for the prompt", NULL);
	}
	shell->cli = cli;
	shell->in = in;
	shell->stop_fd = stop_fd;
	raw = saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
	tcsetattr(in, TCSANOW, &raw);
	cli->shell = shell;
	cli->client.interrupt_fd = in;
	cli->client.interrupt = on_interrupt;
	cli->client.interrupt_arg = shell;
	cli->client.stop_fd = stop_fd;
	if (cli->params.history != NULL)
		sl_cli_history_load(cli->params.history, add_history, shell);
	loop(shell);
	tcsetattr(in, TCSANOW, &saved);
	cli->shell = NULL;
	cli->client.interrupt_fd = -1;
	cli->client.stop_fd = -1;
	sl_cli_choices_free(&shell->choices);
	rdline_free(shell->rdline);
	free(shell);
	return SL_CLI_OK;
}
