/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "loop.h"

#define SECOND UINT64_C(1000000000)
#define PAGE   4096

uint64_t
sl_loop_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

uint64_t
sl_loop_after(uint64_t now, int timeout_ms)
{
	return timeout_ms < 0 ? UINT64_MAX : now + (uint64_t)timeout_ms * (SECOND / 1000);
}

static struct timespec
to_timespec(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};
}

static bool
init_epoll(struct sl_loop *loop)
{
	int fds[3];

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (loop->epoll_fd < 0 || loop->timer_fd < 0)
		return false;
	fds[0] = loop->sock;
	fds[1] = loop->wake_fd;
	fds[2] = loop->timer_fd;
	for (int i = 0; i < 3; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};

		if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fds[i], &event) != 0)
			return false;
	}
	return true;
}

static void
init_lock(struct sl_loop *loop)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&loop->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&loop->changed, &attr);
	pthread_condattr_destroy(&attr);
}

int
sl_loop_init(struct sl_loop *loop, int sock, bool has_thread, struct sluice_error *error)
{
	void *page;

	*loop = (struct sl_loop){
		.sock = sock, .epoll_fd = -1, .timer_fd = -1, .has_thread = has_thread};
	init_lock(loop);
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page != MAP_FAILED)
		loop->parent_mark = page;
	if (loop->wake_fd < 0 || page == MAP_FAILED || madvise(page, PAGE, MADV_WIPEONFORK) != 0 ||
		(!has_thread && !init_epoll(loop))) {
		sl_error_set(error, SLUICE_SYSTEM, "descriptors and memory: %s", strerror(errno));
		sl_loop_fini(loop);
		return SLUICE_SYSTEM;
	}
	*loop->parent_mark = 1;
	return 0;
}

void
sl_loop_fini(struct sl_loop *loop)
{
	int fds[4] = {loop->sock, loop->wake_fd, loop->epoll_fd, loop->timer_fd};
	bool is_forked = loop->parent_mark != NULL && sl_loop_is_forked(loop);

	for (int i = 0; i < 4; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	if (loop->parent_mark != NULL)
		munmap((void *)(uintptr_t)loop->parent_mark, PAGE);
	/* In a child somebody may seem to wait, who is not there. */
	if (is_forked)
		return;
	pthread_cond_destroy(&loop->changed);
	pthread_mutex_destroy(&loop->lock);
}

int
sl_loop_start(struct sl_loop *loop, void *(*run)(void *), void *arg, const char *name,
	struct sluice_error *error)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&loop->thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return sl_error_set(error, SLUICE_SYSTEM, "thread: %s", strerror(rc));
	pthread_setname_np(loop->thread, name);
	return 0;
}

bool
sl_loop_is_inside(const struct sl_loop *loop)
{
	return loop->has_thread && pthread_equal(loop->thread, pthread_self());
}

void
sl_loop_wake(struct sl_loop *loop)
{
	uint64_t one = 1;

	if (!loop->is_asleep)
		return;
	loop->is_asleep = false;
	/* The counter does not get full of ones. */
	if (write(loop->wake_fd, &one, sizeof(one)) < 0)
		return;
}

void
sl_loop_clear(struct sl_loop *loop)
{
	uint64_t count;

	if (read(loop->wake_fd, &count, sizeof(count)) < 0)
		return;
}

void
sl_loop_wait(struct sl_loop *loop, uint64_t deadline)
{
	struct pollfd fds[2] = {
		{.fd = loop->sock, .events = POLLIN | (loop->wants_write ? POLLOUT : 0)},
		{.fd = loop->wake_fd, .events = POLLIN},
	};
	uint64_t now = sl_loop_now();
	struct timespec left = to_timespec(deadline > now ? deadline - now : 0);

	if (ppoll(fds, 2, deadline == UINT64_MAX ? NULL : &left, NULL) > 0 && fds[1].revents != 0)
		sl_loop_clear(loop);
}

void
sl_loop_arm(struct sl_loop *loop, uint64_t deadline)
{
	struct epoll_event event = {
		.events = EPOLLIN | (loop->wants_write ? EPOLLOUT : 0), .data.fd = loop->sock};
	struct itimerspec at = {.it_value = to_timespec(deadline == UINT64_MAX ? 0 : deadline)};

	epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, loop->sock, &event);
	timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* @return false: the time is over */
static bool
wait_for_thread(struct sl_loop *loop, uint64_t deadline)
{
	struct timespec at = to_timespec(deadline);

	if (deadline == UINT64_MAX)
		return pthread_cond_wait(&loop->changed, &loop->lock) == 0;
	return pthread_cond_timedwait(&loop->changed, &loop->lock, &at) == 0;
}

/* Wait until the descriptor is readable. */
static void
wait_for_descriptor(struct sl_loop *loop, uint64_t deadline)
{
	struct pollfd fd = {.fd = loop->epoll_fd, .events = POLLIN};
	uint64_t now = sl_loop_now();
	struct timespec left = to_timespec(deadline > now ? deadline - now : 0);

	ppoll(&fd, 1, deadline == UINT64_MAX ? NULL : &left, NULL);
}

bool
sl_loop_wait_changed(struct sl_loop *loop, uint32_t *nb_waiting, sl_loop_process_t process,
	void *arg, uint64_t deadline)
{
	bool is_in_time;

	if (loop->has_thread) {
		++*nb_waiting;
		is_in_time = wait_for_thread(loop, deadline);
		--*nb_waiting;
		return is_in_time;
	}
	if (sl_loop_now() >= deadline)
		return false;
	pthread_mutex_unlock(&loop->lock);
	wait_for_descriptor(loop, deadline);
	process(arg);
	pthread_mutex_lock(&loop->lock);
	return true;
}
