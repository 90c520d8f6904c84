/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_LOOP_H
#define SL_LOOP_H

/**
 * @file
 * How a publisher or a consumer waits: its own thread for the socket, a time, or a call by another
 * thread; without a thread, one descriptor that is readable when any of them has come.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "sluice.h"

struct sl_loop {
	int sock;
	int wake_fd;
	int epoll_fd; /**< Without a thread; else -1, as is the next. */
	int timer_fd;
	bool has_thread;
	bool wants_write; /**< The socket was full. */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed; /**< On CLOCK_MONOTONIC. */
	/* Under the lock. */
	bool is_asleep;
	bool is_stopping;
	/* A page that the kernel empties in a child. */
	volatile uint8_t *parent_mark;
};

/** CLOCK_MONOTONIC, in ns. */
uint64_t sl_loop_now(void);

/** When a time to wait that begins at @p now ends. */
uint64_t sl_loop_after(uint64_t now, int timeout_ms);

/** Take the socket over. @return 0; a negative code, and @p error; the socket is closed then */
int sl_loop_init(struct sl_loop *loop, int sock, bool has_thread, struct sluice_error *error);

/** Give the descriptors back; in a child of fork() too. */
void sl_loop_fini(struct sl_loop *loop);

/** Start the thread, with all signals blocked. */
int sl_loop_start(struct sl_loop *loop, void *(*run)(void *), void *arg, const char *name,
	struct sluice_error *error);

/** Is this process a child of the one that opened it? */
static inline bool
sl_loop_is_forked(const struct sl_loop *loop)
{
	return *loop->parent_mark == 0;
}

/** Does the caller run in the loop's thread? */
bool sl_loop_is_inside(const struct sl_loop *loop);

/** Under the lock: let the thread look at what has changed. */
void sl_loop_wake(struct sl_loop *loop);

/** Wait for one of the three. @p deadline in ns; UINT64_MAX: none */
void sl_loop_wait(struct sl_loop *loop, uint64_t deadline);

/** Without a thread: the descriptor becomes readable at that time. */
void sl_loop_arm(struct sl_loop *loop, uint64_t deadline);

/** Take back what sl_loop_wake() said. */
void sl_loop_clear(struct sl_loop *loop);

/** What is done without a thread when the descriptor is readable; not under the lock. */
typedef void (*sl_loop_process_t)(void *arg);

/**
 * Under the lock, by who is not the loop's thread: wait for something to have changed; without a
 * thread, make it change.
 * @param nb_waiting  who waits for the thread is counted there meanwhile
 * @return false: the time is over
 */
bool sl_loop_wait_changed(struct sl_loop *loop, uint32_t *nb_waiting, sl_loop_process_t process,
	void *arg, uint64_t deadline);

#endif /* SL_LOOP_H */
