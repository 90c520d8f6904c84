/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_CHILD_H
#define SL_CHILD_H

/**
 * @file
 * Commands, run as child processes beside an event loop: what is written to their standard input,
 * what they say, how they end, and that they end.
 *
 * No shell is between. A child starts as from a clean login: no descriptor but the first three,
 * no signal blocked or ignored, a process group of its own. It is started by posix_spawn(), which
 * shares our memory until the new program runs: gigabytes that are mapped are not copied.
 *
 * The program must not ignore SIGCHLD nor wait for children it does not know, and must keep
 * descriptors 0 to 2 open.
 *
 * Threads: all calls for one event base from the thread that runs it. Several bases may be used at
 * once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

/** From SIGTERM, when the time is up, to SIGKILL. */
#define SL_CHILD_GRACE_MS 500

struct sl_child;

/** What to run. Nothing of it is used after sl_child_run(). */
struct sl_child_command {
	const char *const *argv; /**< Ended by NULL; the first is an absolute path. */
	const char *const
		*env;	   /**< "NAME=value", added to our environment, ended by NULL; or NULL */
	const void *input; /**< For standard input; with input_len 0 it is /dev/null. */
	size_t input_len;
	uint32_t timeout_ms; /**< > 0 */
	size_t output_max;   /**< Of standard output and error together; the rest is thrown away. */
};

enum sl_child_end {
	SL_CHILD_EXITED,    /**< status: the exit code */
	SL_CHILD_SIGNALLED, /**< status: the signal that killed it */
	SL_CHILD_TIMED_OUT, /**< Killed by us. status: the signal, or the exit code after SIGTERM */
};

struct sl_child_result {
	enum sl_child_end end;
	int status;
	uint32_t elapsed_ms;
	const char *output; /**< Ended by a NUL that is not counted; valid in the callback. */
	size_t output_len;
	bool output_is_cut; /**< There was more. */
};

/** The command has ended; its struct sl_child is gone. It may run the next one. */
typedef void (*sl_child_done_fn)(void *arg, const struct sl_child_result *result);

/**
 * Start a command.
 *
 * When its time is up its process group gets SIGTERM, and SIGKILL after SL_CHILD_GRACE_MS. When it
 * ends by itself, what is left of its group gets SIGKILL: commands do not pile up. A command that
 * is to leave a process behind starts that in a session of its own (setsid).
 *
 * @param[out] child  for sl_child_kill(), until @p done is called
 * @param[out] error  one line on failure: what could not be run, why, and what would mend it
 * @return 0, and @p done will be called once, from the loop; -errno, and it will not: -EINVAL
 *         without an absolute path, -ENOENT, -EACCES, -ENOEXEC, -EMFILE, ...
 */
int sl_child_run(struct event_base *base, const struct sl_child_command *command,
	sl_child_done_fn done, void *arg, struct sl_child **child, char *error, size_t error_len);

/** Kill the command with its process group, at once; its callback is not called. */
void sl_child_kill(struct sl_child *child);

/** A sentence without a capital about how it ended: "exit code 1", "killed by SIGSEGV", ... */
void sl_child_describe(const struct sl_child_result *result, char *text, size_t text_len);

#endif /* SL_CHILD_H */
