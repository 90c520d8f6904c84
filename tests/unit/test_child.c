/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "sl_child.h"

#define OUTPUT_MAX 4096

static struct event_base *base;

struct ended {
	unsigned int nb;
	struct sl_child_result result;
	char output[OUTPUT_MAX + 1];
};

static void
on_done(void *arg, const struct sl_child_result *result)
{
	struct ended *ended = arg;

	ended->nb++;
	ended->result = *result;
	assert_true(result->output_len <= OUTPUT_MAX);
	assert_int_equal(result->output[result->output_len], '\0');
	memcpy(ended->output, result->output, result->output_len + 1);
}

static int
setup(void **state)
{
	base = event_base_new();
	return base == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	event_base_free(base);
	/* Nothing is left, neither running nor a zombie. */
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;
}

static struct sl_child_command
command(const char *const *argv)
{
	return (struct sl_child_command){
		.argv = argv, .timeout_ms = 10000, .output_max = OUTPUT_MAX};
}

/* Run a command to its end. */
static void
run(const struct sl_child_command *what, struct ended *ended)
{
	struct sl_child *child;
	char error[256] = "";

	*ended = (struct ended){.nb = 0};
	if (sl_child_run(base, what, on_done, ended, &child, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	event_base_dispatch(base);
	assert_int_equal(ended->nb, 1);
}

static void
run_script(const char *script, struct ended *ended)
{
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	struct sl_child_command what = command(argv);

	run(&what, ended);
}

static unsigned int
count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nb = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		nb++;
	closedir(dir);
	return nb;
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
test_how_it_ends(void **state)
{
	struct ended ended;
	char text[64];

	run_script("exit 0", &ended);
	assert_int_equal(ended.result.end, SL_CHILD_EXITED);
	assert_int_equal(ended.result.status, 0);
	run_script("exit 7", &ended);
	assert_int_equal(ended.result.end, SL_CHILD_EXITED);
	assert_int_equal(ended.result.status, 7);
	sl_child_describe(&ended.result, text, sizeof(text));
	assert_string_equal(text, "exit code 7");
	run_script("kill -KILL $$", &ended);
	assert_int_equal(ended.result.end, SL_CHILD_SIGNALLED);
	assert_int_equal(ended.result.status, SIGKILL);
	sl_child_describe(&ended.result, text, sizeof(text));
	assert_string_equal(text, "killed by SIGKILL");
}

static void
test_both_outputs_are_kept(void **state)
{
	struct ended ended;

	run_script("echo one; echo two >&2; echo three", &ended);
	assert_string_equal(ended.output, "one\ntwo\nthree\n");
	assert_false(ended.result.output_is_cut);
}

static void
test_output_is_bounded(void **state)
{
	struct ended ended;

	run_script("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i + 1)); done; exit 3",
		&ended);
	assert_int_equal(ended.result.output_len, OUTPUT_MAX);
	assert_true(ended.result.output_is_cut);
	/* The rest is read: it does not wait for a reader for ever. */
	assert_int_equal(ended.result.status, 3);
}

static void
test_nobody_wants_the_output(void **state)
{
	const char *const argv[] = {"/bin/sh", "-c", "echo unheard", NULL};
	struct sl_child_command what = command(argv);
	struct ended ended;

	what.output_max = 0;
	run(&what, &ended);
	assert_int_equal(ended.result.status, 0);
	assert_int_equal(ended.result.output_len, 0);
}

static void
test_standard_input(void **state)
{
	const char *const cat[] = {"/bin/cat", NULL}, *const wc[] = {"/usr/bin/wc", "-c", NULL};
	struct sl_child_command what = command(cat);
	struct ended ended;
	char *big;

	run(&what, &ended);
	assert_string_equal(ended.output, "");
	what.input = "{\"id\": 1}\0rest";
	what.input_len = 14;
	run(&what, &ended);
	assert_int_equal(ended.result.output_len, 14);
	assert_memory_equal(ended.output, "{\"id\": 1}\0rest", 14);
	/* More than a pipe holds, to one that reads and to one that does not. */
	big = calloc(1, 1 << 20);
	what = command(wc);
	what.input = big;
	what.input_len = 1 << 20;
	run(&what, &ended);
	assert_string_equal(ended.output, "1048576\n");
	what.argv = (const char *const[]){"/bin/true", NULL};
	run(&what, &ended);
	assert_int_equal(ended.result.status, 0);
	free(big);
}

static void
test_the_environment(void **state)
{
	const char *const argv[] = {"/bin/sh", "-c", "echo $ONE $TWO $THREE", NULL};
	const char *const env[] = {"TWO=new", "THREE=3", NULL};
	struct sl_child_command what = command(argv);
	struct ended ended;

	setenv("ONE", "ours", 1);
	setenv("TWO", "old", 1);
	what.env = env;
	run(&what, &ended);
	assert_string_equal(ended.output, "ours new 3\n");
}

static void
test_it_starts_clean(void **state)
{
	int leak = open("/dev/null", O_RDONLY);
	struct ended ended;
	const char *ignored;
	sigset_t mask;
	pid_t pid, group;

	/* All that could be inherited: a descriptor, an ignored signal, a blocked one. */
	assert_true(leak > 2);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* A pipe would be open in the shell itself for a moment, and its signals blocked. */
	run_script("ls /proc/$$/fd; exec grep -E 'Sig(Blk|Ign)' /proc/self/status", &ended);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_DFL);
	close(leak);
	assert_ptr_equal(
		ended.output, strstr(ended.output, "0\n1\n2\nSigBlk:\t0000000000000000\n"));
	ignored = strstr(ended.output, "SigIgn:");
	assert_non_null(ignored);
	/* Signals 32 and 33 are the C library's own. */
	assert_int_equal(strtoull(ignored + 7, NULL, 16) & 0x7fffffff, 0);
	run_script("echo $$ $(ps -o pgid= -p $$)", &ended);
	assert_int_equal(sscanf(ended.output, "%d %d", &pid, &group), 2);
	assert_int_equal(pid, group);
	assert_int_not_equal(group, getpgrp());
}

static void
test_what_cannot_be_run(void **state)
{
	static const struct {
		const char *path;
		int rc;
		const char *words;
	} cases[] = {
		{"/nonexistent/command", -ENOENT, "No such file"},
		{"/etc/passwd", -EACCES, "chmod +x"},
		{"true", -EINVAL, "absolute path"},
	};
	unsigned int before = count_descriptors();
	char error[256];
	struct sl_child *child;

	for (unsigned int i = 0; i < 3; i++) {
		const char *const argv[] = {cases[i].path, NULL};
		struct sl_child_command what = command(argv);

		assert_int_equal(
			sl_child_run(base, &what, on_done, NULL, &child, error, sizeof(error)),
			cases[i].rc);
		assert_non_null(strstr(error, cases[i].path));
		assert_non_null(strstr(error, cases[i].words));
	}
	signal(SIGCHLD, SIG_IGN);
	assert_int_equal(
		sl_child_run(base,
			&(struct sl_child_command){.argv = (const char *const[]){"/bin/true", NULL},
				.timeout_ms = 1000},
			on_done, NULL, &child, error, sizeof(error)),
		-EINVAL);
	signal(SIGCHLD, SIG_DFL);
	assert_non_null(strstr(error, "SIGCHLD"));
	assert_int_equal(count_descriptors(), before);
}

/* Is a process with this number there and no zombie? */
static bool
is_running(pid_t pid)
{
	char path[64], line[256] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	if (fgets(line, sizeof(line), file) == NULL)
		line[0] = '\0';
	fclose(file);
	return line[0] != '\0' && strstr(line, ") Z ") == NULL;
}

static void
assert_gone(pid_t pid)
{
	/* A signal is on its way for a moment. */
	for (unsigned int i = 0; i < 1000 && is_running(pid); i++)
		usleep(1000);
	assert_false(is_running(pid));
}

static void
test_a_timeout_ends_the_whole_group(void **state)
{
	const char *const argv[] = {"/bin/sh", "-c", "sleep 60 & echo $!; sleep 60", NULL};
	struct sl_child_command what = command(argv);
	struct ended ended;
	char text[64];

	what.timeout_ms = 100;
	run(&what, &ended);
	assert_int_equal(ended.result.end, SL_CHILD_TIMED_OUT);
	assert_int_equal(ended.result.status, SIGTERM);
	/* The loop's clock is some milliseconds coarse. */
	assert_true(ended.result.elapsed_ms >= 90);
	assert_gone(atoi(ended.output));
	sl_child_describe(&ended.result, text, sizeof(text));
	assert_non_null(strstr(text, "timed out"));
}

static void
test_one_that_ignores_sigterm_is_killed(void **state)
{
	const char *const argv[] = {
		"/bin/sh", "-c", "trap '' TERM; sh -c 'echo $$; while :; do sleep 1; done'", NULL};
	struct sl_child_command what = command(argv);
	struct ended ended;

	/* Time enough for the shell to come to its trap. */
	what.timeout_ms = 3000;
	run(&what, &ended);
	assert_int_equal(ended.result.end, SL_CHILD_TIMED_OUT);
	assert_int_equal(ended.result.status, SIGKILL);
	assert_true(ended.result.elapsed_ms >= 2990 + SL_CHILD_GRACE_MS);
	assert_gone(atoi(ended.output));
}

static void
test_nothing_is_left_of_one_that_ends(void **state)
{
	double before = seconds();
	struct ended ended;

	run_script("sleep 60 & echo $!", &ended);
	/* It holds the pipe, and is not waited for. */
	assert_int_equal(ended.result.end, SL_CHILD_EXITED);
	assert_true(seconds() - before < 30);
	assert_gone(atoi(ended.output));
}

static void
test_killed_by_us(void **state)
{
	const char *const argv[] = {"/bin/sleep", "60", NULL};
	struct sl_child_command what = command(argv);
	struct ended ended = {.nb = 0};
	unsigned int before = count_descriptors();
	struct sl_child *child;
	char error[256];

	assert_int_equal(
		sl_child_run(base, &what, on_done, &ended, &child, error, sizeof(error)), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	sl_child_kill(child);
	event_base_dispatch(base);
	assert_int_equal(ended.nb, 0);
	assert_int_equal(count_descriptors(), before);
}

static void
test_many_at_once(void **state)
{
	const char *const argv[] = {
		"/bin/sh", "-c", "read x; echo got $x; sleep 0.2; exit $x", NULL};
	static struct ended ended[50];
	unsigned int before = count_descriptors();
	struct sl_child *child;
	char error[256], text[64];

	for (int i = 0; i < 50; i++) {
		struct sl_child_command what = command(argv);

		ended[i] = (struct ended){.nb = 0};
		snprintf(text, sizeof(text), "%d\n", i);
		what.input = text;
		what.input_len = strlen(text);
		assert_int_equal(
			sl_child_run(base, &what, on_done, &ended[i], &child, error, sizeof(error)),
			0);
	}
	event_base_dispatch(base);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(ended[i].nb, 1);
		assert_int_equal(ended[i].result.status, i);
		snprintf(text, sizeof(text), "got %d\n", i);
		assert_string_equal(ended[i].output, text);
	}
	assert_int_equal(count_descriptors(), before);
}

struct chain {
	unsigned int left;
	struct ended ended;
};

static void
on_chain(void *arg, const struct sl_child_result *result)
{
	const char *const argv[] = {"/bin/true", NULL};
	struct sl_child_command what = command(argv);
	struct chain *chain = arg;
	struct sl_child *child;
	char error[256];

	assert_int_equal(result->status, 0);
	if (--chain->left > 0)
		assert_int_equal(
			sl_child_run(base, &what, on_chain, chain, &child, error, sizeof(error)),
			0);
}

static void
test_the_callback_may_run_the_next(void **state)
{
	struct chain chain = {.left = 20};
	struct sl_child_result first = {.end = SL_CHILD_EXITED};

	chain.left++;
	on_chain(&chain, &first);
	event_base_dispatch(base);
	assert_int_equal(chain.left, 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_how_it_ends),
		TEST(test_both_outputs_are_kept),
		TEST(test_output_is_bounded),
		TEST(test_nobody_wants_the_output),
		TEST(test_standard_input),
		TEST(test_the_environment),
		TEST(test_it_starts_clean),
		TEST(test_what_cannot_be_run),
		TEST(test_a_timeout_ends_the_whole_group),
		TEST(test_one_that_ignores_sigterm_is_killed),
		TEST(test_nothing_is_left_of_one_that_ends),
		TEST(test_killed_by_us),
		TEST(test_many_at_once),
		TEST(test_the_callback_may_run_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
