/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef PG_LINK_H
#define PG_LINK_H

/**
 * @file
 * A connection to PostgreSQL whose every wait ends: at its deadline, or when the sink stops. All
 * functions return 0 or -errno with the error filled in; -EINTR: the sink stops.
 */

#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "sink_internal.h"

struct pg_link {
	PGconn *conn;
	int abort_fd;
};

/** Is it a connection string? The error does not repeat it: there may be a password in it. */
int pg_check_conninfo(const char *conninfo, struct sink_error *error);

/** Milliseconds of a clock that only goes on. */
uint64_t pg_clock_ms(void);

/** Wait for a descriptor; none, -1, is ready. @return 0: it may be; -EINTR: @p abort_fd;
 * -ETIMEDOUT; -errno */
int pg_wait(int fd, short events, int abort_fd, uint64_t deadline_ms);

/** Say what failed, with its remedy. */
void pg_fail(struct sink_error *error, const char *sqlstate, const char *message);
/** The same of what pg_wait() returned, which is returned. */
int pg_fail_wait(int rc, struct sink_error *error);

/** pg_dial.c: the connection alone, that pg_connect() makes. It may be there and a failed one. */
int pg_dial(struct pg_link *link, const char *conninfo, const char *application,
	struct sink_error *error);

/**
 * Connect, by libpq's rules: environment, service and password files, TLS.
 * @param[out] server  "host:port/database as user"
 */
int pg_connect(struct pg_link *link, const char *conninfo, const char *application, char *server,
	size_t server_len, struct sink_error *error);
void pg_close(struct pg_link *link);

/**
 * Run statements, one after the other.
 * @param[out] rows  what the last one that has rows returned, to be cleared; may be NULL
 */
int pg_run(struct pg_link *link, const char *sql, PGresult **rows, struct sink_error *error);

/** Was what failed with @p rc refused by the server, and does the connection go on? */
bool pg_is_answer(const struct pg_link *link, int rc);

/** Prepare a statement. */
int pg_prepare(struct pg_link *link, const char *name, const char *sql, struct sink_error *error);

/** A parameter of a prepared statement, in binary. */
struct pg_param {
	const void *data;
	size_t len;
};

/** Run a prepared statement. @param[out] nb_rows  that it changed; may be NULL */
int pg_run_prepared(struct pg_link *link, const char *name, const struct pg_param *params,
	int nb_params, uint64_t *nb_rows, struct sink_error *error);

/** As pg_run(); the last statement is a COPY FROM STDIN. */
int pg_copy_begin(struct pg_link *link, const char *sql, PGresult **rows, struct sink_error *error);
int pg_copy_put(struct pg_link *link, const void *data, size_t len, struct sink_error *error);
int pg_copy_end(struct pg_link *link, struct sink_error *error);

/** Text that grows. The first failure stays. */
struct pg_text {
	char *text;
	size_t len;
	size_t size;
	bool is_failed;
};

void
pg_text_add(struct pg_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** As a literal of SQL, or of a connection string's value. */
void pg_text_quote(struct pg_link *link, struct pg_text *text, const char *value);
void pg_text_free(struct pg_text *text);

#endif /* PG_LINK_H */
