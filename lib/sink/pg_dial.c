/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Connecting looks names up, for which libpq waits by the rules of the system's resolver: half a
 * minute, when the name servers are as far away as the database, and nothing ends that. So it is
 * done by a thread that is left to itself when nobody wants to wait any more. One that only waits
 * for the server ends at once then, and is waited for: it may not be about in OpenSSL when the
 * process leaves, and takes down what that has.
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pg_link.h"

#define CONNECT_MS 10000
/* The thread gives up first, unless the resolver holds it. */
#define DIAL_MS (CONNECT_MS + 500)
/* What is not in the resolver ends within that when it is told to. */
#define LINGER_MS  1000
#define PARAMS_MAX 64

struct dial {
	_Atomic uint32_t refs; /* Who wants it, and the thread. */
	_Atomic bool is_done;
	pthread_t thread; /* Of who wants it. */
	int done_fd;	  /* It is. */
	int abandoned_fd; /* Nobody waits for it. */
	char *conninfo;
	char *application;
	PGconn *conn; /* The thread's until it is done. */
	int rc;
	struct sink_error error;
};

/* libpq would write it to standard error. */
static void
ignore_notice(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result;
}

/* The values that hold unless conninfo has others. */
static PGconn *
start(const char *conninfo, const char *application)
{
	const char *keywords[PARAMS_MAX + 1] = {"application_name", "tcp_user_timeout",
		"keepalives_idle", "keepalives_interval", "keepalives_count"};
	const char *values[PARAMS_MAX + 1] = {application, "5000", "10", "5", "3"};
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	PGconn *conn;
	int n = 5;

	if (options == NULL)
		return NULL;
	for (const PQconninfoOption *o = options; o->keyword != NULL && n < PARAMS_MAX - 1; o++) {
		if (o->val == NULL)
			continue;
		keywords[n] = o->keyword;
		values[n++] = o->val;
	}
	keywords[n] = "client_encoding";
	values[n++] = "UTF8";
	conn = PQconnectStartParams(keywords, values, 0);
	PQconninfoFree(options);
	return conn;
}

/* "FATAL:  28P01: password authentication failed" is what a verbose message has. */
static int
fail_connect(struct pg_link *link, struct sink_error *error)
{
	const char *message = PQerrorMessage(link->conn), *fatal = strstr(message, "FATAL:  ");
	char sqlstate[6] = "08001";

	if (fatal != NULL && strlen(fatal) > 15 && fatal[13] == ':') {
		memcpy(sqlstate, fatal + 8, 5);
		pg_fail(error, sqlstate, fatal + 15);
	} else {
		pg_fail(error, sqlstate, message);
	}
	return -ECONNREFUSED;
}

static int
finish_connecting(struct pg_link *link, struct sink_error *error)
{
	uint64_t deadline_ms = pg_clock_ms() + CONNECT_MS;
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;
	int rc;

	while (status != PGRES_POLLING_OK) {
		if (PQstatus(link->conn) == CONNECTION_BAD || status == PGRES_POLLING_FAILED)
			return fail_connect(link, error);
		rc = pg_wait(PQsocket(link->conn),
			status == PGRES_POLLING_READING ? POLLIN : POLLOUT, link->abort_fd,
			deadline_ms);
		if (rc == -ETIMEDOUT) {
			pg_fail(error, "08001", "the server does not answer");
			return rc;
		}
		if (rc < 0)
			return pg_fail_wait(rc, error);
		status = PQconnectPoll(link->conn);
	}
	return 0;
}

static int
connect_now(struct pg_link *link, const char *conninfo, const char *application,
	struct sink_error *error)
{
	int rc;

	link->conn = start(conninfo, application);
	if (link->conn == NULL) {
		rc = pg_check_conninfo(conninfo, error);
		return rc < 0 ? rc : -ENOMEM;
	}
	PQsetErrorVerbosity(link->conn, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(link->conn, ignore_notice, NULL);
	return finish_connecting(link, error);
}

static void
release(struct dial *dial)
{
	if (atomic_fetch_sub(&dial->refs, 1) > 1)
		return;
	PQfinish(dial->conn);
	if (dial->done_fd >= 0)
		close(dial->done_fd);
	if (dial->abandoned_fd >= 0)
		close(dial->abandoned_fd);
	free(dial->conninfo);
	free(dial->application);
	free(dial);
}

static void *
run(void *arg)
{
	struct dial *dial = arg;
	struct pg_link link = {.abort_fd = dial->abandoned_fd};

	pthread_setname_np(pthread_self(), "sl-sink-dial");
	dial->rc = connect_now(&link, dial->conninfo, dial->application, &dial->error);
	dial->conn = link.conn;
	dial->is_done = true;
	eventfd_write(dial->done_fd, 1);
	release(dial);
	return NULL;
}

static struct dial *
start_thread(const char *conninfo, const char *application)
{
	struct dial *dial = calloc(1, sizeof(*dial));
	int rc = ENOMEM;

	if (dial == NULL)
		return NULL;
	dial->refs = 1;
	dial->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	dial->abandoned_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	dial->conninfo = strdup(conninfo);
	dial->application = strdup(application);
	if (dial->done_fd >= 0 && dial->abandoned_fd >= 0 && dial->conninfo != NULL &&
		dial->application != NULL) {
		dial->refs = 2;
		rc = pthread_create(&dial->thread, NULL, run, dial);
	}
	if (rc != 0) {
		dial->refs = 1;
		release(dial);
		return NULL;
	}
	return dial;
}

/* The thread is gone by then, unless the resolver holds it. */
static void
leave(struct dial *dial)
{
	uint64_t deadline_ms = pg_clock_ms() + LINGER_MS;
	int rc = 0;

	eventfd_write(dial->abandoned_fd, 1);
	while (rc == 0 && !dial->is_done)
		rc = pg_wait(dial->done_fd, POLLIN, -1, deadline_ms);
	if (dial->is_done)
		pthread_join(dial->thread, NULL);
	else
		pthread_detach(dial->thread);
	release(dial);
}

int
pg_dial(struct pg_link *link, const char *conninfo, const char *application,
	struct sink_error *error)
{
	struct dial *dial = start_thread(conninfo, application);
	uint64_t deadline_ms = pg_clock_ms() + DIAL_MS;
	int rc = 0;

	if (dial == NULL)
		return -ENOMEM;
	while (rc == 0 && !dial->is_done)
		rc = pg_wait(dial->done_fd, POLLIN, link->abort_fd, deadline_ms);
	if (rc == 0) {
		rc = dial->rc;
		*error = dial->error;
		link->conn = dial->conn;
		dial->conn = NULL;
	} else if (rc == -ETIMEDOUT) {
		pg_fail(error, "08001", "no name server answers for the server's host");
	} else {
		pg_fail_wait(rc, error);
	}
	leave(dial);
	return rc;
}
